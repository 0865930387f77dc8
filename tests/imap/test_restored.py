"""A copy of state and keys, put up elsewhere, is the same mailbox to every mail client: nothing is fetched again."""

from __future__ import annotations

import asyncio
import imaplib
import shutil
from pathlib import Path

from mss.model.clock import ManualClock
from tests.imap.test_clients import AWKWARD
from tests.kit.imap_house import DOCTOR, PASSWORD, ImapHouse, cellar_keeper, imap_house, letter, numbered
from tests.kit.pki import Pki

LARGE = letter(9, body=("x" * 70 + "\r\n") * 3000)
"""Its body lies in a file of its own."""


def _picture(house: ImapHouse) -> list[object]:
    """All that a client remembers of a mailbox: UIDVALIDITY, UIDs, mod-sequences, flags, dates, bytes."""
    seen: list[object] = []
    with imaplib.IMAP4_SSL("localhost", house.tls_port, ssl_context=house.client_tls()) as client:
        client.login(DOCTOR, PASSWORD)
        seen.append(sorted(map(repr, client.list()[1])))
        for name in ("INBOX", '"Tri/Fait"', "Archives"):
            status = client.status(name, "(UIDVALIDITY UIDNEXT MESSAGES UNSEEN HIGHESTMODSEQ MAILBOXID)")
            client.select(name, readonly=True)
            found = client.uid("FETCH", "1:*", "(UID FLAGS MODSEQ INTERNALDATE EMAILID BODY.PEEK[])")
            seen += [status, found]
    return seen


def _live(house: ImapHouse) -> None:
    """A morning: mail is read, marked, filed, deleted."""
    with imaplib.IMAP4_SSL("localhost", house.tls_port, ssl_context=house.client_tls()) as client:
        client.login(DOCTOR, PASSWORD)
        client.append("INBOX", "(\\Flagged $Label1)", None, AWKWARD)
        client.append("INBOX", "", None, LARGE)
        client.create('"Tri/Fait"')
        client.select("INBOX")
        client.uid("MOVE", "2", '"Tri/Fait"')
        client.uid("STORE", "3", "+FLAGS", "(\\Deleted)")
        client.expunge()
        client.uid("STORE", "4", "+FLAGS", "(\\Seen)")


async def test_uids_and_bytes_are_the_same_after_a_restore(tmp_path: Path, clock: ManualClock, imap_pki: Pki) -> None:
    """And what comes afterwards gets numbers that were never used."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    async with (
        cellar_keeper(f"sqlite:///{first}/mss.db", first, clock, imap_pki) as keeper,
        imap_house(keeper, imap_pki, tmp_path, clock) as house,
    ):
        await house.put(*numbered(4))
        await asyncio.to_thread(_live, house)
        before = await asyncio.to_thread(_picture, house)
    shutil.copytree(first, second)
    shutil.rmtree(first)
    async with (
        cellar_keeper(f"sqlite:///{second}/mss.db", second, clock, imap_pki, seed=8) as keeper,
        imap_house(keeper, imap_pki, tmp_path, clock) as house,
    ):
        assert await asyncio.to_thread(_picture, house) == before
        assert await house.put(letter(10)) == [7]
