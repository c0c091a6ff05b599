"""Completions are taken apart without ever raising, and prepared by two stated rules."""

from __future__ import annotations

import ast
import json
import threading
import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rrvf.replies import (
    Reply,
    all_python_blocks,
    clean_escapes,
    customized_preamble,
    extract_code,
    first_python_fence,
    parse_reply,
    part_two,
    prepare_fixed,
    prepare_official,
)

FENCE = "```"


def fenced(code: str, language: str = "python") -> str:
    return f"{FENCE}{language}\n{code}\n{FENCE}"


def call(**members: object) -> str:
    return f"<tool_call>{json.dumps(members)}</tool_call>"


# --- tags -----------------------------------------------------------------------------------------


def test_a_whole_reply_is_taken_apart() -> None:
    reply = parse_reply(
        "<think> look closely </think>\nNow:\n"
        + call(name="draw", arguments={"python_code": "x = 1"})
        + "<answer>\ndone\n</answer>"
    )
    assert reply.think == "look closely"
    assert [(c.name, c.arguments, c.error) for c in reply.tool_calls] == [
        ("draw", {"python_code": "x = 1"}, None)
    ]
    assert reply.answer == "done"
    assert reply.text == "Now:"


def test_a_plain_reply_is_text() -> None:
    assert parse_reply(" hello ") == Reply(None, (), None, "hello")
    assert parse_reply("") == Reply(None, (), None, "")


def test_several_calls_keep_their_order_and_fail_one_by_one() -> None:
    calls = parse_reply(
        call(name="a", arguments={}) + "<tool_call>{oops</tool_call>" + call(name="b")
    ).tool_calls
    assert [c.name for c in calls] == ["a", None, "b"]
    assert [c.error is None for c in calls] == [True, False, True]
    assert calls[1].raw == "{oops"


def test_arguments_may_be_json_in_a_string() -> None:
    (one,) = parse_reply(call(name="draw", arguments='{"python_code": "x"}')).tool_calls
    assert one.arguments == {"python_code": "x"}
    assert one.error is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        '{"arguments": {}}',
        '{"name": 3, "arguments": {}}',
        '{"name": "", "arguments": {}}',
        '{"name": "a", "arguments": []}',
        '{"name": "a", "arguments": null}',
        '{"name": "a", "arguments": "{"}',
        '{"name": "a", "arguments": "[]"}',
        '{"name": "a", "arguments": {}} and more',
        '{"name": "a", "arguments": {"n": ' + "9" * 5000 + "}}",
        "[" * 100_000,
        '{"name":' * 100_000,
    ],
)
def test_an_unreadable_call_says_why_in_one_short_line(body: str) -> None:
    (one,) = parse_reply(f"<tool_call>{body}</tool_call>").tool_calls
    assert one.error
    assert "\n" not in one.error
    assert len(one.error) < 200
    assert one.arguments == {}
    assert one.raw == body


def test_tags_inside_thoughts_are_thoughts() -> None:
    reply = parse_reply(
        f"<think>I could <answer>no</answer> or {call(name='a')}</think><answer>yes</answer>"
    )
    assert reply.answer == "yes"
    assert reply.tool_calls == ()
    assert "<answer>no</answer>" in (reply.think or "")


def test_an_unclosed_element_reaches_to_the_end() -> None:
    assert parse_reply("<answer>x = 1").answer == "x = 1"
    assert parse_reply("<think>hm <answer>x</answer>") == Reply("hm <answer>x</answer>")
    (one,) = parse_reply('<tool_call>{"name": "a", "arguments": {}}').tool_calls
    assert one.name == "a"
    assert one.error is None


def test_thoughts_may_be_opened_by_the_chat_template() -> None:
    reply = parse_reply("perhaps <answer>no</answer></think><answer>yes</answer>")
    assert reply.think == "perhaps <answer>no</answer>"
    assert reply.answer == "yes"


def test_thoughts_are_joined_and_the_last_answer_counts() -> None:
    reply = parse_reply("<think>a</think><answer>1</answer><think>b</think><answer>2</answer>")
    assert reply.think == "a\nb"
    assert reply.answer == "2"


