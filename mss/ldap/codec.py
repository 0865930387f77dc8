"""How do octets become requests, and answers octets? BER as LDAP uses it (RFC 4511 §5.1).

ldaptor knows the grammar, and it trusts its input: it recurses, copies and prints. So every message is walked first, by
`_look`: whole, short, shallow, of few elements, of tags that belong there. Whatever is wrong ends in Broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ldaptor.protocols import pureber, pureldap

from mss.ldap.requests import (
    Abandon,
    All,
    Any,
    Bind,
    Broken,
    Change,
    Equal,
    Extended,
    Filter,
    Like,
    Message,
    Not,
    Present,
    Request,
    Scope,
    Search,
    Unbind,
    Unknowable,
)

MESSAGE_BYTES_MAX = 32 * 1024
"""The longest filter that a mail client was seen to send has two kilobytes."""
ELEMENTS_MAX = 1_000
"""Of one message. A search with a hundred terms has five hundred."""
FILTER_DEPTH_MAX = 12
FILTER_TERMS_MAX = 100
ATTRIBUTES_MAX = 200
TEXT_BYTES_MAX = 1_000
"""Of a name, a value, a password."""
NUMBER_MAX = 2**31 - 1

_SEQUENCE, _INTEGER, _OCTETS, _BOOLEAN, _ENUMERATED = 0x30, 0x02, 0x04, 0x01, 0x0A
_SET = 0x31
_CONTROLS = 0xA0
_BIND, _UNBIND, _SEARCH, _ABANDON, _EXTENDED = 0x60, 0x42, 0x63, 0x50, 0x77
_FOUND = 0x64
_ANSWER_OF = {0x66: 0x47, 0x68: 0x49, 0x4A: 0x4B, 0x6C: 0x4D, 0x6E: 0x4F}
"""Modify, add, delete, rename, compare, and the tags of their answers."""
_TERMS = {
    **dict.fromkeys((0xA0, 0xA1, 0xA2), "terms"),
    **dict.fromkeys((0xA3, 0xA5, 0xA6, 0xA8), "texts"),
    0xA4: "substrings",
    0x87: "",
    0xA9: "match",
}
_GRAMMAR: dict[str, dict[int, str]] = {
    "bind": {_INTEGER: "", _OCTETS: "", 0x80: "", 0xA3: "texts"},
    "search": {_OCTETS: "", _ENUMERATED: "", _INTEGER: "", _BOOLEAN: "", _SEQUENCE: "texts", **_TERMS},
    "extended": {0x80: "", 0x81: ""},
    "terms": _TERMS,
    "texts": {_OCTETS: ""},
    "substrings": {_OCTETS: "", _SEQUENCE: "pieces"},
    "pieces": {0x80: "", 0x81: "", 0x82: ""},
    "match": dict.fromkeys((0x81, 0x82, 0x83, 0x84), ""),
}
"""Where we are, which tags may stand there, and where that leads; "" holds octets."""
_WALKED = {_BIND: "bind", _SEARCH: "search", _EXTENDED: "extended"}
BROKEN = (
    AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError,
    pureber.BERException, pureber.BERExceptionInsufficientData, pureber.UnknownBERTag,
)  # fmt: skip
"""What ldaptor raises at a message that is well-formed BER and no LDAP."""


class Frames:
    """Octets as they come, into whole messages."""

    def __init__(self) -> None:
        self._octets = bytearray()

    @property
    def waiting_bytes(self) -> int:
        return len(self._octets)

    def feed(self, octets: bytes) -> None:
        self._octets += octets

    def forget(self) -> None:
        """What came in clear has no meaning under TLS."""
        self._octets.clear()

    def take(self) -> bytes | None:
        """The next message, or None until more has come. Raises Broken: nothing after it can be read."""
        if not self._octets:
            return None
        if self._octets[0] != _SEQUENCE:
            raise Broken("not an LDAP message")
        head = bytes(self._octets[:6])
        if len(head) < 2 or len(head) < 2 + (head[1] & 0x7F) * (head[1] >> 7) <= 6:
            return None
        start, length = _length(head, 1)
        if start + length > MESSAGE_BYTES_MAX:
            raise Broken("message too long")
        if len(self._octets) < start + length:
            return None
        frame = bytes(self._octets[: start + length])
        del self._octets[: start + length]
        return frame


def _length(octets: bytes, at: int) -> tuple[int, int]:
    """Where the content begins, and how long it is; only the definite form is LDAP's. Raises Broken."""
    if at >= len(octets):
        raise Broken("a length is missing")
    first = octets[at]
    if first < 0x80:
        return at + 1, first
    count = first & 0x7F
    if not 1 <= count <= 4 or at + 1 + count > len(octets):
        raise Broken("a length of no form that LDAP knows")
    return at + 1 + count, int.from_bytes(octets[at + 1 : at + 1 + count])


