"""A message with binary parts becomes one in lines, and says the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.formats.binarymail import without_binary
from mss.formats.mime import decode_body, scan
from mss.model.errors import Malformed

HEAD = b"Subject: s\r\nMIME-Version: 1.0\r\n"
BINARY = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"


@given(st.binary(max_size=300))
def test_a_binary_message_keeps_its_octets(octets: bytes) -> None:
    """NUL, bare line ends, anything: encoded, and the same once decoded."""
    raw = without_binary(HEAD + BINARY + octets)
    (leaf,) = scan(raw).leaves()
    assert leaf.encoding == "base64"
    assert decode_body(raw, leaf, 1000) == octets


def test_only_binary_parts_are_touched() -> None:
    """Signed texts beside a binary part survive octet for octet."""
    text = b"Content-Type: text/plain\r\n\r\nbonjour  \r\n=3D"
    raw = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + text
    raw += b"\r\n--b\r\n" + BINARY + b"a\0\nb\r\n--b--\r\n"
    told = without_binary(raw)
    one, other = scan(told).leaves()
    assert told[one.header_start : one.body_end] == text
    assert decode_body(told, other, 1000) == b"a\0\nb"
    assert told.endswith(b"\r\n--b--\r\n")


def test_a_message_without_binary_parts_is_itself() -> None:
    """And what is wrong with it stays wrong: a NUL outside a binary part is refused by the scan."""
    assert without_binary(HEAD + b"\r\nbonjour") == HEAD + b"\r\nbonjour"
    with pytest.raises(Malformed):
        scan(without_binary(HEAD + b"\r\nbon\0jour"))
