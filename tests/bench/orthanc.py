"""`python -m tests.bench.orthanc [DOCUMENTS]`: what does a document cost from stored to filed, beside Orthanc?

The same PDF of 20 kB: to us in an IHE_XDM archive by mail (CPU of works and its sandboxes, answers to the sender
included), to Orthanc (Debian's package) as a DICOM encapsulated PDF by REST, in alternating rounds on the same machine.
Then one document after the other, each for another patient than the one before, so that it is read in a worker born for
it. Ends by itself within some minutes.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path

from mss.demo.people import PATIENT_LIST
from tests.bench.documents import pdf, pdf_mail
from tests.bench.intake import SENDER, _deliver, _target
from tests.bench.processes import cpu_below
from tests.kit.demo import Demo, until
from tests.kit.dicoms import make_image
from tests.kit.documents import ZOE
from tests.kit.onlooker import Onlooker
from tests.kit.smtpload import stuffed

ROUNDS = 3
WARM_UP = 20
GOAL = 4.0


def main() -> None:
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    if shutil.which("Orthanc") is None:
        print("Orthanc is not installed (apt install orthanc): nothing is compared")
        return
    demo, peer = Demo(), Orthanc()
    try:
        demo.start()
        peer.start()
        _file(demo, WARM_UP)
        peer.take(WARM_UP)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(_file(demo, documents) / documents * 1000)
            theirs.append(peer.take(documents) / documents * 1000)
            print(f"{documents} documents: ours {ours[-1]:.1f} ms of CPU each, Orthanc {theirs[-1]:.1f}", flush=True)
        in_turn = _in_turn(demo, documents) / documents * 1000
        orthanc = sorted(theirs)[ROUNDS // 2]
        ratio, load = sorted(ours)[ROUNDS // 2] / orthanc, os.getloadavg()[0]
        print(f"from stored to filed: {ratio:.1f} times Orthanc's CPU (goal {GOAL:.0f}), load {load:.1f}")
        print(
            f"one by one, each for another patient than the one before: {in_turn:.1f} ms, {in_turn / orthanc:.1f} times"
        )
    finally:
        peer.stop()
        demo.remove()


def _file(demo: Demo, count: int) -> float:
    """Mail so many to Dominique; CPU seconds of works and all below it until all are filed."""
    hers, onlooker, target = PATIENT_LIST[0].address, Onlooker(demo), _target(demo)
    mails = [stuffed(pdf_mail(SENDER, number)[1]) for number in range(count)]
    ((standing,),) = onlooker.rows("SELECT count(*) FROM document")
    works = demo.pids()["works"]
    os.kill(works, signal.SIGSTOP)  # all are stored before the first is filed: no CPU of waiting is counted
    try:
        for mail in mails:
            asyncio.run(_deliver(target, hers, mail))
    finally:
        before = cpu_below(works)
        os.kill(works, signal.SIGCONT)
    onlooker.wait_until_judged(pause_s=0.02)
    ((stand,),) = onlooker.rows("SELECT count(*) FROM document")
    assert stand == standing + count, "each of them is filed"
    return cpu_below(works) - before


def _in_turn(demo: Demo, count: int) -> float:
    """Mail so many to three patients in turn, the next when the one before is filed; CPU seconds as above."""
    onlooker, target, works = Onlooker(demo), _target(demo), demo.pids()["works"]
    ((standing,),) = onlooker.rows("SELECT count(*) FROM document")
    before = cpu_below(works)
    for number, patient in enumerate(islice(cycle(PATIENT_LIST[:3]), count)):
        mail = stuffed(pdf_mail(SENDER, number, patient=patient)[1])
        asyncio.run(_deliver(target, patient.address, mail))
        onlooker.wait_until_judged(pause_s=0.02)
    spent = cpu_below(works) - before
    ((stand,),) = onlooker.rows("SELECT count(*) FROM document")
    assert stand == standing + count, "each of them is filed"
    return spent


class Orthanc:
    """A private one: REST on a free port of the loopback, storage of its own, no DICOM port."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="mss-orthanc-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        settings = {
            "HttpPort": self._port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomServerEnabled": False,
            "StorageDirectory": str(self._home / "storage"),
            "IndexDirectory": str(self._home / "index"),
            "Plugins": [],
        }
        (self._home / "orthanc.json").write_text(json.dumps(settings))
        self._process: subprocess.Popen[bytes] | None = None
        self._sent = 0

    def start(self) -> None:
        command = ["Orthanc", str(self._home / "orthanc.json")]
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(lambda: self._answers() or None, 60)

    def _answers(self) -> bool:
        try:
            self._ask(http.client.HTTPConnection("127.0.0.1", self._port, timeout=5), "GET", "/system")
        except OSError:
            return False
        return True

    def _ask(self, wire: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> bytes:
        wire.request(method, path, body)
        answer = wire.getresponse()
        octets = answer.read()
        assert answer.status == 200, octets
        return octets

    def take(self, count: int) -> float:
        """Give it so many files; its CPU seconds."""
        assert self._process is not None
        files = [
            make_image(ZOE, self._sent + n, pdf=pdf(), study=f"1.2.250.1.999.1.20.{self._sent + n}")
            for n in range(1, count + 1)
        ]
        self._sent += count
        before = cpu_below(self._process.pid)
        wire = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        for data in files:
            self._ask(wire, "POST", "/instances", data)
        told = json.loads(self._ask(wire, "GET", "/statistics"))
        assert int(told["CountInstances"]) == self._sent
        return cpu_below(self._process.pid) - before

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
        shutil.rmtree(self._home, ignore_errors=True)


if __name__ == "__main__":
    main()
