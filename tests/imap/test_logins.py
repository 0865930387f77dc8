"""Who signs in again within minutes is known again, and only for as long as the store says so at that very moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mss.accounts.knocks import Knocks
from mss.accounts.software import SoftwareLogin, make_application_password
from mss.accounts.verified import KEPT_S
from mss.imap.backend import Account
from mss.imap.people import MailLogin
from mss.model.clock import ManualClock, SeededChance
from mss.model.ids import OwnerId, lane_of
from mss.model.mailbox import AccountState, MailboxKind
from mss.store import accounts, owners
from mss.store.accounts import CredentialKind
from mss.store.sql import Connection
from mss.vault.opener import Opener, OwnerKeys
from tests.kit.people import Cellar, cellar

DOCTOR = "anne.petit@ville.mssante.example"
TEAM = "accueil@ville.mssante.example"


class CountingOpener(Opener):
    """The vault, with a count of who asked."""

    opened = 0

    async def open(self, owner: OwnerId, actor: str, why: str) -> OwnerKeys:
        self.opened += 1
        return await super().open(owner, actor, why)


@dataclass
class Desk:
    """A doctor in a team, with two application passwords, and the door's judge of logins."""

    below: Cellar
    opener: CountingOpener
    login: MailLogin
    anne: OwnerId
    team: OwnerId
    secrets: list[str]
    address: str = DOCTOR

    async def signs_in(self, secret: str | None = None, name: str = "") -> Account | None:
        word = self.secrets[0] if secret is None else secret
        return await self.login.authenticate("PLAIN", name or self.address, word.encode(), "192.0.2.1")

    async def another(self, address: str) -> Desk:
        """The same with somebody else who signs in."""
        owner = await self.below.professional(address)
        return replace(self, anne=owner, secrets=await _secrets(self.below, owner), address=address)


async def _secrets(below: Cellar, owner: OwnerId) -> list[str]:
    made = [make_application_password(below.public.lookup, below.chance) for _ in range(2)]
    for _, verifier in made:
        await below.accounts.add_credential(owner, CredentialKind.APPLICATION_PASSWORD, verifier)
    return [secret for secret, _ in made]


@pytest.fixture
async def desk(database_url: str, tmp_path: Path, clock: ManualClock, chance: SeededChance) -> AsyncIterator[Desk]:
    async with cellar(database_url, tmp_path, clock, chance) as below:
        anne = await below.professional(DOCTOR)
        team = await below.professional(TEAM, MailboxKind.ORGANISATIONAL)
        await below.accounts.add_member(team, anne, "member")
        opener = CountingOpener(below.store, below.bodies, below.private.wrapper, clock, chance)
        software = SoftwareLogin(below.store, below.public.lookup, clock, chance)
        login = MailLogin(software, below.store, opener, clock, chance, Knocks(clock))
        yield Desk(below, opener, login, anne, team, await _secrets(below, anne))


async def test_who_signs_in_again_opens_nothing_again_for_five_minutes(desk: Desk, clock: ManualClock) -> None:
    """The very same answer, without asking the vault; then the whole way, whatever was used meanwhile."""
    first = await desk.signs_in()
    assert first is not None
    assert first.own is not None
    assert [box.owner for box in first.shared] == [desk.team]
    opened = desk.opener.opened
    for _ in range(4):
        clock.forward(KEPT_S / 5)
        assert await desk.signs_in() is first
    assert desk.opener.opened == opened
    clock.forward(KEPT_S / 5)
    assert await desk.signs_in() == first
    assert desk.opener.opened > opened


async def test_a_wrong_secret_never_benefits(desk: Desk) -> None:
    """Nor the right one under another name."""
    assert await desk.signs_in() is not None
    for secret, name in ((desk.secrets[0][:-1], DOCTOR), ("", DOCTOR), (desk.secrets[0], TEAM), (desk.secrets[0], "x")):
        assert await desk.signs_in(secret, name) is None
    assert await desk.signs_in() is not None


async def _new_password(desk: Desk) -> None:
    kind = CredentialKind.APPLICATION_PASSWORD
    await desk.below.store.write(lane_of(desk.anne), lambda c: accounts.delete_credentials(c, desk.anne, kind))


async def _one_password_less(desk: Desk) -> None:
    """The other one stays."""
    kind, store, anne = CredentialKind.APPLICATION_PASSWORD, desk.below.store, desk.anne
    kept = await store.read(lambda c: accounts.credentials(c, anne, kind))
    gone = desk.login._login.proof_of_password(desk.secrets[0])
    await store.write(lane_of(anne), lambda c: accounts.delete_credentials(c, anne, kind))
    for row in kept:
        if row.verifier != gone:
            await desk.below.accounts.add_credential(anne, kind, row.verifier)


