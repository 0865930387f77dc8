"""What somebody sends stands in her folder of sent mail once, whoever files it first, and nothing of it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from mss.accounts.teams import Teams
from mss.imap.backend import Box, Folder, NewMessage, Row
from mss.imap.commands import Flags
from mss.imap.mailacts import CellarMailStore
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.mailbox import SENT_COPY, Flag, MailboxKind
from mss.model.verdict import Accept
from mss.store import accounts
from mss.store.blobs import LocalBodies
from tests.kit.mailroom import LAB, LARGE, MailRoom, address, mail

DOCTOR = address("dr.house")
SECRET = MailAddress.parse("secret@labo.mssante.example")
CLIENTS_DATE = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)


class Client:
    """A mail client of somebody who sends: it submits, and it brings its own copy."""

    def __init__(self, room: MailRoom, login: OwnerId, own: MailAddress = DOCTOR) -> None:
        self.room, self.login, self.address = room, login, own
        below, lookup = room.cellar, room.cellar.public.lookup
        self.store = CellarMailStore(room.store, below.opener, below.bodies, room.bus, lookup, room.clock, room.chance)

    def letter(self, *more: str, body: str = "Bonjour.\r\n") -> bytes:
        """To the laboratory."""
        raw = mail(*more, "Date: Mon, 05 Jan 2026 10:00:00 +0100", sender=self.address, body=body)
        return raw.replace(b"destinataire@ailleurs.example", str(LAB).encode())

    async def sends(self, raw: bytes, *to: MailAddress | str) -> None:
        receipt = await self.room.submit(self.login, raw, *to or (LAB,), sender=self.address)
        assert receipt.verdict == Accept()

    async def sent(self, owner: OwnerId | None = None) -> Folder:
        return await self.store.folder(Box(owner or self.login, self.login, str(self.address)), "Envoyés")

    async def brings(self, raw: bytes, flags: int = Flag.SEEN, keywords: Sequence[str] = ()) -> int:
        message = NewMessage(raw, Flags(flags, tuple(keywords)), CLIENTS_DATE)
        return await self.store.append(await self.sent(), message)

    async def bodies(self, owner: OwnerId | None = None) -> dict[int, bytes]:
        """What stands in the folder, by uid."""
        folder = await self.sent(owner)
        return await self.store.bodies(folder, list((await self.store.snapshot(folder)).uids))

    async def row(self, uid: int) -> Row:
        (row,) = await self.store.rows(await self.sent(), [uid])
        return row


@pytest.fixture
async def client(room: MailRoom) -> Client:
    return Client(room, await room.professional("dr.house"))


@pytest.mark.parametrize("body", ["Bonjour.\r\n", LARGE], ids=["small", "large"])
async def test_what_is_sent_is_filed_as_written(client: Client, body: str) -> None:
    """Read already, without our trace fields, in the moment in which it is queued; a repeat changes nothing."""
    raw = client.letter(body=body)
    await client.sends(raw)
    await client.sends(raw)
    assert await client.bodies() == {1: raw}
    snapshot = await client.store.snapshot(await client.sent())
    assert snapshot.marks(0) == (Flag.SEEN, 0)
    assert len(await client.room.queued()) == 1


async def test_the_copy_bears_the_id_and_date_that_left(client: Client) -> None:
    """A message without them gets both, once."""
    await client.sends(f"From: {DOCTOR}\r\nTo: {LAB}\r\nSubject: Bilan\r\n\r\nBonjour.\r\n".encode())
    (kept,) = (await client.bodies()).values()
    (queued,) = await client.room.queued()
    assert queued.raw.endswith(kept)
    assert kept.lower().count(b"message-id:") == kept.count(b"Date:") == 1


async def test_only_the_sender_reads_who_was_copied_in_secret(client: Client) -> None:
    """Her copy names them, also when her client kept them to itself; nobody else's does."""
    wilson = await client.room.professional("dr.wilson")
    raw = client.letter("Cc: dr.wilson@chu.mssante.example")
    await client.sends(raw, LAB, "dr.wilson", SECRET)
    assert await client.bodies() == {1: b"Bcc: " + str(SECRET).encode() + b"\r\n" + raw}
    (queued,) = await client.room.queued()
    (arrived,) = await client.room.bodies(wilson)
    assert b"secret" not in queued.raw
    assert b"secret" not in arrived


