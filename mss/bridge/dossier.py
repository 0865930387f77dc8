"""What does one row hand over? The document, whose it is, and the mail that brought it, opened when it leaves.

Opened by the works alone, written down by the vault, held for the length of one handing over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mss.accounts.profiles import Profiles
from mss.accounts.service import KnownIdentity
from mss.bridge.cases import is_entry_id
from mss.bridge.routing import Offer, Route, take_for
from mss.directory.search import Search
from mss.formats import headers, mime
from mss.formats.mdm import LETTER_BYTES_MAX, NO_UNIT, Letter, Unit
from mss.formats.parts import Structure, decode_text
from mss.mail.mailboxes import sender_of, text_part
from mss.model.document import Author, DocumentEntry, DocumentStatus
from mss.model.errors import NotFound, SealBroken
from mss.model.ids import OwnerId
from mss.model.mailbox import MailboxKind
from mss.model.people import IdentityStatus
from mss.record.service import DocumentView, Records
from mss.store import corrections, handovers, messages, records
from mss.store.database import Store
from mss.store.handovers import Handover, HandoverAct
from mss.store.records import DocumentRow
from mss.store.sql import Connection
from mss.vault.opener import Opener, OwnerKeys

ACTOR = "sinks"
SOFTWARE_HEADER = "X-MSS-NIL"
SOFTWARE_CHARS_MAX = 199
"""Of an identifier of a device (HL7 v2.6 EI.1)."""


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything that a sink may be told. `act` is what it means to this sink: an original where it never had the one
    before; None when there is nothing to tell. `identity`: of the record that is read today, also where the document
    lies in one that was merged into it."""

    row: Handover
    act: HandoverAct | None
    entry: DocumentEntry
    content: bytes
    visibility: frozenset[str]
    identity: KnownIdentity
    letter: Letter
    unit: Unit
    replaces: str = ""
    """uniqueId of the version before, where this one stands in its place."""
    adds_to: str = ""
    """uniqueId of the document beside which this one stands (`entry.adds_as` says how); empty when none, or unknown."""
    is_known: bool = False
    """The sink has accepted it before, perhaps as another record's, and was not asked to withdraw it since."""
    is_current: bool = True

    def __repr__(self) -> str:  # never in a log
        return f"Dossier({self.row.id})"

    @property
    def identity_is_sure(self) -> bool:
        return self.identity.status is IdentityStatus.QUALIFIED


