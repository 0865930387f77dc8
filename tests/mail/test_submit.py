"""How mail of our own people leaves: what is added, what is taken out, in whose name, and where it goes."""

from __future__ import annotations

import re
from email import message_from_bytes

import pytest

from mss.accounts.teams import Teams
from mss.mail.delivery import TASK_FILE, TASK_RESEAL, TASK_UNREACHABLE
from mss.model.ids import MailAddress, OwnerId
from mss.model.mailbox import AccountState, MailboxKind
from mss.model.verdict import Accept, Later, Reason, Refuse
from mss.store.changes import ChangeBus
from tests.kit.mailroom import ABSENT, LAB, TEAM, MailRoom, Unlucky, address, mail

DOCTOR = address("dr.house")


def letter(*more: str, sender: object = DOCTOR, body: str = "Bonjour.\r\n") -> bytes:
    """With a Message-ID and a Date, unless `more` brings them."""
    names = {line.partition(":")[0].lower() for line in more}
    lines = [] if "date" in names else ["Date: Mon, 05 Jan 2026 10:00:00 +0100"]
    return mail(*more, *lines, sender=str(sender), body=body)


async def sent(room: MailRoom, raw: bytes, *to: MailAddress | str) -> bytes:
    """What leaves for the laboratory when the doctor sends this."""
    doctor = await room.professional("dr.house")
    assert (await room.submit(doctor, raw, *to or (LAB,), sender=DOCTOR)).verdict == Accept()
    (outgoing,) = await room.queued()
    return outgoing.raw


# What is added and taken out


async def test_a_complete_letter_leaves_as_written(room: MailRoom) -> None:
    """One Received before it, nothing else touched, no Return-Path: that is the last server's."""
    raw = letter("X-Any: 1", body="Octets: é\r\n.\r\n")
    left = await sent(room, raw)
    trace = left.removesuffix(raw).decode()
    assert re.fullmatch(
        r"Received: from relais\.chu\.mssante\.example\r\n"
        r" by relais\.chu\.mssante\.example with ESMTPSA id [0-9a-f]{16};\r\n Mon, 05 Jan 2026 10:00:\d\d \+0100\r\n",
        trace,
    )


@pytest.mark.parametrize(
    "secret",
    [
        "Bcc: secret@labo.mssante.example",
        "BCC : a@labo.mssante.example,\r\n\tsecret@labo.mssante.example,\r\n b@labo.mssante.example",
        "bcc:\r\n secret@labo.mssante.example",
        "Resent-Bcc: secret@labo.mssante.example",
        "Return-Path: <secret@labo.mssante.example>",
    ],
)
async def test_who_is_copied_in_secret_stays_secret(room: MailRoom, secret: str) -> None:
    """RFC 5322 §3.6.3: folded or not, whatever its case, no Bcc goes out; its neighbours do."""
    left = await sent(room, letter("X-Before: 1", secret, "X-After: 2", body="Bcc: stays@labo.mssante.example\r\n"))
    assert b"secret" not in left
    assert b"\r\nX-Before: 1\r\nX-After: 2\r\n" in left
    assert left.endswith(b"Bcc: stays@labo.mssante.example\r\n")


async def test_bcc_never_reaches_a_mailbox_of_ours(room: MailRoom) -> None:
    """Nor the colleague in the next room."""
    doctor, wilson = await room.professional("dr.house"), await room.professional("dr.wilson")
    await room.submit(doctor, letter("Bcc: secret@labo.mssante.example"), "dr.wilson", sender=DOCTOR)
    (kept,) = await room.bodies(wilson)
    assert b"secret" not in kept
    assert kept.startswith(b"Return-Path: <dr.house@chu.mssante.example>\r\nReceived: from ")


@pytest.mark.parametrize("empty", [(), ("Date:", "Message-ID: ")], ids=["absent", "empty"])
async def test_date_and_message_id_are_added_when_missing(room: MailRoom, empty: tuple[str, ...]) -> None:
    """RFC 6409 §8: exactly one of each leaves, ours when there was none."""
    doctor = await room.professional("dr.house")
    raw = "\r\n".join([f"From: {DOCTOR}", "Subject: Bilan", *empty, "", "Bonjour.\r\n"]).encode()
    assert (await room.submit(doctor, raw, LAB, sender=DOCTOR)).verdict == Accept()
    (outgoing,) = await room.queued()
    left = message_from_bytes(outgoing.raw)
    assert left.get_all("Date") == ["Mon, 05 Jan 2026 10:00:01 +0100"]
    (message_id,) = left.get_all("Message-ID") or []
    assert re.fullmatch(r"<[0-9a-f]{32}@chu\.mssante\.example>", message_id)
    assert await room.trace(message_id) == ["mail.queued", "mail.sent"]


