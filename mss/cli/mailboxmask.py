"""`mss mailbox mask`: what the mail programs of one account are not offered, because one of them breaks on it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mss.cli.boxes import Address, owner_of
from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, finish, open_house, settings, show
from mss.config import Config
from mss.imap.login import ALWAYS, LOGGED_IN
from mss.imap.mask import REVISION, root, with_dependents
from mss.model.errors import BadValue
from mss.model.ids import lane_of
from mss.model.mailbox import SENT_COPY
from mss.store import accounts, audit
from mss.store.sql import Connection

WHO = "staff:command"
KNOWN = frozenset({root(name) for name in (*ALWAYS, *LOGGED_IN, SENT_COPY)} - {REVISION})


def mask(
    address: Address,
    hide: Annotated[list[str] | None, typer.Option(help="A capability, as IDLE; may be repeated.")] = None,
    offer: Annotated[list[str] | None, typer.Option(help="Offer it again; may be repeated.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """What an account's mail programs are not offered by IMAP: list it, hide something, offer it again.

    SENT-COPY is not of IMAP: without it the server no longer files what the account sends.
    """
    rows = finish(_mask(settings(config), address, set(hide or ()), set(offer or ())))
    show(rows, as_json=as_json, columns=("hidden", "why"), empty="everything is offered")


async def _mask(config: Config, address: str, hide: set[str], offer: set[str]) -> list[dict[str, Any]]:
    hide, offer = {_known(name) for name in hide}, {_known(name) for name in offer}
    async with open_house(config) as ground:
        owner = await owner_of(ground, address)
        now = ground.clock.now()

        def act(connection: Connection) -> list[str]:
            if accounts.account(connection, owner) is None:
                raise BadValue(f"{address} signs in nowhere: the mask is kept with the accounts of its members")
            names = sorted((set(accounts.masked(connection, owner)) | hide) - offer)
            if hide or offer:
                accounts.set_masked(connection, owner, names)
                result = " ".join(names)
                audit.write(connection, [audit.Act(now, WHO, "mailbox.mask", owner, result=result)])
            return names

        names = await ground.store.write(lane_of(owner), act)
    rows = [{"hidden": name, "why": "as asked"} for name in names]
    return rows + [{"hidden": name, "why": "goes with it"} for name in sorted(with_dependents(names) - set(names))]


def _known(name: str) -> str:
    """Raises BadValue."""
    if root(name) not in KNOWN:
        raise BadValue(f"{name}: nothing that can be hidden; {', '.join(sorted(KNOWN))} can")
    return root(name)
