"""How is the FHIR API spoken over HTTP? Who asks, what, within which bounds; every refusal is an OperationOutcome.

An application of its own below `/fhir`, mounted on the web ports by assembly. Answers are JSON only, never kept on the
way, and each says as of when it is (`X-As-Of`).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from email.utils import format_datetime
from functools import partial
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from mss.directory.wholes import Unit
from mss.fhir.asking import understand
from mss.fhir.batch import answered, requests_of
from mss.fhir.callers import Caller, Callers
from mss.fhir.capability import FHIR_JSON, capability_statement
from mss.fhir.directory import Answer, DirectoryDoor, merged
from mss.fhir.openapi import open_api
from mss.fhir.outcome import Refused, Resource, outcome_of, unknown, wrong
from mss.fhir.patching import PATCH_BYTES_MAX
from mss.fhir.publishing import PublishingDoor
from mss.fhir.resources import ELEMENTS, instant
from mss.model.errors import StorageUnavailable

log = structlog.get_logger("fhir")

PREFIX = "/fhir"
REQUEST_S_MAX = 20.0
"""A page takes milliseconds; whoever is still waiting then asks again."""
BODY_BYTES_MAX = 256 * 1024
BODY_S_MAX = 20.0
BATCH_RESOURCES_MAX = 1_000
"""Found by the entries of one batch; those behind them are told to come again."""
AT_ONCE_MAX = 24
AT_ONCE_OF_ONE = 8
"""The others are told to come again: searches of one software leave room for mail and pages."""
JSON_TYPES = ("application/fhir+json", "application/json", "text/json")
_FORMATS = ("json", *JSON_TYPES)
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?\Z", re.ASCII)
_PAIR = tuple[str, str]
Application = web.Application


class FhirDoor:
    """The application. `allows_plain`: tests on loopback; elsewhere a token never travels in clear."""

    def __init__(
        self,
        directory: DirectoryDoor,
        callers: Callers,
        *,
        version: str,
        allows_plain: bool = False,
        publishing: PublishingDoor | None = None,
    ) -> None:
        """`publishing` None: nothing is written here."""
        self._publishing = publishing
        self._directory = directory
        self._callers = callers
        self._version = version
        self._allows_plain = allows_plain
        self._at_once: Counter[str] = Counter()

    def application(self) -> web.Application:
        """Routes and the edge around them."""
        app = web.Application(middlewares=[self._edge])
        router = app.router
        router.add_get("/metadata", self._metadata)
        router.add_get("/openapi.json", self._open_api)
        for root in ("", "/"):
            router.add_get(root, self._search_many)
            router.add_post(root, self._batch)
        for unit in Unit:
            router.add_get(f"/{unit}", partial(self._search, unit=unit))
            router.add_post(f"/{unit}/_search", partial(self._search, unit=unit))
            router.add_get(f"/{unit}/{{id}}", partial(self._read, unit=unit))
            for path in (f"/{unit}", f"/{unit}/{{id}}"):
                router.add_patch(path, partial(self._patch, unit=unit))
                router.add_put(path, self._put)
        router.add_route("*", "/{rest:.*}", self._nothing)
        return app

    # ── open to everybody ──

    async def _metadata(self, request: web.Request) -> web.Response:
        _judge_format(request, tuple(request.query.items()))
        return _json(capability_statement(base_of(request), self._version, writes=self._publishing is not None))

    async def _open_api(self, request: web.Request) -> web.Response:
        return web.json_response(open_api(base_of(request), self._version, writes=self._publishing is not None))

    async def _nothing(self, request: web.Request) -> web.Response:
        if request.method not in ("GET", "HEAD"):
            raise Refused(405, "not-supported", f"{request.method} is not possible here: see {PREFIX}/metadata")
        raise unknown("kind of resource")

    # ── for software that we know ──

    async def _read(self, request: web.Request, unit: Unit) -> web.Response:
        pairs = tuple(request.query.items())
        answer = await self._asked(request, lambda: self._reading(unit, request.match_info["id"], pairs))
        headers = {"ETag": f'W/"{answer.version}"'}
        if answer.changed is not None:
            headers["Last-Modified"] = format_datetime(answer.changed, usegmt=True)
        if not answer.is_of_the_moment and _has_already(request, answer.version):
            return web.Response(status=304, headers=headers | _as_of(answer))
        return _json(answer.resource, headers=headers | _as_of(answer))

    async def _reading(self, unit: Unit, name: str, pairs: Sequence[_PAIR]) -> Answer:
        asked = understand(unit, [pair for pair in pairs if pair[0] != "_format"], {unit: {}}, {unit: {}}, ELEMENTS)
        return await self._directory.read(unit, name, asked.elements)

    async def _search(self, request: web.Request, unit: Unit) -> web.Response:
        base = base_of(request)

        async def searched() -> Answer:
            return await self._directory.search(unit, await _pairs_of(request), base)

        answer = await self._asked(request, searched)
        return _json(answer.resource, headers=_as_of(answer))

    async def _search_many(self, request: web.Request) -> web.Response:
        pairs = tuple(request.query.items())
        base = base_of(request)
        answer = await self._asked(request, lambda: self._searching_many(pairs, base))
        return _json(answer.resource, headers=_as_of(answer))

    async def _searching_many(self, pairs: Sequence[_PAIR], base: str) -> Answer:
        """The same question of several kinds of resource (FHIR R4 §3.1.1.1 `_type`)."""
        said = [value for name, value in pairs if name == "_type"]
        names = said[0].split(",") if len(said) == 1 else []
        if not names or not set(names) <= {str(unit) for unit in Unit} or len(names) > len(Unit):
            raise wrong(f"_type: one or more of {', '.join(Unit)}, with commas between them")
        if len(names) > 1 and any(name == "_sort" for name, _ in pairs):
            raise wrong("_sort with several kinds: each kind is a list of its own, ask for them one by one")
        rest = [pair for pair in pairs if pair[0] not in ("_type", "_page_token")]
        answers = {Unit(name): await self._directory.search(Unit(name), rest, base) for name in dict.fromkeys(names)}
        first = next(iter(answers.values()))
        found = sum(one.found for one in answers.values())
        return Answer(merged({unit: one.resource for unit, one in answers.items()}), first.as_of, found)

    async def _batch(self, request: web.Request) -> web.Response:
        """Several searches and reads in one request, one after the other (FHIR R4 §3.1.0.11)."""
        base = base_of(request)

        async def answer_all() -> Answer:
            entries, found, as_of = [], 0, None
            for path, pairs in requests_of(await _resource_in(request), base):
                try:
                    if found > BATCH_RESOURCES_MAX:
                        raise wrong("this batch has enough resources already: ask this in another", "too-costly")
                    one = await self._one_of_batch(path, pairs, base)
                    found, as_of = found + one.found, one.as_of or as_of
                    entries.append(answered(200, one.resource, one.version))
                except Refused as refused:
                    entries.append(answered(refused.status, outcome_of(refused)))
            return Answer({"resourceType": "Bundle", "type": "batch-response", "entry": entries}, as_of, found)

        answer = await self._asked(request, answer_all)
        return _json(answer.resource, headers=_as_of(answer))

    async def _one_of_batch(self, path: list[str], pairs: Sequence[_PAIR], base: str) -> Answer:
        units = {str(unit): unit for unit in Unit}
        if path and path[0] in units and len(path) == 1:
            return await self._directory.search(units[path[0]], pairs, base)
        if path and path[0] in units and len(path) == 2:
            return await self._reading(units[path[0]], path[1], pairs)
        if not path:
            return await self._searching_many(pairs, base)
        raise unknown("kind of resource")

    async def _patch(self, request: web.Request, unit: Unit) -> web.Response:
        """Mailboxes of one resource, by its id or by a national number."""
        caller = await self._caller(request)
        if self._publishing is None:
            raise Refused(405, "not-supported", "nothing can be published here")
        door, publisher = self._publishing, self._publishing.judge(caller)
        if request.content_type != FHIR_JSON:
            raise Refused(415, "not-supported", f"a FHIRPath Patch is expected: Parameters as {FHIR_JSON}")
        pairs, name = tuple(request.query.items()), request.match_info.get("id", "")

        async def patched() -> Answer:
            body = await _body(request, PATCH_BYTES_MAX)
            return await door.patch(unit, name, pairs, body, publisher, request.headers.get("If-Match", ""))

        answer = await self._asked(request, patched, caller)
        headers = {"ETag": f'W/"{answer.version}"'} if answer.version else {}
        return _json(answer.resource, headers=headers | _as_of(answer))

    async def _put(self, request: web.Request) -> web.Response:
        text = "PUT would overwrite what others have said: PATCH the mailbox (FHIRPath Patch)"
        raise Refused(405, "not-supported", text)

    # ── the edge ──

    async def _asked(
        self, request: web.Request, work: Callable[[], Awaitable[Answer]], caller: Caller | None = None
    ) -> Answer:
        """One answer, for whom it may be given, within its time; noted without what was asked."""
        caller = caller or await self._caller(request)
        _judge_format(request, tuple(request.query.items()))
        if self._at_once[caller.name] >= AT_ONCE_OF_ONE or self._at_once.total() >= AT_ONCE_MAX:
            raise Refused(429, "throttled", "too many requests at once: wait for their answers, then ask again")
        self._at_once[caller.name] += 1
        try:
            async with asyncio.timeout(REQUEST_S_MAX):
                answer = await work()
        except TimeoutError:
            raise Refused(503, "timeout", "this took too long: ask again, for less") from None
        finally:
            self._at_once[caller.name] -= 1
            self._at_once += Counter()
        log.info("fhir.answered", client=caller.name, route=_route(request), found=answer.found)
        return answer

    async def _caller(self, request: web.Request) -> Caller:
        """Who asks. Raises Refused for nobody."""
        if not (request.secure or self._allows_plain):
            raise Refused(403, "security", "use https: a token that was sent in clear is to be replaced")
        caller = await self._callers.who(request)
        if caller is None:
            log.info("fhir.refused", reason="authentication-failed", remote=request.remote or "")
            raise Refused(401, "login", "a bearer token or a client certificate that we know is needed")
        return caller

    @web.middleware
    async def _edge(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every refusal becomes an outcome; a fault of ours is noted by its place and shown by no detail."""
        try:
            return await handler(request)
        except Refused as refused:
            return _refusal(refused)
        except web.HTTPException as problem:
            text = f"{request.method} is not possible here: see {PREFIX}/metadata"
            return _refusal(Refused(problem.status, "not-supported", text))
        except StorageUnavailable:
            return _refusal(Refused(503, "transient", "the store is not available: ask again in a moment"))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as fault:  # noqa: BLE001 — one request fails, the house stands
            at = fault.__traceback__
            while at is not None and at.tb_next is not None:
                at = at.tb_next
            place = f"{at.tb_frame.f_code.co_filename.rpartition('/')[2]}:{at.tb_lineno}" if at else "?"
            log.error("fhir.fault", kind=type(fault).__name__, at=place)
            return _refusal(Refused(500, "exception", "a fault of ours, which was noted"))


