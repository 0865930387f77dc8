"""Pull the plug on everything and start again in the same place: everybody finds what they had."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.demo import Demo, letter, on_the_wire, until
from tests.kit.laboratory import BIOLOGIST

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("again"), pytest.mark.timeout(240)]

DOCTOR = "samir.benali@chu.mssante.example"
TIERS = "bio@tiers.mssante.example"


@pytest.fixture
def own_demo() -> Iterator[Demo]:
    """A demo that may be killed."""
    running = Demo()
    try:
        yield running.start()
    finally:
        running.kill_everything()
        running.remove()


def _people(demo: Demo) -> dict[str, Any]:
    """What connection.json tells of people and places; only the processes are new."""
    told = {name: value for name, value in demo.told.items() if "operator" not in name}
    return told | {name: demo.told[name] | {"pids": None} for name in ("operator", "other_operator")}


def _inbox(demo: Demo, address: str) -> tuple[bytes, dict[bytes, bytes]]:
    """(UIDVALIDITY, Message-ID by UID) of an inbox."""
    client = demo.imap(address)
    try:
        client.select("INBOX", readonly=True)
        _, (validity,) = client.response("UIDVALIDITY")
        _, data = client.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    finally:
        client.logout()
    found = {}
    for part in data:
        if isinstance(part, tuple):
            uid = re.search(rb"UID (\d+)", part[0])
            assert uid is not None
            found[uid[1]] = part[1].strip()
    return bytes(validity), found


def test_after_a_kill_of_everything_all_is_as_it_was(own_demo: Demo) -> None:
    """Same people, passwords, addresses, UIDs, documents; whoever was signed in still is."""
    for number in range(5):
        mail = letter(TIERS, DOCTOR, f"Avis {number}", "Bonjour.")
        own_demo.relay(TIERS, [DOCTOR], on_the_wire(mail))
    people, doctors, labs = _people(own_demo), _inbox(own_demo, DOCTOR), _inbox(own_demo, BIOLOGIST)
    assert len(doctors[1]) == 5
    visitor = own_demo.signed_in()
    record = until(lambda: visitor.get("/record").links(r"/record/[0-9]+"))
    first_mail = (own_demo.directory / "keys" / "first-mail-sent").read_text()

    own_demo.kill_everything()
    own_demo.start()

    assert _people(own_demo) == people
    assert _inbox(own_demo, DOCTOR) == doctors
    assert _inbox(own_demo, BIOLOGIST) == labs
    page = visitor.get("/record")
    assert page.path == "/record", "signed out"
    assert page.links(r"/record/[0-9]+") == record
    assert "CR d'examens biologiques" in visitor.get(record[0]).text
    assert (own_demo.directory / "keys" / "first-mail-sent").read_text() == first_mail
    own_demo.relay(TIERS, [DOCTOR], on_the_wire(letter(TIERS, DOCTOR, "Après", "Bonjour.")))
    later = _inbox(own_demo, DOCTOR)
    assert later[0] == doctors[0]
    assert set(later[1]) > set(doctors[1])


def test_ctrl_c_ends_it_within_ten_seconds_and_leaves_nothing_running(own_demo: Demo) -> None:
    """And the next start in the same place is quick, with no second first mail."""
    pids = [own_demo.pid, *own_demo.pids("operator").values(), *own_demo.pids("other_operator").values()]
    assert len(pids) == 9
    assert own_demo.stop() <= 10
    assert not own_demo.our_pids()
    own_demo.start()
    record = until(lambda: own_demo.signed_in().get("/record").links(r"/record/[0-9]+"))
    assert len(record) == 1


def test_a_second_demo_in_the_same_place_is_refused_in_words(own_demo: Demo) -> None:
    """Two would take each other's mail."""
    second = Demo(own_demo.directory)
    with pytest.raises(AssertionError, match="a demo runs in"):
        second.start(keeps_connection=True)
    assert (own_demo.directory / "connection.json").exists(), "the running demo lost its connection.json"
