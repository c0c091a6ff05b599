"""Pictures without known code: the paper's setting for training.

Answers are drawn as usual. Whether they run is scored; a judge or CLIP compares the two pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rrvf.benchmarks.benchmark import Benchmark, LoadOptions
from rrvf.benchmarks.page_folders import picture_suffix
from rrvf.benchmarks.plot2code import Plot2Code
from rrvf.errors import DataError
from rrvf.types import Column, Sample

SUFFIXES = (".png", ".jpg", ".jpeg")


class ChartPictures(Benchmark):
    """Pictures of charts."""

    name = "pictures"
    title = "Pictures of charts"
    kind = "chart"
    columns = (Column("exec_rate", "Exec rate", "execution"), Column("gpt", "GPT", "gpt"))
    scorers = ("execution",)
    images_only = True

    def load(self, data: str, options: LoadOptions) -> Sequence[Sample]:
        """See :func:`load_pictures`."""
        return load_pictures(Path(data))


class FigurePictures(ChartPictures):
    """Pictures of figures."""

    name = "figure_pictures"
    title = "Pictures of figures"
    kind = "figure"
    seconds = Plot2Code.seconds


class PagePictures(ChartPictures):
    """Pictures of web pages."""

    name = "page_pictures"
    title = "Pictures of pages"
    kind = "page"
    mode = "fixed"
    columns = (Column("render_rate", "Render rate", "execution"), Column("gpt", "GPT", "gpt"))


PICTURES: Mapping[str, type[Benchmark]] = {
    benchmark.kind: benchmark for benchmark in (ChartPictures, FigurePictures, PagePictures)
}
"""Kind -> the benchmark of pictures of that kind."""


def images_only_of(benchmark: Benchmark) -> Benchmark:
    """The benchmark by which pictures are learnt from: drawn as a benchmark draws."""
    return benchmark if benchmark.images_only else PICTURES[benchmark.kind]()


def load_pictures(folder: Path) -> list[Sample]:
    """Every PNG and JPEG in a folder and below, named by its path from there.

    Raises:
        DataError: A picture is missing or unreadable; the message is one line with the fix.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; name the folder that holds the pictures")
    names = sorted(list_picture_names(folder))
    if not names:
        raise DataError(f"{folder}: no .png, .jpg or .jpeg in it or below; name another folder")
    for name in names:
        if picture_suffix(_read_head(folder / name)) is None:
            raise DataError(f"{folder / name}: not a PNG or JPEG; remove it or replace it")
    return [Sample(name, image=folder / name) for name in names]


def list_picture_names(folder: Path) -> Iterator[str]:
    """Paths of the pictures below a folder, hidden ones left out."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in name.parts)
        if path.suffix.lower() in SUFFIXES and not is_hidden and path.is_file():
            yield name.as_posix()


def _read_head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(12)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; fix or remove it") from error