def base_of(request: web.Request) -> str:
    """Our address, as whoever asks knows it."""
    if not _HOST.match(request.host or ""):
        raise wrong("the Host field is no name of a host")
    return f"{request.scheme}://{request.host}{PREFIX}"


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return f"{request.method} {resource.canonical if resource is not None else ''}"


def _judge_format(request: web.Request, pairs: Sequence[_PAIR]) -> None:
    """JSON is what we speak (FHIR R4 §3.1.0.1.11). Raises Refused."""
    said = [value.partition(";")[0].strip() for name, value in pairs if name == "_format"]
    if any(value.replace(" ", "+") not in _FORMATS for value in said):
        raise Refused(406, "not-supported", "_format: json is what there is")
    accepted = request.headers.get("Accept", "*/*")
    kinds = [one.partition(";")[0].strip().lower() for one in accepted.split(",")]
    if not said and not any(kind in (*JSON_TYPES, "*/*", "application/*") for kind in kinds if kind) and any(kinds):
        raise Refused(406, "not-supported", f"Accept: {FHIR_JSON} is what there is")


async def _pairs_of(request: web.Request) -> tuple[_PAIR, ...]:
    """The parameters of a search, of the address and, for a POST, of the form (FHIR R4 §3.1.0.9)."""
    pairs = tuple(request.query.items())
    if request.method != "POST":
        return pairs
    if request.content_type != "application/x-www-form-urlencoded":
        raise Refused(415, "not-supported", "_search takes application/x-www-form-urlencoded")
    from urllib.parse import parse_qsl

    try:
        text = (await _body(request)).decode("utf-8")
        return (*pairs, *parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=100))
    except ValueError:
        raise wrong("the form cannot be read") from None


