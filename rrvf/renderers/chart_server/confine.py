"""Confinement of one process: namespaces, Landlock, seccomp, resource limits, privileges.

It calls the C library through ctypes and needs no package or helper program. There are four levels,
best first:

=========== ==============================================================================
namespaces  private network, mounts and IPC, a tmpfs of bounded size as the only writable
            place, and all of the following
landlock    Landlock (only listed paths can be opened) and all of the following
seccomp     a list of allowed system calls (no socket, no fork, no exec, no signal to others)
rlimits     memory, CPU time, file size and open files only
=========== ==============================================================================

The numbers of system calls and the constants are from the Linux kernel's uapi headers.
"""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import functools
import os
import platform
import resource
import signal
import stat
import struct
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

LEVELS = ("namespaces", "landlock", "seccomp", "rlimits")

NOBODY = 65534

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


@dataclass(frozen=True)
class Identity:
    """Whom a script runs as.

    Attributes:
        user: The user to become when started as root; ``None`` keeps the user, without rights.
        capability: The one capability that is kept: to read what only root may, where Landlock
            says which files those are.
        own_namespace: In a user namespace of its own, whose threads the kernel counts apart.
    """

    user: int | None = None
    capability: int | None = None
    own_namespace: bool = False


@dataclass(frozen=True)
class Limits:
    """What one execution may use.

    Attributes:
        cpu_seconds: CPU time; a machine under load does not shorten it.
        wall_seconds: Wall time, for code that sleeps.
        memory: Address space in bytes.
        file_size: Largest single file in bytes.
        scratch_size: All files together in bytes.
        scratch_files: Number of files and folders.
        open_files: Descriptors; with ``file_size`` this bounds files that have lost their name.
        tasks: Threads of the user as a whole; the server adds those that exist already.
        output: Bytes that the child may send back.
    """

    cpu_seconds: int = 60
    wall_seconds: int = 180
    memory: int = 4 * 2**30
    file_size: int = 64 * 2**20
    scratch_size: int = 128 * 2**20
    scratch_files: int = 2000
    open_files: int = 64
    tasks: int = 256
    output: int = 160 * 2**20


class ConfineError(OSError):
    """A layer could not be put up."""


# ------------------------------------------------------------------------------ plumbing


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, action: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise ConfineError(number, f"{action}: {os.strerror(number)}")
    return result


def _syscall(number: int, *arguments: object) -> int:
    c_arguments = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _libc().syscall(ctypes.c_long(number), *c_arguments)


PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38


def _prctl(option: int, argument: int = 0, second: object = 0) -> None:
    extra = ctypes.c_ulong(second) if isinstance(second, int) else second
    zero = ctypes.c_ulong(0)
    _check(_libc().prctl(option, ctypes.c_ulong(argument), extra, zero, zero), f"prctl {option}")


# ---------------------------------------------------------------------------- namespaces

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 1 << 12, 1 << 14, 1 << 18, 2


def enter_namespaces() -> None:
    """Give the calling process its own network, mounts, IPC and host name.

    As root by right, otherwise inside a user namespace that maps the user to itself, and for root
    all other users as well.

    Raises:
        ConfineError: Neither is allowed here.
    """
    flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
    if _libc().unshare(flags) != 0:
        enter_user_namespace(flags)
    mount(None, "/", None, MS_REC | MS_PRIVATE, None)


def enter_user_namespace(flags: int = 0) -> None:
    """Enter a user namespace in which every user is who it was.

    Args:
        flags: More namespaces to enter along with it.

    Raises:
        ConfineError: The kernel refuses.
    """
    uid, gid = os.getuid(), os.getgid()
    with _map_all_users(uid == 0) as map_all:
        _check(_libc().unshare(flags | CLONE_NEWUSER), "unshare")
        if map_all():
            return
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


