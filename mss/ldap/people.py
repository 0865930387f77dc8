"""Who looks people up? A professional, by address and application password, as in her mail client.

Patients have none, so nobody of theirs comes in; a mailbox that is suspended or closed is a wrong password, and ends a
connection that stands.
"""

from __future__ import annotations

from dataclasses import dataclass

from mss.accounts.software import SoftwareLogin, may_still_sign_in
from mss.model.ids import OwnerId
from mss.model.mailbox import MailboxKind
from mss.store import owners
from mss.store.database import Store


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who has proved who she is, and with what."""

    owner: OwnerId
    address: str
    proof: bytes


class BookLogin:
    """Judges a name and a password."""

    def __init__(self, login: SoftwareLogin, store: Store) -> None:
        self._login = login
        self._store = store

    async def admit(self, address: str, password: bytes) -> Reader | None:
        """The reader, or None for every other pair, alike."""
        try:
            secret = password.decode("utf-8")
        except UnicodeDecodeError:
            return None
        owner = await self._login.application_password(address, secret)
        if owner is None:
            return None
        box = await self._store.read(lambda c: owners.mailbox(c, owner))
        if box is None or box.kind is MailboxKind.PATIENT:
            return None
        return Reader(owner, address.strip().lower(), self._login.proof_of_password(secret))

    async def may_stay(self, reader: Reader) -> bool:
        """Whether she may still sign in with what she signed in with."""
        return await self._store.look_up(lambda c: may_still_sign_in(c, reader.owner, reader.proof))
