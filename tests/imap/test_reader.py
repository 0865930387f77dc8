"""Bytes become commands, however they are cut up, and never more is held than allowed."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.imap.commands import Append, Capability, Login, Noop, Tagged
from mss.imap.reader import (
    SWALLOW_BYTES_MAX,
    SWALLOW_LINE_BYTES_MAX,
    CommandReader,
    Event,
    GoAhead,
    Limits,
    Refused,
)

LIMITS = Limits(line_bytes=2000, literal_bytes=1000, message_bytes=5000)

GOOD = (
    b"a1 NOOP\r\n",
    b'a2 LOGIN "marie" "secret"\r\n',
    b"a3 LOGIN {5+}\r\nmarie {6+}\r\nsec\r\nt\r\n",
    b"a4 UID FETCH 1:*,7 (UID FLAGS BODY.PEEK[HEADER.FIELDS (To {4+}\r\nFrom)]<0.10>)\r\n",
    b"a5 APPEND INBOX (\\Seen) {12}\r\nSubject: x\r\n\r\n",
    b"a6 SEARCH OR TEXT {3}\r\nabc NOT (SEEN LARGER 7)\r\n",
    b'a7 LIST (SUBSCRIBED) "" (INBOX "A/%") RETURN (STATUS (MESSAGES))\r\n',
    b"a8 STORE 1 (UNCHANGEDSINCE 5) -FLAGS.SILENT (\\Deleted $x)\r\n",
    b"a9 APPEND x {0+}\r\n\r\n",
)
BAD = (
    b"\r\n",
    b"x\r\n",
    b"a \x00 NOOP\r\n",
    b"b1 LIST (((\r\n",
    b"b2 SELECT {99999}\r\n",
    b"b3 SELECT {3000+}\r\n" + b"z" * 3000 + b"\r\n",
    b"b4 " + b"y" * 5000 + b"\r\n",
    b"b8 " + b"y" * 5000 + b" {5+}\r\n12345\r\n",
    b"b5 NOOP {18446744073709551616}\r\n",
    b'b6 LOGIN "a{5+}\r\n12345" x\r\n',
    b"\xff\xfe\r\n",
    b"b7 SELECT &broken\r\n",
)


def events_of(pieces: list[bytes], limits: Limits = LIMITS) -> list[Event]:
    """What the reader says when it is fed so."""
    reader = CommandReader(limits)
    events = []
    for piece in pieces:
        reader.feed(piece)
        while (event := reader.next_command()) is not None:
            events.append(event)
    return events


def cut_at(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces."""
    bounds = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(bounds)]


@given(st.lists(st.sampled_from(GOOD + BAD), min_size=1, max_size=6), st.lists(st.integers(0, 20_000), max_size=12))
def test_however_it_is_cut_the_commands_are_the_same(conversation: list[bytes], places: list[int]) -> None:
    """One chunk, any chunks, one octet at a time: the same commands, refusals and go-aheads."""
    data = b"".join(conversation)
    whole = events_of([data])
    assert events_of(cut_at(data, places)) == whole
    assert events_of([bytes([octet]) for octet in data]) == whole


@given(st.lists(st.one_of(st.binary(max_size=200), st.sampled_from(GOOD + BAD)), max_size=6), st.data())
def test_garbage_gives_our_own_refusals_only(pieces: list[bytes], data: st.DataObject) -> None:
    """Whatever comes, the reader answers with values, and after an empty line the next command is understood."""
    garbage = b"".join(pieces)
    places = data.draw(st.lists(st.integers(0, len(garbage)), max_size=5))
    assert all(isinstance(e, Tagged | GoAhead | Refused) for e in events_of(cut_at(garbage, places)))


@given(st.binary(max_size=300), st.sampled_from(GOOD))
def test_a_mutilated_command_breaks_nothing(noise: bytes, command: bytes) -> None:
    """Octets put into the middle of a command give a command or a refusal, never an exception."""
    middle = len(command) // 2
    events_of([command[:middle] + noise + command[middle:] + b"\r\n"])


def test_a_command_with_literals_is_one_command() -> None:
    """`{5}` asks for leave, `{6+}` does not; both bring octets that may be line ends."""
    assert events_of([b"a LOGIN {5}\r\n", b"marie {8+}\r\nse\r\ncret\r\n"]) == [
        GoAhead(),
        Tagged("a", Login("marie", b"se\r\ncret")),
    ]


def test_a_brace_inside_quotes_is_text() -> None:
    """Only a literal at the end of a line is one, and a quoted string cannot swallow it."""
    assert events_of([b'a LOGIN "m{5}" x\r\n']) == [Tagged("a", Login("m{5}", b"x"))]
    (refused,) = events_of([b'a LOGIN "m{5+}\r\n12345" x\r\n'])
    assert isinstance(refused, Refused)


