"""The picture of README: seconds to 1e-6 of the optimum, from the table of `bench/README.md`.

`python -m bench.overview` writes `bench/pictures/overview.png`.  Nothing is measured, so that
picture and table agree.
"""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
TABLE = r"\| case +\| fastgd,? s"  # by hand, or by `python -m bench suite --markdown`
# Cases of the table, from small to large, with what a reader can tell from their data.
SHOWN = {
    "protein standardised squared 1/n": "least squares\n45,730 x 9",
    "a9a log 1/n": "log loss, sparse\n48,842 x 123",
    "news20_binary log l1 0.01 alpha_max": "log loss, L1, text\n18,821 x 1,283,064",
    "flights squared 1/n": "least squares, sparse\n1,000,000 x 497",
    "census log 1/n": "log loss, sparse\n299,285 x 510",
    "covtype_binary raw log 1/n": "log loss, raw columns\n581,012 x 54",
    "mnist odd or even log 1/n": "log loss, images\n70,000 x 784",
}


def seconds(text):
    """{case: (fastgd, best other, its name, scikit-learn's default or None)}, all at 1e-6."""
    rows = {}
    for line in text[re.search(TABLE, text).start() :].split("\n\n")[0].splitlines()[2:]:
        case, ours, best, _, default, *_ = (cell.strip() for cell in line.strip("|").split("|"))
        own, share = (cell.split(" / ")[-1] for cell in (ours, default))
        name, _, second = best.rpartition(" / ")[2].rpartition(" ")
        name = name or best.split(" / ")[0].rpartition(" ")[0]  # the same one at both accuracies
        theirs = None if share == "-" else float(share) * float(own)
        rows[case] = float(own), float(second), name, theirs
    return rows


def draw(path):
    """Write the picture, one line for each case."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = seconds((FOLDER / "README.md").read_text(encoding="utf-8"))
    figure, axis = plt.subplots(figsize=(8.2, 3.4), layout="constrained")
    for height, case in enumerate(SHOWN):
        own, other, name, default = rows[case]
        axis.plot([own, other], [height, height], color="#CCCCCC", lw=3, zorder=1)
        axis.plot(own, height, "o", color="#D55E00", ms=9, label="fastgd, default settings")
        axis.plot(other, height, "^", color="#0072B2", ms=8, label="the best other solver")
        right = max(other, own)
        if default is not None:
            square = {"marker": "s", "mfc": "none", "color": "#555555", "ls": ""}
            axis.plot(default, height, label="scikit-learn, default solver", **square)
            right = right if default < 0.7 * other or default > 8.0 * other else max(right, default)
        style = {"va": "center", "fontsize": 8, "color": "#0072B2"}
        axis.annotate(name, (right, height), (9, 0), textcoords="offset points", **style)
    axis.set_yticks(range(len(SHOWN)), SHOWN.values(), fontsize=8)
    axis.set(xscale="log", xlim=(1e-3, 40), ylim=(-0.6, len(SHOWN) - 0.4))
    axis.invert_yaxis()
    what = "seconds to within 1e-6 of the optimum (2 threads, warm; further left is better)"
    axis.set_xlabel(what, fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="x", color="#E4E4E4", lw=0.6)
    axis.set_axisbelow(True)
    handles = dict(zip(*axis.get_legend_handles_labels()[::-1], strict=True))
    axis.legend(handles.values(), handles.keys(), fontsize=8, frameon=False, loc="upper right")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=200, metadata={"Software": None}, pil_kwargs={"optimize": True})
    plt.close(figure)
    return path


if __name__ == "__main__":
    print(draw(FOLDER / "pictures" / "overview.png"))
