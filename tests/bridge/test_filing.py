"""From a laboratory's mail to the record: what is filed, once, and what stays as it was."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest

from mss.bridge.filing import ORIGINAL_PAUSE_MS, ORIGINAL_WAIT_MS
from mss.bridge.triage import NotDecidable
from mss.model.document import Author, Coded, DocumentStatus, Visibility
from mss.model.ids import MailAddress
from mss.record import loose
from mss.record.access import Role
from mss.record.service import EventKind
from mss.sandbox.pool import Sandbox
from mss.store import messages, patients, sealing
from mss.store.messages import MessageState
from mss.store.records import HeldState
from tests.kit.documents import (
    BIOLOGIST,
    HUGO,
    ZOE,
    describe,
    describe_file,
    make_cda,
    make_jpeg,
    make_package,
    make_pdf,
    make_png,
)
from tests.kit.house import HOSPITAL, LABORATORY, House, Patient, words_of

OID = "1.2.250.1.999.1"
STRANGER = Author(person_id="899999999991", person_name="Max AUTRE", institution_id="1888888880", institution_name="X")


async def test_a_document_reaches_the_record_and_the_message_the_inbox(house: House) -> None:
    """The main job: one document in the record, one message in the inbox, who sent it in the history."""
    zoe = await house.enrol(ZOE)
    number = await house.send_documents(zoe, make_cda(ZOE), pdfs=(("lecture.pdf", make_pdf()),))
    (document,) = await house.documents(zoe)
    assert (document.entry.title, document.status) == ("Compte rendu d'examens biologiques", DocumentStatus.APPROVED)
    assert (document.message, document.entry.type.code) == (number, "11502-2")
    assert document.entry.set_id == f"{OID}.2^1"
    (conversation,) = await house.conversation_list(zoe)
    assert conversation.contact_address == str(LABORATORY)
    assert await house.unread(zoe) == 1
    assert [line.actor_name for line in await house.history(zoe)] == ["Laboratoire des Tilleuls"]


async def test_nothing_is_visible_before_the_verdict(house: House) -> None:
    """A message with attachments exists for the patient only once it was judged."""
    zoe = await house.enrol(ZOE)
    await house.deliver(house.health_mail(zoe.address, make_cda(ZOE)), LABORATORY, zoe.address)
    assert await house.sees_nothing(zoe)


async def test_our_own_senders_mail_is_filed(house: House) -> None:
    """What `mss send` composes passes the bridge."""
    zoe = await house.enrol(ZOE)
    await house.deliver(house.composed(zoe, make_cda(ZOE)), LABORATORY, zoe.address)
    await house.run_tasks()
    assert len(await house.documents(zoe)) == 1


async def test_a_duty_done_twice_changes_nothing(house: House) -> None:
    """A worker that died after its commit leaves a duty that another one takes up."""
    zoe = await house.enrol(ZOE)
    await house.deliver(house.health_mail(zoe.address, make_cda(ZOE)), LABORATORY, zoe.address)
    (task,) = await house.due()
    await asyncio.gather(*(house.filing.file_message(task) for _ in range(3)))
    await house.filing.file_message(task)
    await house.run_tasks()
    assert len(await house.documents(zoe)) == 1
    assert len(await house.history(zoe)) == 1
    assert await house.unread(zoe) == await house.in_folders(zoe.owner) == 1
    assert len(await house.sent()) == 1


async def test_the_same_document_sent_again_is_filed_once(house: House) -> None:
    """A laboratory repeats itself: one document, both messages, both answered."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE))
    await house.send_documents(zoe, make_cda(ZOE))
    assert len(await house.documents(zoe)) == 1
    assert await house.unread(zoe) == 2
    first, second = await house.sent()
    assert "filed in the patient's record" in words_of(first)
    assert "already in the record" in words_of(second)


