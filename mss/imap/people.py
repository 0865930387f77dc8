"""Who signs in to a mail client, and which mailboxes may they open? `Authenticate` on the real accounts.

Application passwords and client certificates are judged by mss/accounts/software.py; here the account gets its own
mailbox and the team mailboxes of which it is a member, and is asked about again while it stays. Who signs in again
within minutes costs one look into the store (mss/accounts/verified.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from mss.accounts.knocks import Knocks
from mss.accounts.service import ADDRESS_KIND, profile_from_bytes
from mss.accounts.shown import Shown, still_opens, taken_at_its_word
from mss.accounts.software import SoftwareLogin, who_comes_in, who_may_stay
from mss.accounts.teams import TEAMS, Teams
from mss.accounts.tokens import TOKEN_CHARS_MAX, TokenChecker
from mss.accounts.verified import VerifiedLogins
from mss.crypto.keys import Lookup
from mss.imap.backend import TOKEN_MECHANISMS, Account, Box, Member
from mss.imap.mask import with_dependents
from mss.imap.takings import mark_of
from mss.model.clock import Chance, Clock
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, OwnerId
from mss.model.mailbox import AccountState
from mss.model.rights import LEVELS, OWNER_RIGHTS, letters_of
from mss.store import glances, owners
from mss.store.accounts import AccountRow
from mss.store.database import Store
from mss.store.glances import Glance
from mss.store.owners import MailboxRow
from mss.store.sql import Connection
from mss.vault.opener import Opener

NOTHING_HIDDEN: frozenset[str] = frozenset()
JUDGED_MAX = 5000
"""As many logins as there may be connections (mss/imap/server.py); whoever falls out is judged again."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A login that was right: by which hash it led to the account, and what the account may open."""

    way_in: bytes
    account: Account


@dataclass(frozen=True, slots=True)
class _Judged:
    """What somebody who stays was found to be allowed, and the facts from which that follows."""

    account: Account
    facts: Glance


@dataclass(frozen=True, slots=True)
class _Now:
    """What the store says of an account at this moment."""

    own: MailboxRow | None
    teams: list[tuple[MailboxRow, str]]
    """Teams whose mailboxes are open to it, with its rights there."""
    hidden: frozenset[str]

    def is_as_told(self, account: Account) -> bool:
        is_whole = self.own is not None and self.own.state is AccountState.ACTIVE
        was_whole = account.own is not None and account.own.rights == OWNER_RIGHTS
        rights = [(team.owner, letters) for team, letters in self.teams]
        return is_whole == was_whole and rights == [(box.owner, box.rights) for box in account.shared]


