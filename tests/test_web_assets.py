"""What pages get while the network is closed: a stylesheet, grey pictures, nothing else."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrvf.errors import SetupError
from rrvf.renderers import web_assets
from rrvf.renderers.web_assets import answer, install_tailwind, main, tailwind_version

CSS = b".flex{display:flex}"
LICENSE = b"MIT License"
LINK = "https://cdn.jsdelivr.net/npm/tailwindcss@2.2.19/dist/tailwind.min.css"
D = web_assets.DEFAULT_SIZE


# --- pictures -------------------------------------------------------------------------------------


def size(url: str) -> tuple[int, int]:
    """Of the picture that is answered, read by an XML parser."""
    asset = answer(url, "image")
    assert asset is not None
    assert (asset.status, asset.content_type) == (200, "image/svg+xml")
    root = ElementTree.fromstring(asset.body)
    width, height = int(root.attrib["width"]), int(root.attrib["height"])
    assert root.attrib["viewBox"] == f"0 0 {width} {height}"
    [rectangle] = root
    assert (rectangle.attrib["width"], rectangle.attrib["height"]) == (str(width), str(height))
    return width, height


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://source.unsplash.com/800x600/?car", (800, 600)),
        ("https://source.unsplash.com/random/300x200/?food,fruit", (300, 200)),
        ("https://source.unsplash.com/random/1600X900", (1600, 900)),
        ("https://source.unsplash.com/user/some/400x300", (400, 300)),
        ("https://source.unsplash.com/random/?nature", D),
        ("https://source.unsplash.com/featured/?w=5", (5, 3)),
        ("https://via.placeholder.com/150", (150, 150)),
        ("https://via.placeholder.com/150/000000/FFFFFF/?text=x", (150, 150)),
        ("https://via.placeholder.com/300x200/09f/fff.png", (300, 200)),
        ("http://via.placeholder.com/350x150.png?text=100x100", (350, 150)),
        ("https://placehold.co/600x400", (600, 400)),
        ("https://placehold.co/400/orange/white", (400, 400)),
        ("https://www.placehold.it/80", (80, 80)),
        ("https://dummyimage.com/600x400/000/fff&text=x", (600, 400)),
        ("https://dummyimage.com/250.png/09f/fff", (250, 250)),
        ("https://fakeimg.pl/250x100/ff0000/", (250, 100)),
        ("https://picsum.photos/200", (200, 200)),
        ("https://picsum.photos/200/300?grayscale", (200, 300)),
        ("https://picsum.photos/200/300.webp", (200, 300)),
        ("https://picsum.photos/id/237/200/300", (200, 300)),
        ("https://picsum.photos/seed/7/64/48", (64, 48)),
        ("https://picsum.photos/id/237", D),
        ("https://placekitten.com/g/200/300", (200, 300)),
        ("https://loremflickr.com/320/240/dog,cat", (320, 240)),
        ("https://loremflickr.com/g/320/240/paris,7/all", (320, 240)),
        ("https://images.unsplash.com/photo-1500000000000-ab?w=400&h=300&q=80", (400, 300)),
        ("https://images.unsplash.com/photo-15?q=80&w=600&fit=crop", (600, 400)),
        ("https://example.com/a.jpg?height=100", (150, 100)),
        ("https://example.com/a.jpg?width=640&height=480", (640, 480)),
        ("https://example.com/a.jpg?maxw=640&hw=480", D),
        ("https://example.com/thumbs/64x32.jpg", (64, 32)),
        ("https://example.com/photo-64x32-small.jpg", D),
        ("https://example.com/200/300", D),
        ("http://page.invalid/rick.jpg", D),
        ("rick.jpg", D),
        ("https://example.com/0x0", D),
        ("https://via.placeholder.com/0", D),
        ("https://example.com/?w=0&h=0", D),
        ("https://example.com/?w=-5", D),
        ("http://[broken/300x200", D),
        ("", D),
    ],
)
def test_the_size_is_the_one_asked_for(url: str, expected: tuple[int, int]) -> None:
    assert size(url) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://source.unsplash.com/4097x1/", (4096, 1)),
        ("https://picsum.photos/99999/00012", (4096, 12)),
        ("https://example.com/?w=1&h=" + "9" * 10_000, (1, 4096)),
        ("https://example.com/" + "8" * 5000 + "x" + "9" * 5000, (4096, 4096)),
        ("https://example.com/?w=1", (1, 1)),
        ("https://example.com/?h=4000", (4096, 4000)),
    ],
)
def test_sizes_are_bounded(url: str, expected: tuple[int, int]) -> None:
    assert size(url) == expected


KINDS = ("image", "stylesheet", "font", "script", "document", "media", "fetch", "xhr", "other", "")


@given(st.text() | st.from_regex(r"https?://\S{0,30}"), st.sampled_from(KINDS))
def test_no_address_fails(url: str, kind: str) -> None:
    asset = answer(url, kind)
    assert (asset is None) == (kind != "image")
    if asset:
        assert all(1 <= side <= 4096 for side in size(url))


@given(
    st.sampled_from(sorted(web_assets._SQUARE_HOSTS | web_assets._PAIR_HOSTS)),
    st.lists(st.sampled_from(["id", "seed", "g", "7", "²", "٣", "0", "5x", "x", "3x9", "%00"])),
    st.sampled_from(["", "?w=٣", "?w=3&w=4", "?h=0&w=2;", "?width"]),
)
def test_odd_paths_of_known_hosts_do_not_fail(host: str, parts: list[str], query: str) -> None:
    assert all(1 <= side <= 4096 for side in size(f"https://{host}/{'/'.join(parts)}{query}"))


# --- the stylesheet -------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("RRVF_DATA_DIR", str(tmp_path / "data"))
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    web_assets._read_stylesheet.cache_clear()
    yield tmp_path / "data"
    web_assets._read_stylesheet.cache_clear()


def tarball(**members: bytes | tarfile.TarInfo) -> bytes:
    """A package of these entries."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


