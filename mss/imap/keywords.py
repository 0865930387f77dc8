"""Which bit is a keyword of this folder? Names sealed beforehand, bits given in the transaction that uses them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from sqlalchemy import Connection

from mss.crypto.keys import Lookup
from mss.imap.backend import Folder, FolderProblem, FolderRefused
from mss.imap.takings import ANSWERED_BY
from mss.mail import keywords as kept
from mss.mail.keywords import KEYWORD_KIND as KEYWORD_KIND
from mss.mail.keywords import SealedKeyword as SealedKeyword
from mss.mail.keywords import mask as mask
from mss.store import keywordbits
from mss.vault.opener import OwnerKeys


def seal_keywords(lookup: Lookup, keys: OwnerKeys, folder: Folder, names: Iterable[str]) -> list[SealedKeyword]:
    """Ready for `bits`, which may be run twice."""
    return kept.seal_keywords(lookup, keys, folder.id, names)


def bits(connection: Connection, folder: Folder, keywords: Iterable[SealedKeyword]) -> dict[str, int]:
    """Bits of keywords in a folder, new ones added. Raises FolderRefused when it has no room."""
    found = {}
    for keyword in keywords:
        bit = keywordbits.add(connection, folder.box.owner, folder.id, keyword.sealed, keyword.hashed)
        if bit is None:
            raise FolderRefused(FolderProblem.TOO_MANY_KEYWORDS)
        found[keyword.name] = bit
    return found


def add_keywords(connection: Connection, folder: Folder, keywords: Sequence[SealedKeyword]) -> dict[str, int]:
    """Bits of keywords. Raises FolderRefused when there is no room; for who has answered, room is not insisted upon."""
    optional = ANSWERED_BY.casefold()
    known = bits(connection, folder, [one for one in keywords if not one.name.startswith(optional)])
    for one in keywords:
        if one.name.startswith(optional):
            with suppress(FolderRefused):
                known |= bits(connection, folder, [one])
    return known


def names_at(connection: Connection, keys: OwnerKeys, folder: Folder) -> dict[str, int]:
    """Bits of all keywords that a folder knows now, by casefolded name."""
    sealed = keywordbits.of_folder(connection, folder.box.owner, folder.id)
    return {keys.open_small(KEYWORD_KIND, folder.id, name).decode().casefold(): bit for bit, name in sealed}


def translate(kw: int, pairs: Sequence[tuple[int, int]]) -> int:
    """Bits of one folder as bits of another."""
    return sum(new for old, new in pairs if kw & old)
