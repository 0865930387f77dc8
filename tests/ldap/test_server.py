"""What no honest client sends, and what the door does to everybody: octets on a socket."""

from __future__ import annotations

import asyncio
import time

from mss.accounts.lifecycle import LifeEvent
from mss.ldap import codec
from mss.ldap.server import Caps
from tests.kit.ldap_house import (
    BASE,
    DOCTOR,
    LdapHouse,
    RawBook,
    begins,
    bind,
    code_of,
    element,
    message,
    number,
    search,
    text,
)
from tests.ldap.conftest import Build

STARTTLS = element(0x77, text("1.3.6.1.4.1.1466.20037", 0x80))
WHO = element(0x77, text("1.3.6.1.4.1.4203.1.11.3", 0x80))
UNBIND = element(0x42)


async def bound(house: LdapHouse) -> RawBook:
    book = await RawBook.connect(house)
    book.send(message(1, bind()))
    assert code_of(await book.answer()) == 0
    return book


async def test_everything_that_would_change_something_is_refused(book: LdapHouse) -> None:
    """Add, modify, delete, rename: unwillingToPerform; unknown operations too; and the connection goes on."""
    raw = await bound(book)
    dn = f"uid=a1@ville.mssante.example,{BASE}"
    for operation, answer in (
        (element(0x66, text(dn), element(0x30)), 0x67),
        (element(0x68, text(dn), element(0x30)), 0x69),
        (text(dn, 0x4A), 0x6B),
        (element(0x6C, text(dn), text("uid=x"), element(0x01, b"\xff")), 0x6D),
        (element(0x6E, text(dn), element(0x30, text("sn"), text("x"))), 0x6F),
    ):
        raw.send(message(9, operation))
        said = await raw.answer()
        assert (said[5], code_of(said)) == (answer, 53)
    raw.send(message(10, element(0x77, text("1.3.6.1.4.1.4203.1.11.1", 0x80))))  # change a password
    assert code_of(await raw.answer()) == 2
    raw.send(message(11, WHO))
    assert f"u:{DOCTOR}".encode() in await raw.answer()
    raw.send(message(12, UNBIND))
    assert await raw.rest() == b""


async def test_binds_that_prove_nothing_prove_nothing(book: LdapHouse) -> None:
    """A name without a password is no success (RFC 4513 §5.1.2); nobody at all may read the root; SASL and version 2
    are told so; a failed bind leaves nobody."""
    raw = await bound(book)
    raw.send(message(2, bind(password="")))
    assert code_of(await raw.answer()) == 53
    raw.send(message(3, search(begins("sn", "lef"))))
    assert code_of(await raw.answer()) == 8
    raw.send(message(4, bind(login="", password="")))
    assert code_of(await raw.answer()) == 0
    raw.send(message(5, bind(version=2)))
    assert code_of(await raw.answer()) == 2
    raw.send(message(6, element(0x60, number(3), text(""), element(0xA3, text("PLAIN")))))
    assert code_of(await raw.answer()) == 7
    raw.close()


async def test_three_wrong_passwords_end_the_line(book: LdapHouse) -> None:
    """The same words each time, whoever is named."""
    raw = await RawBook.connect(book)
    said = []
    for login in (DOCTOR, "nobody@chu.mssante.example", "279035121518989@patient.mssante.example"):
        raw.send(message(1, bind(login, "wrong")))
        said.append(await raw.answer())
    assert len(set(said)) == 1
    assert code_of(said[0]) == 49
    assert await raw.rest() == b""


async def test_a_password_in_clear_is_not_looked_at(book: LdapHouse) -> None:
    """TLS first, also for who is right."""
    raw = await RawBook.connect(book, secure=False)
    raw.send(message(1, bind()))
    assert code_of(await raw.answer()) == 13
    raw.close()


async def test_what_is_sent_ahead_of_tls_is_not_answered_inside(book: LdapHouse) -> None:
    """Nothing may come with StartTLS (RFC 4511 §4.14.1): refused, and hung up."""
    raw = await RawBook.connect(book, secure=False)
    raw.send(message(1, STARTTLS) + message(2, WHO))
    assert code_of(await raw.answer()) == 1
    assert await raw.rest() == b""


