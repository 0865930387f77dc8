"""How does the demo run? Prepares papers and people, starts two operators, sends the first mail, tells where all is.

Each operator is a real `mss serve` with its own supervisor. The demo watches both, signs the lists afresh now and
then, and keeps `connection.json` true about who runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mss import config as settings
from mss.config import Config, run_directory
from mss.cradle import PARENT
from mss.demo import papers as paper
from mss.demo.connection import connection, for_people
from mss.demo.firstmail import send_first_mail
from mss.demo.papers import Papers
from mss.demo.seed import seed
from mss.model.clock import SystemClock
from mss.model.errors import BadValue

READY_S = 60.0
SIGN_AGAIN_S = 3600.0
WATCH_S = 1.0
STOP_S = 9.0
"""Two supervisors stop within this, or are ended: the demo promises ten seconds."""
JOURNAL = "journal"
"""What an operator's processes write, JSON lines; the one of the run before is kept as `journal.before`."""
LAST_WORDS = 3
"""Lines of the journal that are shown when an operator does not start: its process, then its supervisor."""


@dataclass(slots=True)
class Operator:
    """One operator of the demo, running."""

    name: str
    path: Path
    config: Config
    journal: Path
    """What all its processes write, so that the terminal is for people."""
    process: asyncio.subprocess.Process | None = None

    def pids(self) -> dict[str, int]:
        """Who runs, as its supervisor tells."""
        try:
            pids: dict[str, int] = json.loads((run_directory(self.config) / "pids.json").read_text())
        except (OSError, ValueError):
            return {}
        return pids if self.process and pids.get("supervisor") == self.process.pid else {}


async def run_demo(directory: Path, host: str, base: int, tell: Callable[[str], None], *, quiet: bool) -> None:
    """Run until SIGINT or SIGTERM; `tell` says to people where all is. Raises BadValue with what to do."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    with _only_one(directory):
        papers = _prepare(directory)
        operators = [await _operator(papers, name, host, base) for name in ("A", "B")]
        try:
            for operator in operators:
                await _start(operator)
            await asyncio.gather(*(_ready(operator, stopping) for operator in operators))
            if not stopping.is_set():
                await send_first_mail(papers, paper.ports_of("B", host, base))
                _write(papers, operators, host, base)
                if not quiet:
                    tell(for_people(papers, connection(papers, _pids(operators), host, base)))
                await _watch(papers, operators, host, base, stopping)
        finally:
            (directory / "connection.json").unlink(missing_ok=True)  # nobody answers there any more
            await _stop(operators)


def _now() -> datetime:
    """The moment, whole seconds: as lists and certificates write it."""
    return SystemClock().now().replace(microsecond=0)


def _prepare(directory: Path) -> Papers:
    try:
        (directory / "connection.json").unlink(missing_ok=True)  # old until all is ready
        return paper.prepare(directory, _now())
    except OSError as problem:
        raise BadValue(f"{directory}: {problem.strerror}; choose another place with --dir") from problem


@contextlib.contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    """Two demos in one place would take each other's mail; a second one touches nothing of the first."""
    import fcntl

    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise BadValue(f"{directory}: {problem.strerror}; choose another place with --dir") from problem
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BadValue(f"a demo runs in {directory} already; stop it, or use --dir and --port-base") from None
    try:
        yield
    finally:
        os.close(descriptor)


async def _operator(papers: Papers, name: str, host: str, base: int) -> Operator:
    path = paper.write_config(papers, name, host, base)
    config = settings.load(path)
    await seed(config, papers, name)
    return Operator(name, path, config, _fresh_journal(path.parent))


def _fresh_journal(directory: Path) -> Path:
    with contextlib.suppress(FileNotFoundError):
        (directory / JOURNAL).replace(directory / f"{JOURNAL}.before")
    return directory / JOURNAL


async def _start(operator: Operator) -> None:
    command = [sys.executable, "-m", "mss", "serve", "--config", str(operator.path)]
    told = os.environ | {PARENT: str(os.getpid())}  # a demo that is killed takes its operators along
    with operator.journal.open("ab") as journal:
        operator.process = await asyncio.create_subprocess_exec(
            *command, start_new_session=True, env=told, stdout=journal, stderr=journal
        )


def _last_words(journal: Path) -> str:
    """What a process said before it ended, and where the rest stands."""
    lines = journal.read_text(errors="replace").splitlines()[-LAST_WORDS:]
    return "\n".join([*lines, f"(more in {journal})"])


async def _ready(operator: Operator, stopping: asyncio.Event) -> None:
    """Until the operator's three processes say so."""
    ready = run_directory(operator.config) / "ready"
    for _ in range(int(READY_S / 0.05)):
        assert operator.process is not None
        if operator.process.returncode is not None:
            raise BadValue(f"operator {operator.name} did not start (a port in use?):\n{_last_words(operator.journal)}")
        with contextlib.suppress(OSError, ValueError):
            if int(ready.read_text()) == operator.process.pid:
                return
        if stopping.is_set():
            return
        await asyncio.sleep(0.05)
    raise BadValue(f"operator {operator.name} was not ready within {READY_S:.0f} s")


def _pids(operators: list[Operator]) -> dict[str, dict[str, int]]:
    return {operator.name: operator.pids() for operator in operators}


def _write(papers: Papers, operators: list[Operator], host: str, base: int) -> None:
    """connection.json, last and whole."""
    path = papers.directory / "connection.json"
    temporary = path.with_suffix(".new")
    text = json.dumps(connection(papers, _pids(operators), host, base), ensure_ascii=False, indent=1)
    temporary.write_text(text)
    temporary.chmod(0o600)
    temporary.replace(path)


async def _watch(papers: Papers, operators: list[Operator], host: str, base: int, stopping: asyncio.Event) -> None:
    """Keep operators running, lists fresh and connection.json true."""
    told = _pids(operators)
    signed = asyncio.get_running_loop().time()
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), WATCH_S)
        for operator in operators:
            if operator.process is not None and operator.process.returncode is not None and not stopping.is_set():
                await _start(operator)
        if asyncio.get_running_loop().time() - signed > SIGN_AGAIN_S:
            signed = asyncio.get_running_loop().time()
            await asyncio.to_thread(paper.sign_lists, papers, _now())
        now = _pids(operators)
        if now != told and all(now[name].keys() == told[name].keys() for name in now):
            told = now
            _write(papers, operators, host, base)


async def _stop(operators: list[Operator]) -> None:
    """Ask both supervisors to finish; end what does not."""
    running = [o.process for o in operators if o.process is not None and o.process.returncode is None]
    for process in running:
        process.terminate()
    if not running:
        return
    waits = [asyncio.create_task(process.wait()) for process in running]
    _, late = await asyncio.wait(waits, timeout=STOP_S)
    if late:
        for process in running:
            if process.returncode is None:
                process.kill()
        await asyncio.wait(waits)
