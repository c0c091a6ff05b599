"""The plugin in the real VLMEvalKit: its registers in this process, its run.py in another.

VLMEvalKit is the installed package, or the checkout that stands on ``PYTHONPATH``.
"""

from __future__ import annotations

import base64
import csv
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from rrvf.benchmarks.predictions import load_predictions
from rrvf.demo import PAGE_SCORERS
from tests.chat_server import ChatServer, Reply, Request, answer, error
from tests.plugin.vlmeval_demo import HOST_COLUMNS
from tests.runs import lines_of, rrvf, summary_of, values

pytestmark = [
    pytest.mark.parity,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore"),  # what VLMEvalKit's own code warns of
]

DEMO = {
    "RRVF_Demo_ChartMimic": ("chartmimic", "charts", ["--timeout", "5"]),
    "RRVF_Demo_Plot2Code": ("plot2code", "plots", ["--timeout", "5"]),
    "RRVF_Demo_WebSight": ("websight", "pages", ["--scorers", ",".join(PAGE_SCORERS)]),
    "RRVF_Demo_Design2Code": (
        *("design2code", "design2code", ["--scorers", ",".join(PAGE_SCORERS)]),
    ),
}
PLOT = "import matplotlib.pyplot as plt\nplt.bar([1, 2], [3, 4])\nplt.title('Tides')"


@pytest.fixture(scope="session")
def lmu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """``$LMUData`` for all of these tests."""
    folder = tmp_path_factory.mktemp("lmu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMUData", str(folder))
        yield folder


@pytest.fixture
def host(lmu: Path) -> Any:
    """VLMEvalKit's data sets, with ours registered."""
    pytest.importorskip("vlmeval", reason="needs VLMEvalKit: make parity")
    from vlmeval_plugin import register

    register()
    import vlmeval.dataset

    return vlmeval.dataset


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "vlmeval_plugin", *map(str, arguments)]


def plugin(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """``python -m vlmeval_plugin``, run to its end."""
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=600,
        cwd=cwd,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def refusal(*arguments: object, cwd: Path) -> str:
    """The one line with which the command refuses, of ours, and no traceback."""
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=600, cwd=cwd)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [one for one in done.stderr.splitlines() if one.startswith("vlmeval_plugin: ")]
    return line


