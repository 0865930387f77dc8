"""Where are the octets of a message that is arriving? In memory, counted, and put aside when they are many.

One for each connection. What the door's budget has no room for, or the spool cannot take, spoils the message in its
reader: it is read to its end and refused for now.
"""

from __future__ import annotations

import asyncio

from mss.mail.contents import Contents
from mss.model.errors import StorageUnavailable
from mss.model.verdict import Reason
from mss.smtp.blocks import MessageReader
from mss.smtp.limits import OctetBudget
from mss.store.spool import Spool, SpoolRoom


class Arrival:
    """Of the message that a connection brings now."""

    def __init__(self, memory: OctetBudget, spools: SpoolRoom | None, octets_spooled_from: int) -> None:
        """Without `spools` everything stays in memory."""
        self._memory = memory
        self._spools = spools
        self._from = octets_spooled_from
        self._spool: Spool | None = None
        self._held = 0
        self._on_its_way = 0

    def count(self, reader: MessageReader) -> None:
        """Something came."""
        if not self._hold(reader.held):
            reader.spoil(Reason.RATE_LIMITED)
            self._hold(0)
        if reader.problem is not None and not self._on_its_way:
            self._drop()

    def is_much(self, reader: MessageReader) -> bool:
        """Time to put it aside."""
        return self._spools is not None and reader.held > self._from

    def is_too_much(self, reader: MessageReader) -> bool:
        """The client has to wait until that is done."""
        return self._spools is not None and reader.held > 2 * self._from

    async def put_aside(self, reader: MessageReader) -> None:
        """What is in memory goes to the spool."""
        assert self._spools is not None
        octets = reader.message()
        self._on_its_way = len(octets)
        try:
            if self._spool is None:
                self._spool = await asyncio.to_thread(self._spools.open)
            await self._spool.write(octets)
        except StorageUnavailable:
            reader.spoil(Reason.STORAGE_UNAVAILABLE)
        finally:
            self._on_its_way = 0
        self.count(reader)

    async def contents(self, reader: MessageReader) -> Contents:
        """The message that has come whole; the reader has a problem afterwards when the spool could not take it."""
        if self._spool is not None:
            await self.put_aside(reader)
        if self._spool is None:
            return Contents(reader.message(), lines_are_whole=True)
        try:
            await self._spool.finish()
        except StorageUnavailable:
            reader.spoil(Reason.STORAGE_UNAVAILABLE)
        return Contents(b"", self._spool, lines_are_whole=True)

    def forget(self) -> None:
        """The message is kept by others now, or by nobody."""
        self._drop()
        self._hold(0)

    def _drop(self) -> None:
        if self._spool is not None:  # in a thread: one may still write to it, and 35 MiB are not given back in no time
            asyncio.get_running_loop().run_in_executor(None, self._spool.close)
            self._spool = None

    def _hold(self, octets: int) -> bool:
        """So many octets are in memory for this connection now; False when there is no room."""
        octets += self._on_its_way
        if not self._memory.resize(self._held, octets):
            return False
        self._held = octets
        return True
