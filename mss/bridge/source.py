"""What does an import need from wherever the mail lies? The promise that Maildir and IMAP keep alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mss.bridge.foldermap import SourceFolder
from mss.model.errors import MssError


class SourceTrouble(MssError):
    """The source cannot be read now, or at all: one line that says what to do."""


class SourceDeclined(SourceTrouble):
    """The source is there and says no to this one thing."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A message of a folder: the name by which its source finds it again, and how large it says it is."""

    place: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Brought:
    """A message with all that is known of it. `at_ms`: INTERNALDATE; None when the source does not know."""

    place: str
    raw: bytes
    flags: int
    keywords: tuple[str, ...]
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class Unread:
    """A message that the source does not give, and why."""

    place: str
    why: str


class Source(Protocol):
    """Reads, and changes nothing over there."""

    name: str
    """Tells this source from others: where it is and who reads there."""

    async def folders(self) -> list[SourceFolder]:
        """All that may be read. Raises SourceTrouble."""
        ...

    async def listing(self, folder: SourceFolder) -> list[Listed]:
        """Its messages in their order. Raises SourceTrouble."""
        ...

    def messages(self, folder: SourceFolder, wanted: Sequence[Listed]) -> AsyncIterator[Brought | Unread]:
        """Those messages; who is gone meanwhile is left out. Raises SourceTrouble."""
        ...

    async def close(self) -> None:
        """Say goodbye. Never fails."""
        ...
