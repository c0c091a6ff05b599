"""The data of supervised training: whole conversations with pictures.

They come from a file (:func:`read_conversations`), from episodes that ``rrvf eval`` recorded
(:func:`recorded_conversations`), or from pictures and their code
(:func:`reference_conversation`).
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from rrvf import run_folder, trajectories
from rrvf.agent import AgentSettings, Canvas, Episode
from rrvf.chat import Message, Picture
from rrvf.chat.question import Role
from rrvf.episodes import TRAJECTORIES
from rrvf.errors import DataError, SetupError
from rrvf.files import file_inside
from rrvf.render_tool import CHART_TOOL, PAGE_TOOL
from rrvf.replies import fence
from rrvf.trajectories import Trajectory
from rrvf.types import Sample, SampleResult
from training.data import TrainingData

LAYOUTS = (("messages",), ("conversations",), ("prompt", "completion"))
"""Columns that hold a conversation, in one of three ways."""

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "tool": "tool",
    "observation": "tool",
}
_PLACE = re.compile(r"<image>\n?")
_DATA_URL = re.compile(r"data:[\w/+.-]*;base64,|(?=iVBORw0KGgo|/9j/)")
_BATCH = 16


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages that end with one of the model's, which are what is learnt.

    Attributes:
        id: Of the row, or of the sample.
        messages: Texts and pictures in the order in which the model sees them.
    """

    id: str
    messages: tuple[Message, ...]


# --------------------------------------------------------------------------- picture and code


def reference_conversation(
    sample: Sample, target: bytes, settings: AgentSettings
) -> Conversation | None:
    """The picture and, as the answer to it, the reference's code.

    Args:
        sample: With its code.
        target: PNG of the picture.
        settings: With one turn the answer is a block of code; with more it stands in the
            protocol's tags.

    Returns:
        ``None`` where the sample has no code.
    """
    if sample.reference_code is None:
        return None
    episode = Episode(sample.id, sample.prompt, target, settings)
    code = fence(sample.reference_code.rstrip("\n"), settings.tool.language)
    text = code if settings.max_turns == 1 else f"<answer>\n{code}\n</answer>"
    return Conversation(sample.id, (*episode.messages(), Message("assistant", (text,))))


# -------------------------------------------------------------------------- recorded episodes


def recorded_conversations(
    run: Path, data: TrainingData, canvas: Canvas, *, scorer: str, at_least: float
) -> Iterator[Conversation]:
    """The answered episodes of a finished run whose answers scored well.

    Every message is what the policy was shown and wrote then: prompt and target are taken from
    ``data``, which therefore has to be that of the run; its guard against test items holds here,
    too.

    Args:
        run: The folder that ``rrvf eval --out`` wrote.
        data: What the run was about.
        canvas: Draws the targets that have no picture.
        scorer: Name of a score.
        at_least: The score, 0 to 1, from which on an episode is taken.

    Returns:
        Conversations in the order of the file; nothing of them is read before they are asked for.

    Raises:
        DataError: The folder holds no such run, no such score, or nothing that scored so well.
    """
    lines = _lines(run)
    good_ids = {
        sample_id for sample_id, value in _values(run, scorer).items() if value >= at_least
    } & lines.keys()
    names = [name for name in lines if name in good_ids]
    if not names:
        raise DataError(
            f"{run}: none of {len(lines)} episodes has {scorer} of at least {at_least}; lower it"
        )
    missing_ids = sorted(set(names) - set(data.ids))
    if missing_ids:
        raise DataError(
            f'{run}: its sample {missing_ids[0]} is not in the data "{data.spec.text}"; '
            "name the data that the run was about"
        )
    settings = _settings(run, data)
    return _replay_all(run, [lines[name] for name in names], data, canvas, settings)


def _replay_all(
    run: Path,
    entries: Sequence[Mapping[str, Any]],
    data: TrainingData,
    canvas: Canvas,
    settings: AgentSettings,
) -> Iterator[Conversation]:
    numbers = {sample_id: number for number, sample_id in enumerate(data.ids)}

    def picture(name: str) -> bytes:
        if Path(name).name != name:
            raise ValueError("no picture's name")
        return (run / run_folder.PICTURES / name).read_bytes()

    for entry in entries:
        sample = data.read_sample(numbers[entry["sample_id"]])
        try:
            trajectory = trajectories.from_json(entry, picture)
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            raise DataError(
                f"{run / TRAJECTORIES}: the episode of {sample.id} cannot be read ({error}); "
                "restore the folder or play it again"
            ) from error
        if trajectory.stop_reason == "answered":
            target = canvas.target(sample)
            yield Conversation(sample.id, replay(trajectory, sample.prompt, target, settings))


