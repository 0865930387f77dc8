"""What do staff see and press when something lies in the wrong record? The list, a record, a correction, its report.

An address or INS that is typed here goes by POST: a link would keep it in histories and logs.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

from aiohttp import web

from mss.accounts.staff import StaffMember
from mss.bridge.book import Opened
from mss.bridge.corrections import WHY_CHARS_MAX, Corrections, NotCorrectable
from mss.bridge.prepared import RecordChanged
from mss.bridge.triage import NotDecidable, NotFileable
from mss.model.clock import from_ms
from mss.model.errors import BadValue, NotFound
from mss.model.ids import OwnerId
from mss.store.corrections import Correction, CorrectionKind, CorrectionState
from mss.web import files, texts
from mss.web.routing import NUMBER, Access, get, post
from mss.web.session import Visit
from mss.web.words import N_

KINDS = {
    "unfile": N_("Retiré d’un dossier"),
    "refile": N_("Vers le bon dossier"),
    "return": N_("Remise en place"),
    "merge": N_("Fusion de deux dossiers"),
    "file": N_("Classement à la main"),
    "represent": N_("Représentant légal d’un dossier fusionné"),
}
STATES = {
    "proposed": N_("attend une seconde personne"),
    "expired": N_("expiré : personne n’a confirmé"),
    "declined": N_("écarté"),
    "doing": N_("en cours"),
    "done": N_("fait"),
    "failed": N_("refusé par le juge : rien n’a bougé"),
    "out": N_("retiré, attend son dossier"),
    "elsewhere": N_("classé dans le bon dossier"),
    "returned": N_("remis en place"),
    "undone": N_("défait"),
}
WHY_NOT = {
    "already-out": N_("Ce document est déjà retiré."),
    "not-out": N_("Rien de retiré ne porte ce numéro."),
    "not-waiting": N_("Il n’attend plus de décision."),
    "nothing-to-move": N_("Il n’y a pas de message à déplacer."),
    "same-record": N_("C’est le dossier où il est déjà."),
    "record-not-open": N_("L’autre dossier est clos ou suspendu."),
    "names-another": N_(
        "Ni l’INS ni les traits du document ne sont de ce patient. L’émetteur doit le corriger et l’envoyer de nouveau."
    ),
    "not-one-person": N_("La date de naissance ou le sexe diffèrent : ce sont deux personnes."),
    "not-a-minor": N_("Ce patient est majeur : un juge désigne qui le représente."),
    "proposed-already": N_("C’est déjà proposé : voyez la liste des corrections."),
    "same-person": N_("Vous l’avez proposé : une autre personne doit confirmer."),
    "expired": N_("La proposition a expiré. Proposez-la de nouveau."),
    "decided": N_("Quelqu’un a décidé entre-temps : rien n’a été changé."),
    "words": N_("Écrivez pourquoi, sans nom ni INS : le rapport d’incident le dira."),
    "patient": N_("Aucun dossier d’ici n’est à cette adresse."),
    "changed": N_("Le dossier a changé entre-temps. Réessayez."),
}
OBJECTION = N_("Le juge s’y oppose : rien n’a été changé.")
DONE = {
    "out": N_("Retiré. L’émetteur, le patient et ceux qui l’avaient ouvert en sont informés."),
    "proposed": N_("Proposé : une autre personne doit confirmer."),
    "doing": N_("Décidé : c’est fait dans un instant."),
    "declined": N_("Écarté : rien n’a été changé."),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A correction on the list. `mine`: whoever looks has proposed it."""

    opened: Opened
    mine: bool

    @property
    def row(self) -> Correction:
        return self.opened.row

    @property
    def at(self) -> object:
        return from_ms(self.row.proposed_ms)

    @property
    def expires_at(self) -> object:
        return from_ms(self.row.expires_ms) if self.row.expires_ms else None


def actor_of(member: StaffMember) -> str:
    """As the audit knows a person of the staff."""
    return f"staff:{member.owner}"


def _rooms(visit: Visit) -> Corrections:
    if visit.rooms.desk is None or visit.rooms.desk.corrections is None:
        raise NotFound("desk")
    return visit.rooms.desk.corrections


async def _keeper(visit: Visit) -> StaffMember:
    """Somebody who may look into patients' records. Raises NotFound."""
    member = await visit.member()
    if not member.sees(_rooms(visit).domain):
        raise NotFound("corrections")
    return member


