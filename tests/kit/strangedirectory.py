"""A national directory that answers as it is told to, over TLS: strange, slow, broken, or as somebody else."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

EMPTY: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": 0}
Say = int | str | dict[str, Any] | tuple[int, dict[str, str]]
"""A status, with an outcome in its own words; a resource; status and headers; `cut`, `slow`, `half`, `long`, `text`."""


@dataclass
class StrangeDirectory:
    """`says` is asked for each request."""

    tls: ssl.SSLContext
    says: Callable[[web.Request], Say] = lambda _: EMPTY
    port: int = 0
    seen: list[str] = field(default_factory=list)
    """Methods, in order."""
    tokens: set[str] = field(default_factory=set)
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.seen.append(request.method)
        self.tokens.add(request.headers.get("Authorization", ""))
        said = self.says(request)
        match said:
            case int():
                issue = {"severity": "error", "code": "processing", "diagnostics": "Camille LEFEVRE zebra"}
                return web.json_response({"resourceType": "OperationOutcome", "issue": [issue]}, status=said)
            case dict():
                return web.json_response(said, content_type="application/fhir+json")
            case (status, headers):
                return web.Response(status=status, headers=headers)
            case "slow":
                await asyncio.sleep(3600)
            case "half":
                return web.Response(body=b'{"resourceType": "Bun')
            case "text":
                return web.Response(text="<html>hello</html>", content_type="text/html")
            case "long":
                return web.Response(body=b" " * (2 * 1024 * 1024))
        assert request.transport is not None
        request.transport.abort()
        return web.Response()
