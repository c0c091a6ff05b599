"""Design2Code from the Hugging Face hub, downloaded once and kept as the authors' folder.

Two repositories hold the pages as files, ``<id>.html`` with ``<id>.png``, and the placeholder
``rick.jpg``: SALT-NLP/Design2Code (484 pages) and SALT-NLP/Design2Code-HARD (80), both under
ODC-By. (SALT-NLP/Design2Code-hf holds the 484 as parquet with ``image`` and ``text``, without their
names; a downloaded copy is read like any parquet file.) The layout follows the hub's public pages;
this package has not been run against the hub itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from rrvf.benchmarks.page_folders import list_pages
from rrvf.errors import DataError, HarnessError, SetupError, boundary
from rrvf.renderers import cache

PLACEHOLDER = "rick.jpg"
"""The picture that stands in the pages for every picture; no sample's own."""

_FILES = ("*.html", "*.png", PLACEHOLDER)
_NOTE = "revision"
"""Beside the pages once all are there: the commit they are from."""


@dataclass(frozen=True, slots=True)
class HubFolder:
    """A repository that holds pages as files.

    Attributes:
        dataset: Its name.
        n_pages: As published.
        revision: A commit, or a branch; which commit it led to is noted.
    """

    dataset: str
    n_pages: int
    revision: str = "main"

    def folder(self) -> Path:
        """Where it is kept."""
        return cache.folder() / "design2code" / self.dataset.rpartition("/")[2]

    def commit(self) -> str | None:
        """The commit that is kept; ``None`` where it is not all here."""
        note = self.folder() / _NOTE
        return note.read_text(encoding="utf-8").strip() if note.is_file() else None


PAGES = HubFolder("SALT-NLP/Design2Code", 484)
HARD_PAGES = HubFolder("SALT-NLP/Design2Code-HARD", 80, "3945da581392920892493517153101690c138a6a")

_NAMES: Mapping[str, HubFolder] = {
    "design2code": PAGES,
    "design2code_hard": HARD_PAGES,
    **{f"hf:{hub.dataset}".lower(): hub for hub in (PAGES, HARD_PAGES)},
}


def find_hub_folder(name: str) -> HubFolder | None:
    """What ``design2code``, ``design2code_hard`` or ``hf:...`` names, if it does."""
    return _NAMES.get(name.lower())


def fetch(hub: HubFolder) -> Path:
    """Bring the pages into the cache, unless they are there already.

    An interrupted download resumes. ``HF_ENDPOINT`` names a mirror.

    Returns:
        A folder as the authors have it.

    Raises:
        SetupError: Where huggingface_hub or the network is missing.
        DataError: Where the repository has fewer pages than published.
    """
    folder = hub.folder()
    if hub.commit() is not None:
        return folder
    try:
        import huggingface_hub
    except ImportError as error:
        raise SetupError(f"{hub.dataset} needs huggingface_hub: pip install 'rrvf[web]'") from error
    try:
        with boundary(f"fetching {hub.dataset}"):
            commit = _download(huggingface_hub, hub, folder)
    except HarnessError as error:
        raise SetupError(_explain_offline(hub, error)) from error
    n_pages = len(list_pages(folder))
    if n_pages < hub.n_pages:
        raise DataError(
            f"{hub.dataset} at {commit}: only {n_pages} of {hub.n_pages} pages; download them "
            "elsewhere and name their folder"
        )
    cache.write_atomically(folder / _NOTE, f"{commit}\n".encode())
    return folder


def _download(huggingface_hub: Any, hub: HubFolder, folder: Path) -> str:
    """The commit that was fetched."""
    endpoint = os.environ.get("HF_ENDPOINT")
    # One request first: without a network the other call would try many times.
    api = huggingface_hub.HfApi(endpoint=endpoint)
    commit = cast("str", api.dataset_info(hub.dataset, revision=hub.revision, timeout=30).sha)
    huggingface_hub.snapshot_download(
        hub.dataset,
        repo_type="dataset",
        revision=commit,
        local_dir=folder,
        allow_patterns=list(_FILES),
        endpoint=endpoint,
    )
    return commit


def _explain_offline(hub: HubFolder, error: HarnessError) -> str:
    reason = (
        "HF_HUB_OFFLINE is set"
        if os.environ.get("HF_HUB_OFFLINE")
        else type(error.__cause__).__name__
    )
    return (
        f"cannot fetch {hub.dataset} from the Hugging Face hub ({reason}): check the network, or "
        "set HF_ENDPOINT to a mirror, or download its files elsewhere and name their folder"
    )
