"""A mail program that knows an address finds its servers: Thunderbird, Outlook, Apple; strangers learn nothing more."""

from __future__ import annotations

import plistlib
import ssl
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from mss.crypto import cms
from mss.crypto.tls import TlsHolder, service_server_context
from mss.formats.discovery import REQUEST_BYTES_MAX, Door, Servers, apple_profile, srv_records
from mss.model.ids import MailAddress
from mss.web.discovery import Discovery
from mss.web.server import Listening, WebServer
from tests.kit import programs
from tests.kit.pki import session_pki
from tests.web.site import Site

DOMAIN = "ville.mssante.example"
SERVERS = Servers(
    'Santé <Ville> & "Co"',
    (DOMAIN, "chu.mssante.example"),
    (Door("mail.ville.mssante.example", 993, False), Door("mail.ville.mssante.example", 143, True)),
    (Door("mail.ville.mssante.example", 465, False), Door("mail.ville.mssante.example", 587, True)),
)
TOLD = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"
OUTER = "{http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006}"
ASK = """<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">
  <Request>
    <EMailAddress>{address}</EMailAddress>
    <AcceptableResponseSchema>{schema}</AcceptableResponseSchema>
  </Request>
</Autodiscover>"""
SCHEMA = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"


@dataclass
class Asked:
    """What came back."""

    status: int
    kind: str
    body: bytes


@dataclass
class Finder:
    """A mail program that looks for its servers."""

    server: WebServer
    client: aiohttp.ClientSession

    async def ask(self, path: str, body: bytes | None = None, *, tls: bool = True, host: str = "") -> Asked:
        scheme = "https" if tls else "http"
        url = f"{scheme}://localhost:{self.server.ports[scheme]}{path}"
        method, headers = "GET" if body is None else "POST", {"Host": host} if host else {}
        async with self.client.request(method, url, data=body, headers=headers, allow_redirects=False) as answer:
            return Asked(answer.status, answer.content_type, await answer.read())


@pytest.fixture
async def finder(site: Site) -> AsyncIterator[Finder]:
    """A site with both ports, as in production."""
    pki = session_pki()
    issued = pki.hospital
    tls = TlsHolder(lambda: service_server_context(issued.certificate_pem, issued.key_pem))
    told = Discovery(SERVERS, lambda plist: cms.sign(plist, issued.certificate_pem, issued.key_pem), site.clock)
    http, https = Listening("127.0.0.1", 0), Listening("127.0.0.1", 0, tls)
    server = WebServer(site.rooms, http=http, https=https, discovery=told)
    await server.start()
    trust = ssl.create_default_context(cadata=pki.authority.bundle_pem.decode())
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as client:
        yield Finder(server, client)
    await server.stop(0)


@pytest.mark.parametrize("tls", [True, False])
async def test_thunderbird_finds_both_servers(finder: Finder, tls: bool) -> None:
    """The elements that its format requires, in the order of preference."""
    asked = await finder.ask(f"/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=a@{DOMAIN}", tls=tls)
    assert (asked.status, asked.kind) == (200, "text/xml")
    root = ElementTree.fromstring(asked.body)
    assert (root.tag, root.attrib) == ("clientConfig", {"version": "1.1"})
    (provider,) = root
    assert provider.attrib == {"id": DOMAIN}
    assert [one.text for one in provider.iter("domain")] == list(SERVERS.domains)
    assert provider.findtext("displayName") == SERVERS.name
    incoming = [{part.tag: part.text for part in one} for one in provider.iter("incomingServer")]
    assert incoming[0] == {
        "hostname": "mail.ville.mssante.example",
        "port": "993",
        "socketType": "SSL",
        "username": "%EMAILADDRESS%",
        "authentication": "password-cleartext",
    }
    assert [(one["port"], one["socketType"]) for one in incoming] == [("993", "SSL"), ("143", "STARTTLS")]
    outgoing = [one.findtext("port") for one in provider.iter("outgoingServer")]
    assert outgoing == ["465", "587"]


async def test_the_answer_is_the_same_whether_somebody_is_there_or_not(finder: Finder, site: Site) -> None:
    """To the byte, in all three forms but for the address that was asked with."""
    await site.house.professional(f"marie@{DOMAIN}")
    path = "/mail/config-v1.1.xml?emailaddress="
    assert await finder.ask(f"{path}marie@{DOMAIN}") == await finder.ask(f"{path}nobody@{DOMAIN}")
    bodies = []
    for name in ("marie", "nobod"):
        asked = ASK.format(address=f"{name}@{DOMAIN}", schema=SCHEMA).encode()
        bodies.append((await finder.ask("/autodiscover/autodiscover.xml", asked)).body.replace(name.encode(), b"?"))
    assert bodies[0] == bodies[1]


async def test_the_host_named_autoconfig_stands_for_its_domain(finder: Finder) -> None:
    """Programs ask there first, often without an address."""
    asked = await finder.ask("/mail/config-v1.1.xml", host="autoconfig.chu.mssante.example")
    assert b'<emailProvider id="chu.mssante.example">' in asked.body


async def test_outlook_finds_both_servers(finder: Finder) -> None:
    """As [MS-OXDSCLI] writes it, the same password for both; the path in each spelling that programs use."""
    asked = ASK.format(address=f"marie.o-neil@{DOMAIN}", schema=SCHEMA).encode()
    for name in ("autodiscover/autodiscover", "Autodiscover/Autodiscover", "AutoDiscover/AutoDiscover"):
        path = f"/{name}.xml"
        answer = await finder.ask(path, asked)
        assert (answer.status, answer.kind) == (200, "text/xml")
        account = ElementTree.fromstring(answer.body).find(f"{TOLD}Response/{TOLD}Account")
        assert account is not None
        assert account.findtext(f"{TOLD}AccountType") == "email"
        assert account.findtext(f"{TOLD}Action") == "settings"
        told = [
            tuple(one.findtext(f"{TOLD}{tag}") for tag in ("Type", "Server", "Port", "SSL", "LoginName", "UsePOPAuth"))
            for one in account.iter(f"{TOLD}Protocol")
        ]
        assert told == [
            ("IMAP", "mail.ville.mssante.example", "993", "on", f"marie.o-neil@{DOMAIN}", None),
            ("SMTP", "mail.ville.mssante.example", "465", "on", f"marie.o-neil@{DOMAIN}", "on"),
        ]


