"""`mss directory publish`: what we say of our own mailboxes, here and in the national directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from mss.assembly.publishing import publication_of, publisher_of
from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, finish, open_house, settings, show
from mss.config import Config
from mss.directory.own import Own, Wish
from mss.directory.ownfacts import derivable
from mss.directory.search import Search
from mss.directory.writing import HEADER, line_of
from mss.fhir.nightly import keep_look, last_look
from mss.fhir.telling import NotNow
from mss.foundation import own_mailboxes
from mss.model.clock import from_ms
from mss.model.errors import BadValue
from mss.model.ids import MailAddress
from mss.store import changes

ACTOR = "staff:command"
COLUMNS = ("mailbox", "kind", "state", "changed", "published", "tries", "problem")
Address = Annotated[str, typer.Argument(help="An address of ours.")]


def publish(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Ask the directory and tell what would be sent.")] = False,
    status: Annotated[bool, typer.Option("--status", help="What it has, what waits, and why.")] = False,
    reconcile: Annotated[
        bool, typer.Option("--reconcile", help="Ask for every mailbox now; repair what differs.")
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="With --reconcile: many differ, and you have looked: repair them.")
    ] = False,
    export: Annotated[
        Path | None, typer.Option("--export", help="Write ours in the shape of the national file; - for the terminal.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Bring what we say of our mailboxes to the national directory; refused ones are tried again."""
    if sum((dry_run, status, reconcile, export is not None)) > 1 or (accept and not reconcile):
        raise typer.BadParameter("one of --dry-run, --status, --reconcile, --export; --accept with --reconcile only")
    said = settings(config)
    if export is not None:
        _export(said, export)
    elif status:
        _status(said, as_json=as_json)
    elif reconcile:
        print(finish(_reconcile(said, accepts=accept)))
    elif dry_run:
        rows = finish(_dry_run(said))
        show(rows, as_json=as_json, columns=("mailbox", "would"), empty="it says what we say")
    else:
        print(f"{finish(_publish(said))} on their way: mss directory publish --status tells more")


def _configured(config: Config) -> None:
    if config.directory.publishing is None:
        raise BadValue("[directory.publishing] names no directory: set url, authorities and token_file or tls")


async def _publish(config: Config) -> int:
    _configured(config)
    async with open_house(config) as ground:
        owed = await publication_of(ground, ground.private()).bring_forward()
        ground.bus.publish(changes.TASK)
        return owed


async def _dry_run(config: Config) -> list[dict[str, Any]]:
    _configured(config)
    publisher, rows = publisher_of(config), list[dict[str, Any]]()
    assert publisher is not None
    async with open_house(config) as ground:
        try:
            async for one in own_mailboxes(ground).all():
                if one.own is None:
                    continue
                same = await publisher.compare(one.own, is_shown=one.row.is_shown)
                if isinstance(same, NotNow):
                    raise BadValue(f"the directory cannot be asked: {same.why}")
                if not same:
                    rows.append(
                        {"mailbox": one.own.address, "would": "be said" if one.row.is_shown else "be taken back"}
                    )
        finally:
            await publisher.close()
    return rows


async def _reconcile(config: Config, *, accepts: bool) -> str:
    _configured(config)
    section = config.directory.publishing
    assert section is not None
    async with open_house(config) as ground:
        looked = await publication_of(ground, ground.private()).reconcile(section.repaired_share_max, accepts=accepts)
        keep_look(config.state_dir / "directory", ground.clock.now(), looked)
        ground.bus.publish(changes.TASK)
    if looked.stopped:
        raise BadValue(f"nothing was repaired: {looked.stopped}")
    return f"{looked.asked} asked for, {looked.differing} differ, {looked.repaired} on their way"


def _status(config: Config, *, as_json: bool) -> None:
    rows, differences, unlisted = finish(_standing(config))
    at, found = last_look(config.state_dir / "directory")
    if as_json:
        told = {"mailboxes": rows, "unlisted": unlisted, "differences": differences}
        told |= {"last_look": at.isoformat() if at else None, "found": found}
        print(json.dumps(told, ensure_ascii=False, indent=1))
        return
    show(rows, as_json=False, columns=COLUMNS, empty="nothing is said of any mailbox yet")
    for one in differences:
        print(f"a national file differs: {one['mailbox']}: {one['what']}")
    if unlisted:
        print(f"{unlisted} on the red list, of which nothing is kept or shown")
    print(
        f"last look at the national directory: {at:%Y-%m-%d %H:%M} UTC {found}" if at else "it was never looked at yet"
    )


