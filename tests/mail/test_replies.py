"""How a patient answers: only whom she may, in words and headers that every server and program takes."""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from mss.formats import mime
from mss.mail import replies
from mss.mail.replies import Attachment
from mss.model.errors import NotFound
from mss.model.ids import MailAddress
from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict
from tests.kit.mailroom import LAB, TEAM, MailRoom, Patient, Unlucky, address, mail

FIN = "X-MSS-MES: FIN"
PHOTO = Attachment("ma photo été.jpg", "image/jpeg", b"\xff\xd8\xff" + bytes(range(256)) * 20)


class Claire(Patient):
    """A patient who answers."""

    async def answers(self, body: str = "Merci.", *files: Attachment, number: int = 0) -> Verdict:
        keys = await self.room.cellar.keys(self.person.owner)
        sender = (self.person.name, MailAddress.parse(self.person.address))
        conversation = number or (await self.list())[0].number
        self.room.clock.forward(1)
        return (await self.room.replies.reply(keys, sender, conversation, body, files)).verdict

    async def sent(self) -> EmailMessage:
        """The newest mail that waits for the laboratory, as its software reads it."""
        raw = (await self.room.queued())[-1].raw
        assert raw.isascii()
        mime.scan(raw)
        read = message_from_bytes(raw, policy=default)
        assert isinstance(read, EmailMessage)
        return read


@pytest.fixture
async def claire(room: MailRoom) -> Claire:
    return Claire(room, await room.patient("Claire D'ÉPINAL"))


async def test_an_answer_goes_where_answers_are_read(claire: Claire) -> None:
    """To the Reply-To address, threaded, with a Sent copy, in the same conversation, told in both traces."""
    await claire.gets(
        "Message-ID: <a@labo.mssante.example>", "References: <z@labo.mssante.example>", f"Reply-To: {TEAM}", sender=LAB
    )
    assert await claire.answers("Merci, à bientôt.\r\nClaire", PHOTO) == Accept()
    (outgoing,) = await claire.room.queued()
    assert (outgoing.next_hop, outgoing.recipients) == (TEAM.domain, (TEAM,))
    assert str(outgoing.sender) == claire.person.address
    read = await claire.sent()
    assert (read["Subject"], read["To"]) == ("Re: Bilan", str(TEAM))
    assert read["From"].addresses[0].display_name == "Claire D'ÉPINAL"
    assert read["In-Reply-To"] == "<a@labo.mssante.example>"
    assert read["References"].split() == ["<z@labo.mssante.example>", "<a@labo.mssante.example>"]
    text, photo = read.get_body(("plain",)), next(read.iter_attachments())
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == "Merci, à bientôt.\nClaire\n"
    assert (photo.get_filename(), photo.get_content_type(), photo.get_content()) == (
        PHOTO.filename,
        PHOTO.mime_type,
        PHOTO.data,
    )
    assert (await claire.room.folder(claire.person.owner, "Sent")).n_msg == 1
    (line,) = await claire.list()
    assert (line.n_msg, line.n_unread) == (2, 1)
    mine = (await claire.open()).messages[1]
    assert (mine.outgoing, mine.body_text, [a.filename for a in mine.attachments]) == (
        True,
        "Merci, à bientôt.\r\nClaire\r\n",
        [PHOTO.filename],
    )
    assert (await claire.room.trace("<a@labo.mssante.example>"))[-1] == "mail.answered"
    assert sorted(await claire.room.trace(read["Message-ID"])) == ["mail.queued", "mail.sent"]


async def test_the_thread_goes_on(claire: Claire) -> None:
    """What answers her answer joins the conversation, and her next answer names the newest."""
    await claire.gets("Message-ID: <a@labo.mssante.example>")
    await claire.answers()
    hers = (await claire.sent())["Message-ID"]
    await claire.gets("Message-ID: <b@labo.mssante.example>", f"In-Reply-To: {hers}", subject="RE: Bilan")
    (line,) = await claire.list()
    assert line.n_msg == 3
    await claire.answers("Encore.")
    read = await claire.sent()
    assert read["Subject"] == "RE: Bilan"
    assert read["In-Reply-To"] == "<b@labo.mssante.example>"
    assert read["References"].split() == [hers, "<b@labo.mssante.example>"]


