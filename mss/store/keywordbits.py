"""Which keywords does a folder know, and as which bits? Functions of a connection; the caller's transaction."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, insert, select

from mss.store import schema
from mss.store.sql import Hot, own, own_parameters, owned_by

K = schema.keyword
KEYWORDS_MAX = 62
"""Keywords of one folder: bits of a signed 64-bit number."""


_OF_FOLDER = Hot(
    select(K.c.bit, K.c.name_sealed).where(owned_by(K), K.c.folder == bindparam("which")).order_by(K.c.bit)
)


def of_folder(connection: Connection, owner: int, folder: int) -> list[tuple[int, bytes]]:
    """(bit, sealed name) of the keywords of a folder."""
    return [(bit, sealed) for bit, sealed in _OF_FOLDER.all(connection, own_parameters(owner) | {"which": folder})]


def add(connection: Connection, owner: int, folder: int, name_sealed: bytes, name_hmac: bytes) -> int | None:
    """The bit of a keyword, found or new; None when the folder has its 62."""
    bits = {
        row.name_hmac: row.bit
        for row in connection.execute(
            select(K.c.bit, K.c.name_hmac).where(owned_by(K), K.c.folder == folder), own_parameters(owner)
        )
    }
    if name_hmac in bits:
        return int(bits[name_hmac])
    free = next((bit for bit in range(KEYWORDS_MAX) if bit not in bits.values()), None)
    if free is not None:
        row = own(owner) | {"folder": folder, "bit": free, "name_sealed": name_sealed, "name_hmac": name_hmac}
        connection.execute(insert(K), row)
    return free
