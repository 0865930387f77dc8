"""Foreign programs against a whole demo, and against the courier alone."""

from tests.kit.demo import demo
from tests.kit.pki import pki

__all__ = ["demo", "pki"]
