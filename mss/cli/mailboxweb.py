"""`mss mailbox invite`: a link by which a professional makes her way into the pages of the directory."""

from __future__ import annotations

from typing import Annotated

import typer

from mss.accounts.professionals import INVITED_S, Professionals
from mss.accounts.sessions import Sessions
from mss.cli.boxes import Address, professional
from mss.cli.common import DEFAULT_CONFIG, ConfigOption, finish, open_house, settings
from mss.config import Config
from mss.foundation import Foundation
from mss.model.errors import BadValue
from mss.model.ids import MailAddress

ACTOR = "staff:command"
DAY_S = 24 * 3600


def invite(
    address: Address,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the way in away instead; mail works on.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Print a link with which this professional sets a password and codes for the pages, once, within a week. Hand it
    over by letter or in person, never by mail to this mailbox: mail programs must not open pages."""
    link = finish(_invite(settings(config), address, is_withdrawn=withdraw))
    print(link or f"{address}: nobody opens a page any more")


async def _invite(config: Config, typed: str, *, is_withdrawn: bool) -> str:
    async with open_house(config) as ground:
        owner = await professional(ground, typed)
        service = professionals(ground)
        if is_withdrawn:
            await service.withdraw(owner, ACTOR)
            return ""
        site = site_of(config)
        token = await service.invite(owner, MailAddress.parse(typed), ACTOR)
        return f"{site}/pro/invitation/{token}\nworks once, for {INVITED_S // DAY_S} days"


def professionals(ground: Foundation) -> Professionals:
    lookup, clock, chance = ground.public.lookup, ground.clock, ground.chance
    sessions = Sessions(ground.store, lookup, clock, chance)
    return Professionals(ground.store, lookup, ground.private().wrapper, sessions, clock, chance)


def site_of(config: Config) -> str:
    """Where the pages are. Raises BadValue when there are none."""
    web = config.web
    if web is not None and web.https is not None:
        return f"https://{config.host}" + (f":{web.https.port}" if web.https.port != 443 else "")
    if web is not None and web.serve_pages_on_http and web.http is not None:
        return f"http://{web.http.host}:{web.http.port}"
    raise BadValue("there are no pages to sign in to: set [web] https and tls")
