"""Jobs that a broken or conquered worker would do. Loaded in workers only, by tests.sandbox."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from mss.model.errors import Malformed
from mss.model.verdict import Reason
from mss.sandbox.frames import MAGIC, PRELUDE
from mss.sandbox.nursery import CHANNEL
from mss.sandbox.worker import Blobs, Job, Params

Result = tuple[Mapping[str, Any], list[bytes]]

_memory: list[bytes] = []


def echo(params: Params, blobs: Blobs) -> Result:
    """Give everything back, and who did it."""
    return {"params": params, "pid": os.getpid()}, list(blobs)


def refuse(params: Params, blobs: Blobs) -> Result:
    raise Malformed(Reason.CDA_BROKEN, params["detail"])


def stumble(params: Params, blobs: Blobs) -> Result:
    raise ValueError("PAT-TROIS Dominique has a secret")


def remember(params: Params, blobs: Blobs) -> Result:
    """What earlier jobs left in this process: what a conquered worker would look for."""
    left = list(_memory)
    _memory.extend(blobs)
    return {}, left


def spin(params: Params, blobs: Blobs) -> Result:
    while True:
        pass


def sleep(params: Params, blobs: Blobs) -> Result:
    time.sleep(params["seconds"])
    return {"pid": os.getpid()}, []


def hoard(params: Params, blobs: Blobs) -> Result:
    hoarded = []
    while True:
        hoarded.append(bytearray(os.urandom(1)) * 16_000_000)


def leave(params: Params, blobs: Blobs) -> Result:
    os._exit(params["code"])


def crash(params: Params, blobs: Blobs) -> Result:
    ctypes.string_at(0)
    return {}, []


def garble(params: Params, blobs: Blobs) -> Result:
    """Write these bytes to the house instead of an answer."""
    os.write(CHANNEL, blobs[0])
    if params.get("then") == "leave":
        os._exit(0)
    time.sleep(60)
    return {}, []


def forge(params: Params, blobs: Blobs) -> Result:
    """A well-formed frame that says what no worker says."""
    header = json.dumps({"said": params["said"], "sizes": []}).encode()
    os.write(CHANNEL, PRELUDE.pack(MAGIC, len(header), 0) + header)
    time.sleep(60)
    return {}, []


def surroundings(params: Params, blobs: Blobs) -> Result:
    """Environment and open descriptors."""
    open_ones = []
    for number in range(64):
        try:
            os.write(number, b"")
        except OSError:
            continue
        open_ones.append(number)
    return {"environment": dict(os.environ), "descriptors": open_ones, "uid": os.getuid()}, []


def _connect(where: Any) -> None:
    with socket.socket() as endpoint:
        endpoint.connect(("127.0.0.1", where))


def _unix(where: Any) -> None:
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.connect(where)


def _write(where: Any) -> None:
    with open(where, "w") as file:
        file.write("x")


def _read(where: Any) -> None:
    with open(where) as file:
        file.read()


def _map_executable(where: Any) -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _trace(where: Any) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, where, 0, 0) < 0:  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "ptrace")


def _raise_limit(where: Any) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


ATTEMPTS: dict[str, Callable[[Any], object]] = {
    "connect to a port": _connect,
    "connect to a socket of this host": _unix,
    "make a socket pair": lambda _: socket.socketpair(),
    "write a file": _write,
    "read a file": _read,
    "look at a file": lambda where: os.stat(where),
    "list a folder": lambda where: os.listdir(where),
    "delete a file": lambda where: os.unlink(where),
    "run a program": lambda _: os.execv("/bin/true", ["true"]),
    "fork": lambda _: os.fork(),
    "kill another process": lambda pid: os.kill(pid, signal.SIGKILL),
    "look into another process": _trace,
    "take memory that can be run": _map_executable,
    "raise its limits": _raise_limit,
    "load a library": lambda _: ctypes.CDLL("libz.so.1"),
    "open a memory file": lambda _: os.memfd_create("x"),
    "change its user": lambda _: os.setuid(0),
}


def attempt(params: Params, blobs: Blobs) -> Result:
    """Try something forbidden, and say how it ended."""
    try:
        ATTEMPTS[params["what"]](params["where"])
    except OSError as error:
        return {"ended": type(error).__name__}, []
    except ValueError as error:  # setrlimit's way of saying "not permitted"
        return {"ended": type(error).__name__}, []
    return {"ended": "done"}, []


JOBS: Mapping[str, Job] = {
    job.__name__: job
    for job in (
        echo, refuse, stumble, remember, spin, sleep, hoard, leave, crash, garble, forge, surroundings, attempt,
    )
}  # fmt: skip