ENTITY = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
NOT_ASKED = [
    (b"", "600"),
    (b"<a/>", "600"),
    (b"\xff" * 100, "600"),
    (ASK.format(address="nobody", schema=SCHEMA).encode(), "600"),
    (
        ASK.format(address=f"a@{DOMAIN}", schema=SCHEMA).replace("<Autodiscover", f"{ENTITY}<Autodiscover").encode(),
        "600",
    ),
    (ASK.format(address=f"a@{DOMAIN}", schema=SCHEMA).encode() + b" " * REQUEST_BYTES_MAX, "600"),
    (ASK.format(address=f"a@{DOMAIN}", schema="http://schemas.microsoft.com/mobilesync").encode(), "601"),
    (ASK.format(address="a@elsewhere.example", schema=SCHEMA).encode(), "500"),
]


@pytest.mark.parametrize(("body", "code"), NOT_ASKED)
async def test_what_is_no_request_of_ours_gets_its_code(finder: Finder, body: bytes, code: str) -> None:
    """In the words that Outlook knows; nothing is resolved, nothing large is read."""
    answer = await finder.ask("/autodiscover/autodiscover.xml", body)
    assert answer.status == 200
    error = ElementTree.fromstring(answer.body).find(f"{OUTER}Response/{OUTER}Error")
    assert error is not None
    assert error.findtext(f"{OUTER}ErrorCode") == code


async def test_an_iphone_gets_a_profile_that_is_signed(finder: Finder, tmp_path: Path) -> None:
    """OpenSSL agrees with the signature, and the profile sets up what Apple asks for."""
    openssl = programs.require("openssl")
    answer = await finder.ask(f"/apple.mobileconfig?email=marie@{DOMAIN}")
    assert (answer.status, answer.kind) == (200, "application/x-apple-aspen-config")
    (tmp_path / "signed").write_bytes(answer.body)
    (tmp_path / "ca.pem").write_bytes(session_pki().authority.bundle_pem)
    words = "cms -verify -inform DER -in signed -CAfile ca.pem -purpose any -out plain".split()  # noqa: SIM905
    done = subprocess.run([str(openssl), *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    profile = plistlib.loads((tmp_path / "plain").read_bytes())
    assert profile["PayloadType"] == "Configuration"
    (mail,) = profile["PayloadContent"]
    assert mail["PayloadType"] == "com.apple.mail.managed"
    assert mail["EmailAccountType"] == "EmailTypeIMAP"
    assert (mail["IncomingMailServerHostName"], mail["IncomingMailServerPortNumber"]) == (SERVERS.imap[0].host, 993)
    assert (mail["OutgoingMailServerPortNumber"], mail["OutgoingMailServerUseSSL"]) == (465, True)
    assert mail["IncomingMailServerUsername"] == mail["EmailAddress"] == f"marie@{DOMAIN}"
    assert "IncomingPassword" not in mail


def test_two_mailboxes_on_one_telephone_are_two_profiles() -> None:
    """A profile replaces the one of the same identifier: hers, however she types her address, and nobody else's."""

    def named(address: str) -> tuple[str, str]:
        profile = plistlib.loads(apple_profile(SERVERS, MailAddress.parse(address)))
        (mail,) = profile["PayloadContent"]
        assert mail["PayloadIdentifier"] != profile["PayloadIdentifier"]
        return profile["PayloadIdentifier"], profile["PayloadUUID"]

    assert named(f"marie@{DOMAIN}") == named(f"Marie@{DOMAIN.upper()}")
    first, second = named(f"marie@{DOMAIN}"), named(f"paul@{DOMAIN}")
    assert first[0] != second[0]
    assert first[1] != second[1]


UNKNOWN = [
    "/apple.mobileconfig",
    "/apple.mobileconfig?email=a@elsewhere.example",
    "/mail/config-v1.1.xml?emailaddress=a@patient.mssante.example",
    "/mail/config-v1.1.xml?emailaddress=%0d%0a",
]


@pytest.mark.parametrize("path", UNKNOWN)
async def test_another_domain_is_a_page_that_is_not_there(finder: Finder, path: str) -> None:
    """Patients among them: they read on the web."""
    assert (await finder.ask(path)).status == 404


async def test_what_names_a_person_is_not_said_in_clear(finder: Finder) -> None:
    """Outlook and Apple find it over TLS."""
    asked = ASK.format(address=f"a@{DOMAIN}", schema=SCHEMA).encode()
    assert (await finder.ask("/autodiscover/autodiscover.xml", asked, tls=False)).status == 404
    assert (await finder.ask(f"/apple.mobileconfig?email=a@{DOMAIN}", tls=False)).status == 404


def test_the_dns_says_what_is_offered_and_what_is_not() -> None:
    """RFC 6186: a service that is not there points nowhere."""
    told = dict(srv_records(SERVERS))
    assert told[f"_imaps._tcp.{DOMAIN}."] == "0 1 993 mail.ville.mssante.example."
    assert told[f"_submission._tcp.{DOMAIN}."] == "0 1 587 mail.ville.mssante.example."
    assert told[f"_pop3s._tcp.{DOMAIN}."] == "0 0 0 ."
