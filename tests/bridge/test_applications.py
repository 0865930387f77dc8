"""Mail to an application mailbox: into the record that it names, and into nobody's inbox."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from mss.bridge.triage import NotFileable
from mss.model.clock import ManualClock, SeededChance
from mss.model.document import DocumentStatus, Visibility
from mss.model.ids import MailAddress, OwnerId
from mss.model.mailbox import AccountState, MailboxKind
from mss.model.people import IdentityStatus
from mss.sandbox.pool import Sandbox
from mss.store.records import HeldState
from tests.kit.documents import HUGO, ZOE, Person, an_ins, describe, make_cda, make_package, make_pdf
from tests.kit.house import APPLICATION, COPY, HOSPITAL, LABORATORY, House, open_house, words_of

OID = "1.2.250.1.999.1"
SECRETARY = MailAddress.parse(f"secretariat@{HOSPITAL}")
ELSEWHERE = MailAddress.parse("medecin@ville.mssante.example")


async def furnish(house: House) -> House:
    await house.professional(str(APPLICATION), MailboxKind.APPLICATION)
    await house.professional(str(SECRETARY), MailboxKind.ORGANISATIONAL)
    return house


@pytest.fixture
async def fed(tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox) -> AsyncIterator[House]:
    """A house with an application mailbox that feeds records, and a team beside it."""
    async with open_house(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance, sandbox) as house:
        yield await furnish(house)


@pytest.fixture
async def any_fed(house: House) -> House:
    """The same on each engine: record and mailbox lie in different lanes."""
    return await furnish(house)


async def send(house: House, raw: bytes, sender: MailAddress | None = LABORATORY) -> None:
    await house.deliver(raw, sender, APPLICATION)
    await house.run_tasks()


def letter(house: House, *contents: bytes, **more: object) -> bytes:
    return house.health_mail(APPLICATION, *contents, **more)  # type: ignore[arg-type]


async def answers(house: House, *, to: MailAddress = LABORATORY) -> list[EmailMessage]:
    """Mail that leaves to somebody of another operator."""
    return [mail for mail in await house.sent() if str(to) in mail["X-Envelope-To"]]


async def test_a_document_reaches_the_record_that_it_names_and_no_inbox(any_fed: House) -> None:
    """She finds it in her record; the software reads its mail as before; the sender is told."""
    fed = any_fed
    zoe = await fed.enrol(ZOE)
    hugo = await fed.enrol(HUGO)
    await send(fed, letter(fed, make_cda(ZOE)))
    (document,) = await fed.documents(zoe)
    assert (document.entry.unique_id, document.message) == (f"{OID}.1^1", 0)
    assert not await fed.conversation_list(zoe)
    assert not await fed.documents(hugo)
    owner = await fed.owner_of(APPLICATION)
    assert owner is not None
    assert await fed.in_folders(owner) == 1
    (told,) = await answers(fed)
    assert "filed in the patient's record" in words_of(told)
    assert [line.actor_name for line in await fed.history(zoe)] == ["Laboratoire des Tilleuls"]


async def test_a_duty_done_twice_files_once_and_answers_once(any_fed: House) -> None:
    """A worker that died between the record and the answer leaves a duty that another one takes up."""
    fed = any_fed
    zoe = await fed.enrol(ZOE)
    await fed.deliver(letter(fed, make_cda(ZOE)), LABORATORY, APPLICATION)
    (task,) = await fed.due()
    case = await fed.applications._cases.of_application(OwnerId(task.owner), case_number(task.payload), "test")
    assert case is not None
    await fed.applications.file(case, "test")  # and then it died
    await fed.applications.feed(task)
    await fed.applications.feed(task)
    await fed.run_tasks()
    assert len(await fed.documents(zoe)) == len(await fed.history(zoe)) == len(await answers(fed)) == 1


def case_number(payload: bytes) -> int:
    return int(json.loads(payload)["message"])


TWIN = replace(ZOE, traits=replace(ZOE.traits, given_names=("Chloé",)))
NOBODY = Person(ZOE.traits, HUGO.ins)


async def test_who_does_not_know_the_patient_learns_nothing(fed: House) -> None:
    """An INS of nobody, of somebody with other traits, of an identity that is not qualified or was closed: word for
    word one answer. Staff read the truth."""
    await fed.enrol(ZOE)
    unsure = Person(replace(ZOE.traits, birth_name="INCERTAINE"), an_ins("2900299999002"))
    gone = Person(replace(ZOE.traits, birth_name="PARTIE"), an_ins("2900299999003"))
    await fed.enrol(unsure, IdentityStatus.PROVISIONAL)
    await fed.cellar.accounts.set_state((await fed.enrol(gone)).owner, AccountState.CLOSED)
    for number, person in enumerate((NOBODY, TWIN, unsure, gone)):
        await send(fed, letter(fed, make_cda(person, unique_id=f"{OID}.1^{number}"), receipt=False))
    held = [item.reason for item in await fed.triage.held_list()]
    assert held == ["patient-unknown", "traits-mismatch", "identity-not-qualified", "patient-unknown"]
    told = await answers(fed)
    assert len({words_of(mail) for mail in told}) == 1
    assert {mail["Subject"] for mail in told} == {"[KO Intégration système !][902] XDM/1.0/DDM+Compte rendu"}
    fed.clock.forward(24 * 3600)
    await fed.run_tasks()
    later = (await answers(fed))[len(told) :]
    assert len(later) == len(told)
    assert len({words_of(mail) for mail in later}) == 1


async def test_what_the_document_lacks_is_said_whoever_it_names(fed: House) -> None:
    """No INS, incomplete traits: that says nothing of whom we know, and is said alike of a stranger."""
    await fed.enrol(ZOE)
    for number, person in enumerate((ZOE, HUGO)):
        nameless = replace(person, traits=replace(person.traits, birth_name=""))
        await send(fed, letter(fed, make_cda(nameless, unique_id=f"{OID}.1^{number}"), receipt=False))
        said = letter(fed, make_cda(person, unique_id=f"{OID}.2^{number}"), headers={"X-MSS-INS": "N"}, receipt=False)
        await send(fed, said)
    codes = [mail["Subject"].partition("] ")[0] for mail in await answers(fed)]
    assert codes[:2] == codes[2:]
    assert codes[0] == "[KO Intégration système !][905"


async def test_the_structure_reads_a_copy_of_what_was_not_filed(fed: House) -> None:
    """And of nothing else."""
    await fed.enrol(ZOE)
    copies = await fed.professional(str(COPY), MailboxKind.ORGANISATIONAL)
    await send(fed, letter(fed, make_cda(ZOE)))
    await send(fed, letter(fed, make_cda(TWIN, unique_id=f"{OID}.1^2")))
    assert await fed.in_folders(copies) == 1


async def test_staff_file_after_a_look_or_refuse(fed: House) -> None:
    """The sender hears of both; an INS of nobody is filed by no human's word."""
    zoe = await fed.enrol(ZOE)
    for number, person in enumerate((TWIN, TWIN, NOBODY)):
        await send(fed, letter(fed, make_cda(person, unique_id=f"{OID}.1^{number}", set_id=f"{OID}.2^{number}")))
    twin, other, nobody = await fed.triage.held_list()
    fed.clock.forward(1)
    await fed.triage.file(twin.id, "staff:1")
    await fed.run_tasks()
    fed.clock.forward(1)
    await fed.triage.reject(other.id, "staff:1", "Ce n'est pas elle.")
    with pytest.raises(NotFileable):
        await fed.triage.file(nobody.id, "staff:1")
    await fed.run_tasks()
    assert [view.entry.unique_id for view in await fed.documents(zoe)] == [f"{OID}.1^0"]
    later = (await answers(fed))[3:]
    assert [mail["Subject"].partition(" XDM")[0] for mail in later] == [
        "[Intégré]",
        "[KO Intégration système !][906]",
    ]
    owner = await fed.owner_of(APPLICATION)
    assert owner is not None
    assert await fed.in_folders(owner) == 3  # the software reads all of it


