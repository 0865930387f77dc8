"""Every fault of a certificate, with the right and the wrong domain in MAIL FROM and in From, at the real relay door.

Real TLS, the real trust list and revocation lists, the house's own judges. Exactly one combination is let in; each
other is refused with a reason of its own in our journal, which names the certificate's serial number.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from mss.crypto import tls
from mss.crypto.authority import Fault, Issued, Subject
from mss.formats.trustlist import TrustEntry
from mss.mail.intake import Intake
from mss.mail.parcels import Letter
from mss.mail.reception import Receipt
from mss.model.clock import ManualClock, SeededChance
from mss.model.message import Envelope
from mss.model.verdict import Accept, Reason, Verdict
from mss.smtp import journal
from mss.smtp.server import RelayServer
from tests.kit.gate import trust_files
from tests.kit.mailroom import HOUSE
from tests.kit.pki import HOSPITAL_DOMAIN, LAB, LAB_DOMAIN, Pki
from tests.kit.smtp_wire import DOCTOR, SmtpClient

LISTED_ELSEWHERE, UNLISTED = HOSPITAL_DOMAIN, "intrus.example"
CLINIC_DOMAIN = "clinique.mssante.example"
CLINIC = Subject("smtp.clinique.mssante.example", "1690000002", "CLINIQUE DES ACACIAS")
LEFT = Subject("smtp.parti.mssante.example", "1690000003", "CLINIQUE FERMEE")
ACCEPTED = "accepted"

Spoil = Callable[[Pki, Path, Issued], None]
Entries = Callable[[Pki], list[TrustEntry]]


class Desk(Intake):
    """The house's intake, which keeps nothing."""

    async def recipient(self, *_: object) -> Verdict:
        return Accept()

    async def _keep(self, letter: Letter, envelope: Envelope) -> Receipt:
        return Receipt(Accept(), 1)


@dataclass(frozen=True)
class Case:
    """What a peer shows, what the lists say of it, and how it ends: the words of an alert, or a reason."""

    shows: Callable[[Pki], Issued | None]
    ends: str
    is_alert: bool = False
    entries: Entries = Pki.entries
    spoil: Spoil = lambda _pki, _directory, _issued: None


def _alert(shows: Callable[[Pki], Issued], words: str) -> Case:
    return Case(shows, words, is_alert=True)


def _lab(pki: Pki) -> Issued:
    return pki.lab


def _clinic(pki: Pki) -> Issued:
    return pki.authority.issue(CLINIC, now=pki.now)


def _with(domain: str, who: Subject, *, without: str = "") -> Entries:
    """The list, and in it a domain under that name as well."""

    def entries(pki: Pki) -> list[TrustEntry]:
        others = [one for one in pki.entries() if one.domain != without]
        return [*others, TrustEntry(domain, pki.authority.issue(who, now=pki.now).subject)]

    return entries


def _lists(*, of_operators_days: int = 0, of_authorities_days: int = 0) -> Spoil:
    """Revocation lists of so many days ago; they count for a week."""

    def spoil(pki: Pki, directory: Path, _issued: Issued) -> None:
        crl = pki.authority.crl([], now=pki.now - timedelta(days=of_operators_days))
        (directory / "a.crl").write_bytes(crl)
        root_crl = pki.authority.root_crl(now=pki.now - timedelta(days=of_authorities_days))
        (directory / "b.crl").write_bytes(root_crl)

    return spoil


def _no_list(_pki: Pki, directory: Path, _issued: Issued) -> None:
    (directory / "a.crl").unlink()


def _take_back(pki: Pki, directory: Path, issued: Issued) -> None:
    (directory / "a.crl").write_bytes(pki.authority.crl([issued.certificate], now=pki.now))


