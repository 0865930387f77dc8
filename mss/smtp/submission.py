"""The door for our own users and their software: who are they, and is their mail welcome?

Port 587 with STARTTLS, 465 encrypted from the start (RFC 8314). Nobody signs in unencrypted, nobody sends without
signing in. A password arrives with PLAIN; EXTERNAL takes the certificate of the TLS session. A wrong password and an
unknown user read the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from mss.mail.reception import Peer, Reception
from mss.model.clock import Clock
from mss.model.errors import StorageUnavailable
from mss.model.ids import MailAddress
from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict
from mss.smtp import commands, replies
from mss.smtp.commands import BadCommand
from mss.smtp.conversation import Conversation, Verb
from mss.smtp.doorway import DiskHasRoom, MailServer, TlsContext, always
from mss.smtp.limits import Limits
from mss.smtp.meters import Caps, Meter
from mss.smtp.server import MailHandler
from mss.smtp.wire import CutOff, Visit, Wire
from mss.store.spool import SpoolRoom

PLAIN = "PLAIN"
EXTERNAL = "EXTERNAL"
LOOK_EVERY_S = 20.0
"""How often the certificates of connections that only wait are looked at: with the 5 s after which a new list is read,
one that was taken back is out within the minute."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody wants to sign in. `username` is as given (EXTERNAL: the authorisation identity, often empty)."""

    mechanism: str
    username: str
    secret: str = field(repr=False)
    certificate_der: bytes | None = field(default=None, repr=False)
    """What TLS verified; None when the client showed none."""
    remote_address: str = ""
    helo: str = ""


Authenticate = Callable[[Attempt], Awaitable[Peer | None]]
"""The login behind an attempt; None for every kind of no. May raise StorageUnavailable."""

StillOpens = Callable[[Peer], Awaitable[bool]]
"""Whether a login may still sign in as it did. May raise StorageUnavailable."""


async def for_ever(_peer: Peer) -> bool:
    """Whose accounts never end."""
    return True


class SubmissionConversation(Conversation):
    """AUTH (RFC 4954) in addition."""

    before_tls = Conversation.before_tls | {"AUTH"}  # to be told why not
    accepts_auth_parameter = True
    doorway: SubmissionServer

    def __init__(self, doorway: SubmissionServer) -> None:
        super().__init__(doorway)
        self._failed_logins = 0

    def _keywords(self) -> Sequence[str]:
        offered = super()._keywords()
        mechanisms = self._mechanisms()
        return [*offered, "AUTH " + " ".join(mechanisms)] if mechanisms else offered

    def _mechanisms(self) -> Sequence[str]:
        if not self.session.is_encrypted or self.session.known is not None:
            return ()
        return (PLAIN, EXTERNAL) if self.session.certificate_der else (PLAIN,)

    async def smtp_AUTH(self, argument: str) -> None:
        if not self.session.is_encrypted:
            raise BadCommand(replies.ENCRYPT_FIRST)
        if not self.session.host_name:
            raise BadCommand(replies.HELLO_FIRST)
        if self.session.known is not None or self.envelope.is_begun:
            raise BadCommand(replies.OUT_OF_ORDER)
        mechanism, _, initial = argument.partition(" ")
        mechanism = mechanism.upper()
        if mechanism not in self._mechanisms():
            raise BadCommand(replies.UNKNOWN_MECHANISM)
        response = commands.read_base64(initial or await self._challenge())
        attempt = self._attempt(mechanism, response)
        try:
            peer = None if attempt is None else await self.doorway.authenticate(attempt)
        except StorageUnavailable:
            self._say(replies.CANNOT_SIGN_IN_NOW)
            return
        if peer is None:
            self._fail()
            return
        self.session.known = replace(
            peer,
            remote_address=self.session.remote_address,
            helo=self.session.host_name or "",
            tls=self.session.tls,
        )
        self.session.authenticated = True
        self._say(replies.SIGNED_IN)

    async def _challenge(self) -> str:
        """An empty one: our mechanisms let the client speak first (RFC 4422 §5)."""
        self._out.append(b"334 \r\n")
        line = await self._next_line()
        if line == b"*":
            raise BadCommand(replies.AUTH_CANCELLED)
        try:
            return line.decode("ascii") or "="
        except UnicodeDecodeError:
            raise BadCommand(replies.AUTH_UNREADABLE) from None

    def _attempt(self, mechanism: str, response: bytes) -> Attempt | None:
        """What a client said, or None when it cannot be a login of anybody."""
        try:
            text = response.decode("utf-8")
        except UnicodeDecodeError:
            return None
        remote, helo = self.session.remote_address, self.session.host_name or ""
        if mechanism == EXTERNAL:
            return Attempt(EXTERNAL, text, "", self.session.certificate_der, remote, helo)
        identity, _, rest = text.partition("\0")  # RFC 4616 §2
        username, separator, password = rest.partition("\0")
        if not separator or not username or not password or "\0" in password or identity not in ("", username):
            return None  # nobody speaks for another here
        return Attempt(PLAIN, username, password, self.session.certificate_der, remote, helo)

    def _fail(self) -> None:
        self._say(replies.REPLIES[Reason.AUTHENTICATION_FAILED])
        self._failed_logins += 1
        if self._failed_logins >= self.limits.failed_logins_max:
            raise CutOff(replies.TOO_MANY_FAILURES)


