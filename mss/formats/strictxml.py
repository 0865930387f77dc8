"""How is signed XML turned into a tree without changing what was signed, or giving its sender anything to play with?

No DOCTYPE (hence no entities, no external subset), no network, UTF-8 only, bounded size; libxml2's own limits on
depth and text stay on. Comments and processing instructions are kept, since a signature may cover them; documents
that are merely read go through `xmlguard`, which drops them. Nothing here repairs.
"""

from __future__ import annotations

from lxml import etree

from mss.model.errors import BadValue


def read(xml: bytes, *, bytes_max: int) -> etree._Element:
    """The root element of `xml`. Raises BadValue."""
    if len(xml) > bytes_max:
        raise BadValue(f"XML of more than {bytes_max} bytes")
    if b"<!DOCTYPE" in xml:  # before the parser meets an entity; the word in a comment is no loss
        raise BadValue("XML with a DOCTYPE")
    try:
        root = etree.fromstring(xml, _parser())
    except (etree.XMLSyntaxError, ValueError) as broken:
        raise BadValue(f"XML is not well-formed: {broken}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise BadValue("XML with a DOCTYPE")
    return root


def _parser() -> etree.XMLParser:
    # `encoding` overrides what the text declares: a UTF-16 document cannot carry a DOCTYPE past the search above.
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        recover=False,
        collect_ids=False,
    )
