"""System calls: no network, no process, no signal to others, no way out of the confinement."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rrvf.renderers.chart import ChartRenderer
from rrvf.types import Rendering

Ask = Callable[[ChartRenderer, str], str]
Draw = Callable[..., Rendering]
NotRefused = Callable[..., str]

# ------------------------------------------------------------------------------------- network

SOCKETS = [
    "socket.socket(socket.AF_INET)",
    "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)",
    "socket.socket(socket.AF_INET6)",
    "socket.socket(socket.AF_UNIX)",
    "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)",
    "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "socket.socket(getattr(socket, 'AF_VSOCK', 40))",
    "socket.socket(getattr(socket, 'AF_ALG', 38), socket.SOCK_SEQPACKET)",
    "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
    "socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)",
    "socket.socketpair()[0].sendto(b'x', '/dev/log')",
    "socket.socketpair()[0].connect('/dev/log')",
    "socket.socketpair()[0].sendmsg([b'x'])",
    "socket.socketpair()[0].recvmsg(1)",
    "socket.socketpair()[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**30)",
    "socket.create_connection(('127.0.0.1', $port))",
    "call(libc.socket, 2, 1, 0)",
    "call(libc.socketpair, 1, 2, 0, bytes(8))",
    "call(libc.socketpair, 2, 1, 0, bytes(8))",
]


def test_no_socket_of_any_family(renderer: ChartRenderer, not_refused: NotRefused) -> None:
    assert not_refused(renderer, SOCKETS, port=9) == "{}"


@contextlib.contextmanager
def listening(*addresses: tuple[int, Any]) -> Iterator[Callable[[], int]]:
    """Servers on this machine, and how many have been reached."""
    with contextlib.ExitStack() as stack:
        sockets: list[socket.socket] = []
        for family, address in addresses:
            server = stack.enter_context(socket.socket(family))
            server.bind(address)
            server.listen()
            server.setblocking(False)
            sockets.append(server)
        datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        datagrams.bind(("127.0.0.1", sockets[0].getsockname()[1]))
        datagrams.setblocking(False)

        def reached() -> int:
            hits = 0
            for server in sockets:
                with contextlib.suppress(BlockingIOError):
                    server.accept()[0].close()
                    hits += 1
            with contextlib.suppress(BlockingIOError):
                datagrams.recv(1)
                hits += 1
            return hits

        yield reached


REACHING_OUT = """
import socket, threading, urllib.request, pandas
port, path = {port}, {path!r}
answer = []
def attempt(name, function):
    try:
        answer.append((name, function()))
    except Exception:
        pass
def by_unix(address):
    socket.socket(socket.AF_UNIX).connect(address)
