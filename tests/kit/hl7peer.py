"""A hospital's record that speaks HL7 v2 over MLLP with TLS, as a process or in this one.

Written from the standard, apart from our own writer: it reads segments and fields itself, answers with an
acknowledgement, knows a message again by MSH-10, and keeps what it accepted in a file, in the order in which it came.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """Segments, each a list of fields."""

    segments: tuple[tuple[str, ...], ...]

    @staticmethod
    def field(segment: tuple[str, ...], at: int) -> str:
        """By place in the line; what is not there is empty. Empty components at the end mean nothing."""
        return segment[at].rstrip("^") if at < len(segment) else ""

    def of(self, name: str, number: int, which: int = 0) -> str:
        """A field of the n-th segment of that name, by its number in the standard."""
        found = [one for one in self.segments if one[0] == name]
        return self.field(found[which], number - (name == "MSH")) if which < len(found) else ""


def read_message(octets: bytes) -> Message:
    """UTF-8, segments that end with CR."""
    lines = octets.decode().rstrip("\r").split("\r")
    return Message(tuple(tuple(line.split("|")) for line in lines))
