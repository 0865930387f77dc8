"""The worst that can happen: somebody reads another person's result. Each way to get there, refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from email.message import EmailMessage
from typing import Any

import pytest

from mss.bridge.triage import NotFileable
from mss.model.ids import Ins, InsOid, MailAddress, lane_of
from mss.model.people import IdentityStatus
from mss.store.messages import MessageState
from tests.kit.documents import (
    HUGO,
    OUR_OID,
    ZOE,
    Person,
    an_ins,
    describe,
    make_cda,
    make_package,
    make_pdf,
)
from tests.kit.house import LABORATORY, House, Patient, words_of

TWIN = replace(ZOE, traits=replace(ZOE.traits, given_names=("Léa", "Anne-Lise", "Maud")))
MARRIED = replace(ZOE, traits=replace(ZOE.traits, birth_name="ÉCHANTILLON"))
BORN_LATER = replace(ZOE, traits=replace(ZOE.traits, birth_date=date(1990, 3, 2)))


async def held_reasons(house: House) -> list[tuple[str, int]]:
    return [(held.reason, held.code) for held in await house.triage.held_list()]


async def test_a_document_sent_to_somebody_elses_address(house: House) -> None:
    """Y sees nothing anywhere; X neither, since it never came to him; a human sees why; the sender is told."""
    zoe, hugo = await house.enrol(ZOE), await house.enrol(HUGO)
    pdf = (("20260105_CR_EPREUVE_Hugo.pdf", make_pdf()),)
    mail = house.health_mail(zoe.address, make_cda(HUGO), pdfs=pdf, subject="XDM/1.0/DDM+CR L'EPREUVE Hugo")
    (number,) = await house.deliver(mail, LABORATORY, zoe.address)
    await house.run_tasks()
    assert await house.sees_nothing(zoe)
    assert await house.sees_nothing(hugo)
    assert await house.state(zoe, number) == MessageState.HELD
    assert await held_reasons(house) == [("ins-mismatch", 904)]
    (item,) = await house.triage.held_list()
    _, shown = await house.triage.show(item.id, "staff:1")
    assert shown.documents[0].birth_name == "L'ÉPREUVE"
    assert shown.subject == "XDM/1.0/DDM+CR L'EPREUVE Hugo"
    (told,) = await house.sent()
    assert "904^" in told.as_string()
    assert "NOT filed" in words_of(told)
    assert told["X-Envelope-To"] == str(LABORATORY)


async def test_an_archive_that_says_one_person_around_a_document_of_another(house: House) -> None:
    """METADATA names the addressee, the document somebody else."""
    zoe = await house.enrol(ZOE)
    mine, foreign = describe(make_cda(ZOE)), make_cda(HUGO, unique_id=f"{OUR_OID}.1^77")
    await house.send_documents(zoe, archive=make_package(replace(mine, content=foreign)))
    assert await house.sees_nothing(zoe)
    assert await held_reasons(house) == [("ins-mismatch", 904)]


async def test_one_foreign_document_among_her_own(house: House) -> None:
    """Half of somebody else's result is somebody else's result: all of the message is held."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE), make_cda(HUGO, unique_id=f"{OUR_OID}.1^2", set_id=f"{OUR_OID}.2^2"))
    assert await house.sees_nothing(zoe)


@pytest.mark.parametrize("other", [TWIN, MARRIED, BORN_LATER], ids=["twin", "name in use", "day and month swapped"])
async def test_one_trait_that_differs(house: House, other: Person) -> None:
    """The number fits: so does a twin's whose number was mistyped."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(other))
    assert await house.sees_nothing(zoe)
    assert await held_reasons(house) == [("traits-mismatch", 904)]


async def test_accents_and_hyphens_are_nobody_else(house: House) -> None:
    """The control: the same person in a keyboard's capitals is filed."""
    zoe = await house.enrol(ZOE)
    typed = replace(ZOE, traits=replace(ZOE.traits, birth_name="Marchand Essai", given_names=("ZOE",)))
    await house.send_documents(zoe, make_cda(typed))
    assert len(await house.documents(zoe)) == 1


