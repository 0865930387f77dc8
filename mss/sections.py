"""Which parts does a configuration have? One class for each section of the file; config.py puts them together.

The text below a setting is its explanation in docs/configuration.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from mss.formats.dn import DistinguishedName
from mss.model.ids import parse_domain
from mss.model.mailbox import MailboxKind

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Days = Annotated[int, Field(ge=1, le=3650)]
KeptDays = Annotated[int, Field(ge=31, le=36500)]
"""Longer than the month between the first warning and the day."""


class Section(BaseModel):
    """Of the file: nothing in it that we do not know."""

    # Built as a part of the whole, once, and with Python's patterns: a tenth of a second of every start less.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, regex_engine="python-re")


class Listen(Section):
    """An address and a port to listen on."""

    host: str = "127.0.0.1"
    port: Port


class Tls(Section):
    """A certificate chain and its key, PEM files."""

    certificate: Path
    key: Path


class OperatorTls(Tls):
    """Another certificate towards operators."""

    domains: tuple[str, ...] = Field(min_length=1)
    """Our domains whose mail leaves under it; it is listed for them in the trust list."""

    @field_validator("domains")
    @classmethod
    def _domains(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(parse_domain(name) for name in names)


class PeerCaps(Section):
    """How much may come with one certificate, and four times as much from one network; the rest is told "later"."""

    messages_per_minute_max: Count = 30_000
    """On average; a minute's worth may come at once. The same for the other caps."""
    recipients_per_minute_max: Count = 60_000
    """Refused ones too."""
    mb_per_minute_max: Count = 4_000
    """As on the wire, attachments in base64."""
    mb_per_hour_max: Count = 60_000
    """An hour's worth may come at once."""


class AccountCaps(Section):
    """The same for one login of our own people and software."""

    messages_per_minute_max: Count = 6_000
    """An application mailbox sends a hospital's letters of the day at once."""
    recipients_per_minute_max: Count = 12_000
    """Refused ones too."""
    mb_per_minute_max: Count = 1_000
    """As on the wire, attachments in base64."""
    mb_per_hour_max: Count = 10_000
    """An hour's worth may come at once."""


