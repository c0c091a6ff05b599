"""``vf-eval rrvf``: an episode is worth the same as in ``rrvf eval``, and a failure is no zero.

The policy is a server that follows a script. It, the teacher and the judge must be asked the same
questions, to the byte, whoever plays; scores and rewards must be equal floats.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from rrvf import Environment, RuleOptions, RunOptions, open_environment
from rrvf.chat import Picture
from rrvf.episodes import Trajectories
from rrvf.options import JudgeOptions, RewardOptions
from rrvf.rewards import Rewarded
from tests.chat_server import STALLED, ChatServer, Reply, Request, answer, error
from tests.runs import environment, lines_of, plot, rrvf, wait_for_lines

pytestmark = [pytest.mark.trainers, pytest.mark.timeout(600)]

VF_EVAL = Path(sys.executable).with_name("vf-eval")
CHART_TOOL = ("python_render_and_compare_tool", "python_code")
PAGE_TOOL = ("html_render_and_compare_tool", "html_code")
GOLDEN = "<html><body><h1>{}</h1><p style='color: #a00'>High water</p></body></html>"


# ---------------------------------------------------------------------------- what the model writes


def call(code: str, tool: tuple[str, str], end: str = "</tool_call>") -> str:
    told = json.dumps({"name": tool[0], "arguments": {tool[1]: code}})
    return f"<think>a draft</think><tool_call>{told}{end}"


def final(code: str, label: str) -> str:
    return f"<think>done</think><answer>```{label}\n{code}\n```</answer>"


def write_script(good: str, other: str, bad: str, label: str, tool: tuple[str, str]) -> Script:
    """Sample -> what is said turn by turn; the last is said again if need be."""
    return {
        "at_once": [f"```{label}\n{good}\n```"],
        "mended": [call(other, tool), final(good, label)],
        "crashed": [call(bad, tool), final(bad, label)],
        "never": [call(good, tool)],
        "nothing": ["I cannot do this."],
        "cut": [call(other, tool, end=""), final(other, label).removesuffix("</answer>")],
        "twice": [call(other, tool) + call(good, tool), call(good, tool), final(good, label)],
    }


Script = dict[str, list[str]]


@dataclass(frozen=True)
class Setting:
    """A kind of drawing: its data, and what the model writes."""

    benchmark: str
    reference: str
    suffix: str
    script: Script
    vision: str
    scorers: str


CHARTS = Setting(
    "chartmimic",
    plot("{}"),
    ".py",
    write_script(
        plot("Tides mended"),
        plot("Winds"),
        plot("Tides") + "\nraise ValueError('late')",
        "python",
        CHART_TOOL,
    ),
    "text=1, color=0.7, layout=0.3",
    "execution,text,layout,type,color",
)
PAGES = Setting(
    "websight",
    GOLDEN,
    ".html",
    write_script(
        GOLDEN.format("Tides"),
        GOLDEN.format("Winds").replace("#a00", "#0a0"),
        "",
        "html",
        PAGE_TOOL,
    ),
    "block_match=1, text=0.7, color=0.1",
    "execution,block_match,text,position,color",
)


def write_data(setting: Setting, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in setting.script:
        title = f"Tides {name}"
        (folder / f"{name}{setting.suffix}").write_text(setting.reference.replace("{}", title))
    return folder


# ------------------------------------------------------------------------------------- who is asked


def digest(data: object) -> str:
    text = data if isinstance(data, bytes) else json.dumps(data, sort_keys=True).encode()
    return hashlib.sha256(text).hexdigest()


@dataclass
class Asked:
    """A server, and what each of its questions was: a hash of everything sent."""

    replier: Callable[[Request], Reply]
    questions: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> Reply:
        with self._lock:
            self.questions.append(digest(request.body))
        return self.replier(request)

    def taken(self) -> list[str]:
        questions, self.questions = sorted(self.questions), []
        return questions


def follow(
    script: Script, pictures: Mapping[str, str], *, native: bool = False
) -> Callable[[Request], Reply]:
    """A model that says what its script has for the picture that it is shown first."""

    def says(request: Request) -> Reply:
        turns = script[pictures[digest(request.pictures[0])]]
        n_said = sum(message["role"] == "assistant" for message in request.body["messages"])
        text = turns[min(n_said, len(turns) - 1)]
        return answer_natively(text) if native else answer(text)

    return says


def answer_natively(text: str) -> Reply:
    """Calls beside the text, as a server gives them that has taken them out of it."""
    calls = [json.loads(told) for told in re.findall(r"<tool_call>(.*?)</tool_call>", text)]
    if not calls:
        return answer(text)
    native = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {**told, "arguments": json.dumps(told["arguments"])},
        }
        for number, told in enumerate(calls)
    ]
    return answer(text.partition("<tool_call>")[0], tool_calls=native)


def comment(request: Request) -> Reply:
    """A teacher whose words depend on the pictures that it is shown."""
    return answer(f"-**Title**- another one {digest(b''.join(request.pictures))[:8]}")


def judge(request: Request) -> Reply:
    number = 10 + int(digest(b"".join(request.pictures)), 16) % 80
    return answer(f"Score: {number}/100" if "/100" in request.text else f"Score: {number / 10}/10")


@contextmanager
def serve(**repliers: Callable[[Request], Reply]) -> Iterator[dict[str, tuple[str, Asked]]]:
    """Servers by name: their addresses, and what they are asked."""
    with ExitStack() as stack:
        served: dict[str, tuple[str, Asked]] = {}
        for name, replier in repliers.items():
            asked = Asked(replier)
            served[name] = stack.enter_context(ChatServer(asked)).url, asked
        yield served


# ------------------------------------------------------------------------------------ who is played


def vf_words(data: Path, out: Path, url: str, setting: Setting, *words: object) -> list[str]:
    """The words of the documented command."""
    return [
        *("rrvf", "--env.taskset.benchmark", setting.benchmark, "--env.taskset.data", str(data)),
        *("--env.taskset.scorers", setting.scorers),
        *("-m", "policy", "--client.base-url", url, "--client.api-key-var", "NO_KEY_IS_NEEDED"),
        *(
            "--sampling.temperature",
            "0",
            "--no-push",
            "--no-rich",
            "-o",
            str(out),
            "--run.dir",
            "x",
        ),
        *map(str, words),
    ]


def vf_environment(folder: Path) -> dict[str, str]:
    """No account, no cache and no key of the user's."""
    names = ("PRIME_API_KEY", "PRIME_TEAM_ID", "OPENAI_API_KEY")
    env = environment(HOME=str(folder), RRVF_CACHE_DIR=str(folder / "cache of verifiers"))
    return {name: value for name, value in env.items() if name not in names}


