"""What does the trust list say (liste blanche MSSanté)? Which domain may be served under which certificate?

The list is XML: `DateDeGeneration`, then one `Domaine` for each pair of a domain and a certificate name; a domain
with several operators has several. Here bytes become values and back. Whether they may be believed is the
signature's business (crypto/xmlsig.py), whom they let in the judge's (directory/trust.py).

A list whose shape is wrong is refused whole. A single entry that cannot be read (a name that is no domain, no
distinguished name) is left out and counted: it lets nobody in, and locks nobody else out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO

from lxml import etree

from mss.formats import strictxml
from mss.formats.dn import DistinguishedName
from mss.model.errors import BadValue
from mss.model.ids import parse_domain

NAMESPACE = "https://listeblanche.mssante.fr/schema"
BYTES_MAX = 32 * 1024 * 1024  # 3.7 MB in 2025 for 6,494 entries: room for nine times as many
ENTRIES_MAX = 60_000  # the same ninefold growth

_ROOT = f"{{{NAMESPACE}}}ListeBlancheMSSante"
_GENERATED = f"{{{NAMESPACE}}}DateDeGeneration"
_ENTRIES = f"{{{NAMESPACE}}}ListeDomaines"
_ENTRY = f"{{{NAMESPACE}}}Domaine"
_SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
_FIELDS = ("Nom", "Description", "DNCertificatOperateur", "ResponsableContact", "SupportContact", "DateMAJ")
_FIELD_TAGS = tuple(f"{{{NAMESPACE}}}{name}" for name in _FIELDS)
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


@dataclass(frozen=True, slots=True)
class TrustEntry:
    """One `Domaine`: mail of this domain may come under this certificate, and go to it."""

    domain: str
    certificate: DistinguishedName
    description: str = ""
    responsible_contact: str = ""
    support_contact: str = ""
    updated_at: datetime | None = None
    """DateMAJ; None when it is no date, which is no reason to lock a hospital out."""


@dataclass(frozen=True, slots=True)
class TrustList:
    """Liste blanche: when it was generated, its entries, and how many of them could not be read."""

    generated_at: datetime
    entries: tuple[TrustEntry, ...]
    unreadable: int = 0


def parse(xml: bytes) -> TrustList:
    """Read a list, signed or not; hand in only octets that were verified. Raises BadValue."""
    root = strictxml.read(xml, bytes_max=BYTES_MAX)
    children = [child for child in root.iterchildren("*") if child.tag != _SIGNATURE]
    if root.tag != _ROOT or [child.tag for child in children] != [_GENERATED, _ENTRIES]:
        raise BadValue("not a trust list")
    generated_at = _date(_text(children[0]))
    if len(children[1]) > ENTRIES_MAX:
        raise BadValue(f"trust list of more than {ENTRIES_MAX} entries")
    certificates: dict[str, DistinguishedName] = {}  # 6,494 entries name 391 certificates: parse each once
    entries: list[TrustEntry] = []
    unreadable = 0
    for element in children[1].iterchildren("*"):
        fields = _fields(element)
        try:
            entries.append(_entry(fields, certificates))
        except BadValue:
            unreadable += 1
    return TrustList(generated_at, tuple(entries), unreadable)


def generated_at(xml: bytes) -> datetime:
    """Only the moment of generation, without reading the entries. Raises BadValue."""
    try:
        for _, element in etree.iterparse(BytesIO(xml), events=("end",), resolve_entities=False, no_network=True):
            if element.tag != _GENERATED:  # it comes first
                break
            return _date(_text(element))
    except etree.XMLSyntaxError:
        pass
    raise BadValue("trust list does not begin with its date")


def _fields(element: etree._Element) -> list[str]:
    if element.tag != _ENTRY or tuple(child.tag for child in element) != _FIELD_TAGS:
        raise BadValue("trust list has an entry of another shape")
    return [_text(child) for child in element]


def _text(element: etree._Element) -> str:
    """The text of a leaf. Anything inside it, a comment too, would make its text depend on who reads it."""
    if len(element):
        raise BadValue("trust list has markup inside a value")
    return (element.text or "").strip()


def _entry(fields: list[str], certificates: dict[str, DistinguishedName]) -> TrustEntry:
    name, description, certificate, responsible, support, updated = fields
    if certificate not in certificates:
        certificates[certificate] = DistinguishedName.parse(certificate)
    return TrustEntry(_domain(name), certificates[certificate], description, responsible, support, _maybe_date(updated))


def _domain(name: str) -> str:
    """A domain in A-labels: lists of 2018 held names with accents (RFC 3490 is what the codec knows, and enough)."""
    if name.isascii():
        return parse_domain(name)
    try:
        return parse_domain(name.encode("idna").decode())
    except UnicodeError:
        raise BadValue("not a domain name") from None


def _date(text: str) -> datetime:
    if not _DATE.fullmatch(text):
        raise BadValue("trust list has a date of another shape")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise BadValue("trust list has a date that does not exist") from None


def _maybe_date(text: str) -> datetime | None:
    try:
        return _date(text)
    except BadValue:
        return None


def render(entries: Iterable[TrustEntry], generated_at: datetime) -> bytes:
    """The list as XML, not signed yet (crypto/xmlsig.py signs). Raises ValueError for text that XML cannot carry."""
    root = etree.fromstring(f'<ListeBlancheMSSante xmlns="{NAMESPACE}"/>')
    etree.SubElement(root, _GENERATED).text = _print_date(generated_at)
    listing = etree.SubElement(root, _ENTRIES)
    for entry in entries:
        element = etree.SubElement(listing, _ENTRY)
        updated = _print_date(entry.updated_at or generated_at)
        values = (
            entry.domain,
            entry.description,
            str(entry.certificate),
            entry.responsible_contact,
            entry.support_contact,
            updated,
        )
        for tag, value in zip(_FIELD_TAGS, values, strict=True):
            etree.SubElement(element, tag).text = value
    etree.indent(root, space="    ")
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _print_date(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
