"""ChartMimic's samples from the three layouts, and the one-line errors of everything else."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from rrvf.benchmarks import chartmimic
from rrvf.benchmarks.chartmimic import load_samples
from rrvf.errors import DataError

COLUMNS = ("index", "question", "input_figure", "ground_truth_figure_code", "task")


@pytest.fixture(autouse=True)
def lmu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty ``$LMUData``, so that no test sees the one of this machine."""
    root = tmp_path / "LMUData"
    root.mkdir()
    monkeypatch.setenv("LMUData", str(root))
    return root


def scripts(folder: Path, *stems: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for stem in stems:
        (folder / f"{stem}.py").write_text(f"name = {stem!r}\n", encoding="utf-8")
    return folder


def table(path: Path, rows: Sequence[Mapping[str, str]], columns: Sequence[str] = COLUMNS) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, delimiter="\t", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def row(index: str, code: str, task: str = "ChartMimic_direct", **more: str) -> dict[str, str]:
    return {"index": index, "ground_truth_figure_code": code, "task": task, **more}


def fails(match: str, data: Path, **options: object) -> None:
    with pytest.raises(DataError, match=match) as caught:
        load_samples(data, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


# --- folders --------------------------------------------------------------------------------------


def test_a_flat_folder_is_direct_and_in_natural_order(tmp_path: Path) -> None:
    folder = scripts(tmp_path / "mine", "bar_10", "bar_9", "3d_1", "CB_2", "plain", "a_b_3")
    (folder / "bar_9.png").write_bytes(b"picture")
    samples = load_samples(folder)
    assert [s.id for s in samples] == ["3d_1", "CB_2", "a_b_3", "bar_9", "bar_10", "plain"]
    bar = samples[3]
    assert bar.reference_code == "name = 'bar_9'\n"
    assert bar.image == folder / "bar_9.png"
    assert bar.task == "direct"
    assert bar.tags == {"category": "bar", "reference_name": "bar_9"}
    assert samples[4].image is None
    assert [s.tags["category"] for s in samples] == ["3d", "CB", "a_b", "bar", "bar", "other"]


def test_files_that_are_no_references_are_left_out(tmp_path: Path) -> None:
    folder = scripts(tmp_path, "bar_1", ".hidden", "._bar_1", "bar_1_log_colors", "bar_1_log_texts")
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    (folder / "folder.py").mkdir()
    assert [s.id for s in load_samples(folder)] == ["bar_1"]


def test_scripts_are_read_as_python_reads_them(tmp_path: Path) -> None:
    (tmp_path / "a_1.py").write_bytes("\ufeffx = 'ä'\r\ny = 1\r\n".encode())
    assert load_samples(tmp_path)[0].reference_code == "x = 'ä'\ny = 1\n"


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("direct_600", "direct"),
        ("direct_1800", "direct"),
        ("customized_600", "customized"),
        ("customized_1800", "customized"),
        ("ori_500", "direct"),
        ("customized_500", "customized"),
    ],
)
def test_the_published_subsets_and_their_tasks(tmp_path: Path, name: str, task: str) -> None:
    assert chartmimic.SUBSET_SIZES[name] == int(name.split("_")[1])
    scripts(tmp_path / name, "bar_1")
    scripts(tmp_path / "other", "bar_2")
    for data, subset in ((tmp_path, None), (tmp_path, name), (tmp_path / name, None)):
        samples = load_samples(data, subset=subset)
        assert [(s.id, s.task) for s in samples] == [("bar_1", task)]
    assert load_samples(tmp_path / name, subset=name)[0].id == "bar_1"


def test_several_subsets_need_a_name(tmp_path: Path) -> None:
    scripts(tmp_path / "v2" / "direct_600", "bar_1")
    scripts(tmp_path / "v2" / "direct_1800", "bar_2")
    scripts(tmp_path / "v1" / "customized_500", "bar_3")
    names = "v1/customized_500, v2/direct_600, v2/direct_1800"
    fails(f"several subsets; add --subset and one of {names}$", tmp_path)
    assert load_samples(tmp_path, subset="direct_600")[0].id == "bar_1"
    assert load_samples(tmp_path, subset="v2/direct_1800")[0].id == "bar_2"
    assert load_samples(tmp_path, task="customized")[0].id == "bar_3"
    fails('no subset "dirct_600". Did you mean "direct_600"', tmp_path, subset="dirct_600")
    fails(f'no subset "nothing". Available: {names}', tmp_path, subset="nothing")


def test_one_name_in_two_places_is_not_guessed(tmp_path: Path) -> None:
    scripts(tmp_path / "a" / "direct_600", "bar_1")
    scripts(tmp_path / "b" / "direct_600", "bar_2")
    fails("may be one of a/direct_600, b/direct_600", tmp_path, subset="direct_600")
    assert load_samples(tmp_path, subset="b/direct_600")[0].id == "bar_2"


