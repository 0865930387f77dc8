"""Who looks for somebody finds her, as people write and speak; and a search costs the same in a large directory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.directory.correspondence import CorrespondenceReader
from mss.directory.imports import Imports
from mss.directory.keys import KEY_CHARS_MAX, Question, fits, keys_of, walks
from mss.directory.search import Mark, Search
from mss.model.clock import ManualClock
from mss.model.directory import Listing, Place
from mss.model.errors import BadValue
from mss.model.lookalikes import tricks_of
from mss.model.mailbox import MailboxKind
from mss.store import directory
from mss.store.database import Store
from tests.kit.databases import with_tables
from tests.kit.frenchpeople import HEADER, finess, lines, rpps


def person(number: int, title: str, given: str, family: str, job: str, specialty: str, code: str, city: str) -> str:
    known = rpps(number)
    return (
        f"PER|a{number}@ville.mssante.example|8|{known}|8{known}|1|1{finess(number)}||{title}|{family}|{given}|10|{job}||"
        f"{specialty}|N|Cabinet {city}|1|Rue des Tilleuls|{code} {city}|{code}|"
    )


FILE = [
    HEADER,
    person(1, "DR", "Camille", "LEFÈVRE", "Médecin", "Cardiologie et maladies vasculaires", "69003", "LYON 03"),
    person(2, "DR", "Marie-Claude", "LEFEBVRE", "Médecin", "Psychiatrie", "75015", "PARIS 15"),
    person(3, "", "Jean", "MARTIN-DUPONT", "Infirmier", "", "69003", "LYON"),
    person(4, "DR", "Jean", "MARTIN", "Médecin", "Cardiologie et maladies vasculaires", "35000", "RENNES"),
    person(5, "", "Martin", "JEAN", "Pharmacien", "", "35000", "RENNES"),
    person(6, "DR", "Zoé", "DE LA TOUR", "Médecin", "Pédiatrie", "20000", "AJACCIO"),
    person(7, "DR", "Zoé", "D'ARTAGNAN", "Médecin", "Pédiatrie", "97400", "SAINT-DENIS CEDEX"),
    *(
        f"{kind}|{name}@chu.mssante.example||||1|1{finess(90)}|{service}||||||||O|CHU de Rennes|1|Rue|35000 RENNES||"
        for kind, name, service in (("ORG", "cardio", "Secrétariat de cardiologie"), ("APP", "dpi", "Dossier patient"))
    ),
]


async def fill(store: Store, folder: Path, content: list[str]) -> Search:
    file = folder / "Extraction_20251201.txt"
    file.write_text("\n".join(content), encoding="utf-8")
    await Imports(store, folder / "work", ManualClock()).take(file, CorrespondenceReader(), lambda *_: None)
    return Search(store)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    await with_tables(database_url)
    opened = Store.open(database_url)
    yield opened
    await opened.close()


async def names(search: Search, question: Question) -> list[str]:
    return [one.listing.title for one in (await search.find(question)).found]


LYON, RENNES = "DR Camille LEFÈVRE", "DR Jean MARTIN"
CASES = [
    (Question("lefevre"), {LYON, "DR Marie-Claude LEFEBVRE"}),
    (Question("Lefebvre"), {LYON, "DR Marie-Claude LEFEBVRE"}),
    (Question("LEFÈVRE Camille"), {LYON}),
    (Question("camille lefev"), {LYON}),
    (Question("lefev"), {LYON}),
    (Question("lefebvre", sounds_alike=False), {"DR Marie-Claude LEFEBVRE"}),
    (Question("dupont"), {"Jean MARTIN-DUPONT"}),
    (Question("Martin Dupont"), {"Jean MARTIN-DUPONT"}),
    (Question("dupond"), {"Jean MARTIN-DUPONT"}),
    (Question("jean martin"), {RENNES, "Martin JEAN", "Jean MARTIN-DUPONT"}),
    (Question("de la tour"), {"DR Zoé DE LA TOUR"}),
    (Question("delatour zoe"), {"DR Zoé DE LA TOUR"}),
    (Question("camille"), {LYON}),
    (Question("artagnan"), {"DR Zoé D'ARTAGNAN"}),
    (Question("martin", place="Lyon"), {"Jean MARTIN-DUPONT"}),
    (Question("martin", place="35"), {RENNES}),
    (Question("martin", place="35000"), {RENNES}),
    (Question("martin", job="cardiologue"), {RENNES}),
    (Question(job="cardiologue", place="Lyon"), {LYON}),
    (Question(job="cardiologue", place="69"), {LYON}),
    (Question(job="Médecin"), {LYON, RENNES, "DR Marie-Claude LEFEBVRE", "DR Zoé DE LA TOUR", "DR Zoé D'ARTAGNAN"}),
    (Question(job="infirmière"), {"Jean MARTIN-DUPONT"}),
    (Question(job="pédiatre", place="2A"), {"DR Zoé DE LA TOUR"}),
    (Question(job="astrologue"), set()),
    (Question(structure="chu rennes"), {"Secrétariat de cardiologie, CHU de Rennes", "Dossier patient, CHU de Rennes"}),
    (Question(structure="cardiologie", place="rennes"), {"Secrétariat de cardiologie, CHU de Rennes"}),
    (Question(structure="chu de rennes", kinds=frozenset({"APP"})), {"Dossier patient, CHU de Rennes"}),
    (Question(identifier=rpps(4)), {RENNES}),
    (Question(identifier="8" + rpps(4)), {RENNES}),
    (Question(identifier=finess(90)), {"Secrétariat de cardiologie, CHU de Rennes", "Dossier patient, CHU de Rennes"}),
    (Question(identifier=rpps(4)[:10]), set()),
    (Question(address="CARDIO@"), {"Secrétariat de cardiologie, CHU de Rennes"}),
    (Question(place="saint-denis"), {"DR Zoé D'ARTAGNAN"}),
]


async def test_people_are_found_as_people_ask(store: Store, tmp_path: Path) -> None:
    """By name in either order, by sound, by beginning, profession, place, structure, number, address."""
    search = await fill(store, tmp_path, FILE)
    for question, expected in CASES:
        found = await names(search, question)
        assert (set(found), len(found)) == (expected, len(expected)), question


async def test_a_question_for_everybody_is_not_answered(store: Store, tmp_path: Path) -> None:
    """Three letters at least: nobody reads the directory out by typing a."""
    search = await fill(store, tmp_path, FILE)
    for question in (Question("ma"), Question(""), Question(address="a"), Question(structure="de la"), Question("!?")):
        page = await search.find(question)
        assert (page.found, page.too_wide) == ((), True)


async def test_pages_together_are_the_whole_answer(store: Store, tmp_path: Path) -> None:
    """Nobody twice, nobody left out, in the same order, however small the pages."""
    search = await fill(store, tmp_path, list(lines(400, seed=3)))
    for question in (Question("mar"), Question("martin"), Question(job="medecin"), Question(structure="centre")):
        whole = [one.number for one in (await search.find(question, page_max=100)).found]
        mark: Mark | None = None
        paged: list[int] = []
        while True:
            page = await search.find(question, page_max=7, after=mark)
            paged += [one.number for one in page.found]
            if page.more is None:
                break
            mark = Mark.parse(str(page.more))
        assert len(paged) == len(set(paged))
        assert paged[:100] == whole
        assert whole, question


async def test_a_mark_of_another_question_is_refused(store: Store, tmp_path: Path) -> None:
    """A made-up mark walks nowhere else."""
    search = await fill(store, tmp_path, FILE)
    with pytest.raises(BadValue, match="another question"):
        await search.find(Question("martin"), after=Mark(0, "a/", -1))


@pytest.mark.parametrize("text", ["", "x", "WzAsICJhIl0", "W10", "eyJhIjoxfQ", "é", "A" * 1_000, str(Mark(0, "k", -2))])
def test_a_mark_that_is_none_is_refused_in_words(text: str) -> None:
    """Whatever a client sends back."""
    with pytest.raises(BadValue, match="not a mark"):
        Mark.parse(text)


async def test_what_a_page_may_cost_is_bounded(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second word that nobody has ends the page after a fixed number of keys, with a mark to go on."""
    monkeypatch.setattr("mss.directory.walking.KEYS_LOOKED_AT_MAX", 40)
    monkeypatch.setattr("mss.directory.walking.KEYS_AT_ONCE", 10)
    search = await fill(store, tmp_path, list(lines(400, seed=3)))
    looked = 0
    walk = directory.walk

    def counted(*args: object) -> list[tuple[str, directory.FactRow]]:
        nonlocal looked
        rows = walk(*args)  # type: ignore[arg-type]
        looked += len(rows)
        return rows

    monkeypatch.setattr(directory, "walk", counted)
    page = await search.find(Question(job="medecin", kinds=frozenset({"APP"})))
    assert page.found == ()
    assert page.more is not None
    assert looked <= 50


