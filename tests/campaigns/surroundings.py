"""Who lives around an operator that is being killed? A hospital's record, its FHIR server, the third operator's mail.

Real sockets over TLS in a thread with a loop of its own, so that they answer while a test does something else. They are
never killed: what they hold in the end is what the operator has told the world.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
import threading
from collections import defaultdict
from collections.abc import Coroutine
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any, TypeVar

from mss.crypto.tls import relay_server_context
from mss.demo.people import PATIENTS, TIERS
from tests.kit.demo import Demo
from tests.kit.documents import OUR_OID
from tests.kit.fhirpeer import FhirPeer
from tests.kit.hl7peer import Hl7Peer
from tests.kit.hospital import demanding
from tests.kit.pki import Pki
from tests.kit.strange_peer import StrangePeer

T = TypeVar("T")

RECORD, SERVER = "dpi", "fhir"
"""Names of the two sinks."""
TOKEN = "un-secret.de_test"
CALL_S_MAX = 30.0
_OURS = re.compile(rb"<w[0-9]+\.[0-9.]+@" + re.escape(TIERS.encode()) + rb">")
"""Message-IDs of the mail that the campaign sends."""


class Surroundings:
    """Begin before the demo, which is told of the sinks by its environment; `listen` once it runs."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mss-around-")
        folder, pki = Path(self._folder.name), Pki()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        tls = demanding(pki, folder)
        self.record, self.server = Hl7Peer(tls), FhirPeer(tls, TOKEN)
        self.mail = StrangePeer(None)
        self._call(self.record.start())
        self._call(self.server.start())
        self.environment = {"MSS_SINKS": json.dumps(self._settings(folder, pki))}

    def _settings(self, folder: Path, pki: Pki) -> dict[str, Any]:
        """As an operator writes them."""
        certificate, key = pki.lab.write(folder, "ours")
        (folder / "authorities.pem").write_bytes(pki.authority.bundle_pem)
        (folder / "token").write_text(TOKEN)
        common = {
            "takes": [{"mailboxes": [PATIENTS]}],
            "authorities": str(folder / "authorities.pem"),
            "tls": {"certificate": str(certificate), "key": str(key)},
        }
        record = {"kind": "hl7v2", "host": "127.0.0.1", "port": self.record.port, "processing": "T"}
        record |= {"receiving_application": "DPI", "receiving_facility": "CHU"}
        server = {"kind": "fhir", "url": f"https://127.0.0.1:{self.server.port}/fhir", "source_id": f"{OUR_OID}.99"}
        return {RECORD: common | record, SERVER: common | server | {"token_file": str(folder / "token")}}

    def listen(self, demo: Demo) -> None:
        """Take the mail that the operator sends to the third one."""
        pair, listen = demo.told["peer"], demo.told["peer"]["listen"]
        authorities = Path(demo.told["ca"])
        self.mail.context = relay_server_context(Path(pair["certificate"]), Path(pair["key"]), authorities)
        server = asyncio.start_server(self.mail.serve, listen["host"], listen["port"], limit=1 << 20)
        self._call(server)

    def answers(self) -> dict[str, list[str]]:
        """Message-ID of what was sent → Message-IDs of what came back about it, each as often as it came."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for raw in list(self.mail.messages):
            about = _OURS.search(raw)
            if about is not None:
                found[about[0].decode()].append(str(BytesHeaderParser().parsebytes(raw)["Message-ID"]))
        return dict(found)

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(CALL_S_MAX)

    def close(self) -> None:
        """Nobody listens any more."""
        self._call(self.record.stop())
        self._call(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_S_MAX)
        self._folder.cleanup()
