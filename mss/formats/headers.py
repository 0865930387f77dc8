"""What do the fields of a message header say: words, addresses, message ids, dates?

Fields come from strangers: every function is linear in its input, bounded, and answers with what can be read.
Structure is found before words are decoded, so an encoded word never adds an address. The only thing raised is
Malformed, when a field names more addresses than anybody writes to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from mss.formats import charsets
from mss.formats.transfer import decode_base64, decode_quoted_printable
from mss.model.errors import Malformed
from mss.model.verdict import Reason

ADDRESSES_MAX = 100
"""In one field; as many as an SMTP transaction of ours takes (RFC 5321 §4.5.3.1.8)."""
ENCODED_WORDS_MAX = 1000
"""Decoded in one value. A subject of 998 octets holds about fifty; what follows more is shown as it was sent."""
MESSAGE_IDS_MAX = 100
"""Of References the last ones, nearest to the message, are kept."""
MESSAGE_ID_OCTETS_MAX = 998  # a message id is never folded (RFC 5322 §2.1.1)
DATE_CHARACTERS_MAX = 200
FIELDS_REMEMBERED = 4
"""ENVELOPE, summary and policy ask for the same fields one after the other; nothing of a message is to stay long."""
TOKENS_MAX = 500
"""Words and signs in one address; a long name with a comment has perhaps thirty."""

_FOLD = re.compile(rb"[\r\n]+(?=[ \t])")
_BREAK = re.compile(rb"[\r\n]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_BIDI = re.compile(r"[\u202a-\u202e\u2066-\u2069]+")  # they make a name or a file ending read backwards
_PIECE = re.compile(rb"(?P<space>[ \t\r\n]++)|(?P<mark>[()])|(?P<text>[^()\\ \t\r\n]{1,64}+|\\.?)", re.DOTALL)
_SPACE_OR_COMMENT = (b" ", b"\t", b"\r", b"\n", b"(")
_COMMENT_MARK = re.compile(rb"[()]|\\.", re.DOTALL)


def unfold(value: bytes) -> bytes:
    """One line without surrounding space (RFC 5322 §2.2.3); a line end that is no fold becomes a space."""
    if b"\n" in value or b"\r" in value:
        value = _BREAK.sub(b" ", _FOLD.sub(b"", value))
    return value.strip(b" \t")


def skip_comments(value: bytes, at: int) -> int:
    """The first place from `at` on that is neither white space nor comment (CFWS, RFC 5322 §3.2.2).

    A comment that never closes reaches to the end.
    """
    if value[at : at + 1] not in _SPACE_OR_COMMENT:
        return at
    depth = 0
    for piece in _PIECE.finditer(value, at):
        kind = piece.lastgroup
        if kind == "mark":
            depth += 1 if piece[0] == b"(" else -1
        if depth < 0 or (depth == 0 and kind == "text"):
            return piece.start()
    return len(value)


# Encoded words (RFC 2047)

_WORD = re.compile(r"=\?([!->@-~]{1,60})\?([bBqQ])\?([^?\r\n]*+)\?=")


def decode_words(value: bytes | str) -> str:
    """Text for people: unfolded, encoded words decoded, control characters and direction overrides taken out."""
    text = value if isinstance(value, str) else charsets.decode(unfold(value))
    if "=?" in text:
        alone = _WORD.fullmatch(text)  # as names often are
        text = "".join(_decoded(text)) if alone is None else charsets.decode(_octets(alone), _charset(alone))
    return plain(text)


def plain(text: str) -> str:
    """Text without control characters and direction overrides."""
    return text if text.isprintable() else _BIDI.sub("", _CONTROL.sub(" ", text))


def _decoded(text: str) -> Iterator[str]:
    """Pieces of `text`; adjacent words of one charset are joined before decoding, since senders cut characters."""
    run, run_charset, done = b"", "", 0
    for word in islice(_WORD.finditer(text), ENCODED_WORDS_MAX):
        charset = _charset(word)
        between = text[done : word.start()]
        if charset != run_charset or (between and not between.isspace()):
            yield charsets.decode(run, run_charset)
            run = b""
            if not run_charset or (between and not between.isspace()):
                yield between  # white space between two words is not shown (RFC 2047 §6.2)
        run_charset, done = charset, word.end()
        run += _octets(word)
    yield charsets.decode(run, run_charset)
    yield text[done:]


def _charset(word: re.Match[str]) -> str:
    return word[1].partition("*")[0].lower()  # RFC 2231 §5: charset*language


def _octets(word: re.Match[str]) -> bytes:
    payload = word[3].encode("utf-8", "replace")
    if word[2] in "bB":
        return decode_base64(payload)
    return decode_quoted_printable(payload.replace(b"_", b" "))


# Addresses (RFC 5322 §3.4)


@dataclass(frozen=True, slots=True)
class HeaderAddress:
    """A mailbox of a From, To … field, for people and for policy. A malformed one has an empty `domain`."""

    name: str
    local: str
    domain: str

    @property
    def address(self) -> str:
        return f"{self.local}@{self.domain}" if self.domain else self.local


class RawAddress(NamedTuple):
    """An address as IMAP tells it (RFC 9051 §7.5.2): only a mailbox is the start of a group, nothing its end."""

    name: bytes | None = None
    route: bytes | None = None
    mailbox: bytes | None = None
    host: bytes | None = None


GROUP_END = RawAddress()
MISSING_MAILBOX, MISSING_DOMAIN = b"MISSING_MAILBOX", b"MISSING_DOMAIN"  # as Dovecot says it
SYNTAX_ERROR = b"SYNTAX_ERROR"
_NOWHERE = frozenset([MISSING_DOMAIN, SYNTAX_ERROR])

_ATEXT = rb"[^\x00-\x20()<>@,;:\\\"\[\]\x7f]"  # RFC 5322 atext with the dot and 8-bit octets
_TOKEN = re.compile(rb"(" + _ATEXT + rb'++)|"((?:[^"\\]++|\\.)*+)"|(\[[^\[\]\\]*+\])|([()<>@,;:"])', re.DOTALL)
_TOKEN_UNQUOTED = re.compile(rb"(" + _ATEXT + rb"++)|(?!)()|(\[[^\[\]\\]*+\])|([()<>@,;:])")
_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_LISTED = re.compile(rb'[^"(]*+\Z')  # without quotes and comments each comma is one between addresses
_SIMPLE = re.compile(
    rb'[ \t\r\n]*+(?:(?:"([^"\\\r\n]*+)"[ \t]*+|([^\x00-\x08\x0b\x0c\x0e-\x1f()<>@,;:\\"\[\]\x7f]*+))'
    rb"<(" + _ATEXT + rb"++)@([A-Za-z0-9._-]++)>|(" + _ATEXT + rb"++)@([A-Za-z0-9._-]++))[ \t\r\n]*+\Z"
)

_Token = tuple[int, bytes]
_WORD_TOKEN, _QUOTED, _LITERAL, _SPECIAL, _COMMENT = 1, 2, 3, 4, 5  # the first four: groups of _TOKEN
_AT, _OPEN, _CLOSE, _COLON = (_SPECIAL, b"@"), (_SPECIAL, b"<"), (_SPECIAL, b">"), (_SPECIAL, b":")


def parse_addresses(value: bytes | str, limit: int = ADDRESSES_MAX) -> tuple[HeaderAddress, ...]:
    """The mailboxes of an address field, those of groups included. Raises Malformed beyond `limit`."""
    octets = value.encode("utf-8", "replace") if isinstance(value, str) else value
    return tuple(_for_people(raw) for raw in parse_address_list(octets, limit) if raw.host is not None)


def first_address(value: bytes, limit: int = ADDRESSES_MAX) -> HeaderAddress | None:
    """The first of those mailboxes. Raises Malformed beyond `limit`."""
    return next((_for_people(raw) for raw in parse_address_list(value, limit) if raw.host is not None), None)


def parse_places(value: bytes, limit: int = ADDRESSES_MAX) -> list[tuple[str, str]]:
    """Local part and domain of each of them, for who does not ask for names. Raises Malformed beyond `limit`."""
    return [_place(raw) for raw in parse_address_list(value, limit) if raw.host is not None]


def _for_people(raw: RawAddress) -> HeaderAddress:
    return HeaderAddress(decode_words(raw.name or b""), *_place(raw))


def _place(raw: RawAddress) -> tuple[str, str]:
    local = b"" if raw.mailbox == MISSING_MAILBOX else raw.mailbox or b""
    domain = b"" if raw.host in (MISSING_DOMAIN, SYNTAX_ERROR) else raw.host or b""
    return charsets.decode(local), charsets.decode(domain)


def parse_address_list(value: bytes, limit: int = ADDRESSES_MAX) -> list[RawAddress]:
    """The addresses as sent, names still encoded, groups marked. Raises Malformed beyond `limit`."""
    if (plain_ones := _plain_addresses(value)) and len(plain_ones) <= limit:
        return [*plain_ones]
    found: list[RawAddress] = []
    tokens: list[_Token] = []
    in_group = in_angle = in_spec = False
    for token in _tokens(value):
        kind, text = token
        if token == _COLON and not (in_group or in_angle or in_spec):
            found.append(RawAddress(mailbox=_phrase(tokens)))
            tokens, in_group = [], True
        elif kind != _SPECIAL or text in b"<>@:" or (in_angle and text != b";"):
            tokens.append(token)
            in_angle = token == _OPEN or (in_angle and token != _CLOSE)
            in_spec = in_spec or token == _AT
        else:
            found += _mailbox(tokens) if tokens else ()
            tokens, in_angle, in_spec = [], False, False
            if text == b";" and in_group:
                found.append(GROUP_END)
                in_group = False
        if len(found) > 2 * limit:
            raise Malformed(Reason.TOO_MANY_ADDRESSES)
        if len(tokens) > TOKENS_MAX:
            tokens = [_AT, _AT]  # told as one that cannot be read, so that nothing after it passes unseen
            break
    found += _mailbox(tokens)
    if in_group:
        found.append(GROUP_END)
    if sum(raw.host is not None for raw in found) > limit:
        raise Malformed(Reason.TOO_MANY_ADDRESSES)
    return found


@lru_cache(maxsize=FIELDS_REMEMBERED)
def _plain_addresses(value: bytes) -> tuple[RawAddress, ...]:
    """What nearly every field holds: mailboxes written plainly. Empty when there is anything else."""
    found = []
    for item in value.split(b",") if _LISTED.match(value) else (value,):
        simple = _SIMPLE.match(item)
        if simple is None:
            return ()
        name = simple[1] or b" ".join((simple[2] or b"").split())
        found.append(RawAddress(name or None, None, simple[3] or simple[5], simple[4] or simple[6]))
    return tuple(found)


def _tokens(value: bytes) -> Iterator[_Token]:
    """Words, quoted strings, literals, comments and specials; a quote or comment that never closes is passed over."""
    at, pattern, comments_close = 0, _TOKEN, True
    while (found := pattern.search(value, at)) is not None:
        at, kind = found.end(), found.lastindex or 0
        text = found[kind]
        if kind == _QUOTED:
            yield _QUOTED, _PAIR.sub(rb"\1", unfold(text)) if b"\\" in text or b"\n" in text else text
        elif kind == _SPECIAL and text == b'"':
            pattern = _TOKEN_UNQUOTED  # none that follows closes either; asking again would be quadratic
        elif kind == _SPECIAL and text == b"(":
            end = _end_of_comment(value, found.start()) if comments_close else 0
            comments_close = end > 0
            if end:
                yield _COMMENT, _PAIR.sub(rb"\1", unfold(value[at : end - 1]))
                at = end
        elif text != b")":
            yield kind, text


def _end_of_comment(value: bytes, at: int) -> int:
    """The place after the comment that opens at `at`; 0 when it never closes."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(value, at):
        depth += (mark[0] == b"(") - (mark[0] == b")")
        if depth == 0:
            return mark.end()
    return 0


