"""A patient's life in a few weeks: several correspondents, results, a finished exchange. For pictures and for eyes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from mss.formats.cda import read_header
from mss.formats.cdatree import CdaId
from mss.formats.cdawrite import LABORATORY_REPORT, LOINC, CdaToWrite, LabResult, Section, write_cda
from mss.formats.pdfwrite import write_pdf
from mss.model.document import Author, Coded
from mss.model.people import IdentityTraits, Sex
from tests.kit.documents import make_png
from tests.kit.people import Person
from tests.web.site import File, Site

ANNE = Author(
    "810000000001",
    "Dr Anne PETIT",
    "",
    "Laboratoire Bélanger",
    specialty="SM26^Biologie médicale^1.2.250.1.213.1.1.4.5",
)
IMAGING = Author(person_name="Dr Hugo LEMAIRE", institution_name="Imagerie du Parc")
CARE = "equipe@labo.mssante.example"


@dataclass
class Scene:
    """What was made, by number."""

    person: Person
    conversation: int
    cda: int
    pdf: int


def laboratory_report(site: Site, person: Person) -> bytes:
    """A CDA with two tables, one abnormal value, and a PDF copy inside."""
    born = IdentityTraits(
        "MARTIN", ("Claire", "Louise"), site.clock.now().date().replace(year=1979), Sex.FEMALE, "51215"
    )
    blood = Section(
        "Hématologie",
        Coded("18767-4", LOINC, "Hématologie"),
        ("Prélèvement veineux du 5 janvier 2026 à 08:10.",),
        (
            LabResult("Leucocytes", "6,8", "10⁹/L", "4,0 – 10,0"),
            LabResult("Hémoglobine", "10,9", "g/dL", "12,0 – 16,0", is_abnormal=True),
            LabResult("Plaquettes", "254", "10⁹/L", "150 – 400"),
        ),
    )
    iron = Section(
        "Bilan du fer",
        Coded("18719-5", LOINC, "Biochimie"),
        ("Conclusion : carence en fer probable, à contrôler avec votre médecin.",),
        (LabResult("Ferritine", "9", "µg/L", "15 – 150", is_abnormal=True), LabResult("CRP", "2", "mg/L", "< 5")),
    )
    copy = write_pdf(("Laboratoire Bélanger", "Hémoglobine 10,9 g/dL", "Ferritine 9 µg/L"))
    return write_cda(
        CdaToWrite(
            id=CdaId("1.2.250.1.999.1.7", "42"),
            title="Compte rendu d’examens biologiques",
            code=LABORATORY_REPORT,
            moment=site.clock.now(),
            patient=born,
            ins=person.ins,
            author=ANNE,
            sections=(blood, iron),
            copy_pdf=copy,
        )
    )


async def set_scene(site: Site) -> Scene:
    """Fill a patient's inbox and record."""
    person = await site.house.enrol("Claire MARTIN")
    site.known["anne.petit@ville.mssante.example"] = "Dr Anne PETIT"
    browser = site.browser()
    parc = ("Imagerie du Parc", "secretariat@parc.mssante.example")
    await site.receive(person, "Votre échographie du 12 novembre", "Bonjour, le compte rendu est joint.", sender=parc)
    await site.receive(person, "[FIN]", "Nous mettons fin à cet échange. Bonne continuation !", sender=parc)
    site.clock.forward(timedelta(days=9).total_seconds())
    kine = ("Cabinet de kinésithérapie Marronniers", "cabinet@marronniers.mssante.example")
    await site.receive(person, "Exercices pour la semaine", "Trois séries de dix, sans forcer. À mardi !", sender=kine)
    site.clock.forward(timedelta(days=2, hours=3).total_seconds())
    anne = ("Anne Petit", "anne.petit@ville.mssante.example")
    await site.receive(
        person, "Votre prochain rendez-vous", "Je vous propose le 14 à 9 h. Est-ce possible ?", sender=anne
    )
    site.clock.forward(timedelta(hours=20).total_seconds())
    report = laboratory_report(site, person)
    assert read_header(report)
    body = (
        "Bonjour Madame,\n\nVotre bilan sanguin est arrivé. L’hémoglobine et la ferritine sont un peu basses : "
        "ce n’est pas urgent, mais parlez-en à votre médecin.\n\nPrenez-vous en ce moment un traitement qui contient "
        "du fer ? Si oui, envoyez-nous une photo de la boîte.\n\nBien cordialement,\nl’équipe du laboratoire"
    )
    pdf = write_pdf(("Laboratoire Bélanger", "Bilan sanguin"))
    number = await site.receive(
        person, "Vos résultats du 5 janvier", body, files=[File("Bilan sanguin.pdf", pdf, "application/pdf")]
    )
    cda = await site.file(person, report, message=number, author=ANNE)
    scan = await site.file(
        person,
        write_pdf(("Imagerie du Parc", "Échographie abdominale : pas d’anomalie.")),
        title="Échographie abdominale",
        mime_type="application/pdf",
        type_=Coded("18748-4", LOINC, "CR d’imagerie médicale"),
        author=IMAGING,
    )
    await site.file(
        person,
        write_pdf(("Ordonnance",)),
        title="Ordonnance : fer, trois mois",
        mime_type="application/pdf",
        type_=Coded("57833-6", LOINC, "Prescription de médicaments"),
        author=Author(person_name="Dr Anne PETIT", institution_name="Cabinet de la Place"),
    )
    await browser.sign_in(person)
    inbox = await browser.get("/inbox")
    conversation = int(inbox.links["Vos résultats du 5 janvier"].rpartition("/")[2])
    page = await browser.get(f"/inbox/{conversation}")
    site.clock.forward(600)
    answer = "Bonjour,\n\nOui, depuis lundi. Voici la boîte.\n\nMerci beaucoup !\nClaire Martin"
    await browser.submit(page, f"/inbox/{conversation}", body=answer, files=[File("boîte.png", picture())])
    return Scene(person, conversation, cda, scan)


def picture() -> bytes:
    """A small photograph's stand-in."""
    return make_png(320, 240)
