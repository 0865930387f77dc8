"""`mss directory strike|reinstate|check|suspend-overdue|contested`: what staff decide about people and addresses."""

from __future__ import annotations

from typing import Annotated

import typer

from mss.accounts.service import ADDRESS_KIND, profile_from_bytes
from mss.accounts.verification import Verification, idnps_of
from mss.cli.boxes import Address, professional
from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, finish, open_house, settings, show
from mss.config import Config
from mss.directory.contests import Contests
from mss.directory.extras import NOTHING_KNOWN, Extras, Said
from mss.foundation import Foundation, standing_rules
from mss.model.clock import from_ms
from mss.model.errors import BadValue, NotFound
from mss.model.ids import MailAddress
from mss.store import owners

ACTOR = "staff:command"
Number = Annotated[str, typer.Argument(help="RPPS or IDNPS of a person.")]


def verification(ground: Foundation, config: Config) -> Verification:
    return Verification(ground.store, ground.public.lookup, ground.bus, ground.clock, standing_rules(config))


def strike(number: Number, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """She was struck off: her mailboxes here are suspended, every session of hers ends within seconds; closed later."""
    count = finish(_strike(settings(config), number))
    print(f"{number}: access ended, {count} mailbox(es) suspended")


async def _strike(config: Config, number: str) -> int:
    async with open_house(config) as ground:
        struck = await verification(ground, config).strike(idnps_of(number), ACTOR)
    if not struck:
        raise BadValue(f"nobody with a mailbox here has the number {number}: see mss directory show {number}")
    return len(struck)


def reinstate(number: Number, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Undo strike, or an import that did not know her: her suspended mailboxes are open again."""

    async def act(config: Config) -> int:
        async with open_house(config) as ground:
            back = await verification(ground, config).reinstate(idnps_of(number), ACTOR)
        if not back:
            raise BadValue(f"the access of {number} has not ended here")
        return len(back)

    print(f"{number}: {finish(act(settings(config)))} mailbox(es) open again")


def check(address: Address, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """You have checked who holds this mailbox: the directory vouches if it knows her, else you, for a year."""

    async def act(config: Config) -> str:
        async with open_house(config) as ground:
            owner = await professional(ground, address)
            box = await ground.store.read(lambda c: owners.mailbox(c, owner))
            if box is None:
                raise NotFound("mailbox")
            keys = await ground.opener(ground.private()).open(owner, ACTOR, "directory check")
            profile = profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, box.address_sealed))
            service = verification(ground, config)
            await service.begin(owner, profile.national_id)
            return await service.check_again(owner, idnps_of(profile.national_id), ACTOR)

    print(f"{address}: checked; {finish(act(settings(config)))} vouches")


def suspend_overdue(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Suspend all whose grace is over, also when they are more than 1 % at once."""

    async def act(config: Config) -> int:
        async with open_house(config) as ground:
            service = verification(ground, config)
            dues = await service.due()
            await service.suspend_overdue(dues, accepts=True)
            return sum(one.step == "suspend" for one in dues)

    print(f"{finish(act(settings(config)))} suspended")


def contested(
    accept: Annotated[str, typer.Option(help="This address is the new holder's from the next import on.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Addresses that a file gave to somebody else: nobody is shown behind them until you have decided."""
    if accept:
        finish(_accept(settings(config), accept))
        print(f"{accept}: import the file again")
        return

    async def ask(config: Config) -> list[dict[str, object]]:
        async with open_house(config) as ground:
            rows = await Contests(ground.store, config.domains, ground.clock).all()
        return [
            {
                "address": row.address,
                "holder": row.holder,
                "claimed_by": row.claimed_by,
                "since": from_ms(row.since_ms).isoformat(timespec="minutes"),
            }
            for row in rows
        ]

    columns = ("address", "holder", "claimed_by", "since")
    show(finish(ask(settings(config))), as_json=as_json, columns=columns, empty="no address is contested")


async def _accept(config: Config, typed: str) -> None:
    async with open_house(config) as ground:
        contests = Contests(ground.store, config.domains, ground.clock)
        await contests.believe_file(MailAddress.parse(typed), ACTOR)


def say(
    address: Address,
    purpose: Annotated[str | None, typer.Option(help="What it is for: lettres de sortie de cardiologie.")] = None,
    max_mb: Annotated[int | None, typer.Option(min=0, help="Largest message in MB; 0: not said.")] = None,
    patients: Annotated[bool | None, typer.Option(help="Whether it answers patients.")] = None,
    xdm: Annotated[bool | None, typer.Option(help="Whether it takes IHE_XDM archives.")] = None,
    paperless: Annotated[bool | None, typer.Option(help="Whether paper may be left out.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """What an address is for and what it takes: shown wherever it is found. What is not named stays."""
    wishes = (purpose, None if max_mb is None else max_mb * 1024 * 1024, patients, xdm, paperless)
    finish(_say(settings(config), address, wishes))
    print(f"{address}: noted")


async def _say(
    config: Config, typed: str, wishes: tuple[str | None, int | None, bool | None, bool | None, bool | None]
) -> None:
    address = MailAddress.parse(typed)
    async with open_house(config) as ground:
        extras = Extras(ground.store, ground.clock)
        before = (await extras.of([address.key])).get(address.key, NOTHING_KNOWN).said
        stands = (
            before.purpose,
            before.size_bytes_max,
            before.accepts_patients,
            before.accepts_xdm,
            before.is_paperless,
        )
        purpose, size, patients, xdm, paperless = (
            old if new is None else new for new, old in zip(wishes, stands, strict=True)
        )
        said = Said(str(purpose), int(size or 0), patients, xdm, paperless)  # type: ignore[arg-type]
        await extras.say(address, said, ACTOR)


COMMANDS = (strike, reinstate, check, contested, say)
