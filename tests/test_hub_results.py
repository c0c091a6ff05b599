"""Runs as the hub's evaluation results: read back by the hub's own library."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from huggingface_hub import parse_eval_result_entries
from typer.testing import CliRunner

from rrvf import cli
from rrvf.errors import UserError
from tests.test_tables import GPT_4O, make_run


def hub(*runs: Path) -> str:
    options = [word for run in runs for word in ("--runs", str(run))]
    done = CliRunner().invoke(cli.app, ["tables", "chartmimic", *options, "--format", "hub"])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_hub_reads_every_figure_of_a_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "mine", [1.0, 0.5, None, 0.5], judge=GPT_4O)
    entries = parse_eval_result_entries(yaml.safe_load(hub(run)))
    assert {entry.dataset_id for entry in entries} == {"ChartMimic/ChartMimic"}
    # Everything is (1 + 0.5 + 0 + 0.5) / 4 in this run.
    figures = {entry.task_id: entry.value for entry in entries}
    keys = ("exec_rate", "text", "layout", "type", "color", "gpt", "overall")
    assert figures == dict.fromkeys(keys, 50.0)
    assert all("gpt-4o-2024-08-06" in str(entry.notes) for entry in entries)


def test_what_was_not_measured_and_what_is_unfinished_are_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "mine", [1.0, 0.5])
    entries = parse_eval_result_entries(yaml.safe_load(hub(run)))
    assert {"gpt", "overall"}.isdisjoint(entry.task_id for entry in entries)
    unfinished = make_run(tmp_path / "half", [1.0, 0.5], finished=False)
    assert yaml.safe_load(hub(unfinished)) == []


def test_a_hostile_name_stays_text(tmp_path: Path) -> None:
    run = make_run(tmp_path / 'x": [evil]\n- dataset: {id: other}', [1.0, 0.5])
    entries = parse_eval_result_entries(yaml.safe_load(hub(run)))
    assert {entry.dataset_id for entry in entries} == {"ChartMimic/ChartMimic"}
    assert "evil" in str(entries[0].notes)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--others", "--compare", "a", "--compare", "b"], "name one of them"),
        (["--compare", "a", "--compare", "b", "--runs", "a"], "name one of them"),
        (["--format", "hub"], "name them by --runs"),
        (["--others", "--format", "hub"], "name them by --runs"),
    ],
)
def test_options_that_exclude_each_other_are_refused(words: list[str], told: str) -> None:
    done = CliRunner().invoke(cli.app, ["tables", *words])
    assert isinstance(done.exception, UserError)
    assert told in str(done.exception)


def test_a_table_never_takes_the_place_of_a_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "mine", [1.0, 0.5])
    before = (run / "results.jsonl").read_bytes()
    words = ["tables", "--runs", str(run), "--out", str(run / "results.jsonl")]
    done = CliRunner().invoke(cli.app, words)
    assert isinstance(done.exception, UserError)
    assert (run / "results.jsonl").read_bytes() == before
