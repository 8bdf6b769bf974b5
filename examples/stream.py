"""A stream that is never all in memory: each chunk is predicted first, then learnt; half-way the
data change, and a model that forgets follows.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLACK, BLUE, ORANGE, RED, save

from fastgd import GDClassifier

CHUNKS, ROWS, COLUMNS = 200, 500, 50


def stream():
    """Chunks of rows with labels, and the share that even the model which made them gets right;
    it changes half-way.
    """
    rng = np.random.default_rng(0)
    first, second = 4 * rng.normal(size=(2, COLUMNS)) / np.sqrt(COLUMNS)
    for chunk in range(CHUNKS):
        truth = first if chunk < CHUNKS // 2 else second
        X = rng.normal(size=(ROWS, COLUMNS))
        y = X @ truth + rng.logistic(size=ROWS) > 0
        yield X, y, np.mean((X @ truth > 0) == y)


def smooth(scores, width=5):
    """Mean of the last `width` scores, of fewer at the start."""
    return [np.mean(scores[max(0, k - width + 1) : k + 1]) for k in range(len(scores))]


def main():
    # A half-life that is infinite forgets nothing; `history_` has the scores all the same.
    constant = {"learning_rate": "constant", "eta0": 0.02}
    models = {
        "auto": (GDClassifier(forget=np.inf, random_state=0), BLUE, "-"),
        "constant": (GDClassifier(forget=np.inf, random_state=0, **constant), RED, "--"),
        "auto, forget": (GDClassifier(forget=5_000, random_state=0), ORANGE, "-"),
    }
    possible = []
    for X, y, best in stream():
        possible.append(best)
        for model, _, _ in models.values():
            model.partial_fit(X, y, classes=[False, True])
    rows = ROWS * np.arange(1, CHUNKS + 1) / 1000
    figure, axis = plt.subplots(figsize=(7.2, 3.6))
    axis.plot(rows, smooth(possible), color="#8A8A8A", lw=1)
    for name, (model, color, dashes) in models.items():
        scores = np.nan_to_num(model.history_["prequential"], nan=0.5)
        axis.plot(rows, smooth(scores), dashes, color=color)
        before, after, end = np.reshape(scores, (-1, 20)).mean(axis=1)[[4, 5, 9]]
        print(
            f"{name}: {model.t_ - 1:,.0f} updates; accuracy on rows not yet learnt ",
            end="",
        )
        print(
            f"{before:.3f} in 20 chunks before the change, {after:.3f} in 20 after it, {end:.3f} "
            "in the last 20"
        )
    print(
        f"possible: {np.mean(possible):.3f}; in memory: {ROWS} of {CHUNKS * ROWS:,} rows at any "
        "time"
    )
    axis.axvline(rows[CHUNKS // 2 - 1], color=BLACK, lw=0.8)
    axis.text(49, 0.62, "the data change", ha="right")
    axis.text(68, 0.81, "constant rate: follows", color=RED)
    axis.text(68, 0.58, "half-life of 5,000 rows:\nas exact, and follows", color=ORANGE)
    axis.text(68, 0.7, '"auto", rate falls:\nmore exact, slow to follow', color=BLUE)
    axis.annotate("what can be known", (76, 0.877), xytext=(76, 0.905), color="#555555")
    axis.set(
        xlabel="thousand rows seen",
        ylabel="accuracy on rows not yet learnt\n(mean of 5 chunks)",
        xlim=(0, 100),
    )
    axis.set_ylim(0.4, 0.93)
    save(figure, __file__)


if __name__ == "__main__":
    main()
