"""What do the authorities' responders say now, of the certificates that are shown to us?

Asked at the address that the certificate names, or at one that the operator set, by http: answers are signed. An
answer counts until its own end and is asked again hourly; a first question is waited for, a later one is not. A
responder that is silent or says nothing that counts is left in peace for a while; then lists decide, or nobody can
tell. Nothing here blocks: one certificate's question keeps no other peer waiting.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from email import message_from_string
from functools import partial
from urllib.parse import SplitResult, urlsplit

from cryptography import x509

from mss.crypto.certs import authority_id
from mss.crypto.ocsp import ANSWER_BYTES_MAX, question, read_answer
from mss.crypto.revocation import Answer, Link, RevocationLists, RevocationStatus
from mss.model.clock import Clock
from mss.model.errors import BadValue

ASK_EVERY_S = 3600.0
"""As lists: an hour is how long a certificate that was taken back may still be used."""
REST_S = 60.0
"""After a failure: a peer's mails do not each wait for a responder that is away."""
ANSWER_S_MAX = 5.0
"""For all of it. A peer waits so long for our reply at its first message, once a minute at worst."""
NOT_HTTP = "no HTTP answer"
HTTP_PORT = 80
HEAD_BYTES_MAX = 8 * 1024
ANSWERS_MAX = 2048
"""Remembered: the trust space has some 400 certificates."""
ASKED_AT_ONCE_MAX = 20
"""Peers that come after a restart, all at once; the rest wait their turn within their own time."""

Tell = Callable[[str, str], None]


def to_nobody(_url: str, _why: str) -> None:
    """For commands, which have no journal."""


class Responders:
    """The answers of this process."""

    def __init__(
        self,
        authorities: Sequence[x509.Certificate],
        clock: Clock,
        *,
        url: str = "",
        others: Sequence[x509.Certificate] = (),
        lists: Callable[[], RevocationLists] = RevocationLists,
        tell: Tell = to_nobody,
        answer_s_max: float = ANSWER_S_MAX,
    ) -> None:
        """`url`: asked instead of what certificates of `authorities` name; it speaks for none of `others`. `lists`: a
        responder that they name speaks for nobody. `tell` hears of an address that gave no answer that counts, and
        why."""
        self._set_for = frozenset(authority_id(known) for known in authorities) if url else frozenset()
        self._authorities = {authority_id(known): known for known in (*authorities, *others)}
        self._clock = clock
        self._url = url
        self._lists = lists
        self._tell = tell
        self._answer_s_max = answer_s_max
        self._next_s: OrderedDict[tuple[bytes, int], float] = OrderedDict()
        self._asking: dict[tuple[bytes, int], asyncio.Task[None]] = {}
        self._resting: dict[str, float] = {}
        self._turns = asyncio.Semaphore(ASKED_AT_ONCE_MAX)
        self.answers: dict[tuple[bytes, int], Answer] = {}
        self._trouble: dict[tuple[bytes, int], tuple[str, str]] = {}

    @property
    def trouble(self) -> dict[str, str]:
        """By address: why its last answer about one of the certificates did not count."""
        return dict(self._trouble.values())

    async def inquire(self, path: Sequence[Link]) -> None:
        """Ask about each step that is due, and wait where no answer counts yet. Raises nothing."""
        now, waited_for = self._clock.now(), []
        for link in path:
            if link.named not in self._asking and self._is_due(link):
                task = self._asking[link.named] = asyncio.create_task(self._ask(link))
                task.add_done_callback(partial(self._asked, link.named))
            answer = self.answers.get(link.named)
            if link.named in self._asking and (answer is None or not answer.counts(now)):
                waited_for.append(self._asking[link.named])
        if waited_for:
            await asyncio.wait(waited_for)

    def _asked(self, named: tuple[bytes, int], _task: asyncio.Task[None]) -> None:
        self._asking.pop(named, None)

    def speak_for(self, path: Sequence[Link]) -> bool:
        """Whether anybody is asked about any step of it."""
        return any(self._has_responder(link) for link in path)

    def _has_responder(self, link: Link) -> bool:
        return bool(self._address(link)) and link.authority in self._authorities

    def _is_due(self, link: Link) -> bool:
        if not self._has_responder(link):
            return False
        now_s, never = self._clock.monotonic_s(), float("-inf")
        return self._next_s.get(link.named, never) <= now_s and self._resting.get(self._address(link), never) <= now_s

    def _address(self, link: Link) -> str:
        return self._url if link.authority in self._set_for else link.responder

    async def _ask(self, link: Link) -> None:
        url, why, pause_s = self._address(link), "", REST_S
        try:
            async with asyncio.timeout(self._answer_s_max), self._turns:
                octets = await _post(urlsplit(url), question(link, self._authorities[link.authority]))
            answer = self._believed(octets, link)
            pause_s = min(max((answer.not_after - self._clock.now()).total_seconds(), REST_S), ASK_EVERY_S)
        except BadValue as broken:
            why = str(broken)
        except (OSError, ValueError) as problem:  # TimeoutError is an OSError
            why = "silent" if isinstance(problem, TimeoutError) else f"not there ({type(problem).__name__})"
            self._resting[url] = self._clock.monotonic_s() + REST_S
        self._next_s[link.named] = self._clock.monotonic_s() + pause_s
        self._next_s.move_to_end(link.named)
        self._trouble.pop(link.named, None)
        if why:
            self._trouble[link.named] = url, why
            self._tell(url, why)
        while len(self._next_s) > ANSWERS_MAX:
            forgotten, _ = self._next_s.popitem(last=False)
            self.answers.pop(forgotten, None)
            self._trouble.pop(forgotten, None)

    def _believed(self, octets: bytes, link: Link) -> Answer:
        """The answer, kept unless a newer one is. Raises BadValue."""
        answer = read_answer(octets, link, self._authorities[link.authority], self._clock.now())
        if answer.signer is not None:
            signer = Link(link.authority, answer.signer, is_authority=False)
            if self._lists().of(signer, self._clock.now()) is RevocationStatus.REVOKED:
                raise BadValue("answer of a responder whose certificate was taken back")
        known = self.answers.get(link.named)
        if known is None or known.not_before <= answer.not_before:
            self.answers[link.named] = answer
        return answer


