"""`mss mailbox create|list|password|suspend|resume|close|reopen`: mailboxes of professionals, teams and software."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from mss.accounts.lifecycle import LifeEvent
from mss.accounts.service import ADDRESS_KIND, Accounts, Profile, profile_from_bytes
from mss.accounts.software import SoftwareLogin, certificate_hash, make_application_password
from mss.accounts.verification import PERSONS, idnps_of
from mss.cli.boxes import Address, as_kept, kind_of, national_number, owner_of, professional, verified_number
from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, finish, open_house, settings, show
from mss.cli.directorypeople import verification
from mss.cli.mailboximport import import_mailbox
from mss.cli.mailboxmask import mask
from mss.cli.mailboxmembers import member
from mss.cli.mailboxnames import absence, alias, delegate, quota
from mss.cli.mailboxretention import retention
from mss.cli.mailboxweb import invite
from mss.config import Config
from mss.foundation import Foundation
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.mailbox import MailboxKind
from mss.store import accounts, changes, owners, standings
from mss.store.accounts import CredentialKind
from mss.vault.opener import Opener

app = typer.Typer(no_args_is_help=True, help="Mailboxes of professionals, teams and software.")


@dataclass(frozen=True, slots=True)
class NewMailbox:
    """What staff ask for."""

    address: str
    name: str
    kind: MailboxKind
    national_id: str
    members: list[str]
    certificate: str
    is_checked_otherwise: bool


@app.command()
def create(
    address: Address,
    name: Annotated[str, typer.Option(help="Name shown to people.")],
    kind: Annotated[MailboxKind, typer.Option(help="National code of the kind.")] = MailboxKind.PERSONAL,
    national_id: Annotated[str, typer.Option(help="RPPS, or structure id of an ORG or APP mailbox.")] = "",
    member: Annotated[list[str] | None, typer.Option(help="ORG: address of a member; may be repeated.")] = None,
    certificate: Annotated[str, typer.Option(help="APP: subject of its client certificate (RFC 4514).")] = "",
    unverified: Annotated[
        bool, typer.Option("--unverified", help="You have checked who this is by other means than the directory.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Make a mailbox. A personal one gets an application password, printed once. Once a directory was imported, whoever
    is not in it is refused."""
    wish = NewMailbox(address, name, kind, national_id, member or [], certificate, unverified)
    secret = finish(_create(settings(config), wish))
    print(f"{address}: made" + (f"; application password {secret} (shown this once)" if secret else ""))


async def _create(config: Config, wish: NewMailbox) -> str:
    address, kind = MailAddress.parse(wish.address), wish.kind
    if kind is MailboxKind.PATIENT:
        raise BadValue("a patient's mailbox comes with the patient: mss patient enrol")
    if address.domain not in config.domains:
        raise BadValue(f"{address.domain} is not among this operator's domains")
    async with open_house(config) as ground:
        service = _service(ground)
        accounts_of_members = [await professional(ground, member) for member in wish.members]
        if wish.certificate:
            hashed = certificate_hash(ground.public.lookup, wish.certificate)
            if await ground.store.read(lambda c: owners.find(c, hashed)) is not None:
                raise BadValue("this certificate signs in to another mailbox")
        number = await _number(ground, wish, verified_only=config.directory.verified_only)
        if kind in PERSONS and number and await verification(ground, config).is_struck_off(idnps_of(number)):
            raise BadValue(f"{number} was struck off here: mss directory reinstate {number}, if that has ended")
        owner = await service.create_mailbox(kind, address, Profile(wish.name, str(address), national_id=number))
        if kind in PERSONS:
            await verification(ground, config).begin(owner, number)
        for account in accounts_of_members:
            await service.add_member(owner, account, "member")
        if wish.certificate:
            login = SoftwareLogin(ground.store, ground.public.lookup, ground.clock, ground.chance)
            await login.allow_certificate(owner, wish.certificate)
        return await _new_password(ground, service, owner) if kind is MailboxKind.PERSONAL else ""


async def _number(ground: Foundation, wish: NewMailbox, *, verified_only: bool) -> str:
    """The national number, of the right shape whoever has checked it. Raises BadValue."""
    if verified_only and not wish.is_checked_otherwise:
        return await verified_number(ground, wish.kind, wish.national_id, wish.name)
    if not wish.national_id:
        return ""
    return as_kept(wish.kind, national_number(wish.kind, wish.national_id))


