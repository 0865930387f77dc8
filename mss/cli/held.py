"""`mss held list|show|file|reject|redirect`: documents and messages that wait for a human, and the human's word."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer

from mss.assembly.triage import triage_of
from mss.bridge.corrections import NotCorrectable
from mss.bridge.triage import HeldItem, NeedsSecond, NotDecidable, NotFileable, Triage
from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, finish, open_house, settings, show
from mss.config import Config
from mss.mail.holding import Explanation
from mss.model.clock import SystemClock
from mss.model.errors import MssError, NotFound
from mss.sandbox.pool import Sandbox
from mss.store.records import HeldState

app = typer.Typer(no_args_is_help=True, help="What waits for a human. It never expires by itself.")

Number = Annotated[int, typer.Argument(help="The id in mss held list.")]
ACTOR = "staff:command"


@asynccontextmanager
async def _triage(config: Config) -> AsyncIterator[Triage]:
    sandbox = Sandbox()
    sandbox.start()
    try:
        async with open_house(config) as ground:
            keys = ground.private()
            yield triage_of(ground, keys, ground.opener(keys), sandbox)
    except NotFound as problem:
        raise MssError("nothing that is held bears that id: see mss held list") from problem
    except NotDecidable as problem:
        raise MssError(f"it does not wait for that decision ({problem})") from problem
    except NotFileable as problem:
        raise MssError(f"nothing was filed, also not after a human's look: {problem}") from problem
    except NeedsSecond as asked:
        number = asked.proposal
        raise MssError(
            f"proposed as {number}: a second person says mss record confirm {number}, or at the desk"
        ) from asked
    except NotCorrectable as problem:
        raise MssError("it is proposed already: see mss record list") from problem
    finally:
        sandbox.close()


@app.command("list")
def list_held(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """What waits, oldest first."""
    rows = [_fields(item) for item in finish(_list(settings(config)))]
    columns = ("id", "held_at", "age", "code", "reason", "told", "document", "message_id")
    show(rows, as_json=as_json, columns=columns, empty="nothing waits")


async def _list(config: Config, state: HeldState = HeldState.WAITING) -> list[HeldItem]:
    async with _triage(config) as triage:
        return await triage.held_list(state)


def _fields(item: HeldItem) -> dict[str, Any]:
    """An id is a text in JSON: it has 63 bits, and many readers keep 53."""
    told_at = None if item.told_at is None else item.told_at.isoformat(timespec="seconds")
    age_s = int((SystemClock().now() - item.held_at).total_seconds())
    times = {"held_at": item.held_at.isoformat(timespec="seconds"), "told_at": told_at, "age": _age(age_s)}
    return asdict(item) | {"id": str(item.id)} | times


def _age(seconds: int) -> str:
    """Days and hours, hours and minutes: what a person compares with 24 and 72."""
    minutes, hours = seconds // 60, seconds // 3600
    return f"{hours // 24} d {hours % 24} h" if hours >= 48 else f"{hours} h {minutes % 60} min"


@app.command("show")
def show_one(number: Number, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Why one waits. The look is written down."""
    item, explanation = finish(_show(settings(config), number))
    fields = _fields(item) | {"explanation": asdict(explanation)}
    if as_json:
        print(json.dumps(fields, ensure_ascii=False, indent=1, default=str))
        return
    for name, value in _fields(item).items():
        print(f"{name}: {value}")
    for name, value in asdict(explanation).items():
        if value:
            print(f"{name}: {value}")


async def _show(config: Config, number: int) -> tuple[HeldItem, Explanation]:
    async with _triage(config) as triage:
        return await triage.show(number, ACTOR)


@app.command()
def file(
    number: Number,
    why: Annotated[str, typer.Option(help="Where it takes two people: why, without name or INS.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Somebody has checked: file the documents and show the message, or let go what was held on its way."""
    count = finish(_file(settings(config), number, why))
    print(f"{number}: {count} filed; the sender is told" if count else f"{number}: let go on its way")


async def _file(config: Config, number: int, why: str) -> int:
    async with _triage(config) as triage:
        return await triage.file(number, ACTOR, why)


@app.command("kept-back")
def list_kept_back(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """What is filed hidden and waits until its sender announces it, oldest first."""
    rows = [_fields(item) for item in finish(_list(settings(config), HeldState.KEPT_BACK))]
    show(rows, as_json=as_json, columns=("id", "held_at", "document", "message_id"), empty="nothing is kept back")


@app.command()
def release(number: Number, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """The patient knows: show what was kept back until its announcement."""
    count = finish(_release(settings(config), number))
    print(f"{number}: {count} shown to the patient; the sender is told")


async def _release(config: Config, number: int) -> int:
    async with _triage(config) as triage:
        return await triage.release(number, ACTOR)


@app.command()
def reject(
    number: Number,
    why: Annotated[str, typer.Option(help="Told to the sender, in your words.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Refuse for good; the sender is told why."""
    finish(_reject(settings(config), number, why))
    print(f"{number}: refused; the sender is told")


async def _reject(config: Config, number: int, why: str) -> None:
    async with _triage(config) as triage:
        await triage.reject(number, ACTOR, why)


@app.command()
def redirect(
    number: Number,
    to: Annotated[str, typer.Option(help="Address of the patient whose it is.")],
    why: Annotated[str, typer.Option(help="Why, for the incident report: no name, no INS.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """It is another patient's: into her record, by two people where only her traits are in it."""
    from mss.cli.record import Desk, at_desk, tell_decided
    from mss.store.corrections import Correction

    async def work(desk: Desk) -> Correction:
        return await desk.corrections.redirect(number, await desk.corrections.book.record_at(to), ACTOR, why)

    tell_decided(at_desk(config, work))
