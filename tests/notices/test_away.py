"""Who is told that a holder is away: people, once each; never a machine; and a patient in her conversation."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage

import pytest

from mss.accounts.absence import Absence
from mss.mail.delivery import TASK_ABSENCE
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, OwnerId
from mss.model.mailbox import MailboxKind
from tests.kit.documents import ZOE
from tests.kit.house import HOSPITAL, LABORATORY, PATIENTS, House, words_of

ADA = MailAddress.parse(f"ada@{HOSPITAL}")
STANDS_IN = MailAddress.parse(f"ines@{HOSPITAL}")
COLLEAGUE = MailAddress.parse("dr.paul@labo.mssante.example")
AWAY = Absence(date(2026, 1, 5), date(2026, 1, 9), "Le secrétariat répond au 01 23 45 67 89.", STANDS_IN)
"""The tests' clock begins on the morning of 5 January 2026."""


async def away(house: House, absence: Absence = AWAY, kind: MailboxKind = MailboxKind.PERSONAL) -> OwnerId:
    """Ada is away."""
    ada = await house.professional(str(ADA), kind)
    await house.absences.set(await house.cellar.keys(ada), absence)
    return ada


def mail(*more: tuple[str, str], sender: MailAddress = COLLEAGUE, to: str = str(ADA), n: int = 1) -> bytes:
    written = EmailMessage()
    written["From"], written["To"], written["Subject"] = str(sender), to, "Avis pour une toux"
    written["Message-ID"] = f"<{n}@labo.mssante.example>"
    for name, value in more:
        written[name] = value
    written.set_content("Qu'en penses-tu ?\n")
    return written.as_bytes(policy=written.policy.clone(linesep="\r\n"))


async def told(house: House) -> list[EmailMessage]:
    """The absence replies that leave, once every duty is done."""
    await house.run_tasks()
    return [one for one in await house.sent() if one["Subject"].startswith("Absence : ")]


async def test_a_colleague_is_told_in_french_who_stands_in(house: House) -> None:
    """Dates, text, the substitute's address, that nothing was passed on; automatic, to the return path, threaded."""
    await away(house)
    await house.deliver(mail(), COLLEAGUE, ADA)
    (answer,) = await told(house)
    assert answer["Subject"] == "Absence : Avis pour une toux"
    assert answer["From"].addresses[0].addr_spec == str(ADA)
    assert answer["To"] == str(COLLEAGUE)
    assert answer["X-Envelope-From"] == ""
    assert answer["X-Envelope-To"] == str(COLLEAGUE)
    assert answer["Auto-Submitted"] == "auto-replied"
    assert answer["In-Reply-To"] == "<1@labo.mssante.example>"
    words = words_of(answer)
    for said in ("du 05/01/2026 au 09/01/2026 inclus", AWAY.text, str(STANDS_IN), "ne lui a pas été transmis"):
        assert said in words
    assert words.index("Réponse automatique") < words.index("Automatic reply")
    assert "absence.told" in await house.trace("<1@labo.mssante.example>")


async def test_each_correspondent_is_told_once_for_each_absence(house: House) -> None:
    """Five mails, one answer; another writer, his own; another absence, again."""
    ada = await away(house)
    other = MailAddress.parse("dr.lea@labo.mssante.example")
    for n in range(5):
        await house.deliver(mail(n=n), COLLEAGUE, ADA)
        house.clock.forward(7200)
    assert [one["To"] for one in await told(house)] == [str(COLLEAGUE)]
    await house.deliver(mail(n=9, sender=other), other, ADA)
    assert len(await told(house)) == 2
    longer = Absence(AWAY.first, AWAY.last + timedelta(days=3), substitute=STANDS_IN)
    await house.absences.set(await house.cellar.keys(ada), longer)
    await house.deliver(mail(n=10), COLLEAGUE, ADA)
    assert [one["To"] for one in await told(house)] == [str(COLLEAGUE), str(other), str(COLLEAGUE)]


