"""What an operator may know of a day's mail: how much, from whom, of which type; counted once, whoever counts."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from mss.accounts.service import Profile
from mss.cli import stats
from mss.mail.counting import Counting, Tally, day_of
from mss.model.ids import MailAddress
from mss.model.mailbox import MailboxKind
from mss.model.verdict import Accept, Later, Reason, Refuse
from mss.store import indicators
from mss.store.indicators import Count
from tests.kit.documents import HUGO, OUR_OID, ZOE, make_cda
from tests.kit.house import HOSPITAL, LABORATORY, PATIENTS, House, Patient

FINESS = "750712184"
SOFTWARE = MailAddress.parse(f"dpi@{HOSPITAL}")
ABSENT = MailAddress.parse(f"279035121518989@{PATIENTS}")
TYPE = "11502-2"


async def totals(house: House) -> Counter[tuple[str, str]]:
    """(what, kind of mailbox) → how often."""
    await Counting(house.store).catch_up()
    found = await house.store.read(lambda c: indicators.totals(c, 0, 99_999_999))
    sums: Counter[tuple[str, str]] = Counter()
    for count, n in found:
        sums[count.what, count.box] += n
    return sums


async def a_day(house: House) -> Patient:
    """Two results filed, one of them twice sent; one held; one letter to a doctor; one to nobody."""
    zoe = await house.enrol(ZOE)
    await house.professional(f"dr.house@{HOSPITAL}")
    await house.send_documents(zoe, make_cda(ZOE), headers={"X-MSS-INS": "O"})
    second = house.health_mail(zoe.address, make_cda(ZOE, unique_id=f"{OUR_OID}.1^9", set_id=f"{OUR_OID}.2^9"))
    for _ in range(2):
        await house.deliver(second, LABORATORY, zoe.address)
    await house.send_documents(zoe, make_cda(HUGO), headers={"X-MSS-INS": "N"})
    await house.deliver(house.health_mail(ABSENT), LABORATORY, MailAddress.parse(f"dr.house@{HOSPITAL}"), ABSENT)
    await house.run_tasks()
    return zoe


async def test_a_day_is_counted_once_however_often_it_is_read(house: House) -> None:
    """By what happened and at whose kind of mailbox; a second look adds nothing."""
    await a_day(house)
    for _ in range(2):
        sums = await totals(house)
        assert sums["mail.received", "PATIENT"] == 3
        assert sums["mail.again", "PATIENT"] == 1
        assert sums["mail.received", "PER"] == 1
        assert sums["mail.received", "none"] == 1
        assert sums["bridge.filed", "PATIENT"] == 2
        assert sums["bridge.held", "PATIENT"] == 1
        assert sums["to-patient", "PATIENT"] == 3
        assert sums["filed", "PATIENT"] == 2


async def test_two_who_count_at_once_count_once(house: House) -> None:
    """A command beside the works, several hosts: the sums are those of one."""
    await a_day(house)
    await asyncio.gather(*(Counting(house.store).catch_up() for _ in range(4)))
    assert (await totals(house))["mail.received", "PATIENT"] == 3
    assert (await totals(house))["filed", "PATIENT"] == 2


async def test_a_count_that_breaks_off_is_taken_up_where_it_was(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums and position are one transaction: what was not summed is not skipped."""
    await a_day(house)

    def broken(*_: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(indicators, "add", broken)
        with pytest.raises(RuntimeError):
            await Counting(house.store).catch_up()
    assert (await totals(house))["mail.received", "PATIENT"] == 3


async def test_a_structure_sees_what_it_sent_and_how_well(house: House) -> None:
    """By month: messages to patients, documents filed, the share with a qualified INS. Others' mail is not in it."""
    zoe = await house.enrol(ZOE)
    profile = Profile("DPI", str(SOFTWARE), national_id=f"1{FINESS}")
    await house.cellar.accounts.create_mailbox(MailboxKind.APPLICATION, SOFTWARE, profile)
    for number, said in enumerate(("O", "O", "O", "N")):
        cda = make_cda(ZOE, unique_id=f"{OUR_OID}.1^{number}", set_id=f"{OUR_OID}.2^{number}")
        await house.send_documents(zoe, cda, sender=SOFTWARE, headers={"X-MSS-INS": said})
    await house.send_documents(zoe, make_cda(ZOE, unique_id=f"{OUR_OID}.1^77", set_id=f"{OUR_OID}.2^77"))
    await house.deliver(house.health_mail(zoe.address, sender=SOFTWARE), SOFTWARE, zoe.address)
    await house.run_tasks()
    await Counting(house.store).catch_up()
    ids = stats.structure_ids(FINESS)
    found = await house.store.read(lambda c: indicators.totals(c, 0, 99_999_999, ids))
    assert stats.of_structure(found) == [
        {
            "month": "2026-01",
            "sent_to_patients": 5,
            "documents_filed": 3,
            "with_documents": 4,
            "ins_qualified": 3,
            "ins_qualified_share": 0.75,
        }
    ]


async def test_documents_are_counted_by_type(house: House) -> None:
    """The code, not the title; messages are not mixed in."""
    await a_day(house)
    await Counting(house.store).catch_up()
    found = await house.store.read(lambda c: indicators.totals(c, 0, 99_999_999))
    assert stats.grouped(found, ["month", "cda"]) == [{"month": "2026-01", "cda": TYPE, "n": 2}]


async def test_the_table_names_nobody(house: House) -> None:
    """No owner, no message, no INS, no name; a peer is a certificate or a domain."""
    zoe = await a_day(house)
    await Counting(house.store).catch_up()
    found = await house.store.read(lambda c: indicators.totals(c, 0, 99_999_999))
    shown = repr(found)
    for secret in (str(zoe.owner), zoe.ins.value, ZOE.traits.birth_name, ABSENT.local, "resultats"):
        assert secret not in shown
    assert {count.peer for count, _ in found if count.what == "to-patient"} == {LABORATORY.domain}


async def test_refusals_are_counted_by_reason(house: House) -> None:
    """Refused and put off apart; what is accepted is no refusal; a login is one among logins."""
    tally = Tally(house.store, house.clock)
    for peer, verdict in (
        ("CN=lab", Refuse(Reason.MAILBOX_UNKNOWN)),
        ("CN=lab", Refuse(Reason.MAILBOX_UNKNOWN)),
        ("login:77", Later(Reason.MAILBOX_OVER_QUOTA)),
        ("CN=lab", Accept()),
    ):
        tally.note(peer, verdict)
    await tally.write()
    await tally.write()
    today = day_of(house.clock.now())
    seen = await house.store.read(lambda c: indicators.by_box(c, ("refused", "put-off"), today))
    assert seen == {"mailbox-unknown": 2.0, "mailbox-over-quota": 1.0}
    await Counting(house.store).catch_up()
    found = dict(await house.store.read(lambda c: indicators.totals(c, today, today)))
    assert found[Count(today, "put-off", "login", "mailbox-over-quota")] == 1