async def test_an_address_is_shown_with_its_proof(store: Store, tmp_path: Path) -> None:
    """Who said so, how, when, and when it is to be asked again."""
    search = await fill(store, tmp_path, FILE)
    (found,) = await search.at("a1@ville.mssante.example")
    assert found.listing.title == LYON
    assert found.verified.method == "correspondence-file"
    assert found.verified.at.isoformat() == "2025-12-01T00:00:00+00:00"
    assert found.verified.next_check > found.verified.at
    person_found = await search.person("8" + rpps(1))
    assert person_found is not None
    assert person_found.professional.family == "LEFÈVRE"
    site = await search.site("1" + finess(90))
    assert site is not None
    assert site.structure.name == "CHU de Rennes"
    assert await search.person("8" + rpps(99)) is None


TEXT = st.text(max_size=40)
NAMES = TEXT.filter(lambda name: not tricks_of(name))
"""Names that imitate others are refused before they are kept."""


@given(NAMES, NAMES, TEXT)
def test_whatever_is_written_or_asked_keys_stay_short_and_meet(family: str, given_name: str, city: str) -> None:
    """A name as it is written is among the keys that it is asked for by."""
    listing = Listing(
        "x@ville.mssante.example",
        MailboxKind.PERSONAL,
        family=family or "x",
        given=given_name,
        place=Place(city=city),
    )
    keys = keys_of(listing)
    assert all(len(key) <= KEY_CHARS_MAX for key in keys)
    question = Question(name=listing.family)
    assert fits(question, (), listing)
    asked = walks(question, ())
    assert not asked or any(key.startswith(way.start) for way in asked for key in keys)


