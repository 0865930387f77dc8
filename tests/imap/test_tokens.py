"""A bearer token opens its own mailbox and no other; one that does not count says so and no more."""

from __future__ import annotations

import asyncio
import base64

import pytest

from mss.imap.grammar import bearer_credentials
from mss.model.errors import BadValue
from tests.kit.imap_house import COLLEAGUE, DOCTOR, ImapHouse, token_of


def bearer(user: str, token: str) -> bytes:
    return f"n,a={user},\x01host=imap\x01port=993\x01auth=Bearer {token}\x01\x01".encode()


def xoauth2(user: str, token: str) -> bytes:
    return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()


async def _sign_in(house: ImapHouse, mechanism: str, response: bytes, *, at_once: bool) -> bytes:
    """The tagged answer."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", house.tls_port, ssl=house.client_tls(), server_hostname="localhost"
    )
    greeting = await reader.readline()
    assert b" AUTH=OAUTHBEARER AUTH=XOAUTH2]" in greeting
    coded = base64.b64encode(response)
    if at_once:
        writer.write(b"a AUTHENTICATE %b %b\r\n" % (mechanism.encode(), coded))
    else:
        writer.write(b"a AUTHENTICATE %b\r\n" % mechanism.encode())
        assert await reader.readline() == b"+ \r\n"
        writer.write(coded + b"\r\n")
    line = await asyncio.wait_for(reader.readline(), 10)
    if line.startswith(b"+ "):
        assert base64.b64decode(line[2:]) == b'{"status":"invalid_token"}'
        writer.write(b"AQ==\r\n")
        line = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    return line


@pytest.mark.parametrize("keeper", ["memory", "sqlite"], indirect=True)
async def test_a_token_opens_its_own_mailbox_and_no_other(house: ImapHouse) -> None:
    """OAUTHBEARER (RFC 7628) and XOAUTH2, with the response at once or asked for."""
    mine = token_of(DOCTOR)
    assert (await _sign_in(house, "OAUTHBEARER", bearer(DOCTOR, mine), at_once=True)).startswith(b"a OK")
    assert (await _sign_in(house, "OAUTHBEARER", bearer("", mine), at_once=False)).startswith(b"a OK")
    assert (await _sign_in(house, "XOAUTH2", xoauth2(DOCTOR, mine), at_once=False)).startswith(b"a OK")
    refused = b"a NO [AUTHENTICATIONFAILED]"
    for mechanism, response in [
        ("OAUTHBEARER", bearer(COLLEAGUE, mine)),
        ("XOAUTH2", xoauth2(COLLEAGUE, mine)),
        ("OAUTHBEARER", bearer(DOCTOR, "another")),
        ("XOAUTH2", b"user="),
    ]:
        assert (await _sign_in(house, mechanism, response, at_once=True)).startswith(refused)


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"n,,\x01auth=Bearer \x01\x01",
        b"n,,\x01auth=Basic abc\x01\x01",
        b"n,,\x01auth=Bearer abc\x01",
        b"y,,\x01auth=Bearer abc\x01\x01",
        b"user=\xff\x01auth=Bearer abc\x01\x01",
        b"n,,\x01auth=Bearer a b\x01\x01",
        b"n,,\x01\x01",
    ],
)
def test_what_is_no_bearer_response_is_refused(response: bytes) -> None:
    """Broken responses never reach whoever judges tokens."""
    with pytest.raises(BadValue):
        bearer_credentials(response)


def test_a_name_with_a_comma_is_read() -> None:
    """GS2 writes it as =2C (RFC 5801 §4)."""
    assert bearer_credentials(b"n,a=x=2Cy,\x01auth=bearer t\x01\x01") == ("x,y", b"t")