class MailLogin:
    """`authenticate` is what `ImapServer` is given."""

    def __init__(
        self,
        login: SoftwareLogin,
        store: Store,
        opener: Opener,
        clock: Clock,
        chance: Chance,
        knocks: Knocks,
        tokens: TokenChecker | None = None,
        shown: Shown = taken_at_its_word,
    ) -> None:
        """`tokens` judges bearer tokens; None: nobody comes in with one. `shown` judges certificates."""
        self._knocks = knocks
        self._login = login
        self._shown = shown
        self._tokens = tokens
        self._store = store
        self._opener = opener
        self._verified = VerifiedLogins[_Known](clock, chance)
        self._judged: OrderedDict[tuple[OwnerId, bytes], _Judged] = OrderedDict()

    async def authenticate(self, mechanism: str, username: str, secret: bytes, peer: str) -> Account | None:
        """See mss/imap/backend.py: Authenticate."""
        if mechanism in TOKEN_MECHANISMS:
            knock = await self._knocks.wait(username, peer)
            account = await self._by_token(username, secret)
            if account is None:
                await self._knocks.was_wrong(knock)
            else:
                self._knocks.was_right(knock)
            return account
        digest = self._verified.digest((mechanism.encode(), username.encode("utf-8", "replace"), secret))
        known = self._verified.find(digest)
        if known is not None and (account := await self._again(known)) is not None:
            return account
        self._verified.forget(digest)
        knock = await self._knocks.wait(username, peer)
        found = await (self._by_certificate if mechanism == "EXTERNAL" else self._by_password)(username, secret)
        if found is None:
            await self._knocks.was_wrong(knock)
            return None
        self._knocks.was_right(knock)
        self._verified.keep(digest, found)
        return found.account

    async def _again(self, known: _Known) -> Account | None:
        """What somebody may open who was right not long ago; None when something is not as it was then. Her name and
        her secret are looked up anew, only what was opened of her mailbox is not opened again."""
        account = known.account
        if not await still_opens(self._shown, account.certificate):
            return None

        def ask(connection: Connection) -> _Now | None:
            row = who_comes_in(connection, known.way_in, account.proof)
            return _now(connection, row) if row is not None and row.owner == account.owner else None

        now = await self._store.look_up(ask)
        if now is None or not now.is_as_told(account) or now.hidden != account.hidden:
            return None
        return account

    async def _by_password(self, username: str, secret: bytes) -> _Known | None:
        try:
            password = secret.decode("utf-8")
            way_in = self._login.way_in(username)
        except (UnicodeDecodeError, BadValue):
            return None
        return await self._let_in(way_in, self._login.proof_of_password(password))

    async def _by_certificate(self, username: str, secret: bytes) -> _Known | None:
        try:
            proof = self._login.proof_of_certificate(await self._shown(secret))
        except BadValue:
            return None
        known = await self._let_in(proof, proof)
        if known is None or not _speaks_for_itself(known.account, username):
            return None
        return replace(known, account=replace(known.account, certificate=secret))

    async def _let_in(self, way_in: bytes, proof: bytes) -> _Known | None:
        def ask(connection: Connection) -> tuple[OwnerId, _Now] | None:
            row = who_comes_in(connection, way_in, proof)
            return None if row is None else (row.owner, _now(connection, row))

        found = await self._store.look_up(ask)
        return None if found is None else _Known(way_in, await self._account(*found, proof))

    async def _by_token(self, username: str, secret: bytes) -> Account | None:
        if self._tokens is None or len(secret) > TOKEN_CHARS_MAX or not secret.isascii():
            return None
        owner = await self._tokens.owner_of(secret.decode("ascii"))
        if owner is None:
            return None
        now = await self._ask(owner, b"")
        account = None if now is None else await self._account(owner, now, b"")
        return account if account is not None and _speaks_for_itself(account, username) else None

    async def review(self, account: Account) -> Account | None:
        """See mss/imap/backend.py: Review."""
        if not await still_opens(self._shown, account.certificate):
            return None
        owner, proof = account.owner, account.proof
        judged = self._judged.get((owner, proof))
        if judged is not None and judged.account != account:
            judged = None
        if judged and judged.facts == await self._store.look_up(lambda c: glances.of_account(c, owner)):
            return account

        def ask(connection: Connection) -> tuple[Glance, _Now | None]:
            facts = glances.of_account(connection, owner)  # first: what changes after it is seen the next time
            return facts, _may_stay(connection, owner, proof)

        facts, now = await self._store.read(ask)
        if now is None:
            self._judged.pop((owner, proof), None)
            return None
        if now.is_as_told(account):
            self._judged[owner, proof] = _Judged(account, facts)
            self._judged.move_to_end((owner, proof))
            if len(self._judged) > JUDGED_MAX:
                self._judged.popitem(last=False)
            return account
        anew = await self._account(account.owner, now, account.proof)
        return replace(anew, hidden=account.hidden, certificate=account.certificate)

    async def _ask(self, owner: OwnerId, proof: bytes) -> _Now | None:
        """None: it may not sign in."""
        return await self._store.look_up(lambda c: _may_stay(c, owner, proof))

    async def _account(self, owner: OwnerId, now: _Now, proof: bytes) -> Account:
        own = await self._box(now.own, owner, now.own, OWNER_RIGHTS)
        shared = [await self._box(team, owner, now.own, letters) for team, letters in now.teams]
        return Account(owner, own, tuple(box for box in shared if box is not None), now.hidden, proof)

    async def _box(
        self, row: MailboxRow | None, account: OwnerId, member: MailboxRow | None, rights: str
    ) -> Box | None:
        """A mailbox that is open to the account, with its address; None when it is closed."""
        if row is None or row.state not in (AccountState.ACTIVE, AccountState.READ_ONLY):
            return None
        if row.state is AccountState.READ_ONLY:
            rights = "".join(letter for letter in rights if letter in LEVELS["reader"])
        address = await self._address(row, account)
        mark = ""
        if row.kind in TEAMS:
            name = await self._address(member, account) if member is not None else address
            mark = mark_of(MailAddress.parse(name), MailAddress.parse(address))
        return Box(row.owner, account, address, rights, mark)

    async def _address(self, row: MailboxRow, asker: OwnerId) -> str:
        keys = await self._opener.open(row.owner, f"login:{asker}", "imap")
        return profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, row.address_sealed)).address


def _speaks_for_itself(account: Account, username: str) -> bool:
    """A certificate or token speaks for its own mailbox only; it need not name it."""
    return not username or (account.own is not None and account.own.address == username)


def _may_stay(connection: Connection, owner: OwnerId, proof: bytes) -> _Now | None:
    row = who_may_stay(connection, owner, proof)
    return None if row is None else _now(connection, row)


def _now(connection: Connection, row: AccountRow) -> _Now:
    teams = []
    for team, word in owners.memberships(connection, row.owner):
        letters = letters_of(word)
        box = owners.mailbox(connection, team) if letters else None
        if box is not None and box.state is AccountState.ACTIVE and box.kind in TEAMS:
            teams.append((box, letters))
    hidden = with_dependents(row.masked.split()) if row.masked else NOTHING_HIDDEN
    return _Now(owners.mailbox(connection, row.owner), teams, hidden)


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
