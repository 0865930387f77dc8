"""Has every reason its words at the mail doors, the ones that docs/reasons.md promises?"""

from __future__ import annotations

import re

import pytest

from mss.model.verdict import Accept, Later, Reason, Refuse
from mss.smtp.replies import NOT_AT_THIS_DOOR, REPLIES, reply_to
from tests.kit.reading import table


def test_every_reason_has_a_reply_or_never_comes() -> None:
    """A new reason is given words before it can be met."""
    assert set(REPLIES) | NOT_AT_THIS_DOOR == set(Reason)
    assert not set(REPLIES) & NOT_AT_THIS_DOOR


@pytest.mark.parametrize("reason", Reason)
def test_no_is_never_later_and_later_is_never_no(reason: Reason) -> None:
    """A Later never bounces mail; a Refuse never keeps a peer trying for days."""
    assert reply_to(Later(reason)).code // 100 == 4
    assert reply_to(Refuse(reason)).code // 100 == 5
    for reply in (reply_to(Later(reason)), reply_to(Refuse(reason))):
        assert reply.enhanced.startswith(str(reply.code)[0])
        assert len(reply.line) <= 512  # RFC 5321 §4.5.3.1.5


@pytest.mark.parametrize("reason", REPLIES)
def test_the_page_of_reasons_tells_the_codes_that_are_sent(reason: Reason) -> None:
    """People look codes up in docs/reasons.md."""
    codes = {row[0]: row[1] for row in table("docs/reasons.md", "")}
    reply = REPLIES[reason]
    assert codes[reason.value] == f"{reply.code} {reply.enhanced}"


def test_only_a_line_number_of_the_detail_is_told() -> None:
    """A detail is for our log; a line's number helps who wrote the line."""
    assert "line 12 is" in str(reply_to(Refuse(Reason.LINE_TOO_LONG, "12")))
    for detail in ("", "12a", "²", "Dominique", "12\r\n250 Ok"):
        assert reply_to(Refuse(Reason.LINE_TOO_LONG, detail)) == REPLIES[Reason.LINE_TOO_LONG]
    assert "secret" not in str(reply_to(Refuse(Reason.HEADER_MALFORMED, "secret")))


def test_yes_is_250() -> None:
    """Accept needs no reason."""
    assert reply_to(Accept()).code == 250


def test_replies_are_plain_ascii_lines() -> None:
    """What goes out is one line that any client can read."""
    for reply in REPLIES.values():
        assert re.fullmatch(rb"[245]\d\d [245]\.\d\.\d{1,2} [ -~]+\r\n", reply.line)
