"""Epochs of variance-reduced descent, SAGA's and SVRG's: one row, or a few, per update, on the
support of the rows.

Both take phi_i = s_i loss'(z_i) of a row, subtract what they remember of it, and add the mean of
what they remember:

    g = e_i (phi_i - memory_i) x_i + mean,    mean = (1/n) sum_i memory_i x_i,    e_i = 1 / (n p_i),

p_i the probability that a visit is to row i, so that g is the gradient on average. SAGA remembers
phi_i of the last visit in a table (Defazio, Bach and Lacoste-Julien, 2014, equation 1); SVRG
remembers an anchor and computes its phi_i anew (Johnson and Zhang, 2013, figure 1). The mean and
the penalty, which are dense, act on the columns that the rows of an update touch, D_j = 1 /
P(touched) times as hard (Pedregosa, Leblond and Lacoste-Julien, 2017, section 2). With rate r_j, a
proximal step on an elastic net is, t_j = r_j D_j l2,

    u_j = w_j - dense_j (mean_j + l2 w_j) - rate_j e_i (phi_i - memory_i) x_ij
    w_j = sign(u_j) max(|u_j| - dense_j l1, 0)
    rate_j = r_j / (1 + t_j),    dense_j = r_j D_j / (1 + t_j)

without a division. At the optimum phi_i = memory_i and mean_j + l2 w_j is the subgradient that the
threshold takes off, whatever D_j.

Zeros of a dense row are passed over, so that dense and CSR rows take the same steps. `columns` is
(4, d), the rows of it `COEF`, `MEAN`, `RATE` and `DENSE_RATE`; `ends`, (3,), holds the intercept,
its mean and the anchor's intercept. A `table` without entries means SVRG. Both kernels return the
sum over the visits of (phi_i - memory_i)^2, which tells a run that converges from one that
oscillates.
"""

from typing import NamedTuple

import numpy as np

from fastgd.runtime.jit import kernel
from fastgd.runtime.memory import prefetch
from fastgd.solvers.stochastic.kernels import AHEAD

COEF, MEAN, RATE, DENSE_RATE = range(4)
INTERCEPT, INTERCEPT_MEAN, ANCHOR = range(3)


class StepOptions(NamedTuple):
    """Numbers of the penalty and the step; kernels are compiled for these types.

    Attributes
    ----------
    n : float
        Rows that count.
    l1, l2, alpha : float
        Strengths of an elastic net, and that of any penalty.
    elastic, smooth : bool
        Whether the penalty is an elastic net, and whether it has a derivative.
    intercept_rate : float
        Rate of the intercept.
    """

    n: float
    l1: float
    l2: float
    alpha: float
    elastic: bool
    smooth: bool
    intercept_rate: float


@kernel
def moved(penalty, w, mean, own, j, rate, dense_rate, options):
    """Coefficient `j` after its step: `own` is the part of the gradient of the update's rows,
    `mean` that of all rows.
    """
    alpha = options.alpha
    if options.elastic:
        u = w - dense_rate * (mean + options.l2 * w) - rate * own
        threshold = dense_rate * options.l1
        return u - min(max(u, -threshold), threshold)
    if options.smooth:
        return w - dense_rate * (mean + alpha * penalty.derivative(w, j)) - rate * own
    return penalty.prox(w - dense_rate * mean - rate * own, j, alpha * dense_rate)


@kernel
def row_epoch(
    rows, samples, loss, penalty, order, importance, table, columns, anchor, ends, options
):
    """One row per update, those of `order`; `importance` is e_i, one number or one for each row.
    The docstring above.
    """
    n, intercept_rate = options.n, options.intercept_rate
    coef, mean = columns[COEF], columns[MEAN]
    rates, dense_rates = columns[RATE], columns[DENSE_RATE]
    intercept, mean_derivative = ends[INTERCEPT], ends[INTERCEPT_MEAN]
    remembers = table.size > 0
    n_visits, change = order.size, 0.0
    for m in range(n_visits):
        i, ahead = order[m], order[min(m + AHEAD, n_visits - 1)]
        rows.prefetch(ahead)
        offset, target, weight = samples.offset(i), samples.target(i), samples.weight(i)
        derivative = weight * loss.derivative(rows.dot(i, coef) + intercept + offset, target)
        share = 0.0
        if remembers:
            prefetch(table, ahead)
            difference = derivative - table[i]
            table[i] = derivative
            share = difference / n
        else:
            difference = derivative - weight * loss.derivative(
                rows.dot(i, anchor) + ends[ANCHOR] + offset, target
            )
        change += difference * difference
        amount = difference * (importance[i] if importance.size > 1 else importance[0])
        start, stop = rows.span(i)
        for k in range(start, stop):
            column, x = rows.column(k), rows.entry(i, k)
            if x != 0.0:
                g = mean[column]
                coef[column] = moved(
                    penalty,
                    coef[column],
                    g,
                    amount * x,
                    np.int64(column),
                    rates[column],
                    dense_rates[column],
                    options,
                )
                mean[column] = g + share * x
        intercept -= intercept_rate * (amount + mean_derivative)
        mean_derivative += share
    ends[INTERCEPT], ends[INTERCEPT_MEAN] = intercept, mean_derivative
    return change


@kernel
def batch_epoch(
    rows, samples, loss, penalty, order, batch, importance, table, columns, anchor, ends, options
):
    """`row_epoch` with `batch` rows of `order` per update, the last one of an epoch with what is
    left.
    """
    n, intercept_rate = options.n, options.intercept_rate
    coef, mean = columns[COEF], columns[MEAN]
    rates, dense_rates = columns[RATE], columns[DENSE_RATE]
    d, n_visits, remembers, change = columns.shape[1], order.size, table.size > 0, 0.0
    derivatives, gradient = np.zeros(batch), np.zeros(d)
    seen, touched = np.zeros(d, np.int64), np.zeros(d, np.int64)
    for first in range(0, n_visits, batch):
        stop = min(first + batch, n_visits)
        n_touched, total = 0, 0.0
        for m in range(first, stop):
            i = order[m]
            rows.prefetch(order[min(m + AHEAD, n_visits - 1)])
            start, end = rows.span(i)
            for k in range(start, end):
                column = np.int64(rows.column(k))
                if seen[column] <= first and rows.entry(i, k) != 0.0:
                    seen[column] = first + 1
                    touched[n_touched] = column
                    n_touched += 1
                    gradient[column] = 0.0
            offset, target, weight = samples.offset(i), samples.target(i), samples.weight(i)
            derivative = weight * loss.derivative(
                rows.dot(i, coef) + ends[INTERCEPT] + offset, target
            )
            if remembers:
                difference = derivative - table[i]
            else:
                difference = derivative - weight * loss.derivative(
                    rows.dot(i, anchor) + ends[ANCHOR] + offset, target
                )
            derivatives[m - first] = derivative
            change += difference * difference
            counts = importance[i] if importance.size > 1 else importance[0]
            amount = difference * counts / (stop - first)
            total += amount
            rows.add(i, amount, gradient)
        for t in range(n_touched):
            j = touched[t]
            coef[j] = moved(
                penalty, coef[j], mean[j], gradient[j], j, rates[j], dense_rates[j], options
            )
        ends[INTERCEPT] -= intercept_rate * (total + ends[INTERCEPT_MEAN])
        if remembers:
            for m in range(first, stop):  # a row that is in the batch twice changes the table once
                i = order[m]
                share = (derivatives[m - first] - table[i]) / n
                table[i] = derivatives[m - first]
                rows.add(i, share, mean)
                ends[INTERCEPT_MEAN] += share
    return change
