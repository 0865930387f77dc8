"""What do Content-Type and Content-Disposition say: a value and its parameters?

Parameters are kept twice: joined but still encoded, as IMAP shows them, and decoded (RFC 2231, and the RFC 2047
words and raw 8-bit octets that senders really use). Broken fields give what can be read; too many parameters are
refused. Work is linear in the field.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mss.formats import charsets
from mss.formats.headers import decode_words, skip_comments
from mss.model.errors import Malformed
from mss.model.verdict import Reason

PARAMETERS_MAX = 100
"""RFC 2231 segments included. Honest parts have under ten; a long file name makes perhaps five more."""

Parameters = tuple[tuple[bytes, bytes], ...]

_TOKEN = rb"[^\x00-\x20()<>@,;:\\\"/\[\]?=\x7f]++"  # RFC 2045 §5.1, 8-bit octets let through
_PLAIN = re.compile(
    rb"[ \t]*+;[ \t]*+(" + _TOKEN + rb")=(?:(" + _TOKEN + rb')|"((?:[^"\\]++|\\.)*+)")[ \t]*+(?=;|\Z)', re.DOTALL
)
_MEDIA = re.compile(rb"(" + _TOKEN + rb")[ \t]*+/[ \t]*+(" + _TOKEN + rb")")
_HEAD = re.compile(_TOKEN)
_GAP = re.compile(rb"[ \t;]*+")
_QUOTED = re.compile(rb'"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_ESCAPED = re.compile(rb'\\(["\\])')  # not every pair: C:\dossier is meant as written
_SEGMENT = re.compile(rb"([^*]+)\*(?:([0-9]{1,4})(\*)?)?\Z")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")


class Media(NamedTuple):
    """A Content-Type as sent, parameters joined but still encoded."""

    type: bytes
    subtype: bytes
    parameters: Parameters


TEXT_PLAIN = Media(b"text", b"plain", ())
"""What a part without a readable Content-Type is (RFC 2045 §5.2)."""


def parse_media(value: bytes) -> Media:
    """Read an unfolded Content-Type."""
    found = _MEDIA.match(value, skip_comments(value, 0))
    if found is None:
        return TEXT_PLAIN
    return Media(found[1], found[2], _parse(value, found.end()))


def parse_disposition(value: bytes) -> tuple[bytes, Parameters]:
    """Read an unfolded Content-Disposition (RFC 2183); its word may be empty."""
    found = _HEAD.match(value, skip_comments(value, 0))
    word, end = (found[0], found.end()) if found else (b"", 0)
    return word, _parse(value, end)


def parse_token(value: bytes) -> bytes:
    """The one word of an unfolded Content-Transfer-Encoding; empty when there is none."""
    found = _HEAD.match(value, skip_comments(value, 0))
    return found[0] if found else b""


def parse_languages(value: bytes) -> tuple[bytes, ...]:
    """The tags of an unfolded Content-Language (RFC 3282)."""
    words = [parse_token(item) for item in value.split(b",", PARAMETERS_MAX)[:PARAMETERS_MAX]]
    return tuple(word for word in words if word)


def decode_parameters(parameters: Parameters) -> dict[str, str]:
    """Names in lower case with their text. `name*` (RFC 2231) wins over a plain `name` beside it."""
    decoded: dict[str, str] = {}
    extended = False
    for name, value in parameters:
        if name[-1:] == b"*":
            extended = True
        else:
            decoded.setdefault(name.decode("latin-1").lower(), decode_words(value))
    if not extended:
        return decoded
    for name, value in parameters:
        if name[-1:] == b"*":
            decoded[name[:-1].decode("latin-1").lower()] = _decode_extended(value)
    return decoded


def _decode_extended(value: bytes) -> str:
    """`charset'language'percent-encoded` (RFC 2231 §4)."""
    charset, quote, rest = value.partition(b"'")
    _language, second, text = rest.partition(b"'")
    if not (quote and second):
        charset, text = b"", value
    octets = _PERCENT.sub(lambda pair: bytes([int(pair[1], 16)]), text)
    return charsets.decode(octets, charset.decode("latin-1"))


def _parse(value: bytes, at: int) -> Parameters:
    """Every parameter from `at` on, segments joined. Raises Malformed beyond PARAMETERS_MAX."""
    found: list[tuple[bytes, bytes]] = []
    segmented = False
    while at < len(value):
        if len(found) >= PARAMETERS_MAX:
            raise Malformed(Reason.TOO_MANY_PARAMETERS)
        plain = _PLAIN.match(value, at)
        if plain is not None:
            name, text, at = plain[1], plain[2], plain.end()
            if text is None:
                text = plain[3]
                if b"\\" in text:
                    text = _ESCAPED.sub(rb"\1", text)
        else:
            name, text, at = _parse_odd(value, at)
        if name or text:
            found.append((name, text))
            segmented = segmented or b"*" in name
    return _join(found) if segmented else tuple(pair for pair in found if pair[0])


def _parse_odd(value: bytes, at: int) -> tuple[bytes, bytes, int]:
    """One parameter that is not written by the book. Always ends further on; no name means nothing usable."""
    at = skip_comments(value, at)
    if value[at : at + 1] != b";":  # what stands between here and the next parameter means nothing
        end = value.find(b";", at)
        return b"", b"?", len(value) if end < 0 else end
    gap = _GAP.match(value, at)
    assert gap is not None
    at = skip_comments(value, gap.end())
    head = _HEAD.match(value, at)
    equals = skip_comments(value, head.end()) if head else at
    if head is None or value[equals : equals + 1] != b"=":
        end = value.find(b";", at)
        return b"", b"" if at >= len(value) else b"?", len(value) if end < 0 else end
    start = skip_comments(value, equals + 1)
    quoted = _QUOTED.match(value, start)
    if quoted is not None:
        return head[0], _ESCAPED.sub(rb"\1", quoted[1]), quoted.end()
    if value[start : start + 1] == b'"':  # never closed
        return head[0], value[start + 1 :], len(value)
    end = value.find(b";", start)
    return head[0], _unquoted(value[start : len(value) if end < 0 else end]), len(value) if end < 0 else end


def _unquoted(text: bytes) -> bytes:
    """`us-ascii (plain)` is a token with a comment; `compte rendu (2).pdf` is a file name without its quotes."""
    head = _HEAD.match(text)
    if head is not None and skip_comments(text, head.end()) == len(text):
        return head[0]
    return text.strip(b" \t")


def _join(found: list[tuple[bytes, bytes]]) -> Parameters:
    """Put the segments `name*0`, `name*1*` … of RFC 2231 §3 together, under `name*`, or `name` when none is encoded."""
    joined: dict[bytes, bytes] = {}
    segments: dict[bytes, dict[int, tuple[bool, bytes]]] = {}
    for name, text in found:
        segment = _SEGMENT.match(name)
        if segment is not None and segment[2] is not None:
            base = segment[1].lower()
            segments.setdefault(base, {}).setdefault(int(segment[2]), (segment[3] is not None, text))
        elif name:
            joined.setdefault(name, text)
    for base, numbered in segments.items():
        pieces = [numbered[index] for index in sorted(numbered)]
        if any(encoded for encoded, _ in pieces):
            text = b"".join(text if encoded else text.replace(b"%", b"%25") for encoded, text in pieces)
            joined.setdefault(base + b"*", text)
        else:
            joined.setdefault(base, b"".join(text for _, text in pieces))
    return tuple(joined.items())
