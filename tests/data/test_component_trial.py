"""A user's component is tried in plain Python first: what compiled code could not take is named,
nothing is hurt.
"""

import contextlib
import math
import pickle

import numpy as np
import pytest
from sklearn.datasets import load_iris

import fastgd.estimators.base
import fastgd.estimators.chunk_estimator
from fastgd import (
    GDClassifier,
    GDRegressor,
    Loss,
    Multinomial,
    MultiTask,
    Objective,
    Penalty,
    Rule,
    VectorLoss,
)
from fastgd.data.component_trial import try_components
from fastgd.data.derivative_trial import try_shape, try_shortcuts
from fastgd.losses.classification import LogLoss
from fastgd.losses.regression import SquaredError
from fastgd.objective.vector import outputs_of
from fastgd.penalties.separable import L2
from support.components import ToyMultiSquared, ToySoftmax, ToyWeightedL1
from support.twins import members, targets_of

X, LABELS = load_iris(return_X_y=True)
TARGETS = np.array([-1.5, 0.0, 7.0])


class Softmax(VectorLoss):
    """Without `n_predictions`: one prediction for each column of targets, that is, one."""

    def value(self, predictions, target):
        top = predictions.max()
        return np.log(np.exp(predictions - top).sum()) + top - predictions[int(target[0])]

    def derivatives(self, predictions, target, out):
        shares = np.exp(predictions - predictions.max())
        out[:] = shares / shares.sum()
        out[int(target[0])] -= 1.0


class Counted(Softmax):
    def n_predictions(self, targets):
        return int(targets.max()) + 1


def loss_with(**methods):
    """A loss of a user's own with other methods."""
    plain = {"value": lambda self, z, y: 0.5 * (z - y) ** 2, "derivative": lambda self, z, y: z - y}
    return type("Mine", (Loss,), {**plain, **methods})()


def vector_loss_with(**methods):
    return type("Several", (Counted,), methods)()


def penalty_with(**methods):
    plain = {"value": lambda self, w, j: abs(w), "derivative": lambda self, w, j: float(np.sign(w))}
    return type("Own", (Penalty,), {**plain, **methods})()


def rule_with(**methods):
    plain = {"step": lambda self, state, j, gradient, decay, rate, scale: rate * (gradient + decay)}
    return type("Stride", (Rule,), {**plain, **methods})()


@pytest.mark.plain  # ten seconds of compiling
def test_too_few_predictions_for_the_classes():
    words = (
        r"Softmax\.n_predictions gives 1 for 3 classes.*define n_predictions.*return "
        r"int\(targets\.max\(\)\) \+ 1"
    )
    with pytest.raises(ValueError, match=words):
        GDClassifier(Softmax()).fit(X, LABELS)
    model = GDClassifier(Counted()).fit(X, LABELS)
    assert model.coef_.shape == (3, 4)
    assert model.score(X, LABELS) > 0.95


def test_chunks_that_lack_classes(monkeypatch):
    """Predictions are counted by all classes, not by those of the chunk: a first one was refused in
    words that the loss followed, a later one ended in shapes that do not broadcast.
    """
    counted = []

    def advance(task, samples, *rest):  # compiles nothing
        counted.append(outputs_of(task.loss, samples[0].targets).n_predictions)
        raise InterruptedError

    monkeypatch.setattr(fastgd.estimators.chunk_estimator, "advance_targets", advance)
    with pytest.raises(InterruptedError):
        GDClassifier(Counted()).partial_fit(X[:50], LABELS[:50], classes=[0, 1, 2])
    told = pickle.loads(pickle.dumps(Counted().of_all_classes(3)))
    targets = LABELS[:50, None] * 1.0
    counted += [outputs_of(loss, targets).n_predictions for loss in (told, Counted())]
    assert counted == [3, 3, 1]
    assert told == Counted()


def test_an_index_beyond_the_predictions():
    for targets in (LABELS, np.where(LABELS == 2, 1, LABELS)):
        with pytest.raises(
            ValueError, match=r"Softmax\.value raises IndexError .*1 prediction, .*n_predictions"
        ):
            Objective(Softmax(), X, targets.astype(float)[:, None])

    def beyond(self, predictions, target, out):
        out[:] = 0.0
        out[predictions.size] = 1.0

    with pytest.raises(ValueError, match=r"Several\.derivatives raises IndexError"):
        GDClassifier(vector_loss_with(derivatives=beyond)).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"Several\.curvature_product raises IndexError"):
        GDClassifier(
            vector_loss_with(curvature_product=lambda self, p, y, v, out: beyond(self, p, y, out))
        ).fit(X, LABELS)


