"""A cellar with keys, and invented people who can sign in: what tests of rooms and doors stand on."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyotp

from mss.accounts import onetime
from mss.accounts.login import Login
from mss.accounts.passwords import Passwords
from mss.accounts.profiles import Profiles
from mss.accounts.service import Accounts, KnownIdentity, Profile
from mss.accounts.sessions import Sessions
from mss.crypto.keys import PrivateKeys, PublicKeys, create_key_files, load_private, load_public
from mss.model.clock import ManualClock, SeededChance
from mss.model.ids import Ins, InsOid, MailAddress, OwnerId, ins_key
from mss.model.mailbox import AccountState, MailboxKind
from mss.model.people import IdentityStatus, IdentityTraits, Sex
from mss.store.accounts import AccountKind
from mss.store.blobs import BodyStore, LocalBodies
from mss.store.database import Store
from mss.vault.opener import Opener, OwnerKeys
from tests.kit.databases import with_tables

PASSWORD = "Correct-Horse-42"
QUICK_MEMORY_KIB = 64  # argon2 as it is, only small: tests sign in hundreds of times


@dataclass
class Person:
    """A patient of the tests, with all that she knows."""

    owner: OwnerId
    name: str
    login: str
    password: str
    totp_secret: bytes
    address: str
    ins: Ins

    def code(self, clock: ManualClock, *, steps: int = 0) -> str:
        """What her phone shows now."""
        step = int(clock.now().timestamp()) // onetime.STEP_S + steps
        return pyotp.HOTP(onetime.to_base32(self.totp_secret)).at(step)


@dataclass
class Cellar:
    """An open store with every key, and the rooms above it that sign people in."""

    store: Store
    bodies: BodyStore
    public: PublicKeys
    private: PrivateKeys
    clock: ManualClock
    chance: SeededChance

    def __post_init__(self) -> None:
        lookup, wrapper = self.public.lookup, self.private.wrapper
        self.accounts = Accounts(self.store, lookup, self.private, self.clock, self.chance)
        self.passwords = Passwords(self.chance, memory_kib=QUICK_MEMORY_KIB)
        self.opener = Opener(self.store, self.bodies, wrapper, self.clock, self.chance)
        self.profiles = Profiles(self.store)
        self._numbers = itertools.count(1)
        self.sign_in_again()

    def sign_in_again(self) -> None:
        """Fresh rooms on the same store, as after a restart: what memory held is gone."""
        lookup, clock, chance = self.public.lookup, self.clock, self.chance
        self.sessions = Sessions(self.store, lookup, clock, chance)
        wrapper = self.private.wrapper
        self.login = Login(self.store, lookup, wrapper, self.sessions, self.passwords, clock, chance, pace_s=0)

    async def keys(self, owner: OwnerId) -> OwnerKeys:
        return await self.opener.open(owner, f"login:{owner}", "test")

    async def enrol(self, name: str = "Claire MARTIN", *, login: str = "") -> Person:
        """A patient with a login, of whom nobody else has the number."""
        number = next(self._numbers)
        stem = f"27903512151{number:02d}"
        ins = Ins.parse(f"{stem}{ins_key(stem):02d}", InsOid.NIR_TEST)
        given, _, family = name.rpartition(" ")
        address = f"{ins.value}@patient.mssante.example"
        traits = IdentityTraits(family.upper(), (given,), date(1979, 3, 28), Sex.FEMALE, "51215")
        owner = await self.accounts.create_patient(
            MailAddress.parse(address), Profile(name, address), KnownIdentity(ins, traits, IdentityStatus.QUALIFIED)
        )
        person = Person(owner, name, login or f"patient.{number}", PASSWORD, self.chance.token(20), address, ins)
        hashed = await self.passwords.hash(PASSWORD)
        await self.accounts.let_sign_in(owner, AccountKind.PATIENT, person.login, hashed, person.totp_secret)
        return person

    async def professional(self, address: str, kind: MailboxKind = MailboxKind.PERSONAL) -> OwnerId:
        return await self.accounts.create_mailbox(kind, MailAddress.parse(address), Profile(address, address))

    async def set_state(self, owner: OwnerId, state: AccountState) -> None:
        from mss.model.ids import lane_of
        from mss.store import accounts

        await self.store.write(lane_of(owner), lambda c: accounts.set_account_state(c, owner, state))


@asynccontextmanager
async def cellar(url: str, directory: Path, clock: ManualClock, chance: SeededChance) -> AsyncIterator[Cellar]:
    """A new cellar at `url`, its keys and bodies below `directory`."""
    await with_tables(url)
    create_key_files(directory / "keys", chance)
    store = Store.open(url)
    public, private = load_public(directory / "keys"), load_private(directory / "keys", chance)
    try:
        yield Cellar(store, LocalBodies(directory / "bodies"), public, private, clock, chance)
    finally:
        await store.close()
