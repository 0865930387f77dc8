"""What do the pages of the inbox show, and how does an answer leave them?"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from aiohttp import web

from mss.directory.extras import NOTHING_KNOWN
from mss.formats.filetypes import sniff
from mss.mail.mailboxes import AttachmentView, ConversationDetail, MessageView
from mss.model.clock import to_ms
from mss.model.document import DocumentStatus
from mss.model.errors import Malformed, NotFound, SandboxFailed
from mss.model.ids import MailAddress
from mss.model.verdict import Accept
from mss.record import loose
from mss.record.loose import LooseFile
from mss.record.service import Change, DocumentView, EventKind
from mss.sandbox import client
from mss.sandbox.pool import SandboxBusy
from mss.web import files, texts
from mss.web.forms import FileFault
from mss.web.replies import reply_to
from mss.web.routing import NUMBER, PART, get, post
from mss.web.session import Visit
from mss.web.words import N_

PAGE_LINES = 20
FOR_EVER_MS = 10**15
ONCE_BYTES = 12

_GONE = N_("Votre correspondant ne peut plus répondre : sa boîte est fermée.")
_NOT_KEPT = N_("Ce fichier ne peut pas être lu : il n’a pas été ajouté à votre dossier.")
_EMPTY = N_("Écrivez un message, ou joignez un fichier.")
_FAULTS = {
    "too-large": N_("« %(name)s » dépasse 5 Mo."),
    "all-too-large": N_("« %(name)s » est de trop : les fichiers dépassent 20 Mo ensemble."),
    "too-many": N_("« %(name)s » est de trop : dix fichiers au plus."),
    "wrong-type": N_("« %(name)s » ne peut pas être joint : seulement PDF, JPEG, PNG, TIFF, TXT ou RTF."),
    "empty": N_("« %(name)s » est vide."),
}


@dataclass(frozen=True, slots=True)
class AttachmentLine:
    """An attachment as the page names it."""

    view: AttachmentView
    name: str
    url: str
    is_picture: bool
    is_shown: bool
    may_be_kept: bool = False
    """She may put it into her record."""
    kept_as: int = 0
    """The document that it is there."""


@dataclass(frozen=True, slots=True)
class MessageLine:
    """A message as the page shows it. `name` is the directory's, or what the sender calls himself."""

    view: MessageView
    name: str
    written_name: str
    """Before what deceives in it was made harmless."""
    is_verified: bool
    text: str
    quotation: str
    attachments: tuple[AttachmentLine, ...]
    documents: tuple[DocumentView, ...]
    withdrawals: tuple[Change, ...] = ()

    @property
    def has_replaced(self) -> bool:
        """What is attached is, at least in part, of a version that was replaced."""
        return any(document.status is DocumentStatus.SUPERSEDED for document in self.documents)


@dataclass(frozen=True, slots=True)
class Names:
    """How the directory calls whoever is behind some addresses. `verified`: those whom somebody vouches for now."""

    called: Mapping[str, str]
    verified: Collection[str]


async def _names(visit: Visit, addresses: Collection[str]) -> Names:
    verified = await visit.rooms.verified_names(addresses)
    return Names({**await visit.rooms.known_names(addresses), **verified}, verified.keys())


async def show(visit: Visit) -> web.StreamResponse:
    """Conversations, newest first."""
    keys = await visit.keys()
    before_ms = visit.query_number("before", FOR_EVER_MS)
    lines = await visit.rooms.inbox.conversations(keys, before_ms=before_ms, limit=PAGE_LINES + 1)
    older = to_ms(lines[PAGE_LINES - 1].last_at) if len(lines) > PAGE_LINES else 0
    names = (await _names(visit, {line.contact_address for line in lines[:PAGE_LINES]})).called
    named = [(line, names.get(line.contact_address, "")) for line in lines[:PAGE_LINES]]
    return await visit.page("inbox.html", lines=named, older=older, is_first=before_ms == FOR_EVER_MS)


async def conversation(visit: Visit) -> web.StreamResponse:
    """A conversation's messages, and where she may answer, the form to do so. Opening is reading."""
    number = visit.number("conversation")
    detail = await visit.rooms.inbox.conversation(await visit.keys(), number)
    await visit.rooms.inbox.mark_read(await visit.keys(), number)
    return await _conversation_page(visit, detail)


