"""How is an HL7 v2 message spelled, framed on a stream, and acknowledged?

Segments from fields, frames of MLLP (HL7 MLLP release 1: VT, message, FS, CR), and the reader of acknowledgements
(HL7 v2.6 §2.13; MSA, ERR). Never a name nor a value of an answer in an error: other software writes them, and may quote
the patient there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mss.formats.hl7values import clean, escape
from mss.model.errors import BadValue

FRAME_BEGINS = b"\x0b"
FRAME_ENDS = b"\x1c\r"
SEGMENT_ENDS = "\r"
CONTROL_ID_CHARS_MAX = 20
"""Of MSH-10: what every version of the standard lets a receiver keep (v2.6 has 199)."""
ACK_BYTES_MAX = 64 * 1024
"""An acknowledgement has two or three segments; nobody may fill our memory with one."""
ACK_SEGMENTS_MAX = 200

_CONTROLS = dict.fromkeys([*range(0x20), 0x7F])
_CODE = re.compile(r"\d{1,3}\Z", re.ASCII)


def text(value: str) -> str:
    """A component: one line, no control character (one would end the segment or the frame), separators spelled out."""
    return escape(clean(value).translate(_CONTROLS))


def composite(*components: str) -> str:
    """Components of a field, each as `text` spells it; empty ones at the end are left out."""
    return "^".join(map(text, components)).rstrip("^")


def segment(name: str, fields: Mapping[int, str]) -> str:
    """A segment with its fields by number, spelled already."""
    return "|".join([name, *(fields.get(at, "") for at in range(1, max(fields) + 1))])


def header(fields: Mapping[int, str]) -> str:
    """MSH, whose first field is the separator itself; MSH-2 is ours."""
    return "|".join(["MSH", "^~\\&", *(fields.get(at, "") for at in range(3, max(fields) + 1))])


def frame(message: bytes) -> bytes:
    """A message as MLLP carries it. Raises BadValue when it holds an octet that frames are made of."""
    if FRAME_BEGINS in message or FRAME_ENDS[:1] in message:
        raise BadValue("a message that holds the octets of its own frame")
    return FRAME_BEGINS + message + FRAME_ENDS


class AckCode(StrEnum):
    """MSA-1 (table 0008): of the application, or only of the system that took the message in for it."""

    ACCEPT = "AA"
    ERROR = "AE"
    REJECT = "AR"
    COMMIT_ACCEPT = "CA"
    COMMIT_ERROR = "CE"
    COMMIT_REJECT = "CR"


@dataclass(frozen=True, slots=True)
class Ack:
    """What the receiver says of one message. `error` is ERR-3 (table 0357), `application_error` ERR-5: the ANS codes
    900 to 906; nought where there is none."""

    code: AckCode
    control_id: str
    error: int = 0
    application_error: int = 0


def read_ack(octets: bytes) -> Ack:
    """Read an acknowledgement, its frame taken off. Raises BadValue, which tells no content."""
    if len(octets) > ACK_BYTES_MAX:
        raise BadValue("an acknowledgement that is too long")
    # Codes and our own number are all that is read, and they are ASCII in every character set of the profile.
    lines = [line for line in re.split(r"[\r\n]+", octets.decode("latin-1")) if line]
    if not lines or not lines[0].startswith("MSH") or len(lines[0]) < 8 or len(lines) > ACK_SEGMENTS_MAX:
        raise BadValue("an answer that is no HL7 message")
    field, component = lines[0][3], lines[0][4]
    segments = [line.split(field) for line in lines[1:]]
    told = next((one for one in segments if one[0] == "MSA" and len(one) > 2), None)
    if told is None:
        raise BadValue("an answer without MSA")
    if told[1] not in set(AckCode):
        raise BadValue("an answer whose MSA-1 is no code")
    errors = [one for one in segments if one[0] == "ERR"]
    found = [(_number(one, 3, component), _number(one, 5, component)) for one in errors]
    error, application = next((pair for pair in found if pair[1]), found[0] if found else (0, 0))
    return Ack(AckCode(told[1]), told[2].strip(), error, application)


def _number(fields: list[str], at: int, component: str) -> int:
    code = fields[at].split(component)[0].strip() if len(fields) > at else ""
    return int(code) if _CODE.match(code) else 0
