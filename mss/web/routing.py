"""Which pages exist, and who may ask for each? A table, so that tests can walk it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from mss.web.session import Visit


class Access(StrEnum):
    """Who may ask for a page. What she may see on it is asked again of the rooms, for her own number only."""

    EVERYBODY = "everybody"
    PATIENT = "patient"
    STAFF = "staff"
    PROFESSIONAL = "professional"


Answer = Callable[["Visit"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """A page. Numbers in paths match `NUMBER`; anything else is no such page. POST pages carry a CSRF token."""

    method: str
    path: str
    answer: Answer
    access: Access
    with_files: bool = False


NUMBER = "[0-9]{1,19}"
PART = "[0-9]{1,4}(?:\\.[0-9]{1,4}){0,20}"
"""An IMAP section (RFC 9051 §6.4.5): `2`, `1.2`."""


def get(path: str, answer: Answer, access: Access = Access.PATIENT) -> Route:
    return Route("GET", path, answer, access)


def post(path: str, answer: Answer, access: Access = Access.PATIENT, *, with_files: bool = False) -> Route:
    return Route("POST", path, answer, access, with_files)
