"""A responder of the health PKI (OCSP, RFC 6960) on loopback: says what it is told, honestly signed or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from mss.crypto.authority import Authority, Issued

GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
COUNTS = timedelta(minutes=30)


@dataclass
class Responder:
    """What it will say, and what it was asked."""

    authority: Authority
    now: Callable[[], datetime]
    states: dict[int, ocsp.OCSPCertStatus] = field(default_factory=dict)
    """By serial number; everything else is good."""
    counts: timedelta | None = COUNTS
    """How long an answer counts; None: it does not say."""
    dated: timedelta = timedelta()
    """Added to the moment of each answer."""
    signer: Issued | None = None
    """Signs in place of the authority, with its certificate in the answer."""
    breaks_signature: bool = False
    about: int | None = None
    """The serial number in the answer, when it is another than was asked."""
    raw: bytes | None = None
    """In place of an HTTP answer."""
    is_silent: bool = False
    asked: list[int] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ocsp"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        (length,) = (line.split(": ")[1] for line in head.splitlines() if line.startswith("Content-Length"))
        request = ocsp.load_der_ocsp_request(await reader.readexactly(int(length)))
        self.asked.append(request.serial_number)
        if self.is_silent:
            await asyncio.sleep(3600)
        writer.write(self.raw if self.raw is not None else self._http(self.answer(request)))
        await writer.drain()

    def _http(self, octets: bytes) -> bytes:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\nContent-Length: {len(octets)}\r\n\r\n"
        return head.encode() + octets

    def answer(self, request: ocsp.OCSPRequest) -> bytes:
        """As DER."""
        issuers = (self.authority.organisations, self.authority.root)
        issuer = next(one for one in issuers if _hashes(one, request) == request.issuer_key_hash)
        at, serial = self.now() + self.dated, request.serial_number if self.about is None else self.about
        state = self.states.get(serial, GOOD)
        said = ocsp.OCSPResponseBuilder().add_response_by_hash(
            request.issuer_name_hash,
            request.issuer_key_hash,
            serial,
            request.hash_algorithm,
            state,
            at,
            None if self.counts is None else at + self.counts,
            at if state is REVOKED else None,
            None,
        )
        signer = self.signer or issuer
        said = said.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        if self.signer is not None:
            said = said.certificates([self.signer.certificate])
        octets = said.sign(signer.key, SHA256()).public_bytes(Encoding.DER)
        return octets[:-1] + bytes([octets[-1] ^ 1]) if self.breaks_signature else octets  # it ends in the signature


def _hashes(issuer: Issued, request: ocsp.OCSPRequest) -> bytes:
    own: x509.Certificate = issuer.certificate
    named = ocsp.OCSPRequestBuilder().add_certificate(own, own, request.hash_algorithm).build()
    return named.issuer_key_hash


@asynccontextmanager
async def responder(authority: Authority, now: Callable[[], datetime]) -> AsyncIterator[Responder]:
    """Listening on loopback."""
    opened = Responder(authority, now)
    talks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await opened.serve(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the other side hung up, or the test is over
        finally:
            writer.close()
            talks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    opened.port = server.sockets[0].getsockname()[1]
    try:
        yield opened
    finally:
        server.close()
        for task in list(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
