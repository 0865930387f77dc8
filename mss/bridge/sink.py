"""What is a sink, and what may it answer? The values between the worker that hands over and the clients that speak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mss.bridge.dossier import Dossier


@dataclass(frozen=True, slots=True)
class Taken:
    """It has it, and answers for it. `note`: a word for the audit."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """No, and sending it again would not help: a human must look. `code`: of ANS, 900 to 906; `said`: its own code."""

    code: int
    said: str


@dataclass(frozen=True, slots=True)
class NotNow:
    """Nothing is decided: again later. `is_away`: that goes for everything, so the others need not try."""

    why: str
    is_away: bool = True


Outcome = Taken | Refused | NotNow


class Sink(Protocol):
    """A client of one hospital's software. Never raises for what the other side does."""

    @property
    def name(self) -> str: ...

    async def hand_over(self, dossier: Dossier) -> Outcome:
        """Bring one dossier there; done twice it is there once."""
        ...

    async def probe(self) -> str:
        """Whether it can be reached as we would reach it: empty, or what is wrong."""
        ...

    async def close(self) -> None:
        """End what is open; the next handing over opens it again."""
        ...
