"""What may be done with a mailbox in each state of its life?"""

from __future__ import annotations

import pytest

from mss.accounts.lifecycle import LifeEvent, Wish, judge, next_state
from mss.model.mailbox import AccountState
from mss.model.verdict import Accept, Later, Reason, Refuse

S = AccountState


@pytest.mark.parametrize("state", [None, S.PROVISIONED, S.SUSPENDED, S.CLOSED])
def test_only_an_active_account_signs_in_and_all_others_look_alike(state: AccountState | None) -> None:
    """Whoever tries a login learns nothing about it."""
    assert judge(state, Wish.SIGN_IN) == Refuse(Reason.AUTHENTICATION_FAILED)
    assert judge(S.ACTIVE, Wish.SIGN_IN) == Accept()


def test_a_mailbox_takes_mail_before_its_person_comes() -> None:
    """Nothing is lost between enrolment and activation."""
    assert judge(S.PROVISIONED, Wish.RECEIVE) == Accept()
    assert judge(S.PROVISIONED, Wish.SEND) != Accept()


def test_a_suspended_mailbox_is_not_now_and_a_closed_one_never() -> None:
    """The sender's server tries again after the first, and tells its user at once of the second."""
    assert judge(S.SUSPENDED, Wish.RECEIVE) == Later(Reason.MAILBOX_SUSPENDED)
    assert judge(S.CLOSED, Wish.RECEIVE) == Refuse(Reason.MAILBOX_CLOSED)
    assert judge(None, Wish.RECEIVE) == Refuse(Reason.MAILBOX_UNKNOWN)


def test_a_life_has_no_short_cuts() -> None:
    """A closed mailbox is reopened, never resumed; whoever never came is not suspended."""
    assert next_state(S.CLOSED, LifeEvent.RESUME) is None
    assert next_state(S.PROVISIONED, LifeEvent.SUSPEND) is None
    assert next_state(S.CLOSED, LifeEvent.REOPEN) is S.ACTIVE
    assert next_state(S.ACTIVE, LifeEvent.SUSPEND) is S.SUSPENDED


def test_every_state_but_closed_can_be_closed() -> None:
    """Closing is a right, at any time."""
    assert [s for s in S if next_state(s, LifeEvent.CLOSE) is not S.CLOSED] == [S.CLOSED]
