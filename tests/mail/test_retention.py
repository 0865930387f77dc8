"""When old mail may go: never untold, never earlier than told, and a late warning moves the day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mss.mail.retention import Round, Rules, Step, bounds, judge, still
from mss.model.clock import to_ms
from mss.model.mailbox import MailboxKind
from mss.model.mailbox import RetentionRule as Rule

DUE = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
UNTOLD = Round(DUE, {Rule.TRASH: 5})
TOLD = replace(UNTOLD, told=DUE - 30 * DAY)
REMINDED = replace(TOLD, reminded=DUE - 7 * DAY)


@pytest.mark.parametrize(
    ("running", "meant", "days_left", "step"),
    [
        (None, 0, 31, Step.NOTHING),
        (None, 3, 31, Step.BEGIN),
        (UNTOLD, 3, 31, Step.TELL),
        (UNTOLD, 3, 30, Step.TELL),
        (UNTOLD, 3, 29.9, Step.BEGIN),  # too late to be told a month ahead: another day
        (UNTOLD, 3, -400, Step.BEGIN),
        (TOLD, 3, 29, Step.NOTHING),
        (TOLD, 3, 8.1, Step.NOTHING),
        (TOLD, 3, 8, Step.REMIND),
        (TOLD, 3, 7, Step.REMIND),
        (TOLD, 3, 6.9, Step.MOVE),
        (TOLD, 3, -1, Step.MOVE),  # never deleted after one warning
        (REMINDED, 3, 0.1, Step.NOTHING),
        (REMINDED, 3, 0, Step.DELETE),
        (REMINDED, 3, -7, Step.DELETE),
        (REMINDED, 3, -7.1, Step.MOVE),  # nobody remembers the warning
        (UNTOLD, 0, 31, Step.END),
        (TOLD, 0, 8, Step.END),
        (REMINDED, 0, 0, Step.END),
    ],
)
def test_each_moment_of_a_round(running: Round | None, meant: int, days_left: float, step: Step) -> None:
    """A table of the judge."""
    assert judge(running, meant, DUE - timedelta(days=days_left)) == step


def test_a_patients_mail_is_kept_whatever_is_set() -> None:
    """And what is not set is kept."""
    rules = Rules(trash=60 * DAY, mailbox={MailboxKind.OFFICE: 90 * DAY, MailboxKind.PATIENT: 90 * DAY})
    assert rules.of(MailboxKind.PATIENT) == {}
    assert rules.of(MailboxKind.PERSONAL) == {Rule.TRASH: 60 * DAY}
    assert rules.of(MailboxKind.OFFICE) == {Rule.TRASH: 60 * DAY, Rule.MAILBOX: 90 * DAY}
    assert Rules().of(MailboxKind.OFFICE) == {}


def test_settings_that_became_shorter_do_not_reach_what_was_not_told() -> None:
    """Longer ones count at once; a rule that was taken back ends its part."""
    ages = {Rule.TRASH: 60 * DAY, Rule.MAILBOX: 365 * DAY}
    told = bounds(ages, DUE)
    assert told == {Rule.TRASH: to_ms(DUE - 60 * DAY), Rule.MAILBOX: to_ms(DUE - 365 * DAY)}
    assert still(told, bounds({Rule.TRASH: 31 * DAY, Rule.MAILBOX: 365 * DAY}, DUE)) == told
    assert still(told, bounds({Rule.TRASH: 90 * DAY}, DUE)) == {Rule.TRASH: to_ms(DUE - 90 * DAY)}
