"""What a script finds around it: the same as in an interpreter that has just been started.

Each script here ends with a value in ``told``. It runs in the chart server's fork, and by itself as
``python script.py`` with the same environment; both must come to the same value.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rrvf.renderers import chart
from rrvf.renderers.chart import ChartRenderer, ChartScript, Limits, server_environment
from tests.runs import kept_renderer, rrvf_here

TELL = """
import json
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
plt.close("all")
plt.figure()
plt.title(json.dumps(told).replace("$", "dollar"))
"""
PRINT = """
import json
print("told:" + json.dumps(told).replace("$", "dollar"))
"""

SURROUNDINGS = """
import sys
# Compiled modules share types under names of Cython's, without an import; the server may have
# been the first to list this machine's fonts, which needs another encoding.
passing = ("_cython_", "cython_runtime", "_sysconfigdata", "encodings.utf_16_be")
names = [name for name in sys.modules if not name.startswith(passing)]
links = []
for name in names:
    for key, value in getattr(sys.modules[name], "__dict__", {}).items():
        if type(value) is type(sys) and not f"{name}.{key}".startswith(passing):
            links.append(name + "." + key)
told = {"modules": sorted(names), "links": sorted(links)}
have = sys.modules.get
if have("matplotlib"):
    rc = have("matplotlib").rcParams
    told["rc"] = sorted(f"{key}: {dict.__getitem__(rc, key)}".split(" object at")[0] for key in rc)
if have("matplotlib.cm"):
    told["maps"] = sorted(have("matplotlib.cm")._colormaps._cmaps)
if have("matplotlib.scale"):
    told["scales"] = sorted(have("matplotlib.scale")._scale_mapping)
if have("matplotlib.projections"):
    told["projections"] = sorted(have("matplotlib.projections").get_projection_names())
if have("matplotlib.units"):
    told["units"] = sorted(map(str, have("matplotlib.units").registry))
if have("matplotlib.pyplot"):
    told["backend"] = str(have("matplotlib.pyplot")._backend_mod)
if have("PIL.Image"):
    told["formats"] = [list(have("PIL.Image").ID), sorted(have("PIL.Image").EXTENSION)]
if have("logging"):
    told["loggers"] = sorted(have("logging").root.manager.loggerDict)
told["filters"] = [
    f"{action} {getattr(message, 'pattern', message)} {category.__name__} {line}"
    for action, message, category, _, line in (have("warnings") or have("_warnings")).filters
]
told["finders"] = [getattr(f, "__name__", type(f).__name__) for f in sys.meta_path]
told["main"] = sorted(key for key in vars(have("__main__")) if key.startswith("__"))
own = {"HOME", "USER", "LOGNAME", "TMPDIR"}
told["environment"] = sorted(set(have("os").environ) - own)
"""

IMPORTS = [
    "pass",
    "import numpy",
    "import matplotlib",
    "import matplotlib.pyplot as plt",
    "import pandas as pd",
    "import seaborn as sns",
    "from scipy import stats",
    "import networkx as nx",
    "from mpl_toolkits.mplot3d import Axes3D",
    "import matplotlib.pyplot as plt; plt.figure().savefig('x.pdf')",
]
MORE_IMPORTS = [
    *("import matplotlib.patches", "import matplotlib.cm as cm", "from matplotlib import cm"),
    *("from matplotlib import gridspec", "from matplotlib import *", "from pylab import *"),
    *("import matplotlib.colors", "import matplotlib.dates", "import matplotlib.animation"),
    *("import matplotlib; matplotlib.use('Agg')", "import matplotlib.backends.backend_pdf"),
    *("import matplotlib.ticker", "import matplotlib.sankey", "import matplotlib.style"),
    *("from mpl_toolkits.axes_grid1 import make_axes_locatable", "import matplotlib.table"),
    *("from mpl_toolkits.axes_grid1.inset_locator import inset_axes", "import matplotlib.units"),
    *("import scipy", "import scipy.stats", "import scipy; scipy.signal", "import scipy.cluster"),
    *("from scipy.interpolate import make_interp_spline", "from scipy.ndimage import label"),
    *("from scipy.cluster.hierarchy import linkage", "import scipy.sparse", "import scipy.special"),
    *("import squarify", "from matplotlib_venn import venn2", "import seaborn.objects"),
    *("from PIL import Image", "import json", "import random", "import datetime", "import re"),
    *("import collections", "import itertools", "import warnings", "import logging", "import io"),
    *("import asyncio", "import threading", "import multiprocessing", "import concurrent.futures"),
    *("import decimal", "import pickle", "import ctypes", "import pathlib", "import tempfile"),
    *("import dateutil", "import pytz", "import packaging.version", "import cycler"),
    *("import importlib", "import importlib.metadata", "import importlib.util", "import inspect"),
    *("import unittest", "import dataclasses", "import typing", "import urllib.request"),
    *("from numpy import *", "import numpy.ma", "import numpy.random", "from numpy import linalg"),
    *("import networkx.drawing", "import pandas.plotting", "import seaborn.cm"),
    *("import pandas as pd; pd.DataFrame({'a': [1]}).plot()",),
    *("import networkx as nx; nx.draw(nx.path_graph(3))",),
    *("import matplotlib.pyplot as plt; plt.figure().savefig('x.png')",),
]

OUTCOME = """
def outcome(code):
    try:
        exec(code, {"__name__": "__main__"})
    except BaseException as error:
        return f"{type(error).__name__}: {error}".split(" object at ")[0]
    return "ok"
