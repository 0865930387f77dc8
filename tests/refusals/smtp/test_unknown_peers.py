"""Danger: somebody outside the trust space delivers, or somebody inside goes on after he was struck off.

No certificate, or one that the list does not name, is refused in words; one whose chain, dates or purpose are wrong
does not get through the handshake. The judge is asked before each message, so an open session is no way around.
"""

from __future__ import annotations

import ssl

import pytest

from mss.crypto.authority import Fault
from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict
from tests.kit.smtp_wire import LAB_SENDER, SmtpHouse


@pytest.mark.parametrize(
    "fault",
    [Fault.EXPIRED, Fault.NOT_YET_VALID, Fault.WRONG_USE, Fault.SELF_SIGNED, Fault.OTHER_AUTHORITY],
)
async def test_a_wrong_certificate_ends_in_an_alert(house: SmtpHouse, fault: Fault) -> None:
    """Not one word is exchanged inside."""
    client = await house.visitor()
    await client.ask("EHLO smtp.labo.mssante.example")
    await client.ask("STARTTLS")

    async def introduce() -> None:
        # TLS 1.3 lets a client finish before it learns that it was refused
        await client.encrypt(house.shows(house.pki.show(fault)))
        await client.ask("EHLO smtp.labo.mssante.example")

    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        await introduce()
    client.writer.transport.abort()
    assert house.judge.asked == 0


@pytest.mark.parametrize("fault", [Fault.REVOKED, Fault.WEAK_KEY])
async def test_a_certificate_that_is_not_the_listed_one_is_refused_in_words(house: SmtpHouse, fault: Fault) -> None:
    """The same name on another certificate is another certificate, here."""
    client = await house.visitor()
    await client.ask("EHLO smtp.labo.mssante.example")
    await client.ask("STARTTLS")
    await client.encrypt(house.shows(house.pki.show(fault)))
    await client.ask("EHLO smtp.labo.mssante.example")
    assert (await client.ask(f"MAIL FROM:<{LAB_SENDER}>")).text.startswith("550 5.7.1 ")
    await client.close()


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Refuse(Reason.CERTIFICATE_REVOKED), "550 5.7.1 Certificate revoked"),
        (Refuse(Reason.CERTIFICATE_NOT_LISTED), "550 5.7.1 "),
        (Later(Reason.TRUST_LIST_STALE), "454 4.7.0 "),
        (Later(Reason.REVOCATION_UNKNOWN), "454 4.7.0 "),
    ],
)
async def test_an_open_session_is_no_way_around(house: SmtpHouse, verdict: Verdict, words: str) -> None:
    """Refused on the next message; and welcome again when the list says so."""
    client = await house.peer()
    assert (await client.send()).code == 250
    house.judge.verdict = verdict
    assert (await client.ask(f"MAIL FROM:<{LAB_SENDER}>")).text.startswith(words)
    assert (await client.ask("RCPT TO:<marie.dubois@chu.mssante.example>")).code == 503
    assert (await client.ask("DATA")).code == 503
    assert len(house.reception.kept) == 1
    house.judge.verdict = Accept()
    assert (await client.send()).code == 250
    await client.close()


async def test_nobody_signs_in_with_a_certificate_of_a_peer_that_no_login_has(house: SmtpHouse) -> None:
    """The relay's identity opens no mailbox: EXTERNAL asks for a login, not for a chain."""
    client = await house.visitor("submission")
    await client.ask("EHLO smtp.chu.mssante.example")
    await client.ask("STARTTLS")
    await client.encrypt(house.shows(house.pki.hospital))
    await client.ask("EHLO smtp.chu.mssante.example")
    assert (await client.ask("AUTH EXTERNAL =")).code == 535
    assert (await client.ask(f"MAIL FROM:<{LAB_SENDER}>")).code == 530
    await client.close()
