"""A hospital's FHIR R4 server with TLS: search by identifier, FHIRPath Patch, transactions with conditional creation.

Written from the standard, apart from our own writer. It refuses what R4 or MHD forbid in an OperationOutcome, keeps a
document once for its masterIdentifier only if it is asked to, and does a transaction whole or not at all.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

Resource = dict[str, Any]
REQUIRED = {
    "List": {"status", "mode", "code", "subject", "date", "entry", "identifier"},
    "DocumentReference": {"masterIdentifier", "status", "type", "category", "subject", "content", "securityLabel"},
    "Binary": {"contentType", "data"},
}
_DELETED_LABEL = re.compile(r"DocumentReference\.securityLabel\.where\(coding\.where\(code='(\w+)'\)\.exists\(\)\)\Z")


class Refusal(Exception):
    """What the server says no to."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


class FhirPeer:
    """`says` is asked before each request: a status to answer at once, `cut` to do it and say nothing, or nothing."""

    def __init__(self, tls: ssl.SSLContext, token: str) -> None:
        self._tls, self._token = tls, token
        self._numbers = itertools.count(1)
        self._runner: web.AppRunner | None = None
        self.port = 0
        self.kept: dict[str, Resource] = {}
        """By `Type/id`, in the order in which they came."""
        self.posts = 0
        self.says: Callable[[web.Request], int | str | None] = lambda request: None

    @property
    def documents(self) -> list[Resource]:
        return [one for one in self.kept.values() if one["resourceType"] == "DocumentReference"]

    def of(self, kind: str) -> list[Resource]:
        return [one for one in self.kept.values() if one["resourceType"] == kind]

    async def start(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/fhir{rest:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self._token}":
            return _outcome(401, "login")
        word = self.says(request)
        if isinstance(word, int):
            return _outcome(word, "processing")
        try:
            answer = await self._do(request)
        except Refusal as no:
            return _outcome(no.status, no.code)
        if word == "cut":
            assert request.transport is not None
            request.transport.abort()
        return _json(200, answer)

    async def _do(self, request: web.Request) -> Resource:
        rest = request.match_info["rest"].strip("/")
        if request.method == "GET" and rest == "metadata":
            return {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
        if request.method == "GET":
            found = self._search(rest, request.query_string)
            return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in found]}
        body = await request.json()
        if request.method == "PATCH":
            self._patch(rest, body)
            return self.kept[rest]
        if request.method == "POST" and not rest:
            self.posts += 1
            return self._transaction(body)
        raise Refusal(405, "not-supported")

    def _search(self, kind: str, query: str) -> list[Resource]:
        (wanted,) = parse_qs(query)["identifier"]
        return [one for one in self.of(kind) if wanted in _identifiers(one)]

    def _transaction(self, bundle: Resource) -> Resource:
        """All or nothing (R4 §3.1.0.11.2): resources are never changed, but put in each other's place."""
        if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "transaction":
            raise Refusal(400, "structure")
        before = dict(self.kept)
        try:
            for entry in bundle["entry"]:
                self._entry(entry)
            self._check(bundle)
        except (Refusal, KeyError) as no:
            self.kept = before
            raise no if isinstance(no, Refusal) else Refusal(422, "required") from no
        return {"resourceType": "Bundle", "type": "transaction-response", "entry": []}

    def _entry(self, entry: Resource) -> None:
        request, resource = entry["request"], entry["resource"]
        if request["method"] == "PATCH":
            self._patch(request["url"], resource)
            return
        if request["method"] == "PUT":
            self._put(request["url"], resource)
            return
        kind = request["url"]
        if request["method"] != "POST" or resource["resourceType"] != kind or REQUIRED[kind] - set(resource):
            raise Refusal(422, "required")
        if "ifNoneExist" in request and self._search(kind, request["ifNoneExist"]):
            return
        number = str(next(self._numbers))
        self.kept[f"{kind}/{number}"] = {**resource, "id": number}

    def _put(self, place: str, resource: Resource) -> None:
        """An update of what is there, whole (R4 §3.1.0.4)."""
        kind, _, number = place.partition("/")
        if place not in self.kept or resource.get("id") != number or REQUIRED[kind] - set(resource):
            raise Refusal(422, "invalid")
        self.kept[place] = resource

    @staticmethod
    def _check(bundle: Resource) -> None:
        """The list names the document, the document its bytes, with their hash; references lead somewhere."""
        by_url = {one["fullUrl"]: one["resource"] for one in bundle["entry"]}
        (listed,) = [one for one in by_url.values() if one["resourceType"] == "List"]
        document = by_url[listed["entry"][0]["item"]["reference"]]
        attachment = document["content"][0]["attachment"]
        data = base64.b64decode(by_url[attachment["url"]]["data"], validate=True)
        digest = hashlib.sha1(data, usedforsecurity=False).digest()
        if attachment["size"] != len(data) or base64.b64decode(attachment["hash"]) != digest:
            raise Refusal(422, "invalid")
        inside = {f"#{one['id']}" for one in document["contained"]}
        named = {one["reference"] for one in document.get("author", [])} | {
            document["context"]["sourcePatientInfo"]["reference"]
        }
        if named - inside:
            raise Refusal(422, "not-found")

    def _patch(self, place: str, parameters: Resource) -> None:
        if place not in self.kept:
            raise Refusal(404, "not-found")
        for operation in parameters["parameter"]:
            parts = {one["name"]: one for one in operation["part"]}
            path = parts["path"]["valueString"]
            label = _DELETED_LABEL.match(path)
            if parts["type"]["valueCode"] == "replace" and path == "DocumentReference.status":
                self.kept[place] = {**self.kept[place], "status": parts["value"]["valueCode"]}
            elif parts["type"]["valueCode"] == "delete" and label:
                labels = self.kept[place]["securityLabel"]
                kept = [one for one in labels if label[1] not in {coding["code"] for coding in one["coding"]}]
                if len(labels) - len(kept) != 1:
                    raise Refusal(422, "invalid")
                self.kept[place] = {**self.kept[place], "securityLabel": kept}
            else:
                raise Refusal(422, "invalid")


def _identifiers(resource: Resource) -> set[str]:
    every = [*resource.get("identifier", []), *filter(None, [resource.get("masterIdentifier")])]
    return {f"{one['system']}|{one['value']}" for one in every}


def _outcome(status: int, code: str) -> web.Response:
    told = {"severity": "error", "code": code, "diagnostics": "MARCHAND-ESSAI Zoé ne convient pas"}
    return _json(status, {"resourceType": "OperationOutcome", "issue": [told]})


def _json(status: int, resource: Resource) -> web.Response:
    return web.Response(status=status, body=json.dumps(resource).encode(), content_type="application/fhir+json")