def _mailbox(tokens: list[_Token]) -> list[RawAddress]:
    """The one address that `tokens` spell, none when there are none (RFC 5322 §4.4 allows empty list elements)."""
    comments = [text for kind, text in tokens if kind == _COMMENT]
    words = [token for token in tokens if token[0] != _COMMENT]
    if not words:
        return []
    if _OPEN in words:
        opening = words.index(_OPEN)
        name = _phrase(words[:opening])
        spec = words[opening + 1 : -1] if words[-1] == _CLOSE else words[opening:]
        route, mailbox, host = _angle(spec)
        return [RawAddress(name or None, route, mailbox, host)]
    if _AT in words:
        mailbox, host = _spec(words)
        name = _phrase(words) if host == SYNTAX_ERROR else comments[-1] if comments else b""
        return [RawAddress(name or None, None, mailbox, host)]
    if len(words) == 1 and words[0][0] == _WORD_TOKEN:
        return [RawAddress(comments[-1] if comments else None, None, words[0][1], MISSING_DOMAIN)]
    return [RawAddress(_phrase(words) or None, None, MISSING_MAILBOX, MISSING_DOMAIN)]


def _angle(tokens: list[_Token]) -> tuple[bytes | None, bytes, bytes]:
    """Route, local part and domain between `<` and `>` (RFC 5322 §4.4 obs-angle-addr)."""
    if not tokens:
        return None, MISSING_MAILBOX, MISSING_DOMAIN
    if tokens[0] == _AT and _COLON in tokens:
        colon = tokens.index(_COLON)
        return b"".join(text for _, text in tokens[:colon]), *_spec(tokens[colon + 1 :])
    return None, *_spec(tokens)


