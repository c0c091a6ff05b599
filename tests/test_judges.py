"""Judges: what a model is sent and how its answers become a score; the embedded judge's order."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import io
import itertools
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from rrvf.chat import Answer, ChatSettings, Message, Picture
from rrvf.errors import HarnessError, SetupError
from rrvf.scorers.judge import Judge
from rrvf.scorers.likeness import LikenessJudge
from rrvf.scorers.model_judge import MAX_PIXELS, ModelJudge, bound_picture, confidence_interval
from rrvf.scorers.rubrics import load_rubric


def png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


RED, BLUE = (png(Image.new("RGB", (40, 30), color)) for color in ("red", "blue"))


# ---------------------------------------------------------------------------------- a model


@dataclass
class ScriptedChat:
    """Says what it was told to say, in this order, the last of it for ever; keeps the questions."""

    answers: Sequence[str | Answer | Exception]
    settings: ChatSettings = field(default_factory=lambda: ChatSettings("a-model", concurrency=5))
    asked: list[tuple[Sequence[Message], int, dict[str, Any]]] = field(default_factory=list)

    def ask(self, messages: Sequence[Message], *, repeat: int = 0, **parameters: Any) -> Answer:
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append((messages, repeat, parameters))
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer, "stop") if isinstance(answer, str) else answer

    def describe_refused(self) -> dict[str, list[str]]:
        return {}


def model_judge(
    *answers: str | Answer | Exception, rubric: str = "chartmimic_judge", **options: Any
) -> tuple[ModelJudge, ScriptedChat]:
    chat = ScriptedChat(answers)
    judge = ModelJudge(chat, load_rubric(rubric), **options)  # type: ignore[arg-type]
    return judge, chat


@pytest.mark.parametrize(
    ("rubric", "answer", "raw", "value"),
    [
        ("chartmimic_judge", "Types: 18.\n\nScore: 85/100", 85, 0.85),
        ("websight_judge", "Score: 40/100", 40, 0.4),
        ("plot2code_judge", "Close. Rating: [[7]]", 7, 0.7),
        ("web2code_judge", "5, 5, 5, 5, 5, 5, 5, 5, 5, 5", 5, 0.5),
        ("vision_reward", "Score: 7.5/10", 7.5, 0.75),
    ],
)
def test_score_is_figure_over_scale(rubric: str, answer: str, raw: float, value: float) -> None:
    judge, _ = model_judge(answer, rubric=rubric)
    score = judge(RED, BLUE)
    assert score.value == pytest.approx(value)
    assert score.details == {"raw": raw, "answer": answer, "n_read": 1}


@pytest.mark.parametrize("rubric", ["chartmimic_judge", "plot2code_judge", "websight_judge"])
def test_reference_is_sent_first_at_high_detail_and_temperature_0(rubric: str) -> None:
    judge, chat = model_judge("Rating: [[7]]\nScore: 70/100", rubric=rubric)
    judge(RED, BLUE)
    [(messages, repeat, parameters)] = chat.asked
    prompt = judge.rubric.prompt
    assert list(messages) == [
        Message("system", (prompt.system,)),
        Message("user", (prompt.user, Picture(RED, "high"), Picture(BLUE, "high"))),
    ]
    assert repeat == 0
    assert parameters == {"temperature": 0.0, "max_tokens": 2048}


def test_own_prompt_without_system_part_is_one_message(tmp_path: Any) -> None:
    path = tmp_path / "mine.md"
    path.write_text("Which is nicer?")
    chat = ScriptedChat(["Score: 50/100"])
    rubric = load_rubric("chartmimic_judge", path)
    ModelJudge(chat, rubric)(RED, BLUE)  # type: ignore[arg-type]
    [(messages, _, _)] = chat.asked
    assert list(messages) == [Message("user", ("Which is nicer?", Picture(RED), Picture(BLUE)))]


def test_it_is_a_judge() -> None:
    judge, _ = model_judge(repeats=3)
    judges: list[Judge] = [judge, LikenessJudge()]
    assert [one.name for one in judges] == ["gpt", "likeness"]
    assert judge.concurrency == 5
    protocol = judge.protocol()
    assert protocol["judge"] == "a-model"
    assert protocol["endpoint"] == "openai"
    assert protocol["rubric"] == "chartmimic_judge"
    assert protocol["prompt_sha256"] == judge.rubric.prompt.sha256
    assert protocol["repeats"] == 3
    json.dumps(protocol)


def test_repeats_give_mean_and_students_interval() -> None:
    """Of 80, 84, 91: mean 85, s = sqrt(31), t(0.975, 2) = 4.302652730, from a printed table."""
    judge, chat = model_judge("Score: 80/100", "Score: 84/100", "Score: 91/100", repeats=3)
    score = judge(RED, BLUE)
    assert score.value == pytest.approx(0.85)
    assert score.details["raw"] == pytest.approx(85)
    assert score.details["n_read"] == 3
    assert score.details["raw_values"] == [80, 84, 91]
    half = 4.302652730 * (31**0.5) / (3**0.5)
    assert score.details["raw_ci95"] == pytest.approx((85 - half, 85 + half))
    assert [repeat for _, repeat, _ in chat.asked] == [0, 1, 2]
    assert all(messages == chat.asked[0][0] for messages, _, _ in chat.asked)


@given(values=st.lists(st.floats(0, 100), min_size=2, max_size=9, unique=True))
def test_interval_is_scipys(values: list[float]) -> None:
    stats = pytest.importorskip("scipy.stats")
    spread = stats.sem(values)
    if spread < 1e-6:
        return
    expected = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=spread)
    assert confidence_interval(values) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_equal_answers_have_an_interval_of_no_width() -> None:
    assert confidence_interval([80, 80, 80]) == (80, 80)


def test_only_answers_that_can_be_read_count() -> None:
    judge, _ = model_judge(
        "I cannot compare them.", "Score: 60/100", HarnessError("timed out"), "Score: 70/100",
        repeats=4,
    )  # fmt: skip
    score = judge(RED, BLUE)
    assert score.value == pytest.approx(0.65)
    assert score.details["n_read"] == 2
    assert score.details["answer"] == "Score: 60/100"
    assert "raw_ci95" in score.details


def test_one_read_of_several_has_no_interval() -> None:
    judge, _ = model_judge("", "Score: 60/100", repeats=2)
    score = judge(RED, BLUE)
    assert score.value == pytest.approx(0.6)
    assert score.details["n_read"] == 1
    assert "raw_ci95" not in score.details


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("I'm sorry, I can't\nassist with that.", "I'm sorry, I can't assist with that."),
        ("Score: 130/100", "Score: 130/100"),
        ("", "no figure"),
        (HarnessError("refused by the server"), "refused by the server"),
        (Answer("Types Score: 18\nLayout Score: 9", "length"), "cut off after 2048 tokens"),
    ],
)
def test_no_figure_is_unscored_and_says_why(answer: Any, words: str) -> None:
    judge, _ = model_judge(answer)
    score = judge(RED, BLUE)
    assert score.value is None
    assert words in score.details["reason"]


def test_an_outage_is_not_the_answer_s_and_costs_no_further_question() -> None:
    judge, chat = model_judge(HarnessError("no answer in 8 attempts"), "Score: 90/100")
    score = judge(RED, BLUE)
    assert (score.value, len(chat.asked)) == (None, 1)
    judge, chat = model_judge("No.", HarnessError("gone"), "Score: 90/100", repeats=2)
    assert (judge(RED, BLUE).value, len(chat.asked)) == (None, 2)


def test_a_refusal_in_every_repeat_is_followed_by_one_question_about_the_reference() -> None:
    judge, chat = model_judge("No.", "Never.", "Score: 90/100", repeats=2)
    score = judge(RED, BLUE)
    assert (score.value, len(chat.asked)) == (0.0, 3)
    assert "No." in score.details["reason"]
    assert chat.asked[2][0] == judge.messages(RED, RED)


def test_a_flood_is_not_kept_whole() -> None:
    judge, _ = model_judge("blah\n" * 100_000)
    assert len(judge(RED, BLUE).details["reason"]) < 800
    judge, _ = model_judge("begin " + "blah\n" * 100_000 + "Score: 5/100")
    answer = judge(RED, BLUE).details["answer"]
    assert len(answer) < 5000
    assert answer.startswith("begin")
    assert answer.endswith("Score: 5/100")


@pytest.mark.parametrize("answer", ["\ud800", "\ud800 Score: 5/100"])
def test_half_a_sign_does_not_spoil_the_results_file(answer: str) -> None:
    judge, _ = model_judge(answer)
    json.dumps(judge(RED, BLUE).details, ensure_ascii=False).encode("utf-8")


def test_a_mistake_in_the_setup_stops() -> None:
    judge, _ = model_judge(SetupError("wrong key"), repeats=2)
    with pytest.raises(SetupError, match="wrong key"):
        judge(RED, BLUE)


@pytest.mark.parametrize("pair", [(b"", BLUE), (RED, b"no picture"), (RED, BLUE[:40])])
def test_what_is_no_picture_is_not_the_models_fault(pair: tuple[bytes, bytes]) -> None:
    judge, chat = model_judge("Score: 1/100", max_pixels=100)
    with pytest.raises(HarnessError):
        judge(*pair)
    assert not chat.asked


def test_pictures_within_the_bound_are_sent_as_they_are() -> None:
    exact = png(Image.new("RGB", (4096, 4096), "red"))
    assert bound_picture(exact, MAX_PIXELS) is exact


@pytest.mark.parametrize("size", [(4097, 4096), (1280, 16384), (60_000, 300)])
def test_larger_pictures_keep_their_proportions(size: tuple[int, int]) -> None:
    small = opened(bound_picture(png(Image.new("RGB", size, "red")), MAX_PIXELS))
    assert 0.95 * MAX_PIXELS < small.width * small.height <= MAX_PIXELS
    assert small.width / small.height == pytest.approx(size[0] / size[1], rel=0.02)
    assert small.getpixel((0, 0)) == (255, 0, 0)


def test_both_sides_are_bounded() -> None:
    large = png(Image.new("RGB", (100, 100), "red"))
    judge, chat = model_judge("Score: 1/100", max_pixels=400)
    judge(large, large)
    [(messages, _, _)] = chat.asked
    pictures = [part for part in messages[-1].parts if isinstance(part, Picture)]
    assert [opened(picture.png).size for picture in pictures] == [(20, 20), (20, 20)]


def test_transparent_places_are_white() -> None:
    clear = png(Image.new("RGBA", (10, 10), (0, 0, 0, 0)))
    assert opened(bound_picture(clear, MAX_PIXELS)).convert("RGB").getpixel((5, 5)) == (
        255,
        255,
        255,
    )


# -------------------------------------------------------------------------- the embedded one


@pytest.fixture(scope="module")
def likeness() -> LikenessJudge:
    if importlib.util.find_spec("skimage") is None:
        pytest.skip("needs scikit-image: pip install 'rrvf[judge]'")
    return LikenessJudge()


def chart(
    kind: str = "bar",
    title: str = "Sales by quarter",
    colors: tuple[str, str] = ("#1f77b4", "#ff7f0e"),
    grid: tuple[int, int] = (1, 2),
    dpi: int = 80,
    size: tuple[float, float] = (6, 4),
    **saved: Any,
) -> bytes:
    pytest.importorskip("matplotlib")
    figure = importlib.import_module("matplotlib.figure").Figure(figsize=size)
    for axes, color in zip(figure.subplots(*grid).flat, colors, strict=True):
        draw = axes.bar if kind == "bar" else axes.plot
        draw(range(4), (3, 5, 2, 6), color=color)
        axes.set_title(title)
    out = io.BytesIO()
    figure.savefig(out, dpi=dpi, format="png", **saved)
    return out.getvalue()


def page(
    title: str = "Welcome to our shop",
    colors: tuple[str, str, str] = ("#224488", "#eeeeee", "#cc3311"),
    cards_at: int = 120,
    prose_at: int = 450,
    height: int = 900,
) -> bytes:
    picture = Image.new("RGB", (1280, height), "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 1280, 80), fill=colors[0])
    draw.text((20, 25), title, fill="white", font_size=32)
    for left in (40, 450, 860):
        draw.rectangle((left, cards_at, left + 370, cards_at + 260), fill=colors[1])
        draw.rectangle((left + 20, cards_at + 200, left + 140, cards_at + 240), fill=colors[2])
        for line in range(4):
            draw.text((left + 20, cards_at + 20 + line * 36), f"Item {left} {line}", "black")
    for line in range(6):
        draw.text((40, prose_at + line * 50), "Some words of a page " * 5, "#333333", font_size=24)
    return png(picture)


WHITE = png(Image.new("RGB", (1280, 900), "white"))
GRADES: dict[str, Callable[[], list[bytes]]] = {
    "bars": lambda: [
        chart(),
        chart(title="Costs by quarter"),
        chart(colors=("#d62728", "#2ca02c")),
        chart(grid=(2, 1)),
        WHITE,
    ],
    "lines": lambda: [
        chart("line"),
        chart("line", title="Costs by quarter"),
        chart("line", colors=("#d62728", "#2ca02c")),
        chart("line", grid=(2, 1)),
        WHITE,
    ],
    "page": lambda: [
        page(),
        page(title="Welcome to the shop"),
        page(colors=("#116622", "#ffeecc", "#8811aa")),
        page(cards_at=600, prose_at=120),
        WHITE,
    ],
}


@functools.cache
def graded(name: str) -> list[bytes]:
    """The reference; then a small change, other colours, another layout, nothing at all."""
    return GRADES[name]()


@pytest.mark.parametrize("name", GRADES)
def test_likeness_puts_changes_in_order(name: str, likeness: LikenessJudge) -> None:
    reference = graded(name)[0]
    scores = [likeness(reference, rendering) for rendering in graded(name)]
    values = [score.value or 0.0 for score in scores]
    assert values[0] == 1
    assert all(a > b for a, b in itertools.pairwise(values)), values
    assert 0.9 < values[1] < 1
    assert values[-1] == 0
    for score in scores:
        assert set(score.details) == {"strokes", "colors", "ink", "paper", "shape"}
        assert all(0 <= part <= 1 for part in score.details.values())


@pytest.mark.parametrize("name", GRADES)
def test_likeness_is_symmetric_and_repeats(name: str, likeness: LikenessJudge) -> None:
    first, *rest = graded(name)
    for other in rest:
        assert likeness(first, other) == likeness(other, first) == likeness(first, other)


def test_likeness_does_not_mind_resolution(likeness: LikenessJudge) -> None:
    value = likeness(chart(dpi=100), chart(dpi=350)).value
    assert value is not None
    assert value > 0.85


def test_likeness_minds_proportions(likeness: LikenessJudge) -> None:
    squeezed = png(opened(page()).resize((1280, 450)))
    value = likeness(page(), squeezed).value
    assert value is not None
    assert value < 0.9


def noise(share: float, colored: bool) -> Image.Image:
    """White with dots, grey ones or of any colour."""
    chance = np.random.default_rng(7)
    shape = (480, 640, 3 if colored else 1)
    dots = chance.integers(0, 256, shape) if colored else np.full(shape, 120)
    dotted = np.where(chance.random((480, 640, 1)) < share, dots, 255)
    return Image.fromarray(np.broadcast_to(dotted, (480, 640, 3)).astype(np.uint8))


def stripes(across: bool, width: int, color: tuple[int, int, int]) -> Image.Image:
    """Bars from edge to edge."""
    picture = Image.new("RGB", (640, 480), "white")
    draw = ImageDraw.Draw(picture)
    for start in range(0, 640, 2 * width):
        span = (start, 0, start + width - 1, 480) if across else (0, start, 640, start + width - 1)
        draw.rectangle(span, fill=color)
    return picture


NO_ANSWERS: dict[str, Callable[[], Image.Image]] = {
    "white": lambda: Image.new("RGB", (640, 480), "white"),
    "white of one pixel": lambda: Image.new("RGB", (1, 1), "white"),
    "grey": lambda: Image.new("RGB", (640, 480), (128, 128, 128)),
    "light grey": lambda: Image.new("RGB", (640, 480), (230, 230, 230)),
    "mean colour": lambda: opened(chart()).convert("RGB").resize((1, 1)).resize((640, 480)),
    "grey noise, 0.5 %": lambda: noise(0.005, colored=False),
    "grey noise, 2 %": lambda: noise(0.02, colored=False),
    "grey noise, 10 %": lambda: noise(0.1, colored=False),
    "noise, 0.5 %": lambda: noise(0.005, colored=True),
    "noise, 2 %": lambda: noise(0.02, colored=True),
    "noise, 10 %": lambda: noise(0.1, colored=True),
    "noise": lambda: noise(1, colored=True),
    "stripes": lambda: stripes(across=False, width=4, color=(0, 0, 0)),
    "upright stripes": lambda: stripes(across=True, width=20, color=(31, 119, 180)),
}


@pytest.mark.parametrize("kind", ["bar", "line"])
@pytest.mark.parametrize("name", NO_ANSWERS)
def test_a_poor_answer_beats_none(name: str, kind: str, likeness: LikenessJudge) -> None:
    """Other numbers of subplots, words and colours; yet a chart of that kind."""
    reference = chart(kind)
    poor = chart(kind, title="Costs", colors=("#d62728", "#2ca02c"), grid=(2, 1))
    values = [likeness(reference, one).value for one in (poor, png(NO_ANSWERS[name]()))]
    assert values[0] is not None
    assert values[1] is not None
    assert values[0] > values[1] + 0.05, values


def framed(picture: bytes, left: int, top: int, right: int, bottom: int) -> bytes:
    """The same with more white around it."""
    inner = opened(picture).convert("RGB")
    paper = Image.new("RGB", (inner.width + left + right, inner.height + top + bottom), "white")
    paper.paste(inner, (left, top))
    return png(paper)


@pytest.mark.parametrize("margins", [(30, 30, 30, 30), (100, 0, 0, 0), (0, 80, 5, 200)])
def test_likeness_does_not_mind_margins(
    margins: tuple[int, int, int, int], likeness: LikenessJudge
) -> None:
    assert likeness(chart(), framed(chart(), *margins)).value == 1


def test_likeness_does_not_mind_how_a_figure_is_saved(likeness: LikenessJudge) -> None:
    for kind in ("bar", "line"):
        plain = chart(kind)
        for changed in (
            chart(kind, bbox_inches="tight"),
            chart(kind, bbox_inches="tight", pad_inches=1),
            chart(kind, dpi=200),
            chart(kind, size=(7.2, 4.8)),
        ):
            value = likeness(plain, changed).value
            assert value is not None
            assert value >= 0.95


def test_white_end_of_a_page_is_no_difference(likeness: LikenessJudge) -> None:
    assert likeness(page(), page(height=1400)).value == 1


def test_blank_pictures(likeness: LikenessJudge) -> None:
    black = png(Image.new("RGB", (9, 9)))
    clear = png(Image.new("RGBA", (1, 1), (0, 0, 0, 0)))
    assert likeness(WHITE, WHITE).value == 1
    assert likeness(WHITE, clear).value == 1, "transparent is white"
    assert likeness(WHITE, black).value == 0
    grey = [png(Image.new("L", (50, 50), shade)) for shade in (250, 200, 100)]
    light, middle, dark = (likeness(WHITE, one).value or 0 for one in grey)
    assert light > middle > dark > 0


SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(sizes=st.tuples(SIZES, SIZES), seed=st.integers(0, 99), mode=st.sampled_from("1LP"))
def test_likeness_takes_any_picture(
    sizes: tuple[tuple[int, int], tuple[int, int]], seed: int, mode: str, likeness: LikenessJudge
) -> None:
    noise = np.random.default_rng(seed)
    first, second = (
        png(Image.fromarray(noise.integers(0, 256, (h, w, 3), dtype=np.uint8)).convert(mode))
        for w, h in sizes
    )
    value = likeness(first, second).value
    assert value is not None
    assert 0 <= value <= 1
    assert likeness(first, first).value == 1


@pytest.mark.parametrize("size", [(1, 16384), (16384, 1), (640, 8192)])
def test_likeness_takes_any_proportions(size: tuple[int, int], likeness: LikenessJudge) -> None:
    long = png(Image.new("RGB", size, "navy"))
    assert likeness(long, long).value == 1
    value = likeness(long, page()).value
    assert value is not None
    assert value < 1


@pytest.mark.parametrize("pair", [(b"", BLUE), (RED, b"no picture"), (RED, BLUE[:40])])
def test_likeness_without_a_picture(pair: tuple[bytes, bytes], likeness: LikenessJudge) -> None:
    with pytest.raises(HarnessError):
        likeness(*pair)


def test_without_scikit_image_one_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    for use in (LikenessJudge().protocol, lambda: LikenessJudge()(RED, BLUE)):
        with pytest.raises(SetupError, match=r"pip install 'rrvf\[judge\]'"):
            use()


def test_protocol_of_the_likeness(likeness: LikenessJudge) -> None:
    protocol = likeness.protocol()
    assert protocol["judge"] == "likeness 1", "measure and version"
    assert protocol["skimage_version"] == importlib.import_module("skimage").__version__
    json.dumps(protocol)


def test_the_old_class_is_found_for_one_release() -> None:
    old = importlib.import_module("rrvf.scorers.pixel_judge")
    with pytest.warns(DeprecationWarning, match="LikenessJudge"):
        assert old.PixelJudge is LikenessJudge
    with pytest.raises(AttributeError, match="PixelJury"):
        _ = old.PixelJury
