"""One reply is one code, whichever command reads it; thoughts are cut off first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rrvf import replies
from rrvf.chat import Chat, ChatSettings
from rrvf.page_replies import extract_html
from rrvf.policies import EndpointPolicy
from rrvf.replies import all_python_blocks, extract_spoken, prepare_fixed, prepare_official
from rrvf.rewards import as_trajectory
from rrvf.types import Code, Sample
from tests.benches import picture_bench
from tests.chat_server import ChatServer, Reply, completion, reply
from tests.episodes import TARGET
from tests.runs import environment, kept_renderer, lines_of, plot, rrvf_here, values, write_data

DRAFT, FINAL = plot("draft"), plot("final")


def block(code: str, language: str = "python") -> str:
    return f"```{language}\n{code}\n```"


REPLIES: dict[str, tuple[str, str | None]] = {
    "plain": (block(FINAL), FINAL),
    "two_blocks": (f"{block(FINAL)}\nor\n{block(DRAFT)}", FINAL),
    "other_label": (block(FINAL, "py"), None),
    "no_label": (block(FINAL, ""), None),
    "prose": ("I cannot do this.", None),
    "thought": (f"<think>A draft:\n{block(DRAFT)}\nNo.</think>\n{block(FINAL)}", FINAL),
    "thought_without_opening": (f"A draft:\n{block(DRAFT)}\nNo.</think>\n{block(FINAL)}", FINAL),
    "two_thoughts": (f"<think>{block(DRAFT)}</think><think>x</think>{block(FINAL)}", FINAL),
    "thought_between": (f"{block(DRAFT)}\n<think>No.</think>\n{block(FINAL)}", FINAL),
    "closed_twice": (f"a</think>{block(DRAFT)}</think>{block(FINAL)}", FINAL),
    "open_thought": (f"<think>Let me write it. {block(DRAFT)}", None),
    "open_thought_after": (f"{block(FINAL)}\n<think>Now I check it. {block(DRAFT)}", FINAL),
    "open_thought_answer": (f"<think>{block(DRAFT)}<answer>{block(FINAL)}</answer>", FINAL),
    "only_thoughts": (f"<think>{block(DRAFT)}</think>", None),
    "answer": (f"<think>x</think><answer>{block(FINAL)}</answer>", FINAL),
    "answer_without_thoughts": (f"<answer>{block(FINAL)}</answer>", FINAL),
    "draft_before_answer": (f"{block(DRAFT)}<answer>{block(FINAL)}</answer>", FINAL),
    "two_answers": (f"<answer>{block(DRAFT)}</answer><answer>{block(FINAL)}</answer>", FINAL),
    "answer_without_block": (f"<answer>{FINAL}</answer>", FINAL),
    "answer_with_other_label": (f"<answer>{block(FINAL, 'py')}</answer>", FINAL),
    "thought_in_answer": (f"<answer><think>{block(DRAFT)}</think>{block(FINAL)}</answer>", FINAL),
    "answer_never_closed": (f"<think>x</think><answer>{block(FINAL)}", FINAL),
    "empty_answer": (f"{block(FINAL)}<answer> </answer>", FINAL),
}
"""Sample -> a reply, and the code in it."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    references = dict.fromkeys(REPLIES, f"{FINAL}\nplt.savefig('x.pdf')")
    folder = tmp_path_factory.mktemp("data")
    return write_data(folder, references, {name: text for name, (text, _) in REPLIES.items()})


def commands(data: list[str | Path], out: Path) -> Mapping[str, list[Any]]:
    where, file = data[:2], data[3]
    return {
        "score": ["score", "chartmimic", *data, "--out", out],
        "fixed": ["score", "chartmimic", *data, "--mode", "fixed", "--out", out],
        "one turn": [
            "eval",
            "chartmimic",
            *where,
            "--policy",
            file,
            "--max-turns",
            1,
            "--out",
            out,
        ],
        "last turn": ["eval", "chartmimic", *where, "--policy", file, "--out", out],
    }


@pytest.mark.parametrize("name", ["score", "fixed", "one turn", "last turn"])
def test_a_reply_is_the_same_code_in_every_command(
    data: list[str | Path], tmp_path: Path, name: str
) -> None:
    done = rrvf_here(*commands(data, tmp_path / "out")[name])
    assert done.returncode == 0, done.stderr
    found = lines_of(tmp_path / "out")
    codes = {sample: (line["code"] or "").strip() or None for sample, line in found.items()}
    assert codes == {sample: code and code.strip() for sample, (_, code) in REPLIES.items()}
    scores = {sample: values(line)["text"] for sample, line in found.items()}
    assert scores == {sample: float(code is not None) for sample, (_, code) in REPLIES.items()}
    statuses = {sample: line["status"] for sample, line in found.items()}
    assert {statuses[sample] for sample, (_, code) in REPLIES.items() if code is None} == {
        "no_code"
    }
    assert "thoughts, which were cut off first" in done.stderr


