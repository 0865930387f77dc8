"""What does a hospital's record read about one document? An HL7 v2.6 MDM as ANS profiles it.

Volet "Transmission au LPS d'un document CDA reçu par courriel MSSanté": one document in base64, the mail it came in,
and the four marks of visibility, each in an OBX of its own; sender, mailbox and reply address in PRT, taken over from
v2.9. The same values give the same octets, so that a message sent again is the same message. Where we differ from the
examples of ANS stands, with the reason, in tests/data/mdm_differences.json.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mss.formats import hl7v2
from mss.formats.hl7v2 import composite, segment, text
from mss.formats.hl7values import OID_PERSON, format_local_time, unescape
from mss.model.document import Author, Coded, DocumentEntry, Visibility
from mss.model.errors import BadValue
from mss.model.ids import Ins, InsOid
from mss.model.people import IdentityTraits

ADDRESS_COMPONENTS = 7
"""Of an address (XAD): what stands behind the kind is not told on."""
PROFILE = "1.1^CISIS_CDA_HL7_LPS"
DOCUMENT_BYTES_MAX = 40 * 1024 * 1024
"""More than a message of 35 MiB can bring."""
LETTER_BYTES_MAX = 1024 * 1024
"""Of the text of a mail; what is longer is cut, since the document is what matters."""

_SYSTEMS = {"2.16.840.1.113883.6.1": "LN", "1.2.250.1.213.1.1.4.12": "TRE_A05"}
_AUTHORITIES = {InsOid.NIA: "ASIP-SANTE-INS-NIA"}
_INS_ROOTS = frozenset(oid.value for oid in InsOid)
_NIR_AUTHORITY = "ASIP-SANTE-INS-NIR"
_PERSONS = f"ASIP-SANTE-PS&{OID_PERSON}&ISO"
_YES_NO = "expandedYes-NoIndicator"
_MARKS: tuple[tuple[str, str, Visibility], ...] = (
    ("MASQUE_PS", "Masqué aux professionnels de Santé", Visibility.MASKED_FROM_PRACTITIONERS),
    ("INVISIBLE_PATIENT", "Document Non Visible par le patient", Visibility.HIDDEN_FROM_PATIENT),
    (
        "INVISIBLE_REP_LEGAUX",
        "Non visible par les représentants Légaux du patient",
        Visibility.HIDDEN_FROM_REPRESENTATIVES,
    ),
)


class MdmEvent(StrEnum):
    """MSH-9.2."""

    ORIGINAL = "T02"
    WITHDRAWN = "T04"
    REPLACED = "T10"


_ORDERS = {MdmEvent.ORIGINAL: "NW", MdmEvent.WITHDRAWN: "CA", MdmEvent.REPLACED: "RO"}
_STATUSES = {MdmEvent.ORIGINAL: "F", MdmEvent.WITHDRAWN: "D", MdmEvent.REPLACED: "C"}


@dataclass(frozen=True, slots=True)
class Ends:
    """Who speaks to whom: MSH-3 to MSH-6. `processing`: P in production, T for tests, D to debug."""

    sending_application: str
    sending_facility: str
    receiving_application: str
    receiving_facility: str
    processing: str = "P"


@dataclass(frozen=True, slots=True)
class Unit:
    """The part of the hospital behind a mailbox, as the hospital numbers it: PRT-8 of the recipient."""

    name: str = ""
    authority: str = ""
    kind: str = ""
    number: str = ""


NOBODY, NO_UNIT = Author(), Unit()


@dataclass(frozen=True, slots=True)
class Letter:
    """The mail that brought the document. Addresses without names; `sent_by`: who is behind the sender's, if known."""

    message_id: str
    subject: str
    words: str
    sender: str
    recipient: str
    reply_to: str = ""
    sent_by: Author = NOBODY
    software: str = ""
    """Where a program sends: its reference (X-MSS-NIL), or else its mailbox."""


