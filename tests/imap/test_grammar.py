"""Commands mean what RFC 9051 and its extensions say."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.imap import commands as c
from mss.imap import searchkeys as k
from mss.imap.commands import Attribute, Piece, Section
from mss.imap.grammar import parse, plain_credentials, tag_of
from mss.imap.sets import STAR, SequenceSet
from mss.imap.tokens import NESTING_MAX, Bad
from mss.model.errors import BadValue
from mss.model.mailbox import Flag


def of(line: str, *literals: bytes) -> c.Command:
    """The command of a line; `\\0` stands for a literal."""
    tagged = parse(f"t {line}".encode(), literals)
    assert tagged.tag == "t"
    return tagged.command


def ranges(*pairs: tuple[int, int]) -> SequenceSet:
    return SequenceSet(pairs)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("noop", c.Noop()),
        ("ID NIL", c.Id()),
        ('ID ("name" "x" "version" NIL)', c.Id()),
        ("ID ()", c.Id()),
        ("AUTHENTICATE plain", c.Authenticate("PLAIN", None)),
        ("AUTHENTICATE PLAIN =", c.Authenticate("PLAIN", b"")),
        ("AUTHENTICATE PLAIN AGEAYg==", c.Authenticate("PLAIN", b"\0a\0b")),
        ('LOGIN marie "a \\"b\\" \\\\"', c.Login("marie", b'a "b" \\')),
        ("LOGIN marie a]b", c.Login("marie", b"a]b")),
        ("ENABLE condstore X", c.Enable(("CONDSTORE", "X"))),
        ("SELECT inbox", c.Select("INBOX")),
        ("SELECT InBoX/sub", c.Select("INBOX/sub")),
        ("EXAMINE &AOk-t&AOk-", c.Select("été", read_only=True)),
        ("SELECT a (CONDSTORE)", c.Select("a", condstore=True)),
        ("SELECT a (QRESYNC (7 20))", c.Select("a", resync=c.Resync(7, 20))),
        ("SELECT a (QRESYNC (7 20 1:9))", c.Select("a", resync=c.Resync(7, 20, ranges((1, 9))))),
        ("SELECT a (QRESYNC (7 20 1:9 (1,2 3,4)))", c.Select("a", resync=c.Resync(7, 20, ranges((1, 9))))),
        ("CREATE a", c.Create("a")),
        ("CREATE a (USE (\\drafts \\Sent))", c.Create("a", ("Drafts", "Sent"))),
        ("DELETE a", c.Delete("a")),
        ("RENAME a b", c.Rename("a", "b")),
        ("SUBSCRIBE a", c.Subscribe("a", subscribed=True)),
        ("UNSUBSCRIBE a", c.Subscribe("a", subscribed=False)),
        ('LIST "" *', c.List("", ("*",))),
        ('LIST "" ""', c.List("", ("",))),
        ('LIST () "" %', c.List("", ("%",), basic=False)),
        (
            'LIST (SUBSCRIBED RECURSIVEMATCH) "" ("a" b%) RETURN (CHILDREN STATUS (MESSAGES UIDNEXT))',
            c.List(
                "",
                ("a", "b%"),
                frozenset({"SUBSCRIBED", "RECURSIVEMATCH"}),
                frozenset({"CHILDREN", "STATUS"}),
                ("MESSAGES", "UIDNEXT"),
                basic=False,
            ),
        ),
        ('LSUB "" %', c.Lsub("", "%")),
        ("STATUS a (messages unseen messages)", c.Status("a", ("MESSAGES", "UNSEEN"))),
        ("CLOSE", c.Close(expunge=True)),
        ("UNSELECT", c.Close(expunge=False)),
        ("EXPUNGE", c.Expunge()),
        ("UID EXPUNGE 3:5,*", c.Expunge(ranges((3, 5), (STAR, STAR)))),
        ("STORE 2 FLAGS \\Seen $x", c.Store(ranges((2, 2)), c.StoreMode.REPLACE, c.Flags(Flag.SEEN, ("$x",)))),
        ("STORE 2 +FLAGS ()", c.Store(ranges((2, 2)), c.StoreMode.ADD, c.Flags())),
        (
            "UID STORE 2:1 (UNCHANGEDSINCE 9) -flags.silent (\\DELETED Foo foo)",
            c.Store(
                ranges((1, 2)),
                c.StoreMode.REMOVE,
                c.Flags(Flag.DELETED, ("Foo",)),
                silent=True,
                uid=True,
                unchanged_since=9,
            ),
        ),
        ("COPY 1:2 a", c.Copy(ranges((1, 2)), "a")),
        ("UID MOVE * a", c.Copy(ranges((STAR, STAR)), "a", uid=True, move=True)),
    ],
)
def test_commands(line: str, command: c.Command) -> None:
    """Each command becomes its value."""
    assert of(line) == command


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ("FAST", (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE)),
        ("all", (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE, Attribute.ENVELOPE)),
        ("FLAGS", (Attribute.FLAGS,)),
        ("(uid flags UID MODSEQ)", (Attribute.UID, Attribute.FLAGS, Attribute.MODSEQ)),
        ("BODY", (Attribute.BODY,)),
        ("(BODY BODYSTRUCTURE)", (Attribute.BODY, Attribute.STRUCTURE)),
        ("RFC822", (Section(b"RFC822", peek=False),)),
        ("RFC822.HEADER", (Section(b"RFC822.HEADER", piece=Piece.HEADER),)),
        ("BODY[]", (Section(b"BODY[]", peek=False),)),
        ("BODY.PEEK[]<10.20>", (Section(b"BODY[]<10>", span=(10, 20)),)),
        ("BODY[1.2.MIME]", (Section(b"BODY[1.2.MIME]", (1, 2), Piece.MIME, peek=False),)),
        ("body.peek[3.text]", (Section(b"BODY[3.TEXT]", (3,), Piece.TEXT),)),
        ("BODY[1.2]", (Section(b"BODY[1.2]", (1, 2), peek=False),)),
        (
            "(FLAGS BODY.PEEK[HEADER.FIELDS (To from)])",
            (
                Attribute.FLAGS,
                Section(b"BODY[HEADER.FIELDS (To from)]", piece=Piece.FIELDS, fields=(b"To", b"from")),
            ),
        ),
        (
            'BODY[1.HEADER.FIELDS.NOT ("a b")]',
            None,
        ),
        ("BINARY[1]", (c.Binary((1,), peek=False),)),
        ("BINARY.SIZE[1.2]", (c.Binary((1, 2), size_only=True),)),
        ("BODY[MIME]", None),
        ("BODY[1TEXT]", None),
        ("BODY[1.]", None),
        ("BODY[0]", None),
        ("BODY[]<1.0>", None),
        ("BODY[]<1>", None),
        ("(FLAGS FAST)", None),
        ("()", None),
        ("FLAGS ENVELOPE", None),
        ("BODY[HEADER.FIELDS ()]", None),
    ],
)
def test_fetch_items(items: str, expected: tuple[c.FetchItem, ...] | None) -> None:
    """FETCH's language: macros, items, sections, partials; None stands for a refusal."""
    if expected is None:
        with pytest.raises(Bad):
            of(f"FETCH 1 {items}")
    else:
        assert of(f"FETCH 1 {items}") == c.Fetch(ranges((1, 1)), expected)


