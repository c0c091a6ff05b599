import matplotlib.pyplot as plt
import numpy as np
from matplotlib.projections import register_projection
from matplotlib.projections.polar import PolarAxes


class RadarAxes(PolarAxes):
    name = "radar"

    def fill(self, *args, closed=True, **kwargs):
        return super().fill(closed=closed, *args, **kwargs)

    def plot(self, *args, **kwargs):
        lines = super().plot(*args, **kwargs)
        for line in lines:
            x, y = line.get_data()
            line.set_data(np.append(x, x[0]), np.append(y, y[0]))


register_projection(RadarAxes)
theta = np.linspace(0, 2 * np.pi, 5, endpoint=False)
fig, ax = plt.subplots(subplot_kw={"projection": "radar"})
ax.plot(theta, [1, 2, 3, 2, 1], color="green")
ax.fill(theta, [1, 2, 3, 2, 1], facecolor="green", alpha=0.25)
ax.set_title("Skills")
plt.savefig("radar.pdf")
