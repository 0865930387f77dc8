"""Which Content-* fields do thousands of messages say alike? What is read out of those is remembered.

Only what tells nothing about a message: its kind, charset and transfer encoding. A boundary, a file name or an id never
matches, so nothing of a message stays in memory for longer than the message itself.
"""

from __future__ import annotations

import re
from functools import lru_cache

from mss.formats.headers import unfold
from mss.formats.parameters import parse_media, parse_token
from mss.formats.parts import CommonMime

REMEMBERED = 256
"""Of each: a few dozen are what the whole world sends; whoever makes up more only costs himself the reading."""

_TYPE = re.compile(
    rb" ?(?!multipart/)[a-z]{1,20}/[a-z0-9.+-]{1,80}"
    rb'(?:; ?(?:charset="?[a-z0-9_-]{1,30}"?|format="?flowed"?|delsp="?(?:yes|no)"?)){0,3}\Z',
    re.IGNORECASE,
)
_ENCODING = re.compile(rb" ?(?:7bit|8bit|binary|base64|quoted-printable)\Z", re.IGNORECASE)


def common_mime(said: dict[bytes, bytes]) -> CommonMime | None:
    """What a part says that has these fields (without `content-`, as sent) and no others; None when it is to be read.

    Never for a multipart, and only the root of a message needs a MIME-Version besides.
    """
    media, encoding = said.get(b"type"), said.get(b"transfer-encoding")
    if media is None or len(said) != (1 if encoding is None else 2) or _TYPE.match(media) is None:
        return None
    if encoding is not None and _ENCODING.match(encoding) is None:
        return None
    return _read(media, encoding)


@lru_cache(maxsize=REMEMBERED)
def _read(media: bytes, encoding: bytes | None) -> CommonMime:
    kind, subtype, parameters = parse_media(unfold(media))
    return CommonMime(kind, subtype, parameters, encoding=parse_token(unfold(encoding)) if encoding else None)
