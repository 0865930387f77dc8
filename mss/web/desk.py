"""What do the operator's people see and decide? What waits for a human, one case with all that is known, their word.

Whoever is bound to a domain sees what is held for it and nothing else; another's case is no page at all. Each look
and each decision is written down under the number of the person who signs in.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web
from markupsafe import Markup

from mss.accounts.staff import StaffMember
from mss.bridge.facts import Identity
from mss.bridge.reading import ReadDocument
from mss.bridge.triage import HeldItem, OpenedItem
from mss.mail.holding import AGAIN, LAST
from mss.model.errors import Malformed, NotFound, SandboxFailed
from mss.model.verdict import Reason
from mss.model.workdays import working_hours_before
from mss.sandbox import client
from mss.store.records import HeldState, HeldWhat
from mss.web import files, guard, texts
from mss.web.corrections import OBJECTION, WHY_NOT, actor_of
from mss.web.record import CDA_TYPES, PDF_POLICY
from mss.web.rooms import Desk
from mss.web.routing import NUMBER, Access, get
from mss.web.session import Visit
from mss.web.signatures import SIGNATURES
from mss.web.words import N_

PAGE_LINES = 50
WHY_CHARS_MAX = 1000
"""Of what a sender is told when a document is refused."""

SENTENCES: dict[Reason, str] = {
    Reason.INS_MISSING: N_("L’archive ou le document ne porte aucun INS."),
    Reason.INS_KEY_WRONG: N_("La clé de l’INS ne correspond pas à son numéro : une faute de frappe, ou pas un INS."),
    Reason.INS_MISMATCH: N_(
        "Destinataire, archive et document ne portent pas le même INS. Le document de quelqu’un d’autre ?"
    ),
    Reason.INS_FORMER: N_("Le numéro a été celui de ce patient (un NIA devenu NIR ?), ou lui a été retiré."),
    Reason.NAME_UNLIKE: N_("L’objet ou un nom de fichier porte un autre nom que celui du destinataire."),
    Reason.PATIENT_UNKNOWN: N_("Aucun dossier d’ici ne porte cet INS."),
    Reason.TRAITS_MISMATCH: N_("L’INS correspond, mais un trait diffère de ceux que nous connaissons. Un jumeau ?"),
    Reason.IMAGES_OF_SEVERAL: N_(
        "Les images d’un examen portent plusieurs noms : il faut deux personnes, et dire pourquoi."
    ),
    Reason.TRAITS_INCOMPLETE: N_("Il manque un trait d’identité : rien à comparer."),
    Reason.IDENTITY_NOT_QUALIFIED: N_("Notre propre identité de ce patient n’est pas qualifiée."),
    Reason.INS_SAID_NOT_QUALIFIED: N_("L’émetteur dit que l’INS n’est pas qualifié (X-MSS-INS: N)."),
    Reason.VERSION_WRONG: N_("Il remplace ou retire une version qui n’est pas la version courante."),
    Reason.STATUS_CHANGE_ASKED: N_(
        "Il demande de changer le statut d’un document d’ici : cela ne se fait pas par courriel."
    ),
    Reason.ADDENDUM_MISPLACED: N_("Il complète un document qui a été remplacé ou retiré depuis."),
    Reason.NOT_THE_AUTHOR: N_("Ni l’auteur ni son organisation ne demande à remplacer ce document."),
    Reason.NOT_THE_MAILBOX: N_("Il remplacerait ou retirerait un document qu’une autre boîte a envoyé."),
    Reason.ANNOUNCEMENT_UNMATCHED: N_("Il annonce ce qui n’est pas retenu ici, ou pas par cette boîte."),
    Reason.ARCHIVE_BROKEN: N_("L’archive est illisible."),
    Reason.ARCHIVE_UNSAFE: N_("L’archive se déploierait hors d’elle-même, ou démesurément."),
    Reason.METADATA_BROKEN: N_("METADATA.XML manque ou est illisible."),
    Reason.RELATION_UNKNOWN: N_("L’archive lie ses documents d’une façon que nous ne savons pas suivre."),
    Reason.FOLDER_NOT_CARRIED_OUT: N_(
        "L’archive range dans un classeur ce qu’elle n’apporte pas, ou un classeur vide."
    ),
    Reason.CDA_BROKEN: N_("Le document n’est pas un CDA lisible."),
    Reason.DICOM_BROKEN: N_("L’image n’est pas un fichier DICOM lisible sans ambiguïté."),
    Reason.HASH_MISMATCH: N_("Un document n’est pas celui que METADATA.XML décrit."),
    Reason.DOCUMENT_CONFLICT: N_("Un document de même identifiant et d’autre contenu est connu."),
    Reason.TAKEN_OUT: N_("Vous l’aviez retiré de ce dossier : il est d’un autre. Son émetteur l’envoie encore."),
    Reason.KEPT_BACK_UNTIL_ANNOUNCED: N_(
        "Classé caché ; le message attend que l’émetteur l’annonce au patient, ou que vous sachiez que c’est fait."
    ),
    Reason.FLAG_UNKNOWN: N_("Un marqueur de visibilité inconnu, ou deux qui se contredisent."),
    Reason.UNDECRYPTABLE: N_("Le message est chiffré et n’a pas pu être ouvert."),
    Reason.SIGNATURE_BROKEN: N_("La signature ne correspond pas au contenu : modifié en chemin, ou falsifié."),
    Reason.SIGNATURE_DOUBTFUL: N_("La signature est périmée, révoquée, ou n’est pas celle de l’expéditeur."),
    Reason.UNREADABLE: N_("La lecture a échoué deux fois. À regarder avec prudence."),
    Reason.LOOSE_DOCUMENT: N_("Un fichier sans archive : personne ne dit à qui il est."),
    Reason.VIRUS_FOUND: N_("L’antivirus a trouvé quelque chose. Personne ne voit le message."),
    Reason.NOT_SCANNED: N_("L’antivirus n’a pas encore pu regarder. Le message partira de lui-même après."),
    Reason.KEPT_BY_STAFF: N_("Un membre de l’équipe le retient dans la file d’envoi."),
    Reason.SINK_REFUSED: N_(
        "Le dossier de l’établissement a refusé le document : `mss sink retry` quand c’est réparé."
    ),
    Reason.SINK_AWAY: N_("Le dossier de l’établissement ne répond pas depuis un jour. Nous continuons d’essayer."),
    Reason.PARKED: N_("Quelque chose de chez nous ne va pas : il ne part pas. Regardez le journal."),
}
"""Why something waits, as staff read it; what is not here is told in the words of the case."""

FAILURES = {
    "decided": N_("Quelqu’un a décidé entre-temps : rien n’a été changé."),
    "objection": N_("Rien n’a été classé : l’objection demeure aussi après votre contrôle."),
    "changed": N_("Le dossier a changé entre-temps. Réessayez."),
    "why-two": N_("Écrivez pourquoi, sans nom ni INS : la seconde personne et le rapport d’incident le liront."),
    "why": N_("Écrivez pourquoi : l’émetteur le lira."),
    "not-now": N_("Il est remis en ce moment, ou il est arrivé entre-temps."),
    **WHY_NOT,
}
DONE = {
    "filed": N_("Classé. L’émetteur en est informé."),
    "let-go": N_("Le message poursuit son chemin."),
    "refused": N_("Refusé. L’émetteur en est informé."),
    "retried": N_("Il est remis de nouveau, dans un instant."),
    "dropped": N_("Abandonné pour ce logiciel. L’émetteur en est informé ; notre dossier le garde."),
    "released": N_("Visible par le patient. L’émetteur en est informé."),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the list. `urgency`: 0 new, 1 after 24 hours of working days, 2 after 72."""

    item: HeldItem
    sentence: str
    hours: int
    urgency: int