def by_datagram():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port))
attempt("tcp", lambda: socket.create_connection(("127.0.0.1", port)))
attempt("udp", by_datagram)
attempt("unix", lambda: by_unix(path))
attempt("abstract", lambda: by_unix("\\0" + path))
attempt("http", lambda: urllib.request.urlopen(f"http://127.0.0.1:{{port}}/"))
attempt("pandas", lambda: pandas.read_csv(f"http://127.0.0.1:{{port}}/x.csv"))
attempt("name", lambda: socket.gethostbyname("localhost.localdomain"))
"""


def test_no_server_on_this_machine_is_reached(
    renderer: ChartRenderer, ask: Ask, treasure: Any
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = str(treasure.folder.parent / "server.socket")
    addresses = [
        (socket.AF_INET, ("127.0.0.1", port)),
        (socket.AF_UNIX, path),
        (socket.AF_UNIX, "\0" + path),
    ]
    try:
        with listening(*addresses) as reached:
            Path(path).chmod(0o777)
            assert ask(renderer, REACHING_OUT.format(port=port, path=path)) == "[]"
            assert reached() == 0
    finally:
        Path(path).unlink()


# ----------------------------------------------------------------------------------- processes

PROCESSES = [
    "os.fork()",
    "os.forkpty()",
    "call(libc.fork)",
    "call(libc.vfork)",
    "system_call(435, bytes(88), 88)",  # clone3
    "os.posix_spawn('/bin/true', ['true'], {})",
    "subprocess.run(['/bin/true'])",
    "subprocess.run('true', shell=True)",
    "os.execv('/bin/true', ['true'])",
    "os.execve(sys.executable, ['python', '-c', ''], {})",
    "os.execve(os.open('program', os.O_CREAT | os.O_RDONLY, 0o777), ['x'], {})",
    "os.memfd_create('program')",
    "system_call(447, 0)",  # memfd_secret
    "__import__('multiprocessing').get_context('fork').Process(target=print).start()",
    "__import__('multiprocessing').get_context('spawn').Process(target=print).start()",
    "__import__('concurrent.futures').futures.ProcessPoolExecutor().submit(print)",
]


def test_no_process_is_started(renderer: ChartRenderer, not_refused: NotRefused) -> None:
    assert not_refused(renderer, PROCESSES) == "{}"


def test_system_starts_nothing(renderer: ChartRenderer, ask: Ask) -> None:
    script = "import os; answer = (os.system('touch started') != 0, os.listdir('.'))"
    assert ask(renderer, script) == "(True, ['script.py'])"


# -------------------------------------------------------------------------------- other calls

ESCAPES = [
    "call(libc.mount, b'none', b'.', b'tmpfs', 0, 0)",
    "call(libc.umount2, b'.', 2)",
    "os.chroot('.')",
    "call(libc.pivot_root, b'.', b'.')",
    "call(libc.unshare, 0x10000000)",  # a user namespace
    "call(libc.unshare, 0x20000)",
    "call(libc.setns, 0, 0)",
    "call(libc.ptrace, 0, 0, 0, 0)",
    "call(libc.ptrace, 16, os.getppid(), 0, 0)",
    "call(libc.process_vm_readv, os.getppid(), 0, 0, 0, 0, 0)",
    "call(libc.process_vm_writev, os.getppid(), 0, 0, 0, 0, 0)",
    "call(libc.personality, 0x40000)",
    "call(libc.prctl, 1, 0, 0, 0, 0)",  # live on when the server ends
    "call(libc.prctl, 4, 1, 0, 0, 0)",  # be readable for others
    "call(libc.prctl, 22, 0, 0, 0, 0)",
    "os.setuid(0)",
    "os.setgid(0)",
    "os.setgroups([0])",
    "os.setsid()",
    "os.setpgid(0, 0)",
    "os.nice(-5)",
    "os.sched_setaffinity(0, {0})",
    "call(libc.setrlimit, resource.RLIMIT_CPU, bytes(16))",
    "call(libc.prlimit, 0, resource.RLIMIT_CPU, bytes(16), 0)",
    "call(libc.prlimit, os.getppid(), resource.RLIMIT_NOFILE, bytes(16), 0)",
    "call(libc.klogctl, 3, bytes(9), 9)",
    "call(libc.sethostname, b'x', 1)",
    "call(libc.reboot, 0)",
    "call(libc.swapon, b'x', 0)",
    "call(libc.acct, b'x')",
    "call(libc.shmget, 0, 4096, 0o1777)",
    "call(libc.semget, 0, 1, 0o1777)",
    "call(libc.msgget, 0, 0o1777)",
    "call(libc.inotify_init)",
    "call(libc.fanotify_init, 0, 0)",
    "call(libc.timer_create, 0, 0, bytes(8))",
    "call(libc.mlockall, 3)",
    "os.pidfd_open(os.getppid())",
    "system_call(425, 8, bytes(120))",  # io_uring_setup
    "system_call(428, -100, b'.', 1)",  # open_tree
    "system_call(437, -100, b'.', bytes(24), 24)",  # openat2
    "system_call(438, 0, 0, 0)",  # pidfd_getfd
    "system_call(442, 0, b'', 0, bytes(32), 32)",  # mount_setattr
    "system_call(444, 0, 0, 1)",  # landlock_create_ruleset
    "__import__('fcntl').ioctl(0, 0x5412, b'x')",  # type into the terminal
]
BY_NUMBER = {
    "x86_64": {
        "bpf": 321,
        "perf_event_open": 298,
        "userfaultfd": 323,
        "keyctl": 250,
        "add_key": 248,
    }
    | {"kexec_load": 246, "init_module": 175, "iopl": 172, "ioperm": 173, "modify_ldt": 154}
    | {"settimeofday": 164, "quotactl": 179, "lookup_dcookie": 212, "kcmp": 312, "seccomp": 317},
    "aarch64": {"bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "keyctl": 219}
    | {"add_key": 217, "kexec_load": 104, "init_module": 105, "kcmp": 272, "seccomp": 277},
}


def test_no_way_out_by_system_calls(renderer: ChartRenderer, not_refused: NotRefused) -> None:
    numbers = BY_NUMBER[platform.machine()].values()
    expressions = ESCAPES + [f"system_call({number}, 0, 0, 0, 0, 0)" for number in numbers]
    assert not_refused(renderer, expressions) == "{}"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="an entry of x86_64")
def test_the_32_bit_entry_ends_the_process(renderer: ChartRenderer, draw: Draw) -> None:
    """``int 0x80`` has numbers of its own, in which 20 is harmless and 2 is fork."""
    script = """
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(b"\\xb8\\x02\\x00\\x00\\x00\\xcd\\x80\\xc3")  # mov eax, 2; int 0x80; ret
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
"""
    drawing = draw(renderer, script).official
    assert (drawing.status, drawing.error) == ("code_error", "ended by signal 31")


# ------------------------------------------------------------------------------------- signals

KILLING = [
    "os.kill($host, 9)",
    "os.kill($server, 9)",
    "os.kill($server, 19)",
    "os.kill($other, 9)",
    "os.kill(os.getppid(), 15)",
    "os.kill(0, 9)",
    "os.kill(-1, 9)",
    "os.kill(-os.getpid(), 9)",
    "os.kill(1, 9)",
    "os.killpg(0, 9)",
    "os.killpg(os.getpgid($server), 9)",
    "call(libc.sigqueue, $server, 9, 0)",
    "signal.pidfd_send_signal(os.pidfd_open($server), 9)",
]
if platform.machine() == "x86_64":
    KILLING += [
        "system_call(200, $server, 9)",  # tkill
        "system_call(234, $server, $server, 9)",  # tgkill
        "system_call(129, $server, 9, bytes(128))",  # rt_sigqueueinfo
    ]


@contextlib.contextmanager
def bystander(renderer: ChartRenderer) -> Iterator[subprocess.Popen[bytes]]:
    """A process that, but for the confinement, a script may signal: it has the same user."""
    user = renderer.environment["user"].removeprefix("uid ").partition(" ")[0]
    with subprocess.Popen(
        ["/bin/sleep", "600"],
        user=int(user) if user.isdigit() and os.getuid() == 0 else None,
        cwd="/",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_nobody_is_signalled(renderer: ChartRenderer, not_refused: NotRefused) -> None:
    with bystander(renderer) as other:
        pids = {"host": os.getpid(), "server": renderer.server_pid(), "other": other.pid}
        assert not_refused(renderer, KILLING, **pids) == "{}"
        assert other.poll() is None


def test_nobody_is_signalled_by_a_descriptor(renderer: ChartRenderer, ask: Ask) -> None:
    """The owner of a descriptor is sent a signal of the script's choice when data arrives."""
    script = """
import fcntl, os, struct, time
answer = "refused"
def arm(set_owner):
    read_end, write_end = os.pipe()
    set_owner(read_end)
    fcntl.fcntl(read_end, 10, 9)  # F_SETSIG, SIGKILL
    fcntl.fcntl(read_end, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
    os.write(write_end, b"x")
    return "armed"
for pid in (OTHER, SERVER):
    for set_owner in (
        lambda end: fcntl.fcntl(end, 8, pid),  # F_SETOWN
        lambda end: fcntl.fcntl(end, 15, struct.pack("=ii", 1, pid)),  # F_SETOWN_EX
    ):
        try:
            answer = arm(set_owner)
        except OSError:
            pass
time.sleep(0.2)
"""
    with bystander(renderer) as other:
        script = script.replace("OTHER", str(other.pid))
        answer = ask(renderer, script.replace("SERVER", str(renderer.server_pid())))
        assert (answer, other.poll()) == ("refused", None)


