"""Is this process alive, ready, and how much waits? `/healthz`, `/readyz` and `/metrics` on a private port.

Numbers only: no name, address or id of anybody. A gauge is asked when it is scraped; one that fails is left out and
the others are shown, since a broken store must not blind the people who have to mend it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from mss.model.errors import MssError

log = structlog.get_logger("ops")

ASK_S = 5.0
"""A gauge that takes longer is left out; scrapers give up after ten."""

Number = Callable[[], Awaitable[float | Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class Gauge:
    """Something that can be counted now: name without prefix, what it means, and how to ask. With a `label` the
    answer is a number for each of its values."""

    name: str
    meaning: str
    ask: Number
    label: str = ""


@dataclass(slots=True, eq=False)
class _Asked(Collector):
    """The last numbers, in the form that the library writes."""

    build: Mapping[str, str]
    values: list[tuple[Gauge, float | Mapping[str, float]]] = field(default_factory=list)

    def collect(self) -> Iterable[GaugeMetricFamily | InfoMetricFamily]:
        yield InfoMetricFamily("mss_build", "What runs here.", value=dict(self.build))
        for gauge, value in self.values:
            if not isinstance(value, Mapping):
                yield GaugeMetricFamily(f"mss_{gauge.name}", gauge.meaning, value=value)
                continue
            family = GaugeMetricFamily(f"mss_{gauge.name}", gauge.meaning, labels=[gauge.label])
            for which, number in sorted(value.items()):
                family.add_metric([which], number)
            yield family


class OpsServer:
    """Listens on a private address; speaks plain HTTP, so never on a public one."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        build: Mapping[str, str],
        gauges: Iterable[Gauge] = (),
        is_ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._where = (host, port)
        self._gauges = tuple(gauges)
        self._is_ready = is_ready
        self._asked = _Asked(build)
        self._registry = CollectorRegistry()
        self._registry.register(self._asked)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        app = web.Application()
        app.router.add_get("/healthz", self._lives)
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=30, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, *self._where)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _lives(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n") if self._is_ready() else web.Response(text="not ready\n", status=503)

    async def _metrics(self, request: web.Request) -> web.Response:
        answers = await asyncio.gather(*(self._ask(gauge) for gauge in self._gauges))
        self._asked.values = [(gauge, value) for gauge, value in answers if value is not None]
        text = generate_latest(self._registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def _ask(self, gauge: Gauge) -> tuple[Gauge, float | Mapping[str, float] | None]:
        try:
            async with asyncio.timeout(ASK_S):
                return gauge, await gauge.ask()
        except (MssError, OSError, TimeoutError) as problem:
            log.warning("gauge not answered", gauge=gauge.name, kind=type(problem).__name__)
            return gauge, None
