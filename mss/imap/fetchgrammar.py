"""Which items of which messages? The language of FETCH (RFC 9051 §6.4.5, RFC 3516, RFC 7162)."""

from __future__ import annotations

import re
from collections.abc import Callable

from mss.imap.commands import Attribute, Binary, Fetch, FetchItem, Piece, Section
from mss.imap.tokens import Cursor

ITEMS_MAX = 100
"""Items of one FETCH: Thunderbird asks for seven."""
FIELDS_MAX = 100
"""Header fields of one HEADER.FIELDS: Thunderbird asks for twenty-five."""
PATH_LEVELS_MAX = 32
"""Numbers in one section; messages deeper than the pre-scan's limit are never stored."""

_MACROS: dict[bytes, tuple[FetchItem, ...]] = {
    b"FAST": (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE),
    b"ALL": (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE, Attribute.ENVELOPE),
    b"FULL": (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE, Attribute.ENVELOPE, Attribute.BODY),
}
_PLAIN: dict[bytes, FetchItem] = {
    **{item.value.encode(): item for item in Attribute},
    b"RFC822": Section(b"RFC822", peek=False),
    b"RFC822.HEADER": Section(b"RFC822.HEADER", piece=Piece.HEADER),
    b"RFC822.TEXT": Section(b"RFC822.TEXT", piece=Piece.TEXT, peek=False),
    # RFC 1730 §6.4.5, gone since RFC 2060; Outlook still asks so for a whole message.
    b"RFC822.PEEK": Section(b"RFC822"),
    b"RFC822.TEXT.PEEK": Section(b"RFC822.TEXT", piece=Piece.TEXT),
}
_PLAIN_LIST = re.compile(rb"\(([A-Za-z0-9.]+(?: [A-Za-z0-9.]+)*)\)\Z")
_ITEM = re.compile(rb"[A-Za-z0-9.]+")
_PATH = re.compile(rb"([1-9][0-9]{0,4}(?:\.[1-9][0-9]{0,4})*)(\.(?=[A-Za-z]))?")
_PIECE = re.compile(rb"HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME", re.IGNORECASE)
_LAZY = re.compile(rb" \(LAZY\)", re.IGNORECASE)
_SPAN = re.compile(rb"<([0-9]{1,10})\.([0-9]{1,10})>")


def fetch(uid: bool) -> Callable[[Cursor], Fetch]:
    """Reader of FETCH's arguments, or UID FETCH's."""

    def read(cursor: Cursor) -> Fetch:
        cursor.space()
        messages = cursor.sequence_set()
        cursor.space()
        items = _plain_items(cursor) or _items(cursor)
        changed_since, vanished = None, False
        if not cursor.at_end():
            cursor.space()
            changed_since, vanished = _modifiers(cursor)
        if vanished and (changed_since is None or not uid):
            cursor.fail("VANISHED needs UID FETCH and CHANGEDSINCE")  # RFC 7162 §3.2.6
        return Fetch(messages, items, uid, changed_since, vanished)

    return read


def _plain_items(cursor: Cursor) -> tuple[FetchItem, ...] | None:
    """The usual list, words only, in one step; None when there is more to it."""
    match = _PLAIN_LIST.match(cursor.line, cursor.at)
    if match is None:
        return None
    names = dict.fromkeys(match[1].upper().split(b" "))
    items = tuple(_PLAIN[name] for name in names if name in _PLAIN)
    if len(items) < len(names):
        return None
    cursor.at = match.end()
    return items


def _items(cursor: Cursor) -> tuple[FetchItem, ...]:
    if not cursor.sees(b"("):
        name = _name(cursor)
        return _MACROS.get(name) or (_item(cursor, name),)
    cursor.open()
    items: dict[FetchItem, None] = {}
    while True:
        items[_item(cursor, _name(cursor))] = None
        if cursor.close():
            break
    if len(items) > ITEMS_MAX:
        cursor.fail("Too many items")
    return tuple(items)


def _name(cursor: Cursor) -> bytes:
    match = _ITEM.match(cursor.line, cursor.at)
    if match is None:
        cursor.fail("Item expected")
    cursor.at = match.end()
    return match[0].upper()


