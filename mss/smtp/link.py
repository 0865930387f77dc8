"""How does mail go to one host, over one connection?

aiosmtplib's client with mutual TLS, and its DATA replaced: blocks of whole lines instead of a second copy of the
message, and an answer in the middle is heard. STARTTLS or nothing; whose certificate answered is told to the courier,
who judges it before each message.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import aiosmtplib
from aiosmtplib import SMTPResponse

from mss.crypto.tls import peer_certificate
from mss.mail.queue import OutgoingEnvelope
from mss.model.errors import MssError
from mss.model.ids import MailAddress
from mss.model.verdict import Reason
from mss.smtp.blocks import outgoing_blocks
from mss.smtp.outcome import Sent, Setback, Words
from mss.smtp.routes import Host


@dataclass(frozen=True, slots=True)
class Patience:
    """How long another server may take. RFC 5321 §4.5.3.2 asks for minutes, since it may be syncing."""

    open_s: float = 60.0
    """Connect, greeting, handshake, introduction."""
    command_s: float = 300.0
    block_s: float = 180.0
    end_of_data_s: float = 600.0
    goodbye_s: float = 2.0


_ALERTS_ABOUT_US = frozenset(
    {
        *("bad-certificate", "unsupported-certificate", "certificate-revoked", "certificate-expired"),
        *("certificate-unknown", "certificate-required", "unknown-ca", "access-denied"),
    }
)
"""RFC 8446 §6.2: what a server says when it does not like the certificate that we have shown."""
HUNG_UP = "hung-up-after-handshake"


class LinkFailed(MssError):
    """This host cannot be used now; no message was handed over (or nobody knows whether it was)."""

    def __init__(self, setback: Setback) -> None:
        super().__init__(setback.told)
        self.setback = setback


class Client(aiosmtplib.SMTP):
    """aiosmtplib's client that sends a message block by block."""

    async def send_blocks(self, message: bytes, patience: Patience) -> tuple[SMTPResponse, bool]:
        """DATA, the message, its end. Answers the last reply, and whether it came when it was due."""
        first = await self.execute_command(b"DATA", timeout=patience.command_s)
        if first.code != aiosmtplib.SMTPStatus.start_input:
            return first, True
        protocol = self.protocol
        if protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("closed after 354")
        answer = asyncio.ensure_future(protocol.read_response())
        try:
            for block in outgoing_blocks(message):
                if answer.done():
                    return answer.result(), False
                protocol.write(block)
                async with asyncio.timeout(patience.block_s):
                    await protocol._drain_helper()
            async with asyncio.timeout(patience.end_of_data_s):
                return await asyncio.shield(answer), True
        finally:
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # looked at, if nobody else did


