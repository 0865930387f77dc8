"""ENVELOPE, BODY and BODYSTRUCTURE as they go on the wire."""

from __future__ import annotations

import pytest

from mss.formats.imapstructure import bodystructure, envelope
from mss.formats.mime import scan
from tests.formats.test_mime import FORWARD, message

PERSON = '((NIL NIL "a" "b.example"))'


def told(text: str) -> str:
    """The ENVELOPE, as text."""
    return envelope(scan(message(text))).decode("latin-1")


def body(text: str, extended: bool = False) -> str:
    return bodystructure(scan(message(text)).root, extended).decode("latin-1")


# RFC 9051 §7.5.2 and §8 (the sample dialogue), people and hosts replaced

COMMITTEE = """Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
From: Terry Gray <gray@cac.example>
Subject: IMAP4rev2 WG mtg summary and minutes
To: imap@cac.example
cc: minutes@cnri.example, John Klensin <KLENSIN@jck.example>
Message-Id: <B27397-0100000@cac.example>
MIME-Version: 1.0
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

"""


def test_the_sample_dialogue_of_the_rfc() -> None:
    """ENVELOPE of RFC 9051 §8: sender and reply-to are the author when they are not said."""
    gray = '(("Terry Gray" NIL "gray" "cac.example"))'
    assert told(COMMITTEE) == (
        '("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes" '
        f'{gray} {gray} {gray} ((NIL NIL "imap" "cac.example")) '
        '((NIL NIL "minutes" "cnri.example")("John Klensin" NIL "KLENSIN" "jck.example")) NIL NIL '
        '"<B27397-0100000@cac.example>")'
    )
    lines = "x" * 30 + "\n"
    assert body(COMMITTEE + lines * 92) == '("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 2944 92)'


def test_two_parts_as_in_the_rfc() -> None:
    """BODY of a text with a text attached (RFC 9051 §7.5.2)."""
    text = """MIME-Version: 1.0
Content-Type: MULTIPART/MIXED; BOUNDARY=x

--x
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

hello
--x
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME="cc.diff"
Content-ID: <960723163407.20117h@cac.example>
Content-Description: Compiler diff
Content-Transfer-Encoding: BASE64

QQ==
QQ==
--x--
"""
    assert body(text) == (
        '(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 5 0)'
        '("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.example>" '
        '"Compiler diff" "BASE64" 10 1) "MIXED")'
    )


def test_a_forwarded_message_is_told_with_its_envelope() -> None:
    """The whole tree, with extension data, in the order of RFC 9051 §9 body-type-mpart and body-type-msg."""
    luc = '(("Luc Petit" NIL "luc.petit" "labo.mssante.example"))'
    assert body(FORWARD, extended=True) == (
        '((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0 NIL NIL NIL NIL)'
        '("text" "html" ("charset" "us-ascii") NIL NIL "7bit" 11 0 NIL NIL NIL NIL)'
        ' "alternative" ("boundary" "inner") NIL NIL NIL)'
        f'("message" "rfc822" NIL NIL NIL "7bit" 175 (NIL "forwarded" {luc} {luc} {luc} NIL NIL NIL NIL NIL)'
        ' (("application" "pdf" NIL NIL NIL "7bit" 4 NIL NIL NIL NIL) "mixed" ("boundary" "deep") NIL NIL NIL)'
        " 9 NIL NIL NIL NIL)"
        '("message" "rfc822" NIL NIL NIL "7bit" 23 (NIL "short" NIL NIL NIL NIL NIL NIL NIL NIL)'
        ' ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL)'
        ' "mixed" ("boundary" "outer") NIL NIL NIL)'
    )