# --- code of our own agent ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("completion", "code"),
    [
        (fenced("a") + "\n<answer>" + fenced("b") + "</answer>", "b"),
        ("<answer>x = 1\ny = 2</answer>", "x = 1\ny = 2"),
        (fenced("a") + "\nbetter:\n" + fenced("b"), "b"),
        (fenced("a") + "\n" + fenced("ls", "bash"), "a"),
        (fenced("<p>", "html") + "\n" + fenced("<b>", "HTML"), "<b>"),
        (fenced("a", "") + " and that is all", "a"),
        (fenced("a", "py"), "a"),
        ("Code: " + fenced("a"), "a"),
        (f"{FENCE}python\na = 1", "a = 1"),
        (f"{FENCE}python\na = 1  # no {FENCE} fence", f"a = 1  # no {FENCE} fence"),
        (f"{FENCE}python\nx = 1\nplt.show(){FENCE}\nIt draws.", "x = 1\nplt.show()"),
        (f"{FENCE}python x = 1{FENCE}", "x = 1"),
        (f"- item\n  {FENCE}python\n  a = 1\n  b = 2\n  {FENCE}", "a = 1\nb = 2"),
        (f"{FENCE}python\r\na = 1\r\nb = 2\r\n{FENCE}", "a = 1\r\nb = 2"),
        ("<think>" + fenced("a") + "</think>", None),
        (fenced("   "), None),
        ("no code at all", None),
        ("", None),
        ("<answer></answer>" + fenced("a"), "a"),
    ],
)
def test_extract_code_forgives(completion: str, code: str | None) -> None:
    language = "html" if "html" in completion else "python"
    assert extract_code(completion, language) == code


def test_the_language_asked_for_goes_before_a_later_block() -> None:
    both = fenced("<p>", "html") + "\n" + fenced("x = 1")
    assert extract_code(both, "html") == "<p>"
    assert extract_code(both, "python") == "x = 1"


# --- the official rules ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"see {FENCE}python\na\n{FENCE} and {FENCE}python\nb\n{FENCE}", "\na\n"),
        (f"{FENCE}python3\na{FENCE}", "3\na"),
        (f"{FENCE}python\na", ""),
        (f"{FENCE}Python\na{FENCE}", ""),
        (f"{FENCE}\na\n{FENCE}", ""),
        (f"{FENCE}\na\n{FENCE}python\nb\n{FENCE}", "\nb\n"),
        (f"{FENCE}python{FENCE}", ""),
    ],
)
def test_first_python_fence(text: str, code: str) -> None:
    assert first_python_fence(text) == code


def test_clean_escapes_by_character() -> None:
    two = "\\" * 2
    assert clean_escapes(f"a{two}nb{two}rc{two}td") == "a\nb\rc\td"
    assert clean_escapes(f"{two}b{two}f{two}v") == "\b\f\v"
    assert clean_escapes(f"{two}\"{two}'") == "\"'"
    assert clean_escapes("\\" * 4) == "\\"
    assert clean_escapes("\\n \\t \\x " + two) == "\\n \\t \\x " + two
    # In order: the line break is made before the four backslashes can become one.
    assert clean_escapes("\\" * 4 + "n") == two + "\n"
    # And the four become one before \\b is looked for, so what is left is a single one.
    assert clean_escapes("\\" * 4 + "b") == "\\b"


def test_official_preparation_cuts_at_the_text() -> None:
    code = "# then plt.savefig(x)\nplt.plot([1])\nplt.show()"
    assert prepare_official(fenced(code)) == "# then"
    inside = "def draw():\n    plt.plot([1])\n    plt.show()\ndraw()"
    assert prepare_official(fenced(inside)) == "def draw():\n    plt.plot([1])"
    assert prepare_official(fenced("a\nplt.show()\nb\nplt.savefig('x')")) == "a"
    assert prepare_official(fenced("a = 1\npltXshow(2)")) == "a = 1"
    assert prepare_official(fenced("a = 1\nplt\nshow(2)")) == "a = 1"
    assert (
        prepare_official(fenced("fig.savefig('x')\nfig.show()")) == "fig.savefig('x')\nfig.show()"
    )


def test_official_preparation_without_code() -> None:
    assert prepare_official("no code") is None
    assert prepare_official("no code", "x = 1") is None
    assert prepare_official(fenced("plt.show()")) == ""


def test_data_goes_first_and_is_cut_officially_only() -> None:
    assert prepare_official(fenced("b"), "a = 1") == "a = 1\n\nb"
    assert prepare_official(fenced("b"), "plt.show()") == ""
    assert prepare_fixed(fenced("b"), "plt.show()") == "plt.show()\n\nb"


# --- the mended rules -----------------------------------------------------------------------------


def test_valid_escapes_stay() -> None:
    code = 'label = "$\\\\vec{x}$"'
    assert prepare_fixed(fenced(code)) == code
    assert prepare_official(fenced(code)) == 'label = "$\vec{x}$"'


def test_code_that_was_escaped_twice_is_cleaned() -> None:
    assert prepare_fixed(fenced("a = 1\\\\nb = 2")) == "a = 1\nb = 2"


