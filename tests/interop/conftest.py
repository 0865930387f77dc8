"""Foreign programs against a whole demo, and against the courier alone."""

from tests.kit.pki import pki

__all__ = ["pki"]
