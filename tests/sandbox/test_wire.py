"""Values that cross the wall: themselves, or nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from typing import Any, NewType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.model.ids import Ins, InsOid, MailAddress, Matricule
from mss.sandbox.wire import Nonsense, decode, decoder_of, encode

Number = NewType("Number", int)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1


@dataclass(frozen=True, slots=True)
class Leaf:
    name: str
    content: bytes = b""
    day: date | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Tree:
    leaves: tuple[Leaf, ...]
    colour: Colour = Colour.RED
    size: Size = Size.SMALL
    pair: tuple[int, bool] = (1, True)
    weight: float = 0.5
    serial: Number = Number(0)
    tags: frozenset[str] = frozenset()
    notes: dict[str, int] = field(default_factory=dict)
    child: Tree | None = None
    count: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", len(self.leaves))


_moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))])) | st.datetimes()
_texts = st.text(st.characters(exclude_categories=["Cs"]))
_leaves = st.builds(Leaf, name=_texts, content=st.binary(), day=st.none() | st.dates(), at=st.none() | _moments)
_flat = st.builds(
    Tree,
    leaves=st.lists(_leaves, max_size=4).map(tuple),
    colour=st.sampled_from(Colour),
    pair=st.tuples(st.integers(-(2**63), 2**63 - 1), st.booleans()),
    weight=st.floats(allow_nan=False, allow_infinity=False),
    tags=st.frozensets(_texts, max_size=3),
    notes=st.dictionaries(_texts, st.integers(0, 9), max_size=3),
)
_trees = st.builds(lambda tree, child: Tree(tree.leaves, child=child), _flat, _flat) | _flat


def crossed(value: object) -> tuple[Any, list[bytes]]:
    sent, blobs = encode(value)
    return json.loads(json.dumps(sent, ensure_ascii=False).encode()), blobs


@given(_trees)
def test_a_value_comes_out_as_itself(tree: Tree) -> None:
    """Texts, bytes, days, moments, enumerations, nested and absent."""
    assert decode(Tree, *crossed(tree)) == tree


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(_trees, st.data())
def test_a_changed_value_is_a_value_or_nonsense(tree: Tree, data: st.DataObject) -> None:
    """Whatever a worker puts in the place of a field, no other error and no other type comes out."""
    sent, blobs = crossed(tree)
    name = data.draw(st.sampled_from(sorted(sent)))
    sent[name] = data.draw(_json)
    try:
        value = decode(Tree, sent, blobs)
    except Nonsense:
        return
    assert isinstance(value, Tree)
    assert decode(Tree, *crossed(value)) == value


@pytest.mark.parametrize(
    ("expected", "sent"),
    [
        (str, 5), (str, None), (str, "\ud800"), (int, True), (int, 2**63), (int, 1.0), (float, "1"),
        (float, float("nan")), (bool, 1), (bytes, 1), (bytes, -1), (bytes, True), (bytes, "x"), (date, "20260105"),
        (date, 5), (datetime, "2026-01-05"), (Colour, "green"), (Colour, []), (Size, True), (Leaf, []),
        (Leaf, {"name": "x"}),
        (Leaf, {"name": "x", "content": 0, "day": None, "at": None, "more": 1}),
        (tuple[int, ...], "12"), (tuple[int, bool], [1]), (dict[str, int], [["a", 1]]),
    ],
)  # fmt: skip
def test_another_type_is_nonsense(expected: type, sent: object) -> None:
    """Nothing is converted, guessed or left out."""
    with pytest.raises(Nonsense):
        decode(expected, sent, [b"only one"])


def test_checks_at_birth_are_made_again() -> None:
    """A worker cannot hand over an identifier that our types refuse."""
    good = Ins(Matricule("279035121518989"), InsOid.NIR_TEST)
    sent, blobs = crossed(good)
    assert decode(Ins, sent, blobs) == good
    sent["matricule"]["value"] = "' OR 1=1"
    with pytest.raises(Nonsense):
        decode(Ins, sent, blobs)
    address = MailAddress.parse("Labo@labo.example")
    assert decode(MailAddress, *crossed(address)).key == "labo@labo.example"


def test_shared_bytes_cross_once() -> None:
    """A thousand fiches of one file do not make a thousand copies."""
    content = bytes(1000)
    tree = Tree(tuple(Leaf(str(n), content) for n in range(50)))
    sent, blobs = crossed(tree)
    assert len(blobs) == 1
    assert decode(Tree, sent, blobs) == tree


@pytest.mark.parametrize("hint", [int | str, Any, object, list[Any], dict[int, str], type])
def test_a_type_that_lets_the_sender_choose_cannot_cross(hint: Any) -> None:
    """Refused when it is named, not when a stranger tries it."""
    with pytest.raises(TypeError):
        decoder_of(hint)


def test_endless_nesting_is_nonsense() -> None:
    """A type may hold itself; a worker cannot use that to break the house."""
    sent, blobs = encode(Tree(()))
    deep = sent
    for _ in range(5000):
        deep = {**sent, "child": deep}
    with pytest.raises(Nonsense):
        decode(Tree, deep, blobs)
