"""How is an answer written? Every response of the protocol as bytes; nothing here knows why it is said.

Strings are quoted where that is possible and literals elsewhere. Rows of a long FETCH are made by mss/imap/rows.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from mss.imap.names import DELIMITER, encode_utf7
from mss.imap.sets import ranges_text, set_text
from mss.imap.snapshot import Marks
from mss.model.mailbox import FLAG_NAMES, Flag

CRLF = b"\r\n"
NIL = b"NIL"
GO_AHEAD = b"+ OK\r\n"
IDLING = b"+ idling\r\n"
STILL_HERE = b"* OK Still here\r\n"
SYSTEM_FLAGS = tuple((bit, name.encode()) for bit, name in FLAG_NAMES.items())

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+\Z')
_QUOTABLE = re.compile(rb"[^\x00\r\n\x80-\xff]*\Z")
_SPECIAL = re.compile(rb'(["\\])')
QUOTED_OCTETS_MAX = 1024
"""Longer strings go as literals: some clients read quoted strings into small buffers."""
DAYS_KEPT = 4096
"""Days whose text is remembered: a list has many messages of each."""
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


def literal(text: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(text), text)


def string(text: bytes) -> bytes:
    """Quoted where possible, else a literal."""
    if len(text) <= QUOTED_OCTETS_MAX and _QUOTABLE.match(text):
        return b'"' + _SPECIAL.sub(rb"\\\1", text) + b'"'
    return literal(text)


def folder_name(name: str, *, utf8: bool = False) -> bytes:
    """A folder's name as an astring; UTF-8 only for a client that enabled it."""
    if utf8:
        return _quoted(name)
    wire = encode_utf7(name)
    return wire if _ATOM.match(wire) and wire.upper() != NIL else string(wire)


def _quoted(name: str) -> bytes:
    return b'"' + _SPECIAL.sub(rb"\\\1", name.encode()) + b'"'


def tagged(tag: str, status: str, text: str, code: str | bytes = "") -> bytes:
    """`a1 OK [CODE] text`, untagged with `*` as tag."""
    if isinstance(code, bytes):
        return b"%b %b [%b] %b\r\n" % (tag.encode(), status.encode(), code, text.encode())
    return f"{tag} {status} [{code}] {text}\r\n".encode() if code else f"{tag} {status} {text}\r\n".encode()


def greeting(capabilities: str, name: str) -> bytes:
    return f"* OK [CAPABILITY {capabilities}] {name} ready\r\n".encode()


def bye(text: str, code: str = "") -> bytes:
    return tagged("*", "BYE", text, code)


def capability(capabilities: str) -> bytes:
    return f"* CAPABILITY {capabilities}\r\n".encode()


def enabled(names: Sequence[str]) -> bytes:
    return b"".join((b"* ENABLED", *(b" " + name.encode() for name in names), CRLF))


def identity(fields: Sequence[tuple[str, str]]) -> bytes:
    """ID (RFC 2971)."""
    return b"* ID (" + b" ".join(string(text.encode()) for pair in fields for text in pair) + b")\r\n"


# --- flags


def flag_names(marks: Marks, keywords: Sequence[str], *, recent: bool = False) -> bytes:
    """Inside of a flag list: `\\Seen $Forwarded`."""
    system, bits = marks
    names = [name for bit, name in SYSTEM_FLAGS if system & bit]
    if bits:
        names += [name.encode() for bit, name in enumerate(keywords) if name and bits >> bit & 1]
    if recent:
        names.append(b"\\Recent")
    return b" ".join(names)


def flags(keywords: Sequence[str]) -> bytes:
    """FLAGS: all that a folder knows."""
    names = [name for _, name in SYSTEM_FLAGS] + [name.encode() for name in keywords if name]
    return b"* FLAGS (" + b" ".join(names) + b")\r\n"


