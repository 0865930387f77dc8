"""The settings of the bridge: what it files, opens, and reads elsewhere. A part of `config`, like sections.py."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from mss.sections import Port, Section, Tls

_KEYWORD = r"^[$A-Za-z][A-Za-z0-9_-]{0,63}\Z"


class Source(Section):
    """An application mailbox at another operator, over IMAP and TLS; what it brings is judged as mail to `into`."""

    host: str
    port: Port = 993
    starttls: bool = False
    """TLS after STARTTLS (port 143) rather than from the first octet."""
    user: str
    """Who signs in: mostly the address."""
    password_file: Path | None = None
    """A file outside state_dir with the password in its first line, read for each connection. Without it our
    certificate signs in (EXTERNAL)."""
    tls: Tls | None = None
    """Our certificate, where that server asks for one."""
    authorities: Path
    """Roots for the certificate of that server, whose name is checked."""
    folder: str = "INBOX"
    into: str
    """The application mailbox of ours, one of `application_boxes`, in which its mail is kept and judged."""
    filed_keyword: str = Field("$MSSFiled", pattern=_KEYWORD)
    """Set over there, with \\Seen, on what was filed."""
    held_keyword: str = Field("$MSSHeld", pattern=_KEYWORD)
    """The same on what waits for a human, and on what could not be taken (which stays unread)."""
    refused_keyword: str = Field("$MSSRefused", pattern=_KEYWORD)
    """The same on what a human refused."""
    filed_folder: str = ""
    """Where to move what was filed, or brings nothing; empty: it stays."""
    held_folder: str = ""
    """Where to move what waits or was refused; empty: it stays."""

    @model_validator(mode="after")
    def _signs_in(self) -> Source:
        if self.password_file is None and self.tls is None:
            raise ValueError("a source needs a password_file, or tls with a certificate that signs in")
        return self


class OpenPgpKeys(Section):
    """PGP/MIME (RFC 3156): what the bridge opens, and whose signatures it knows. Needs GnuPG."""

    secret_key: Path | None = None
    """The bridge's own key, armored, without passphrase, outside state_dir; without it nothing is decrypted."""
    senders: Path | None = None
    """A directory with a file ADDRESS.asc (lower case) for each sender who signs."""


class SmimeKeys(Section):
    """S/MIME (RFC 8551). Needs OpenSSL."""

    tls: Tls | None = None
    """The bridge's own certificate and key; without them nothing is decrypted."""
    authorities: Path | None = None
    """Who issues senders' certificates, which bear their address; without them every signer is a stranger."""
    revocation_lists: tuple[Path, ...] = ()
    """Files with the lists (CRL) of these authorities, read for each signed mail. With them, a signer who was taken
    back holds the mail, and one of whom no current list speaks is a stranger; without them nobody asks."""


class Bridge(Section):
    """From mail to record."""

    loose: Literal["offer", "file", "hold"] = "offer"
    """A PDF, picture, RTF or text file without archive: its addressee may keep it, it is filed for her, or held."""
    four_eyes: bool = False
    """A second, different person of the staff confirms filing by hand, re-filing, putting back and merging records."""
    shown_after_days: int = Field(default=0, ge=0, le=365)
    """A patient sees what is marked INVISIBLE_PATIENT after so many days, though nobody has announced it to her; its
    sender reads the day. 0: never without an announcement."""
    application_boxes: dict[str, str] = Field(default_factory=dict)
    """Application mailbox that feeds records = who of its structure gets a copy when nothing is filed (or "")."""
    openpgp: OpenPgpKeys | None = None
    """Open and check PGP/MIME. Without it signatures are files like others, and what is encrypted is held."""
    smime: SmimeKeys | None = None
    """The same for S/MIME."""
    checker: str = ""
    """An application mailbox of ours to which makers of software send archives and get a report; it files nothing.
    Empty: none."""
    nightly: dict[str, str] = Field(default_factory=dict)
    """Sending mailbox, ours or another operator's = where a table of what became of its mail goes every night: an
    address of the same domain, or "" for the mailbox itself. Nobody who is not listed gets one."""
    sources: dict[str, Source] = Field(default_factory=dict)
    """Application mailboxes at other operators, by a name of at most 32 letters, digits, hyphens."""
