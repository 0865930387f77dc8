"""What lies in the wrong record: out of it whole, kept, told, into the right one, and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

import pytest

from mss.bridge.corrections import NotCorrectable
from mss.bridge.mergedesk import MergeDesk
from mss.bridge.routing import Route, Take
from mss.bridge.triage import NeedsSecond
from mss.formats import mime
from mss.model.clock import ManualClock, SeededChance
from mss.model.document import DocumentStatus, Visibility
from mss.model.ids import MailAddress, OwnerId
from mss.model.mailbox import MailboxKind
from mss.record.access import Role, Viewer
from mss.record.service import EventKind
from mss.sandbox.pool import Sandbox
from mss.store import audit, handovers, merges, owners
from mss.store.corrections import Correction, CorrectionState
from mss.store.messages import MessageState, StoredMessage
from tests.kit.documents import HUGO, OUR_OID, ZOE, an_ins, make_cda, make_pdf
from tests.kit.house import APPLICATION, HOSPITAL, LABORATORY, POSTMASTER, House, Patient, open_house, words_of

LEA = replace(ZOE, traits=replace(ZOE.traits, given_names=("Léa",)), ins=an_ins("2900299999003"))
"""Zoé's twin, with a number of her own."""
WRONG = replace(LEA, ins=ZOE.ins)
"""Léa as the laboratory typed her: her traits, her sister's number."""
NEW_NUMBER = replace(ZOE, ins=an_ins("2900299999005"))
SECRET = "Sérologie-Zéphyr"
STAFF, OTHER = "staff:1", "staff:2"
DOCTOR = MailAddress.parse(f"dr.house@{HOSPITAL}")
BORN = date(2019, 2, 3)
UNKNOWN = replace(HUGO, ins=an_ins("1581199999009"))
"""Hugo's traits under a number that nobody has."""
TWINS = "dossier de sa jumelle"


@pytest.fixture
async def one(tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox) -> AsyncIterator[House]:
    """A house on one engine, where nothing depends on which."""
    async with open_house(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance, sandbox) as opened:
        yield opened


async def filed_wrongly(house: House, zoe: Patient) -> tuple[int, int]:
    """Staff say yes to a first name that differs: the twin's result lies in Zoé's record. (document, message)."""
    copy = (("20260105_CR.pdf", make_pdf()),)
    number = await house.send_documents(zoe, make_cda(WRONG, title=SECRET), pdfs=copy)
    (item,) = await house.triage.held_list()
    assert await house.triage.file(item.id, STAFF) == 1
    await house.run_tasks()
    (view,) = await house.documents(zoe)
    house.clock.forward(60)
    return view.number, number


async def moved_to_lea(house: House) -> tuple[Patient, Patient, int]:
    """Wrongly filed, taken out, re-filed by two. The correction that took it out."""
    zoe, lea = await house.enrol(ZOE), await house.enrol(LEA)
    document, _ = await filed_wrongly(house, zoe)
    out = await house.corrections.unfile(document, STAFF, TWINS)
    asked = await house.corrections.refile(out, lea.owner, STAFF)
    await house.run_tasks()
    assert asked.state == CorrectionState.PROPOSED
    assert await house.sees_nothing(lea)
    with pytest.raises(NotCorrectable, match="same-person"):
        await house.corrections.confirm(asked.id, STAFF)
    house.clock.forward(60)
    await house.corrections.confirm(asked.id, OTHER)
    await house.run_tasks()
    return zoe, lea, out


def plain(mail: EmailMessage) -> str:
    """Its words, whatever lines they were cut into."""
    return " ".join(words_of(mail).split())


async def opened_by(house: House, patient: Patient, document: int, account: int, role: Role = Role.PATIENT) -> None:
    keys = await house.cellar.keys(patient.owner)
    await house.records.open(keys, document, Viewer(account, role, "Quelqu'un"))


async def mailbox_of(house: House, owner: OwnerId) -> list[StoredMessage]:
    return await house.store.read(lambda c: merges.every_message(c, owner))


async def raw_of(house: House, owner: OwnerId, stored: StoredMessage) -> bytes:
    return await house.cellar.opener.message_body(await house.cellar.keys(owner), stored)


async def shows_only_the_line(house: House, patient: Patient) -> bool:
    """No document, conversation or count; of the history one line that names nothing."""
    lines = await house.history(patient)
    told = [(line.act, line.document_title, line.actor_name, line.number) for line in lines]
    return (
        told == [(EventKind.UNFILED, "", "", 0)]
        and not await house.documents(patient)
        and not await house.conversation_list(patient)
        and not await house.unread(patient)
        and not await house.in_folders(patient.owner)
    )


