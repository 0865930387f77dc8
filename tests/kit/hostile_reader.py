"""Reads hostile archives, documents and mails as the sandbox and the works do, and tells what each one cost.

`python -m tests.kit.hostile_reader SEED STEP [planted]`: every STEP-th attack, one JSON line each: kind, name, outcome
(`read`, a reason, or the type of a foreign error), CPU seconds. The last line: peak memory in MiB, and what a hook of
the interpreter saw: files opened for writing, connections, programs. `planted` unpacks archives into a folder first.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import time
import zipfile
from typing import Any

from mss.bridge.attachments import Kind, find_attachments
from mss.formats import cdarender, mime
from mss.formats.cda import read_header
from mss.formats.dicomstudy import embedded_pdfs, read_file
from mss.formats.summary import summarise
from mss.formats.xdm import read_package
from mss.model.errors import Malformed
from mss.sandbox import jobs
from tests.kit.attacks import ARCHIVE, CDA, IMAGE, Attack, attacks

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_OUTSIDE = (
    "socket.",
    "subprocess.",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.mkdir",
    "urllib.",
)


def read(attack: Attack, data: bytes) -> None:
    """What our processes do with it. Raises Malformed."""
    if attack.kind == ARCHIVE:
        for document in read_package(data).documents:
            read_header(document.content)
    elif attack.kind == CDA:
        read_header(data)
        cdarender.render(data)
    elif attack.kind == IMAGE:
        read_file(data)
        embedded_pdfs(data)
    else:
        structure = mime.scan(data)
        summarise(data, structure)
        for found in find_attachments(data, structure):
            kind = {Kind.ARCHIVE: ARCHIVE, Kind.CDA: CDA, Kind.IMAGE: IMAGE}.get(found.kind)
            if kind is not None:
                read(Attack(kind, attack.name, attack.build), found.content)


def unpack_first(attack: Attack, data: bytes) -> None:
    """The planted bug: a folder for the archive's files, as naive readers have."""
    if attack.kind == ARCHIVE:
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(io.BytesIO(data)) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if len(name) < 40][:3])
    read(attack, data)


def outcome(attack: Attack, data: bytes, reader: Any) -> str:
    try:
        reader(attack, data)
    except Malformed as refused:
        return refused.reason.value
    except Exception as foreign:  # noqa: BLE001 — that is what we look for
        return f"! {type(foreign).__name__}"
    return "read"


def main(seed: int, step: int, reader: Any) -> None:
    jobs.warm_up()
    seen: set[str] = set()
    armed = False

    def hook(event: str, details: tuple[Any, ...]) -> None:
        if not armed:
            return
        writes = event == "open" and isinstance(details[2], int) and details[2] & _WRITING
        if writes or event.startswith(_OUTSIDE):
            seen.add(event)

    sys.addaudithook(hook)
    for attack in attacks(seed)[::step]:
        data = attack.build()
        armed, begin = True, time.process_time()
        told = outcome(attack, data, reader)
        armed, spent_s = False, time.process_time() - begin
        print(json.dumps([attack.kind, attack.name, told, round(spent_s, 3)]))
    status = open("/proc/self/status").read()  # noqa: SIM115
    print(json.dumps({"memory_mib": int(status.split("VmHWM:")[1].split()[0]) // 1024, "seen": sorted(seen)}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), unpack_first if "planted" in sys.argv else read)
