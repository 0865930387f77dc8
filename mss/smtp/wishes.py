"""What does a sender want to be told about delivery? (RFC 3461)

Pure. RET and ENVID belong to MAIL, NOTIFY and ORCPT to RCPT. ENVID and ORCPT go on as they came, to the next server
or into a report, so what we could not pass on is refused here. Every function raises BadValue.
"""

from __future__ import annotations

import re

from mss.model.errors import BadValue
from mss.model.message import UNLESS_TOLD, Notify, RecipientWish, Returned

ENVELOPE_ID_OCTETS_MAX = 100 - len("ENVID=")  # RFC 3461 §4.4, §5.4: the whole parameter
ORIGINAL_OCTETS_MAX = 500 - len("ORCPT=")  # RFC 3461 §4.2, §5.4

_XTEXT = r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+"  # RFC 3461 §4; empty says nothing
_ENVELOPE_ID = re.compile(_XTEXT, re.ASCII)
_ORIGINAL = re.compile(rf"[A-Za-z0-9][A-Za-z0-9-]*;{_XTEXT}", re.ASCII)  # §4.2, types as IANA registers them
_ENCODED = re.compile(r"\+([0-9A-F]{2})", re.ASCII)
_PRINTABLE_FIRST, _PRINTABLE_LAST = 0x20, 0x7E


def read_returned(text: str) -> Returned:
    """RET's value (RFC 3461 §4.3)."""
    try:
        return Returned(text.upper())
    except ValueError:
        raise BadValue("neither FULL nor HDRS") from None


def read_envelope_id(text: str) -> str:
    """ENVID's value (RFC 3461 §4.4), unchanged."""
    if len(text) > ENVELOPE_ID_OCTETS_MAX or not _ENVELOPE_ID.fullmatch(text) or not _is_printable(text):
        raise BadValue("not an envelope identifier")
    return text


def read_notify(text: str) -> frozenset[Notify]:
    """NOTIFY's value (RFC 3461 §4.1): NEVER alone, or a list of occasions, each once."""
    words = text.upper().split(",")
    try:
        notify = frozenset(map(Notify, words))
    except ValueError:
        raise BadValue("not an occasion for a report") from None
    if len(notify) != len(words) or (Notify.NEVER in notify and len(notify) > 1):
        raise BadValue("occasions contradict or repeat each other")
    return notify


def read_original(text: str) -> str:
    """ORCPT's value (RFC 3461 §4.2), unchanged: an address of any kind, that somebody else's reports will name."""
    if len(text) > ORIGINAL_OCTETS_MAX or not _ORIGINAL.fullmatch(text) or not _is_printable(text):
        raise BadValue("not an original recipient")
    return text


def of_both(first: RecipientWish, second: RecipientWish) -> RecipientWish:
    """When a recipient is named twice: one copy, and every report that either of them asked for."""
    asked = (first.notify or UNLESS_TOLD) | (second.notify or UNLESS_TOLD)
    if len(asked) > 1:
        asked -= {Notify.NEVER}
    notify = first.notify if first.notify == second.notify else asked
    return RecipientWish(notify, first.original or second.original)


def _is_printable(xtext: str) -> bool:
    """Decoded it must fit into a line of a report (RFC 3461 §4.2, §4.4)."""
    return all(_PRINTABLE_FIRST <= int(code, 16) <= _PRINTABLE_LAST for code in _ENCODED.findall(xtext))
