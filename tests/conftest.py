"""What every test may ask for: a clock, chance, a fresh database, samples; and how a session ends.

Programs that are missing skip visibly with their package's name (tests/kit/programs.py). A session in which
not one test ran is a failure, whatever pytest thinks of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from mss.model.clock import ManualClock, SeededChance
from tests.kit import databases, programs
from tests.kit.demo import demo as demo
from tests.kit.grouping import pytest_xdist_make_scheduler as pytest_xdist_make_scheduler
from tests.kit.postgres import Cluster
from tests.kit.samples import SAMPLES, samples_dir

SEED = 20260105  # one seed for every test; a campaign prints its own

# Shared machines make time limits of single examples lie; the test's own limit (pyproject.toml) stays.
settings.register_profile("small", deadline=None, print_blob=True)
settings.register_profile("full", deadline=None, print_blob=True, max_examples=5_000)

NEEDS = {"postgres": "initdb", "chromium": "chromium"}  # marker → program


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--campaign-size",
        choices=("small", "full"),
        default="small",
        help="small: what make test affords; full: what make prove proves",
    )
    parser.addoption("--kills", type=int, default=0, help="of the bridge, in its campaign; 0: as its size says")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile(config.getoption("--campaign-size"))
    config.pluginmanager.register(_SomethingRan(config))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, program in NEEDS.items():
        if item.get_closest_marker(marker):
            programs.require(program)


class _SomethingRan:
    """Turns a session that ran no test into a failed one.

    pytest itself only objects when nothing was collected; everything skipped would pass. Counted where the
    results come together, which under xdist is not the worker.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._ran = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.skipped:
            self._ran += report.when == "call" or report.failed

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        is_worker = hasattr(self._config, "workerinput")
        if is_worker or self._config.option.collectonly or self._ran:
            return
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._ran and not self._config.option.collectonly:
            terminalreporter.write_line("No test ran: this session proves nothing.", red=True)


@pytest.fixture
def campaign_size(request: pytest.FixtureRequest) -> str:
    """`small` in make test, `full` in make prove."""
    return str(request.config.getoption("--campaign-size"))


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves only when told to."""
    return ManualClock()


@pytest.fixture
def chance() -> SeededChance:
    """The same random numbers at every run."""
    return SeededChance(SEED)


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Cluster]:
    """The suite's PostgreSQL, started by the first test of a worker that wants it."""
    cluster = Cluster().start()
    yield cluster
    cluster.stop()


@pytest.fixture(
    params=[
        pytest.param("sqlite", id="sqlite"),
        pytest.param("postgresql", id="postgresql", marks=pytest.mark.postgres),
    ]
)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with tables and nobody in them; a test that takes it runs once on each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/mss.db"
        return
    cluster: Cluster = request.getfixturevalue("postgres_cluster")
    name, url = databases.postgres(cluster)
    yield url
    cluster.drop(name)


@pytest.fixture
def samples() -> Path:
    """The official samples beside the checkout; the test is skipped where they are absent, also under CI."""
    found = samples_dir()
    if found is None:
        pytest.skip(f"no samples at {os.path.relpath(SAMPLES)}")
    return found