def vf_eval(
    words: Sequence[str], folder: Path, command: str = "vf-eval"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(VF_EVAL.with_name(command)), *words],
        capture_output=True,
        text=True,
        timeout=400,
        env=vf_environment(folder),
        cwd=folder,
    )


RESUMING = ("@", "x/configs/resolved/eval.json", "--resume")


def traces_of(out: Path) -> dict[str, dict[str, Any]]:
    """Sample -> the one trace of its one episode."""
    lines = (out / "x" / "traces.jsonl").read_text().splitlines()
    episodes = [json.loads(line) for line in lines]
    traces = {episode["task"]["data"]["id"]: episode["traces"][0] for episode in episodes}
    assert len(traces) == len(episodes)
    return traces


def reward_of(trace: Mapping[str, Any]) -> float:
    """As verifiers adds it up, see ``Trace.reward``."""
    parts = [part for part in trace["rewards"].values() if part is not None]
    return sum(part["score"] * part["weight"] for part in parts)


def pictures_in(trace: Mapping[str, Any]) -> list[str]:
    """Hashes of the pictures of the message graph, each message once."""
    parts = [
        part
        for node in trace["nodes"]
        if isinstance(node["message"].get("content"), list)
        for part in node["message"]["content"]
        if part["type"] == "image_url"
    ]
    urls = [part["image_url"]["url"].partition(",")[2] for part in parts]
    return [digest(base64.b64decode(url, validate=True)) for url in urls]


