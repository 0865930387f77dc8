"""The tree of parts, what is tolerated, and what is refused."""

from __future__ import annotations

import base64
import quopri

import pytest

from mss.formats import lines
from mss.formats.mime import LIMITS, Limits, Part, Structure, decode_body, decode_text, scan
from mss.model.errors import Malformed
from mss.model.verdict import Reason

FROM = "From: Jeanne Martin <jeanne.martin@chu.mssante.example>\n"


def message(text: str) -> bytes:
    """Octets of a message written with plain line ends."""
    return text.encode("latin-1").replace(b"\n", b"\r\n")


def read(text: str) -> Structure:
    return scan(message(text))


def tree(text: str) -> list[tuple[str, str, bytes]]:
    """Section, type and body of every part."""
    raw = message(text)
    return [(part.path, part.content_type, raw[part.body_start : part.body_end]) for part in scan(raw).walk()]


def only(text: str) -> Part:
    """The first leaf."""
    return next(read(text).leaves())


FORWARD = (
    FROM
    + """MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/alternative; boundary=inner

--inner

plain
--inner
Content-Type: text/html

<p>html</p>
--inner--
--outer
Content-Type: message/rfc822

From: Luc Petit <luc.petit@labo.mssante.example>
Subject: forwarded
Content-Type: multipart/mixed; boundary=deep

--deep
Content-Type: application/pdf

%PDF
--deep--

--outer
Content-Type: message/rfc822

Subject: short

hello
--outer--
epilogue
"""
)


def test_parts_are_numbered_as_imap_numbers_them() -> None:
    """A client that asks for section 2.1 gets the PDF of the forwarded message."""
    assert [(path, kind) for path, kind, _ in tree(FORWARD)] == [
        ("TEXT", "multipart/mixed"),
        ("1", "multipart/alternative"),
        ("1.1", "text/plain"),
        ("1.2", "text/html"),
        ("2", "message/rfc822"),
        ("2.TEXT", "multipart/mixed"),
        ("2.1", "application/pdf"),
        ("3", "message/rfc822"),
        ("3.1", "text/plain"),
    ]
    bodies = {path: body for path, _, body in tree(FORWARD)}
    assert bodies["1.1"] == b"plain"
    assert bodies["1.2"] == b"<p>html</p>"
    assert bodies["2.1"] == b"%PDF"
    assert bodies["3"] == b"Subject: short\r\n\r\nhello"
    assert bodies["3.1"] == b"hello"


def test_an_embedded_message_has_its_own_header() -> None:
    """The subject of what was forwarded is not the subject of the mail that forwards it."""
    structure = read(FORWARD)
    forwarded = [part.message for part in structure.walk() if part.message is not None]
    assert structure.header("subject") is None
    assert [root.header("Subject") for root in forwarded] == ["forwarded", "short"]