async def test_it_is_out_of_everything_at_once_and_its_sender_knows(house: House) -> None:
    """Document, message, counts, folders, history: nothing but one line. Kept sealed; told under a fixed Message-ID."""
    zoe = await house.enrol(ZOE)
    document, number = await filed_wrongly(house, zoe)
    before = len(await house.sent())
    await house.corrections.unfile(document, STAFF, TWINS)
    assert await shows_only_the_line(house, zoe)
    await house.run_tasks()
    assert await shows_only_the_line(house, zoe)
    assert await house.state(zoe, number) == MessageState.UNFILED
    keys = await house.cellar.keys(zoe.owner)
    view, row = await house.records.evidence(keys, document)
    assert (view.status, view.entry.title) == (DocumentStatus.UNFILED, SECRET)
    assert SECRET.encode() in await house.records.content(keys, row)
    told = (await house.sent())[before:]
    assert ["filed by mistake" in plain(mail) for mail in told] == [True]
    with pytest.raises(NotCorrectable, match="already-out"):
        await house.corrections.unfile(document, STAFF, TWINS)


async def test_two_people_put_it_into_the_right_record(house: House) -> None:
    """Her number is not in it, only her traits: one person may not. Then it is hers, unread, and its sender knows."""
    zoe, lea, out = await moved_to_lea(house)
    assert [view.entry.title for view in await house.documents(lea)] == [SECRET]
    assert (await house.unread(lea), await house.in_folders(lea.owner)) == (1, 1)
    assert await shows_only_the_line(house, zoe)
    assert (await house.corrections.book.one(out)).row.state == CorrectionState.ELSEWHERE
    assert "right patient" in plain((await house.sent())[-1])
    (copy,), (original, *_) = await mailbox_of(house, lea.owner), await mailbox_of(house, zoe.owner)
    head, _, rest = (await raw_of(house, lea.owner, copy)).partition(b"\r\n\r\n")
    assert zoe.ins.value.encode() not in head
    assert rest == (await raw_of(house, zoe.owner, original)).partition(b"\r\n\r\n")[2]


async def test_undone_each_item_is_where_it_was(house: House) -> None:
    """Out of the right record first; then document, message, folder and counts are Zoé's as before."""
    zoe, lea, out = await moved_to_lea(house)
    await house.corrections.undo(out, STAFF, "c'était bien Zoé")
    await house.run_tasks()
    assert [view.entry.title for view in await house.documents(zoe)] == [SECRET]
    assert (await house.unread(zoe), await house.in_folders(zoe.owner)) == (1, 1)
    assert await shows_only_the_line(house, lea)
    assert (await house.corrections.book.one(out)).row.state == CorrectionState.RETURNED
    assert (await house.store.read(audit.verify))[1] == []


async def test_who_opened_it_is_told_patient_and_professional(one: House) -> None:
    """She reads that something was not hers, without its title; he reads in his mailbox which it was, of no name."""
    zoe, doctor = await one.enrol(ZOE), await one.professional(str(DOCTOR))
    document, _ = await filed_wrongly(one, zoe)
    await opened_by(one, zoe, document, zoe.owner)
    await opened_by(one, zoe, document, doctor, Role.STAFF)
    await one.corrections.unfile(document, STAFF, TWINS)
    await one.run_tasks()
    (line,) = await one.conversation_list(zoe)
    assert "classé par erreur" in line.subject
    detail = await one.inbox.conversation(await one.cellar.keys(zoe.owner), line.number)
    assert SECRET not in str(detail)
    assert "not about you" in " ".join((detail.messages[0].body_text or "").split())
    (letter,) = await mailbox_of(one, doctor)
    text = await raw_of(one, doctor, letter)
    assert mime.scan(text).header("Auto-Submitted") == "auto-generated"
    assert zoe.ins.value.encode() not in text
    assert b"MARCHAND" not in text


