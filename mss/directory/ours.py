"""What do we say of our own mailboxes, who said it when, and where do the national files say otherwise?

The third source of the directory (docs/decisions/0017-publishing.md): changed one by one, with history, and read at
every door in the same moment. What is written here is late at the national directory until it was brought there.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import structlog

from mss.crypto import seal
from mss.crypto.keys import Lookup
from mss.directory import ownfacts
from mss.directory.own import OF_PEOPLE, Own, Wish, from_text, to_text
from mss.directory.ownfacts import NOBODY
from mss.model.clock import Chance, Clock, from_ms, to_ms
from mss.model.errors import BadValue, NotFound
from mss.model.ids import MailAddress
from mss.model.mailbox import MailboxKind
from mss.store import addressnotes, audit, directory, owners, ownmailboxes, standings
from mss.store.database import Store
from mss.store.ownmailboxes import OwnRow, OwnState
from mss.store.sql import Connection

LANE = 0
ROWS_AT_ONCE = 200
WRITTEN_AT_ONCE = 20
"""Mailboxes of one transaction: some milliseconds each, and mail waits for it."""
HISTORY_MAX = 200
UNLISTED_ACT, SAID_ACT = "own.unlisted", "own.said"

log = structlog.get_logger("directory")


@dataclass(frozen=True, slots=True)
class OwnMailbox:
    """What stands of one mailbox. `own`: None on the red list."""

    row: OwnRow
    own: Own | None


@dataclass(frozen=True, slots=True)
class Change:
    """A line of its history."""

    at: datetime
    actor: str
    what: str
    own: Own | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A national file says something else of an address of ours."""

    address: str
    what: str


def seal_context(hashed: bytes) -> bytes:
    """What binds what is sealed to its row."""
    return b"own mailbox " + hashed


