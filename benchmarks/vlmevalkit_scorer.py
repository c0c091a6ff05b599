"""VLMEvalKit's own ChartMimic scorer on some items, as it ships; run where it is installed.

``PYTHON vlmevalkit_scorer.py ITEMS.json OUT.jsonl FOLDER``

Left out: its time limits, which a busy machine would turn into zeros, and the judge. The PDF's
conversion to PNG needs poppler's tools; without them it fails as it does for their users, unseen.
It runs in a process that may have children, since its colour matching starts a pool.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def official_scorer(folder: Path) -> Any:
    """The undecorated function that scores one item, told where files are."""
    from vlmeval.dataset import chartmimic

    module: Any = chartmimic
    module.LMUDataRoot = lambda: str(folder)
    module.save_code_dir = str(folder / "out")
    module.sub_set_name = "bench"
    module.timeout = lambda seconds: lambda function: function
    module.run_once_with_images = lambda *args, **kwargs: None  # the judge gives no answer
    return inspect.unwrap(module._judge_one_item)


def main() -> None:
    """Score the items one after another; a line each with the time it took."""
    items, out, folder = (Path(argument).absolute() for argument in sys.argv[1:4])
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.chdir(folder)
    score = official_scorer(folder)
    references = folder / "images" / "ChartMimic"
    references.mkdir(parents=True)
    keys = {"text": "text", "layout": "layout", "type": "chart_type", "color": "color"}
    with out.open("w") as lines:
        for item in json.loads(items.read_text()):
            script = f"{item['id']}.py"
            (references / script).write_text(item["reference"])
            request = {
                "index": item["number"],
                "task": "direct",
                "prediction": item["prediction"],
                "ground_truth_figure_code": script,
            }
            start = time.perf_counter()
            metrics = score(json.dumps(request))[1]["low_level"]
            scores = {name: metrics[f"{key}_metrics"]["f1"] for name, key in keys.items()}
            record = {"id": item["id"], "seconds": time.perf_counter() - start, "scores": scores}
            lines.write(json.dumps(record) + "\n")
            lines.flush()


if __name__ == "__main__":
    main()