async def show(visit: Visit) -> web.StreamResponse:
    """What was corrected and proposed, and the way to a record."""
    return await _list(visit)


async def _list(visit: Visit, failure: str = "", status: int = 200) -> web.Response:
    rooms, member = _rooms(visit), await visit.member()
    lines = [Line(one, one.row.proposed_by == actor_of(member)) for one in await rooms.book.listed()]
    return await visit.page(
        "corrections.html",
        status=status,
        lines=[line for line in lines if member.sees(line.row.domain)],
        kinds=KINDS,
        states=STATES,
        failure=_failure(failure),
        done=DONE.get(visit.request.query.get("done", ""), ""),
        is_keeper=member.sees(rooms.domain),
        why_max=WHY_CHARS_MAX,
    )


def _failure(why: str) -> str:
    return WHY_NOT.get(why, OBJECTION) if why else ""


async def record(visit: Visit) -> web.StreamResponse:
    """The documents of a record, each with the way out. The look is written down."""
    member = await _keeper(visit)
    try:
        owner = await _rooms(visit).book.record_at(visit.form.get("patient"))
        documents = await _rooms(visit).book.documents(owner, actor_of(member))
    except (NotFound, BadValue):
        return await _list(visit, "patient", 404)
    return await visit.page("deskrecord.html", documents=documents, why_max=WHY_CHARS_MAX)


async def unfile(visit: Visit) -> web.StreamResponse:
    """Take out, at once."""
    member, text = await _keeper(visit), visit.form.get("document")
    if not text.isdigit() or len(text) > 19:
        raise NotFound("document")
    try:
        number = await _rooms(visit).unfile(int(text), actor_of(member), visit.form.get("why"))
    except NotCorrectable as problem:
        return await _list(visit, problem.why, 409)
    except BadValue:
        return await _list(visit, "words", 400)
    except RecordChanged:
        return await _list(visit, "changed", 409)
    return visit.redirect(f"/desk/corrections/{number}", done="out")


async def merge(visit: Visit) -> web.StreamResponse:
    """Two records are one person's."""
    member, rooms = await _keeper(visit), _rooms(visit)
    desk = visit.rooms.desk
    if desk is None or desk.merges is None:
        raise NotFound("desk")
    try:
        ends, stays = [await rooms.book.record_at(visit.form.get(name)) for name in ("ends", "stays")]
        row = await desk.merges.merge(ends, stays, actor_of(member), visit.form.get("why"))
    except NotFound:
        return await _list(visit, "patient", 404)
    except NotCorrectable as problem:
        return await _list(visit, problem.why, 409)
    except BadValue:
        return await _list(visit, "words", 400)
    return visit.redirect(f"/desk/corrections/{row.id}", done=_done(row))


def _done(row: Correction) -> str:
    return "proposed" if row.state == CorrectionState.PROPOSED else "doing"


async def one(visit: Visit) -> web.StreamResponse:
    """A correction: what it took, who decided, what can follow."""
    return await _one(visit)


async def _one(visit: Visit, failure: str = "", status: int = 200) -> web.Response:
    opened, member = await _opened(visit)
    row = opened.row
    is_out = row.kind == CorrectionKind.UNFILE and row.state in (CorrectionState.OUT, CorrectionState.ELSEWHERE)
    is_done = row.kind in (CorrectionKind.MERGE, CorrectionKind.REFILE) and row.state == CorrectionState.DONE
    return await visit.page(
        "correction.html",
        status=status,
        line=Line(opened, row.proposed_by == actor_of(member)),
        items=opened.items,
        kinds=KINDS,
        states=STATES,
        failure=_failure(failure),
        done=DONE.get(visit.request.query.get("done", ""), ""),
        by=[await _name(visit, who) for who in (row.proposed_by, row.confirmed_by) if who],
        may_refile=row.kind == CorrectionKind.UNFILE and row.state == CorrectionState.OUT,
        may_undo=is_out or is_done,
        is_proposed=row.state == CorrectionState.PROPOSED,
        why_max=WHY_CHARS_MAX,
    )


async def _name(visit: Visit, actor: str) -> str:
    """A colleague by name; a command, or somebody who is gone, as the audit has it."""
    number = actor.removeprefix("staff:")
    if visit.rooms.desk is None or not number.isdigit():
        return actor
    try:
        return (await visit.rooms.desk.staff.one(OwnerId(int(number)))).name
    except NotFound:
        return actor


