"""`mss staff add|list|suspend|resume|close`: the people who decide at the desk about what is held."""

from __future__ import annotations

import base64
from typing import Annotated

import typer

from mss.accounts.lifecycle import LifeEvent
from mss.accounts.passwords import Passwords, faults_of
from mss.accounts.staff import StaffAccounts, StaffMember
from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, finish, open_house, settings, show
from mss.config import Config
from mss.foundation import Foundation
from mss.model.errors import BadValue, NotFound

app = typer.Typer(no_args_is_help=True, help="People of the operator who sign in under /desk.")

Login = Annotated[str, typer.Argument(help="Name under which the person signs in.")]
TOTP_BYTES = 20


@app.command()
def add(
    login: Login,
    name: Annotated[str, typer.Option(help="As colleagues read it.")],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, help="Asked for when left out.")],
    domain: Annotated[str, typer.Option(help="Of ours: sees what is held for it. Left out: everything.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let somebody sign in; prints the secret for the one-time-code app, once."""
    print(finish(_add(settings(config), login, name, password, domain)))


async def _add(config: Config, login: str, name: str, password: str, domain: str) -> str:
    if domain and domain not in config.domains:
        raise BadValue(f"{domain} is not among the domains of this operator: {', '.join(config.domains)}")
    if faults := faults_of(password, login):
        raise BadValue("password refused: " + ", ".join(fault.value for fault in faults))
    async with open_house(config) as ground:
        secret = ground.chance.token(TOTP_BYTES)
        await _service(ground).add(login, name, domain, await Passwords(ground.chance).hash(password), secret)
        return base64.b32encode(secret).decode().rstrip("=")


@app.command("list")
def list_staff(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Who there is."""
    members = finish(_everybody(settings(config)))
    rows = [{"login": m.login, "name": m.name, "domain": m.domain or "all", "state": m.state.value} for m in members]
    show(rows, as_json=as_json, columns=("login", "name", "domain", "state"), empty="nobody signs in under /desk")


async def _everybody(config: Config) -> list[StaffMember]:
    async with open_house(config) as ground:
        return await _service(ground).everybody()


@app.command()
def suspend(login: Login, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """End the person's sessions and let nobody sign in under this name until it is resumed."""
    _live_on(config, login, LifeEvent.SUSPEND)


@app.command()
def resume(login: Login, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Let a suspended person sign in again."""
    _live_on(config, login, LifeEvent.RESUME)


@app.command()
def close(login: Login, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """The person has left. The login is never given to another."""
    _live_on(config, login, LifeEvent.CLOSE)


def _live_on(config: ConfigOption, login: str, event: LifeEvent) -> None:
    async def act(read: Config) -> None:
        async with open_house(read) as ground:
            try:
                await _service(ground).live_on(login, event)
            except NotFound as problem:
                raise BadValue(f"nobody signs in as {login}: see mss staff list") from problem

    finish(act(settings(config)))
    print(f"{login}: {event.value}d")


def _service(ground: Foundation) -> StaffAccounts:
    keys = ground.private()
    return StaffAccounts(ground.store, ground.public.lookup, keys.wrapper, ground.clock, ground.chance)
