"""Training data: samples from benchmarks' data, your own pictures, and generated samples.

A source is one line, ``KIND:PLACE?OPTION=VALUE&...``:

* ``synthetic:charts?level=1-3&n=1000&seed=0``, ``synthetic:pages?...``, ``synthetic:tiny?n=...``:
  generated, with levels rising from first to last, so that unshuffled they are a curriculum;
* ``images:FOLDER?kind=charts`` (or ``pages``): every PNG and JPEG in the folder and below;
* ``charts:FOLDER`` of ``<id>.py``, ``pages:PATH`` as WebSight's evaluation reads it: your own;
* ``websight:hub?start=20000&stop=120000&n=5000&seed=0&version=v0.2``, or ``websight:PATH``;
* ``chartmimic:PATH?subset=...``, ``plot2code:PATH?subset=...`` and ``design2code:PATH?task=...``
  (or ``design2code:hub``): these are test items;
* ``my.module:MyBenchmark:PATH?subset=...&task=...``: your own benchmark.

All except ``synthetic`` and the hub accept ``limit=N``. Test items are refused unless they are
explicitly allowed, and the card records it. With the setting ``images_only``, which is the paper's
(arXiv 2507.20766), a sample comes without its code; ``with_reference`` keeps the code for scorers
that need it.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast, get_args
from urllib.parse import parse_qsl

from rrvf.agent import Canvas
from rrvf.benchmarks import chartmimic, design2code, find_benchmark, plot2code, websight
from rrvf.benchmarks.benchmark import LoadOptions
from rrvf.benchmarks.chartmimic import ChartMimic
from rrvf.benchmarks.design2code import Design2Code
from rrvf.benchmarks.own import load_samples
from rrvf.benchmarks.pictures import list_picture_names, load_pictures
from rrvf.benchmarks.plot2code import Plot2Code
from rrvf.benchmarks.websight import WebSight
from rrvf.benchmarks.websight_download import Config, HubSlice, fetch
from rrvf.errors import DataError
from rrvf.files import write_atomically
from rrvf.kinds import KINDS
from rrvf.renderers import cache
from rrvf.run_folder import picture_name
from rrvf.types import Language, Sample
from training.synthetic_charts import LEVELS, VERSION, synthetic_chart, synthetic_tiny
from training.synthetic_pages import synthetic_page

Setting = Literal["images_only", "with_reference"]

MOST_SYNTHETIC = 1_000_000
"""In one source: sources of different seeds have no id in common."""

_BENCHMARKS = {"charts": ChartMimic.name, "tiny": ChartMimic.name, "pages": WebSight.name}
_OWN = re.compile(r"([A-Za-z_][\w.]*:[A-Za-z_]\w*):(.*)", re.DOTALL)
_TEST_FOLDER = re.compile(
    r"(?:direct|ori|customized)_\d+|testset_(?:final|full|100)|Design2Code(?:-HARD)?"
)
"""As ChartMimic and Design2Code name theirs."""


# ----------------------------------------------------------------------------------- the source


@dataclass(frozen=True, slots=True)
class DataSpec:
    """A source as it was named.

    Attributes:
        text: All of it.
        kind: What stands before the colon.
        place: A path, or ``charts``, ``pages``, ``tiny``, ``hub``.
        options: Whatever follows the question mark.
    """

    text: str
    kind: str
    place: str
    options: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def parse(cls, text: str) -> DataSpec:
        """Read a source's name.

        Raises:
            DataError: It names no kind, no place, or options that the kind does not have.
        """
        kind, colon, rest = text.partition(":")
        if kind not in _SOURCES and (match := _OWN.fullmatch(text)):
            kind, rest = match[1], match[2]
        place, mark, query = rest.rpartition("?") if "?" in rest else (rest, "", "")
        if not colon or (kind not in _SOURCES and ":" not in kind):
            raise DataError(
                f'data "{text}": begin with what it is, one of '
                f"{', '.join(f'{name}:' for name in _SOURCES)} as in images:FOLDER"
            )
        if not place:
            raise DataError(f'data "{text}": nothing stands after "{kind}:"; name a folder')
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if mark else []
        except ValueError as error:
            raise DataError(f'data "{text}": "{query}" is not OPTION=VALUE&...') from error
        spec = cls(text, kind, place, dict(pairs))
        spec.require(_find_source(kind).options)
        return spec

    def require(self, known_names: Iterable[str]) -> None:
        """Refuse options that are not known.

        Raises:
            DataError: There is one.
        """
        known_names = sorted(known_names)
        for name in self.options:
            if name not in known_names:
                close = difflib.get_close_matches(name, known_names, n=1)
                hint = f' Did you mean "{close[0]}"?' if close else ""
                raise DataError(
                    f'data "{self.text}": no option "{name}".{hint} '
                    f"Available: {', '.join(known_names)}"
                )

    def number(self, name: str, default: int, minimum: int = 0) -> int:
        """An option that is a whole number.

        Raises:
            DataError: It is not, or it is too small.
        """
        value = self.options.get(name, str(default))
        if not re.fullmatch(r"\d{1,12}", value) or int(value) < minimum:
            raise DataError(
                f'data "{self.text}": {name}={value}; give a whole number from {minimum} on'
            )
        return int(value)

    def choice(self, name: str, words: Sequence[str]) -> str:
        """An option that is one of some words, the first by default.

        Raises:
            DataError: It is none.
        """
        value = self.options.get(name, words[0])
        if value not in words:
            raise DataError(f'data "{self.text}": {name}={value}; give one of {", ".join(words)}')
        return value

    def limit(self, samples: Sequence[Sample]) -> Sequence[Sample]:
        """The first so many samples, if there is a limit."""
        return samples[: self.number("limit", len(samples), minimum=1)]


@dataclass(frozen=True)
class TrainingData:
    """Samples, read and drawn when they are asked for; ``len``, ``[number]`` and ``for`` work.

    Attributes:
        spec: Where they are from.
        setting: Whether they come with their code.
        benchmark: By whose rules they are drawn and scored.
        test_items: Some are test items of a benchmark.
    """

    spec: DataSpec
    setting: Setting
    benchmark: str
    test_items: bool
    _read_sample: Callable[[int], Sample] = field(repr=False)
    _places: Sequence[int] = field(repr=False)
    _canvas: Canvas | None = field(default=None, repr=False)

    @property
    def language(self) -> Language:
        """What their code is written in."""
        return KINDS[find_benchmark(self.benchmark).kind].language

    def find_assets(self) -> Mapping[str, bytes]:
        """Files of a data set that its pages find beside them, by name."""
        return find_benchmark(self.benchmark).find_assets(_find_place(self.spec))

    def with_canvas(self, canvas: Canvas) -> TrainingData:
        """The same, able to draw targets that have code and no picture."""
        return replace(self, _canvas=canvas)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> Sample:
        """A sample; with ``images_only`` its picture is a file, drawn once and kept.

        Raises:
            HarnessError: Its picture cannot be drawn.
            ValueError: It has to be drawn, and there is no canvas.
        """
        sample = self.read_sample(number)
        if self.setting == "with_reference":
            return sample
        return replace(sample, reference_code=None, image=sample.image or self._draw_target(sample))

    def __iter__(self) -> Iterator[Sample]:
        return (self[number] for number in range(len(self)))

    def read_sample(self, number: int) -> Sample:
        """A sample with all that the source has of it, its code included; draws nothing."""
        return self._read_sample(self._places[number])

    def part(self, numbers: Sequence[int]) -> TrainingData:
        """Some of the samples."""
        return replace(self, _places=[self._places[number] for number in numbers])

    def _draw_target(self, sample: Sample) -> Path:
        if self._canvas is None:
            raise ValueError("a canvas is needed to draw pictures: with_canvas(...)")
        png = self._canvas.target(sample)
        path = cache.folder() / "targets" / picture_name(png)
        if not path.exists():
            write_atomically(path, png)
        return path

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Every sample's id, in their order; draws nothing."""
        return tuple(self.read_sample(number).id for number in range(len(self)))

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        return {sample_id: number for number, sample_id in enumerate(self.ids)}

    def find(self, sample_id: str) -> Sample | None:
        """The sample of this id."""
        number = self._numbers.get(sample_id)
        return None if number is None else self[number]

    def card(self) -> dict[str, Any]:
        """What a run's card says of the data; plain JSON."""
        card: dict[str, Any] = {
            "source": self.spec.text,
            "setting": self.setting,
            "benchmark": self.benchmark,
            "test_items": self.test_items,
            "n": len(self),
            "ids_sha256": _hash_bytes("\n".join(self.ids).encode("utf-8", "surrogatepass")),
        }
        if self.spec.kind == "synthetic":
            card |= {"seed": self.spec.number("seed", 0), "generator": VERSION}
        return card


