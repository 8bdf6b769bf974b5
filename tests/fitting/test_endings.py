"""How fits end and what they claim: one number, proved or estimated; where it is not small, a
word.
"""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, make_classification

from fastgd import (
    ConvergenceWarning,
    DivergenceError,
    EpsilonInsensitive,
    GDClassifier,
    GDClassifierCV,
    GDRegressor,
    Quantile,
    StoppingRule,
    StopReason,
)
from fastgd.certificates.bound import Bound
from fastgd.certificates.certifier import Certifier
from fastgd.certificates.estimates import sure_fall
from fastgd.fitting import ending, successor
from fastgd.fitting.divergence import still_grows
from fastgd.fitting.ending import below_rounding, falls_short, how_it_ended, smallest_tol
from fastgd.fitting.extrapolation import Cautious, Extrapolated, extrapolated_fall
from fastgd.fitting.history import History
from fastgd.fitting.loop import Loop
from fastgd.fitting.result import Result
from fastgd.losses.base import Loss
from fastgd.objective.objective import Objective
from fastgd.solvers.base import Progress, Solver, Traits

XC, YC = load_breast_cancer(return_X_y=True)
ZC = (XC - XC.mean(axis=0)) / XC.std(axis=0)
XD, YD = load_diabetes(return_X_y=True)


def heard(model, X, y):
    """What a fit warns of."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        model.fit(X, y)
    assert all(issubclass(one.category, ConvergenceWarning) for one in seen)
    return [str(one.message) for one in seen]


@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile", "epsilon_insensitive"])
@pytest.mark.parametrize("n", [1, 12])
def test_where_all_targets_are_one_number_that_is_the_answer(n, loss):
    """F of what a search found was 1e-31, which 0 is infinitely better than: "within 2e-4"."""
    own = [{}, {"solver": "sdca"}, {"solver": "nesterov", "batch_size": "full"}]
    if loss in ("squared_error", "huber"):
        own += [{"solver": "lbfgs"}, {"solver": "saga"}]
    for y in (0.0, 1e5 / 3.0):
        for parameters in own:
            model = GDRegressor(loss, max_iter=8, random_state=0, **parameters)
            model.fit(1e3 * XD[:n], np.full(n, y))
            assert model.objective_ == 0.0
            assert model.converged_
            assert model.suboptimality_ <= 1e-15
            assert not model.coef_.any()


@pytest.mark.plain
@pytest.mark.parametrize("eta0", [0.1, 100.0])
@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_hinge", "modified_huber"])
@pytest.mark.parametrize("batch_size", ["full", 1])
def test_rates_that_are_too_large_are_told(batch_size, loss, eta0):
    """Once a plateau, converged_ and silence, with F 1e5 times the null model's."""
    model = GDClassifier(
        loss=loss,
        solver="gd",
        batch_size=batch_size,
        learning_rate="constant",
        eta0=eta0,
        max_iter=64,
        random_state=0,
    )
    try:
        messages = heard(model, XC, YC)
    except DivergenceError:
        assert not hasattr(model, "coef_")
        return
    assert not model.converged_
    assert len(messages) == 1
    assert f"The rate ({eta0:.3g} at the end) is too large" in messages[0]
    assert "lower eta0, scale X" in messages[0]
    assert "raise max_iter" not in messages[0]


@pytest.mark.parametrize("solver", ["momentum", "nesterov", "adagrad", "rmsprop", "adam"])
def test_so_are_those_of_other_rules(solver):
    model = GDClassifier(solver=solver, batch_size="full", learning_rate="constant", eta0=1.0)
    messages = heard(model, XC, YC)
    assert (model.stop_reason_, model.converged_, model.bound_kind_) == (
        StopReason.PLATEAU,
        False,
        "proof",
    )
    assert len(messages) == 1
    assert "The rate (1 at the end) is too large" in messages[0]


@pytest.mark.parametrize(
    ("eta0", "options"),
    [
        (1e-9, {}),
        (1e-4, {"max_iter": 30}),
        (1e-6, {"solver": "gd", "batch_size": "full"}),
        (1e-3, {"solver": "gd", "batch_size": "full", "max_iter": 1}),
    ],
)
def test_rates_that_are_too_small_are_told(eta0, options):
    """They were called too large: such a run is above the null model, too."""
    model = GDRegressor(learning_rate="constant", eta0=eta0, random_state=0, **options)
    messages = heard(model, ZC[:200, :5], ZC[:200, 5] + 5.0)
    assert len(messages) == 1
    assert f"The rate ({eta0:.3g} at the end) is too small for so few iterations" in messages[0]
    assert "Raise eta0 or max_iter" in messages[0]


