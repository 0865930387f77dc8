"""Which resources does a file of bundles hold? One at a time, however large the file.

A Bundle whose entries are read from its middle as they come, or lines that are resources, entries or whole pages of a
search (NDJSON). What is no JSON ends the reading: half a file is not believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from mss.model.errors import BadValue

PIECE_CHARS = 256 * 1024
ENTRY_CHARS_MAX = 2 * 1024 * 1024
"""A hospital with a thousand mailboxes fits; more is not this file."""
HEAD_CHARS_MAX = 1024 * 1024
"""Of a Bundle before its entries."""
_BLANK = " \t\r\n,"
_decoder = json.JSONDecoder()


def is_bundles(file: Path) -> bool:
    """Whether a file begins as JSON does."""
    with file.open("rb") as opened:
        return opened.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"


def resources_in(file: Path) -> Iterator[tuple[Any, str]]:
    """Each resource with its fullUrl (or ""). Raises BadValue, OSError."""
    try:
        with file.open(encoding="utf-8-sig") as opened:
            head = opened.read(PIECE_CHARS)
            opened.seek(0)
            yield from _lines(opened) if _is_lines(head) else _entries(opened)
    except UnicodeDecodeError:
        raise BadValue(f"{file}: not UTF-8") from None
    except RecursionError:
        raise BadValue(f"{file}: nested too deeply") from None


def _is_lines(head: str) -> bool:
    """Whether the first line is a whole value and there is more, or it is no Bundle."""
    first, _, rest = head.partition("\n")
    try:
        value = json.loads(first)
    except ValueError:
        return False
    return bool(rest.strip()) or not (isinstance(value, dict) and value.get("resourceType") == "Bundle")


def _lines(opened: TextIO) -> Iterator[tuple[Any, str]]:
    for number in range(1, 1_000_000_000):
        line = opened.readline(ENTRY_CHARS_MAX)
        if not line:
            return
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            raise BadValue(f"line {number} is not JSON, or longer than {ENTRY_CHARS_MAX} characters") from None
        yield from _unwrapped(value)


def _unwrapped(value: Any) -> Iterator[tuple[Any, str]]:
    """A resource, an entry around one, or a page of a search."""
    if isinstance(value, dict) and value.get("resourceType") == "Bundle":
        entries = value.get("entry", [])
        for entry in entries if isinstance(entries, list) else ():
            yield from _unwrapped(entry)
    elif isinstance(value, dict) and "resource" in value and "resourceType" not in value:
        url = value.get("fullUrl")
        yield value["resource"], url if isinstance(url, str) else ""
    else:
        yield value, ""


def _entries(opened: TextIO) -> Iterator[tuple[Any, str]]:
    """Entries of one Bundle, decoded one by one out of a piece of it."""
    buffer = _head(opened)
    number = 0
    while True:
        buffer = buffer.lstrip(_BLANK)
        if buffer.startswith("]"):
            return
        try:
            value, end = _decoder.raw_decode(buffer)
        except ValueError:
            piece = opened.read(PIECE_CHARS)
            if not piece or len(buffer) > ENTRY_CHARS_MAX:
                raise BadValue(f"entry {number} is cut off, not JSON or too long: nothing is believed") from None
            buffer += piece
            continue
        buffer = buffer[end:]
        number += 1
        yield from _unwrapped(value)


def _head(opened: TextIO) -> str:
    """What stands behind the bracket of `entry`."""
    buffer = ""
    while len(buffer) < HEAD_CHARS_MAX:
        piece = opened.read(PIECE_CHARS)
        buffer += piece
        mark = buffer.find('"entry"')
        bracket = buffer.find("[", mark) if mark >= 0 else -1
        if bracket >= 0 and buffer[mark + len('"entry"') : bracket].strip() == ":":
            return buffer[bracket + 1 :]
        if not piece:
            break
    raise BadValue("not a Bundle with entries, nor lines of resources")
