"""The minimum of a quadratic with lengths of groups of features as a penalty, for K predictions
whose curvature is the same.

    sum_k g_k'e_k + e_k' H e_k / 2 + sum_g l1_g |(w + e)_g|_1 + strength_g |(w + e)_g|

w is a (K, d) table, and a group the coefficients of some features in all of its rows.

Block coordinate descent finds out which groups are 0 (Qin, Scheinberg and Goldfarb, 2013,
"Efficient block-coordinate descent algorithms for the group lasso").  Where it is slow Newton's
method has the others, on which the penalty has two derivatives.  With u_g = w_g / |w_g| and D_g =
strength_g / |w_g| they have the second derivative

    P (x) I - sum_g D_g u_g u_g',    P = H + diag(D)

whose inverse takes one factor of P and one of a matrix with a row for each group (Woodbury),
however many predictions there are.
"""

import numpy as np
import scipy.linalg

from fastgd.linalg.line_search import halvings
from fastgd.linalg.precision import EPS
from fastgd.objective.cost_model import GROUP_EPOCH, GROUP_STEP
from fastgd.solvers.l1 import kernels
from fastgd.solvers.l1.extrapolation import best_shares

# Epochs between two looks at what is left, and the most of these looks.
EPOCHS = 5
ROUNDS = 200
# Epochs that change derivatives by this share of what they did first are quick enough as they are.
QUICK = 0.01
# While groups become 0 or leave it a Newton step is none of the last ones; not for ever.
PATIENCE = 4
HALVINGS = 12


