"""Of what are tables made? The few kinds of column, and the key with which every owned row begins."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, SmallInteger, String, Table
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = BigInteger
Bytes = LargeBinary
Word = String(48)


def key(name: str, kind: type[TypeEngine[int]] | TypeEngine[bytes] = BigInteger) -> Column[object]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def owned(name: str, *columns: Column[object] | Index, keys: tuple[str, ...] = ()) -> Table:
    """A table whose primary key is lane, owner and `keys`; stored in key order on SQLite too."""
    return Table(
        name,
        metadata,
        Column("lane", SmallInteger, primary_key=True, autoincrement=False),
        key("owner"),
        *(key(one) for one in keys),
        *columns,
        sqlite_with_rowid=False,
    )


def col(name: str, kind: Any, default: object = None, *, null: bool = False) -> Column[object]:
    server_default = None if default is None else str(default)
    return Column(name, kind, nullable=null, server_default=server_default)
