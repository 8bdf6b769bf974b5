"""`check_loss` finds each kind of mistake, says where, and finds none where there is none."""

import importlib
import re

import numba
import numpy as np
import pytest

from fastgd.losses.base import Loss
from fastgd.losses.check import check_loss
from fastgd.losses.domain import Interval
from fastgd.losses.regression import EpsilonInsensitive, Huber, SquaredError
from support.components import ToyMultiSquared, ToySoftmax

CLASSES = np.array([[0.0], [1.0], [2.0]])
ROWS = np.array([[0.5, -2.0], [0.0, 30.0]])


@pytest.fixture
def no_jit(monkeypatch):
    """Only the checks in plain Python: compiling each wrong loss would take 0.4 s."""
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)


# abstract=True keeps the wrong losses out of the registry, which other tests go through.


class WrongSign(SquaredError, abstract=True):
    def derivative(self, prediction, target):
        return target - prediction


class WrongNearby(Huber, abstract=True):
    """Right but for an interval of length 0.5: only a grid sees it."""

    def derivative(self, prediction, target):
        return Huber.derivative(self, prediction, target) + (
            0.01 if 4.0 < prediction - target < 4.5 else 0.0
        )


class WrongCurvature(SquaredError, abstract=True):
    infimum = 0.0

    def curvature(self, prediction, target):
        return 0.5


class WrongInfimum(SquaredError, abstract=True):
    infimum = -1.0


class BelowInfimum(SquaredError, abstract=True):
    infimum = 0.0

    def value(self, prediction, target):
        return 0.5 * (prediction - target) ** 2 - 0.25


class HiddenCorner(Loss, abstract=True):
    """A kink at an odd place, on no grid."""

    def value(self, prediction, target):
        return abs(prediction - 0.1234567)

    def derivative(self, prediction, target):
        return 1.0 if prediction > 0.1234567 else -1.0

    def curvature(self, prediction, target):
        return 0.0


class WrongAtCorner(EpsilonInsensitive, abstract=True):
    """A derivative at the kinks that is no subgradient."""

    def derivative(self, prediction, target):
        residual = prediction - target
        return (
            5.0
            if abs(residual) == self.epsilon
            else EpsilonInsensitive.derivative(self, prediction, target)
        )


class NotConvex(Loss, abstract=True):
    """Welsch's loss: 1 - exp(-r^2 / 2)."""

    def value(self, prediction, target):
        return -np.expm1(-0.5 * (prediction - target) ** 2)

    def derivative(self, prediction, target):
        return (prediction - target) * np.exp(-0.5 * (prediction - target) ** 2)


class SmallBound(SquaredError, abstract=True):
    curvature_bound = 0.5


class NotSelfConcordant(Huber, abstract=True):
    self_concordance = 0.0


class NotANumber(SquaredError, abstract=True):
    def value(self, prediction, target):
        return 0.5 * (prediction - target) ** 2 if prediction < 3.0 else np.nan


class Overflows(Loss, abstract=True):
    """Far away infinity minus infinity."""

    def value(self, prediction, target):
        return (
            np.log(np.exp(prediction) + np.exp(-prediction))
            - np.log(2.0)
            + 0.0 * np.exp(prediction)
        )

    def derivative(self, prediction, target):
        return np.tanh(prediction)


class Raises(SquaredError, abstract=True):
    def value(self, prediction, target):
        return float(1 / int(prediction > 100.0))


