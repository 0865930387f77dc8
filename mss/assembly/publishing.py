"""Which national directory do the settings name, and who speaks with it? The client for works and for commands.

Context and token are read from their files anew for each connection, so that a renewed certificate needs no signal.
"""

from __future__ import annotations

from functools import partial
from ssl import SSLContext

from mss.config import Config
from mss.crypto.keys import PrivateKeys
from mss.crypto.tls import sink_client_context
from mss.fhir.duty import Publication
from mss.fhir.telling import Speaks
from mss.foundation import Foundation, own_mailboxes
from mss.sections import Publishing


def publisher_of(config: Config) -> Speaks | None:
    """None where the settings name no directory."""
    section = config.directory.publishing
    if section is None:
        return None
    from mss.fhir.publisher import Place, Publisher

    return Publisher(Place(section.url, section.token_file, section.answer_s), partial(_context, section))


def publication_of(ground: Foundation, keys: PrivateKeys) -> Publication:
    """Who does the duties that changes leave."""
    return Publication(ground.store, own_mailboxes(ground), publisher_of(ground.config), keys.tasks, ground.clock)


def _context(section: Publishing) -> SSLContext:
    if section.tls is None:
        return sink_client_context(section.authorities)
    return sink_client_context(section.authorities, section.tls.certificate, section.tls.key)
