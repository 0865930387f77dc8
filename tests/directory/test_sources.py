"""Lists from an address: asked hourly, only when there is something new, from the right server, within limits."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mss.crypto.authority import Authority
from mss.crypto.tls import fetch_context
from mss.directory import sources
from mss.directory.sources import AddressSource, Fetched
from mss.model.clock import ManualClock
from tests.kit.pki import Pki

BYTES_MAX = 100_000


@dataclass
class Shelf:
    """A real HTTPS server with one page."""

    page: bytes = b"une liste"
    mark: str = '"1"'
    status: int = 200
    asked: list[str | None] = field(default_factory=list)
    port: int = 0
    raw: bytes | None = None
    """In place of an HTTP answer."""
    drips: bool = False

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(handler.headers["If-None-Match"])
        if self.raw is not None:
            handler.wfile.write(self.raw)
            handler.close_connection = True
            while self.drips:  # until the other side hangs up
                handler.wfile.write(b"X")
                threading.Event().wait(0.02)
        elif self.status != 200:
            handler.send_response(self.status)
            handler.send_header("Location", "/ailleurs.xml")
            handler.end_headers()
        elif handler.headers["If-None-Match"] == self.mark:
            handler.send_response(304)
            handler.end_headers()
        else:
            handler.send_response(200)
            handler.send_header("ETag", self.mark)
            handler.send_header("Content-Length", str(len(self.page)))
            handler.end_headers()
            handler.wfile.write(self.page)


@pytest.fixture
def shelf(pki: Pki, tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shelf.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    certificate, key = pki.hospital.write(tmp_path, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    shelf.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield shelf
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def source(shelf: Shelf, pki: Pki, clock: ManualClock) -> AddressSource:
    return AddressSource(f"https://localhost:{shelf.port}/liste.xml", fetch_context(pki.authority.bundle_pem), clock)


def test_a_list_is_asked_for_once_an_hour_and_sent_when_it_is_new(
    source: AddressSource, shelf: Shelf, clock: ManualClock
) -> None:
    """The mark of the last one goes along; what has not changed is not sent again."""
    first = source.fetch(None, BYTES_MAX)
    assert first == Fetched(b"une liste", '"1"')
    assert source.fetch(first.mark, BYTES_MAX) is None
    assert len(shelf.asked) == 1, "asked before the hour was over"
    clock.forward(sources.ASK_EVERY_S)
    assert source.fetch(first.mark, BYTES_MAX) is None
    shelf.page, shelf.mark = b"une autre", '"2"'
    clock.forward(sources.ASK_EVERY_S)
    assert source.fetch(first.mark, BYTES_MAX) == Fetched(b"une autre", '"2"')
    assert shelf.asked == [None, '"1"', '"1"']
    source.hurry()
    assert source.fetch(None, BYTES_MAX) is not None


@pytest.mark.parametrize("status", [301, 404, 500])
def test_a_server_in_trouble_is_asked_again_soon(
    source: AddressSource, shelf: Shelf, clock: ManualClock, status: int
) -> None:
    """Not at once, not after an hour only; and nobody is followed to another place."""
    shelf.status = status
    with pytest.raises(OSError, match=f"answered {status}"):
        source.fetch(None, BYTES_MAX)
    assert source.fetch(None, BYTES_MAX) is None
    shelf.status = 200
    clock.forward(sources.ASK_AGAIN_S)
    assert source.fetch(None, BYTES_MAX) is not None
    assert len(shelf.asked) == 2


HALVES: dict[str, tuple[bytes, str]] = {
    "a page": (b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 20\r\n\r\nune liste', "in the middle"),
    "a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nune liste", "IncompleteRead"),
    "without an end": (b"HTTP/1.0 200 OK\r\n\r\nune liste", "where the page ends"),
    "no HTTP": (b"220 smtp.chu.mssante.example\r\n", "BadStatusLine"),
    "nothing": (b"", "RemoteDisconnected|closed connection"),
}


@pytest.mark.parametrize("half", HALVES)
def test_half_a_page_is_none_and_the_whole_is_asked_for_again(
    source: AddressSource, shelf: Shelf, clock: ManualClock, half: str
) -> None:
    """A line that broke must not leave us with the mark of a list that we never read to its end."""
    shelf.raw, told = HALVES[half]
    with pytest.raises(OSError, match=told):
        source.fetch(None, BYTES_MAX)
    shelf.raw = None
    clock.forward(sources.ASK_AGAIN_S)
    assert source.fetch(None, BYTES_MAX) == Fetched(b"une liste", '"1"')


def test_a_server_that_drips_is_given_up(shelf: Shelf, pki: Pki, clock: ManualClock) -> None:
    """An octet of a header now and then keeps no thread of ours, nor the alarm that it would ring."""
    shelf.raw, shelf.drips = b"HTTP/1.1 200 OK\r\nX: ", True
    context = fetch_context(pki.authority.bundle_pem)
    source = AddressSource(f"https://localhost:{shelf.port}/", context, clock, transfer_s_max=0.3)
    with pytest.raises(OSError, match=r"."):
        source.fetch(None, BYTES_MAX)


def test_a_page_that_is_too_large_is_cut(source: AddressSource, shelf: Shelf) -> None:
    """One octet more than allowed tells the feed; the rest is not read."""
    shelf.page = b"x" * 3 * BYTES_MAX
    fetched = source.fetch(None, BYTES_MAX)
    assert fetched is not None
    assert len(fetched.octets) == BYTES_MAX + 1


def test_a_server_of_another_authority_or_name_is_not_believed(shelf: Shelf, pki: Pki, clock: ManualClock) -> None:
    """Whoever sits between must not be able to hold an old list back unseen."""
    other = Authority.create("EXEMPLE", now=pki.now)
    stranger = AddressSource(f"https://localhost:{shelf.port}/", fetch_context(other.bundle_pem), clock)
    misnamed = AddressSource(f"https://127.0.0.2:{shelf.port}/", fetch_context(pki.authority.bundle_pem), clock)
    for one in (stranger, misnamed):
        with pytest.raises(OSError, match=r"."):
            one.fetch(None, BYTES_MAX)
    assert shelf.asked == []


def test_nobody_there_is_a_problem_and_no_fault(pki: Pki, clock: ManualClock) -> None:
    """What is not HTTP, or not there at all, ends as the error that feeds expect."""
    source = AddressSource("https://localhost:1/", fetch_context(pki.authority.bundle_pem), clock)
    with pytest.raises(OSError, match=r"."):
        source.fetch(None, BYTES_MAX)