def test_training_reads_as_evaluation_does(tmp_path: Path) -> None:
    (tmp_path / "target.png").write_bytes(TARGET)
    with kept_renderer(workers=1) as renderer:
        scoring = picture_bench(renderer)
        for name, (text, code) in REPLIES.items():
            sample = Sample(name, None, image=tmp_path / "target.png")
            for said in (text, as_trajectory(sample, text, "python").completion):
                result = scoring.score((sample, said)).result
                assert (result.code or "").strip() == (code or "").strip(), name
                assert result.status == ("no_code" if code is None else "ok"), name


def test_the_run_says_how_many_replies_hold_thoughts(tmp_path: Path) -> None:
    names = ("plain", "thought", "open_thought")
    replies = {name: REPLIES[name][0] for name in names}
    options = write_data(tmp_path, dict.fromkeys(names, FINAL), replies)
    done = rrvf_here("score", "chartmimic", *options, "--out", tmp_path / "a")
    assert "2 replies hold thoughts, which were cut off first" in done.stderr
    (tmp_path / "p.jsonl").write_text(json.dumps({"id": "plain", "prediction": block(FINAL)}))
    options = [*options[:3], tmp_path / "p.jsonl"]
    done = rrvf_here("score", "chartmimic", *options, "--out", tmp_path / "b")
    assert "thoughts" not in done.stderr


TAGS = ("<think>", "</think>", "<answer>", "</answer>", "<tool_call>", "</tool_call>", "```",
        "```python\n", "```html", "<tools>", "x = 1\n", "<p>", " ", "\ud800")  # fmt: skip
ANY_TEXT = st.lists(st.sampled_from(TAGS), max_size=14).map("".join) | st.text()


@given(ANY_TEXT)
@example("<answer>```<think>")
def test_what_is_spoken_is_read_once_and_for_all(text: str) -> None:
    for language in ("python", "html"):
        once = extract_spoken(text, language)
        assert extract_spoken(once, language) == once
        assert "<answer>" not in once or "<tool_call>" in once
    once = extract_spoken(text, "python")
    assert prepare_official(once) == prepare_official(text)
    assert prepare_fixed(once) == prepare_fixed(text)
    assert all_python_blocks(once) == all_python_blocks(text)
    assert extract_html(extract_spoken(text, "html")) == extract_html(text)


@given(ANY_TEXT)
def test_a_text_without_thoughts_and_answers_stays_as_it_is(text: str) -> None:
    if not any(tag in text for tag in TAGS[:3]):
        assert extract_spoken(text, "python") == extract_spoken(text, "html") == text