@pytest.mark.plain
def test_nor_are_sane_rates_of_losses_below_0():
    """F of -6.012, below -3.764 of the null model, was told to be still above it."""

    class Product(Loss):
        curvature_bound, self_concordance = 1.0, 0.0

        def value(self, prediction, target):
            return 0.5 * prediction * prediction - prediction * target

        def derivative(self, prediction, target):
            return prediction - target

        def curvature(self, prediction, target):
            return 1.0

    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    y = X @ [1.0, 2.0, -1.0] + 3.0 + 0.3 * rng.standard_normal(60)
    for loss in ("squared_error", Product()):
        model = GDRegressor(
            loss, solver="gd", batch_size="full", learning_rate="constant", eta0=0.1, alpha=0.0
        )
        (message,) = heard(model.set_params(max_iter=32), X, y)
        assert "The rate" not in message


def test_only_who_named_a_solver_is_told_to_leave_the_choice(monkeypatch):
    monkeypatch.setattr(ending, "advice", lambda *run: ending.NO_MORE)
    for solver, told in (("lbfgs", True), ("auto", False)):
        (message,) = heard(GDClassifier(solver=solver, max_iter=1, tol=1e-9), ZC, YC)
        assert "Its steps bring no more" in message
        assert message.endswith("Or leave the choice to solver='auto'.") == told


def test_what_still_grows_above_the_constant_model_has_diverged():
    curvature = np.linalg.eigvalsh(
        np.cov(np.c_[XD / XD.std(), np.ones(len(YD))].T, bias=True)
    ).max()
    model = GDRegressor(
        solver="gd",
        batch_size="full",
        learning_rate="constant",
        eta0=8.0 / curvature,
        max_iter=6,
        tol=None,
    )
    with pytest.raises(DivergenceError, match="and still grows in iteration 6") as caught:
        model.fit(XD / XD.std(), YD)
    assert len(caught.value.history["objective"]) == 6
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize(
    ("iterations", "objective", "grows"),
    [
        ([1, 2, 3], [2.0, 4.0, 8.0], True),
        ([1, 2, 4], [2.0, 4.0, 16.0], True),
        ([1, 2, 4], [2.0, 3.0, 4.5], False),  # a power of the number of iterations
        ([1, 2, 3], [2.0, 2.5, 3.0], False),
        ([1, 2, 3], [4.0, 2.0, 8.0], False),
        ([1, 2, 3], [0.1, 0.2, 0.4], False),  # below the null model
        ([1, 2], [2.0, 8.0], False),
        ([1, 2, 4], [1.0, -0.5, 3.0], False),  # no logarithm
    ],
)
def test_growth_is_told_from_noise_and_from_beginnings(iterations, objective, grows):
    F = Objective("squared_error", np.ones((2, 1)), [0.0, 2.0], fit_intercept=True)
    solver = Solver(F)
    solver.traits = Traits(chooses_steps=False)
    descent = Loop(solver, [], max_iter=3)
    descent.record.history = History()
    for iteration, value in zip(iterations, objective, strict=True):
        descent.record.history.append(iteration=iteration, objective=value)
    assert F.null_value == pytest.approx(0.5)
    assert still_grows(solver, descent.record.history) == grows
    solver.traits = Traits(chooses_steps=True)
    assert not still_grows(solver, descent.record.history)


@pytest.mark.jit
@pytest.mark.parametrize("rate", ["optimal", "invscaling", "adaptive", "constant"])
def test_sane_rates_end_without_a_word(rate):
    model = GDClassifier(learning_rate=rate, eta0=0.01, random_state=0)
    messages = heard(model, ZC, YC)
    assert all("max_iter was reached" in one for one in messages)
    assert model.converged_ == (model.suboptimality_ <= model.tol)
    # By the rule of SGDClassifier, optimal rates are done sooner than before: there it was 0.19.
    assert model.objective_ < (0.21 if rate == "optimal" else 0.2)


def test_the_perceptron_is_left_out():
    model = GDClassifier(loss="perceptron", penalty=None, random_state=0, max_iter=200)
    side = ZC @ np.linspace(-1.0, 1.0, ZC.shape[1]) > 0.0
    Z = ZC + 0.2 * np.where(side, 1.0, -1.0)[:, None] * np.linspace(-1.0, 1.0, ZC.shape[1])
    assert heard(model, Z, side) == []
    assert model.score(Z, side) == 1.0


