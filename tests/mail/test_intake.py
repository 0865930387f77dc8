"""How mail of other operators comes in, over the real store: what a 250 promises, and what it never tells."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from mss.crypto import seal
from mss.mail.contents import Contents
from mss.mail.delivery import TASK_FILE, TASK_RESEAL, TASK_UNREACHABLE
from mss.mail.reception import Receipt
from mss.model.errors import StorageUnavailable
from mss.model.ids import MailAddress, lane_of
from mss.model.mailbox import MailboxKind
from mss.model.verdict import Accept, Later, Reason, Refuse
from mss.store import folders, owners
from mss.store.database import Store
from mss.store.messages import MessageState
from mss.store.spool import SpoolRoom
from tests.kit import objectstore
from tests.kit.mailroom import ABSENT, LAB, LARGE, PATIENTS, POSTMASTER, MailRoom, Unlucky, address, mail
from tests.kit.objectstore import Mood

# What a yes promises


async def test_a_professional_reads_at_the_250(room: MailRoom) -> None:
    """Accepted is in the INBOX, counted, and opens with the mailbox's own key, from another process too."""
    doctor = await room.professional("dr.house")
    receipt = await room.receive(mail(), "dr.house")
    assert receipt.verdict == Accept()
    other = Store.open(room.store.url)
    found = await other.read(lambda c: folders.list_folders(c, doctor))
    await other.close()
    (inbox,) = [folder for folder in found if folder.special_use == "Inbox"]
    assert (inbox.n_msg, inbox.n_unseen) == (1, 1)
    assert [one.message for one in await room.stored(doctor)] == [receipt.number]
    (body,) = await room.bodies(doctor)
    assert body.endswith(mail())
    assert await room.used_bytes(doctor) == len(body)


async def test_a_patients_mail_waits_for_the_bridge_and_shows_nowhere(room: MailRoom) -> None:
    """No entry, no count: only a duty to judge it."""
    claire = await room.patient()
    receipt = await room.receive(mail(), claire.address)
    assert receipt.verdict == Accept()
    (stored,) = await room.stored(claire.owner)
    assert (stored.state, stored.conversation) == (MessageState.PENDING, 0)
    (duty,) = await room.tasks(TASK_FILE)
    assert duty.owner == claire.owner
    assert await room.due_s(duty) <= 0
    assert (await room.folder(claire.owner)).n_msg == 0


async def test_one_mail_reaches_everybody_it_names(room: MailRoom) -> None:
    """Two professionals, a patient and an unknown patient: each gets his own, under a key of his own."""
    house, wilson, claire = (
        await room.professional("dr.house"),
        await room.professional("dr.wilson"),
        await room.patient(),
    )
    receipt = await room.receive(mail(), "dr.house", "dr.wilson", claire.address, ABSENT)
    assert receipt.verdict == Accept()
    for owner in (house, wilson, claire.owner):
        (body,) = await room.bodies(owner)
        assert body.endswith(mail())
    assert Counter(task.kind for task in await room.tasks()) == {
        TASK_FILE: 1,
        TASK_UNREACHABLE: 1,
        TASK_RESEAL: 2,
    }
    assert (await room.trace("<un@labo.mssante.example>")) == ["mail.received"] * 4


@pytest.mark.parametrize("body", ["Bonjour.\r\n", LARGE], ids=["small", "large"])
async def test_the_same_mail_twice_stands_once(room: MailRoom, body: str, tmp_path: Path) -> None:
    """A peer that missed our 250 sends again: one message for each, one duty, one notice, and no file too many."""
    house, claire = await room.professional("dr.house"), await room.patient()
    for _ in range(3):
        assert (await room.receive(mail(body=body), "dr.house", claire.address, ABSENT)).verdict == Accept()
    assert len(await room.stored(house)) == len(await room.stored(claire.owner)) == 1
    assert len(await room.tasks()) == 3  # the third wraps the doctor's key when its hour is over
    assert await room.used_bytes(house) == len((await room.bodies(house))[0])
    assert await files_below(room, tmp_path) == (2 if body == LARGE else 0)
    assert Counter(await room.trace("<un@labo.mssante.example>")) == {"mail.received": 3, "mail.again": 6}