class Link:
    """An encrypted connection to one host, introduced."""

    def __init__(self, host: Host, client: Client, certificate_der: bytes, patience: Patience) -> None:
        self.host = host
        self.certificate_der = certificate_der
        self.messages = 0
        """Handed over so far."""
        self._client = client
        self._patience = patience

    @classmethod
    async def open(cls, host: Host, hostname: str, tls: Callable[[], ssl.SSLContext], patience: Patience) -> Link:
        """Connect, encrypt, introduce ourselves as `hostname`. Raises LinkFailed."""
        client = Client(hostname=host.name, port=host.port, local_hostname=hostname, start_tls=False)
        client.timeout = patience.open_s
        with _closed_in_trouble(client):
            async with asyncio.timeout(patience.open_s):
                return await cls._introduced(client, host, tls, patience)

    @classmethod
    async def _introduced(
        cls, client: Client, host: Host, tls: Callable[[], ssl.SSLContext], patience: Patience
    ) -> Link:
        await client.connect()
        await client.ehlo()
        if not client.supports_extension("starttls"):
            raise LinkFailed(Setback(Reason.PEER_CERTIFICATE_WRONG, "no-starttls"))
        await client.starttls(tls_context=tls())
        certificate = peer_certificate(cast(ssl.SSLObject, client.get_transport_info("ssl_object")))
        if certificate is None:
            raise LinkFailed(Setback(Reason.PEER_CERTIFICATE_WRONG, "no-certificate"))
        await cls._hear_that_we_are_welcome(client)
        client.timeout = patience.command_s
        return cls(host, client, certificate, patience)

    @staticmethod
    async def _hear_that_we_are_welcome(client: Client) -> None:
        """With TLS 1.3 a server looks at our certificate when our handshake is over: its first reply tells what it
        thinks of it. One that hangs up there without an alert is told apart from one that cannot be reached."""
        try:
            await client.ehlo()
        except (aiosmtplib.SMTPServerDisconnected, ConnectionError) as problem:
            if _alert_in(problem) is None:
                raise LinkFailed(Setback(Reason.PEER_UNREACHABLE, HUNG_UP)) from problem
            raise

    @property
    def is_open(self) -> bool:
        return self._client.is_connected

    async def send(self, envelope: OutgoingEnvelope, message: bytes) -> Sent:
        """Hand a message over. Raises LinkFailed; afterwards a link that is still open may be used again."""
        sent = Sent(self.host.name, takes_wishes=self._client.supports_extension("dsn"), room=self.room)
        with _closed_in_trouble(self._client):
            await self._send(sent, envelope, message)
        return sent

    async def _send(self, sent: Sent, envelope: OutgoingEnvelope, message: bytes) -> None:
        recipients = envelope.recipients
        if (why_not := self._why_not(message)) is not None:
            sent.put(recipients, why_not)
            return
        mail = await self._ask(b"MAIL", b"FROM:" + _path(envelope.sender), *self._options(envelope, message))
        if not mail.is_yes:
            sent.put(recipients, mail)
            return
        taken: list[MailAddress] = []
        for recipient in recipients:
            words = await self._ask(b"RCPT", b"TO:" + _path(recipient), *self._wishes(envelope, recipient))
            if words.is_yes:
                taken.append(recipient)
            else:
                sent.put((recipient,), words)
        if not taken:
            await self._ask(b"RSET")
            return
        response, in_time = await self._client.send_blocks(message, self._patience)
        words = Words(response.code, response.message)
        if not in_time:
            self._client.close()  # who answers before the end is out of step
            words = words if not words.is_yes else Words(451, "4.5.0 Answered before the end of the message")
        if words.is_yes:
            sent.accepted = tuple(taken)
            self.messages += 1
        else:
            sent.put(tuple(taken), words)

    async def would_take_from(self, sender: MailAddress) -> Words:
        """Whether the other server takes mail of that sender under our certificate; sends none. Raises LinkFailed."""
        with _closed_in_trouble(self._client):
            words = await self._ask(b"MAIL", b"FROM:" + _path(sender))
            await self._ask(b"RSET")
        return words

    @property
    def room(self) -> int:
        """The largest message that the other server takes, 0 when it did not say (RFC 1870 §4)."""
        said = self._client.esmtp_extensions.get("size", "")
        return int(said) if said.isascii() and said.isdigit() and len(said) <= 20 else 0

    def _why_not(self, message: bytes) -> Words | None:
        """What this server said at EHLO that it does not take is not tried.

        8-bit text is never sent to a server that did not announce it, nor is it rewritten (RFC 6152 §3 leaves both
        open): a rewritten message is not the one that was signed, and whose seal breaks on the way is not believed.
        """
        if (room := self.room) and len(message) > room:
            return Words(552, f"5.3.4 The other server takes at most {room} octets")
        if not message.isascii() and not self._client.supports_extension("8bitmime"):
            return Words(554, "5.6.3 The other server takes no 8-bit text")
        return None

    def _options(self, envelope: OutgoingEnvelope, message: bytes) -> list[bytes]:
        options = []
        if self._client.supports_extension("size"):
            options.append(b"SIZE=%d" % len(message))
        if self._client.supports_extension("8bitmime") and not message.isascii():
            options.append(b"BODY=8BITMIME")
        if self._client.supports_extension("dsn"):
            if envelope.wish.returned is not None:
                options.append(f"RET={envelope.wish.returned}".encode())
            if envelope.wish.envelope_id:
                options.append(f"ENVID={envelope.wish.envelope_id}".encode())
        return options

    def _wishes(self, envelope: OutgoingEnvelope, recipient: MailAddress) -> list[bytes]:
        """NOTIFY and ORCPT as they came (RFC 3461 §5.2.1)."""
        wish = envelope.wish.of(recipient)
        if not self._client.supports_extension("dsn"):
            return []
        options = [b"NOTIFY=" + ",".join(sorted(wish.notify)).encode()] if wish.notify else []
        return [*options, f"ORCPT={wish.original}".encode()] if wish.original else options

    async def _ask(self, *words: bytes) -> Words:
        response = await self._client.execute_command(*words)
        return Words(response.code, response.message)

    async def close(self) -> None:
        """Say goodbye if anybody listens."""
        try:
            await self._client.quit(timeout=self._patience.goodbye_s)
        except (aiosmtplib.SMTPException, OSError):
            pass
        self._client.close()

    def drop(self) -> None:
        """Close without a word."""
        self._client.close()


def _path(address: MailAddress | None) -> bytes:
    return b"<>" if address is None else b"<%s>" % str(address).encode("ascii")


@contextmanager
def _closed_in_trouble(client: Client) -> Iterator[None]:
    """Whatever breaks in here ends the connection; trouble with the host becomes LinkFailed."""
    try:
        yield
    except BaseException as problem:
        client.close()
        if (setback := _setback_of(problem)) is not None:
            raise LinkFailed(setback) from problem
        raise


def _setback_of(problem: BaseException) -> Setback | None:
    """What kind of trouble; None when it is a fault of ours and no trouble with the host."""
    if isinstance(problem, LinkFailed):
        return problem.setback
    if (alert := _alert_in(problem)) is not None:
        return alert
    if isinstance(problem, aiosmtplib.SMTPResponseException):
        return Setback(Reason.PEER_REFUSED, words=Words(problem.code, problem.message))
    if isinstance(problem, TimeoutError | aiosmtplib.SMTPTimeoutError):
        return Setback(Reason.PEER_UNREACHABLE, "timeout")
    if isinstance(problem, OSError | aiosmtplib.SMTPException):
        return Setback(Reason.PEER_UNREACHABLE, "no-connection")
    return None


def _alert_in(problem: BaseException | None) -> Setback | None:
    """TLS trouble. With TLS 1.3 a server refuses our certificate after our handshake is over: the alert then comes in
    place of its next reply (RFC 8446 §4.4.2.4), as the cause of a lost connection."""
    while problem is not None:
        if isinstance(problem, ssl.SSLCertVerificationError):
            return Setback(Reason.PEER_CERTIFICATE_WRONG, f"verify-{problem.verify_code}")
        if isinstance(problem, ssl.SSLError):
            name = (problem.reason or "tls").lower().replace("_", "-")
            alert = name.partition("-alert-")[2]
            if alert in _ALERTS_ABOUT_US:
                return Setback(Reason.OUR_CERTIFICATE_REFUSED, alert)
            return Setback(Reason.PEER_UNREACHABLE, name)
        problem = problem.__cause__
    return None
