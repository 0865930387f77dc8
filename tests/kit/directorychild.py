"""Another operator's directory in a process of its own: `python -m tests.kit.directorychild FOLDER`; prints its port.

FOLDER has `server.pem` and `server.key`. Its software may publish for the hospital's domain.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from mss.cradle import die_with_parent
from mss.crypto.tls import service_server_context
from tests.kit.fhirdoor import open_door

DOMAINS = frozenset(("chu.mssante.example",))


async def serve(folder: Path) -> None:
    tls = service_server_context(folder / "server.pem", folder / "server.key")
    async with open_door(f"sqlite:///{folder}/mss.db", folder, tls=tls, publishes=DOMAINS) as door:
        sys.stdout.write(f"{door.port}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    die_with_parent()
    asyncio.run(serve(Path(sys.argv[1])))
