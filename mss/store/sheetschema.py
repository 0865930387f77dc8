"""Which rows hold what many messages say? One table, beside those of mss/store/schema.py."""

from __future__ import annotations

from sqlalchemy import BigInteger

from mss.store.columns import Bytes, Id, col, owned

sheet = owned(
    "sheet",
    col("last_uid", BigInteger),
    col("number", Id),
    col("sealed", Bytes),
    keys=("folder", "kind", "first_uid"),
)
"""Copies of what many messages of a folder say, behind one seal (mss/store/sheets.py). Kind: 0 summaries, 1 texts."""
