"""What does an address look like in an address book? Listings into an entry with attributes, and a filter's word on it.

An entry is one address with every role that is listed behind it, so nobody is offered twice. Values are the
directory's; comparing forgets accents, capitals and punctuation as every search here does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mss.directory.extras import NOTHING_KNOWN, Extra
from mss.directory.words import fold, sound, words
from mss.ldap.names import SCHEMA_NAME, Tree
from mss.ldap.requests import All, Any, Equal, Filter, Like, Not, Present, Unknowable
from mss.model.directory import Found, Listing

STARTTLS = "1.3.6.1.4.1.1466.20037"
WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3"
OWN_ARC = "2.25.305117742211391446424961473013107414017"
"""Of the attributes that are ours alone: a number made from a UUID (X.667)."""

KINDS = {"PER": "personal", "ORG": "team", "APP": "software", "CAB": "practice"}

Values = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Attribute:
    """A name as it is written, with its other names, number and rule of comparison (RFC 4512 §4.1.2)."""

    name: str
    oid: str
    others: tuple[str, ...] = ()
    is_operational: bool = False
    is_single: bool = False


ATTRIBUTES = (
    Attribute("objectClass", "2.5.4.0"),
    Attribute("cn", "2.5.4.3", ("commonname",)),
    Attribute("sn", "2.5.4.4", ("surname",)),
    Attribute("givenName", "2.5.4.42", ("gn",)),
    Attribute("displayName", "2.16.840.1.113730.3.1.241", is_single=True),
    Attribute("mail", "0.9.2342.19200300.100.1.3", ("rfc822mailbox",), is_single=True),
    Attribute("uid", "0.9.2342.19200300.100.1.1", ("userid",), is_single=True),
    Attribute("personalTitle", "0.9.2342.19200300.100.1.40"),
    Attribute("title", "2.5.4.12"),
    Attribute("o", "2.5.4.10", ("organizationname", "company")),
    Attribute("ou", "2.5.4.11", ("organizationalunitname", "department")),
    Attribute("l", "2.5.4.7", ("localityname", "city")),
    Attribute("st", "2.5.4.8", ("stateorprovincename",)),
    Attribute("postalCode", "2.5.4.17"),
    Attribute("street", "2.5.4.9", ("streetaddress",)),
    Attribute("employeeNumber", "2.16.840.1.113730.3.1.3", is_single=True),
    Attribute("employeeType", "2.16.840.1.113730.3.1.4", is_single=True),
    Attribute("description", "2.5.4.13"),
    Attribute("mssStructure", f"{OWN_ARC}.1"),
    Attribute("mssAsOf", f"{OWN_ARC}.2", is_single=True),
    Attribute("mssPurpose", f"{OWN_ARC}.3", is_single=True),
    Attribute("mssSizeMax", f"{OWN_ARC}.4", is_single=True),
    Attribute("mssAcceptsPatients", f"{OWN_ARC}.5", is_single=True),
    Attribute("mssAcceptsXdm", f"{OWN_ARC}.6", is_single=True),
    Attribute("mssPaperless", f"{OWN_ARC}.7", is_single=True),
    Attribute("mssMayNotAnswer", f"{OWN_ARC}.8", is_single=True),
    Attribute("mssLastTaken", f"{OWN_ARC}.9", is_single=True),
    Attribute("mssAbsentUntil", f"{OWN_ARC}.10", is_single=True),
    Attribute("mssSubstitute", f"{OWN_ARC}.11", is_single=True),
    Attribute("entryDN", "1.3.6.1.1.20", is_operational=True, is_single=True),
    Attribute("modifyTimestamp", "2.5.18.2", is_operational=True, is_single=True),
    Attribute("subschemaSubentry", "2.5.18.10", is_operational=True, is_single=True),
)
_NAMED = {name: one for one in ATTRIBUTES for name in (one.name.lower(), *one.others, one.oid)}
_CLASSES = ("top", "person", "organizationalPerson", "inetOrgPerson")
"""Teams and software too: clients ask for one of these before they show anybody."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A name with attributes, by their names as written."""

    dn: str
    values: Values

    def of(self, name: str) -> tuple[str, ...] | None:
        """Values under any of an attribute's names; None for an attribute that this directory does not know."""
        one = _NAMED.get(name)
        return None if one is None else self.values.get(one.name, ())

    def chosen(self, wanted: Sequence[str], *, types_only: bool) -> list[tuple[str, tuple[str, ...]]]:
        """What a search asked for: all of users, `*`, `+` of the server's own, names, `1.1` for none (RFC 4511
        §4.5.1.8)."""
        named = {one.name for one in map(_NAMED.get, wanted) if one is not None}
        everything, operational = not wanted or "*" in wanted, "+" in wanted
        return [
            (one.name, () if types_only else values)
            for one in ATTRIBUTES
            if (values := self.values.get(one.name, ()))
            and (one.name in named or (operational if one.is_operational else everything))
        ]


