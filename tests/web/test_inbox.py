"""The inbox: conversations, messages, attachments."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from mss.directory.extras import Extras, Said
from mss.formats.pdfwrite import write_pdf
from mss.model.ids import MailAddress, lane_of
from mss.record.service import Actor
from mss.store import addressnotes
from mss.web.inbox import PAGE_LINES
from tests.directory.test_search import FILE
from tests.kit.documents import make_jpeg, make_png
from tests.web.scene import laboratory_report
from tests.web.site import File, Site
from tests.web.test_professionals import fill

pytestmark = pytest.mark.timeout(60)
PDF = b"%PDF-1.4\n%%EOF"


async def test_a_message_is_shown_with_its_sender_and_becomes_read(any_site: Site) -> None:
    """Unread in the list, with a count everywhere; after opening no more."""
    claire = await any_site.house.enrol()
    await any_site.receive(claire, "Vos résultats", "Bonjour Madame,\n\nvoici vos résultats.")
    browser = await any_site.signed_in(claire)
    inbox = await browser.get("/inbox")
    assert "Laboratoire Bélanger" in inbox.shown
    assert "1 message non lu" in inbox.shown
    assert "Bonjour Madame, voici vos résultats." in inbox.shown, "the preview"
    page = await browser.get(inbox.links["Vos résultats"])
    assert "Bonjour Madame,\n\nvoici vos résultats." in page.text
    assert "5 janv. 2026 à 10:00" in page.shown
    assert "Tout est lu" in (await browser.get("/inbox")).shown


async def test_a_verified_name_is_said_to_be_one(site: Site) -> None:
    """The directory's name stands in place of what the sender calls himself; the address is always there."""
    claire = await site.house.enrol()
    site.known["anne.petit@ville.mssante.example"] = "Dr Anne PETIT"
    await site.receive(claire, sender=("Le Président", "anne.petit@ville.mssante.example"))
    browser = await site.signed_in(claire)
    inbox = await browser.get("/inbox")
    assert "Dr Anne PETIT" in inbox.shown
    assert "Le Président" not in inbox.shown
    page = await browser.get(inbox.links["Vos résultats"])
    assert "Nom vérifié dans l’annuaire" in page.shown
    assert "anne.petit@ville.mssante.example" in page.shown
    assert "Le Président" not in page.shown


async def test_long_inboxes_are_paged(any_site: Site) -> None:
    """Every conversation is on one page exactly."""
    claire = await any_site.house.enrol()
    for number in range(PAGE_LINES + 3):
        any_site.clock.forward(5)
        await any_site.receive(claire, f"Message {number:02}")
    browser = await any_site.signed_in(claire)
    first = await browser.get("/inbox")
    second = await browser.get(first.links["Messages plus anciens"])
    seen = [re.findall(r"Message \d\d", page.shown) for page in (first, second)]
    assert [len(set(one)) for one in seen] == [PAGE_LINES, 3]
    assert set(seen[0]) | set(seen[1]) == {f"Message {number:02}" for number in range(PAGE_LINES + 3)}
    assert "Messages plus anciens" not in second.links
    assert "Messages récents" in second.links


async def test_plain_text_is_preferred_and_html_becomes_text(site: Site) -> None:
    """What is only in HTML is read as words."""
    claire = await site.house.enrol()
    await site.receive(claire, "Deux formes", "En texte.", html="<p>En <b>HTML</b>.</p>")
    await site.receive(
        claire, "HTML seul", None, html="<p>Bonjour <b>Madame</b>,</p><p>à <i>demain</i> &amp; merci</p>"
    )
    browser = await site.signed_in(claire)
    inbox = await browser.get("/inbox")
    assert "En texte." in (await browser.get(inbox.links["Deux formes"])).shown
    page = await browser.get(inbox.links["HTML seul"])
    assert "Bonjour Madame, à demain & merci" in page.shown
    assert "<i>demain" not in page.text


