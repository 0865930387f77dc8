"""A bucket of its own for a test: enough of Amazon's S3 protocol for one client, and its bad days.

Objects, ranges, multipart uploads, listings; what is sent must be signed (Signature Version 4, not verified) and
be what its checksum says. `mood` makes it fail as real ones do.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from xml.sax.saxutils import escape

import pytest
from aiohttp import web

from mss.store.blobs import ObjectBodies

BUCKET = "mss"
GIVES_UP_S = 0.3
UNSIGNED = "UNSIGNED-PAYLOAD"


class Mood(StrEnum):
    """How the next requests are answered."""

    WELL = "well"
    BUSY = "503 Slow Down"
    CUTS = "the connection ends, inside the answer of a read and before that of a write"
    FORBIDS = "403, as with a key that was taken back"


@dataclass
class Bucket:
    """What lies there, and what was asked."""

    url: str = ""
    mood: Mood = Mood.WELL
    objects: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Method and what it is about, in order."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        key, query = request.match_info["key"], request.query
        part = next(
            (name for name in ("uploads", "partNumber", "uploadId", "list-type", "delete") if name in query), "object"
        )
        self.asked.append(f"{request.method} {part}")
        refused = await self._refused(request, body)
        if refused is not None:
            return refused
        match request.method, part:
            case "POST", "uploads":
                number = f"upload-{len(self.asked)}"
                self.uploads[number] = {}
                return _xml(
                    f"<InitiateMultipartUploadResult><UploadId>{number}</UploadId></InitiateMultipartUploadResult>"
                )
            case "PUT", "partNumber":
                self.uploads[query["uploadId"]][int(query["partNumber"])] = body
                return web.Response(headers={"ETag": _etag(body)})
            case "POST", "uploadId":
                parts = self.uploads.pop(query["uploadId"])
                self.objects[key] = b"".join(parts[number] for number in sorted(parts))
                return _xml(f"<CompleteMultipartUploadResult><ETag>{_etag(b'')}</ETag></CompleteMultipartUploadResult>")
            case "DELETE", "uploadId":
                self.uploads.pop(query["uploadId"], None)
                return web.Response(status=204)
            case "GET", "list-type":
                return self._list(query.get("prefix", ""))
            case "PUT", "object":
                self.objects[key] = body
                return web.Response(headers={"ETag": _etag(body)})
            case "POST", "delete":
                gone = [named.decode() for named in re.findall(rb"<Key>([^<]+)</Key>", body)]
                for named in gone:
                    self.objects.pop(named, None)
                told = "".join(f"<Deleted><Key>{named}</Key></Deleted>" for named in gone)
                return _xml(f"<DeleteResult>{told}</DeleteResult>")
            case (("GET" | "HEAD"), "object") if key in self.objects:
                return self._read(request, self.objects[key])
        return _xml("<Error><Code>NoSuchKey</Code></Error>", 404)

    async def _refused(self, request: web.Request, body: bytes) -> web.StreamResponse | None:
        digest = request.headers.get("x-amz-content-sha256", "")
        if "AWS4-HMAC-SHA256" not in request.headers.get("Authorization", "") or self.mood is Mood.FORBIDS:
            return _xml("<Error><Code>AccessDenied</Code></Error>", 403)
        if digest not in (UNSIGNED, hashlib.sha256(body).hexdigest()):
            return _xml("<Error><Code>XAmzContentSHA256Mismatch</Code></Error>", 400)
        if self.mood is Mood.BUSY:
            return _xml("<Error><Code>SlowDown</Code></Error>", 503)
        if self.mood is Mood.CUTS:
            answer = web.StreamResponse(headers={"Content-Length": "1000", "ETag": _etag(b"")})
            if request.method == "GET":
                await answer.prepare(request)
                await answer.write(b"half")
            assert request.transport is not None
            request.transport.abort()
            return answer
        return None

    def _read(self, request: web.Request, data: bytes) -> web.Response:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        headers = {"ETag": _etag(data), "Last-Modified": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")}
        if asked is None:
            return web.Response(body=data, headers=headers)
        start, end = int(asked[1]), min(int(asked[2]) + 1, len(data))
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        return web.Response(status=206, body=data[start:end], headers=headers)

    def _list(self, prefix: str) -> web.Response:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{now}</LastModified><ETag>{_etag(data)}</ETag>"
            f"<Size>{len(data)}</Size></Contents>"
            for key, data in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        return _xml(f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>")


def _etag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'


def _xml(text: str, status: int = 200) -> web.Response:
    return web.Response(status=status, text=f'<?xml version="1.0"?>{text}', content_type="application/xml")


@asynccontextmanager
async def bucket() -> AsyncIterator[Bucket]:
    """A bucket on loopback; see `client`."""
    made = Bucket()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", f"/{BUCKET}{{slash:/?}}{{key:.*}}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()


def client(of: Bucket, monkeypatch: pytest.MonkeyPatch) -> ObjectBodies:
    """Bodies in that bucket, named as an operator would; it gives up soon."""
    named = {
        "ENDPOINT": of.url,
        "ACCESS_KEY_ID": "test",
        "SECRET_ACCESS_KEY": "test",
        "REGION": "eu",
        "ALLOW_HTTP": "true",
    }
    for name, value in named.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return ObjectBodies.at(f"s3://{BUCKET}/bodies", GIVES_UP_S)
