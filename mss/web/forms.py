"""What did the browser send? Forms and uploads, read within limits and never through a file on disk.

aiohttp's own reading would spool uploads into temporary files, in clear. Fields come before files in our forms, so
that a refusal for a file's sake can still give back what was typed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web

from mss.formats.filetypes import sniff
from mss.mail.replies import ATTACHMENTS_BYTES_MAX, ATTACHMENTS_MAX, Attachment
from mss.model.errors import MssError
from mss.web import texts

T = TypeVar("T")

FIELDS_MAX = 40
FIELDS_BYTES_MAX = 256 * 1024
"""Of all typed text: four times the longest message, as UTF-8 in percent signs."""
FILE_BYTES_MAX = 5 * 1000 * 1000
WIRE_BYTES_MAX = 64 * 1024 * 1024
"""A browser reads our answer only after it has sent everything, so we listen to so much and forget what is too
large; beyond that the connection ends."""
PIECE_BYTES = 64 * 1024
PIECE_S = 30.0
"""A browser that sends nothing for so long has gone."""
FORM_S = 30.0
UPLOAD_S = 900.0
"""20 MB at 25 kB a second: a telephone in the country."""

ACCEPTED_TYPES = frozenset(
    {"application/pdf", "image/jpeg", "image/png", "image/tiff", "text/plain", "application/rtf"}
)
"""What a patient may join, by content: the national service's list."""


class FormRefused(MssError):
    """A form that no browser of ours sends: too large, too slow, not a form."""

    def __init__(self, status: int) -> None:
        super().__init__(f"form refused: {status}")
        self.status = status


@dataclass(frozen=True, slots=True)
class FileFault:
    """A file that was not taken: `too-large`, `too-many`, `all-too-large`, `wrong-type`, `empty`."""

    filename: str
    why: str


@dataclass(slots=True)
class Form:
    """Fields by name (the last counts), files in order, and what was wrong with others."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[Attachment] = field(default_factory=list)
    faults: list[FileFault] = field(default_factory=list)

    def get(self, name: str) -> str:
        return self.fields.get(name, "")


async def read_form(request: web.Request, *, with_files: bool) -> Form:
    """The form of a POST. Without `with_files` reading ends at the first file. Raises FormRefused."""
    if (request.content_length or 0) > WIRE_BYTES_MAX:
        raise FormRefused(413)
    try:
        if request.content_type == "application/x-www-form-urlencoded":
            async with asyncio.timeout(FORM_S):
                return Form(dict(await _typed(request)))
        if request.content_type == "multipart/form-data":
            async with asyncio.timeout(UPLOAD_S if with_files else FORM_S):
                return await _multipart(request, with_files=with_files)
    except TimeoutError:
        raise FormRefused(408) from None
    except (ValueError, AssertionError):  # aiohttp's words for broken multipart
        raise FormRefused(400) from None
    raise FormRefused(415)


async def _typed(request: web.Request) -> Mapping[str, str]:
    body = bytearray()
    async for piece in request.content.iter_chunked(PIECE_BYTES):
        body += piece
        if len(body) > FIELDS_BYTES_MAX:
            raise FormRefused(413)
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FIELDS_MAX))


async def _multipart(request: web.Request, *, with_files: bool) -> Form:
    form, room, n_parts = Form(), FIELDS_BYTES_MAX, 0
    reader = await request.multipart()
    while (part := await _in_time(reader.next())) is not None:
        n_parts += 1
        if n_parts > FIELDS_MAX or not isinstance(part, BodyPartReader):
            raise FormRefused(400)
        if part.filename is None:
            value = await _read(part, room)
            if value is None:
                raise FormRefused(413)
            room -= len(value)
            form.fields[part.name or ""] = value.decode("utf-8", "replace")
        elif not with_files:
            break
        else:
            await _take_file(form, part)
    return form


async def _take_file(form: Form, part: BodyPartReader) -> None:
    room = ATTACHMENTS_BYTES_MAX - sum(len(file.data) for file in form.files)
    data = await _read(part, min(FILE_BYTES_MAX, room))
    name = texts.file_name(part.filename or "")
    if not part.filename and not data:
        return  # the field was left empty
    if data is None:
        form.faults.append(FileFault(name, "too-large" if room >= FILE_BYTES_MAX else "all-too-large"))
        return
    if not data:
        form.faults.append(FileFault(name, "empty"))
        return
    media_type = sniff(data)
    if media_type not in ACCEPTED_TYPES:
        form.faults.append(FileFault(name, "wrong-type"))
    elif len(form.files) == ATTACHMENTS_MAX:
        form.faults.append(FileFault(name, "too-many"))
    else:
        form.files.append(Attachment(texts.file_name(name, media_type), media_type, data))


async def _read(part: BodyPartReader, bytes_max: int) -> bytes | None:
    """The whole part, or None when it is larger; it is read to its end either way."""
    data, too_large = bytearray(), False
    while piece := await _in_time(part.read_chunk(PIECE_BYTES)):
        too_large = too_large or len(data) + len(piece) > bytes_max
        if too_large:
            data.clear()
        else:
            data += piece
    return None if too_large else bytes(data)


async def _in_time(waiting: Awaitable[T]) -> T:
    async with asyncio.timeout(PIECE_S):
        return await waiting
