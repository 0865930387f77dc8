"""Conversations are found whatever strangers write into references; subjects are compared by their base."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.imap.subjects import base_subject
from mss.imap.thread import Letter, threads


@pytest.mark.parametrize(
    ("subject", "base", "is_reply"),
    [
        (b" Re: Bilan", "BILAN", True),
        (b"RE : re: [hopital] Bilan (fwd) ", "BILAN", True),
        (b"[Fwd: Re: Bilan]", "BILAN", True),
        (b"[hopital] [labo]", "[LABO]", False),
        (b"=?utf-8?q?R=C3=A9sultat?=", "R\u00c9SULTAT", False),
        (b"", "", False),
        (b"Regime", "REGIME", False),
    ],
)
def test_the_base_of_a_subject_is_what_people_mean(subject: bytes, base: str, is_reply: bool) -> None:
    """Prefixes, lists and forwards fall away (RFC 5256 \u00a72.1)."""
    assert base_subject(subject) == (base, is_reply)


def test_subjects_made_of_prefixes_take_no_time() -> None:
    """A stranger's subject is read in bounded time."""
    assert base_subject(b"Re: [a] " * 5000)[1]
    assert base_subject(b"[" * 30_000)[0]
    assert base_subject(b"[a]" * 10_000 + b"re")[0]


def letter(number: int, *references: str, subject: str = "", is_reply: bool = False, sent_ms: int = 0) -> Letter:
    return Letter(number, f"<{number}@x>", references, subject, is_reply, sent_ms or number)


@pytest.mark.parametrize(
    ("letters", "answer"),
    [
        ([], b""),
        ([letter(1), letter(2, "<1@x>"), letter(3, "<1@x>", "<2@x>")], b"(1 2 3)"),
        ([letter(1), letter(2, "<1@x>"), letter(3, "<1@x>")], b"(1 (2)(3))"),
        ([letter(2, "<gone@x>"), letter(3, "<gone@x>")], b"((2)(3))"),
        ([letter(2, "<gone@x>")], b"(2)"),
        ([letter(1, "<2@x>"), letter(2, "<1@x>")], b"(2 1)"),
        ([letter(1, "<1@x>")], b"(1)"),
        ([letter(1, subject="A"), letter(2, subject="A", is_reply=True)], b"(1 2)"),
        ([letter(1, subject="A"), letter(2, subject="A")], b"((1)(2))"),
        ([letter(1, subject="A", is_reply=True), letter(2, subject="A")], b"(2 1)"),
        ([letter(1, subject="A", sent_ms=9), letter(2, sent_ms=1)], b"(2)(1)"),
    ],
)
def test_letters_that_answer_each_other_stand_together(letters: list[Letter], answer: bytes) -> None:
    """Chains, forks, lost ancestors, loops, subjects (RFC 5256 \u00a73)."""
    assert threads(letters) == answer


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9), st.lists(st.integers(0, 12), max_size=5), st.sampled_from(["", "A", "B"]), st.booleans()
        ),
        max_size=25,
    )
)
def test_every_letter_is_told_once(told: list[tuple[int, list[int], str, bool]]) -> None:
    """Whatever ids and references say: nobody is lost, nobody comes twice, parentheses close."""
    letters = [
        Letter(number, f"<{own}@x>" if own else "", tuple(f"<{r}@x>" for r in refs), subject, is_reply, own)
        for number, (own, refs, subject, is_reply) in enumerate(told, 1)
    ]
    answer = threads(letters)
    assert sorted(int(number) for number in re.findall(rb"\d+", answer)) == list(range(1, len(letters) + 1))
    depth = 0
    for octet in answer.decode():
        depth += {"(": 1, ")": -1}.get(octet, 0)
        assert depth >= 0
    assert depth == 0
    assert b"()" not in answer


def test_a_very_long_conversation_is_no_deep_one() -> None:
    """Ten thousand answers in a row need no stack."""
    chain = [letter(1)] + [letter(n, f"<{n - 1}@x>") for n in range(2, 10_001)]
    assert threads(chain).startswith(b"(1 2 3 ")
    forks = [letter(1)]
    for n in range(2, 6001, 2):
        forks += [letter(n, f"<{n - 1}@x>"), letter(n + 1, f"<{n - 1}@x>")]
    assert threads(forks).count(b"(") > 6000