def test_a_task_goes_before_the_folder(tmp_path: Path) -> None:
    assert load_samples(scripts(tmp_path, "bar_1"), task="customized")[0].task == "customized"


def test_a_limit_keeps_the_first(tmp_path: Path) -> None:
    scripts(tmp_path, *(f"bar_{i}" for i in range(1, 12)))
    assert [s.id for s in load_samples(tmp_path, limit=2)] == ["bar_1", "bar_2"]
    assert len(load_samples(tmp_path, limit=100)) == 11
    fails("limit of 0", tmp_path, limit=0)


def test_folders_that_cannot_be_used(tmp_path: Path, lmu: Path) -> None:
    fails("no such folder.*chartmimic_download", tmp_path / "missing")
    empty = tmp_path / "empty"
    empty.mkdir()
    fails("no <id>.py in it.*chartmimic_download", empty)
    fails("holds no subsets at all", empty, subset="direct_600")
    (empty / "direct_600").mkdir()
    fails("direct_600: no <id>.py", empty)
    fails("no subset of that task; available: direct_600", empty, task="customized")
    fails('unknown task "custom". Did you mean "customized"', empty, task="custom")
    table(lmu / "ChartMimic_v2_direct.tsv", [])
    fails("name one of ChartMimic_v2_direct.tsv", lmu)


def test_references_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "bar_1.py").write_text(" \n", encoding="utf-8")
    fails("bar_1.py: this reference is empty", tmp_path)
    (tmp_path / "bar_1.py").write_bytes(b"x = '\xff'")
    fails("bar_1.py: not UTF-8", tmp_path)


# --- tables ---------------------------------------------------------------------------------------


@pytest.fixture
def files(lmu: Path) -> Path:
    """Where the paths of a table start, with two direct samples and a customized one."""
    root = lmu / "images" / "ChartMimic"
    scripts(root / "v2" / "direct_600", "graph_1", "bar_2")
    scripts(root / "v2" / "customized_600", "bar_2")
    (root / "v2" / "direct_600" / "graph_1.png").write_bytes(b"target")
    (root / "v2" / "direct_600" / "input.png").write_bytes(b"input")
    return root


ROWS = (
    row("7", "v2/direct_600/graph_1.py", question='Draw "it",\nplease', input_figure="none.png"),
    row("01", "v2/direct_600/bar_2.py", input_figure="v2/direct_600/input.png"),
    row("x", "v2/customized_600/bar_2.py", "Customized", input_figure="v2/direct_600/input.png"),
)


def test_a_table_by_path_and_by_name(tmp_path: Path, lmu: Path, files: Path) -> None:
    by_path = load_samples(table(tmp_path / "any.tsv", ROWS))
    table(lmu / "ChartMimic_v2_direct_600.tsv", ROWS)
    assert load_samples(Path("ChartMimic_v2_direct_600")) == by_path
    assert load_samples(Path("ChartMimic_v2_direct_600.tsv")) == by_path
    assert [(s.id, s.task) for s in by_path] == [
        ("7", "direct"), ("01", "direct"), ("x", "customized"),
    ]  # fmt: skip
    first, second, third = by_path
    assert first.prompt == 'Draw "it",\nplease'
    assert first.reference_code == "name = 'graph_1'\n"
    assert first.tags == {"category": "graph", "reference_name": "graph_1"}
    assert first.image == files / "v2" / "direct_600" / "graph_1.png"
    # Without the script's own picture, a direct sample's input is the target.
    assert second.image == files / "v2" / "direct_600" / "input.png"
    assert third.image is None


def test_a_table_may_be_read_in_part(tmp_path: Path, files: Path) -> None:
    path = table(tmp_path / "any.tsv", ROWS)
    assert [s.id for s in load_samples(path, task="customized")] == ["x"]
    assert [s.id for s in load_samples(path, limit=1)] == ["7"]
    both = table(tmp_path / "both.tsv", [{**ROWS[0], "task": "Customized, not direct"}])
    assert load_samples(both)[0].task == "customized"
    fails("one subset already", path, subset="direct_600")
    fails("no row of the task", table(path, ROWS[:2]), task="customized")
    assert files.is_dir()


