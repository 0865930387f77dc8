"""Which messages of patients wait for an answer? Rows of the folder "Sans réponse". Functions of a connection.

A row of `unanswered` says that a message waits: from whom, and with which ids it hangs together, as keyed hashes. The
folder shows those of them that stand somewhere where work is: not only in the trash, among junk or in the archive. What
it shows is entries like any other, so that numbers, IDLE and resuming are those of every folder; only the server
writes them, always after the other folders of a transaction (rows are locked in this order).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, bindparam, delete, select

from mss.model.mailbox import Flag, SpecialUse
from mss.store import folders, schema, states
from mss.store.folders import E, F, NewEntry
from mss.store.sql import insert_ignoring, own, own_parameters, owned_by, parts
from mss.store.states import FlagChange

U = schema.unanswered
M = schema.message

DONE_WITH = frozenset({SpecialUse.TRASH, SpecialUse.JUNK, SpecialUse.ARCHIVE})
"""Who puts a message here has decided that it needs no answer."""
MIRRORED = Flag.SEEN | Flag.ANSWERED | Flag.FLAGGED
"""Flags of the message that are told here too."""
LINK_BYTES = 20
"""Of a keyed hash (mss/crypto/keys.py)."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a message waits: the patient's address and the ids that tie it to others, as keyed hashes."""

    patient_hmac: bytes
    links: frozenset[bytes]


def begin(connection: Connection, owner: int, message: int, waiting: Waiting, now_ms: int) -> None:
    """A patient's message has come in. It is shown once it stands in a folder (`settle`)."""
    row = {"message": message, "patient_hmac": waiting.patient_hmac, "links": b"".join(sorted(waiting.links))}
    insert_ignoring(connection, U, [own(owner) | row | {"since_ms": now_ms}])


def answered(
    connection: Connection, owner: int, patient_hmac: bytes, links: frozenset[bytes], now_ms: int, *, all_of_it: bool
) -> bool:
    """An answer to this patient leaves: what hangs together with it waits no longer; with `all_of_it` nothing of hers
    does. Whether there was something. An answer to one patient never counts for another."""
    query = select(U.c.message, U.c.links).where(owned_by(U), U.c.patient_hmac == patient_hmac)
    waiting = {row.message: _links(row.links) for row in connection.execute(query, own_parameters(owner))}
    done: set[int] = set(waiting) if all_of_it else set()
    known, grows = set(links), not all_of_it
    while grows:
        found = {number for number, own_links in waiting.items() if number not in done and own_links & known}
        done |= found
        known.update(*(waiting[number] for number in found))
        grows = bool(found)
    for part in parts(sorted(done)):
        connection.execute(delete(U).where(owned_by(U), U.c.message.in_(part)), own_parameters(owner))
    if done:
        settle(connection, owner, done, now_ms)
    return bool(done)


def _links(joined: bytes) -> frozenset[bytes]:
    return frozenset(joined[at : at + LINK_BYTES] for at in range(0, len(joined), LINK_BYTES))


_PLACES = (
    select(E.c.message, E.c.folder, E.c.uid, E.c.flags, E.c.internaldate_ms, F.c.special_use, M.c.size_bytes)
    .select_from(
        E.join(F, and_(F.c.lane == E.c.lane, F.c.owner == E.c.owner, F.c.folder == E.c.folder)).join(
            M, and_(M.c.lane == E.c.lane, M.c.owner == E.c.owner, M.c.message == E.c.message)
        )
    )
    .where(owned_by(E), E.c.message.in_(bindparam("messages", expanding=True)))
    .order_by(E.c.message)
)


