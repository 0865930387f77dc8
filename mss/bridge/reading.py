"""Which documents does this message bring?

Looks through the parts for archives IHE_XDM and loose CDA documents; opens each in the sandbox, never here. What is
broken, hidden inside another message, or killed the sandbox twice becomes a problem that holds the message; what is
no document for the record (texts, pictures, the PDF twin beside an archive) is left alone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

from mss.bridge import claims
from mss.bridge.claims import Claimed, InsClaim
from mss.bridge.facts import Problem
from mss.bridge.versions import ACTION_REPLACE
from mss.formats import filetypes, mime
from mss.formats.cda import CdaHeader
from mss.formats.parts import Part, Structure, decode_body
from mss.formats.xdm import Submission, XdmDocument
from mss.model.clock import Chance
from mss.model.document import Author, DocumentEntry
from mss.model.errors import Malformed, MssError, SandboxFailed
from mss.model.verdict import Reason
from mss.record import loose
from mss.sandbox import client
from mss.sandbox.pool import Sandbox

T = TypeVar("T")

CONTENT_BYTES_MAX = 35 * 1024 * 1024  # no message is larger
DOCUMENTS_MAX = 100  # of one message; senders pack one to seven, and each costs a question to the sandbox
ENCODED_MESSAGES_DEPTH_MAX = 3  # messages that were encoded against RFC 2046 §5.2.1, one inside another

LOOSE_TYPES = frozenset(
    {"application/pdf", "application/rtf", "application/dicom", "image/jpeg", "image/png", "image/tiff"}
)

_CHECKS = {
    "application/pdf": client.check_pdf,
    "image/jpeg": client.check_image,
    "image/png": client.check_image,
}
_ARCHIVE_NAME = re.compile(r"ihe[_ -]?xdm.*\.zip\Z", re.IGNORECASE | re.DOTALL)
_METADATA_NAME = re.compile(rb"metadata\.xml", re.IGNORECASE)  # names in a ZIP are never compressed
_ZIP_MEMBER = b"PK\x03\x04"  # APPNOTE §4.3.7
_CDA_ROOT = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?ClinicalDocument[\s>/]")


class SandboxIll(MssError):
    """The sandbox fails on anything: nothing is said about this message, try again later."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that may be for the record. `is_forwarded`: it lies inside another message; `is_encoded`: inside one that
    was encoded, so that its header was not read."""

    is_archive: bool
    is_forwarded: bool
    content: bytes
    is_encoded: bool = False


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document with what it and its archive claim."""

    entry: DocumentEntry
    content: bytes
    header: CdaHeader | None
    metadata_ins: tuple[InsClaim | None, ...] | None
    metadata_traits: Claimed
    action: str = ""
    must_replace: bool = False
    replaces: tuple[str, ...] = ()
    """uniqueIds, or entry ids, of what it replaces."""

    @property
    def flags(self) -> frozenset[str]:
        coded = self.entry.confidentiality + (self.header.confidentiality if self.header else ())
        return frozenset(code.code for code in coded)

    @property
    def authors(self) -> tuple[Author, ...]:
        return self.entry.authors + (self.header.authors if self.header else ())

    @property
    def traits(self) -> Claimed:
        return claims.of_cda(self.header.patient) if self.header else self.metadata_traits


@dataclass(frozen=True, slots=True)
class LoosePart:
    """A file that no archive describes and that its true parser, where there is one, can read."""

    path: str
    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """What a message brings, or why that cannot be told."""

    documents: tuple[ReadDocument, ...] = ()
    problem: Problem | None = None
    file_names: tuple[str, ...] = ()
    """Of every part that has one, as people read them."""
    has_loose_files: bool = False
    """Files that could be documents and that no archive describes; looked for only where the house holds them."""
    loose: tuple[LoosePart, ...] = ()
    """Those files; looked for only where the house files them."""


