"""A family name and a given name are one question: nobody walks along everybody who is called Marie."""

from __future__ import annotations

import pytest

from mss.directory.keys import Question, walks
from mss.ldap import planning
from mss.ldap.requests import All, Any, Equal, Filter, Like

MARTIN, MARIE = Equal("sn", "Martin"), Equal("givenname", "Marie")
MART, MAR = Like("sn", "Mart", (), ""), Like("gn", "Mar", (), "")


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        ((MARTIN, MARIE), "Martin Marie"),
        ((MARIE, MARTIN), "Martin Marie"),
        ((MARTIN, MAR), "Martin Mar"),
        ((MART, MARIE), "Marie Mart"),
        ((All((MARTIN, MARIE)), Equal("objectclass", "person")), "Martin Marie"),
    ],
    ids=["both whole", "the other way round", "given name begun", "family name begun", "inside another"],
)
def test_both_names_are_one_question(parts: tuple[Filter, ...], name: str) -> None:
    """Its walks name both, so they are as short as that person's name is rare."""
    assert planning.questions(All(parts)) == (Question(name=name, sounds_alike=False),)


def test_a_place_narrows_it_further() -> None:
    """As with any name."""
    (question,) = planning.questions(All((MARTIN, MARIE, Equal("l", "Lyon")))) or ()
    assert (question.name, question.place) == ("Martin Marie", "Lyon")
    assert all("lyon/" in walk.start or walk.start.startswith("g/") for walk in walks(question, ()))


@pytest.mark.parametrize("given", [MAR, Like("givenname", "", ("ari",), ""), Like("givenname", "M", (), "e")])
def test_two_beginnings_are_answered_as_before(given: Like) -> None:
    """Both are questions of their own; the filter is judged at each entry."""
    found = planning.questions(All((MART, given))) or ()
    assert any(question.name for question in found)


@pytest.mark.parametrize("name", ["cn", "displayname"])
def test_a_whole_name_beside_a_given_one_is_a_family_name(name: str) -> None:
    """Mail programs ask by both: a whole name without the given one in it is nobody's, so the family name is meant."""
    asked = Any((Equal(name, "Martin"), MARTIN))
    assert planning.questions(All((asked, MARIE))) == (Question(name="Martin Marie", sounds_alike=False),)
    may_be_hers = Any((Equal(name, "Marie Martin"), MARTIN))
    found = planning.questions(All((may_be_hers, MARIE))) or ()
    assert [question.name for question in found] == ["Marie Martin", "Martin Marie"]


def test_no_question_is_asked_twice() -> None:
    """Who is met by a name of either sort is not looked for by her given name once more, unless a place narrows it."""
    begun = Like("cn", "Mart", (), "")
    alone, narrowed = planning.questions(begun) or (), planning.questions(All((begun, Equal("l", "Lyon")))) or ()
    assert [question.kinds for question in alone if question.name] == [frozenset()]
    assert [question.place for question in narrowed if question.name] == ["Lyon", ""]
    whole = planning.questions(All((Equal("cn", "Martin"), Equal("l", "Lyon")))) or ()
    assert [question.place for question in whole] == ["Lyon", "Lyon"]
    assert all(walk.start.startswith(("c/", "r/")) for question in whole for walk in walks(question, ()))
