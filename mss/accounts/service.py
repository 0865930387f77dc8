"""How does a mailbox or a patient come to be? Rows, keys and look-ups of new owners, in one transaction each.

Sign-in is `login.py`'s; this creates what signs in. Everything is safe to repeat: an address or login that
exists already is refused by name, never made twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime

from mss.accounts import lifecycle
from mss.accounts.lifecycle import LifeEvent, Wish
from mss.crypto.keys import Lookup, PrivateKeys
from mss.directory import ownfacts
from mss.directory.own import OF_PEOPLE, Own
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import BadValue
from mss.model.ids import Ins, MailAddress, OwnerId, lane_of
from mss.model.mailbox import BORN_KEYWORDS, DEFAULT_FOLDERS, AccountState, MailboxKind, SpecialUse
from mss.model.people import IdentityStatus, IdentityTraits, Sex
from mss.model.verdict import Refuse
from mss.store import accounts, audit, folders, keywordbits, owners, patients
from mss.store.accounts import AccountKind, AccountRow, CredentialKind, CredentialRow
from mss.store.database import Store
from mss.store.ids import new_id, new_owner
from mss.store.owners import MailboxRow
from mss.store.patients import IdentityRow, PatientRow
from mss.store.sql import Connection
from mss.vault.opener import OwnerKeys, new_owner_keys

ADDRESS_KIND = b"address"
FOLDER_KIND = b"folder"
KEYWORD_KIND = b"keyword"
PROFILE_KIND = b"profile"
IDENTITY_KIND = b"identity"

RPPS_DIGITS = 11
QUOTA_BYTES = 5 * 1024**3
"""Of a professional mailbox, until the operator sets another."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How the house names an owner to people: sealed with the mailbox."""

    display_name: str
    address: str
    language: str = "fr"
    national_id: str = ""
    """RPPS of a person, structure id of an organisation; empty for patients."""


@dataclass(frozen=True, slots=True)
class KnownIdentity:
    """An identity of a patient as we know it."""

    ins: Ins
    traits: IdentityTraits
    status: IdentityStatus
    source: str = ""


def identity_to_bytes(ins: Ins, traits: IdentityTraits) -> bytes:
    """Sealed form of an identity."""
    fields = [ins.value, ins.oid, traits.birth_name, list(traits.given_names), traits.birth_date.isoformat()]
    return json.dumps([*fields, traits.sex, traits.birth_place]).encode()


def identity_from_bytes(data: bytes) -> tuple[Ins, IdentityTraits]:
    value, oid, name, given, born, sex, place = json.loads(data)
    return Ins.parse(value, oid), IdentityTraits(name, tuple(given), date.fromisoformat(born), Sex(sex), place)


def profile_to_bytes(profile: Profile) -> bytes:
    return json.dumps([profile.display_name, profile.address, profile.language, profile.national_id]).encode()


def profile_from_bytes(data: bytes) -> Profile:
    return Profile(*json.loads(data))


READ_BY_PEOPLE = frozenset({MailboxKind.PERSONAL, MailboxKind.ORGANISATIONAL, MailboxKind.OFFICE})
"""Kinds of mailbox that have a folder of patients who wait for an answer."""
OF_A_STRUCTURE = frozenset({MailboxKind.ORGANISATIONAL, MailboxKind.APPLICATION})
"""Their number is an organisation's, and public; a person's stays sealed."""