@pytest.mark.parametrize("penalty", ["l2", None])
def test_nor_do_large_columns_make_the_perceptron_diverge(penalty):
    """Its loss has the unit of |x|^2: 1e18 for a time stamp, which was called divergence."""
    rng = np.random.default_rng(0)
    X = np.c_[rng.normal(size=(400, 2)), 1.7e9 + 60.0 * np.arange(400)]
    y = X[:, 0] > 0.0
    model = GDClassifier(loss="perceptron", penalty=penalty, random_state=0, max_iter=20)
    assert len(heard(model, X, y)) <= 1  # that it took all iterations
    chunks = GDClassifier(loss="perceptron", penalty=penalty, random_state=0)
    for rows in np.array_split(np.arange(400), 4):
        chunks.partial_fit(X[rows], y[rows], classes=[False, True])
    assert np.isfinite([model.coef_, chunks.coef_]).all()


@pytest.mark.plain
def test_an_estimate_that_ends_a_run_is_what_is_told():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 5))
    y = X @ [1.0, -1.0, 0.5, 0.0, 2.0] + rng.standard_normal(300)
    model = GDRegressor(
        loss="quantile", solver="gd", batch_size=1, random_state=0, tol=1e-2, alpha=1e-5
    )
    assert heard(model, X, y) == []
    assert (model.stop_reason_, model.bound_kind_, model.converged_) == (
        StopReason.CONVERGED,
        "estimate",
        True,
    )
    assert model.suboptimality_ <= 1e-2
    proved = model.history_["bound"][-1]
    assert proved > 10.0 * model.suboptimality_ * model.objective_
    best = GDRegressor(loss="quantile", alpha=1e-5, tol=1e-8).fit(X, y)
    assert best.bound_kind_ == "proof"
    assert proved >= model.objective_ - best.objective_


@pytest.mark.jit  # for long in plain Python
@pytest.mark.thinned(plain=1, compiled=2)
@pytest.mark.parametrize("loss", ["hinge", "epsilon_insensitive", "quantile"])
@pytest.mark.parametrize("solver", ["gd", "adagrad"])
def test_estimates_are_honest(loss, solver, monkeypatch):
    monkeypatch.setattr(successor, "FEW_ROWS", 0)
    rng = np.random.default_rng(3)
    truths, claims = [], []
    for k in range(6):
        n, d = int(rng.integers(100, 400)), int(rng.integers(2, 12))
        X = rng.standard_normal((n, d)) * np.exp(rng.normal(0.0, 0.5, d))
        y = X @ rng.standard_normal(d) + rng.standard_normal(n)
        kind, y = (GDClassifier, y > 0.0) if loss == "hinge" else (GDRegressor, y)
        kw = {"loss": loss, "alpha": 1e-3}
        best = kind(**kw, tol=1e-9).fit(X, y)
        model = kind(**kw, solver=solver, batch_size=1, tol=1e-2, random_state=k)
        if heard(model, X, y) == [] and model.bound_kind_ == "estimate":
            truths.append((model.objective_ - best.objective_) / best.objective_)
            claims.append(model.suboptimality_)
    assert len(truths) >= 3
    assert (np.array(claims) <= 1e-2).all()
    assert np.median(np.array(truths) / claims) < 3.0
    assert np.mean(np.array(truths) < 10.0 * np.array(claims)) > 0.6
    assert max(truths) <= 10.0 * 1e-2


def test_no_estimate_above_the_constant_model():
    class Above(Solver):
        def advance(self, state):
            state.point = np.array([3.0])
            state.iteration, state.rate = state.iteration + 1, 1.0

        traits = Traits(free_answers=False)

    F = Objective("hinge", np.ones((2, 1)), [-1.0, 1.0], fit_intercept=False)
    solver = Above(F)
    descent = Loop(solver, [Extrapolated(1e-3)], max_iter=64, tol=1e-3)
    result = descent.run(solver.start(np.zeros(1)))
    assert result.objective <= F.null_value
    assert result.bound.kind != "estimate"
    assert falls_short(result, 1e-3)


