"""Which mailboxes at other operators do the settings name, and how is each of them read?"""

from __future__ import annotations

from functools import partial
from ssl import SSLContext

from mss.bridge.farbox import FarPlace
from mss.bridge.fetching import Fetcher, Marks, Rooms
from mss.bridgesections import Source
from mss.config import Config
from mss.crypto.tls import sink_client_context
from mss.foundation import Foundation
from mss.model.ids import MailAddress


def fetchers(ground: Foundation, config: Config) -> list[Fetcher]:
    """One for each source."""
    rooms = Rooms(
        ground.store,
        ground.delivery,
        ground.recipients,
        ground.screening,
        ground.public.lookup,
        config.host,
        ground.clock,
        ground.chance,
    )
    return [_fetcher(name, source, rooms) for name, source in config.bridge.sources.items()]


def _fetcher(name: str, source: Source, rooms: Rooms) -> Fetcher:
    marks = Marks(
        source.filed_keyword,
        source.held_keyword,
        source.refused_keyword,
        source.filed_folder,
        source.held_folder,
    )
    return Fetcher(name, place_of(source), partial(_context, source), MailAddress.parse(source.into), marks, rooms)


def place_of(source: Source) -> FarPlace:
    """Where it is and who reads there."""
    return FarPlace(
        source.host, source.port, source.user, source.folder, source.password_file, starts_tls=source.starttls
    )


def _context(source: Source) -> SSLContext:
    """From its files anew for each connection, so that a renewed certificate needs no signal."""
    if source.tls is None:
        return sink_client_context(source.authorities)
    return sink_client_context(source.authorities, source.tls.certificate, source.tls.key)
