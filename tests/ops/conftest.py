"""What tests of the gauges stand on: a whole operator in this process (tests/kit/house.py)."""

from tests.kit.rooms import house, sandbox

__all__ = ["house", "sandbox"]
