"""A file comes in as a whole or not at all, once, in little memory; and goes out again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mss.directory.correspondence import CorrespondenceReader
from mss.directory.imports import Imports, Report, Stopped
from mss.directory.keys import Question
from mss.directory.search import Search
from mss.directory.staging import Line, Staging, digest_of
from mss.model.clock import ManualClock
from mss.model.directory import Source
from mss.model.errors import BadValue
from mss.store import directory
from mss.store.database import Store
from tests.kit.databases import with_tables
from tests.kit.frenchpeople import HEADER, lines, rpps

PEOPLE = 120
OURS = frozenset({"dom0.mssante.example"})


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    await with_tables(database_url)
    opened = Store.open(database_url)
    yield opened
    await opened.close()


class Desk:
    """Files of some days, and the hand that takes them in."""

    def __init__(self, store: Store, folder: Path, clock: ManualClock) -> None:
        self.store, self.folder, self.clock = store, folder, clock
        self.search = Search(store)
        self.today = list(lines(PEOPLE))

    def file(self, day: int, content: list[str]) -> Path:
        path = self.folder / f"Extraction_Correspondance_MSSante_202512{day:02}.txt"
        path.write_text("\n".join(content) + "\n", encoding="utf-8")
        return path

    async def take(
        self, day: int, content: list[str] | None = None, *, applies: bool = True, accepts_losses: bool = False
    ) -> Report:
        service = Imports(self.store, self.folder / "work", self.clock, OURS)
        file = self.file(day, content or self.today)
        reader = CorrespondenceReader()
        return await service.take(file, reader, lambda *_: None, applies=applies, accepts_losses=accepts_losses)

    async def everybody(self) -> set[str]:
        return {one.listing.address async for one in self.search.everybody()}

    async def finds(self, identifier: str) -> str:
        page = await self.search.find(Question(identifier=identifier))
        return "; ".join(one.listing.title for one in page.found)


@pytest.fixture
def desk(store: Store, tmp_path: Path, clock: ManualClock) -> Desk:
    return Desk(store, tmp_path, clock)


def person(content: list[str]) -> tuple[int, list[str]]:
    """A line with a person in it, and its fields."""
    at = next(number for number, line in enumerate(content) if line.startswith("PER"))
    return at, content[at].split("|")


async def test_a_file_is_taken_in_and_each_of_it_is_found(desk: Desk) -> None:
    """Every line that was not refused can be found, with its day."""
    report = await desk.take(1)
    assert report.applied
    assert report.read.refused == 0
    assert await desk.everybody() == {line.split("|")[1] for line in desk.today[1:]}
    _, fields = person(desk.today)
    assert await desk.finds(fields[3])
    as_of = await desk.search.as_of()
    assert as_of is not None
    assert as_of.day == 1


async def test_the_same_file_twice_changes_nothing(desk: Desk) -> None:
    """Neither the very file, nor another file that says the same; the latter was verified again."""
    first = await desk.take(1)
    assert not (await desk.take(1)).read.complete
    again = await desk.take(2, [*desk.today, ""])
    assert again.tally.changes_nothing
    assert again.generation == first.generation
    as_of = await desk.search.as_of()
    assert as_of is not None
    assert as_of.day == 2


async def test_a_dry_run_tells_and_changes_nothing(desk: Desk) -> None:
    """It tells the very numbers that the import then has."""
    await desk.take(1)
    at, fields = person(desk.today)
    fields[9] = "NOUVEAU-NOM"
    changed = [*desk.today[:at], "|".join(fields), *desk.today[at + 1 :]]
    dry = await desk.take(2, changed, applies=False)
    assert any("NOUVEAU-NOM" in sample for sample in dry.samples)
    assert "NOUVEAU-NOM" not in await desk.finds(fields[3])
    real = await desk.take(2, changed)
    assert real.tally == dry.tally
    assert "NOUVEAU-NOM" in await desk.finds(fields[3])


async def test_a_rollback_reads_the_day_before_again(desk: Desk) -> None:
    """At once and whole; after it the same file may come again; there is no second step."""
    await desk.take(1)
    before = await desk.everybody()
    newcomer = desk.today[1].replace("bal.0@", "neu@").replace("p0@", "neu@")
    await desk.take(2, [*desk.today, newcomer])
    assert len(await desk.everybody()) == len(before) + 1
    service = Imports(desk.store, desk.folder / "work", desk.clock)
    assert (await service.roll_back(Source.CORRESPONDENCE)).day == 1
    assert await desk.everybody() == before
    with pytest.raises(BadValue, match="no earlier import"):
        await service.roll_back(Source.CORRESPONDENCE)
    assert (await desk.take(2, [*desk.today, newcomer])).applied
    assert len(await desk.everybody()) == len(before) + 1


async def test_a_file_that_would_silence_a_hospital_stops(desk: Desk) -> None:
    """More than one in a hundred gone: nothing changes until somebody says that it is right."""
    await desk.take(1)
    before = await desk.everybody()
    with pytest.raises(Stopped, match="would disappear"):
        await desk.take(2, desk.today[:-3])
    assert await desk.everybody() == before
    assert (await desk.take(2, desk.today[:-3], accepts_losses=True)).applied
    assert len(await desk.everybody()) == len(before) - 3


async def test_an_older_file_is_refused(desk: Desk) -> None:
    """Yesterday's list would bring back who was struck off."""
    await desk.take(5)
    with pytest.raises(BadValue, match="older than"):
        await desk.take(4, desk.today[:-1])


