"""How is a keyword of a folder written down? Sealed as it was written, found by a keyed hash, told by a bit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mss.accounts.service import KEYWORD_KIND as KEYWORD_KIND
from mss.crypto.keys import Lookup
from mss.vault.opener import OwnerKeys


@dataclass(frozen=True, slots=True)
class SealedKeyword:
    """A keyword (casefolded name), sealed for one folder as it was written."""

    name: str
    sealed: bytes
    hashed: bytes


def seal_keywords(lookup: Lookup, keys: OwnerKeys, folder: int, names: Iterable[str]) -> list[SealedKeyword]:
    """Ready for a transaction, which may be run twice."""
    return [
        SealedKeyword(
            name.casefold(),
            keys.seal_small(KEYWORD_KIND, folder, name.encode()),
            lookup.keyword(folder, name),
        )
        for name in sorted(names)
    ]


def mask(known: Mapping[str, int], names: Iterable[str]) -> int:
    """The bits of those names that are known."""
    return sum(1 << known[name] for name in {name.casefold() for name in names} if name in known)
