"""Which rows say what sending mailboxes were told? Two tables, beside those of mss/store/schema.py."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, String, Table

from mss.store.columns import Bytes, Word, col, key, metadata

outcome = Table(
    "outcome",
    metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    key("id"),
    col("sender_hmac", Bytes),
    col("at_ms", BigInteger),
    col("fate", Word),
    col("reason", String(48), ""),
    col("code", SmallInteger, 0),
    col("documents", Integer, 0),
    col("detail_sealed", Bytes),
    Index("ix_outcome_sender", "sender_hmac", "at_ms"),
    sqlite_with_rowid=False,
)
"""What became of a mail, as its sender was or could be told: written with the answer. Sealed to the house's `tasks`
pair: sender and Message-ID. Names no owner of ours."""

nightly = Table(
    "nightly",
    metadata,
    Column("sender_hmac", Bytes, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Days (20260105) about which a sending mailbox got its table."""
