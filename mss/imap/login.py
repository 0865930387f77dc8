"""How does a client introduce itself? Commands that need no folder: CAPABILITY, STARTTLS, LOGIN, AUTHENTICATE …

Who somebody is decides the injected `authenticate`; here only TLS is insisted upon, and that a refusal says the
same whoever was named. What is announced is what is right, and only what is possible at that moment.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache, lru_cache

from mss.imap import commands as c
from mss.imap import mask, responses
from mss.imap.backend import TOKEN_MECHANISMS
from mss.imap.grammar import bearer_credentials, decode_sasl, plain_credentials
from mss.imap.reader import Limits, Refused
from mss.imap.replies import Declined, Problem
from mss.imap.state import Disconnected, Session
from mss.imap.tokens import Bad
from mss.model.errors import BadValue

ALWAYS = ("IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE", "IDLE")
LOGGED_IN = (
    "NAMESPACE",
    "UNSELECT",
    "UIDPLUS",
    "MOVE",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "LIST-MYRIGHTS",
    "ACL",
    "RIGHTS=kxte",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "OBJECTID",
    "PREVIEW",
    "SAVEDATE",
    "CHILDREN",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "ESEARCH",
    "SEARCHRES",
    "SORT",
    "SORT=DISPLAY",
    "THREAD=REFERENCES",
    "WITHIN",
    "BINARY",
    "CONDSTORE",
    "QRESYNC",
    "STATUS=SIZE",
)
ENABLED = ("CONDSTORE", "QRESYNC", "IMAP4REV2")
"""What ENABLE switches on; the rest is passed over (RFC 5161 §3.1)."""
TOKEN_REFUSED = b'{"status":"invalid_token"}'
FAILED_LOGINS_MAX = 3
"""Then the line is cut; slowing down by account and address is for whoever knows passwords."""


def capabilities(session: Session) -> str:
    """What this server can do for this client now, with blanks between."""
    settings = session.settings
    if session.account is not None:
        return _for_account(session.account.hidden, settings.message_bytes_max)
    if not session.wire.is_secure:
        return " ".join((*ALWAYS, "STARTTLS", "LOGINDISABLED"))
    return _for_stranger(has_certificate=session.wire.certificate is not None, takes_tokens=settings.takes_tokens)


@lru_cache(maxsize=64)
def _for_account(hidden: frozenset[str], message_bytes_max: int) -> str:
    return " ".join(mask.visible((*ALWAYS, *LOGGED_IN, f"APPENDLIMIT={message_bytes_max}"), hidden))


@cache
def _for_stranger(*, has_certificate: bool, takes_tokens: bool) -> str:
    mechanisms = ("PLAIN", *(["EXTERNAL"] * has_certificate), *(TOKEN_MECHANISMS * takes_tokens))
    return " ".join((*ALWAYS, *(f"AUTH={mechanism}" for mechanism in mechanisms)))


def stranger_limits(session: Session) -> Limits:
    """What a client may send before it has logged in."""
    return Limits(session.settings.stranger_line_bytes_max, session.settings.stranger_bytes_max)


async def capability(session: Session, _tag: str, _command: c.Capability) -> str:
    session.wire.write(responses.capability(capabilities(session)))
    return "That is what can be done"


async def noop(session: Session, _tag: str, _command: c.Noop | c.Check) -> str:
    await session.tell_news(may_expunge=True, ask=True)
    return "Done"


async def logout(session: Session, _tag: str, _command: c.Logout) -> str:
    session.wire.write(responses.bye("Goodbye"))
    session.let_go()
    session.leaving = True
    return "Logged out"


async def identify(session: Session, _tag: str, _command: c.Id) -> str:
    session.wire.write(responses.identity([("name", "mss")]))
    return "Pleased to meet you"


async def enable(session: Session, _tag: str, command: c.Enable) -> str:
    """Unknown extensions are passed over (RFC 5161 §3.1)."""
    now = [name for name in dict.fromkeys(command.extensions) if name in ENABLED and not _is_hidden(session, name)]
    session.wire.write(responses.enabled(["IMAP4rev2" if name == "IMAP4REV2" else name for name in now]))
    if "IMAP4REV2" in now:
        session.rev2 = True
        session.wire.use_utf8()
    session.qresync = session.qresync or "QRESYNC" in now
    if "CONDSTORE" in now or "QRESYNC" in now:
        session.use_condstore()
    return "Enabled"


def _is_hidden(session: Session, name: str) -> bool:
    return session.account is not None and name in session.account.hidden


async def start_tls(session: Session, tag: str, _command: c.StartTls) -> None:
    """Answers by itself, since what follows is no longer in clear."""
    if session.wire.is_secure:
        raise Declined(Problem.TLS_ALREADY)
    session.wire.write(responses.tagged(tag, "OK", "Begin TLS now"))
    await session.wire.start_tls()


async def login(session: Session, tag: str, command: c.Login) -> tuple[str, str]:
    _insist_on_tls(session)
    return await _admit(session, "LOGIN", command.username, command.password)


async def authenticate(session: Session, tag: str, command: c.Authenticate) -> tuple[str, str]:
    _insist_on_tls(session)
    if command.mechanism == "PLAIN":
        response = await _response(session, command.initial)
        try:
            other, username, password = plain_credentials(response)
        except BadValue:
            raise Declined(Problem.LOGIN_FAILED) from None
        if other not in ("", username):  # nobody acts for somebody else by IMAP
            raise Declined(Problem.LOGIN_FAILED)
        return await _admit(session, "PLAIN", username, password)
    if command.mechanism == "EXTERNAL" and session.wire.certificate:
        response = await _response(session, command.initial)
        try:
            username = response.decode("utf-8")
        except UnicodeDecodeError:
            raise Declined(Problem.LOGIN_FAILED) from None
        return await _admit(session, "EXTERNAL", username, session.wire.certificate)
    if command.mechanism in TOKEN_MECHANISMS and session.settings.takes_tokens:
        return await _by_token(session, command)
    raise Declined(Problem.MECHANISM_UNKNOWN)


async def _by_token(session: Session, command: c.Authenticate) -> tuple[str, str]:
    """A token that does not count is told in JSON, which the client acknowledges before the NO (RFC 7628 §3.2.2)."""
    response = await _response(session, command.initial)
    try:
        username, token = bearer_credentials(response)
        return await _admit(session, command.mechanism, username, token)
    except (BadValue, Declined):
        session.wire.write(b"+ " + b64encode(TOKEN_REFUSED) + b"\r\n")
        await _line(session)
        raise Declined(Problem.LOGIN_FAILED) from None


def _insist_on_tls(session: Session) -> None:
    if not session.wire.is_secure:
        raise Declined(Problem.TLS_REQUIRED)


async def _response(session: Session, initial: bytes | None) -> bytes:
    """The client's SASL response: the initial one, or asked for."""
    if initial is not None:
        return initial
    session.wire.write(b"+ \r\n")
    line = await _line(session)
    if isinstance(line, Refused) or line == b"*":
        raise Declined(Problem.CANCELLED)
    try:
        return decode_sasl(line)
    except Bad:
        raise Declined(Problem.CANCELLED) from None


async def _line(session: Session) -> bytes | Refused:
    while (line := session.wire.take_line()) is None:
        if not await session.wire.wait(session.settings.stranger_s):
            raise Disconnected("timeout")
    return line


async def _admit(session: Session, mechanism: str, username: str, secret: bytes) -> tuple[str, str]:
    asked_s = session.clock.monotonic_s()
    account = await session.authenticate(mechanism, username, secret, session.wire.peer)
    if account is None:
        session.failed_logins += 1
        session.leaving = session.failed_logins >= FAILED_LOGINS_MAX
        raise Declined(Problem.LOGIN_FAILED)
    session.account, session.reviewed_s = account, asked_s
    settings = session.settings
    session.wire.set_limits(Limits(settings.line_bytes_max, settings.literal_bytes_max, settings.message_bytes_max))
    return "Logged in", f"CAPABILITY {capabilities(session)}"