def settle(connection: Connection, owner: int, messages: Iterable[int], now_ms: int) -> bool:
    """These messages have come to other places, or wait no longer: show what is to be shown. Whether that changed."""
    folder = folders.folder_by_use(connection, owner, SpecialUse.UNANSWERED)
    if folder is None:
        return False
    shown: list[int] = []
    fresh: list[NewEntry] = []
    for part in parts(sorted(set(messages))):
        query = select(U.c.message).where(owned_by(U), U.c.message.in_(part))
        waiting = {row.message for row in connection.execute(query, own_parameters(owner))}
        live: dict[int, NewEntry] = {}
        here: dict[int, int] = {}
        for row in connection.execute(_PLACES, own_parameters(owner) | {"messages": list(part)}):
            if row.folder == folder.folder:
                here[row.message] = row.uid
            elif row.special_use not in DONE_WITH:
                entry = NewEntry(row.message, row.flags & MIRRORED, 0, row.internaldate_ms, row.size_bytes)
                live.setdefault(row.message, entry)
        shown += [uid for number, uid in here.items() if number not in waiting or number not in live]
        fresh += [entry for number, entry in live.items() if number in waiting and number not in here]
    if shown:
        folders.expunge(connection, owner, folder.folder, shown, now_ms, only_deleted=False)
    if fresh:
        folders.append_entries(connection, owner, folder.folder, fresh, now_ms)
    return bool(shown or fresh)


_V, _G = E.alias("v"), F.alias("g")
_MIRRORS = (
    select(_V.c.folder, _V.c.uid)
    .select_from(
        E.join(_V, and_(_V.c.lane == E.c.lane, _V.c.owner == E.c.owner, _V.c.message == E.c.message)).join(
            _G, and_(_G.c.lane == _V.c.lane, _G.c.owner == _V.c.owner, _G.c.folder == _V.c.folder)
        )
    )
    .where(owned_by(E), E.c.folder == bindparam("which"), E.c.uid.in_(bindparam("uids", expanding=True)))
)
_SHOWN = _MIRRORS.where(_G.c.special_use == SpecialUse.UNANSWERED)
_REAL = _MIRRORS.where(_G.c.special_use != SpecialUse.UNANSWERED)


def mirror(
    connection: Connection, owner: int, folder: int, uids: Sequence[int], change: FlagChange, reader: int
) -> bool:
    """Messages of an ordinary folder were marked: let it be seen here. Whether some are."""
    passing = _mirrored(change)
    here = _places(connection, _SHOWN, owner, folder, uids) if passing else {}
    if passing and here:
        _mark(connection, owner, here, passing, reader)
    return bool(here)


def pass_on(
    connection: Connection,
    owner: int,
    folder: int,
    uids: Sequence[int],
    change: FlagChange,
    unchanged_since: int | None,
    reader: int,
) -> list[int]:
    """Messages were marked here: mark them where they really are, then here. Answers the uids that UNCHANGEDSINCE kept
    back."""
    there = states.states_of(connection, owner, folder, uids, reader)
    since = unchanged_since if unchanged_since is not None else max((state[1] for state in there), default=0)
    kept_back = [state[0] for state in there if state[1] > since]
    passed = sorted({state[0] for state in there} - set(kept_back))
    if passing := _mirrored(change):
        _mark(connection, owner, _places(connection, _REAL, owner, folder, passed), passing, reader)
        _mark(connection, owner, {folder: passed}, passing, reader)
    return kept_back


def _places(
    connection: Connection, query: object, owner: int, folder: int, uids: Sequence[int]
) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for part in parts(uids):
        parameters = own_parameters(owner) | {"which": folder, "uids": list(part)}
        for place, uid in connection.execute(query, parameters):  # type: ignore[call-overload]
            found.setdefault(place, []).append(uid)
    return found


def _mirrored(change: FlagChange) -> FlagChange | None:
    """As much of it as is told in both places; None when that is nothing."""
    remove = ~change.add if change.replace else change.remove
    add, remove = change.add & MIRRORED, remove & MIRRORED
    return FlagChange(add=add, remove=remove) if add or remove else None


def _mark(connection: Connection, owner: int, places: dict[int, list[int]], change: FlagChange, reader: int) -> None:
    for folder, uids in sorted(places.items()):
        states.change_flags(connection, owner, folder, uids, change, None, reader)
