"""``rrvf score websight`` and ``rrvf render web``: real pages, a real browser, whole processes."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rrvf.bench import Bench
from rrvf.errors import HarnessError, UserError
from rrvf.evaluate import score_item
from rrvf.kinds.kind import Reference
from rrvf.renderers.page import PageRenderer
from rrvf.types import PageRendering, Sample, SampleResult, Score
from tests.benches import page_bench
from tests.runs import (
    assert_one_line,
    environment,
    lines_of,
    rrvf_here,
    started,
    summary_of,
    values,
    wait_for_lines,
)

pytestmark = pytest.mark.usefixtures("web_browser")

BLOCKS = ("block_match", "text", "position", "color")
PERFECT = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><style>
body {{ margin: 0; font-family: sans-serif; color: {ink} }}
header {{ background: {band}; padding: 24px }}
h1 {{ margin: 0; color: {title} }}
.row {{ display: {display}; gap: 24px; padding: 24px }}
.card {{ flex: 1; background: #eef2f7; padding: 24px; border-radius: 8px }}
</style></head><body>
<header><h1>{name}</h1></header>
<div class="row">
<div class="card"><h2>Bread</h2><p>Baked before sunrise, every day of the year.</p></div>
<div class="card"><h2>Cakes</h2><p>Ordered on Monday, ready for the weekend.</p></div>
<div class="card"><h2>Coffee</h2><p>Roasted next door and ground as you wait.</p></div>
</div></body></html>
"""
LOOKS = {
    "ink": "#1f2933",
    "band": "#1d4ed8",
    "title": "#ffffff",
    "display": "flex",
    "name": "Corner Bakery",
}


def page(**changes: str) -> str:
    return PERFECT.format(**{**LOOKS, **changes})


def without_style(html: str) -> str:
    return html[: html.index("<style>")] + html[html.index("</style>") + len("</style>") :]


VARIANTS = {
    "perfect": page(),
    "small": page(name="Corner Bakeries"),
    "colors": page(ink="#b91c1c", title="#facc15", band="#065f46"),
    "layout": page(display="block"),
    "style": without_style(page()),
    "blank": "<html><body></body></html>",
}


def fenced(html: str) -> str:
    return f"Here it is.\n```html\n{html}\n```\n"


def write_data(folder: Path, pages: dict[str, str], answers: dict[str, str]) -> list[Any]:
    (folder / "pages").mkdir(parents=True)
    for name, html in pages.items():
        (folder / "pages" / f"{name}.html").write_text(html)
    rows = [json.dumps({"id": name, "prediction": text}) + "\n" for name, text in answers.items()]
    (folder / "answers.jsonl").write_text("".join(rows))
    return ["--data", folder / "pages", "--predictions", folder / "answers.jsonl"]


def answers() -> dict[str, str]:
    return {
        **{name: fenced(html) for name, html in VARIANTS.items()},
        "prose": "I see a bakery.",
        "huge": fenced("<p>" + "x" * 6_000_000),
    }