@pytest.mark.parametrize(
    "code",
    [
        "# plt.savefig('x')\nplt.plot([1])",
        "text = 'plt.show()'\nplt.plot([1])",
        "def draw():\n    plt.plot([1])\n    plt.show()\ndraw()",
        "async def draw():\n    plt.show()\nplt.plot([1])",
        "class Chart:\n    def draw(self):\n        plt.savefig('x')\nChart().draw()",
        "later = lambda: plt.show()\nplt.plot([1])",
        "if __name__ == '__main__':\n    plt.plot([1])\n    plt.show()",
        "fig.show()\nplt.plot([1])",
        "plt.show\nplt.plot([1])",
        "pltXshow(1)\nplt.plot([1])",
    ],
)
def test_what_does_not_save_does_not_cut(code: str) -> None:
    assert prepare_fixed(fenced(code)) == code


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("plt.plot([1])\nplt.savefig('x')\nplt.close()", "plt.plot([1])"),
        ("plt.plot([1])\nplt.show()\nplt.plot([2])\nplt.savefig('x')", "plt.plot([1])"),
        ("a = 'ä€😀'; plt.show(); b = 1", "a = 'ä€😀';"),
        ("a = 1\rplt.show()\rb = 2", "a = 1"),
        ("a = 1\r\nplt.show()\r\nb = 2", "a = 1"),
        ("a = '''\n\x0c\u2028\x85\n'''\nplt.show()", "a = '''\n\x0c\u2028\x85\n'''"),
        ("a = 1\n_ = plt.savefig('x')", "a = 1"),
        ("a = 1\nplt.savefig(\n    'x',\n)\nb = 2", "a = 1"),
        ("plt.show()", ""),
    ],
)
def test_the_module_is_cut_before_it_saves(code: str, kept: str) -> None:
    assert prepare_fixed(fenced(code)) == kept


@pytest.mark.parametrize(
    "completion",
    [
        "no code",
        fenced(""),
        fenced("a = (1\nplt.show()\n"),
        fenced("def f(:\n  plt.savefig('x')"),
        fenced("  indented = 1\nplt.show()"),
        fenced("x = '\0'\nplt.show()"),
        fenced("x = '\ud800'\nplt.show()"),
        fenced("x = 1" + " + 1" * 60_000),
        fenced("x = " + "-" * 150_000 + "1\nplt.show()"),
        fenced("# plt.show()" + "x" * 300_000 + "\na = 1"),
    ],
)
def test_code_that_cannot_be_parsed_is_prepared_as_officially(completion: str) -> None:
    assert prepare_fixed(completion) == prepare_official(completion)


def test_deep_nesting_does_not_end_a_thread() -> None:
    code = "a" + ".b" * 90_000
    results: list[str | None] = []
    thread = threading.Thread(target=lambda: results.append(prepare_fixed(fenced(code))))
    thread.start()
    thread.join()
    assert results == [code]


