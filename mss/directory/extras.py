"""What should somebody know before she writes to an address? Purpose, abilities, and whether it still answers.

Beside the facts of the national files stands what a structure's own people say of an address, what our courier has met
and who stands in for whom. Every door asks here, after the search, for the addresses that it shows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from mss.directory.facts import Kind, listing_of, numbers_about
from mss.directory.liveness import Doubt, doubt_of
from mss.model.clock import Clock, from_ms, to_ms
from mss.model.directory import clean, refuse_disguise
from mss.model.errors import BadValue, NotFound
from mss.model.ids import MailAddress
from mss.store import addressnotes, audit, directory
from mss.store.addressnotes import NoteRow
from mss.store.database import Store
from mss.store.sql import Connection

ADDRESSES_MAX = 500
SIZE_BYTES_MAX = 500 * 1024 * 1024
LANE = 0
_WORDS = {-1: None, 0: False, 1: True}


@dataclass(frozen=True, slots=True)
class Said:
    """What a structure's people say of one of its addresses. None: nobody said."""

    purpose: str = ""
    """What it is for: `lettres de sortie de cardiologie`."""
    size_bytes_max: int = 0
    """The largest message that it takes; 0: nobody said."""
    accepts_patients: bool | None = None
    accepts_xdm: bool | None = None
    is_paperless: bool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "purpose", clean(self.purpose))
        refuse_disguise(self.purpose)
        if not 0 <= self.size_bytes_max <= SIZE_BYTES_MAX:
            raise BadValue(f"the largest message is between 1 and {SIZE_BYTES_MAX // 1024**2} MB")


@dataclass(frozen=True, slots=True)
class Extra:
    """All of it at a moment."""

    said: Said = Said()
    last_taken: datetime | None = None
    """When another operator last took mail for it."""
    bounced_at: datetime | None = None
    bounces: int = 0
    """Since mail was last taken."""
    absent_until: datetime | None = None
    substitute: str = ""
    wrote_on: datetime | None = None
    """The beginning of the day on which it last wrote, as far as we saw."""
    doubt: Doubt | None = None
    """Why it may no longer answer."""

    @property
    def may_not_answer(self) -> bool:
        return self.doubt is not None


NOTHING_KNOWN = Extra()


class Extras:
    """Asks and notes."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def of(self, addresses: Collection[str]) -> dict[str, Extra]:
        """What is known of these addresses, by the address as it was given; those of which nothing is are left out."""
        asked = {address.lower(): address for address in list(addresses)[:ADDRESSES_MAX] if address}
        now = self._clock.now()

        def ask(connection: Connection) -> dict[str, Extra]:
            extras = {key: _extra(row, now) for key, row in addressnotes.notes(connection, asked).items()}
            return {asked[key]: _without_hidden(connection, extra) for key, extra in extras.items()}

        return await self._store.read(ask)

    async def say(self, address: MailAddress, said: Said, actor: str) -> None:
        """Note what an address is for and what it takes. Raises NotFound for one that no directory lists."""
        now = self._clock.now()

        def act(connection: Connection) -> None:
            if not is_listed(connection, address.key):
                raise NotFound(f"{address}: not in the directory")
            addressnotes.write(
                connection,
                address.key,
                purpose=said.purpose,
                size_bytes_max=said.size_bytes_max,
                patients=_number(said.accepts_patients),
                xdm=_number(said.accepts_xdm),
                paperless=_number(said.is_paperless),
                said_ms=to_ms(now),
            )
            audit.write(connection, [audit.Act(now, actor, "directory.said", 0)])

        await self._store.write(LANE, act)

    async def away(self, address: MailAddress, first: datetime, until: datetime, substitute: str) -> None:
        """Its holder is away, and who stands in; equal moments: she is there. Only of an address that is listed."""

        def act(connection: Connection) -> None:
            if is_listed(connection, address.key):
                moments = {"absent_from_ms": to_ms(first), "absent_until_ms": to_ms(until)}
                addressnotes.write(connection, address.key, substitute=substitute, **moments)

        await self._store.write(LANE, act)


def is_listed(connection: Connection, address: str) -> bool:
    """Whether this address (small letters) is shown now: the source that is believed most, of those that speak of it,
    decides. What its own operator hides is listed nowhere, whatever a national file says."""
    for source in sorted(directory.sources(connection).values(), key=lambda one: -one.source):
        rows = directory.facts_about(connection, *numbers_about(source.source, Kind.LISTING, address))
        if said := [row for row in rows if row.is_read(source.current)]:
            return any(row.kind == Kind.LISTING and listing_of(row.text).address for row in said)
    return False


def _without_hidden(connection: Connection, extra: Extra) -> Extra:
    """Whoever stands in is named only where the directory lists her: she may be on the red list, be closed by now, or
    never have asked to be shown. Senders are told all the same, by the answer that the holder has written."""
    if not extra.substitute or is_listed(connection, extra.substitute.lower()):
        return extra
    return replace(extra, substitute="")


def _number(word: bool | None) -> int:
    return -1 if word is None else int(word)


def _extra(row: NoteRow, now: datetime) -> Extra:
    is_away = row.absent_from_ms <= to_ms(now) < row.absent_until_ms
    words = (_WORDS.get(number) for number in (row.patients, row.xdm, row.paperless))
    bounced_at = from_ms(row.bounced_ms) if row.bounced_ms else None
    wrote_on = from_ms(row.wrote_ms) if row.wrote_ms else None
    return Extra(
        Said(row.purpose, row.size_bytes_max, *words),
        from_ms(row.accepted_ms) if row.accepted_ms else None,
        bounced_at,
        row.bounces,
        from_ms(row.absent_until_ms) if is_away else None,
        row.substitute if is_away else "",
        wrote_on,
        doubt_of(row.bounces, bounced_at, wrote_on, now),
    )
