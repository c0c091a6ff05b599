"""Tables for VLMEvalKit and the scoring of its prediction files, without VLMEvalKit itself."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import openpyxl
import pytest

from rrvf.benchmarks.predictions import CELL, LOST, load_predictions, read_tsv
from rrvf.errors import UserError
from rrvf.types import SampleResult, Score
from tests.chat_server import ChatServer, answer, models
from tests.runs import kept_servers, lines_of, rrvf_here, summary_of, values
from vlmeval_plugin import settings
from vlmeval_plugin.evaluation import evaluate, judge_options, write_host_scores
from vlmeval_plugin.sources import DESIGNS, PLOTS, table

NAME = "RRVF_Demo_Plot2Code"
PLOTS_DATA = Path("rrvf", "demo_data", "plots")


@pytest.fixture(autouse=True)
def _servers() -> Iterator[None]:
    with kept_servers():
        yield


@pytest.fixture
def lmu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``$LMUData``."""
    folder = tmp_path / "lmu"
    folder.mkdir()
    monkeypatch.setenv("LMUData", str(folder))
    return folder


@pytest.fixture
def answers(project: Path) -> dict[str, str]:
    return load_predictions(project / PLOTS_DATA / "predictions.jsonl")


def workbook(path: Path, answers: Mapping[str, str]) -> Path:
    book = openpyxl.Workbook()
    book.active.append(["index", "question", "prediction"])
    for name, text in answers.items():
        book.active.append([name, "draw it", text])
    book.save(path)
    return path


# ------------------------------------------------------------------------------ tables


def test_a_table_has_questions_and_pictures_and_its_md5(lmu: Path) -> None:
    path = table(NAME, PLOTS[NAME])
    assert path == lmu / f"{NAME}.tsv"
    rows = [row for _, row in read_tsv(path)]
    assert [row["index"] for row in rows] == [
        json.loads(line)["file_name"].removesuffix(".png")
        for line in PLOTS[NAME].data().joinpath("metadata.jsonl").read_text().splitlines()
    ]
    for row in rows:
        assert "matplotlib" in str(row["question"])
        picture = lmu / "images" / NAME / str(row["image_path"])
        assert picture.read_bytes().startswith(b"\x89PNG")
    noted = (lmu / f"{NAME}.md5").read_text().split()[0]
    assert noted == hashlib.md5(path.read_bytes()).hexdigest()


def test_the_reference_code_is_not_in_the_table(lmu: Path) -> None:
    path = table(NAME, PLOTS[NAME])
    text = path.read_text(encoding="utf-8")
    for sample in PLOTS[NAME].samples():
        assert sample.reference_code is not None
        assert max(sample.reference_code.splitlines(), key=len) not in text


def test_a_table_is_made_once_and_again_when_it_is_not_its_own(lmu: Path) -> None:
    path = table(NAME, PLOTS[NAME])
    original = path.read_bytes()
    picture = next((lmu / "images" / NAME).iterdir())
    picture.write_bytes(b"mine")
    assert table(NAME, PLOTS[NAME]).read_bytes() == original
    assert picture.read_bytes() == b"mine", "nothing was drawn again"
    path.write_bytes(original.replace(b"Script", b"Poem", 1) + b" ")
    assert table(NAME, PLOTS[NAME]).read_bytes() == original
    assert picture.read_bytes() != b"mine"


# ------------------------------------------------------------------------------ scoring


def test_the_figures_are_those_of_rrvf_score(
    tmp_path: Path, project: Path, answers: Mapping[str, str]
) -> None:
    predictions = workbook(tmp_path / f"M_{NAME}.xlsx", answers)
    scored = evaluate(PLOTS[NAME], predictions, list(answers), judge_options({"model": "likeness"}))
    done = rrvf_here(
        *("score", "plot2code", "--data", project / PLOTS_DATA / "references"),
        *("--predictions", predictions, "--out", tmp_path / "run"),
        *("--judge", "likeness", "--timeout", "5"),
    )
    assert done.returncode == 0, done.stderr
    metrics = summary_of(tmp_path / "run")["metrics"]
    assert scored.rows == [
        {"split": "all", "example_count": 6, **metrics, "unscored": 0},
    ]
    assert 0 < metrics["text"] < metrics["text_pass"] <= 100
    assert scored.folder.parent == tmp_path
    assert (scored.folder / "report.html").is_file()


