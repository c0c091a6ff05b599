"""0 is the model's, null is ours, on both sides: broken references, answers without a picture."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rrvf.agent import AgentSettings, run_episode
from rrvf.benchmarks.predictions import explain_loss, load_predictions
from rrvf.by_turn import summarize_episodes
from rrvf.chat import Chat, ChatSettings, Message, TooLongError
from rrvf.errors import HarnessError
from rrvf.evaluate import score_item
from rrvf.policies import BatchPolicy, BatchRequest, EndpointPolicy, RecordedPolicy
from rrvf.render_tool import CHART_TOOL
from rrvf.renderers.chart import ChartRenderer, Limits
from rrvf.rewards import Rewarder, RewardSettings, as_trajectory
from rrvf.scorers.likeness import LikenessJudge
from rrvf.scoring import Item
from rrvf.teacher import PictureOnly
from rrvf.trajectories import Completion
from rrvf.types import EpisodeResult, PageRendering, Sample, SampleResult, Score, TurnScores
from tests.benches import chart_bench, picture_bench
from tests.chat_server import ChatServer, Reply, Request, answer, completion, error, reply
from tests.episodes import SAMPLE, FakeCanvas, call
from tests.runs import (
    FakeRenderer,
    fenced,
    kept_renderer,
    lines_of,
    plot,
    rrvf_here,
    sample,
    summary_of,
    values,
    write_data,
)

BROKEN = "import numpy\nnumpy.no_such_function([1])\n"
OPEN = dict.fromkeys(("text", "layout", "type", "color"))


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RRVF_CACHE_DIR", str(tmp_path / "cache"))


# -------------------------------------------------------------------------- broken references


def test_an_item_with_a_broken_reference_is_in_no_mean_whatever_its_answer(tmp_path: Path) -> None:
    good = plot("Sales") + "\nplt.savefig('o.pdf')"
    data = write_data(
        tmp_path,
        {"fine": good, "good": BROKEN + good, "same": BROKEN + good, "prose": BROKEN + good},
        {"fine": fenced(good), "good": fenced(good), "same": fenced(BROKEN + good), "prose": "no"},
    )
    done = rrvf_here("score", "chartmimic", *data, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    lines = lines_of(tmp_path / "out")
    assert {name: line["status"] for name, line in lines.items()} == {
        "fine": "ok",
        "good": "ok",
        "same": "code_error",
        "prose": "no_code",
    }
    assert values(lines["good"]) == {"execution": 1.0, **OPEN}
    assert values(lines["same"]) == values(lines["prose"]) == {"execution": 0.0, **OPEN}
    metrics = summary_of(tmp_path / "out")["metrics"]
    assert (metrics["exec_rate"], metrics["average"]) == (50.0, 100.0)
    assert "3 references cannot be drawn" in done.stdout
    assert "no_such_function" in done.stdout


def test_a_broken_reference_of_plot2code_leaves_a_failing_answer_open(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "python_matplotlib" / "test"
    folder.mkdir(parents=True)
    codes = {"good": plot("a"), "broken": BROKEN, "broken_too": BROKEN, "broken_empty": BROKEN}
    rows = [
        {"file_name": f"{name}.png", "code": code, "instruction": ""}
        for name, code in codes.items()
    ]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = {"good": plot("a"), "broken": plot("a"), "broken_too": "raise ValueError"}
    answers = [{"id": name, "prediction": fenced(code)} for name, code in told.items()]
    answers.append({"id": "broken_empty", "prediction": " "})
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(one) + "\n" for one in answers))
    out = tmp_path / "out"
    done = rrvf_here(
        *("score", "plot2code", "--data", tmp_path / "data"),
        *("--predictions", tmp_path / "p.jsonl", "--out", out),
    )
    assert done.returncode == 0, done.stderr
    found = {name: values(line) for name, line in lines_of(out).items()}
    assert found == {
        "good": {"execution": 1.0, "text": 1.0},
        "broken": {"execution": 1.0, "text": None},
        "broken_too": {"execution": 0.0, "text": None},
        "broken_empty": {"execution": 0.0, "text": None},
    }
    assert "3 references cannot be drawn" in done.stdout


class Nobody:
    """A judge that may not be asked."""

    name = "gpt"
    concurrency = 1

    def protocol(self) -> dict[str, Any]:
        return {}

    def expected(self, n_pairs: int) -> None: ...

    def spent(self) -> None: ...

    def __call__(self, reference: bytes, rendering: bytes) -> Score:
        raise AssertionError("there is nothing to look at")


@pytest.mark.parametrize("answer", [fenced("ok a"), fenced("code_error"), "prose", None])
def test_neither_judge_nor_reward_tells_answers_to_a_broken_reference_apart(
    answer: str | None,
) -> None:
    scoring = chart_bench(FakeRenderer(), judge=Nobody())
    item: Item = (sample("a", "code_error"), answer)
    scores = score_item(item, scoring).result.scores
    assert {name: scores[name].value for name in (*OPEN, "gpt")} == {**OPEN, "gpt": None}
    assert "it was to be code_error" in scores["gpt"].details["reason"]
    rewarder = Rewarder(scoring, RewardSettings(vision={"gpt": 1.0}))
    reward = rewarder(item[0], as_trajectory(item[0], answer or "", "python")).reward
    assert reward.total is None


def test_a_customized_reference_without_data_leaves_every_answer_open() -> None:
    scoring = chart_bench(FakeRenderer())
    for text in (fenced("ok a"), "prose", None):
        item: Item = (sample("a", "ok a", task="customized"), text)
        result = score_item(item, scoring).result
        assert {score.value for score in result.scores.values()} == {None}, text


def test_an_episode_without_code_beside_a_broken_reference_is_in_no_mean_by_turn() -> None:
    def mean(results: Any) -> dict[str, float | None]:
        known = [one.scores["text"].value for one in results]
        known = [value for value in known if value is not None]
        return {"text": sum(known) / len(known) if known else None}

    def played(value: float | None, *turns: TurnScores) -> SampleResult:
        episode = EpisodeResult("no_action", 1, {}, turns)
        return SampleResult("a", "no_code", None, 0.0, {"text": Score(value)}, episode=episode)

    fine = played(0.8, TurnScores(1, None, "ok", {"text": 0.8}))
    unknown, mute = played(None), played(0.0)
    (row,) = summarize_episodes([fine, unknown], mean)["by_turn"]
    assert row["carried"]["text"] == 0.8
    (row,) = summarize_episodes([fine, mute], mean)["by_turn"]
    assert row["carried"]["text"] == 0.4


def test_a_sample_keeps_its_own_picture_for_the_judge(tmp_path: Path) -> None:
    """The judge compares with the data set's picture, which a broken script takes nothing from."""
    from PIL import Image

    picture = tmp_path / "a.png"
    Image.new("RGB", (30, 20), "red").save(picture)
    scoring = chart_bench(FakeRenderer(), judge=Nobody())
    item: Item = (Sample("a", "code_error", picture), fenced("code_error"))
    result = score_item(item, scoring).result
    assert (result.scores["gpt"].value, result.scores["text"].value) == (0.0, None)


