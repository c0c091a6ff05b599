"""Rubrics: the question to a judging model, and how its answer is read.

The prompts are in ``rrvf/prompts``: this project's own wording of the criteria, points and answer
formats of each benchmark. A user's file replaces the wording; the reading stays the same.

An unreadable answer is ``None``, which gives an unscored item. The official reading of ChartMimic's
answers (VLMEvalKit) gives 0 instead, and accepts numbers above 100 or over another total
(``Score: 18/20``) unchanged; here those are not read. If both read a number from an answer in the
requested format, it is the same number. The project's own rubrics ask for the verdict on the last
line, and for them the last line counts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from statistics import fmean
from typing import Literal

from rrvf.errors import DataError, UserError

Parser = Callable[[str], float | None]
"""Answer -> figure on the rubric's own scale, ``None`` where there is none. Never raises."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is said to the judge before the two pictures.

    Attributes:
        system: Text of the system message; empty for none.
        user: Text before the pictures.
    """

    system: str
    user: str

    @property
    def sha256(self) -> str:
        """Of both texts as they are sent; a comment on top of the file does not move it."""
        return hashlib.sha256(f"{self.system}\0{self.user}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Rubric:
    """A prompt, and how to read what it asks for.

    Attributes:
        name: A key of :data:`RUBRICS`.
        prompt: What is asked.
        parse: Reads the answer.
        scale: The highest figure; a score is figure / scale.
        own_words: The prompt is the user's file, not the one that ships.
    """

    name: str
    prompt: Prompt
    parse: Parser
    scale: float
    own_words: bool = False


def load_rubric(name: str, prompt_file: Path | None = None) -> Rubric:
    """The rubric of that name.

    Args:
        name: A key of :data:`RUBRICS`.
        prompt_file: Text to ask instead of the one that ships, UTF-8. It is the user message as it
            stands, unless its first line is ``# System`` or ``# User``: then those headings
            part it. A comment ``<!-- ... -->`` on top is not sent.

    Raises:
        UserError: There is no such rubric.
        DataError: The file cannot be read or says nothing.
    """
    if name not in RUBRICS:
        raise UserError(f"unknown rubric {name!r}; there are {', '.join(RUBRICS)}")
    parse, scale = RUBRICS[name]
    if prompt_file is None:
        prompt_path = resources.files("rrvf") / "prompts" / f"{name}.md"
        prompt = read_prompt(prompt_path.read_text(encoding="utf-8"))
    else:
        prompt = read_own_prompt(prompt_file)
    return Rubric(name, prompt, parse, scale, own_words=prompt_file is not None)


def read_own_prompt(path: Path, needs: Literal["system", "user"] = "user") -> Prompt:
    """The prompt in a file of the user's; see :func:`load_rubric` for its form.

    Args:
        path: UTF-8 text.
        needs: The part that cannot be left out.

    Raises:
        DataError: It cannot be read, or says nothing.
    """
    try:
        prompt = read_prompt(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8; save the prompt as UTF-8 text") from error
    if needs == "user" and not prompt.user:
        raise DataError(f"{path}: asks nothing; write the question, below '# User' if at all")
    if needs == "system" and not prompt.system:
        raise DataError(f"{path}: has no system message; write it below '# System'")
    return prompt


_COMMENT = re.compile(r"\s*<!--.*?-->", re.DOTALL)
_HEADING = re.compile(r"^# (System|User)[ \t]*$", re.MULTILINE)


def read_prompt(text: str) -> Prompt:
    """System and user part of a prompt's file, without its comment."""
    comment = _COMMENT.match(text)
    text = text[comment.end() :].strip() if comment else text.strip()
    first = _HEADING.match(text)
    if first is None:
        return Prompt("", text)
    if first[1] == "User":
        return Prompt("", text[first.end() :].strip())
    user = next(
        (match for match in _HEADING.finditer(text, first.end()) if match[1] == "User"), None
    )
    if user is None:
        return Prompt(text[first.end() :].strip(), "")
    return Prompt(text[first.end() : user.start()].strip(), text[user.end() :].strip())


# ---------------------------------------------------------------------------- reading answers

# A number that is not a part of something longer, such as a version or a range, with its total.
_VALUE = (
    r"(?<![\w.,/−-])(?P<value>[0-9]+(?:\.[0-9]+)?)(?!\w|[.,][0-9]|\s?[-–~]\s?[0-9])"
    r"(?:[ )\]}(\"']{0,4}(?:/|out of)\s?(?P<total>[0-9]+)(?:\.0+)?(?!\w|[.,][0-9]))?(?!\s?/)"
)
_QUOTES = "\"'“”„«»‘’「」"
_COLON = r"[ \"']{0,3}(?:\([^()\n]{0,60}\)[ \"']{0,3})?[:=]\s{0,3}[\[({~≈\"']{0,3}\s?"
_SCORE = re.compile(
    rf"(?P<line>^[^\w\n{_QUOTES}]*(?:final )?)?\b(?:score|rating)\b{_COLON}{_VALUE}",
    re.IGNORECASE | re.MULTILINE,
)
_OFFICIAL_LINE = re.compile(
    rf"^[^\S\n]*score:[\s*_~`]{{0,9}}{_VALUE}", re.IGNORECASE | re.MULTILINE
)
_RATING = re.compile(
    rf"(?P<line>^[^\w\n{_QUOTES}]*)?(?P<label>\brating\b{_COLON})?\[\[\s?{_VALUE}\s?\]\]",
    re.IGNORECASE | re.MULTILINE,
)
_OVER = re.compile(_VALUE, re.IGNORECASE)


