"""The samples of a recipe, downloaded once into the folder of the row."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from rrvf.benchmarks import chartmimic_download, find_benchmark, websight_download
from rrvf.benchmarks.benchmark import LoadOptions
from rrvf.benchmarks.own import load_samples
from rrvf.errors import HarnessError, SetupError, boundary
from rrvf.files import write_atomically
from rrvf.reproduce.job import Job

_PLOT2CODE = "TencentARC/Plot2Code"
_PLOT2CODE_FILES = "data/python_matplotlib/test/*"
_WEBSIGHT = "websight"
_NOTE = ".complete"


def find_data(job: Job) -> str | None:
    """Where the samples are, as a run is told; ``None`` where they have to be fetched."""
    if job.options.data is not None:
        return job.options.data
    source = job.recipe.data.source
    if source == "websight":
        return _WEBSIGHT  # whose slice is kept in the cache
    folder = _folder(job)
    note = folder / (".source" if source == "chartmimic" else _NOTE)
    return str(folder) if note.is_file() else None


def fetch_data(job: Job) -> str:
    """Fetch the samples, unless they are here.

    Returns:
        Where they are, as a run is told.

    Raises:
        UserError: They cannot be had.
    """
    data = find_data(job)
    source = job.recipe.data.source
    if job.options.data is None and source == "websight":
        websight_download.fetch(websight_download.HubSlice())
    if data is not None:
        return data
    if source == "chartmimic":
        return str(chartmimic_download.download(_folder(job).parent))
    return str(_fetch_plot2code(_folder(job)))


def list_ids(job: Job) -> list[str] | None:
    """Ids of the samples; ``None`` where they are not here to tell.

    Raises:
        UserError: The data cannot be used.
    """
    data = find_data(job)
    if data is None or is_on_the_hub(data):
        return None
    options = job.run_options(data)
    load_options = LoadOptions(subset=options.subset, limit=options.limit, images=False)
    samples = load_samples(find_benchmark(job.recipe.row.benchmark), data, load_options)
    return [sample.id for sample in samples[: options.limit]]


def is_on_the_hub(data: str) -> bool:
    """Whether it is a name that stands for rows of the hub."""
    return not Path(data).exists() and websight_download.hub_slice(data) is not None


def _folder(job: Job) -> Path:
    """Where fetched files lie: ChartMimic's version below, as its own download makes it."""
    name = "v2" if job.recipe.data.source == "chartmimic" else job.recipe.data.source
    return job.out / "data" / name


def _fetch_plot2code(folder: Path) -> Path:
    """The part of Plot2Code that is drawn by matplotlib; cut off, it goes on where it stopped.

    Raises:
        SetupError: The package or the network is missing.
    """
    try:
        hub: Any = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise SetupError("Plot2Code needs huggingface_hub: pip install 'rrvf[chart]'") from error
    try:
        with boundary(f"fetching {_PLOT2CODE}"):
            # One request first: without a network the other call would try many times.
            commit: str = hub.HfApi().dataset_info(_PLOT2CODE, timeout=30).sha
            hub.snapshot_download(
                _PLOT2CODE,
                repo_type="dataset",
                revision=commit,
                local_dir=folder,
                allow_patterns=[_PLOT2CODE_FILES],
            )
            write_atomically(folder / _NOTE, f"{commit}\n".encode())
    except HarnessError as error:
        raise SetupError(
            f"cannot fetch {_PLOT2CODE} from the Hugging Face hub "
            f"({type(error.__cause__).__name__}): check the network, set HF_ENDPOINT to a mirror, "
            "or fetch it elsewhere and name its folder by --data"
        ) from error
    return folder