@pytest.mark.parametrize(
    ("file", "media_type", "is_shown"),
    [
        (File("résultat.pdf", PDF, "application/pdf"), "application/pdf", True),
        (File("photo.png", make_png(), "image/png"), "image/png", True),
        (File("photo.jpg", make_jpeg(), "image/jpeg"), "image/jpeg", True),
        (File("note.txt", "été\n".encode(), "application/octet-stream"), "text/plain", True),
        (File("page.png", b"<html><script>alert(1)</script>", "image/png"), "application/octet-stream", False),
        (File("image.svg", b"<svg onload='x()'/>", "image/svg+xml"), "application/octet-stream", False),
        (File("x.pdf", b"PK\x03\x04....", "application/pdf"), "application/zip", False),
        (File("d.dcm", b"\0" * 128 + b"DICM", "application/dicom"), "application/dicom", False),
        (File("cda.xml", b'<?xml version="1.0"?><ClinicalDocument/>', "text/xml"), "application/octet-stream", False),
    ],
    ids=lambda value: value.name if isinstance(value, File) else None,
)  # fmt: skip
async def test_only_safe_files_are_shown_by_what_they_are(
    site: Site, file: File, media_type: str, is_shown: bool
) -> None:
    """By content, never by name or declared type; the rest is a download that runs nowhere."""
    claire = await site.house.enrol()
    await site.receive(claire, files=[file])
    browser = await site.signed_in(claire)
    page = await browser.get((await browser.get("/inbox")).links["Vos résultats"])
    (link,) = {link.partition("?")[0] for link in page.links.values() if re.search(r"/inbox/\d+/\d+/", link)}
    answer = await browser.get(link)
    assert answer.body == file.data
    assert answer.headers["Content-Type"].partition(";")[0] == media_type
    assert answer.headers["Content-Disposition"].startswith("inline" if is_shown else "attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    download = await browser.get(f"{link}?download=1")
    assert download.headers["Content-Disposition"].startswith("attachment")


async def test_a_file_keeps_its_french_name(site: Site) -> None:
    """RFC 6266: the true name, and a plain one for old browsers."""
    claire = await site.house.enrol()
    await site.receive(claire, files=[File("Bilan d’été.pdf", PDF, "application/pdf")])
    browser = await site.signed_in(claire)
    page = await browser.get((await browser.get("/inbox")).links["Vos résultats"])
    answer = await browser.get(page.links["Bilan d’été.pdf"])
    assert "filename*=UTF-8''Bilan%20d%E2%80%99%C3%A9t%C3%A9.pdf" in answer.headers["Content-Disposition"]


async def test_a_document_filed_from_a_message_is_linked_there(any_site: Site) -> None:
    """Under its title; one that she may not see is not named."""
    claire = await any_site.house.enrol()
    number = await any_site.receive(claire)
    await any_site.file(claire, laboratory_report(any_site, claire), message=number)
    hidden = frozenset({"INVISIBLE_PATIENT"})
    await any_site.file(
        claire, b"%PDF-", title="Annonce", message=number, visibility=hidden, mime_type="application/pdf"
    )
    browser = await any_site.signed_in(claire)
    page = await browser.get((await browser.get("/inbox")).links["Vos résultats"])
    assert "Document dans votre dossier" in page.shown
    assert "Annonce" not in page.shown
    document = await browser.get(page.links["Compte rendu de biologie"])
    assert "Hémoglobine" in document.shown


async def test_where_she_may_not_answer_the_page_says_who_ended_it(site: Site) -> None:
    """No form, but a sentence; and the numbers to call."""
    claire = await site.house.enrol()
    await site.receive(claire, "Vos résultats")
    await site.receive(claire, "Au revoir", headers={"X-MSS-MES": "FIN"})
    browser = await site.signed_in(claire)
    page = await browser.get((await browser.get("/inbox")).links["Vos résultats"])
    assert "Laboratoire Bélanger a mis fin à cet échange" in page.shown
    assert "15 ou 112, 114" in page.shown
    assert "body" not in page.fields


async def test_the_numbers_to_call_stand_above_the_box(site: Site) -> None:
    """Before the first letter is typed."""
    claire = await site.house.enrol()
    await site.receive(claire)
    browser = await site.signed_in(claire)
    page = await browser.get((await browser.get("/inbox")).links["Vos résultats"])
    assert page.text.index("15 ou 112, 114") < page.text.index("<textarea")


async def test_a_bad_page_number_is_the_first_page(site: Site) -> None:
    """Nobody types them, but links get broken."""
    claire = await site.house.enrol()
    await site.receive(claire)
    browser = await site.signed_in(claire)
    for query in ("before=x", "before=-1", "before=%00", "before=" + "9" * 40, "before=١"):
        page = await browser.get(f"/inbox?{query}")
        assert (page.status, "Vos résultats" in page.links) == (200, True), query


async def test_the_size_of_a_file_is_that_of_the_file(site: Site) -> None:
    """Not of its letters on the way."""
    claire = await site.house.enrol()
    await site.receive(claire, files=[File("a.png", make_png().ljust(1_200_000, b"\0"), "image/png")])
    browser = await site.signed_in(claire)
    page = await browser.get((await browser.get("/inbox")).links["Vos résultats"])
    assert "1,2\u00a0Mo" in page.text


async def test_what_was_withdrawn_leaves_a_sentence_in_the_message(any_site: Site) -> None:
    """Who took it back and when; the words stay, the copies answer as if they had never been."""
    site = any_site
    claire = await site.house.enrol()
    message = await site.receive(claire, "Vos résultats", files=[File("Bilan.pdf", PDF, "application/pdf")])
    document = await site.file(claire, PDF, title="Bilan sanguin", mime_type="application/pdf", message=message)
    browser = await site.signed_in(claire)
    page = await browser.get((await browser.get("/inbox")).links["Vos résultats"])
    copy = page.links["Bilan.pdf"]
    assert (await browser.get(copy)).body == PDF
    assert "Document ouvert" in (await browser.get("/history")).shown
    keys = await site.house.keys(claire.owner)
    lane = lane_of(claire.owner)
    await site.house.store.write(lane, lambda c: site.records.withdraw(c, keys, document, Actor("Labo B", "sender")))
    page = await browser.get(page.path)
    assert "Bonjour Madame, voici vos résultats." in page.shown
    assert "Labo B a retiré un document de ce message le 5 janv. 2026 à 10:0" in page.shown
    for gone in ("Bilan.pdf", "Bilan sanguin"):
        assert gone not in page.shown
    assert (await browser.get(copy)).status == (await browser.get(f"/record/{document}/file")).status == 404
    assert "avec pièce jointe" not in (await browser.get("/inbox")).shown
    assert "Bilan sanguin" not in (await browser.get("/record")).text


async def test_what_was_replaced_leads_to_the_version_that_holds(site: Site) -> None:
    """The message says so above its files, which stay readable."""
    claire = await site.house.enrol()
    message = await site.receive(claire, "Vos résultats", files=[File("Bilan.pdf", PDF, "application/pdf")])
    old = await site.file(claire, PDF, title="Bilan", mime_type="application/pdf", message=message)
    new = await site.file(claire, PDF + b"\n", title="Bilan corrigé", mime_type="application/pdf")
    keys = await site.house.keys(claire.owner)
    lane = lane_of(claire.owner)
    await site.house.store.write(lane, lambda c: site.records.replace(c, keys, old, new, Actor("Labo B", "sender")))
    browser = await site.signed_in(claire)
    page = await browser.get((await browser.get("/inbox")).links["Vos résultats"])
    assert "une version qui a été remplacée : ne vous y fiez plus" in page.shown
    assert "Ancienne version, remplacée depuis Bilan" in page.shown
    assert page.links["Voir la version actuelle"] == f"/record/{new}"
    assert (await browser.get(page.links["Bilan.pdf"])).body == PDF


async def test_a_loose_file_is_put_into_the_record_with_one_press(any_site: Site) -> None:
    """Once; it opens there and says where it comes from. What the pages do not offer cannot be pressed."""
    site = any_site
    claire = await site.house.enrol()
    pdf = write_pdf(("Ordonnance",))
    files = [
        File("Ordonnance.pdf", pdf, "application/pdf"),
        File("Cassé.pdf", b"%PDF-1.4\nnothing", "application/pdf"),
        File("note.txt", b"Bonjour"),
    ]
    message = await site.receive(claire, "Votre ordonnance", files=files)
    browser = await site.signed_in(claire)
    page = await browser.get((await browser.get("/inbox")).links["Votre ordonnance"])
    assert page.shown.count("Ajouter à mon dossier") == 2
    good, broken = (page.links[file.name] for file in files[:2])
    note = good.rpartition("/")[0] + "/4"
    done = await browser.submit(page, f"{good}/keep")
    assert "Le fichier est dans votre dossier." in done.shown
    await browser.submit(page, f"{good}/keep")
    assert (await browser.submit(page, f"{broken}/keep")).status == 422
    assert (await browser.submit(page, f"{note}/keep")).status == 404
    assert (await browser.post(f"{good}/keep", {})).status == 403
    record = await browser.get("/record")
    assert "1 document" in record.shown
    document = await browser.get(record.links["Ordonnance.pdf"])
    assert "Fichier d’un message, sans fiche" in document.shown
    assert (await browser.get(document.path + "/file")).body == pdf
    page = await browser.get(page.path)
    assert page.links["Dans votre dossier"] == document.path
    assert message
    assert page.shown.count("Ajouter à mon dossier") == 1


async def test_copies_beside_an_archive_are_not_offered(site: Site) -> None:
    """The document stands in the record already."""
    claire = await site.house.enrol()
    pdf = write_pdf(("Bilan",))
    message = await site.receive(claire, "Vos résultats", files=[File("Bilan.pdf", pdf, "application/pdf")])
    await site.file(claire, laboratory_report(site, claire), title="Bilan", message=message)
    browser = await site.signed_in(claire)
    page = await browser.get((await browser.get("/inbox")).links["Vos résultats"])
    assert "Ajouter à mon dossier" not in page.shown
    assert (await browser.submit(page, page.links["Bilan.pdf"] + "/keep")).status == 404
    assert "1 document" in (await browser.get("/record")).shown


async def test_a_name_in_disguise_is_told_and_never_read_as_the_doctor_s(site: Site) -> None:
    """Letters of another alphabet in a From field, in the list and in the conversation; an honest Greek name passes."""
    person = await site.house.enrol()
    await site.receive(person, "Urgent", sender=("Dr Anne PETI\u0422", "anne@autre.mssante.example"))
    await site.receive(person, "Bonjour", sender=("Dr Γιώργος Παπαδόπουλος", "giorgos@autre.mssante.example"))
    browser = await site.signed_in(person)
    inbox = await browser.get("/inbox")
    conversation = await browser.get(inbox.links["Urgent"])
    for page in (inbox, conversation):
        assert "Dr Anne PETI□" in page.shown
        assert "Nom douteux" in page.shown
        assert "\u0422" not in page.text
    honest = await browser.get(inbox.links["Bonjour"])
    assert "Γιώργος Παπαδόπουλος" in honest.shown
    assert "Nom douteux" not in honest.shown


async def test_a_from_field_names_nobody_whom_the_directory_knows(site: Site, tmp_path: Path) -> None:
    """Also where nobody has checked in time: then the directory's name stands there without its mark."""
    await fill(site, tmp_path, FILE)
    person = await site.house.enrol()
    await site.receive(person, "Votre sortie", sender=("Le Président", "a1@ville.mssante.example"))
    browser = await site.signed_in(person)
    inbox = await browser.get("/inbox")
    for page in (inbox, await browser.get(inbox.links["Votre sortie"])):
        assert "Camille LEFÈVRE" in page.shown
        assert "Président" not in page.text
        assert "Nom vérifié" not in page.shown


async def test_before_she_writes_she_reads_what_is_known_of_the_address(site: Site, tmp_path: Path) -> None:
    """Its purpose, who stands in, and that it may no longer answer, beside the form."""
    await fill(site, tmp_path, FILE)
    store, address = site.house.store, MailAddress.parse("cardio@chu.mssante.example")
    await Extras(store, site.clock).say(address, Said("Lettres de sortie de cardiologie"), "staff:test")
    until = site.clock.now() + timedelta(days=2)
    await Extras(store, site.clock).away(address, site.clock.now(), until, "a1@ville.mssante.example")
    await store.write(0, lambda c: addressnotes.bounced(c, address.key, 1_000))
    person = await site.house.enrol()
    await site.receive(person, "Votre sortie", sender=("Cardiologie", str(address)))
    browser = await site.signed_in(person)
    page = await browser.get((await browser.get("/inbox")).links["Votre sortie"])
    for words in ("Lettres de sortie de cardiologie", "Ne répond peut-être plus", "remplacé par", "a1@ville"):
        assert words in page.shown
