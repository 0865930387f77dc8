"""A mailbox that moves in, and what it should look like afterwards: for tests of the import."""

from __future__ import annotations

import imaplib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mss.bridge.importing import Importing, Report, Wish
from mss.bridge.importput import ImportStore
from mss.bridge.source import Source
from mss.formats.foldernames import encode_utf7
from mss.imap.backend import Box
from mss.imap.mailacts import CellarMailStore
from mss.model.ids import OwnerId
from mss.model.mailbox import FLAG_NAMES
from mss.store.changes import ChangeBus
from mss.store.sealing import Sealer
from tests.kit.imap_house import letter
from tests.kit.people import Cellar

Seen = tuple[bytes, frozenset[str], int]
"""Bytes, flags and keywords, INTERNALDATE in ms."""

AWKWARD = (
    b"From: =?utf-8?q?Ana=C3=AFs?= <a@labo.mssante.example>\r\nSubject: {12} (\r\nMessage-ID: <awkward@labo>\r\n"
    b"Content-Type: application/octet-stream\r\n\r\n" + bytes(range(1, 10))
    + b"\r\n.\r\n..\r\n" + bytes(range(128, 256)) + b"\r\n" + b"x" * 5000 + b"\r\n* 1 EXPUNGE\r\nA1 OK done"
)  # fmt: skip
"""Everything that a reader of answers may take for one."""
_MOMENT_MS = 1_600_000_000_000


@dataclass(frozen=True)
class Original:
    """A message over there."""

    folder: str
    raw: bytes
    flags: frozenset[str] = frozenset()
    at_ms: int = _MOMENT_MS

    @property
    def seen(self) -> Seen:
        return self.raw, self.flags, self.at_ms


def _flags(*names: str) -> frozenset[str]:
    return frozenset(names)


ORIGINALS = (
    Original("INBOX", AWKWARD, _flags("\\Seen", "$Label1"), _MOMENT_MS + 1000),
    Original("INBOX", letter(1), _flags("\\Answered", "\\Flagged", "\\Seen", "$Forwarded"), _MOMENT_MS + 2000),
    Original("INBOX", letter(2), _flags(), _MOMENT_MS + 3000),
    Original("INBOX", letter(2), _flags("\\Seen"), _MOMENT_MS + 4000),  # a copy that its holder keeps
    Original("Sent", letter(3), _flags("\\Seen"), _MOMENT_MS + 5000),
    Original("Sent/2019", letter(4), _flags("\\Seen"), _MOMENT_MS + 6000),
    Original("Résultats & bilans/Été", letter(5), _flags("\\Draft"), _MOMENT_MS + 7000),
    Original('Notes * "libres" \\o', letter(6), _flags("\\Deleted"), _MOMENT_MS + 8000),
    Original("Corbeille", letter(7), _flags(), _MOMENT_MS + 9000),
    Original("Vide", b""),
)
"""A mailbox with what people have and what breaks programs; an empty message stands for an empty folder."""

HERE = {
    "Sent": "Envoyés",
    "Sent/2019": "Envoyés/2019",
    'Notes * "libres" \\o': 'Notes _ "libres" \\o',
}
"""What folders are called here, when not as over there."""


def expected(originals: tuple[Original, ...] = ORIGINALS) -> dict[str, Counter[Seen]]:
    """What should be found here afterwards."""
    found: dict[str, Counter[Seen]] = {}
    for one in originals:
        there = found.setdefault(HERE.get(one.folder, one.folder), Counter())
        if one.raw:
            there[one.seen] += 1
    return found


def fill_by_imap(client: imaplib.IMAP4, originals: tuple[Original, ...], delimiter: str, prefix: str = "") -> None:
    """As a mail program would."""
    for one in originals:
        wire = encode_utf7(one.folder.replace("/", delimiter)).decode()
        quoted = '"' + (prefix + wire if wire != "INBOX" else wire).replace("\\", "\\\\").replace('"', '\\"') + '"'
        if wire != "INBOX":
            client.create(quoted)
        if one.raw:
            date = imaplib.Time2Internaldate(one.at_ms / 1000)
            assert client.append(quoted, f"({' '.join(sorted(one.flags))})", date, one.raw)[0] == "OK"


def fill_maildir(root: Path, originals: tuple[Original, ...]) -> None:
    """Maildir++ as Dovecot leaves it: LF, flags in names, keywords by letters."""
    letters = {"\\Seen": "S", "\\Answered": "R", "\\Flagged": "F", "\\Draft": "D", "\\Deleted": "T", "$Label1": "a"}
    for number, one in enumerate(originals):
        name = "" if one.folder == "INBOX" else "." + encode_utf7(one.folder.replace("/", ".")).decode()
        directory = root / name
        for half in ("cur", "new", "tmp"):
            (directory / half).mkdir(parents=True, exist_ok=True)
        (directory / "dovecot-keywords").write_text("0 $Label1\n")
        if not one.raw:
            continue
        words = {letters.get(flag, "P" if flag == "$Forwarded" else "") for flag in one.flags}
        info = "".join(sorted(words))
        path = directory / "cur" / f"{number}.M1.host:2,{info}" if info else directory / "new" / f"{number}.M1.host"
        path.write_bytes(one.raw.replace(b"\r\n", b"\n"))
        os.utime(path, ns=(one.at_ms * 1_000_000,) * 2)


class NewHome:
    """The mailbox here, and what brings mail into it."""

    def __init__(self, below: Cellar, owner: OwnerId, bus: ChangeBus) -> None:
        self.below, self.owner, self.bus = below, owner, bus
        lookup, clock, chance = below.public.lookup, below.clock, below.chance
        self.store = CellarMailStore(below.store, below.opener, below.bodies, bus, lookup, clock, chance)
        self.box = Box(owner, owner, "marie.dubois@chu.mssante.example")
        self.shown: list[tuple[int, int]] = []

    async def bring(self, source: Source, *, only: frozenset[str] = frozenset(), dry_run: bool = False) -> Report:
        """A run, as fast as it goes; the source is closed."""
        below = self.below
        lookup, clock, chance = below.public.lookup, below.clock, below.chance
        keeper = ImportStore(below.store, below.bodies, lookup, Sealer(clock, chance), self.bus, clock, chance)
        keys = await below.keys(self.owner)
        wish = Wish(only, dry_run, bytes_per_s_max=1 << 40, messages_per_s_max=1 << 40)
        try:
            importing = Importing(source, keeper, below.store, lookup, clock)
            return await importing.run(keys, wish, lambda *told: self.shown.append(told))
        finally:
            await source.close()

    async def holds(self) -> dict[str, Counter[Seen]]:
        """Every folder that is not empty or not one of those that a mailbox is born with."""
        found = {}
        for folder in await self.store.folders(self.box):
            snapshot = await self.store.snapshot(folder)
            uids = list(snapshot.uids)
            rows, bodies = await self.store.rows(folder, uids), await self.store.bodies(folder, uids)
            seen: Counter[Seen] = Counter()
            for index, row in enumerate(rows):
                flags, keywords = snapshot.marks(index)
                names = {name for bit, name in FLAG_NAMES.items() if flags & bit}
                names |= {name for bit, name in enumerate(snapshot.keywords) if keywords >> bit & 1}
                seen[bodies[row.uid], frozenset(names), row.internaldate_ms] += 1
            if seen or folder.special_use is None:
                found[folder.name] = seen
        return found