async def test_two_messages_with_one_document_at_the_same_moment(house: House) -> None:
    """The record is asked again inside the transaction."""
    zoe = await house.enrol(ZOE)
    for _ in range(4):
        await house.deliver(house.health_mail(zoe.address, make_cda(ZOE)), LABORATORY, zoe.address)
    await asyncio.gather(*(house.filing.file_message(task) for task in await house.due()))
    assert len(await house.documents(zoe)) == 1
    assert await house.unread(zoe) == 4


async def test_the_reading_copy_beside_the_archive_is_no_second_document(house: House) -> None:
    """PDF and CDA of one report are one line in the record."""
    zoe = await house.enrol(ZOE)
    pdf = make_pdf()
    await house.send_documents(zoe, make_cda(ZOE, embedded_pdf=pdf), pdfs=(("20260105_CR_MARCHAND.pdf", pdf),))
    assert len(await house.documents(zoe)) == 1


async def test_several_documents_of_one_message_are_filed_together(house: House) -> None:
    """A CDA, and a PDF whose traits METADATA tells."""
    zoe = await house.enrol(ZOE)
    first = describe(make_cda(ZOE))
    await house.send_documents(
        zoe, archive=make_package(first, describe_file(make_pdf(), "application/pdf", first.entry))
    )
    assert sorted(view.entry.mime_type for view in await house.documents(zoe)) == ["application/pdf", "text/xml"]


async def test_a_picture_without_traits_holds_its_whole_message(house: House) -> None:
    """What METADATA does not say cannot be compared."""
    zoe = await house.enrol(ZOE)
    first = describe(make_cda(ZOE))
    silent = describe_file(make_pdf(), "application/pdf", replace(first.entry, source_patient_info=()))
    await house.send_documents(zoe, archive=make_package(first, silent))
    assert await house.sees_nothing(zoe)
    assert [held.reason for held in await house.triage.held_list()] == ["traits-incomplete"]


async def test_a_loose_cda_is_matched_like_any_other(house: House) -> None:
    """Without archive its header says everything; another person's is held."""
    zoe = await house.enrol(ZOE)
    for patient in (ZOE, HUGO):
        mail = house.health_mail(
            zoe.address, pdfs=(("cr.xml", make_cda(patient, unique_id=f"{OID}.9^{patient.ins.value}")),)
        )
        await house.deliver(mail, LABORATORY, zoe.address)
    await house.run_tasks()
    assert [view.entry.unique_id for view in await house.documents(zoe)] == [f"{OID}.9^{ZOE.ins.value}"]
    assert [held.reason for held in await house.triage.held_list()] == ["ins-mismatch"]