CASES: dict[str, Case] = {
    "right": Case(_lab, ACCEPTED),
    "right, with an RSA key": Case(lambda pki: pki.rsa_lab, ACCEPTED),
    "right, one of two operators": Case(_lab, ACCEPTED, entries=_with(LAB_DOMAIN, CLINIC)),
    "right, the other of two operators": Case(_clinic, ACCEPTED, entries=_with(LAB_DOMAIN, CLINIC)),
    "none": Case(lambda _pki: None, Reason.CERTIFICATE_REQUIRED),
    "expired": _alert(lambda pki: pki.show(Fault.EXPIRED), "expired"),
    "not yet valid": _alert(lambda pki: pki.show(Fault.NOT_YET_VALID), "not yet valid"),
    "for mail signatures": _alert(lambda pki: pki.show(Fault.WRONG_USE), "purpose"),
    "for servers only": _alert(Pki.server_only, "purpose"),
    "self-signed": _alert(lambda pki: pki.show(Fault.SELF_SIGNED), "self-signed"),
    "of another authority": _alert(lambda pki: pki.show(Fault.OTHER_AUTHORITY), "issuer"),
    "without its intermediate": _alert(Pki.without_its_chain, "issuer"),
    "too long a chain": _alert(Pki.too_long_a_chain, "path length"),
    "beyond name constraints": _alert(Pki.out_of_bounds, "permitted subtree"),
    "weak signature": _alert(Pki.weak_signature, "too weak"),
    "weak key": Case(lambda pki: pki.show(Fault.WEAK_KEY), Reason.CERTIFICATE_WEAK),
    "revoked": Case(lambda pki: pki.show(Fault.REVOKED), Reason.CERTIFICATE_REVOKED, spoil=_take_back),
    "revocation list over": Case(_lab, Reason.REVOCATION_UNKNOWN, spoil=_lists(of_operators_days=8)),
    "root's revocation list over": Case(_lab, Reason.REVOCATION_UNKNOWN, spoil=_lists(of_authorities_days=8)),
    "no revocation list": Case(_lab, Reason.REVOCATION_UNKNOWN, spoil=_no_list),
    "in no list": Case(_clinic, Reason.CERTIFICATE_NOT_LISTED),
    "listed for another domain": Case(_clinic, Reason.DOMAIN_NOT_OF_CERTIFICATE, entries=_with(CLINIC_DOMAIN, CLINIC)),
    "removed from the list": Case(
        _lab, Reason.CERTIFICATE_NOT_LISTED, entries=_with(LAB_DOMAIN, LEFT, without=LAB_DOMAIN)
    ),
    "removed, its domain too": Case(
        _lab, Reason.CERTIFICATE_NOT_LISTED, entries=_with(CLINIC_DOMAIN, CLINIC, without=LAB_DOMAIN)
    ),
}
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
TRIED = [(name, TLS_1_3) for name in CASES] + [(name, TLS_1_2) for name, case in CASES.items() if case.is_alert]
"""What is said in words is said inside TLS, whichever; alerts are another matter in each."""


@asynccontextmanager
async def _door(pki: Pki, directory: Path, case: Case, issued: Issued | None) -> AsyncIterator[int]:
    """The hospital's relay, judging by that case's lists."""
    clock = ManualClock(at=pki.now)
    files = trust_files(
        pki,
        directory,
        entries=case.entries(pki),
        clock=clock,
        spoil=lambda there: case.spoil(pki, there, issued) if issued is not None else None,
    )
    own, roots = pki.hospital, pki.authority.bundle_pem
    context = tls.relay_server_context(own.certificate_pem, own.key_pem, roots, on_refused=journal.handshake_refused)
    desk = Desk(HOUSE, files.gate, None, None, SeededChance(1))  # type: ignore[arg-type]  # never asked
    door = RelayServer(hostname=HOUSE.host, tls=lambda: context, judge=files.gate, reception=desk, clock=clock)
    try:
        yield await door.start("127.0.0.1", 0)
    finally:
        await door.stop(grace_s=0.2)


