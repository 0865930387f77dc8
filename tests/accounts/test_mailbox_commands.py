"""What an administrator types about a mailbox, and the line or the list that comes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mss.cli import mailbox
from mss.crypto.keys import create_key_files
from mss.model.clock import SystemChance
from tests.kit.databases import with_tables

CONFIG = """
name = "CHU"
host = "relais.chu.mssante.example"
domains = ["chu.mssante.example", "patient.mssante.example"]
patient_domain = "patient.mssante.example"
postmaster = "dsi@chu.mssante.example"
state_dir = "state"
keys_dir = "keys"
[relay]
tls = {certificate = "relay.pem", key = "relay.key"}
authorities = "authorities.pem"
trust_list = "list.xml"
trust_list_signers = ["liste.mssante.example"]
"""
HOUSE, WILSON = "dr.house@chu.mssante.example", "dr.wilson@chu.mssante.example"
Mss = Callable[..., Result]


@pytest.fixture
def mss(tmp_path: Path) -> Mss:
    """`mss mailbox` over a new store with two doctors."""
    file = tmp_path / "mss.toml"
    file.write_text(CONFIG)
    (tmp_path / "state").mkdir()
    asyncio.run(with_tables(f"sqlite:///{tmp_path}/state/mss.db"))
    create_key_files(tmp_path / "keys", SystemChance())

    def run(*words: str) -> Result:
        return CliRunner().invoke(mailbox.app, [*words, "--config", str(file)])

    for address in (HOUSE, WILSON):
        assert run("create", address, "--name", address.partition("@")[0]).exit_code == 0
    return run


def test_other_addresses_are_listed_added_and_taken_away(mss: Mss) -> None:
    """What is refused is one line that says why, and exit code 1."""
    assert mss("alias", HOUSE).stdout == "no other address\n"
    assert mss("alias", HOUSE, "--add", "g.house@chu.mssante.example", "--previous").exit_code == 0
    listed = mss("alias", HOUSE, "--add", "gregory.house@chu.mssante.example", "--json")
    assert [row["kind"] for row in json.loads(listed.stdout)] == ["previous", "alias"]
    assert mss("alias", HOUSE, "--remove", "g.house@chu.mssante.example").stdout.count("@") == 1
    for words, why in (
        (("alias", WILSON, "--add", "g.house@chu.mssante.example"), "somebody else's"),
        (("alias", WILSON, "--add", "x@ailleurs.example"), "no domain of this operator"),
        (("alias", WILSON, "--add", "x@patient.mssante.example"), "no domain of this operator"),
        (("alias", WILSON, "--add", "postmaster@chu.mssante.example"), "postmaster@"),
        (("alias", WILSON, "--remove", "x@chu.mssante.example"), "no other address"),
        (("create", "g.house@chu.mssante.example", "--name", "x"), "exists already"),
    ):
        refused = mss(*words)
        assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1), words
        assert why in refused.stderr


def test_delegations_and_the_end_of_a_mailbox(mss: Mss) -> None:
    """Let, list, take back; close, reopen; quota."""
    assert json.loads(mss("delegate", HOUSE, "--to", WILSON, "--json").stdout) == [
        {"address": WILSON, "name": "dr.wilson"}
    ]
    assert "already" in mss("delegate", HOUSE, "--to", WILSON).stderr
    assert mss("delegate", HOUSE, "--revoke", WILSON).stdout == "nobody writes in its name\n"
    assert "no delegation" in mss("delegate", HOUSE, "--revoke", WILSON).stderr
    assert mss("close", HOUSE).stdout == f"{HOUSE}: closed\n"
    assert "is not for a mailbox that is closed" in mss("suspend", HOUSE).stderr
    assert "exists already" in mss("create", HOUSE, "--name", "Dr Autre").stderr
    assert mss("reopen", HOUSE).stdout == f"{HOUSE}: active\n"
    assert mss("quota", HOUSE, "5000").stdout == f"{HOUSE}: 5000 MB\n"


def test_an_absence_is_set_shown_and_ended(mss: Mss) -> None:
    """Wrong days are one line."""
    days = ("--from", "2026-12-21", "--until", "2027-01-03")
    shown = json.loads(mss("absence", HOUSE, *days, "--substitute", WILSON, "--json").stdout)
    assert shown == [{"from": "2026-12-21", "until": "2027-01-03", "substitute": WILSON, "text": ""}]
    for words, why in (
        (("absence", HOUSE, "--from", "2026-12-21"), "--from and --until"),
        (("absence", HOUSE, "--from", "hier", "--until", "demain"), "YYYY-MM-DD"),
        (("absence", HOUSE, "--from", "2026-12-21", "--until", "2026-12-20"), "on or after"),
    ):
        refused = mss(*words)
        assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1), words
        assert why in refused.stderr
    assert mss("absence", HOUSE, "--off").stdout == "not away\n"


def test_members_of_a_team_come_change_and_go(mss: Mss) -> None:
    """Words for the usual rights; what cannot be is one line."""
    team = "cardio@chu.mssante.example"
    assert mss("create", team, "--kind", "ORG", "--name", "Cardiologie", "--member", HOUSE).exit_code == 0
    assert mss("member", team, "--add", WILSON, "--rights", "reader").exit_code == 0
    mss("member", team, "--add", HOUSE, "--rights", "administrator")
    shown = json.loads(mss("member", team, "--json").stdout)
    assert {one["address"]: one["rights"] for one in shown} == {HOUSE: "administrator", WILSON: "reader"}
    assert HOUSE not in mss("member", team, "--remove", HOUSE).stdout
    for words, why in (
        ((HOUSE, "--add", WILSON), "lent by mss mailbox delegate"),
        ((team, "--add", team), "not a professional's mailbox"),
        ((team, "--add", HOUSE, "--remove", WILSON), "one thing at a time"),
    ):
        refused = mss("member", *words)
        assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1), words
        assert why in refused.stderr
