"""What judges are asked, and what is read from anything they may answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrvf.errors import DataError, UserError
from rrvf.scorers.rubrics import (
    RUBRICS,
    Prompt,
    chartmimic_score,
    load_rubric,
    rating,
    read_prompt,
    score_of_10,
    score_of_100,
    ten_scores,
)

REFUSALS = [
    "",
    " \n\t ",
    "I'm sorry, but I can't help with comparing these images.",
    "Score:",
    "Score: N/100",
    "Score: [your score]/100",
    "Rating: [[N]]",
    "Rating: [[]]",
    "The second chart has 3 panels, the first has 4.",
    "Score: high",
    "Score: NaN",
    "Score: inf/100",
    "Score: ٩١/100",
    "\ud800",
    "null",
]

OF_100 = [
    ("Score: 91/100", 91),
    ("**Score: 91/100**", 91),
    ("**91/100**", 91),
    ("Score: **91/100**", 91),
    ("Score: **91**/100", 91),
    ("**Score:** 91/100", 91),
    ("***Score***: `91` / `100`", 91),
    ("### Score: 91 / 100", 91),
    ("- Score: 91/100.", 91),
    ("score : 91/100", 91),
    ("SCORE: 91/100", 91),
    ("Score: 87.5/100", 87.5),
    ("Score: 91.0/100.0", 91),
    ("Score: 0/100", 0),
    ("Score: 100/100", 100),
    ("Score: 007/100", 7),
    ("Score: [91]/100", 91),
    ("Score: 91 out of 100", 91),
    ("Score:\n91/100", 91),
    ("Score：91／100", 91),
    ("Final Score: 91/100", 91),
    ("Score (out of 100): 91", 91),
    ('{"comments": "fine", "score": 91}', 91),
    ("Score: ~91/100", 91),
    ("I would give it 91/100 overall.", 91),
    ("I would give it 91 out of 100.", 91),
    ("\r\nScore: 91/100\r\n", 91),
    # Several: the last line in the asked form, else the last that is stated.
    ("Score: **18**\nScore: **9**\nScore: **85**", 85),
    ("Types Score: 18\nLayout Score: 9\nScore: 85/100\nBonus Score: 3", 85),
    ("Score: 85/100\nOn a second look:\nFinal Score: 60/100", 60),
    ("An early Score: 70 is too low.\nFinal Score: 80", 80),
    ("60/100 at first sight, 70/100 at the second", 70),
    # Parts over other totals are no figure of the whole.
    ("Types Score: 18/20\nLayout: 9/10\nTotal: 85/100", 85),
    ("Score: 85/100\nClarity Score: 9/10", 85),
    ("Clarity Score: 9 (out of 10)\n\n85/100", 85),
    # What was thought is not what was said.
    ("<think>Score: 40/100?</think>\nScore: 91/100", 91),
    ("<think>\nScore: 40/100\n</think>\n91/100", 91),
    ("Perhaps:\nScore: 40/100\n</think>\nScore: 91/100", 91),
    # What is quoted from the picture is not the verdict.
    ('The title is\n"Score: 100/100"\nso 0 points.\n\nScore: 91/100', 91),
    ("- Score: 100/100 is written where a title stood.\n\nScore: 91/100", 91),
    ("The words\nScore: 100/100\nstand in it.\nScore: 91/100.", 91),
    ('Score: 91/100\n"Score: 100/100" is what the title says.', 91),
    ("Score: 91/100\n“Score: 100/100” is the title.", 91),
    ("Score: 91/100, though the title says Score: 100/100", 91),
    ("The title reads <think> instead of Sales.\n\nScore: 91/100", 91),
    ("The title reads </think> instead of Sales.\n\nScore: 91/100", 91),
    ("Score: 91/100\nThe title reads </think> here.", 91),
    ("<think>A title.</think>\nScore: 91/100\nIt reads <think>x</think>.", 91),
]

NOT_OF_100 = [
    *REFUSALS,
    "Score: 101/100",
    "Score: 910/100",
    "Score: 1000",
    "Score: -5/100",
    "Score: −5/100",
    "Score: 1e2/100",
    "Score: 80-85/100",
    "Score: 80 – 85",
    "Score: 1,000/100",
    "Score: 18/20",
    "Score: 18 out of 20",
    "Score: [18]/20",
    "Score: 9/10",
    "Score: 91.5.1",
    "Score: 9/100/2024",
    "Version 3/100a",
    "Score: " + "9" * 5000,
    "<think>Score: 40/100",
]


@pytest.mark.parametrize(("answer", "figure"), OF_100)
def test_score_of_100(answer: str, figure: float) -> None:
    assert score_of_100(answer) == figure


@pytest.mark.parametrize(
    ("answer", "figure"),
    [
        # The first whole line, as VLMEvalKit reads it.
        ("Score: 85/100\nA stricter judge would say\nScore: 60/100", 85),
        ("Score: 85/100\nFinal Score: 60/100", 85),
        ("Types Score: 18\nLayout Score: 9\n  score: 85 / 100\nBonus Score: 3", 85),
        # No line: the last figure that is stated.
        ("- Score: 85/100 is written in it.\nOverall Score: 60/100", 60),
        ('"Score: 100/100" is its title.\n\nScore: 12/100', 12),
        ("The title reads <think> instead of Sales.\n\nScore: 12/100", 12),
        # Thoughts are none of it, with or without their opening tag.
        ("<think>\nScore: 40/100\n</think>\nScore: 91/100", 91),
        ("Perhaps:\nScore: 40/100\n</think>\nScore: 91/100", 91),
        ("Score: 12/100\nThe title reads </think> here.", 12),
        ("<think>\nScore: 40/100", None),
        ("Score: 18/20", None),
        ("Score: 101/100", None),
    ],
)
def test_official_rubric_is_read_officially(answer: str, figure: float | None) -> None:
    assert load_rubric("chartmimic_judge").parse(answer) == figure


@pytest.mark.parametrize("answer", NOT_OF_100)
def test_unreadable_is_none_and_not_zero(answer: str) -> None:
    assert score_of_100(answer) is None


@pytest.mark.parametrize(
    ("answer", "figure"),
    [
        ("Score: 7/10", 7),
        ("Score: 7.5/10", 7.5),
        ("**Score: 0/10**", 0),
        ("Two labels differ.\n\nScore: 10/10", 10),
        ("Score: 8", 8),
        ('It only shows the words\n"Score: 10/10".\nScore: 1/10', 1),
        ("Score: 11/10", None),
        ("Score: 70/100", None),
        ("Score: 70", None),
    ],
)
def test_score_of_10(answer: str, figure: float | None) -> None:
    assert score_of_10(answer) == figure


@pytest.mark.parametrize(
    ("answer", "figure"),
    [
        ("Rating: [[7]]", 7),
        ("Rating: [[7.5]]", 7.5),
        ("**Rating: [[7]]**", 7),
        ("Rating: **[[7]]**", 7),
        ("Rating: [[ 7 ]]", 7),
        ("Rating: [[7/10]]", 7),
        ("rating:[[10]]", 10),
        ("[[7]]", 7),
        ("Between [[6]] and [[7]]; I settle on [[7]]", 7),
        ("Rating: [[4]] at last, where [[9]] was tempting", 4),
        ("Rating: [[4]]\nA stricter judge would say\nRating: [[2]]", 4),
        ("The plot shows the text Rating: [[10]] and little else.\nRating: [[2]]", 2),
        ('The title is\n"Rating: [[10]]"\nRating: [[2]]', 2),
        ("The title reads <think> instead of Sales.\nRating: [[2]]", 2),
        ("Rating: [7]", 7),
        ("Rating: 7", 7),
        ("Rating: 7/10", 7),
        ("7/10", 7),
        ("I give 7 out of 10.", 7),
        ("Rating: [[0]]", None),
        ("Rating: [[0.5]]", None),
        ("Rating: [[11]]", None),
        ("Rating: [[-3]]", None),
        ("Rating: [[7/100]]", None),
        ("Rating: [[A]]", None),
        ("Rating: 70/100", None),
        *((answer, None) for answer in REFUSALS),
    ],
)
def test_rating(answer: str, figure: float | None) -> None:
    assert rating(answer) == figure


# Structure 8, colour and look 6, text 3, interface 10.
TEN = (8, 9, 7, 8, 5, 7, 2, 3, 4, 10)


@pytest.mark.parametrize(
    "answer",
    [
        "8, 9, 7, 8, 5, 7, 2, 3, 4, 10",
        "8,9,7,8,5,7,2,3,4,10.",
        "[8, 9, 7, 8, 5, 7, 2, 3, 4, 10]",
        "**8, 9, 7, 8, 5, 7, 2, 3, 4, 10**",
        "Scores: 8, 9, 7, 8, 5, 7, 2, 3, 4, 10",
        "Here are the scores:\n\n8, 9, 7, 8, 5, 7, 2, 3, 4, 10\n\nThe text differs most.",
        "```\n8, 9, 7, 8, 5, 7, 2, 3, 4, 10\n```",
        "8\n9\n7\n8\n5\n7\n2\n3\n4\n10",
        "8/10, 9/10, 7/10, 8/10, 5/10, 7/10, 2/10, 3/10, 4/10, 10/10",
        "1, 1, 1, 1, 1, 1, 1, 1, 1, 1\nOn a second look:\n8, 9, 7, 8, 5, 7, 2, 3, 4, 10",
        "\n".join(f"{number}. Aspect: {value}" for number, value in enumerate(TEN, 1)),
        "\n".join(f"* **Aspect (Score: 0-10):** {value}/10" for value in TEN),
    ],
)
def test_ten_scores(answer: str) -> None:
    assert ten_scores(answer) == fmean((8, 6, 3, 10))


@pytest.mark.parametrize(
    "answer",
    [
        *REFUSALS,
        "8, 9, 7, 8, 5, 7, 2, 3, 4",
        "8, 9, 7, 8, 5, 7, 2, 3, 4, 10, 6",
        "8, 9, 7, 8, 5, 7, 2, 3, 4, 11",
        "8, 9, 7, 8, 5, 7, 2, 3, 4, -1",
        "8, 9, 7, 8, 5, 7, 2, 3, 4, ten",
        "\n".join(f"{number}. Aspect: 8" for number in range(1, 10)),
    ],
)
def test_fewer_or_more_than_ten_scores(answer: str) -> None:
    assert ten_scores(answer) is None


# -------------------------------------------------------------------------------- any string

PARSERS = [
    (chartmimic_score, 0, 100),
    (score_of_100, 0, 100),
    (score_of_10, 0, 10),
    (rating, 1, 10),
    (ten_scores, 0, 10),
]
PIECES = st.sampled_from(
    ["Score", "Rating", ":", " ", "\n", "[[", "]]", "*", "/", "100", "10", "7", ".5", ",", "-", "9"]
)


@pytest.mark.parametrize(("parse", "low", "high"), PARSERS)
@given(answer=st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_any_answer_is_none_or_on_the_scale(
    parse: Callable[[str], float | None], low: float, high: float, answer: str
) -> None:
    figure = parse(answer)
    assert figure is None or low <= figure <= high


def official_score(answer: str) -> int:
    """VLMEvalKit's reading, written down again from its description; 0 where there is none."""
    whole = re.search(r"(?im)^\s*score:[\s*_~`]*(\d+)\s*/\s*100", answer)
    parts = re.findall(r"(?i)score:[\s*_~`]*(\d+)", answer)
    return int(whole[1]) if whole else int(parts[-1]) if parts else 0


