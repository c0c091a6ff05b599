"""Weights of CLIP's image tower: found or downloaded, and read without executing anything.

Three kinds of file are read: safetensors, a state dict that ``torch.save`` wrote (OpenCLIP's
training checkpoints included), and OpenAI's archives (``ViT-B-32.pt``), which are TorchScript. From
an archive only the tensors are taken; its program is never loaded.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from rrvf.errors import DataError, SetupError, UserError

VARIABLE = "RRVF_CLIP_WEIGHTS"
DEFAULT_TAG = "openai"

_TOWER = "visual."
_PROBE_SECONDS = 5.0
_STORAGES = {
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "BoolStorage": "bool",
}


def package(name: str) -> Any:
    """A package of the ``clip`` extra.

    Raises:
        SetupError: It is missing or does not work.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SetupError(f"CLIP scores need {name}: pip install 'rrvf[clip]' ({error})") from error


# ------------------------------------------------------------------------------------ finding


def find_weights(model: str, weights: str | None) -> tuple[Path, Mapping[str, Any]]:
    """The file of the weights, fetched from the hub where this machine has none.

    Args:
        model: Name of an OpenCLIP model.
        weights: A tag of OpenCLIP or a file; ``None`` for the file that ``RRVF_CLIP_WEIGHTS``
            names, else OpenAI's.

    Returns:
        The file, and what OpenCLIP knows about the tag: how pictures are prepared for it. Empty
        for a file.

    Raises:
        UserError: No such tag or file, or a tag of another activation function than the model's.
        SetupError: A package, or weights and network, are missing.
    """
    variable = os.environ.get(VARIABLE) if weights is None else None
    if variable:
        if not Path(variable).is_file():
            raise UserError(f"{VARIABLE} names {variable}, which is no file")
        return Path(variable), {}
    open_clip = package("open_clip")
    tag = weights or DEFAULT_TAG
    configuration: dict[str, Any] = open_clip.get_pretrained_cfg(model, tag)
    if configuration:
        is_quick = bool(open_clip.get_model_config(model).get("quick_gelu", False))
        if is_quick != bool(configuration.get("quick_gelu", False)):
            other = model.removesuffix("-quickgelu") if is_quick else f"{model}-quickgelu"
            raise UserError(f"CLIP weights {tag!r} need the model {other}, not {model}")
        return _fetch(model, tag, configuration["hf_hub"]), configuration
    if Path(tag).is_file():
        return Path(tag), {}
    tags = ", ".join(open_clip.list_pretrained_tags_by_model(model))
    raise UserError(f"no CLIP weights {tag!r} for {model}: no such file, and its tags are {tags}")


def _fetch(model: str, tag: str, entry: str) -> Path:
    """The hub's file, from its cache if it is there; ``entry`` is ``owner/name/`` or with a file.

    OpenCLIP's own download tries again for most of a minute where there is no network.
    """
    repository, _, name = entry.rpartition("/")
    names = (name,) if name else ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    path = _from_hub(repository, names, only_cache=True)
    if path is None and _hub_answers():
        path = _from_hub(repository, names, only_cache=False)
    if path is None:
        raise SetupError(
            f"the weights {tag!r} of CLIP {model} are not on this machine, and the Hugging Face "
            f"hub did not give them: name a local file by --clip-weights or {VARIABLE}, or connect "
            "to the network once"
        )
    return path


def _from_hub(repository: str, names: tuple[str, ...], *, only_cache: bool) -> Path | None:
    hub = package("huggingface_hub")
    for name in names:
        try:
            return Path(hub.hf_hub_download(repository, name, local_files_only=only_cache))
        except Exception:  # its own, its HTTP library's, or the system's: there is no such file
            continue
    return None


def _hub_answers() -> bool:
    """Whether one short request gets any answer; through the hub's own client and its proxies."""
    endpoint = package("huggingface_hub.constants").ENDPOINT
    try:
        package("huggingface_hub.utils").get_session().head(endpoint, timeout=_PROBE_SECONDS)
    except Exception:  # whatever the HTTP library of this release raises
        return False
    return True


# ------------------------------------------------------------------------------------ reading


def read_tower(path: Path) -> dict[str, Any]:
    """The image tower's tensors by name, without the prefix ``visual.``.

    Raises:
        DataError: The file is damaged, holds more than tensors, or none of an image tower.
        SetupError: A package is missing.
    """
    package("torch")
    try:
        state = _read_state(path)
        state = state.get("state_dict", state)
        tensors = {str(name).removeprefix("module."): tensor for name, tensor in state.items()}
        tower = {
            name.removeprefix(_TOWER): tensor
            for name, tensor in tensors.items()
            if name.startswith(_TOWER)
        }
    except SetupError:
        raise
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path}: refused as CLIP weights, it is damaged or holds more than tensors; "
            "fetch it again or save its state dict as .safetensors"
        ) from error
    except Exception as error:  # a damaged file fails in many ways
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(
            f"{path}: cannot be read as CLIP weights ({reason}); fetch it again, or name another"
        ) from error
    if not tower:
        raise DataError(f"{path}: holds no CLIP image tower (no tensors named {_TOWER}...)")
    return tower


def _read_state(path: Path) -> Mapping[Any, Any]:
    if path.suffix == ".safetensors":
        return package("safetensors.torch").load_file(str(path))
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                return dict(_list_tensors(_read_torchscript(archive)))
    return package("torch").load(path, map_location="cpu", weights_only=True)


class _Node:
    """Stands for an object of any class that a TorchScript archive defines."""

    attributes: Mapping[str, Any]

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.attributes = state


class _TorchScriptReader(pickle.Unpickler):
    """Reads the objects of a TorchScript archive as data: no class or function of its choosing."""

    def __init__(self, file: IO[bytes], load: Callable[[str], bytes]) -> None:
        super().__init__(file)
        self._load_storage = load
        self._torch = package("torch")

    def find_class(self, module: str, name: str, /) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return _Node
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch.jit._pickle":
            return _first
        if module == "torch" and name in _STORAGES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} in a TorchScript archive")

    def persistent_load(self, pid: Any, /) -> Any:
        _, storage, key, _, _ = pid
        dtype = getattr(self._torch, _STORAGES[storage])
        return self._torch.frombuffer(bytearray(self._load_storage(key)), dtype=dtype)


def _rebuild_tensor(
    storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> Any:
    return storage.as_strided(size, stride, offset)


def _first(value: Any, *_: Any) -> Any:
    """Lists of one type are wrapped in a call that names it."""
    return value


def _read_torchscript(archive: zipfile.ZipFile) -> _Node:
    data = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
    folder = data.removesuffix(".pkl")
    with archive.open(data) as file:
        return _TorchScriptReader(file, lambda key: archive.read(f"{folder}/{key}")).load()


def _list_tensors(node: _Node, prefix: str = "") -> Iterator[tuple[str, Any]]:
    tensor = package("torch").Tensor
    for name, value in node.attributes.items():
        if isinstance(value, tensor):
            yield prefix + name, value
        elif isinstance(value, _Node):
            yield from _list_tensors(value, f"{prefix}{name}.")


def tensors_hash(tensors: Mapping[str, Any]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, in order of the names."""
    torch = package("torch")
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
