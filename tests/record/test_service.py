"""The record as its people see it: lists, openings, history, and what must not appear in any of them."""

from __future__ import annotations

import pytest

from mss.model.clock import to_ms
from mss.model.document import Visibility
from mss.model.errors import NotFound, SealBroken
from mss.model.ids import lane_of
from mss.record.access import Role, Viewer
from mss.record.service import EventKind
from mss.store import audit, records
from tests.kit.documents import HUGO, OUR_OID, ZOE, make_cda
from tests.kit.house import House, Patient


def hers(patient: Patient, role: Role = Role.PATIENT) -> Viewer:
    return Viewer(patient.owner, role, "Zoé Marchand-Essai")


async def test_an_opening_is_written_down_twice(house: House) -> None:
    """In the patient's history and in the inspector's chain, before the bytes are given."""
    zoe = await house.enrol(ZOE)
    content = make_cda(ZOE)
    await house.send_documents(zoe, content)
    (listed,) = await house.documents(zoe)
    keys = await house.cellar.keys(zoe.owner)
    view, opened = await house.records.open(keys, listed.number, hers(zoe))
    assert opened == content
    assert view == listed
    lines = await house.history(zoe)
    assert {(line.act, line.actor_name, line.document_title) for line in lines} == {
        (EventKind.FILED, "Laboratoire des Tilleuls", listed.entry.title),
        (EventKind.OPENED, "Zoé Marchand-Essai", listed.entry.title),
    }
    assert await acts(house, "record.open") == 1
    _, breaks = await house.store.read(audit.verify)
    assert not breaks


async def acts(house: House, act: str) -> int:
    from sqlalchemy import func, select

    from mss.store import schema

    query = select(func.count()).select_from(schema.audit).where(schema.audit.c.act == act)
    return int(await house.store.read(lambda c: c.execute(query).scalar_one()))


async def test_looking_at_the_list_opens_nothing(house: House) -> None:
    """A fiche alone is no consultation of the document."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE))
    (listed,) = await house.documents(zoe)
    await house.records.one(await house.cellar.keys(zoe.owner), listed.number, hers(zoe))
    assert await acts(house, "record.open") == 0


@pytest.mark.parametrize(
    ("flag", "blind"),
    [
        (Visibility.HIDDEN_FROM_PATIENT, Role.PATIENT),
        (Visibility.HIDDEN_FROM_PATIENT, Role.REPRESENTATIVE),
        (Visibility.HIDDEN_FROM_REPRESENTATIVES, Role.REPRESENTATIVE),
    ],
)
async def test_what_is_hidden_appears_nowhere(house: House, flag: Visibility, blind: Role) -> None:
    """No line, no count, no history; opened by its number it does not exist; and trying is no opening."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE, visibility=flag))
    (hidden,) = await house.documents(zoe, Role.STAFF)
    keys, viewer = await house.cellar.keys(zoe.owner), hers(zoe, blind)
    await house.records.open(keys, hidden.number, hers(zoe, Role.STAFF))
    assert await house.records.documents(keys, viewer) == []
    assert await house.records.history(keys, viewer, before_ms=1 << 60, limit=10) == []
    for ask in (house.records.one, house.records.open):
        with pytest.raises(NotFound):
            await ask(keys, hidden.number, viewer)
    assert await acts(house, "record.open") == 1


async def test_somebody_elses_document_does_not_exist(house: House) -> None:
    """By its right number, with one's own keys: the same answer as for a number of nobody."""
    zoe, hugo = await house.enrol(ZOE), await house.enrol(HUGO)
    await house.send_documents(zoe, make_cda(ZOE))
    (document,) = await house.documents(zoe)
    keys = await house.cellar.keys(hugo.owner)
    for number in (document.number, 12345):
        with pytest.raises(NotFound):
            await house.records.open(keys, number, hers(hugo))


async def test_rows_moved_into_another_record_do_not_open(house: House) -> None:
    """Ciphertext is bound to its owner and place: who can write the database still cannot move a document."""
    zoe, hugo = await house.enrol(ZOE), await house.enrol(HUGO)
    await house.send_documents(zoe, make_cda(ZOE))
    (document,) = await house.documents(zoe)
    row = await house.store.read(lambda c: records.document(c, zoe.owner, document.number))
    assert row is not None
    await house.store.write(lane_of(hugo.owner), lambda c: records.insert_document(c, hugo.owner, row))
    with pytest.raises(SealBroken):
        await house.documents(hugo)


async def test_the_superseded_version_stays_and_says_what_follows_it(house: House) -> None:
    """Nothing is deleted: who read the old one can read it again."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE))
    await house.send_documents(
        zoe, make_cda(ZOE, unique_id=f"{OUR_OID}.1^2", version=2, replaces=f"{OUR_OID}.1^1", title="Corrigé")
    )
    new, old = await house.documents(zoe)
    keys = await house.cellar.keys(zoe.owner)
    view, opened = await house.records.open(keys, old.number, hers(zoe))
    assert (view.replaced_by, opened) == (new.number, make_cda(ZOE))
    assert EventKind.REPLACED in {line.act for line in await house.history(zoe)}


async def test_a_history_page_has_its_size_in_what_may_be_seen(house: House) -> None:
    """Hidden events between visible ones neither show nor shorten the page."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE))
    for number in range(2, 6):
        await house.send_documents(
            zoe,
            make_cda(
                ZOE,
                unique_id=f"{OUR_OID}.1^{number}",
                set_id=f"{OUR_OID}.2^{number}",
                visibility=Visibility.HIDDEN_FROM_PATIENT,
            ),
        )
    keys = await house.cellar.keys(zoe.owner)
    lines = await house.records.history(keys, hers(zoe), before_ms=1 << 60, limit=2)
    assert [line.act for line in lines] == [EventKind.FILED]


async def test_turning_the_pages_of_a_history_loses_nothing(house: House) -> None:
    """A replacement is two lines of one moment: no page cuts them apart."""
    zoe = await house.enrol(ZOE)
    for version in range(1, 5):
        replaces = f"{OUR_OID}.1^{version - 1}" if version > 1 else ""
        content = make_cda(ZOE, unique_id=f"{OUR_OID}.1^{version}", version=version, replaces=replaces)
        await house.send_documents(zoe, content)
    keys = await house.cellar.keys(zoe.owner)
    everything = await house.history(zoe)
    assert len(everything) == 7
    for limit in (1, 2, 3, 7, 8):
        turned, before_ms = [], 1 << 60
        while page := await house.records.history(keys, hers(zoe), before_ms=before_ms, limit=limit):
            turned += page
            before_ms = to_ms(page[-1].at)
        assert turned == everything
