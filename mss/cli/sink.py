"""`mss sink list|show|retry|drop|probe`: documents that a hospital's own software is owed and does not have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from mss.assembly import sinks
from mss.bridge.sinkdesk import SinkDesk
from mss.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    Finding,
    JsonOption,
    at_desk,
    finish,
    open_house,
    settings,
    show,
    show_fields,
)
from mss.cli.common import tell_findings as tell
from mss.config import Config
from mss.model.clock import from_ms
from mss.model.errors import MssError
from mss.record.service import Records
from mss.store.handovers import Handover

app = typer.Typer(no_args_is_help=True, help="Documents owed to a hospital's own software.")

Number = Annotated[int, typer.Argument(help="Number in mss sink list.")]
ACTOR = "staff:command"
T = TypeVar("T")


@asynccontextmanager
async def _desk(config: Config) -> AsyncIterator[SinkDesk]:
    async with open_house(config) as ground:
        opener = ground.opener(ground.private())
        lookup, clock, chance = ground.public.lookup, ground.clock, ground.chance
        records = Records(ground.store, opener, ground.bodies, lookup, clock, chance)
        settling = sinks.settling(ground, sinks.dossiers(ground, records, opener))
        yield SinkDesk(ground.store, settling, ground.bus, clock, ACTOR)


def _at_desk(config: Path, work: Callable[[SinkDesk], Awaitable[T]]) -> T:
    return at_desk(config, _desk, work)


@app.command("list")
def list_owed(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """What has not arrived, oldest first."""
    rows = [_fields(row) for row in _at_desk(config, lambda desk: desk.waiting())]
    columns = ("id", "sink", "act", "state", "attempts", "created", "last_reason")
    show(rows, as_json=as_json, columns=columns, empty="nothing is owed")


@app.command("show")
def show_one(number: Number, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """One document: for whom, since when, how often tried, what was answered. The look is written down."""
    fields = _fields(_at_desk(config, lambda desk: desk.show(number)))
    show_fields(fields, as_json=as_json)


@app.command()
def retry(number: Number, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Try one again now; what stood behind a refused one follows it."""
    _at_desk(config, lambda desk: desk.retry(number))
    print(f"{number}: will be tried now")


@app.command()
def drop(
    number: Number,
    why: Annotated[str, typer.Option(help="Told to the document's sender, in your words.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Give one up for that sink; our own record keeps the document, its sender is told why."""
    _at_desk(config, lambda desk: desk.drop(number, why))
    print(f"{number}: given up; the sender is told")


@app.command()
def probe(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Whether each sink can be reached, and shows the certificate that it should. Brings nothing there."""
    tell(finish(look(settings(config))), as_json=as_json)


async def look(config: Config) -> list[Finding]:
    """One finding for each sink."""
    found = []
    for name in config.sinks:
        try:
            trouble = await sinks.client(config, name).probe()
        except MssError as problem:
            trouble = str(problem)
        advice = (
            f"[sinks.{name}]: is it up, is the address right, does its certificate name the host?" if trouble else ""
        )
        found.append(Finding(not trouble, f"sink {name}: {trouble or 'answers'}", advice))
    return found


def _fields(row: Handover) -> dict[str, Any]:
    moments = {"created": row.created_ms, "next_try": row.next_try_ms, "settled": row.settled_ms}
    told = {name: from_ms(at).isoformat(timespec="seconds") if at else "" for name, at in moments.items()}
    hidden = ("owner", "box", "message_id_hmac", "created_ms", "next_try_ms", "settled_ms")
    kept = {name: value for name, value in asdict(row).items() if name not in hidden}
    return kept | told | {name: str(kept[name]) for name in ("id", "document", "message")}  # 63 bits: JSON keeps 53
