"""Which rows tell who vouches for the holder of a mailbox, who was invited to the pages, and which addresses are
contested? Tables only."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, String, Table

from mss.store.columns import Bytes, Id, Word, metadata
from mss.store.columns import col as _col
from mss.store.columns import owned as _owned

standing = _owned(
    "standing",
    _col("person_hmac", Bytes),
    _col("method", Word),
    _col("verified_ms", BigInteger),
    _col("next_check_ms", BigInteger),
    _col("told_ms", BigInteger, 0),
    _col("ended_ms", BigInteger, 0),
    _col("ended_why", Word, ""),
    _col("ended_by", Integer, 0),
    Index("ix_standing_person", "person_hmac"),
    Index("ix_standing_check", "method", "next_check_ms"),
    Index("ix_standing_ended", "ended_why", "ended_ms"),
)
"""Of a person's mailbox: who she is (keyed hash of her IDNPS; empty: nobody said), who vouches for her (a source of the
directory, whose moments count then, or `staff`), since when, until when. `told_ms`: when she was told that the check is
overdue. Ended: her access, when, why, and by which import (0: none)."""

invitation = Table(
    "invitation",
    metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    Column("token_hmac", Bytes, primary_key=True),
    _col("account", Id),
    _col("until_ms", BigInteger),
    _col("address_sealed", Bytes),
    sqlite_with_rowid=False,
)
"""A link by which a professional makes her way into the pages, once. What it carries is sealed under the link."""

contested = Table(
    "contested",
    metadata,
    Column("address", String(320), primary_key=True),
    _col("source", Integer),
    _col("holder", Word),
    _col("claimed_by", Word),
    _col("since_ms", BigInteger),
    sqlite_with_rowid=False,
)
"""An address that a file gave to somebody else: the national numbers of who had it and who is to have it. Nobody is
shown behind it until a person has decided."""

address_note = Table(
    "address_note",
    metadata,
    Column("address", String(320), primary_key=True),
    _col("purpose", String(250), ""),
    _col("size_bytes_max", BigInteger, 0),
    _col("patients", Integer, -1),
    _col("xdm", Integer, -1),
    _col("paperless", Integer, -1),
    _col("said_ms", BigInteger, 0),
    _col("accepted_ms", BigInteger, 0),
    _col("bounced_ms", BigInteger, 0),
    _col("bounces", Integer, 0),
    _col("absent_from_ms", BigInteger, 0),
    _col("absent_until_ms", BigInteger, 0),
    _col("substitute", String(320), ""),
    _col("wrote_ms", BigInteger, 0),
    sqlite_with_rowid=False,
)
"""What is known of a listed address beside the files: purpose and abilities, as its structure's people say; when mail
to it was last taken or came back; until when its holder is away, and who stands in; the day on which it last wrote."""
