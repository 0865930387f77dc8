"""`mss send --watch DIR`: a folder from which documents are sent as they appear. Each once, whoever is killed.

An item is a CDA file (`*.xml`) or a folder with CDA and PDF files, put there by a rename; names that begin with a dot
are left alone. One rename takes it into `work/`; the mail is composed once and synced beside it before anything is
sent, so that a second try sends the very same octets, which the server knows again. It ends in `done/` or, with a file
that says why, in `refused/`; what cannot be sent now stays in `work/` and is tried again.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from email.parser import BytesHeaderParser
from pathlib import Path

from mss.formats import cda
from mss.mail import healthmail
from mss.mail.healthmail import Sending
from mss.model.clock import Chance, Clock
from mss.model.errors import BadValue, Malformed
from mss.model.ids import MailAddress
from mss.smtp.sending import NotTaken

WORK, DONE, REFUSED = "work", "done", "refused"
SETTLED_S = 1.0
"""A file that was written to a moment ago may not be whole: whoever renames into place never waits for this."""
LOOK_EVERY_S = 1.0
FILE_BYTES_MAX = 25 * 1024 * 1024
"""No patient's mailbox takes more."""
FILES_MAX = 100
ITEMS_AT_ONCE_MAX = 100
_MAIL = ".eml"

HandOver = Callable[[MailAddress, bytes], Awaitable[str]]
"""Send to a recipient; answers the server's words. Raises NotTaken."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who sends to whom. `to` None: to the INS that the documents name, at `domain`."""

    like: Sending
    """Everything but documents, recipient and moment."""
    to: MailAddress | None
    domain: str


class HotFolder:
    """One directory. Only one process may watch it."""

    def __init__(self, directory: Path, plan: Plan, hand_over: HandOver, clock: Clock, chance: Chance) -> None:
        self._directory = directory
        self._plan = plan
        self._hand_over = hand_over
        self._clock = clock
        self._chance = chance
        for name in (WORK, DONE, REFUSED):
            (directory / name).mkdir(exist_ok=True)

    async def run(self, tell: Callable[[str], None]) -> None:
        """Until cancelled."""
        while True:
            for line in await self.round():
                tell(line)
            await asyncio.sleep(LOOK_EVERY_S)

    async def round(self) -> list[str]:
        """Send what is there. Answers a line for each item that ended, or that has to wait."""
        for path in self._ready():
            path.rename(self._directory / WORK / path.name)
            _sync(self._directory / WORK)
        told = []
        for mail in (self._directory / WORK).glob(f"*{_MAIL}"):
            if not mail.with_suffix("").exists():  # of an item that ended
                mail.unlink()
        for path in sorted((self._directory / WORK).iterdir())[:ITEMS_AT_ONCE_MAX]:
            if path.suffix != _MAIL and not path.name.startswith("."):
                told.append(await self._one(path))
        return told

    def _ready(self) -> list[Path]:
        now = self._clock.now().timestamp()
        found = []
        for path in sorted(self._directory.iterdir()):
            if path.name in (WORK, DONE, REFUSED) or path.name.startswith("."):
                continue
            if (path.is_dir() or path.suffix.lower() == ".xml") and path.stat().st_mtime <= now - SETTLED_S:
                found.append(path)
        return found[:ITEMS_AT_ONCE_MAX]

    async def _one(self, path: Path) -> str:
        try:
            mail = await asyncio.to_thread(self._composed, path)
            to = MailAddress.parse(str(BytesHeaderParser().parsebytes(mail)["To"]))
            words = await self._hand_over(to, mail)
        except (BadValue, Malformed) as problem:
            return self._end(path, REFUSED, str(problem))
        except OSError as problem:  # a disk that does not answer says nothing of the documents
            return f"{path.name}: waits, {problem.strerror or problem}"
        except NotTaken as problem:
            if problem.is_final:
                return self._end(path, REFUSED, str(problem))
            return f"{path.name}: waits, {problem}"
        message_id = str(BytesHeaderParser().parsebytes(mail)["Message-ID"])
        return self._end(path, DONE, f"{message_id} {words}")

    def _composed(self, path: Path) -> bytes:
        """The mail of an item: the one that was composed before, or a new one that is synced first."""
        kept = path.with_name(path.name + _MAIL)
        if kept.exists():
            return kept.read_bytes()
        documents, copies = _files_of(path)
        sending = replace(
            self._plan.like,
            recipient=self._plan.to or _address(documents, self._plan.domain),
            documents=documents,
            pdfs=copies,
            at=self._clock.now(),
        )
        mail = healthmail.compose(sending, self._chance)[1]
        draft = kept.with_name(f".{kept.name}")
        with draft.open("wb") as file:
            file.write(mail)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(kept)
        _sync(kept.parent)
        return mail

    def _end(self, path: Path, where: str, why: str) -> str:
        """The word first, then the item: an item in its last folder has its word beside it."""
        place = self._directory / where
        name = path.name
        if (place / name).exists():  # of another day
            name = f"{path.stem}-{hashlib.sha256(str(path.stat().st_mtime_ns).encode()).hexdigest()[:8]}{path.suffix}"
        (place / f"{name}.txt").write_text(f"{why}\n", encoding="utf-8")
        path.rename(place / name)
        _sync(place)
        path.with_name(path.name + _MAIL).unlink(missing_ok=True)
        return f"{path.name}: {where}, {why}"


def _files_of(path: Path) -> tuple[tuple[bytes, ...], tuple[tuple[str, bytes], ...]]:
    """CDA documents and readable copies. Raises BadValue."""
    files = sorted(one for one in path.iterdir() if not one.name.startswith(".")) if path.is_dir() else [path]
    if len(files) > FILES_MAX:
        raise BadValue(f"more than {FILES_MAX} files in one item")
    odd = [one.name for one in files if one.suffix.lower() not in (".xml", ".pdf") or not one.is_file()]
    if odd:
        raise BadValue(f"neither a CDA (.xml) nor a PDF: {', '.join(odd)}")
    if any(one.stat().st_size > FILE_BYTES_MAX for one in files):
        raise BadValue(f"a file is larger than {FILE_BYTES_MAX} bytes: no patient's mailbox takes it")
    documents = tuple(one.read_bytes() for one in files if one.suffix.lower() == ".xml")
    copies = tuple((one.name, one.read_bytes()) for one in files if one.suffix.lower() == ".pdf")
    return documents, copies


def _address(documents: tuple[bytes, ...], domain: str) -> MailAddress:
    """Of the patient whom the first document names; `compose` refuses when another names somebody else."""
    if not documents:
        raise BadValue("nothing to send: no CDA document (.xml)")
    ins = cda.read_header(documents[0]).patient.ins_ids
    if len({one.extension for one in ins}) != 1:
        raise BadValue("the document does not name exactly one INS: say --to ADDRESS")
    return MailAddress.parse(f"{ins[0].extension}@{domain}")


def _sync(directory: Path) -> None:
    """Renames in it are durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
