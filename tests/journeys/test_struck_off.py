"""A doctor whom the national file does not know any more is out within the minute, on lines that are open."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mss.demo.addressbook import COLUMNS, file_of
from mss.demo.people import VILLE
from tests.journeys.test_signed_out import SECRET, ends_in_time, reader
from tests.kit.demo import Demo
from tests.kit.frenchpeople import rpps

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo"), pytest.mark.timeout(400)]

LEAVER = f"dr.partante2@{VILLE}"
NUMBER = rpps(777)


def take(demo: Demo, folder: Path, *more: str) -> list[str]:
    """The words of the command that imports the demo's people and these lines, as of now."""
    now = datetime.now(UTC)
    file = folder / f"{now:%H%M%S%f}.txt"
    file.write_text(file_of(now) + "\n".join(more), encoding="utf-8")
    return ["directory", "import", str(file), "--as-of", f"{now:%Y-%m-%dT%H:%M:%S}", "--accept-losses"]


def test_a_doctor_who_left_the_directory_is_cut(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """IMAP in IDLE and between commands, SMTP between messages and in the middle of one. Back with the next file;
    struck off by staff the same way, and then no other mailbox is made for her."""
    monkeypatch.setattr("tests.journeys.test_signed_out.LEAVER", LEAVER)
    fields = {"Type de BAL": "PER", "Adresse BAL": LEAVER, "Identification nationale PP": f"8{NUMBER}"}
    fields |= {"Identifiant PP": NUMBER, "Nom d'exercice": "PARTANTE", "Prénom d'exercice": "Anne"}
    line = "|".join(fields.get(name, "") for name in COLUMNS)
    assert demo.mss(*take(demo, tmp_path, line)).returncode == 0
    made = demo.mss("mailbox", "create", LEAVER, "--name", "Anne PARTANTE", "--national-id", NUMBER)
    password = re.findall(SECRET, made.stdout)[0]
    try:
        ends_in_time(demo, password, *take(demo, tmp_path))
        assert demo.mss(*take(demo, tmp_path, line)).returncode == 0
        for _ in range(50):
            try:
                reader(demo, password).logout()
                break
            except Exception:  # noqa: BLE001 — until the works have heard
                pass
        ends_in_time(demo, password, "directory", "strike", NUMBER)
        again = demo.mss("mailbox", "create", f"x.{LEAVER}", "--name", "Anne PARTANTE", "--national-id", NUMBER)
        assert "struck off" in again.stderr
    finally:
        demo.mss("mailbox", "close", LEAVER)
        demo.mss(*take(demo, tmp_path))
