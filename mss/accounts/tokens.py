"""Whose token is this? What mail doors ask of whoever gives out tokens (Pro Santé Connect, OAuth 2 bearer tokens).

Only the question: a provider that answers it is handed to the doors when the house is built. Without one no door
announces OAUTHBEARER or XOAUTH2.
"""

from __future__ import annotations

from typing import Protocol

from mss.model.ids import OwnerId

TOKEN_CHARS_MAX = 16_384
"""Signed tokens with claims take two to four thousand."""


class TokenChecker(Protocol):
    """Judges tokens: signature, issuer, audience, dates, revocation, and to whom it belongs."""

    async def owner_of(self, token: str) -> OwnerId | None:
        """The account that the token speaks for; None for every token that does not count now, alike.

        Raises StorageUnavailable when that cannot be judged at this moment.
        """
        ...
