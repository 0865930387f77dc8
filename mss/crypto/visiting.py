"""What opens another's door for us over HTTPS, and why did it not open? For every room that visits a FHIR server."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from mss.model.errors import BadValue

TOKEN_BYTES_MAX = 8 * 1024
"""A signed token with its claims is some two kilobytes."""


def token_in(path: Path) -> str:
    """The bearer token in a file, read anew each time: it may have been replaced. Raises BadValue."""
    try:
        token = path.read_bytes()[: TOKEN_BYTES_MAX + 1].decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise BadValue("the token file cannot be read") from problem
    if not token or len(token) > TOKEN_BYTES_MAX or not token.isprintable() or " " in token:
        raise BadValue("the token file holds no token")
    return token


def trouble(problem: BaseException) -> str:
    """Why there was no answer, in words that name nobody."""
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    if isinstance(problem, aiohttp.ClientConnectorCertificateError):
        return f"its certificate: {getattr(problem.certificate_error, 'verify_message', 'refused')}"
    if isinstance(problem, aiohttp.ClientConnectorError):
        return f"no connection: {(problem.os_error.strerror or 'failed').lower()}"
    if isinstance(problem, BadValue):
        return str(problem)
    return type(problem).__name__
