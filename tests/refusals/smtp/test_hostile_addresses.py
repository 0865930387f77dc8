"""Danger: policy sees one address, delivery another.

Two parsers that disagree about `victim@evil"@ours` are a way around every rule. There is one grammar, and what it
refuses never reaches the house; what the house judged is, octet for octet, what it is given to deliver to.
"""

from __future__ import annotations

import pytest

from mss.mail.reception import Peer
from mss.model.ids import MailAddress
from mss.model.verdict import Verdict
from tests.kit.reception import FakeReception
from tests.kit.smtp_wire import LAB_SENDER, MESSAGE, SmtpHouse

HOSTILE = [
    b"<a\0b@chu.mssante.example>",
    b"<a\rb@chu.mssante.example>",
    b"<a\nb@chu.mssante.example>",
    b'<"a\rb"@chu.mssante.example>',
    b'<"victim@evil.example"@chu.mssante.example>',
    b'<"marie.dubois"@chu.mssante.example>',
    b"<victim%evil.example@chu.mssante.example>",
    b"<evil.example!victim@chu.mssante.example>",
    b"<@evil.example:victim@chu.mssante.example>",
    b"<victim@evil.example@chu.mssante.example>",
    b"<marie(x)dubois@chu.mssante.example>",
    b"<marie.dubois@chu.mssante.example,bob@chu.mssante.example>",
    b"<marie.dubois@chu.mssante.example> <bob@chu.mssante.example>",
    b"<marie..dubois@chu.mssante.example>",
    b"<.marie@chu.mssante.example>",
    b"<marie.@chu.mssante.example>",
    b"<marie@chu..mssante.example>",
    b"<marie@-chu.mssante.example>",
    b"<marie@chu.mssante.example.>",
    b"<marie@[127.0.0.1]>",
    b"<" + b"a" * 65 + b"@chu.mssante.example>",
    b"<a@" + b"b" * 64 + b".example>",
    b"<m\xc3\xa9decin@chu.mssante.example>",
    b"<marie@ch\xc3\xbb.mssante.example>",
    b"marie.dubois@chu.mssante.example",
    b"<marie.dubois@chu.mssante.example",
    b"Marie <marie.dubois@chu.mssante.example>",
    b"< marie.dubois@chu.mssante.example>",
    b"<marie.dubois@chu.mssante.example >",
    b"<marie.dubois>",
    b"<@chu.mssante.example>",
]


class Witness(FakeReception):
    """Remembers which addresses it was asked about."""

    asked: list[MailAddress]

    async def recipient(self, peer: Peer, sender: MailAddress | None, recipient: MailAddress) -> Verdict:
        self.asked.append(recipient)
        return await super().recipient(peer, sender, recipient)


@pytest.fixture
def witness(house: SmtpHouse) -> Witness:
    seen = Witness()
    seen.asked = []
    house.relay.handler._reception = seen  # type: ignore[attr-defined]
    return seen


@pytest.mark.parametrize("address", HOSTILE, ids=lambda address: repr(address)[2:40])
async def test_a_hostile_recipient_is_refused_and_nobody_is_asked(
    house: SmtpHouse, witness: Witness, address: bytes
) -> None:
    """5xx, and the next honest recipient passes."""
    client = await house.peer()
    await client.ask(f"MAIL FROM:<{LAB_SENDER}>")
    await client.say(b"RCPT TO:" + address + b"\r\n")
    heard = await client.hear()
    assert heard.text.startswith(("501 5.1.3 ", "501 5.5.4 ", "500 5.5.2 "))
    if b"\n" in address:
        await client.hear()  # the piece behind the line feed is refused as well
    assert witness.asked == []
    assert (await client.ask("RCPT TO:<marie.dubois@chu.mssante.example>")).code == 250
    await client.close()


@pytest.mark.parametrize("address", HOSTILE, ids=lambda address: repr(address)[2:40])
async def test_a_hostile_sender_is_refused(house: SmtpHouse, address: bytes) -> None:
    """The same grammar on both sides."""
    client = await house.peer()
    await client.say(b"MAIL FROM:" + address.replace(b"chu.", b"labo.") + b"\r\n")
    assert (await client.hear()).text.startswith(("501 5.1.7 ", "501 5.5.4 ", "500 5.5.2 "))
    await client.close()


@pytest.mark.parametrize(
    "address",
    [
        "marie.dubois@chu.mssante.example",
        "Marie.DUBOIS@CHU.mssante.example",
        "a+b#c'd=e?f^g{h}i|j~k@chu.mssante.example",
    ],
)
async def test_what_was_judged_is_what_is_delivered_to(house: SmtpHouse, witness: Witness, address: str) -> None:
    """The same value, not two readings of one text."""
    client = await house.peer()
    assert (await client.send(MESSAGE, recipient=address)).code == 250
    (kept,) = witness.kept
    assert kept.envelope.recipients == tuple(witness.asked)
    assert [str(recipient) for recipient in kept.envelope.recipients] == [str(MailAddress.parse(address))]
    await client.close()
