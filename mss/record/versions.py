"""What does somebody see of a document that has newer versions? And which duty follows when one is changed.

A newer version that may not be seen yet does not exist for the one who asks: the older one then looks as it did.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from mss.model.clock import Chance, Clock, to_ms
from mss.model.document import DocumentEntry, DocumentStatus
from mss.record import access
from mss.record.access import AccessFacts, Viewer
from mss.store.ids import new_id
from mss.store.tasks import NewTask

TASK_CHANGED = "document-changed"
"""Tell who opened a document that it was replaced or withdrawn: payload {"document": number}."""
VERSIONS_MAX = 100
"""Followed of one document; a chain that is longer is no chain of versions."""


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A document as somebody may see it. `replaced_by`: the newest version's number, or 0."""

    number: int
    entry: DocumentEntry
    status: DocumentStatus
    visibility: frozenset[str]
    filed_at: datetime
    message: int
    replaced_by: int


def may_see(viewer: Viewer, view: DocumentView) -> bool:
    return access.may_see(AccessFacts(viewer.role, view.visibility, view.status))


def as_seen(viewer: Viewer, view: DocumentView, known: Mapping[int, DocumentView]) -> DocumentView:
    """A document that was replaced leads to the newest version that the viewer may see. Where all of them were
    withdrawn it leads nowhere; where all of them are hidden from him it looks current."""
    if view.status is not DocumentStatus.SUPERSEDED:
        return view
    newest, is_known = 0, False
    at = view.replaced_by
    for _ in range(VERSIONS_MAX):
        newer = known.get(at)
        if newer is None:
            break
        is_known |= access.may_see(AccessFacts(viewer.role, newer.visibility, DocumentStatus.APPROVED))
        newest = newer.number if may_see(viewer, newer) else newest
        at = newer.replaced_by
    if not is_known and view.replaced_by in known:
        return replace(view, status=DocumentStatus.APPROVED, replaced_by=0)
    return replace(view, replaced_by=newest)


def owed(document: int, clock: Clock, chance: Chance) -> NewTask:
    """The duty, to be added in the transaction that changes the document."""
    payload = json.dumps({"document": document}).encode()
    return NewTask(new_id(clock, chance), TASK_CHANGED, payload, to_ms(clock.now()))
