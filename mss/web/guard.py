"""What does every answer carry so that a browser protects its reader, and which requests come from elsewhere?"""

from __future__ import annotations

from aiohttp import web

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
"""No script at all, nothing from elsewhere. `data:` pictures: those of a CDA, and the style sheet's arrows."""
YEAR_S = 365 * 24 * 3600

_ALWAYS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: browsers would then send `Origin: null` with our own forms (Fetch §3.2).
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


def page_policy(more: str) -> str:
    """The policy of a page that needs one thing more."""
    return f"{PAGE_POLICY}; {more}"


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """Give an answer what it does not say otherwise itself."""
    for name, value in _ALWAYS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "mss"
    if "frame-ancestors 'self'" in response.headers["Content-Security-Policy"]:
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
    if request.secure:
        response.headers["Strict-Transport-Security"] = f"max-age={YEAR_S}; includeSubDomains"


def comes_from_elsewhere(request: web.Request) -> bool:
    """Whether the browser says that another site caused this request.

    Programs send neither field and are held by the form's token alone (Fetch Metadata; RFC 6454 §7).
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        return True
    origin = request.headers.get("Origin")
    return origin is not None and origin != f"{request.scheme}://{request.host}"
