"""What may be said on a mail connection, in which order?

The upper half of our aiosmtpd protocol class: a table of verbs, strict commands, one reply for each. Whether mail
is welcome is asked of the handler through aiosmtpd's hooks (`handle_MAIL`, `handle_RCPT`, `handle_DATA`); here
nothing is decided but grammar, order and patience. EXPN does not exist and VRFY tells nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Protocol

from mss.model.ids import MailAddress
from mss.model.verdict import Reason
from mss.smtp import commands, journal, replies
from mss.smtp.blocks import ChunkReader, MessageReader
from mss.smtp.commands import BadCommand, BadLine
from mss.smtp.meters import Party
from mss.smtp.replies import Reply
from mss.smtp.transaction import Transaction
from mss.smtp.wire import CutOff, Doorway, HungUp, Visit, Wire

POISON = frozenset({Reason.BARE_CR_OR_LF, Reason.NUL_BYTE})
"""Signs of smuggling: commands sent in one breath with such a message are not obeyed."""


class Handler(Protocol):
    """aiosmtpd's handler interface, as far as we use it. A positive reply means go on."""

    async def handle_MAIL(
        self,
        server: Conversation,
        session: Visit,
        envelope: Transaction,
        sender: MailAddress | None,
        options: list[str],
    ) -> Reply: ...

    async def handle_RCPT(
        self, server: Conversation, session: Visit, envelope: Transaction, recipient: MailAddress, options: list[str]
    ) -> Reply: ...

    async def handle_DATA(self, server: Conversation, session: Visit, envelope: Transaction) -> Reply: ...


class MailDoorway(Doorway, Protocol):
    """What a conversation needs from the server that accepted it."""

    handler: Handler
    postmaster: MailAddress | None
    has_disk_space: Callable[[], bool]

    def claim(self, session: Visit, party: Party) -> bool:
        """Count a connection as somebody's; False when they have too many."""
        ...


Verb = Callable[["Conversation", str], Awaitable[None]]


