"""Start the browser confined: a program that confines itself and then becomes the browser.

Playwright starts this program in place of the browser, with the browser's arguments. It closes the
network and the files as far as this machine allows, gives up root's rights, writes down the level
it reached, and executes the browser, which keeps the process id and Playwright's descriptors.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import json
import os
import resource
import shutil
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

PLAN_VARIABLE = "RRVF_BROWSER_PLAN"
PROFILE_FLAG = "--user-data-dir="
NOBODY = 65534
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
READABLE = (
    *("/usr", "/lib", "/lib64", "/lib32", "/bin", "/opt", "/sys", "/dev", "/proc"),
    *("/etc/fonts", "/etc/ld.so.cache", "/etc/localtime", "/etc/chromium", "/etc/chromium.d"),
    *("/etc/alternatives", "/etc/nsswitch.conf", "/var/cache/fontconfig"),
)
"""What a browser needs and a page may not harm; no home, no project, none of the host's secrets."""


def main(arguments: list[str]) -> None:
    """Confine this process and become the browser; on failure Playwright sees it end."""
    plan: dict[str, Any] = json.loads(os.environ.pop(PLAN_VARIABLE))
    profile = next(a.removeprefix(PROFILE_FLAG) for a in arguments if a.startswith(PROFILE_FLAG))
    binary = str(plan["binary"])
    report = os.open(plan["report"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    user = NOBODY if plan["drop"] else None
    if user is not None:
        _give(profile, user)
    os.environ.update({"HOME": profile, "XDG_CACHE_HOME": profile, "XDG_CONFIG_HOME": profile})
    os.chdir(profile)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    network = plan["namespaces"] and _enter_own_network()
    confine = _load_confine()
    files = plan["landlock"] and _close_files(confine, binary, profile)
    if os.getuid() == 0:
        # One who stays root gives up root's powers as well: they see past Landlock into /proc.
        confine.drop_privileges(user)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG; lost by setuid
    record = {"pid": os.getpid(), "network": bool(network), "files": bool(files), "user": user}
    os.write(report, json.dumps({**record, "profile": profile}).encode())
    os.execv(binary, [binary, *arguments])


def _give(profile: str, user: int) -> None:
    for folder, _, names in os.walk(profile):
        for path in (folder, *(str(Path(folder, name)) for name in names)):
            shutil.chown(path, user, user)


def _enter_own_network() -> bool:
    """A network namespace with nothing in it; inside a user namespace where one is needed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) == 0:
        return True
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return False
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    return True


def _close_files(confine: ModuleType, binary: str, profile: str) -> bool:
    """Landlock: libraries, fonts and the browser to read, its profile to write."""
    folders = [str(Path(binary).resolve().parent), *READABLE]
    readable = confine.open_readable(folders)
    free_folders = [path for path in ("/dev/shm", "/proc") if Path(path).is_dir()]
    with contextlib.suppress(OSError):
        ruleset = confine.make_ruleset(readable, profile, confine.DEVICES, [profile, *free_folders])
        ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        confine.restrict(ruleset)
        return True
    return False


def _load_confine() -> ModuleType:
    """The confinement of charts, by its file: this program knows no package of the host."""
    path = Path(__file__).with_name("chart_server") / "confine.py"
    spec = importlib.util.spec_from_file_location("confine", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["confine"] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(sys.argv[1:])
