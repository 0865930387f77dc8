"""What an operator is told of old mail that goes, and how it is held."""

from __future__ import annotations

import asyncio
import json

from mss.config import load
from mss.foundation import lay
from mss.mail.submit import HouseMail
from mss.model.clock import to_ms
from mss.model.ids import MailAddress, lane_of
from mss.store import owners, schema
from mss.store.sql import Connection
from tests.cli.conftest import Operator, mss

TEAM = MailAddress.parse("equipe@chu.mssante.example")
DAY_MS = 24 * 3_600_000


def _old_letter(operator: Operator, days: int) -> None:
    """A letter that came so many days ago."""

    async def inside() -> None:
        ground = await lay(load(operator.config), "test", hears=False)
        raw = f"From: {TEAM}\r\nTo: {TEAM}\r\nMessage-ID: <vieux@chu.mssante.example>\r\n\r\nBonjour\r\n".encode()
        try:
            hashed = ground.public.lookup.address(TEAM.key)
            owner = await ground.store.read(lambda c: owners.find(c, hashed))
            assert owner is not None
            await HouseMail(ground.house, ground.dispatch).send(owner, None, (TEAM,), raw)
            then_ms = to_ms(ground.clock.now()) - days * DAY_MS

            def age(connection: Connection) -> None:
                entry = schema.entry
                connection.execute(entry.update().where(entry.c.owner == owner).values(savedate_ms=then_ms))

            await ground.store.write(lane_of(owner), age)
        finally:
            await ground.close()

    asyncio.run(inside())


def _ruled(operator: Operator, rules: str) -> str:
    """Settings of their own beside those of everybody."""
    return operator.file("retention.toml", f"{operator.config.read_text()}\n[retention]\n{rules}\n")


def test_the_doctor_and_the_mailbox_tell_what_goes_and_a_hold_stops_it(operator: Operator) -> None:
    """Nothing set: kept for ever. Set: how many, of how many mailboxes, from when; held: nothing."""
    _old_letter(operator, 400)
    assert "retention: mail is kept for ever" in operator.mss("check").out
    config = _ruled(operator, "mailbox_days = {ORG = 365}")
    assert "retention: nothing is deleted within 30 days" in mss("check", "--config", config).out  # nobody was told

    def told(*words: str) -> dict[str, object]:
        said = mss("mailbox", "retention", str(TEAM), *words, "--json", "--config", config)
        found: dict[str, object] = json.loads(said.out)
        return found

    now = told()
    assert (now["messages"], now["held"], now["first_warning"]) == (1, False, "")
    held = told("--hold")
    assert (held["messages"], held["held"]) == (0, True)
    assert told("--release")["held"] is False
    refused = mss("mailbox", "retention", str(TEAM), "--hold", "--release", "--config", config)
    assert (refused.code, refused.err.count("\n")) == (1, 1)


def test_settings_that_would_delete_too_soon_or_a_patients_mail_are_refused(operator: Operator) -> None:
    """One line each, with what to write instead."""
    for wrong in ("trash_days = 30", "mailbox_days = {PATIENT = 400}", "mailbox_days = {PERS = 400}"):
        said = mss("check", "--config", _ruled(operator, wrong))
        assert said.code == 1
        assert said.err.count("\n") == 1, said.err
        assert "retention." in said.err