def test_what_is_not_written():
    def first_only(self, predictions, target, out):
        out[0] = 0.0

    with pytest.raises(
        ValueError, match=r"Several\.derivatives must write 3 numbers to out, it leaves out\[1\]"
    ):
        GDClassifier(vector_loss_with(derivatives=first_only)).fit(X, LABELS)


@pytest.mark.parametrize("wrong", [None, 2.0, 0, -1, True, "3"])
def test_a_number_of_predictions_that_is_none(wrong):
    loss = vector_loss_with(n_predictions=lambda self, targets: wrong)
    with pytest.raises(
        ValueError, match=r"Several\.n_predictions must return a whole number of at least 1"
    ):
        GDClassifier(loss).fit(X, LABELS)


def test_a_number_of_predictions_that_cannot_be_had():
    loss = vector_loss_with(n_predictions=lambda self, targets: targets[0, 7])
    said = r"Several\.n_predictions raises IndexError .* for targets of shape \(\d+, 1\)"
    with pytest.raises(ValueError, match=said):
        GDClassifier(loss).fit(X, LABELS)


@pytest.mark.parametrize("wrong", [None, 1j, np.zeros(2), "much", np.nan], ids=str)
@pytest.mark.parametrize("method", ["value", "derivative", "curvature"])
def test_results_of_a_loss_that_are_no_numbers(method, wrong):
    with pytest.raises(ValueError, match=rf"Mine\.{method} must return a number, got"):
        GDRegressor(loss_with(**{method: lambda self, z, y: wrong})).fit(X, LABELS * 1.0)
    with pytest.raises(ValueError, match=rf"Mine\.{method} must return a number, got"):
        GDRegressor(loss_with(**{method: lambda self, z, y: wrong})).partial_fit(X, LABELS * 1.0)


@pytest.mark.parametrize("wrong", [None, 1j, np.zeros(2), np.nan], ids=str)
@pytest.mark.parametrize("method", ["value", "derivative", "prox"])
def test_results_of_a_penalty_that_are_no_numbers(method, wrong):
    bad = (lambda self, w, j, rate: wrong) if method == "prox" else (lambda self, w, j: wrong)
    penalty = penalty_with(**{method: bad})
    with pytest.raises(ValueError, match=rf"Own\.{method} must return a number, got"):
        GDRegressor(penalty=penalty).fit(X, LABELS * 1.0)


def test_a_penalty_with_weights_for_other_columns():
    with pytest.raises(ValueError, match=r"ToyWeightedL1\.value raises IndexError .*j = 3"):
        GDRegressor(penalty=ToyWeightedL1(np.ones(3))).fit(X, LABELS * 1.0)


def test_a_rule_that_needs_more_memory_than_it_says():
    def step(self, state, j, gradient, decay, rate, scale):
        state[1, j] += gradient
        return rate * state[1, j]

    rule = rule_with(step=step, slots=1)
    with pytest.raises(ValueError, match=r"Stride\.step raises IndexError .*slots = 1"):
        GDRegressor(solver=rule, batch_size=1, learning_rate="constant").fit(X, LABELS * 1.0)
    rule = rule_with(step=lambda self, state, j, gradient, decay, rate, scale: None)
    with pytest.raises(ValueError, match=r"Stride\.step must return a number, got None"):
        GDRegressor(solver=rule, batch_size=1, learning_rate="constant").partial_fit(
            X, LABELS * 1.0
        )


def test_arithmetic_that_only_plain_python_refuses_is_let_pass():
    for value in (
        lambda self, z, y: math.exp(1e3 * (z - y) + 1e3),
        lambda self, z, y: math.log(-1.0 - z * z) + 1.0,
        lambda self, z, y: 1.0 / (float(z) * 0.0),
        lambda self, z, y: np.log(np.float64(0.0)) + z,
    ):
        try_components(loss_with(value=value), L2(), TARGETS, 3)

    def refuses(self, z, y):
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match=r"Mine\.value raises ValueError \(no such thing\)"):
        try_components(loss_with(value=refuses), L2(), TARGETS, 3)


