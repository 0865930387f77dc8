"""How does a message reach the right mailbox? As a copy under the right owner's keys, as if it had come to her.

The wrong patient's address is her INS: the fields that name recipients are written anew, the trace fields left out. The
rest stays to the byte, the archive with it. The copy is invisible until the judge has been asked (`pending`).
"""

from __future__ import annotations

import asyncio

from mss.crypto.keys import Lookup
from mss.formats import mime
from mss.formats.summary import summarise
from mss.mail.contents import Contents
from mss.model.clock import Chance, Clock
from mss.model.errors import NotFound
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.store import blobs, messages
from mss.store.blobs import BodyStore
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.messages import Direction, MessageState, NewMessage, StoredMessage
from mss.store.sealing import SHELF
from mss.store.sql import Connection
from mss.vault.opener import Opener, OwnerKeys

NAMES_RECIPIENTS = (
    *("To", "Cc", "Bcc", "Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "Apparently-To"),
    *("Resent-To", "Resent-Cc", "Resent-Bcc", "X-Forwarded-To", "Received"),
)
"""Fields in which senders and servers write for whom a mail is."""


async def readdressed(raw: bytes, to: MailAddress) -> bytes:
    """The same mail, for somebody else."""
    changed = await Contents.of(raw).without_fields(*NAMES_RECIPIENTS, before=f"To: <{to}>\r\n".encode())
    return changed.whole()


class Mover:
    """Copies messages from mailbox to mailbox. Lives in works and in commands."""

    def __init__(
        self, store: Store, opener: Opener, bodies: BodyStore, lookup: Lookup, clock: Clock, chance: Chance
    ) -> None:
        self._store = store
        self._opener = opener
        self._bodies = bodies
        self._lookup = lookup
        self._clock = clock
        self._chance = chance

    async def copy(
        self, source: OwnerKeys, number: int, target: OwnerKeys, new_number: int, to: MailAddress | None
    ) -> None:
        """Keep a copy of a message under that number, invisible; a repeat changes nothing. `to`: None for one and the
        same person. Raises NotFound, StorageUnavailable."""

        def ask(connection: Connection) -> tuple[StoredMessage | None, bytes, bool]:
            stored = messages.one_message(connection, source.owner, number)
            hashed = messages.message_id_hmac(connection, source.owner, number)
            return stored, hashed, messages.one_message(connection, target.owner, new_number) is not None

        stored, hashed, stands = await self._store.read(ask)
        if stands:
            return
        if stored is None:
            raise NotFound("message")
        raw = await self._opener.message_body(source, stored)
        if to is not None:
            raw = await readdressed(raw, to)
        new = await self._sealed(target, new_number, raw, hashed, stored)

        def act(connection: Connection) -> None:
            if messages.one_message(connection, target.owner, new_number) is None:
                messages.insert_message(connection, target.owner, new)

        await self._store.write(lane_of(target.owner), act, size_bytes=new.body_size_bytes)

    async def _sealed(self, keys: OwnerKeys, number: int, raw: bytes, hashed: bytes, like: StoredMessage) -> NewMessage:
        def render() -> tuple[bytes, bytes]:
            summary = summarise(raw, mime.scan(raw)).to_bytes()
            sealed = keys.seal_object(messages.SUMMARY_KIND, number, summary)
            return sealed, keys.seal_object(messages.BODY_KIND, number, raw)

        summary, body = await asyncio.to_thread(render)
        blob = new_id(self._clock, self._chance)
        inline, place = (body, "") if len(body) <= blobs.INLINE_BYTES_MAX else (None, "")
        if inline is None:
            place = blobs.place_of(lane_of(keys.owner), OwnerId(keys.owner), blob)
            await self._bodies.put(place, body)
        return NewMessage(
            message=number,
            size_bytes=len(raw),
            key_epoch=SHELF,
            summary_sealed=summary,
            message_id_hmac=hashed,
            blob=blob,
            body_size_bytes=len(body),
            body_inline=inline,
            body_place=place,
            state=MessageState.PENDING,
            direction=Direction.IN if like.direction == Direction.IN else Direction.OUT,
            received_ms=like.received_ms,
        )
