"""How does a mail program learn where its servers are? Autoconfig, Autodiscover (POX) and Apple profiles. Pure.

Nothing here knows whether an address exists: the same words go to everybody of a domain.
"""

from __future__ import annotations

import plistlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape

from mss.formats.xmlguard import local_name, parse
from mss.model.errors import BadValue, Malformed
from mss.model.ids import MailAddress
from mss.model.verdict import Reason

REQUEST_BYTES_MAX = 8 * 1024
"""An Autodiscover request holds an address and a name of a schema."""
_ASKED = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
_OUTER = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_TOLD = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_IDENTITY = uuid.uuid5(uuid.NAMESPACE_DNS, "profiles.mss-server.invalid")
_AS_INCOMING = "<UsePOPAuth>on</UsePOPAuth><SMTPLast>off</SMTPLast>"
"""The same name and password as for reading, whatever kind of account that is."""
_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'


@dataclass(frozen=True, slots=True)
class Door:
    """A port of ours; `starts_tls`: plain until STARTTLS."""

    host: str
    port: int
    starts_tls: bool


@dataclass(frozen=True, slots=True)
class Servers:
    """What mail programs are told. The first door of each kind is the one to use (implicit TLS, RFC 8314 §3)."""

    name: str
    domains: tuple[str, ...]
    """Of professionals."""
    imap: tuple[Door, ...]
    submission: tuple[Door, ...]

    def knows(self, domain: str) -> bool:
        return domain.lower() in self.domains


class SchemaUnknown(BadValue):
    """An Autodiscover answer in a form that we do not speak."""


def autoconfig(servers: Servers, domain: str) -> bytes:
    """Thunderbird's config-v1.1.xml (draft-ietf-mailmaint-autoconfig): the program puts the address in by itself."""
    doors = [_server("incomingServer", "imap", door) for door in servers.imap]
    doors += [_server("outgoingServer", "smtp", door) for door in servers.submission]
    domains = "".join(f"    <domain>{escape(one)}</domain>\n" for one in servers.domains)
    name = escape(servers.name)
    text = (
        f'{_HEAD}<clientConfig version="1.1">\n  <emailProvider id="{escape(domain)}">\n{domains}'
        f"    <displayName>{name}</displayName>\n    <displayShortName>{name}</displayShortName>\n"
        f"{''.join(doors)}  </emailProvider>\n</clientConfig>\n"
    )
    return text.encode()


def _server(tag: str, kind: str, door: Door) -> str:
    lines = (
        f"hostname>{escape(door.host)}</hostname",
        f"port>{door.port}</port",
        f"socketType>{'STARTTLS' if door.starts_tls else 'SSL'}</socketType",
        "username>%EMAILADDRESS%</username",
        "authentication>password-cleartext</authentication",
    )
    inside = "".join(f"      <{line}>\n" for line in lines)
    return f'    <{tag} type="{kind}">\n{inside}    </{tag}>\n'


def read_autodiscover(body: bytes) -> MailAddress:
    """Whose settings a POX request asks for ([MS-OXDSCLI] §3.1.5.1). Raises BadValue, SchemaUnknown."""
    try:
        root = parse(body, Reason.METADATA_BROKEN, REQUEST_BYTES_MAX)
    except Malformed:
        raise BadValue("no Autodiscover request") from None
    if root.tag != f"{{{_ASKED}}}Autodiscover":
        raise BadValue("no Autodiscover request")
    told: dict[str, str] = {}
    for request in root:
        if local_name(request) == "Request":
            told |= {local_name(one): (one.text or "").strip() for one in request}
    if told.get("AcceptableResponseSchema", _TOLD) != _TOLD:
        raise SchemaUnknown("another schema")
    return MailAddress.parse(told.get("EMailAddress", ""))


def autodiscover(servers: Servers, address: MailAddress) -> bytes:
    """The answer ([MS-OXDSCLI] §2.2.4): one protocol each way."""
    login = escape(str(address))
    protocols = [_protocol("IMAP", door, login) for door in servers.imap[:1]]
    protocols += [_protocol("SMTP", door, login) for door in servers.submission[:1]]
    inside = "".join(protocols)
    return _pox(
        f'<Response xmlns="{_TOLD}"><Account><AccountType>email</AccountType><Action>settings</Action>'
        f"{inside}</Account></Response>"
    )