@contextlib.contextmanager
def _map_all_users(is_root: bool) -> Generator[Callable[[], bool]]:
    """Only a process that stays outside may map more users than one: a fork, which waits here."""
    if not is_root:
        yield lambda: False
        return
    maps = {name: _read_id_map(name) for name in ("uid_map", "gid_map")}
    parent = os.getpid()
    read_end, write_end = os.pipe()
    helper = os.fork()
    if helper == 0:
        with contextlib.suppress(BaseException):
            os.close(write_end)
            if os.read(read_end, 1):
                for name, ranges in maps.items():
                    lines = [f"{first} {first} {count}" for first, count in ranges]
                    Path(f"/proc/{parent}/{name}").write_text("\n".join(lines))
                os._exit(0)
        os._exit(1)
    os.close(read_end)
    open_ends = [write_end]

    def map_all() -> bool:
        os.write(open_ends[0], b"x")
        os.close(open_ends.pop())
        return os.waitstatus_to_exitcode(os.waitpid(helper, 0)[1]) == 0

    try:
        yield map_all
    finally:
        if open_ends:
            os.close(open_ends.pop())
            os.waitpid(helper, 0)


def _read_id_map(name: str) -> list[tuple[int, int]]:
    """First and number of the ids that exist in this user namespace, range by range."""
    lines = Path("/proc/self", name).read_text().splitlines()
    return [(int(first), int(count)) for first, _, count in map(str.split, lines)]


def mount(
    source: str | None, target: str, kind: str | None, flags: int, options: str | None
) -> None:
    """The system call of this name.

    Raises:
        ConfineError: The kernel refuses.
    """

    def encode(value: str | None) -> bytes | None:
        return None if value is None else value.encode()

    result = _libc().mount(
        encode(source), encode(target), encode(kind), ctypes.c_ulong(flags), encode(options)
    )
    _check(result, f"mount on {target}")


def unmount(folder: str) -> None:
    """Take away what was mounted on ``folder`` last, if anything."""
    _libc().umount2(folder.encode(), MNT_DETACH)


def unshare_mounts() -> None:
    """Mounts that the calling process makes from now on are seen by itself only.

    Raises:
        ConfineError: The kernel refuses.
    """
    _check(_libc().unshare(CLONE_NEWNS), "unshare mounts")


# ------------------------------------------------------------------------------ Landlock

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE = 1 << 14
_READ = _EXECUTE | _READ_FILE | _READ_DIR
# Links, devices, sockets and pipes are never needed: files and folders may be made and removed.
_MAKE = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 13
_SCRATCH = _WRITE_FILE | _READ_FILE | _READ_DIR | _MAKE | _TRUNCATE
_FILE_ONLY = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE


DEVICES = ["/dev/null", "/dev/zero", "/dev/urandom"]


def landlock_version() -> int:
    """The kernel's Landlock ABI, 0 where there is none."""
    return max(0, _syscall(_CREATE_RULESET, None, 0, 1))


def _list_rights(version: int) -> tuple[int, int, int]:
    """Rights on files, on TCP, and scopes that this ABI can take away."""
    files = (1 << 13) - 1
    if version >= 2:
        files |= 1 << 13
    if version >= 3:
        files |= 1 << 14
    if version >= 5:
        files |= 1 << 15
    return files, 3 if version >= 4 else 0, 3 if version >= 6 else 0


def open_readable(paths: list[str]) -> list[int]:
    """Descriptors (``O_PATH``) of the paths that exist, for :func:`landlock`."""
    descriptors: list[int] = []
    for path in paths:
        try:
            descriptors.append(os.open(path, os.O_PATH | os.O_CLOEXEC))
        except OSError:
            continue
    return descriptors


def landlock(
    readable: list[int], scratch: str, writable_files: list[str], more_scratch: Sequence[str] = ()
) -> None:
    """Allow this process what :func:`make_ruleset` says, for good.

    Raises:
        ConfineError: The kernel has no Landlock, or refuses.
    """
    restrict(make_ruleset(readable, scratch, writable_files, more_scratch=more_scratch))


