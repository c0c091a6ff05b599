"""The loop: every way an episode can end, everything a model can get wrong, and who sees what."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrvf.agent import NO_CALL_LEFT, STOP, AgentSettings, Canvas, Episode, run_episode
from rrvf.bench import Bench
from rrvf.chat import Chat, ChatSettings, Message, ToolCall
from rrvf.errors import HarnessError, SetupError, UserError
from rrvf.policies import EndpointPolicy
from rrvf.render_tool import CHART_TOOL, PAGE_TOOL, RenderTool
from rrvf.renderers.chart import ChartRenderer
from rrvf.renderers.page import PageRenderer
from rrvf.replies import as_scored, extract_code, prepare_official, restore_closing_tag
from rrvf.teacher import BLANK, NO_COMMENTS, ModelTeacher, PictureOnly, teacher_prompt
from rrvf.trajectories import STOP_REASONS, Completion, Observation, Trajectory, from_json, to_json
from rrvf.types import Sample
from tests.benches import chart_bench, figure_bench, page_bench
from tests.chat_server import ChatServer
from tests.chat_server import answer as said
from tests.episodes import (
    SAMPLE,
    SECRET,
    TARGET,
    FakeCanvas,
    ScriptedPolicy,
    ScriptedTeacher,
    answer,
    call,
    drawn,
    native,
    pictures,
    pixels,
    png,
    texts,
)
from tests.runs import kept_renderer

NO_MORE = "<think>I do not know.</think>"


def settings(**changes: Any) -> AgentSettings:
    return AgentSettings.of("python", **changes)


def run(
    *script: str | Completion | Exception,
    teacher: Any = None,
    sample: Sample = SAMPLE,
    canvas: Canvas | None = None,
    **changes: Any,
) -> tuple[Trajectory, ScriptedPolicy]:
    policy = ScriptedPolicy(script)
    done = run_episode(
        policy, sample, canvas or FakeCanvas(), teacher or ScriptedTeacher(), settings(**changes)
    )
    return done, policy


# ------------------------------------------------------------------------------ thirty episodes


@dataclass
class Case:
    """What a policy says, and what must come of it.

    Attributes:
        says: Turn by turn; one that is never asked for makes the test fail.
        ends: The stop reason.
        seen: Status of every observation, turn by turn.
        told: Parts of what the policy is told in the end, or, after the last turn, recorded.
        scored: The code that is scored, ``None`` for none.
    """

    says: Sequence[str | Completion | Exception]
    ends: str
    seen: list[list[str]]
    scored: str | None = None
    told: Sequence[str] = ()
    rules: dict[str, Any] = field(default_factory=dict)
    sample: str = "bar_1"


OK = "ok blue"
THINK = "<think>Two bars.</think>"
TOOL = "python_render_and_compare_tool"

CASES = {
    # how it ends
    "answers at once": Case([answer(OK)], "answered", [[]], OK),
    "calls, then answers": Case(
        [THINK + call(OK), answer("ok red")],
        "answered",
        [["ok"], []],
        "ok red",
        ["<tool_response>---Comments:\n-**Color**- The bars are red, not blue.</tool_response>"],
    ),
    "calls for ever": Case([call(OK)] * 5, "max_turns", [["ok"]] * 5),
    "calls for ever, last rendering counts": Case(
        [call("ok green"), call(OK), call("oops")],
        "max_turns",
        [["ok"], ["ok"], ["code_error"]],
        OK,
        rules={"max_turns": 3, "unanswered": "last_rendered"},
    ),
    "nothing ever rendered": Case(
        [call("oops"), NO_MORE], "no_action", [["code_error"], []], None, ["---Error:\nNameError"],
        {"unanswered": "last_rendered"},
    ),
    "writes too much": Case(
        [Completion(call(OK), "stop", output_tokens=100)],
        "token_budget",
        [["ok"]],
        rules={"max_tokens": 100},
    ),
    "cut off before it did anything": Case(
        [Completion("<think>Let me count the bars: one, two", "length")], "token_budget", [[]]
    ),
    "only thinks": Case([NO_MORE], "no_action", [[]]),
    "says nothing": Case([""], "no_action", [[]]),
    "only talks": Case([THINK + "It is a nice chart."], "no_action", [[]]),
    "endpoint fails": Case(
        [call(OK), HarnessError("no answer in 8 attempts")], "policy_error", [["ok"]]
    ),
    "renderer fails": Case([call("broken")], "harness_error", [[]]),
    "no target": Case([], "harness_error", [], sample="no_target"),
    # how calls can be wrong
    "broken JSON": Case(
        ['<tool_call>{"name": "x", "arguments": {</tool_call>', answer(OK)],
        "answered", [["no_code"], []], OK, ["<tool_response>---Error:\nthe call is not valid JSON"],
    ),
    "not an object": Case(
        ["<tool_call>[1]</tool_call>", answer(OK)],
        "answered", [["no_code"], []], OK, ["is not a JSON object"],
    ),
    "unknown tool": Case(
        [call(OK, name="zoom_in"), answer(OK)],
        "answered", [["no_code"], []], OK, ["'zoom_in'", TOOL],
    ),
    "argument missing": Case(
        [call(OK, argument="program"), answer(OK)],
        "answered", [["no_code"], []], OK, ['no "python_code"'],
    ),
    "argument no string": Case(
        [call(["ok"]), answer(OK)], "answered", [["no_code"], []], OK, ['no "python_code"']
    ),
    "argument blank": Case(
        [call(" \n"), answer(OK)], "answered", [["no_code"], []], OK, ['no "python_code"']
    ),
    "other names": Case(
        [call(OK, "render_and_compare_tool", "code"), answer(OK)], "answered", [["ok"], []], OK
    ),
    "fenced argument": Case(
        [call(f"```python\n{OK}\n```"), NO_MORE], "no_action", [["ok"], []], OK,
        rules={"unanswered": "last_rendered"},
    ),
    "several calls": Case(
        [call(OK) + call("oops") + "<tool_call>?</tool_call>" + call("timeout"), answer(OK)],
        "answered", [["ok", "code_error", "no_code", "timeout"], []], OK,
        ["---Comments:", "NameError", "not valid JSON", "stopped after 30 s"],
    ),
    "too many calls": Case(
        [call(OK) * 3, answer(OK)], "answered", [["ok", "ok", "no_code"], []], OK,
        ["at most 2 calls a turn"], {"max_calls": 2},
    ),
    "call and answer": Case([call("oops") + answer(OK)], "answered", [[]], OK),
    "answer and call": Case([answer(OK) + call("oops")], "answered", [[]], OK),
    # tags
    "call cut off by the stop string": Case(
        [THINK + call(OK).removesuffix("</tool_call>"), answer(OK)], "answered", [["ok"], []], OK
    ),
    "answer cut off by the stop string": Case(
        [answer(OK).removesuffix("</answer>")], "answered", [[]], OK
    ),
    "call cut off by the length": Case(
        [Completion(call(OK)[:60], "length"), answer(OK)],
        "answered", [["no_code"], []], OK, ["not valid JSON"],
    ),
    "thought never closed": Case(
        ["<think>Bars." + call(OK).removesuffix("</tool_call>"), "<think>So." + answer(OK)[18:]],
        "answered", [["ok"], []], OK,
    ),
    "thought opened by the template": Case([f"Bars.</think><answer>{OK}"], "answered", [[]], OK),
    # answers
    "answer without a fence": Case([f"<answer>{OK}</answer>"], "answered", [[]], OK),
    "answer with a fence of no language": Case(
        [f"<answer>Here:\n```\n{OK}\n```</answer>"], "answered", [[]], OK
    ),
    "answer with a fence that is never closed": Case(
        [f"<answer>```python\n{OK}"], "answered", [[]], OK
    ),
    "answer in prose": Case(
        ["<answer>It cannot be done.</answer>"], "answered", [[]], "It cannot be done."
    ),
    "empty answer": Case(["<answer> </answer>"], "answered", [[]]),
    "code without tags": Case([f"Here:\n```python\n{OK}\n```"], "answered", [[]], OK),
    # native calls
    "native call": Case(
        [Completion("", "tool_calls", (native(OK),)), answer(OK)], "answered", [["ok"], []], OK
    ),
    "native call, broken": Case(
        [Completion("", "tool_calls", (ToolCall("c", TOOL, '{"python_code": '),)), answer(OK)],
        "answered", [["no_code"], []], OK, ["not valid JSON"],
    ),
    "native call, unknown tool": Case(
        [Completion("", "tool_calls", (native(OK, name="zoom_in"),)), answer(OK)],
        "answered", [["no_code"], []], OK, ["'zoom_in'", TOOL],
    ),
    "native call and a written one": Case(
        [Completion(call("oops"), "tool_calls", (native(OK),)), answer(OK)],
        "answered", [["ok"], []], OK,
    ),
    "native call and answer": Case(
        [Completion(answer(OK), "tool_calls", (native("oops"),))], "answered", [[]], OK
    ),
    # what follows an open call might be its code: it is asked to write the call anew
    "call never closed, then an answer": Case(
        [THINK + call("oops").removesuffix("</tool_call>") + answer(OK), answer(OK)],
        "answered", [["no_code"], []], OK, ["not valid JSON"],
    ),
    "call never closed, then another": Case(
        [call(OK).removesuffix("</tool_call>") + call(OK), answer(OK)],
        "answered", [["no_code"], []], OK, ["not valid JSON"],
    ),
    "blank rendering": Case([call("blank"), answer(OK)], "answered", [["ok"], []], OK, [BLANK]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_episode(name: str) -> None:
    case = CASES[name]
    done, policy = run(*case.says, sample=Sample(case.sample, SECRET), **case.rules)
    assert len(policy.shown) == len(case.says)
    assert done.stop_reason == case.ends
    assert [[one.status for one in turn.observations] for turn in done.turns] == case.seen
    code = None if done.completion is None else extract_code(done.completion, "python")
    assert code == case.scored
    # The strictest of the benchmarks finds it, too.
    assert (prepare_official(done.completion or "") or None) == case.scored
    told = texts(policy.shown[-1]) if policy.shown else ""
    for part in case.told:
        assert part in told
    assert (done.error is not None) == done.failed == case.ends.endswith("_error")
    assert stored_and_read(done) == done


def test_the_cases_cover_every_stop_reason() -> None:
    assert len(CASES) >= 30
    # A time budget needs a clock; it has a test of its own.
    assert {case.ends for case in CASES.values()} | {"time_budget"} == set(STOP_REASONS)


def stored_and_read(done: Trajectory) -> Trajectory:
    stored: dict[str, bytes] = {}

    def add(data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        stored[name] = data
        return name

    line = json.dumps(to_json(done, add), allow_nan=False)
    line.encode("ascii")
    return from_json(json.loads(line), stored.__getitem__)


def test_time_budget_ends_before_the_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    class SlowPolicy(ScriptedPolicy):
        def reply(self, *given: Any, **named: Any) -> Completion:
            clock[0] += 60
            return super().reply(*given, **named)

    clock = [1000.0]
    monkeypatch.setattr("rrvf.agent.time.monotonic", lambda: clock[0])
    policy = SlowPolicy([call(OK)] * 5)
    done = run_episode(policy, SAMPLE, FakeCanvas(), PictureOnly(), settings(max_seconds=100))
    assert (done.stop_reason, len(done.turns), done.seconds) == ("time_budget", 2, 120)
    assert [turn.seconds for turn in done.turns] == [60, 60]


def test_a_mistake_of_the_user_goes_through() -> None:
    with pytest.raises(SetupError, match="nothing answers"):
        run(SetupError("nothing answers at http://x"))


def test_an_unexpected_error_of_a_policy_is_no_crash() -> None:
    done, _ = run(RuntimeError("CUDA out of memory"))
    assert done.stop_reason == "policy_error"
    assert "CUDA out of memory" in (done.error or "")


@pytest.mark.parametrize("name", ["max_turns", "max_calls", "turn_tokens", "max_tokens"])
def test_limits_of_nothing_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=name):
        settings(**{name: 0})


# --------------------------------------------------------------------------- what the policy sees


def test_first_question_tells_the_protocol_and_shows_the_target() -> None:
    _, policy = run(answer(OK), sample=Sample("bar_1", SECRET, prompt="Draw this."))
    system, user = policy.shown[0]
    assert (system.role, user.role) == ("system", "user")
    assert user.parts[0] == "Draw this."
    assert pictures([user]) == [TARGET]
    example = call("...")
    for part in (example, "<think>", "<answer>", "at most 4 times", "```python"):
        assert part in texts([system])
    assert "{" not in texts([system]).replace(example, "")


def test_own_names_reach_the_prompt_and_the_parser() -> None:
    tool = RenderTool("draw", "script", "python", names=(), arguments=())
    done, policy = run(call(OK, "draw", "script"), call(OK), answer(OK), tool=tool)
    assert call("...", "draw", "script") in texts(policy.shown[0])
    assert [turn.observations[0].status for turn in done.turns[:2]] == ["ok", "no_code"]


def test_without_a_prompt_of_its_own_a_sample_gets_that_of_the_settings() -> None:
    _, policy = run(answer(OK))
    assert "reproduces this chart" in texts(policy.shown[0][1:])


def test_a_turn_is_remembered_as_it_was_written() -> None:
    first = THINK + call(OK)
    _, policy = run(first.removesuffix("</tool_call>"), answer(OK))
    roles = [message.role for message in policy.shown[1]]
    assert roles == ["system", "user", "assistant", "user"]
    assert policy.shown[1][2].parts == (first,)


def test_rendering_stands_beside_the_comments() -> None:
    _, policy = run(call(OK) + call("oops") + call("ok green"), answer(OK))
    parts = policy.shown[1][-1].parts
    kinds = ["text" if isinstance(part, str) else "picture" for part in parts]
    assert kinds == ["text", "picture", "text", "text", "picture"]
    assert pictures(policy.shown[1][-1:]) == [drawn(OK), drawn("ok green")]


def test_rendering_is_left_out_on_request_while_there_are_comments() -> None:
    done, policy = run(call(OK), answer(OK), attach_rendering=False)
    assert pictures(policy.shown[1]) == [TARGET]
    seen = done.turns[0].observations[0]
    assert (seen.picture, seen.attached) == (drawn(OK), False)


@pytest.mark.parametrize(
    "teacher", [PictureOnly(), ScriptedTeacher(HarnessError("no answer"))], ids=["none", "failed"]
)
def test_rendering_is_shown_where_there_are_no_comments(teacher: Any) -> None:
    _, policy = run(call(OK), answer(OK), attach_rendering=False, teacher=teacher)
    assert pictures(policy.shown[1]) == [TARGET, drawn(OK)]


def test_a_large_picture_is_scaled_down() -> None:
    _, policy = run(call(OK), answer(OK), max_pixels=300)
    sizes = [(data[16:20], data[20:24]) for data in pictures(policy.shown[1])]
    areas = [int.from_bytes(width) * int.from_bytes(height) for width, height in sizes]
    assert all(0 < area <= 300 for area in areas)


def test_comments_cannot_end_the_response() -> None:
    says = "-**Text**- a </tool_response><tool_response> b"
    _, policy = run(call(OK), answer(OK), teacher=ScriptedTeacher(says))
    told = texts(policy.shown[1][-1:])
    assert (told.count("<tool_response>"), told.count("</tool_response>")) == (1, 1)
    assert told.endswith("</tool_response>")


def test_native_calls_are_answered_one_by_one() -> None:
    calls = (native(OK, ""), native("oops", "c2"))
    done, policy = run(Completion(THINK, "tool_calls", calls), answer(OK), native_calls=True)
    spoken, first, second, shown = policy.shown[1][2:]
    assert [one.id for one in spoken.tool_calls] == ["call_1_0", "c2"]
    assert [(one.role, one.tool_call_id) for one in (first, second)] == [
        ("tool", "call_1_0"),
        ("tool", "c2"),
    ]
    assert "---Comments:" in texts([first])
    assert "NameError" in texts([second])
    assert (shown.role, pictures([shown])) == ("user", [drawn(OK)])
    assert "<tool_call>" not in texts(policy.shown[0])
    assert done.turns[0].completion.tool_calls == calls


def test_native_code_may_hold_tags() -> None:
    code = 'ok blue "</tool_call><answer>"'
    canvas = FakeCanvas()
    run(Completion("", "tool_calls", (native(code),)), answer(OK), canvas=canvas)
    assert canvas.drawn == [code]


def test_code_that_holds_a_fence_is_drawn_whole() -> None:
    code = 'ok blue\n"""\n```python\nx\n```\n"""'
    canvas = FakeCanvas()
    run(call(code), answer(OK), canvas=canvas)
    assert canvas.drawn == [code]


def test_a_single_turn_knows_no_tool_and_its_reply_is_the_answer() -> None:
    reply = "Some words.\n```python\nx = 1\n```\nand more\n"
    for text in (reply, "import matplotlib"):
        done, policy = run(text, max_turns=1)
        assert [message.role for message in policy.shown[0]] == ["user"]
        assert (done.stop_reason, done.completion) == ("answered", text)


def test_the_budget_bounds_every_completion() -> None:
    turns = [Completion(call(OK), "stop", output_tokens=30)] * 2
    _, policy = run(*turns, answer(OK), max_tokens=100, turn_tokens=60)
    assert policy.limits == [60, 60, 40]


def test_a_budget_holds_where_nobody_counts() -> None:
    done, _ = run(*[Completion("x" * 300 + call(OK))] * 5, max_tokens=250)
    assert (done.stop_reason, len(done.turns)) == ("token_budget", 2)


def told_last(policy: ScriptedPolicy) -> list[bool]:
    """Of each turn, whether the policy was told that no call is left."""
    return [any(NO_CALL_LEFT in texts([message]) for message in shown) for shown in policy.shown]


def test_the_last_call_is_told() -> None:
    _, policy = run(call(OK), call(OK), answer(OK), max_turns=3, tell_last_call=True)
    assert told_last(policy) == [False, False, True]
    _, policy = run(call(OK), call(OK), answer(OK), max_turns=3)
    assert told_last(policy) == [False, False, False]


def test_the_last_call_is_told_where_the_budget_holds_no_other() -> None:
    turns = [Completion(call(OK), "stop", output_tokens=30)] * 2
    limits = {"max_tokens": 140, "turn_tokens": 60, "tell_last_call": True}
    # After 60 of 140 tokens there are 80: too few for another 30 and an answer of 60.
    _, policy = run(*turns, answer(OK), **limits)
    assert told_last(policy) == [False, False, True]
    done, _ = run(*turns, turns[0], **limits)
    assert (done.stop_reason, len(done.turns)) == ("token_budget", 3)


def test_the_last_call_is_told_in_the_reply_to_a_native_call() -> None:
    said = Completion("", "tool_calls", (native(OK),))
    _, policy = run(said, answer(OK), max_turns=2, tell_last_call=True, native_calls=True)
    assert told_last(policy) == [False, True]


# --------------------------------------------------------------------------------- the teacher


def test_the_teacher_is_not_asked_about_what_did_not_render() -> None:
    teacher = ScriptedTeacher()
    done, _ = run(call("oops") + call("blank") + call("timeout"), answer(OK), teacher=teacher)
    assert teacher.asked == []
    assert done.n_teacher("not_asked") == 3


def test_the_teacher_sees_the_target_first() -> None:
    teacher = ScriptedTeacher()
    run(call(OK), answer(OK), teacher=teacher)
    assert teacher.asked == [(TARGET, drawn(OK))]


def test_nobody_comments_on_what_nobody_will_read() -> None:
    teacher = ScriptedTeacher()
    done, _ = run(call(OK), call(OK), teacher=teacher, max_turns=2)
    assert len(teacher.asked) == 1
    assert [seen.teacher for turn in done.turns for seen in turn.observations] == [
        "asked",
        "not_asked",
    ]


def test_a_teacher_that_fails_is_counted_and_the_episode_goes_on() -> None:
    done, policy = run(call(OK), answer(OK), teacher=ScriptedTeacher(HarnessError("no answer")))
    assert (done.stop_reason, done.n_teacher("failed"), done.n_teacher("asked")) == (
        "answered",
        1,
        0,
    )
    assert NO_COMMENTS in texts(policy.shown[1])


# ------------------------------------------------------------------------------ the state machine


def test_an_episode_can_be_driven_by_hand() -> None:
    episode = Episode("bar_1", "", TARGET, settings())
    assert [request.code for request in episode.take(Completion(call(OK) + call("?")))] == [OK, "?"]
    with pytest.raises(ValueError, match="one observation a request"):
        episode.observe([Observation("ok", "fine")])
    episode.observe([Observation("ok", "fine"), Observation("code_error", "wrong")])
    assert episode.stop_reason is None
    with pytest.raises(ValueError, match="not over"):
        episode.trajectory()
    assert episode.take(Completion(answer(OK))) == []
    assert episode.trajectory().stop_reason == "answered"
    with pytest.raises(ValueError, match="over"):
        episode.take(Completion(answer(OK)))


PIECES = [
    *("<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>", "```python\n"),
    *(
        "```",
        "<tool_response>",
        call(OK),
        call("oops"),
        answer(OK),
        '{"name": "',
        "ok blue",
        "\ud800",
    ),
]
WRITTEN = st.lists(st.sampled_from(PIECES) | st.text(max_size=20), max_size=8).map("".join)
COMPLETIONS = st.builds(
    Completion,
    WRITTEN,
    st.sampled_from([None, "stop", "length", "tool_calls"]),
    st.lists(st.builds(ToolCall, st.text(max_size=3), WRITTEN, WRITTEN), max_size=2).map(tuple),
    output_tokens=st.none() | st.integers(0, 50),
)


@given(
    st.lists(COMPLETIONS, min_size=4, max_size=4),
    st.sampled_from([None, 60]),
    st.sampled_from(["nothing", "last_rendered"]),
)
def test_every_sequence_of_completions_ends_and_comes_back(
    said: list[Completion], max_tokens: int | None, rule: str
) -> None:
    done, policy = run(*said, max_turns=4, max_tokens=max_tokens, unanswered=rule)
    assert 1 <= len(done.turns) == len(policy.shown) <= 4
    assert stored_and_read(done) == done
    *before, last = done.turns
    assert all(turn.action == "call" and turn.observations for turn in before)
    assert (last.action == "answer") == (done.stop_reason == "answered")
    if done.stop_reason == "answered" or rule == "nothing":
        assert (done.completion is not None) == (done.stop_reason == "answered")
    for messages in policy.shown:
        assert messages[-1].role in ("user", "tool")
        assert all(message.parts or message.tool_calls for message in messages)
        assert SECRET not in texts(messages)


@given(WRITTEN)
def test_closing_twice_is_closing_once(text: str) -> None:
    once = restore_closing_tag(text)
    assert once.startswith(text)
    assert restore_closing_tag(once) == once
    assert once[len(text) :] in ("", "</tool_call>", "</answer>")


def test_a_thought_that_the_template_opened_may_name_a_tag() -> None:
    assert restore_closing_tag("I <tool_call> next.</think><answer>x").endswith(
        "</think><answer>x</answer>"
    )


def test_what_the_length_cut_off_is_not_mended() -> None:
    cut = Completion("<think>Then I write the <answer> with", "length")
    done, _ = run(cut)
    assert (done.stop_reason, done.turns[0].completion) == ("token_budget", cut)


def test_many_open_thoughts_take_no_time() -> None:
    text = "<think><answer></answer>" * 40_000
    assert restore_closing_tag(text) == text


@given(st.text(max_size=30))
def test_an_answer_holds_its_code_once_it_is_scored(text: str) -> None:
    if "`" not in text and text.strip():
        scored = as_scored(text, "python")
        assert scored == f"```python\n{text}\n```"


@pytest.mark.parametrize(
    "change",
    [
        {"stop_reason": "bored"},
        {"sample_id": 3},
        {"turns": [{}]},
        {"seconds": "long"},
        {"completion": 5},
    ],
)
def test_a_line_that_is_no_trajectory_is_refused(change: dict[str, Any]) -> None:
    done, _ = run(call(OK), answer(OK))
    line = {**to_json(done, lambda _: "x.png"), **change}
    with pytest.raises((ValueError, KeyError, TypeError)):
        from_json(line, lambda _: b"")


# ------------------------------------------------------------- real renderers, a teacher's server

BARS = "import matplotlib.pyplot as plt\nplt.bar(['a', 'b'], [{0}, {1}])\nplt.title('Sales')"
PAGE = "<!DOCTYPE html><html><body><h1>{0}</h1><p>Baked before sunrise.</p></body></html>"
COMMENTS = "-**Data**- The second bar is too low.\n-**Color**- No difference."


class Loop:
    """A policy and a teacher behind two servers, and everything that they were sent."""

    def __init__(self, *says: str) -> None:
        self.policy = ChatServer(lambda request: said(says[request.number]))
        self.teacher = ChatServer(lambda _: said(COMMENTS))

    def run(self, canvas: Bench, sample: Sample) -> Trajectory:
        with self.policy as first, self.teacher as second:
            asked = ChatSettings("policy", base_url=first.url)
            told = ChatSettings("teacher", base_url=second.url)
            with Chat(asked) as chat, Chat(told) as other:
                return run_episode(
                    EndpointPolicy(chat),
                    sample,
                    canvas,
                    ModelTeacher(other, teacher_prompt(canvas.language)),
                    AgentSettings.of(canvas.language),
                )


@pytest.fixture(scope="module")
def charts() -> Any:
    with kept_renderer(workers=1) as renderer:
        yield renderer


@pytest.fixture(scope="module")
def pages(web_browser: Path) -> Any:
    with PageRenderer(web_browser, workers=1) as renderer:
        yield renderer


@pytest.mark.parametrize("kind", [chart_bench, figure_bench])
def test_a_chart_is_drawn_commented_on_and_answered(charts: ChartRenderer, kind: Any) -> None:
    canvas = kind(charts)
    reference = f"{BARS.format(3, 7)}\n# {SECRET}"
    sample = Sample("bar_1", reference, prompt="Draw this chart.")
    loop = Loop(
        THINK + call(BARS.format(3, 5)).removesuffix("</tool_call>"),
        call("plt.bar(1, 2"),
        answer(BARS.format(3, 7)).removesuffix("</answer>"),
    )
    done = loop.run(canvas, sample)
    first, second = (turn.observations[0] for turn in done.turns[:2])
    assert done.stop_reason == "answered"
    assert done.completion == f"```python\n{BARS.format(3, 7)}\n```"
    assert (first.status, first.text, first.teacher) == ("ok", COMMENTS, "asked")
    assert (second.status, second.teacher) == ("code_error", "not_asked")
    assert "SyntaxError" in second.text
    assert first.picture == canvas.draw(sample, BARS.format(3, 5)).png != canvas.target(sample)
    # Who saw what.
    asked = loop.policy.requests
    assert [request.body["stop"] for request in asked] == [list(STOP)] * 3
    both = [pixels(picture or b"") for picture in (canvas.target(sample), first.picture)]
    assert [pixels(picture) for picture in asked[2].pictures] == both
    assert len(loop.teacher.requests) == 1
    assert [pixels(picture) for picture in loop.teacher.requests[0].pictures] == both
    for request in (*asked, *loop.teacher.requests):
        assert SECRET not in json.dumps(request.body)
    for request in loop.teacher.requests:
        assert "plt." not in request.text
        assert "import" not in request.text


def test_a_page_is_shown_commented_on_and_answered(pages: PageRenderer) -> None:
    canvas = page_bench(pages)
    sample = Sample("bakery", PAGE.format("Bakery") + f"<!-- {SECRET} -->")
    tool = ("html_render_and_compare_tool", "html_code")
    loop = Loop(
        THINK + call(PAGE.format("Bakers"), *tool),
        call("no page at all", *tool),
        answer(PAGE.format("Bakery"), "html"),
    )
    done = loop.run(canvas, sample)
    first, second = (turn.observations[0] for turn in done.turns[:2])
    assert done.stop_reason == "answered"
    assert (first.status, second.status) == ("ok", "no_code")
    assert "no HTML" in second.text
    assert loop.teacher.requests[0].pictures == [canvas.target(sample), first.picture]
    assert first.picture != canvas.target(sample)
    for request in (*loop.policy.requests, *loop.teacher.requests):
        assert SECRET not in json.dumps(request.body)
    assert "<h1>" not in loop.teacher.requests[0].text


def test_the_sandbox_does_not_see_the_picture(charts: ChartRenderer, tmp_path: Path) -> None:
    image = tmp_path / "bar_1.png"
    image.write_bytes(TARGET)
    sample = Sample("bar_1", None, image=image)
    read = f"import matplotlib.pyplot as plt\nplt.imshow(plt.imread({str(image)!r}))"
    done, policy = run(call(read), answer(OK), sample=sample, canvas=chart_bench(charts))
    assert done.turns[0].observations[0].status == "code_error"
    assert pictures(policy.shown[1]) == [TARGET]


def test_a_customized_chart_gets_its_data_in_the_tool_too(charts: ChartRenderer) -> None:
    ruler = "# ===================\n"
    reference = (
        f"{ruler}# Part 2: Data Preparation\n{ruler}heights = [3, 7]\n"
        f"{ruler}# Part 3: Plot Configuration and Rendering\n{ruler}plt.bar([1, 2], heights)\n"
    )
    canvas = chart_bench(charts)
    drawn = canvas.draw(Sample("bar_1", reference, task="customized"), "plt.bar([1, 2], heights)")
    assert drawn.status == "ok"
    assert canvas.draw(Sample("bar_1", reference), "plt.bar([1, 2], heights)").status != "ok"


@pytest.mark.parametrize("kind", [chart_bench, figure_bench])
def test_a_reference_that_cannot_be_drawn_is_our_failure(charts: ChartRenderer, kind: Any) -> None:
    done, policy = run(canvas=kind(charts), sample=Sample("bar_1", "raise ValueError('no')"))
    assert (done.stop_reason, policy.shown) == ("harness_error", [])
    assert "the reference cannot be drawn: ValueError: no" in (done.error or "")


def test_episodes_run_side_by_side(charts: ChartRenderer) -> None:
    meeting = threading.Barrier(3, timeout=60)

    class Meeting(ScriptedPolicy):
        def reply(self, messages: Sequence[Message], **named: Any) -> Completion:
            meeting.wait()  # all three are asked at a time, or none is answered
            return super().reply(messages, **named)

    def one(number: int) -> Trajectory:
        policy = Meeting([call(BARS.format(number, 1)), answer(BARS.format(number, 2))])
        sample = Sample(str(number), BARS.format(3, 7))
        return run_episode(policy, sample, chart_bench(charts), PictureOnly(), settings())

    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(one, range(3)))
    assert [one.sample_id for one in done] == ["0", "1", "2"]
    assert [one.stop_reason for one in done] == ["answered"] * 3
    assert len({one.turns[0].observations[0].picture for one in done}) == 3


def test_the_tools_are_those_of_the_paper() -> None:
    assert (PAGE_TOOL.name, PAGE_TOOL.argument) == ("html_render_and_compare_tool", "html_code")
    assert (CHART_TOOL.name, CHART_TOOL.argument) == (TOOL, "python_code")
    assert CHART_TOOL.schema()["function"]["parameters"]["required"] == ["python_code"]


def test_a_blank_picture_is_not_white_alone() -> None:
    from rrvf.teacher import is_blank

    assert is_blank(png("navy", mark=None))
    assert not is_blank(png("navy", mark="blue"))