"""

LOOKS = {
    "attributes nobody imported": """
told = [outcome("import matplotlib\\n" + each) for each in (
    "matplotlib.pyplot.figure()", "matplotlib.patches.Patch()", "matplotlib.backends.backend_pdf",
    "matplotlib.dates", "matplotlib.cm.get_cmap", "matplotlib.image", "matplotlib.axes.Axes")]
told += [outcome(each) for each in (
    "import scipy; scipy.stats.norm", "import PIL; PIL.Image", "import xml; xml.etree",
    "import os; os.path", "import concurrent; concurrent.futures",
    "import importlib; importlib.util",
    "import mpl_toolkits; mpl_toolkits.mplot3d", "import pandas; pandas.plotting",
    "import matplotlib.pyplot; matplotlib.animation", "import logging; logging.handlers")]
""",
    "colour maps of seaborn": """
see = "import matplotlib as m; m.colormaps[%r]"
told = [outcome(see % name) for name in ("rocket", "mako_r", "viridis")]
import seaborn
told += [outcome(see % name) for name in ("rocket", "mako_r", "viridis")]
""",
    "backends before pyplot": """
told = [outcome(code) for code in (
    "import matplotlib; matplotlib.use('TkAgg')", "import matplotlib; matplotlib.use('nonsense')",
    "import matplotlib; matplotlib.use('svg')", "import matplotlib; matplotlib.use('TkAgg')\\n"
    "import matplotlib.pyplot as plt; plt.figure()")]
import matplotlib
told.append(matplotlib.get_backend())
""",
    "backends after pyplot": """
told = ["import matplotlib.pyplot as plt, matplotlib\\n" + each for each in (
    "matplotlib.use('TkAgg')", "matplotlib.use('TkAgg', force=False)",
    "plt.switch_backend('QtAgg')",
    "matplotlib.use('pdf')", "plt.switch_backend('svg')", "matplotlib.use('Agg')",
    "matplotlib.use('module://matplotlib.backends.backend_ps')", "plt.show()", "plt.ion()")]
told = [outcome(each) for each in told]
""",
    "the backend that is chosen": """
import matplotlib.pyplot as plt
told = [str(plt._backend_mod), plt.get_backend(), plt.isinteractive(), str(plt._backend_mod)]
plt.figure()
told += [type(plt.gcf().canvas).__name__, plt.get_backend(), plt.rcParamsDefault["backend"]]
""",
    "the backend named in the environment": """
import os
os.environ["MPLBACKEND"] = "pdf"
import matplotlib
told = [matplotlib.get_backend()]
import matplotlib.pyplot as plt
plt.figure()
told.append(type(plt.gcf().canvas).__name__)
""",
    "the import system": """
import importlib, importlib.util, sys
told = [str(importlib.util.find_spec(name)).partition("(")[0] for name in ("seaborn", "nothing")]
told.append(type(importlib.util.find_spec("numpy").loader).__name__)
import json
first = json
del sys.modules["json"]
import json
told += [json is first, importlib.reload(json) is json, "json" in sys.modules]
sys.modules["squarify"] = None
told.append(outcome("import squarify"))
told.append(outcome("import rrvf_chart_server"))
told.append(outcome("from rrvf_chart_server import child"))
""",
    "a finder of the script's own": """
import sys, importlib.abc, importlib.machinery
class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name == "squarify":
            return importlib.machinery.ModuleSpec(name, self, origin="here")
    def create_module(self, spec): return None
    def exec_module(self, module): module.mine = True
sys.meta_path.insert(0, Finder())
import squarify
import networkx
told = [getattr(squarify, "mine", False), networkx.__name__]
""",
    "a module before the installed one": """
import os, sys
os.mkdir("here")
open("here/squarify.py", "w").write("mine = True")
sys.path.insert(0, os.path.abspath("here"))
import squarify
import seaborn
told = [getattr(squarify, "mine", False), seaborn.__name__]
""",
    "identity": """
