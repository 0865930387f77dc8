"""How do people come in and go out? Login and password, then the one-time code on the next page."""

from __future__ import annotations

from aiohttp import web

from mss.accounts.login import Entry
from mss.accounts.sessions import Level
from mss.model.verdict import Accept, Later
from mss.web.routing import Access, get, post
from mss.web.session import LANGUAGE_COOKIE, Visit, cookie_name, own_page
from mss.web.words import LANGUAGES, N_

_WRONG = N_("Identifiant ou mot de passe incorrect.")
_WRONG_CODE = N_("Ce code n’est pas le bon, ou il a déjà servi. Attendez le code suivant, puis réessayez.")
_START_AGAIN = N_("Le délai est dépassé ou il y a eu trop de codes incorrects. Recommencez, s’il vous plaît.")


async def show(visit: Visit) -> web.StreamResponse:
    """The page for login and password, or for the code when the password was right."""
    if visit.is_signed_in:
        return visit.redirect(visit.own_page(""))
    if visit.session is not None:
        return await visit.page("code.html", error="", wait_s=0)
    return await _ask_password(visit, next_page=own_page(visit.request.query.get("next", "")))


async def enter(visit: Visit) -> web.StreamResponse:
    """Either step, whichever the form brings."""
    if visit.form.get("code") or "code" in visit.form.fields:
        return await _code(visit)
    return await _password(visit)


async def _password(visit: Visit) -> web.StreamResponse:
    name, next_page = visit.form.get("login"), own_page(visit.form.get("next"))
    entry = await visit.rooms.login.password(name, visit.form.get("password"), visit.visitor, next_page)
    if entry.session is not None:
        visit.enter(entry.session)
        return visit.redirect("/login")
    error = "" if isinstance(entry.verdict, Later) else _WRONG
    return await _ask_password(visit, entry, error, name, next_page)


async def _code(visit: Visit) -> web.StreamResponse:
    half = visit.session
    if half is None or half.level is not Level.PASSWORD:
        return await _ask_password(visit, error=_START_AGAIN)
    entry = await visit.rooms.login.code(half, visit.form.get("code")[:20], visit.visitor)
    if isinstance(entry.verdict, Accept) and entry.session is not None:
        visit.enter(entry.session, entry.device)
        await _speak_as_before(visit)
        return visit.redirect(visit.own_page(str(half.notes.get("next", ""))))
    if entry.session is None:
        visit.leave()
        return await _ask_password(visit, error=_START_AGAIN)
    error = "" if isinstance(entry.verdict, Later) else _WRONG_CODE
    response = await visit.page("code.html", status=_status(entry, error), error=error, wait_s=entry.wait_s)
    return _with_wait(response, entry)


async def _ask_password(
    visit: Visit, entry: Entry | None = None, error: str = "", login: str = "", next_page: str = "/inbox"
) -> web.Response:
    wait_s = entry.wait_s if entry else 0
    status = _status(entry, error)
    response = await visit.page(
        "login.html", status=status, error=error, wait_s=wait_s, login=login, next_page=next_page
    )
    return _with_wait(response, entry)


def _status(entry: Entry | None, error: str) -> int:
    return 429 if entry and entry.wait_s else 401 if error else 200


def _with_wait(response: web.Response, entry: Entry | None) -> web.Response:
    if entry and entry.wait_s:
        response.headers["Retry-After"] = str(entry.wait_s)
    return response


async def _speak_as_before(visit: Visit) -> None:
    """On a new browser the account's language, until another is chosen here."""
    if visit.may(Access.PATIENT) and cookie_name(visit.request, LANGUAGE_COOKIE) not in visit.request.cookies:
        language = (await visit.profile()).language
        if language in LANGUAGES:
            visit.speak(language)


async def leave(visit: Visit) -> web.StreamResponse:
    """Sign out, or give up between password and code."""
    if visit.session is not None:
        await visit.rooms.login.sign_out(visit.session)
    visit.leave()
    return visit.redirect("/login", out="1")


async def leave_everywhere(visit: Visit) -> web.StreamResponse:
    """End the sessions of every browser."""
    assert visit.session is not None, "the route asks for somebody signed in"
    await visit.rooms.login.sign_out_everywhere(visit.session)
    visit.leave()
    return visit.redirect("/login", out="1")


ROUTES = (
    get("/login", show, Access.EVERYBODY),
    post("/login", enter, Access.EVERYBODY),
    post("/logout", leave, Access.EVERYBODY),
    post("/account/sign-out-everywhere", leave_everywhere),
    post("/pro/sign-out-everywhere", leave_everywhere, Access.PROFESSIONAL),
)
