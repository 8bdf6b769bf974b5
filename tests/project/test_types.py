"""What strict type checkers say of users' scripts: mypy, and basedpyright where it is installed."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import fastgd

HEAD = """
import numpy as np
import fastgd.dask
from fastgd import (
    MCP, SCAD, Adam, BlockSource, CoefficientDisplay, Coefficients, ConvergenceDisplay, ElasticNet,
    GDClassifier, GDClassifierCV, GDRegressor, GDRegressorCV, GroupLasso, Huber, Loss, MultiTask,
    Objective, PathDisplay, Penalty, Quantile, Rule, SearchDisplay, SparseGroupLasso, StoppingRule,
    StopReason, Summary, check_loss, from_chunks, from_parquet, from_svmlight, gradient_descent,
    show_versions, warmup,
)

X, y = np.zeros((3, 2)), np.array([0, 1, 0])
c = GDClassifier()
"""
GOOD = {
    "estimators": """
model = GDClassifier("hinge", alpha=1e-3, batch_size=32, random_state=0).fit(X, y)
left: float = model.suboptimality_
ended: bool = model.converged_
model.partial_fit(X, y, classes=[0, 1], sample_weight=[1.0, 2.0, 1.0])
labels = model.predict(X)
share: float = model.score(X, y)
regression = GDRegressor(loss=Quantile(0.9), penalty=ElasticNet(0.5)).fit([[1.0], [2.0]], [1, 2])
best: float = GDClassifierCV(alphas=[1.0, 0.1], cv="loo").fit(X, y).objective_
alpha: float = GDRegressorCV(alphas=5).fit(X, y, offset=[0.0, 1.0, 2.0]).alpha_
table: Summary = regression.summary(X, y)
worst: float = table.std_error.max()
listed: Coefficients = model.coefficients(X)
print(table.to_frame(), listed.names[0].upper(), regression.loo_predictions(X, y).sum())
""",
    "components": """
GDClassifier(penalty=GroupLasso([[0, 1], [2]], weights=np.ones(2)))
GDRegressor(penalty=SparseGroupLasso([[0], [1]], l1_ratio=0.3), loss=Huber(epsilon=1.5))
GDRegressor(penalty=MCP(gamma=3.0), solver=Adam(0.9), learning_rate="constant", eta0=0.1)
GDRegressor(penalty=SCAD(3.7)).fit(X, y)
GDRegressor(penalty=MultiTask()).fit(X, X)
""",
    "tools": """
F = Objective("log_loss", X, y, alpha=1e-3)
value: float = F.value(np.zeros(3))
value, gradient = F.value_and_gradient(F.start())
steepest: float = gradient.max()
show_versions()
warmup(losses=["hinge"], verbose=False)
gradient_descent(np.linalg.norm, [1.0, 2.0], gtol=1e-3)
""",
    "displays": """
axes = ConvergenceDisplay.from_estimator(c, what="bound").plot(against="seconds").ax_
several = ConvergenceDisplay.from_estimators({"a": c, "b": GDRegressor()}, X, y)
CoefficientDisplay.from_estimator(c, X, most=5)
CoefficientDisplay.from_summary(c.summary(X, y)).plot(most=5)
PathDisplay.from_estimator(GDRegressor(), X, y, alphas=[1.0, 0.1]).plot(columns=["x0"])
SearchDisplay.from_estimator(GDRegressorCV().fit(X, y)).plot()
""",
    "large data": """
from collections.abc import Iterator
from pathlib import Path

def chunks() -> Iterator[tuple[object, object]]:
    yield X, y

model = GDClassifier(memory=1e9).fit(from_chunks(chunks))
source: BlockSource = from_svmlight(["a.svm", Path("b.svm")], n_features=3)
share: float = model.fit(source).score(from_parquet(Path("a.parquet"), target="y"))
far: GDRegressor = fastgd.dask.fit(GDRegressor(), X, y)
share = fastgd.dask.score(far, X, y)
""",
    "components of one's own": """
from collections.abc import Mapping
from numpy.typing import NDArray

class Absolute(Loss):
    smooth = False
    infimum = 0.0
    width: float = 1.0

    def value(self, prediction: float, target: float) -> float:
        return abs(prediction - target) / self.width

    def derivative(self, prediction: float, target: float) -> float:
        return 1.0 if prediction > target else -1.0

    def mean(self, predictions: NDArray[np.float64]) -> NDArray[np.float64]:
        return predictions

class Weighted(Penalty):
    weights: NDArray[np.float64]

    def value(self, coefficient: float, j: int) -> float:
        return float(self.weights[j]) * abs(coefficient)

    def derivative(self, coefficient: float, j: int) -> float:
        return float(self.weights[j])

class Plain(Rule):
    def step(
        self, state: NDArray[np.float64], j: int, gradient: float, decay: float, rate: float,
        scale: float,
    ) -> float:
        return rate * (gradient + decay)

