"""A run on disk: what is done stays done, whatever ends the process, and two runs never mix."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rrvf.errors import DataError, OtherRunError, UserError
from rrvf.run_folder import RunFolder, from_json, read_summary, to_json
from rrvf.types import BenchmarkResult, Column, SampleResult, Score
from tests.runs import (
    COUNTING,
    assert_one_line,
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

SETTINGS = {"protocol.mode": "official", "environment.confinement": "landlock"}
RESULT = SampleResult(
    sample_id="a",
    status="ok",
    error=None,
    seconds=0.5,
    scores={"text": Score(0.5, {"f1": 0.5, "missing": ["x"]}), "execution": Score(1.0)},
    code="plt.plot()",
    completion="``` \ud800 é \x00",
    pictures={"rendering": "abc.png"},
    other_mode={"text": 1.0},
    tags={"category": "bar"},
)
KEYS = {"a": "key a", "b": "key b"}
SUMMARY = BenchmarkResult(
    *("chartmimic", 2, {"ok": 1}, {"text": 0}, {"text": 50.0, "gpt": None}),
    columns=(Column("text", "Text", "text"),),
    kind="chart",
)


def opened(
    path: Path, keys: Mapping[str, str] = KEYS, settings: Mapping[str, Any] = SETTINGS
) -> RunFolder:
    return RunFolder(path, settings, keys)


def write(path: Path, *results: SampleResult) -> Path:
    with opened(path) as folder:
        for result in results:
            folder.append(result)
    return path / "results.jsonl"


# --------------------------------------------------------------------------------- lines


def test_a_line_read_back_is_the_result() -> None:
    assert from_json(json.loads(json.dumps(to_json(RESULT)))) == RESULT


def test_done_lines_are_taken_up(tmp_path: Path) -> None:
    write(tmp_path, RESULT)
    with opened(tmp_path) as folder:
        assert folder.results == {"a": RESULT}


def test_lines_are_ascii_and_whole_at_once(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        folder.append(RESULT)
        raw = (tmp_path / "results.jsonl").read_bytes()
    assert raw.isascii()
    assert raw.count(b"\n") == 1
    assert raw.endswith(b"\n")


@pytest.mark.parametrize(
    "tail",
    [
        b'{"sample_id": "b", "status": "o',
        b"{",
        b"\xff\x00",
        b"[1]\n",
        b"5\n",
        b'{"sample_id": "b"}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_torn_or_strange_line_is_dropped(tmp_path: Path, tail: bytes) -> None:
    file = write(tmp_path, RESULT)
    whole = file.read_bytes()
    file.write_bytes(whole + tail)
    with opened(tmp_path) as folder:
        assert list(folder.results) == ["a"]
        folder.append(replace(RESULT, sample_id="b"))
    assert file.read_bytes().startswith(whole)
    assert set(lines_of(tmp_path)) == {"a", "b"}


def test_a_last_line_without_its_break_is_kept_whole(tmp_path: Path) -> None:
    file = write(tmp_path, RESULT)
    file.write_bytes(file.read_bytes()[:-1])
    with opened(tmp_path) as folder:
        folder.append(replace(RESULT, sample_id="b"))
    assert set(lines_of(tmp_path)) == {"a", "b"}


@pytest.mark.parametrize(
    "change",
    [{"status": "great"}, {"sample_id": ["a"]}, {"sample_id": 5}, {"scores": 5}],
)
def test_a_line_that_does_not_fit_is_made_anew(tmp_path: Path, change: dict[str, Any]) -> None:
    file = write(tmp_path, RESULT)
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}) + "\n")
    with opened(tmp_path) as folder:
        assert folder.results == {}
    assert file.read_bytes() == b""


def test_results_of_other_answers_are_not_thrown_away(tmp_path: Path) -> None:
    file = write(tmp_path, RESULT, replace(RESULT, sample_id="b"))
    before = file.read_bytes()
    with pytest.raises(DataError, match=r"results of other answers; name another --out.* as b\)"):
        opened(tmp_path, {"a": "key a", "b": "another"})
    assert file.read_bytes() == before


def test_an_answer_takes_the_place_of_none(tmp_path: Path) -> None:
    write(tmp_path, RESULT, replace(RESULT, sample_id="b", completion=None))
    keys = {"a": "key a", "b": "answered now"}
    with RunFolder(tmp_path, SETTINGS, keys, {"b": "key b"}) as folder:
        assert list(folder.results) == ["a"]


def test_an_answer_takes_the_place_of_our_own_failure(tmp_path: Path) -> None:
    write(tmp_path, RESULT, replace(RESULT, sample_id="b", status="harness_error"))
    with opened(tmp_path, {"a": "key a", "b": "another"}) as folder:
        assert list(folder.results) == ["a"]


@pytest.mark.parametrize(
    "ours",
    [
        replace(RESULT, scores={"text": Score.unscored("no judge")}),
        replace(RESULT, status="harness_error"),
        replace(RESULT, scores={"execution": Score(1.0), "text": Score.unscored("reference")}),
    ],
)
def test_our_own_failures_are_tried_again(tmp_path: Path, ours: SampleResult) -> None:
    write(tmp_path, replace(RESULT, sample_id="b"), ours)
    with opened(tmp_path) as folder:
        assert list(folder.results) == ["b"]


@pytest.mark.parametrize("status", ["no_code", "code_error", "timeout", "out_of_memory"])
def test_failures_of_the_model_stay(tmp_path: Path, status: Any) -> None:
    write(tmp_path, replace(RESULT, status=status, scores={"text": Score.failed()}))
    with opened(tmp_path) as folder:
        assert list(folder.results) == ["a"]


def test_results_of_other_samples_are_not_thrown_away(tmp_path: Path) -> None:
    file = write(tmp_path, RESULT, replace(RESULT, sample_id="b"))
    before = file.read_bytes()
    with pytest.raises(
        DataError, match=r"1 samples that are not among the 1 .*such as b; name ano"
    ):
        opened(tmp_path, {"a": "key a"})
    assert file.read_bytes() == before
    with opened(tmp_path, {**KEYS, "c": "key c"}) as folder:
        assert set(folder.results) == {"a", "b"}


# -------------------------------------------------------------------------------- settings


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    file = write(tmp_path, RESULT)
    before = file.read_bytes()
    changed = {**SETTINGS, "protocol.mode": "fixed", "protocol.hash": "f"}
    with pytest.raises(OtherRunError, match=r"name another --out") as caught:
        opened(tmp_path, settings=changed)
    assert caught.value.lines == ("mode: 'official' there, 'fixed' now",)
    assert file.read_bytes() == before


def test_a_setting_more_or_less_is_another_run(tmp_path: Path) -> None:
    write(tmp_path, RESULT)
    for settings in ({**SETTINGS, "protocol.new": 1}, {"protocol.mode": "official"}):
        with pytest.raises(DataError, match="other settings"):
            opened(tmp_path, settings=settings)


def test_settings_that_json_changes_are_still_the_same(tmp_path: Path) -> None:
    settings = {**SETTINGS, "protocol.scorers": ("text", "color"), "environment.é": "ü"}
    opened(tmp_path, settings=settings).__exit__()
    opened(tmp_path, settings=settings).__exit__()


@pytest.mark.parametrize("content", ["", "{", "[]", "5", "null", "[" * 100_000])
def test_unreadable_settings_are_one_line(tmp_path: Path, content: str) -> None:
    write(tmp_path, RESULT)
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError, match="cannot be read; name another --out"):
        opened(tmp_path)


def test_results_without_settings_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text("something of the user's")
    with pytest.raises(DataError, match="unknown run; name another --out"):
        opened(tmp_path)
    assert (tmp_path / "results.jsonl").read_text() == "something of the user's"


@pytest.mark.parametrize("name", ["results.jsonl", "trajectories.jsonl", "answers/policy.jsonl"])
def test_settings_may_change_until_something_is_answered(tmp_path: Path, name: str) -> None:
    """A mistyped address leaves no folder that nobody can use."""
    opened(tmp_path, settings={"protocol.mode": "official"}).__exit__()
    opened(tmp_path).__exit__()
    assert json.loads((tmp_path / "run.json").read_text()) == SETTINGS
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("{}\n")
    with pytest.raises(OtherRunError):
        opened(tmp_path, settings={"protocol.mode": "fixed"})
    assert json.loads((tmp_path / "run.json").read_text()) == SETTINGS


def test_a_file_of_the_same_name_that_is_not_ours_is_kept(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"speed": 5}')
    with pytest.raises(DataError, match="name another --out"):
        opened(tmp_path)
    assert (tmp_path / "run.json").read_text() == '{"speed": 5}'


def test_a_refused_folder_can_be_opened_again(tmp_path: Path) -> None:
    write(tmp_path, RESULT)
    with pytest.raises(DataError):
        opened(tmp_path, settings={})
    opened(tmp_path).__exit__()


def test_a_second_opening_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(UserError, match="another process is writing this run"):
        opened(tmp_path)
    opened(tmp_path).__exit__()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_path_that_is_a_file_is_one_line(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"no folder to write a run to: .*; name another --out"):
        opened(tmp_path / "file" / below)


# ---------------------------------------------------------------------- summary and pictures


def test_the_summary_holds_every_part(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        folder.finish(SUMMARY, finished=True)
    assert read_summary(tmp_path) == {
        "benchmark": "chartmimic",
        "kind": "chart",
        "columns": [
            {
                "key": "text",
                "title": "Text",
                "scorer": "text",
                "over": "all",
                "scale": 100.0,
                "mean_of": [],
            }
        ],
        "finished": True,
        "n_samples": 2,
        "statuses": {"ok": 1},
        "n_unscored": {"text": 0},
        "metrics": {"text": 50.0, "gpt": None},
        "protocol": {},
        "environment": {},
    }


def test_a_summary_does_not_outlive_its_results(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        folder.append(RESULT)
        folder.append(replace(RESULT, sample_id="b"))
        folder.finish(SUMMARY, finished=True)
    with opened(tmp_path):
        assert (tmp_path / "summary.json").exists(), "nothing is to be done"
    with opened(tmp_path, {**KEYS, "c": "key c"}):
        assert not (tmp_path / "summary.json").exists()


def test_pictures_are_stored_by_content(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        names = [folder.add_picture(data) for data in (b"one", b"two", b"one")]
    assert names[0] == names[2] != names[1]
    stored = {path.name: path.read_bytes() for path in (tmp_path / "renderings").iterdir()}
    assert stored == {names[0]: b"one", names[1]: b"two"}


def test_half_a_line_is_taken_back_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_write = os.write
    with opened(tmp_path) as folder:
        folder.append(RESULT)
        before = (tmp_path / "results.jsonl").read_bytes()
        monkeypatch.setattr(os, "write", lambda fd, data: really_write(fd, data[:20]))
        with pytest.raises(OSError, match="only part of a line") as caught:
            folder.append(replace(RESULT, sample_id="b"))
    assert caught.value.errno == errno.ENOSPC
    assert (tmp_path / "results.jsonl").read_bytes() == before


# ------------------------------------------------------------------- the command, killed


def family(pid: int) -> set[int]:
    """A process and all its descendants, from /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        try:
            stat = (entry / "stat").read_text()
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def counted(path: Path) -> dict[str, int]:
    """Title -> how often it was scored."""
    titles = [line.split()[1] for line in path.read_text().splitlines() if "official" in line]
    return {title: titles.count(title) for title in titles}