def ask_and_wait(responders: Responders, path: Sequence[Link]) -> None:
    """The same for a caller that blocks, in a thread or before its loop has begun: `responders` must be its own, and
    of nobody who asks in a loop."""
    asking = threading.Thread(target=lambda: asyncio.run(responders.inquire(path)), name="ocsp")
    asking.start()
    asking.join()


async def _post(url: SplitResult, octets: bytes) -> bytes:
    """One question by HTTP/1.0 (RFC 6960 A.1), which knows no chunks. Raises OSError, ValueError, BadValue."""
    if not url.hostname:
        raise BadValue("no address of a responder")
    reader, writer = await asyncio.open_connection(url.hostname, url.port or HTTP_PORT, limit=HEAD_BYTES_MAX)
    try:
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        head = f"POST {path} HTTP/1.0\r\nHost: {url.netloc}\r\nContent-Type: application/ocsp-request\r\n"
        writer.write(f"{head}Content-Length: {len(octets)}\r\n\r\n".encode("ascii") + octets)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise BadValue(NOT_HTTP) from None
        words = head.split("\r\n", 1)[0].split(" ")
        if not words[0].startswith("HTTP/1.") or len(words) < 2:
            raise BadValue(NOT_HTTP)
        if words[1] != "200":
            raise BadValue(f"HTTP answer {words[1][:3]}")
        return await _body(reader, message_from_string(head.split("\r\n", 1)[1])["Content-Length"])
    finally:
        writer.transport.abort()


async def _body(reader: asyncio.StreamReader, length: str | None) -> bytes:
    """To its stated length, else to the connection's end; an octet more than allowed tells that it is too large."""
    if length is not None and not (length.isascii() and length.isdigit()):
        raise BadValue(NOT_HTTP)
    wanted = min(ANSWER_BYTES_MAX + 1, ANSWER_BYTES_MAX + 1 if length is None else int(length[:9]))
    read = bytearray()
    while len(read) < wanted and (piece := await reader.read(wanted - len(read))):
        read += piece
    return bytes(read)
