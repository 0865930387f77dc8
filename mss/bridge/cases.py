"""What is known when a message is judged? The message opened and read, its addressee, and what her record holds.

Gathers facts for the judge. What concerns the record is asked again inside the transaction that files, since two
messages may bring the same document at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mss.accounts.service import IDENTITY_KIND, identity_from_bytes
from mss.bridge import announcing, claims
from mss.bridge.facts import DocumentFacts, Identity, Known, Label, MessageFacts, Standing
from mss.bridge.names import Called, label_of_file, label_of_subject
from mss.bridge.reading import ReadDocument, Reader, Reading
from mss.bridge.versions import same_author
from mss.formats import headers, mime
from mss.formats.parts import Structure
from mss.mail.recipients import House
from mss.model.clock import Clock, to_ms
from mss.model.document import DocumentStatus, Visibility
from mss.model.ids import OwnerId
from mss.model.people import IdentityStatus
from mss.record.service import Records
from mss.store import messages, patients, records
from mss.store.database import Store
from mss.store.messages import MessageState, StoredMessage
from mss.store.records import DocumentRow
from mss.store.sql import Connection
from mss.vault.opener import Opener, OwnerKeys

INS_HEADER = "X-MSS-INS"
NOT_QUALIFIED = "N"


@dataclass(frozen=True, slots=True)
class Case:
    """A message before its judge."""

    keys: OwnerKeys
    stored: StoredMessage
    structure: Structure
    reading: Reading
    addressee: tuple[Identity, ...]
    content_hmacs: tuple[bytes, ...]
    sent_by: bytes = b""
    """The keyed hash of the mailbox that sends; empty for the null path."""
    announces: tuple[Case, ...] | None = None
    """The messages kept back that this one announces, opened; None when it announces nothing."""
    former: tuple[Identity, ...] = ()
    """Identities of hers that have ended."""
    box: str = ""
    """The address of the application mailbox that it came to; empty for a patient's own."""
    targets: dict[str, int] = field(default_factory=dict)
    """Entry ids of documents of the record that archives name, with their numbers."""

    @property
    def message_id(self) -> str:
        return next(iter(headers.parse_message_ids(self.structure.header("Message-ID") or "")), "")

    @property
    def sender_name(self) -> str:
        """Who sent it, as From shows."""
        shown = headers.parse_addresses(self.structure.header("From") or "")
        return (shown[0].name or shown[0].address) if shown else ""

    @property
    def subject(self) -> str:
        return headers.decode_words(self.structure.header("Subject") or "")

    @property
    def labels(self) -> tuple[Label, ...]:
        """The words that should name the patient. A report's are those of the mail that it is about."""
        if self.structure.root.content_type == "multipart/report":
            return ()
        told = [Label("subject", label_of_subject(self.subject))]
        told += [Label("file name", label_of_file(name)) for name in self.reading.file_names]
        return tuple(label for label in told if label.text)

    @property
    def called(self) -> tuple[Called, ...]:
        """What the patient may be called: as we know her, and with the names in use that her documents tell."""
        headers_of = [document.header.patient for document in self.reading.documents if document.header]
        used = [one.used_name for one in headers_of], [one.used_given_name for one in headers_of]
        return tuple(
            Called(
                tuple(filter(None, (one.traits.birth_name, *used[0]))),
                tuple(filter(None, (*one.traits.given_names, *used[1]))),
                one.traits.birth_date,
            )
            for one in (*self.addressee, *self.former)
        )


class Cases:
    """Gathers."""

    def __init__(
        self, store: Store, opener: Opener, reader: Reader, records: Records, house: House, clock: Clock
    ) -> None:
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

    async def open(self, owner: OwnerId, number: int, actor: str) -> Case | None:
        """Open and read a message. None when there is none. Raises SandboxIll, SandboxBusy, SealBroken."""
        keys = await self._opener.open(owner, actor, "file")
        stored = await self._store.read(lambda c: messages.one_message(c, owner, number))
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
        owner = keys.owner
        raw = await self._opener.message_body(keys, stored)
        structure = await asyncio.to_thread(mime.scan, raw)
        reading = await self._reader.read(owner, raw, structure)
        contents = [document.content for document in reading.documents]
        addressee, former = await self._identities(keys)
        hmacs = await asyncio.to_thread(lambda: tuple(self._records.content_hmac(owner, one) for one in contents))
        return Case(
            keys=keys,
            stored=stored,
            structure=structure,
            reading=reading,
            addressee=addressee,
            content_hmacs=hmacs,
            sent_by=self._records.sender_hmac(announcing.sender_of(structure)),
            former=former,
            targets=await self._targets(keys, reading),
        )

    async def _identities(self, keys: OwnerKeys) -> tuple[tuple[Identity, ...], tuple[Identity, ...]]:
        """The identities that are valid now, and those that have ended, of which a human decides."""
        now_ms = to_ms(self._clock.now())
        rows = await self._store.read(lambda c: patients.identities(c, keys.owner))
        valid: list[Identity] = []
        former: list[Identity] = []
        for row in rows:
            ins, traits = identity_from_bytes(keys.open_small(IDENTITY_KIND, row.identity, row.identity_sealed))
            kept = valid if row.valid_until_ms == 0 or row.valid_until_ms > now_ms else former
            kept.append(Identity(ins, traits, row.status == IdentityStatus.QUALIFIED))
        return tuple(valid), tuple(former)

    async def _targets(self, keys: OwnerKeys, reading: Reading) -> dict[str, int]:
        """Where archives name a document of the record by its entry id, the only way is to look through the record."""
        wanted = {target for document in reading.documents for target in document.replaces if is_entry_id(target)}
        if not wanted:
            return {}
        rows = await self._store.read(lambda c: records.documents(c, keys.owner))
        views = [self._records.view(keys, row) for row in rows]
        return {view.entry.entry_uuid: view.number for view in views if view.entry.entry_uuid in wanted}

    def facts(self, connection: Connection, case: Case, *, checked_by_human: bool = False) -> MessageFacts:
        """Everything for the judge, the record as this transaction sees it."""
        if case.reading.problem is not None:
            return MessageFacts(problem=case.reading.problem)
        announces = None if case.announces is None else self._announceable(connection, case.announces)
        standing = [self._records.known(connection, case.keys.owner, d.entry.unique_id) for d in case.reading.documents]
        flags = frozenset(
            [flag for document in case.reading.documents for flag in document.flags]
            + [flag for row in standing if row is not None for flag in row.visibility.split(",")]
        )
        documents = tuple(self._document(connection, case, index, row, flags) for index, row in enumerate(standing))
        is_loose = case.reading.has_loose_files
        return MessageFacts(documents, None, checked_by_human, case.labels, case.called, is_loose, announces)

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
        header = document.header
        said = (case.structure.header(INS_HEADER) or "").strip().upper()
        standing = None if row is None else self._standing(case, row, case.content_hmacs[index])
        return DocumentFacts(
            addressee=case.addressee,
            accepts_test_identities=self._house.accepts_test_identities,
            said_not_qualified=said == NOT_QUALIFIED,
            metadata_ins=document.metadata_ins,
            cda_ins=None if header is None else claims.ins_of_cda(header.patient),
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
            former=case.former,
        )

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
