"""Who gets through the handshake, who ends in an alert, and what our log hears of it. Real sockets on loopback."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from mss.crypto import tls
from mss.crypto.authority import Authority, Fault, Issued, write_file
from mss.crypto.channel import Channel
from mss.crypto.listening import Listener
from mss.crypto.tls import (
    OPENSSL_CONF,
    RefusedPeer,
    TlsHolder,
    peer_certificate,
    relay_client_context,
    relay_server_context,
    service_server_context,
)
from mss.model.errors import BadValue
from tests.kit.pki import LAB, Pki

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
DEADLINE_S = 10


@dataclass
class Meeting:
    """What came of one connection."""

    greeted: bool = False
    alert: str = ""
    shown: bytes | None = None
    version: str | None = None
    cipher: str = ""
    refused: list[RefusedPeer] = field(default_factory=list)


class Greeter(asyncio.Protocol):
    """What stands behind a door: greets whoever gets through."""

    def __init__(self, context: ssl.SSLContext, meeting: Meeting, handshake_s: float) -> None:
        self.context, self.meeting, self.handshake_s = context, meeting, handshake_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, Channel)
        transport.pause_reading()
        self.doing = asyncio.get_running_loop().create_task(self.greet(transport))

    async def greet(self, channel: Channel) -> None:
        try:
            tls = await channel.start_tls(self.context, self.handshake_s)
        except (OSError, TimeoutError):
            return
        self.meeting.shown = peer_certificate(tls)
        channel.write(b"220 ready\r\n")


async def meet(
    make_server: Callable[[Callable[[RefusedPeer], None]], ssl.SSLContext],
    client: ssl.SSLContext,
    *,
    host: str | None = None,
) -> Meeting:
    """Let a client connect to a mail door; the server greets whoever gets through."""
    meeting = Meeting()
    context = make_server(meeting.refused.append)
    listener = Listener("127.0.0.1", 0, lambda: Greeter(context, meeting, DEADLINE_S), backlog=5)
    try:
        await _call(listener.port, client, host, meeting)
    finally:
        listener.close()
    return meeting


async def meet_at_the_pages(
    make_server: Callable[[Callable[[RefusedPeer], None]], ssl.SSLContext], client: ssl.SSLContext
) -> Meeting:
    """The same through asyncio's own TLS, which is under aiohttp."""
    meeting = Meeting()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meeting.shown = peer_certificate(writer.get_extra_info("ssl_object"))
        writer.write(b"220 ready\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(
        greet, "127.0.0.1", 0, ssl=make_server(meeting.refused.append), ssl_handshake_timeout=DEADLINE_S
    )
    async with server:
        await _call(server.sockets[0].getsockname()[1], client, None, meeting)
    return meeting


async def _call(port: int, client: ssl.SSLContext, host: str | None, meeting: Meeting) -> None:
    async with asyncio.timeout(DEADLINE_S):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=host)
            meeting.greeted = await reader.readline() == b"220 ready\r\n"
            tls = writer.get_extra_info("ssl_object")
            meeting.version, meeting.cipher = tls.version(), tls.cipher()[0]
            writer.close()
        except ssl.SSLError as refusal:
            meeting.alert = refusal.reason or ""


def relay(pki: Pki) -> Callable[[Callable[[RefusedPeer], None]], ssl.SSLContext]:
    """Our relay, as other operators meet it."""
    ours, roots = pki.hospital, pki.authority.bundle_pem
    return lambda hear: relay_server_context(ours.certificate_pem, ours.key_pem, roots, on_refused=hear)


