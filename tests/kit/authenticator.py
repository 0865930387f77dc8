"""Which one-time code would a phone show, when a test signs in more often than twice a minute?

Each code is good once. The server takes the code of the half minute before and after too, so three sign-ins are
possible at once; then this one waits, as a person would.
"""

from __future__ import annotations

import time

import pyotp

STEP_S = 30


class Authenticator:
    """Remembers which half minutes it has used up, by secret."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def code(self, secret: str) -> str:
        """A code that was not used yet and counts now."""
        wanted = max(self._used.get(secret, 0) + 1, self._now() - 1)
        while wanted > self._now() + 1:
            time.sleep(0.2)
        self._used[secret] = wanted
        return str(pyotp.HOTP(secret).at(wanted))

    def _now(self) -> int:
        return int(time.time()) // STEP_S
