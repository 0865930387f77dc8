"""Whose mail client or software is this? Application passwords and client certificates, for SMTP and IMAP.

An application password is 120 bits that we make and show once; nobody can guess it, so nothing slow is needed to
keep it: a keyed hash is checked in microseconds, which a mail client that signs in every minute, and a door without
a sign-in flood to fear, both like. (Argon2 is for what people invent.) Public keys only: lives on the edge too.
"""

from __future__ import annotations

import base64
import hmac

from sqlalchemy import Connection

from mss.accounts import lifecycle
from mss.accounts.lifecycle import Wish
from mss.crypto.keys import Lookup
from mss.formats.dn import DistinguishedName
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.verdict import Accept
from mss.store import accounts, audit, owners
from mss.store.accounts import AccountRow, CredentialKind, CredentialRow
from mss.store.database import Store
from mss.store.ids import new_id

SECRET_BYTES = 15  # 120 bits: 24 letters and digits, six groups of four
SECRET_CHARS_MAX = 64
NOBODY = OwnerId(0)


def make_application_password(lookup: Lookup, chance: Chance) -> tuple[str, bytes]:
    """A new secret in groups of four, and the verifier to keep."""
    letters = base64.b32encode(chance.token(SECRET_BYTES)).decode().lower()
    secret = "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))
    return secret, verifier_of(lookup, secret)


def certificate_hash(lookup: Lookup, subject: str) -> bytes:
    """The keyed hash by which a certificate's subject leads to its mailbox. Raises BadValue."""
    return lookup.of("certificate", str(DistinguishedName.parse(subject)))


class SoftwareLogin:
    """Tells mail doors whose login it is."""

    def __init__(self, store: Store, lookup: Lookup, clock: Clock, chance: Chance) -> None:
        self._store = store
        self._lookup = lookup
        self._clock = clock
        self._chance = chance

    def way_in(self, address: str) -> bytes:
        """The keyed hash by which an address that somebody signs in with leads to an account. Raises BadValue."""
        return self._lookup.address(MailAddress.parse(address.strip()).key)

    async def application_password(self, address: str, secret: str) -> OwnerId | None:
        """The account whose address and application password these are; None for every other pair, alike."""
        try:
            hashed = self.way_in(address)
        except BadValue:
            return None
        offered = self.proof_of_password(secret)
        row = await self._store.look_up(lambda connection: who_comes_in(connection, hashed, offered))
        return None if row is None else row.owner

    async def certificate(self, subject: str) -> OwnerId | None:
        """The application mailbox to which a certificate's subject (RFC 4514) was given; None when to none.

        The chain, dates and purpose of the certificate are the TLS door's matter, before this.
        """
        try:
            hashed = certificate_hash(self._lookup, subject)
        except BadValue:
            return None

        row = await self._store.look_up(lambda connection: who_comes_in(connection, hashed, hashed))
        return None if row is None else row.owner

    def proof_of_password(self, secret: str) -> bytes:
        """By which a password that was taken is known again, without keeping it."""
        return verifier_of(self._lookup, secret[:SECRET_CHARS_MAX])

    def proof_of_certificate(self, subject: str) -> bytes:
        """The same of a certificate's subject. Raises BadValue."""
        return certificate_hash(self._lookup, subject)

    async def still_opens(self, owner: OwnerId, proof: bytes) -> bool:
        """Whether an account may still sign in with what it signed in with; asked again in a running session."""

        def ask(connection: Connection) -> bool:
            return may_still_sign_in(connection, owner, proof)

        return await self._store.look_up(ask)

    async def allow_certificate(self, owner: OwnerId, subject: str) -> None:
        """Let a certificate's subject sign in to a mailbox. Raises BadValue when it has another already."""
        hashed = certificate_hash(self._lookup, subject)
        number, now = new_id(self._clock, self._chance), self._clock.now()

        def act(connection: Connection) -> None:
            if not owners.point(connection, hashed, owner):
                raise BadValue("this certificate signs in to another mailbox")
            known = accounts.credentials(connection, owner, CredentialKind.CERTIFICATE)
            if all(row.verifier != hashed for row in known):
                row = CredentialRow(number, CredentialKind.CERTIFICATE, hashed)
                accounts.insert_credential(connection, owner, row, to_ms(now))
                audit.write(connection, [audit.Act(now, "staff", "credential.add", owner, number, result=row.kind)])

        await self._store.write(lane_of(owner), act)


def verifier_of(lookup: Lookup, secret: str) -> bytes:
    """The keyed hash of an application password. Groups and capitals are for the eye; the hash does without."""
    return lookup.of("application password", "".join(c for c in secret.lower() if c.isalnum()))


def who_comes_in(connection: Connection, way_in: bytes, proof: bytes) -> AccountRow | None:
    """The account to which a keyed hash (of an address, of a certificate's subject) leads, when the proof is its; None
    for every other pair, alike: the same is asked about nobody."""
    return who_may_stay(connection, owners.find(connection, way_in, way=owners.Way.OPEN) or NOBODY, proof)


def who_may_stay(connection: Connection, owner: OwnerId, proof: bytes) -> AccountRow | None:
    """The account, when it may still sign in with this; `proof` empty: it came in with something that is judged
    elsewhere, and only its state counts."""
    row = accounts.account(connection, owner)
    may = isinstance(lifecycle.judge(row.state if row else None, Wish.SIGN_IN), Accept)
    if proof:
        known = accounts.credentials(connection, owner, CredentialKind.APPLICATION_PASSWORD, CredentialKind.CERTIFICATE)
        is_known = any(hmac.compare_digest(one.verifier, proof) for one in known)
        may = may and is_known
    return row if may else None


def may_still_sign_in(connection: Connection, owner: OwnerId, proof: bytes) -> bool:
    """Whether it may."""
    return who_may_stay(connection, owner, proof) is not None
