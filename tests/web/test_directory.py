"""The directory on the desk: staff find people as they ask; nobody else has the page."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from mss.directory.correspondence import CorrespondenceReader
from mss.directory.extras import Extras, Said
from mss.directory.imports import Imports
from mss.model.ids import MailAddress
from mss.store import addressnotes
from tests.directory.test_search import FILE, person
from tests.kit.frenchpeople import HEADER, lines, rpps
from tests.web.test_desk import Counter, counter

__all__ = ["counter"]


async def fill(counter: Counter, folder: Path, content: list[str]) -> None:
    file = folder / "Extraction_20251201.txt"
    file.write_text("\n".join(content), encoding="utf-8")
    below = counter.house.cellar
    service = Imports(below.store, folder / "work", below.clock)
    await service.take(file, CorrespondenceReader(), lambda *_: None)


async def test_staff_find_people_as_they_ask(counter: Counter, tmp_path: Path) -> None:
    """By sound, profession and place, number, address; with the day of verification, and what tells people apart."""
    browser, page = await counter.at_desk(await counter.hire("Anne"))
    page = await browser.get("/desk/directory")
    assert "Aucun fichier" in page.shown
    await fill(counter, tmp_path, FILE)
    page = await browser.get("/desk/directory?name=lefebvre")
    assert "Camille LEFÈVRE" in page.shown
    assert "Marie-Claude LEFEBVRE" in page.shown
    assert "LYON" in page.shown
    assert "1 déc. 2025" in page.shown
    for query in (f"number={rpps(1)}", "number=a1@", "job=cardiologue&place=Lyon", f"name={quote('Lefèvre')}&place=69"):
        page = await browser.get(f"/desk/directory?{query}")
        assert "a1@ville.mssante.example" in page.shown, query
        assert "a2@ville.mssante.example" not in page.shown
    assert "Personne de ce nom" in (await browser.get("/desk/directory?name=introuvable")).shown
    assert "trois lettres" in (await browser.get("/desk/directory?name=ma")).shown
    assert (await browser.get("/desk/directory?name=martin&after=nonsense")).status == 404


async def test_a_long_list_is_turned_page_by_page(counter: Counter, tmp_path: Path) -> None:
    """Each of them once."""
    await fill(counter, tmp_path, list(lines(300, seed=3)))
    browser, _ = await counter.at_desk(await counter.hire("Anne"))
    page = await browser.get("/desk/directory?job=medecin")
    first = set(page.shown.split())
    page = await browser.get(page.links["Suite de la liste"])
    assert page.status == 200
    both = {word for word in set(page.shown.split()) & first if "@" in word}
    assert not both


async def test_words_that_are_common_each_and_rare_together_are_not_nobody(
    counter: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search looks on while a page is empty; stopped before its end it does not say that there is nobody."""
    monkeypatch.setattr("mss.directory.walking.KEYS_LOOKED_AT_MAX", 4)
    lyon = [person(10 + at, "", "Anne", f"ABEL{at:02}", "Pharmacien", "", "69003", "LYON") for at in range(30)]
    bron = [person(50 + at, "", "Anne", f"BERG{at:02}", "Médecin", "", "69500", "BRON") for at in range(40)]
    wanted = person(99, "", "Zoé", "ZOLA", "Médecin", "", "69003", "LYON")
    await fill(counter, tmp_path, [HEADER, *(one.replace("Cabinet", "Pharmacie") for one in lyon), *bron, wanted])
    browser, _ = await counter.at_desk(await counter.hire("Anne"))
    page = await browser.get("/desk/directory?structure=cabinet+lyon")
    assert "a99@ville.mssante.example" in page.shown
    assert "arrêtée" not in page.shown
    monkeypatch.setattr("mss.directory.walking.KEYS_LOOKED_AT_MAX", 2)
    page = await browser.get("/desk/directory?structure=cabinet+lyon")
    assert "a99@ville.mssante.example" not in page.shown
    assert "arrêtée avant la fin" in page.shown
    assert "Personne de ce nom" not in page.shown
    page = await browser.get(page.links["Suite de la liste"])
    assert "a99@ville.mssante.example" in page.shown
    page = await browser.get("/desk/directory?structure=cabinet+paris")
    assert "Personne de ce nom" in page.shown


async def test_a_name_of_the_directory_cannot_draw_on_the_page(counter: Counter, tmp_path: Path) -> None:
    """What a file says is text."""
    line = FILE[1].replace("LEFÈVRE", "<b>LEFÈVRE</b>")
    await fill(counter, tmp_path, [HEADER, line])
    browser, _ = await counter.at_desk(await counter.hire("Anne"))
    page = await browser.get(f"/desk/directory?number={rpps(1)}")
    assert "<b>" not in page.text
    assert "&lt;B&gt;LEF" in page.text


async def test_staff_read_what_an_address_is_for_and_whether_it_answers(counter: Counter, tmp_path: Path) -> None:
    """Before anybody writes: its purpose, a bounce, who stands in."""
    await fill(counter, tmp_path, FILE)
    below, address = counter.house.cellar, MailAddress.parse("cardio@chu.mssante.example")
    extras = Extras(below.store, below.clock)
    await extras.say(address, Said("Lettres de sortie"), "staff:test")
    until = below.clock.now() + timedelta(days=2)
    await extras.away(address, below.clock.now(), until, "a1@ville.mssante.example")
    browser, _ = await counter.at_desk(await counter.hire("Anne"))
    page = await browser.get("/desk/directory?number=cardio@")
    assert "Lettres de sortie" in page.shown
    assert "a1@ville.mssante.example" in page.shown
    assert "peut-être plus" not in page.shown
    await below.store.write(0, lambda c: addressnotes.bounced(c, address.key, 1_000))
    assert "peut-être plus" in (await browser.get("/desk/directory?number=cardio@")).shown
