"""Behind a certificate authority of one's own: what fetches anything takes ``SSL_CERT_FILE``."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rrvf.chat.faults import Endpoint
from rrvf.chat.wire import Wire
from rrvf.errors import SetupError
from rrvf.renderers import browser_setup, web_assets
from rrvf.serving.client import EnvironmentClient
from tests.runs import environment

NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n"
AUTHORITY = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign")
HUB = """
import sys
from huggingface_hub.utils import get_session
print(get_session().get(sys.argv[1]).json())
"""


class Answering(BaseHTTPRequestHandler):
    """The same JSON to everything."""

    def do_GET(self) -> None:
        body = b'{"samples": []}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class Quiet(ThreadingHTTPServer):
    """A client that refuses the certificate is what some tests want."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``ca.pem``, and ``server.pem`` with ``server.key`` that it vouches for."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("authority")

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "rsa:2048", "-nodes")
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=A", *AUTHORITY)
    run("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text(NAMES)
    signed_by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
    run("x509", "-req", "-in", "server.csr", *signed_by, "-out", "server.pem")
    return folder


@pytest.fixture(scope="module")
def address(authority: Path) -> Iterator[str]:
    """Of a server that shows a certificate of this authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    with Quiet(("127.0.0.1", 0), Answering) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://localhost:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=[True, False], ids=["named", "not named"])
def is_trusted(
    request: pytest.FixtureRequest, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> bool:
    """Whether ``SSL_CERT_FILE`` names the authority."""
    if request.param:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    else:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    return request.param


def ask_model(address: str) -> None:
    wire = Wire(Endpoint(f"{address}/v1", "m", "K", None))
    try:
        assert wire.get("/models", 10).status == 200
    finally:
        wire.close()


def ask_service(address: str) -> None:
    with EnvironmentClient(address, patience=0.1) as client:
        client._http.get("/samples").raise_for_status()  # pyright: ignore[reportPrivateUsage]


def ask_hub(address: str) -> None:
    command = [sys.executable, "-c", HUB, address]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "{'samples': []}\n"), done.stderr


@pytest.mark.parametrize("ask", [ask_model, ask_service, ask_hub])
def test_a_client_trusts_the_authority_that_is_named(
    address: str, is_trusted: bool, ask: Callable[[str], None]
) -> None:
    if is_trusted:
        ask(address)
        return
    with pytest.raises(Exception, match=r"CERTIFICATE_VERIFY_FAILED"):
        ask(address)


def test_the_stylesheet_is_fetched_from_such_a_registry(
    address: str, is_trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", address)
    monkeypatch.setenv("RRVF_DATA_DIR", str(tmp_path))
    reason = "its hash differs" if is_trusted else "CERTIFICATE_VERIFY_FAILED"
    with pytest.raises(SetupError, match=reason):
        web_assets.install_tailwind()


@pytest.mark.parametrize("own", [None, "/own.pem"])
def test_playwrights_download_is_told_by_nodes_variable(
    monkeypatch: pytest.MonkeyPatch, own: str | None
) -> None:
    told: list[dict[str, str]] = []

    def noted(*_: object, env: dict[str, str], **__: object) -> Any:
        told.append(env)
        return subprocess.CompletedProcess([], 1)

    def find_none(*_: object) -> Path:
        raise SetupError("none")

    monkeypatch.setattr(browser_setup.subprocess, "run", noted)
    monkeypatch.setattr(browser_setup, "find_browser", find_none)
    monkeypatch.setattr(browser_setup, "_may_install", lambda: False)
    monkeypatch.setenv("SSL_CERT_FILE", "/ca.pem")
    monkeypatch.delenv("NODE_EXTRA_CA_CERTS", raising=False)
    if own is not None:
        monkeypatch.setenv("NODE_EXTRA_CA_CERTS", own)
    with pytest.raises(SetupError, match="Chromium could not be installed"):
        list(browser_setup.set_up())
    assert [env["NODE_EXTRA_CA_CERTS"] for env in told] == [own or "/ca.pem"]