@pytest.mark.parametrize("crashes", [1, 3])
async def test_a_crash_neither_loses_nor_doubles_the_answer(house: House, crashes: int) -> None:
    """The duty is in the delivery's transaction; done several times, one mail leaves; a repeated mail owes nothing."""
    await away(house)
    raw = mail()
    for _ in range(2):
        await house.deliver(raw, COLLEAGUE, ADA)
    (duty,) = [task for task in await house.due() if task.kind == TASK_ABSENCE]
    for _ in range(crashes):
        await house.automatic.absence(duty)
    assert len(await told(house)) == 1


async def test_days_are_whole_days_in_france(house: House) -> None:
    """From the first midnight to the last, wherever the server stands."""
    await away(house)
    for n, (day, is_told) in enumerate(
        [
            (datetime(2026, 1, 4, 22, 59, tzinfo=UTC), False),
            (datetime(2026, 1, 4, 23, 1, tzinfo=UTC), True),
            (datetime(2026, 1, 9, 22, 58, tzinfo=UTC), True),
            (datetime(2026, 1, 9, 23, 1, tzinfo=UTC), False),
        ]
    ):
        house.clock.at = day
        writer = MailAddress.parse(f"dr.{n}@labo.mssante.example")
        before = len(await told(house))
        await house.deliver(mail(sender=writer, n=n), writer, ADA)
        assert len(await told(house)) - before == is_told, day


async def test_who_is_back_says_nothing(house: House) -> None:
    """Ended between the mail and the duty: silence."""
    ada = await away(house)
    await house.deliver(mail(), COLLEAGUE, ADA)
    await house.absences.end(await house.cellar.keys(ada))
    await house.deliver(mail(n=2), COLLEAGUE, ADA)
    assert not await told(house)


MACHINES: list[tuple[str, tuple[tuple[str, str], ...], str | None]] = [
    ("a report", (), None),
    ("an automatic answer", (("Auto-Submitted", "auto-replied"),), str(COLLEAGUE)),
    ("a generated mail", (("Auto-Submitted", "auto-generated"),), str(COLLEAGUE)),
    ("bulk", (("Precedence", "bulk"),), str(COLLEAGUE)),
    ("a list by precedence", (("Precedence", "List"),), str(COLLEAGUE)),
    ("a list", (("List-Id", "<medecins.labo.mssante.example>"),), str(COLLEAGUE)),
    ("a list's way out", (("List-Unsubscribe", "<mailto:x@labo.mssante.example>"),), str(COLLEAGUE)),
    ("who asks for silence", (("X-Auto-Response-Suppress", "DR, OOF, AutoReply"),), str(COLLEAGUE)),
    ("software", (("X-MSS-NIL", "DEV935997"), ("Reply-To", str(LABORATORY))), str(COLLEAGUE)),
    ("nobody's address", (), "ne-pas-repondre@labo.mssante.example"),
    ("a bounce address", (), "medecins-bounces@labo.mssante.example"),
    ("a test mailbox", (), "reponse.automatique-test@labo.mssante.example"),
    ("a mail server", (), "MAILER-DAEMON@labo.mssante.example"),
    ("herself", (), str(ADA)),
    ("our software", (), f"robot@{HOSPITAL}"),
]


async def test_no_machine_is_ever_told(house: House) -> None:
    """RFC 3834 §2: an answer to a machine is a loop, or noise. A person among them is."""
    await away(house)
    robot = await house.professional(f"robot@{HOSPITAL}", MailboxKind.APPLICATION)
    for n, (name, more, sender) in enumerate(MACHINES):
        path = None if sender is None else MailAddress.parse(sender)
        await house.deliver(mail(*more, n=n), path, ADA)
        assert not await told(house), name
    assert await house.in_folders(robot) == 0
    await house.deliver(mail(n=99), COLLEAGUE, ADA)
    assert len(await told(house)) == 1


