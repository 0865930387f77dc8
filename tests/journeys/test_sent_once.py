"""What real mail clients send stands once among what was sent: theirs and ours are one, whatever breaks in between."""

from __future__ import annotations

import imaplib
import os
import signal
import smtplib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.imap.test_clients import _maildir
from tests.kit import programs
from tests.kit.demo import PATIENCE_S, Demo, letter, on_the_wire, until
from tests.kit.mbsync import MBSYNCRC

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]

SENT = "Envoy&AOk-s"
SECRET = "copie.cachee@ville.mssante.example"


def _people(demo: Demo) -> tuple[dict[str, Any], str]:
    writers = demo.told["professionals"]
    writer = next(one for one in writers if one["operator"] == "A")
    return writer, next(one for one in writers if one["operator"] == "B")["address"]


def _send(demo: Demo, writer: dict[str, Any], to: list[str], raw: bytes) -> None:
    at = demo.told["operator"]["submissions"]
    with smtplib.SMTP_SSL(at["host"], at["port"], context=demo.tls(), timeout=PATIENCE_S) as client:
        client.login(writer["username"], writer["password"])
        client.sendmail(writer["address"], to, raw)


def _append(client: imaplib.IMAP4_SSL, raw: bytes) -> str:
    """What APPENDUID says."""
    assert client.append(SENT, "(\\Seen)", imaplib.Time2Internaldate(1_760_000_000), raw)[0] == "OK"
    return str(client.response("APPENDUID")[1][-1], "ascii")


def _found(client: imaplib.IMAP4_SSL, subject: str) -> list[bytes]:
    """What stands under a subject in the folder."""
    client.select(SENT, readonly=True)
    uids = client.uid("SEARCH", "SUBJECT", f'"{subject}"')[1][0].split()
    client.unselect()
    return list(uids)


def _body(client: imaplib.IMAP4_SSL, uid: bytes) -> bytes:
    client.select(SENT, readonly=True)
    data: Any = client.uid("FETCH", uid.decode(), "(BODY.PEEK[])")[1]
    client.unselect()
    raw: bytes = data[0][1]
    return raw


def test_what_a_script_sends_and_brings_is_one(demo: Demo) -> None:
    """smtplib, then imaplib; another script brings first. Secret copies are told to nobody but the sender."""
    writer, to = _people(demo)
    with demo.imap(writer["address"]) as client:
        for number, brings_first in enumerate((False, True)):
            subject = f"une-fois-{number}"
            mail = letter(writer["address"], to, subject, "Bonjour.")
            told = _append(client, on_the_wire(mail)) if brings_first else ""
            _send(demo, writer, [to, writer["address"]], on_the_wire(mail))
            (uid,) = until(lambda s=subject: _found(client, s))  # type: ignore[misc]
            told = told or _append(client, on_the_wire(mail))
            assert told.split()[1] == uid.decode()
            assert _found(client, subject) == [uid]
        assert (f"Bcc: {writer['address']}\r\n".encode() in _body(client, uid)) is False, "it was brought without"


def test_a_kill_between_sending_and_bringing_doubles_nothing(demo: Demo) -> None:
    """All processes die after the 250; the client comes back with its copy."""
    writer, to = _people(demo)
    mail = on_the_wire(letter(writer["address"], to, "une-fois-malgre-tout", "Bonjour."))
    _send(demo, writer, [to], mail)
    before = demo.pids()
    for name in ("edge", "desk", "works"):
        os.kill(before[name], signal.SIGKILL)
    until(lambda: (now := demo.pids()).keys() >= before.keys() and not set(now.values()) & {before["desk"]}, 40)

    def bring() -> bool:
        try:
            with demo.imap(writer["address"]) as client:
                _append(client, mail)
                return len(_found(client, "une-fois-malgre-tout")) == 1
        except (OSError, imaplib.IMAP4.error):
            return False

    assert until(bring, 40)


MUTTRC = """\
set from="{address}"
set realname="Une personne"
set ssl_ca_certificates_file="{ca}"
set certificate_file="{ca}"
set ssl_force_tls=yes
set smtp_url="smtps://{user}@{host}:{smtp}/"
set smtp_pass="{password}"
set imap_user="{address}"
set imap_pass="{password}"
set folder="imaps://{host}:{imap}/"
set record="imaps://{host}:{imap}/Envoyés"
set copy=yes
set write_bcc=yes
set charset="utf-8"
set send_charset="utf-8"
set header_cache=""
set smtp_authenticators="plain"
"""


def test_what_neomutt_sends_and_files_is_one(demo: Demo, tmp_path: Path) -> None:
    """It submits, then brings its copy with the secret recipient: one message, which names him."""
    neomutt = programs.require("neomutt")
    writer, to = _people(demo)
    operator = demo.told["operator"]
    settings = tmp_path / "muttrc"
    text = MUTTRC.format(
        address=writer["address"],
        user=writer["username"].replace("@", "%40"),
        password=writer["password"],
        ca=demo.told["ca"],
        host=operator["imaps"]["host"],
        imap=operator["imaps"]["port"],
        smtp=operator["submissions"]["port"],
    )
    settings.write_text(text, encoding="utf-8")
    secret = next(one["address"] for one in demo.told["professionals"] if one["address"] not in (writer["address"], to))
    (tmp_path / "piece.txt").write_text("Une pièce jointe.\n" * 200, encoding="utf-8")
    command = [str(neomutt), "-n", "-F", str(settings), "-s", "de-neomutt", "-b", secret, "-a", "piece.txt", "--", to]
    done = subprocess.run(
        command,
        input="Bonjour, l'été arrive.\n".encode(),
        capture_output=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "TERM": "dumb"},
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace") + done.stdout.decode(errors="replace")
    with demo.imap(writer["address"]) as client:
        (uid,) = until(lambda: _found(client, "de-neomutt"))
        copy = _body(client, uid)
    assert f"Bcc: {secret}\r\n".encode() in copy
    assert b"Received:" not in copy
    arrived = until(lambda: [one for one in demo.mails(secret) if one["Subject"] == "de-neomutt"])
    assert arrived[0]["Bcc"] is None


def test_what_mbsync_brings_up_and_down_is_one_in_the_end(demo: Demo, tmp_path: Path) -> None:
    """A client that sends by submission and files into its Maildir; mbsync finds ours and its own at once."""
    mbsync = programs.require("mbsync")
    writer, to = _people(demo)
    at = demo.told["operator"]["imaps"]
    near = tmp_path / "mail"
    near.mkdir()
    settings = tmp_path / "mbsyncrc"
    settings.write_text(
        MBSYNCRC.format(
            port=at["port"],
            user=writer["username"],
            password=writer["password"],
            ca=demo.told["ca"],
            directory=near,
            folders="Envoy&AOk-s",
        )
    )

    def sync() -> None:
        done = subprocess.run([str(mbsync), "-c", str(settings), "all"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    sync()
    (folder,) = [path.name for path in near.iterdir() if (path / "cur").is_dir()]
    before = len(_maildir(near, folder))
    mail = on_the_wire(letter(writer["address"], to, "par-mbsync", "Bonjour."))
    _send(demo, writer, [to], mail)
    (near / folder / "cur" / "1.local:2,S").write_bytes(mail.replace(b"\r\n", b"\n"))
    for _ in range(3):
        sync()
    here = [path for path in (near / folder).glob("*/*") if b"par-mbsync" in path.read_bytes()]
    assert len(here) == 1
    assert len(_maildir(near, folder)) == before + 1
    with demo.imap(writer["address"]) as client:
        assert len(_found(client, "par-mbsync")) == 1
