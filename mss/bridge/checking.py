"""What would become of this archive, told to whoever makes such archives? Judges as the bridge does, files nothing.

Nobody's record is looked at: the patient is taken to be known exactly as the documents name him, so that the answer
depends on what was sent alone and betrays nobody. No number, name or title is repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from enum import StrEnum

from mss.bridge import relations, versions
from mss.bridge.attachments import Kind, find_attachments
from mss.bridge.case import NOT_QUALIFIED
from mss.bridge.explain import EXPLANATIONS
from mss.bridge.facts import Deliver, DocumentFacts, Hold, Identity, Label, Leave, MessageFacts, Verdict
from mss.bridge.matching import judge, visibility_of
from mss.bridge.names import Called, label_of_file, label_of_subject
from mss.bridge.reading import ReadDocument, Reader, Reading
from mss.formats import headers, mdn, mime
from mss.formats.parts import Structure
from mss.formats.xdm import XdmPackage
from mss.model.document import Visibility
from mss.model.errors import BadValue, Malformed, SandboxFailed
from mss.model.ids import Ins
from mss.model.people import IdentityTraits
from mss.sandbox import client
from mss.sandbox.pool import Sandbox

NOBODY = 0
"""The owner whose sandbox worker reads it: of no patient."""
INS_HEADER = "X-MSS-INS"


class Mark(StrEnum):
    """How good a line is."""

    GOOD = "ok"
    ODD = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at."""

    about: str
    mark: Mark
    said: str


@dataclass(frozen=True, slots=True)
class Report:
    """All of it, and in the end what would happen. `code`: the ANS code (0: filed, or nothing to file)."""

    lines: tuple[Line, ...]
    outcome: str
    reason: str = ""
    code: int = 0

    @property
    def is_good(self) -> bool:
        return self.outcome == "filed"

    def text(self) -> str:
        """For people, a line each."""
        told = [f"[{line.mark.value:5}] {line.about}: {line.said}" for line in self.lines]
        why = f", code {self.code}: {self.reason}" if self.reason else ""
        return "\n".join([*told, f"RESULT: {self.outcome}{why}"])


class Checker:
    """Reads in the sandbox. Needs no store and no key."""

    def __init__(self, sandbox: Sandbox, reader: Reader, *, accepts_test_identities: bool) -> None:
        self._sandbox = sandbox
        self._reader = reader
        self._accepts_test_identities = accepts_test_identities

    async def check(self, raw: bytes) -> Report:
        """Of a whole message. Raises SandboxIll, SandboxBusy, and Malformed for what no door would take."""
        structure = await asyncio.to_thread(mime.scan, raw)
        reading = await self._reader.read(NOBODY, raw, structure)
        lines = [line async for line in self._archives(raw, structure)]
        for number, document in enumerate(reading.documents, 1):
            lines += _document(f"document {number}", document, accepts_tests=self._accepts_test_identities)
        verdict = judge(self._facts(structure, reading))
        lines += _labels(structure, reading)
        return _concluded(lines, verdict, reading)

    async def _archives(self, raw: bytes, structure: Structure) -> AsyncIterator[Line]:
        """Structure and metadata of each archive."""
        found = await asyncio.to_thread(find_attachments, raw, structure)
        if not any(one.kind is Kind.ARCHIVE for one in found):
            yield Line("archive", Mark.ODD, "no IHE_XDM archive: loose documents only, or none")
        for number, one in enumerate((each for each in found if each.kind is Kind.ARCHIVE), 1):
            try:
                package = await client.read_package(self._sandbox, one.content, owner=NOBODY)
            except Malformed as malformed:
                yield Line(f"archive {number}", Mark.WRONG, f"{malformed.reason.value}: {malformed.detail}")
            except SandboxFailed:
                yield Line(f"archive {number}", Mark.WRONG, "the reader failed on it")
            else:
                for line in _package(f"archive {number}", package):
                    yield line

    def _facts(self, structure: Structure, reading: Reading) -> MessageFacts:
        if reading.problem is not None:
            return MessageFacts(problem=reading.problem)
        patient = _named(reading)
        flags = frozenset(flag for document in reading.documents for flag in document.flags)
        said_not = (structure.header(INS_HEADER) or "").strip().upper() == NOT_QUALIFIED
        documents = tuple(
            DocumentFacts(
                addressee=patient,
                accepts_test_identities=self._accepts_test_identities,
                said_not_qualified=said_not,
                metadata_ins=document.metadata_ins,
                cda_ins=document.own_ins,
                traits=document.traits,
                metadata_traits=document.metadata_traits,
                flags=flags,
                action=document.action,
                authors=document.authors,
            )
            for document in reading.documents
        )
        called = tuple(
            Called(
                (one.traits.birth_name, *_used(reading, 0)),
                (*one.traits.given_names, *_used(reading, 1)),
                one.traits.birth_date,
            )
            for one in patient
        )
        return MessageFacts(documents, labels=tuple(_spoken(structure, reading)), called=called)


def _named(reading: Reading) -> tuple[Identity, ...]:
    """The patient as the first document names him, taken for known and qualified; nobody when that cannot be."""
    for document in reading.documents:
        claims = [claim for claim in (*(document.own_ins or ()), *(document.metadata_ins or ())) if claim is not None]
        traits = document.traits
        if not claims or traits.birth_date is None or traits.sex is None:
            continue
        try:
            ins = Ins.parse(claims[0].value, claims[0].oid)
        except BadValue:
            continue
        given = (traits.first_given_name,)
        known = IdentityTraits(traits.birth_name, given, traits.birth_date, traits.sex, traits.birth_place)
        return (Identity(ins, known, is_qualified=True),)
    return ()


