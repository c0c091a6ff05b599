"""Files: no page shows any, and the browser's process can open none of the host's."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import string
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rrvf.renderers import browser
from rrvf.renderers.page import PageRenderer, descendants
from rrvf.types import PageRendering

pytestmark = pytest.mark.usefixtures("lingering")
Show = Callable[[PageRenderer, str], PageRendering]
Pid = Callable[[PageRenderer], int]

LOUD = (254, 1, 253)
WORD = "TREASURE"

# What asks for a file; $picture, $page and $sheet are addresses of files, $folder of their folder.
STILL = {
    "img": "<img src=$picture width=500 height=500>",
    "img svg": "<img src=$drawing width=500 height=500>",
    "input": "<input type=image src=$picture>",
    "background": "<body style='background: url($picture)'>",
    "stylesheet": "<link rel=stylesheet href=$sheet>",
    "import": "<style>@import '$sheet';</style>",
    "base": "<base href='$folder/'><link rel=stylesheet href=sheet.css><img src=picture.png>",
    "svg image": "<svg><image href=$picture width=500 height=500 /></svg>",
    "svg use": "<svg><use href='$drawing#a' /></svg>",
    "iframe": "<iframe src=$page></iframe>",
    "iframe of a folder": "<iframe src=$folder></iframe>",
    "iframe with a source": "<iframe src='view-source:$page'></iframe>",
    "iframe srcdoc": "<iframe srcdoc='<iframe src=$page></iframe><img src=$picture>'></iframe>",
    "iframe data": "<iframe src='data:text/html,<iframe src=$page></iframe>'></iframe>",
    "iframe filesystem": "<iframe src='filesystem:$page'></iframe>",
    "iframe chrome": "<iframe src='chrome://version'></iframe>",
    "frameset": "<frameset cols=100%><frame src=$page></frameset>",
    "object": "<object data=$page></object>",
    "embed": "<embed src=$page>",
    "refresh": "<meta http-equiv=refresh content='0; url=$page'>",
    "refresh to a source": "<meta http-equiv=refresh content='0; url=view-source:$page'>",
    "refresh to a folder": "<meta http-equiv=refresh content='0; url=$folder'>",
    "video": "<video src=$picture poster=$picture></video>",
    "font": "<style>@font-face { font-family: F; src: url($picture), local($picture) }</style>",
    "portal": "<portal src=$page></portal><fencedframe src=$page></fencedframe>",
    "entity": (
        '<?xml version="1.0"?><!DOCTYPE html [<!ENTITY e SYSTEM "$page">]>'
        "<html xmlns='http://www.w3.org/1999/xhtml'><body>&e;</body></html>"
    ),
    "include": "<!--#include file='$page' --><p>x",
    "template": "<xi:include href='$page' parse='text' xmlns:xi='http://www.w3.org/2001/XInclude'/>",
}
# What takes the page away from the others.
ALONE = {"base", "frameset", "refresh", "refresh to a source", "refresh to a folder", "entity"}
TELL = "text => document.body.append(text)"
SCRIPTS = {
    "fetch": f"fetch('$page').then(r => r.text()).then({TELL})",
    "XMLHttpRequest": "const x = new XMLHttpRequest(); x.open('GET', '$page'); "
    "x.onload = () => document.body.append(x.responseText); x.send()",
    "synchronous": "const x = new XMLHttpRequest(); x.open('GET', '$page', false); x.send(); "
    "document.body.append(x.responseText)",
    "import": f"import('$page').catch({TELL})",
    "location": "addEventListener('load', () => { location = '$page' })",
    "location of a source": "addEventListener('load', () => { location = 'view-source:$page' })",
    "location of chrome": "addEventListener('load', () => { location = 'chrome://version' })",
    "open": "const w = window.open('$page'); "
    f"setTimeout(() => ({TELL})(w.document.body.textContent), 50)",
    "open blank": "const w = window.open(); w.document.write('<iframe src=$page></iframe>')",
    "frame": "document.body.append(Object.assign(document.createElement('iframe'), "
    "{src: '$page'}))",
    "worker": f"new Worker('$page').onerror = e => ({TELL})(e.message)",
    "write": "document.write('<img src=$picture width=500><link rel=stylesheet href=$sheet>')",
    "picker": f"showOpenFilePicker().then(f => f[0].getFile()).then(f => f.text()).then({TELL})",
    "input": "const i = document.createElement('input'); i.type = 'file'; i.click()",
    "execCommand": "document.execCommand('paste')",
}


@pytest.fixture(params=["temporary", "project"])
def loud(request: pytest.FixtureRequest, project: Path) -> Iterator[dict[str, str]]:
    """Files that everybody may read and that could not be overlooked; their addresses."""
    parent = Path("/tmp") if request.param == "temporary" else project
    folder = Path(tempfile.mkdtemp(prefix=".rrvf-loud-", dir=parent))
    Image.new("RGB", (500, 500), LOUD).save(folder / "picture.png")
    colour = "#{:02x}{:02x}{:02x}".format(*LOUD)
    body = f"<body style='background: {colour}'>{WORD}"
    (folder / "page.html").write_text(body)
    (folder / "sheet.css").write_text(f"body {{ background: {colour} }}")
    (folder / "drawing.svg").write_text(
        "<svg xmlns='http://www.w3.org/2000/svg' width='500' height='500'>"
        f"<rect id='a' width='500' height='500' fill='{colour}'/></svg>"
    )
    names = {"picture": "picture.png", "page": "page.html", "sheet": "sheet.css"}
    names |= {"drawing": "drawing.svg", "folder": ""}
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    yield {key: (folder / name).as_uri() for key, name in names.items()}
    shutil.rmtree(folder)


def colours(rendering: PageRendering) -> set[tuple[int, ...]]:
    image = Image.open(io.BytesIO(rendering.png or b"")).convert("RGB")
    found = image.getcolors(image.width * image.height)
    assert found is not None
    return {colour for _, colour in found}  # type: ignore[misc]


def texts(rendering: PageRendering) -> str:
    return " ".join(block.text for block in rendering.blocks)


def test_no_file_is_shown(still: PageRenderer, loud: dict[str, str], show: Show) -> None:
    together = "".join(html for name, html in STILL.items() if name not in ALONE)
    for html in (together, *(STILL[name] for name in sorted(ALONE))):
        rendering = show(still, string.Template(html).safe_substitute(loud))
        assert LOUD not in colours(rendering), html
        assert WORD not in texts(rendering), html


def test_no_script_reads_a_file(scripted: PageRenderer, loud: dict[str, str], show: Show) -> None:
    for name, code in SCRIPTS.items():
        html = f"<!DOCTYPE html><p>mine</p><script>{code}</script>"
        rendering = show(scripted, string.Template(html).safe_substitute(loud))
        assert LOUD not in colours(rendering), name
        assert WORD not in texts(rendering), name
        assert "mine" in texts(rendering), name


def test_they_would_be_seen(still: PageRenderer, show: Show) -> None:
    """A page with the colour and the word: the tests above could fail."""
    rendering = show(still, f"<body style='background: rgb{LOUD}'>{WORD}")
    assert LOUD in colours(rendering)
    assert WORD in texts(rendering)


# ------------------------------------------------------------------------- the browser itself


def check_each(pid: int, check: Callable[[Path], None]) -> None:
    """Check all processes of a browser; those of the page before may end meanwhile."""
    checked = 0
    for each in (pid, *descendants(pid)):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            check(Path(f"/proc/{each}"))
            checked += 1
    assert checked > 2


def test_the_browser_knows_no_secrets(still: PageRenderer, browser_pid: Pid) -> None:
    secret = os.environ["OPENAI_API_KEY"].encode()

    def check(process: Path) -> None:
        environment = (process / "environ").read_bytes()
        assert secret not in environment
        assert b"RRVF_" not in environment

    check_each(browser_pid(still), check)


def held_by(process: Path) -> set[str]:
    """What its descriptors stand for, where that has a name."""
    held: set[str] = set()
    for descriptor in (process / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            held.add(str(descriptor.readlink()))
    return {name for name in held if name.startswith("/")}


def test_the_browser_holds_no_file_of_ours(
    still: PageRenderer, browser_pid: Pid, project: Path
) -> None:
    ours = held_by(Path("/proc/self"))

    def check(process: Path) -> None:
        held = held_by(process)
        assert held & ours <= {"/dev/null"}
        assert not [name for name in held if name.startswith((str(project), str(Path.home())))]

    check_each(browser_pid(still), check)


def test_the_browser_is_nobody(still: PageRenderer, browser_pid: Pid) -> None:
    if not still.environment["confinement"]["dropped"]:
        pytest.skip("needs to be started as root")

    def check(process: Path) -> None:
        status = (process / "status").read_text()
        assert "\nUid:\t65534\t65534\t65534\t65534\n" in status
        assert "\nGroups:\t \n" in status
        assert "\nNoNewPrivs:\t1\n" in status

    check_each(browser_pid(still), check)


def test_the_browser_has_a_network_of_its_own(still: PageRenderer, browser_pid: Pid) -> None:
    if not still.environment["confinement"]["network"]:
        pytest.skip("needs network namespaces")
    ours = Path("/proc/self/ns/net").readlink()

    def check(process: Path) -> None:
        assert (process / "ns" / "net").readlink() != ours
        interfaces = (process / "net" / "dev").read_text().splitlines()[2:]
        assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
        assert (process / "net" / "route").read_text().count("\n") <= 1  # its head

    check_each(browser_pid(still), check)


PROBE = r"""#!/bin/bash
# In the browser's place: says what it could do.
profile=$HOME
tell() { echo "$1" >> "$profile/told"; }
try() { if "${@:2}" > /dev/null 2>&1; then tell "$1"; fi; }
connect() { exec 9<>"/dev/tcp/127.0.0.1/$1"; }
send() { echo x > "/dev/udp/127.0.0.1/$1"; }
list() { local found=("$1"/*); [ -e "${found[0]}" ]; }
tell started
try profile touch "$profile/new"
for path in $READ; do try "read $path" cat "$path"; done
for path in $LIST; do try "list $path" list "$path"; done
for path in $WRITE; do try "write $path" touch "$path/rrvf-probe"; done
for pid in $SPY; do
  try "memory of $pid" head -c 1 "/proc/$pid/mem"
  try "environment of $pid" cat "/proc/$pid/environ"
  try "root of $pid" ls "/proc/$pid/root/"
  try "signal to $pid" kill -0 "$pid"
done
try tcp connect "$PORT"
try udp send "$PORT"
try user test "$(id -u)" = 0
try key test -n "$OPENAI_API_KEY"
try plan test -n "$RRVF_BROWSER_PLAN"
tell ended
"""


def probed(folder: Path, values: dict[str, str], **plan: bool) -> set[str]:
    """What a program can do that is started in the browser's place."""
    profile = folder / "profile"
    profile.mkdir()
    probe = folder / "browser"
    lines = [f"{name}={json.dumps(value)}" for name, value in values.items()]
    probe.write_text("\n".join([PROBE.splitlines()[0], *lines, *PROBE.splitlines()[1:]]))
    probe.chmod(0o755)
    wish = {"binary": str(probe), "report": str(folder / "reached.json"), **plan}
    subprocess.run(
        [sys.executable, "-I", "-S", browser.START, f"--user-data-dir={profile}"],
        env={**browser._make_environment(), browser.PLAN_VARIABLE: json.dumps(wish)},
        check=False,
        capture_output=True,
        timeout=60,
    )
    told = set((profile / "told").read_text().splitlines())
    assert {"started", "profile", "ended"} <= told
    return told - {"started", "profile", "ended"}


@pytest.fixture
def ground() -> Iterator[Path]:
    """A folder that everybody can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="rrvf-probe-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def targets(project: Path, listener: Any) -> Iterator[dict[str, str]]:
    """What the probe goes for: files and folders that everybody may read, this process, a port."""
    with tempfile.NamedTemporaryFile(prefix="rrvf-loud-") as file:
        Path(file.name).chmod(0o644)
        yield {
            "READ": f"/etc/passwd {project / 'pyproject.toml'} {file.name}",
            "LIST": f"/etc /tmp {project}",
            "WRITE": f"/tmp /var/tmp {project}",
            "SPY": str(os.getpid()),
            "PORT": str(listener.port),
        }
    for folder in ("/tmp", "/var/tmp", project):
        Path(folder, "rrvf-probe").unlink(missing_ok=True)


def needs(told: Path, *layers: str) -> None:
    reached = json.loads(told.read_text())
    for layer in layers:
        if not reached[layer]:
            pytest.skip(f"this machine has no layer {layer!r}")


def test_a_program_in_the_browsers_place_can_do_nothing(
    ground: Path, targets: dict[str, str], listener: Any
) -> None:
    told = probed(ground, targets, namespaces=True, landlock=True, drop=os.getuid() == 0)
    needs(ground / "reached.json", "files", "network")
    assert told == set()
    assert listener.hits == []


def test_landlock_alone_holds_it(ground: Path, targets: dict[str, str], listener: Any) -> None:
    """As root if the tests run so, in the host's network: only datagrams get out."""
    told = probed(ground, targets, namespaces=False, landlock=True, drop=False)
    needs(ground / "reached.json", "files")
    assert {line for line in told if not line.startswith("signal")} <= {"udp", "user"}
    assert "a connection" not in listener.hits


def test_a_network_of_its_own_alone_holds_it(
    ground: Path, targets: dict[str, str], listener: Any
) -> None:
    told = probed(ground, targets, namespaces=True, landlock=False, drop=False)
    needs(ground / "reached.json", "network")
    assert not {"tcp", "udp"} & told
    assert "read /etc/passwd" in told
    assert listener.hits == []


def test_without_confinement_it_can_do_all(
    ground: Path, targets: dict[str, str], listener: Any
) -> None:
    """Otherwise the tests above could not fail."""
    told = probed(ground, targets, namespaces=False, landlock=False, drop=False)
    wanted = {f"read {path}" for path in targets["READ"].split()}
    wanted |= {f"list {path}" for path in targets["LIST"].split()}
    wanted |= {f"write {path}" for path in targets["WRITE"].split()}
    if os.getuid() != 0:  # root's powers are given up in any case
        wanted |= {f"{what} of {os.getpid()}" for what in ("environment", "root")}
    assert wanted | {"tcp", "udp", f"signal to {os.getpid()}"} <= told
    assert not {"key", "plan"} & told
