"""The server holds its limits, keeps its word under faults, and ends politely."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from mss.imap import fetching, wire
from mss.imap.backend import Folder
from mss.imap.server import Caps
from mss.imap.snapshot import Changes
from mss.imap.state import Settings
from mss.model.clock import ManualClock, SystemClock
from mss.model.errors import NotFound, SealBroken, StorageUnavailable
from tests.imap.picture import PictureClient
from tests.kit.imap_house import (
    COLLEAGUE,
    DOCTOR,
    PASSWORD,
    ImapHouse,
    cellar_keeper,
    imap_house,
    letter,
    memory_keeper,
    numbered,
)
from tests.kit.pki import Pki

Build = Callable[..., Awaitable[ImapHouse]]
NAME = "imap.chu.mssante.example"


@pytest.fixture
async def build(imap_pki: Pki, tmp_path: Path) -> AsyncIterator[Build]:
    """Houses with the settings that a test wants, on a store of dictionaries and the machine's clock."""
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack:

        async def make(caps: Caps | None = None, **settings: Any) -> ImapHouse:
            clock = SystemClock()
            opened = imap_house(memory_keeper(clock), imap_pki, tmp_path, clock, Settings(NAME, **settings), caps)
            return await stack.enter_async_context(opened)

        yield make


async def stranger(house: ImapHouse) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection in clear, after the greeting."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.starttls_port)
    assert (await reader.readline()).startswith(b"* OK")
    return reader, writer


async def rest_of(reader: asyncio.StreamReader, within_s: float = 5) -> bytes:
    """What is still said until the server hangs up."""
    return await asyncio.wait_for(reader.read(), within_s)


async def test_commands_sent_with_starttls_are_not_answered_inside(build: Build) -> None:
    """What came in clear is forgotten with the state of the clear line (RFC 9051 §6.2.1)."""
    house = await build()
    reader, writer = await stranger(house)
    writer.write(b"a STARTTLS\r\nb CAPABILITY\r\nc LOGOUT\r\n")
    assert (await reader.readline()).startswith(b"a OK")
    await writer.start_tls(house.client_tls(), server_hostname="localhost")
    writer.write(b"d NOOP\r\n")
    assert (await reader.readline()).startswith(b"d OK")
    writer.close()


async def test_who_does_not_log_in_is_sent_away(build: Build) -> None:
    """Time to log in runs from the start; octets that drip in do not stretch it."""
    house = await build(stranger_s=0.3)
    reader, writer = await stranger(house)
    began = time.perf_counter()
    for _ in range(3):
        writer.write(b"x")
        await asyncio.sleep(0.05)
    assert (await rest_of(reader)).startswith(b"* BYE")
    assert time.perf_counter() - began < 2
    writer.close()


async def test_who_says_nothing_for_half_an_hour_is_sent_away(build: Build) -> None:
    """Also in IDLE, which clients ask for again before that."""
    house = await build(idle_s=0.3, poll_s=0.05)
    quiet = await PictureClient.connect(house, DOCTOR)
    assert (await rest_of(quiet.reader)).startswith(b"* BYE")
    idler = await PictureClient.connect(house, DOCTOR)
    idler.writer.write(b"i IDLE\r\n")
    assert b"* BYE" in await rest_of(idler.reader)
    assert house.server.connections == 0


async def test_a_client_in_idle_hears_now_and_then_that_we_are_there(build: Build) -> None:
    """Firewalls forget lines on which nothing passes; nothing else is said, and DONE ends it as ever."""
    house = await build(poll_s=0.02, still_here_s=0.05)
    client = await PictureClient.connect(house, DOCTOR)
    await client.select()
    client.writer.write(b"i IDLE\r\n")
    assert await client._line() == b"+ idling\r\n"
    for _ in range(3):
        assert await client._line() == b"* OK Still here\r\n"
    client.writer.write(b"done \r\n")
    while (line := await client._line()) == b"* OK Still here\r\n":
        pass
    assert line.startswith(b"i OK")


