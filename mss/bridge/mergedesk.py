"""May two records be made one? The question is asked here; the works do it (merging.py)."""

from __future__ import annotations

from dataclasses import replace

from mss.accounts.service import IDENTITY_KIND, identity_from_bytes
from mss.bridge import correcting
from mss.bridge.correcting import No
from mss.bridge.corrections import OPEN_STATES, Corrections, NotCorrectable, words_of
from mss.model.errors import NotFound
from mss.model.ids import OwnerId
from mss.model.people import IdentityTraits
from mss.store import patients
from mss.store.corrections import Correction, CorrectionKind, CorrectionState
from mss.store.database import Store
from mss.vault.opener import Opener


class MergeDesk:
    """Proposes. Lives in commands and desk."""

    def __init__(self, store: Store, opener: Opener, corrections: Corrections) -> None:
        self._store = store
        self._opener = opener
        self._corrections = corrections

    async def merge(self, ends: OwnerId, stays: OwnerId, actor: str, why: str) -> Correction:
        """Two records are one person's. Raises NotFound, NotCorrectable, BadValue."""
        words = words_of(why)
        if ends == stays:
            raise NotCorrectable("same-record")
        found = [await self._traits(owner, actor) for owner in (ends, stays)]
        answer = correcting.judge_merge(*found)
        if isinstance(answer, No):
            raise NotCorrectable(answer.why)
        row = self._corrections.new(ends, CorrectionKind.MERGE, CorrectionState.PROPOSED, actor, words)
        return await self._corrections.propose(replace(row, other=int(stays)), needs_two=answer.needs_two)

    async def _traits(self, owner: OwnerId, actor: str) -> list[IdentityTraits]:
        """Of identities that are valid now. Raises NotFound, NotCorrectable."""
        patient = await self._store.read(lambda c: patients.patient(c, owner))
        if patient is None:
            raise NotFound("patient")
        if patient.state not in OPEN_STATES:
            raise NotCorrectable("record-not-open")
        keys = await self._opener.open(owner, actor, "merge")
        rows = await self._store.read(lambda c: patients.identities(c, owner))
        opened = [keys.open_small(IDENTITY_KIND, row.identity, row.identity_sealed) for row in rows]
        return [identity_from_bytes(one)[1] for one, row in zip(opened, rows, strict=True) if not row.valid_until_ms]