async def test_two_letters_alike_without_message_id_are_two(room: MailRoom) -> None:
    """Somebody who writes the same twice means it twice."""
    doctor = await room.professional("dr.house")
    raw = f"From: {DOCTOR}\r\nSubject: Oui\r\n\r\nOui.\r\n".encode()
    for _ in range(2):
        await room.submit(doctor, raw, LAB, sender=DOCTOR)
    assert len(await room.queued()) == 2


# In whose name


async def test_a_login_writes_as_itself_or_its_team(room: MailRoom) -> None:
    """From, Sender and MAIL FROM belong to the login; being a member of the team is enough."""
    doctor, wilson = await room.professional("dr.house"), await room.professional("dr.wilson")
    team = await room.professional("cardio", MailboxKind.ORGANISATIONAL)
    await room.cellar.accounts.add_member(team, doctor, "member")
    cardio, theirs = address("cardio"), Refuse(Reason.FROM_NOT_OF_LOGIN)
    for login, raw, verdict in (
        (doctor, letter(sender="DR.House@CHU.mssante.example"), Accept()),
        (doctor, letter(sender=cardio), Accept()),
        (doctor, letter(f"Sender: {DOCTOR}", sender=cardio), Accept()),
        (doctor, letter(sender="Cardiologie <cardio@chu.mssante.example>"), Accept()),
        (wilson, letter(sender=cardio), theirs),
        (doctor, letter(sender="dr.wilson@chu.mssante.example"), theirs),
        (doctor, letter("Sender: dr.wilson@chu.mssante.example"), theirs),
        (doctor, letter(f"Sender: {DOCTOR}", "Sender: dr.wilson@chu.mssante.example"), theirs),
        (doctor, letter("Sender: <>"), theirs),
        (doctor, letter(sender=f"{DOCTOR}, {cardio}"), Refuse(Reason.FROM_NOT_SINGLE)),
        (doctor, letter(f"From: {DOCTOR}"), Refuse(Reason.FROM_NOT_SINGLE)),
        (doctor, letter(sender=f"dr.wilson@chu.mssante.example <{DOCTOR}>"), Accept()),
        (doctor, letter(sender="<dr.wilson@chu.mssante.example> <x@labo.mssante.example>"), None),
    ):
        verdict_now = (await room.submit(login, raw, LAB, sender=DOCTOR)).verdict
        assert verdict_now == verdict if verdict is not None else isinstance(verdict_now, Refuse), raw


async def test_the_envelope_is_the_logins_too(room: MailRoom) -> None:
    """MAIL FROM: own or the team's; the null sender is judged with the message."""
    from mss.mail.reception import Peer

    doctor = await room.professional("dr.house")
    team = await room.professional("cardio", MailboxKind.ORGANISATIONAL)
    peer = Peer(f"login:{doctor}", account=doctor)
    no = Refuse(Reason.SENDER_NOT_OF_LOGIN)
    assert await room.submission.sender(peer, DOCTOR) == Accept()
    assert await room.submission.sender(peer, None) == Accept()
    assert await room.submission.sender(peer, address("cardio")) == no
    assert await room.submission.sender(peer, address("dr.nobody")) == no
    await room.cellar.accounts.add_member(team, doctor, "member")
    assert await room.submission.sender(peer, address("cardio")) == Accept()
    teams = Teams(room.store, ChangeBus("test"), room.clock)
    await teams.change(team, doctor, lambda _before: "lrsw", "staff:test")  # reads and sorts, does not answer
    assert await room.submission.sender(peer, address("cardio")) == no
    await teams.change(team, doctor, lambda before: before + "p", "staff:test")
    assert await room.submission.sender(peer, address("cardio")) == Accept()
    await room.cellar.accounts.set_state(team, AccountState.CLOSED)
    assert await room.submission.sender(peer, address("cardio")) == no
    await room.cellar.accounts.set_state(doctor, AccountState.SUSPENDED)
    assert await room.submission.sender(peer, DOCTOR) == no


async def test_a_null_sender_sends_reports_only(room: MailRoom) -> None:
    """An automatic answer of a login may leave without return path; a letter may not."""
    doctor = await room.professional("dr.house")
    assert (await room.submit(doctor, letter("Auto-Submitted: auto-replied"), LAB)).verdict == Accept()
    assert (await room.submit(doctor, letter(), LAB)).verdict == Refuse(Reason.NULL_SENDER_NOT_A_REPORT)


async def test_a_long_line_is_told_by_its_number(room: MailRoom) -> None:
    """998 octets pass, 999 are refused with the line of the message that its writer sees."""
    doctor = await room.professional("dr.house")
    assert (await room.submit(doctor, letter(body="x" * 998 + "\r\n"), LAB, sender=DOCTOR)).verdict == Accept()
    long = letter(body="un\r\n" + "x" * 999 + "\r\n")
    number = long[: long.index(b"xxx")].count(b"\r\n") + 1
    assert (await room.submit(doctor, long, LAB, sender=DOCTOR)).verdict == Refuse(Reason.LINE_TOO_LONG, str(number))
    assert len(await room.queued()) == 1