WRONG = [
    (WrongSign, "derivative", r"\S+ at prediction -?\S+, target \S+; differences of value give"),
    (WrongNearby, "derivative", r"at prediction \S+, target \S+; differences"),
    (
        WrongCurvature,
        "curvature",
        r"0\.5 at prediction \S+, target \S+; differences of the derivative give (1|0\.99)",
    ),
    (WrongInfimum, "infimum", r"no value below \S+ was seen \(at prediction .*\); infimum is -1"),
    (BelowInfimum, "infimum", r"the value is -0\.25 at prediction \S+, target \S+; infimum is 0"),
    (
        HiddenCorner,
        "smooth",
        r"the derivative jumps from -1 to 1 at prediction 0\.1234567, target .*; declare smooth",
    ),
    (WrongAtCorner, "derivative", r"5 at prediction .* give (0 to 1|-1 to 0) "),
    (
        NotConvex,
        "convex",
        r"the derivative falls from \S+ to \S+ at prediction .*; declare convex = False",
    ),
    (
        SmallBound,
        "curvature_bound",
        r"the curvature reaches 1 at prediction .*; curvature_bound is 0\.5",
    ),
    (
        NotSelfConcordant,
        "self_concordance",
        r"the curvature goes from . to . within .*; self_concordance 0 allows",
    ),
    (NotANumber, "finite", r"value is nan at prediction \S+, target \S+"),
    (Overflows, "finite", r"value is nan at prediction 1000"),
    (Raises, "finite", r"raises ZeroDivisionError: division by zero"),
]


@pytest.mark.usefixtures("no_jit")
@pytest.mark.parametrize(("cls", "check", "text"), WRONG)
def test_finds(cls, check, text):
    report = check_loss(cls())
    assert not report.ok
    found = {finding.check: finding.text for finding in report.findings}
    assert re.search(text, found[check]), str(report)
    assert f"- {check}: {found[check]}" in str(report)


@pytest.mark.usefixtures("no_jit")
def test_reports_what_was_checked():
    report = check_loss(Huber())
    assert report.ok
    assert str(report).startswith(
        "Huber(epsilon=1.35): all 8 checks passed (finite, derivative, curvature, smooth"
    )
    assert repr(report) == str(report)  # at a prompt, and in a notebook
    assert "compiled" not in report.checks
    assert "1 of 9 checks failed" in str(check_loss(WrongCurvature()))


@pytest.mark.usefixtures("no_jit")
def test_declared_truthfully():
    class HonestWelsch(NotConvex, abstract=True):
        convex = False
        curvature_bound = 1.0

    class HonestCorner(HiddenCorner, abstract=True):
        smooth = False

    for loss in (HonestWelsch(), HonestCorner()):
        report = check_loss(loss)
        assert report.ok, str(report)


@pytest.mark.parametrize(
    ("loss", "targets"), [(ToySoftmax(), CLASSES), (ToyMultiSquared(), ROWS)], ids=repr
)
def test_toys_are_right(loss, targets):
    report = check_loss(loss, targets)
    assert report.ok, str(report)


class LeavesOut(ToySoftmax, abstract=True):
    def derivatives(self, predictions, target, out):
        out[0] = 0.0


class WrongPartial(ToySoftmax, abstract=True):
    def derivatives(self, predictions, target, out):
        ToySoftmax.derivatives(self, predictions, target, out)
        out[2] *= 0.9


class WrongProduct(ToySoftmax, abstract=True):
    def curvature_product(self, predictions, target, direction, out):
        ToySoftmax.curvature_product(self, predictions, target, direction, out)
        out[0] += (
            0.1 * direction[1]
        )  # no line along a single coordinate sees it in its own direction


class SmallVectorBounds(ToySoftmax, abstract=True):
    curvature_bound = 0.2
    self_concordance = 0.5


@pytest.mark.usefixtures("no_jit")
@pytest.mark.parametrize(
    ("cls", "check", "text"),
    [
        (LeavesOut, "finite", r"derivatives is \[0, nan, nan\] at predictions \[.*\], target 0"),
        (WrongPartial, "derivative", r"along \[.*\] at predictions \[.*\], target \d; differences"),
        (
            WrongProduct,
            "curvature",
            r"along \[.*\] at predictions \[.*\], target \d; differences of the derivative",
        ),
        (
            SmallVectorBounds,
            "curvature_bound",
            r"reaches 0\.\d+ at predictions .*; curvature_bound is 0\.2",
        ),
        (SmallVectorBounds, "self_concordance", r"the curvature goes from"),
    ],
)
def test_finds_in_vector_losses(cls, check, text):
    found = {finding.check: finding.text for finding in check_loss(cls(), CLASSES).findings}
    assert re.search(text, found[check]), found


