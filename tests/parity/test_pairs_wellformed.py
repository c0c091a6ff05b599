"""The parity pairs are complete and hold what they are named after; the oracle's own parts work.

No scorer runs here: these checks are quick and need no VLMEvalKit.
"""

from __future__ import annotations

import ast
import importlib.util
import itertools
import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.parity import oracle

PAIRS = Path(__file__).parent / "pairs"
INDEX: list[dict[str, Any]] = json.loads((PAIRS / "index.json").read_text(encoding="utf-8"))
NAMES = [entry["name"] for entry in INDEX]

# What the official type and colour lists name, as it looks in a script that draws with it.
LISTED = r"""
\.bar\( \.barh\( \.plot\( \.axhline\( \.axvline\( \.axvspan\( \.axhspan\( \.hlines\( \.vlines\(
\.errorbar\( \.boxplot\( \.violinplot\( \.violin\( \.hist\( \.fill_between\( \.fill_betweenx\(
\.scatter\( \.quiver\( \.pie\( \.fill\( \.imshow\( \.pcolor\( \.contour\( \.contourf\( \.tripcolor\(
\.broken_barh\( \.plot_surface\( \.bar3d\( \.add_collection3d\( draw_networkx_nodes\(
draw_networkx_edges\( draw_networkx_labels\( nx\.draw\( nx\.draw_networkx\( squarify\.plot\(
NonUniformImage\( \bEllipse\( \bCircle\( \bArc\( venn2\( venn3\( \.plot3D\( \.scatter3D\( polar
\.pcolormesh\( \.hexbin\( \.hist2d\( \.streamplot\( \.stem\( \.step\( \.semilog[xy]\( \.stackplot\(
\.matshow\( sns\.heatmap\( sns\.barplot\( sns\.boxplot\( sns\.violinplot\( sns\.kdeplot\(
sns\.histplot\( sns\.lineplot\( \.plot\.bar\( \.plot\.area\( \.plot\.pie\(
"""


def test_the_index_names_every_pair_once_and_says_what_it_shows() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 60
    for entry in INDEX:
        assert set(entry) <= {"name", "task", "chance", "reason", "shows", "reference", "parses"}
        assert re.fullmatch(r"[a-z0-9_-]+", entry["name"])
        assert entry["task"] in ("direct", "customized")
        assert entry["shows"].endswith((".", "!"))
        assert entry["chance"] is ("reason" in entry)


def test_the_folder_holds_what_the_index_names_and_nothing_else() -> None:
    answers = {f"{name}.answer.md" for name in NAMES}
    references = {f"{entry.get('reference', entry['name'])}.ref.py" for entry in INDEX}
    assert {path.name for path in PAIRS.iterdir()} == answers | references | {"index.json"}


def test_no_reference_hides_a_module_its_script_might_import() -> None:
    # each is written to `<name>.py`, and a script's own folder comes first on its path
    assert [name for name in NAMES if importlib.util.find_spec(name) is not None] == []


def test_pairs_parse_or_are_meant_not_to() -> None:
    wrong: list[str] = []
    for entry in INDEX:
        reference = entry.get("reference", entry["name"])
        ast.parse((PAIRS / f"{reference}.ref.py").read_text(encoding="utf-8"), reference)
        answer = (PAIRS / f"{entry['name']}.answer.md").read_text(encoding="utf-8")
        if parses(answer) is not entry.get("parses", True):
            wrong.append(entry["name"])
    assert wrong == []


def parses(answer: str) -> bool:
    """Whether the answer's first fence holds Python as it is written there."""
    found = re.search(r"```python(.*?)```", answer, re.DOTALL)
    if found is None:
        return False
    try:
        ast.parse(found[1].strip())
    except SyntaxError:
        return False
    return True


def test_every_function_of_the_official_lists_is_drawn_with() -> None:
    files = [path for path in PAIRS.iterdir() if path.suffix != ".json"]
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in files)
    assert [drawing for drawing in LISTED.split() if not re.search(drawing, scripts)] == []