def test_right_ones_are_left_alone():
    nothing = np.zeros((5, 2))
    for loss, targets in ((ToySoftmax(), LABELS * 1.0), (ToyMultiSquared(), np.arange(10.0))):
        try_components(
            loss, L2(), targets.reshape(-1, 2 if loss.name == "toy_multi_squared" else 1), 3
        )
    try_components(ToyMultiSquared(), ToyWeightedL1(np.ones(3)), nothing, 3)
    whole = loss_with(
        value=lambda self, z, y: 1 if z > y else 0.0,
        derivative=lambda self, z, y: 0,
        curvature=lambda self, z, y: np.array(0.0),
    )
    never_negative = penalty_with(
        value=lambda self, w, j: np.inf if w < 0 else 0,
        derivative=lambda self, w, j: -np.inf if w < 0 else 0.0,
        prox=lambda self, w, j, rate: max(w, 0.0),
    )
    try_components(
        whole,
        never_negative,
        TARGETS,
        3,
        rule=rule_with(),
    )


@pytest.mark.parametrize(
    ("derivative", "words"),
    [
        (lambda self, z, y: y - z, r"gives 1\.13 at prediction 0\.37, target -?\d"),
        (lambda self, z, y: 2.0 * (z - y), r"where differences of value give -?\d+\.?\d*; `print"),
        (lambda self, z, y: max(z - y, 0.0), r"Mine\.derivative gives 0 "),
        (lambda self, z, y: z, r"check_loss\(Mine\(\)\)"),
    ],
    ids=["sign", "factor", "one side", "no target"],
)
def test_a_wrong_derivative_is_told_at_once(derivative, words):
    with pytest.raises(
        ValueError, match=words.replace("1\\.13", r"-?[\d.]+").replace("0\\.37", r"\S+")
    ):
        try_components(loss_with(derivative=derivative), L2(), TARGETS, 3)
    with pytest.raises(ValueError, match=r"Mine\.derivative gives"):
        GDRegressor(loss_with(derivative=derivative)).fit(X, X[:, 0])


def test_wrong_derivatives_of_several_predictions_and_of_penalties():
    def doubled(self, predictions, target, out):
        Counted.derivatives(self, predictions, target, out)
        out *= 2.0

    with pytest.raises(ValueError, match=r"Several\.derivatives gives .* along .*, where"):
        GDClassifier(vector_loss_with(derivatives=doubled)).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"Own\.derivative gives -1 for coefficient 0\.37, j = 0"):
        GDRegressor(penalty=penalty_with(derivative=lambda self, w, j: -np.sign(w))).fit(X, X[:, 0])
    with pytest.raises(
        ValueError, match=r"Own\.prox gives 0\.37 for coefficient 0\.37, .* lower at"
    ):
        GDRegressor(penalty=penalty_with(prox=lambda self, w, j, rate: w)).fit(X, X[:, 0])


@pytest.mark.parametrize("depth", [0.0, 0.1])
def test_a_penalty_below_0_is_refused(depth):
    """F, all of it below the infimum of the loss, had no unit: exact coefficients, and no end."""
    penalty = penalty_with(
        value=lambda self, w, j: 0.5 * (w - 1.0) ** 2 - depth,
        derivative=lambda self, w, j: w - 1.0,
        prox=lambda self, w, j, rate: (w + rate) / (1.0 + rate),
    )
    said = r"Own\.value gives -\S+ for coefficient \S+, j = 0; .* add a constant"
    with pytest.raises(ValueError, match=said) if depth else contextlib.nullcontext():
        try_components(SquaredError(), penalty, TARGETS, 3)
    try_components(loss_with(), penalty, TARGETS, 3)  # of which no infimum is known


def test_a_derivative_that_is_nearly_right_is_let_pass():
    for derivative in (
        lambda self, z, y: (z - y) * (1.0 + 1e-4),
        lambda self, z, y: (z - y) + 1e-5,
    ):
        try_components(loss_with(derivative=derivative), L2(), TARGETS, 3)
    corner = loss_with(
        value=lambda self, z, y: abs(z - 0.37), derivative=lambda s, z, y: np.sign(z - 0.37)
    )
    try_components(corner, L2(), TARGETS * 1e6, 3)
    try_components(loss_with(), L2(), TARGETS * 1e12, 3)


def test_it_costs_few_calls_whatever_the_number_of_rows():
    """Some 0.5 ms of plain Python; of ours it asks nothing."""
    calls = []

    def value(self, prediction, target):
        calls.append("value")
        return 0.5 * (prediction - target) ** 2

    def derivative(self, prediction, target):
        calls.append("derivative")
        return prediction - target

    counts = []
    for n_samples in (10, 1000):
        calls.clear()
        targets = np.random.default_rng(0).standard_normal(n_samples)
        try_components(loss_with(value=value, derivative=derivative), L2(), targets, 10)
        counts.append(len(calls))
    assert counts[0] == counts[1]
    assert counts[0] <= 200