def test_only_the_rows_of_the_file_count(tmp_path: Path, answers: Mapping[str, str]) -> None:
    two = {name: answers[name] for name in ("tides", "phases")}
    scored = evaluate(PLOTS[NAME], workbook(tmp_path / "two.xlsx", two), list(two), None)
    assert scored.rows[0]["example_count"] == 2
    assert scored.rows[0]["exec_rate"] == 50.0
    assert scored.rows[0]["gpt"] is None
    every = evaluate(PLOTS[NAME], workbook(tmp_path / "two.xlsx", answers), list(answers), None)
    assert every.folder != scored.folder, "a run of other samples is another run"


def test_an_answer_that_got_lost_is_unscored_not_zero(
    tmp_path: Path, project: Path, answers: Mapping[str, str]
) -> None:
    long = answers["tides"] + " " * CELL
    some = {
        "tides": long[:CELL],
        "orchard": f"{LOST} via API. The server is gone.",
        "phases": answers["phases"],
    }
    scored = evaluate(PLOTS[NAME], workbook(tmp_path / "some.xlsx", some), list(some), None)
    lines = {
        line["sample_id"]: line
        for line in map(json.loads, (scored.folder / "results.jsonl").read_text().splitlines())
    }
    for name, why in (("tides", "PRED_FORMAT"), ("orchard", "--reuse")):
        assert lines[name]["status"] == "harness_error"
        assert lines[name]["scores"]["execution"]["value"] is None
        assert why in lines[name]["error"]
    assert lines["phases"]["scores"]["execution"]["value"] == 0.0
    assert scored.rows[0]["exec_rate"] == 0.0
    assert scored.rows[0]["unscored"] == 2
    done = rrvf_here(
        *("score", "plot2code", "--data", project / PLOTS_DATA / "references", "--timeout", "5"),
        *("--predictions", tmp_path / "some.xlsx", "--out", tmp_path / "run"),
    )
    assert done.returncode == 0, done.stderr
    for name in some:
        line = lines_of(tmp_path / "run")[name]
        assert values(line) == values(lines[name])
        assert line["error"] == lines[name]["error"]


def test_rows_of_other_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="belong to no sample"):
        evaluate(PLOTS[NAME], workbook(tmp_path / "x.xlsx", {"nobody": "x"}), ["nobody"], None)


# ------------------------------------------------------------------------------ judges


def test_the_host_s_words_for_a_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_BASE", raising=False)
    monkeypatch.setenv("RRVF_JUDGE_KEY", "")
    assert judge_options({"nproc": 4, "api_base": "http://there/v1/chat/completions"}) is None
    said = judge_options(
        {"model": "big", "nproc": 4, "api_base": "http://there/v1/chat/completions", "key": "k"}
    )
    assert said is not None
    assert (said.model, said.base_url, said.concurrency) == ("big", "http://there/v1", 4)
    assert said.key_variable == "RRVF_JUDGE_KEY"
    plain = judge_options({"model": "big"})
    assert plain is not None
    assert (plain.base_url, plain.key_variable) == (None, "OPENAI_API_KEY")


