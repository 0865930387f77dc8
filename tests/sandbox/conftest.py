"""Sandboxes for the tests: one with hostile jobs, one with the real ones, each started once for a test file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mss.sandbox.limits import Limits
from mss.sandbox.pool import Sandbox

HOSTILE = "tests.sandbox.hostile"


@pytest.fixture
def hostile() -> Iterator[Callable[..., Sandbox]]:
    """Starts a sandbox of hostile jobs with the limits a test wants; it ends with the test."""
    started: list[Sandbox] = []

    def start(*, workers: int = 1, spares: int = 1, **limits: float) -> Sandbox:
        sandbox = Sandbox(workers=workers, spares=spares, limits=Limits(**limits), jobs_module=HOSTILE)  # type: ignore[arg-type]
        sandbox.start()
        started.append(sandbox)
        return sandbox

    yield start
    for sandbox in started:
        sandbox.close()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The real jobs."""
    running = Sandbox()
    running.start()
    yield running
    running.close()
