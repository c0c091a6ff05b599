# Scripts that look at matplotlib's registries, parameters and backend.

# %% colour-map-of-seaborn-without-seaborn
import matplotlib.pyplot as plt

plt.imshow([[1, 2], [3, 4]], cmap="rocket")
seen = "drawn"

# %% colour-map-of-seaborn
import matplotlib.pyplot as plt
import seaborn as sns

plt.imshow([[1, 2], [3, 4]], cmap="mako")
seen = "drawn"

# %% colour-map-after-late-seaborn
import matplotlib

before = "flare" in matplotlib.colormaps
import seaborn

seen = f"{before} {'flare' in matplotlib.colormaps}"

# %% colour-map-by-seaborn-cm
from seaborn import cm

seen = f"{cm.rocket.name} {cm.rocket.N}"

# %% number-of-colour-maps
import matplotlib

seen = str(len(list(matplotlib.colormaps)))

# %% number-of-colour-maps-with-pandas-and-networkx
import matplotlib
import networkx
import pandas
import scipy.stats

seen = str(len(list(matplotlib.colormaps)))

# %% registering-a-colour-map
import matplotlib as mpl
from matplotlib.colors import ListedColormap

mpl.colormaps.register(ListedColormap(["red", "blue"], name="rocket"))
seen = mpl.colormaps["rocket"].name

# %% registering-a-colour-map-twice
import matplotlib as mpl
import seaborn
from matplotlib.colors import ListedColormap

mpl.colormaps.register(ListedColormap(["red", "blue"], name="rocket"))
seen = "registered"

# %% colour-names
import matplotlib.colors as mcolors

seen = f"{len(mcolors.CSS4_COLORS)} {len(mcolors.XKCD_COLORS)} {mcolors.to_hex('C3')}"

# %% short-colour-codes-of-seaborn
import matplotlib.colors as mcolors
import seaborn as sns

before = mcolors.to_hex("b")
sns.set_color_codes("deep")
seen = f"{before} {mcolors.to_hex('b')}"

# %% scales
from matplotlib import scale

seen = " ".join(scale.get_scale_names())

# %% units
import matplotlib.units as units

seen = " ".join(sorted(kind.__name__ for kind in units.registry))

# %% units-after-pandas-plots
import matplotlib.units as units
import pandas as pd

pd.Series([1, 2], index=pd.date_range("2024-01-01", periods=2)).plot()
seen = " ".join(sorted(kind.__name__ for kind in units.registry))

# %% styles
import matplotlib.pyplot as plt

seen = f"{len(plt.style.available)} {plt.style.available[0]}"

# %% parameters-are-the-defaults
import matplotlib as mpl

seen = " ".join(k for k in mpl.rcParams if k != "backend" and mpl.rcParams[k] != mpl.rcParamsDefault[k])

# %% parameters-after-seaborn
import matplotlib as mpl
import seaborn

seen = " ".join(k for k in mpl.rcParams if k != "backend" and mpl.rcParams[k] != mpl.rcParamsDefault[k])

# %% parameters-of-seaborn-theme
import matplotlib as mpl
import seaborn as sns

sns.set_theme(style="whitegrid")
seen = f"{mpl.rcParams['axes.grid']} {mpl.rcParams['font.family']} {mpl.rcParams['patch.edgecolor']}"

# %% parameters-of-a-style
import matplotlib.pyplot as plt

plt.style.use("ggplot")
seen = f"{plt.rcParams['axes.facecolor']} {plt.rcParams['axes.grid']}"

# %% style-of-seaborn
import matplotlib.pyplot as plt

plt.style.use("seaborn-v0_8-darkgrid")
seen = f"{plt.rcParams['axes.facecolor']}"

# %% style-that-is-gone
import matplotlib.pyplot as plt

plt.style.use("seaborn-whitegrid")
seen = "used"

# %% parameters-set-back
import matplotlib as mpl

mpl.rcParams["lines.linewidth"] = 9
mpl.rcdefaults()
seen = f"{mpl.rcParams['lines.linewidth']} {mpl.rcParams['figure.dpi']}"

# %% parameters-by-context
import matplotlib.pyplot as plt

with plt.rc_context({"axes.titlesize": 30}):
    inside = plt.rcParams["axes.titlesize"]
seen = f"{inside} {plt.rcParams['axes.titlesize']}"

# %% parameters-file
import matplotlib as mpl

seen = f"{mpl.matplotlib_fname().endswith('matplotlibrc')} {len(mpl.rcParams)}"

# %% backend
import matplotlib.pyplot as plt

seen = plt.get_backend().lower()

# %% backend-before-pyplot
import matplotlib as mpl

seen = str(mpl.rcParams._get("backend") if hasattr(mpl.rcParams, "_get") else "none")[:3].isalpha()

# %% backend-agg
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

seen = plt.get_backend().lower()

# %% backend-agg-late
import matplotlib
import matplotlib.pyplot as plt

