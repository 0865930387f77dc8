"""How is an answer of the directory shown on the command line? Values into the cells of a row."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

from mss.directory.extras import Extra
from mss.model.directory import Found

REASONS_SHOWN = 6


def refusals_of(report: Path) -> Counter[str]:
    """Why lines of a file were refused, and how many each time, from the report of an import; empty without one."""
    try:
        with report.open(encoding="utf-8", newline="") as file:
            return Counter(row[1] for row in csv.reader(file) if len(row) > 1)
    except FileNotFoundError:
        return Counter()


def row_of(one: Found) -> dict[str, Any]:
    listing = one.listing
    job = listing.specialty or listing.profession
    return {
        "address": listing.address,
        "kind": str(listing.kind or ""),
        "name": listing.title,
        "job": job.label if job else "",
        "structure": listing.structure,
        "city": listing.place.city,
    }


def beside_of(extra: Extra) -> dict[str, Any]:
    said = extra.said
    return {
        "purpose": said.purpose,
        "size_bytes_max": said.size_bytes_max or "",
        "accepts_patients": "" if said.accepts_patients is None else said.accepts_patients,
        "accepts_xdm": "" if said.accepts_xdm is None else said.accepts_xdm,
        "paperless": "" if said.is_paperless is None else said.is_paperless,
        "last_taken": extra.last_taken.isoformat(timespec="minutes") if extra.last_taken else "",
        "wrote_on": f"{extra.wrote_on:%Y-%m-%d}" if extra.wrote_on else "",
        "may_not_answer": extra.doubt.value if extra.doubt else "",
        "absent_until": extra.absent_until.isoformat(timespec="minutes") if extra.absent_until else "",
        "substitute": extra.substitute,
    }


def proof_of(one: Found) -> dict[str, Any]:
    listing = one.listing
    return {
        "idnps": listing.idnps,
        "idnst": listing.idnst,
        "service": listing.service,
        "description": listing.description,
        "postal_code": listing.place.postal_code,
        "verified_by": one.verified.method,
        "verified_at": one.verified.at.isoformat(timespec="minutes"),
        "next_check": one.verified.next_check.isoformat(timespec="minutes"),
    }
