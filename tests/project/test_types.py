"""What a strict type checker says of a user's script."""

import importlib.util
import subprocess
import sys

import pytest

GOOD = """
import numpy as np
from fastgd import ElasticNet, GDClassifier, GDClassifierCV, GDRegressor, Quantile

X, y = np.zeros((3, 1)), np.array([0, 1, 0])
model = GDClassifier("hinge", alpha=1e-3, batch_size=32, random_state=0).fit(X, y)
left: float = model.suboptimality_
ended: bool = model.converged_
model.partial_fit(X, y, classes=[0, 1], sample_weight=[1.0, 2.0, 1.0])
labels = model.predict(X)
share: float = model.score(X, y)
regression = GDRegressor(loss=Quantile(0.9), penalty=ElasticNet(0.5)).fit([[1.0], [2.0]], [1, 2])
best: float = GDClassifierCV(alphas=[1.0, 0.1], cv="loo").fit(X, y).objective_
print(regression.summary(X, y).to_frame(), model.coefficients())
"""
WRONG = {
    "a parameter": "GDClassifier(alpha='x')",
    "a flag": "GDClassifier(fit_intercept='yes please')",
    "weights": "GDClassifier().fit(np.zeros((3, 1)), [0, 1, 0], sample_weight='heavy')",
    "an argument": "GDClassifier().fit(np.zeros((3, 1)), [0, 1, 0], weights=[1.0])",
    "an attribute": "x: str = GDClassifier().suboptimality_",
    "what a method gives": "x: str = GDClassifier().score(np.zeros((3, 1)), [0, 1, 0])",
    "a parameter of a search": "GDClassifierCV(refit=0.5)",
}
pytestmark = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="needs mypy")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What mypy prints about each script, checked in one run."""
    folder = tmp_path_factory.mktemp("scripts")
    (folder / "good.py").write_text(GOOD, encoding="utf-8")
    for k, line in enumerate(WRONG.values()):
        text = f"import numpy as np\nfrom fastgd import GDClassifier, GDClassifierCV\n{line}\n"
        (folder / f"wrong_{k}.py").write_text(text, encoding="utf-8")
    names = ["good", *(f"wrong_{k}" for k in range(len(WRONG)))]
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "cache")]
    command += [f"{name}.py" for name in names]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    lines = run.stdout.splitlines()
    return {name: [line for line in lines if line.startswith(f"{name}.py")] for name in names}


def test_a_right_script_passes(found):
    assert found["good"] == []


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_type_is_found(found, what):
    assert found[f"wrong_{list(WRONG).index(what)}"]
