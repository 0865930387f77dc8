"""Whoever is no longer vouched for reads it in time, and so do staff; nobody is suspended by our own forgetting."""

from __future__ import annotations

from datetime import timedelta

from mss.accounts.verification import Rules, Verification
from mss.model.ids import OwnerId
from mss.model.mailbox import AccountState
from mss.notices.compose import House as Writer
from mss.notices.standing import StandingWatch
from mss.store import owners
from tests.kit.frenchpeople import rpps
from tests.kit.house import POSTMASTER, House
from tests.refusals.test_infected_mail import inbox

YEAR, GRACE = timedelta(days=365), timedelta(days=30)


class Watched:
    """A house, its postmaster, doctors whom staff have checked today."""

    def __init__(self, house: House) -> None:
        below = house.cellar
        self.house = house
        self.verification = Verification(below.store, below.public.lookup, house.bus, house.clock, Rules())
        writer = Writer(house.mail_house.host, POSTMASTER)
        rooms = below.store, below.opener, below.public.lookup, house.house_mail, house.clock
        self.watch = StandingWatch(writer, POSTMASTER, self.verification, *rooms, GRACE)

    async def hire(self, count: int) -> list[OwnerId]:
        owned = [await self.house.professional(f"dr.{n}@chu.mssante.example") for n in range(count)]
        for number, owner in enumerate(owned):
            await self.verification.begin(owner, rpps(number))
        return owned

    async def after(self, days: float) -> None:
        """Some days later, two looks: the second changes nothing."""
        self.house.clock.forward(timedelta(days=days).total_seconds())
        for _ in range(2):
            await self.watch.look()

    async def state(self, owner: OwnerId) -> AccountState | None:
        box = await self.house.store.read(lambda c: owners.mailbox(c, owner))
        return box.state if box else None

    async def read(self, owner: OwnerId) -> list[str]:
        """What lies in a mailbox: subject and text of each, oldest first."""
        found = []
        for mail in await inbox(self.house, owner):
            part = mail.get_body(("plain",))
            assert part is not None
            found.append(f"{mail['Subject']}\n{part.get_content()}")
        return found


async def test_she_is_told_once_and_suspended_after_the_grace(house: House) -> None:
    """In French and English, with the day on which it happens; staff read how many and what to do, once a day."""
    watched, staff = Watched(house), await house.professional(str(POSTMASTER))
    (doctor,) = await watched.hire(1)
    await watched.after(364)
    assert await watched.read(doctor) == []
    await watched.after(2)
    (told,) = await watched.read(doctor)
    suspended_on = f"{house.clock.now() + GRACE:%d/%m/%Y}"
    assert told.startswith("Votre inscription n'est plus vérifiée")
    assert told.count(suspended_on) == 2, "in both languages"
    assert "dr.0@chu.mssante.example" in told
    (alarm,) = await watched.read(staff)
    assert "mss directory check" in alarm
    assert "dr.0" not in alarm, "staff are told in numbers"
    await watched.after(29)
    assert (await watched.state(doctor), len(await watched.read(doctor))) == (AccountState.ACTIVE, 1)
    await watched.after(2)
    assert await watched.state(doctor) is AccountState.SUSPENDED


async def test_many_at_once_are_asked_about_daily_instead(house: House) -> None:
    """Three of three overdue is our own forgetting: nobody is suspended, staff read it each day with the command."""
    watched, staff = Watched(house), await house.professional(str(POSTMASTER))
    doctors = await watched.hire(3)
    await watched.after(366)
    assert [len(await watched.read(one)) for one in doctors] == [1, 1, 1]
    for day in (1, 2, 3):
        await watched.after(31 if day == 1 else 1)
        assert {await watched.state(one) for one in doctors} == {AccountState.ACTIVE}
        alarms = await watched.read(staff)
        assert len(alarms) == 1 + day
        assert "mss directory suspend-overdue" in alarms[-1]
    await watched.verification.check_again(doctors[0], f"8{rpps(0)}", "staff:test")
    await watched.after(0)
    assert len(await watched.read(doctors[0])) == 1, "who was checked again is left in peace"