@dataclass(frozen=True, slots=True)
class Trait:
    """One trait as the document claims it, and as we know it."""

    name: str
    claimed: str
    known: str

    @property
    def differs(self) -> bool:
        return bool(self.claimed and self.known) and self.claimed != self.known


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """A document of the case with its comparison; `is_shown`: it has a preview."""

    place: int
    title: str
    type: str
    author: str
    traits: tuple[Trait, ...]
    is_shown: bool


def desk_of(visit: Visit) -> Desk:
    if visit.rooms.desk is None:
        raise NotFound("desk")
    return visit.rooms.desk


async def show(visit: Visit) -> web.StreamResponse:
    """What waits, oldest first; on its own page what is kept back until its announcement."""
    member = await visit.member()
    is_kept_back = visit.request.query.get("state") == "kept-back"
    state = HeldState.KEPT_BACK if is_kept_back else HeldState.WAITING
    items = [item for item in await desk_of(visit).triage.held_list(state) if member.sees(item.domain)]
    page = max(1, visit.query_number("page", 1))
    first = (page - 1) * PAGE_LINES
    return await visit.page(
        "desk.html",
        lines=[_line(visit, item) for item in items[first : first + PAGE_LINES]],
        total=len(items),
        page=page,
        has_more=len(items) > first + PAGE_LINES,
        is_kept_back=is_kept_back,
        done=DONE.get(visit.request.query.get("done", ""), ""),
    )


