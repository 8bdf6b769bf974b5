"""How the pictures of these examples look: Okabe and Ito's colours, line styles told apart in
grey, few lines.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from PIL import Image

BLACK, BLUE, ORANGE, GREEN, RED, GREY = (
    "#000000",
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#8A8A8A",
)

# Wherever the batch strategies meet, they look the same.
STRATEGIES = {
    "batch": {"color": BLUE, "linestyle": "-", "marker": "o"},
    "mini-batch": {"color": GREEN, "linestyle": "--", "marker": "s"},
    "stochastic": {"color": RED, "linestyle": "-.", "marker": "^"},
    "growing": {"color": BLACK, "linestyle": "-", "marker": "D"},
}

plt.rcParams.update(
    {
        "figure.constrained_layout.use": True,
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#E4E4E4",
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.6,
        "lines.markersize": 4,
        "legend.frameon": False,
    }
)


def save(figure, script):
    """Write the figure to output/, under the script's name, or to pictures/, which this page shows,
    where `--publish` is given. The same figure gives the same bytes, of 64 colours.
    """
    folder = Path(script).parent / ("pictures" if "--publish" in sys.argv else "output")
    folder.mkdir(exist_ok=True)
    figure.set_dpi(200)
    figure.canvas.draw()
    # The dots as they were drawn: by way of another file they are in memory four times.
    size = figure.canvas.get_width_height()
    drawn = Image.frombuffer("RGBA", size, figure.canvas.buffer_rgba(), "raw", "RGBA", 0, 1)
    colors = drawn.convert("RGB")
    plt.close(figure)
    path = folder / f"{Path(script).stem}.png"
    colors.quantize(64).save(path, optimize=True)
    print(f"picture: {folder.parent.name}/{folder.name}/{path.name}")
