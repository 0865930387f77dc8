"""Slow, many, large: nobody takes the pages away from the others."""

from __future__ import annotations

import asyncio
import contextlib
import resource

import aiohttp
import pytest

from mss.web import connections, forms, server
from tests.kit.documents import make_png
from tests.kit.people import Person
from tests.web.site import Browser, File, Page, Site

pytestmark = pytest.mark.timeout(60)


async def opened(site: Site, person: Person) -> tuple[Browser, Page]:
    browser = await site.signed_in(person)
    return browser, await browser.get((await browser.get("/inbox")).links["Vos résultats"])


async def raw(site: Site) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", site.server.ports["http"])


async def is_cut(reader: asyncio.StreamReader, within_s: float) -> bool:
    """Whether the server ends the connection in that time, with or without words."""
    try:
        async with asyncio.timeout(within_s):
            await reader.read()
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same limits, quicker."""
    monkeypatch.setitem(connections._SETTINGS, "keepalive_timeout", 0.5)
    monkeypatch.setitem(connections._SETTINGS, "lingering_time", 0.5)
    monkeypatch.setattr(forms, "FORM_S", 0.5)
    monkeypatch.setattr(forms, "PIECE_S", 0.5)


@pytest.mark.parametrize(
    "beginning",
    [b"", b"GET /login HTTP/1.1\r\nHost: x\r\n", b"GET /login HTTP/1.1\r\nHost: x\r\n\r\nGET /login HTTP/1.1\r\nHos"],
    ids=["silent", "half a header", "half of a second header"],
)
async def test_whoever_does_not_finish_a_header_is_cut(impatient: None, site: Site, beginning: bytes) -> None:
    """Also one byte at a time: the time is for the whole header."""
    reader, writer = await raw(site)
    writer.write(beginning)

    async def drip() -> None:
        with contextlib.suppress(ConnectionError):
            while beginning:
                writer.write(b"X")
                await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    assert await is_cut(reader, 5)
    dripping.cancel()
    writer.close()


async def test_whoever_does_not_finish_a_form_is_told_and_cut(impatient: None, site: Site) -> None:
    """A body that drips keeps no handler."""
    reader, writer = await raw(site)
    head = "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    writer.write(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\nlogin=".encode())
    async with asyncio.timeout(5):
        assert b"408" in await reader.readline()
    assert await is_cut(reader, 15)
    writer.close()


async def test_one_address_has_so_many_connections_and_others_have_theirs(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one is refused at once; when some leave, there is room again."""
    monkeypatch.setattr(connections, "CONNECTIONS_OF_ONE_MAX", 20)
    held = [await raw(site) for _ in range(20)]
    reader, writer = await raw(site)
    assert await is_cut(reader, 2)
    other, other_writer = await asyncio.open_connection(
        "127.0.0.1", site.server.ports["http"], local_addr=("127.0.0.2", 0)
    )
    other_writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200" in await other.readline()
    for _, one in held:
        one.close()
    await asyncio.sleep(0.2)
    assert (await site.browser().get("/healthz")).status == 200
    writer.close()
    other_writer.close()


async def test_a_reader_who_does_not_read_is_cut(site: Site) -> None:
    """A large file lies in our memory only as long as somebody takes it."""
    claire = await site.house.enrol()
    await site.receive(claire, files=[File("gros.png", make_png().ljust(9_000_000, b"\0"), "image/png")])
    browser, page = await opened(site, claire)
    link = page.links["gros.png"]
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.ports["http"], limit=1024)
    writer.write(f"GET {link} HTTP/1.1\r\nHost: x\r\nCookie: mss={browser.cookies['mss']}\r\n\r\n".encode())
    await reader.readline()
    gate = site.server._connections
    assert gate is not None
    before = gate.count
    for _ in range(8):
        await asyncio.sleep(0.05)
        gate.cut_stuck_readers()
        site.clock.forward(connections.LOOK_S)
    await asyncio.sleep(0.1)
    assert gate.count == before - 1
    writer.close()


async def test_headers_are_bounded(site: Site) -> None:
    """Long lines, many lines."""
    for head in (
        b"GET /" + b"a" * 9000,
        b"GET / HTTP/1.1\r\nX: " + b"a" * 9000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200,
    ):
        reader, writer = await raw(site)
        writer.write(head + b"\r\n\r\n")
        assert b" 4" in (await reader.readline())[:14]
        writer.close()