def caller(pki: Pki, shows: Issued, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = relay_client_context(shows.certificate_pem, shows.key_pem, pki.authority.bundle_pem)
    context.maximum_version = version
    return context


def stranger() -> ssl.SSLContext:
    """A client with no certificate and no opinion."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_operator_with_a_good_certificate_gets_through(pki: Pki, version: ssl.TLSVersion) -> None:
    """Both ends show a certificate, and we hold the peer's for the judge."""
    meeting = await meet(relay(pki), caller(pki, pki.lab, version))
    assert meeting.greeted
    assert meeting.shown == pki.lab.der
    assert meeting.version == version.name.replace("_", ".")
    assert not meeting.refused


@pytest.mark.parametrize("version", VERSIONS)
async def test_only_the_handshake_is_watched(
    pki: Pki, version: ssl.TLSVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a mail in a kept connection no record is shown to us: that would cost as much as opening it."""
    seen: list[bytes] = []
    honest = tls._see_message

    def watched(connection: object, direction: str, version: int, kind: int, message: int, octets: bytes) -> None:
        seen.append(octets)
        honest(connection, direction, version, kind, message, octets)

    monkeypatch.setattr(tls, "_see_message", watched)
    shown: list[int] = []

    class Echo(Greeter):
        channel: Channel

        async def greet(self, channel: Channel) -> None:
            self.channel = channel
            await super().greet(channel)
            shown.append(len(seen))

        def data_received(self, data: bytes) -> None:
            self.channel.write(data)

    context, meeting = relay(pki)(lambda _: None), Meeting()
    listener = Listener("127.0.0.1", 0, lambda: Echo(context, meeting, DEADLINE_S), backlog=5)
    async with asyncio.timeout(DEADLINE_S):
        client = caller(pki, pki.lab, version)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=client)
        assert await reader.readline() == b"220 ready\r\n"
        for number in range(20):
            writer.write(b"%d\r\n" % number)
            assert await reader.readline() == b"%d\r\n" % number
        shown.append(len(seen))
        writer.close()
    listener.close()
    assert 0 < shown[0] == shown[1]


async def test_a_peer_without_a_certificate_gets_through_to_be_told(pki: Pki) -> None:
    """It hears 530 later; the handshake does not fail, and nothing is shown."""
    meeting = await meet(relay(pki), stranger())
    assert meeting.greeted
    assert meeting.shown is None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("fault", [Fault.WEAK_KEY, Fault.REVOKED])
async def test_a_weak_or_revoked_certificate_reaches_the_judge(pki: Pki, fault: Fault, version: ssl.TLSVersion) -> None:
    """These are refused in words, so the handshake must let them in."""
    shows = pki.show(fault)
    meeting = await meet(relay(pki), caller(pki, shows, version))
    assert meeting.greeted
    assert meeting.shown == shows.der


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("fault", "alert", "reason"),
    [
        (Fault.EXPIRED, "CERTIFICATE_EXPIRED", "expired"),
        (Fault.NOT_YET_VALID, "BAD_CERTIFICATE", "not yet valid"),
        (Fault.WRONG_USE, "UNSUPPORTED_CERTIFICATE", "purpose"),
        (Fault.SELF_SIGNED, "UNKNOWN_CA", "self-signed"),
        (Fault.OTHER_AUTHORITY, "UNKNOWN_CA", "issuer"),
    ],
)
@pytest.mark.parametrize("meets", [meet, meet_at_the_pages])
async def test_a_wrong_certificate_ends_in_an_alert_and_our_log_names_it(
    pki: Pki, fault: Fault, alert: str, reason: str, version: ssl.TLSVersion, meets: Callable[..., Awaitable[Meeting]]
) -> None:
    """The peer's engineer sees the alert, ours sees whose certificate it was, its serial number and why."""
    shows = pki.show(fault)
    meeting = await meets(relay(pki), caller(pki, shows, version))
    assert not meeting.greeted
    assert alert in meeting.alert
    (refused,) = meeting.refused
    assert refused.certificate is not None
    assert refused.certificate.subject == shows.subject
    assert refused.certificate.serial == shows.certificate.serial_number
    assert reason in refused.reason


@pytest.mark.parametrize("make", [Pki.server_only, Pki.out_of_bounds, Pki.too_long_a_chain])
async def test_a_certificate_beyond_its_bounds_ends_in_an_alert(pki: Pki, make: Callable[[Pki], Issued]) -> None:
    """Purpose, name constraints and path length of the authorities are honoured."""
    meeting = await meet(relay(pki), caller(pki, make(pki)))
    assert not meeting.greeted
    assert meeting.alert
    assert len(meeting.refused) == 1


@pytest.mark.parametrize("octets", [b"EHLO lab.example\r\n", b"", b"\x16\x03\x01\x00\x05hello" * 9])
async def test_who_neither_shakes_hands_nor_leaves_is_put_out(pki: Pki, octets: bytes) -> None:
    """Waiting for an alert to be read ends with the deadline of the handshake."""
    context, meeting = relay(pki)(lambda _refused: None), Meeting()
    listener = Listener("127.0.0.1", 0, lambda: Greeter(context, meeting, 0.5), backlog=5)
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(octets)
        try:
            while await reader.read(1000):
                continue
        except ConnectionResetError:
            pass
        writer.close()
    listener.close()
    assert not meeting.greeted


async def test_tls_1_1_is_refused(pki: Pki) -> None:
    """Also when the client offers every cipher that it knows."""
    old = stranger()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    meeting = await meet(relay(pki), old)
    assert not meeting.greeted
    assert "PROTOCOL_VERSION" in meeting.alert


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-CCM", "AES128-GCM-SHA256"])
async def test_ciphers_without_authentication_or_forward_secrecy_are_refused(pki: Pki, cipher: str) -> None:
    """No CBC, no CCM, no key transport."""
    old = stranger()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers(cipher)
    meeting = await meet(relay(pki), old)
    assert not meeting.greeted
    assert "HANDSHAKE_FAILURE" in meeting.alert


async def test_we_do_not_deliver_to_a_server_of_another_authority(pki: Pki) -> None:
    """Outward the same chain is required, and the reason is heard at once."""
    elsewhere = Authority.create("AILLEURS", now=pki.now).issue(LAB, now=pki.now)
    heard: list[RefusedPeer] = []
    ours, roots = pki.hospital, pki.authority.bundle_pem
    client = relay_client_context(ours.certificate_pem, ours.key_pem, roots, on_refused=heard.append)

    def server(_hear: object) -> ssl.SSLContext:
        return relay_server_context(elsewhere.certificate_pem, elsewhere.key_pem, roots)

    meeting = await meet(server, client)
    assert not meeting.greeted
    assert heard[0].certificate is not None
    assert heard[0].certificate.serial == elsewhere.certificate.serial_number


async def test_a_client_certificate_is_no_server(pki: Pki) -> None:
    """Who may only call must not answer."""
    person = pki.authority.issue_client(LAB, now=pki.now, mail="robot@labo.mssante.example")
    roots = pki.authority.bundle_pem

    def server(_hear: object) -> ssl.SSLContext:
        return relay_server_context(person.certificate_pem, person.key_pem, roots)

    assert not (await meet(server, caller(pki, pki.hospital))).greeted


@pytest.mark.parametrize("version", VERSIONS)
def test_a_second_connection_hides_nobody(pki: Pki, version: ssl.TLSVersion) -> None:
    """No tickets; and where TLS 1.2 resumes by session id, the judge gets the same certificate as before."""
    server, client = relay(pki)(lambda _refused: None), caller(pki, pki.lab, version)
    first, greeting = handshake_in_memory(server, client)
    greeting.write(b"220")
    assert first.read() == b"220"  # tickets of TLS 1.3 would have come before
    assert not first.session or not first.session.has_ticket
    again, other_end = handshake_in_memory(server, client, session=first.session)
    assert other_end.getpeercert(binary_form=True) == pki.lab.der
    if version is ssl.TLSVersion.TLSv1_3:
        assert not again.session_reused


def test_the_services_take_a_client_certificate_only_where_told(pki: Pki) -> None:
    """An application mailbox shows one; a person's mail client has none and is let in as well."""
    ours, roots = pki.hospital, pki.authority.bundle_pem
    robot = pki.authority.issue_client(LAB, now=pki.now, mail="robot@labo.mssante.example")
    client = relay_client_context(robot.certificate_pem, robot.key_pem, roots)
    plain = service_server_context(ours.certificate_pem, ours.key_pem)
    asking = service_server_context(ours.certificate_pem, ours.key_pem, roots)
    assert handshake_in_memory(plain, client)[1].getpeercert(binary_form=True) is None
    assert handshake_in_memory(asking, client)[1].getpeercert(binary_form=True) == robot.der
    assert handshake_in_memory(asking, stranger())[1].getpeercert(binary_form=True) is None


def test_a_reload_changes_new_handshakes_and_a_bad_file_changes_nothing(pki: Pki, tmp_path: Path) -> None:
    """Renewing a certificate needs no restart; a half-written file takes nobody off the air."""
    roots = pki.authority.bundle_pem
    certificate, key = pki.hospital.write(tmp_path, "ours")
    assert key.stat().st_mode & 0o777 == 0o600
    holder = TlsHolder(lambda: service_server_context(certificate, key, roots))
    renewed = pki.authority.issue(LAB, now=pki.now)
    renewed.write(tmp_path, "ours")
    holder.reload()
    assert handshake_in_memory(holder.current, stranger())[0].getpeercert(binary_form=True) == renewed.der
    certificate.write_bytes(certificate.read_bytes()[:100])
    with pytest.raises(BadValue, match="cannot be used"):
        holder.reload()
    assert handshake_in_memory(holder.current, stranger())[0].getpeercert(binary_form=True) == renewed.der


def test_a_renewed_certificate_is_noticed_without_a_signal_once_it_is_whole(pki: Pki, tmp_path: Path) -> None:
    """Between the two files of a pair the old one is used; when both are there, new handshakes have the new one."""
    certificate, key = pki.hospital.write(tmp_path, "ours")
    holder = TlsHolder(lambda: service_server_context(certificate, key), [certificate, key])
    assert not holder.look()
    before, renewed = holder.current, pki.authority.issue(LAB, now=pki.now)
    write_file(certificate, renewed.certificate_pem, mode=0o644)
    with pytest.raises(BadValue, match="cannot be used"):
        holder.look()
    assert holder.current is before
    write_file(key, renewed.key_pem, mode=0o600)
    assert holder.look()
    assert handshake_in_memory(holder.current, stranger())[0].getpeercert(binary_form=True) == renewed.der
    assert not holder.look()


def test_a_key_of_another_certificate_is_told_at_start(pki: Pki) -> None:
    """A wrong pair of files fails when it is configured, not when somebody calls."""
    with pytest.raises(BadValue, match="cannot be used"):
        service_server_context(pki.hospital.certificate_pem, pki.lab.key_pem)


def test_roots_may_be_pem_der_or_pkcs7_and_never_nothing(pki: Pki, tmp_path: Path) -> None:
    """The national chain is published as PKCS#7; an empty file must not mean that nobody is verified."""
    ours = pki.hospital
    bundle = tmp_path / "chain.p7b"
    bundle.write_bytes(pkcs7.serialize_certificates(list(pki.authority.certificates), Encoding.DER))
    server = relay_server_context(ours.certificate_pem, ours.key_pem, bundle)
    assert handshake_in_memory(server, caller(pki, pki.lab))[1].getpeercert(binary_form=True) == pki.lab.der
    with pytest.raises(BadValue):
        relay_server_context(ours.certificate_pem, ours.key_pem, b"")
    with pytest.raises(BadValue):
        relay_server_context(ours.certificate_pem, ours.key_pem, tmp_path / "absent.pem")


def test_the_shipped_openssl_settings_leave_three_groups(pki: Pki, tmp_path: Path) -> None:
    """With OPENSSL_CONF set to our file a client that knows only P-521 is turned away; without it, it is not."""
    pki.hospital.write(tmp_path, "ours")
    script = (
        "import ssl, sys, pathlib\n"
        "from tests.crypto.test_tls import handshake_in_memory, stranger\n"
        "from mss.crypto.tls import service_server_context\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "server = service_server_context(folder / 'ours.pem', folder / 'ours.key')\n"
        "for curve in ('prime256v1', 'secp384r1', 'secp521r1'):\n"
        "    client = stranger()\n"
        "    client.set_ecdh_curve(curve)\n"
        "    try:\n"
        "        handshake_in_memory(server, client)\n"
        "        print(curve)\n"
        "    except (ssl.SSLError, AssertionError):\n"
        "        pass\n"
    )
    accepted = {}
    for name, settings in (("ours", {"OPENSSL_CONF": str(OPENSSL_CONF)}), ("stock", {})):
        environment = {**os.environ, **settings}
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        accepted[name] = done.stdout.split()
    assert accepted == {
        "ours": ["prime256v1", "secp384r1"],
        "stock": ["prime256v1", "secp384r1", "secp521r1"],
    }


def handshake_in_memory(
    server: ssl.SSLContext,
    client: ssl.SSLContext,
    session: ssl.SSLSession | None = None,
    *,
    host: str | None = None,
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of a finished handshake, without a socket."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(down, up, server_hostname=host, session=session), server.wrap_bio(up, down, server_side=True)
    finished: set[int] = set()
    for _ in range(4):
        for number, end in enumerate(ends):
            try:
                end.do_handshake()
                finished.add(number)
            except ssl.SSLWantReadError:
                continue
    assert finished == {0, 1}
    return ends