async def test_loose_files_wait_and_talk_does_not(fed: House) -> None:
    """A PDF names nobody. Words, a patient's own picture, a report, a document that others could not file are left."""
    zoe = await fed.enrol(ZOE)
    await send(fed, letter(fed, pdfs=(("lecture.pdf", make_pdf()),)))
    await send(fed, letter(fed, text="Bonjour", subject="Re: XDM/1.0/DDM+CR DUPONT Jean"))
    await send(fed, letter(fed, pdfs=(("photo.pdf", make_pdf()),)), zoe.address)
    await send(fed, letter(fed, make_cda(HUGO), subject="[KO Intégration système !][902] XDM/1.0/DDM+x"))
    await send(fed, letter(fed, make_cda(HUGO)), None)
    assert [item.reason for item in await fed.triage.held_list()] == ["loose-document"]


async def test_an_application_mailbox_that_is_not_named_feeds_nothing(house: House) -> None:
    """Its software alone reads it."""
    zoe = await house.enrol(ZOE)
    other = MailAddress.parse(f"autre@{HOSPITAL}")
    owner = await house.professional(str(other), MailboxKind.APPLICATION)
    await house.deliver(house.health_mail(other, make_cda(ZOE)), LABORATORY, other)
    await house.run_tasks()
    assert await house.in_folders(owner) == 1
    assert not await house.documents(zoe)
    assert not await house.sent()


# Forwarded


def forward(inner: bytes, *, attached: bool, depth: int = 1) -> bytes:
    """As a mail client forwards: the file taken over, or the whole mail as an attachment."""
    original = message_from_bytes(inner, policy=policy.default)
    for number in range(depth):
        mail = EmailMessage(policy=policy.SMTP)
        mail["From"], mail["To"] = f"Secrétariat <{SECRETARY}>", str(APPLICATION)
        mail["Subject"] = f"Tr: {original['Subject']}"
        mail["Message-ID"] = f"<tr{number}{original['Message-ID'].strip('<')}"
        mail.set_content("Pour classement.\n")
        if attached:
            mail.add_attachment(original)
        else:
            (archive,) = original.iter_attachments()
            mail.add_attachment(archive.get_content(), "application", "zip", filename="IHE_XDM.zip")
        original = mail
    return original.as_bytes()


