"""Archives and documents made to break their reader: held with a reason, told to the sender, nothing else suffers."""

from __future__ import annotations

from typing import Any

import pytest

from mss.bridge.reading import SandboxIll
from mss.model.errors import SandboxFailed
from mss.sandbox.pool import Sandbox
from mss.store.messages import MessageState
from tests.kit import hostile
from tests.kit.dirtyzip import DIALECTS, SPOILT, copied_twice, dirty
from tests.kit.documents import OUR_OID, ZOE, make_cda, make_package
from tests.kit.house import House, words_of

GOOD = make_package(make_cda(ZOE))
BROKEN: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "IHE_XDM.zip", "archive-broken"),
    "not a ZIP": (b"Bonjour", "ihe_xdm.ZIP", "archive-broken"),
    "cut": (GOOD[: len(GOOD) // 2], "IHE_XDM.zip", "archive-broken"),
    "cut, under another name": (GOOD[: len(GOOD) // 2], "resultats.zip", "archive-broken"),
    "numbered by the mail program": (b"PK", "IHE_XDM (1).zip", "archive-broken"),
    "behind other bytes": (b"MZ" + GOOD[: len(GOOD) // 2], "lecteur.exe", "archive-broken"),
}


NO_DOCUMENT = {"nothing", "noise", "another XML"}
"""Of the hostile documents: attachments in which no ClinicalDocument can be seen, shown as what they are."""


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_archive_is_held(house: House, name: str) -> None:
    """Whatever it is called: what looks like an archive of documents and cannot be read is not shown."""
    archive, filename, reason = BROKEN[name]
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, archive=archive, archive_name=filename, receipt=False)
    assert await house.sees_nothing(zoe)
    assert [(held.reason, held.code) for held in await house.triage.held_list()] == [(reason, 906)]
    (told,) = await house.sent()
    assert told["Subject"].startswith("[KO Intégration système !][906] ")
    assert "NOT filed" in words_of(told)


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_hostile_archive_and_document_is_held(house: House) -> None:
    """The whole cabinet of horrors, one mail each: none is filed, none shown, each has a reason; honest mail passes."""
    zoe = await house.enrol(ZOE)
    for build, _ in hostile.ARCHIVES.values():
        await house.send_documents(zoe, archive=build())
    for build, _ in hostile.DOCUMENTS.values():
        await house.send_documents(zoe, pdfs=(("cr.xml", build()),))
    assert not await house.documents(zoe)
    assert await house.unread(zoe) == len(NO_DOCUMENT)
    held = await house.triage.held_list()
    assert len(held) == len(hostile.ARCHIVES) + len(hostile.DOCUMENTS) - len(NO_DOCUMENT)
    await house.send_documents(zoe, make_cda(ZOE))
    assert len(await house.documents(zoe)) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_dirty_dialect_is_filed(house: House) -> None:
    """Honest archives of desktop tools, under the name that their tool gives."""
    zoe = await house.enrol(ZOE)
    for number, dialect in enumerate(DIALECTS, 1):
        content = make_cda(ZOE, unique_id=f"{OUR_OID}.1^{number}", set_id=f"{OUR_OID}.2^{number}")
        await house.send_documents(zoe, archive=dirty(make_package(content), dialect), archive_name="Archive.zip")
    assert len(await house.documents(zoe)) == len(DIALECTS)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_spoilt_dialect_is_held_for_its_own_reason(house: House) -> None:
    """What a desktop tool has lost nobody guesses: the table says which reason staff and sender read."""
    zoe = await house.enrol(ZOE)
    for dialect in SPOILT:
        await house.send_documents(zoe, archive=dirty(make_package(make_cda(ZOE)), dialect))
    assert await house.sees_nothing(zoe)
    reasons = [reason.value for _, reason in SPOILT.values()]
    assert [held.reason for held in await house.triage.held_list()] == reasons


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_folder_and_its_copy_are_one_document(house: House) -> None:
    """Two submission sets that say the same."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, archive=copied_twice(make_package(make_cda(ZOE))))
    assert len(await house.documents(zoe)) == 1


async def test_what_kills_its_reader_is_held(house: House) -> None:
    """Twice dead on the same document while another job lives: the document is to blame, and waits for a human."""
    zoe = await house.enrol(ZOE)
    deadly = Sandbox(jobs_module="tests.refusals.deadly_jobs")
    deadly.start()
    house.read_with(deadly)
    try:
        number = await house.send_documents(zoe, pdfs=(("cr.xml", make_cda(ZOE, title="POISON")),))
        assert await house.state(zoe, number) == MessageState.HELD
        assert await house.sees_nothing(zoe)
        assert [held.reason for held in await house.triage.held_list()] == ["unreadable"]
        await house.send_documents(zoe, make_cda(ZOE, unique_id=f"{OUR_OID}.1^2", set_id=f"{OUR_OID}.2^2"))
        assert len(await house.documents(zoe)) == 1
    finally:
        deadly.close()


class Accident(Sandbox):
    """Loses its first job, as when somebody kills the worker."""

    has_happened = False

    async def ask(self, *args: Any, **more: Any) -> Any:
        if not self.has_happened:
            self.has_happened = True
            raise SandboxFailed("worker died")
        return await super().ask(*args, **more)


async def test_a_worker_that_dies_once_loses_nothing(house: House) -> None:
    """The document is honest: another worker reads it."""
    zoe = await house.enrol(ZOE)
    unlucky = Accident()
    unlucky.start()
    house.read_with(unlucky)
    try:
        await house.send_documents(zoe, make_cda(ZOE))
        assert len(await house.documents(zoe)) == 1
        assert unlucky.has_happened
    finally:
        unlucky.close()


async def test_a_sick_sandbox_holds_nobodys_mail(house: House, sandbox: Sandbox) -> None:
    """When nothing can be read at all, nothing is said about this message: later."""
    zoe = await house.enrol(ZOE)
    house.read_with(Sandbox())  # never started
    with pytest.raises(SandboxIll):
        await house.send_documents(zoe, make_cda(ZOE))
    assert await house.sees_nothing(zoe)
    assert not await house.triage.held_list()
    house.read_with(sandbox)
    await house.run_tasks()
    assert len(await house.documents(zoe)) == 1
