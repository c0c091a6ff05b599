"""Synthetic charts and pages: the same everywhere, drawable for real, different, and rising."""

from __future__ import annotations

import ast
import hashlib
import io
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from statistics import mean

import pytest
from PIL import Image

from rrvf.renderers.chart import ChartScript, Limits
from rrvf.renderers.page import PageLimits, PageRenderer
from rrvf.types import PageRendering, Rendering, Sample
from tests.conftest import find_chart_python
from tests.runs import kept_renderer
from training.synthetic_charts import LEVELS, TINY_BARS, synthetic_chart, synthetic_tiny
from training.synthetic_pages import synthetic_page

KINDS = {
    1: {"bar", "line", "scatter", "pie"},
    2: {"bar", "line", "scatter", "hist", "box"},
    3: {"grouped", "stacked", "line", "scatter", "errorbar", "heatmap", "area", "pie"},
    4: {
        *("grouped", "stacked", "line", "errorbar", "heatmap", "area", "twin"),
        *("radar", "rose"),
    },
    5: {"panels"},
}
BLOCKS = {"text", "hero", "cards", "picture", "list", "statistics", "table", "form", "quotes"}

PRINT_DIGEST = """
import hashlib
from training.synthetic_charts import synthetic_chart, synthetic_tiny
from training.synthetic_pages import synthetic_page
codes = [synthetic_tiny(seed).reference_code for seed in range(50)]
codes += [make(seed, level).reference_code for make in (synthetic_chart, synthetic_page)
          for level in range(1, 6) for seed in range(50)]
print(hashlib.sha256("\\0".join(codes).encode()).hexdigest())
"""


def code(sample: Sample) -> str:
    assert sample.reference_code is not None
    return sample.reference_code


def picture(png: bytes | None) -> Image.Image:
    assert png is not None
    return Image.open(io.BytesIO(png)).convert("RGB")


# ----------------------------------------------------------------------------- the same everywhere