def replay(
    trajectory: Trajectory, prompt: str, target: bytes, settings: AgentSettings
) -> tuple[Message, ...]:
    """What the policy was shown and wrote in an answered episode.

    Args:
        trajectory: The episode.
        prompt: The sample's own.
        target: PNG of the picture to reproduce.
        settings: The rules it was played by.

    Raises:
        DataError: By these rules it would have gone another way.
    """
    episode = Episode(trajectory.sample_id, prompt, target, settings)
    for turn in trajectory.turns:
        episode.take(turn.completion)
        if episode.stop_reason is None:
            episode.observe(
                [observation for observation in turn.observations if observation.code is not None]
            )
    if episode.stop_reason != "answered":
        raise DataError(
            f"the episode of {trajectory.sample_id} does not go by the rules that its run records; "
            "play it again"
        )
    reply = trajectory.turns[-1].completion
    return (*episode.messages(), Message("assistant", (reply.text,)))


def _lines(run: Path) -> dict[str, Mapping[str, Any]]:
    """Sample -> the last whole line about it."""
    entries: dict[str, Mapping[str, Any]] = {}
    for line in _read_file(run / TRAJECTORIES, run).splitlines():
        with suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            entries[str(entry["sample_id"])] = entry
    if not entries:
        raise DataError(f"{run / TRAJECTORIES}: no episodes in it; name the folder of another run")
    return entries


def _values(run: Path, scorer: str) -> dict[str, float]:
    """Sample -> its score, where it has one."""
    results: list[SampleResult] = []
    for line in _read_file(run / run_folder.RESULTS, run).splitlines():
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            results.append(run_folder.from_json(json.loads(line)))
    names = sorted({name for result in results for name in result.scores})
    if scorer not in names:
        raise DataError(f'{run}: no score "{scorer}"; it has {", ".join(names) or "none at all"}')
    values = {result.sample_id: result.scores[scorer].value for result in results}
    return {name: value for name, value in values.items() if value is not None}


