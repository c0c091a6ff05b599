"""The official preparation of an answer, run live, gives the code that ours gives.

VLMEvalKit's scorer writes the code it is about to execute to a file; here its execution is replaced
by nothing, so that only its preparation runs, and the file is compared with ours.
"""

from __future__ import annotations

import importlib
import json
import random
import ssl
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rrvf.benchmarks.predictions import load_predictions
from rrvf.replies import (
    clean_escapes,
    customized_preamble,
    first_python_fence,
    part_two,
    prepare_official,
)

pytestmark = pytest.mark.parity

SHARED = Path(__file__).parents[3] / "shared" / "data" / "chartmimic_v1"

PIECES = (
    "```python", "```", "```python\n", "\n```\n", "```python3", "`", "\n", " ", "x = 1\n", "ä",
    "plt.savefig(", "plt.savefig('a.pdf')\n", "plt.show()\n", "plt.show(", "pltXshow(", "plt.show",
    "plt\nshow(", "# plt.savefig(\n", "\\n", "\\\\n", "\\\\\\n", "\\\\\\\\", "\\\\\\\\n", "\\\\t",
    "\\\\r", '\\\\"', "\\\\'", "\\\\b", "\\\\f", "\\\\v", "\\\\\\\\b", "\\\\\\\\\\\\", "\\", "\t",
    "text", "\r",
)  # fmt: skip

RULER = "# ===================\n"
BLOCK = f"{RULER}# Part 2: Data Preparation\n{RULER}x = [1]\n\n"
NEXT = f"{RULER}# Part 3: Plot Configuration and Rendering\n{RULER}"
REFERENCES = (
    f"import a\n{BLOCK}{NEXT}plt.plot(x)\n",
    f"{BLOCK}{BLOCK}{NEXT}{NEXT}",
    f"{NEXT}{BLOCK}{NEXT}",
    f"{BLOCK}plt.show()\n{NEXT}",
)


def completions() -> list[str]:
    """Random answers, most of them with a fenced block, the same ones in every run."""
    chance = random.Random(7)
    found = ["", "no code", "```python```", "```python\nx = 1"]
    for _ in range(400):
        body = "".join(chance.choices(PIECES, k=chance.randrange(14)))
        found += [body, f"Here:\n```python\n{body}\n```\n"]
    return found


@pytest.fixture(scope="module")
def official() -> Any:
    """VLMEvalKit's module; its import switches the verification of TLS off, which is undone."""
    pytest.importorskip("vlmeval", reason="compares with VLMEvalKit's own scorer")
    module = importlib.import_module("vlmeval.dataset.chartmimic")
    verifying = ssl.create_default_context
    ssl._create_default_https_context = verifying  # pyright: ignore[reportPrivateUsage]
    return module


def do_nothing(*_: object, **__: object) -> None:
    """Stands in for the execution of the code."""


@pytest.fixture
def prepare(
    official: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str | None], str | None]:
    """(completion, customized reference or None) -> what the official scorer would execute."""
    monkeypatch.setenv("LMUData", str(tmp_path))
    monkeypatch.setattr(official, "save_code_dir", str(tmp_path), raising=False)
    monkeypatch.setattr(official, "sub_set_name", "v1", raising=False)
    monkeypatch.setattr(subprocess, "run", do_nothing)
    folder = tmp_path / "images" / "ChartMimic"
    folder.mkdir(parents=True)

    def run(completion: str, reference: str | None) -> str | None:
        task = "direct" if reference is None else "customized"
        (folder / "bar_1.py").write_text(reference or "", encoding="utf-8")
        written = tmp_path / "ChartMimic" / "v1" / task / "0.py"
        written.unlink(missing_ok=True)
        item = {
            "index": 0,
            "prediction": completion,
            "task": task,
            "ground_truth_figure_code": "bar_1.py",
        }
        official._judge_one_item.__wrapped__(json.dumps(item))
        if not written.exists():
            return None
        code, appended, rest = written.read_bytes().decode().rpartition("\nplt.savefig(")
        assert appended
        assert rest == f'"{written.with_suffix(".pdf")}")'
        return code

    return run


THOUGHTS = (
    "<think>{draft}</think>{final}",
    "{draft}</think>{final}",
    "<think>{draft}</think>\n<think>x</think>\n{final}",
    "{draft}<think>x</think>{final}",
    "<think>{draft}</think> a </think>{final}",
    "<think>{draft}<think>x</think>{final}",
    "<think>{draft}</think>",
    "{draft}</think>",
    "{final}<think>x</think>",
)
DRAFT, FINAL = "```python\ndraft = 1\n```", "```python\nfinal = 1\n```"
WITH_THOUGHTS = [text.format(draft=DRAFT, final=FINAL) for text in THOUGHTS]