def entry_of(found: Sequence[Found], tree: Tree, extra: Extra = NOTHING_KNOWN) -> Entry:
    """The entry of one address. `found`: its listings, at least one."""
    listings = [one.listing for one in found]
    first, verified = listings[0], min((one.verified for one in found), key=lambda one: one.at)
    dn = tree.name_of(first.address.lower())
    values: dict[str, Iterable[str]] = {
        "objectClass": _CLASSES,
        "cn": [first.title, f"{first.given} {first.family}".strip() if first.family else ""],
        "sn": [first.family or first.title],
        "givenName": [first.given if first.family else ""],
        "displayName": [first.title],
        "mail": [first.address.lower()],
        "uid": [first.address.lower()],
        "personalTitle": [first.civility],
        "title": [job.label for one in listings for job in (one.specialty, one.profession) if job is not None],
        "o": [one.structure for one in listings],
        "ou": [one.service for one in listings],
        "l": [one.place.city for one in listings],
        "st": [one.place.department for one in listings],
        "postalCode": [one.place.postal_code for one in listings],
        "street": [", ".join(one.place.lines) for one in listings],
        "employeeNumber": [_number(first)],
        "employeeType": [KINDS.get(str(first.kind), "")],
        "description": [extra.said.purpose, *(one.description for one in listings)],
        "mssStructure": [one.idnst for one in listings],
        "mssAsOf": [stamp(verified.at)],
        **_beside(first, extra),
        "entryDN": [dn],
        "modifyTimestamp": [stamp(verified.at)],
        "subschemaSubentry": [SCHEMA_NAME],
    }
    return Entry(dn, {name: tuple(dict.fromkeys(filter(None, several))) for name, several in values.items()})


def _beside(listing: Listing, extra: Extra) -> dict[str, Iterable[str]]:
    """What is known beside the national files (mss/directory/extras.py)."""
    said = extra.said
    paperless = listing.paperless if said.is_paperless is None else said.is_paperless
    return {
        "mssPurpose": [said.purpose],
        "mssSizeMax": [str(said.size_bytes_max)] if said.size_bytes_max else [],
        "mssAcceptsPatients": _word(said.accepts_patients),
        "mssAcceptsXdm": _word(said.accepts_xdm),
        "mssPaperless": _word(paperless),
        "mssMayNotAnswer": ["TRUE"] if extra.may_not_answer else [],
        "mssLastTaken": [stamp(extra.last_taken)] if extra.last_taken else [],
        "mssAbsentUntil": [stamp(extra.absent_until)] if extra.absent_until else [],
        "mssSubstitute": [extra.substitute],
    }


def _word(value: bool | None) -> list[str]:
    return [] if value is None else ["TRUE" if value else "FALSE"]


def _number(listing: Listing) -> str:
    """The RPPS of a person (an IDNPS is 8 and the RPPS), else her number as it is."""
    return listing.idnps[1:] if listing.idnps.startswith("8") else listing.idnps


def stamp(moment: datetime) -> str:
    """A moment as LDAP writes it (RFC 4517 §3.3.13)."""
    return f"{moment:%Y%m%d%H%M%SZ}"


# ── what stands beside the entries ──


