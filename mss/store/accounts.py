"""Who signs in, with what, and for how long? Accounts, credentials and web sessions as rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import BigInteger, Connection, and_, bindparam, case, delete, insert, select, update

from mss.model.ids import LANES, OwnerId
from mss.model.mailbox import AccountState
from mss.store import schema
from mss.store.ids import lane_of_hash
from mss.store.sql import Hot, own, own_parameters, owned_by

A = schema.account
C = schema.credential
S = schema.session


class AccountKind(StrEnum):
    """Whose account it is."""

    PATIENT = "patient"
    PROFESSIONAL = "professional"
    APPLICATION = "application"
    STAFF = "staff"


class CredentialKind(StrEnum):
    """What proves a login. Verifiers are argon2 hashes, or a keyed hash of a certificate's name."""

    PASSWORD = "password"  # noqa: S105 — a kind, not a secret
    APPLICATION_PASSWORD = "application-password"  # noqa: S105
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class AccountRow:
    owner: OwnerId
    kind: AccountKind
    state: AccountState
    totp_wrapped: bytes | None
    totp_last_step: int
    failures: int
    locked_until_ms: int
    masked: str = ""
    """Capabilities of IMAP that are not offered, with blanks between."""


@dataclass(frozen=True, slots=True)
class CredentialRow:
    credential: int
    kind: CredentialKind
    verifier: bytes


_ONE = Hot(
    select(
        A.c.owner,
        A.c.kind,
        A.c.state,
        A.c.totp_wrapped,
        A.c.totp_last_step,
        A.c.failures,
        A.c.locked_until_ms,
        A.c.masked,
    ).where(owned_by(A))
)


def account(connection: Connection, owner: int) -> AccountRow | None:
    row = _ONE.of(connection, own_parameters(owner))
    if row is None:
        return None
    number, kind, state, *rest = row
    return AccountRow(OwnerId(number), AccountKind(kind), AccountState(state), *rest)


def insert_account(connection: Connection, row: AccountRow, login_hmac: bytes) -> None:
    values = {"kind": row.kind, "state": row.state, "totp_wrapped": row.totp_wrapped, "login_hmac": login_hmac}
    connection.execute(insert(A), own(row.owner) | values)


def set_account_state(connection: Connection, owner: int, state: AccountState) -> None:
    connection.execute(update(A).where(owned_by(A)).values(state=state), own_parameters(owner))


def set_totp(connection: Connection, owner: int, totp_wrapped: bytes) -> None:
    change = update(A).where(owned_by(A)).values(totp_wrapped=totp_wrapped, totp_last_step=0)
    connection.execute(change, own_parameters(owner))


_USE_STEP = (
    update(A)
    .where(owned_by(A), A.c.totp_last_step < bindparam("step"))
    .values(totp_last_step=bindparam("step"), failures=0)
)


def use_totp_step(connection: Connection, owner: int, step: int) -> bool:
    """Take a one-time code's time step; False when it, or a later one, was used already (RFC 6238 §5.2)."""
    return connection.execute(_USE_STEP, own_parameters(owner) | {"step": step}).rowcount == 1


_NOW, _AHEAD, _INTERVAL = (bindparam(name, type_=BigInteger) for name in ("now_ms", "ahead_ms", "interval_ms"))
_SPEND_TRY = (
    update(A)
    .where(owned_by(A), A.c.code_budget_ms <= _NOW + _AHEAD)
    .values(code_budget_ms=case((A.c.code_budget_ms > _NOW, A.c.code_budget_ms), else_=_NOW) + _INTERVAL)
)


def spend_code_try(connection: Connection, owner: int, now_ms: int, interval_ms: int, burst: int) -> bool:
    """Use one try at a one-time code: `burst` of them, and one more each interval. False when none is left.

    The row holds one moment, when all tries will be there again (GCRA), so nothing has to be counted or swept.
    """
    moments = {"now_ms": now_ms, "ahead_ms": (burst - 1) * interval_ms, "interval_ms": interval_ms}
    return connection.execute(_SPEND_TRY, own_parameters(owner) | moments).rowcount == 1


def return_code_tries(connection: Connection, owner: int, tries: int, interval_ms: int) -> None:
    """The tries of a sign-in that ended well cost nothing."""
    change = update(A).where(owned_by(A)).values(code_budget_ms=A.c.code_budget_ms - tries * interval_ms)
    connection.execute(change, own_parameters(owner))


