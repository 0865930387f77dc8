"""Which files did Exchange wrap into this winmail.dat?

Reads the attributes of a TNEF stream (MS-OXTNEF §2.1): attachments by their titles and data, which stand in it as they
are. A stream that is cut is not read at all: half a document would look like a whole one. Never raises, allocates no
more than it was given. Message text and properties are left alone.
"""

from __future__ import annotations

import struct

SIGNATURE = b"\x78\x9f\x3e\x22"
FILES_MAX = 1000
"""As in a ZIP."""
_HEADER_BYTES = 6  # signature, key
_ATTRIBUTE = struct.Struct("<BII")  # level, id, length; then the value and two octets of sum
_ATTACHMENT_BEGINS, _TITLE, _DATA = 0x00069002, 0x00018010, 0x0006800F


def is_tnef(data: bytes) -> bool:
    return data.startswith(SIGNATURE)


def files(data: bytes) -> list[tuple[str, bytes]] | None:
    """(name, content) of each file, mostly none: Exchange wraps mere formatting too. None when it is cut, or no TNEF
    behind its first octets. What stands behind the last attribute is nobody's."""
    found: list[tuple[str, bytes]] = []
    name, place = "", _HEADER_BYTES
    while place + _ATTRIBUTE.size <= len(data) and len(found) < FILES_MAX:
        level, kind, length = _ATTRIBUTE.unpack_from(data, place)
        if level not in (1, 2):
            break
        begins = place + _ATTRIBUTE.size
        if begins + length > len(data):
            return None
        if kind == _ATTACHMENT_BEGINS:
            name = ""
        elif kind == _TITLE:
            name = data[begins : begins + min(length, 255)].rstrip(b"\0").decode("cp1252", "replace")
        elif kind == _DATA:
            found.append((name, data[begins : begins + length]))
        place = begins + length + 2
    return found if place > _HEADER_BYTES else None
