"""The national directory's FHIR bundles come in as the public file does: joined, judged, switched, taken back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mss.directory.bundles import is_bundles, resources_in
from mss.directory.correspondence import CorrespondenceReader
from mss.directory.entries import Entries
from mss.directory.imports import Imports, Report
from mss.directory.joining import NationalReader
from mss.directory.keys import Question
from mss.directory.national import said_by
from mss.directory.search import Search
from mss.fhir.resources import resource_of
from mss.model.clock import ManualClock
from mss.model.directory import Listing, Source
from mss.model.errors import BadValue
from mss.store.database import Store
from tests.kit.databases import with_tables
from tests.kit.fhirdoor import PEOPLE, Door, open_door
from tests.kit.frenchpeople import finess, rpps

Resource = dict[str, Any]
GUIDE = "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/"


def mailbox(address: str, kind: str, *, red: bool = False) -> Resource:
    said: list[Resource] = [
        {"url": "type", "valueCodeableConcept": {"coding": [{"code": kind}]}},
        {"url": "listeRouge", "valueBoolean": red},
    ]
    metadata = {"url": f"{GUIDE}as-ext-mailbox-mss-metadata", "extension": said}
    return {"system": "email", "value": address, "extension": [metadata]}


def practitioner(number: int, family: str, *telecom: Resource, **more: Any) -> Resource:
    identifier = {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": f"8{rpps(number)}"}
    name = [{"family": family, "given": ["Camille"], "prefix": ["DR"]}]
    made = {"resourceType": "Practitioner", "id": f"p{number}", "identifier": [identifier], "name": name}
    return {**made, "telecom": [{"system": "phone", "value": "0600000000"}, *telecom], **more}


def role(number: int, person: int, structure: int, *telecom: Resource) -> Resource:
    made: Resource = {"resourceType": "PractitionerRole", "id": f"r{number}", "telecom": list(telecom)}
    made |= {"practitioner": {"reference": f"Practitioner/p{person}"}}
    return made | {"organization": {"reference": f"https://annuaire.example/fhir/Organization/o{structure}"}}


def organization(number: int, name: str, *telecom: Resource) -> Resource:
    identifier = {"system": "urn:oid:1.2.250.1.71.4.2.2", "value": f"1{finess(number)}"}
    place = [{"postalCode": "69003", "city": "LYON", "line": ["1 rue des Tilleuls"]}]
    made = {"resourceType": "Organization", "id": f"o{number}", "identifier": [identifier], "name": name}
    return {**made, "address": place, "telecom": list(telecom)}


RED = mailbox("rouge@ville.mssante.example", "PER", red=True)
SMALL = [
    role(1, 1, 1, mailbox("camille@ville.mssante.example", "PER")),
    practitioner(1, "LEFÈVRE"),
    practitioner(2, "MARTIN", mailbox("martin@ville.mssante.example", "PER"), RED),
    organization(1, "CHU de Lyon", mailbox("cardio@chu.mssante.example", "ORG")),
    practitioner(3, "DUBOIS"),
]  # fmt: skip


class House:
    """A store and its imports."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.imports = Imports(store, folder / "work", ManualClock())

    async def take(self, resources: Sequence[Any], day: str = "20251201", **options: Any) -> Report:
        file = self.folder / f"annuaire_{day}.ndjson"
        file.write_text("\n".join(json.dumps(one) for one in resources), encoding="utf-8")
        return await self.imports.take(file, NationalReader(), lambda *_: None, **options)

    async def found(self, **asked: Any) -> list[Listing]:
        page = await Search(self.store).find(Question(**asked))
        return [one.listing for one in page.found]

    @property
    def refused(self) -> str:
        return (self.folder / "work" / "national" / "refused.csv").read_text()


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> Any:
    await with_tables(database_url)
    store = Store.open(database_url)
    yield House(store, tmp_path)
    await store.close()


async def test_people_roles_and_structures_meet_in_any_order(house: House) -> None:
    """A role takes her name from one resource and place from another; telephones and the red list stay outside."""
    report = await house.take(SMALL)
    assert (report.applied, report.read.unlisted, report.read.refused) == (True, 1, 0)
    (camille,) = await house.found(name="lefevre")
    assert (camille.address, camille.structure, camille.place.city) == (
        "camille@ville.mssante.example", "CHU de Lyon", "LYON",
    )  # fmt: skip
    assert [one.address for one in await house.found(name="martin")] == ["martin@ville.mssante.example"]
    assert [one.address for one in await house.found(structure="chu lyon")] == [
        "cardio@chu.mssante.example", "camille@ville.mssante.example",
    ]  # fmt: skip
    assert await house.found(address="rouge") == []
    assert len(await house.found(name="dubois", has_address=False)) == 1
    text = " ".join(path.read_text(errors="replace") for path in (house.folder / "work").rglob("*") if path.is_file())
    assert "rouge@" not in text
    assert "0600000000" not in text


