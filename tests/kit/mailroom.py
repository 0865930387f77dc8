"""The mail room of an operator over a real store, with real trust and without doors, bridge or sandbox.

`peer` is the laboratory's certificate as the trust list has it. What was kept can be read back with the owner's keys,
which only tests hold beside the intake.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mss.accounts.names import Names
from mss.crypto.examiner import Examiner
from mss.directory.feed import ListTrust, TrustFeed
from mss.directory.sources import FileSource
from mss.formats import mime
from mss.mail.conversations import Conversations
from mss.mail.delivery import Delivery
from mss.mail.dispatch import Dispatch
from mss.mail.holding import Holder
from mss.mail.intake import Intake
from mss.mail.mailboxes import ConversationDetail, ConversationView, PatientInbox
from mss.mail.peers import TrustGate
from mss.mail.queue import Outgoing, QueuePutter, QueueTaker
from mss.mail.reception import Peer, Receipt
from mss.mail.recipients import House, Recipients
from mss.mail.replies import PatientReplies
from mss.mail.sentcopies import SentCopies
from mss.mail.submit import HouseMail, Submission
from mss.mail.vigil import Alarm, Budget, Vigil
from mss.model.clock import ManualClock, SeededChance, to_ms
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.mailbox import MailboxKind
from mss.model.message import Envelope
from mss.model.verdict import Verdict
from mss.store import audit, folders, messages, owners, schema, tasks
from mss.store.blobs import INLINE_BYTES_MAX
from mss.store.changes import ChangeBus
from mss.store.folders import Folder
from mss.store.messages import StoredMessage
from mss.store.sealing import Sealer
from mss.store.sql import Connection
from mss.store.tasks import Task
from tests.kit.people import Cellar, Person, cellar
from tests.kit.pki import HOSPITAL_DOMAIN, LAB_DOMAIN, LIST_SIGNER, Pki

PATIENTS = "patient.mssante.example"
POSTMASTER = MailAddress.parse(f"dsi@{HOSPITAL_DOMAIN}")
HOUSE = House(
    host="relais.chu.mssante.example",
    domains=frozenset({PATIENTS, HOSPITAL_DOMAIN}),
    patient_domain=PATIENTS,
    accepts_test_identities=True,
    postmaster=POSTMASTER,
    unreachable_delay_max_s=3000,
)
ABSENT = MailAddress.parse(f"279035121518989@{PATIENTS}")  # well-formed; nobody enrols it here
LAB = MailAddress.parse(f"resultats@{LAB_DOMAIN}")
LARGE = ("x" * 70 + "\r\n") * (INLINE_BYTES_MAX // 72 + 1)
"""A body that lies in a file of its own."""
TEAM = MailAddress.parse(f"secretariat@{LAB_DOMAIN}")


def address(text: str) -> MailAddress:
    """`dr.house` is at the hospital unless it says otherwise."""
    return MailAddress.parse(text if "@" in text else f"{text}@{HOSPITAL_DOMAIN}")


def mail(*more: str, sender: MailAddress | str = LAB, subject: str = "Bilan", body: str = "Bonjour.\r\n") -> bytes:
    """A plain message; `more` are header lines."""
    lines = [f"From: {sender}", "To: destinataire@ailleurs.example", f"Subject: {subject}", *more]
    if not any(line.lower().startswith("message-id:") for line in lines):
        lines.append("Message-ID: <un@labo.mssante.example>")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


async def lab_gate(pki: Pki, folder: Path) -> TrustGate:
    """The trust list of today, with the hospital and the laboratory on it."""
    path = folder / "list.xml"
    path.write_bytes(pki.signed_list())
    clock = ManualClock(at=pki.now)
    certificates = pki.authority.certificates
    gate = TrustGate(
        TrustFeed(FileSource(path), ListTrust(certificates, certificates, [LIST_SIGNER.common_name]), clock),
        None,
        Examiner(certificates),
        clock,
    )
    await asyncio.to_thread(gate.refresh)
    return gate


@dataclass
class Sent:
    """Mail in the queue, opened."""

    next_hop: str
    sender: MailAddress | None
    recipients: tuple[MailAddress, ...]
    raw: bytes


class MailRoom:
    """Intake, submission and replies, joined as foundation and assembly join them."""

    def __init__(self, below: Cellar, gate: TrustGate, peer: Peer) -> None:
        self.cellar, self.gate, self.peer = below, gate, peer
        self.clock, self.chance, self.store = below.clock, below.chance, below.store
        self.bus = ChangeBus("test")
        self.restart()

    def restart(self) -> None:
        """The processes end and start again: what memory held is gone."""
        below, store, clock, chance = self.cellar, self.store, self.clock, self.chance
        public = below.public
        self.recipients = Recipients(store, public.lookup, HOUSE, clock)
        self.delivery = Delivery(store, below.bodies, public, Sealer(clock, chance), self.bus, clock, chance)
        self.putter = QueuePutter(below.bodies, public, clock, chance)
        self.rung: list[Alarm] = []
        self.vigil = Vigil(HOUSE, Budget(), self.rung.append, clock, chance)
        self.dispatch = Dispatch(
            HOUSE,
            store,
            self.recipients,
            self.delivery,
            self.putter,
            public.lookup,
            self.bus,
            clock,
            Holder(public, clock, chance),
            self.vigil,
        )
        self.intake = Intake(HOUSE, self.gate, self.recipients, self.delivery, chance, vigil=self.vigil)
        self.submission = Submission(
            HOUSE,
            self.recipients,
            self.dispatch,
            public.lookup,
            self.gate.is_trusted,
            clock,
            chance,
            sent_copies=SentCopies(store, self.delivery, public.lookup, clock),
        )
        self.house_mail = HouseMail(HOUSE, self.dispatch)
        self.replies = PatientReplies(HOUSE, store, below.opener, self.delivery, self.dispatch, clock, chance)
        self.conversations = Conversations(public.lookup, clock, chance)
        self.inbox = PatientInbox(store, below.opener, clock)
        self.taker = QueueTaker(store, below.bodies, below.private.outbound, clock, "test")
        self.names = Names(store, public.lookup, clock, chance)

    # Mail

    def envelope(self, sender: MailAddress | None, *to: MailAddress | str) -> Envelope:
        recipients = tuple(address(one) if isinstance(one, str) else one for one in to)
        return Envelope(sender, recipients, self.clock.now(), self.peer.name, "relais.labo.mssante.example")

    async def receive(self, raw: bytes, *to: MailAddress | str, sender: MailAddress | None = LAB) -> Receipt:
        """What the relay asks at the end of DATA; a second passes, so that numbers tell the order."""
        self.clock.forward(1)
        return await self.intake.message(self.peer, self.envelope(sender, *to), raw)

    async def may_send_to(self, recipient: MailAddress | str) -> Verdict:
        """What the relay asks at RCPT."""
        one = address(recipient) if isinstance(recipient, str) else recipient
        return await self.intake.recipient(self.peer, LAB, one)

    async def submit(
        self,
        login: OwnerId,
        raw: bytes,
        *to: MailAddress | str,
        sender: MailAddress | None = None,
        signed_in_as: MailAddress | None = None,
    ) -> Receipt:
        """What the submission door asks at the end of DATA; a second passes."""
        self.clock.forward(1)
        peer = Peer(f"login:{login}", account=login, address=signed_in_as)
        return await self.submission.message(peer, self.envelope(sender, *to), raw)

    # People

    async def professional(self, name: str, kind: MailboxKind = MailboxKind.PERSONAL) -> OwnerId:
        return await self.cellar.professional(str(address(name)), kind)

    async def patient(self, name: str = "Claire MARTIN") -> Person:
        return await self.cellar.enrol(name)

    async def alias(self, owner: OwnerId, name: str, *, is_previous: bool = False) -> MailAddress:
        """Another address of a mailbox."""
        added = address(name)
        await self.names.add_alias(await self.cellar.keys(owner), added, is_previous=is_previous)
        return added

    # What is kept

    async def stored(self, owner: OwnerId) -> list[StoredMessage]:
        """Every message of an owner, whatever its state."""

        def ask(connection: Connection) -> list[StoredMessage]:
            m = schema.message
            numbers = connection.execute(
                m.select().with_only_columns(m.c.message).where(m.c.owner == owner).order_by(m.c.message)
            )
            found = [messages.one_message(connection, owner, number) for (number,) in numbers]
            return [one for one in found if one is not None]

        return await self.store.read(ask)

    async def bodies(self, owner: OwnerId) -> list[bytes]:
        """The same, opened with keys that were fetched afresh."""
        self.cellar.opener._cache.clear()
        keys = await self.cellar.keys(owner)
        return [await self.cellar.opener.message_body(keys, one) for one in await self.stored(owner)]

    async def folder(self, owner: OwnerId, name: str = "Inbox") -> Folder:
        found = await self.store.read(lambda c: folders.list_folders(c, owner))
        return next(folder for folder in found if folder.special_use == name)

    async def tasks(self, kind: str = "") -> list[Task]:
        """Duties, due or not; their payloads sealed as they are."""
        t = schema.task
        rows = await self.store.read(lambda c: list(c.execute(t.select().order_by(t.c.due_ms))))
        return [Task(r.owner, r.id, r.kind, r.payload, r.attempts) for r in rows if r.kind == kind or not kind]

    async def due_s(self, task: Task) -> float:
        """Seconds from now until a duty falls due."""
        t = schema.task
        due_ms = await self.store.read(lambda c: c.execute(t.select().where(t.c.id == task.id)).one().due_ms)
        return float(due_ms - to_ms(self.clock.now())) / 1000

    async def queued(self) -> list[Sent]:
        """Mail for other operators, opened, oldest first."""
        rows = await self.store.read(tasks.list_queue)
        opened: list[Outgoing] = [await self.taker.load(row) for row in rows]
        return [Sent(o.row.next_hop, o.envelope.sender, o.envelope.recipients, o.raw) for o in opened]

    async def trace(self, message_id: str) -> list[str]:
        """The acts that `mss trace` tells."""
        hashed = self.cellar.public.lookup.message_id(message_id)
        return [row.act.act for row in await self.store.read(lambda c: audit.by_message_id(c, hashed))]

    async def used_bytes(self, owner: OwnerId) -> int:
        box = await self.store.read(lambda c: owners.mailbox(c, owner))
        assert box is not None
        return box.used_bytes

    async def set_quota(self, owner: OwnerId, size_bytes: int) -> None:
        m = schema.mailbox
        change = m.update().where(m.c.owner == owner).values(quota_bytes=size_bytes)
        await self.store.write(lane_of(owner), lambda c: c.execute(change))


class Patient:
    """A patient and her pages."""

    def __init__(self, room: MailRoom, person: Person) -> None:
        self.room, self.person = room, person

    async def gets(
        self, *more: str, sender: object = LAB, subject: str = "Bilan", body: str = "Bonjour.\r\n", show: bool = True
    ) -> int:
        """A mail comes in and, unless told otherwise, the bridge leaves it to her. Returns its number."""
        number = len(await self.room.stored(self.person.owner))
        ids = (
            []
            if any(line.startswith("Message-ID") for line in more)
            else [f"Message-ID: <{number}@labo.mssante.example>"]
        )
        receipt = await self.room.receive(
            mail(*more, *ids, sender=str(sender), subject=subject, body=body), self.person.address
        )
        if show:
            assert await self.show(receipt.number)
        return receipt.number

    async def show(self, number: int) -> bool:
        """The bridge or a human lets a message through."""
        keys = await self.room.cellar.keys(self.person.owner)
        stored = await self.room.store.read(lambda c: messages.one_message(c, self.person.owner, number))
        assert stored is not None
        structure = mime.scan(await self.room.cellar.opener.message_body(keys, stored))

        def reveal(connection: Connection) -> bool:
            return self.room.conversations.reveal(connection, keys, stored, structure)

        return await self.room.store.write(lane_of(self.person.owner), reveal)

    async def list(self) -> list[ConversationView]:
        keys = await self.room.cellar.keys(self.person.owner)
        return await self.room.inbox.conversations(keys, before_ms=1 << 60, limit=100)

    async def open(self, number: int = 0) -> ConversationDetail:
        """The only conversation, or the one of that number."""
        keys = await self.room.cellar.keys(self.person.owner)
        return await self.room.inbox.conversation(keys, number or (await self.list())[0].number)

    async def may_answer(self) -> set[str]:
        """Every address that she may answer somewhere."""
        return {line.contact_address for line in await self.list() if line.may_answer}


@asynccontextmanager
async def open_mailroom(
    url: str, folder: Path, clock: ManualClock, chance: SeededChance, gate: TrustGate, pki: Pki
) -> AsyncIterator[MailRoom]:
    """A new operator's mail room at `url`, the laboratory at its door."""
    peer, _ = await gate.peer(pki.lab.der, "192.0.2.7")
    assert peer is not None
    async with cellar(url, folder, clock, chance) as below:
        yield MailRoom(below, gate, replace(peer, helo="relais.labo.mssante.example"))


class Unlucky:
    """A store that fails for some lanes, as a database that lost one of its parts."""

    def __init__(self, room: MailRoom, owners_away: Sequence[int]) -> None:
        self._room, self._write = room, room.store.write
        self._lanes = {lane_of(owner) for owner in owners_away}

    def __enter__(self) -> None:
        from mss.model.errors import StorageUnavailable

        async def write(lane: int, act: object, **more: object) -> object:
            if lane in self._lanes:
                raise StorageUnavailable("this part is away")
            return await self._write(lane, act, **more)  # type: ignore[arg-type]

        self._room.store.write = write  # type: ignore[method-assign, assignment]

    def __exit__(self, *_: object) -> None:
        del self._room.store.write