async def test_her_answer_goes_too_and_its_reader_is_told(one: House) -> None:
    """It repeats subject and words; an older conversation with the same laboratory stays."""
    zoe = await one.enrol(ZOE)
    await one.deliver(one.health_mail(zoe.address, subject="Horaires"), LABORATORY, zoe.address)
    await one.run_tasks()
    document, _ = await filed_wrongly(one, zoe)
    newest = max(await one.conversation_list(zoe), key=lambda line: line.last_at)
    keys = await one.cellar.keys(zoe.owner)
    await one.replies.reply(keys, ("Zoé", zoe.address), newest.number, "Est-ce grave ?", [])
    await one.run_tasks()
    await one.corrections.unfile(document, STAFF, TWINS)
    await one.run_tasks()
    assert [line.subject for line in await one.conversation_list(zoe)] == ["Horaires"]
    assert await one.in_folders(zoe.owner) == await one.unread(zoe) == 1
    assert sum("patient had sent you a document" in plain(mail) for mail in await one.sent()) == 1


async def test_an_older_version_of_hers_is_current_again(one: House) -> None:
    """What the foreign document had replaced; and superseded again when it comes back."""
    zoe = await one.enrol(ZOE)
    await one.send_documents(zoe, make_cda(ZOE, title="La sienne"))
    newer = make_cda(WRONG, unique_id=f"{OUR_OID}.1^2", version=2, replaces=f"{OUR_OID}.1^1", title=SECRET)
    await one.send_documents(zoe, newer)
    (item,) = await one.triage.held_list()
    await one.triage.file(item.id, STAFF)
    foreign = next(view for view in await one.documents(zoe) if view.entry.title == SECRET)
    out = await one.corrections.unfile(foreign.number, STAFF, TWINS)
    (left,) = await one.documents(zoe)
    assert (left.entry.title, left.status, left.replaced_by) == ("La sienne", DocumentStatus.APPROVED, 0)
    await one.corrections.undo(out, STAFF)
    await one.run_tasks()
    states = {view.entry.title: view.status for view in await one.documents(zoe)}
    assert states == {"La sienne": DocumentStatus.SUPERSEDED, SECRET: DocumentStatus.APPROVED}


async def test_what_she_could_not_see_leaves_no_line(one: House) -> None:
    """INVISIBLE_PATIENT: a line would tell that there was something."""
    zoe = await one.enrol(ZOE)
    await one.send_documents(zoe, make_cda(WRONG, visibility=Visibility.HIDDEN_FROM_PATIENT))
    (item,) = await one.triage.held_list()
    await one.triage.file(item.id, STAFF)
    (hidden,) = await one.documents(zoe, Role.STAFF)
    await one.corrections.unfile(hidden.number, STAFF, TWINS)
    await one.run_tasks()
    assert await one.sees_nothing(zoe)


async def test_sent_again_it_waits_for_a_human(one: House) -> None:
    """The same document by the same laboratory, to the same address: still somebody else's."""
    zoe = await one.enrol(ZOE)
    document, _ = await filed_wrongly(one, zoe)
    await one.corrections.unfile(document, STAFF, TWINS)
    await one.run_tasks()
    await one.send_documents(zoe, make_cda(WRONG, title=SECRET))
    (item,) = await one.triage.held_list()
    with pytest.raises(Exception, match="taken-out"):
        await one.triage.file(item.id, STAFF)
    assert await shows_only_the_line(one, zoe)


async def test_nobody_puts_it_where_neither_number_nor_traits_fit(one: House) -> None:
    """Not by two people either: its sender corrects it."""
    zoe, hugo = await one.enrol(ZOE), await one.enrol(HUGO)
    document, _ = await filed_wrongly(one, zoe)
    out = await one.corrections.unfile(document, STAFF, TWINS)
    with pytest.raises(NotCorrectable, match="names-another"):
        await one.corrections.refile(out, hugo.owner, STAFF)
    with pytest.raises(NotCorrectable, match="same-record"):
        await one.corrections.refile(out, zoe.owner, STAFF)
    assert await one.sees_nothing(hugo)


async def test_a_held_message_goes_to_the_patient_whom_it_names(one: House) -> None:
    """The wrong address on the right document: one press. Undone, it waits again."""
    zoe, hugo = await one.enrol(ZOE), await one.enrol(HUGO)
    await one.send_documents(zoe, make_cda(HUGO, title=SECRET))
    (item,) = await one.triage.held_list()
    done = await one.corrections.redirect(item.id, hugo.owner, STAFF)
    await one.run_tasks()
    assert [view.entry.title for view in await one.documents(hugo)] == [SECRET]
    assert await one.sees_nothing(zoe)
    assert not await one.triage.held_list()
    await one.corrections.undo(done.id, STAFF)
    await one.run_tasks()
    assert await shows_only_the_line(one, hugo)
    assert await one.sees_nothing(zoe)
    assert [held.reason for held in await one.triage.held_list()] == ["ins-mismatch"]


