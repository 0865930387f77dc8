"""A private Dovecot: another operator's IMAP server, with one person's mailbox, on free ports of this machine.

Needs root, since Dovecot drops its rights itself. The machine's own is never touched; only the process started here
is ended.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mss.crypto.authority import Issued
from tests.kit import programs
from tests.kit.demo import until

START_S_MAX = 20.0
SYSTEM_USER = "mail"
"""Whose files the mailbox is; Debian has this user everywhere."""
PASSWORD = 'un "mot" de passe é{3}'
_SETTINGS = """\
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/dovecot.log
protocols = imap
listen = 127.0.0.1
mail_location = maildir:{home}/mail/%u
mail_uid = {user}
mail_gid = {user}
first_valid_uid = 1
first_valid_gid = 1
ssl = required
ssl_cert = <{home}/server.pem
ssl_key = <{home}/server.key
auth_username_chars =
passdb {{
  driver = static
  args = password={{PLAIN.b64}}{password}
}}
userdb {{
  driver = static
  args = uid={user} gid={user} home={home}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = .
  prefix = {prefix}
  mailbox Sent {{
    special_use = \\Sent
    auto = create
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
"""


class Dovecot:
    """Running."""

    def __init__(self, issued: Issued, prefix: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="mss-dc-"))
        self.home.chmod(0o755)
        self.plain_port, self.tls_port = _free_port(), _free_port()
        for name in ("run", "state", "mail"):
            (self.home / name).mkdir(mode=0o755)
        shutil.chown(self.home / "mail", SYSTEM_USER, SYSTEM_USER)
        (self.home / "server.pem").write_bytes(issued.certificate_pem)
        (self.home / "server.key").write_bytes(issued.key_pem)
        password = base64.b64encode(PASSWORD.encode()).decode()
        text = _SETTINGS.format(
            home=self.home,
            user=SYSTEM_USER,
            password=password,
            prefix=prefix,
            plain_port=self.plain_port,
            tls_port=self.tls_port,
        )
        (self.home / "dovecot.conf").write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it greets; also after `stop`."""
        found = programs.require("dovecot")
        with (self.home / "start").open("wb") as log:
            command = [str(found), "-F", "-c", str(self.home / "dovecot.conf")]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(self._greets, START_S_MAX)

    def maildir(self, user: str) -> Path:
        return self.home / "mail" / user

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.plain_port), 5) as wire:
                return wire.recv(4) == b"* OK"
        except OSError:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


@contextmanager
def dovecot(issued: Issued, prefix: str = "") -> Iterator[Dovecot]:
    """One that is removed in the end; the test is skipped where none can run."""
    programs.require("dovecot")
    if os.geteuid() != 0:
        pytest.skip("Dovecot is started as root only")
    made = Dovecot(issued, prefix)
    try:
        made.start()
        yield made
    finally:
        made.remove()


def client_tls(ca: bytes) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=ca.decode())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