class Conversation(Wire):
    """One client, from greeting to goodbye."""

    verbs: ClassVar[dict[str, Verb]]
    """Built once for the class, not looked up for each connection."""
    before_tls = frozenset({"EHLO", "HELO", "STARTTLS", "NOOP", "RSET", "QUIT", "HELP", "BDAT"})
    """RFC 3207 §4: everything else has to wait. (BDAT says so itself: octets stand behind it.)"""
    accepts_auth_parameter = False

    def __init__(self, doorway: MailDoorway) -> None:
        super().__init__(doorway)
        self.doorway: MailDoorway = doorway
        self.handler = doorway.handler
        self.envelope: Transaction = Transaction()
        self._errors = self._bad_lines = self._refusals = self._idle_commands = 0
        self._is_over = False

    async def _handle_client(self) -> None:
        try:
            if self.doorway.is_tls_from_start and not await self._start_tls(None):
                return
            self._say(Reply(220, "", f"{self.hostname} ESMTP"))
            while not self._is_over:
                await self._hear()
        except HungUp:
            pass
        except CutOff as cut:
            journal.cut(self.doorway.name, self.session.remote_address, str(cut.reply.enhanced))
            self._say(cut.reply)
        except Exception as fault:  # noqa: BLE001 — the edge of a connection: it ends, the house goes on
            journal.broke(self.doorway.name, fault)
        finally:
            self._end()

    async def _hear(self) -> None:
        """One command."""
        try:
            await self._obey(await self._next_line())
        except BadLine as bad:
            self._bad_lines += 1
            if bad.is_fatal or self._bad_lines >= self.limits.bad_lines_max:
                self._say(bad.reply)
                raise CutOff(replies.TOO_MANY_ERRORS) from None
            self._object(bad.reply)
        except BadCommand as bad:
            self._object(bad.reply)
        except (HungUp, CutOff):
            raise
        except Exception as error:  # noqa: BLE001 — the edge of a command: the client may try again, others go on
            self._say(await self.handle_exception(error))

    async def _obey(self, line: bytes) -> None:
        verb, argument = commands.split(line)
        if len(line) > self.limits.command_octets_max and verb != "AUTH":
            raise BadCommand(replies.LINE_OVERLONG)
        method = self.verbs.get(verb)
        if method is None:
            raise BadCommand(replies.UNKNOWN_COMMAND)
        if not self.session.is_encrypted and verb not in self.before_tls:
            raise BadCommand(replies.REPLIES[Reason.TLS_REQUIRED])
        await method(self, argument)

    async def handle_exception(self, error: Exception) -> Reply:  # type: ignore[override]
        """A fault of ours is neutral outside, and a place in the code inside."""
        journal.broke(self.doorway.name, error)
        # The transaction stays: ended here, its other recipients would read 503 and be bounced.
        return replies.REPLIES[Reason.STORAGE_UNAVAILABLE]

    # --- the verbs ---

    async def smtp_EHLO(self, argument: str) -> None:
        """All lines in one write: readers that take one packet for one reply keep step."""
        self.session.host_name = commands.read_hello(argument)
        self.session.extended_smtp = True
        self._idle()
        self._begin_anew()
        lines = [self.hostname, *self._keywords()]
        marks = "-" * (len(lines) - 1) + " "
        reply = "".join(f"250{mark}{line}\r\n" for mark, line in zip(marks, lines, strict=True))
        self._out.append(reply.encode("ascii"))

    def _keywords(self) -> Sequence[str]:
        """What we can do, and say so (RFC 5321 §4.1.1.1)."""
        size = f"SIZE {self.limits.message_octets_max}"
        offered = [size, "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES", "DSN", "CHUNKING"]
        return offered if self.session.is_encrypted else [*offered, "STARTTLS"]

    async def smtp_HELO(self, argument: str) -> None:
        self.session.host_name = commands.read_hello(argument)
        self.session.extended_smtp = False
        self._idle()
        self._begin_anew()
        self._say(Reply(250, "", self.hostname))

    async def smtp_STARTTLS(self, argument: str) -> None:
        """RFC 3207. What the client said before, or sent behind this command, is forgotten."""
        if argument:
            raise BadCommand(replies.SYNTAX)
        if self.session.is_encrypted:
            raise BadCommand(replies.OUT_OF_ORDER)
        if not await self._start_tls(replies.READY_FOR_TLS):
            raise HungUp
        self._begin_anew()

    async def smtp_MAIL(self, argument: str) -> None:
        if not self.session.host_name:
            raise BadCommand(replies.HELLO_FIRST)
        if self.envelope.is_begun:
            raise BadCommand(replies.OUT_OF_ORDER)
        command = commands.read_mail(argument, accepts_auth=self.accepts_auth_parameter)
        if command.size_octets > self.limits.message_octets_max:
            self._refuse(replies.TOO_LARGE)
            return
        options = list(command.options)
        reply = await self.handler.handle_MAIL(self, self.session, self.envelope, command.sender, options)
        if reply == replies.TOO_MANY_CONNECTIONS:
            raise CutOff(reply)
        if not reply.is_positive:
            self._refuse(reply)
            return
        self.envelope.sender = command.sender
        self.envelope.mail_from = "" if command.sender is None else str(command.sender)
        self.envelope.mail_options = options
        self.envelope.returned, self.envelope.envelope_id = command.returned, command.envelope_id
        self._say(reply)

    async def smtp_RCPT(self, argument: str) -> None:
        if not self.envelope.is_begun or self.envelope.chunks is not None:
            raise BadCommand(replies.OUT_OF_ORDER)
        command = commands.read_rcpt(argument, postmaster=self.doorway.postmaster)
        if len(self.envelope.recipients) >= self.limits.recipients_max:
            self._refuse(replies.REPLIES[Reason.TOO_MANY_RECIPIENTS])
            return
        options = list(command.options)
        reply = await self.handler.handle_RCPT(self, self.session, self.envelope, command.recipient, options)
        if not reply.is_positive:
            self._refuse(reply)
            return
        self.envelope.add(command)
        self._say(reply)

    async def smtp_DATA(self, argument: str) -> None:
        if self._commands.waiting_octets:
            # RFC 2920 §3.1: DATA ends a group. What comes behind it unasked is a body sent blindly, and would be
            # taken for commands if we had to refuse: somebody makes another's client speak to us.
            raise CutOff(replies.NOT_IN_STEP)
        if argument:
            raise BadCommand(replies.SYNTAX)
        if self.envelope.chunks is not None:
            raise BadCommand(replies.OUT_OF_ORDER)  # RFC 3030 §2: one or the other
        if (objection := self._objection_to_content()) is not None:
            raise BadCommand(objection)
        try:
            blocks = await self._transfer()
            if blocks.problem in POISON and self._commands.waiting_octets:
                raise CutOff(replies.REPLIES[blocks.problem])
            reply = await self._answer_to(blocks)
        finally:
            self._begin_anew()
        self._conclude(reply)

    async def smtp_BDAT(self, argument: str) -> None:
        """RFC 3030 §2. Its octets are taken off the wire whatever we think of them: they are no commands."""
        try:
            octets, is_last = commands.read_chunk(argument)
        except BadCommand as bad:
            raise CutOff(bad.reply) from None  # nobody knows where the next command begins
        if not self.session.is_encrypted:
            raise CutOff(replies.REPLIES[Reason.TLS_REQUIRED])
        if octets > 2 * self.limits.message_octets_max:
            raise CutOff(replies.TOO_LARGE)
        if (objection := self._objection_to_content()) is not None:
            await self._transfer_chunk(ChunkReader(octets_max=0), octets)  # keeps nothing
            raise BadCommand(objection)
        chunks = await self._next_chunk(octets)
        if not is_last:
            if chunks.problem is None:
                self._say(replies.chunk(octets))
            else:
                self._refuse(replies.REPLIES[chunks.problem])
            if octets == 0:
                self._idle()
            return
        try:
            chunks.finish()
            reply = await self._answer_to(chunks)
        finally:
            self._begin_anew()
        self._conclude(reply)

    async def _next_chunk(self, octets: int) -> ChunkReader:
        """Add a chunk to what came before in this transaction."""
        if self.envelope.chunks is None:
            self.envelope.chunks = ChunkReader(self.limits.message_octets_max, self.limits.line_octets_max)
        chunks = self.envelope.chunks
        if chunks.chunks >= self.limits.chunks_max:
            raise CutOff(replies.TOO_MANY_CHUNKS)
        await self._transfer_chunk(chunks, octets)
        return chunks

    def _objection_to_content(self) -> Reply | None:
        """Why no message may be sent now."""
        if not self.envelope.is_begun:
            return replies.OUT_OF_ORDER
        return None if self.envelope.recipients else replies.NO_RECIPIENT

    async def _answer_to(self, reader: MessageReader) -> Reply:
        """What is wrong with the message, or what the house says of it."""
        if reader.problem is None:
            self.envelope.message = await self._arrival.contents(reader)
        if reader.problem is not None:
            return replies.REPLIES[reader.problem]
        return await self.handler.handle_DATA(self, self.session, self.envelope)

    def _conclude(self, reply: Reply) -> None:
        """The answer to a message."""
        if reply.is_positive:
            self._refusals = self._idle_commands = 0
            self._say(reply)
        else:
            self._refuse(reply)

    async def smtp_RSET(self, argument: str) -> None:
        self._idle()
        self._begin_anew()
        self._say(replies.OK)

    async def smtp_NOOP(self, argument: str) -> None:
        self._idle()
        self._say(replies.OK)

    async def smtp_HELP(self, argument: str) -> None:
        self._idle()
        self._say(replies.HELP)

    async def smtp_VRFY(self, argument: str) -> None:
        self._idle()
        self._say(replies.CANNOT_VERIFY)

    async def smtp_EXPN(self, argument: str) -> None:
        raise BadCommand(replies.NOT_IMPLEMENTED)

    async def smtp_QUIT(self, argument: str) -> None:
        self._say(replies.BYE)
        self._is_over = True

    # --- patience ---

    def _begin_anew(self) -> None:
        """Forget the transaction, if one has begun, and what of its message is in memory."""
        if self.envelope.is_begun:
            self.envelope = Transaction()
        self._arrival.forget()

    def _object(self, reply: Reply) -> None:
        """Answer a command that was no command, or out of order; too many end the connection."""
        self._say(reply)
        self._errors += 1
        if self._errors >= self.limits.errors_max:
            raise CutOff(replies.TOO_MANY_ERRORS)

    def _refuse(self, reply: Reply) -> None:
        """Answer a sender, recipient or message that was not accepted."""
        self._say(reply)
        self._refusals += 1
        if self._refusals >= self.limits.refusals_max:
            raise CutOff(replies.TOO_MANY_ERRORS)

    def _idle(self) -> None:
        """A command that moves nothing."""
        self._idle_commands += 1
        if self._idle_commands >= self.limits.idle_commands_max:
            raise CutOff(replies.TOO_MUCH_IDLING)


Conversation.verbs = {
    "EHLO": Conversation.smtp_EHLO,
    "HELO": Conversation.smtp_HELO,
    "STARTTLS": Conversation.smtp_STARTTLS,
    "MAIL": Conversation.smtp_MAIL,
    "RCPT": Conversation.smtp_RCPT,
    "DATA": Conversation.smtp_DATA,
    "BDAT": Conversation.smtp_BDAT,
    "RSET": Conversation.smtp_RSET,
    "NOOP": Conversation.smtp_NOOP,
    "HELP": Conversation.smtp_HELP,
    "VRFY": Conversation.smtp_VRFY,
    "EXPN": Conversation.smtp_EXPN,
    "QUIT": Conversation.smtp_QUIT,
}
