"""Which keywords does a professional's mail get when it arrives? What a mail client may sort by. Pure.

Delivery may not name keywords in a mailbox that it cannot open, so every INBOX is born with these three, as its first
bits; delivery sets bits. They say what a message claims to be, never that a claim was checked.
"""

from __future__ import annotations

from mss.formats.summary import Summary
from mss.model.ids import MailAddress, matricule_of
from mss.model.mailbox import BORN_KEYWORDS

XDM_NAME = "ihe_xdm.zip"
"""How the referential names an archive of documents."""


def keyword_bits(sender: MailAddress | None, summary: Summary) -> int:
    """Bits of `BORN_KEYWORDS`: from a patient, with documents, a receipt or a delivery report."""
    is_patient = sender is not None and matricule_of(sender) is not None
    is_result = any(part.filename.lower() == XDM_NAME for part in summary.parts)
    is_receipt = any(part.content_type.startswith("multipart/report") for part in summary.parts[:1])
    said = dict(zip(BORN_KEYWORDS, (is_patient, is_result, is_receipt), strict=True))
    return sum(1 << bit for bit, name in enumerate(BORN_KEYWORDS) if said[name])
