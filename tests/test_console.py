"""What the console says of a run that could not score everything, or that was stopped."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rrvf import cli
from rrvf.report import explain_unscored, is_unscored
from rrvf.types import SampleResult, Score
from tests.chat_server import ChatServer, Reply, Request, answer, error
from tests.episodes import call, png
from tests.runs import (
    environment,
    fenced,
    lines_of,
    plot,
    rrvf_here,
    started,
    summary_of,
    wait_for,
    wait_for_lines,
    write_data,
)

REFERENCE = plot("t") + '\nplt.savefig("t.pdf")'
LOST = "Failed to obtain answer via API."


def result(sample_id: str, **reasons: str | None) -> SampleResult:
    """A result whose scores are 1, or open for a reason."""
    scores = {
        name: Score(1.0) if reason is None else Score.unscored(reason)
        for name, reason in reasons.items()
    }
    return SampleResult(sample_id, "ok", None, 0.0, scores)


# ------------------------------------------------------------------------- the commonest reason


def test_scores_of_one_reason_share_a_line() -> None:
    results = [result("a", execution=None, text="no ink", color="no ink", gpt="no judge")] * 3
    assert list(explain_unscored(results)) == ["Text, Color 3: no ink", "GPT 3: no judge"]


def test_the_commonest_reason_is_told_where_there_are_several() -> None:
    reasons = ["HTTP 400: 9143 tokens", "no key", "HTTP 400: 8811 tokens", "HTTP 400: 9 tokens"]
    results = [result(f"s_{i}", gpt=reason) for i, reason in enumerate(reasons)]
    assert list(explain_unscored(results)) == ["GPT 4, mostly: HTTP 400: 9143 tokens"]


def test_reasons_that_differ_by_their_sample_are_one() -> None:
    results = [result(name, clip=f"scoring {name}: no page") for name in ("bar_1", "line_2")]
    assert list(explain_unscored(results)) == ["CLIP 2: scoring bar_1: no page"]


def test_a_reason_is_one_line_and_bounded() -> None:
    (line,) = explain_unscored([result("a", gpt="first\nsecond\x1b[31m " + "x" * 100_000)])
    assert line.startswith("GPT 1: first second[31m x")
    assert len(line) < 1000


def test_what_is_scored_is_not_explained() -> None:
    results = [result("a", text=None, gpt=None)]
    assert list(explain_unscored(results)) == []
    assert not is_unscored(results)
    assert not is_unscored([])
    assert not is_unscored([*results, result("b", text="x", gpt="x")])
    assert is_unscored([result("b", text="x", gpt="x")])


# ------------------------------------------------------------------------------- by the command


def options(folder: Path, **answers: str) -> list[Any]:
    """The answers as a table of VLMEvalKit, which may say that an answer was lost."""
    data = write_data(folder, dict.fromkeys(answers, REFERENCE), {})[:2]
    with (folder / "answers.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("index", "prediction"), *answers.items()])
    return ["chartmimic", *data, "--predictions", folder / "answers.csv"]


def test_where_nothing_could_be_scored_the_status_is_three(tmp_path: Path) -> None:
    data = options(tmp_path, a=LOST, b=LOST)
    done = rrvf_here("score", *data, "--out", tmp_path / "out")
    assert done.returncode == 3
    assert done.stderr == "nothing could be scored\n"
    assert f"Execution, Text, Layout, Type, Color 2: {LOST}" in done.stdout
    assert {line["status"] for line in lines_of(tmp_path / "out").values()} == {"harness_error"}
    assert summary_of(tmp_path / "out")["finished"] is True
    assert (tmp_path / "out" / "report.html").is_file()


def test_where_something_was_scored_the_status_is_zero(tmp_path: Path) -> None:
    data = options(tmp_path, a=LOST, b=fenced(plot("t")), c="no code at all")
    done = rrvf_here("score", *data, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Execution, Text, Layout, Type, Color 1: {LOST}" in done.stdout


def test_help_names_the_status() -> None:
    for command in ("score", "eval"):
        assert "status 3" in " ".join(rrvf_here(command, "--help").stdout.split())


def test_a_judge_whose_answers_cannot_be_read_is_told(tmp_path: Path) -> None:
    data = options(tmp_path, a=fenced(plot("t")))
    with ChatServer(lambda request: answer("What a lovely chart!")) as server:
        ends = ["--judge", "j", "--judge-base-url", server.url, "--out", tmp_path / "out"]
        keys = environment(RRVF_CACHE_DIR=str(tmp_path / "cache"), OPENAI_API_KEY="sk-test")
        done = rrvf_here("score", *data, *ends, env=keys)
    assert done.returncode == 0, done.stderr
    reason = lines_of(tmp_path / "out")["a"]["scores"]["gpt"]["reason"]
    assert f"GPT 1: {reason}" in done.stdout


# --------------------------------------------------------------------------- a server that plays


@contextmanager
def played(
    folder: Path, n_samples: int, reply: Callable[[int, Request], Reply]
) -> Iterator[tuple[list[Any], dict[str, str]]]:
    """``rrvf eval`` against a server that knows the number of the sample; words, environment."""

    def numbered(request: Request) -> Reply:
        with Image.open(io.BytesIO(request.pictures[0])) as picture:
            return reply(picture.convert("RGB").tobytes()[2], request)

    names = [f"s_{number}" for number in range(n_samples)]
    data = write_data(folder, dict.fromkeys(names, REFERENCE), {})[:2]
    for number, name in enumerate(names):
        (folder / "references" / f"{name}.png").write_bytes(png(f"#0000{number:02x}"))
    with ChatServer(numbered) as server:
        words = ["eval", "chartmimic", *data, "--policy", "p", "--base-url", server.url]
        words += ["--out", folder / "out", "--concurrency", n_samples]
        yield words, {"RRVF_CACHE_DIR": str(folder / "cache"), "OPENAI_API_KEY": "sk-test"}


def test_a_server_that_takes_one_picture_is_told(tmp_path: Path) -> None:
    def reply(number: int, request: Request) -> Reply:
        if len(request.pictures) > 1:
            return error(400, "At most 1 image(s) may be provided in one prompt.")
        return answer(call(plot("draft")))

    with played(tmp_path, 3, reply) as (words, keys):
        done = rrvf_here(*words, env=environment(**keys))
    assert done.returncode == 3, done.stderr
    assert "Text, Layout, Type, Color 3: " in done.stdout
    assert "At most 1 image(s) may be provided in one prompt." in done.stdout


def trajectories(out: Path) -> dict[str, str]:
    lines = (out / "trajectories.jsonl").read_text().splitlines()
    played = [json.loads(line) for line in lines]
    return {one["sample_id"]: one["stop_reason"] for one in played}


RIGHT = f"<answer>{fenced(plot('t'))}</answer>"
LOOP = call("while True: pass")


@pytest.mark.parametrize(
    ("stop", "under_way"),
    [(signal.SIGINT, "a server's answer"), (signal.SIGTERM, "a drawing")],
)
def test_episodes_that_were_not_played_are_not_written(
    tmp_path: Path, stop: signal.Signals, under_way: str
) -> None:
    """What waits for a server or a drawing ends at once, and is played by the next start."""
    never = threading.Event()
    asked: set[int] = set()
    results = tmp_path / "out" / "results.jsonl"

    def reply(number: int, request: Request) -> Reply:
        if number == 0:
            return answer(RIGHT)
        # The drawings would keep the first answer from being scored.
        assert wait_for(lambda: results.exists() and results.read_bytes().endswith(b"\n"))
        asked.add(number)
        return Reply(wait_for=never) if under_way == "a server's answer" else answer(LOOP)

    with played(tmp_path, 5, reply) as (words, keys):
        words += ["--timeout", 1000]
        process = started(*words, cwd=tmp_path, **keys)
        wait_for_lines(process, results, 1)
        assert wait_for(lambda: len(asked) == 4)
        os.killpg(process.pid, stop)
        said, complained = ended(process)
    assert process.returncode == (130 if stop == signal.SIGINT else 143)
    assert said == ""
    assert "the same command goes on" in complained
    assert "Traceback" not in complained
    assert trajectories(tmp_path / "out") == {"s_0": "answered"}
    assert {name: line["status"] for name, line in lines_of(tmp_path / "out").items()} == {
        "s_0": "ok"
    }
    assert summary_of(tmp_path / "out")["finished"] is False


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Output of a process that was told to end; killed where it does not."""
    try:
        return process.communicate(timeout=120)  # far less than what is under way takes
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def test_sigterm_ends_a_scoring_as_ctrl_c_does(tmp_path: Path) -> None:
    data = options(tmp_path, a=fenced(plot("t")), b=fenced("import time; time.sleep(600)"))
    words = ["score", *data, "--timeout", 1000, "--out", tmp_path / "out"]
    process = started(*words, cwd=tmp_path)
    wait_for_lines(process, tmp_path / "out" / "results.jsonl", 1)
    process.send_signal(signal.SIGTERM)
    _, complained = ended(process)
    assert process.returncode == 143
    assert "the same command goes on" in complained
    assert set(lines_of(tmp_path / "out")) == {"a"}
    assert summary_of(tmp_path / "out")["statuses"] == {"ok": 1}


