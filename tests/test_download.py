"""The data set's archives: fetched from a hub, and unpacked without leaving their folder."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rrvf.benchmarks import chartmimic_download
from rrvf.benchmarks.chartmimic import load_samples
from rrvf.benchmarks.chartmimic_download import REVISION, download, main, unpack
from rrvf.errors import DataError, HarnessError, SetupError, UserError


def entry(name: str, content: bytes = b"x = 1\n", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A tar entry; a link or device has no content."""
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    info.size = len(content) if info.isreg() else 0
    return info, content


def packed(path: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


DATA = (
    entry("./direct_600/", type=tarfile.DIRTYPE),
    entry("./direct_600/bar_1.py", b"bar = 1\n", mode=0o6777, uid=0),
    entry("./direct_600/bar_1.png", b"picture"),
    entry("customized_600/pie_1.py", b"pie = 1\n"),
)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return packed(tmp_path / "data.tar.gz", *DATA)


# --- unpacking ------------------------------------------------------------------------------------


def test_unpacked_as_packed(tmp_path: Path, archive: Path) -> None:
    unpack(archive, tmp_path / "out")
    assert tree(tmp_path / "out") == {
        "direct_600/bar_1.py": b"bar = 1\n",
        "direct_600/bar_1.png": b"picture",
        "customized_600/pie_1.py": b"pie = 1\n",
    }
    mode = (tmp_path / "out" / "direct_600" / "bar_1.py").stat().st_mode
    assert mode & 0o7111 == 0


def test_links_inside_become_copies(tmp_path: Path) -> None:
    path = packed(
        tmp_path / "a.tar.gz",
        entry("a/x.py", b"real"),
        entry("b/hard.py", type=tarfile.LNKTYPE, linkname="a/x.py"),
        entry("b/soft.py", type=tarfile.SYMTYPE, linkname="../a/x.py"),
    )
    unpack(path, tmp_path / "out")
    assert tree(tmp_path / "out") == dict.fromkeys(("a/x.py", "b/hard.py", "b/soft.py"), b"real")
    assert not any(found.is_symlink() for found in (tmp_path / "out").rglob("*"))


SYMLINK, HARDLINK = tarfile.SYMTYPE, tarfile.LNKTYPE
UNSAFE = {
    "absolute": [entry("{outside}/evil.py")],
    "parent": [entry("../evil.py")],
    "parent inside": [entry("a/../../evil.py")],
    "parent folder": [entry("../evil", type=tarfile.DIRTYPE)],
    "symlink to a file outside": [entry("a", type=SYMLINK, linkname="{outside}/secret")],
    "symlink up": [entry("a", type=SYMLINK, linkname="../secret")],
    "symlink up from below": [entry("a/b", type=SYMLINK, linkname="../../secret")],
    "symlink as a folder": [entry("a", type=SYMLINK, linkname=".."), entry("a/evil.py")],
    "symlink to nothing": [entry("a", type=SYMLINK, linkname="b")],
    "symlink to its folder": [entry("d/a", type=SYMLINK, linkname=".")],
    "hard link outside": [entry("a", type=HARDLINK, linkname="../secret")],
    "hard link absolute": [entry("a", type=HARDLINK, linkname="{outside}/secret")],
    "pipe": [entry("a", type=tarfile.FIFOTYPE)],
    "character device": [entry("a", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
    "block device": [entry("a", type=tarfile.BLKTYPE)],
    "unknown kind": [entry("a", type=b"Z")],
    "file in the way of a folder": [entry("a"), entry("a/evil.py")],
    "folder in the way of a file": [entry("a/b"), entry("a")],
    "the folder itself": [entry(".")],
    "a name too long": [entry("n" * 300)],
}


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_archives_are_refused(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    for info, _ in UNSAFE[name]:
        info.name = info.name.format(outside=outside)
        info.linkname = info.linkname.format(outside=outside)
    path = packed(tmp_path / "evil.tar.gz", *UNSAFE[name])
    with pytest.raises(DataError, match=r"evil\.tar\.gz") as caught:
        unpack(path, outside / "out")
    assert "\n" not in str(caught.value)
    assert {found.name for found in outside.iterdir()} == {"secret", "out"}
    assert not any(found.read_bytes() == b"secret" for found in (outside / "out").rglob("*")
                   if found.is_file())  # fmt: skip
    with pytest.raises(DataError):
        download(tmp_path / "data", archive=path)
    assert list((tmp_path / "data").iterdir()) == []


def test_too_much_data_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.tar.gz", entry("a", b"0" * 60), entry("b", b"0" * 60))
    unpack(path, tmp_path / "fits", max_bytes=120)
    with pytest.raises(DataError, match="more than 119 bytes"):
        unpack(path, tmp_path / "over", max_bytes=119)
    links = [entry(f"l{i}", type=HARDLINK, linkname="a") for i in range(5)]
    path = packed(tmp_path / "links.tar.gz", entry("a", b"0" * 60), *links)
    with pytest.raises(DataError, match="more than 300 bytes"):
        unpack(path, tmp_path / "copies", max_bytes=300)


def test_a_bomb_is_refused_before_it_fills_disk_or_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("bomb")
    info.size = 2**40
    header = tarfile.TarInfo("././@LongLink")  # its content, the long name, is read into memory
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2**40
    for number, head in enumerate((info, header)):
        path = tmp_path / f"bomb{number}.tar.gz"
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(head.tobuf(tarfile.GNU_FORMAT))
            for _ in range(16):
                file.write(bytes(2**20))
        with pytest.raises(DataError, match="refused"):
            unpack(path, tmp_path / f"out{number}", max_bytes=2**20)
        assert sum(map(len, tree(tmp_path / f"out{number}").values())) <= 3 * 2**20


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chartmimic_download, "_MAX_MEMBERS", 3)
    with pytest.raises(DataError, match="more than 3 entries"):
        unpack(packed(tmp_path / "a.tar.gz", *DATA), tmp_path / "out")


@pytest.mark.parametrize("damage", ["cut", "flipped", "no gzip", "no tar", "empty", "missing"])
def test_damaged_archives_are_named(tmp_path: Path, damage: str) -> None:
    noise = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(256))
    path = packed(tmp_path / "a.tar.gz", entry("a.py", noise), *DATA)
    data = path.read_bytes()
    path.write_bytes({
        "cut": data[: len(data) // 2],
        "flipped": data[:100] + bytes(byte ^ 0x55 for byte in data[100:200]) + data[200:],
        "no gzip": b"<html>not found</html>",
        "no tar": gzip.compress(b"x" * 5000),
        "empty": b"",
        "missing": b"",
    }[damage])  # fmt: skip
    if damage == "missing":
        path.unlink()
    with pytest.raises(DataError, match=r"a\.tar\.gz") as caught:
        unpack(path, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_an_existing_folder_is_not_unpacked_into(tmp_path: Path, archive: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "direct_600").symlink_to(tmp_path)
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "bar_1.py").exists()


# --- downloading ----------------------------------------------------------------------------------


def test_a_local_archive_becomes_the_layout_that_loads(tmp_path: Path, archive: Path) -> None:
    into = tmp_path / "new" / "data"
    assert download(into, archive=archive) == into / "v2"
    assert [s.id for s in load_samples(into, subset="direct_600")] == ["bar_1"]
    archive.unlink()
    assert download(into, archive=archive) == into / "v2"  # finished before: nothing is read
    assert [path.name for path in into.iterdir()] == ["v2"]


def test_a_run_that_was_cut_off_is_done_again(tmp_path: Path, archive: Path) -> None:
    stale = tmp_path / ".v2.partial" / "direct_600" / "stale.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("x")
    assert "direct_600/stale.py" not in tree(download(tmp_path, archive=archive))
    assert not stale.exists()


def test_a_folder_of_other_origin_is_left_alone(tmp_path: Path, archive: Path) -> None:
    (tmp_path / "v2").mkdir()
    (tmp_path / "v2" / "mine").write_text("x")
    with pytest.raises(DataError, match="v2: holds files of other origin, not"):
        download(tmp_path, archive=archive)
    assert tree(tmp_path / "v2") == {"mine": b"x"}
    download(tmp_path, version="v1", archive=archive)
    with pytest.raises(DataError, match=r"holds dataset-old.tar.gz data.tar.gz, not .* main"):
        download(tmp_path, version="v1", revision="main")


def test_a_full_disk_is_said_plainly(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(chartmimic_download, "_copy", full)
    with pytest.raises(UserError, match="no space left while unpacking"):
        download(tmp_path / "data", archive=archive)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_fault_of_the_hub_is_no_fault_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def fetch(*_: object, **__: object) -> str:
        raise failure

    monkeypatch.setattr(hub, "hf_hub_download", fetch)
    failure: Exception = RuntimeError("some transport error\nof two lines")
    with pytest.raises(SetupError, match="cannot fetch dataset-iclr") as caught:
        download(tmp_path)
    assert "\n" not in str(caught.value)
    failure = OSError(28, "No space left on device")
    with pytest.raises(UserError, match="no space left"):
        download(tmp_path)
    assert not issubclass(UserError, HarnessError)


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's protocol as one file at one revision needs."""

    content: bytes = b""
    name = f"/datasets/ChartMimic/ChartMimic/resolve/{REVISION}/dataset-iclr.tar.gz"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        known = self.path == self.name
        self.send_response(200 if known else 404)
        if known:
            self.send_header("X-Repo-Commit", REVISION)
            self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
            self.send_header("Content-Length", str(len(self.content)))
        else:
            self.send_header("X-Error-Code", "RevisionNotFound")
            self.send_header("Content-Length", "0")
        self.end_headers()
        if known and body:
            self.wfile.write(self.content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def hub(archive: Path) -> Iterator[str]:
    handler = type("OneFile", (Hub,), {"content": archive.read_bytes()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def command(tmp_path: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run the module as a user does, the hub's package included, with a cache of its own."""
    pytest.importorskip("huggingface_hub")
    keep = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(
        [sys.executable, "-m", "rrvf.benchmarks.chartmimic_download", *arguments],
        env={**keep, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_ETAG_TIMEOUT": "2", **environment},
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    return done.returncode, done.stdout, done.stderr


def test_the_real_client_downloads_and_unpacks(tmp_path: Path, hub: str) -> None:
    into = tmp_path / "data"
    status, out, _ = command(tmp_path, str(into), HF_ENDPOINT=hub)
    assert (status, out.strip()) == (0, str(into / "v2"))
    assert [s.id for s in load_samples(into, subset="v2/direct_600")] == ["bar_1"]

    status, _, err = command(tmp_path, str(into / "x"), "--revision", "gone", HF_ENDPOINT=hub)
    assert status == 2
    assert err.splitlines()[-1].startswith("the Hugging Face hub has no dataset-iclr.tar.gz in")


def test_offline_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    status, out, err = command(tmp_path, str(tmp_path / "data"), HF_HUB_OFFLINE="1")
    assert (status, out) == (2, "")
    line = err.splitlines()[-1]
    assert line.startswith("cannot fetch dataset-iclr.tar.gz")
    assert "--archive FILE" in line
    assert f"resolve/{REVISION}/dataset-iclr.tar.gz" in line
    assert "Traceback" not in err


def test_the_command_line_reports_in_one_line(
    tmp_path: Path, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "data"), "--archive", str(archive), "--version", "v1"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "data" / "v1")
    assert main([str(tmp_path / "data"), "--archive", str(tmp_path / "no.tar.gz")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
