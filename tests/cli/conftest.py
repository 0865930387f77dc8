"""What these tests stand on: an operator with a few people, and the command line called in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mss.cli import main
from tests.kit.documents import HUGO, ZOE, Person

SETTINGS = """
name = "CHU de l'Exemple"
host = "relais.chu.mssante.example"
domains = ["chu.mssante.example", "patient.mssante.example"]
patient_domain = "patient.mssante.example"
accepts_test_identities = true
postmaster = "dsi@chu.mssante.example"
state_dir = "state"
keys_dir = "keys"
{database}

[relay]
tls = {{certificate = "relay.pem", key = "relay.key"}}
authorities = "authorities.pem"
trust_list = "list.xml"
trust_list_signers = ["liste.mssante.example"]
"""
PASSWORD = "Correct-Horse-42"


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Operator:
    """A directory with settings."""

    directory: Path

    @property
    def config(self) -> Path:
        return self.directory / "mss.toml"

    def mss(self, *words: str, stdin: str = "") -> Said:
        """A command, with these settings."""
        return mss(*words, "--config", str(self.config), stdin=stdin)

    def file(self, name: str, text: str) -> str:
        path = self.directory / name
        path.write_text(text)
        return str(path)


def mss(*words: str, stdin: str = "") -> Said:
    """Any command."""
    result = CliRunner().invoke(main.app, list(words), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception  # a person would see a traceback
    return Said(result.exit_code, result.stdout, result.stderr)


def row_of(person: Person) -> dict[str, object]:
    """As an identity service writes it."""
    traits = person.traits
    return {
        "birth_name": traits.birth_name,
        "given": list(traits.given_names),
        "birth_date": traits.birth_date.isoformat(),
        "sex": traits.sex.value,
        "birth_place": traits.birth_place,
        "ins": person.ins.value,
        "oid": person.ins.oid,
    }


@pytest.fixture(scope="session", autouse=True)
def _all_words() -> None:
    """Every group of the command line, as for help."""
    main.load("")


@pytest.fixture(scope="session")
def new_operator(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Operator]:
    """Settings in a directory of their own, without a store."""

    def make(database: str = "") -> Operator:
        made = Operator(tmp_path_factory.mktemp("operator"))
        line = f'database_url = "{database}"' if database else ""
        made.config.write_text(SETTINGS.format(database=line))
        return made

    return make


@pytest.fixture(scope="session")
def operator(new_operator: Callable[..., Operator]) -> Operator:
    """With a doctor, a team, and two patients; tests leave them as they are."""
    made = new_operator()
    rows = made.file("patients.json", json.dumps([row_of(ZOE), row_of(HUGO)]))
    for words in (
        ("db", "upgrade"),
        ("mailbox", "create", "dr.house@chu.mssante.example", "--name", "House"),
        ("mailbox", "create", "equipe@chu.mssante.example", "--kind", "ORG", "--name", "Équipe"),
        ("patient", "enrol", rows),
    ):
        said = made.mss(*words)
        assert said.code == 0, said.err
    return made
