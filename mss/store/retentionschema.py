"""Which rows tell what will be deleted of a mailbox because it is old? Tables only."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean

from mss.store.columns import col as _col
from mss.store.columns import owned as _owned

retention = _owned(
    "retention",
    _col("is_held", Boolean, "false"),
    _col("due_ms", BigInteger, 0),
    _col("told_ms", BigInteger, 0),
    _col("reminded_ms", BigInteger, 0),
    _col("mailbox_until_ms", BigInteger, -1),
    _col("trash_until_ms", BigInteger, -1),
    _col("junk_until_ms", BigInteger, -1),
)
"""Held: nothing of this mailbox is deleted, whatever the settings. The rest is the round that runs (due 0: none): when
messages go, when the first and the last warning stood in the mailbox, and up to which moment of arrival in their folder
messages are meant, by rule (-1: none)."""
