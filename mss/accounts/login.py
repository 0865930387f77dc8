"""Who is this person, and how sure are we? Sign-in of people: password, then one-time code.

Unknown login and wrong password get the same words in the same time: both hash, read and write alike. Who fails waits
(mss/accounts/slowdown.py): for each account longer and longer, for each address a little. One-time codes have a
budget in the account's row, about thirty wrong ones a day, so that even a stolen password leaves a chance of one in
ten thousand; tries of a sign-in that ends well are given back.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from mss.accounts import lifecycle, onetime
from mss.accounts.devices import device_of, new_device
from mss.accounts.lifecycle import Wish
from mss.accounts.passwords import Busy, Passwords
from mss.accounts.service import totp_context
from mss.accounts.sessions import Level, Session, Sessions
from mss.accounts.slowdown import Budget, Slowdown
from mss.crypto.keys import KeyWrapper, Lookup
from mss.model.clock import Chance, Clock, to_ms
from mss.model.ids import OwnerId, lane_of, network_of
from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict
from mss.store import accounts, audit, owners
from mss.store.accounts import AccountKind, AccountRow, CredentialKind
from mss.store.database import Store

LOGIN_CHARS_MAX = 254
"""A professional signs in under her address, which has no more (RFC 5321 §4.5.3.1.3)."""
FREE_FAILURES = 4
FIRST_PAUSE_S = 2.0
PAUSE_S_MAX = 300.0
"""Wrong passwords of one account: four free, then 2 s, 4 s, … 5 min. Guessing ends; a tired
person does not wait long."""
ADDRESS_BURST = 30
ADDRESS_INTERVAL_S = 10.0
"""Failures from one address, whatever the account: a burst, then one each 10 s, so nobody behind the same box waits
longer. Attempts that the account's own pause turns away do not count here."""
BUSY_S = 5
PACE_S = 0.25
JITTER_MS = 20
"""A wrong password is answered at the next quarter of a second, give or take: what is left of a difference hides
there."""
CODE_BURST = 10
CODE_INTERVAL_S = 72 * 60
"""Wrong codes of one account: 10, and 20 a day. Three in a million are right at any moment, so 31 × 3 : 10⁶
is below one in ten thousand."""
CODES_A_SESSION = 5
"""Then the password again."""
NOBODY = OwnerId(0)
"""Under this number failures of unknown logins are written down, at the same cost."""

