"""The doctor asks the real clamd what it would do with our largest mail, and with what it cannot look through."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Operator
from tests.cli.test_check import house
from tests.kit.clamd import STREAM_MAX, Clamd
from tests.kit.clamd import clamd as running
from tests.kit.pki import pki

__all__ = ["house", "pki"]

AS_ADVISED = 40 * 1024 * 1024


def _use(house: Operator, daemon: Clamd) -> None:
    house.config.write_text(house.config.read_text() + f'\n[antivirus]\nsocket = "{daemon.socket}"\n')


def _red(house: Operator) -> list[str]:
    told = json.loads(house.mss("check", "--json").out)
    assert [one for one in told if one["what"].startswith("antivirus")]
    return [f"{one['what']} → {one['advice']}" for one in told if not one["ok"]]


def test_a_daemon_as_advised_is_green_and_a_dead_one_red(house: Operator, tmp_path: Path) -> None:
    """StreamMaxLength 40M and AlertExceedsMax yes; then nobody answers."""
    with running(tmp_path / "clamd", AS_ADVISED) as daemon:
        _use(house, daemon)
        assert _red(house) == []
    (red,) = _red(house)
    assert red.startswith("antivirus: not there")
    assert "start clamd" in red


def test_a_daemon_that_takes_too_little_and_stays_silent_is_red_twice(house: Operator, tmp_path: Path) -> None:
    """Large results would be held, and a nested archive would pass unseen: each line says which setting."""
    with running(tmp_path / "clamd", STREAM_MAX, "no") as daemon:
        _use(house, daemon)
        large, deep = _red(house)
    assert "larger than its StreamMaxLength" in large
    assert "StreamMaxLength 40M" in large
    assert "nested deeper" in deep
    assert "AlertExceedsMax yes" in deep
