"""What a row needs on this machine; checked before anything is downloaded, started or paid."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rrvf.benchmarks import find_benchmark
from rrvf.checkpoints import local_checkpoint
from rrvf.errors import RrvfError, SetupError, UserError
from rrvf.renderers.browser import find_browser
from rrvf.renderers.chart import ChartRenderer
from rrvf.reproduce.data import find_data, is_on_the_hub, list_ids
from rrvf.reproduce.gpus import assign_gpus, list_gpus
from rrvf.reproduce.job import Job, Role
from rrvf.reproduce.progress import Progress
from rrvf.reproduce.servers import list_models
from rrvf.scorers.likeness import NAME as LIKENESS
from rrvf.scorers.likeness import OLD_NAME as OLD_LIKENESS

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_GB = 1e9


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that is needed.

    Attributes:
        subject: What.
        text: What there is; where it is missing, what to do about it.
        is_met: It is there, or will be fetched.
    """

    subject: str
    text: str
    is_met: bool = True

    def __str__(self) -> str:
        """One line."""
        return f"{self.subject}: {self.text}"


def require(needs: Sequence[Need]) -> None:
    """Refuse to start if something is missing; the message lists everything at once.

    Raises:
        MissingError: Something is.
    """
    missing = [str(need) for need in needs if not need.is_met]
    if missing:
        raise MissingError(missing)


