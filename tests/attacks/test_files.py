"""Files: nothing outside the scratch folder can be read, and nothing changed."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rrvf.renderers.chart import ChartRenderer
from rrvf.renderers.chart_server.server import list_readable_paths

Ask = Callable[[ChartRenderer, str], str]
NotRefused = Callable[..., str]

# ------------------------------------------------------------------------------------- reading


READING = [
    "open($file).read()",
    "pathlib.Path($file).read_bytes()",
    "os.open($file, os.O_RDONLY)",
    "os.read(os.open('file.txt', os.O_RDONLY, dir_fd=os.open($folder, os.O_PATH)), 99)",
    "open('/proc/self/root' + $file).read()",
    "open(os.path.relpath($file)).read()",
    "mmap.mmap(os.open($file, os.O_RDONLY), 0, prot=mmap.PROT_READ)[:]",
    "shutil.copy($file, 'copy.txt')",
    "__import__('numpy').fromfile($file)",
    "__import__('matplotlib.pyplot').pyplot.imread($file)",
    "__import__('pandas').read_csv($file)",
    "os.listdir($folder)",
    "list(os.scandir($folder))",
    "os.symlink($file, 'link.txt')",
    "os.link($file, 'link.txt')",
    "os.rename($file, 'moved.txt')",
    "call(libc.open, $file.encode(), 0)",
    "call(libc.name_to_handle_at, -100, $file.encode(), bytes(200), bytes(8), 0)",
    "os.execv('/bin/cat', ['cat', $file])",
    "os.getxattr($file, 'user.x')",
]


def test_nothing_outside_is_read(
    renderer: ChartRenderer, not_out_of_reach: NotRefused, treasure: Any
) -> None:
    names = {"file": treasure.file, "folder": treasure.folder}
    assert not_out_of_reach(renderer, READING, **names) == "{}"


def interesting() -> list[Path]:
    project = Path(__file__).parents[2]
    return [
        *map(
            Path,
            (
                "/etc/group",
                "/etc/gshadow",
                "/etc/shadow",
                "/etc/hosts",
                "/etc/ssh",
                "/var/log",
                "/bin/sh",
            ),
        ),
        *map(Path, ("/dev/mem", "/dev/kmsg", "/dev/pts", "/sys/class/net", "/boot")),
        *map(Path, ("/proc", "/proc/1/cmdline", "/proc/sys/kernel/hostname", "/proc/meminfo")),
        *(Path("/proc/self", name) for name in ("environ", "maps", "mem", "mountinfo", "net/tcp")),
        *(Path("/proc", str(os.getpid()), name) for name in ("environ", "cmdline", "cwd", "fd")),
        *(Path.home(), Path.home() / ".ssh" / "id_rsa", Path.home() / ".netrc"),
        *(project, project / "pyproject.toml", project / ".git" / "config", Path(__file__)),
        *(project / "rrvf" / "scorers" / "text.py", project / "rrvf" / "demo_data" / "charts"),
        project / "rrvf" / "renderers" / "chart_server" / "child.py",
    ]


def test_the_machine_is_not_read(renderer: ChartRenderer, not_out_of_reach: NotRefused) -> None:
    expressions = [
        f"os.listdir({str(path)!r})" if path.is_dir() else f"open({str(path)!r}, 'rb').read(99)"
        for path in interesting()
        if path.exists()
    ]
    assert not_out_of_reach(renderer, expressions) == "{}"


def test_the_project_cannot_be_imported(renderer: ChartRenderer, ask: Ask) -> None:
    script = """
answer = []
for name in ("rrvf", "rrvf.scorers", "rrvf_chart_server", "chart_server", "vlmeval", "training"):
    try:
        __import__(name)
        answer.append(name)
    except (ImportError, PermissionError):
        pass
"""
    assert ask(renderer, script) == "[]"


def test_the_project_is_not_among_the_libraries(renderer: ChartRenderer, ask: Ask) -> None:
    """Wherever packages are installed, this one and its references stay closed."""
    script = f"""
import os
answer = []
for folder in {sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})}:
    for name in ("rrvf", "_rrvf.pth", "vlmeval", "training"):
        try:
            os.open(os.path.join(folder, name), os.O_RDONLY)
            answer.append(name)
        except OSError:
            pass
"""
    assert ask(renderer, script) == "[]"


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_no_folder_with_packages_is_open_as_a_whole(folder: str) -> None:
    """In a container the interpreter's packages, this one among them, lie below /usr/local/lib."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = Path("/usr/local/lib", version, folder)
    assert not [path for path in list_readable_paths() if packages.is_relative_to(path)]


def test_all_of_the_standard_library_can_be_imported(renderer: ChartRenderer, ask: Ask) -> None:
    """What a script may need is open, whoever starts the server."""
    script = """
import importlib
answer = []
for name in ("colorsys", "csv", "sched", "wave", "statistics", "xml.dom.minidom", "sqlite3"):
    try:
        importlib.import_module(name)
    except ImportError as error:
        answer.append(str(error))
"""
    assert ask(renderer, script) == "[]"


# ------------------------------------------------------------------------------------- writing


