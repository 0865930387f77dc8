"""How is mail read from another operator's IMAP server? Politely, exactly, and again after it went away.

TLS always, checked. EXAMINE and BODY.PEEK: over there nothing changes. A connection that breaks is made again with
growing pauses; a folder that was made anew meanwhile (UIDVALIDITY) ends the run, since its numbers mean others now.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from aioimaplib.aioimaplib import AioImapException

from mss.bridge.exactimap import Answer, ExactImap
from mss.bridge.foldermap import SourceFolder
from mss.bridge.source import Brought, Listed, SourceDeclined, SourceTrouble, Unread
from mss.formats.foldernames import INBOX, BadName, decode_utf7
from mss.formats.imapvalues import Value, pairs, read_values
from mss.model.clock import to_ms
from mss.model.errors import BadValue
from mss.model.mailbox import DEFAULT_FOLDERS, FLAG_NAMES, ONLY_HERE, SpecialUse

T = TypeVar("T")

ANSWER_S_MAX = 60.0
"""Without an octet from the server; then the connection is given up."""
GREETING_S_MAX = 20.0
"""From the first octet of ours to its greeting, TLS included."""
PAUSES_S = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
"""Before each new connection in a row; after the last the run ends, and the next one goes on from there."""
BATCH_MESSAGES_MAX = 50
BATCH_BYTES_MAX = 1024 * 1024
"""Asked for with one command, unless a single message is larger."""
_FLAGS = {name.casefold(): bit for bit, name in FLAG_NAMES.items()}
_USES = {f"\\{use.value}".casefold(): use for use in SpecialUse if use not in ONLY_HERE}
_VIRTUAL = frozenset({"\\all", "\\flagged"})
_UNOPENABLE = frozenset({"\\noselect", "\\nonexistent"})
_SHOWS_AGAIN = next(name for name, use in DEFAULT_FOLDERS if use is SpecialUse.UNANSWERED)
_UIDVALIDITY = re.compile(rb"\[UIDVALIDITY (\d+)\]", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SOURCE_BREAKS = (AioImapException, OSError, TimeoutError, ssl.SSLError)


@dataclass(frozen=True, slots=True)
class Server:
    """Where, who, and how TLS begins."""

    host: str
    port: int
    user: str
    password: str
    tls: ssl.SSLContext
    starts_tls: bool = False

    def __repr__(self) -> str:
        return f"Server({self.host}:{self.port})"


class ImapSource:
    """A mailbox on another server."""

    def __init__(self, server: Server, pauses_s: Sequence[float] = PAUSES_S) -> None:
        self.name = f"imap:{server.host.lower()}:{server.user}"
        self._server = server
        self._pauses_s = pauses_s
        self._client: ExactImap | None = None
        self._inside = ""
        self._validity: dict[str, bytes] = {}
        self._has_let_in = False

    async def folders(self) -> list[SourceFolder]:
        return await self._surely(self._folders)

    async def listing(self, folder: SourceFolder) -> list[Listed]:
        return await self._surely(lambda client: self._listing(client, folder))

    async def messages(self, folder: SourceFolder, wanted: Sequence[Listed]) -> AsyncIterator[Brought | Unread]:
        for batch in _batches(wanted):
            for found in await self._surely(lambda client, batch=batch: self._fetch(client, folder, batch)):  # type: ignore[misc]
                yield found

    async def close(self) -> None:
        client, self._client, self._inside = self._client, None, ""
        if client is not None:
            await client.part()

    # --- connections

    async def _surely(self, work: Callable[[ExactImap], Awaitable[T]]) -> T:
        """Do it, on a new connection when the one there is breaks. A server that has let nobody in yet is not asked
        again: what is wrong is what was typed. Raises SourceTrouble."""
        for pause_s in (*self._pauses_s, None):
            try:
                if self._client is None:
                    self._client = await self._connect()
                return await work(self._client)
            except ssl.SSLCertVerificationError as problem:
                raise SourceTrouble(
                    f"{self._server.host} shows a certificate that does not count ({problem.verify_message}):"
                    " name its authority with --authority"
                ) from None
            except _SOURCE_BREAKS as problem:
                await self.close()
                if not self._has_let_in:
                    raise SourceTrouble(self._wrong_address(problem)) from None
                if pause_s is None:
                    raise SourceTrouble(
                        f"{self._server.host}:{self._server.port} does not answer ({type(problem).__name__}):"
                        " what was brought stays; run the same command again"
                    ) from None
                await asyncio.sleep(pause_s)
        raise AssertionError("the last pause is None")

    def _wrong_address(self, problem: Exception) -> str:
        """Why nobody answered at the first time, and what to try."""
        at = f"{self._server.host}:{self._server.port}"
        if isinstance(problem, socket.gaierror):
            return f"{self._server.host}: no such host, as far as the DNS knows: check --imap"
        if isinstance(problem, ConnectionRefusedError):
            return f"nobody listens at {at}: check host and port in --imap"
        other = "leave --starttls out" if self._server.starts_tls else "add --starttls"
        if isinstance(problem, ssl.SSLError):
            return (
                f"{at} does not begin with TLS ({problem.reason or type(problem).__name__}): check the port, or {other}"
            )
        if isinstance(problem, TimeoutError) and self._server.starts_tls:
            return f"{at} does not greet in clear: check the port, or {other}"
        return f"{at} does not answer as an IMAP server ({type(problem).__name__}): check host and port in --imap"

    async def _connect(self) -> ExactImap:
        server = self._server
        first_tls = None if server.starts_tls else server.tls
        client = ExactImap(server.host, server.port, timeout=ANSWER_S_MAX, ssl_context=first_tls)
        try:
            async with asyncio.timeout(GREETING_S_MAX):
                await client.wait_hello_from_server()
            if server.starts_tls:
                await client.start_tls(server.tls)
            await client.sign_in(server.user, server.password)
        except BaseException:
            await client.part()
            raise
        self._has_let_in = True
        return client

    # --- folders

    async def _folders(self, client: ExactImap) -> list[SourceFolder]:
        prefix, others = await self._namespaces(client)
        returns = ("RETURN", "(SPECIAL-USE)") if _can(client, "LIST-EXTENDED", "SPECIAL-USE") else ()
        found: dict[str, SourceFolder] = {}
        for answer in await client.ask("LIST", '""', '"*"', *returns):
            folder = _folder(answer, prefix)
            if folder is not None and not any(other and folder.key.startswith(other) for other in others):
                found.setdefault(folder.key, folder)
        return [folder for folder in found.values() if not await self._fills_itself(client, folder)]

    async def _fills_itself(self, client: ExactImap, folder: SourceFolder) -> bool:
        """A server of our kind has a folder that shows again what lies elsewhere, and where nobody may put anything."""
        if folder.name != _SHOWS_AGAIN or not _can(client, "ACL"):
            return False
        for answer in await client.rights_in(folder.key):
            values = read_values(answer)
            if len(values) == 3 and values[0] == "MYRIGHTS":
                return "i" not in str(values[2])
        return False

    async def _namespaces(self, client: ExactImap) -> tuple[str, list[str]]:
        """Our own prefix there, and those behind which other people's folders lie (RFC 2342)."""
        if not _can(client, "NAMESPACE"):
            return "", []
        for answer in await client.ask("NAMESPACE"):
            values = read_values(answer)
            if len(values) == 4 and values[0] == "NAMESPACE":
                own, *others = (_prefixes(value) for value in values[1:])
                return (own or [""])[0], [name for names in others for name in names]
        return "", []

    # --- messages

    async def _enter(self, client: ExactImap, folder: SourceFolder) -> None:
        if self._inside == folder.key:
            return
        self._inside = ""
        heard = await client.look_into(folder.key)
        said = [found[1] for answer in heard if (found := _UIDVALIDITY.search(answer[0])) is not None]
        validity = said[-1] if said else b"0"
        if self._validity.setdefault(folder.key, validity) != validity:
            raise SourceTrouble(f"the folder {folder.name} was made anew over there: run the same command again")
        self._inside = folder.key

    async def _listing(self, client: ExactImap, folder: SourceFolder) -> list[Listed]:
        self._validity.pop(folder.key, None)
        self._inside = ""
        await self._enter(client, folder)
        validity = self._validity[folder.key].decode()
        found: dict[int, int] = {}
        for answer in await client.ask("FETCH", "1:*", "(UID RFC822.SIZE)", prefix="UID"):
            told = _told(answer)
            if told is not None and isinstance(size := told.get("RFC822.SIZE"), str) and size.isdecimal():
                found[_number(told["UID"])] = int(size)
        return [Listed(f"{validity}/{uid}", size) for uid, size in sorted(found.items())]

    async def _fetch(self, client: ExactImap, folder: SourceFolder, batch: Sequence[Listed]) -> list[Brought | Unread]:
        await self._enter(client, folder)
        places = {int(one.place.partition("/")[2]): one.place for one in batch}
        numbers = ",".join(map(str, sorted(places)))
        try:
            heard = await client.ask("FETCH", numbers, "(UID FLAGS INTERNALDATE BODY.PEEK[])", prefix="UID")
        except SourceDeclined:
            if len(batch) == 1:
                return [Unread(batch[0].place, "its server does not give it")]
            alone = [await self._fetch(client, folder, [one]) for one in batch]
            return [found for few in alone for found in few]
        found: dict[int, Brought | Unread] = {}
        for answer in heard:
            told = _told(answer)
            if told is None or (uid := _number(told["UID"])) not in places or "BODY[]" not in told:
                continue
            found[uid] = _brought(places[uid], told)
        return [found[uid] for uid in sorted(found)]


