"""How does a listing look as a line of the public file's shape? What our own reader reads back as the same listing.

Pure. Only what was found to be shown comes here: who is on the red list was never stored.
"""

from __future__ import annotations

from collections.abc import Iterator

from mss.model.directory import Listing
from mss.model.mailbox import MailboxKind

_LINES = (
    "L2COMPLEMENTLOCALISATION", "L3COMPLEMENTDISTRIBUTION", "L4NUMEROVOIE", "L4COMPLEMENTNUMEROVOIE", "NL4TYPEVOIE",
    "L4LIBELLEVOIE", "L5LIEUDITMENTION",
)  # fmt: skip
HEADER = "|".join(
    (
        *("Type de BAL", "Adresse BAL", "Type d'identifiant PP", "Identifiant PP", "Identification nationale PP"),
        *("Type d'identifiant structure", "Identification structure", "Service de rattachement"),
        *("Civilité d'exercice", "Nom d'exercice", "Prénom d'exercice", "Code profession", "Libellé profession"),
        *("Code savoir-faire", "Libellé savoir-faire", "Dématérialisation", "Raison Sociale structure BAL"),
        *("Libellé secteur d'activité", "Description BAL"),
        *(f"{name} structure BAL" for name in _LINES),
        *("L6LIGNEACHEMINEMENT structure BAL", "Code postal structure BAL", "Département structure BAL"),
    )
)
"""Names of the columns, as the public file has them."""
_FLAGS = {True: "O", False: "N", None: ""}


def line_of(listing: Listing) -> str:
    """One line, without its end. `responsible` and the order of preference are not part of the public file."""
    return "|".join(_plain(text) for text in _fields(listing))


def _fields(listing: Listing) -> Iterator[str]:
    place = listing.place
    yield str(listing.kind or MailboxKind.ORGANISATIONAL)
    yield listing.address
    yield from (listing.idnps[:1], listing.idnps[1:], listing.idnps)
    yield from (listing.idnst[:1], listing.idnst)
    yield from (listing.service, listing.civility, listing.family, listing.given)
    for job in (listing.profession, listing.specialty):
        yield from (job.code, job.label) if job else ("", "")
    yield from (_FLAGS[listing.paperless], listing.structure, listing.sector, listing.description)
    lines = place.lines[: len(_LINES)]
    yield from (*lines, *[""] * (len(_LINES) - len(lines)))
    yield from (f"{place.postal_code} {place.city}".strip(), place.postal_code, place.department)


def _plain(text: str) -> str:
    """Bars and quotes would be columns and quoting."""
    return text.replace("|", "/").replace('"', "'")