def _line(visit: Visit, item: HeldItem) -> Line:
    now = visit.rooms.clock.now()
    hours = int((now - item.held_at).total_seconds() // 3600)
    urgency = sum(item.held_at <= working_hours_before(now, told) for told in (AGAIN, LAST))
    return Line(item, _sentence(item.reason), hours, urgency)


def _sentence(reason: str) -> str:
    return SENTENCES.get(Reason(reason), "")


async def held(visit: Visit) -> web.StreamResponse:
    """One case."""
    return await case_of(visit)


async def case_of(visit: Visit, failure: str = "", status: int = 200, why: str = "") -> web.Response:
    number, member = await number_of(visit)
    opened = await desk_of(visit).triage.open(number, actor_of(member))
    documents = _documents(opened)
    return await visit.page(
        "held.html",
        status=status,
        case=opened,
        line=_line(visit, opened.item),
        documents=documents,
        failure=FAILURES.get(failure, OBJECTION) if failure else "",
        why=why,
        why_max=WHY_CHARS_MAX,
        is_waiting=opened.item.state == HeldState.WAITING,
        is_kept_back=opened.item.state == HeldState.KEPT_BACK,
        is_sink=opened.item.what == HeldWhat.SINK,
        may_redirect=opened.item.what in (HeldWhat.MESSAGE, HeldWhat.FEED) and bool(opened.documents),
    )


async def number_of(visit: Visit) -> tuple[int, StaffMember]:
    """The case of the path, when it is this person's business. Raises NotFound."""
    number, member = visit.number("held"), await visit.member()
    if not member.sees(await desk_of(visit).triage.domain_of(number)):
        raise NotFound("held item")
    return number, member


def _documents(opened: OpenedItem) -> list[DocumentLine]:
    known = opened.known[0] if opened.known else None
    lines = []
    for place, claimed in enumerate(opened.explanation.documents, 1):
        pairs = (
            (N_("INS"), " ".join(one.partition("|")[0] for one in claimed.ins), _ins(known)),
            (N_("Nom de naissance"), claimed.birth_name, known.traits.birth_name if known else ""),
            (N_("Premier prénom"), claimed.first_given_name, known.traits.first_given_name if known else ""),
            (N_("Date de naissance"), claimed.birth_date, known.traits.birth_date.isoformat() if known else ""),
            (N_("Sexe"), claimed.sex, known.traits.sex.value if known else ""),
        )
        traits = tuple(Trait(*pair) for pair in pairs)
        if claimed.signature:
            traits += (Trait(N_("Signature"), SIGNATURES.get(claimed.signature, claimed.signature), ""),)
        is_shown = place <= len(opened.documents)
        title = claimed.title or claimed.type or claimed.unique_id
        lines.append(DocumentLine(place, title, claimed.type, claimed.author, traits, is_shown))
    return lines


def _ins(known: Identity | None) -> str:
    return known.ins.value if known else ""


async def preview(visit: Visit) -> web.StreamResponse:
    """A document of the case, as far as a browser can show it safely."""
    document, place = await _document(visit)
    html, pdf, picture = None, "", ""
    own = f"/desk/held/{visit.number('held')}/document/{place}/file"
    if document.entry.mime_type in CDA_TYPES:
        try:
            rendered = await client.render_cda(visit.rooms.sandbox, document.content)
            html = Markup(texts.without_tricks(rendered))  # noqa: S704 — sanitised by the sandbox's allow-list
        except (Malformed, SandboxFailed):
            html = None
    elif document.entry.mime_type == "application/pdf":
        pdf = own
    elif document.entry.mime_type in files.PICTURE_TYPES:
        picture = own
    response = await visit.page(
        "preview.html",
        held=visit.number("held"),
        title=document.entry.title,
        html=html,
        pdf=pdf,
        picture=picture,
        own=own,
    )
    if pdf:
        response.headers["Content-Security-Policy"] = guard.page_policy(PDF_POLICY)
    return response


async def file(visit: Visit) -> web.StreamResponse:
    """The document's own bytes: shown when nothing in them can run, else as a download."""
    document, _ = await _document(visit)
    name = texts.one_line(document.entry.title or "document", texts.FILENAME_CHARS_MAX).replace("/", "-")
    return files.respond(document.content, name, download="download" in visit.request.query)


async def _document(visit: Visit) -> tuple[ReadDocument, int]:
    number, member = await number_of(visit)
    opened = await desk_of(visit).triage.open(number, actor_of(member))
    place = visit.number("place")
    if not 1 <= place <= len(opened.documents):
        raise NotFound("document of a held message")
    return opened.documents[place - 1], place


CASE = f"/desk/held/{{held:{NUMBER}}}"
_DOCUMENT = f"{CASE}/document/{{place:[0-9]{{1,2}}}}"
ROUTES = (
    get("/desk", show, Access.STAFF),
    get(CASE, held, Access.STAFF),
    get(_DOCUMENT, preview, Access.STAFF),
    get(f"{_DOCUMENT}/file", file, Access.STAFF),
)
