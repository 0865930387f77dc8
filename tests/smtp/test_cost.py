"""What does a message cost the relay's door, apart from the house behind it? Printed, and bounded generously.

The client is a process of its own, so that only the door's time is counted; the connection is encrypted and kept.
"""

from __future__ import annotations

import asyncio
import io
import logging
import socket
import ssl
import time
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
import structlog

from mss.smtp import journal
from tests.kit.pki import Pki
from tests.kit.smtp_wire import DOCTOR, LAB_SENDER, MESSAGE, smtp_house

MESSAGES = 400
WARMING = 40
COST_US_MAX = 4000
"""Ten times what a calm machine measures: this finds a loop over lines or a quadratic buffer, not a busy neighbour."""


def send_many(port: int, certificate: Path, key: Path, octets: int, barrier: Barrier) -> None:
    """A peer that sends one message after another."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    plain = socket.create_connection(("127.0.0.1", port))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.recv(1000)
    for command in (b"EHLO smtp.labo.mssante.example\r\n", b"STARTTLS\r\n"):
        plain.sendall(command)
        plain.recv(1000)
    encrypted = context.wrap_socket(plain)
    message = MESSAGE
    message += (b"QmFzZTY0" * 9 + b"QmFz\r\n") * ((octets - len(message)) // 78) + b".\r\n"
    commands = (
        b"MAIL FROM:<%s>\r\n" % LAB_SENDER.encode(),
        b"RCPT TO:<%s>\r\n" % DOCTOR.encode(),
        b"DATA\r\n",
        message,
    )
    encrypted.sendall(b"EHLO smtp.labo.mssante.example\r\n")
    encrypted.recv(1000)
    for number in range(WARMING + MESSAGES):
        if number == WARMING:
            barrier.wait()
        for command in commands:
            encrypted.sendall(command)
            assert encrypted.recv(1000)[:1] in b"23"
    encrypted.close()


async def test_a_door_asks_tls_for_no_more_than_there_is(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece that TLS sends is read once: asking on until there is no more costs an error each time."""
    asked = in_vain = 0
    read = ssl.SSLObject.read

    def counted(tls: ssl.SSLObject, *arguments: Any) -> object:
        nonlocal asked, in_vain
        asked += 1
        try:
            return read(tls, *arguments)
        except ssl.SSLWantReadError:
            in_vain += 1
            raise

    async with smtp_house(pki) as house:
        client = await house.peer()
        monkeypatch.setattr(ssl.SSLObject, "read", counted)
        for _ in range(5):
            assert (await client.send()).code == 250
        door = sum(1 for _ in house.relay._open)
        monkeypatch.undo()
        await client.close()
    assert door == 1
    assert asked > 0
    assert in_vain <= asked / 2  # asyncio's own end, that of this client, asks in vain each time


@pytest.mark.slow
@pytest.mark.parametrize("octets", [2_000, 50_000])
async def test_what_a_message_costs_the_door(
    pki: Pki, tmp_path: Path, octets: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Microseconds of CPU, mutual TLS, one command at a time."""
    quiet = structlog.wrap_logger(
        structlog.WriteLogger(io.StringIO()),
        processors=[structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    monkeypatch.setattr(journal, "log", quiet)
    certificate, key = pki.lab.write(tmp_path, "lab")
    processes = get_context("spawn")
    barrier = processes.Barrier(2)
    async with smtp_house(pki) as house:
        arguments = (house.ports["relay"], certificate, key, octets, barrier)
        client = processes.Process(target=send_many, args=arguments)
        client.start()
        await asyncio.to_thread(barrier.wait, 60)
        begun = time.process_time()
        await asyncio.to_thread(client.join, 60)
        spent_s = time.process_time() - begun
        done = len(house.reception.kept) - WARMING
    assert client.exitcode == 0
    assert done == MESSAGES
    cost_us = spent_s / done * 1e6
    with capsys.disabled():
        print(f"\n  relay door, {octets} octets, kept mutual TLS: {cost_us:.0f} µs CPU a message")
    assert cost_us < COST_US_MAX
