"""`mss mailbox import` at the command line: what it says, its exit code, and no password where others read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Operator
from tests.kit.documents import HUGO
from tests.kit.moving import ORIGINALS, fill_maildir

DOCTOR = "dr.house@chu.mssante.example"


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    fill_maildir(tmp_path, ORIGINALS)
    return tmp_path


@pytest.fixture
def own(new_operator: Callable[..., Operator]) -> Operator:
    made = new_operator()
    for words in (("db", "upgrade"), ("mailbox", "create", DOCTOR, "--name", "House")):
        assert made.mss(*words).code == 0
    return made


def test_it_tells_each_folder_and_ends_well(own: Operator, maildir: Path) -> None:
    """First dry, then in earnest, then again."""
    words = ("mailbox", "import", DOCTOR, "--maildir", str(maildir))
    assert "INBOX: 4 would be brought" in own.mss(*words, "--dry-run").out
    said = own.mss(*words)
    assert said.code == 0
    assert "INBOX: 4 brought" in said.out
    assert "Sent → Envoyés: 1 brought" in said.out
    again = own.mss(*words, "--json")
    assert [one["stood"] for one in json.loads(again.out)["folders"] if one["source"] == "INBOX"] == [4]
    assert not json.loads(again.out)["refused"]


def test_what_was_not_brought_ends_in_exit_code_1(own: Operator, maildir: Path) -> None:
    """A script notices; a person reads which and why."""
    (maildir / "cur" / "9.nul").write_bytes(b"\0")
    said = own.mss("mailbox", "import", DOCTOR, "--maildir", str(maildir))
    assert said.code == 1
    assert "not brought: INBOX 9.nul: not kept as it is: nul-byte" in said.out
    assert said.err.startswith("mss: not brought: 1 ")


REFUSED = [
    ((), "--imap HOST or --maildir DIR"),
    (("--imap", "h", "--maildir", "."), "--imap HOST or --maildir DIR"),
    (("--imap", "h:x"), "not HOST or HOST:PORT"),
    (("--imap", "127.0.0.1:9"), "--password-file"),
    (("--imap", "127.0.0.1:9", "--password-file", "/nonexistent"), "cannot be read"),
    (("--maildir", "/nonexistent"), "no such directory"),
    (("--maildir", "/proc/self"), "no Maildir"),
]


@pytest.mark.parametrize(("words", "reason"), REFUSED)
def test_a_wrong_wish_is_told_in_one_line(operator: Operator, words: tuple[str, ...], reason: str) -> None:
    """And nothing is brought."""
    said = operator.mss("mailbox", "import", DOCTOR, *words)
    assert (said.code, said.out) == (1, "")
    assert reason in said.err
    assert said.err.count("\n") == 1


def test_a_patient_takes_no_import(operator: Operator, maildir: Path) -> None:
    """Her mailbox holds what was judged for her."""
    address = f"{HUGO.ins.value}@patient.mssante.example"
    said = operator.mss("mailbox", "import", address, "--maildir", str(maildir))
    assert (said.code, "takes no import" in said.err) == (1, True)


def test_the_password_stands_in_no_option(operator: Operator) -> None:
    """Everybody on a machine may read its command lines."""
    assert "--password " not in operator.mss("mailbox", "import", "--help").out