@pytest.mark.parametrize(
    "mail",
    [
        {"text": "Bonjour, votre rendez-vous est confirmé.\n"},
        {"pdfs": (("ordonnance.pdf", make_pdf()),)},
        {"archive": b"PK\x05\x06" + bytes(18), "archive_name": "photos.zip"},
    ],
    ids=["text only", "loose PDF", "a ZIP of something else"],
)
async def test_ordinary_mail_is_shown_and_nothing_is_filed(house: House, mail: dict[str, Any]) -> None:
    """The bridge leaves what is no document of an archive; nobody is answered."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, **mail)
    assert await house.unread(zoe) == 1
    assert not await house.documents(zoe)
    assert not await house.sent()
    assert not await house.triage.held_list()


async def test_a_house_that_holds_loose_files_shows_them_after_a_look(house: House, sandbox: Sandbox) -> None:
    """A PDF and a picture wait; an archive with its readable copy, a text and a logo do not."""
    zoe = await house.enrol(ZOE)
    house.read_with(sandbox, holds_loose=True)
    for name, content in (("ordonnance.pdf", make_pdf()), ("photo.pdf", make_jpeg())):
        await house.send_documents(zoe, pdfs=((name, content),))
    assert await house.sees_nothing(zoe)
    held = await house.triage.held_list()
    assert [item.reason for item in held] == ["loose-document"] * 2
    await house.triage.file(held[0].id, "staff:1")
    assert await house.unread(zoe) == 1
    await house.send_documents(zoe, make_cda(ZOE), pdfs=(("lecture.pdf", make_pdf()),))
    await house.send_documents(zoe, text="Bonjour.\n")
    await house.deliver(with_logo(), LABORATORY, zoe.address)
    await house.run_tasks()
    assert await house.unread(zoe) == 4
    assert len(await house.documents(zoe)) == 1


async def test_a_house_that_files_loose_files_puts_them_into_the_record_at_once(house: House, sandbox: Sandbox) -> None:
    """Once, said to be of a message; not a broken one, a logo or a reading copy beside an archive."""
    zoe = await house.enrol(ZOE)
    house.read_with(sandbox, files_loose=True)
    files = (("ordonnance.pdf", make_pdf()), ("photo.pdf", make_jpeg()), ("cassé.pdf", b"%PDF-1.4\nnothing"))
    await house.send_documents(zoe, pdfs=files)
    kept = await house.documents(zoe)
    assert {view.entry.title for view in kept} == {"ordonnance.pdf", "photo.pdf"}
    assert all(loose.is_loose(view.entry) for view in kept)
    assert [line.actor_name for line in await house.history(zoe)] == ["Laboratoire des Tilleuls"] * 2
    assert await house.unread(zoe) == 1
    await house.deliver(with_logo(), LABORATORY, zoe.address)
    await house.send_documents(zoe, make_cda(ZOE), pdfs=(("lecture.pdf", make_pdf()),))
    assert len(await house.documents(zoe)) == 3


def with_logo() -> bytes:
    """A letter whose text shows a picture."""
    mail = EmailMessage()
    mail["From"], mail["Subject"], mail["Message-ID"] = f"x <{LABORATORY}>", "Bonjour", "<logo@labo.mssante.example>"
    mail.set_content("<img src='cid:logo'>", subtype="html")
    mail.add_related(make_png(), "image", "png", cid="<logo>", filename="logo.png", disposition="inline")
    return mail.as_bytes(policy=mail.policy.clone(linesep="\r\n"))


# Versions


async def test_a_new_version_takes_the_place_of_the_old_one(house: House) -> None:
    """By the header's RPLC: the old one stays, superseded, and leads to the new one."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE))
    await house.send_documents(zoe, make_cda(ZOE, unique_id=f"{OID}.1^2", version=2, replaces=f"{OID}.1^1"))
    new, old = await house.documents(zoe)
    assert (old.status, old.replaced_by) == (DocumentStatus.SUPERSEDED, new.number)
    assert new.status is DocumentStatus.APPROVED
    assert "replaces the former version" in words_of((await house.sent())[1])


async def test_two_versions_in_one_archive_follow_each_other(house: House) -> None:
    """Whatever their order in the archive."""
    zoe = await house.enrol(ZOE)
    new = make_cda(ZOE, unique_id=f"{OID}.1^2", version=2, replaces=f"{OID}.1^1")
    await house.send_documents(zoe, new, make_cda(ZOE))
    by_id = {view.entry.unique_id: view for view in await house.documents(zoe)}
    assert by_id[f"{OID}.1^1"].replaced_by == by_id[f"{OID}.1^2"].number


async def test_a_version_of_the_same_set_replaces_what_its_header_misnames(house: House) -> None:
    """Real software names an id of its own archive as the parent; the setId tells which document it is."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE))
    await house.send_documents(zoe, make_cda(ZOE, unique_id=f"{OID}.1^2", version=2, replaces="1.2.3.4"))
    new, old = await house.documents(zoe)
    assert old.replaced_by == new.number


async def test_an_original_that_comes_after_its_replacement_is_filed_as_the_old_one(house: House) -> None:
    """Mail may overtake mail; the patient never sees two current versions."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE, unique_id=f"{OID}.1^2", version=2, replaces=f"{OID}.1^1"))
    await house.send_documents(zoe, make_cda(ZOE))
    by_id = {view.entry.unique_id: view for view in await house.documents(zoe)}
    assert by_id[f"{OID}.1^1"].status is DocumentStatus.SUPERSEDED
    assert by_id[f"{OID}.1^2"].status is DocumentStatus.APPROVED