async def _resource_in(request: web.Request) -> Any:
    if request.content_type not in JSON_TYPES:
        raise Refused(415, "not-supported", f"send {FHIR_JSON}")
    try:
        return json.loads((await _body(request)).decode("utf-8"))
    except (ValueError, RecursionError):
        raise wrong("this is not JSON in UTF-8", "structure") from None


async def _body(request: web.Request, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """The whole body, when it is small and comes in time. Raises Refused."""
    read = bytearray()
    try:
        async with asyncio.timeout(BODY_S_MAX):
            async for piece in request.content.iter_chunked(16 * 1024):
                read += piece
                if len(read) > bytes_max:
                    raise Refused(413, "too-long", f"more than {bytes_max} bytes")
    except TimeoutError:
        raise Refused(408, "timeout", "the request took too long to arrive") from None
    return bytes(read)


def _has_already(request: web.Request, version: str) -> bool:
    said = request.headers.get("If-None-Match", "")
    return version in {one.strip().removeprefix("W/").strip('"') for one in said.split(",")}


def _as_of(answer: Answer) -> dict[str, str]:
    return {} if answer.as_of is None else {"X-As-Of": instant(answer.as_of)}


def _json(resource: Resource, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    body = json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    made = web.Response(body=body, status=status, headers=headers)
    made.headers["Content-Type"] = f"{FHIR_JSON}; charset=utf-8"
    return made


def _refusal(refused: Refused) -> web.Response:
    response = _json(outcome_of(refused), status=refused.status)
    if refused.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="fhir"'
    if refused.status in (429, 503):
        response.headers["Retry-After"] = "5"
    if refused.status in (408, 413):
        response.force_close()
    return response
