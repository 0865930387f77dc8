"""What somebody should know before she writes: what an address is for, what it takes, and whether it still answers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mss.directory.extras import Extra, Extras, Said
from mss.directory.own import Own, Wish
from mss.directory.search import Search
from mss.ldap.book import Book
from mss.ldap.entries import Values
from mss.ldap.names import Tree
from mss.ldap.requests import Equal
from mss.model.clock import ManualClock
from mss.model.errors import BadValue, NotFound
from mss.model.ids import MailAddress
from mss.model.mailbox import MailboxKind
from mss.notices.outcomes import _listed
from mss.store import addressnotes
from mss.store.database import Store
from tests.directory.test_search import FILE, fill, store
from tests.kit.ownhouse import HOSPITAL, own_house

__all__ = ["store"]

CARDIO = MailAddress.parse("cardio@chu.mssante.example")
NOBODY = MailAddress.parse("nobody@chu.mssante.example")


async def entry(store: Store, clock: ManualClock) -> Values:
    book = Book(Search(store), Extras(store, clock), Tree("ou=bal,o=mssante,c=fr"))
    (found,) = (await book.find(Equal("mail", CARDIO.key), 0, 0)).entries
    return found.values


async def test_what_is_said_of_an_address_stands_beside_its_facts(store: Store, tmp_path: Path) -> None:
    """Purpose and abilities, by its structure's people, in the address book too; of nobody who is not listed."""
    await fill(store, tmp_path, FILE)
    clock = ManualClock()
    extras = Extras(store, clock)
    said = Said("Lettres de sortie de cardiologie", 20 * 1024 * 1024, accepts_patients=False, accepts_xdm=True)
    await extras.say(CARDIO, said, "staff:test")
    assert (await extras.of([CARDIO.key, NOBODY.key])) == {CARDIO.key: Extra(said)}
    values = await entry(store, clock)
    assert values["mssPurpose"] == ("Lettres de sortie de cardiologie",)
    assert (values["mssAcceptsPatients"], values["mssAcceptsXdm"]) == (("FALSE",), ("TRUE",))
    assert "mssMayNotAnswer" not in {name for name, several in values.items() if several}
    with pytest.raises(NotFound):
        await extras.say(NOBODY, said, "staff:test")
    with pytest.raises(BadValue):
        Said("pour\u202e tous")


async def test_what_came_back_is_told_until_something_is_taken(store: Store, tmp_path: Path) -> None:
    """ "May no longer answer" after a bounce; over with the next mail that is taken; only of listed addresses, and
    never of a patient's."""
    await fill(store, tmp_path, FILE)
    clock = ManualClock()
    patient = MailAddress.parse("279035121518989@patient.mssante.example")
    assert await store.read(lambda c: _listed(c, [CARDIO, NOBODY, patient])) == [CARDIO.key]
    await store.write(0, lambda c: addressnotes.bounced(c, CARDIO.key, 1_000))
    await store.write(0, lambda c: addressnotes.bounced(c, CARDIO.key, 2_000))
    extra = (await Extras(store, clock).of([CARDIO.key]))[CARDIO.key]
    assert (extra.bounces, extra.may_not_answer) == (2, True)
    assert (await entry(store, clock))["mssMayNotAnswer"] == ("TRUE",)
    await store.write(0, lambda c: addressnotes.accepted(c, CARDIO.key, 3_000))
    extra = (await Extras(store, clock).of([CARDIO.key]))[CARDIO.key]
    assert (extra.may_not_answer, extra.last_taken is not None) == (False, True)


async def test_who_stands_in_is_told_while_the_holder_is_away(store: Store, tmp_path: Path) -> None:
    """From the first day to the last, and not after."""
    await fill(store, tmp_path, FILE)
    clock = ManualClock()
    until = clock.now() + timedelta(days=3)
    await Extras(store, clock).away(CARDIO, clock.now(), until, "a1@ville.mssante.example")
    assert (await entry(store, clock))["mssSubstitute"] == ("a1@ville.mssante.example",)
    clock.forward(4 * 86_400)
    assert not (await entry(store, clock))["mssSubstitute"]


async def test_whoever_is_not_shown_stands_in_for_nobody(tmp_path: Path) -> None:
    """On the red list by our own word, while the national file still lists her: neither named as a substitute, nor is
    anything that happens to her address noted in clear."""
    async with own_house(f"sqlite:///{tmp_path}/mss.db", tmp_path) as house:
        dpi = MailAddress.parse("dpi@chu.mssante.example")
        await house.begin(Own(str(dpi), MailboxKind.APPLICATION, idnst=HOSPITAL))
        extras, until = Extras(house.store, house.clock), house.clock.now() + timedelta(days=3)
        await extras.away(CARDIO, house.clock.now(), until, str(dpi))
        assert (await extras.of([CARDIO.key]))[CARDIO.key].substitute == str(dpi)
        await house.ours.say(dpi, Wish(is_unlisted=True), "staff")
        assert (await extras.of([CARDIO.key]))[CARDIO.key].substitute == ""
        assert await house.store.read(lambda c: _listed(c, [CARDIO, dpi])) == [CARDIO.key]
        with pytest.raises(NotFound):
            await extras.say(dpi, Said("Lettres"), "staff")
