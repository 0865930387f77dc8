"""`mss mailbox retention`: what will be deleted of a mailbox because it is old, and whether it is held."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mss.cli.boxes import Address, kind_of, owner_of
from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, fail, finish, open_house, settings, show_fields
from mss.config import Config
from mss.foundation import Foundation, retention_rules
from mss.mail.purging import Purging
from mss.model.errors import BadValue
from mss.model.mailbox import MailboxKind

WHO = "staff:command"


def retention(
    address: Address,
    hold: Annotated[bool, typer.Option("--hold", help="Nothing is deleted, whatever the settings say.")] = False,
    release: Annotated[bool, typer.Option("--release", help="End the hold; warnings begin anew.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """What will be deleted of a mailbox because it is old, and when; hold it, or end the hold."""
    if hold and release:
        fail("one thing at a time: --hold or --release")
    wish = True if hold else False if release else None
    show_fields(finish(_retention(settings(config), address, wish)), as_json=as_json)


async def _retention(config: Config, address: str, hold: bool | None) -> dict[str, Any]:
    async with open_house(config) as ground:
        owner, purging = await owner_of(ground, address), purging_of(ground)
        if await kind_of(ground, owner) is MailboxKind.PATIENT:
            raise BadValue("a patient's mail is kept for ever: there is nothing to hold")
        if hold is not None:
            await purging.hold(owner, WHO, is_held=hold)
        look = await purging.look(owner)
        running = look.round
        return {
            "address": address,
            "held": await purging.is_held(owner),
            "messages": look.count,
            "deleted_from": f"{running.due:%Y-%m-%d}" if running is not None and look.count else "",
            "first_warning": f"{running.told:%Y-%m-%d}" if running is not None and running.told else "",
            "last_warning": f"{running.reminded:%Y-%m-%d}" if running is not None and running.reminded else "",
        }


def purging_of(ground: Foundation) -> Purging:
    """For looking."""
    return Purging(ground.store, ground.public.lookup, ground.bus, ground.clock, retention_rules(ground.config))
