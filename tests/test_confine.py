"""The layers of the confinement one by one, and how the renderer does with fewer of them."""

from __future__ import annotations

import errno
import os
import platform
import re
import resource
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rrvf.errors import SetupError
from rrvf.renderers.chart import ChartRenderer, ChartScript, check_level
from rrvf.renderers.chart_server import confine
from rrvf.renderers.chart_server.confine import ConfineError, Limits
from tests.runs import kept_servers

MIB = 2**20
HERE = platform.machine()
MACHINES = ("x86_64", "aarch64")
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
PID = 4242

ALLOW, NOTHING, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050000, 0x00050001, 0x00050026, 0x80000000

InFork = Callable[[Callable[[], object]], str]


# ------------------------------------------------------------- seccomp: the program, simulated


def run_filter(program: bytes, audit: int, number: int, *arguments: int) -> int:
    """What a kernel makes of one system call: classic BPF over ``struct seccomp_data``."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=iIQ6Q", number, audit, 0, *(a & (2**64 - 1) for a in padded))
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at = accumulator = 0
    while True:
        operation, yes, no, k = code[at]
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, k)
        elif operation == 0x54:
            accumulator &= k
        elif operation == 0x06:
            return k
        else:
            holds = {0x15: accumulator == k, 0x35: accumulator >= k, 0x25: accumulator > k}
            holds[0x45] = bool(accumulator & k)
            at += yes if holds[operation] else no


def verdict(machine: str, number: int, *arguments: int) -> int:
    return run_filter(confine.seccomp_program(machine, PID), AUDIT[machine], number, *arguments)


# From the kernel's headers, by hand: x86_64, aarch64.
FORBIDDEN = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "sendmsg": (46, 211),
    "recvmsg": (47, 212),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "setuid": (105, 146),
    "capset": (126, 91),
    "setrlimit": (160, 164),
    "prctl": (157, 167),
    "seccomp": (317, 277),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "memfd_create": (319, 279),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "shmget": (29, 194),
    "mq_open": (240, 180),
    "symlinkat": (266, 36),
    "mknodat": (259, 33),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    "openat2": (437, 437),
    "open_by_handle_at": (304, 265),
    "personality": (135, 92),
    "modify_ldt": (154, None),
    "timer_create": (222, 107),
    "process_madvise": (440, 440),
    "landlock_restrict_self": (446, 446),
    "a call of the future": (999, 999),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_forbidden_calls_fail(machine: str) -> None:
    numbers = {name: pair[MACHINES.index(machine)] for name, pair in FORBIDDEN.items()}
    verdicts = {name: verdict(machine, n) for name, n in numbers.items() if n is not None}
    assert {name for name, found in verdicts.items() if found != EPERM} == set()


def test_times_of_files_are_left_alone() -> None:
    assert [verdict(m, n) for m, n in zip(MACHINES, (280, 88), strict=True)] == [NOTHING, NOTHING]


@pytest.mark.parametrize(
    ("name", "numbers"),
    {
        "read": (0, 63),
        "write": (1, 64),
        "openat": (257, 56),
        "mmap": (9, 222),
        "futex": (202, 98),
        "exit_group": (231, 94),
        "getrandom": (318, 278),
    }.items(),
)
def test_a_needed_call_passes(name: str, numbers: tuple[int, int]) -> None:
    verdicts = [verdict(m, n) for m, n in zip(MACHINES, numbers, strict=True)]
    assert verdicts == [ALLOW, ALLOW]


@pytest.mark.parametrize("machine", MACHINES)
def test_another_architecture_is_killed(machine: str) -> None:
    program = confine.seccomp_program(machine, PID)
    for audit in (0x40000003, 0x40000028, 0, AUDIT[MACHINES[1 - MACHINES.index(machine)]]):
        assert run_filter(program, audit, 1) == KILL


def test_the_x32_entry_is_closed() -> None:
    assert [verdict("x86_64", 0x40000000 | number) for number in (0, 1, 59, 520)] == [EPERM] * 4


@pytest.mark.parametrize(("machine", "clone"), [("x86_64", 56), ("aarch64", 220)])
def test_threads_only(machine: str, clone: int) -> None:
    thread, signal_child, vfork = 0x3D0F00, 0x11, 0x4111
    assert verdict(machine, clone, thread) == ALLOW
    assert [verdict(machine, clone, flags) for flags in (signal_child, vfork, 0)] == [EPERM] * 3
    own_descriptors, own_memory, own_user = thread & ~0x400, thread & ~0x100, thread | 0x10000000
    for flags in (own_descriptors, own_memory, own_user, 0x10000):
        assert verdict(machine, clone, flags) == EPERM
    assert verdict(machine, 435) == ENOSYS  # clone3, whose flags a filter cannot see


@pytest.mark.parametrize("machine", MACHINES)
def test_no_table_of_descriptors_of_its_own(machine: str) -> None:
    assert [verdict(machine, 436, 3, 9, flags) for flags in (0, 4)] == [ALLOW, ALLOW]
    assert [verdict(machine, 436, 3, 9, flags) for flags in (2, 6)] == [EPERM, EPERM]


@pytest.mark.parametrize(("machine", "pair", "send"), [("x86_64", 53, 44), ("aarch64", 199, 206)])
def test_connected_streams_are_the_only_sockets(machine: str, pair: int, send: int) -> None:
    """A pair of datagrams could send to a name; a stream that is connected cannot."""
    unix, stream, datagram, flags = 1, 1, 2, 0x80800
    assert verdict(machine, pair, unix, stream | flags, 0) == ALLOW
    for family, kind in ((unix, datagram), (unix, 5), (2, stream), (16, 3), (0, stream)):
        assert verdict(machine, pair, family, kind | flags, 0) == EPERM
    assert verdict(machine, send, 3, 0x7FFF, 1, 0, 0, 0) == ALLOW
    for address in (1, 1 << 32, 0x7FFF_0000_0000):
        assert verdict(machine, send, 3, 0x7FFF, 1, 0, address, 16) == EPERM


@pytest.mark.parametrize(
    ("machine", "kill", "tgkill"), [("x86_64", 62, 234), ("aarch64", 129, 131)]
)
def test_signals_to_itself_only(machine: str, kill: int, tgkill: int) -> None:
    for call in (kill, tgkill):
        assert verdict(machine, call, PID, 9) == ALLOW
        for pid in (0, -1, -PID, 1, PID - 1, PID + 1):
            assert verdict(machine, call, pid, 9) == EPERM


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 302), ("aarch64", 261)])
def test_limits_can_be_read_and_not_set(machine: str, number: int) -> None:
    assert verdict(machine, number, 0, 7, 0, 0x7FFF0000) == ALLOW
    for pointer in (1, 0x7FFF0000, 0x7FFF_0000_0000, 1 << 32, 2**64 - 1):
        assert verdict(machine, number, 0, 7, pointer, 0) == EPERM


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 16), ("aarch64", 29)])
def test_a_terminal_may_be_asked_and_not_typed_into(machine: str, number: int) -> None:
    assert verdict(machine, number, 0, 0x5401) == ALLOW  # TCGETS: is it a terminal?
    # TIOCSTI, TIOCLINUX, TIOCSCTTY, TIOCCONS, FIOASYNC, FIOSETOWN, TUNSETIFF, FS_IOC_SETFLAGS
    for command in (0x5412, 0x541C, 0x540E, 0x541D, 0x5452, 0x8901, 0x400454CA, 0x40086602):
        assert verdict(machine, number, 0, command) == EPERM


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 72), ("aarch64", 25)])
def test_a_descriptor_sends_no_signals(machine: str, number: int) -> None:
    """Its owner would be sent a signal of choice: before Linux 6.12 nothing else stops that."""
    for command in (0, 1, 2, 3, 1030, 1031, 1032):  # duplicate, flags, size of a pipe
        assert verdict(machine, number, 0, command, 0) == ALLOW
    for command in (8, 10, 15, 1024, 1026):  # F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY
        assert verdict(machine, number, 0, command, 1) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_the_program_is_one_that_a_kernel_takes(machine: str) -> None:
    """At most 4096 instructions, no jump beyond the end, a return at the end."""
    program = confine.seccomp_program(machine, PID)
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    assert len(code) <= 4096
    assert code[-1][0] == 0x06
    for at, (operation, yes, no, _) in enumerate(code):
        if operation & 0x07 == 0x05:
            assert at + 1 + max(yes, no) < len(code)


def test_no_program_for_an_unknown_machine() -> None:
    with pytest.raises(ConfineError, match="riscv64"):
        confine.seccomp_program("riscv64", PID)


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_those_of_the_kernel_headers(machine: str) -> None:
    """Every number below 500 that passes has an allowed name in the system's own headers."""
    if not HEADERS[machine].exists():
        pytest.skip(f"needs {HEADERS[machine]}: apt-get install linux-libc-dev")
    text = HEADERS[machine].read_text()
    names: dict[int, str] = {}
    for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", text):
        names[int(number)] = name
    passing = {names.get(n, str(n)) for n in range(500) if verdict(machine, n) == ALLOW}
    old_names = {"fstatat": "newfstatat", "sendfile64": "sendfile"}
    passing = {old_names.get(name, name) for name in passing}
    assert passing <= set(confine._ALLOWED) | {
        *("prlimit64", "fcntl", "open", "openat", "fallocate", "close_range", "sendto")
    }
    assert len(passing) > 80


