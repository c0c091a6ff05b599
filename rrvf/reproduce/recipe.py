"""Recipes: what a row of the paper's tables needs, as a YAML file.

The project's own recipes are in ``results/recipes``, see
:func:`rrvf.project_files.find_results`.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rrvf.errors import DataError, UserError
from rrvf.project_files import find_results
from rrvf.tables.published import BENCHMARKS, PublishedRow, read_published
from rrvf.types import Mode

_SUFFIXES = (".yaml", ".yml")
_MOST_BYTES = 2**20

Count = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=500)]


class _Part(BaseModel):
    """A part of a recipe; a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RowPart(_Part):
    """The row that is aimed at: its table, and its model as printed there."""

    benchmark: Name
    model: Name


class DataPart(_Part):
    """The samples.

    Attributes:
        source: How they are fetched, unless ``--data`` names them.
        subset: Of the data set.
        samples: How many there are, for the plan.
        disk_gb: What they and the run take.
    """

    source: Literal["chartmimic", "plot2code", "websight"]
    subset: Name | None = None
    samples: Count
    disk_gb: Amount


class ModelPart(_Part):
    """A policy or a teacher.

    Attributes:
        model: By which it is asked where it is known by no other name.
        server: ``vllm`` is started here, unless a URL says where one is; ``openai`` is there.
        checkpoint: A folder, or a name on the Hugging Face hub; ``None`` where ``--checkpoint`` has
            to say which one is meant.
        published_as: What its authors call it on the hub.
        gpus: That it is spread over.
        gpu_gib: Memory that each of them has to have.
        disk_gb: Of the weights.
        max_model_len: Tokens of a conversation.
        pictures: In a conversation, at most.
        vllm: Further words for ``vllm serve``.
    """

    model: Name
    server: Literal["vllm", "openai"]
    checkpoint: Name | None = None
    published_as: Name | None = None
    gpus: Count = 1
    gpu_gib: Amount | None = None
    disk_gb: Amount | None = None
    max_model_len: Count | None = None
    pictures: Count = 1
    vllm: tuple[str, ...] = Field((), strict=False)


class LoopPart(_Part):
    """The loop: one turn asks directly."""

    max_turns: Count


class DecodingPart(_Part):
    """How the policy's words are chosen."""

    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    max_tokens: Count = 4096
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: int | None = None


class JudgePart(_Part):
    """Who fills the GPT columns, by which rubric."""

    model: Name
    rubric: Name


class Recipe(_Part):
    """What a row of a table needs.

    Attributes:
        mode: Of scoring; ``None`` for the benchmark's own.
        not_told: What the paper leaves open, in words.
    """

    row: RowPart
    data: DataPart
    policy: ModelPart
    teacher: ModelPart | None = None
    loop: LoopPart
    decoding: DecodingPart = DecodingPart()
    judge: JudgePart
    mode: Mode | None = None
    not_told: tuple[str, ...] = Field((), strict=False)

    @model_validator(mode="after")
    def _check_row(self) -> Recipe:
        self.published_row()
        if self.teacher is not None and self.loop.max_turns == 1:
            raise ValueError("a teacher comments on nothing in one turn; leave it out")
        return self

    def published_row(self) -> PublishedRow:
        """The row of the paper's table.

        Raises:
            ValueError: There is none.
        """
        if self.row.benchmark not in BENCHMARKS:
            raise ValueError(_explain_unknown("table", self.row.benchmark, BENCHMARKS))
        rows = {
            row.model: row for row in read_published(self.row.benchmark).rows if row.kind == "model"
        }
        if self.row.model not in rows:
            raise ValueError(_explain_unknown("row", self.row.model, rows))
        return rows[self.row.model]


def list_recipes() -> list[str]:
    """Names of the project's own recipes."""
    names = [Path(entry.name) for entry in _folder().iterdir()]
    return sorted(name.stem for name in names if name.suffix in _SUFFIXES)


def read_recipe(name: str) -> Recipe:
    """A recipe of the project by its name, or one of the user's own by its path.

    Raises:
        DataError: It is missing or cannot be used; the message is one line with the fix.
    """
    path = Path(name)
    if path.suffix not in _SUFFIXES and not path.is_file():
        if name not in list_recipes():
            raise DataError(
                f"{_explain_unknown('recipe', name, list_recipes())}; or name a YAML file"
            )
        return _parse(name, (_folder() / f"{name}.yaml").read_bytes())
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: no recipe to read: {error.strerror}") from error
    return _parse(str(path), data)


def _folder() -> Path:
    return find_results() / "recipes"


def _parse(name: str, data: bytes) -> Recipe:
    try:
        return Recipe.model_validate(_load(data))
    except ValidationError as error:
        raise DataError(f"{name}: {_describe(error.errors())}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: no recipe: {' '.join(str(error).split())}") from error


def _load(data: bytes) -> Any:
    yaml: Any = importlib.import_module("yaml")
    if len(data) > _MOST_BYTES:
        raise ValueError("too large for one")
    try:
        return yaml.safe_load(data)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _describe(problems: Sequence[Any]) -> str:
    """What is wrong, in one line; of several a key that is misspelt, else the first."""
    unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
    first = (unknown or problems)[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    place = [str(part) for part in first["loc"]]
    if unknown:
        return f"{_explain_unknown('key', '.'.join(place), _list_keys(place))}{more}"
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"{'.'.join(place) or 'the recipe'}: {message}{more}"


def _list_keys(place: Sequence[str]) -> list[str]:
    """Every key that might have been meant, as the place of the unknown one is written."""
    kind: type[BaseModel] = Recipe
    for part in place[:-1]:
        hint = kind.model_fields[part].annotation
        kinds = [hint, *get_args(hint)]
        kind = next(one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel))
    return [".".join([*place[:-1], key]) for key in kind.model_fields]


def _explain_unknown(what: str, name: str, known: Iterable[str] | Mapping[str, Any]) -> str:
    names = list(known)
    matches = difflib.get_close_matches(name, names, n=1)
    hint = f'did you mean "{matches[0]}"? ' if matches else ""
    return f'no {what} "{name}"; {hint}there are {", ".join(names)}'


def refuse_other(name: str, recipe: Recipe, kept: bytes) -> None:
    """Refuse a folder in which another recipe was begun.

    Raises:
        UserError: It is another one.
    """
    if kept != to_bytes(recipe):
        raise UserError(f"{name}: holds a row of another recipe; name another --out")


def to_bytes(recipe: Recipe) -> bytes:
    """A recipe as it is kept in the folder of its row."""
    return (recipe.model_dump_json(indent=2) + "\n").encode()