class OwnMailboxes:
    """Says and asks. `tasks_key`: the house's public key for work in flight."""

    def __init__(self, store: Store, lookup: Lookup, tasks_key: bytes, clock: Clock, chance: Chance) -> None:
        self._store = store
        self._lookup = lookup
        self._tasks_key = tasks_key
        self._clock = clock
        self._chance = chance

    @property
    def lookup(self) -> Lookup:
        return self._lookup

    def hash_of(self, address: MailAddress) -> bytes:
        """Under which its row is found."""
        return self._lookup.address(address.key)

    # ── asking ──

    async def of(self, address: MailAddress) -> OwnMailbox | None:
        """What we say of a mailbox; None when it is none of ours, or nothing was ever said."""
        hashed = self._lookup.address(address.key)
        row = await self._store.read(lambda c: ownmailboxes.one(c, hashed))
        return None if row is None else _mailbox(row)

    async def history(self, address: MailAddress) -> list[Change]:
        """Who said what, newest first."""
        hashed = self._lookup.address(address.key)
        rows = await self._store.read(lambda c: ownmailboxes.history(c, hashed, HISTORY_MAX))
        return [
            Change(from_ms(row.at_ms), row.actor, row.what, from_text(row.text) if row.text else None) for row in rows
        ]

    async def all(self) -> AsyncIterator[OwnMailbox]:
        """Each of them, a page in memory at a time."""
        after = b""
        while rows := await self._store.read(partial(ownmailboxes.page, after=after, rows_max=ROWS_AT_ONCE)):
            after = rows[-1].hmac
            for row in rows:
                yield _mailbox(row)

    async def differences(self) -> list[Difference]:
        """Where a national file names another holder or kind behind an address of ours, or lists one that is gone."""
        found: list[Difference] = []
        async for one in self.all():
            if one.own is not None:
                found += await self._store.read(partial(_differences, row=one.row, own=one.own))
        return found

    # ── saying ──

    async def say(self, address: MailAddress, wish: Wish, actor: str) -> OwnMailbox:
        """Change what is said of a mailbox of ours; read at every door when this returns. Safe to repeat: what is so
        already makes no version. `actor`: `staff:<account>`, `fhir:<client>`, for history and audit.

        Raises NotFound for an address without a mailbox here, BadValue for what cannot be said, or while it is on the
        red list and the wish does not end that.
        """
        now = self._clock.now()

        def act(connection: Connection) -> OwnRow:
            row = self.known(connection, address, now, actor)
            return self.apply(connection, row, address, wish, now, actor)

        return _mailbox(await self._store.write(LANE, act))

    def known(self, connection: Connection, address: MailAddress, now: datetime, actor: str) -> OwnRow:
        """The row of a mailbox, begun now if it was never. Locked. Raises NotFound."""
        row = ownmailboxes.one(connection, self._lookup.address(address.key), locks=True)
        if row is not None:
            return row
        own = self._found(connection, address)
        if own is None:
            raise NotFound(f"{address}: no mailbox of a professional, team or software here")
        return ownfacts.begin(connection, self._lookup, own, now, actor)

    def apply(
        self, connection: Connection, row: OwnRow, address: MailAddress, wish: Wish, now: datetime, actor: str
    ) -> OwnRow:
        """One change of a locked row, in the caller's transaction. Raises BadValue."""
        if row.state is OwnState.CLOSED:
            raise BadValue(f"{address} is closed: nothing is said of it any more")
        if row.is_unlisted:
            if wish.is_unlisted is not False:
                if wish == Wish(is_unlisted=True):
                    return row
                raise BadValue(f"{address} is on the red list, where nothing is kept: take it off with the same change")
            own = self._blank(connection, row, address, wish.holder)
        else:
            own = from_text(row.text)
        return self.write(connection, row, wish.of(own), now, actor, is_unlisted=wish.is_unlisted or False)

    def write(
        self,
        connection: Connection,
        row: OwnRow,
        own: Own,
        now: datetime,
        actor: str,
        *,
        is_unlisted: bool = False,
        state: OwnState = OwnState.LISTED,
    ) -> OwnRow:
        """A locked row as it is to be, in the caller's transaction; nothing when it is so already."""
        text = "" if is_unlisted else to_text(own)
        if (row.text, row.is_unlisted, row.state) == (text, is_unlisted, state):
            return row
        after = replace(
            row,
            holder_hmac=ownfacts.holder_hash(self._lookup, own) or row.holder_hmac,
            state=state,
            is_unlisted=is_unlisted,
            text=text,
            version=row.version + 1,
            changed_ms=to_ms(now),
            problem="",
            tries=0,
            since_ms=0,
            next_try_ms=0,
            sealed=self.sealed(own, row.hmac) if is_unlisted else b"",
        )
        act = UNLISTED_ACT if is_unlisted else SAID_ACT
        what = "unlisted" if is_unlisted else "withdrawn" if state is OwnState.WITHDRAWN else "said"
        ownfacts.write(connection, after, own, now, actor, what)
        if is_unlisted:
            ownmailboxes.forget_words(connection, row.hmac)
            addressnotes.forget(connection, own.address)
        elif own.purpose is not None and from_purpose(row) != own.purpose:
            addressnotes.write(connection, own.address, purpose=own.purpose, said_ms=to_ms(now))
        audit.write(connection, [audit.Act(now, actor, act, NOBODY, after.version, result=what)])
        return after

    def sealed(self, own: Own, hashed: bytes) -> bytes:
        """What is to be taken back, when the row does not say it any more; nobody but the works may read it."""
        plain = json.dumps([own.address, own.kind.value]).encode()
        return seal.seal_to(self._tasks_key, plain, seal_context(hashed), self._chance)

    def _found(self, connection: Connection, address: MailAddress) -> Own | None:
        """A mailbox of which nothing was said yet: its kind is ours, its holder as far as numbers agree."""
        hashed = self._lookup.address(address.key)
        owner = owners.find(connection, hashed, way=owners.Way.OPEN)
        box = None if owner is None else owners.mailbox(connection, owner)
        if box is None or box.kind is MailboxKind.PATIENT or box.address_hmac != hashed:
            return None
        own = Own(address.key, box.kind)
        listings = ownfacts.around(connection, directory.sources(connection), own)[0].listings
        if box.kind in OF_PEOPLE:
            standing = standings.standing(connection, box.owner)
            known = standing.person_hmac if standing else b""
            number = next((one.idnps for one in listings if one.idnps and self._lookup.person(one.idnps) == known), "")
            return replace(own, idnps=number)
        idnst = owners.structure_of(connection, box.owner)
        return replace(own, idnst=idnst or next((one.idnst for one in listings), ""))

    def _blank(self, connection: Connection, row: OwnRow, address: MailAddress, holder: str) -> Own:
        """Off the red list: what the mailbox itself still knows. Raises BadValue when it is not sure whose it is."""
        own = self._found(connection, address) or Own(address.key, MailboxKind(row.kind))
        if holder:
            own = replace(own, idnps=holder) if own.kind in OF_PEOPLE else replace(own, idnst=holder)
        if row.holder_hmac and ownfacts.holder_hash(self._lookup, own) != row.holder_hmac:
            raise BadValue(f"{address}: say whose it is, with the national number of its holder as it was before")
        return own

    # ── keeping it so ──

    async def refresh_late(self) -> None:
        """After an import."""

        def is_late(connection: Connection) -> bool:
            sources = directory.sources(connection)
            ours = sources.get(ownfacts.OURS)
            is_other = ours is None or ownfacts.rests_on(sources) != ours.digest
            return is_other and bool(ownmailboxes.page(connection, b"", 1))

        if await self._store.read(is_late):
            changed = await self.refresh()
            log.info("own.refreshed", changed=changed, differences=len(await self.differences()))

    async def refresh(self) -> int:
        """Derive again what rests on the national files. Returns how many mailboxes are shown otherwise now."""
        changed, after = 0, b""
        while rows := await self._store.read(partial(ownmailboxes.page, after=after, rows_max=ROWS_AT_ONCE)):
            after = rows[-1].hmac
            late = await self._store.read(partial(_late, rows=rows))
            for at in range(0, len(late), WRITTEN_AT_ONCE):
                changed += await self._store.write(LANE, partial(self._settle, hashes=late[at : at + WRITTEN_AT_ONCE]))
        now = self._clock.now()
        await self._store.write(LANE, lambda c: ownfacts.said_again(c, now))
        return changed

    def _settle(self, connection: Connection, hashes: list[bytes]) -> int:
        now, changed = self._clock.now(), 0
        for hashed in hashes:
            row = ownmailboxes.one(connection, hashed, locks=True)
            if row is not None and row.text:
                changed += ownfacts.settle(connection, row, from_text(row.text), now)
        return changed

    async def tidy(self) -> None:
        """Once a day: facts that were taken back before the last time nobody may ask for any more."""
        now = self._clock.now()
        floor = await self._store.write(LANE, lambda c: ownfacts.said_again(c, now, moves_floor=True))
        after = b""
        while rows := await self._store.read(partial(ownmailboxes.page, after=after, rows_max=WRITTEN_AT_ONCE)):
            after = rows[-1].hmac
            addresses = [from_text(row.text).address for row in rows if row.text]
            await self._store.write(LANE, partial(_forget, addresses=addresses, floor=floor))


def from_purpose(row: OwnRow) -> str | None:
    return from_text(row.text).purpose if row.text else None


def _mailbox(row: OwnRow) -> OwnMailbox:
    return OwnMailbox(row, from_text(row.text) if row.text else None)


def _late(connection: Connection, rows: list[OwnRow]) -> list[bytes]:
    sources = directory.sources(connection)
    return [row.hmac for row in rows if row.text and ownfacts.differs(connection, sources, row, from_text(row.text))]


def _differences(connection: Connection, row: OwnRow, own: Own) -> list[Difference]:
    known, others = ownfacts.around(connection, directory.sources(connection), own)
    found = [Difference(own.address, "another holder or kind is named") for _ in others[:1]]
    if not row.is_shown and (known.listings or others):
        found.append(Difference(own.address, f"it is still listed, and is {row.state.value} here"))
    return found


def _forget(connection: Connection, addresses: list[str], floor: int) -> None:
    for address in addresses:
        ownfacts.forget_taken_back(connection, address, floor)
