"""The floor of a chart's execution: fork, execute the script, end. ``floor.py IN_FD OUT_FD``.

The same packages are loaded as in the chart server, and the fonts are warm.
"""

from __future__ import annotations

import gc
import io
import json
import os
import sys
import warnings


def warm() -> None:
    """Import what scripts use and draw once."""
    warnings.simplefilter("ignore")
    import matplotlib.pyplot as plt
    import matplotlib_venn  # noqa: F401
    import mpl_toolkits.mplot3d  # noqa: F401
    import networkx  # noqa: F401
    import pandas  # noqa: F401
    import scipy.stats  # noqa: F401
    import seaborn  # noqa: F401
    import squarify  # noqa: F401

    figure, axes = plt.subplots()
    axes.plot([1, 2], label="warm $x^2$")
    axes.legend()
    figure.savefig(io.BytesIO(), format="pdf")
    figure.savefig(io.BytesIO(), format="png")
    plt.close("all")
    gc.collect()
    gc.freeze()


def execute(code: str, folder: str) -> float:
    """CPU seconds of a fork that runs the code."""
    pid = os.fork()
    if pid == 0:
        try:
            os.chdir(folder)
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 1)
            os.dup2(null, 2)
            exec(compile(code, "script.py", "exec"), {"__name__": "__main__"})
        finally:
            os._exit(0)
    usage = os.wait4(pid, 0)[2]
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Answer requests until there are no more."""
    requests = os.fdopen(int(sys.argv[1]))
    answers = os.fdopen(int(sys.argv[2]), "w")
    warm()
    print("ready", file=answers, flush=True)
    for line in requests:
        request = json.loads(line)
        print(execute(request["code"], request["folder"]), file=answers, flush=True)


if __name__ == "__main__":
    main()