def test_a_literal_that_is_too_large_is_refused_before_it_is_sent() -> None:
    """A client that asks for leave is told no at once and may go on."""
    events = events_of([b"a SELECT {1001}\r\nb NOOP\r\n"])
    assert events == [Refused("a", "NO", "Literal too large", "TOOBIG"), Tagged("b", Noop())]


def test_a_literal_that_comes_unasked_is_swallowed_without_being_kept() -> None:
    """The octets go by; the reader's memory does not grow, and the next command counts."""
    reader = CommandReader(LIMITS)
    reader.feed(b"a APPEND INBOX {1000000+}\r\n")
    assert reader.next_command() is None
    for _ in range(10):
        reader.feed(b"x" * 100_000)
        reader.next_command()
        assert reader.waiting_bytes == 0
    reader.feed(b"\r\nb NOOP\r\n")
    assert reader.next_command() == Refused("a", "NO", "Literal too large", "TOOBIG")
    assert reader.next_command() == Tagged("b", Noop())


def test_what_follows_a_swallowed_literal_counts() -> None:
    """Neither an octet more nor one less goes by, whatever ends the line."""
    for size in (1001, 3000):
        events = events_of([b"a SELECT {%d+}\r\n" % size + b"z" * size + b"\nb NOOP\r\n"])
        assert events[1:] == [Tagged("b", Noop())]


def test_a_literal_of_two_gibibytes_that_comes_unasked_ends_the_line() -> None:
    """Nobody waits for 2 GiB to pass."""
    assert SWALLOW_BYTES_MAX < 1 << 31
    (refused,) = events_of([b"a APPEND INBOX {2147483648+}\r\nxxx"])
    assert isinstance(refused, Refused)
    assert refused.fatal


def test_a_line_without_end_is_given_up() -> None:
    """The reader keeps its limit of octets, then nothing more, and in the end says so."""
    reader = CommandReader(LIMITS)
    for _ in range(SWALLOW_LINE_BYTES_MAX // 10_000 + 2):
        reader.feed(b"y" * 10_000)
        event = reader.next_command()
        assert reader.waiting_bytes <= LIMITS.line_bytes + 10_000
        if event is not None:
            assert isinstance(event, Refused)
            assert event.fatal
            return
    pytest.fail("never refused")


def test_only_append_may_bring_a_whole_message() -> None:
    """5 kB are a message in APPEND and too much everywhere else."""
    message = b"m" * 5000
    (append,) = events_of([b"a APPEND INBOX {5000+}\r\n" + message + b"\r\n"])
    assert isinstance(append, Tagged)
    assert isinstance(append.command, Append)
    assert append.command.message == message
    (refused,) = events_of([b"a SELECT {5000+}\r\n" + message + b"\r\n"])
    assert isinstance(refused, Refused)


def test_too_many_literals_are_refused() -> None:
    """A command in a thousand pieces is no command."""
    (refused,) = events_of([b"a SEARCH" + b" TEXT {1+}\r\nx" * 200 + b"\r\n"])
    assert isinstance(refused, Refused)


def test_large_literals_need_leave_of_the_whole_process() -> None:
    """When too much is coming in everywhere, a client is asked to try again."""
    limits = Limits(1000, 1000, 10_000_000)
    reader = CommandReader(limits, room=lambda size: size < 3_000_000)
    reader.feed(b"a APPEND INBOX {4000000}\r\nb APPEND INBOX {2000000}\r\n")
    assert reader.next_command() == Refused("a", "NO", "Too much is coming in, try again later", "LIMIT")
    assert reader.next_command() == GoAhead()
    assert reader.held_bytes == 2_000_000


def test_what_was_sent_before_tls_is_forgotten() -> None:
    """A command that was pipelined behind STARTTLS is not answered inside TLS."""
    reader = CommandReader(LIMITS)
    reader.feed(b"a STARTTLS\r\nb LOGIN x y\r\nc NO")
    assert reader.next_command() is not None
    assert reader.discard() > 0
    reader.feed(b"d CAPABILITY\r\n")
    assert reader.next_command() == Tagged("d", Capability())


def test_lines_are_had_as_they_are() -> None:
    """DONE and SASL responses are no commands."""
    reader = CommandReader(LIMITS)
    reader.feed(b"DONE\r\nAGEAYg==\r\nun")
    assert [reader.next_line(), reader.next_line(), reader.next_line()] == [b"DONE", b"AGEAYg==", None]
