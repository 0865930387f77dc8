"""A real Postfix as another operator: its own configuration and queue in a directory of its own, on free ports.

It has one door for each behaviour that a test may want of it (`doors`), all with the same mailboxes behind them, and a
door on loopback by which its own users send. The system's Postfix is neither started nor touched.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.kit import programs

PATIENCE_S = 30.0
OWNER = "postfix"
OWN = "own"
"""The door of its own users."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Files of a certificate and its key."""

    certificate: Path
    key: Path


@dataclass
class Postfix:
    """Running. `domain` is its mail domain, every address of which has a mailbox."""

    domain: str
    home: Path
    ports: dict[str, int] = field(default_factory=dict)
    master: int = 0

    @property
    def log(self) -> str:
        path = self.home / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def mails(self) -> list[bytes]:
        """What its users got, line ends as in a mailbox; its first lines are Return-Path and Delivered-To."""
        return [path.read_bytes() for path in sorted((self.home / "mail").glob("**/new/*"))]

    def send(self, sender: str, to: list[str], raw: bytes, **options: list[str]) -> None:
        """One of its users sends. `mail` and `rcpt`: more parameters of these commands."""
        with smtplib.SMTP("127.0.0.1", self.ports[OWN], timeout=PATIENCE_S) as client:
            client.sendmail(sender, to, raw, options.get("mail", []), options.get("rcpt", []))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _main_cf(home: Path, domain: str, own: Pair, authorities: Path, to_port: int) -> str:
    who = pwd.getpwnam(OWNER)
    return f"""
compatibility_level = 3.6
queue_directory = {home}/spool
data_directory = {home}/data
mail_owner = {OWNER}
setgid_group = postdrop
maillog_file = {home}/log
maillog_file_prefixes = {home}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relais.{domain}
myorigin = {domain}
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
smtputf8_enable = no
message_size_limit = 40000000
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = static:box/
virtual_mailbox_base = {home}/mail
virtual_mailbox_limit = 0
virtual_uid_maps = static:{who.pw_uid}
virtual_gid_maps = static:{who.pw_gid}
smtp_dns_support_level = disabled
minimal_backoff_time = 2s
maximal_backoff_time = 4s
queue_run_delay = 2s
relayhost = [127.0.0.1]:{to_port}
sender_dependent_default_transport_maps = texthash:{home}/etc/by-sender
smtpd_tls_security_level = encrypt
smtpd_tls_req_ccert = yes
smtpd_tls_received_header = yes
smtpd_tls_CAfile = {authorities}
smtpd_tls_cert_file = {own.certificate}
smtpd_tls_key_file = {own.key}
smtp_tls_security_level = encrypt
smtp_tls_CAfile = {authorities}
smtp_tls_cert_file = {own.certificate}
smtp_tls_key_file = {own.key}
smtp_tls_loglevel = 1
"""


_SERVICES = """
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
smtp unix - - n - - smtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def _service(name: str, options: Mapping[str, str], *, command: str) -> str:
    more = "".join(f"\n  -o {{{key} = {value}}}" for key, value in options.items())
    return f"{name} {'inet n' if command == 'smtpd' else 'unix -'} - n - - {command}{more}\n"


def shows(pair: Pair, side: str = "smtpd") -> dict[str, str]:
    """Options of a door (or, `smtp`, of a way out) that shows another certificate."""
    return {f"{side}_tls_cert_file": str(pair.certificate), f"{side}_tls_key_file": str(pair.key)}


@contextmanager
def postfix(
    domain: str,
    own: Pair,
    authorities: Path,
    to_port: int,
    *,
    doors: Mapping[str, Mapping[str, str]],
    ways: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Iterator[Postfix]:
    """Running until the end. `doors`: name → options of main.cf in which it differs. `to_port`: where on this machine
    everything goes that is not its own. `ways`: local part of a sender → options with which his mail goes there."""
    program = programs.require("postfix")
    if os.geteuid() != 0:
        sentence = "postfix must be started by root"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{sentence}, and under CI no group may be left out", pytrace=False)
        pytest.skip(sentence)
    home = Path(tempfile.mkdtemp(prefix="mss-postfix-"))
    running = Postfix(domain, home, {name: free_port() for name in (OWN, *doors)})
    try:
        _lay_out(running, own, authorities, doors, to_port, ways)
        _start(program, running)
        yield running
    finally:
        _stop(running)
        shutil.rmtree(home, ignore_errors=True)


def _lay_out(
    running: Postfix,
    own: Pair,
    authorities: Path,
    doors: Mapping[str, Mapping[str, str]],
    to_port: int,
    ways: Mapping[str, Mapping[str, str]],
) -> None:
    home, etc = running.home, running.home / "etc"
    home.chmod(0o755)
    for folder in ("etc", "spool", "data", "mail"):
        (home / folder).mkdir()
    for folder in ("data", "mail"):
        shutil.chown(home / folder, OWNER)
    etc.joinpath("main.cf").write_text(_main_cf(home, running.domain, own, authorities, to_port))
    own_door = {"smtpd_tls_security_level": "none", "smtpd_tls_req_ccert": "no"}
    services = [_service(f"127.0.0.1:{running.ports[OWN]}", own_door, command="smtpd")]
    services += [
        _service(f"127.0.0.1:{running.ports[name]}", options, command="smtpd") for name, options in doors.items()
    ]
    services += [_service(f"out-{name}", options, command="smtp") for name, options in ways.items()]
    etc.joinpath("master.cf").write_text(_SERVICES + "".join(services))
    lines = [f"{local}@{running.domain} out-{local}:[127.0.0.1]:{to_port}\n" for local in ways]
    etc.joinpath("by-sender").write_text("".join(lines))


def _start(program: Path, running: Postfix) -> None:
    with (running.home / "start").open("wb") as said:
        subprocess.Popen(
            [str(program), "-c", str(running.home / "etc"), "start-fg"],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    file, deadline = running.home / "spool" / "pid" / "master.pid", time.monotonic() + PATIENCE_S
    while not (file.exists() and file.read_text().strip() and _answers(running.ports[OWN])):
        assert time.monotonic() < deadline, (running.home / "start").read_text() + running.log[-2000:]
        time.sleep(0.05)
    running.master = int(file.read_text())


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _stop(running: Postfix) -> None:
    """Its master, and with it all that it started."""
    if not running.master:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(running.master, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and Path(f"/proc/{running.master}").exists():
            time.sleep(0.05)