class Reader:
    """Reads messages with the help of the sandbox."""

    def __init__(
        self, sandbox: Sandbox, chance: Chance, *, holds_loose: bool = False, files_loose: bool = False
    ) -> None:
        self._sandbox = sandbox
        self._chance = chance
        self._holds_loose = holds_loose
        self._files_loose = files_loose

    async def read(
        self,
        owner: int,
        raw: bytes,
        structure: Structure,
        *,
        by_application: bool = False,
        opens_forwarded: bool = False,
    ) -> Reading:
        """Find and open. `by_application`: for an application mailbox, where loose files always wait;
        `opens_forwarded`: what lies in forwarded messages too. Raises SandboxIll, SandboxBusy: the duty is then done
        later."""
        names = tuple(dict.fromkeys(part.filename for part in structure.root.walk() if part.filename))
        reading = await self._read(owner, raw, structure, opens_forwarded=opens_forwarded)
        holds_loose = self._holds_loose or by_application
        is_loose = holds_loose and not reading.documents and await asyncio.to_thread(has_loose, raw, structure)
        files: tuple[LoosePart, ...] = ()
        if self._files_loose and not by_application and not reading.documents and reading.problem is None:
            files = await self._readable(owner, await asyncio.to_thread(loose_parts, raw, structure))
        return replace(reading, file_names=names, has_loose_files=is_loose, loose=files)

    async def _readable(self, owner: int, parts: list[LoosePart]) -> tuple[LoosePart, ...]:
        """What is broken stays in the message, where she finds it."""
        found = []
        for part in parts[:DOCUMENTS_MAX]:
            check = _CHECKS.get(part.media_type)
            try:
                if check is not None:
                    await self._ask(check, part.content, owner)
                found.append(part)
            except (Malformed, SandboxFailed):
                continue
        return tuple(found)

    async def _read(self, owner: int, raw: bytes, structure: Structure, *, opens_forwarded: bool) -> Reading:
        attachments = await asyncio.to_thread(find_attachments, raw, structure)
        if any(one.is_encoded or (one.is_forwarded and not opens_forwarded) for one in attachments):
            return Reading(problem=Problem(Reason.LOOSE_DOCUMENT, "inside a forwarded message"))
        documents: list[ReadDocument] = []
        try:
            for attachment in attachments:
                read = self._archive if attachment.is_archive else self._loose
                documents += await read(owner, attachment.content)
                if len(documents) > DOCUMENTS_MAX:
                    return Reading(tuple(documents), Problem(Reason.ARCHIVE_UNSAFE, "too many documents"))
        except _Asked as asked:
            return Reading(tuple(documents), Problem(Reason.VERSION_WRONG, str(asked)))
        except Malformed as malformed:
            return Reading(tuple(documents), Problem(malformed.reason, malformed.detail))
        except SandboxFailed:
            return Reading(tuple(documents), Problem(Reason.UNREADABLE))
        return _without_twins(documents)

    async def _archive(self, owner: int, data: bytes) -> list[ReadDocument]:
        package = await self._ask(client.read_package, data, owner)
        found = []
        for submission in package.submissions:
            if any(link.new_status or link.kind == "UpdateAvailabilityStatus" for link in submission.associations):
                raise _Asked("change of status asked")
            for document in submission.documents:
                found.append(await self._document(owner, submission, document))
        if not found:
            raise _Asked("no document")
        return found

    async def _document(self, owner: int, submission: Submission, document: XdmDocument) -> ReadDocument:
        header = None
        if is_cda(document.content):
            header = await self._ask(client.read_cda, document.content, owner)
        entry = document.entry if header is None else completed(document.entry, header)
        ids = [claims.ins_of_cx(document.entry.patient_id)]
        if submission.set.patient_id:
            ids.append(claims.ins_of_cx(submission.set.patient_id))
        info = document.entry.source_patient_info
        told = header.replaces if header else ()
        targets = dict.fromkeys([*(one.unique_id for one in told), document.entry.replaces])
        return ReadDocument(
            entry=entry,
            content=document.content,
            header=header,
            metadata_ins=tuple(ids),
            metadata_traits=claims.of_metadata(info, untyped_name_counts=header is None),
            action=document.action,
            must_replace=document.action == ACTION_REPLACE,
            replaces=tuple(filter(None, targets)),
        )

    async def _loose(self, owner: int, data: bytes) -> list[ReadDocument]:
        """A CDA without archive: its header says everything."""
        from mss.formats import xdmwrite  # writers of archives are rarely needed here

        header = await self._ask(client.read_cda, data, owner)
        entry_uuid = UUID(bytes=self._chance.token(16), version=4).urn
        entry = xdmwrite.entry_from_cda(header, data, entry_uuid=entry_uuid)
        replaced = tuple(one.unique_id for one in header.replaces)
        return [ReadDocument(entry, data, header, None, Claimed(), replaces=replaced)]

    async def _ask(self, job: Callable[..., Awaitable[T]], data: bytes, owner: int) -> T:
        """Ask the sandbox; when a worker dies, ask another one, so that an accident is not held against a document."""
        try:
            return await job(self._sandbox, data, owner=owner)
        except SandboxFailed:
            await self._is_well()
        return await job(self._sandbox, data, owner=owner)

    async def _is_well(self) -> None:
        try:
            await client.html_to_text(self._sandbox, "<p>a")
        except SandboxFailed as failed:
            raise SandboxIll(str(failed)) from failed


class _Asked(MssError):
    """The archive asks for something that only a human decides."""


def find_attachments(raw: bytes, structure: Structure) -> list[Attachment]:
    """The archives and loose CDA documents among the parts; what a report returns is the patient's own mail."""
    is_report = structure.root.content_type == "multipart/report"
    found = _attachments(raw, structure.root, is_forwarded=False, depth=0)
    return [one for one in found if not (is_report and one.is_forwarded)]


