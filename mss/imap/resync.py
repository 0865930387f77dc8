"""What has a client missed while it was away? QRESYNC (RFC 7162 §3.2): it names what it knew, we tell what vanished.

When what vanished is remembered far enough back, only that is told; else everything that is not there, among the
uids that the client says it knows. Uids that are in the client's picture still have their number there and are told
as news, not here.
"""

from __future__ import annotations

from mss.imap import commands as c
from mss.imap import responses
from mss.imap.replies import Declined, Problem
from mss.imap.sets import SequenceSet, absent, common, joined
from mss.imap.state import Session

EVERYTHING = SequenceSet.parse(b"1:*")


def need_qresync(session: Session) -> None:
    """Raises Declined: a client must have enabled it (RFC 7162 §3.2.5, §3.2.6)."""
    if not session.qresync:
        raise Declined(Problem.NOT_ENABLED)


async def tell_vanished(session: Session, since: int, known: SequenceSet) -> None:
    """VANISHED (EARLIER): which of the uids `known` have left after the modseq `since`."""
    selected = session.open_folder()
    view = selected.view
    within = known.uid_ranges(view.snapshot.uidnext - 1)
    changes = await session.store.changes(selected.folder, since)
    if changes is not None:
        within = common(within, joined(changes.gone))
    if gone := absent(within, view.uids):
        session.wire.write(responses.vanished(gone, earlier=True))


async def resume(session: Session, resync: c.Resync) -> None:
    """After SELECT (QRESYNC …): what vanished, then which messages changed or are new (RFC 7162 §3.2.5.1)."""
    selected = session.open_folder()
    view = selected.view
    if resync.uidvalidity != view.snapshot.uidvalidity:
        return  # the client forgets all that it knew
    known = resync.known_uids or EVERYTHING
    since = selected.folder.since(resync.modseq)
    since = since if since <= view.snapshot.modseq else 0  # it knows more than we: tell everything
    await tell_vanished(session, since, known)
    session.wire.write(session.flag_rows(view.changed_since(known.uid_positions(view.uids), since)))
