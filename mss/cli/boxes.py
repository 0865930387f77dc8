"""Which mailbox does a command mean? Addresses from the command line, turned into owners or a line that says no."""

from __future__ import annotations

from typing import Annotated

import typer

from mss.foundation import Foundation
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, OwnerId
from mss.model.mailbox import MailboxKind
from mss.store import owners

Address = Annotated[str, typer.Argument(help="The mailbox's address.")]


async def owner_of(ground: Foundation, address: str) -> OwnerId:
    """The owner behind an address. Raises BadValue."""
    hashed = ground.public.lookup.address(MailAddress.parse(address).key)
    owner = await ground.store.read(lambda c: owners.find(c, hashed))
    if owner is None:
        raise BadValue(f"{address}: no such mailbox here")
    return owner


async def kind_of(ground: Foundation, owner: OwnerId) -> MailboxKind | None:
    box = await ground.store.read(lambda c: owners.mailbox(c, owner))
    return None if box is None else box.kind


async def professional(ground: Foundation, address: str) -> OwnerId:
    """The owner of a person's mailbox. Raises BadValue: teams and software do not sign in with passwords, and
    patients at their pages only."""
    owner = await owner_of(ground, address)
    if await kind_of(ground, owner) not in (MailboxKind.PERSONAL, MailboxKind.OFFICE):
        raise BadValue(f"{address} is not a professional's mailbox")
    return owner
