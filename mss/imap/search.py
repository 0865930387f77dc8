"""Which of these messages does a search key mean? Set arithmetic on what is known of them. Pure.

A key is asked level by level (mss/imap/searching.py): first what the snapshot knows, then rows, then summaries,
then texts, each only for messages that are still in question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from mss.formats.headers import decode_words, parse_addresses, parse_date
from mss.formats.summary import ADDRESSES_READ_MAX
from mss.imap import searchkeys as k
from mss.imap.backend import Row
from mss.imap.responses import email_id
from mss.imap.snapshot import Marks
from mss.imap.view import View

DAY_MS = 86_400_000


class Level(IntEnum):
    """How deep must one look to answer a key?"""

    SNAPSHOT = 0
    ROW = 1
    SUMMARY = 2
    HEADER = 3
    TEXT = 4


@dataclass(slots=True)
class Facts:
    """What is known of messages, by position in the view; as much as the level asks for."""

    view: View
    now_ms: int
    rows: dict[int, Row] = field(default_factory=dict)
    headers: dict[int, bytes] = field(default_factory=dict)
    """Header fields as sent: the usual ones, or all."""
    said: dict[bytes, dict[int, str]] = field(default_factory=dict)
    """Of some fields what `said_in` made of them, by name; then `headers` need not be there."""
    texts: dict[k.TextHas, frozenset[int]] = field(default_factory=dict)
    """Positions where a text was found."""


def level_of(key: k.SearchKey, is_usual: Callable[[bytes], bool]) -> Level:
    """The deepest level that a key needs."""
    match key:
        case k.And(keys):
            return max(level_of(inner, is_usual) for inner in keys)
        case k.Or(one, other):
            return max(level_of(one, is_usual), level_of(other, is_usual))
        case k.Not(inner):
            return level_of(inner, is_usual)
        case k.Larger() | k.Smaller() | k.Within() | k.EmailIdIs():
            return Level.ROW
        case k.DayIs(of):
            return Level.SUMMARY if of is k.DateOf.SENT else Level.ROW
        case k.HeaderHas(name):
            return Level.SUMMARY if is_usual(name.encode()) else Level.HEADER
        case k.TextHas():
            return Level.TEXT
        case _:
            return Level.SNAPSHOT


def narrow(key: k.SearchKey, positions: Sequence[int], facts: Facts) -> list[int]:
    """Those positions whose messages match."""
    match key:
        case k.And(keys):
            for inner in keys:
                positions = narrow(inner, positions, facts)
            return list(positions)
        case k.Or(one, other):
            first = narrow(one, positions, facts)
            rest = _without(positions, first)
            return sorted([*first, *narrow(other, rest, facts)])
        case k.Not(inner):
            return _without(positions, narrow(inner, positions, facts))
        case k.All():
            return list(positions)
        case k.InSet(messages, uid):
            named = facts.view.positions(messages, uid=uid, lenient=True)  # as every other server does in SEARCH
            chosen = set(named or ())
            return [position for position in positions if position in chosen]
        case _:
            return _leaf(key, positions, facts)


def _without(positions: Sequence[int], removed: Sequence[int]) -> list[int]:
    gone = set(removed)
    return [position for position in positions if position not in gone]


def _leaf(key: k.SearchKey, positions: Sequence[int], facts: Facts) -> list[int]:
    match key:
        case k.HasFlag() | k.HasKeyword():
            return _by_marks(_marks_test(key, facts.view.snapshot.keywords), positions, facts.view)
        case k.IsRecent():
            view = facts.view
            return [position for position in positions if view.is_recent(view.uids[position])]
        case k.ModSeqFrom(modseq):
            return _by_modseq(modseq, positions, facts.view)
        case k.HeaderHas(name, text):
            if is_in_said(key) and (said := facts.said.get(name.encode())) is not None:
                wanted = text.casefold()
                return [position for position in positions if wanted in said[position]]
            has = _header_test(name.encode(), text)
            return [position for position in positions if has(facts.headers.get(position, b""))]
        case k.TextHas():
            found = facts.texts.get(key, frozenset())
            return [position for position in positions if position in found]
        case k.DayIs(k.DateOf.SENT, first, end):
            return [p for p in positions if _sent_between(facts.headers.get(p, b""), first, end)]
        case _:
            test = _row_test(key, facts.now_ms)
            return [position for position in positions if test(facts.rows[position])]


def _marks_test(key: k.HasFlag | k.HasKeyword, keywords: Sequence[str]) -> Callable[[Marks], bool]:
    if isinstance(key, k.HasFlag):
        bit, wanted = key.bit, key.wanted
        return lambda marks: bool(marks[0] & bit) == wanted
    name = key.name.casefold()
    mask = sum(1 << bit for bit, known in enumerate(keywords) if known.casefold() == name)
    return lambda marks: bool(marks[1] & mask) == key.wanted


def _by_marks(test: Callable[[Marks], bool], positions: Sequence[int], view: View) -> list[int]:
    snapshot = view.snapshot
    answers = [test(marks) for marks in snapshot.palette]  # once for each kind, not for each message
    kinds = snapshot.kinds
    indices = view.indices(list(positions))
    return [p for p, index in zip(positions, indices, strict=True) if index >= 0 and answers[kinds[index]]]


def _by_modseq(modseq: int, positions: Sequence[int], view: View) -> list[int]:
    modseqs = view.snapshot.modseqs
    indices = view.indices(list(positions))
    return [p for p, index in zip(positions, indices, strict=True) if index >= 0 and modseqs[index] >= modseq]


def _row_test(key: k.SearchKey, now_ms: int) -> Callable[[Row], bool]:
    match key:
        case k.Larger(size):
            return lambda row: row.size_bytes > size
        case k.EmailIdIs(object_id):
            wanted = object_id.encode()
            return lambda row: email_id(row.message) == wanted
        case k.Smaller(size):
            return lambda row: row.size_bytes < size
        case k.Within(seconds, younger):
            since_ms = now_ms - seconds * 1000
            return lambda row: (row.internaldate_ms >= since_ms) == younger
        case k.DayIs(k.DateOf.SAVED, first, end):
            return lambda row: first <= row.savedate_ms // DAY_MS < end
        case k.DayIs(_, first, end):
            return lambda row: first <= row.internaldate_ms // DAY_MS < end
        case _:
            raise AssertionError(f"no rule for {type(key).__name__}")


# --- header fields


def header_values(header: bytes, name: bytes) -> list[bytes]:
    """Values of a field (lower-case name), folds kept."""
    values = []
    low, needle = b"\n" + header.lower(), b"\n" + name + b":"
    at = low.find(needle)
    while at >= 0:
        start = at + len(needle) - 1
        stop = _end_of_field(header, start)
        values.append(header[start:stop])
        at = low.find(needle, stop)
    return values


def _end_of_field(header: bytes, at: int) -> int:
    while True:
        end = header.find(b"\n", at)
        if end < 0:
            return len(header)
        if header[end + 1 : end + 2] not in (b" ", b"\t"):
            return end
        at = end + 1


def _header_test(name: bytes, text: str) -> Callable[[bytes], bool]:
    """Whether a field contains a text, decoded and whatever the case; the octets alone rule most messages out."""
    wanted = text.casefold()
    words = [word.encode() for word in wanted.split(" ") if word.isascii()]  # a fold may stand for a space
    is_of_people = name in _PEOPLE

    def test(header: bytes) -> bool:
        if b"=?" not in header and not (is_of_people and _ODD_ADDRESS.search(header)):
            low = header.lower()
            for word in words:
                if word not in low:
                    return False
        values = header_values(header, name)
        if any(wanted in decode_words(value).casefold() for value in values):
            return True
        return is_of_people and any(_means(value, wanted) for value in values)

    return test


KEPT_FIELDS = frozenset({b"subject", b"from", b"to", b"cc"})
"""What people look for again and again: decoded once for all searches."""


def is_in_said(key: k.HeaderHas) -> bool:
    """Whether `said_in` answers: not for a field that is only to be there, nor for what stands between values."""
    return key.field.encode() in KEPT_FIELDS and bool(key.text) and "\0" not in key.text


def said_in(header: bytes, name: bytes) -> str:
    """All that a field (lower-case name) is searched for, decoded and folded; a NUL between values."""
    values = header_values(header, name)
    texts = [decode_words(value).casefold() for value in values]
    for value in values if name in _PEOPLE else ():
        if _ODD_ADDRESS.search(value):
            people = parse_addresses(value, ADDRESSES_READ_MAX)
            texts += [f"{one.name} <{one.address}>".casefold() for one in people]
    return "\0".join(texts)


_PEOPLE = frozenset({b"from", b"to", b"cc", b"bcc", b"sender", b"reply-to"})
_ODD_ADDRESS = re.compile(rb"\(|[@<]\s|\s[@>]|\\")


def _means(value: bytes, wanted: str) -> bool:
    """Whether a field of addresses written in an unusual way contains a text once its comments are left out."""
    if not _ODD_ADDRESS.search(value):
        return False
    people = parse_addresses(value, ADDRESSES_READ_MAX)
    return any(wanted in f"{one.name} <{one.address}>".casefold() for one in people)


def _sent_between(header: bytes, first: int, end: int) -> bool:
    """Whether the Date field lies in a range of days, by its own calendar (RFC 9051 §6.4.4: zones disregarded)."""
    for value in header_values(header, b"date")[:1]:
        moment = parse_date(value)
        return moment is not None and first <= moment.toordinal() - _DAY_ZERO < end
    return False


_DAY_ZERO = 719_163
"""1970-01-01 in Python's count of days."""
