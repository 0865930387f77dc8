"""How does a value of our own types cross the wall of the sandbox, and come out as itself or not at all?

`encode` turns frozen dataclasses, tuples, dates, enumerations and bytes into JSON values and byte strings;
`decode` builds them again from the declared type hints. Nothing that was sent chooses a class: the reader says
which type it expects, every field is checked, every `__post_init__` runs, a field too many or too few is refused.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
D = TypeVar("D", bound=date)
Decoder = Callable[[Any, Sequence[bytes]], Any]

INTEGER_MAX = 2**63  # what the store can keep


class Nonsense(ValueError):
    """What came is not a value of the expected type."""


def encode(value: object) -> tuple[Any, list[bytes]]:
    """The JSON value of `value`, and the byte strings that it refers to by number (each object once)."""
    blobs: list[bytes] = []
    places: dict[int, int] = {}

    def blob(content: bytes) -> int:
        if id(content) not in places:
            places[id(content)] = len(blobs)
            blobs.append(content)
        return places[id(content)]

    return _encode(value, blob), blobs


def _encode(value: object, blob: Callable[[bytes], int]) -> Any:
    kind: Any = type(value)
    if kind is str or value is None or kind is int or kind is bool:  # nearly all values are
        return value
    if names := _names(kind):
        return {name: _encode(getattr(value, name), blob) for name in names}
    if isinstance(value, Enum):  # before str and int: StrEnum is both
        return value.value
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes):
        return blob(value)
    if isinstance(value, date):  # datetime is one
        return value.isoformat()
    if isinstance(value, tuple | list | frozenset):
        return [_encode(item, blob) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _encode(item, blob) for key, item in value.items()}
    raise TypeError(f"{type(value).__name__} cannot cross")


def decode(expected: type[T], sent: Any, blobs: Sequence[bytes]) -> T:
    """The value of type `expected` that was sent. Raises Nonsense."""
    hint: Any = expected
    try:
        return cast(T, decoder_of(hint)(sent, blobs))
    except RecursionError:
        raise Nonsense("nested too deeply") from None


@cache
def decoder_of(hint: Any) -> Decoder:
    """The function that checks and builds one declared type. A type that cannot cross is a TypeError at once."""
    if isinstance(hint, typing.NewType):
        return decoder_of(hint.__supertype__)
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin = get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return _optional(get_args(hint))
    if origin is tuple:
        return _tuple(get_args(hint))
    if origin is frozenset:
        return _frozenset(*get_args(hint))
    if origin in (dict, Mapping):
        return _mapping(*get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enumeration(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return _dataclass(hint)
    raise TypeError(f"{hint} cannot cross")


def _text(sent: Any, _blobs: Sequence[bytes]) -> str:
    if not isinstance(sent, str):
        raise Nonsense("not a text")
    if not sent.isascii():
        try:
            sent.encode()
        except UnicodeEncodeError:
            raise Nonsense("half a character") from None
    return sent


def _integer(sent: Any, _blobs: Sequence[bytes]) -> int:
    if type(sent) is not int or not -INTEGER_MAX <= sent < INTEGER_MAX:
        raise Nonsense("not an integer")
    return sent


def _number(sent: Any, _blobs: Sequence[bytes]) -> float:
    if type(sent) not in (int, float) or not math.isfinite(sent):
        raise Nonsense("not a number")
    return float(sent)


def _truth(sent: Any, _blobs: Sequence[bytes]) -> bool:
    if not isinstance(sent, bool):
        raise Nonsense("neither true nor false")
    return sent


def _nothing(sent: Any, _blobs: Sequence[bytes]) -> None:
    if sent is not None:
        raise Nonsense("not nothing")


def _bytes(sent: Any, blobs: Sequence[bytes]) -> bytes:
    if type(sent) is not int or not 0 <= sent < len(blobs):
        raise Nonsense("no such byte string")
    return blobs[sent]


def _day(sent: Any, _blobs: Sequence[bytes]) -> date:
    return _same_again(date.fromisoformat, sent, "not a date")


def _moment(sent: Any, _blobs: Sequence[bytes]) -> datetime:
    return _same_again(datetime.fromisoformat, sent, "not a moment")


def _same_again(read: Callable[[str], D], sent: Any, problem: str) -> D:
    """Only the one spelling that `encode` writes; Python's readers take several."""
    try:
        value = read(sent)
    except (TypeError, ValueError):
        raise Nonsense(problem) from None
    if value.isoformat() != sent:
        raise Nonsense(problem)
    return value


