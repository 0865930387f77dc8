"""What clamd says, what it does not say, and what is never taken for a yes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from mss.mail import clamd
from mss.mail.clamd import ClamdAway, Loopback, Unix
from mss.mail.holding import Doubt
from mss.mail.screening import REST_S, ClamdScreening
from mss.model.clock import ManualClock, SystemClock
from mss.model.verdict import Reason
from tests.kit.clamd import EICAR, SIGNATURE, STREAM_MAX, Clamd, bad_clamd
from tests.kit.clamd import clamd as running

CLEAN = b"Bonjour, voici le bilan.\r\n" * 100
INFECTED = b"From: a@b.example\r\n\r\n" + EICAR.encode() + b"\r\n"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clamd]:
    with running(tmp_path_factory.mktemp("clamd") / "d") as started:
        yield started


@pytest.mark.parametrize("by_port", [False, True], ids=["unix", "tcp"])
async def test_the_real_daemon_tells_clean_from_infected(daemon: Clamd, by_port: bool) -> None:
    """Over its socket and over its port; the name is the signature's."""
    where = Loopback("127.0.0.1", daemon.port) if by_port else Unix(daemon.socket)
    assert await clamd.scan(where, CLEAN, 20) == ""
    assert SIGNATURE in await clamd.scan(where, INFECTED, 20)
    assert await clamd.scan(where, b"", 20) == ""


async def test_a_large_message_is_streamed_and_found_at_its_end(daemon: Clamd) -> None:
    """25 MB, with what is wrong in its last line."""
    large = b"0123456789abcdef" * (25 * 65536)
    assert SIGNATURE in await clamd.scan(Unix(daemon.socket), large + EICAR.encode(), 60)


async def test_more_than_the_daemon_takes_is_nobodys_yes(daemon: Clamd) -> None:
    """It hangs up in the middle: held, with a word that tells whoever set it up what to change."""
    with pytest.raises(ClamdAway, match="StreamMaxLength"):
        await clamd.scan(Unix(daemon.socket), bytes(STREAM_MAX + 1_000_000), 60)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0",
        b"stream: OK",
        b"stream: OK\n\0",
        b"OK\0",
        b"stream: \0",
        b"stream: X FOUND",
        b"stream: FOUND\0",
        b"UNKNOWN COMMAND\0",
        b"stream: OK" * 100_000 + b"\0",
        b"\xff" * 2000,
        b"1: stream: OK\0",
    ],
    ids=lambda answer: repr(answer[:20]),
)
async def test_garbage_is_never_a_yes(tmp_path: Path, answer: bytes) -> None:
    """Half an answer, another protocol's, an endless one: nobody said that the bytes are clean."""
    async with bad_clamd(tmp_path / "s", answer):
        with pytest.raises(ClamdAway):
            await clamd.scan(Unix(tmp_path / "s"), CLEAN, 20)


@pytest.mark.parametrize("reads", [True, False], ids=["says-nothing", "reads-nothing"])
async def test_a_daemon_that_hangs_is_given_up(tmp_path: Path, reads: bool) -> None:
    """Within the time that is set, also when it does not even read."""
    async with bad_clamd(tmp_path / "s", None, reads=reads):
        with pytest.raises(ClamdAway, match="slow"):
            await clamd.scan(Unix(tmp_path / "s"), bytes(8_000_000), 0.5)


async def test_no_daemon_is_no_yes(tmp_path: Path) -> None:
    """No socket, and a socket that nobody listens to."""
    for where in (Unix(tmp_path / "none"), Loopback("127.0.0.1", 1)):
        with pytest.raises(ClamdAway, match="not there"):
            await clamd.scan(where, CLEAN, 5)


async def test_a_daemon_that_is_away_is_left_alone_for_a_while(tmp_path: Path) -> None:
    """Its whole time-out is paid once, not by every sender."""
    clock = ManualClock()
    screening = ClamdScreening(Unix(tmp_path / "s"), 20, clock)
    async with bad_clamd(tmp_path / "s", b"what?\0") as connections:
        for _ in range(5):
            assert await screening.doubt(CLEAN) in (
                Doubt(Reason.NOT_SCANNED, "its answer was not understood"),
                Doubt(Reason.NOT_SCANNED, "away"),
            )
        assert len(connections) == 1
        clock.forward(REST_S + 1)
        await screening.doubt(CLEAN)
        assert len(connections) == 2


async def test_killed_in_the_middle_is_no_yes_and_back_again_it_answers(tmp_path: Path) -> None:
    """The kernel takes it away while it reads 25 MB."""
    with running(tmp_path / "d") as daemon:
        screening = ClamdScreening(Unix(daemon.socket), 30, SystemClock())
        large = b"0123456789abcdef" * (25 * 65536)
        scans = [asyncio.create_task(screening.doubt(large)) for _ in range(4)]
        await asyncio.sleep(0)
        daemon.kill()
        for scan in scans:
            doubt = await scan
            assert doubt is not None
            assert doubt.reason is Reason.NOT_SCANNED
        daemon.start()
        again = ClamdScreening(Unix(daemon.socket), 30, SystemClock())
        assert await again.doubt(CLEAN) is None
        assert await again.doubt(INFECTED) == Doubt(Reason.VIRUS_FOUND, f"{SIGNATURE}.UNOFFICIAL")
