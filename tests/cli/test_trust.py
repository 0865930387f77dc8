"""What staff read of the trust list: its age, what changed, why a domain is trusted or not, what to write to it."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mss.formats.trustlist import TrustEntry
from tests.cli.conftest import SETTINGS, Operator
from tests.kit.pki import HOSPITAL_DOMAIN, LAB_DOMAIN, LIST_SIGNER, Pki, pki

__all__ = ["pki"]

SUPPORT = "Assistance, assistance@labo.mssante.example"


@pytest.fixture
def house(pki: Pki, tmp_path: Path) -> Operator:
    """Settings, our certificate, and the list of two hours ago, kept by an earlier look."""
    text = SETTINGS.replace("{{", "{").replace("}}", "}").replace("{database}", "")
    (tmp_path / "mss.toml").write_text(text.replace("liste.mssante.example", LIST_SIGNER.common_name))
    (tmp_path / "authorities.pem").write_bytes(pki.authority.bundle_pem)
    pki.hospital.write(tmp_path, "relay")
    house = Operator(tmp_path)
    _put(house, pki, [_hospital(pki)], hours=2)
    assert house.mss("trust", "fetch").code == 0
    return house


def _hospital(pki: Pki) -> TrustEntry:
    return TrustEntry(HOSPITAL_DOMAIN, pki.hospital.subject)


def _lab(pki: Pki) -> TrustEntry:
    return TrustEntry(LAB_DOMAIN, pki.lab.subject, "Laboratoire", support_contact=SUPPORT, updated_at=pki.now)


def _put(house: Operator, pki: Pki, entries: list[TrustEntry], *, hours: float) -> None:
    at = (datetime.now(UTC) - timedelta(hours=hours)).replace(microsecond=0)
    (house.directory / "list.xml").write_bytes(pki.signed_list(entries, generated_at=at))


def test_what_changed_is_told(house: Operator, pki: Pki) -> None:
    """Age, number of domains, and each pair that came or went since the list before."""
    _put(house, pki, [_hospital(pki), _lab(pki)], hours=1)
    assert house.mss("trust", "fetch").out.startswith("taken: list of ")
    assert house.mss("trust", "fetch").out.startswith("nothing newer: ")
    told = json.loads(house.mss("trust", "show", "--changes", "--json").out)
    assert (told["domains"], told["pairs"], told["is_fresh"]) == (2, 2, True)
    assert 0.9 < told["age_hours"] < 1.2
    assert (told["came"], told["went"]) == ([[LAB_DOMAIN, str(pki.lab.subject)]], [])
    assert f"+ {LAB_DOMAIN}  {pki.lab.subject}" in house.mss("trust", "show", "--changes").out


def test_a_list_that_lost_too_many_waits_for_a_look(house: Operator, pki: Pki) -> None:
    """Half of the domains gone is refused in one line; a human who has looked takes it."""
    _put(house, pki, [_hospital(pki), _lab(pki)], hours=1)
    house.mss("trust", "fetch")
    _put(house, pki, [_hospital(pki)], hours=0.5)
    refused = house.mss("trust", "fetch")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "shrunk (1 of 2 domains gone)" in refused.err
    assert house.mss("trust", "fetch", "--accept-shrink").code == 0
    assert json.loads(house.mss("trust", "show", "--json").out)["domains"] == 1


def test_a_trusted_domain_is_explained_with_a_letter_to_its_support(house: Operator, pki: Pki) -> None:
    """Certificate, contact, our own entry, and a text that names both sides."""
    _put(house, pki, [_hospital(pki), _lab(pki)], hours=1)
    told = house.mss("trust", "explain", f"resultats@{LAB_DOMAIN}")
    assert told.code == 0
    assert f"served under the certificate {pki.lab.subject}" in told.out
    assert f"to paste, to {SUPPORT}" in told.out
    letter = told.out.partition("to paste")[2]
    assert "Bonjour" in letter
    assert "Hello" in letter
    assert letter.count(str(pki.lab.subject)) == letter.count(str(pki.hospital.subject)) == 2
    assert "NOT listed for patient.mssante.example" in told.out


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("x@ailleurs.mssante.example", "recipient-outside-trust-space"),
        (f"x@sous.{HOSPITAL_DOMAIN}", "recipient-outside-trust-space"),
    ],
)
def test_a_stranger_is_explained_and_exits_with_one(house: Operator, address: str, why: str) -> None:
    """A parent's entry speaks for no sub-domain."""
    told = house.mss("trust", "explain", address)
    assert told.code == 1
    assert f"no: {why}" in told.out
    assert "the list does not name" in told.out


