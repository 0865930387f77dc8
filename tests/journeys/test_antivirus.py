"""An operator with a real antivirus, through its doors: what readers, senders and staff notice of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.clamd import EICAR, Clamd
from tests.kit.clamd import clamd as running
from tests.kit.demo import Demo, letter, on_the_wire, until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo with antivirus")]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clamd]:
    with running(tmp_path_factory.mktemp("clamd") / "d") as started:
        yield started


@pytest.fixture(scope="module")
def guarded(daemon: Clamd) -> Iterator[Demo]:
    """Both operators of a demo ask that daemon."""
    demo = Demo(environment={"MSS_ANTIVIRUS__SOCKET": str(daemon.socket)}).start()
    try:
        yield demo
    finally:
        demo.stop()
        demo.remove()


def held(demo: Demo) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(demo.mss("held", "list", "--json").stdout)
    return listed


def subjects(demo: Demo, address: str) -> list[str]:
    return [str(mail["Subject"]) for mail in demo.mails(address)]


def test_clean_comes_through_infected_is_held_and_away_only_waits(guarded: Demo, daemon: Clamd) -> None:
    """Readable at the 250; held and told; without a daemon taken, and there once it is back, with nobody's help."""
    software = next(one["address"] for one in guarded.told["applications"] if one["operator"] == "A")
    doctor = next(one["address"] for one in guarded.told["professionals"] if one["operator"] == "A")

    def write(subject: str, text: str) -> None:
        guarded.submit(software, [doctor], on_the_wire(letter(software, doctor, subject, text)))

    write("Sain", "Bonjour.")
    assert "Sain" in subjects(guarded, doctor)
    write("Infecté", f"Bonjour.\n{EICAR}\n")
    (case,) = held(guarded)
    assert case["reason"] == "virus-found"
    assert "Infecté" not in subjects(guarded, doctor)
    until(lambda: "[Message retenu] reçu, NON remis" in subjects(guarded, software))
    daemon.kill()
    write("En attente", "Bonjour.")
    assert "En attente" not in subjects(guarded, doctor)
    assert [one["reason"] for one in held(guarded)] == ["virus-found", "not-scanned"]
    daemon.start()
    until(lambda: "En attente" in subjects(guarded, doctor), seconds=120)
    assert [one["reason"] for one in held(guarded)] == ["virus-found"]
    assert guarded.mss("held", "file", case["id"]).returncode == 0
    until(lambda: "Infecté" in subjects(guarded, doctor))
