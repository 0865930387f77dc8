"""What one archive may hold besides a document: several submission sets, and an addendum to what came before."""

from __future__ import annotations

import io
import zipfile

from mss.formats.xdmwrite import PackageToWrite, write_package
from mss.formats.xdsvalues import Association, SubmissionSet
from mss.model.document import DocumentStatus
from tests.kit.documents import HUGO, SENDER, ZOE, an_uuid, describe, make_cda, make_package
from tests.kit.house import House

OID = "1.2.250.1.999.1"


def together(*packages: bytes) -> bytes:
    """Archives of one submission each as one archive, in SUBSET01, SUBSET02 …"""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as joined:
        for number, package in enumerate(packages, 1):
            with zipfile.ZipFile(io.BytesIO(package)) as one:
                for name in one.namelist():
                    if number == 1 or "SUBSET" in name:
                        joined.writestr(name.replace("SUBSET01", f"SUBSET{number:02}"), one.read(name))
    return made.getvalue()


def packages(second: bytes) -> bytes:
    return together(make_package(make_cda(ZOE)), make_package(second, submission_id=f"{OID}.5.2"))


async def test_every_submission_of_an_archive_is_filed(house: House) -> None:
    """One mail, two sets, two documents."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, archive=packages(make_cda(ZOE, unique_id=f"{OID}.1^7", set_id=f"{OID}.2^7")))
    assert len(await house.documents(zoe)) == 2
    assert await house.unread(zoe) == 1


async def test_one_submission_about_somebody_else_holds_all(house: House) -> None:
    """Half of an archive is not shown while the other half waits."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, archive=packages(make_cda(HUGO, unique_id=f"{OID}.1^7", set_id=f"{OID}.2^7")))
    assert await house.sees_nothing(zoe)
    assert [item.reason for item in await house.triage.held_list()] == ["ins-mismatch"]


async def test_the_second_submission_may_replace_what_the_first_brings(house: House) -> None:
    """The patient sees one current version."""
    zoe = await house.enrol(ZOE)
    new = make_cda(ZOE, unique_id=f"{OID}.1^2", version=2, replaces=f"{OID}.1^1")
    await house.send_documents(zoe, archive=packages(new))
    statuses = {view.entry.unique_id: view.status for view in await house.documents(zoe)}
    assert statuses == {f"{OID}.1^1": DocumentStatus.SUPERSEDED, f"{OID}.1^2": DocumentStatus.APPROVED}


async def test_an_addendum_stands_beside_what_it_adds_to(house: House) -> None:
    """APND takes no document's place, whether the first one is here or not."""
    zoe = await house.enrol(ZOE)
    for number, target in ((1, an_uuid(99)), (2, an_uuid(1))):
        content = make_cda(ZOE, unique_id=f"{OID}.1^{number}", set_id=f"{OID}.2^{number}")
        document = describe(content, number)
        adds = Association("APND", document.entry.entry_uuid, target)
        patient = document.entry.patient_id
        submission = SubmissionSet(f"{OID}.5.{number}", f"{OID}.6", patient, entry_uuid=an_uuid(0))
        archive = write_package(PackageToWrite(submission, (document,), SENDER, (adds,)))
        assert b"APND" in zipfile.ZipFile(io.BytesIO(archive)).read("IHE_XDM/SUBSET01/METADATA.XML")
        await house.send_documents(zoe, archive=archive)
    assert [view.status for view in await house.documents(zoe)] == [DocumentStatus.APPROVED] * 2