async def test_what_arrived_by_the_spool_is_what_arrives_in_memory(room: MailRoom, tmp_path: Path) -> None:
    """For each recipient, at the retry, in the queue and when refused: the same octets, files and answers."""
    house, claire, raw = await room.professional("dr.house"), await room.patient(), mail(body=LARGE * 4)
    spools = SpoolRoom(tmp_path / "spool", room.chance)

    async def receive(octets: bytes) -> Receipt:
        spool = spools.open()
        await spool.write(octets)
        await spool.finish()
        envelope = room.envelope(LAB, "dr.house", claire.address, ABSENT)
        receipt = await room.intake.message(room.peer, envelope, Contents(b"", spool))
        spool.close()
        return receipt

    for _ in range(2):
        assert (await receive(raw)).verdict == Accept()
    assert (await room.receive(raw, "dr.house", claire.address, ABSENT)).verdict == Accept()
    for owner in (house, claire.owner):
        (body,) = await room.bodies(owner)
        assert body.startswith(b"Return-Path: <resultats@")
        assert body.endswith(raw)
    assert (await receive(raw.replace(b"From:", b"X-From:", 1))).verdict == Refuse(Reason.FROM_NOT_SINGLE)
    assert await files_below(room, tmp_path) == 2
    gone = spools.open()
    await gone.write(raw)
    gone.close()
    receipt = await room.intake.message(room.peer, room.envelope(LAB, "dr.house"), Contents(b"", gone))
    assert receipt.verdict == Later(Reason.STORAGE_UNAVAILABLE), "a spool that broke is no half message"
    assert await files_below(room, tmp_path) == 2