def _can(client: ExactImap, *names: str) -> bool:
    known = {str(name).upper() for name in client.protocol.capabilities}
    return all(name in known for name in names)


def _prefixes(value: Value) -> list[str]:
    """Of one namespace."""
    lists = [one for one in value if isinstance(one, list)] if isinstance(value, list) else []
    return [one[0].decode("utf-8", "replace") for one in lists if one and isinstance(one[0], bytes)]


def _folder(answer: Answer, prefix: str) -> SourceFolder | None:
    """A line of LIST as a folder that may be opened, or None."""
    try:
        values = read_values(answer)
    except BadValue:
        return None
    if len(values) < 4 or values[0] != "LIST" or not isinstance(values[1], list):
        return None
    attributes = {str(word).casefold() for word in values[1] if isinstance(word, str)}
    wire = values[3].encode("latin-1") if isinstance(values[3], str) else values[3]
    if attributes & _UNOPENABLE or not isinstance(wire, bytes) or not wire:
        return None
    key = wire.decode("utf-8", "surrogateescape")
    delimiter = values[2].decode("utf-8", "replace") if isinstance(values[2], bytes) else ""
    own = key[len(prefix) :] if prefix and key.startswith(prefix) and key != prefix.rstrip(delimiter) else key
    levels = tuple(_decoded(level) for level in (own.split(delimiter) if delimiter else [own]))
    if levels[0].upper() == INBOX:
        levels = (INBOX, *levels[1:])
    use = next((_USES[word] for word in sorted(attributes) if word in _USES), None)
    return SourceFolder(key, levels, use, bool(attributes & _VIRTUAL))


