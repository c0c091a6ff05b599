# Scripts that read, write and look around.

# %% working-folder
import os

seen = f"{os.path.isdir(os.getcwd())} {os.access(os.getcwd(), os.W_OK)}"

# %% write-beside
with open("data.csv", "w") as stream:
    stream.write("a,b\n1,2\n")
seen = open("data.csv").read().strip()

# %% write-and-read-by-pandas
import pandas as pd

pd.DataFrame({"a": [1, 2]}).to_csv("frame.csv", index=False)
seen = str(pd.read_csv("frame.csv")["a"].sum())

# %% write-and-read-by-numpy
import numpy as np

np.savetxt("numbers.txt", np.arange(4))
np.save("numbers.npy", np.arange(5))
seen = f"{np.loadtxt('numbers.txt').sum()} {np.load('numbers.npy').sum()}"

# %% write-excel
import pandas as pd

pd.DataFrame({"a": [1, 2]}).to_excel("frame.xlsx", index=False)
seen = str(pd.read_excel("frame.xlsx")["a"].sum())

# %% write-json
import json
from pathlib import Path

Path("config.json").write_text(json.dumps({"title": "Sales"}))
seen = json.loads(Path("config.json").read_text())["title"]

# %% write-pickle
import pickle

with open("state.pkl", "wb") as stream:
    pickle.dump({"a": 1}, stream)
seen = str(pickle.load(open("state.pkl", "rb")))

# %% write-sqlite
import sqlite3

connection = sqlite3.connect("table.db")
connection.execute("drop table if exists t")
connection.execute("create table t (a int)")
connection.execute("insert into t values (3)")
connection.commit()
seen = str(connection.execute("select a from t").fetchone())

# %% folders
import os

os.makedirs("mine/figures", exist_ok=True)
seen = f"{os.path.isdir('mine/figures')} {len(os.listdir('mine'))}"

# %% save-in-a-folder
import os

import matplotlib.pyplot as plt

os.makedirs("figures", exist_ok=True)
figure, axes = plt.subplots()
axes.plot([1, 2])
figure.savefig("figures/first.png")
seen = str(os.path.getsize("figures/first.png") > 100)

# %% save-where-no-folder-is
import matplotlib.pyplot as plt

figure, axes = plt.subplots()
figure.savefig("no/such/folder/first.png")
seen = "saved"

# %% save-in-many-formats
import os

import matplotlib.pyplot as plt

figure, axes = plt.subplots()
axes.bar([1, 2], [3, 4])
for kind in ["png", "svg", "pdf", "jpg", "tif", "eps", "ps", "webp"]:
    figure.savefig(f"chart.{kind}")
seen = str(sum(name.startswith("chart.") for name in os.listdir(".")))

# %% save-to-memory
import io

import matplotlib.pyplot as plt

figure, axes = plt.subplots()
buffer = io.BytesIO()
figure.savefig(buffer, format="png")
seen = str(buffer.getvalue()[:4] == b"\x89PNG")

# %% read-back-a-picture
import matplotlib.image as mpimg
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(2, 1), dpi=100)
figure.savefig("small.png")
seen = str(mpimg.imread("small.png").shape)

# %% picture-by-pillow
from PIL import Image

Image.new("RGB", (4, 3), "red").save("red.png")
seen = str(Image.open("red.png").size)

# %% absent-file
try:
    open("absent.csv")
except FileNotFoundError as error:
    seen = f"{error.errno} {error.filename}"

# %% absent-file-ends-the-script
import pandas as pd

frame = pd.read_csv("absent.csv")
seen = "read"

# %% tmp-write
with open("/tmp/rrvf-surroundings-test.txt", "w") as stream:
    stream.write("text")
seen = open("/tmp/rrvf-surroundings-test.txt").read()

# %% tmp-save
import matplotlib.pyplot as plt

figure, axes = plt.subplots()
figure.savefig("/tmp/rrvf-surroundings-test.png")
seen = "saved"

# %% tmp-folder
import tempfile

with tempfile.TemporaryDirectory() as folder:
    with open(folder + "/a.txt", "w") as stream:
        stream.write("x")
    seen = open(folder + "/a.txt").read()

# %% tmp-file
import tempfile

with tempfile.NamedTemporaryFile(suffix=".csv") as stream:
    stream.write(b"a")
    stream.flush()
    seen = f"{stream.name.endswith('.csv')} {open(stream.name).read()}"

# %% tmp-is-the-temporary-folder
import tempfile

seen = tempfile.gettempdir()

# %% tmp-is-known
import os

seen = f"{os.path.isdir('/tmp')} {os.access('/tmp', os.W_OK)} {os.path.isdir('/var/tmp')}"

# %% home
import os
from pathlib import Path

seen = f"{Path.home().is_dir()} {os.path.expanduser('~') == str(Path.home())} {Path.home().is_absolute()}"

# %% home-write
from pathlib import Path

path = Path.home() / "rrvf-surroundings-test.txt"
path.write_text("text")
seen = path.read_text()
path.unlink()

# %% home-configuration
import matplotlib

import os

seen = f"{os.path.isdir(matplotlib.get_configdir())} {os.path.isdir(matplotlib.get_cachedir())}"

# %% null-device
with open("/dev/null", "w") as stream:
    print("x", file=stream)
seen = "written"

# %% random-device
import os

seen = f"{len(os.urandom(8))} {len(open('/dev/urandom', 'rb').read(4))}"

# %% root-cannot-be-filled
import os

seen = str(os.path.isdir("/"))

# %% permissions
import os

with open("mode.txt", "w") as stream:
    stream.write("x")
os.chmod("mode.txt", 0o600)
seen = oct(os.stat("mode.txt").st_mode & 0o777)

# %% rename-and-remove
import os
import shutil

with open("first.txt", "w") as stream:
    stream.write("x")
os.rename("first.txt", "second.txt")
shutil.copy("second.txt", "third.txt")
os.remove("second.txt")
seen = " ".join(sorted(name for name in os.listdir(".") if name.endswith(".txt")))

# %% change-folder
import os

os.makedirs("deeper", exist_ok=True)
here = os.getcwd()
os.chdir("deeper")
inside = os.path.basename(os.getcwd())
os.chdir(here)
seen = inside

# %% glob
import glob

open("one.dat", "w").close()
open("two.dat", "w").close()
seen = " ".join(sorted(glob.glob("*.dat")))

# %% zip-file
import zipfile

with zipfile.ZipFile("archive.zip", "w") as archive:
    archive.writestr("a.txt", "text")
seen = zipfile.ZipFile("archive.zip").read("a.txt").decode()

# %% links
import os

with open("target.txt", "w") as stream:
    stream.write("x")
if not os.path.lexists("link.txt"):
    os.symlink("target.txt", "link.txt")
seen = open("link.txt").read()

# %% time-zone
import datetime
import time
from zoneinfo import ZoneInfo

moment = datetime.datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
seen = f"{moment.utcoffset()} {len(time.tzname)}"

# %% mime-types
import mimetypes

seen = str(mimetypes.guess_type("chart.png")[0])

# %% file-of-the-script
import os

seen = f"{os.path.isabs(os.path.abspath(__file__))} {__file__.endswith('.py')}"

# %% script-reads-itself
source = open(__file__).read()
seen = str("script-reads-itself" not in source and "__file__" in source)

# %% traceback-shows-the-line
import traceback

try:
    1 / 0
except ZeroDivisionError:
    text = traceback.format_exc()
seen = str("1 / 0" in text)

# %% sound-of-the-source
import inspect


def square(x):
    return x * x


seen = inspect.getsource(square).split()[1]