class GroupDescent:
    """The quadratic and where it is looked at.

    Parameters
    ----------
    model : MatrixModel or another of `fastgd.solvers.l1.group_models`
        The quadratic.
    coef : ndarray, (K, d)
        w, which is written over.
    groups : FeatureGroups
        Of these features, one group after the other.

    Examples
    --------
    >>> from fastgd.penalties.group_term import FeatureGroups
    >>> from fastgd.solvers.l1.group_models import MatrixModel
    >>> ones, zeros = np.ones(2), np.zeros(2)
    >>> groups = FeatureGroups(np.arange(2), np.ones(2, dtype=int), ones, zeros, zeros)
    >>> gradient, coef = np.array([[-3.0, 0.5], [-4.0, 0.0]]), np.zeros((2, 2))
    >>> model = MatrixModel(np.eye(2), gradient, coef, np.zeros(2))
    >>> GroupDescent(model, coef, groups).minimise(1e-9)
    >>> coef.round(3).tolist()
    [[2.4, 0.0], [3.2, 0.0]]
    """

    def __init__(self, model, coef, groups):
        self.model, self.coef, self.groups = model, coef, groups
        self.ends = np.append(0, np.cumsum(groups.sizes))
        self.group = np.repeat(np.arange(groups.sizes.size), groups.sizes)
        self.curvatures = self._curvatures()
        # Of lengths; a group of infinite strength is 0.
        self._prices = np.where(np.isinf(groups.strengths), 0.0, groups.strengths)

    def _curvatures(self):
        """The greatest eigenvalue of H in each group, or a little more."""
        found = self.model.diagonal()[self.ends[:-1]]
        for g in np.flatnonzero(self.groups.sizes > 1):
            own = np.arange(self.ends[g], self.ends[g + 1])
            values = scipy.linalg.eigvalsh(self.model.part(own), check_finite=False)
            found[g] = values[-1] * (1.0 + 1e-9)
        return found

    def minimise(self, tolerance, tighter=np.inf, free=0.0):
        """Move the coefficients, and the gradient with them, to where no group's subgradient of
        least norm is longer than `tolerance`, as far as so many rounds get; or than what is
        `tighter` while epochs have taken no more than `free` ns, as they are counted.
        """
        before = np.inf
        spent = 0.0
        aim = min(tolerance, tighter)
        for turn in range(ROUNDS):
            changed = self._epochs(0.1 * aim)
            spent += (EPOCHS + 1) * self._epoch_time()
            off = self.off()
            if off <= aim or (off <= tolerance and spent >= free):
                return
            settled = not changed or turn >= PATIENCE
            if settled and off > tolerance and self._newton_pays(off, before, tolerance):
                self.settle()
                off = self.off()
                if off <= aim:
                    return
            before = off

    def _epoch_time(self):
        """Ns of an epoch over the features that are not 0, by a count."""
        n_moving = np.count_nonzero(self.coef.any(axis=0))
        return n_moving * len(self.coef) * self.model.length / GROUP_EPOCH

    def _epochs(self, tolerance):
        """An epoch over all groups, and some over those that are not 0, until one changes no
        derivative by more than `tolerance`; whether a group became 0 or left it.

        What of these repeats one affine map is extrapolated.
        """
        groups = self.ends, self.groups.strengths, self.curvatures, self.groups.l1
        arrays, every = (self.coef, *self.model.state()), True
        points: list = []
        first, changed = 0.0, False
        for _ in range(EPOCHS + 1):
            largest, other = self.model.epoch(self.coef, *groups, every)
            if largest <= tolerance:
                return changed or other
            changed = changed or other
            every = False
            first = max(first, largest)
            points = [] if other else points
            points.append([one.copy() for one in arrays])
        if len(points) > 2 and largest > QUICK * first:
            self._extrapolate(arrays, points)
        return changed

    @np.errstate(all="ignore")  # NaN and infinity are not below
    def _extrapolate(self, arrays, points):
        """Move to the combination of some points that an epoch changes least, where that is lower
        (`fastgd.solvers.l1.extrapolation`).
        """
        moving = np.flatnonzero(self.coef.any(axis=0))
        before = self.model.value(self.coef) + self._rest(self.coef[:, moving], moving)
        shares = best_shares(np.array([point[0][:, moving].ravel() for point in points]))
        if shares is None:
            return
        for k, array in enumerate(arrays):
            array[...] = np.tensordot(shares, [point[k] for point in points[1:]], 1)
        after = self.model.value(self.coef) + self._rest(self.coef[:, moving], moving)
        if not after <= before:
            for array, last in zip(arrays, points[-1], strict=True):
                array[...] = last

    def _newton_pays(self, off, before, tolerance):
        """Whether two Newton steps take less time than the epochs that are left at this pace."""
        k, n_moving = len(self.coef), np.count_nonzero(self.coef.any(axis=0))
        left = np.log(off / tolerance) / np.log(before / off) if off < before else np.inf
        step = n_moving**2 * (n_moving + k + self.model.forming) / GROUP_STEP
        return 2.0 * step < (EPOCHS + 1) * left * self._epoch_time()

    def off(self):
        """The longest of the groups' subgradients of least norm."""
        groups = self.ends, self.groups.strengths, self.groups.l1
        found = kernels.group_violations(self.model.gradient(self.coef), self.coef, *groups)
        return float(found.max(initial=0.0))

    def settle(self):
        """One Newton step of what is not 0, halved until the quadratic with its penalty falls."""
        moving = np.flatnonzero(self.coef.any(axis=0))
        gradient = self.model.gradient(self.coef)[:, moving]
        step = self._newton_step(moving, gradient) if moving.size else None
        if step is None:
            return
        before = self.coef[:, moving]
        slope, (bend, change) = float((step * gradient).sum()), self.model.change(step, moving)
        rest = self._rest(before, moving)
        for share in halvings(HALVINGS):
            after = before + share * step
            gain = share * (slope + 0.5 * share * bend) + self._rest(after, moving) - rest
            if gain <= EPS * rest:
                self.coef[:, moving] = after
                self.model.move(share, change)
                return

    def _newton_step(self, moving, gradient):
        """Step of the features `moving`, (K, n), or None where there is none."""
        coef = self.coef[:, moving]
        own, group = np.unique(self.group[moving], return_inverse=True)
        l1 = self.groups.l1[own]
        if l1.any() and len(coef) > 1:
            return None  # features of which some coefficients are 0 have no matrix in common
        lengths = np.sqrt(np.bincount(group, np.square(coef).sum(axis=0)))
        pulls = self.groups.strengths[own] / lengths
        unit = coef / lengths[group]
        matrix = self.model.part(moving)
        matrix[np.diag_indices_from(matrix)] += pulls[group]
        inverse = inverse_of(matrix)
        if inverse is None:
            return None
        subgradient = gradient + pulls[group] * coef + l1[group] * np.sign(coef)
        rough = subgradient @ inverse
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        inner = np.add.reduceat((unit.T @ unit) * inverse, starts, axis=0)
        roots = np.sqrt(pulls)
        inner = roots[:, None] * np.add.reduceat(inner, starts, axis=1) * roots
        inner = np.eye(own.size) - inner
        along = roots * np.add.reduceat((unit * rough).sum(axis=0), starts)
        try:
            factor = scipy.linalg.cho_factor(inner, check_finite=False)
        except np.linalg.LinAlgError:
            return None
        along = roots * scipy.linalg.cho_solve(factor, along, check_finite=False)
        return -(rough + (unit * along[group]) @ inverse)

    def _rest(self, coef, moving):
        """The penalty of the features `moving`, (K, n)."""
        lengths = np.sqrt(np.bincount(self.group[moving], np.square(coef).sum(axis=0)))
        found = float(self._prices[: lengths.size] @ lengths)
        return found + float((self.groups.l1[self.group[moving]] * np.abs(coef)).sum())


def inverse_of(matrix):
    """The inverse of a positive definite matrix, which is written over; None of another one."""
    scale = np.sqrt(np.diag(matrix))
    if not (scale > 0.0).all():
        return None
    matrix /= scale
    matrix /= scale[:, None]
    lower, failed = scipy.linalg.lapack.dpotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
    if failed:
        return None
    lower, failed = scipy.linalg.lapack.dpotri(lower, lower=1, overwrite_c=1)
    inverse = np.tril(lower) + np.tril(lower, -1).T
    inverse /= scale
    inverse /= scale[:, None]
    return inverse if not failed else None
