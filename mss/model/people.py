"""Persons and how surely we know them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Sex(StrEnum):
    """Administrative sex (CDA administrativeGenderCode)."""

    FEMALE = "F"
    MALE = "M"
    UNKNOWN = "U"


class IdentityStatus(StrEnum):
    """How sure the identity is. Only QUALIFIED (validated against INSi and checked) files by itself."""

    PROVISIONAL = "provisional"
    VALIDATED = "validated"
    QUALIFIED = "qualified"


@dataclass(frozen=True, slots=True)
class IdentityTraits:
    """Traits d'identité. `given_names` are all birth first names in order; `birth_place` is an INSEE code."""

    birth_name: str
    given_names: tuple[str, ...]
    birth_date: date
    sex: Sex
    birth_place: str = ""

    @property
    def first_given_name(self) -> str:
        return self.given_names[0] if self.given_names else ""
