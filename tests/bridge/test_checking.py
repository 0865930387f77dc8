"""A maker of software asks what would become of an archive: the same judge answers; nobody's record is looked at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mss.bridge.checkdesk import REPORTS_PER_HOUR_MAX, CheckDesk
from mss.bridge.checking import Checker, Mark
from mss.bridge.reading import Reader
from mss.model.document import Visibility
from mss.model.ids import MailAddress
from mss.model.mailbox import MailboxKind
from mss.notices.checked import CheckAnswers
from mss.sandbox.pool import Sandbox
from tests.kit.dicoms import make_image
from tests.kit.documents import HUGO, ZOE, describe, make_cda, make_package
from tests.kit.house import HOSPITAL, LABORATORY, House

VERIFIER = MailAddress.parse(f"verifier@{HOSPITAL}")
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def checker(house: House, sandbox: Sandbox) -> Checker:
    """As the works makes it."""
    return Checker(sandbox, Reader(sandbox, house.cellar.chance), accepts_test_identities=True)


def mixed() -> bytes:
    """METADATA of one person around the document of another."""
    zoe, hugo = describe(make_cda(ZOE)), describe(make_cda(HUGO))
    return make_package(replace(zoe, content=hugo.content))


ARCHIVES: list[tuple[str, bytes, str, int]] = [
    ("a good one", make_package(make_cda(ZOE)), "filed", 0),
    ("hidden", make_package(make_cda(ZOE, visibility=Visibility.HIDDEN_FROM_PATIENT)), "filed", 0),
    ("of two people", mixed(), "held", 904),
    ("cut", make_package(make_cda(ZOE))[:900], "held", 906),
    ("an unknown action", make_package(describe(make_cda(ZOE), action="X")), "held", 900),
]


@pytest.mark.parametrize(
    ("archive", "outcome", "code"), [one[1:] for one in ARCHIVES], ids=[one[0] for one in ARCHIVES]
)
async def test_the_report_says_what_the_bridge_would_do(
    house: House, checker: Checker, archive: bytes, outcome: str, code: int
) -> None:
    """The same word and code as for a patient who is known exactly so; none of what is personal is repeated."""
    report = await checker.check(house.health_mail(VERIFIER, archive=archive))
    assert (report.outcome, report.code) == (outcome, code)
    assert any(line.mark is Mark.WRONG for line in report.lines) is (outcome != "filed")
    text = report.text()
    assert not [word for word in (ZOE.ins.value, "MARCHAND", "Zoé", "biologiques") if word in text]


async def test_names_and_loose_images_are_judged_too(house: House, checker: Checker) -> None:
    """A subject about somebody else; a DICOM file without an issuer; a mail that brings nothing."""
    archive, other = make_package(make_cda(ZOE)), "XDM/1.0/DDM+Bilan DURAND Paul 01/02/1950"
    named = await checker.check(house.health_mail(VERIFIER, archive=archive, subject=other))
    assert (named.outcome, named.code) == ("held", 904)
    image = await checker.check(house.health_mail(VERIFIER, pdfs=(("i.dcm", make_image(ins=None)),)))
    assert (image.outcome, image.code) == ("held", 903)
    nothing = await checker.check(house.health_mail(VERIFIER))
    assert nothing.outcome == "nothing to file"


def desk(house: House, checker: Checker) -> CheckDesk:
    below = house.cellar
    feed = house.applications.feed
    return CheckDesk(
        VERIFIER, checker, feed, house.store, below.opener, below.public, house.bus, house.clock, below.chance
    )


async def test_who_writes_to_the_address_gets_the_report_and_nothing_is_filed(house: House, checker: Checker) -> None:
    """One mail, one answer; the patient's record and inbox stay as they were; a machine's answer gets none."""
    zoe = await house.enrol(ZOE)
    await house.professional(str(VERIFIER), MailboxKind.APPLICATION)
    front = desk(house, checker)
    answers = CheckAnswers(VERIFIER, house.cellar.private, house.cellar.public.lookup, house.house_mail, house.clock)
    more = {**front.handlers, **answers.handlers}
    asked = house.health_mail(VERIFIER, make_cda(ZOE))
    absent = house.health_mail(VERIFIER, make_cda(ZOE), headers={"Auto-Submitted": "auto-replied"})
    for mail in (asked, asked, absent):
        await house.deliver(mail, LABORATORY, VERIFIER)
        for _ in range(3):
            for task in await house.due():
                await more[task.kind](task)
                await house.finish(task)
    (sent,) = await house.sent()
    assert sent["X-Envelope-To"] == str(LABORATORY)
    assert sent["Subject"] == "Rapport de vérification : filed"
    assert "RESULT: filed" in sent.get_content()
    assert sent["In-Reply-To"] is not None
    assert await house.sees_nothing(zoe)
    assert not await house.triage.held_list()


async def test_a_loop_ends(house: House, checker: Checker) -> None:
    """So many reports an hour to one sender, and then none for a while."""
    front = desk(house, checker)
    told = [front._is_too_often("a@labo.mssante.example") for _ in range(REPORTS_PER_HOUR_MAX + 2)]
    assert told == [False] * REPORTS_PER_HOUR_MAX + [True, True]
    house.clock.forward(3601)
    assert not front._is_too_often("a@labo.mssante.example")
