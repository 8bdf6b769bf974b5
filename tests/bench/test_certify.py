"""Claims of fits, judged: false ones are found, and run again."""

from dataclasses import replace

import numpy as np
import pytest

from bench import certify, concave_problems, hard_problems, own_losses
from bench.__main__ import main
from fastgd import LogLoss, SquaredError


def small_problem():
    """Signs that the first of two columns tells: log loss without a penalty."""
    X = np.random.default_rng(0).normal(size=(30, 2))
    y = np.sign(X[:, 0])
    return hard_problems.HardProblem(
        0, 0, X, y, LogLoss(), None, 0.0, 0.0, True, 1e-4, None, None, "dense"
    )


def test_what_is_claimed_under_mcp_and_scad_is_judged():
    index = concave_problems.FIRST
    problem = replace(
        certify.problem_of(4, index),
        X=np.random.default_rng(0).normal(size=(60, 4)),
        y=np.arange(60.0),
        loss=SquaredError(),
        sample_weight=None,
        offset=None,
        alpha=0.1,
        tol=1e-6,
    )
    good = certify.fit(problem, {"solver": "auto"})
    short = certify.fit(problem, {"solver": "nesterov", "batch_size": "full", "max_iter": 1})
    assert good.claims["bound_kind_"] == "stationarity"
    fits = [good, short]
    truth = certify.truth_of(problem, fits)
    assert certify.judge(problem, fits, truth) == []
    assert truth.error(good) <= problem.tol < truth.error(short)
    for claims, warned, kind in (
        ({"suboptimality_": 0.9 * short.claims["suboptimality_"]}, [], "false stationarity"),
        ({"suboptimality_": float("nan")}, [], "false stationarity"),
        ({"bound_kind_": "proof"}, [], "false proof"),
        ({}, [], "silent failure"),
        ({"objective_": 2.0 * short.value.high}, short.warned, "wrong objective_"),
    ):
        boasting = replace(short, claims=short.claims | claims, warned=warned)
        assert [one.kind for one in certify.judge(problem, [boasting], truth)][:1] == [kind]
    assert certify.apart(problem, truth) == ""


def test_a_claim_or_an_excess_that_is_no_number_is_a_finding():
    """No comparison with NaN is true, so that nothing was found."""
    problem = replace(small_problem(), alpha=0.1, penalty="l2")
    good = certify.fit(problem, {"solver": "auto"})
    truth = certify.truth_of(problem, [good])
    assert certify.judge(problem, [good], truth) == []
    assert good.claims["bound_kind_"] == "proof"
    nothing = {"suboptimality_": float("nan")}
    for fit, kinds in (
        (replace(good, claims=good.claims | nothing), ["false proof"]),
        (replace(good, claims=good.claims | nothing | {"bound_kind_": "none"}), []),
        (
            replace(good, value=good.value._replace(high=float("nan"))),
            ["false proof", "wrong objective_"],
        ),
        (
            replace(
                good,
                value=good.value._replace(high=float("nan")),
                claims=good.claims | {"bound_kind_": "none"},
            ),
            ["silent failure", "wrong objective_"],
        ),
    ):
        assert [one.kind for one in certify.judge(problem, [fit], truth)] == kinds


class _Boasting:
    """An estimator that claims to be closer than it is."""

    def fit(self, X, y, **rows):
        super().fit(X, y, **rows)
        self.coef_ = self.coef_ * 1.5
        self.suboptimality_, self.bound_kind_ = 1e-9, "proof"
        return self