def test_header_fields_are_unfolded_and_found_in_any_case() -> None:
    """Software reads one line, whatever the sender's folding."""
    structure = read("To: a@b.example,\n\tc@d.example\nX-MSS-NIL: Oui\nto: e@f.example\nBad-8bit: \xe9t\xe9\n\n")
    assert structure.header("TO") == "a@b.example,\tc@d.example"
    assert structure.headers("to") == ("a@b.example,\tc@d.example", "e@f.example")
    assert structure.header("x-mss-nil") == "Oui"
    assert structure.header("bad-8bit") == "été"
    assert structure.header("absent") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [("1", "text/plain", b"")], id="empty"),
        pytest.param("\nhello", [("1", "text/plain", b"hello")], id="no header"),
        pytest.param("Subject: x", [("1", "text/plain", b"")], id="header cut short"),
        pytest.param("Subject: x\n", [("1", "text/plain", b"")], id="no empty line"),
        pytest.param("hello\nworld\n", [("1", "text/plain", b"hello\r\nworld\r\n")], id="only text"),
        pytest.param("Subject: x\nhello: not a field but read as one\n\nb", [("1", "text/plain", b"b")], id="colon"),
        pytest.param("Content-Type: text\n\nb", [("1", "text/plain", b"b")], id="type without subtype"),
        pytest.param("Content-Type: multipart/mixed\n\nb", [("1", "text/plain", b"b")], id="no boundary"),
        pytest.param(
            'Content-Type: multipart/mixed; boundary=""\n\nb', [("1", "text/plain", b"b")], id="empty boundary"
        ),
        pytest.param(
            "Content-Type: multipart/mixed; boundary=x\n\nb", [("TEXT", "multipart/mixed", b"b")], id="no part"
        ),
        pytest.param("From me Thu Jan  1\nSubject: x\n\nb", [("1", "text/plain", b"b")], id="mailbox file"),
        pytest.param("Content-Transfer-Encoding: base64\n\nQQ==", [("1", "text/plain", b"QQ==")], id="not MIME"),
    ],
)
def test_broken_messages_are_read_as_far_as_they_go(text: str, expected: list[tuple[str, str, bytes]]) -> None:
    """A colleague's odd software does not lose a message."""
    assert tree(text) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("--x\n\na\n--x\n\nb", [b"a", b"b"], id="end boundary missing"),
        pytest.param("--x\n\na\n--x--\n--x\n\nno part\n", [b"a"], id="epilogue"),
        pytest.param("pre\n--x \t\n\na\n--x-- \n", [b"a"], id="white space after the boundary"),
        pytest.param("--x\n\na --x\n --x\n-x\n--y\n--x--\n", [b"a --x\r\n --x\r\n-x\r\n--y"], id="not at a line start"),
        pytest.param("--xtra\n\na\n--x--\n", [b"a"], id="the boundary need only begin the line"),
        pytest.param("--x\nContent-Type: text/html\n--x\n\nb\n--x--\n", [b"", b"b"], id="header cut short"),
        pytest.param("--x\nno header at all\n--x--\n", [b"no header at all"], id="no empty line"),
        pytest.param("--x\n--x\n--x--\n", [b"", b""], id="empty parts"),
        pytest.param("--x\n\n--x\n\n\n--x--\n", [b"", b""], id="parts of an empty line"),
        pytest.param("--x\n\na\n--x", [b"a"], id="ends within a boundary line"),
        pytest.param("--x--\n", [], id="only the end"),
    ],
)
def test_boundaries_are_found_where_readers_find_them(body: str, expected: list[bytes]) -> None:
    """RFC 2046 §5.1.1, and what is commonly sent instead."""
    parts = tree("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n" + body)
    assert [octets for _, _, octets in parts[1:]] == expected


def test_the_longest_of_two_similar_boundaries_wins() -> None:
    """Mailers that append a digit to the outer boundary keep their structure."""
    parts = tree(
        "Content-Type: multipart/mixed; boundary=part\n\n--part\nContent-Type: multipart/related; boundary=part1\n\n"
        "--part1\n\na\n--part1\n\nb\n--part1--\n--part\n\nc\n--part--\n"
    )
    assert [(path, body) for path, _, body in parts if len(body) == 1] == [("1.1", b"a"), ("1.2", b"b"), ("2", b"c")]


def test_a_boundary_that_looks_like_the_end_of_another_keeps_its_meaning() -> None:
    """Of two readings of `--a--` the innermost exact one counts: the end of `a`, not the beginning of `a--`."""
    parts = tree(
        "Content-Type: multipart/mixed; boundary=a--\n\n--a--\nContent-Type: multipart/mixed; boundary=a\n\n"
        "--a\n\nx\n--a--\nepilogue\n--a--\n\ny\n--a----\n"
    )
    assert [(path, body) for path, kind, body in parts if kind == "text/plain"] == [("1.1", b"x"), ("2", b"y")]


