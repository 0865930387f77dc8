"""What a client and a door notice of the socket between them. Real sockets on loopback, real TLS."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mss.crypto import listening
from mss.crypto.channel import BULK_OCTETS, RECORD_OCTETS, WRITE_BUFFER_OCTETS, Channel
from mss.crypto.listening import Listener
from mss.crypto.tls import service_server_context
from tests.kit.pki import Pki

DEADLINE_S = 20
MUCH = os.urandom(1024) * 3000
"""Some hundred and ninety records; no round number of them."""


class Door(asyncio.Protocol):
    """Remembers what it is told, and answers as its test says."""

    def __init__(self, waits: bool = False) -> None:
        self.waits = waits
        self.heard = bytearray()
        self.pieces: list[int] = []
        self.told: list[str] = []
        self.news = asyncio.Event()
        self.lost: Exception | None = None
        self.stays_half_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, Channel)
        self.channel = transport
        if self.waits:
            transport.pause_reading()
        self._tell("made")

    def data_received(self, data: bytes) -> None:
        self.heard += data
        self.pieces.append(len(data))
        self.news.set()

    def eof_received(self) -> bool:
        self._tell("end")
        return self.stays_half_open

    def pause_writing(self) -> None:
        self._tell("full")

    def resume_writing(self) -> None:
        self._tell("room")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = exc
        self._tell("lost")

    def _tell(self, what: str) -> None:
        self.told.append(what)
        self.news.set()

    async def until_told(self, what: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while what not in self.told:
                self.news.clear()
                await self.news.wait()

    async def until_heard(self, octets: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while len(self.heard) < octets:
                self.news.clear()
                await self.news.wait()


class Place:
    """A listener whose visitors' protocols are kept."""

    def __init__(self, closing_s: float = 5.0) -> None:
        self.doors: list[Door] = []
        self.waits = False
        self.listener = Listener("127.0.0.1", 0, self._door, backlog=50, closing_s=closing_s)

    def _door(self) -> Door:
        self.doors.append(Door(self.waits))
        return self.doors[-1]

    async def visit(self, *, waits: bool = False) -> tuple[Door, socket.socket]:
        """A client's blocking socket and the door it came to, which `waits` to read until TLS comes."""
        before, self.waits = len(self.doors), waits
        client = socket.create_connection(("127.0.0.1", self.listener.port))
        client.settimeout(DEADLINE_S)
        async with asyncio.timeout(DEADLINE_S):
            while len(self.doors) == before:
                await asyncio.sleep(0.001)
        return self.doors[-1], client

    async def visit_encrypted(self, pki: Pki) -> tuple[Door, ssl.SSLSocket]:
        door, client = await self.visit(waits=True)
        tls, _ = await asyncio.gather(
            asyncio.to_thread(anybody().wrap_socket, client), door.channel.start_tls(server(pki), DEADLINE_S)
        )
        return door, tls


@contextmanager
def place(closing_s: float = 5.0) -> Iterator[Place]:
    made = Place(closing_s)
    try:
        yield made
    finally:
        made.listener.close()
        for door in made.doors:
            door.channel.abort()


def server(pki: Pki) -> ssl.SSLContext:
    return service_server_context(pki.hospital.certificate_pem, pki.hospital.key_pem)


def anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def read_all(client: socket.socket) -> bytes:
    """To the end; a reset is an error."""
    pieces = []
    while piece := client.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def in_thread(what: Callable[..., object], *given: object) -> Awaitable[object]:
    """Begins at once."""
    return asyncio.ensure_future(asyncio.wait_for(asyncio.to_thread(what, *given), DEADLINE_S))


async def test_every_octet_comes_through_both_ways_in_clear_and_encrypted(pki: Pki) -> None:
    """In pieces that are no larger than the protocol can bear."""
    with place() as here:
        clear, client = await here.visit()
        encrypted, tls = await here.visit_encrypted(pki)
        for door, sender in ((clear, client), (encrypted, tls)):
            sending = in_thread(sender.sendall, MUCH)
            door.channel.write(MUCH)
            assert await in_thread(_exactly, sender, len(MUCH)) == MUCH
            await sending
            await door.until_heard(len(MUCH))
            assert door.heard == MUCH
            assert max(door.pieces) < BULK_OCTETS + RECORD_OCTETS
            sender.close()
            await door.until_told("lost")
            assert door.told[-2:] == ["end", "lost"]
            assert door.lost is None


