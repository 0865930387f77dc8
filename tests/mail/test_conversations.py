"""What a patient sees of her mail, and whom she may answer: conversations, ends, and what is never shown."""

from __future__ import annotations

import pytest

from mss.formats import mime
from mss.mail.conversations import REFERENCES_MAX, WRITERS_MAX, Contact, contact_of, ends_exchange
from mss.model.errors import NotFound
from mss.model.ids import lane_of
from mss.store import messages
from mss.store.messages import MessageState
from tests.kit.mailroom import LAB, TEAM, MailRoom, Patient, address, mail

FIN = "X-MSS-MES: FIN"


@pytest.fixture
async def claire(room: MailRoom) -> Patient:
    return Patient(room, await room.patient())


# Conversations


async def test_answers_join_what_they_answer(claire: Patient) -> None:
    """By In-Reply-To, by References, and a stranger's mail begins another."""
    await claire.gets("Message-ID: <a@labo.mssante.example>", subject="Un")
    await claire.gets("In-Reply-To: <a@labo.mssante.example>", "Message-ID: <b@labo.mssante.example>", subject="Deux")
    await claire.gets(
        "References: <x@labo.mssante.example>\r\n\t<b@labo.mssante.example> <y@z.example>", subject="Trois"
    )
    await claire.gets("In-Reply-To: <nobody@labo.mssante.example>", subject="Quatre")
    lines = await claire.list()
    assert [(line.subject, line.n_msg, line.n_unread) for line in lines] == [("Quatre", 1, 1), ("Trois", 3, 3)]
    assert [one.subject for one in (await claire.open(lines[1].number)).messages] == ["Un", "Deux", "Trois"]


async def test_the_nearest_ancestor_counts(claire: Patient) -> None:
    """In-Reply-To before References, the last reference before the first."""
    await claire.gets("Message-ID: <a@labo.mssante.example>")
    await claire.gets("Message-ID: <b@labo.mssante.example>")
    await claire.gets("References: <a@labo.mssante.example> <b@labo.mssante.example>", subject="An b")
    await claire.gets("In-Reply-To: <a@labo.mssante.example>", "References: <b@labo.mssante.example>", subject="An a")
    assert [(line.subject, line.n_msg) for line in await claire.list()] == [("An a", 2), ("An b", 2)]


async def test_a_thousand_references_cost_no_thousand_lookups(claire: Patient) -> None:
    """Only the nearest are looked up; a conversation further away is not found."""
    await claire.gets("Message-ID: <a@labo.mssante.example>")
    far = " ".join(f"<{n}@x.example>" for n in range(REFERENCES_MAX))
    await claire.gets(f"References: <a@labo.mssante.example> {far}")
    assert [line.n_msg for line in await claire.list()] == [1, 1]


async def test_one_message_is_shown_once(claire: Patient) -> None:
    """The bridge runs again after a crash: one entry, one count."""
    number = await claire.gets()
    assert not await claire.show(number)
    (line,) = await claire.list()
    assert (line.n_msg, line.n_unread) == (1, 1)
    assert (await claire.room.folder(claire.person.owner)).n_msg == 1


async def test_reading_empties_the_count_and_is_written_down(claire: Patient) -> None:
    """Once, however often the page is opened; again when something new has come."""
    await claire.gets("Message-ID: <a@labo.mssante.example>")
    keys = await claire.room.cellar.keys(claire.person.owner)
    (line,) = await claire.list()
    assert await claire.room.inbox.unread(keys) == 1
    for _ in range(2):
        await claire.room.inbox.mark_read(keys, line.number)
    assert await claire.room.inbox.unread(keys) == 0
    assert (await claire.room.trace("<a@labo.mssante.example>")).count("mail.read") == 1


# What is never shown


