"""`mss stats`: indicators without content. How much by day, peer, kind of mailbox and CDA type; and for one structure,
by month, how many messages went to patients, how much was filed, which share came with a qualified INS.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Annotated, Any

import typer

from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, fail, finish, open_house, settings, show
from mss.config import Config
from mss.formats.csvtext import as_text
from mss.mail.ledger import COLUMNS
from mss.model.errors import BadValue
from mss.model.ids import Finess, MailAddress
from mss.store.indicators import Count

DIMENSIONS = ("day", "month", "what", "peer", "kind", "structure", "cda", "ins")
DAYS_SHOWN = 31


def stats(
    by: Annotated[str, typer.Option(help=f"Some of {', '.join(DIMENSIONS)}, with commas between.")] = "day,what",
    since: Annotated[str, typer.Option(help="First day, 2026-01-31; a month ago when left out.")] = "",
    until: Annotated[str, typer.Option(help="Last day; today when left out.")] = "",
    structure: Annotated[str, typer.Option(help="FINESS: what this structure sent to patients, by month.")] = "",
    sender: Annotated[
        str, typer.Option(help="A sending mailbox: what became of each of its mails, as it was told.")
    ] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV for spreadsheets.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Indicators without content: how much, by what; never whose."""
    names = [name.strip() for name in by.split(",") if name.strip()]
    if unknown := [name for name in names if name not in DIMENSIONS]:
        fail(f"--by {unknown[0]}: some of {', '.join(DIMENSIONS)}")
    try:
        first, last = _days(since, until)
        ids = structure_ids(structure) if structure else ()
        mailbox = MailAddress.parse(sender) if sender else None
    except ValueError as problem:  # BadValue among them
        fail(str(problem))
    if mailbox is not None:
        lines = finish(_of_sender(settings(config), mailbox, first, last))
        _tell(lines, COLUMNS, as_csv=as_csv, as_json=as_json, empty="it was told nothing in these days")
        return
    found = finish(_totals(settings(config), first, last, ids))
    rows = of_structure(found) if structure else grouped(found, names)
    columns = tuple(rows[0]) if rows else (*names, "n")
    _tell(rows, columns, as_csv=as_csv, as_json=as_json, empty="nothing was counted in these days")


def _tell(rows: Sequence[dict[str, Any]], columns: Sequence[str], *, as_csv: bool, as_json: bool, empty: str) -> None:
    if as_csv:
        sys.stdout.write(as_text(rows, columns))
        return
    show(list(rows), as_json=as_json, columns=tuple(columns), empty=empty)


async def _of_sender(config: Config, sender: MailAddress, first: int, last: int) -> list[dict[str, Any]]:
    from mss.mail.ledger import LedgerReader

    days = [date.fromisoformat(str(one)) for one in (first, last)]
    async with open_house(config) as ground:
        ledger = LedgerReader(ground.public.lookup, ground.private().tasks)
        return await ground.store.read(lambda c: ledger.lines(c, sender, *days))


async def _totals(config: Config, first: int, last: int, ids: Sequence[str]) -> list[tuple[Count, int]]:
    from mss.mail.counting import Counting
    from mss.store import indicators

    async with open_house(config) as ground:
        await Counting(ground.store).catch_up()
        return await ground.store.read(lambda c: indicators.totals(c, first, last, ids))


def _days(since: str, until: str) -> tuple[int, int]:
    """Both ends as 20260131. Raises BadValue."""
    from mss.mail.counting import day_of
    from mss.model.clock import SystemClock

    now = SystemClock().now()
    first = _day(since, "--since") if since else day_of(now - timedelta(days=DAYS_SHOWN))
    last = _day(until, "--until") if until else day_of(now)
    if first > last:
        raise BadValue("--since is later than --until")
    return first, last


def _day(text: str, option: str) -> int:
    try:
        return int(f"{date.fromisoformat(text):%Y%m%d}")
    except ValueError as problem:
        raise BadValue(f"{option} {text}: write a day like 2026-01-31") from problem


def structure_ids(finess: str) -> tuple[str, ...]:
    """The forms in which a mailbox may bear that number. Raises BadValue."""
    plain = Finess(finess).value
    return plain, f"1{plain}"  # IDNST: 1 and FINESS (ANS, TRE_G09)


def grouped(found: Iterable[tuple[Count, int]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Sums by the dimensions that were asked for. Asked by CDA type only documents count, else messages."""
    sums: Counter[tuple[str, ...]] = Counter()
    for count, n in found:
        if ("cda" in names) == bool(count.cda):
            sums[tuple(_value(count, name) for name in names)] += n
    return [dict(zip(names, key, strict=True)) | {"n": n} for key, n in sorted(sums.items())]


def _value(count: Count, name: str) -> str:
    day = str(count.day)
    if name in ("day", "month"):
        return f"{day[:4]}-{day[4:6]}-{day[6:]}"[: 10 if name == "day" else 7]
    return str(getattr(count, "box" if name == "kind" else name))


def of_structure(found: Iterable[tuple[Count, int]]) -> list[dict[str, Any]]:
    """By month: messages to patients, documents filed, share of those messages with documents whose INS was qualified
    (X-MSS-INS: O)."""
    months: dict[str, Counter[str]] = {}
    for count, n in found:
        month = months.setdefault(_value(count, "month"), Counter())
        month[count.what] += n
        if count.what == "to-patient" and count.ins:
            month["with-documents"] += n
            month["qualified"] += n if count.ins == "O" else 0
    return [
        {
            "month": month,
            "sent_to_patients": sums["to-patient"],
            "documents_filed": sums["filed"],
            "with_documents": sums["with-documents"],
            "ins_qualified": sums["qualified"],
            "ins_qualified_share": round(sums["qualified"] / sums["with-documents"], 4)
            if sums["with-documents"]
            else None,
        }
        for month, sums in sorted(months.items())
    ]
