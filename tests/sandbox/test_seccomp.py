"""The filter of system calls, run by a small interpreter of the packet filter: also for machines that are not here."""

from __future__ import annotations

import errno
import struct

import pytest

from mss.sandbox import seccomp

ALLOW = 0x7FFF0000
NOT_PERMITTED = 0x00050000 | errno.EPERM
KILL = 0x80000000

# Numbers taken from the kernel's tables again, not from the code: open, connect and their like.
FORBIDDEN = {
    "x86_64": {
        "open": 2, "openat": 257, "openat2": 437, "socket": 41, "connect": 42, "sendto": 44, "sendmsg": 46,
        "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "kill": 62, "ptrace": 101, "chmod": 90, "unlink": 87,
        "tgkill": 234, "execveat": 322, "clone3": 435, "io_uring_setup": 425, "process_vm_readv": 310,
        "pidfd_getfd": 438, "memfd_create": 319, "setuid": 105, "prctl": 157, "bpf": 321, "mount": 165,
        "ioctl": 16, "fcntl": 72, "dup": 32, "x32 read": 0x40000000,
    },
    "aarch64": {
        "openat": 56, "openat2": 437, "socket": 198, "connect": 203, "sendto": 206, "sendmsg": 211, "clone": 220,
        "execve": 221, "kill": 129, "ptrace": 117, "unlinkat": 35, "tgkill": 131, "execveat": 281, "clone3": 435,
        "io_uring_setup": 425, "process_vm_readv": 270, "pidfd_getfd": 438, "memfd_create": 279, "setuid": 146,
        "prctl": 167, "bpf": 280, "mount": 40, "ioctl": 29, "fcntl": 25, "dup": 23,
    },
}  # fmt: skip
NEEDED = {
    "x86_64": {"read": 0, "write": 1, "brk": 12, "munmap": 11, "futex": 202, "exit_group": 231, "getrandom": 318},
    "aarch64": {"read": 63, "write": 64, "brk": 214, "munmap": 215, "futex": 98, "exit_group": 94, "getrandom": 278},
}
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MMAP = {"x86_64": 9, "aarch64": 222}
MPROTECT = {"x86_64": 10, "aarch64": 226}
PRLIMIT = {"x86_64": 302, "aarch64": 261}


def run(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the kernel would answer to this call."""
    code = seccomp.program(machine)
    assert code is not None
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<IIQ6Q", number, architecture or ARCHITECTURE[machine], 0, *padded)
    steps = list(struct.iter_unpack("=HBBI", code))
    place = accumulator = 0
    while True:
        operation, if_true, if_false, value = steps[place]
        place += 1
        if operation == 0x20:
            accumulator = int.from_bytes(data[value : value + 4], "little")
        elif operation == 0x15:
            place += if_true if accumulator == value else if_false
        elif operation == 0x45:
            place += if_true if accumulator & value else if_false
        else:
            assert operation == 0x06
            return int(value)


@pytest.mark.parametrize("machine", ARCHITECTURE)
def test_only_computing_is_allowed(machine: str) -> None:
    """Every dangerous call is refused, the few needed ones pass."""
    for name, number in FORBIDDEN[machine].items():
        assert run(machine, number) == NOT_PERMITTED, name
    for name, number in NEEDED[machine].items():
        assert run(machine, number) == ALLOW, name


@pytest.mark.parametrize("machine", ARCHITECTURE)
def test_memory_is_never_executable(machine: str) -> None:
    """Plain memory yes, memory that can be run no."""
    for number in (MMAP[machine], MPROTECT[machine]):
        assert run(machine, number, 0, 4096, 3) == ALLOW
        for protection in (4, 5, 7):
            assert run(machine, number, 0, 4096, protection) == NOT_PERMITTED


@pytest.mark.parametrize("machine", ARCHITECTURE)
def test_only_the_own_cpu_limit_can_be_renewed(machine: str) -> None:
    """Not another limit, not another process."""
    assert run(machine, PRLIMIT[machine], 0, 0) == ALLOW
    assert run(machine, PRLIMIT[machine], 0, 9) == NOT_PERMITTED
    assert run(machine, PRLIMIT[machine], 1234, 0) == NOT_PERMITTED


@pytest.mark.parametrize("machine", ARCHITECTURE)
def test_calls_of_another_architecture_end_the_worker(machine: str) -> None:
    """The numbers of a 32-bit table mean something else."""
    assert run(machine, 0, architecture=0x40000003) == KILL


def test_an_unknown_machine_has_no_filter() -> None:
    """And says so, instead of installing a wrong one."""
    assert seccomp.program("riscv64") is None
