"""How does a conversation with an address book go? One request after the other, from the first octet to goodbye.

Before TLS nothing but the root entry and StartTLS; before a bind nothing but the root and the schema. Who binds wrongly
three times is sent away. Whoever lost her access is sent away too, also in the middle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from mss.accounts.slowdown import Budget
from mss.ldap import codec, entries
from mss.ldap.book import Answer, Book
from mss.ldap.entries import STARTTLS, WHO_AM_I, Entry
from mss.ldap.names import Spot, Tree
from mss.ldap.people import BookLogin, Reader
from mss.ldap.replies import REPLIES, SUCCESS, Problem
from mss.ldap.requests import (
    Abandon,
    Bind,
    Broken,
    Change,
    Equal,
    Extended,
    Like,
    Message,
    Present,
    Scope,
    Search,
    Unbind,
)
from mss.ldap.wire import Gone, Wire
from mss.model.clock import Clock
from mss.model.errors import StorageUnavailable

log = structlog.get_logger("ldap")

FAILED_BINDS_MAX = 3
"""Then the line is cut, as by the other mail doors."""
WAITING_MAX = 16
"""Requests that a client may send ahead of our answers."""
OPERATIONS_MAX = 10_000
"""Of one connection: an address book that lives for a day connects again sometimes."""
NOTICE_OF_DISCONNECTION = "1.3.6.1.4.1.1466.20036"
SEARCHES_AT_ONCE = 120
SEARCH_EVERY_S = 0.5
"""Who types makes a search of each letter; who reads the directory out is slowed to two a second, whatever the
connection."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`stranger_s`: time to bind, from the beginning; `idle_s`: without a word afterwards."""

    stranger_s: float = 30.0
    idle_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Rooms:
    """What stands behind the door."""

    book: Book
    login: BookLogin
    tree: Tree
    clock: Clock
    budget: Budget
    """Of searches, by owner."""


