"""Is a command line read in one way only, and an address in one grammar only?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.model.ids import MailAddress
from mss.smtp import commands, replies
from mss.smtp.commands import BadCommand, BadLine, CommandReader
from tests.kit.addresses import second_opinion

POSTMASTER = MailAddress.parse("postmaster@chu.mssante.example")


def lines_of(pieces: list[bytes], octets_max: int = 50) -> list[bytes | str]:
    """What a reader makes of pieces: lines, and codes of refusals."""
    reader = CommandReader(octets_max)
    found: list[bytes | str] = []
    for piece in pieces:
        reader.feed(piece)
        while True:
            try:
                line = reader.take()
            except BadLine as bad:
                found.append(str(bad.reply.code))
                continue
            if line is None:
                break
            found.append(line)
    return found


@given(
    st.lists(
        st.sampled_from([b"NOOP", b"\r\n", b"\n", b"\r", b"\0", b"QUIT\r\n", b"x" * 30, b" ", b"RSET\n"]), max_size=30
    ).map(b"".join),
    st.integers(1, 7),
)
def test_lines_are_the_same_however_they_arrive(octets: bytes, step: int) -> None:
    """One octet at a time equals one packet."""
    pieces = [octets[i : i + step] for i in range(0, len(octets), step)]
    assert lines_of(pieces) == lines_of([octets])


@pytest.mark.parametrize(
    ("octets", "found"),
    [
        (b"NOOP\r\nQUIT\r\n", [b"NOOP", b"QUIT"]),
        (b"NOOP\n", ["500"]),
        (b"NOOP\nQUIT\r\nRSET\r\n", ["500", "500", b"RSET"]),
        (b"NOOP\nNOOP\nQUIT\r\nRSET\r\n", ["500", "500", "500", b"RSET"]),
        (b"NO\rOP\r\nRSET\r\n", ["500", b"RSET"]),
        (b"NOOP\r\r\nRSET\r\n", ["500", b"RSET"]),
        (b"NO\0OP\r\nRSET\r\n", ["500", b"RSET"]),
        (b"\r\n", [b""]),
        (b"x" * 50 + b"\r\n", [b"x" * 50]),
        (b"x" * 51 + b"\r\nRSET\r\n", ["500", b"RSET"]),
        (b"x" * 9999 + b"\r\nRSET\r\n", ["500", b"RSET"]),
        (b"x" * 9999 + b"\nQUIT\r\nRSET\r\n", ["500", "500", b"RSET"]),
    ],
)
def test_only_crlf_ends_a_command(octets: bytes, found: list[bytes | str]) -> None:
    """What stands behind a bare LF is never obeyed: it may be somebody's recipient in somebody else's line."""
    assert lines_of([octets]) == found
    assert lines_of([octets[i : i + 1] for i in range(len(octets))]) == found


def test_an_endless_line_is_given_up() -> None:
    """Nobody makes us read for ever."""
    reader = CommandReader(100)
    told: list[BadLine] = []
    for _ in range(200):
        reader.feed(b"x" * 10_000)
        try:
            reader.take()
        except BadLine as bad:
            told.append(bad)
            if bad.is_fatal:
                break
        assert reader.waiting_octets < 20_000
    assert [bad.is_fatal for bad in told] == [False, True]


def test_forgetting_leaves_nothing() -> None:
    """What came before STARTTLS is gone, half lines included."""
    reader = CommandReader(100)
    reader.feed(b"RSET\r\nMAIL FR")
    reader.clear()
    reader.feed(b"NOOP\r\n")
    assert reader.take() == b"NOOP"


@pytest.mark.parametrize(
    ("argument", "sender", "size"),
    [
        ("FROM:<>", None, 0),
        ("FROM:<bio@labo.example>", "bio@labo.example", 0),
        ("from: <Bio@LABO.example> size=123 body=8bitmime", "Bio@labo.example", 123),
        ("FROM:<bio@labo.example> BODY=7BIT", "bio@labo.example", 0),
    ],
)
def test_senders_are_read(argument: str, sender: str | None, size: int) -> None:
    """Ordinary software is understood, the old one with a space after the colon too."""
    command = commands.read_mail(argument)
    assert (None if command.sender is None else str(command.sender), command.size_octets) == (sender, size)


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("", replies.SYNTAX),
        ("bio@labo.example", replies.SYNTAX),
        ("FROM:bio@labo.example", "501 5.1.7"),
        ("FROM:<bio@labo.example", "501 5.1.7"),
        ("FROM:  <bio@labo.example>", "501 5.1.7"),
        ("FROM:<bio>", "501 5.1.7"),
        ("FROM:<@relay.example:bio@labo.example>", "501 5.1.7"),
        ("FROM:<bio%evil@labo.example>", "501 5.1.7"),
        ("FROM:<evil!bio@labo.example>", "501 5.1.7"),
        ('FROM:<"bio"@labo.example>', "501 5.1.7"),
        ('FROM:<"victim@evil.example"@labo.example>', "501 5.1.7"),
        ("FROM:<bio@labo.example(comment)>", "501 5.1.7"),
        ("FROM:(comment)<bio@labo.example>", "501 5.1.7"),
        ("FROM:Bio <bio@labo.example>", "501 5.1.7"),
        ("FROM:<bio@[127.0.0.1]>", "501 5.1.7"),
        ("FROM:<bio@labo>", "501 5.1.7"),
        ("FROM:<b\tio@labo.example>", "501 5.1.7"),
        ("FROM:<" + "x" * 65 + "@labo.example>", "501 5.1.7"),
        ("FROM:<<bio@labo.example>>", "501 5.1.7"),
        ("FROM:<bio@labo.example>SIZE=1", "501 5.1.7"),
        ("FROM:<bio@labo.example> SIZE=1 SIZE=2", replies.SYNTAX),
        ("FROM:<bio@labo.example> SIZE=", replies.SYNTAX),
        ("FROM:<bio@labo.example> SIZE=-1", replies.SYNTAX),
        ("FROM:<bio@labo.example> SIZE=" + "9" * 21, replies.SYNTAX),
        ("FROM:<bio@labo.example> BODY=BINARYMIME", replies.SYNTAX),
        ("FROM:<bio@labo.example>  SIZE=1", replies.SYNTAX),
        ("FROM:<bio@labo.example> SMTPUTF8", replies.UNKNOWN_PARAMETER),
        ("FROM:<bio@labo.example> RET=BODY", replies.SYNTAX),
        ("FROM:<bio@labo.example> RET", replies.SYNTAX),
        ("FROM:<bio@labo.example> ENVID=a+0Ab", replies.SYNTAX),
        ("FROM:<bio@labo.example> NOTIFY=NEVER", replies.UNKNOWN_PARAMETER),
        ("FROM:<bio@labo.example> AUTH=<>", replies.UNKNOWN_PARAMETER),
    ],
)
def test_hostile_and_sloppy_senders_are_refused(argument: str, reply: object) -> None:
    """Nothing is repaired, dropped or ignored: two readers of one address are one too many."""
    with pytest.raises(BadCommand) as refused:
        commands.read_mail(argument)
    assert str(refused.value.reply).startswith(str(reply))


@pytest.mark.parametrize(
    "argument", ["TO:<>", "TO:<bob>", "TO:bob@chu.example", "TO:<@a.example,@b.example:c@d.example>"]
)
def test_recipients_have_the_same_grammar(argument: str) -> None:
    """The empty path is a sender only."""
    with pytest.raises(BadCommand) as refused:
        commands.read_rcpt(argument, postmaster=POSTMASTER)
    assert str(refused.value.reply).startswith("501 5.1.3")


@pytest.mark.parametrize(
    "parameter",
    ["NOTIFY=NEVER,SUCCESS", "NOTIFY=", "NOTIFY", "ORCPT=bob@chu.example", "NOTIFY=NEVER NOTIFY=NEVER", "ORCPT=a;b+"],
)
def test_wishes_that_cannot_be_read_refuse_the_recipient(parameter: str) -> None:
    """Who asks for a report in words that we do not understand would wait for it in vain."""
    with pytest.raises(BadCommand) as refused:
        commands.read_rcpt(f"TO:<bob@chu.example> {parameter}")
    assert refused.value.reply == replies.SYNTAX


def test_postmaster_needs_no_domain() -> None:
    """RFC 5321 §4.5.1: somebody must answer to that name alone, however it is written."""
    assert commands.read_rcpt("TO:<PostMaster>", postmaster=POSTMASTER).recipient == POSTMASTER
    with pytest.raises(BadCommand):
        commands.read_rcpt("TO:<postmaster>", postmaster=None)


SIGNS = st.text('aZ9.-_+=@"\\%!,:;<>()[] \t\0\r\né\u212a', max_size=20)


@given(
    st.one_of(st.text(max_size=30), SIGNS, st.tuples(SIGNS, SIGNS).map(lambda pair: f"a{pair[0]}@b{pair[1]}.example"))
)
def test_two_grammars_agree(text: str) -> None:
    """What is an address for us is one for whoever reads the standard without our code, and means the same."""
    opinion = second_opinion(text)
    try:
        command = commands.read_rcpt(f"TO:<{text}>")
    except BadCommand:
        assert opinion is None
    else:
        assert (command.recipient.local, command.recipient.domain) == opinion


@given(st.text(max_size=80))
def test_any_argument_is_read_or_refused(argument: str) -> None:
    """Garbage gives our refusal only; what is read is one plain address."""
    for read in (commands.read_mail, commands.read_rcpt):
        try:
            command = read(argument)
        except BadCommand:
            continue
        address = command.sender if isinstance(command, commands.MailCommand) else command.recipient
        assert address is None or MailAddress.parse(str(address)) == address


def test_what_is_not_ascii_is_refused_as_what_it_is() -> None:
    """We do not offer SMTPUTF8; an address in it is malformed for us."""
    for line, start in ((b"MAIL FROM:<\xc3\xa9@a.example>", "501 5.1.7"), (b"RCPT TO:<\xe9@a.b>", "501 5.1.3")):
        with pytest.raises(BadCommand) as refused:
            commands.split(line)
        assert str(refused.value.reply).startswith(start)
    with pytest.raises(BadCommand) as refused:
        commands.split(b"EHLO \xff")
    assert refused.value.reply.code == 501
