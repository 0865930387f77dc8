"""Which messages are looked for? The language of SEARCH (RFC 9051 §6.4.4, RFC 5032, RFC 7162, RFC 8514).

Texts leave here as str whatever charset the client named, so that matching knows only one kind of text.
"""

from __future__ import annotations

from collections.abc import Callable

from mss.imap import searchkeys as k
from mss.imap.commands import Search, Sort, Thread
from mss.imap.sortkeys import Criterion, SortBy
from mss.imap.tokens import Bad, Cursor
from mss.model.mailbox import Flag

KEYS_MAX = 500
"""Search keys of one command, nested ones included: people's searches have ten."""
CHARSETS = {
    b"US-ASCII": "ascii",
    b"ASCII": "ascii",
    b"UTF-8": "utf-8",
    b"ISO-8859-1": "latin-1",
    b"ISO-8859-15": "iso8859-15",
}
BAD_CHARSET = "BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-15)"
RETURNS = frozenset({"MIN", "MAX", "ALL", "COUNT", "SAVE"})  # RFC 4731 §3.1, RFC 5182 §2.1
CRITERIA_MAX = 20
"""Sort criteria of one command; there are nine."""
FOREVER = 1 << 40
"""A day number after every date: the open end of SINCE."""


def search(uid: bool) -> Callable[[Cursor], Search]:
    """Reader of SEARCH's arguments, or UID SEARCH's."""

    def read(cursor: Cursor) -> Search:
        cursor.space()
        returns = _returns(cursor) if cursor.skip_word(b"RETURN") else None
        charset = _charset(cursor) if cursor.skip_word(b"CHARSET") else "utf-8"  # US-ASCII is a subset
        return Search(_Keys(cursor, charset).until_end(), uid, returns)

    return read


def sort(uid: bool) -> Callable[[Cursor], Sort]:
    """Reader of SORT's arguments, or UID SORT's."""

    def read(cursor: Cursor) -> Sort:
        cursor.space()
        criteria = _criteria(cursor)
        cursor.space()
        return Sort(criteria, _Keys(cursor, _charset(cursor)).until_end(), uid)

    return read


def thread(uid: bool) -> Callable[[Cursor], Thread]:
    """Reader of THREAD's arguments, or UID THREAD's."""

    def read(cursor: Cursor) -> Thread:
        cursor.space()
        if cursor.word() != b"REFERENCES":
            cursor.fail("Unknown threading algorithm")
        cursor.space()
        return Thread(_Keys(cursor, _charset(cursor)).until_end(), uid)

    return read


def _criteria(cursor: Cursor) -> tuple[Criterion, ...]:
    cursor.open()
    criteria: list[Criterion] = []
    while True:
        reverse = cursor.skip_word(b"REVERSE")
        name = cursor.word().decode("ascii")
        if name not in SortBy.__members__:
            cursor.fail("Unknown sort criterion")
        criteria.append(Criterion(SortBy(name), reverse))
        if cursor.close():
            break
    if len(criteria) > CRITERIA_MAX:
        cursor.fail("Too many sort criteria")
    return tuple(criteria)


def _returns(cursor: Cursor) -> frozenset[str]:
    cursor.open()
    names: set[str] = set()
    if cursor.skip(b")"):
        cursor.leave()
    else:
        while True:
            name = cursor.word().decode("ascii")
            if name not in RETURNS:
                cursor.fail("Unknown RETURN option")
            names.add(name)
            if cursor.close():
                break
    cursor.space()
    return frozenset(names or {"ALL"})  # RFC 4731 §3.1: () means (ALL)


def _charset(cursor: Cursor) -> str:
    name = CHARSETS.get(cursor.astring().upper())
    if name is None:
        raise Bad("Unknown charset", "NO", BAD_CHARSET)
    cursor.space()
    return name


