"""Does mail leave surely, only for who may have it, and with an honest account of what became of it?"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mss.crypto.authority import Fault
from mss.mail.queue import ATTEMPTS_BEFORE_EXPIRY, LEASE_S, LIFETIME, OutgoingEnvelope
from mss.model.clock import ManualClock, SeededChance
from mss.model.ids import MailAddress, lane_of
from mss.model.verdict import Reason
from mss.smtp.destination import Pace
from mss.smtp.routes import Host, Signposts
from tests.kit.outgoing import QUICK, SENDER, Outbox, outbox
from tests.kit.people import Cellar, cellar
from tests.kit.pki import LAB_DOMAIN, Pki
from tests.kit.smtp_wire import MESSAGE, smtp_house
from tests.kit.strange_peer import DIE, SILENCE, StrangePeer, answers_as, strange_peer

BIO = f"bio@{LAB_DOMAIN}"
SECRETARY = f"secretariat@{LAB_DOMAIN}"
THIRD = f"resultats@{LAB_DOMAIN}"
OTHER = "accueil@clinique.mssante.example"


@pytest.fixture
async def stocked(tmp_path: Path, clock: ManualClock, chance: SeededChance) -> AsyncIterator[Cellar]:
    """A cellar on SQLite; the queue's own tests run on both engines."""
    async with cellar(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance) as opened:
        yield opened


@pytest.fixture
async def out(stocked: Cellar, pki: Pki) -> AsyncIterator[Outbox]:
    """A queue with a courier."""
    async with outbox(stocked, pki) as opened:
        yield opened


@pytest.fixture
async def peer(pki: Pki, out: Outbox) -> AsyncIterator[StrangePeer]:
    """The laboratory's server, listed and reachable; honest until told otherwise."""
    async with strange_peer(answers_as(pki, pki.lab)) as opened:
        out.trust_host(LAB_DOMAIN, opened.port, pki.lab)
        yield opened


async def test_mail_arrives_octet_for_octet(pki: Pki, out: Outbox) -> None:
    """At a door like our own, over mutual TLS, dots and 8-bit text included; then the row is gone."""
    raw = MESSAGE + b".\r\n..x\r\n" + "Santé\r\n".encode() + b"y" * 998 + b"\r\n"
    async with smtp_house(pki) as house:
        out.trust_host("labo.mssante.example", house.ports["relay"], pki.hospital)
        await out.put(raw, BIO)
        await out.until(lambda: bool(house.reception.kept))
        await out.until_empty()
        (kept,) = house.reception.kept
        assert kept.raw == raw
        assert (kept.envelope.sender, [str(one) for one in kept.envelope.recipients]) == (SENDER, [BIO])
        assert kept.peer.name == str(pki.hospital.subject)
    assert out.notes.relayed_to == [(BIO, "127.0.0.1")]


async def test_a_report_leaves_with_the_null_sender(out: Outbox, peer: StrangePeer) -> None:
    """`<>`, with its size, and 8BITMIME only when it is needed."""
    await out.put(MESSAGE, BIO, sender=None)
    await out.until_empty()
    assert f"MAIL FROM:<> SIZE={len(MESSAGE)}" in peer.heard
    await out.put("Santé\r\n".encode(), BIO)
    await out.until_empty()
    assert peer.heard[-3] == f"MAIL FROM:<{SENDER}> SIZE=8 BODY=8BITMIME"


async def test_many_mails_share_a_few_connections(out: Outbox, peer: StrangePeer) -> None:
    """A handshake costs more than a message."""
    for number in range(40):
        await out.put(MESSAGE + b"%d\r\n" % number, BIO)
    await out.until_empty()
    assert len(set(peer.messages)) == len(peer.messages) == 40
    assert 1 <= peer.connections <= 4
    assert len(out.notes.relayed_to) == 40


async def test_a_kept_connection_that_died_is_replaced(out: Outbox, peer: StrangePeer) -> None:
    """The other side may hang up on an idle line whenever it likes; nobody notices."""
    await out.put(MESSAGE, BIO)
    await out.until_empty()
    peer.replies["MAIL"] = [DIE]
    await out.put(MESSAGE, BIO)
    await out.until_empty()
    assert len(peer.messages) == 2
    assert peer.connections == 2
    assert out.notes.put_off_for == []