def _exactly(client: socket.socket, size: int) -> bytes:
    got = bytearray()
    while len(got) < size:
        got += client.recv(size - len(got))
    return bytes(got)


async def test_who_does_not_read_is_waited_for_and_loses_nothing(pki: Pki) -> None:
    """The protocol hears that it is enough, and when there is room again."""
    with place() as here:
        door, tls = await here.visit_encrypted(pki)
        while "full" not in door.told:
            door.channel.write(MUCH)
        written = door.channel.get_write_buffer_size()
        assert written > WRITE_BUFFER_OCTETS
        reading = in_thread(read_all, tls)
        await door.until_told("room")
        door.channel.close()
        got = await reading
        assert isinstance(got, bytes)
        assert len(got) % len(MUCH) == 0
        assert got == MUCH * (len(got) // len(MUCH))
        tls.close()


async def test_what_nobody_wants_to_hear_waits_with_the_client(pki: Pki) -> None:
    """Who pauses reading is handed nothing; afterwards everything."""
    with place() as here:
        door, tls = await here.visit_encrypted(pki)
        door.channel.pause_reading()
        sending = in_thread(tls.sendall, MUCH)
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert not door.heard
        door.channel.resume_reading()
        await sending
        await door.until_heard(len(MUCH))
        assert door.heard == MUCH
        tls.close()


@pytest.mark.parametrize("is_encrypted", [False, True], ids=["in-clear", "encrypted"])
async def test_last_words_are_read_also_by_who_still_talks(pki: Pki, is_encrypted: bool) -> None:
    """A socket that is closed with something unread would reset the connection before they are."""
    with place() as here:
        door, client = await (here.visit_encrypted(pki) if is_encrypted else here.visit())
        door.channel.pause_reading()
        await in_thread(client.sendall, b"NOOP\r\n" * 100)
        door.channel.close_with(b"421 closing\r\n")
        assert await in_thread(read_all, client) == b"421 closing\r\n"
        assert "lost" not in door.told
        client.close()
        await door.until_told("lost")
        assert not door.heard


@pytest.mark.parametrize("is_encrypted", [False, True], ids=["in-clear", "encrypted"])
async def test_who_takes_no_goodbye_is_cut(pki: Pki, is_encrypted: bool) -> None:
    """Neither who does not hang up nor who does not read keeps its descriptor."""
    with place(closing_s=0.1) as here:
        door, client = await (here.visit_encrypted(pki) if is_encrypted else here.visit())
        door.channel.close_with(b"421 closing\r\n")
        await door.until_told("lost")
        silent, other = await (here.visit_encrypted(pki) if is_encrypted else here.visit())
        while "full" not in silent.told:
            silent.channel.write(MUCH)
        silent.channel.close()
        await silent.until_told("lost")
        client.close()
        other.close()


async def test_a_door_may_listen_on_when_the_client_says_no_more_in_clear() -> None:
    """`printf … | nc` closes its half and waits for the answer."""
    with place() as here:
        door, client = await here.visit()
        door.stays_half_open = True
        client.sendall(b"QUIT\r\n")
        client.shutdown(socket.SHUT_WR)
        await door.until_told("end")
        assert "lost" not in door.told
        door.channel.close_with(b"221 bye\r\n")
        assert await in_thread(read_all, client) == b"221 bye\r\n"
        await door.until_told("lost")
        client.close()


async def test_a_handshake_that_fails_says_why_to_both(pki: Pki) -> None:
    """The client reads TLS's alert, the door gets the error; who hangs up or says nothing at all is told apart."""
    with place() as here:
        door, client = await here.visit(waits=True)
        client.sendall(b"\x16\x03\x01\x00\x05hello, and more that nobody will read")
        shaking = asyncio.ensure_future(door.channel.start_tls(server(pki), DEADLINE_S))
        alert = await in_thread(client.recv, 100)
        assert isinstance(alert, bytes)
        assert alert[0] == 21  # RFC 8446 §5.1
        client.close()
        with pytest.raises(ssl.SSLError):
            await shaking
        door, client = await here.visit(waits=True)
        with pytest.raises(TimeoutError):
            await door.channel.start_tls(server(pki), 0.05)
        door, gone = await here.visit(waits=True)
        gone.close()
        with pytest.raises(OSError):
            await door.channel.start_tls(server(pki), DEADLINE_S)
        await door.until_told("lost")
        client.close()


async def test_what_was_said_in_clear_and_not_taken_ends_the_connection(pki: Pki) -> None:
    """Else it would go out among the octets of the handshake."""
    with place() as here:
        door, client = await here.visit()
        while not door.channel.get_write_buffer_size():
            door.channel.write(MUCH)
        with pytest.raises(ConnectionAbortedError):
            await door.channel.start_tls(server(pki), DEADLINE_S)
        client.close()


async def test_a_door_out_of_descriptors_opens_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes meanwhile waits in the kernel."""
    monkeypatch.setattr(listening, "FULL_S", 0.05)
    with place() as here:
        client = socket.socket()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))
        taken = []
        try:
            while True:  # every gap below
                taken.append(os.dup(0))
        except OSError:
            pass
        try:
            client.connect(("127.0.0.1", here.listener.port))
            for _ in range(5):
                await asyncio.sleep(0.03)
            assert not [door for door in here.doors if door.told]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in taken:
                os.close(descriptor)
        async with asyncio.timeout(DEADLINE_S):
            while not [door for door in here.doors if door.told]:
                await asyncio.sleep(0.01)
        client.close()


async def test_an_address_in_use_is_named() -> None:
    """In one line that an administrator understands."""
    with place() as here, pytest.raises(OSError, match=r"cannot listen on 127.0.0.1 port [0-9]+: Address"):
        Listener("127.0.0.1", here.listener.port, Door, backlog=1)


VISITORS = 200
OCTETS_EACH_MAX = 40_000
"""asyncio's own TLS takes some 268 kB; here it is about 20, sockets and OpenSSL included."""
CLIENTS = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
kept = [context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1])))) for _ in range(int(sys.argv[2]))]
sys.stdin.read()
"""
SERVER = """
import asyncio, gc, resource, subprocess, sys
from pathlib import Path
from mss.crypto.listening import Listener
from mss.crypto.tls import service_server_context

