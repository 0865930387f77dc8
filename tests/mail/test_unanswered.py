"""Patients who wait for an answer stand in a folder of their own, oldest first, until one leaves."""

from __future__ import annotations

import pytest

from mss.accounts.teams import Teams
from mss.imap.backend import Box, Folder
from mss.imap.commands import Flags, StoreMode
from mss.imap.mailacts import CellarMailStore
from mss.mail.holding import Explanation
from mss.mail.intake import Intake
from mss.mail.quarantine import go_on
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.mailbox import Flag, MailboxKind
from mss.model.verdict import Accept
from mss.store import folders, records
from mss.store.records import HeldState
from tests.kit.mailroom import HOUSE, LAB, MailRoom, address
from tests.mail.test_screening import Suspicious

DOCTOR = address("dr.house")
ZOE = MailAddress.parse("279035121518989@labo.mssante.example")
ADAM = MailAddress.parse("180017500000192@labo.mssante.example")
WAITING = "Sans réponse"


class Desk:
    """A mailbox with its mail client, and patients who write to it."""

    def __init__(self, room: MailRoom, login: OwnerId, own: MailAddress = DOCTOR, owner: OwnerId | None = None) -> None:
        self.room, self.address = room, own
        self.login, self.owner = login, owner or login
        below, lookup = room.cellar, room.cellar.public.lookup
        self.store = CellarMailStore(room.store, below.opener, below.bodies, room.bus, lookup, room.clock, room.chance)
        mark = "" if self.owner == login else f"membre-{login}"
        self.box = Box(self.owner, login, str(own), mark=mark)

    async def gets(self, name: str, *answers: str, sender: MailAddress = ZOE, more: str = "") -> None:
        """A message of a patient, named so, in answer to others."""
        raw = self._mail(name, answers, str(sender), str(self.address), "Question", more)
        assert (await self.room.receive(raw, self.address, sender=sender)).verdict == Accept()

    async def sends(
        self, name: str, *answers: str, to: MailAddress = ZOE, subject: str = "Re: Question", more: str = ""
    ) -> None:
        raw = self._mail(name, answers, str(self.address), str(to), subject, more)
        assert (await self.room.submit(self.login, raw, to, sender=self.address)).verdict == Accept()

    @staticmethod
    def _mail(name: str, answers: tuple[str, ...], sender: str, to: str, subject: str, more: str) -> bytes:
        lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}", f"Message-ID: <{name}@x.example>"]
        if answers:
            lines += [f"In-Reply-To: <{answers[-1]}@x.example>"]
            lines += ["References: " + " ".join(f"<{one}@x.example>" for one in answers)]
        return "\r\n".join([*lines, *([more] if more else []), "", f"Ici {name}.", ""]).encode()

    async def folder(self, name: str = WAITING) -> Folder:
        return await self.store.folder(self.box, name)

    async def waiting(self, name: str = WAITING) -> dict[int, str]:
        """What the folder shows: names by uid."""
        folder = await self.folder(name)
        bodies = await self.store.bodies(folder, list((await self.store.snapshot(folder)).uids))
        return {uid: raw.rsplit(b"Ici ", 1)[1].decode().strip().rstrip(".") for uid, raw in bodies.items()}

    async def flags(self, name: str = WAITING) -> list[int]:
        snapshot = await self.store.snapshot(await self.folder(name))
        return [snapshot.marks(index)[0] for index in range(len(snapshot))]

    async def marks(self, name: str, uid: int, flags: int, mode: StoreMode = StoreMode.ADD) -> list[int]:
        return await self.store.change_flags(await self.folder(name), [uid], mode, Flags(flags))

    async def moves(self, source: str, uid: int, target: str) -> None:
        await self.store.move(await self.folder(source), [uid], await self.folder(target))


@pytest.fixture
async def desk(room: MailRoom) -> Desk:
    return Desk(room, await room.professional("dr.house"))


