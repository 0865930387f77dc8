"""A browser without a screen: cookies, forms, redirects, and nothing more. For tests that do not need Chromium."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import unescape
from urllib.parse import urlencode, urlsplit

PATIENCE_S = 20.0
REDIRECTS_MAX = 5
_CSRF = re.compile(r'name="csrf" value="([^"]*)"')
_LINK = re.compile(r'href="([^"]*)"')
_TAGS = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Page:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    path: str

    @property
    def html(self) -> str:
        return self.body.decode()

    @property
    def text(self) -> str:
        """What a reader sees: no tags, single spaces."""
        return " ".join(unescape(_TAGS.sub(" ", self.html)).split())

    @property
    def csrf(self) -> str:
        found = _CSRF.search(self.html)
        assert found, f"{self.path} ({self.status}) has no form"
        return unescape(found[1])

    def links(self, pattern: str) -> list[str]:
        """Targets that match, each once, in the order of the page."""
        wanted = re.compile(pattern)
        found = (unescape(link) for link in _LINK.findall(self.html))
        return list(dict.fromkeys(link for link in found if wanted.fullmatch(link)))


@dataclass(frozen=True)
class Upload:
    """A file of a form."""

    field: str
    filename: str
    media_type: str
    content: bytes


class WebVisitor:
    """One browser profile at one site."""

    def __init__(self, url: str) -> None:
        self._site = urlsplit(url)
        self.cookies: dict[str, str] = {}

    def get(self, path: str) -> Page:
        return self._follow("GET", path, b"", {})

    def post(self, path: str, fields: Mapping[str, str], uploads: tuple[Upload, ...] = ()) -> Page:
        """Send a form; redirects are followed."""
        if not uploads:
            body, kind = urlencode(fields).encode(), "application/x-www-form-urlencoded"
        else:
            body, kind = _multipart(fields, uploads)
        return self._follow("POST", path, body, {"Content-Type": kind})

    def sign_in(self, login: str, password: str, code: Callable[[], str]) -> Page:
        """Both steps. The last page is the inbox, the desk, or the directory of professionals."""
        form = self.get("/login")
        second = self.post("/login", {"csrf": form.csrf, "login": login, "password": password})
        inbox = self.post("/login", {"csrf": second.csrf, "code": code()})
        assert inbox.path in ("/inbox", "/desk", "/pro"), f"not signed in: {inbox.text[:300]}"
        return inbox

    def _follow(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Page:
        for _ in range(REDIRECTS_MAX):
            page, target = self._ask(method, path, body, headers)
            if not target:
                return page
            method, path, body, headers = "GET", target, b"", {}
        raise AssertionError("redirects without end")

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[Page, str]:
        assert self._site.hostname is not None
        connection = http.client.HTTPConnection(self._site.hostname, self._site.port, timeout=PATIENCE_S)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            connection.request(method, path, body or None, headers | ({"Cookie": cookies} if cookies else {}))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        for given in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = given.partition(";")[0].partition("=")
            self.cookies[name] = value
        target = answer.headers.get("Location", "") if answer.status in (302, 303, 307, 308) else ""
        where = urlsplit(target)
        shown = where.path + (f"?{where.query}" if where.query else "")
        return Page(answer.status, dict(answer.headers.items()), content, path.partition("?")[0]), shown


def _multipart(fields: Mapping[str, str], uploads: tuple[Upload, ...]) -> tuple[bytes, str]:
    """RFC 7578."""
    boundary = "mss-tests-0123456789"
    parts = []
    for name, value in fields.items():
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    for one in uploads:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{one.field}"; filename="{one.filename}"\r\n'
        parts.append(f"{head}Content-Type: {one.media_type}\r\n\r\n".encode() + one.content + b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"
