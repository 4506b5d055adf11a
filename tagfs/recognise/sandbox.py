"""Locks this process in: no files, no network, no other processes. Linux on x86-64 and arm64.

After ``lock_in`` only what decoding and computing need is left: reading and writing what is open
already, memory, time, threads (the HEIC decoder begins one for every picture; never a process).
Everything else fails with EPERM (seccomp-bpf, required).
Landlock, where the kernel has it, takes the file system away once more.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
from dataclasses import dataclass

from tagfs.errors import TagfsError

MEMORY = 3 * 1024**3
"""Bytes of address space that a worker may have."""

_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_ALLOW, _DENY, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
_LOAD, _EQUAL, _ABOVE, _RETURN = 0x20, 0x15, 0x35, 0x06
_NO_SYSCALL = 0x00050000 | errno.ENOSYS
_THREAD_FLAGS = (0x3D0F00, 0x7D0F00)
"""What ``clone`` is given by pthread_create of glibc and of musl: the same memory, files, signal
handlers and thread group. A clone with any other flags would be a process or a namespace."""

# Numbers from the kernel's syscall tables; names are there to be read.
_X86_64 = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14,
    "rt_sigreturn": 15, "readv": 19, "writev": 20, "sched_yield": 24, "mremap": 25,
    "madvise": 28, "dup": 32, "nanosleep": 35, "getpid": 39, "exit": 60, "gettimeofday": 96,
    "getrusage": 98, "sysinfo": 99, "times": 100, "sigaltstack": 131, "gettid": 186, "time": 201,
    "futex": 202, "sched_getaffinity": 204, "clock_gettime": 228, "clock_getres": 229,
    "clock_nanosleep": 230, "exit_group": 231, "restart_syscall": 219, "getcpu": 309,
    "getrandom": 318, "rseq": 334, "membarrier": 324, "set_robust_list": 273,
}  # fmt: skip
_ARM64 = {
    "dup": 23, "close": 57, "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66,
    "ppoll": 73, "fstat": 80, "exit": 93, "exit_group": 94, "futex": 98, "nanosleep": 101,
    "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115, "sched_getaffinity": 123,
    "sched_yield": 124, "restart_syscall": 128, "sigaltstack": 132, "rt_sigaction": 134,
    "rt_sigprocmask": 135, "rt_sigreturn": 139, "times": 153, "getrusage": 165, "getcpu": 168,
    "gettimeofday": 169, "getpid": 172, "gettid": 178, "sysinfo": 179, "brk": 214, "munmap": 215,
    "mremap": 216, "mmap": 222, "mprotect": 226, "madvise": 233, "getrandom": 278,
    "membarrier": 283, "rseq": 293, "set_robust_list": 99,
}  # fmt: skip
_MACHINES = {"x86_64": (0xC000003E, _X86_64, 56), "aarch64": (0xC00000B7, _ARM64, 220)}
"""Audit number, allowed calls, and the number of ``clone``."""
_CLONE3 = 435
_X32 = 0x40000000
_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # the same on both machines


class NoSandbox(TagfsError):
    """This machine cannot lock a worker in; photos are not decoded without that."""


@dataclass(frozen=True, slots=True)
class Support:
    """What the kernel has to lock a worker in with."""

    seccomp: bool
    landlock: bool


def supported() -> Support:
    """Say what this kernel has, without locking anything in."""
    # A filter that cannot be read is refused with EFAULT where there are filters at all.
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, None, 0, 0)
    filters = ctypes.get_errno() == errno.EFAULT
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    return Support(filters and platform.machine() in _MACHINES, version >= 1)


def limit_resources() -> None:
    """Bound memory and files, and refuse core dumps; for the beginning of the process."""
    for name, value in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        hard = resource.getrlimit(name)[1]
        wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (wanted, wanted))
    _prctl(_PR_SET_DUMPABLE, 0)


def lock_in() -> bool:
    """Give up everything but computing; say whether Landlock took part.

    Raises NoSandbox where seccomp filters cannot be had: nothing may be decoded then.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        raise NoSandbox(f"There is no sandbox for {platform.machine()} machines.")
    if _prctl(_PR_SET_NO_NEW_PRIVS, 1):
        raise NoSandbox("The kernel refuses no_new_privs.")
    landlocked = _landlock()
    program = _program(machine[0], sorted(machine[1].values()), machine[2])
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    if _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.create_string_buffer(header)):
        raise NoSandbox("The kernel refuses seccomp filters.")
    return landlocked


def _program(architecture: int, allowed: list[int], clone: int) -> bytes:
    """Return the filter: another architecture is killed, what is not in the list gets EPERM.

    ``clone3`` hides its flags in memory, where a filter cannot look: it is said not to exist, and
    the C library falls back to ``clone``, whose flags are compared.
    """
    code = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL)]
    code += [(_LOAD, 0, 0, 0), (_ABOVE, 0, 1, _X32), (_RETURN, 0, 0, _DENY)]
    code += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _NO_SYSCALL)]
    flags = [(_EQUAL, len(_THREAD_FLAGS) - i, 0, f) for i, f in enumerate(_THREAD_FLAGS)]
    thread = [(_LOAD, 0, 0, 20), (_EQUAL, 0, len(flags) + 1, 0), (_LOAD, 0, 0, 16), *flags]
    thread += [(_RETURN, 0, 0, _DENY), (_RETURN, 0, 0, _ALLOW)]
    code += [(_EQUAL, 0, len(thread), clone), *thread]
    for place, number in enumerate(allowed):
        code.append((_EQUAL, len(allowed) - place, 0, number))
    code += [(_RETURN, 0, 0, _DENY), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *line) for line in code)


def _landlock() -> bool:
    """Forbid every use of the file system that the kernel's Landlock knows."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    handled = (1 << 13) - 1  # every right of the first version
    attributes = ctypes.create_string_buffer(struct.pack("Q", handled))
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(8), 0)
    if ruleset < 0:
        return False
    try:
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _prctl(option: int, value: int, more: object = 0) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.prctl(option, value, more, 0, 0))