@pytest.fixture
def slow_data(tmp_path: Path) -> list[object]:
    """Options of a run of six, of which the last four take a while; counts what is scored."""
    names = [f"s_{number}" for number in range(1, 7)]
    waits = dict.fromkeys(names[2:], "import time; time.sleep(2)")
    answers = {name: fenced(plot(name, waits.get(name, ""))) for name in names}
    options = write_data(
        tmp_path, dict.fromkeys(names, plot("t") + '\nplt.savefig("t.pdf")'), answers
    )
    (tmp_path / "counting.py").write_text(COUNTING)
    scorers = ["--scorers", "execution,counting:score", "--workers", 2, "--out", "out"]
    return ["score", "chartmimic", *options, *scorers]


def test_a_killed_run_goes_on(tmp_path: Path, slow_data: list[object]) -> None:
    out, counts = tmp_path / "out", tmp_path / "counts"
    first = started(*slow_data, cwd=tmp_path, COUNTED=str(counts))
    wait_for_lines(first, out / "results.jsonl", 2)
    processes = family(first.pid)
    assert len(processes) > 1, "the chart server"
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert wait_for(lambda: not any(map(alive, processes))), "the server outlives its host"

    lines = (out / "results.jsonl").read_bytes().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b"\n")]
    done = {json.loads(line)["sample_id"] for line in whole}
    assert 2 <= len(done) < 6
    assert not (out / "summary.json").exists()
    with (out / "results.jsonl").open("ab") as file:
        file.write(b'{"sample_id": "s_6", "status": "o')

    again = started(*slow_data, cwd=tmp_path, COUNTED=str(counts))
    assert again.wait(240) == 0, again.communicate()
    again.communicate()
    assert (out / "results.jsonl").read_bytes().startswith(b"".join(whole)), "something was lost"
    assert {line["status"] for line in lines_of(out).values()} == {"ok"}
    assert len(lines_of(out)) == 6
    often = counted(counts)
    assert len(often) == 6
    assert {name: often[name] for name in done} == dict.fromkeys(done, 1), "done twice"
    assert summary_of(out)["finished"] is True


