"""`mss patient enrol|show|activate`: patients, from a file that an identity service made."""

from __future__ import annotations

import base64
import json
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from mss.accounts.passwords import Passwords, faults_of
from mss.accounts.service import Accounts, KnownIdentity, Profile
from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, finish, open_house, settings
from mss.config import Config
from mss.foundation import Foundation
from mss.model.errors import BadValue
from mss.model.ids import Ins, MailAddress
from mss.model.people import IdentityStatus, IdentityTraits, Sex
from mss.store import accounts, owners, patients
from mss.store.accounts import AccountKind

app = typer.Typer(no_args_is_help=True, help="Patients and their identities.")

TOTP_BYTES = 20
FILE_BYTES_MAX = 100 * 1024 * 1024
"""A million people in one file."""


@app.command()
def enrol(
    file: Annotated[Path, typer.Argument(help="JSON list: birth_name, given, birth_date, sex, birth_place, ins, oid.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Make patients with mailbox and record. Who is here already is left as it is; wrong rows are named."""
    made, standing, wrong = finish(_enrol(settings(config), file))
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{made} made, {standing} were here already, {len(wrong)} refused")
    if wrong:
        raise typer.Exit(1)


async def _enrol(config: Config, file: Path) -> tuple[int, int, list[str]]:
    if not config.patient_domain:
        raise BadValue("this operator has no patient_domain in its settings")
    rows = _read_rows(file)
    made, standing, wrong = 0, 0, []
    async with open_house(config) as ground:
        service = _service(ground)
        for number, row in enumerate(rows, 1):
            try:
                is_new = await _enrol_one(ground, service, config, row)
            except KeyError as problem:
                wrong.append(f"row {number}: field {problem} is missing")
                continue
            except (TypeError, ValueError) as problem:  # BadValue among them
                wrong.append(f"row {number}: {problem}")
                continue
            made, standing = made + is_new, standing + (not is_new)
    return made, standing, wrong


def _read_rows(file: Path) -> list[dict[str, Any]]:
    if file.stat().st_size > FILE_BYTES_MAX:
        raise BadValue(f"{file} is larger than {FILE_BYTES_MAX} bytes: cut it up")
    try:
        rows = json.loads(file.read_text())
    except (ValueError, RecursionError) as problem:
        raise BadValue(f"{file} is not JSON: {problem}") from problem
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadValue(f"{file} is not a JSON list of patients")
    return rows


async def _enrol_one(ground: Foundation, service: Accounts, config: Config, row: dict[str, Any]) -> bool:
    texts = {name: _text(row, name) for name in ("ins", "oid", "birth_name", "birth_date", "sex")}
    ins = Ins.parse(texts["ins"], texts["oid"])
    given = [str(one) for one in row["given"]] if isinstance(row["given"], list) else _text(row, "given").split()
    born, sex = date.fromisoformat(texts["birth_date"]), Sex(texts["sex"])
    traits = IdentityTraits(texts["birth_name"], tuple(given), born, sex, str(row.get("birth_place", "")))
    status = IdentityStatus(row.get("status", IdentityStatus.QUALIFIED))
    hashed = ground.public.lookup.ins(ins.value, ins.oid)
    if await ground.store.read(lambda c: owners.find(c, hashed)) is not None:
        return False
    address = MailAddress(ins.value, config.patient_domain)
    name = row.get("name") or f"{traits.first_given_name.title()} {traits.birth_name}"
    identity = KnownIdentity(ins, traits, status, row.get("source", "file"))
    await service.create_patient(address, Profile(name, str(address)), identity)
    return True


def _text(row: dict[str, Any], name: str) -> str:
    value = row[name]
    if not isinstance(value, str) or not value.strip():
        raise BadValue(f"field {name!r} is not a text")
    return value


@app.command()
def show(
    address: Annotated[str, typer.Argument(help="The patient's address.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """State of a patient's account. Shows no trait."""
    fields = finish(_show(settings(config), address))
    print(json.dumps(fields) if as_json else "\n".join(f"{name}: {value}" for name, value in fields.items()))


async def _show(config: Config, address: str) -> dict[str, Any]:
    from mss.cli.boxes import owner_of

    async with open_house(config) as ground:
        owner = await owner_of(ground, address)
        patient = await ground.store.read(lambda c: patients.patient(c, owner))
        known = await ground.store.read(lambda c: patients.identities(c, owner))
        account = await ground.store.read(lambda c: accounts.account(c, owner))
    if patient is None:
        raise BadValue(f"{address} is not a patient's address")
    statuses = ", ".join(row.status for row in known)
    return {"state": patient.state.value, "identities": statuses, "may_sign_in": account is not None}


@app.command()
def activate(
    address: Annotated[str, typer.Argument(help="The patient's address.")],
    login: Annotated[str, typer.Option(help="Login that the person chose.")],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, help="Asked for when left out.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let a patient sign in; prints the secret for her one-time-code app, once."""
    print(finish(_activate(settings(config), address, login, password)))


async def _activate(config: Config, address: str, login: str, password: str) -> str:
    from mss.cli.boxes import owner_of

    faults = faults_of(password, login)
    if faults:
        raise BadValue("password refused: " + ", ".join(fault.value for fault in faults))
    async with open_house(config) as ground:
        owner = await owner_of(ground, address)
        secret = ground.chance.token(TOTP_BYTES)
        hashed = await Passwords(ground.chance).hash(password)
        await _service(ground).let_sign_in(owner, AccountKind.PATIENT, login, hashed, secret)
        return base64.b32encode(secret).decode().rstrip("=")


def _service(ground: Foundation) -> Accounts:
    return Accounts(ground.store, ground.public.lookup, ground.private(), ground.clock, ground.chance)
