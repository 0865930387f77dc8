"""What other operators may count on at our relay: their mail is taken as it is, many at a time, large ones too."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import resource
import socket

import pytest
import structlog

from mss.mail.reception import Peer, Receipt
from mss.model.ids import MailAddress
from mss.model.message import Envelope
from mss.model.verdict import Accept
from mss.smtp import journal
from tests.kit.pki import LAB_DOMAIN
from tests.kit.smtp_wire import DOCTOR, LAB_SENDER, MESSAGE, SmtpClient, SmtpHouse

SECRET = b"Dominique PAT-TROIS 279035121518989"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Everything that the door writes into the journal."""
    page = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.WriteLogger(page),
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    )
    monkeypatch.setattr(journal, "log", logger)
    return page


async def test_a_message_arrives_octet_for_octet(house: SmtpHouse) -> None:
    """Dots, long lines and 8-bit text included, with who brought it and from where."""
    raw = MESSAGE + b".\r\n..\r\n.x\r\n" + "Santé\r\n".encode() + b"y" * 60_000 + b"\r\n\r\n"
    client = await house.peer()
    await client.go_to_data()
    stuffed = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in raw.split(b"\r\n"))
    await client.say(stuffed + b".\r\n")
    assert (await client.hear()).text == "250 2.0.0 Ok: 1"
    (kept,) = house.reception.kept
    assert kept.raw == raw
    assert kept.peer.domains == {LAB_DOMAIN}
    assert kept.peer.helo == kept.envelope.helo == "smtp.labo.mssante.example"
    assert kept.peer.remote_address == kept.envelope.remote_address == "127.0.0.1"
    assert kept.envelope.sender == MailAddress.parse(LAB_SENDER)
    assert kept.envelope.recipients == (MailAddress.parse(DOCTOR),)
    assert kept.envelope.peer_name == str(house.pki.lab.subject)
    assert kept.envelope.received_at.year == 2026, "from the clock that was injected"
    await client.close()


async def test_a_recipient_named_twice_gets_one_copy(house: SmtpHouse) -> None:
    """Each time 250, once in the envelope."""
    client = await house.peer()
    await client.ask(f"MAIL FROM:<{LAB_SENDER}>")
    for recipient in (DOCTOR, DOCTOR.upper(), DOCTOR):
        assert (await client.ask(f"RCPT TO:<{recipient}>")).code == 250
    await client.ask("DATA")
    await client.say(MESSAGE + b".\r\n")
    assert (await client.hear()).code == 250
    assert house.reception.kept[0].envelope.recipients == (MailAddress.parse(DOCTOR),)
    await client.close()


async def test_twenty_peers_send_at_once(house: SmtpHouse) -> None:
    """Each over one connection; every message is kept once, under a number of its own."""
    numbers: list[str] = []

    async def deliver(which: int) -> None:
        client = await house.peer()
        for number in range(10):
            message = MESSAGE.replace(b"<1@", b"<%d.%d@" % (which, number))
            numbers.append((await client.send(message)).text)
        await client.ask("QUIT")
        await client.close()

    await asyncio.gather(*(deliver(which) for which in range(20)))
    assert len(set(numbers)) == 200
    assert all(text.startswith("250 2.0.0 Ok: ") for text in numbers)
    assert len({kept.raw for kept in house.reception.kept}) == 200
    assert house.judge.asked == 200


