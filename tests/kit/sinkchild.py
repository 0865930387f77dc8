"""The part of a works process that hands documents over, to be killed: `python -m tests.kit.sinkchild URL FOLDER PORT`.

Opens the store and the keys of a house of tests, frees the leases of the dead as works does, and serves one MLLP sink.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from mss.bridge.dossier import Dossiers
from mss.bridge.mllp import MllpPlace, MllpSink
from mss.bridge.settling import Settling
from mss.bridge.sinks import SinkWorker
from mss.cradle import die_with_parent
from mss.crypto.keys import load_private, load_public
from mss.crypto.tls import sink_client_context
from mss.formats.mdm import Ends
from mss.mail.holding import Holder
from mss.model.clock import SystemChance, SystemClock
from mss.record.service import Records
from mss.store.blobs import LocalBodies
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.workers import free_leases_of_the_dead, worker_name
from mss.vault.opener import Opener

HOSPITAL, PATIENTS = "chu.mssante.example", "patient.mssante.example"
"""As tests/kit/house.py has them, whose rooms would take seconds to import."""


async def serve(url: str, folder: Path, port: int) -> None:
    clock, chance, bus = SystemClock(), SystemChance(), ChangeBus("child")
    public, private = load_public(folder / "keys"), load_private(folder / "keys", chance)
    store, bodies = Store.open(url), LocalBodies(folder / "bodies")
    opener = Opener(store, bodies, private.wrapper, clock, chance)
    records = Records(store, opener, bodies, public.lookup, clock, chance)
    dossiers = Dossiers(store, opener, records, {}, PATIENTS)
    holder = Holder(public, clock, chance)
    settling = Settling(store, dossiers, holder, public.tasks, HOSPITAL, bus, clock, chance)
    tls = sink_client_context((folder / "authorities.pem").read_bytes(), folder / "ours.pem", folder / "ours.key")
    sink = MllpSink("dpi", MllpPlace("127.0.0.1", port, Ends("MSS", "Essai", "DPI", "CHU", "T")), lambda: tls)
    await free_leases_of_the_dead(store)
    await SinkWorker(sink, store, dossiers, settling, clock, worker_name()).run(bus)


if __name__ == "__main__":
    die_with_parent()
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