def test_fetch_modifiers() -> None:
    """RFC 7162 §3.1.4.1 and §3.2.6."""
    assert of("UID FETCH 1 UID (CHANGEDSINCE 5 VANISHED)") == c.Fetch(
        ranges((1, 1)), (Attribute.UID,), uid=True, changed_since=5, vanished=True
    )
    for wrong in ("FETCH 1 UID (CHANGEDSINCE 5 VANISHED)", "UID FETCH 1 UID (VANISHED)", "FETCH 1 UID (X)"):
        with pytest.raises(Bad):
            of(wrong)


DAY = 9162  # 1 February 1995


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("ALL", k.All()),
        ("1:3,5", k.InSet(ranges((1, 3), (5, 5)))),
        ("*", k.InSet(ranges((STAR, STAR)))),
        ("UID 7", k.InSet(ranges((7, 7)), uid=True)),
        ("unseen", k.HasFlag(Flag.SEEN, wanted=False)),
        ("NEW", k.And((k.IsRecent(), k.HasFlag(Flag.SEEN, wanted=False)))),
        ("KEYWORD $x", k.HasKeyword("$x")),
        ("UNKEYWORD $x", k.HasKeyword("$x", wanted=False)),
        ('SUBJECT "a b"', k.HeaderHas("subject", "a b")),
        ('HEADER X-Foo ""', k.HeaderHas("x-foo", "")),
        ("TEXT x", k.TextHas("x", header_too=True)),
        ('BODY "é"', k.TextHas("é")),
        ("CHARSET ISO-8859-1 BODY x", k.TextHas("x")),
        ("LARGER 7", k.Larger(7)),
        ("BEFORE 1-Feb-1995", k.DayIs(k.DateOf.INTERNAL, -(1 << 40), DAY)),
        ('ON "1-feb-1995"', k.DayIs(k.DateOf.INTERNAL, DAY, DAY + 1)),
        ("SENTSINCE 1-Feb-1995", k.DayIs(k.DateOf.SENT, DAY, 1 << 40)),
        ("SAVEDON 1-Feb-1995", k.DayIs(k.DateOf.SAVED, DAY, DAY + 1)),
        ("YOUNGER 60", k.Within(60, younger=True)),
        ("OLDER 60", k.Within(60, younger=False)),
        ("MODSEQ 5", k.ModSeqFrom(5)),
        ('MODSEQ "/flags/\\\\draft" all 5', k.ModSeqFrom(5)),
        ("NOT SEEN", k.Not(k.HasFlag(Flag.SEEN))),
        ("OR SEEN (1 2)", k.Or(k.HasFlag(Flag.SEEN), k.And((k.InSet(ranges((1, 1))), k.InSet(ranges((2, 2))))))),
        ("SEEN 1", k.And((k.HasFlag(Flag.SEEN), k.InSet(ranges((1, 1)))))),
    ],
)
def test_search_keys(line: str, key: k.SearchKey) -> None:
    """SEARCH's language becomes its tree."""
    assert of(f"SEARCH {line}") == c.Search(key)