class Accounts:
    """Creates mailboxes and patients. Needs the wrapping key: commands and desk only."""

    def __init__(self, store: Store, lookup: Lookup, keys: PrivateKeys, clock: Clock, chance: Chance) -> None:
        self._store = store
        self._lookup = lookup
        self._keys = keys
        self._clock = clock
        self._chance = chance

    async def create_mailbox(self, kind: MailboxKind, address: MailAddress, profile: Profile) -> OwnerId:
        """A professional, organisational or application mailbox with its folders.

        Raises BadValue when the address is taken.
        """
        owner = new_owner(self._chance)
        keys, wrapped = new_owner_keys(owner, self._keys.wrapper, self._chance)
        account_kind = AccountKind.APPLICATION if kind is MailboxKind.APPLICATION else AccountKind.PROFESSIONAL

        def act(connection: Connection) -> None:
            self._insert_mailbox(connection, keys, wrapped, kind, AccountState.ACTIVE, address, profile)
            row = AccountRow(owner, account_kind, AccountState.ACTIVE, None, 0, 0, 0)
            accounts.insert_account(connection, row, self._lookup.login(address.key))

        await self._store.write(lane_of(owner), act)
        return owner

    async def create_patient(
        self,
        address: MailAddress,
        profile: Profile,
        identity: KnownIdentity,
        state: AccountState = AccountState.PROVISIONED,
    ) -> OwnerId:
        """A patient with her identity, mailbox and record. Raises BadValue when address or INS is taken."""
        owner = new_owner(self._chance)
        keys, wrapped = new_owner_keys(owner, self._keys.wrapper, self._chance)
        number, now_ms = new_id(self._clock, self._chance), to_ms(self._clock.now())
        ins_hmac = self._lookup.ins(identity.ins.value, identity.ins.oid)
        row = IdentityRow(
            identity=number,
            ins_hmac=ins_hmac,
            status=identity.status,
            source=identity.source,
            valid_from_ms=now_ms,
            valid_until_ms=0,
            identity_sealed=keys.seal_small(IDENTITY_KIND, number, identity_to_bytes(identity.ins, identity.traits)),
        )

        def act(connection: Connection) -> None:
            self._insert_mailbox(connection, keys, wrapped, MailboxKind.PATIENT, state, address, profile)
            if not owners.point(connection, ins_hmac, owner):
                raise BadValue("this INS belongs to a patient already")
            sealed = keys.seal_small(PROFILE_KIND, 0, profile_to_bytes(profile))
            patients.insert_patient(connection, PatientRow(owner, state, sealed))
            patients.insert_identity(connection, owner, row)

        await self._store.write(lane_of(owner), act)
        return owner

    def _insert_mailbox(
        self,
        connection: Connection,
        keys: OwnerKeys,
        wrapped: bytes,
        kind: MailboxKind,
        state: AccountState,
        address: MailAddress,
        profile: Profile,
    ) -> None:
        owner, now = keys.owner, self._clock.now()
        address_hmac = self._lookup.address(address.key)
        if not owners.point(connection, address_hmac, owner):
            raise BadValue(f"the address {address} exists already")
        sealed = keys.seal_small(ADDRESS_KIND, 0, profile_to_bytes(profile))
        quota = 0 if kind is MailboxKind.PATIENT else QUOTA_BYTES  # a patient's box never refuses for quota
        box = MailboxRow(owner, kind, state, address_hmac, sealed, keys.pair.public, wrapped, quota, 0)
        owners.insert_mailbox(connection, box, to_ms(now))
        if kind in OF_A_STRUCTURE and profile.national_id:
            owners.set_structure(connection, owner, profile.national_id)
        for name, use in DEFAULT_FOLDERS:
            if use is SpecialUse.UNANSWERED and kind not in READ_BY_PEOPLE:
                continue
            folder = new_id(self._clock, self._chance)
            name_sealed = keys.seal_small(FOLDER_KIND, folder, name.encode())
            folders.create_folder(connection, owner, folder, name_sealed, self._lookup.folder(owner, name), use)
            if use is SpecialUse.INBOX and kind is not MailboxKind.PATIENT:
                self._insert_keywords(connection, keys, folder)
        if kind is not MailboxKind.PATIENT:
            ownfacts.begin(connection, self._lookup, _own(kind, address, profile), now, "staff")
        audit.write(connection, [audit.Act(now, "staff", "mailbox.create", owner, result=kind)])

    def _insert_keywords(self, connection: Connection, keys: OwnerKeys, folder: int) -> None:
        """Those that delivery sets, in their order: it cannot seal a name for a mailbox that it cannot open."""
        for name in BORN_KEYWORDS:
            sealed = keys.seal_small(KEYWORD_KIND, folder, name.encode())
            keywordbits.add(connection, keys.owner, folder, sealed, self._lookup.keyword(folder, name))

    async def let_sign_in(
        self, owner: OwnerId, kind: AccountKind, login: str, password_hash: str, totp_secret: bytes
    ) -> None:
        """Give a patient (or staff) an account: login name, argon2 hash, one-time-code secret.

        Raises BadValue when the login is taken.
        """
        login_hmac = self._lookup.login(login)
        wrapped = self._keys.wrapper.wrap(totp_secret, totp_context(owner))
        row = AccountRow(owner, kind, AccountState.ACTIVE, wrapped, 0, 0, 0)

        def act(connection: Connection) -> None:
            if accounts.account(connection, owner) is not None:
                raise BadValue("whoever this is can sign in already")
            patient = patients.patient(connection, owner)
            if kind is AccountKind.PATIENT and (patient is None or not _may(patient.state, LifeEvent.ACTIVATE)):
                raise BadValue("this is no patient who waits to be activated")
            if not owners.point(connection, login_hmac, owner):
                raise BadValue("this login exists already")
            accounts.insert_account(connection, row, login_hmac)
            self._add_credential(connection, owner, CredentialKind.PASSWORD, password_hash.encode())
            patients.set_patient_state(connection, owner, AccountState.ACTIVE)
            owners.set_state(connection, owner, AccountState.ACTIVE)

        await self._store.write(lane_of(owner), act)

    async def add_credential(self, owner: OwnerId, kind: CredentialKind, verifier: bytes) -> None:
        """One more way to prove an account: an application password's hash, a certificate's keyed hash."""
        await self._store.write(lane_of(owner), lambda c: self._add_credential(c, owner, kind, verifier))

    def _add_credential(self, connection: Connection, owner: OwnerId, kind: CredentialKind, verifier: bytes) -> None:
        number, now = new_id(self._clock, self._chance), self._clock.now()
        accounts.insert_credential(connection, owner, CredentialRow(number, kind, verifier), to_ms(now))
        audit.write(connection, [audit.Act(now, "staff", "credential.add", owner, number, result=kind)])

    async def add_member(self, team: OwnerId, account: OwnerId, rights: str) -> None:
        """Let a representative open a child's space, or a first member a team's mailbox (later ones: teams.py)."""

        def act(connection: Connection) -> None:
            owners.add_member(connection, team, account, rights)
            audit.write(connection, [audit.Act(self._clock.now(), "staff", "member.add", team, account, result=rights)])

        await self._store.write(lane_of(team), act)

    async def live_on(self, owner: OwnerId, event: LifeEvent) -> None:
        """Suspend, resume or close a mailbox and whoever signs in to it. Raises BadValue when that cannot be."""

        def act(connection: Connection) -> None:
            box = owners.mailbox(connection, owner)
            state = None if box is None else lifecycle.next_state(box.state, event)
            if box is None or state is None:
                raise BadValue(f"{event.value} is not for a mailbox that is {box.state if box else 'unknown'}")
            move(connection, owner, state, self._clock.now())

        await self._store.write(lane_of(owner), act)

    async def set_state(self, owner: OwnerId, state: AccountState) -> None:
        """The same without asking whether it can be: for tests and repairs."""
        await self._store.write(lane_of(owner), lambda c: move(c, owner, state, self._clock.now()))