_PLAIN: dict[Any, Decoder] = {
    str: _text,
    int: _integer,
    float: _number,
    bool: _truth,
    bytes: _bytes,
    date: _day,
    datetime: _moment,
    type(None): _nothing,
}


def _optional(options: tuple[Any, ...]) -> Decoder:
    """`X | None`. A union of several types would let the sender choose, so it cannot cross."""
    wanted = [option for option in options if option is not type(None)]
    if len(wanted) != 1 or len(options) != 2:
        raise TypeError("a union of several types cannot cross")
    inner = decoder_of(wanted[0])
    return lambda sent, blobs: None if sent is None else inner(sent, blobs)


def _items(sent: Any) -> list[Any]:
    if not isinstance(sent, list):
        raise Nonsense("not a list")
    return sent


def _tuple(inside: tuple[Any, ...]) -> Decoder:
    if len(inside) == 2 and inside[1] is Ellipsis:
        each = decoder_of(inside[0])
        return lambda sent, blobs: tuple([each(item, blobs) for item in _items(sent)])
    places = [decoder_of(hint) for hint in inside]

    def fixed(sent: Any, blobs: Sequence[bytes]) -> tuple[Any, ...]:
        if len(_items(sent)) != len(places):
            raise Nonsense("another number of items")
        return tuple([place(item, blobs) for place, item in zip(places, sent, strict=True)])

    return fixed


def _frozenset(inside: Any) -> Decoder:
    each = decoder_of(inside)
    return lambda sent, blobs: frozenset([each(item, blobs) for item in _items(sent)])


def _mapping(key: Any, inside: Any) -> Decoder:
    if key is not str:
        raise TypeError("keys must be texts")
    each = decoder_of(inside)

    def build(sent: Any, blobs: Sequence[bytes]) -> dict[str, Any]:
        if not isinstance(sent, dict):
            raise Nonsense("not an object")
        return {_text(name, blobs): each(item, blobs) for name, item in sent.items()}

    return build


def _enumeration(kind: type[Enum]) -> Decoder:
    values = {member.value: member for member in kind}

    def build(sent: Any, _blobs: Sequence[bytes]) -> Enum:
        if isinstance(sent, str | int) and not isinstance(sent, bool) and sent in values:
            return values[sent]
        raise Nonsense(f"no {kind.__name__}")

    return build


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The fields that the constructor of a dataclass takes, the others follow from them; none of another type."""
    return tuple(field.name for field in fields(kind) if field.init) if is_dataclass(kind) else ()


def _dataclass(kind: type) -> Decoder:
    names = set(_names(kind))
    decoders: dict[str, Decoder] = {}

    def build(sent: Any, blobs: Sequence[bytes]) -> Any:
        if not decoders:  # at the first value, so that a type may hold itself
            hints = get_type_hints(kind)
            decoders.update({name: decoder_of(hints[name]) for name in names})
        if not isinstance(sent, dict) or sent.keys() != names:
            raise Nonsense(f"not the fields of {kind.__name__}")
        values = {}
        for name, decoder in decoders.items():
            value = sent[name]
            if decoder is _text and type(value) is str and value.isascii():  # nearly all are: `_text` would take it
                values[name] = value
            else:
                values[name] = decoder(value, blobs)
        try:
            return kind(**values)
        except (TypeError, ValueError):  # BadValue is a ValueError
            raise Nonsense(f"no {kind.__name__}") from None

    return build
