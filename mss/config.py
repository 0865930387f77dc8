"""What does the operator decide? Settings: a TOML file, `MSS_*` environment variables over it, defaults under it.

Read by assembly, supervisor and commands only; below them plain values travel. Every refusal names the setting and
what to write instead.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails

from mss.bridgesections import Bridge
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, parse_domain
from mss.sections import Alarms, Antivirus, Directory, Fhir, Imap, Ldap, Listen, Relay, Retention, Submission, Web
from mss.sinksections import Sink

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
LOG_LEVELS = ("debug", "info", "warning", "error")


class Config(BaseModel):
    """One operator."""

    model_config = ConfigDict(extra="forbid", frozen=True, regex_engine="python-re")

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
    ldap: Ldap | None = None
    web: Web | None = None
    fhir: Fhir | None = None
    ops: Listen | None = None
    directory: Directory = Field(Directory(), validate_default=True)
    antivirus: Antivirus | None = None
    bridge: Bridge = Field(Bridge(), validate_default=True)
    sinks: dict[str, Sink] = {}
    """Software of hospitals that gets what the bridge files, by a name of at most 32 letters, digits, hyphens."""
    retention: Retention = Field(Retention(), validate_default=True)
    alarms: Alarms = Field(Alarms(), validate_default=True)
    log_level: str = "info"
    """debug, info, warning or error."""

    @field_validator("host")
    @classmethod
    def _host(cls, name: str) -> str:
        return parse_domain(name)

    @field_validator("domains")
    @classmethod
    def _domains(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(parse_domain(name) for name in names)

    @field_validator("relay")
    @classmethod
    def _one_certificate_for_each_domain(cls, relay: Relay, info: ValidationInfo) -> Relay:
        named = [domain for tls in relay.more_tls for domain in tls.domains]
        for domain in named:
            _ours(domain, info)
            if named.count(domain) > 1:
                raise ValueError(f"more_tls names {domain} twice: its mail leaves under one certificate")
        return relay

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

    @model_validator(mode="after")
    def _test_mailbox(self) -> Config:
        if self.relay.test_mailbox:
            domain = MailAddress.parse(self.relay.test_mailbox).domain
            if domain not in self.domains or domain == self.patient_domain:
                raise ValueError(f"relay.test_mailbox: {domain} is not one of domains for professionals")
        return self

    @field_validator("alarms")
    @classmethod
    def _alarms(cls, alarms: Alarms, info: ValidationInfo) -> Alarms:
        for address in filter(None, (alarms.to, *alarms.by_domain.values())):
            _ours(MailAddress.parse(address).domain, info)
        for domain in alarms.by_domain:
            _ours(domain, info)
        return alarms

    @field_validator("sinks")
    @classmethod
    def _sinks(cls, sinks: dict[str, Sink]) -> dict[str, Sink]:
        _named(sinks, "sink")
        return sinks

    @field_validator("fhir")
    @classmethod
    def _fhir(cls, fhir: Fhir | None, info: ValidationInfo) -> Fhir | None:
        if fhir is not None:
            web: Web | None = info.data.get("web")
            if web is None or web.https is None:
                raise ValueError("is served on web.https, which is not set")
            _named(fhir.clients, "client")
        return fhir

    @field_validator("bridge")
    @classmethod
    def _bridge(cls, bridge: Bridge, info: ValidationInfo) -> Bridge:
        for address in filter(None, (*bridge.application_boxes, *bridge.application_boxes.values())):
            _ours(MailAddress.parse(address).domain, info)
        fed = {MailAddress.parse(address).key for address in bridge.application_boxes}
        if bridge.checker:
            checker = MailAddress.parse(bridge.checker)
            _ours(checker.domain, info)
            if checker.key in fed:
                raise ValueError("checker files nothing, so it is none of application_boxes")
        for sending, reader in bridge.nightly.items():
            domain = MailAddress.parse(sending).domain
            if reader and MailAddress.parse(reader).domain != domain:
                raise ValueError(f"nightly: what became of mail of {sending} is told to addresses of {domain} only")
        _named(bridge.sources, "source")
        for name, source in bridge.sources.items():
            if MailAddress.parse(source.into).key not in fed:
                raise ValueError(f"sources.{name}.into: {source.into} is not one of bridge.application_boxes")
            state: Path | None = info.data.get("state_dir")
            if state and source.password_file and source.password_file.resolve().is_relative_to(state.resolve()):
                raise ValueError(
                    f"sources.{name}.password_file lies outside state_dir: who copies that must not have it"
                )
        return bridge

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
    settings = _relative_to(path.parent, settings)
    try:
        if any(_is_setting(name) for name in os.environ):
            from mss.environment import overlaid

            settings = overlaid(Config, settings)
        return Config(**settings)
    except ValidationError as invalid:
        raise BadValue("\n".join(f"{path}: {_told(error)}" for error in invalid.errors())) from invalid
    except BadValue as problem:
        raise BadValue(f"{path}, environment: {problem}") from problem


def _is_setting(variable: str) -> bool:
    """Whether a variable of the environment is `MSS_A` or `MSS_A__B` of ours."""
    prefix, _, name = variable.lower().partition("_")
    return prefix == "mss" and name.partition("__")[0] in Config.model_fields


def _told(error: ErrorDetails) -> str:
    """One line: which setting, and what to write instead."""
    name = ".".join(str(step) for step in error["loc"])
    words = {"missing": "is needed", "extra_forbidden": "there is no such setting"}
    said = words.get(error["type"], error["msg"].removeprefix("Value error, "))
    return f"{name}: {said}"


def _named(sections: Iterable[str], what: str) -> None:
    for name in sections:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name[:40]!r}: a {what} is named with at most 32 of a-z, 0-9 and hyphens")


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
        *("client_authorities", "revocation_lists", "trust_list_authorities", "socket", "token_file"),
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
        elif isinstance(value, list):
            resolved[name] = [_relative_to(base, one) if isinstance(one, dict) else one for one in value]
        else:
            resolved[name] = value
    return resolved
