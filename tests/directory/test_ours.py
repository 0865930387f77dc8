"""What we say of our own mailboxes is read at every door at once, and nothing of what may not be shown is anywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from mss.directory.entries import Entries
from mss.directory.extras import Extras
from mss.directory.keys import Question
from mss.directory.own import Own, Wish
from mss.directory.search import Search
from mss.directory.walking import Gone, as_it_was
from mss.directory.wholes import Unit
from mss.model.directory import IMPORTED, Source
from mss.model.errors import BadValue, NotFound
from mss.model.ids import MailAddress
from mss.model.mailbox import MailboxKind
from mss.store import audit, directory
from tests.fhir.conftest import filled
from tests.kit.fhirdoor import PEOPLE, copied, entry
from tests.kit.ownhouse import CAMILLE, CARDIO, HOSPITAL, OwnHouse, own_house, team

STAFF = "staff:7"
__all__ = ["filled"]


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[OwnHouse]:
    """On each engine."""
    async with own_house(database_url, tmp_path) as opened:
        await opened.begin(team())
        yield opened


@pytest.fixture
async def quick(filled: Path, tmp_path: Path) -> AsyncIterator[OwnHouse]:
    """On SQLite."""
    async with own_house(copied(filled, tmp_path), tmp_path, ()) as opened:
        await opened.begin(team())
        yield opened


async def test_a_change_is_read_at_once_and_the_rest_stays_as_the_file_says(house: OwnHouse) -> None:
    """A description is found by its words; service, structure and place are those of the national file."""
    before = (await house.at(CARDIO))[0]
    await house.ours.say(CARDIO, Wish(description="Lettres de sortie"), STAFF)
    (after,) = await house.at(CARDIO)
    assert after.description == "Lettres de sortie"
    assert (after.service, after.structure, after.place) == (before.service, before.structure, before.place)
    assert await house.found(structure="sortie") == {str(CARDIO)}
    hospital = await Entries(house.store).one(Unit.ORGANIZATION, HOSPITAL)
    assert hospital is not None
    assert [one.listing.description for one in hospital.listings if one.listing.address == str(CARDIO)] == [
        "Lettres de sortie"
    ]
    (found,) = await Search(house.store).at(str(CARDIO))
    assert found.verified.source is Source.OURS


async def test_a_list_that_is_being_turned_stays_of_one_moment(quick: OwnHouse) -> None:
    """Three changes later the old moment is still read; after two tidied days it is gone."""
    sources = await quick.store.read(directory.sources)
    await quick.ours.say(CARDIO, Wish(description="un"), STAFF)
    page = await Entries(quick.store).search(Unit.ORGANIZATION, Question(structure="rennes"), page_max=1)
    for text in ("deux", "trois", "quatre"):
        await quick.ours.say(CARDIO, Wish(description=text), STAFF)

    async def read_then() -> list[str]:
        found = await Entries(quick.store).search(
            Unit.ORGANIZATION, Question(structure="rennes"), page_max=1, generations=page.generations
        )
        return [one.listing.description for one in found.entries[0].listings if one.listing.address == str(CARDIO)]

    assert await read_then() == ["un"]
    await quick.ours.tidy()
    await quick.ours.tidy()
    with pytest.raises(Gone):
        await read_then()
    assert Source.OURS not in sources or sources[Source.OURS].current == 0
    (now,) = await quick.at(CARDIO)
    assert now.description == "quatre"


async def test_nothing_is_stored_twice_where_the_file_says_the_same(quick: OwnHouse) -> None:
    """A mailbox of which nobody has said anything reads as the national file has it, verified by it."""
    (found,) = await Search(quick.store).at(str(CARDIO))
    assert found.verified.source is Source.CORRESPONDENCE
    assert (await Search(quick.store).as_of()) is not None


async def test_a_closed_mailbox_is_gone_everywhere_and_its_address_is_never_given_again(house: OwnHouse) -> None:
    """Also where the national file still lists it; whoever comes back is listed again."""
    await house.ours.say(CARDIO, Wish(description="Lettres de sortie"), STAFF)
    await house.lives(CARDIO, takes_mail=False)
    await _is_nowhere(house)
    with pytest.raises(BadValue, match="another's"):
        await house.begin(Own(str(CARDIO), MailboxKind.APPLICATION, idnst=HOSPITAL))
    with pytest.raises(BadValue, match="another's"):
        await house.begin(team(idnst="1999000003"))
    with pytest.raises(BadValue, match="closed"):
        await house.ours.say(CARDIO, Wish(description="x"), STAFF)
    await house.lives(CARDIO, takes_mail=True)
    assert (await house.at(CARDIO))[0].description == "Lettres de sortie"


async def test_the_red_list_keeps_nothing_and_shows_nothing(house: OwnHouse) -> None:
    """Not in a search, not on a page begun before, not in history, note or tables; back only for its holder."""
    await house.ours.say(CARDIO, Wish(description="Lettres de sortie", purpose="zebra", phone="0102030405"), STAFF)
    page = await Entries(house.store).search(Unit.ORGANIZATION, Question(structure="rennes"), page_max=1)
    await house.ours.say(CARDIO, Wish(is_unlisted=True), STAFF)
    await _is_nowhere(house)
    then = await Entries(house.store).search(
        Unit.ORGANIZATION, Question(structure="rennes"), page_max=1, generations=page.generations
    )
    assert str(CARDIO) not in repr(then)
    assert await Extras(house.store, house.clock).of([str(CARDIO)]) == {}
    kept = repr([await house.ours.history(CARDIO), await house.ours.of(CARDIO)])
    kept += repr([one async for one in house.ours.all()]) + repr(await house.store.read(_facts_of_ours))
    for word in ("cardio", "sortie", "zebra", "0102030405"):
        assert word not in kept.lower()
    with pytest.raises(BadValue, match="red list"):
        await house.ours.say(CARDIO, Wish(description="x"), STAFF)
    await house.begin(team())
    await _is_nowhere(house)
    with pytest.raises(BadValue, match="whose it is"):
        await house.ours.say(CARDIO, Wish(is_unlisted=False, holder="1999000003"), STAFF)
    await house.ours.say(CARDIO, Wish(is_unlisted=False, holder=HOSPITAL, description="de retour"), STAFF)
    assert (await house.at(CARDIO))[0].description == "de retour"


async def _is_nowhere(house: OwnHouse) -> None:
    assert await house.at(CARDIO) == ()
    assert str(CARDIO) not in await house.found(structure="cardiologie")
    assert str(CARDIO) not in await house.found(address="cardio")
    hospital = await Entries(house.store).one(Unit.ORGANIZATION, HOSPITAL)
    assert str(CARDIO) not in repr(hospital)
    assert str(CARDIO) not in repr([one async for one in Search(house.store).everybody()])
    assert str(CARDIO) not in repr([one async for one in Entries(house.store).everything()])


def _facts_of_ours(connection: object) -> object:
    return directory.page_of_facts(connection, Source.OURS, -1, 1_000)  # type: ignore[arg-type]


async def test_a_file_that_contradicts_us_changes_nothing_and_is_told(quick: OwnHouse) -> None:
    """Another holder behind an address of ours: ours stands, and the difference has a line."""
    other = entry("ORG", str(CARDIO), structure=(1, "Cabinet du Rhône"), service="Autre")
    wrong = [other if "cardio@" in line else line for line in PEOPLE]
    await quick.take(wrong, "20251215")
    assert await quick.ours.refresh() == 1
    (found,) = await quick.at(CARDIO)
    assert (found.idnst, found.structure) == (HOSPITAL, "CHU de Rennes")
    (difference,) = await quick.ours.differences()
    assert "another holder" in difference.what
    assert "Autre" not in repr(await Entries(quick.store).one(Unit.ORGANIZATION, HOSPITAL))
    await quick.take(PEOPLE, "20251220")
    await quick.ours.refresh()
    assert await quick.ours.differences() == []


async def test_a_new_name_of_its_holder_reaches_what_we_say(quick: OwnHouse) -> None:
    """After an import what rests on it is derived again: what no file lists has its holder's name of today."""
    address = MailAddress.parse("camille.seule@ville.mssante.example")
    await quick.begin(Own(address.key, MailboxKind.PERSONAL, idnps=CAMILLE))
    (found,) = await quick.at(address)
    assert (found.title, found.profession and found.profession.label) == ("DR Camille LEFÈVRE", "Médecin")
    await quick.take([line.replace("LEFÈVRE", "MARTIN") for line in PEOPLE], "20251215")
    await quick.ours.refresh_late()
    assert (await quick.at(address))[0].title == "DR Camille MARTIN"
    assert await quick.found(name="martin camille") >= {str(address)}
    assert str(address) not in await quick.found(name="lefèvre camille")