def test_an_old_list_is_told_as_old(house: Operator, pki: Pki) -> None:
    """Whoever asks why peers hear 454 reads it here."""
    (house.directory / "state" / "trust" / "list.xml").unlink()
    _put(house, pki, [_hospital(pki)], hours=49)
    assert json.loads(house.mss("trust", "show", "--json").out)["is_fresh"] is False
    told = house.mss("trust", "explain", HOSPITAL_DOMAIN)
    assert (told.code, "no: trust-list-stale" in told.out) == (1, True)


def test_what_cannot_be_told_is_one_line(house: Operator) -> None:
    """No list, no list before, no address: what is wrong and what to do."""
    assert "no list before" in house.mss("trust", "show", "--changes").err
    assert "not a" in house.mss("trust", "explain", "pas une adresse").err
    (house.directory / "state" / "trust" / "list.xml").unlink()
    (house.directory / "list.xml").write_bytes(b"<x/>")
    for words in (("show",), ("fetch",)):
        refused = house.mss("trust", *words)
        assert (refused.code, refused.err.count("\n")) == (1, 1), words
        assert "not-signed-as-expected" in refused.err


NOBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write for somebody else")
def test_what_root_fetches_belongs_to_the_server(house: Operator, pki: Pki) -> None:
    """Also with a umask that lets nobody else read: the server's user reads it, and replaces it."""
    state = house.directory / "state"
    shutil.rmtree(state)
    state.mkdir(mode=0o700)
    os.chown(state, NOBODY, NOBODY)
    before = os.umask(0o077)
    try:
        for hours in (1.5, 1):
            _put(house, pki, [_hospital(pki)], hours=hours)
            assert house.mss("trust", "fetch").code == 0
    finally:
        os.umask(before)
    there = [state / "trust", *(state / "trust").iterdir()]
    assert {path.name: path.stat().st_uid for path in there} == dict.fromkeys(
        ("trust", "list.xml", "list.xml.before"), NOBODY
    )


def test_looking_leaves_nothing_behind(house: Operator, pki: Pki) -> None:
    """`mss check`, `show`, `explain` and `probe` are typed by anybody: a newer list is theirs to see, not to keep."""
    kept = house.directory / "state" / "trust"
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    _put(house, pki, [_hospital(pki), _lab(pki)], hours=1)
    assert json.loads(house.mss("trust", "show", "--json").out)["domains"] == 2
    house.mss("check")
    house.mss("trust", "explain", LAB_DOMAIN)
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's file")
def test_what_another_user_has_left_is_red(house: Operator) -> None:
    """With the command that mends it."""
    os.chown(house.directory / "state" / "trust" / "list.xml", NOBODY, NOBODY)
    told = house.mss("check").out
    assert "RED  trust list: not the server's own files: list.xml" in told
    assert f"chown -R --reference={house.directory / 'state'}" in told


def test_who_may_not_keep_a_list_is_told_who_may(house: Operator, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, and no file of a stranger in the state."""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    _put(house, pki, [_hospital(pki), _lab(pki)], hours=1)
    told = house.mss("trust", "fetch")
    assert told.code == 1
    assert "belongs to another user" in told.err
    assert "run this as the server's user" in told.err
    assert len(list((house.directory / "state" / "trust").iterdir())) == 1