# ------------------------------------------------------------- an answer that only seems to be lost

SEEMING = {
    "good": fenced(plot("t")),
    "1": "Failed to obtain answer. I cannot do this one.",
    "2": "Failed to obtain answer",
    "3": "Failed to obtain answer via API.",
    "4": "Failed to obtain answer via API. " + fenced("x"),
}


def test_a_model_that_says_so_has_not_lost_its_answer(tmp_path: Path) -> None:
    data = write_data(tmp_path, {name: plot("t") for name in SEEMING}, SEEMING)
    done = rrvf_here("score", "chartmimic", *data, "--out", tmp_path / "score")
    turns = [{"id": name, "turns": [text]} for name, text in SEEMING.items()]
    turns[1]["turns"] = ["<think>.</think><answer>Failed to obtain answer via API.</answer>"]
    recorded = tmp_path / "turns.jsonl"
    recorded.write_text("".join(json.dumps(one) + "\n" for one in turns))
    played = rrvf_here(
        *("eval", "chartmimic", "--data", data[1], "--policy", recorded),
        *("--out", tmp_path / "eval"),
    )
    assert (done.returncode, played.returncode) == (0, 0), done.stderr + played.stderr
    for out in (tmp_path / "score", tmp_path / "eval"):
        assert summary_of(out)["metrics"]["exec_rate"] == pytest.approx(20.0)
        assert not any(summary_of(out)["n_unscored"].values())