async def test_later_is_tried_again(out: Outbox, peer: StrangePeer) -> None:
    """4xx puts off, the pause grows, and then it is delivered; the other server's words stay out of the queue."""
    peer.replies["RCPT"] = [f"450 4.2.1 {BIO} is on holiday", "450 4.2.1 still"]
    await out.put(MESSAGE, BIO)
    (row,) = await out.until_put_off()
    assert row.attempts == 1
    assert row.last_reason == "peer-refused 450 4.2.1"
    assert row.next_try_ms - row.created_ms == 15_000
    out.later(16)
    await out.until_put_off(2)
    out.later(16)
    await asyncio.sleep(0.2)
    assert peer.messages == [], "the second pause is longer"
    out.later(16)
    await out.until_empty()
    assert len(peer.messages) == 1
    assert out.notes.failures == []


@pytest.mark.parametrize(
    ("verb", "reply", "status", "reason"),
    [
        ("RCPT", "550 5.1.1 No such mailbox", "5.1.1", Reason.MAILBOX_UNKNOWN),
        ("RCPT", "550 No such mailbox", "5.0.0", Reason.PEER_REFUSED),
        ("MAIL", "550 5.7.1 You are not listed", "5.7.1", Reason.PEER_REFUSED),
        ("DATA", "554 5.5.1 No", "5.5.1", Reason.PEER_REFUSED),
        (".", "552-5.3.4 Message\r\n552 5.3.4 too large", "5.3.4", Reason.TOO_LARGE),
    ],
)
async def test_a_no_is_told_to_the_sender(
    out: Outbox, peer: StrangePeer, verb: str, reply: str, status: str, reason: Reason
) -> None:
    """5xx ends it at once; the notice gets code, words and host."""
    peer.replies[verb] = [reply]
    await out.put(MESSAGE, BIO)
    await out.until_empty()
    (failure,) = out.notes.failures
    assert (failure.final_recipient, failure.status, failure.reason) == (BIO, status, reason)
    assert failure.diagnostic.startswith(reply[:3])
    assert "\n" not in failure.diagnostic
    assert failure.remote_mta == "127.0.0.1"
    assert out.notes.relayed_to == []


async def test_each_recipient_has_a_fate_of_its_own(out: Outbox, peer: StrangePeer) -> None:
    """One taken, one refused, one put off: in one transaction, and only the third is tried again."""
    peer.replies["RCPT"] = ["450 4.2.1 not now"] * 3 + ["250 ok", "550 5.1.1 unknown", "452 4.5.3 too many"]
    await out.put(MESSAGE, BIO, SECRETARY, THIRD)
    (before,) = await out.until_put_off()
    out.later(3600)
    (row,) = await out.until_rows(lambda rows: rows[0].id != before.id)
    assert out.notes.relayed_to == [(BIO, "127.0.0.1")]
    assert [failure.final_recipient for failure in out.notes.failures] == [SECRETARY]
    assert (row.created_ms, row.expires_ms) == (before.created_ms, before.expires_ms), "it lives no longer for that"
    out.later(60)
    await out.until_empty()
    assert out.notes.relayed_to == [(BIO, "127.0.0.1"), (THIRD, "127.0.0.1")]
    assert peer.heard.count(f"RCPT TO:<{BIO}>") == 2, "once in vain"


@pytest.mark.parametrize("verb", ["GREETING", "STARTTLS", "MAIL", "RCPT", "DATA", "."])
async def test_a_peer_that_dies_is_tried_again(out: Outbox, peer: StrangePeer, verb: str) -> None:
    """Wherever it dies, after the dot too: then it may get the mail twice, and knows what to do."""
    peer.replies[verb] = [DIE]
    await out.put(MESSAGE, BIO)
    (row,) = await out.until_put_off()
    assert row.last_reason.startswith("peer-unreachable")
    out.later(20)
    await out.until_empty()
    assert len(peer.messages) == (2 if verb == "." else 1)
    assert out.notes.relayed_to == [(BIO, "127.0.0.1")]


