"""What do the pages of the record show? Documents, one of them opened, and who looked at what."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aiohttp import web
from markupsafe import Markup

from mss.formats.cdafiles import EmbeddedFile
from mss.formats.filetypes import sniff
from mss.model.clock import to_ms
from mss.model.document import DocumentStatus
from mss.model.errors import Malformed, NotFound, SandboxFailed
from mss.record.service import DocumentView
from mss.sandbox import client
from mss.web import files, guard, texts
from mss.web.routing import NUMBER, get
from mss.web.session import Visit
from mss.web.signatures import SIGNATURES
from mss.web.words import N_

PAGE_LINES = 50
FOR_EVER_MS = 10**15
CDA_TYPES = frozenset({"text/xml", "application/xml"})
IMAGE_TYPES = frozenset({"application/dicom", "application/zip"})
_SECTION = 'class="cda-section"'  # without one, the CDA is only a cover for its file (level 1)
PDF_POLICY = "object-src 'self'; frame-src 'self'"


@dataclass(frozen=True, slots=True)
class InnerFile:
    """A file that a CDA carries: its number in it, name, size, and whether the browser may show it."""

    number: int
    name: str
    size_bytes: int
    is_copy: bool
    is_shown: bool


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """A document opened. `html`: a CDA rendered and sanitised. `pdf`, `picture`: addresses of what to show in the
    page. `copy`: address of the PDF that says the same as `html`."""

    html: Markup | None = None
    pdf: str = ""
    picture: str = ""
    copy: str = ""
    is_unreadable: bool = False
    inner: tuple[InnerFile, ...] = ()


async def show(visit: Visit) -> web.StreamResponse:
    """Every document that she may see, newest first, superseded ones apart."""
    documents = await visit.rooms.records.documents(await visit.keys(), await visit.viewer())
    current = [view for view in documents if view.status is DocumentStatus.APPROVED]
    former = [view for view in documents if view.status is not DocumentStatus.APPROVED]
    page = visit.query_number("page", 1)
    first = max(0, page - 1) * PAGE_LINES
    more = len(current) > first + PAGE_LINES
    return await visit.page(
        "record.html",
        documents=current[first : first + PAGE_LINES],
        former=former if not more else [],
        total=len(current),
        page=page,
        has_more=more,
        removals=await visit.rooms.records.removals(await visit.keys(), await visit.viewer()),
    )


async def document(visit: Visit) -> web.StreamResponse:
    """One document: its fiche, and itself as far as a browser can show it."""
    number = visit.number("document")
    view = await visit.rooms.records.one(await visit.keys(), number, await visit.viewer())
    content = await _opened(visit, view)
    response = await visit.page(
        "document.html", document=view, content=content, signature=SIGNATURES.get(view.entry.signature)
    )
    if content.pdf:
        response.headers["Content-Security-Policy"] = guard.page_policy(PDF_POLICY)
    return response


async def _opened(visit: Visit, view: DocumentView) -> DocumentPage:
    """A CDA is opened here; a PDF or picture when the browser fetches it, which is written down then."""
    own = f"/record/{view.number}/file"
    if view.entry.mime_type == "application/pdf":
        return DocumentPage(pdf=own)
    if view.entry.mime_type in files.PICTURE_TYPES:
        return DocumentPage(picture=own)
    if view.entry.mime_type in IMAGE_TYPES:
        return await _images(visit, view)
    if view.entry.mime_type not in CDA_TYPES:
        return DocumentPage()
    _, data = await visit.rooms.records.open(await visit.keys(), view.number, await visit.viewer())
    try:
        html = await client.render_cda(visit.rooms.sandbox, data, owner=(await visit.keys()).owner)
        inner = tuple(_inner(place, file) for place, file in enumerate(await _inner_files(visit, view, data), 1))
    except (Malformed, SandboxFailed):
        return DocumentPage(is_unreadable=True)
    copies = [f"/record/{view.number}/file/{file.number}" for file in inner if file.is_copy and file.is_shown]
    # The sandbox sanitised it with an allow-list; the page's policy lets nothing run besides.
    others = tuple(file for file in inner if not file.is_copy)
    page = DocumentPage(html=Markup(texts.without_tricks(html)), inner=others)  # noqa: S704
    if not copies:
        return page
    return replace(page, copy=copies[0]) if _SECTION in html else replace(page, pdf=copies[0])


async def _images(visit: Visit, view: DocumentView) -> DocumentPage:
    """Of images the PDF that they may carry; the images themselves are for software that shows them."""
    _, data = await visit.rooms.records.open(await visit.keys(), view.number, await visit.viewer())
    try:
        inner = tuple(_inner(place, file) for place, file in enumerate(await _inner_files(visit, view, data), 1))
    except (Malformed, SandboxFailed):
        return DocumentPage()
    copy = next((file.number for file in inner if file.is_copy), None)
    return DocumentPage(pdf=f"/record/{view.number}/file/{copy}") if copy else DocumentPage(inner=inner)


async def _inner_files(visit: Visit, view: DocumentView, data: bytes) -> tuple[EmbeddedFile, ...]:
    """What a CDA or images carry; nothing of other documents. Raises Malformed, SandboxFailed."""
    owner = (await visit.keys()).owner
    if view.entry.mime_type in CDA_TYPES:
        return await client.cda_files(visit.rooms.sandbox, data, owner=owner)
    if view.entry.mime_type in IMAGE_TYPES:
        return await client.image_pdfs(visit.rooms.sandbox, data, owner=owner)
    return ()


def _inner(place: int, file: EmbeddedFile) -> InnerFile:
    media_type = sniff(file.content)
    name = texts.file_name(f"{file.section or 'document'}-{place}", media_type)
    return InnerFile(place, name, len(file.content), file.is_copy, media_type == "application/pdf")


async def file(visit: Visit) -> web.StreamResponse:
    """The document's own bytes."""
    view, data = await visit.rooms.records.open(await visit.keys(), visit.number("document"), await visit.viewer())
    return files.respond(data, _name(view), download="download" in visit.request.query)


