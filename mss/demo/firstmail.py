"""What is in Dominique's inbox when a newcomer opens it? A real result, sent by the laboratory's software.

It goes the whole way: submission by client certificate at operator B, relay with mutual TLS to operator A, bridge,
record. Sent once in the life of a demo.
"""

from __future__ import annotations

from mss.demo.papers import Papers, Ports, application_name
from mss.demo.people import LABO, PATIENT_LIST
from mss.formats.cdatree import CdaId
from mss.formats.cdawrite import CdaToWrite, LabResult, Section, write_cda
from mss.formats.pdfwrite import write_pdf
from mss.mail import healthmail
from mss.mail.healthmail import Sending
from mss.model.clock import SystemChance, SystemClock
from mss.model.document import Author, Coded
from mss.model.ids import MailAddress
from mss.smtp.sending import SubmissionServer, submit

LOINC = "2.16.840.1.113883.6.1"
DEMO_OID = "1.2.250.1.999.1.2"
"""An arc of nobody: the demo's documents are nobody's."""

BIOLOGIST = Author(
    person_id="899900000045",
    person_name="Inès ROUSSEL",
    institution_id="1999000011",
    institution_name="Laboratoire des Tilleuls",
    specialty="G15_10/SM03^Médecin - Biologie médicale (SM)^1.2.250.1.213.1.1.4.5",
)
RESULTS = (
    Section(
        "Hématologie",
        Coded("18723-7", LOINC, "Hématologie"),
        ("Prélèvement du matin, à jeun.",),
        (
            LabResult("Hémoglobine", "13,4", "g/dL", "12,0 - 16,0", "718-7"),
            LabResult("Leucocytes", "6,2", "10*9/L", "4,0 - 10,0", "6690-2"),
            LabResult("Plaquettes", "248", "10*9/L", "150 - 400", "777-3"),
        ),
    ),
    Section(
        "Biochimie",
        Coded("18719-5", LOINC, "Biochimie"),
        (),
        (
            LabResult("TSH", "4,9", "mUI/L", "0,4 - 4,0", "3016-3", is_abnormal=True),
            LabResult("Glycémie à jeun", "0,92", "g/L", "0,70 - 1,10", "1558-6"),
        ),
    ),
    Section(
        "Conclusion",
        Coded("55110-1", LOINC, "Conclusion"),
        ("TSH légèrement augmentée, à contrôler dans six semaines avec votre médecin traitant.",),
    ),
)
TEXT = """Bonjour,

Vos résultats d'analyses sont disponibles. Vous les trouverez dans votre dossier, et en pièce jointe au format PDF.

Vous pouvez répondre à ce message : le secrétariat du laboratoire vous lira.

Laboratoire des Tilleuls
"""


async def send_first_mail(papers: Papers, ports: Ports) -> None:
    """Send it unless it was sent. Raises NotTaken."""
    marker = papers.keys / "first-mail-sent"
    if marker.exists():
        return
    now, chance = SystemClock().now().replace(microsecond=0), SystemChance()
    patient = PATIENT_LIST[0]
    pdf = write_pdf(("Laboratoire des Tilleuls", "Compte rendu d'examens biologiques", patient.name))
    number = int.from_bytes(papers.random("first document", 6))
    document = CdaToWrite(
        id=CdaId(DEMO_OID, str(number)),
        title="CR d'examens biologiques",
        code=Coded("11502-2", LOINC, "CR d'examens biologiques"),
        moment=now,
        patient=patient.traits,
        ins=patient.ins,
        author=BIOLOGIST,
        sections=RESULTS,
    )
    sender = MailAddress.parse(f"resultats@{LABO}")
    sending = Sending(
        sender=sender,
        sender_name="Laboratoire des Tilleuls",
        recipient=MailAddress.parse(patient.address),
        documents=(write_cda(document),),
        pdfs=((f"{now:%Y%m%d}_CR_d_examens_biologiques_PAT-TROIS_DOMINIQUE.pdf", pdf),),
        at=now,
        reply_to=MailAddress.parse(f"secretariat@{LABO}"),
        text=TEXT,
    )
    message_id, raw = healthmail.compose(sending, chance)
    name = application_name(str(sender))
    server = SubmissionServer(ports.host, ports.of(465), papers.ca, papers.certificate(name), papers.key(name))
    await submit(server, sender, [sending.recipient], raw)
    marker.write_text(message_id)
