"""Who is no longer vouched for is told, suspended, closed; who is struck off is out at once; nobody is by mistake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mss.accounts.standing import Check, Step, Why, is_too_many, judge
from mss.accounts.verification import Rules, Verification, idnps_of
from mss.directory.correspondence import CorrespondenceReader
from mss.directory.imports import Imports, Report, Stopped
from mss.model.directory import Source
from mss.model.ids import OwnerId
from mss.model.mailbox import AccountState
from mss.store import owners, schema, standings, tasks
from mss.store.changes import ChangeBus
from tests.directory.test_search import person
from tests.kit.frenchpeople import HEADER, rpps
from tests.kit.people import Cellar

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
DAY, GRACE = timedelta(days=1), timedelta(days=30)
WITH_RED_LIST = HEADER + "|Liste rouge"


def test_overdue_is_told_first_and_suspended_after_the_grace() -> None:
    """The grace begins when it was told; a check in between begins anew."""
    assert judge(Check(NOW + DAY, None), NOW, GRACE) is Step.NOTHING
    assert judge(Check(NOW - DAY, None), NOW, GRACE) is Step.TELL
    assert judge(Check(NOW - DAY, NOW - timedelta(hours=1)), NOW, GRACE) is Step.NOTHING
    assert judge(Check(NOW - 40 * DAY, NOW - GRACE), NOW, GRACE) is Step.SUSPEND
    assert judge(Check(NOW - DAY, NOW - 99 * DAY), NOW, GRACE) is Step.TELL, "told of an earlier check"


def test_many_at_once_are_asked_about() -> None:
    """One in a hundred; a single one never."""
    assert not is_too_many(1, 3)
    assert not is_too_many(2, 200)
    assert is_too_many(3, 200)


class Staffed:
    """A house with doctors a1, a2, … of the file, all vouched for by it."""

    def __init__(self, house: Cellar, folder: Path) -> None:
        self.house, self.folder = house, folder
        self.service = Verification(house.store, house.public.lookup, ChangeBus("test"), house.clock, Rules())
        self.doctors: list[OwnerId] = []

    def lines(self, *numbers: int) -> list[str]:
        return [
            HEADER,
            *(person(n, "DR", "Jean", f"DOCTEUR-{chr(65 + n)}", "Médecin", "", "69003", "LYON") for n in numbers),
        ]

    async def take(self, content: list[str], day: int, *, accepts: bool = False) -> Report:
        file = self.folder / f"Extraction_202601{day:02}.txt"
        file.write_text("\n".join(content), encoding="utf-8")
        self.house.clock.at = max(self.house.clock.at, datetime(2026, 1, day, 9, tzinfo=UTC))
        imports = self.imports()
        report = await imports.take(file, CorrespondenceReader(), lambda *_: None, accepts_losses=accepts)
        await self.work()
        return report

    def imports(self) -> Imports:
        house = self.house
        return Imports(house.store, self.folder / "work", house.clock, frozenset(), house.public.lookup)

    async def work(self) -> None:
        """What the runner does."""
        due = await self.house.store.write(0, lambda c: _all_tasks(c))
        for task in due:
            await self.service.handlers[task.kind](task)

    async def hire(self, *numbers: int) -> None:
        for number in numbers:
            owner = await self.house.professional(f"a{number}@ville.mssante.example")
            await self.service.begin(owner, rpps(number))
            self.doctors.append(owner)

    async def states(self) -> list[AccountState]:
        boxes = [await self.house.store.read(lambda c, o=o: owners.mailbox(c, o)) for o in self.doctors]  # type: ignore[misc]
        return [box.state for box in boxes if box is not None]


def _all_tasks(connection) -> list[tasks.Task]:  # type: ignore[no-untyped-def]
    """Every duty that waits; gone when this returns."""
    t = schema.task
    rows = connection.execute(t.select()).all()
    connection.execute(t.delete())
    return [tasks.Task(row.owner, row.id, row.kind, row.payload, 0) for row in rows]


@pytest.fixture
async def staffed(house: Cellar, tmp_path: Path) -> Staffed:
    made = Staffed(house, tmp_path)
    await made.take(made.lines(1, 2, 3), 5)
    await made.hire(1, 2, 3)
    return made


A, S, C = AccountState.ACTIVE, AccountState.SUSPENDED, AccountState.CLOSED


async def test_whoever_an_import_does_not_know_any_more_loses_access(staffed: Staffed) -> None:
    """And has it back when one knows her again, or when that import is taken back."""
    with pytest.raises(Stopped):
        await staffed.take(staffed.lines(1, 2), 6)
    await staffed.take(staffed.lines(1, 2), 6, accepts=True)
    assert await staffed.states() == [A, A, S]
    report = await staffed.take(staffed.lines(1, 2, 3), 7)
    assert report.counts()["accounts_back"] == 1
    assert await staffed.states() == [A, A, A]
    await staffed.take(staffed.lines(2, 3), 8, accepts=True)
    assert await staffed.states() == [S, A, A]
    await staffed.imports().roll_back(Source.CORRESPONDENCE)
    await staffed.work()
    assert await staffed.states() == [A, A, A]


async def test_a_file_that_would_silence_people_stops(staffed: Staffed) -> None:
    """Also when they are few among the country's: two of three here are more than one in a hundred."""
    many = staffed.lines(*range(1, 21))
    await staffed.take(many, 6)
    report = None
    with pytest.raises(Stopped) as stopped:
        report = await staffed.take([many[0], *many[3:]], 7)
    assert report is None
    assert "would" in str(stopped.value)
    assert await staffed.states() == [A, A, A]


