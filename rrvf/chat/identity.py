"""The identity of a model: cached answers belong to it and are never used for another model.

The same address may serve another model than before, for example another checkpoint on the same
port under the same name. The server's ``/models`` tells them apart, as far as it describes the
model.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

_FACTS = ("id", "root", "parent", "created", "owned_by", "max_model_len")
"""What servers say of a model: vLLM and SGLang the path of the weights, OpenAI its date."""

_SIZES = ("n_params", "size", "n_embd", "n_vocab")
"""Within ``meta``, where llama.cpp describes the weights."""

_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
_LONGEST = 1000
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers.

    Attributes:
        name: By which the user calls it, wherever it is; then the other two are not looked at.
        address: Of the server, normalised; see :func:`normalize_address`.
        served: What its ``/models`` says of the model; empty where it says nothing, ``None`` where
            it is not known what it says.
    """

    name: str | None
    address: str
    served: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """What tells it from others, and nothing secret."""
        if self.name is not None:
            return {"name": self.name}
        facts = {} if self.served is None else {"served": dict(self.served)}
        return {"address": self.address, **facts}


def normalize_address(url: str) -> str:
    """A base URL in the one form that all its spellings share.

    Scheme and host are in small letters; without user and password, the scheme's own port, query,
    fragment, and slashes at the end.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    port = parts.port
    port_text = "" if port is None or port == _PORTS.get(parts.scheme) else f":{port}"
    return f"{parts.scheme}://{host}{port_text}{parts.path.rstrip('/')}"


def read_served_facts(listing: object, model: str) -> dict[str, Any]:
    """What a reply of ``/models`` says of a model; of the only one, whatever its name.

    Empty where it says nothing of it.
    """
    data = cast("Mapping[str, object]", listing).get("data") if isinstance(listing, dict) else None
    items = cast("Sequence[object]", data) if isinstance(data, list) else ()
    entries = [cast("Mapping[str, object]", entry) for entry in items if isinstance(entry, dict)]
    matches = [entry for entry in entries if entry.get("id") == model]
    choice = (matches or (entries if len(entries) == 1 else []))[:1]
    return _read_facts(choice[0]) if choice else {}


def may_be_request_time(facts: Mapping[str, Any]) -> bool:
    """Whether ``created`` is near to now, as where a server fills in the time of the request."""
    created = facts.get("created")
    return isinstance(created, int | float) and abs(created - time.time()) < _DAY


def merge_facts(facts: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """The later facts, without ``created`` where that has changed in between."""
    common = dict(later)
    if facts.get("created") != later.get("created"):
        common.pop("created", None)
    return common


def _read_facts(entry: Mapping[str, object]) -> dict[str, Any]:
    facts = {name: entry[name] for name in _FACTS if _is_plain(entry.get(name))}
    meta = entry.get("meta")
    if isinstance(meta, dict):
        sizes = cast("Mapping[str, object]", meta)
        facts |= {f"meta_{name}": sizes[name] for name in _SIZES if _is_plain(sizes.get(name))}
    return facts


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST
    return isinstance(value, int | float)
