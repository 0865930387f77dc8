"""How does IMAP tell a message's ENVELOPE, BODY and BODYSTRUCTURE (RFC 9051 §7.5.2)?

Rendered once, at delivery, as the octets that go on the wire, outer parentheses included. Words are given as sent:
encoded words and RFC 2231 parameters stay encoded, the client decodes. Where the RFC leaves a choice (a multipart
without parts, a missing domain, the default charset, fields said twice) the answer is Dovecot's, since clients know
it, with two exceptions: of a Subject or Date said twice the first counts, as everywhere in this house; and space around
a value is not told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from mss.formats.common import REMEMBERED
from mss.formats.headers import RawAddress, parse_address_list, unfold
from mss.formats.parameters import Parameters
from mss.formats.parts import CommonMime, Field, Mime, Part, Structure

_PLAIN = re.compile(rb'[^\x00\r\n"\\\x80-\xff]*+\Z')
_SPACES = re.compile(rb"[ \t]{2,}|\t")
ADDRESSES_SHOWN_MAX = 1000  # the scan refused more; this only bounds what is rendered without a scan

_EMPTY = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0'
_NO_PART = (_EMPTY + b")", _EMPTY + b" NIL NIL NIL NIL)")  # the grammar wants a part in each multipart (RFC 9051 §9)


def envelope(structure: Structure) -> bytes:
    """The ENVELOPE of a message."""
    return _envelope(structure.root.fields)


def bodystructure(part: Part, extended: bool) -> bytes:
    """BODYSTRUCTURE of a part and what it contains; BODY, the form without extension data, when not `extended`."""
    return body_forms(part)[extended]


def body_forms(part: Part) -> tuple[bytes, bytes]:
    """BODY and BODYSTRUCTURE."""
    return _multipart(part) if part.is_multipart else _single(part)


def _single(part: Part) -> tuple[bytes, bytes]:
    mime, embedded = part.mime, part.message
    if embedded is not None:
        mime = mime._replace(type=b"message", subtype=b"rfc822")
    elif mime.type.lower() == b"message" and mime.subtype.lower() == b"rfc822":
        mime = mime._replace(type=b"application", subtype=b"octet-stream")  # sent encoded, so not read; the grammar
        # wants an envelope with rfc822
    told, extension = (_remembered if isinstance(mime, CommonMime) else _described)(mime)
    if embedded is not None:
        sender = _envelope(embedded.fields)
        body, full = body_forms(embedded)
        start = b"(%b %d %b " % (told, part.size, sender)
        return b"%b%b %d)" % (start, body, part.lines), b"%b%b %d%b" % (start, full, part.lines, extension)
    if mime.type.lower() == b"text":
        basic = b"(%b %d %d" % (told, part.size, part.lines)
    else:
        basic = b"(%b %d" % (told, part.size)
    return basic + b")", basic + extension


def _described(mime: Mime) -> tuple[bytes, bytes]:
    """What a part that is no multipart says of itself, up to its size; and the extension data behind its lines."""
    basic = b"%b %b %b %b %b %b" % (
        _string(mime.type),
        _string(mime.subtype),
        _parameters(mime.parameters, default_charset=mime.type.lower() == b"text"),
        _nstring(mime.id),
        _nstring(mime.description),
        _string(mime.encoding) if mime.encoding else b'"7bit"',
    )
    return basic, b" %b %b)" % (_nstring(mime.md5), _extension(mime))


_remembered = lru_cache(maxsize=REMEMBERED)(_described)


def _multipart(part: Part) -> tuple[bytes, bytes]:
    forms = [body_forms(child) for child in part.children] or [_NO_PART]
    body, full = b"".join(form[0] for form in forms), b"".join(form[1] for form in forms)
    subtype = _string(part.mime.subtype)
    parameters = _parameters(part.mime.parameters)
    return b"(%b %b)" % (body, subtype), b"(%b %b %b %b)" % (full, subtype, parameters, _extension(part.mime))


def _extension(mime: Mime) -> bytes:
    """Disposition, language, location: the extension data that every part may have."""
    if mime.disposition is None and mime.location is None and not mime.languages:
        return b"NIL NIL NIL"
    disposition = languages = b"NIL"
    if mime.disposition is not None:
        disposition = b"(%b %b)" % (_string(mime.disposition), _parameters(mime.disposition_parameters))
    if mime.languages:
        languages = b"(%b)" % b" ".join(map(_string, mime.languages))
    return b"%b %b %b" % (disposition, languages, _nstring(mime.location))


def _parameters(parameters: Parameters, *, default_charset: bool = False) -> bytes:
    """`("name" "value" …)`; a text part without a charset is told with the default one (RFC 2046 §4.1.2)."""
    words = [_string(name) + b" " + _string(value) for name, value in parameters]
    if default_charset and not any(name.lower() == b"charset" for name, _ in parameters):
        words.append(b'"charset" "us-ascii"')
    return b"(%b)" % b" ".join(words) if words else b"NIL"


def _envelope(fields: Iterable[Field]) -> bytes:
    said: dict[bytes, bytes] = {}
    people: dict[bytes, list[RawAddress]] = {}
    for name, value, _, _ in fields:
        if name in _PEOPLE:
            # joined as if written in one field: nobody may show one From to us and another to the reader
            people.setdefault(name, []).extend(parse_address_list(value, ADDRESSES_SHOWN_MAX))
        else:
            said.setdefault(name, value)
    sender = _addresses(people.get(b"from"))
    subject = said.get(b"subject")
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        _unfolded(said.get(b"date")),
        _string(_SPACES.sub(b" ", unfold(subject))) if subject is not None else b"NIL",
        sender,
        _addresses(people.get(b"sender"), sender),
        _addresses(people.get(b"reply-to"), sender),
        _addresses(people.get(b"to")),
        _addresses(people.get(b"cc")),
        _addresses(people.get(b"bcc")),
        _unfolded(said.get(b"in-reply-to")),
        _unfolded(said.get(b"message-id")),
    )


_PEOPLE = frozenset([b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"])


def _addresses(people: list[RawAddress] | None, otherwise: bytes = b"NIL") -> bytes:
    return b"(%b)" % b"".join(map(_address, people)) if people else otherwise


def _address(person: RawAddress) -> bytes:
    name, route, mailbox, host = person
    if name and mailbox and host and route is None and _PLAIN.match(b"%b%b%b" % (name, mailbox, host)):
        return b'("%b" NIL "%b" "%b")' % (name, mailbox, host)  # nearly everybody
    return b"(%b %b %b %b)" % (_nstring(name), _nstring(route), _nstring(mailbox), _nstring(host))


def _unfolded(value: bytes | None) -> bytes:
    return b"NIL" if value is None else _string(unfold(value))


def _nstring(value: bytes | None) -> bytes:
    return b"NIL" if value is None else _string(value)


def _string(value: bytes) -> bytes:
    """A quoted string, or a literal when it holds 8-bit octets or line ends (RFC 9051 §4.3, §9 QUOTED-CHAR)."""
    if _PLAIN.match(value):  # nearly every word
        return b'"' + value + b'"'
    if not value.isascii() or b"\n" in value or b"\r" in value or b"\0" in value:
        return b"{%d}\r\n%b" % (len(value), value)
    if b'"' in value or b"\\" in value:
        value = value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"' + value + b'"'