async def test_who_said_what_stands_in_the_history_and_the_audit(quick: OwnHouse) -> None:
    """Newest first; saying the same again makes no line and no version."""
    for _ in range(2):
        await quick.ours.say(CARDIO, Wish(description="un", purpose="urgences"), STAFF)
        quick.clock.at += timedelta(hours=1)
    (said, begun) = await quick.ours.history(CARDIO)
    assert (said.actor, said.what, said.own and said.own.description) == (STAFF, "said", "un")
    assert begun.what == "begun"
    assert (await Extras(quick.store, quick.clock).of([str(CARDIO)]))[str(CARDIO)].said.purpose == "urgences"
    known = await quick.ours.of(CARDIO)
    assert known is not None
    assert (known.row.version, known.row.is_published) == (2, False)
    assert (await quick.store.read(audit.verify))[1] == []


async def test_what_cannot_be_said_is_refused_in_words(quick: OwnHouse) -> None:
    """An address that is no mailbox of ours, and texts that nobody could show."""
    with pytest.raises(NotFound, match="no mailbox"):
        await quick.ours.say(MailAddress.parse("personne@chu.mssante.example"), Wish(description="x"), STAFF)
    disguised = "Lettres de \u0421\u0430mille"  # two letters of it are Cyrillic
    for wish in (
        *(Wish(description="a\u202eb"), Wish(rank=100), Wish(phone="1" * 31), Wish(service="x" * 300)),
        *(Wish(description=disguised), Wish(purpose=disguised), Wish(service=disguised), Wish(responsible=disguised)),
    ):
        with pytest.raises(BadValue):
            await quick.ours.say(CARDIO, wish, STAFF)
    assert len(await quick.ours.history(CARDIO)) == 1


async def test_our_own_facts_alone_are_no_directory(tmp_path: Path) -> None:
    """Before the first national file nobody is verified by what we say ourselves."""
    async with own_house(f"sqlite:///{tmp_path}/mss.db", tmp_path, ()) as house:
        await house.begin(team(structure="CHU", title="Cardiologie"))
        assert (await house.at(CARDIO))[0].title == "Cardiologie, CHU"
        assert await Search(house.store).as_of() is None
        sources = await house.store.read(directory.sources)
        assert not sources.keys() & set(IMPORTED)
        assert as_it_was(sources, {}).keys() == {Source.OURS}
