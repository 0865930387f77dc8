"""How does a professional make her way in, and what may she change? The link that works once, and her sessions.

What she finds when she is in is the directory (directory.py). Nothing of her mailbox is opened here.
"""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from mss.accounts import onetime
from mss.accounts.passwords import LENGTH_MAX, PasswordFault, faults_of
from mss.accounts.professionals import Invited
from mss.model.errors import NotFound
from mss.web.rooms import Surgery
from mss.web.routing import Access, get, post
from mss.web.session import Visit
from mss.web.words import N_

CODE_CHARS_MAX = 20
FAULTS = {
    PasswordFault.TOO_SHORT: N_("Neuf caractères au moins."),
    PasswordFault.TOO_LONG: N_("128 caractères au plus."),
    PasswordFault.NO_LOWER: N_("Une lettre minuscule au moins."),
    PasswordFault.NO_UPPER: N_("Une lettre majuscule au moins."),
    PasswordFault.NO_DIGIT: N_("Un chiffre au moins."),
    PasswordFault.NO_SPECIAL: N_("Un autre caractère au moins : ponctuation ou espace."),
    PasswordFault.CONTAINS_LOGIN: N_("Pas votre adresse dans le mot de passe."),
}
_TWO = N_("Les deux mots de passe ne sont pas les mêmes.")
_NO_LINK = N_(
    "Ce lien ne sert plus : il a déjà servi, ou il a plus d’une semaine. Demandez-en un autre à votre opérateur."
)
_CODE = N_("Ce code n’est pas le bon. Attendez le code suivant, puis réessayez.")


def surgery_of(visit: Visit) -> Surgery:
    """Raises NotFound where no professional signs in."""
    if visit.rooms.surgery is None:
        raise NotFound("pages of professionals")
    return visit.rooms.surgery


async def reader_of(visit: Visit) -> Surgery:
    """The rooms behind the page, for a professional who may still read. Raises NotFound, and ends the session of one
    who may not: the browser is told at its next step."""
    surgery = surgery_of(visit)
    assert visit.session is not None, "the route asks for a signed-in professional"
    if not await surgery.professionals.may_read(visit.session.account):
        await visit.rooms.login.sign_out(visit.session)
        raise NotFound("page of somebody whose access has ended")
    return surgery


async def invitation(visit: Visit) -> web.StreamResponse:
    """Where she chooses a password and sets up her codes."""
    invited = await _invited(visit)
    return _no_link(visit) if invited is None else await _ask(visit, invited)


async def accept(visit: Visit) -> web.StreamResponse:
    """Take what she chose; she is signed in. What is wrong is told beside the fields, and the link stays good."""
    invited, surgery = await _invited(visit), surgery_of(visit)
    if invited is None:
        return _no_link(visit)
    password = visit.form.get("password")
    errors = [FAULTS[fault] for fault in faults_of(password, invited.address.partition("@")[0])]
    if not errors and password != visit.form.get("again"):
        errors.append(_TWO)
    if errors:
        return await _ask(visit, invited, errors)
    hashed = await surgery.passwords.hash(password)
    token, code = visit.request.match_info["token"], visit.form.get("code")[:CODE_CHARS_MAX]
    session = await surgery.professionals.accept(token, visit.token, hashed, code)
    if session is None:
        return await _ask(visit, invited, [_CODE])
    visit.enter(session)
    return visit.redirect("/pro", welcome="1")


async def _invited(visit: Visit) -> Invited | None:
    return await surgery_of(visit).professionals.invited(visit.request.match_info["token"])


def _no_link(visit: Visit) -> web.Response:
    """The same words for a link that is unknown, used, too old, or of somebody who may not sign in."""
    sentence = visit.words.gettext(_NO_LINK)
    return visit.pages.respond("error.html", visit.words, status=404, visit=None, sentence=sentence, draft="")


async def _ask(visit: Visit, invited: Invited, errors: list[str] | None = None) -> web.Response:
    token = visit.request.match_info["token"]
    secret = onetime.to_base32(surgery_of(visit).professionals.code_secret(token, visit.token))
    name = quote(f"{visit.rooms.site_name}:{invited.address}", safe="")
    return await visit.page(
        "invitation.html",
        status=422 if errors else 200,
        invited=invited,
        errors=errors or [],
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        code_link=f"otpauth://totp/{name}?secret={secret}&issuer={quote(visit.rooms.site_name, safe='')}",
        password_chars_max=LENGTH_MAX,
        here=visit.request.path,
    )


async def account(visit: Visit) -> web.StreamResponse:
    """Sessions, and what is to be done when a phone is lost."""
    await reader_of(visit)
    return await visit.page("proaccount.html")


_LINK = "/pro/invitation/{token:[A-Za-z0-9_-]{43}}"
ROUTES = (
    get(_LINK, invitation, Access.EVERYBODY),
    post(_LINK, accept, Access.EVERYBODY),
    get("/pro/account", account, Access.PROFESSIONAL),
)
