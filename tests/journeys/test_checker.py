"""A maker of software tries an archive: by mail to the demo's sandbox address, and by command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mss.mail import healthmail
from mss.mail.healthmail import Sending
from mss.model.clock import SeededChance, SystemClock
from mss.model.ids import MailAddress
from tests.kit.demo import Demo, until
from tests.kit.documents import HUGO, ZOE, make_cda, make_package

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo"), pytest.mark.timeout(240)]

LABORATORY = MailAddress.parse("resultats@labo.mssante.example")
VERIFIER = MailAddress.parse("verifier@patient.mssante.example")


def test_an_archive_is_checked_by_mail(demo: Demo) -> None:
    """From the other operator; the report comes back within seconds, and nothing waits for staff."""
    sending = Sending(LABORATORY, "Laboratoire", VERIFIER, (make_cda(ZOE),), (), SystemClock().now())
    message_id, mail = healthmail.compose(sending, SeededChance(20261128))
    before = demo.mss("held", "list", "--json").stdout
    demo.submit(str(LABORATORY), [str(VERIFIER)], mail)

    def look() -> str | None:
        answers = [one for one in demo.mails(str(LABORATORY)) if one["In-Reply-To"] == message_id]
        return str(answers[0].get_content()) if answers else None

    report = until(look, 60)
    assert "RESULT: filed" in report
    assert ZOE.ins.value not in report
    assert demo.mss("held", "list", "--json").stdout == before


def test_a_message_that_came_is_judged_again(demo: Demo) -> None:
    """`mss bridge replay` on somebody else's document: dry, and the same verdict as when it came."""
    dominique = MailAddress.parse(demo.patient()["address"])
    chance = SeededChance(4711)
    sending = Sending(LABORATORY, "Laboratoire", VERIFIER, (make_cda(HUGO),), (), SystemClock().now())
    message_id, mail = healthmail.compose(sending, chance)
    demo.submit(str(LABORATORY), [str(dominique)], mail.replace(str(VERIFIER).encode(), str(dominique).encode()))

    def held() -> dict[str, str] | None:
        rows: list[dict[str, str]] = json.loads(demo.mss("held", "list", "--json").stdout)
        return next((row for row in rows if row["message_id"] == message_id), None)

    row = until(held, 60)
    (told,) = json.loads(demo.mss("bridge", "replay", message_id, "--json").stdout)
    assert (told["verdict"], told["reason"], told["state"]) == ("hold", "ins-mismatch", "waiting")
    assert held() is not None
    demo.mss("held", "reject", row["id"], "--why", "essai")


def test_a_file_is_checked_by_command(demo: Demo, tmp_path: Path) -> None:
    """Exit 0 when it would be filed, 1 with the reason when not, one line for what is no file."""
    good, bad = tmp_path / "IHE_XDM.zip", tmp_path / "cut.zip"
    archive = make_package(make_cda(ZOE))
    good.write_bytes(archive)
    bad.write_bytes(archive[:900])
    done = demo.mss("bridge", "check", str(good))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "RESULT: filed")
    done = demo.mss("bridge", "check", str(bad), "--json")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, 906)
    done = demo.mss("bridge", "check", str(tmp_path / "nothing"))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
