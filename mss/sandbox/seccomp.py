"""Which system calls may a worker of the sandbox still make?

An allow-list, written as a program of the kernel's packet filter (seccomp(2)): compute, take memory, read and
write what is already open, tell the time, end. Everything else answers "not permitted", so a library that tries
to open a file fails in its own words. Built by hand, since the few lines need no library.
Never touches the process: `confine` installs the program.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass

# linux/bpf_common.h, linux/filter.h
_LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_ANY_BIT = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K
_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter
INSTRUCTION_BYTES = _INSTRUCTION.size

# linux/seccomp.h
_ALLOW = 0x7FFF0000
_NOT_PERMITTED = 0x00050000 | errno.EPERM
_KILL = 0x80000000

# struct seccomp_data: number, architecture, instruction pointer, six arguments of 64 bits (low word first here)
_AT_NUMBER = 0
_AT_ARCHITECTURE = 4
_AT_ARGUMENT = tuple(16 + 8 * index for index in range(6))

PROT_EXEC = 0x4
RLIMIT_CPU = 0


@dataclass(frozen=True, slots=True)
class Machine:
    """An architecture: its audit number and its numbers of the calls that we name."""

    audit: int
    column: int


MACHINES = {"x86_64": Machine(0xC000003E, 0), "aarch64": Machine(0xC00000B7, 1)}

# Call: number on x86_64 (asm/unistd_64.h), on aarch64 (asm-generic/unistd.h). The busiest first.
ALLOWED: dict[str, tuple[int, int]] = {
    "read": (0, 63),
    "write": (1, 64),
    "munmap": (11, 215),
    "brk": (12, 214),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "futex": (202, 98),
    "clock_gettime": (228, 113),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "close": (3, 57),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "sched_yield": (24, 124),
    "clock_nanosleep": (230, 115),
    "restart_syscall": (219, 128),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
# Memory, but never memory that can be run: shellcode finds no home.
WITHOUT_EXECUTION: dict[str, tuple[int, int]] = {"mmap": (9, 222), "mprotect": (10, 226)}
# Its own CPU limit, which is renewed for each job; never another limit, never another process.
OWN_CPU_LIMIT: dict[str, tuple[int, int]] = {"prlimit64": (302, 261)}


def program(machine: str) -> bytes | None:
    """The filter for one architecture (as `os.uname` names it), or None when we have none for it."""
    known = MACHINES.get(machine)
    if known is None:
        return None
    steps = [
        _step(_LOAD_WORD, _AT_ARCHITECTURE),
        _step(_JUMP_EQUAL, known.audit, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD_WORD, _AT_NUMBER),
    ]
    for numbers in ALLOWED.values():
        steps += _when(numbers[known.column], [_step(_RETURN, _ALLOW)])
    for numbers in WITHOUT_EXECUTION.values():
        steps += _when(
            numbers[known.column],
            [
                _step(_LOAD_WORD, _AT_ARGUMENT[2]),
                _step(_JUMP_ANY_BIT, PROT_EXEC, 1, 0),
                _step(_RETURN, _ALLOW),
                _step(_RETURN, _NOT_PERMITTED),
            ],
        )
    for numbers in OWN_CPU_LIMIT.values():
        steps += _when(
            numbers[known.column],
            [
                _step(_LOAD_WORD, _AT_ARGUMENT[0]),
                _step(_JUMP_EQUAL, 0, 0, 3),
                _step(_LOAD_WORD, _AT_ARGUMENT[1]),
                _step(_JUMP_EQUAL, RLIMIT_CPU, 0, 1),
                _step(_RETURN, _ALLOW),
                _step(_RETURN, _NOT_PERMITTED),
            ],
        )
    return b"".join((*steps, _step(_RETURN, _NOT_PERMITTED)))


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, if_true, if_false, value)


def _when(number: int, then: list[bytes]) -> list[bytes]:
    """Do `then` (which ends by returning) when this is the call's number, else go on."""
    return [_step(_JUMP_EQUAL, number, 0, len(then)), *then]
