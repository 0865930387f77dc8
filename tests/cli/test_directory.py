"""`mss directory`, as staff use it: take a file in, look somebody up, go back."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mss.directory.correspondence import CorrespondenceReader
from mss.model.directory import Listing
from tests.cli.conftest import Operator
from tests.kit.frenchpeople import HEADER, finess, lines, rpps, write


@pytest.fixture
def desk(new_operator: Callable[..., Operator]) -> Operator:
    """An operator with an empty store."""
    made = new_operator()
    assert made.mss("db", "upgrade").code == 0
    return made


def test_a_day_with_the_directory(desk: Operator, tmp_path: Path) -> None:
    """Import, search, show, verify, export, diff, brake, rollback: each says what happened, for people and scripts."""
    first = write(tmp_path / "Extraction_20251201.txt", 150)
    said = desk.mss("directory", "import", str(first), "--json")
    assert said.code == 0, said.err
    counts = json.loads(said.out)
    assert (counts["applied"], counts["addresses_added"], counts["refused"]) == (True, 150, 0)
    assert "nothing to do" in desk.mss("directory", "import", str(first)).out

    found = json.loads(desk.mss("directory", "search", "martin", "--json").out)
    assert found["as_of"].startswith("2025-12-01")
    assert {"address", "kind", "name", "job", "structure", "city"} == found["found"][0].keys()
    address = found["found"][0]["address"]
    shown = json.loads(desk.mss("directory", "show", address, "--json").out)
    assert shown[0]["verified_by"] == "correspondence-file"
    assert address in desk.mss("directory", "show", address).out

    overdue = desk.mss("directory", "verify", "--json")
    assert (overdue.code, json.loads(overdue.out)[0]["overdue"]) == (1, True)

    out = tmp_path / "all.csv"
    assert desk.mss("directory", "export", str(out)).code == 0
    with out.open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 150

    content = list(lines(150))
    broken = tmp_path / "Extraction_20251202.txt"
    broken.write_text("\n".join([*content, "PER|no", "PER|no"]), encoding="utf-8")
    said = desk.mss("directory", "diff", str(broken))
    assert "2 refused" in said.out
    assert "    2 × 2 fields instead of 22\n    each with the number of its line: " in said.out
    told = json.loads(desk.mss("directory", "diff", str(broken), "--json").out)
    assert (told["refusals"], Path(told["refused_file"]).name) == ({"2 fields instead of 22": 2}, "refused.csv")
    shorter = tmp_path / "Extraction_20251202.txt"
    shorter.write_text("\n".join(content[:-10]), encoding="utf-8")
    assert "would stop" in desk.mss("directory", "diff", str(shorter)).out
    stopped = desk.mss("directory", "import", str(shorter))
    assert (stopped.code, "--accept-losses" in stopped.err) == (1, True)
    assert desk.mss("directory", "import", str(shorter), "--accept-losses").code == 0
    assert desk.mss("directory", "rollback").out.startswith("read again as of 2025-12-01")
    assert [row["state"] for row in json.loads(desk.mss("directory", "imports", "--json").out)] == [
        "rolled-back",
        "applied",
    ]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("search", "ma"), "three letters"),
        (("show", "nobody@chu.mssante.example"), "not in the directory"),
        (("show", "no@where@at@all"), "plain local part"),
        (("rollback",), "no earlier import"),
    ],
)
def test_a_wrong_question_is_told_in_one_line(desk: Operator, words: tuple[str, ...], why: str) -> None:
    """What is wrong and what to do."""
    said = desk.mss("directory", *words)
    assert said.code == 1
    assert why in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "options", "why"),
    [
        ("Nom|Ville\n", (), "not the correspondence file"),
        (HEADER + "\n", ("--as-of", "yesterday"), "write a moment as"),
        (HEADER + "\n", ("--as-of", "2099-01-01"), "not yet"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(
    desk: Operator, tmp_path: Path, content: str, options: tuple[str, ...], why: str
) -> None:
    """Nothing of it is taken in."""
    file = tmp_path / "x.txt"
    file.write_text(content)
    said = desk.mss("directory", "import", str(file), *options)
    assert (said.code, why in said.err, said.err.count("\n")) == (1, True, 1)


def test_a_cell_is_never_a_formula(desk: Operator, tmp_path: Path) -> None:
    """A name that a spreadsheet would run is shown as text."""
    file = tmp_path / "Extraction_20251201.txt"
    line = next(one for one in lines(20) if one.startswith("ORG")).split("|")
    line[7] = "=cmd|' /C calc'!A0".replace("|", " ")
    file.write_text(f"{HEADER}\n{'|'.join(line)}\n", encoding="utf-8")
    assert desk.mss("directory", "import", str(file)).code == 0
    assert ",'=cmd" in desk.mss("directory", "export", "-").out


def test_only_who_is_in_the_directory_gets_a_mailbox(desk: Operator, tmp_path: Path) -> None:
    """Once a directory was imported: number, name and moment are compared; --unverified is somebody's own word."""

    def create(local: str, name: str, *words: str) -> tuple[int, str]:
        said = desk.mss("mailbox", "create", f"{local}@chu.mssante.example", "--name", name, *words)
        return said.code, said.err

    assert create("before", "Anybody")[0] == 0
    file = write(tmp_path / "Extraction.txt", 60)
    today = ("--as-of", datetime.now(UTC).isoformat())
    assert desk.mss("directory", "import", str(file), *today).code == 0
    fields = next(line for line in lines(60) if line.startswith("PER")).split("|")
    number, family = fields[3], fields[9]
    for name, words, why in (
        (family, (), "say --national-id"),
        (family, ("--national-id", "12345678901"), "not an RPPS"),
        (family, ("--national-id", rpps(70_000_000)), "not in the directory"),
        ("Somebody ELSE", ("--national-id", number), f"{family} in the directory"),
    ):
        code, err = create("doctor", name, *words)
        assert (code, why in err, err.count("\n")) == (1, True, 1), err
    assert create("doctor", f"Dr {family}", "--national-id", number)[0] == 0
    assert create("other", "Somebody ELSE", "--national-id", rpps(70_000_000), "--unverified")[0] == 0