def test_every_extension_field_has_its_place() -> None:
    """md5, disposition, language, location (RFC 9051 §9 body-ext-1part)."""
    text = """Content-Type: text/x-own; foo="quoted\\"string"
Content-ID: <foo@example>
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==
Content-Disposition: INLINE; foo=bar; size=12
Content-Description: hello
 description
Content-Language: fr, en-GB
Content-Location: http://x.example/a
 b

hello
"""
    assert body(text, extended=True) == (
        '("text" "x-own" ("foo" "quoted\\"string" "charset" "us-ascii") "<foo@example>" "hello description" "7bit" 7 1 '
        '"Q2hlY2sgSW50ZWdyaXR5IQ==" ("INLINE" ("foo" "bar" "size" "12")) ("fr" "en-GB") "http://x.example/a b")'
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("Content-Disposition: attachment", '("attachment" NIL)'),
        ('Content-Disposition: attachment; filename="x"', '("attachment" ("filename" "x"))'),
        ("Content-Disposition: attachment; filename*=utf-8''%C3%A9", '("attachment" ("filename*" "utf-8\'\'%C3%A9"))'),
        (
            "Content-Disposition: attachment; filename*0*=utf-8''%C3; filename*1*=%A9; filename*2=\"5%\"",
            '("attachment" ("filename*" "utf-8\'\'%C3%A95%25"))',
        ),
        ("Content-Disposition: attachment; filename*0=a; filename*1=b", '("attachment" ("filename" "ab"))'),
        ('Content-Disposition: attachment; filename="\xe9\xe8"', '("attachment" ("filename" {2}\r\n\xe9\xe8))'),
        ('Content-Disposition: "attachment"; filename=x', '("attachment" ("filename" "x"))'),
        ("Content-Disposition:", "NIL"),
    ],
)
def test_a_disposition_is_told_as_sent(fields: str, expected: str) -> None:
    """Segments joined, encoding kept: the client decodes; octets that a quoted string cannot hold go as a literal."""
    text = f"MIME-Version: 1.0\nContent-Type: image/png\n{fields}\n\n"
    assert body(text, extended=True) == f'("image" "png" NIL NIL NIL "7bit" 0 NIL {expected} NIL NIL)'


EMPTY = '("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Content-Type: multipart/mixed; boundary=x\n\nno part", f'({EMPTY}) "mixed")'),
        ("\nhello\n", '("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1)'),
        ("", f"{EMPTY})"),
        ("Content-Type: multipart/mixed\n\nhello", '("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0)'),
        (
            "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: message/rfc822\n--x--",
            f'(("message" "rfc822" NIL NIL NIL "7bit" 0 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) {EMPTY}) 0) "mixed")',
        ),
        (
            "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQQ==",
            '("application" "octet-stream" NIL NIL NIL "base64" 4)',
        ),
    ],
)
def test_odd_messages_still_fit_the_grammar(text: str, expected: str) -> None:
    """A client's parser never meets an empty list or a message without its envelope."""
    assert body(text) == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("To: a@b.example", PERSON),
        ("To: <@r.example:a@b.example>", '((NIL "@r.example" "a" "b.example"))'),
        (
            "To: team: a@b.example, c@d.example;, e@f.example",
            '((NIL NIL "team" NIL)(NIL NIL "a" "b.example")(NIL NIL "c" "d.example")(NIL NIL NIL NIL)'
            '(NIL NIL "e" "f.example"))',
        ),
        ("To: undisclosed-recipients:;", '((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))'),
        ("To: =?utf-8?q?Ren=C3=A9?= <a@b.example>", '(("=?utf-8?q?Ren=C3=A9?=" NIL "a" "b.example"))'),
        ("To: Ren\xe9 <a@b.example>", '(({4}\r\nRen\xe9 NIL "a" "b.example"))'),
        ('To: "A \\"B\\" \\\\" <a@b.example>', '(("A \\"B\\" \\\\" NIL "a" "b.example"))'),
        ("To: a", '((NIL NIL "a" "MISSING_DOMAIN"))'),
        ("To: A B", '(("A B" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))'),
        ("To: A\n B <a@b.example>,\n\t<c@d.example>", '(("A B" NIL "a" "b.example")(NIL NIL "c" "d.example"))'),
        ("To:", "NIL"),
        ("To: a@b.example\nTo: c@d.example", '((NIL NIL "a" "b.example")(NIL NIL "c" "d.example"))'),
    ],
)
def test_addresses_are_told_as_sent(field: str, expected: str) -> None:
    """Groups, routes, quotes, raw octets, repeated fields (RFC 9051 §7.5.2)."""
    assert told(field + "\n\n") == f"(NIL NIL NIL NIL NIL {expected} NIL NIL NIL NIL)"


def test_texts_of_the_envelope_are_one_line() -> None:
    """Folds and runs of space in a subject become one space; other values lose their folds; all are trimmed."""
    text = 'Subject:  a\n\t b   "c"  \nDate:\n x\n  y \nMessage-ID:\n <1@x>\nIn-Reply-To: \nBcc: a@b.example\n\n'
    assert told(text) == f'("x  y" "a b \\"c\\"" NIL NIL NIL NIL NIL {PERSON} "" "<1@x>")'


def test_sender_and_reply_to_stand_when_they_are_said() -> None:
    """An empty field counts as unsaid."""
    text = "From: a@b.example\nSender: c@d.example\nReply-To:\n\n"
    assert told(text) == f'(NIL NIL {PERSON} ((NIL NIL "c" "d.example")) {PERSON} NIL NIL NIL NIL NIL)'


def test_of_a_subject_said_twice_the_first_counts() -> None:
    """The list of messages and the client's header say the same."""
    assert told("Subject: one\nSubject: two\n\n").startswith('(NIL "one" ')