async def test_without_tls_nothing_is_sent(out: Outbox, pki: Pki) -> None:
    """Not even the sender's name."""
    async with strange_peer(None) as peer:
        out.trust_host(LAB_DOMAIN, peer.port, pki.lab)
        await out.put(MESSAGE, BIO)
        await out.until_put_off()
        assert out.notes.put_off_for == ["peer-certificate-wrong no-starttls"]
        assert [line.split(" ")[0] for line in peer.heard] == ["EHLO"]


@pytest.mark.parametrize("who", [None, Fault.SELF_SIGNED, Fault.EXPIRED, Fault.OTHER_AUTHORITY])
async def test_a_wrong_certificate_gets_nothing(out: Outbox, pki: Pki, who: Fault | None) -> None:
    """Who answers under a name that is not the listed one gets no mail, and the mail waits for the right one."""
    shown = pki.show(who) if who is not None else pki.hospital
    async with strange_peer(answers_as(pki, shown)) as peer:
        out.trust_host(LAB_DOMAIN, peer.port, pki.lab)
        await out.put(MESSAGE, BIO)
        await out.until_put_off()
        assert out.notes.put_off_for[0].startswith("peer-certificate-wrong")
        assert not [line for line in peer.heard if line.startswith(("MAIL", "RCPT", "DATA"))]
        assert out.notes.failures == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("fault", "alert"),
    [
        (Fault.EXPIRED, "certificate-expired"),
        (Fault.SELF_SIGNED, "unknown-ca"),
        (Fault.WRONG_USE, "unsupported-certificate"),
        (Fault.NOT_YET_VALID, "bad-certificate"),
    ],
)
async def test_a_peer_that_refuses_our_certificate_is_recognised(
    stocked: Cellar, pki: Pki, fault: Fault, alert: str, version: ssl.TLSVersion
) -> None:
    """With TLS 1.3 it says so after our handshake is over; the queue and the log then blame the right side."""
    async with outbox(stocked, pki, shows=pki.show(fault), version=version) as out, smtp_house(pki) as house:
        out.trust_host(LAB_DOMAIN, house.ports["relay"], pki.hospital)
        with capture_logs() as log:
            await out.put(MESSAGE, BIO)
            await out.until_put_off()
        assert out.notes.put_off_for == [f"our-certificate-refused {alert}"]
        heard = [one for one in log if one["event"] == "courier.our-certificate-refused"]
        assert [(one["host"], one["why"], one["log_level"]) for one in heard] == [("127.0.0.1", alert, "error")]


async def test_mail_kept_by_our_own_certificate_leaves_once_it_is_renewed(stocked: Cellar, pki: Pki) -> None:
    """The first that is tried with the new one brings the others forward: none waits for its own hour."""
    async with outbox(stocked, pki, shows=pki.show(Fault.EXPIRED)) as out, smtp_house(pki) as house:
        out.trust_host(LAB_DOMAIN, house.ports["relay"], pki.hospital)
        for number in range(3):
            await out.put(MESSAGE + b"%d\r\n" % number, BIO, attempts=9)
        await out.until_rows(lambda rows: all("our-certificate-refused" in row.last_reason for row in rows))
        out.wear(pki, pki.hospital)
        out.later(61)
        await out.put(MESSAGE, BIO)
        await out.until_empty()
        assert len(house.reception.kept) == 4


async def test_a_peer_that_hangs_up_behind_the_handshake_is_told_apart(out: Outbox, peer: StrangePeer) -> None:
    """No alert came: it may be our certificate, and nobody is sure; whoever looks is told where to look."""
    peer.replies["EHLO"] = [peer.introduction(is_encrypted=False), DIE]
    await out.put(MESSAGE, BIO)
    await out.until_put_off()
    assert out.notes.put_off_for == ["peer-unreachable hung-up-after-handshake"]


