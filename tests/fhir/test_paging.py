"""A long list is turned page by page: everybody once, as of one moment, by links that nobody else can make."""

from __future__ import annotations

from pathlib import Path

from tests.kit.fhirdoor import CARDIOLOGY, DOCTOR, LYON, entry, open_door
from tests.kit.frenchpeople import HEADER

STRUCTURES = 3


def crowd(count: int, *, first: int = 0) -> list[str]:
    """Many of one name; every third person has two places to work."""
    found = [HEADER]
    for number in range(first, first + count):
        for place in range(2 if number % 3 == 0 else 1):
            at = number % STRUCTURES + place + 1
            found.append(
                entry(
                    "PER", f"p{number}.{place}@ville.mssante.example", person=number + 1, job=DOCTOR,
                    name=("DR", "MARTIN", f"Camille {'abcdefghij'[number % 10]}"), specialty=CARDIOLOGY,
                    structure=(at, f"Cabinet {at}"), town=LYON,
                )
            )  # fmt: skip
    return found


LISTS = {
    "/Practitioner?name=martin": 60,
    "/Practitioner?phonetic=martin": 60,
    "/PractitionerRole?practitioner.name=martin": 80,
    "/Practitioner?qualification-code=SM04&address-city=lyon": 60,
    "/PractitionerRole?organization.name=cabinet": 80,
    "/Organization?name=cabinet": 3,
}


async def test_everybody_comes_once(database_url: str, tmp_path: Path) -> None:
    """Whatever the size of a page, also where somebody is met on several keys."""
    async with open_door(database_url, tmp_path, crowd(60)) as door:
        for path, expected in LISTS.items():
            found = [one["id"] for one in await door.everything(f"{path}&_count=7")]
            assert (len(found), len(set(found))) == (expected, expected), path
            assert found == [one["id"] for one in await door.everything(f"{path}&_count=50")], path


async def test_a_list_that_is_being_turned_stands_still(tmp_path: Path) -> None:
    """An import in between shows to who begins anew; the one after it ends the old list, and says so."""
    async with open_door(f"sqlite:///{tmp_path}/mss.db", tmp_path, crowd(40)) as door:
        first = await door.ask("/Practitioner?name=martin&_count=10")
        await door.take(crowd(30, first=20), "20251202")
        old = [*first.ids, *(one["id"] for one in await door.everything(first.next))]
        assert len(set(old)) == len(old) == 40
        second = await door.ask(first.next)
        assert second.headers["X-As-Of"].startswith("2025-12-01")
        assert len(await door.everything("/Practitioner?name=martin&_count=10")) == 30
        await door.take(crowd(25, first=20), "20251203")
        gone = await door.ask(first.next)
        assert (gone.status, gone.body["issue"][0]["code"]) == (410, "expired")
        assert "begin the search again" in gone.says


async def test_a_link_belongs_to_its_question(tmp_path: Path) -> None:
    """Neither another question nor another number in it."""
    async with open_door(f"sqlite:///{tmp_path}/mss.db", tmp_path, crowd(40)) as door:
        reply = await door.ask("/Practitioner?name=martin&_count=10")
        token = reply.next.partition("_page_token=")[2]
        for path in (
            f"/Practitioner?name=marti&_count=10&_page_token={token}",
            f"/PractitionerRole?practitioner.name=martin&_count=10&_page_token={token}",
            f"/Practitioner?name=martin&_count=10&_page_token={token[:-4]}AAAA",
            f"/Practitioner?name=martin&_count=10&_page_token=A{token[1:]}",
            "/Practitioner?name=martin&_count=10&_page_token=%41",
        ):
            wrong = await door.ask(path)
            assert wrong.status == 400, path
            assert "next" in wrong.says
        assert "total" not in reply.body  # unknown before the last page