@pytest.mark.parametrize("state", [s for s in MessageState if s is not MessageState.VISIBLE])
async def test_what_is_not_visible_shows_nowhere(claire: Patient, state: MessageState) -> None:
    """Not in lists, counts, pages or attachment addresses, even when it answers a conversation she has."""
    attached = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b"
    parts = "--b\r\n\r\nBonjour.\r\n--b\r\nContent-Type: image/png\r\n\r\nPNG\r\n--b--\r\n"
    await claire.gets("Message-ID: <a@labo.mssante.example>", attached, body=parts)
    hidden = await claire.gets(
        "In-Reply-To: <a@labo.mssante.example>", attached, sender=TEAM, subject="Secret", body=parts, show=False
    )
    owner, keys = claire.person.owner, await claire.room.cellar.keys(claire.person.owner)
    (line,) = await claire.list()
    await claire.room.store.write(lane_of(owner), lambda c: messages.set_state(c, owner, hidden, state, line.number))
    (line,) = await claire.list()
    assert (line.subject, line.n_msg, line.n_unread) == ("Bilan", 1, 1)
    detail = await claire.open()
    assert [one.subject for one in detail.messages] == ["Bilan"]
    assert await claire.may_answer() == {str(LAB)}
    shown = detail.messages[0]
    (piece,) = shown.attachments
    inbox = claire.room.inbox
    assert await inbox.attachment(keys, line.number, shown.number, piece.path) == (b"PNG", "image/png", "piece-2")
    for conversation, message in ((line.number, hidden), (0, hidden), (line.number + 1, shown.number)):
        with pytest.raises(NotFound):
            await inbox.attachment(keys, conversation, message, piece.path)
    for path in ("1", "3", "", "2.1", "TEXT"):
        with pytest.raises(NotFound):
            await inbox.attachment(keys, line.number, shown.number, path)
    assert (await claire.room.folder(owner)).n_msg == 1


async def test_nobody_opens_a_neighbours_conversation(claire: Patient) -> None:
    """Numbers of somebody else do not exist."""
    await claire.gets()
    (line,) = await claire.list()
    paul = await claire.room.cellar.keys((await claire.room.patient("Paul DURAND")).owner)
    with pytest.raises(NotFound):
        await claire.room.inbox.conversation(paul, line.number)
    await claire.room.inbox.mark_read(paul, line.number)
    assert (await claire.list())[0].n_unread == 1


# Whom she may answer


async def test_the_reply_to_address_is_answered_else_from(claire: Patient) -> None:
    """A laboratory's software writes, its team reads answers; the name is the writer's."""
    await claire.gets("Message-ID: <a@labo.mssante.example>", f"Reply-To: {TEAM}", sender=f"Laboratoire <{LAB}>")
    (line,) = await claire.list()
    assert (line.contact_name, line.contact_address, line.may_answer) == ("Laboratoire", str(TEAM), True)
    await claire.gets("In-Reply-To: <a@labo.mssante.example>", sender=LAB)
    (line,) = await claire.list()
    assert line.contact_address == str(LAB)
    assert await claire.may_answer() == {str(LAB)}


