"""The record: list, documents, history, profile."""

from __future__ import annotations

import pytest

from mss.formats.cdatree import CdaId
from mss.formats.cdawrite import LABORATORY_REPORT, CdaToWrite, write_cda
from mss.formats.pdfwrite import write_pdf
from mss.model.document import Author, Coded
from mss.record.service import Actor
from mss.web.record import PAGE_LINES
from tests.kit.dicoms import make_image, make_zip
from tests.kit.documents import ZOE
from tests.web.scene import ANNE, laboratory_report
from tests.web.site import Site

pytestmark = pytest.mark.timeout(60)
PDF = write_pdf(("Bonjour",))


async def test_a_document_stands_in_the_list_with_title_type_author_and_date(site: Site) -> None:
    """The title is the link."""
    claire = await site.house.enrol()
    await site.file(claire, PDF, title="Échographie", mime_type="application/pdf", author=ANNE)
    page = await (await site.signed_in(claire)).get("/record")
    assert "Échographie" in page.links
    for word in ("CR d’examens biologiques", "Dr Anne PETIT", "Laboratoire Bélanger", "5 janv. 2026", "1 document"):
        assert word in page.shown


async def test_a_cda_is_a_readable_page_with_its_pdf_copy(any_site: Site) -> None:
    """Values in tables; the copy and the original beside it; every opening in the history."""
    claire = await any_site.house.enrol("Claire MARTIN")
    report = laboratory_report(any_site, claire)
    await any_site.file(claire, report, title="Bilan sanguin")
    browser = await any_site.signed_in(claire)
    page = await browser.get((await browser.get("/record")).links["Bilan sanguin"])
    for word in ("Hémoglobine 10,9 g/dL", "Ferritine 9 µg/L", "MARTIN", "Biologie médicale"):
        assert word in page.shown
    copy = await browser.get(page.links["Ouvrir la copie PDF"])
    assert copy.headers["Content-Type"] == "application/pdf"
    original = await browser.get(page.links["Télécharger l’original"])
    assert original.body == report
    assert original.headers["Content-Disposition"].startswith('attachment; filename="Bilan sanguin.xml"')
    history = await browser.get("/history")
    assert history.shown.count("Document ouvert") == 3
    assert "Claire MARTIN (vous-même)" in history.shown
    assert "Document ajouté" in history.shown


async def test_a_pdf_is_shown_in_the_page(site: Site) -> None:
    """In an object of ours, framed by nobody else; opened, it is in the history."""
    claire = await site.house.enrol()
    number = await site.file(claire, PDF, title="Échographie", mime_type="application/pdf")
    browser = await site.signed_in(claire)
    page = await browser.get(f"/record/{number}")
    assert f'<object data="/record/{number}/file#' in page.text
    assert "object-src 'self'" in page.headers["Content-Security-Policy"]
    file = await browser.get(f"/record/{number}/file")
    assert file.body == PDF
    assert "frame-ancestors 'self'" in file.headers["Content-Security-Policy"]
    assert "Document ouvert" in (await browser.get("/history")).shown


async def test_a_cda_that_is_only_a_cover_shows_its_pdf(site: Site) -> None:
    """Level 1: the file inside is the document."""
    claire = await site.house.enrol()
    cover = write_cda(
        CdaToWrite(
            CdaId("1.2.3", "9"), "Lettre", LABORATORY_REPORT, site.clock.now(), ZOE.traits, ZOE.ins, ANNE, body_pdf=PDF
        )
    )
    number = await site.file(claire, cover, title="Lettre")
    browser = await site.signed_in(claire)
    page = await browser.get(f"/record/{number}")
    assert f'<object data="/record/{number}/file/1#' in page.text
    assert (await browser.get(f"/record/{number}/file/1")).body == PDF
    for nothing in (0, 2, 99):
        assert (await browser.get(f"/record/{number}/file/{nothing}")).status == 404


async def test_a_broken_document_can_still_be_fetched(site: Site) -> None:
    """The page says that it cannot be shown, and nothing falls over."""
    claire = await site.house.enrol()
    number = await site.file(claire, b"<ClinicalDocument>", title="Cassé")
    other = await site.file(claire, b"anything", title="Autre", mime_type="application/dicom")
    browser = await site.signed_in(claire)
    page = await browser.get(f"/record/{number}")
    assert (page.status, "ne peut pas être affiché ici" in page.shown) == (200, True)
    assert (await browser.get(f"/record/{number}/file/1")).status == 404
    assert (await browser.get(f"/record/{number}/file")).body == b"<ClinicalDocument>"
    assert "ne s’affiche pas dans le navigateur" in (await browser.get(f"/record/{other}")).shown