async def _opened(visit: Visit) -> tuple[Opened, StaffMember]:
    """The correction of the path, when it is this person's business. Raises NotFound."""
    member = await visit.member()
    opened = await _rooms(visit).book.one(visit.number("correction"))
    if not member.sees(opened.row.domain):
        raise NotFound("correction")
    return opened, member


async def _follow(visit: Visit, work: Awaitable[Correction]) -> web.StreamResponse:
    """What follows a correction, or why not."""
    try:
        row = await work
    except NotCorrectable as problem:
        return await _one(visit, problem.why, 409)
    except NotDecidable:
        return await _one(visit, "decided", 409)
    except NotFileable as problem:
        return await _one(visit, problem.reason.value, 409)
    except RecordChanged:
        return await _one(visit, "changed", 409)
    except BadValue:
        return await _one(visit, "words", 400)
    return visit.redirect(f"/desk/corrections/{row.id}", done=_done(row))


async def refile(visit: Visit) -> web.StreamResponse:
    """Into the right record."""
    opened, member = await _opened(visit)
    try:
        target = await _rooms(visit).book.record_at(visit.form.get("to"))
    except (NotFound, BadValue):
        return await _one(visit, "patient", 404)
    return await _follow(visit, _rooms(visit).refile(opened.row.id, target, actor_of(member)))


async def undo(visit: Visit) -> web.StreamResponse:
    """Everything where it was."""
    opened, member = await _opened(visit)
    return await _follow(visit, _rooms(visit).undo(opened.row.id, actor_of(member)))


async def confirm(visit: Visit) -> web.StreamResponse:
    """A second person agrees."""
    opened, member = await _opened(visit)
    assert visit.rooms.desk is not None, "its pages are shown"
    file = visit.rooms.desk.triage.file_confirmed
    return await _follow(visit, _rooms(visit).confirm(opened.row.id, actor_of(member), file))


async def decline(visit: Visit) -> web.StreamResponse:
    """Not so."""
    opened, member = await _opened(visit)
    try:
        await _rooms(visit).decline(opened.row.id, actor_of(member))
    except NotCorrectable as problem:
        return await _one(visit, problem.why, 409)
    return visit.redirect(f"/desk/corrections/{opened.row.id}", done="declined")


async def incident(visit: Visit) -> web.StreamResponse:
    """The report, to be printed."""
    opened, member = await _opened(visit)
    found = await _rooms(visit).book.incident(opened.row.id, actor_of(member))
    return await visit.page("incident.html", report=found, kinds=KINDS, states=STATES)


async def incident_json(visit: Visit) -> web.StreamResponse:
    """The same for software."""
    opened, member = await _opened(visit)
    found = await _rooms(visit).book.incident(opened.row.id, actor_of(member))
    response = web.json_response(found.fields())
    response.headers["Content-Disposition"] = f'attachment; filename="incident-{opened.row.id}.json"'
    return response


async def evidence(visit: Visit) -> web.StreamResponse:
    """A document that was taken out, for whoever has to judge the error. The look is written down."""
    opened, member = await _opened(visit)
    await _keeper(visit)
    view, data = await _rooms(visit).book.evidence(opened.row.id, visit.number("document"), actor_of(member))
    name = texts.one_line(view.entry.title or "document", texts.FILENAME_CHARS_MAX).replace("/", "-")
    return files.respond(data, name, download=True)


_ONE = f"/desk/corrections/{{correction:{NUMBER}}}"
ROUTES = (
    get("/desk/corrections", show, Access.STAFF),
    post("/desk/record", record, Access.STAFF),
    post("/desk/record/unfile", unfile, Access.STAFF),
    post("/desk/merge", merge, Access.STAFF),
    get(_ONE, one, Access.STAFF),
    post(f"{_ONE}/refile", refile, Access.STAFF),
    post(f"{_ONE}/undo", undo, Access.STAFF),
    post(f"{_ONE}/confirm", confirm, Access.STAFF),
    post(f"{_ONE}/decline", decline, Access.STAFF),
    get(f"{_ONE}/incident", incident, Access.STAFF),
    get(f"{_ONE}/incident.json", incident_json, Access.STAFF),
    get(f"{_ONE}/document/{{document:{NUMBER}}}", evidence, Access.STAFF),
)
