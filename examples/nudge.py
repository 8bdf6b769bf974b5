"""One coefficient nudged up and down, against the gradient: the same slope, and what each costs
in passes.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLACK, BLUE, GREY, RED, save

from fastgd import EpsilonInsensitive, Objective


def nudged_gradient(F, v, step):
    """Slope of F in each coefficient, from two passes over the rows for each."""
    slopes = np.empty(v.size)
    for j in range(v.size):
        up, down = v.copy(), v.copy()
        up[j] += step
        down[j] -= step
        slopes[j] = (F.value(up) - F.value(down)) / (2 * step)
    return slopes


def one_coefficient():
    """A model of one row and one coefficient, w = 0.30, whose loss is |2 w - 0.1| = 0.5."""
    F = Objective(EpsilonInsensitive(0.0), [[2.0]], [0.1], fit_intercept=False)
    for w in (0.30, 0.35, 0.25):
        print(f"w = {w:.2f}: loss {F.value([w]):.1f}")
    slope = nudged_gradient(F, np.array([0.30]), 0.05)[0]
    print(
        f"slope from the nudges {slope:.1f}, from the gradient {F.gradient([0.30])[0]:.1f}: lower "
        "w\n"
    )
    return F


def count_passes(d):
    """Passes that all slopes of a logistic model with d coefficients take: (by nudging, by the
    gradient).
    """
    rng = np.random.default_rng(d)
    X = rng.normal(size=(8, d)) / np.sqrt(d)
    F = Objective("log_loss", X, np.where(X[:, 0] > 0, 1.0, -1.0), alpha=1e-3, fit_intercept=False)
    v = rng.normal(size=d)
    nudged = nudged_gradient(F, v, 1e-5)
    by_nudging = F.passes
    gradient = F.gradient(v)
    by_gradient = F.passes - by_nudging
    error = np.abs(nudged - gradient).max() / np.abs(gradient).max()
    print(
        f"d = {d:6,}: {by_nudging:7,.0f} passes by nudging, {by_gradient:.0f} by the gradient; "
        f"difference {error:.0e}"
    )
    return by_nudging, by_gradient


def main():
    F = one_coefficient()
    sizes = (1, 100, 10_000)
    counts = np.array([count_passes(d) for d in sizes])
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.4))

    w = np.linspace(0.0, 0.45, 181)
    left.plot(w, [F.value([x]) for x in w], color=BLUE)
    for x, name in ((0.25, "down"), (0.30, "here"), (0.35, "up")):
        loss = F.value([x])
        left.plot(x, loss, "o", color=BLACK if name == "here" else BLUE, ms=7)
        text = f"{name}: {x:.2f}, loss {loss:.1f}"
        left.annotate(text, (x, loss), xytext=(-8, 3), textcoords="offset points", ha="right")
    left.annotate(
        "", (0.2, 0.2), (0.295, 0.39), arrowprops={"arrowstyle": "->", "color": RED, "lw": 1.8}
    )
    left.text(0.265, 0.24, "against the gradient,\n(0.6 - 0.4) / 0.1 = 2", color=RED)
    left.set(
        xlabel="coefficient w",
        ylabel="loss",
        title="One coefficient, nudged by 0.05",
        ylim=(0, 0.8),
    )

    right.loglog(sizes, counts[:, 0], "s--", color=GREY, ms=6)
    right.loglog(sizes, counts[:, 1], "o-", color=BLUE, ms=6)
    for d, nudges in zip(sizes, counts[:, 0], strict=True):
        right.annotate(
            f"{nudges:,.0f}", (d, nudges), xytext=(0, 8), textcoords="offset points", ha="center"
        )
    right.text(70, 900, "nudging: 2 d", color="#555555", ha="right")
    right.text(100, 0.75, "the gradient: 1", color=BLUE, ha="center", va="top")
    right.set(xlabel="coefficients d", ylabel="passes over the rows", ylim=(0.4, 1e5))
    right.set_title("Passes for the slope in all directions")
    right.set_xticks(sizes, [f"{d:,}" for d in sizes])
    right.minorticks_off()
    save(figure, __file__)


if __name__ == "__main__":
    main()
