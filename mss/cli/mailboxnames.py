"""`mss mailbox alias|delegate|absence|quota`: other addresses, delegates, who is away, how much it holds."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import typer

from mss.accounts.absence import Absence, Absences
from mss.accounts.names import Names
from mss.accounts.service import ADDRESS_KIND, profile_from_bytes
from mss.cli.boxes import Address, owner_of, professional
from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, fail, finish, open_house, settings, show
from mss.config import Config
from mss.directory.extras import Extras
from mss.foundation import Foundation
from mss.model.errors import BadValue
from mss.model.ids import MailAddress
from mss.store import owners

WHO = "staff:command"
MEGABYTE = 1000 * 1000


def alias(
    address: Address,
    add: Annotated[str, typer.Option(help="Another address, which then works like the first.")] = "",
    previous: Annotated[bool, typer.Option("--previous", help="With --add: mail arrives, nobody writes.")] = False,
    remove: Annotated[str, typer.Option(help="Take one away: mail to it is refused, nobody else gets it.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Other addresses of a mailbox: list them, add one, take one away."""
    if add and remove:
        fail("one thing at a time: --add or --remove")
    rows = finish(_alias(settings(config), address, add, remove, is_previous=previous))
    show(rows, as_json=as_json, columns=("address", "kind"), empty="no other address")


async def _alias(config: Config, address: str, add: str, remove: str, *, is_previous: bool) -> list[dict[str, Any]]:
    async with open_house(config) as ground:
        owner, names = await owner_of(ground, address), _names(ground)
        keys = await ground.opener(ground.private()).open(owner, WHO, "mailbox alias")
        if add:
            await names.add_alias(keys, _of_ours(config, add), is_previous=is_previous)
        if remove:
            await names.remove_alias(owner, MailAddress.parse(remove))
        return [
            {"address": str(one.address), "kind": "previous" if one.is_previous else "alias"}
            for one in await names.aliases(keys)
        ]


def _of_ours(config: Config, text: str) -> MailAddress:
    address = MailAddress.parse(text)
    if address.domain not in config.domains or address.domain == config.patient_domain:
        raise BadValue(f"{address.domain} is no domain of this operator's professionals")
    if address.local.lower() == "postmaster":
        raise BadValue("postmaster@ reaches the person that the settings name")
    return address


def delegate(
    address: Address,
    to: Annotated[str, typer.Option(help="A person who may write in this mailbox's name from now on.")] = "",
    revoke: Annotated[str, typer.Option(help="A person who may no more.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Who may write in a mailbox's name (not open it): list them, let one, let one no more."""
    if to and revoke:
        fail("one thing at a time: --to or --revoke")
    rows = finish(_delegate(settings(config), address, to, revoke))
    show(rows, as_json=as_json, columns=("address", "name"), empty="nobody writes in its name")


async def _delegate(config: Config, address: str, to: str, revoke: str) -> list[dict[str, Any]]:
    async with open_house(config) as ground:
        owner, names = await owner_of(ground, address), _names(ground)
        if to:
            await names.delegate(owner, await professional(ground, to))
        if revoke:
            await names.revoke(owner, await professional(ground, revoke))
        opener, rows = ground.opener(ground.private()), []
        for account in await names.delegates(owner):
            box = await ground.store.read(lambda c, account=account: owners.mailbox(c, account))  # type: ignore[misc]
            assert box is not None, "no mailbox is ever deleted"
            keys = await opener.open(account, WHO, "mailbox delegate")
            profile = profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, box.address_sealed))
            rows.append({"address": profile.address, "name": profile.display_name})
        return rows


def absence(
    address: Address,
    first: Annotated[str, typer.Option("--from", help="First day away, YYYY-MM-DD.")] = "",
    last: Annotated[str, typer.Option("--until", help="Last day away, included.")] = "",
    text: Annotated[str, typer.Option(help="One more sentence for whoever writes.")] = "",
    substitute: Annotated[str, typer.Option(help="Address of whoever stands in.")] = "",
    off: Annotated[bool, typer.Option("--off", help="The holder is there.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Tell whoever writes, once each, that the holder is away and who stands in: show it, set it, end it."""
    if bool(first) != bool(last) or (off and first):
        fail("say --from and --until, or --off")
    wanted = finish(_wanted(first, last, text, substitute))
    rows = finish(_absence(settings(config), address, wanted, ends=off))
    show(rows, as_json=as_json, columns=("from", "until", "substitute", "text"), empty="not away")


async def _wanted(first: str, last: str, text: str, substitute: str) -> Absence | None:
    if not first:
        return None
    try:
        days = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        raise BadValue("days are written YYYY-MM-DD") from None
    return Absence(*days, text, MailAddress.parse(substitute) if substitute else None)


async def _absence(config: Config, address: str, wanted: Absence | None, *, ends: bool) -> list[dict[str, Any]]:
    async with open_house(config) as ground:
        owner, absences = await owner_of(ground, address), Absences(ground.store, ground.clock, ground.chance)
        keys = await ground.opener(ground.private()).open(owner, WHO, "mailbox absence")
        extras = Extras(ground.store, ground.clock)
        if wanted is not None:
            await absences.set(keys, wanted)
            first, until = wanted.moments
            await extras.away(MailAddress.parse(address), first, until, str(wanted.substitute or ""))
        if ends:
            await absences.end(keys)
            await extras.away(MailAddress.parse(address), ground.clock.now(), ground.clock.now(), "")
        set_now = await absences.current(keys)
        if set_now is None:
            return []
        one = set_now[1]
        told = {"from": str(one.first), "until": str(one.last), "substitute": str(one.substitute or "")}
        return [{**told, "text": one.text}]


def quota(
    address: Address,
    megabytes: Annotated[int, typer.Argument(min=0, help="How much it may hold; 0: no limit.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """How much a mailbox may hold before senders are put off (452)."""
    finish(_quota(settings(config), address, megabytes * MEGABYTE))
    print(f"{address}: {megabytes or 'no limit'}{' MB' if megabytes else ''}")


async def _quota(config: Config, address: str, quota_bytes: int) -> None:
    async with open_house(config) as ground:
        await _names(ground).set_quota(await owner_of(ground, address), quota_bytes)


def _names(ground: Foundation) -> Names:
    return Names(ground.store, ground.public.lookup, ground.clock, ground.chance)