def table_of(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    return row


def episodes(folder: Path, model: str, dataset: str) -> list[dict[str, Any]]:
    path = folder / model / f"{model}_{dataset}_trajectories.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


# ------------------------------------------------------------------------------ registering


def test_registering_again_changes_nothing(host: Any) -> None:
    from vlmeval.config import supported_VLM

    from vlmeval_plugin import register

    before = (list(host.DATASET_CLASSES), list(host.SUPPORTED_DATASETS), sorted(supported_VLM))
    register()
    after = (list(host.DATASET_CLASSES), list(host.SUPPORTED_DATASETS), sorted(supported_VLM))
    assert before == after
    ours = [name for name in after[1] if name.startswith("RRVF_")]
    assert {*DEMO, "RRVF_ChartMimic_v1_direct", "RRVF_Plot2Code", "RRVF_WebSight"} <= set(ours)
    assert {"RRVF_Design2Code", "RRVF_Design2Code_hard"} <= set(ours)
    assert max(Counter(ours).values()) == 1
    for name in ("RRVF-Chart-7B", "RRVF-Chart-7B-Loop", "RRVF-Web-7B", "RRVF-Web-7B-Loop"):
        assert name in supported_VLM


def test_every_name_of_the_host_s_has_one_of_ours(host: Any) -> None:
    theirs = [name for name in host.SUPPORTED_DATASETS if name.startswith("ChartMimic_")]
    assert len(theirs) == 8
    assert {f"RRVF_{name}" for name in theirs} <= set(host.SUPPORTED_DATASETS)


def test_https_stays_verified(host: Any) -> None:
    assert ssl._create_default_https_context is ssl.create_default_context


def test_a_data_set_asks_by_text_and_picture(host: Any) -> None:
    rows = host.build_dataset("RRVF_Demo_Plot2Code")
    assert len(rows) == 6
    text, picture = rows.build_prompt(0)
    assert text["type"] == "text"
    assert picture["type"] == "image"
    assert Path(picture["value"]).read_bytes().startswith(b"\x89PNG")
    samples = type(rows).keyed_samples("RRVF_Demo_Plot2Code")
    assert samples[text["value"], picture["value"]].id == rows.data.iloc[0]["index"]


@pytest.fixture
def own_table(lmu: Path, shared_chartmimic: Path) -> Iterator[list[str]]:
    """ChartMimic's items where VLMEvalKit looks for them, in a table of our making."""
    names = sorted(path.stem for path in (shared_chartmimic / "golden").glob("*.py"))
    files = lmu / "images" / "ChartMimic" / "v1" / "ori_500"
    files.mkdir(parents=True, exist_ok=True)
    rows = ["index\tquestion\tinput_figure\tground_truth_figure_code\ttask"]
    for number, name in enumerate(names):
        (files / f"{name}.py").write_bytes(
            (shared_chartmimic / "golden" / f"{name}.py").read_bytes()
        )
        (files / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        path = f"v1/ori_500/{name}"
        rows.append(f"{number}\tDraw {name}.\t{path}.png\t{path}.py\tdirect")
    table = lmu / "ChartMimic_v1_direct.tsv"
    table.write_text("\n".join(rows) + "\n")
    yield names
    table.unlink()


def test_overriding_takes_the_host_s_names(host: Any, own_table: list[str], lmu: Path) -> None:
    from vlmeval_plugin import register

    kept = (list(host.DATASET_CLASSES), host.ChartMimic, host.Design2Code)
    try:
        register(override=True)
        register()
        rows = host.build_dataset("ChartMimic_v1_direct")
        assert type(rows) is host.ChartMimic
        assert type(rows).__module__ == "vlmeval_plugin.datasets"
        text, picture = rows.build_prompt(1)
        assert text["value"] == f"Draw {own_table[1]}."
        assert picture["value"] == str(
            lmu / "images" / "ChartMimic" / "v1" / "ori_500" / f"{own_table[1]}.png"
        )
    finally:
        host.DATASET_CLASSES[:], host.ChartMimic, host.Design2Code = kept


@pytest.fixture
def own_designs(lmu: Path, project: Path) -> Iterator[dict[str, str]]:
    """The bundled pages where VLMEvalKit looks for Design2Code, in a table laid out as its own."""
    folder = project / "rrvf" / "demo_data" / "design2code" / "references"
    pages = {path.stem: path.read_text() for path in sorted(folder.glob("*.html"))}
    picture = base64.b64encode((folder / "rick.jpg").read_bytes()).decode()
    table = lmu / "Design2Code.tsv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["index", "image", "question", "html", "img_fname"])
        for number, (name, html) in enumerate(pages.items()):
            writer.writerow([number, picture, f"Repeat {name}.", html, f"{name}.png"])
    yield pages
    table.unlink()


def test_overriding_takes_the_host_s_design2code(
    tmp_path: Path, project: Path, host: Any, own_designs: dict[str, str], web_browser: Path
) -> None:
    import pandas as pd

    found = load_predictions(
        project / "rrvf" / "demo_data" / "design2code" / "predictions_hasty.jsonl"
    )
    rows = [
        {
            "index": number,
            "question": f"Repeat {name}.",
            "html": "",
            "img_fname": f"{name}.png",
            "prediction": found[name],
        }
        for number, name in enumerate(own_designs)
    ]
    folder = tmp_path / "w" / "GPT4o"
    (folder / "T20260101-000000").mkdir(parents=True)
    path = folder / "T20260101-000000" / "GPT4o_Design2Code.tsv"
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRED_FORMAT", "tsv")
        done = plugin(
            *("--override", "--data", "Design2Code", "--model", "GPT4o", "--mode", "eval"),
            *("--work-dir", "w"),
            cwd=tmp_path,
        )
    (run,) = (one.parent for one in folder.rglob("GPT4o_Design2Code_rrvf_*/results.jsonl"))
    lines = {name: values(line) for name, line in lines_of(run).items()}
    (scores,) = folder.rglob("Design2Code/res_dict.json")
    shown = json.loads(scores.read_text())["direct_prompting"]
    assert set(shown) == {"conference.html", "shop.html"}
    for name, line in lines.items():
        final, *parts = shown[f"{name}.html"]
        assert parts == [
            line[key] for key in ("block_match", "text", "position", "color", "clip_design2code")
        ]
        assert (parts[-1], final) == (None, None), "there are no weights here"
        assert all(0.5 < part < 1 for part in parts[:-1])
    (score,) = folder.rglob("GPT4o_Design2Code_score.csv")
    row = table_of(score)
    assert (row["example_count"], row["CLIP"]) == ("2", "")
    assert float(row["Block-Match"]) == pytest.approx(
        50 * sum(line["block_match"] for line in lines.values())
    )
    assert "Block-Match" in done.stdout
    shop = (scores.parent / "predictions" / "shop.html").read_text()
    # The host's clean-up: no doctype, so that the prose behind goes, as all after </html>.
    assert shop.startswith("<html>")
    assert shop.endswith("</html>")
    reference = (scores.parent / "reference" / "shop.html").read_text()
    assert reference == own_designs["shop"]


def test_overriding_asks_the_host_s_question(
    host: Any, own_designs: dict[str, str], lmu: Path
) -> None:
    from vlmeval_plugin import register

    kept = (list(host.DATASET_CLASSES), host.ChartMimic, host.Design2Code)
    try:
        register(override=True)
        rows = host.build_dataset("Design2Code")
        assert type(rows) is host.Design2Code
        assert type(rows).__module__ == "vlmeval_plugin.datasets"
        text, picture = rows.build_prompt(1)
        assert text["value"] == "Repeat shop."
        assert Path(picture["value"]).read_bytes().startswith(b"\x89PNG"), "as it saves all"
        samples = type(rows).keyed_samples("Design2Code")
        assert samples[text["value"], picture["value"]].id == "shop"
    finally:
        host.DATASET_CLASSES[:], host.ChartMimic, host.Design2Code = kept


def test_not_overriding_leaves_them(host: Any) -> None:
    first = next(
        one for one in host.DATASET_CLASSES if "ChartMimic_v1_direct" in one.supported_datasets()
    )
    assert first.__module__ == "vlmeval.dataset.chartmimic"


# ------------------------------------------------------------------------------ run.py


def test_eval_mode_prints_what_rrvf_score_prints(
    tmp_path: Path, project: Path, host: Any, web_browser: Path
) -> None:
    import pandas as pd

    work = tmp_path / "w" / "GPT4o"
    (work / "T20260101-000000").mkdir(parents=True)
    for dataset, (_, folder, _) in DEMO.items():
        found = load_predictions(project / "rrvf" / "demo_data" / folder / "predictions.jsonl")
        frame = pd.DataFrame({"index": list(found), "prediction": list(found.values())})
        name = f"GPT4o_{dataset}.xlsx"
        frame.to_excel(work / "T20260101-000000" / name, index=False)
    done = plugin(
        *("--data", *DEMO, "--model", "GPT4o", "--mode", "eval", "--judge", "likeness"),
        *("--work-dir", "w"),
        cwd=tmp_path,
    )
    for dataset, (benchmark, folder, more) in DEMO.items():
        predictions = tmp_path / "w" / "GPT4o" / f"GPT4o_{dataset}.xlsx"
        out = tmp_path / benchmark
        scored = rrvf(
            *(
                "score",
                benchmark,
                "--predictions",
                predictions,
                "--out",
                out,
                "--judge",
                "likeness",
            ),
            *("--data", project / "rrvf" / "demo_data" / folder / "references", *more),
        )
        assert scored.returncode == 0, scored.stderr
        metrics: Mapping[str, float | None] = summary_of(out)["metrics"]
        assert any(metrics.values())
        names = HOST_COLUMNS.get(benchmark, {})
        row = table_of(predictions.with_name(f"GPT4o_{dataset}_likeness_score.csv"))
        for metric, value in metrics.items():
            shown = "" if value is None else repr(value)
            assert row[names.get(metric, metric)] == shown
            assert shown in done.stdout
        (report,) = work.rglob(f"GPT4o_{dataset}_rrvf_*/report.html")
        assert report.stat().st_size > 10_000


def test_real_predictions_under_our_name_and_the_host_s(
    tmp_path: Path, host: Any, own_table: list[str], lmu: Path, shared_chartmimic: Path
) -> None:
    import pandas as pd

    answers = load_predictions(shared_chartmimic / "predictions.jsonl")
    assert len(answers) == len(own_table) == 91
    frame = pd.DataFrame({"index": range(91), "prediction": [answers[one] for one in own_table]})
    folder = tmp_path / "w" / "GPT4V"
    (folder / "T20260101-000000").mkdir(parents=True)
    datasets = ("RRVF_ChartMimic_v1_direct", "ChartMimic_v1_direct")
    for dataset in datasets:
        path = folder / "T20260101-000000" / f"GPT4V_{dataset}.xlsx"
        frame.to_excel(path, index=False)
    plugin(
        *("--override", "--data", *datasets, "--model", "GPT4V", "--mode", "eval"),
        *("--work-dir", "w"),
        cwd=tmp_path,
    )
    scored = rrvf(
        *("score", "chartmimic", "--data", lmu / "ChartMimic_v1_direct.tsv"),
        *("--predictions", folder / f"GPT4V_{datasets[0]}.xlsx", "--out", tmp_path / "run"),
    )
    assert scored.returncode == 0, scored.stderr
    summary = summary_of(tmp_path / "run")
    lines = {name: values(line) for name, line in lines_of(tmp_path / "run").items()}
    assert summary["n_samples"] == 91
    assert 80 < summary["metrics"]["exec_rate"] < 100, "real answers have real faults"
    for dataset in datasets:
        (run,) = (one.parent for one in folder.rglob(f"GPT4V_{dataset}_rrvf_*/results.jsonl"))
        assert summary_of(run)["metrics"] == summary["metrics"]
        assert {name: values(line) for name, line in lines_of(run).items()} == lines
        row = table_of(folder / f"GPT4V_{dataset}_score.csv")
        assert row["color_score"] == repr(summary["metrics"]["color"])
        assert row["overall"] == "", "nobody judged"


def scripted(request: Request) -> Reply:
    """Calls the tool once, where there is one, then answers; as a teacher, comments."""
    if request.body["model"] == "teacher":
        return answer("---Comments:\n-**Text**- The title differs.")
    if request.body["model"] == "judge":
        return answer("Rating: [[8]]")
    said = sum(message["role"] == "assistant" for message in request.body["messages"])
    loop = any(message["role"] == "system" for message in request.body["messages"])
    if loop and said == 0:
        call = {"name": "python_render_and_compare_tool", "arguments": {"python_code": PLOT}}
        return answer(f"<think>First.</think><tool_call>{json.dumps(call)}</tool_call>")
    return answer(f"<think>Done.</think><answer>```python\n{PLOT}\n```</answer>")


def test_all_mode_asks_once_or_in_turns(tmp_path: Path, host: Any) -> None:
    dataset, models = "RRVF_Demo_Plot2Code", ("RRVF-Chart-7B", "RRVF-Chart-7B-Loop")
    with ChatServer(scripted) as server:
        done = plugin(
            *("--data", dataset, "--model", *models, "--base-url", server.url, "--work-dir", "w"),
            *("--teacher", "teacher", "--teacher-base-url", server.url, "--max-turns", "3"),
            *("--api-nproc", "4", "--key", "sk-of-the-user"),
            *("--judge", "judge", "--judge-base-url", server.url),
            cwd=tmp_path,
        )
        asked = Counter(request.body["model"] for request in server.requests)
        policy = [one for one in server.requests if "rrvf" in one.body["model"]]
    # Six samples: one turn each, then two each; the teacher sees each rendering once. The judge is
    # not paid twice for the same pictures.
    assert asked == {"chenzju/rrvf_chartmimic": 6 + 12, "teacher": 6, "judge": 6}
    assert {one.headers["Authorization"] for one in policy} == {"Bearer sk-of-the-user"}
    for model, turns in zip(models, (1, 2), strict=True):
        played = episodes(tmp_path / "w", model, dataset)
        assert [len(one["turns"]) for one in played] == [turns] * 6
        assert {one["stop_reason"] for one in played} == {"answered"}
        assert load_predictions(tmp_path / "w" / model / f"{model}_{dataset}.xlsx")
        row = table_of(tmp_path / "w" / model / f"{model}_{dataset}_judge_score.csv")
        assert (row["exec_rate"], row["gpt"]) == ("100.0", "8.0")
    assert done.stdout.count("Run Summary Report") == 2
    assert server.most_at_once <= 4
    references = [
        sample.reference_code for sample in host.build_dataset(dataset).SOURCES[dataset].samples()
    ]
    for request in policy:
        assert not any(code and code in request.text for code in references)


def test_what_was_not_answered_is_asked_again_and_unscored_until_then(
    tmp_path: Path, host: Any
) -> None:
    dataset, model = "RRVF_Demo_Plot2Code", "RRVF-Chart-7B"
    refused = threading.Event()

    def flaky(request: Request) -> Reply:
        if not refused.is_set():
            refused.set()
            return error(400, "not this one")
        return scripted(request)

    def run(url: str) -> None:
        plugin(
            *("--data", dataset, "--model", model, "--base-url", url, "--work-dir", "w"),
            *("--reuse", "--mode", "all", "--api-nproc", "1"),
            cwd=tmp_path,
        )

    score = tmp_path / "w" / model / f"{model}_{dataset}_score.csv"
    with ChatServer(flaky) as server:
        run(server.url)
        assert len(server.requests) == 6
        assert table_of(score)["unscored"] == "1"
        run(server.url)
        assert len(server.requests) == 7
    row = table_of(score)
    assert (row["unscored"], row["exec_rate"]) == ("0", "100.0")


def test_a_killed_run_goes_on_and_is_scored_later(tmp_path: Path, host: Any) -> None:
    dataset, model = "RRVF_Demo_Plot2Code", "RRVF-Chart-7B"
    stalled, running = threading.Event(), threading.Event()

    def stalling(request: Request) -> Reply:
        if request.number < 3 or running.is_set():
            return scripted(request)
        stalled.set()
        return Reply(stall=True)

    def arguments(mode: str, *more: object) -> list[object]:
        said = ["--data", dataset, "--model", model, "--mode", mode, "--work-dir", "w", "--reuse"]
        return [*said, "--api-nproc", "1", *more]

    with ChatServer(stalling) as server:
        infer = arguments("infer", "--base-url", server.url)
        with subprocess.Popen(command(*infer), cwd=tmp_path, start_new_session=True) as process:
            try:
                assert stalled.wait(300)
            finally:
                os.killpg(process.pid, signal.SIGKILL)
        assert len(server.requests) == 4
        running.set()
        plugin(*infer, cwd=tmp_path)
        assert len(server.requests) == 4 + 3, "the fourth was under way, three were missing"
    folder = tmp_path / "w" / model
    (predictions,) = folder.rglob(f"{model}_{dataset}.xlsx")
    assert len(load_predictions(predictions)) == 6
    assert not list(folder.rglob("*_score.csv"))
    plugin(*arguments("eval"), cwd=tmp_path)
    assert table_of(folder / f"{model}_{dataset}_score.csv")["exec_rate"] == "100.0"
    status = json.loads((folder / "status.json").read_text())
    assert dataset in json.dumps(status)


def test_a_config_names_our_classes(tmp_path: Path, host: Any) -> None:
    dataset = "RRVF_Demo_Plot2Code"
    with ChatServer(scripted) as server:
        mine = {"class": "RRVFModel", "model": "RRVF-Chart-7B-Loop", "api_base": server.url}
        config = {
            "model": {"mine": {**mine, "max_tokens": 77}},
            "data": {dataset: {"class": "RRVFPlot2Code", "dataset": dataset}},
        }
        (tmp_path / "config.json").write_text(json.dumps(config))
        plugin(*("--config", "config.json", "--work-dir", "w", "--max-turns", "3"), cwd=tmp_path)
        assert {request.body["max_tokens"] for request in server.requests} == {77}
        assert len(server.requests) == 12
    assert table_of(tmp_path / "w" / "mine" / f"mine_{dataset}_score.csv")["exec_rate"] == "100.0"


def test_a_config_names_ours_without_parameters(tmp_path: Path, host: Any) -> None:
    dataset = "RRVF_Demo_Plot2Code"
    config = {"model": {"RRVF-Chart-7B": {}}, "data": {dataset: {}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with ChatServer(scripted) as server:
        plugin(
            *("--config", "config.json", "--work-dir", "w", "--policy-base-url", server.url),
            cwd=tmp_path,
        )
        assert len(server.requests) == 6
    score = tmp_path / "w" / "RRVF-Chart-7B" / f"RRVF-Chart-7B_{dataset}_score.csv"
    assert table_of(score)["exec_rate"] == "100.0"


def test_a_config_s_own_name_for_our_data_names_no_paid_judge(tmp_path: Path, host: Any) -> None:
    mine = "my_ChartMimic"
    with ChatServer(scripted) as server:
        config = {
            "model": {"mine": {"class": "RRVFModel", "model": "RRVF-Chart-7B"}},
            "data": {mine: {"class": "RRVFChartMimic", "dataset": "RRVF_Demo_ChartMimic"}},
        }
        (tmp_path / "config.json").write_text(json.dumps(config))
        plugin(
            *("--config", "config.json", "--work-dir", "w", "--policy-base-url", server.url),
            *("--limit", "2"),
            cwd=tmp_path,
        )
        assert {request.body["model"] for request in server.requests} == {"chenzju/rrvf_chartmimic"}
    (score,) = (tmp_path / "w" / "mine").rglob("*_score.csv")
    assert table_of(score)["overall"] == ""


CONFIGS: Mapping[str, tuple[Any, str]] = {
    "data": ({"model": {"RRVF-Chart-7B": {}}, "data": {"RRVF_Plot2code": {}}}, "RRVF_Plot2Code"),
    "model": ({"model": {"RRVF-Chart-8B": {}}, "data": {"RRVF_Plot2Code": {}}}, "RRVF-Chart-7B"),
    "class": (
        {
            "model": {"mine": {"class": "RRVFModel", "model": "chart-7b"}},
            "data": {"RRVF_Plot2Code": {}},
        },
        "RRVF-Chart-7B",
    ),
    "list": ({"model": ["RRVF-Chart-7B"], "data": {}}, '"model" must be an object'),
    "one part": ({"model": {}}, '"data" must be an object'),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_cannot_be_used_is_one_line(name: str, tmp_path: Path, host: Any) -> None:
    content, told = CONFIGS[name]
    (tmp_path / "config.json").write_text(json.dumps(content))
    line = refusal("--config", "config.json", cwd=tmp_path)
    assert told in line


@pytest.mark.parametrize(
    ("data", "model", "told"),
    [
        ("RRVF_Demo_Plot2Code", "RRVF-Chart-8B", "no model 'RRVF-Chart-8B'; did you mean RRVF-Ch"),
        ("RRVF_Demo_Plot2Code", "rrvf-chart-7b-loop", "did you mean RRVF-Chart-7B-Loop"),
        ("RRVF_Demo_Plot2code", "RRVF-Chart-7B", "did you mean RRVF_Demo_Plot2Code"),
        ("RRVF_ChartMimic", "RRVF-Chart-7B", "no data set 'RRVF_ChartMimic'"),
    ],
)
def test_an_unknown_name_of_ours_is_refused_and_nobody_is_asked(
    data: str, model: str, told: str, tmp_path: Path, host: Any
) -> None:
    with ChatServer(scripted) as server:
        line = refusal(
            *("--data", data, "--model", model, "--base-url", server.url, "--work-dir", "w"),
            cwd=tmp_path,
        )
        assert server.requests == []
    assert told in line
    assert not (tmp_path / "w").exists()


def test_the_help_names_the_judge(tmp_path: Path, host: Any) -> None:
    ours, theirs, _ = plugin("--help", cwd=tmp_path).stdout.partition("usage: run.py")
    assert theirs
    assert "--judge MODEL" in ours


def test_a_rate_of_execution_is_no_primary_metric(host: Any) -> None:
    pages, plots = host.RRVFWebSight, host.RRVFPlot2Code
    measured = {"render_rate": 87.5, "block_match": 75.0}
    assert pages.report_primary_metric(measured) == {}
    assert pages.report_primary_metric({**measured, "clip": 80.0}) == {"clip": 80.0}
    measured = {"render_rate": 100.0, "Block-Match": 75.0, "CLIP": 80.0}
    assert host.RRVFDesign2Code.report_primary_metric(measured) == {"Block-Match": 75.0}
    assert plots.report_primary_metric({"exec_rate": 50.0}) == {}


def test_api_mode(tmp_path: Path, host: Any) -> None:
    dataset, model = "RRVF_Demo_Plot2Code", "RRVF-Chart-7B-Loop"
    with ChatServer(scripted) as server:
        plugin(
            *("--data", dataset, "--model", model, "--base-url", server.url, "--work-dir", "w"),
            *("--api-mode", "--max-tokens", "99", "--max-turns", "3"),
            cwd=tmp_path,
        )
        assert {request.body["max_tokens"] for request in server.requests} == {99}
        assert len(server.requests) == 12
    (score,) = (tmp_path / "w" / model).rglob(f"T*/{model}_{dataset}_score.csv")
    assert table_of(score)["exec_rate"] == "100.0"


# ------------------------------------------------------------------------------ checkpoints


def test_without_a_url_the_checkpoint_is_loaded_here(tmp_path: Path, host: Any) -> None:
    from training.tiny_model import build

    checkpoint = build(tmp_path / "tiny")
    dataset, models = "RRVF_Demo_Plot2Code", ("RRVF-Chart-7B", "RRVF-Chart-7B-Loop")
    plugin(
        *("--data", dataset, "--model", *models, "--policy-model", checkpoint, "--work-dir", "w"),
        *("--max-tokens", "8", "--max-turns", "2"),
        cwd=tmp_path,
    )
    # It babbles until its tokens are spent; without the loop that is its answer.
    for model, stopped in zip(models, ("answered", "token_budget"), strict=True):
        folder = tmp_path / "w" / model
        played = episodes(tmp_path / "w", model, dataset)
        assert [(len(one["turns"]), one["stop_reason"]) for one in played] == [(1, stopped)] * 6
        assert all(0 < one["turns"][0]["output_tokens"] <= 8 for one in played)
        protocol = json.loads((folder / f"{model}_{dataset}_protocol.json").read_text())
        assert protocol["policy"]["policy"] == str(checkpoint)
        assert protocol["policy"]["backend"] == "transformers"
        row = table_of(folder / f"{model}_{dataset}_score.csv")
        assert (row["example_count"], row["unscored"], row["exec_rate"]) == ("6", "0", "0.0")