async def test_octets_that_are_no_ldap_end_their_connection_alone(book: LdapHouse) -> None:
    """A notice of disconnection, then nothing; the next client is served."""
    for octets in (
        b"GET / HTTP/1.0\r\n\r\n",
        b"\x30\x84\x7f\xff\xff\xff",
        message(1, element(0x63, b"\x30" * 500)),
        message(0, WHO),
        message(1, search(_deep(40))),
        element(0x30, number(1), element(0x63)),
        message(1, search(text("x", 0x9F))),
    ):
        raw = await RawBook.connect(book)
        raw.send(octets)
        said = await raw.rest()
        assert b"1.3.6.1.4.1.1466.20036" in said
        assert code_of(said) == 2
    (await bound(book)).close()


def _deep(levels: int) -> bytes:
    asked = begins("sn", "lef")
    for _ in range(levels):
        asked = element(0xA2, asked)
    return asked


async def test_a_slow_client_is_sent_away(build: Build) -> None:
    """Time to bind runs from the start; octets that drip in do not stretch it. Who has bound and is silent goes too."""
    house = await build(stranger_s=0.5, idle_s=0.5)
    raw = await RawBook.connect(house, secure=False)
    began = time.perf_counter()
    for octet in message(1, WHO)[:4]:
        raw.send(bytes((octet,)))
        await asyncio.sleep(0.1)
    assert code_of(await raw.rest()) == 52
    assert time.perf_counter() - began < 5
    assert code_of(await (await bound(house)).rest()) == 52
    assert house.server.connections == 0


async def test_too_many_connections_of_one_address_are_refused(build: Build) -> None:
    """The first ones go on; a place that becomes free is given again."""
    house = await build(Caps(connections_per_address_max=2))
    first, second = await bound(house), await bound(house)
    third = await RawBook.connect(house, secure=False)
    assert await third.rest() == b""
    first.send(message(2, UNBIND))
    await first.rest()
    (await bound(house)).close()
    second.close()


async def test_a_question_that_is_abandoned_is_not_answered(book: LdapHouse) -> None:
    """The next one is (RFC 4511 §4.11)."""
    raw = await bound(book)
    raw.send(message(2, search(begins("sn", "lef"))) + message(3, number(2, 0x50)) + message(4, WHO))
    said = await raw.answer()
    assert said[4] == 4
    raw.close()


async def test_who_reads_the_directory_out_is_slowed(book: LdapHouse) -> None:
    """A burst as of somebody who types, then two searches a second, whatever the connection."""
    raw = await bound(book)
    question = search(begins("sn", "zzz"))
    codes = []
    for turn in range(125):
        raw.send(message(1 + turn % 100, question))
        codes.append(code_of(await raw.answer()))
    assert codes[:120] == [0] * 120
    assert 51 in codes
    again = await bound(book)
    again.send(message(2, question))
    assert code_of(await again.answer()) == 51
    book.below.clock.forward(10)
    again.send(message(3, question))
    assert code_of(await again.answer()) == 0
    again.close()


async def test_whoever_loses_access_is_cut_at_once(book: LdapHouse) -> None:
    """Suspended while connected: the hint ends the line without a word of hers; without the hint, her next question."""
    idle, busy = await bound(book), await bound(book)
    await book.below.accounts.live_on(book.doctor, LifeEvent.SUSPEND)
    busy.send(message(2, search(begins("sn", "lef"))))
    assert code_of(await busy.rest()) == 8
    book.server.look_again(book.doctor)
    assert code_of(await idle.rest()) == 8


async def test_a_message_may_come_in_pieces_of_one_octet(book: LdapHouse) -> None:
    """However it is cut, it means the same."""
    raw = await bound(book)
    whole = message(2, search(begins("sn", "lefev"), wanted=("mail",)))
    raw.send(whole)
    at_once = await raw.answer()
    await raw.answer()
    for octet in whole:
        raw.send(bytes((octet,)))
        await asyncio.sleep(0)
    assert await raw.answer() == at_once
    assert b"a1@ville" in at_once
    raw.close()


async def test_a_message_longer_than_anybody_needs_is_not_waited_for(book: LdapHouse) -> None:
    """Its head says so."""
    raw = await RawBook.connect(book)
    raw.send(b"\x30\x83" + (codec.MESSAGE_BYTES_MAX + 1).to_bytes(3))
    assert code_of(await raw.rest()) == 2
