"""Identifiers that refuse bad values at birth.

One grammar for an address serves policy, storage and delivery, so that the address which was judged is
the address which is used. One type for an INS knows its authority (OID) and its key.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import NewType

from mss.model.errors import BadValue

OwnerId = NewType("OwnerId", int)
"""A mailbox or a patient: 62 random bits, the same number for a patient, her mailbox and her record."""

LANES = 1024
"""Lanes into which owners fall; fixed at birth of an installation (docs/decisions/0002-cellar.md)."""

NETWORKS_CACHED_MAX = 4096
"""Of which addresses it is remembered where they belong: more than connections at once."""

ADDRESS_OCTETS_MAX = 254  # RFC 5321 §4.5.3.1.3 less the angle brackets
LOCAL_OCTETS_MAX = 64  # RFC 5321 §4.5.3.1.1
DOMAIN_OCTETS_MAX = 253  # RFC 1035 §2.3.4

# RFC 5321 Dot-string without "%" and "!" (routing of the last century) and without quoting.
_LOCAL = re.compile(r"[A-Za-z0-9#$&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9#$&'*+/=?^_`{|}~-]+)*\Z", re.ASCII)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+\Z", re.ASCII)


def lane_of(owner: int) -> int:
    """The lane of an owner; the same for ever."""
    return owner % LANES


def parse_domain(text: str) -> str:
    """A host or mail domain in lower case.

    Raises BadValue unless it is two or more LDH labels (RFC 1035 §2.3.1, RFC 5890 A-labels allowed).
    """
    if len(text) > DOMAIN_OCTETS_MAX or not _DOMAIN.match(text):
        raise BadValue("not a domain name")
    return text.lower()


@dataclass(frozen=True, slots=True)
class MailAddress:
    """`local@domain` (RFC 5321 Mailbox, restricted). Equality and hash ignore case; `str()` keeps it."""

    local: str = field(compare=False)
    domain: str
    key: str = field(init=False)

    def __post_init__(self) -> None:
        if len(self.local) > LOCAL_OCTETS_MAX or not _LOCAL.match(self.local):
            raise BadValue("not a plain local part")
        object.__setattr__(self, "domain", parse_domain(self.domain))
        object.__setattr__(self, "key", f"{self.local.lower()}@{self.domain}")
        if len(self.key) > ADDRESS_OCTETS_MAX:
            raise BadValue("address too long")

    @classmethod
    def parse(cls, text: str) -> MailAddress:
        """Read `local@domain` without angle brackets. Raises BadValue."""
        local, at, domain = text.rpartition("@")
        if not at:
            raise BadValue("no @ in address")
        return cls(local, domain)

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


class InsOid(StrEnum):
    """Authorities that assign an INS (facts: ANS OID 1.2.250.1.213.1.4.*)."""

    NIR = "1.2.250.1.213.1.4.8"
    NIA = "1.2.250.1.213.1.4.9"
    NIR_TEST = "1.2.250.1.213.1.4.10"
    NIR_DEMO = "1.2.250.1.213.1.4.11"


REAL_INS_OIDS = frozenset({InsOid.NIR, InsOid.NIA})

_MATRICULE = re.compile(r"[1-9][0-9]{2}[0-9]{2}(?:[0-9]{2}|2[AB])[0-9]{6}[0-9]{2}\Z", re.ASCII)


def ins_key(matricule13: str) -> int:
    """The two-digit key of the first 13 characters: 97 − (N mod 97), with 2A→19 and 2B→18."""
    digits = matricule13[:5] + matricule13[5:7].replace("2A", "19").replace("2B", "18") + matricule13[7:]
    return 97 - int(digits) % 97


@dataclass(frozen=True, slots=True)
class Matricule:
    """The 15 characters of an INS, key included, before an authority is known (a patient's local part)."""

    value: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", self.value.upper())
        if not _MATRICULE.match(self.value):
            raise BadValue("not the shape of an INS")

    @property
    def key_is_right(self) -> bool:
        return ins_key(self.value[:13]) == int(self.value[13:])

    def __repr__(self) -> str:  # never in a log
        return "Matricule(…)"


def matricule_of(address: MailAddress) -> Matricule | None:
    """The INS that an address is made of; None for everybody but patients. (Whose domain it is says who asks.)"""
    local = address.local.upper()
    return Matricule(local) if _MATRICULE.match(local) else None


@dataclass(frozen=True, slots=True)
class Ins:
    """Matricule INS with its authority. A real authority with a wrong key is refused at birth;
    test and demo identities with a wrong key exist in the ANS samples and carry `key_is_right == False`."""

    matricule: Matricule
    oid: InsOid

    def __post_init__(self) -> None:
        if self.oid in REAL_INS_OIDS and not self.matricule.key_is_right:
            raise BadValue("wrong key of a real INS")

    @classmethod
    def parse(cls, value: str, oid: str) -> Ins:
        """Read 15 characters and an OID. Raises BadValue for an unknown authority, shape or key."""
        try:
            authority = InsOid(oid)
        except ValueError:
            raise BadValue("unknown INS authority") from None
        return cls(Matricule(value), authority)

    @property
    def value(self) -> str:
        return self.matricule.value

    @property
    def key_is_right(self) -> bool:
        return self.matricule.key_is_right


_TWICE = bytes.maketrans(b"0123456789", b"0246813579")


def luhn_sum(digits: str) -> int:
    """Of (ASCII) digits; a multiple of ten when the last of them is their key (ISO/IEC 7812-1). An import asks it
    millions of times; python-stdnum's answer is the same and takes thirty times as long."""
    codes = digits.encode("ascii")
    return sum(codes[::-2]) + sum(codes[-2::-2].translate(_TWICE)) - ord("0") * len(codes)


@lru_cache(64)  # an import asks of the same number for the line, the listing and its holder, one after the other
def has_luhn_key(digits: str) -> bool:
    """Whether the last digit is the key of those before."""
    return luhn_sum(digits) % 10 == 0


_ELEVEN = re.compile(r"[0-9]{11}\Z", re.ASCII)
_FINESS = re.compile(r"[0-9][0-9AB][0-9]{7}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rpps:
    """Numéro RPPS: 11 digits, the last a Luhn key."""

    value: str

    def __post_init__(self) -> None:
        if not _ELEVEN.match(self.value) or not has_luhn_key(self.value):
            raise BadValue("not an RPPS number")

    @property
    def national_id(self) -> str:
        """IDNPS: `8` + RPPS (OID 1.2.250.1.71.4.2.1)."""
        return "8" + self.value


@dataclass(frozen=True, slots=True)
class Finess:
    """Numéro FINESS: 9 characters, department 2A/2B allowed, the last a Luhn key (2A→2, 2B→2 digits kept)."""

    value: str

    def __post_init__(self) -> None:
        if not _FINESS.match(self.value):
            raise BadValue("not a FINESS number")
        if self.value.isdigit() and not has_luhn_key(self.value):
            raise BadValue("wrong key of a FINESS number")


@dataclass(frozen=True, slots=True)
class ProfessionalId:
    """IDNPS (OID 1.2.250.1.71.4.2.1): `8` + RPPS, `0` + ADELI (9 characters), or `3`, `5`, `6` + a structure's own
    number for one of its people (FINESS, SIRET or a practice's RPPS, a slash, then the number)."""

    value: str

    def __post_init__(self) -> None:
        kind, rest = self.value[:1], self.value[1:]
        if kind == "8":
            Rpps(rest)
        elif kind == "0":
            if not _ADELI.match(rest):
                raise BadValue("not an ADELI number")
        elif kind in _REGISTERS:
            structure, slash, number = rest.partition("/")
            _REGISTERS[kind](structure)
            if not slash or not _REGISTER_NUMBER.match(number):
                raise BadValue("not a structure's number for one of its people")
        else:
            raise BadValue("not a professional's national id")

    @property
    def rpps(self) -> str:
        """The RPPS number; empty for those who have none."""
        return self.value[1:] if self.value.startswith("8") else ""


@dataclass(frozen=True, slots=True)
class Siret:
    """Numéro SIRET: 14 digits with a Luhn key (La Poste's own sum is known)."""

    value: str

    def __post_init__(self) -> None:
        from stdnum.fr import siret  # brings the numbers of all of France, which the edge never asks for

        if not re.fullmatch(r"[0-9]{14}", self.value, re.ASCII) or not siret.is_valid(self.value):
            raise BadValue("not a SIRET number")


_ADELI = re.compile(r"(?:[0-9]{2}|2[AB]|9[A-F])[0-9A-Z]{7}\Z", re.ASCII)
_REGISTERS: dict[str, type[Finess] | type[Siret] | type[Rpps]] = {"3": Finess, "5": Siret, "6": Rpps}
_REGISTER_NUMBER = re.compile(r"[0-9A-Za-z._-]{1,30}\Z", re.ASCII)
_PRACTICE_RANK = re.compile(r"[0-9]{2,3}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class StructureId:
    """IDNST (OID 1.2.250.1.71.4.2.2): `1` + FINESS or `3` + SIRET; for practices `0` + ADELI and `4` + RPPS, each
    with a rank of two or three digits."""

    value: str

    def __post_init__(self) -> None:
        kind, rest = self.value[:1], self.value[1:]
        if kind == "1":
            Finess(rest)
        elif kind == "3":
            Siret(rest)
        elif kind == "4" and _PRACTICE_RANK.match(rest[11:]):
            Rpps(rest[:11])
        elif not (kind == "0" and _ADELI.match(rest[:9]) and _PRACTICE_RANK.match(rest[9:])):
            raise BadValue("not a structure id")


@lru_cache(maxsize=NETWORKS_CACHED_MAX)
def network_of(address: str) -> str:
    """Whom a count is for: an IPv4 address, or the /64 that one IPv6 site commands (RFC 6177)."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return str(parsed)