_auth: Verb = SubmissionConversation.smtp_AUTH  # type: ignore[assignment]
SubmissionConversation.verbs = Conversation.verbs | {"AUTH": _auth}


class SubmissionHandler(MailHandler):
    """Whoever has signed in may ask."""

    def __init__(self, reception: Reception, clock: Clock, still_opens: StillOpens) -> None:
        super().__init__(reception, clock)
        self._still_opens = still_opens

    async def admit(self, session: Visit) -> Verdict:
        """Asked before each message: who was suspended, or whose password was taken back, has not signed in."""
        if session.known is None:
            return Refuse(Reason.AUTHENTICATION_REQUIRED)
        try:
            if not await self._still_opens(session.known):
                raise CutOff(replies.SIGNED_OUT)
        except StorageUnavailable:
            return Later(Reason.STORAGE_UNAVAILABLE)
        return Accept()


class SubmissionServer(MailServer):
    """Port 587, or 465 with `is_tls_from_start`."""

    conversation = SubmissionConversation

    def __init__(
        self,
        *,
        hostname: str,
        tls: TlsContext,
        authenticate: Authenticate,
        reception: Reception,
        clock: Clock,
        limits: Limits | None = None,
        meter: Meter | None = None,
        has_disk_space: DiskHasRoom = always,
        postmaster: MailAddress | None = None,
        is_tls_from_start: bool = False,
        spools: SpoolRoom | None = None,
        still_opens: StillOpens = for_ever,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        """`tls` gives the current `crypto.tls.service_server_context`, with client roots when EXTERNAL is wanted;
        `meter` may be that of the other port."""
        super().__init__(
            hostname=hostname,
            handler=SubmissionHandler(reception, clock, still_opens),
            tls=tls,
            meter=meter or Meter(Caps(), clock),
            limits=limits,
            has_disk_space=has_disk_space,
            postmaster=postmaster,
            is_tls_from_start=is_tls_from_start,
            spools=spools,
        )
        self.name = "submissions" if is_tls_from_start else "submission"
        self.authenticate = authenticate
        self._still_opens = still_opens
        self._looking: set[asyncio.Task[None]] = set()
        self._look_every_s = look_every_s

    def look_again(self, owner: int) -> None:
        """An account's access has changed: its connections that may not go on are ended now."""
        for wire in list(self._open):
            known = wire.session.known
            if known is not None and known.account == owner:
                looking = asyncio.get_running_loop().create_task(self._look_at(wire, known))
                self._looking.add(looking)
                looking.add_done_callback(self._looking.discard)

    async def keep_looking(self) -> None:
        """For as long as the process lives: end connections whose certificate was taken back since, also those that
        only wait. Nobody tells us of it; the others are told of (`look_again`)."""
        while True:
            await asyncio.sleep(self._look_every_s)
            for wire in list(self._open):
                known = wire.session.known
                if known is not None and known.certificate_der:
                    await self._look_at(wire, known)

    async def _look_at(self, wire: Wire, known: Peer) -> None:
        with suppress(StorageUnavailable):  # its next message asks again
            if not await self._still_opens(known):
                wire.turn_out(replies.SIGNED_OUT)