async def test_an_upload_beyond_all_measure_is_not_read(site: Site) -> None:
    """Content-Length says it, and we believe it."""
    claire = await site.house.enrol()
    await site.receive(claire)
    browser, page = await opened(site, claire)
    reader, writer = await raw(site)
    writer.write(
        f"POST {page.path} HTTP/1.1\r\nHost: x\r\nCookie: mss={browser.cookies['mss']}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 999999999\r\n\r\n".encode()
    )
    assert b"413" in await reader.readline()
    writer.close()


async def test_uploads_that_are_too_large_are_forgotten_while_they_arrive(site: Site) -> None:
    """Fifty megabytes sent, five kept at most."""
    claire = await site.house.enrol()
    await site.receive(claire)
    browser, page = await opened(site, claire)
    piece, pieces = b"\0" * 500_000, 100
    fields = {"csrf": page.fields["csrf"], "once": page.fields["once"], "body": "Bonjour"}
    start = "".join(f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items())
    start += '--b\r\nContent-Disposition: form-data; name="attachment"; filename="film.png"\r\n\r\n'
    end = "\r\n--b--\r\n"
    length = len(start) + len(piece) * pieces + len(end)
    reader, writer = await raw(site)
    head = (
        f"POST {page.path} HTTP/1.1\r\nHost: x\r\nCookie: mss={browser.cookies['mss']}\r\nContent-Length: {length}\r\n"
    )
    writer.write(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n{start}".encode())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(pieces):
        writer.write(piece)
        await writer.drain()
    writer.write(end.encode())
    answer = await reader.readuntil(b"</html>")
    assert "dépasse 5 Mo" in answer.decode()
    assert "Bonjour</textarea>" in answer.decode()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 25_000
    writer.close()


async def test_one_patient_has_two_uploads_at_a_time(site: Site) -> None:
    """The third is asked to wait; another patient is not."""
    claire, paul = await site.house.enrol(), await site.house.enrol("Paul DURAND")
    await site.receive(claire)
    await site.receive(paul)
    browser, page = await opened(site, claire)
    other, other_page = await opened(site, paul)
    writers = []
    for _ in range(server.UPLOADS_OF_ONE):
        _, writer = await raw(site)
        head = f"POST {page.path} HTTP/1.1\r\nHost: x\r\nCookie: mss={browser.cookies['mss']}\r\n"
        writer.write(f"{head}Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000\r\n\r\n--b".encode())
        writers.append(writer)
    await asyncio.sleep(0.1)
    picture = [File("a.png", make_png())]
    assert (await browser.submit(page, page.path, body="x", files=picture)).status == 503
    assert (await other.submit(other_page, other_page.path, body="x", files=picture)).status == 200
    for writer in writers:
        writer.close()
    await asyncio.sleep(0.1)
    assert (await browser.submit(page, page.path, body="x", files=picture)).status == 200


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("text/plain", b"a=b", 415),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\n", 400),
        ("multipart/form-data; boundary=b", b"garbage" * 1000, 400),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n--b--",
            400,
        ),
        ("application/x-www-form-urlencoded", b"a=" + b"x" * 300_000, 413),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % n for n in range(100)), 400),
        ("application/x-www-form-urlencoded", b"\xff\xfe\x00", 403),
    ],
)
async def test_what_no_form_of_ours_would_send_is_refused(
    site: Site, content_type: str, body: bytes, status: int
) -> None:
    """A status, a page, and the server goes on."""
    headers = {"Content-Type": content_type}
    async with aiohttp.ClientSession() as tool, tool.post(f"{site.url}/login", data=body, headers=headers) as answer:
        assert answer.status == status
        assert "<h1>" in await answer.text()
    assert (await site.browser().get("/login")).status == 200


async def test_a_compressed_form_is_not_unpacked(site: Site) -> None:
    """No browser sends one; a bomb would."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    body = b"\x1f\x8b" + b"\0" * 100
    async with aiohttp.ClientSession() as tool, tool.post(f"{site.url}/login", data=body, headers=headers) as answer:
        assert answer.status == 403


async def test_stopping_is_quick_with_idle_browsers(site: Site) -> None:
    """The house closes in time, whoever still stands at the door."""
    held = [await raw(site) for _ in range(5)]
    async with asyncio.timeout(3):
        await site.server.stop(0.2)
    for _, writer in held:
        writer.close()