@pytest.fixture
def predict(
    official: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[list[str], bool], list[str]]:
    """(what a model said, SPLIT_THINK) -> the predictions that VLMEvalKit writes."""
    inference = importlib.import_module("vlmeval.inference")
    smp = importlib.import_module("vlmeval.smp")
    pandas = importlib.import_module("pandas")

    def run(said: list[str], split: bool) -> list[str]:
        def infer(model: object, out_file: str, **_: object) -> object:
            smp.dump(dict(enumerate(said)), out_file)
            return model

        monkeypatch.setattr(inference, "infer_data", infer)
        monkeypatch.setenv("PRED_FORMAT", "json")
        monkeypatch.delenv("SPLIT_THINK", raising=False)
        if split:
            monkeypatch.setenv("SPLIT_THINK", "1")
        folder = tmp_path / f"split_{split}"
        folder.mkdir()
        rows = SimpleNamespace(dataset_name="D", data=pandas.DataFrame({"index": range(len(said))}))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of every reply without <think>
            inference.infer_data_job(object(), str(folder), "M", rows)
        found = load_predictions(folder / "M_D.json")
        return [found.get(str(number), "") for number in range(len(said))]

    return run


def test_thoughts_are_cut_off_as_split_think_does(
    prepare: Callable[[str, str | None], str | None],
    predict: Callable[[list[str], bool], list[str]],
) -> None:
    said = [*WITH_THOUGHTS, *completions()[::40]]
    for raw, split in zip(said, predict(said, True), strict=True):
        assert prepare_official(raw) == prepare(split, None), raw


def test_without_split_think_the_draft_is_taken(
    prepare: Callable[[str, str | None], str | None],
    predict: Callable[[list[str], bool], list[str]],
) -> None:
    """The named difference: there it is off by default."""
    raw = WITH_THOUGHTS[:2]
    assert predict(raw, False) == raw
    assert [prepare(text, None) for text in raw] == ["draft = 1"] * 2
    assert [prepare_official(text) for text in raw] == ["final = 1"] * 2


def test_a_thought_that_is_never_closed_is_read_as_code_there(
    prepare: Callable[[str, str | None], str | None],
    predict: Callable[[list[str], bool], list[str]],
) -> None:
    """The other named difference, with SPLIT_THINK as without."""
    raw = [f"<think>{DRAFT}"]
    for split in (True, False):
        assert [prepare(text, None) for text in predict(raw, split)] == ["draft = 1"]
    assert prepare_official(raw[0]) is None


def test_the_two_rules_by_themselves(official: Any) -> None:
    for text in completions():
        assert first_python_fence(text) == official.extract_python_code(text)
        assert clean_escapes(text) == official.clean_escape_chars(text)


def test_random_answers(prepare: Callable[[str, str | None], str | None]) -> None:
    for completion in completions():
        assert prepare_official(completion) == prepare(completion, None), completion


@pytest.mark.parametrize("reference", REFERENCES)
def test_customized_answers(
    official: Any,
    prepare: Callable[[str, str | None], str | None],
    tmp_path: Path,
    reference: str,
) -> None:
    script = tmp_path / "reference.py"
    script.write_text(reference, encoding="utf-8")
    preamble = "\n".join(official.get_variable_code(str(script)).split("\n")[:2])
    block = part_two(reference)
    assert block is not None
    for completion in completions()[::10]:
        assert prepare_official(completion, f"{preamble}\n{block}") == prepare(
            completion, reference
        )


def test_a_reference_without_part_2(official: Any, tmp_path: Path) -> None:
    for number, reference in enumerate(("", BLOCK, NEXT, NEXT + BLOCK)):
        script = tmp_path / f"{number}.py"
        script.write_text(reference, encoding="utf-8")
        assert part_two(reference) is None
        with pytest.raises(ValueError, match="No match"):
            official.get_variable_code(str(script))


def test_the_imports_define_what_the_official_ones_define(official: Any, tmp_path: Path) -> None:
    script = tmp_path / "reference.py"
    script.write_text(REFERENCES[0], encoding="utf-8")
    theirs: dict[str, Any] = {}
    exec(official.get_variable_code(str(script)), theirs)
    their_draw = theirs["np"].random.random()
    ours: dict[str, Any] = {}
    exec(customized_preamble(REFERENCES[0]) or "", ours)
    assert ours["np"].random.random() == their_draw
    del theirs["__builtins__"], ours["__builtins__"]
    assert ours == theirs


def test_the_real_answers(official: Any, prepare: Callable[[str, str | None], str | None]) -> None:
    if not SHARED.is_dir():
        pytest.skip("the optional data ../shared/data/chartmimic_v1 is absent")
    answers = load_predictions(SHARED / "predictions.jsonl")
    assert len(answers) == 91
    for sample_id, completion in answers.items():
        assert prepare_official(completion) == prepare(completion, None), sample_id
        script = SHARED / "golden" / f"{sample_id}.py"
        block = part_two(script.read_text(encoding="utf-8"))
        if block is None:  # the direct task does not need it, and a few scripts lack the header
            with pytest.raises(ValueError, match="No match"):
                official.get_variable_code(str(script))
        else:
            assert official.get_variable_code(str(script)).split("\n", 2)[2] == block, sample_id