# ------------------------------------------------------------------------ in a process of its own


@pytest.fixture
def in_fork() -> InFork:
    """Call something in a child and give back what came of it, as text."""

    def forked(function: Callable[[], object]) -> str:
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                said = str(function())
            except BaseException as error:
                said = type(error).__name__
            os.write(write_end, said.encode())
            os._exit(0)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as stream:
            said = stream.read().decode()
        _, status = os.waitpid(pid, 0)
        return said or f"ended with status {status}"

    return forked


@pytest.fixture
def landlocked(tmp_path: Path) -> Callable[[], None]:
    """Confine the caller: ``tmp_path/open`` to read, ``tmp_path/scratch`` to write."""
    if confine.landlock_version() < 1:
        pytest.skip("needs a kernel with Landlock")
    for name in ("open", "closed", "scratch"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)

    def confined() -> None:
        readable = confine.open_readable([str(tmp_path / "open"), "/nowhere"])
        confine._prctl(confine.PR_SET_NO_NEW_PRIVS, 1)
        confine.landlock(readable, str(tmp_path / "scratch"), ["/dev/null"])

    return confined


def test_landlock_opens_what_is_listed(
    in_fork: InFork, landlocked: Callable[[], None], tmp_path: Path
) -> None:
    def look() -> object:
        landlocked()
        (tmp_path / "scratch" / "new").write_text("x")
        return (tmp_path / "open" / "file").read_text() + (
            tmp_path / "scratch" / "file"
        ).read_text()

    assert in_fork(look) == "openscratch"


