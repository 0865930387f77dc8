"""What does a process give up before it reads what a stranger sent?

Two doors are closed, one behind the other. `leave_the_world` is for the nursery, once: no root, no network, an
empty file system, for it and all its children. `confine` is for each worker: limits that cannot be raised again, no
new privileges, no core dump, death with its parent, and the filter of system calls. Each step that this kernel or
container does not grant is left out and said in the answer; the house writes it into its log.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from mss.sandbox import seccomp
from mss.sandbox.limits import Limits

NOBODY = 65534  # the overflow user of Linux; owns nothing
FILES_MAX = 8  # the three standard ones, the channel, and nothing else
CPU_SPARE_S = 60  # the hard limit lies so far above what all jobs of one worker may take together

# linux/sched.h, linux/mount.h, linux/prctl.h
_CLONE_NEWNS = 0x00020000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_MOUNT_READ_ONLY_NOTHING_RUNS = 1 | 2 | 4 | 8  # MS_RDONLY, NOSUID, NODEV, NOEXEC
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2


@dataclass(frozen=True, slots=True)
class World:
    """What the nursery could leave behind."""

    network_left: bool
    files_left: bool


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def leave_the_world() -> World:
    """No root, no network, no files. Call when everything is imported; nothing can be loaded afterwards."""
    _offer_to_the_oom_killer()
    _drop_root()
    libc = _libc()
    network_left = libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWNS | _CLONE_NEWIPC) == 0
    files_left = False
    if network_left:
        # Our own copy of the mount table: an empty file system over /proc becomes the root.
        mounted = libc.mount(b"none", b"/proc", b"tmpfs", _MOUNT_READ_ONLY_NOTHING_RUNS, None) == 0
        files_left = mounted and _change_root("/proc")
    return World(network_left, files_left)


def _offer_to_the_oom_killer() -> None:
    """When memory runs out, a worker goes first: its job can be asked again."""
    try:
        Path("/proc/self/oom_score_adj").write_text("1000")
    except OSError:
        pass


def _drop_root() -> None:
    if os.geteuid() != 0:
        return
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:
        pass  # a container without the right to become nobody; the filter holds all the same


def _change_root(path: str) -> bool:
    try:
        os.chroot(path)
        os.chdir("/")
    except OSError:
        return False
    return True


def confine(limits: Limits, parent: int) -> bool:
    """Close the second door behind this worker. True when the filter of system calls is in force."""
    libc = _libc()
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)  # it died before we asked to be told
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    for kind, amount in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_NOFILE, FILES_MAX),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (amount, amount))
    hard_cpu_s = limits.jobs_per_worker * (limits.cpu_s + 1) + CPU_SPARE_S
    resource.setrlimit(resource.RLIMIT_CPU, (hard_cpu_s, hard_cpu_s))
    return _install_filter(libc)


def renew_cpu(limits: Limits) -> None:
    """Give the next job its CPU seconds; beyond them the kernel ends the process (SIGXCPU)."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(time.process_time()) + limits.cpu_s + 1
    resource.setrlimit(resource.RLIMIT_CPU, (min(soft, hard), hard))


class _Program(ctypes.Structure):
    """struct sock_fprog of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _install_filter(libc: ctypes.CDLL) -> bool:
    code = seccomp.program(os.uname().machine)
    if code is None:
        return False
    program = _Program(len(code) // seccomp.INSTRUCTION_BYTES, code)
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0)
