"""Whose mailbox is suspended, or whose password was taken back, is out within seconds, on lines that are open."""

from __future__ import annotations

import imaplib
import re
import smtplib
import time

import pytest

from mss.demo.people import VILLE
from tests.kit.demo import Demo

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]

SECONDS_MAX = 5.0
SECRET = r"(?:[a-z2-7]{4}-){5}[a-z2-7]{4}"
LEAVER = f"dr.partante@{VILLE}"


def reader(demo: Demo, password: str) -> imaplib.IMAP4_SSL:
    at = demo.told["operator"]["imaps"]
    client = imaplib.IMAP4_SSL(at["host"], at["port"], ssl_context=demo.tls(), timeout=30)
    client.login(LEAVER, password)
    client.select("INBOX")
    return client


def idle(client: imaplib.IMAP4_SSL) -> None:
    client.send(b"z1 IDLE\r\n")
    assert client.readline().startswith(b"+")


def writer(demo: Demo, password: str) -> smtplib.SMTP_SSL:
    at = demo.told["operator"]["submissions"]
    client = smtplib.SMTP_SSL(at["host"], at["port"], context=demo.tls(), timeout=30)
    client.login(LEAVER, password)
    return client


def ends_in_time(demo: Demo, password: str, *command: str) -> str:
    """A reader in IDLE, one between commands and a writer, open when the command runs: all are told and cut."""
    idling, waiting, sending = reader(demo, password), reader(demo, password), writer(demo, password)
    in_the_middle = writer(demo, password)
    in_the_middle.mail(LEAVER)
    in_the_middle.rcpt(LEAVER)
    assert in_the_middle.docmd("DATA")[0] == 354
    idle(idling)
    told = demo.mss(*command)
    assert told.returncode == 0, told.stderr
    began = time.monotonic()
    for client in (idling, waiting):
        client.sock.settimeout(SECONDS_MAX)
        assert client.readline().startswith(b"* BYE")
        assert client.readline() == b""
    for smtp in (sending, in_the_middle):
        assert smtp.sock is not None
        smtp.sock.settimeout(SECONDS_MAX)
        assert smtp.getreply()[0] == 421
    assert time.monotonic() - began < 4 * SECONDS_MAX
    return told.stdout.strip()


def test_suspended_or_with_another_password_nobody_goes_on(demo: Demo) -> None:
    """And with what is right now one comes in again; a colleague's line is not cut."""
    password = demo.mss("mailbox", "create", LEAVER, "--name", "Dr PARTANTE").stdout
    password = re.findall(SECRET, password)[0]
    try:
        bystander = reader(demo, password)
        bystander.logout()
        ends_in_time(demo, password, "mailbox", "suspend", LEAVER)
        with pytest.raises(imaplib.IMAP4.error):
            reader(demo, password)
        assert demo.mss("mailbox", "resume", LEAVER).returncode == 0
        fresh = re.findall(SECRET, ends_in_time(demo, password, "mailbox", "password", LEAVER))[0]
        with pytest.raises(smtplib.SMTPAuthenticationError):
            writer(demo, password)
        writer(demo, fresh).quit()
        stays = reader(demo, fresh)
        assert demo.mss("mailbox", "suspend", f"dr.house@{VILLE}").returncode != 0, "nobody of that name"
        assert stays.noop()[0] == "OK"
        stays.logout()
    finally:
        demo.mss("mailbox", "close", LEAVER)
