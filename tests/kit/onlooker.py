"""What stands in an operator's store, for somebody who holds no private key? Rows found by the operator's keyed hashes.

The store holds no name and no Message-ID. Reads beside the running processes; never writes.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from mss import config
from mss.crypto.keys import load_public
from tests.kit.demo import Demo

SETTLE_S_MAX = 180.0


class Onlooker:
    """Looks at one operator of a demo."""

    def __init__(self, demo: Demo, operator: str = "operator") -> None:
        settings = config.load(Path(demo.told[operator]["config"]))
        self.store = settings.state_dir / "mss.db"
        self.lookup = load_public(settings.keys_dir).lookup

    def rows(self, question: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        address = f"file:{self.store}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=30)) as connection:
            return list(connection.execute(question, tuple(values)))

    def wait_until_judged(self, pause_s: float = 0.2) -> None:
        """Until no message waits for the bridge and no duty of filing is left."""
        deadline = time.monotonic() + SETTLE_S_MAX
        while True:
            ((pending,),) = self.rows("SELECT count(*) FROM message WHERE state = 'pending'")
            ((duties,),) = self.rows("SELECT count(*) FROM task WHERE kind = 'file'")
            if not pending and not duties:
                return
            assert time.monotonic() < deadline, f"{pending} messages are not judged, {duties} duties not done"
            time.sleep(pause_s)

    def owner(self, address: str) -> int:
        ((owner,),) = self.rows("SELECT owner FROM lookup WHERE hmac = ?", [self.lookup.address(address)])
        return int(owner)

    def acts(self, message_id: str) -> list[tuple[str, str]]:
        """(act, result) of a message's journey, as the audit has them."""
        question = "SELECT act, result FROM audit WHERE message_id_hmac = ? ORDER BY at_ms"
        return [(act, result) for act, result in self.rows(question, [self.lookup.message_id(message_id)])]

    def visible(self, owner: int) -> Counter[bytes]:
        """Keyed hashes of Message-IDs of visible messages, each as often as the owner's folders show it."""
        question = (
            "SELECT m.message_id_hmac FROM message m JOIN entry e ON e.lane = m.lane AND e.owner = m.owner"
            " AND e.message = m.message WHERE m.owner = ? AND m.state = 'visible'"
        )
        return Counter(bytes(row[0]) for row in self.rows(question, [owner]))

    def documents(self, owner: int) -> Counter[bytes]:
        """Keyed hashes of the unique ids of a record's documents."""
        question = "SELECT unique_id_hmac FROM document WHERE owner = ?"
        return Counter(bytes(row[0]) for row in self.rows(question, [owner]))
