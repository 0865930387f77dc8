"""Is this one-time code right, and for which half minute? (TOTP, RFC 6238, on HOTP, RFC 4226)

Pure: secret, code and moment in, a time step out. That a step is used once is the store's matter
(`accounts.use_totp_step`), in the transaction of the sign-in.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from datetime import datetime

import pyotp

from mss.model.errors import BadValue

STEP_S = 30  # RFC 6238 §5.2 recommends it; what every authenticator app assumes
DIGITS = 6
WINDOW_STEPS = 1
"""A code of the half minute before or after is taken too (§5.2, §6): a phone's clock and a person's fingers."""
SECRET_BYTES = 20  # RFC 4226 §4 R6: 160 bits recommended


def matching_step(secret: bytes, code: str, at: datetime) -> int | None:
    """The time step whose code this is, or None. The newest first, so that a used one is not met by chance."""
    digits = "".join(code.split())
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    now = int(at.timestamp()) // STEP_S
    generator = pyotp.HOTP(to_base32(secret), digits=DIGITS)
    found = None
    for step in range(now - WINDOW_STEPS, now + WINDOW_STEPS + 1):  # every step is computed, whichever matches
        if hmac.compare_digest(generator.at(step), digits):
            found = step
    return found


def to_base32(secret: bytes) -> str:
    """The secret as people and authenticator apps carry it."""
    return base64.b32encode(secret).decode().rstrip("=")


def from_base32(text: str) -> bytes:
    """Undo `to_base32`, spaces and letter case ignored. Raises BadValue."""
    compact = "".join(text.split()).upper().rstrip("=")
    try:
        return base64.b32decode(compact + "=" * (-len(compact) % 8))
    except binascii.Error:
        raise BadValue("not a base32 secret") from None