def test_an_old_directory_verifies_nobody(desk: Operator, tmp_path: Path) -> None:
    """Who was struck off since would get a mailbox."""
    assert desk.mss("directory", "import", str(write(tmp_path / "Extraction_20251201.txt", 60))).code == 0
    fields = next(line for line in lines(60) if line.startswith("PER")).split("|")
    words = ("--name", fields[9], "--national-id", fields[3])
    said = desk.mss("mailbox", "create", "doctor@chu.mssante.example", *words)
    assert (said.code, "not checked for a month" in said.err) == (1, True)


def test_what_is_exported_can_be_taken_in_elsewhere(new_operator: Callable[..., Operator], tmp_path: Path) -> None:
    """The public file's columns and FHIR lines: each read by the same command that reads the national files."""
    here, there = new_operator(), new_operator()
    for one in (here, there):
        assert one.mss("db", "upgrade").code == 0
    assert here.mss("directory", "import", str(write(tmp_path / "Extraction_20251201.txt", 60))).code == 0
    for shape, name in (("correspondence", "Extraction_20251201.txt"), ("fhir", "annuaire_20251202.ndjson")):
        folder = tmp_path / shape
        folder.mkdir()
        assert here.mss("directory", "export", str(folder / name), "--as", shape).code == 0
        said = there.mss("directory", "import", str(folder / name), "--json")
        assert said.code == 0, said.err
        counts = json.loads(said.out)
        assert (counts["addresses_added"], counts["refused"], counts["rules_refused"]) == (60, 0, 0)
    answers = [json.loads(one.mss("directory", "search", "martin", "--json").out)["found"] for one in (here, there)]
    assert answers[0]
    assert sorted(map(str, answers[0])) == sorted(map(str, answers[1]))
    assert there.mss("directory", "rollback", "--national").code == 1  # the first import has none before it