@pytest.mark.parametrize(("attached", "depth"), [(False, 1), (True, 1), (True, 3)])
async def test_what_a_secretary_forwards_is_filed_and_she_is_told(fed: House, attached: bool, depth: int) -> None:
    """Inline, as an attachment, and forwarded again: the answer goes to her, not to the laboratory."""
    zoe = await fed.enrol(ZOE)
    await send(fed, forward(letter(fed, make_cda(ZOE)), attached=attached, depth=depth), SECRETARY)
    assert len(await fed.documents(zoe)) == 1
    await send(fed, forward(letter(fed, make_cda(TWIN, unique_id=f"{OID}.1^2")), attached=attached), SECRETARY)
    secretary = await fed.owner_of(SECRETARY)
    assert secretary is not None
    assert await fed.in_folders(secretary) == 1  # the refusal
    assert not await answers(fed)


async def test_what_a_forwarded_mail_says_of_itself_still_counts(fed: House) -> None:
    """Its subject names somebody else, or its sender was not sure of the INS: held."""
    await fed.enrol(ZOE)
    unsure = letter(fed, make_cda(ZOE), headers={"X-MSS-INS": "N"})
    other = letter(fed, make_cda(ZOE, unique_id=f"{OID}.1^2"), subject="XDM/1.0/DDM+CR AUTRE Jeanne 01/01/1950")
    for inner in (unsure, other):
        plain = forward(inner, attached=True).replace(b"Subject: Tr: XDM", b"Subject: Tr: X", 1)
        await send(fed, plain, SECRETARY)
    assert [item.reason for item in await fed.triage.held_list()] == ["ins-said-not-qualified", "name-unlike"]


@pytest.mark.parametrize("sender", [LABORATORY, ELSEWHERE])
async def test_a_stranger_who_forwards_is_held(fed: House, sender: MailAddress) -> None:
    """Only somebody of the structure, signed in here, hands on what others wrote."""
    zoe = await fed.enrol(ZOE)
    await send(fed, forward(letter(fed, make_cda(ZOE)), attached=True), sender)
    assert not await fed.documents(zoe)
    assert [item.reason for item in await fed.triage.held_list()] == ["loose-document"]


# Versions and flags


async def test_the_sender_replaces_and_withdraws_by_the_same_way(fed: House) -> None:
    """From the mailbox that sent the original; another one waits for a human."""
    zoe = await fed.enrol(ZOE)
    await send(fed, letter(fed, make_cda(ZOE)))
    new = make_cda(ZOE, unique_id=f"{OID}.1^2", version=2, replaces=f"{OID}.1^1")
    await send(fed, letter(fed, archive=make_package(describe(new, action="C"))), ELSEWHERE)
    assert [item.reason for item in await fed.triage.held_list()] == ["not-the-mailbox"]
    await send(fed, letter(fed, archive=make_package(describe(new, action="C"))))
    assert [view.status for view in await fed.documents(zoe)] == [DocumentStatus.APPROVED, DocumentStatus.SUPERSEDED]
    await send(fed, letter(fed, archive=make_package(describe(new, action="D"))))
    assert [view.entry.unique_id for view in await fed.documents(zoe)] == [f"{OID}.1^1"]


async def test_a_hidden_document_is_shown_after_the_operators_delay(fed: House, sandbox: Sandbox) -> None:
    """The same for what software's mailbox brought."""
    fed.read_with(sandbox, shown_after_days=1)
    zoe = await fed.enrol(ZOE)
    await send(fed, letter(fed, make_cda(ZOE, visibility=Visibility.HIDDEN_FROM_PATIENT)))
    assert not await fed.documents(zoe)
    fed.clock.forward(86_400)
    await fed.run_tasks()
    assert len(await fed.documents(zoe)) == 1
    assert not await fed.triage.held_list(HeldState.KEPT_BACK)


async def test_a_hidden_document_is_announced_by_its_sender(fed: House) -> None:
    """By a mail to the same application mailbox; somebody else's announcement is held."""
    zoe = await fed.enrol(ZOE)
    hidden = letter(fed, make_cda(ZOE, visibility=Visibility.HIDDEN_FROM_PATIENT))
    await send(fed, hidden)
    assert not await fed.documents(zoe)
    assert len(await fed.triage.held_list(HeldState.KEPT_BACK)) == 1
    named = message_from_bytes(hidden)["Message-ID"]
    await send(fed, letter(fed, subject=f"[ANNONCE] {named}"), ELSEWHERE)
    assert not await fed.documents(zoe)
    await send(fed, letter(fed, subject=f"[ANNONCE] {named}"))
    assert len(await fed.documents(zoe)) == 1
    assert not await fed.triage.held_list(HeldState.KEPT_BACK)
    assert [item.reason for item in await fed.triage.held_list()] == ["announcement-unmatched"]