WRITING = [
    "open($file, 'w')",
    "open($file, 'a')",
    "open($file, 'r+')",
    "os.open($file, os.O_RDONLY | os.O_TRUNC)",
    "os.truncate($file, 0)",
    "open($folder + '/new', 'w')",
    "os.open($folder, os.O_TMPFILE | os.O_RDWR)",
    "os.mkdir($folder + '/new')",
    "os.mkfifo($folder + '/new')",
    "os.mknod($folder + '/new')",
    "os.unlink($file)",
    "os.rmdir($inner)",
    "shutil.rmtree($folder)",
    "os.rename($file, $folder + '/other')",
    "os.replace('output.pdf', $file) if open('output.pdf', 'w').close() is None else 0",
    "os.mkdir('new') or call(libc.renameat2, -100, b'new', -100, $folder.encode(), 2)",
    "os.symlink('/etc/passwd', $folder + '/new')",
    "os.link($file, $folder + '/new')",
    "os.chmod($file, 0)",
    "os.chmod($folder, 0o4777)",
    "os.chown($file, os.getuid(), os.getgid())",
    "os.setxattr($file, 'user.x', b'')",
    "os.removexattr($file, 'user.x')",
]


IN_VAIN = [
    "os.utime($file, (0, 0))",
    "os.utime($folder)",
    "call(libc.utimes, $file.encode(), None)",
]
"""Nobody is told that times of files are left as they are; the treasure itself is looked at."""


def test_times_of_files_stay(
    renderer: ChartRenderer, not_out_of_reach: NotRefused, treasure: Any
) -> None:
    answer = not_out_of_reach(renderer, IN_VAIN, file=treasure.file, folder=treasure.folder)
    assert answer.count('": None') == len(IN_VAIN)


def test_nothing_outside_is_changed(
    renderer: ChartRenderer, not_out_of_reach: NotRefused, treasure: Any
) -> None:
    names = {"file": treasure.file, "folder": treasure.folder, "inner": treasure.inner}
    assert not_out_of_reach(renderer, WRITING, **names) == "{}"


def library_folders() -> set[Path]:
    import matplotlib

    return {
        *map(Path, ("/", "/tmp", "/var/tmp", "/dev/shm", "/usr/lib", "/usr/local/lib", "/etc")),
        *(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib")),
        *(Path(sysconfig.get_path("purelib"), "__pycache__"), Path(sys.executable).parent),
        *(Path(matplotlib.__file__).parent, Path(matplotlib.__file__).parent / "__pycache__"),
        *(Path.home(), Path.cwd(), Path(__file__).parent, Path(__file__).parents[2]),
    }


def test_nothing_is_planted(renderer: ChartRenderer, not_out_of_reach: NotRefused) -> None:
    """A file left among the libraries would run in every later execution."""
    own = set(map(Path, renderer.environment["private"]))
    folders = [folder for folder in library_folders() - own if folder.is_dir()]
    planted = [folder / "planted.py" for folder in folders]
    expressions = [f"open({str(path)!r}, 'w')" for path in planted]
    assert not_out_of_reach(renderer, expressions) == "{}"
    assert not [path for path in planted if path.exists()]


def test_what_is_private_is_empty_and_nobody_elses(renderer: ChartRenderer, ask: Ask) -> None:
    private = renderer.environment["private"]
    assert bool(private) == (renderer.environment["level"] == "namespaces")
    script = f"""
import os
places = {private!r} + [os.path.expanduser("~"), "."]
answer = [os.listdir(place) for place in places]
for place in places:
    with open(os.path.join(place, "planted.py"), "w") as stream:
        stream.write("x")
"""
    for _ in range(2):
        assert ask(renderer, script) == str([[]] * (len(private) + 1) + [["script.py"]])
    assert not [place for place in private if Path(place, "planted.py").exists()]


def test_no_user_of_this_machine_is_known(renderer: ChartRenderer, ask: Ask) -> None:
    """Whose name a script learns is its own."""
    script = """
import getpass, os, pwd
answer = [getpass.getuser()]
try:
    answer += [pwd.getpwuid(os.getuid()).pw_name, len(pwd.getpwall())]
except KeyError:
    answer += ["user", 1]
"""
    assert ask(renderer, script) == str(["user", "user", 1])


def test_the_font_cache_is_not_poisoned(renderer: ChartRenderer, not_refused: NotRefused) -> None:
    folder = "os.environ['MPLCONFIGDIR']"
    expressions = [
        f"[open(os.path.join({folder}, name), 'r+') for name in os.listdir({folder})][0].close()",
        f"open({folder} + '/matplotlibrc', 'w')",
        f"os.unlink({folder} + '/' + os.listdir({folder})[0])",
        "open(__import__('matplotlib').matplotlib_fname(), 'a')",
    ]
    assert not_refused(renderer, expressions) == "{}"


def test_scratch_is_new_for_every_execution(renderer: ChartRenderer, ask: Ask) -> None:
    ask(renderer, "open('left.txt', 'w').write('x'); answer = ''")
    assert ask(renderer, "import os; answer = os.listdir('.')") == "['script.py']"


def test_scratch_can_be_written(renderer: ChartRenderer, ask: Ask) -> None:
    """The tests above would pass if nothing at all could be written."""
    script = """
import os, tempfile
os.makedirs("a/b")
with open("a/b/c.txt", "w") as stream:
    stream.write("kept")
os.rename("a/b/c.txt", "d.txt")
with tempfile.TemporaryFile() as stream:
    stream.write(b"x")
answer = open("d.txt").read()
"""
    assert ask(renderer, script) == "kept"