@dataclass(frozen=True, slots=True)
class Mdm:
    """One message. `replaces`: the uniqueId (`root^extension`) of the version before. `identity_is_sure`: qualified."""

    ends: Ends
    event: MdmEvent
    control_id: str
    written_at: datetime
    recorded_at: datetime
    ins: Ins
    traits: IdentityTraits
    identity_is_sure: bool
    entry: DocumentEntry
    content: bytes
    letter: Letter
    visibility: frozenset[str] = frozenset()
    visibility_changed: bool = False
    replaces: str = ""
    unit: Unit = NO_UNIT

    def __repr__(self) -> str:  # never in a log
        return f"Mdm({self.event}, {self.control_id})"


def write_mdm(mdm: Mdm) -> bytes:
    """The message in UTF-8, to be framed. Raises BadValue for a document that is too large or names no person."""
    if len(mdm.content) > DOCUMENT_BYTES_MAX:
        raise BadValue("a document that is too large for a message")
    if not 0 < len(mdm.control_id) <= hl7v2.CONTROL_ID_CHARS_MAX:
        raise BadValue("a message needs a number of at most twenty characters")
    return (hl7v2.SEGMENT_ENDS.join(_segments(mdm)) + hl7v2.SEGMENT_ENDS).encode()


def _segments(mdm: Mdm) -> Iterator[str]:
    ends, what = mdm.ends, _coded(mdm.entry.type)
    yield hl7v2.header(
        {
            3: text(ends.sending_application),
            4: text(ends.sending_facility),
            5: text(ends.receiving_application),
            6: text(ends.receiving_facility),
            7: _moment(mdm.written_at),
            9: f"MDM^{mdm.event}^MDM_T02",
            10: text(mdm.control_id),
            11: text(ends.processing),
            12: "2.6",
            17: "FRA",
            18: "UNICODE UTF-8",
            21: PROFILE,
        }
    )
    yield segment("EVN", {2: _moment(mdm.recorded_at), 6: _moment(mdm.recorded_at)})
    yield _pid(mdm)
    yield segment("PV1", {1: "1", 2: "N"})
    yield segment("ORC", {1: _ORDERS[mdm.event]})
    yield segment("OBR", {1: "1", 4: what})
    yield _txa(mdm)
    yield _obx(1, "ED", what, _data(mdm.entry.mime_type, mdm.content), _STATUSES[mdm.event])
    yield from _participants(mdm)
    letter = mdm.letter
    words = letter.words.encode()[:LETTER_BYTES_MAX].decode(errors="ignore").encode()
    yield _obx(2, "ED", composite(letter.message_id, letter.subject), f"^text^^Base64^{_base64(words)}")
    for number, (code, label, flag) in enumerate(_MARKS, 3):
        yield _mark(number, code, label, is_on=flag.value in mdm.visibility)
    yield _mark(6, "MODIF_CONF_CODE", "Modification Confidentiality Code", is_on=mdm.visibility_changed)


def _pid(mdm: Mdm) -> str:
    """As PAM France and the INS annex of the CI-SIS have it. The home address is what METADATA tells."""
    traits = mdm.traits
    authority = f"{_AUTHORITIES.get(mdm.ins.oid, _NIR_AUTHORITY)}&{mdm.ins.oid.value}&ISO"
    fields = {
        3: "~".join((f"{text(mdm.ins.value)}^^^{authority}^INS", *_local_ids(mdm.entry))),
        5: composite(traits.birth_name, traits.first_given_name, " ".join(traits.given_names), "", "", "", "L"),
        7: f"{traits.birth_date:%Y%m%d}",
        8: traits.sex.value,
        31: "N",
        32: "VALI" if mdm.identity_is_sure else "PROV",
    }
    places = [*_homes(mdm.entry)]
    if traits.birth_place:
        places.append(composite("", "", "", "", "", "", "BDL", "", traits.birth_place))
    if places:
        fields[11] = "~".join(places)
    return segment("PID", fields)


def _local_ids(entry: DocumentEntry) -> Iterator[str]:
    """The sender's own number of the patient: PID-3 is to name whom the CDA names (profile, segment PID)."""
    number, _, rest = entry.source_patient_id.partition("^^^&")
    root, _, kind = rest.partition("&ISO")
    if number and root and root not in _INS_ROOTS and "^" not in number + root:
        yield f"{text(unescape(number))}^^^&{text(root)}&ISO^{text(kind.strip('^')) or 'PI'}"


