"""What stands between the reading of documents and the transaction that files them? Values, sealed and durable."""

from __future__ import annotations

from dataclasses import dataclass

from mss.bridge.facts import Deliver, MessageFacts, Verdict
from mss.bridge.matching import judge
from mss.mail.answers import Fate
from mss.model.errors import MssError
from mss.record.service import PreparedDocument
from mss.store import messages, sealing
from mss.store.sql import Connection
from mss.vault.opener import OwnerKeys

RESEALED_AT_ONCE_MAX = 64
"""Intake keys are one for an hour with mail: an owner has few, and each costs 0.1 ms."""

Told = tuple[tuple[str, Fate], ...]
"""The title of each document, and what became of it."""


class RecordChanged(MssError):
    """What was prepared no longer fits the record: gather again."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Documents sealed, their bodies durable, under the flags that were in force; None for what stands already."""

    documents: tuple[PreparedDocument | None, ...]
    visibility: frozenset[str]
    facts: MessageFacts
    verdict: Deliver
    """What the judge said of these facts."""


def judged(facts: MessageFacts, prepared: Prepared | None) -> Verdict:
    """The verdict; about what he was asked when it was prepared the judge, who is pure, is not asked again."""
    return prepared.verdict if prepared is not None and prepared.facts == facts else judge(facts)


def inline_bytes(prepared: Prepared | None) -> int:
    """Of what a transaction will write."""
    return sum(len(made.body.inline or b"") for made in prepared.documents if made) if prepared else 0


def reseal_some(connection: Connection, keys: OwnerKeys) -> int:
    """Wrap a portion of an owner's intake keys under her shelf key, in the caller's transaction. Returns how many."""
    found = messages.keys_to_reseal(connection, keys.owner, sealing.SCHEME_SEALED, RESEALED_AT_ONCE_MAX)
    if found:
        messages.reseal_keys(connection, keys.owner, sealing.SCHEME_SHELF, keys.reseal(found))
    return len(found)