# Where it goes


async def test_nothing_leaves_the_trust_space(room: MailRoom) -> None:
    """Asked at RCPT: the whole trust space, our own mailboxes, and nobody else."""
    from mss.mail.reception import Peer

    doctor = await room.professional("dr.house")
    peer = Peer(f"login:{doctor}", account=doctor)
    for recipient, verdict in (
        (LAB, Accept()),
        (DOCTOR, Accept()),
        (ABSENT, Accept()),
        (address("dr.nobody"), Refuse(Reason.MAILBOX_UNKNOWN)),
        (address("x@ailleurs.example"), Refuse(Reason.RECIPIENT_OUTSIDE_TRUST_SPACE)),
        (address("x@sous.labo.mssante.example"), Refuse(Reason.RECIPIENT_OUTSIDE_TRUST_SPACE)),
    ):
        assert await room.submission.recipient(peer, DOCTOR, recipient) == verdict


async def test_one_letter_goes_here_and_there(room: MailRoom) -> None:
    """A colleague reads at once, a patient's waits for the bridge, an absent one is told; one row for each domain."""
    doctor, wilson, claire = (
        await room.professional("dr.house"),
        await room.professional("dr.wilson"),
        await room.patient(),
    )
    raw = letter()
    to = [LAB, address("dr.wilson"), TEAM, MailAddress.parse(claire.address), ABSENT, LAB]
    for _ in range(3):  # a client that missed our answers
        assert (await room.submit(doctor, raw, *to, sender=DOCTOR)).verdict == Accept()
    (outgoing,) = await room.queued()
    assert (outgoing.next_hop, outgoing.sender, outgoing.recipients) == (LAB.domain, DOCTOR, (LAB, TEAM))
    assert len(await room.bodies(wilson)) == len(await room.bodies(claire.owner)) == 1
    duties = [TASK_FILE, TASK_RESEAL, TASK_RESEAL, TASK_UNREACHABLE]  # the second for the doctor's own copy
    assert sorted(task.kind for task in await room.tasks()) == duties


async def test_the_rest_of_a_long_list_is_sent_too(room: MailRoom) -> None:
    """After 452 a client sends the same bytes to the others of the domain: they get it, nobody twice."""
    doctor = await room.professional("dr.house")
    raw, first = letter(), [address(f"x{n}@labo.mssante.example") for n in range(3)]
    rest = [address(f"y{n}@labo.mssante.example") for n in range(3)]
    for to in (first, rest, list(reversed(first))):
        assert (await room.submit(doctor, raw, *to, sender=DOCTOR)).verdict == Accept()
    assert sorted(str(one) for row in await room.queued() for one in row.recipients) == sorted(map(str, first + rest))


async def test_what_cannot_be_kept_is_not_accepted(room: MailRoom) -> None:
    """The sender's part of the store is away: not now, nothing queued; the retry doubles nobody."""
    doctor, wilson = await room.professional("dr.house"), await room.professional("dr.wilson")
    raw, to = letter(), (LAB, address("dr.wilson"))
    for away in ([doctor], [wilson]):
        with Unlucky(room, away):
            assert (await room.submit(doctor, raw, *to, sender=DOCTOR)).verdict == Later(Reason.STORAGE_UNAVAILABLE)
        assert not await room.queued()
    assert (await room.submit(doctor, raw, *to, sender=DOCTOR)).verdict == Accept()
    assert len(await room.queued()) == len(await room.bodies(wilson)) == 1


async def test_a_large_letter_waits_in_its_own_file_and_opens(room: MailRoom) -> None:
    """200 kB to another operator: sealed to the house's outbound pair, whole."""
    raw = letter(body=("y" * 70 + "\r\n") * 3000)
    assert (await sent(room, raw)).endswith(raw)


# Mail of the house itself


async def test_the_house_repeats_itself_without_harm(room: MailRoom) -> None:
    """A duty done twice, with other bytes but its own Message-ID, is one mail."""
    origin = OwnerId(7)
    for text in ("Un.", "Deux."):
        raw = mail("Auto-Submitted: auto-replied", sender="ne-pas-repondre@patient.mssante.example", body=text + "\r\n")
        await room.house_mail.send(origin, None, (LAB,), raw)
    (outgoing,) = await room.queued()
    assert outgoing.sender is None
    assert outgoing.raw.endswith(b"\r\n\r\nUn.\r\n")
    assert b"Return-Path" not in outgoing.raw