async def test_nothing_leaves_the_trust_space(out: Outbox, peer: StrangePeer) -> None:
    """Two hundred domains that are not listed, all with a route to a server that would gladly take the mail."""
    dice = random.Random(7)
    domains = [
        f"{dice.randbytes(4).hex()}.{dice.choice(['example', LAB_DOMAIN, 'mssante.example'])}" for _ in range(200)
    ]
    out.routes["*"] = ("127.0.0.1", peer.port)
    for domain in domains:
        await out.put(MESSAGE, f"bob@{domain}")
    async with asyncio.timeout(60):
        while await out.rows():
            await asyncio.sleep(0.05)
    assert peer.connections == 0
    assert sorted(failure.final_recipient for failure in out.notes.failures) == sorted(f"bob@{d}" for d in domains)
    assert {failure.reason for failure in out.notes.failures} == {Reason.RECIPIENT_OUTSIDE_TRUST_SPACE}


async def test_a_stranger_among_the_recipients_is_not_carried_along(out: Outbox, peer: StrangePeer) -> None:
    """Whatever the row says its next hop is: each recipient's own domain counts."""
    await out.put(MESSAGE, BIO, "bob@elsewhere.example", hop=LAB_DOMAIN)
    await out.until_empty()
    assert peer.connections == 0
    assert len(out.notes.failures) == 2


def test_there_is_one_door_to_other_operators() -> None:
    """Who opens a connection judges what answers: nobody else in the house knows how. (`sending.py` hands mail of a
    hospital to its own submission server; `mss trust probe` says hello and hands over nothing.)"""
    wanted = {"aiosmtplib.SMTP(": ["sending.py"], "Client(hostname": ["link.py"]}
    wanted |= {"Link.open(": ["probe.py", "courier.py"], "link.send(": ["courier.py"]}
    files = sorted(Path("mss").rglob("*.py"))
    for words, where in wanted.items():
        assert [file.name for file in files if words in file.read_text()] == where
    called = [str(file) for file in files if "import NotTaken, SubmissionServer, submit" in file.read_text()]
    assert all(name.startswith(("mss/cli/", "mss/demo/")) for name in called)


async def test_an_old_list_makes_mail_wait(out: Outbox, peer: StrangePeer) -> None:
    """Not an open door, and not a bounce."""
    out.trust.is_stale = True
    await out.put(MESSAGE, BIO)
    await out.until_put_off()
    assert out.notes.put_off_for == ["trust-list-stale"]
    assert peer.connections == 0
    out.trust.is_stale = False
    out.later(20)
    await out.until_empty()
    assert len(peer.messages) == 1


async def test_a_domain_struck_off_gets_nothing_over_an_open_connection(out: Outbox, peer: StrangePeer) -> None:
    """Judged before each message, not once for a connection."""
    await out.put(MESSAGE, BIO)
    await out.until_empty()
    out.trust.listed[LAB_DOMAIN] = {b"another certificate"}
    await out.put(MESSAGE, BIO)
    await out.until_put_off()
    assert out.notes.put_off_for == ["peer-certificate-wrong"]
    assert len(peer.messages) == 1


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"Subject: a\n.\r\n\r\nx\r\n", Reason.BARE_CR_OR_LF),
        (b"Subject: a\r\n\r\n\r.\r\nx\r\n", Reason.BARE_CR_OR_LF),
        (b"Subject: a\r\n\r\n\0\r\n", Reason.NUL_BYTE),
        (b"Subject: a\r\n\r\n" + b"x" * 999 + b"\r\n", Reason.LINE_TOO_LONG),
    ],
)
async def test_what_our_own_door_would_refuse_is_not_sent(
    out: Outbox, peer: StrangePeer, raw: bytes, reason: Reason
) -> None:
    """We are never the sending half of a smuggling attack; the sender hears of it."""
    await out.put(raw, BIO)
    await out.until_empty()
    assert peer.connections == 0
    assert [failure.reason for failure in out.notes.failures] == [reason]


