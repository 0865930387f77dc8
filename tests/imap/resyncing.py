"""A mail client that goes away with its picture and comes back with QRESYNC (RFC 7162), believing what it is told."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tests.imap.picture import PictureClient, Seen
from tests.kit.imap_house import ImapHouse

_MODSEQ = re.compile(rb"MODSEQ \(?(\d+)\)?")
_VALIDITY = re.compile(rb"UIDVALIDITY (\d+)")


@dataclass
class ResyncClient(PictureClient):
    """Knows its folder up to a mod-sequence: as far as everything was told and nothing could be held back."""

    folder: str = "INBOX"
    uidvalidity: int = 0
    modseq: int = 0
    _highest: int = 0
    _earlier: set[int] = field(default_factory=set)
    _told: dict[int, Seen] | None = None
    """While a folder is being opened: rows by number."""

    @classmethod
    async def arrive(cls, house: ImapHouse, user: str, folder: str = "INBOX") -> ResyncClient:
        client = await cls.connect(house, user)
        assert isinstance(client, ResyncClient)
        client.folder = folder
        await client.command("ENABLE QRESYNC")
        await client.select(folder)
        await client.command("UID FETCH 1:* (FLAGS)")
        return client

    async def come_back(self, house: ImapHouse, user: str) -> ResyncClient:
        """A new connection that goes on with the picture of this one, which just went away."""
        self.writer.transport.abort()
        client = await type(self).connect(house, user)
        assert isinstance(client, ResyncClient)
        client.folder = self.folder
        await client.command("ENABLE QRESYNC")
        known = {seen.uid: seen for seen in self.messages if seen.uid}
        client._told = {}
        await client.command(f"SELECT {self.folder} (QRESYNC ({self.uidvalidity} {self.modseq}))")
        told, client._told = client._told, None
        assert client.uidvalidity == self.uidvalidity
        left = sorted(set(known) - client._earlier - {seen.uid for seen in told.values()})
        assert len(left) + len(told) == len(client.messages), "a client that comes back cannot number its messages"
        rest = iter(left)
        client.messages = [told.get(n) or known[next(rest)] for n in range(1, len(client.messages) + 1)]
        uids = [seen.uid for seen in client.messages]
        assert uids == sorted(set(uids)), "uids do not rise"
        client._reach()
        return client

    async def command(self, text: str, *, may_fail: bool = False) -> bytes:
        last = await super().command(text, may_fail=may_fail)
        self._hear(last)
        if text.split()[0] not in ("FETCH", "STORE", "SEARCH"):
            self._reach()
        return last

    def _reach(self) -> None:
        """Nothing was held back, and nothing is unknown: the picture is whole up to here."""
        if self._told is None and all(seen.uid and seen.flags is not None for seen in self.messages):
            self.modseq = max(self.modseq, self._highest)

    def _hear(self, line: bytes) -> None:
        for number in _MODSEQ.findall(line):
            self._highest = max(self._highest, int(number))

    def _take_in(self, line: bytes, *, may_expunge: bool) -> None:
        self._hear(line)
        if validity := _VALIDITY.search(line):
            self.uidvalidity = int(validity[1])
        assert b" EXPUNGE\r\n" not in line, "EXPUNGE after ENABLE QRESYNC (RFC 7162 §3.2.10)"
        if self._told is not None and (row := re.match(rb"\* (\d+) FETCH \((.*)\)\r\n", line)):
            self._learn(self._told.setdefault(int(row[1]), Seen()), row[2])
            return
        super()._take_in(line, may_expunge=may_expunge)

    def _vanish(self, line: bytes, *, may_expunge: bool) -> None:
        is_earlier = b"(EARLIER)" in line
        assert may_expunge or is_earlier, "VANISHED while numbers were spoken of"
        for part in line.split()[-1].split(b","):
            low, _, high = part.partition(b":")
            for uid in range(int(low), int(high or low) + 1):
                if is_earlier:
                    self._earlier.add(uid)
                else:
                    self._lose(uid)

    def _lose(self, uid: int) -> None:
        """A message goes; one whose uid was never asked for stands before the first that has a higher one."""
        numbers = range(len(self.messages))
        at = next((n for n in numbers if self.messages[n].uid == uid), -1)
        if at < 0:
            at = next((n for n in numbers if self.messages[n].uid > uid), len(self.messages)) - 1
            assert at >= 0, "VANISHED of what is not there"
            assert not self.messages[at].uid, "VANISHED of what is not there"
        del self.messages[at]
