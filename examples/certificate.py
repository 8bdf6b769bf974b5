"""Reading a fit: what was done and why, and what is proved about the answer, beside what is
true.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator
from sklearn.datasets import load_digits
from style import BLACK, BLUE, GREY, save

from fastgd import GDClassifier

TOL = 1e-6


def explain(model, best):
    """Print what a user wants to know, and what only a longer fit can tell."""
    history = model.history_
    print(f"plan     {model.plan_}")
    print(
        f"stopped  {model.stop_reason_.value}, after {model.n_iter_} iterations, "
        f"{history['passes'][-1]:.0f} passes"
    )
    print(
        f"answer   objective {model.objective_:.9f}, within {model.suboptimality_:.1e} "
        f"({model.bound_kind_})"
    )
    print("         passes   objective    bound on F - F*   F - F*")
    for passes, objective, bound in zip(
        history["passes"], history["objective"], history["bound"], strict=True
    ):
        print(
            f"        {passes:7.1f} {objective:11.6f} {bound:15.1e} "
            f"{max(objective - best, 0.0):12.1e}"
        )
    print()


def draw(axis, model, best, title):
    """Bound and truth against passes: the first is never below the second."""
    history = model.history_
    axis.plot(history["passes"], history["bound"], "-o", color=BLUE)
    axis.plot(history["passes"], np.maximum(history["objective"] - best, 1e-13), "--s", color=BLACK)
    axis.axhline(TOL * best, color=GREY, lw=1, ls=":")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set(yscale="log", ylim=(1e-12, 2), xlabel="passes over the rows", title=title)


def main():
    X, y = load_digits(return_X_y=True)
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.6), sharey=True)
    problems = {'penalty="l2", the default': {}, 'penalty="l1"': {"penalty": "l1"}}
    for axis, (title, options) in zip(axes, problems.items(), strict=True):
        model = GDClassifier(alpha=0.01, tol=TOL, **options).fit(X, y % 2)
        best = GDClassifier(alpha=0.01, tol=1e-11, **options).fit(X, y % 2).objective_
        print(f"{title}, digits: odd or even")
        explain(model, best)
        draw(axis, model, best, title)
    axes[0].set_ylabel("F - F*")
    axes[0].text(10, 0.4, "bound", color=BLUE)
    axes[0].text(3.2, 3e-3, "truth", color=BLACK)
    axes[0].text(3.2, TOL * best * 1.4, "tol F*", color="#555555")
    save(figure, __file__)


if __name__ == "__main__":
    main()
