"""Folders of another server find their places here: the table, and no two ever become one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mss.bridge.foldermap import SourceFolder, plan
from mss.formats.foldernames import check_new_name
from mss.model.mailbox import SpecialUse

TABLE = [
    # over there, what its server says of it, here
    ("inbox", None, "INBOX"),
    ("Inbox/Urgent", None, "INBOX/Urgent"),
    ("Sent Items", SpecialUse.SENT, "Envoyés"),
    ("Sent Items/2019", None, "Envoyés/2019"),
    ("Sent", None, "Sent"),  # called like one, but the server names another
    ("Envoyés", None, "Envoyés (2)"),
    ("Éléments supprimés", None, "Corbeille"),
    ("Junk E-mail", None, "Indésirables"),
    ("Archive", None, "Archives"),
    ("Divers/Sent", None, "Divers/Sent"),
    ("Examens 100%", None, "Examens 100_"),
    ("Examens 100*", None, "Examens 100_ (2)"),
]


def folder(name: str, use: SpecialUse | None = None) -> SourceFolder:
    return SourceFolder(name, tuple(name.split("/")), use)


def test_the_table_of_names() -> None:
    """What people would expect, with names that collide numbered."""
    found = [folder(name, use) for name, use, _ in TABLE]
    targets = {source.key: target.name for source, target in plan(found, {}).items()}
    assert targets == {name: here for name, _, here in TABLE}


def test_our_own_special_folders_are_used_whatever_they_are_called() -> None:
    """Their holder may have renamed them."""
    sent = folder("Sent", SpecialUse.SENT)
    assert plan([sent], {SpecialUse.SENT: "Partis"})[sent].name == "Partis"


@pytest.mark.parametrize("level", ["", "\r\n", "%", "a/b", "x" * 3000, "é" * 400])
def test_a_strange_name_becomes_one_that_may_be_here(level: str) -> None:
    """Nothing is left out for its name."""
    source = SourceFolder("key", (level, level))
    check_new_name(plan([source], {})[source].name)


NAMES = st.lists(
    st.text("/%*.é\r\u2028aA", max_size=3) | st.sampled_from(["INBOX", "Sent", "a", "A", "a (2)"]),
    min_size=1,
    max_size=22,
)


@settings(max_examples=40)
@given(st.lists(NAMES.map(tuple), unique=True, max_size=6))
def test_two_folders_never_become_one(names: list[tuple[str, ...]]) -> None:
    """Whatever they are called, each has a place of its own, with a name that may be here."""
    found = [SourceFolder(str(number), levels) for number, levels in enumerate(names)]
    targets = plan(found, {})
    assert targets.keys() == set(found)
    assert len({target.name.casefold() for target in targets.values()}) == len(found)
    for target in targets.values():
        check_new_name(target.name)
