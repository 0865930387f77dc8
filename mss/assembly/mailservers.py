"""Where do mail programs find us? What the pages of discovery and the doctor tell, from one set of settings."""

from __future__ import annotations

from mss.config import Config
from mss.formats.discovery import Door, Servers


def mail_servers(config: Config) -> Servers:
    """Where mail programs of our professionals find us: implicit TLS first (RFC 8314 §3)."""
    sections = (config.imap, config.submission)
    imap, submission = (
        tuple(
            Door(config.host, listen.port, starts_tls)
            for listen, starts_tls in ((section.implicit_tls, False), (section.starttls, True))
            if listen is not None
        )
        if section is not None
        else ()
        for section in sections
    )
    domains = tuple(domain for domain in config.domains if domain != config.patient_domain)
    return Servers(config.name, domains, imap, submission)
