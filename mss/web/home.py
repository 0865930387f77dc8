"""What may everybody ask for? The way in, the declaration on accessibility, style sheets, and whether we live."""

from __future__ import annotations

from aiohttp import web

from mss.model.errors import NotFound
from mss.web.pages import static_files
from mss.web.routing import Access, get
from mss.web.session import Visit

EVERYBODY = Access.EVERYBODY
FOR_EVER = "public, max-age=31536000, immutable"


async def home(visit: Visit) -> web.StreamResponse:
    """To the inbox, or to the way in."""
    return visit.redirect(visit.own_page("") if visit.is_signed_in else "/login")


async def accessibility(visit: Visit) -> web.StreamResponse:
    """What has been done for accessibility, and what has not."""
    return await visit.page("accessibility.html")


async def static(request: web.Request) -> web.StreamResponse:
    """A style sheet or picture of ours, from memory: no path of the request ever reaches a disk."""
    file = static_files().get(request.match_info["name"])
    if file is None:
        raise NotFound("static file")
    headers = {"Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"}
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    if packed:
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=file.packed if packed else file.plain, headers=headers, content_type=file.media_type)


STATIC_PATH = "/static/{name:[a-zA-Z0-9._/-]{1,60}}"
"""Shared by everybody and without a visit: no cookie is read or set."""

ROUTES = (
    get("/", home, EVERYBODY),
    get("/accessibility", accessibility, EVERYBODY),
)