def load(
    spec: str, *, setting: Setting = "images_only", allow_test_items: bool = False
) -> TrainingData:
    """Find the samples of a source; nothing is drawn yet.

    Args:
        spec: See the head of this module.
        setting: Whether samples keep their code.
        allow_test_items: Train on what benchmarks test with.

    Raises:
        DataError: The data cannot be used; the message is one line with the fix.
        SetupError: A package or the network is missing.
    """
    source_spec = DataSpec.parse(spec)
    if setting not in get_args(Setting):
        raise DataError(f'no setting "{setting}"; give one of {", ".join(get_args(Setting))}')
    source = _find_source(source_spec.kind)
    benchmark = source.benchmark(source_spec)
    test_items = source.is_test(source_spec)
    if test_items and not allow_test_items:
        raise DataError(
            f'data "{spec}": these are test items of a benchmark, whose scores mean nothing once '
            "they were trained on; name other data, or set allow_test_items: true"
        )
    read_sample, n_samples = source.open(source_spec)
    if setting == "with_reference" and source_spec.kind == "images":
        raise DataError(f'data "{spec}": pictures have no code; set setting: images_only')
    return TrainingData(source_spec, setting, benchmark, test_items, read_sample, range(n_samples))


# ------------------------------------------------------------------------------------ the split


