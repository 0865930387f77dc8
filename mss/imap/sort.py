"""In which order does a client want to see messages? The keys of SORT (RFC 5256 §3, RFC 5957). Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from mss.formats.headers import decode_words, parse_address_list, parse_date
from mss.imap.backend import Row
from mss.imap.search import header_values
from mss.imap.sortkeys import Criterion, SortBy
from mss.imap.subjects import base_subject, casemap

ADDRESSES_LOOKED_AT_MAX = 1000
"""The first address counts; this is what the scan at delivery lets in."""


SortKey = str | int


def sent_ms(header: bytes, row: Row) -> int:
    """When a message was sent, in UTC; when that cannot be read, when it came (RFC 5256 §2.2)."""
    for value in header_values(header, b"date")[:1]:
        moment = parse_date(value)
        if moment is not None:
            return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
    return row.internaldate_ms


def sort_key(by: SortBy, header: bytes, row: Row) -> SortKey:
    """What of a message is compared."""
    return _KEYS[by](header, row)


def in_order(criteria: tuple[Criterion, ...], keys: list[tuple[SortKey, ...]]) -> list[int]:
    """Indices of messages in the order asked for; equals keep theirs, also in reverse (RFC 5256 §3)."""
    order = list(range(len(keys)))
    for number, criterion in reversed(list(enumerate(criteria))):
        order.sort(key=lambda index, at=number: keys[index][at], reverse=criterion.reverse)  # type: ignore[misc]
    return order


def _subject(header: bytes, _row: Row) -> SortKey:
    values = header_values(header, b"subject")
    return base_subject(values[0])[0] if values else ""


def _mailbox(field: bytes) -> Callable[[bytes, Row], SortKey]:
    """The local part of the first address (RFC 5256 §3, `addr-mailbox`)."""

    def key(header: bytes, _row: Row) -> SortKey:
        for value in header_values(header, field)[:1]:
            for one in parse_address_list(value, ADDRESSES_LOOKED_AT_MAX)[:1]:
                return casemap((one.mailbox or b"").decode("utf-8", "replace"))
        return ""

    return key


def _display(field: bytes) -> Callable[[bytes, Row], SortKey]:
    """How the first address is shown: by name, else as an address (RFC 5957 §3)."""

    def key(header: bytes, _row: Row) -> SortKey:
        for value in header_values(header, field)[:1]:
            for one in parse_address_list(value, ADDRESSES_LOOKED_AT_MAX)[:1]:
                if one.name:
                    return casemap(decode_words(one.name))
                mailbox = (one.mailbox or b"").decode("utf-8", "replace")
                host = (one.host or b"").decode("utf-8", "replace")
                return casemap(f"{mailbox}@{host}" if host else mailbox)
        return ""

    return key


_KEYS: dict[SortBy, Callable[[bytes, Row], SortKey]] = {
    SortBy.ARRIVAL: lambda _header, row: row.internaldate_ms,
    SortBy.SIZE: lambda _header, row: row.size_bytes,
    SortBy.DATE: sent_ms,
    SortBy.SUBJECT: _subject,
    SortBy.FROM: _mailbox(b"from"),
    SortBy.TO: _mailbox(b"to"),
    SortBy.CC: _mailbox(b"cc"),
    SortBy.DISPLAYFROM: _display(b"from"),
    SortBy.DISPLAYTO: _display(b"to"),
}