async def test_too_many_connections_of_one_address_are_refused(build: Build) -> None:
    """The first ones go on; a place that becomes free is given again."""
    house = await build(Caps(connections_per_address_max=2))
    first, _ = await stranger(house), await stranger(house)
    reader, _writer = await asyncio.open_connection("127.0.0.1", house.starttls_port)
    assert (await rest_of(reader)).startswith(b"* BYE [UNAVAILABLE]")
    first[1].write(b"a LOGOUT\r\n")
    await rest_of(first[0])
    reader, writer = await stranger(house)
    writer.close()


async def test_three_wrong_passwords_end_the_line(build: Build) -> None:
    """The answer is the same whoever is named; then the line is cut."""
    house = await build()
    reader, writer = await stranger(house)
    writer.write(b"a STARTTLS\r\n")
    await reader.readline()
    await writer.start_tls(house.client_tls(), server_hostname="localhost")
    answers = []
    for name in (DOCTOR, "nobody@chu.mssante.example", DOCTOR):
        writer.write(f"a LOGIN {name} wrong\r\n".encode())
        answers.append(await reader.readline())
    assert len(set(answers)) == 1
    assert answers[0].startswith(b"a NO [AUTHENTICATIONFAILED]")
    assert await rest_of(reader) == b""


async def test_who_speaks_another_protocol_is_sent_away(build: Build) -> None:
    """Some mistakes are answered, then nothing more."""
    house = await build()
    reader, writer = await stranger(house)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 40)
    said = await rest_of(reader)
    assert said.count(b" BAD ") == 25
    assert said.endswith(b"* BYE Too many mistakes\r\n")


