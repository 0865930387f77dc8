"""What these tests stand on: a whole operator in this process (tests/kit/house.py)."""

from tests.kit.pki import pki
from tests.kit.rooms import house, sandbox

__all__ = ["house", "pki", "sandbox"]
