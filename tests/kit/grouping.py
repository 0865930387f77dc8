"""Which worker runs which test? Files that name the same group share one, and with it the demo that they share.

pytest-xdist 3.8 writes its groups where pytest 9.2 no longer looks, so that `--dist loadgroup` groups nothing. The
group is read from the file instead: `pytest.mark.xdist_group("name")` in it counts for the whole file.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

_GROUP = re.compile(r'pytest\.mark\.xdist_group\("([^"]+)"\)')


class ByGroup(LoadScopeScheduling):  # type: ignore[misc, unused-ignore]
    """Every test by itself, but those of a group together, one after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(self.config.rootpath / nodeid.partition("::")[0]) or nodeid


@cache
def group_of(path: Path) -> str:
    """The group that a file of tests names, or nothing."""
    found = _GROUP.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found[1] if found else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Ours in place of loadgroup's."""
    return ByGroup(config, log) if config.getvalue("dist") == "loadgroup" else None