@pytest.mark.parametrize(
    "piece", ["<think>", "</think>", "<answer>", "<answer></answer>", "<tools>{"]
)
def test_long_repetitions_are_read_in_one_pass(piece: str) -> None:
    # With a quadratic step any of these would take hours, not a moment.
    text = piece * (2_000_000 // len(piece))
    extract_spoken(text, "python")
    extract_html(text)


# ------------------------------------------------------------------------- a server's own channel


def thinking(content: str | None, thought: str, reason: str, name: str, n_tokens: int) -> Reply:
    said = completion(content, **{name: thought})
    said["choices"][0]["finish_reason"] = reason
    said["usage"]["completion_tokens"] = n_tokens
    return reply(said)


def play(tmp_path: Path, said: Reply, *more: object) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The run's console, its episode, its result."""
    data = write_data(tmp_path, {"line_0": f"{FINAL}\nplt.savefig('x.pdf')"}, {})[:2]
    env = environment(RRVF_CACHE_DIR=str(tmp_path / "cache"))
    with ChatServer(lambda _: said) as server:
        words = ["--policy", "m", "--base-url", server.url, "--out", tmp_path / "out", *more]
        done = rrvf_here("eval", "chartmimic", *data, *words, env=env)
    assert done.returncode == 0, done.stderr
    (line,) = (tmp_path / "out" / "trajectories.jsonl").read_text().splitlines()
    return done, json.loads(line), lines_of(tmp_path / "out")["line_0"]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_that_use_up_the_tokens_are_no_silence(tmp_path: Path, name: str) -> None:
    said = thinking(None, "thinking " * 50, "length", name, 4096)
    done, episode, result = play(tmp_path, said)
    (turn,) = episode["turns"]
    assert episode["stop_reason"] == "token_budget"
    assert (turn["finish_reason"], turn["output_tokens"]) == ("length", 4096)
    assert turn["thought"].startswith("thinking")
    assert turn["note"] is None
    assert (result["status"], values(result)["text"]) == ("no_code", 0.0)
    assert "reasoning parser" not in done.stderr


def test_hidden_thoughts_that_use_up_the_tokens_are_no_silence(tmp_path: Path) -> None:
    said = thinking("", "", "length", "reasoning", 4096)
    _, episode, _ = play(tmp_path, said)
    (turn,) = episode["turns"]
    assert episode["stop_reason"] == "token_budget"
    assert (turn["finish_reason"], turn["output_tokens"]) == ("length", 4096)


@pytest.mark.parametrize("turns", [1, 5])
def test_a_whole_answer_in_the_channel_is_said_to_be_there(tmp_path: Path, turns: int) -> None:
    said = thinking(None, f"A line.\n{block(FINAL)}", "stop", "reasoning_content", 90)
    done, episode, result = play(tmp_path, said, "--max-turns", turns)
    (turn,) = episode["turns"]
    assert (episode["stop_reason"], turn["output_tokens"]) == ("no_action", 90)
    assert "reasoning parser" in turn["note"]
    assert "1 of 1 replies: the server returned the whole answer as reasoning" in done.stderr
    assert values(result)["text"] == 0.0


@pytest.mark.parametrize("turns", [1, 5])
def test_a_tagged_answer_in_the_channel_counts(tmp_path: Path, turns: int) -> None:
    thought = f"A line.\n<answer>{block(FINAL)}</answer>"
    said = thinking(None, thought, "stop", "reasoning_content", 90)
    done, episode, result = play(tmp_path, said, "--max-turns", turns)
    assert episode["stop_reason"] == "answered"
    assert values(result)["text"] == 1.0
    assert "outside the content" in done.stderr


def test_silence_stays_silence(tmp_path: Path) -> None:
    done, episode, _ = play(tmp_path, reply(completion("")))
    (turn,) = episode["turns"]
    assert (episode["stop_reason"], turn["completion"], turn["note"]) == ("no_action", "", None)
    assert "outside the content" not in done.stderr


PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Two bars."}]},
    {"type": "text", "text": f"<answer>{block(FINAL)}</answer>"},
]


@pytest.mark.parametrize(
    "message",
    [
        {"content": PARTS[1]["text"], "reasoning_content": "Two bars."},
        {"content": PARTS[1]["text"], "reasoning": "Two bars.", "reasoning_content": None},
        {"content": PARTS},
    ],
)
def test_thoughts_beside_an_answer_are_thoughts(message: dict[str, Any]) -> None:
    said = completion(None)
    said["choices"][0]["message"] |= message
    with (
        ChatServer(lambda _: reply(said)) as server,
        Chat(ChatSettings("m", base_url=server.url), None) as chat,
    ):
        got = EndpointPolicy(chat).reply([], sample_id="a", repeat=0, stop=(), max_tokens=9)
    assert got.text == f"<think>Two bars.</think><answer>{block(FINAL)}</answer>"
    assert got.note is None


# ------------------------------------------------------------- code that speaks of tags and fences


LITERAL = {
    "a title": block("plt.title('<think>')"),
    "thoughts before": f"<think>hm</think>{block('plt.title(1)  # <think>')}",
    "an answer": f"<answer>{block('plt.title(1)  # <think>')}</answer>",
    "mentioned after": f"<answer>{block('plt.title(1)')}</answer>\nBetween <answer> tags.",
}


@pytest.mark.parametrize("name", LITERAL)
def test_a_tag_that_is_code_or_a_mention_is_no_tag(name: str) -> None:
    prepared = replies.prepare_official(LITERAL[name])
    assert prepared is not None
    assert prepared.startswith("plt.title(")
    assert ("<think>" in prepared) == ("<think>" in LITERAL[name].split("</think>")[-1])


@pytest.mark.parametrize("code", ["x = '<think>'", "x = 1  # ```python", "x = '</answer>'"])
def test_code_that_is_the_whole_answer_is_not_read_as_a_reply(code: str) -> None:
    assert replies.prepare_official(Code(code)) == code
    assert replies.prepare_fixed(Code(code)) == code
    assert replies.all_python_blocks(Code(code)) == code


def test_a_page_that_is_the_whole_answer_is_not_read_as_a_reply() -> None:
    page = "<p>write ```html, <think> and\n```</p>"
    assert extract_html(Code(page)) == page
    assert extract_html(Code("no page")) is None