async def inner_file(visit: Visit) -> web.StreamResponse:
    """A file that a CDA carries."""
    view, data = await visit.rooms.records.open(await visit.keys(), visit.number("document"), await visit.viewer())
    try:
        inside = await _inner_files(visit, view, data)
    except Malformed:
        inside = ()
    place = visit.number("place")
    if not 1 <= place <= len(inside):
        raise NotFound("file of a document")
    chosen = inside[place - 1]
    name = _name(view) if chosen.is_copy else chosen.section or "document"
    return files.respond(chosen.content, name, download="download" in visit.request.query)


def _name(view: DocumentView) -> str:
    return texts.one_line(view.entry.title or view.entry.type.label or "document", texts.FILENAME_CHARS_MAX).replace(
        "/", "-"
    )


async def history(visit: Visit) -> web.StreamResponse:
    """Who did what with her record."""
    before_ms = visit.query_number("before", FOR_EVER_MS)
    lines = await visit.rooms.records.history(
        await visit.keys(), await visit.viewer(), before_ms=before_ms, limit=PAGE_LINES
    )
    older = to_ms(lines[-1].at) if len(lines) >= PAGE_LINES else 0
    return await visit.page("history.html", lines=lines, older=older, acts=ACTS, roles=ROLES)


ACTS = {
    "filed": N_("Document ajouté"),
    "replaced": N_("Document remplacé par une version plus récente"),
    "withdrawn": N_("Document retiré par son auteur"),
    "unfiled": N_("Un document classé par erreur a été retiré de votre dossier"),
    "returned": N_("Document remis dans votre dossier : il y avait sa place"),
    "announced": N_("Document rendu visible par son auteur, après l'annonce"),
    "opened": N_("Document ouvert"),
}
ROLES = {
    "patient": N_("vous-même"),
    "representative": N_("votre représentant légal"),
    "staff": N_("équipe du service"),
    "sender": N_("expéditeur"),
}

ROUTES = (
    get("/record", show),
    get(f"/record/{{document:{NUMBER}}}", document),
    get(f"/record/{{document:{NUMBER}}}/file", file),
    get(f"/record/{{document:{NUMBER}}}/file/{{place:[0-9]{{1,2}}}}", inner_file),
    get("/history", history),
)
