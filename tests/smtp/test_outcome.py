"""Are another server's words kept for the sender, and kept out of everything else?"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mss.model.ids import MailAddress
from mss.model.verdict import Reason
from mss.smtp import outcome
from mss.smtp.outcome import Setback, Words

WHO = MailAddress.parse("279035121518989@patient.mssante.example")
AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "text", "enhanced"),
    [
        (550, "5.1.1 No such mailbox", "5.1.1"),
        (550, "No such mailbox", "5.0.0"),
        (550, "4.1.1 confused", "5.0.0"),
        (450, "4.2.1", "4.2.1"),
        (451, "", "4.0.0"),
        (550, "5.1.1x", "5.0.0"),
    ],
)
def test_the_enhanced_code_is_theirs_or_a_general_one(code: int, text: str, enhanced: str) -> None:
    """RFC 3463: the class is that of the reply."""
    assert Words(code, text).enhanced == enhanced


def test_words_become_one_plain_line() -> None:
    """Several lines, controls and what is not ASCII cannot break a notice."""
    words = Words(550, "5.1.1 gone\n\r\n5.1.1\tfor\x1b[31m good\u2028é" + "x" * 9999)
    assert str(words).startswith("550 5.1.1 gone 5.1.1 for [31m good ")
    assert len(words.text) <= 500


def test_what_strangers_say_stays_out_of_log_and_queue() -> None:
    """They like to repeat the address that they refuse, and it is an INS."""
    setback = Setback(Reason.PEER_REFUSED, words=Words(550, f"5.1.1 <{WHO}> unknown"))
    assert setback.told == "peer-refused 550 5.1.1"
    assert str(WHO) in outcome.failed(WHO, setback, "mx.example", AT).diagnostic


@pytest.mark.parametrize(
    ("reason", "status", "told"),
    [
        (Reason.PEER_UNREACHABLE, "4.4.1", Reason.PEER_UNREACHABLE),
        (Reason.PEER_CERTIFICATE_WRONG, "4.7.5", Reason.PEER_CERTIFICATE_WRONG),
        (Reason.OUR_CERTIFICATE_REFUSED, "4.7.5", Reason.OUR_CERTIFICATE_REFUSED),
        (Reason.TRUST_LIST_STALE, "4.4.7", Reason.EXPIRED),
        (Reason.PEER_REFUSED, "4.4.7", Reason.EXPIRED),
    ],
)
def test_when_time_is_over_the_last_trouble_is_told(reason: Reason, status: str, told: Reason) -> None:
    """The codes of docs/reasons.md."""
    failure = outcome.expired(WHO, Setback(reason, "x"), "mx.example", AT)
    assert (failure.status, failure.reason, failure.diagnostic) == (status, told, "")