def test_an_outer_boundary_ends_inner_parts_that_were_not_closed() -> None:
    """A forgotten end of an inner multipart does not swallow what follows it."""
    parts = tree(
        "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/related; boundary=i\n\n"
        "--i\n\na\n--o\n\nb\n--o--\n"
    )
    assert [(path, body) for path, kind, body in parts if kind == "text/plain"] == [("1.1", b"a"), ("2", b"b")]


def test_parts_of_a_digest_are_messages_unless_they_say_otherwise() -> None:
    """RFC 2046 §5.1.5."""
    kinds = tree(
        "Content-Type: multipart/digest; boundary=x\n\n"
        "--x\n\nSubject: a\n\nb\n--x\nContent-Type: text/plain\n\nc\n--x--\n"
    )
    assert [(path, kind) for path, kind, _ in kinds[1:]] == [
        ("1", "message/rfc822"),
        ("1.1", "text/plain"),
        ("2", "text/plain"),
    ]


def test_a_message_sent_as_base64_is_a_file_and_not_read_in_place() -> None:
    """Its content is still there, decoded on demand."""
    inner = base64.encodebytes(b"Subject: x\r\n\r\nhello").decode()
    raw = message(f"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{inner}")
    (leaf,) = scan(raw).leaves()
    assert leaf.content_type == "message/rfc822"
    assert decode_body(raw, leaf, 100) == b"Subject: x\r\n\r\nhello"


def test_the_structure_says_when_other_readers_may_see_more_fields() -> None:
    """A second From behind a stray line is body to us and header to some clients: policy must be able to refuse."""
    assert read("From: a@b.example\nstray\nFrom: c@d.example\n\nx").header_is_broken
    assert read("From c\nFrom: c@d.example\n\nx").header_is_broken
    assert not read("From: a@b.example\n\nstray\n").header_is_broken
    assert not read("From: a@b.example\n").header_is_broken


# names, contents


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param('Content-Disposition: attachment; filename="cr.pdf"', "cr.pdf", id="plain"),
        pytest.param("Content-Type: application/pdf; name=cr.pdf", "cr.pdf", id="name of the type"),
        pytest.param("Content-Disposition: attachment; filename*=utf-8''r%C3%A9sultat.pdf", "résultat.pdf", id="2231"),
        pytest.param("Content-Disposition: attachment; filename*=iso-8859-1'fr'r%E9.pdf", "ré.pdf", id="2231 latin"),
        pytest.param(
            "Content-Disposition: attachment;\n filename*0*=utf-8''r%C3;\n filename*1*=%A9s;\n filename*2=\".pdf\"",
            "rés.pdf",
            id="segments that cut a character",
        ),
        pytest.param('Content-Disposition: attachment; filename*1="b.pdf"; filename*0="a"', "ab.pdf", id="unordered"),
        pytest.param(
            "Content-Disposition: attachment; filename=\"r?.pdf\"; filename*=utf-8''r%C3%A9.pdf", "ré.pdf", id="both"
        ),
        pytest.param('Content-Disposition: attachment; filename="=?utf-8?q?r=C3=A9.pdf?="', "ré.pdf", id="2047"),
        pytest.param("Content-Disposition: attachment; filename==?utf-8?q?r=C3=A9.pdf?=", "ré.pdf", id="2047 bare"),
        pytest.param('Content-Disposition: attachment; filename="r\xe9.pdf"', "ré.pdf", id="raw latin"),
        pytest.param('Content-Disposition: attachment; filename="r\xc3\xa9.pdf"', "ré.pdf", id="raw UTF-8"),
        pytest.param(
            "Content-Disposition: attachment; filename=compte rendu (2).pdf", "compte rendu (2).pdf", id="bare"
        ),
        pytest.param('Content-Disposition: attachment; filename="C:\\dossier\\cr.pdf"', "cr.pdf", id="drive"),
        pytest.param('Content-Disposition: attachment; filename="../../etc/passwd"', "passwd", id="path"),
        pytest.param('Content-Disposition: attachment; filename="a\x07b\tc.pdf"', "a b c.pdf", id="controls"),
        pytest.param("Content-Disposition: attachment; filename*=utf-8''cr%E2%80%AEfdp.exe", "crfdp.exe", id="bidi"),
        pytest.param('Content-Disposition: attachment; filename=".."', None, id="nothing left"),
        pytest.param('Content-Disposition: attachment; filename="never closed.pdf', "never closed.pdf", id="unclosed"),
        pytest.param("Content-Disposition: attachment", None, id="none"),
    ],
)
def test_a_file_name_is_shown_as_meant_and_safe_to_save(fields: str, expected: str | None) -> None:
    """Whatever way the sender's software wrote it; never a path, a control character or text that runs backwards."""
    assert only(f"MIME-Version: 1.0\n{fields}\n\nx").filename == expected


