"""How does a conversation with a mail client go? One command after the other, from greeting to goodbye.

The session knows when a command is allowed, runs it, tells what is new where that is legal, and answers under the
command's tag. It speaks through a `Wire` and asks a `MailStore`; it opens no socket and no database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import IntEnum
from typing import Any

import structlog

from mss.imap import commands as c
from mss.imap import fetching, foldercommands, login, mask, messagecommands, responses, rights, searching, sorting
from mss.imap.reader import GoAhead, Refused
from mss.imap.replies import REPLIES, Declined, Problem
from mss.imap.state import Disconnected, Session
from mss.model.errors import MssError, NotFound, StorageUnavailable

log = structlog.get_logger("imap")

MISTAKES_MAX = 25
"""Commands in a row that are none: whoever speaks so is no mail client."""

Answer = str | tuple[str, str | bytes] | None
"""Text of the tagged OK, with its code; None when the command has answered by itself."""
Handler = Callable[[Session, str, Any], Awaitable[Answer]]


class When(IntEnum):
    """In which state a command may come (RFC 9051 §3)."""

    ANY = 0
    STRANGER = 1
    LOGGED_IN = 2
    SELECTED = 3


_COMMANDS: dict[type, tuple[When, Handler]] = {
    c.Capability: (When.ANY, login.capability),
    c.Noop: (When.ANY, login.noop),
    c.Logout: (When.ANY, login.logout),
    c.Id: (When.ANY, login.identify),
    c.StartTls: (When.STRANGER, login.start_tls),
    c.Authenticate: (When.STRANGER, login.authenticate),
    c.Login: (When.STRANGER, login.login),
    c.Enable: (When.LOGGED_IN, login.enable),
    c.Select: (When.LOGGED_IN, foldercommands.select),
    c.Create: (When.LOGGED_IN, foldercommands.create),
    c.Delete: (When.LOGGED_IN, foldercommands.delete),
    c.Rename: (When.LOGGED_IN, foldercommands.rename),
    c.Subscribe: (When.LOGGED_IN, foldercommands.subscribe),
    c.List: (When.LOGGED_IN, foldercommands.list_folders),
    c.Lsub: (When.LOGGED_IN, foldercommands.list_subscribed),
    c.Namespace: (When.LOGGED_IN, foldercommands.namespace),
    c.Status: (When.LOGGED_IN, foldercommands.status),
    c.Quota: (When.LOGGED_IN, rights.quota),
    c.SetQuota: (When.LOGGED_IN, rights.set_quota),
    c.MyRights: (When.LOGGED_IN, rights.my_rights),
    c.Acl: (When.LOGGED_IN, rights.acl),
    c.Append: (When.LOGGED_IN, messagecommands.append),
    c.Check: (When.SELECTED, login.noop),
    c.Close: (When.SELECTED, messagecommands.close),
    c.Expunge: (When.SELECTED, messagecommands.expunge),
    c.Fetch: (When.SELECTED, fetching.fetch),
    c.Store: (When.SELECTED, messagecommands.store),
    c.Copy: (When.SELECTED, messagecommands.copy),
    c.Search: (When.SELECTED, searching.search),
    c.Sort: (When.SELECTED, sorting.sort),
    c.Thread: (When.SELECTED, sorting.thread),
}


async def converse(session: Session) -> None:
    """From greeting to goodbye. Raises Disconnected when the client goes without one."""
    session.wire.set_limits(login.stranger_limits(session))
    session.wire.write(responses.greeting(login.capabilities(session), session.settings.name))
    try:
        began_s = session.heard_s = session.clock.monotonic_s()
        while not session.leaving:
            is_known = session.account is not None
            patience_s = session.settings.idle_s if is_known else session.settings.stranger_s
            await _next(session, (session.heard_s if is_known else began_s) + patience_s)
        await session.wire.drain()
    finally:
        session.let_go()


async def _next(session: Session, deadline_s: float) -> None:
    """Serve the next command, or wait until something comes."""
    event = session.wire.take_command()
    if event is None:
        left_s = deadline_s - session.clock.monotonic_s()
        if left_s > 0:
            await _wait(session, left_s)
        else:
            session.wire.write(responses.bye("Nothing heard for too long"))
            session.leaving = True
    elif isinstance(event, GoAhead):
        session.wire.write(responses.GO_AHEAD)
    elif isinstance(event, Refused):
        _refuse(session, event)
    else:
        if wait_s := session.pace.wait_s(session.clock.monotonic_s()):
            await asyncio.sleep(wait_s)  # what the client sends meanwhile stays with it
        session.mistakes = 0
        await _serve(session, event)
        await session.wire.drain()
        session.heard_s = session.clock.monotonic_s()


async def _wait(session: Session, left_s: float) -> None:
    """Until something comes, or whether the session may stand at all is to be asked."""
    by_certificate = session.account is not None and bool(session.account.certificate)
    heard = await session.wire.wait(min(left_s, session.settings.poll_s) if by_certificate else left_s)
    if session.is_in_doubt or (by_certificate and not heard):
        with suppress(StorageUnavailable):  # nobody can tell now: asked again before anything else
            await session.check_rights()


def _refuse(session: Session, refused: Refused) -> None:
    session.wire.write(responses.tagged(refused.tag, refused.status, refused.text, refused.code))
    session.mistakes += 1
    if refused.fatal or session.mistakes >= MISTAKES_MAX:
        session.wire.write(responses.bye("Too many mistakes"))
        session.leaving = True


async def _serve(session: Session, tagged: c.Tagged) -> None:
    """Run one command and answer it."""
    tag, command = tagged.tag, tagged.command
    try:
        if not isinstance(command, c.Logout):
            await session.check_rights()
        if session.leaving:
            return
        answer = await _run(session, tag, command)
    except Declined as declined:
        problem = declined.problem
    except NotFound:
        problem = Problem.FOLDER_GONE
    except StorageUnavailable:
        problem = Problem.UNAVAILABLE
    except MssError as broken:
        owner = session.account.owner if session.account else 0
        log.error("imap.command-failed", command=type(command).__name__, owner=owner, error=type(broken).__name__)
        problem = Problem.BROKEN
    else:
        if answer is not None:
            text, code = answer if isinstance(answer, tuple) else (answer, "")
            await _tell_news(session, command)
            session.wire.write(responses.tagged(tag, "OK", text, code))
        return
    await _tell_news(session, command)
    reply = REPLIES[problem]
    session.wire.write(responses.tagged(tag, reply.status, reply.text, reply.code))


async def _run(session: Session, tag: str, command: c.Command) -> Answer:
    if session.account is not None and mask.forbids(session.account.hidden, command):
        raise Declined(Problem.NOT_OFFERED)
    if isinstance(command, c.Idle):
        _check(session, When.LOGGED_IN)
        return await _idle(session)
    when, handler = _COMMANDS[type(command)]
    _check(session, when)
    return await handler(session, tag, command)


def _check(session: Session, when: When) -> None:
    if when is When.STRANGER and session.account is not None:
        raise Declined(Problem.LOGGED_IN)
    if when >= When.LOGGED_IN and session.account is None:
        raise Declined(Problem.NOT_LOGGED_IN)
    if when is When.SELECTED and session.selected is None:
        raise Declined(Problem.NOTHING_SELECTED)


async def _tell_news(session: Session, command: c.Command) -> None:
    """What has changed meanwhile, as far as it may be said after this command (RFC 9051 §7.5.1)."""
    if session.selected is None or session.leaving or isinstance(command, c.Select):
        return  # the answer to SELECT is a picture of one moment; what changed since comes with the next command
    speaks_in_numbers = isinstance(command, c.Fetch | c.Store | c.Search | c.Sort | c.Thread) and not command.uid
    try:
        await session.tell_news(may_expunge=not speaks_in_numbers)
    except MssError:
        pass  # the answer to the command stands; the news comes with the next one


async def _idle(session: Session) -> Answer:
    """Tell news as it comes, until the client says DONE (RFC 9051 §6.3.13)."""
    wire, settings = session.wire, session.settings
    wire.write(responses.IDLING)
    await session.tell_news(may_expunge=True, ask=True)
    await wire.drain()
    began_s = spoke_s = session.clock.monotonic_s()
    while (line := wire.take_line()) is None:
        heard = await wire.wait(settings.poll_s)
        now_s = session.clock.monotonic_s()
        if now_s > began_s + settings.idle_s:
            wire.write(responses.bye("Nothing heard for too long"))
            raise Disconnected("idle for too long")
        with suppress(StorageUnavailable):  # nothing is told while nobody can tell; the next look asks again
            await session.check_rights()
            await session.tell_news(may_expunge=True, ask=not heard)
        if session.leaving:
            return None
        if now_s >= spoke_s + settings.still_here_s:
            wire.write(responses.STILL_HERE)
            spoke_s = now_s
        await wire.drain()
    if isinstance(line, Refused) or line.rstrip(b" ").upper() != b"DONE":
        raise Declined(Problem.DONE_EXPECTED)
    return "Idled"