async def test_what_an_application_mailbox_fed_is_corrected_too(one: House) -> None:
    """No inbox holds it; its mail stays where the structure's software reads it."""
    await one.professional(str(APPLICATION), MailboxKind.APPLICATION)
    zoe, lea = await one.enrol(ZOE), await one.enrol(LEA)
    await one.deliver(one.health_mail(APPLICATION, make_cda(WRONG, title=SECRET)), LABORATORY, APPLICATION)
    await one.run_tasks()
    (item,) = await one.triage.held_list()
    await one.triage.file(item.id, STAFF)
    (view,) = await one.documents(zoe)
    out = await one.corrections.unfile(view.number, STAFF, TWINS)
    await one.run_tasks()
    assert await shows_only_the_line(one, zoe)
    assert sum("filed by mistake" in plain(mail) for mail in await one.sent()) == 1
    asked = await one.corrections.refile(out, lea.owner, STAFF)
    await one.corrections.confirm(asked.id, OTHER)
    await one.run_tasks()
    assert [found.entry.title for found in await one.documents(lea)] == [SECRET]
    assert sum("right patient" in plain(mail) for mail in await one.sent()) == 1


async def test_what_the_right_record_cannot_take_waits_again(one: House) -> None:
    """Another document of that id came to her in between: nothing moves, staff find the held message as before."""
    zoe, hugo = await one.enrol(ZOE), await one.enrol(HUGO)
    await one.send_documents(zoe, make_cda(HUGO, title=SECRET))
    (item,) = await one.triage.held_list()
    done = await one.corrections.redirect(item.id, hugo.owner, STAFF)
    await one.deliver(one.health_mail(hugo.address, make_cda(HUGO, title="Autre")), LABORATORY, hugo.address)
    await one.run_tasks("file")
    await one.run_tasks()
    failed = await one.corrections.book.one(done.id)
    assert (failed.row.state, failed.items.why_not) == (CorrectionState.FAILED, "document-conflict")
    assert [view.entry.title for view in await one.documents(hugo)] == ["Autre"]
    assert await one.in_folders(hugo.owner) == 1
    assert [held.reason for held in await one.triage.held_list()] == ["ins-mismatch"]


async def test_the_hospitals_software_takes_it_back_and_is_given_the_right_one(
    tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox
) -> None:
    """Filed, withdrawn under the wrong patient, filed under the right one: rows of each record, in order."""
    async with open_house(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance, sandbox) as house:
        house.routes = (Route("dpi", (Take(),)),)
        house.read_with(sandbox)
        zoe, lea, _ = await moved_to_lea(house)
        rows = await house.store.read(handovers.open_rows)
        told = [(row.owner, row.act) for row in sorted(rows, key=lambda row: (row.created_ms, row.seq))]
        assert told == [(zoe.owner, "file"), (zoe.owner, "withdraw"), (lea.owner, "relink")]


async def test_staff_are_reminded_of_what_is_in_no_record(one: House) -> None:
    """After a day and after three: a patient misses it."""
    await one.professional("postmaster.humain@chu.mssante.example")
    zoe = await one.enrol(ZOE)
    document, _ = await filed_wrongly(one, zoe)
    await one.corrections.unfile(document, STAFF, TWINS)
    await one.run_tasks()
    for hours, letters in ((25, 1), (24, 1), (25, 2)):
        one.clock.forward(hours * 3600)
        await one.run_tasks("correction-expires")
        owner = await one.owner_of(POSTMASTER)
        assert owner is not None
        assert len(await mailbox_of(one, owner)) == letters, hours


# Four eyes


async def test_filing_by_hand_takes_two_where_the_house_wants_it(house: House) -> None:
    """Proposed by one, done by another; the same one is refused; the second press proposes nothing new."""
    house.corrections.four_eyes = True
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(WRONG))
    (item,) = await house.triage.held_list()
    with pytest.raises(NeedsSecond) as asked:
        await house.triage.file(item.id, STAFF)
    assert await house.sees_nothing(zoe)
    number, file = asked.value.proposal, house.triage.file_confirmed
    with pytest.raises(NotCorrectable, match="same-person"):
        await house.corrections.confirm(number, STAFF, file)
    with pytest.raises(NotCorrectable, match="proposed-already"):
        await house.triage.file(item.id, OTHER)
    await house.corrections.confirm(number, OTHER, file)
    assert len(await house.documents(zoe)) == 1
    with pytest.raises(NotCorrectable, match="decided"):
        await house.corrections.confirm(number, OTHER, file)


