"""LIST tells the tree that people see."""

from __future__ import annotations

from dataclasses import replace

from mss.imap.backend import Box, Folder
from mss.imap.commands import List
from mss.imap.listing import Line, select, select_subscribed, tree
from mss.model.ids import OwnerId
from mss.model.mailbox import SpecialUse

BOX = Box(OwnerId(1), OwnerId(1), "a@labo.mssante.example")
FOLDER = Folder(BOX, 1, "INBOX", 1, 1, 1, 0, 0, 0)
SHARED = "Partage/equipe@labo.mssante.example/"


def folders(*names: str) -> list[tuple[str, Folder]]:
    return [("", replace(FOLDER, name=name)) for name in names]


def names(lines: list[Line]) -> list[str]:
    return [line.name for line in lines]


def test_the_inbox_comes_first_and_the_team_last() -> None:
    """Own folders by name, what lies below a folder after it, shared ones at the end."""
    nodes = tree([*folders("b", "INBOX", "A/x", "A"), (SHARED, FOLDER)], [SHARED])
    assert names(select(nodes, List("", ("*",)))) == [
        "INBOX", "A", "A/x", "b", "Partage", SHARED[:-1], SHARED + "INBOX",
    ]  # fmt: skip


def test_names_above_folders_are_told_but_cannot_be_selected() -> None:
    """\\Noselect in the old form, \\NonExistent in the extended one (RFC 5258 §3)."""
    nodes = tree(folders("A/B/c"), [])
    assert select(nodes, List("", ("%",)))[0].attributes == ("\\Noselect", "\\HasChildren")
    assert select(nodes, List("", ("%",), basic=False))[0].attributes == ("\\NonExistent", "\\HasChildren")


def test_a_team_that_has_no_folder_is_told() -> None:
    """The prefix of a namespace exists even when it is empty."""
    assert names(select(tree([], [SHARED]), List("", ("*",)))) == ["Partage", SHARED[:-1]]


def test_special_use_is_told_of_ones_own_folders_only() -> None:
    """A mail client files its drafts into the first folder that says \\Drafts."""
    drafts = replace(FOLDER, name="Brouillons", special_use=SpecialUse.DRAFTS)
    lines = select(tree([("", drafts), (SHARED, drafts)], [SHARED]), List("", ("*Brouillons",)))
    assert [line.attributes for line in lines] == [("\\HasNoChildren", "\\Drafts"), ("\\HasNoChildren",)]


def test_subscribed_folders_below_are_announced() -> None:
    """RECURSIVEMATCH (RFC 5258 §3.1, §4) and LSUB with % (RFC 3501 §6.3.9)."""
    nodes = tree([("", replace(FOLDER, name="A", subscribed=False)), *folders("A/b")], [])
    command = List("", ("%",), frozenset({"SUBSCRIBED", "RECURSIVEMATCH"}), basic=False)
    (line,) = select(nodes, command)
    assert (line.name, line.child_info, "\\Subscribed" in line.attributes) == ("A", True, False)
    assert select_subscribed(nodes, "", "%") == [Line("A", ("\\Noselect",), None)]
    assert names(select_subscribed(nodes, "", "*")) == ["A/b"]