async def _conversation_page(
    visit: Visit, detail: ConversationDetail, *, status: int = 200, errors: tuple[str, ...] = (), draft: str = ""
) -> web.Response:
    documents = {}
    if any(message.documents for message in detail.messages):
        seen = await visit.rooms.records.documents(await visit.keys(), await visit.viewer())
        documents = {view.number: view for view in seen}
    withdrawn = [number for message in detail.messages for number in message.withdrawn]
    changes = await visit.rooms.records.changes(await visit.keys(), withdrawn, EventKind.WITHDRAWN)
    addresses = {detail.view.contact_address, *(message.sender_address for message in detail.messages)}
    names = await _names(visit, addresses)
    lines = [
        await _message(visit, detail.view.number, message, documents, changes, names) for message in detail.messages
    ]
    gone = await visit.rooms.gone({detail.view.contact_address})
    extras = await visit.rooms.extras({detail.view.contact_address})
    return await visit.page(
        "conversation.html",
        status=status,
        detail=detail,
        is_gone=detail.view.contact_address in gone,
        extra=extras.get(detail.view.contact_address, NOTHING_KNOWN),
        lines=lines,
        contact=names.called.get(detail.view.contact_address, ""),
        errors=errors,
        draft=draft,
        once=visit.rooms.chance.token(ONCE_BYTES).hex(),
        was_sent="sent" in visit.request.query,
        was_kept="kept" in visit.request.query,
    )


async def _message(
    visit: Visit,
    conversation: int,
    view: MessageView,
    documents: dict[int, DocumentView],
    withdrawals: dict[int, Change],
    names: Names,
) -> MessageLine:
    called = "" if view.outgoing else names.called.get(view.sender_address, "")
    brought = tuple(documents[number] for number in view.documents if number in documents)
    text, quotation = texts.split_quotation(texts.body(await _readable(visit, view)))
    return MessageLine(
        view=view,
        name=texts.name(called or view.sender_name),
        written_name=called or view.sender_name,
        is_verified=not view.outgoing and view.sender_address in names.verified,
        text=text,
        quotation=quotation,
        attachments=_attachments(conversation, view, brought),
        documents=tuple(document for document in brought if not loose.is_loose(document.entry)),
        withdrawals=tuple(withdrawals[number] for number in view.withdrawn),
    )


async def _readable(visit: Visit, view: MessageView) -> str:
    """Plain text; HTML only as the words that the sandbox finds in it."""
    if view.body_text is not None:
        return view.body_text
    if view.body_html is None:
        return ""
    try:
        return await client.html_to_text(visit.rooms.sandbox, view.body_html, owner=(await visit.keys()).owner)
    except (Malformed, SandboxFailed, SandboxBusy):
        return visit.words.gettext(N_("[Ce message ne peut pas être affiché.]"))


def _attachments(conversation: int, view: MessageView, brought: tuple[DocumentView, ...]) -> tuple[AttachmentLine, ...]:
    """Files that no archive describes are offered for the record. Beside an archive they are copies for reading."""
    kept = {document.entry.unique_id: document.number for document in brought}
    is_plain = len(brought) == len(view.documents) and all(loose.is_loose(document.entry) for document in brought)
    is_offered = is_plain and not view.outgoing and not view.withdrawn
    lines = [_attachment(conversation, view.number, one) for one in view.attachments]
    return tuple(
        replace(
            line,
            may_be_kept=is_offered and line.view.mime_type in loose.TYPES,
            kept_as=kept.get(loose.unique_id(view.number, line.view.path), 0),
        )
        for line in lines
    )


def _attachment(conversation: int, message: int, view: AttachmentView) -> AttachmentLine:
    return AttachmentLine(
        view=view,
        name=texts.file_name(view.filename),
        url=f"/inbox/{conversation}/{message}/{view.path}",
        is_picture=view.mime_type in files.PICTURE_TYPES,
        is_shown=view.mime_type in files.SHOWN_TYPES,
    )


async def attachment(visit: Visit) -> web.StreamResponse:
    """An attachment's bytes. Where the message brought documents, opening it is opening them."""
    keys, message = await visit.keys(), visit.number("message")
    part = visit.request.match_info["part"]
    data, _, name = await visit.rooms.inbox.attachment(keys, visit.number("conversation"), message, part)
    await visit.rooms.records.opened_in_message(keys, message, await visit.viewer())
    return files.respond(data, name, download="download" in visit.request.query)


