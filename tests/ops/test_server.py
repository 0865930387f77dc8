"""What an operator's monitoring sees on the private port."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from mss.model.errors import StorageUnavailable
from mss.ops.server import Gauge, OpsServer


class House:
    """Counts, or cannot."""

    ready = True
    broken = False

    async def queued(self) -> float:
        if self.broken:
            raise StorageUnavailable("gone")
        return 7

    async def held(self) -> float:
        return 2

    async def refused(self) -> dict[str, float]:
        return {"mailbox-unknown": 3, "too-large": 1}


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
async def ops(house: House) -> AsyncIterator[OpsServer]:
    gauges = [
        Gauge("queue_length", "Mail waiting to leave.", house.queued),
        Gauge("held", "For a human.", house.held),
        Gauge("refusals", "By reason.", house.refused, "reason"),
    ]
    server = OpsServer("127.0.0.1", 0, build={"version": "1.2.3"}, gauges=gauges, is_ready=lambda: house.ready)
    await server.start()
    yield server
    await server.stop()


async def ask(ops: OpsServer, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as browser, browser.get(f"http://127.0.0.1:{ops.port}{path}") as answer:
        return answer.status, await answer.text()


async def test_metrics_tell_the_build_and_what_waits(ops: OpsServer) -> None:
    """Prometheus reads it, and a person too."""
    status, text = await ask(ops, "/metrics")
    assert status == 200
    assert 'mss_build_info{version="1.2.3"} 1.0' in text
    assert "# HELP mss_queue_length Mail waiting to leave." in text
    assert "mss_queue_length 7.0" in text
    assert "process_resident_memory_bytes" in text
    assert 'mss_refusals{reason="mailbox-unknown"} 3.0' in text


async def test_a_broken_store_hides_its_own_numbers_only(ops: OpsServer, house: House) -> None:
    """Who has to mend it still sees the rest."""
    house.broken = True
    status, text = await ask(ops, "/metrics")
    assert status == 200
    assert "mss_queue_length" not in text
    assert "mss_held 2.0" in text


async def test_ready_is_not_the_same_as_alive(ops: OpsServer, house: House) -> None:
    """A process that cannot serve is taken out of the line, and not killed for it."""
    assert (await ask(ops, "/readyz"))[0] == 200
    house.ready = False
    assert (await ask(ops, "/readyz"))[0] == 503
    assert (await ask(ops, "/healthz"))[0] == 200
    assert (await ask(ops, "/inbox"))[0] == 404
