"""Who is asking, in which language, with which cookie? One `Visit` for each request.

The session's cookie is the only one that opens anything. Over HTTPS its name begins with `__Host-`, which browsers
accept only from this very host, for all of it, over TLS. Every form carries a token that is a keyed hash of that
cookie, so a page of another site cannot make one, and nothing has to be kept for visitors who are not signed in.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from mss.accounts.login import Visitor
from mss.accounts.service import Profile
from mss.accounts.sessions import Level, Session
from mss.accounts.staff import StaffMember
from mss.model.errors import NotFound
from mss.record.access import Role, Viewer
from mss.store.accounts import AccountKind
from mss.vault.opener import OwnerKeys
from mss.web.forms import Form
from mss.web.pages import Pages
from mss.web.rooms import Rooms
from mss.web.routing import Access
from mss.web.words import LANGUAGES, Words, preferred, words_of

SESSION_COOKIE = "mss"
DEVICE_COOKIE = "mss-device"
LANGUAGE_COOKIE = "mss-lang"
YEAR_S = 365 * 24 * 3600
ROW_NUMBER_MAX = 2**63 - 1  # what the store's integers hold
NUMBER_QUERY = r"[0-9]{1,16}"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}\Z", re.ASCII)
_OWN_PAGE = re.compile(r"/(?:inbox|record|history|profile|account)(?:/[0-9]{1,19})?\Z", re.ASCII)
_STAFF_PAGE = re.compile(r"/desk(?:/held/[0-9]{1,19})?\Z", re.ASCII)
_PROFESSIONAL_PAGE = re.compile(r"/pro(?:/account)?\Z", re.ASCII)
_KINDS = {
    Access.PATIENT: AccountKind.PATIENT,
    Access.STAFF: AccountKind.STAFF,
    Access.PROFESSIONAL: AccountKind.PROFESSIONAL,
}
_PAGES = {
    AccountKind.PATIENT: (_OWN_PAGE, "/inbox"),
    AccountKind.STAFF: (_STAFF_PAGE, "/desk"),
    AccountKind.PROFESSIONAL: (_PROFESSIONAL_PAGE, "/pro"),
}
"""Pages of each sort of people to go to after the sign-in, and the first of them."""


@dataclass(slots=True)
class Visit:
    """A request with everything that a page needs to know about it."""

    request: web.Request
    rooms: Rooms
    pages: Pages
    words: Words
    token: str
    is_new_token: bool
    session: Session | None
    form: Form = field(default_factory=Form)
    _cookies: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    _keys: OwnerKeys | None = None

    # ── who ──

    @property
    def is_signed_in(self) -> bool:
        return self.session is not None and self.session.level is Level.FULL

    @property
    def is_staff(self) -> bool:
        """Whether the operator's own people are asking."""
        return self.session is not None and self.session.kind is AccountKind.STAFF

    @property
    def is_professional(self) -> bool:
        return self.session is not None and self.session.kind is AccountKind.PROFESSIONAL

    def may(self, access: Access) -> bool:
        """Whether a page is for whoever asks. Patients have no desk, staff have no inbox, professionals neither."""
        if access is Access.EVERYBODY:
            return True
        return self.session is not None and self.is_signed_in and self.session.kind is _KINDS[access]

    def own_page(self, path: str) -> str:
        """A page of hers to go to after the sign-in; her first one when it is none."""
        known, first = _PAGES[self.session.kind if self.session else AccountKind.PATIENT]
        return path if known.match(path) else first

    async def member(self) -> StaffMember:
        """The person of the operator who asks. Raises NotFound."""
        assert self.session is not None, "the route asks for signed-in staff"
        if self.rooms.desk is None:
            raise NotFound("desk")
        return await self.rooms.desk.staff.one(self.session.account)

    @property
    def visitor(self) -> Visitor:
        device = self.request.cookies.get(cookie_name(self.request, DEVICE_COOKIE), "")
        return Visitor(self.request.remote or "", device)

    async def keys(self) -> OwnerKeys:
        """What opens the visitor's own things; of nobody else, whatever the request says."""
        assert self.session is not None, "the route asks for a signed-in patient"
        if self._keys is None:
            owner = self.session.account
            self._keys = await self.rooms.opener.open(owner, f"login:{owner}", "web")
        return self._keys

    async def profile(self) -> Profile:
        return await self.rooms.profiles.profile(await self.keys())

    async def viewer(self) -> Viewer:
        """As whom the record is looked at."""
        keys = await self.keys()
        return Viewer(keys.owner, Role.PATIENT, (await self.profile()).display_name)

    # ── what was asked ──

    def number(self, name: str) -> int:
        """A number of the path; the route let only digits through. Raises NotFound for more than a row can have."""
        number = int(self.request.match_info[name])
        if number > ROW_NUMBER_MAX:
            raise NotFound("number")
        return number

    def query_number(self, name: str, default: int) -> int:
        """A number of the query string, or the default when it is none."""
        text = self.request.query.get(name, "")
        return int(text) if re.fullmatch(NUMBER_QUERY, text, re.ASCII) else default

    # ── forms ──

    @property
    def csrf(self) -> str:
        hashed = self.rooms.lookup.of("web form", self.token)
        return base64.urlsafe_b64encode(hashed).decode().rstrip("=")

    def form_is_ours(self) -> bool:
        """Whether the form carries the token that only our page, shown to this browser, could hold."""
        given = self.form.get("csrf").encode("utf-8", "replace")
        return not self.is_new_token and hmac.compare_digest(given, self.csrf.encode())

    # ── answers ──

    async def page(self, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """A page of ours. Signed in, it has the navigation with the number of unread messages."""
        if self.is_signed_in and self.is_staff:
            values |= {"member": await self.member()}
        elif self.may(Access.PATIENT):
            keys = await self.keys()
            values |= {"person": await self.profile(), "n_unread": await self.rooms.inbox.unread(keys)}
        return self.pages.respond(template, self.words, status=status, visit=self, **values)

    def redirect(self, path: str, **query: str) -> web.Response:
        """See another page (303, so that a reload repeats no form)."""
        location = f"{path}?{urlencode(query)}" if query else path
        return web.Response(status=303, headers={"Location": location})

    def enter(self, session: Session, device: str = "") -> None:
        """From the answer on the browser holds this session's token."""
        self.session, self.token, self._keys = session, session.token, None
        self._cookies[SESSION_COOKIE] = (session.token, None)
        if device:
            self._cookies[DEVICE_COOKIE] = (device, YEAR_S)

    def leave(self) -> None:
        """From the answer on the browser holds no session."""
        self.session = None
        self._cookies[SESSION_COOKIE] = ("", 0)

    def speak(self, language: str) -> None:
        """Remember the language in this browser."""
        self._cookies[LANGUAGE_COOKIE] = (language, YEAR_S)

    def dress(self, response: web.StreamResponse) -> None:
        """Put the cookies on an answer."""
        if self.is_new_token:
            self._cookies.setdefault(SESSION_COOKIE, (self.token, None))
        for name, (value, max_age_s) in self._cookies.items():
            response.set_cookie(
                cookie_name(self.request, name),
                value,
                max_age=max_age_s,
                path="/",
                httponly=True,
                secure=self.request.secure,
                samesite="Lax",
            )


def cookie_name(request: web.Request, name: str) -> str:
    """The demo's pages on loopback are plain HTTP, where `__Host-` cannot be had."""
    return f"__Host-{name}" if request.secure else name


async def begin_visit(request: web.Request, rooms: Rooms, pages: Pages) -> Visit:
    """Read cookies and session."""
    token = request.cookies.get(cookie_name(request, SESSION_COOKIE), "")
    is_known_shape = bool(_TOKEN.match(token))
    session = await rooms.sessions.read(token) if is_known_shape else None
    if session is not None:
        await rooms.sessions.touch(session)
    return Visit(
        request=request,
        rooms=rooms,
        pages=pages,
        words=words_for(request),
        token=token if is_known_shape else rooms.sessions.new_token(),
        is_new_token=not is_known_shape,
        session=session,
    )


def words_for(request: web.Request) -> Words:
    """The language chosen in this browser, else the one that it asks for."""
    chosen = request.cookies.get(cookie_name(request, LANGUAGE_COOKIE), "")
    return words_of(chosen if chosen in LANGUAGES else preferred(request.headers.get("Accept-Language", "")))


def own_page(path: str) -> str:
    """A page of ours to go to after the sign-in; the inbox when it is none, so nobody is led elsewhere."""
    return path if any(known.match(path) for known, _ in _PAGES.values()) else "/inbox"
