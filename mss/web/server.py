"""Who may ask for which page, how long may it take, and what happens when something breaks?

Binds the table of routes to aiohttp: session, access, form token, then the page. Everything is bounded: connections
in all and of one address, uploads at a time, headers, bodies, time to send and to read.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from mss.crypto.tls import TlsHolder
from mss.model.errors import NotFound, StorageUnavailable
from mss.sandbox.pool import SandboxBusy
from mss.web import (
    account,
    corrections,
    desk,
    deskacts,
    directory,
    guard,
    home,
    inbox,
    ownmailboxes,
    professionals,
    record,
    signin,
)
from mss.web.connections import Connections
from mss.web.discovery import Discovery
from mss.web.forms import Form, FormRefused, read_form
from mss.web.pages import Pages
from mss.web.rooms import Rooms
from mss.web.routing import Route
from mss.web.session import Visit, begin_visit, own_page, words_for
from mss.web.words import LANGUAGES, N_

log = structlog.get_logger("web")

ROUTES: tuple[Route, ...] = (
    *home.ROUTES,
    *signin.ROUTES,
    *inbox.ROUTES,
    *record.ROUTES,
    *account.ROUTES,
    *desk.ROUTES,
    *deskacts.ROUTES,
    *corrections.ROUTES,
    *directory.ROUTES,
    *ownmailboxes.ROUTES,
    *professionals.ROUTES,
)

UPLOADS_AT_ONCE = 12
UPLOADS_OF_ONE = 2
"""Each may hold 20 MB: 240 MB in all. Others wait before we read."""
UPLOAD_WAIT_S = 60.0
SWEEP_S = 3600.0
DRAFT = web.RequestKey("draft", str)
"""Under this name a request holds what was typed into a form of ours."""

ERRORS = {
    400: N_("Cette demande est incompréhensible."),
    403: N_("Ce formulaire n’a pas été envoyé depuis une page de ce site, ou il est trop ancien. Rechargez la page."),
    404: N_("Cette page n’existe pas, ou elle n’est pas pour vous."),
    405: N_("Cette page n’existe pas, ou elle n’est pas pour vous."),
    408: N_("L’envoi a pris trop de temps. Réessayez avec une meilleure connexion."),
    413: N_("L’envoi est trop volumineux."),
    415: N_("Cette demande est incompréhensible."),
    500: N_("Une erreur est survenue de notre côté. Elle a été notée."),
    503: N_("Le service est momentanément indisponible. Réessayez dans un instant."),
}
"""What an error page says, by status."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A host, a port (0: any free one) and, for HTTPS, what keeps the TLS context."""

    host: str
    port: int
    tls: TlsHolder | None = None