def test_steps_that_bring_no_more_are_told_where_nothing_is_proved():
    class Stuck(Solver):
        def advance(self, state):
            state.point = np.array([0.5])
            state.value, state.gradient = self.objective.smooth_and_gradient(state.point)
            state.iteration, state.rate = state.iteration + 1, 1.0

        def progress(self, state):
            return Progress(done=state.iteration >= 3)

    F = Objective("squared_error", np.ones((2, 1)), [0.0, 2.0], fit_intercept=False)
    solver = Stuck(F)
    result = Loop(solver, [], max_iter=64, tol=1e-4).run(solver.start(np.zeros(1)))
    assert result.reason is StopReason.PLATEAU
    assert falls_short(result, 1e-4)
    text = how_it_ended(result, 1e-4, 64)
    assert "Its steps bring no more" in text
    assert "raise max_iter" not in text
    assert "fit again" not in text


def test_what_converged_means():
    model = GDClassifier(tol=None, max_iter=20).fit(ZC, YC)
    assert (model.converged_, model.suboptimality_ < 1e-6) == (False, True)
    model = GDClassifier(tol=0).fit(ZC, YC)
    assert model.converged_ == (model.suboptimality_ <= 1e-12)
    model = GDClassifier(tol=1e-6, stop=lambda history: len(history["passes"]) == 2).fit(ZC, YC)
    assert (model.stop_reason_, model.converged_) == (StopReason.RULE, model.suboptimality_ <= 1e-6)
    assert GDClassifier(alpha=1e-2).fit(ZC, np.digitize(ZC[:, 0], [-0.5, 0.5])).converged_


def test_tol_0_goes_on_to_rounding_in_silence():
    for model, X, y in (
        (GDRegressor(loss="huber", tol=0), XD, YD),
        (GDClassifier(loss="squared_hinge", tol=0), ZC, YC),
        (GDClassifier(loss="hinge", tol=0, alpha=1e-2), ZC, YC),
    ):
        assert heard(model, X, y) == []
        assert model.suboptimality_ <= 1e-8


def test_rounding_that_keeps_tol_far_away_is_told():
    """Columns of 1e9 without an intercept: F is rounded by 2e-8 of its unit."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 30)), rng.standard_normal(20)
    X[:, ::2] += 1e9
    model = GDRegressor("huber", penalty=None, fit_intercept=False)
    for tol, told in ((0.0, False), (1e-10, True), (1e-8, False), (1e-6, False)):
        seen = heard(model.set_params(tol=tol), X, y)
        assert bool(seen) == told
        assert (model.bound_kind_, model.suboptimality_ < 1e-7) == ("proof", True)
        assert model.converged_ == (tol == 1e-6)
    assert "what is left is rounding" in heard(model.set_params(tol=1e-10), X, y)[0]


def test_a_run_that_is_all_rounding_is_told():
    """Far columns that do not count as numbers of their own: F is 0.03 and may be wrong by that."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(11, 93)) + 1e9 * rng.choice([-1, 1], 93)
    y = rng.normal(size=11)
    options = {"solver": "adagrad", "batch_size": 16, "penalty": None, "tol": 1e-6}
    model = GDRegressor("epsilon_insensitive", epsilon=0.0, **options)
    assert "what is left is rounding" in heard(model, X, y)[0]
    assert not model.converged_
    assert heard(model, X, np.ones(11)) == []  # a constant fits


@pytest.mark.parametrize("loss", ["squared_hinge", "modified_huber"])
@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs"])
def test_where_no_bound_goes_to_0_an_estimate_does(loss, solver):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 5))
    y = X @ [1.0, -1.0, 0.5, 0.0, 2.0] + 2.0 * rng.standard_normal(300) > 0
    model = GDClassifier(loss=loss, alpha=0.0, solver=solver, tol=1e-6)
    assert heard(model, X, y) == []
    assert model.converged_
    best = GDClassifier(loss=loss, alpha=0.0, tol=None, max_iter=100, solver="newton").fit(X, y)
    assert model.objective_ - best.objective_ <= max(model.suboptimality_, 1e-9) * best.objective_


def test_of_several_classes_the_worst_is_told():
    class Second(StoppingRule):
        calls = 0

        def check(self, history):
            Second.calls += 1
            return StopReason.RULE if Second.calls == 3 else None

    y = np.digitize(ZC[:, 0], [-0.5, 0.5])
    model = GDClassifier(stop=Second(), tol=1e-10, alpha=1e-3, n_jobs=1).fit(ZC, y)
    assert model.stop_reason_ is StopReason.RULE
    assert not model.converged_