def restrict(ruleset: int) -> None:
    """Hold this process to a ruleset, and close it here.

    Raises:
        ConfineError: The kernel refuses.
    """
    _check(_syscall(_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def make_ruleset(
    readable: list[int],
    scratch: str,
    writable_files: list[str],
    free_folders: list[str] | None = None,
    more_scratch: Sequence[str] = (),
) -> int:
    """A ruleset to read ``readable``, to write below ``scratch``, and nothing else.

    Args:
        readable: Descriptors from :func:`open_readable`.
        scratch: The folder in which everything may be done.
        writable_files: Devices such as ``/dev/null``.
        free_folders: More folders to write below, where sockets and links may be made as well.
        more_scratch: More folders like ``scratch``.

    Returns:
        A descriptor, for :func:`restrict` in this process or in its forks.

    Raises:
        ConfineError: The kernel has no Landlock, or refuses.
    """
    version = landlock_version()
    files, tcp, scopes = _list_rights(version)
    if version < 1:
        raise ConfineError(38, "no Landlock")
    attributes = struct.pack("=QQQ", files, tcp, scopes)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _check(_syscall(_CREATE_RULESET, attributes, size, 0), "landlock_create_ruleset")
    # Hundreds of rules are added before every script: their constant arguments are made once.
    numbers = (ctypes.c_long(number) for number in (_ADD_RULE, ruleset, _PATH_BENEATH))
    add_rule = functools.partial(_libc().syscall, *numbers)
    no_flags = ctypes.c_long(0)

    def allow(descriptor: int, rights: int) -> None:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FILE_ONLY
        rule = struct.pack("=Qi", rights & files, descriptor)
        _check(add_rule(rule, no_flags), "landlock_add_rule")

    for descriptor in readable:
        allow(descriptor, _READ)
    writable = [(path, _SCRATCH) for path in (scratch, *more_scratch)]
    writable += [(path, _READ | _WRITE_FILE) for path in writable_files]
    for path, rights in [*writable, *((path, files) for path in free_folders or [])]:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        allow(descriptor, rights)
        os.close(descriptor)
    return ruleset


# ------------------------------------------------------------------------------- seccomp

# name: (x86_64, aarch64); None where the architecture has no such call. The most frequent first.
_ALLOWED: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "munmap": (11, 215),
    "brk": (12, 214),
    "mmap": (9, 222),
    "newfstatat": (262, 79),
    "futex": (202, 98),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    "mremap": (25, 216),
    "getdents64": (217, 61),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "clock_gettime": (228, 113),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "stat": (4, None),
    "lstat": (6, None),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "statx": (332, 291),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "readv": (19, 65),
    "writev": (20, 66),
    "preadv": (295, 69),
    "pwritev": (296, 70),
    "pipe": (22, None),
    "pipe2": (293, 59),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "flock": (73, 32),
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    "ftruncate": (77, 46),
    "fadvise64": (221, 223),
    "sendfile": (40, 71),
    "copy_file_range": (326, 285),
    "getdents": (78, None),
    "getcwd": (79, 17),
    "chdir": (80, 49),
    "fchdir": (81, 50),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "rmdir": (84, None),
    "creat": (85, None),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "umask": (95, 166),
    "statfs": (137, 43),
    "fstatfs": (138, 44),
    "sched_yield": (24, 124),
    "pause": (34, None),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "clock_getres": (229, 114),
    "getitimer": (36, 102),
    "setitimer": (38, 103),
    "alarm": (37, None),
    "times": (100, 153),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "gettid": (186, 178),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getgroups": (115, 158),
    "getpgrp": (111, None),
    "getpgid": (121, 155),
    "getsid": (124, 156),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    "getcpu": (309, 168),
    "sched_getaffinity": (204, 123),
    "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120),
    "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126),
    "get_mempolicy": (239, 236),
    "membarrier": (324, 283),
    "mincore": (27, 232),
    "msync": (26, 227),
    "sigaltstack": (131, 132),
    "rt_sigpending": (127, 136),
    "rt_sigtimedwait": (128, 137),
    "rt_sigsuspend": (130, 133),
    "epoll_create1": (291, 20),
    "epoll_create": (213, None),
    "epoll_ctl": (233, 21),
    "epoll_wait": (232, None),
    "epoll_pwait": (281, 22),
    "eventfd2": (290, 19),
    "getrandom": (318, 278),
    "arch_prctl": (158, None),
    "set_tid_address": (218, 96),
    "set_robust_list": (273, 99),
    "get_robust_list": (274, 100),
    "rseq": (334, 293),
    # Semaphores: the C library gives their files a name by a link, in the same folder.
    "link": (86, None),
    "linkat": (265, 37),
    # Of sockets there are unnamed pairs only.
    "recvfrom": (45, 207),
    "shutdown": (48, 210),
    "getsockname": (51, 204),
    "getpeername": (52, 205),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
# Only for a user who owns nothing but what the script has made: no layer else holds these.
_MODES: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
}
# No layer holds times of files: they are left as they are, and who sets them is not told.
_IGNORED: dict[str, tuple[int, int]] = {"utimensat": (280, 88)}
_CLONE, _CLONE3 = (56, 220), 435
_OPEN, _OPENAT = (2, None), (257, 56)
_FCNTL, _FALLOCATE = (72, 25), (285, 47)
# Copying, flags and locks; not the commands that choose whom a descriptor signals, or leases.
_FCNTL_COMMANDS = (*range(8), *range(1030, 1035), 36, 37, 38)
_F_SETFL, _O_ASYNC, _O_TRUNC = 4, 0x2000, 0x200
_KILL, _TGKILL = (62, 129), (234, 131)
_PRLIMIT, _IOCTL = (302, 261), (16, 29)
# Questions to a terminal, and what a descriptor blocks on or leaves to a program it becomes.
_IOCTL_COMMANDS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
_CLOSE_RANGE, _CLOSE_RANGE_UNSHARE = (436, 436), 2
_SOCKETPAIR, _SENDTO = (53, 199), (44, 206)
_AF_UNIX, _SOCK_STREAM, _SOCK_TYPES = 1, 1, 0xF
CLONE_THREAD = 0x00010000
# A thread shares memory, folder, descriptors and signal handlers, as the C library makes it: one
# with a table of descriptors of its own would have a limit of its own.
_THREAD = CLONE_THREAD | 0x100 | 0x200 | 0x400 | 0x800
_CLONE_NEW = 0x7E000000 | 0x20000

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _JEQ, _JGE, _JSET, _AND, _RET = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW = 0x7FFF0000
_EPERM, _ENOSYS, _NOTHING = 0x00050000 | 1, 0x00050000 | 38, 0x00050000
_KILL_PROCESS = 0x80000000


def _op(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, k & 0xFFFFFFFF)


def _argument(index: int, high: bool = False) -> bytes:
    """Load half of a 64-bit argument (little-endian)."""
    return _op(_LOAD, 16 + 8 * index + (4 if high else 0))


def seccomp_program(machine: str, pid: int, *, modes: bool = False) -> bytes:
    """The BPF filter: listed calls pass or do nothing, the rest fail with ``EPERM``.

    Args:
        machine: ``platform.machine()``.
        pid: The only process that may be signalled: the confined one itself.
        modes: Whether modes of files may be changed.

    Raises:
        ConfineError: No table for this architecture.
    """
    if machine not in _ARCHITECTURES:
        raise ConfineError(38, f"no seccomp table for {machine}")
    column, audit = _ARCHITECTURES[machine]
    program = [_op(_LOAD, 4), _op(_JEQ, audit, 1, 0), _op(_RET, _KILL_PROCESS), _op(_LOAD, 0)]
    if machine == "x86_64":  # the x32 ABI shares the audit value
        program += [_op(_JGE, 0x40000000, 0, 1), _op(_RET, _EPERM)]
    for numbers in (*_ALLOWED.values(), *(_MODES.values() if modes else ())):
        number = numbers[column]
        if number is not None:
            program += [_op(_JEQ, number, 0, 1), _op(_RET, _ALLOW)]
    for numbers in _IGNORED.values():
        program += [_op(_JEQ, numbers[column], 0, 1), _op(_RET, _NOTHING)]
    program += _guard_call(_OPENAT[column], _refuse_truncating_readers(2))
    program += _guard_call(_OPEN[column], _refuse_truncating_readers(1))
    program += _guard_call(_FCNTL[column], _allow_harmless_commands())
    # Space beyond a file's end counts towards no limit.
    program += _guard_call(
        _FALLOCATE[column], [_argument(1), _op(_JEQ, 0, 0, 1), _op(_RET, _ALLOW)]
    )
    # glibc falls back to clone, whose flags a filter can read.
    program += [_op(_JEQ, _CLONE3, 0, 1), _op(_RET, _ENOSYS)]
    program += _guard_call(_CLONE[column], _allow_threads())
    own_pid = [_argument(0), _op(_JEQ, pid, 0, 1), _op(_RET, _ALLOW)]
    program += _guard_call(_KILL[column], own_pid) + _guard_call(_TGKILL[column], own_pid)
    program += _guard_call(_PRLIMIT[column], _allow_null(2))
    program += _guard_call(_IOCTL[column], _allow_values(1, _IOCTL_COMMANDS))
    unshare = [_argument(2), _op(_JSET, _CLOSE_RANGE_UNSHARE, 1, 0), _op(_RET, _ALLOW)]
    program += _guard_call(_CLOSE_RANGE[column], unshare)
    program += _guard_call(_SOCKETPAIR[column], _allow_unnamed_stream())
    program += _guard_call(_SENDTO[column], _allow_null(4))
    return b"".join([*program, _op(_RET, _EPERM)])


def _refuse_truncating_readers(index: int) -> list[bytes]:
    """Before its third version Landlock let ``O_RDONLY | O_TRUNC`` empty any readable file."""
    return [
        _argument(index),
        _op(_AND, _O_TRUNC | 3),
        _op(_JEQ, _O_TRUNC, 1, 0),
        _op(_RET, _ALLOW),
    ]


def _allow_harmless_commands() -> list[bytes]:
    set_flags = [_argument(2), _op(_JSET, _O_ASYNC, 0, 1), _op(_RET, _EPERM), _op(_RET, _ALLOW)]
    return [
        *(_argument(1), _op(_JEQ, _F_SETFL, 0, len(set_flags)), *set_flags),
        *_allow_values(1, _FCNTL_COMMANDS),
    ]


def _allow_values(index: int, values: tuple[int, ...]) -> list[bytes]:
    body = [_argument(index)]
    for value in values:
        body += [_op(_JEQ, value, 0, 1), _op(_RET, _ALLOW)]
    return body


def _allow_null(index: int) -> list[bytes]:
    """A pointer that is not used: no new limit, no address to send to."""
    return [
        *(_argument(index), _op(_JEQ, 0, 0, 3)),
        *(_argument(index, high=True), _op(_JEQ, 0, 0, 1)),
        _op(_RET, _ALLOW),
    ]


def _allow_threads() -> list[bytes]:
    flags = [_argument(0), _op(_AND, _THREAD | _CLONE_NEW), _op(_JEQ, _THREAD, 0, 1)]
    return [*flags, _op(_RET, _ALLOW)]


def _allow_unnamed_stream() -> list[bytes]:
    """A connected pair has no address; one of datagrams could still send to another's."""
    return [
        *(_argument(0), _op(_JEQ, _AF_UNIX, 0, 4)),
        *(_argument(1), _op(_AND, _SOCK_TYPES), _op(_JEQ, _SOCK_STREAM, 0, 1)),
        _op(_RET, _ALLOW),
    ]


def _guard_call(number: int | None, body: list[bytes]) -> list[bytes]:
    """``body`` runs for system call ``number`` only, and ends in a refusal."""
    if number is None:
        return []
    body = [*body, _op(_RET, _EPERM)]
    return [_op(_JEQ, number, 0, len(body)), *body]


def seccomp(*, modes: bool = False) -> None:
    """Install the filter in this process, for good.

    Args:
        modes: Whether modes of files may be changed.

    Raises:
        ConfineError: The kernel or the architecture does not offer it.
    """
    program = seccomp_program(platform.machine(), os.getpid(), modes=modes)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("=HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    _prctl(PR_SET_SECCOMP, 2, ctypes.c_char_p(header))


# ------------------------------------------------------------------ limits and privileges


UNUSED_USERS = (range(0x70000000, 0x7F000000), range(61184, 65520))
"""Users that no distribution gives to anybody, the rarest first."""


def unused_users() -> range:
    """Users that exist here, as far as namespaces go, and are nobody; empty where root has none."""
    users = [range(first, first + count) for first, count in _read_id_map("uid_map")]
    groups = [range(first, first + count) for first, count in _read_id_map("gid_map")]

    def exists(ids: range) -> bool:
        kinds = (users, groups)
        return all(
            any(ids[0] in stretch and ids[-1] in stretch for stretch in ranges) for ranges in kinds
        )

    return next((ids for ids in UNUSED_USERS if exists(ids)), range(0))


def works(attempt: Callable[[], object]) -> bool:
    """Whether something can be done here, tried out in a fork: half of it done is no good."""
    pid = os.fork()
    if pid == 0:
        try:
            attempt()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def count_threads_apart() -> None:
    """Enter a user namespace whose threads the kernel counts by themselves: Linux 5.14.

    Raises:
        OSError, RuntimeError: It does not, or there are no user namespaces.
    """
    enter_user_namespace()
    # This process and its parent have the same user: a second thread would be the third.
    resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))
    _thread.start_new_thread(os.getpid, ())


