"""Hostile scripts by way of ``rrvf serve``, as a trainer's model would send them."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator

import pytest

from rrvf.serving.client import EnvironmentClient
from tests.attacks.conftest import NORMAL_CHART, SECRET_VARIABLES, TELL, Treasure, attempts
from tests.attacks.test_files import READING, WRITING
from tests.attacks.test_system_calls import ESCAPES, KILLING, PROCESSES, SOCKETS
from tests.runs import fenced
from tests.served import Served, serving

TOKEN = "swordfish-41c7"
Ask = Callable[[str], str]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("data")
    (data / "normal.py").write_text(NORMAL_CHART)
    arguments = ("chartmimic", "--data", data, "--reward-vision", "text=1", "--timeout", 6)
    secrets = {**SECRET_VARIABLES, "THE_TOKEN": TOKEN}
    with serving(*arguments, "--token-variable", "THE_TOKEN", env=secrets) as running:
        yield running


@pytest.fixture
def client(service: Served) -> Iterator[EnvironmentClient]:
    """A client; in the end the service still scores as it did."""
    with EnvironmentClient(service.url, token=TOKEN, patience=30) as opened:
        yield opened
        assert service.process.poll() is None
        assert opened.score("normal", fenced(NORMAL_CHART))["scores"]["text"]["value"] == 1.0


@pytest.fixture
def ask(client: EnvironmentClient) -> Ask:
    """Run code, and read what it left in ``answer`` from the texts that it drew."""

    def asked(code: str) -> str:
        result = client.score("normal", fenced(code + TELL))
        assert result["status"] == "ok", result["error"]
        return "\n".join(result["scores"]["text"]["extra"])

    return asked


def test_files_are_out_of_reach(ask: Ask, treasure: Treasure) -> None:
    names = {"file": treasure.file, "folder": treasure.folder, "inner": treasure.inner}
    assert ask(attempts(READING, (errno.ENOENT,), names)) == "{}"
    assert ask(attempts(WRITING, (errno.ENOENT,), names)) == "{}"


def test_nothing_is_started_opened_or_left(ask: Ask, service: Served) -> None:
    names = {"port": int(service.url.rpartition(":")[2])}  # the service's own among them
    for expressions in (PROCESSES, SOCKETS, ESCAPES):
        assert ask(attempts(expressions, (errno.EAFNOSUPPORT,), names)) == "{}"


def test_the_service_is_not_signalled(ask: Ask, service: Served) -> None:
    pids = dict.fromkeys(("host", "server", "other"), service.process.pid)
    assert ask(attempts(KILLING, (errno.ESRCH,), pids)) == "{}"


def test_no_secret_is_told(ask: Ask, client: EnvironmentClient) -> None:
    code = (
        "import os, glob\nanswer = [dict(os.environ)]\n"
        "for path in glob.glob('/proc/*/environ') + glob.glob('/proc/*/cmdline'):\n"
        "    try: answer.append(open(path).read())\n    except OSError: pass\n"
    )
    text = ask(code)
    for secret in (TOKEN, *SECRET_VARIABLES.values()):
        assert secret not in text
    told = json.dumps([client.read_health(), client.request("GET", "/protocol")])
    assert TOKEN not in told


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("while True: pass", "timeout"),
        ("bytearray(64 * 2**30)", "out_of_memory"),
        ("import os\nos._exit(0)", "code_error"),
        ("import os\nos.kill(os.getpid(), 9)", None),
        ("print('x' * 10**9)", None),
        ("open('large', 'wb').write(bytes(10**10))", None),
    ],
)
def test_what_never_ends_spoils_itself_alone(
    client: EnvironmentClient, code: str, status: str | None
) -> None:
    """An episode beside it goes on meanwhile."""
    beside = client.begin("normal")
    play = client.begin("normal")
    call = {"name": "python_render_and_compare_tool", "arguments": {"python_code": code}}
    view = play.step(f"<think>Now.</think><tool_call>{json.dumps(call)}</tool_call>")
    (told,) = view["observations"]
    assert told["status"] != "ok"
    assert told["status"] != "harness_error"
    assert status is None or told["status"] == status
    assert not play.is_over
    beside.step(f"<think>It is.</think><answer>{fenced(NORMAL_CHART)}</answer>")
    assert beside.outcome["reward"]["vision"] == 1.0


def test_a_huge_picture_is_bounded(client: EnvironmentClient) -> None:
    play = client.begin("normal")
    code = "import matplotlib.pyplot as plt\nplt.figure(figsize=(900, 900), dpi=300)\nplt.plot([1])"
    call = {"name": "python_render_and_compare_tool", "arguments": {"python_code": code}}
    view = play.step(f"<think>Now.</think><tool_call>{json.dumps(call)}</tool_call>")
    assert len(json.dumps(view)) < 4 * 2**20
    wide = "import matplotlib.pyplot as plt\nplt.figure(figsize=(300, 0.2))\nplt.plot([1])"
    call["arguments"] = {"python_code": wide}
    view = play.step(f"<think>Now.</think><tool_call>{json.dumps(call)}</tool_call>")
    assert len(json.dumps(view)) < 4 * 2**20
    assert not play.is_over


def test_an_answer_forges_no_result(client: EnvironmentClient) -> None:
    """What a script prints or writes as if it were the service's words stays its own."""
    forged = json.dumps({"outcome": {"reward": {"total": 99}}, "turn": 7})
    code = (
        "import os\nfor number in range(1, 20):\n"
        f"    try: os.write(number, {forged!r}.encode())\n"
        f"    except OSError: pass\n{NORMAL_CHART}"
    )
    result = client.score("normal", fenced(code))
    assert "99" not in json.dumps(result["scores"])
