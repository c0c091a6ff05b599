"""What a run's card tells of its environment, and the way of its result to the hub."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from rrvf.errors import UserError
from tests.training.conftest import MISSING

if MISSING:
    pytest.skip("training needs its packages", allow_module_level=True)

from training.records import describe_environment, push_folder

pytestmark = pytest.mark.filterwarnings("default")


def test_the_environment_names_versions_and_commit(project: Path) -> None:
    told = describe_environment()
    for name in ("torch", "transformers", "trl", "deepspeed", "peft"):
        assert told["versions"][name] == version(name)
    command = ["git", "-C", str(project), "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        assert told["commit"].removesuffix("-dirty") == done.stdout.strip()
    assert json.loads(json.dumps(told)) == told


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as a small upload takes."""

    files: dict[str, bytes]
    created: list[dict[str, Any]]
    refuses = False

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self._reply({"siblings": [], "id": "me/model", "sha": "0" * 40})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.refuses:
            self._reply({"error": "no such right"}, 403)
        elif self.path.endswith("/repos/create"):
            self.created.append(json.loads(body))
            self._reply({"url": f"{self.server.url}/me/model", "name": "me/model"})
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            files = [
                {"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names
            ]
            self._reply({"files": files})
        elif "/commit/" in self.path:
            for line in body.decode().splitlines():
                part = json.loads(line)
                if part["key"] == "file":
                    file = part["value"]
                    self.files[file["path"]] = base64.b64decode(file["content"])
            url = f"{self.server.url}/me/model/commit/{'0' * 40}"
            self._reply({"commitUrl": url, "commitOid": "0" * 40})
        else:
            self._reply({"error": self.path}, 404)

    def _reply(self, content: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def hub(*, refuses: bool = False) -> Iterator[tuple[str, type[Hub]]]:
    """A hub on this machine: its address, and what it was given."""
    kind = type("Own", (Hub,), {"files": {}, "created": [], "refuses": refuses})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.url, kind  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def push(folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the hub's address is read when its client is imported."""
    import os
    import sys

    code = (
        "import sys; from pathlib import Path; from training.records import push_folder\n"
        "from rrvf.errors import UserError\n"
        "try: push_folder(Path(sys.argv[1]), 'me/model')\n"
        "except UserError as error: print(error); sys.exit(2)"
    )
    environment = {**os.environ, "HF_ENDPOINT": url, "HF_TOKEN": "hf_secret", "HF_HUB_OFFLINE": "0"}
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_result_is_pushed_to_the_hub(tmp_path: Path) -> None:
    files = {"config.json": b"{}", "model.safetensors": b"weights"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with hub() as (url, kind):
        done = push(tmp_path, url)
    assert done.returncode == 0, done.stderr
    assert kind.files == files
    [created] = kind.created
    assert created.get("private") or created.get("visibility") == "private"


def test_a_hub_that_refuses_costs_a_line_and_no_result(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    with hub(refuses=True) as (url, _):
        done = push(tmp_path, url)
    assert done.returncode == 2
    assert done.stdout.startswith(f"{tmp_path} is whole, but could not be pushed to me/model: 403")
    assert len(done.stdout.splitlines()) == 1
    assert "hf_secret" not in done.stdout + done.stderr
    assert (tmp_path / "config.json").exists()


def test_a_hub_that_cannot_be_reached_costs_a_line_and_no_result(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    done = push(tmp_path, "http://127.0.0.1:9")
    assert done.returncode == 2, done.stderr
    assert done.stdout.startswith(f"{tmp_path} is whole, but could not be pushed to me/model:")


def test_a_name_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="could not be pushed to a/b/c"):
        push_folder(tmp_path, "a/b/c")