class Session:
    """One client."""

    def __init__(self, wire: Wire, rooms: Rooms, settings: Settings, number: int) -> None:
        self.reader: Reader | None = None
        self.is_in_doubt = False
        """Somebody's access has changed: ask again before the next word."""
        self._wire = wire
        self._rooms = rooms
        self._settings = settings
        self._number = number
        self._failed = 0
        self._waiting: deque[Message] = deque()
        self._began_s = rooms.clock.monotonic_s()

    async def converse(self) -> None:
        """Until one of both has had enough. Raises Gone."""
        try:
            for _ in range(OPERATIONS_MAX):
                message = await self._next()
                if isinstance(message.request, Unbind):
                    return
                await self._answer(message)
            await self.disconnect(Problem.CLOSING)
        except Broken as problem:
            log.info("ldap.malformed", connection=self._number, what=str(problem))
            await self.disconnect(Problem.MALFORMED)

    async def disconnect(self, problem: Problem) -> None:
        """Say why, and end (RFC 4511 §4.4.1). Raises Gone."""
        reply = REPLIES[problem]
        await self._wire.send(
            codec.result(0, codec.EXTENDED_ANSWER, reply.code, reply.text, name=NOTICE_OF_DISCONNECTION)
        )
        raise Gone(problem.value)

    async def _next(self) -> Message:
        """The next request, while the client may speak. Raises Broken, Gone."""
        while not self._waiting:
            if self.is_in_doubt:
                await self._review()
            now_s = self._rooms.clock.monotonic_s()
            until_s = (
                self._began_s + self._settings.stranger_s - now_s if self.reader is None else self._settings.idle_s
            )
            frame = await self._wire.next_frame(until_s)
            if frame is not None:
                self._waiting.append(codec.read(frame))
            elif not self.is_in_doubt:
                await self.disconnect(Problem.IDLE)
        return self._waiting.popleft()

    async def _review(self) -> None:
        self.is_in_doubt = False
        if self.reader is not None and not await self._rooms.login.may_stay(self.reader):
            log.info("ldap.access-ended", connection=self._number, owner=self.reader.owner)
            await self.disconnect(Problem.ENDED)

    def _is_abandoned(self, number: int) -> bool:
        """Look at what came meanwhile: the client may want no answer any more (RFC 4511 §4.11). Raises Broken."""
        while len(self._waiting) < WAITING_MAX and (frame := self._wire.frames.take()) is not None:
            self._waiting.append(codec.read(frame))
        return any(
            isinstance(one.request, Unbind) or (isinstance(one.request, Abandon) and one.request.number == number)
            for one in self._waiting
        )

    async def _answer(self, message: Message) -> None:
        match message.request:
            case Bind() as bind:
                await self._bind(message.number, bind)
            case Search() as search:
                await self._search(message, search)
            case Extended(name):
                await self._extended(message, name)
            case Change(answer):
                await self._say(message.number, answer, Problem.READ_ONLY)
            case Abandon():
                pass  # what it names has been answered, or is none (no reply: RFC 4511 §4.11)

    async def _say(self, number: int, answer: int, problem: Problem | None, text: str = "") -> None:
        if problem is None:
            await self._wire.send(codec.result(number, answer, SUCCESS, text))
        else:
            await self._wire.send(codec.result(number, answer, REPLIES[problem].code, REPLIES[problem].text))

    # ── who ──

    async def _bind(self, number: int, bind: Bind) -> None:
        """Whoever binds is nobody until it has worked (RFC 4511 §4.2.1)."""
        self.reader = None
        problem = await self._admit(bind)
        await self._say(number, codec.BIND_ANSWER, problem)
        if problem is not Problem.BIND_FAILED:
            return
        self._failed += 1
        log.info("ldap.bind-failed", connection=self._number, failed=self._failed)
        if self._failed >= FAILED_BINDS_MAX:
            raise Gone("wrong passwords")

    async def _admit(self, bind: Bind) -> Problem | None:
        if bind.version != 3:
            return Problem.VERSION
        if bind.password is None:
            return Problem.METHOD
        if not bind.name and not bind.password:
            return None  # anonymous, who may read the root entry (RFC 4513 §5.1.1)
        if not bind.password:
            return Problem.WITHOUT_PASSWORD  # RFC 4513 §5.1.2: never taken for a success
        if not self._wire.is_secure:
            return Problem.TLS_REQUIRED
        try:
            self.reader = await self._rooms.login.admit(self._rooms.tree.login_of(bind.name), bind.password)
        except StorageUnavailable:
            return Problem.UNAVAILABLE
        return Problem.BIND_FAILED if self.reader is None else None

    # ── what else ──

    async def _extended(self, message: Message, name: str) -> None:
        number, answer = message.number, codec.EXTENDED_ANSWER
        if message.must_understand:
            await self._say(number, answer, Problem.CONTROL)
        elif name == WHO_AM_I:
            await self._wire.send(codec.identity(number, f"u:{self.reader.address}" if self.reader else ""))
        elif name != STARTTLS:
            await self._say(number, answer, Problem.UNKNOWN_OPERATION)
        elif self._wire.is_secure:
            await self._say(number, answer, Problem.TLS_ALREADY)
        elif self._waiting or self._wire.frames.waiting_bytes:
            await self._say(number, answer, Problem.TLS_NOT_NOW)
            raise Gone("sent ahead of TLS")
        else:
            await self._wire.send(codec.result(number, answer, SUCCESS, name=STARTTLS))
            await self._wire.start_tls()
            self.reader = None

    # ── whom ──

    async def _search(self, message: Message, search: Search) -> None:
        number = message.number
        if message.must_understand:
            await self._say(number, codec.SEARCH_DONE, Problem.CONTROL)
            return
        place = self._rooms.tree.place(search.base)
        if search.scope is Scope.BASE and place.spot in (Spot.ROOT, Spot.SCHEMA):
            secure = self._wire.is_secure
            told = (
                entries.schema() if place.spot is Spot.SCHEMA else entries.root_of(self._rooms.tree, is_secure=secure)
            )
            await self._wire.send(codec.entry(number, search.base, _of_server(told, search)))
            await self._say(number, codec.SEARCH_DONE, None)
            return
        problem = await self._may_search()
        if problem is None:
            answer = await self._found(search)
            if self._is_abandoned(number):
                return
            for entry in answer.entries:
                chosen = entry.chosen(search.attributes, types_only=search.types_only)
                await self._wire.send(codec.entry(number, entry.dn, chosen))
            problem = answer.problem
            assert self.reader is not None
            log.info(
                "ldap.searched",
                connection=self._number,
                owner=self.reader.owner,
                found=len(answer.entries),
                ended=problem.value if problem else "all",
            )
        await self._say(number, codec.SEARCH_DONE, problem)

    async def _may_search(self) -> Problem | None:
        if not self._wire.is_secure:
            return Problem.TLS_REQUIRED
        if self.reader is None:
            return Problem.BIND_REQUIRED
        await self._review()
        return Problem.TOO_OFTEN if self._rooms.budget.take(self.reader.owner) > 0 else None

    async def _found(self, search: Search) -> Answer:
        """What stands at the base, or below it."""
        place = self._rooms.tree.place(search.base)
        try:
            if place.spot is Spot.ENTRY:
                return _one(await self._rooms.book.at(place.address), search)
            if place.spot in (Spot.NOWHERE, Spot.SCHEMA):
                return Answer((), Problem.NO_SUCH_ENTRY)
            if search.scope is Scope.BASE:
                return Answer((), Problem.NO_SUCH_ENTRY) if place.spot is Spot.ABOVE else self._branch(search)
            if search.scope is Scope.ONE and place.spot is not Spot.BOOK:
                return self._branch(search)
            return await self._rooms.book.find(search.filter, search.size_max, search.time_s_max)
        except StorageUnavailable:
            return Answer((), Problem.UNAVAILABLE)

    def _branch(self, search: Search) -> Answer:
        branch = entries.book_of(self._rooms.tree)
        return Answer((branch,) if entries.holds(search.filter, branch) else ())


def _one(entry: Entry | None, search: Search) -> Answer:
    """An entry by its name; there is nothing below it."""
    if entry is None:
        return Answer((), Problem.NO_SUCH_ENTRY)
    is_asked = search.scope is not Scope.ONE and entries.holds(search.filter, entry)
    return Answer((entry,) if is_asked else ())


def _of_server(told: Sequence[tuple[str, tuple[str, ...]]], search: Search) -> list[tuple[str, tuple[str, ...]]]:
    """Root and schema: everything unless some is named. Their filter is always "is it there"."""
    if not isinstance(search.filter, Present | Equal | Like):
        return []
    named = set(search.attributes) - {"*", "+"}
    return [(name, () if search.types_only else values) for name, values in told if not named or name.lower() in named]
