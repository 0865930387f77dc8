"""Is this password right, and is a new one good enough? Argon2 in threads, a few at a time.

A hash costs some 30 ms and 19 MiB on purpose; so that guessers cannot take the machine, only a few run at once,
only so many wait, and people on a device that signed in before have a place of their own.
"""

from __future__ import annotations

import asyncio
import unicodedata
from enum import StrEnum

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from mss.model.clock import Chance
from mss.model.errors import MssError

MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1
"""OWASP's password storage advice of 2023 for argon2id: 19 MiB, two passes, one lane."""
SALT_BYTES = 16  # RFC 9106 §3.1
AT_ONCE_MAX = 2
"""Of each sort: two cores, 80 MiB at most."""
WAITING_MAX = 64
"""Then the next is told to come back: two seconds of work are enough of a line."""

LENGTH_MIN = 9
LENGTH_MAX = 128
"""Long pass phrases are welcome, novels are not: hashing time must not depend on the sender."""


class PasswordFault(StrEnum):
    """Why a new password is refused (facts of the national service: nine characters, four sorts)."""

    TOO_SHORT = "too-short"
    TOO_LONG = "too-long"
    NO_LOWER = "no-lower-case-letter"
    NO_UPPER = "no-upper-case-letter"
    NO_DIGIT = "no-digit"
    NO_SPECIAL = "no-special-character"
    CONTAINS_LOGIN = "contains-login"


class Busy(MssError):
    """Too many passwords are being checked at this moment."""


def faults_of(password: str, login: str = "") -> tuple[PasswordFault, ...]:
    """What is wrong with a new password; empty when it will do."""
    rules = (
        (len(password) >= LENGTH_MIN, PasswordFault.TOO_SHORT),
        (len(password) <= LENGTH_MAX, PasswordFault.TOO_LONG),
        (any(c.islower() for c in password), PasswordFault.NO_LOWER),
        (any(c.isupper() for c in password), PasswordFault.NO_UPPER),
        (any(c.isdigit() for c in password), PasswordFault.NO_DIGIT),
        (any(not c.isalnum() for c in password), PasswordFault.NO_SPECIAL),
        (not login or login.lower() not in password.lower(), PasswordFault.CONTAINS_LOGIN),
    )
    return tuple(fault for kept, fault in rules if not kept)


class Passwords:
    """Hashes and checks passwords. One for each process that signs people in."""

    def __init__(self, chance: Chance, *, memory_kib: int = MEMORY_KIB) -> None:
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=memory_kib, parallelism=LANES)
        self._chance = chance
        self._decoy = self._hash(chance.token(SALT_BYTES).hex())
        self._strangers = asyncio.Semaphore(AT_ONCE_MAX)
        self._known = asyncio.Semaphore(AT_ONCE_MAX)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The form in which a password is kept."""
        return await asyncio.to_thread(self._hash, password)

    async def is_right(self, verifier: str | None, password: str, *, known_device: bool = False) -> bool:
        """Check against what is kept. Without a verifier (nobody of that name) it takes as long and answers False.

        Raises Busy.
        """
        if self._waiting >= WAITING_MAX and not known_device:
            raise Busy
        self._waiting += 1
        try:
            async with self._known if known_device else self._strangers:
                return await asyncio.to_thread(self._verify, verifier or self._decoy, password) and verifier is not None
        finally:
            self._waiting -= 1

    def _hash(self, password: str) -> str:
        return self._hasher.hash(_prepared(password), salt=self._chance.token(SALT_BYTES))

    def _verify(self, verifier: str, password: str) -> bool:
        try:
            return self._hasher.verify(verifier, _prepared(password))
        except (Argon2Error, InvalidHashError):
            return False


def _prepared(password: str) -> bytes:
    """One form for what two keyboards type (RFC 8265 §4.2.2: NFC, spaces as one kind); cut, so time is bounded."""
    text = unicodedata.normalize("NFC", password[: LENGTH_MAX + 1])
    return "".join(" " if c.isspace() else c for c in text).encode("utf-8", "replace")