@pytest.fixture
def waiting_data(tmp_path: Path) -> list[object]:
    """Options of a run of four, of which the last two would sleep for longer than the tests run."""
    names = [f"w_{number}" for number in range(1, 5)]
    waits = dict.fromkeys(names[2:], "import time; time.sleep(600)")
    answers = {name: fenced(plot(name, waits.get(name, ""))) for name in names}
    options = write_data(
        tmp_path, dict.fromkeys(names, plot("t") + '\nplt.savefig("t.pdf")'), answers
    )
    (tmp_path / "counting.py").write_text(COUNTING)
    scorers = ["--scorers", "execution,counting:score", "--timeout", 1000, "--out", "out"]
    return ["score", "chartmimic", *options, *scorers]


@pytest.fixture
def waiting_run(tmp_path: Path, waiting_data: list[object]) -> Iterator[subprocess.Popen[str]]:
    process = started(*waiting_data, cwd=tmp_path, COUNTED=str(tmp_path / "counts"))
    wait_for_lines(process, tmp_path / "out" / "results.jsonl", 2)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_ctrl_c_leaves_a_readable_run_that_goes_on(
    tmp_path: Path, waiting_data: list[object], waiting_run: subprocess.Popen[str]
) -> None:
    out, counts = tmp_path / "out", tmp_path / "counts"
    refused = rrvf_here(*waiting_data, cwd=tmp_path)
    assert_one_line(refused, "out: another process is writing this run")

    os.killpg(waiting_run.pid, signal.SIGINT)  # as a terminal sends it
    said, complained = waiting_run.communicate(timeout=120)  # far less than the scripts sleep
    assert (waiting_run.returncode, said) == (130, "")
    assert complained == "stopped; what is done stands in out, the same command goes on\n"
    before = lines_of(out)
    assert set(before) == {"w_1", "w_2"}
    summary = summary_of(out)
    assert (summary["finished"], summary["n_samples"]) == (False, 4)
    assert summary["statuses"] == {"ok": 2}
    assert summary["metrics"]["exec_rate"] == 100.0

    # The sleepers get another answer: only these are scored.
    answers = {f"w_{number}": fenced(plot(f"w_{number}")) for number in range(1, 5)}
    write_data(tmp_path, {}, answers)
    again = started(*waiting_data, cwd=tmp_path, COUNTED=str(counts))
    said, complained = again.communicate(timeout=240)
    assert again.returncode == 0, complained
    assert lines_of(out)["w_1"] == before["w_1"]
    assert counted(counts) == {"w_1": 1, "w_2": 1, "w_3": 1, "w_4": 1}
    assert summary_of(out)["finished"] is True


