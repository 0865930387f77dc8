"""Where do workers come from, so that each is new, clean and cheap?

A fresh interpreter, started before any key is loaded, imports the libraries once and then does nothing but fork
when the house asks: a worker costs milliseconds instead of half a second, and shares no memory with the house.
The nursery itself never reads a byte that a stranger sent. It is told two things, by datagrams: "fork N" with one
end of a socket pair, and "kill N"; it alone knows process ids, of children it has not yet buried, so that no
other process can ever be hit. When the house hangs up it ends, and its workers with it.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from mss.sandbox import confine
from mss.sandbox.limits import Limits
from mss.sandbox.worker import Job, serve

ORDER_BYTES_MAX = 64
CHANNEL = 3  # the worker's only descriptor besides the standard ones


def main() -> None:
    """`python -I -c … ROOT DESCRIPTOR JOBS LIMITS`: import, leave the world, raise workers."""
    _, _, descriptor, module, limits_json = sys.argv
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the house decides, by hanging up, when work in flight is done
    jobs = importlib.import_module(module)
    warm_up: Callable[[], None] = getattr(jobs, "warm_up", lambda: None)
    warm_up()
    control = socket.socket(fileno=int(descriptor))
    world = confine.leave_the_world()
    gc.collect()
    gc.freeze()  # what is shared with all children stays shared
    hello = {"network_left": world.network_left, "files_left": world.files_left}
    _raise_workers(control, jobs.JOBS, Limits(**json.loads(limits_json)), hello)


def _raise_workers(control: socket.socket, jobs: Mapping[str, Job], limits: Limits, hello: dict[str, Any]) -> None:
    children: dict[bytes, int] = {}
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, ORDER_BYTES_MAX, 1)
        if not order:
            return
        _bury(children)
        verb, _, serial = order.partition(b" ")
        if verb == b"fork":
            children[serial] = _fork(control, descriptors[0], jobs, limits, hello)
        elif verb == b"kill" and serial in children:
            os.kill(children[serial], signal.SIGKILL)


def _bury(children: dict[bytes, int]) -> None:
    """Forget the dead. Until then their ids are theirs, so `kill` cannot hit a stranger."""
    for serial, pid in list(children.items()):
        if os.waitpid(pid, os.WNOHANG)[0]:
            del children[serial]


def _fork(
    control: socket.socket, descriptor: int, jobs: Mapping[str, Job], limits: Limits, hello: dict[str, Any]
) -> int:
    parent = os.getpid()
    if pid := os.fork():
        os.close(descriptor)
        return pid
    try:
        control.detach()
        _keep_only(descriptor)
        filtered = confine.confine(limits, parent)
        said = {"hello": {**hello, "calls_filtered": filtered, "pid": os.getpid()}}
        serve(io.FileIO(CHANNEL, "r+"), jobs, limits, said)
    finally:
        os._exit(0)  # whatever happened: never return into the nursery's loop


def _keep_only(descriptor: int) -> None:
    """The channel, and /dev/null thrice: the nursery's own errors go to the house's stderr, a worker's nowhere."""
    os.dup2(0, 2)
    if descriptor != CHANNEL:
        os.dup2(descriptor, CHANNEL)
    os.closerange(CHANNEL + 1, os.sysconf("SC_OPEN_MAX"))