@app.command()
def password(address: Address, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Make a new application password; earlier ones stop working."""
    print(finish(_password(settings(config), address)))


async def _password(config: Config, address: str) -> str:
    async with open_house(config) as ground:
        owner = await professional(ground, address)
        kind = CredentialKind.APPLICATION_PASSWORD
        await ground.store.write(lane_of(owner), lambda c: accounts.delete_credentials(c, owner, kind))
        secret = await _new_password(ground, _service(ground), owner)
        ground.bus.publish(changes.ACCOUNT, owner)
        return secret


async def _new_password(ground: Foundation, service: Accounts, owner: OwnerId) -> str:
    secret, verifier = make_application_password(ground.public.lookup, ground.chance)
    await service.add_credential(owner, CredentialKind.APPLICATION_PASSWORD, verifier)
    return secret


@app.command("list")
def list_mailboxes(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Mailboxes of professionals, teams and software. Patients are not listed."""
    rows = finish(_list(settings(config)))
    show(rows, as_json=as_json, columns=("address", "kind", "state", "used_bytes", "name"), empty="no mailbox yet")


async def _list(config: Config) -> list[dict[str, Any]]:
    async with open_house(config) as ground:
        opener: Opener = ground.opener(ground.private())
        boxes = await ground.store.read(lambda c: list(owners.all_mailboxes(c)))
        rows = []
        for box in boxes:
            if box.kind is MailboxKind.PATIENT:
                continue
            keys = await opener.open(box.owner, "staff:command", "mailbox list")
            profile = profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, box.address_sealed))
            rows.append(
                {
                    "address": profile.address,
                    "kind": box.kind.value,
                    "state": box.state.value,
                    "used_bytes": box.used_bytes,
                    "name": profile.display_name,
                }
            )
        return rows


@app.command()
def suspend(address: Address, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Take no mail for now (450) and let nobody sign in."""
    finish(_pass(settings(config), address, LifeEvent.SUSPEND))
    print(f"{address}: suspended")


@app.command()
def resume(address: Address, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Undo suspend or read-only."""
    finish(_pass(settings(config), address, LifeEvent.RESUME))
    print(f"{address}: active")


@app.command("read-only")
def retire(address: Address, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Its holder leaves: she may still read it; mail is refused for good (550), nothing is sent. Undone by resume."""
    finish(_pass(settings(config), address, LifeEvent.RETIRE))
    print(f"{address}: read-only")


@app.command()
def close(address: Address, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Its holder has left: mail is refused for good (550), nobody signs in. Nobody else ever gets the address."""
    finish(_pass(settings(config), address, LifeEvent.CLOSE))
    print(f"{address}: closed")


@app.command()
def reopen(address: Address, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Undo close."""
    finish(_pass(settings(config), address, LifeEvent.REOPEN))
    print(f"{address}: active")


async def _pass(config: Config, address: str, event: LifeEvent) -> None:
    async with open_house(config) as ground:
        owner = await owner_of(ground, address)
        if (
            event in (LifeEvent.CLOSE, LifeEvent.REOPEN, LifeEvent.RETIRE)
            and await kind_of(ground, owner) is MailboxKind.PATIENT
        ):
            raise BadValue("a patient's space is closed and reopened under mss patient, not here")
        row = await ground.store.read(lambda c: standings.standing(c, owner))
        if row is not None and row.ended_why and event in (LifeEvent.RESUME, LifeEvent.REOPEN):
            raise BadValue(f"its holder's access has ended ({row.ended_why}): mss directory reinstate or check, first")
        await _service(ground).live_on(owner, event)
        ground.bus.publish(changes.ACCOUNT, owner)
        ground.bus.publish(changes.FOLDER, owner)  # who reads a team's folder is looked at too


def _service(ground: Foundation) -> Accounts:
    return Accounts(ground.store, ground.public.lookup, ground.private(), ground.clock, ground.chance)


for _command in (alias, delegate, member, absence, mask, quota, retention, invite):
    app.command()(_command)
app.command("import")(import_mailbox)
