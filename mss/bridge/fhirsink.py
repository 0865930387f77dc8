"""How does a document reach a hospital's FHIR server? One transaction (ITI-65); tried before, it is asked for first.

What a server says is read for its status and issue codes: 4xx is an answer about the document, except those that tell
us to come again or that we are not let in. Nothing of an answer's text is kept: it may quote the patient.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from mss.bridge.dossier import Dossier
from mss.bridge.mllp import OTHER_ERROR
from mss.bridge.sink import NotNow, Outcome, Refused, Taken
from mss.crypto.visiting import token_in, trouble
from mss.formats import mhd
from mss.formats.mhd import Answer, Provided
from mss.model.clock import from_ms
from mss.model.errors import BadValue, MssError
from mss.store.handovers import HandoverAct

CONNECT_S = 10.0
UNAUTHORISED = (401, 403)
"""Of our token or certificate: a human must mend it, and no document is at fault."""
LATER = (408, 425, 429)
PATIENT_UNKNOWN = 902
NOT_FOUND_CODES = frozenset({"not-found", "unknown-patient", "MSG_NO_MATCH"})


@dataclass(frozen=True, slots=True)
class FhirPlace:
    """Where it is, what opens it, and as which source we speak (OID)."""

    url: str
    source_id: str
    token_file: Path | None = None
    answer_s: float = 30.0


class _Said(MssError):
    """An answer that ends the handing over."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("answered")
        self.outcome = outcome


class FhirSink:
    """One server."""

    def __init__(self, name: str, place: FhirPlace, tls: Callable[[], ssl.SSLContext]) -> None:
        """`tls`: a context from the files as they are now. Raises BadValue then."""
        self._name = name
        self._place = place
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    @property
    def name(self) -> str:
        return self._name

    async def hand_over(self, dossier: Dossier) -> Outcome:
        try:
            match dossier.act:
                case HandoverAct.WITHDRAW:
                    return await self._change(dossier, mhd.withdraw())
                case HandoverAct.ANNOUNCE:
                    return await self._change(dossier, mhd.announce())
                case _:
                    return await self._provide(dossier)
        except _Said as said:
            return said.outcome
        except (aiohttp.ClientError, OSError, TimeoutError, BadValue) as problem:
            await self.close()
            return NotNow(trouble(problem))

    async def probe(self) -> str:
        """Its own description, which every server gives (R4 §3.1.0.1.1); our token is tried by nothing else."""
        try:
            status, answer = await self._ask("GET", "metadata")
        except (aiohttp.ClientError, OSError, TimeoutError, BadValue) as problem:
            return trouble(problem)
        finally:
            await self.close()
        return "" if status == 200 and not answer.issues else f"it answers {status} to a request for its description"

    async def close(self) -> None:
        opened, self._session = self._session, None
        if opened is not None:
            await opened.close()

    async def _provide(self, dossier: Dossier) -> Outcome:
        known = await self._find(dossier.entry.unique_id) if dossier.act is HandoverAct.RELINK else ""
        if not known and dossier.row.attempts > 1 and await self._find(dossier.entry.unique_id):
            return Taken("it has it already")
        replaces = await self._find(dossier.replaces) if dossier.replaces else ""
        relation = mhd.RELATIONS.get(dossier.entry.adds_as, "")
        adds_to = await self._find(dossier.adds_to) if relation and dossier.adds_to else ""
        provided = Provided(
            entry=dossier.entry,
            content=dossier.content,
            ins=dossier.identity.ins,
            traits=dossier.identity.traits,
            visibility=dossier.visibility,
            at=from_ms(dossier.row.created_ms),
            source_id=self._place.source_id,
            replaces_id=replaces,
            adds_to=(relation, adds_to),
            known_id=known,
            is_current=dossier.is_current,
        )
        bundle = await asyncio.to_thread(mhd.write_bundle, provided)
        return meaning(*await self._ask("POST", "", bundle))

    async def _change(self, dossier: Dossier, patch: bytes) -> Outcome:
        """A change of what it has; what it does not have needs none."""
        number = await self._find(dossier.entry.unique_id)
        if not number:
            return Taken("it does not have it")
        return meaning(*await self._ask("PATCH", f"DocumentReference/{number}", patch))

    async def _find(self, unique_id: str) -> str:
        """The logical id that the server gave to a document; empty when it has none. Raises _Said."""
        status, answer = await self._ask("GET", f"DocumentReference?{mhd.query_of(unique_id)}&_elements=id&_count=2")
        if status != 200:
            raise _Said(meaning(status, answer))
        if len(answer.found) > 1:
            raise _Said(Refused(OTHER_ERROR, "it has several documents of that identifier"))
        return answer.found[0] if answer.found else ""

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Answer]:
        """Raises aiohttp.ClientError, OSError, TimeoutError, BadValue."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._place.answer_s, sock_connect=CONNECT_S)
            connector = aiohttp.TCPConnector(ssl=self._tls(), limit=1)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)
        headers = {"Accept": mhd.MEDIA_TYPE, "Prefer": "return=minimal"}
        if body is not None:
            headers["Content-Type"] = mhd.MEDIA_TYPE
        if self._place.token_file is not None:
            headers["Authorization"] = f"Bearer {await asyncio.to_thread(token_in, self._place.token_file)}"
        url = f"{self._place.url}/{path}" if path else self._place.url
        async with self._session.request(method, url, data=body, headers=headers, allow_redirects=False) as response:
            octets = await response.content.read(mhd.ANSWER_BYTES_MAX + 1)
            while len(octets) <= mhd.ANSWER_BYTES_MAX and not response.content.at_eof():
                octets += await response.content.read(mhd.ANSWER_BYTES_MAX + 1 - len(octets))
            return response.status, _read(response.status, octets)


def _read(status: int, octets: bytes) -> Answer:
    """An empty answer is one where the status says all; what is no FHIR counts only as that status."""
    try:
        return mhd.read_answer(octets) if octets else Answer()
    except BadValue:
        if 200 <= status < 300:
            raise
        return Answer()


def meaning(status: int, answer: Answer) -> Outcome:
    """A success with errors in its outcome is none; a redirect is not followed, it would take the patient along."""
    said = f"HTTP {status} {' '.join(answer.issues)}".strip()
    if 200 <= status < 300:
        return Refused(OTHER_ERROR, said) if answer.issues else Taken()
    if status in UNAUTHORISED or status in LATER or status >= 500 or status < 400:
        return NotNow(said)
    is_unknown = bool(NOT_FOUND_CODES & set(answer.issues))
    return Refused(PATIENT_UNKNOWN if is_unknown else OTHER_ERROR, said)
