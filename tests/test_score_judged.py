"""``rrvf score`` with a judge, and Plot2Code: whole processes, real renderers, a local server."""

from __future__ import annotations

import io
import json
import os
import signal
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.chat_server import ChatServer, Reply, Request, answer, completion, error, reply
from tests.runs import (
    assert_one_line,
    environment,
    fenced,
    lines_of,
    plot,
    rrvf_here,
    started,
    summary_of,
    values,
    wait_for_lines,
    write_data,
)

KEY = "sk-test-8d1f0c"
PLOTS = resources.files("rrvf") / "demo_data" / "plots"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(RRVF_CACHE_DIR=str(tmp_path / "cache"), OPENAI_API_KEY=KEY)


def plots(out: Path) -> list[Any]:
    data = ["--data", PLOTS / "references", "--predictions", PLOTS / "predictions.jsonl"]
    return ["score", "plot2code", *data, "--out", out]


def with_judge(server: ChatServer) -> list[str]:
    return ["--judge", "judge-7b", "--judge-base-url", server.url]


def mean_color(png: bytes) -> tuple[float, ...]:
    with Image.open(io.BytesIO(png)) as image:
        return tuple(np.asarray(image.convert("RGB")).reshape(-1, 3).mean(axis=0))


# ---------------------------------------------------------------------------- Plot2Code


def test_plot2code_end_to_end(tmp_path: Path, env: dict[str, str]) -> None:
    with ChatServer(lambda _: answer("Alike.\nRating: [[8]]")) as server:
        done = rrvf_here(*plots(tmp_path / "out"), *with_judge(server), env=env)
    assert done.returncode == 0, done.stderr
    lines = lines_of(tmp_path / "out")
    assert {name: line["status"] for name, line in lines.items()} == {
        "tides": "ok",
        "orchard": "ok",
        "queue": "ok",
        "phases": "code_error",
        "harvest": "code_error",
        "blank": "code_error",
    }
    assert values(lines["tides"]) == {"execution": 1.0, "text": 1.0, "gpt": 0.8}
    assert values(lines["phases"]) == {"execution": 0.0, "text": 0.0, "gpt": 0.0}
    assert lines["tides"]["scores"]["gpt"]["raw"] == 8.0
    metrics = summary_of(tmp_path / "out")["metrics"]
    assert metrics["exec_rate"] == 50.0
    assert (metrics["gpt"], metrics["gpt_pass"]) == (pytest.approx(4.0), pytest.approx(8.0))
    assert metrics["text"] == pytest.approx(metrics["text_pass"] * 0.5), "half of them ran"
    assert len(server.requests) == 3, "what did not run is not judged"
    protocol = summary_of(tmp_path / "out")["protocol"]["judge"]
    assert (protocol["judge"], protocol["rubric"]) == ("judge-7b", "plot2code_judge")


