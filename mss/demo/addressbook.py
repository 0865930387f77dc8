"""Whom does the demo's directory know? Its own professionals, teams and software, as the public file would list them.

Made afresh at each start, because a file that nobody makes anew is no longer a verification.
"""

from __future__ import annotations

from datetime import datetime

from mss.config import Config
from mss.demo.people import MAILBOXES, DemoMailbox
from mss.directory.correspondence import CorrespondenceReader
from mss.directory.imports import Imports
from mss.foundation import Foundation
from mss.model.mailbox import MailboxKind

COLUMNS = (
    "Type de BAL", "Adresse BAL", "Identifiant PP", "Identification nationale PP", "Identification structure",
    "Service de rattachement", "Civilité d'exercice", "Nom d'exercice", "Prénom d'exercice", "Libellé profession",
    "Libellé savoir-faire", "Raison Sociale structure BAL", "L4LIBELLEVOIE structure BAL",
    "L6LIGNEACHEMINEMENT structure BAL", "Code postal structure BAL", "Date d'extraction",
)  # fmt: skip
HOSPITAL, LABORATORY, PRACTICE = "CHU de Démonstration", "Laboratoire des Tilleuls", "Cabinet Lefort"
_PLACES = {
    HOSPITAL: ("1999000003", "1 avenue de l'Hôpital", "69003", "LYON"),
    LABORATORY: ("1999000011", "8 rue des Tilleuls", "69006", "LYON"),
    PRACTICE: ("", "12 place du Marché", "69100", "VILLEURBANNE"),
}
_JOBS = {
    "camille.lefort": ("Médecin", "Médecine générale", PRACTICE),
    "samir.benali": ("Médecin", "Cardiologie et maladies vasculaires", HOSPITAL),
    "louise.garnier": ("Infirmier", "", HOSPITAL),
    "ines.roussel": ("Médecin", "Biologie médicale", LABORATORY),
}


def file_of(now: datetime) -> str:
    """The file of everybody in the demo."""
    lines = [_line(box, f"{now:%Y-%m-%d %H:%M:%S}") for box in MAILBOXES]
    return "\n".join(("|".join(COLUMNS), *lines)) + "\n"


def _line(box: DemoMailbox, day: str) -> str:
    local, _, domain = box.address.partition("@")
    known = HOSPITAL if domain.startswith("chu.") else LABORATORY
    profession, specialty, structure = _JOBS.get(local, ("", "", known))
    idnst, street, code, city = _PLACES[structure]
    title = given = family = person = service = ""
    if box.kind is MailboxKind.PERSONAL:
        *before, given, family = box.name.split()
        title, person = "".join(before), box.national_id
    else:
        service = box.name
    return "|".join(
        (box.kind.value, box.address, person, f"8{person}" if person else "", idnst, service, title, family, given,
         profession, specialty, structure, street, f"{code} {city}", code, day)
    )  # fmt: skip


async def fill(ground: Foundation, config: Config) -> None:
    """Take the file in, as `mss directory import` does."""
    now = ground.clock.now()
    folder = config.state_dir / "directory"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / "demonstration.txt"
    file.write_text(file_of(now), encoding="utf-8")
    imports = Imports(ground.store, folder, ground.clock, frozenset(config.domains), ground.public.lookup)
    await imports.take(file, CorrespondenceReader(), lambda *_: None, as_of=now)
