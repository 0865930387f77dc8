"""What may be said on a mail connection, in which order?

The upper half of our aiosmtpd protocol class: a table of verbs, strict commands, one reply for each. Whether mail
is welcome is asked of the handler through aiosmtpd's hooks (`handle_MAIL`, `handle_RCPT`, `handle_DATA`); here
nothing is decided but grammar, order and patience. EXPN does not exist and VRFY tells nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import MappingProxyType
from typing import ClassVar, Protocol

from aiosmtpd.smtp import Envelope

from mss.model.ids import MailAddress
from mss.model.message import DsnWish, RecipientWish, Returned
from mss.model.verdict import Reason
from mss.smtp import commands, journal, replies, wishes
from mss.smtp.commands import BadCommand, BadLine, RcptCommand
from mss.smtp.replies import Reply
from mss.smtp.wire import CutOff, Doorway, HungUp, Visit, Wire

POISON = frozenset({Reason.BARE_CR_OR_LF, Reason.NUL_BYTE})
"""Signs of smuggling: commands sent in one breath with such a message are not obeyed."""


class Transaction(Envelope):
    """aiosmtpd's envelope with real addresses. `mail_from` is None before MAIL, and "" for the null sender."""

    def __init__(self) -> None:
        super().__init__()
        self.sender: MailAddress | None = None
        self.recipients: dict[str, MailAddress] = {}
        self.returned: Returned | None = None
        self.envelope_id = ""
        self.recipient_wishes: dict[str, RecipientWish] = {}

    @property
    def is_begun(self) -> bool:
        return self.mail_from is not None

    def add(self, command: RcptCommand) -> None:
        """One more recipient; named twice it still gets one copy."""
        key = command.recipient.key
        if key in self.recipients:
            self.recipient_wishes[key] = wishes.of_both(self.recipient_wishes[key], command.wish)
            return
        self.recipients[key] = command.recipient
        self.recipient_wishes[key] = command.wish
        self.rcpt_tos.append(str(command.recipient))
        self.rcpt_options.extend(command.options)

    @property
    def wish(self) -> DsnWish:
        """What the sender asked of delivery reports."""
        return DsnWish(self.returned, self.envelope_id, MappingProxyType(self.recipient_wishes))

    @property
    def octets(self) -> bytes:
        """The message as received, dots undone."""
        assert isinstance(self.content, bytes)
        return self.content


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


Verb = Callable[["Conversation", str], Awaitable[None]]


class Conversation(Wire):
    """One client, from greeting to goodbye."""

    verbs: ClassVar[dict[str, Verb]]
    """Built once for the class, not looked up for each connection."""
    before_tls = frozenset({"EHLO", "HELO", "STARTTLS", "NOOP", "RSET", "QUIT", "HELP"})
    """RFC 3207 §4: everything else has to wait."""
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
        offered = [f"SIZE {self.limits.message_octets_max}", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES", "DSN"]
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
        if not reply.is_positive:
            self._refuse(reply)
            return
        self.envelope.sender = command.sender
        self.envelope.mail_from = "" if command.sender is None else str(command.sender)
        self.envelope.mail_options = options
        self.envelope.returned, self.envelope.envelope_id = command.returned, command.envelope_id
        self._say(reply)

    async def smtp_RCPT(self, argument: str) -> None:
        if not self.envelope.is_begun:
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
        if not self.envelope.is_begun:
            raise BadCommand(replies.OUT_OF_ORDER)
        if not self.envelope.recipients:
            raise BadCommand(replies.NO_RECIPIENT)
        try:
            reply = await self._take_message()
        finally:
            self._hold(0)
            self._begin_anew()
        if reply.is_positive:
            self._refusals = self._idle_commands = 0
            self._say(reply)
        else:
            self._refuse(reply)

    async def _take_message(self) -> Reply:
        blocks = await self._transfer()
        if blocks.problem in POISON and self._commands.waiting_octets:
            raise CutOff(replies.REPLIES[blocks.problem])
        if blocks.problem is not None:
            return replies.REPLIES[blocks.problem]
        self.envelope.content = self.envelope.original_content = blocks.message()
        return await self.handler.handle_DATA(self, self.session, self.envelope)

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
        """Forget the transaction."""
        self.envelope = Transaction()

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
    "RSET": Conversation.smtp_RSET,
    "NOOP": Conversation.smtp_NOOP,
    "HELP": Conversation.smtp_HELP,
    "VRFY": Conversation.smtp_VRFY,
    "EXPN": Conversation.smtp_EXPN,
    "QUIT": Conversation.smtp_QUIT,
}