# ------------------------------------------------------------------------------ out inside data


@pytest.fixture
def folders(tmp_path: Path) -> Mapping[str, Path]:
    write_data(tmp_path, {"a": REFERENCE}, {"a": fenced(plot("t"))})
    (tmp_path / "link").symlink_to(tmp_path / "references")
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "a.py").write_text(plot("t"))
    return {"data": tmp_path / "references", "predictions": tmp_path / "predictions.jsonl"}


@pytest.fixture
def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """What the command says, in this process, of a mistake of its user."""

    def called(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["rrvf", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert (ended.value.code, said.out, said.err.count("\n")) == (2, "", 1), said.err
        return said.err

    return called


@pytest.mark.parametrize("benchmark", ["chartmimic", "plot2code", "websight"])
@pytest.mark.parametrize(
    ("out", "part"),
    [
        ("references", "is --data"),
        ("references/run", "lies inside --data"),
        ("link", "is --data"),
        ("link/a/b", "lies inside --data"),
        ("references/../references/", "is --data"),
        (".", "lies inside --out"),
        ("..", "lies inside --out"),
    ],
)
def test_an_out_that_would_become_samples_is_refused(
    tmp_path: Path,
    folders: Mapping[str, Path],
    refused: Callable[..., str],
    benchmark: str,
    out: str,
    part: str,
) -> None:
    before = sorted(tmp_path.rglob("*"))
    for command in ("score", "eval"):
        ends = ["--policy", "p", "--base-url", "http://127.0.0.1:9/v1"]
        ends = ["--predictions", folders["predictions"]] if command == "score" else ends
        for data in (folders["data"], tmp_path / "link"):
            said = refused(command, benchmark, "--data", data, *ends, "--out", tmp_path / out)
            assert part in said
            assert "name another --out" in said
    assert sorted(tmp_path.rglob("*")) == before


def test_an_out_that_would_become_answers_is_refused(
    tmp_path: Path, folders: Mapping[str, Path], refused: Callable[..., str]
) -> None:
    words = ["score", "chartmimic", "--data", folders["data"], "--predictions"]
    said = refused(*words, tmp_path / "answers", "--out", tmp_path / "answers" / "run")
    assert "lies inside --predictions" in said
    assert "name another --out" in said


def test_an_out_beside_the_data_is_taken(tmp_path: Path, folders: Mapping[str, Path]) -> None:
    words = ["score", "chartmimic", "--data", folders["data"], "--predictions"]
    done = rrvf_here(*words, tmp_path / "answers", "--out", tmp_path / "references-run")
    assert done.returncode == 0, done.stderr
