"""The command line as a user meets it: real runs of small data, its contract, and every mistake."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

import rrvf as package
from rrvf import cli, options
from rrvf.errors import UserError
from rrvf.kinds.page import NO_TAILWIND
from rrvf.types import STATUSES
from tests.runs import (
    FakeRenderer,
    assert_one_line,
    environment,
    fenced,
    lines_of,
    plot,
    rrvf,
    rrvf_here,
    summary_of,
    values,
    write_data,
)

SECRET = "secret-xyz-12345"
LOW_LEVEL = ("text", "layout", "type", "color")
ALL = ("execution", *LOW_LEVEL)
ONE: dict[str, float | None] = dict.fromkeys(ALL, 1.0)
ZERO: dict[str, float | None] = dict.fromkeys(ALL, 0.0)
SAVE = '\nplt.savefig("t.pdf")'
HEAVY = {"numpy", "matplotlib", "pandas", "scipy", "torch", "openpyxl", "playwright", "vlmeval"}

REFERENCES = {
    "bar_1": """
import matplotlib.pyplot as plt
plt.bar(["a", "b"], [1, 2], color=["red", "blue"])
plt.title("Bars")
plt.ylabel("Units")
""",
    "line_1": """
import matplotlib.pyplot as plt
plt.plot([1, 2, 3], color="red")
plt.title("Sales")
plt.xlabel("Year")
plt.ylabel("Units")
""",
    "graph_1": plot("Graph"),
    "silent_1": "import matplotlib.pyplot as plt\nplt.plot([1, 2])",
    "broken_1": plot("Broken", "open('/nonexistent/data.csv')"),
    "crash_1": plot("Crash"),
    "loop_1": plot("Loop"),
    "prose_1": plot("Prose"),
    "missing_1": plot("Missing"),
}
LINE_ANSWER = """
import os
import matplotlib.pyplot as plt
plt.plot([1, 2, 3], color="red")
plt.plot([3, 2, 1], color="blue")
plt.title("Sales")
plt.xlabel("Year")
plt.ylabel(repr(dict(os.environ)).replace("$", ""))
"""
"""Two of three texts, two lines for one, and whatever keys the environment may hold."""
ANSWERS = {
    "bar_1": fenced(REFERENCES["bar_1"]),
    "line_1": fenced(LINE_ANSWER),
    "graph_1": fenced(REFERENCES["graph_1"]),
    "silent_1": fenced(REFERENCES["silent_1"]),
    "broken_1": fenced(plot("Broken")),
    "crash_1": fenced("import matplotlib.pyplot as plt\nplt.plot(undefined)\nplt.title('Crash')"),
    "loop_1": fenced("while True: pass"),
    "prose_1": "I cannot draw this.",
}
# By hand: 2 of 3 texts on both sides; 1 line of 1 found among 2; 1 colour of 1 among 2.
LINE_SCORES: dict[str, float | None] = {
    "execution": 1.0,
    "text": 2 / 3,
    "layout": 1.0,
    "type": 2 / 3,
    "color": 2 / 3,
}
OFFICIAL: dict[str, dict[str, float | None]] = {
    "bar_1": ONE,
    "line_1": LINE_SCORES,
    "graph_1": {**ONE, "layout": 0.0},
    "silent_1": {**ONE, "text": 0.0},
    "broken_1": {"execution": 1.0, **dict.fromkeys(LOW_LEVEL, None)},
    "crash_1": ZERO,
    "loop_1": ZERO,
    "prose_1": ZERO,
    "missing_1": ZERO,
}
FIXED = {**OFFICIAL, "graph_1": ONE, "silent_1": ONE}
STATUS = {
    **dict.fromkeys(("bar_1", "line_1", "graph_1", "silent_1", "broken_1"), "ok"),
    "crash_1": "code_error",
    "loop_1": "timeout",
    "prose_1": "no_code",
    "missing_1": "no_code",
}


@dataclass(frozen=True)
class Run:
    """A finished run of the command."""

    options: list[Any]
    done: subprocess.CompletedProcess[str]
    out: Path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    references = {name: code + SAVE for name, code in REFERENCES.items()}
    options = write_data(tmp_path_factory.mktemp("data"), references, ANSWERS)
    return ["score", "chartmimic", *options, "--timeout", 3]


@pytest.fixture(scope="module")
def official(data: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("official") / "run"
    keys = {"OPENAI_API_KEY": SECRET, "HF_TOKEN": SECRET, "SOME_PASSWORD": SECRET}
    done = rrvf(*data, "--out", out, env=environment(**keys))
    assert done.returncode == 0, done.stderr
    return Run(data, done, out)


@pytest.fixture(scope="module")
def fixed(data: list[Any], official: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same with the bugs mended, by the module and one worker."""
    out = tmp_path_factory.mktemp("fixed")
    command = [sys.executable, "-m", "rrvf", *map(str, data), "--out", str(out)]
    done = subprocess.run(
        [*command, "--mode", "fixed", "--workers", "1"],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    return Run(data, done, out)


# ------------------------------------------------------------------------- results.jsonl


@pytest.mark.parametrize("name", REFERENCES)
def test_official_scores_are_those_counted_by_hand(official: Run, name: str) -> None:
    line = lines_of(official.out)[name]
    assert line["status"] == STATUS[name]
    assert values(line) == pytest.approx(OFFICIAL[name])


@pytest.mark.parametrize("name", REFERENCES)
def test_fixed_scores_are_those_counted_by_hand(fixed: Run, name: str) -> None:
    line = lines_of(fixed.out)[name]
    assert line["status"] == STATUS[name]
    assert values(line) == pytest.approx(FIXED[name])


@pytest.mark.parametrize("name", REFERENCES)
def test_a_line_says_where_the_other_mode_differs(official: Run, fixed: Run, name: str) -> None:
    differing = {k for k in ALL if OFFICIAL[name][k] != FIXED[name][k]}
    in_official, in_fixed = lines_of(official.out)[name], lines_of(fixed.out)[name]
    assert in_official["other_mode"] == {key: FIXED[name][key] for key in differing}
    assert in_fixed["other_mode"] == {key: OFFICIAL[name][key] for key in differing}


def test_every_line_keeps_the_contract(official: Run) -> None:
    lines = lines_of(official.out)
    assert set(lines) == set(REFERENCES)
    for name, line in lines.items():
        assert line["status"] in STATUSES
        assert line["seconds"] >= 0
        assert (line["error"] is None) == (STATUS[name] == "ok" and name != "broken_1")
        assert list(line["scores"]) == list(ALL)
        for score in line["scores"].values():
            assert score["value"] is None or 0 <= score["value"] <= 1


def test_precision_recall_and_f1_stand_beside_a_value(official: Run) -> None:
    scores = lines_of(official.out)["line_1"]["scores"]
    for name, (precision, recall) in {"text": (2 / 3, 2 / 3), "type": (0.5, 1.0)}.items():
        assert scores[name]["precision"] == pytest.approx(precision)
        assert scores[name]["recall"] == pytest.approx(recall)
        assert scores[name]["f1"] == scores[name]["value"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", ["crash_1", "loop_1", "prose_1", "missing_1"])
def test_a_failure_of_the_model_has_an_f1_of_zero(official: Run, name: str) -> None:
    for score in lines_of(official.out)[name]["scores"].values():
        assert score["value"] == score["f1"] == 0.0


def test_errors_say_what_happened(official: Run) -> None:
    lines = lines_of(official.out)
    assert "undefined" in lines["crash_1"]["error"]
    assert "3 s of CPU time" in lines["loop_1"]["error"]
    assert "no ```python block" in lines["prose_1"]["error"]
    assert lines["missing_1"]["error"] == "no answer"
    assert lines["broken_1"]["error"].startswith("the reference broken_1 cannot be drawn: ")
    assert all("\n" not in (line["error"] or "") for line in lines.values())


def test_pictures_are_there_by_their_content(official: Run) -> None:
    lines = lines_of(official.out)
    named = {name for line in lines.values() for name in line["pictures"].values()}
    stored = {path.name: path.read_bytes() for path in (official.out / "renderings").iterdir()}
    assert set(stored) == named
    for name, content in stored.items():
        assert content.startswith(b"\x89PNG")
        assert hashlib.sha256(content).hexdigest().startswith(name.removesuffix(".png"))
    assert set(lines["bar_1"]["pictures"]) == {"reference", "rendering"}
    assert lines["bar_1"]["pictures"]["reference"] == lines["bar_1"]["pictures"]["rendering"]
    assert set(lines["prose_1"]["pictures"]) == {"reference"}


# -------------------------------------------------------------------------- summary.json


def mean_of(expected: dict[str, dict[str, float | None]], name: str) -> float:
    scored = [scores[name] for scores in expected.values()]
    known = [value for value in scored if value is not None]
    return 100 * sum(known) / len(known)


@pytest.mark.parametrize("mode", ["official", "fixed"])
def test_the_summary_is_the_mean_over_scored_items(official: Run, fixed: Run, mode: str) -> None:
    run, expected = {"official": (official, OFFICIAL), "fixed": (fixed, FIXED)}[mode]
    summary = summary_of(run.out)
    assert (summary["benchmark"], summary["n_samples"]) == ("chartmimic", 9)
    assert summary["finished"] is True
    assert summary["statuses"] == {"ok": 5, "code_error": 1, "timeout": 1, "no_code": 2}
    assert summary["n_unscored"] == {"execution": 0, **dict.fromkeys(LOW_LEVEL, 1)}
    means = {name: mean_of(expected, name) for name in ALL}
    metrics = summary["metrics"]
    assert metrics["exec_rate"] == pytest.approx(means["execution"]) == pytest.approx(500 / 9)
    for name in LOW_LEVEL:
        assert metrics[name] == pytest.approx(means[name])
    assert metrics["average"] == pytest.approx(sum(means[name] for name in LOW_LEVEL) / 4)
    assert metrics["gpt"] is metrics["overall"] is None
    assert summary["protocol"]["mode"] == mode


def test_the_summary_says_what_the_scores_depend_on(official: Run, fixed: Run) -> None:
    summary, other = summary_of(official.out), summary_of(fixed.out)
    said = summary["environment"]
    assert said["confinement"] in ("namespaces", "landlock", "seccomp", "rlimits")
    assert {"matplotlib", "numpy", "pandas", "networkx"} <= set(said["chart_versions"])
    assert said["host_versions"]["rrvf"] == package.__version__
    assert said["fonts"]["count"] > 0
    assert said["fonts"]["hash"]
    assert re.fullmatch(r"[0-9a-f]{16}", summary["protocol"]["hash"])
    assert summary["protocol"]["hash"] != other["protocol"]["hash"]
    assert said == other["environment"]


# ----------------------------------------------------------------------- stdout and stderr


def test_stdout_holds_the_table_and_the_report(official: Run) -> None:
    lines = official.done.stdout.splitlines()
    assert "Exec rate" in lines[0]
    assert "55.56" in lines[2]
    assert lines[-1] == f"report: {official.out / 'report.html'}"
    status, unscored, reason = [line for line in lines[3:-1] if line]
    assert status == (
        "ChartMimic · 9 samples (ok 5, no_code 2, code_error 1, timeout 1) · mode official"
    )
    assert unscored == "Not scored and left out of the means: Text 1, Layout 1, Type 1, Color 1"
    assert reason.startswith("1 reference cannot be drawn")
    assert "data.csv" in reason
    assert (official.out / "report.html").read_text().startswith("<!")


def test_stderr_names_samples_without_a_prediction(official: Run) -> None:
    assert official.done.stderr == (
        "no prediction for 1 of 9 samples, counted as no_code: missing_1\n"
    )


def test_the_module_is_the_command(official: Run, fixed: Run) -> None:
    assert fixed.done.stderr == official.done.stderr
    assert fixed.done.stdout.splitlines()[0] == official.done.stdout.splitlines()[0]
    assert f"report: {fixed.out / 'report.html'}" in fixed.done.stdout


def test_keys_get_into_no_file(official: Run, own_cache: Path) -> None:
    axis_label = lines_of(official.out)["line_1"]["scores"]["text"]
    assert "PYTHONHASHSEED" in json.dumps(axis_label), "the script did print its environment"
    files = [path for path in (*official.out.rglob("*"), *own_cache.rglob("*")) if path.is_file()]
    assert len(files) > 10
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    assert SECRET not in official.done.stdout + official.done.stderr


# ---------------------------------------------------------------------------- going on


def test_another_mode_is_refused(official: Run) -> None:
    before = (official.out / "results.jsonl").read_bytes()
    done = rrvf_here(*official.options, "--out", official.out, "--mode", "fixed")
    assert (done.returncode, done.stdout) == (2, "")
    # The first line tells of missing predictions, as ever.
    [_, line, differing] = done.stderr.splitlines()
    assert line == f"rrvf: {official.out}: holds a run with other settings; name another --out"
    assert differing == "  mode: 'official' there, 'fixed' now"
    assert (official.out / "results.jsonl").read_bytes() == before


def test_a_report_of_two_runs(official: Run, fixed: Run, tmp_path: Path) -> None:
    done = rrvf_here("report", official.out, fixed.out, "--out", tmp_path / "both")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == str(tmp_path / "both" / "report.html")
    assert (tmp_path / "both" / "report.html").exists()


# ------------------------------------------------------------------------------ mistakes


@pytest.fixture
def small(tmp_path: Path) -> list[Any]:
    """Options of a run of two samples."""
    answers = {"a_1": fenced("ok a"), "b_1": fenced("ok b")}
    options = write_data(tmp_path, {"a_1": "ok a", "b_1": "ok b"}, answers)
    return ["score", "chartmimic", *options, "--out", tmp_path / "out"]


def test_an_unknown_benchmark(tmp_path: Path) -> None:
    options = ["--data", "x", "--predictions", "y", "--out", tmp_path / "out"]
    assert_one_line(rrvf("score", "chartmimc", *options), "'chartmimc'", "Did you mean chartmimic?")


@pytest.mark.parametrize("python", ["/nonexistent/python", "/dev/null", "/bin/true"])
def test_a_chart_python_that_is_none(small: list[Any], python: str) -> None:
    assert_one_line(rrvf_here(*small, "--chart-python", python), python)


def test_a_chart_python_that_may_not_be_executed(tmp_path: Path, small: list[Any]) -> None:
    (tmp_path / "python").write_text("")
    assert_one_line(
        rrvf_here(*small, "--chart-python", tmp_path / "python"), str(tmp_path / "python")
    )


def test_confinement_that_is_none(small: list[Any]) -> None:
    done = rrvf_here(*small, env=environment(RRVF_CONFINEMENT="tight"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "RRVF_CONFINEMENT" in done.stderr
    assert "landlock" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_of_no_run(tmp_path: Path) -> None:
    assert_one_line(rrvf_here("report", tmp_path / "nowhere"), "no such run folder", "--out folder")
    assert_one_line(rrvf_here("report", tmp_path), "neither summary.json nor results.jsonl")


# -------------------------------------------------- quick checks, with a renderer without process


@dataclass(frozen=True)
class Said:
    """What a call of the command in this process came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """The command in this process, drawing by lookup."""
    for user in ("rrvf.kinds.chart", "rrvf.renderers.single"):
        monkeypatch.setattr(f"{user}.ChartRenderer", FakeRenderer)

    def called(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["rrvf", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return called


def test_data_that_is_not_there(call: Any, small: list[Any], tmp_path: Path) -> None:
    said = call(*small, "--data", tmp_path / "nowhere")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said.err
    assert said.err.startswith(f"rrvf: {tmp_path / 'nowhere'}: no such folder")


@pytest.mark.parametrize(
    ("predictions", "part"),
    [
        ('{"id": "x_7", "prediction": ""}', "1 of 1 predictions belong to no sample: x_7; "),
        ('{"id": "a_1", "prediction": ""}\n{"id": ', "predictions.jsonl: line 2 is not valid JSON"),
        ("", "predictions.jsonl: no predictions in it"),
    ],
)
def test_predictions_that_cannot_be_used(
    call: Any, small: list[Any], tmp_path: Path, predictions: str, part: str
) -> None:
    (tmp_path / "predictions.jsonl").write_text(predictions)
    said = call(*small)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said.err
    assert said.err.startswith("rrvf: ")
    assert part in said.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [["--limit", 0], ["--workers", 0], ["--mode", "best"], ["--confinement", "x"], ["--frob"]],
)
def test_a_misspelled_option_ends_with_two(call: Any, small: list[Any], options: list[Any]) -> None:
    said = call(*small, *options)
    assert (said.code, said.out) == (2, "")
    assert str(options[0]) in said.err


def test_a_limit_takes_the_first(call: Any, small: list[Any], tmp_path: Path) -> None:
    assert call(*small, "--limit", 1).code == 0
    assert set(lines_of(tmp_path / "out")) == {"a_1"}
    assert summary_of(tmp_path / "out")["n_samples"] == 1
    assert call(*small).code == 0
    assert set(lines_of(tmp_path / "out")) == {"a_1", "b_1"}
    said = call(*small, "--limit", 1)
    assert (said.code, said.out) == (2, "")
    assert "results of 1 samples that are not among the 1 to score now, such as b_1" in said.err


def test_a_missing_prediction_beyond_the_limit_is_not_told(call: Any, small: list[Any]) -> None:
    predictions = Path(small[small.index("--predictions") + 1])
    predictions.write_text(json.dumps({"id": "a_1", "prediction": fenced("ok a")}))
    assert "no prediction" not in call(*small, "--limit", 1).err
    assert "no prediction for 1 of 2 samples, counted as no_code: b_1\n" in call(*small).err


def test_some_scorers_only(call: Any, small: list[Any], tmp_path: Path) -> None:
    assert call(*small, "--scorers", "text, type").code == 0
    assert {tuple(line["scores"]) for line in lines_of(tmp_path / "out").values()} == {
        ("text", "type")
    }
    metrics = summary_of(tmp_path / "out")["metrics"]
    assert (metrics["text"], metrics["average"], metrics["exec_rate"]) == (100.0, None, None)


@pytest.mark.parametrize(
    ("scorers", "parts"),
    [
        ("txt", ["unknown scorer 'txt'", "Did you mean text?", "Available: execution, text"]),
        ("text,colour", ["'colour'", "Did you mean color?"]),
        ("text,likeness", ["'likeness' is a judge's score", "--judge likeness"]),
        ("gpt", ["'gpt' is a judge's score", "--judge MODEL"]),
        ("zzz", ["unknown scorer 'zzz'", "my.module:object"]),
        ("no.such_module:x", ["'no.such_module:x' cannot be imported"]),
        ("json:no_such_name", ["'json:no_such_name' cannot be imported", "no_such_name"]),
        ("", ["no scorers named"]),
    ],
)
def test_scorers_that_there_are_not(
    call: Any, small: list[Any], scorers: str, parts: list[str], tmp_path: Path
) -> None:
    said = call(*small, "--scorers", scorers)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said.err
    assert said.err.startswith("rrvf: ")
    for part in parts:
        assert part in said.err
    assert not (tmp_path / "out").exists()


def test_a_scorer_of_ones_own(
    call: Any, small: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_for_cli.py").write_text(
        "from rrvf.types import Score\ndef half(target, drawing, mode): return Score(0.5)"
    )
    monkeypatch.chdir(tmp_path)
    assert call(*small, "--scorers", "text,own_for_cli:half").code == 0
    assert values(lines_of(tmp_path / "out")["a_1"]) == {"text": 1.0, "own_for_cli:half": 0.5}


def test_workers_mode_and_confinement_reach_the_renderer(
    small: list[Any], call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[Any, ...]] = []

    class Noting(FakeRenderer):
        def __init__(self, *arguments: Any, memo_bytes: int) -> None:
            assert memo_bytes > 0
            made.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr("rrvf.kinds.chart.ChartRenderer", Noting)
    options = ["--workers", 3, "--timeout", 7, "--chart-python", "/x/python"]
    assert call(*small, *options, "--confinement", "rlimits", "--mode", "fixed").code == 0
    [(python, workers, limits, confinement)] = made
    assert (python, workers, confinement) == (Path("/x/python"), 3, "rlimits")
    assert limits.cpu_seconds == 7
    assert f"{confinement!r}" == "'rlimits'", "messages show it"


def test_a_path_that_is_a_file(call: Any, small: list[Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        said = call(*small, "--out", out)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said.err
        assert f"rrvf: {out}: no folder to write a run to" in said.err


def test_ctrl_c_while_a_result_is_shown(
    call: Any, small: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(results: Any, total: int) -> Any:
        yield next(results)
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_progress", interrupted)
    said = call(*small)
    assert (said.code, said.out) == (130, "")
    assert said.err == (
        f"stopped; what is done stands in {tmp_path / 'out'}, the same command goes on\n"
    )
    assert summary_of(tmp_path / "out")["finished"] is False


def test_a_message_is_one_line_whatever_it_quotes(
    call: Any, small: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise UserError("first\nsecond\x1b[31m red")

    monkeypatch.setattr("rrvf.benchmarks.chartmimic.load_samples", broken)
    said = call(*small)
    assert (said.code, said.err) == (2, "rrvf: first second [31m red\n")


def test_an_error_of_the_system_is_one_line(
    call: Any, small: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "/some/file")

    monkeypatch.setattr("rrvf.runs.load_predictions", denied)
    assert call(*small).err == "rrvf: /some/file: Permission denied\n"


def test_a_bar_is_shown_on_a_terminal_only(
    call: Any, small: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(*small).err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")  # what makes rich believe in a terminal
    shown = call(*small)
    assert "2/2" in shown.err
    assert "2/2" not in shown.out


# ------------------------------------------------------------------------ the other commands


@pytest.mark.parametrize(
    "arguments", [["--help"], ["score", "--help"], ["eval", "--help"], ["--version"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom rrvf.cli import main\n"
        f"sys.argv = ['rrvf', *{arguments}]\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    modules = set(done.stderr.split())
    assert "typer" in modules
    assert not HEAVY & modules
    assert done.stdout.strip()


def test_scoring_charts_loads_nothing_for_pages(small: list[Any]) -> None:
    code = (
        "import sys\nfrom rrvf.cli import main\n"
        f"sys.argv = ['rrvf', *{[str(argument) for argument in small]}]\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    modules = set(done.stderr.split())
    assert "rrvf.kinds.page" in modules
    slow = {"rrvf.renderers.page", "asyncio", "scipy.optimize", "pandas", "matplotlib", "rich"}
    assert not slow & modules


def test_help_names_the_commands_and_options(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert call("--version").out == f"{package.__version__}\n"
    said = call("--help").out
    for command in ("demo", "score", "render", "report", "doctor"):
        assert command in said
    said = call("score", "--help").out
    for option in ("--data", "--predictions", "--out", "--workers", "--mode", "--scorers"):
        assert option in said
    assert "--limit" in said


def test_every_option_has_a_flag_of_its_own() -> None:
    flags: list[str] = []
    for kind in (options.RunOptions, options.JudgeOptions, options.LoopOptions):
        shown = options.find_flags(kind)
        for_the_library = {"predictions", "judge", "recorded", "since", "assets"}
        assert {field.name for field in fields(kind)} - shown.keys() <= for_the_library
        flags += [flag.name or options.flag_of(name) for name, flag in shown.items()]
    assert len(set(flags)) == len(flags) > 40


def test_an_option_is_told_to_the_library(
    call: Any, small: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    def noted(benchmark: str, *arguments: Any) -> None:
        told.extend(arguments)
        raise UserError("enough")

    monkeypatch.setattr("rrvf.runs.open_episodes", noted)
    rubric = ["--judge", "j", "--judge-repeats", 3, "--judge-key", "K", "--max-cost", 2]
    loop = ["--policy", "p", "--no-attach-rendering", "--key", "L", "--teacher", "t"]
    at = small.index("--predictions")
    common = [*small[2:at], *small[at + 2 :], "--reuse-pages", "--clip-failure", "black"]
    said = call("eval", "websight", *common, *rubric, *loop, "--teacher-key", "M", "--limit", 4)
    assert said.err == "rrvf: enough\n"
    run, rules, _ = told
    assert (run.reuse_pages, run.javascript) == (True, False)
    assert (run.clip_failure, run.limit, run.confinement) == ("black", 4, "auto")
    judge = options.JudgeOptions(model="j", repeats=3, key_variable="K", max_cost=2.0)
    assert run.judge == judge
    assert rules == options.LoopOptions(
        policy="p",
        attach_rendering=False,
        key_variable="L",
        teacher="t",
        teacher_key_variable="M",
    )


def test_the_clean_up_is_told_to_the_library(
    call: Any, small: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    def noted(_: str, run: Any) -> None:
        told.append(run)
        raise UserError("enough")

    monkeypatch.setattr("rrvf.runs.open_run", noted)
    assert call(*small).err == call(*small, "--cleanup", "official").err == "rrvf: enough\n"
    assert [run.cleanup for run in told] == [None, "official"]
    assert "cleanup" not in told[0].to_json(), "runs from before it go on"
    assert call(*small, "--cleanup", "mine").code == 2


def test_a_benchmark_without_another_clean_up_says_so(call: Any, small: list[Any]) -> None:
    said = call(*small, "--cleanup", "official")
    assert said.code == 2
    assert said.err == (
        "rrvf: chartmimic has no official clean-up of replies; leave --cleanup out, or name one of "
        "own\n"
    )


def test_doctor_tells_what_this_machine_offers() -> None:
    done = rrvf_here("doctor")
    marks = [line[:2] for line in done.stdout.splitlines()]
    assert set(marks) <= {"ok", "!!", "  "}
    assert done.returncode == (1 if "!!" in marks else 0)
    for what in ("rrvf:", "cache folder:", "confinement:", "fonts:", "browser:", "matplotlib "):
        assert what in done.stdout
    assert done.stderr == ""


def test_doctor_goes_on_where_charts_cannot_be_drawn(tmp_path: Path) -> None:
    env = environment(RRVF_CHROMIUM=str(tmp_path / "gone"))
    done = rrvf_here("doctor", "--chart-python", "/bin/true", env=env)
    assert (done.returncode, done.stderr) == (1, "")
    wrong = [line for line in done.stdout.splitlines() if line.startswith("!!")]
    assert len(wrong) == 2
    assert "did not start under /bin/true" in wrong[0]
    assert "gone" in wrong[1]


def size_of(png: Path) -> tuple[int, int]:
    return struct.unpack(">II", png.read_bytes()[16:24])


def test_render_draws_a_chart_as_a_judge_sees_it(tmp_path: Path) -> None:
    script, out = tmp_path / "s.py", tmp_path / "new" / "s.png"
    # With a byte order mark, as editors on Windows put it there.
    script.write_text(
        "\ufeffimport matplotlib.pyplot as plt\nplt.figure(figsize=(2, 1))\nplt.plot([1])"
    )
    done = rrvf_here("render", "chart", script, "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{out}\n"
    assert size_of(out) == (700, 350)  # inches at 350 dpi


def test_render_of_a_script_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text("raise ValueError('no such\\ncolumn')")
    done = rrvf_here("render", "chart", tmp_path / "s.py", "--out", tmp_path / "s.png")
    assert_one_line(done, "s.py: no picture: ", "ValueError", "no such column")
    assert not (tmp_path / "s.png").exists()


def test_render_mistakes(call: Any, tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"# \xe9")
    (tmp_path / "good").write_text("ok a")
    for kind, file, out, part in [
        ("chart", "none.py", "o.png", "none.py: No such file or directory; name a Python script"),
        ("chart", "latin", "o.png", "latin: not UTF-8 text; name a Python script"),
        ("chart", "good", "latin/o.png", "o.png: cannot be written: "),
        ("web", "none.html", "o.png", "none.html: No such file or directory; name an HTML file"),
    ]:
        said = call("render", kind, tmp_path / file, "--out", tmp_path / out)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said.err
        assert part in said.err


# ---------------------------------------------------------------------------------- demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("demo") / "out"
    return Run(["demo", "--out", out], rrvf("demo", "--out", out), out)


def test_the_demo_shows_every_outcome(demo: Run) -> None:
    assert demo.done.returncode == 0, demo.done.stderr
    assert demo.done.stderr in ("", f"{NO_TAILWIND}\n"), "what a machine may lack"
    lines = lines_of(demo.out)
    assert len(lines) == 12
    assert {line["status"] for line in lines.values()} == set(STATUSES) - {"harness_error"}
    assert set(summary_of(demo.out)["n_unscored"].values()) == {0}
    assert demo.done.stdout.endswith(f"report: {demo.out / 'report.html'}\n")
    assert "Overall" in demo.done.stdout
    assert (demo.out / "report.html").exists()


def test_the_demo_goes_on_where_it_stopped(demo: Run) -> None:
    before = (demo.out / "results.jsonl").read_bytes()
    lines = before.splitlines(keepends=True)
    [quick] = [line for line in lines if json.loads(line)["sample_id"] == "area_1"]
    kept = b"".join(line for line in lines if line != quick)
    (demo.out / "results.jsonl").write_bytes(kept)
    done = rrvf_here(*demo.options)
    assert (done.returncode, done.stdout) == (0, demo.done.stdout)
    after = (demo.out / "results.jsonl").read_bytes()
    assert after.startswith(kept), "the timings in it tell that nothing was done again"
    assert len(after.splitlines()) == 12
