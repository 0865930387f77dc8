"""What may be done with a mailbox in each state of its life, and how does it pass from one state to the next?

Pure: a state and a wish in, a verdict out; a state and an event in, the next state out. It never looks anybody up
and never decides who may cause an event; that is for whoever calls.
"""

from __future__ import annotations

from enum import StrEnum

from mss.model.mailbox import AccountState
from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict


class Wish(StrEnum):
    """What somebody wants to do with a mailbox or an account."""

    SIGN_IN = "sign-in"
    RECEIVE = "receive"
    SEND = "send"


class LifeEvent(StrEnum):
    """What happens to a mailbox in its life."""

    ACTIVATE = "activate"
    SUSPEND = "suspend"
    RESUME = "resume"
    RETIRE = "retire"
    """Its holder leaves: she may still read it."""
    CLOSE = "close"
    REOPEN = "reopen"


_PASSES: dict[tuple[AccountState, LifeEvent], AccountState] = {
    (AccountState.PROVISIONED, LifeEvent.ACTIVATE): AccountState.ACTIVE,
    (AccountState.PROVISIONED, LifeEvent.CLOSE): AccountState.CLOSED,
    (AccountState.ACTIVE, LifeEvent.SUSPEND): AccountState.SUSPENDED,
    (AccountState.ACTIVE, LifeEvent.CLOSE): AccountState.CLOSED,
    (AccountState.SUSPENDED, LifeEvent.RESUME): AccountState.ACTIVE,
    (AccountState.SUSPENDED, LifeEvent.CLOSE): AccountState.CLOSED,
    (AccountState.ACTIVE, LifeEvent.RETIRE): AccountState.READ_ONLY,
    (AccountState.SUSPENDED, LifeEvent.RETIRE): AccountState.READ_ONLY,
    (AccountState.READ_ONLY, LifeEvent.SUSPEND): AccountState.SUSPENDED,
    (AccountState.READ_ONLY, LifeEvent.RESUME): AccountState.ACTIVE,
    (AccountState.READ_ONLY, LifeEvent.CLOSE): AccountState.CLOSED,
    (AccountState.CLOSED, LifeEvent.REOPEN): AccountState.ACTIVE,
}


def judge(state: AccountState | None, wish: Wish) -> Verdict:
    """May this be done now? `None` is a mailbox that nobody knows.

    A provisioned mailbox takes mail, so that nothing is lost before its person comes; nobody signs in to it. To
    whoever signs in, every other state but READ_ONLY looks like a wrong password: a state is its holder's business.
    """
    if wish is Wish.SIGN_IN:
        may = state in (AccountState.ACTIVE, AccountState.READ_ONLY)
        return Accept() if may else Refuse(Reason.AUTHENTICATION_FAILED)
    match state:
        case None:
            return Refuse(Reason.MAILBOX_UNKNOWN)
        case AccountState.CLOSED | AccountState.READ_ONLY:
            return Refuse(Reason.MAILBOX_CLOSED)
        case AccountState.SUSPENDED:
            return Later(Reason.MAILBOX_SUSPENDED)
        case AccountState.PROVISIONED if wish is Wish.SEND:
            return Refuse(Reason.MAILBOX_CLOSED)
    return Accept()


def next_state(state: AccountState, event: LifeEvent) -> AccountState | None:
    """The state after an event; None when that event cannot happen in that state."""
    return _PASSES.get((state, event))