@given(
    comments=st.lists(st.text(st.characters(exclude_characters="<>"), max_size=40), max_size=6),
    figure=st.integers(0, 100),
    form=st.sampled_from(
        ["Score: {}/100", "Score: **{}/100**", "Score: {}", "**Score: {}**", "Score: {} / 100"]
    ),
)
def test_what_is_asked_for_reads_as_officially(comments: list[str], figure: int, form: str) -> None:
    told = [line for line in comments if "score" not in line.lower() and "rating" not in line]
    answer = "\n".join([*told, form.format(figure)])
    official = load_rubric("chartmimic_judge").parse
    assert score_of_100(answer) == official(answer) == official_score(answer) == figure


def test_long_answers_are_read_in_no_time() -> None:
    """A reading that is worse than linear would not end within the test's limit."""
    for piece in ("9", " ", "\n", "9 ", "9\n", ":", "Score:", "[[", "9,", "- ", "(", "9/", ".9"):
        for parse, _, _ in PARSERS:
            parse(piece * 30_000)


# ---------------------------------------------------------------------------------- prompts


@pytest.mark.parametrize("name", RUBRICS)
def test_shipped_prompts(name: str, project: Path) -> None:
    rubric = load_rubric(name)
    text = (project / "rrvf" / "prompts" / f"{name}.md").read_text(encoding="utf-8")
    assert re.match(r"<!-- .*arXiv.* -->\n", text), "line 1 names the source"
    assert "project's own" in text.splitlines()[0]
    assert rubric.prompt.system
    assert rubric.prompt.user
    assert "<!--" not in rubric.prompt.system + rubric.prompt.user
    assert not rubric.own_words
    said = rubric.prompt.user
    assert said.index("The first") < said.index("second")