def _protocol(kind: str, door: Door, login: str) -> str:
    return (
        f"<Protocol><Type>{kind}</Type><Server>{escape(door.host)}</Server><Port>{door.port}</Port>"
        f"<DomainRequired>off</DomainRequired><LoginName>{login}</LoginName><SPA>off</SPA>"
        f"<SSL>{'off' if door.starts_tls else 'on'}</SSL>"
        f"<Encryption>{'TLS' if door.starts_tls else 'SSL'}</Encryption><AuthRequired>on</AuthRequired>"
        f"{_AS_INCOMING if kind == 'SMTP' else ''}</Protocol>"
    )


def autodiscover_error(code: int, words: str, at: datetime) -> bytes:
    """600: no request; 601: another schema; 500: not a domain of ours ([MS-OXDSCLI] §2.2.4.1.1.3)."""
    moment = f"{at:%H:%M:%S.%f}"
    return _pox(
        f'<Response><Error Time="{moment}" Id="0"><ErrorCode>{code}</ErrorCode><Message>{escape(words)}</Message>'
        "<DebugData /></Error></Response>"
    )


def _pox(inside: str) -> bytes:
    return f'{_HEAD}<Autodiscover xmlns="{_OUTER}">{inside}</Autodiscover>\n'.encode()


def apple_profile(servers: Servers, address: MailAddress) -> bytes:
    """A configuration profile with one mail account (Apple, Device Management: Mail); not signed yet.

    Its numbers and identifier follow from the address, so that installing it again replaces it, and it alone: two
    mailboxes of one domain may stand on one telephone.
    """
    number = uuid.uuid5(_IDENTITY, f"profile {address.key}")
    identifier = f"{_reversed(address.domain)}.{number.hex}"
    incoming, outgoing = servers.imap[0], servers.submission[0]
    mail: dict[str, object] = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{identifier}.mail",
        "PayloadUUID": str(uuid.uuid5(_IDENTITY, f"mail {address.key}")).upper(),
        "PayloadDisplayName": servers.name,
        "EmailAccountType": "EmailTypeIMAP",
        "EmailAccountDescription": servers.name,
        "EmailAddress": str(address),
        "OutgoingPasswordSameAsIncomingPassword": True,
        **_apple_server("Incoming", incoming, address),
        **_apple_server("Outgoing", outgoing, address),
    }
    profile = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": identifier,
        "PayloadUUID": str(number).upper(),
        "PayloadDisplayName": f"{servers.name} ({address})",
        "PayloadOrganization": servers.name,
        "PayloadContent": [mail],
    }
    return plistlib.dumps(profile)


def _apple_server(way: str, door: Door, address: MailAddress) -> dict[str, object]:
    return {
        f"{way}MailServerHostName": door.host,
        f"{way}MailServerPortNumber": door.port,
        f"{way}MailServerUseSSL": True,
        f"{way}MailServerUsername": str(address),
        f"{way}MailServerAuthentication": "EmailAuthPassword",
    }


def _reversed(domain: str) -> str:
    return ".".join(reversed(domain.split(".")))


def srv_records(servers: Servers) -> Sequence[tuple[str, str]]:
    """(name, value) of SRV records for each domain (RFC 6186, RFC 8314 §5.1); what is not offered points nowhere."""
    kinds: list[tuple[str, tuple[Door, ...]]] = [
        ("_imaps", tuple(door for door in servers.imap if not door.starts_tls)),
        ("_imap", tuple(door for door in servers.imap if door.starts_tls)),
        ("_submissions", tuple(door for door in servers.submission if not door.starts_tls)),
        ("_submission", tuple(door for door in servers.submission if door.starts_tls)),
        ("_pop3s", ()),
        ("_pop3", ()),
    ]
    return [
        (f"{kind}._tcp.{domain}.", f"0 1 {doors[0].port} {doors[0].host}." if doors else "0 0 0 .")
        for domain in servers.domains
        for kind, doors in kinds
    ]
