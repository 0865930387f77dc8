"""What does an IMAP server say in the parentheses of its answers? Words, texts and lists (RFC 9051 §4). Pure.

For those who read other servers: an atom becomes `str`, a quoted text or a literal `bytes`, NIL None, parentheses
a list. Nothing is decoded, so that names and texts stay what they were.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mss.model.errors import BadValue

Value = str | bytes | list["Value"] | None

DEPTH_MAX = 50
"""Lists within lists: no answer that we ask for has more than four."""

_TOKEN = re.compile(
    rb' *(?:(?P<open>\()|(?P<close>\))|"(?P<quoted>(?:[^"\\]|\\.)*)"|\{(?P<literal>\d+)\+?\}\Z|(?P<atom>[^ ()"]+))',
    re.DOTALL,
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


def read_values(pieces: Sequence[bytes]) -> list[Value]:
    """The values of one answer: pieces of line, and between them the literals that were announced. Raises BadValue."""
    outside: list[Value] = []
    stack = [outside]
    for number, piece in enumerate(pieces):
        if number % 2:
            stack[-1].append(piece)
            continue
        for token in _tokens(piece):
            if token["open"]:
                inside: list[Value] = []
                stack[-1].append(inside)
                stack.append(inside)
                if len(stack) > DEPTH_MAX:
                    raise BadValue("lists within lists without end")
            elif token["close"]:
                stack.pop()
                if not stack:
                    raise BadValue("a parenthesis too many")
            elif token["quoted"] is not None:
                stack[-1].append(_ESCAPED.sub(rb"\1", token["quoted"]))
            elif token["atom"] is not None:
                word = token["atom"].decode("latin-1")
                stack[-1].append(None if word.upper() == "NIL" else word)
    if len(stack) > 1:
        raise BadValue("a parenthesis is not closed")
    return outside


def _tokens(piece: bytes) -> list[re.Match[bytes]]:
    found, at = [], 0
    end = len(piece.rstrip(b" "))
    while at < end:
        token = _TOKEN.match(piece, at)
        if token is None:
            raise BadValue("an answer that is none")
        found.append(token)
        at = token.end()
    return found


def pairs(values: Value) -> dict[str, Value]:
    """A list of names and values, as FETCH answers; names in capitals. Raises BadValue."""
    if not isinstance(values, list) or len(values) % 2 or not all(isinstance(name, str) for name in values[::2]):
        raise BadValue("not names and values")
    return {str(name).upper(): value for name, value in zip(values[::2], values[1::2], strict=True)}