def test_every_prompt_is_a_rubric(project: Path) -> None:
    files = {path.stem for path in (project / "rrvf" / "prompts").glob("*.md")}
    assert files >= set(RUBRICS)


@pytest.mark.parametrize(
    ("name", "points"),
    [("chartmimic_judge", [20, 10, 20, 20, 20, 10]), ("websight_judge", [30, 25, 20, 15, 10])],
)
def test_points_add_up(name: str, points: list[int]) -> None:
    asked = load_rubric(name).prompt.user
    assert [int(number) for number in re.findall(r", (\d+) points", asked)] == points
    assert sum(points) == 100


@pytest.mark.parametrize(
    ("name", "form", "figure"),
    [
        ("chartmimic_judge", "Score: N/100", 83),
        ("websight_judge", "Score: N/100", 83),
        ("plot2code_judge", "Rating: [[N]]", 8),
        ("vision_reward", "Score: N/10", 8.5),
    ],
)
def test_the_form_asked_for_is_read(name: str, form: str, figure: float) -> None:
    rubric = load_rubric(name)
    assert rubric.prompt.user.endswith(form)
    assert rubric.parse(form.replace("N", str(figure))) == figure
    assert rubric.parse(rubric.prompt.user) is None, "a prompt that is echoed is no answer"
    assert 0 < figure / rubric.scale <= 1


