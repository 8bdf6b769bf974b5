"""Step sizes on all rows: too small, right, too large, which raises, and "auto", which needs
none.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler
from style import BLACK, BLUE, GREEN, RED, save

from fastgd import DivergenceError, GDRegressor

# Nothing for a miss of less than a tenth of a standard deviation, the square of what is beyond.
PROBLEM = {"loss": "squared_epsilon_insensitive", "epsilon": 0.1, "alpha": 0.0}


def descend(X, y, **rate):
    """(iterations, objective after each, the error or None) of 40 iterations of plain descent on
    all rows.
    """
    model = GDRegressor(**PROBLEM, solver="gd", batch_size="full", tol=None, max_iter=40, **rate)
    try:
        history = model.fit(X, y).history_
        error = None
    except DivergenceError as found:
        history, error = found.history, found
    return np.arange(1, history["objective"].size + 1), history["objective"], error


def main():
    data = load_diabetes()
    X, y = (
        StandardScaler().fit_transform(data.data[:, :4]),
        (data.target - data.target.mean()) / data.target.std(),
    )
    # The largest curvature L; that of a row's loss is 0 or 2.  Steps of more than 2 / L may lead
    # uphill.
    largest = 2 * np.linalg.eigvalsh(X.T @ X / len(X))[-1]
    best = GDRegressor(**PROBLEM | {"tol": 1e-12}).fit(X, y).objective_
    print(f"largest curvature L = {largest:.2f}: steps below 2 / L = {2 / largest:.2f} are safe")
    runs = {
        "too small\n0.02 / L": (0.02, BLUE, ":", 40.5, 0.25),
        "right\n1 / L": (1.0, GREEN, "--", 17.5, 1e-7),
        "too large, 3 / L:\nDivergenceError": (3.0, RED, "-.", 14, 1e5),
        "auto, nothing\nto choose": (None, BLACK, "-", 3.6, 3e-8),
    }
    figure, axis = plt.subplots(figsize=(6.6, 3.8))
    for name, (share, color, dashes, x, height) in runs.items():
        rate = (
            {"learning_rate": "constant", "eta0": share / largest}
            if share
            else {"learning_rate": "auto"}
        )
        iterations, objective, error = descend(X, y, **rate)
        left = np.maximum(objective / best - 1, 1e-16)
        axis.plot(iterations, left, color=color, linestyle=dashes, lw=2)
        axis.text(x, height, name, color=color, va="center")
        title = name.replace("\n", " ")
        print(
            f"{title}: {error}"
            if error
            else f"{title}: {left[-1]:.0e} of F* too high after {len(iterations)} iterations"
        )
    axis.set(yscale="log", ylim=(1e-9, 1e10), xlim=(0, 46))
    axis.set(xlabel="iterations (each a step on all rows)", ylabel="(F - F*) / F*")
    save(figure, __file__)


if __name__ == "__main__":
    main()