def test_ctrl_c_before_the_first_result(tmp_path: Path, waiting_data: list[object]) -> None:
    process = started(*waiting_data, cwd=tmp_path)
    assert wait_for(lambda: len(family(process.pid)) > 1 or process.poll() is not None)
    process.send_signal(signal.SIGINT)  # as `kill` sends it
    said, complained = process.communicate(timeout=120)
    assert (process.returncode, said) == (130, "")
    assert "Traceback" not in complained


# ------------------------------------------------------------------------ no space left


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 100 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("only root may mount a small file system, and not everywhere")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_the_run_goes_on(tmp_path: Path, small_disk: Path) -> None:
    names = [f"d_{number}" for number in range(8)]
    references = {name: plot("t" + name) + '\nplt.savefig("t.pdf")' for name in names}
    options = write_data(tmp_path, references, {name: fenced(plot(name)) for name in names})
    command = ["score", "chartmimic", *options, "--out", small_disk / "out"]
    assert_one_line(rrvf_here(*command), "no space left", "free some space", "same command")
    before = lines_of(small_disk / "out")
    assert 0 < len(before) < 8

    larger = ["mount", "-o", "remount,size=10m", str(small_disk)]
    subprocess.run(larger, check=True, capture_output=True)
    done = rrvf_here(*command)
    assert done.returncode == 0, done.stderr
    after = lines_of(small_disk / "out")
    assert len(after) == 8
    assert {name: after[name] for name in before} == before
    assert {line["status"] for line in after.values()} == {"ok"}
    assert not list((small_disk / "out").rglob(".part-*"))