async def test_an_mdn_is_not_answered(house: House) -> None:
    """Though it has a sender."""
    await away(house)
    raw = mail().replace(b"Content-Type: text/plain", b"Content-Type: multipart/report; boundary=x; y=text/plain", 1)
    await house.deliver(raw, COLLEAGUE, ADA)
    assert not await told(house)


async def test_only_mail_addressed_to_her_is_answered(house: House) -> None:
    """A secret copy is not; an alias in Cc is."""
    ada = await away(house)
    await house.names.add_alias(await house.cellar.keys(ada), MailAddress.parse(f"a.lovelace@{HOSPITAL}"))
    await house.deliver(mail(to="autre@labo.mssante.example"), COLLEAGUE, ADA)
    assert not await told(house)
    await house.deliver(mail(("Cc", f"A.Lovelace@{HOSPITAL}"), to="x@labo.mssante.example", n=2), COLLEAGUE, ADA)
    assert len(await told(house)) == 1


async def test_two_who_are_away_do_not_talk_to_each_other(house: House) -> None:
    """One answer to one mail, and that is all."""
    await away(house)
    ines = await house.professional(str(STANDS_IN))
    await house.absences.set(await house.cellar.keys(ines), Absence(AWAY.first, AWAY.last))
    await house.deliver(mail(sender=STANDS_IN), STANDS_IN, ADA)
    await house.run_tasks()
    assert await house.in_folders(ines) == 1
    ada = await house.owner_of(ADA)
    assert ada is not None
    assert await house.in_folders(ada) == 1


async def test_a_patient_reads_it_in_her_conversation(house: House) -> None:
    """Where she wrote; with the emergency numbers; she may still answer the doctor."""
    zoe = await house.enrol(ZOE)
    await away(house)
    await house.deliver(mail(sender=ADA, to=str(zoe.address)), ADA, zoe.address)
    await house.run_tasks()
    keys = await house.cellar.keys(zoe.owner)
    (conversation,) = await house.conversation_list(zoe)
    for _ in range(2):
        house.clock.forward(60)
        await house.replies.reply(keys, ("Zoé", zoe.address), conversation.number, "J'ai encore de la fièvre.", ())
        house.clock.forward(1)
        await house.run_tasks()
    (after,) = await house.conversation_list(zoe)
    detail = await house.inbox.conversation(keys, after.number)
    assert [one.outgoing for one in detail.messages] == [False, True, False, True]
    text = detail.messages[2].body_text or ""
    for said in (str(STANDS_IN), "le 15 ou le 112", "un professionnel qui vous a déjà écrit"):
        assert said in text
    assert detail.messages[2].sender_address == str(ADA)
    assert after.may_answer
    assert not await house.sent()


async def test_what_senders_will_be_told_is_sealed(house: House) -> None:
    """In the state lie two moments, no word."""
    from mss.store import absences

    ada = await away(house)
    row = await house.store.read(lambda c: absences.absence(c, ada))
    assert row is not None
    assert b"ines" not in row.absence_sealed
    assert b"secr" not in row.absence_sealed


async def test_an_absence_that_cannot_be_is_refused(house: House) -> None:
    """Ends before it begins, too long, a patient stands in, software, a patient."""
    day = AWAY.first
    for first, last, substitute in (
        (day, day - timedelta(days=1), None),
        (day, day + timedelta(days=1000), None),
        (day, day, MailAddress.parse(f"279035121518989@{PATIENTS}")),
    ):
        with pytest.raises(BadValue):
            Absence(first, last, "", substitute)
    with pytest.raises(BadValue):
        Absence(day, day, "x" * 1001)
    with pytest.raises(BadValue):
        await away(house, kind=MailboxKind.APPLICATION)
    zoe = await house.enrol(ZOE)
    with pytest.raises(BadValue):
        await house.absences.set(await house.cellar.keys(zoe.owner), AWAY)
