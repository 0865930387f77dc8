"""How does a person read this CDA?

Renders header and narrative of a CDA as an HTML fragment through our own style sheet (cda.xslt), with file
and network access denied. What comes out holds no script, no style and no outside address; the page that
shows it sanitises it once more. Never shows what is only in the coded entries.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from lxml import etree

from mss.formats.cda import CdaHeader, CdaPatient, header_of
from mss.formats.cdatree import broken, parse_document, path
from mss.formats.hl7values import paris_offset
from mss.model.people import Sex

PLAIN_CHARS_MAX = 2_000_000  # text of a level-1 body
PICTURES_MAX = 200  # renderMultiMedia; each costs a look at all that show the same file
# All that the sheet may write, for the page that sanitises once more (nh3: tags, attributes, url_schemes).
TAGS = frozenset(
    {
        "a", "article", "br", "caption", "dd", "del", "div", "dl", "dt", "h2", "h3", "h4", "h5", "h6", "header",
        "img", "ins", "li", "ol", "p", "section", "small", "span", "sub", "sup", "table", "tbody", "td", "tfoot",
        "th", "thead", "tr", "ul",
    }
)  # fmt: skip
ATTRIBUTES = {
    "*": {"class", "id"},
    "a": {"href"},
    "img": {"src", "alt"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}
URL_SCHEMES = frozenset({"data"})
_SHEET = Path(__file__).with_name("cda.xslt")
_MONTHS = (
    "janvier", "février", "mars", "avril", "mai", "juin",
    "juillet", "août", "septembre", "octobre", "novembre", "décembre",
)  # fmt: skip


def render(data: bytes) -> str:
    """An HTML fragment `<article class="cda">…`. Raises Malformed(CDA_BROKEN)."""
    root = parse_document(data)
    header = header_of(root)
    if sum(1 for _ in root.iter(path("renderMultiMedia"))) > PICTURES_MAX:
        raise broken("too many pictures")
    facts = {**_facts(header), "body": _plain_body(root)}
    try:
        page = _sheet()(root, profile_run=False, **{name: etree.XSLT.strparam(value) for name, value in facts.items()})
    except etree.XSLTApplyError as error:
        raise broken("the document cannot be rendered") from error
    return str(page)


@cache
def _sheet() -> etree.XSLT:
    """Our sheet, compiled once in a process; it may read and reach nothing."""
    nothing = etree.XSLTAccessControl.DENY_ALL  # type: ignore[attr-defined]  # the stubs forget it
    return etree.XSLT(etree.parse(_SHEET), access_control=nothing)


def _facts(header: CdaHeader) -> dict[str, str]:
    """What stands above every document."""
    patient = header.patient
    author = header.authors[0] if header.authors else header.legal_authenticator
    speciality = f" ({author.specialty_label})" if author.specialty_label and author.person_name else ""
    return {
        "title": header.title or header.code.label or "Document",
        "patient": _patient_name(patient),
        "born": _born(patient),
        "ins": ", ".join(identifier.extension for identifier in patient.ins_ids),
        "author": f"{author.person_name}{speciality}",
        "organisation": author.institution_name or header.custodian.institution_name,
        "date": _moment(header.effective_time),
        "version": header.version if header.version not in ("", "1") else "",
    }


def _patient_name(patient: CdaPatient) -> str:
    """ "PAT-TROIS Dominique", and the name in use when it is another."""
    name = f"{patient.birth_name} {' '.join(patient.given_names)}".strip()
    if patient.used_name and patient.used_name.casefold() != patient.birth_name.casefold():
        return f"{name} (nom utilisé : {patient.used_name})"
    return name


def _born(patient: CdaPatient) -> str:
    if patient.birth_date is None:
        return ""
    sex = {Sex.FEMALE: ", sexe féminin", Sex.MALE: ", sexe masculin"}.get(patient.sex or Sex.UNKNOWN, "")
    day = patient.birth_date
    return f"{_day(day.year, day.month, day.day)}{sex}"


def _moment(moment: datetime | None) -> str:
    """ "1er avril 2021 à 18 h 10", Paris time."""
    if moment is None:
        return ""
    utc = moment.astimezone(UTC)
    local = utc + paris_offset(utc) if utc.year < 9999 else utc + timedelta()
    return f"{_day(local.year, local.month, local.day)} à {local.hour}\u00a0h\u00a0{local.minute:02}"


def _day(year: int, month: int, day: int) -> str:
    return f"{'1er' if day == 1 else day} {_MONTHS[month - 1]} {year}"


def _plain_body(root: etree._Element) -> str:
    """The text of a level-1 body in plain text; nothing for files."""
    body = root.find(path("component/nonXMLBody/text"))
    if body is None or body.get("mediaType", "text/plain").lower() != "text/plain":
        return ""
    text = "".join(str(piece) for piece in body.itertext())
    if body.get("representation") == "B64":
        try:
            text = base64.b64decode("".join(text.split()), validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise broken("the body is not base64 text") from error
    if len(text) > PLAIN_CHARS_MAX:
        raise broken("the body is too long")
    return "".join(char for char in text if char >= " " or char in "\t\n").strip()
