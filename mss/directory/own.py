"""What do we say of a mailbox of ours, and which listings follow from it and from what the national files say?

Pure. Address, kind and holder are ours alone and never change. Of the rest counts what somebody here has said; where
nobody has, what a national file says of the same address and holder. Names and places of the holder are always theirs.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mss.model.directory import Job, Listing, Place, Professional, Structure, clean, refuse_disguise
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, ProfessionalId, StructureId
from mss.model.mailbox import MailboxKind

RANK_MAX = 99
OF_PEOPLE = (MailboxKind.PERSONAL, MailboxKind.OFFICE)
PHONE_CHARS_MAX = 30
_SAID = ("description", "service", "responsible", "phone", "purpose", "paperless", "rank")


@dataclass(frozen=True, slots=True)
class Own:
    """A mailbox as its operator describes it. None: nobody here has said; empty: it was said that there is none."""

    address: str
    kind: MailboxKind
    idnps: str = ""
    """Of the holder; a team's or software's is empty."""
    idnst: str = ""
    family: str = ""
    given: str = ""
    civility: str = ""
    profession: Job | None = None
    specialty: Job | None = None
    structure: str = ""
    sector: str = ""
    place: Place = dataclasses.field(default_factory=Place)
    title: str = ""
    """How the mailbox is called here: what a team is shown as until somebody describes it."""
    description: str | None = None
    service: str | None = None
    responsible: str | None = None
    phone: str | None = None
    """Of the service, for whoever asks us; no national shape has room for it any more."""
    purpose: str | None = None
    paperless: bool | None = None
    rank: int | None = None

    def __post_init__(self) -> None:
        if MailAddress.parse(self.address).key != self.address:
            raise BadValue("an address in capitals")
        if self.kind is MailboxKind.PATIENT:
            raise BadValue("patients are in no directory")
        if self.idnps:
            ProfessionalId(self.idnps)
        if self.idnst:
            StructureId(self.idnst)
        for name in ("description", "service", "responsible", "phone", "purpose", "title"):
            if (text := getattr(self, name)) is not None:
                object.__setattr__(self, name, clean(text))
                refuse_disguise(text)
        if self.phone and len(self.phone) > PHONE_CHARS_MAX:
            raise BadValue(f"a telephone number has at most {PHONE_CHARS_MAX} characters")
        if self.rank is not None and not 0 <= self.rank <= RANK_MAX:
            raise BadValue(f"the order of preference is a number from 1 to {RANK_MAX}; 0: nobody said")

    @property
    def holder(self) -> str:
        """Whose mailbox it is: the national number of a person or of a structure; empty: nobody said."""
        return self.idnps if self.kind in OF_PEOPLE else self.idnst


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to change. None stays as it is."""

    description: str | None = None
    service: str | None = None
    responsible: str | None = None
    phone: str | None = None
    purpose: str | None = None
    paperless: bool | None = None
    rank: int | None = None
    is_unlisted: bool | None = None
    """On the red list, or off it."""
    holder: str = ""
    """Off the red list, which keeps nothing: the national number of whose it is, as it was."""

    def of(self, own: Own) -> Own:
        """The mailbox with the change. Raises BadValue."""
        return replace(own, **{name: value for name in _SAID if (value := getattr(self, name)) is not None})


def to_text(own: Own) -> str:
    """As it is stored: what is empty is left out, unless somebody has said that it is."""
    fields = dataclasses.asdict(own) | {"kind": own.kind.value}
    kept = {name: one for name, one in fields.items() if one or (name in _SAID and one is not None)}
    return json.dumps(kept, ensure_ascii=False)


def from_text(text: str) -> Own:
    """Reads what `to_text` wrote."""
    fields: dict[str, Any] = json.loads(text)
    place = fields.pop("place", {})
    jobs: dict[str, Any] = {name: Job(**fields.pop(name)) for name in ("profession", "specialty") if name in fields}
    where = Place(tuple(place.pop("lines", ())), **place)
    said: dict[str, Any] = {**fields, "kind": MailboxKind(fields["kind"]), "place": where, **jobs}
    return Own(**said)


@dataclass(frozen=True, slots=True)
class Around:
    """What the national files say: of the address, of the holder, of where else she is listed."""

    listings: Sequence[Listing] = ()
    person: Professional | None = None
    structure: Structure | None = None
    elsewhere: Sequence[Listing] = ()


def agrees(own: Own, listing: Listing) -> bool:
    """Whether a national listing of the address means the same mailbox."""
    holder = listing.idnps if own.kind in OF_PEOPLE else listing.idnst
    return listing.kind is own.kind and (holder == own.holder or not own.holder)


def derive(own: Own, around: Around) -> tuple[Listing, ...]:
    """The listings of a mailbox that is shown; none while too little is known of its holder."""
    same = [one for one in around.listings if agrees(own, one)]
    bases = same or [base for base in (_base(own, around),) if base is not None]
    return tuple(dict.fromkeys(_said(own, base) for base in bases))


def without_address(listings: Sequence[Listing]) -> tuple[Listing, ...]:
    """What remains of a person whose mailbox is not shown: she works there all the same."""
    found = (
        replace(one, address="", kind=None, description="", service="", responsible="", paperless=None, rank=0)
        for one in listings
        if one.idnps and one.family
    )
    return tuple(dict.fromkeys(found))


def _base(own: Own, around: Around) -> Listing | None:
    family, given, civility = own.family, own.given, own.civility
    if around.person is not None:
        family, given, civility = around.person.family, around.person.given, around.person.civility
    structure, sector, place = own.structure, own.sector, own.place
    if around.structure is not None:
        structure, sector, place = around.structure.name, around.structure.sector, around.structure.place
    is_person = own.kind in OF_PEOPLE
    if (is_person and not family) or not (is_person or own.idnst or structure):
        return None
    job = next((one for one in around.elsewhere if one.profession or one.specialty), None)
    return Listing(
        address=own.address,
        kind=own.kind,
        idnps=own.idnps,
        family=family if is_person else "",
        given=given if is_person else "",
        civility=civility if is_person else "",
        profession=own.profession or (job.profession if job else None),
        specialty=own.specialty or (job.specialty if job else None),
        idnst=own.idnst,
        structure=structure,
        sector=sector,
        place=place,
        description="" if is_person else own.title,
    )


def _said(own: Own, base: Listing) -> Listing:
    names = ("description", "service", "responsible", "paperless", "rank")
    return replace(base, **{name: value for name in names if (value := getattr(own, name)) is not None})