async def test_a_proposal_that_nobody_confirms_expires_and_staff_are_told(one: House) -> None:
    """It stays in the list as expired, cannot be confirmed, and may be made again."""
    one.corrections.four_eyes = True
    zoe = await one.enrol(ZOE)
    await one.send_documents(zoe, make_cda(WRONG))
    (item,) = await one.triage.held_list()
    with pytest.raises(NeedsSecond) as asked:
        await one.triage.file(item.id, STAFF)
    number = asked.value.proposal
    one.clock.forward(timedelta(hours=72).total_seconds() + 1)
    with pytest.raises(NotCorrectable, match="expired"):
        await one.corrections.confirm(number, OTHER, one.triage.file_confirmed)
    await one.run_tasks("correction-expires")
    listed = await one.corrections.book.listed()
    assert [(each.row.id, each.row.state) for each in listed] == [(number, CorrectionState.EXPIRED)]
    with pytest.raises(NeedsSecond):
        await one.triage.file(item.id, STAFF)


async def test_a_declined_proposal_changes_nothing(one: House) -> None:
    """Also by whoever made it."""
    zoe, lea = await one.enrol(ZOE), await one.enrol(LEA)
    document, _ = await filed_wrongly(one, zoe)
    out = await one.corrections.unfile(document, STAFF, TWINS)
    asked = await one.corrections.refile(out, lea.owner, STAFF)
    await one.corrections.decline(asked.id, STAFF)
    await one.run_tasks()
    assert await one.sees_nothing(lea)
    assert (await one.corrections.book.one(out)).row.state == CorrectionState.OUT


# Two records of one person


async def test_two_records_become_one_and_two_again(house: House) -> None:
    """Documents, messages, history; mail to the former number; back to two, each with its own."""
    old, new = await house.enrol(ZOE), await house.enrol(NEW_NUMBER)
    await house.send_documents(old, make_cda(ZOE, title="Ancien"))
    await house.send_documents(new, make_cda(NEW_NUMBER, title="Nouveau", unique_id=f"{OUR_OID}.1^9"))
    (first,) = await house.documents(old)
    await opened_by(house, old, first.number, old.owner)
    desk = MergeDesk(house.store, house.cellar.opener, house.corrections)
    done = await desk.merge(old.owner, new.owner, STAFF, "même personne")
    await house.run_tasks()
    assert {view.entry.title for view in await house.documents(new)} == {"Ancien", "Nouveau"}
    assert (await house.unread(new), await house.in_folders(new.owner)) == (2, 2)
    assert len(await house.conversation_list(new)) == 2
    assert EventKind.OPENED in {line.act for line in await house.history(new)}
    late = await house.send_documents(old, make_cda(ZOE, title="Tardif", unique_id=f"{OUR_OID}.1^10"))
    assert await house.state(new, late) == MessageState.HELD
    assert [held.reason for held in await house.triage.held_list()] == ["ins-former"]
    await house.corrections.undo(done.id, STAFF)
    await house.run_tasks()
    assert {view.entry.title for view in await house.documents(new)} == {"Nouveau"}
    assert {view.entry.title for view in await house.documents(old)} == {"Ancien"}
    assert await house.in_folders(old.owner) == 1
    await house.send_documents(old, make_cda(ZOE, title="Encore", unique_id=f"{OUR_OID}.1^11"))
    assert {view.entry.title for view in await house.documents(old)} == {"Ancien", "Encore"}


async def test_two_people_are_not_made_one(one: House) -> None:
    """Birth date or sex differ."""
    zoe, hugo = await one.enrol(ZOE), await one.enrol(HUGO)
    desk = MergeDesk(one.store, one.cellar.opener, one.corrections)
    with pytest.raises(NotCorrectable, match="not-one-person"):
        await desk.merge(zoe.owner, hugo.owner, STAFF, "même personne")


async def test_the_report_tells_who_saw_and_who_was_told_and_names_nobody(one: House) -> None:
    """Ids and reasons: no name, title, address or INS."""
    zoe, lea, out = await moved_to_lea(one)
    found = await one.corrections.book.incident(out, STAFF)
    text = str(found.fields())
    for name in (SECRET, "MARCHAND", "Léa", zoe.ins.value, lea.ins.value, "@"):
        assert name not in text
    acts = [step.act for step in found.timeline]
    assert acts.index("held.filed") < acts.index("record.unfiled") < acts.index("record.refiled")
    assert {step.result for step in found.told} >= {"unfiled", "refiled"}
    assert [related["kind"] for related in found.related] == ["refile"]