def tasks_of(user: int) -> int:
    """Threads that a user has now."""
    count = 0
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit() and process.stat().st_uid == user:
                count += sum(1 for _ in (process / "task").iterdir())
    return count


def limit_resources(limits: Limits) -> None:
    """Set the limits that hold on every level."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu_before = int(usage.ru_utime + usage.ru_stime)
    cpu = cpu_before + limits.cpu_seconds
    for kind, soft, hard in [
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_AS, limits.memory, limits.memory),
        (resource.RLIMIT_FSIZE, limits.file_size, limits.file_size),
        (resource.RLIMIT_NOFILE, limits.open_files, limits.open_files),
        (resource.RLIMIT_NPROC, limits.tasks, limits.tasks),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
    ]:
        ceiling = resource.getrlimit(kind)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(kind, (soft, hard))
    # A write beyond the file limit then fails with an error instead of ending the process.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


class _CapHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapData(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def drop_privileges(user: int | None, kept_capability: int | None = None) -> None:
    """Give up every capability, and become ``user`` where one is named.

    Args:
        user: The user to become.
        kept_capability: The one capability that is not given up.
    """
    for capability in range(64):
        if _libc().prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) != 0:
            break  # past the last one, or none to give up
    if user is not None:
        if kept_capability is not None:
            _prctl(PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    header = _CapHeader(0x20080522, 0)
    rest = (_CapData * 2)()
    if kept_capability is not None:
        rest[0].effective = rest[0].permitted = 1 << kept_capability
    _check(_libc().capset(ctypes.byref(header), ctypes.byref(rest)), "capset")
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent(parent: int) -> None:
    """End this process when its parent ends; a change of user clears this, so call it after."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def confine(
    level: str,
    limits: Limits,
    scratch: str,
    readable: list[int],
    identity: Identity | None,
    parent: int,
    more_scratch: Sequence[str] = (),
) -> None:
    """Confine the calling process for good.

    Args:
        level: One of :data:`LEVELS`; for ``namespaces`` the process must have entered them.
        limits: What may be used up.
        scratch: The working folder afterwards, writable.
        readable: What may be read, from :func:`open_readable`; closed here.
        identity: Whom to become; ``None`` keeps the user, without rights.
        parent: Process id of the parent.
        more_scratch: The other folders that stay writable.

    Raises:
        ConfineError: A layer of this level could not be put up; nothing may run then.
    """
    identity = identity or Identity()
    os.chdir(scratch)
    if identity.own_namespace:
        enter_user_namespace()
    drop_privileges(identity.user, identity.capability)
    # Who holds files without a name is seen only in a process that can be looked at; where a
    # tmpfs bounds them, nobody needs to.
    _prctl(PR_SET_DUMPABLE, 0 if level == "namespaces" else 1)
    die_with_parent(parent)
    if level in ("namespaces", "landlock"):
        landlock(readable, scratch, DEVICES, more_scratch)
    for descriptor in readable:
        os.close(descriptor)
    limit_resources(limits)  # the number of descriptors among them
    if level != "rlimits":
        seccomp(modes=identity.user is not None)
