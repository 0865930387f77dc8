"""What do staff decide about a case? File, refuse, release, give it to another patient; try or give up a sink's."""

from __future__ import annotations

from aiohttp import web

from mss.bridge.corrections import NotCorrectable
from mss.bridge.prepared import RecordChanged
from mss.bridge.sinkdesk import NotNow
from mss.bridge.triage import NeedsSecond, NotDecidable, NotFileable
from mss.model.errors import BadValue, NotFound
from mss.store.corrections import CorrectionState
from mss.web.corrections import actor_of
from mss.web.desk import CASE, WHY_CHARS_MAX, case_of, desk_of, number_of
from mss.web.routing import Access, post
from mss.web.session import Visit


async def accept(visit: Visit) -> web.StreamResponse:
    """Somebody has checked: file it, or let go what was held on its way."""
    number, member = await number_of(visit)
    try:
        count = await desk_of(visit).triage.file(number, actor_of(member), visit.form.get("why").strip())
    except BadValue:
        return await case_of(visit, "why-two", 400)
    except NotDecidable:
        return await case_of(visit, "decided", 409)
    except NotFileable:
        return await case_of(visit, "objection", 409)
    except NeedsSecond as asked:
        return visit.redirect(f"/desk/corrections/{asked.proposal}", done="proposed")
    except NotCorrectable:
        return await case_of(visit, "proposed-already", 409)
    except RecordChanged:
        return await case_of(visit, "changed", 409)
    return visit.redirect("/desk", done="filed" if count else "let-go")


async def refuse(visit: Visit) -> web.StreamResponse:
    """Refuse for good, with words for the sender."""
    number, member = await number_of(visit)
    why = visit.form.get("why").strip()
    if not why or len(why) > WHY_CHARS_MAX:
        return await case_of(visit, "why", 400, why[:WHY_CHARS_MAX])
    try:
        await desk_of(visit).triage.reject(number, actor_of(member), why)
    except NotDecidable:
        return await case_of(visit, "decided", 409, why)
    return visit.redirect("/desk", done="refused")


async def release(visit: Visit) -> web.StreamResponse:
    """The patient knows: show what was kept back until its announcement."""
    number, member = await number_of(visit)
    try:
        await desk_of(visit).triage.release(number, actor_of(member))
    except NotDecidable:
        return await case_of(visit, "decided", 409)
    return visit.redirect("/desk", state="kept-back", done="released")


async def redirect(visit: Visit) -> web.StreamResponse:
    """It is another patient's."""
    number, member = await number_of(visit)
    rooms = desk_of(visit).corrections
    if rooms is None:
        raise NotFound("desk")
    try:
        target = await rooms.book.record_at(visit.form.get("to"))
    except (NotFound, BadValue):
        return await case_of(visit, "patient", 404)
    try:
        row = await rooms.redirect(number, target, actor_of(member))
    except NotCorrectable as problem:
        return await case_of(visit, problem.why, 409)
    done = "proposed" if row.state == CorrectionState.PROPOSED else "doing"
    return visit.redirect(f"/desk/corrections/{row.id}", done=done)


async def sink_retry(visit: Visit) -> web.StreamResponse:
    """Hand it over again now."""
    number, member = await number_of(visit)
    desk = desk_of(visit)
    if desk.sinks is None:
        raise NotFound("desk")
    try:
        await desk.sinks(actor_of(member)).retry(await desk.triage.handover_of(number))
    except NotNow:
        return await case_of(visit, "not-now", 409)
    return visit.redirect("/desk", done="retried")


async def sink_drop(visit: Visit) -> web.StreamResponse:
    """Give it up for that software; its sender reads why, our own record keeps it."""
    number, member = await number_of(visit)
    desk, why = desk_of(visit), visit.form.get("why")
    if desk.sinks is None:
        raise NotFound("desk")
    try:
        await desk.sinks(actor_of(member)).drop(await desk.triage.handover_of(number), why)
    except BadValue:
        return await case_of(visit, "why", 400, why[:WHY_CHARS_MAX])
    except NotNow:
        return await case_of(visit, "not-now", 409, why)
    return visit.redirect("/desk", done="dropped")


ROUTES = (
    post(f"{CASE}/file", accept, Access.STAFF),
    post(f"{CASE}/refuse", refuse, Access.STAFF),
    post(f"{CASE}/release", release, Access.STAFF),
    post(f"{CASE}/redirect", redirect, Access.STAFF),
    post(f"{CASE}/sink-retry", sink_retry, Access.STAFF),
    post(f"{CASE}/sink-drop", sink_drop, Access.STAFF),
)
