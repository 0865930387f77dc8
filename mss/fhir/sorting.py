"""In which order is a whole answer shown? `_sort=family,-_lastUpdated` (FHIR R4 §3.1.1.5.1).

Pure. Answers come as the walks along the keys meet them. Another order needs all of the answer at once: it is given
where all of it fits on one page, and refused elsewhere. A page that is sorted by itself is a lie about the list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from mss.directory.wholes import Entry, Unit
from mss.directory.words import fold
from mss.fhir.outcome import wrong

SORTS_MAX = 4
Order = tuple[tuple[str, bool], ...]
"""Names, each with whether the greatest comes first."""
Key = Callable[[Entry], str | float]


def _family(entry: Entry) -> str:
    return fold(entry.listings[0].listing.family) if entry.listings else ""


def _given(entry: Entry) -> str:
    return fold(entry.listings[0].listing.given) if entry.listings else ""


def _structure(entry: Entry) -> str:
    if entry.structure is not None:
        return fold(entry.structure.name)
    return fold(entry.listings[0].listing.structure) if entry.listings else ""


def _id(entry: Entry) -> str:
    return entry.id


def _changed(entry: Entry) -> float:
    return entry.changed.timestamp()


_ALWAYS: dict[str, Key] = {"_id": _id, "_lastUpdated": _changed}
SORTS: dict[Unit, dict[str, Key]] = {
    Unit.PRACTITIONER: {**_ALWAYS, "family": _family, "given": _given},
    Unit.ROLE: _ALWAYS,
    Unit.ORGANIZATION: {**_ALWAYS, "name": _structure},
}


def order_of(unit: Unit, text: str) -> Order:
    """Read `_sort`. Raises Refused."""
    order = tuple((one.removeprefix("-"), one.startswith("-")) for one in text.split(","))
    if len(order) > SORTS_MAX or not {name for name, _ in order} <= SORTS[unit].keys():
        raise wrong(f"_sort: up to {SORTS_MAX} of {', '.join(SORTS[unit])}, with - before what is to be turned round")
    return order


def in_order(unit: Unit, order: Order, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """A whole answer, sorted; who is equal stays in the order in which she was found."""
    found = list(entries)
    for name, is_turned in reversed(order):
        found.sort(key=partial(_at, SORTS[unit][name]), reverse=is_turned)
    return tuple(found)


def _at(key: Key, entry: Entry) -> str | float:
    return key(entry)
