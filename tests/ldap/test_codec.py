"""Every string of octets is a request or our error; and an entry reads back as it was written."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ldaptor.protocols import pureldap

from mss.directory.keys import NAME_LETTERS_MIN
from mss.directory.words import fold
from mss.ldap import codec, planning
from mss.ldap.entries import Entry, holds
from mss.ldap.requests import All, Any, Broken, Equal, Filter, Like, Not, Present, Search, Unknowable
from tests.kit.ldap_house import begins, element, message, number, search, text

names = st.sampled_from(
    ["cn", "sn", "givenName", "mail", "o", "l", "title", "employeeNumber", "objectClass", "nickName"]
)
values = st.text(st.characters(codec="utf-8"), max_size=12)
leaves = st.one_of(
    st.builds(Equal, names.map(str.lower), values, st.booleans()),
    st.builds(Like, names.map(str.lower), values, st.lists(values, max_size=2).map(tuple), values),
    st.builds(Present, names.map(str.lower)),
    st.just(Unknowable()),
)
filters = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(All, st.lists(inner, max_size=4).map(tuple)),
        st.builds(Any, st.lists(inner, max_size=4).map(tuple)),
    ),
    max_leaves=12,
)


def written(asked: Filter) -> bytes:
    """A filter in BER, by hand."""
    match asked:
        case All(parts) | Any(parts):
            return element(0xA0 if isinstance(asked, All) else 0xA1, *map(written, parts))
        case Not(part):
            return element(0xA2, written(part))
        case Equal(name, value, sounds_alike):
            return element(0xA8 if sounds_alike else 0xA3, text(name), text(value))
        case Present(name):
            return text(name, 0x87)
        case Like(name, first, middle, last):
            pieces = [text(first, 0x80)] * bool(first) + [text(one, 0x81) for one in middle]
            return element(0xA4, text(name), element(0x30, *pieces, *[text(last, 0x82)] * bool(last)))
        case Unknowable():
            return element(0xA5, text("cn"), text("x"))


def read(octets: bytes) -> object:
    frames = codec.Frames()
    frames.feed(octets)
    frame = frames.take()
    return None if frame is None else codec.read(frame)


@given(filters)
def test_filters_are_read_as_they_were_written(asked: Filter) -> None:
    """And, or, not, pieces, sound, in every combination. (A pattern without pieces is none.)"""
    try:
        found = read(message(7, search(written(asked))))
    except Broken:
        assert _has_empty_pattern(asked) or _depth(asked) > codec.FILTER_DEPTH_MAX
        return
    assert found is not None
    assert isinstance(found.request, Search)  # type: ignore[attr-defined]
    assert found.request.filter == asked  # type: ignore[attr-defined]


def _has_empty_pattern(asked: Filter) -> bool:
    if isinstance(asked, All | Any):
        return any(map(_has_empty_pattern, asked.parts))
    if isinstance(asked, Not):
        return _has_empty_pattern(asked.part)
    return isinstance(asked, Like) and not (asked.first or asked.middle or asked.last)


def _depth(asked: Filter) -> int:
    if isinstance(asked, All | Any):
        return 1 + max(map(_depth, asked.parts), default=0)
    return 1 + _depth(asked.part) if isinstance(asked, Not) else 1


@given(st.binary(max_size=300))
@example(b"\x30\x80\x00\x00")
@example(b"\x30\x84\xff\xff\xff\xff")
@example(message(1, element(0x63, element(0xA4, text("x")))))
@example(message(1, element(0x60, number(3), element(0xA3))))
def test_garbage_is_our_error(octets: bytes) -> None:
    """Never another, never a word on the terminal, never more memory than what came."""
    for tried in (octets, message(1, element(0x63, octets)), message(1, element(0x60, octets)), element(0x30, octets)):
        try:
            read(tried)
        except Broken:
            pass


@given(st.data())
def test_a_broken_message_is_our_error(data: st.DataObject) -> None:
    """A right one with octets changed, cut out, put in."""
    octets = bytearray(message(1, search(written(data.draw(filters)), wanted=("cn", "mail"))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(octets) - 1))
        octets[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    try:
        read(bytes(octets))
    except Broken:
        pass


@given(
    st.integers(1, codec.NUMBER_MAX), st.text(max_size=200), st.lists(st.tuples(values, st.lists(values)), max_size=5)
)
@example(128, "x" * 70_000, [("cn", ["é" * 130, ""]), ("sn", [])])
def test_an_entry_is_written_as_the_library_writes_it(
    number: int, dn: str, attributes: list[tuple[str, list[str]]]
) -> None:
    """Octet for octet, in a twentieth of the time."""
    pairs = [(name.encode(), [value.encode() for value in several]) for name, several in attributes]
    told = pureldap.LDAPMessage(pureldap.LDAPSearchResultEntry(dn.encode(), pairs), id=number).toWire()
    assert codec.entry(number, dn, attributes) == told


def test_the_library_is_never_heard(capsys: pytest.CaptureFixture[str]) -> None:
    """ldaptor prints what it does not know; whatever it would print about is refused before."""
    for tag in range(256):
        for tried in (element(tag, b"x"), element(tag), element(0xA0, element(tag, b"x")), begins("sn", "x")):
            for operation in (search(tried), element(0x60, number(3), text("x"), tried), element(0x77, tried)):
                try:
                    read(message(1, operation))
                except Broken:
                    pass
    assert capsys.readouterr() == ("", "")


@given(filters)
def test_no_filter_asks_for_everybody(asked: Filter) -> None:
    """Each question of its plan names somebody by three letters, a place, a number; never nothing."""
    for question in planning.questions(asked) or ():
        texts = (question.name, question.structure, question.job, question.identifier)
        letters = [len(fold(one).replace(" ", "")) for one in texts]
        assert question.place or max(*letters, len(question.address)) >= NAME_LETTERS_MIN


@given(filters)
def test_three_values_are_reckoned_as_they_should(asked: Filter) -> None:
    """Not not is the same; a filter and its opposite never both hold."""
    entry = Entry("uid=x", {"cn": ("Camille LEFÈVRE",), "mail": ("camille.lefevre@ville.mssante.example",)})
    said = holds(asked, entry)
    assert holds(Not(Not(asked)), entry) == said
    assert not (said and holds(Not(asked), entry))