def _settings(run: Path, data: TrainingData) -> AgentSettings:
    """The rules that the run's record tells, its tool by whatever name it was called."""
    path = run / run_folder.SETTINGS
    try:
        rules = json.loads(_read_file(path, run))["protocol.loop"]
        name, argument = _TOOL.fullmatch(rules["tool"]).groups()  # pyright: ignore[reportOptionalMemberAccess]
        tool = CHART_TOOL if data.language == "python" else PAGE_TOOL
        other_tool = PAGE_TOOL if data.language == "python" else CHART_TOOL
        if (name, argument) == (other_tool.name, other_tool.argument):
            raise DataError(f'{run}: its answers are no {data.language}, as "{data.spec.text}" is')
        settings = AgentSettings.of(
            data.language,
            tool=replace(tool, name=name, argument=argument),
            max_pixels=rules["policy_max_pixels"],
            tell_last_call=rules.get("tell_last_call", False),
            **{name: rules[name] for name in _RULES},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: no record of episodes; name a folder of rrvf eval") from error
    if settings.prompt.sha256 != rules["policy_prompt_sha256"]:
        raise DataError(f"{path}: played with another prompt than this version's; play it again")
    return settings


_TOOL = re.compile(r"([\w-]+)\(([\w-]+)\)")
_RULES = (
    *("max_turns", "max_calls", "turn_tokens", "max_tokens", "max_seconds"),
    *("unanswered", "attach_rendering", "native_calls"),
)


def _read_file(path: Path, run: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"{run}: no {path.name} in it; name a folder of rrvf eval --out") from error


# ------------------------------------------------------------------------------------- files


def read_conversations(path: Path) -> Iterator[Conversation]:
    """Conversations of a JSONL or parquet file, or of a folder of parquet files.

    A row holds ``messages`` (``role``, ``content``), ``conversations`` (``from``, ``value``), or
    ``prompt`` and ``completion``, and its pictures as ``image`` or ``images``: a path starting at
    the file's folder, base64, or the Hugging Face form with ``bytes``. ``<image>`` in a text, or a
    part of the type ``image``, says where a picture stands; without any they all come first.

    Raises:
        DataError: On a file or a row that cannot be used; one line that says what was found.
        SetupError: Parquet without pyarrow.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; name a .jsonl or .parquet file")
    rows = _jsonl(path) if path.suffix.lower() == ".jsonl" else _parquet(path)
    empty = True
    for number, (where, folder, row) in enumerate(rows):
        empty = False
        yield _conversation(where, folder, row, number)
    if empty:
        raise DataError(f"{path}: no rows in it; one row a conversation is needed")


_Row = tuple[str, Path, Mapping[str, object]]


def _jsonl(path: Path) -> Iterator[_Row]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            where = f"{path}: line {number}"
            try:
                row: object = json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                raise DataError(f"{where} is not valid JSON in UTF-8; fix it") from error
            if not isinstance(row, dict):
                raise DataError(f"{where} is not a JSON object; one object a line is needed")
            yield where, path.parent, cast("dict[str, object]", row)


def _parquet(path: Path) -> Iterator[_Row]:
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files or files[0].suffix.lower() != ".parquet":
        raise DataError(f"{path}: no .parquet in it, nor .jsonl itself; name such a file")
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise SetupError(f"{path}: reading it needs pyarrow: pip install 'rrvf[train]'") from error
    failure, open_file = cast("Any", pyarrow).ArrowException, cast("Any", parquet).ParquetFile
    for file in files:
        number = 0
        try:
            with open_file(file, buffer_size=2**20) as rows:
                for batch in rows.iter_batches(_BATCH):
                    for row in batch.to_pylist():
                        yield f"{file}: row {number}", file.parent, row
                        number += 1
        except (failure, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise DataError(
                f"{file}: not readable as parquet ({reason}); fetch it again"
            ) from error


def _conversation(where: str, folder: Path, row: Mapping[str, object], number: int) -> Conversation:
    cell = row.get("images", row.get("image"))
    cells = cast("list[object]", cell) if isinstance(cell, list) else [cell]
    values = [value for value in cells if value is not None]
    pictures = [Picture(_png(where, folder, value)) for value in values]
    turns = [_read_turn(where, turn) for turn in _turns(where, row)]
    messages = _place_pictures(where, turns, pictures)
    if messages[-1].role != "assistant" or all(message.role != "user" for message in messages):
        raise DataError(f"{where}: needs a user's message, and one of the assistant's at the end")
    name = row.get("id")
    return Conversation(str(number if name is None else name), messages)


def _turns(where: str, row: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The messages of a row, however they are laid out."""
    layout = next((names for names in LAYOUTS if all(row.get(name) for name in names)), None)
    if layout is None:
        columns = ", or ".join(" and ".join(names) for names in LAYOUTS)
        raise DataError(f"{where}: needs {columns}; it has {', '.join(row) or 'nothing'}")
    roles = ("user", "assistant") if len(layout) == 2 else ("", "")
    turns: list[Mapping[str, object]] = []
    for name, role in zip(layout, roles, strict=False):
        value = row[name]
        if isinstance(value, str) and role:
            turns.append({"role": role, "content": value})
        elif isinstance(value, list) and all(isinstance(entry, dict) for entry in value):  # pyright: ignore[reportUnknownVariableType]
            turns += cast("list[dict[str, object]]", value)
        else:
            raise DataError(f'{where}: "{name}" is not a list of messages; fix or remove the row')
    return turns


_Turn = tuple[Role, list[str | None]]
"""A role, and texts; ``None`` stands for a picture."""


def _read_turn(where: str, turn: Mapping[str, object]) -> _Turn:
    role = _ROLES.get(str(turn.get("role", turn.get("from"))))
    if role is None:
        roles = ", ".join(_ROLES)
        raise DataError(f"{where}: a message has none of the known roles ({roles}); fix it")
    if turn.get("tool_calls"):
        raise DataError(f"{where}: calls beside the text; write <tool_call>...</tool_call> in it")
    content = turn.get("content", turn.get("value"))
    parts = cast("list[object]", content) if isinstance(content, list) else [content]
    return role, [piece for part in parts for piece in _pieces(where, part)]


def _pieces(where: str, part: object) -> Iterator[str | None]:
    """Texts and places of pictures in one part of a message."""
    if isinstance(part, dict):
        fields = cast("dict[str, object]", part)
        if fields.get("type") in ("image", "image_url"):
            yield None
            return
        part = fields.get("text")
    if not isinstance(part, str):
        raise DataError(f"{where}: the content of a message is neither text nor picture; fix it")
    for place, text in enumerate(_PLACE.split(part)):
        if place:
            yield None
        if text:
            yield text


def _place_pictures(
    where: str, turns: Sequence[_Turn], pictures: Sequence[Picture]
) -> tuple[Message, ...]:
    """Pictures where they belong; all before the first user's text if no place is named."""
    places = sum(piece is None for _, pieces in turns for piece in pieces)
    if not places and pictures:
        first = next((pieces for role, pieces in turns if role == "user"), list[str | None]())
        first[:0] = [None] * len(pictures)
        places = len(pictures)
    if places != len(pictures):
        raise DataError(
            f"{where}: {places} places for {len(pictures)} pictures; each picture needs one <image>"
        )
    queue = iter(pictures)
    return tuple(
        Message(role, tuple(next(queue) if piece is None else piece for piece in pieces))
        for role, pieces in turns
    )


def _png(where: str, folder: Path, value: object) -> bytes:
    """A picture in any of its forms, as PNG."""
    from PIL import Image

    data = _image_bytes(where, folder, value)
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.format == "PNG":
                picture.verify()
                return data
            out = io.BytesIO()
            picture.convert("RGB").save(out, "PNG")
            return out.getvalue()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{where}: its image cannot be read; replace it or remove the row"
        ) from error


def _image_bytes(where: str, folder: Path, value: object) -> bytes:
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        value = fields.get("bytes") or fields.get("path")
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise DataError(f"{where}: its image is neither a path nor base64 nor bytes; fix it")
    if start := _DATA_URL.match(value):
        try:
            return base64.b64decode(value[start.end() :], validate=True)
        except (binascii.Error, ValueError) as error:
            raise DataError(f"{where}: its image is not valid base64; fix it") from error
    path = file_inside(folder, value)
    if path is not None:
        with suppress(OSError):
            return path.read_bytes()
    raise DataError(f'{where}: no image "{value[:80]}" in {folder}; put it there or fix the row')
