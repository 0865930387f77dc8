"""What did our door see of a test mail? The operator's test mailbox: nobody reads it, whoever writes to it is answered.

Other operators, and our own people, try out a connection with it. The mail is judged like any other, and not kept;
what was seen of it becomes a duty, from which the works write the answer (notices/tested.py). Never answered are the
null sender and automatic mail (RFC 3834 §2), nor more than some an hour of one sender: those are taken and not
answered, since a 4xx would only bring the same mail again.
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import structlog

from mss.crypto import seal
from mss.crypto.keys import PublicKeys
from mss.formats import headers
from mss.formats.parts import Structure
from mss.mail import letters
from mss.mail.answers import task_context
from mss.mail.contents import aside
from mss.mail.parcels import Letter
from mss.mail.reception import Peer
from mss.mail.recipients import NOBODY
from mss.model.clock import Chance, Clock, to_ms
from mss.model.ids import MailAddress, lane_of
from mss.store import audit, changes, received, tasks
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.sql import Connection
from mss.store.tasks import NewTask, Task

TASK_TESTED = "tested"
"""Answer a test mail: payload (`Seen`) sealed to the house's `tasks` pair."""
TESTED_ACT = "test.received"
ANSWER_ACT = "test.answer"
"""An answer to a test mail of our own (`mss trust probe`) is written down under that mail's Message-ID."""
TRIAL_PREFIX = "<probe."
"""So begin the Message-IDs of our own test mails: of no others does a stranger's answer write anything down."""
ANSWERS_PER_HOUR_MAX = 20
"""To one sender: more than anybody tries by hand, and the end of a loop with another automaton."""
SENDERS_WATCHED_MAX = 1000
WINDOW_S = 3600.0
X_MSS = ("X-MSS-NIL", "X-MSS-CODECDA", "X-MSS-INS", "X-MSS-MES")
BULK = frozenset({"bulk", "list", "junk"})

log = structlog.get_logger("test-mailbox")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is told of a test mail. Certificate, serial and domains are empty for a login of ours."""

    sender: str
    shown: str
    """Header From, which was judged to belong to the certificate or login."""
    message_id: str
    certificate: str
    serial: str
    tls: str
    helo: str
    octets: int
    domains: int
    """How many the trust list gives this certificate."""
    x_mss: tuple[str, ...]
    """Which of them were there."""
    long_line: int
    """Number of the longest line over 998 octets; 0: none."""


class TestMailbox:
    """Lives where mail is taken in. `address` None: there is none."""

    __test__ = False  # for pytest, which takes the name for its own

    def __init__(
        self,
        address: MailAddress | None,
        store: Store,
        public: PublicKeys,
        bus: ChangeBus,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._address = address
        self._store = store
        self._public = public
        self._bus = bus
        self._clock = clock
        self._chance = chance
        self._answered: OrderedDict[str, deque[float]] = OrderedDict()

    def others(self, recipients: Sequence[MailAddress]) -> tuple[MailAddress, ...]:
        """Recipients but for the test mailbox."""
        own = None if self._address is None else self._address.key
        return tuple(one for one in recipients if one.key != own)

    async def take(self, peer: Peer, letter: Letter, structure: Structure) -> int:
        """A mail to it was judged and accepted: owe its answer, if there is to be one. The same bytes again change
        nothing. Answers a number; raises StorageUnavailable (a repeat is safe)."""
        number, now = new_id(self._clock, self._chance), self._clock.now()
        known_by = await aside(len(letter.contents), letter.fingerprint, self._public.lookup.fingerprint_key)
        digested = received.digest(letter.peer_name, str(letter.sender or ""), "test", known_by)
        hashed = self._public.lookup.message_id(letter.message_id)
        trial = self._trial_answered(structure)
        is_to_be_answered = not trial and self._is_to_be_answered(letter, structure)
        duty = self._duty(number, peer, letter, structure) if is_to_be_answered else None
        acts = [audit.Act(now, peer.name, TESTED_ACT, NOBODY, number, hashed, "answered" if duty else "not answered")]
        if trial:
            acts.append(audit.Act(now, peer.name, ANSWER_ACT, NOBODY, number, self._public.lookup.message_id(trial)))

        def owe(connection: Connection) -> int:
            standing = received.remember(connection, NOBODY, digested, number, to_ms(now))
            if standing == number:
                if duty is not None:
                    tasks.add_task(connection, NOBODY, duty)
                audit.write(connection, acts)
            return standing

        standing = await self._store.write(lane_of(NOBODY), owe)
        self._bus.publish(changes.TASK)
        return standing

    def _trial_answered(self, structure: Structure) -> str:
        """The Message-ID of our own test mail that this one answers; empty when it answers none."""
        if self._address is None:
            return ""
        named = headers.parse_message_ids(structure.header("In-Reply-To") or "")[:1]
        ours = f"@{self._address.domain}>"
        return next((one for one in named if one.startswith(TRIAL_PREFIX) and one.endswith(ours)), "")

    def _is_to_be_answered(self, letter: Letter, structure: Structure) -> bool:
        sender = letter.sender
        if sender is None or self._address is None or sender.key == self._address.key:
            return False
        precedence = (structure.header("Precedence") or "").strip().lower()
        is_list = precedence in BULK or structure.header("List-Id") is not None
        if is_list or letters.header_facts(structure).is_report:
            return False
        return self._has_room(sender)

    def _has_room(self, sender: MailAddress) -> bool:
        """Count one more answer to a sender; False when there were enough this hour."""
        now_s = self._clock.monotonic_s()
        moments = self._answered.setdefault(sender.key, deque())
        self._answered.move_to_end(sender.key)
        if len(self._answered) > SENDERS_WATCHED_MAX:
            self._answered.popitem(last=False)
        while moments and moments[0] <= now_s - WINDOW_S:
            moments.popleft()
        if len(moments) >= ANSWERS_PER_HOUR_MAX:
            log.warning("test-mailbox.not-answered", why="too many this hour")
            return False
        moments.append(now_s)
        return True

    def _duty(self, number: int, peer: Peer, letter: Letter, structure: Structure) -> NewTask:
        long_line = structure.longest_line
        seen = Seen(
            sender=str(letter.sender),
            shown=str(letters.header_facts(structure).from_addresses[0]),
            message_id=letter.message_id,
            certificate="" if peer.account is not None else peer.name,
            serial=peer.serial,
            tls=peer.tls,
            helo=peer.helo,
            octets=len(letter.contents),
            domains=len(peer.domains),
            x_mss=tuple(name for name in X_MSS if structure.header(name) is not None),
            long_line=0 if long_line is None else long_line.number,
        )
        payload = json.dumps(asdict(seen)).encode()
        sealed = seal.seal_to(self._public.tasks, payload, task_context(number), self._chance)
        return NewTask(number, TASK_TESTED, sealed, to_ms(self._clock.now()))


def seen_of(task: Task, pair: seal.KeyPair) -> Seen:
    """Read a duty back. Raises SealBroken."""
    values = json.loads(seal.open_sealed(pair, task.payload, task_context(task.id)))
    return Seen(**values | {"x_mss": tuple(values["x_mss"])})
