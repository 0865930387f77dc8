"""Which mailbox does a command mean? Addresses from the command line, turned into owners or a line that says no."""

from __future__ import annotations

from typing import Annotated

import typer

from mss.directory.search import Person, Search, Site
from mss.directory.words import words
from mss.foundation import Foundation
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, OwnerId, ProfessionalId, StructureId
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


PERSONS = (MailboxKind.PERSONAL, MailboxKind.OFFICE)
_RPPS_DIGITS, _FINESS_CHARS, _SIRET_DIGITS = 11, 9, 14


def national_number(kind: MailboxKind, typed: str) -> str:
    """IDNPS of a person or IDNST of a structure, also when RPPS, FINESS or SIRET is typed. Raises BadValue."""
    plain = "".join(typed.split())
    if kind in PERSONS:
        return ProfessionalId("8" + plain if len(plain) == _RPPS_DIGITS else plain).value
    before = {_FINESS_CHARS: "1", _SIRET_DIGITS: "3"}.get(len(plain), "")
    return StructureId(before + plain).value


async def verified_number(ground: Foundation, kind: MailboxKind, typed: str, name: str) -> str:
    """The number as a mailbox keeps it (RPPS of a person, IDNST of a structure), checked in the directory, when one was
    ever imported: who is not in it gets no mailbox. Raises BadValue."""
    search = Search(ground.store)
    is_filled = await search.as_of() is not None
    if not typed:
        if is_filled and kind in PERSONS:
            raise BadValue("only verified professionals get a mailbox: say --national-id, or --unverified")
        return ""
    number = national_number(kind, typed)
    if is_filled:
        found = await (search.person(number) if kind in PERSONS else search.site(number))
        _refuse_unverified(ground, found, typed, name)
    return as_kept(kind, number)


def as_kept(kind: MailboxKind, number: str) -> str:
    """A person under her RPPS where she has one, a structure under its IDNST."""
    return (ProfessionalId(number).rpps or number) if kind in PERSONS else number


def _refuse_unverified(ground: Foundation, found: Person | Site | None, typed: str, name: str) -> None:
    if found is None:
        raise BadValue(f"{typed} is not in the directory: check the number, import a newer file, or say --unverified")
    if found.verified.next_check < ground.clock.now():
        raise BadValue("the directory was not checked for a month: mss directory import first, or say --unverified")
    if isinstance(found, Person) and not set(words(found.professional.family)) & set(words(name)):
        called = f"{found.professional.given} {found.professional.family}"
        raise BadValue(f"{typed} is {called} in the directory, not {name}: check the number, or say --unverified")
