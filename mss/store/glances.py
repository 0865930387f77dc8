"""Is everything as it was when somebody's rights were last judged? One look, in as few statements as can be.

Who has signed in is looked at again before each command; nearly always nothing has changed. What is told here are the
bare facts that such a judgement reads (mss/imap/people.py), to be compared with those of the last time: equal facts,
equal judgement. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Table,
    cast,
    literal_column,
    null,
    select,
    union_all,
)

from mss.store import schema
from mss.store.sql import Hot, own_parameters, owned_by

Glance = list[Sequence[Any] | None]
"""To be compared with another of the same account, and for nothing else."""

_A, _C, _B, _N = schema.account, schema.credential, schema.mailbox, schema.membership
_ACCOUNT, _CREDENTIAL, _MAILBOX, _MEMBERSHIP = range(4)
_NO_WORD: ColumnElement[str] = literal_column("''")
_NO_OCTETS = cast(null(), LargeBinary)


def _facts(what: int, table: Table, *columns: ColumnElement[Any]) -> Select[Any]:
    return select(literal_column(str(what)), *columns).where(owned_by(table))


_OF_ACCOUNT = Hot(
    union_all(
        _facts(_ACCOUNT, _A, _A.c.owner, _A.c.kind, _A.c.state, _A.c.masked, _NO_OCTETS),
        _facts(_CREDENTIAL, _C, _C.c.credential, _C.c.kind, _NO_WORD, _NO_WORD, _C.c.verifier),
        _facts(_MAILBOX, _B, _B.c.owner, _B.c.kind, _B.c.state, _NO_WORD, _NO_OCTETS),
        _facts(_MEMBERSHIP, _N, _N.c.of_owner, _N.c.rights, _NO_WORD, _NO_WORD, _NO_OCTETS),
    )
)
_OF_TEAM = Hot(select(_B.c.owner, _B.c.kind, _B.c.state).where(owned_by(_B)))


_KIND_AND_NUMBER = itemgetter(0, 1)


def of_account(connection: Connection, account: int) -> Glance:
    """The account's state and credentials, its mailbox's state, and its memberships with the states of those."""
    rows = sorted(_OF_ACCOUNT.all(connection, own_parameters(account)), key=_KIND_AND_NUMBER)
    teams = [_OF_TEAM.of(connection, own_parameters(row[1])) for row in rows if row[0] == _MEMBERSHIP]
    return [*rows, *teams]
