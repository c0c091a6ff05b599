"""What CONTRIBUTING.md works through, works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rrvf.types import Drawing, Elements


def test_the_scorer_that_is_worked_through(project: Path) -> None:
    text = (project / "CONTRIBUTING.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "my_scorers.py", "exec"), names)
    one, two = (Drawing("ok", elements=Elements(n_axes=number)) for number in (1, 2))
    assert names["score_axes"](one, one, "official").value == 1.0
    assert names["score_axes"](one, two, "official").value == 0.0


def test_links_between_the_pages_lead_somewhere(project: Path) -> None:
    pages = [
        *project.glob("*.md"),
        *(project / folder / "README.md" for folder in ("rrvf", "training", "vlmeval_plugin")),
        project / "results" / "README.md",
        project / "benchmarks" / "README.md",
    ]
    dead = [
        f"{page.relative_to(project)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not target.startswith("http") and not (page.parent / target).exists()
    ]
    assert not dead