def test_a_false_claim_is_found_and_runs_again(monkeypatch, tmp_path, capsys):
    def few(problem):
        return [
            {"solver": "auto"},
            {"solver": "gd", "batch_size": "full", "learning_rate": "constant", "eta0": 1e9},
        ]

    def easy(seed, index):
        rng = np.random.default_rng([seed, index])
        X = rng.normal(size=(40, 3))
        return hard_problems.HardProblem(
            seed,
            index,
            X,
            X @ [1.0, 2.0, 3.0] + rng.normal(size=40),
            SquaredError(),
            "l2",
            1e-3,
            0.0,
            True,
            1e-4,
            None,
            None,
            "dense",
        )

    monkeypatch.setattr(hard_problems, "settings", few)
    monkeypatch.setattr(hard_problems, "make", easy)
    words = ["certify", "--seed", "3", "--fits", "3", "--out", str(tmp_path)]
    assert main(words) == 0
    assert "refused, for example" in capsys.readouterr().out  # DivergenceError is no finding
    boasting = type(
        "GDRegressor", (_Boasting, certify.GDRegressor), {"__init__": certify.GDRegressor.__init__}
    )
    with monkeypatch.context() as patched:
        patched.setitem(certify.ESTIMATORS, False, boasting)
        assert main(words) == 1
        text = capsys.readouterr().out
        assert "BROKEN false proof: 2" in text
        assert "wrong objective_" in text
        recipe = tmp_path / "certify" / "false_proof_3-0_auto.json"
        assert main(["certify", "--again", str(recipe)]) == 1
        assert "found again" in capsys.readouterr().out
    assert main(["certify", "--again", str(recipe)]) == 0
    monkeypatch.setattr(hard_problems, "make", lambda seed, index: easy(seed, index + 1))
    assert main(["certify", "--again", str(recipe)]) == 0  # the data are beside it
    recipe.with_suffix(".npz").unlink()
    with pytest.raises(SystemExit, match="other data now"):
        main(["certify", "--again", str(recipe)])


def test_a_mistake_that_raises_a_value_error_is_no_refusal(monkeypatch):
    problem = hard_problems.make(3, 0)

    def mistaken(self, *_, **__):
        np.zeros(0).max()

    def refusing(self, *_, **__):
        raise ValueError("not such data")

    for fit, attribute in ((mistaken, "crash"), (refusing, "refused")):
        estimator = certify.ESTIMATORS[problem.classification]
        patched = type(
            estimator.__name__, (estimator,), {"fit": fit, "__init__": estimator.__init__}
        )
        monkeypatch.setitem(certify.ESTIMATORS, problem.classification, patched)
        assert "ValueError" in getattr(certify.fit(problem, {"solver": "auto"}), attribute)


def test_a_warning_of_numpy_is_a_finding_of_solvers_with_their_own_steps(monkeypatch):
    problem = small_problem()
    estimator = certify.ESTIMATORS[problem.classification]

    def overflowing(self, *arguments, **parameters):
        np.array([1e300]) * 1e300
        return estimator.fit(self, *arguments, **parameters)

    patched = type(
        estimator.__name__, (estimator,), {"fit": overflowing, "__init__": estimator.__init__}
    )
    monkeypatch.setitem(certify.ESTIMATORS, problem.classification, patched)
    settings = {"solver": "auto"}, {"solver": "gd", "learning_rate": "constant", "eta0": 1e-3}
    fits = [certify.fit(problem, one) for one in settings]
    found = certify.judge(problem, fits, certify.Truth(problem, fits))
    assert [one.fit for one in found if one.kind == "stray warning"] == fits[:1]
    assert "RuntimeWarning at bench/test_certify.py:" in fits[0].stray[0]
    assert "overflow" in fits[0].stray[0]


@pytest.mark.plain
def test_what_is_counted_apart():
    problem = small_problem()
    X = problem.X
    assert certify.apart(problem, certify.Truth(problem, [])) == "separable"
    near = replace(
        problem,
        X=np.column_stack([X[:, 0], X[:, 0] + 1e-9 * X[:, 1]]),
        y=X[:, 1],
        loss=SquaredError(),
    )
    assert certify.apart(near, certify.Truth(near, [])) == "ill-conditioned"
    copies = replace(
        near, X=np.column_stack([X[:, 0] + 1e6, X[:, 0] + 1e6])
    )  # a direction that is not there
    assert certify.apart(copies, certify.Truth(copies, [])) == ""
    constant = replace(near, X=X, y=np.full(30, 7.0))
    assert certify.apart(constant, certify.Truth(constant, [])) == "a constant fits"
    none = replace(near, X=X, y=np.zeros(30), loss=own_losses.Counts())
    assert certify.apart(none, certify.Truth(none, [])) == "a constant fits"
