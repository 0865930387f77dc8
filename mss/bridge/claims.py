"""Whom does a document claim to be about, in words that can be compared?

Reads the claims out of a CDA header and out of METADATA.XML, and says when two names are one name: case, accents and
the choice between hyphen, space and apostrophe do not count, anything else does. Never decides what follows from it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from mss.formats.cda import CdaPatient
from mss.formats.hl7values import parse_cx, parse_date
from mss.model.errors import BadValue
from mss.model.ids import REAL_INS_OIDS, Ins, InsOid, Matricule
from mss.model.people import IdentityTraits, Sex

_SEPARATORS = str.maketrans(
    dict.fromkeys("-_'`\u2019\u02bc\u00b4\u2010\u2011\u2012\u2013\u2014\u2015\u00ad\u00a0\u202f", " ")
)
"""Hyphens, apostrophes and blanks of all keyboards."""
_LIGATURES = str.maketrans({"œ": "oe", "Œ": "oe", "æ": "ae", "Æ": "ae"})  # as INSi writes them; NFKD leaves them
_INS_OIDS = frozenset(oid.value for oid in InsOid)
LEGAL_NAME = "L"  # HL7 table 0200: the birth name, as CI-SIS uses it
BIRTH_DELIVERY = "BDL"  # HL7 table 0190: the place of birth
_PARTS = 9


@dataclass(frozen=True, slots=True)
class InsClaim:
    """An INS as a sender wrote it: nothing is checked yet."""

    value: str
    oid: str

    @property
    def is_real(self) -> bool:
        """Of an authority that numbers people, not tests."""
        return self.oid in REAL_INS_OIDS

    @property
    def has_shape(self) -> bool:
        return _matricule(self.value) is not None

    @property
    def key_is_right(self) -> bool:
        matricule = _matricule(self.value)
        return matricule is not None and matricule.key_is_right

    def is_of(self, ins: Ins) -> bool:
        """The same number of the same authority; a Corsican letter may be small."""
        return self.value.upper() == ins.value and self.oid == ins.oid.value

    def __repr__(self) -> str:  # never in a log
        return "InsClaim(…)"


@dataclass(frozen=True, slots=True)
class Claimed:
    """The traits that somebody wrote; empty or None where nothing is said."""

    birth_name: str = ""
    first_given_name: str = ""
    birth_date: date | None = None
    sex: Sex | None = None
    birth_place: str = ""

    @property
    def is_complete(self) -> bool:
        """The four traits that are always compared."""
        return bool(self.birth_name and self.first_given_name and self.birth_date and self.sex)

    def differences(self, known: IdentityTraits) -> tuple[str, ...]:
        """The names of the traits that are said and are not the known ones."""
        same = {
            "birth name": not self.birth_name or fold(self.birth_name) == fold(known.birth_name),
            "first given name": not self.first_given_name
            or fold(self.first_given_name) == fold(known.first_given_name),
            "birth date": self.birth_date is None or self.birth_date == known.birth_date,
            "sex": self.sex is None or self.sex is known.sex,
            "birth place": not (self.birth_place and known.birth_place)
            or self.birth_place.upper() == known.birth_place.upper(),
        }
        return tuple(name for name, is_same in same.items() if not is_same)

    def __repr__(self) -> str:  # never in a log
        return "Claimed(…)"


def fold(name: str) -> str:
    """A name as it is compared: no case, no accents, one blank where a hyphen, blank or apostrophe stood."""
    letters = name.translate(_SEPARATORS)
    if not letters.isascii():
        decomposed = unicodedata.normalize("NFKD", letters.translate(_LIGATURES))
        letters = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(letters.casefold().split())


def of_cda(patient: CdaPatient) -> Claimed:
    """What the header of a document says."""
    return Claimed(patient.birth_name, patient.first_given_name, patient.birth_date, patient.sex, patient.birth_place)


def ins_of_cda(patient: CdaPatient) -> tuple[InsClaim, ...]:
    """Every INS of a header; local numbers and unknown authorities are none."""
    return tuple(InsClaim(identifier.extension, identifier.root) for identifier in patient.ins_ids)


def ins_of_cx(text: str) -> InsClaim | None:
    """The INS of a patientId `<INS>^^^&<OID>&ISO^NH`; None for another authority's number."""
    value, oid = parse_cx(text)
    return InsClaim(value, oid) if value and oid in _INS_OIDS else None


def of_metadata(source_patient_info: Iterable[str], *, untyped_name_counts: bool) -> Claimed:
    """What the slot sourcePatientInfo says: PID-5 (birth name), PID-7, PID-8, PID-11 (birth place).

    A name without type may be the one in use: beside a CDA, which says it better, it does not count.
    """
    names: dict[str, tuple[str, str]] = {}
    place = ""
    born: date | None = None
    sex: Sex | None = None
    for line in source_patient_info:
        field, _, value = line.partition("|")
        parts = [part.strip() for part in value.split("^")] + [""] * _PARTS
        match field.strip().upper():
            case "PID-5":
                names.setdefault(parts[6].upper(), (parts[0], parts[1]))
            case "PID-7":
                born = parse_date(value)
            case "PID-8":
                sex = {"F": Sex.FEMALE, "M": Sex.MALE, "U": Sex.UNKNOWN}.get(value.strip().upper())
            case "PID-11" if parts[6].upper() == BIRTH_DELIVERY:
                place = parts[8]
    untyped = names.get("", ("", "")) if untyped_name_counts else ("", "")
    name, given = names.get(LEGAL_NAME, untyped)
    return Claimed(name, given, born, sex, place)


def _matricule(value: str) -> Matricule | None:
    try:
        return Matricule(value)
    except BadValue:
        return None
