"""Certificates, lists and settings of the demo: one authority, one signed trust list, one TOML file an operator.

Certificates and secrets are made once and kept in `keys`; lists are signed afresh at each start, since lists age.
"""

from __future__ import annotations

import hmac
import re
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from mss.crypto.authority import LOOPBACK, Authority, Fault, Subject, load_issued, write_file
from mss.crypto.certs import load_certificates, name_of
from mss.crypto.xmlsig import sign_enveloped
from mss.demo.people import DOMAINS, MAILBOXES, TIERS
from mss.formats import trustlist
from mss.formats.dn import DistinguishedName
from mss.formats.trustlist import TrustEntry
from mss.model.clock import SystemChance
from mss.model.mailbox import MailboxKind

_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")
SIGNER = Subject("liste.mssante.example", "399900000000014", "AUTORITE DE DEMONSTRATION")
SIGNER_MAIL = "liste@mssante.example"
OPERATORS = {
    "A": Subject("relais.ville.mssante.example", "399900000000022", "OPERATEUR A DE DEMONSTRATION"),
    "B": Subject("relais.labo.mssante.example", "399900000000030", "LABORATOIRE DES TILLEULS", "Rhône (69)"),
    "C": Subject("relais.tiers.mssante.example", "399900000000048", "OPERATEUR TIERS DE DEMONSTRATION"),
}
TEST_MAILBOX = "reponse.automatique-test"
CHECKER = "verifier"
"""Where makers of software send archives, in the patients' domain."""
"""Local part of each operator's test mailbox."""
PEER_FAULTS = (Fault.EXPIRED, Fault.REVOKED, Fault.WRONG_USE, Fault.WEAK_KEY)


@dataclass(frozen=True, slots=True)
class Papers:
    """Where everything lies. `secret` makes passwords that are the same at every start."""

    directory: Path
    secret: bytes

    @property
    def keys(self) -> Path:
        return self.directory / "keys"

    @property
    def ca(self) -> Path:
        return self.keys / "ca.pem"

    @property
    def trust_list(self) -> Path:
        return self.keys / "trust-list.xml"

    @property
    def revocation_lists(self) -> tuple[Path, Path]:
        return self.keys / "organisations.crl", self.keys / "root.crl"

    @property
    def fhir_token(self) -> Path:
        return self.keys / f"fhir-{FHIR_CLIENT}.token"

    def certificate(self, name: str) -> Path:
        return self.keys / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.keys / f"{name}.key"

    def random(self, label: str, size_bytes: int) -> bytes:
        """Bytes that belong to a label for the life of this demo."""
        return hmac.digest(self.secret, label.encode(), "sha512")[:size_bytes]


def application_name(address: str) -> str:
    """File name of an application mailbox's certificate."""
    return "app-" + address.replace("@", "-at-")


def application_subject(address: str, name: str) -> Subject:
    """Whom an application mailbox's certificate names."""
    return Subject(address, "399900000000055", name)


def prepare(directory: Path, now: datetime) -> Papers:
    """Make what is missing; sign both kinds of lists afresh."""
    keys = directory / "keys"
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    seed = keys / "demo-seed"
    if not seed.exists():
        write_file(seed, SystemChance().token(32), mode=0o600)
    papers = Papers(directory, seed.read_bytes())
    made = keys / "certificates-made"
    if not made.exists():
        _make_certificates(papers, now)
        write_file(made, b"", mode=0o600)
    if not papers.fhir_token.exists():
        write_file(papers.fhir_token, papers.random("fhir token", 24).hex().encode(), mode=0o600)
    sign_lists(papers, now)
    return papers


def _make_certificates(papers: Papers, now: datetime) -> None:
    authority = Authority.create("DEMONSTRATION", now=now)
    authority.save(papers.keys / "authority")
    write_file(papers.ca, authority.bundle_pem, mode=0o644)
    authority.issue_list_signer(SIGNER, now=now, mail=SIGNER_MAIL).write(papers.keys, "list-signer")
    for name, subject in OPERATORS.items():
        authority.issue(subject, now=now).write(papers.keys, f"relay-{name}")
        names = (*LOOPBACK, *machine_names())
        authority.issue(subject, now=now, names=names).write(papers.keys, f"service-{name}")
    for fault in PEER_FAULTS:
        authority.issue_faulty(fault, OPERATORS["C"], now=now).write(papers.keys, f"peer-{fault.value}")
    for box in MAILBOXES:
        if box.kind is MailboxKind.APPLICATION:
            subject = application_subject(box.address, box.name)
            issued = authority.issue_client(subject, now=now, mail=box.address)
            issued.write(papers.keys, application_name(box.address))


def machine_names() -> tuple[str, ...]:
    """This machine's own: OpenLDAP's client puts it in the place of 127.0.0.1 and localhost, and looks for it in our
    certificate."""
    return tuple(name for name in (socket.gethostname(),) if _HOST_NAME.fullmatch(name))


def sign_lists(papers: Papers, now: datetime) -> None:
    """A fresh trust list and fresh revocation lists, each replaced whole."""
    authority = Authority.load(papers.keys / "authority")
    signer = load_issued(papers.keys, "list-signer")
    entries = [
        TrustEntry(domain, subject_of(papers, f"relay-{name}"), _described(name, domain), "", "", now)
        for name, domains in (*DOMAINS.items(), ("C", (TIERS,)))
        for domain in domains
    ]
    listing = trustlist.render(entries, now)
    write_file(papers.trust_list, sign_enveloped(listing, signer.key, signer.certificate), mode=0o644)
    revoked = _certificate_of(papers, f"peer-{Fault.REVOKED.value}")
    organisations, root = papers.revocation_lists
    write_file(organisations, authority.crl([revoked], now=now), mode=0o644)
    write_file(root, authority.root_crl(now=now), mode=0o644)