@pytest.mark.usefixtures("no_jit")
def test_direction_of_a_default_product():
    """The family's differences of derivatives equal the product by hand, for any length of the
    direction.
    """
    predictions, target, loss = np.array([0.3, -1.0, 2.0]), np.array([1.0]), ToySoftmax()
    for length in (0.0, 1e-3, 1.0, 1e4):
        direction = length * np.array([1.0, -0.5, 0.25])
        by_hand, by_differences = np.empty((2, 3))
        loss.curvature_product(predictions, target, direction, by_hand)
        super(ToySoftmax, loss).curvature_product(predictions, target, direction, by_differences)
        np.testing.assert_allclose(by_differences, by_hand, rtol=1e-8, atol=1e-8 * length)


BOX = [1.0]


class DoesNotCompile(SquaredError, abstract=True):
    def value(self, prediction, target):
        return (
            BOX.copy().pop() * 0.5 * (prediction - target) ** 2
            if isinstance(BOX, list | str)
            else "?"
        )


@pytest.mark.jit
def test_finds_what_does_not_compile():
    report = check_loss(DoesNotCompile())
    assert [finding.check for finding in report.findings] == ["compiled"], str(report)
    assert report.findings[0].text.startswith("does not compile: ")


@pytest.mark.jit
def test_finds_compiled_numbers_that_differ(monkeypatch):
    def wrong_scan(loss, predictions, target, values, derivatives, curvatures):
        values[:], derivatives[:], curvatures[:] = (
            0.5 * (predictions - target) ** 2,
            predictions - target,
            1.0,
        )
        derivatives[predictions == 2.0] = 7.0

    monkeypatch.setattr(importlib.import_module("fastgd.losses.check"), "_scan", wrong_scan)
    (finding,) = check_loss(SquaredError(), targets=[0.0]).findings
    assert finding == (
        "compiled",
        "derivative compiled is 7, in Python 2 at prediction 2, target 0",
    )


def test_what_it_refuses():
    class Positive(SquaredError, abstract=True):
        target_domain = Interval(low=0.0)

    with pytest.raises(
        TypeError, match=r"check_loss takes a loss object such as Huber\(1\.35\), got <class"
    ):
        check_loss(Huber)
    with pytest.raises(ValueError, match=r"targets of Positive must be in \(0, inf\), got -3"):
        check_loss(Positive(), targets=[1.0, -3.0])
    with pytest.raises(ValueError, match=r"ToySoftmax needs targets to be checked on"):
        check_loss(ToySoftmax())


@pytest.mark.usefixtures("no_jit")
def test_it_goes_on_after_the_first_finding():
    class Manifold(SquaredError, abstract=True):
        """An infinite value at 8, half the derivative, a convexity that is not, an infimum of 1."""

        infimum = 1.0

        def value(self, prediction, target):
            return np.inf if prediction == 8.0 else -0.5 * (prediction - target) ** 2

        def derivative(self, prediction, target):
            return -0.5 * (prediction - target)

        def curvature(self, prediction, target):
            raise RuntimeError("not written yet")

    report = check_loss(Manifold(), targets=[0.0])
    found = [finding.check for finding in report.findings]
    assert found == ["finite", "finite", "derivative", "convex", "infimum"]
    assert "raises RuntimeError: not written yet (curvature, line " in report.findings[1].text
    assert str(report).count("not written yet") == 1


@pytest.mark.usefixtures("no_jit")
def test_a_loss_of_classes_is_tried_on_signs():
    class OwnLog(Loss, abstract=True):
        infimum = 0.0
        classification = True

        def value(self, prediction, target):
            return np.logaddexp(0.0, -prediction * target)

        def derivative(self, prediction, target):
            return -target / (1.0 + np.exp(prediction * target))

    assert check_loss(OwnLog()).ok


class Twice(SquaredError, abstract=True):
    def derivative(self, prediction, target):
        return 2.0 * (prediction - target)


