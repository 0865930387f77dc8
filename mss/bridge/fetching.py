"""How do documents come out of an application mailbox at another operator? Once each, and marked there afterwards.

One loop for each mailbox. A message is fetched, and kept in an application mailbox of ours in one transaction with the
note of its number over there; from then on it is mail like any other, judged, answered, held. Only what is durable here
and judged is marked there. Whoever is killed in between does the step again and finds it done; a connection that breaks
is made anew after growing pauses.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from mss.bridge import announcing
from mss.bridge.farbox import BREAKS, SEEN, FarBox, FarMessage, FarPlace
from mss.bridge.source import SourceDeclined, SourceTrouble
from mss.crypto.keys import Lookup
from mss.formats.mime import LIMITS
from mss.mail import letters
from mss.mail.answers import TASK_UNTAKEN
from mss.mail.contents import Contents, aside
from mss.mail.delivery import Delivery
from mss.mail.parcels import Letter, Parcel, Put
from mss.mail.reception import Peer
from mss.mail.recipients import Recipients
from mss.mail.screening import Screening
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import Malformed, NotFound, StorageUnavailable
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.mailbox import MailboxKind
from mss.model.message import Envelope
from mss.store import fetched, tasks
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.fetched import FILED, HELD, LEFT, REFUSED, UNTAKEN, Fetched
from mss.store.ids import new_id
from mss.store.sql import Connection
from mss.store.tasks import NewTask

PAUSES_S = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0)
"""Before each new connection in a row; the last one again and again."""
IDLE_S = 600.0
"""Then IDLE is begun anew: RFC 2177 says 29 minutes, middleboxes forget sooner."""
DECLINED_MAX = 3
"""A server that does not give a message is asked so often, a pause in between; then the next ones have their turn."""
TOO_LARGE = "too large, or not given by that server"
VERDICT_S = 2.0
"""How often we look what became of a message that is not judged yet."""

log = structlog.get_logger("sources")


@dataclass(frozen=True, slots=True)
class Marks:
    """What is set over there: keywords, and folders to move to (empty: it stays)."""

    filed: str = "$MSSFiled"
    held: str = "$MSSHeld"
    refused: str = "$MSSRefused"
    filed_folder: str = ""
    held_folder: str = ""

    def of(self, outcome: str) -> tuple[set[str], set[str], str]:
        """(flags to set, flags to take away, where to). What was not taken stays unread, for people."""
        words = {FILED: self.filed, HELD: self.held, REFUSED: self.refused, UNTAKEN: self.held}
        mine = {words[outcome]} if outcome in words else set()
        seen = set() if outcome == UNTAKEN else {SEEN}
        others = {self.filed, self.held, self.refused} - mine if outcome in (FILED, REFUSED) else set()
        folder = self.filed_folder if outcome in (FILED, LEFT) else self.held_folder
        return seen | mine, others, folder


@dataclass(frozen=True, slots=True)
class Rooms:
    """What a fetcher keeps messages with."""

    store: Store
    delivery: Delivery
    recipients: Recipients
    screening: Screening
    lookup: Lookup
    host: str
    clock: Clock
    chance: Chance


class Fetcher:
    """One mailbox at another operator. Lives in works."""

    def __init__(
        self,
        name: str,
        place: FarPlace,
        tls: Callable[[], ssl.SSLContext],
        into: MailAddress,
        marks: Marks,
        rooms: Rooms,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        """`into`: an application mailbox of ours that feeds records."""
        self.name = name
        self._place = place
        self._tls = tls
        self._into = into
        self._marks = marks
        self._rooms = rooms
        self._pauses_s = pauses_s
        self._declined: Counter[int] = Counter()
        self.source = rooms.lookup.of("fetched-source", f"{place.host}|{place.user}|{place.folder}")

    async def run(self, bus: ChangeBus) -> None:
        """Fetch until cancelled."""
        wake = asyncio.Event()
        bus.on_task(wake.set)
        failures = 0
        while True:
            box = None
            try:
                box = await FarBox.open(self._place, self._tls)
                log.info("source.open", source=self.name)
                while True:
                    wake.clear()
                    waits = await self.round(box)
                    failures = 0
                    await box.wait(wake, VERDICT_S if waits else IDLE_S)
            except ssl.SSLCertVerificationError as problem:
                log.error("source.certificate", source=self.name, why=problem.verify_message)
                failures = len(self._pauses_s)
            except (SourceTrouble, NotFound) as problem:  # a word that staff can act on; asking at once helps nobody
                log.error("source.refused", source=self.name, why=str(problem))
                failures = len(self._pauses_s)
            except (StorageUnavailable, *BREAKS) as problem:
                log.warning("source.away", source=self.name, error=type(problem).__name__)
            finally:
                if box is not None:
                    await box.close()
            await asyncio.sleep(self._pauses_s[min(failures, len(self._pauses_s) - 1)])
            failures += 1

    async def round(self, box: FarBox) -> bool:
        """Fetch what is new, mark what is judged. Returns whether a verdict is awaited. Raises SourceTrouble, NotFound,
        StorageUnavailable, and what `BREAKS` names."""
        owner = await self._owner()
        store, source = self._rooms.store, self.source
        last = await store.read(lambda c: fetched.last_uid(c, owner, source, box.validity))
        for message in await box.above(last):
            await self._fetch(box, owner, message)
        for row in await store.read(lambda c: fetched.unmarked(c, owner, source, box.validity)):
            add, remove, folder = self._marks.of(row.outcome)
            await box.mark(row.uid, add, remove, folder)
            await store.write(lane_of(owner), lambda c, row=row: fetched.mark(c, owner, source, row))  # type: ignore[misc]
            log.info("source.marked", source=self.name, uid=row.uid, outcome=row.outcome)
        return await store.read(lambda c: fetched.waits(c, owner, source))

    async def _owner(self) -> OwnerId:
        """The mailbox of ours; nothing is fetched before it stands."""
        box = await self._rooms.recipients.reachable(self._into)
        if box is None or box.kind is not MailboxKind.APPLICATION:
            raise NotFound(f"{self._into} is no application mailbox that takes mail: mss mailbox create")
        return box.owner

    async def _fetch(self, box: FarBox, owner: OwnerId, message: FarMessage) -> None:
        raw = await self._octets(box, message)
        if raw is None:
            return  # deleted meanwhile
        digest = hashlib.sha256(raw or f"{box.validity}/{message.uid}".encode()).digest()
        content = self._rooms.lookup.content(owner, digest)
        known = await self._rooms.store.read(lambda c: fetched.known(c, owner, self.source, content))
        parcels: list[Parcel] = []
        why = "" if raw else TOO_LARGE
        if known is None and raw:
            try:
                parcels = await self._parcels(raw)
            except Malformed as malformed:
                why = malformed.reason.value
        if known is None and why:
            log.error("source.not-taken", source=self.name, uid=message.uid, reason=why)
        await self._keep(owner, content, Fetched(box.validity, message.uid, 0, UNTAKEN, ""), parcels, why)

    async def _octets(self, box: FarBox, message: FarMessage) -> bytes | None:
        """Nothing of what is too large, or what its server refuses to give again and again: people see to it there."""
        if message.size_bytes > LIMITS.octets:
            return b""
        try:
            return await box.octets(message.uid)
        except SourceDeclined as no:
            self._declined[message.uid] += 1
            if self._declined[message.uid] < DECLINED_MAX:
                raise SourceTrouble(f"{no}, message {message.uid}") from None
            return b""

    async def _parcels(self, raw: bytes) -> list[Parcel]:
        """As the relay makes them. Its Return-Path counts: the other operator wrote it (RFC 5321 §4.4)."""
        rooms, place = self._rooms, self._place
        structure = await letters.scan(raw)
        sender = announcing.sender_of(structure)
        if not structure.headers("Return-Path"):
            sender = next(iter(letters.read_addresses(structure, "From")[0]), None)
        peer = Peer(f"imap:{place.host}:{place.user}", helo=place.host)
        envelope = Envelope(sender, (self._into,), rooms.clock.now(), peer.name, peer.helo)
        number = rooms.chance.token(8).hex()
        trace = letters.trace_fields(envelope, peer, rooms.host, number, protocol="IMAP")
        traced = await Contents.of(raw).without_fields("Return-Path", before=trace)
        _, summary = await traced.look(letters.study)
        doubt = await rooms.screening.doubt(Contents.of(raw))
        letter = await aside(len(raw), Letter, traced, summary, sender, peer.name, raw, doubt=doubt)
        return await rooms.delivery.incoming(letter, (self._into,), rooms.recipients.reachable, 0)

    def _alarm(self, row: Fetched, why: str) -> NewTask:
        """Nobody here will see that mail: somebody has to look over there."""
        rooms = self._rooms
        told = {"source": self.name, "domain": self._into.domain, "uid": row.uid, "validity": row.validity, "why": why}
        now_ms = to_ms(rooms.clock.now())
        return NewTask(new_id(rooms.clock, rooms.chance), TASK_UNTAKEN, json.dumps(told).encode(), now_ms)

    async def _keep(self, owner: OwnerId, content: bytes, row: Fetched, parcels: list[Parcel], why: str) -> None:
        """The message and its note in one transaction; of what stands already, the note alone; of what cannot be taken,
        the note and the duty to tell staff."""
        now_ms = to_ms(self._rooms.clock.now())

        def keep(connection: Connection) -> None:
            same = fetched.known(connection, owner, self.source, content)
            noted = row
            if same is not None:
                noted = row._replace(message=same.message, outcome=same.outcome)
            elif parcels:
                (number,) = Put.do_all(connection, [parcels[0].put])
                noted = row._replace(message=number, outcome="")
            else:
                tasks.add_task(connection, owner, self._alarm(row, why))
            fetched.remember(connection, owner, self.source, content, noted, now_ms)

        size_bytes = sum(parcel.new.body_size_bytes for parcel in parcels)
        await self._rooms.store.write(lane_of(owner), keep, size_bytes=size_bytes)
        if parcels:
            self._rooms.delivery.delivered(parcels)
        log.info("source.fetched", source=self.name, uid=row.uid)
