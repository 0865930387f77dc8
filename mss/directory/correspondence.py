"""What does a line of the public MSSanté correspondence file say?

Pure: bytes of a line in, values out, or a named refusal. The file (`Extraction_Correspondance_MSSante_….txt`) is text
with `|` between columns and their names in the first line. It has come with and without columns, with quotes, CRLF, a
byte order mark and lines in Latin-1, so a line is believed as far as it can be read and refused by itself otherwise.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mss.directory.staging import Line, Progress, Value
from mss.directory.words import REMEMBERED_MAX, fold
from mss.model.directory import (
    TEXT_CHARS_MAX,
    Job,
    Listing,
    Place,
    Professional,
    Source,
    Structure,
    clean,
)
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, ProfessionalId, StructureId
from mss.model.mailbox import MailboxKind

LINE_OCTETS_MAX = 16 * 1024
"""Forty columns of 250 characters fit; longer is not this file."""
COLUMNS_MAX = 200

# Folded name of a column, without " structure bal" or " bal" behind it → what we call it.
_COLUMNS = {
    "adresse": "address",
    "type": "kind",
    "type de": "kind",
    "type d identifiant pp": "person_type",
    "type identifiant pp": "person_type",
    "identifiant pp": "person",
    "identification nationale pp": "person_national",
    "type d identifiant structure": "structure_type",
    "type identifiant structure": "structure_type",
    "type d identifiant": "structure_type",
    "type identifiant": "structure_type",
    "identification structure": "structure_id",
    "identification": "structure_id",
    "identifiant structure": "structure_id",
    "identifiant": "structure_id",
    "service de rattachement": "service",
    "civilite d exercice": "title",
    "civilite exercice": "title",
    "civilite": "civility",
    "nom d exercice": "family",
    "prenom d exercice": "given",
    "code profession": "profession_code",
    "libelle profession": "profession",
    "code savoir faire": "specialty_code",
    "libelle savoir faire": "specialty",
    "dematerialisation": "paperless",
    "raison sociale": "structure",
    "enseigne commerciale": "sign",
    "libelle secteur d activite": "sector",
    "code postal": "postal_code",
    "departement": "department",
    "description": "description",
    "responsable": "responsible",
    "liste rouge": "unlisted",
}
_LINES = re.compile(r"(n?l[2-6])")  # L2COMPLEMENTLOCALISATION … L6LIGNEACHEMINEMENT, one of them misspelt NL4
_KINDS = {
    "per": MailboxKind.PERSONAL,
    "personnelle": MailboxKind.PERSONAL,
    "org": MailboxKind.ORGANISATIONAL,
    "organisationnelle": MailboxKind.ORGANISATIONAL,
    "app": MailboxKind.APPLICATION,
    "applicative": MailboxKind.APPLICATION,
    "cab": MailboxKind.OFFICE,
    "cabinet": MailboxKind.OFFICE,
}
_YES = frozenset(("o", "oui", "true", "1", "y", "yes"))
_NO = frozenset(("n", "non", "false", "0", "no"))
_TOWN = re.compile(r"(?P<code>[0-9]{5})\s+(?P<city>.+)\Z")
_BEHIND_TOWN = re.compile(
    r"\s+(?:CEDEX(?:\s+[0-9]{1,2})?|[0-9]{1,2}(?:E|EME|ER)?(?:\s+ARRONDISSEMENT)?)\Z", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Columns:
    """Where each field stands in this file."""

    count: int
    at: dict[str, int]
    address_lines: tuple[int, ...]
    unknown: tuple[str, ...]
    """Names that mean nothing to us: told once, then ignored."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a line says. `unlisted`: the holder is on the red list, so nothing of it may be kept."""

    listing: Listing | None
    professional: Professional | None = None
    structure: Structure | None = None
    unlisted: bool = False


class CorrespondenceReader:
    """Reads the file line by line, for mss/directory/staging.py."""

    source = Source.CORRESPONDENCE

    def __init__(self) -> None:
        self._columns = Columns(0, {}, (), ())
        self.unknown_columns: tuple[str, ...] = ()

    def prepare(self, file: Path, folder: Path, digest: str, progress: Progress) -> Path:
        """The file is read as it is."""
        return file

    def begin(self, first: bytes) -> bool:
        """Read the names of the columns. Raises BadValue when this is another kind of file."""
        self._columns = columns_of(text_of(first)[0])
        self.unknown_columns = self._columns.unknown
        return True

    def read(self, line: bytes) -> Line:
        if not line.strip():
            return Line()
        try:
            text, has_slipped = text_of(line)
            said = said_by(self._columns, text)
        except BadValue as problem:
            return Line(refusal=str(problem))
        if said.listing is None:
            return Line(unlisted=True)
        others: tuple[Value | None, ...] = (said.professional, said.structure)
        return Line((said.listing, *(one for one in others if one is not None)), slipped=has_slipped)


def text_of(line: bytes) -> tuple[str, bool]:
    """A line as text, and whether it had slipped into cp1252. Raises BadValue when it is too long or neither."""
    if len(line) > LINE_OCTETS_MAX:
        raise BadValue(f"line longer than {LINE_OCTETS_MAX} octets")
    try:
        return line.decode("utf-8"), False
    except UnicodeDecodeError:
        pass
    try:
        return line.decode("cp1252"), True
    except UnicodeDecodeError:
        raise BadValue("neither UTF-8 nor Latin-1") from None


