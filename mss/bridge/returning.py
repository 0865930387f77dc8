"""How does a correction come undone? Out of the other record first, and then each item where it was.

Between the two nobody sees it: a human said twice that he was not sure. Each step may be repeated.
"""

from __future__ import annotations

import json

from mss.bridge.items import Items
from mss.bridge.scope import Scope, Scopes
from mss.bridge.takeout import Takeout
from mss.mail.delivery import TASK_FEED
from mss.model.clock import Chance, Clock, to_ms
from mss.model.ids import OwnerId, lane_of
from mss.store import audit, changes, corrections, messages, owners, schema, tasks
from mss.store.changes import ChangeBus
from mss.store.corrections import Correction, CorrectionKind, CorrectionState
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.messages import MessageState
from mss.store.sql import Connection
from mss.store.tasks import NewTask, Task
from mss.vault.opener import Opener, OwnerKeys

ACTOR = "corrections"


class Returning:
    """Puts back. Lives in works."""

    def __init__(
        self,
        store: Store,
        opener: Opener,
        scopes: Scopes,
        takeout: Takeout,
        bus: ChangeBus,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._store = store
        self._opener = opener
        self._scopes = scopes
        self._takeout = takeout
        self._bus = bus
        self._clock = clock
        self._chance = chance

    async def put_back(self, before: Correction, row: Correction, task: Task) -> None:
        """Undo what `before` did. Raises StorageUnavailable: run again."""
        after = await self._store.read(lambda c: corrections.following(c, row.owner, before.id))
        refiled = [one for one in (before, *after) if one.kind == CorrectionKind.REFILE]
        done = [one for one in refiled if one.state == CorrectionState.DONE]
        for one in done:
            await self.empty(OwnerId(one.other), Items.from_bytes(one.items), row)
        keys = await self._opener.open(OwnerId(row.owner), ACTOR, "correct")

        def act(connection: Connection) -> None:
            owners.lock(connection, row.owner)
            now_ms = to_ms(self._clock.now())
            tasks.finish(connection, schema.task, row.owner, [task.id])
            if not corrections.settle(connection, row, CorrectionState.DONE, now_ms):
                return
            items = Items.from_bytes(before.items)
            self._takeout.put_back(connection, keys, items, row.confirmed_by or row.proposed_by, f"{row.id}")
            if before.kind == CorrectionKind.UNFILE:
                corrections.settle(connection, before, CorrectionState.RETURNED, now_ms)
            else:
                self._feed_again(connection, items)
            for one in done:
                corrections.settle(connection, one, CorrectionState.UNDONE, now_ms)

        await self._store.write(lane_of(row.owner), act)
        self._bus.publish(changes.FOLDER, row.owner)

    async def empty(self, owner: OwnerId, items: Items, row: Correction) -> None:
        """Take out of a record what a correction made there, with all that followed from it."""
        keys = await self._opener.open(owner, ACTOR, "correct")
        for document in items.made:
            scope = await self._scopes.of(keys, document)
            if scope.documents:
                await self._take(keys, scope, row)
        left = [new for _, new in items.moves if await self._is_seen(owner, new)]
        if left:
            await self._take(keys, Scope((), tuple(left)), row)
        self._bus.publish(changes.FOLDER, owner)

    async def _is_seen(self, owner: OwnerId, number: int) -> bool:
        stored = await self._store.read(lambda c: messages.one_message(c, owner, number))
        return stored is not None and stored.state != MessageState.UNFILED

    async def _take(self, keys: OwnerKeys, scope: Scope, row: Correction) -> None:
        actor = row.confirmed_by or row.proposed_by

        def act(connection: Connection) -> None:
            owners.lock(connection, keys.owner)
            self._takeout.take_out(connection, keys, scope, f"{row.id}", actor, tells=False)
            done = audit.Act(self._clock.now(), actor, "record.undone-here", keys.owner, row.id, row.message_id_hmac)
            audit.write(connection, [done])

        await self._store.write(lane_of(keys.owner), act)

    def wait_again(self, connection: Connection, owner: int, items: Items) -> None:
        """What was held, and could not go elsewhere, is judged anew where it came: it is held again, never lost."""
        for item in items.messages:
            self._takeout.return_message(connection, owner, item)
        self._feed_again(connection, items)

    def _feed_again(self, connection: Connection, items: Items) -> None:
        """The mail of an application mailbox is judged anew."""
        for box, message in items.feeds:
            payload = json.dumps({"message": message}).encode()
            now_ms = to_ms(self._clock.now())
            tasks.add_task(connection, box, NewTask(new_id(self._clock, self._chance), TASK_FEED, payload, now_ms))
