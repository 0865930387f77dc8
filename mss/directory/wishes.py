"""What may whoever runs a domain say of one of its mailboxes? The operations of a publication, as values.

Pure. How they are written is a door's business (mss/fhir/patching.py), whether they may be done is judged where it is
done (mss/directory/taking.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from mss.directory.own import Own
from mss.directory.wholes import Unit
from mss.model.errors import BadValue
from mss.model.mailbox import MailboxKind

CARRIES: dict[MailboxKind, tuple[Unit, ...]] = {
    MailboxKind.PERSONAL: (Unit.PRACTITIONER, Unit.ROLE),
    MailboxKind.OFFICE: (Unit.PRACTITIONER,),
    MailboxKind.ORGANISATIONAL: (Unit.ORGANIZATION,),
    MailboxKind.APPLICATION: (Unit.ORGANIZATION,),
}
"""In which resource a kind of mailbox may stand (ANS "API FHIR MSS", §BAL)."""
_EVERY = ("is_unlisted", "rank", "paperless", "phone")
SAYS: dict[MailboxKind, tuple[str, ...]] = {
    MailboxKind.PERSONAL: _EVERY,
    MailboxKind.OFFICE: (*_EVERY, "description", "responsible"),
    MailboxKind.ORGANISATIONAL: (*_EVERY, "description", "service", "responsible"),
    MailboxKind.APPLICATION: (*_EVERY, "description", "service", "responsible"),
}
"""What may be said of it (the same guide, "Champs modifiables")."""


@dataclass(frozen=True, slots=True)
class Told:
    """A mailbox as somebody else's contact point describes it. None: nothing is said."""

    address: str
    kind: MailboxKind
    description: str | None = None
    service: str | None = None
    responsible: str | None = None
    phone: str | None = None
    paperless: bool | None = None
    rank: int | None = None
    is_unlisted: bool = False

    def __post_init__(self) -> None:
        Own(self.address, self.kind, description=self.description, service=self.service, responsible=self.responsible,
            phone=self.phone, rank=self.rank)  # fmt: skip
        for name in ("description", "service", "responsible"):
            if getattr(self, name) and name not in SAYS[self.kind]:
                raise BadValue(f"a {self.kind} mailbox has no {name}")


@dataclass(frozen=True, slots=True)
class Insert:
    """A mailbox that was not listed there."""

    told: Told

    @property
    def address(self) -> str:
        return self.told.address


@dataclass(frozen=True, slots=True)
class Replace:
    """Everything that is said of a mailbox."""

    address: str
    told: Told


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is said of it: `field` of `Told`."""

    address: str
    field: str
    value: str | bool | int


@dataclass(frozen=True, slots=True)
class Delete:
    """It is not to be listed any more."""

    address: str


Operation = Insert | Replace | Change | Delete