@pytest.mark.parametrize(
    "attack",
    [
        lambda folder: (folder / "closed" / "file").read_text(),
        lambda folder: (folder / "closed" / "file").write_text("x"),
        lambda folder: (folder / "open" / "file").write_text("x"),
        lambda folder: list((folder / "closed").iterdir()),
        lambda folder: list(folder.iterdir()),
        lambda folder: (folder / "new").mkdir(),
        lambda folder: (folder / "open" / "file").unlink(),
        lambda folder: os.truncate(folder / "open" / "file", 0),
        lambda folder: os.truncate(folder / "closed" / "file", 0),
        lambda folder: os.open(folder / "open" / "file", os.O_RDONLY | os.O_TRUNC),
        lambda folder: (folder / "scratch" / "link").symlink_to("a"),
        lambda folder: os.mkfifo(folder / "scratch" / "pipe"),
        lambda folder: os.execv("/bin/true", ["true"]),
        lambda folder: Path("/dev/zero").read_bytes(),
    ],
    ids=range(14),
)
def test_landlock_closes_the_rest(
    in_fork: InFork,
    landlocked: Callable[[], None],
    tmp_path: Path,
    attack: Callable[[Path], object],
) -> None:
    def try_it() -> object:
        landlocked()
        return attack(tmp_path)

    assert in_fork(try_it) == "PermissionError"
    assert [(tmp_path / name / "file").read_text() for name in ("open", "closed")] == [
        "open",
        "closed",
    ]


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("attack", ["truncate", "open"])
def test_files_are_not_emptied_under_any_kernel(
    in_fork: InFork, tmp_path: Path, version: int, attack: str
) -> None:
    """Landlock knows of truncating since Linux 6.2 only: before, seccomp has to do it."""
    if confine.landlock_version() < version:
        pytest.skip(f"needs a kernel with version {version} of Landlock")
    (tmp_path / "scratch").mkdir()
    (tmp_path / "library").mkdir()
    target = tmp_path / "library" / "module.py"
    target.write_text("precious")

    def try_it() -> object:
        confine.landlock_version = lambda: version  # type: ignore[assignment]
        readable = confine.open_readable([str(tmp_path / "library")])
        scratch = str(tmp_path / "scratch")
        confine.confine("landlock", Limits(), scratch, readable, None, os.getppid())
        if attack == "truncate":
            os.truncate(target, 0)
        os.open(target, os.O_RDONLY | os.O_TRUNC)
        return "done"

    assert in_fork(try_it) == "PermissionError"
    assert target.read_text() == "precious"