async def test_nobody_is_answered_who_ended_it(claire: Claire) -> None:
    """Closed before the page, closed between the page and the press, never opened: nothing leaves, nothing stands."""
    await claire.gets("Message-ID: <a@labo.mssante.example>")
    (line,) = await claire.list()
    assert line.may_answer
    await claire.gets(FIN)
    assert await claire.answers(number=line.number) == Refuse(Reason.CONVERSATION_NOT_OPEN)
    await claire.gets("Auto-Submitted: auto-generated", sender=TEAM)
    assert await claire.answers() == Refuse(Reason.CONVERSATION_NOT_OPEN)
    with pytest.raises(NotFound):
        await claire.answers(number=12345)
    assert not await claire.room.queued()
    assert (await claire.room.folder(claire.person.owner, "Sent")).n_msg == 0


async def test_an_end_in_the_same_second_wins(claire: Claire, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end comes in while her answer is being composed: it does not leave, and no copy says it did."""
    await claire.gets()
    (line,) = await claire.list()
    compose = replies.PatientReplies._compose
    loop = asyncio.get_running_loop()

    def composes_slowly(*arguments: object) -> bytes:
        asyncio.run_coroutine_threadsafe(claire.gets(FIN), loop).result(20)
        return compose(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(replies.PatientReplies, "_compose", composes_slowly)
    assert await claire.answers(number=line.number) == Refuse(Reason.CONVERSATION_NOT_OPEN)
    assert not await claire.room.queued()
    assert (await claire.room.folder(claire.person.owner, "Sent")).n_msg == 0
    assert (await claire.open(line.number)).view.n_msg == 1


async def test_a_colleague_of_this_house_reads_the_answer_at_once(claire: Claire) -> None:
    """No queue between two mailboxes of one operator."""
    doctor = await claire.room.professional("dr.house")
    raw = mail("Message-ID: <d@chu.mssante.example>", sender=address("dr.house"))
    await claire.room.submit(doctor, raw, claire.person.address, sender=address("dr.house"))
    (waiting,) = await claire.room.stored(claire.person.owner)
    await claire.show(waiting.message)
    assert await claire.answers() == Accept()
    assert not await claire.room.queued()
    _sent, body = await claire.room.bodies(doctor)  # her own copy of what she wrote stands there too
    assert b"\r\nMerci.\r\n" in body
    assert b"In-Reply-To: <d@chu.mssante.example>\r\n" in body
    assert body.startswith(b"Return-Path: <" + claire.person.address.encode() + b">\r\n")


async def test_a_store_that_is_away_asks_to_try_again(claire: Claire) -> None:
    """Her text is not lost: the page says so, and nothing has left."""
    await claire.gets()
    with Unlucky(claire.room, [claire.person.owner]):
        assert await claire.answers() == Later(Reason.STORAGE_UNAVAILABLE)
    assert not await claire.room.queued()
    assert await claire.answers() == Accept()


@pytest.mark.parametrize(
    ("body", "files", "reason"),
    [
        ("x" * replies.BODY_CHARS_MAX, (), None),
        ("x" * (replies.BODY_CHARS_MAX + 1), (), Reason.TOO_LARGE),
        ("x", (Attachment("a", "a/b", bytes(replies.ATTACHMENTS_BYTES_MAX + 1)),), Reason.TOO_LARGE),
        ("x", (Attachment("a", "a/b", b"x"),) * (replies.ATTACHMENTS_MAX + 1), Reason.TOO_MANY_PARTS),
    ],
    ids=["the longest text", "too long", "too large", "too many files"],
)
async def test_an_answer_has_limits(
    claire: Claire, body: str, files: tuple[Attachment, ...], reason: Reason | None
) -> None:
    """Told before anything is composed."""
    await claire.gets()
    assert await claire.answers(body, *files) == (Accept() if reason is None else Refuse(reason))


OUTLOOK = f"<{'DB7PR04MB5178' * 6}@DB7PR04MB5178.eurprd04.prod.outlook.example>"


@pytest.mark.parametrize(
    ("more", "answered"),
    [
        ((f"Message-ID: {OUTLOOK}", f"References: {OUTLOOK[:-1]}.x> {OUTLOOK[:-1]}.y>"), OUTLOOK),
        (("Message-ID: <a b@c.example>",), "<ab@c.example>"),
        (("Message-ID: <é@labo.mssante.example>",), None),
        ((f"Message-ID: <{'x' * 950}@c.example>",), None),
        (("Message-ID: none",), None),
        (("Message-ID: <a@b.example>\r\n <c@d.example>",), "<a@b.example>"),
    ],
)
async def test_threading_survives_strange_ids(claire: Claire, more: tuple[str, ...], answered: str | None) -> None:
    """Long ids are not encoded or broken, unreadable ones are left out: the other side finds its message."""
    await claire.gets(*more)
    assert await claire.answers() == Accept()
    raw = (await claire.room.queued())[-1].raw
    header = raw.partition(b"\r\n\r\n")[0].decode()
    if answered is None:
        assert "In-Reply-To" not in header
        assert "References" not in header
    else:
        assert f"\nIn-Reply-To: {answered}\r\n" in "\n" + header
        assert header.split("References: ")[1].split("\r\nContent-")[0].split()[-1] == answered


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        ("=?utf-8?q?R=C3=A9sultats=0D=0ABcc=3A_x=40y=2Eexample?=", "Re: Résultats Bcc: x@y.example"),
        ("", "Re:"),
        ("rE: déjà", "rE: déjà"),
        ("x" * 900, "Re: " + "x" * 296),
    ],
)
async def test_a_hostile_subject_adds_no_field(claire: Claire, subject: str, answer: str) -> None:
    """Line ends inside encoded words stay words; the rest is kept."""
    await claire.gets(subject=subject)
    assert await claire.answers() == Accept()
    read = await claire.sent()
    assert read["Subject"].strip() == answer
    assert read["Bcc"] is None


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("image/png", "image/png"),
        ("message/rfc822", "application/octet-stream"),
        ("multipart/mixed", "application/octet-stream"),
        ("nothing", "application/octet-stream"),
        ("image/png; name=x\r\nBcc: y", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
async def test_a_file_is_a_file_whatever_its_browser_says(claire: Claire, said: str, sent: str) -> None:
    """Its bytes arrive; a type that holds parts, or is none, becomes the general one."""
    await claire.gets()
    data = b"From: x\n\nbare\rends\0"
    assert await claire.answers("Voici.", Attachment('a"b\r\nBcc: z.txt', said, data)) == Accept()
    (file,) = (await claire.sent()).iter_attachments()
    assert file.get_content_type() == sent
    payload = file.get_payload(decode=True)
    assert payload == data
    assert "Bcc" not in (await claire.sent())


@pytest.mark.parametrize("body", ["un\rdeux\0trois", ".\r\n..\r\n", "From moi\n", "x" * 5000, "\u2028 \x1b[31m 🙂", ""])
async def test_any_text_arrives(claire: Claire, body: str) -> None:
    """Control characters, dots, endless lines, pictures: encoded so that no door objects, decoded as written."""
    await claire.gets()
    assert await claire.answers(body) == Accept()
    part = (await claire.sent()).get_body(("plain",))
    assert part is not None
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert " ".join(payload.decode().split()) == " ".join(body.split())


async def test_a_name_of_any_letters_signs(claire: Claire) -> None:
    """Quotes, commas, line ends: one From, hers."""
    await claire.gets()
    keys = await claire.room.cellar.keys(claire.person.owner)
    for name in ('Zoé "La, Vraie"', "a\r\nBcc: x@y.example", "<x@y.example>", "Ж" * 80, ""):
        sender = (name, MailAddress.parse(claire.person.address))
        number = (await claire.list())[0].number
        receipt = await claire.room.replies.reply(keys, sender, number, "Merci.", ())
        assert receipt.verdict == Accept()
        read = await claire.sent()
        assert [str(one.addr_spec) for one in read["From"].addresses] == [claire.person.address]
        assert read["Bcc"] is None


async def test_she_answers_what_came_not_what_she_wrote(claire: Claire) -> None:
    """Twice in a row: both answers name the professional's message."""
    await claire.gets("Message-ID: <a@labo.mssante.example>")
    for _ in range(2):
        await claire.answers()
        assert (await claire.sent())["In-Reply-To"] == "<a@labo.mssante.example>"