@dataclass(frozen=True, slots=True)
class Split:
    """Two parts that have no id, no code and no picture in common.

    Attributes:
        train: To learn from.
        held_out: To measure on.
        seed: Of the draw; ``None`` where both parts were given.
        n_dropped: Samples in neither: their id, code or picture is that of a held-out one.
    """

    train: TrainingData
    held_out: TrainingData
    seed: int | None
    n_dropped: int

    def card(self) -> dict[str, Any]:
        """What a run's card says of the data; plain JSON."""
        return {
            "train": self.train.card(),
            "held_out": self.held_out.card(),
            "split_seed": self.seed,
            "n_dropped": self.n_dropped,
        }


def split(data: TrainingData, *, held_out: int, seed: int = 0) -> Split:
    """Hold some samples out, all different from each other and from those that are left.

    Which ones depends on seed and ids alone: the order of a hash, not that of the samples.

    Raises:
        DataError: Too few samples, or nothing left to train on.
    """
    marks = [fingerprints(data.read_sample(place)) for place in range(len(data))]
    order = sorted(range(len(data)), key=lambda place: _hash_rank(seed, data.ids[place]))
    held_places: set[int] = set()
    held_marks: set[str] = set()
    for place in order:
        if len(held_places) < held_out and not marks[place] & held_marks:
            held_places.add(place)
            held_marks |= marks[place]
    train_places = [place for place in range(len(data)) if not marks[place] & held_marks]
    if len(held_places) < held_out or not train_places:
        raise DataError(
            f'data "{data.spec.text}": {len(data)} samples, too few different ones to hold '
            f"{held_out} out and train on the others; hold fewer out or name more data"
        )
    n_dropped = len(data) - len(train_places) - len(held_places)
    return Split(data.part(train_places), data.part(sorted(held_places)), seed, n_dropped)


def separate(data: TrainingData, held_out: TrainingData) -> Split:
    """Data without what has its id, code or picture in common with other data.

    Raises:
        DataError: Nothing is left to train on.
    """
    held_marks = {
        mark for place in range(len(held_out)) for mark in fingerprints(held_out.read_sample(place))
    }
    train_places = [
        place
        for place in range(len(data))
        if not fingerprints(data.read_sample(place)) & held_marks
    ]
    if not train_places:
        raise DataError(
            f'data "{data.spec.text}": all of it is held out as "{held_out.spec.text}"; '
            "name other data"
        )
    return Split(data.part(train_places), held_out, None, len(data) - len(train_places))


