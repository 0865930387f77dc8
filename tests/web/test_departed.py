"""A patient whose doctor has left reads so before she writes, and loses nothing of what was written."""

from __future__ import annotations

from mss.accounts.lifecycle import LifeEvent
from tests.web.site import Site

DOCTOR = ("Dr Jean PARTI", "jean.parti@ville.mssante.example")


async def test_who_has_left_can_no_longer_be_answered(site: Site) -> None:
    """The form is gone, a sentence says why, the messages stay; an answer in flight comes back with its text."""
    patient = await site.house.enrol()
    doctor = await site.house.professional(DOCTOR[1])
    await site.receive(patient, "Votre visite", sender=DOCTOR)
    browser = await site.signed_in(patient)
    link = (await browser.get("/inbox")).links["Votre visite"]
    page = await browser.get(link)
    assert "Envoyer ma réponse" in page.shown
    token = page.fields["csrf"]
    await site.house.accounts.live_on(doctor, LifeEvent.RETIRE)
    page = await browser.get(link)
    assert "ne peut plus répondre" in page.shown
    assert "Envoyer ma réponse" not in page.shown
    assert "voici vos résultats" in page.shown
    page = await browser.post(link, {"csrf": token, "body": "Une question"}, follow=False)
    assert page.status == 409
    assert "Une question" in page.text
    await site.house.accounts.live_on(doctor, LifeEvent.RESUME)
    assert "Envoyer ma réponse" in (await browser.get(link)).shown