async def test_after_four_days_the_sender_is_told(out: Outbox, peer: StrangePeer) -> None:
    """Not before, and not never."""
    peer.replies["RCPT"] = ["450 4.2.1 not now"] * 3
    await out.put(MESSAGE, BIO, attempts=ATTEMPTS_BEFORE_EXPIRY)
    await out.until_put_off()
    out.later(LIFETIME.total_seconds() - 60)
    await out.until_put_off(2)
    assert out.notes.failures == []
    out.later(3600)
    await out.until_empty()
    (failure,) = out.notes.failures
    assert (failure.status, failure.reason) == ("4.4.7", Reason.EXPIRED)
    assert failure.diagnostic == "450 4.2.1 not now"


async def test_a_clock_that_jumps_ahead_fails_no_mail(out: Outbox, peer: StrangePeer) -> None:
    """Ten years on, by mistake: what was tried once only is tried on, and leaves."""
    peer.replies["RCPT"] = ["450 4.2.1 not now"] * 2
    await out.put(MESSAGE, BIO)
    await out.until_put_off()
    out.later(10 * 365 * 86_400)
    await out.until_put_off(2)
    out.later(3600)
    await out.until_empty()
    assert out.notes.failures == []
    assert [who for who, _ in out.notes.relayed_to] == [BIO]


async def test_a_host_that_is_away_for_four_days_is_named_as_such(out: Outbox) -> None:
    """Rows that only waited behind another's attempt are told as well."""
    out.trust.listed[LAB_DOMAIN] = set()
    out.routes[LAB_DOMAIN] = ("127.0.0.1", 1)
    for _ in range(5):
        await out.put(MESSAGE, BIO, attempts=ATTEMPTS_BEFORE_EXPIRY)
    await out.until(lambda: bool(out.notes.put_off_for))
    assert out.notes.failures == []
    out.later(LIFETIME.total_seconds() + 3600)
    async with asyncio.timeout(30):
        while await out.rows():
            await asyncio.sleep(0.3)
            out.later(61)  # longer than a host rests
    assert len(out.notes.failures) == 5
    assert {failure.status for failure in out.notes.failures} == {"4.4.1"}


async def test_a_dead_or_slow_peer_keeps_nobody_waiting(out: Outbox, pki: Pki, peer: StrangePeer) -> None:
    """A hundred mails for a host that says nothing, and one for another, which leaves at once."""
    async with strange_peer(answers_as(pki, pki.lab)) as silent:
        silent.replies["GREETING"] = [SILENCE] * 100
        out.trust_host("clinique.mssante.example", silent.port, pki.lab)
        for _ in range(100):
            await out.put(MESSAGE, OTHER)
        await out.until(lambda: silent.connections > 0)
        begun = time.monotonic()
        await out.put(MESSAGE, BIO)
        await out.until(lambda: bool(out.notes.relayed_to))
        assert time.monotonic() - begun < 2
        assert silent.connections == 1, "a host that has not answered yet gets one connection"
    rows = await out.until_rows(lambda rows: len(rows) == 100)  # none of them is lost
    assert sum(row.attempts > 0 for row in rows) < 100, "and most were never leased in vain"


async def test_a_host_that_is_away_is_left_in_peace(out: Outbox) -> None:
    """New mail for it is not tried in vain while it rests; then it is, without anybody's help."""
    out.trust.listed[LAB_DOMAIN] = set()
    out.routes[LAB_DOMAIN] = ("127.0.0.1", 1)
    await out.put(MESSAGE, BIO)
    await out.until_put_off()
    await out.put(MESSAGE, SECRETARY)
    await asyncio.sleep(0.3)
    assert sorted(row.attempts for row in await out.rows()) == [0, 1]
    out.later(61)
    await out.until_put_off()


