"""Is this one-time code right? RFC 6238, its window, and what is no code at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.accounts.onetime import STEP_S, from_base32, matching_step, to_base32
from mss.model.errors import BadValue

RFC_SECRET = b"12345678901234567890"  # RFC 6238 appendix B
RFC_CODES = {59: "94287082", 1111111109: "07081804", 1234567890: "89005924", 20000000000: "65353130"}


@pytest.mark.parametrize(("at_s", "code"), RFC_CODES.items())
def test_the_vectors_of_the_standard_match(at_s: int, code: str) -> None:
    """Six digits are the last six of the standard's eight."""
    at = datetime.fromtimestamp(at_s, UTC)
    assert matching_step(RFC_SECRET, code[-6:], at) == at_s // STEP_S


@pytest.mark.parametrize(("late_s", "taken"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_code_is_taken_half_a_minute_early_or_late(late_s: int, taken: bool) -> None:
    """Phones are not exact, but a code overheard a minute ago is worth nothing."""
    at = datetime.fromtimestamp(1111111109, UTC)
    step = matching_step(RFC_SECRET, "081804", at + timedelta(seconds=late_s))
    assert (step is not None) is taken
    assert step in (None, 1111111109 // STEP_S)


@pytest.mark.parametrize("code", ["", "08180", "0818044", "08180a", "٠٨١٨٠٤", "081804\x00", "-81804"])
def test_what_is_no_code_is_wrong(code: str) -> None:
    """Six ASCII digits, nothing else."""
    assert matching_step(RFC_SECRET, code, datetime.fromtimestamp(1111111109, UTC)) is None


def test_spaces_in_a_code_are_forgiven() -> None:
    """Apps show `081 804`, people type it."""
    assert matching_step(RFC_SECRET, " 081 804 ", datetime.fromtimestamp(1111111109, UTC)) is not None


@given(st.binary(min_size=1, max_size=40))
def test_base32_comes_back(secret: bytes) -> None:
    """What a person copies is the secret, with or without spaces and capitals."""
    text = to_base32(secret)
    assert from_base32(text) == from_base32(text.lower()[:4] + " " + text.lower()[4:]) == secret


def test_a_secret_that_is_none_is_refused() -> None:
    """Bad base32 is a bad value, not a crash."""
    with pytest.raises(BadValue):
        from_base32("1890!")