async def test_a_name_is_verified_only_while_it_is_certain(store: Store, tmp_path: Path) -> None:
    """The directory's name for an address; none for strangers, and none when nobody has asked for a month."""
    search = await fill(store, tmp_path, FILE)
    addresses = ("a1@ville.mssante.example", "cardio@chu.mssante.example", "nobody@ville.mssante.example")
    day = datetime(2025, 12, 20, tzinfo=UTC)
    assert await search.names(addresses, day) == {
        addresses[0]: LYON,
        addresses[1]: "Secrétariat de cardiologie, CHU de Rennes",
    }
    assert await search.names(addresses, day + timedelta(days=30)) == {}


async def test_whoever_the_directory_knows_is_called_as_it_says(store: Store, tmp_path: Path) -> None:
    """A stranger's own word is worth less: also when nobody has checked for long, and of several services behind one
    address all, up to some. Whoever is in no file has no name here."""
    team = FILE[-2].replace("cardio@", "soins@")
    others = [
        team.replace("Secrétariat de cardiologie", service) for service in ("Accueil", "Bloc", "Chirurgie", "DIM")
    ]
    search = await fill(store, tmp_path, [*FILE, *others])
    a1, soins = "A1@ville.mssante.example", "soins@chu.mssante.example"
    assert await search.titles((a1, soins, "nobody@ville.mssante.example")) == {
        a1: LYON,
        soins: "Accueil, CHU de Rennes, Bloc, CHU de Rennes, Chirurgie, CHU de Rennes",
    }


async def test_what_is_written_beside_an_address_deceives_nobody(store: Store, tmp_path: Path) -> None:
    """Letters of another alphabet in a description stand as squares, hidden marks are gone; the address stays."""
    column = [f"{FILE[0]}|Description", f"{FILE[-2]}|Lettres de \u0421\u0430mille \u2615\ufe0f", *FILE[-1:]]
    search = await fill(store, tmp_path, column)
    (found,) = await search.at("cardio@chu.mssante.example")
    assert found.listing.description == "Lettres de \u25a1\u25a1mille \u2615"
