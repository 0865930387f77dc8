"""How is a mailbox at another operator read and marked, over one connection?

TLS always, checked; password or certificate from files that are read for each connection. SELECT and BODY.PEEK: only
`mark` changes anything over there. Never retries: whoever holds it makes a new one.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from aioimaplib import aioimaplib
from aioimaplib.aioimaplib import AioImapException

from mss.bridge.exactimap import ExactImap
from mss.bridge.source import SourceDeclined, SourceTrouble
from mss.formats.foldernames import encode_utf7
from mss.formats.imapvalues import Value, pairs, read_values
from mss.model.errors import BadValue

ANSWER_S_MAX = 60.0
"""Without an octet from the server; then the connection is given up."""
PASSWORD_OCTETS_MAX = 4096
SEEN = "\\Seen"
BREAKS = (AioImapException, OSError, TimeoutError, ssl.SSLError, ValueError)
"""What ends a connection: a new one is made later."""
_UIDVALIDITY = re.compile(rb"\[UIDVALIDITY (\d{1,10})\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FarPlace:
    """Where it is and who reads there. Without `password_file` our certificate tells who we are."""

    host: str
    port: int
    user: str
    folder: str = "INBOX"
    password_file: Path | None = None
    starts_tls: bool = False

    def __repr__(self) -> str:
        return f"FarPlace({self.host}:{self.port})"


@dataclass(frozen=True, slots=True)
class FarMessage:
    """A message of the folder by its number."""

    uid: int
    size_bytes: int


class FarBox:
    """A folder, entered."""

    def __init__(self, client: ExactImap, validity: int) -> None:
        self._client = client
        self.validity = validity

    @classmethod
    async def open(cls, place: FarPlace, tls: Callable[[], ssl.SSLContext]) -> FarBox:
        """Connect, sign in, enter. Raises SourceTrouble, or what `BREAKS` names."""
        context = tls()
        client = ExactImap(
            place.host, place.port, timeout=ANSWER_S_MAX, ssl_context=None if place.starts_tls else context
        )
        try:
            await client.wait_hello_from_server()
            if place.starts_tls:
                await client.start_tls(context)
            if place.password_file is None:
                await client.sign_in_by_certificate()
            else:
                await client.sign_in(place.user, await asyncio.to_thread(_password, place.password_file))
            heard = await client.enter(_wire(place.folder))
        except BaseException:
            await client.part()
            raise
        said = [found[1] for answer in heard if (found := _UIDVALIDITY.search(answer[0])) is not None]
        return cls(client, int(said[-1]) if said else 0)

    async def above(self, uid: int) -> list[FarMessage]:
        """The messages with higher numbers, in their order."""
        found: dict[int, int] = {}
        for answer in await self._client.ask("FETCH", f"{uid + 1}:*", "(UID RFC822.SIZE)", prefix="UID"):
            told = _told(answer)
            if told is not None and (number := _number(told.get("UID"))) > uid:  # "*" is the last one, however low
                found[number] = _number(told.get("RFC822.SIZE"))
        return [FarMessage(number, size) for number, size in sorted(found.items())]

    async def octets(self, uid: int) -> bytes | None:
        """A message; None when it is gone. Raises SourceDeclined."""
        for answer in await self._client.ask("FETCH", str(uid), "(UID BODY.PEEK[])", prefix="UID"):
            told = _told(answer)
            if told is not None and _number(told.get("UID")) == uid and isinstance(raw := told.get("BODY[]"), bytes):
                return raw
        return None

    async def mark(self, uid: int, add: Collection[str], remove: Collection[str], move_to: str) -> None:
        """Set flags and keywords; then move it, where a folder is named. Again changes nothing; what is gone stays so.
        A keyword that the server does not keep is left out, \\Seen is not."""
        await self._flag(uid, "-FLAGS.SILENT", remove)
        await self._flag(uid, "+FLAGS.SILENT", add)
        if move_to:
            await self._move(uid, _wire(move_to))

    async def _flag(self, uid: int, how: str, words: Collection[str]) -> None:
        if not words:
            return
        try:
            await self._client.ask("STORE", str(uid), how, f"({' '.join(sorted(words))})", prefix="UID")
        except SourceDeclined:
            if SEEN in words and len(words) > 1:
                await self._client.ask("STORE", str(uid), how, f"({SEEN})", prefix="UID")

    async def _move(self, uid: int, wire_name: str) -> None:
        """RFC 6851; without it copy, delete and expunge that one alone (RFC 4315), or leave it where it is."""
        client = self._client
        abilities = {str(word).upper() for word in client.protocol.capabilities}
        name = aioimaplib.quoted(wire_name)
        if not abilities & {"MOVE", "UIDPLUS"}:
            return
        for is_again in (False, True):
            try:
                if "MOVE" in abilities:
                    await client.ask("MOVE", str(uid), name, prefix="UID")
                else:
                    await client.ask("COPY", str(uid), name, prefix="UID")
                    await client.ask("STORE", str(uid), "+FLAGS.SILENT", "(\\Deleted)", prefix="UID")
                    await client.ask("EXPUNGE", str(uid), prefix="UID")
                return
            except SourceDeclined:
                if is_again:
                    raise
                await client.ask("CREATE", name)

    async def wait(self, wake: asyncio.Event, seconds: float) -> None:
        """Until there may be something new, somebody wakes us, or the time is over."""
        if "IDLE" in {str(word).upper() for word in self._client.protocol.capabilities}:
            await self._client.idle_until(wake, seconds)
            return
        try:
            async with asyncio.timeout(seconds):
                await wake.wait()
        except TimeoutError:
            await self._client.ask("NOOP")

    async def close(self) -> None:
        """Say goodbye. Never fails."""
        await self._client.part()


def _password(path: Path) -> str:
    with path.open("rb") as file:
        first = file.read(PASSWORD_OCTETS_MAX + 1).split(b"\n")[0].removesuffix(b"\r")
    if not first or len(first) > PASSWORD_OCTETS_MAX:
        raise SourceTrouble(f"{path} holds no password in its first line")
    try:
        return first.decode()
    except UnicodeDecodeError:
        raise SourceTrouble(f"{path} holds no text") from None


def _wire(folder: str) -> str:
    return encode_utf7(folder).decode()


def _told(answer: tuple[bytes, ...]) -> dict[str, Value] | None:
    """What a FETCH tells of one message; None for every other answer."""
    try:
        values = read_values(answer)
        return pairs(values[2]) if len(values) == 3 and str(values[1]).upper() == "FETCH" else None
    except BadValue:
        return None


def _number(value: Value | None) -> int:
    return int(value) if isinstance(value, str) and value.isdecimal() else 0
