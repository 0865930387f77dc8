"""Who signs in to a mail client, and which mailboxes may they open? `Authenticate` on the real accounts.

Application passwords and client certificates are judged by mss/accounts/software.py; here the account gets its own
mailbox and the team mailboxes of which it is a member.
"""

from __future__ import annotations

from mss.accounts.service import ADDRESS_KIND, profile_from_bytes
from mss.accounts.software import SoftwareLogin
from mss.accounts.tokens import TOKEN_CHARS_MAX, TokenChecker
from mss.crypto.certs import load_der, read
from mss.imap.backend import OWNER_RIGHTS, TOKEN_MECHANISMS, Account, Box
from mss.model.errors import BadValue
from mss.model.ids import OwnerId
from mss.model.mailbox import AccountState
from mss.store import owners
from mss.store.database import Store
from mss.vault.opener import Opener

RIGHTS_OF = {"member": OWNER_RIGHTS}
"""What a membership allows by mail client; others (a child's representative) are for the web."""


class MailLogin:
    """`authenticate` is what `ImapServer` is given."""

    def __init__(self, login: SoftwareLogin, store: Store, opener: Opener, tokens: TokenChecker | None = None) -> None:
        """`tokens` judges bearer tokens; None: nobody comes in with one."""
        self._login = login
        self._tokens = tokens
        self._store = store
        self._opener = opener

    async def authenticate(self, mechanism: str, username: str, secret: bytes, peer: str) -> Account | None:
        """See mss/imap/backend.py: Authenticate."""
        owner = await self._owner(mechanism, username, secret)
        if owner is None:
            return None
        account = await self._account(owner)
        speaks_for_itself = mechanism in ("EXTERNAL", *TOKEN_MECHANISMS)
        if speaks_for_itself and username and (account.own is None or account.own.address != username):
            return None  # a certificate or token speaks for its own mailbox only
        return account

    async def _owner(self, mechanism: str, username: str, secret: bytes) -> OwnerId | None:
        if mechanism == "EXTERNAL":
            try:
                return await self._login.certificate(str(read(load_der(secret)).subject))
            except BadValue:
                return None
        if mechanism in TOKEN_MECHANISMS:
            return await self._token_owner(secret)
        try:
            return await self._login.application_password(username, secret.decode("utf-8"))
        except UnicodeDecodeError:
            return None

    async def _token_owner(self, secret: bytes) -> OwnerId | None:
        if self._tokens is None or len(secret) > TOKEN_CHARS_MAX or not secret.isascii():
            return None
        return await self._tokens.owner_of(secret.decode("ascii"))

    async def _account(self, owner: OwnerId) -> Account:
        memberships = await self._store.read(lambda c: owners.memberships(c, owner))
        shared = []
        for team, word in memberships:
            if word in RIGHTS_OF and (box := await self._box(team, owner, RIGHTS_OF[word])) is not None:
                shared.append(box)
        return Account(owner, await self._box(owner, owner, OWNER_RIGHTS), tuple(shared))

    async def _box(self, owner: OwnerId, account: OwnerId, rights: str) -> Box | None:
        """A mailbox that is open to the account, with its address; None when it is closed."""
        row = await self._store.read(lambda c: owners.mailbox(c, owner))
        if row is None or row.state is not AccountState.ACTIVE:
            return None
        keys = await self._opener.open(owner, f"login:{account}", "imap")
        profile = profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, row.address_sealed))
        return Box(owner, account, profile.address, rights)
