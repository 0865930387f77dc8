"""Which professional opens a page, and how does she come to have a way in? Invitations, and who may still read.

Her mail programs have application passwords, and those open no page: a page asks for a password of hers and a one-time
code, which she sets herself behind a link that works once. Staff hand the link over by a way of their own, never by
mail to the mailbox: whoever holds an application password would read it there. Whether she may read is asked at each
page (docs/decisions/0016-pages-of-professionals.md), so another proof of who she is, Pro Santé Connect, only has to end
in the same session.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from sqlalchemy import Connection

from mss.accounts import lifecycle, onetime
from mss.accounts.lifecycle import Wish
from mss.accounts.service import totp_context
from mss.accounts.sessions import Level, Session, Sessions
from mss.accounts.verification import PERSONS
from mss.crypto import seal
from mss.crypto.keys import KeyWrapper, Lookup
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import BadValue, SealBroken
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.verdict import Accept
from mss.store import accounts, audit, invitations, owners, standings, tasks
from mss.store.accounts import AccountKind, CredentialKind, CredentialRow
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.invitations import InvitationRow
from mss.store.tasks import NewTask

TOKEN_BYTES = 32
INVITED_S = 7 * 24 * 3600
"""A letter takes some days; a link that lies about is a danger."""
WAY_IN = "web.way-in"
"""The duty to tell whoever reads the mailbox."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}\Z", re.ASCII)
_PURPOSE = b"web invitation"


@dataclass(frozen=True, slots=True)
class Invited:
    """What a link says: whose it is, and under which name she will sign in."""

    owner: OwnerId
    address: str


