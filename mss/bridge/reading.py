"""Which documents does this message bring?

Opens archives IHE_XDM, loose CDA documents and DICOM images (one document for each study) in the sandbox, never here.
What is broken, hidden inside another message, or killed the sandbox twice becomes a problem that holds the message;
what is no document for the record (texts, pictures, the PDF twin beside an archive) is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar
from uuid import UUID

from mss.bridge import claims, imaging, relations
from mss.bridge.attachments import (
    ZIP_MEMBER,
    Attachment,
    Kind,
    LoosePart,
    find_attachments,
    has_loose,
    has_unread,
    is_cda,
    loose_parts,
)
from mss.bridge.claims import Claimed, InsClaim
from mss.bridge.facts import Problem
from mss.bridge.imaging import Imaging
from mss.bridge.unsealing import Unsealer
from mss.bridge.versions import ACTION_REPLACE
from mss.formats import dicom, dicomstudy, headers
from mss.formats.cda import CdaHeader
from mss.formats.dicom import DicomHeader
from mss.formats.dicomstudy import Image, Study
from mss.formats.parts import Structure
from mss.formats.xdm import Submission, XdmDocument
from mss.mail.contents import aside
from mss.model.clock import Chance
from mss.model.document import Author, DocumentEntry
from mss.model.errors import Malformed, MssError, SandboxFailed
from mss.model.signature import Signature
from mss.model.verdict import Reason
from mss.sandbox import client
from mss.sandbox.pool import Sandbox

T = TypeVar("T")

DOCUMENTS_MAX = 100  # of one message; senders pack one to seven, and each costs a question to the sandbox

_CHECKS = {
    "application/pdf": client.check_pdf,
    "image/jpeg": client.check_image,
    "image/png": client.check_image,
}
_DICOMDIR_NAME = re.compile(rb"dicomdir", re.IGNORECASE)


class SandboxIll(MssError):
    """The sandbox fails on anything: nothing is said about this message, try again later."""


@dataclass(frozen=True)  # without slots: what is asked of it twice is read once
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
    imaging: Imaging | None = None
    """What DICOM images say of themselves."""

    def bearing(self, signature: Signature) -> ReadDocument:
        """The same, with what was found of the signature around it."""
        return replace(self, entry=replace(self.entry, signature=signature.value)) if signature else self

    @cached_property
    def own_ins(self) -> tuple[InsClaim, ...] | None:
        """The INS that the document itself names. None: it is of a kind that names none, so that its archive counts
        alone; so do images without an issuer, as most modalities write them."""
        if self.header is not None:
            return claims.ins_of_cda(self.header.patient)
        if self.imaging is not None and (self.imaging.ins or self.metadata_ins is None):
            return self.imaging.ins
        return None

    @cached_property
    def used_name(self) -> tuple[str, str]:
        """Family and given name in use, as the document tells them."""
        if self.header is not None:
            return self.header.patient.used_name, self.header.patient.used_given_name
        return self.imaging.used_name if self.imaging is not None else ("", "")

    @cached_property
    def flags(self) -> frozenset[str]:
        coded = self.entry.confidentiality + (self.header.confidentiality if self.header else ())
        return frozenset(code.code for code in coded)

    @cached_property
    def authors(self) -> tuple[Author, ...]:
        return self.entry.authors + (self.header.authors if self.header else ())

    @cached_property
    def traits(self) -> Claimed:
        if self.header is not None:
            return claims.of_cda(self.header.patient)
        if self.imaging is not None:
            return imaging.beside_archive(self.imaging.traits, self.metadata_traits)
        return self.metadata_traits


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
        self,
        sandbox: Sandbox,
        chance: Chance,
        *,
        holds_loose: bool = False,
        files_loose: bool = False,
        unsealer: Unsealer | None = None,
    ) -> None:
        self._unsealer = unsealer or Unsealer(None, None)
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
        unsealed = await self._unsealer.unseal(raw, structure, _author(structure))
        raw, structure = unsealed.raw, unsealed.structure
        names = tuple(dict.fromkeys(name for part in structure.root.walk() if (name := part.filename)))
        reading = await self._read(owner, raw, structure, opens_forwarded=opens_forwarded)
        reading = replace(
            reading,
            documents=tuple(document.bearing(unsealed.signature) for document in reading.documents),
            problem=unsealed.problem or reading.problem,
        )
        look = has_unread if by_application else has_loose if self._holds_loose else None
        is_loose = look is not None and not reading.documents and await aside(len(raw), look, raw, structure)
        files: tuple[LoosePart, ...] = ()
        if self._files_loose and not by_application and not reading.documents and reading.problem is None:
            files = await self._readable(owner, await aside(len(raw), loose_parts, raw, structure))
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
        attachments = await aside(len(raw), find_attachments, raw, structure)
        hidden = [one for one in attachments if one.is_encoded or (one.is_forwarded and not opens_forwarded)]
        if any(one.kind is not Kind.ZIP or one.is_encoded for one in hidden):
            return Reading(problem=Problem(Reason.LOOSE_DOCUMENT, "inside a forwarded message"))
        documents: list[ReadDocument] = []
        loose_images: list[tuple[Image, bytes]] = []
        try:
            for attachment in attachments:
                if attachment.kind is Kind.IMAGE:
                    image = await self._ask(client.read_image, attachment.content, owner)
                    loose_images.append((image, attachment.content))
                else:
                    documents += await self._documents_of(owner, attachment, is_hidden=attachment in hidden)
                if len(documents) > DOCUMENTS_MAX or len(loose_images) > dicomstudy.IMAGES_MAX:
                    return Reading(tuple(documents), Problem(Reason.ARCHIVE_UNSAFE, "too many documents"))
            packed = {document.content for document in documents if document.imaging is not None}
            apart = [one for one in loose_images if one[1] not in packed]  # a copy beside its archive is no second one
            for study in await aside(sum(len(content) for _, content in apart), dicomstudy.together, apart):
                documents.append(self._images(study, study.content or b""))
        except _Asked as asked:
            return Reading(tuple(documents), asked.problem)
        except Malformed as malformed:
            return Reading(tuple(documents), Problem(malformed.reason, malformed.detail))
        except SandboxFailed:
            return Reading(tuple(documents), Problem(Reason.UNREADABLE))
        return _without_twins(documents)

    async def _documents_of(self, owner: int, attachment: Attachment, *, is_hidden: bool) -> list[ReadDocument]:
        match attachment.kind:
            case Kind.ARCHIVE:
                return await self._archive(owner, attachment.content)
            case Kind.CDA:
                return await self._loose(owner, attachment.content)
        found = await self._zip(owner, attachment.content)
        if found and is_hidden:
            raise Malformed(Reason.LOOSE_DOCUMENT, "inside a forwarded message")
        return found

    async def _zip(self, owner: int, data: bytes) -> list[ReadDocument]:
        """The studies in a ZIP that is no IHE_XDM. One without DICOMDIR that cannot be read is a file like another,
        perhaps with a password."""
        try:
            studies = await self._ask(client.read_images, data, owner)
        except Malformed as malformed:
            if _DICOMDIR_NAME.search(data) or malformed.reason is Reason.DICOM_BROKEN:
                raise
            return []
        return [self._images(study, data if study.content is None else study.content) for study in studies]

    def _images(self, study: Study, content: bytes) -> ReadDocument:
        """A study without archive: its headers say everything."""
        entry_uuid = UUID(bytes=self._chance.token(16), version=4).urn
        entry = dicomstudy.entry_of(study, content, entry_uuid)
        return ReadDocument(entry, content, None, None, Claimed(), imaging=imaging.of_study(study.headers))

    async def _archive(self, owner: int, data: bytes) -> list[ReadDocument]:
        package = await self._ask(client.read_package, data, owner)
        found = []
        for submission in package.submissions:
            if (problem := relations.objection(submission)) is not None:
                raise _Asked(problem)
            for document in submission.documents:
                found.append(await self._document(owner, submission, document))
        if not found:
            raise _Asked(Problem(Reason.RELATION_UNKNOWN, "no document"))
        return found

    async def _document(self, owner: int, submission: Submission, document: XdmDocument) -> ReadDocument:
        header = None
        if is_cda(document.content):
            header = await self._ask(client.read_cda, document.content, owner)
        images = await self._headers_in(owner, document.content)
        entry = document.entry if header is None else completed(document.entry, header)
        if images:
            entry = dicomstudy.completed(entry, images)
        ids = [claims.ins_of_cx(document.entry.patient_id)]
        around = [submission.set.patient_id, *(folder.patient_id for folder in submission.folders)]
        ids += [claims.ins_of_cx(patient_id) for patient_id in dict.fromkeys(around) if patient_id]
        named = document.entry.entry_uuid
        said = header.adds_to if header else ("", "")
        adds_to, adds_as = said if said[0] else relations.added_to(submission, named)
        entry = replace(
            entry,
            adds_to=adds_to,
            adds_as=adds_as,
            folders=relations.folders_of(submission, named),
        )
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
            imaging=imaging.of_study(images) if images else None,
        )

    async def _headers_in(self, owner: int, content: bytes) -> tuple[DicomHeader, ...]:
        """Of the images that a document of an archive is, or is a ZIP of."""
        if dicom.is_dicom(content):
            return ((await self._ask(client.read_image, content, owner)).header,)
        if not content.startswith(ZIP_MEMBER):
            return ()
        studies = await self._ask(client.read_images, content, owner)
        return tuple(header for study in studies for header in study.headers)

    async def _loose(self, owner: int, data: bytes) -> list[ReadDocument]:
        """A CDA without archive: its header says everything."""
        from mss.formats import xdmwrite  # writers of archives are rarely needed here

        header = await self._ask(client.read_cda, data, owner)
        entry_uuid = UUID(bytes=self._chance.token(16), version=4).urn
        entry = xdmwrite.entry_from_cda(header, data, entry_uuid=entry_uuid)
        adds_to, adds_as = header.adds_to
        entry = replace(entry, adds_to=adds_to, adds_as=adds_as)
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

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reason.value)
        self.problem = problem


def _author(structure: Structure) -> str:
    """The address in From; empty when there is none, or more than one."""
    shown = headers.parse_addresses(structure.header("From") or "")
    return shown[0].address if len(shown) == 1 else ""


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
