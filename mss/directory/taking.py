"""May this be said of that mailbox, and what becomes of it? Publications of whoever runs a domain, taken in.

All operations of one request are judged and written in one transaction, or none. Nothing is believed but what somebody
may say of her own domain's mailboxes: never another holder, never another kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mss.directory import ownfacts
from mss.directory.entries import roles, whole
from mss.directory.facts import Kind, listing_of, numbers_about
from mss.directory.ours import OwnMailboxes
from mss.directory.own import OF_PEOPLE, Own, Wish, from_text, to_text
from mss.directory.walking import is_read
from mss.directory.wholes import Entry, Unit, carrier, number_as_id
from mss.directory.wishes import SAYS, Change, Delete, Insert, Operation, Replace, Told
from mss.model.clock import Clock
from mss.model.directory import Listing
from mss.model.errors import BadValue, NotFound
from mss.model.ids import MailAddress
from mss.model.mailbox import MailboxKind
from mss.store import directory, ownmailboxes
from mss.store.database import Store
from mss.store.ownmailboxes import OwnRow, OwnState
from mss.store.sql import Connection

LANE = 0


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who speaks, and for which domains."""

    name: str
    domains: frozenset[str]


@dataclass(frozen=True, slots=True)
class Target:
    """Which resource is meant: by id, or by the national numbers that a token may mean."""

    unit: Unit
    id: str = ""
    numbers: tuple[str, ...] = ()


class NotThere(NotFound):
    """No resource is meant."""


class Several(BadValue):
    """More than one is meant."""


class Changed(BadValue):
    """It is not as whoever asks has read it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What the resource is afterwards (None: nothing of it is left), and how many mailboxes changed."""

    entry: Entry | None
    changed: int