class Relay(Section):
    """Mail between operators."""

    listen: Listen | None = None
    tls: Tls
    """Our certificate towards operators, both ways; its subject is in the trust list."""
    more_tls: tuple[OperatorTls, ...] = ()
    """Further ones, each for some of our domains; shown to peers that ask for a host that it names (SNI) as well."""
    authorities: Path
    """Roots and intermediates of the health PKI, PEM or PKCS#7: the only ones that count here."""
    trust_list: Path | None = None
    """The signed list of operators, a file that somebody else replaces daily. This or the next is needed."""
    trust_list_url: str = Field("", validate_default=True)
    """Where the list is fetched hourly (https). The last good one is kept in state_dir."""
    trust_list_authorities: Path | None = None
    """Who issues the certificate of that server; empty: `authorities`."""
    trust_list_age_hours_max: float = Field(48, gt=0)
    """Nobody is judged by an older list: peers are told "later"."""
    trust_list_shrink_share_max: float = Field(0.2, gt=0, le=1)
    """A list from which a larger share of domains is gone at once is not taken until staff accept it."""
    trust_list_signers: tuple[str, ...] = Field(min_length=1)
    """Names (CN or alternative name) whose signature on the trust list counts."""
    revocation_lists: tuple[Path, ...] = ()
    """CRL files, one for each authority."""
    revocation_urls: tuple[str, ...] = ()
    """The same by http or https, asked hourly; the last good ones are kept in state_dir. Neither, and no ocsp:
    revocation is not asked, for development networks only."""
    ocsp: bool = False
    """Ask the responder that a certificate names (http) as well. Its current answer goes before the lists."""
    ocsp_responder: str = ""
    """Ask this responder instead of the one that certificates name (http)."""
    routes: dict[str, Listen] = {}
    """Static routes: domain = {host, port}; everything else goes by MX."""
    look_up_mx: bool = True
    """Ask the DNS for domains without a route. Off: there is no way to them."""
    connections_per_peer_max: int = Field(50, ge=1)
    """At once, from one address, and with one certificate."""
    caps: PeerCaps = PeerCaps()
    retry_first_s: float = Field(15.0, gt=0)
    """Pause before a mail that another operator did not take is tried again; it doubles to an hour."""
    test_mailbox: str = ""
    """An address of ours, of no mailbox, that answers whoever writes to it what our door saw. Empty: none."""
    unreachable_delay_max_s: int = Field(3000, ge=0)
    """The notice about an unreachable patient leaves at a random moment within this."""
    unreachable_share_max: float = Field(0.10, ge=0, le=1)
    unreachable_max: int = Field(30, ge=0)
    """Unreachable patients of a sender or peer in an hour: over this share and this number staff are told."""

    @field_validator("trust_list_url")
    @classmethod
    def _one_source(cls, url: str, info: ValidationInfo) -> str:
        if (info.data.get("trust_list") is None) == (not url):
            raise ValueError("either this or trust_list is needed: an address or a file, not both")
        return checked_address(url, "https") if url else url

    @field_validator("revocation_urls")
    @classmethod
    def _addresses(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(checked_address(url, "http", "https") for url in urls)

    @field_validator("ocsp_responder")
    @classmethod
    def _responder(cls, url: str, info: ValidationInfo) -> str:
        if url and not info.data.get("ocsp"):
            raise ValueError("asked only with ocsp = true")
        return checked_address(url, "http") if url else url

    @field_validator("routes")
    @classmethod
    def _routes(cls, routes: dict[str, Listen]) -> dict[str, Listen]:
        return {parse_domain(domain): where for domain, where in routes.items()}


class Submission(Section):
    """Mail of our own professionals and software."""

    starttls: Listen | None = None
    implicit_tls: Listen | None = None
    tls: Tls
    more_tls: tuple[Tls, ...] = ()
    """Further ones, shown to clients that ask for a host that one of them names (SNI)."""
    client_authorities: Path | None = None
    """Who issues the certificates of application mailboxes (SASL EXTERNAL)."""
    connections_per_address_max: int = Field(200, ge=1)
    """At once; a hospital's people may share one address."""
    caps: AccountCaps = AccountCaps()


class Imap(Section):
    """Professionals' mail clients."""

    starttls: Listen | None = None
    implicit_tls: Listen | None = None
    tls: Tls
    more_tls: tuple[Tls, ...] = ()
    """As for submission."""
    client_authorities: Path | None = None


class Ldap(Section):
    """The address book for professionals' mail clients: read-only, TLS, an application password."""

    starttls: Listen | None = None
    implicit_tls: Listen | None = None
    tls: Tls
    more_tls: tuple[Tls, ...] = ()
    """As for submission."""
    base: str = "ou=bal,o=mssante,c=fr"
    """The branch with all entries, as mail clients are set up with it."""
    connections_per_address_max: int = Field(200, ge=1)
    """At once; a hospital's people may share one address."""

    @field_validator("base")
    @classmethod
    def _name(cls, base: str) -> str:
        return str(DistinguishedName.parse(base)).lower()


class Publishing(Section):
    """The national directory, which is told of our mailboxes (docs/decisions/0017-publishing.md)."""

    url: str
    """Base address of its FHIR API (https)."""
    authorities: Path
    """Who issues the certificate of that server, which must name its host."""
    tls: Tls | None = None
    """Our certificate, where it asks for one."""
    token_file: Path | None = Field(None, validate_default=True)
    """A file with a bearer token and nothing else, readable by us only; read anew for each request."""
    answer_s: float = Field(30.0, ge=1, le=80)
    """How long an answer may take."""
    repaired_share_max: float = Field(0.01, gt=0, le=1)
    """If the nightly look finds more of our mailboxes to differ (and more than three), a human decides."""

    @field_validator("url")
    @classmethod
    def _secure(cls, url: str) -> str:
        return checked_address(url, "https").rstrip("/")

    @field_validator("token_file")
    @classmethod
    def _shows_something(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is None and info.data.get("tls") is None:
            raise ValueError("a token file, a certificate (tls), or both: the directory asks who is writing")
        return file


class Directory(Section):
    """Who vouches for a professional, and what happens when nobody does."""

    verified_only: bool = True
    """Once a file was imported, a mailbox is made only for those it knows, or with `--unverified`."""
    overdue_grace_days: Days = 30
    """Between the word to her and to staff that a check is overdue, and the suspension of her mailbox."""
    staff_check_days: Days = 365
    """How long a check by staff counts (`mss mailbox create --unverified`, `mss directory check`)."""
    close_after_days: Days = 30
    """After this the suspended mailbox of somebody who was struck off is closed: its mail is refused for good."""
    publishing: Publishing | None = None


class Web(Section):
    """The patient's pages."""

    site_name: str = ""
    """Shown at the head of each page, short; empty: the operator's name."""
    http: Listen | None = None
    http_also: Listen | None = None
    """A second port for HTTP: browsers refuse to open some numbers, 10080 among them."""
    https: Listen | None = None
    tls: Tls | None = Field(None, validate_default=True)
    more_tls: tuple[Tls, ...] = ()
    """Further ones, shown to browsers that ask for a host that one of them names (SNI)."""
    serve_pages_on_http: bool = False
    """Only on loopback, for a first look; otherwise HTTP redirects."""
    sandbox_workers: int = Field(1, ge=1, le=8)

    @field_validator("tls")
    @classmethod
    def _https_has_a_certificate(cls, tls: Tls | None, info: ValidationInfo) -> Tls | None:
        if tls is None and info.data.get("https") is not None:
            raise ValueError("https needs a certificate and its key")
        return tls

    @field_validator("serve_pages_on_http")
    @classmethod
    def _loopback_only(cls, wanted: bool, info: ValidationInfo) -> bool:
        hosts = [at.host for at in (info.data.get("http"), info.data.get("http_also")) if at is not None]
        if wanted and not all(host.startswith("127.") for host in hosts):
            raise ValueError("pages over plain HTTP are served on 127.0.0.1 only")
        return wanted


class FhirClient(Section):
    """A software that may ask. With a token file and a certificate it must show both."""

    token_file: Path | None = None
    """A file with a bearer token of at least 32 characters and nothing else, readable by us only; read anew when it
    changes."""
    certificate: str = Field("", validate_default=True)
    """The subject of its client certificate (RFC 4514)."""

    @field_validator("certificate")
    @classmethod
    def _shows_something(cls, subject: str, info: ValidationInfo) -> str:
        if not subject and info.data.get("token_file") is None:
            raise ValueError("a client needs token_file, certificate, or both")
        if subject:
            DistinguishedName.parse(subject)
        return subject

    publishes: tuple[str, ...] = ()
    """Domains of whose mailboxes it may say what the directory shows (PATCH): ours, where the mailbox must exist, or
    those of an operator who publishes here."""

    @field_validator("publishes")
    @classmethod
    def _domains(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(parse_domain(name) for name in names)


class Fhir(Section):
    """The directory for software, under /fhir on the web ports, https only. Application mailboxes whose certificate
    signs in may search without being named here."""

    clients: dict[str, FhirClient] = {}
    """By a name of at most 32 letters, digits, hyphens, which stands in the journal."""
    client_authorities: Path | None = None
    """Who issues client certificates; empty: tokens only, and browsers are not asked for a certificate."""


class Antivirus(Section):
    """clamd, asked about every message before anybody sees it. Set its StreamMaxLength to 40M or more."""

    socket: Path | None = None
    """Its Unix socket (LocalSocket in clamd.conf)."""
    tcp: Listen | None = Field(None, validate_default=True)
    """Or its port, on the loopback only: messages go there in clear."""
    scan_s_max: float = Field(20.0, ge=1, le=120)
    """A scan that takes longer is given up, and the message is held until it was scanned."""

    @field_validator("tcp")
    @classmethod
    def _one_of_two(cls, tcp: Listen | None, info: ValidationInfo) -> Listen | None:
        if (tcp is None) == (info.data.get("socket") is None):
            raise ValueError("name clamd's socket or its tcp port, one of the two")
        if tcp is not None and not tcp.host.startswith("127."):
            raise ValueError("messages go to clamd in clear: on 127.0.0.1 only")
        return tcp


class Retention(Section):
    """How long mail of professionals, teams and software is kept, counted from when a message came into the folder
    where it lies. What is not set is kept for ever, and patients' mail always is. Holders are told 30 and 7 days ahead,
    and nothing goes that they were not told of."""

    trash_days: KeptDays | None = None
    """In the trash; nothing set: for ever, as for the next two."""
    junk_days: KeptDays | None = None
    """Among junk."""
    mailbox_days: dict[str, KeptDays] = {}
    """Everywhere in a mailbox, by its kind: PER, ORG, APP, CAB."""

    @field_validator("mailbox_days")
    @classmethod
    def _kinds(cls, days: dict[str, int]) -> dict[str, int]:
        for kind in days:
            if kind == MailboxKind.PATIENT or kind not in list(MailboxKind):
                raise ValueError(f"{kind[:40]!r}: kinds are PER, ORG, APP, CAB; a patient's mail is kept for ever")
        return days


class Alarms(Section):
    """Who hears that something is held and waits."""

    to: str = ""
    """Address of ours; empty: the postmaster."""
    by_domain: dict[str, str] = {}
    """Domain of ours = address of the structure's own staff."""


def checked_address(url: str, *schemes: str) -> str:
    """An address of one of these schemes. Raises ValueError."""
    parsed = urlsplit(url)
    if parsed.scheme not in schemes or not parsed.hostname:
        raise ValueError(f"not an address that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    return url
