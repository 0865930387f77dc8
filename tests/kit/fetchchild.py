"""The part of a works process that fetches, to be killed: `python -m tests.kit.fetchchild URL FOLDER PORT USER`.

Opens the store and the public keys of a house of tests, says that it is there, and reads one mailbox of a Dovecot.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from mss.bridge.farbox import FarPlace
from mss.bridge.fetching import Fetcher, Marks, Rooms
from mss.cradle import die_with_parent
from mss.crypto.keys import load_public
from mss.crypto.tls import sink_client_context
from mss.mail.delivery import Delivery
from mss.mail.recipients import House, Recipients
from mss.mail.screening import NoScreening
from mss.model.clock import SystemChance, SystemClock
from mss.model.ids import MailAddress
from mss.store.blobs import LocalBodies
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.sealing import Sealer

HOSPITAL, PATIENTS = "chu.mssante.example", "patient.mssante.example"
"""As tests/kit/house.py has them, whose rooms would take seconds to import."""


async def serve(url: str, folder: Path, port: int, user: str) -> None:
    clock, chance, bus = SystemClock(), SystemChance(), ChangeBus("child")
    public, store, bodies = load_public(folder / "keys"), Store.open(url), LocalBodies(folder / "bodies")
    house = House(
        host=f"relais.{HOSPITAL}",
        domains=frozenset({PATIENTS, HOSPITAL}),
        patient_domain=PATIENTS,
        accepts_test_identities=True,
        postmaster=MailAddress("postmaster", HOSPITAL),
        unreachable_delay_max_s=60,
    )
    recipients = Recipients(store, public.lookup, house)
    delivery = Delivery(store, bodies, public, Sealer(clock, chance), bus, clock, chance)
    rooms = Rooms(store, delivery, recipients, NoScreening(), public.lookup, house.host, clock, chance)
    place = FarPlace("localhost", port, user, password_file=folder / "password")
    authorities = (folder / "authorities.pem").read_bytes()
    into, marks = MailAddress("dpi", HOSPITAL), Marks()
    fetcher = Fetcher("autre", place, lambda: sink_client_context(authorities), into, marks, rooms, (0.1,))
    print("ready", flush=True)
    await fetcher.run(bus)


if __name__ == "__main__":
    die_with_parent()
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