def fingerprints(sample: Sample) -> frozenset[str]:
    """Hashes of its id, of its code but for blanks at the ends, and of its picture's file.

    Raises:
        DataError: The picture cannot be read.
    """
    marks = {"id " + sample.id}
    if sample.reference_code is not None:
        code = sample.reference_code.strip().encode("utf-8", "surrogatepass")
        marks.add("code " + _hash_bytes(code))
    if sample.image is not None:
        marks.add("picture " + _hash_bytes(_read_bytes(sample.image)))
    return frozenset(marks)


def _hash_rank(seed: int, sample_id: str) -> bytes:
    return hashlib.sha256(f"{seed}:{sample_id}".encode("utf-8", "surrogatepass")).digest()


def _hash_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ---------------------------------------------------------------------------------- the sources

_Opening = tuple[Callable[[int], Sample], int]
"""Number -> sample, and how many there are."""


@dataclass(frozen=True, slots=True)
class _Source:
    """One kind of source: its options and how it is read."""

    options: tuple[str, ...]
    open: Callable[[DataSpec], _Opening]
    is_test: Callable[[DataSpec], bool]
    benchmark: Callable[[DataSpec], str]


def _list_samples(
    load_samples: Callable[[DataSpec], Sequence[Sample]],
) -> Callable[[DataSpec], _Opening]:
    def open_source(spec: DataSpec) -> _Opening:
        samples = spec.limit(load_samples(spec))
        return samples.__getitem__, len(samples)

    return open_source


def _load_chartmimic(spec: DataSpec) -> Sequence[Sample]:
    return chartmimic.load_samples(
        Path(spec.place), subset=spec.options.get("subset"), task="direct"
    )


def _load_charts(spec: DataSpec) -> Sequence[Sample]:
    """A flat folder: the benchmark's own layout would lead on to its subsets."""
    folder = Path(spec.place)
    if not folder.is_dir() or not any(folder.glob("*.py")):
        raise DataError(f"{folder}: no folder with <id>.py in it; name the folder itself")
    return chartmimic.load_samples(folder, task="direct")


def _load_plot2code(spec: DataSpec) -> Sequence[Sample]:
    samples = plot2code.load_samples(Path(spec.place), subset=spec.options.get("subset"))
    plot2code.require_drawable(samples)
    return samples


def _load_design2code(spec: DataSpec) -> Sequence[Sample]:
    task = spec.choice("task", design2code.TASKS)
    return design2code.load_samples(Path(_find_place(spec)), task=task, images=True)


def _find_place(spec: DataSpec) -> str:
    """What ``--data`` would name: a data set's own name where its hub is asked for."""
    return spec.kind if spec.place == "hub" else spec.place


def _load_websight(spec: DataSpec) -> Sequence[Sample]:
    if spec.place != "hub":
        spec.require(("limit",))
        return _load_pages(spec)
    spec.require((*_HUB, "limit"))
    return websight.load_samples(fetch(_hub_slice(spec)))


_HUB = ("start", "stop", "n", "seed", "version")


def _hub_slice(spec: DataSpec) -> HubSlice:
    version = cast("Config", spec.choice("version", ("v0.2", "v0.1")))
    start = spec.number("start", HubSlice().stop)
    stop = spec.number("stop", start + 10_000, minimum=start + 1)
    count = spec.number("n", 1000, minimum=1)
    if count > stop - start:
        raise DataError(f'data "{spec.text}": n={count}, but only {stop - start} rows; name more')
    return HubSlice(version, start, stop, count, spec.number("seed", 0))


def _load_pages(spec: DataSpec) -> Sequence[Sample]:
    path = Path(spec.place)
    if not path.exists():
        raise DataError(f"{path}: no such folder or file; name a folder of <id>.html")
    return websight.load_samples(path)


def _load_images(spec: DataSpec) -> Sequence[Sample]:
    return load_pictures(Path(spec.place))


def _load_own(spec: DataSpec) -> Sequence[Sample]:
    """Those of a benchmark of the user's own."""
    options = LoadOptions(subset=spec.options.get("subset"), task=spec.options.get("task"))
    return load_samples(find_benchmark(spec.kind), spec.place, options)