class WebServer:
    """The patient's pages on HTTP, HTTPS or both. HTTP only redirects unless `pages_on_http` (loopback, demo)."""

    def __init__(
        self,
        rooms: Rooms,
        *,
        http: Listening | None = None,
        https: Listening | None = None,
        http_also: Listening | None = None,
        pages_on_http: bool = False,
        is_ready: Callable[[], bool] = lambda: True,
        discovery: Discovery | None = None,
        also: Mapping[str, web.Application] | None = None,
    ) -> None:
        """`http_also`: a second port for HTTP, where browsers refuse the first (10080 is on their list). `discovery`:
        what mail programs are told of their servers. `also`: applications of other doors on the same ports, by the
        beginning of their paths; they judge for themselves who asks."""
        self._rooms = rooms
        self._pages = Pages(rooms.site_name, rooms.clock)
        self._listening = [at for at in (http_also, http, https) if at is not None]
        self._pages_on_http = pages_on_http
        self._is_ready = is_ready
        self._discovery = discovery
        self._also = also or {}
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._uploads_of: Counter[int] = Counter()
        self._connections: Connections | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self.ports: dict[str, int] = {}
        """Ports in use by scheme, once started."""

    # ── begin and end ──

    async def start(self) -> None:
        """Listen. Raises OSError when a port is taken."""
        self._connections = Connections(self.application(), self._rooms.clock)
        await self._connections.begin()
        for at in self._listening:
            self.ports["https" if at.tls else "http"] = await self._connections.listen(at.host, at.port, at.tls)
        self._sweeper = asyncio.create_task(self._sweep_sessions())

    async def stop(self, grace_s: float = 5.0) -> None:
        """Stop listening, let requests end, close."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._connections is not None:
            await self._connections.end(grace_s)

    async def _sweep_sessions(self) -> None:
        while True:
            try:
                await self._rooms.sessions.sweep()
            except StorageUnavailable:
                log.warning("sessions not swept")
            await asyncio.sleep(SWEEP_S)

    def application(self) -> web.Application:
        """All routes as aiohttp serves them."""
        app = web.Application(middlewares=[self._errors_become_pages])
        app.on_response_prepare.append(guard.protect)
        app.router.add_get("/healthz", self._lives)
        app.router.add_get("/readyz", self._is_ready_answer)
        app.router.add_get(home.STATIC_PATH, home.static)
        for method, path, handler in self._discovery.routes() if self._discovery else ():
            app.router.add_route(method, path, handler)
        for path, other in self._also.items():
            app.add_subapp(path, other)
        for route in ROUTES:
            if route.method == "GET":
                app.router.add_get(route.path, self._bound(route))  # HEAD too
            else:
                app.router.add_post(route.path, self._bound(route))
        return app

    async def _lives(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _is_ready_answer(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n") if self._is_ready() else web.Response(text="not ready\n", status=503)

    # ── one request ──

    def _bound(self, route: Route) -> Handler:
        """A route's page behind everything that it must not forget."""

        async def answer(request: web.Request) -> web.StreamResponse:
            if not (request.secure or self._pages_on_http):
                return self._to_https(request)
            if route.method == "POST" and guard.comes_from_elsewhere(request):
                log.info("foreign form refused", route=route.path)
                raise FormRefused(403)
            visit = await begin_visit(request, self._rooms, self._pages)
            response = await self._answer(visit, route)
            visit.dress(response)
            return response

        return answer

    async def _answer(self, visit: Visit, route: Route) -> web.StreamResponse:
        language = visit.request.query.get("lang", "")
        if route.method == "GET" and language in LANGUAGES:
            visit.speak(language)
            return visit.redirect(visit.request.path)
        is_let_in = visit.may(route.access)
        if route.method == "POST":
            await self._take_form(visit, with_files=route.with_files and is_let_in)
        if is_let_in:
            return await route.answer(visit)
        if visit.is_signed_in:  # as somebody else than whom it is for
            raise NotFound("page")
        return await self._ask_to_sign_in(visit)

    async def _take_form(self, visit: Visit, *, with_files: bool) -> None:
        """Read the form and hold it to its token. Raises FormRefused."""
        if with_files:
            visit.form = await self._upload(visit)
        else:
            visit.form = await read_form(visit.request, with_files=False)
        if not visit.form_is_ours():
            log.info("form without its token refused", path=visit.request.match_info.route.resource.canonical)  # type: ignore[union-attr]
            raise FormRefused(403)
        visit.request[DRAFT] = visit.form.get("body")  # ours for certain, and not to be lost if something breaks

    async def _upload(self, visit: Visit) -> Form:
        """Read a form with files, when there is room for them."""
        assert visit.session is not None, "files are taken of signed-in patients only"
        account = visit.session.account
        if self._uploads_of[account] >= UPLOADS_OF_ONE:
            raise FormRefused(503)
        self._uploads_of[account] += 1
        try:
            async with asyncio.timeout(UPLOAD_WAIT_S) as waiting:
                async with self._uploads:
                    waiting.reschedule(None)
                    return await read_form(visit.request, with_files=True)
        except TimeoutError:
            raise FormRefused(503) from None
        finally:
            self._uploads_of[account] -= 1
            self._uploads_of += Counter()  # drops accounts that count nothing

    async def _ask_to_sign_in(self, visit: Visit) -> web.StreamResponse:
        """The way in, and back here; what was typed into a page that waited too long is given back."""
        if visit.request.method == "POST":
            return await visit.page("expired.html", status=401, draft=visit.form.get("body"))
        path = visit.request.path
        return visit.redirect("/login", **({"next": path} if own_page(path) == path != "/inbox" else {}))

    def _to_https(self, request: web.Request) -> web.StreamResponse:
        """The same page over TLS; only reading, so that nothing typed in clear is taken for sent."""
        host = re.match(r"[A-Za-z0-9.-]{1,253}", request.host or "")
        if host is None or "https" not in self.ports or request.method not in ("GET", "HEAD"):
            raise web.HTTPForbidden
        port = self.ports["https"]
        where = host[0] if port == 443 else f"{host[0]}:{port}"
        return web.Response(status=308, headers={"Location": f"https://{where}{request.raw_path}"})

    # ── when something breaks ──

    @web.middleware
    async def _errors_become_pages(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Unknown and foreign look alike; a fault of ours is noted by its place in the code and shown by no detail."""
        try:
            return await handler(request)
        except NotFound:
            return self._error_page(request, 404)
        except FormRefused as refused:
            return self._error_page(request, refused.status)
        except web.HTTPException as problem:
            return self._error_page(request, problem.status if problem.status in ERRORS else 400)
        except (StorageUnavailable, SandboxBusy):
            return self._error_page(request, 503)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as fault:  # noqa: BLE001 — one page fails, the house stands
            at = fault.__traceback__
            while at is not None and at.tb_next is not None:
                at = at.tb_next
            place = f"{at.tb_frame.f_code.co_filename.rpartition('/')[2]}:{at.tb_lineno}" if at else "?"
            log.error("page fault", kind=type(fault).__name__, at=place)
            return self._error_page(request, 500)

    def _error_page(self, request: web.Request, status: int) -> web.Response:
        """The same bytes for everybody who asks in one language; with her text, if she had typed one."""
        words = words_for(request)
        sentence = words.gettext(ERRORS[status])
        draft = request.get(DRAFT, "")
        response = self._pages.respond("error.html", words, status=status, visit=None, sentence=sentence, draft=draft)
        if status == 503:
            response.headers["Retry-After"] = "10"
        if status in (408, 413):
            response.force_close()
        return response
