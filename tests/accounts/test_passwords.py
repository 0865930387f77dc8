"""Is a password right, is a new one good enough, and can guessers take the machine?"""

from __future__ import annotations

import asyncio
import threading

import pytest

from mss.accounts import passwords
from mss.accounts.passwords import Busy, PasswordFault, Passwords, faults_of
from mss.model.clock import SeededChance


@pytest.fixture
def keeper(chance: SeededChance) -> Passwords:
    return Passwords(chance, memory_kib=64)


@pytest.mark.parametrize(
    ("password", "faults"),
    [
        ("Correct-Horse-42", []),
        ("Aé1 Aé1 A", []),
        ("Sh0rt-pw", [PasswordFault.TOO_SHORT]),
        ("correct-horse-42", [PasswordFault.NO_UPPER]),
        ("CORRECT-HORSE-42", [PasswordFault.NO_LOWER]),
        ("Correct-Horse-xx", [PasswordFault.NO_DIGIT]),
        ("CorrectHorse42", [PasswordFault.NO_SPECIAL]),
        ("My-claire.m-2026", [PasswordFault.CONTAINS_LOGIN]),
        ("Aa1-" * 40, [PasswordFault.TOO_LONG]),
    ],
)
def test_a_new_password_is_told_what_it_lacks(password: str, faults: list[PasswordFault]) -> None:
    """Nine characters, four sorts of them, and not one's own login."""
    assert list(faults_of(password, "claire.m")) == faults


async def test_only_the_right_password_is_right(keeper: Passwords) -> None:
    """And two of the same are kept differently."""
    kept, other = await keeper.hash("Correct-Horse-42"), await keeper.hash("Correct-Horse-42")
    assert kept != other
    assert "Correct" not in kept
    assert await keeper.is_right(kept, "Correct-Horse-42")
    assert not await keeper.is_right(kept, "Correct-Horse-43")


async def test_one_password_typed_on_two_keyboards_is_one(keeper: Passwords) -> None:
    """An é is an é, composed or not; a no-break space is a space."""
    kept = await keeper.hash("Été à la mer 1")
    assert await keeper.is_right(kept, "E\u0301te\u0301\u00a0a\u0300 la mer 1")


async def test_nobody_has_no_password(keeper: Passwords) -> None:
    """Without an account nothing is right, not even what the decoy was made from."""
    assert not await keeper.is_right(None, "Correct-Horse-42")
    assert not await keeper.is_right("not a hash", "Correct-Horse-42")


async def test_an_unknown_login_costs_as_much_as_a_wrong_password(
    chance: SeededChance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same function with the same parameters is run for nobody too."""
    keeper = Passwords(chance, memory_kib=256)
    kept = await keeper.hash("Correct-Horse-42")
    costs: list[str] = []
    true_verify = keeper._verify

    def watched(verifier: str, password: str) -> bool:
        costs.append(verifier.rsplit("$", 2)[0])
        return true_verify(verifier, password)

    monkeypatch.setattr(keeper, "_verify", watched)
    assert not await keeper.is_right(kept, "Wrong-Horse-42")
    assert not await keeper.is_right(None, "Wrong-Horse-42")
    assert costs == ["$argon2id$v=19$m=256,t=2,p=1"] * 2


async def test_a_flood_of_guesses_waits_in_a_short_line(keeper: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at once; then a line; then come back later. A known browser has its own place."""
    monkeypatch.setattr(passwords, "WAITING_MAX", 5)
    door, running, most = threading.Event(), [0], [0]

    def slow(_verifier: str, _password: str) -> bool:
        running[0] += 1
        most[0] = max(most[0], running[0])
        door.wait(5)
        running[0] -= 1
        return True

    monkeypatch.setattr(keeper, "_verify", slow)
    flood = [asyncio.create_task(keeper.is_right("v", "p")) for _ in range(5)]
    await asyncio.sleep(0.05)
    with pytest.raises(Busy):
        await keeper.is_right("v", "p")
    known = asyncio.create_task(keeper.is_right("v", "p", known_device=True))
    await asyncio.sleep(0.05)
    assert most[0] == passwords.AT_ONCE_MAX + 1
    door.set()
    assert await known
    assert await asyncio.gather(*flood) == [True] * 5
    assert await keeper.is_right("v", "p")