class MissingError(SetupError):
    """Things that this machine lacks.

    Attributes:
        lines: One for each, with its mend.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


def list_needs(job: Job, progress: Progress) -> list[Need]:
    """Everything that the steps need which are not done yet."""
    needs: list[Need] = []
    if not progress.played:
        needs += [_check_data(job), *_check_models(job), *_check_disk(job)]
    if not progress.judged:
        needs += _check_judge(job)
        needs += [*_check_drawing(job), *_check_asking(job, progress)]
    return needs


# ---------------------------------------------------------------------------------- samples


def _check_data(job: Job) -> Need:
    try:
        data = find_data(job)
        ids = list_ids(job)
    except UserError as error:
        return Need("data", str(error), is_met=False)
    if data is not None and ids is not None:
        return Need("data", f"{len(ids)} samples in {data}")
    package = "datasets" if data is not None and is_on_the_hub(data) else "huggingface_hub"
    if find_spec(package) is None:
        extra = "web" if package == "datasets" else "chart"
        mend = f"pip install 'rrvf[{extra}]', or name samples that are here by --data"
        return Need("data", f"fetching them needs the package {package}: {mend}", is_met=False)
    n_samples = job.options.limit or job.recipe.data.samples
    return Need("data", f"{n_samples} samples of {job.recipe.data.source}, to be fetched")


# ------------------------------------------------------------------------ policy and teacher


def _check_models(job: Job) -> Iterator[Need]:
    started: list[Role] = [role for role in job.models() if job.is_started_here(role)]
    for role in job.models():
        if role in started:
            yield _check_checkpoint(job, role)
        elif (url := job.url(role)) is not None:
            yield _check_url(role, url, job.model_name(role), job.key_variable(role))
        else:
            yield _check_key(role, job.model_name(role), job.key_variable(role))
    if started:
        yield _check_gpus(job, started)
        yield _check_vllm(started)


def _check_checkpoint(job: Job, role: Role) -> Need:
    part, checkpoint = job.models()[role], job.checkpoint(role)
    subject = f"{role}'s checkpoint"
    option = "--checkpoint" if role == "policy" else "--teacher"
    if checkpoint is None:
        name = part.published_as
        example = f"{name} (its authors' name on the hub, not tried here) or " if name else ""
        mend = f"give {option} {example}{'a folder' if name else 'FOLDER or a name on the hub'}"
        return Need(subject, f"the recipe names none; {mend}", is_met=False)
    folder = Path(checkpoint)
    if folder.is_dir():
        is_whole = (folder / "config.json").is_file()
        lack = f"{folder}: no checkpoint (config.json is missing); name another by {option}"
        return Need(subject, str(folder) if is_whole else lack, is_whole)
    if not _HUB_NAME.fullmatch(checkpoint) or checkpoint.startswith("."):
        mend = f"no folder and no name on the hub; name another by {option}"
        return Need(subject, f"{checkpoint}: {mend}", is_met=False)
    is_here = local_checkpoint(checkpoint) is not None
    return Need(subject, f"{checkpoint}, {'here' if is_here else 'to be fetched by vLLM'}")


def _check_gpus(job: Job, roles: Sequence[Role]) -> Need:
    gpus = list_gpus()
    wanted = "; ".join(
        f"{role}: {part.gpus} of {part.gpu_gib:g} GiB" if part.gpu_gib else f"{role}: {part.gpus}"
        for role, part in job.models().items()
        if role in roles
    )
    if gpus is not None and set(assign_gpus(job)) >= set(roles):
        return Need("GPUs", f"{len(gpus)} here, wanted {wanted}")
    here = "nvidia-smi tells of none" if gpus is None else "none is visible"
    if gpus:
        here = f"here {', '.join(f'{gpu.gib:.0f} GiB' for gpu in gpus)}"
    flags = " and ".join(_url_flag(role) for role in roles)
    mend = f"serve elsewhere and give {flags} URL"
    return Need("GPUs", f"wanted {wanted}; {here}; {mend}", is_met=False)


def _check_vllm(roles: Sequence[Role]) -> Need:
    path = shutil.which("vllm")
    flags = " and ".join(_url_flag(role) for role in roles)
    mend = (
        "no command of this name; pip install 'rrvf[vllm]' in an environment of its own and put "
        f"its bin folder on PATH, or serve elsewhere and give {flags} URL"
    )
    return Need("vllm", path or mend, path is not None)


def _check_url(role: str, url: str, model: str, key_variable: str) -> Need:
    """A server that is there has to answer, and to have the model, where it lists its models."""
    if find_spec("openai") is None:
        return Need(f"{role}'s server", "not looked at")  # what is missing is said once for all
    try:
        names = list_models(url, model, key_variable)
    except SetupError as error:
        return Need(f"{role}'s server", f"{error}; start it or correct the URL", is_met=False)
    if names is not None and len(names) > 1 and model not in names:
        listed = ", ".join(names[:5])
        flag = {"policy": "--checkpoint"}.get(role, f"--{role}")
        return Need(f"{role}'s server", f"serves {listed}; name one by {flag}", is_met=False)
    return Need(f"{role}'s server", f"{model} at a server that answers")


def _check_key(role: str, model: str, variable: str) -> Need:
    is_set = bool(os.environ.get(variable, "").strip())
    text = f"in ${variable}" if is_set else f"{model} is asked at OpenAI; set ${variable}"
    return Need(f"{role}'s key", text, is_set)


def _url_flag(role: Role) -> str:
    return "--base-url" if role == "policy" else "--teacher-base-url"


# ------------------------------------------------------------------------------------ judge


def is_asked(judge: str, url: str | None) -> bool:
    """Whether a judge is a model behind a server; others are in this process."""
    return judge not in (LIKENESS, OLD_LIKENESS) and (url is not None or ":" not in judge)


def _check_judge(job: Job) -> Iterator[Need]:
    options = job.judge_options()
    judge = str(options.model)
    if not is_asked(judge, options.base_url):
        yield Need("judge", judge)
    elif options.base_url is not None:
        yield _check_url("judge", options.base_url, judge, options.key_variable)
    else:
        yield _check_key("judge", judge, options.key_variable)


def _check_asking(job: Job, progress: Progress) -> Iterator[Need]:
    options = job.judge_options()
    asks = not progress.played or is_asked(str(options.model), options.base_url)
    if asks and find_spec("openai") is None:
        yield Need("openai", "the package is missing: pip install 'rrvf[judge]'", is_met=False)


# ----------------------------------------------------------------------------- this machine


def _check_drawing(job: Job) -> Iterator[Need]:
    benchmark = find_benchmark(job.recipe.row.benchmark)
    options = job.options
    try:
        if benchmark.kind == "page":
            yield Need("browser", str(find_browser(options.browser)))
            yield from _check_page_packages(options.clip_weights)
            return
        with ChartRenderer(options.chart_python, 1, confinement=options.confinement) as renderer:
            environment = renderer.environment
    except (RrvfError, OSError) as error:
        yield Need("drawing", str(error), is_met=False)
        return
    missing = ", ".join(environment["missing"])
    mend = f"lacks {missing}: pip install 'rrvf[chart]', or name another by --chart-python"
    yield Need("charts", mend if missing else str(environment["executable"]), not missing)


def _check_page_packages(weights: str | None) -> Iterator[Need]:
    extras = {"playwright": "web", "open_clip": "clip", "torch": "clip"}
    missing = [name for name in extras if find_spec(name) is None]
    if missing:
        names = ",".join(dict.fromkeys(extras[name] for name in missing))
        mend = f"without {', '.join(missing)}: pip install 'rrvf[{names}]'"
        yield Need("packages for pages", mend, is_met=False)
    if weights is not None and os.sep in weights and not Path(weights).is_file():
        yield Need("CLIP weights", f"{weights}: no such file; name another", is_met=False)


def _check_disk(job: Job) -> Iterator[Need]:
    fetched = {
        str(job.checkpoint(role)): part.disk_gb
        for role, part in job.models().items()
        if job.is_started_here(role) and part.disk_gb and not _is_here(job.checkpoint(role))
    }
    hub = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    places = {job.out: job.recipe.data.disk_gb}
    same_disk = _device(job.out) == _device(hub)
    weights = sum(fetched.values())
    if weights and same_disk:
        places[job.out] += weights
    elif weights:
        places[hub] = weights
    for path, gigabytes in places.items():
        free = shutil.disk_usage(_existing(path)).free / _GB
        text = f"{free:.0f} GB free at {path}, {gigabytes:g} GB wanted"
        lack = f"{text}; make room, or name another {'--out' if path == job.out else '$HF_HOME'}"
        yield Need("disk", text if free >= gigabytes else lack, free >= gigabytes)


def _is_here(checkpoint: str | None) -> bool:
    return checkpoint is None or local_checkpoint(checkpoint) is not None


def _device(path: Path) -> int:
    return _existing(path).stat().st_dev


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    path = path.absolute()
    return next(one for one in (path, *path.parents) if one.exists())
