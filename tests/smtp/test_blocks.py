"""Is exactly the message taken out of DATA, however it was cut on the way, and is what leaves fit to leave?"""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.model.verdict import Reason
from mss.smtp.blocks import LINE_SENT_OCTETS_MAX, BlockReader, ChunkReader, fault_of_outgoing, outgoing_blocks

OCTETS_MAX = 1000
LINE_MAX = 64

# Octets that matter, in mixtures that matter.
POISONED = st.lists(
    st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"\0", b"a", b"..", b"\r\n.\r\n", b"x" * 40, b"bonjour", b"\r\n.."]),
    max_size=40,
).map(b"".join)
LINES = st.lists(
    st.binary(max_size=60)
    .map(lambda line: line.translate(None, b"\r\n\0"))
    .flatmap(lambda line: st.sampled_from([line, b"." + line, b".", b".."])),
    max_size=20,
)


def oracle(octets: bytes) -> tuple[bytes, bool, bytes] | None:
    """RFC 5321 read naively: message, whether it is fit, and the rest; None when the end has not come."""
    end = (b"\r\n" + octets).find(b"\r\n.\r\n")
    if end < 0:
        return None
    wire, rest = octets[:end], octets[end + 3 :]
    lines = wire.split(b"\r\n")
    is_fit = not any(bad in line for line in lines for bad in (b"\r", b"\n", b"\0"))
    is_fit = is_fit and max(map(len, lines)) <= LINE_MAX
    message = b"\r\n".join(line.removeprefix(b".") for line in lines)
    return message, is_fit and len(message) <= OCTETS_MAX, rest


def read(pieces: list[bytes]) -> tuple[BlockReader, bytes]:
    """What a reader makes of pieces; and what came behind the end."""
    reader = BlockReader(OCTETS_MAX, LINE_MAX)
    for at, piece in enumerate(pieces):
        if reader.feed(piece):
            return reader, reader.rest + b"".join(pieces[at + 1 :])
    return reader, b""


@given(POISONED, st.lists(st.integers(1, 200), max_size=10))
def test_a_message_is_what_the_standard_says_it_is(octets: bytes, cuts: list[int]) -> None:
    """Ends, undoubled dots and refusals are those of a naive reading, whatever the pieces."""
    octets += b"\r\n.\r\nQUIT\r\n"
    expected = oracle(octets)
    assert expected is not None
    message, is_fit, rest = expected
    places = sorted({min(cut, len(octets)) for cut in cuts})
    pieces = [octets[a:b] for a, b in zip([0, *places], [*places, len(octets)], strict=True)]
    for reader, behind in (read(pieces), read([octets]), read([octets[i : i + 1] for i in range(len(octets))])):
        assert reader.is_whole
        assert behind == rest
        assert (reader.problem is None) is is_fit
        if is_fit:
            assert reader.message() == message


def read_chunks(octets: bytes, cuts: list[int], step: int) -> ChunkReader:
    """What a reader makes of a message in chunks that are cut there, each arriving in steps."""
    reader = ChunkReader(OCTETS_MAX, LINE_MAX)
    places = sorted({min(cut, len(octets)) for cut in cuts})
    for begin, end in zip([0, *places], [*places, len(octets)], strict=True):
        reader.expect(end - begin)
        for at in range(begin, end, step):
            is_last = at + step >= end
            assert reader.feed(octets[at : min(at + step, end)] + (b"RSET\r\n" if is_last else b"")) is is_last
            assert reader.rest == (b"RSET\r\n" if is_last else b"")
        assert reader.is_whole
    reader.finish()
    return reader


@given(POISONED, st.lists(st.integers(1, 200), max_size=10), st.integers(1, 70))
def test_chunks_are_judged_as_data_is(octets: bytes, cuts: list[int], step: int) -> None:
    """The same message by BDAT, wherever it is cut, is what it is by DATA: kept alike, or refused."""
    whole = octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n"
    by_data, _ = read([stuffed(whole) + b".\r\n"])
    by_chunks = read_chunks(octets, cuts, step)
    assert (by_chunks.problem is None) is (by_data.problem is None)
    if by_chunks.problem is None:
        assert by_chunks.message() == by_data.message() == whole
    else:
        assert by_chunks.kept == 0


