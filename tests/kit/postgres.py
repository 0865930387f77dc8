"""A PostgreSQL of the suite's own: started on first use, gone with the session.

It never touches a cluster of the machine: own directory, own free port on loopback, own password. It
refuses to run as root, so a root session starts it as an ordinary user. A fresh database takes about
20 ms, because `fsync` is off and it is copied from a template; a test that measures durability asks for
`durable=True`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from tests.kit import programs

T = TypeVar("T")

SUPERUSER = "mss"
START_S_MAX = 60.0  # a busy machine with two cores; usually below one second
STOP_S_MAX = 15.0  # then the immediate stop: nothing in a test cluster is worth waiting for
START_ATTEMPTS_MAX = 3  # a port that was free when asked for may be taken when used
ORDINARY_USERS = ("postgres", "nobody")  # who runs it when we are root, first that exists

# Small and quick; everything that a store may rely on is left at its default.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "timezone": "UTC",
    "jit": "off",
}
UNSAFE_AND_FAST = {"fsync": "off", "full_page_writes": "off"}


class Cluster:
    """One running server. `create` and `drop` make and remove databases in it."""

    def __init__(self, *, durable: bool = False) -> None:
        self._bin = programs.require("initdb").parent
        self._settings = SETTINGS | ({} if durable else UNSAFE_AND_FAST)
        self._password = secrets.token_hex(16)
        self._as_user = _ordinary_user_when_root()
        self.directory = Path(tempfile.mkdtemp(prefix="mss-postgres-"))
        self.port = 0
        self._numbers = itertools.count(1)
        self._server: subprocess.Popen[bytes] | None = None
        # asyncpg wants a loop; pytest's own loops come and go, so the admin connection has a thread with its own.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="postgres-admin")
        self._runner = asyncio.Runner()
        self._admin: Any = None

    def start(self) -> Cluster:
        """Make the cluster and wait until it answers."""
        try:
            self._initdb()
            self._serve()
            self._admin = self._run(asyncpg.connect(**self._where("postgres"), timeout=START_S_MAX))
        except BaseException:
            self.stop()
            raise
        return self

    def create(self, template: str = "template1") -> str:
        """A new database, as empty as its template; answers its name. Nobody may be connected to the template."""
        name = f"mss_{os.getpid()}_{next(self._numbers)}"
        # file_copy: 15 ms against 40 for the default wal_log, as long as fsync is off.
        self._run(self._admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy'))
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        self._run(self._admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))

    def url(self, name: str) -> str:
        """SQLAlchemy's URL of a database."""
        return f"postgresql+asyncpg://{SUPERUSER}:{self._password}@127.0.0.1:{self.port}/{name}"

    @property
    def pid(self) -> int:
        """The server's process, for tests that kill it."""
        assert self._server is not None
        return self._server.pid

    def stop(self) -> None:
        """Stop the server and remove every trace of it. Safe to call twice."""
        if self._admin is not None:
            self._admin.terminate()
            self._admin = None
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()
        if self._server is not None:
            self._end(self._server)
        shutil.rmtree(self.directory, ignore_errors=True)

    # ── inside ──

    def _where(self, database: str) -> dict[str, Any]:
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "user": SUPERUSER,
            "password": self._password,
            "database": database,
        }

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._thread.submit(self._runner.run, work).result()

    def _initdb(self) -> None:
        password_file = self.directory / "password"
        password_file.write_text(self._password)
        if self._as_user is not None:
            for path in (self.directory, password_file):
                os.chown(path, self._as_user.pw_uid, self._as_user.pw_gid)
        command: list[str | Path] = [self._bin / "initdb", "--pgdata", self.directory / "data", "--username", SUPERUSER]
        command += ["--pwfile", password_file, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]
        command += ["--no-sync", "--no-instructions"]
        done = subprocess.run(
            self._as_ordinary(command), capture_output=True, text=True, cwd=self.directory, timeout=START_S_MAX
        )
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{done.stdout}{done.stderr}")

    def _serve(self) -> None:
        for _ in range(START_ATTEMPTS_MAX):
            self.port = free_port()
            settings = self._settings | {"port": str(self.port), "unix_socket_directories": str(self.directory)}
            command: list[str | Path] = [self._bin / "postgres", "-D", self.directory / "data"]
            for name, value in settings.items():
                command += ["-c", f"{name}={value}"]
            with (self.directory / "log").open("wb") as log:
                self._server = subprocess.Popen(
                    self._as_ordinary(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory
                )
            if self._is_ready(self._server):
                return
            self._end(self._server)
        raise RuntimeError(f"PostgreSQL did not start:\n{(self.directory / 'log').read_text()[-2000:]}")

    def _as_ordinary(self, command: list[str | Path]) -> list[str | Path]:
        """The command under an ordinary user, and ended by the kernel should this process be killed."""
        setpriv = programs.find("setpriv")
        if setpriv is None:  # not Linux: a killed session leaves the server to its owner
            return command
        user = self._as_user
        identity = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"] if user else []
        return [setpriv, *identity, "--pdeathsig=INT", "--", *command]

    def _is_ready(self, server: subprocess.Popen[bytes]) -> bool:
        """Line 8 of postmaster.pid turns to "ready" when the server takes connections, as pg_ctl reads it."""
        status_file = self.directory / "data" / "postmaster.pid"
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline and server.poll() is None:
            lines = status_file.read_text().splitlines() if status_file.exists() else []
            if len(lines) >= 8 and lines[7].strip() == "ready":
                return True
            time.sleep(0.02)
        return False

    def _end(self, server: subprocess.Popen[bytes]) -> None:
        for demand in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, immediate, and no discussion
            if server.poll() is not None:
                break
            server.send_signal(demand)
            try:
                server.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                continue
        self._server = None


def postgres_url(cluster: Cluster) -> str:
    """The URL of a new, empty database in a cluster."""
    return cluster.url(cluster.create())


def _ordinary_user_when_root() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in ORDINARY_USERS:
        if name in known:
            return known[name]
    raise RuntimeError("root may not run PostgreSQL, and neither postgres nor nobody exists here")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