def _described(name: str, domain: str) -> str:
    """As some operators have it in the real list: with the mailbox that answers by itself."""
    organisation = OPERATORS[name].organisation
    has_test_mailbox = name in DOMAINS and domain == DOMAINS[name][0]
    return f"{organisation}. Test : {TEST_MAILBOX}@{domain}" if has_test_mailbox else organisation


def subject_of(papers: Papers, name: str) -> DistinguishedName:
    """Subject of a certificate that lies in `keys`."""
    return name_of(_certificate_of(papers, name).subject)


def _certificate_of(papers: Papers, name: str) -> x509.Certificate:
    return load_certificates(papers.certificate(name).read_bytes())[0]


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of one operator: base + the well-known number."""

    host: str
    base: int

    def of(self, service: int) -> int:
        return self.base + service


def ports_of(operator: str, host: str, base: int) -> Ports:
    """The second operator listens 2000 above the first."""
    return Ports(host, base if operator == "A" else base + 2000)


FHIR_CLIENT = "software"
"""Name of the software that may ask operator A; its token lies in a file of that name."""
PEER_OFFSET = 4025
METRICS = 9090
WEB_ALSO = 8080
REFUSED_BY_BROWSERS = frozenset({1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6679, 6697, 10080})
"""Ports from 1024 on that browsers will not open (WHATWG Fetch §2.9); the demo's default base meets the last."""


def web_port(ports: Ports) -> int:
    """The port of the pages that a browser opens."""
    return ports.of(WEB_ALSO if ports.of(80) in REFUSED_BY_BROWSERS else 80)


def write_config(papers: Papers, operator: str, host: str, base: int) -> Path:
    """The settings file of an operator. Paths in it are relative to it."""
    ports, other = ports_of(operator, host, base), "B" if operator == "A" else "A"
    routes = {domain: (host, ports_of(other, host, base).of(25)) for domain in DOMAINS[other]}
    routes[TIERS] = (host, base + PEER_OFFSET)
    here = papers.directory / operator.lower()
    here.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = _toml(papers, operator, ports, routes)
    path = here / "mss.toml"
    write_file(path, text.encode(), mode=0o600)
    return path


def _toml(papers: Papers, operator: str, ports: Ports, routes: dict[str, tuple[str, int]]) -> str:
    from mss.demo.people import NAMES, PATIENTS, POSTMASTERS

    def listen(service: int) -> str:
        return f'{{host = "{ports.host}", port = {ports.of(service)}}}'

    def tls(kind: str) -> str:
        name = f"{kind}-{operator}"
        return f'{{certificate = "../keys/{name}.pem", key = "../keys/{name}.key"}}'

    crls = ", ".join(f'"../keys/{path.name}"' for path in papers.revocation_lists)
    lines = [
        f'name = "{NAMES[operator]}"',
        f'host = "{OPERATORS[operator].common_name}"',
        f"domains = [{', '.join(repr(d) for d in DOMAINS[operator])}]",
        f'postmaster = "{POSTMASTERS[operator]}"',
        'state_dir = "state"',
        f'keys_dir = "../keys/operator-{operator.lower()}"',
    ]
    if operator == "A":
        lines += [f'patient_domain = "{PATIENTS}"', "accepts_test_identities = true"]
    lines += [
        f"ops = {listen(METRICS)}",
        "[relay]",
        f"listen = {listen(25)}",
        f"tls = {tls('relay')}",
        'authorities = "../keys/ca.pem"',
        'trust_list = "../keys/trust-list.xml"',
        f'trust_list_signers = ["{SIGNER.common_name}"]',
        f"revocation_lists = [{crls}]",
        "retry_first_s = 2.0",
        "look_up_mx = false",
        "unreachable_delay_max_s = 5",
        f'test_mailbox = "{TEST_MAILBOX}@{DOMAINS[operator][0]}"',
        "[relay.routes]",
        *(f'"{domain}" = {{host = "{at[0]}", port = {at[1]}}}' for domain, at in routes.items()),
    ]
    for section, starttls, implicit in (("submission", 587, 465), ("imap", 143, 993)):
        lines += [f"[{section}]", f"starttls = {listen(starttls)}", f"implicit_tls = {listen(implicit)}"]
        lines += [f"tls = {tls('service')}", 'client_authorities = "../keys/ca.pem"']
    lines += ["[directory]", "verified_only = false"]  # whoever tries the demo makes mailboxes for people of her own
    lines += ["[ldap]", f"starttls = {listen(389)}", f"implicit_tls = {listen(636)}", f"tls = {tls('service')}"]
    if operator == "A":
        lines += [
            "[web]",
            'site_name = "Espace santé"',
            f"http = {listen(80)}",
            f"https = {listen(443)}",
            f"tls = {tls('service')}",
        ]
        lines += ["serve_pages_on_http = true"]
        if ports.of(80) in REFUSED_BY_BROWSERS:
            lines += [f"http_also = {listen(WEB_ALSO)}"]
        lines += ["[fhir]", 'client_authorities = "../keys/ca.pem"']
        lines += ["[bridge]", f'checker = "{CHECKER}@{PATIENTS}"']
        lines += [f"[fhir.clients.{FHIR_CLIENT}]", f'token_file = "../keys/{papers.fhir_token.name}"']
    return "\n".join(lines) + "\n"