@pytest.mark.plain
def test_chunks_are_tried_once(monkeypatch):
    calls = []

    class Watched(Loss):
        def value(self, prediction, target):
            return 0.5 * (prediction - target) ** 2

        def derivative(self, prediction, target):
            return prediction - target

    model = GDRegressor(Watched(), solver="gd", batch_size=4, learning_rate="constant")
    monkeypatch.setattr(
        fastgd.estimators.base,
        "try_components",
        lambda *given, **named: calls.append(try_components(*given, **named)),
    )
    for _ in range(3):
        model.partial_fit(X, LABELS * 1.0)
    model.set_params(penalty="l1").partial_fit(X, LABELS * 1.0)
    assert len(calls) == 2


def test_a_second_derivative_that_is_not_that_of_the_derivative():
    squared = {
        "value": lambda self, z, y: (z - y) ** 2,
        "derivative": lambda self, z, y: 2 * (z - y),
    }
    with pytest.raises(ValueError, match=r"Mine\.curvature gives 1 .*of derivative give 2; "):
        try_components(loss_with(**squared, curvature=lambda self, z, y: 1.0), L2(), TARGETS, 3)
    try_components(loss_with(**squared, curvature=lambda self, z, y: 2.0), L2(), TARGETS, 3)


def test_targets_that_are_taken_for_predictions():
    class Swapped(Loss):
        def value(self, y_true, y_pred):
            return (y_pred - y_true) ** 2

        def derivative(self, y_true, y_pred):
            return 2.0 * (y_pred - y_true)

    with pytest.raises(ValueError, match="the prediction comes first, here it is called y_true"):
        try_components(Swapped(), L2(), TARGETS, 3)


@pytest.mark.jit  # plain Python goes no further than to the division
def test_divisions_by_zero_at_the_null_model():
    class Reciprocal(Loss):
        def value(self, prediction, target):
            return 0.5 * (prediction - target) ** 2

        def derivative(self, prediction, target):
            return prediction - target + 0.0 / prediction  # Python raises at 0

    found = GDRegressor(loss=Reciprocal(), fit_intercept=False, max_iter=1, tol=None).fit(
        X, X[:, 0]
    )
    assert np.isfinite(found.coef_).all()


def test_an_init_that_stores_on_self():
    with pytest.raises(TypeError, match=r"Own must have no __init__ .*`width: float`"):

        class Own(Loss):
            def __init__(self, width):
                self.width = width

            def value(self, prediction, target):
                return prediction * self.width

            def derivative(self, prediction, target):
                return self.width


class Cauchy(Loss):
    """Not convex, and does not say so."""

    infimum = 0.0

    def value(self, prediction, target):
        return 0.5 * np.log1p((prediction - target) ** 2)

    def derivative(self, prediction, target):
        return (prediction - target) / (1.0 + (prediction - target) ** 2)


class Majorised(Loss):
    """Newton steps with more curvature than there is."""

    infimum = 0.0
    self_concordance = 1.0

    def value(self, prediction, target):
        return np.logaddexp(0.0, -target * prediction)

    def derivative(self, prediction, target):
        return -target / (1.0 + np.exp(target * prediction))

    def curvature(self, prediction, target):
        return 0.25 / np.cosh(0.5 * prediction) ** 2

    def step_curvature(self, prediction, target):
        return 0.25


class Straight(LogLoss, abstract=True):
    """Log loss that is said to be a parabola: F 65 % above its minimum was proved to be there."""

    self_concordance = 0.0


class StraightByDifferences(Majorised, abstract=True):
    self_concordance = 0.9
    step_curvature = Loss.step_curvature
    curvature = Loss.curvature


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (Cauchy(), "declare `convex = False`"),
        (Majorised(), "step_curvature gives 0.25"),
        (Straight(), r"from \S+ to \S+ where .* self_concordance 0 allows a factor of 1\.001; "),
        (StraightByDifferences(), "self_concordance 0.9 allows"),
    ],
    ids=str,
)
def test_what_proofs_take_for_granted_is_tried(loss, said):
    with pytest.raises(ValueError, match=said):
        try_components(loss, L2(), np.array([-1.0, 1.0]), 3)


