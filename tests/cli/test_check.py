"""The doctor: a healthy house is green in each line, and each illness is one red line with what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mss.crypto.authority import Issued, Subject
from mss.formats.trustlist import TrustEntry
from tests.cli.conftest import SETTINGS, Operator
from tests.kit.pki import HOSPITAL, HOSPITAL_DOMAIN, LIST_SIGNER, Pki, pki

__all__ = ["pki"]

IMAP = '\n[imap]\nimplicit_tls = {port = 993}\ntls = {certificate = "relay.pem", key = "relay.key"}\n'


@pytest.fixture
def house(pki: Pki, tmp_path: Path) -> Operator:
    text = SETTINGS.format(database="").replace("liste.mssante.example", LIST_SIGNER.common_name)
    (tmp_path / "mss.toml").write_text(text + 'revocation_lists = ["a.crl", "b.crl"]\n' + IMAP)
    (tmp_path / "authorities.pem").write_bytes(pki.authority.bundle_pem)
    (tmp_path / "a.crl").write_bytes(pki.authority.crl([], now=pki.now))
    (tmp_path / "b.crl").write_bytes(pki.authority.root_crl(now=pki.now))
    _wear(tmp_path, pki.hospital)
    house = Operator(tmp_path)
    _list(house, pki, [HOSPITAL_DOMAIN, "patient.mssante.example"], hours=1)
    assert house.mss("db", "upgrade").code == 0
    return house


def _wear(directory: Path, issued: Issued) -> None:
    issued.write(directory, "relay")


def _list(house: Operator, pki: Pki, domains: list[str], *, hours: int) -> None:
    at = (datetime.now(UTC) - timedelta(hours=hours)).replace(microsecond=0)
    entries = [TrustEntry(domain, pki.hospital.subject) for domain in domains]
    (house.directory / "list.xml").write_bytes(pki.signed_list(entries, generated_at=at))


def test_a_healthy_house_is_green(house: Operator) -> None:
    """No red line, exit code 0, and the DNS records that mail clients look for."""
    told = house.mss("check")
    assert (told.code, told.out.count("RED")) == (0, 0), told.out
    assert f"_imaps._tcp.{HOSPITAL_DOMAIN}. SRV 0 1 993 relais.chu.mssante.example." in told.out
    assert "patient.mssante.example. SRV" not in told.out


def test_two_certificates_are_looked_at_each_for_its_own_domains(house: Operator, pki: Pki) -> None:
    """Listed as they are worn: green, and the letter to a peer names both."""
    second = _second(pki)
    _has_a_second(house, second)
    at = (datetime.now(UTC) - timedelta(hours=1)).replace(microsecond=0)
    entries = [TrustEntry(HOSPITAL_DOMAIN, pki.hospital.subject), TrustEntry("patient.mssante.example", second.subject)]
    (house.directory / "list.xml").write_bytes(pki.signed_list(entries, generated_at=at))
    told = house.mss("check")
    assert told.code == 0, told.out
    explained = house.mss("trust", "explain", HOSPITAL_DOMAIN).out
    for issued in (pki.hospital, second):
        assert f"certificate {issued.subject} is listed for" in explained
    assert f"{pki.hospital.subject}; {second.subject}" in explained


def _ends_soon(house: Operator, pki: Pki) -> None:
    _wear(house.directory, pki.authority.issue(HOSPITAL, now=pki.now, days=7))


def _taken_back(house: Operator, pki: Pki) -> None:
    crl = pki.authority.crl([pki.hospital.certificate], now=pki.now + timedelta(seconds=1))
    (house.directory / "a.crl").write_bytes(crl)


def _newer_tables(house: Operator, _pki: Pki) -> None:
    import sqlite3

    connection = sqlite3.connect(house.directory / "state" / "mss.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()


def _has_a_second(house: Operator, issued: Issued, key: bytes | None = None) -> None:
    """For patients; the trust list names the first for all."""
    issued.write(house.directory, "second")
    if key is not None:
        (house.directory / "second.key").write_bytes(key)
    second = '{certificate = "second.pem", key = "second.key", domains = ["patient.mssante.example"]}'
    house.config.write_text(house.config.read_text().replace("[relay]", f"[relay]\nmore_tls = [{second}]"))


def _lost_its_second(house: Operator, pki: Pki) -> None:
    _has_a_second(house, _second(pki))
    (house.directory / "second.pem").unlink()


def _second(pki: Pki, days: int = 365) -> Issued:
    return pki.authority.issue(Subject("smtp.patient.mssante.example", "1690000001", "CHU"), now=pki.now, days=days)


def _asks_responders(house: Operator, _pki: Pki) -> None:
    house.config.write_text(house.config.read_text().replace("[relay]", "[relay]\nocsp = true"))


ILLNESSES: dict[str, tuple[Callable[[Operator, Pki], object], str]] = {
    "a key that others read": (lambda h, _: next((h.directory / "keys").iterdir()).chmod(0o644), "others may read"),
    "a key lost": (lambda h, _: (h.directory / "keys" / "held.private.key").unlink(), "keys: "),
    "tables of another version": (_newer_tables, "database: version 9999"),
    "no store": (lambda h, _: (h.directory / "state" / "mss.db").unlink(), "there are no tables yet"),
    "a certificate that ends": (_ends_soon, "ends in 6 days"),
    "no certificate": (lambda h, _: (h.directory / "relay.pem").unlink(), "relay.tls: "),
    "no list": (lambda h, _: (h.directory / "list.xml").unlink(), "there is no good one (unreadable)"),
    "an old list": (lambda h, p: _list(h, p, [HOSPITAL_DOMAIN, "patient.mssante.example"], hours=30), "30 hours old"),
    "not listed": (lambda h, p: _list(h, p, [HOSPITAL_DOMAIN], hours=1), "not listed for patient.mssante.example"),
    "taken back": (_taken_back, "would refuse our certificate: revoked"),
    "the key of another": (
        lambda h, p: (h.directory / "relay.key").write_bytes(p.lab.key_pem),
        "certificate or key cannot be used",
    ),
    "a revocation list that is over": (
        lambda h, p: (h.directory / "a.crl").write_bytes(p.authority.crl([], now=p.now - timedelta(days=9))),
        "revocation list 1: counts until",
    ),
    "a second certificate that is not listed": (
        lambda h, p: _has_a_second(h, _second(p)),
        "relay.more_tls[1] is not listed for patient.mssante.example",
    ),
    "a second certificate that ends": (lambda h, p: _has_a_second(h, _second(p, days=7)), "relay.more_tls[1]: CN="),
    "a second certificate with another's key": (
        lambda h, p: _has_a_second(h, _second(p), p.lab.key_pem),
        "relay.more_tls[1]: certificate or key cannot be used",
    ),
    "a second certificate that is gone": (
        _lost_its_second,
        "relay.more_tls[1]: ",
    ),
    "no responder": (_asks_responders, "our certificate names none"),
    "no revocation list": (lambda h, _: (h.directory / "a.crl").unlink(), "revocation-unknown"),
}


@pytest.mark.parametrize("illness", ILLNESSES)
def test_each_illness_is_red_with_what_to_do(house: Operator, pki: Pki, illness: str) -> None:
    """Named in its line, never a traceback, exit code 1."""
    spoil, words = ILLNESSES[illness]
    spoil(house, pki)
    told = house.mss("check", "--json")
    red = [one for one in json.loads(told.out) if not one["ok"]]
    assert told.code == 1
    assert any(words in one["what"] for one in red), red
    assert all(one["advice"] for one in red)
