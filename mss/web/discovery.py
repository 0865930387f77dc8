"""Where does a mail program ask for its servers? Three addresses of the web, for everybody, without a session.

Whether a mailbox exists is never asked: whoever names an address of our domains gets the same answer. Another domain
is unknown here, as any other page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from mss.formats import discovery
from mss.formats.discovery import REQUEST_BYTES_MAX, SchemaUnknown, Servers
from mss.model.clock import Clock
from mss.model.errors import BadValue, NotFound
from mss.model.ids import MailAddress

AUTOCONFIG_HOST = "autoconfig."
AUTODISCOVER_PATHS = tuple(
    f"/{folder}/{file}.xml"
    for folder in ("autodiscover", "Autodiscover", "AutoDiscover")
    for file in ("autodiscover", "Autodiscover", "AutoDiscover")
)
"""Where this was first made, capitals do not count; programs write them as they like."""
PROFILE = "application/x-apple-aspen-config"
READ_S_MAX = 10.0
"""For a request of some hundred octets."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Discovery:
    """What is told, and who signs profiles: plist in, CMS out (in a thread)."""

    servers: Servers
    sign: Callable[[bytes], bytes]
    clock: Clock

    def routes(self) -> list[tuple[str, str, Handler]]:
        """(method, path, handler). Autoconfig is told in clear too, where programs look after TLS has failed; it holds
        nothing secret."""
        return [
            ("GET", "/.well-known/autoconfig/mail/config-v1.1.xml", self.autoconfig),
            ("GET", "/mail/config-v1.1.xml", self.autoconfig),
            *(("POST", path, self.autodiscover) for path in AUTODISCOVER_PATHS),
            ("GET", "/apple.mobileconfig", self.profile),
        ]

    async def autoconfig(self, request: web.Request) -> web.Response:
        """Thunderbird and its kin. The address in the query only has to be of ours."""
        if (asked := request.query.get("emailaddress")) is not None:
            domain = self._ours(asked).domain
        else:
            named = (request.host or "").partition(":")[0].lower().removeprefix(AUTOCONFIG_HOST)
            domain = named if self.servers.knows(named) else self.servers.domains[0]
        return web.Response(body=discovery.autoconfig(self.servers, domain), content_type="text/xml", charset="utf-8")

    async def autodiscover(self, request: web.Request) -> web.Response:
        """Outlook's POX. Errors are answers too."""
        _only_with_tls(request)
        now = self.clock.now()
        try:
            address = discovery.read_autodiscover(await _body(request))
        except SchemaUnknown:
            body = discovery.autodiscover_error(601, "Provider is not available", now)
        except BadValue:
            body = discovery.autodiscover_error(600, "Invalid Request", now)
        else:
            known = self.servers.knows(address.domain)
            unknown = discovery.autodiscover_error(500, "The email address cannot be found", now)
            body = discovery.autodiscover(self.servers, address) if known else unknown
        return web.Response(body=body, content_type="text/xml", charset="utf-8")

    async def profile(self, request: web.Request) -> web.Response:
        """A profile for iPhone, iPad and Mac, signed with the certificate of this site."""
        _only_with_tls(request)
        address = self._ours(request.query.get("email", ""))
        signed = await asyncio.to_thread(self.sign, discovery.apple_profile(self.servers, address))
        headers = {"Content-Disposition": 'attachment; filename="messagerie.mobileconfig"'}
        return web.Response(body=signed, content_type=PROFILE, headers=headers)

    def _ours(self, text: str) -> MailAddress:
        """Raises NotFound."""
        try:
            address = MailAddress.parse(text)
        except BadValue:
            raise NotFound("no address") from None
        if not self.servers.knows(address.domain):
            raise NotFound("not our domain")
        return address


def _only_with_tls(request: web.Request) -> None:
    """What names a person or is to be installed is not said in clear."""
    if not request.secure:
        raise NotFound("over TLS only")


async def _body(request: web.Request) -> bytes:
    """Raises BadValue when it is too long, HTTPException when it takes too long."""
    if (request.content_length or 0) > REQUEST_BYTES_MAX:
        raise BadValue("too large")
    try:
        async with asyncio.timeout(READ_S_MAX):
            body = b""
            while piece := await request.content.read(REQUEST_BYTES_MAX):
                body += piece
                if len(body) > REQUEST_BYTES_MAX:
                    raise BadValue("too large")
            return body
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