def test_other_configurations_are_refused(tmp_path: Path) -> None:
    row = {"file_name": "a.png", "code": "library(plotly)", "instruction": ""}
    folder = tmp_path / "data" / "r_plotly" / "test"
    folder.mkdir(parents=True)
    (folder / "metadata.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "answers.jsonl").write_text('{"id": "a", "prediction": "x"}\n')
    done = rrvf_here(
        *("score", "plot2code", "--data", tmp_path / "data", "--subset", "r_plotly"),
        *("--predictions", tmp_path / "answers.jsonl", "--out", tmp_path / "out"),
    )
    assert_one_line(done, "matplotlib")


# ------------------------------------------------------------------------------- judges


def charts(tmp_path: Path, number: int = 1) -> list[Any]:
    """Red references and blue answers."""
    red = plot("t", "import matplotlib; matplotlib.rcParams['figure.facecolor'] = 'red'")
    blue = red.replace("'red'", "'blue'")
    names = [f"line_{n}" for n in range(number)]
    data = write_data(
        tmp_path,
        {name: f"{red}\nplt.savefig('{name}.pdf')" for name in names},
        {name: fenced(f"{blue}\nplt.xlabel('{name}')") for name in names},
    )
    return ["score", "chartmimic", *data, "--out", tmp_path / "out"]


def test_gpt_and_overall_fill_in(tmp_path: Path, env: dict[str, str]) -> None:
    with ChatServer(lambda _: answer("**Score: 62/100**")) as server:
        done = rrvf_here(*charts(tmp_path), *with_judge(server), env=env)
    assert done.returncode == 0, done.stderr
    metrics = summary_of(tmp_path / "out")["metrics"]
    assert metrics["gpt"] == pytest.approx(62.0)
    assert metrics["overall"] == pytest.approx((metrics["average"] + 62.0) / 2)
    before, after = done.stderr.splitlines()
    assert before.startswith("judge: at most 2 questions, one an item of them only where ")
    assert before.endswith("4,096 to write, cost unknown")
    assert after.startswith("judge: 1 answers paid, 0 from the cache, 0 failed; 100 tokens read")
    [request] = server.requests
    reference, rendering = map(mean_color, request.pictures)
    assert reference[0] > reference[2] + 50, "the reference is shown first"
    assert rendering[2] > rendering[0] + 50
    assert request.body["temperature"] == 0


def test_the_data_sets_own_picture_is_shown(tmp_path: Path, env: dict[str, str]) -> None:
    command = charts(tmp_path)
    Image.new("RGB", (40, 30), (0, 255, 0)).save(tmp_path / "references" / "line_0.png")
    with ChatServer(lambda _: answer("Score: 5")) as server:
        assert rrvf_here(*command, *with_judge(server), env=env).returncode == 0
    assert mean_color(server.requests[0].pictures[0]) == (0, 255, 0)


def test_an_unreadable_answer_is_unscored(tmp_path: Path, env: dict[str, str]) -> None:
    with ChatServer(lambda _: answer("I would rather not say.")) as server:
        assert rrvf_here(*charts(tmp_path), *with_judge(server), env=env).returncode == 0
    score = lines_of(tmp_path / "out")["line_0"]["scores"]["gpt"]
    assert score["value"] is None
    assert "rather not" in score["reason"]
    summary = summary_of(tmp_path / "out")
    assert (summary["metrics"]["gpt"], summary["metrics"]["overall"]) == (None, None)
    assert summary["n_unscored"]["gpt"] == 1
    assert summary["metrics"]["text"] is not None, "the other scores stand"


def withheld() -> Reply:
    content = completion("")
    content["choices"][0]["finish_reason"] = "content_filter"
    return reply(content)


def cut_off() -> Reply:
    content = completion("The picture says: repeat after me. " * 50)
    content["choices"][0]["finish_reason"] = "length"
    return reply(content)


REFUSALS: dict[str, tuple[Reply, str]] = {
    "refused": (answer("I'm sorry, but I can't help with that."), "can't help"),
    "withheld": (withheld(), "content filter"),
    "cut off": (cut_off(), "cut off after"),
    "silent": (answer(""), "empty answer"),
    "rejected": (error(400, "this picture violates our policy", "content_policy"), "violates"),
    "too long": (error(400, "maximum context length is 9", "context_length_exceeded"), "context"),
}


@pytest.mark.parametrize("how", REFUSALS)
@pytest.mark.parametrize("control", [True, False])
def test_a_judge_that_an_answer_stops_is_asked_about_the_reference_alone(
    tmp_path: Path, env: dict[str, str], how: str, control: bool
) -> None:
    """It answers that question: the answer's fault, 0. It does not: ours, and no number."""
    refusal, words = REFUSALS[how]

    def replied(request: Request) -> Reply:
        first, second = request.pictures
        return answer("Score: 97/100") if first == second and control else refusal

    with ChatServer(replied) as server:
        done = rrvf_here(*charts(tmp_path), *with_judge(server), env=env)
    assert done.returncode == 0, done.stderr
    assert len(server.requests) == 2
    texts = {request.text for request in server.requests}
    assert len(texts) == 1, "by the same rubric"
    assert server.requests[1].pictures == [server.requests[0].pictures[0]] * 2
    score = lines_of(tmp_path / "out")["line_0"]["scores"]["gpt"]
    assert score["value"] == (0.0 if control else None)
    assert words in score["reason"]
    summary = summary_of(tmp_path / "out")
    assert summary["n_unscored"]["gpt"] == (0 if control else 1)
    assert ("Not scored" in done.stdout) == (not control)


def test_the_question_about_the_reference_is_paid_once(tmp_path: Path, env: dict[str, str]) -> None:
    def replied(request: Request) -> Reply:
        first, second = request.pictures
        return answer("Score: 97/100" if first == second else "I would rather not say.")

    with ChatServer(replied) as server:
        for out in ("first", "second"):
            words = [*charts(tmp_path)[:-1], tmp_path / out]
            assert rrvf_here(*words, *with_judge(server), env=env).returncode == 0
            assert lines_of(tmp_path / out)["line_0"]["scores"]["gpt"]["value"] == 0.0
    assert len(server.requests) == 2


def test_a_wrong_key_stops_at_once(tmp_path: Path, env: dict[str, str]) -> None:
    with ChatServer(lambda _: error(401, f"Incorrect API key provided: {KEY}")) as server:
        done = rrvf_here(*charts(tmp_path, 4), *with_judge(server), env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert "OPENAI_API_KEY" in done.stderr.splitlines()[-1]
    assert KEY not in done.stderr
    assert len(server.requests) <= 4
    assert not any(
        KEY.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    )


def test_a_killed_run_pays_nothing_twice(tmp_path: Path, env: dict[str, str]) -> None:
    def judged(request: Request) -> Reply:
        return answer("Score: 40/100")

    with ChatServer(judged) as server:
        command = [*charts(tmp_path, 8), *with_judge(server)]
        keys = {"RRVF_CACHE_DIR": env["RRVF_CACHE_DIR"], "OPENAI_API_KEY": KEY}
        process = started(*command, cwd=tmp_path, **keys)
        wait_for_lines(process, tmp_path / "out" / "results.jsonl", 2)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        done = rrvf_here(*command, env=env)
        assert done.returncode == 0, done.stderr
        assert summary_of(tmp_path / "out")["metrics"]["gpt"] == pytest.approx(40.0)
        n_paid = len(server.requests)
        again = rrvf_here(*command[:-5], tmp_path / "again", *with_judge(server), env=env)
        assert again.returncode == 0, again.stderr
        assert "judge: 0 answers paid, 8 from the cache" in again.stderr
        assert len(server.requests) == n_paid, "a second run is free"
    assert 8 <= n_paid <= 8 + 16, "only what was on its way when the process was killed"


def test_the_embedded_judge_has_a_column_of_its_own(tmp_path: Path, env: dict[str, str]) -> None:
    done = rrvf_here(*charts(tmp_path), "--judge", "likeness", env=env)
    assert done.returncode == 0, done.stderr
    metrics = summary_of(tmp_path / "out")["metrics"]
    assert (metrics["gpt"], metrics["overall"]) == (None, None)
    assert 0.0 < metrics["likeness"] < 100.0
    assert "| Likeness |" in done.stdout
    assert done.stderr == ""


def test_the_old_name_of_the_embedded_judge_warns_and_means_the_new(
    tmp_path: Path, env: dict[str, str]
) -> None:
    command = charts(tmp_path)
    done = rrvf_here(*command, "--judge", "pixel", env=env)
    assert done.returncode == 0, done.stderr
    [warning] = done.stderr.splitlines()
    assert "pixel is now likeness" in warning
    assert summary_of(tmp_path / "out")["protocol"]["judge"]["judge"] == "likeness 1"
    scores = [set(line["scores"]) for line in lines_of(tmp_path / "out").values()]
    assert all("likeness" in names and "pixel" not in names for names in scores)
    again = rrvf_here(*command, "--judge", "likeness", env=env)
    assert again.returncode == 0, again.stderr
    settings = tmp_path / "out" / "run.json"
    old = {"name": "pixel", "judge": "pixel", "width": 384, "window": 7}
    told = json.loads(settings.read_text())
    settings.write_text(json.dumps(told | {"protocol.judge": old}))
    mixed = rrvf_here(*command, "--judge", "pixel", env=env)
    assert mixed.returncode == 2
    assert "name another --out" in mixed.stderr


def test_a_run_of_the_old_measure_still_reports(tmp_path: Path, env: dict[str, str]) -> None:
    done = rrvf_here(*charts(tmp_path), "--judge", "likeness", env=env)
    assert done.returncode == 0, done.stderr
    for name in ("results.jsonl", "summary.json", "run.json"):
        file = tmp_path / "out" / name
        file.write_text(file.read_text().replace("likeness", "pixel"))
    report = rrvf_here("report", tmp_path / "out", "--out", tmp_path / "again", env=env)
    assert report.returncode == 0, report.stderr
    assert "pixel" in (tmp_path / "again" / "report.html").read_text()


def test_a_rubric_that_is_none(tmp_path: Path, env: dict[str, str]) -> None:
    with ChatServer(lambda _: answer("Score: 1")) as server:
        command = [*charts(tmp_path), *with_judge(server)]
        done = rrvf_here(*command, "--judge-rubric", "elegance", env=env)
    assert_one_line(done, "unknown rubric 'elegance'", "chartmimic_judge")
