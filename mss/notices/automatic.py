"""Which answers does a mailbox give by itself? The duties that delivery left for holders who are away.

Once for each correspondent and absence: the answer's Message-ID follows from these two, so that a duty done twice is
one mail, and who was told is written in the transaction that sends.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

import structlog

from mss.accounts.absence import Absences
from mss.accounts.names import Names
from mss.accounts.service import ADDRESS_KIND, Profile, profile_from_bytes
from mss.crypto.keys import Lookup
from mss.mail import letters
from mss.mail.delivery import TASK_ABSENCE
from mss.mail.submit import HouseMail
from mss.model.clock import Clock
from mss.model.ids import MailAddress, OwnerId
from mss.model.mailbox import MailboxKind
from mss.notices import away
from mss.notices.away import Arrived, Away
from mss.notices.compose import Original
from mss.store import absences, audit, messages, owners, schema, tasks
from mss.store.database import Store
from mss.store.owners import MailboxRow
from mss.store.sql import Connection
from mss.store.tasks import Task
from mss.vault.opener import Opener, OwnerKeys

ACTOR = "notices"

log = structlog.get_logger("notices")


class AutomaticReplies:
    """Lives in works."""

    def __init__(
        self,
        store: Store,
        opener: Opener,
        lookup: Lookup,
        mail: HouseMail,
        rooms: tuple[Absences, Names],
        clock: Clock,
    ) -> None:
        self._store = store
        self._opener = opener
        self._lookup = lookup
        self._mail = mail
        self._absences, self._names = rooms
        self._clock = clock

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_ABSENCE: self.absence}

    async def absence(self, task: Task) -> None:
        """Tell whoever wrote, if it was a person and he was not told yet, that the holder is away."""
        owner, number = OwnerId(task.owner), int(json.loads(task.payload)["message"])
        keys = await self._opener.open(owner, ACTOR, "absence reply")
        stored = await self._store.read(lambda c: messages.one_message(c, owner, number))
        box = await self._store.read(lambda c: owners.mailbox(c, owner))
        set_now = await self._absences.current(keys)
        if stored is None or box is None or set_now is None:
            return  # read and thrown away, or back already
        if not box.absent_from_ms <= stored.received_ms < box.absent_until_ms:
            return
        period, absence = set_now
        raw = await self._opener.message_body(keys, stored)
        original = Original(raw, await letters.scan(raw), "")
        holder = profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, box.address_sealed))
        to = away.whom_to_tell(await self._arrived(keys, holder, original))
        if to is None:
            return
        told = self._lookup.of("absence", f"{owner}|{period}|{to.key}")
        correspondent = int.from_bytes(told[:8]) >> 2
        if await self._store.read(lambda c: absences.was_told(c, owner, correspondent)):
            return
        who = Away(holder.display_name, MailAddress.parse(holder.address), absence)
        message_id = f"<{told.hex()}@{who.address.domain}>"
        written = await asyncio.to_thread(away.write, who, to, original.structure, message_id, self._clock.now())
        await self._send(task, box, correspondent, to, written, original.message_id)

    async def _arrived(self, keys: OwnerKeys, holder: Profile, original: Original) -> Arrived:
        others = await self._names.aliases(keys)
        own = {MailAddress.parse(holder.address).key, *(one.address.key for one in others)}
        sender = original.return_path
        return Arrived(original.structure, sender, own, await self._is_software(sender))

    async def _is_software(self, sender: MailAddress | None) -> bool:
        if sender is None:
            return True
        box = await self._store.read(lambda c: owners.mailbox_at(c, self._lookup.address(sender.key)))
        return box is not None and box.kind is MailboxKind.APPLICATION

    async def _send(
        self, task: Task, box: MailboxRow, correspondent: int, to: MailAddress, written: bytes, original_id: str
    ) -> None:
        hashed = self._lookup.message_id(original_id)
        act = audit.Act(self._clock.now(), ACTOR, "absence.told", box.owner, 0, hashed)

        def also(connection: Connection) -> None:
            if tasks.finish(connection, schema.task, task.owner, [task.id]):
                absences.note_told(connection, box.owner, correspondent)
                audit.write(connection, [act])

        await self._mail.send(box.owner, None, (to,), written, also=also)
        log.info("absence.told", task=task.id)
