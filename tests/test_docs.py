"""The pages of the documentation: links, the reference, the examples, the programs they show."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import rrvf
from docs.site.check_links import find_dead_links
from docs.site.command_line import describe_commands, find_commands
from docs.site.examples import DOCS, FAMILIES, Family, list_rows, make_small, score_family
from docs.site.links import adapt_links, find_included
from docs.site.names import describe_names
from docs.site.settings import describe_keys, describe_plugin
from rrvf.options import find_flags
from rrvf.scoring import Outcome
from tests.runs import rrvf_here
from training.settings import DataArguments, GrpoArguments, RewardArguments, WorldArguments

PROJECT = DOCS.parent
PAGES = sorted(
    {
        path
        for pattern in ("*.md", "*/README.md", "docs/*.md", "rrvf/*.md", "rrvf/trainers/*.md")
        for path in PROJECT.glob(pattern)
    }
)
LINK = re.compile(r"\]\(([^()\s]+)\)")


# ------------------------------------------------------------------ links, as files of the project


def strip_blocks(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)


def find_anchors(page: Path) -> set[str]:
    """The anchors of headings as a forge makes them, and those that are named."""
    text = strip_blocks(page.read_text(encoding="utf-8"))
    anchors = set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchors.add(re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-"))
    return anchors


def find_dead(page: Path) -> list[str]:
    """The relative links of a page that lead nowhere in the project."""
    dead: list[str] = []
    for link in LINK.findall(strip_blocks(page.read_text(encoding="utf-8"))):
        if ":" in link:
            continue
        target, _, anchor = link.partition("#")
        path = page.parent / target if target else page
        is_there = path.exists()
        if is_there and anchor and path.suffix == ".md" and not is_made(path, anchor):
            is_there = anchor in find_anchors(path)
        if not is_there:
            dead.append(link)
    return dead


def is_made(page: Path, anchor: str) -> bool:
    """The sections of two pages are made when the site is built."""
    made = {
        "command-line.md": [f"rrvf-{name}" for name in find_commands()],
        "python.md": [name.lower() for name in rrvf.__all__],
    }
    return page.parent == DOCS and anchor in made.get(page.name, ())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    included = re.search(r"```\{include\} (\S+)", page.read_text(encoding="utf-8"))
    assert included is None or (page.parent / included.group(1)).exists()
    dead = [link for link in find_dead(page) if not leads_into_an_included_page(page, link)]
    assert not dead


def leads_into_an_included_page(page: Path, link: str) -> bool:
    """A page of the site that shows a file of the project has the headings of that file."""
    target, _, anchor = link.partition("#")
    shown = {name: path for path, name in find_included(DOCS).items() if name != "index.md"}
    path = (page.parent / target).resolve()
    return path.parent == DOCS and path.name in shown and anchor in find_anchors(shown[path.name])


def test_a_dead_link_is_noticed(tmp_path: Path) -> None:
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    other.write_text("# One `two` three\n\n```\n# four\n```\n")
    good = "[a](other.md) [b](other.md#one-two-three) [c](https://x.y) [d](#top)\n# Top\n"
    page.write_text(f"{good}[e](no.md) [f](other.md#four)\n```\n[g](gone.md)\n```\n")
    assert find_dead(page) == ["no.md", "other.md#four"]


def test_the_old_pages_point_to_the_new_ones() -> None:
    for name, most in (("README.md", 30), ("REPRODUCE.md", 10)):
        lines = (PROJECT / "rrvf" / name).read_text(encoding="utf-8").splitlines()
        assert len(lines) <= most
        assert any("../docs/" in line for line in lines)
    linked = set(LINK.findall((PROJECT / "rrvf" / "README.md").read_text(encoding="utf-8")))
    shown = {path.name for path in DOCS.glob("*.md")}
    named = {Path(link).name for link in linked if link.startswith("../docs/")}
    assert {"start.md", "evaluate.md", "reproduce.md", "scores.md", "confinement.md"} <= named
    assert named <= shown


# ------------------------------------------------------------------------------ links of the site


def adapt(text: str, folder: Path) -> str:
    return adapt_links(text, folder, DOCS, find_included(DOCS))


@pytest.mark.parametrize(
    ("folder", "text", "expected"),
    [
        ("docs", "[a](../training/README.md#data)", "[a](train.md#data)"),
        ("training", "[a](../docs/reproduce.md)", "[a](reproduce.md)"),
        ("training", "[a](MEMORY.md)", "[a](memory.md)"),
        (
            "rrvf/trainers",
            "[`x`](configs/verl_grpo.yaml)",
            "[`x`](../rrvf/trainers/configs/verl_grpo.yaml)",
        ),
        ("docs", "see [recipes](../results/recipes).", "see recipes."),
        ("docs", "[manual](../rrvf/README.md)", "[manual](index.md)"),
        ("docs", "[a](#here) [b](https://x.y/z.md) ![c](pictures/c.png)", None),
        ("docs", "```\n[a](../training/README.md)\n```", None),
        (
            "docs",
            "[two\nlines](../CONTRIBUTING.md#a-judge)",
            "[two\nlines](contributing.md#a-judge)",
        ),
    ],
)
def test_links_become_those_of_the_site(folder: str, text: str, expected: str | None) -> None:
    assert adapt(text, PROJECT / folder) == (text if expected is None else expected)


def test_dead_links_of_a_built_site_are_listed(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.html").write_text(
        '<a href="sub/b.html#here">x</a><a href="#there">x</a><p id="there"></p>'
        '<a href="sub/b.html#gone">x</a><img src="no.png"><a href="https://x.y/z">x</a>'
    )
    (tmp_path / "sub" / "b.html").write_text('<h1 id="here"></h1><a href="../c.html">x</a>')
    assert list(find_dead_links(tmp_path)) == [
        "a.html: sub/b.html#gone: no such anchor",
        "a.html: no.png: no such file",
        "sub/b.html: ../c.html: no such file",
    ]


# ---------------------------------------------------------------------------------- the reference


def read_sections(text: str) -> dict[str, str]:
    """Heading of the second level -> what stands below it."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize("name", find_commands())