async def keep(visit: Visit) -> web.StreamResponse:
    """Put a file of a message into her record, at her word. A second press finds it there."""
    keys, number, message = await visit.keys(), visit.number("conversation"), visit.number("message")
    path = visit.request.match_info["part"]
    data, _, name = await visit.rooms.inbox.attachment(keys, number, message, path)
    detail = await visit.rooms.inbox.conversation(keys, number)
    seen = await visit.rooms.records.documents(keys, await visit.viewer())
    documents = {view.number: view for view in seen}
    view = next((one for one in detail.messages if one.number == message), None)
    if view is None:
        raise NotFound("message")
    brought = tuple(documents[one] for one in view.documents if one in documents)
    lines = {line.view.path: line for line in _attachments(number, view, brought)}
    media_type = sniff(data)
    if path not in lines or not (lines[path].may_be_kept or lines[path].kept_as):
        raise NotFound("file that may be kept")
    if media_type not in loose.TYPES or not await _opens(visit, media_type, data):
        return await _give_back(visit, 422, visit.words.gettext(_NOT_KEPT))
    names = await _names(visit, {view.sender_address})
    sender = names.called.get(view.sender_address) or view.sender_name
    file = LooseFile(message, path, texts.file_name(name), media_type, data, sender, view.at)
    await visit.rooms.records.keep(keys, file, await visit.viewer())
    return visit.redirect(f"/inbox/{number}", kept="1")


async def _opens(visit: Visit, media_type: str, data: bytes) -> bool:
    """Whether the true parser can read it, where there is one."""
    owner = (await visit.keys()).owner
    try:
        if media_type == "application/pdf":
            await client.check_pdf(visit.rooms.sandbox, data, owner=owner)
        elif media_type in ("image/jpeg", "image/png"):
            await client.check_image(visit.rooms.sandbox, data, owner=owner)
    except (Malformed, SandboxFailed, SandboxBusy):
        return False
    return True


async def reply(visit: Visit) -> web.StreamResponse:
    """Send her answer; whatever goes wrong, her text comes back."""
    number, body = visit.number("conversation"), visit.form.get("body")
    keys, profile = await visit.keys(), await visit.profile()
    errors = [_fault(visit, fault) for fault in visit.form.faults]
    if not errors and not body.strip() and not visit.form.files:
        errors.append(visit.words.gettext(_EMPTY))
    if errors:
        return await _give_back(visit, 422, *errors)
    contact = (await visit.rooms.inbox.conversation(keys, number)).view.contact_address
    if contact in await visit.rooms.gone({contact}):
        return await _give_back(visit, 409, visit.words.gettext(_GONE))
    once = visit.form.get("once")
    if not visit.rooms.recent_forms.is_first(keys.owner, once):
        return visit.redirect(f"/inbox/{number}", sent="1")
    sender = (profile.display_name, MailAddress.parse(profile.address))
    receipt = await visit.rooms.replies.reply(keys, sender, number, body, visit.form.files)
    if isinstance(receipt.verdict, Accept):
        return visit.redirect(f"/inbox/{number}", sent="1")
    visit.rooms.recent_forms.forget(keys.owner, once)
    said = reply_to(receipt.verdict)
    return await _give_back(visit, said.status, visit.words.gettext(said.sentence))


async def _give_back(visit: Visit, status: int, *errors: str) -> web.Response:
    detail = await visit.rooms.inbox.conversation(await visit.keys(), visit.number("conversation"))
    return await _conversation_page(visit, detail, status=status, errors=errors, draft=visit.form.get("body"))


def _fault(visit: Visit, fault: FileFault) -> str:
    return visit.words.gettext(_FAULTS[fault.why]) % {"name": fault.filename}


ROUTES = (
    get("/inbox", show),
    get(f"/inbox/{{conversation:{NUMBER}}}", conversation),
    post(f"/inbox/{{conversation:{NUMBER}}}", reply, with_files=True),
    get(f"/inbox/{{conversation:{NUMBER}}}/{{message:{NUMBER}}}/{{part:{PART}}}", attachment),
    post(f"/inbox/{{conversation:{NUMBER}}}/{{message:{NUMBER}}}/{{part:{PART}}}/keep", keep),
)
