"""Who is told what of mail to the address for software makers? Its report, by mail, to the accountable sender.

The address is an application mailbox that feeds no record. Each mail to it is read and judged as the bridge would
(`checking`); the report is owed in the transaction that ends the duty. Machines' answers get none, nor does a sender
who has had many in the hour.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping

import structlog

from mss.bridge import announcing
from mss.bridge.checking import Checker, Report
from mss.crypto import seal
from mss.crypto.keys import PublicKeys
from mss.formats import mime
from mss.mail import letters
from mss.mail.answers import TASK_CHECKED, task_context
from mss.mail.delivery import TASK_FEED
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import Malformed
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.store import changes, messages, owners, schema, tasks
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.sql import Connection
from mss.store.tasks import NewTask, Task
from mss.vault.opener import Opener

ACTOR = "bridge"
REPORTS_PER_HOUR_MAX = 60
"""To one sender: a maker who tries by hand sends fewer, and a loop ends."""
SENDERS_WATCHED_MAX = 1000
WINDOW_S = 3600.0

log = structlog.get_logger("bridge")


class CheckDesk:
    """Lives in works, in front of `feed`: what comes to the address is checked, all else is fed."""

    def __init__(
        self,
        address: MailAddress,
        checker: Checker,
        feed: Callable[[Task], Awaitable[None]],
        store: Store,
        opener: Opener,
        public: PublicKeys,
        bus: ChangeBus,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._address = address
        self._checker = checker
        self._feed = feed
        self._store = store
        self._opener = opener
        self._public = public
        self._bus = bus
        self._clock = clock
        self._chance = chance
        self._answered: OrderedDict[str, deque[float]] = OrderedDict()

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_FEED: self.take}

    async def take(self, task: Task) -> None:
        """Check one message, or hand it on. Raises SandboxIll, SandboxBusy, StorageUnavailable: run again."""
        hashed = self._public.lookup.address(self._address.key)
        own = await self._store.read(lambda c: owners.find(c, hashed))
        if own != task.owner:
            await self._feed(task)
            return
        duty = await self._report(OwnerId(task.owner), int(json.loads(task.payload)["message"]))

        def conclude(connection: Connection) -> None:
            if tasks.finish(connection, schema.task, task.owner, [task.id]) and duty is not None:
                tasks.add_task(connection, task.owner, duty)

        await self._store.write(lane_of(task.owner), conclude)
        self._bus.publish(changes.TASK)

    async def _report(self, owner: OwnerId, number: int) -> NewTask | None:
        keys = await self._opener.open(owner, ACTOR, "check")
        stored = await self._store.read(lambda c: messages.one_message(c, owner, number))
        if stored is None:
            return None
        raw = await self._opener.message_body(keys, stored)
        structure = await asyncio.to_thread(mime.scan, raw)
        sender = announcing.sender_of(structure)
        if sender is None or sender.key == self._address.key or letters.header_facts(structure).is_report:
            return None
        if self._is_too_often(sender.key):
            log.warning("check.not-answered", message=number, reason="rate")
            return None
        try:
            report = await self._checker.check(raw)
        except Malformed as malformed:
            report = Report((), "held", malformed.reason.value, 906)
        log.info("check.done", message=number, outcome=report.outcome, code=report.code)
        return self._owed(sender, structure.header("Message-ID") or "", report)

    def _owed(self, sender: MailAddress, message_id: str, report: Report) -> NewTask:
        number = new_id(self._clock, self._chance)
        payload = json.dumps([str(sender), message_id, report.outcome, report.text()]).encode()
        sealed = seal.seal_to(self._public.tasks, payload, task_context(number), self._chance)
        return NewTask(number, TASK_CHECKED, sealed, to_ms(self._clock.now()))

    def _is_too_often(self, sender: str) -> bool:
        now_s = self._clock.monotonic_s()
        moments = self._answered.setdefault(sender, deque())
        self._answered.move_to_end(sender)
        while len(self._answered) > SENDERS_WATCHED_MAX:
            self._answered.popitem(last=False)
        while moments and moments[0] < now_s - WINDOW_S:
            moments.popleft()
        if len(moments) >= REPORTS_PER_HOUR_MAX:
            return True
        moments.append(now_s)
        return False
