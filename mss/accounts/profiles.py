"""How is a patient named to herself and to those to whom she writes? Her profile and identity, opened."""

from __future__ import annotations

from dataclasses import replace

from mss.accounts.service import (
    ADDRESS_KIND,
    IDENTITY_KIND,
    PROFILE_KIND,
    KnownIdentity,
    Profile,
    identity_from_bytes,
    profile_from_bytes,
    profile_to_bytes,
)
from mss.model.errors import NotFound
from mss.model.ids import lane_of
from mss.model.people import IdentityStatus
from mss.store import owners, patients
from mss.store.database import Store
from mss.vault.opener import OwnerKeys


class Profiles:
    """Reads what names a patient; writes what she may choose."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def profile(self, keys: OwnerKeys) -> Profile:
        """Display name, address, language. Raises NotFound."""
        row = await self._store.read(lambda c: patients.patient(c, keys.owner))
        if row is None:
            raise NotFound("patient")
        return profile_from_bytes(keys.open_small(PROFILE_KIND, 0, row.profile_sealed))

    async def mailbox_address(self, keys: OwnerKeys) -> str:
        """Of any mailbox. Raises NotFound."""
        box = await self._store.look_up(lambda c: owners.mailbox(c, keys.owner))
        if box is None:
            raise NotFound("mailbox")
        return profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, box.address_sealed)).address

    async def identity(self, keys: OwnerKeys) -> KnownIdentity | None:
        """The identity that is valid now, the newest of several."""
        rows = await self._store.read(lambda c: patients.identities(c, keys.owner))
        valid = [row for row in rows if row.valid_until_ms == 0]
        if not valid:
            return None
        row = valid[-1]
        ins, traits = identity_from_bytes(keys.open_small(IDENTITY_KIND, row.identity, row.identity_sealed))
        return KnownIdentity(ins, traits, IdentityStatus(row.status), row.source)

    async def set_language(self, keys: OwnerKeys, language: str) -> None:
        """The language in which she wants to be spoken to, also by notices."""
        changed = replace(await self.profile(keys), language=language)
        sealed = keys.seal_small(PROFILE_KIND, 0, profile_to_bytes(changed))
        await self._store.write(lane_of(keys.owner), lambda c: patients.set_profile(c, keys.owner, sealed))
