"""What does she see of herself, and what may she choose? Identity card, language, sessions."""

from __future__ import annotations

from aiohttp import web

from mss.web.routing import get, post
from mss.web.session import Visit
from mss.web.words import LANGUAGES


async def profile(visit: Visit) -> web.StreamResponse:
    """Her identity as her professionals know it."""
    identity = await visit.rooms.profiles.identity(await visit.keys())
    return await visit.page("profile.html", identity=identity)


async def account(visit: Visit) -> web.StreamResponse:
    """Language and sessions."""
    chosen = (await visit.profile()).language
    return await visit.page("account.html", chosen=chosen, was_saved="saved" in visit.request.query)


async def choose(visit: Visit) -> web.StreamResponse:
    """Keep the language, for this browser and for what we write to her."""
    language = visit.form.get("language")
    if language in LANGUAGES:
        await visit.rooms.profiles.set_language(await visit.keys(), language)
        visit.speak(language)
    return visit.redirect("/account", saved="1")


ROUTES = (
    get("/profile", profile),
    get("/account", account),
    post("/account", choose),
)
