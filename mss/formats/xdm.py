"""Which documents does this IHE_XDM.zip bring, and what do they claim to be?

Reads the archive of a health mail (IHE ITI TF-2 §3.32, TF-3 §4.2; ANS "échange de documents de santé"):
each METADATA.XML gives one submission with its documents, checked against declared hash and size. The
layout is found by its METADATA.XML, not by folder names, since real archives lose, wrap or rename those.
Never judges patient or sender: that is the bridge's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from urllib.parse import unquote

from mss.formats.xdmzip import LIMITS, Archive, Limits
from mss.formats.xdsmetadata import read_metadata
from mss.formats.xdsvalues import Association, DescribedDocument, Folder, Metadata, SubmissionSet
from mss.model.document import DocumentEntry
from mss.model.errors import Malformed
from mss.model.verdict import Reason

METADATA_NAME = "metadata.xml"
SUBSETS_MAX = 20  # METADATA.XML files in one archive; senders pack one


@dataclass(frozen=True, slots=True)
class XdmDocument:
    """One document: its fiche (true size and hash, `uri` as sent) and its bytes."""

    entry: DocumentEntry
    content: bytes
    action: str = ""
    """`C` replace, `D` withdraw, empty for a first transmission, anything else as sent."""
    hash_was_declared: bool = True


@dataclass(frozen=True, slots=True)
class Submission:
    """One SUBSETnn: who sent, and its documents in the order of the metadata."""

    set: SubmissionSet
    documents: tuple[XdmDocument, ...]
    associations: tuple[Association, ...] = ()
    folders: tuple[Folder, ...] = ()


@dataclass(frozen=True, slots=True)
class XdmPackage:
    """Archive IHE_XDM.zip."""

    submissions: tuple[Submission, ...]
    unreferenced: int = 0
    """Files that no metadata names (README, INDEX and METADATA left out)."""

    @property
    def documents(self) -> tuple[XdmDocument, ...]:
        """All documents of all submissions, in order."""
        return tuple(document for submission in self.submissions for document in submission.documents)


def read_package(data: bytes, limits: Limits = LIMITS) -> XdmPackage:
    """Read one archive. Raises Malformed: ARCHIVE_BROKEN, ARCHIVE_UNSAFE, METADATA_BROKEN, HASH_MISMATCH."""
    files = _Files(Archive(data, limits))
    if not files.metadata_names:
        raise Malformed(
            Reason.METADATA_BROKEN, "an archive inside an archive" if files.has_archives else "no METADATA.XML"
        )
    if len(files.metadata_names) > SUBSETS_MAX:
        raise Malformed(Reason.METADATA_BROKEN, "too many METADATA.XML")
    submissions = []
    position = 0
    for name in files.metadata_names:
        metadata = read_metadata(files.read(name))
        submissions.append(_submission(files, name, metadata, position))
        position += len(metadata.documents)
    if not any(submission.documents or submission.associations for submission in submissions):
        raise Malformed(Reason.METADATA_BROKEN, "no document")
    return XdmPackage(tuple(submissions), files.unreferenced())


def is_package(data: bytes) -> bool:
    """Does this look like an XDM archive, whatever its name? Unreadable archives are none."""
    try:
        return bool(_Files(Archive(data)).metadata_names)
    except Malformed:
        return False


def _submission(files: _Files, metadata_name: str, metadata: Metadata, position: int) -> Submission:
    folder = metadata_name.rpartition("/")[0]
    return Submission(
        set=metadata.submission,
        documents=tuple(
            _document(files, folder, described, position + index) for index, described in enumerate(metadata.documents)
        ),
        associations=metadata.associations,
        folders=metadata.folders,
    )


def _document(files: _Files, folder: str, described: DescribedDocument, index: int) -> XdmDocument:
    """Join a fiche with its bytes; `index` is what logs may say about it."""
    name = files.find(folder, described.entry.uri)
    if name is None:
        raise Malformed(Reason.METADATA_BROKEN, f"document {index + 1} is not in the archive")
    content = files.read(name)
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    if described.declared_sha1 not in ("", sha1):
        raise Malformed(Reason.HASH_MISMATCH, f"document {index + 1}: hash")
    if described.declared_size not in ("", str(len(content))):
        raise Malformed(Reason.HASH_MISMATCH, f"document {index + 1}: size")
    return XdmDocument(
        entry=replace(described.entry, size_bytes=len(content), sha1=sha1),
        content=content,
        action=described.action,
        hash_was_declared=bool(described.declared_sha1),
    )


class _Files:
    """The files of an archive, found without regard to case and read once each."""

    _PLAIN = frozenset({METADATA_NAME, "readme.txt", "index.htm", "index.html"})

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._names = {name.casefold(): name for name in archive.names}
        self._contents: dict[str, bytes] = {}
        self.has_archives = any(_base(name).endswith(".zip") for name in archive.names)
        self.metadata_names = sorted(name for name in archive.names if _base(name) == METADATA_NAME)

    def find(self, folder: str, uri: str) -> str | None:
        """The file that a URI slot names: beside its METADATA.XML, or, from sloppy writers, from the root."""
        path = uri.replace("\\", "/")
        for spelled in (path, unquote(path)):
            relative = spelled
            while relative.startswith("./"):
                relative = relative[2:]
            for candidate in (f"{folder}/{relative}" if folder else relative, relative):
                if candidate.casefold() in self._names:
                    return self._names[candidate.casefold()]
        return None

    def read(self, name: str) -> bytes:
        """The bytes of a file; two fiches of one file share them."""
        if name not in self._contents:
            self._contents[name] = self._archive.read(name)
        return self._contents[name]

    def unreferenced(self) -> int:
        """How many files nobody asked for."""
        return sum(1 for name in self._archive.names if name not in self._contents and _base(name) not in self._PLAIN)


def _base(name: str) -> str:
    return name.rpartition("/")[2].casefold()