import pickle, sys
import numpy, matplotlib.figure, pandas
from matplotlib.figure import Figure
told = [matplotlib.figure.Figure is Figure, sys.modules["numpy"] is numpy,
        int(pickle.loads(pickle.dumps(pandas.DataFrame({"a": [1]}))).a[0]),
        isinstance(pickle.loads(pickle.dumps(Figure())), Figure)]
""",
    "warnings": """
import warnings
with warnings.catch_warnings(record=True) as caught:
    import matplotlib.pyplot as plt
    fig, ax = plt.subplots()
    ax.set_xticklabels(["a"])
    plt.legend()
    warnings.warn("mine")
    warnings.warn("old", DeprecationWarning)
told = [str(w.category.__name__) for w in caught if "Pyparsing" not in w.category.__name__]
def strict():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fig, ax = plt.subplots()
        ax.set_xticklabels(["a"])
try: strict()
except Warning as error: told.append(type(error).__name__)
""",
    "the script itself": """
import sys
told = [__name__, __doc__, __package__, str(__spec__), type(__builtins__).__name__,
        sys.modules["__main__"].__dict__ is globals(), len(sys.argv), sys.argv[0] == __file__,
        type(__loader__).__name__, sys.flags.optimize, sys.getswitchinterval(), str(sys.gettrace()),
        sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__,
        sys.stdout.encoding, sys.stdin.encoding, sys.stderr.errors, sys.getdefaultencoding()]
""",
    "recursion": """
deepest = 0
def deeper(n):
    global deepest
    deepest = n
    deeper(n + 1)
try: deeper(1)
except RecursionError: pass
told = deepest
""",
    "threads and locks": """
import threading, queue, multiprocessing, logging
told = [threading.active_count(), threading.current_thread() is threading.main_thread(),
        threading.main_thread().name, multiprocessing.current_process().name]
done = queue.Queue()
thread = threading.Thread(target=lambda: done.put(logging.getLogger("x").name))
thread.start(); thread.join()
told += [done.get(), logging.Logger.manager.disable, logging.root.level, logging.root.handlers]
""",
    "numbers": """
import decimal, locale, numpy, gc
told = [str(decimal.getcontext()), locale.setlocale(locale.LC_ALL), numpy.geterr(), gc.isenabled(),
        numpy.get_printoptions()["precision"], numpy.random.get_state()[0]]
""",
}
"""What it is -> a script that looks at it."""

LIMITS = Limits(cpu_seconds=30, wall_seconds=240)


@pytest.fixture(scope="module")
def renderer() -> Iterator[ChartRenderer]:
    with kept_renderer(workers=1, limits=LIMITS) as running:
        yield running


def in_the_fork(renderer: ChartRenderer, code: str) -> object:
    drawing = renderer.render(ChartScript(code + TELL), modes=("official",)).official
    assert (drawing.status, drawing.error) == ("ok", None)
    return json.loads(drawing.elements.texts[0])


def by_itself(folder: Path, number: int, code: str) -> object:
    """The value from an interpreter of its own."""
    home = folder / str(number)
    home.mkdir()
    script = home / "script.py"
    script.write_text(code + PRINT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-s", str(script)],
        env=server_environment(Path(sys.executable)),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.rpartition("told:")[2])


def compare(renderer: ChartRenderer, folder: Path, codes: dict[str, str]) -> None:
    with ThreadPoolExecutor(2) as pool:
        alone = list(pool.map(by_itself, [folder] * len(codes), range(len(codes)), codes.values()))
    different = {
        name: (found, expected)
        for (name, code), expected in zip(codes.items(), alone, strict=True)
        if (found := in_the_fork(renderer, code)) != expected
    }
    assert different == {}


def test_what_compiling_loads_is_no_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that finds no byte code compiles its packages, and loads unicodedata for that."""
    environment = server_environment(Path(sys.executable))
    environment["PYTHONPYCACHEPREFIX"] = str(tmp_path / "nothing compiled")
    monkeypatch.setattr(chart, "server_environment", lambda python: environment)
    code = "import matplotlib\nimport sys\ntold = 'unicodedata' in sys.modules\n"
    by_itself(tmp_path, 0, code)  # which compiles what was not, for the next
    with ChartRenderer(workers=1, limits=LIMITS) as renderer:
        assert in_the_fork(renderer, code) is by_itself(tmp_path, 1, code) is False
        code += "import unicodedata\ntold = unicodedata.name('a')\n"
        assert in_the_fork(renderer, code) == "LATIN SMALL LETTER A"


def test_modules_and_registries_after_an_import(renderer: ChartRenderer, tmp_path: Path) -> None:
    compare(renderer, tmp_path, {line: f"{line}\n{SURROUNDINGS}" for line in IMPORTS})


@pytest.mark.parity
def test_modules_and_registries_after_many_imports(renderer: ChartRenderer, tmp_path: Path) -> None:
    compare(renderer, tmp_path, {line: f"{line}\n{SURROUNDINGS}" for line in MORE_IMPORTS})


