"""`mss queue list|show|retry|hold|release|drop|flush`: mail that has not left yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, at_desk, open_house, show, show_fields
from mss.config import Config
from mss.mail.queue import QueueTaker
from mss.notices.queuedesk import QueueDesk, QueuedView
from mss.notices.send import ReportDuties

app = typer.Typer(no_args_is_help=True, help="Mail waiting to leave.")

Number = Annotated[int, typer.Argument(help="Number in mss queue list.")]
ACTOR = "staff:command"
T = TypeVar("T")


@asynccontextmanager
async def _desk(config: Config) -> AsyncIterator[QueueDesk]:
    async with open_house(config) as ground:
        keys = ground.private()
        taker = QueueTaker(ground.store, ground.bodies, keys.outbound, ground.clock, ACTOR)
        duties = ReportDuties(ground.public.tasks, ground.clock, ground.chance)
        staff_domain = ground.house.postmaster.domain
        yield QueueDesk(ground.store, taker, duties, ground.holder, staff_domain, ground.bus, ground.clock, ACTOR)


def _at_desk(config: Path, work: Callable[[QueueDesk], Awaitable[T]]) -> T:
    return at_desk(config, _desk, work)


@app.command("list")
def list_queue(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Mail that has not left, oldest first."""
    rows = [_fields(row) for row in _at_desk(config, lambda desk: desk.waiting())]
    columns = ("id", "next_hop", "state", "attempts", "next_try", "last_reason")
    show(rows, as_json=as_json, columns=columns, empty="nothing waits")


def _fields(row: QueuedView) -> dict[str, Any]:
    moments = {name: getattr(row, name).isoformat(timespec="seconds") for name in ("created", "next_try", "expires")}
    return asdict(row) | moments | {"id": str(row.id)}  # 63 bits: readers of JSON keep 53


@app.command("show")
def show_one(number: Number, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """One mail: how old, how often tried, why it is still here. The look is written down."""
    row, recipients, octets = _at_desk(config, lambda desk: desk.show(number))
    fields = _fields(row) | {"recipients": recipients, "size_bytes": octets}
    show_fields(fields, as_json=as_json)


@app.command()
def retry(number: Number, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Try one mail again now."""
    _at_desk(config, lambda desk: desk.retry(number))
    print(f"{number}: will be tried now")


@app.command()
def hold(number: Number, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Keep one mail back until release."""
    _at_desk(config, lambda desk: desk.hold(number))
    print(f"{number}: held")


@app.command()
def release(number: Number, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Let a held or failed mail go again."""
    _at_desk(config, lambda desk: desk.release(number))
    print(f"{number}: released")


@app.command()
def drop(
    number: Number,
    why: Annotated[str, typer.Option(help="Told to the sender, in your words.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Take one mail out for good; its sender is told why."""
    is_told = _at_desk(config, lambda desk: desk.drop(number, why))
    print(f"{number}: taken out; {'the sender is told' if is_told else 'its sender wants no reports'}")


@app.command()
def flush(
    domain: Annotated[str, typer.Argument(help="Of the recipients.")], config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """Try everything that waits for one domain now."""
    count = _at_desk(config, lambda desk: desk.flush(domain))
    print(f"{domain}: {count} will be tried within a minute")
