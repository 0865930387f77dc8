"""Which octets of a message does BODY[1.2.HEADER] mean? Places in the message, found in its table of parts.

The table names each part by its IMAP section (mss/formats/summary.py): `1.2`; for the body of a message that is a
multipart `TEXT` or `2.TEXT`. A message that is not a multipart has its only part at `1` (RFC 9051 §6.4.5.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mss.imap.commands import Piece, Section

Places = Mapping[str, tuple[int, int, int]]
"""Section to (start of header, start of body, end of body)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Octets from `start` up to before `end`."""

    start: int
    end: int


def locate(section: Section, size: int, places: Places) -> Place | None:
    """Where a section lies in a message of `size` octets; of HEADER.FIELDS the whole header. None when there is no
    such part."""
    name = ".".join(map(str, section.path))
    if section.piece is Piece.ALL:
        if not name:
            return Place(0, size)
        part = places.get(name)
        return None if part is None else Place(part[1], part[2])
    if section.piece is Piece.MIME:
        part = places.get(name)
        return None if part is None else Place(part[0], part[1])
    message = _message(name, places)
    if message is None:
        return None
    if section.piece is Piece.TEXT:
        return Place(message[1], message[2])
    return Place(message[0], message[1])


def _message(name: str, places: Places) -> tuple[int, int, int] | None:
    """The message that is a part (the whole one for no name): its header and body.

    A multipart's first part begins after a boundary, an embedded message at once; so they are told apart.
    """
    if not name:
        return places.get("TEXT") or places.get("1")
    part = places.get(name)
    inner = places.get(f"{name}.TEXT") or places.get(f"{name}.1")
    return inner if part is not None and inner is not None and inner[0] == part[1] else None


def field_chooser(fields: Iterable[bytes], *, but: bool) -> Callable[[bytes], bytes]:
    """What picks the wanted fields out of a header, or all `but` those, and adds the empty line that ends it."""
    names = b"|".join(re.escape(field) for field in fields)
    wanted = rb"(?!(?:%b)[ \t]*:)[^\r\n \t]" % names if but else rb"(?:%b)[ \t]*:" % names
    shape = re.compile(rb"^%b[^\n]*\n(?:[ \t][^\n]*\n)*" % wanted, re.IGNORECASE | re.MULTILINE)
    return lambda header: b"".join([*shape.findall(header), b"\r\n"])


def cut(size: int, span: tuple[int, int] | None) -> tuple[int, int]:
    """What a partial asks of `size` octets: from, up to."""
    if span is None:
        return 0, size
    first = min(span[0], size)
    return first, min(first + span[1], size)
