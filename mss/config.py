"""What does the operator decide? Settings: a TOML file, `MSS_*` environment variables over it, defaults under it.

Read by assembly, supervisor and commands only; below them plain values travel. Every refusal names the setting and
what to write instead.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from mss.model.errors import BadValue
from mss.model.ids import MailAddress, parse_domain

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Listen(_Section):
    """An address and a port to listen on."""

    host: str = "127.0.0.1"
    port: Port


class Tls(_Section):
    """A certificate chain and its key, PEM files."""

    certificate: Path
    key: Path


class PeerCaps(_Section):
    """How much may come with one certificate, and four times as much from one network; the rest is told "later"."""

    messages_per_minute_max: Count = 30_000
    """On average; a minute's worth may come at once. The same for the other caps."""
    recipients_per_minute_max: Count = 60_000
    """Refused ones too."""
    mb_per_minute_max: Count = 4_000
    """As on the wire, attachments in base64."""
    mb_per_hour_max: Count = 60_000
    """An hour's worth may come at once."""


class AccountCaps(_Section):
    """The same for one login of our own people and software."""

    messages_per_minute_max: Count = 6_000
    """An application mailbox sends a hospital's letters of the day at once."""
    recipients_per_minute_max: Count = 12_000
    """Refused ones too."""
    mb_per_minute_max: Count = 1_000
    """As on the wire, attachments in base64."""
    mb_per_hour_max: Count = 10_000
    """An hour's worth may come at once."""


class Relay(_Section):
    """Mail between operators."""

    listen: Listen | None = None
    tls: Tls
    """Our certificate towards operators, both ways; its subject is in the trust list."""
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
    trust_list_signers: tuple[str, ...] = Field(min_length=1)
    """Names (CN or alternative name) whose signature on the trust list counts."""
    revocation_lists: tuple[Path, ...] = ()
    """CRL files, one for each authority."""
    revocation_urls: tuple[str, ...] = ()
    """The same by http or https, asked hourly; the last good ones are kept in state_dir. Neither: revocation is not
    asked, for development networks only."""
    routes: dict[str, Listen] = {}
    """Static routes: domain = {host, port}; everything else goes by MX."""
    look_up_mx: bool = True
    """Ask the DNS for domains without a route. Off: there is no way to them."""
    connections_per_peer_max: int = Field(50, ge=1)
    """At once, from one address, and with one certificate."""
    caps: PeerCaps = PeerCaps()
    retry_first_s: float = Field(15.0, gt=0)
    """Pause before a mail that another operator did not take is tried again; it doubles to an hour."""
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
        return _address(url, "https") if url else url

    @field_validator("revocation_urls")
    @classmethod
    def _addresses(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_address(url, "http", "https") for url in urls)

    @field_validator("routes")
    @classmethod
    def _routes(cls, routes: dict[str, Listen]) -> dict[str, Listen]:
        return {parse_domain(domain): where for domain, where in routes.items()}


class Submission(_Section):
    """Mail of our own professionals and software."""

    starttls: Listen | None = None
    implicit_tls: Listen | None = None
    tls: Tls
    client_authorities: Path | None = None
    """Who issues the certificates of application mailboxes (SASL EXTERNAL)."""
    connections_per_address_max: int = Field(200, ge=1)
    """At once; a hospital's people may share one address."""
    caps: AccountCaps = AccountCaps()


class Imap(_Section):
    """Professionals' mail clients."""

    starttls: Listen | None = None
    implicit_tls: Listen | None = None
    tls: Tls
    client_authorities: Path | None = None


class Bridge(_Section):
    """From mail to record."""

    loose: Literal["offer", "hold"] = "offer"
    """A PDF, picture, RTF or DICOM file without archive names no patient: shown to its addressee, or held first."""


class Web(_Section):
    """The patient's pages."""

    site_name: str = ""
    """Shown at the head of each page, short; empty: the operator's name."""
    http: Listen | None = None
    http_also: Listen | None = None
    """A second port for HTTP: browsers refuse to open some numbers, 10080 among them."""
    https: Listen | None = None
    tls: Tls | None = Field(None, validate_default=True)
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


class Antivirus(_Section):
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


class Alarms(_Section):
    """Who hears that something is held and waits."""

    to: str = ""
    """Address of ours; empty: the postmaster."""
    by_domain: dict[str, str] = {}
    """Domain of ours = address of the structure's own staff."""


LOG_LEVELS = ("debug", "info", "warning", "error")


