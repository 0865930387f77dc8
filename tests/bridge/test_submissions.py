"""What one archive may hold besides a document: several submission sets, and an addendum to what came before."""

from __future__ import annotations

import io
import zipfile

from mss.formats.xdmwrite import PackageToWrite, write_package
from mss.formats.xdsvalues import Association, Scheme, SubmissionSet
from mss.model.document import DocumentStatus
from tests.kit.dirtyzip import dirty, members, pack
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


def addendum(number: int, target: str) -> bytes:
    """An archive whose document is an addendum to another."""
    document = describe(make_cda(ZOE, unique_id=f"{OID}.1^{number}", set_id=f"{OID}.2^{number}"), number)
    adds = Association("APND", document.entry.entry_uuid, target)
    submission = SubmissionSet(f"{OID}.5.{number}", f"{OID}.6", document.entry.patient_id, entry_uuid=an_uuid(0))
    return write_package(PackageToWrite(submission, (document,), SENDER, (adds,)))


async def test_an_addendum_stands_beside_what_it_adds_to(house: House) -> None:
    """APND takes no document's place, whether the first one is here or not; the fiche says to what it adds."""
    zoe = await house.enrol(ZOE)
    for number, target in ((1, an_uuid(99)), (2, an_uuid(1))):
        await house.send_documents(zoe, archive=addendum(number, target))
    found = {view.entry.unique_id: view for view in await house.documents(zoe)}
    assert [view.status for view in found.values()] == [DocumentStatus.APPROVED] * 2
    assert found[f"{OID}.1^2"].entry.adds_to == an_uuid(1)


async def test_an_addendum_to_what_was_replaced_is_for_a_human(house: House) -> None:
    """Its reader would take it for a word on the version of today; staff may say that it is one."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, archive=addendum(1, an_uuid(99)))
    new = make_cda(ZOE, unique_id=f"{OID}.1^8", set_id=f"{OID}.2^1", version=2, replaces=f"{OID}.1^1")
    await house.send_documents(zoe, new)
    await house.send_documents(zoe, archive=addendum(2, an_uuid(1)))
    (held,) = await house.triage.held_list()
    assert (held.reason, held.code) == ("addendum-misplaced", 900)
    assert await house.triage.file(held.id, "staff:1") == 1


async def test_a_folder_is_told_with_its_documents(house: House) -> None:
    """Its title is kept in the fiche; one that names another patient holds the whole archive."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, archive=dirty(make_package(make_cda(ZOE)), "folder-around"))
    assert [view.entry.folders for view in await house.documents(zoe)] == [("Hospitalisation",)]
    claimed = f'<rim:ExternalIdentifier identificationScheme="{Scheme.FOLDER_PATIENT_ID}"'
    claimed += f' value="{HUGO.ins.value}^^^&amp;{HUGO.ins.oid.value}&amp;ISO^NH"/></rim:RegistryPackage>'
    other = make_package(make_cda(ZOE, unique_id=f"{OID}.1^7", set_id=f"{OID}.2^7"))
    files = members(dirty(other, "folder-around"))
    (name,) = [one for one in files if one.endswith("METADATA.XML")]
    before, _, after = files[name].decode().rpartition("</rim:RegistryPackage>")
    files[name] = (before + claimed + after).encode()
    await house.send_documents(zoe, archive=pack(files.items()))
    assert [item.reason for item in await house.triage.held_list()] == ["ins-mismatch"]
