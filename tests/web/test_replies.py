"""Does every refusal have its words?"""

from __future__ import annotations

import pytest

from mss.model.verdict import Later, Reason, Refuse
from mss.web.replies import REPLIES, reply_to
from mss.web.words import words_of


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_sentence_in_both_languages(reason: Reason) -> None:
    """Whatever a room answers, she reads what she can do, and never the reason's own name."""
    for verdict in (Refuse(reason, "inner detail"), Later(reason, "inner detail")):
        said = reply_to(verdict)
        assert 400 <= said.status < 600
        assert said.sentence.endswith(".")
        assert words_of("en").gettext(said.sentence) != said.sentence
        assert reason.value not in said.sentence
        assert "inner" not in said.sentence


def test_what_she_can_cause_is_not_called_our_fault() -> None:
    """A fault of ours is 500; these are not."""
    assert not [reason for reason, reply in REPLIES.items() if reply.status == 500]
    assert reply_to(Refuse(Reason.CONVERSATION_NOT_OPEN)).status == 409
