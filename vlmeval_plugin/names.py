"""The data sets and models named for run.py, and which of them are ours.

VLMEvalKit skips an unknown data set and exits with status 0, and it uses its own client for an
unknown model. So names that look like ours are checked first.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from rrvf.benchmarks import find_benchmark
from rrvf.errors import UserError
from vlmeval_plugin.host import import_host

_OWN = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

Config = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class HostArguments:
    """What run.py is asked for, as far as it concerns us.

    Attributes:
        data: Names of data sets.
        models: Names of models; with ``mode`` eval they only name files.
        config: The content of ``--config``: kind (``model`` or ``data``) -> name -> parameters.
    """

    data: Sequence[str] = ()
    models: Sequence[str] = ()
    mode: str = "all"
    work_dir: str = "./outputs"
    max_tokens: str | None = None
    config: Config = field(default_factory=dict[str, Any])


def read_arguments(arguments: Sequence[str]) -> HostArguments:
    """Read from a command line of run.py what concerns us.

    Raises:
        UserError: The file of ``--config`` cannot be used.
    """
    parser = argparse.ArgumentParser(prog="python -m vlmeval_plugin", add_help=False)
    parser.add_argument("--data", nargs="+", default=[])
    parser.add_argument("--model", nargs="+", default=[])
    parser.add_argument("--mode", default="all")
    parser.add_argument("--work-dir", default="./outputs")
    parser.add_argument("--max-tokens")
    parser.add_argument("--config")
    options, _ = parser.parse_known_args(arguments)
    config: Config = {} if options.config is None else read_config(Path(options.config))
    return HostArguments(
        data=options.data or list(config.get("data", {})),
        models=options.model or list(config.get("model", {})),
        mode=options.mode,
        work_dir=options.work_dir,
        max_tokens=options.max_tokens,
        config=config,
    )


def read_config(path: Path) -> Config:
    """The content of a ``--config`` file.

    Raises:
        UserError: It cannot be read, or does not hold ``model`` and ``data``.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"--config {path}: {error}") from error
    parts = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    for kind in ("model", "data"):
        entries = parts.get(kind)
        if not isinstance(entries, dict) or not all(
            isinstance(entry, dict) for entry in cast("dict[str, Any]", entries).values()
        ):
            raise UserError(
                f'--config {path}: "{kind}" must be an object of names and their parameters, '
                "such as {} for the usual ones"
            )
    return parts


def find_own_benchmarks(arguments: HostArguments) -> list[str]:
    """The data sets that are benchmarks of the user's own.

    Raises:
        UserError: One cannot be imported, or is no benchmark.
    """
    names = [
        name for name in _plain("data", arguments.data, arguments.config) if _OWN.fullmatch(name)
    ]
    for name in names:
        find_benchmark(name)
    return names


def refuse_unknown(arguments: HostArguments) -> None:
    """Refuse a name that looks like one of ours but is unknown.

    Raises:
        UserError: Names the nearest ones.
    """
    from vlmeval_plugin import models

    host_datasets = import_host("vlmeval.dataset")
    for name in _plain("data", arguments.data, arguments.config):
        _refuse_name("data set", name, host_datasets.SUPPORTED_DATASETS)
    if arguments.mode != "eval" or arguments.config:
        for name in _plain("model", arguments.models, arguments.config):
            _refuse_name("model", name, import_host("vlmeval.config").supported_VLM)
    for entry in arguments.config.get("model", {}).values():
        if entry.get("class") == models.RRVFModel.__name__ and "model" in entry:
            _refuse_name("model", str(entry["model"]), models.by_name(), is_ours=True)


def _plain(kind: str, names: Sequence[str], config: Config) -> list[str]:
    """The names that VLMEvalKit looks up; those with a class in the config are free."""
    entries = config.get(kind, {})
    return [name for name in names if not entries.get(name)]


def _refuse_name(
    what: str, name: str, known_names: Collection[str], *, is_ours: bool = False
) -> None:
    if name in known_names or not (is_ours or name.lower().startswith("rrvf")):
        return
    similar = {
        candidate.lower(): candidate
        for candidate in known_names
        if candidate.lower().startswith("rrvf")
    }
    close_names = [
        similar[candidate] for candidate in difflib.get_close_matches(name.lower(), similar, n=1)
    ]
    hint = f"did you mean {close_names[0]}? " if close_names else ""
    raise UserError(f"no {what} {name!r}; {hint}there are {', '.join(sorted(similar.values()))}")


def our_datasets(arguments: HostArguments) -> frozenset[str]:
    """The data sets of a command that our classes score, by the names it calls them."""
    from vlmeval_plugin import datasets

    host_classes = import_host("vlmeval.dataset").DATASET_CLASSES
    our_classes = [kind for kind in datasets.ALL_CLASSES if kind in host_classes]
    names = {name for kind in our_classes for name in kind.supported_datasets()}
    class_names = {kind.__name__ for kind in datasets.ALL_CLASSES}
    class_names |= {
        host_name for host_name, kind in datasets.OVERRIDES.items() if kind in our_classes
    }
    entries = arguments.config.get("data", {})
    return frozenset(
        name
        for name in arguments.data
        if name in names or entries.get(name, {}).get("class") in class_names
    )
