"""A lower bound on F from the dual point of a proximal Newton model, where the penalty has an L1
part.

The duality gap takes the derivatives at a point and scales them down until no column is beyond l1:
it is as large as the violation of the worst column, of which F - F* is the square.  Let p be a
step that minimises the model around w, and z = X w, q = X p.  The dual point

    a_i = loss'(z_i) + loss''(z_i) q_i

has for X' a / n the gradient of the model, which holds all columns that moved within l1 as well as
the step was solved for.  With s = min(1, l1 / max_j |X_j' a / n|), as loss* is convex and loss*(0)
is minus the infimum of the loss,

    F* >= s (mean(loss(z + q)) - mean(gaps) - (w + p).X' a / n) + (1 - s) infimum,

the gaps being those of the rows at z + q, of the order q^4 (`fastgd.certificates.corrected_dual`).
With an L2 part s is 1, and what is beyond l1 costs its square by 2 l2.

What rounds, with the letters of `corrected_dual`: the same as there, each component of X' a by no
more than 2 u a |x_j|, which counts in max_j and, times |w_j + p_j|, in the product.
"""

import numpy as np

from fastgd.certificates.corrected_dual import (
    balanced_duals,
    dual_rounding,
    root_mean_square,
)
from fastgd.certificates.rounding import derivative_rounding, sum_rounding
from fastgd.linalg.precision import EPS
from fastgd.objective.linear_map import LinearMap


def applies(objective):
    """Whether the bound is defined: a convex smooth loss of one prediction, an elastic net with an
    L1 part, and an infimum of the loss where there is nothing else.
    """
    F = objective
    return (
        not F.vector
        and F.elastic
        and F.l1 > 0.0
        and F.loss.convex
        and F.loss_smooth
        and not F.loss.online
        and (F.l2 > 0.0 or F.loss.infimum > -np.inf)
    )


@np.errstate(all="ignore")  # steps so long that a loss overflows prove nothing
def lower_bound(objective, before, after, coef, there, index=slice(None)):
    """A number that F is nowhere below, or -inf where an intercept does not balance.  Half a pass.

    Parameters
    ----------
    objective : Objective
        For which it `applies`.
    before, after : (ndarray, float)
        Products x_i . w and x_i . (w + p), and the intercepts with them.
    coef, there : ndarray
        w and w + p in the columns `index`; both are 0 in the others.
    index : ndarray or slice, optional
    """
    F = objective
    predictions, moves = before[0], after[0] - before[0]
    found = balanced_duals(F, predictions, moves, before[1], after[1] - before[1])
    if found is None:
        return -np.inf
    below, duals, shift, tiny = found
    gradient, derivative = LinearMap(F).rmatvec(duals), root_mean_square(F, duals)
    of_sums = max(derivative_rounding(F, below), 2.0 * sum_rounding(F) * derivative)
    wrong = of_sums * F.row_size()
    if tiny > 0.0:
        wrong += tiny * float(F.largest().max(initial=0.0))
    terms = there * gradient[index]
    norm = float(np.abs(there).sum())
    shifts = abs(before[1]) + abs(shift)
    value = below - float(terms.sum())
    rounded = wrong * norm + 4.0 * EPS * float(np.abs(terms).sum())
    size = (norm + 2.0 * float(np.abs(coef).sum())) * F.row_size() + shifts
    largest = F.samples.largest(predictions) + F.samples.largest(moves) + shifts
    rounded += dual_rounding(F, below, derivative, size, largest, tiny)
    if F.l2 > 0.0:
        beyond = np.maximum(np.abs(gradient) + (wrong - F.l1), 0.0)
        return value - rounded - float(beyond @ beyond) / (2.0 * F.l2)
    steepest = max(float(np.abs(gradient).max(initial=0.0)) + wrong, F.l1)
    share = F.l1 / steepest
    return share * (value - rounded) + (1.0 - share) * F.loss.infimum