def _spec(tokens: list[_Token]) -> tuple[bytes, bytes]:
    """Local part and domain. What does not read as exactly one of each is a SYNTAX_ERROR, never a guess."""
    if tokens.count(_AT) > 1:
        return MISSING_MAILBOX, SYNTAX_ERROR
    at = tokens.index(_AT) if _AT in tokens else len(tokens)
    local, domain = _glued(tokens[:at], _QUOTED), _glued(tokens[at + 1 :], _LITERAL)
    if local is None or domain is None:
        return MISSING_MAILBOX, SYNTAX_ERROR
    quoted_empty = at > 0 and tokens[0][0] == _QUOTED
    return local or (b"" if quoted_empty else MISSING_MAILBOX), domain or MISSING_DOMAIN


def _glued(tokens: list[_Token], other: int) -> bytes | None:
    """Words that dots hold together, or kind `other` instead; None when white space alone stands between two."""
    glued = b""
    for index, (kind, text) in enumerate(tokens):
        if kind not in (_WORD_TOKEN, other):
            return None
        if index and not glued.endswith(b".") and not text.startswith(b"."):
            return None
        glued += text
    return glued


def _phrase(tokens: list[_Token]) -> bytes:
    """A display name: words with single spaces; senders also put bare addresses there."""
    text = b" ".join(text for kind, text in tokens if kind != _COMMENT)
    return text.replace(b" @ ", b"@") if _AT in tokens else text