async def _standing(config: Config) -> tuple[list[dict[str, Any]], list[dict[str, str]], int]:
    rows, unlisted = list[dict[str, Any]](), 0
    async with open_house(config) as ground:
        ours = own_mailboxes(ground)
        async for one in ours.all():
            if one.own is None:
                unlisted += 1
                continue
            row = one.row
            missing = (
                "" if not row.is_shown or await derivable(ground.store, one.own) else "holder not in the directory"
            )
            rows.append(
                {
                    "mailbox": one.own.address,
                    "kind": row.kind,
                    "state": row.state.value,
                    "changed": from_ms(row.changed_ms).isoformat(timespec="minutes"),
                    "published": "yes" if row.is_published else "waits",
                    "tries": row.tries,
                    "problem": row.problem or missing,
                }
            )
        differences = [{"mailbox": one.address, "what": one.what} for one in await ours.differences()]
    return rows, differences, unlisted


def _export(config: Config, out: Path) -> None:
    import sys

    if str(out) == "-":
        finish(_write(config, sys.stdout))
        return
    part = out.with_name(out.name + ".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        count = finish(_write(config, file))
    part.rename(out)
    print(f"{count} written to {out}")


async def _write(config: Config, file: TextIO) -> int:
    count = 0
    file.write(HEADER + "\n")
    async with open_house(config) as ground:
        search = Search(ground.store)
        async for one in own_mailboxes(ground).all():
            if one.own is None or not one.row.is_shown:
                continue
            for found in await search.at(one.own.address):
                file.write(line_of(found.listing) + "\n")
                count += 1
    return count


# ── what is said of one ──


def describe(
    address: Address,
    description: Annotated[str | None, typer.Option(help="What the mailbox is, for those who look for it.")] = None,
    service: Annotated[str | None, typer.Option(help="The service that it belongs to.")] = None,
    responsible: Annotated[str | None, typer.Option(help="Who answers for it; shown to no stranger.")] = None,
    phone: Annotated[str | None, typer.Option(help="Of the service.")] = None,
    purpose: Annotated[str | None, typer.Option(help="What it is for: lettres de sortie de cardiologie.")] = None,
    paperless: Annotated[bool | None, typer.Option(help="Whether paper may be left out.")] = None,
    rank: Annotated[int | None, typer.Option(min=0, max=99, help="1: the one that its holder prefers.")] = None,
    unlisted: Annotated[bool | None, typer.Option(help="On the red list, where nothing is kept or shown.")] = None,
    holder: Annotated[str, typer.Option(help="Off the red list: the holder's national number, as it was.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say something of a mailbox of ours: seen at every door at once, and published. What is not named stays."""
    wish = Wish(description, service, responsible, phone, purpose, paperless, rank, unlisted, holder)
    finish(_describe(settings(config), address, wish))
    print(f"{address}: noted")


async def _describe(config: Config, typed: str, wish: Wish) -> None:
    async with open_house(config) as ground:
        await own_mailboxes(ground).say(MailAddress.parse(typed), wish, ACTOR)
        ground.bus.publish(changes.TASK)


def history(address: Address, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Who said what of a mailbox of ours, newest first."""

    async def ask(config: Config) -> list[dict[str, Any]]:
        async with open_house(config) as ground:
            found = await own_mailboxes(ground).history(MailAddress.parse(address))
        return [
            {"at": one.at.isoformat(timespec="seconds"), "actor": one.actor, "what": one.what, "said": _said(one.own)}
            for one in found
        ]

    columns = ("at", "actor", "what", "said")
    show(finish(ask(settings(config))), as_json=as_json, columns=columns, empty="nothing was ever said of it")


def _said(own: Own | None) -> str:
    if own is None:
        return ""
    words = (own.description, own.service, own.responsible, own.phone, own.purpose)
    return ", ".join(word for word in words if word)


COMMANDS = (publish, describe, history)
