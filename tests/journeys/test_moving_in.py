"""A professional moves in from another operator while her mail client is open, and sees the mail come."""

from __future__ import annotations

import imaplib
from pathlib import Path

from tests.kit.demo import Demo
from tests.kit.imap_house import letter

PATIENCE_S = 15.0


def test_an_open_mail_client_sees_mail_move_in(demo: Demo, tmp_path: Path) -> None:
    """The command runs in a process of its own; IDLE in another is told at once, and a second run brings nothing."""
    mine = next(one for one in demo.told["professionals"] if one["operator"] == "A")
    theirs = next(one for one in demo.told["professionals"] if one["operator"] == "B")
    with demo.imap(theirs["address"]) as there:
        there.create("Migration")
        for number in range(3):
            assert there.append("Migration", "(\\Seen)", None, letter(number))[0] == "OK"
    secret = tmp_path / "password"
    secret.write_text(theirs["password"] + "\n")
    at = demo.told["other_operator"]["imaps"]
    words: tuple[str, ...] = (
        "mailbox",
        "import",
        mine["address"],
        "--imap",
        f"{at['host']}:{at['port']}",
        "--user",
        theirs["username"],
    )
    words += ("--password-file", str(secret), "--authority", demo.told["ca"], "--folder", "Migration")
    with demo.imap(mine["address"]) as here:
        here.create("Migration")
        assert here.select("Migration")[1] == [b"0"]
        here.send(b"x1 IDLE\r\n")
        assert here.readline().startswith(b"+")
        done = demo.mss(*words)
        assert done.returncode == 0, done.stderr
        assert "Migration: 3 brought" in done.stdout
        here.sock.settimeout(PATIENCE_S)
        assert here.readline() == b"* 3 EXISTS\r\n"
        here.send(b"DONE\r\n")
        while not here.readline().startswith(b"x1 OK"):
            pass
    again = demo.mss(*words)
    assert "Migration: 0 brought (0.0 MB), 3 here already" in again.stdout
    with demo.imap(mine["address"]) as here:
        assert isinstance(here, imaplib.IMAP4)
        here.delete("Migration")