def test_search_reads_texts_in_their_charset() -> None:
    """The tree holds text, whatever octets it came in."""
    assert of("SEARCH CHARSET ISO-8859-15 BODY \0", b"\xbdd\xe8me") == c.Search(k.TextHas("œdème"))
    with pytest.raises(Bad) as refused:
        of("SEARCH CHARSET KOI-7 ALL")
    assert refused.value.code.startswith("BADCHARSET")
    with pytest.raises(Bad):
        of("SEARCH BODY \0", b"\xff")


def test_search_returns() -> None:
    """RFC 4731 §3.1: nothing in parentheses means ALL."""
    assert of("UID SEARCH return (min COUNT) ALL") == c.Search(k.All(), True, frozenset({"MIN", "COUNT"}))
    assert of("SEARCH RETURN () ALL") == c.Search(k.All(), False, frozenset({"ALL"}))


def test_append() -> None:
    """Flags and date are optional; the date keeps its zone."""
    message = b"Subject: x\r\n\r\n"
    assert of("APPEND a \0", message) == c.Append("a", c.Flags(), None, message)
    moment = datetime(1996, 7, 17, 2, 44, 25, tzinfo=timezone(timedelta(hours=-7)))
    line = 'APPEND a (\\Seen $x) "17-Jul-1996 02:44:25 -0700" \0'
    assert of(line, message) == c.Append("a", c.Flags(Flag.SEEN, ("$x",)), moment, message)