def test_confined_files_can_be_emptied_in_scratch(in_fork: InFork, tmp_path: Path) -> None:
    """``open(name, "w")`` of a file that exists has to go on working."""
    if confine.landlock_version() < 1:
        pytest.skip("needs a kernel with Landlock")

    def try_it() -> object:
        roomy = Limits(open_files=4096)  # what tests before this one have opened is inherited
        confine.confine("landlock", roomy, str(tmp_path), [], None, os.getppid())
        file = Path("file")
        for text in ("a long one", "short"):
            file.write_text(text)
        with file.open("r+") as stream:
            stream.truncate(2)
        return file.read_text()

    assert in_fork(try_it) == "sh"


def test_limits_hold(in_fork: InFork) -> None:
    limits = Limits(cpu_seconds=7, memory=3 * 2**30, file_size=5 * MIB)

    def look() -> object:
        confine.limit_resources(limits)
        kinds = (resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE)
        return [resource.getrlimit(kind) for kind in kinds]

    expected = [(3 * 2**30,) * 2, (5 * MIB,) * 2, (0, 0)]
    assert in_fork(look) == str(expected)


def test_time_already_spent_is_not_counted(in_fork: InFork) -> None:
    def look() -> object:
        while sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) < 1.2:
            pass
        confine.limit_resources(Limits(cpu_seconds=7))
        return resource.getrlimit(resource.RLIMIT_CPU)[0]

    assert in_fork(look) == "8"


def test_a_stricter_limit_of_the_machine_stays(in_fork: InFork) -> None:
    def look() -> object:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 * MIB, 2 * MIB))
        confine.limit_resources(Limits(file_size=5 * MIB))
        return resource.getrlimit(resource.RLIMIT_FSIZE)

    assert in_fork(look) == str((2 * MIB, 2 * MIB))


def test_all_privileges_are_gone(in_fork: InFork) -> None:
    user = confine.NOBODY if os.getuid() == 0 else None

    def look() -> object:
        confine.drop_privileges(user)
        status = Path("/proc/self/status").read_text()
        return sorted(
            set(re.findall(r"(?:CapInh|CapPrm|CapEff|CapAmb|NoNewPrivs):\s*(\w+)", status))
        )

    assert in_fork(look) == str(sorted({"0" * 16, "1"}))


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_root_becomes_nobody(in_fork: InFork) -> None:
    def look() -> object:
        confine.drop_privileges(confine.NOBODY)
        return os.getresuid(), os.getresgid(), os.getgroups()

    assert in_fork(look) == str(((65534,) * 3, (65534,) * 3, []))


def test_without_its_parent_a_process_does_not_start(in_fork: InFork) -> None:
    assert in_fork(lambda: confine.die_with_parent(os.getppid() + 1)) == "ended with status 256"


def test_a_confined_process_can_be_confined_by_its_own_pid_only(in_fork: InFork) -> None:
    """The filter names the process that installs it."""

    def look() -> object:
        confine._prctl(confine.PR_SET_NO_NEW_PRIVS, 1)
        confine.seccomp()
        os.kill(os.getpid(), 0)
        try:
            os.kill(os.getppid(), 0)
        except PermissionError:
            return "only itself"
        return "others"

    assert in_fork(look) == "only itself"


# --------------------------------------------------------------------------------------- levels


@pytest.mark.parametrize("level", ["namespaces", "landlock"])
def test_strong_levels_need_no_consent(level: str) -> None:
    check_level(level, "auto")


@pytest.mark.parametrize("level", ["seccomp", "rlimits"])
def test_weak_levels_need_consent(level: str) -> None:
    check_level(level, level)
    with pytest.raises(SetupError) as refused:
        check_level(level, "auto")
    assert f"--confinement {level}" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("wanted", ["auto", *confine.LEVELS])
def test_no_confinement_is_never_enough(wanted: str) -> None:
    with pytest.raises(SetupError) as refused:
        check_level("none", wanted)
    assert "\n" not in str(refused.value)


REFUSED = {"namespaces": 5, "landlock": 5, "seccomp": 4, "rlimits": 0}
ATTEMPTS = """
import os, socket
attempts = [
    lambda: open("/proc/self/status").read(),
    lambda: socket.socket(),
    lambda: os.fork() or os._exit(0),
    lambda: os.mkfifo("pipe"),
    lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)),
]
refused = 0
for attempt in attempts:
    try:
        attempt()
    except OSError:
        refused += 1
import matplotlib.pyplot as plt
plt.bar([1], [2], color="#123456")
plt.title(str(refused))
"""


