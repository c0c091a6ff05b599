"""What a page gets for its requests while the network is closed.

The reference and the answer get the same:

* Stylesheets of Tailwind 1 and 2 from a public CDN: ``dist/tailwind.min.css`` of tailwindcss
  2.2.19 (MIT), the last version that has one. WebSight v0.2 links to it. The file is downloaded
  once, by :func:`install_tailwind`, never while pages are drawn. Until then such pages stay
  unstyled, and :func:`tailwind_version` reports it. Tailwind 3 and 4 are scripts
  (``cdn.tailwindcss.com``, ``@tailwindcss/browser``), which are not served: their pages stay
  unstyled.
* Pictures: an even grey of the size in the address, or 300 x 200 pixels without a size
  (``rick.jpg`` of WebSight v0.1 and Design2Code among them).
* Nothing else: no fonts, scripts, frames or data.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import os
import re
import sys
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from rrvf.errors import SetupError, UserError
from rrvf.renderers.cache import write_atomically

DATA_VARIABLE = "RRVF_DATA_DIR"
TAILWIND = "2.2.19"
TAILWIND_INTEGRITY = (
    "6Ui7JSVtXadtTUo2NtkBBacobzWiQYVjYW0ZnKaP9S1ZCKQ0w7KVNz+YSDI/j7O7KCMHbOkz94ZMQhbT9pOqjw=="
)
"""SHA-512 of the package, as the npm registry publishes it."""
TAILWIND_SHA256 = "b6ad97402eddb903e7a5d7a73ee47a679204efbdda4521a391cbad9df509b932"
"""Of ``dist/tailwind.min.css`` in it."""

DEFAULT_SIZE = (300, 200)
MAX_SIDE = 4096
GREY = "#c8c8c8"

_REGISTRY = "https://registry.npmjs.org"
_CSS, _LICENSE = "tailwind.min.css", "LICENSE"
_MEMBERS = {_LICENSE: "package/LICENSE", _CSS: f"package/dist/{_CSS}"}
_MAX_PACKAGE = 32 * 2**20
_TIMEOUT_SECONDS = 60

_TAILWIND_PATHS = {
    "cdn.jsdelivr.net": "/npm/tailwindcss",
    "unpkg.com": "/tailwindcss",
    "cdnjs.cloudflare.com": "/ajax/libs/tailwindcss",
}
_TAILWIND_FILE = re.compile(
    r"(?:[@/](?:latest|[~^]?v?[12](?:\.[0-9x*]+){0,2}))?(?:/dist)?/tailwind(?:\.min)?\.css"
)

_SIZE = re.compile(r"([0-9]+)x([0-9]+)", re.IGNORECASE)
_EXTENSION = re.compile(r"\.(?:png|jpe?g|webp|gif|svg|avif)$", re.IGNORECASE)
_QUERY = re.compile(r"(?:^|[&;])(w|h|width|height)=([0-9]+)(?=$|[&;])", re.IGNORECASE)
_SQUARE_HOSTS = frozenset(
    ("via.placeholder.com", "placehold.co", "placehold.it", "dummyimage.com", "fakeimg.pl")
)
"""Where a single number is the side of a square; a number after it would be a colour."""
_PAIR_HOSTS = frozenset(
    (
        *("picsum.photos", "placekitten.com", "loremflickr.com"),
        *("placeimg.com", "placebear.com", "lorempixel.com"),
    )
)
"""Where width and height are two parts of the path; a width alone is the side of a square."""


@dataclass(frozen=True, slots=True)
class Asset:
    """The answer to a request."""

    content_type: str
    body: bytes
    status: int = 200


def answer(url: str, kind: str) -> Asset | None:
    """What a request is answered with.

    Args:
        url: The address, any string.
        kind: The browser's word for what it wants, Playwright's ``resource_type``.

    Returns:
        A stylesheet or picture; ``None`` where the request is to be refused.

    Raises:
        SetupError: The stored stylesheet is not the one that was installed.
    """
    if kind == "image":
        return _make_picture(*read_size(url))
    if kind == "stylesheet" and _is_tailwind(url):
        css = _read_stylesheet(_find_tailwind_folder())
        return None if css is None else Asset("text/css; charset=utf-8", css)
    return None


def read_size(url: str) -> tuple[int, int]:
    """Width and height, in pixels, that the address of a picture asks for; each 1 to 4096.

    ``600x400`` as a part of the path counts first, on any host; then the path of known placeholder
    services; then ``w``, ``h``, ``width`` and ``height`` in the query, where one alone is completed
    to the ratio of the default size, 3 : 2.
    """
    parts = _split(url)
    if parts is None:
        return DEFAULT_SIZE
    segments = [_EXTENSION.sub("", segment) for segment in parts.path.split("/") if segment]
    for segment in segments:
        if match := _SIZE.fullmatch(segment):
            return _bound(match[1], match[2])
    sides = _read_sides(_read_host(parts), segments)
    return _bound(*sides) if sides else _read_query_size(parts.query)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.hostname  # noqa: B018 - it may raise, too
    except ValueError:
        return None
    return parts


def _read_host(parts: SplitResult) -> str:
    return (parts.hostname or "").removeprefix("www.")


def _read_sides(host: str, segments: Sequence[str]) -> tuple[str, str] | None:
    if host not in _SQUARE_HOSTS | _PAIR_HOSTS:
        return None
    # picsum.photos/id/237/200/300 and /seed/word/200/300: what is named comes before the size.
    n_skipped = 2 if segments[:1] in (["id"], ["seed"]) else 0
    numbers: list[str] = []
    for segment in segments[n_skipped:]:
        if re.fullmatch(r"[0-9]+", segment):
            numbers.append(segment)
        elif numbers:
            break
    if not numbers:
        return None
    pair = host in _PAIR_HOSTS and len(numbers) > 1
    return numbers[0], numbers[1] if pair else numbers[0]


def _read_query_size(query: str) -> tuple[int, int]:
    numbers = {match[1].lower()[0]: match[2] for match in _QUERY.finditer(query)}
    width, height = (_parse_pixels(numbers.get(side, "")) for side in "wh")
    if not width and not height:
        return DEFAULT_SIZE
    default_width, default_height = DEFAULT_SIZE
    width = width or height * default_width // default_height
    height = height or width * default_height // default_width
    return min(max(width, 1), MAX_SIDE), min(max(height, 1), MAX_SIDE)


def _bound(width: str, height: str) -> tuple[int, int]:
    sides = _parse_pixels(width), _parse_pixels(height)
    return sides if all(sides) else DEFAULT_SIZE


def _parse_pixels(digits: str) -> int:
    """The number, at most 4096; 0 for none. A long one is not even read."""
    digits = digits.lstrip("0")
    return min(int(digits or "0"), MAX_SIDE) if len(digits) <= len(str(MAX_SIDE)) else MAX_SIDE


def _make_picture(width: int, height: int) -> Asset:
    # Without the ratio's "none", a box of another shape would have empty bars.
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" preserveAspectRatio="none">'
        f'<rect width="{width}" height="{height}" fill="{GREY}"/></svg>'
    )
    return Asset("image/svg+xml", svg.encode("ascii"))


# --- Tailwind -------------------------------------------------------------------------------------


def _is_tailwind(url: str) -> bool:
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https"):
        return False
    start = _TAILWIND_PATHS.get(_read_host(parts))
    if start is None or not parts.path.startswith(start):
        return False
    return _TAILWIND_FILE.fullmatch(parts.path[len(start) :].replace("%5E", "^")) is not None


def data_folder() -> Path:
    """``$RRVF_DATA_DIR``, else ``rrvf`` below the user's data folder; always absolute.

    Raises:
        SetupError: There is no home to find it in.
    """
    setting = os.environ.get(DATA_VARIABLE)
    path = Path(setting or Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share", "rrvf"))
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise SetupError(f"no home folder to keep data in; set {DATA_VARIABLE}") from error


def _find_tailwind_folder() -> Path:
    return data_folder() / f"tailwindcss-{TAILWIND}"


@cache
def _read_stylesheet(folder: Path) -> bytes | None:
    """The installed file, read and checked once in a process; ``None`` where there is none."""
    path = folder / _CSS
    try:
        css = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}") from error
    if hashlib.sha256(css).hexdigest() != TAILWIND_SHA256:
        raise SetupError(f"{path}: not the file that was installed; delete it and install it again")
    return css


def tailwind_version() -> str | None:
    """The version that pages get, or ``None`` while it is not installed.

    Raises:
        SetupError: The stored file is not the one that was installed.
    """
    return None if _read_stylesheet(_find_tailwind_folder()) is None else TAILWIND


def install_tailwind(archive: Path | None = None) -> Path:
    """Fetch the stylesheet's package from the npm registry and keep the stylesheet.

    The registry is ``npm_config_registry`` or ``NPM_CONFIG_REGISTRY``, else the public one.

    Args:
        archive: The package, fetched by other means.

    Returns:
        The folder with the stylesheet and its licence; nothing is done where they are.

    Raises:
        SetupError: The registry cannot be reached, or what comes is not the published package.
    """
    folder = _find_tailwind_folder()
    _read_stylesheet.cache_clear()
    if (folder / _LICENSE).is_file() and tailwind_version() is not None:
        return folder
    package, source = _download() if archive is None else (archive.read_bytes(), str(archive))
    digest = base64.b64encode(hashlib.sha512(package).digest()).decode("ascii")
    if digest != TAILWIND_INTEGRITY:
        raise SetupError(
            f"{source}: not tailwindcss {TAILWIND} as published (its hash differs); "
            "nothing was installed, name another registry in npm_config_registry"
        )
    for name, content in _unpack(package, source).items():  # the stylesheet comes last
        write_atomically(folder / name, content)
    _read_stylesheet.cache_clear()
    return folder


def _download() -> tuple[bytes, str]:
    registry = os.environ.get("npm_config_registry") or os.environ.get("NPM_CONFIG_REGISTRY")  # noqa: SIM112
    url = f"{(registry or _REGISTRY).rstrip('/')}/tailwindcss/-/tailwindcss-{TAILWIND}.tgz"
    if not url.startswith(("https://", "http://")):
        raise SetupError(f"npm_config_registry names {registry}, which is no http(s) address")
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as reply:
            return reply.read(_MAX_PACKAGE), url
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is the reply, too
        raise SetupError(
            f"cannot fetch {url} ({reason}): check the network, or set npm_config_registry to a "
            "registry that is reached, or fetch the file elsewhere and run "
            "python -m rrvf.renderers.web_assets FILE"
        ) from error


def _unpack(package: bytes, source: str) -> dict[str, bytes]:
    """The two files that are kept, by name; nothing else of the archive is looked at."""
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as tar:
            for name, member in _MEMBERS.items():
                info = tar.getmember(member)
                stream = tar.extractfile(info) if info.isreg() else None
                if stream is None:
                    raise SetupError(f"{source}: its {member} is no file; nothing was installed")
                contents[name] = stream.read()
    except (tarfile.TarError, KeyError, EOFError, zlib.error, OSError) as error:
        raise SetupError(f"{source}: damaged ({error}); nothing was installed") from error
    return contents


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m rrvf.renderers.web_assets [FILE]`` installs; returns the exit status."""
    files = sys.argv[1:] if arguments is None else arguments
    try:
        print(install_tailwind(Path(files[0]) if files else None))
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
