"""A user's own objects, named ``my.module:object``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from rrvf.errors import UserError


def find_object(name: str, purpose: str) -> Any:
    """The object behind ``my.module:object``, looked for in the working folder, too.

    Args:
        name: Dotted path, a colon, and the object's name.
        purpose: What the object is for, for the message.

    Raises:
        UserError: It cannot be imported.
    """
    module, _, attribute = name.partition(":")
    sys.path.insert(0, "")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever a stranger's module raises when it is imported
        raise UserError(f"{purpose} {name!r} cannot be imported: {error}") from error
    finally:
        sys.path.remove("")


def suggest(name: str, names: Iterable[str]) -> str:
    """``Did you mean ...?`` with a blank before it; empty where nothing is near."""
    near = get_close_matches(name, list(names), n=1)
    return f" Did you mean {near[0]}?" if near else ""
