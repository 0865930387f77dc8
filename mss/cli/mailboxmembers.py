"""`mss mailbox member`: who opens the mailbox of a team, and what each may do there."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from mss.accounts.service import ADDRESS_KIND, profile_from_bytes
from mss.accounts.teams import Teams
from mss.cli.boxes import Address, owner_of, professional
from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, fail, finish, open_house, settings, show
from mss.config import Config
from mss.model.rights import LEVELS, word_of
from mss.store import owners

WHO = "staff:command"


class Level(StrEnum):
    """Words for the usual sets of rights (mss/model/rights.py)."""

    READER = "reader"
    SORTER = "sorter"
    MEMBER = "member"
    ADMINISTRATOR = "administrator"


def member(
    address: Address,
    add: Annotated[str, typer.Option(help="A person who opens this mailbox from now on, or with other rights.")] = "",
    rights: Annotated[
        Level,
        typer.Option(
            help="With --add. reader: reads; sorter: marks and takes too; member: files, deletes and answers in the "
            "team's name too; administrator: says who is a member too."
        ),
    ] = Level.MEMBER,
    remove: Annotated[str, typer.Option(help="A person who opens it no more, connected or not.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Who opens a team's mailbox, and with which rights: list them, let one in, change one, let one go."""
    if add and remove:
        fail("one thing at a time: --add or --remove")
    rows = finish(_member(settings(config), address, add, LEVELS[rights], remove))
    show(rows, as_json=as_json, columns=("address", "rights", "name"), empty="nobody opens it")


async def _member(config: Config, address: str, add: str, letters: str, remove: str) -> list[dict[str, Any]]:
    async with open_house(config) as ground:
        team, teams = await owner_of(ground, address), Teams(ground.store, ground.bus, ground.clock)
        if add:
            await teams.change(team, await professional(ground, add), lambda _before: letters, WHO)
        if remove:
            await teams.change(team, await professional(ground, remove), lambda _before: "", WHO)
        opener, rows = ground.opener(ground.private()), []
        for one in await teams.members(team):
            box = await ground.store.read(lambda c, one=one: owners.mailbox(c, one.account))  # type: ignore[misc]
            assert box is not None, "no mailbox is ever deleted"
            keys = await opener.open(one.account, WHO, "mailbox member")
            profile = profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, box.address_sealed))
            told = {"address": profile.address, "rights": word_of(one.letters).removeprefix("team:")}
            rows.append({**told, "name": profile.display_name})
        return rows
