"""Has somebody signed in with this browser before? A cookie that says so, and nothing else.

Who guesses passwords slows the account down for strangers. A browser in which its holder has signed in before keeps
tries of its own, so that an attacker cannot lock her out (OWASP: "device cookies"). Pure but for the keyed hash; the
cookie opens nothing by itself.
"""

from __future__ import annotations

import base64
import hmac

from mss.crypto.keys import Lookup
from mss.model.clock import Chance
from mss.model.ids import OwnerId

ID_BYTES = 16
CHARS_MAX = 80


def device_of(lookup: Lookup, owner: OwnerId, cookie: str) -> str:
    """The browser's own number when the cookie is ours and of this account, else empty."""
    if len(cookie) > CHARS_MAX:
        return ""
    number, dot, mark = cookie.partition(".")
    expected = _mark(lookup, owner, number)
    return number if dot and hmac.compare_digest(mark.encode("utf-8", "replace"), expected.encode()) else ""


def new_device(lookup: Lookup, owner: OwnerId, chance: Chance) -> str:
    """A cookie for a browser in which the account's holder has just signed in."""
    number = chance.token(ID_BYTES).hex()
    return f"{number}.{_mark(lookup, owner, number)}"


def _mark(lookup: Lookup, owner: OwnerId, number: str) -> str:
    return base64.urlsafe_b64encode(lookup.of("web device", f"{owner}|{number}")).decode().rstrip("=")
