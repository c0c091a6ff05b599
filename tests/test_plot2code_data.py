"""Plot2Code's samples from both layouts, and the one-line errors of everything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rrvf.benchmarks.plot2code import PROMPT, load_samples, require_drawable
from rrvf.errors import DataError, SetupError

ROWS = [
    {"file_name": "b_10.png", "code": "x = 'ä'\n", "instruction": " A line. ", "url": "u"},
    {"file_name": "pictures/a_9.png", "code": "y = 1", "instruction": "Bars.", "url": "v"},
]


def metadata(folder: Path, rows: list[dict[str, object]] | list[dict[str, str]] = ROWS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metadata.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return path


def fails(match: str, data: Path, **options: object) -> None:
    with pytest.raises(DataError, match=match) as caught:
        load_samples(data, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


# --- what is loaded -------------------------------------------------------------------------------


def test_a_row_becomes_a_sample(tmp_path: Path) -> None:
    metadata(tmp_path)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a_9.png").write_bytes(b"picture")
    first, second = load_samples(tmp_path)
    assert (first.id, second.id) == ("b_10", "a_9")
    assert first.reference_code == "x = 'ä'\n"
    assert (first.image, second.image) == (None, tmp_path / "pictures" / "a_9.png")
    assert (first.prompt, first.task) == (PROMPT, "direct")
    assert first.tags == {"subset": "python_matplotlib"}
    assert [sample.id for sample in load_samples(tmp_path, limit=1)] == ["b_10"]


def test_a_conditional_prompt_begins_with_the_instruction(tmp_path: Path) -> None:
    metadata(tmp_path)
    sample = load_samples(tmp_path, task="conditional")[0]
    assert (sample.task, sample.prompt) == ("conditional", f"A line.\n\n{PROMPT}")


def test_without_file_names_the_index_counts_and_finds_the_older_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "Plot2Code" / "test"
    metadata(folder, [{"code": "a"}, {"code": "b"}])
    (folder / "ground_truth_image_1.png").write_bytes(b"picture")
    for data in (tmp_path, tmp_path / "data", folder.parent, folder, folder / "metadata.jsonl"):
        samples = load_samples(data)
        assert [sample.id for sample in samples] == ["0", "1"]
        assert [sample.image and sample.image.name for sample in samples] == [
            None,
            "ground_truth_image_1.png",
        ]
        assert {sample.tags["subset"] for sample in samples} == {"python_matplotlib"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """All three configurations, as the hub has them."""
    for name in ("python_matplotlib", "python_plotly", "r_plotly"):
        metadata(tmp_path / "data" / name / "test", [{"file_name": f"{name}.png", "code": name}])
    return tmp_path


@pytest.mark.parametrize("below", [".", "data"])
def test_matplotlib_is_the_default_of_several(root: Path, below: str) -> None:
    assert [sample.id for sample in load_samples(root / below)] == ["python_matplotlib"]


@pytest.mark.parametrize("subset", ["python_plotly", "r_plotly"])
def test_others_can_be_loaded_and_are_refused_for_scoring(root: Path, subset: str) -> None:
    named = load_samples(root, subset=subset)
    assert [sample.reference_code for sample in named] == [subset]
    assert load_samples(root / "data" / subset / "test") == named
    with pytest.raises(SetupError, match=f"{subset}: .* draws matplotlib only") as caught:
        require_drawable(named)
    assert "\n" not in str(caught.value)
    require_drawable(load_samples(root))


def test_lines_are_read_whatever_ends_them(tmp_path: Path) -> None:
    lines = [json.dumps(row).encode() for row in ROWS]
    (tmp_path / "metadata.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\r\n\r\n".join(lines) + b"\r\n")
    assert [sample.id for sample in load_samples(tmp_path)] == ["b_10", "a_9"]


def test_a_picture_elsewhere_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"picture")
    metadata(tmp_path / "in", [{"file_name": "../secret.png", "code": "a"}])
    [sample] = load_samples(tmp_path / "in")
    assert (sample.id, sample.image) == ("secret", None)


# --- what is not ----------------------------------------------------------------------------------


def test_what_is_not_there(tmp_path: Path, root: Path) -> None:
    fails("no such folder or file. To download", tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    fails("no metadata.jsonl in it. To download", tmp_path / "empty")
    only = root / "data" / "r_plotly"
    fails('no subset "python_plotly" in it; available: r_plotly', only, subset="python_plotly")


def test_several_files_of_one_configuration(tmp_path: Path) -> None:
    metadata(tmp_path / "one")
    metadata(tmp_path / "two")
    fails("several files fit; name one of .*one.*two", tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset": "python_plotl"}, 'unknown subset .* Did you mean "python_plotly"'),
        ({"task": "customized"}, 'unknown task "customized".* Available: direct, conditional'),
        ({"limit": 0}, "a limit of 0 leaves no samples"),
    ],
)
def test_options_that_make_no_sense(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    metadata(tmp_path)
    fails(message, tmp_path, **options)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no rows in it"),
        (b'{"code": "a"}\n{"code": ', "line 2 is not valid JSON"),
        (b'{"code": "\xff"}', "line 1 is not UTF-8 text"),
        (b"[" * 100_000, "line 1 is not valid JSON"),
        (b"[1]", "line 1 is not a JSON object"),
        (b"{}", 'line 1 has no "code"'),
        (b'{"code": " \\n"}', 'line 1 has no "code"'),
        (b'{"code": 5}', 'line 1: "code" is not a string'),
        (b'{"code": "a", "file_name": ["b"]}', '"file_name" is not a string'),
        (b'{"code": "a", "file_name": "b.png"}\n' * 2, "more than one row named b"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "metadata.jsonl").write_bytes(content)
    fails(message, tmp_path)


def test_conditional_needs_an_instruction(tmp_path: Path) -> None:
    metadata(tmp_path, [{"code": "a", "instruction": ""}])
    fails('line 1 has no "instruction"', tmp_path, task="conditional")
