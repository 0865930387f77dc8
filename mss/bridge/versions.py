"""May this document take the place of another, or take it back? And which step follows when nobody objects?

Rules of the bridge's judge about versions (ANS actions C and D, XDS RPLC). Whoever may replace or withdraw is the
author or the author's organisation, by its number, from the mailbox that sent the original.
"""

from __future__ import annotations

from collections.abc import Callable

from mss.bridge.facts import Already, DocumentFacts, File, Hold, Known, Replace, Standing, Step, Withdraw
from mss.model.document import Author, DocumentStatus
from mss.model.verdict import Reason

ACTION_WITHDRAW = "D"
ACTION_REPLACE = "C"
ACTIONS = frozenset({"", ACTION_REPLACE, ACTION_WITHDRAW})


def action_is_known(facts: DocumentFacts) -> Hold | None:
    """An action that we do not know is not taken for a first transmission."""
    return None if facts.action in ACTIONS else Hold(Reason.VERSION_WRONG, "unknown action")


def document_is_not_another(facts: DocumentFacts) -> Hold | None:
    """The same id with other content: one of the two is wrong."""
    if facts.standing is not None and not facts.standing.content_is_same:
        return Hold(Reason.DOCUMENT_CONFLICT)
    return None


def document_was_not_taken_out(facts: DocumentFacts) -> Hold | None:
    """Staff found that it is somebody else's. Sent again it is so still, until a human says otherwise."""
    is_out = facts.standing is not None and facts.standing.status is DocumentStatus.UNFILED
    return Hold(Reason.TAKEN_OUT) if is_out else None


def change_is_the_authors(facts: DocumentFacts) -> Hold | None:
    """Only its author, or the author's organisation, replaces or withdraws a document."""
    target = _target(facts)
    return None if target is None or same_author(facts.authors, target.authors) else Hold(Reason.NOT_THE_AUTHOR)


def change_comes_from_the_authors_mailbox(facts: DocumentFacts) -> Hold | None:
    """Author numbers are public: the mailbox shows that it is he. From another one a human asks by telephone."""
    target = _target(facts)
    if target is None or (facts.sent_by and facts.sent_by == target.sent_by):
        return None
    return Hold(Reason.NOT_THE_MAILBOX)


def replacement_fits(facts: DocumentFacts) -> Hold | None:
    """What is replaced is the current version. An RPLC may name an original that was never sent here, then this is
    the first version that we have; a request to replace what we do not have is an error, unless mail overtook mail."""
    if facts.standing is not None:
        return None
    if facts.replaced is None:
        return Hold(Reason.VERSION_WRONG, "original unknown", may_pass=True) if facts.must_replace else None
    return None if facts.replaced.status is DocumentStatus.APPROVED else Hold(Reason.VERSION_WRONG)


def withdrawal_fits(facts: DocumentFacts) -> Hold | None:
    """What is withdrawn stands here, as the current version; what was withdrawn does not come back by itself."""
    if facts.action != ACTION_WITHDRAW:
        is_back = facts.standing is not None and facts.standing.status is DocumentStatus.WITHDRAWN
        return Hold(Reason.VERSION_WRONG, "withdrawn since") if is_back else None
    if facts.standing is None:
        return Hold(Reason.VERSION_WRONG, "original unknown", may_pass=True)
    is_superseded = facts.standing.status is DocumentStatus.SUPERSEDED
    return Hold(Reason.VERSION_WRONG, "superseded since") if is_superseded else None


def addendum_fits(facts: DocumentFacts) -> Hold | None:
    """What is added to stands as the current version (ITI TF-3 §4.2.2: a deprecated document takes no relation). One
    that never came here is no objection: the addendum is a document of its own."""
    if facts.standing is not None or facts.added_to is None or facts.added_to.status is DocumentStatus.APPROVED:
        return None
    return Hold(Reason.ADDENDUM_MISPLACED)


RULES: tuple[Callable[[DocumentFacts], Hold | None], ...] = (
    action_is_known,
    document_is_not_another,
    document_was_not_taken_out,
    change_is_the_authors,
    change_comes_from_the_authors_mailbox,
    replacement_fits,
    withdrawal_fits,
    addendum_fits,
)


def step(facts: DocumentFacts) -> Step:
    """What is done when no rule objects."""
    if facts.standing is not None:
        is_withdrawal = facts.action == ACTION_WITHDRAW and facts.standing.status is DocumentStatus.APPROVED
        return Withdraw(facts.standing.number) if is_withdrawal else Already(facts.standing.number)
    if facts.replaced is not None:
        return Replace(facts.replaced.number)
    return File(facts.newer.number if facts.newer is not None else 0)


def _target(facts: DocumentFacts) -> Known | Standing | None:
    """The document that this one would change; one in the same message is its sender's own."""
    if facts.standing is not None:
        return facts.standing if facts.action == ACTION_WITHDRAW else None
    return facts.replaced


def same_author(new: tuple[Author, ...], old: tuple[Author, ...]) -> bool:
    """They share a person or an institution that is named by a number."""
    people = {author.person_id for author in new} & {author.person_id for author in old}
    institutions = {author.institution_id for author in new} & {author.institution_id for author in old}
    return bool((people | institutions) - {""})
