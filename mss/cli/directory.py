"""`mss directory`: take in the national files, look people up, hand a file on."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, finish, open_house, settings, show
from mss.cli.directorypeople import COMMANDS, suspend_overdue
from mss.cli.directorypublish import COMMANDS as PUBLISHING
from mss.cli.directoryrows import REASONS_SHOWN, beside_of, proof_of, refusals_of, row_of
from mss.config import Config
from mss.directory.bundles import is_bundles
from mss.directory.correspondence import CorrespondenceReader
from mss.directory.entries import Entries
from mss.directory.extras import NOTHING_KNOWN, Extras
from mss.directory.imports import Imports, Report
from mss.directory.joining import NationalReader
from mss.directory.keys import Question
from mss.directory.search import PAGE_MAX, Search, verified_by
from mss.directory.staging import Reader
from mss.directory.writing import HEADER, line_of
from mss.model.clock import from_ms
from mss.model.directory import IMPORTED, Found, Source
from mss.model.errors import BadValue
from mss.model.ids import MailAddress
from mss.model.mailbox import MailboxKind
from mss.store import changes, directory

app = typer.Typer(no_args_is_help=True, help="The directory of verified professionals.")

FileArgument = Annotated[
    Path,
    typer.Argument(
        help="Extraction_Correspondance_MSSante_….txt, or FHIR bundles of the national directory (.json, .ndjson).",
        exists=True,
        dir_okay=False,
    ),
]
AsOf = Annotated[str, typer.Option("--as-of", help="When the file was made, 2026-11-28T08:30; else from its name.")]
SEARCH_MAX = 1_000
IMPORTS_SHOWN = 10
COLUMNS = ("address", "kind", "name", "job", "structure", "city")
EXPORTED = (
    "address", "kind", "idnps", "family", "given", "civility", "profession", "specialty", "idnst", "structure",
    "postal_code", "city", "service", "description", "source", "verified_at",
)  # fmt: skip


@app.command("import")
def import_file(
    file: FileArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and compare; change nothing.")] = False,
    accept_losses: Annotated[
        bool, typer.Option("--accept-losses", help="More than 1 % disappears, and you have looked: it is right.")
    ] = False,
    as_of: AsOf = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Take in the public correspondence file or national FHIR bundles. Killed or repeated, it goes on or changes
    nothing."""
    said = settings(config)
    _tell(finish(_take(said, file, as_of, applies=not dry_run, accepts_losses=accept_losses)), said, as_json=as_json)


@app.command()
def diff(
    file: FileArgument, as_of: AsOf = "", config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False
) -> None:
    """What a file would change: numbers, and some of the changes."""
    said = settings(config)
    _tell(finish(_take(said, file, as_of, applies=False)), said, as_json=as_json)


async def _take(config: Config, file: Path, as_of: str, *, applies: bool, accepts_losses: bool = False) -> Report:
    moment = _moment(as_of)
    async with open_house(config) as ground:
        imports = Imports(ground.store, _folder(config), ground.clock, frozenset(config.domains), ground.public.lookup)
        reader: Reader = NationalReader() if is_bundles(file) else CorrespondenceReader()
        report = await imports.take(
            file, reader, _Bar(sys.stderr).show, as_of=moment, applies=applies, accepts_losses=accepts_losses
        )
        ground.bus.publish(changes.TASK)  # whose access ended is out within seconds
        return report


def _folder(config: Config) -> Path:
    return config.state_dir / "directory"


def _moment(typed: str) -> datetime | None:
    if not typed:
        return None
    try:
        moment = datetime.fromisoformat(typed)
    except ValueError:
        raise BadValue(f"--as-of {typed}: write a moment as 2026-11-28T08:30") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class _Bar:
    """One line that grows, for people only."""

    WIDTH = 30

    def __init__(self, out: TextIO) -> None:
        self._out = out if out.isatty() else None

    def show(self, what: str, done: int, total: int) -> None:
        if self._out is None:
            return
        full = self.WIDTH * done // max(1, total)
        end = "\n" if done >= total else ""
        self._out.write(f"\r{what:<6} [{'#' * full}{' ' * (self.WIDTH - full)}] {100 * done // max(1, total):3} %{end}")
        self._out.flush()