def _used(reading: Reading, place: int) -> tuple[str, ...]:
    return tuple(filter(None, (document.used_name[place] for document in reading.documents)))


def _spoken(structure: Structure, reading: Reading) -> Iterator[Label]:
    yield Label("subject", label_of_subject(headers.decode_words(structure.header("Subject") or "")))
    for name in reading.file_names:
        yield Label("file name", label_of_file(name))


def _package(about: str, package: XdmPackage) -> Iterator[Line]:
    count = len(package.documents)
    yield Line(about, Mark.GOOD, f"{len(package.submissions)} submission set(s), {count} document(s)")
    undeclared = sum(not document.hash_was_declared for document in package.documents)
    said = f"hash and size fit for {count - undeclared} of {count}"
    yield Line(f"{about}, hashes", Mark.ODD if undeclared else Mark.GOOD, said)
    if package.unreferenced:
        yield Line(about, Mark.ODD, f"{package.unreferenced} file(s) that METADATA.XML does not name")
    for submission in package.submissions:
        sets = submission.set
        missing = [name for name in ("unique_id", "source_id", "patient_id") if not getattr(sets, name)]
        if missing:
            yield Line(f"{about}, submission set", Mark.ODD, f"without {', '.join(missing)}")
        if submission.folders:
            yield Line(
                f"{about}, folders", Mark.ODD, f"{len(submission.folders)}: their titles are kept with their documents"
            )
        for link in submission.associations:
            is_known = link.kind in {relations.MEMBER} | relations.REPLACING | relations.ADDING
            mark = Mark.GOOD if is_known else Mark.WRONG
            yield Line(f"{about}, association", mark, link.kind or "without a kind")


def _document(about: str, document: ReadDocument, *, accepts_tests: bool) -> Iterator[Line]:
    entry = document.entry
    kind = "CDA" if document.header else "DICOM" if document.imaging else entry.mime_type
    yield Line(about, Mark.GOOD, f"{kind}, {entry.size_bytes} octets, type {entry.type.code or 'none'}")
    if not entry.type.code:
        yield Line(f"{about}, METADATA", Mark.ODD, "no type code")
    if document.header is not None:
        header = document.header
        yield Line(
            f"{about}, CDA header", Mark.GOOD, f"version {header.version or 'none'}, {len(header.authors)} author(s)"
        )
        if not header.set_id or not header.version:
            yield Line(f"{about}, CDA header", Mark.ODD, "no setId or versionNumber: replacements cannot follow it")
    for where, claims in (("METADATA", document.metadata_ins), ("document", document.own_ins)):
        for claim in claims or ():
            if claim is None:
                yield Line(f"{about}, INS in {where}", Mark.WRONG, "no INS of an INS authority")
                continue
            is_excused = accepts_tests and not claim.is_real and claim.has_shape
            mark = Mark.GOOD if claim.key_is_right else Mark.ODD if is_excused else Mark.WRONG
            key = "key right" if claim.key_is_right else "key wrong"
            yield Line(f"{about}, INS in {where}", mark, f"authority {claim.oid}, {key}")
    if document.traits.is_complete:
        yield Line(f"{about}, traits", Mark.GOOD, "birth name, first birth name, birth date and sex are there")
    else:
        yield Line(f"{about}, traits", Mark.WRONG, "birth name, first birth name, birth date or sex is missing")
    flags = visibility_of(document.flags)
    if flags is None or flags:
        told = ", ".join(sorted(flags or document.flags))
        yield Line(f"{about}, visibility", Mark.WRONG if flags is None else Mark.GOOD, told)
    if document.must_replace:
        yield Line(f"{about}, versions", Mark.ODD, "asks to replace: held where the original is not known")
    if document.action or document.replaces:
        mark = Mark.GOOD if document.action in versions.ACTIONS else Mark.WRONG
        said = f"action {document.action or 'none'}, names {len(document.replaces)} document(s) to replace"
        yield Line(f"{about}, versions", mark, said)
    if entry.signature:
        yield Line(f"{about}, signature", Mark.GOOD if entry.signature == "valid" else Mark.ODD, entry.signature)


def _labels(structure: Structure, reading: Reading) -> Iterator[Line]:
    spoken = [label for label in _spoken(structure, reading) if label.text]
    if reading.documents and not any(label.where == "subject" for label in spoken):
        yield Line("subject", Mark.ODD, "is not XDM/1.0/DDM+label NAME first name birth date")
    for header in ("X-MSS-CODECDA", INS_HEADER, "X-MSS-NIL"):
        if structure.header(header) is None and reading.documents:
            yield Line(f"header {header}", Mark.ODD, "is not there")


def _concluded(lines: list[Line], verdict: Verdict, reading: Reading) -> Report:
    match verdict:
        case Hold() as hold:
            code = int(mdn.CODES.get(hold.reason, mdn.ErrorCode.OTHER))
            why = f"{EXPLANATIONS.get(hold.reason, hold.reason.value)}{f' ({hold.detail})' if hold.detail else ''}"
            named = "names" if hold.detail in ("subject", "file name") else "verdict"
            return Report((*lines, Line(named, Mark.WRONG, hold.reason.value)), "held", why, code)
        case Leave():
            return Report(tuple(lines), "nothing to file", "no document was found that could be filed", 0)
        case Deliver() as deliver:
            hidden = Visibility.HIDDEN_FROM_PATIENT in deliver.visibility
            note = " hidden, kept back until announced," if hidden else ""
            said = f"{len(reading.documents)} document(s) filed{note} where exactly this INS with these traits is known"
            return Report((*lines, Line("verdict", Mark.GOOD, said)), "filed")
    raise AssertionError("a verdict of another kind")