class Halved(Multinomial, abstract=True):
    """Half of it, also minimised: by methods for speed of the class that it derives from F was that
    of the whole, and proved.
    """

    def value(self, predictions, target):
        return 0.5 * Multinomial.value(self, predictions, target)

    def derivatives(self, predictions, target, out):
        Multinomial.value_and_derivatives(self, predictions, target, out)
        out *= 0.5

    def curvature_product(self, predictions, target, direction, out):
        Multinomial.curvature_product(self, predictions, target, direction, out)
        out *= 0.5


def test_methods_for_speed_that_are_of_another_loss():
    targets = LABELS[:, None] * 1.0
    with pytest.raises(
        ValueError, match=r"Halved\.value_and_derivatives gives .* in the class, too"
    ):
        try_components(Halved(), L2(), targets, 3)
    family = {"value_and_derivatives": VectorLoss.value_and_derivatives}
    for method in ("curvature_diagonal", "curvature_root", "summed_curvature"):
        with pytest.raises(ValueError, match=rf"Mine\.{method} gives"):
            try_components(type("Mine", (Halved,), dict(family), abstract=True)(), L2(), targets, 3)
        family[method] = getattr(VectorLoss, method)
    family["value"] = lambda self, p, target: Halved.value(self, p, target) + 0.5 * p[0] ** 2
    with pytest.raises(ValueError, match=r"1 is added .* declare `shift_invariant = False`"):
        try_shortcuts(type("Mine", (Halved,), dict(family), abstract=True)(), targets[:1], 3)
    del family["value"]
    for loss in (type("Mine", (Halved,), family, abstract=True)(), Multinomial(), ToySoftmax()):
        own = type("Own", (type(loss),), {}, abstract=True)()
        try_components(own, L2(), targets, 3)


def test_a_right_method_for_speed_is_not_compared_with_differences():
    """Of targets of 3e8 they are wrong by 0.2 %: a diagonal of ones was blamed."""

    def halved_squares(self, predictions, target):
        return 0.5 * float(((predictions - target) ** 2).sum())

    def derivatives(self, predictions, target, out):
        out[:] = predictions - target

    def diagonal(self, predictions, target, out):
        out[:] = 1.0

    own = {"value": halved_squares, "derivatives": derivatives, "curvature_diagonal": diagonal}
    loss = type("Squares", (VectorLoss,), own, abstract=True)()
    try_shortcuts(loss, np.full((1, 3), 3e8), 3)


def test_so_is_the_self_concordance_of_several_predictions():
    for wrong in (0.0, 1.5):
        loss = vector_loss_with(self_concordance=wrong)
        with pytest.raises(ValueError, match=f"the curvature of Several .* {wrong:g} allows"):
            try_components(loss, L2(), LABELS[:, None] * 1.0, 3)
    for right in (2.0, 5.0):
        try_components(vector_loss_with(self_concordance=right), L2(), LABELS[:, None] * 1.0, 3)


@pytest.mark.parametrize("methods", [{}, {"curvature": Loss.curvature}], ids=["own", "differences"])
def test_a_self_concordance_that_holds_is_let_pass_in_the_far_tails(methods):
    numbers = 10.0 ** np.random.default_rng(0).uniform(-8.0, 8.0, 10)
    for loss in members(Loss):
        if loss.self_concordance is None or (methods and loss.name == "gamma"):
            continue  # the derivative of gamma asks for its curvature
        facts = {"self_concordance": loss.self_concordance}
        own = type("Own", (type(loss),), {**methods, **facts}, abstract=True)()
        with np.errstate(all="ignore"):
            try_shape(own, targets_of(loss, [*numbers, *-numbers, 0.0, 1.0]), 1)


@pytest.mark.parametrize("size", [2, 3, 12, 30])
def test_a_curvature_bound_of_several_predictions_is_tried(size):
    """Softmax curves by 1/2 where two classes have half of all each, by 1 / K at 0."""
    targets = np.arange(float(size))[:, None]
    kind = type("Flat", (Counted,), {"curvature_bound": 0.4})
    with pytest.raises(ValueError, match=r"Flat curves by 0\.[45].* curvature_bound 0\.4 says"):
        try_components(kind(), L2(), targets, 3)
    right = type("Right", (Counted,), {"curvature_bound": 0.5, "self_concordance": 2.0})
    try_components(right(), L2(), targets, 3)