def move(connection: Connection, owner: OwnerId, state: AccountState, now: datetime, actor: str = "staff") -> None:
    """A mailbox, and whoever signs in to it, pass to another state. Whether they may is asked before."""
    owners.set_state(connection, owner, state)
    accounts.set_account_state(connection, owner, state)
    patients.set_patient_state(connection, owner, state)
    box = owners.mailbox(connection, owner)
    if box is not None and box.kind is not MailboxKind.PATIENT:
        takes_mail = not isinstance(lifecycle.judge(state, Wish.RECEIVE), Refuse)
        ownfacts.lives(connection, box.address_hmac, now, actor, takes_mail=takes_mail)
    if state is not AccountState.ACTIVE:
        accounts.delete_sessions_of(connection, owner)
    audit.write(connection, [audit.Act(now, actor, "mailbox.state", owner, result=state)])


def _own(kind: MailboxKind, address: MailAddress, profile: Profile) -> Own:
    """What is said of a new mailbox in the directory: whose it is. A number that is none is nobody's."""
    number = "".join(profile.national_id.split())
    try:
        if kind in OF_PEOPLE:
            return Own(address.key, kind, idnps="8" + number if len(number) == RPPS_DIGITS else number)
        return Own(address.key, kind, idnst=number, title=profile.display_name)
    except BadValue:
        return Own(address.key, kind)


def _may(state: AccountState, event: LifeEvent) -> bool:
    return lifecycle.next_state(state, event) is not None


def totp_context(owner: int) -> bytes:
    """What binds a wrapped one-time-code secret to its account."""
    return b"one-time-code secret %d" % owner
