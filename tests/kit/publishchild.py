"""The part of a works process that publishes, to be killed: `python -m tests.kit.publishchild URL FOLDER PORT`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from mss.cradle import die_with_parent
from mss.crypto import seal
from mss.crypto.keys import Lookup
from mss.crypto.tls import sink_client_context
from mss.directory.ours import OwnMailboxes
from mss.fhir.duty import Publication
from mss.fhir.publisher import Place, Publisher
from mss.model.clock import SystemChance, SystemClock
from mss.store.changes import ChangeBus
from mss.store.database import Store

LOOKUP = Lookup(b"lookup key of the tests of the FHIR door")
"""As tests/kit/fhirdoor.py has it, whose server would take a second to import."""


async def serve(url: str, folder: Path, port: int) -> None:
    clock, chance = SystemClock(), SystemChance()
    store, pair = Store.open(url), seal.new_pair(chance)
    ours = OwnMailboxes(store, LOOKUP, pair.public, clock, chance)
    place = Place(f"https://localhost:{port}/fhir", folder / "ours.token")
    publisher = Publisher(place, lambda: sink_client_context(folder / "ca.pem"))
    await Publication(store, ours, publisher, pair, clock).run(ChangeBus("child"))


if __name__ == "__main__":
    die_with_parent()
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
