"""What does an inspector read? One hash chain for each lane, written in the transaction of the act.

A row says who did what to which object, when, with what result; ids and reasons only. `digest` covers the row
and the digest before it, so an edit, a deletion or a swap breaks the chain. The set of chain heads, signed
(`signed_heads`), shows truncation too, once a copy lies elsewhere. `mss trace` reads the same rows by Message-ID.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, bindparam, select, update

from mss.model.clock import from_ms, to_ms
from mss.model.ids import LANES, lane_of
from mss.store import schema
from mss.store.sql import Hot, insert_ignoring

GENESIS = bytes(32)
RESULT_CHARS_MAX = 200
ACTOR_CHARS_MAX = 200
_ENCODER = json.JSONEncoder(ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that happened. `object` is a row number, `result` a reason or a count: never content."""

    at: datetime
    actor: str
    """`relay:<certificate serial>`, `login:<account>`, `bridge`, `staff:<account>` …"""
    act: str
    owner: int
    object: int = 0
    message_id_hmac: bytes = b""
    result: str = ""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An act in its place in a chain."""

    lane: int
    seq: int
    previous: bytes
    digest: bytes
    act: Act


def _digest(previous: bytes, seq: int, lane: int, act: Act) -> bytes:
    fields = [
        lane,
        seq,
        to_ms(act.at),
        act.actor,
        act.act,
        act.owner,
        act.object,
        act.message_id_hmac.hex(),
        act.result,
    ]
    return hashlib.sha256(previous + _ENCODER.encode(fields).encode()).digest()


_H = schema.audit_head
_LOCKED_HEAD = Hot(select(_H.c.seq, _H.c.digest).where(_H.c.lane == bindparam("at_lane")).with_for_update())
_APPEND = Hot(
    schema.audit.insert(),
    (
        *("lane", "seq", "previous", "digest", "at_ms", "actor", "act", "owner", "object"),
        *("message_id_hmac", "result"),
    ),
)
_MOVE_HEAD = Hot(
    update(_H).where(_H.c.lane == bindparam("at_lane")).values(seq=bindparam("new_seq"), digest=bindparam("new_digest"))
)


def write(connection: Connection, acts: Sequence[Act]) -> None:
    """Append acts to the chains of their owners' lanes, in the caller's transaction."""
    heads: dict[int, tuple[int, bytes]] = {}
    for lane in sorted({lane_of(act.owner) for act in acts}):  # heads are always locked in this order
        head = _LOCKED_HEAD.of(connection, {"at_lane": lane})
        assert head is not None, "every lane is born with its head"
        heads[lane] = head[0], head[1]
    rows = []
    for act in acts:
        lane = lane_of(act.owner)
        row = _link(lane, *heads[lane], act)
        heads[lane] = row["seq"], row["digest"]
        rows.append(row)
    _APPEND.each(connection, rows)
    moves = [{"at_lane": lane, "new_seq": seq, "new_digest": digest} for lane, (seq, digest) in heads.items()]
    _MOVE_HEAD.each(connection, moves)


def _link(lane: int, seq: int, previous: bytes, told: Act) -> dict[str, Any]:
    """The row that follows another in the chain of a lane."""
    act = told
    if len(told.actor) > ACTOR_CHARS_MAX or len(told.result) > RESULT_CHARS_MAX:
        act = replace(told, actor=told.actor[:ACTOR_CHARS_MAX], result=told.result[:RESULT_CHARS_MAX])
    return {
        "lane": lane,
        "seq": seq + 1,
        "previous": previous,
        "digest": _digest(previous, seq + 1, lane, act),
        "at_ms": to_ms(act.at),
        "actor": act.actor,
        "act": act.act,
        "owner": act.owner,
        "object": act.object,
        "message_id_hmac": act.message_id_hmac,
        "result": act.result,
    }


def create_heads(connection: Connection) -> None:
    """Begin every chain. A row for each lane from the first day, so that writers can lock it."""
    insert_ignoring(connection, schema.audit_head, [{"lane": n, "seq": 0, "digest": GENESIS} for n in range(LANES)])


def _read(rows: Iterator[object]) -> Iterator[AuditRow]:
    for row in rows:
        act = Act(
            from_ms(row.at_ms),  # type: ignore[attr-defined]
            row.actor,  # type: ignore[attr-defined]
            row.act,  # type: ignore[attr-defined]
            row.owner,  # type: ignore[attr-defined]
            row.object,  # type: ignore[attr-defined]
            row.message_id_hmac,  # type: ignore[attr-defined]
            row.result,  # type: ignore[attr-defined]
        )
        yield AuditRow(row.lane, row.seq, row.previous, row.digest, act)  # type: ignore[attr-defined]


def by_message_id(connection: Connection, message_id_hmac: bytes) -> list[AuditRow]:
    """Everything that happened to the messages of that Message-ID, in order of time."""
    table = schema.audit
    query = select(table).where(table.c.message_id_hmac == message_id_hmac).order_by(table.c.at_ms, table.c.seq)
    return list(_read(iter(connection.execute(query))))


def verify(connection: Connection) -> tuple[int, list[str]]:
    """Walk every chain. Returns the number of rows and one line for each break (empty when whole)."""
    table = schema.audit
    breaks: list[str] = []
    tails: dict[int, tuple[int, bytes]] = {}
    count = 0
    for row in _read(iter(connection.execute(select(table).order_by(table.c.lane, table.c.seq)))):
        count += 1
        seq, digest = tails.get(row.lane, (0, GENESIS))
        if row.seq != seq + 1 or row.previous != digest:
            breaks.append(f"lane {row.lane}: row {row.seq} does not follow row {seq}")
        elif row.digest != _digest(row.previous, row.seq, row.lane, row.act):
            breaks.append(f"lane {row.lane}: row {row.seq} was altered")
        tails[row.lane] = (row.seq, row.digest)
    for head in connection.execute(select(schema.audit_head)):
        if tails.get(head.lane, (0, GENESIS)) != (head.seq, head.digest):
            breaks.append(f"lane {head.lane}: the chain does not end at its head")
    return count, breaks


def signed_heads(connection: Connection, at: datetime, key: Ed25519PrivateKey) -> bytes:
    """A checkpoint: every chain head, the moment, and a signature, as text to be copied elsewhere."""
    heads = connection.execute(select(schema.audit_head).order_by(schema.audit_head.c.lane))
    lines = [f"mss audit checkpoint {to_ms(at)}", *(f"{h.lane} {h.seq} {h.digest.hex()}" for h in heads)]
    body = "\n".join(lines).encode() + b"\n"
    return body + b"signature " + key.sign(body).hex().encode() + b"\n"