def _tell(report: Report, config: Config, *, as_json: bool) -> None:
    counts, file = report.counts(), _folder(config) / report.source / "refused.csv"
    refusals = refusals_of(file) if report.read.complete else Counter[str]()
    if as_json:
        told = {"refusals": refusals, "refused_file": str(file), "samples": report.samples}
        print(json.dumps(counts | told, ensure_ascii=False, indent=1))
        return
    if not report.read.complete:
        print(f"{report.file}: read already; nothing to do")
        return
    outcome = "taken in" if report.applied else "nothing changed"
    print(f"{report.file}, as of {report.as_of:%Y-%m-%d %H:%M} UTC: {outcome}")
    for name in ("addresses", "professionals", "structures"):
        standing, added, gone, lost = (counts[f"{name}_{what}"] for what in ("standing", "added", "gone", "lost"))
        print(f"  {name}: {standing} before, {added} new or changed, {gone} gone or changed, {lost} lost")
    print(f"  lines: {counts['lines']}, {counts['refused']} refused, {counts['rules_refused']} against the rules")
    print("".join(f"    {count} × {why}\n" for why, count in refusals.most_common(REASONS_SHOWN)), end="")
    if refusals:
        print(f"    each with the number of its line: {file}")
    for what, words in (("unlisted", "on the red list, left out"), ("other_encoding", "in another encoding, read")):
        if counts[what]:
            print(f"  {counts[what]} lines {words}")
    if report.read.unknown_columns:
        print(f"  columns that mean nothing here: {', '.join(report.read.unknown_columns[:8])}")
    if counts["accounts_lost"] or counts["accounts_back"]:
        print(f"  people here: {counts['accounts_lost']} lose their access, {counts['accounts_back']} have it back")
    if report.contested:
        print(f"  {len(report.contested)} addresses name somebody else: mss directory contested")
    print("\n".join(f"  {line}" for line in report.samples))
    if report.stopped:
        print(f"  would stop: {report.stopped}")


