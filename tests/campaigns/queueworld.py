"""A queue in a world that goes wrong: hosts that are away for hours and days, couriers that die, a clock that lies.

Real store, real queue, real settling and duties; hosts and clock are played, so that a fortnight takes a second and a
fault comes back from its seed. Nobody's word is taken: what hosts got is compared with what senders were promised.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from mss.crypto import seal
from mss.formats.dsn import Action
from mss.mail.answers import task_context
from mss.mail.queue import Outgoing, OutgoingEnvelope, QueuePutter, QueueTaker
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.verdict import Reason
from mss.notices.outcomes import CourierNotes
from mss.notices.send import TASK_DSN, ReportDuties
from mss.smtp.outcome import Sent, Setback, Words
from mss.smtp.settling import Settling, all_later
from mss.store import schema, tasks
from mss.store.tasks import Queued, RowState
from tests.kit.people import Cellar

HOPS = ("un.example", "deux.example", "trois.example")
SENDER = MailAddress.parse("ada@chu.mssante.example")
HOUR_S, DAY_S = 3600, 86_400
ABSENCES_S = (HOUR_S, DAY_S, 4 * DAY_S)
YEAR_S = 365 * DAY_S
STEP_S_MAX = 3600
STEPS = 260
"""Some five days; troubles begin in their first half."""
STEPS_UNTIL_EMPTY = 500
LOOK_EVERY = 4
"""Steps: two hours and some."""
Pair = tuple[str, str]
"""Message-ID and recipient."""


@dataclass
class World:
    """One run. `jumps`: the clock may lie."""

    cellar: Cellar
    random: Random
    jumps: bool
    accepted: dict[Pair, float] = field(default_factory=dict)
    """When, by the clock that never lies."""
    received: Counter[Pair] = field(default_factory=Counter)
    """What the hosts got."""
    uncertain: set[Pair] = field(default_factory=set)
    """What they got from a courier that died before it could write it down."""
    refused: set[Pair] = field(default_factory=set)
    """To what they said no for good."""
    ended_s: dict[Pair, float] = field(default_factory=dict)
    """When its duty of a failure was first seen, by the true clock."""
    late: Counter[Pair] = field(default_factory=Counter)
    attempts: int = 0
    kept_back: int = 0
    """Recipients whose mail staff held in the end."""

    def __post_init__(self) -> None:
        below = self.cellar
        self._putter = QueuePutter(below.bodies, below.public, below.clock, below.chance)
        self._notes = CourierNotes(ReportDuties(below.public.tasks, below.clock, below.chance), below.clock)
        self._away_until: dict[str, float] = {}
        self._seen: set[int] = set()
        self._generation = 0
        self._be_born()

    def _be_born(self) -> None:
        """A courier, or the next one."""
        below, self._generation = self.cellar, self._generation + 1
        self._taker = QueueTaker(
            below.store, below.bodies, below.private.outbound, below.clock, f"courier {self._generation}"
        )
        self._settling = Settling(self._taker, self._putter, self._notes, below.clock)

    @property
    def now_s(self) -> float:
        return self.cellar.clock.monotonic_s()

    async def live(self, mails: int) -> None:
        """Mail comes in and goes out, until every trouble is over and the queue is empty, or time is up."""
        coming = sorted(self.random.randrange(STEPS // 2) for _ in range(mails))
        for step in range(STEPS + STEPS_UNTIL_EMPTY):
            while coming and coming[0] <= step:
                coming.pop(0)
                await self._accept()
            if step < STEPS // 2:
                await self._trouble()
            await self._round()
            if step % LOOK_EVERY == 0:
                await self._read_duties()
            if step >= STEPS and not [row for row in await self.left() if row.state == RowState.WAITING]:
                break
        await self._read_duties()

    async def _accept(self) -> None:
        number, hop = len(self.accepted), self.random.choice(HOPS)
        to = [MailAddress.parse(f"r{n}@{hop}") for n in range(self.random.choice((1, 1, 2, 3)))]
        envelope = OutgoingEnvelope(SENDER, tuple(to), f"<{number}@chu.mssante.example>")
        owner = OwnerId(self.random.randrange(1, 9))
        prepared = await self._putter.prepare(owner, hop, envelope, b"Subject: x\r\n\r\nBonjour.\r\n")
        await self.cellar.store.write(lane_of(owner), prepared.put)
        self.accepted |= {(envelope.message_id, str(one)): self.now_s for one in to}

    async def _trouble(self) -> None:
        if self.random.random() < 0.04:
            self._away_until[self.random.choice(HOPS)] = self.now_s + self.random.choice(ABSENCES_S)
        if self.jumps and self.random.random() < 0.05:
            self._jump()
        if self.random.random() < 0.01 and (rows := await self.left()):
            row = self.random.choice(rows)  # staff keep it back, whatever is being done with it
            await self.cellar.store.write(
                lane_of(row.owner),
                lambda c: tasks.set_row_state(c, schema.queue, row.owner, row.id, RowState.HELD, "queue.hold"),
            )

    def _jump(self) -> None:
        """Of the wall clock alone: an hour, a day, ten years on, or back to 1970."""
        clock = self.cellar.clock
        ahead_s = self.random.choice((HOUR_S, -HOUR_S, DAY_S, -DAY_S, 10 * YEAR_S, None))
        since_1970 = clock.now().timestamp()
        clock.at += timedelta(seconds=HOUR_S - since_1970 if ahead_s is None else max(ahead_s, HOUR_S - since_1970))

    async def _round(self) -> None:
        """A courier looks at the queue; it may die over it. Then time passes."""
        try:
            for row in await self._taker.claim(self.random.randrange(1, 12)):
                await self._carry(row)
        except _Dead:
            self._be_born()
        self.cellar.clock.forward(self.random.randrange(30, STEP_S_MAX))

    async def _carry(self, row: Queued) -> None:
        self.attempts += 1
        mail = await self._taker.load(row)
        if self.random.random() < 0.03:
            raise _Dead
        if self._away_until.get(row.next_hop, 0) > self.now_s:
            if self.random.random() < 0.5:
                await self._settling.put_off_untried(row, "peer-unreachable timeout")
            else:
                setback = Setback(Reason.PEER_UNREACHABLE, "timeout")
                await self._settling.settle(mail, all_later(mail, setback, row.next_hop))
            return
        sent = self._deliver(mail)
        if self.random.random() < 0.03:
            self.uncertain |= {(mail.envelope.message_id, str(one)) for one in sent.accepted}
            raise _Dead
        await self._settling.settle(mail, sent)

    def _deliver(self, mail: Outgoing) -> Sent:
        sent, taken = Sent(mail.row.next_hop, takes_wishes=True), []
        for recipient in mail.envelope.recipients:
            pair, fate = (mail.envelope.message_id, str(recipient)), self.random.random()
            if fate < 0.75:
                taken.append(recipient)
                self.received[pair] += 1
            elif fate < 0.95:
                sent.put((recipient,), Words(450, "4.2.1 not now"))
            else:
                sent.put((recipient,), Words(550, "5.2.1 closed"))
                self.refused.add(pair)
        sent.accepted = tuple(taken)
        return sent

    async def _read_duties(self) -> None:
        """What senders are promised to hear."""
        t = schema.task
        rows = await self.cellar.store.read(lambda c: list(c.execute(t.select().where(t.c.kind == TASK_DSN))))
        for row in rows:
            if row.id in self._seen:
                continue
            self._seen.add(row.id)
            opened = json.loads(seal.open_sealed(self.cellar.private.tasks, row.payload, task_context(row.id)))
            message_id, statuses = opened[1], opened[-1]
            for recipient, action, *_ in statuses:
                if action == Action.DELAYED:
                    self.late[message_id, recipient] += 1
                else:
                    self.ended_s.setdefault((message_id, recipient), self.now_s)

    async def left(self) -> list[Queued]:
        return await self.cellar.store.read(tasks.list_queue)

    # The judgement

    async def held(self) -> set[Pair]:
        """What waits for a human."""
        found = set()
        for row in await self.left():
            if row.state != RowState.WAITING:
                envelope = (await self._taker.load(row)).envelope
                found |= {(envelope.message_id, str(one)) for one in envelope.recipients}
        return found

    async def complaints(self, early_s: float) -> list[str]:
        """Everything that was promised and is not so. Empty when accepted = delivered + returned + held, by id."""
        held = await self.held()
        told = [f"{row.id}: waits for nothing" for row in await self.left() if row.state == RowState.WAITING]
        for pair, accepted_s in self.accepted.items():
            is_received, is_returned = pair in self.received, pair in self.ended_s
            if not (is_received or is_returned or pair in held):
                told.append(f"{pair}: unexplained")
            if is_received and is_returned and pair not in self.uncertain:
                told.append(f"{pair}: delivered, and returned")
            if self.received[pair] > 1 and pair not in self.uncertain:
                told.append(f"{pair}: delivered {self.received[pair]} times")
            if self.late[pair] > 1:
                told.append(f"{pair}: told {self.late[pair]} times that it is late")
            if is_returned and pair not in self.refused and self.ended_s[pair] - accepted_s < early_s:
                told.append(f"{pair}: returned after {(self.ended_s[pair] - accepted_s) / HOUR_S:.1f} hours")
        return told


class _Dead(Exception):
    """The courier was killed."""
