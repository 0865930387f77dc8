"""How is a value read from the tree of a CDA document?

The small vocabulary that the readers of CDA share: parse, step by element names, take identifiers, codes,
moments and texts, all bounded. Never decides what a value means.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mss.formats.hl7values import clean, parse_time
from mss.formats.xmlguard import parse
from mss.model.document import Coded
from mss.model.errors import Malformed
from mss.model.verdict import Reason

if TYPE_CHECKING:  # whoever wants only the values does not load the library
    from lxml import etree

CDA_BYTES_MAX = 10 * 1024 * 1024  # the largest ANS sample has 1.5 MB; libxml2 takes no longer text anyway
VALUES_MAX = 50  # ids, names, authors, events of one kind
VALUE_CHARS_MAX = 2000

NAMESPACE = "urn:hl7-org:v3"


@dataclass(frozen=True, slots=True)
class CdaId:
    """An HL7 instance identifier: an OID, and an extension when the OID only names the authority."""

    root: str
    extension: str = ""

    @property
    def unique_id(self) -> str:
        """The XDS form: `root^extension`, or `root` (IHE ITI TF-3 §4.2.3.2.26)."""
        return f"{self.root}^{self.extension}" if self.extension else self.root


def parse_document(data: bytes) -> etree._Element:
    """The root of a CDA document. Raises Malformed(CDA_BROKEN)."""
    root = parse(data, Reason.CDA_BROKEN, CDA_BYTES_MAX)
    if root.tag != f"{{{NAMESPACE}}}ClinicalDocument":
        raise broken("not a ClinicalDocument")
    return root


def path(names: str) -> str:
    """A path of CDA element names with their namespace."""
    return "/".join(name if name == ".." else f"{{{NAMESPACE}}}{name}" for name in names.split("/"))


def child(element: etree._Element | None, names: str) -> etree._Element | None:
    """The first element on a path, if there is one."""
    return None if element is None else element.find(path(names))


def children(element: etree._Element | None, names: str) -> list[etree._Element]:
    """All elements on a path; a header repeats nothing very often."""
    found = [] if element is None else element.findall(path(names))
    if len(found) > VALUES_MAX:
        raise broken("too many repetitions in the header")
    return found


def ids(element: etree._Element | None) -> tuple[CdaId, ...]:
    """The `id` children that have a root."""
    return tuple(found for found in map(instance_id, children(element, "id")) if found is not None)


def instance_id(element: etree._Element | None) -> CdaId | None:
    """An identifier with a root; `nullFlavor` has none."""
    root = attribute(element, "root")
    return CdaId(root, attribute(element, "extension")) if root else None


def coded(element: etree._Element | None) -> Coded:
    """Code, OID of the system and label; a missing element is an empty code."""
    return Coded(
        code=attribute(element, "code"),
        system=attribute(element, "codeSystem"),
        label=attribute(element, "displayName"),
    )


def moment(element: etree._Element | None) -> datetime | None:
    """The `value` of a time element."""
    return parse_time(attribute(element, "value"), zoneless_is_paris=True)


def text(element: etree._Element | None) -> str:
    """All text inside an element, on one line."""
    if element is None:
        return ""
    return _bounded("".join(str(piece) for piece in element.itertext()))


def attribute(element: etree._Element | None, name: str) -> str:
    """An attribute on one line; nothing when it or its element is missing."""
    return "" if element is None else _bounded(element.get(name))


def _bounded(sent: str | None) -> str:
    value = clean(sent)
    if len(value) > VALUE_CHARS_MAX:
        raise broken("a header value is too long")
    return value


def broken(detail: str) -> Malformed:
    """The error of every reader of CDA; `detail` never holds content."""
    return Malformed(Reason.CDA_BROKEN, detail)
