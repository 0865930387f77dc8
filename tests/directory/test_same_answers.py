"""One truth at every door: the same five hundred questions through FHIR, LDAP, the page of professionals and the file.

The exported file is the judge: read back line by line, each line is asked by itself, without any index. Whoever is on
the red list is nowhere.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from urllib.parse import quote, urlencode

import pytest

from mss.crypto import seal
from mss.directory import ownfacts
from mss.directory.correspondence import CorrespondenceReader
from mss.directory.extras import Extras
from mss.directory.keys import Question, fits, jobs_meant, jobs_of, keys_of, walks
from mss.directory.ours import OwnMailboxes
from mss.directory.own import Own, Wish
from mss.directory.search import Search
from mss.directory.wholes import Unit, carrier, has_role, role_mark
from mss.directory.writing import HEADER as EXPORTED
from mss.directory.writing import line_of
from mss.ldap.book import Book
from mss.ldap.names import Tree
from mss.ldap.requests import All, Any, Equal, Filter, Like, Present
from mss.model.clock import ManualClock, SeededChance, SystemChance
from mss.model.directory import Listing
from mss.model.ids import MailAddress
from mss.sandbox.pool import Sandbox
from mss.store.database import Store
from tests.kit.fhirdoor import LOOKUP, Door, addresses, open_door
from tests.kit.frenchpeople import FAMILIES, GIVEN, PLACES, finess, lines, rpps
from tests.web.site import Browser, site_at
from tests.web.test_professionals import fill, let_in

SEED = 2026
LISTED = 500
QUESTIONS = 500
RED = 25
"""Every so many-th line is on the red list."""
OURS = 30
"""So many are described by their own operator too."""
CAB = 11
"""Every so many-th person has a practice's mailbox instead of her own."""
WITH_PEOPLE = "_include=PractitionerRole:practitioner"
"""A practice's mailbox (CAB) stands with the person."""
ONE_JOB = ("Psychiatrie", "Pédiatrie", "Biologie médicale", "Infirmier", "Sage-Femme")
"""Words that mean one job only, for a door that compares them whole."""


def directory_file() -> tuple[list[str], set[str]]:
    """The lines, and the addresses on the red list."""
    header, *rest = lines(LISTED, SEED)
    red, made = set[str](), [f"{header}|Liste rouge"]
    for number, line in enumerate(rest):
        if line.startswith("PER") and number % CAB == 0:
            line = "CAB" + line[3:]
        if is_red := number % RED == 7:
            red.add(line.split("|")[1])
        made.append(f"{line}|{'O' if is_red else 'N'}")
    return made, red


@dataclass
class Asked:
    """One question, in the words of each door that can be asked it."""

    question: Question
    fhir: list[str] = field(default_factory=list)
    ldap: Filter | None = None


