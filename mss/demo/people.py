"""Who lives in the demo? Invented people, mailboxes and addresses. Nobody here exists.

Dominique PAT-TROIS bears the identity of the ANS samples, so that those documents find their record.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from mss.model.ids import Ins, InsOid, ins_key
from mss.model.mailbox import MailboxKind
from mss.model.people import IdentityTraits, Sex

VILLE = "ville.mssante.example"
CHU = "chu.mssante.example"
PATIENTS = "patient.mssante.example"
LABO = "labo.mssante.example"
TIERS = "tiers.mssante.example"


@dataclass(frozen=True, slots=True)
class DemoMailbox:
    """A professional's, a team's or a program's mailbox."""

    operator: str
    kind: MailboxKind
    address: str
    name: str
    national_id: str = ""
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DemoPatient:
    """A patient of operator A."""

    login: str
    traits: IdentityTraits
    ins: Ins
    active: bool = True
    represented_by: str = ""
    """Login of the legal representative."""

    @property
    def name(self) -> str:
        return f"{self.traits.first_given_name.title()} {self.traits.birth_name}"

    @property
    def address(self) -> str:
        return f"{self.ins.value}@{PATIENTS}"


def _test_ins(matricule13: str) -> Ins:
    return Ins.parse(f"{matricule13}{ins_key(matricule13):02}", InsOid.NIR_TEST)


STAFF_LOGIN, STAFF_NAME = "nadia.roche", "Nadia ROCHE"
"""Who decides at the desk of operator A about what is held."""

WEB_PROFESSIONAL = f"camille.lefort@{VILLE}"
"""Who has opened her way into the pages of professionals."""

MAILBOXES = (
    DemoMailbox("A", MailboxKind.PERSONAL, f"camille.lefort@{VILLE}", "Dr Camille LEFORT", "99900000011"),
    DemoMailbox("A", MailboxKind.PERSONAL, f"samir.benali@{CHU}", "Dr Samir BENALI", "99900000029"),
    DemoMailbox("A", MailboxKind.PERSONAL, f"louise.garnier@{CHU}", "Louise GARNIER", "99900000037"),
    DemoMailbox(
        "A",
        MailboxKind.ORGANISATIONAL,
        f"cardiologie@{CHU}",
        "Service de cardiologie",
        "1999000003",
        (f"samir.benali@{CHU}", f"louise.garnier@{CHU}"),
    ),
    DemoMailbox("A", MailboxKind.APPLICATION, f"dpi@{CHU}", "Dossier patient du CHU", "1999000003"),
    DemoMailbox("B", MailboxKind.PERSONAL, f"ines.roussel@{LABO}", "Dr Inès ROUSSEL", "99900000045"),
    DemoMailbox(
        "B",
        MailboxKind.ORGANISATIONAL,
        f"secretariat@{LABO}",
        "Laboratoire des Tilleuls",
        "1999000011",
        (f"ines.roussel@{LABO}",),
    ),
    DemoMailbox("B", MailboxKind.APPLICATION, f"resultats@{LABO}", "Laboratoire des Tilleuls", "1999000011"),
)

POSTMASTERS = {"A": f"camille.lefort@{VILLE}", "B": f"ines.roussel@{LABO}"}
DOMAINS = {"A": (VILLE, CHU, PATIENTS), "B": (LABO,)}
NAMES = {"A": "Opérateur A (ville, hôpital, patients)", "B": "Opérateur B (laboratoire)"}

PATIENT_LIST = (
    DemoPatient(
        "dominique.pat-trois",
        IdentityTraits("PAT-TROIS", ("DOMINIQUE", "MARIE-LOUISE"), date(1979, 3, 28), Sex.FEMALE, "51215"),
        Ins.parse("279035121518989", InsOid.NIR_TEST),
    ),
    DemoPatient(
        "karim.demonstration",
        IdentityTraits("DEMONSTRATION", ("KARIM", "JEAN"), date(1958, 11, 2), Sex.MALE, "69123"),
        _test_ins("1581169123456"),
    ),
    DemoPatient(
        "lea.demonstration",
        IdentityTraits("DEMONSTRATION", ("LEA",), date(2016, 6, 9), Sex.FEMALE, "69123"),
        _test_ins("2160669123042"),
        represented_by="karim.demonstration",
    ),
    DemoPatient(
        "anna.invitation",
        IdentityTraits("INVITATION", ("ANNA", "ROSE"), date(1990, 1, 17), Sex.FEMALE, "2A004"),
        _test_ins("290012A004118"),
        active=False,
    ),
)
