"""Which browser is signed in, how far, and until when? Web sessions as rows that a restart does not end.

The cookie holds 256 random bits. The store knows them only as a keyed hash, and what a session remembers is sealed
under a key derived from the cookie: with the store alone nobody can use or read a session. A token lives at one
level only; the next level is another token, so one planted before the sign-in opens nothing after it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sqlalchemy import Connection

from mss.accounts import lifecycle
from mss.accounts.lifecycle import Wish
from mss.crypto import seal
from mss.crypto.keys import Lookup
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import SealBroken
from mss.model.ids import LANES, OwnerId
from mss.model.verdict import Accept
from mss.store import accounts
from mss.store.accounts import AccountKind, SessionRow
from mss.store.database import Store
from mss.store.ids import lane_of_hash

TOKEN_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}\Z", re.ASCII)
ABSOLUTE_S = 12 * 3600
"""However busy, a session ends within half a day."""
TOUCH_S = 60
"""A session's last use is written down at most once a minute: reading pages costs no sync."""

Notes = Mapping[str, str | int]


class Level(StrEnum):
    """How far the sign-in has come."""

    PASSWORD = "password"  # noqa: S105 — a level, not a secret
    FULL = "full"


IDLE_S = {Level.PASSWORD: 5 * 60, Level.FULL: 15 * 60}
"""A browser left alone is signed out: shared computers, waiting rooms."""


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser. `notes` is what it must remember, a few words."""

    token: str = field(repr=False)
    account: OwnerId
    level: Level
    created_ms: int
    seen_ms: int
    notes: Notes = field(default_factory=dict)
    kind: AccountKind = AccountKind.PATIENT
    """Whose account it is, asked of the account each time."""

    @property
    def expires_ms(self) -> int:
        return min(self.seen_ms + IDLE_S[self.level] * 1000, self.created_ms + ABSOLUTE_S * 1000)


class Sessions:
    """The sessions of this installation."""

    def __init__(self, store: Store, lookup: Lookup, clock: Clock, chance: Chance) -> None:
        self._store = store
        self._lookup = lookup
        self._clock = clock
        self._chance = chance

    def new_token(self) -> str:
        """256 random bits as a cookie carries them."""
        return base64.urlsafe_b64encode(self._chance.token(TOKEN_BYTES)).decode().rstrip("=")

    def new(self, account: OwnerId, level: Level, notes: Notes, kind: AccountKind = AccountKind.PATIENT) -> Session:
        """A session with a fresh token; `keep` writes it."""
        now_ms = to_ms(self._clock.now())
        return Session(self.new_token(), account, level, now_ms, now_ms, notes, kind)

    def keep(self, connection: Connection, session: Session) -> None:
        """Write a session, or what it remembers now, in the caller's transaction."""
        hashed = self._hash(session.token)
        accounts.delete_session(connection, hashed)
        row = SessionRow(
            token_hmac=hashed,
            account=session.account,
            created_ms=session.created_ms,
            expires_ms=session.expires_ms,
            seen_ms=session.seen_ms,
            level=session.level,
            data_wrapped=self._seal(session.token, session.notes),
        )
        accounts.insert_session(connection, row)

    def drop(self, connection: Connection, session: Session) -> None:
        """End a session in the caller's transaction."""
        accounts.delete_session(connection, self._hash(session.token))

    async def read(self, token: str) -> Session | None:
        """The session of a token; None when it is unknown, over, or its account may not sign in any more."""
        if not _TOKEN.match(token):
            return None
        hashed = self._hash(token)

        def ask(connection: Connection) -> tuple[SessionRow, AccountKind] | None:
            row = accounts.session(connection, hashed)
            account = None if row is None else accounts.account(connection, row.account)
            may = lifecycle.judge(account.state if account else None, Wish.SIGN_IN)
            return (row, account.kind) if row and account and isinstance(may, Accept) else None

        found = await self._store.read(ask)
        if found is None or found[0].expires_ms <= to_ms(self._clock.now()):
            return None
        row, kind = found
        try:
            notes = self._open(token, row.data_wrapped)
        except SealBroken:
            return None
        return Session(token, row.account, Level(row.level), row.created_ms, row.seen_ms, notes, kind)

    async def touch(self, session: Session) -> None:
        """It was used just now. Lost at a power cut, and that costs a sign-in, nothing else."""
        now_ms = to_ms(self._clock.now())
        if now_ms - session.seen_ms < TOUCH_S * 1000:
            return
        seen, hashed = replace(session, seen_ms=now_ms), self._hash(session.token)
        await self._store.write(
            lane_of_hash(hashed, LANES),
            lambda c: accounts.touch_session(c, hashed, seen.seen_ms, seen.expires_ms),
            lazy=True,
        )

    async def sweep(self) -> int:
        """Remove what has expired. Returns how many."""
        now_ms = to_ms(self._clock.now())
        return await self._store.write(0, lambda c: accounts.sweep_sessions(c, now_ms))

    def _hash(self, token: str) -> bytes:
        return self._lookup.of("web session", token)

    def _seal(self, token: str, notes: Notes) -> bytes:
        plain = json.dumps(dict(notes)).encode()
        return seal.encrypt(seal.derive(token.encode(), b"web session notes"), plain, b"notes", self._chance)

    def _open(self, token: str, sealed: bytes) -> Notes:
        key = seal.derive(token.encode(), b"web session notes")
        notes: dict[str, str | int] = json.loads(seal.decrypt(key, sealed, b"notes"))
        return notes
