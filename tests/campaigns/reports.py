"""What does a laboratory send while the bridge is being killed? New reports, newer versions, withdrawals, wrong people.

Each stream is one patient's and knows what it has sent; it replaces and withdraws only what it was told is filed, so
that nothing depends on which of two mails is judged first. Every mail asks for a receipt.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Container
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from mss.demo.people import DemoPatient
from tests.campaigns.mails import Mail, mail_around
from tests.kit import documents
from tests.kit.documents import OUR_OID

BIRTH_OF_ANOTHER = date(1931, 1, 30)
"""Of nobody in the demo."""


class Wish(StrEnum):
    """What a mail wants done."""

    FILE = "file"
    REPLACE = "replace"
    WITHDRAW = "withdraw"
    WRONG = "wrong"
    """The INS is the patient's, the birth date is not: held for a human, in no record and no sink."""


@dataclass(frozen=True, slots=True)
class Report:
    """A mail with what it wants. `document`: its unique id; `before`: of the version that it replaces."""

    mail: Mail
    patient: str
    wish: Wish
    document: str
    before: str = ""
    set_number: int = 0
    version: int = 1
    content: bytes = b""


class Stream:
    """Reports on one patient."""

    def __init__(self, patient: DemoPatient, chance: random.Random, name: str) -> None:
        self._patient = patient
        self._chance = chance
        self._name = name
        self._count = 0
        self._current: deque[Report] = deque()

    def next(self, filed: Container[str]) -> Report:
        """`filed`: Message-IDs of mails about which an answer has come."""
        self._count += 1
        kind = self._chance.random()
        oldest = self._current[0] if self._current and self._current[0].mail.message_id in filed else None
        if kind < 0.12:
            return self._report(Wish.WRONG)
        if oldest is not None and kind < 0.45:
            self._current.popleft()
            return self._report(Wish.REPLACE if kind < 0.35 else Wish.WITHDRAW, oldest)
        return self._report(Wish.FILE)

    def _report(self, wish: Wish, before: Report | None = None) -> Report:
        number = self._chance.getrandbits(48)
        person = documents.Person(self._patient.traits, self._patient.ins)
        if wish is Wish.WRONG:
            person = replace(person, traits=replace(person.traits, birth_date=BIRTH_OF_ANOTHER))
        set_number = before.set_number if before is not None else number
        version = before.version + 1 if before is not None else 1
        if before is not None and wish is Wish.WITHDRAW:
            content, unique_id = before.content, before.document
        else:
            unique_id = f"{OUR_OID}.7^{number}"
            content = documents.make_cda(
                person,
                unique_id=unique_id,
                set_id=f"{OUR_OID}.8^{set_number}",
                version=version,
                replaces=before.document if before is not None else "",
            )
        described = documents.describe(content, action="D" if wish is Wish.WITHDRAW else "")
        archive = documents.make_package(described, submission_id=f"{OUR_OID}.9.{number}")
        mail = mail_around(self._chance, f"{self._name}.{self._count}", self._patient.address, archive)
        replaced = before.document if before is not None and wish is Wish.REPLACE else ""
        made = Report(mail, self._patient.address, wish, unique_id, replaced, set_number, version, content)
        if wish in (Wish.FILE, Wish.REPLACE):
            self._current.append(made)
        return made
