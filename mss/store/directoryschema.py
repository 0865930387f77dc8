"""Which rows does the directory have? Public data of professionals, once for everybody: no owner, no lane.

In clear, because it is published: names at work, national numbers, professional addresses. What is on the red list
never gets here (docs/decisions/0007-directory.md). Rows are kept by generation: an import adds the next one beside the
one that people read, and a single row says which is read.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, String, Table, Text

from mss.store.columns import Bytes, Id, Word, col, key, metadata

STILL = 2**31 - 1
"""`until` of a fact that nobody has taken back."""
CODE_CHARS_MAX = 60
"""Of a national code; the longest known has five."""
Key = String(120).with_variant(String(120, collation="C"), "postgresql")
"""Compared byte by byte on both engines: a walk along keys is a range."""

Number = BigInteger().with_variant(Integer, "sqlite")
"""On SQLite the rowid itself: the pages on the way to a row hold numbers alone, so that of the way to one among
millions only the last page is not at hand."""

directory_source = Table(
    "directory_source",
    metadata,
    Column("source", SmallInteger, primary_key=True, autoincrement=False),
    col("current", Integer, 0),
    col("before", Integer, 0),
    col("as_of_ms", BigInteger, 0),
    col("before_as_of_ms", BigInteger, 0),
    col("digest", Bytes),
    col("before_digest", Bytes),
)
"""Which generation of each source is read, and the one that a rollback returns to (0: none)."""

directory_import = Table(
    "directory_import",
    metadata,
    Column("generation", Integer, primary_key=True, autoincrement=False),
    col("source", SmallInteger),
    col("state", Word),
    col("digest", Bytes),
    col("file", String(250)),
    col("as_of_ms", BigInteger),
    col("began_ms", BigInteger),
    col("ended_ms", BigInteger, 0),
    col("counts", Text),
    Index("ix_directory_import_source", "source", "generation"),
)
"""Every import that changed something. State: applying, applied, rolled-back. Counts: JSON."""

directory_fact = Table(
    "directory_fact",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    col("source", SmallInteger),
    col("kind", SmallInteger),
    col("text", Text),
    col("since", Integer),
    col("until", Integer, STILL),
)
"""A professional, a structure or a listing as one source says it. Number: subject, then content
(directory/facts.py). Read while since <= the source's generation < until."""

directory_key = Table(
    "directory_key",
    metadata,
    Column("key", Key, primary_key=True),
    Column("number", Id, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""The index of listings: walks along it answer every search (directory/keys.py)."""

directory_job = Table(
    "directory_job",
    metadata,
    Column("job", Key, primary_key=True),
    Column("code", String(CODE_CHARS_MAX), primary_key=True),
    sqlite_with_rowid=False,
)
"""Professions and specialties that were ever named, folded, with the codes they came with: some hundreds."""

own_mailbox = Table(
    "own_mailbox",
    metadata,
    key("hmac", Bytes()),
    col("kind", Word),
    col("holder_hmac", Bytes),
    col("state", Word),
    col("is_unlisted", SmallInteger, 0),
    col("text", Text, ""),
    col("version", Integer, 1),
    col("changed_ms", BigInteger),
    col("published", Integer, 0),
    col("problem", String(200), ""),
    col("tries", Integer, 0),
    col("since_ms", BigInteger, 0),
    col("next_try_ms", BigInteger, 0),
    col("sealed", Bytes),
    sqlite_with_rowid=False,
)
"""What the operator of a domain says of one of its mailboxes (directory/own.py), by the keyed hash of its address. The
row stays for ever, so that nobody else is ever shown behind the address. Text: JSON, in clear since it is published;
empty on the red list. `published`: the version that the national directory has; `problem`: why it has no newer one,
after how many tries, since when, and when the next is. `sealed`: what the works must know of a mailbox that went on the
red list, until it was taken back there."""

own_change = Table(
    "own_change",
    metadata,
    key("hmac", Bytes()),
    Column("version", Integer, primary_key=True, autoincrement=False),
    col("at_ms", BigInteger),
    col("actor", String(200)),
    col("what", Word),
    col("text", Text, ""),
    sqlite_with_rowid=False,
)
"""Each change of the row above: when, by whom, and how it read then (nothing of what is on the red list)."""
