"""What is known when a message is judged? The message opened and read, its addressee, and what her record holds.

Gathers facts for the judge. What concerns the record is asked again inside the transaction that files, since two
messages may bring the same document at once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from mss.accounts.service import ADDRESS_KIND, IDENTITY_KIND, identity_from_bytes, profile_from_bytes
from mss.bridge import announcing
from mss.bridge.case import Case as Case
from mss.bridge.case import Feed
from mss.bridge.facts import DocumentFacts, Identity, Known, MessageFacts, Standing
from mss.bridge.reading import ReadDocument, Reader, Reading
from mss.bridge.versions import same_author
from mss.formats import mdn, mime
from mss.formats.parts import Structure
from mss.mail import letters
from mss.mail.contents import aside
from mss.mail.recipients import House
from mss.model.clock import Clock, to_ms
from mss.model.document import DocumentStatus, Visibility
from mss.model.ids import MailAddress, OwnerId
from mss.model.mailbox import AccountState, MailboxKind
from mss.model.people import IdentityStatus
from mss.record.service import Records
from mss.store import messages, owners, patients, records
from mss.store.database import Store
from mss.store.messages import MessageState, StoredMessage
from mss.store.owners import Way
from mss.store.records import DocumentRow
from mss.store.sql import Connection
from mss.vault.opener import Opener, OwnerKeys


class Cases:
    """Gathers."""

    def __init__(
        self,
        store: Store,
        opener: Opener,
        reader: Reader,
        records: Records,
        house: House,
        clock: Clock,
        fed_by: Collection[str] = (),
    ) -> None:
        """`fed_by`: addresses (keys) of the application mailboxes that feed records."""
        self._fed_by = frozenset(fed_by)
        self._store = store
        self._opener = opener
        self._reader = reader
        self._records = records
        self._house = house
        self._clock = clock

    @property
    def domain(self) -> str:
        """Of the patients, whose staff hear of what is held."""
        return self._house.patient_domain

    async def open(self, owner: OwnerId, number: int, actor: str, stored: StoredMessage | None = None) -> Case | None:
        """Open and read a message; `stored`: its row, when it was just read. None when there is none.
        Raises SandboxIll, SandboxBusy, SealBroken."""
        keys = await self._opener.open(owner, actor, "file")
        if stored is None:
            stored = await self._store.look_up(lambda c: messages.one_message(c, owner, number))
        if stored is None:
            return None
        case = await self._opened(keys, stored)
        named = announcing.announced(case.structure)
        if named is None:
            return case
        kept = [one for each in named for one in await self._kept_back(keys, each)]
        cases = [await self._opened(keys, one) for one in kept]
        return replace(case, announces=tuple(one for one in cases if one.sent_by and one.sent_by == case.sent_by))

    async def _kept_back(self, keys: OwnerKeys, message_id: str) -> list[StoredMessage]:
        hashed = self._records.message_id_hmac(message_id)
        found = await self._store.read(lambda c: messages.by_message_id(c, keys.owner, hashed))
        return [one for one in found if one.state == MessageState.KEPT_BACK]

    async def _opened(self, keys: OwnerKeys, stored: StoredMessage) -> Case:
        raw = await self._opener.message_body(keys, stored)
        structure = await aside(len(raw), mime.scan, raw)
        reading = await self._reader.read(keys.owner, raw, structure)
        return await self._gathered(keys, stored, structure, reading)

    async def for_record(self, owner: OwnerId, number: int, record: OwnerId, actor: str) -> Case | None:
        """A message of a patient's mailbox, read as if it were for another record. Raises as `open`."""
        keys = await self._opener.open(owner, actor, "correct")
        stored = await self._store.read(lambda c: messages.one_message(c, owner, number))
        if stored is None:
            return None
        raw = await self._opener.message_body(keys, stored)
        structure = await aside(len(raw), mime.scan, raw)
        reading = await self._reader.read(owner, raw, structure)
        return await self._gathered(await self._opener.open(record, actor, "correct"), stored, structure, reading)

    async def of_application(
        self, owner: OwnerId, number: int, actor: str, record: OwnerId | None = None
    ) -> Case | None:
        """A message of an application mailbox, opened and read; for the record that it names, or for `record`. None
        when it brings nothing for records, or when its mailbox feeds none. Raises SandboxIll, SandboxBusy, SealBroken.
        """
        keys = await self._opener.open(owner, actor, "feed")
        stored, box = await self._store.read(
            lambda c: (messages.one_message(c, owner, number), owners.mailbox(c, owner))
        )
        if stored is None or box is None:
            return None
        address = MailAddress.parse(profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, box.address_sealed)).address)
        if address.key not in self._fed_by:
            return None
        raw = await self._opener.message_body(keys, stored)
        structure = await aside(len(raw), mime.scan, raw)
        sender = announcing.sender_of(structure)
        is_answer = letters.header_facts(structure).is_answer or mdn.is_failure_subject(
            structure.header("Subject") or ""
        )
        if sender is None or self._house.matricule_of(sender) or is_answer:
            return None  # nobody to answer, a patient's own files, a report, an absence, our own document come back
        of_the_house = await self._is_colleague(sender, address)
        reading = await self._reader.read(owner, raw, structure, by_application=True, opens_forwarded=of_the_house)
        found = record or await self._store.read(lambda c: self._record_named(c, reading))
        of_record = keys if found is None else await self._opener.open(found, actor, "file")
        feed = Feed(owner, address)
        case = await self._gathered(of_record, stored, structure, reading, feed)
        return case if found is not None else replace(case, addressee=(), former=())

    async def _is_colleague(self, sender: MailAddress, address: MailAddress) -> bool:
        """Whether somebody of the same structure sends, who has signed in here: his word is that he forwards."""
        hashed = self._records.sender_hmac(sender)

        def ask(connection: Connection) -> bool:
            found = owners.find(connection, hashed, way=Way.OPEN)
            box = None if found is None else owners.mailbox(connection, found)
            return box is not None and box.kind is not MailboxKind.PATIENT

        return sender.domain == address.domain and await self._store.read(ask)

    def _record_named(self, connection: Connection, reading: Reading) -> OwnerId | None:
        """The one record to which every INS leads that is known here; None when there is none, or more than one."""
        claimed = {
            (claim.value.upper(), claim.oid)
            for document in reading.documents
            for claim in (*(document.metadata_ins or ()), *(document.own_ins or ()))
            if claim is not None
        }
        found = {self._records.with_ins(connection, value, oid) for value, oid in claimed} - {None}
        owner = next(iter(found)) if len(found) == 1 else None
        patient = None if owner is None else patients.patient(connection, owner)
        is_there = patient is not None and patient.state not in (AccountState.CLOSED, AccountState.SUSPENDED)
        return owner if is_there else None

    async def _gathered(
        self, keys: OwnerKeys, stored: StoredMessage, structure: Structure, reading: Reading, feed: Feed | None = None
    ) -> Case:
        owner = keys.owner
        contents = [document.content for document in reading.documents]
        addressee, former = await self._identities(keys)
        octets = sum(map(len, contents))
        hmacs = await aside(octets, lambda: tuple(self._records.content_hmac(owner, one) for one in contents))
        sender = announcing.sender_of(structure)
        sent_by = self._records.sender_hmac(sender)
        return Case(
            keys=keys,
            stored=stored,
            structure=structure,
            reading=reading,
            addressee=addressee,
            content_hmacs=hmacs,
            sender=sender,
            sent_by=sent_by,
            sent_from=await self._store.look_up(lambda c: owners.structure_behind(c, sent_by)) if sent_by else "",
            former=former,
            targets=await self._targets(keys, reading),
            feed=feed,
        )

    async def _identities(self, keys: OwnerKeys) -> tuple[tuple[Identity, ...], tuple[Identity, ...]]:
        """The identities that are valid now, and those that have ended, of which a human decides."""
        now_ms = to_ms(self._clock.now())
        rows = await self._store.look_up(lambda c: patients.identities(c, keys.owner))
        valid: list[Identity] = []
        former: list[Identity] = []
        for row in rows:
            ins, traits = identity_from_bytes(keys.open_small(IDENTITY_KIND, row.identity, row.identity_sealed))
            kept = valid if row.valid_until_ms == 0 or row.valid_until_ms > now_ms else former
            kept.append(Identity(ins, traits, row.status == IdentityStatus.QUALIFIED))
        return tuple(valid), tuple(former)

    async def _targets(self, keys: OwnerKeys, reading: Reading) -> dict[str, int]:
        """Where archives name a document of the record by its entry id, the only way is to look through the record."""
        named = [(*document.replaces, document.entry.adds_to) for document in reading.documents]
        wanted = {target for targets in named for target in targets if is_entry_id(target)}
        if not wanted:
            return {}
        rows = await self._store.read(lambda c: records.documents(c, keys.owner))
        views = [self._records.view(keys, row) for row in rows]
        return {view.entry.entry_uuid: view.number for view in views if view.entry.entry_uuid in wanted}

    def facts(self, connection: Connection, case: Case, *, checked_by_human: bool = False) -> MessageFacts:
        """Everything for the judge, the record as this transaction sees it."""
        problem = case.reading.problem
        if problem is not None and not (checked_by_human and problem.may_be_overruled):
            return MessageFacts(problem=problem)
        announces = None if case.announces is None else self._announceable(connection, case.announces)
        standing = [self._records.known(connection, case.keys.owner, d.entry.unique_id) for d in case.reading.documents]
        flags = frozenset(
            [flag for document in case.reading.documents for flag in document.flags]
            + [flag for row in standing if row is not None for flag in row.visibility.split(",")]
        )
        documents = tuple(self._document(connection, case, index, row, flags) for index, row in enumerate(standing))
        is_loose = case.reading.has_loose_files
        return MessageFacts(
            documents=documents,
            checked_by_human=checked_by_human,
            checked_by_two=checked_by_human and case.checked_by_two,
            corrected=case.corrected,
            labels=case.labels,
            called=case.called,
            holds_loose_files=is_loose,
            announces=announces,
        )

    def _announceable(self, connection: Connection, cases: Sequence[Case]) -> tuple[int, ...]:
        """Of messages kept back those that still are, and whose hidden documents came with them: a document that
        another mailbox hid is not this one's to announce."""
        found = []
        for case in cases:
            current = messages.one_message(connection, case.keys.owner, case.stored.message)
            rows = self.rows(connection, case)
            is_its_own = all(row.message == case.stored.message for row in rows if hides_from_patient(row))
            if current is not None and current.state == MessageState.KEPT_BACK and is_its_own:
                found.append(case.stored.message)
        return tuple(found)

    def rows(self, connection: Connection, case: Case) -> list[DocumentRow]:
        """The documents of a message that stand in the record."""
        ids = [document.entry.unique_id for document in case.reading.documents]
        rows = [self._records.known(connection, case.keys.owner, unique_id) for unique_id in ids]
        return [row for row in rows if row is not None]

    def _document(
        self, connection: Connection, case: Case, index: int, row: DocumentRow | None, flags: frozenset[str]
    ) -> DocumentFacts:
        document = case.reading.documents[index]
        standing = None if row is None else self._standing(case, row, case.content_hmacs[index])
        return DocumentFacts(
            addressee=case.addressee,
            accepts_test_identities=self._house.accepts_test_identities,
            said_not_qualified=case.said_not_qualified,
            metadata_ins=document.metadata_ins,
            cda_ins=document.own_ins,
            traits=document.traits,
            metadata_traits=document.metadata_traits,
            flags=flags,
            action=document.action,
            authors=document.authors,
            sent_by=case.sent_by,
            standing=standing,
            must_replace=document.must_replace,
            replaced=None if standing else self._replaced(connection, case, document),
            newer=None if standing else self._newer(connection, case, document),
            names_several=document.imaging is not None and bool(document.imaging.people),
            added_to=self._added_to(connection, case, document.entry.adds_to),
            former=case.former,
            by_application=case.feed is not None,
        )

    def _added_to(self, connection: Connection, case: Case, target: str) -> Known | None:
        """The document of the record to which one adds; None when it came with it, or never came."""
        if not target:
            return None
        if target in case.targets:
            row = records.document(connection, case.keys.owner, case.targets[target])
        else:
            row = self._records.known(connection, case.keys.owner, target)
        return None if row is None else self._known(case, row)

    def _replaced(self, connection: Connection, case: Case, document: ReadDocument) -> Known | None:
        """The document that this one replaces: named by id, in this message or in the record; else the version of
        the same set before it, where a header names an id that never came here."""
        if not document.replaces and not document.must_replace:
            return None
        for target in document.replaces:
            if target in case.targets:
                row = records.document(connection, case.keys.owner, case.targets[target])
            else:
                row = self._records.known(connection, case.keys.owner, target)
            if row is not None:
                return self._known(case, row)
            for place, other in enumerate(case.reading.documents):
                if other is not document and target in (other.entry.unique_id, other.entry.entry_uuid):
                    return Known(in_message(place), DocumentStatus.APPROVED, other.authors, case.sent_by)
        before = [row for row, version in self._versions(connection, case, document) if version < version_of(document)]
        return self._known(case, before[-1]) if before else None

    def _newer(self, connection: Connection, case: Case, document: ReadDocument) -> Known | None:
        """A later version of the same author's that came before this one."""
        for row, version in self._versions(connection, case, document):
            known = self._known(case, row)
            if version > version_of(document) and same_author(document.authors, known.authors):
                return known
        return None

    def _versions(self, connection: Connection, case: Case, document: ReadDocument) -> list[tuple[DocumentRow, int]]:
        """The current documents of the same CDA set, with their version numbers."""
        if not document.entry.set_id or not version_of(document):
            return []
        rows = self._records.of_set(connection, case.keys.owner, document.entry.set_id)
        current = [row for row in rows if row.status == DocumentStatus.APPROVED]
        numbered = [(row, _number(self._records.view(case.keys, row).entry.version)) for row in current]
        return [(row, version) for row, version in numbered if version]

    def _known(self, case: Case, row: DocumentRow) -> Known:
        authors = self._records.view(case.keys, row).entry.authors
        return Known(row.document, DocumentStatus(row.status), authors, row.sent_by_hmac)

    def _standing(self, case: Case, row: DocumentRow, content_hmac: bytes) -> Standing:
        known = self._known(case, row)
        is_same = row.content_hmac == content_hmac
        return Standing(known.number, is_same, known.status, known.authors, known.sent_by)


def hides_from_patient(row: DocumentRow) -> bool:
    return Visibility.HIDDEN_FROM_PATIENT.value in row.visibility.split(",")


def in_message(place: int) -> int:
    """The number of a document that is not filed yet: below zero, by its place in the message."""
    return -1 - place


def place_in_message(number: int) -> int:
    """Undo `in_message`."""
    return -1 - number


def is_entry_id(target: str) -> bool:
    """An entryUUID, unlike a uniqueId, which begins with an OID."""
    return target.startswith("urn:uuid:")


def version_of(document: ReadDocument) -> int:
    """The versionNumber of a CDA; 0 when there is none that can be compared."""
    return _number(document.entry.version)


def _number(version: str) -> int:
    return int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