def test_the_reference_has_every_option_that_help_lists(name: str) -> None:
    section = read_sections(describe_commands())[f"rrvf {name}"]
    done = rrvf_here(name, "--help", env={"COLUMNS": "200"})
    assert done.returncode == 0
    listed = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]", done.stdout)) - {"--help"}
    assert listed <= set(re.findall(r"--[a-z][a-z0-9-]*[a-z0-9]", section))


def test_the_reference_has_defaults_and_help() -> None:
    score = read_sections(describe_commands())["rrvf score"]
    assert (
        "`--workers <int range>`\n: Executions at the same time. \\[default: 2; x\\>=1\\]" in score
    )
    assert "env var: RRVF\\_CHART\\_PYTHON" in score


def test_every_public_name_has_a_section() -> None:
    sections = read_sections(describe_names())
    assert list(sections) == rrvf.__all__
    for name in ("RunOptions", "RewardOptions"):
        for field in find_flags(getattr(rrvf, name)):
            assert f"| `{field}` |" in sections[name]
    assert ".. autofunction:: rrvf.open_environment" in sections["open_environment"]
    assert ".. autoclass:: rrvf.Environment" in sections["Environment"]


def test_every_key_of_training_stands_in_its_table_once() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", describe_keys(), re.MULTILINE)
    groups = (DataArguments, WorldArguments, RewardArguments, GrpoArguments)
    assert sorted(rows) == sorted({field.name for group in groups for field in fields(group)})
    assert "| `max_turns` | `5` |" in describe_keys()


def test_the_options_of_the_plugin_are_those_that_its_help_lists() -> None:
    text = describe_plugin()
    assert "--policy-base-url" in text
    assert text.count("```") == 2


