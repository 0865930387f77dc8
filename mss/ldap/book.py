"""Who answers to this filter? The one search of every door, as an address book asks it.

Addresses only, each once, in the order of names; never more than a hundred, never longer than some seconds, and never
everybody: whoever asks so is told to say more.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mss.directory.extras import NOTHING_KNOWN, Extras
from mss.directory.keys import Question
from mss.directory.search import PAGE_MAX, Mark
from mss.directory.search import Search as Directory
from mss.ldap import planning
from mss.ldap.entries import Entry, entry_of, holds
from mss.ldap.names import Tree
from mss.ldap.replies import Problem
from mss.ldap.requests import Filter

SIZE_MAX = 100
"""Entries of one answer. Completion shows ten; a list that is longer is a question to be asked better."""
TIME_S_MAX = 10.0
PAGES_MAX = 5
"""Of one question: 5,000 keys at most are looked at, a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Entries, and why there are not more; `problem` None: these are all."""

    entries: tuple[Entry, ...]
    problem: Problem | None = None


class Book:
    """Looks people up for whoever is allowed to."""

    def __init__(self, directory: Directory, extras: Extras, tree: Tree) -> None:
        self._directory = directory
        self._extras = extras
        self._tree = tree

    async def find(self, asked: Filter, size_max: int, time_s_max: int) -> Answer:
        """Entries for which the filter holds. `size_max`, `time_s_max`: the client's own limits, 0 for none."""
        plan = planning.questions(asked)
        if plan is None:
            return Answer((), Problem.TOO_WIDE)
        most = min(size_max or SIZE_MAX, SIZE_MAX)
        found: list[Entry] = []
        try:
            async with asyncio.timeout(min(time_s_max or TIME_S_MAX, TIME_S_MAX)):
                problem = await self._gather(plan, asked, most, found)
        except TimeoutError:
            problem = Problem.MORE_THAN_TIME
        return Answer(tuple(found), problem)

    async def _gather(self, plan: tuple[Question, ...], asked: Filter, most: int, found: list[Entry]) -> Problem | None:
        """Fill `found`, so that what was found in time is kept."""
        seen: set[str] = set()
        is_cut, narrow = False, 0
        for question in plan:
            mark: Mark | None = None
            for _ in range(PAGES_MAX):
                page = await self._directory.find(question, page_max=PAGE_MAX, after=mark)
                narrow += not page.too_wide
                met = dict.fromkeys(one.listing.address.lower() for one in page.found)
                new = [address for address in met if address not in seen]
                seen.update(new)
                for entry in await self._all_at(new):
                    if not holds(asked, entry):
                        continue
                    if len(found) >= most:
                        return Problem.MORE_THAN_SIZE
                    found.append(entry)
                mark = page.more
                if mark is None:
                    break
            is_cut = is_cut or mark is not None
        if plan and not narrow:
            return Problem.TOO_WIDE
        return Problem.MORE_THAN_SIZE if is_cut else None

    async def at(self, address: str) -> Entry | None:
        """The entry of exactly this address; None when it is not listed."""
        return next(iter(await self._all_at([address])), None)

    async def _all_at(self, addresses: list[str]) -> list[Entry]:
        """Entries of those that are listed, in this order."""
        if not addresses:
            return []
        listed, extras = await self._directory.at_all(addresses), await self._extras.of(addresses)
        return [
            entry_of(listings, self._tree, extras.get(address, NOTHING_KNOWN))
            for address, listings in listed.items()
            if listings
        ]