@pytest.mark.parametrize(
    ("text", "is_lost"),
    [
        ("Failed to obtain answer via API.", True),
        ("Failed to obtain answer via API. ", True),
        ("Failed to obtain answer via API.Connection refused", True),
        ("Failed to obtain answer via bailingMM API.", True),
        ("Failed to obtain answer BlueLM API. ", True),
        ("Failed to obtain answer: <class 'RuntimeError'> CUDA out of memory", True),
        ("Failed to obtain answer. I cannot do this one.", False),
        ("Failed to obtain answer", False),
        ("Failed to obtain answer: sorry.", False),
        ("Failed to obtain answer via API.\n```python\nx\n```", False),
    ],
)
def test_only_the_lines_that_vlmevalkit_writes_are_lost_answers(
    tmp_path: Path, text: str, is_lost: bool
) -> None:
    path = tmp_path / "model_data.json"
    path.write_text(json.dumps([{"index": 1, "prediction": text}]))
    assert (explain_loss(load_predictions(path)["1"]) is not None) == is_lost
    path.write_text(json.dumps([{"id": "1", "prediction": text}]))
    assert explain_loss(load_predictions(path)["1"]) is None, "not a file of VLMEvalKit's"


# ------------------------------------------------------------------- what a policy does to a server

TOKENS = "<|vision_start|><|image_pad|><|vision_end|>"
STRANGE = (TOKENS, "<｜begin▁of▁sentence｜>", "<image>", "<IMG_CONTEXT>", "<|im_end|>")


def written(text: str) -> str:
    """A turn that calls the tool with code that raises ``text``."""
    arguments = {"python_code": f"raise Exception({text!r})"}
    made = json.dumps({"name": "python_render_and_compare_tool", "arguments": arguments})
    return f"<think>.</think><tool_call>{made}</tool_call>"


def played(tmp_path: Path, server: ChatServer, *more: object, n: int = 2) -> Any:
    """``rrvf eval`` on some charts, with a policy behind ``server``."""
    references = {f"s{number}": plot(f"t{number}") for number in range(n)}
    data = write_data(tmp_path, references, {})
    return rrvf_here(
        *("eval", "chartmimic", "--data", data[1], "--out", tmp_path / "out", "--policy", "m"),
        *("--base-url", server.url, "--max-turns", 3, *more),
    )


def texts_of(request: Request) -> str:
    """All that a server would have to make tokens of, but for the system message."""
    said = [message for message in request.body["messages"] if message["role"] != "system"]
    return json.dumps(said, ensure_ascii=False)