async def test_a_new_version_of_what_was_never_sent_here_is_filed(house: House) -> None:
    """The first version went elsewhere; asked in so many words to replace it (action C), we cannot."""
    zoe = await house.enrol(ZOE)
    late = make_cda(ZOE, unique_id=f"{OID}.1^2", version=2, replaces=f"{OID}.1^1")
    await house.send_documents(zoe, late)
    asked = make_cda(ZOE, unique_id=f"{OID}.1^4", set_id=f"{OID}.2^4", version=2, replaces=f"{OID}.1^3")
    await house.send_documents(zoe, archive=make_package(describe(asked, action="C")))
    assert not await house.triage.held_list()  # mail may overtake mail
    house.clock.forward(ORIGINAL_WAIT_MS // 1000)
    await house.run_tasks()
    assert [view.entry.unique_id for view in await house.documents(zoe)] == [f"{OID}.1^2"]
    assert [(held.reason, held.code) for held in await house.triage.held_list()] == [("version-wrong", 900)]


@pytest.mark.parametrize(
    ("author", "reason", "code"),
    [(STRANGER, "not-the-author", 901), (BIOLOGIST, "version-wrong", 900)],
    ids=["a stranger", "a version that is not current"],
)
async def test_a_replacement_that_may_not_be_is_held(house: House, author: Author, reason: str, code: int) -> None:
    """Only the author replaces, and only what is current."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE))
    if author is BIOLOGIST:
        await house.send_documents(zoe, make_cda(ZOE, unique_id=f"{OID}.1^2", version=2, replaces=f"{OID}.1^1"))
    before = [(view.number, view.status) for view in await house.documents(zoe)]
    third = make_cda(ZOE, unique_id=f"{OID}.1^3", set_id=f"{OID}.2^9", version=3, replaces=f"{OID}.1^1", author=author)
    await house.send_documents(zoe, third)
    assert [(view.number, view.status) for view in await house.documents(zoe)] == before
    assert [(held.reason, held.code) for held in await house.triage.held_list()] == [(reason, code)]


async def test_a_replacement_that_overtook_its_original_waits_for_it(house: House) -> None:
    """Asked to replace what is not here yet: once it is, both are filed, in their order, and both are answered."""
    zoe = await house.enrol(ZOE)
    late = make_cda(ZOE, unique_id=f"{OID}.1^2", version=2, replaces=f"{OID}.1^1")
    await house.send_documents(zoe, archive=make_package(describe(late, action="C")))
    assert await house.sees_nothing(zoe)
    await house.send_documents(zoe, make_cda(ZOE))
    house.clock.forward(ORIGINAL_PAUSE_MS // 1000)
    await house.run_tasks()
    by_id = {view.entry.unique_id: view for view in await house.documents(zoe)}
    assert by_id[f"{OID}.1^1"].replaced_by == by_id[f"{OID}.1^2"].number
    assert await house.unread(zoe) == 2
    assert len(await house.sent()) == 2


async def test_its_author_withdraws_a_document(house: House) -> None:
    """From the mailbox that sent it: out of the record, the mail that asked for it is not shown; told and traced."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE))
    number = await house.send_documents(zoe, archive=make_package(describe(make_cda(ZOE), action="D")))
    assert not await house.documents(zoe)
    assert [view.status for view in await house.documents(zoe, Role.STAFF)] == [DocumentStatus.WITHDRAWN]
    assert await house.unread(zoe) == 1
    assert await house.state(zoe, number) == MessageState.OBEYED
    assert "withdrawn from the patient's record" in words_of((await house.sent())[1])
    await house.send_documents(zoe, make_cda(ZOE))
    assert [held.code for held in await house.triage.held_list()] == [900]  # it does not come back by itself


@pytest.mark.parametrize("action", ["C", "D"])
async def test_another_mailbox_with_the_authors_number(house: House, action: str) -> None:
    """Author numbers are public: whoever writes one from elsewhere waits for a human, who may say yes."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE))
    new = make_cda(ZOE, unique_id=f"{OID}.1^2", version=2, replaces=f"{OID}.1^1") if action == "C" else make_cda(ZOE)
    elsewhere = MailAddress.parse("autre@labo.mssante.example")
    await house.send_documents(zoe, archive=make_package(describe(new, action=action)), sender=elsewhere)
    assert [view.status for view in await house.documents(zoe)] == [DocumentStatus.APPROVED]
    (item,) = await house.triage.held_list()
    assert (item.reason, item.code) == ("not-the-mailbox", 901)
    assert await house.triage.file(item.id, "staff:1") == 1
    changed = {view.status for view in await house.documents(zoe, Role.STAFF)} - {DocumentStatus.APPROVED}
    assert changed == {DocumentStatus.SUPERSEDED if action == "C" else DocumentStatus.WITHDRAWN}


async def test_the_same_id_with_other_content_is_a_conflict(house: House) -> None:
    """One of the two is wrong, and the bridge does not know which."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE))
    await house.send_documents(zoe, make_cda(ZOE, title="Autre compte rendu"))
    assert [view.entry.title for view in await house.documents(zoe)] == ["Compte rendu d'examens biologiques"]
    assert [held.reason for held in await house.triage.held_list()] == ["document-conflict"]


# Flags


async def test_what_waits_for_an_announcement_is_filed_hidden_and_its_message_kept_back(house: House) -> None:
    """No page, no count and no history tells the patient; the sender is told; it is no triage case."""
    zoe = await house.enrol(ZOE)
    hidden = make_cda(ZOE, visibility=Visibility.HIDDEN_FROM_PATIENT)
    number = await house.send_documents(zoe, hidden, receipt=False)
    assert await house.sees_nothing(zoe)
    assert await house.state(zoe, number) == MessageState.KEPT_BACK
    assert [view.visibility for view in await house.documents(zoe, Role.STAFF)] == [{"INVISIBLE_PATIENT"}]
    assert not await house.triage.held_list()
    (told,) = await house.sent()
    assert "kept back until you announce it" in words_of(told)


async def kept_back(house: House, zoe: Patient) -> str:
    """A result that waits for its announcement; returns the Message-ID that the notice tells."""
    await house.send_documents(zoe, make_cda(ZOE, visibility=Visibility.HIDDEN_FROM_PATIENT), receipt=False)
    (told,) = await house.sent()
    found = re.search(r"\[ANNONCE\] (<[^>]+>)", words_of(told))
    assert found, "the notice says how to announce"
    return found.group(1)


@pytest.mark.parametrize("by_header", [False, True], ids=["subject", "header"])
async def test_its_sender_announces_what_was_kept_back(house: House, by_header: bool) -> None:
    """A mail back from the same mailbox: document and message are the patient's, once, and the sender is told."""
    zoe = await house.enrol(ZOE)
    message_id = await kept_back(house, zoe)
    words = {"headers": {"X-MSS-ANNONCE": message_id}} if by_header else {"subject": f"[ANNONCE] {message_id}"}
    for _ in range(2):
        await house.send_documents(zoe, receipt=False, text="Comme convenu.\n", **words)
    (document,) = await house.documents(zoe)
    assert document.visibility == frozenset()
    assert await house.unread(zoe) == 2
    assert EventKind.ANNOUNCED in {line.act for line in await house.history(zoe)}
    assert "visible to the patient from now on" in words_of((await house.sent())[1])
    assert [held.reason for held in await house.triage.held_list()] == ["announcement-unmatched"]  # the second one


@pytest.mark.parametrize("wrong", ["mailbox", "message"])
async def test_an_announcement_that_is_not_the_senders_shows_nothing(house: House, wrong: str) -> None:
    """Another mailbox, or a message that is not kept back here: held, and the patient learns nothing."""
    zoe = await house.enrol(ZOE)
    message_id = await kept_back(house, zoe) if wrong == "mailbox" else "<nothing@labo.mssante.example>"
    elsewhere = MailAddress.parse("autre@labo.mssante.example")
    await house.send_documents(zoe, sender=elsewhere, subject=f"[ANNONCE] {message_id}", receipt=False)
    assert await house.sees_nothing(zoe)
    assert [held.reason for held in await house.triage.held_list()] == ["announcement-unmatched"]


async def test_staff_release_what_was_kept_back(house: House) -> None:
    """By telephone, say: once, and never what waits for another decision."""
    zoe = await house.enrol(ZOE)
    await kept_back(house, zoe)
    (item,) = await house.triage.held_list(HeldState.KEPT_BACK)
    assert await house.triage.release(item.id, "staff:1") == 1
    assert len(await house.documents(zoe)) == await house.unread(zoe) == 1
    with pytest.raises(NotDecidable):
        await house.triage.release(item.id, "staff:1")


async def test_where_the_operator_has_set_a_delay_it_is_shown_then_and_not_before(
    house: House, sandbox: Sandbox
) -> None:
    """Its sender reads the day at once, and again that she sees it; what was announced before is not told twice."""
    house.read_with(sandbox, shown_after_days=7)
    zoe = await house.enrol(ZOE)
    await kept_back(house, zoe)
    assert "le patient le verra à partir du 12/01/2026" in " ".join(words_of((await house.sent())[-1]).split())
    house.clock.forward(6 * 86_400)
    await house.run_tasks()
    assert await house.sees_nothing(zoe)
    house.clock.forward(86_400)
    await house.run_tasks()
    assert len(await house.documents(zoe)) == await house.unread(zoe) == 1
    told = len(await house.sent())
    assert "désormais visible du patient" in words_of((await house.sent())[-1])
    house.clock.forward(30 * 86_400)
    await house.run_tasks()
    assert len(await house.sent()) == told


async def test_one_hidden_document_hides_all_of_its_message(house: House) -> None:
    """A flag binds the whole message: the letter beside the result may tell it."""
    zoe = await house.enrol(ZOE)
    hidden = make_cda(ZOE, visibility=Visibility.HIDDEN_FROM_PATIENT)
    letter = make_cda(ZOE, unique_id=f"{OID}.1^2", set_id=f"{OID}.2^2", title="Lettre")
    await house.send_documents(zoe, letter, hidden)
    assert await house.sees_nothing(zoe)
    assert len(await house.documents(zoe, Role.STAFF)) == 2


async def test_a_flag_of_metadata_alone_binds_too(house: House) -> None:
    """Archive and header: the stricter one counts."""
    zoe = await house.enrol(ZOE)
    open_document = describe(make_cda(ZOE))
    flag = Coded("INVISIBLE_PATIENT", "1.2.250.1.213.1.1.4.13")
    entry = replace(open_document.entry, confidentiality=(*open_document.entry.confidentiality, flag))
    await house.send_documents(zoe, archive=make_package(replace(open_document, entry=entry)))
    assert await house.sees_nothing(zoe)


async def test_the_hidden_document_sent_again_without_its_flag_stays_hidden(house: House) -> None:
    """A second copy whose METADATA forgets the flag must not show what the first one hid."""
    zoe = await house.enrol(ZOE)
    content = make_cda(ZOE)
    plain = describe(content)
    flag = Coded("INVISIBLE_PATIENT", "1.2.250.1.213.1.1.4.13")
    hidden = replace(plain, entry=replace(plain.entry, confidentiality=(flag,)))
    await house.send_documents(zoe, archive=make_package(hidden))
    number = await house.send_documents(zoe, archive=make_package(plain))
    assert await house.sees_nothing(zoe)
    assert await house.state(zoe, number) == MessageState.KEPT_BACK


@pytest.mark.parametrize("flag", [Visibility.MASKED_FROM_PRACTITIONERS, Visibility.HIDDEN_FROM_REPRESENTATIVES])
async def test_other_flags_are_filed_with_the_document(house: House, flag: Visibility) -> None:
    """The patient sees it; the flag goes with it."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE, visibility=flag))
    assert [view.visibility for view in await house.documents(zoe)] == [{flag.value}]
    assert await house.unread(zoe) == 1


# Keys and crashes


async def test_a_professionals_keys_are_resealed_when_their_hour_is_over(house: House) -> None:
    """Once for each key, however many mails it sealed; what it sealed is read as before, many times cheaper."""
    doctor = await house.professional(f"samir.benali@{HOSPITAL}")
    address = MailAddress.parse(f"samir.benali@{HOSPITAL}")
    for number in range(3):
        await house.deliver(house.health_mail(address, text=f"Bonjour {number}.\n"), LABORATORY, address)

    async def sealed() -> int:
        return len(await house.store.read(lambda c: messages.keys_to_reseal(c, doctor, sealing.SCHEME_SEALED, 10)))

    await house.run_tasks()
    assert await sealed() == 1
    house.clock.forward(3700)
    assert await house.run_tasks("reseal") == 1
    assert await sealed() == 0


async def test_intake_keys_are_resealed_on_the_way(house: House) -> None:
    """After filing, lists open with the shelf key: nothing is left sealed to the public key."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE))

    async def left() -> int:
        found = await house.store.read(lambda c: messages.keys_to_reseal(c, zoe.owner, sealing.SCHEME_SEALED, 10))
        return len(found)

    assert await left() == 0


class Crash(Exception):
    """The process died here."""


@pytest.mark.parametrize("is_after", [False, True], ids=["before the commit", "after the commit"])
async def test_a_crash_at_any_write_changes_nothing_in_the_end(
    house: House, is_after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever write is the last of a worker's life: the next worker ends with one document and one answer."""
    zoe = await house.enrol(ZOE)
    write, crashes = house.store.write, 0
    for number in range(1, 30):
        content = make_cda(ZOE, unique_id=f"{OID}.1^{number}", set_id=f"{OID}.2^{number}")
        await house.deliver(house.health_mail(zoe.address, content), LABORATORY, zoe.address)
        house.cellar.opener._cache.clear()
        countdown = number

        async def failing(*args: Any, **more: Any) -> Any:
            nonlocal countdown
            countdown -= 1
            if countdown == 0 and not is_after:
                raise Crash
            answer = await write(*args, **more)
            if countdown == 0:
                raise Crash
            return answer

        monkeypatch.setattr(house.store, "write", failing)
        try:
            await house.run_tasks()
            crashed = False
        except Crash:
            crashed = True
        monkeypatch.setattr(house.store, "write", write)
        await house.run_tasks()
        assert len(await house.documents(zoe)) == len(await house.history(zoe)) == number
        assert await house.unread(zoe) == await house.in_folders(zoe.owner) == number
        answers = await house.sent()
        assert len({answer["Message-ID"] for answer in answers}) == len(answers) == number
        traces = [await house.trace(answer["In-Reply-To"]) for answer in answers]
        assert all(trace.count("notice.sent") == trace.count("bridge.filed") == 1 for trace in traces)
        if not crashed:
            break
        crashes += 1
    assert crashes > 5


async def test_a_hold_judged_again_stays_one_hold(house: House) -> None:
    """Held once, told once."""
    zoe = await house.enrol(ZOE)
    await house.deliver(house.health_mail(zoe.address, make_cda(HUGO)), LABORATORY, zoe.address)
    (task,) = await house.due()
    for _ in range(3):
        await house.filing.file_message(task)
    await house.run_tasks()
    assert len(await house.triage.held_list()) == len(await house.sent()) == 1
    rows = await house.store.read(lambda c: patients.conversations(c, zoe.owner, before_ms=1 << 60, limit=5))
    assert rows == []
