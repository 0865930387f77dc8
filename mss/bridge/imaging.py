"""Whose are these images? What the headers of a study claim together, for the same judge as a CDA's.

Never decides; but images that name two people are no study of anybody, and that cannot be said in claims.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mss.bridge import claims
from mss.bridge.claims import Claimed, InsClaim
from mss.formats.dicom import DicomHeader
from mss.model.errors import Malformed
from mss.model.ids import InsOid
from mss.model.verdict import Reason

PEOPLE_TOLD_MAX = 5
"""A human who compares more than five names refuses the study."""
_INS_OIDS = frozenset(oid.value for oid in InsOid)


@dataclass(frozen=True, slots=True)
class Imaging:
    """What a study says of its patient. `ins`: every INS that each of its images names with its authority."""

    ins: tuple[InsClaim, ...]
    traits: Claimed
    used_name: tuple[str, str] = ("", "")
    """Family and given name in PatientName, where the birth name stands apart."""
    people: tuple[str, ...] = ()
    """Where its images name more than one person, all of them under one INS or none: each as a human compares them,
    with how many images. Another spelling, or another patient."""

    def __repr__(self) -> str:  # never in a log
        return "Imaging(…)"


def of_study(headers: Sequence[DicomHeader]) -> Imaging:
    """Raises Malformed(INS_MISMATCH): its images name the INS of more than one patient."""
    named = {frozenset(_ins(header)) for header in headers}
    people = Counter(_folded(header) for header in headers)
    if len(named - {frozenset()}) > 1:
        raise Malformed(Reason.INS_MISMATCH, "images of several patients")
    first = headers[0]
    ins = () if frozenset() in named else _ins(first)  # an image without a number is nobody's
    used = first.name if any(first.birth_name) else ("", "")
    return Imaging(ins, _traits(first), used, _told(headers, people) if len(people) > 1 else ())


def _told(headers: Sequence[DicomHeader], people: Counter[tuple[object, ...]]) -> tuple[str, ...]:
    """The rarest first: what is wrong is mostly one image among many."""
    spelled = {_folded(header): _traits(header) for header in headers}
    found = []
    for folded, count in sorted(people.items(), key=lambda one: one[1]):
        one = spelled[folded]
        born = one.birth_date.isoformat() if one.birth_date else "?"
        sex = one.sex.value if one.sex else "?"
        found.append(f"{count} × {one.birth_name or '?'} {one.first_given_name} {born} {sex}")
    return tuple(found[:PEOPLE_TOLD_MAX])


def _ins(header: DicomHeader) -> tuple[InsClaim, ...]:
    return tuple(InsClaim(number.value, number.issuer) for number in header.numbers if number.issuer in _INS_OIDS)


def _traits(header: DicomHeader) -> Claimed:
    """PatientBirthName where there is one; else the name that the image bears, which then has to be the birth name."""
    family, given = header.birth_name
    return Claimed(
        birth_name=family or header.name[0],
        first_given_name=given or header.name[1],
        birth_date=header.birth_date,
        sex=header.sex,
    )


def _folded(header: DicomHeader) -> tuple[object, ...]:
    traits = _traits(header)
    names = claims.fold(traits.birth_name), claims.fold(traits.first_given_name)
    return (*names, traits.birth_date, traits.sex)


def beside_archive(own: Claimed, metadata: Claimed) -> Claimed:
    """The traits of images in an IHE_XDM archive: theirs, and the archive's where they say nothing."""
    return Claimed(
        birth_name=own.birth_name or metadata.birth_name,
        first_given_name=own.first_given_name or metadata.first_given_name,
        birth_date=own.birth_date or metadata.birth_date,
        sex=own.sex or metadata.sex,
        birth_place=metadata.birth_place,
    )
