"""Messages made to stop a server: each is answered at once, whatever the answer."""

from __future__ import annotations

import email
import time

import pytest

from mss.formats.mime import decode_text, scan
from mss.formats.summary import summarise
from mss.model.errors import Malformed
from mss.model.verdict import Reason

CPU_SECONDS_MAX = 0.3
HEAD = b"From: a@b.example\r\nMIME-Version: 1.0\r\n"
MIXED = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


def nested(levels: int) -> bytes:
    return HEAD + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level) for level in range(levels)
    )


def field(name: bytes, value: bytes) -> bytes:
    return HEAD + name + b": " + value + b"\r\n\r\nx"


def folded(value: bytes) -> bytes:
    """The same words on short lines, so that the limit on lines does not answer first."""
    return value.replace(b" ", b"\r\n ")


# The inputs that stop a standard parser, and variants that pass the first limits (facts: security, finding 3).
REFUSED = {
    "50,000 encoded words": field(b"Subject", b"=?utf-8?q?a?= " * 50_000),
    "7,000 encoded words, folded by tens": field(b"Subject", folded(b"=?utf-8?q?a?=" * 10 + b" ") * 700),
    "a header line of 5 MB": field(b"Subject", b"a" * 5_000_000),
    "a folded header of 5 MB": field(b"Subject", folded(b"a " * 1_500_000)),
    "20,000 RFC 2231 parameters": field(b"Content-Type", b"text/plain" + b"; n*1=a" * 20_000),
    "8,000 RFC 2231 parameters within a line": field(b"Content-Type", b"text/plain" + b"; n*1=a" * 8_000),
    "100,000 parts": MIXED + b"--b\r\n\r\nx\r\n" * 100_000,
    "20,000 addresses": field(b"To", b"a@b.example, " * 20_000),
    "4,000 addresses within a line": field(b"To", b"a@b.example, " * 4_000),
    "3,000 nested multiparts": nested(3_000),
    "2,000 nested messages": HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 2_000,
    "25,000 tiny fields": HEAD + b"a:\r\n" * 25_000 + b"\r\n",
    "490 parts of 990 fields": MIXED + (b"--b\r\n" + b"a:b\r\n" * 990 + b"\r\nx\r\n") * 490,
    "490 parts of 99 parameters": MIXED + (b"--b\r\nContent-Type: a/b" + b";a=b" * 99 + b"\r\n\r\nx\r\n") * 490,
    "60,000 groups in 240 messages": MIXED
    + (b"--b\r\nContent-Type: message/rfc822\r\n\r\nTo: " + b"a:;" * 250 + b"\r\n\r\nx\r\n") * 240,
}
TAKEN = {
    "5,000 open parentheses": field(b"To", b"(" * 5_000),
    "60,000 open parentheses": field(b"To", b"(" * 60_000),
    "30,000 empty comments": field(b"Content-Type", b"text/plain; " + b"()" * 30_000),
    "60,000 open brackets": field(b"To", b"<" * 60_000),
    "60,000 colons": field(b"To", b":" * 60_000),
    "30,000 escaped quotes": field(b"To", b'"' + b'\\"' * 30_000),
    "30,000 escaped quotes in a parameter": field(b"Content-Type", b'text/plain; a="' + b'\\"' * 30_000),
    "60,000 semicolons": field(b"Content-Type", b"text/plain" + b";" * 60_000),
    "20,000 ids": field(b"References", b"<a>" * 20_000),
    "60,000 openings of an id": field(b"Message-ID", b"<" * 60_000),
    "990 unknown charsets": field(b"Subject", b" ".join(b"=?x%d?q?a?=" % number for number in range(990))),
    "1,000,000 empty lines": HEAD + b"\r\n" * 1_000_000,
    "1,000,000 lines that begin like a boundary": MIXED + b"--\r\n" * 1_000_000,
    "20 levels and no end": nested(20) + b"\r\n" + b"aaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 50_000,
    "50,000 style sheets": HEAD + b"Content-Type: text/html\r\n\r\n" + (b"<style>" * 100 + b"\r\n") * 500,
    "100,000 opening tags": HEAD + b"Content-Type: text/html\r\n\r\n" + (b"<" * 200 + b"\r\n") * 500,
    "500,000 ends of base64": HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + (b"QQ==" * 100 + b"\r\n") * 5_000,
}


