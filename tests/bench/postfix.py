"""A private Postfix with Dovecot: two daemons in a directory of their own, delivering to Dovecot's sdbox with fsync.

Needs root, since Postfix's master and Dovecot drop their rights themselves. The machine's own mail service, its
configuration and its queue are never touched; only the two processes started here are ended.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.bench.processes import cpu_below
from tests.kit import programs
from tests.kit.demo import until

START_S_MAX = 30.0
SYSTEM_USER = "mail"
"""Whose files the mailboxes are; Debian has this user everywhere."""
_MAIN = """\
compatibility_level = 3.6
queue_directory = {home}/spool
data_directory = {home}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file = {home}/mail.log
maillog_file_prefixes = {home}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = localhost
mydestination =
alias_maps =
virtual_mailbox_domains = {domains}
virtual_mailbox_maps = static:ok
virtual_transport = lmtp:unix:{home}/run/lmtp
message_size_limit = 26214400
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_CAfile = {authorities}
smtpd_tls_security_level = encrypt
smtpd_tls_req_ccert = yes
smtpd_tls_session_cache_database =
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
smtp_dns_support_level = disabled
"""
_SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
smtp unix - - n - - smtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
_DOVECOT = """\
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/dovecot.log
protocols = lmtp
mail_location = sdbox:{home}/mail/%u
mail_fsync = always
mail_uid = {user}
mail_gid = {user}
first_valid_uid = 1
first_valid_gid = 1
ssl = no
userdb {{
  driver = static
  args = uid={user} gid={user} home={home}/mail/%u
}}
passdb {{
  driver = static
  args = nopassword=y
}}
service lmtp {{
  process_min_avail = 4
  unix_listener lmtp {{
    mode = 0666
  }}
}}
"""


def is_installed() -> bool:
    """Whether this machine can run them: both programs, and root."""
    return os.geteuid() == 0 and all(programs.find(name) for name in ("postfix", "dovecot"))


class PostfixDovecot:
    """Both, running. `stop` ends them and removes everything."""

    def __init__(self, domains: list[str], certificate: Path, key: Path, authorities: Path) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="mss-pf-"))
        self.home.chmod(0o755)
        self.port = _free_port()
        self._processes: list[subprocess.Popen[bytes]] = []
        facts = {
            "home": self.home,
            "port": self.port,
            "domains": " ".join(domains),
            "certificate": certificate,
            "key": key,
            "authorities": authorities,
            "user": SYSTEM_USER,
        }
        for name in ("etc", "spool", "data", "run", "state", "mail"):
            (self.home / name).mkdir(mode=0o755)
        for name, text in (("main.cf", _MAIN), ("master.cf", _SERVICES), ("dovecot.conf", _DOVECOT)):
            (self.home / "etc" / name).write_text(text.format_map(facts))
        shutil.chown(self.home / "data", "postfix")
        shutil.chown(self.home / "mail", SYSTEM_USER, SYSTEM_USER)

    def start(self) -> PostfixDovecot:
        """Returns when Postfix greets. Raises AssertionError when it does not."""
        etc = self.home / "etc"
        self._run("dovecot", "-F", "-c", etc / "dovecot.conf")
        until((self.home / "run" / "lmtp").exists, START_S_MAX)
        self._run("postfix", "-c", etc, "start-fg")
        until(self._greets, START_S_MAX)
        return self

    def _run(self, program: str, *arguments: str | Path) -> None:
        found = programs.find(program)
        assert found is not None, program
        log = (self.home / f"{program}.start").open("wb")
        with log:
            self._processes.append(
                subprocess.Popen([found, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            )

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as wire:
                return wire.recv(3) == b"220"
        except OSError:
            return False

    def cpu_s(self) -> float:
        """CPU so far of both, with all their processes, also those that have ended."""
        return sum(cpu_below(process.pid) for process in self._processes)

    def delivered(self) -> int:
        """Messages in all mailboxes."""
        return sum(1 for _ in (self.home / "mail").glob("*/mailboxes/INBOX/dbox-Mails/u.*"))

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        for process in self._processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