async def test_who_waits_stands_there_until_an_answer_leaves(desk: Desk) -> None:
    """Oldest first; what others write is not there; numbers are never used again, and the client is told."""
    told: list[int] = []
    end = desk.store.watch(desk.owner, told.append)
    await desk.gets("zoe1")
    await desk.gets("adam1", sender=ADAM)
    await desk.room.receive(Desk._mail("labo1", (), str(LAB), "x", "Bilan", ""), DOCTOR)
    assert await desk.waiting() == {1: "zoe1", 2: "adam1"}
    assert len(await desk.waiting("INBOX")) == 3
    before = await desk.folder()
    told.clear()
    await desk.sends("reponse", "zoe1")
    assert told, "an idle client looks again"
    assert await desk.waiting() == {2: "adam1"}
    changes = await desk.store.changes(await desk.folder(), before.modseq)
    assert changes is not None
    assert list(changes.gone) == [(1, 1)]
    await desk.gets("zoe2", "zoe1", "reponse")
    assert await desk.waiting() == {2: "adam1", 3: "zoe2"}
    assert (await desk.folder()).uidvalidity == before.uidvalidity
    end()


async def test_an_answer_is_for_one_patient(desk: Desk) -> None:
    """A letter that went to two, each in secret from the other, comes back twice: answering one is not answering the
    other. Nor is a letter to a colleague about it, nor a new letter to her, an answer."""
    await desk.gets("zoe1", "circulaire")
    await desk.gets("adam1", "circulaire", sender=ADAM)
    await desk.sends("avis", "circulaire", "zoe1", to=LAB)
    await desk.sends("autre-sujet")
    assert await desk.waiting() == {1: "zoe1", 2: "adam1"}
    await desk.sends("reponse", "circulaire", "zoe1")
    assert await desk.waiting() == {2: "adam1"}


async def test_one_answer_is_for_the_whole_conversation(desk: Desk) -> None:
    """She wrote three times, once to something older; the answer names the last only. Another matter still waits."""
    await desk.gets("zoe1", "lettre")
    await desk.gets("zoe2", "lettre")
    await desk.gets("zoe3", "zoe2")
    await desk.gets("autre", "ailleurs")
    await desk.sends("reponse", "zoe3")
    assert await desk.waiting() == {4: "autre"}


async def test_the_end_of_an_exchange_is_an_answer_to_all(desk: Desk) -> None:
    """[FIN], in answer to nothing; what she writes later waits again, since somebody wrote it."""
    await desk.gets("zoe1")
    await desk.gets("zoe2")
    await desk.gets("adam1", sender=ADAM)
    await desk.sends("fin", subject="[FIN]")
    assert await desk.waiting() == {3: "adam1"}
    await desk.gets("zoe3")
    assert await desk.waiting() == {3: "adam1", 4: "zoe3"}


async def test_machines_neither_wait_nor_answer(desk: Desk) -> None:
    """Receipts and automatic mail."""
    await desk.gets("accuse", more="Auto-Submitted: auto-replied")
    await desk.gets(
        "rapport", more='Content-Type: multipart/report; report-type=disposition-notification; boundary="b"'
    )
    await desk.gets("zoe1")
    assert list((await desk.waiting()).values()) == ["zoe1"]
    await desk.sends("lu", "zoe1", more="Auto-Submitted: auto-replied")
    assert list((await desk.waiting()).values()) == ["zoe1"]


async def test_what_is_put_away_needs_no_answer(desk: Desk) -> None:
    """Archived, thrown away or deleted: somebody decided. Sorted into a folder of one's own it still waits; taken back
    out of the archive it waits again."""
    for number in range(1, 6):
        await desk.gets(f"zoe{number}")
    await desk.store.create(desk.box, "Suivi")
    await desk.moves("INBOX", 1, "Suivi")
    await desk.moves("INBOX", 2, "Archives")
    await desk.moves("INBOX", 3, "Corbeille")
    await desk.marks("INBOX", 4, Flag.DELETED)
    await desk.store.expunge(await desk.folder("INBOX"), [4])
    assert await desk.waiting() == {1: "zoe1", 5: "zoe5"}
    await desk.moves("Archives", 1, "INBOX")
    assert await desk.waiting() == {1: "zoe1", 5: "zoe5", 6: "zoe2"}
    await desk.store.delete(await desk.folder("Suivi"))
    assert await desk.waiting() == {5: "zoe5", 6: "zoe2"}
    await desk.sends("reponse", "zoe2")
    await desk.moves("Corbeille", 1, "INBOX")  # zoe3, whom nobody has answered
    assert await desk.waiting() == {5: "zoe5", 7: "zoe3"}


