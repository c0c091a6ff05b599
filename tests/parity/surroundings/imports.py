# Scripts that look at what is imported. A cell is a script of its own; `seen` is drawn.

# %% module-attribute-without-import
import matplotlib

seen = str(matplotlib.pyplot.get_backend())

# %% module-attribute-asked-for
import matplotlib

names = ["pyplot", "cm", "colors", "figure", "gridspec", "patches", "ticker", "dates", "animation"]
seen = " ".join(name for name in names if hasattr(matplotlib, name))

# %% loaded-at-the-start
import sys

names = ["numpy", "matplotlib", "pandas", "scipy", "seaborn", "networkx", "json", "PIL", "io", "abc"]
seen = " ".join(name for name in names if name in sys.modules)

# %% loaded-after-numpy
import sys

import numpy

names = ["numpy.linalg", "numpy.random", "numpy.fft", "numpy.ma", "pandas", "scipy", "ctypes", "json"]
seen = " ".join(name for name in names if name in sys.modules)

# %% loaded-after-pandas
import sys

import pandas

names = ["matplotlib", "matplotlib.pyplot", "pandas.plotting", "scipy", "pytz", "sqlite3", "dateutil"]
seen = " ".join(name for name in names if name in sys.modules)

# %% loaded-after-pyplot
import sys

import matplotlib.pyplot

names = ["mpl_toolkits.mplot3d", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf"]
names += ["matplotlib.tri", "matplotlib.sankey", "matplotlib.table", "pandas", "seaborn", "scipy"]
names += ["matplotlib.gridspec", "mpl_toolkits.axes_grid1", "matplotlib.animation", "PIL.Image"]
seen = " ".join(name for name in names if name in sys.modules)

# %% loaded-after-seaborn
import sys

import seaborn

names = ["pandas", "scipy.stats", "scipy.signal", "matplotlib.pyplot", "statsmodels", "networkx"]
names += ["seaborn.cm", "seaborn.objects", "scipy.cluster.hierarchy", "scipy.interpolate"]
seen = " ".join(name for name in names if name in sys.modules)

# %% loaded-after-networkx
import sys

import networkx

names = ["numpy", "scipy", "matplotlib", "pandas", "networkx.drawing.nx_pylab", "networkx.algorithms"]
seen = " ".join(name for name in names if name in sys.modules)

# %% loaded-after-venn
import sys

import matplotlib_venn

names = ["shapely", "scipy", "matplotlib.pyplot", "numpy", "seaborn"]
seen = " ".join(name for name in names if name in sys.modules)

# %% scipy-is-lazy
import sys

import scipy

before = "scipy.stats" in sys.modules
mean = scipy.stats.norm.mean()
seen = f"{before} {mean} {'scipy.stats' in sys.modules}"

# %% scipy-names
import scipy

seen = f"{'stats' in dir(scipy)} {'stats' in vars(scipy)} {'signal' in vars(scipy)}"

# %% toolkits-without-import
import mpl_toolkits

seen = str(hasattr(mpl_toolkits, "mplot3d"))

# %% toolkits-attribute
import matplotlib.pyplot as plt
import mpl_toolkits

plt.figure()
seen = mpl_toolkits.axes_grid1.__name__

# %% pandas-plotting-backend
import sys

import pandas as pd

before = "pandas.plotting._matplotlib" in sys.modules
ax = pd.Series([1, 2]).plot()
seen = f"{before} {'pandas.plotting._matplotlib' in sys.modules} {type(ax).__name__}"

# %% spec-of-a-module-not-imported
import importlib.util
import sys

spec = importlib.util.find_spec("seaborn")
seen = f"{spec is not None} {spec.name} {'seaborn' in sys.modules} {spec.origin.endswith('__init__.py')}"

# %% spec-of-an-imported-module
import numpy

seen = f"{numpy.__spec__.name} {type(numpy.__loader__).__name__} {numpy.__package__}"

# %% import-again-after-removal
import sys

import json

del sys.modules["json"]
import json as again

seen = f"{again is json} {again.dumps([1])}"

# %% reload-pyplot
import importlib

import matplotlib.pyplot as plt

again = importlib.reload(plt)
seen = f"{again is plt} {plt.get_fignums()}"

# %% reload-a-plotting-module
import importlib

import squarify

again = importlib.reload(squarify)
seen = f"{again is squarify} {len(again.normalize_sizes([1, 2], 3, 4))}"

# %% absent-module
try:
    import no_such_module_anywhere
except ModuleNotFoundError as error:
    seen = f"{error.name}"

# %% absent-submodule
try:
    import matplotlib.no_such_part
except ModuleNotFoundError as error:
    seen = f"{error.name} {error}"

# %% name-not-in-module
try:
    from matplotlib.pyplot import no_such_function
except ImportError as error:
    seen = str(error).split("(")[0]

# %% absent-module-ends-the-script
import no_such_module_anywhere

seen = "reached"

# %% from-import-submodule
from scipy import interpolate, signal

seen = f"{interpolate.__name__} {signal.__name__}"

# %% import-in-a-function
import sys


def load():
    import networkx as nx

    return nx.path_graph(3).number_of_edges()


before = "networkx" in sys.modules
edges = load()
seen = f"{before} {edges} {'networkx' in sys.modules}"

# %% import-by-name
import importlib

module = importlib.import_module("matplotlib.pyplot")
seen = f"{module.__name__} {callable(module.plot)}"

# %% import-star
from pylab import *

seen = f"{array([1, 2]).sum()} {callable(figure)}"

# %% import-builtin-function
module = __import__("matplotlib.colors")
seen = f"{module.__name__} {hasattr(module, 'colors')}"

# %% module-identity
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.axes import Axes

figure, axes = plt.subplots()
seen = f"{isinstance(figure, Figure)} {isinstance(axes, Axes)} {type(axes).__module__}"

# %% module-file
import os

import matplotlib

seen = f"{os.path.basename(matplotlib.__file__)} {os.path.exists(matplotlib.__file__)}"

# %% import-path
import sys

seen = f"{any('rrvf' in entry for entry in sys.path)} {len(sys.path_hooks)} {'' in sys.path}"

# %% import-finders
import sys

seen = f"{any('rrvf' in name for name in sys.modules)}"

# %% meta-path-by-hand
import sys

found = [finder.find_spec("squarify", None) for finder in sys.meta_path]
seen = str(sum(spec is not None for spec in found))

# %% axes3d-registered-with-pyplot
import matplotlib.pyplot as plt
from matplotlib import projections

seen = " ".join(projections.get_projection_names())

# %% version-of-a-distribution
from importlib import metadata

import numpy

seen = str(metadata.version("numpy") == numpy.__version__)

# %% warnings-on-import
import warnings

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import seaborn
seen = str(len(caught))