async def test_what_was_refused_is_told_with_its_line(desk: Desk, tmp_path: Path) -> None:
    """Line number and reason, without what the line says of anybody."""
    broken = desk.today[5].replace("|1|1", "|1|2", 1)
    await desk.take(1, [*desk.today[:5], broken, *desk.today[6:]])
    report = (tmp_path / "work" / "correspondence" / "refused.csv").read_text()
    assert report.strip() == "6,not a FINESS number"


@pytest.mark.parametrize("disguise", ["CARTI\u0415R", "CAR\u202eTIER", "CAR\u00adTIER", "\U0001d402ARTIER"])
async def test_a_name_that_imitates_another_is_in_no_answer(desk: Desk, tmp_path: Path, disguise: str) -> None:
    """A Cyrillic letter, a mark that turns the direction, one that hides, a letter of mathematics: the line is refused,
    so no door can show it."""
    fields = desk.today[5].split("|")
    fields[9] = disguise
    await desk.take(1, [*desk.today[:5], "|".join(fields), *desk.today[6:]])
    report = (tmp_path / "work" / "correspondence" / "refused.csv").read_text()
    assert report.startswith("6,")
    assert disguise not in report
    assert not [one for one in await desk.everybody() if fields[1] in str(one)]


async def test_a_file_that_is_mostly_broken_is_not_believed(desk: Desk) -> None:
    """Half of it refused means that it is something else."""
    with pytest.raises(BadValue, match="not believed"):
        await desk.take(1, [HEADER, *("PER|x" for _ in range(20)), desk.today[1]])


class Killed(Exception):
    """As if the process had died here."""


@pytest.mark.parametrize("step", ["begin", "add_facts", "add_keys", "switch"])
async def test_an_import_that_is_killed_shows_nothing_and_is_done_by_the_next(
    desk: Desk, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until its end everybody reads the day before; begun again, it comes to the same end."""
    await desk.take(1)
    before = await desk.everybody()
    at, fields = person(desk.today)
    fields[9] = "NOUVEAU-NOM"
    newcomer = desk.today[1].replace("bal.0@", "neu@").replace("p0@", "neu@")
    changed = [*desk.today[:at], "|".join(fields), *desk.today[at + 1 :], newcomer]

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(directory, step, die)
        with pytest.raises(Killed):
            await desk.take(2, changed)
    assert await desk.everybody() == before
    assert "NOUVEAU-NOM" not in await desk.finds(fields[3])
    assert (await desk.take(2, changed)).applied
    assert len(await desk.everybody()) == len(before) + 1
    assert "NOUVEAU-NOM" in await desk.finds(fields[3])
    rows = await desk.store.read(lambda c: directory.imports(c, 10, tuple(Source)))
    assert [row.state for row in rows] == ["applied", "applied"]


async def test_what_nobody_reads_any_more_is_removed(desk: Desk) -> None:
    """Ten days of changes leave two days of rows, and no key without its fact."""
    at, fields = person(desk.today)
    for day in range(1, 8):
        fields[9] = f"NOM-{'ABCDEFGH'[day]}"
        await desk.take(day, [*desk.today[:at], "|".join(fields), *desk.today[at + 1 :]])
    rows = await desk.store.read(lambda c: directory.page_of_facts(c, Source.CORRESPONDENCE, -1, 10_000))
    assert sum("NOM-" in row.text for row in rows) == 4  # two days: the listing and the professional
    walked = await desk.store.read(lambda c: directory.walk(c, f"h/8{fields[3]}/", None, 100))
    assert len(walked) == 2


class Interrupted(Exception):
    """The reading stops here."""


class Tired(CorrespondenceReader):
    """Reads some lines, then is interrupted."""

    def __init__(self, lines_max: int) -> None:
        super().__init__()
        self.left = lines_max

    def read(self, line: bytes) -> Line:
        self.left -= 1
        if self.left < 0:
            raise Interrupted
        return super().read(line)


def test_a_reading_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    """The same end, in pieces, with refusals told once."""
    content = list(lines(200))
    content[20] = content[150] = "broken"
    file = tmp_path / "x.txt"
    file.write_text("\n".join(content), encoding="utf-8")
    whole = Staging(tmp_path / "whole", CorrespondenceReader())
    whole.read(file, digest_of(file), lambda *_: None)
    with pytest.raises(Interrupted):
        Staging(tmp_path / "cut", Tired(120), piece_lines=50).read(file, digest_of(file), lambda *_: None)
    rested = Tired(150)
    cut = Staging(tmp_path / "cut", rested, piece_lines=50)
    done = cut.read(file, digest_of(file), lambda *_: None)
    assert rested.left > 0, "it began at the beginning"
    assert (done.lines, done.refused) == (201, 2)
    numbers = [{one.number for _, staged in each.subjects() for one in staged} for each in (cut, whole)]
    assert numbers[0] == numbers[1]
    assert cut.report.read_text() == whole.report.read_text()


def test_rpps_numbers_of_the_generator_are_right() -> None:
    """Invented, and of the right shape."""
    assert len({rpps(number) for number in range(50)}) == 50