def _decoded(level: str) -> str:
    """Modified UTF-7; what is not stands as it was written."""
    with suppress(BadName):
        return decode_utf7(level.encode("utf-8", "surrogateescape"))
    return level.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _told(answer: Answer) -> dict[str, Value] | None:
    """What a FETCH tells of one message, with its UID; None for every other answer."""
    try:
        values = read_values(answer)
        if len(values) != 3 or str(values[1]).upper() != "FETCH":
            return None
        told = pairs(values[2])
    except BadValue:
        return None
    return told if isinstance(told.get("UID"), str) else None


def _number(value: Value) -> int:
    return int(value) if isinstance(value, str) and value.isdecimal() else 0


def _brought(place: str, told: dict[str, Value]) -> Brought | Unread:
    raw = told["BODY[]"]
    if not isinstance(raw, bytes):
        return Unread(place, "its server does not give it")
    words = [word for word in told.get("FLAGS") or () if isinstance(word, str)]
    flags = sum({_FLAGS[word.casefold()] for word in words if word.casefold() in _FLAGS})
    keywords = tuple(word for word in words if not word.startswith("\\"))
    return Brought(place, raw, flags, keywords, _moment(told.get("INTERNALDATE")))


def _moment(value: Value) -> int | None:
    """An INTERNALDATE (RFC 9051 §9: date-time), whatever language this machine speaks."""
    if not isinstance(value, bytes):
        return None
    day, _, rest = value.decode("ascii", "replace").strip().partition("-")
    month, _, rest = rest.partition("-")
    try:
        number = _MONTHS.index(month.lower()) + 1
        return to_ms(datetime.strptime(f"{int(day):02d}-{number:02d}-{rest}", "%d-%m-%Y %H:%M:%S %z"))
    except ValueError:
        return None


def _batches(wanted: Sequence[Listed]) -> list[list[Listed]]:
    batches: list[list[Listed]] = []
    size = 0
    for one in wanted:
        if not batches or len(batches[-1]) >= BATCH_MESSAGES_MAX or size + one.size_bytes > BATCH_BYTES_MAX:
            batches.append([])
            size = 0
        batches[-1].append(one)
        size += one.size_bytes
    return batches