def _item(cursor: Cursor, name: bytes) -> FetchItem:
    section = cursor.skip(b"[")
    if section and name in (b"BODY", b"BODY.PEEK"):
        return _section(cursor, peek=name == b"BODY.PEEK")
    if section and name in (b"BINARY", b"BINARY.PEEK", b"BINARY.SIZE"):
        return _binary(cursor, name)
    item = _PLAIN.get(name)
    if section or item is None:
        cursor.fail("Unknown item")
    if item is Attribute.PREVIEW and (lazy := _LAZY.match(cursor.line, cursor.at)):
        cursor.at = lazy.end()  # RFC 8970 §3.2: ours are always there, so it changes nothing
    return item


def _section(cursor: Cursor, *, peek: bool) -> Section:
    path, dotted = _path(cursor)
    match = _PIECE.match(cursor.line, cursor.at)
    if path and dotted != (match is not None):
        cursor.fail("Broken section")
    piece = Piece.ALL
    fields: tuple[bytes, ...] = ()
    if match is not None:
        cursor.at = match.end()
        piece = Piece(match[0].decode("ascii").upper())
        if piece in (Piece.FIELDS, Piece.FIELDS_NOT):
            cursor.space()
            fields = _fields(cursor)
        elif piece is Piece.MIME and not path:
            cursor.fail("MIME needs a part")
    if not cursor.skip(b"]"):
        cursor.fail("] expected")
    span = _span(cursor)
    return Section(_label(path, piece, fields, span), path, piece, fields, peek, span)


def _path(cursor: Cursor) -> tuple[tuple[int, ...], bool]:
    """Part numbers, and whether a dot and a word follow."""
    match = _PATH.match(cursor.line, cursor.at)
    if match is None:
        return (), False
    cursor.at = match.end()
    path = tuple(map(int, match[1].split(b".")))
    if len(path) > PATH_LEVELS_MAX:
        cursor.fail("Section too deep")
    return path, match[2] is not None


def _fields(cursor: Cursor) -> tuple[bytes, ...]:
    cursor.open()
    fields = []
    while True:
        fields.append(cursor.astring())
        if not fields[-1] or not fields[-1].isascii() or any(b <= 32 or b == 127 for b in fields[-1]):
            cursor.fail("Not a header field name")
        if cursor.close():
            break
    if len(fields) > FIELDS_MAX:
        cursor.fail("Too many header fields")
    return tuple(fields)


def _span(cursor: Cursor) -> tuple[int, int] | None:
    if not cursor.sees(b"<"):
        return None
    match = _SPAN.match(cursor.line, cursor.at)
    if match is None:
        cursor.fail("Broken partial")
    cursor.at = match.end()
    first, count = int(match[1]), int(match[2])
    if count == 0 or first > 0xFFFF_FFFF or count > 0xFFFF_FFFF:  # RFC 9051 §9: nz-number
        cursor.fail("Partial out of range")
    return first, count


def _label(path: tuple[int, ...], piece: Piece, fields: tuple[bytes, ...], span: tuple[int, int] | None) -> bytes:
    """How the answer repeats the section: the same words, the count of the partial left out."""
    words = [b".".join(b"%d" % number for number in path)] if path else []
    if piece:
        words.append(piece.value.encode())
    named = b".".join(words)
    if fields:
        named += b" (" + b" ".join(_field_text(field) for field in fields) + b")"
    return b"BODY[" + named + b"]" + (b"" if span is None else b"<%d>" % span[0])


_ATOM_FIELD = re.compile(rb'[^(){%*"\\\]]+\Z')


def _field_text(field: bytes) -> bytes:
    if _ATOM_FIELD.match(field):
        return field
    return b'"' + field.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _binary(cursor: Cursor, name: bytes) -> Binary:
    path, dotted = _path(cursor)
    if dotted or not cursor.skip(b"]"):
        cursor.fail("Broken section")
    size_only = name == b"BINARY.SIZE"
    return Binary(path, name != b"BINARY", size_only, None if size_only else _span(cursor))


def _modifiers(cursor: Cursor) -> tuple[int | None, bool]:
    cursor.open()
    changed_since, vanished = None, False
    while True:
        match cursor.word():
            case b"CHANGEDSINCE":
                cursor.space()
                changed_since = cursor.modseq()
            case b"VANISHED":
                vanished = True
            case _:
                cursor.fail("Unknown modifier")
        if cursor.close():
            return changed_since, vanished
