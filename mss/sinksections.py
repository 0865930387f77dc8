"""How is a hospital's own software named in the settings, and what does it take? A part of sections.py.

The text below a setting is its explanation in docs/configuration.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from mss.sections import Port, Section, Tls, checked_address


class Unit(Section):
    """A part of the hospital, as its own software numbers it (HL7 v2: PRT-8 of the recipient)."""

    name: str
    authority: str = ""
    """The structure's number (FINESS)."""
    kind: str = "UF"
    """What the number is of."""
    number: str = ""


class Take(Section):
    """Which documents a sink takes; an empty list asks nothing."""

    mailboxes: tuple[str, ...] = ()
    """Addresses of application mailboxes, or whole domains; the patients' domain for what comes to patients."""
    types: tuple[str, ...] = ()
    """Codes of document types (LOINC)."""
    services: tuple[str, ...] = ()
    """Codes of the practice setting in which they were made."""
    unit: Unit | None = None
    """For whom they are."""


class Sink(Section):
    """A hospital's own software, which gets what the bridge files, always over TLS (docs/decisions/0009-sinks.md)."""

    kind: Literal["hl7v2", "fhir"]
    """HL7 v2.6 MDM over MLLP, or FHIR R4 ITI-65."""
    takes: tuple[Take, ...] = Field(min_length=1)
    """One that wants a document is enough."""
    authorities: Path
    """Who issues the certificate of that software, which must name its host."""
    tls: Tls | None = None
    """Our certificate, where it asks for one."""
    answer_s: float = Field(30.0, ge=1, le=80)
    """How long an answer may take."""
    host: str = ""
    """hl7v2: where it listens."""
    port: Port = 0
    """hl7v2: on which port."""
    sending_application: str = "MSS"
    """hl7v2: MSH-3."""
    sending_facility: str = ""
    """hl7v2: MSH-4; empty: the operator's name."""
    receiving_application: str = ""
    """hl7v2: MSH-5, needed."""
    receiving_facility: str = ""
    """hl7v2: MSH-6, needed."""
    processing: Literal["P", "T", "D"] = "P"
    """hl7v2: MSH-11, in production, for tests, to debug."""
    acknowledgement: Literal["application", "commit"] = "application"
    """hl7v2: whose word ends a message; `commit`: a system in front of the record answers for it (CA)."""
    url: str = ""
    """fhir: its base address (https)."""
    source_id: str = Field("", pattern=r"^([0-2](\.\d{1,40}){1,20})?$")
    """fhir: the OID of this operator as a source of documents (XDS sourceId)."""
    token_file: Path | None = Field(None, validate_default=True)
    """fhir: a file with a bearer token and nothing else, readable by us only; read anew for each request."""

    @field_validator("url")
    @classmethod
    def _secure(cls, url: str) -> str:
        return checked_address(url, "https").rstrip("/") if url else url

    @field_validator("token_file")
    @classmethod
    def _is_whole(cls, last: Path | None, info: ValidationInfo) -> Path | None:
        of_hl7v2 = ("host", "port", "receiving_application", "receiving_facility")
        needed = of_hl7v2 if info.data.get("kind") == "hl7v2" else ("url", "source_id")
        missing = [name for name in needed if name in info.data and not info.data[name]]
        if missing:
            raise ValueError(f"this kind of sink needs {', '.join(missing)}")
        return last
