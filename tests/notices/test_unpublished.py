"""Staff hear that the national directory does not say what we say: once a day, in numbers, of nobody by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mss.fhir.duty import REFUSED
from mss.model.clock import to_ms
from mss.model.ids import MailAddress
from mss.notices.compose import House
from mss.notices.unpublished import UnpublishedWatch
from mss.store import ownmailboxes
from mss.store.ownmailboxes import NEVER
from tests.kit.fhirdoor import LOOKUP
from tests.kit.ownhouse import CARDIO, own_house, team

STAFF = MailAddress.parse("dsi@chu.mssante.example")


class Letters:
    """What would leave, each Message-ID once."""

    def __init__(self) -> None:
        self.sent: dict[bytes, bytes] = {}

    async def send(self, owner: int, sender: None, to: tuple[MailAddress, ...], written: bytes, **_: Any) -> None:
        assert to == (STAFF,)
        head = next(line for line in written.splitlines() if line.startswith(b"Message-ID"))
        self.sent[head] = written


async def test_what_waits_for_a_human_or_for_a_day_is_told_once_a_day(tmp_path: Path) -> None:
    """Refused: at once; later: after a day; nothing once it is there."""
    async with own_house(f"sqlite:///{tmp_path}/mss.db", tmp_path) as house:
        await house.begin(team())
        hashed, letters = LOOKUP.address(CARDIO.key), Letters()
        writes = House("mss.chu.mssante.example", MailAddress.parse("ne-pas-repondre@chu.mssante.example"))
        watch = UnpublishedWatch(writes, STAFF, REFUSED, house.store, LOOKUP, letters, house.clock)  # type: ignore[arg-type]

        async def troubled(why: str) -> None:
            now_ms = to_ms(house.clock.now())
            await house.store.write(0, lambda c: ownmailboxes.troubled(c, hashed, why, now_ms, NEVER))

        assert await watch.look() == 0
        await troubled("later: HTTP 503")
        assert await watch.look() == 0
        house.clock.forward(25 * 3600)
        assert (await watch.look(), len(letters.sent)) == (1, 1)
        await troubled(f"{REFUSED}: HTTP 404")
        assert (await watch.look(), len(letters.sent)) == (1, 1)
        house.clock.forward(24 * 3600)
        assert (await watch.look(), len(letters.sent)) == (1, 2)
        (text, *_) = letters.sent.values()
        assert b"cardio" not in text
        assert b"publish --status" in text.replace(b"=\r\n", b"")
        await house.store.write(0, lambda c: ownmailboxes.published(c, hashed, 1))
        assert await watch.look() == 0
