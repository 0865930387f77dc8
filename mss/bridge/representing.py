"""Who represented a record that was merged into another: may he represent the one that stays? Asked, never inherited.

A right over a record was given for the person whom that record was taken for. So a merge proposes each to the staff,
who know the family; nobody opens anything before somebody has said yes, and a proposal that nobody decides expires and
is told. Parting two records takes back what was given for their sake. Each time the representative reads a letter: he
must not find out at a closed door (mss/notices/corrected.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date

from mss.bridge.book import correction_context
from mss.bridge.items import EXPIRES_MS, TASK_EXPIRES, TASK_REPRESENT, Items
from mss.crypto import seal
from mss.model.clock import Chance, Clock, to_ms
from mss.model.people import IdentityTraits
from mss.store import audit, corrections, owners, tasks
from mss.store.corrections import Correction, CorrectionKind, CorrectionState
from mss.store.ids import new_id
from mss.store.sql import Connection
from mss.store.tasks import NewTask

ACTOR = "corrections"
REPRESENTATIVE = "representative"
"""The right, as accounts/service.py gives it."""
MAJORITY_YEARS = 18
"""Of adults guardians are named by a judge: nobody keeps that right because he had it for a child."""
WHY = "represented the record that was merged into this one"


def is_minor(traits: Iterable[IdentityTraits], today: date) -> bool:
    """Whether some identity that is valid now says so, and none that she is of age."""
    ages = [_age(one.birth_date, today) for one in traits]
    return bool(ages) and max(ages) < MAJORITY_YEARS


def _age(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


class Representing:
    """Proposes and takes back, in transactions of others."""

    def __init__(self, held_key: bytes, clock: Clock, chance: Chance) -> None:
        self._held_key = held_key
        self._clock = clock
        self._chance = chance

    def ask(self, connection: Connection, merge: Correction) -> int:
        """One proposal for each who represented the record that ends and does not represent the one that stays.
        Returns how many; a repeat asks nobody twice."""
        standing = {account for account, _ in owners.members(connection, merge.other)}
        asked = {row.other for row in self._of(connection, merge)}
        new = [
            account
            for account, right in owners.members(connection, merge.owner)
            if right == REPRESENTATIVE and account not in standing | asked | {merge.other}
        ]
        for account in new:
            self._propose(connection, merge, account)
        return len(new)

    def take_back(self, connection: Connection, merge: Correction) -> None:
        """The records are two again: what was given is taken, what waits is declined."""
        now_ms = to_ms(self._clock.now())
        for row in self._of(connection, merge):
            self.tell(connection, row, "parted")
            if row.state == CorrectionState.DONE:
                owners.remove_member(connection, row.owner, row.other, REPRESENTATIVE)
                self._note(connection, row, "member.remove")
                corrections.settle(connection, row, CorrectionState.UNDONE, now_ms)
            elif row.state == CorrectionState.PROPOSED:
                corrections.settle(connection, row, CorrectionState.DECLINED, now_ms)

    def give(self, connection: Connection, row: Correction, actor: str) -> None:
        """Somebody has said yes."""
        owners.add_member(connection, row.owner, row.other, REPRESENTATIVE)
        self.tell(connection, row, "given")
        self._note(connection, row, "member.add", actor)

    def tell(self, connection: Connection, row: Correction, what: str) -> None:
        """The letter that is owed to whoever represented: ended, given, lapsed, parted."""
        payload = json.dumps({"correction": row.id, "what": what}).encode()
        due_ms = to_ms(self._clock.now())
        tasks.add_task(
            connection, row.owner, NewTask(new_id(self._clock, self._chance), TASK_REPRESENT, payload, due_ms)
        )

    def _of(self, connection: Connection, merge: Correction) -> list[Correction]:
        found = corrections.following(connection, merge.other, merge.id)
        return [row for row in found if row.kind == CorrectionKind.REPRESENT]

    def _propose(self, connection: Connection, merge: Correction, account: int) -> None:
        number, now_ms = new_id(self._clock, self._chance), to_ms(self._clock.now())
        row = Correction(
            owner=merge.other,
            id=number,
            kind=CorrectionKind.REPRESENT,
            state=CorrectionState.PROPOSED,
            earlier=merge.id,
            other=int(account),
            about=0,
            proposed_by=ACTOR,
            confirmed_by="",
            proposed_ms=now_ms,
            expires_ms=now_ms + EXPIRES_MS,
            settled_ms=0,
            domain=merge.domain,
            message_id_hmac=b"",
            items=Items().to_bytes(),
            detail_sealed=seal.seal_to(self._held_key, WHY.encode(), correction_context(number), self._chance),
        )
        corrections.insert_correction(connection, row)
        payload = json.dumps({"correction": number}).encode()
        duty = NewTask(new_id(self._clock, self._chance), TASK_EXPIRES, payload, row.expires_ms)
        tasks.add_task(connection, merge.other, duty)
        self.tell(connection, row, "ended")
        self._note(connection, row, "record.represent-proposed")

    def _note(self, connection: Connection, row: Correction, act: str, actor: str = ACTOR) -> None:
        told = audit.Act(self._clock.now(), actor, act, row.owner, row.other, b"", REPRESENTATIVE)
        audit.write(connection, [told])