@dataclass(slots=True)
class Taking:
    """Judges and writes. `own_domains`: of this operator, where a mailbox must exist before it is listed."""

    store: Store
    ours: OwnMailboxes
    clock: Clock
    own_domains: frozenset[str] = field(default_factory=frozenset)

    async def patch(
        self,
        target: Target,
        operations: Sequence[Operation],
        publisher: Publisher,
        is_as_read: Callable[[Entry], bool] = lambda _: True,
    ) -> Taken:
        """Do all of it or nothing. `is_as_read`: whether the resource is the one that was asked for (If-Match).

        Raises NotThere, Several, Changed; BadValue for what cannot be said, with words for whoever asked.
        """
        now = self.clock.now()

        def act(connection: Connection) -> Taken:
            entry = _meant(connection, target)
            if not is_as_read(entry):
                raise Changed("it has changed since it was read: read it again")
            changed = sum(self._one(connection, entry, one, publisher, now) for one in operations)
            return Taken(whole(connection, entry.unit, entry.id) if changed else entry, changed)

        return await self.store.write(LANE, act)

    def _one(
        self, connection: Connection, entry: Entry, operation: Operation, publisher: Publisher, now: datetime
    ) -> bool:
        address = MailAddress.parse(operation.address)
        if address.domain not in publisher.domains:
            raise BadValue(f"{address.domain} is not a domain that this software publishes for")
        row = ownmailboxes.one(connection, self.ours.hash_of(address), locks=True)
        entry = whole(connection, entry.unit, entry.id) or entry  # as the operations before have left it
        shown = [one.listing for one in entry.listings if one.listing.address == address.key]
        here = [one for one in shown if carrier(one) is entry.unit]
        actor = f"fhir:{publisher.name}"
        if isinstance(operation, Insert):
            return self._insert(connection, entry, row, here, operation.told, now, actor)
        if row is not None and not self._is_holders(entry, row):
            raise BadValue(f"{address}: no such mailbox in this {entry.unit}")
        if isinstance(operation, Delete):
            return self._delete(connection, entry, row, here, address, now, actor)
        return self._change(connection, entry, row, here, operation, now, actor)

    # ── a mailbox that is to be listed ──

    def _insert(
        self, connection: Connection, entry: Entry, row: OwnRow | None, here: list[Listing], told: Told, now: datetime,
        actor: str,
    ) -> bool:  # fmt: skip
        address = MailAddress.parse(told.address)
        if row is None and address.domain in self.own_domains:
            try:
                row = self.ours.known(connection, address, now, actor)
            except NotFound:
                raise BadValue(f"{address}: there is no such mailbox; make it first") from None
        if row is None:
            return self._begin(connection, entry, here, told, now, actor)
        if row.kind != told.kind or not self._is_holders(entry, row):
            raise BadValue(f"{address} is another's, or of another kind: neither ever changes")
        if row.state is OwnState.CLOSED:
            raise BadValue(f"{address} is closed")
        if not row.holder_hmac and row.kind in OF_PEOPLE:
            raise BadValue(f"{address}: nobody has said here whose it is (mss mailbox create --national-id)")
        own = _with(_placed(from_text(row.text) if row.text else _own(entry, told.address, told.kind), entry), told)
        if here and to_text(own) != row.text:
            raise BadValue(f"{address} stands here already: replace it")
        return self.ours.write(connection, row, own, now, actor, is_unlisted=told.is_unlisted) != row

    def _begin(
        self, connection: Connection, entry: Entry, here: list[Listing], told: Told, now: datetime, actor: str
    ) -> bool:
        """The first word on a mailbox of another operator's domain."""
        own = _own(entry, told.address, told.kind)
        if any(not _is_same_mailbox(own, one) for one in _listed(connection, told.address)):
            raise BadValue(f"{told.address} is another's, or of another kind: neither ever changes")
        if here:
            raise BadValue(f"{told.address} stands here already: replace it")
        row = ownfacts.begin(connection, self.ours.lookup, own, now, actor)
        self.ours.write(connection, row, _with(own, told), now, actor, is_unlisted=told.is_unlisted)
        return True

    # ── one that is ──

    def _delete(
        self, connection: Connection, entry: Entry, row: OwnRow | None, here: list[Listing], address: MailAddress,
        now: datetime, actor: str,
    ) -> bool:  # fmt: skip
        if not here:
            if row is None:
                raise BadValue(f"{address}: no such mailbox in this {entry.unit}")
            return False  # gone already
        row = row or self._first(connection, entry, here, address, now, actor)
        after = self.ours.write(connection, row, from_text(row.text), now, actor, state=OwnState.WITHDRAWN)
        return after != row

    def _change(
        self, connection: Connection, entry: Entry, row: OwnRow | None, here: list[Listing],
        operation: Replace | Change, now: datetime, actor: str,
    ) -> bool:  # fmt: skip
        address = MailAddress.parse(operation.address)
        if not here:
            if row is not None and row.is_unlisted and _is_unlisting(operation):
                return False
            raise BadValue(f"{address}: no such mailbox in this {entry.unit}; one that is not listed is inserted")
        row = row or self._first(connection, entry, here, address, now, actor)
        own = from_text(row.text)
        if isinstance(operation, Replace):
            if operation.told.kind is not own.kind:
                raise BadValue(f"{address}: the kind of a mailbox never changes")
            own, unlists = _with(own, operation.told, whole=True), operation.told.is_unlisted
        else:
            if operation.field not in SAYS[own.kind]:
                raise BadValue(f"a {own.kind} mailbox has no {operation.field}")
            unlists = operation.field == "is_unlisted" and bool(operation.value)
            if operation.field != "is_unlisted":
                own = Wish(**{operation.field: operation.value}).of(own)  # type: ignore[arg-type]
        return self.ours.write(connection, row, own, now, actor, is_unlisted=unlists) != row

    def _first(
        self, connection: Connection, entry: Entry, here: list[Listing], address: MailAddress, now: datetime, actor: str
    ) -> OwnRow:
        """Of a mailbox that only a national file has named until now."""
        if address.domain in self.own_domains:
            try:
                return self.ours.known(connection, address, now, actor)
            except NotFound:
                raise BadValue(f"{address}: there is no such mailbox; the national file is wrong") from None
        kind = here[0].kind
        assert kind is not None, "an address has a kind"
        return ownfacts.begin(connection, self.ours.lookup, _own(entry, address.key, kind), now, actor)

    def _is_holders(self, entry: Entry, row: OwnRow) -> bool:
        """Whether the resource is of whoever has the mailbox, as far as that is known."""
        own = _own(entry, "x@x.example", MailboxKind(row.kind))
        return not row.holder_hmac or ownfacts.holder_hash(self.ours.lookup, own) == row.holder_hmac


