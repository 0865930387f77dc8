"""By what can each resource be found? The table that searches, CapabilityStatement and OpenAPI description read.

Pure. Names and meanings are those of FHIR R4 and of the national guide; where ours is narrower, its line says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mss.directory.conditions import Field, How
from mss.directory.wholes import Unit, number_of_person, numbers_behind
from mss.fhir import systems
from mss.fhir.asking import Apply, Draft, Parameter, Table
from mss.fhir.moments import PREFIXES, span_of
from mss.fhir.outcome import wrong
from mss.model.mailbox import MailboxKind

KINDS = tuple(
    str(kind)
    for kind in (MailboxKind.PERSONAL, MailboxKind.ORGANISATIONAL, MailboxKind.APPLICATION, MailboxKind.OFFICE)
)
HOWS = {"": How.STARTS, "contains": How.CONTAINS, "exact": How.EXACT}
HL7 = "http://hl7.org/fhir/SearchParameter/"


def _text(of: Field) -> Apply:
    def apply(draft: Draft, modifier: str, values: tuple[str, ...]) -> None:
        draft.ask(of, HOWS[modifier], values)

    return apply


def _name(draft: Draft, modifier: str, values: tuple[str, ...]) -> None:
    if modifier:
        draft.ask(Field.NAME, HOWS[modifier], values)
        if modifier == "exact" and len(values) == 1 and not draft.name:
            draft.name = values[0]
        return
    if len(values) > 1 or draft.name:
        raise wrong("name: one at a time; ask several in a batch")
    draft.name = values[0]


def _phonetic(draft: Draft, _: str, values: tuple[str, ...]) -> None:
    if len(values) > 1 or draft.phonetic:
        raise wrong("phonetic: one at a time; ask several in a batch")
    draft.phonetic = values[0]


def _token(value: str) -> tuple[str | None, str]:
    """System (None: any) and code of `system|code`."""
    system, bar, code = value.rpartition("|")
    return (system if bar else None), code


def person_numbers(value: str) -> tuple[str, ...]:
    """Which IDNPS a token may mean."""
    system, code = _token(value)
    _whole(code)
    if system is None:
        longer = {11: ("8",), 9: ("0",)}.get(len(code), ())
        return (code, *(f"{kind}{code}" for kind in longer))
    return {systems.IDNPS: (code,), systems.RPPS: (f"8{code}",), systems.ADELI: (f"0{code}",)}.get(system, ())


def structure_numbers(value: str) -> tuple[str, ...]:
    """Which IDNST a token may mean."""
    system, code = _token(value)
    _whole(code)
    if system is None:
        longer = {9: ("1",), 14: ("3",)}.get(len(code), ())
        return (code, *(f"{kind}{code}" for kind in longer))
    if system in systems.FINESS_SYSTEMS:
        return (f"1{code}",)
    if system in systems.SIRENE_SYSTEMS:
        return (f"3{code}",)
    return (code,) if system == systems.IDNST else ()


def _number(of: Field, meant: Callable[[str], tuple[str, ...]]) -> Apply:
    """`meant`: which national numbers a token may mean; none: nobody has it."""

    def apply(draft: Draft, _: str, values: tuple[str, ...]) -> None:
        numbers = tuple(number for value in values for number in meant(value))
        draft.matches_nobody |= not numbers
        draft.ask(of, How.EXACT, numbers)

    return apply


def _whole(code: str) -> None:
    if not code:
        raise wrong("identifier: a system alone would list everybody; say the number too", "too-costly")


def _job(*known: str) -> Apply:
    def apply(draft: Draft, modifier: str, values: tuple[str, ...]) -> None:
        if len(values) > 1:
            raise wrong("a profession or specialty at a time; ask several in a batch")
        if modifier == "text":
            draft.jobs.append(values[0])
            return
        system, code = _token(values[0])
        if not code:
            raise wrong("say the code behind the bar, or the words with :text")
        draft.matches_nobody |= system not in (None, *known)
        draft.job_codes.append(code)

    return apply


def _city(draft: Draft, modifier: str, values: tuple[str, ...]) -> None:
    _one_place(draft, values)
    if values[0].strip()[:1].isdigit():
        raise wrong("address-city: the name of a city; numbers are asked by address-postalcode")
    draft.place = values[0]


def _postal_code(draft: Draft, _: str, values: tuple[str, ...]) -> None:
    _one_place(draft, values)
    code = values[0].strip().upper()
    if not (len(code) in (2, 3, 5) and code[:1].isdigit() and code.isascii() and code.isalnum()) or code in (
        "20",
        "97",
    ):
        raise wrong("address-postalcode: five digits, or a department (69, 2A, 971)")
    draft.place = code


def _one_place(draft: Draft, values: tuple[str, ...]) -> None:
    if len(values) > 1 or draft.place:
        raise wrong("one city or postal code at a time; ask several in a batch")


def _kind(draft: Draft, _: str, values: tuple[str, ...]) -> None:
    meant = set()
    for value in values:
        system, code = _token(value)
        if system is None or system in systems.KIND_SYSTEMS:
            if code not in KINDS:
                raise wrong(f"mailbox-mss-type: one of {', '.join(KINDS)}")
            meant.add(code)
    kinds = frozenset(meant) if draft.kinds is None else draft.kinds & meant
    draft.kinds, draft.matches_nobody = kinds, draft.matches_nobody or not kinds


def _active(draft: Draft, _: str, values: tuple[str, ...]) -> None:
    if not set(values) <= {"true", "false"}:
        raise wrong("active: true or false")
    draft.matches_nobody |= "true" not in values


def _ids(draft: Draft, _: str, values: tuple[str, ...]) -> None:
    if draft.ids:
        raise wrong("_id twice: put commas between the ids")
    draft.ids = values


def _changed(draft: Draft, _: str, values: tuple[str, ...]) -> None:
    draft.changed.append(tuple(span_of("_lastUpdated", value) for value in values))


def _reference(kind: Unit) -> Apply:
    def apply(draft: Draft, modifier: str, values: tuple[str, ...]) -> None:
        if len(values) > 1:
            raise wrong(f"{kind}: one reference at a time; ask several in a batch")
        head, slash, name = values[0].rpartition("/")
        if modifier not in ("", kind) or (slash and head.rpartition("/")[2] != kind):
            raise wrong(f"a reference to a {kind}: {kind}/ID")
        if kind is Unit.ORGANIZATION:
            draft.ask(Field.STRUCTURE_NUMBER, How.EXACT, (name,))
        elif numbers_behind(name) is None:
            draft.ask(Field.PERSON_NUMBER, How.EXACT, (number_of_person(name),))
        else:
            draft.person = name

    return apply


_MAILBOX = (
    Parameter(
        "mailbox-mss",
        "string",
        "Address of a mailbox that this resource carries, or its beginning (three letters at least).",
        _text(Field.ADDRESS),
        ("exact", "contains"),
        f"{systems.GUIDE.replace('StructureDefinition', 'SearchParameter')}as-sp-mailbox-mss",
    ),
    Parameter(
        "mailbox-mss-type",
        "token",
        "Kind of a mailbox that this resource carries: PER, ORG, APP, CAB; together with something else.",
        _kind,
        (),
        f"{systems.GUIDE.replace('StructureDefinition', 'SearchParameter')}as-sp-mailbox-mss-type",
    ),
)
_GENERAL = (
    Parameter("_id", "token", "Ids, with commas between them.", _ids, (), f"{HL7}Resource-id"),
    Parameter(
        "_lastUpdated",
        "date",
        f"When the newest of it was first said: {', '.join(PREFIXES)}. Twice for a span; together with something else.",
        _changed,
        (),
        f"{HL7}Resource-lastUpdated",
    ),
    Parameter("active", "token", "Who is listed is active.", _active),
)
_PEOPLE = (
    Parameter(
        "identifier",
        "token",
        "IDNPS, RPPS or ADELI number, with its system or without.",
        _number(Field.PERSON_NUMBER, person_numbers),
        (),
        f"{HL7}Practitioner-identifier",
    ),
    Parameter(
        "name",
        "string",
        "Beginning of the family name, or family and given name in either order.",
        _name,
        ("exact", "contains"),
        f"{HL7}Practitioner-name",
    ),
    Parameter(
        "family", "string", "Family name.", _text(Field.FAMILY), ("exact", "contains"), f"{HL7}individual-family"
    ),
    Parameter("given", "string", "Given name.", _text(Field.GIVEN), ("exact", "contains"), f"{HL7}individual-given"),
    Parameter(
        "phonetic",
        "string",
        "The same as name, and what sounds like it in French (Lefèvre, Lefebvre).",
        _phonetic,
        (),
        f"{HL7}individual-phonetic",
    ),
)
_PLACES = (
    Parameter("address-city", "string", "The whole name of a city.", _city, (), f"{HL7}Organization-address-city"),
    Parameter(
        "address-postalcode",
        "string",
        "Postal code of five digits, or a department.",
        _postal_code,
        (),
        f"{HL7}Organization-address-postalcode",
    ),
)
_STRUCTURES = (
    Parameter(
        "identifier",
        "token",
        "IDNST, FINESS or SIRET number, with its system or without.",
        _number(Field.STRUCTURE_NUMBER, structure_numbers),
        (),
        f"{HL7}Organization-identifier",
    ),
    Parameter(
        "name",
        "string",
        "A word of the name and what follows.",
        _text(Field.STRUCTURE),
        ("exact", "contains"),
        f"{HL7}Organization-name",
    ),
    *_PLACES,
)
_BOTH_SYSTEMS = (systems.PROFESSION, systems.SPECIALTY)


def _chained(head: str, rows: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    return tuple(replace(row, name=f"{head}.{row.name}") for row in rows)


def _table(*rows: Parameter) -> Table:
    return {row.name: row for row in rows}


TABLES: dict[Unit, Table] = {
    Unit.PRACTITIONER: _table(
        *_GENERAL,
        *_PEOPLE,
        *_PLACES,
        Parameter(
            "qualification-code",
            "token",
            "Profession or specialty: code, or its words with :text.",
            _job(*_BOTH_SYSTEMS),
            ("text",),
            f"{systems.GUIDE.replace('StructureDefinition', 'SearchParameter')}as-sp-qualification-code",
        ),
        *_MAILBOX,
    ),
    Unit.ROLE: _table(
        *_GENERAL,
        Parameter(
            "practitioner",
            "reference",
            "Practitioner/ID",
            _reference(Unit.PRACTITIONER),
            ("Practitioner",),
            f"{HL7}PractitionerRole-practitioner",
        ),
        Parameter(
            "organization",
            "reference",
            "Organization/ID",
            _reference(Unit.ORGANIZATION),
            ("Organization",),
            f"{HL7}PractitionerRole-organization",
        ),
        Parameter(
            "role", "token", "Profession: code, or its words with :text.", _job(systems.PROFESSION), ("text",),
            f"{HL7}PractitionerRole-role",
        ),
        Parameter(
            "specialty", "token", "Specialty: code, or its words with :text.", _job(systems.SPECIALTY), ("text",),
            f"{HL7}PractitionerRole-specialty",
        ),
        *_MAILBOX,
        *_chained("practitioner", _PEOPLE),
        *_chained("organization", _STRUCTURES),
    ),
    Unit.ORGANIZATION: _table(*_GENERAL, *_STRUCTURES, *_MAILBOX),
}  # fmt: skip

INCLUDES: dict[Unit, dict[str, str]] = {
    Unit.PRACTITIONER: {"PractitionerRole:practitioner": "_revinclude"},
    Unit.ROLE: {"PractitionerRole:practitioner": "_include", "PractitionerRole:organization": "_include"},
    Unit.ORGANIZATION: {},
}
"""People of a structure come as a search of their own, page by page: PractitionerRole?organization=."""
