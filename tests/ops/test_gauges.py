"""What somebody who watches sees of a house in which things wait."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from mss.assembly.gauges import gauges
from mss.foundation import Foundation
from mss.mail.clamd import Unix
from mss.mail.counting import Tally
from mss.mail.screening import ClamdScreening
from mss.model.ids import MailAddress
from mss.model.verdict import Reason, Refuse
from tests.kit.documents import HUGO, ZOE, make_cda
from tests.kit.house import HOSPITAL, LABORATORY, House

DOCTOR = MailAddress.parse(f"dr.house@{HOSPITAL}")


async def numbers(house: House) -> dict[str, Any]:
    ground = cast(
        Foundation, SimpleNamespace(store=house.store, clock=house.clock, config=SimpleNamespace(sinks={"dpi": None}))
    )
    return {gauge.name: await gauge.ask() for gauge in gauges(ground)}


async def test_an_empty_house_shows_noughts(house: House) -> None:
    """Zero is a number: nothing is missing before something happened."""
    seen = await numbers(house)
    assert seen["sink_documents"] == seen["sink_refused_documents"] == {"dpi": 0.0}
    assert all(value == 0 or not any(value.values()) for value in seen.values())
    assert seen["queue_state_messages"] == {"waiting": 0.0, "held": 0.0, "failed": 0.0}


async def test_what_waits_is_counted_with_its_age(house: House, tmp_path: Any) -> None:
    """A held result, an answer in the queue, a message that the antivirus could not look at, a refusal."""
    zoe = await house.enrol(ZOE)
    await house.professional(str(DOCTOR))
    await house.send_documents(zoe, make_cda(HUGO))
    house.scan_with(ClamdScreening(Unix(tmp_path / "nobody"), 1, house.clock))
    await house.deliver(house.health_mail(DOCTOR), LABORATORY, DOCTOR)
    tally = Tally(house.store, house.clock)
    tally.note("CN=lab", Refuse(Reason.MAILBOX_UNKNOWN))
    await tally.write()
    house.clock.forward(3600)
    seen = await numbers(house)
    assert seen["held_messages"] == 2
    assert seen["held_reason_messages"] == {"ins-mismatch": 1.0, "not-scanned": 1.0}
    assert 3600 <= seen["held_oldest_seconds"] <= 3610
    assert seen["held_overdue_messages"] == 0
    assert seen["antivirus_waiting_messages"] == 1
    assert (seen["queue_messages"], seen["queue_state_messages"]["waiting"]) == (1, 1.0)
    assert 3600 <= seen["queue_oldest_seconds"] <= 3610
    assert 0 < seen["task_oldest_due_seconds"] <= 3610
    assert seen["refusals_today"] == {"mailbox-unknown": 1.0}
    house.clock.forward(24 * 3600)
    assert (await numbers(house))["held_overdue_messages"] == 2
