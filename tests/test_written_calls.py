"""Calls in the forms that models write are run where they can mean one thing only."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrvf.agent import AgentSettings, run_episode
from rrvf.chat import ToolCall as NativeCall
from rrvf.render_tool import read_native_calls
from rrvf.replies import parse_reply
from rrvf.rewards import is_well_formed
from rrvf.teacher import PictureOnly
from rrvf.trajectories import Completion, from_json, to_json
from rrvf.written_calls import read_calls
from tests.episodes import SAMPLE, FakeCanvas, ScriptedPolicy, answer

NAME = "python_render_and_compare_tool"
CODE = 'ok blue\nplt.title("It\'s {new}")\n\tx = [1, 2]'
JSON_CODE = json.dumps(CODE)
RAW_CODE = JSON_CODE.replace("\\n", "\n").replace("\\t", "\t")
OBJECT = json.dumps({"name": NAME, "arguments": {"python_code": CODE}})
INNER = json.dumps({"python_code": CODE})

RAW_OBJECT = OBJECT.replace(JSON_CODE, RAW_CODE)
RAW_INNER = INNER.replace(JSON_CODE, RAW_CODE)
CODER = f"<function={NAME}>\n<parameter=python_code>\n{CODE}\n</parameter>\n</function>"

FORMS = {
    "raw line breaks": RAW_OBJECT,
    "fence": f"\n```json\n{OBJECT}\n```\n",
    "fence without a language": f"```\n{OBJECT}```",
    "fence and raw line breaks": f"```json\n{RAW_OBJECT}\n```",
    "arguments in a string": json.dumps({"name": NAME, "arguments": INNER}),
    "arguments in a string, raw": json.dumps({"name": NAME, "arguments": RAW_INNER}),
    "OpenAI": json.dumps({"type": "function", "function": {"name": NAME, "arguments": INNER}}),
    "OpenAI with an object": f'{{"type": "function", "function": {OBJECT}}}',
    "tool_calls": json.dumps({"tool_calls": [{"function": {"name": NAME, "arguments": INNER}}]}),
    "list of one": f"[{OBJECT}]",
    "parameters": json.dumps({"name": NAME, "parameters": {"python_code": CODE}}),
    "function as the name": json.dumps({"function": NAME, "arguments": {"python_code": CODE}}),
    "beside the name": json.dumps({"name": NAME, "python_code": CODE}),
    "Python": repr({"name": NAME, "arguments": {"python_code": CODE}}),
    "Python, three quotes": f"{{'name': '{NAME}', 'arguments': {{'python_code': '''{CODE}'''}}}}",
    "comma at the end": OBJECT[:-1] + ",}",
    "one bracket too few": OBJECT[:-1],
    "two brackets too few": OBJECT[:-2],
    "bracket too many": OBJECT + "}",
    "JSON in a string": json.dumps(OBJECT),
    "tag again instead of its end": OBJECT + "\n<tool_call>",
    "Qwen3-Coder": f"\n{CODER}\n",
    "Qwen3-Coder, ends missing": f"<function={NAME}>\n<parameter=python_code>\n{CODE}\n",
}  # fmt: skip

OTHER_TAGS = {
    "tools": f"<tools>{OBJECT}</tools>",
    "tools, never closed": f"<tools>\n{OBJECT}",
    "function without tool_call": CODER,
    "no tag": OBJECT,
    "no tag, fence": f"```json\n{OBJECT}\n```",
    "no tag, fence after words": f"I look at it first.\n```json\n{OBJECT}\n```",
}  # fmt: skip


@pytest.mark.parametrize("written", [f"<tool_call>{form}</tool_call>" for form in FORMS.values()]
                         + list(OTHER_TAGS.values()), ids=[*FORMS, *OTHER_TAGS])  # fmt: skip
def test_the_call_is_run_and_costs_the_format(written: str) -> None:
    canvas = FakeCanvas()
    says = ["<think>Bars.</think>\n" + written, answer("ok blue")]
    done = run_episode(
        ScriptedPolicy(says), SAMPLE, canvas, PictureOnly(), AgentSettings.of("python")
    )
    assert canvas.drawn == [CODE]
    assert [seen.status for seen in done.turns[0].observations] == ["ok"]
    assert done.turns[0].thought == "Bars."
    assert done.turns[0].malformed
    assert not is_well_formed(done, "python")
    assert (
        from_json(json.loads(json.dumps(to_json(done, lambda _: "x"))), lambda _: b"") is not None
    )


def test_the_protocol_s_form_is_well_formed() -> None:
    says = [f"<think>Bars.</think><tool_call>\n{OBJECT}\n</tool_call>", answer("ok blue")]
    canvas = FakeCanvas()
    done = run_episode(
        ScriptedPolicy(says), SAMPLE, canvas, PictureOnly(), AgentSettings.of("python")
    )
    assert canvas.drawn == [CODE]
    assert done.turns[0].malformed == ()
    assert is_well_formed(done, "python")


@pytest.mark.parametrize("between", ["\n", "", ", "])
def test_two_objects_in_one_tag_are_two_calls(between: str) -> None:
    other = OBJECT.replace("blue", "green")
    calls = parse_reply(f"<tool_call>{OBJECT}{between}{other}</tool_call>").tool_calls
    assert [call.arguments["python_code"].split()[1] for call in calls] == ["blue", "green"]
    assert all(call.malformed for call in calls)


@pytest.mark.parametrize(
    "body",
    [
        OBJECT[:60],  # inside of a string
        OBJECT[: OBJECT.index("{", 5) + 1],  # before the code
        OBJECT.replace('"}}', "}}"),  # the string has no end
        OBJECT + " and " + OBJECT,
        OBJECT + "<answer>x</answer>",
        OBJECT.replace("{", "[", 1),
        "[" + OBJECT + ", 5]",
        f"import {NAME}",
        f"{NAME}({JSON_CODE})",
        "{'name': open('x'), 'arguments': {}}",
        "{{}: 1}",
        "{[]: 1}",
        "<function=>x</function>",
    ],
)
def test_what_might_mean_something_else_is_not_run(body: str) -> None:
    calls = parse_reply(f"<tool_call>{body}</tool_call>").tool_calls
    assert any(call.error for call in calls)
    for call in calls:
        assert "\n" not in (call.error or "")
        assert call.error is None or call.malformed is None


@pytest.mark.parametrize(
    "text",
    [
        "I was given <tools> to look with, and {no} idea.",
        "<tools>{not a call}</tools> are there.",
        '```json\n{"name": "Sales", "values": "1"}\n```\nand\n```json\n{}\n```',
        '{"title": "Sales"}',
        "<function=draw is how it begins.",
    ],
)
def test_a_text_that_only_looks_like_a_call_is_text(text: str) -> None:
    assert parse_reply(text).tool_calls == ()
    assert parse_reply(f"{text}<answer>x</answer>").answer == "x"


@pytest.mark.parametrize(
    ("arguments", "repaired"),
    [
        (INNER, False),
        (RAW_INNER, True),
        (INNER[:-1], True),
        (json.dumps(INNER), True),
        (repr({"python_code": CODE}), True),
    ],
)
def test_calls_of_an_endpoint_are_read_by_the_same_rules(arguments: str, repaired: bool) -> None:
    (call,) = read_native_calls([NativeCall("c", NAME, arguments)])
    assert (call.name, call.arguments, call.error) == (NAME, {"python_code": CODE}, None)
    assert (call.malformed is not None) == repaired


PIECES = ("{", "}", "[", "]", '"', "'", ",", ":", "\\", "\n", "<tools>", "</tools>", "```json\n",
          "```", '"name"', '"arguments"', "<function=a>", "<parameter=b>", "</function>",
          "<tool_call>", "</tool_call>", "<think>", "</think>", "1", "\ud800", OBJECT)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text())
def test_no_string_raises(text: str) -> None:
    for written in (text, f"<tool_call>{text}</tool_call>", f"<tools>{text}</tools>"):
        for call in parse_reply(written).tool_calls:
            assert call.name is not None or call.error is not None
    read_native_calls([NativeCall("c", text, text)])
    run_episode(
        ScriptedPolicy([Completion(text, "length"), Completion("", "stop")]),
        SAMPLE, FakeCanvas(), PictureOnly(), AgentSettings.of("python", max_turns=2),
    )  # fmt: skip


@pytest.mark.parametrize(
    "piece",
    ["{", "[", "{'a':", '{"a":', '"', "'", "<tools>{", "<tools>{</tools>", "<function=a>",
     "<function=a><parameter=b>", "{}", "{},", "```json\n", "<tool_call>", "}", " "],
)  # fmt: skip
def test_long_repetitions_are_read_in_one_pass(piece: str) -> None:
    # With a quadratic step any of these would take hours, not a moment.
    for size in (199_000, 2_000_000):
        text = piece * (size // len(piece))
        parse_reply(text)
        parse_reply(f"<tool_call>{text}</tool_call>")
        read_native_calls([NativeCall("c", "x", text)])


BACKSLASHES = {
    r"plt.title('$\alpha$')\nx": "plt.title('$\\alpha$')\nx",
    r"plt.title('$\varphi + \\beta$')": "plt.title('$\\varphi + \\beta$')",
    r"plt.title(\'$\sum$\')": "plt.title('$\\sum$')",
}


@pytest.mark.parametrize("written", BACKSLASHES)
def test_a_formula_keeps_its_backslashes(written: str) -> None:
    raw = f'{{"name": "t", "arguments": {{"python_code": "{written}"}}}}'
    (read,) = read_calls(raw)
    assert read.arguments == {"python_code": BACKSLASHES[written]}
    assert read.malformed == "backslashes that JSON does not know"