def score_of_100(text: str) -> float | None:
    """The last line ``Score: N/100``, else the last ``Score: N``, else the last ``N/100``.

    What is quoted from a picture comes before the verdict, in quotation marks or within a line.
    """
    return _read_last_line(_simplify(text), 100)


def score_of_10(text: str) -> float | None:
    """The same as :func:`score_of_100` with 10."""
    return _read_last_line(_simplify(text), 10)


def chartmimic_score(text: str) -> float | None:
    """VLMEvalKit's reading: the first line ``Score: N/100``, else the last ``Score: N``.

    Where there is neither, the last ``N/100``. Where thoughts end without having begun, what
    follows them is read first.
    """
    reply = _cut_thoughts(text)
    before, thoughts_end, after = reply.rpartition("</think>")
    parts = (after, before) if thoughts_end else (reply,)
    figures = (_read_officially(part) for part in parts)
    return next((figure for figure in figures if figure is not None), None)


def _read_officially(reply: str) -> float | None:
    lines = [match for match in _OFFICIAL_LINE.finditer(reply) if match["total"] == "100"]
    return _read_figure(lines[:1], 100) if lines else _read_last_stated(_remove_marks(reply), 100)


def rating(text: str) -> float | None:
    """The first ``Rating: [[N]]`` that begins a line, else the first one; 1 to 10.

    Where there is none: the last ``[[N]]``, ``Rating: N`` or ``N/10``. Plot2Code takes the first
    one wherever it stands, so also one that the judge has read in the picture.
    """
    plain = _simplify(text)
    matches = [match for match in _RATING.finditer(plain) if match["total"] in (None, "10")]
    labelled = [match for match in matches if match["label"]]
    lines = [match for match in labelled if match["line"] is not None]
    choice = lines[:1] or labelled[:1] or matches[-1:]
    value = float(choice[0]["value"]) if choice else _read_last_line(plain, 10)
    return value if value is not None and 1 <= value <= 10 else None


def _read_last_line(plain: str, top: int) -> float | None:
    lines = [
        match for match in _find_stated(plain, top) if match["line"] is not None and match["total"]
    ]
    return _read_figure(lines, top) if lines else _read_last_stated(plain, top)


def _read_last_stated(plain: str, top: int) -> float | None:
    ratios = [match for match in _OVER.finditer(plain) if match["total"] == str(top)]
    return _read_figure(_find_stated(plain, top) or ratios, top)


def _find_stated(plain: str, top: int) -> list[re.Match[str]]:
    return [match for match in _SCORE.finditer(plain) if match["total"] in (None, str(top))]


def _read_figure(matches: list[re.Match[str]], top: int) -> float | None:
    """The figure of the last match, if it is on the scale."""
    value = float(matches[-1]["value"]) if matches else None
    return value if value is not None and value <= top else None


_PARTS = (4, 2, 3, 1)
_LABELLED = re.compile(rf"^[^\n]*:\s?{_VALUE}[^\w\n]*$", re.MULTILINE)


def ten_scores(text: str) -> float | None:
    """Web2Code's overall figure, 0 to 10, of ten numbers in a list or at the ends of ten lines.

    As the official script has it, it is the mean of four means: of the four questions about
    structure, two about colour and look, three about text, and one about the interface.
    """
    values = _read_list(text) or _read_labelled(_simplify(text))
    if values is None or not all(0 <= value <= 10 for value in values):
        return None
    numbers = iter(values)
    return fmean(fmean(next(numbers) for _ in range(size)) for size in _PARTS)


def _read_list(text: str) -> list[float] | None:
    """Ten numbers separated by commas or new lines: the last such line, or the whole answer."""
    plain = _simplify(text)
    for part in (*reversed(plain.splitlines()), plain):
        numbers = part.rpartition(":")[2].strip(" []().\n")
        fields = [field.strip() for field in re.split(r"[,;\n]", numbers)]
        matches = [_OVER.fullmatch(field) for field in fields if field]
        figures = [match for match in matches if match and match["total"] in (None, "10")]
        if len(matches) == len(figures) == sum(_PARTS):
            return [float(match["value"]) for match in figures]
    return None


def _read_labelled(plain: str) -> list[float] | None:
    """The numbers of ten lines such as ``3. Proportions: 8/10``, no more and no fewer."""
    matches = [match for match in _LABELLED.finditer(plain) if match["total"] in (None, "10")]
    return [float(match["value"]) for match in matches] if len(matches) == sum(_PARTS) else None


_MARKS = str.maketrans({"*": " ", "_": " ", "`": " ", "：": ":", "／": "/"})


def _simplify(text: str) -> str:
    """What follows the thoughts, without emphasis, with single blanks."""
    return _remove_marks(_cut_thoughts(text))


def _cut_thoughts(text: str) -> str:
    """What follows the thoughts; an answer that does not begin with ``<think>`` holds none.

    The tags may stand in a picture that the judge quotes, so they mean nothing further on.
    """
    stripped_text = text.lstrip()
    return stripped_text.partition("</think>")[2] if stripped_text.startswith("<think>") else text


def _remove_marks(text: str) -> str:
    return re.sub(r"[^\S\n]+", " ", text.translate(_MARKS))


RUBRICS: Mapping[str, tuple[Parser, float]] = {
    "chartmimic_judge": (chartmimic_score, 100.0),
    "plot2code_judge": (rating, 10.0),
    "websight_judge": (score_of_100, 100.0),
    "web2code_judge": (ten_scores, 10.0),
    "vision_reward": (score_of_10, 10.0),
}
"""Name, which is that of the prompt's file -> how its answers are read, and the highest figure."""
