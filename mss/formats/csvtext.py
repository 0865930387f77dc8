"""How is a table written for spreadsheets? CSV (RFC 4180) in which no cell is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings that a spreadsheet takes for something to run (OWASP, CSV injection)."""


def as_text(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> str:
    """The table with its header line. Strangers name themselves: peers in certificates, software in Message-IDs."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_harmless(row[name]) for name in columns])
    return out.getvalue()


def _harmless(value: object) -> object:
    """A number stays one; a text that a spreadsheet would run gets a quote before it."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.lstrip(" ").startswith(_FORMULA) else value
