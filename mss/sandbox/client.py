"""How does a room have a stranger's bytes read, and get values of our own types?

One function for each job. All raise Malformed when the bytes are refused, SandboxFailed when the worker failed on them
(hold the item), SandboxBusy when too many wait (try later). `owner` is the mailbox or patient whom the bytes concern:
two owners never share a worker. None of the libraries that do the work is loaded here.
"""

from __future__ import annotations

from mss.formats.cda import CdaHeader
from mss.formats.cdafiles import EmbeddedFile
from mss.formats.dicomstudy import Image, Study
from mss.formats.filetypes import PdfFacts
from mss.formats.xdm import XdmPackage
from mss.sandbox.images import ImageFacts
from mss.sandbox.pool import Sandbox


async def read_package(sandbox: Sandbox, data: bytes, *, owner: int | None = None) -> XdmPackage:
    """The documents of an archive IHE_XDM.zip."""
    return await sandbox.ask(XdmPackage, "xdm.read", [data], owner=owner)


async def read_cda(sandbox: Sandbox, data: bytes, *, owner: int | None = None) -> CdaHeader:
    """The header of a CDA document."""
    return await sandbox.ask(CdaHeader, "cda.header", [data], owner=owner)


async def cda_files(sandbox: Sandbox, data: bytes, *, owner: int | None = None) -> tuple[EmbeddedFile, ...]:
    """The files inside a CDA document."""
    return await sandbox.ask(tuple[EmbeddedFile, ...], "cda.files", [data], owner=owner)


async def render_cda(sandbox: Sandbox, data: bytes, *, owner: int | None = None) -> str:
    """A CDA document as an HTML fragment, sanitised."""
    return await _text(sandbox, "cda.render", data, owner)


async def read_image(sandbox: Sandbox, data: bytes, *, owner: int | None = None) -> Image:
    """What the header of a DICOM file says."""
    return await sandbox.ask(Image, "dicom.file", [data], owner=owner)


async def read_images(sandbox: Sandbox, data: bytes, *, owner: int | None = None) -> tuple[Study, ...]:
    """The studies of a ZIP with DICOM files; none when there are no images in it."""
    return await sandbox.ask(tuple[Study, ...], "dicom.archive", [data], owner=owner)


async def image_pdfs(sandbox: Sandbox, data: bytes, *, owner: int | None = None) -> tuple[EmbeddedFile, ...]:
    """The PDF files inside a DICOM file, or inside those of a ZIP."""
    return await sandbox.ask(tuple[EmbeddedFile, ...], "dicom.pdfs", [data], owner=owner)


async def check_pdf(sandbox: Sandbox, data: bytes, *, owner: int | None = None) -> PdfFacts:
    """Open a PDF for real."""
    return await sandbox.ask(PdfFacts, "pdf.check", [data], owner=owner)


async def check_image(sandbox: Sandbox, data: bytes, *, owner: int | None = None) -> ImageFacts:
    """Read the header of a JPEG or PNG."""
    return await sandbox.ask(ImageFacts, "image.check", [data], owner=owner)


async def sanitise_html(sandbox: Sandbox, html: str, *, owner: int | None = None) -> str:
    """The body of a message as an HTML fragment without scripts, links or remote pictures."""
    return await _text(sandbox, "html.sanitise", html.encode("utf-8", "replace"), owner)


async def html_to_text(sandbox: Sandbox, html: str, *, owner: int | None = None) -> str:
    """The body of a message as plain text."""
    return await _text(sandbox, "html.to_safe_text", html.encode("utf-8", "replace"), owner)


async def _text(sandbox: Sandbox, job: str, data: bytes, owner: int | None) -> str:
    return (await sandbox.ask(bytes, job, [data], owner=owner)).decode("utf-8", "replace")
