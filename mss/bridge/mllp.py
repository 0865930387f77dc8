"""How does a document reach a record that speaks HL7 v2? MLLP over TLS, one message at a time, until it has answered.

One connection for a sink, kept while there is something to bring. Every wait ends; after anything that is not the
acknowledgement of the message just sent the connection is closed, so that a late answer is never taken for another's.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from mss.bridge.dossier import Dossier
from mss.bridge.sink import NotNow, Outcome, Refused, Taken
from mss.formats import hl7v2
from mss.formats.hl7v2 import Ack, AckCode
from mss.formats.mdm import Ends, Mdm, MdmEvent, write_mdm
from mss.model.clock import from_ms
from mss.model.errors import BadValue
from mss.store.handovers import HandoverAct

CONNECT_S = 10.0
CLOSE_S = 2.0
OTHER_ERROR = 906
APPLICATION_CODES = range(900, 907)
EVENTS = {
    HandoverAct.FILE: MdmEvent.ORIGINAL,
    HandoverAct.REPLACE: MdmEvent.REPLACED,
    HandoverAct.WITHDRAW: MdmEvent.WITHDRAWN,
}
"""The profile has no message that announces, and none that merges two patients: a document that changes its record is
replaced by itself under the patient of today."""


@dataclass(frozen=True, slots=True)
class MllpPlace:
    """Where it listens, how it is addressed, and whose word counts. `answer_s`: for each answer."""

    host: str
    port: int
    ends: Ends
    waits_for_application: bool = True
    answer_s: float = 30.0


class MllpSink:
    """One record."""

    def __init__(self, name: str, place: MllpPlace, tls: Callable[[], ssl.SSLContext]) -> None:
        """`tls`: a context from the files as they are now. Raises BadValue then."""
        self._name = name
        self._place = place
        self._tls = tls
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def name(self) -> str:
        return self._name

    async def hand_over(self, dossier: Dossier) -> Outcome:
        event = _event(dossier)
        if event is None:
            return Taken("not told by this profile")
        try:
            message = await asyncio.to_thread(lambda: hl7v2.frame(write_mdm(self._message(dossier, event))))
        except BadValue:
            return Refused(OTHER_ERROR, "cannot be written as a message")
        try:
            ack = await self._exchange(message, str(dossier.row.id))
        except (OSError, TimeoutError, BadValue, asyncio.IncompleteReadError) as problem:
            await self.close()
            return NotNow(_trouble(problem))
        except BaseException:
            await self.close()
            raise
        return meaning(ack)

    async def probe(self) -> str:
        """A connection with its handshake, and no message: a record has no message that asks nothing."""
        try:
            await self._connected()
        except (OSError, TimeoutError, BadValue) as problem:
            return _trouble(problem)
        finally:
            await self.close()
        return ""

    async def close(self) -> None:
        opened, self._open = self._open, None
        if opened is None:
            return
        opened[1].close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await opened[1].wait_closed()

    def _message(self, dossier: Dossier, event: MdmEvent) -> Mdm:
        at = from_ms(dossier.row.created_ms)
        return Mdm(
            ends=self._place.ends,
            event=event,
            control_id=str(dossier.row.id),
            written_at=at,
            recorded_at=at,
            ins=dossier.identity.ins,
            traits=dossier.identity.traits,
            identity_is_sure=dossier.identity_is_sure,
            entry=dossier.entry,
            content=dossier.content,
            letter=dossier.letter,
            visibility=dossier.visibility,
            replaces=dossier.entry.unique_id if _names_itself(dossier, event) else dossier.replaces,
            unit=dossier.unit,
        )

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._open is not None and (self._open[0].at_eof() or self._open[1].is_closing()):
            await self.close()
        if self._open is None:
            host, context = self._place.host, self._tls()
            async with asyncio.timeout(CONNECT_S):
                self._open = await asyncio.open_connection(
                    host, self._place.port, ssl=context, server_hostname=host, limit=hl7v2.ACK_BYTES_MAX
                )
        return self._open

    async def _exchange(self, message: bytes, control_id: str) -> Ack:
        """Send, and read until the answer that counts. Raises OSError, TimeoutError, BadValue."""
        reader, writer = await self._connected()
        async with asyncio.timeout(self._place.answer_s):
            writer.write(message)
            await writer.drain()
        while True:
            async with asyncio.timeout(self._place.answer_s):
                ack = hl7v2.read_ack(await _frame(reader))
            if ack.control_id != control_id:
                raise BadValue("an answer to another message")
            if ack.code is not AckCode.COMMIT_ACCEPT or not self._place.waits_for_application:
                return ack


def _event(dossier: Dossier) -> MdmEvent | None:
    """None: nothing of this profile."""
    if dossier.act is HandoverAct.RELINK:
        if not dossier.is_current:
            return None
        return MdmEvent.REPLACED if dossier.is_known or dossier.replaces else MdmEvent.ORIGINAL
    return EVENTS.get(dossier.act) if dossier.act is not None else None


def _names_itself(dossier: Dossier, event: MdmEvent) -> bool:
    """Whether TXA-13 is the document's own number: of what replaces itself. (Of what is withdrawn it is the version
    before, if any, as in the example of ANS; the profile asks for it in a T10 alone.)"""
    return event is MdmEvent.REPLACED and dossier.act is HandoverAct.RELINK and dossier.is_known


async def _frame(reader: asyncio.StreamReader) -> bytes:
    try:
        octets = await reader.readuntil(hl7v2.FRAME_ENDS)
    except asyncio.LimitOverrunError as problem:
        raise BadValue("an answer without end") from problem
    begun, _, content = octets.removesuffix(hl7v2.FRAME_ENDS).partition(hl7v2.FRAME_BEGINS)
    if begun.strip():
        raise BadValue("an answer that is not framed")
    return content


def meaning(ack: Ack) -> Outcome:
    """`AE` is about the document. `AR` may be sent again (ANS), and so may what the system in front could not take."""
    match ack.code:
        case AckCode.ACCEPT | AckCode.COMMIT_ACCEPT:
            return Taken()
        case AckCode.ERROR:
            code = ack.application_error if ack.application_error in APPLICATION_CODES else OTHER_ERROR
            return Refused(code, f"AE {ack.error} {ack.application_error or ''}".strip())
        case _:
            return NotNow(f"{ack.code} {ack.error or ''}".strip(), is_away=False)


def _trouble(problem: BaseException) -> str:
    """Why there was no answer, in words that name nobody."""
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    if isinstance(problem, asyncio.IncompleteReadError):
        return "it hung up before it answered"
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"its certificate: {problem.verify_message}"
    if isinstance(problem, ssl.SSLError):
        return f"TLS: {(problem.reason or 'failed').lower()}"
    if isinstance(problem, OSError):
        return (problem.strerror or type(problem).__name__).lower()
    return str(problem)
