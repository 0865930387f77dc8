"""Which text do these octets stand for?

Declared charsets are often missing or wrong, so a decoder here answers always and raises never: the declared
charset, then strict UTF-8, then Windows-1252. Only charsets of a closed list are looked up: Python imports a
module for each name it is asked about, and some of its codecs are not charsets (`idna` is quadratic).
"""

from __future__ import annotations

import codecs
from encodings.aliases import aliases

_CODECS = frozenset(
    ["utf_8", "utf_16", "utf_16_be", "utf_16_le", "utf_32", "koi8_r", "koi8_u", "mac_roman", "tis_620"]
    + [f"iso8859_{part}" for part in (2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)]
    + [f"cp{page}" for page in (437, 850, 852, 858, 866, 874, *range(1250, 1259))]
    + ["big5", "big5hkscs", "cp932", "cp949", "euc_jp", "euc_kr", "gb18030", "iso2022_jp", "iso2022_kr"]
)

# Names that senders use for a subset of what they write (encoding.spec.whatwg.org §4.2); the empty codec means
# "look at the octets".
_WIDER = {
    "ascii": "",
    "utf_8": "",
    "latin_1": "cp1252",
    "iso8859_1": "cp1252",
    "iso8859_9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "ks_c_5601_1987": "cp949",
    "ks_c_5601": "cp949",
    "euc_kr": "cp949",
    "x_mac_roman": "mac_roman",
}


def _table() -> dict[str, str]:
    named = {name: codec for name, codec in aliases.items() if codec in _CODECS or codec in _WIDER}
    named |= {name: name for name in _CODECS}
    named |= {name: name for name in _WIDER}
    return {name: _WIDER.get(codec, codec) for name, codec in named.items()}


_CODEC_OF = _table()


def decode(octets: bytes, charset: str = "", *, cut: bool = False) -> str:
    """Text of `octets`. `cut` says that they are the beginning of something longer: a character may be halved."""
    if not charset and octets.isascii():  # nearly every field
        return octets.decode("ascii")
    codec = _CODEC_OF.get(charset.lower().replace("-", "_").replace(" ", "_"), "")
    if codec:
        try:
            return octets.decode(codec, "replace" if cut else "strict")
        except UnicodeError:
            pass
    try:
        return codecs.utf_8_decode(octets, "strict", not cut)[0]
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")
