"""An operator in this process, without sockets: mail comes in, duties are done, people look.

Stands on the cellar of `people.py` and uses every real room and a real sandbox; only the doors are missing, and trust,
which `deliver` takes for granted. Mail to other operators stays in the queue, where `sent_to` opens it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any

from mss.accounts.absence import Absences
from mss.accounts.names import Names
from mss.accounts.service import KnownIdentity, Profile
from mss.bridge.applications import Applications
from mss.bridge.cases import Cases
from mss.bridge.corrections import Corrections
from mss.bridge.filing import Filing
from mss.bridge.merging import Merging
from mss.bridge.moving import Mover
from mss.bridge.outbox import Outbox
from mss.bridge.reading import Reader
from mss.bridge.refiling import Refiling
from mss.bridge.representing import Representing
from mss.bridge.returning import Returning
from mss.bridge.routing import Route
from mss.bridge.scope import Scopes
from mss.bridge.takeout import Takeout
from mss.bridge.triage import Triage
from mss.bridge.unannounced import Unannounced
from mss.bridge.unsealing import Unsealer
from mss.formats import mime
from mss.formats.summary import summarise
from mss.mail import healthmail, letters
from mss.mail.conversations import Conversations
from mss.mail.delivery import Delivery
from mss.mail.dispatch import Dispatch
from mss.mail.healthmail import Sending
from mss.mail.holding import Holder
from mss.mail.ledger import Ledger, LedgerReader
from mss.mail.mailboxes import ConversationView, PatientInbox
from mss.mail.parcels import Letter
from mss.mail.quarantine import Quarantine
from mss.mail.queue import QueuePutter, QueueTaker
from mss.mail.reception import Peer
from mss.mail.recipients import House as MailHouse
from mss.mail.recipients import Recipients
from mss.mail.replies import PatientReplies
from mss.mail.screening import NoScreening, Screening
from mss.mail.submit import HouseMail
from mss.model.clock import ManualClock, SeededChance, to_ms
from mss.model.errors import NotYet
from mss.model.ids import Ins, MailAddress, OwnerId, lane_of
from mss.model.mailbox import MailboxKind
from mss.model.message import NOTHING_WISHED, DsnWish, Envelope
from mss.model.people import IdentityStatus, IdentityTraits
from mss.notices.automatic import AutomaticReplies
from mss.notices.changed import ChangeNotices
from mss.notices.compose import House as NoticeHouse
from mss.notices.corrected import CorrectionNotices
from mss.notices.nightly import NightlyTables
from mss.notices.send import Notices, ReportDuties
from mss.notices.untaken import UntakenAlarms
from mss.notices.watch import HeldWatch, Staff
from mss.record.access import Role, Viewer
from mss.record.service import DocumentView, HistoryLine, Records
from mss.sandbox.pool import Sandbox
from mss.store import audit, folders, messages, owners, schema, tasks
from mss.store.changes import ChangeBus
from mss.store.sealing import Sealer
from mss.store.sql import Connection
from mss.store.tasks import Task
from tests.kit import documents
from tests.kit.people import Cellar, cellar

PATIENTS = "patient.mssante.example"
HOSPITAL = "chu.mssante.example"
APPLICATION = MailAddress.parse(f"dpi@{HOSPITAL}")
"""The application mailbox that feeds records, once a test has made it; `COPY` reads what was not filed."""
COPY = MailAddress.parse(f"dim@{HOSPITAL}")
LABORATORY = MailAddress.parse("resultats@labo.mssante.example")
POSTMASTER = MailAddress.parse(f"postmaster.humain@{HOSPITAL}")
PEER = Peer("CN=relais.labo.mssante.example", "0a", frozenset({LABORATORY.domain}), helo="relais.labo.mssante.example")
ROUNDS_MAX = 50
"""Rounds of duties; each may owe others, but never for ever."""


@dataclass
class Patient:
    """An enrolled patient."""

    owner: OwnerId
    traits: IdentityTraits
    ins: Ins

    @property
    def address(self) -> MailAddress:
        return MailAddress.parse(f"{self.ins.value}@{PATIENTS}")


class House:
    """Every room of an operator, joined as assembly joins them."""

    routes: tuple[Route, ...] = ()
    """To software of a hospital; `read_with` builds the bridge anew with them."""

    def __init__(self, below: Cellar, sandbox: Sandbox, *, accepts_test_identities: bool = True) -> None:
        self.cellar = below
        store, clock, chance, public = below.store, below.clock, below.chance, below.public
        self.store, self.clock = store, clock
        self.mail_house = MailHouse(
            host="relais.chu.mssante.example",
            domains=frozenset({PATIENTS, HOSPITAL}),
            patient_domain=PATIENTS,
            accepts_test_identities=accepts_test_identities,
            postmaster=POSTMASTER,
            unreachable_delay_max_s=60,
        )
        self.bus = ChangeBus("test")
        self.recipients = Recipients(store, public.lookup, self.mail_house)
        self.delivery = Delivery(store, below.bodies, public, Sealer(clock, chance), self.bus, clock, chance)
        putter = QueuePutter(below.bodies, public, clock, chance)
        self.dispatch = Dispatch(
            self.mail_house,
            store,
            self.recipients,
            self.delivery,
            putter,
            public.lookup,
            self.bus,
            clock,
            Holder(public, clock, chance),
        )
        self.house_mail = HouseMail(self.mail_house, self.dispatch)
        self.conversations = Conversations(public.lookup, clock, chance)
        self.records = Records(store, below.opener, below.bodies, public.lookup, clock, chance)
        self.inbox = PatientInbox(store, below.opener, clock)
        self.replies = PatientReplies(self.mail_house, store, below.opener, self.delivery, self.dispatch, clock, chance)
        self.read_with(sandbox)
        writes_as = NoticeHouse(self.mail_house.host, MailAddress.parse(f"ne-pas-repondre@{PATIENTS}"))
        copies = {APPLICATION.key: COPY}
        self.ledger = LedgerReader(public.lookup, below.private.tasks)
        told = Ledger(public.lookup, public.tasks, clock, chance)
        self.notices = Notices(
            writes_as, store, below.opener, below.private, public.lookup, self.house_mail, clock, copies, told
        )
        self.absences, self.names = Absences(store, clock, chance), Names(store, public.lookup, clock, chance)
        rooms = self.absences, self.names
        self.automatic = AutomaticReplies(store, below.opener, public.lookup, self.house_mail, rooms, clock)
        self.changed = ChangeNotices(
            writes_as, store, below.opener, self.records, public.lookup, self.house_mail, clock
        )
        self.staff = Staff(POSTMASTER, {})
        self.corrected = CorrectionNotices(
            writes_as, self.staff, store, below.opener, public.lookup, self.house_mail, clock, chance
        )
        self.untaken = UntakenAlarms(writes_as, self.staff, public.lookup, self.house_mail, clock)
        self.reports = ReportDuties(public.tasks, clock, chance)
        holder = Holder(public, clock, chance)
        self.taker = QueueTaker(
            store, below.bodies, below.private.outbound, clock, "test", holder=holder, staff_domain=HOSPITAL
        )
        self.screening: Screening = NoScreening()
        self.watch = HeldWatch(
            writes_as,
            self.staff,
            store,
            below.opener,
            below.private,
            public.lookup,
            self.house_mail,
            self.recipients,
            self.taker,
            holder,
            clock,
            told,
        )
        self.scan_with(self.screening)

    def nightly(self, readers: Mapping[MailAddress, MailAddress]) -> NightlyTables:
        """Who sends each sending mailbox its table, as the settings list them."""
        house = NoticeHouse(self.mail_house.host, MailAddress.parse(f"ne-pas-repondre@{PATIENTS}"))
        rooms = self.ledger, self.store, self.cellar.public.lookup, self.house_mail, self.clock
        return NightlyTables(house, readers, *rooms)

    def scan_with(self, screening: Screening) -> None:
        """Have everything looked at by an antivirus from now on."""
        below, clock, chance = self.cellar, self.clock, self.cellar.chance
        self.screening = screening
        holder, held = Holder(below.public, clock, chance), below.private.held
        self.quarantine = Quarantine(
            self.store, below.opener, self.taker, screening, holder, held, self.bus, clock, chance
        )

    def read_with(
        self,
        sandbox: Sandbox,
        *,
        holds_loose: bool = False,
        files_loose: bool = False,
        unsealer: Unsealer | None = None,
        shown_after_days: int = 0,
    ) -> None:
        """Build the bridge over a sandbox; again over another one."""
        below, store, clock, public = self.cellar, self.store, self.clock, self.cellar.public
        reader = Reader(sandbox, below.chance, holds_loose=holds_loose, files_loose=files_loose, unsealer=unsealer)
        cases = Cases(store, below.opener, reader, self.records, self.mail_house, clock, [APPLICATION.key])
        self.filing = Filing(
            store,
            below.opener,
            public,
            cases,
            self.records,
            self.conversations,
            self.bus,
            clock,
            below.chance,
            Outbox(self.routes, clock, below.chance),
            shown_after_days,
        )
        self.applications = Applications(store, cases, self.filing, self.records, self.bus, clock)
        self.unannounced = Unannounced(store, cases, self.filing, self.applications, self.bus)
        scopes = Scopes(store, below.opener, self.records, public.lookup, PATIENTS)
        owes = Outbox(self.routes, clock, below.chance)
        takeout = Takeout(self.records, owes, public, clock, below.chance)
        mover = Mover(store, below.opener, below.bodies, public.lookup, clock, below.chance)
        returning = Returning(store, below.opener, scopes, takeout, self.bus, clock, below.chance)
        asks = Representing(public.held, clock, below.chance)
        tools = below.bodies, mover, takeout, public.lookup, asks
        merging = Merging(store, below.opener, self.records, *tools, self.bus, clock, below.chance)
        doing = mover, takeout, returning, merging
        self.refiling = Refiling(store, below.opener, cases, self.filing, *doing, self.bus, clock)
        self.corrections = Corrections(
            store,
            public,
            below.private.held,
            below.opener,
            self.records,
            cases,
            scopes,
            takeout,
            self.bus,
            clock,
            below.chance,
        )
        rooms = cases, self.filing, self.applications
        held = below.private.held
        self.triage = Triage(store, public, held, *rooms, self.bus, clock, below.chance, self.corrections)

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Every duty of the works process."""
        return {
            **self.filing.handlers,
            **self.applications.handlers,
            **self.unannounced.handlers,
            **self.refiling.handlers,
            **self.notices.handlers,
            **self.watch.handlers,
            **self.quarantine.handlers,
            **self.automatic.handlers,
            **self.changed.handlers,
            **self.corrected.handlers,
            **self.untaken.handlers,
        }

    # People

    async def enrol(
        self, person: documents.Person = documents.ZOE, status: IdentityStatus = IdentityStatus.QUALIFIED
    ) -> Patient:
        """A patient whose identity is the one of a person of the fixtures."""
        patient = Patient(OwnerId(0), person.traits, person.ins)
        name = f"{person.traits.first_given_name} {person.traits.birth_name}"
        identity = KnownIdentity(person.ins, person.traits, status, "test")
        profile = Profile(name, str(patient.address))
        patient.owner = await self.cellar.accounts.create_patient(patient.address, profile, identity)
        return patient

    async def professional(self, address: str, kind: MailboxKind = MailboxKind.PERSONAL) -> OwnerId:
        return await self.cellar.professional(address, kind)

    # Mail

    async def deliver(
        self, raw: bytes, sender: MailAddress | None, *to: MailAddress, wish: DsnWish = NOTHING_WISHED
    ) -> list[int]:
        """What the relay does once everybody is trusted: the same trace fields, sealing and duties."""
        self.clock.forward(1)  # mail comes one after the other
        envelope = Envelope(sender, to, self.clock.now(), PEER.name, PEER.helo)
        traced = letters.trace_fields(envelope, PEER, self.mail_house.host, "1", protocol="ESMTPS") + raw
        doubt = await self.screening.doubt(raw)
        letter = Letter(traced, summarise(traced, mime.scan(traced)), sender, PEER.name, raw, wish, doubt=doubt)
        within_s = self.mail_house.unreachable_delay_max_s
        parcels = await self.delivery.incoming(letter, to, self.recipients.reachable, within_s)
        numbers = await self.delivery.commit(parcels)
        await self.delivery.owe_receipts(letter, parcels, within_s)
        return numbers

    async def send_documents(self, to: Patient, *contents: bytes, sender: MailAddress = LABORATORY, **more: Any) -> int:
        """A laboratory's mail with its documents in an archive, judged at once. Returns the message's number."""
        (number,) = await self.deliver(
            self.health_mail(to.address, *contents, sender=sender, **more), sender, to.address
        )
        await self.run_tasks()
        return number

    def health_mail(
        self,
        to: MailAddress,
        *contents: bytes,
        sender: MailAddress = LABORATORY,
        archive: bytes | None = None,
        archive_name: str = healthmail.ARCHIVE_NAME,
        pdfs: tuple[tuple[str, bytes], ...] = (),
        receipt: bool = True,
        headers: dict[str, str] | None = None,
        subject: str = "XDM/1.0/DDM+Compte rendu",
        text: str = "Veuillez trouver ci-joint un document de santé.\n",
    ) -> bytes:
        """A mail like `mss.mail.healthmail`'s that does not refuse to name the wrong patient."""
        mail = EmailMessage()
        mail["From"] = f"Laboratoire des Tilleuls <{sender}>"
        mail["To"] = str(to)
        mail["Subject"] = subject
        mail["Date"] = self.clock.now()
        mail["Message-ID"] = letters.new_message_id(self.cellar.chance, sender.domain)
        if receipt:
            mail["Disposition-Notification-To"] = str(sender)
        for name, value in (headers or {}).items():
            mail[name] = value
        mail.set_content(text)
        packed = archive if archive is not None else documents.make_package(*contents) if contents else None
        if packed is not None:
            mail.add_attachment(packed, maintype="application", subtype="zip", filename=archive_name)
        for name, octets in pdfs:
            mail.add_attachment(octets, maintype="application", subtype="pdf", filename=name)
        return mail.as_bytes(policy=mail.policy.clone(linesep="\r\n"))

    def composed(self, to: Patient, *contents: bytes, receipt: bool = True) -> bytes:
        """The mail that our own sender composes: it refuses to name another patient than the address."""
        sending = Sending(LABORATORY, "Laboratoire", to.address, contents, (), self.clock.now(), receipt_wanted=receipt)
        return healthmail.compose(sending, self.cellar.chance)[1]

    # Duties

    async def run_tasks(self, *kinds: str) -> int:
        """Do every duty that is due, and what follows from it. Raises what a handler raises. Returns how many."""
        done = 0
        for _ in range(ROUNDS_MAX):
            due = [task for task in await self.due() if not kinds or task.kind in kinds]
            if not due:
                return done
            for task in due:
                done += await self._do(task)
        raise AssertionError("duties without end")

    async def _do(self, task: Task) -> bool:
        """As the runner does: what cannot be done yet waits, and is no duty done."""
        try:
            await self.handlers[task.kind](task)
        except NotYet as later:
            when_ms, why = to_ms(self.clock.now()) + int(later.after_s * 1000), str(later)

            def again(connection: Connection) -> None:
                tasks.put_back(connection, schema.task, task.owner, task.id, when_ms, why, attempts=0)

            await self.store.write(lane_of(task.owner), again)
            return False
        await self.finish(task)
        return True

    async def due(self) -> list[Task]:
        """The duties that wait, with their attempts counted as by the runner."""
        now_ms = to_ms(self.clock.now())
        claimed: list[Task] = []
        for lane in await self.store.read(lambda c: tasks.lanes_with_due(c, schema.task, now_ms)):

            def claim(connection: Connection, lane: int = lane) -> list[Task]:
                return tasks.claim_tasks(connection, lane, "test", now_ms, now_ms, 100)

            claimed += await self.store.write(lane, claim)
        return claimed

    async def finish(self, task: Task) -> None:
        await self.store.write(lane_of(task.owner), lambda c: tasks.finish(c, schema.task, task.owner, [task.id]))

    # What people see

    async def documents(self, patient: Patient, role: Role = Role.PATIENT) -> list[DocumentView]:
        keys = await self.cellar.keys(patient.owner)
        return await self.records.documents(keys, Viewer(patient.owner, role, "Test"))

    async def history(self, patient: Patient) -> list[HistoryLine]:
        keys = await self.cellar.keys(patient.owner)
        viewer = Viewer(patient.owner, Role.PATIENT, "Test")
        return await self.records.history(keys, viewer, before_ms=1 << 60, limit=100)

    async def conversation_list(self, patient: Patient) -> list[ConversationView]:
        keys = await self.cellar.keys(patient.owner)
        return await self.inbox.conversations(keys, before_ms=1 << 60, limit=100)

    async def unread(self, patient: Patient) -> int:
        return await self.inbox.unread(await self.cellar.keys(patient.owner))

    async def in_folders(self, owner: OwnerId) -> int:
        """Messages that any folder of a mailbox counts."""
        found = await self.store.read(lambda c: folders.list_folders(c, owner))
        return sum(folder.n_msg for folder in found)

    async def sees_nothing(self, patient: Patient) -> bool:
        """Nothing in conversations, counts, folders, record, history."""
        shown = [await self.conversation_list(patient), await self.documents(patient), await self.history(patient)]
        return not any(shown) and not await self.unread(patient) and not await self.in_folders(patient.owner)

    async def state(self, patient: Patient, number: int) -> str:
        """Of a message."""
        stored = await self.store.read(lambda c: messages.one_message(c, patient.owner, number))
        assert stored is not None
        return stored.state

    async def sent(self) -> list[EmailMessage]:
        """Mail that waits to leave for other operators, opened, oldest first; stays where it is."""
        queued = await self.store.read(tasks.list_queue)
        mails = []
        for row in sorted(queued, key=lambda row: (row.created_ms, row.id)):
            outgoing = await self.taker.load(row)
            mail = BytesParser(policy=default).parsebytes(outgoing.raw)
            mail["X-Envelope-From"] = str(outgoing.envelope.sender or "")
            mail["X-Envelope-To"] = ",".join(map(str, outgoing.envelope.recipients))
            mails.append(mail)
        return mails

    async def trace(self, message_id: str) -> list[str]:
        """The acts that `mss trace` tells."""
        hashed = self.cellar.public.lookup.message_id(message_id)
        return [row.act.act for row in await self.store.read(lambda c: audit.by_message_id(c, hashed))]

    async def actors(self, message_id: str, act: str) -> set[str]:
        """Who did that with a message."""
        hashed = self.cellar.public.lookup.message_id(message_id)
        found = await self.store.read(lambda c: audit.by_message_id(c, hashed))
        return {row.act.actor for row in found if row.act.act == act}

    async def owner_of(self, address: MailAddress) -> OwnerId | None:
        hashed = self.cellar.public.lookup.address(address.key)
        return await self.store.read(lambda c: owners.find(c, hashed))


@asynccontextmanager
async def open_house(
    url: str,
    directory: Path,
    clock: ManualClock,
    chance: SeededChance,
    sandbox: Sandbox,
    *,
    accepts_test_identities: bool = True,
) -> AsyncIterator[House]:
    """A new operator at `url`."""
    async with cellar(url, directory, clock, chance) as below:
        yield House(below, sandbox, accepts_test_identities=accepts_test_identities)


def words_of(mail: EmailMessage) -> str:
    """The part of an answer that people read."""
    for part in mail.walk():
        if part.get_content_type() == "text/plain":
            return str(part.get_content())
    return ""


def moment(year: int, month: int, day: int) -> datetime:
    """A day, for documents of a given age."""
    return documents.MOMENT.replace(year=year, month=month, day=day)