@pytest.mark.parametrize(
    ("value", "kind", "charset"),
    [
        ("text/html; charset=UTF-8", "text/html", "UTF-8"),
        ("TEXT/HTML ; CHARSET=utf-8 ;", "text/html", "utf-8"),
        ("text/plain; charset=us-ascii (Plain text)", "text/plain", "us-ascii"),
        ("(c) text/plain (d); (e) charset (f) = (g) utf-8", "text/plain", "utf-8"),
        ("text/plain charset=utf-8", "text/plain", ""),
        ('text/plain;; ;x; charset="utf\\"-8"', "text/plain", 'utf"-8'),
        ("text/plain; charset=utf-8; x", "text/plain", "utf-8"),
        ("text/plain; charset=utf-8 (never closed", "text/plain", "utf-8"),
        ("text/plain; charset = utf-8; charset=us-ascii", "text/plain", "utf-8"),
        ("pdf; charset=utf-8", "text/plain", ""),
        ("", "text/plain", ""),
    ],
)
def test_a_content_type_is_read_as_far_as_it_goes(value: str, kind: str, charset: str) -> None:
    """RFC 2045 §5.1, comments and omissions included."""
    part = only(f"Content-Type: {value}\n\nx")
    assert (part.content_type, part.charset) == (kind, charset)


@pytest.mark.parametrize(
    ("encoding", "body", "expected"),
    [
        ("base64", "SGVs\nbG8=\n", b"Hello"),
        ("BASE64", "SGVs bG8", b"Hello"),
        ("base64", "SGVs!*bG8=trailing", b"Hello" + base64.b64decode("trailing")),
        ("base64", "SGVs=bG8==\nIQ==", b"Hello!"),
        ("base64", "SGVsbG8gI", b"Hello "),
        ("base64", "====", b""),
        ("quoted-printable", "r=C3=A9sultat=\n s=  \nx = y =zz", "résultat sx = y =zz".encode()),
        ("quoted-printable", "mal  \nde=20\n\t \ntout \t", b"mal\r\nde \r\n\r\ntout"),
        ("8bit", "d\xe9j\xe0", b"d\xe9j\xe0"),
        ("x-unknown", "SGVs", b"SGVs"),
    ],
)
def test_contents_are_decoded_through_the_dirt_of_real_senders(encoding: str, body: str, expected: bytes) -> None:
    """Line noise, missing, early and repeated padding, soft breaks with spaces."""
    raw = message(f"MIME-Version: 1.0\nContent-Transfer-Encoding: {encoding}\n\n{body}")
    assert decode_body(raw, scan(raw).root, 1000) == expected


