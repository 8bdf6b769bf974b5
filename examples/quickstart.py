"""A tour: two questions, each answered by fastgd and by scikit-learn with the same objective."""

import time

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LogisticRegression, QuantileRegressor
from sklearn.metrics import mean_absolute_error as mean_error
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from fastgd import GDClassifier, GDRegressor, Objective, Quantile

UNITS = {"age": "year", "bmi": "kg/m^2 of body mass index", "bp": "mm Hg of blood pressure"}


def seconds(model, X, y):
    """Seconds of the first fit, and of the fastest of five more."""
    clock = [time.perf_counter()]
    for _ in range(6):
        model.fit(X, y)
        clock.append(time.perf_counter())
    first, *more = np.diff(clock)
    return first, min(more)


def compare(models, objective, X, y, score, head):
    """Fit all models; print the score, the objective and the seconds of each."""
    print(f"{'':52s} {head:>10s}  {'objective':>9s}  {'seconds':>8s}")
    compiling = 0.0
    for name, model in models.items():
        first, warm = seconds(model, X, y)
        compiling = compiling or first - warm
        F = objective.value(np.append(model.coef_, model.intercept_))
        print(f"{name:52s} {score(model):10.3f}  {F:9.6f}  {warm:8.4f}")
    print(
        "Seconds are those of a fit that is not the first. The first one of this kind of fastgd "
        f"took {compiling:.1f} s\nmore: compiling, once per machine, or loading what was "
        "compiled.\n"
    )


def explain(model):
    """Print how a model was fitted, where the fit stopped, and how sure that is."""
    sure = {"proof": "proved, rounding included", "estimate": "an estimate, not a proof"}
    print(f"How:   {model.plan_}")
    print(
        f"Ended: after {model.n_iter_} iterations, {model.history_['passes'][-1]:.0f} readings of "
        f"the rows: {model.stop_reason_.value}."
    )
    print(
        f"Sure?  The objective is at most {100 * model.suboptimality_:.1g} % above its minimum "
        f"({sure.get(model.bound_kind_, model.bound_kind_)}).\n"
    )


def tumours():
    """A classifier, and the classic strategies beside it."""
    data = load_breast_cancer()
    X, X_test, y, y_test = train_test_split(
        data.data, data.target, random_state=2, stratify=data.target
    )
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    alpha = 0.01
    print(
        "1. Which breast tumours are benign, judged by 30 measurements of cell nuclei?\n"
        f"   {len(y)} tumours to learn from, {len(y_test)} to test; standardised columns; all fits "
        f"minimise\n   mean log loss + {alpha} / 2 |w|^2.\n"
    )
    classic = {"solver": "gd", "alpha": alpha, "tol": 0.01, "random_state": 0}
    models = {
        "fastgd, default": GDClassifier(alpha=alpha),
        "scikit-learn, LogisticRegression": LogisticRegression(C=1 / (alpha * len(y))),
        "fastgd, batch descent, asked for 1 %": GDClassifier(batch_size="full", **classic),
        "fastgd, stochastic descent, asked for 1 %": GDClassifier(batch_size=1, **classic),
        "fastgd, mini-batches of 32, asked for 1 %": GDClassifier(batch_size=32, **classic),
    }
    objective = Objective("log_loss", X, np.where(y == 1, 1.0, -1.0), alpha=alpha)
    compare(models, objective, X, y, lambda model: model.score(X_test, y_test), "accuracy")
    model = models["fastgd, default"]
    explain(model)
    coef = model.coef_.ravel()
    print("What counts most (log-odds of benign for one standard deviation more):")
    for j in np.argsort(-np.abs(coef))[:5]:
        print(f"   {coef[j]:+.2f}  {data.feature_names[j]}")


def diabetes():
    """A regression that is not smooth, on columns in their own units."""
    data = load_diabetes(scaled=False)
    X, X_test, y, y_test = train_test_split(data.data, data.target, random_state=0)
    print(
        "\n2. How far has diabetes gone after a year, in the middle case (the median)?\n"
        f"   {len(y)} patients to learn from, {len(y_test)} to test; columns in their own units; "
        "both fits minimise\n   half the mean absolute error, without a penalty.\n"
    )
    models = {
        "fastgd, default": GDRegressor("quantile", alpha=0.0),
        "scikit-learn, QuantileRegressor": QuantileRegressor(quantile=0.5, alpha=0.0),
    }
    objective = Objective(Quantile(0.5), X, y)
    compare(
        models, objective, X, y, lambda model: mean_error(y_test, model.predict(X_test)), "error"
    )
    model = models["fastgd, default"]
    explain(model)
    print("What some measurements go with, the others being equal:")
    for name, unit in UNITS.items():
        print(f"   {model.coef_[data.feature_names.index(name)]:+.2f}  for each {unit}")


def main():
    """Answer both questions."""
    tumours()
    diabetes()


if __name__ == "__main__":
    main()