@pytest.mark.parametrize("native", [False, True])
def test_special_tokens_in_what_a_policy_writes_are_spelled_out(
    tmp_path: Path, native: bool
) -> None:
    """As SGLang does, the server answers 500 to a picture's token without its picture."""

    def replied(request: Request) -> Reply:
        if any(token in texts_of(request) for token in (*STRANGE, "\\u003c|", "\ud800")):
            return error(500)
        text = " ".join(STRANGE)
        if not native:
            return answer(written(text))
        arguments = json.dumps({"python_code": f"raise Exception({text!r})", "x": "\ud800"})
        escaped = arguments.replace("<", "\\u003c")
        made = {"id": "a", "function": {"name": CHART_TOOL.name, "arguments": escaped}}
        return answer(None, tool_calls=[made])

    with ChatServer(replied) as server:
        done = played(tmp_path, server, *(["--native-tools"] if native else []))
    assert done.returncode == 0, done.stderr
    for line in lines_of(tmp_path / "out").values():
        assert (line["status"], line["episode"]["stop_reason"]) == ("no_code", "max_turns")
        assert values(line)["execution"] == 0.0


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("no such tool!", '{"python_code": "x"}'), ("", "[" * 99), (CHART_TOOL.name, "plt.plot(")],
)
def test_a_native_call_that_no_server_takes_back_is_mended_first(
    tmp_path: Path, name: str, arguments: str
) -> None:
    def replied(request: Request) -> Reply:
        for message in request.body["messages"]:
            for sent in message.get("tool_calls", ()):
                function = sent["function"]
                if not function["name"].replace("_", "").isalnum():
                    return error(400, "invalid name")
                if not function["arguments"].startswith("{"):
                    return error(400, "arguments are no JSON object")
        made = {"id": "a", "function": {"name": name, "arguments": arguments}}
        return answer(None, tool_calls=[made])

    with ChatServer(replied) as server:
        done = played(tmp_path, server, "--native-tools", n=1)
    assert done.returncode == 0, done.stderr
    (line,) = lines_of(tmp_path / "out").values()
    assert line["episode"]["stop_reason"] == "max_turns"
    assert line["scores"]["execution"]["value"] == 0.0


FULL = (
    "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens",
    "The decoder prompt (length 9000) is longer than the maximum model length of 8192.",
    "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
    "the request exceeds the available context size. try increasing the context size",
    "prompt is too long: 210000 tokens > 200000 maximum",
    "`inputs` tokens + `max_new_tokens` must be <= 8192. Given: 9000 `inputs` tokens",
)


@pytest.mark.parametrize("message", FULL)
def test_a_context_that_the_episode_filled_is_its_budget(tmp_path: Path, message: str) -> None:
    def replied(request: Request) -> Reply:
        n_turns = sum(message["role"] == "assistant" for message in request.body["messages"])
        return error(400, message) if n_turns >= 1 else answer(written("x"))

    with ChatServer(replied) as server, Chat(ChatSettings("m", server.url)) as chat:
        done = run_episode(
            EndpointPolicy(chat),
            SAMPLE,
            FakeCanvas(),
            PictureOnly(),
            AgentSettings.of("python"),
        )
    assert (done.stop_reason, len(done.turns), done.failed) == ("token_budget", 1, False)


def test_a_context_that_fills_up_is_a_zero(tmp_path: Path) -> None:
    def replied(request: Request) -> Reply:
        if any(message["role"] == "assistant" for message in request.body["messages"]):
            return error(400, FULL[0], "context_length_exceeded")
        return answer(written("x"))

    with ChatServer(replied) as server:
        done = played(tmp_path, server)
    assert done.returncode == 0, done.stderr
    for line in lines_of(tmp_path / "out").values():
        assert (line["status"], line["episode"]["stop_reason"]) == ("no_code", "token_budget")
        assert values(line) == dict.fromkeys(("execution", *OPEN), 0.0)


def test_a_first_question_that_is_too_long_is_ours(tmp_path: Path) -> None:
    with ChatServer(lambda _: error(400, FULL[0], "context_length_exceeded")) as server:
        played(tmp_path, server, n=1)
    (line,) = lines_of(tmp_path / "out").values()
    assert (line["status"], line["episode"]["stop_reason"]) == ("harness_error", "policy_error")
    assert "maximum context length" in line["error"]


def test_an_answer_that_a_filter_withholds_is_the_policy_s(tmp_path: Path) -> None:
    withheld = completion("")
    withheld["choices"][0]["finish_reason"] = "content_filter"
    with ChatServer(lambda _: reply(withheld)) as server:
        done = played(tmp_path, server, n=1)
    assert done.returncode == 0, done.stderr
    (line,) = lines_of(tmp_path / "out").values()
    assert (line["status"], line["episode"]["stop_reason"]) == ("no_code", "no_action")