@pytest.mark.parametrize(
    "line",
    [
        "NOOP x", "LOGIN a", "LOGIN a b c", "ENABLE", "SELECT", "SELECT a (", "SELECT a ()", "LIST a", "STATUS a ()",
        "STATUS a (X)", "APPEND a", "APPEND a x", "FETCH 0 FLAGS", "FETCH 1:0 FLAGS", "FETCH 4294967296 FLAGS",
        "FETCH 1, FLAGS", "FETCH a FLAGS", "STORE 1 FLAGS", "STORE 1 FLAGS (\\Recent)", "STORE 1 FLAGS \\", "COPY 1",
        "UID NOOP", "UID", "SEARCH", "SEARCH OR ALL", "SEARCH NOT", "SEARCH (ALL", "SEARCH ON 31-Feb-2026",
        "SEARCH ON 1-Jan-99999", "SEARCH LARGER -1", "LIST (RECURSIVEMATCH) \"\" *", "UID EXPUNGE", "ID (a", "\xe9",
        "STORE 1 FLAGS (" + "k" * 65 + ")", "LIST \"\" (a b", "AUTHENTICATE PLAIN !!", "CREATE a (USE (Sent))",
    ],
)  # fmt: skip
def test_what_is_no_command_is_refused(line: str) -> None:
    """Refused as BAD, with words, never with an exception of ours or Python's."""
    with pytest.raises(Bad) as refused:
        of(line)
    assert refused.value.status == "BAD"
    assert refused.value.text


@pytest.mark.parametrize(
    "line",
    [
        "SEARCH " + "(" * 1000 + "ALL" + ")" * 1000,
        "SEARCH " + "NOT " * 1000 + "ALL",
        "SEARCH " + "OR ALL " * 1000 + "ALL",
        "FETCH 1 " + "(" * 1000,
        "SELECT a " + "(" * 1000,
        "SEARCH " + "ALL " * 1000 + "ALL",
        "FETCH 1 BODY[" + "1." * 1000 + "1]",
        "FETCH 1 (" + " ".join(f"BODY[{n}]" for n in range(1, 1000)) + ")",
        "FETCH 1 BODY[HEADER.FIELDS (" + "x " * 1000 + "x)]",
        "ID (" + '"a" "b" ' * 1000 + ")",
        "STORE 1 FLAGS (" + " ".join(f"k{n}" for n in range(1000)) + ")",
    ],
)
def test_a_thousand_of_anything_is_refused(line: str) -> None:
    """Nesting and lists have limits that people never meet."""
    with pytest.raises(Bad):
        of(line)


def test_nesting_that_people_use_is_fine() -> None:
    """Below the limit nothing is refused."""
    depth = NESTING_MAX - 1
    of("SEARCH " + "(" * depth + "ALL" + ")" * depth)


@given(st.text(alphabet=st.characters(codec="latin-1"), max_size=60))
def test_any_arguments_give_a_command_or_a_refusal(arguments: str) -> None:
    """No line whatever makes the grammar fall over."""
    for verb in ("FETCH", "SEARCH", "LIST", "STORE", "SELECT", "APPEND", "UID FETCH", "ID", "STATUS"):
        try:
            parse(f"t {verb} {arguments}".encode("latin-1"), (b"x",) * arguments.count("\0"))
        except Bad:
            pass


def test_the_tag_of_a_broken_line_is_found() -> None:
    """A refusal carries the client's tag when there is one."""
    assert tag_of(b"a7 FROB") == "a7"
    assert tag_of(b"a7") == "a7"
    assert tag_of(b"+ x") == "*"
    assert tag_of(b"") == "*"


def test_plain_credentials() -> None:
    """RFC 4616 §2."""
    assert plain_credentials(b"\0marie\0pass word") == ("", "marie", b"pass word")
    for wrong in (b"", b"\0a", b"a\0b\0c\0d", b"\0\0x", b"\0a\0", b"\0\xff\0x"):
        with pytest.raises(BadValue):
            plain_credentials(wrong)
