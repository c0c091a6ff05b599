"""Commands on the pages that need no GPU, key, cluster or network are run, on the demo's data."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.chat_server import ChatServer, Request, answer
from tests.runs import environment, fenced, plot, rrvf_here
from tests.shown_commands import PROJECT, Command, find_shown_commands

DEMO = PROJECT / "rrvf" / "demo_data"
ELSEWHERE = (
    *("gpt-4o", "--executor", "serve", "reproduce", "setup-browser", "demo"),
    *(".venv-charts-published", "seccomp"),
)
"""What needs a key, a cluster, GPUs, a download; or is run by a test of its own."""

PAGES = ("data", "evaluate", "judges", "loop", "report", "runs", "reproduce", "troubleshooting")
DATA = {"chartmimic": "charts", "plot2code": "plots", "websight": "pages", "pictures": "pictures"}


def is_run(command: Command) -> bool:
    """Whether a command can be run here."""
    words = command.words
    own = any(":" in word and "//" not in word for word in words)  # a part of one's own
    by_name = any(
        name == "--data" and value in ("websight", "design2code")  # fetched from the hub
        for name, value in itertools.pairwise(words)
    )
    elsewhere = [part for part in ELSEWHERE if any(part in word for word in words)]
    return words[0] == "rrvf" and not (own or by_name or elsewhere)


COMMANDS = [
    command
    for page in PAGES
    for command in find_shown_commands(PROJECT / "docs" / f"{page}.md")
    if is_run(command)
]


def reply(request: Request) -> object:
    """A judge's figure, a teacher's comment or a policy's answer, as it is asked."""
    if "100" in request.text and len(request.pictures) == 2:
        return answer("90/100")
    return answer(f"<answer>{fenced(plot('mine'))}</answer>")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder with everything that the pages call by a word in capitals, and a server."""
    folder = tmp_path_factory.mktemp("pages")
    for name in ("bar_1", "pie_1"):
        for place in ("charts", "charts/v2/direct_600"):
            (folder / place).mkdir(parents=True, exist_ok=True)
            shutil.copy(DEMO / "charts" / "references" / f"{name}.py", folder / place)
    shutil.copytree(DEMO / "plots" / "references", folder / "plots")
    shutil.copytree(DEMO / "pages" / "references", folder / "pages")
    for kind in ("plots", "pages"):
        shutil.copy(DEMO / kind / "predictions.jsonl", folder / f"{kind}.jsonl")
    lines = (DEMO / "charts" / "predictions.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["id"] in ("bar_1", "pie_1")]
    (folder / "charts.jsonl").write_text("".join(kept))
    (folder / "pictures.jsonl").write_text(kept[0].replace("bar_1", "pie_1.png"))
    shutil.copytree(PROJECT / "results", folder / "results")
    data = ("chartmimic", "--data", "charts", "--predictions", "charts.jsonl")
    done = rrvf_here("score", *data, "--out", "RUN", cwd=folder)
    assert done.returncode == 0, done.stderr
    for name in ("RUN-2", "PLAYED", "JUDGED"):
        shutil.copytree(folder / "RUN", folder / name)
    done = rrvf_here(
        "render", "chart", "charts/pie_1.py", "--out", "pictures/pie_1.png", cwd=folder
    )
    assert (folder / "pictures" / "pie_1.png").exists(), done.stderr
    with ChatServer(reply) as server:
        yield folder, server.url


NUMBERS = itertools.count()


def fill(command: Command, url: str) -> list[str]:
    """The words of a command with what the words in capitals stand for."""
    kind = DATA.get(command.words[2] if len(command.words) > 2 else "", "charts")
    values: Mapping[str, str] = {
        "DATASET": kind,
        "DATASET/v2": "charts/v2",
        "PAGES": "pages",
        "FOLDER": "pictures",
        "ANSWERS.jsonl": f"{kind}.jsonl",
        "ANSWERS": f"{kind}.jsonl",
        "MODEL": "likeness" if "--judge" in command.words else "model",
        "http://localhost:8000/v1": url,
        "http://localhost:8001/v1": url,
    }
    words = [values.get(word, word) for word in command.words[1:]]
    if "--out" in words:
        place = words.index("--out") + 1
        words[place] = f"made-{next(NUMBERS)}{Path(words[place]).suffix}"
    return words


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_of_a_page_ends_well(
    command: Command, workplace: tuple[Path, str], request: pytest.FixtureRequest
) -> None:
    if "websight" in command.words:
        request.getfixturevalue("web_browser")
    folder, url = workplace
    words = fill(command, url)
    done = rrvf_here(*words, cwd=folder, env=environment(OPENAI_API_KEY="none"))
    may_find_faults = words == ["doctor"]  # it judges the machine
    assert done.returncode == 0 or may_find_faults, done.stderr
    assert done.stdout or "--out" in words


def test_what_is_run_is_most_of_what_is_shown() -> None:
    kinds = {command.words[1] for command in COMMANDS}
    assert {"score", "eval", "rescore", "submit", "report", "tables", "doctor"} <= kinds
    assert len(COMMANDS) >= 20
