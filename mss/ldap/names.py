"""Where in the tree does a name stand? One branch with all entries; its root, its schema, and nothing else.

(root)                                  what the server can do
cn=subschema                            which attributes there are
ou=bal,o=mssante,c=fr                   the address book (`ldap.base`)
uid=camille.lefort@ville…,ou=bal,…      one address
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mss.formats.dn import DistinguishedName, escape_value
from mss.model.errors import BadValue

SCHEMA_NAME = "cn=subschema"
NAME_CHARS_MAX = 500
_UID = "0.9.2342.19200300.100.1.1"
_MAIL = "0.9.2342.19200300.100.1.3"


class Spot(Enum):
    """What a name means."""

    ROOT = 1
    SCHEMA = 2
    ABOVE = 3
    """A branch that holds the address book: `o=mssante,c=fr`."""
    BOOK = 4
    ENTRY = 5
    NOWHERE = 6


@dataclass(frozen=True, slots=True)
class Place:
    """A spot, and the address when it is an entry's."""

    spot: Spot
    address: str = ""


class Tree:
    """Names below one base. Raises BadValue for a base that is no name."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._rdns = _parsed(base)

    def place(self, name: str) -> Place:
        """Where a name stands. Letters of either size, as directories have it (RFC 4517 §4.2.15)."""
        plain = name.strip().lower()
        if plain in ("", SCHEMA_NAME):
            return Place(Spot.SCHEMA if plain else Spot.ROOT)
        if len(plain) > NAME_CHARS_MAX:
            return Place(Spot.NOWHERE)
        try:
            rdns = _parsed(plain)
        except BadValue:
            return Place(Spot.NOWHERE)
        if rdns == self._rdns:
            return Place(Spot.BOOK)
        if rdns == self._rdns[: len(rdns)]:
            return Place(Spot.ABOVE)
        if rdns[:-1] == self._rdns and len(rdns[-1]) == 1 and rdns[-1][0][0] in (_UID, _MAIL):
            return Place(Spot.ENTRY, rdns[-1][0][1])
        return Place(Spot.NOWHERE)

    def name_of(self, address: str) -> str:
        """The name of an address's entry."""
        return f"uid={escape_value(address)},{self.base}"

    def login_of(self, name: str) -> str:
        """The address that a client binds as: by itself, or as the name of its entry; empty for anything else."""
        plain = name.strip()
        if "@" in plain and "=" not in plain:
            return plain
        return self.place(plain).address


def _parsed(name: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Raises BadValue."""
    return DistinguishedName.parse(name.lower()).rdns