def columns_of(header: str) -> Columns:
    """Read the first line. Raises BadValue when there is no address column: then it is another file."""
    names = [name.strip() for name in header.split("|")]
    if len(names) > COLUMNS_MAX:
        raise BadValue(f"more than {COLUMNS_MAX} columns")
    at: dict[str, int] = {}
    lines: list[tuple[str, int]] = []
    unknown = []
    for place, name in enumerate(names):
        plain = fold(name).removesuffix(" bal").removesuffix(" structure")
        if _LINES.match(plain):
            lines.append((plain.removeprefix("n")[:2], place))
            if plain.startswith("l6"):
                at["town"] = place
        elif plain in _COLUMNS:
            at.setdefault(_COLUMNS[plain], place)
        elif name:
            unknown.append(name[:60])
    if "address" not in at:
        raise BadValue("no column 'Adresse BAL' in the first line: this is not the correspondence file")
    if len(names) > 1 and not names[-1]:
        names.pop()  # a bar at the end of each line
    kept = tuple(place for _, place in sorted(lines) if place != at.get("town"))
    return Columns(len(names), at, kept, tuple(unknown))


def fields_of(columns: Columns, text: str) -> list[str]:
    """Cut a line at its bars. Raises BadValue unless it has as many fields as the first line."""
    fields = text.split("|")
    if '"' in text and len(_without_last_bar(fields, columns)) != columns.count:
        try:
            fields = next(csv.reader([text], delimiter="|", strict=True))
        except (csv.Error, StopIteration):
            raise BadValue("a quote is not closed") from None
    fields = _without_last_bar(fields, columns)
    if len(fields) != columns.count:
        raise BadValue(f"{len(fields)} fields instead of {columns.count}")
    fields = [field.strip() for field in fields]
    return [_unquoted(field) for field in fields] if '"' in text else fields


def _without_last_bar(fields: list[str], columns: Columns) -> list[str]:
    ends_with_bar = len(fields) == columns.count + 1 and not fields[-1].strip()
    return fields[:-1] if ends_with_bar else fields


def _unquoted(field: str) -> str:
    if len(field) >= 2 and field[0] == field[-1] == '"':
        return field[1:-1].replace('""', '"').strip()
    return field


def said_by(columns: Columns, text: str) -> Said:
    """Read a line. Raises BadValue with what is wrong with it, without repeating what it says of anybody."""
    fields = fields_of(columns, text)
    at = columns.at
    is_clean = text.isprintable() and "  " not in text and max(map(len, fields)) <= TEXT_CHARS_MAX  # nearly every line

    def get(name: str) -> str:
        place = at.get(name, -1)
        if not 0 <= place < len(fields):
            return ""
        return fields[place] if is_clean else clean(fields[place])

    if fold(get("unlisted")) in _YES:
        return Said(None, unlisted=True)
    kind = _kind(get("kind"), has_column="kind" in at, is_person=bool(get("family")))
    idnps = _person_id(get("person_national"), get("person_type"), get("person"))
    if kind is MailboxKind.PERSONAL and not idnps and ({"person_national", "person"} & at.keys()):
        raise BadValue("a personal mailbox without its holder's national id")
    idnst = _structure_id(get("structure_type"), get("structure_id"))
    lines = [fields[n] if is_clean else clean(fields[n]) for n in columns.address_lines]
    place = Place(tuple(line for line in lines if line), *_town(get("town"), get("postal_code")))
    name = get("structure") or get("sign")
    listing = Listing(
        address=MailAddress.parse(get("address")).key,
        kind=kind,
        idnps=idnps,
        family=get("family"),
        given=get("given"),
        civility=get("title") or get("civility"),
        profession=_job(get("profession"), get("profession_code")),
        specialty=_job(get("specialty"), get("specialty_code")),
        idnst=idnst,
        structure=name,
        sector=get("sector"),
        place=place,
        description=get("description"),
        service=get("service"),
        responsible=get("responsible"),
        paperless=_flag(get("paperless")),
    )
    person = Professional(idnps, listing.family, listing.given, listing.civility) if idnps and listing.family else None
    structure = Structure(idnst, name, place, listing.sector) if idnst and name else None
    return Said(listing, person, structure)


def _kind(code: str, *, has_column: bool, is_person: bool) -> MailboxKind:
    if not has_column:  # older files: only people have a name
        return MailboxKind.PERSONAL if is_person else MailboxKind.ORGANISATIONAL
    kind = _KINDS.get(fold(code).removeprefix("bal "))
    if kind is None:
        raise BadValue("unknown kind of mailbox")
    return kind


def _person_id(national: str, kind: str, number: str) -> str:
    if national:
        return ProfessionalId(national).value
    if not number:
        return ""
    return ProfessionalId(kind[:1] + number if kind[:1].isdigit() else "8" + number).value


def _structure_id(kind: str, number: str) -> str:
    if not number:
        return ""
    try:
        return StructureId(number).value
    except BadValue:
        if not kind[:1].isdigit():
            raise
        return StructureId(kind[:1] + number).value


@lru_cache(REMEMBERED_MAX)
def _job(label: str, code: str) -> Job | None:
    return Job(label or code, code) if label or code else None


def _flag(word: str) -> bool | None:
    plain = fold(word)
    return True if plain in _YES else False if plain in _NO else None


@lru_cache(REMEMBERED_MAX)
def _town(town: str, postal_code: str) -> tuple[str, str, str]:
    """Postal code, city and department out of `75015 PARIS CEDEX 15`."""
    found = _TOWN.match(town)
    code = postal_code or (found["code"] if found else "")
    city = _BEHIND_TOWN.sub("", _BEHIND_TOWN.sub("", found["city"] if found else town))
    return code, city, department_of(code)


def department_of(postal_code: str) -> str:
    """The department that a postal code lies in; empty when it is none."""
    if not re.fullmatch(r"[0-9]{5}", postal_code):
        return ""
    if postal_code.startswith("20"):
        return "2A" if postal_code < "20200" else "2B"
    return postal_code[:3] if postal_code.startswith(("97", "98")) else postal_code[:2]