def test_paths_tell_of_plateaus_too():
    search = GDClassifierCV(
        alphas=[1e-3, 1e-4],
        cv=2,
        solver="gd",
        batch_size="full",
        learning_rate="constant",
        eta0=1.0,
        refit=False,
    )
    with pytest.warns(ConvergenceWarning, match="of 4 fits along the paths ended before"):
        search.fit(XC, YC)


def history_of(objective):
    history = History()
    for k, value in enumerate(objective):
        history.append(iteration=2**k, objective=value, rate=1.0)
    return history


def test_what_is_told_as_left():
    history = history_of([4.0, 2.0, 1.5, 1.25])
    assert Extrapolated(1e-3).remaining_fall(history) == 0.25
    assert Extrapolated(1e-3).estimate(history) == 0.5
    assert Cautious(1e-3, False).estimate(history) == pytest.approx(19 * 0.25)
    for rule in (Extrapolated(1e-3), Cautious(1e-3, True)):
        assert rule.estimate(history_of([4.0, 2.0])) == np.inf
        assert rule.check(history_of([4.0, 2.0])) is None
    # A fall of 1e-4 after one of 1 may leave 19e-4.
    falls = history_of([2.0, 1.0, 0.9999])
    assert Cautious(1e-3, False).check(falls) is StopReason.PLATEAU
    assert Cautious(1e-3, True).check(falls) is None
    assert Cautious(2e-3, True).check(falls) is StopReason.PLATEAU
    assert extrapolated_fall(3.0, 2.0, 2.5) == 0.5
    assert extrapolated_fall(1.0, 2.0, 2.5) == pytest.approx(19 * 0.5)


def test_who_has_to_be_told():
    def result(reason, suboptimality=1.0, advice=""):
        return Result(
            np.zeros(1),
            1.0,
            Bound(0.5, "proof"),
            suboptimality,
            reason,
            history_of([1.0]),
            None,
            advice,
        )

    assert not falls_short(result(StopReason.MAX_ITER), None)
    assert not falls_short(result(StopReason.MAX_ITER, 1e-5), 1e-4)
    assert falls_short(result(StopReason.MAX_ITER), 1e-4)
    assert falls_short(result(StopReason.TIME), 1e-4)
    assert not falls_short(result(StopReason.PLATEAU), 1e-4)
    assert falls_short(result(StopReason.PLATEAU, advice="Lower it."), 1e-4)
    assert not any(
        falls_short(result(reason), 1e-4) for reason in (StopReason.RULE, StopReason.CALLBACK)
    )
    estimated = result(StopReason.PLATEAU, 0.5, "Lower it.")
    estimated.bound = Bound(0.5, "estimate")
    assert "is estimated to be within 0.5" in how_it_ended(estimated, 1e-4, 10)
    assert how_it_ended(estimated, 1e-4, 10).endswith(". Lower it.")


@pytest.mark.plain
def test_where_noise_ends_a_run_falls_and_curvature_agree(monkeypatch):
    monkeypatch.setattr(successor, "FEW_ROWS", 0)
    X, y = make_classification(500, 20, random_state=0)
    model = GDClassifier(
        loss="squared_hinge", alpha=0.0, solver="adam", batch_size=32, random_state=0
    )
    assert heard(model, X / X.std(axis=0), y) == []
    assert model.bound_kind_ == "estimate"
    best = GDClassifier(loss="squared_hinge", alpha=0.0, tol=1e-6).fit(X / X.std(axis=0), y)
    assert model.objective_ - best.objective_ <= 1e-4 * best.objective_


@pytest.mark.plain
def test_an_estimate_of_a_higher_point_does_not_converge():
    """The central path is lost in rounding; one-row steps take over and are soon at rest, above
    where they began.
    """
    X, y = np.tile([-3.7, 1e6, 1.0, 0.0], (3, 7)), np.array([18.11686976, 18.74349442, 18.14233251])
    model = GDRegressor(loss=EpsilonInsensitive(0.1), alpha=1e-7, fit_intercept=False, tol=4e-3)
    told = heard(model, X, y)
    assert model.converged_ == (model.stop_reason_ is StopReason.CONVERGED) == (not told)


