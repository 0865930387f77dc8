"""Who may see what: the whole table."""

from __future__ import annotations

import pytest

from mss.model.document import DocumentStatus, Visibility
from mss.record.access import RULES, AccessFacts, Role, may_see

HIDDEN = Visibility.HIDDEN_FROM_PATIENT
NOT_PARENTS = Visibility.HIDDEN_FROM_REPRESENTATIVES
MASKED = Visibility.MASKED_FROM_PRACTITIONERS
PATIENT, PARENT, STAFF = Role.PATIENT, Role.REPRESENTATIVE, Role.STAFF

TABLE: list[tuple[set[Visibility], DocumentStatus, set[Role]]] = [
    (set(), DocumentStatus.APPROVED, {PATIENT, PARENT, STAFF}),
    (set(), DocumentStatus.SUPERSEDED, {PATIENT, PARENT, STAFF}),
    (set(), DocumentStatus.WITHDRAWN, {STAFF}),
    (set(), DocumentStatus.UNFILED, set()),
    ({HIDDEN}, DocumentStatus.UNFILED, set()),
    ({MASKED}, DocumentStatus.APPROVED, {PATIENT, PARENT, STAFF}),
    ({HIDDEN}, DocumentStatus.APPROVED, {STAFF}),
    ({HIDDEN}, DocumentStatus.SUPERSEDED, {STAFF}),
    ({HIDDEN, NOT_PARENTS}, DocumentStatus.APPROVED, {STAFF}),
    ({NOT_PARENTS}, DocumentStatus.APPROVED, {PATIENT, STAFF}),
    ({NOT_PARENTS, MASKED}, DocumentStatus.APPROVED, {PATIENT, STAFF}),
    ({NOT_PARENTS}, DocumentStatus.WITHDRAWN, {STAFF}),
]


@pytest.mark.parametrize(("flags", "status", "seen_by"), TABLE)
@pytest.mark.parametrize("role", list(Role))
def test_the_access_table(flags: set[Visibility], status: DocumentStatus, seen_by: set[Role], role: Role) -> None:
    """A document that may not be seen does not exist for the one who asks."""
    visibility = frozenset(flag.value for flag in flags)
    assert may_see(AccessFacts(role, visibility, status)) == (role in seen_by)


def test_every_rule_decides_something() -> None:
    """A rule that no row needs could be lost unnoticed."""
    facts = [
        AccessFacts(role, frozenset(f.value for f in flags), status) for flags, status, _ in TABLE for role in Role
    ]
    for rule in RULES:
        assert any(rule(one) is not None for one in facts)