async def _suspended(desk: Desk) -> None:
    await desk.below.set_state(desk.anne, AccountState.SUSPENDED)


async def _closed(desk: Desk) -> None:
    await desk.below.set_state(desk.anne, AccountState.CLOSED)


async def _address_retired(desk: Desk) -> None:
    hashed, way = desk.below.public.lookup.address(desk.address), owners.Way.RETIRED
    await desk.below.store.write(lane_of(desk.anne), lambda c: owners.point(c, hashed, desk.anne, way))


async def test_what_was_taken_away_opens_nothing_at_the_next_login(desk: Desk) -> None:
    """Without a hint from anybody: the store is asked each time. Whatever else she has goes on."""
    for number, end in enumerate((_new_password, _one_password_less, _suspended, _closed, _address_retired)):
        one = await desk.another(f"dr.{number}@ville.mssante.example")
        assert await one.signs_in() is not None
        await end(one)
        assert await one.signs_in() is None, end.__name__
        assert await one.signs_in() is None, end.__name__
        goes_on = await one.signs_in(one.secrets[1]) is not None
        assert goes_on == (end is _one_password_less), end.__name__


async def test_what_an_account_may_open_is_told_as_it_is_now(desk: Desk) -> None:
    """Another right in the team, a mask, a mailbox that is only to be read: each with the next login."""
    first = await desk.signs_in()
    assert first is not None
    await desk.below.store.write(lane_of(desk.anne), lambda c: accounts.set_masked(c, desk.anne, ["IDLE"]))
    masked = await desk.signs_in()
    assert masked is not None
    assert (masked.hidden, masked.shared) == (frozenset({"IDLE"}), first.shared)
    lane = lane_of(desk.anne)
    await desk.below.store.write(lane, lambda c: owners.remove_member(c, desk.team, desk.anne, "member"))
    alone = await desk.signs_in()
    assert alone is not None
    assert not alone.shared
    await desk.below.accounts.set_state(desk.anne, AccountState.READ_ONLY)
    last = await desk.signs_in()
    assert last is not None
    assert last.own is not None
    assert "i" not in last.own.rights


async def test_what_was_taken_away_ends_a_session_at_its_next_command(desk: Desk) -> None:
    """However often it was found to be in order before."""
    for number, end in enumerate((_new_password, _one_password_less, _suspended, _closed)):
        one = await desk.another(f"dr.{number}@ville.mssante.example")
        account = await one.signs_in()
        assert account is not None
        for _ in range(3):
            assert await one.login.review(account) is account
        await end(one)
        for _ in range(2):
            assert await one.login.review(account) is None, end.__name__
    account = await desk.signs_in()
    assert account is not None
    assert await desk.login.review(account) is account


async def test_rights_that_change_bite_at_the_next_command(desk: Desk) -> None:
    """In a team, of a team's mailbox, of one's own; and what was given back is there again."""
    account = await desk.signs_in()
    assert account is not None
    store, anne, team = desk.below.store, desk.anne, desk.team

    def own(now: Account) -> str:
        return now.own.rights if now.own is not None else ""

    changes: tuple[tuple[OwnerId, Callable[[Connection], object], Callable[[Account], bool]], ...] = (
        (anne, lambda c: owners.remove_member(c, team, anne, "member"), lambda now: not now.shared),
        (anne, lambda c: owners.add_member(c, team, anne, "reader"), lambda now: "w" not in now.shared[0].rights),
        (team, lambda c: owners.set_state(c, team, AccountState.SUSPENDED), lambda now: not now.shared),
        (team, lambda c: owners.set_state(c, team, AccountState.ACTIVE), lambda now: "w" not in now.shared[0].rights),
        (anne, lambda c: owners.set_state(c, anne, AccountState.READ_ONLY), lambda now: "i" not in own(now)),
        (anne, lambda c: owners.set_state(c, anne, AccountState.ACTIVE), lambda now: "i" in own(now)),
    )
    for number, (owner, change, holds) in enumerate(changes):
        for _ in range(2):
            assert await desk.login.review(account) is account
        await store.write(lane_of(owner), change)
        now = await desk.login.review(account)
        assert now is not None
        assert now is not account, number
        assert holds(now), number
        account = now