async def test_what_is_hidden_from_her_does_not_exist(any_site: Site) -> None:
    """No line, no count, no page, no history."""
    claire = await any_site.house.enrol()
    hidden = frozenset({"INVISIBLE_PATIENT"})
    number = await any_site.file(claire, PDF, title="Annonce", mime_type="application/pdf", visibility=hidden)
    browser = await any_site.signed_in(claire)
    missing = await browser.get("/record/424242")
    for path in (f"/record/{number}", f"/record/{number}/file", f"/record/{number}/file/1"):
        page = await browser.get(path)
        assert (page.status, page.text) == (404, missing.text)
    for path in ("/record", "/history"):
        assert "Annonce" not in (await browser.get(path)).text
    assert "Votre dossier est vide" in (await browser.get("/record")).shown


async def test_a_replaced_version_leads_to_the_current_one(site: Site) -> None:
    """The old one stays readable, apart."""
    claire = await site.house.enrol()
    old = await site.file(claire, PDF, title="Bilan v1", mime_type="application/pdf")
    new = await site.file(claire, PDF + b"\n", title="Bilan v2", mime_type="application/pdf")
    keys = await site.house.keys(claire.owner)
    await site.house.store.write(0, lambda c: site.records.replace(c, keys, old, new, Actor("Labo", "sender")))
    browser = await site.signed_in(claire)
    page = await browser.get("/record")
    assert page.shown.index("Bilan v2") < page.shown.index("1 ancienne version") < page.shown.index("Bilan v1")
    page = await browser.get(f"/record/{old}")
    assert page.links["Voir la version actuelle"] == f"/record/{new}"


async def test_a_long_record_is_paged(site: Site) -> None:
    """Every document on one page exactly."""
    claire = await site.house.enrol()
    for number in range(PAGE_LINES + 2):
        await site.file(claire, PDF, title=f"Document {number:03}", mime_type="application/pdf")
    browser = await site.signed_in(claire)
    first = await browser.get("/record")
    second = await browser.get(first.links["Documents plus anciens"])
    titles = [{link for link in page.links if link.startswith("Document ")} for page in (first, second)]
    assert [len(one) for one in titles] == [PAGE_LINES, 2]
    assert not titles[0] & titles[1]
    assert second.links["Documents plus récents"] == "/record?page=1"


async def test_a_document_without_title_or_author_has_a_line_too(site: Site) -> None:
    """Its type stands in, and at worst three words."""
    claire = await site.house.enrol()
    nobody = Author()
    await site.file(claire, PDF, title="", mime_type="application/pdf", author=nobody)
    await site.file(claire, PDF, title=" ", mime_type="application/pdf", author=nobody, type_=Coded("x"))
    page = await (await site.signed_in(claire)).get("/record")
    assert {"CR d’examens biologiques", "Document sans titre"} <= set(page.links)


async def test_the_profile_is_her_identity_card(site: Site) -> None:
    """As her professionals know her."""
    claire = await site.house.enrol("Claire MARTIN")
    page = await (await site.signed_in(claire)).get("/profile")
    spaced = f"{claire.ins.value[:13]} {claire.ins.value[13:]}"
    for word in ("MARTIN", "Claire", "28 mars 1979", "féminin", "51215", spaced, "INS qualifiée", claire.address):
        assert word in page.shown


async def test_the_pdf_in_an_image_file_is_shown(site: Site) -> None:
    """Encapsulated PDF: in the page as any PDF; the DICOM file is the original; an image alone is a download."""
    claire = await site.house.enrol()
    boxed = make_image(pdf=PDF)
    number = await site.file(claire, boxed, title="Compte rendu", mime_type="application/dicom")
    image = await site.file(claire, make_image(), title="Scanner", mime_type="application/dicom")
    study = await site.file(claire, make_zip(make_image(), boxed), title="Étude", mime_type="application/zip")
    browser = await site.signed_in(claire)
    assert f'<object data="/record/{number}/file/1#' in (await browser.get(f"/record/{number}")).text
    assert (await browser.get(f"/record/{number}/file/1")).body == PDF
    assert (await browser.get(f"/record/{number}/file")).body == boxed
    assert "ne s’affiche pas dans le navigateur" in (await browser.get(f"/record/{image}")).shown
    assert f'href="/record/{study}/file/1"' in (await browser.get(f"/record/{study}")).text
    download = await browser.get(f"/record/{image}/file?download=1")
    assert 'filename="Scanner.dcm"' in download.headers["Content-Disposition"]


async def test_a_page_says_what_its_signature_is_worth(site: Site) -> None:
    """One sentence, and none where nothing was signed."""
    claire = await site.house.enrol()
    signed = await site.file(claire, PDF, title="Signé", mime_type="application/pdf", signature="valid")
    plain = await site.file(claire, PDF, title="Nu", mime_type="application/pdf")
    browser = await site.signed_in(claire)
    assert "Signature vérifiée" in (await browser.get(f"/record/{signed}")).shown
    assert "Signature" not in (await browser.get(f"/record/{plain}")).shown