def size_of(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as image:
        return image.size


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run over graded answers to the same page, and over answers of every kind."""
    folder = tmp_path_factory.mktemp("websight")
    given = answers()
    options = write_data(folder, dict.fromkeys([*given, "unanswered"], page()), given)
    scorers = ("--scorers", ",".join(("execution", *BLOCKS, "clip")))
    env = environment(RRVF_CACHE_DIR=str(folder / "cache"), HF_HUB_OFFLINE="1")
    env.pop("RRVF_CLIP_WEIGHTS", None)
    done = rrvf_here("score", "websight", *options, "--out", folder / "out", *scorers, env=env)
    assert done.returncode == 0, done.stderr
    (folder / "said").write_text(done.stdout)
    return folder


# --------------------------------------------------------------------------- one whole run


def test_every_status_is_right(run: Path) -> None:
    statuses = {name: line["status"] for name, line in lines_of(run / "out").items()}
    assert statuses == {
        **dict.fromkeys(VARIANTS, "ok"),
        "prose": "no_code",
        "unanswered": "no_code",
        "huge": "code_error",
    }


def test_graded_answers_come_out_in_order(run: Path) -> None:
    """Each scorer that can see a difference sees it, and the more of it the less it gives."""
    found = {name: values(line) for name, line in lines_of(run / "out").items()}

    def of(scorer: str, *names: str) -> list[float]:
        return [found[name][scorer] or 0.0 for name in names]

    for scorer in BLOCKS:
        assert found["perfect"][scorer] == pytest.approx(1.0)
        assert found["blank"][scorer] == 0.0
    assert sorted(of("text", "perfect", "small", "blank"), reverse=True) == of(
        "text", "perfect", "small", "blank"
    )
    assert found["small"]["text"] < 1.0
    assert found["colors"]["color"] < 0.9
    assert found["colors"]["text"] == found["colors"]["position"] == pytest.approx(1.0)
    position = of("position", "perfect", "layout", "style", "blank")
    assert position == sorted(position, reverse=True)
    assert len(set(position)) == 4
    matched = of("block_match", "perfect", "layout", "blank")
    assert matched == sorted(matched, reverse=True)


def test_without_weights_clip_is_unscored_and_says_what_to_do(run: Path) -> None:
    summary = summary_of(run / "out")
    assert summary["metrics"]["clip"] is None
    assert summary["n_unscored"] == {**dict.fromkeys(("execution", *BLOCKS), 0), "clip": 9}
    mend = "RRVF_CLIP_WEIGHTS" if importlib.util.find_spec("torch") else "pip install 'rrvf[clip]'"
    for line in lines_of(run / "out").values():
        assert line["scores"]["clip"]["value"] is None
        assert mend in line["scores"]["clip"]["reason"]


def test_the_table_divides_by_all(run: Path) -> None:
    lines = lines_of(run / "out").values()
    metrics = summary_of(run / "out")["metrics"]
    assert list(metrics)[:3] == ["render_rate", "clip", "gpt"]
    assert metrics["render_rate"] == pytest.approx(100 * 6 / 9)
    for scorer in BLOCKS:
        total = sum(values(line)[scorer] or 0.0 for line in lines)
        assert metrics[scorer] == pytest.approx(100 * total / 9)
    assert "WebSight · 9 samples" in (run / "said").read_text()


def test_failures_say_why_and_are_zero(run: Path) -> None:
    lines = lines_of(run / "out")
    assert lines["huge"]["error"] == "the page's source is 6.0 MB; the limit is 5 MB"
    assert lines["prose"]["error"] == "no HTML in the answer"
    assert lines["unanswered"]["error"] == "no answer"
    for name in ("huge", "prose", "unanswered"):
        assert {values(lines[name])[scorer] for scorer in ("execution", *BLOCKS)} == {0.0}


def test_both_pictures_are_kept(run: Path) -> None:
    line = lines_of(run / "out")["layout"]
    folder = run / "out" / "renderings"
    sizes = [size_of(folder / line["pictures"][side]) for side in ("reference", "rendering")]
    assert [width for width, _ in sizes] == [1280, 1280]
    assert sizes[1][1] >= sizes[0][1] == 720


def test_the_summary_says_what_showed_the_pages(run: Path) -> None:
    said = summary_of(run / "out")["environment"]
    assert "chrom" in said["browser"].lower()
    assert said["fonts"]["count"] > 0
    assert set(said["confinement"]) == {"sandbox", "files", "network", "dropped"}
    protocol = summary_of(run / "out")["protocol"]
    assert protocol["viewport"] == "1280x720"
    assert protocol["javascript"] is False
    assert protocol["data"] == {"data": "folder"}


def test_other_settings_are_refused(run: Path) -> None:
    options = ["--data", run / "pages", "--predictions", run / "answers.jsonl"]
    env = environment(RRVF_CACHE_DIR=str(run / "cache"), HF_HUB_OFFLINE="1")
    changed = ("--javascript", "--scorers", "execution")
    done = rrvf_here("score", "websight", *options, "--out", run / "out", *changed, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    [line, *differing] = [
        one for one in done.stderr.splitlines() if not one.startswith("no prediction for")
    ]
    assert line.endswith("holds a run with other settings; name another --out")
    assert "  javascript: False there, True now" in differing
    assert [one for one in differing if one.startswith("  scorers: ")], "each is named"


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    pages = {f"p{n}": page(name=f"Page {n}") for n in range(12)}
    options = write_data(tmp_path, pages, {name: fenced(html) for name, html in pages.items()})
    command = ["score", "websight", *options, "--out", tmp_path / "out", "--scorers", "text"]
    process = started(*command, cwd=tmp_path, RRVF_CACHE_DIR=str(tmp_path / "cache"))
    wait_for_lines(process, tmp_path / "out" / "results.jsonl", 3)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = (tmp_path / "out" / "results.jsonl").read_bytes()
    done = rrvf_here(*command, env=environment(RRVF_CACHE_DIR=str(tmp_path / "cache")))
    assert done.returncode == 0, done.stderr
    after = (tmp_path / "out" / "results.jsonl").read_bytes()
    assert after.startswith(before[: before.rindex(b"\n") + 1])
    assert {name: values(line) for name, line in lines_of(tmp_path / "out").items()} == {
        name: {"text": 1.0} for name in pages
    }


@pytest.mark.parametrize("options", [["--javascript", "--reuse-pages"]])
def test_options_that_do_not_go_together(options: list[str], tmp_path: Path) -> None:
    data = write_data(tmp_path, {"a": page()}, {"a": fenced(page())})
    done = rrvf_here("score", "websight", *data, "--out", tmp_path / "out", *options)
    assert_one_line(done, "a page can only be reused without scripts")


def test_a_browser_that_is_none(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"a": page()}, {"a": fenced(page())})
    done = rrvf_here("score", "websight", *data, "--out", tmp_path / "out", "--browser", tmp_path)
    assert_one_line(done, "is not a browser", "RRVF_CHROMIUM")


def test_render_web_writes_the_whole_page(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<body style='margin:0'><div style='height:2000px'>x")
    done = rrvf_here("render", "web", tmp_path / "a.html", "--out", tmp_path / "a.png")
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "a.png"))
    assert size_of(tmp_path / "a.png") == (1280, 2000)


def test_render_web_mistakes(tmp_path: Path) -> None:
    done = rrvf_here("render", "web", tmp_path / "none.html", "--out", tmp_path / "a.png")
    assert_one_line(done, "none.html", "No such file", "name an HTML file")


@pytest.mark.parametrize("charset", ["gbk", "iso-8859-1", "utf-16"])
def test_render_reads_the_encodings_that_score_reads(tmp_path: Path, charset: str) -> None:
    page = f'<html><head><meta charset="{charset}"></head><body>Gr\u00fc\u00dfe {{}}</body></html>'
    page = page.replace("Gr\u00fc\u00dfe", "\u56fe\u8868") if charset == "gbk" else page
    outs: list[bytes] = []
    for encoding in (charset, "utf-8"):
        file, out = tmp_path / f"{encoding}.html", tmp_path / f"{encoding}.png"
        file.write_bytes(page.encode(encoding))
        done = rrvf_here("render", "web", file, "--out", out)
        assert (done.returncode, done.stderr) == (0, "")
        outs.append(out.read_bytes())
    assert outs[0] == outs[1]


# ------------------------------------------------------------------------- without a browser


class FakePages(PageRenderer):
    """Shows pages without a browser: the HTML is a status."""

    def __init__(self) -> None:
        self.environment = {"javascript": False, "confinement": {"sandbox": True}}

    def render(self, html: str) -> PageRendering:
        status = html.removeprefix("<html>")
        if status == "harness_error":
            raise HarnessError("the browser fails on an empty page")
        buffer = io.BytesIO()
        Image.new("RGB", (4, 4)).save(buffer, "PNG")
        if status == "ok":
            return PageRendering("ok", png=buffer.getvalue(), width=4, height=4)
        return PageRendering(status, f"it was to be {status}")  # pyright: ignore[reportArgumentType]

    def render_reference(self, html: str) -> PageRendering:
        return self.render(html)


def score_seen(target: PageRendering, page: PageRendering) -> Score:
    return Score(0.5, {"sizes": [target.width, page.width]})


def fake_bench(reference: Reference = "html") -> Bench:
    bench = page_bench(FakePages(), ("execution",), reference=reference)
    return replace(bench, scorers={**bench.scorers, "seen": score_seen})


def seen(
    status: str, reference: str = "ok", bench: Bench | None = None, **more: Any
) -> SampleResult:
    item = (Sample("a", f"<html>{reference}", **more), fenced(f"<html>{status}"))
    return score_item(item, bench or fake_bench()).result


@pytest.mark.parametrize("status", ["code_error", "timeout", "out_of_memory"])
def test_a_failure_of_the_model_is_zero(status: str) -> None:
    result = seen(status)
    assert (result.status, result.error) == (status, f"it was to be {status}")
    assert {name: score.value for name, score in result.scores.items()} == {
        "execution": 0.0,
        "seen": 0.0,
    }


def test_a_failure_of_ours_is_no_number() -> None:
    result = seen("harness_error")
    assert result.status == "harness_error"
    assert {score.value for score in result.scores.values()} == {None}


def test_a_reference_that_cannot_be_shown_is_named() -> None:
    result = seen("ok", reference="timeout")
    assert result.error == "the reference a cannot be shown: it was to be timeout"
    assert (result.scores["execution"].value, result.scores["seen"].value) == (1.0, None)


@pytest.mark.parametrize("status", ["ok", "code_error", "timeout"])
def test_a_reference_that_cannot_be_shown_leaves_the_scores_of_every_answer_open(
    status: str,
) -> None:
    result = seen(status, reference="timeout")
    assert result.scores["execution"].value == float(status == "ok")
    assert result.scores["seen"].value is None
    assert "it was to be timeout" in result.scores["seen"].details["reason"]


def test_the_data_sets_own_picture_can_be_the_target(tmp_path: Path) -> None:
    picture = tmp_path / "a.jpg"
    Image.new("RGB", (30, 20), "red").save(picture)
    own = fake_bench("image")
    assert seen("ok", bench=own, image=picture).scores["seen"].details["sizes"] == [30, 4]
    without = seen("ok", bench=own)
    assert without.status == "harness_error"
    assert without.error == "the sample a has no picture of its own"


def test_an_unknown_scorer_is_told_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"unknown scorer 'blok_match'\. Did you mean block_match"):
        page_bench(FakePages(), ("blok_match",))


def test_texts_that_nobody_sees_score_nothing(tmp_path: Path) -> None:
    """A page that shows nothing and holds every word used to score 1 throughout."""
    white = "<style>* { color: #fff !important; background: #fff !important }</style></head>"
    given = {
        "same": fenced(page()),
        "white": fenced(page().replace("</head>", white)),
        "covered": fenced(page() + "<p style='position: fixed; inset: 0; background: #fff'></p>"),
    }
    options = write_data(tmp_path, dict.fromkeys(given, page()), given)
    options += ["--scorers", ",".join(BLOCKS), "--out", tmp_path / "out"]
    done = rrvf_here("score", "websight", *options)
    assert done.returncode == 0, done.stderr
    scores = {name: values(line) for name, line in lines_of(tmp_path / "out").items()}
    assert scores["same"] == dict.fromkeys(BLOCKS, 1.0)
    assert scores["white"] == scores["covered"] == dict.fromkeys(BLOCKS, 0.0)
