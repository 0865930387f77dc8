"""Does anything tell which patients exist? The same number of present and absent INS at the real door, over TLS.

Replies are compared to the byte once the message number is masked. Times are judged as an attacker would: the median
of a few tries for each address, all addresses in one shuffled order, and the chance that a present one took longer
than an absent one (the AUC of the best threshold classifier; 0.5 is a coin). A door with a planted shortcut must fail.
"""

from __future__ import annotations

import cProfile
import random
import re
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from pathlib import Path

import pytest

from mss.accounts.service import KnownIdentity, Profile
from mss.mail.intake import Intake
from mss.mail.parcels import Letter
from mss.mail.policy import RecipientFacts
from mss.mail.reception import Receipt
from mss.mail.recipients import Recipients
from mss.model.clock import ManualClock, SeededChance
from mss.model.ids import Ins, InsOid, MailAddress, ins_key
from mss.model.message import Envelope
from mss.model.people import IdentityStatus, IdentityTraits, Sex
from mss.model.verdict import Accept
from mss.smtp.meters import Caps
from mss.store.writer import SqliteWriter, Work
from tests.kit.mailroom import PATIENTS, MailRoom, lab_gate, mail, open_mailroom
from tests.kit.pki import Pki, pki
from tests.kit.smtp_wire import Behind, SmtpClient, SmtpHouse, smtp_house

__all__ = ["pki"]
pytestmark = [pytest.mark.campaign, pytest.mark.timeout(1800)]


@dataclass(frozen=True)
class Size:
    """Addresses of each kind, tries at each, and how far from a coin chance may lead (four standard errors)."""

    people: int
    tries: int
    band: float


SIZES = {"small": Size(100, 3, 0.17), "full": Size(1000, 5, 0.05)}
STEPS_WATCHED = 40
"""Addresses of each kind whose steps are counted."""
PLENTY = Caps(10**9, 10**9, 10**12, 10**12)


@dataclass
class Seen:
    """What the attacker saw of one address."""

    rcpt_s: list[float] = field(default_factory=list)
    data_s: list[float] = field(default_factory=list)
    replies: set[tuple[str, ...]] = field(default_factory=set)


@asynccontextmanager
async def at_the_door(pki: Pki, folder: Path) -> AsyncIterator[tuple[MailRoom, SmtpHouse]]:
    """The real intake behind a real relay."""
    gate = await lab_gate(pki, folder)
    clock, chance = ManualClock(at=pki.now), SeededChance(1)
    async with open_mailroom(f"sqlite:///{folder}/mss.db", folder, clock, chance, gate, pki) as room:
        doctor = await room.professional("dr.house")
        async with smtp_house(pki, behind=Behind(room.intake, room.submission, doctor), caps=PLENTY) as house:
            yield room, house


def addresses(chance: random.Random, number: int) -> list[Ins]:
    """So many different well-formed INS of nobody yet."""
    stems = chance.sample(range(10**7), number)
    return [Ins.parse(f"{stem}{ins_key(stem):02d}", InsOid.NIR_TEST) for stem in (f"279035{one:07d}" for one in stems)]


async def enrol(room: MailRoom, ins: Ins) -> None:
    traits = IdentityTraits("MARTIN", ("CLAIRE",), date(1979, 3, 28), Sex.FEMALE, "51215")
    address = f"{ins.value}@{PATIENTS}"
    identity = KnownIdentity(ins, traits, IdentityStatus.QUALIFIED)
    await room.cellar.accounts.create_patient(MailAddress.parse(address), Profile("Claire MARTIN", address), identity)


async def observe(client: SmtpClient, order: list[Ins], tries: int, chance: random.Random) -> dict[str, Seen]:
    """Write to everybody, each time in another order."""
    seen: dict[str, Seen] = {ins.value: Seen() for ins in order}
    numbers = count()
    for _ in range(tries):
        chance.shuffle(order)
        for ins in order:
            one = seen[ins.value]
            raw = mail(f"Message-ID: <{next(numbers):08d}@labo.mssante.example>")
            said = [str(await client.ask("MAIL FROM:<resultats@labo.mssante.example>"))]
            began = time.perf_counter()
            said.append(str(await client.ask(f"RCPT TO:<{ins.value}@{PATIENTS}>")))
            one.rcpt_s.append(time.perf_counter() - began)
            said.append(str(await client.ask("DATA")))
            began = time.perf_counter()
            await client.say(raw + b".\r\n")
            said.append(re.sub(r"\d{10,}", "…", str(await client.hear())))
            one.data_s.append(time.perf_counter() - began)
            one.replies.add(tuple(said))
    return seen


Calls = dict[tuple[str, str], int]
OF_CHANCE = {
    "getrandbits",
    "_randbelow_with_getrandbits",
    "bit_length",
    "acquire",
    "release",
    "poll",
    "select",
    "remove",
}
"""How often these are called is a matter of luck or of the loop's turns."""