def test_the_oracle_reads_the_folder_as_the_files_are() -> None:
    pairs = {pair.name: pair for pair in oracle.load_pairs(PAIRS)}
    assert list(pairs) == NAMES
    assert "\r\n" in pairs["fence-carriage-returns"].completion
    assert pairs["identical-scripts"].reference == pairs["base-line"].reference
    assert pairs["customized-no-code"].task == "customized"


def test_the_best_match_of_a_big_group_is_what_trying_all_would_find(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("scipy")
    rng = random.Random(5)
    shorter, longer = ["a", "b", "c", "d"], ["p", "q", "r", "s", "t", "u"]
    likeness = {pair: rng.random() for pair in itertools.product(shorter, longer)}

    def total(task: tuple[Sequence[str], Sequence[str]]) -> float:
        return sum(likeness[pair] for pair in zip(*task, strict=True))

    def best() -> tuple[int, float]:
        found = list(oracle.arrangements(longer, 4, lambda a, b: likeness[a, b]))
        with oracle.NoPool() as pool:
            return len(found), max(pool.map(total, [(shorter, each) for each in found]))

    tried, exhaustive = best()
    assert tried == 360
    monkeypatch.setattr(oracle, "EXHAUSTIVE_UP_TO", 0)
    tried, assigned = best()
    assert tried == 1
    assert assigned == pytest.approx(exhaustive, abs=1e-12)


SCRIPTS = {
    "ends": "print('done')",
    "exits with a number": "import sys; sys.exit(3)",
    "exits with words": "import sys; sys.exit('no')",
    "raises": "print('before'); 1 / 0",
    "is no Python": "def (",
    "is the main module": """
import pathlib, sys
print(__name__, sys.argv, __file__, sys.path[0] == str(pathlib.Path(__file__).parent))
print(sys.modules["__main__"].__dict__ is globals())
""",
    "inherits no future statement": "def f(x: undefined): pass",
    "reads its input": "input()",
    "prints bytes": "import sys; sys.stdout.buffer.write(b'\\xff')",
    "prints at its end": "import atexit; atexit.register(print, 'late'); print('early')",
    "is killed": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "waits for its threads": """
import threading, time
def late():
    time.sleep(0.1)
    print("late")
threading.Thread(target=late).start()
""",
    "imports pyplot itself": "import sys; print('matplotlib.pyplot' in sys.modules)",
    "knows no colour map of seaborn": """
import matplotlib
print("rocket" in matplotlib.colormaps)
""",
}


@pytest.fixture(scope="module")
def fork_runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[oracle.ForkRunner]:
    runner = oracle.ForkRunner(tmp_path_factory.mktemp("fork"))
    yield runner
    runner.close()


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_forked_script_ends_as_one_in_a_process_of_its_own(
    script: str,
    fork_runner: oracle.ForkRunner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "matplotlib\n" in script:
        pytest.importorskip("matplotlib")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    (tmp_path / "1.py").write_text(script, encoding="utf-8")
    forked = fork_runner(tmp_path / "1.py", tmp_path)
    alone = oracle.SubprocessRunner()(tmp_path / "1.py", tmp_path)
    assert (forked.returncode, forked.stdout) == (alone.returncode, alone.stdout)
    assert forked.stderr.split(b"\n")[-2:] == alone.stderr.split(b"\n")[-2:]


def test_two_forks_draw_different_random_numbers(
    fork_runner: oracle.ForkRunner, tmp_path: Path
) -> None:
    pytest.importorskip("numpy")
    script = tmp_path / "1.py"
    script.write_text("import numpy, random; print(numpy.random.rand(), random.random())")
    first, second = (fork_runner(script, tmp_path).stdout.split() for _ in range(2))
    assert not set(first) & set(second)


def test_a_folder_that_the_official_code_would_misread_is_refused() -> None:
    with pytest.raises(oracle.OracleError, match="TMPDIR"):
        oracle.check_folder(Path("/data/graphs/x"))
    with pytest.raises(oracle.OracleError, match="TMPDIR"):
        oracle.check_folder(Path("/home/me/.pyenv/tmp"))
