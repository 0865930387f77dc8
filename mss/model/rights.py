"""What may a member of a team do in its mailbox? Letters of RFC 4314 §2.1, and the words for the usual sets of them.

A member's row holds a word where the letters have one, else `team:` and the letters. Other words in that row (a
child's representative, a delegate who only writes in somebody's name) are no letters: they open nothing by mail client.
"""

from __future__ import annotations

from mss.model.errors import BadValue

OWNER_RIGHTS = "lrswipkxte"
"""All but "a": who may open a mailbox of one's own is not decided by mail clients."""
ALL_RIGHTS = OWNER_RIGHTS + "a"
SEND_AS_TEAM = "p"
"""RFC 4314: "post". Here: to write under the team's address."""
LEVELS = {
    "reader": "lrs",
    "sorter": "lrsw",
    "member": OWNER_RIGHTS,
    "administrator": ALL_RIGHTS,
}
"""Reads, with a \\Seen of one's own; marks and takes too; files, deletes and answers in the team's name too; says who
is a member too."""
_OLD = {"c": "kx", "d": "te"}
"""Rights of RFC 2086, which stand for several of today (RFC 4314 §2.1.1)."""
_SPELLED = "team:"


def letters_of(word: str) -> str:
    """The letters behind a member's row; none for words that open nothing by mail client."""
    if word.startswith(_SPELLED):
        return "".join(letter for letter in ALL_RIGHTS if letter in word.removeprefix(_SPELLED))
    return LEVELS.get(word, "")


def word_of(letters: str) -> str:
    """How a set of letters is kept."""
    wanted = set(letters)
    found = next((word for word, known in LEVELS.items() if set(known) == wanted), None)
    return found or _SPELLED + "".join(letter for letter in ALL_RIGHTS if letter in wanted)


def parse_letters(text: str) -> str:
    """Letters as somebody wrote them. Raises BadValue for one that is none (RFC 4314 §3.1)."""
    asked = {letter for one in text for letter in _OLD.get(one, one)}
    if not asked <= set(ALL_RIGHTS):
        raise BadValue("no such right")
    return "".join(letter for letter in ALL_RIGHTS if letter in asked)