class Professionals:
    """Needs the wrapping key: commands and desk only."""

    def __init__(
        self, store: Store, lookup: Lookup, wrapper: KeyWrapper, sessions: Sessions, clock: Clock, chance: Chance
    ) -> None:
        self._store = store
        self._lookup = lookup
        self._wrapper = wrapper
        self._sessions = sessions
        self._clock = clock
        self._chance = chance

    async def may_read(self, owner: OwnerId) -> bool:
        """Whether this professional may open a page now. Asked at each page: an access that ends, ends there too."""
        return await self._store.look_up(lambda c: may_open_pages(c, owner))

    # ── the link ──

    async def invite(self, owner: OwnerId, address: MailAddress, actor: str) -> str:
        """A new link's secret; earlier ones stop working. What she signs in with stays until the link is used.

        Raises BadValue when nobody vouches for her, or it is no person's mailbox.
        """
        token = base64.urlsafe_b64encode(self._chance.token(TOKEN_BYTES)).decode().rstrip("=")
        now = self._clock.now()
        sealed = seal.encrypt(_key_of(token), address.key.encode(), _PURPOSE, self._chance)
        row = InvitationRow(self._hash(token), owner, to_ms(now) + INVITED_S * 1000, sealed)

        def act(connection: Connection) -> None:
            if not may_open_pages(connection, owner):
                raise BadValue(f"{address}: no mailbox of a person who is verified and may sign in")
            invitations.sweep(connection, to_ms(now))
            invitations.replace_with(connection, row)
            audit.write(connection, [audit.Act(now, actor, "web.invited", owner)])

        await self._store.write(lane_of(owner), act)
        return token

    async def withdraw(self, owner: OwnerId, actor: str) -> None:
        """Take link and password away; her sessions end. Her mail programs work on."""
        now = self._clock.now()

        def act(connection: Connection) -> None:
            invitations.delete_of(connection, owner)
            accounts.delete_credentials(connection, owner, CredentialKind.PASSWORD)
            accounts.delete_sessions_of(connection, owner)
            audit.write(connection, [audit.Act(now, actor, "web.withdrawn", owner)])

        await self._store.write(lane_of(owner), act)

    async def invited(self, token: str) -> Invited | None:
        """What a link says; None for one that is unknown, used, too old, or of somebody who may not sign in."""
        if not _TOKEN.match(token):
            return None
        row = await self._store.read(lambda c: self._standing_invitation(c, self._hash(token)))
        if row is None:
            return None
        try:
            return Invited(row.account, seal.decrypt(_key_of(token), row.address_sealed, _PURPOSE).decode())
        except SealBroken:
            return None

    def code_secret(self, token: str, browser: str) -> bytes:
        """The secret of the one-time codes that this browser is shown behind this link: it follows from both, so it is
        kept nowhere until it is used, and whoever only handed the link over cannot know it."""
        return self._lookup.of("web invitation codes", f"{token}|{browser}")[: onetime.SECRET_BYTES]

    async def accept(self, token: str, browser: str, password_hash: str, code: str) -> Session | None:
        """Use the link: from now on she signs in so, and is signed in. None when link or code is not right (any more).

        The caller has judged the password.
        """
        invited, secret = await self.invited(token), self.code_secret(token, browser)
        step = onetime.matching_step(secret, code, self._clock.now())
        if invited is None or step is None:
            return None
        session = self._sessions.new(invited.owner, Level.FULL, {}, AccountKind.PROFESSIONAL)

        def act(connection: Connection) -> Session | None:
            if self._standing_invitation(connection, self._hash(token)) is None:
                return None
            self._let_in(connection, invited, password_hash, secret)
            self._owe_word(connection, invited.owner)
            accounts.use_totp_step(connection, invited.owner, step)
            self._sessions.keep(connection, session)
            return session

        return await self._store.write(lane_of(invited.owner), act)

    async def let_in(self, invited: Invited, password_hash: str, secret: bytes) -> None:
        """The same without a link, for the demo's people. Raises BadValue."""

        def act(connection: Connection) -> None:
            if not may_open_pages(connection, invited.owner):
                raise BadValue(f"{invited.address}: no mailbox of a person who is verified and may sign in")
            self._let_in(connection, invited, password_hash, secret)

        await self._store.write(lane_of(invited.owner), act)

    def _let_in(self, connection: Connection, invited: Invited, password_hash: str, secret: bytes) -> None:
        owner, now = invited.owner, self._clock.now()
        if not owners.point(connection, self._lookup.login(invited.address), owner):
            raise BadValue(f"{invited.address} is somebody else's login")
        credential = CredentialRow(new_id(self._clock, self._chance), CredentialKind.PASSWORD, password_hash.encode())
        accounts.delete_credentials(connection, owner, CredentialKind.PASSWORD)
        accounts.insert_credential(connection, owner, credential, to_ms(now))
        accounts.set_totp(connection, owner, self._wrapper.wrap(secret, totp_context(owner)))
        accounts.clear_failures(connection, owner)
        accounts.delete_sessions_of(connection, owner)
        invitations.delete_of(connection, owner)
        audit.write(connection, [audit.Act(now, f"login:{owner}", "web.let-in", owner)])

    def _owe_word(self, connection: Connection, owner: OwnerId) -> None:
        """She is told in her mailbox, in case it was somebody else who had the link (mss/notices/wayin.py)."""
        now_ms = to_ms(self._clock.now())
        duty = NewTask(new_id(self._clock, self._chance), WAY_IN, str(now_ms).encode(), now_ms)
        tasks.add_task(connection, owner, duty)

    def _standing_invitation(self, connection: Connection, hashed: bytes) -> InvitationRow | None:
        row = invitations.invitation(connection, hashed)
        if row is None or row.until_ms <= to_ms(self._clock.now()):
            return None
        return row if may_open_pages(connection, row.account) else None

    def _hash(self, token: str) -> bytes:
        return self._lookup.of("web invitation", token)


def may_open_pages(connection: Connection, owner: OwnerId) -> bool:
    """A person's mailbox, for whom somebody vouches, in a state in which she may sign in (as at every other door)."""
    box, row = owners.mailbox(connection, owner), standings.standing(connection, owner)
    if box is None or box.kind not in PERSONS or row is None or row.ended_ms:
        return False
    account = accounts.account(connection, owner)
    return isinstance(lifecycle.judge(account.state if account else None, Wish.SIGN_IN), Accept)


def _key_of(token: str) -> bytes:
    return seal.derive(token.encode(), _PURPOSE)
