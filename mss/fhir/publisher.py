"""How does what we say of a mailbox reach the national directory? It is asked first, then told what differs.

A FHIR client over HTTPS (aiohttp). It never raises for what the other side does: an outcome says done, not now, or no.
Its words are read for their status and issue codes; nothing of them is kept or shown, they may name people.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from mss.crypto.visiting import token_in, trouble
from mss.directory.own import Own
from mss.fhir.capability import FHIR_JSON
from mss.fhir.telling import (
    Done,
    NotNow,
    Outcome,
    Patch,
    Refused,
    There,
    found_in,
    is_other_kind,
    patches,
    units_of,
)
from mss.model.errors import BadValue, MssError

CONNECT_S = 10.0
ANSWER_BYTES_MAX = 1024 * 1024
"""A hospital with all of its mailboxes is some hundred kilobytes."""
LATER = (401, 403, 408, 425, 429)
"""Of our token or certificate, or of the moment: no mailbox is at fault."""
PATCHES_MAX = 5
"""Of one mailbox: a person has a handful of roles."""
CHANGED = 409
_CODES = frozenset(("multiple-matches", "conflict", "not-found", "business-rule", "processing", "value", "invalid"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where the directory is, and what opens it."""

    url: str
    token_file: Path | None = None
    answer_s: float = 30.0


class _Said(MssError):
    """An answer that ends the conversation."""

    def __init__(self, outcome: NotNow | Refused) -> None:
        super().__init__("answered")
        self.outcome = outcome


class Publisher:
    """One directory."""

    def __init__(self, place: Place, tls: Callable[[], ssl.SSLContext]) -> None:
        """`tls`: a context from the files as they are now. Raises BadValue then."""
        self._place = place
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End what is open; the next request opens it again."""
        opened, self._session = self._session, None
        if opened is not None:
            await opened.close()

    async def bring(self, own: Own, *, is_shown: bool, always: bool = True) -> Outcome:
        """Let the directory say what we say of a mailbox; done twice it is said once."""
        sent = 0
        try:
            for patch in await self._late(own, is_shown=is_shown, always=always):
                await self._send(patch)
                sent += 1
            return Done(sent)
        except _Said as said:
            return said.outcome
        except (aiohttp.ClientError, OSError, TimeoutError, BadValue) as problem:
            await self.close()
            return NotNow(trouble(problem))

    async def compare(self, own: Own, *, is_shown: bool) -> bool | NotNow:
        """Whether it says what we say; changes nothing."""
        try:
            return not await self._late(own, is_shown=is_shown, always=False)
        except _Said as said:
            return NotNow(said.outcome.why) if isinstance(said.outcome, NotNow) else False
        except (aiohttp.ClientError, OSError, TimeoutError, BadValue) as problem:
            await self.close()
            return NotNow(trouble(problem))

    async def _late(self, own: Own, *, is_shown: bool, always: bool) -> list[Patch]:
        """The patches that are needed. Raises _Said."""
        there: list[There] = []
        for unit in units_of(own.kind):
            path = f"{unit}?mailbox-mss:exact={quote(own.address, safe='@')}&_count=20"
            status, answer = await self._ask("GET", path)
            if status != 200:
                raise _Said(meaning(status, answer))
            found = found_in(answer, unit, own.address)
            if found is None:
                raise _Said(NotNow("its answer is no searchset"))
            there += found
        if is_shown and is_other_kind(own, there):
            raise _Said(Refused(409, "it lists the address under another kind"))
        if is_shown and not there and not own.holder:
            raise _Said(Refused(404, "nobody has said here whose mailbox it is"))
        found_patches = patches(own, there, is_shown=is_shown, always=always)
        if len(found_patches) > PATCHES_MAX:
            raise _Said(Refused(412, "too many resources there carry the address"))
        return found_patches

    async def _send(self, patch: Patch) -> None:
        """Raises _Said unless it was taken."""
        status, answer = await self._ask("PATCH", patch.path, patch.body, patch.version)
        if 200 <= status < 300:
            return
        if status == 412 and patch.version:  # it has changed since it was read: read it again
            raise _Said(NotNow("it changed in between"))
        raise _Said(meaning(status, answer))

    async def _ask(self, method: str, path: str, body: Any = None, version: str = "") -> tuple[int, Any]:
        """Status and JSON (None: none). Raises aiohttp.ClientError, OSError, TimeoutError, BadValue."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._place.answer_s, sock_connect=CONNECT_S)
            connector = aiohttp.TCPConnector(ssl=self._tls(), limit=1)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)
        headers = {"Accept": FHIR_JSON}
        if self._place.token_file is not None:
            headers["Authorization"] = f"Bearer {await asyncio.to_thread(token_in, self._place.token_file)}"
        if version:
            headers["If-Match"] = f'W/"{version}"'
        octets = None
        if body is not None:
            octets = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
            headers["Content-Type"] = FHIR_JSON
        url = URL(f"{self._place.url}/{path}", encoded=True)
        async with self._session.request(method, url, data=octets, headers=headers, allow_redirects=False) as response:
            read = bytearray()
            async for piece in response.content.iter_chunked(64 * 1024):
                read += piece
                if len(read) > ANSWER_BYTES_MAX:
                    raise BadValue("its answer is too long")
            return response.status, _json(bytes(read))


def meaning(status: int, answer: Any) -> NotNow | Refused:
    """What an answer that is no success says. A redirect is not followed: it would take our token along."""
    codes = " ".join(_codes(answer))
    said = f"HTTP {status} {codes}".strip()
    if 300 <= status < 400:
        return NotNow(f"{said}: it sends us elsewhere, which is a human's decision")
    if status in LATER or status >= 500 or status < 400:
        return NotNow(said)
    if status == 404:
        return Refused(status, f"{said}: it does not know the holder")
    if status == 412:
        return Refused(status, f"{said}: it knows several of that number")
    return Refused(status, said)


def _codes(answer: Any) -> list[str]:
    """Issue codes that we know; anything else might be a name."""
    issues = answer.get("issue") if isinstance(answer, dict) else None
    if not isinstance(issues, list):
        return []
    said = [issue.get("code") for issue in issues[:5] if isinstance(issue, dict)]
    return [code for code in said if isinstance(code, str) and code in _CODES]


def _json(octets: bytes) -> Any:
    try:
        return json.loads(octets) if octets else None
    except (ValueError, RecursionError):
        return None
