"""An IMAP server with invented people behind it, on real sockets with real TLS: what dialogues and clients talk to.

The same house stands on a store of dictionaries, on SQLite and on PostgreSQL; tests do not see the difference.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from mss.accounts.knocks import Knocks
from mss.accounts.lifecycle import LifeEvent
from mss.accounts.software import SoftwareLogin, verifier_of
from mss.accounts.teams import Teams
from mss.crypto.authority import Issued
from mss.crypto.tls import TlsHolder, service_server_context
from mss.imap.backend import (
    TOKEN_MECHANISMS,
    Account,
    Authenticate,
    Box,
    MailStore,
    Member,
    Members,
    NewMessage,
    Review,
)
from mss.imap.commands import Flags
from mss.imap.mailacts import CellarMailStore
from mss.imap.people import MailLogin, TeamDesk
from mss.imap.server import Caps, ImapServer
from mss.imap.state import Settings
from mss.model.clock import Clock, ManualClock, SeededChance
from mss.model.ids import OwnerId
from mss.model.mailbox import MailboxKind
from mss.model.rights import letters_of, word_of
from mss.store import owners as owners_at
from mss.store.accounts import CredentialKind
from mss.store.changes import ChangeBus
from tests.kit.memory_mailstore import MemoryMailStore
from tests.kit.people import Cellar, cellar
from tests.kit.pki import HOSPITAL, Pki

DOCTOR = "marie.dubois@chu.mssante.example"
COLLEAGUE = "paul.leroy@chu.mssante.example"
TEAM = "secretariat@chu.mssante.example"
SOFTWARE = "dpi@chu.mssante.example"
PASSWORD = "abcd-efgh-ijkl-mnop"
LEVEL = {DOCTOR: "administrator", COLLEAGUE: "member"}
PEOPLE = {
    DOCTOR: MailboxKind.PERSONAL,
    COLLEAGUE: MailboxKind.PERSONAL,
    TEAM: MailboxKind.ORGANISATIONAL,
    SOFTWARE: MailboxKind.APPLICATION,
}


@dataclass
class Keeper:
    """A mail store with its people: the doctor and the colleague (both members of the team; she may say who else is),
    the software."""

    store: MailStore
    authenticate: Authenticate
    boxes: dict[str, Box]
    review: Review
    members: Members
    suspend: Callable[[str], Awaitable[None]]
    """Let somebody sign in no more."""


class Tokens:
    """Judges the tokens of invented people: `token.of.` and the address, in base64 without padding."""

    def __init__(self, owners: Mapping[str, OwnerId]) -> None:
        self._owners = owners

    async def owner_of(self, token: str) -> OwnerId | None:
        return next((owner for address, owner in self._owners.items() if token == token_of(address)), None)


def token_of(address: str) -> str:
    return "token.of." + base64.b64encode(address.encode()).decode().rstrip("=")


@dataclass
class ImapHouse:
    """A listening server."""

    server: ImapServer
    keeper: Keeper
    starttls_port: int
    tls_port: int
    ca: Path
    software_certificate: tuple[Path, Path]

    @property
    def store(self) -> MailStore:
        return self.keeper.store

    def client_tls(self, *, as_software: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if as_software:
            context.load_cert_chain(*self.software_certificate)
        return context

    async def put(self, *messages: bytes, user: str = DOCTOR, folder: str = "INBOX", flags: int = 0) -> list[int]:
        """Put messages into a folder behind the server's back, as delivery does."""
        target = await self.store.folder(self.keeper.boxes[user], folder)
        moment = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
        return [await self.store.append(target, NewMessage(raw, Flags(flags), moment)) for raw in messages]


def letter(number: int = 1, *, subject: str = "", body: str = "Bonjour,\r\nvoici le message.\r\n") -> bytes:
    """A small message."""
    return (
        f"From: Dr Jeanne Petit <jeanne.petit@labo.mssante.example>\r\nTo: {DOCTOR}\r\n"
        f"Subject: {subject or f'Compte rendu {number}'}\r\nDate: Mon, 5 Jan 2026 10:{number % 60:02d}:00 +0100\r\n"
        f"Message-ID: <{number}.test@labo.mssante.example>\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}"
    ).encode()


