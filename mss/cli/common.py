"""What every command needs: the settings, an open house, output for people or scripts, errors in one line.

The house is imported when it is opened: `mss serve`, which watches its processes for months, holds none of it.

Exit codes: 0 done, 1 refused or failed with a one-line reason on stderr, 2 wrong use (typer's own).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from mss.config import Config, load
from mss.model.clock import to_ms
from mss.model.errors import MssError, StorageUnavailable

if TYPE_CHECKING:
    from mss.foundation import Foundation

T = TypeVar("T")
Desk = TypeVar("Desk")

ConfigOption = Annotated[
    Path, typer.Option("--config", help="Settings of the operator, TOML.", envvar="MSS_CONFIG", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
DEFAULT_CONFIG = Path("/etc/mss/mss.toml")


def fail(reason: str) -> NoReturn:
    """One line on stderr and exit code 1."""
    print(f"mss: {reason}", file=sys.stderr)
    raise typer.Exit(1)


def settings(path: Path) -> Config:
    """Read the settings; wrong ones end the command with what to change."""
    try:
        return load(path)
    except MssError as problem:
        fail(str(problem))


@asynccontextmanager
async def open_house(config: Config) -> AsyncIterator[Foundation]:
    """The operator's store and keys, for the length of a command."""
    from mss.foundation import lay
    from mss.store import powercut, restored

    if not store_exists(config):
        raise MssError(f"there is no store in {config.state_dir}: run mss db upgrade first")
    ground = await lay(config, "command", hears=False)
    try:
        await powercut.note_start(ground.store, powercut.boot_id())
        await restored.note_file(ground.store, config.url, to_ms(ground.clock.now()))
        yield ground
    finally:
        await ground.close()


def at_desk(
    config: Path, desk: Callable[[Config], AbstractAsyncContextManager[Desk]], work: Callable[[Desk], Awaitable[T]]
) -> T:
    """Sit down at a desk of the operator, do one thing, and get up; what is refused there becomes one line."""

    async def sit_down() -> T:
        async with desk(settings(config)) as opened:
            return await work(opened)

    return finish(sit_down())


def show_fields(fields: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing: JSON, or a line for each field."""
    if as_json:
        print(json.dumps(fields, ensure_ascii=False, indent=1))
        return
    for name, value in fields.items():
        print(f"{name}: {value}")


def store_exists(config: Config) -> bool:
    """Whether the SQLite file is there; SQLite would make an empty one. A server is asked itself."""
    name = config.url.removeprefix("sqlite:///")
    return name == config.url or Path(name).exists()


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work; what it refuses becomes one line."""
    try:
        return asyncio.run(work)
    except StorageUnavailable as problem:
        fail(f"the database does not answer ({problem}): check database_url and mss db status")
    except MssError as problem:
        fail(str(problem) or type(problem).__name__)
    except OSError as problem:
        fail(f"{problem.filename or ''} {problem.strerror or problem}".strip())
    except _database_trouble() as problem:  # asked only when something broke
        fail(f"the database does not answer ({type(problem).__name__}): check database_url and mss db status")


def _database_trouble() -> type[Exception]:
    from mss.store.sql import DatabaseTrouble

    return DatabaseTrouble


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `advice` is empty when all is well."""

    ok: bool
    what: str
    advice: str = ""


def tell_findings(findings: list[Finding], *, as_json: bool) -> None:
    """Each on its line, red ones with what to do; ends the command with 1 when one is red."""
    if as_json:
        print(json.dumps([asdict(one) for one in findings], ensure_ascii=False, indent=1))
    else:
        for one in findings:
            print(f"{'ok ' if one.ok else 'RED'}  {one.what}" + (f"\n     → {one.advice}" if one.advice else ""))
    if not all(one.ok for one in findings):
        raise typer.Exit(1)


def show(rows: list[dict[str, Any]], *, as_json: bool, columns: tuple[str, ...], empty: str) -> None:
    """A listing: JSON, or aligned columns."""
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=1, default=str))
        return
    if not rows:
        print(empty)
        return
    widths = [max(len(name), *(len(str(row[name])) for row in rows)) for name in columns]
    print("  ".join(name.ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip())
    for row in rows:
        print("  ".join(str(row[name]).ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip())