@app.command()
def rollback(
    national: Annotated[bool, typer.Option("--national", help="Of the national FHIR bundles.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Read the import before the last one again: at once, and one step only."""
    source = Source.NATIONAL if national else Source.CORRESPONDENCE

    async def act(config: Config) -> datetime:
        async with open_house(config) as ground:
            moment = await Imports(ground.store, _folder(config), ground.clock).roll_back(source)
            ground.bus.publish(changes.TASK)
            return moment

    print(f"read again as of {finish(act(settings(config))):%Y-%m-%d %H:%M} UTC")


@app.command()
def search(
    name: Annotated[str, typer.Argument(help="Family and given name; sound-alikes are found too.")] = "",
    job: Annotated[str, typer.Option(help="Profession or specialty: cardiologue.")] = "",
    place: Annotated[str, typer.Option(help="City, postal code or department.")] = "",
    structure: Annotated[str, typer.Option(help="Words of a structure's or service's name.")] = "",
    identifier: Annotated[str, typer.Option(help="RPPS, FINESS, SIRET.")] = "",
    address: Annotated[str, typer.Option(help="Address or its beginning.")] = "",
    kind: Annotated[MailboxKind | None, typer.Option(help="Kind of mailbox.")] = None,
    most: Annotated[int, typer.Option("--max", min=1, max=SEARCH_MAX, help="How many at most.")] = 50,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Find who can be written to."""
    kinds = frozenset({kind.value}) if kind is not None else frozenset[str]()
    question = Question(name, job, place, structure, identifier, address, kinds=kinds)
    if question.is_empty:
        raise typer.BadParameter("say a name, or one of --job, --place, --structure, --identifier, --address")
    found, as_of, has_more = finish(_search(settings(config), question, most))
    rows = [row_of(one) for one in found]
    if as_json:
        moment = as_of.isoformat() if as_of else None
        print(json.dumps({"as_of": moment, "more": has_more, "found": rows}, ensure_ascii=False, indent=1))
        return
    show(rows, as_json=False, columns=COLUMNS, empty="nobody found")
    if as_of is None:
        print("nothing was ever imported: mss directory import FILE")
    else:
        more = "; there are more: say more of whom you look for" if has_more else ""
        print(f"as of {as_of:%Y-%m-%d %H:%M} UTC{more}")


async def _search(config: Config, question: Question, most: int) -> tuple[list[Found], datetime | None, bool]:
    async with open_house(config) as ground:
        service, mark = Search(ground.store), None
        found: list[Found] = []
        while True:
            page = await service.find(question, page_max=min(PAGE_MAX, most - len(found)), after=mark)
            if page.too_wide:
                raise BadValue("this would be a list of everybody: say at least three letters of a name or word")
            found += page.found
            mark = page.more
            if mark is None or len(found) >= most:
                return found, page.as_of, mark is not None


@app.command("show")
def show_address(
    address: Annotated[str, typer.Argument(help="An address, or a national number of a person or structure.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """All that is known of an address, and who verified it when."""
    rows = finish(_show(settings(config), address))
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    print("\n\n".join("\n".join(f"{name}: {value}" for name, value in row.items() if value != "") for row in rows))


async def _show(config: Config, typed: str) -> list[dict[str, Any]]:
    async with open_house(config) as ground:
        service = Search(ground.store)
        if "@" in typed:
            found = await service.at(MailAddress.parse(typed).key)
        else:
            found = (await service.find(Question(identifier=typed, has_address=False))).found
        extras = await Extras(ground.store, ground.clock).of({one.listing.address for one in found})
    if not found:
        raise BadValue(f"{typed}: not in the directory")
    return [row_of(one) | proof_of(one) | beside_of(extras.get(one.listing.address, NOTHING_KNOWN)) for one in found]


@app.command()
def verify(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """What the directory stands on: sources, their moments, when to ask again; red when a check is overdue."""
    rows, overdue = finish(_verify(settings(config)))
    show(
        rows,
        as_json=as_json,
        columns=("source", "method", "as_of", "next_check", "overdue", "can_roll_back"),
        empty="nothing was ever imported: mss directory import FILE",
    )
    if overdue or not rows:
        raise typer.Exit(1)


async def _verify(config: Config) -> tuple[list[dict[str, Any]], bool]:
    async with open_house(config) as ground:
        sources = await ground.store.read(directory.sources)
        now = ground.clock.now()
    sources.pop(Source.OURS, None)  # we are there to be asked
    rows = []
    for number, row in sorted(sources.items()):
        verified = verified_by(row)
        rows.append(
            {
                "source": Source(number).name.lower(),
                "method": verified.method,
                "as_of": verified.at.isoformat(timespec="minutes"),
                "next_check": verified.next_check.isoformat(timespec="minutes"),
                "overdue": verified.next_check < now,
                "can_roll_back": bool(row.before),
            }
        )
    return rows, any(row["overdue"] for row in rows)


@app.command()
def imports(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """The last imports."""

    async def ask(config: Config) -> list[dict[str, Any]]:
        async with open_house(config) as ground:
            rows = await ground.store.read(lambda c: directory.imports(c, IMPORTS_SHOWN, IMPORTED))
        return [
            {
                "number": row.generation,
                "state": row.state,
                "file": row.file,
                "as_of": from_ms(row.as_of_ms).isoformat(timespec="minutes"),
                "began": from_ms(row.began_ms).isoformat(timespec="minutes"),
                "seconds": max(0, row.ended_ms - row.began_ms) // 1000,
            }
            for row in rows
        ]

    columns = ("number", "state", "file", "as_of", "began", "seconds")
    show(finish(ask(settings(config))), as_json=as_json, columns=columns, empty="nothing was ever imported")


class Shape(StrEnum):
    """Of an exported file."""

    CSV = "csv"
    CORRESPONDENCE = "correspondence"
    FHIR = "fhir"


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="A file to write; - for the terminal.")],
    shape: Annotated[
        Shape,
        typer.Option("--as", help="CSV, the public file's columns, or FHIR resources, one a line (NDJSON)."),
    ] = Shape.CSV,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Everybody who can be found; in the order of numbers, which is nobody's. CSV has the moment of verification."""
    write = {Shape.CSV: _export, Shape.CORRESPONDENCE: _export_lines, Shape.FHIR: _export_resources}[shape]
    if str(out) == "-":
        finish(write(settings(config), sys.stdout))
        return
    part = out.with_name(out.name + ".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        count = finish(write(settings(config), file))
    part.rename(out)
    print(f"{count} written to {out}")


async def _export_lines(config: Config, file: TextIO) -> int:
    count = 0
    file.write(HEADER + "\n")
    async with open_house(config) as ground:
        async for one in Search(ground.store).everybody():
            file.write(line_of(one.listing) + "\n")
            count += 1
    return count


async def _export_resources(config: Config, file: TextIO) -> int:
    from mss.fhir.resources import resource_of

    count = 0
    async with open_house(config) as ground:
        async for entry in Entries(ground.store).everything():
            file.write(json.dumps(resource_of(entry), ensure_ascii=False, separators=(",", ":")) + "\n")
            count += 1
    return count


async def _export(config: Config, file: TextIO) -> int:
    count, writer = 0, csv.DictWriter(file, EXPORTED)
    writer.writeheader()
    async with open_house(config) as ground:
        found: AsyncIterator[Found] = Search(ground.store).everybody()
        async for one in found:
            listing = one.listing
            row = {name: getattr(listing, name) for name in EXPORTED if hasattr(listing, name)}
            row |= {
                "kind": str(listing.kind or ""),
                "city": listing.place.city,
                "postal_code": listing.place.postal_code,
            }
            row |= {"profession": listing.profession.label if listing.profession else ""}
            row |= {"specialty": listing.specialty.label if listing.specialty else ""}
            row |= {"source": one.verified.method, "verified_at": one.verified.at.isoformat()}
            writer.writerow({name: _harmless(str(value)) for name, value in row.items()})
            count += 1
    return count


for _command in (*COMMANDS, *PUBLISHING):
    app.command()(_command)
app.command("suspend-overdue")(suspend_overdue)


def _harmless(text: str) -> str:
    """A cell that a spreadsheet would run as a formula is shown as text."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
