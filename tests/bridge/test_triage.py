"""What staff do about held messages, and what even they may not do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mss.bridge.triage import NotDecidable, NotFileable
from mss.model.document import Visibility
from mss.model.errors import NotFound
from mss.model.people import IdentityStatus
from mss.store.messages import MessageState
from tests.kit.documents import HUGO, ZOE, Person, make_cda
from tests.kit.house import LABORATORY, House, words_of

STAFF = "staff:7"
TWIN = replace(ZOE, traits=replace(ZOE.traits, given_names=("Léa",)))


async def test_the_list_tells_what_a_script_needs(house: House) -> None:
    """id, message_id, document, reason, code, held_at; oldest first."""
    zoe = await house.enrol(ZOE)
    mail = house.health_mail(zoe.address, make_cda(HUGO, title="Bilan"))
    await house.deliver(mail, LABORATORY, zoe.address)
    await house.run_tasks()
    await house.send_documents(zoe, archive=b"no archive")
    first, second = await house.triage.held_list()
    assert first.message_id.encode() in mail
    assert (first.document, first.reason, first.code) == ("Bilan", "ins-mismatch", 904)
    assert (second.document, second.reason, second.code) == ("", "archive-broken", 906)
    assert first.held_at <= second.held_at


async def test_looking_is_written_down(house: House) -> None:
    """Whoever reads about a patient leaves a trace under the message's id."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(HUGO))
    (item,) = await house.triage.held_list()
    _, shown = await house.triage.show(item.id, STAFF)
    assert "Somebody else's document?" in shown.explanation
    assert shown.documents[0].ins == (f"{HUGO.ins.value}|{HUGO.ins.oid.value}",)
    assert "held.shown" in await house.trace(item.message_id)
    with pytest.raises(NotFound):
        await house.triage.show(1, STAFF)


@pytest.mark.parametrize(
    ("known", "sent", "headers"),
    [
        (IdentityStatus.QUALIFIED, TWIN, {}),
        (IdentityStatus.PROVISIONAL, ZOE, {}),
        (IdentityStatus.QUALIFIED, ZOE, {"X-MSS-INS": "N"}),
    ],
    ids=["a changed name", "not qualified", "sender not sure"],
)
async def test_a_human_who_checked_files(
    house: House, known: IdentityStatus, sent: Person, headers: dict[str, str]
) -> None:
    """The document is in the record, the message in the inbox, the sender told again by an ordinary mail."""
    zoe = await house.enrol(ZOE, known)
    await house.send_documents(zoe, make_cda(sent), headers=headers)
    (item,) = await house.triage.held_list()
    house.clock.forward(60)
    assert await house.triage.file(item.id, STAFF) == 1
    await house.run_tasks()
    assert len(await house.documents(zoe)) == await house.unread(zoe) == 1
    assert not await house.triage.held_list()
    first, second = await house.sent()
    assert first["Message-ID"] != second["Message-ID"]
    assert first.get_content_type() == "multipart/report"
    assert second.get_content_type() == "multipart/mixed"  # only the first answer may be an MDN
    assert second["Subject"].startswith("[Intégré] ")
    assert "filed in the patient's record" in words_of(second)
    trace = await house.trace(item.message_id)
    assert trace.index("bridge.held") < trace.index("held.filed") < trace.index("bridge.filed")
    assert trace.count("notice.sent") == 2


async def test_nobody_files_another_persons_document(house: House) -> None:
    """An INS that differs is refused to staff too, and says so; nothing changes."""
    zoe = await house.enrol(ZOE)
    number = await house.send_documents(zoe, make_cda(HUGO))
    (item,) = await house.triage.held_list()
    with pytest.raises(NotFileable, match="ins-mismatch"):
        await house.triage.file(item.id, STAFF)
    assert await house.sees_nothing(zoe)
    assert await house.state(zoe, number) == MessageState.HELD
    assert [held.id for held in await house.triage.held_list()] == [item.id]


async def test_a_human_cannot_file_what_nobody_can_read(house: House) -> None:
    """A broken archive can only be refused."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, archive=b"no archive")
    (item,) = await house.triage.held_list()
    with pytest.raises(NotFileable, match="archive-broken"):
        await house.triage.file(item.id, STAFF)


async def test_refusing_tells_the_sender_why(house: House) -> None:
    """The message never becomes visible; the sender reads what staff wrote."""
    zoe = await house.enrol(ZOE)
    number = await house.send_documents(zoe, make_cda(TWIN, title="Bilan"), receipt=False)
    (item,) = await house.triage.held_list()
    house.clock.forward(60)
    await house.triage.reject(item.id, STAFF, "Jumelle : vérifiez le prénom.")
    await house.run_tasks()
    assert await house.sees_nothing(zoe)
    assert await house.state(zoe, number) == MessageState.REFUSED
    _, told = await house.sent()
    assert told["Subject"].startswith("[KO Intégration système !][906] ")
    assert "Bilan : refusé après vérification humaine" in words_of(told)
    assert "Jumelle : vérifiez le prénom." in words_of(told)
    assert "held.refused" in await house.trace(item.message_id)


async def test_a_case_is_decided_once(house: House) -> None:
    """Two people at the desk: the second is told that it was decided."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(TWIN))
    (item,) = await house.triage.held_list()
    await house.triage.file(item.id, STAFF)
    for again in (house.triage.file(item.id, STAFF), house.triage.reject(item.id, STAFF, "")):
        with pytest.raises(NotDecidable):
            await again
    await house.run_tasks()
    assert len(await house.documents(zoe)) == 1
    assert len(await house.sent()) == 2


async def test_a_human_does_not_show_what_waits_for_its_announcement(house: House) -> None:
    """Filed by staff with INVISIBLE_PATIENT: hidden all the same, the message kept back."""
    zoe = await house.enrol(ZOE)
    hidden = make_cda(TWIN, visibility=Visibility.HIDDEN_FROM_PATIENT)
    number = await house.send_documents(zoe, hidden)
    (item,) = await house.triage.held_list()
    await house.triage.file(item.id, STAFF)
    assert await house.sees_nothing(zoe)
    assert await house.state(zoe, number) == MessageState.KEPT_BACK
    assert not await house.triage.held_list()


async def test_a_case_that_the_record_overtook_is_judged_by_the_record_of_today(house: House) -> None:
    """Held for a doubt; meanwhile the same id came with other content: now it is a conflict."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(TWIN))
    (item,) = await house.triage.held_list()
    await house.send_documents(zoe, make_cda(ZOE, title="Autre"))
    with pytest.raises(NotFileable, match="document-conflict"):
        await house.triage.file(item.id, STAFF)
