"""Other people's trainers have environments of their own; elsewhere these files are left out."""

from __future__ import annotations

from importlib.util import find_spec

NEEDED = {
    "test_openenv.py": "openenv",
    "test_openenv_trl.py": "openenv",
    "test_verl.py": "verl",
}

collect_ignore = [file for file, package in NEEDED.items() if not find_spec(package)]
