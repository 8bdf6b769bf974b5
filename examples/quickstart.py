"""Fit, score and explain: a classifier and a regressor on data that scikit-learn ships, and
nothing tuned.
"""

import numpy as np
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from fastgd import GDClassifier, GDRegressor


def explain(model, names, most=5):
    """Print what was done, how good it is for certain, and which columns matter."""
    print("plan          ", model.plan_)
    print("stopped       ", model.stop_reason_.value)
    print(
        f"objective      {model.objective_:.6g}, within {model.suboptimality_:.1e} of the optimum "
        f"({model.bound_kind_})"
    )
    print(
        f"cost           {model.n_iter_} iterations, {model.history_['passes'][-1]:.0f} passes "
        "over the rows"
    )
    coef = np.ravel(model.coef_)
    for j in np.argsort(-np.abs(coef * model.spread))[:most]:
        print(f"    {names[j]:28s} {coef[j]:+.4g} per unit")


def main():
    """Run the whole tour."""
    data = load_breast_cancer()
    X, X_test, y, y_test = train_test_split(
        data.data, data.target, random_state=0, stratify=data.target
    )
    low, high = X.max(axis=0).min(), X.max()
    print(
        f"Breast cancer: {X.shape[0]} raw rows, {X.shape[1]} columns on scales {low:.2g} to "
        f"{high:.4g}"
    )
    model = GDClassifier(random_state=0).fit(X, y)
    model.spread = X.std(axis=0)
    explain(model, data.feature_names)
    print(f"accuracy       {model.score(X_test, y_test):.3f} on rows it has not seen\n")

    sparse = GDClassifier(random_state=0).fit(csr_array(X), y)
    print(
        f"The same rows as CSR: objective {sparse.objective_:.6g} after {sparse.n_iter_} iterations"
    )

    print(
        "\nThe classics on standardised columns: the same optimum, and what each needs to get "
        "within 1 %:"
    )
    scaler = StandardScaler().fit(X)
    for name, batch in (("batch", "full"), ("stochastic", 1), ("mini-batch", 32)):
        classic = GDClassifier(solver="gd", batch_size=batch, alpha=1e-2, tol=1e-2, random_state=0)
        classic.fit(scaler.transform(X), y)
        print(
            f"    {name:10s} descent: objective {classic.objective_:.4f}, {classic.n_iter_:3d} "
            f"epochs, {classic.t_ - 1:6.0f} updates, accuracy "
            f"{classic.score(scaler.transform(X_test), y_test):.3f}"
        )

    data = load_diabetes()
    model = GDRegressor(loss="huber", epsilon=50.0, alpha=1e-5).fit(data.data, data.target)
    model.spread = data.data.std(axis=0)
    print(f"\nDiabetes, Huber loss: {data.data.shape[0]} rows")
    explain(model, data.feature_names)
    print(f"R^2            {model.score(data.data, data.target):.3f}")


if __name__ == "__main__":
    main()
