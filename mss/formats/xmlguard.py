"""May this XML be parsed, and what is its tree?

Every XML that strangers send goes through `parse`: bounded in bytes, markup and depth (libxml2 stops at
256 levels unless told "huge"), no entity is resolved, nothing is loaded, and a DOCTYPE is refused (OWASP
XML external entity prevention).
Never reads a file, never reaches the network.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from mss.model.errors import Malformed
from mss.model.verdict import Reason

if TYPE_CHECKING:  # loaded where it parses: whoever wants only the values of a format does without
    from lxml import etree

TAGS_MAX = 200_000  # "<"; the largest ANS sample has 5,900; a node costs libxml2 some 100 bytes
ATTRIBUTES_MAX = 400_000  # "="


def parse(data: bytes, reason: Reason, size_bytes_max: int) -> etree._Element:
    """The root element of `data`. Raises Malformed(reason) for anything else than plain, bounded XML."""
    from lxml import etree

    if len(data) > size_bytes_max:
        raise Malformed(reason, "XML too large")
    if data.count(b"<") > TAGS_MAX or data.count(b"=") > ATTRIBUTES_MAX:
        raise Malformed(reason, "too much markup")
    try:
        root = etree.fromstring(data.lstrip(), _parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Malformed(reason, "not well-formed XML") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise Malformed(reason, "DOCTYPE refused")
    return root


def _parser() -> etree.XMLParser:
    from lxml import etree

    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        collect_ids=False,
        remove_comments=True,
        remove_pis=True,
    )


def local_name(element: etree._Element) -> str:
    """The element's name without its namespace."""
    return _local(str(element.tag))


def plain_name(element: etree._Element) -> str:
    """The same in small letters, for readers of what sloppy writers send."""
    return _plain(str(element.tag))


@lru_cache(maxsize=1024)
def _plain(tag: str) -> str:
    return _local(tag).lower()


@lru_cache(maxsize=1024)  # a document repeats a few dozen names
def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
