"""A private Dovecot that serves IMAP over TLS from a directory of its own: sdbox, every message synced."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from tests.bench.imapside import fine_cpu_s
from tests.bench.postfix import SYSTEM_USER
from tests.bench.proc import family
from tests.bench.processes import pss_mib
from tests.kit import programs
from tests.kit.demo import until

USER, PASSWORD = "louise", "abcd-efgh-ijkl"
START_S_MAX = 30.0
_CONF = """\
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/dovecot.log
protocols = imap
mail_location = sdbox:{home}/mail/%u
mail_fsync = always
mail_uid = {user}
mail_gid = {user}
first_valid_uid = 1
first_valid_gid = 1
mail_max_userip_connections = 1000
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
userdb {{
  driver = static
  args = uid={user} gid={user} home={home}/mail/%u
}}
passdb {{
  driver = passwd-file
  args = {home}/users
}}
service imap-login {{
  service_count = 0
  process_min_avail = 1
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {port}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 1000
}}
"""


def is_installed() -> bool:
    """Whether this machine can run it: the program, and root."""
    return os.geteuid() == 0 and programs.find("dovecot") is not None


class Dovecot:
    """Running. `stop` ends it and removes everything."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="mss-dc-"))
        self.home.chmod(0o755)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        for name in ("run", "state", "mail"):
            (self.home / name).mkdir(mode=0o755)
        shutil.chown(self.home / "mail", SYSTEM_USER, SYSTEM_USER)
        facts = {"home": self.home, "port": self.port, "user": SYSTEM_USER}
        verifier = b64encode(sha256(PASSWORD.encode()).digest()).decode()  # one SHA-256, as ours is one HMAC of it
        (self.home / "users").write_text(f"{USER}:{{SHA256}}{verifier}\n")
        (self.home / "dovecot.conf").write_text(_CONF.format_map(facts | {"certificate": certificate, "key": key}))
        program = programs.find("dovecot")
        assert program is not None
        with (self.home / "start.log").open("wb") as log:
            arguments = [str(program), "-F", "-c", str(self.home / "dovecot.conf")]
            self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(self._listens, START_S_MAX)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def cpu_s(self) -> float:
        """CPU so far of all its processes, also those that have ended."""
        return fine_cpu_s(self._process.pid)

    def pss_mib(self) -> float:
        """Memory of all its processes."""
        return sum(map(pss_mib, family(self._process.pid)))

    def forget(self) -> None:
        """Take away what it remembers of messages (`dovecot.index.cache`), as when a folder has never been listed."""
        for cache in (self.home / "mail").rglob("dovecot.index.cache"):
            cache.unlink()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        while self._process.poll() is None and time.monotonic() - began < 10:
            time.sleep(0.05)
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.home, ignore_errors=True)
