"""How do the demo's people come into the store? Keys, tables, mailboxes, patients: made once, safe to repeat.

Passwords and one-time-code secrets follow from the demo's seed, so a start that was killed half-way finds the same.
"""

from __future__ import annotations

import base64

from mss.accounts.passwords import Passwords
from mss.accounts.professionals import Invited, Professionals
from mss.accounts.service import Accounts, KnownIdentity, Profile
from mss.accounts.sessions import Sessions
from mss.accounts.software import SoftwareLogin, verifier_of
from mss.accounts.staff import StaffAccounts
from mss.accounts.verification import Verification
from mss.config import Config
from mss.crypto.keys import create_key_files
from mss.demo import addressbook
from mss.demo.papers import Papers, application_name, subject_of
from mss.demo.people import (
    MAILBOXES,
    PATIENT_LIST,
    STAFF_LOGIN,
    STAFF_NAME,
    WEB_PROFESSIONAL,
    DemoMailbox,
    DemoPatient,
)
from mss.foundation import Foundation, lay
from mss.model.clock import SystemChance
from mss.model.ids import MailAddress, OwnerId
from mss.model.mailbox import MailboxKind
from mss.model.people import IdentityStatus
from mss.store import accounts, owners
from mss.store.accounts import AccountKind, CredentialKind
from mss.store.create import create_or_upgrade

TOTP_BYTES = 20


def application_password(papers: Papers, address: str) -> str:
    """The application password of a professional of the demo, in groups of four."""
    letters = base64.b32encode(papers.random(f"application password {address}", 15)).decode().lower()
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def web_password(papers: Papers, login: str) -> str:
    """Of somebody who signs in to the pages: satisfies their rules."""
    return "Demo-" + base64.b32encode(papers.random(f"password {login}", 5)).decode().lower() + "-1"


def totp_secret(papers: Papers, login: str) -> bytes:
    return papers.random(f"one-time codes {login}", TOTP_BYTES)


async def seed(config: Config, papers: Papers, operator: str) -> None:
    """Make keys, tables and people of one operator."""
    create_key_files(config.keys_dir, SystemChance())
    config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    await create_or_upgrade(config.url)
    ground = await lay(config, "demo", hears=False)
    try:
        service = Accounts(ground.store, ground.public.lookup, ground.private(), ground.clock, ground.chance)
        await addressbook.fill(ground, config)
        for box in MAILBOXES:
            if box.operator == operator:
                await _mailbox(ground, service, papers, box)
        if config.bridge.checker:
            await _checker(ground, service, config.bridge.checker)
        if config.patient_domain:
            for patient in PATIENT_LIST:
                await _patient(ground, service, papers, patient)
            await _staff(ground, papers)
    finally:
        await ground.close()


async def _owner_of(ground: Foundation, address: str) -> OwnerId | None:
    hashed = ground.public.lookup.address(MailAddress.parse(address).key)
    return await ground.store.read(lambda c: owners.find(c, hashed))


async def _mailbox(ground: Foundation, service: Accounts, papers: Papers, box: DemoMailbox) -> None:
    owner = await _owner_of(ground, box.address)
    if owner is None:
        profile = Profile(box.name, box.address, national_id=box.national_id)
        owner = await service.create_mailbox(box.kind, MailAddress.parse(box.address), profile)
    if box.kind is MailboxKind.PERSONAL:
        verification = Verification(ground.store, ground.public.lookup, ground.bus, ground.clock)
        await verification.begin(owner, box.national_id)
    if box.kind is MailboxKind.PERSONAL:
        kind = CredentialKind.APPLICATION_PASSWORD
        if not await ground.store.read(lambda c: accounts.credentials(c, owner, kind)):
            secret = application_password(papers, box.address)
            await service.add_credential(owner, kind, verifier_of(ground.public.lookup, secret))
    if box.address == WEB_PROFESSIONAL:
        await _way_in(ground, papers, Invited(owner, box.address))
    if box.kind is MailboxKind.APPLICATION:
        login = SoftwareLogin(ground.store, ground.public.lookup, ground.clock, ground.chance)
        await login.allow_certificate(owner, str(subject_of(papers, application_name(box.address))))
    for member in box.members:
        account = await _owner_of(ground, member)
        assert account is not None, "people stand before their teams in the list"
        await service.add_member(owner, account, "member")


async def _way_in(ground: Foundation, papers: Papers, who: Invited) -> None:
    """Her password and codes for the pages."""
    if not await ground.store.read(lambda c: accounts.credentials(c, who.owner, CredentialKind.PASSWORD)):
        lookup, clock, chance = ground.public.lookup, ground.clock, ground.chance
        sessions = Sessions(ground.store, lookup, clock, chance)
        service = Professionals(ground.store, lookup, ground.private().wrapper, sessions, clock, chance)
        hashed = await Passwords(chance).hash(web_password(papers, who.address))
        await service.let_in(who, hashed, totp_secret(papers, who.address))


async def _checker(ground: Foundation, service: Accounts, address: str) -> None:
    """The mailbox for makers of software, into which nobody signs in."""
    if await _owner_of(ground, address) is None:
        profile = Profile("Vérification d'archives", address)
        await service.create_mailbox(MailboxKind.APPLICATION, MailAddress.parse(address), profile)


async def _staff(ground: Foundation, papers: Papers) -> None:
    """Somebody who decides at the desk about what is held."""
    service = StaffAccounts(ground.store, ground.public.lookup, ground.private().wrapper, ground.clock, ground.chance)
    if STAFF_LOGIN not in {member.login for member in await service.everybody()}:
        hashed = await Passwords(ground.chance).hash(web_password(papers, STAFF_LOGIN))
        await service.add(STAFF_LOGIN, STAFF_NAME, "", hashed, totp_secret(papers, STAFF_LOGIN))


async def _patient(ground: Foundation, service: Accounts, papers: Papers, patient: DemoPatient) -> None:
    owner = await _owner_of(ground, patient.address)
    if owner is None:
        identity = KnownIdentity(patient.ins, patient.traits, IdentityStatus.QUALIFIED, "demo")
        profile = Profile(patient.name, patient.address)
        owner = await service.create_patient(MailAddress.parse(patient.address), profile, identity)
    if patient.active and await ground.store.read(lambda c: accounts.account(c, owner)) is None:
        hashed = await Passwords(ground.chance).hash(web_password(papers, patient.login))
        secret = totp_secret(papers, patient.login)
        await service.let_sign_in(owner, AccountKind.PATIENT, patient.login, hashed, secret)
    if patient.represented_by:
        parent = next(one for one in PATIENT_LIST if one.login == patient.represented_by)
        account = await _owner_of(ground, parent.address)
        assert account is not None, "parents stand before their children in the list"
        await service.add_member(owner, account, "representative")