async def test_red_list_and_broken_lines_end_nobodys_access(staffed: Staffed) -> None:
    """Not shown is not struck off; a line that cannot be read says nothing of anybody."""
    header, one, two, three = staffed.lines(1, 2, 3)
    content = [f"{header}|Liste rouge", f"{one}|O", f"{two}|N", three]
    report = await staffed.take(content, 6, accepts=True)
    assert (report.read.unlisted, report.read.refused) == (1, 1)
    assert await staffed.states() == [A, A, A]


async def test_struck_off_is_for_good(staffed: Staffed) -> None:
    """No import brings her back, she gets no other mailbox, after thirty days hers is closed; staff can undo it."""
    number = idnps_of(rpps(2))
    assert await staffed.service.strike(number, "staff:test") == [staffed.doctors[1]]
    assert await staffed.service.is_struck_off(number)
    await staffed.take(staffed.lines(1, 2, 3, 4), 6)
    assert await staffed.states() == [A, S, A]
    assert await staffed.service.reinstate(number, "staff:test") == [staffed.doctors[1]]
    assert await staffed.states() == [A, A, A]
    await staffed.service.strike(number, "staff:test")
    staffed.house.clock.forward(29 * 86_400)
    await staffed.service.settle()
    assert await staffed.states() == [A, S, A]
    staffed.house.clock.forward(2 * 86_400)
    await staffed.service.settle()
    assert await staffed.states() == [A, C, A]


async def test_an_overdue_check_ends_in_suspension_unless_it_would_silence_many(staffed: Staffed) -> None:
    """One by herself after the grace; all of them only when staff say so; a fresh file brings them back."""
    late = await staffed.house.professional("zoe@ville.mssante.example")
    await staffed.service.begin(late, "")
    staffed.doctors.append(late)
    staffed.house.clock.forward(20 * 86_400)
    assert await staffed.service.due() == []
    staffed.house.clock.forward(20 * 86_400)
    dues = await staffed.service.due()
    assert [one.step for one in dues] == [Step.TELL] * 3, "the file is late, the check by staff is not"
    for one in dues:
        await staffed.service.told(one.row.owner)
    assert await staffed.service.due() == []
    staffed.house.clock.forward(31 * 86_400)
    assert await staffed.service.suspend_overdue(await staffed.service.due()) == 3
    assert await staffed.states() == [A, A, A, A]
    await staffed.service.suspend_overdue(await staffed.service.due(), accepts=True)
    assert await staffed.states() == [S, S, S, A]
    assert await staffed.service.check_again(staffed.doctors[0], idnps_of(rpps(1)), "staff:test") == "staff"
    assert await staffed.states() == [A, S, S, A]
    content = staffed.lines(1, 2, 3)
    file = staffed.folder / "Extraction_20260310.txt"
    file.write_text("\n".join(content) + "\n", encoding="utf-8")
    staffed.house.clock.at = datetime(2026, 3, 18, tzinfo=UTC)
    await staffed.imports().take(file, CorrespondenceReader(), lambda *_: None)
    await staffed.service.settle()
    assert await staffed.states() == [A, A, A, A]
    rows = await staffed.house.store.read(lambda c: standings.of_people(c, [b""]))
    assert [row.owner for row in rows] == [late]


async def test_an_address_that_is_given_to_somebody_else_waits_for_a_human(staffed: Staffed) -> None:
    """From the first file that says so, and however often it is said; nobody is shown meanwhile."""
    from mss.directory.search import Search

    stranger = person(9, "DR", "Paul", "AUTRE", "Médecin", "", "69003", "LYON").replace("a9@", "a3@")
    content = [*staffed.lines(1, 2), stranger, *staffed.lines(3)[1:]][:4]
    for day in (6, 7):
        report = await staffed.take([*content, *staffed.lines(9 + day)[1:]], day, accepts=True)
        assert await Search(staffed.house.store).at("a3@ville.mssante.example") == ()
    assert report.rules_refused == 1
    (row,) = await staffed.house.store.read(standings.contested)
    assert (row.address, row.holder) == ("a3@ville.mssante.example", idnps_of(rpps(3)))
    assert row.claimed_by == idnps_of(rpps(9))
    await staffed.take(staffed.lines(1, 2, 3), 8, accepts=True)
    assert await staffed.house.store.read(standings.contested) == []
    assert await Search(staffed.house.store).at("a3@ville.mssante.example")


async def test_why_is_one_word(staffed: Staffed) -> None:
    """As the commands and the audit write it."""
    assert {one.value for one in Why} == {"struck-off", "left-directory", "overdue"}