def _read_bytes(path: Path, limit: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; fix or remove it") from error


def _open_synthetic(spec: DataSpec) -> _Opening:
    family = _require_family(spec)
    if family == "tiny":
        spec.require(("n", "seed"))
    number = spec.number("n", 1000, minimum=1)
    if number > MOST_SYNTHETIC:
        raise DataError(f'data "{spec.text}": n={number}; at most {MOST_SYNTHETIC} in one source')
    first = spec.number("seed", 0) * MOST_SYNTHETIC
    lowest, highest = _parse_levels(spec)

    def make_sample(place: int) -> Sample:
        level = lowest + place * (highest - lowest + 1) // number
        if family == "tiny":
            return synthetic_tiny(first + place)
        return (synthetic_chart if family == "charts" else synthetic_page)(first + place, level)

    return make_sample, number


def _require_family(spec: DataSpec) -> str:
    if spec.place not in _BENCHMARKS:
        raise DataError(f'data "{spec.text}": synthetic: and one of {", ".join(_BENCHMARKS)}')
    return spec.place


def _parse_levels(spec: DataSpec) -> tuple[int, int]:
    """The lowest and the highest level."""
    text = spec.options.get("level", "1-5")
    match = re.fullmatch(r"(\d)(?:-(\d))?", text)
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not LEVELS[0] <= low <= high <= LEVELS[-1]:
        raise DataError(f'data "{spec.text}": level={text}; give one of 1 to 5, or a range as 1-3')
    return low, high


def _is_never_test(_: DataSpec) -> bool:
    return False


def _is_always_test(_: DataSpec) -> bool:
    return True


def _names_test_items(spec: DataSpec) -> bool:
    """The path says that it leads to a subset of a benchmark."""
    return _names_a_subset(Path(spec.place).resolve().parts)


def _names_a_subset(parts: Iterable[str]) -> bool:
    return any(_TEST_FOLDER.fullmatch(part) or part in plot2code.SUBSET_SIZES for part in parts)


def _holds_a_subset(spec: DataSpec) -> bool:
    """As :func:`_names_test_items`, or a folder of that name lies below."""
    folder = Path(spec.place)
    below = (name.split("/") for name in list_picture_names(folder)) if folder.is_dir() else ()
    return _names_test_items(spec) or any(_names_a_subset(parts) for parts in below)


def _overlaps_scored_rows(spec: DataSpec) -> bool:
    """Rows of the hub that the default evaluation draws from."""
    if spec.place != "hub":
        return _names_test_items(spec)
    hub_slice, scored_slice = _hub_slice(spec), HubSlice()
    return hub_slice.start < scored_slice.stop and hub_slice.stop > scored_slice.start


def _name_benchmark(benchmark: str) -> Callable[[DataSpec], str]:
    return lambda _: benchmark


_SOURCES: Mapping[str, _Source] = {
    "synthetic": _Source(
        ("level", "n", "seed"),
        _open_synthetic,
        _is_never_test,
        lambda spec: _BENCHMARKS[_require_family(spec)],
    ),
    "images": _Source(
        ("kind", "limit"),
        _list_samples(_load_images),
        _holds_a_subset,
        lambda spec: _BENCHMARKS[spec.choice("kind", ("charts", "pages"))],
    ),
    "charts": _Source(
        ("limit",), _list_samples(_load_charts), _names_test_items, _name_benchmark(ChartMimic.name)
    ),
    "pages": _Source(
        ("limit",), _list_samples(_load_pages), _names_test_items, _name_benchmark(WebSight.name)
    ),
    "websight": _Source(
        (*_HUB, "limit"),
        _list_samples(_load_websight),
        _overlaps_scored_rows,
        _name_benchmark(WebSight.name),
    ),
    "chartmimic": _Source(
        ("subset", "limit"),
        _list_samples(_load_chartmimic),
        _is_always_test,
        _name_benchmark(ChartMimic.name),
    ),
    "plot2code": _Source(
        ("subset", "limit"),
        _list_samples(_load_plot2code),
        _is_always_test,
        _name_benchmark(Plot2Code.name),
    ),
    "design2code": _Source(
        ("task", "limit"),
        _list_samples(_load_design2code),
        _is_always_test,
        _name_benchmark(Design2Code.name),
    ),
}


def _find_source(kind: str) -> _Source:
    """How a kind of source is read: one of ours, or a benchmark by its dotted path."""
    if kind in _SOURCES:
        return _SOURCES[kind]
    return _Source(
        ("subset", "task", "limit"),
        _list_samples(_load_own),
        _names_test_items,
        _name_benchmark(kind),
    )