def stuffed(message: bytes) -> bytes:
    """Dots doubled as a sender of DATA does."""
    return (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (b".\r\n", b""),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"a\r\n..b\r\n...\r\n.\r\n", b"a\r\n.b\r\n..\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
    ],
)
def test_dots_are_undone(octets: bytes, message: bytes) -> None:
    """RFC 5321 §4.5.2."""
    reader, _ = read([octets])
    assert reader.problem is None
    assert reader.message() == message


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"a\nb", Reason.BARE_CR_OR_LF),
        (b"a\rb", Reason.BARE_CR_OR_LF),
        (b"a\r\r\nb", Reason.BARE_CR_OR_LF),
        (b"a\n\r\nb", Reason.BARE_CR_OR_LF),
        (b"a\0b", Reason.NUL_BYTE),
        (b"x" * (LINE_MAX + 1), Reason.LINE_TOO_LONG),
        (b"x" * (10 * LINE_MAX), Reason.LINE_TOO_LONG),
        (b"line\r\n" * (OCTETS_MAX // 6 + 1), Reason.TOO_LARGE),
    ],
)
def test_the_reason_is_named(octets: bytes, reason: Reason) -> None:
    """A sender that reads our reply knows what to repair; the message is read to its end and not kept."""
    reader, rest = read([octets + b"\r\n.\r\nNOOP\r\n"])
    assert (reader.problem, reader.is_whole, rest) == (reason, True, b"NOOP\r\n")
    assert reader.kept == 0


def test_the_longest_line_is_taken() -> None:
    """A limit is the last that passes, not the first that fails."""
    reader, _ = read([b"x" * LINE_MAX + b"\r\n.\r\n"])
    assert reader.problem is None


def test_memory_stays_bounded_while_a_refused_message_is_read() -> None:
    """Somebody who sends a hundred times too much costs no more than who sends a little too much."""
    reader = BlockReader(1 << 20)
    block = (b"x" * 76 + b"\r\n") * 800
    tracemalloc.start()
    for _ in range(1600):
        reader.feed(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reader.problem is Reason.TOO_LARGE
    assert peak < 3 << 20


def test_memory_stays_bounded_in_an_endless_line() -> None:
    """The same for a line that never ends."""
    reader = BlockReader(1 << 30)
    tracemalloc.start()
    for _ in range(1000):
        reader.feed(b"x" * 16384)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reader.problem is Reason.LINE_TOO_LONG
    assert peak < 1 << 20
    assert reader.feed(b"\r\n.\r") is False
    assert reader.feed(b"\n")


def test_memory_stays_bounded_in_endless_chunks() -> None:
    """And for chunks, with and without lines."""
    for piece in (b"x" * 16384, (b"x" * 76 + b"\r\n") * 210):
        reader = ChunkReader(1 << 20)
        reader.expect(1000 * len(piece))
        tracemalloc.start()
        for _ in range(1000):
            reader.feed(piece)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert reader.is_whole
        assert reader.problem in (Reason.LINE_TOO_LONG, Reason.TOO_LARGE)
        assert peak < 3 << 20


@given(LINES)
def test_what_leaves_arrives(lines: list[bytes]) -> None:
    """Our courier's octets, read by our door, are the message again; and nothing in them is forbidden."""
    message = b"".join(line + b"\r\n" for line in lines)
    assert fault_of_outgoing(message) is None
    reader, rest = read([b"".join(outgoing_blocks(message))])
    assert (reader.message() if reader.problem is None else message) == message
    assert rest == b""


def test_a_large_message_leaves_in_blocks_of_whole_lines() -> None:
    """Each block ends a line, dots at the seams included."""
    message = (b"." + b"y" * 70 + b"\r\n") * 4000
    blocks = list(outgoing_blocks(message))
    assert len(blocks) > 4
    assert all(block.endswith(b"\r\n") for block in blocks)
    reader = BlockReader(1 << 20)
    assert reader.feed(b"".join(blocks))
    assert reader.message() == message


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"a\nb\r\n", Reason.BARE_CR_OR_LF),
        (b"a\rb\r\n", Reason.BARE_CR_OR_LF),
        (b"no end", Reason.BARE_CR_OR_LF),
        (b"a\0b\r\n", Reason.NUL_BYTE),
        (b"x" * (LINE_SENT_OCTETS_MAX + 1) + b"\r\n", Reason.LINE_TOO_LONG),
        (b"a\r\n" + b"x" * 5000 + b"\r\nb\r\n", Reason.LINE_TOO_LONG),
        (b"x" * LINE_SENT_OCTETS_MAX + b"\r\n", None),
        ((b"x" * LINE_SENT_OCTETS_MAX + b"\r\n") * 99, None),
        (b"", None),
    ],
)
def test_what_must_not_leave_is_noticed(message: bytes, reason: Reason | None) -> None:
    """We never send what our own door, or a stricter one, would refuse."""
    assert fault_of_outgoing(message) is reason