def test_a_curvature_bound_of_one_prediction_is_tried():
    logistic = {
        "value": lambda self, z, y: np.logaddexp(0.0, -y * z),
        "derivative": lambda self, z, y: -y / (1.0 + np.exp(y * z)),
    }
    with pytest.raises(ValueError, match=r"curves by 0\.25 at prediction 0.* curvature_bound 0\.2"):
        try_components(
            type("Flat", (Loss,), {**logistic, "curvature_bound": 0.2})(),
            L2(),
            np.array([-1.0, 1.0]),
            3,
        )
    sharp = {
        "value": lambda self, z, y: 0.5 * (z - y) ** 2 if abs(z - y) < 0.1 else 0.1 * abs(z - y),
        "derivative": lambda self, z, y: min(max(z - y, -0.1), 0.1),
        "curvature": lambda self, z, y: 1.0 * (abs(z - y) < 0.1),
    }
    kind = type("Sharp", (Loss,), {**sharp, "curvature_bound": 0.5})
    with pytest.raises(ValueError, match=r"curves by 1 at prediction -1\.5, target -1\.5"):
        try_components(kind(), L2(), TARGETS, 3)
    try_components(type("Right", (Loss,), {**sharp, "curvature_bound": 1.0})(), L2(), TARGETS, 3)


def test_a_wrong_bound_is_refused_by_the_first_fit():
    class Squares(ToyMultiSquared):
        curvature_bound = 0.5

    Y = np.random.default_rng(0).normal(size=(len(X), 2))
    with pytest.raises(ValueError, match=r"Squares curves by 1 .*curvature_bound 0\.5"):
        GDRegressor(Squares()).fit(X, Y)


def test_a_sum_of_functions_of_each_prediction_is_one():
    class Mixed(ToyMultiSquared):
        separable = True
        curvature_bound = 2.0

        def value(self, predictions, target):
            own = predictions - target
            return 0.5 * (own * own).sum() + 0.5 * own[0] * own[1]

        def derivatives(self, predictions, target, out):
            for k in range(predictions.size):
                out[k] = predictions[k] - target[k]
            out[0] += 0.5 * (predictions[1] - target[1])
            out[1] += 0.5 * (predictions[0] - target[0])

    targets = np.array([[0.0, 1.0], [3.0, -2.0]])
    with pytest.raises(ValueError, match=r"Mixed.derivatives goes from .* `separable = False`"):
        try_components(Mixed(), L2(), targets, 3)
    try_components(type("Apart", (ToyMultiSquared,), {"separable": True})(), L2(), targets, 3)


def test_a_loss_of_each_target_is_tried_too():
    """`MultiTask` wrapped it, and the wrapper is ours: nothing was tried, and an infimum that was
    false was believed.
    """

    class Low(Loss):
        infimum = 0.0

        def value(self, prediction, target):
            return 0.5 * (prediction - target) ** 2 - 1.0

        def derivative(self, prediction, target):
            return prediction - target

    class Wrong(Low):
        infimum = -1.0

        def derivative(self, prediction, target):
            return 2.0 * (prediction - target)

    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((30, 2)), rng.standard_normal((30, 2))
    for loss, said in ((Low(), "below the infimum"), (Wrong(), "derivative gives")):
        with pytest.raises(ValueError, match=said):
            GDRegressor(loss, penalty=MultiTask(), alpha=0.1).fit(X, Y)


@pytest.mark.parametrize(
    ("methods", "told"),
    [
        (
            {"derivative": lambda self, z, y: (z - y) / abs(z - y)},
            r"derivative is NaN at prediction -1\.5, target -1\.5, where the value is 0; return a",
        ),
        ({"value": lambda self, z, y: None}, r"got None for .*; is a `return` missing\?$"),
        ({"mean": lambda self, z: z[0]}, r"\.mean must return an array of the shape of pred"),
        ({"mean": lambda self, z: np.ones(3)}, r"\.mean must return .*, got one of shape \(3,\)"),
        ({"probability": lambda self, z: z - 1.0}, r"\.probability must lie between 0 and 1, got"),
        (
            {
                "value": lambda self, z, y: (z - y) ** 2,
                "derivative": lambda self, z, y: 2.0 * (z - y),
                "squared": True,
            },
            r"\.value is 2\.25 at prediction 0.* = 1\.125: leave squared out of the class",
        ),
    ],
)
def test_what_else_of_a_loss_is_tried(methods, told):
    with pytest.raises(ValueError, match=told):
        try_components(loss_with(**methods), L2(), TARGETS, 3)
