"""`mss record list|show|unfile|refile|confirm|decline|undo|merge`: what lies in the wrong record, and its way out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from mss.assembly.triage import bridge_of, corrections_of, triage_of
from mss.bridge.book import Opened
from mss.bridge.corrections import Corrections, NotCorrectable
from mss.bridge.mergedesk import MergeDesk
from mss.bridge.triage import NotDecidable, NotFileable, Triage
from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, finish, open_house, settings, show
from mss.model.clock import from_ms
from mss.model.errors import MssError, NotFound
from mss.sandbox.pool import Sandbox
from mss.store.corrections import Correction, CorrectionState

app = typer.Typer(no_args_is_help=True, help="Documents in the wrong record: take out, re-file, put back, merge.")

Number = Annotated[int, typer.Argument(help="The id in mss record list.")]
Why = Annotated[str, typer.Option(help="Why, for the incident report: no name, no INS.")]
ACTOR = "staff:command"
T = TypeVar("T")

WHY_NOT = {
    "already-out": "it was taken out already: see mss record list",
    "not-out": "nothing that stands taken out bears that id: see mss record list",
    "not-waiting": "it does not wait for a decision any more",
    "nothing-to-move": "there is no message that could be moved",
    "same-record": "that is the record where it already is",
    "record-not-open": "the other record is closed or suspended: nothing is filed there",
    "names-another": "neither INS nor traits of the document are that patient's: ask its sender to correct it",
    "not-one-person": "birth date or sex differ: these are two people",
    "not-a-minor": "this patient is of age: a judge names who represents him",
    "proposed-already": "that is proposed already: see mss record list",
    "same-person": "you proposed it: a second, different person must agree",
    "expired": "the proposal has expired: propose it again",
    "decided": "it was decided already",
}
"""In words for whoever sits at the terminal; anything else is a reason of docs/reasons.md."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command needs."""

    corrections: Corrections
    triage: Triage
    merges: MergeDesk


@asynccontextmanager
async def desk_of(config: Path) -> AsyncIterator[Desk]:
    """Everything put together for one command; what may not be becomes one line."""
    read = settings(config)
    sandbox = Sandbox()
    sandbox.start()
    try:
        async with open_house(read) as ground:
            keys = ground.private()
            opener = ground.opener(keys)
            made = bridge_of(ground, opener, sandbox)
            corrects = corrections_of(ground, keys, opener, made)
            merges = MergeDesk(ground.store, opener, corrects)
            yield Desk(corrects, triage_of(ground, keys, opener, sandbox), merges)
    except NotCorrectable as problem:
        raise MssError(WHY_NOT.get(problem.why, f"the judge objects: {problem}")) from problem
    except NotFound as problem:
        raise MssError(f"there is no such {problem} here") from problem
    except (NotDecidable, NotFileable) as problem:
        raise MssError(f"nothing was filed: {problem}") from problem
    finally:
        sandbox.close()


def at_desk(config: Path, work: Callable[[Desk], Awaitable[T]]) -> T:
    """Run a command's work."""

    async def sit_down() -> T:
        async with desk_of(config) as desk:
            return await work(desk)

    return finish(sit_down())


@app.command("list")
def list_corrections(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """What was corrected and proposed, the newest first."""
    rows = [fields_of(one) for one in at_desk(config, lambda desk: desk.corrections.book.listed())]
    columns = ("id", "kind", "state", "at", "by", "confirmed_by", "expires")
    show(rows, as_json=as_json, columns=columns, empty="nothing was corrected")


def fields_of(one: Opened) -> dict[str, Any]:
    """A row for a list: no title, no name."""
    row, items = one.row, one.items
    return {
        "id": str(row.id),
        "kind": row.kind,
        "state": row.state,
        "at": from_ms(row.proposed_ms).isoformat(timespec="seconds"),
        "by": row.proposed_by,
        "confirmed_by": row.confirmed_by,
        "expires": from_ms(row.expires_ms).isoformat(timespec="seconds") if row.expires_ms else "",
        "earlier": str(row.earlier or ""),
        "held": str(row.about or ""),
        "why": one.why,
        "why_not": items.why_not,
        "documents": [str(item.number) for item in items.documents],
        "messages": [str(item.number) for item in items.messages],
    }


@app.command("show")
def show_one(number: Number, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """One correction: what it took and made, who proposed and agreed."""
    fields = fields_of(at_desk(config, lambda desk: desk.corrections.book.one(number)))
    if as_json:
        print(json.dumps(fields, ensure_ascii=False, indent=1))
        return
    for name, value in fields.items():
        print(f"{name}: {' '.join(value) if isinstance(value, list) else value}")


@app.command()
def documents(
    address: Annotated[str, typer.Argument(help="The patient's address.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """The documents of a record with their numbers, newest first. The look is written down."""

    async def work(desk: Desk) -> list[dict[str, str]]:
        return await desk.corrections.book.documents(await desk.corrections.book.record_at(address), ACTOR)

    rows = at_desk(config, work)
    show(rows, as_json=as_json, columns=("id", "status", "filed_at", "title"), empty="no document")


@app.command()
def unfile(
    document: Annotated[int, typer.Argument(help="Number of a document: mss record documents.")],
    why: Why,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Take a document, and all that came with it, out of the record where it stands. At once, by one person."""
    number = at_desk(config, lambda desk: desk.corrections.unfile(document, ACTOR, why))
    print(f"{number}: taken out; sender, patient and who opened it are told. Next: mss record refile {number} --to …")


@app.command()
def refile(
    number: Number,
    to: Annotated[str, typer.Option(help="Address of the right patient.")],
    why: Why = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Put what was taken out into the right record."""

    async def work(desk: Desk) -> Correction:
        return await desk.corrections.refile(number, await desk.corrections.book.record_at(to), ACTOR, why)

    tell_decided(at_desk(config, work))


def tell_decided(row: Correction) -> None:
    """Whether it goes its way, or waits for a second person."""
    if row.state == CorrectionState.PROPOSED:
        print(f"{row.id}: proposed; a second person agrees with mss record confirm {row.id}, or at the desk")
    else:
        print(f"{row.id}: decided; the works do it")


@app.command()
def confirm(number: Number, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Agree with what somebody else proposed."""
    tell_decided(at_desk(config, lambda desk: desk.corrections.confirm(number, ACTOR, desk.triage.file_confirmed)))


@app.command()
def decline(number: Number, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Do not follow a proposal, also one's own."""
    at_desk(config, lambda desk: desk.corrections.decline(number, ACTOR))
    print(f"{number}: declined")


@app.command()
def undo(number: Number, why: Why = "", config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Put everything back where it was: of a re-filing out of the other record first, of a merge into two records."""
    tell_decided(at_desk(config, lambda desk: desk.corrections.undo(number, ACTOR, why)))


@app.command()
def merge(
    address: Annotated[str, typer.Argument(help="Address of the record that ends.")],
    into: Annotated[str, typer.Argument(help="Address of the record that stays.")],
    why: Why,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Two records are one person's: all of the one goes into the other. Can be undone."""

    async def work(desk: Desk) -> Correction:
        ends, stays = [await desk.corrections.book.record_at(one) for one in (address, into)]
        return await desk.merges.merge(ends, stays, ACTOR, why)

    tell_decided(at_desk(config, work))
