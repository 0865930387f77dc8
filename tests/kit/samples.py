"""Where do the samples of the Agence du Numérique en Santé lie?

They state no licence, so they are read where they are, beside the checkout, and never copied into it.
"""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
SAMPLES = CHECKOUT.parent / "shared" / "samples"


def samples_dir() -> Path | None:
    """The folder with `cda`, `fhir`, `hl7v2` and `trustlist`, or None when this machine has none."""
    return SAMPLES if SAMPLES.is_dir() else None