class Low(StoppingRule):
    needs = frozenset({"loss"})

    def check(self, history: Mapping[str, list[float]]) -> StopReason | None:
        return StopReason.RULE if history["loss"][-1] < 1.0 else None

fine: bool = check_loss(Absolute(2.0), targets=[1.0]).ok
weighted = Weighted(weights=np.ones(2))
GDRegressor(Absolute(width=2.0), penalty=weighted, solver=Plain(), stop=[Low()])
GDRegressor(stop=lambda history: len(history["objective"]) > 3)
""",
}
WRONG = {
    "a parameter": "GDClassifier(alpha='x')",
    "a flag": "GDClassifier(fit_intercept='yes please')",
    "a rule that ends a fit": "GDClassifier(stop=3)",
    "a file": "GDClassifier(checkpoint=3)",
    "weights": "c.fit(X, y, sample_weight='heavy')",
    "an argument": "c.fit(X, y, weights=[1.0])",
    "rows": "c.predict(3)",
    "classes": "c.partial_fit(X, y, classes=3)",
    "an attribute": "x: str = c.suboptimality_",
    "what a method gives": "x: str = c.score(X, y)",
    "a level": "c.summary(X, y, level='high')",
    "a number of a summary": "x: str = c.summary(X, y).aic",
    "predictions without a row": "x: str = c.loo_predictions(X, y)",
    "a parameter of a search": "GDClassifierCV(refit=0.5)",
    "alphas": "GDRegressorCV(alphas='many')",
    "an alpha": "x: str = GDRegressorCV().alpha_",
    "groups": "GroupLasso(3)",
    "weights of groups": "GroupLasso([[0, 1]], weights='x')",
    "a share": "SparseGroupLasso([[0]], l1_ratio='half')",
    "a field": "MCP(gamma='x')",
    "another field": "SCAD(a='x')",
    "a width": "Huber(epsilon=[1.0])",
    "a number of a loss": "Huber().value('x', 1.0)",
    "a strength": "Objective('log_loss', X, y, alpha='x')",
    "a value": "x: str = Objective('log_loss', X, y).value(np.zeros(3))",
    "unknowns": "Objective('log_loss', X, y).gradient('abc')",
    "nothing": "x: str = show_versions()",
    "losses to compile": "warmup(losses=3)",
    "a function": "gradient_descent(3, [1.0])",
    "rows of a picture": "ConvergenceDisplay.from_estimator(c, X='rows')",
    "estimators of a picture": "ConvergenceDisplay.from_estimators([c])",
    "how many": "CoefficientDisplay.from_estimator(c).plot(most='all')",
    "columns": "PathDisplay.from_estimator(c, X, y).plot(columns=1.5)",
    "a missing search": "SearchDisplay.from_estimator()",
    "chunks": "from_chunks([X, y])",
    "features of a file": "from_svmlight('a', n_features='x')",
    "a format": "from_parquet('a', format='tsv')",
    "a name of a model": "fastgd.dask.fit('model', X)",
    "a name of a loss": "check_loss('huber')",
    "a report": "x: str = check_loss(Huber())",
}
PACKAGE = Path(fastgd.__file__).parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The scripts, a line of `WRONG` being the last of its own."""
    found = tmp_path_factory.mktemp("scripts")
    for k, text in enumerate((*GOOD.values(), *WRONG.values())):
        (found / f"script_{k}.py").write_text(f"{HEAD}{text}\n", encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def by_mypy(folder):
    """{number of a script: the lines that mypy has errors in}."""
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "cache")]
    names = sorted(path.name for path in folder.glob("script_*.py"))
    run = subprocess.run(
        [*command, *names], capture_output=True, text=True, check=False, cwd=folder
    )
    found = {}
    for line in run.stdout.splitlines():
        name, _, rest = line.partition(".py:")
        if " error: " in rest:
            found.setdefault(int(name.removeprefix("script_")), {})[int(rest.split(":")[0])] = rest
    return found


@pytest.fixture(scope="module")
def by_pyright(folder):
    """The same of basedpyright, whose default settings find types that are not known, too."""
    settings = {"extraPaths": [str(PACKAGE)], "reportUnusedCallResult": "none"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, "--outputjson"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    found = {}
    for one in json.loads(run.stdout)["generalDiagnostics"]:
        if one["severity"] == "error" or one.get("rule", "").startswith("reportUnknown"):
            k = int(Path(one["file"]).stem.removeprefix("script_"))
            line = one["range"]["start"]["line"] + 1
            found.setdefault(k, {})[line] = f"{line}: {one['message']}"
    return found


def needs(name):
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"needs {name}")


@pytest.fixture(
    params=[
        pytest.param("by_mypy", marks=needs("mypy")),
        pytest.param("by_pyright", marks=needs("basedpyright")),
    ]
)
def found(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("what", GOOD)
def test_a_right_script_passes(found, what):
    assert found.get(list(GOOD).index(what), {}) == {}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_type_is_found(found, what):
    k = len(GOOD) + list(WRONG).index(what)
    assert list(found.get(k, {})) == [HEAD.count("\n") + 1]