def permanent_flags(keywords: Sequence[str], allowed: int, *, room: bool = True) -> bytes:
    """PERMANENTFLAGS: the system flags `allowed`; keywords go with \\Flagged (both need "w", RFC 4314 §4), and new ones
    where there is `room`."""
    if not allowed:
        return b"* OK [PERMANENTFLAGS ()] Read-only\r\n"
    names = [name for bit, name in SYSTEM_FLAGS if bit & allowed]
    if allowed & Flag.FLAGGED:
        names += [name.encode() for name in keywords if name] + [b"\\*"] * room
    return b"* OK [PERMANENTFLAGS (" + b" ".join(names) + b")] Limited\r\n"


# --- folders


def listed(
    attributes: Iterable[str], name: str, *, verb: bytes = b"LIST", extended: bytes = b"", utf8: bool = False
) -> bytes:
    """LIST or LSUB; `extended` is the text of extended data items, with its space."""
    words = " ".join(attributes).encode()
    return b'* %b (%b) "%b" %b%b\r\n' % (verb, words, DELIMITER.encode(), folder_name(name, utf8=utf8), extended)


def namespace(personal: Sequence[str], others: Sequence[str], shared: Sequence[str], *, utf8: bool = False) -> bytes:
    """NAMESPACE (RFC 2342): prefixes of each kind."""
    kinds = (_prefixes(prefixes, utf8=utf8) for prefixes in (personal, others, shared))
    return b"* NAMESPACE " + b" ".join(kinds) + CRLF


def _prefixes(prefixes: Sequence[str], *, utf8: bool) -> bytes:
    if not prefixes:
        return NIL
    pairs = (
        b'(%b "%b")' % (_quoted(prefix) if utf8 else string(encode_utf7(prefix)), DELIMITER.encode())
        for prefix in prefixes
    )
    return b"(" + b"".join(pairs) + b")"


def email_id(message: int) -> bytes:
    """A message as an object (RFC 8474 §5.1): copies in a mailbox are the same."""
    return b"M%016x" % message


def mailbox_id(folder: int) -> str:
    """A folder as an object (RFC 8474 §4): the same after RENAME, never used again."""
    return f"(F{folder:016x})"


def quota_roots(name: str, root: str, *, utf8: bool = False) -> bytes:
    """QUOTAROOT (RFC 9208 §4.2.2)."""
    return b"* QUOTAROOT %b %b\r\n" % (folder_name(name, utf8=utf8), string(root.encode()))