def _attachments(raw: bytes, part: Part, *, is_forwarded: bool, depth: int) -> Iterator[Attachment]:
    if part.children:
        inside = is_forwarded or part.message is not None
        for child in part.children:
            yield from _attachments(raw, child, is_forwarded=inside, depth=depth)
        return
    if part.is_multipart:
        return
    content = decode_body(raw, part, CONTENT_BYTES_MAX)  # of texts too: any of them may be a file in disguise
    if part.content_type == "message/rfc822":
        yield from _inside(content, depth)
    elif is_archive(part.filename or "", content):
        yield Attachment(True, is_forwarded, content)
    elif is_cda(content):
        yield Attachment(False, is_forwarded, content)


def _inside(content: bytes, depth: int) -> Iterator[Attachment]:
    """A message that was encoded: look into it all the same, and take what cannot be looked into for the worst."""
    try:
        structure = mime.scan(content) if depth < ENCODED_MESSAGES_DEPTH_MAX else None
    except Malformed:
        structure = None
    if structure is None:
        yield Attachment(True, True, b"", is_encoded=True)
        return
    for one in _attachments(content, structure.root, is_forwarded=True, depth=depth + 1):
        yield replace(one, is_encoded=True)


def has_loose(raw: bytes, structure: Structure) -> bool:
    """Whether there is a file that could be a document."""
    return next(_loose(raw, structure), None) is not None


def loose_parts(raw: bytes, structure: Structure) -> list[LoosePart]:
    """Those that may be kept in a record without being described."""
    return [part for part in _loose(raw, structure) if part.media_type in loose.TYPES]


def _loose(raw: bytes, structure: Structure) -> Iterator[LoosePart]:
    """Files that could be documents, by their bytes. A picture that the text shows (a logo) and a report are none."""
    if structure.root.content_type == "multipart/report":
        return
    shown = {id(child) for part in structure.root.walk() if part.subtype == "related" for child in part.children}
    for part in structure.root.walk():
        is_inline = part.content_id and id(part) in shown and part.disposition != "attachment"
        if part.children or part.is_multipart or is_inline:
            continue
        content = decode_body(raw, part, CONTENT_BYTES_MAX)
        media_type = filetypes.sniff(content)
        if media_type in LOOSE_TYPES:
            yield LoosePart(part.path, part.filename or f"piece-{part.path}", media_type, content)


def is_archive(filename: str, content: bytes) -> bool:
    """Named IHE_XDM, or a ZIP that names a METADATA.XML, behind whatever bytes. The archive itself is not opened."""
    if _ARCHIVE_NAME.match(filename):
        return True
    return _ZIP_MEMBER in content and _METADATA_NAME.search(content) is not None


def is_cda(content: bytes) -> bool:
    """XML with a ClinicalDocument in it, in any usual encoding. The XML is not parsed."""
    if filetypes.sniff(content) != "text/xml":
        return False
    return bool(_CDA_ROOT.search(content) or (b"\0" in content and _CDA_ROOT.search(content.replace(b"\0", b""))))


def completed(entry: DocumentEntry, header: CdaHeader) -> DocumentEntry:
    """The fiche of a CDA: its own id and versions, and what METADATA leaves out."""
    return replace(
        entry,
        unique_id=header.id.unique_id,
        title=entry.title or header.title or header.code.label,
        type=entry.type if entry.type.code else header.code,
        authors=entry.authors or header.authors,
        creation_time=entry.creation_time or header.effective_time,
        service_start=entry.service_start or header.service_start,
        service_stop=entry.service_stop or header.service_stop,
        set_id=header.set_id.unique_id if header.set_id else "",
        version=header.version or entry.version,
        replaces=next((one.unique_id for one in header.replaces), entry.replaces),
    )


def _without_twins(documents: list[ReadDocument]) -> Reading:
    """The same document twice in one message is one; two contents or two descriptions under one id are a conflict."""
    kept: dict[str, ReadDocument] = {}
    for document in documents:
        known = kept.setdefault(document.entry.unique_id, document)
        is_loose = document.metadata_ins is None or known.metadata_ins is None
        if known.content != document.content or (not is_loose and _described(known) != _described(document)):
            return Reading(tuple(documents), Problem(Reason.DOCUMENT_CONFLICT, "inside one message"))
        if known.metadata_ins is None:  # what an archive says binds
            kept[document.entry.unique_id] = document
    return Reading(tuple(kept.values()))


def _described(document: ReadDocument) -> tuple[object, ...]:
    said = (document.metadata_ins, document.metadata_traits, document.flags)
    return (*said, document.action, document.must_replace, document.replaces)
