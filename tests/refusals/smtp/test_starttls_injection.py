"""Danger: somebody between two servers puts commands in front of the encrypted session.

What was said in clear, or sent behind STARTTLS in the same breath, is forgotten; inside TLS only the peer is heard
(RFC 3207 §4.2, CVE-2011-0411 and its many successors).
"""

from __future__ import annotations

import pytest

from tests.kit.smtp_wire import DOCTOR, LAB_SENDER, PASSWORD, SmtpHouse
from tests.smtp.dialogue import plain

INJECTED = {
    "a command": b"NOOP\r\n",
    "an introduction": b"EHLO evil.example\r\n",
    "a transaction": f"EHLO evil\r\nMAIL FROM:<{LAB_SENDER}>\r\nRCPT TO:<{DOCTOR}>\r\nDATA\r\n".encode(),
    "half a command": b"MAIL FROM:<evil@labo.mss",
    "a bare line feed": b"NOOP\n",
    "a sign-in": b"EHLO evil\r\nAUTH PLAIN " + plain(DOCTOR, PASSWORD).encode() + b"\r\n",
}


@pytest.mark.parametrize("door", ["relay", "submission"])
@pytest.mark.parametrize("injected", INJECTED.values(), ids=INJECTED)
async def test_what_stands_behind_starttls_is_never_answered(house: SmtpHouse, door: str, injected: bytes) -> None:
    """The first reply inside TLS is to the first command inside TLS."""
    client = await house.visitor(door)
    await client.ask("EHLO smtp.labo.mssante.example")
    await client.say(b"STARTTLS\r\n" + injected)
    assert (await client.hear()).code == 220
    await client.encrypt(house.shows(house.pki.lab))
    assert (await client.ask("VRFY x")).code == 252
    assert (await client.ask(f"MAIL FROM:<{LAB_SENDER}>")).text.startswith("503 5.5.1 Send EHLO first")
    await client.close()


async def test_an_introduction_in_clear_does_not_count(house: SmtpHouse) -> None:
    """Nobody goes on from where somebody else began."""
    client = await house.visitor()
    await client.ask("HELO smtp.labo.mssante.example")
    await client.ask("STARTTLS")
    await client.encrypt(house.shows(house.pki.lab))
    assert (await client.ask(f"MAIL FROM:<{LAB_SENDER}>")).code == 503
    assert house.judge.asked == 0
    await client.close()


async def test_commands_in_clear_after_starttls_end_it(hasty_house: SmtpHouse) -> None:
    """Who goes on in clear is not spoken to."""
    client = await hasty_house.visitor()
    await client.ask("EHLO smtp.labo.mssante.example")
    await client.ask("STARTTLS")
    await client.say(b"EHLO smtp.labo.mssante.example\r\n")
    said = await client.reader.read(1000)
    assert b"250" not in said
    client.writer.close()