class Config(BaseSettings):
    """One operator."""

    model_config = SettingsConfigDict(env_prefix="MSS_", env_nested_delimiter="__", extra="forbid", frozen=True)

    name: str
    """Of the operator, for people."""
    host: str
    """Our name in greetings and Received fields."""
    domains: tuple[str, ...] = Field(min_length=1)
    """Mail domains of this operator."""
    patient_domain: str = ""
    """The one of them in which an address is a patient's INS; empty: no patients here."""
    accepts_test_identities: bool = False
    """Whether a patient's address may have a wrong key, as national test identities do. Never in production."""
    postmaster: str
    """Address of the person who reads postmaster@ of every domain of ours."""
    software_reference: str = Field("", pattern=r"^[A-Za-z0-9._-]{0,60}$")
    """Our product reference from convergence.esante.gouv.fr, for X-MSS-NIL of what the server writes; empty: none."""
    state_dir: Path
    """Everything that is stored, sealed; to be backed up."""
    keys_dir: Path
    """Key files, outside state_dir; to be backed up apart from it."""
    database_url: str = ""
    """Empty: SQLite in state_dir."""
    bodies_url: str = ""
    """Empty: files in state_dir. Otherwise an object store that obstore knows, `s3://bucket/prefix`."""
    run_dir: Path | None = None
    """Sockets between our processes; empty: a private directory below the system's temporary one."""
    relay: Relay
    submission: Submission | None = None
    imap: Imap | None = None
    web: Web | None = None
    ops: Listen | None = None
    antivirus: Antivirus | None = None
    bridge: Bridge = Field(Bridge(), validate_default=True)
    alarms: Alarms = Field(Alarms(), validate_default=True)
    log_level: str = "info"
    """debug, info, warning or error."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file."""
        return env_settings, init_settings

    @field_validator("host")
    @classmethod
    def _host(cls, name: str) -> str:
        return parse_domain(name)

    @field_validator("domains")
    @classmethod
    def _domains(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(parse_domain(name) for name in names)

    @field_validator("patient_domain")
    @classmethod
    def _patient_domain(cls, name: str, info: ValidationInfo) -> str:
        return _ours(parse_domain(name), info) if name else ""

    @field_validator("postmaster")
    @classmethod
    def _postmaster(cls, address: str, info: ValidationInfo) -> str:
        parsed = MailAddress.parse(address)
        _ours(parsed.domain, info)
        return str(parsed)

    @field_validator("alarms")
    @classmethod
    def _alarms(cls, alarms: Alarms, info: ValidationInfo) -> Alarms:
        for address in filter(None, (alarms.to, *alarms.by_domain.values())):
            _ours(MailAddress.parse(address).domain, info)
        for domain in alarms.by_domain:
            _ours(domain, info)
        return alarms

    @field_validator("keys_dir")
    @classmethod
    def _keys_outside_state(cls, keys: Path, info: ValidationInfo) -> Path:
        state: Path | None = info.data.get("state_dir")
        if state is not None and keys.resolve().is_relative_to(state.resolve()):
            raise ValueError("keys lie outside state_dir: whoever copies the state must not have them")
        return keys

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, url: str) -> str:
        if url and not url.startswith(("sqlite:///", "postgresql+asyncpg://")):
            raise ValueError("use sqlite:///PATH or postgresql+asyncpg://USER@HOST/DATABASE")
        return url

    @field_validator("log_level")
    @classmethod
    def _log_level(cls, level: str) -> str:
        if level not in LOG_LEVELS:
            raise ValueError(f"one of {', '.join(LOG_LEVELS)}")
        return level

    @property
    def url(self) -> str:
        """The database, SQLite in the state directory unless set."""
        return self.database_url or f"sqlite:///{self.state_dir / 'mss.db'}"


def load(path: Path) -> Config:
    """Read and check a configuration file. Raises BadValue with one line for each wrong setting."""
    try:
        settings = tomllib.loads(path.read_text())
    except OSError as problem:
        raise BadValue(f"{path}: {problem.strerror}; name the file with --config") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise BadValue(f"{path}: not TOML: {problem}") from problem
    try:
        return Config(**_relative_to(path.parent, settings))
    except SettingsError as problem:  # a variable of the environment that should hold JSON
        raise BadValue(f"{path}, environment: {problem}") from problem
    except ValidationError as invalid:
        raise BadValue("\n".join(f"{path}: {_told(error)}" for error in invalid.errors())) from invalid


def _told(error: ErrorDetails) -> str:
    """One line: which setting, and what to write instead."""
    name = ".".join(str(step) for step in error["loc"])
    words = {"missing": "is needed", "extra_forbidden": "there is no such setting"}
    said = words.get(error["type"], error["msg"].removeprefix("Value error, "))
    return f"{name}: {said}"


def _address(url: str, *schemes: str) -> str:
    """Raises ValueError."""
    parsed = urlsplit(url)
    if parsed.scheme not in schemes or not parsed.hostname:
        raise ValueError(f"not an address that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    return url


def _ours(domain: str, info: ValidationInfo) -> str:
    """A domain that must be one of `domains`, when those are good."""
    domains = info.data.get("domains")
    if domains is not None and domain not in domains:
        raise ValueError(f"{domain} is not among domains")
    return domain


def run_directory(config: Config) -> Path:
    """Where our processes' sockets lie. A path of a socket has room for some hundred characters only, so the
    default is short and private: below the system's temporary directory, named after the state."""
    if config.run_dir is not None:
        return config.run_dir
    tag = hashlib.sha256(str(config.state_dir.resolve()).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"mss-{os.getuid()}-{tag}"


_PATHS = frozenset(
    (
        *("state_dir", "keys_dir", "run_dir", "certificate", "key", "authorities", "trust_list"),
        *("client_authorities", "revocation_lists", "trust_list_authorities", "socket"),
    )
)


def _relative_to(base: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Paths in the file are relative to the file."""
    resolved: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            resolved[name] = _relative_to(base, value)
        elif name in _PATHS and isinstance(value, str):
            resolved[name] = base / value
        elif name in _PATHS and isinstance(value, list):
            resolved[name] = [base / one for one in value]
        else:
            resolved[name] = value
    return resolved
