"""How does a message that a client brings become rows? Rendered and sealed before the transaction that keeps it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mss.crypto.keys import Lookup
from mss.formats.mime import scan
from mss.formats.summary import summarise
from mss.imap.backend import Folder, FolderProblem, FolderRefused
from mss.imap.commands import Flags
from mss.mail.sentmark import SentMark, mark_of
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import Malformed
from mss.model.ids import lane_of
from mss.model.mailbox import SpecialUse
from mss.store import blobs, messages
from mss.store.blobs import BodyStore
from mss.store.folders import NewEntry
from mss.store.ids import new_id
from mss.store.messages import Direction, MessageState
from mss.store.sealing import SHELF
from mss.vault.opener import OwnerKeys

SCAN_IN_LOOP_BYTES_MAX = 64 * 1024
"""Larger messages are read and sealed in a thread."""
COPY_BATCH_BYTES_MAX = 16 * 1024 * 1024
"""Bodies in memory at once when messages go to another mailbox."""


@dataclass(frozen=True, slots=True)
class SealedMessage:
    """A message ready to be kept: its row, and what its entry will say."""

    row: messages.NewMessage
    flags: Flags
    internaldate_ms: int
    mark: SentMark | None = None
    """Of one brought to where sent mail is: the server may have filed it already."""


class Incoming:
    """Seals under the owner's shelf key: who brings a message here may open it anyway."""

    def __init__(self, bodies: BodyStore, lookup: Lookup, clock: Clock, chance: Chance) -> None:
        self._bodies = bodies
        self._lookup = lookup
        self._clock = clock
        self._chance = chance

    async def seal(
        self, folder: Folder, keys: OwnerKeys, raw: bytes, flags: Flags, internaldate_ms: int
    ) -> SealedMessage:
        """A large body is where it survives when this returns. Raises FolderRefused, StorageUnavailable."""
        number, blob = new_id(self._clock, self._chance), new_id(self._clock, self._chance)
        is_sent = folder.special_use is SpecialUse.SENT
        if len(raw) > SCAN_IN_LOOP_BYTES_MAX:
            summary, body, message_id, mark = await asyncio.to_thread(_render, keys, number, raw, is_sent)
        else:
            summary, body, message_id, mark = _render(keys, number, raw, is_sent)
        inline, place = (body, "") if len(body) <= blobs.INLINE_BYTES_MAX else (None, "")
        if inline is None:
            place = blobs.place_of(lane_of(keys.owner), keys.owner, blob)
            await self._bodies.put(place, body)
        is_own = folder.special_use in (SpecialUse.SENT, SpecialUse.DRAFTS)
        row = messages.NewMessage(
            message=number,
            size_bytes=len(raw),
            key_epoch=SHELF,
            summary_sealed=summary,
            message_id_hmac=self._lookup.message_id(message_id),
            blob=blob,
            body_size_bytes=len(body),
            body_inline=inline,
            body_place=place,
            state=MessageState.VISIBLE,
            direction=Direction.OUT if is_own else Direction.IN,
            received_ms=to_ms(self._clock.now()),
        )
        return SealedMessage(row, flags, internaldate_ms, mark)


def _render(keys: OwnerKeys, number: int, raw: bytes, is_sent: bool) -> tuple[bytes, bytes, str, SentMark | None]:
    """(sealed summary, sealed body, Message-ID, mark of what was sent). Raises FolderRefused."""
    try:
        structure = scan(raw)
        summary = summarise(raw, structure)
        mark = mark_of(structure, raw) if is_sent else None
    except Malformed:
        raise FolderRefused(FolderProblem.MESSAGE_MALFORMED) from None
    sealed = keys.seal_object(messages.SUMMARY_KIND, number, summary.to_bytes())
    return sealed, keys.seal_object(messages.BODY_KIND, number, raw), summary.message_id, mark


def batches(entries: dict[int, NewEntry]) -> list[list[int]]:
    """Uids of entries that are opened together."""
    runs: list[list[int]] = []
    size = COPY_BATCH_BYTES_MAX
    for uid, entry in entries.items():
        if size + entry.size_bytes > COPY_BATCH_BYTES_MAX:
            runs.append([])
            size = 0
        runs[-1].append(uid)
        size += entry.size_bytes
    return runs