@pytest.mark.parametrize(
    ("more", "subject", "ends"),
    [
        ((), "[FIN]", True),
        ((), "=?utf-8?q?=5BFIN=5D?=", True),
        ((), "  [FIN] ", True),
        ((FIN,), "Fin de notre échange", True),
        (("x-mss-mes:  FIN ",), "Bilan", True),
        ((), "[FIN] Bilan", False),
        ((), "Re: [FIN]", False),
        ((), "[fin]", False),
        (("X-MSS-MES: fin",), "Bilan", False),
        (("X-MSS-MES: FINAL",), "Bilan", False),
    ],
)
def test_an_end_is_said_exactly(more: tuple[str, ...], subject: str, ends: bool) -> None:
    """Subject or header, exactly as the rule writes them: an exchange is never closed by chance."""
    assert ends_exchange(mime.scan(mail(*more, subject=subject))) is ends


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (("From: team", ()), "Reply-To address"),
        (("From: lab", ()), "From address, without a Reply-To"),
        (("From: lab", (f"Reply-To: {TEAM}",)), "both"),
        (("From: other", (f"Reply-To: {TEAM}",)), "a colleague of the team"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_end_from_either_address_closes(claire: Patient, end: tuple[str, tuple[str, ...]], says: str) -> None:
    """Per contact: a FIN from the Reply-To address or from the From address, in the conversation or outside it."""
    await claire.gets(f"Reply-To: {TEAM}", sender=LAB)
    assert await claire.may_answer() == {str(TEAM)}
    senders = {"From: team": TEAM, "From: lab": LAB, "From: other": address("autre@labo.mssante.example")}
    await claire.gets(*end[1], FIN, sender=senders[end[0]])
    assert await claire.may_answer() == set()
    (_, first) = await claire.list()
    detail = await claire.open(first.number)
    assert (detail.may_answer, detail.why_not, detail.ended_by) == (False, "ended-by-professional", str(LAB))


async def test_an_end_closes_nobody_else(claire: Patient) -> None:
    """Another laboratory's exchange goes on, though the end was said in its conversation."""
    await claire.gets("Message-ID: <a@labo.mssante.example>")
    await claire.gets(FIN, "In-Reply-To: <a@labo.mssante.example>", sender="x@labo.mssante.example")
    (line,) = await claire.list()
    assert (line.contact_address, line.may_answer) == (str(LAB), True)


async def test_a_later_message_opens_again(claire: Patient) -> None:
    """The professional ends and begins as often as he likes; who comes first as an end is closed from the start."""
    await claire.gets(FIN, "Message-ID: <a@labo.mssante.example>")
    assert await claire.may_answer() == set()
    assert (await claire.open()).why_not == "ended-by-professional"
    for _ in range(2):
        await claire.gets("In-Reply-To: <a@labo.mssante.example>")
        assert await claire.may_answer() == {str(LAB)}
        await claire.gets(FIN, "In-Reply-To: <a@labo.mssante.example>")
        assert await claire.may_answer() == set()


async def test_what_waited_for_a_human_does_not_undo_a_later_end(claire: Patient) -> None:
    """The order is that of arrival: a message released after the end that came behind it opens nothing."""
    first = await claire.gets(show=False)
    await claire.gets(FIN)
    await claire.show(first)
    assert await claire.may_answer() == set()
    end = await claire.gets(FIN, show=False)
    await claire.gets(subject="Encore une chose")
    await claire.show(end)
    assert await claire.may_answer() == {str(LAB)}


async def test_a_machines_report_opens_nothing(claire: Patient) -> None:
    """Nobody reads answers to a read receipt or to an absence notice; an end that software sends counts."""
    await claire.gets("Auto-Submitted: auto-generated")
    await claire.gets("Content-Type: multipart/report; report-type=delivery-status; boundary=b")
    assert await claire.may_answer() == set()
    assert (await claire.open()).why_not == "nobody-to-answer"
    await claire.gets(sender=TEAM)
    await claire.gets("Auto-Submitted: auto-generated", FIN, sender=TEAM)
    assert await claire.may_answer() == set()


def test_contacts_survive_their_sealing() -> None:
    """What is kept of a contact, with and without others who write for it."""
    for contact in (Contact("a@b.example", "É"), Contact("a@b.example", "É", ("c@d.example", "e@f.example"))):
        assert Contact.from_bytes(contact.to_bytes()) == contact


def test_the_contact_of_a_message() -> None:
    """Reply-To's first readable address, else From; a name when there is one."""
    for more, sender, contact in (
        ((), "Zoé <resultats@labo.mssante.example>", Contact(str(LAB), "Zoé")),
        ((f"Reply-To: {TEAM}",), LAB, Contact(str(TEAM), str(LAB), (str(LAB),))),
        ((f"Reply-To: {LAB}",), LAB, Contact(str(LAB), str(LAB))),
        ((f"Reply-To: <@>, {TEAM}, x@y.example",), LAB, Contact(str(TEAM), str(LAB), (str(LAB),))),
        (("Reply-To: nobody",), LAB, Contact(str(LAB), str(LAB))),
    ):
        assert contact_of(mime.scan(mail(*more, sender=str(sender)))) == contact
    assert contact_of(mime.scan(b"Subject: x\r\n\r\n")) is None


async def test_a_team_of_many_writers_stays_bounded(claire: Patient) -> None:
    """The newest are remembered."""
    for number in range(WRITERS_MAX + 3):
        await claire.gets(f"Reply-To: {TEAM}", sender=f"poste{number}@labo.mssante.example")
    await claire.gets(FIN, sender="poste0@labo.mssante.example")
    assert await claire.may_answer() == {str(TEAM)}
    await claire.gets(FIN, sender=f"poste{WRITERS_MAX}@labo.mssante.example")
    assert await claire.may_answer() == set()