@pytest.mark.parametrize("status", [IdentityStatus.PROVISIONAL, IdentityStatus.VALIDATED])
async def test_an_identity_that_nobody_checked(house: House, status: IdentityStatus) -> None:
    """Ours is not qualified: nothing is filed on it."""
    zoe = await house.enrol(ZOE, status)
    await house.send_documents(zoe, make_cda(ZOE))
    assert await house.sees_nothing(zoe)
    assert await held_reasons(house) == [("identity-not-qualified", 904)]


async def test_a_sender_who_is_not_sure(house: House) -> None:
    """X-MSS-INS: N."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE), headers={"X-MSS-INS": "N"})
    assert await house.sees_nothing(zoe)
    assert await held_reasons(house) == [("ins-said-not-qualified", 904)]


async def test_a_test_number_never_meets_a_real_one(house: House) -> None:
    """The same fifteen digits of two authorities are two people."""
    real = await house.enrol(replace(ZOE, ins=Ins.parse(ZOE.ins.value, InsOid.NIR)))
    await house.send_documents(real, make_cda(ZOE))
    assert await house.sees_nothing(real)
    assert await held_reasons(house) == [("ins-mismatch", 904)]


async def test_a_real_number_with_a_wrong_key(house: House) -> None:
    """A typing error in a number that lives."""
    zoe = await house.enrol(ZOE)
    wrong = make_cda(ZOE).replace(
        f'root="{InsOid.NIR_TEST}" extension="{ZOE.ins.value}"'.encode(),
        f'root="{InsOid.NIR}" extension="{ZOE.ins.value[:13]}00"'.encode(),
    )
    assert wrong != make_cda(ZOE)
    await house.send_documents(zoe, wrong)
    assert await house.sees_nothing(zoe)
    assert await held_reasons(house) == [("ins-key-wrong", 903)]


async def test_a_test_identity_with_a_wrong_key_is_only_a_warning_here(house: House) -> None:
    """The ANS's examples have such keys; this house accepts test identities."""
    odd = replace(ZOE, ins=Ins.parse(f"{ZOE.ins.value[:13]}00", InsOid.NIR_TEST))
    zoe = await house.enrol(odd)
    await house.send_documents(zoe, make_cda(odd))
    assert len(await house.documents(zoe)) == 1


async def test_no_ins_at_all(house: House) -> None:
    """Never on traits alone."""
    zoe = await house.enrol(ZOE)
    nameless = make_cda(ZOE).replace(InsOid.NIR_TEST.encode(), b"1.2.250.1.999.7")
    await house.send_documents(zoe, nameless)
    assert await house.sees_nothing(zoe)
    assert await held_reasons(house) == [("ins-missing", 903)]


async def test_a_number_that_was_hers_once(house: House) -> None:
    """It may have been withdrawn because it was somebody else's: a human decides, of hers alone."""
    zoe = await house.enrol(ZOE)
    new = replace(ZOE, ins=an_ins("2900299999002"))
    await end_identities(house, zoe)
    await house.send_documents(zoe, make_cda(ZOE))
    await house.send_documents(zoe, make_cda(new))
    assert await house.sees_nothing(zoe)
    assert await held_reasons(house) == [("ins-former", 904), ("ins-mismatch", 904)]
    former, foreign = await house.triage.held_list()
    assert await house.triage.file(former.id, "staff:1") == 1
    with pytest.raises(NotFileable):
        await house.triage.file(foreign.id, "staff:1")


@pytest.mark.parametrize(
    "mail",
    [
        {"subject": "XDM/1.0/DDM+CR L'EPREUVE Hugo"},
        {"subject": "XDM/1.0/DDM+CR MARCHAND ESSAI Hugo"},
        {"subject": "XDM/1.0/DDM+CR MARCHAND-ESSAI Zoé 03/02/1991"},
        {"pdfs": (("20260105_CR_EPREUVE_Hugo.pdf", make_pdf()),)},
    ],
    ids=["subject", "first name of another", "birth date of another", "readable copy"],
)
async def test_words_that_name_somebody_else(house: House, mail: dict[str, Any]) -> None:
    """Archive and document are hers, but another person's name stands where people read: held, and fileable."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE), **mail)
    assert await house.sees_nothing(zoe)
    assert await held_reasons(house) == [("name-unlike", 904)]
    (item,) = await house.triage.held_list()
    assert await house.triage.file(item.id, "staff:1") == 1


async def test_a_lone_copy_that_names_somebody_else(house: House) -> None:
    """No archive, no INS: the name of the file is all that there is."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, pdfs=(("20260105_CR_EPREUVE_Hugo.pdf", make_pdf()),))
    assert await house.sees_nothing(zoe)
    assert await held_reasons(house) == [("name-unlike", 904)]
    (item,) = await house.triage.held_list()
    assert await house.triage.file(item.id, "staff:1") == 0
    await house.run_tasks()
    assert await house.unread(zoe) == 1
    assert any("given to the patient" in words_of(told) for told in await house.sent())


