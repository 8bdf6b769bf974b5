"""A robust loss with two valleys: from many starts batch descent stays in the nearer, noise
finds the deeper.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLACK, GREY, STRATEGIES, save

from fastgd import GDRegressor, Loss, Objective


class Cauchy(Loss):
    """log(1 + r^2 / scale^2) / 2: misses far beyond the scale hardly pull."""

    infimum = 0.0
    convex = False

    scale: float = 0.3

    def value(self, prediction, target):
        r = (prediction - target) / self.scale
        return 0.5 * np.log1p(r * r)

    def derivative(self, prediction, target):
        r = (prediction - target) / self.scale
        return r / (1.0 + r * r) / self.scale


STARTS = np.linspace(-3.0, 4.0, 100)
# Rows per step and rate.  Batch descent stays in the nearer valley at a rate of 0.6 as well.
RUNS = {"batch": ("full", 0.2), "mini-batch": (4, 0.6), "stochastic": (1, 0.2)}


def make_rows():
    """200 rows: seven in ten with slope 2, the others with slope -1."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 1.5, 200)
    slope = np.where(rng.random(200) < 0.7, 2.0, -1.0)
    return x[:, None], slope * x + 0.2 * rng.normal(size=200)


def ends(X, y, batch_size, eta0):
    """Where 60 epochs at a constant rate end, for each start."""
    model = GDRegressor(
        Cauchy(),
        alpha=0,
        fit_intercept=False,
        solver="gd",
        batch_size=batch_size,
        learning_rate="constant",
        eta0=eta0,
        tol=None,
        max_iter=60,
    )
    return np.array(
        [
            model.set_params(random_state=seed).fit(X, y, coef_init=[start]).coef_[0]
            for seed, start in enumerate(STARTS)
        ]
    )


def main():
    X, y = make_rows()
    F = Objective(Cauchy(), X, y, fit_intercept=False)
    w = np.linspace(-3.0, 4.0, 281)
    values = np.array([F.value([v]) for v in w])
    inner = np.arange(1, w.size - 1)
    valleys = w[inner[(values[1:-1] < values[:-2]) & (values[1:-1] < values[2:])]]
    ridge = w[inner[(values[1:-1] > values[:-2]) & (values[1:-1] > values[2:])]][0]
    print(
        f"valleys at w = {valleys[0]:.2f} (F = {F.value([valleys[0]]):.2f}) and {valleys[1]:.2f} "
        f"(F = {F.value([valleys[1]]):.2f}), ridge at {ridge:.2f}"
    )

    figure, axes = plt.subplots(1, 4, figsize=(9.8, 3.1), sharey=True)
    axes[0].plot(values, w, color=BLACK)
    axes[0].set(
        xlabel="mean Cauchy loss", ylabel="coefficient w", title="two valleys\n", ylim=(-3.2, 4.2)
    )
    for valley, name in zip(valleys, ("local", "global"), strict=True):
        axes[0].annotate(
            name, (F.value([valley]), valley), xytext=(11, -3), textcoords="offset points"
        )
    for axis, (name, (batch_size, eta0)) in zip(axes[1:], RUNS.items(), strict=True):
        found = ends(X, y, batch_size, eta0)
        stayed = int((found < ridge).sum())
        rows = {"full": "all 200 rows"}.get(
            batch_size, f"{batch_size} row{'s' * (batch_size != 1)}"
        )
        print(
            f"{name:10s} ({rows} per step, rate {eta0}): {stayed} of {STARTS.size} starts end in "
            "the local valley"
        )
        axis.axhline(ridge, color=GREY, lw=0.8, ls=":")
        axis.plot(STARTS, found, STRATEGIES[name]["marker"], color=STRATEGIES[name]["color"], ms=3)
        axis.text(4.0, -2.6, f"{stayed} of {STARTS.size} in the local valley", ha="right")
        axis.set(xlabel="start", title=f"{name}, {rows}\nrate {eta0}")
    axes[1].set_ylabel("end")
    axes[1].text(-2.9, ridge + 0.12, "ridge", color="#555555")
    save(figure, __file__)


if __name__ == "__main__":
    main()
