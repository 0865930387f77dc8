"""How does software hand a mail to a submission server? One message over TLS, by certificate or password.

For `mss send` and the demo; operators' mail goes by the courier.
"""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass
from pathlib import Path

import aiosmtplib

from mss.model.errors import MssError
from mss.model.ids import MailAddress

TIMEOUT_S = 60.0
FINAL = 500
"""Replies from here on are a no for good (RFC 5321 §4.2.1)."""


class NotTaken(MssError):
    """The server refused or did not answer; the text says which and in whose words."""

    def __init__(self, words: str, *, is_final: bool = False) -> None:
        """`is_final`: it said no for good (a reply of 5xx)."""
        super().__init__(words)
        self.is_final = is_final


@dataclass(frozen=True, slots=True)
class SubmissionServer:
    """An implicit-TLS submission port, and who we are there."""

    host: str
    port: int
    authorities: Path
    certificate: Path | None = None
    key: Path | None = None
    username: str = ""
    password: str = ""


async def submit(server: SubmissionServer, sender: MailAddress, recipients: list[MailAddress], raw: bytes) -> str:
    """Send one message; answers the server's last words. Raises NotTaken."""
    context = ssl.create_default_context(cafile=str(server.authorities))
    if server.certificate is not None:
        context.load_cert_chain(server.certificate, server.key)
    client = aiosmtplib.SMTP(
        hostname=server.host, port=server.port, use_tls=True, tls_context=context, timeout=TIMEOUT_S
    )
    try:
        async with client:
            await _sign_in(client, server)
            _, words = await client.sendmail(str(sender), [str(one) for one in recipients], raw)
    except aiosmtplib.SMTPException as problem:
        raise NotTaken(_words_of(problem), is_final=_is_final(problem)) from problem
    except (OSError, ssl.SSLError) as problem:
        raise NotTaken(f"{server.host}:{server.port} cannot be reached: {problem}") from problem
    return words


async def _sign_in(client: aiosmtplib.SMTP, server: SubmissionServer) -> None:
    if server.certificate is None:
        await client.login(server.username, server.password)
        return
    await client.ehlo()
    # RFC 4422 §5, appendix A: EXTERNAL with an empty authorisation identity, sent as "="
    answer = await client.execute_command(b"AUTH", b"EXTERNAL", base64.b64encode(b"") or b"=")
    if answer.code != aiosmtplib.SMTPStatus.auth_successful:
        raise NotTaken(f"the server refused the certificate: {answer.code} {answer.message}")


def _is_final(problem: aiosmtplib.SMTPException) -> bool:
    if isinstance(problem, aiosmtplib.SMTPRecipientsRefused):
        return all(one.code >= FINAL for one in problem.recipients)
    is_about_the_mail = isinstance(
        problem, aiosmtplib.SMTPDataError | aiosmtplib.SMTPSenderRefused | aiosmtplib.SMTPRecipientRefused
    )
    return is_about_the_mail and isinstance(problem, aiosmtplib.SMTPResponseException) and problem.code >= FINAL


def _words_of(problem: aiosmtplib.SMTPException) -> str:
    if isinstance(problem, aiosmtplib.SMTPRecipientsRefused):
        return "; ".join(f"{one.recipient}: {one.code} {one.message}" for one in problem.recipients)
    return str(problem)
