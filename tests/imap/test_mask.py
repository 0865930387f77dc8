"""A client that breaks on an extension is not offered it; everybody else is."""

from __future__ import annotations

import asyncio
import imaplib
from dataclasses import replace
from pathlib import Path

import pytest

from mss.imap import commands as c
from mss.imap.backend import Account
from mss.imap.login import ALWAYS, LOGGED_IN
from mss.imap.mask import COMMANDS, forbids, root, visible, with_dependents
from mss.imap.sets import SequenceSet
from mss.model.clock import ManualClock
from tests.kit.imap_house import COLLEAGUE, DOCTOR, PASSWORD, imap_house, memory_keeper
from tests.kit.pki import Pki

HIDDEN = with_dependents(["IDLE", "CONDSTORE", "MOVE", "SORT"])


def test_what_depends_on_something_hidden_is_hidden_too() -> None:
    """A client must not be told of QRESYNC without CONDSTORE."""
    assert {"CONDSTORE", "QRESYNC"} <= HIDDEN
    told = visible([*ALWAYS, *LOGGED_IN], HIDDEN)
    assert not {"IDLE", "QRESYNC", "SORT", "SORT=DISPLAY", "MOVE"} & set(told)
    assert {"IMAP4rev1", "UIDPLUS", "THREAD=REFERENCES"} <= set(told)


def test_every_command_of_a_mask_has_a_capability() -> None:
    """A name that nobody announces would hide nothing."""
    assert COMMANDS.keys() <= {root(name) for name in (*ALWAYS, *LOGGED_IN)}


def test_a_copy_that_moves_is_not_a_copy() -> None:
    """MOVE is hidden, COPY stays."""
    one = c.Copy(SequenceSet(((1, 1),)), "Trash")
    assert not forbids(HIDDEN, one)
    assert forbids(HIDDEN, replace(one, move=True))


async def test_a_masked_account_is_not_offered_and_not_obeyed(
    imap_pki: Pki, tmp_path: Path, clock: ManualClock
) -> None:
    """In the answer to the login, to CAPABILITY, to ENABLE, and to the command itself; a colleague notices nothing."""
    keeper = memory_keeper(clock)
    honest = keeper.authenticate

    async def masked(mechanism: str, username: str, secret: bytes, peer: str) -> Account | None:
        account = await honest(mechanism, username, secret, peer)
        return replace(account, hidden=HIDDEN) if account and username == DOCTOR else account

    async def unchanged(account: Account) -> Account | None:
        return account

    keeper.authenticate, keeper.review = masked, unchanged

    def visit(port: int, user: str) -> list[str]:
        with imaplib.IMAP4_SSL("localhost", port, ssl_context=house.client_tls()) as client:
            tagged = client.login(user, PASSWORD)
            assert tagged[0] == "OK"
            asked: list[str] = client.capability()[1][0].decode().split()
            client.select("INBOX")
            if user == DOCTOR:
                for line in (b"i1 IDLE", b"i2 UID MOVE 1 Archives", b"i3 SORT (DATE) UTF-8 ALL"):
                    client.send(line + b"\r\n")
                    answer = client.readline()
                    assert answer.startswith(line[:2] + b" BAD"), answer
                client.send(b"i4 ENABLE QRESYNC\r\n")
                assert client.readline() == b"* ENABLED\r\n"
                client.readline()
            return asked

    async with imap_house(keeper, imap_pki, tmp_path, clock) as house:
        told = await asyncio.to_thread(visit, house.tls_port, DOCTOR)
        assert not {"IDLE", "MOVE", "SORT", "CONDSTORE", "QRESYNC"} & set(told)
        assert {"IDLE", "MOVE", "SORT", "CONDSTORE", "QRESYNC"} <= set(
            await asyncio.to_thread(visit, house.tls_port, COLLEAGUE)
        )


@pytest.mark.parametrize("name", ["IMAP4rev1", "STARTTLS", "NOTHING"])
def test_what_no_mask_hides_is_refused_by_name(name: str) -> None:
    """Without IMAP4rev1 there is no server."""
    from mss.cli.mailboxmask import KNOWN

    assert root(name) not in KNOWN