def test_no_more_is_decoded_than_was_asked_for() -> None:
    """A preview of a large text costs a preview, and no character is cut in two."""
    text = "é" * 5000
    for encoding, body in (
        ("base64", base64.encodebytes(text.encode())),
        ("quoted-printable", quopri.encodestring(text.encode())),
    ):
        raw = message(f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {encoding}\n\n")
        raw += body.replace(b"\n", b"\r\n")
        part = scan(raw).root
        assert decode_body(raw, part, 100) == text.encode()[:100]
        assert decode_text(raw, part, 101) == "é" * 50
        assert decode_text(raw, part).rstrip() == text


@pytest.mark.parametrize(
    ("charset", "octets", "expected"),
    [
        ("utf-8", "déjà".encode(), "déjà"),
        ("utf-8", b"d\xe9j\xe0", "déjà"),  # a lie
        ("us-ascii", "déjà".encode(), "déjà"),
        ("iso-8859-1", b"\x93d\xe9j\xe0\x94 \x80", "“déjà” €"),  # Windows behind a Latin-1 label
        ("iso-8859-15", b"\xa4", "€"),
        ("", b"d\xe9j\xe0", "déjà"),
        ("no-such-charset", "déjà".encode(), "déjà"),
        ("idna", b"xn--d", "xn--d"),  # a codec of Python's, not a charset
        ("zlib_codec", b"x", "x"),
        ("shift_jis", "日本".encode("shift_jis"), "日本"),
        ("utf-16", "déjà".encode("utf-16"), "déjà"),
        ("", b"\x81\x8d", "\ufffd\ufffd"),
    ],
)
def test_text_is_readable_whatever_charset_was_claimed(charset: str, octets: bytes, expected: str) -> None:
    """Declared charset, then UTF-8, then Windows-1252."""
    raw = message(f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: base64\n\n")
    raw += base64.b64encode(octets)
    assert decode_text(raw, scan(raw).root) == expected


@pytest.mark.parametrize(
    "charset", ["ISO-8859-15", "iso8859_2", "windows-1250", "cp1258", "cp850", "CP858", "macintosh"]
)
def test_charsets_of_european_senders_are_known(charset: str) -> None:
    """Old hospital software writes them still."""
    raw = message(f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: base64\n\n")
    raw += base64.b64encode("é".encode(charset))
    assert decode_text(raw, scan(raw).root) == "é"


# limits

SMALL = Limits(
    octets=5000,
    line_octets=1500,
    header_octets=800,
    header_lines=20,
    addresses=5,
    encoded_words=5,
    parameters=100,
    parts=6,
    depth=3,
)
NESTED = "Content-Type: multipart/mixed; boundary=b{0}\n\n--b{0}\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("\n" + "a\n" * 2000, Reason.TOO_LARGE),
        ("Subject: a\x00b\n\n", Reason.NUL_BYTE),
        ("\nx\n" + "y" * 1501 + "\n", Reason.LINE_TOO_LONG),
        ("X: " + "y\n " * 300 + "\n\n", Reason.HEADERS_TOO_LARGE),
        ("a: b\n" * 21 + "\n", Reason.TOO_MANY_HEADERS),
        ("To: " + "a@b.example, " * 6 + "\n\n", Reason.TOO_MANY_ADDRESSES),
        ("To: a@b.example, c@d.example\n" * 3 + "\n", Reason.TOO_MANY_ADDRESSES),
        ("Subject: " + "=?utf-8?q?a?= " * 6 + "\n\n", Reason.TOO_MANY_ENCODED_WORDS),
        ("Content-Type: text/plain" + ";\n a=b" * 10 + "; c=d" * 95 + "\n\n", Reason.TOO_MANY_PARAMETERS),
        ("Content-Type: multipart/mixed; boundary=b\n\n" + "--b\n\n" * 6, Reason.TOO_MANY_PARTS),
        ("".join(NESTED.format(level) for level in range(4)), Reason.TOO_DEEP),
        ("Content-Type: message/rfc822\n\n" * 4, Reason.TOO_DEEP),
    ],
)
def test_each_limit_is_refused_with_its_reason(text: str, reason: Reason) -> None:
    """The sender is told which rule the message breaks."""
    with pytest.raises(Malformed) as refused:
        scan(message(text), SMALL)
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    "text",
    [
        "\n" + "a\n" * 1600,
        "\nx\n" + "y" * 1500 + "\n",
        "a: b\n" * 20 + "\n",
        "To: " + "a@b.example, " * 5 + "\n\n",
        "To: " + '"a, b, c, d, e" <a@b.example>\n\n',
        "Subject: " + "=?utf-8?q?a?= " * 5 + "\n\n",
        "Content-Type: multipart/mixed; boundary=b\n\n" + "--b\n\n" * 5,
        "".join(NESTED.format(level) for level in range(3)),
    ],
)
def test_what_only_touches_a_limit_is_taken(text: str) -> None:
    """The control of the test above: a limit refuses nothing below itself."""
    scan(message(text), SMALL)