@contextmanager
def calls_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """Which functions were called how often, in the door's thread and in the writer's."""
    here, writer = cProfile.Profile(), cProfile.Profile()
    honest, calls = SqliteWriter._commit, Calls()

    def watched(self: SqliteWriter, batch: list[Work]) -> object:
        writer.enable()
        try:
            return honest(self, batch)
        finally:
            writer.disable()

    with monkeypatch.context() as patch:
        patch.setattr(SqliteWriter, "_commit", watched)
        here.enable()
        yield calls
        here.disable()
    for profile in (here, writer):
        for entry in profile.getstats():
            code = entry.code
            file, name = (
                ("", code) if isinstance(code, str) else (f"{code.co_filename}:{code.co_firstlineno}", code.co_name)
            )
            calls[file, name] = calls.get((file, name), 0) + entry.callcount


def auc(present: list[float], absent: list[float]) -> float:
    """The chance that a present one took longer than an absent one, by ranks (Mann and Whitney)."""
    ranked = sorted([(value, True) for value in present] + [(value, False) for value in absent])
    ranks = sum(rank for rank, (_, is_present) in enumerate(ranked, 1) if is_present)
    n, m = len(present), len(absent)
    return (ranks - n * (n + 1) / 2) / (n * m)


async def tell_apart(pki: Pki, folder: Path, size: Size, name: str) -> tuple[set[tuple[str, ...]], float, float]:
    """The replies that anybody got, and what time tells at RCPT and at the end of DATA."""
    seed = random.SystemRandom().getrandbits(32)
    chance = random.Random(seed)
    everybody = addresses(chance, 2 * size.people)
    present, absent = everybody[: size.people], everybody[size.people :]
    async with at_the_door(pki, folder) as (room, house):
        for ins in present:
            await enrol(room, ins)
        client = await house.peer()
        seen = await observe(client, everybody, size.tries, chance)
        await client.close()
        notices = len(await room.tasks("unreachable"))
    both = []
    for which in ("rcpt_s", "data_s"):
        medians = [[statistics.median(getattr(seen[i.value], which)) for i in side] for side in (present, absent)]
        both.append(auc(*medians))
    asked = sum(len(one.data_s) for one in seen.values())
    print(f"\n{name}: seed {seed}, {asked} mails, {notices} notices owed, AUC {both[0]:.3f} RCPT, {both[1]:.3f} DATA")
    assert asked == 2 * size.people * size.tries, "too few to prove anything"
    return set().union(*(one.replies for one in seen.values())), both[0], both[1]


async def unlike_steps(pki: Pki, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], int]:
    """Functions that run more (or less) often for a present patient than for an absent one, and by how much."""
    chance = random.Random(1)
    everybody = addresses(chance, 2 * STEPS_WATCHED)
    present, absent = everybody[:STEPS_WATCHED], everybody[STEPS_WATCHED:]
    async with at_the_door(pki, folder) as (room, house):
        for ins in present:
            await enrol(room, ins)
        client = await house.peer()
        await observe(client, [*everybody], 2, chance)  # everything that is done once has been done
        both = []
        for side in (present, absent):
            with calls_of(monkeypatch) as calls:
                await observe(client, [*side], 1, chance)
            both.append(calls)
        await client.close()
    more = {what: both[0].get(what, 0) - both[1].get(what, 0) for what in both[0].keys() | both[1].keys()}
    assert sum(both[0].values()) > STEPS_WATCHED * 100, "nothing was watched"
    return {
        what: by
        for what, by in more.items()
        if abs(by) >= STEPS_WATCHED // 2 and not OF_CHANCE & set(what[1].split("'"))
    }


async def test_present_and_absent_patients_take_the_same_steps(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Function by function, at the door and in the writer: what is not done cannot be timed, on any machine."""
    assert await unlike_steps(pki, tmp_path, monkeypatch) == {}


async def test_neither_words_nor_time_tell_who_exists(pki: Pki, tmp_path: Path, campaign_size: str) -> None:
    """One sequence of replies for all, and a classifier that might as well toss a coin."""
    size = SIZES[campaign_size]
    replies, *told = await tell_apart(pki, tmp_path, size, "who exists")
    assert len(replies) == 1, replies
    for one in told:
        assert abs(one - 0.5) <= size.band


async def test_a_shortcut_for_absent_patients_is_noticed(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bugs: nothing written for nobody; one more look at RCPT for whoever is there."""
    honest_keep, honest_facts = Intake._keep, Recipients.facts

    async def shortcut(self: Intake, letter: Letter, envelope: Envelope) -> Receipt:
        if await self._recipients.reachable(envelope.recipients[0]) is None:
            return Receipt(Accept(), self._chance.below(1 << 60) | 1 << 59)
        return await honest_keep(self, letter, envelope)

    async def looks(self: Recipients, recipient: MailAddress, *, may_relay: bool, is_trusted: bool) -> RecipientFacts:
        for _ in range(3 if await self.mailbox(recipient) else 0):
            await self.mailbox(recipient)
        return await honest_facts(self, recipient, may_relay=may_relay, is_trusted=is_trusted)

    monkeypatch.setattr(Intake, "_keep", shortcut)
    monkeypatch.setattr(Recipients, "facts", looks)
    small = SIZES["small"]
    _, at_rcpt, at_data = await tell_apart(pki, tmp_path, small, "who exists, planted")
    assert at_rcpt > 0.5 + small.band
    assert at_data > 0.5 + small.band