def root_of(tree: Tree, *, is_secure: bool) -> list[tuple[str, tuple[str, ...]]]:
    """What the server can do (RFC 4512 §5.1)."""
    return [
        ("objectClass", ("top",)),
        ("namingContexts", (tree.base,)),
        ("defaultNamingContext", (tree.base,)),
        ("supportedLDAPVersion", ("3",)),
        ("supportedExtension", (WHO_AM_I,) if is_secure else (WHO_AM_I, STARTTLS)),
        ("subschemaSubentry", (SCHEMA_NAME,)),
        ("vendorName", ("mss-server",)),
    ]


def book_of(tree: Tree) -> Entry:
    """The branch itself."""
    name = tree.base.split(",", 1)[0].partition("=")[2]
    values: Values = {"objectClass": ("top", "organizationalUnit"), "ou": (name,), "subschemaSubentry": (SCHEMA_NAME,)}
    return Entry(tree.base, values)


def schema() -> list[tuple[str, tuple[str, ...]]]:
    """Attributes and classes, as much as clients look for (RFC 4512 §4.2)."""
    types = []
    for one in ATTRIBUTES:
        names = " ".join(f"'{name}'" for name in (one.name, *one.others))
        text = f"( {one.oid} NAME ( {names} ) EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch"
        text += " SYNTAX 1.3.6.1.4.1.1466.115.121.1.15" + " SINGLE-VALUE" * one.is_single
        types.append(text + " USAGE directoryOperation" * one.is_operational + " )")
    may = " $ ".join(one.name for one in ATTRIBUTES if not one.is_operational and one.name != "objectClass")
    classes = (
        "( 2.5.6.0 NAME 'top' ABSTRACT MUST objectClass )",
        "( 2.5.6.6 NAME 'person' SUP top STRUCTURAL MUST ( sn $ cn ) )",
        "( 2.5.6.7 NAME 'organizationalPerson' SUP person STRUCTURAL )",
        f"( 2.16.840.1.113730.3.2.2 NAME 'inetOrgPerson' SUP organizationalPerson STRUCTURAL MAY ( {may} ) )",
        "( 2.5.6.5 NAME 'organizationalUnit' SUP top STRUCTURAL MUST ou )",
    )
    return [
        ("objectClass", ("top", "subschema")),
        ("cn", ("subschema",)),
        ("attributeTypes", tuple(types)),
        ("objectClasses", classes),
    ]


# ── does a filter hold? ──


def holds(asked: Filter, entry: Entry) -> bool | None:
    """True, false, or None where it cannot be said (RFC 4511 §4.5.1.7); only True is an answer."""
    match asked:
        case All(parts):
            told = {holds(part, entry) for part in parts}
            return False if False in told else None if None in told else True
        case Any(parts):
            told = {holds(part, entry) for part in parts}
            return True if True in told else None if None in told else False
        case Not(part):
            answer = holds(part, entry)
            return None if answer is None else not answer
        case Present(name):
            return bool(entry.of(name))
        case Unknowable():
            return None
    values = entry.of(asked.name)
    if values is None:
        return None
    return any(_is(asked, value) for value in values)


def _is(asked: Equal | Like, value: str) -> bool:
    if isinstance(asked, Like):
        return _is_like(asked, value)
    if asked.sounds_alike:
        return _sounds_like(asked.value, value)
    if "@" in value or not fold(value):
        return asked.value.strip().lower() == value.lower()
    return fold(asked.value) == fold(value)


def _sounds_like(asked: str, value: str) -> bool:
    """Each word of the question is heard in the value, or begins a word of it."""
    heard = words(value)
    sounds = {sound(word) for word in heard} | {sound("".join(heard))}
    mine = words(asked)
    return bool(mine) and all(sound(word) in sounds or any(one.startswith(word) for one in heard) for word in mine)


def _is_like(asked: Like, value: str) -> bool:
    if "@" in value:
        plain, first, last = value.lower(), asked.first.lower(), asked.last.lower()
        middle = [piece.lower() for piece in asked.middle]
    else:
        plain, first, last = fold(value), fold(asked.first), fold(asked.last)
        middle = [fold(piece) for piece in asked.middle]
    if not any((first, *middle, last)):
        return False
    if not plain.startswith(first):
        return False
    at = len(first)
    for piece in middle:
        place = plain.find(piece, at)
        if place < 0:
            return False
        at = place + len(piece)
    return len(plain) - at >= len(last) and plain.endswith(last)