# Message ids and dates (RFC 5322 §3.6.4, §3.3)

_MESSAGE_ID = re.compile(rb"<([^<>]{1,%d})>" % (MESSAGE_ID_OCTETS_MAX - 2))
_DATE = re.compile(
    r"\s*(?:[A-Za-z]{2,9}\.?,?\s*)?(\d{1,2})[\s-]+([A-Za-z]{3})[A-Za-z]*\.?[\s-]+(\d{2,4}),?\s+"
    r"(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?\s*(?:([+-])(\d{2}):?(\d{2})|([A-Za-z]{1,5}))?",
    re.ASCII,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ZONE_HOURS = {
    "EST": -5,
    "EDT": -4,
    "CST": -6,
    "CDT": -5,
    "MST": -7,
    "MDT": -6,
    "PST": -8,
    "PDT": -7,
    "CET": 1,
    "CEST": 2,
}


def parse_message_ids(value: bytes | str) -> tuple[str, ...]:
    """The ids of Message-ID, In-Reply-To, References, with their angle brackets; the last MESSAGE_IDS_MAX."""
    octets = value.encode("utf-8", "replace") if isinstance(value, str) else value
    found = [b"".join(inner.split()) for inner in _MESSAGE_ID.findall(octets)[-MESSAGE_IDS_MAX:]]
    return tuple(f"<{charsets.decode(inner)}>" for inner in found if inner)


def parse_date(value: bytes | str) -> datetime | None:
    """A Date field, aware; UTC when the zone is unknown (RFC 5322 §4.3). None when it cannot be read."""
    text = charsets.decode(value[:DATE_CHARACTERS_MAX]) if isinstance(value, bytes) else value[:DATE_CHARACTERS_MAX]
    found = _DATE.match(text)
    if found is None or found[2].lower() not in _MONTHS:
        return None
    year = int(found[3])
    if len(found[3]) < 4:  # RFC 5322 §4.3 obs-year
        year += 2000 if year < 50 else 1900
    if year < 1900:  # RFC 5322 §3.3
        return None
    zone: timezone = UTC
    if found[7]:
        minutes = int(found[8]) * 60 + int(found[9])
        zone = timezone(timedelta(minutes=minutes if found[7] == "+" else -minutes)) if minutes < 24 * 60 else UTC
    elif found[10]:
        zone = timezone(timedelta(hours=_ZONE_HOURS.get(found[10].upper(), 0)))
    try:
        month, second = _MONTHS.index(found[2].lower()) + 1, min(int(found[6] or 0), 59)  # a leap second is kept out
        return datetime(year, month, int(found[1]), int(found[4]), int(found[5]), second, tzinfo=zone)
    except ValueError:
        return None