def _meant(connection: Connection, target: Target) -> Entry:
    """Raises NotThere, Several."""
    if target.id:
        found = [whole(connection, target.unit, target.id)]
    elif target.unit is Unit.ROLE:
        found = [one for number in target.numbers for one in roles(connection, number_as_id(number))]
    elif target.unit is Unit.PRACTITIONER:
        found = [whole(connection, target.unit, number_as_id(number)) for number in target.numbers]
    else:
        found = [whole(connection, target.unit, number) for number in target.numbers]
    entries = {one.id: one for one in found if one is not None}
    if not entries:
        raise NotThere(f"no {target.unit} is meant by that")
    if len(entries) > 1:
        raise Several(f"several resources are meant by that: say the id of one {target.unit}")
    return next(iter(entries.values()))


def _own(entry: Entry, address: str, kind: MailboxKind) -> Own:
    """A mailbox of this resource, before anything is said of it."""
    if kind not in OF_PEOPLE:
        listing = entry.listings[0].listing if entry.listings else None
        if entry.structure is not None:
            told = entry.structure
            return Own(address, kind, idnst=told.idnst, structure=told.name, sector=told.sector, place=told.place)
        if listing is None or entry.unit is not Unit.ORGANIZATION:
            return Own(address, kind)
        return Own(address, kind, idnst=listing.idnst, structure=listing.structure, sector=listing.sector,
                   place=listing.place)  # fmt: skip
    if entry.unit is Unit.ORGANIZATION:
        return Own(address, kind)
    return _placed(Own(address, kind, idnps=entry.listings[0].listing.idnps), entry)


def _placed(own: Own, entry: Entry) -> Own:
    """With the name of its holder and, in a role, where she works: as the resource says."""
    if not entry.listings:
        return own
    if own.kind not in OF_PEOPLE:
        told = entry.structure
        return own if told is None else replace(own, idnst=told.idnst, structure=told.name, place=told.place)
    first = entry.listings[0].listing
    named = replace(own, family=first.family, given=first.given, civility=first.civility, profession=first.profession,
                    specialty=first.specialty)  # fmt: skip
    if entry.unit is not Unit.ROLE:
        return named
    return replace(named, idnst=first.idnst, structure=first.structure, sector=first.sector, place=first.place)


def _with(own: Own, told: Told, *, whole: bool = False) -> Own:
    """With what is said; `whole`: what is not said is not so any more."""
    if not whole:
        wish = Wish(told.description, told.service, told.responsible, told.phone, None, told.paperless, told.rank)
        return wish.of(own)
    texts = (told.description or "", told.service or "", told.responsible or "", told.phone or "")
    return replace(Wish(*texts).of(own), paperless=told.paperless, rank=told.rank or 0)


def _is_unlisting(operation: Replace | Change) -> bool:
    if isinstance(operation, Replace):
        return operation.told.is_unlisted
    return operation.field == "is_unlisted" and operation.value is True


def _is_same_mailbox(own: Own, listing: Listing) -> bool:
    holder = listing.idnps if own.kind in OF_PEOPLE else listing.idnst
    return listing.kind is own.kind and holder == own.holder


def _listed(connection: Connection, address: str) -> list[Listing]:
    """Every listing of an address, whoever says it."""
    sources = directory.sources(connection)
    found: list[Listing] = []
    for source in sources:
        rows = directory.facts_about(connection, *numbers_about(source, Kind.LISTING, address))
        found += [listing_of(row.text) for row in rows if row.kind == Kind.LISTING and is_read(sources, row)]
    return [one for one in found if one.address]