def _homes(entry: DocumentEntry) -> Iterator[str]:
    """Home addresses (XAD.7 `H`, or no kind at all) in the slot sourcePatientInfo (ITI TF-3 §4.2.3.2.23)."""
    for line in entry.source_patient_info:
        field, _, value = line.partition("|")
        for one in value.split("~") if field.strip().upper() == "PID-11" else ():
            parts = [unescape(part) for part in one.split("^")][:ADDRESS_COMPONENTS]
            kind = parts[6] if len(parts) > 6 else ""
            if kind.upper() in ("", "H") and any(parts[:6]):
                yield composite(*parts)


def _txa(mdm: Mdm) -> str:
    fields = {1: "1", 2: text(mdm.entry.type.code), 3: "TEXT", 12: _document_id(mdm.entry.unique_id), 17: "AU"}
    if mdm.entry.creation_time is not None:
        fields[4] = _moment(mdm.entry.creation_time)
    if mdm.replaces:
        fields[13] = _document_id(mdm.replaces)
    person = mdm.entry.authors[0].person_id if mdm.entry.authors else ""
    if person:
        fields[22] = text(person)
    return segment("TXA", fields)


def _document_id(unique_id: str) -> str:
    """`extension^^root^ISO`, or the root alone (note 1 of the profile)."""
    root, _, extension = unique_id.partition("^")
    return composite(extension, "", root, "ISO") if extension else text(root)


def _participants(mdm: Mdm) -> Iterator[str]:
    """Sender, the mailbox it was written to, and where answers go."""
    letter, unit, author = mdm.letter, mdm.unit, mdm.letter.sent_by
    sender = {2: "UC", 4: "SB^^participation", 15: _mail(letter.sender)}
    if author.person_id:
        family, given = _names(author.person_name)
        sender[5] = f"{composite(author.person_id, family, given)}^^^^^^{_PERSONS}^D^^^IDNPS"
    if author.institution_id:
        sender[8] = composite(author.institution_name, "", "", "", "", "", "IDNST", "", "", author.institution_id)
    if letter.software:
        sender[10] = text(letter.software)
    yield segment("PRT", sender)
    recipient = {2: "UC", 4: "RCT^^participation", 15: _mail(letter.recipient)}
    if unit.name:
        recipient[8] = composite(unit.name, "", "", "", "", unit.authority, unit.kind, "", "", unit.number)
    yield segment("PRT", recipient)
    if letter.reply_to:
        yield segment("PRT", {2: "UC", 4: "REPLY^^participation", 15: _mail(letter.reply_to)})


def _names(whole: str) -> tuple[str, str]:
    """(family, given) of "Given FAMILY": the last words in capitals, or else the last word."""
    words = whole.split()
    cut = max(len(words) - 1, 0)
    while cut > 1 and words[cut - 1].isupper() and words[cut].isupper():
        cut -= 1
    return " ".join(words[cut:]), " ".join(words[:cut])


def _obx(number: int, kind: str, what: str, value: str, status: str = "F") -> str:
    return segment("OBX", {1: str(number), 2: kind, 3: what, 5: value, 11: status})


def _mark(number: int, code: str, label: str, *, is_on: bool) -> str:
    return _obx(number, "CWE", composite(code, label, "MetaDMPMSS"), f"{'Y' if is_on else 'N'}^^{_YES_NO}")


def _data(mime_type: str, content: bytes) -> str:
    """A CDA as the profile has it; another file under its own type (tables 0191 and 0291), which the profile does not
    know and a receiver may refuse in words."""
    major, _, minor = mime_type.partition("/")
    kind = "^text^XML" if minor in ("xml", "x-hl7-cda-level-one+xml") else composite("", major, minor)
    return f"{kind}^Base64^{_base64(content)}"


def _coded(code: Coded) -> str:
    return composite(code.code, code.label, _SYSTEMS.get(code.system, code.system))


def _mail(address: str) -> str:
    return composite("", "", "X.400", address)


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _moment(moment: datetime) -> str:
    """Paris time with its offset, to the second."""
    return format_local_time(moment)