async def test_a_host_that_is_back_gets_all_its_mail_at_once(out: Outbox, pki: Pki) -> None:
    """What waited because it was away does not wait for its own hour; what waits for another reason does."""
    async with strange_peer(answers_as(pki, pki.lab)) as peer:
        out.trust_host(LAB_DOMAIN, peer.port, pki.lab)
        peer.replies["RCPT"] = ["450 4.2.1 not now"]
        await out.put(MESSAGE, THIRD, attempts=9)
        await out.until_put_off()
        await out.until(lambda: not out.courier._destinations)  # its connection is closed
        out.routes[LAB_DOMAIN] = ("127.0.0.1", 1)
        for _ in range(8):
            await out.put(MESSAGE, BIO, attempts=9)
        async with asyncio.timeout(20):
            while sum("peer-unreachable" in row.last_reason for row in await out.rows()) < 8:
                await asyncio.sleep(0.2)
                out.later(61)
        out.routes[LAB_DOMAIN] = ("127.0.0.1", peer.port)
        out.later(61)  # longer than it rests, shorter than any of them would wait
        await out.put(MESSAGE, SECRETARY)
        (kept,) = await out.until_rows(lambda rows: len(rows) == 1)
        assert kept.last_reason == "peer-refused 450 4.2.1"
    assert len(out.notes.relayed_to) == 9


async def test_a_slow_message_is_given_up(stocked: Cellar, pki: Pki) -> None:
    """No wait is for ever."""
    hasty = replace(QUICK, end_of_data_s=0.5)
    async with strange_peer(answers_as(pki, pki.lab)) as peer, outbox(stocked, pki, patience=hasty) as out:
        out.trust_host(LAB_DOMAIN, peer.port, pki.lab)
        peer.replies["."] = [SILENCE]
        await out.put(MESSAGE, BIO)
        await out.until_put_off()
        assert out.notes.put_off_for == ["peer-unreachable timeout"]


async def test_a_jump_of_the_clock_sends_nothing_twice(out: Outbox, peer: StrangePeer) -> None:
    """Our own lease seems to be over while we are still sending: it is still ours."""
    await out.put(MESSAGE, BIO)
    await out.until_empty()
    peer.drip_s = 0.3
    await out.put(MESSAGE, SECRETARY)
    await out.until(lambda: peer.count("MAIL") == 2)
    out.later(LEASE_S + 10)
    await out.until_empty()
    await asyncio.sleep(1)
    assert len(peer.messages) == 2


async def test_who_answers_in_the_middle_is_heard(out: Outbox, peer: StrangePeer) -> None:
    """A server that has had enough of a large message says so before its end; we do not talk on for minutes."""

    patient = peer._message

    async def impatient(reader: asyncio.StreamReader) -> bytes:
        await reader.read(1000)
        return b""

    peer._message = impatient  # type: ignore[method-assign]
    peer.replies["."] = ["552 5.3.4 Too much for me"]
    await out.put((b"x" * 76 + b"\r\n") * 100_000, BIO)
    await out.until_empty()
    assert [failure.status for failure in out.notes.failures] == ["5.3.4"]
    peer._message = patient  # type: ignore[method-assign]
    await out.put(MESSAGE, BIO)
    await out.until_empty()
    assert peer.connections == 2, "a connection that is out of step is not used again"
    assert out.notes.relayed_to == [(BIO, "127.0.0.1")]


async def test_the_next_host_is_tried(out: Outbox, pki: Pki, peer: StrangePeer) -> None:
    """One is away, one shows another's certificate, the third is right: the mail arrives at the first attempt."""
    async with strange_peer(answers_as(pki, pki.hospital)) as impostor:
        hosts = [Host("127.0.0.1", 1), Host("localhost", impostor.port), Host("127.0.0.1", peer.port)]

        class ThreeHosts(Signposts):
            async def hosts(self, domain: str) -> list[Host]:
                return hosts

        out.courier._errand = replace(out.courier._errand, signposts=ThreeHosts({}, out.cellar.chance))
        await out.put(MESSAGE, BIO)
        await out.until_empty()
        assert impostor.count("MAIL") == 0
    assert len(peer.messages) == 1
    assert out.notes.put_off_for == []