CLIENTS, VISITORS, certificate, key = sys.argv[1], int(sys.argv[2]), *map(Path, sys.argv[3:])

class Door(asyncio.Protocol):
    def connection_made(self, channel):
        channel.pause_reading()
        came.put_nowait(channel)

async def visited_by(count, port):
    command = [sys.executable, "-c", CLIENTS, str(port), str(count)]
    clients = subprocess.Popen(command, stdin=subprocess.PIPE)
    kept = []
    for _ in range(count):
        kept.append(await came.get())
        await kept[-1].start_tls(context, 20)
    return clients, kept

def held():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

async def main():
    global came, context
    came, context = asyncio.Queue(), service_server_context(certificate, key)
    listener = Listener("127.0.0.1", 0, Door, backlog=50)
    warm = await visited_by(20, listener.port)
    before = held()
    others = await visited_by(VISITORS, listener.port)
    print((held() - before) / VISITORS)
    for clients, _ in (warm, others):
        clients.communicate()

asyncio.run(main())
"""


def test_a_connection_that_waits_is_light(pki: Pki, tmp_path: Path) -> None:
    """Measured by what a process holds that does nothing else, OpenSSL's own memory included."""
    certificate, key = pki.hospital.write(tmp_path, "ours")
    command = [sys.executable, "-c", SERVER, CLIENTS, str(VISITORS), str(certificate), str(key)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert 1_000 < float(done.stdout) < OCTETS_EACH_MAX, done.stdout