@contextmanager
def open_world(
    setting: Setting, data: Path, rules: RuleOptions, judged: JudgeOptions | None, reward: str
) -> Iterator[Environment]:
    run = RunOptions(data=str(data), scorers=tuple(setting.scorers.split(",")), judge=judged)
    rewards = RewardOptions(reward_vision=reward, progress_weight=0.3)
    with open_environment(setting.benchmark, run, rules, rewards) as opened:
        yield opened


def find_pictures(opened: Environment) -> dict[str, str]:
    """Hash of the picture that a policy is shown -> sample."""
    found: dict[str, str] = {}
    for name in opened.samples:
        [picture] = [
            part
            for message in opened.begin(name).messages()
            for part in message.parts
            if isinstance(part, Picture)
        ]
        found[digest(picture.png)] = name
    return found


def reward_again(opened: Environment, run: Path) -> dict[str, Rewarded]:
    """What the episodes that ``rrvf eval`` has recorded are worth."""
    kept = Trajectories(run)
    trajectories = {name: kept.find(name, None) for name in opened.samples}
    return {
        name: opened.rewarder(opened.find_sample(name), trajectory)
        for name, trajectory in trajectories.items()
        if trajectory is not None
    }


# --------------------------------------------------------------------------- equal, float for float


@pytest.mark.parametrize(
    ("kind", "has_teacher", "is_native"),
    [
        ("charts", False, False),
        ("charts", True, False),
        ("charts", False, True),
        ("pages", False, False),
        ("pages", True, False),
    ],
)
def test_an_episode_is_that_of_rrvf_eval(
    kind: str,
    has_teacher: bool,
    is_native: bool,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    setting = CHARTS if kind == "charts" else PAGES
    if kind == "pages":
        request.getfixturevalue("web_browser")
    data = write_data(setting, tmp_path / "data")
    reward = f"{setting.vision}, gpt=0.4"
    with (
        open_world(setting, data, RuleOptions(), None, setting.vision) as opened,
        serve(
            policy=follow(setting.script, find_pictures(opened), native=is_native),
            teacher=comment,
            judge=judge,
        ) as served,
    ):
        urls = {name: url for name, (url, _) in served.items()}
        shared = ["--judge", "judge", "--judge-base-url", urls["judge"], "--max-turns", "3"]
        if is_native:
            shared += ["--native-tools"]
        if has_teacher:
            shared += ["--teacher", "teacher", "--teacher-base-url", urls["teacher"]]
        done = rrvf(
            *("eval", setting.benchmark, "--data", data, "--scorers", setting.scorers),
            *("--policy", "policy", "--base-url", urls["policy"], "--out", tmp_path / "eval"),
            *shared,
        )
        assert done.returncode == 0, done.stderr
        asked = {name: one.taken() for name, (_, one) in served.items()}
        judged = JudgeOptions(model="judge", base_url=urls["judge"])
        with open_world(setting, data, RuleOptions(), judged, reward) as rewarding:
            expected = reward_again(rewarding, tmp_path / "eval")
        _ = served["judge"][1].taken()
        words = [word.replace("--", "--env.taskset.") for word in shared]
        words += ["--env.taskset.reward-vision", reward, "--env.taskset.progress-weight", "0.3"]
        done = vf_eval(vf_words(data, tmp_path / "vf", urls["policy"], setting, *words), tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        for name, (_, one) in served.items():
            assert one.taken() == asked[name], name
        assert bool(asked["teacher"]) == has_teacher
    lines, traces = lines_of(tmp_path / "eval"), traces_of(tmp_path / "vf")
    assert set(traces) == set(expected) == set(lines) == set(setting.script)
    for name, trace in traces.items():
        compare(trace, lines[name], expected[name])
    assert {trace["info"]["rrvf"]["stop_reason"] for trace in traces.values()} == {
        *("answered", "max_turns", "no_action")
    }
    assert len({reward_of(trace) for trace in traces.values()}) > 3


def compare(trace: Mapping[str, Any], line: Mapping[str, Any], expected: Rewarded) -> None:
    """A trace of verifiers with a line of ``rrvf eval`` and what its episode is worth."""
    reward, told = expected.reward, trace["info"]["rrvf"]
    assert trace["ok"]
    assert not trace["errors"]
    assert told["status"] == line["status"]
    assert told["stop_reason"] == line["episode"]["stop_reason"]
    assert told["pictures"] == line["pictures"]
    scores = {name: score["value"] for name, score in line["scores"].items()}
    assert trace["metrics"] == {**scores, "reward": reward.total}
    parts = {name: part["score"] for name, part in trace["rewards"].items()}
    assert parts == {
        "vision": reward.vision,
        "format": reward.format,
        "tool": reward.tool,
        "progress": reward.terms["progress"],
    }
    if sys.version_info < (3, 12):  # from 3.12 sum() corrects its rounding, and ours does not
        assert reward_of(trace) == reward.total
    assert reward.total is not None
    assert reward_of(trace) == pytest.approx(reward.total, abs=1e-15)
    observations = [
        observation for turn in expected.trajectory.turns for observation in turn.observations
    ]
    shown = [one.picture for one in observations if one.attached and one.picture is not None]
    is_last = expected.trajectory.stop_reason == "max_turns"  # nobody is shown what came of it
    graph = set(pictures_in(trace))
    n_leaves = len(trace["nodes"]) - len({node.get("parent") for node in trace["nodes"]} - {None})
    # A server that cut off a tag has said another message than the one that is shown again.
    assert n_leaves == (2 if told["sample_id"] == "cut" else 1)
    assert {digest(picture) for picture in (shown[:-1] if is_last else shown)} <= graph
    assert len(graph) <= 1 + len(shown)
    assert reference_of(expected) in graph


def reference_of(rewarded: Rewarded) -> str:
    return digest(rewarded.outcome.pictures["reference"])


# ----------------------------------------------------------------------------- a failure is no zero


ANSWER = [call(plot("Winds"), CHART_TOOL), final(plot("Tides"), "python")]


def write_charts(folder: Path, **references: str) -> Path:
    folder.mkdir(parents=True)
    for name, code in references.items():
        (folder / f"{name}.py").write_text(code)
    return folder


def say(turns: Sequence[str]) -> Callable[[Request], Reply]:
    """A model that says the same of every picture."""

    def says(request: Request) -> Reply:
        return answer(
            turns[sum(message["role"] == "assistant" for message in request.body["messages"])]
        )

    return says


def assert_unmeasured(trace: Mapping[str, Any], *parts: str) -> None:
    """Not a zero: no reward has a value, and the trace says what failed."""
    assert not trace["ok"]
    for part in parts:
        assert part in trace["errors"][-1]["message"]
    assert set(trace["rewards"]) == {"vision", "format", "tool"}
    assert set(trace["rewards"].values()) == {None}


def test_a_reference_that_cannot_be_drawn_is_an_error(tmp_path: Path) -> None:
    data = write_charts(tmp_path / "data", good=plot("Tides"), broken="raise ValueError('mine')")
    with serve(policy=say(ANSWER)) as served:
        url, asked = served["policy"]
        words = vf_words(data, tmp_path, url, CHARTS, "--env.taskset.reward-vision", "text")
        done = vf_eval(words, tmp_path)
        assert len(asked.taken()) == len(ANSWER)
    assert done.returncode == 0, done.stderr[-3000:]
    traces = traces_of(tmp_path)
    assert traces["good"]["ok"]
    assert reward_of(traces["good"]) == 2.0
    assert_unmeasured(traces["broken"], "reference", "mine")
    assert traces["broken"]["errors"][-1]["type"] == "TaskError"


def test_a_judge_that_fails_is_an_error_and_resuming_asks_it_again(tmp_path: Path) -> None:
    data = write_charts(tmp_path / "data", one=plot("Tides"), two=plot("Floods"))
    is_mended = threading.Event()
    judged_first: list[str] = []

    def judge_one(request: Request) -> Reply:
        judged_first.append(digest(request.pictures[0]))
        if judged_first[-1] != judged_first[0] and not is_mended.is_set():
            return error(400, "this picture is not for me")
        return judge(request)

    with serve(policy=say(ANSWER), judge=judge_one) as served:
        judged = ("--env.taskset.judge", "judge", "--env.taskset.judge-base-url")
        words = vf_words(
            data, tmp_path, served["policy"][0], CHARTS, *judged, served["judge"][0], "-c", "1"
        )
        done = vf_eval(words, tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        before = traces_of(tmp_path)
        [kept] = [name for name, trace in before.items() if trace["ok"]]
        [failed] = set(before) - {kept}
        assert_unmeasured(before[failed], "no reward: gpt", "not for me")
        assert before[failed]["metrics"]["gpt"] is None
        assert before[failed]["metrics"]["text"] is not None
        assert before[failed]["info"]["rrvf"]["status"] == "ok"
        n_asked = len(served["policy"][1].taken())
        assert n_asked == 2 * len(ANSWER)
        is_mended.set()
        done = vf_eval(RESUMING, tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        assert len(served["policy"][1].taken()) == len(ANSWER)  # of the one that failed
    after = traces_of(tmp_path)
    assert after[kept] == before[kept]
    assert after[failed]["ok"]
    assert after[failed]["rewards"]["vision"]["score"] == after[failed]["metrics"]["gpt"] > 0


def test_a_server_that_fails_is_an_error(tmp_path: Path) -> None:
    data = write_charts(tmp_path / "data", one=plot("Tides"))
    turns = iter([answer(ANSWER[0]), error(400, "an odd request")])
    with serve(policy=lambda request: next(turns)) as served:
        words = vf_words(
            data, tmp_path, served["policy"][0], CHARTS, "--env.taskset.reward-vision", "text"
        )
        done = vf_eval(words, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    trace = traces_of(tmp_path)["one"]
    assert_unmeasured(trace, "an odd request")
    assert trace["errors"][-1]["type"] == "ProviderError"


# ------------------------------------------------------------------------------ what is the model's


def test_a_conversation_that_outgrows_the_context_is_scored(tmp_path: Path) -> None:
    data = write_charts(tmp_path / "data", one=plot("Tides"))
    turns = iter([answer(ANSWER[0]), error(400, "longer than the maximum context length")])
    with serve(policy=lambda request: next(turns)) as served:
        words = vf_words(
            data, tmp_path, served["policy"][0], CHARTS, "--env.taskset.reward-vision", "text"
        )
        done = vf_eval(words, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    trace = traces_of(tmp_path)["one"]
    assert trace["ok"]
    assert trace["info"]["rrvf"]["stop_reason"] == "token_budget"
    assert reward_of(trace) == 0.2 * -1.0


def test_a_limit_of_verifiers_ends_the_episode_and_scores_it(tmp_path: Path) -> None:
    data = write_charts(tmp_path / "data", one=plot("Tides"))
    with serve(policy=say(ANSWER)) as served:
        words = vf_words(
            data, tmp_path, served["policy"][0], CHARTS, "--env.taskset.reward-vision", "text"
        )
        rules = ("--env.agent.max-turns", "1", "--env.taskset.unanswered", "last_rendered")
        done = vf_eval([*words, *rules], tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    trace = traces_of(tmp_path)["one"]
    assert trace["ok"]
    assert trace["stop_condition"] == "max_turns"
    assert trace["info"]["rrvf"]["stop_reason"] == "token_budget"
    assert trace["info"]["rrvf"]["status"] == "ok"


def test_a_limit_of_time_ends_the_episode_and_scores_it(tmp_path: Path) -> None:
    data = write_charts(tmp_path / "data", one=plot("Tides"))
    turns = iter([answer(ANSWER[0]), STALLED])
    with serve(policy=lambda request: next(turns)) as served:
        words = vf_words(
            data, tmp_path, served["policy"][0], CHARTS, "--env.taskset.reward-vision", "text"
        )
        done = vf_eval([*words, "--env.agent.timeout.rollout", "20"], tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    trace = traces_of(tmp_path)["one"]
    assert trace["ok"]
    assert trace["stop_condition"] == "agent_timeout"
    assert trace["info"]["rrvf"]["stop_reason"] == "time_budget"
    assert trace["rewards"]["format"]["score"] == -1.0


def test_a_killed_evaluation_goes_on(tmp_path: Path) -> None:
    data = write_charts(tmp_path / "data", one=plot("Tides"), two=plot("Floods"))
    gate = threading.Event()
    shown: list[str] = []

    def says(request: Request) -> Reply:
        shown.append(digest(request.pictures[0]))
        first = say(ANSWER)(request)
        if gate.is_set() or shown[-1] == shown[0]:
            return first
        return Reply(first.status, first.body, wait_for=gate)

    with serve(policy=says) as served:
        words = vf_words(
            data, tmp_path, served["policy"][0], CHARTS, "--env.taskset.reward-vision", "layout"
        )
        process = subprocess.Popen(
            [VF_EVAL, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=vf_environment(tmp_path),
            cwd=tmp_path,
        )
        wait_for_lines(process, tmp_path / "x" / "traces.jsonl", 1)
        process.kill()
        _ = process.communicate()
        [kept] = traces_of(tmp_path).items()
        n_before = len(shown)
        gate.set()
        done = vf_eval(RESUMING, tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        assert len(shown) - n_before == len(ANSWER)
    traces = traces_of(tmp_path)
    assert traces[kept[0]] == kept[1]
    assert {reward_of(trace) for trace in traces.values()} == {2.0}


# ---------------------------------------------------------------------------------- how it is found


def test_one_environment_serves_a_whole_evaluation_and_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By verifiers' Python entry, in this process."""
    monkeypatch.setenv("HOME", str(tmp_path))
    from verifiers.v1.cli.eval.runner import run_eval
    from verifiers.v1.cli.resolve import narrow_config
    from verifiers.v1.configs.cli.eval import EvalConfig

    from rrvf.trainers import verifiers as ours

    data = write_charts(tmp_path / "data", **{f"c_{n}": plot(f"Tides {n}") for n in range(5)})
    opened: list[Any] = []
    open_one = ours.open_environment
    with (
        mock.patch.object(
            ours, "open_environment", lambda *words: opened.append(words) or open_one(*words)
        ),
        serve(policy=say(ANSWER)) as served,
    ):
        config = narrow_config(EvalConfig, ["--env.taskset.id", "rrvf"]).model_validate(
            {
                "model": "policy",
                "client": {"base_url": served["policy"][0], "api_key_var": "NO_KEY_IS_NEEDED"},
                "env": {
                    "taskset": {
                        "id": "rrvf",
                        "benchmark": "chartmimic",
                        "data": str(data),
                        "reward_vision": "text",
                    }
                },
                "num_rollouts": 2,
                "push": False,
                "rich": None,
                "output_dir": str(tmp_path / "out"),
            }
        )
        episodes = asyncio.run(run_eval(config))
    assert len(episodes) == 10
    assert all(episode.ok for episode in episodes)
    assert len(opened) == 1
    assert not ours.OPEN.settings()


def test_a_trace_is_worth_the_same_when_it_is_scored_again(tmp_path: Path) -> None:
    data = write_charts(tmp_path / "data", one=plot("Tides"), two=plot("Floods"))
    with serve(policy=say(ANSWER)) as served:
        words = vf_words(
            data, tmp_path, served["policy"][0], CHARTS, "--env.taskset.reward-vision", "text,color"
        )
        assert vf_eval(words, tmp_path).returncode == 0
        _ = served["policy"][1].taken()
        again = ["x", "--no-rich", "--output-dir", str(tmp_path / "again" / "x")]
        done = vf_eval(again, tmp_path, command="vf-replay")
        assert done.returncode == 0, done.stderr[-3000:]
        assert not served["policy"][1].taken()
    before, after = traces_of(tmp_path), traces_of(tmp_path / "again")
    assert len({reward_of(trace) for trace in before.values()}) == 2
    for name, trace in before.items():
        for part in ("rewards", "metrics", "info"):
            assert after[name][part] == trace[part]


def test_a_server_of_environments_plays_a_task_that_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a trainer that serves environments does it: data over a socket, a trace back."""
    monkeypatch.setenv("HOME", str(tmp_path))
    import verifiers.v1 as vf
    from verifiers.v1.serve.client import EnvClient
    from verifiers.v1.serve.server import EnvServer

    data = write_charts(tmp_path / "data", one=plot("Tides"))
    told = {"id": "rrvf", "benchmark": "chartmimic", "data": str(data), "reward_vision": "text"}

    async def play(url: str) -> Any:
        config = vf.resolve_env_config({"taskset": told})
        [task] = vf.load_taskset(config.taskset)
        server = EnvServer(config, "tcp://127.0.0.1:0")
        running = asyncio.create_task(server.run())
        client = EnvClient(server.address)
        try:
            model = vf.EvalClientConfig(base_url=url, api_key_var="NO_KEY_IS_NEEDED")
            sampling = vf.SamplingConfig(temperature=0)
            return await client.run(model, "policy", sampling, task.data.model_dump())
        finally:
            await client.close()
            running.cancel()
            await running

    with serve(policy=say(ANSWER)) as served:
        episode = asyncio.run(play(served["policy"][0]))
    [trace] = episode.traces
    assert trace.ok
    assert trace.reward == trace.metrics["reward"] == 2.0
    assert trace.info["rrvf"]["status"] == "ok"


def test_verifiers_finds_us_by_name() -> None:
    import verifiers.v1 as vf

    from rrvf.trainers import verifiers as ours

    assert vf.taskset_config_type("rrvf") is ours.RrvfTasksetConfig
    assert vf.default_harness_id("rrvf") == "rrvf"
    assert vf.environment_class("rrvf") is ours.RrvfEnv
    assert vf.env_config_type("rrvf")().agent.runtime.type == "subprocess"


def test_options_that_do_not_fit_are_told_in_one_line(tmp_path: Path) -> None:
    words = vf_words(tmp_path, tmp_path, "http://127.0.0.1:1", CHARTS)
    done = vf_eval([*words, "--env.taskset.judge-name", "x"], tmp_path)
    assert done.returncode != 0
    assert "--judge-name has no effect without --judge MODEL" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_task_that_another_process_builds_knows_its_setting(tmp_path: Path) -> None:
    """A server of environments builds a task from its data and the taskset's configuration."""
    import verifiers.v1 as vf

    from rrvf.trainers import verifiers as ours

    told = {"id": "rrvf", "benchmark": "chartmimic", "data": str(tmp_path), "reward_vision": "text"}
    config = vf.resolve_env_config({"taskset": told})
    again = type(config).model_validate_json(config.model_dump_json())
    task = ours.RrvfTask(vf.TaskData(id="a", prompt="p"), again.taskset.task)
    assert task.config.find_setting() == config.taskset.task.find_setting()
    assert task.config.find_setting().run.data == str(tmp_path)