async def test_a_field_of_secret_copies_is_kept_as_written(client: Client) -> None:
    """Name and folding, as long as it says all; who is missing is added."""
    raw = client.letter(f'BCC: "Une personne"\r\n <{SECRET}>')
    await client.sends(raw, LAB, SECRET)
    await client.sends(raw.replace(b"<un@", b"<deux@"), LAB, SECRET, "dr.wilson@labo.mssante.example")
    first, second = (await client.bodies()).values()
    assert first == raw
    assert second.startswith(f"Bcc: {SECRET},\r\n dr.wilson@labo.mssante.example\r\n".encode())
    assert second.lower().count(b"bcc:") == 1


@pytest.mark.parametrize("body", ["Bonjour.\r\n", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("secret", [False, True], ids=["", "with a secret copy"])
async def test_the_copy_that_a_client_brings_is_the_one_that_stands(client: Client, body: str, secret: bool) -> None:
    """It hears the same number, and its flags, keywords and date are taken; marks of its own in the header, or a line
    end that it leaves out, make no other message."""
    raw = client.letter(body=body)
    await client.sends(raw, LAB, *([SECRET] if secret else []))
    before = await client.sent()
    filed = await client.bodies()
    assert (await client.row(1)).internaldate_ms != int(CLIENTS_DATE.timestamp() * 1000)
    own = f"X-Mozilla-Status: 0001\r\n{f'Bcc: {SECRET}' + chr(13) + chr(10) if secret else ''}".encode()
    uid = await client.brings(own + raw.rstrip(), Flag.SEEN | Flag.FLAGGED, ["$MDNSent"])
    assert uid == 1
    assert await client.bodies() == filed
    folder = await client.sent()
    assert (folder.messages, folder.size_bytes) == (1, before.size_bytes)
    snapshot = await client.store.snapshot(folder)
    assert (snapshot.marks(0), snapshot.keywords) == ((Flag.SEEN | Flag.FLAGGED, 1), ("$MDNSent",))
    assert snapshot.modseq > before.modseq
    assert (await client.row(1)).internaldate_ms == int(CLIENTS_DATE.timestamp() * 1000)
    assert await client.brings(raw) == 1  # it never heard our answer
    if body == LARGE:
        assert isinstance(client.room.cellar.bodies, LocalBodies)
        bodies = [one for one in client.room.cellar.bodies._directory.rglob("*") if one.is_file()]
        assert len(bodies) == 2, "queue and copy; what the client brought again is gone"


async def test_a_copy_without_secret_recipients_is_still_the_same_mail(client: Client) -> None:
    """The one that stands says more."""
    raw = client.letter()
    await client.sends(raw, LAB, SECRET)
    assert await client.brings(raw) == 1


@pytest.mark.parametrize(
    ("said", "brought"),
    [
        (b"Bonjour.", b"Bonsoir."),
        (b"Subject: Bilan", b"Subject: Bilan complet"),
        (b"<un@labo", b"<autre@labo"),
        (b"Subject:", b"Bcc: secret@labo.mssante.example\r\nSubject:"),
        (b"Subject:", b"Content-Type: text/html\r\nSubject:"),
    ],
    ids=["body", "subject", "id", "secret copies", "type"],
)
async def test_what_is_not_the_same_is_another_message(client: Client, said: bytes, brought: bytes) -> None:
    """Nothing that a client brings is lost."""
    raw = client.letter()
    await client.sends(raw)
    other = raw.replace(said, brought)
    assert await client.brings(other) == 2
    assert await client.bodies() == {1: raw, 2: other}


@pytest.mark.parametrize("told", [f"Bcc: {SECRET}", "X-Any: 1"], ids=["with the secret copy", "without"])
async def test_what_a_client_brought_before_it_sent_is_not_filed_again(client: Client, told: str) -> None:
    """Some file first. What it brought is the copy, also when it brings it a second time afterwards."""
    raw = client.letter(told)
    assert await client.brings(raw) == 1
    await client.sends(raw, LAB, SECRET)
    assert await client.brings(raw) == 1
    assert await client.bodies() == {1: raw}
    assert len(await client.room.queued()) == 1
    client.room.restart()  # the hour's key, with which nothing was sealed yet, is told right all the same
    await client.sends(client.letter("Message-ID: <deux@x.example>"))
    assert len(await client.bodies()) == 2


async def test_two_copies_that_a_client_brings_by_itself_are_two(client: Client) -> None:
    """Only what the server files is ever one with something else."""
    raw = client.letter()
    assert [await client.brings(raw), await client.brings(raw)] == [1, 2]


async def test_what_was_deleted_may_be_brought_again(client: Client) -> None:
    """The server's copy is gone; the client's is kept."""
    raw = client.letter()
    await client.sends(raw)
    folder = await client.sent()
    await client.store.move(folder, [1], await client.store.folder(folder.box, "Corbeille"))
    assert await client.brings(raw) == 2


async def test_bringing_and_sending_at_the_same_moment_makes_one(client: Client) -> None:
    """Whoever comes first: once in the folder, once in the queue."""
    for number in range(12):
        raw = client.letter(f"Message-ID: <{number}@course.example>")
        acts = [client.sends(raw), client.brings(raw), client.brings(raw)]
        await asyncio.gather(*acts[number % 3 :], *acts[: number % 3])
    told = list((await client.bodies()).values())
    sent = {raw for raw in told if told.count(raw) == 1}
    # two that were brought before the mail was sent are two (see above); never is there one more for the sending
    assert all(told.count(raw) <= 2 for raw in told)
    assert len(await client.room.queued()) == 12
    assert len(sent) + (len(told) - len(sent)) // 2 == 12


async def test_what_is_written_for_a_team_stands_with_the_team(client: Client) -> None:
    """All its members read it, under its address; the writer's own folder stays empty. The delegate of a person, who
    opens nothing of hers, finds it in his own."""
    room = client.room
    team = await room.professional("secretariat", MailboxKind.ORGANISATIONAL)
    await Teams(room.store, room.bus, room.clock).change(team, client.login, lambda _: "lrswipkxte", "staff")
    await Client(room, client.login, address("secretariat")).sends(mail(sender=address("secretariat")))
    assert len(await client.bodies(team)) == 1
    assert await client.bodies() == {}
    wilson = await room.professional("dr.wilson")
    await room.names.delegate(client.login, wilson)
    signed_in_as = address("dr.wilson")
    await room.submit(wilson, client.letter(), LAB, sender=signed_in_as, signed_in_as=signed_in_as)
    (copy,) = (await client.bodies(wilson)).values()
    assert copy.startswith(b"Sender: dr.wilson@chu.mssante.example\r\n")
    assert await client.bodies() == {}


async def test_it_can_be_turned_off_for_an_account(client: Client) -> None:
    """`mss mailbox mask --hide SENT-COPY`: its clients do as they like, and software always does."""
    raw, login = client.letter(), client.login
    await client.room.store.write(lane_of(login), lambda c: accounts.set_masked(c, login, [SENT_COPY]))
    await client.sends(raw)
    assert await client.bodies() == {}
    assert await client.brings(raw) == 1
    robot = Client(client.room, await client.room.professional("dpi", MailboxKind.APPLICATION), address("dpi"))
    await robot.sends(robot.letter("Message-ID: <r@x.example>"))
    assert await robot.bodies() == {}
    assert len(await client.room.queued()) == 2