async def test_a_client_that_does_not_read_costs_little_memory(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty megabytes are asked for and not taken: a few are prepared, and after a while the line is cut."""
    monkeypatch.setattr(wire, "STUCK_S", 0.5)
    house = await build()
    body = ("y" * 70 + "\r\n") * 14_000
    await house.put(*(letter(n, body=body) for n in range(30)))
    client = await PictureClient.connect(house, DOCTOR)
    await client.select()
    client.reader._transport.pause_reading()  # type: ignore[attr-defined]
    client.writer.write(b"f FETCH 1:* BODY.PEEK[]\r\n")
    most = 0
    for _ in range(40):
        await asyncio.sleep(0.02)
        for line in house.server._tasks:
            assert line._transport is not None
            most = max(most, line._transport.get_write_buffer_size())
    assert 0 < most < 4 * fetching.BATCH_BYTES_MAX
    for _ in range(100):
        if not house.server.connections:
            break
        await asyncio.sleep(0.05)
    assert house.server.connections == 0


async def test_a_server_that_closes_says_goodbye(imap_pki: Pki, tmp_path: Path) -> None:
    """Clients that wait hear BYE and try again elsewhere; nobody waits long."""
    async with imap_house(memory_keeper(ManualClock()), imap_pki, tmp_path, ManualClock()) as house:
        client = await PictureClient.connect(house, DOCTOR)
        await client.select()
        client.writer.write(b"i IDLE\r\n")
        assert (await client.reader.readline()).startswith(b"+ ")
        began = time.perf_counter()
        await house.server.close(grace_s=5)
        assert time.perf_counter() - began < 2
        assert b"* BYE" in await rest_of(client.reader)


@pytest.mark.parametrize(
    ("problem", "answer"),
    [
        (StorageUnavailable("x"), b"NO [UNAVAILABLE]"),
        (SealBroken("x"), b"NO [SERVERBUG]"),
        (NotFound("x"), b"NO [NONEX"),
    ],
)
async def test_a_store_that_fails_fails_one_command(build: Build, problem: Exception, answer: bytes) -> None:
    """The client is told that it did not happen, and goes on."""
    house = await build()
    await house.put(letter(1))
    client = await PictureClient.connect(house, DOCTOR)
    await client.select()

    async def fail(*_args: object, **_kwargs: object) -> list[int]:
        raise problem

    real, house.store.change_flags = house.store.change_flags, fail  # type: ignore[method-assign]
    assert answer in await client.command("STORE 1 +FLAGS (\\Seen)", may_fail=True)
    house.store.change_flags = real  # type: ignore[method-assign]
    assert b"OK" in await client.command("STORE 1 +FLAGS (\\Seen)")
    assert client.messages[0].flags == frozenset({b"\\seen"})


async def test_a_fault_of_ours_ends_one_line_only(build: Build) -> None:
    """Something that nobody foresaw: this client is told and cut off, the others do not notice; the log names the
    kind of fault and nothing of the mail."""
    house = await build()
    await house.put(letter(1, subject="Geheim"))
    one, other = [await PictureClient.connect(house, user) for user in (DOCTOR, COLLEAGUE)]
    await one.select()

    async def fault(*_args: object) -> list[Any]:
        raise ZeroDivisionError("Geheim")

    house.store.rows = fault  # type: ignore[method-assign,assignment]
    with capture_logs() as logs:
        one.writer.write(b"f FETCH 1 RFC822.SIZE\r\n")
        assert (await rest_of(one.reader)).startswith(b"* BYE [SERVERBUG]")
    await other.command("NOOP")
    (failed,) = [entry for entry in logs if entry["event"] == "imap.failed"]
    assert failed["error"] == "ZeroDivisionError"
    assert not any(word in str(logs) for word in (DOCTOR, PASSWORD, "Compte"))


async def test_a_message_that_breaks_off_is_never_made_up(build: Build) -> None:
    """When a large body cannot be read to its end, the line ends in the middle of the literal."""
    house = await build()
    raw = letter(1, body=("z" * 70 + "\r\n") * 30_000)
    await house.put(raw)
    client = await PictureClient.connect(house, DOCTOR)
    await client.select()
    real = house.store.body_range

    async def breaking(folder: Any, uid: int, start: int, end: int) -> bytes:
        if start > 0:
            raise NotFound("body")
        return await real(folder, uid, start, end)

    house.store.body_range = breaking  # type: ignore[method-assign]
    client.writer.write(b"f FETCH 1 BODY.PEEK[]\r\n")
    said = await rest_of(client.reader)
    assert b"f OK" not in said
    assert raw.startswith(said.partition(b"}\r\n")[2])


async def test_a_large_message_comes_through_whole_and_in_pieces(
    imap_pki: Pki, tmp_path: Path, clock: ManualClock
) -> None:
    """Three megabytes, sealed in frames on disk: every octet, and any span of them."""
    raw = letter(1, body=base64.encodebytes(bytes(range(256)) * 8000).replace(b"\n", b"\r\n").decode())
    path = tmp_path / "mss.db"
    async with (
        cellar_keeper(f"sqlite:///{path}", tmp_path, clock, imap_pki) as keeper,
        imap_house(keeper, imap_pki, tmp_path, clock) as house,
    ):
        await house.put(raw)
        client = await PictureClient.connect(house, DOCTOR)
        await client.select()

        async def fetched(item: str) -> bytes:
            client.writer.write(f"f FETCH 1 {item}\r\n".encode())
            head = await client.reader.readline()
            found = await client.reader.readexactly(int(head.rpartition(b"{")[2].rstrip(b"}\r\n")))
            assert await client.reader.readline() == b")\r\n"
            assert (await client.reader.readline()).startswith(b"f OK")
            return found

        assert await fetched("BODY.PEEK[]") == raw
        frame = 64 * 1024
        spans = (
            (0, 1),
            (frame - 1, 2),
            (frame, frame),
            (2 * frame - 5, 5),
            (len(raw) - 3, 10),
            (len(raw), 5),
            (7, 10**6),
        )
        for start, count in spans:
            assert await fetched(f"BODY.PEEK[]<{start}.{count}>") == raw[start : start + count]
        assert await fetched("BODY.PEEK[TEXT]<100.70000>") == raw[raw.index(b"\r\n\r\n") + 104 :][:70_000]


async def test_a_selected_folder_that_is_deleted_ends_the_session(build: Build) -> None:
    """There is no way to say that a selected folder is gone but to end (RFC 2180 §3.3)."""
    house = await build()
    one, other = [await PictureClient.connect(house, DOCTOR) for _ in range(2)]
    await one.command("CREATE Kurz")
    await one.select("Kurz")
    await other.command("DELETE Kurz")
    one.writer.write(b"n NOOP\r\n")
    assert (await rest_of(one.reader)).startswith(b"* BYE")
    await other.command("NOOP")


async def test_recent_messages_are_recent_for_one_session(build: Build) -> None:
    """The first that is told of a message has it as \\Recent, no other (RFC 3501 §2.3.2); EXAMINE sees it and takes
    none away."""
    house = await build()
    one, other, reader = [await PictureClient.connect(house, DOCTOR) for _ in range(3)]
    await one.select()
    await reader.command("EXAMINE INBOX")
    await house.put(letter(1))
    await reader.command("NOOP")
    await one.command("NOOP")
    await other.select()
    await one.command("SEARCH RECENT")
    assert one.found == [1]
    for client, recent in ((other, []), (reader, [1])):
        client.found = [9]
        await client.command("SEARCH RECENT")
        assert client.found == recent


async def test_mail_can_be_read_when_nothing_can_be_written(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """That a message is no longer recent is not worth a refusal; a resumption that fails leaves nothing selected."""
    house = await build()
    await house.put(letter(1))
    client = await PictureClient.connect(house, DOCTOR)

    async def fail(*_args: object) -> None:
        raise StorageUnavailable("test")

    monkeypatch.setattr(house.store, "claim_recent", fail)
    assert b" OK " in await client.command("SELECT INBOX")
    await client.command("ENABLE QRESYNC")
    client.messages = []
    real, calls = house.store.changes, 0

    async def fail_second(folder: Folder, since: int) -> Changes | None:
        nonlocal calls
        calls += 1
        if calls > 1:  # opening asks first
            raise StorageUnavailable("test")
        return await real(folder, since)

    monkeypatch.setattr(house.store, "changes", fail_second)
    validity = (await house.store.folder(house.keeper.boxes[DOCTOR], "INBOX")).uidvalidity
    assert b"NO [UNAVAILABLE]" in await client.command(f"SELECT INBOX (QRESYNC ({validity} 1))", may_fail=True)
    assert calls == 2
    assert b" BAD " in await client.command("FETCH 1 UID", may_fail=True)
    await client.close()


async def test_pipelined_commands_are_answered_in_order(build: Build) -> None:
    """A client need not wait (RFC 9051 §5.5)."""
    house = await build()
    await house.put(*numbered(3))
    client = await PictureClient.connect(house, DOCTOR)
    client.writer.write(b"1 SELECT INBOX\r\n2 FETCH 1:* UID\r\n3 NOOP\r\n4 UID SEARCH ALL\r\n5 LOGOUT\r\n")
    said = (await rest_of(client.reader)).split(b"\r\n")
    assert [line[:4] for line in said if line[:1] in b"12345" and line] == [b"%d OK" % n for n in range(1, 6)]


async def test_who_hurries_waits_and_is_answered(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command is refused for haste; the server takes its time before the next."""
    house = await build(commands_per_s=0.001, commands_burst=4)
    waited: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await real(0)

    client = await PictureClient.connect(house, DOCTOR)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    for _ in range(6):
        assert b" OK " in await client.command("NOOP")
    long_ones = [seconds for seconds in waited if seconds > 1]
    assert len(long_ones) == 3
    assert long_ones == sorted(long_ones)
    await client.close()