@pytest.mark.parametrize("level", confine.LEVELS)
def test_each_level_draws_and_refuses_what_it_says(level: str) -> None:
    """Below Landlock files are open, below seccomp nearly everything: hence the consent."""
    with kept_servers():
        try:
            renderer = ChartRenderer(confinement=level)
        except SetupError as error:
            pytest.skip(str(error))
    with renderer:
        assert renderer.environment["level"] == level
        elements = renderer.render(ChartScript(ATTEMPTS)).official.elements
    assert (elements.texts, elements.colors[0].value) == ((str(REFUSED[level]),), "#123456")


def test_an_unknown_level_is_named_with_the_known_ones() -> None:
    with pytest.raises(SetupError, match=r"'jail'.*auto, namespaces, landlock"):
        ChartRenderer(confinement="jail")


def test_the_environment_can_name_a_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RRVF_CONFINEMENT", "jail")
    with pytest.raises(SetupError, match="jail"):
        ChartRenderer()


# An interpreter on a machine that lacks something: calls that are not there fail as an old kernel,
# or a container's own filter, makes them fail.
LESSER_MACHINE = """#!{python}
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
numbers, prctl_seccomp = {numbers}, {prctl_seccomp}
def op(code, yes, no, k): return struct.pack("=HBBI", code, yes, no, k)
program = [op(0x20, 0, 0, 0)]
for number in numbers:
    program += [op(0x15, 0, 1, number), op(0x06, 0, 0, 0x00050000 | {error})]
if {no_seccomp}:
    program += [op(0x15, 0, 3, prctl_seccomp), op(0x20, 0, 0, 16), op(0x15, 0, 1, 22)]
    program += [op(0x06, 0, 0, 0x00050000 | {error})]
program.append(op(0x06, 0, 0, 0x7FFF0000))
code = b"".join(program)
buffer = ctypes.create_string_buffer(code, len(code))
libc.prctl(38, 1, 0, 0, 0)
header = struct.pack("=HxxxxxxQ", len(program), ctypes.addressof(buffer))
if libc.prctl(22, 2, ctypes.c_char_p(header), 0, 0) != 0:
    sys.exit("no filter")
os.execv({python!r}, [{python!r}, *sys.argv[1:]])
"""
UNSHARE, LANDLOCK = {"x86_64": 272, "aarch64": 97}, 444
PRCTL = {"x86_64": 157, "aarch64": 167}

Machine = Callable[..., Path]


@pytest.fixture
def machine_without(tmp_path: Path) -> Machine:
    """``machine_without("landlock", "namespaces")``: an interpreter that lacks these."""

    def lacking(*layers: str) -> Path:
        numbers = [UNSHARE[HERE]] * ("namespaces" in layers) + [LANDLOCK] * ("landlock" in layers)
        path = tmp_path / "python"
        path.write_text(
            LESSER_MACHINE.format(
                python=os.environ.get("RRVF_CHART_PYTHON") or sys.executable,
                numbers=numbers,
                prctl_seccomp=PRCTL[HERE],
                no_seccomp="seccomp" in layers,
                error=errno.ENOSYS if "namespaces" not in layers else errno.EPERM,
            )
        )
        path.chmod(0o755)
        return path

    return lacking


def test_without_namespaces_landlock_is_chosen(machine_without: Machine) -> None:
    """As in Docker's default, or on a cluster."""
    with ChartRenderer(machine_without("namespaces")) as renderer:
        assert renderer.environment["level"] == "landlock"


@pytest.mark.parametrize(
    ("lacking", "left"),
    [
        (("landlock",), "seccomp"),
        (("namespaces", "landlock", "seccomp"), "rlimits"),
    ],
)
def test_without_landlock_nothing_runs_unasked(
    machine_without: Machine,
    lacking: tuple[str, ...],
    left: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    python, servers = machine_without(*lacking), tmp_path / "servers"
    servers.mkdir()
    monkeypatch.setenv("TMPDIR", str(servers))
    with pytest.raises(SetupError) as refused:
        ChartRenderer(python)
    assert list(servers.iterdir()) == [], "what is refused leaves no server"
    assert f"--confinement {left}" in str(refused.value)
    assert "\n" not in str(refused.value)
    with ChartRenderer(python, confinement=left) as renderer:
        assert renderer.environment["level"] == left


def test_a_level_that_is_not_to_be_had_is_refused(machine_without: Machine) -> None:
    """What was asked for is not silently replaced by something else, be it as good."""
    with pytest.raises(SetupError) as refused:
        ChartRenderer(machine_without("namespaces"), confinement="namespaces")
    assert "namespaces" in str(refused.value)
    assert "\n" not in str(refused.value)
