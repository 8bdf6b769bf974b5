"""How the pictures of these examples look: Okabe and Ito's colours, line styles told apart in
grey, few lines.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

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
        "figure.dpi": 100,
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
    """Write the figure to pictures/, under the script's name; the same figure gives the same
    bytes.
    """
    path = Path(script).parent / "pictures" / f"{Path(script).stem}.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Software": None}, pil_kwargs={"optimize": True})
    plt.close(figure)
    print(f"picture: {path.parent.parent.name}/{path.parent.name}/{path.name}")
