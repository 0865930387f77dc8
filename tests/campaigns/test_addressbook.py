"""Broken messages to the address book: each is read, or refused by us, in little time; the door goes on serving.

The messages are right ones of every operation with octets changed, cut, doubled, and lengths that lie. They go to the
codec, and a part of them over a real connection to a door that must still find somebody in the end.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mss.ldap import codec
from mss.ldap.requests import Broken
from mss.model.clock import ManualClock, SeededChance
from tests.directory.test_search import FILE
from tests.kit.ldap_house import RawBook, begins, bind, element, ldap_house, message, number, search, text
from tests.kit.people import cellar
from tests.kit.pki import Pki

pytestmark = [pytest.mark.campaign, pytest.mark.slow, pytest.mark.timeout(3600)]

MESSAGES = {"small": 20_000, "full": 2_000_000}
OVER_THE_WIRE = {"small": 100, "full": 5_000}
FLOOR = 0.05
"""A twentieth must still be read and a twentieth be refused: rubbish alone proves nothing."""
READ_S_MAX = 0.5
"""Of one message, on a machine that is busy; the largest takes some milliseconds."""


def right(chance: random.Random) -> bytes:
    """A message as clients send them."""
    asked = begins(chance.choice(["cn", "sn", "mail", "o"]), "lef" * chance.randint(1, 40))
    for _ in range(chance.randint(0, 14)):
        asked = element(chance.choice([0xA0, 0xA1, 0xA2]), *[asked] * chance.choice([1, 1, 2]))[: 1 << 20]
        if len(asked) > 20_000:
            break
    operations = (
        search(asked, wanted=("cn", "mail")),
        search(text("objectClass", 0x87), scope=0),
        search(element(0xA9, text("cn", 0x82), text("x", 0x83))),
        bind(),
        element(0x60, number(3), text(""), element(0xA3, text("PLAIN"), text("x"))),
        element(0x77, text("1.3.6.1.4.1.4203.1.11.3", 0x80)),
        number(5, 0x50),
        element(0x66, text("cn=x"), element(0x30)),
    )
    controls = [element(0xA0, element(0x30, text("1.2.3"), element(0x01, b"\xff")))] * (chance.random() < 0.2)
    return message(chance.randint(1, 1 << 30), chance.choice(operations), *controls)


def broken(chance: random.Random) -> bytes:
    """The same with something wrong, most times."""
    octets = bytearray(right(chance))
    for _ in range(chance.choice([0, 1, 1, 2, 3, 8])):
        at = chance.randrange(len(octets))
        match chance.randrange(5):
            case 0:
                octets[at] = chance.randrange(256)
            case 1:
                octets[at] = chance.choice([0x00, 0x7F, 0x80, 0x84, 0xFF, 0x1F, 0x30, 0xA4])
            case 2:
                del octets[at : at + chance.randint(1, 4)]
            case 3:
                octets[at:at] = chance.randbytes(chance.randint(1, 4))
            case _:
                octets[at:at] = octets[at : at + chance.randint(1, 64)]
        if not octets:
            return b"\x30"
    return bytes(octets)


@dataclass
class Score:
    """What became of the messages."""

    seed: int
    ends: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    wrong: list[str] = field(default_factory=list)


def campaign(seed: int, messages: int) -> Score:
    """Read so many; stop at the first error that is not ours."""
    chance, score = random.Random(seed), Score(seed)
    for _ in range(messages):
        octets = broken(chance)
        began = time.perf_counter()
        frames = codec.Frames()
        frames.feed(octets)
        try:
            frame = frames.take()
            score.ends["waiting" if frame is None else "read" if codec.read(frame) else ""] += 1
        except Broken:
            score.ends["refused"] += 1
        except Exception as problem:  # noqa: BLE001 — whatever comes is what is looked for
            score.wrong.append(f"{type(problem).__name__} at {octets.hex()[:400]}")
            break
        score.slowest_s = max(score.slowest_s, time.perf_counter() - began)
    print(f"\naddress book: seed {seed}, {dict(score.ends)}, slowest {score.slowest_s * 1000:.1f} ms, {score.wrong}")
    return score


def test_every_message_is_read_or_refused(campaign_size: str, capfd: pytest.CaptureFixture[str]) -> None:
    """By us, in little time, and without a word of the library on the terminal."""
    messages = MESSAGES[campaign_size]
    score = campaign(random.SystemRandom().getrandbits(32), messages)
    assert not score.wrong, score
    assert score.ends["read"] >= FLOOR * messages, score
    assert score.ends["refused"] >= FLOOR * messages, score
    assert score.slowest_s < READ_S_MAX
    assert "BERDecoder" not in capfd.readouterr().out


def test_the_same_campaign_notices_a_codec_that_trusts_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign that cannot fail proves nothing: the library's errors, let through."""
    monkeypatch.setattr(codec, "BROKEN", ())
    assert campaign(random.SystemRandom().getrandbits(32), MESSAGES["small"]).wrong


async def test_the_door_goes_on_serving(
    tmp_path: Path, clock: ManualClock, chance: SeededChance, campaign_size: str
) -> None:
    """After thousands of broken connections somebody who asks rightly is answered, and nothing is left open."""
    seed, connections = random.SystemRandom().getrandbits(32), OVER_THE_WIRE[campaign_size]
    dice = random.Random(seed)
    url = f"sqlite:///{tmp_path}/mss.db"
    async with cellar(url, tmp_path, clock, chance) as below, ldap_house(below, Pki(), tmp_path) as house:
        await house.import_lines(FILE, tmp_path)
        answered = 0
        for _ in range(connections):
            raw = await RawBook.connect(house, secure=False)
            raw.send(broken(dice) + broken(dice) + b"\xff" * codec.MESSAGE_BYTES_MAX)  # nothing is waited for behind it
            answered += bool(await raw.rest())
            raw.close()
        print(f"\naddress book: seed {seed}, {connections} connections, {answered} answered")
        assert answered > connections // 4
        raw = await RawBook.connect(house)
        raw.send(message(1, bind()) + message(2, search(begins("sn", "lefev"))))
        await raw.answer()
        assert b"a1@ville.mssante.example" in await raw.answer()
        raw.close()
        assert house.server.connections <= 1