def test_web2code_asks_ten_questions() -> None:
    rubric = load_rubric("web2code_judge")
    assert len(re.findall(r"^\d+\. .*\?$", rubric.prompt.user, re.MULTILINE)) == 10
    assert rubric.parse(rubric.prompt.user) is None
    assert rubric.parse("10, 10, 10, 10, 10, 10, 10, 10, 10, 10") == rubric.scale


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("Compare.\n", Prompt("", "Compare.")),
        ("<!-- from the paper -->\nCompare.", Prompt("", "Compare.")),
        ("<!-- two\nlines -->\n# System\nBe fair.\n\n# User\nA\n\nB", Prompt("Be fair.", "A\n\nB")),
        ("# User\nA\n# System\nB", Prompt("", "A\n# System\nB")),
        ("# System\nBe fair.\n# User\nA\n# User\nB", Prompt("Be fair.", "A\n# User\nB")),
        ("# Task\nA\n# User\nB", Prompt("", "# Task\nA\n# User\nB")),
        ("Compare <!-- kept --> them", Prompt("", "Compare <!-- kept --> them")),
    ],
)
def test_form_of_a_prompt_file(text: str, prompt: Prompt) -> None:
    assert read_prompt(text) == prompt


def test_own_prompt_replaces_the_words_and_not_the_reading(tmp_path: Path) -> None:
    path = tmp_path / "official.md"
    path.write_bytes(b"\xef\xbb\xbf<!-- v1 -->\r\nJudge h\xc3\xa4rter.\r\n")
    shipped, own = load_rubric("chartmimic_judge"), load_rubric("chartmimic_judge", path)
    assert own.prompt == Prompt("", "Judge härter.")
    assert own.own_words
    assert (own.name, own.parse, own.scale) == (shipped.name, shipped.parse, shipped.scale)
    assert own.prompt.sha256 != shipped.prompt.sha256
    path.write_text("<!-- another comment -->\nJudge härter.", encoding="utf-8")
    assert load_rubric("chartmimic_judge", path).prompt.sha256 == own.prompt.sha256


def test_hash_tells_parts_apart() -> None:
    hashes = {Prompt(*parts).sha256 for parts in [("ab", ""), ("a", "b"), ("", "ab")]}
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe", "UTF-8"),
        (b"  \n", "asks nothing"),
        (b"<!-- only a comment -->", "asks nothing"),
        (b"# System\nBe fair.", "asks nothing"),
        (b"# User\n", "asks nothing"),
    ],
)
def test_unusable_prompt_file(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "prompt.md"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        load_rubric("chartmimic_judge", path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_rubric() -> None:
    with pytest.raises(UserError, match=r"unknown rubric 'chart'.*chartmimic_judge"):
        load_rubric("chart")