def test_the_names_of_the_plugin_s_own_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("RRVF_JUDGE_NAME", "RRVF_TEACHER_NAME", "RRVF_FRESH"):
        monkeypatch.setenv(variable, "")
    began = time.time()
    words = ["--judge-name", "ours", "--fresh", "--teacher-name", "theirs", "--model", "M"]
    assert settings.parse(words) == (False, ["--model", "M"])
    said = judge_options({"model": "big"})
    assert said is not None
    assert said.name == "ours"
    assert began <= said.since <= time.time()
    assert settings.current().teacher_name == "theirs"
    monkeypatch.setenv("RRVF_FRESH", "yes")
    with pytest.raises(UserError, match="RRVF_FRESH must be a Unix time"):
        settings.current()


def test_other_answers_and_other_judges_have_folders_of_their_own(
    tmp_path: Path, answers: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RRVF_CACHE_DIR", str(tmp_path / "cache"))
    two = {name: answers[name] for name in ("tides", "phases")}
    path = workbook(tmp_path / "M.xlsx", two)
    with ChatServer(lambda _: answer("Rating: [[2]]")) as server:
        judge = judge_options({"model": "m", "api_base": server.url})
        server.models = models({"id": "m", "root": "/a"})
        first = evaluate(PLOTS[NAME], path, list(two), judge)
        assert evaluate(PLOTS[NAME], path, list(two), judge).folder == first.folder
        assert len(server.requests) == 1
    with ChatServer(lambda _: answer("Rating: [[9]]"), server.port) as other:
        other.models = models({"id": "m", "root": "/b"})
        second = evaluate(PLOTS[NAME], path, list(two), judge)
        assert (first.rows[0]["gpt_pass"], second.rows[0]["gpt_pass"]) == (2.0, 9.0)
    changed = {**two, "tides": two["phases"]}
    third = evaluate(PLOTS[NAME], workbook(path, changed), list(two), None)
    fourth = evaluate(PLOTS[NAME], workbook(path, two), list(two), None)
    assert len({one.folder for one in (first, second, third, fourth)}) == 4
    assert (third.rows[0]["exec_rate"], fourth.rows[0]["exec_rate"]) == (0.0, 50.0)


# ------------------------------------------------------------------------------ the host's files


def test_the_host_s_scores_of_design2code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("block_match", "text", "position", "color", "clip_design2code")

    def result(*values: float | None) -> SampleResult:
        scores = {name: Score(value) for name, value in zip(names, values, strict=True)}
        return SampleResult("x", "ok", None, 0.0, scores, code="<p>\ud83d</p>")

    results = {"7": result(0.5, 1.0, 1.0, 0.5, 0.0), "g1": result(0.5, 1.0, 1.0, 0.5, None)}
    monkeypatch.setattr("vlmeval_plugin.evaluation.read_results", lambda _: (results, {}))
    write_host_scores(tmp_path / "Design2Code", tmp_path, {"7": "<p>7</p>", "g1": "<p>g</p>"})
    assert json.loads((tmp_path / "Design2Code" / "res_dict.json").read_text()) == {
        "direct_prompting": {
            "7.html": [0.6, 0.5, 1.0, 1.0, 0.5, 0.0],
            "g1.html": [None, 0.5, 1.0, 1.0, 0.5, None],
        }
    }
    assert (tmp_path / "Design2Code" / "predictions" / "7.html").read_text() == "<p>?</p>"
    assert (tmp_path / "Design2Code" / "reference" / "g1.html").read_text() == "<p>g</p>"


def test_design2code_s_pages_come_from_where_the_flag_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "5.html").write_text("<p>five</p>")
    monkeypatch.setenv("RRVF_DESIGN2CODE_DATA", str(tmp_path))
    source, asked = DESIGNS["RRVF_Design2Code"], DESIGNS["RRVF_Design2Code_text_augmented"]
    assert [sample.id for sample in source.samples()] == ["5"]
    assert "five" in asked.samples()[0].prompt
    assert asked.options(tmp_path / "p.xlsx").task == "text_augmented"
    monkeypatch.setenv("RRVF_DESIGN2CODE_DATA", "")
    assert source.data() == Path("design2code")
    assert DESIGNS["RRVF_Design2Code_hard"].data() == Path("design2code_hard")