async def test_a_parent_does_not_inherit_a_right_by_a_merge(one: House) -> None:
    """Proposed to the staff, given by one of them, taken back with the merge; never for somebody who is of age."""
    child, same = (replace(person, traits=replace(person.traits, birth_date=BORN)) for person in (ZOE, NEW_NUMBER))
    old, new, parent = await one.enrol(child), await one.enrol(same), await one.enrol(HUGO)
    await one.cellar.accounts.add_member(old.owner, parent.owner, "representative")
    desk = MergeDesk(one.store, one.cellar.opener, one.corrections)

    async def represented() -> list[OwnerId]:
        return [account for account, _ in await one.store.read(lambda c: owners.members(c, new.owner))]

    async def asked() -> list[Correction]:
        listed = await one.corrections.book.listed()
        return [each.row for each in listed if (each.row.kind, each.row.state) == ("represent", "proposed")]

    async def told() -> list[str]:
        """The letters in the parent's mailbox, oldest first: their words up to the first full stop."""
        raws = [await raw_of(one, parent.owner, each) for each in await mailbox_of(one, parent.owner)]
        return [plain(BytesParser(policy=default).parsebytes(raw)).partition(".")[0] for raw in raws]

    done = await desk.merge(old.owner, new.owner, STAFF, "même personne")
    await one.run_tasks()
    (proposal,) = await asked()
    assert not await represented()
    assert ["n'en font plus qu'un" in words for words in await told()] == [True]
    one.clock.forward(60)
    await one.corrections.confirm(proposal.id, STAFF)
    await one.run_tasks()
    assert await represented() == [parent.owner]
    assert "est confirmé" in (await told())[1]
    one.clock.forward(60)
    await one.corrections.undo(done.id, STAFF)
    await one.run_tasks()
    assert not await represented()
    assert "de nouveau deux" in (await told())[2]
    (answerable,) = {view.may_answer for view in await one.conversation_list(parent)}
    assert answerable
    again = await desk.merge(old.owner, new.owner, STAFF, "même personne")
    await one.run_tasks()
    (proposal,) = await asked()
    one.clock.forward(timedelta(hours=73).total_seconds())
    await one.run_tasks()
    assert "n'a pas été confirmé" in (await told())[4]
    assert not await asked()
    assert not await represented()
    assert again.id != done.id


async def test_nobody_becomes_the_representative_of_an_adult(one: House) -> None:
    """A right that was given for a child ends with childhood; the staff read why."""
    old, new, parent = await one.enrol(ZOE), await one.enrol(NEW_NUMBER), await one.enrol(HUGO)
    await one.cellar.accounts.add_member(old.owner, parent.owner, "representative")
    await MergeDesk(one.store, one.cellar.opener, one.corrections).merge(old.owner, new.owner, STAFF, "même personne")
    await one.run_tasks()
    (proposal,) = [each.row for each in await one.corrections.book.listed() if each.row.kind == "represent"]
    with pytest.raises(NotCorrectable, match="not-a-minor"):
        await one.corrections.confirm(proposal.id, STAFF)
    assert not await one.store.read(lambda c: owners.members(c, new.owner))


async def test_a_redirected_mail_of_an_application_mailbox_waits_again_when_that_is_undone(one: House) -> None:
    """Out of the record that it was given to, held where it came; given again it is filed again."""
    await one.professional(str(APPLICATION), MailboxKind.APPLICATION)
    hugo = await one.enrol(HUGO)
    await one.deliver(one.health_mail(APPLICATION, make_cda(UNKNOWN, title=SECRET)), LABORATORY, APPLICATION)
    await one.run_tasks()
    (item,) = await one.triage.held_list()
    asked = await one.corrections.redirect(item.id, hugo.owner, STAFF)
    done = await one.corrections.confirm(asked.id, OTHER)
    await one.run_tasks()
    assert [view.entry.title for view in await one.documents(hugo)] == [SECRET]
    assert not await one.triage.held_list()
    await one.corrections.undo(done.id, STAFF)
    await one.run_tasks()
    assert not [view for view in await one.documents(hugo) if view.status == DocumentStatus.APPROVED]
    (held,) = await one.triage.held_list()
    assert held.reason == item.reason
    assert sum("NON intégré" in words_of(mail) or "NOT filed" in words_of(mail) for mail in await one.sent()) >= 1