WRONG = Refuse(Reason.AUTHENTICATION_FAILED)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where an attempt comes from: IP address, and the device cookie if the browser showed one."""

    address: str
    device: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """How an attempt ended. Accepted: the new session, and at the end of a sign-in a cookie for the device."""

    verdict: Verdict
    session: Session | None = None
    wait_s: int = 0
    device: str = ""


@dataclass(frozen=True, slots=True)
class _Account:
    owner: OwnerId
    row: AccountRow | None
    verifier: str | None

    @property
    def may_sign_in(self) -> bool:
        state = self.row.state if self.row else None
        return isinstance(lifecycle.judge(state, Wish.SIGN_IN), Accept)


class Login:
    """Signs people in and out."""

    def __init__(
        self,
        store: Store,
        lookup: Lookup,
        wrapper: KeyWrapper,
        sessions: Sessions,
        passwords: Passwords,
        clock: Clock,
        chance: Chance,
        *,
        pace_s: float = PACE_S,
    ) -> None:
        self._pace_s = pace_s
        self._store = store
        self._lookup = lookup
        self._wrapper = wrapper
        self._sessions = sessions
        self._passwords = passwords
        self._clock = clock
        self._chance = chance
        self._slowdown = Slowdown(clock, free=FREE_FAILURES, first_s=FIRST_PAUSE_S, max_s=PAUSE_S_MAX)
        self._addresses = Budget(clock, burst=ADDRESS_BURST, interval_s=ADDRESS_INTERVAL_S)
        self._device_codes = Budget(clock, burst=CODE_BURST, interval_s=CODE_INTERVAL_S)

    # ── first step ──

    async def password(self, login: str, password: str, visitor: Visitor, next_page: str = "") -> Entry:
        """Check login name and password. Accepted: a session that may only show a one-time code."""
        name = self._lookup.login(login[:LOGIN_CHARS_MAX])
        began_s = self._clock.monotonic_s()
        account = await self._store.read(lambda c: _gather(c, name))
        device = device_of(self._lookup, account.owner, visitor.device)
        key = (name, device)
        if not device:
            self._recall(key, account.row)
        if wait := self._must_wait(key, visitor):
            return Entry(Later(Reason.RATE_LIMITED), wait_s=wait)
        failures = self._slowdown.count(key)
        try:
            right = await self._passwords.is_right(account.verifier, password, known_device=bool(device))
        except Busy:
            self._slowdown.uncount(key)
            self._give_back(device, visitor)
            return Entry(Later(Reason.RATE_LIMITED), wait_s=BUSY_S)
        if not (right and account.may_sign_in):
            await self._note_wrong_password(account, failures)
            await self._keep_pace(began_s)
            return Entry(WRONG)
        self._slowdown.forgive(key)
        self._give_back(device, visitor)
        kind = account.row.kind if account.row else AccountKind.PATIENT
        session = self._sessions.new(account.owner, Level.PASSWORD, {"next": next_page}, kind)
        await self._store.write(lane_of(account.owner), lambda c: self._sessions.keep(c, session))
        return Entry(Accept(), session)

    def _must_wait(self, key: tuple[bytes, str], visitor: Visitor) -> int:
        """Whole seconds until this may be tried; a try of the address is used when it may be now."""
        wait = self._slowdown.wait_s(key)
        if wait <= 0 and not key[1]:
            wait = self._addresses.take(network_of(visitor.address))
        return math.ceil(wait)

    def _give_back(self, device: str, visitor: Visitor) -> None:
        if not device:  # a known browser took none
            self._addresses.give_back(network_of(visitor.address))

    def _recall(self, key: tuple[bytes, str], row: AccountRow | None) -> None:
        if row is not None:
            wait_s = max(0, row.locked_until_ms - to_ms(self._clock.now())) / 1000
            self._slowdown.recall(key, row.failures, wait_s)

    async def _note_wrong_password(self, account: _Account, failures: int) -> None:
        """The same work for an account and for nobody: a row of audit, one sync (and one update for the former)."""
        now = self._clock.now()
        until_ms = to_ms(now) + int(self._slowdown.pause_s(failures) * 1000)
        known = account.row is not None

        def act(connection: Connection) -> None:
            if known:
                accounts.note_failure(connection, account.owner, until_ms)
            audit.write(connection, [audit.Act(now, "web", "login.wrong-password", account.owner)])

        await self._store.write(lane_of(account.owner), act)

    async def _keep_pace(self, began_s: float) -> None:
        if self._pace_s > 0:
            spent_s = self._clock.monotonic_s() - began_s
            await asyncio.sleep(self._pace_s - spent_s % self._pace_s + self._chance.below(JITTER_MS * 1000) / 1e6)

    # ── second step ──

    async def code(self, session: Session, code: str, visitor: Visitor) -> Entry:
        """Check the one-time code of somebody whose password was right. Accepted: a full session, another token.

        Refused: the session that may try again, or none when the password is asked for again.
        """
        owner = session.account
        row = await self._store.read(lambda c: accounts.account(c, owner))
        if row is None or row.totp_wrapped is None or session.level is not Level.PASSWORD:
            return Entry(WRONG)
        secret = self._wrapper.unwrap(row.totp_wrapped, totp_context(owner))
        step = onetime.matching_step(secret, code, self._clock.now())
        device = device_of(self._lookup, owner, visitor.device)
        # Whoever knows the password can use up the account's tries; a known browser then has its own.
        spare = bool(device) and self._device_codes.take((owner, device)) == 0
        full = self._sessions.new(owner, Level.FULL, {}, row.kind)
        entry = await self._store.write(lane_of(owner), lambda c: self._judge_code(c, session, full, step, spare=spare))
        if isinstance(entry.verdict, Accept):
            self._device_codes.give_back((owner, device))
            return replace(entry, device=new_device(self._lookup, owner, self._chance))
        return entry

    def _judge_code(
        self, connection: Connection, session: Session, full: Session, step: int | None, *, spare: bool
    ) -> Entry:
        """The whole step in one transaction, so that two browsers cannot use one code or one try."""
        owner, now = session.account, self._clock.now()
        interval_ms = CODE_INTERVAL_S * 1000
        wrong_so_far = int(session.notes.get("wrong", 0))
        spent = accounts.spend_code_try(connection, owner, to_ms(now), interval_ms, CODE_BURST)
        if not spent and not spare:
            return Entry(Later(Reason.RATE_LIMITED), session, wait_s=CODE_INTERVAL_S)
        if step is None or not accounts.use_totp_step(connection, owner, step):
            result = "wrong" if step is None else "used before"
            audit.write(connection, [audit.Act(now, "web", "login.wrong-code", owner, result=result)])
            return Entry(WRONG, self._another_try(connection, session, wrong_so_far + 1))
        accounts.clear_failures(connection, owner)
        accounts.return_code_tries(connection, owner, wrong_so_far + int(spent), interval_ms)
        self._sessions.drop(connection, session)
        self._sessions.keep(connection, full)
        audit.write(connection, [audit.Act(now, f"login:{owner}", "login.in", owner)])
        return Entry(Accept(), full)

    def _another_try(self, connection: Connection, session: Session, wrong: int) -> Session | None:
        if wrong >= CODES_A_SESSION:
            self._sessions.drop(connection, session)
            return None
        again = replace(session, notes={**session.notes, "wrong": wrong})
        self._sessions.keep(connection, again)
        return again

    # ── and out ──

    async def sign_out(self, session: Session) -> None:
        """End this session."""
        owner, now = session.account, self._clock.now()

        def act(connection: Connection) -> None:
            self._sessions.drop(connection, session)
            audit.write(connection, [audit.Act(now, f"login:{owner}", "login.out", owner)])

        await self._store.write(lane_of(owner), act)

    async def sign_out_everywhere(self, session: Session) -> None:
        """End every session of the account, this one too."""
        owner, now = session.account, self._clock.now()

        def act(connection: Connection) -> None:
            accounts.delete_sessions_of(connection, owner)
            audit.write(connection, [audit.Act(now, f"login:{owner}", "login.out-everywhere", owner)])

        await self._store.write(lane_of(owner), act)


def _gather(connection: Connection, name: bytes) -> _Account:
    """Everything about a login, with the same three questions for one that nobody has."""
    owner = owners.find(connection, name) or NOBODY
    row = accounts.account(connection, owner)
    known = accounts.credentials(connection, owner, CredentialKind.PASSWORD)
    return _Account(owner, row, known[-1].verifier.decode() if known and row else None)
