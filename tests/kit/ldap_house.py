"""An address-book server with an invented directory behind it, on real sockets with real TLS, and who asks it.

`ldapsearch` is OpenLDAP's own client; `RawBook` speaks octets, for what no honest client sends.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mss.accounts.slowdown import Budget
from mss.accounts.software import SoftwareLogin, verifier_of
from mss.crypto.authority import LOOPBACK
from mss.crypto.tls import TlsHolder, service_server_context
from mss.demo.papers import machine_names
from mss.directory.correspondence import CorrespondenceReader
from mss.directory.extras import Extras
from mss.directory.imports import Imports
from mss.directory.search import Search
from mss.ldap.book import Book
from mss.ldap.names import Tree
from mss.ldap.people import BookLogin
from mss.ldap.server import Caps, LdapServer
from mss.ldap.session import SEARCH_EVERY_S, SEARCHES_AT_ONCE, Rooms, Settings
from mss.model.ids import OwnerId
from mss.store.accounts import CredentialKind
from tests.kit import programs
from tests.kit.people import Cellar
from tests.kit.pki import HOSPITAL, Pki

BASE = "ou=bal,o=mssante,c=fr"
DOCTOR = "marie.dubois@chu.mssante.example"
PASSWORD = "abcd-efgh-ijkl-mnop"
ASK_S = 20.0


@dataclass
class Asked:
    """What `ldapsearch` said: its exit code (the result code), entries as attributes, words of the server."""

    code: int
    entries: list[dict[str, list[str]]]
    words: str

    def all(self, name: str) -> list[str]:
        return [value for entry in self.entries for value in entry.get(name, [])]


@dataclass
class LdapHouse:
    """A listening server."""

    below: Cellar
    server: LdapServer
    doctor: OwnerId
    starttls_port: int
    tls_port: int
    ca: Path

    def client_tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    async def import_lines(self, content: list[str], folder: Path) -> None:
        """Take a correspondence file in."""
        file = folder / "Extraction_20251201.txt"
        file.write_text("\n".join(content), encoding="utf-8")
        service = Imports(self.below.store, folder / "work", self.below.clock)
        await service.take(file, CorrespondenceReader(), lambda *_: None)

    async def ldapsearch(
        self, asked: str, *wanted: str, base: str = BASE, scope: str = "sub", login: str = DOCTOR,
        password: str = PASSWORD, secure: bool = True, implicit: bool = False, more: tuple[str, ...] = (),
    ) -> Asked:  # fmt: skip
        """Ask with OpenLDAP's client: StartTLS unless told otherwise."""
        program = programs.require("ldapsearch")
        scheme, port = ("ldaps", self.tls_port) if implicit else ("ldap", self.starttls_port)
        command = [str(program), "-LLL", "-o", "ldif-wrap=no", "-H", f"{scheme}://localhost:{port}", "-b", base]
        command += ["-s", scope, "-x", *(["-ZZ"] if secure and not implicit else []), *more]
        command += ["-D", login, "-w", password] if login else []
        environment = os.environ | {"LDAPTLS_CACERT": str(self.ca), "LDAPTLS_REQCERT": "hard"}
        process = await asyncio.create_subprocess_exec(
            *command, asked, *wanted, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), ASK_S)
        return Asked(process.returncode or 0, entries_of(out.decode()), err.decode() + out.decode())


def entries_of(ldif: str) -> list[dict[str, list[str]]]:
    """LDIF without wrapped lines (RFC 2849)."""
    found: list[dict[str, list[str]]] = []
    for block in ldif.split("\n\n"):
        entry: dict[str, list[str]] = {}
        for line in block.splitlines():
            name, colon, value = line.partition(":")
            if not colon or name.startswith("#"):
                continue
            text = base64.b64decode(value[1:]).decode() if value.startswith(":") else value.strip()
            entry.setdefault(name, []).append(text)
        if "dn" in entry:
            found.append(entry)
    return found