# ----------------------------------------------------------------------------------- the examples


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def scored(request: pytest.FixtureRequest) -> tuple[Family, Mapping[str, Outcome]]:
    family: Family = request.param
    if family.name == "pages":
        request.getfixturevalue("web_browser")
    return family, score_family(family)


def test_the_scores_that_are_shown_are_those_of_the_scorers(
    scored: tuple[Family, Mapping[str, Outcome]],
) -> None:
    family, outcomes = scored
    page = (DOCS / "scores.md").read_text(encoding="utf-8")
    [shown] = re.findall(f"<!-- computed: {family.name} -->\n\n(.*?)\n\n<!-- end", page, re.DOTALL)
    assert shown.splitlines() == list(list_rows(family, outcomes))


def test_each_example_loses_where_it_is_said_to(
    scored: tuple[Family, Mapping[str, Outcome]],
) -> None:
    family, outcomes = scored
    values = {
        name: {key: score.value for key, score in outcome.result.scores.items()}
        for name, outcome in outcomes.items()
    }
    assert set(values["target"].values()) == {1.0}
    for name in family.counts:
        scorer = name if name in family.scorers else "text"
        assert values[name][scorer] != 1.0


def test_every_file_that_runs_has_its_picture(
    scored: tuple[Family, Mapping[str, Outcome]],
) -> None:
    family, outcomes = scored
    page = (DOCS / "scores.md").read_text(encoding="utf-8")
    for name, outcome in outcomes.items():
        path = DOCS / "pictures" / f"{family.name}-{name}.png"
        assert path.exists() == (outcome.result.status == "ok")
        if path.exists():
            assert f"](pictures/{path.name})" in page
            assert path.stat().st_size < 20_000
            small = make_small(outcome.pictures["rendering"])
            assert small.startswith(b"\x89PNG")


# ------------------------------------------------------------------------------- troubleshooting


def test_messages_in_headings_are_those_that_the_code_prints() -> None:
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    messages = set(re.findall(r'^### .*"(.+)"$', page, re.MULTILINE))
    messages.discard("externally-managed-environment")  # pip's
    source = "".join(path.read_text("utf-8") for path in sorted((PROJECT / "rrvf").rglob("*.py")))
    assert "nothing answers at" in messages
    assert not {message for message in messages if message not in source}


# ------------------------------------------------------------------------ programs that are shown


def find_block(page: str, language: str, part: str) -> str:
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
    [block] = [code for _, code in blocks if part in code]
    return block


def test_the_renderer_of_ones_own_prints_what_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "rrvf").symlink_to(PROJECT / "rrvf")
    (tmp_path / "my_drawer.py").write_text(find_block("extend.md", "python", "class Counting"))
    done = subprocess.run(
        [sys.executable, "my_drawer.py"], cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert f"`{done.stdout.strip()}`" in (DOCS / "extend.md").read_text(encoding="utf-8")


def test_the_file_for_vlmevalkit_names_what_there_is(tmp_path: Path) -> None:
    from vlmeval_plugin.names import read_config

    path = tmp_path / "config.json"
    path.write_text(find_block("vlmevalkit.md", "json", "RRVFModel"))
    config = read_config(path)
    source = "".join(
        (PROJECT / "vlmeval_plugin" / f"{name}.py").read_text(encoding="utf-8")
        for name in ("datasets", "models", "sources", "registration")
    )
    classes = {
        entry["class"] for kind in config.values() for entry in kind.values() if "class" in entry
    }
    assert classes == {"RRVFModel", "RRVFChartMimic"}
    for name in classes:
        assert f"class {name}" in source
    assert json.loads(path.read_text())["model"]["RRVF-Chart-7B"] == {}


def test_the_programs_that_are_shown_use_names_that_exist() -> None:
    for page in DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for code in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            compile(code, str(page), "exec")
            for module, names in re.findall(r"^from (rrvf[\w.]*) import (.+)$", code, re.MULTILINE):
                found: Any = __import__(module, fromlist=["_"])
                for name in names.split(","):
                    assert hasattr(found, name.strip()), f"{page.name}: {module}.{name}"