def quota(root: str, used_bytes: int, limit_bytes: int) -> bytes:
    """QUOTA (RFC 9208 §4.2.1), in units of 1,024 octets, rounded up; without a limit no resource is named."""
    inside = b"STORAGE %d %d" % (-(-used_bytes // 1024), limit_bytes // 1024) if limit_bytes else b""
    return b"* QUOTA %b (%b)\r\n" % (string(root.encode()), inside)


def my_rights(name: str, rights: str, *, utf8: bool = False) -> bytes:
    """MYRIGHTS (RFC 4314 §3.8)."""
    return b"* MYRIGHTS %b %b\r\n" % (folder_name(name, utf8=utf8), rights.encode())


def acl(name: str, members: Sequence[tuple[str, str]], *, utf8: bool = False) -> bytes:
    """ACL (RFC 4314 §3.6)."""
    told = b"".join(b" %b %b" % (string(who.encode()), rights.encode()) for who, rights in members)
    return b"* ACL %b%b\r\n" % (folder_name(name, utf8=utf8), told)


def list_rights(name: str, identifier: str, rights: str, *, utf8: bool = False) -> bytes:
    """LISTRIGHTS (RFC 4314 §3.7): none is always given, and each is given apart."""
    apart = " ".join(rights).encode()
    return b'* LISTRIGHTS %b %b "" %b\r\n' % (folder_name(name, utf8=utf8), string(identifier.encode()), apart)


def status(name: str, values: Iterable[tuple[str, int | str]], *, utf8: bool = False) -> bytes:
    inside = " ".join(f"{item} {value}" for item, value in values).encode()
    return b"* STATUS %b (%b)\r\n" % (folder_name(name, utf8=utf8), inside)


# --- the selected folder


def exists(count: int) -> bytes:
    return b"* %d EXISTS\r\n" % count


def recent(count: int) -> bytes:
    return b"* %d RECENT\r\n" % count


def expunged(numbers: Iterable[int]) -> bytes:
    return b"".join(b"* %d EXPUNGE\r\n" % number for number in numbers)


def vanished(ranges: Iterable[tuple[int, int]], *, earlier: bool = False) -> bytes:
    """VANISHED (RFC 7162 §3.2.10): uids that are gone now, or, `earlier`, were gone before."""
    return b"* VANISHED %b%b\r\n" % (b"(EARLIER) " if earlier else b"", ranges_text(ranges))


def ok_code(code: str, text: str) -> bytes:
    """An untagged OK that carries a code."""
    return f"* OK [{code}] {text}\r\n".encode()


def highest_modseq(modseq: int) -> bytes:
    return ok_code(f"HIGHESTMODSEQ {modseq}", "Highest")


def search(numbers: Sequence[int], modseq: int | None = None) -> bytes:
    """SEARCH (RFC 9051's older form), with MODSEQ when the search spoke of it (RFC 7162 §3.1.5)."""
    found = "".join(f" {number}" for number in numbers)
    tail = f" (MODSEQ {modseq})" if modseq is not None and numbers else ""
    return f"* SEARCH{found}{tail}\r\n".encode()


def esearch(tag: str, numbers: Sequence[int], returns: frozenset[str], *, uid: bool, modseq: int | None) -> bytes:
    """ESEARCH (RFC 4731 §3.1): MIN, MAX and ALL are left out when nothing was found."""
    parts = [b"* ESEARCH (TAG %b)" % string(tag.encode())]
    if uid:
        parts.append(b"UID")
    if numbers:
        if "MIN" in returns:
            parts.append(b"MIN %d" % numbers[0])
        if "MAX" in returns:
            parts.append(b"MAX %d" % numbers[-1])
        if "ALL" in returns:
            parts.append(b"ALL " + set_text(numbers))
    if "COUNT" in returns:
        parts.append(b"COUNT %d" % len(numbers))
    if modseq is not None and numbers:
        parts.append(b"MODSEQ %d" % modseq)
    return b" ".join(parts) + CRLF


def sorted_numbers(numbers: Sequence[int]) -> bytes:
    """SORT (RFC 5256 §4)."""
    return b"* SORT" + b"".join(b" %d" % number for number in numbers) + CRLF


def threads(lists: bytes) -> bytes:
    """THREAD (RFC 5256 §4)."""
    return b"* THREAD" + (b" " + lists if lists else b"") + CRLF


def copied(uidvalidity: int, pairs: Sequence[tuple[int, int]]) -> bytes:
    """The code COPYUID (RFC 4315 §3): sources and their copies in the same order."""
    sources, copies = set_text(a for a, _ in pairs), set_text(b for _, b in pairs)
    return b"COPYUID %d %b %b" % (uidvalidity, sources, copies)


def date_time(ms: int) -> bytes:
    """INTERNALDATE: `"17-Jul-1996 02:44:25 +0000"`, always UTC."""
    days, seconds = divmod(ms // 1000, 86_400)
    return b'"%b %02d:%02d:%02d +0000"' % (_day(days), seconds // 3600, seconds // 60 % 60, seconds % 60)


@lru_cache(maxsize=DAYS_KEPT)
def _day(days: int) -> bytes:
    """`17-Jul-1996` of a day number, by the civil calendar (Gregorian, eras of 400 years from 1 March)."""
    era, of_era = divmod(days + 719_468, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    number = month + 3 if month < 10 else month - 9
    return b"%2d-%b-%04d" % (day, _MONTHS[number - 1], year + era * 400 + (number <= 2))