class Dossiers:
    """Opens."""

    def __init__(
        self, store: Store, opener: Opener, records_: Records, routes: Mapping[str, Route], patient_domain: str
    ) -> None:
        self._search = Search(store)
        self._store = store
        self._opener = opener
        self._records = records_
        self._routes = routes
        self._patient_domain = patient_domain
        self._profiles = Profiles(store)

    async def open(self, row: Handover) -> Dossier:
        """Raises NotFound, SealBroken, StorageUnavailable."""
        keys = await self._opener.open(OwnerId(row.owner), ACTOR, "hand over")

        known = await self._store.read(lambda c: _known(c, row))
        found = known.document
        if found is None:
            raise NotFound("document")
        view = self._records.view(keys, found)
        today = keys if known.home == row.owner else await self._opener.open(known.home, ACTOR, "hand over")
        identity = await self._profiles.identity(today)
        if identity is None:
            raise NotFound("identity")
        letter, mailbox = await self._letter(row)
        return Dossier(
            row=row,
            act=_meaning(HandoverAct(row.act), has_it=known.has_it, has_earlier=known.earlier is not None),
            entry=view.entry,
            content=await self._records.content(keys, found),
            visibility=view.visibility,
            identity=identity,
            letter=letter,
            unit=self._unit(row.sink, view, mailbox),
            replaces="" if known.earlier is None else self._records.view(keys, known.earlier).entry.unique_id,
            adds_to=await self._added_to(keys, view.entry.adds_to),
            is_known=known.is_known,
            is_current=found.status == DocumentStatus.APPROVED,
        )

    async def _added_to(self, keys: OwnerKeys, named: str) -> str:
        """As a uniqueId, where an archive named the entry."""
        if not is_entry_id(named):
            return named
        rows = await self._store.read(lambda c: records.documents(c, keys.owner))
        entries = (self._records.view(keys, row).entry for row in rows)
        return next((one.unique_id for one in entries if one.entry_uuid == named), "")

    async def title(self, row: Handover) -> str:
        """How its document is called; empty when that cannot be opened."""
        try:
            keys = await self._opener.open(OwnerId(row.owner), ACTOR, "hand over")
            found = await self._store.read(lambda c: records.document(c, row.owner, row.document))
            return "" if found is None else self._records.view(keys, found).entry.title
        except (NotFound, SealBroken):
            return ""

    async def staff_domain(self, row: Handover) -> str:
        """Of the mailbox that brought it, whose staff decide; empty when that cannot be opened."""
        try:
            keys = await self._opener.open(OwnerId(row.box), ACTOR, "hand over")
            return (await self._profiles.mailbox_address(keys)).partition("@")[2]
        except (NotFound, SealBroken):
            return ""

    def _unit(self, sink: str, view: DocumentView, mailbox: str) -> Unit:
        route = self._routes.get(sink)
        offer = Offer(mailbox, view.entry.type.code, view.entry.practice.code)
        take = None if route is None else take_for(route, offer)
        return NO_UNIT if take is None else take.unit

    async def _letter(self, row: Handover) -> tuple[Letter, str]:
        """The mail, and its mailbox as routes name it."""
        keys = await self._opener.open(OwnerId(row.box), ACTOR, "hand over")
        stored = await self._store.read(lambda c: messages.one_message(c, row.box, row.message))
        if stored is None:
            raise NotFound("message")
        raw = await self._opener.message_body(keys, stored)
        structure = await asyncio.to_thread(mime.scan, raw)
        address = await self._profiles.mailbox_address(keys)
        domain = address.partition("@")[2]
        mailbox = f"@{domain}" if domain == self._patient_domain else address
        letter = await asyncio.to_thread(_letter_of, raw, structure, address)
        return await self._with_sender(letter), mailbox

    async def _with_sender(self, letter: Letter) -> Letter:
        """Person, structure or software behind a sending mailbox, where the directory knows one for certain."""
        found = await self._search.at(letter.sender)
        is_software = {one.listing.kind for one in found} == {MailboxKind.APPLICATION}
        people = {one.listing.idnps: one.listing for one in found}
        places = {one.listing.idnst: one.listing.structure for one in found}
        person = next(iter(people.values())) if len(people) == 1 else None
        structure = next(iter(places)) if len(places) == 1 else ""
        sent_by = Author(
            person_id=person.idnps if person else "",
            person_name=f"{person.given} {person.family.upper()}".strip() if person and person.idnps else "",
            institution_id=structure,
            institution_name=places[structure] if structure else "",
        )
        return replace(letter, sent_by=sent_by, software=(letter.software or letter.sender) if is_software else "")


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store says of a row. `home`: the record that is read today; `earlier`: the version before, where the
    sink has it."""

    home: OwnerId
    document: DocumentRow | None
    earlier: DocumentRow | None
    has_it: bool
    is_known: bool


def _known(c: Connection, row: Handover) -> _Known:
    number, is_moved = row.earlier, row.act == HandoverAct.RELINK
    if not number:
        number = max(records.replaced_by(c, row.owner, row.document), default=0)
    has_earlier = bool(number) and (
        handovers.anybody_has_it(c, row.sink, number) if is_moved else handovers.has_it(c, row.owner, row.sink, number)
    )
    return _Known(
        home=OwnerId(corrections.merged_into(c, row.owner)),
        document=records.document(c, row.owner, row.document),
        earlier=records.document(c, row.owner, number) if has_earlier else None,
        has_it=handovers.has_it(c, row.owner, row.sink, row.document),
        is_known=is_moved and handovers.anybody_has_it(c, row.sink, row.document),
    )


def _meaning(act: HandoverAct, *, has_it: bool, has_earlier: bool) -> HandoverAct | None:
    """What an act here means to a sink that has, or has not, what it is about."""
    if act in (HandoverAct.WITHDRAW, HandoverAct.ANNOUNCE):
        return act if has_it else None
    if act is HandoverAct.RELINK:
        return act
    return HandoverAct.REPLACE if has_earlier else HandoverAct.FILE


def _letter_of(raw: bytes, structure: Structure, recipient: str) -> Letter:
    part = text_part(structure, "text/plain")
    replies = headers.parse_addresses(structure.header("Reply-To") or "")
    return Letter(
        message_id=next(iter(headers.parse_message_ids(structure.header("Message-ID") or "")), ""),
        subject=headers.decode_words(structure.header("Subject") or ""),
        words="" if part is None else decode_text(raw, part, LETTER_BYTES_MAX),
        sender=sender_of(structure)[1],
        recipient=recipient,
        reply_to=replies[0].address if replies else "",
        software=(structure.header(SOFTWARE_HEADER) or "").strip()[:SOFTWARE_CHARS_MAX],
    )