def _caller(issued: Issued | None, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A peer that minds nothing, least of all its own weakness."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.maximum_version = version
    if issued is not None:
        with tls._as_file(issued.certificate_pem) as certificate, tls._as_file(issued.key_pem) as key:
            context.load_cert_chain(certificate, key)
    return context


@pytest.mark.parametrize(("name", "version"), TRIED, ids=lambda one: str(getattr(one, "name", one)))
async def test_one_combination_is_let_in_and_each_other_has_its_reason(
    pki: Pki, tmp_path: Path, name: str, version: ssl.TLSVersion
) -> None:
    """A wrong chain, date or purpose is an alert; everything else is told in words; our journal names each."""
    case = CASES[name]
    issued = case.shows(pki)
    serial = f"{issued.certificate.serial_number:X}" if issued else ""
    async with _door(pki, tmp_path, case, issued) as port:
        client = await SmtpClient.connect(port)
        await client.hear()
        for command in (f"EHLO {LAB.common_name}", "STARTTLS"):
            await client.ask(command)
        with capture_logs() as log:
            if case.is_alert:
                await _meets_an_alert(client, _caller(issued, version))
                _heard(log, "smtp.handshake-refused", serial, case.ends)
                return
            await client.encrypt(_caller(issued, version))
            await client.ask(f"EHLO {LAB.common_name}")
            for domain in (LAB_DOMAIN, LISTED_ELSEWHERE, UNLISTED):
                for shown in (LAB_DOMAIN, LISTED_ELSEWHERE, UNLISTED):
                    log.clear()
                    expected = _expected(case, domain, shown)
                    assert await _answer(client, domain, shown) == CODES[expected], (domain, shown)
                    if expected != ACCEPTED:
                        _heard(log, "smtp.later" if CODES[expected] == 454 else "smtp.refused", serial, expected)
        await client.close()


CODES: dict[str, int] = {
    ACCEPTED: 250,
    Reason.CERTIFICATE_REQUIRED: 530,
    Reason.REVOCATION_UNKNOWN: 454,
    Reason.CERTIFICATE_WEAK: 550,
    Reason.CERTIFICATE_REVOKED: 550,
    Reason.CERTIFICATE_NOT_LISTED: 550,
    Reason.DOMAIN_NOT_TRUSTED: 550,
    Reason.DOMAIN_NOT_OF_CERTIFICATE: 550,
    Reason.HEADER_FROM_NOT_OF_CERTIFICATE: 550,
}
"""As the contract has them."""


def _expected(case: Case, domain: str, shown: str) -> str:
    """The certificate's own fault first, then the domain of MAIL FROM, then that of From."""
    if case.ends not in (ACCEPTED, Reason.DOMAIN_NOT_OF_CERTIFICATE):
        return case.ends
    if domain == UNLISTED:
        return Reason.DOMAIN_NOT_TRUSTED
    if domain != LAB_DOMAIN or case.ends != ACCEPTED:
        return Reason.DOMAIN_NOT_OF_CERTIFICATE
    return ACCEPTED if shown == LAB_DOMAIN else Reason.HEADER_FROM_NOT_OF_CERTIFICATE


async def _answer(client: SmtpClient, domain: str, shown: str) -> int:
    """The code that ends one attempt."""
    begun = await client.ask(f"MAIL FROM:<bio@{domain}>")
    if begun.code != 250:
        return begun.code
    await client.ask(f"RCPT TO:<{DOCTOR}>")
    await client.ask("DATA")
    await client.say(f"From: <bio@{shown}>\r\nTo: <{DOCTOR}>\r\n\r\nBonjour.\r\n.\r\n".encode())
    return (await client.hear()).code


async def _meets_an_alert(client: SmtpClient, context: ssl.SSLContext) -> None:
    """In the handshake (TLS 1.2), or at the first words behind it (TLS 1.3)."""

    async def introduce() -> None:
        await client.encrypt(context)
        await client.ask(f"EHLO {LAB.common_name}")

    with pytest.raises(ssl.SSLError, match="ALERT"):
        await introduce()


def _heard(log: Sequence[Mapping[str, Any]], event: str, serial: str, reason: str) -> None:
    """Once, with the certificate's serial number and that reason."""
    (entry,) = [one for one in log if one["event"] in ("smtp.handshake-refused", "smtp.refused", "smtp.later")]
    assert (entry["event"], entry["serial"]) == (event, serial)
    assert reason in entry["reason"]
