"""Who of the operator's people signs in to the desk, and whose held mail may they see?

They have an account with password and one-time code like a patient's, and no mailbox: there is nothing of theirs that
a stranger could write to.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from mss.accounts import lifecycle
from mss.accounts.lifecycle import LifeEvent
from mss.accounts.service import totp_context
from mss.crypto.keys import KeyWrapper, Lookup
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import BadValue, NotFound
from mss.model.ids import OwnerId, lane_of
from mss.model.mailbox import AccountState
from mss.store import accounts, audit, owners, staff
from mss.store.accounts import AccountKind, AccountRow, CredentialKind, CredentialRow
from mss.store.database import Store
from mss.store.ids import new_id, new_owner
from mss.store.sql import Connection
from mss.store.staff import StaffRow

NAME_CHARS_MAX = 100
"""Of a name as colleagues read it."""


@dataclass(frozen=True, slots=True)
class StaffMember:
    """One of them. `domain`: of ours, whose held mail this person sees; empty: all of it."""

    owner: OwnerId
    login: str
    name: str
    domain: str
    state: AccountState

    def sees(self, domain: str) -> bool:
        """Whether what is held for this domain is this person's business."""
        return self.domain in ("", domain)


class StaffAccounts:
    """Needs the wrapping key: commands and desk only."""

    def __init__(self, store: Store, lookup: Lookup, wrapper: KeyWrapper, clock: Clock, chance: Chance) -> None:
        self._store = store
        self._lookup = lookup
        self._wrapper = wrapper
        self._clock = clock
        self._chance = chance

    async def add(self, login: str, name: str, domain: str, password_hash: str, totp_secret: bytes) -> OwnerId:
        """Let somebody sign in to the desk. Raises BadValue when the login is taken, or the name is none."""
        if not name.strip() or len(name) > NAME_CHARS_MAX:
            raise BadValue(f"a name has 1 to {NAME_CHARS_MAX} characters")
        owner, now = new_owner(self._chance), self._clock.now()
        hashed = self._lookup.login(login)
        profile = self._wrapper.wrap(json.dumps([login, name.strip()]).encode(), _context(owner))
        totp = self._wrapper.wrap(totp_secret, totp_context(owner))
        number = new_id(self._clock, self._chance)

        def act(connection: Connection) -> None:
            if not owners.point(connection, hashed, owner):
                raise BadValue("this login exists already")
            row = AccountRow(owner, AccountKind.STAFF, AccountState.ACTIVE, totp, 0, 0, 0)
            accounts.insert_account(connection, row, hashed)
            credential = CredentialRow(number, CredentialKind.PASSWORD, password_hash.encode())
            accounts.insert_credential(connection, owner, credential, to_ms(now))
            staff.insert_staff(connection, StaffRow(owner, profile, domain), to_ms(now))
            audit.write(connection, [audit.Act(now, "staff", "staff.add", owner, result=domain)])

        await self._store.write(lane_of(owner), act)
        return owner

    async def one(self, owner: OwnerId) -> StaffMember:
        """Raises NotFound."""
        row, account = await self._store.read(lambda c: (staff.one_staff(c, owner), accounts.account(c, owner)))
        if row is None or account is None:
            raise NotFound("staff")
        return self._member(row, account)

    async def everybody(self) -> list[StaffMember]:
        """Oldest first, those who may no longer sign in too."""
        rows = await self._store.read(lambda c: [(row, accounts.account(c, row.owner)) for row in staff.list_staff(c)])
        return [self._member(row, account) for row, account in rows if account is not None]

    async def live_on(self, login: str, event: LifeEvent) -> None:
        """Suspend, resume or close an account; its sessions end. Raises NotFound, BadValue when that cannot be."""
        hashed = self._lookup.login(login)
        owner = await self._store.read(lambda c: owners.find(c, hashed))
        if owner is None:
            raise NotFound("staff")
        member = await self.one(owner)

        def act(connection: Connection) -> None:
            account = accounts.account(connection, member.owner)
            state = None if account is None else lifecycle.next_state(account.state, event)
            if state is None:
                raise BadValue(f"{event.value} is not for an account that is {account.state if account else 'unknown'}")
            accounts.set_account_state(connection, member.owner, state)
            accounts.delete_sessions_of(connection, member.owner)
            audit.write(connection, [audit.Act(self._clock.now(), "staff", "staff.state", member.owner, result=state)])

        await self._store.write(lane_of(member.owner), act)

    def _member(self, row: StaffRow, account: AccountRow) -> StaffMember:
        login, name = json.loads(self._wrapper.unwrap(row.profile_wrapped, _context(row.owner)))
        return StaffMember(row.owner, login, name, row.domain, account.state)


def _context(owner: int) -> bytes:
    """What binds a wrapped profile to its account."""
    return b"staff profile %d" % owner
