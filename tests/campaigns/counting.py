"""What did the campaign leave? Counted on the receiving side: mailboxes over IMAP, the patient's rows in the store."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tests.campaigns.mails import PATIENT, PROFESSIONALS, Mail
from tests.kit.demo import Demo
from tests.kit.onlooker import Onlooker

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
    onlooker = Onlooker(demo)
    onlooker.wait_until_judged()
    owner, lookup = onlooker.owner(PATIENT), onlooker.lookup
    found = {address: by_imap(demo, address) for address in PROFESSIONALS}
    shown, filed = onlooker.visible(owner), onlooker.documents(owner)
    lost, twice, pairs, documents = [], [], 0, 0
    for mail in acknowledged:
        copies = [
            (to, shown[lookup.message_id(mail.message_id)] if to == PATIENT else found[to][mail.message_id.encode()])
            for to in mail.recipients
        ]
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