def note_failure(connection: Connection, owner: int, locked_until_ms: int) -> int:
    """Count a failed sign-in and set until when the next is not looked at. Returns failures in a row."""
    change = update(A).where(owned_by(A)).values(failures=A.c.failures + 1, locked_until_ms=locked_until_ms)
    return int(connection.execute(change.returning(A.c.failures), own_parameters(owner)).scalar_one())


def clear_failures(connection: Connection, owner: int) -> None:
    change = update(A).where(owned_by(A)).values(failures=0, locked_until_ms=0)
    connection.execute(change, own_parameters(owner))


_CREDENTIALS = Hot(
    select(C.c.credential, C.c.kind, C.c.verifier)
    .where(owned_by(C), C.c.kind.in_((bindparam("kind_a"), bindparam("kind_b"))))
    .order_by(C.c.credential)
)


def credentials(
    connection: Connection, owner: int, kind: CredentialKind, other: CredentialKind | None = None
) -> list[CredentialRow]:
    """Those of a kind, or of two."""
    kinds = {"kind_a": kind.value, "kind_b": (other or kind).value}
    return [
        CredentialRow(number, CredentialKind(kind), verifier)
        for number, kind, verifier in _CREDENTIALS.all(connection, own_parameters(owner) | kinds)
    ]


def insert_credential(connection: Connection, owner: int, row: CredentialRow, created_ms: int) -> None:
    values = {"credential": row.credential, "kind": row.kind, "verifier": row.verifier, "created_ms": created_ms}
    connection.execute(insert(C), own(owner) | values)


def delete_credentials(connection: Connection, owner: int, kind: CredentialKind) -> None:
    connection.execute(delete(C).where(owned_by(C), C.c.kind == kind), own_parameters(owner))


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A web session. `level` says how far sign-in has come (password, full)."""

    token_hmac: bytes
    account: OwnerId
    created_ms: int
    expires_ms: int
    seen_ms: int
    level: str
    data_wrapped: bytes


_AT_TOKEN = and_(S.c.lane == bindparam("at_lane"), S.c.token_hmac == bindparam("at_token"))


def _at(token_hmac: bytes) -> dict[str, object]:
    return {"at_lane": lane_of_hash(token_hmac, LANES), "at_token": token_hmac}


def session(connection: Connection, token_hmac: bytes) -> SessionRow | None:
    columns = (S.c.token_hmac, S.c.account, S.c.created_ms, S.c.expires_ms, S.c.seen_ms, S.c.level, S.c.data_wrapped)
    row = connection.execute(select(*columns).where(_AT_TOKEN), _at(token_hmac)).one_or_none()
    if row is None:
        return None
    token, owner, *rest = row
    return SessionRow(token, OwnerId(owner), *rest)


def insert_session(connection: Connection, row: SessionRow) -> None:
    values = {
        "lane": lane_of_hash(row.token_hmac, LANES),
        "token_hmac": row.token_hmac,
        "account": row.account,
        "created_ms": row.created_ms,
        "expires_ms": row.expires_ms,
        "seen_ms": row.seen_ms,
        "level": row.level,
        "data_wrapped": row.data_wrapped,
    }
    connection.execute(insert(S), values)


def touch_session(connection: Connection, token_hmac: bytes, seen_ms: int, expires_ms: int) -> None:
    change = update(S).where(_AT_TOKEN).values(seen_ms=seen_ms, expires_ms=expires_ms)
    connection.execute(change, _at(token_hmac))


def delete_session(connection: Connection, token_hmac: bytes) -> None:
    connection.execute(delete(S).where(_AT_TOKEN), _at(token_hmac))


def delete_sessions_of(connection: Connection, owner: int) -> None:
    """Every session of an account, wherever its lane (a fan-out: password change, closing)."""
    connection.execute(delete(S).where(S.c.account == owner))


def sweep_sessions(connection: Connection, now_ms: int) -> int:
    """Remove sessions that have expired."""
    return connection.execute(delete(S).where(S.c.expires_ms < now_ms)).rowcount


def masked(connection: Connection, owner: int) -> list[str]:
    """Capabilities of IMAP that are not offered to an account."""
    words = connection.execute(select(A.c.masked).where(owned_by(A)), own_parameters(owner)).scalar_one_or_none()
    return (words or "").split()


def set_masked(connection: Connection, owner: int, names: Iterable[str]) -> None:
    words = " ".join(sorted(names))
    connection.execute(update(A).where(owned_by(A)).values(masked=words), own_parameters(owner))