async def test_a_size_limit_is_respected_before_sending(out: Outbox, peer: StrangePeer) -> None:
    """What the other server announced not to take is not sent (RFC 1870)."""
    peer.keywords = ("SIZE 1000",)
    await out.put(MESSAGE + b"x" * 900 + b"\r\n", BIO)
    await out.until_empty()
    assert [(failure.status, failure.reason) for failure in out.notes.failures] == [("5.3.4", Reason.TOO_LARGE)]
    assert peer.count("MAIL") == 0
    assert out.notes.rooms == {LAB_DOMAIN: 1000}  # for whoever submits the next


async def test_a_message_of_25_mb_leaves(out: Outbox, pki: Pki) -> None:
    """Whole, and in blocks."""
    raw = MESSAGE + (b"." + b"x" * 75 + b"\r\n") * (25 * 1024 * 1024 // 78)
    async with smtp_house(pki) as house:
        out.trust_host(LAB_DOMAIN, house.ports["relay"], pki.hospital)
        await out.put(raw, BIO)
        await out.until_empty()
        assert house.reception.kept[0].raw == raw


async def test_what_a_courier_held_when_it_died_is_carried_by_another(stocked: Cellar, pki: Pki) -> None:
    """After its lease, not before; nothing is lost."""
    async with strange_peer(None) as silent:
        silent.replies["GREETING"] = [SILENCE] * 9
        async with outbox(stocked, pki) as first:
            first.trust_host(LAB_DOMAIN, silent.port, pki.lab)
            await first.put(MESSAGE, BIO)
            await first.until(lambda: silent.connections == 1)
            first.courier._cut()  # as a kill would
            await asyncio.sleep(0.1)
            async with smtp_house(pki) as house, outbox(stocked, pki, worker="second") as second:
                second.trust_host(LAB_DOMAIN, house.ports["relay"], pki.hospital)
                second.courier.wake()
                await asyncio.sleep(0.3)
                assert house.reception.kept == []
                second.later(LEASE_S + 1)
                await second.until_empty()
                assert len(house.reception.kept) == 1


async def test_stopping_gives_back_what_waits(stocked: Cellar, pki: Pki) -> None:
    """The next courier need not wait for our leases."""
    async with strange_peer(None) as silent:
        silent.replies["GREETING"] = [SILENCE] * 9
        async with outbox(stocked, pki) as out:
            out.trust_host(LAB_DOMAIN, silent.port, pki.lab)
            for _ in range(5):
                await out.put(MESSAGE, BIO)
            await out.until_rows(lambda rows: all(row.attempts for row in rows))
        rows = await out.rows()
        assert [row.last_reason for row in rows].count("shutting-down") == 4, "all but the one that was being sent"
        assert len(rows) == 5


async def test_a_row_that_cannot_be_opened_waits_for_a_human(out: Outbox, peer: StrangePeer) -> None:
    """Something of ours is broken: neither sent nor forgotten, and others go on."""
    envelope = OutgoingEnvelope(SENDER, (MailAddress.parse(BIO),), "<x@chu.mssante.example>")
    prepared = await out.putter.prepare(out.owner, LAB_DOMAIN, envelope, MESSAGE)
    spoiled = replace(prepared, mail=replace(prepared.mail, envelope_sealed=b"\0" * 120))
    await out.cellar.store.write(lane_of(out.owner), spoiled.put)
    await out.put(MESSAGE, SECRETARY)
    await out.until(lambda: bool(out.notes.relayed_to))
    async with asyncio.timeout(10):
        while (rows := await out.rows())[0].state != "failed" or len(rows) != 1:
            await asyncio.sleep(0.02)
    assert rows[0].last_reason == "SealBroken"


async def test_the_pace_is_kept(stocked: Cellar, pki: Pki) -> None:
    """Never more connections to one domain than agreed, however much mail there is."""
    async with (
        strange_peer(answers_as(pki, pki.lab)) as peer,
        outbox(stocked, pki, pace=Pace(connections_per_domain_max=2)) as out,
    ):
        peer.drip_s = 0.01
        out.trust_host(LAB_DOMAIN, peer.port, pki.lab)
        for _ in range(30):
            await out.put(MESSAGE, BIO)
        await out.until_empty()
        assert peer.connections == 2
        assert len(peer.messages) == 30
