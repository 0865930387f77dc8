"""How do HL7 texts spell a moment, a patient identifier, a person, an organisation?

Times (TS, DTM) and the composite types that XDS puts into its metadata: CX, XCN, XON (IHE ITI TF-3
§4.2.3.1.7, ANS CI-SIS). Reading never raises: what is not there is an empty string or None, and the
caller decides whether it was needed. Never looks a name or an identifier up anywhere.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

from mss.model.document import Coded

OID_PERSON = "1.2.250.1.71.4.2.1"  # IDNPS: professionals (and their systems)
OID_STRUCTURE = "1.2.250.1.71.4.2.2"  # IDNST: structures

# HL7 v3 TS / v2 DTM: YYYY[MM[DD[HH[MM[SS[.s+]]]]]][+-ZZZZ]
_TIME = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:[.,]\d{1,9})?)?)?)?)?)?([+-]\d{4})?\Z", re.ASCII
)
_DAY = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_IDNPS = re.compile(r"[0-9]{9,12}\Z", re.ASCII)


def parse_time(text: str, *, zoneless_is_paris: bool = False) -> datetime | None:
    """The moment of an HL7 time, in UTC; None for what is no time.

    Without a zone it is UTC, as XDS says (IHE ITI TF-3 §4.2.3.1.7 DTM), or Paris time, as French CDA
    writers mean it.
    """
    match = _TIME.match(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (
        int(part or low) for part, low in zip(match.groups(), _LOWEST, strict=False)
    )
    try:
        local = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        if zone := match.group(7):
            minutes = int(zone[1:3]) * 60 + int(zone[3:5])
            return local.replace(
                tzinfo=timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes))
            ).astimezone(UTC)
        return local - paris_offset(local, local=True) if zoneless_is_paris else local
    except (ValueError, OverflowError):
        return None


_LOWEST = (1, 1, 1, 0, 0, 0)


def format_time(moment: datetime) -> str:
    """XDS DTM: UTC, to the second, no zone."""
    utc = moment.astimezone(UTC)
    return f"{utc.year:04}{utc:%m%d%H%M%S}"  # strftime does not pad the year


def format_local_time(moment: datetime) -> str:
    """CDA TS: Paris time with its offset, as French documents write it."""
    offset = paris_offset(moment.astimezone(UTC))
    local = moment.astimezone(timezone(offset))
    return f"{local.year:04}{local:%m%d%H%M%S%z}"


def parse_date(text: str) -> date | None:
    """The day of a birth time `YYYYMMDD…`; None when the day is not told."""
    found = _DAY.match(text.strip())
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


def paris_offset(moment: datetime, *, local: bool = False) -> timedelta:
    """One hour, or two from the last Sunday of March to the last Sunday of October, 01:00 UTC (2000/84/EC).

    Written out because a pure reader asks no time-zone file. With `local`, `moment` is a wall-clock time.
    """
    utc = moment - timedelta(hours=1) if local else moment
    begins, ends = (_last_sunday(moment.year, month) for month in (3, 10))
    return timedelta(hours=2 if begins <= utc < ends else 1)


def _last_sunday(year: int, month: int) -> datetime:
    last = datetime(year, month, 31, 1, tzinfo=UTC)
    return last - timedelta(days=(last.weekday() + 1) % 7)


def clean(text: str | None) -> str:
    """One line without doubled blanks, for names, labels, titles and identifiers."""
    return " ".join((text or "").split())


def parse_cx(text: str) -> tuple[str, str]:
    """(value, OID of the authority) of `279…^^^&1.2.250.1.213.1.4.8&ISO^NH`.

    The ANS kit escapes its ampersands twice, so `&amp;` is read as `&`.
    """
    parts = _components(text)
    return unescape(parts[0]), _oid(parts[3])


def format_cx(value: str, oid: str, kind: str = "NH") -> str:
    """The text that `parse_cx` reads; NH for an INS, PI for a local number (CI-SIS)."""
    return f"{escape(value)}^^^&{oid}&ISO^{kind}"


def parse_xcn(text: str) -> tuple[str, str]:
    """(identifier, "Given FAMILY") of a person; a device has its name where the family name is."""
    parts = _components(text)
    return unescape(parts[0]), clean(f"{unescape(parts[2])} {unescape(parts[1])}")


def format_xcn(identifier: str, name: str) -> str:
    """A person as CI-SIS writes it: `801…^FAMILY^Given^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS`.

    We keep names whole, so the family name is the run of last words in capitals, or else the last word.
    """
    words = name.split()
    cut = max(len(words) - 1, 0)
    while cut > 0 and words[cut - 1] == words[cut - 1].upper() and words[cut] == words[cut].upper():
        cut -= 1
    family, given = " ".join(words[cut:]), " ".join(words[:cut])
    authority = f"&{OID_PERSON}&ISO^D^^^{'IDNPS' if _IDNPS.match(identifier) else 'EI'}" if identifier else "^D"
    return f"{escape(identifier)}^{escape(family)}^{escape(given)}^^^^^^{authority}"


def parse_xon(text: str) -> tuple[str, str]:
    """(identifier, name) of an organisation; the identifier is XON.10, or XON.3 of older writers."""
    parts = _components(text)
    return unescape(parts[9]) or unescape(parts[2]), unescape(parts[0])


def format_xon(identifier: str, name: str) -> str:
    """A structure as CI-SIS writes it: `Name^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^1…`."""
    if not identifier:
        return escape(name)
    return f"{escape(name)}^^^^^&{OID_STRUCTURE}&ISO^IDNST^^^{escape(identifier)}"


def format_ce(code: Coded) -> str:
    """A code as CI-SIS writes a speciality: `code^label^OID`; nothing for no code."""
    return f"{escape(code.code)}^{escape(code.label)}^{code.system}" if code.code else ""


_COMPONENTS = 10


def _components(text: str) -> list[str]:
    parts = text.replace("&amp;", "&").strip().split("^")
    return parts + [""] * (_COMPONENTS - len(parts))


def _oid(authority: str) -> str:
    """The OID of an HD `namespace&OID&ISO`."""
    pieces = authority.split("&")
    return pieces[1].strip() if len(pieces) > 1 else ""


# HL7 v2.5 §2.7: the escape sequences of the separators.
_ESCAPES = (("\\", "\\E\\"), ("^", "\\S\\"), ("&", "\\T\\"), ("~", "\\R\\"), ("|", "\\F\\"))
_UNESCAPE = re.compile(r"\\([ESTRF])\\")
_MEANING = {escape[1]: char for char, escape in _ESCAPES}


def escape(text: str) -> str:
    """The separators of HL7 v2 inside a component, spelled out (v2.5 §2.7)."""
    return "".join(_ESCAPE_OF.get(char, char) for char in text)


_ESCAPE_OF = dict(_ESCAPES)


def unescape(text: str) -> str:
    """A component as people read it, in one line."""
    return clean(_UNESCAPE.sub(lambda match: _MEANING[match.group(1)], text))
