"""What is known of the signature under a message, and what keeps one shut that is encrypted."""

from __future__ import annotations

from enum import StrEnum


class Signature(StrEnum):
    """What was found. Worse ones come later."""

    NONE = ""
    VALID = "valid"
    """By the key that the directory of keys has for the sender."""
    STRANGER = "stranger"
    """By a key that nobody here knows: as good as none."""
    EXPIRED = "expired"
    """By the sender's key, whose time is over, or after its time."""
    REVOKED = "revoked"
    """By a key that was taken back."""
    OTHER = "other-signer"
    """Not by the sender's key, though we have one, or under another address."""
    BROKEN = "broken"
    """What was signed is not what came."""


DOUBTFUL = frozenset({Signature.EXPIRED, Signature.REVOKED, Signature.OTHER})


def worst(*found: Signature) -> Signature:
    """Of several signatures the one that counts."""
    order = list(Signature)
    return max(found, key=order.index, default=Signature.NONE)


class Unopened(Exception):
    """An encrypted message that stays shut: no key, broken, too large, too slow. The text says which, nothing more."""
