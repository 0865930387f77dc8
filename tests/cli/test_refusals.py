"""Whatever a person gets wrong at the command line is told in one line, with what to do, and changes nothing.

Exit code 1: refused or failed; 2: wrong use. Never a traceback, never a secret, never half an act.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from mss.config import load
from mss.foundation import lay
from mss.model.ids import lane_of
from mss.model.mailbox import AccountState
from mss.store import accounts, owners
from tests.cli.conftest import PASSWORD, Operator, Said, mss, row_of
from tests.kit.documents import HUGO, ZOE

DOCTOR = "dr.house@chu.mssante.example"
TEAM = "equipe@chu.mssante.example"
ADDRESS = f"{HUGO.ins.value}@patient.mssante.example"

REFUSED = [
    # what is asked for does not exist
    (("held", "show", "12345"), "mss held list"),
    (("held", "file", "12345"), "mss held list"),
    (("held", "reject", "12345", "--why", "non"), "mss held list"),
    (("held", "redirect", "12345", "--to", ADDRESS), "no such"),
    (("record", "unfile", "12345", "--why", "non"), "no such document"),
    (("record", "refile", "12345", "--to", ADDRESS), "no such correction"),
    (("incident", "export", "12345"), "no such correction"),
    (("queue", "show", "12345"), "queue"),
    (("queue", "retry", "12345"), "queue"),
    (("queue", "hold", "12345"), "queue"),
    (("trace", "<never@labo.mssante.example>"), "no message of that Message-ID"),
    (("mailbox", "suspend", "nobody@chu.mssante.example"), "no such mailbox"),
    (("mailbox", "password", "nobody@chu.mssante.example"), "no such mailbox"),
    (("patient", "show", "nobody@chu.mssante.example"), "no such mailbox"),
    # what exists is of another kind
    (("mailbox", "password", TEAM), "not a professional's mailbox"),
    (("mailbox", "password", ADDRESS), "not a professional's mailbox"),
    (("patient", "show", DOCTOR), "not a patient's address"),
    (("patient", "activate", DOCTOR, "--login", "dr", "--password", PASSWORD), "can sign in already"),
    (("mailbox", "mask", DOCTOR, "--hide", "IMAP4rev1"), "nothing that can be hidden"),
    # what cannot be made
    (("mailbox", "create", DOCTOR, "--name", "Again"), "exists already"),
    (("mailbox", "create", "dr@elsewhere.example", "--name", "X"), "not among this operator's domains"),
    (("mailbox", "create", "x@patient.mssante.example", "--kind", "PATIENT", "--name", "X"), "mss patient enrol"),
    (("mailbox", "create", "no address", "--name", "X"), "address"),
    (("mailbox", "create", "new.team@chu.mssante.example", "--kind", "ORG", "--name", "X", "--member", TEAM), TEAM),
    (("patient", "activate", ADDRESS, "--login", "zoe", "--password", "short"), "password refused"),
    (("patient", "enrol", "/nonexistent/patients.json"), "No such file"),
    # what is sent
    (("send", "--to", ADDRESS, "--cda", "/nonexistent.xml"), "--cert and --key"),
    (
        ("send", "--to", ADDRESS, "--cda", "/nonexistent.xml", "--cert", "/nonexistent.pem", "--key", "/x.key"),
        "/nonexistent.pem: no such file",
    ),
    # numbers
    (("stats", "--by", "patient"), "some of day"),
    (("stats", "--since", "yesterday"), "2026-01-31"),
    (("stats", "--since", "2026-02-01", "--until", "2026-01-01"), "later than"),
    (("stats", "--structure", "12"), "FINESS"),
]


def words_of(said: Said) -> str:
    return f"{said.out}{said.err}"


@pytest.mark.parametrize(
    ("words", "told"), REFUSED, ids=lambda value: " ".join(value[:3]) if isinstance(value, tuple) else ""
)
def test_a_refusal_is_one_line_on_stderr(operator: Operator, words: tuple[str, ...], told: str) -> None:
    """It says what is wrong, and a script sees exit code 1."""
    said = operator.mss(*words)
    assert (said.code, said.err.count("\n")) == (1, 1), words_of(said)
    assert told in said.err
    assert PASSWORD not in words_of(said)


@pytest.mark.parametrize(
    "words",
    [
        ("held", "show", "abc"),
        ("held", "reject", "1"),
        ("queue", "retry"),
        ("mailbox", "create", DOCTOR),
        ("mailbox", "create", DOCTOR, "--name", "X", "--kind", "KING"),
        ("stats", "--nonsense"),
        ("nonsense",),
    ],
    ids=" ".join,
)
def test_wrong_use_is_told_apart(operator: Operator, words: tuple[str, ...]) -> None:
    """Exit code 2: the command was not understood, nothing was tried."""
    said = operator.mss(*words)
    assert said.code == 2, words_of(said)
    assert said.out == ""
    assert said.err


def test_what_was_refused_changed_nothing(operator: Operator) -> None:
    """After all the refusals above: the same mailboxes, and none is half made."""
    rows = json.loads(operator.mss("mailbox", "list", "--json").out)
    assert {row["address"] for row in rows} == {DOCTOR, TEAM}


def test_activation_of_a_closed_account_opens_nothing(new_operator: Callable[..., Operator]) -> None:
    """Somebody closed it, maybe because she died: a login is not given over it."""
    operator = new_operator()
    assert operator.mss("db", "upgrade").code == 0
    assert operator.mss("patient", "enrol", operator.file("one.json", json.dumps([row_of(ZOE)]))).code == 0
    address = f"{ZOE.ins.value}@patient.mssante.example"
    assert operator.mss("patient", "activate", address, "--login", "zoe", "--password", PASSWORD).code == 0
    before = operator.mss("patient", "show", address, "--json").out
    close(operator, address)
    said = operator.mss("patient", "activate", address, "--login", "other", "--password", PASSWORD)
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert "waits to be activated" in said.err or "already" in said.err
    assert json.loads(before)["may_sign_in"]


def close(operator: Operator, address: str) -> None:
    async def work() -> None:
        ground = await lay(load(operator.config), "test", hears=False)
        hashed = ground.public.lookup.address(address)
        owner = await ground.store.read(lambda c: owners.find(c, hashed))
        assert owner is not None
        await ground.store.write(lane_of(owner), lambda c: accounts.set_account_state(c, owner, AccountState.CLOSED))
        await ground.close()

    asyncio.run(work())


def test_wrong_rows_are_named_and_good_ones_made(new_operator: Callable[..., Operator]) -> None:
    """Each with its number, on stderr; a script sees that not all is well."""
    fresh = new_operator()
    assert fresh.mss("db", "upgrade").code == 0
    good, no_name, bad_sex, bad_ins = (row_of(ZOE) for _ in range(4))
    del no_name["birth_name"]
    bad_sex["sex"] = "X"
    bad_ins["ins"] = "1"
    rows = fresh.file("rows.json", json.dumps([no_name, good, bad_sex, bad_ins]))
    said = fresh.mss("patient", "enrol", rows)
    assert said.code == 1
    assert [line.partition(":")[0] for line in said.err.splitlines()] == ["row 1", "row 3", "row 4"]
    assert "1 made, 0 were here already, 3 refused" in said.out
    assert ZOE.ins.value not in said.err
    assert fresh.mss("patient", "enrol", fresh.file("one.json", json.dumps([good]))).code == 0


@pytest.mark.parametrize("text", ["{", "{}", "[1]", "[" * 100_000], ids=["half", "object", "numbers", "deep"])
def test_a_file_that_is_no_list_of_patients(operator: Operator, text: str) -> None:
    """Whatever it is instead."""
    said = operator.mss("patient", "enrol", operator.file("wrong.json", text))
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "JSON" in said.err


def test_tables_without_their_keys_get_no_new_ones(new_operator: Callable[..., Operator]) -> None:
    """New keys beside old tables would make everything stored unreadable for good."""
    fresh = new_operator()
    assert fresh.mss("db", "upgrade").code == 0
    shutil.move(fresh.directory / "keys", fresh.directory / "elsewhere")
    said = fresh.mss("db", "upgrade")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "restore the keys" in said.err
    assert not (fresh.directory / "keys").exists()
    assert fresh.mss("mailbox", "list").code == 1


def test_without_a_store_commands_say_how_to_make_one(new_operator: Callable[..., Operator]) -> None:
    """And make none themselves: an empty database would look like one that lost everything."""
    fresh = new_operator()
    for words in (
        ("mailbox", "list"),
        ("held", "list"),
        ("queue", "list"),
        ("audit", "verify"),
        ("db", "status"),
        ("stats",),
    ):
        said = fresh.mss(*words)
        assert (said.code, said.err.count("\n")) == (1, 1), words
        assert "mss db upgrade" in said.err
    assert not (fresh.directory / "state").exists()


def test_serve_without_tables_says_so_and_ends(new_operator: Callable[..., Operator]) -> None:
    """At the start, not at the first mail."""
    fresh = new_operator()
    assert fresh.mss("db", "upgrade").code == 0
    (fresh.directory / "state" / "mss.db").unlink()
    command = [sys.executable, "-m", "mss", "serve", "--only", "runner", "--config", str(fresh.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=os.environ)
    assert done.returncode == 1
    assert "mss db upgrade" in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_are_shown_without_the_databases_password(new_operator: Callable[..., Operator]) -> None:
    """What is pasted into a ticket tells nobody how to get in."""
    url = "postgresql+asyncpg://mss:geheim%40wort@db.example/mss"
    shown = new_operator(url).mss("config", "show")
    assert shown.code == 0
    assert "geheim" not in words_of(shown)
    assert json.loads(shown.out)["database_url"].endswith("@db.example/mss")


def test_settings_that_are_missing_or_wrong(new_operator: Callable[..., Operator]) -> None:
    """The file, the setting, and what to write instead."""
    said = mss("mailbox", "list", "--config", "/nonexistent/mss.toml")
    assert (said.code, "--config" in said.err, said.err.count("\n")) == (1, True, 1)
    fresh = new_operator()
    fresh.config.write_text(fresh.config.read_text() + "\n[antivirus]\n")
    said = fresh.mss("config", "check")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "antivirus.tcp" in said.err
    fresh.config.write_text(fresh.config.read_text() + 'tcp = {host = "192.0.2.1", port = 3310}\n')
    assert "127.0.0.1" in fresh.mss("config", "check").err
