"""OfflineIMAP keeps a Maildir and a mailbox the same, two ways: every byte and flag, nothing doubled."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from tests.imap.test_clients import _deleted, _maildir
from tests.kit import programs
from tests.kit.imap_house import DOCTOR, PASSWORD, ImapHouse, letter, numbered

SETTINGS = """\
[general]
accounts = house
metadata = {home}/metadata
ui = basic

[Account house]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {home}/mail

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {port}
remoteuser = {user}
remotepass = {password}
ssl = yes
sslcacertfile = {ca}
folderfilter = lambda name: name in ('INBOX', 'Archives')
"""


@pytest.mark.parametrize("keeper", ["sqlite"], indirect=True)
async def test_offlineimap_keeps_both_sides_the_same(house: ImapHouse, tmp_path: Path) -> None:
    """What arrives comes down, what is flagged or put locally goes up, what goes there goes here."""
    program = programs.require("offlineimap")
    settings = tmp_path / "offlineimaprc"
    settings.write_text(
        SETTINGS.format(home=tmp_path, port=house.tls_port, user=DOCTOR, password=PASSWORD, ca=house.ca)
    )

    def sync() -> None:
        command = [str(program), "-o", "-c", str(settings)]
        environment = os.environ | {"HOME": str(tmp_path)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    async def both() -> None:
        await asyncio.wait_for(asyncio.to_thread(sync), 90)

    await house.put(*numbered(3))
    await both()
    near = tmp_path / "mail"
    assert sorted(_maildir(near, "INBOX").values()) == sorted(numbered(3))
    one = next(path for half in ("new", "cur") for path in (near / "INBOX" / half).iterdir())
    one.rename(near / "INBOX" / "cur" / (one.name.partition(":")[0] + ":2,FS"))
    (near / "INBOX" / "new" / "1.local").write_bytes(letter(9).replace(b"\r\n", b"\n"))
    await house.put(letter(4))
    await both()
    await both()
    folder = await house.store.folder(house.keeper.boxes[DOCTOR], "INBOX")
    assert folder.messages == 5
    assert len(_maildir(near, "INBOX")) == 5
    snapshot = await house.store.snapshot(folder)
    assert [snapshot.marks(index)[0] & 5 for index in range(5)].count(5) == 1
    bodies = await house.store.bodies(folder, list(snapshot.uids))
    assert sorted(bodies.values()) == sorted([*numbered(4), letter(9)])
    await house.store.change_flags(folder, [2], *_deleted())
    await house.store.expunge(folder, [2])
    await both()
    assert len(_maildir(near, "INBOX")) == 4
