"""The classic picture: the ways of batch, mini-batch and stochastic descent over the contours of
a loss.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLACK, STRATEGIES, save

from fastgd import GDRegressor, Objective

N = 240


def make_rows():
    """240 rows with two columns that go together, and noisy targets; the best coefficients are
    about (3, -2).
    """
    rng = np.random.default_rng(3)
    X = rng.normal(size=(N, 2)) @ [[1.0, 0.5], [0.0, 0.6]]
    return X, X @ [3.0, -2.0] + 1.5 * rng.normal(size=N)


def path(X, y, rows_per_step, eta0, epochs):
    """All points that descent visits from zeros."""
    model = GDRegressor(
        solver="gd",
        batch_size=rows_per_step,
        learning_rate="constant",
        eta0=eta0,
        alpha=0,
        fit_intercept=False,
        max_iter=epochs,
        tol=None,
        random_state=0,
        record="coef",
    )
    return model.fit(X, y).coef_path_


def draw(axis, contours, points, name, title):
    """One way over the contours; every step has a marker where there are few."""
    look = STRATEGIES[name] | (
        {"marker": "", "linestyle": "-"} if len(points) > 100 else {"linestyle": "-"}
    )
    axis.contour(*contours, colors="#9A9A9A", linewidths=0.7)
    axis.plot(*points.T, **look, lw=1.1, ms=3.5)
    axis.plot(0, 0, "o", color=BLACK, ms=5)
    axis.annotate("start", (0, 0), xytext=(-6, 5), textcoords="offset points", ha="right")
    axis.set(title=title, xlabel="coefficient of column 1", aspect="equal")
    axis.grid(False)


def main():
    X, y = make_rows()
    F = Objective("squared_error", X, y, fit_intercept=False)
    best = np.linalg.lstsq(X, y)[0]
    first, second = np.linspace(-0.9, 4.4, 80), np.linspace(-3.1, 0.9, 80)
    loss = np.array([[F.value([u, v]) for u in first] for v in second]) - F.value(best)
    contours = (first, second, np.sqrt(loss), np.linspace(0.15, 3.0, 8))
    ways = {"batch": (N, 0.5, 24), "mini-batch": (20, 0.5, 2), "stochastic": (1, 0.05, 1)}
    figure, axes = plt.subplots(1, 3, figsize=(9.2, 2.9), sharey=True)
    for axis, (name, (rows, eta0, epochs)) in zip(axes, ways.items(), strict=True):
        points = path(X, y, rows, eta0, epochs)
        steps = len(points) - 1
        passes = f"{epochs} {'pass' if epochs == 1 else 'passes'}"
        draw(axis, contours, points, name, f"{name}: {steps} steps in {passes}")
        axis.plot(*best, "x", color=BLACK, ms=7, mew=1.8)
        axis.annotate("optimum", best, xytext=(7, -9), textcoords="offset points")
        left = (F.value(points[-1]) - F.value(best)) / (F.value(points[0]) - F.value(best))
        print(
            f"{name:10s}: {steps:3d} steps of {rows:3d} rows in {passes}: {left:.2%} of the way "
            "are left"
        )
    axes[0].set_ylabel("coefficient of column 2")
    save(figure, __file__)


if __name__ == "__main__":
    main()
