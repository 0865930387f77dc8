"""A whole `mss demo` for tests: two operators with all their processes, on free ports, in a directory of its own.

Everything goes through doors and commands, as a stranger would: the standard library's SMTP, IMAP and HTTP clients,
the `mss` command, and `connection.json`. Only processes that this demo started are ever signalled.
"""

from __future__ import annotations

import fcntl
import imaplib
import json
import os
import random
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import default
from email.utils import format_datetime
from pathlib import Path
from typing import IO, Any, TypeVar

import pytest

from mss import config
from tests.kit import programs
from tests.kit.authenticator import Authenticator
from tests.kit.webvisitor import WebVisitor

T = TypeVar("T")

START_S_MAX = 60.0  # the promise is 30 on two idle cores; other tests may run beside
STOP_S_MAX = 10.0  # the promise
PATIENCE_S = 20.0
BASES = range(10_000, 20_000)  # all ports stay below those that the system lends to clients
SERVICES = (25, 80, 143, 389, 443, 465, 587, 636, 993, 9090)
SECOND_OPERATOR = 2000
PEER = 4025

DOMINIQUE = "dominique.pat-trois"
KARIM = "karim.demonstration"


class Demo:
    """One demo, stopped or running. Facts come from its connection.json."""

    def __init__(self, directory: Path | None = None, environment: dict[str, str] | None = None) -> None:
        """`environment`: more variables, for tests that plant a fault."""
        self.home = Path(tempfile.mkdtemp(prefix="mss-t-"))  # short: names of sockets hang from it
        self.directory = directory or self.home / "d"
        self.log = self.home / "log"
        """What it said on its terminal."""
        self.journals = [self.directory / name / "journal" for name in ("a", "b")]
        """What the processes of each operator wrote."""
        self.base, self._reserved = reserve_ports()
        self.told: dict[str, Any] = {}
        self.authenticator = Authenticator()
        self._run_directories: dict[str, Path] = {}
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None

    # ── begin and end ──

    def start(self, *, keeps_connection: bool = False) -> Demo:
        """Start, or start again in the same directory; returns when connection.json is there, and new unless one is
        kept. Raises AssertionError with the demo's words when it ends instead."""
        command = [sys.executable, "-m", "mss", "demo", "--dir", str(self.directory), "--port-base", str(self.base)]
        if setpriv := programs.find("setpriv"):  # killed tests leave nothing behind
            command = [str(setpriv), "--pdeathsig=TERM", "--", *command]
        told = self.directory / "connection.json"
        if not keeps_connection:
            told.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--quiet"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self._environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S_MAX
        while keeps_connection or not told.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                words = [path.read_text()[-3000:] for path in (self.log, *self.journals) if path.exists()]
                raise AssertionError("the demo did not start:\n" + "\n".join(words))
            time.sleep(0.02)
        self.refresh()
        return self

    def refresh(self) -> None:
        """Read connection.json again: processes that died were started again."""
        self.told = json.loads((self.directory / "connection.json").read_text())
        for name in ("operator", "other_operator"):
            settings = config.load(Path(self.told[name]["config"]))
            self._run_directories[name] = config.run_directory(settings)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def pids(self, operator: str = "operator") -> dict[str, int]:
        """Who runs now, by name, as the operator's supervisor last wrote down; only processes of this demo."""
        try:
            listed: dict[str, int] = json.loads((self._run_directories[operator] / "pids.json").read_text())
        except (OSError, ValueError):
            return {}
        return {name: pid for name, pid in listed.items() if self._is_ours(pid)}

    def _is_ours(self, pid: int) -> bool:
        try:
            return str(self.directory).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    def stop(self) -> float:
        """Ctrl-C; returns how many seconds it took. What does not end is ended, and that is a failure."""
        if self._process is None or self._process.poll() is not None:
            return 0.0
        began = time.monotonic()
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_S_MAX + 2)
        except subprocess.TimeoutExpired:
            self.kill_everything()
            raise AssertionError("the demo did not stop") from None
        return time.monotonic() - began

    def kill_everything(self) -> None:
        """kill -9 of every process of this demo, whoever started it."""
        for _ in range(200):
            ours = self.our_pids()
            for pid in ours:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if self._process is not None:
                self._process.poll()
            if not ours:
                return
            time.sleep(0.02)
        raise AssertionError("processes that do not die")

    def our_pids(self) -> list[int]:
        """Every process that works in this demo's directory."""
        return [pid for pid in all_pids() if self._is_ours(pid) and pid != os.getpid()]

    def remove(self) -> None:
        """Stop, and leave nothing on disk."""
        try:
            self.stop()
        finally:
            for path in (*self._run_directories.values(), self.home):
                shutil.rmtree(path, ignore_errors=True)
            self._reserved.close()

    # ── who and where ──

    def patient(self, login: str = DOMINIQUE) -> dict[str, Any]:
        return next(one for one in self.told["patients"] if one.get("login") == login)

    def operator_of(self, address: str) -> dict[str, Any]:
        domain = address.rpartition("@")[2]
        both = (self.told["operator"], self.told["other_operator"])
        return next(one for one in both if domain in one["domains"])

    def state(self, operator: str = "operator") -> Path:
        return Path(self.told[operator]["state"])

    def _person(self, kind: str, address: str) -> dict[str, Any]:
        return next(one for one in self.told[kind] if one["address"] == address)

    # ── what people do ──

    def tls(self, pair: dict[str, Any] | None = None) -> ssl.SSLContext:
        """A client's context that trusts the demo's authority, with a certificate when `pair` names one."""
        context = ssl.create_default_context(cafile=self.told["ca"])
        if pair is not None:
            context.load_cert_chain(pair["certificate"], pair["key"])
        return context

    def imap(self, address: str) -> imaplib.IMAP4_SSL:
        """A mail client of a professional, or an application's, signed in."""
        at = self.operator_of(address)["imaps"]
        if any(one["address"] == address for one in self.told["applications"]):
            context = self.tls(self._person("applications", address))
            client = imaplib.IMAP4_SSL(at["host"], at["port"], ssl_context=context, timeout=PATIENCE_S)
            client.authenticate("EXTERNAL", lambda _: b"")
            return client
        person = self._person("professionals", address)
        client = imaplib.IMAP4_SSL(at["host"], at["port"], ssl_context=self.tls(), timeout=PATIENCE_S)
        client.login(person["username"], person["password"])
        return client

    def mails(self, address: str, folder: str = "INBOX") -> list[EmailMessage]:
        """Every message of a folder, parsed."""
        client = self.imap(address)
        try:
            client.select(f'"{folder}"', readonly=True)
            _, found = client.uid("SEARCH", "ALL")
            raws = []
            for uid in found[0].split():
                _, data = client.uid("FETCH", uid.decode(), "(BODY.PEEK[])")
                raws.append(next(part[1] for part in data if isinstance(part, tuple)))
        finally:
            client.logout()
        return [as_message(raw) for raw in raws]

    def submit(self, address: str, to: list[str], raw: bytes) -> None:
        """An application mailbox sends, over TLS with its certificate."""
        at = self.operator_of(address)["submissions"]
        context = self.tls(self._person("applications", address))
        with smtplib.SMTP_SSL(at["host"], at["port"], context=context, timeout=PATIENCE_S) as client:
            client.ehlo("logiciel.example")
            code, words = client.docmd("AUTH", "EXTERNAL =")
            assert code == 235, words
            client.sendmail(address, to, raw)

    def relay(self, sender: str, to: list[str], raw: bytes) -> None:
        """The third operator delivers to A, over mutual TLS. Raises what smtplib raises when A refuses."""
        at = self.told["operator"]["smtp"]
        with smtplib.SMTP(at["host"], at["port"], timeout=PATIENCE_S) as client:
            client.starttls(context=self.tls(self.told["peer"]))
            client.sendmail(sender, to, raw)

    def visitor(self) -> WebVisitor:
        """A browser without a screen, not signed in."""
        return WebVisitor(self.told["operator"]["web"]["url"])

    def signed_in(self, login: str = DOMINIQUE) -> WebVisitor:
        """A patient at her pages."""
        patient, visitor = self.patient(login), self.visitor()
        visitor.sign_in(login, patient["password"], lambda: self.authenticator.code(patient["totp_secret"]))
        return visitor

    def at_desk(self) -> WebVisitor:
        """Somebody who decides about what is held."""
        staff, visitor = self.told["staff"][0], self.visitor()
        code = self.authenticator.code
        visitor.sign_in(staff["login"], staff["password"], lambda: code(staff["totp_secret"]))
        return visitor

    def mss(self, *words: str, operator: str = "operator") -> subprocess.CompletedProcess[str]:
        """A command of the operator's staff."""
        command = [sys.executable, "-m", "mss", *words, "--config", self.told[operator]["config"]]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)


