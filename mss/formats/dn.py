"""Which certificate subject does this name mean, and are two of them the same?

A distinguished name is an ordered sequence of RDNs, compared as parsed and never as text: the trust list writes
one certificate with and without quotes, with `, ` and with `,` (all three occur in a real one).
Reading follows RFC 4514, and the older RFC 1779 forms that Java prints: quoted values, `;`, `OID.` prefixes.

What counts as equal: same attribute types in the same order, values equal after NFC and after runs of spaces
(no-break spaces included) became one (RFC 4518 §2.2, §2.6.1). Letter case counts, although RFC 4518 would fold it:
the list is printed from certificates, so case never differs by itself, and a name typed by hand in another case
is for a human to look at before it opens the door.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from mss.model.errors import BadValue

CHARACTERS_MAX = 2048  # the longest of a real list has 130
ATTRIBUTES_MAX = 32  # a real name has five

_OID_OF_TYPE = {
    "CN": "2.5.4.3",
    "COMMONNAME": "2.5.4.3",
    "SN": "2.5.4.4",
    "SURNAME": "2.5.4.4",
    "SERIALNUMBER": "2.5.4.5",
    "C": "2.5.4.6",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "S": "2.5.4.8",  # as Windows prints it
    "STREET": "2.5.4.9",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "T": "2.5.4.12",
    "TITLE": "2.5.4.12",
    "GN": "2.5.4.42",
    "GIVENNAME": "2.5.4.42",
    "ORGANIZATIONIDENTIFIER": "2.5.4.97",
    "UID": "0.9.2342.19200300.100.1.1",
    "MAIL": "0.9.2342.19200300.100.1.3",
    "DC": "0.9.2342.19200300.100.1.25",
    "E": "1.2.840.113549.1.9.1",
    "EMAILADDRESS": "1.2.840.113549.1.9.1",
}
_TYPE_OF_OID = {oid: name for name, oid in reversed(_OID_OF_TYPE.items())}  # the first name of each is printed
_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+", re.ASCII)
_COMMON_NAME = "2.5.4.3"

_SEPARATORS = ",;+"
_SPECIAL = ' #=,;+"\\<>'
_PLAIN_VALUE = re.compile(r"(?:[^\\,;+]|\\.)*", re.DOTALL)
_QUOTED_VALUE = re.compile(r'"((?:[^\\"]|\\.)*)"', re.DOTALL)
_DER_STRINGS = {12: "utf-8", 19: "ascii", 20: "latin-1", 22: "ascii", 30: "utf-16-be"}  # X.680 universal tags

Rdn = tuple[tuple[str, str], ...]
"""One RDN: pairs of attribute type (dotted OID) and value, sorted, since it is a set (almost always of one)."""


@dataclass(frozen=True, slots=True)
class DistinguishedName:
    """A subject or issuer, in the order of the certificate (country first). `str()` is its RFC 4514 form."""

    rdns: tuple[Rdn, ...]

    @classmethod
    def of(cls, rdns: Iterable[Iterable[tuple[str, str]]]) -> DistinguishedName:
        """Build from attribute types (dotted OIDs) and values as a certificate orders them."""
        return cls(tuple(_rdn(rdn) for rdn in rdns))

    @classmethod
    def parse(cls, text: str) -> DistinguishedName:
        """Read the text form, which begins with the last RDN. Raises BadValue."""
        if len(text) > CHARACTERS_MAX:
            raise BadValue("distinguished name is too long")
        rdns: list[list[tuple[str, str]]] = [[]]
        at, separator = 0, ""
        for _ in range(ATTRIBUTES_MAX):
            attribute, at, separator = _read_attribute(text, at)
            rdns[-1].append(attribute)
            if not separator:
                return cls.of(reversed(rdns))
            if separator != "+":
                rdns.append([])
        raise BadValue("distinguished name has too many attributes")

    @property
    def common_name(self) -> str:
        """The value of the last CN; empty when there is none."""
        names = [value for rdn in self.rdns for kind, value in rdn if kind == _COMMON_NAME]
        return names[-1] if names else ""

    def __str__(self) -> str:
        rdns = ("+".join(f"{_TYPE_OF_OID.get(k, k)}={escape_value(v)}" for k, v in rdn) for rdn in self.rdns[::-1])
        return ",".join(rdns)


def _rdn(attributes: Iterable[tuple[str, str]]) -> Rdn:
    return tuple(sorted((kind, _normalise(value)) for kind, value in attributes))


def _normalise(value: str) -> str:
    return " ".join(unicodedata.normalize("NFC", value).split())


def _read_attribute(text: str, start: int) -> tuple[tuple[str, str], int, str]:
    """One `type=value` from `start`: the pair, where the next one starts, and the separator between ("" at the end)."""
    equals = text.find("=", start)
    if equals < 0:
        raise BadValue("distinguished name lacks a =")
    kind = _attribute_type(text[start:equals].strip())
    at = equals + 1
    while text[at : at + 1].isspace():
        at += 1
    if quoted := _QUOTED_VALUE.match(text, at):
        value, at = _unescape(quoted[1]), quoted.end()
        while text[at : at + 1].isspace():
            at += 1
    else:
        plain = _PLAIN_VALUE.match(text, at)
        assert plain is not None  # it matches the empty string
        value, at = _plain_value(plain[0]), plain.end()
    separator = text[at : at + 1]
    if separator and separator not in _SEPARATORS:
        raise BadValue("distinguished name has text where a separator belongs")
    return (kind, value), at + 1, separator


def _attribute_type(text: str) -> str:
    name = text.upper().removeprefix("OID.")
    if _OID.fullmatch(name):
        return name
    try:
        return _OID_OF_TYPE[name]
    except KeyError:
        raise BadValue("distinguished name has an unknown attribute type") from None


def _plain_value(text: str) -> str:
    if text.startswith("#"):
        try:
            return der_string(bytes.fromhex(text[1:].strip()))
        except ValueError:
            raise BadValue("distinguished name has a broken # value") from None
    if text.startswith('"'):
        raise BadValue("distinguished name has an open quote")
    return _unescape(text)


def _unescape(text: str) -> str:
    r"""Resolve `\,` and `\C3\A9` (RFC 4514 §2.4: hex pairs are octets of UTF-8)."""
    if "\\" not in text:
        return text
    octets = bytearray()
    at = 0
    while at < len(text):
        if text[at] != "\\":
            octets += text[at].encode("utf-8", "surrogatepass")
            at += 1
        elif re.fullmatch(r"[0-9A-Fa-f]{2}", text[at + 1 : at + 3], re.ASCII):
            octets.append(int(text[at + 1 : at + 3], 16))
            at += 3
        elif text[at + 1 : at + 2] and text[at + 1] in _SPECIAL:
            octets += text[at + 1].encode()
            at += 2
        else:
            raise BadValue("distinguished name has an unknown escape")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise BadValue("distinguished name is not UTF-8") from None


def der_string(der: bytes) -> str:
    """The text of a DER character string; any other value as `#` and its octets, equal only to itself."""
    if len(der) >= 2 and der[0] in _DER_STRINGS and der[1] == len(der) - 2 < 128:
        return der[2:].decode(_DER_STRINGS[der[0]])
    return f"#{der.hex()}"


def escape_value(value: str) -> str:
    r"""RFC 4514 §2.4: specials behind a backslash; controls, which must not reach a log as they are, in hex."""
    escaped = "".join(_escape_character(character) for character in value)
    return f"\\{escaped}" if value.startswith("#") else escaped


def _escape_character(character: str) -> str:
    if character in '",+;<>\\=':
        return f"\\{character}"
    if unicodedata.category(character).startswith("C"):
        return "".join(f"\\{octet:02x}" for octet in character.encode("utf-8", "surrogatepass"))
    return character
