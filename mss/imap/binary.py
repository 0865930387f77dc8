"""What does a part hold once its transfer encoding is taken off? FETCH BINARY, BINARY.SIZE (RFC 3516, RFC 9051 §6.4.5).

A part with parts inside, and the message as a whole, have no encoding of their own and are told as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from mss.formats.summary import PartEntry, find_part
from mss.formats.transfer import decode_transfer
from mss.imap.commands import Binary
from mss.imap.replies import Declined, Problem
from mss.imap.sections import cut

DECODE_IN_LOOP_BYTES_MAX = 256 * 1024
"""Larger parts are decoded in a thread."""
ENCODINGS = frozenset({"", "7bit", "8bit", "binary", "base64", "quoted-printable"})

Octets = Callable[[int, int], Awaitable[bytes]]


async def tell_binaries(
    binaries: Sequence[Binary], parts: tuple[PartEntry, ...], size: int, octets: Octets
) -> list[bytes]:
    """The items of one message's answer. Raises Declined when a part's encoding is unknown (RFC 3516 §4.3)."""
    decoded: dict[tuple[int, ...], bytes | None] = {}
    for one in binaries:
        if one.path not in decoded:
            decoded[one.path] = await _decoded(one.path, parts, size, octets)
    return [_told(one, decoded[one.path]) for one in binaries]


async def _decoded(path: tuple[int, ...], parts: tuple[PartEntry, ...], size: int, octets: Octets) -> bytes | None:
    """None when there is no such part."""
    if not path:
        return await octets(0, size)
    part = find_part(parts, ".".join(map(str, path)))
    if part is None:
        return None
    if part.encoding not in ENCODINGS:
        raise Declined(Problem.UNKNOWN_ENCODING)
    sent = await octets(part.body_start, part.body_end)
    if len(sent) > DECODE_IN_LOOP_BYTES_MAX:
        return await asyncio.to_thread(decode_transfer, sent, part.encoding)
    return decode_transfer(sent, part.encoding)


def _told(one: Binary, content: bytes | None) -> bytes:
    section = b"[%b]" % b".".join(b"%d" % number for number in one.path)
    if one.size_only:
        return b"BINARY.SIZE%b %d" % (section, len(content or b""))
    label = b"BINARY" + section + (b"" if one.span is None else b"<%d>" % one.span[0])
    if content is None:
        return label + b" NIL"
    first, end = cut(len(content), one.span)
    told = content[first:end]
    tilde = b"~" if b"\0" in told else b""  # literal8 only where it must be (RFC 3516 §4.2)
    return b"%b %b{%d}\r\n%b" % (label, tilde, len(told), told)