def as_message(raw: bytes) -> EmailMessage:
    from email.parser import BytesParser

    return BytesParser(policy=default).parsebytes(raw)


def letter(sender: str, to: str, subject: str, text: str, **fields: str) -> EmailMessage:
    """A plain mail of the third operator or another sender. Field names with underscores for hyphens."""
    from datetime import UTC, datetime

    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, to, subject
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{random.getrandbits(96):024x}@{sender.rpartition('@')[2].rstrip('>')}>"
    for name, value in fields.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail


def on_the_wire(mail: EmailMessage) -> bytes:
    return mail.as_bytes(policy=mail.policy.clone(linesep="\r\n"))


def until(question: Callable[[], T | None], seconds: float = PATIENCE_S, pause_s: float = 0.1) -> T:
    """The first answer that is something; a failure when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"nothing happened within {seconds:.0f} s"
        time.sleep(pause_s)


def all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _bases() -> list[int]:
    """Bases of which no two share a port, whatever they are added to."""
    offsets = {*SERVICES, *(SECOND_OPERATOR + service for service in SERVICES), PEER}
    apart = {one - other for one in offsets for other in offsets} - {0}
    found: list[int] = []
    for base in BASES:
        if all(base - other not in apart for other in found):
            found.append(base)
    return found


def reserve_ports() -> tuple[int, IO[bytes]]:
    """A base that no other test holds and whose ports are free; it is ours until the file is closed.

    Ports alone would not do: those of processes that are being killed are free for a moment.
    """
    bases = _bases()
    offsets = [*SERVICES, *(SECOND_OPERATOR + service for service in SERVICES), PEER]
    for base in random.Random().sample(bases, len(bases)):
        lock = (Path(tempfile.gettempdir()) / f"mss-tests-{os.getuid()}-ports-{base}").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        if all(_is_free(base + offset) for offset in offsets):
            return base, lock
        lock.close()
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    """The worker's demo, shared: tests that use it carry `@pytest.mark.xdist_group("demo")` and leave it running."""
    running = Demo()
    try:
        yield running.start()
    finally:
        running.remove()
