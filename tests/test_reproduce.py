"""``rrvf reproduce``: every recipe to its row by the real command, killed and resumed."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rrvf.benchmarks import chartmimic_download
from rrvf.errors import DataError, SetupError
from rrvf.options import ReproduceOptions
from rrvf.reproduce import Job, list_recipes, read_recipe
from rrvf.reproduce.data import fetch_data, find_data, list_ids
from rrvf.tables.published import read_published
from tests import fake_vllm
from tests.chat_server import ChatServer, Reply, Request, answer, error, models
from tests.runs import environment, lines_of, rrvf, rrvf_here, started, summary_of

KEY = "sk-test-5f0e2b9c71d4"
PASSWORD = "a-password-of-its-own"
DEMO = Path(__file__).resolve().parents[1] / "rrvf" / "demo_data"
DATA = {"chartmimic": "charts", "plot2code": "plots", "websight": "pages"}
POLICIES = ("rrvf", "qwen2.5-vl-7b", "gpt-4o")
N = 2


class Lab:
    """A machine with vLLM and GPUs, and OpenAI at an address of this one."""

    def __init__(self, folder: Path, *gib: int) -> None:
        self.folder = folder
        self.out = folder / "row"
        self.fake = folder / "fake"
        self.checkpoint = folder / "checkpoint"
        self.checkpoint.mkdir(parents=True)
        (self.checkpoint / "config.json").write_text("{}")
        self.more = {
            **fake_vllm.install(self.fake, *gib),
            "RRVF_CACHE_DIR": str(folder / "cache"),
            "HF_HUB_OFFLINE": "1",
            "OPENAI_API_KEY": KEY,
        }
        self.env = environment(**self.more)
        self.judged: Counter[str] = Counter()
        self.played: Counter[str] = Counter()
        self.told = ""

    def openai(self, request: Request) -> Reply:
        """A judge, or the policy of a row that is asked by API."""
        said = self._say(request)
        counts = self.judged if len(request.pictures) == 2 else self.played
        counts[fake_vllm.fingerprint(request.body)] += said.status == 200
        return said

    def _say(self, request: Request) -> Reply:
        if len(request.pictures) == 2:
            return answer("Score: 62/100\nRating: [[6]]")
        return fake_vllm.play(request)

    def words(self, recipe: str, server: ChatServer, *more: object) -> list[Any]:
        name = recipe.rpartition("-")[2]
        words: list[Any] = ["reproduce", recipe, "--out", self.out, "--limit", N]
        words += ["--data", DEMO / DATA[name] / "references", "--judge-base-url", server.url]
        if recipe.startswith("gpt"):
            return [*words, "--base-url", server.url, *more]
        words += ["--checkpoint", self.checkpoint]
        return [*words, *(["--teacher", self.checkpoint] if recipe[0] == "r" else []), *more]

    def row(self) -> dict[str, Any]:
        return json.loads((self.out / "row.json").read_text())

    def starts(self) -> list[dict[str, Any]]:
        return fake_vllm.read_lines(self.fake, "started")

    def asked(self) -> list[str]:
        """Questions that a server of ours has answered."""
        return fake_vllm.read_lines(self.fake, "asked")

    def stored(self, folder: Path) -> int:
        return len([*folder.glob("*/*.json")])

    def living(self) -> list[int]:
        """Servers of ours and what they started, as far as they are there."""
        pids = [start["pid"] for start in self.starts()]
        return [pid for pid in [*pids, *fake_vllm.read_lines(self.fake, "engines")] if lives(pid)]

    def assert_no_key(self) -> None:
        files = [path for path in self.out.rglob("*") if path.is_file()]
        assert len(files) > 5
        for secret in (KEY, PASSWORD):
            assert not [path for path in files if secret.encode() in path.read_bytes()]


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    found = Lab(tmp_path / "lab", 24, 80, 80, 80, 80)
    yield found
    for pid in found.living():
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, dict[str, Any]]:
    """A row with two servers of our own, undisturbed."""
    lab = Lab(tmp_path_factory.mktemp("calm"), 24, 80, 80, 80, 80)
    with ChatServer(lab.openai) as server:
        done = rrvf(*lab.words("rrvf-chartmimic", server), env=lab.env)
    assert done.returncode == 0, done.stderr
    lab.told = done.stdout
    return lab, lab.row()


@pytest.fixture
def openai(lab: Lab) -> Iterator[ChatServer]:
    with ChatServer(lab.openai) as server:
        yield server


# ---------------------------------------------------------------------------------- recipes


def test_there_is_a_recipe_for_each_row_that_is_aimed_at() -> None:
    assert list_recipes() == sorted(f"{policy}-{name}" for policy in POLICIES for name in DATA)


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_aims_at_a_row_of_the_paper(name: str) -> None:
    recipe = read_recipe(name)
    policy, _, benchmark = name.rpartition("-")
    assert recipe.row.benchmark == recipe.data.source == benchmark
    row = recipe.published_row()
    begins = {"rrvf": "RRVF", "qwen2.5-vl-7b": "Qwen2.5-VL-7B-Instruct"}
    assert row.model.startswith(begins.get(policy, "GPT-4o-2024-11-20"))
    assert recipe.judge.rubric == f"{benchmark}_judge"
    assert (recipe.loop.max_turns > 1, recipe.teacher is not None) == (policy == "rrvf",) * 2
    n_published = read_published(benchmark).n_samples
    assert n_published in (None, recipe.data.samples)


def test_the_wheel_brings_the_recipes(built_wheel: Path, project: Path) -> None:
    wheel = zipfile.ZipFile(built_wheel)
    names = [name for name in wheel.namelist() if name.startswith("rrvf/results/recipes/")]
    assert [Path(name).stem for name in sorted(names)] == list_recipes()
    for name in names:
        assert wheel.read(name) == (project / "results/recipes" / Path(name).name).read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("gpu_gib: 22", "gpu_gb: 22", 'no key "policy.gpu_gb"; did you mean "policy.gpu_gib"?'),
        ("\nloop:", "\nloops:", 'did you mean "loop"?'),
        ("max_turns: 5", "max_turn: 5", 'did you mean "loop.max_turns"?'),
        ("max_turns: 5", "max_turns: 0", "loop.max_turns"),
        ("max_turns: 5", "max_turns: many", "loop.max_turns"),
        ("max_turns: 5", "max_turns: 1", "a teacher comments on nothing"),
        ("benchmark: chartmimic", "benchmark: chartmimik", 'did you mean "chartmimic"?'),
        ('model: "RRVF (Ours)', 'model: "RRVF (Our)', 'did you mean "RRVF (Ours)'),
        ("row:", "row: [", "no recipe"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_one_line(
    tmp_path: Path, project: Path, old: str, new: str, told: str
) -> None:
    text = (project / "results/recipes/rrvf-chartmimic.yaml").read_text()
    assert text.count(old) >= 1
    (tmp_path / "own.yaml").write_text(text.replace(old, new))
    with pytest.raises(DataError) as caught:
        read_recipe(str(tmp_path / "own.yaml"))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("rrvf-chartmimik", 'did you mean "rrvf-chartmimic"?'),
        ("nowhere/own.yaml", "no recipe to read: No such file"),
    ],
)
def test_an_unknown_recipe_is_one_line(tmp_path: Path, name: str, told: str) -> None:
    done = rrvf_here("reproduce", name, "--out", tmp_path / "row")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert told in done.stderr
    assert not (tmp_path / "row").exists()


# ------------------------------------------------------------------------------ end to end

QUICK = ("rrvf-chartmimic", "qwen2.5-vl-7b-plot2code")
EVERY = [
    pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in list_recipes()
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("recipe", EVERY)
def test_a_recipe_from_its_data_to_its_row(
    recipe: str, lab: Lab, openai: ChatServer, request: pytest.FixtureRequest
) -> None:
    if recipe.endswith("websight"):
        request.getfixturevalue("web_browser")
    if recipe == "rrvf-chartmimic":
        lab, _ = request.getfixturevalue("loop")
        told = lab.told
    else:
        done = rrvf(*lab.words(recipe, openai), env=lab.env)
        assert done.returncode == 0, done.stderr
        told = done.stdout
    row, benchmark = lab.row(), recipe.rpartition("-")[2]
    assert (lab.out / "row.md").read_text() in told
    printed = {figure["key"]: figure for figure in row["figures"]}
    assert printed["gpt"]["here"] == pytest.approx(6.0 if benchmark == "plot2code" else 62.0)
    published = read_recipe(recipe).published_row()
    assert {key: figure["paper"] for key, figure in printed.items()} == dict(published.cells)
    gpt = printed["gpt"]
    assert gpt["difference"] == pytest.approx(gpt["here"] - float(published.cells["gpt"]))
    assert gpt["interval"] == [gpt["here"], gpt["here"]], "both samples were judged alike"
    assert row["finished"]
    assert row["protocol"]["limit"] == f"the first {N} samples alone"
    is_loop = recipe.startswith("rrvf")
    turns = "loop of at most 5 turns, teacher Qwen/Qwen2.5-VL-72B-Instruct"
    assert row["protocol"]["turns"] == (turns if is_loop else "single turn")
    n_asked = len(lab.asked()) + sum(lab.played.values())
    assert n_asked == (3 * N if is_loop else N), "two turns and a comment, or one turn"
    assert set(lab.judged.values()) == {1}
    assert len(lab.judged) == N
    n_servers = {"r": 2, "q": 1, "g": 0}[recipe[0]]
    assert len(lab.starts()) == n_servers
    assert lab.living() == []
    lab.assert_no_key()
    assert (lab.out / "judged" / "report.html").exists()


def test_servers_get_their_cards_and_no_key(loop: tuple[Lab, dict[str, Any]]) -> None:
    lab, _ = loop
    policy, teacher = sorted(lab.starts(), key=lambda start: start["words"][5] != "RRVF-7B")
    assert (policy["cards"], teacher["cards"]) == ("0", "1,2,3,4"), "the large ones to the teacher"
    told = " ".join(policy["words"])
    assert told.startswith(f"serve {lab.checkpoint} --host 127.0.0.1 --served-model-name RRVF-7B")
    assert "--max-model-len 32768" in told
    assert '--limit-mm-per-prompt {"image": 17}' in told
    assert "--tensor-parallel-size 4" in " ".join(teacher["words"])
    assert "OPENAI_API_KEY" not in policy["env"]


def test_a_finished_row_is_read_again_without_anything(loop: tuple[Lab, dict[str, Any]]) -> None:
    lab, row = loop
    (lab.out / "row.md").unlink()
    (lab.out / "row.json").unlink()
    bare = {**lab.env, "PATH": "/usr/bin:/bin"}
    del bare["OPENAI_API_KEY"]
    with ChatServer(lab.openai) as server:
        n_starts, n_asked = len(lab.starts()), len(lab.asked())
        words = lab.words("rrvf-chartmimic", server)
    done = rrvf_here(*words, env=bare)
    assert done.returncode == 0, done.stderr
    assert lab.row() == row
    assert "play: done before, 2 episodes" in done.stderr
    assert "judge: done before, 2 results" in done.stderr
    assert (len(lab.starts()), len(lab.asked())) == (n_starts, n_asked)


# ------------------------------------------------------------------------ killed, and resumed


def kill_when(lab: Lab, words: list[Any], condition: Any, number: int = signal.SIGKILL) -> Any:
    """Start the command and end it once something is true; returns what it said."""
    process = started(*words, cwd=lab.folder, **lab.more)
    deadline = time.monotonic() + 240
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition(), process.communicate() if process.poll() is not None else "not in time"
    assert process.poll() is None, process.communicate()
    if number == signal.SIGKILL:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    told = process.communicate(timeout=120)
    return process.returncode, *told


@pytest.mark.timeout(1800)
def test_killed_in_each_step_and_resumed_as_if_undisturbed(
    lab: Lab, openai: ChatServer, loop: tuple[Lab, dict[str, Any]]
) -> None:
    words = lab.words("rrvf-chartmimic", openai, "--judge-concurrency", 1)
    answers, cache = lab.out / "played" / "answers", lab.folder / "cache" / "chat"

    # While the servers start: they outlive it, and are gone on with.
    (lab.fake / "hold-start").touch()
    kill_when(lab, words, lambda: len(lab.starts()) == 2 and len(lab.living()) == 4)
    assert len(lab.living()) == 4
    (lab.fake / "hold-start").unlink()

    # While it plays, with two answers kept and no other under way.
    hold = lab.fake / "hold-2"
    hold.touch()
    kill_when(lab, words, lambda: lab.stored(answers) + lab.stored(cache) == 2)
    assert len(lab.starts()) == 2, "those that ran already"
    assert len(lab.asked()) == 2
    hold.unlink()
    for pid in lab.living():  # and this time they are gone
        os.kill(pid, signal.SIGKILL)

    # While it judges, one answer of two being there.
    openai.replier = lambda request: lab.openai(request) if not lab.judged else Reply(stall=True)
    kill_when(lab, words, lambda: lab.stored(cache) == 2 + 1)
    assert len(lab.starts()) == 4
    assert lab.living() == [], "nothing is served while it judges"
    openai.replier = lab.openai

    done = rrvf(*words, env=lab.env)
    assert done.returncode == 0, done.stderr
    assert "play: done before, 2 episodes" in done.stderr
    assert len(lab.starts()) == 4
    assert Counter(lab.asked()).most_common(1)[0][1] == 1, "what was answered is not asked again"
    assert len(lab.asked()) == 3 * N
    assert set(lab.judged.values()) == {1}
    calm, row = loop[1], lab.row()
    assert row["figures"] == calm["figures"]
    assert row["protocol"] == calm["protocol"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_by_a_signal_no_server_stays(lab: Lab, openai: ChatServer, number: int) -> None:
    is_start = number == signal.SIGINT
    (lab.fake / ("hold-start" if is_start else "hold-1")).touch()
    words = lab.words("qwen2.5-vl-7b-chartmimic", openai)
    answers = lab.out / "played" / "answers"
    status, _, told = kill_when(
        lab, words, lambda: lab.living()[1:] if is_start else lab.stored(answers), number
    )
    assert status == 128 + number
    assert f"stopped; what is done stands in {lab.out}" in told
    assert "Traceback" not in told
    assert lab.living() == []
    assert list((lab.out / "servers").glob("*.json")) == []


def test_a_server_that_does_not_start_is_one_line(lab: Lab, openai: ChatServer) -> None:
    (lab.fake / "fail").write_text("torch.OutOfMemoryError: CUDA out of memory")
    done = rrvf_here(*lab.words("qwen2.5-vl-7b-chartmimic", openai), env=lab.env)
    assert (done.returncode, done.stdout) == (2, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("rrvf: the policy's vllm serve has ended")
    assert "CUDA out of memory" in last
    assert lab.living() == []


def test_a_server_that_takes_too_long_is_one_line(lab: Lab, openai: ChatServer) -> None:
    (lab.fake / "hold-start").touch()
    words = lab.words("qwen2.5-vl-7b-chartmimic", openai, "--patience", 2)
    done = rrvf_here(*words, env=lab.env)
    assert (done.returncode, done.stdout) == (2, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("rrvf: the policy's vllm serve does not answer after 2 s; see ")
    assert "raise --patience" in last
    assert lab.living() == []


@pytest.mark.timeout(300)
def test_a_key_that_the_judge_refuses_loses_nothing(lab: Lab, openai: ChatServer) -> None:
    words = lab.words("gpt-4o-chartmimic", openai)
    place = words.index("--judge-base-url") + 1
    words[place] = openai.url.replace("//", f"//somebody:{PASSWORD}@")
    openai.replier = lambda request: (
        error(401, f"Incorrect API key provided: {KEY}")
        if len(request.pictures) == 2
        else lab.openai(request)
    )
    done = rrvf_here(*words, env=lab.env)
    assert done.returncode == 2
    assert "it takes the key in $OPENAI_API_KEY not for" in done.stderr.splitlines()[-1]
    assert not {KEY, PASSWORD} & set(re.findall(r"[\w-]+", done.stderr + done.stdout))
    assert sum(lab.played.values()) == N

    def judge_by_new_name(request: Request) -> Reply:
        told = "Unsupported parameter: 'max_tokens'"
        is_old = "max_tokens" in request.body
        return error(400, told, "unsupported_parameter") if is_old else lab.openai(request)

    openai.replier = judge_by_new_name
    done = rrvf_here(*words, env=lab.env)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("does not take max_tokens") == 1
    assert lab.row()["protocol"]["requests to the judge"] == "by a new name max_tokens"
    assert "requests to the policy" not in lab.row()["protocol"]
    assert sum(lab.played.values()) == N
    assert summary_of(lab.out / "judged")["metrics"]["gpt"] == pytest.approx(62.0)
    assert set(lines_of(lab.out / "played")) == set(lines_of(lab.out / "judged"))
    lab.assert_no_key()


# ------------------------------------------------------------------------- what is missing


def missing(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Its lines, by what they are about; each with the program's name before it."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    lines = done.stderr.splitlines()
    assert all(line.startswith("rrvf: ") for line in lines)
    return [line.removeprefix("rrvf: ") for line in lines]


def test_everything_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    env = environment(PATH="/nonexistent", RRVF_CACHE_DIR=str(tmp_path / "cache"))
    env.pop("OPENAI_API_KEY", None)
    own = ("--data", DEMO / "charts" / "references", "--teacher", tmp_path)
    done = rrvf_here("reproduce", "rrvf-chartmimic", "--out", tmp_path / "row", *own, env=env)
    checkpoint, teacher, gpus, vllm, key = missing(done)
    assert checkpoint.startswith("policy's checkpoint: the recipe names none; give --checkpoint")
    assert "chenzju/rrvf_chartmimic" in checkpoint
    assert teacher.startswith(f"teacher's checkpoint: {tmp_path}: no checkpoint (config.json")
    assert gpus.startswith("GPUs: wanted policy: 1 of 22 GiB; teacher: 4 of 75 GiB; nvidia-smi")
    assert gpus.endswith("give --base-url and --teacher-base-url URL")
    assert vllm.startswith("vllm: no command of this name; pip install 'rrvf[vllm]'")
    assert key.startswith("judge's key: gpt-4o-2024-11-20 is asked at OpenAI; set $OPENAI_API_KEY")
    assert not (tmp_path / "row" / "played").exists()


def lacking(lab: Lab, server: ChatServer, *more: object, recipe: str = "qwen2.5-vl-7b") -> str:
    words = lab.words(f"{recipe}-chartmimic", server, *more)
    [line] = missing(rrvf_here(*words, env=lab.env))
    return line


def test_each_thing_that_is_missing_is_one_line(
    lab: Lab, openai: ChatServer, project: Path
) -> None:
    assert lacking(lab, openai, "--data", lab.folder / "none").startswith("data: ")
    told = lacking(lab, openai, "--checkpoint", "./nowhere")
    assert told.startswith("policy's checkpoint: ./nowhere: no folder and no name on the hub")
    told = lacking(lab, openai, "--base-url", "http://127.0.0.1:9/v1")
    assert told.startswith("policy's server: nothing answers at http://127.0.0.1:9/v1")
    openai.models = models({"id": "a"}, {"id": "b"})
    told = lacking(lab, openai, "--base-url", openai.url, "--judge", "likeness")
    assert told == "policy's server: serves a, b; name one by --checkpoint"
    lab.env |= fake_vllm.install(lab.fake, 16)
    told = lacking(lab, openai, "--judge", "likeness")
    assert told.startswith("GPUs: wanted policy: 1 of 22 GiB; here 16 GiB")
    lab.env |= fake_vllm.install(lab.fake, 24)
    (lab.fake / "bin" / "vllm").unlink()
    assert lacking(lab, openai, "--judge", "likeness").startswith("vllm: no command of this name")
    own = (project / "results/recipes/gpt-4o-chartmimic.yaml").read_text()
    (lab.folder / "own-chartmimic.yaml").write_text(
        own.replace("disk_gb: 4", "disk_gb: 9000000000")
    )
    words = lab.words("gpt-4o-chartmimic", openai, "--judge", "likeness")
    words[1] = lab.folder / "own-chartmimic.yaml"
    openai.models = lambda: error(404)
    words[3] = lab.folder / "other"
    [told] = missing(rrvf_here(*words, env=lab.env))
    assert re.match(r"disk: \d+ GB free at .*, 9e\+09 GB wanted; make room, or name an", told)
    lab.env.pop("OPENAI_API_KEY")
    words = ["reproduce", "gpt-4o-chartmimic", "--out", lab.folder / "third", *words[4:8]]
    policy, judge = missing(rrvf_here(*words, env=lab.env))
    assert policy == "policy's key: gpt-4o-2024-11-20 is asked at OpenAI; set $OPENAI_API_KEY"
    assert judge.startswith("judge's key: ")


@pytest.mark.parametrize(
    ("recipe", "flag"),
    [
        ("qwen2.5-vl-7b-chartmimic", "--teacher"),
        ("gpt-4o-chartmimic", "--teacher-base-url"),
        ("gpt-4o-chartmimic", "--checkpoint"),
    ],
)
def test_what_a_recipe_has_no_use_for_is_one_line(tmp_path: Path, recipe: str, flag: str) -> None:
    done = rrvf_here("reproduce", recipe, "--out", tmp_path / "row", flag, "http://127.0.0.1:9/v1")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"{flag} has no effect" in done.stderr


def test_a_folder_of_another_recipe_or_policy_is_refused(
    lab: Lab, openai: ChatServer, loop: tuple[Lab, dict[str, Any]]
) -> None:
    lab.out = loop[0].out
    done = rrvf_here(*lab.words("qwen2.5-vl-7b-chartmimic", openai), env=lab.env)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "holds a row of another recipe; name another --out" in done.stderr
    (lab.checkpoint / "config.json").write_text('{"other": 1}')
    done = rrvf_here(*lab.words("rrvf-chartmimic", openai), env=lab.env)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "was played by another checkpoint; name another --out" in done.stderr
    assert lab.starts() == []


# ------------------------------------------------------------------------------------ plan


def plan(*words: object, env: Mapping[str, str]) -> str:
    done = rrvf_here("reproduce", *words, "--plan", env=env)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_a_plan_starts_nothing_and_marks_what_is_missing(tmp_path: Path) -> None:
    env = environment(PATH="/nonexistent", RRVF_CACHE_DIR=str(tmp_path / "cache"))
    env.pop("OPENAI_API_KEY", None)
    told = plan("rrvf-chartmimic", "--out", tmp_path / "row", env=env)
    marked = [line for line in told.splitlines() if line.startswith("!! ")]
    assert {line[3:].partition(":")[0] for line in marked} >= {
        *("policy's checkpoint", "GPUs", "vllm", "judge's key"),
    }
    assert not (tmp_path / "row").exists()


def test_a_plan_tells_what_it_may_cost(lab: Lab) -> None:
    """By hand: 1,000 judgements of 300 tokens at 10 USD a million are 3 USD of what is written.

    A picture of 2048 x 2048 is scaled to 768 x 768, four tiles: 85 + 4 x 170 = 765 tokens.
    """
    out = lab.folder / "plan"
    told = plan("gpt-4o-websight", "--out", out, "--limit", 1000, env=lab.env)
    [judge] = [line for line in told.splitlines() if "judge gpt-4o" in line]
    found = re.search(r"1,000 questions, at most 2,000; about ([\d,]+) tokens to read", judge)
    assert found is not None
    read = int(found[1].replace(",", ""))
    assert 2 * 765 * 1000 < read < 2 * 765 * 1000 + 1_000_000
    low, high = (float(text) for text in re.findall(r"\$([\d.]+)", judge))
    assert low == pytest.approx(read * 2.5e-6 + 1000 * 300 * 10e-6, abs=0.01)
    assert high == pytest.approx(2 * read * 2.5e-6 + 2000 * 2048 * 10e-6, abs=0.01)
    [policy] = [line for line in told.splitlines() if "policy gpt-4o" in line]
    assert "1,000 questions, at most 1,000;" in policy
    assert "not checked" in told
    assert not out.exists()


# ------------------------------------------------------------------------------------ data


def job_of(recipe: str, out: Path) -> Job:
    return Job(recipe, read_recipe(recipe), ReproduceOptions(), out)


def test_chartmimic_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "archive.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for n in range(3):
            script = b"import matplotlib.pyplot as plt\n"
            member = tarfile.TarInfo(f"direct_600/bar_{n}.py")
            member.size = len(script)
            tar.addfile(member, io.BytesIO(script))
    fetched: list[str] = []

    def fetch(name: str, revision: str) -> Path:
        fetched.append(name)
        return archive

    monkeypatch.setattr(chartmimic_download, "_fetch", fetch)
    job = job_of("gpt-4o-chartmimic", tmp_path / "row")
    assert (find_data(job), list_ids(job)) == (None, None)
    data = fetch_data(job)
    assert fetch_data(job) == find_data(job) == data
    assert len(fetched) == 1
    assert list_ids(job) == ["bar_0", "bar_1", "bar_2"]


class FakeHub:
    """The hub's package: the first download breaks off after one file."""

    def __init__(self) -> None:
        self.n_downloads = 0

    def HfApi(self) -> FakeHub:  # noqa: N802 - its name
        return self

    def dataset_info(self, name: str, **_: object) -> SimpleNamespace:
        assert name == "TencentARC/Plot2Code"
        return SimpleNamespace(sha="c0ffee")

    def snapshot_download(self, name: str, *, local_dir: Path, **told: Any) -> None:
        assert (told["repo_type"], told["revision"]) == ("dataset", "c0ffee")
        self.n_downloads += 1
        folder = Path(local_dir) / "data/python_matplotlib/test"
        folder.mkdir(parents=True, exist_ok=True)
        row = {"file_name": "a.png", "code": "import matplotlib"}
        (folder / "metadata.jsonl").write_text(json.dumps(row) + "\n")
        if self.n_downloads == 1:
            raise ConnectionError("the line was cut")


def test_plot2code_is_fetched_until_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = FakeHub()
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    job = job_of("gpt-4o-plot2code", tmp_path / "row")
    with pytest.raises(SetupError, match=r"cannot fetch .*ConnectionError"):
        fetch_data(job)
    assert find_data(job) is None, "half of it is none of it"
    data = fetch_data(job)
    assert (fetch_data(job), hub.n_downloads) == (data, 2)
    assert list_ids(job) == ["a"]


def test_a_subset_is_looked_for_where_there_are_several(tmp_path: Path) -> None:
    job = job_of("gpt-4o-chartmimic", tmp_path / "row")
    (tmp_path / "flat").mkdir()
    (tmp_path / "root" / "v2" / "direct_600").mkdir(parents=True)
    assert job.run_options(str(tmp_path / "flat")).subset is None
    assert job.run_options(str(tmp_path / "root")).subset == "direct_600"
    assert job.run_options(str(tmp_path / "root" / "v2")).subset == "direct_600"