def cpu_seconds(raw: bytes) -> tuple[float, Reason | None]:
    """What scanning, rendering and reading cost, at best of three: other tests share the machine."""
    best, reason = 60.0, None
    for _ in range(3):
        begin = time.thread_time()
        try:
            structure = scan(raw)
            summarise(raw, structure)
            for leaf in structure.leaves():
                decode_text(raw, leaf)
        except Malformed as refused:
            reason = refused.reason
        best = min(best, time.thread_time() - begin)
        if best < CPU_SECONDS_MAX:
            break
    return best, reason


@pytest.mark.parametrize("name", REFUSED)
def test_a_bomb_is_refused_at_once(name: str) -> None:
    """A stranger's mail does not hold up the door."""
    seconds, reason = cpu_seconds(REFUSED[name])
    assert reason is not None
    assert seconds < CPU_SECONDS_MAX


@pytest.mark.parametrize("name", TAKEN)
def test_an_odd_message_within_the_limits_is_read_at_once(name: str) -> None:
    """What no limit forbids must be cheap, too."""
    seconds, reason = cpu_seconds(TAKEN[name])
    assert reason is None
    assert seconds < CPU_SECONDS_MAX


def test_twice_the_octets_cost_about_twice_the_time() -> None:
    """No shape of message makes the scan quadratic: the dearest ones, at two sizes."""

    def shape(size: int) -> list[bytes]:
        return [
            MIXED + b"--\r\n" * size,
            MIXED + b"--b--\r\n" * size,
            nested(19) + b"\r\n" + b"--b1x\r\n" * (size // 8),
            HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 19 + b"a\r\n" * size,
        ]

    for small, large in zip(shape(100_000), shape(800_000), strict=True):
        quick, _ = cpu_seconds(small)
        slow, _ = cpu_seconds(large)
        assert slow < max(quick, 0.002) * 8 * 4


def test_scanning_and_rendering_cost_about_what_the_standard_parser_costs() -> None:
    """Safety is not paid for in speed: scan, envelope, structure and preview in less than a parse and a half."""
    text = b"Bonjour, veuillez trouver ci-joint le compte rendu.\r\n" * 40
    pdf = b"JVBERi0xLjcKJeLjz9MKMSAwIG9iago8PCAvVHlwZSAvQ2F0YWxvZyAvUGFnZXMgMiAwIFIgPj4K\r\n" * 80
    raw = (
        b"Received: from a.example by b.example; Sat, 21 Nov 2026 10:00:00 +0100\r\n" * 3
        + b"From: =?utf-8?q?Laboratoire?= <bio@labo.example>\r\nTo: a@b.example\r\nSubject: x\r\nMessage-ID: <a@b>\r\n"
        + MIXED
        + b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        + text
        + b"\r\n--b\r\nContent-Type: application/pdf; name=x.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + pdf
        + b"\r\n--b--\r\n"
    )

    def best(work: object) -> float:
        times = []
        for _ in range(60):
            begin = time.thread_time()
            work()  # type: ignore[operator]
            times.append(time.thread_time() - begin)
        return min(times)

    ours = best(lambda: summarise(raw, scan(raw)))
    assert ours < 1.5 * best(lambda: email.message_from_bytes(raw))


def test_25_megabytes_are_scanned_in_a_blink() -> None:
    """The largest honest mail does not delay the next one."""
    line = b"JVBERi0xLjcKJeLjz9MKMSAwIG9iago8PCAvVHlwZSAvQ2F0YWxvZyAvUGFnZXMgMiAwIFIgPj4K\r\n"
    raw = MIXED + b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + line * 320_000 + b"--b--\r\n"
    best = 60.0
    for _ in range(3):
        begin = time.thread_time()
        structure = scan(raw)
        best = min(best, time.thread_time() - begin)
    assert structure.root.children[0].size > 24_000_000
    assert best < 0.5  # 0.08 s measured on the reference machine; others share it
