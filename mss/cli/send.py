"""`mss send`: a hospital's sender. One mail with the documents; with --wait, a line for each: what became of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mss.cli.waiting import Answer, wait_for_answer
from mss.cli.watch import HotFolder, Plan
from mss.config import Config
from mss.crypto.certs import load_certificates
from mss.mail import healthmail
from mss.mail.healthmail import Sending
from mss.model.clock import SystemChance, SystemClock
from mss.model.errors import BadValue
from mss.model.ids import MailAddress
from mss.smtp.sending import SubmissionServer, submit

FILE_BYTES_MAX = 25 * 1024 * 1024
WAIT_S = 120.0
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for."""

    to: str
    cda: list[Path]
    pdf: list[Path]
    sender: str
    certificate: Path | None
    key: Path | None
    host: str
    port: int
    authorities: Path | None
    reply_to: str
    wait: bool
    dicom: tuple[Path, ...] = ()
    watch: Path | None = None
    """A folder from which documents are sent as they appear."""
    domain: str = ""
    """Of the patients to whom they go, when `to` is empty."""


async def send_documents(wish: Wish, config: Config | None) -> int:
    """Compose, send, and wait when asked. Returns the exit code; raises BadValue, NotTaken."""
    server = _server(wish, config)
    sender = MailAddress.parse(wish.sender or _name_on(server.certificate))
    if wish.watch is not None:
        return await _watch(wish, wish.watch, config, server, sender)
    documents, copies, images = await asyncio.to_thread(_read_files, wish)
    sending = Sending(
        sender=sender,
        sender_name=str(sender),
        recipient=MailAddress.parse(wish.to),
        documents=documents,
        pdfs=copies,
        at=SystemClock().now(),
        reply_to=MailAddress.parse(wish.reply_to) if wish.reply_to else None,
        reference=config.software_reference if config else "",
        images=images,
    )
    message_id, raw = healthmail.compose(sending, SystemChance())
    await submit(server, sender, [sending.recipient], raw)
    print(f"sent {message_id}", flush=True)
    if not wish.wait:
        return 0
    count = len(documents) + len(images)
    return _report(await wait_for_answer(_imap(server, config), message_id, WAIT_S), count)


async def _watch(
    wish: Wish, directory: Path, config: Config | None, server: SubmissionServer, sender: MailAddress
) -> int:
    """Until Ctrl-C."""
    domain = wish.domain or (config.patient_domain if config else "")
    if not await asyncio.to_thread(directory.is_dir):
        raise BadValue(f"{directory}: no such directory")
    if wish.cda or wish.pdf or wish.dicom or wish.wait or not (wish.to or domain):
        raise BadValue("with --watch say --to ADDRESS or --domain of the patients, and no files and no --wait")
    reply_to = MailAddress.parse(wish.reply_to) if wish.reply_to else None
    reference = config.software_reference if config else ""
    like = Sending(sender, str(sender), sender, (), (), SystemClock().now(), reply_to, reference=reference)

    async def hand_over(to: MailAddress, mail: bytes) -> str:
        return await submit(server, sender, [to], mail)

    plan = Plan(like, MailAddress.parse(wish.to) if wish.to else None, domain)
    hot = HotFolder(directory, plan, hand_over, SystemClock(), SystemChance())
    await hot.run(lambda line: print(line, flush=True))
    return 0


def _server(wish: Wish, config: Config | None) -> SubmissionServer:
    if wish.certificate is None or wish.key is None:
        raise BadValue("--cert and --key of an application mailbox are needed")
    for path in (wish.certificate, wish.key, *([wish.authorities] if wish.authorities else [])):
        if not path.is_file():
            raise BadValue(f"{path}: no such file")
    if config is not None:
        if config.submission is None or config.submission.implicit_tls is None:
            raise BadValue("these settings have no submission.implicit_tls to send to")
        listen = config.submission.implicit_tls
        return SubmissionServer(listen.host, listen.port, config.relay.authorities, wish.certificate, wish.key)
    if not wish.host or wish.authorities is None:
        raise BadValue("name the server with --host and --ca, or the operator's settings with --config")
    return SubmissionServer(wish.host, wish.port, wish.authorities, wish.certificate, wish.key)


def _imap(server: SubmissionServer, config: Config | None) -> SubmissionServer:
    """The same mailbox over IMAP, where the answer arrives."""
    port = 993
    if config is not None and config.imap is not None and config.imap.implicit_tls is not None:
        port = config.imap.implicit_tls.port
    elif server.port != 465:
        port = server.port - 465 + 993  # a demo's port base
    return SubmissionServer(server.host, port, server.authorities, server.certificate, server.key)


def _name_on(certificate: Path | None) -> str:
    """The address that an application's certificate bears."""
    from mss.crypto.certs import alternative_names

    assert certificate is not None
    names = alternative_names(load_certificates(certificate.read_bytes())[0])
    found = next((name for name in names if _ADDRESS.fullmatch(name.rpartition(":")[2])), None)
    if found is None:
        raise BadValue("the certificate names no mailbox: say --from ADDRESS")
    return found.rpartition(":")[2]


Named = tuple[tuple[str, bytes], ...]
"""Files, (name, bytes)."""


def _read_files(wish: Wish) -> tuple[tuple[bytes, ...], Named, Named]:
    """Documents, readable copies, images."""
    for path in (*wish.cda, *wish.pdf, *wish.dicom):
        if path.stat().st_size > FILE_BYTES_MAX:
            raise BadValue(f"{path} is larger than {FILE_BYTES_MAX} bytes: no patient's mailbox takes it")
    documents = tuple(path.read_bytes() for path in wish.cda)
    return documents, _named(wish.pdf), _named(wish.dicom)


def _named(paths: Iterable[Path]) -> Named:
    return tuple((path.name, path.read_bytes()) for path in paths)


def _report(answer: Answer | None, documents: int) -> int:
    if answer is None:
        print(f"no answer within {WAIT_S:.0f} s: the documents are on their way or held; look again with mss trace")
        return 1
    for number in range(1, documents + 1):
        print(f"document {number}: {answer.outcome}{f' ({answer.detail})' if answer.detail else ''}")
    return 0 if answer.outcome == "filed" else 1