def asked_of(chance: Random) -> Asked:
    """A question as people and software ask them."""
    family = FAMILIES[int(len(FAMILIES) * chance.random() ** 1.5)].replace("_", " ").capitalize()
    city = PLACES[chance.randrange(len(PLACES))][1].split(" ")[0]
    number = chance.randrange(LISTED)
    match chance.randrange(9):
        case 0:  # a name by its sound
            people = [f"/Practitioner?phonetic={family}", f"/PractitionerRole?practitioner.phonetic={family}"]
            either = Any(tuple(Equal(name, family, sounds_alike=True) for name in ("cn", "sn")))  # as mail programs do
            heard = All((either, Present("givenname")))  # teams have no given name
            return Asked(Question(name=family), people, heard if family.isalpha() else None)
        case 1:  # family and given name, either first
            given = GIVEN[chance.randrange(len(GIVEN))]
            name = f"{given} {family}" if chance.random() < 0.5 else f"{family} {given}"
            people = [f"/Practitioner?phonetic={name}", f"/PractitionerRole?practitioner.phonetic={name}"]
            return Asked(Question(name=name), people)
        case 2:  # a name somewhere
            where = [
                f"/Practitioner?name={family}&address-city={city}",
                f"/PractitionerRole?practitioner.name={family}&organization.address-city={city}",
            ]
            return Asked(Question(name=family, place=city, sounds_alike=False), where)
        case 3:
            known = rpps(number)
            told = [f"/Practitioner?identifier={known}", f"/PractitionerRole?practitioner.identifier={known}"]
            return Asked(Question(identifier=known), told, Equal("employeenumber", known))
        case 4:
            known = finess(number // 12)
            inside = f"/PractitionerRole?organization.identifier={known}&{WITH_PEOPLE}"
            return Asked(Question(identifier=known), [inside, f"/Organization?identifier={known}"])
        case 5:  # a job somewhere
            job = chance.choice(ONE_JOB)
            both = f"/PractitionerRole?specialty:text={job}&organization.address-city={city}&{WITH_PEOPLE}"
            whole = All((Equal("title", job), Equal("l", city)))
            return Asked(Question(job=job, place=city), [both], whole if "-" not in city else None)
        case 6:  # everybody of a kind somewhere
            kind = chance.choice(("PER", "CAB"))
            carried = "Practitioner?address-city" if kind == "CAB" else "PractitionerRole?organization.address-city"
            asked = Question(place=city, kinds=frozenset({kind}))
            return Asked(asked, [f"/{carried}={city}&mailbox-mss-type={kind}"])
        case 7:  # a structure by a word of its name
            word = GIVEN[chance.randrange(30)]
            told = [
                f"/PractitionerRole?organization.name={word}&{WITH_PEOPLE}",
                f"/Organization?name={word}",
            ]
            return Asked(Question(structure=word), told)
        case _:
            start = f"{chance.choice(('p', 'bal.'))}{chance.randrange(10, 50)}"
            kinds = ",".join(Unit)
            return Asked(Question(address=start), [f"/?_type={kinds}&mailbox-mss={start}"], Like("mail", start, (), ""))


class Judge:
    """The exported file."""

    def __init__(self, exported: Iterable[str]) -> None:
        reader = CorrespondenceReader()
        reader.begin(EXPORTED.encode())
        said = [reader.read(line.encode()) for line in exported]
        assert not [line for line in said if line.refusal]
        self.listings = [value for line in said for value in line.values if isinstance(value, Listing)]
        self._keys = [keys_of(listing) for listing in self.listings]
        self._vocabulary = tuple({job for listing in self.listings for job in jobs_of(listing)})

    def whole(self, found: set[str]) -> set[str]:
        """With the other mailboxes of the structures that are met: FHIR gives a structure whole."""
        met = {one.idnst for one in self.listings if one.address in found and not one.family}
        return found | {one.address for one in self.listings if not one.family and one.idnst in met}

    def answers(self, question: Question) -> set[str]:
        jobs = jobs_meant(question.job, self._vocabulary) if question.job else ()
        if question.job and not jobs:
            return set()
        starts = tuple(way.start for way in walks(question, jobs))
        return {
            listing.address
            for listing, keys in zip(self.listings, self._keys, strict=True)
            if fits(question, jobs, listing) and any(key.startswith(starts) for key in keys)
        }


Door_ = Callable[[Asked], Awaitable[set[str] | None]]
"""None: this door cannot be asked that."""


async def say_ours(store: Store, clock: ManualClock) -> set[str]:
    """Of some mailboxes their own operator says something else than the file, or that they are not to be shown. Which
    must be nowhere then."""
    ours = OwnMailboxes(store, LOOKUP, seal.new_pair(SystemChance()).public, clock, SystemChance())
    everybody = sorted([one.listing async for one in Search(store).everybody()], key=lambda one: one.address)
    hidden, now = set[str](), clock.now()
    for number, listing in enumerate(everybody[:: LISTED // OURS]):
        assert listing.kind is not None
        address, own = (
            MailAddress.parse(listing.address),
            Own(listing.address, listing.kind, listing.idnps, listing.idnst),
        )
        await store.write(0, lambda c, own=own: ownfacts.begin(c, LOOKUP, own, now, "staff"))  # type: ignore[misc]
        hashed = LOOKUP.address(address.key)
        match number % 3:
            case 0:
                await ours.say(address, Wish(description="Lettres de Camille", paperless=True), "staff")
                continue
            case 1:
                await ours.say(address, Wish(is_unlisted=True), "staff")
            case _:
                close = partial(ownfacts.lives, hashed=hashed, now=now, actor="staff", takes_mail=False)
                await store.write(0, close)
        hidden.add(listing.address)
    return hidden


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[tuple[Door, set[str]]]:
    """A directory behind its doors, and the addresses that must be nowhere."""
    content, red = directory_file()
    async with open_door(f"sqlite:///{tmp_path}/mss.db", tmp_path, content) as door:
        yield door, red | await say_ours(door.store, door.clock)


def fhir(door: Door) -> Door_:
    async def ask(asked: Asked) -> set[str] | None:
        found: set[str] = set()
        for path in asked.fhir:
            url = quote(path, safe="/?&=:_,.@")
            while url:
                reply = await door.ask(f"{url}&_count=200" if url.startswith("/") and "_type" not in url else url)
                assert reply.status == 200, (path, reply.body)
                found |= addresses([*reply.resources, *reply.included])
                url = reply.next
        return found

    return ask


async def searched(door: Door, question: Question) -> set[str]:
    """What pages and commands turn, page after page."""
    search, mark, found = Search(door.store), None, set[str]()
    while True:
        page = await search.find(question, page_max=25, after=mark)
        found |= {one.listing.address for one in page.found}
        if (mark := page.more) is None:
            return found


def ldap(door: Door) -> Door_:
    book = Book(Search(door.store), Extras(door.store, ManualClock()), Tree("ou=bal,o=mssante,c=fr"))

    async def ask(asked: Asked) -> set[str] | None:
        if asked.ldap is None:
            return None
        answer = await book.find(asked.ldap, 0, 0)
        assert answer.problem is None, asked
        return {entry.values["mail"][0] for entry in answer.entries}

    return ask


async def read_pages(browser: Browser, path: str) -> set[str]:
    """The addresses of every page behind a question, as they stand on them."""
    found: set[str] = set()
    while path:
        page = await browser.get(path)
        assert page.status == 200, path
        found |= set(re.findall(r'<p class="mail">([^<]+)</p>', page.text))
        path = page.links.get("Suite de la liste", "")
    return found


def typed(question: Question) -> str | None:
    """What somebody types into the form to ask that; None for what the form cannot ask."""
    if question.conditions or question.job_code or not question.sounds_alike or len(question.kinds) > 1:
        return None
    if question.address and "@" not in question.address:
        return None
    asked = {"name": question.name, "job": question.job, "place": question.place, "structure": question.structure}
    asked |= {"number": question.identifier or question.address, "kind": "".join(question.kinds)}
    return "/pro?" + urlencode({name: value for name, value in asked.items() if value})


async def exported(door: Door) -> list[str]:
    return [line_of(one.listing) async for one in Search(door.store).everybody()]


@pytest.mark.parametrize(("open_", "least"), [(fhir, QUESTIONS), (ldap, QUESTIONS // 4)])
async def test_every_door_gives_the_same_answer(
    house: tuple[Door, set[str]], open_: Callable[[Door], Door_], least: int
) -> None:
    """Names with accents, sound-alikes, numbers, jobs, places, kinds, addresses: no address more, none less."""
    door, red = house
    judge, ask, chance = Judge(await exported(door)), open_(door), Random(SEED)
    answered = met = 0
    for _ in range(QUESTIONS):
        asked = asked_of(chance)
        found = await ask(asked)
        if found is None:
            continue
        right = judge.answers(asked.question)
        assert sorted(found) == sorted(judge.whole(right) if open_ is fhir else right), asked
        assert not found & red
        answered, met = answered + 1, met + bool(found)
    assert answered >= least
    assert met >= answered // 3, "most questions must have an answer, or nothing is compared"


async def test_the_page_gives_the_same_answer(
    house: tuple[Door, set[str]], tmp_path: Path, clock: ManualClock, chance: SeededChance
) -> None:
    """What a professional reads at `/pro`, page after page, is what the exported file says; what its form cannot ask is
    asked of the search behind it."""
    door, red = house
    judge, draw = Judge(await exported(door)), Random(SEED)
    async with site_at(f"sqlite:///{tmp_path}/web.db", tmp_path, clock, chance, Sandbox()) as site:
        await fill(site, tmp_path, directory_file()[0])
        await say_ours(site.house.store, clock)
        browser, _ = await let_in(site)
        read = met = 0
        for _ in range(QUESTIONS):
            asked = asked_of(draw).question
            path = typed(asked)
            clock.forward(30)
            found = await read_pages(browser, path) if path else await searched(door, asked)
            assert found == judge.answers(asked), asked
            assert not found & red
            read, met = read + bool(path), met + bool(found)
    assert read >= QUESTIONS // 2
    assert met >= QUESTIONS // 3, "most questions must have an answer, or nothing is compared"


async def test_who_is_on_the_red_list_is_in_no_file_and_no_answer(house: tuple[Door, set[str]]) -> None:
    """Asked for by name of the address itself."""
    door, red = house
    assert len(red) > LISTED // RED - 2
    text = "\n".join(await exported(door))
    kinds = ",".join(Unit)
    for address in red:
        assert address not in text
        reply = await door.ask(f"/?_type={kinds}&mailbox-mss:exact={address}")
        assert reply.resources == []
        assert await Search(door.store).at(address) == ()


async def test_the_exported_file_says_what_was_imported(house: tuple[Door, set[str]]) -> None:
    """Every line that was not on the red list, in the public file's shape, read back as the same listing."""
    door, red = house
    before = {one.listing.address: one.listing async for one in Search(door.store).everybody()}
    after = {one.address: one for one in Judge(await exported(door)).listings}
    assert before == after
    assert len(before) == LISTED - len(red)


def test_a_whole_carries_what_its_listing_says() -> None:
    """The judge's listings stand where the guide puts them: no mailbox is left out of every resource."""
    content, _ = directory_file()
    reader = CorrespondenceReader()
    reader.begin(content[0].encode())
    for line in content[1:]:
        for value in reader.read(line.encode()).values:
            if isinstance(value, Listing):
                assert carrier(value) in Unit
                assert has_role(value) == bool(value.family)
                assert len(role_mark(value)) == 12
