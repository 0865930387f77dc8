"""What became of what we sent? Waits in the sending mailbox, over IMAP, for the answer that names our Message-ID."""

from __future__ import annotations

import asyncio
import email
import imaplib
import re
import ssl
import time
from dataclasses import dataclass
from email.policy import default

from mss.model.clock import SystemClock
from mss.model.errors import BadValue
from mss.smtp.sending import SubmissionServer

LOOK_EVERY_S = 0.5
_DISPOSITION = re.compile(r"^Disposition:.*?;\s*(.*)$", re.MULTILINE | re.IGNORECASE)
_KO = re.compile(r"\[KO[^\]]*\]\s*\[([^\]]*)\]")


@dataclass(frozen=True, slots=True)
class Answer:
    """`filed`, `held` or `refused`, with the code and label that came."""

    outcome: str
    detail: str


async def wait_for_answer(server: SubmissionServer, message_id: str, seconds: float) -> Answer | None:
    """The first answer that names `message_id`; None when the time is over. Raises BadValue."""
    return await asyncio.to_thread(_wait, server, message_id, seconds)


def _wait(server: SubmissionServer, message_id: str, seconds: float) -> Answer | None:
    context = ssl.create_default_context(cafile=str(server.authorities))
    assert server.certificate is not None
    context.load_cert_chain(server.certificate, server.key)
    clock = SystemClock()
    deadline = clock.monotonic_s() + seconds
    try:
        with imaplib.IMAP4_SSL(server.host, server.port, ssl_context=context, timeout=30) as client:
            client.authenticate("EXTERNAL", lambda _: b"")
            client.select("INBOX", readonly=True)
            while clock.monotonic_s() < deadline:
                client.noop()
                _, found = client.search(None, "HEADER", "In-Reply-To", f'"{message_id}"')
                for number in found[0].split():
                    _, data = client.fetch(number, "(BODY.PEEK[])")
                    if isinstance(data[0], tuple) and (answer := read_answer(data[0][1])) is not None:
                        return answer
                time.sleep(LOOK_EVERY_S)
    except (imaplib.IMAP4.error, OSError) as problem:
        raise BadValue(f"sent, but the answer cannot be read over IMAP: {problem}") from problem
    return None


def read_answer(raw: bytes) -> Answer | None:
    """An MDN's disposition, or the subject of a notice; None for a report that it is late or on its way."""
    message = email.message_from_bytes(raw, policy=default)
    for part in message.walk():
        if part.get_content_type() == "message/disposition-notification":
            said = _DISPOSITION.search(part.as_string())
            words = said.group(1).strip() if said else ""
            if words.lower().startswith("processed/error"):
                return Answer("held", words.partition(":")[2].strip())
            return Answer("filed", "")
        if part.get_content_type() == "message/delivery-status":
            actions = [str(group["Action"] or "") for group in part.walk() if group["Action"]]
            return Answer("refused", "unreachable") if any(a.startswith("failed") for a in actions) else None
    ko = _KO.search(str(message["Subject"] or ""))
    return Answer("held", ko.group(1) if ko else str(message["Subject"] or ""))