async def test_a_message_of_25_mb_passes_in_bounded_memory(house: SmtpHouse) -> None:
    """As large as MSSanté asks, encoded; while it arrives a small one is not kept waiting."""
    large = MESSAGE + (b"x" * 76 + b"\r\n") * ((25 * 1024 * 1024 * 4 // 3) // 78)
    small = await house.peer()
    client = await house.peer()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await client.go_to_data()
    sending = asyncio.create_task(client.say(large + b".\r\n"))
    slowest = 0.0
    while not sending.done():
        begun = asyncio.get_running_loop().time()
        assert (await small.send()).code == 250
        slowest = max(slowest, asyncio.get_running_loop().time() - begun)
    assert (await client.hear()).code == 250
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    assert max(len(kept.raw) for kept in house.reception.kept) == len(large)
    assert house.relay.memory.used == 0
    # The client's copies (message, TLS backlog) live in this process too.
    assert grown_mb < 6 * len(large) // 2**20
    assert slowest < 2.0
    await client.close()
    await small.close()


async def test_ehlo_is_one_write(house: SmtpHouse) -> None:
    """Tools that take one packet for one reply keep step with us."""
    client = await house.visitor()
    await client.say(b"EHLO smtp.labo.mssante.example\r\n")
    said = await client.reader.read(4096)
    assert said.endswith(b"250 STARTTLS\r\n")
    await client.close()


async def test_small_replies_are_not_held_back(house: SmtpHouse) -> None:
    """TCP_NODELAY, or each reply waits for somebody's delayed acknowledgement."""
    client = await house.visitor()
    (wire,) = house.relay._open
    assert wire.transport is not None
    assert wire.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await client.close()


async def test_closing_lets_a_message_under_way_finish(house: SmtpHouse) -> None:
    """Who waits idle reads 421; who is sending reads 250 first, and the message is kept."""
    idle, sending = await house.peer(), await house.peer()
    await sending.go_to_data()
    stopping = asyncio.create_task(house.relay.stop(grace_s=5))
    assert (await idle.hears_to_the_end()).startswith("421 4.3.2 ")
    await sending.say(MESSAGE + b".\r\n")
    assert (await sending.hear()).code == 250
    assert (await sending.hears_to_the_end()).startswith("421 4.3.2 ")
    await asyncio.wait_for(stopping, 5)
    assert len(house.reception.kept) == 1
    with pytest.raises(OSError):
        await SmtpClient.connect(house.ports["relay"])


async def test_closing_waits_for_nobody_for_ever(house: SmtpHouse) -> None:
    """A client that never ends its message is cut when the grace is over."""
    client = await house.peer()
    await client.go_to_data()
    await asyncio.wait_for(house.relay.stop(grace_s=0.2), 3)
    assert await client.is_closed()


async def test_a_client_that_leaves_while_its_mail_is_kept_harms_nobody(house: SmtpHouse) -> None:
    """The message is kept or not, as the store decides; the door is as before."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(envelope: Envelope) -> None:
        begun.set()
        await go_on.wait()

    house.reception.before_keeping = slowly
    client = await house.peer()
    await client.go_to_data()
    await client.say(MESSAGE + b".\r\n")
    await begun.wait()
    client.writer.transport.abort()
    await asyncio.sleep(0.1)
    go_on.set()
    async with asyncio.timeout(5):
        while house.relay.open_connections:
            await asyncio.sleep(0.01)
    assert len(house.reception.kept) == 1
    other = await house.peer()
    assert (await other.send()).code == 250
    await other.close()


async def test_half_closing_after_quit_is_answered(house: SmtpHouse) -> None:
    """`printf … | nc` reads its replies."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["relay"])
    writer.write(b"EHLO x\r\nNOOP\r\nQUIT\r\n")
    writer.write_eof()
    said = await asyncio.wait_for(reader.read(), 5)
    assert said.count(b"\r\n250 2.0.0") == 1
    assert said.endswith(b"221 2.0.0 Bye\r\n")
    writer.close()


async def test_who_half_closes_without_a_word_is_let_go(house: SmtpHouse) -> None:
    """Nobody waits a minute for somebody who said that nothing more will come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["relay"])
    writer.write(b"EHLO x\r\nNOO")
    writer.write_eof()
    said = await asyncio.wait_for(reader.read(), 5)
    assert said.count(b"\r\n250 STARTTLS\r\n") == 1
    writer.close()


async def test_the_journal_names_no_patient(house: SmtpHouse, written: io.StringIO) -> None:
    """Numbers, reasons and serials; no address, no subject, no word of a message, not even of one that breaks us."""

    async def stumble(envelope: Envelope) -> None:
        raise ValueError(f"cannot keep {SECRET!r} for {envelope.recipients}")

    client = await house.peer()
    patient = "279035121518989@chu.mssante.example"
    message = MESSAGE.replace(b"Compte rendu", SECRET)
    assert (await client.send(message, recipient=patient)).code == 250
    await client.ask(f"MAIL FROM:<{LAB_SENDER}>")
    await client.ask("RCPT TO:<mailbox-closed@chu.mssante.example>")
    await client.ask("RSET")
    house.reception.before_keeping = stumble
    assert str(await client.send(message, recipient=patient)) == "451 4.3.0 Not now, try again later"
    await client.ask("QUIT")
    told = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [entry["event"] for entry in told] == ["smtp.accepted", "smtp.refused", "smtp.fault"]
    assert told[0]["serial"] == f"{house.pki.lab.certificate.serial_number:X}"
    assert (told[1]["stage"], told[1]["reason"]) == ("RCPT", "mailbox-closed")
    assert told[2]["error"] == "ValueError"
    for secret in (b"279035121518989", b"Dominique", b"dubois", b"bio@", b"Traceback"):
        assert secret.decode() not in written.getvalue()
    await client.close()


async def test_a_line_that_is_too_long_for_others_is_taken_and_written_down(
    house: SmtpHouse, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its number and the peer's serial, so that somebody can be told."""

    async def lenient(peer: Peer, envelope: Envelope, raw: bytes) -> Receipt:
        return Receipt(Accept(), 7, long_line=12)

    monkeypatch.setattr(house.reception, "message", lenient)
    client = await house.peer()
    assert str(await client.send()) == "250 2.0.0 Ok: 7"
    told = json.loads(written.getvalue().splitlines()[-1])
    assert (told["event"], told["message"], told["line"]) == ("smtp.long-line", 7, 12)
    await client.close()


async def test_what_a_peer_is_does_not_outlive_its_session(house: SmtpHouse) -> None:
    """Who comes without a certificate after somebody who had one is nobody."""
    known = await house.peer()
    assert (await known.send()).code == 250
    await known.ask("QUIT")
    stranger = await house.visitor()
    await stranger.ask("EHLO x")
    await stranger.ask("STARTTLS")
    await stranger.encrypt(house.shows(None))
    await stranger.ask("EHLO x")
    assert (await stranger.ask(f"MAIL FROM:<{LAB_SENDER}>")).text.startswith("530 5.7.0 ")
    for client in (known, stranger):
        await client.close()