async def test_her_name_in_use_is_her_name(house: House) -> None:
    """The control: married women's results carry both names, and readable copies either."""
    zoe = await house.enrol(ZOE)
    copies = (("20260105_CR_ECHANTILLON_Zoe_4711.pdf", make_pdf()),)
    await house.send_documents(zoe, make_cda(ZOE), pdfs=copies, subject="XDM/1.0/DDM+CR ÉCHANTILLON ZOÉ 03/02/1990")
    assert len(await house.documents(zoe)) == 1


async def end_identities(house: House, patient: Patient) -> None:
    """As when INSi corrects a number."""
    from sqlalchemy import update

    from mss.store import recordschema

    ended = update(recordschema.identity).where(recordschema.identity.c.owner == patient.owner).values(valid_until_ms=1)
    await house.store.write(lane_of(patient.owner), lambda c: c.execute(ended))


@pytest.mark.parametrize("is_encoded", [False, True], ids=["as it should be", "encoded against the RFC"])
async def test_an_archive_inside_a_forwarded_message(house: House, is_encoded: bool) -> None:
    """Somebody forwards a mail about somebody: not filed, and not shown."""
    zoe = await house.enrol(ZOE)
    inner = house.health_mail(MailAddress.parse("service@chu.mssante.example"), make_cda(ZOE))
    mail = forwarding(zoe, inner, is_encoded=is_encoded)
    (number,) = await house.deliver(mail, LABORATORY, zoe.address)
    await house.run_tasks()
    assert await house.sees_nothing(zoe)
    assert await house.state(zoe, number) == MessageState.HELD
    assert await held_reasons(house) == [("loose-document", 906)]


@pytest.mark.parametrize("declared", ["text/plain", "text/html", "image/png", "application/ms-tnef"])
async def test_an_archive_in_disguise(house: House, declared: str) -> None:
    """Declared as something else, without a name: what it holds decides, or the patient could save it."""
    zoe = await house.enrol(ZOE)
    mail = house.health_mail(zoe.address, make_cda(HUGO), archive_name="x")
    disguised = mail.replace(b"Content-Type: application/zip", f"Content-Type: {declared}".encode())
    disguised = disguised.replace(b'Content-Disposition: attachment; filename="x"', b"Content-Disposition: inline")
    assert disguised.count(b"inline") == 1
    await house.deliver(disguised, LABORATORY, zoe.address)
    await house.run_tasks()
    assert await house.sees_nothing(zoe)
    assert await held_reasons(house) == [("ins-mismatch", 904)]


async def test_a_report_that_returns_what_she_sent_is_shown(house: House) -> None:
    """The control: a receipt brings back her own mail; filing it again would be wrong, and so would holding it."""
    zoe = await house.enrol(ZOE)
    inner = house.health_mail(MailAddress.parse("service@chu.mssante.example"), make_cda(HUGO))
    mail = forwarding(zoe, inner, is_encoded=False).replace(b"multipart/mixed", b"multipart/report", 1)
    await house.deliver(mail, None, zoe.address)
    await house.run_tasks()
    assert await house.unread(zoe) == 1
    assert not await house.documents(zoe)
    assert not await house.triage.held_list()


def forwarding(to: Patient, inner: bytes, *, is_encoded: bool) -> bytes:
    """A mail with another mail inside."""
    import base64

    encoding = "base64" if is_encoded else "8bit"
    body = base64.encodebytes(inner).replace(b"\n", b"\r\n") if is_encoded else inner
    head = EmailMessage()
    head["From"], head["To"] = f"Laboratoire <{LABORATORY}>", str(to.address)
    head["Subject"], head["Message-ID"] = "Tr: compte rendu", "<forwarded@labo.mssante.example>"
    fields = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    opening = f'{fields}Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nBonjour\r\n--b\r\n'
    part = f"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return (opening + part).encode() + body + b"\r\n--b--\r\n"