matplotlib.use("agg")
seen = plt.get_backend().lower()

# %% backend-pdf
import matplotlib

matplotlib.use("pdf")
import matplotlib.pyplot as plt

seen = plt.get_backend().lower()

# %% backend-svg
import matplotlib
import matplotlib.pyplot as plt

matplotlib.use("svg")
seen = f"{plt.get_backend()} {type(plt.figure().canvas).__name__}"

# %% backend-tk-before-pyplot
import matplotlib

matplotlib.use("TkAgg")
import matplotlib.pyplot as plt

seen = plt.get_backend()

# %% backend-tk-after-pyplot
import matplotlib
import matplotlib.pyplot as plt

matplotlib.use("TkAgg")
seen = plt.get_backend()

# %% backend-tk-tried
import matplotlib
import matplotlib.pyplot as plt

try:
    matplotlib.use("TkAgg")
    seen = "no error"
except ImportError as error:
    seen = str(error)

# %% backend-qt-tried
import matplotlib
import matplotlib.pyplot as plt

try:
    plt.switch_backend("QtAgg")
    seen = "no error"
except ImportError as error:
    seen = type(error).__name__

# %% backend-unknown
import matplotlib

try:
    matplotlib.use("no-such-backend")
    seen = "no error"
except (ValueError, ImportError) as error:
    seen = type(error).__name__

# %% backend-by-environment
import os

os.environ["MPLBACKEND"] = "svg"
import matplotlib.pyplot as plt

seen = plt.get_backend()

# %% backend-webagg
import matplotlib
import matplotlib.pyplot as plt

try:
    matplotlib.use("WebAgg")
    seen = plt.get_backend()
except (ImportError, RuntimeError) as error:
    seen = type(error).__name__

# %% backend-class-of-the-canvas
import matplotlib.pyplot as plt

canvas = plt.figure().canvas
seen = f"{type(canvas).__name__} {type(canvas.manager).__name__}"

# %% interactive
import matplotlib.pyplot as plt

before = plt.isinteractive()
plt.ion()
plt.plot([1, 2])
seen = f"{before} {plt.isinteractive()}"

# %% open-figures
import matplotlib.pyplot as plt

seen = f"{plt.get_fignums()} {plt.figure().number}"

# %% figure-limit-warning
import warnings

import matplotlib.pyplot as plt

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(25):
        plt.figure()
seen = str(sum("figures have been opened" in str(w.message) for w in caught))

# %% fonts-known
from matplotlib import font_manager

names = {font.name for font in font_manager.fontManager.ttflist}
seen = f"{'DejaVu Sans' in names} {'STIXGeneral' in names} {'cmr10' in names}"

# %% font-not-found
import logging

from matplotlib import font_manager

logging.getLogger("matplotlib.font_manager").disabled = True
path = font_manager.findfont("No Such Font Anywhere")
seen = path.rpartition("/")[2]

# %% font-added
import os

import matplotlib
from matplotlib import font_manager

folder = os.path.join(matplotlib.get_data_path(), "fonts", "ttf")
font_manager.fontManager.addfont(os.path.join(folder, "DejaVuSerif.ttf"))
seen = font_manager.FontProperties(fname=os.path.join(folder, "DejaVuSerif.ttf")).get_name()

# %% family-serif
import matplotlib.pyplot as plt

plt.rcParams["font.family"] = "serif"
plt.text(0.5, 0.5, "serif")
seen = "drawn"

# %% math-fonts
import matplotlib.pyplot as plt

plt.rcParams["mathtext.fontset"] = "stix"
plt.text(0.1, 0.1, r"$\alpha_1 \leq \frac{1}{2}$")
plt.rcParams["mathtext.fontset"] = "cm"
plt.text(0.3, 0.3, r"$\beta^2 \sum_i x_i$")
seen = "drawn"

# %% caches-are-empty
from matplotlib import font_manager, mathtext

seen = str(mathtext.MathTextParser._parse_cached.cache_info().currsize)

# %% cached-fonts
from matplotlib import font_manager

seen = str(font_manager._get_font.cache_info().currsize)

# %% locators-defaults
import matplotlib.ticker as ticker

seen = f"{ticker.MaxNLocator.default_params['nbins']} {ticker.LogLocator().numticks}"

# %% date-epoch
import matplotlib.dates as mdates

mdates.set_epoch("2000-01-01")
seen = mdates.get_epoch()

# %% wrapped-functions-keep-names
import inspect

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

seen = f"{Axes.bar.__name__} {plt.bar.__name__} {list(inspect.signature(Axes.bar).parameters)[:3]}"

# %% numpy-error-state
import numpy as np

seen = f"{np.geterr()['divide']} {np.get_printoptions()['precision']}"

# %% pandas-options
import pandas as pd

seen = f"{pd.get_option('display.max_rows')} {pd.get_option('plotting.backend')}"