async def test_with_its_object_store_away_mail_comes_later(room: MailRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is accepted that is not in the bucket; whoever reads meanwhile is told to wait, not that it is gone."""
    async with objectstore.bucket() as bucket:
        far = objectstore.client(bucket, monkeypatch)
        remote = MailRoom(replace(room.cellar, bodies=far), room.gate, room.peer)
        doctor = await remote.professional("dr.house")
        bucket.mood = Mood.BUSY
        assert (await remote.receive(mail(body=LARGE), "dr.house")).verdict == Later(Reason.STORAGE_UNAVAILABLE)
        assert not await remote.stored(doctor)
        assert not bucket.objects
        bucket.mood = Mood.WELL
        assert (await remote.receive(mail(body=LARGE), "dr.house")).verdict == Accept()
        bucket.mood = Mood.CUTS
        with pytest.raises(StorageUnavailable):
            await remote.bodies(doctor)
        bucket.mood = Mood.WELL
        (body,) = await remote.bodies(doctor)
        assert body.endswith(mail(body=LARGE))
        assert all(b"Bonjour" not in sealed for sealed in bucket.objects.values())


async def files_below(room: MailRoom, directory: Path) -> int:
    """Body files, once whatever is thrown away is gone."""
    for throwing in list(room.delivery._thrown):
        await throwing
    return sum(path.is_file() for path in (directory / "bodies").rglob("*"))


async def test_half_kept_mail_is_completed_by_the_retry(room: MailRoom) -> None:
    """One recipient's part of the store is away: not now; the retry doubles nobody."""
    house, claire = await room.professional("dr.house"), await room.patient()
    taken = {lane_of(house), lane_of(claire.owner)}
    number, wilson = 0, house
    while lane_of(wilson) in taken:  # his part of the store is to be away alone
        number += 1
        wilson = await room.professional(f"dr.wilson.{number}")
    to = ("dr.house", f"dr.wilson.{number}", claire.address)
    with Unlucky(room, [wilson]):
        assert (await room.receive(mail(), *to)).verdict == Later(Reason.STORAGE_UNAVAILABLE)
    assert not await room.stored(wilson)
    assert (await room.receive(mail(), *to)).verdict == Accept()
    for owner in (house, wilson, claire.owner):
        assert len(await room.bodies(owner)) == 1
    assert (await room.receive(mail(body="Autre.\r\n"), *to)).verdict == Accept()
    for owner in (house, wilson, claire.owner):
        assert len(await room.bodies(owner)) == 2


async def test_mail_after_a_retry_and_a_restart_can_still_be_read(room: MailRoom) -> None:
    """A peer repeats what stands already, just after we started again: the next mail of that hour opens."""
    doctor = await room.professional("dr.house")
    await room.receive(mail(), "dr.house")
    room.restart()
    await room.receive(mail(), "dr.house")
    assert (await room.receive(mail(body="Autre.\r\n"), "dr.house")).verdict == Accept()
    first, second = await room.bodies(doctor)
    assert first.endswith(b"Bonjour.\r\n")
    assert second.endswith(b"Autre.\r\n")


async def test_other_people_may_send_the_same_bytes(room: MailRoom) -> None:
    """Another sender, another body, another recipient: other mail."""
    doctor = await room.professional("dr.house")
    await room.professional("dr.wilson")
    await room.receive(mail(), "dr.house")
    await room.receive(mail(), "dr.wilson")
    await room.receive(mail(), "dr.house", sender=address("autre@labo.mssante.example"))
    await room.receive(mail(body="Bonsoir.\r\n"), "dr.house")
    assert len(await room.stored(doctor)) == 3


# Special boxes


async def test_postmaster_is_a_person(room: MailRoom) -> None:
    """postmaster@ any domain of ours is read by somebody (RFC 5321 §4.5.1), once."""
    person = await room.professional(str(POSTMASTER))
    names = ["postmaster", "PostMaster@chu.mssante.example", f"postmaster@{PATIENTS}"]
    for name in names:
        assert await room.may_send_to(name) == Accept()
    assert (await room.receive(mail(), *names)).verdict == Accept()
    assert len(await room.stored(person)) == 1


async def test_a_full_patients_box_still_takes_mail(room: MailRoom) -> None:
    """The record depends on it."""
    claire = await room.patient()
    await room.set_quota(claire.owner, 1)
    await room.receive(mail(), claire.address)
    assert await room.may_send_to(claire.address) == Accept()
    assert (await room.receive(mail(body="Encore.\r\n"), claire.address)).verdict == Accept()


async def test_a_team_and_a_software_are_professionals(room: MailRoom) -> None:
    """Every kind of mailbox but a patient's is readable at once."""
    for kind in (MailboxKind.ORGANISATIONAL, MailboxKind.APPLICATION, MailboxKind.OFFICE):
        owner = await room.professional(kind.value.lower(), kind)
        await room.receive(mail(), kind.value.lower())
        assert (await room.folder(owner)).n_msg == 1


# What is refused

MDN = "Content-Type: multipart/report; report-type=disposition-notification; boundary=b"
REFUSALS: list[tuple[str, bytes, MailAddress | None, int, Reason | None]] = [
    ("a report", mail(MDN), None, 1, None),
    ("an automatic answer", mail("Auto-Submitted: auto-replied"), None, 1, None),
    ("a letter of nobody", mail(), None, 1, Reason.NULL_SENDER_NOT_A_REPORT),
    ("written by a person", mail("Auto-Submitted: no"), None, 1, Reason.NULL_SENDER_NOT_A_REPORT),
    ("a report to two", mail(MDN), None, 2, Reason.NULL_SENDER_NOT_A_REPORT),
    (
        "a report in another's name",
        mail(MDN, sender="x@chu.mssante.example"),
        None,
        1,
        Reason.HEADER_FROM_NOT_OF_CERTIFICATE,
    ),
    ("another's From", mail(sender="dr.x@chu.mssante.example"), LAB, 1, Reason.HEADER_FROM_NOT_OF_CERTIFICATE),
    ("another's MAIL FROM", mail(), address("dr.x@chu.mssante.example"), 1, Reason.DOMAIN_NOT_OF_CERTIFICATE),
    ("two From fields", mail(f"From: {LAB}"), LAB, 1, Reason.FROM_NOT_SINGLE),
    ("two in From", mail(sender=f"{LAB}, x@labo.mssante.example"), LAB, 1, Reason.FROM_NOT_SINGLE),
    ("a From that is a riddle", mail(sender=f"{LAB}, ;;<@"), LAB, 1, Reason.FROM_NOT_SINGLE),
    ("no From", b"Subject: Bilan\r\n\r\nBonjour.\r\n", LAB, 1, Reason.FROM_NOT_SINGLE),
    ("no header", b"\r\nBonjour.\r\n", LAB, 1, Reason.FROM_NOT_SINGLE),
    ("a loop", mail(*["Received: by relais.example; Mon, 5 Jan 2026 10:00:00 +0100"] * 50), LAB, 1, Reason.MAIL_LOOP),
    ("a header that ends twice", mail("no field at all", "X: y"), LAB, 1, Reason.HEADER_MALFORMED),
    ("a mailbox file's line", b"From lab Mon\r\n" + mail(), LAB, 1, Reason.HEADER_MALFORMED),
    ("a bare line feed", mail(body="a\nb\r\n"), LAB, 1, Reason.BARE_CR_OR_LF),
    ("a NUL", mail(body="a\0b\r\n"), LAB, 1, Reason.NUL_BYTE),
    ("a line beyond all measure", mail(body="x" * 70_000 + "\r\n"), LAB, 1, Reason.LINE_TOO_LONG),
]


@pytest.mark.parametrize(
    ("raw", "sender", "recipients", "reason"), [pytest.param(*rest, id=name) for name, *rest in REFUSALS]
)
async def test_what_is_refused_leaves_nothing(
    room: MailRoom, raw: bytes, sender: MailAddress | None, recipients: int, reason: Reason | None
) -> None:
    """One reason for each fault, and no trace of the message."""
    house, wilson = await room.professional("dr.house"), await room.professional("dr.wilson")
    receipt = await room.receive(raw, *["dr.house", "dr.wilson"][:recipients], sender=sender)
    kept = [*await room.stored(house), *await room.stored(wilson)]
    if reason is None:
        assert receipt.verdict == Accept()
        assert len(kept) == 1
    else:
        assert getattr(receipt.verdict, "reason", None) is reason
        assert not kept


async def test_a_long_line_of_a_peer_is_kept(room: MailRoom) -> None:
    """Up to 64 KiB: many programs write them, and nothing is sent on. The door is told which line."""
    doctor = await room.professional("dr.house")
    receipt = await room.receive(mail(body="x" * 20_000 + "\r\n"), "dr.house")
    assert receipt.verdict == Accept()
    (body,) = await room.bodies(doctor)
    assert body.endswith(b"x\r\n")
    assert len(body.split(b"\r\n")[receipt.long_line - 1]) == 20_000
    assert (await room.receive(mail(subject="Suite"), "dr.house")).long_line == 0


async def test_a_report_to_an_absent_patient_answers_nobody(room: MailRoom) -> None:
    """Accepted, and its duty has nobody to tell."""
    assert (await room.receive(mail(MDN), ABSENT, sender=None)).verdict == Accept()
    (duty,) = await room.tasks()
    fields = seal.open_sealed(room.cellar.private.tasks, duty.payload, b"task %d" % duty.id)
    assert fields.startswith(b'["", ')


# Our trace fields


async def test_return_path_and_received_stand_once_before_what_came(room: MailRoom) -> None:
    """RFC 5321 §4.4: ours first, exactly once; behind them every octet as it came."""
    doctor = await room.professional("dr.house")
    raw = mail("Received: from poste by labo; Mon, 5 Jan 2026 09:59:00 +0100", body="Octets: \xff\x80é\r\n.\r\n")
    await room.receive(raw, "dr.house")
    (kept,) = await room.bodies(doctor)
    trace = kept.removesuffix(raw)
    assert trace != kept
    assert re.fullmatch(
        rb"Return-Path: <resultats@labo\.mssante\.example>\r\n"
        rb"Received: from relais\.labo\.mssante\.example \(certificate [0-9A-F]+\)\r\n"
        rb" by relais\.chu\.mssante\.example with ESMTPS id [0-9a-f]{16};\r\n Mon, 05 Jan 2026 10:00:\d\d \+0100\r\n",
        trace,
    )


async def test_a_forged_return_path_is_not_believed(room: MailRoom) -> None:
    """What a sender writes into Return-Path goes: answers follow the envelope."""
    doctor = await room.professional("dr.house")
    forged = b"Return-Path:\r\n <victime@chu.mssante.example>\r\nreturn-path : <v@chu.mssante.example>\r\n"
    await room.receive(forged + mail(), "dr.house")
    (kept,) = await room.bodies(doctor)
    assert kept.lower().count(b"return-path") == 1
    assert b"victime" not in kept
    assert kept.endswith(mail())


async def test_a_report_has_an_empty_return_path(room: MailRoom) -> None:
    """Nobody answers it."""
    doctor = await room.professional("dr.house")
    await room.receive(mail(MDN), "dr.house", sender=None)
    (kept,) = await room.bodies(doctor)
    assert kept.startswith(b"Return-Path: <>\r\nReceived: from ")


async def test_a_hostile_greeting_adds_no_field(room: MailRoom) -> None:
    """HELO is the peer's word: it stays inside our Received field."""
    doctor = await room.professional("dr.house")
    envelope = replace(room.envelope(LAB, "dr.house"), helo="a\r\nBcc: (b;c" + "d" * 400)
    assert (await room.intake.message(room.peer, envelope, mail())).verdict == Accept()
    (kept,) = await room.bodies(doctor)
    trace = kept.removesuffix(mail())
    assert b"Bcc: " not in trace
    assert max(map(len, trace.split(b"\r\n"))) < 998
    assert trace.count(b"\r\n") == 4


async def test_somebody_who_moved_in_since_gets_only_new_mail(room: MailRoom) -> None:
    """Enrolled after a mail was turned away: the old one stays unreachable, the next arrives."""
    await room.receive(mail(), ABSENT)
    assert await room.store.read(lambda c: owners.find(c, room.cellar.public.lookup.address(ABSENT.key))) is None
    claire = await room.patient()
    assert (await room.receive(mail(), claire.address)).verdict == Accept()
    assert len(await room.stored(claire.owner)) == 1