def digest(project: Path, python: Path, hash_seed: str) -> str:
    done = subprocess.run(
        [python, "-c", PRINT_DIGEST],
        cwd=project,
        env={"PYTHONHASHSEED": hash_seed, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_seed_gives_the_same_code_in_every_process(project: Path) -> None:
    first = digest(project, Path(sys.executable), "1")
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert digest(project, Path(sys.executable), "2") == first


@pytest.mark.parametrize("name", ["published", "newest"])
def test_another_environment_gives_the_same_code(project: Path, name: str) -> None:
    assert digest(project, find_chart_python(name), "0") == digest(
        project, Path(sys.executable), "0"
    )


def test_ids_and_tags_say_what_was_made() -> None:
    chart, page = synthetic_chart(7, 3), synthetic_page(7, 3)
    assert (chart.id, chart.tags["level"], chart.task) == ("chart-3-7", "3", "direct")
    assert chart.tags["category"] in KINDS[3]
    assert (page.id, page.tags["level"]) == ("page-3-7", "3")
    assert synthetic_tiny(7).id == "tiny-7"


@pytest.mark.parametrize("make", [synthetic_chart, synthetic_page])
@pytest.mark.parametrize("level", [0, 6])
def test_there_are_five_levels(make: Callable[[int, int], Sample], level: int) -> None:
    with pytest.raises(ValueError, match=f"level {level}"):
        make(0, level)


# -------------------------------------------------------------------------------------------- code


@pytest.mark.parametrize("make", [synthetic_chart, synthetic_page])
@pytest.mark.parametrize("level", LEVELS)
def test_hardly_any_two_seeds_give_the_same_code(
    make: Callable[[int, int], Sample], level: int
) -> None:
    codes = {code(make(seed, level)) for seed in range(300)}
    assert len(codes) >= 298


def test_scripts_are_python_that_needs_no_file() -> None:
    for level in LEVELS:
        for seed in range(100):
            tree = ast.parse(code(synthetic_chart(seed, level)))
            imports = {
                name.name
                for node in ast.walk(tree)
                if isinstance(node, ast.Import)
                for name in node.names
            }
            assert imports <= {"matplotlib.pyplot", "numpy"}
            called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            assert "open" not in called


def test_pages_ask_for_nothing_but_the_placeholder() -> None:
    for level in LEVELS:
        for seed in range(100):
            html = code(synthetic_page(seed, level))
            assert set(re.findall(r'(?:src|href)="([^"]*)"', html)) <= {"rick.jpg", "#"}
            assert "url(" not in html
            assert "http" not in html
            assert "<script" not in html


def test_every_kind_of_chart_and_block_turns_up() -> None:
    for level, kinds in KINDS.items():
        assert {synthetic_chart(seed, level).tags["category"] for seed in range(200)} == kinds
    blocks = {
        block for seed in range(200) for block in synthetic_page(seed, 5).tags["category"].split()
    }
    assert blocks == BLOCKS


# ---------------------------------------------------------------------------------------- for real


def chart_samples() -> list[Sample]:
    """Each kind of each level once, and several of the fifth, whose panels hold ten kinds."""
    found: dict[tuple[int, str], Sample] = {}
    for level in LEVELS[:-1]:
        for seed in range(200):
            sample = synthetic_chart(seed, level)
            found.setdefault((level, sample.tags["category"]), sample)
    return [*found.values(), *(synthetic_chart(seed, 5) for seed in range(6))]


@pytest.fixture(scope="module")
def charts() -> list[tuple[Sample, Rendering]]:
    samples = chart_samples()
    limits = Limits(cpu_seconds=30, wall_seconds=120)
    with kept_renderer(workers=2, limits=limits) as renderer, ThreadPoolExecutor(2) as pool:
        scripts = [ChartScript(code(sample)) for sample in samples]
        return list(zip(samples, pool.map(renderer.render, scripts), strict=True))


@pytest.fixture(scope="module")
def pages(web_browser: Path) -> list[tuple[Sample, PageRendering]]:
    samples = [synthetic_page(seed, level) for level in LEVELS for seed in range(4)]
    assert {name for one in samples for name in one.tags["category"].split()} == BLOCKS
    limits = PageLimits(seconds=60)
    with PageRenderer(web_browser, 2, limits) as renderer, ThreadPoolExecutor(2) as pool:
        htmls = [code(sample) for sample in samples]
        return list(zip(samples, pool.map(renderer.render, htmls), strict=True))


def test_every_kind_of_chart_is_drawn_to_its_end(charts: list[tuple[Sample, Rendering]]) -> None:
    for sample, rendering in charts:
        for drawing in (rendering.official, rendering.fixed):
            assert (drawing.status, drawing.error, drawing.complete) == ("ok", None, True), (
                sample.id
            )
        assert rendering.official.elements == rendering.fixed.elements, sample.id


def test_charts_are_different_pictures_and_none_is_blank(
    charts: list[tuple[Sample, Rendering]],
) -> None:
    shown = [picture(rendering.png) for _, rendering in charts]
    assert len({image.tobytes() for image in shown}) == len(shown)
    # A frame, ticks and one colour make more than two; anti-aliasing makes many.
    assert all(sum(map(bool, image.convert("L").histogram())) > 10 for image in shown)


def rises(by_level: Mapping[int, float], *, strictly: bool = True) -> bool:
    values = [by_level[level] for level in LEVELS]
    return all(low < high if strictly else low <= high for low, high in pairwise(values))


def test_charts_hold_more_with_every_level(charts: list[tuple[Sample, Rendering]]) -> None:
    def by_level(count: Callable[[Rendering], int]) -> dict[int, float]:
        return {
            level: mean(count(r) for s, r in charts if s.tags["level"] == str(level))
            for level in LEVELS
        }

    assert rises(by_level(lambda r: len(r.official.elements.texts)))
    assert rises(by_level(lambda r: r.official.elements.n_axes), strictly=False)
    assert by_level(lambda r: r.official.elements.n_axes)[5] >= 2
    colors = by_level(lambda r: len({color.value for color in r.official.elements.colors}))
    assert colors[1] < colors[3] < colors[5]


def test_pages_are_shown_whole_and_get_all_they_ask_for(
    pages: list[tuple[Sample, PageRendering]],
) -> None:
    for sample, page in pages:
        assert (page.status, page.error, page.denied) == ("ok", None, ()), sample.id
        assert not page.clipped
    shown = {picture(page.png).tobytes() for _, page in pages}
    assert len(shown) == len(pages)
    assert all(len(page.blocks) >= 3 for _, page in pages)


def test_pages_hold_more_with_every_level(pages: list[tuple[Sample, PageRendering]]) -> None:
    def by_level(count: Callable[[PageRendering], int]) -> dict[int, float]:
        return {
            level: mean(count(p) for s, p in pages if s.tags["level"] == str(level))
            for level in LEVELS
        }

    assert rises(by_level(lambda page: len(page.blocks)))
    assert rises(by_level(lambda page: page.height), strictly=False)
    colors = by_level(lambda page: len({block.color for block in page.blocks}))
    assert colors[1] < colors[5]


# -------------------------------------------------------------------------------------------- tiny


def test_tiny_charts_are_coloured_bars_without_text() -> None:
    samples = [synthetic_tiny(seed) for seed in range(12)]
    with kept_renderer(workers=2, limits=Limits(cpu_seconds=30, wall_seconds=120)) as renderer:
        drawn = [renderer.render(ChartScript(code(sample))) for sample in samples]
        figures = [renderer.render_figure(code(sample)) for sample in samples]
    for sample, rendering, figure in zip(samples, drawn, figures, strict=True):
        image = picture(rendering.png)
        assert image.size == (84, 84)
        assert rendering.official.status == figure.status == "ok"
        assert rendering.official.elements.texts == ()
        assert figure.texts == ()
        call = re.search(r'bar\(range\((\d)\),\[([\d,]+)\],color=\[\*"([a-z]+)"\]', code(sample))
        assert call is not None
        heights = [int(height) for height in call[2].split(",")]
        assert int(call[1]) == len(heights) == len(call[3])
        assert len(heights) in TINY_BARS
        assert max(heights) == 9
        assert painted(image, len(heights)) == pytest.approx(
            sum(heights) / 9 / len(heights), abs=0.06
        )


def painted(image: Image.Image, n_bars: int) -> float:
    """The painted share of the bars' own columns, up to the tallest; 1 if all were that tall."""
    dark = image.convert("L").point(lambda value: 255 if value < 250 else 0)
    box = dark.getbbox()
    assert box is not None
    covered = dark.crop(box).histogram()[255] / ((box[2] - box[0]) * (box[3] - box[1]))
    # A bar is 0.8 wide, the gap after it 0.2; after the last one there is none.
    return covered * (n_bars - 0.2) / (0.8 * n_bars)


def test_tiny_charts_are_many() -> None:
    assert len({code(synthetic_tiny(seed)) for seed in range(20_000)}) > 18_000


def test_a_tiny_script_is_less_than_three_lines_of_text() -> None:
    assert all(len(code(synthetic_tiny(seed))) < 130 for seed in range(100))


def test_the_generator_has_not_changed_by_accident() -> None:
    """A seed gives what it gave before; else raise ``VERSION``, which cards record."""
    charts = [code(synthetic_chart(seed, level)) for level in LEVELS for seed in range(20)]
    tiny = [code(synthetic_tiny(seed)) for seed in range(20)]
    pages = [code(synthetic_page(seed, level)) for level in LEVELS for seed in range(20)]
    both = "\0".join([*charts, *tiny, *pages]).encode()
    assert hashlib.sha256(both).hexdigest()[:16] == "d6db6e5b8cecc86e"