class RawBook:
    """One connection of octets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, house: LdapHouse, *, secure: bool = True) -> RawBook:
        if secure:
            tls = house.client_tls()
            return cls(*await asyncio.open_connection("localhost", house.tls_port, ssl=tls))
        return cls(*await asyncio.open_connection("localhost", house.starttls_port))

    def send(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def answer(self, within_s: float = 10.0) -> bytes:
        """One whole message, or nothing when the server has hung up."""
        async with asyncio.timeout(within_s):
            try:
                head = await self.reader.readexactly(2)
                if head[1] & 0x80:
                    head += await self.reader.readexactly(head[1] & 0x7F)
                    return head + await self.reader.readexactly(int.from_bytes(head[2:]))
                return head + await self.reader.readexactly(head[1])
            except (asyncio.IncompleteReadError, ConnectionError):
                return b""

    async def rest(self, within_s: float = 10.0) -> bytes:
        """What is still said until the server hangs up."""
        async with asyncio.timeout(within_s):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    def close(self) -> None:
        self.writer.close()


# BER by hand, so that the tests do not believe the codec about itself.


def element(tag: int, *inside: bytes) -> bytes:
    content = b"".join(inside)
    if len(content) < 128:
        return bytes((tag, len(content))) + content
    return bytes((tag, 0x83)) + len(content).to_bytes(3) + content


def number(value: int, tag: int = 0x02) -> bytes:
    return element(tag, value.to_bytes(max(1, (value.bit_length() + 8) // 8), signed=True))


def text(value: str, tag: int = 0x04) -> bytes:
    return element(tag, value.encode())


def message(number_of: int, operation: bytes, *controls: bytes) -> bytes:
    return element(0x30, number(number_of), operation, *controls)


def bind(login: str = DOCTOR, password: str = PASSWORD, version: int = 3) -> bytes:
    return element(0x60, number(version), text(login), text(password, 0x80))


def search(asked: bytes, *, base: str = BASE, scope: int = 2, size: int = 0, wanted: tuple[str, ...] = ()) -> bytes:
    numbers = (number(scope, 0x0A), number(0, 0x0A), number(size), number(0), element(0x01, b"\0"))
    return element(0x63, text(base), *numbers, asked, element(0x30, *map(text, wanted)))


def begins(name: str, value: str) -> bytes:
    """(name=value*)"""
    return element(0xA4, text(name), element(0x30, text(value, 0x80)))


def code_of(answer: bytes) -> int:
    """The result code of an answer to message numbers below 128: the first ENUMERATED."""
    return answer[answer.index(b"\x0a\x01") + 2]


@asynccontextmanager
async def ldap_house(
    below: Cellar, pki: Pki, directory: Path, settings: Settings | None = None, caps: Caps | None = None
) -> AsyncIterator[LdapHouse]:
    """A server on two free ports of this machine; its doctor has an application password."""
    issued = pki.authority.issue(HOSPITAL, now=pki.now, names=(*LOOPBACK, *machine_names()))
    ca = directory / "ca.pem"
    ca.write_bytes(pki.authority.bundle_pem)
    lookup, clock = below.public.lookup, below.clock
    doctor = await below.professional(DOCTOR)
    verifier = verifier_of(lookup, PASSWORD)
    await below.accounts.add_credential(doctor, CredentialKind.APPLICATION_PASSWORD, verifier)
    login = BookLogin(SoftwareLogin(below.store, lookup, clock, below.chance), below.store)
    tree, budget = Tree(BASE), Budget(clock, burst=SEARCHES_AT_ONCE, interval_s=SEARCH_EVERY_S)
    rooms = Rooms(Book(Search(below.store), Extras(below.store, clock), tree), login, tree, clock, budget)
    server = LdapServer(
        rooms, TlsHolder(lambda: service_server_context(issued.certificate_pem, issued.key_pem)), settings, caps
    )
    starttls_port = await server.listen("127.0.0.1", 0, implicit_tls=False)
    tls_port = await server.listen("127.0.0.1", 0, implicit_tls=True)
    try:
        yield LdapHouse(below, server, doctor, starttls_port, tls_port, ca)
    finally:
        await server.close()