async def test_read_here_is_read_there(desk: Desk) -> None:
    """The message is one: \\Seen goes both ways, stars and answers come over."""
    await desk.gets("zoe1")
    await desk.gets("zoe2")
    await desk.marks(WAITING, 1, Flag.SEEN)
    assert await desk.flags() == await desk.flags("INBOX") == [Flag.SEEN, 0]
    await desk.marks("INBOX", 2, Flag.SEEN | Flag.FLAGGED | Flag.DELETED)
    assert await desk.flags() == [Flag.SEEN, Flag.SEEN | Flag.FLAGGED]
    await desk.marks("INBOX", 2, Flag.FLAGGED, StoreMode.REPLACE)
    assert await desk.flags() == [Flag.SEEN, Flag.FLAGGED]
    folder = await desk.folder()
    assert (folder.unseen, (await desk.folder("INBOX")).unseen) == (1, 1)
    stale = folder.modseq - 1
    await desk.marks(WAITING, 1, Flag.SEEN, StoreMode.REMOVE)
    seen = Flags(Flag.SEEN)
    assert await desk.store.change_flags(folder, [1], StoreMode.ADD, seen, stale) == [1]
    assert await desk.flags("INBOX") == [0, Flag.FLAGGED]


async def test_a_team_sees_who_waits_and_each_has_read_for_oneself(desk: Desk) -> None:
    """One answers, the message is gone for all."""
    room = desk.room
    wilson, team = await room.professional("dr.wilson"), await room.professional("equipe", MailboxKind.ORGANISATIONAL)
    for member in (desk.login, wilson):
        await Teams(room.store, room.bus, room.clock).change(team, member, lambda _: "lrswipkxte", "staff")
    one, other = (Desk(room, login, address("equipe"), team) for login in (desk.login, wilson))
    await one.gets("zoe1")
    await one.gets("adam1", sender=ADAM)
    await one.marks(WAITING, 1, Flag.SEEN)
    assert await one.flags("INBOX") == await one.flags() == [Flag.SEEN, 0]
    assert await other.flags("INBOX") == await other.flags() == [0, 0]
    await other.sends("reponse", "zoe1")
    assert await one.waiting() == await other.waiting() == {2: "adam1"}


async def test_a_delegates_answer_counts_for_whom_it_is_written(desk: Desk) -> None:
    """From is the holder; her list is what empties."""
    wilson = await desk.room.professional("dr.wilson")
    await desk.room.names.delegate(desk.login, wilson)
    await desk.gets("zoe1")
    raw = Desk._mail("reponse", ("zoe1",), str(DOCTOR), str(ZOE), "Re: Question", "")
    signed_in_as = address("dr.wilson")
    await desk.room.submit(wilson, raw, ZOE, sender=signed_in_as, signed_in_as=signed_in_as)
    assert await desk.waiting() == {}


async def test_what_was_held_waits_once_it_is_let_go(desk: Desk) -> None:
    """Seen by nobody before."""
    room = desk.room
    asked = Suspicious()
    room.intake = Intake(HOUSE, room.gate, room.recipients, room.delivery, room.chance, asked)
    await desk.gets("zoe1")
    assert await desk.waiting() == await desk.waiting("INBOX") == {}
    (row,) = await room.store.read(lambda c: records.list_held(c, (HeldState.WAITING,)))
    known = Explanation("", "", "", "", "")
    await room.store.write(lane_of(desk.owner), lambda c: go_on(c, row, known, room.clock, room.chance))
    assert await desk.waiting() == {1: "zoe1"}


async def test_it_stands_in_mailboxes_that_people_read_only(room: MailRoom) -> None:
    """Software has no such folder, and its mail comes in as before."""
    robot = await room.professional("dpi", MailboxKind.APPLICATION)
    raw = Desk._mail("zoe1", (), str(ZOE), "dpi", "Question", "")
    assert (await room.receive(raw, "dpi", sender=ZOE)).verdict == Accept()
    assert (await room.folder(robot)).n_msg == 1
    kept = await room.store.read(lambda c: folders.list_folders(c, robot))
    assert "Unanswered" not in {folder.special_use for folder in kept}
