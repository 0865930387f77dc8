"""Who can be found, and where? Professionals, structures, and the addresses that reach them.

All of it is public data of people at work. Patients are never here, nor is an address whose holder asked for the red
list: it is left out at the door of the import, so that no later mistake can show it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from mss.model.errors import BadValue
from mss.model.ids import MailAddress, ProfessionalId, StructureId, matricule_of
from mss.model.lookalikes import shown, tricks_of
from mss.model.mailbox import MailboxKind

TEXT_CHARS_MAX = 250
"""Of a name, label or description; the longest official structure name known has 164."""

# Control characters, line breaks, and marks that turn the direction of a text: a name is one line read one way.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


class Source(IntEnum):
    """Who said it. Where two speak of the same person or structure, the greater number is believed."""

    CORRESPONDENCE = 1
    """The public MSSanté correspondence file."""
    NATIONAL = 2
    """FHIR bundles of the national directory."""
    OURS = 3
    """The operator of the mailbox's domain itself: our own, and those of whoever publishes here."""


IMPORTED = (Source.CORRESPONDENCE, Source.NATIONAL)
"""Taken in whole; what is ours changes one by one (docs/decisions/0017-publishing.md)."""
METHODS = {
    Source.CORRESPONDENCE: "correspondence-file",
    Source.NATIONAL: "national-directory",
    Source.OURS: "own-operator",
}


def clean(text: str) -> str:
    """A text of one line with single spaces. Raises BadValue when it holds what nobody can see, or too much."""
    if len(text) <= TEXT_CHARS_MAX and text.isprintable() and "  " not in text and text.strip() == text:
        return text  # nearly all of them, of which an import reads twenty million
    if _UNSEEN.search(text):
        raise BadValue("control or direction character in a text")
    text = " ".join(text.split())
    if len(text) > TEXT_CHARS_MAX:
        raise BadValue(f"text longer than {TEXT_CHARS_MAX} characters")
    return text


def refuse_disguise(*names: str) -> None:
    """Raises BadValue for a name that is not what it looks like: whoever reads it would write to somebody else."""
    for name in names:
        if tricks := tricks_of(name):
            raise BadValue(f"a name that imitates or hides letters ({', '.join(sorted(tricks))})")


@dataclass(frozen=True, slots=True)
class Job:
    """A profession or savoir-faire (specialty): its national code when known, and the words for it."""

    label: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody works. `department`: 01 to 95, 2A, 2B, 971 …"""

    lines: tuple[str, ...] = ()
    postal_code: str = ""
    city: str = ""
    department: str = ""


@dataclass(frozen=True, slots=True)
class Professional:
    """A person with a national identifier (IDNPS), as the source names her at work."""

    idnps: str
    family: str
    given: str
    civility: str = ""

    def __post_init__(self) -> None:
        ProfessionalId(self.idnps)
        if not self.family:
            raise BadValue("a professional without a family name")
        refuse_disguise(self.family, self.given)


@dataclass(frozen=True, slots=True)
class Structure:
    """A hospital, practice, laboratory … (IDNST)."""

    idnst: str
    name: str
    place: Place = field(default_factory=Place)
    sector: str = ""

    def __post_init__(self) -> None:
        StructureId(self.idnst)
        refuse_disguise(self.name)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a search finds: one way to reach somebody. A person in a role at a structure, a team or a software, with the
    address, or without one (`address` empty) for a person who has none.

    Address and kind never change while an address lives; PER names a person, ORG and APP a structure.
    """

    address: str
    kind: MailboxKind | None
    idnps: str = ""
    family: str = ""
    given: str = ""
    civility: str = ""
    profession: Job | None = None
    specialty: Job | None = None
    idnst: str = ""
    structure: str = ""
    sector: str = ""
    place: Place = field(default_factory=Place)
    description: str = ""
    """Free text; letters that only look like ours stand as white squares, and what hides or turns text is left out."""
    service: str = ""
    responsible: str = ""
    paperless: bool | None = None
    rank: int = 0
    """1: the address that its holder prefers; 0: nobody said."""

    def __post_init__(self) -> None:
        if self.address:
            self._refuse_wrong_address()
        elif self.kind is not None or not self.idnps:
            raise BadValue("neither an address nor a person")
        refuse_disguise(self.family, self.given, self.structure, self.service, self.responsible)
        if tricks_of(self.description):  # no name: the address is right, whatever somebody wrote beside it
            object.__setattr__(self, "description", shown(self.description))
        if self.idnps:
            ProfessionalId(self.idnps)
        if self.idnst:
            StructureId(self.idnst)
        if self.kind is MailboxKind.PERSONAL and not self.family:
            raise BadValue("a personal mailbox without its holder's name")
        if self.kind in (MailboxKind.ORGANISATIONAL, MailboxKind.APPLICATION) and not (self.idnst or self.structure):
            raise BadValue(f"an {self.kind} mailbox without a structure")

    def _refuse_wrong_address(self) -> None:
        if self.kind is None or self.kind is MailboxKind.PATIENT:
            raise BadValue("an address of no professional kind")
        if matricule_of(MailAddress.parse(self.address)) is not None:
            raise BadValue("a patient's address")

    @property
    def title(self) -> str:
        """What people read first: `Dr Camille LEFORT`, or the service and structure. Never a From header."""
        if self.family:
            return " ".join(filter(None, (self.civility, self.given, self.family.upper())))
        return ", ".join(dict.fromkeys(filter(None, (self.service or self.description, self.structure))))


@dataclass(frozen=True, slots=True)
class Verified:
    """Why we believe it: who said so, how, when, and when it is to be asked again."""

    source: Source
    at: datetime
    next_check: datetime

    @property
    def method(self) -> str:
        return METHODS[self.source]


@dataclass(frozen=True, slots=True)
class Found:
    """A listing as an answer."""

    number: int
    listing: Listing
    verified: Verified
