"""Under which addresses does a mailbox get mail, and who may write in its name?

An alias is an address like the first; under a previous address mail arrives and nobody writes. An address that was
ever somebody's is never given to another: not the alias that was taken away, not that of a closed mailbox. Who may
write in a mailbox's name (délégation) is said by name, traced, and taken back; it opens nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from mss.crypto.keys import Lookup
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.mailbox import MailboxKind
from mss.store import aliases, audit, owners
from mss.store.aliases import AliasRow
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.owners import WRITES, MailboxRow, Way
from mss.store.sql import Connection
from mss.vault.opener import OwnerKeys

ALIAS_KIND = b"alias"
ALIASES_MAX = 50
"""Of one mailbox; a person has two or three in a working life."""
DELEGATES_MAX = 50
ACTOR = "staff"


@dataclass(frozen=True, slots=True)
class Alias:
    """Another address of a mailbox."""

    address: MailAddress
    is_previous: bool


class Names:
    """Adds and takes away; needs the owner's keys only to name an alias to people."""

    def __init__(self, store: Store, lookup: Lookup, clock: Clock, chance: Chance) -> None:
        self._store = store
        self._lookup = lookup
        self._clock = clock
        self._chance = chance

    async def aliases(self, keys: OwnerKeys) -> list[Alias]:
        """The other addresses in use."""
        rows = await self._store.read(lambda c: aliases.aliases(c, keys.owner))
        return [_opened(keys, row) for row in rows]

    async def add_alias(self, keys: OwnerKeys, address: MailAddress, *, is_previous: bool = False) -> None:
        """Let mail to another address arrive here. Raises BadValue when it is, or ever was, somebody else's."""
        owner, now = keys.owner, self._clock.now()
        hashed, number = self._lookup.address(address.key), new_id(self._clock, self._chance)
        way = Way.RECEIVES if is_previous else Way.OPEN
        sealed = keys.seal_small(ALIAS_KIND, number, str(address).encode())

        def act(connection: Connection) -> None:
            box = _professional(connection, owner)
            known = aliases.aliases(connection, owner)
            if box.address_hmac == hashed or any(row.address_hmac == hashed for row in known):
                raise BadValue(f"{address} is an address of this mailbox already")
            if len(known) >= ALIASES_MAX:
                raise BadValue(f"a mailbox has at most {ALIASES_MAX} other addresses")
            if not owners.point(connection, hashed, owner, way):
                raise BadValue(f"the address {address} is, or was, somebody else's: choose another")
            aliases.insert_alias(connection, owner, AliasRow(number, hashed, sealed, way, to_ms(now)))
            audit.write(connection, [audit.Act(now, ACTOR, "alias.add", owner, number, result=way.name.lower())])

        await self._store.write(lane_of(owner), act)

    async def remove_alias(self, owner: OwnerId, address: MailAddress) -> None:
        """Mail to it is refused as to nobody; it stays kept for this mailbox. Raises BadValue."""
        hashed, now = self._lookup.address(address.key), self._clock.now()

        def act(connection: Connection) -> None:
            row = next((row for row in aliases.aliases(connection, owner) if row.address_hmac == hashed), None)
            if row is None:
                raise BadValue(f"{address} is no other address of this mailbox")
            owners.point(connection, hashed, owner, Way.RETIRED)
            aliases.retire(connection, owner, row.alias, to_ms(now))
            audit.write(connection, [audit.Act(now, ACTOR, "alias.remove", owner, row.alias)])

        await self._store.write(lane_of(owner), act)

    async def delegate(self, owner: OwnerId, account: OwnerId) -> None:
        """Let a person write in this mailbox's name, not open it. Raises BadValue."""
        now = self._clock.now()

        def act(connection: Connection) -> None:
            _professional(connection, owner)
            person = owners.mailbox(connection, account)
            if person is None or person.kind not in (MailboxKind.PERSONAL, MailboxKind.OFFICE) or account == owner:
                raise BadValue("only another person's mailbox can write in its name")
            given = dict(owners.members(connection, owner))
            if account in given:
                raise BadValue("that person may write in its name already")
            if sum(rights == WRITES for rights in given.values()) >= DELEGATES_MAX:
                raise BadValue(f"at most {DELEGATES_MAX} people may write in the name of one mailbox")
            owners.add_member(connection, owner, account, WRITES)
            audit.write(connection, [audit.Act(now, ACTOR, "delegation.give", owner, account)])

        await self._store.write(lane_of(owner), act)

    async def revoke(self, owner: OwnerId, account: OwnerId) -> None:
        """From the next message on that person writes in this name no more. Raises BadValue."""
        now = self._clock.now()

        def act(connection: Connection) -> None:
            if not owners.remove_member(connection, owner, account, WRITES):
                raise BadValue("that person has no delegation of this mailbox")
            audit.write(connection, [audit.Act(now, ACTOR, "delegation.revoke", owner, account)])

        await self._store.write(lane_of(owner), act)

    async def delegates(self, owner: OwnerId) -> list[OwnerId]:
        """Who may write in its name."""
        found = await self._store.read(lambda c: owners.members(c, owner))
        return [account for account, rights in found if rights == WRITES]

    async def set_quota(self, owner: OwnerId, quota_bytes: int) -> None:
        """How much a professional mailbox may hold; 0: no limit. Raises BadValue for a patient's."""
        now = self._clock.now()

        def act(connection: Connection) -> None:
            _professional(connection, owner)
            owners.set_quota(connection, owner, quota_bytes)
            audit.write(connection, [audit.Act(now, ACTOR, "mailbox.quota", owner, result=str(quota_bytes))])

        await self._store.write(lane_of(owner), act)


def _opened(keys: OwnerKeys, row: AliasRow) -> Alias:
    text = keys.open_small(ALIAS_KIND, row.alias, row.address_sealed).decode()
    return Alias(MailAddress.parse(text), row.way is Way.RECEIVES)


def _professional(connection: Connection, owner: OwnerId) -> MailboxRow:
    box = owners.mailbox(connection, owner)
    if box is None or box.kind is MailboxKind.PATIENT:
        raise BadValue("a patient's address follows her INS, and only she writes under it")
    return box