@pytest.mark.parametrize("octets", [b"a\nb", b"a\rb", b"a\r", b"\n", b"\r\r\n", b"\r\n\n", b"a\r\n.\n\r\nb"])
def test_a_bare_line_feed_or_carriage_return_is_refused(octets: bytes) -> None:
    """Another server could read the end of the message in it, and what follows as a mail of ours (RFC 5322 §2.3)."""
    with pytest.raises(Malformed) as refused:
        scan(b"Subject: x\r\n\r\n" + octets)
    assert refused.value.reason is Reason.BARE_CR_OR_LF


def test_the_longest_line_is_told_with_its_number() -> None:
    """Who submits a line over 998 octets learns which one."""
    assert read("Subject: x\n\n" + "y" * 998 + "\n").longest_line is None
    longest = read("Subject: x\n\n" + "a" * 999 + "\nb\n" + "c" * 2000 + "\n" + "d" * 1500).longest_line
    assert longest is not None
    assert (longest.octets, longest.number) == (2000, 5)
    last = read("Subject: x\n\n" + "d" * 1500).longest_line
    assert last is not None
    assert (last.octets, last.number) == (1500, 3)


def test_the_limits_are_those_that_senders_are_told() -> None:
    """35 MiB, lines of 64 KiB, headers of 100 KiB and 1,000 lines, 100 addresses, 20 levels, 500 parts …"""
    told = Limits(
        octets=36_700_160,
        line_octets=65_536,
        header_octets=102_400,
        header_lines=1000,
        addresses=100,
        encoded_words=1000,
        parameters=100,
        depth=20,
        parts=500,
        header_octets_in_all=1_048_576,
        header_lines_in_all=10_000,
        encoded_words_in_all=5000,
        address_octets_in_all=98_304,
        parameters_in_all=2000,
    )
    assert told == LIMITS


def test_many_parts_do_not_multiply_the_limits_of_one() -> None:
    """What all headers of a message hold together is bounded, too."""
    for header in ("a: b\n" * 30, "X: " + "y" * 3000 + "\n", "Content-Type: text/plain" + ";a=b" * 40 + "\n"):
        text = "Content-Type: multipart/mixed; boundary=b\n\n" + f"--b\n{header}\nx\n" * 450
        with pytest.raises(Malformed):
            scan(message(text))


def test_a_refusal_never_quotes_the_message() -> None:
    """Reasons go to logs; names and subjects do not."""
    with pytest.raises(Malformed) as refused:
        read("Subject: Dominique\n\n" + "Dominique" * 8000)
    assert "Dominique" not in str(refused.value)
    assert "line 3" in str(refused.value)


@pytest.mark.parametrize("slice_octets", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("text", "is_fit"),
    [("a\r\n" * 9, True), ("a\r\n\r\n" * 5, True), ("a\r\nb\nc\r\n", False), ("a\r\r\nb\r\n", False)],
)
def test_line_ends_are_counted_alike_in_any_slices(
    monkeypatch: pytest.MonkeyPatch, slice_octets: int, text: str, *, is_fit: bool
) -> None:
    """A large message is looked at in slices, and a CRLF between two of them is one."""
    monkeypatch.setattr(lines, "SLICE_OCTETS", slice_octets)
    raw = b"Subject: x\r\n\r\n" + text.encode()
    if is_fit:
        assert scan(raw).size == len(raw)
    else:
        with pytest.raises(Malformed) as refused:
            scan(raw)
        assert refused.value.reason is Reason.BARE_CR_OR_LF
