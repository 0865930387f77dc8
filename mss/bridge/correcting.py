"""May staff put this document into that record? And how many of them does it take?

Asked beside the bridge's own judge (matching.py), which is never asked for less than usual but for one objection: an
INS that is another's. Two people may overrule that when every trait is the right patient's. Rules are asked in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mss.bridge.facts import DocumentFacts, Identity
from mss.model.ids import REAL_INS_OIDS
from mss.model.people import IdentityTraits


class Naming(StrEnum):
    """By what a document names a patient."""

    INS = "ins"
    TRAITS = "traits"
    NOTHING = "nothing"
    """It says nothing of a patient at all: a file without archive."""
    ANOTHER = "another"


@dataclass(frozen=True, slots=True)
class Move:
    """What the judge is told. `documents`: their facts with the right patient as addressee."""

    documents: tuple[DocumentFacts, ...]
    target_is_open: bool
    is_same_record: bool = False


@dataclass(frozen=True, slots=True)
class No:
    """Never so. `why`: a key of the doors' sentences."""

    why: str


@dataclass(frozen=True, slots=True)
class Yes:
    """It may. `needs_two`: whatever the settings say, as INS and traits do not both say whose it is. `corrected`: its
    INS is another's."""

    needs_two: bool = False
    corrected: bool = False


def names(document: DocumentFacts) -> Naming:
    """By what a document names the addressee of its facts."""
    claims = [claim for claim in document.metadata_ins or () if claim is not None]
    claims += list(document.cda_ins or ())
    known = (*document.addressee, *document.former)
    if claims and all(any(claim.is_of(identity.ins) for identity in known) for claim in claims):
        return Naming.INS
    traits = [claimed for claimed in (document.traits, document.metadata_traits) if claimed.birth_name]
    if not claims and not traits:
        return Naming.NOTHING
    return Naming.TRAITS if has_her_traits(document) else Naming.ANOTHER


def has_her_traits(document: DocumentFacts) -> bool:
    """Whether all traits are said, and are those of an identity that we are sure of."""
    said = (document.traits, document.metadata_traits)
    return document.traits.is_complete and any(
        not any(claimed.differences(identity.traits) for claimed in said) for identity in _sure(document)
    )


def _sure(document: DocumentFacts) -> list[Identity]:
    """Identities of hers that are qualified; those of tests where the house takes them."""
    return [
        identity
        for identity in document.addressee
        if identity.is_qualified and (identity.ins.oid in REAL_INS_OIDS or document.accepts_test_identities)
    ]


def judge(move: Move) -> Yes | No:
    """Into another record."""
    if move.is_same_record:
        return No("same-record")
    if not move.target_is_open:
        return No("record-not-open")
    namings = {names(document) for document in move.documents}
    if Naming.ANOTHER in namings:
        return No("names-another")
    by_traits = Naming.TRAITS in namings
    is_sure = namings == {Naming.INS} and all(has_her_traits(document) for document in move.documents)
    return Yes(needs_two=not is_sure, corrected=by_traits)


def judge_merge(one: Sequence[IdentityTraits], other: Sequence[IdentityTraits]) -> Yes | No:
    """Two records of one person. A name changes, also a birth name; birth date and sex must be equal in some pair of
    their identities, or a human would join what a twin's mother would not."""
    if any(a.birth_date == b.birth_date and a.sex == b.sex for a in one for b in other):
        return Yes()
    return No("not-one-person")
