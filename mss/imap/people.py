"""Who signs in to a mail client, and which mailboxes may they open? `Authenticate` on the real accounts.

Application passwords and client certificates are judged by mss/accounts/software.py; here the account gets its own
mailbox and the team mailboxes of which it is a member, and is asked about again while it stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mss.accounts.service import ADDRESS_KIND, profile_from_bytes
from mss.accounts.software import SoftwareLogin, may_still_sign_in
from mss.accounts.teams import TEAMS, Teams
from mss.accounts.tokens import TOKEN_CHARS_MAX, TokenChecker
from mss.crypto.certs import load_der, read
from mss.crypto.keys import Lookup
from mss.imap.backend import TOKEN_MECHANISMS, Account, Box, Member
from mss.imap.mask import with_dependents
from mss.imap.takings import mark_of
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, OwnerId
from mss.model.mailbox import AccountState
from mss.model.rights import LEVELS, OWNER_RIGHTS, letters_of
from mss.store import accounts, owners
from mss.store.database import Store
from mss.store.owners import MailboxRow
from mss.store.sql import Connection
from mss.vault.opener import Opener


class MailLogin:
    """`authenticate` is what `ImapServer` is given."""

    def __init__(self, login: SoftwareLogin, store: Store, opener: Opener, tokens: TokenChecker | None = None) -> None:
        """`tokens` judges bearer tokens; None: nobody comes in with one."""
        self._login = login
        self._tokens = tokens
        self._store = store
        self._opener = opener

    async def authenticate(self, mechanism: str, username: str, secret: bytes, peer: str) -> Account | None:
        """See mss/imap/backend.py: Authenticate."""
        owner = await self._owner(mechanism, username, secret)
        if owner is None:
            return None
        account = await self._account(owner)
        speaks_for_itself = mechanism in ("EXTERNAL", *TOKEN_MECHANISMS)
        if speaks_for_itself and username and (account.own is None or account.own.address != username):
            return None  # a certificate or token speaks for its own mailbox only
        return replace(account, proof=self._proof(mechanism, secret))

    def _proof(self, mechanism: str, secret: bytes) -> bytes:
        if mechanism in TOKEN_MECHANISMS:
            return b""
        if mechanism == "EXTERNAL":
            return self._login.proof_of_certificate(str(read(load_der(secret)).subject))
        return self._login.proof_of_password(secret.decode("utf-8"))

    async def _owner(self, mechanism: str, username: str, secret: bytes) -> OwnerId | None:
        if mechanism == "EXTERNAL":
            try:
                return await self._login.certificate(str(read(load_der(secret)).subject))
            except BadValue:
                return None
        if mechanism in TOKEN_MECHANISMS:
            return await self._token_owner(secret)
        try:
            return await self._login.application_password(username, secret.decode("utf-8"))
        except UnicodeDecodeError:
            return None

    async def _token_owner(self, secret: bytes) -> OwnerId | None:
        if self._tokens is None or len(secret) > TOKEN_CHARS_MAX or not secret.isascii():
            return None
        return await self._tokens.owner_of(secret.decode("ascii"))

    async def review(self, account: Account) -> Account | None:
        """See mss/imap/backend.py: Review."""
        owner = account.owner

        def ask(connection: Connection) -> tuple[bool, list[tuple[OwnerId, str]]] | None:
            if not may_still_sign_in(connection, owner, account.proof):
                return None
            box = owners.mailbox(connection, owner)
            return box is not None and box.state is AccountState.ACTIVE, _teams(connection, owner)

        now = await self._store.look_up(ask)
        if now is None:
            return None
        is_whole, teams = now
        was_whole = account.own is not None and account.own.rights == OWNER_RIGHTS
        if is_whole == was_whole and teams == [(box.owner, box.rights) for box in account.shared]:
            return account
        return replace(await self._account(owner), proof=account.proof)

    async def _account(self, owner: OwnerId) -> Account:
        teams = await self._store.read(lambda c: _teams(c, owner))
        own = await self._box(owner, owner, OWNER_RIGHTS)
        shared = [await self._box(team, owner, letters) for team, letters in teams]
        masked = await self._store.read(lambda c: accounts.masked(c, owner))
        return Account(owner, own, tuple(box for box in shared if box is not None), with_dependents(masked))

    async def _box(self, owner: OwnerId, account: OwnerId, rights: str) -> Box | None:
        """A mailbox that is open to the account, with its address; None when it is closed."""
        row = await self._store.read(lambda c: owners.mailbox(c, owner))
        if row is None or row.state not in (AccountState.ACTIVE, AccountState.READ_ONLY):
            return None
        if row.state is AccountState.READ_ONLY:
            rights = "".join(letter for letter in rights if letter in LEVELS["reader"])
        address = await self._address(row, account)
        mark = ""
        if row.kind in TEAMS:
            member = await self._store.read(lambda c: owners.mailbox(c, account))
            name = await self._address(member, account) if member is not None else address
            mark = mark_of(MailAddress.parse(name), MailAddress.parse(address))
        return Box(owner, account, address, rights, mark)

    async def _address(self, row: MailboxRow, asker: OwnerId) -> str:
        keys = await self._opener.open(row.owner, f"login:{asker}", "imap")
        return profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, row.address_sealed)).address


def _teams(connection: Connection, account: OwnerId) -> list[tuple[OwnerId, str]]:
    """Teams whose mailboxes are open to an account, with its rights there."""
    found = []
    for team, word in owners.memberships(connection, account):
        letters = letters_of(word)
        box = owners.mailbox(connection, team) if letters else None
        if box is not None and box.state is AccountState.ACTIVE and box.kind in TEAMS:
            found.append((team, letters))
    return found


class TeamDesk:
    """`Members` of mss/imap/backend.py: what administrators of a team may do by mail client."""

    def __init__(self, teams: Teams, store: Store, opener: Opener, lookup: Lookup) -> None:
        self._teams = teams
        self._store = store
        self._opener = opener
        self._lookup = lookup

    async def members(self, box: Box) -> list[Member]:
        told = []
        for member in await self._teams.members(box.owner):
            row = await self._store.read(lambda c, member=member: owners.mailbox(c, member.account))  # type: ignore[misc]
            if row is not None:
                keys = await self._opener.open(row.owner, f"login:{box.account}", "imap acl")
                profile = profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, row.address_sealed))
                told.append(Member(profile.address, member.letters))
        return sorted(told, key=lambda member: member.address)

    async def change(self, box: Box, address: str, change: Callable[[str], str]) -> bool:
        try:
            hashed = self._lookup.address(MailAddress.parse(address).key)
            account = await self._store.read(lambda c: owners.find(c, hashed, way=owners.Way.OPEN))
            if account is None:
                return False
            await self._teams.change(box.owner, account, change, f"login:{box.account}")
        except BadValue:
            return False
        return True