class Batches(BatchPolicy):
    """Answers what it is asked, unless one of a batch cannot be continued."""

    def generate(self, batch: Sequence[BatchRequest]) -> Sequence[Completion]:
        asked = [str(one.messages[0].parts[0]) for one in batch]
        if any(text == "long" for text in asked):
            raise ValueError("The decoder prompt is longer than the maximum model length of 8.")
        if any(text == "odd" for text in asked):
            raise ZeroDivisionError
        return [Completion(text) for text in asked]


def test_one_conversation_of_a_batch_does_not_take_the_others_along() -> None:
    policy, meeting = Batches(batch_size=8), threading.Barrier(5, timeout=60)

    def asked(text: str) -> Completion | type[Exception]:
        meeting.wait()
        try:
            return policy.reply(
                [Message("user", (text,))], sample_id=text, repeat=0, stop=(), max_tokens=9
            )
        except HarnessError as error:
            return type(error)

    names = ("a", "long", "b", "odd", "c")
    with ThreadPoolExecutor(len(names)) as pool:
        got = list(pool.map(asked, names))
    assert got == [
        Completion("a"),
        TooLongError,
        Completion("b"),
        HarnessError,
        Completion("c"),
    ]


# ------------------------------------------------------------------------- answers without picture

MATHTEXT = r"""
import matplotlib.pyplot as plt
plt.plot([1])
plt.title('$\\frac{$')
"""
NO_PICTURES = {
    "mathtext": MATHTEXT,
    "an artist": plot("t")
    + """
from matplotlib.artist import Artist
class Broken(Artist):
    def draw(self, renderer): raise ValueError("no")
plt.gca().add_artist(Broken())
""",
    "no size": plot("t") + "\nplt.gcf().set_size_inches(-1, -1)",
}


@pytest.fixture(scope="module")
def charts() -> Iterator[ChartRenderer]:
    with kept_renderer(workers=1, limits=Limits(cpu_seconds=10, wall_seconds=60)) as renderer:
        yield renderer


@pytest.mark.parametrize("what", NO_PICTURES)
def test_code_that_leaves_no_picture_earns_nothing(charts: ChartRenderer, what: str) -> None:
    code, reference = NO_PICTURES[what], plot("Sales")
    sample = Sample("a", reference + "\nplt.savefig('a.pdf')")
    canvas = chart_bench(charts)
    script = RecordedPolicy({"a": (call(code), reply_with(reference)), "b": (reply_with(code),)})
    rules = AgentSettings.of("python")
    good = run_episode(script, sample, canvas, PictureOnly(), rules)
    (seen,) = good.turns[0].observations
    assert (seen.status, seen.picture) == ("code_error", None)
    assert seen.text.strip()
    bad = run_episode(script, replace(sample, id="b"), canvas, PictureOnly(), rules)
    for scoring in (
        chart_bench(charts, judge=LikenessJudge()),
        picture_bench(charts, LikenessJudge()),
    ):
        rewarder = Rewarder(scoring, RewardSettings(vision={"likeness": 1.0}))
        paid, unpaid = rewarder(sample, good).reward, rewarder(sample, bad).reward
        assert (paid.vision, paid.tool) == (1.0, 0.0)
        assert unpaid.vision == 0.0
        judged = rewarder(sample, bad).outcome.result.scores["likeness"]
        assert judged.value == 0.0


def test_pictures_are_compared_where_there_are_two(charts: ChartRenderer) -> None:
    """A further scorer of pictures, as CLIP, takes no picture for the model's failure."""

    class Alike:
        compares_pictures = True

        def __call__(self, target: PageRendering, page: PageRendering) -> Score:
            assert page.png is not None
            return Score(0.5)

    sample = Sample("a", plot("Sales") + "\nplt.savefig('a.pdf')")
    bench = replace(chart_bench(charts), scorers={"clip": Alike()})
    rewarder = Rewarder(bench, RewardSettings(vision={"clip": 1.0}))
    for code, vision in ((plot("x"), 0.5), (MATHTEXT, 0.0)):
        trajectory = as_trajectory(sample, reply_with(code), "python")
        assert rewarder(sample, trajectory).reward.vision == vision


def reply_with(code: str) -> str:
    return f"<think>.</think><answer>{fenced(code)}</answer>"