@pytest.mark.parametrize(
    "given", [{}, {"learning_rate": "constant", "eta0": 0.01}], ids=["own steps", "a rate"]
)
@pytest.mark.parametrize("solver", ["gd", "nesterov"])
def test_where_a_constant_fits_nothing_counts_as_diverged(solver, given):
    """F0 is 0 or rounding there, and whatever a step does is 1e10 times that."""
    rng = np.random.default_rng(0)
    X = np.exp(3.0 * rng.standard_normal((1, 60)))
    for y in (np.array([669.2]), np.array([0.0]), np.array([0.1])):
        model = GDRegressor(
            Quantile(0.2), solver=solver, batch_size="full", alpha=4e-7, max_iter=50, **given
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X / 1e3, y)
        assert np.isfinite(model.objective_)
        if not given:
            assert model.objective_ <= 1e-9
    X, y = rng.standard_normal((4, 3)), np.full(4, 0.1)
    GDRegressor(
        solver="gd", batch_size="full", learning_rate="constant", eta0=0.1, alpha=1.0, tol=None
    ).fit(X, y)


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(3))
def test_steps_that_heavy_tails_keep_short_have_not_converged(seed):
    """F hardly falls from the null model, which is no sign that it is the best one."""
    rng = np.random.default_rng(seed)
    X = np.exp(3.0 * rng.standard_normal((600, 6)))
    y = X[:, 0] / X[:, 0].std() + 0.1 * rng.standard_normal(600)
    best = GDRegressor(loss="quantile", alpha=1e-5, tol=1e-6).fit(X, y)
    for solver in ("momentum", "nesterov"):
        model = GDRegressor(
            loss="quantile", alpha=1e-5, solver=solver, batch_size=1, max_iter=200, tol=1e-3
        )
        told = heard(model.set_params(random_state=0), X, y)
        assert told or model.objective_ - best.objective_ <= 1e-2 * best.objective_


def test_what_f_surely_falls_by_is_a_lower_bound():
    rng = np.random.default_rng(0)
    X = np.exp(2.0 * rng.standard_normal((100, 4))) + 5.0
    y = X[:, 0] / 20.0 + rng.standard_normal(100)
    F = Objective("quantile", X, y, alpha=1e-3)
    best = GDRegressor(loss="quantile", alpha=1e-3, tol=1e-9).fit(X, y).objective_
    v = np.r_[np.zeros(4), np.median(y)]
    value, gradient = F.value_and_gradient(v)
    fall = sure_fall(F, v, gradient)
    assert 0.1 * (value - best) < fall <= (value - best) * (1.0 + 1e-9)


def ended(objective, bound, doubt, suboptimality, values):
    history = History()
    for value in values:
        history.append(
            passes=1.0,
            seconds=0.0,
            objective=value,
            bound=bound,
            batch=1,
            iteration=1,
            suboptimality=suboptimality,
        )
    bound = Bound(bound, "proof")
    return Result(
        np.zeros(1), objective, bound, suboptimality, StopReason.PLATEAU, history, None, "", doubt
    )


def test_a_tol_below_rounding_is_told_before_all_plans_are_tried():
    """Huber's loss on 3 million rows, tol=1e-12: six plans took 1,000 passes for a proof that came
    down to 4 times what F is rounded by, 1.6e-12.
    """
    still = [2.0, 1.682, 1.682, 1.682]
    found = ended(1.682, 1.003e-11, 6.62e-13, 5.96e-12, still)
    assert below_rounding(found, 1e-12)
    assert "tol=6e-12 is about the smallest" in smallest_tol(found)
    assert not below_rounding(found, 1e-11)  # reached
    assert not below_rounding(found, 5e-12)  # others may prove that
    assert not below_rounding(found, 1e-15)  # asks for no more than rounding
    assert not below_rounding(ended(1.682, 1e-9, 6.62e-13, 6e-10, still), 1e-12)
    assert not below_rounding(ended(1.682, 1.003e-11, 6.62e-13, 5.96e-12, [2.0, 1.9, 1.7]), 1e-12)


def test_a_better_intercept_keeps_what_is_proved():
    """The best intercept was looked for at the end, and its check told its own gap alone."""
    F = Objective("huber", ZC, YC.astype(float), alpha=1e-3)
    F.know_null_model()
    certifier = Certifier(F, 1e-12)
    v = np.linspace(-0.01, 0.01, F.size)
    before = certifier._centered(certifier.evaluated(v), keeps=False)
    assert before.bound.value > 1e-5
    certifier._lower = before.objective - 1e-6
    after = certifier._centered(certifier.evaluated(v), keeps=False)
    assert after.bound.value == pytest.approx(1e-6, rel=1e-6)
