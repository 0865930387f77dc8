"""Which requests does a batch hold? (FHIR R4 §3.1.0.11; ANS guide: several searches at once)

Pure: a Bundle as it came in, paths and parameters out. Only GET, only below our own address.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from mss.fhir.outcome import Resource, wrong

ENTRIES_MAX = 50
URL_CHARS_MAX = 4_000
PATH_STEPS_MAX = 3

Request = tuple[list[str], list[tuple[str, str]]]
"""Steps of the path, and the parameters."""


def requests_of(bundle: Any, base: str) -> list[Request]:
    """Read a batch. Raises Refused: for the whole of it, before anything is answered."""
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise wrong("a Bundle is expected", "structure")
    if bundle.get("type") != "batch":
        raise wrong("a Bundle of type batch is expected; nothing can be changed together here", "not-supported")
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise wrong("entry is not a list", "structure")
    if len(entries) > ENTRIES_MAX:
        raise wrong(f"more than {ENTRIES_MAX} entries: send several batches", "too-costly")
    return [_request(entry, number, base) for number, entry in enumerate(entries)]


def _request(entry: Any, number: int, base: str) -> Request:
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(request, dict):
        raise wrong(f"entry {number} has no request", "structure")
    if request.get("method") != "GET":
        raise wrong(f"entry {number}: only GET in a batch", "not-supported")
    url = request.get("url")
    if not isinstance(url, str) or len(url) > URL_CHARS_MAX:
        raise wrong(f"entry {number}: url is not a text of at most {URL_CHARS_MAX} characters", "structure")
    url = url.removeprefix(base)
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise wrong(f"entry {number}: url cannot be read", "structure") from None
    if parts.scheme or parts.netloc:
        raise wrong(f"entry {number}: an address of another server", "not-supported")
    path = [unquote(step) for step in parts.path.split("/") if step]
    if len(path) > PATH_STEPS_MAX:
        raise wrong(f"entry {number}: there is no such path", "not-found")
    return path, pairs


def answered(status: int, resource: Resource, version: str = "") -> Resource:
    """One entry of the response."""
    words = {200: "OK", 400: "Bad Request", 404: "Not Found", 406: "Not Acceptable", 410: "Gone"}
    response: Resource = {"status": f"{status} {words.get(status, 'Refused')}"}
    if status != 200:
        return {"response": response | {"outcome": resource}}
    response |= {"etag": f'W/"{version}"'} if version else {}
    return {"resource": resource, "response": response}