def _elements(octets: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(tag, begin, end) of each element between two places. Raises Broken unless they fill it."""
    at = start
    while at < end:
        tag = octets[at]
        if tag & 0x1F == 0x1F:
            raise Broken("a tag of several octets")
        begin, length = _length(octets, at + 1)
        if begin + length > end:
            raise Broken("an element is longer than what holds it")
        yield tag, begin, begin + length
        at = begin + length


def read(frame: bytes) -> Message:
    """One message. Raises Broken."""
    start, length = _length(frame, 1)
    parts = list(_few(_elements(frame, start, start + length), 3))
    if start + length != len(frame) or len(parts) < 2 or parts[0][0] != _INTEGER or not 1 <= _size(parts[0]) <= 4:
        raise Broken("not an LDAP message")
    number = int.from_bytes(frame[parts[0][1] : parts[0][2]], signed=True)
    if not 0 < number <= NUMBER_MAX:
        raise Broken("a message without a number")
    is_critical = False
    if len(parts) == 3:
        if parts[2][0] != _CONTROLS:
            raise Broken("neither controls nor their end")
        is_critical = _has_critical(frame, *parts[2][1:])
    tag, begin, end = parts[1]
    try:
        return Message(number, _request(frame, tag, begin, end), is_critical)
    except BROKEN:
        raise Broken("not an LDAP request") from None


def _few(elements: Iterator[tuple[int, int, int]], most: int) -> Iterator[tuple[int, int, int]]:
    for count, element in enumerate(elements):
        if count >= most:
            raise Broken("more elements than belong there")
        yield element


def _size(element: tuple[int, int, int]) -> int:
    return element[2] - element[1]


def _has_critical(frame: bytes, start: int, end: int) -> bool:
    """Whether a control must be understood (RFC 4511 §4.1.11)."""
    found = False
    for tag, begin, stop in _few(_elements(frame, start, end), 20):
        if tag != _SEQUENCE:
            raise Broken("not a control")
        parts = list(_few(_elements(frame, begin, stop), 3))
        if not parts or parts[0][0] != _OCTETS:
            raise Broken("a control without a name")
        found = found or any(one == _BOOLEAN and any(frame[at:to]) for one, at, to in parts[1:])
    return found


def _request(frame: bytes, tag: int, begin: int, end: int) -> Request:
    if tag in _ANSWER_OF:
        return Change(_ANSWER_OF[tag])
    if tag == _UNBIND:
        return Unbind()
    if tag == _ABANDON:
        return Abandon(int.from_bytes(frame[begin : min(end, begin + 5)], signed=True))
    if tag not in _WALKED:
        raise Broken("an operation that LDAP does not know")
    content = frame[begin:end]
    _look(content, _WALKED[tag])
    if tag == _BIND:
        return _bind(content)
    return _search(content) if tag == _SEARCH else _extended(content)


def _look(content: bytes, where: str) -> None:
    """Walk everything once, without recursion. Raises Broken."""
    ahead = [(0, len(content), where, 0)]
    elements = terms = 0
    while ahead:
        start, end, where, depth = ahead.pop()
        for tag, begin, stop in _elements(content, start, end):
            inside = _GRAMMAR[where].get(tag)
            if inside is None:
                raise Broken("a tag that does not belong there")
            elements += 1
            terms += tag in _TERMS
            if elements > ELEMENTS_MAX or terms > FILTER_TERMS_MAX or depth > FILTER_DEPTH_MAX:
                raise Broken("more than anybody asks for")
            if tag in (_INTEGER, _ENUMERATED, _BOOLEAN) and not 1 <= stop - begin <= 4:
                raise Broken("a number too long")
            if inside:
                ahead.append((begin, stop, inside, depth + 1))
            elif stop - begin > TEXT_BYTES_MAX:
                raise Broken("a text too long")


def _decoded(octets: object) -> str:
    """Text of a request. Raises Broken."""
    if not isinstance(octets, bytes):
        raise Broken("no text where one belongs")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise Broken("text that is not UTF-8") from None


def _bind(content: bytes) -> Bind:
    found = pureldap.LDAPBindRequest.fromBER(pureldap.LDAPBindRequest.tag, content, pureber.BERDecoderContext())
    if not isinstance(found.version, int):
        raise Broken("a bind without a version")
    password = found.auth if isinstance(found.auth, bytes) and not found.sasl else None
    return Bind(found.version, _decoded(found.dn), password)


def _extended(content: bytes) -> Extended:
    for tag, begin, end in _few(_elements(content, 0, len(content)), 2):
        if tag == 0x80:
            return Extended(_decoded(content[begin:end]))
    raise Broken("an operation without a name")


def _search(content: bytes) -> Search:
    found = pureldap.LDAPSearchRequest.fromBER(pureldap.LDAPSearchRequest.tag, content, pureber.BERDecoderContext())
    numbers = (found.scope, found.sizeLimit, found.timeLimit, found.typesOnly)
    if not all(isinstance(one, int) for one in numbers) or found.sizeLimit < 0 or found.timeLimit < 0:
        raise Broken("a search without its numbers")
    if len(found.attributes) > ATTRIBUTES_MAX:
        raise Broken("more attributes than there are")
    return Search(
        base=_decoded(found.baseObject),
        scope=Scope(found.scope),
        size_max=found.sizeLimit,
        time_s_max=found.timeLimit,
        types_only=bool(found.typesOnly),
        filter=_filter(found.filter),
        attributes=tuple(_name(one) for one in found.attributes),
    )


def _name(octets: object) -> str:
    """An attribute's name in small letters; options behind it (;lang-fr) change nothing here."""
    return _decoded(octets).partition(";")[0].strip().lower()


def _filter(found: object) -> Filter:
    """ldaptor's tree as ours. The walk before has bounded its depth."""
    match found:
        case pureldap.LDAPFilter_and():
            return All(tuple(_filter(part) for part in found))
        case pureldap.LDAPFilter_or():
            return Any(tuple(_filter(part) for part in found))
        case pureldap.LDAPFilter_not():
            return Not(_filter(found.value))
        case pureldap.LDAPFilter_present():
            return Present(_name(found.value))
        case pureldap.LDAPFilter_equalityMatch():
            return Equal(_name(found.attributeDesc.value), _decoded(found.assertionValue.value))
        case pureldap.LDAPFilter_approxMatch():
            return Equal(_name(found.attributeDesc.value), _decoded(found.assertionValue.value), sounds_alike=True)
        case pureldap.LDAPFilter_substrings():
            return _like(_name(found.type), found.substrings)
        case (
            pureldap.LDAPFilter_greaterOrEqual()
            | pureldap.LDAPFilter_lessOrEqual()
            | pureldap.LDAPFilter_extensibleMatch()
        ):
            return Unknowable()
    raise Broken("no filter that LDAP knows")


def _like(name: str, pieces: Sequence[object]) -> Like:
    first, last, middle = "", "", []
    for place, piece in enumerate(pieces):
        match piece:
            case pureldap.LDAPFilter_substrings_initial() if place == 0:
                first = _decoded(piece.value)
            case pureldap.LDAPFilter_substrings_final() if place == len(pieces) - 1:
                last = _decoded(piece.value)
            case pureldap.LDAPFilter_substrings_any():
                middle.append(_decoded(piece.value))
            case _:
                raise Broken("pieces in an order that LDAP does not know")
    return Like(name, first, tuple(middle), last)


# ── answers ──

Attributes = Sequence[tuple[str, Sequence[str]]]
BIND_ANSWER, SEARCH_DONE, EXTENDED_ANSWER = 0x41, 0x45, 0x58


def entry(number: int, dn: str, attributes: Attributes) -> bytes:
    """One found entry (RFC 4511 §4.5.2). Written by ourselves, octet for octet as ldaptor does: answers have a hundred,
    and it takes twenty times as long."""
    content = []
    for name, several in attributes:
        values = b"".join([_element(_OCTETS, value.encode()) for value in several])
        content.append(_element(_SEQUENCE, _element(_OCTETS, name.encode()) + _element(_SET, values)))
    found = _element(_FOUND, _element(_OCTETS, dn.encode()) + _element(_SEQUENCE, b"".join(content)))
    return _element(_SEQUENCE, _element(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1)) + found)


def _element(tag: int, content: bytes) -> bytes:
    """With its length in the shortest form."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets + content


def result(number: int, answer: int, code: int, text: str = "", name: str = "") -> bytes:
    """How an operation ended. `answer`: the tag of its reply; `name`: of an extended one."""
    if answer == EXTENDED_ANSWER:
        return _message(
            number, pureldap.LDAPExtendedResponse(code, b"", text.encode(), responseName=name.encode() or None)
        )
    return _message(number, pureldap.LDAPResult(code, b"", text.encode(), tag=answer))


def identity(number: int, who: str) -> bytes:
    """The answer to "Who am I?" (RFC 4532)."""
    return _message(number, pureldap.LDAPExtendedResponse(0, b"", b"", response=who.encode()))


def _message(number: int, operation: object) -> bytes:
    octets: bytes = pureldap.LDAPMessage(operation, id=number).toWire()
    return octets