def test_warnings_of_the_compiler_do_not_leak() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        assert prepare_fixed(fenced('x = "\\d"')) == 'x = "\\d"'
        threads = [
            threading.Thread(target=prepare_fixed, args=(fenced('"\\d" is "\\w"'),))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert list(warnings.filters) == before
    assert caught == []


# --- customized samples ---------------------------------------------------------------------------

RULER = "# ==================="
REFERENCE = "\n".join(
    [
        RULER, "# Part 1: Importing Libraries", RULER, "import numpy as np",
        RULER, "# Part 2: Data Preparation", RULER, "", "x = [1, 2]", "y = np.sqrt(x)", "",
        RULER, "# Part 3: Plot Configuration and Rendering", RULER, "plt.plot(x, y)",
    ]
)  # fmt: skip


def test_part_two_is_what_stands_between_its_headers() -> None:
    assert part_two(REFERENCE) == "x = [1, 2]\ny = np.sqrt(x)"
    assert part_two(REFERENCE.replace("Part 2", "Part 9")) is None
    assert part_two(REFERENCE.replace("Part 3", "Part 9")) is None
    assert part_two("") is None


def test_preamble_is_the_imports_and_the_data() -> None:
    preamble = customized_preamble(REFERENCE)
    assert preamble is not None
    assert preamble.endswith("x = [1, 2]\ny = np.sqrt(x)")
    assert customized_preamble("x = 1") is None


def test_preamble_defines_the_names_and_the_state_it_promises() -> None:
    for module in ("networkx", "seaborn", "matplotlib_venn", "scipy"):
        pytest.importorskip(module)
    import numpy as np

    scope: dict[str, object] = {}
    with warnings.catch_warnings():
        exec(customized_preamble(REFERENCE) or "", scope)
        filters = [(kind, category) for kind, _, category, *_ in warnings.filters]
    names = {
        "warnings", "plt", "pd", "np", "math", "venn2", "cm", "gaussian_kde", "nx", "GridSpec",
        "multivariate_normal", "colorsys", "mcolors", "LogNorm", "norm", "gridspec", "sns",
        "x", "y",
    }  # fmt: skip
    assert set(scope) - {"__builtins__"} == names
    assert ("ignore", UserWarning) in filters
    assert ("ignore", FutureWarning) in filters
    assert np.random.random() == np.random.RandomState(0).random()


# --- any string -----------------------------------------------------------------------------------

PIECES = [
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>",
    "```", "```python", "```html", "{", "}", "[", "]", '"', "\\", "\\\\n", "\\\\\\\\", "\\u0000",
    '{"name":"a","arguments":{', "plt.savefig(", "plt.show()", "#", ";", "(", ")", "=", "def", ":",
    "if", "lambda:", "x", "1", "\0", "\ud800", "\r", "\x0c", "ä", "\n", " ", "    ",
]  # fmt: skip
any_text = st.one_of(
    st.text(st.characters(exclude_categories=())),
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
)


@given(any_text)
@example("\ud800<tool_call>\ud800")
def test_no_string_raises(completion: str) -> None:
    reply = parse_reply(completion)
    assert all((c.name is not None) or c.error for c in reply.tool_calls)
    extract_code(completion, "python")
    extract_code(completion, "html")
    assert (prepare_official(completion) is None) == (prepare_fixed(completion) is None)
    for text in (completion, fenced(completion)):
        prepare_official(text, "x = 1")
        prepare_fixed(text, "x = 1")
    part_two(completion)


@given(any_text)
def test_nothing_is_lost_or_invented(completion: str) -> None:
    reply = parse_reply(completion)
    for part in (*(reply.think or "").split("\n"), reply.answer or "", *reply.text.split("\n")):
        assert part in completion
    assert all(c.raw in completion for c in reply.tool_calls)


STATEMENTS = (
    "x = 1", "y = 'ä'; z = \"😀\"", "# plt.show()", "plt.plot(x)\r", "plt.savefig('a')",
    "plt.show()", "def f():\n    plt.show()", "s = '''\nplt.show()\n\x0c'''",
    "if x:\n    plt.show()", "x = 2; plt.show(); y = 3",
)  # fmt: skip


@given(st.lists(st.sampled_from(STATEMENTS), max_size=8).map("\n".join))
def test_the_cut_is_before_the_first_statement_that_saves(code: str) -> None:
    every = [ast.unparse(node) for node in ast.parse(code).body]
    kept = [ast.unparse(node) for node in ast.parse(prepare_fixed(fenced(code)) or "").body]
    saves = [i for i, node in enumerate(every) if node in ("plt.show()", "plt.savefig('a')")]
    assert kept == every[: saves[0] if saves else None]


@pytest.mark.parametrize(
    "piece",
    ["<think>", "</think>", "<tool_call>", '<tool_call>{"', "<answer>x</answer>", "```", "`", " ",
     "```python\n", "```python x", "\n", "plt.savefig(", "plt.show", "\\", "<", f"{RULER}\n",
     "<tool_call>[</tool_call>", f"{RULER}\n# Part 2: Data Preparation\n"],
)  # fmt: skip
def test_long_repetitions_are_read_in_one_pass(piece: str) -> None:
    # With a quadratic step any of these would take hours, not a moment.
    completion = piece * (2_000_000 // len(piece))
    parse_reply(completion)
    extract_code(completion, "python")
    prepare_official(f"{FENCE}python\n{completion}\n{FENCE}")
    prepare_fixed(f"{FENCE}python\n{completion}\n{FENCE}")
    part_two(completion)


# --- Plot2Code's rule -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("completion", "code"),
    [
        ("", ""),
        (" plt.plot([1])\n", "plt.plot([1])"),
        (f"First:\n{fenced('a = 1')}\nthen\n{fenced('b = 2')}", "a = 1\nb = 2"),
        (f"{fenced(' a = 1 ')} {fenced('')}", "a = 1\n"),
        (fenced("a = 1", "py"), fenced("a = 1", "py")),
        (fenced("a = 1", "Python"), fenced("a = 1", "Python")),
        (fenced("a = 1", "python3"), "3\na = 1"),
        (f"{FENCE}python\na = 1", f"{FENCE}python\na = 1"),
        (f"{fenced('a = 1')}\n{FENCE}python\nb = 2", "a = 1"),
        (f"{FENCE}python a = 1{FENCE}", "a = 1"),
        (fenced(r"plt.title('\\n')"), r"plt.title('\\n')"),
        (f"<think>{fenced('a = 1')}</think><answer>{fenced('b = 2')}</answer>", "b = 2"),
    ],
)
def test_all_python_blocks(completion: str, code: str) -> None:
    assert all_python_blocks(completion) == code


def test_many_openings_take_no_time() -> None:
    """A rule that started anew at each of them would take hours."""
    assert all_python_blocks(f"{FENCE}python " * 200_001).count("\n") == 99_999
