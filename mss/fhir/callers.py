"""Which software is asking, and what may it do? A bearer token, a client certificate, or nobody.

Tokens lie in files, one for each client, read again when a file is another. The certificate of an application mailbox
of ours may search too, for as long as that mailbox may sign in. Whoever shows something wrong is nobody, also when
something else of hers is right.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import structlog
from aiohttp import web

from mss.accounts.shown import Shown, taken_at_its_word
from mss.accounts.software import SoftwareLogin
from mss.crypto.tls import peer_certificate
from mss.formats.dn import DistinguishedName
from mss.model.errors import BadValue

log = structlog.get_logger("fhir")

TOKEN_CHARS_MIN = 32
"""160 bits in base32: nobody guesses it, so nothing slow is needed."""
TOKEN_CHARS_MAX = 512


@dataclass(frozen=True, slots=True)
class Client:
    """A software as the settings name it."""

    name: str
    token_file: Path | None = None
    certificate: DistinguishedName | None = None
    publishes: frozenset[str] = frozenset()
    """Domains of whose mailboxes it may speak (PATCH)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, for the journal and the limits."""

    name: str
    publishes: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Token:
    mark: tuple[int, int, int] | None = None
    digest: bytes | None = None


@dataclass(slots=True)
class Callers:
    """Everybody who may ask. `software`: application mailboxes and their certificates; None: there are none here.
    `shown` judges certificates."""

    clients: Sequence[Client]
    software: SoftwareLogin | None = None
    shown: Shown = taken_at_its_word
    _tokens: dict[str, _Token] = field(default_factory=dict)

    async def who(self, request: web.Request) -> Caller | None:
        """The caller of a request, or None. Raises StorageUnavailable."""
        header = request.headers.get("Authorization", "")
        subject = await self._subject(_certificate(request))
        if not header:
            return await self._by_certificate(subject)
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not TOKEN_CHARS_MIN <= len(token := token.strip()) <= TOKEN_CHARS_MAX:
            return None
        client = await asyncio.to_thread(self._by_token, sha256(token.encode("utf-8", "replace")).digest())
        if client is None or (client.certificate is not None and client.certificate != subject):
            return None
        return Caller(client.name, client.publishes)

    async def _by_certificate(self, subject: DistinguishedName | None) -> Caller | None:
        if subject is None:
            return None
        for client in self.clients:
            if client.certificate == subject:  # with a token file both are asked for
                return None if client.token_file else Caller(client.name, client.publishes)
        owner = await self.software.certificate(str(subject)) if self.software is not None else None
        return None if owner is None else Caller(f"mailbox-{owner}")

    async def _subject(self, der: bytes | None) -> DistinguishedName | None:
        try:
            return None if der is None else DistinguishedName.parse(await self.shown(der))
        except BadValue:
            return None

    def _by_token(self, digest: bytes) -> Client | None:
        """Every client is compared, so that the time tells nothing."""
        found = None
        for client in self.clients:
            known = self._digest(client)
            if known is not None and hmac.compare_digest(known, digest):
                found = client
        return found

    def _digest(self, client: Client) -> bytes | None:
        if client.token_file is None:
            return None
        token = self._tokens.setdefault(client.name, _Token())
        try:
            status = client.token_file.stat()
            mark = (status.st_ino, status.st_mtime_ns, status.st_size)
            if mark != token.mark:
                token.digest = _token_of(client.token_file)
                token.mark = mark
        except (OSError, BadValue) as problem:
            log.error("fhir.token-unreadable", client=client.name, error=type(problem).__name__)
            token.mark, token.digest = None, None
        return token.digest


def _token_of(file: Path) -> bytes:
    """Raises BadValue for what anybody could guess."""
    text = file.read_text(encoding="ascii", errors="replace").strip()
    if not TOKEN_CHARS_MIN <= len(text) <= TOKEN_CHARS_MAX:
        raise BadValue(f"{file}: a token has {TOKEN_CHARS_MIN} to {TOKEN_CHARS_MAX} characters")
    return sha256(text.encode()).digest()


def _certificate(request: web.Request) -> bytes | None:
    """What the client showed in the handshake, in DER."""
    tls = request.transport.get_extra_info("ssl_object") if request.transport is not None else None
    return None if tls is None else peer_certificate(tls)
