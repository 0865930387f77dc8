"""Does the suite's own equipment keep its word? (A kit that fails silently makes green tests worthless.)"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from tests.kit import programs
from tests.kit.postgres import Cluster, postgres_url

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.mark.postgres
async def test_two_tests_never_share_a_database(postgres_cluster: Cluster) -> None:
    """What one test writes, another does not find."""
    first, second = (_plain(postgres_url(postgres_cluster)) for _ in range(2))
    connection = await asyncpg.connect(first)
    await connection.execute("CREATE TABLE letter (id int)")
    await connection.close()
    connection = await asyncpg.connect(second)
    assert await connection.fetchval("SELECT to_regclass('letter')") is None
    await connection.close()


@pytest.mark.postgres
async def test_a_forgotten_connection_does_not_keep_a_database(postgres_cluster: Cluster) -> None:
    """A test that fails half-way leaves connections open; the next test starts clean all the same."""
    name = postgres_cluster.create()
    connection = await asyncpg.connect(_plain(postgres_cluster.url(name)))
    postgres_cluster.drop(name)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.fetchval("SELECT 1")


@pytest.mark.postgres
def test_a_stopped_cluster_leaves_nothing() -> None:
    """No process and no directory survive the session."""
    cluster = Cluster().start()
    pid, directory = cluster.pid, cluster.directory
    cluster.stop()
    assert not directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.postgres
def test_the_database_asks_for_a_password(postgres_cluster: Cluster) -> None:
    """Another user of the machine does not get into the tests' database."""
    url = postgres_cluster.url("postgres").replace("+asyncpg", "")
    done = subprocess.run(
        ["psql", "--no-password", url.replace(url.split(":")[2].split("@")[0], "guess"), "-c", "SELECT 1"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode != 0
    assert "password authentication failed" in done.stderr


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the suite learns what to install."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setitem(programs.PACKAGES, "no-such-program", "no-such-package")
    with pytest.raises(pytest.skip.Exception, match="comes with the package no-such-package"):
        programs.require("no-such-program")


def test_a_missing_program_fails_the_continuous_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that left out half the suite is not green."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no group may be left out"):
        programs.require("no-such-program")


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_session_that_runs_no_test_fails(tmp_path: Path, workers: str) -> None:
    """All skipped is not the same as all well."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "test_it.py").write_text("import pytest\n@pytest.mark.skip\ndef test_nothing(): pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-n", workers, "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), "-c", os.devnull],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
    )
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "this session proves nothing" in done.stdout


def _plain(url: str) -> str:
    """asyncpg's own spelling of a URL."""
    return url.replace("postgresql+asyncpg", "postgresql")