async def test_the_same_again_changes_nothing_and_a_change_can_be_taken_back(house: House) -> None:
    """Idempotent; dry run; brake; one step back."""
    await house.take(SMALL)
    again = await house.take(list(reversed(SMALL)), "20251202")
    assert again.tally.changes_nothing
    other = [*SMALL[:4], practitioner(3, "DUBOIS", mailbox("dubois@ville.mssante.example", "PER"))]
    dry = await house.take(other, "20251203", applies=False)
    assert not dry.applied
    assert any("dubois@" in line for line in dry.samples)
    assert await house.found(name="dubois") == []
    await house.take(other, "20251203", accepts_losses=True)
    assert len(await house.found(name="dubois")) == 1
    with pytest.raises(BadValue, match="would disappear"):
        await house.take(SMALL[:2], "20251204")
    await house.imports.roll_back(Source.NATIONAL)
    assert await house.found(name="dubois") == []
    assert len(await house.found(name="lefevre")) == 1


async def test_what_cannot_be_read_is_refused_by_its_place_and_reason(house: House) -> None:
    """By itself, without a word of what it says; the others come in."""
    wrong = [
        role(2, 99, 1),
        {"resourceType": "Patient", "id": "x"},
        practitioner(4, "DUPONT", mailbox("x@y", "PER")),
        practitioner(5, "DUPONT", mailbox("a@ville.mssante.example", "PATIENT")),
        {**practitioner(6, "DUPONT"), "identifier": []},
        {**practitioner(7, "DUPONT"), "id": "a\nb"},
        practitioner(8, "DU\ud800PONT"),
        {**practitioner(9, "PARTIE"), "active": False},
        practitioner(1, "X", mailbox("279035121518989@ville.mssante.example", "PER")) | {"id": "patient"},
        7, None, [],
    ]  # fmt: skip
    report = await house.take([*SMALL * 1, *[organization(n, f"Cabinet {n}") for n in range(2, 20)], *wrong])
    assert report.read.refused == 11
    assert "24,a role whose practitioner is not in this file" in house.refused
    assert "DUPONT" not in house.refused
    assert await house.found(name="partie", has_address=False) == []


async def test_both_sources_stand_side_by_side_and_the_national_one_is_believed(house: House, tmp_path: Path) -> None:
    """The public file and the bundles speak of the same address: shown once, as the bundles say."""
    file = tmp_path / "Extraction_20251201.txt"
    file.write_text("\n".join(PEOPLE), encoding="utf-8")
    await house.imports.take(file, CorrespondenceReader(), lambda *_: None)
    await house.take(SMALL)
    listed = [one for one in await house.found(name="lefevre") if one.address == "camille@ville.mssante.example"]
    assert [one.structure for one in listed] == ["CHU de Lyon"]
    people = [one async for one in Entries(house.store).everything()]
    assert len({(one.unit, one.id) for one in people}) == len(people)


async def test_what_the_door_exports_comes_in_elsewhere_as_the_same(tmp_path: Path) -> None:
    """FHIR out, FHIR in: the second house answers as the first."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    async with open_door(f"sqlite:///{tmp_path}/a/mss.db", tmp_path / "a") as first:
        resources = [resource_of(one) async for one in Entries(first.store).everything()]
        async with open_door(f"sqlite:///{tmp_path}/b/mss.db", tmp_path / "b", ()) as second:
            report = await House(second.store, tmp_path / "b").take([one for one in resources if not _by_number(one)])
            assert report.read.refused == 0
            for path in ("/Practitioner?phonetic=lefebvre", "/PractitionerRole?practitioner.name=lefevre",
                         "/Organization?name=rennes", "/PractitionerRole?specialty=SM04"):  # fmt: skip
                assert await _answers(first, path) == await _answers(second, path), path


def _by_number(resource: Resource) -> bool:
    return bool(resource["id"].startswith("bal-"))


async def _answers(door: Door, path: str) -> list[Resource]:
    """What is said, without when and by whom."""
    found = (await door.ask(path)).resources
    return sorted(({**one, "meta": None} for one in found), key=lambda one: str(one["id"]))


WHOLE = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in SMALL]}
SHAPES = {
    "one bundle": json.dumps(WHOLE),
    "one bundle, indented": json.dumps(WHOLE, indent=2),
    "lines of resources": "\n".join(json.dumps(one) for one in SMALL),
    "lines of entries": "\n".join(json.dumps({"fullUrl": "urn:x", "resource": one}) for one in SMALL),
    "lines of pages": "\n".join(json.dumps({"resourceType": "Bundle", "entry": [{"resource": one}]}) for one in SMALL),
}  # fmt: skip


@pytest.mark.parametrize("piece", [40, 100_000])
@pytest.mark.parametrize("shape", SHAPES)
def test_files_of_every_shape_hold_the_same(
    tmp_path: Path, shape: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read in small pieces or at once."""
    monkeypatch.setattr("mss.directory.bundles.PIECE_CHARS", piece if "lines" not in shape else 100_000)
    file = tmp_path / "bundle.json"
    file.write_text(SHAPES[shape], encoding="utf-8")
    assert is_bundles(file)
    assert [one for one, _ in resources_in(file)] == SMALL


@pytest.mark.parametrize(
    "cut", ["", "{", '{"resourceType": "Bundle"}', '{"entry": [{"resource": {', '{"entry": [1, nothing]}']
)
def test_half_a_file_is_not_believed(tmp_path: Path, cut: str) -> None:
    """Cut off or broken: nothing of it."""
    file = tmp_path / "bundle.json"
    file.write_text(cut)
    with pytest.raises(BadValue):
        [said_by(resource) for resource, _ in resources_in(file)]
