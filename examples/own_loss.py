"""A loss of one's own in ten lines: expectiles, which ask more of what is too low than of what
is too high.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from style import BLACK, BLUE, GREY, RED, save

from fastgd import GDRegressor, Loss, check_loss


class Expectile(Loss):
    infimum = 0.0
    level: float = 0.5

    def value(self, prediction, target):
        r = prediction - target
        return (self.level if r < 0.0 else 1.0 - self.level) * r * r

    def derivative(self, prediction, target):
        r = prediction - target
        return 2.0 * (self.level if r < 0.0 else 1.0 - self.level) * r


def main():
    print(check_loss(Expectile(0.9)))
    data = load_diabetes(scaled=False)
    bmi, progress = data.data[:, [2]], data.target
    figure, axis = plt.subplots(figsize=(6.2, 3.8))
    axis.plot(bmi, progress, ".", color=GREY, ms=3, alpha=0.7)
    grid = np.array([[17.5], [42.5]])
    for level, color, dashes in ((0.95, RED, "--"), (0.5, BLACK, "-"), (0.05, BLUE, "-.")):
        model = GDRegressor(loss=Expectile(level), alpha=1e-6, tol=1e-8).fit(bmi, progress)
        print(
            f"level {level}: {model.plan_}\n    {model.n_iter_} iterations, within "
            f"{model.suboptimality_:.0e}, ",
            end="",
        )
        print(f"{np.mean(model.predict(bmi) > progress):.0%} of the rows below the line")
        axis.plot(grid, model.predict(grid), dashes, color=color, lw=2)
        axis.text(42.7, model.predict(grid)[1], f"level {level}", color=color, va="center")
    axis.set(
        xlabel="body mass index, kg / m$^2$",
        ylabel="progress of diabetes after a year",
        xlim=(17, 46.5),
    )
    axis.set_title("Lines fitted with Expectile(level)")
    save(figure, __file__)


if __name__ == "__main__":
    main()