class _Keys:
    """Reads search keys of one command and counts them."""

    def __init__(self, cursor: Cursor, charset: str) -> None:
        self._cursor = cursor
        self._charset = charset
        self._count = 0

    def until_end(self) -> k.SearchKey:
        keys = [self._key()]
        while not self._cursor.at_end():
            self._cursor.space()
            keys.append(self._key())
        return _all_of(keys)

    def _key(self) -> k.SearchKey:
        cursor = self._cursor
        self._count += 1
        if self._count > KEYS_MAX:
            cursor.fail("Too many search keys")
        if cursor.sees(b"("):
            return self._group()
        if cursor.line[cursor.at : cursor.at + 1] in b"0123456789*$" and not cursor.at_end():
            return k.InSet(cursor.sequence_set())
        word = cursor.word()
        if (plain := _PLAIN.get(word)) is not None:
            return plain
        if (field := _FIELDS.get(word)) is not None:
            return k.HeaderHas(field, self._text())
        if (day := _DAYS.get(word)) is not None:
            return self._day(*day)
        return self._with_argument(word)

    def _group(self) -> k.SearchKey:
        self._cursor.open()
        keys = [self._key()]
        while not self._cursor.close():
            keys.append(self._key())
        return _all_of(keys)

    def _with_argument(self, word: bytes) -> k.SearchKey:
        cursor = self._cursor
        match word:
            case b"NOT":
                return k.Not(self._inner())
            case b"OR":
                return k.Or(self._inner(), self._inner())
            case b"UID":
                cursor.space()
                return k.InSet(cursor.sequence_set(), uid=True)
            case b"HEADER":
                cursor.space()
                field = _field_name(cursor)
                return k.HeaderHas(field, self._text())
            case b"TEXT" | b"BODY":
                return k.TextHas(self._text(), header_too=word == b"TEXT")
            case b"KEYWORD" | b"UNKEYWORD":
                cursor.space()
                return k.HasKeyword(cursor.atom(), word == b"KEYWORD")
            case b"LARGER" | b"SMALLER":
                cursor.space()
                size = cursor.number((1 << 63) - 1)
                return k.Larger(size) if word == b"LARGER" else k.Smaller(size)
            case b"EMAILID":
                cursor.space()
                return k.EmailIdIs(cursor.atom())
            case b"THREADID":
                cursor.space()
                cursor.atom()
                return k.Not(k.All())  # no message has one (RFC 8474 §5.2)
            case b"OLDER" | b"YOUNGER":
                cursor.space()
                return k.Within(cursor.number(), word == b"YOUNGER")
            case _:
                if word != b"MODSEQ":
                    cursor.fail("Unknown search key")
                return self._modseq()

    def _inner(self) -> k.SearchKey:
        self._cursor.space()
        self._cursor.enter()  # NOT NOT NOT … is nesting too
        key = self._key()
        self._cursor.leave()
        return key

    def _text(self) -> str:
        self._cursor.space()
        try:
            return self._cursor.astring().decode(self._charset)
        except UnicodeDecodeError:
            self._cursor.fail("Text is not in the charset")

    def _day(self, of: k.DateOf, when: str) -> k.DayIs:
        self._cursor.space()
        day = self._cursor.day()
        if when == "BEFORE":
            return k.DayIs(of, -FOREVER, day)
        return k.DayIs(of, day, day + 1 if when == "ON" else FOREVER)

    def _modseq(self) -> k.ModSeqFrom:
        """RFC 7162 §3.1.5: an optional entry name and type, read and ignored; all flags share one modseq."""
        self._cursor.space()
        if self._cursor.sees(b'"'):
            self._cursor.string()
            self._cursor.space()
            if self._cursor.word() not in (b"PRIV", b"SHARED", b"ALL"):
                self._cursor.fail("Unknown entry type")
            self._cursor.space()
        return k.ModSeqFrom(self._cursor.modseq())


def _field_name(cursor: Cursor) -> str:
    name = cursor.astring()
    if not name or not name.isascii():
        cursor.fail("Not a header field name")
    return name.decode("ascii").lower()


def _all_of(keys: list[k.SearchKey]) -> k.SearchKey:
    return keys[0] if len(keys) == 1 else k.And(tuple(keys))


_UNSEEN = k.HasFlag(Flag.SEEN, wanted=False)
_PLAIN: dict[bytes, k.SearchKey] = {
    b"ALL": k.All(),
    b"SAVEDATESUPPORTED": k.All(),  # RFC 8514 §4.3
    b"ANSWERED": k.HasFlag(Flag.ANSWERED),
    b"UNANSWERED": k.HasFlag(Flag.ANSWERED, wanted=False),
    b"DELETED": k.HasFlag(Flag.DELETED),
    b"UNDELETED": k.HasFlag(Flag.DELETED, wanted=False),
    b"DRAFT": k.HasFlag(Flag.DRAFT),
    b"UNDRAFT": k.HasFlag(Flag.DRAFT, wanted=False),
    b"FLAGGED": k.HasFlag(Flag.FLAGGED),
    b"UNFLAGGED": k.HasFlag(Flag.FLAGGED, wanted=False),
    b"SEEN": k.HasFlag(Flag.SEEN),
    b"UNSEEN": _UNSEEN,
    b"RECENT": k.IsRecent(),
    b"OLD": k.Not(k.IsRecent()),
    b"NEW": k.And((k.IsRecent(), _UNSEEN)),
}
_FIELDS = {b"BCC": "bcc", b"CC": "cc", b"FROM": "from", b"SUBJECT": "subject", b"TO": "to"}
_DAYS = {f"{of.value}{when}".encode(): (of, when) for of in k.DateOf for when in ("BEFORE", "ON", "SINCE")}
