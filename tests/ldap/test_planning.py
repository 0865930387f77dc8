"""A family name and a given name are one question: nobody walks along everybody who is called Marie."""

from __future__ import annotations

import pytest

from mss.directory.keys import Question, walks
from mss.ldap import planning
from mss.ldap.requests import All, Equal, Filter, Like

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