class NothingAtKink(Loss, abstract=True):
    infimum, smooth = 0.0, False

    def value(self, prediction, target):
        return abs(prediction - target)

    def derivative(self, prediction, target):
        return (prediction - target) / abs(prediction - target)


class Returnless(SquaredError, abstract=True):
    def value(self, prediction, target):
        0.5 * (prediction - target) ** 2


class Exponential(Loss, abstract=True):
    def value(self, prediction, target):
        return np.exp(prediction) - target * prediction

    def derivative(self, prediction, target):
        return np.exp(prediction) - target


class OtherOrder(Loss, abstract=True):
    def value(self, y_true, y_pred):
        return 0.5 * (y_pred - 2.0 * y_true) ** 2

    def derivative(self, y_true, y_pred):
        return y_pred - 2.0 * y_true


class FalselySquared(Loss, abstract=True):
    squared = True

    def value(self, prediction, target):
        return (prediction - target) ** 2

    def derivative(self, prediction, target):
        return 2.0 * (prediction - target)


class OneMean(SquaredError, abstract=True):
    def mean(self, predictions):
        return predictions[0]


class MeanOfSome(SquaredError, abstract=True):
    def mean(self, predictions):
        return np.where(predictions > 0.0, predictions, np.nan)


class Improbable(SquaredError, abstract=True):
    def probability(self, predictions):
        return predictions


class Unlikely(SquaredError, abstract=True):
    estimates_dispersion = False

    def log_likelihood(self, predictions, targets, weights, dispersion):
        return -np.sum(weights * (predictions - targets) ** 2) / dispersion


@pytest.mark.usefixtures("no_jit")
@pytest.mark.parametrize(
    ("cls", "check", "text"),
    [
        (Twice, "derivative", "and so everywhere: it is 2 times what it should be"),
        (WrongSign, "derivative", "the same with the other sign"),
        (OtherOrder, "derivative", "the prediction comes first, here it is called y_true"),
        (NothingAtKink, "finite", "any number between both slopes will do, such as 0.0"),
        (Returnless, "finite", "value must return a number, got None; is a `return` missing?"),
        (Exponential, "finite", "by differences of the derivative; define curvature in the class"),
        (WrongCurvature, "curvature", "leave it out of the class to have these taken"),
        (SmallBound, "curvature_bound", "declare no less than the largest, or leave it out"),
        (NotSelfConcordant, "self_concordance", "declare more, or leave it out"),
        (BelowInfimum, "infimum", "declare a lower one, or leave it out where there is none"),
        (WrongInfimum, "infimum", "declare what the value comes near to"),
        (FalselySquared, "squared", "(prediction - target)**2 / 2 = 60.5: leave it out"),
        (OneMean, "mean", "must return an array of the shape of predictions"),
        (MeanOfSome, "mean", "mean is nan at prediction 0; every prediction needs one"),
        (Improbable, "probability", "it must lie between 0 and 1"),
        (Unlikely, "log_likelihood", "with a dispersion of 1 both must change by the same"),
    ],
)
def test_it_says_what_to_write(cls, check, text):
    found = {finding.check: finding.text for finding in check_loss(cls()).findings}
    assert text in found[check], found
    assert "\n" not in found[check]


@pytest.mark.usefixtures("no_jit")
def test_one_that_returns_what_it_should_write():
    class Returns(ToySoftmax, abstract=True):
        def derivatives(self, predictions, target, out):
            return predictions

    found = {one.check: one.text for one in check_loss(Returns(), CLASSES).findings}
    assert found["finite"].startswith("derivatives must write to out, `out[k] = ...`")


@pytest.mark.usefixtures("no_jit")
def test_a_mean_that_is_not_the_best_target_is_told():
    class Squared(Exponential, abstract=True):
        def mean(self, predictions):
            return np.exp(2.0 * predictions)

    told = check_loss(Squared()).notes[-1]
    assert "the value is not least at prediction -3 (derivative 0.0473)" in told


@pytest.mark.jit
def test_nan_in_python_and_compiled_is_the_same_number():
    checks = {finding.check for finding in check_loss(NothingAtKink()).findings}
    assert checks == {"finite"}
