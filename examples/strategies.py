"""How far from the optimum each batch strategy is after so many passes and seconds."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_classification
from sklearn.preprocessing import StandardScaler
from style import STRATEGIES, save

from fastgd import ConvergenceDisplay, GDClassifier

CHOICES = {
    "batch": {"solver": "gd", "batch_size": "full", "learning_rate": "line_search", "max_iter": 80},
    "mini-batch": {"solver": "gd", "batch_size": 64, "max_iter": 64},
    "stochastic": {"solver": "gd", "batch_size": 1, "max_iter": 64},
    "growing": {"batch_size": "growing", "max_iter": 20},
}
# Where the names stand in the left picture.
NAMES = {
    "batch": (11, 1.4e-2, "batch, line search"),
    "mini-batch": (1.9, 1.2e-5, "mini-batch\nof 64"),
    "stochastic": (11, 2.2e-4, "stochastic"),
    "growing": (6.9, 2e-8, "growing\nbatch"),
}


def make_rows():
    """100,000 rows, 40 standardised columns that go together."""
    X, y = make_classification(
        100_000, 40, n_informative=20, n_redundant=15, flip_y=0.05, random_state=0
    )
    return StandardScaler().fit_transform(X), y


def fit_all(X, y):
    """One fit of each strategy for a fixed number of iterations, compiled before the clock
    starts.
    """
    fits = {}
    for name, choice in CHOICES.items():
        GDClassifier(**choice | {"max_iter": 2}, tol=None).fit(X[:2000], y[:2000])
        fits[name] = GDClassifier(**choice, tol=None, random_state=0).fit(X, y)
    return fits


def report(name, history, best):
    """Print what it took to come within 1e-2, 1e-4 and 1e-6 of the optimum."""
    # The checks on all rows; a growing batch has others before.
    whole = np.isfinite(history["bound"])
    for share in (1e-2, 1e-4, 1e-6):
        near = np.flatnonzero(whole & (history["objective"] / best - 1 <= share))
        when = f"not in {history['passes'][-1]:.0f} passes"
        if near.size:
            when = f"{history['passes'][near[0]]:.1f} passes, {history['seconds'][near[0]]:.2f} s"
        print(f"{name:10s} within {share:.0e}: {when}")


def main():
    X, y = make_rows()
    best = GDClassifier(tol=1e-12).fit(X, y).objective_
    fits = fit_all(X, y)
    for name, model in fits.items():
        report(name, model.history_, best)
    figure, axes = plt.subplots(1, 2, figsize=(8.8, 3.8), sharey=True)
    for axis, against in zip(axes, ("passes", "seconds"), strict=True):
        display = ConvergenceDisplay.from_estimators(fits, against=against, best=best, ax=axis)
        for line, name in zip(display.lines_, fits, strict=True):
            line.set(**STRATEGIES[name], markevery=4 if name == "batch" else 1)
        axis.set_xscale("log")
        axis.set(ylim=(1e-9, 0.3), ylabel="" if against == "seconds" else "F - F*")
        axis.get_legend().remove()
    for name, (x, height, text) in NAMES.items():
        axes[0].text(x, height, text, color=STRATEGIES[name]["color"])
    axes[0].set_xticks([2, 5, 10, 20, 50, 100], ["2", "5", "10", "20", "50", "100"])
    axes[0].minorticks_off()
    save(figure, __file__)


if __name__ == "__main__":
    main()
