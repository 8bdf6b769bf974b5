"""SciPy's L-BFGS-B on `fastgd.Objective`, beside the same optimiser on NumPy and the estimator's
own choice.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import make_classification
from sklearn.preprocessing import StandardScaler
from style import BLACK, BLUE, GREY, save

from fastgd import ConvergenceDisplay, GDClassifier, Objective

ALPHA = 1e-5


def numpy_objective(X, y):
    """The same function as people write it: mean log loss, L2 penalty, gradient."""

    def value_and_gradient(v):
        w, b = v[:-1], v[-1]
        margin = y * (X @ w + b)
        pull = -y / (1.0 + np.exp(margin)) / len(y)
        return np.logaddexp(0.0, -margin).mean() + 0.5 * ALPHA * w @ w, np.append(
            X.T @ pull + ALPHA * w, pull.sum()
        )

    return value_and_gradient


def trace(function, start):
    """Seconds and values of all evaluations of L-BFGS-B."""
    seconds, values = [], []
    begin = time.perf_counter()

    def watched(v):
        value, gradient = function(v)
        seconds.append(time.perf_counter() - begin)
        values.append(value)
        return value, gradient

    found = minimize(
        watched,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 200},
    )
    return np.array(seconds), np.minimum.accumulate(values), found


def main():
    X, y = make_classification(
        60_000, 60, n_informative=30, n_redundant=20, flip_y=0.05, random_state=0
    )
    X = StandardScaler().fit_transform(X)
    F = Objective("log_loss", X, 2.0 * y - 1.0, alpha=ALPHA)
    F.value_and_gradient(F.start())  # compile before the clock starts
    model = GDClassifier(alpha=ALPHA, tol=1e-9, random_state=0).fit(X, y)
    model.fit(X, y)
    best = model.objective_
    runs = {
        "L-BFGS-B on NumPy": (
            *trace(numpy_objective(X, 2.0 * y - 1.0), F.start()),
            GREY,
            "--",
            "s",
        ),
        "L-BFGS-B on fastgd.Objective": (*trace(F.value_and_gradient, F.start()), BLUE, "-", "o"),
    }
    figure, axis = plt.subplots(figsize=(6.8, 3.8))
    look = {"color": BLACK, "marker": "D", "linestyle": "-."}
    ConvergenceDisplay.from_estimator(model, against="seconds", best=best, ax=axis, **look)
    history = model.history_
    print(
        f"GDClassifier(): {history['passes'][-1]:.0f} passes, {history['seconds'][-1]:.2f} s\n    "
        f"{model.plan_}"
    )
    for name, (seconds, values, found, color, dashes, marker) in runs.items():
        shown = values - best > 1e-10
        axis.plot(
            seconds[shown],
            (values - best)[shown],
            dashes,
            marker=marker,
            markevery=5,
            color=color,
            label=name,
        )
        print(
            f"{name}: {found.nfev} evaluations, {seconds[-1]:.2f} s, F {abs(found.fun - best):.0e} "
            "from the best"
        )
    axis.set(yscale="log", ylim=(1e-10, 1), xlim=(0, None), xlabel="seconds", ylabel="F - F*")
    axis.legend()
    save(figure, __file__)


if __name__ == "__main__":
    main()