GOOD = {"package/LICENSE": LICENSE, "package/dist/tailwind.min.css": CSS, "package/x.js": b"x"}


def publish(monkeypatch: pytest.MonkeyPatch, package: bytes, css: bytes = CSS) -> None:
    """Make ``package`` the one whose hashes are known."""
    integrity = base64.b64encode(hashlib.sha512(package).digest()).decode()
    monkeypatch.setattr(web_assets, "TAILWIND_INTEGRITY", integrity)
    monkeypatch.setattr(web_assets, "TAILWIND_SHA256", hashlib.sha256(css).hexdigest())


class Registry(ThreadingHTTPServer):
    """Serves one package and notes what it was asked for."""

    daemon_threads = False  # closing waits for them

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.package = tarball(**GOOD)
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}/npm"


class Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.server.package:
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.package)))
            self.end_headers()
            self.wfile.write(self.server.package)
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with Registry() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", server.url + "/")
        publish(monkeypatch, server.package)
        yield server
        server.shutdown()
        thread.join()


def refused(match: str) -> None:
    with pytest.raises(SetupError, match=match) as caught:
        install_tailwind()
    assert "\n" not in str(caught.value)
    assert tailwind_version() is None
    assert answer(LINK, "stylesheet") is None


def test_nothing_is_answered_until_it_is_installed(registry: Registry, data_folder: Path) -> None:
    assert tailwind_version() is None
    assert answer(LINK, "stylesheet") is None
    folder = install_tailwind()
    assert registry.asked == ["/npm/tailwindcss/-/tailwindcss-2.2.19.tgz"]
    files = {p.relative_to(data_folder).as_posix(): p.read_bytes() for p in folder.iterdir()}
    assert files == {
        "tailwindcss-2.2.19/tailwind.min.css": CSS,
        "tailwindcss-2.2.19/LICENSE": LICENSE,
    }
    assert tailwind_version() == "2.2.19"
    asset = answer(LINK, "stylesheet")
    assert asset is not None
    assert (asset.status, asset.content_type, asset.body) == (200, "text/css; charset=utf-8", CSS)
    assert install_tailwind() == folder
    assert len(registry.asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        LINK,
        "http://cdn.jsdelivr.net/npm/tailwindcss@2/dist/tailwind.min.css",
        "https://cdn.jsdelivr.net/npm/tailwindcss@^2.0/dist/tailwind.min.css?x=1",
        "https://cdn.jsdelivr.net/npm/tailwindcss@%5E1.0/dist/tailwind.css",
        "https://cdn.jsdelivr.net/npm/tailwindcss/dist/tailwind.min.css",
        "https://cdn.jsdelivr.net/npm/tailwindcss@latest/dist/tailwind.min.css",
        "https://unpkg.com/tailwindcss@^1.0/dist/tailwind.min.css",
        "https://unpkg.com/tailwindcss@2.2.x/dist/tailwind.min.css#a",
        "https://cdnjs.cloudflare.com/ajax/libs/tailwindcss/2.2.19/tailwind.min.css",
        "https://cdnjs.cloudflare.com/ajax/libs/tailwindcss/1.9.6/tailwind.min.css",
    ],
)
def test_stylesheets_of_tailwind_one_and_two_are_answered(registry: Registry, url: str) -> None:
    install_tailwind()
    asset = answer(url, "stylesheet")
    assert asset is not None
    assert asset.body == CSS
    assert answer(url, "script") is None
    assert answer(url, "font") is None


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.tailwindcss.com",
        "https://cdn.jsdelivr.net/npm/@tailwindcss/browser@4",
        "https://cdn.jsdelivr.net/npm/tailwindcss@3.4.1/dist/tailwind.min.css",
        "https://cdn.jsdelivr.net/npm/tailwindcss@22/dist/tailwind.min.css",
        "https://cdn.jsdelivr.net/npm/tailwindcss-forms@2.2.19/dist/tailwind.min.css",
        "https://cdn.jsdelivr.net/npm/bootstrap@5.3.0/dist/css/bootstrap.min.css",
        "https://evil.example/npm/tailwindcss@2.2.19/dist/tailwind.min.css",
        "https://evil.example/?https://unpkg.com/tailwindcss@2/dist/tailwind.min.css",
        "https://fonts.googleapis.com/css2?family=Roboto",
        "file:///npm/tailwindcss@2.2.19/dist/tailwind.min.css",
        "file://unpkg.com/tailwindcss/dist/tailwind.min.css",
        "https://[unpkg.com/tailwindcss/dist/tailwind.min.css",
        "",
    ],
)
def test_other_stylesheets_are_not(registry: Registry, url: str) -> None:
    install_tailwind()
    assert answer(url, "stylesheet") is None