def test_what_a_script_finds_around_it(renderer: ChartRenderer, tmp_path: Path) -> None:
    compare(renderer, tmp_path, {name: OUTCOME + code for name, code in LOOKS.items()})


def test_nothing_that_a_script_imports_is_seen_by_the_next(renderer: ChartRenderer) -> None:
    see = "import sys\ntold = sorted(sys.modules)\n"
    before = in_the_fork(renderer, see)
    in_the_fork(renderer, "import seaborn, asyncio\ntold = 1\n")
    assert in_the_fork(renderer, see) == before


# ------------------------------------------------------------------------ on the command line

DIES = {
    "seaborn_cmap": "import matplotlib.pyplot as plt\nplt.imshow([[1, 2]], cmap='rocket')",
    "pyplot_attr": "import matplotlib\nmatplotlib.pyplot.plot([1, 2])",
    "tk_noforce": "import matplotlib\nmatplotlib.use('TkAgg', force=False)\n"
    "import matplotlib.pyplot as plt\nplt.plot([1, 2])",
    "tk_try": "import matplotlib\ntry:\n    matplotlib.use('TkAgg')\nexcept ImportError:\n"
    "    matplotlib.use('Agg')\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])",
    "unknown_encoding": "# -*- coding: klingon -*-\nimport matplotlib.pyplot as plt\nplt.plot([1])",
    "wrong_encoding": "# coding: ascii\nimport matplotlib.pyplot as plt\nplt.title('\u00e9')",
    "mark_and_encoding": "\ufeff# coding: latin-1\nimport matplotlib.pyplot as plt\nplt.plot([1])",
    "two_marks": "\ufeff\ufeffimport matplotlib.pyplot as plt\nplt.plot([1])",
}
RUNS = {
    "encoding": "# -*- coding: utf-8 -*-\nimport matplotlib.pyplot as plt\nplt.title('\u00e9')",
    "other_encoding": "#!python\n# coding: latin-1\nimport matplotlib.pyplot as plt\n"
    "plt.title('\u00e9')",
    "late_encoding": "import os\nimport sys\n# coding: klingon\nimport matplotlib.pyplot as plt\n"
    "plt.title('\u00e9')",
    "form_feed": "\fimport matplotlib.pyplot as plt\n\fplt.title('\u00e9')",
    "line_ends": "import matplotlib.pyplot as plt\r\nif plt:\r\n    plt.title('\u00e9')\r\n",
}
UNLOGGED = {
    "mark": "\ufeffimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.title('a')",
    "mark_and_utf_8": "\ufeff# coding: utf-8\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])",
}
REFERENCE = (
    "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.title('\u00e9')\nplt.savefig('a.pdf')"
)


def test_scores_of_answers_that_look_around(tmp_path: Path) -> None:
    """As measured with VLMEvalKit: it executes the script; its logs come from longer copies."""
    answers = {**DIES, **RUNS, **UNLOGGED}
    data = tmp_path / "data"
    data.mkdir()
    lines: list[str] = []
    for name, code in answers.items():
        (data / f"{name}.py").write_text(REFERENCE, encoding="utf-8")
        lines.append(json.dumps({"id": name, "prediction": f"```python\n{code}\n```"}))
    predictions = tmp_path / "p.jsonl"
    predictions.write_text("\n".join(lines), encoding="utf-8")
    out = tmp_path / "out"
    command = ["score", "chartmimic", "--data", str(data), "--predictions", str(predictions)]
    done = rrvf_here(*command, "--out", out)
    assert done.returncode == 0, done.stderr
    scores: dict[str, list[float | None]] = {}
    for row in map(json.loads, (out / "results.jsonl").read_text().splitlines()):
        names = ("execution", "text", "layout")
        scores[row["sample_id"]] = [row["scores"][name]["value"] for name in names]
    assert scores == {
        **{name: [0.0, 0.0, 0.0] for name in DIES},
        **{name: [1.0, 1.0, 1.0] for name in RUNS},
        **{name: [1.0, 0.0, 0.0] for name in UNLOGGED},
    }


SOURCES = {
    "itself": "seen = str('unlikely' not in open(__file__).read())\nunlikely = 1",
    "a traceback": "import traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n"
    "    seen = str('1 / 0' in traceback.format_exc())",
    "inspect": "import inspect\ndef square(x):\n    return x * x\n"
    "seen = str('x * x' in inspect.getsource(square))",
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_script_finds_its_own_source(renderer: ChartRenderer, name: str) -> None:
    show = "\nimport matplotlib.pyplot as plt\nplt.title(seen)"
    drawing = renderer.render(ChartScript(SOURCES[name] + show), modes=("official",)).official
    assert (drawing.status, drawing.error) == ("ok", None)
    expected = "False" if name == "itself" else "True"
    assert list(drawing.elements.texts) == [expected]
