"""A door with several certificates shows the one that names the host that was asked for (SNI)."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from mss.crypto.authority import Fault, Subject
from mss.crypto.tls import TlsHolder, relay_server_context, service_server_context
from tests.crypto.test_tls import VERSIONS, caller, handshake_in_memory, meet, stranger
from tests.kit.pki import LAB, Pki

HOSTS = ("smtp.clinique.mssante.example", "*.maison.example", "localhost")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("asked", "is_the_clinic"),
    [
        ("smtp.clinique.mssante.example", True),
        ("SMTP.clinique.MSSante.example", True),
        ("imap.maison.example", True),
        ("a.imap.maison.example", False),
        ("maison.example", False),
        ("smtp.chu.mssante.example", False),
        ("localhost", False),  # both name it: the first is shown
        ("elsewhere.example", False),
        (None, False),
    ],
)
def test_who_asks_for_a_host_is_shown_the_certificate_that_names_it(
    pki: Pki, asked: str | None, is_the_clinic: bool, version: ssl.TLSVersion
) -> None:
    """Everybody else sees the first one; the client's own certificate is asked for and verified all the same."""
    clinic = pki.authority.issue(Subject("clinique", "1690000002", "CLINIQUE"), now=pki.now, names=HOSTS)
    ours, roots = pki.hospital, pki.authority.bundle_pem
    more = [(clinic.certificate_pem, clinic.key_pem)]
    expected = clinic.der if is_the_clinic else ours.der
    for server in (
        relay_server_context(ours.certificate_pem, ours.key_pem, roots, more=more),
        service_server_context(ours.certificate_pem, ours.key_pem, roots, more=more),
    ):
        near, far = handshake_in_memory(server, caller(pki, pki.lab, version), host=asked)
        assert near.getpeercert(binary_form=True) == expected
        assert far.getpeercert(binary_form=True) == pki.lab.der


async def test_a_refused_handshake_for_another_host_is_heard_too(pki: Pki) -> None:
    """The log knows the serial number whichever of our certificates was shown."""
    clinic = pki.authority.issue(Subject("localhost", "1690000002", "CLINIQUE"), now=pki.now)
    ours, shows = pki.authority.issue(LAB, now=pki.now, names=()), pki.show(Fault.EXPIRED)
    more = [(clinic.certificate_pem, clinic.key_pem)]
    meeting = await meet(
        lambda hear: relay_server_context(
            ours.certificate_pem, ours.key_pem, pki.authority.bundle_pem, on_refused=hear, more=more
        ),
        caller(pki, shows),
        host="localhost",
    )
    assert "CERTIFICATE_EXPIRED" in meeting.alert
    (refused,) = meeting.refused
    assert refused.certificate is not None
    assert refused.certificate.serial == shows.certificate.serial_number


def test_each_of_several_certificates_is_renewed_without_cutting_anybody(pki: Pki, tmp_path: Path) -> None:
    """The files of all are looked at; who is inside goes on, who comes sees the new one."""
    first = pki.hospital.write(tmp_path, "first")
    subject = Subject("smtp.clinique.mssante.example", "1690000002", "CLINIQUE")
    clinic = pki.authority.issue(subject, now=pki.now, names=())
    second = clinic.write(tmp_path, "second")
    holder = TlsHolder(lambda: service_server_context(*first, more=[second]), [*first, *second])
    inside, door = handshake_in_memory(holder.current, stranger(), host=subject.common_name)
    renewed = pki.authority.issue(subject, now=pki.now, names=())
    renewed.write(tmp_path, "second")
    assert holder.look()
    after, _ = handshake_in_memory(holder.current, stranger(), host=subject.common_name)
    assert (inside.getpeercert(binary_form=True), after.getpeercert(binary_form=True)) == (clinic.der, renewed.der)
    door.write(b"still here")
    assert inside.read() == b"still here"