def memory_keeper(clock: Clock) -> Keeper:
    """People whose mail is kept in dictionaries."""
    store = MemoryMailStore(clock)
    gone: set[str] = set()
    rights = {address: letters_of(level) for address, level in LEVEL.items()}
    numbers = {DOCTOR: OwnerId(101), COLLEAGUE: OwnerId(102), TEAM: OwnerId(103), SOFTWARE: OwnerId(104)}
    boxes = {address: Box(owner, owner, address) for address, owner in numbers.items()}
    for owner in numbers.values():
        store.add_box(owner)

    async def authenticate(mechanism: str, username: str, secret: bytes, peer: str) -> Account | None:
        if mechanism == "EXTERNAL":
            username = SOFTWARE
        elif mechanism in TOKEN_MECHANISMS:
            owner = await Tokens(numbers).owner_of(secret.decode())
            whose = next((address for address, number in numbers.items() if number == owner), "")
            if not whose or username not in ("", whose):
                return None
            username = whose
        elif secret != PASSWORD.encode() or username not in boxes or username == TEAM:
            return None
        return account_of(username)

    def account_of(username: str) -> Account:
        own = boxes[username]
        team = Box(numbers[TEAM], own.owner, TEAM, rights.get(username, ""), username.partition("@")[0])
        return Account(own.owner, own, (team,) if team.rights else ())

    async def review(account: Account) -> Account | None:
        assert account.own is not None
        if account.own.address in gone:
            return None
        now = account_of(account.own.address)
        return account if now == account else now

    async def suspend(address: str) -> None:
        gone.add(address)

    return Keeper(store, authenticate, boxes, review, _MemoryMembers(rights, boxes), suspend)


class _MemoryMembers:
    """Who belongs to the team, in a dictionary."""

    def __init__(self, rights: dict[str, str], boxes: Mapping[str, Box]) -> None:
        self._rights = rights
        self._boxes = boxes

    async def members(self, box: Box) -> list[Member]:
        return [Member(address, letters) for address, letters in sorted(self._rights.items()) if letters]

    async def change(self, box: Box, address: str, change: Callable[[str], str]) -> bool:
        if address not in self._boxes or PEOPLE[address] is not MailboxKind.PERSONAL:
            return False
        self._rights[address] = letters_of(word_of(change(self._rights.get(address, ""))))
        return True


@asynccontextmanager
async def cellar_keeper(
    url: str, directory: Path, clock: ManualClock, pki: Pki, *, seed: int = 7
) -> AsyncIterator[Keeper]:
    """The same people with real accounts in a real cellar, sealed bodies and all; found there when they were there."""
    chance = SeededChance(seed)
    async with cellar(url, directory / "cellar", clock, chance) as below:
        lookup, bus = below.public.lookup, ChangeBus("test")
        login = SoftwareLogin(below.store, lookup, clock, chance)
        owners = {address: await _person(below, address, kind) for address, kind in PEOPLE.items()}
        for address in (DOCTOR, COLLEAGUE):
            verifier = verifier_of(lookup, PASSWORD)
            await below.accounts.add_credential(owners[address], CredentialKind.APPLICATION_PASSWORD, verifier)
            await below.accounts.add_member(owners[TEAM], owners[address], LEVEL[address])
        await login.allow_certificate(owners[SOFTWARE], str(software(pki).subject))
        store = CellarMailStore(below.store, below.opener, below.bodies, bus, lookup, clock, chance)
        people = MailLogin(login, below.store, below.opener, clock, chance, Knocks(clock, _at_once), Tokens(owners))
        boxes = {address: Box(owner, owner, address) for address, owner in owners.items()}
        desk = TeamDesk(Teams(below.store, bus, clock), below.store, below.opener, lookup)

        async def suspend(address: str) -> None:
            await below.accounts.live_on(owners[address], LifeEvent.SUSPEND)

        yield Keeper(store, people.authenticate, boxes, people.review, desk, suspend)


async def _at_once(_seconds: float) -> None:
    """In place of sleep: tests of dialogues do not wait after a wrong password (tests/accounts/test_knocks.py)."""


async def _person(below: Cellar, address: str, kind: MailboxKind) -> OwnerId:
    hashed = below.public.lookup.address(address)
    known = await below.store.read(lambda c: owners_at.find(c, hashed))
    return known or await below.professional(address, kind)


@cache
def software(pki: Pki) -> Issued:
    """The certificate of the hospital's software."""
    return pki.authority.issue_client(HOSPITAL, now=pki.now, mail=SOFTWARE)


@asynccontextmanager
async def imap_house(
    keeper: Keeper,
    pki: Pki,
    directory: Path,
    clock: Clock | None = None,
    settings: Settings | None = None,
    caps: Caps | None = None,
) -> AsyncIterator[ImapHouse]:
    """A server on two free ports of this machine."""
    issued = pki.hospital
    ca = directory / "ca.pem"
    ca.write_bytes(pki.authority.bundle_pem)
    client = software(pki).write(directory, "software")
    tls = TlsHolder(lambda: service_server_context(issued.certificate_pem, issued.key_pem, pki.authority.bundle_pem))
    settings = settings or Settings("imap.chu.mssante.example", takes_tokens=True)
    server = ImapServer(
        keeper.store,
        keeper.authenticate,
        clock or ManualClock(),
        settings,
        tls,
        caps,
        review=keeper.review,
        members=keeper.members,
    )
    starttls_port = await server.listen("127.0.0.1", 0, implicit_tls=False)
    tls_port = await server.listen("127.0.0.1", 0, implicit_tls=True)
    try:
        yield ImapHouse(server, keeper, starttls_port, tls_port, ca, client)
    finally:
        await server.close(grace_s=1)


def numbered(count: int) -> Sequence[bytes]:
    """Letters 1 to `count`."""
    return [letter(number) for number in range(1, count + 1)]
