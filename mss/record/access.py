"""May this person see this document?

Rules are asked in order; the first that answers decides. A document that may not be seen does not exist for the
one who asks: no line, no count, no notice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from mss.model.document import DocumentStatus, Visibility


class Role(StrEnum):
    """As whom somebody looks into a record."""

    PATIENT = "patient"
    REPRESENTATIVE = "representative"
    STAFF = "staff"
    """Triage: sees what waits and what is hidden, and each look is written down."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: the account, the role, and the name that the history will show."""

    account: int
    role: Role
    name: str


@dataclass(frozen=True, slots=True)
class AccessFacts:
    """A document's flags, as far as access is concerned."""

    role: Role
    visibility: frozenset[str]
    status: DocumentStatus


def unfiled_is_nobodys(facts: AccessFacts) -> bool | None:
    """What staff took out as somebody else's exists for nobody; they read it through the correction alone."""
    return False if facts.status is DocumentStatus.UNFILED else None


def withdrawn_is_gone(facts: AccessFacts) -> bool | None:
    """What its author withdrew is shown to staff only."""
    return facts.role is Role.STAFF if facts.status is DocumentStatus.WITHDRAWN else None


def hidden_from_patient(facts: AccessFacts) -> bool | None:
    """INVISIBLE_PATIENT waits for an announcement, also towards whoever acts for the patient."""
    if Visibility.HIDDEN_FROM_PATIENT in facts.visibility:
        return facts.role is Role.STAFF
    return None


def hidden_from_representatives(facts: AccessFacts) -> bool | None:
    """INVISIBLE_REPRESENTANTS_LEGAUX: the young person's own."""
    if Visibility.HIDDEN_FROM_REPRESENTATIVES in facts.visibility and facts.role is Role.REPRESENTATIVE:
        return False
    return None


RULES: tuple[Callable[[AccessFacts], bool | None], ...] = (
    unfiled_is_nobodys,
    withdrawn_is_gone,
    hidden_from_patient,
    hidden_from_representatives,
)


def may_see(facts: AccessFacts) -> bool:
    """Ask each rule; the record is the patient's, so silence means yes (roles that we do not know do not exist)."""
    return next((answer for rule in RULES if (answer := rule(facts)) is not None), True)
