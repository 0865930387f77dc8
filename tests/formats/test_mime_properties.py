"""Any octets, and well-formed messages against the standard library."""

from __future__ import annotations

import contextlib
from email import policy
from email.message import EmailMessage, Message
from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.formats.imapstructure import bodystructure
from mss.formats.mime import Part, decode_body, decode_text, scan
from mss.formats.summary import Summary, locate, summarise
from mss.model.errors import Malformed

pytestmark = pytest.mark.timeout(900)  # 5,000 examples in the full profile; the standard library is not quick

# Pieces that make parsers stumble, glued at random.
LINES = (
    b"Content-Type: multipart/mixed; boundary=a",
    b"Content-Type: multipart/digest; boundary=ab",
    b"Content-Type: message/rfc822",
    b"Content-Type: text/plain; charset=utf-8",
    b"Content-Disposition: attachment; filename*0*=utf-8''%C3",
    b"Content-Transfer-Encoding: base64",
    b"MIME-Version: 1.0",
    b"From: a@b.example",
    b"To: g: a, b;",
    b"Subject: =?utf-8?q?",
)
SCRAPS = b'--a --ab --a-- -- x : ; " ( ) < > = ?= \\ QUJD \xc3'.split()
PIECES = st.sampled_from([*SCRAPS, *LINES, *(line + b"\r\n" for line in LINES), b"\r\n", b"\r\n\r\n", b" ", b"\t"])
SOUP = st.lists(PIECES, max_size=60).map(b"".join)
SPOILT = st.lists(PIECES | st.binary(max_size=3), max_size=20).map(b"".join)


@given(SOUP | SPOILT | st.binary(max_size=300))
def test_any_octets_are_refused_or_give_a_tree_that_holds(raw: bytes) -> None:
    """Offsets lie inside the message and inside the parent, children follow one another, nothing else is raised."""
    try:
        structure = scan(raw)
    except Malformed:
        return
    assert structure.root.header_start == 0
    assert structure.root.body_end == structure.size == len(raw)
    for part in structure.walk():
        assert 0 <= part.header_start <= part.body_start <= part.body_end <= len(raw)
        assert 0 <= part.lines <= part.size
        before = part.body_start
        for child in part.children:
            assert before <= child.header_start
            assert child.body_end <= max(part.body_end, child.body_start)
            before = child.body_end
        if part.message is not None:
            assert (part.message.header_start, part.message.body_end) == (part.body_start, part.body_end)
        assert isinstance(part.filename, str | None)
        assert isinstance(part.description + part.content_id + part.charset, str)
    for leaf in structure.leaves():
        assert len(decode_body(raw, leaf, 10)) <= 10
        assert isinstance(decode_text(raw, leaf), str)


@given(SOUP)
def test_any_scanned_message_can_be_summarised_and_told(raw: bytes) -> None:
    """A message that was taken in never fails later: summary, sections and a balanced BODYSTRUCTURE."""
    with contextlib.suppress(Malformed):
        structure = scan(raw)
        told = summarise(raw, structure)
        assert Summary.from_bytes(told.to_bytes()) == told
        assert locate(told.parts, "") == (0, len(raw))
        for rendered in (told.envelope, told.body, told.bodystructure):
            assert outside_strings(rendered).count(b"(") == outside_strings(rendered).count(b")")


def outside_strings(rendered: bytes) -> bytes:
    """What is left of IMAP data without its quoted strings and literals; raises when one of them is cut."""
    left, at = b"", 0
    while at < len(rendered):
        if rendered[at : at + 1] == b'"':
            at += 1
            while rendered[at : at + 1] != b'"':
                assert rendered[at] not in b"\r\n\0"
                assert rendered[at] < 0x80
                at += 2 if rendered[at : at + 1] == b"\\" else 1
            at += 1
        elif rendered[at : at + 1] == b"{":
            end = rendered.index(b"}\r\n", at)
            at = end + 3 + int(rendered[at + 1 : end])
            assert at <= len(rendered)
        else:
            left += rendered[at : at + 1]
            at += 1
    return left


# well-formed messages, written by the standard library

LEAVES = st.one_of(
    st.tuples(
        st.just("text"),
        st.sampled_from(["plain", "html", "xml"]),
        st.text(st.characters(codec="latin-1"), max_size=200),
    ),
    st.tuples(
        st.sampled_from(["application", "image"]), st.sampled_from(["pdf", "png", "zip"]), st.binary(max_size=300)
    ),
)
NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="\\/."), min_size=1, max_size=60)


@st.composite
def leaves(draw: st.DrawFn) -> EmailMessage:
    kind, subtype, content = draw(LEAVES)
    made = EmailMessage(policy.SMTP)
    if isinstance(content, str):
        made.set_content(content, subtype=subtype, cte=draw(st.sampled_from(["quoted-printable", "base64"])))
    else:
        made.set_content(content, kind, subtype)
    if draw(st.booleans()):
        made.add_header("Content-Disposition", "attachment", filename=draw(NAMES))
    return made


def several(children: st.SearchStrategy[EmailMessage]) -> st.SearchStrategy[EmailMessage]:
    @st.composite
    def build(draw: st.DrawFn) -> EmailMessage:
        made = EmailMessage(policy.SMTP)
        made["MIME-Version"] = "1.0"
        if draw(st.booleans()):
            made["Subject"] = draw(st.text(st.characters(exclude_categories=["C", "Z"]), max_size=40))
            made.set_content(draw(children))  # message/rfc822
            return made
        made["Content-Type"] = "multipart/mixed"
        for child in draw(st.lists(children, min_size=1, max_size=3)):
            made.attach(child)
        return made

    return build()


MESSAGES = st.recursive(leaves(), several, max_leaves=6)


@given(MESSAGES)
def test_well_formed_messages_are_read_as_the_standard_library_reads_them(made: EmailMessage) -> None:
    """The same tree, the same types, the same names, the same decoded octets."""
    raw = made.as_bytes(policy=policy.SMTP)
    compare(scan(raw).root, BytesParser(policy=policy.compat32).parsebytes(raw), raw)
    assert outside_strings(bodystructure(scan(raw).root, True)).startswith(b"(")


def compare(ours: Part, theirs: Message, raw: bytes) -> None:
    assert ours.content_type == theirs.get_content_type()
    theirs_named = BytesParser(policy=policy.default).parsebytes(b"%b\r\n" % head(ours, raw)).get_filename()
    assert (ours.filename or "") == (theirs_named or "").strip(" .")
    payload = theirs.get_payload()
    if isinstance(payload, list):
        assert len(ours.children) == len(payload)
        for child, their_child in zip(ours.children, payload, strict=True):
            assert isinstance(their_child, Message)
            compare(child, their_child, raw)
    else:
        assert decode_body(raw, ours, len(raw)) == theirs.get_payload(decode=True)


def head(part: Part, raw: bytes) -> bytes:
    """The disposition alone: the standard library's strict reader is slow on whole headers."""
    return b"".join(raw[each.start : each.end] for each in part.fields if each.name == b"content-disposition")
