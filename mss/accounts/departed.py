"""Who of ours can no longer answer? A closed or read-only mailbox, or one whose holder was struck off."""

from __future__ import annotations

from collections.abc import Collection

from mss.accounts.standing import FOR_GOOD
from mss.crypto.keys import Lookup
from mss.model.mailbox import AccountState, MailboxKind
from mss.store import owners, standings
from mss.store.database import Store
from mss.store.sql import Connection

ADDRESSES_MAX = 200
"""Of one page."""


class Departures:
    """Asked by pages, about addresses that stand on them."""

    def __init__(self, store: Store, lookup: Lookup) -> None:
        self._store = store
        self._lookup = lookup

    async def gone(self, addresses: Collection[str]) -> frozenset[str]:
        """Those of these addresses whose holders cannot answer; only professionals of ours are among them."""
        hashed = {address: self._lookup.address(address.lower()) for address in list(addresses)[:ADDRESSES_MAX]}

        def ask(connection: Connection) -> frozenset[str]:
            return frozenset(address for address, one in hashed.items() if _is_gone(connection, one))

        return await self._store.read(ask) if hashed else frozenset()


def _is_gone(connection: Connection, hashed: bytes) -> bool:
    box = owners.mailbox_at(connection, hashed)
    if box is None or box.kind is MailboxKind.PATIENT:
        return False
    if box.state in (AccountState.CLOSED, AccountState.READ_ONLY):
        return True
    row = standings.standing(connection, box.owner)
    return row is not None and row.ended_why in FOR_GOOD