def test_what_we_say_of_our_own_mailboxes(desk: Operator, tmp_path: Path) -> None:
    """Describe, history, status, the file of ours, the red list: and without a directory to tell it, a word."""
    team = ("mailbox", "create", "cardio@chu.mssante.example", "--name", "Cardiologie", "--kind", "ORG")
    assert desk.mss(*team, "--national-id", finess(90)).code == 0
    said = desk.mss(
        "directory", "describe", "cardio@chu.mssante.example", "--description", "Lettres", "--purpose", "AVK"
    )
    assert said.code == 0, said.err
    shown = json.loads(desk.mss("directory", "show", "cardio@chu.mssante.example", "--json").out)[0]
    assert (shown["description"], shown["purpose"], shown["verified_by"]) == ("Lettres", "AVK", "own-operator")
    history = json.loads(desk.mss("directory", "history", "cardio@chu.mssante.example", "--json").out)
    assert [(one["actor"], one["what"]) for one in history] == [("staff:command", "said"), ("staff", "begun")]
    out = tmp_path / "ours.txt"
    assert desk.mss("directory", "publish", "--export", str(out)).code == 0
    reader = CorrespondenceReader()
    header, line = out.read_text(encoding="utf-8").splitlines()
    reader.begin(header.encode())
    (listing, *_) = reader.read(line.encode()).values
    assert isinstance(listing, Listing)
    assert (listing.address, listing.description) == ("cardio@chu.mssante.example", "Lettres")
    status = json.loads(desk.mss("directory", "publish", "--status", "--json").out)
    assert [(one["mailbox"], one["published"]) for one in status["mailboxes"]] == [
        ("cardio@chu.mssante.example", "waits")
    ]
    refused = desk.mss("directory", "publish")
    assert (refused.code, "[directory.publishing]" in refused.err) == (1, True)
    assert desk.mss("directory", "publish", "--status", "--reconcile").code == 2
    assert desk.mss("directory", "describe", "cardio@chu.mssante.example", "--unlisted").code == 0
    assert desk.mss("directory", "show", "cardio@chu.mssante.example").code == 1
    assert "1 on the red list" in desk.mss("directory", "publish", "--status").out
    assert desk.mss("mailbox", "close", "cardio@chu.mssante.example").code == 0


def test_who_is_on_the_red_list_is_in_no_exported_file(desk: Operator, tmp_path: Path) -> None:
    """CSV, public file and FHIR lines: by the national file, and by our own word while that file lists the address."""
    header, *rest = lines(20)
    file, red = tmp_path / "Extraction.txt", "rouge@chu.mssante.example"
    ours = f"ORG|{red}||||1|1{finess(0)}|Accueil||||||||O|Centre hospitalier|1|Rue|35000 RENNES|35000|"
    marked = [f"{line}|{'O' if number % 5 == 0 else 'N'}" for number, line in enumerate(rest)]
    file.write_text("\n".join([f"{header}|Liste rouge", *marked, f"{ours}|N"]), encoding="utf-8")
    assert desk.mss("directory", "import", str(file), "--as-of", datetime.now(UTC).isoformat()).code == 0
    team = ("mailbox", "create", red, "--name", "Accueil", "--kind", "ORG", "--national-id", finess(0))
    assert desk.mss(*team).code == 0
    hidden, everybody = {line.split("|")[1] for line in rest[::5]}, {red, *(line.split("|")[1] for line in rest)}
    for is_hidden in (False, True):
        if is_hidden:
            assert desk.mss("directory", "describe", red, "--unlisted").code == 0
            hidden |= {red}
        for shape in ("csv", "correspondence", "fhir"):
            out = desk.mss("directory", "export", "-", "--as", shape).out
            assert {address for address in everybody if address in out} == everybody - hidden, shape
