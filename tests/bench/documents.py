"""A laboratory report for Dominique, each with an id of its own."""

from __future__ import annotations

from mss.demo.firstmail import BIOLOGIST, LOINC, RESULTS
from mss.demo.people import PATIENT_LIST
from mss.formats.cdatree import CdaId
from mss.formats.cdawrite import CdaToWrite, write_cda
from mss.model.clock import SystemChance as Chance
from mss.model.clock import SystemClock
from mss.model.document import Coded


def report(chance: Chance) -> bytes:
    """A CDA document, level 3."""
    patient = PATIENT_LIST[0]
    return write_cda(
        CdaToWrite(
            id=CdaId("1.2.250.1.999.1.9", str(int.from_bytes(chance.token(6)))),
            title="CR d'examens biologiques",
            code=Coded("11502-2", LOINC, "CR d'examens biologiques"),
            moment=SystemClock().now().replace(microsecond=0),
            patient=patient.traits,
            ins=patient.ins,
            author=BIOLOGIST,
            sections=RESULTS,
        )
    )