def test_a_table_of_another_root_finds_its_files(
    tmp_path: Path, lmu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts(tmp_path / "copy" / "images" / "ChartMimic" / "v2" / "direct_600", "graph_1")
    path = table(tmp_path / "copy" / "any.tsv", ROWS[:1])
    assert load_samples(path)[0].tags["reference_name"] == "graph_1"
    official = scripts(lmu / "images" / "ChartMimic" / "v2" / "direct_600", "graph_1")
    (official / "graph_1.py").write_text("official = 1\n", encoding="utf-8")
    assert load_samples(path)[0].reference_code == "official = 1\n"
    monkeypatch.setenv("LMUData", str(tmp_path / "gone"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert chartmimic.lmu_root() == tmp_path / "LMUData" == lmu


def test_tables_that_cannot_be_used(tmp_path: Path, files: Path) -> None:
    path = tmp_path / "any.tsv"
    fails(
        'row 2 names the script "v2/gone.py", no file below', table(path, [row("1", "v2/gone.py")])
    )
    fails("lacks the columns question, task", table(path, ROWS, ("index", *COLUMNS[2:4])))
    fails("has no rows", table(path, []))
    fails("row 3 needs both index", table(path, [ROWS[0], {**ROWS[1], "index": ""}]))
    fails('row 2 has the task "mimic"', table(path, [{**ROWS[0], "task": "mimic"}]))
    fails("more than one row with the index 7", table(path, [ROWS[0], ROWS[0]]))
    path.write_bytes(b"index\tquestion\n\xff\t\n")
    fails("not UTF-8", path)
    path.write_text('index\t"question\n1', encoding="utf-8")
    fails("not a table", path)
    path.write_text("", encoding="utf-8")
    fails("has no rows", path)
    (files / "v2" / "direct_600" / "graph_1.py").write_text("", encoding="utf-8")
    fails("graph_1.py: this reference is empty", table(path, ROWS))


def test_an_unknown_table_is_suggested(lmu: Path) -> None:
    table(lmu / "ChartMimic_v2_direct_600.tsv", [])
    fails('Did you mean "ChartMimic_v2_direct_600"', Path("ChartMimic_v2_drect_600"))


# --- the real sample ------------------------------------------------------------------------------


def test_the_real_sample_of_version_1() -> None:
    data = Path(__file__).parents[2] / "shared" / "data" / "chartmimic_v1"
    if not data.is_dir():
        pytest.skip("the optional data ../shared/data/chartmimic_v1 is absent")
    samples = load_samples(data / "golden")
    assert len(samples) == 91
    categories = [s.tags["category"] for s in samples]
    assert len(set(categories)) == 21  # all of the data set's 22 but "scatter"
    assert categories.count("bar") == 19
    assert all(s.reference_code and "plt.savefig(" in s.reference_code for s in samples)


# --- paths of tables ------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """What no table may reach."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "token").write_text("hf_token")
    (folder / "private.py").write_text("token = 1")
    (folder / "private.png").write_bytes(b"private")
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "{home}/token",
        "{home}/private.py",
        "../../../home/token",
        "link.py",
        "links/private.py",
        "a\0.py",
        "x" * 5000,
        "loop.py",
        ".",
        "..",
    ],
)
def test_a_table_names_scripts_of_its_folder_only(lmu: Path, home: Path, name: str) -> None:
    files = scripts(lmu / "images" / "ChartMimic", "bar_1")
    (files / "link.py").symlink_to(home / "private.py")
    (files / "links").symlink_to(home)
    (files / "loop.py").symlink_to("loop.py")
    path = lmu / "t.tsv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL)
        writer.writerows([COLUMNS, ["1", "q", "", name.format(home=home), "ChartMimic_direct"]])
    fails('row 2 names the script ".*no file below', path)


@pytest.mark.parametrize("name", ["{home}/private.png", "../../../home/private.png", "link.png"])
def test_a_table_names_pictures_of_its_folder_only(lmu: Path, home: Path, name: str) -> None:
    files = scripts(lmu / "images" / "ChartMimic", "bar_1")
    (files / "link.png").symlink_to(home / "private.png")
    named = row("1", "bar_1.py", input_figure=name.format(home=home))
    (sample,) = load_samples(table(lmu / "t.tsv", [named]))
    assert sample.image is None


def test_a_picture_beside_a_script_is_of_the_folder_too(lmu: Path, home: Path) -> None:
    files = scripts(lmu / "images" / "ChartMimic", "bar_1")
    (files / "bar_1.png").symlink_to(home / "private.png")
    (sample,) = load_samples(table(lmu / "t.tsv", [row("1", "bar_1.py")]))
    assert sample.image is None


def test_the_folder_itself_may_be_a_link(lmu: Path, tmp_path: Path) -> None:
    files = scripts(tmp_path / "elsewhere", "bar_1")
    (files / "bar_1.png").write_bytes(b"picture")
    (lmu / "images").mkdir()
    (lmu / "images" / "ChartMimic").symlink_to(files)
    (sample,) = load_samples(table(lmu / "t.tsv", [row("1", "bar_1.py")]))
    assert sample.image is not None
    assert sample.image.read_bytes() == b"picture"
