"""After a withdrawal or a replacement: what is left in the messages that brought the document, and who is told."""

from __future__ import annotations

import pytest

from mss.model.document import DocumentStatus, Visibility
from mss.model.errors import NotFound
from mss.record.access import Role, Viewer
from mss.store.records import HeldState
from tests.kit.documents import ZOE, describe, make_cda, make_package, make_pdf
from tests.kit.house import LABORATORY, House, Patient

OID = "1.2.250.1.999.1"
HELD = HeldState.KEPT_BACK
TWIN = (("lecture.pdf", make_pdf()),)


def second_version(visibility: Visibility = Visibility.NORMAL) -> bytes:
    return make_cda(ZOE, unique_id=f"{OID}.1^2", version=2, replaces=f"{OID}.1^1", visibility=visibility)


async def withdraw(house: House, patient: Patient) -> None:
    """The laboratory takes back its first document."""
    await house.send_documents(patient, archive=make_package(describe(make_cda(ZOE), action="D")))


async def open_document(house: House, patient: Patient, number: int) -> None:
    keys = await house.cellar.keys(patient.owner)
    await house.records.open(keys, number, Viewer(patient.owner, Role.PATIENT, "Zoé"))


async def letters_of_the_house(house: House, patient: Patient) -> list[str]:
    """Subjects in her inbox that the house wrote."""
    lines = await house.conversation_list(patient)
    return [line.subject for line in lines if line.contact_address != str(LABORATORY)]


async def test_the_copies_of_a_withdrawn_document_go_with_it(house: House) -> None:
    """In the message that brought it and in the one that repeated it; both stay, with their words."""
    zoe = await house.enrol(ZOE)
    keys = await house.cellar.keys(zoe.owner)
    first = await house.send_documents(zoe, make_cda(ZOE), pdfs=TWIN)
    again = await house.send_documents(zoe, make_cda(ZOE), pdfs=TWIN)
    lines = await house.conversation_list(zoe)
    details = [await house.inbox.conversation(keys, line.number) for line in lines]
    paths = {d.messages[0].number: (d.view.number, d.messages[0].attachments[0].path) for d in details}
    assert all(d.messages[0].documents and line.has_attachments for d, line in zip(details, lines, strict=True))
    await withdraw(house, zoe)
    for number in (first, again):
        conversation, path = paths[number]
        (message,) = (await house.inbox.conversation(keys, conversation)).messages
        assert (message.body_text or "").startswith("Veuillez trouver ci-joint un document de santé.")
        assert (message.attachments, message.documents, len(message.withdrawn)) == ((), (), 1)
        for part in (path, "2", "3"):
            with pytest.raises(NotFound):
                await house.inbox.attachment(keys, conversation, number, part)
    assert not any(line.has_attachments for line in await house.conversation_list(zoe))
    assert await house.unread(zoe) == 2  # she has opened nothing: nobody writes to her


async def test_withdrawing_a_hidden_document_shows_nothing(house: House) -> None:
    """The mail that takes it back is obeyed, not kept back; announced later, the first one has nothing to open."""
    zoe = await house.enrol(ZOE)
    hidden = make_cda(ZOE, visibility=Visibility.HIDDEN_FROM_PATIENT)
    await house.send_documents(zoe, hidden, pdfs=TWIN)
    await house.send_documents(zoe, archive=make_package(describe(hidden, action="D")))
    assert await house.sees_nothing(zoe)
    (kept,) = await house.triage.held_list(HELD)
    await house.triage.release(kept.id, "staff:1")
    await house.run_tasks()
    keys = await house.cellar.keys(zoe.owner)
    (line,) = await house.conversation_list(zoe)
    (message,) = (await house.inbox.conversation(keys, line.number)).messages
    assert not message.attachments
    assert not await house.documents(zoe)


async def test_who_opened_what_is_withdrawn_reads_it_in_her_inbox(house: House) -> None:
    """Once, by whom and when, without its title; she who opened nothing reads nothing."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE))
    (document,) = await house.documents(zoe)
    await open_document(house, zoe, document.number)
    await open_document(house, zoe, document.number)
    await withdraw(house, zoe)
    assert await letters_of_the_house(house, zoe) == ["Un document que vous aviez ouvert a été retiré"]
    (line,) = [one for one in await house.conversation_list(zoe) if one.contact_address != str(LABORATORY)]
    keys = await house.cellar.keys(zoe.owner)
    (message,) = (await house.inbox.conversation(keys, line.number)).messages
    assert message.body_text is not None
    assert "Laboratoire des Tilleuls" in message.body_text
    assert document.entry.title not in message.body_text
    assert not line.may_answer


async def test_opening_the_copy_in_a_message_is_opening_the_document(house: House) -> None:
    """The readable copy tells the same; it stands in the history, and its reader is told of the new version."""
    zoe = await house.enrol(ZOE)
    number = await house.send_documents(zoe, make_cda(ZOE), pdfs=TWIN)
    keys = await house.cellar.keys(zoe.owner)
    house.clock.forward(1)
    await house.records.opened_in_message(keys, number, Viewer(zoe.owner, Role.PATIENT, "Zoé"))
    assert [line.act for line in await house.history(zoe)] == ["opened", "filed"]
    await house.send_documents(zoe, second_version())
    assert await letters_of_the_house(house, zoe) == ["Un document que vous aviez ouvert a été remplacé"]


async def test_a_new_version_that_is_hidden_is_not_betrayed_by_the_old_one(house: House) -> None:
    """Until it is announced the old one looks current and nobody writes; then both tell."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE))
    (old,) = await house.documents(zoe)
    await open_document(house, zoe, old.number)
    await house.send_documents(zoe, second_version(visibility=Visibility.HIDDEN_FROM_PATIENT))
    assert [(one.status, one.replaced_by) for one in await house.documents(zoe)] == [(DocumentStatus.APPROVED, 0)]
    assert not await letters_of_the_house(house, zoe)
    (kept,) = await house.triage.held_list(HELD)
    await house.triage.release(kept.id, "staff:1")
    await house.run_tasks()
    shown = {one.number: one for one in await house.documents(zoe)}
    assert shown[old.number].status is DocumentStatus.SUPERSEDED
    assert shown[old.number].replaced_by in shown
    assert len(await letters_of_the_house(house, zoe)) == 1


async def test_an_old_version_leads_to_the_newest_that_is_left(house: House) -> None:
    """Two versions later; and nowhere, once what replaced it was withdrawn."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE))
    await house.send_documents(zoe, second_version())
    third = make_cda(ZOE, unique_id=f"{OID}.1^3", version=3, replaces=f"{OID}.1^2")
    await house.send_documents(zoe, third)
    newest, _, oldest = await house.documents(zoe)
    assert oldest.replaced_by == newest.number
    await house.send_documents(zoe, archive=make_package(describe(third, action="D")))
    second, oldest = await house.documents(zoe)
    assert (second.replaced_by, oldest.replaced_by) == (0, second.number)