def test_an_item_beside_is_not_signalled(
    renderer: ChartRenderer, draw: Draw, ask: Ask, children: Callable[[int], list[int]]
) -> None:
    """Two executions at once have the same user."""
    slow = "import time; time.sleep(1.5)\nimport matplotlib.pyplot as plt; plt.title('alive')"
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(draw, renderer, slow)
        while not (pids := children(renderer.server_pid())):
            time.sleep(0.01)
        assert ask(renderer, killing_around(pids[0])) == "refused"
        assert beside.result().official.elements.texts == ("alive",)


def killing_around(pid: int) -> str:
    return f"""
import os, signal
answer = "refused"
for pid in range({pid} - 50, {pid} + 50):
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM):
        if pid != os.getpid():
            try:
                os.kill(pid, number)
                answer = "sent"
            except (PermissionError, ProcessLookupError):
                pass
"""


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGKILL, {"code_error", "out_of_memory"}),
        (signal.SIGTERM, {"code_error"}),
        (signal.SIGSEGV, {"code_error"}),
        (signal.SIGABRT, {"code_error"}),
        (signal.SIGUSR1, {"code_error"}),
        (signal.SIGXCPU, {"code_error", "timeout"}),
    ],
)
def test_a_script_may_only_end_itself(
    strongest: ChartRenderer, draw: Draw, number: int, status: set[str]
) -> None:
    rendering = draw(strongest, f"import os; os.kill(os.getpid(), {int(number)})")
    assert {rendering.official.status, rendering.fixed.status} <= status
