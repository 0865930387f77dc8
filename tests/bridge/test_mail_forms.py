"""Mail programs wrap one archive in many ways: each is filed, or held with its own reason, and its sender knows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mss.formats import tnef
from mss.model.clock import ManualClock, SeededChance
from mss.model.mailbox import MailboxKind
from mss.sandbox.pool import Sandbox
from tests.kit.documents import OUR_OID, ZOE, make_cda, make_package, make_pdf
from tests.kit.house import APPLICATION, LABORATORY, House, Patient, open_house, words_of
from tests.kit.mailforms import FORMS, base64_of, file, mail_of, mixed, winmail

HELD = {
    "zip-in-zip": "metadata-broken",
    "zip-in-zip-stored": "metadata-broken",
    "smime-unopened": "undecryptable",
    "pgp-unopened": "undecryptable",
}
"""The others are filed."""


@pytest.fixture
async def one(tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox) -> AsyncIterator[House]:
    """A house on one engine, where nothing depends on which."""
    async with open_house(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance, sandbox) as opened:
        yield opened


def header(to: object, number: int) -> str:
    return (
        f"From: Laboratoire <{LABORATORY}>\nTo: {to}\nMessage-ID: <{number}@labo.mssante.example>\n"
        f"Date: Mon, 05 Jan 2026 10:00:00 +0100\nDisposition-Notification-To: {LABORATORY}\n"
    )


async def counts(house: House, patient: Patient) -> tuple[int, int, int]:
    """Documents, held messages, answers."""
    return len(await house.documents(patient)), len(await house.triage.held_list()), len(await house.sent())


async def test_each_form_of_a_mail_is_filed_or_held_and_answered(one: House) -> None:
    """One document and one answer, or one held message with its reason and one answer; never silence."""
    zoe = await one.enrol(ZOE)
    found, expected = {}, {}
    for number, form in enumerate(FORMS):
        archive = make_package(make_cda(ZOE, unique_id=f"{OUR_OID}.1^{number}", set_id=f"{OUR_OID}.2^{number}"))
        before = await counts(one, zoe)
        await one.deliver(mail_of(form, archive, header(zoe.address, number)), LABORATORY, zoe.address)
        await one.run_tasks()
        waiting = [item.reason for item in await one.triage.held_list() if item.message_id.startswith(f"<{number}@")]
        new = [after - known for after, known in zip(await counts(one, zoe), before, strict=True)]
        found[form] = (*new, "".join(waiting))
        expected[form] = (0, 1, 1, HELD[form]) if form in HELD else (1, 0, 1, "")
    assert found == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("resultats.zip", make_package(make_cda(ZOE)).replace(b"METADATA", b"METADATE")),
        ("resultat.hpr", b"DUPONT\r\nMarie\r\nGlycemie 5,1 mmol/l\r\n"),
        ("courrier.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)),
        ("winmail.dat", winmail(make_pdf(), "CR.pdf")),
        ("winmail.dat", winmail(make_pdf(), "CR.pdf")[:-70_200]),
    ],
)
async def test_a_file_that_nobody_reads_in_softwares_mailbox_is_not_passed_over(
    one: House, name: str, content: bytes
) -> None:
    """No person looks into that mailbox: its sender must not believe that it is in the record."""
    await one.professional(str(APPLICATION), MailboxKind.APPLICATION)
    part = file(
        base64_of(content), "application/octet-stream", "", f"Content-Disposition: attachment; filename={name}\n"
    )
    raw = f"{header(APPLICATION, 1)}Subject: Bonjour\nMIME-Version: 1.0\n{mixed(part)}".replace("\n", "\r\n")
    await one.deliver(raw.encode(), LABORATORY, APPLICATION)
    await one.run_tasks()
    assert [item.reason for item in await one.triage.held_list()] == ["loose-document"]
    assert any("NON intégré" in words_of(mail) for mail in await one.sent())


def test_half_a_document_is_not_taken_out_of_a_winmail_that_was_cut() -> None:
    """Wherever it ends, and whatever its lengths say: all of a file, or nothing of it."""
    whole = winmail(b"content", "a.pdf")
    assert tnef.files(whole) == [("a.pdf", b"content")]
    assert tnef.files(whole + bytes(40)) == [("a.pdf", b"content")]
    for end in range(len(whole)):
        assert tnef.files(whole[:end]) in (None, [], [("a.pdf", b"content")]), end
    assert tnef.files(tnef.SIGNATURE + b"\xff" * 100) is None