def test_another_package_is_refused(registry: Registry, data_folder: Path) -> None:
    registry.package = tarball(**{**GOOD, "package/dist/tailwind.min.css": b"*{display:none}"})
    refused("not tailwindcss 2.2.19 as published")
    assert not data_folder.exists()


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"package/LICENSE": LICENSE}, "damaged .*dist/tailwind.min.css"),
        ({"package/dist/tailwind.min.css": CSS}, "damaged .*package/LICENSE"),
        (
            {**GOOD, "package/LICENSE": link("package/LICENSE", "/etc/hostname")},
            "its package/LICENSE is no file",
        ),
    ],
)
def test_a_package_that_lacks_its_files_is_refused(
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    data_folder: Path,
    members: dict[str, bytes | tarfile.TarInfo],
    message: str,
) -> None:
    registry.package = tarball(**members)
    publish(monkeypatch, registry.package)
    refused(message)
    assert not data_folder.exists()


def test_only_two_files_leave_the_archive(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    outside = str(tmp_path / "outside.txt")
    extra = {"../../escaped.txt": b"x", outside: b"x", "package/../../up.txt": b"x"}
    registry.package = tarball(**{**extra, **GOOD})
    publish(monkeypatch, registry.package)
    folder = install_tailwind()
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {
        folder / "tailwind.min.css",
        folder / "LICENSE",
    }


@pytest.mark.parametrize("package", [b"no archive", b"\x1f\x8b\x08damaged"])
def test_a_damaged_archive_is_refused(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, package: bytes
) -> None:
    registry.package = package
    publish(monkeypatch, package)
    refused("damaged")


def test_registries_that_do_not_answer(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.package = b""
    refused("cannot fetch .*Not Found.*npm_config_registry")
    # The lower-case name goes first, as in npm. Nobody listens on a reserved port.
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1/")
    refused(r"cannot fetch http://127.0.0.1:1/tailwindcss/.* \(.*refused\): check the network")
    for named in ("file:///etc", "ftp://127.0.0.1", "nonsense"):
        monkeypatch.setenv("npm_config_registry", named)
        refused("no http")


def test_a_file_fetched_elsewhere(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "package.tgz"
    assert main([str(archive)]) == 2
    assert "package.tgz" in capsys.readouterr().err
    archive.write_bytes(registry.package)
    assert main([str(archive)]) == 0
    assert tailwind_version() == "2.2.19"
    assert registry.asked == []


def test_a_changed_stylesheet_is_noticed(registry: Registry) -> None:
    folder = install_tailwind()
    (folder / "tailwind.min.css").write_bytes(CSS + b" ")
    web_assets._read_stylesheet.cache_clear()  # as in another process
    for use in (tailwind_version, lambda: answer(LINK, "stylesheet"), install_tailwind):
        with pytest.raises(SetupError, match=r"min\.css: not the file .*install it again"):
            use()
    (folder / "tailwind.min.css").unlink()
    install_tailwind()
    assert tailwind_version() == "2.2.19"


def test_where_data_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert web_assets.data_folder() == tmp_path / "data"
    monkeypatch.delenv("RRVF_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert web_assets.data_folder() == tmp_path / "share" / "rrvf"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert web_assets.data_folder() == tmp_path / ".local" / "share" / "rrvf"


def test_it_needs_the_standard_library_alone() -> None:
    code = (
        "import sys, rrvf.renderers.web_assets;"
        "print(*{name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))"
    )
    command = [sys.executable, "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= {"__main__", "rrvf"}
