"""What did the campaign leave? Counted on the receiving side: mailboxes over IMAP, the patient's rows in the store.

The store holds no name and no Message-ID, so rows are found by the operator's own keyed hashes.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mss import config
from mss.crypto.keys import Lookup, load_public
from tests.campaigns.mails import PATIENT, PROFESSIONALS, Mail
from tests.kit.demo import Demo

SETTLE_S_MAX = 180.0
_MESSAGE_ID = re.compile(rb"Message-ID:\s*(<[^>]+>)", re.IGNORECASE)


@dataclass(frozen=True)
class Count:
    """(Message-ID, mailbox) pairs and documents that are there never or more than once though acknowledged."""

    pairs: int
    documents: int
    lost: tuple[tuple[str, str], ...]
    twice: tuple[tuple[str, str], ...]


def count(demo: Demo, acknowledged: Iterable[Mail]) -> Count:
    """Wait until the house has judged what it took, then count."""
    store = Path(demo.state()) / "mss.db"
    lookup = load_public(config.load(Path(demo.told["operator"]["config"])).keys_dir).lookup
    wait_until_judged(store)
    found = {address: by_imap(demo, address) for address in PROFESSIONALS}
    found[PATIENT] = visible_in_store(store, lookup)
    filed = documents_in_store(store, lookup)
    owner = owner_of(store, lookup)
    lost, twice, pairs, documents = [], [], 0, 0
    for mail in acknowledged:
        copies = [(address, _copies(found, lookup, address, mail)) for address in mail.recipients]
        if mail.document:
            documents += 1
            copies.append(("record", filed[lookup.document(owner, mail.document)]))
        for where, number in copies:
            pairs += 1
            if number == 0:
                lost.append((mail.message_id, where))
            elif number > 1:
                twice.append((mail.message_id, where))
    return Count(pairs, documents, tuple(lost), tuple(twice))


def _copies(found: dict[str, Counter[bytes]], lookup: Lookup, address: str, mail: Mail) -> int:
    key = lookup.message_id(mail.message_id) if address == PATIENT else mail.message_id.encode()
    return found[address][key]


def by_imap(demo: Demo, address: str) -> Counter[bytes]:
    """Message-IDs in somebody's inbox, as a mail client reads them."""
    client = demo.imap(address)
    try:
        client.select("INBOX", readonly=True)
        answer, data = client.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        assert answer == "OK", data
    finally:
        client.logout()
    headers = (part[1] for part in data if isinstance(part, tuple))
    return Counter(found[1] for header in headers if (found := _MESSAGE_ID.search(header)))


def wait_until_judged(store: Path, pause_s: float = 0.2) -> None:
    """Until no message waits for the bridge and no duty is left to do."""
    deadline = time.monotonic() + SETTLE_S_MAX
    while True:
        with _reading(store) as connection:
            (pending,) = connection.execute("SELECT count(*) FROM message WHERE state = 'pending'").fetchone()
            (duties,) = connection.execute("SELECT count(*) FROM task WHERE kind = 'file'").fetchone()
        if not pending and not duties:
            return
        assert time.monotonic() < deadline, f"{pending} messages are not judged, {duties} duties not done"
        time.sleep(pause_s)


def owner_of(store: Path, lookup: Lookup, address: str = PATIENT) -> int:
    with _reading(store) as connection:
        (owner,) = connection.execute("SELECT owner FROM lookup WHERE hmac = ?", (lookup.address(address),)).fetchone()
    return int(owner)


def visible_in_store(store: Path, lookup: Lookup) -> Counter[bytes]:
    """Keyed hashes of Message-IDs of the patient's visible messages, each as often as her folders show it."""
    question = (
        "SELECT m.message_id_hmac FROM message m JOIN entry e ON e.lane = m.lane AND e.owner = m.owner"
        " AND e.message = m.message WHERE m.owner = ? AND m.state = 'visible'"
    )
    with _reading(store) as connection:
        return Counter(bytes(row[0]) for row in connection.execute(question, (owner_of(store, lookup),)))


def documents_in_store(store: Path, lookup: Lookup) -> Counter[bytes]:
    question = "SELECT unique_id_hmac FROM document WHERE owner = ?"
    with _reading(store) as connection:
        return Counter(bytes(row[0]) for row in connection.execute(question, (owner_of(store, lookup),)))


def _reading(store: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=30))
