"""Epochs of stochastic descent: the rows in a given order, `batch` of them per update.

The unknowns are one array `point`, the coefficients and, last, the intercept. Kernels draw no
random numbers and keep nothing between calls but what is passed in: `point`, `total` (the sum of
the iterates since update `average_from`), a rule's `state`, and `counters` (`Iterate`).

With `options.sums_losses` epochs return the sum of the losses of the rows, each before its update,
as SGDClassifier's ending looks at it: weights do not count. Otherwise they return 0.

Loops stand where array expressions would be shorter: one `a[:] = b` adds up to 3 s of compiling (it
brings the text of its error message), an arithmetic one 0.2 s.
"""

from typing import Any, NamedTuple

import numpy as np

from fastgd.runtime.jit import callee, kernel
from fastgd.runtime.memory import prefetch

UPDATES = 0
AVERAGED = 1

# Below this the common factor of the coefficients is folded into them. Far from underflow: the sums
# of iterates lose the digits that it has lost (at 1e-9, where scikit-learn folds, they are right to
# 7 digits), and folding is rare either way.
MIN_SCALE = 1e-3

# How many rows ahead of its use a row is prefetched; 2 to 8 are equally good.
AHEAD = 4
# How many columns ahead of its use one is that no row touches.
COLUMNS_AHEAD = 16


class EpochOptions(NamedTuple):
    """Numbers of the schedule and the penalty; kernels are compiled for these types.

    Attributes
    ----------
    c, t0, p : float
        The rate of update t is c / (t0 + t)^p.
    l1, l2, alpha : float
        Strengths of an elastic net, and that of any penalty.
    intercept_rate : float
        Rate of the intercept, relative to that of the coefficients; 0 keeps it as it is.
    average_from : float
        First update whose iterate enters the sum.
    exact : bool
        Whether an L2 penalty acts in closed form between updates (`rule_epoch`).
    smooth : bool
        Whether the penalty has a derivative.
    sums_losses : bool
        Whether the training loss is summed.
    """

    c: float
    t0: float
    p: float
    l1: float
    l2: float
    alpha: float
    intercept_rate: float
    average_from: float
    exact: bool
    smooth: bool
    sums_losses: bool = False


class Problem(NamedTuple):
    """What an epoch of any rule minimises.

    Attributes
    ----------
    rows : Rows
    samples : Samples
    loss : Loss or VectorLoss
    penalty : Penalty
    """

    rows: Any
    samples: Any
    loss: Any
    penalty: Any


class Iterate(NamedTuple):
    """What an epoch of any rule moves, in place.

    Attributes
    ----------
    point : ndarray, (d + 1,) or (d + 1, K)
        The unknowns.
    state : ndarray, (n_slots, (d + 1) K)
        What the rule remembers of each of them.
    total : ndarray, like `point`
        Sum of the iterates since update `average_from`.
    counters : ndarray, (2,)
        At `UPDATES` the updates so far, in this and all earlier epochs; at `AVERAGED` how many
        iterates `total` holds.
    """

    point: np.ndarray
    state: np.ndarray
    total: np.ndarray
    counters: np.ndarray


@kernel
def scheduled_rate(options, update):
    """Rate of update number `update`: c / (t0 + t)^p, without a power where p is 0 or 1."""
    if options.p == 0.0:
        return options.c
    if options.p == 1.0:
        return options.c / (options.t0 + update)
    return options.c / (options.t0 + update) ** options.p


@kernel
def _threshold(coef, total, seen, trail, j, now):
    """Apply to coefficient `j` the soft thresholds of all steps up to `now` that it has not seen.

    For each step s, `trail[3 s]` is the sum of the thresholds so far, in units of the stored
    coefficients; the sums of the scale and of scale * threshold over the averaged steps follow it.
    With them the sum of |w| on a straight way down to zero has a closed form.
    """
    then = 3 * seen[j]
    seen[j] = now
    value = coef[j]
    if value == 0.0:
        return
    magnitude, sign = abs(value), np.sign(value)
    last = 3 * now
    if trail[last] - trail[then] >= magnitude:
        coef[j] = 0.0
        low, high = then // 3, now
        while high - low > 1:  # to the last step at which something is left
            middle = (low + high) // 2
            if trail[3 * middle] - trail[then] < magnitude:
                low = middle
            else:
                high = middle
        last = 3 * low
    else:
        coef[j] = value - sign * (trail[last] - trail[then])
    way = (magnitude + trail[then]) * (trail[last + 1] - trail[then + 1]) - (
        trail[last + 2] - trail[then + 2]
    )
    total[j] += sign * way


@kernel
def _threshold_rows(rows, order, first, stop, coef, total, seen, trail, now):
    """`_threshold` for all coefficients that some rows touch."""
    for m in range(first, stop):
        start, end = rows.span(order[m])
        for k in range(start, end):
            _threshold(coef, total, seen, trail, np.int64(rows.column(k)), now)


@kernel
def _fold(coef, total, seen, trail, now, scale, mass):
    """Make scale * coef the stored coefficients, and mass * coef + total the stored sums; all
    thresholds applied.
    """
    for j in range(coef.size):
        if seen.size > 0:
            _threshold(coef, total, seen, trail, j, now)
            seen[j] = 0
        if mass != 0.0:
            total[j] += mass * coef[j]
        coef[j] *= scale


@kernel
def gd_epoch(rows, samples, loss, step_length, order, batch, point, total, counters, options):
    """One epoch of plain gradient descent with an L2, L1 or elastic-net penalty, exact on the
    nonzeros of a row alone.

    The coefficients are scale * point: an L2 step changes the scale only (Bottou, 2012, section
    5.1). L1 steps are caught up with when a row touches the coefficient (Lipton and Elkan, 2015).
    The iterates sum to mass * point + total. What is told of single rows has the L2 penalty in it,
    from a sum of squares that moves with the coefficients.
    """
    l1, l2, average_from = options.l1, options.l2, options.average_from
    coef, d, n = point[:-1], point.size - 1, order.size
    coef_total = total[:-1]
    steps = np.zeros(min(batch, n))
    seen = np.zeros(d if l1 > 0.0 else 0, np.int64)
    trail = np.zeros(3 * ((n + batch - 1) // batch + 1) if l1 > 0.0 else 0)
    intercept, intercept_total, scale, mass = point[d], total[d], 1.0, 0.0
    update, averaged = counters[UPDATES], counters[AVERAGED]
    start = now = np.int64(
        0
    )  # a plain 0 would have Numba compile the functions it is passed to twice
    loss_sum, squares, dot = 0.0, 0.0, 0.0
    penalised = (
        options.sums_losses and batch == 1 and l1 == 0.0 and l2 > 0.0 and not step_length.uses_row()
    )
    if penalised:
        for j in range(d):
            squares += coef[j] * coef[j]
    for first in range(0, n, batch):
        stop = min(first + batch, n)
        update += 1.0
        rate = scheduled_rate(options, update)
        if l1 > 0.0:
            _threshold_rows(rows, order, first, stop, coef, coef_total, seen, trail, now)
        intercept_step = 0.0
        for m in range(first, stop):
            i = order[m]
            rows.prefetch(order[min(m + AHEAD, n - 1)])
            dot = rows.dot(i, coef)
            prediction = scale * dot + intercept + samples.offset(i)
            target = samples.target(i)
            derivative = loss.derivative(prediction, target)
            if options.sums_losses:
                loss_sum += loss.value(prediction, target) + 0.5 * l2 * (scale * scale * squares)
            weight = samples.weight(i)
            if step_length.uses_row():
                value, norm = loss.value(prediction, target), rows.squared_norm(i)
                step = step_length.multiple(rate, value, derivative, norm, weight)
            else:
                step = step_length.multiple(rate, 0.0, derivative, 0.0, weight)
            step /= stop - first
            intercept_step += step
            steps[m - first] = step
        scale *= max(0.0, 1.0 - rate * l2)
        if scale < MIN_SCALE:
            _fold(coef, coef_total, seen, trail, now, scale, mass)
            squares *= scale * scale
            dot *= scale
            scale, mass, now = 1.0, 0.0, start
        for m in range(first, stop):
            if steps[m - first] != 0.0:
                if penalised:
                    multiple = -steps[m - first] / scale
                    squares += multiple * (2.0 * dot + multiple * rows.squared_norm(order[m]))
                rows.add(order[m], -steps[m - first] / scale, coef)
                if mass != 0.0:
                    rows.add(order[m], steps[m - first] / scale * mass, coef_total)
        intercept -= options.intercept_rate * intercept_step
        counts = 1.0 if update >= average_from else 0.0
        averaged += counts
        intercept_total += counts * intercept
        if l1 > 0.0:
            now += 1
            trail[3 * now] = trail[3 * now - 3] + rate * l1 / scale
            trail[3 * now + 1] = trail[3 * now - 2] + counts * scale
            trail[3 * now + 2] = trail[3 * now - 1] + counts * scale * trail[3 * now]
            _threshold_rows(rows, order, first, stop, coef, coef_total, seen, trail, now)
        else:
            mass += counts * scale
    _fold(coef, coef_total, seen, trail, now, scale, mass)
    point[d], total[d] = intercept, intercept_total
    counters[UPDATES], counters[AVERAGED] = update, averaged
    return loss_sum


@callee
def _coast(rule, state, coef, total, j, seen, now, alpha, rate, average_from):
    """Bring coefficient `j` from update `seen` to update `now`, no row having touched it
    between.
    """
    while seen < now:
        until = now if seen + 1 >= average_from else min(now, average_from - 1)
        coef[j], way = rule.coast(state, j, coef[j], alpha, rate, until - seen)
        if until >= average_from:
            total[j] += way
        seen = until


# In one piece: with the step and the catching up of a coefficient in functions of their own an
# epoch took 1.6 times as long (Adagrad, 20,000 x 2,000, 40 nonzeros a row, one prediction and
# three).
@kernel
def rule_epoch(problem, rule, order, batch, iterate, columns, options):
    """One epoch of any update rule with any penalty, touching what the rows of a batch touch.

    `columns[0]` multiplies the rate of each coefficient, `columns[1]` is how much rarer than once
    per update a row touches it. With `options.exact` an L2 penalty acts on every coefficient at
    every update, in closed form between the rows that touch it; otherwise a penalty acts on touched
    coefficients only, `columns[1]` times as hard (Pedregosa, Leblond and Lacoste-Julien, 2017).
    """
    rows, samples, loss, penalty = problem
    point, state, total, counters = iterate
    l2, alpha, intercept_rate = options.l2, options.alpha, options.intercept_rate
    exact, smooth = options.exact, options.smooth
    average_from = np.int64(min(options.average_from, 2.0**62))
    coef, d, n = point[:-1], point.size - 1, order.size
    update, loss_sum = int(counters[UPDATES]), 0.0
    gradient = np.zeros(d)
    seen, touched = np.zeros(d, np.int64), np.zeros(d, np.int64)
    for j in range(d):
        seen[j] = update
    for first in range(0, n, batch):
        stop = min(first + batch, n)
        update += 1
        rate = scheduled_rate(options, np.float64(update))
        scale = rule.begin(update)
        n_touched = 0
        for m in range(first, stop):
            i = order[m]
            rows.prefetch(order[min(m + AHEAD, n - 1)])
            start, end = rows.span(i)
            for k in range(start, end):
                column = np.int64(rows.column(k))
                if seen[column] != update and rows.entry(i, k) != 0.0:
                    touched[n_touched] = column
                    n_touched += 1
                    last, seen[column] = seen[column], update
                    gradient[column] = 0.0
                    if exact:
                        own_rate = rate * columns[0, column]
                        _coast(
                            rule,
                            state,
                            coef,
                            total,
                            column,
                            last,
                            update - 1,
                            l2,
                            own_rate,
                            average_from,
                        )
                    else:
                        total[column] += coef[column] * max(0, update - max(last + 1, average_from))
        sum_of_derivatives = 0.0
        for m in range(first, stop):
            i = order[m]
            prediction = rows.dot(i, coef) + point[d] + samples.offset(i)
            derivative = (
                loss.derivative(prediction, samples.target(i)) * samples.weight(i) / (stop - first)
            )
            if options.sums_losses:
                loss_sum += loss.value(prediction, samples.target(i))
            sum_of_derivatives += derivative
            rows.add(i, derivative, gradient)
        for m in range(n_touched):
            j = touched[m]
            own_rate, decay = rate * columns[0, j], 0.0
            if exact:
                decay = rule.decay(state, j, coef[j], l2, own_rate)
            elif smooth:
                decay = alpha * columns[1, j] * penalty.derivative(coef[j], j)
            coef[j] -= rule.step(state, j, gradient[j], decay, own_rate, scale)
            if not exact and not smooth:
                coef[j] = penalty.prox(
                    coef[j], j, alpha * columns[1, j] * rule.reach(state, j, own_rate, scale)
                )
            if update >= average_from:
                total[j] += coef[j]
        if intercept_rate > 0.0:
            point[d] -= rule.step(state, d, sum_of_derivatives, 0.0, rate * intercept_rate, scale)
        if update >= average_from:
            total[d] += point[d]
            counters[AVERAGED] += 1.0
    rate = scheduled_rate(options, np.float64(update))
    for j in range(d):
        if exact:
            _coast(
                rule, state, coef, total, j, seen[j], update, l2, rate * columns[0, j], average_from
            )
        else:
            total[j] += coef[j] * max(0, update + 1 - max(seen[j] + 1, average_from))
    counters[UPDATES] = np.float64(update)
    return loss_sum


@kernel
def apart_and_together(known, chosen):
    """The known columns that are not among the chosen, and both together, all in order: a fifth of
    the time of NumPy's searches and insertions, for 30,000 columns and 200,000.
    """
    others = np.empty(known.size, np.int64)
    together = np.empty(known.size + chosen.size, np.int64)
    n_others, n_together, k = 0, 0, 0
    for place in range(chosen.size):
        j = chosen[place]
        while k < known.size and known[k] < j:
            others[n_others] = together[n_together] = known[k]
            n_others += 1
            n_together += 1
            k += 1
        if k < known.size and known[k] == j:
            k += 1
        together[n_together] = j
        n_together += 1
    while k < known.size:
        others[n_others] = together[n_together] = known[k]
        n_others += 1
        n_together += 1
        k += 1
    return others[:n_others], together[:n_together]


@kernel
def move_others(unknowns, sums, others, factors, masses):
    """Multiply coefficients that no row touches, those of the columns `others`, by a factor, and
    add a multiple of what they were to the sums: unknown j, c has place j K + c.
    """
    n, n_predictions = others.size, factors.size
    for k in range(n):
        first, soon = others[k] * n_predictions, others[min(k + COLUMNS_AHEAD, n - 1)]
        prefetch(unknowns, soon * n_predictions)
        prefetch(sums, soon * n_predictions)
        for c in range(n_predictions):
            if masses[c] != 0.0:
                sums[first + c] += masses[c] * unknowns[first + c]
            unknowns[first + c] *= factors[c]


@kernel
def coast_others(rule, iterate, n_predictions, others, first, scales, power, options):
    """From update `first` on, what an L2 penalty makes of coefficients that no row touches, those
    of the columns `others`: `iterate` has unknown j, c in place j K + c.

    A coefficient of 0 stays, where the rule has no velocity in it. Rates are those of the options
    over scales^power, where there are scales.
    """
    unknowns, state, total, counters = iterate
    average_from, n = np.int64(min(options.average_from, 2.0**62)), others.size
    last = np.int64(counters[UPDATES])
    for k in range(n):
        j, soon = others[k], others[min(k + COLUMNS_AHEAD, n - 1)]
        prefetch(unknowns, soon * n_predictions)
        prefetch(total, soon * n_predictions)
        for slot in range(state.shape[0]):
            prefetch(state[slot], soon * n_predictions)
        rate = options.c
        if scales.size > 0:
            prefetch(scales, soon)
            # Of all that is done for a column here a general power took four fifths.
            rate *= 1.0 / (scales[j] if power == 1.0 else scales[j] ** power)
        for u in range(j * n_predictions, (j + 1) * n_predictions):
            _coast(rule, state, unknowns, total, u, first, last, options.l2, rate, average_from)


@kernel(relaxed=True)
def _row_dot(rows, i, coef):
    """Row `i` times `coef`, added up in any order: 0.85 of the time of `row_epoch`."""
    start, stop = rows.span(i)
    total = 0.0
    for k in range(start, stop):
        total += rows.entry(i, k) * coef[rows.column(k)]
    return total


@kernel
def row_epoch(problem, rule, step_length, order, block, iterate, rates, options):
    """One epoch, row by row, of a rule that does nothing where the gradient is 0; the penalty after
    every `block` rows.

    After k rows comes a proximal step k times as long as one row's: no row has to catch up with
    what its columns missed. The sums are of the points after these steps, where loss and penalty
    are in balance; in between, what rare columns have just learnt stands undamped. The rate is
    constant, and steps are proportional to it: `rates` multiplies those of each coefficient. A
    `step_length` that looks at the row is for plain descent; the row's squared norm is that in the
    units of the rates.

    The memory of a row's columns is gathered, and square roots and divisions vectorise. Time of a
    row of 35 values: 0.11 us, 0.16 without the gathering, 0.60 in `rule_epoch`.
    """
    rows, samples, loss, penalty = problem
    point, state, total, counters = iterate
    rate, intercept_rate, average_from = options.c, options.intercept_rate, options.average_from
    coef, d, n = point[:-1], point.size - 1, order.size
    own, steps = np.empty((state.shape[0], d)), np.empty(d)
    update = counters[UPDATES]
    for first in range(0, n, block):
        stop = min(first + block, n)
        for number in range(first, stop):
            i = order[number]
            rows.prefetch(order[min(number + AHEAD, n - 1)])
            update += 1.0
            prediction = _row_dot(rows, i, coef) + point[d] + samples.offset(i)
            derivative = loss.derivative(prediction, samples.target(i))
            start, end = rows.span(i)
            weight, multiple = samples.weight(i), np.nan
            if step_length.uses_row():
                value, norm = loss.value(prediction, samples.target(i)), 0.0
                for k in range(start, end):
                    norm += rates[rows.column(k)] * rows.entry(i, k) * rows.entry(i, k)
                multiple = step_length.multiple(rate, value, derivative, norm, weight)
            uncapped = rate * derivative * weight
            # (rate * derivative) / rate has other bits.
            capped = step_length.uses_row() and multiple != uncapped
            derivative = multiple / rate if capped else derivative * weight
            if derivative != 0.0:
                scale = rule.begin(int(update))
                for s in range(state.shape[0]):
                    for k in range(start, end):
                        own[s, k - start] = state[s, rows.column(k)]
                for k in range(start, end):
                    steps[k - start] = rule.step(
                        own, k - start, derivative * rows.entry(i, k), 0.0, rate, scale
                    )
                for s in range(state.shape[0]):
                    for k in range(start, end):
                        state[s, rows.column(k)] = own[s, k - start]
                for k in range(start, end):
                    j = rows.column(k)
                    coef[j] -= rates[j] * steps[k - start]
                if intercept_rate > 0.0:
                    point[d] -= rule.step(state, d, derivative, 0.0, rate * intercept_rate, scale)
        counts = 1.0 if update >= average_from else 0.0
        scale, strength = rule.begin(int(update)), options.alpha * rate * (stop - first)
        for j in range(d):
            coef[j] = penalty.prox(
                coef[j], j, strength * rates[j] * rule.reach(state, j, 1.0, scale)
            )
            total[j] += counts * coef[j]
        total[d] += counts * point[d]
        counters[AVERAGED] += counts
    counters[UPDATES] = update


@kernel
def vector_row_epoch(problem, rule, order, block, iterate, rates, options):
    """`row_epoch` for K predictions: `point` and `total` are (d + 1, K), and unknown j, c has the
    place j K + c in `state`.
    """
    rows, samples, loss, penalty = problem
    point, state, total, counters = iterate
    rate, intercept_rate, average_from = options.c, options.intercept_rate, options.average_from
    d, n, n_predictions = point.shape[0] - 1, order.size, point.shape[1]
    coef, derivatives = point[:-1], np.zeros(n_predictions)
    predictions, update = np.zeros(n_predictions), counters[UPDATES]
    for first in range(0, n, block):
        stop = min(first + block, n)
        for number in range(first, stop):
            i = order[number]
            rows.prefetch(order[min(number + AHEAD, n - 1)])
            update += 1.0
            scale = rule.begin(int(update))
            for c in range(n_predictions):
                predictions[c] = point[d, c] + samples.offset(i)
            rows.add_products(i, coef, predictions)
            loss.derivatives(predictions, samples.target(i), derivatives)
            for c in range(n_predictions):
                derivatives[c] *= samples.weight(i)
            start, end = rows.span(i)
            for k in range(start, end):
                j, entry = np.int64(rows.column(k)), rows.entry(i, k)
                if entry != 0.0:
                    for c in range(n_predictions):
                        coef[j, c] -= rates[j] * rule.step(
                            state, j * n_predictions + c, derivatives[c] * entry, 0.0, rate, scale
                        )
            for c in range(n_predictions):
                if intercept_rate > 0.0:
                    u = d * n_predictions + c
                    point[d, c] -= rule.step(
                        state, u, derivatives[c], 0.0, rate * intercept_rate, scale
                    )
        counts = 1.0 if update >= average_from else 0.0
        scale, strength = rule.begin(int(update)), options.alpha * rate * (stop - first)
        for j in range(d):
            for c in range(n_predictions):
                reach = rule.reach(state, j * n_predictions + c, 1.0, scale)
                coef[j, c] = penalty.prox(coef[j, c], j, strength * rates[j] * reach)
                total[j, c] += counts * coef[j, c]
        for c in range(n_predictions):
            total[d, c] += counts * point[d, c]
        counters[AVERAGED] += counts
    counters[UPDATES] = update


@kernel
def vector_epoch(rows, samples, loss, order, batch, point, total, counters, options):
    """`gd_epoch` for K predictions and an L2 penalty: `point` and `total` are (d + 1, K)."""
    l2, intercept_rate, average_from = options.l2, options.intercept_rate, options.average_from
    coef, d, n, n_predictions = point[:-1], point.shape[0] - 1, order.size, point.shape[1]
    predictions, intercept_steps = np.zeros(n_predictions), np.zeros(n_predictions)
    steps = np.zeros((min(batch, n), n_predictions))
    scale, mass, update, loss_sum = 1.0, 0.0, counters[UPDATES], 0.0
    for first in range(0, n, batch):
        stop = min(first + batch, n)
        update += 1.0
        rate = scheduled_rate(options, update)
        for m in range(first, stop):
            i, step = order[m], steps[m - first]
            rows.prefetch(order[min(m + AHEAD, n - 1)])
            for c in range(n_predictions):
                predictions[c] = (point[d, c] + samples.offset(i)) / scale
            rows.add_products(i, coef, predictions)
            for c in range(n_predictions):
                predictions[c] *= scale
            loss.derivatives(predictions, samples.target(i), step)
            if options.sums_losses:
                loss_sum += loss.value(predictions, samples.target(i))
            for c in range(n_predictions):
                step[c] *= rate * samples.weight(i) / (stop - first)
                intercept_steps[c] += step[c]
        scale *= max(0.0, 1.0 - rate * l2)
        if scale < MIN_SCALE:
            _fold_table(point, total, scale, mass)
            scale, mass = 1.0, 0.0
        for m in range(first, stop):
            step = steps[m - first]
            for c in range(n_predictions):
                step[c] /= -scale
            rows.add_outer(order[m], step, coef)
            if mass != 0.0:
                for c in range(n_predictions):
                    step[c] *= -mass
                rows.add_outer(order[m], step, total)
        counts = 1.0 if update >= average_from else 0.0
        for c in range(n_predictions):
            point[d, c] -= intercept_rate * intercept_steps[c]
            total[d, c] += counts * point[d, c]
            intercept_steps[c] = 0.0
        mass += counts * scale
        counters[AVERAGED] += counts
    _fold_table(point, total, scale, mass)
    counters[UPDATES] = update
    return loss_sum


@kernel
def vector_rule_epoch(problem, rule, order, batch, iterate, columns, options):
    """`rule_epoch` for K predictions: `point` and `total` are (d + 1, K), and unknown j, c has the
    place j K + c in `state`.
    """
    rows, samples, loss, penalty = problem
    point, state, total, counters = iterate
    l2, alpha, intercept_rate = options.l2, options.alpha, options.intercept_rate
    exact, smooth = options.exact, options.smooth
    average_from = np.int64(min(options.average_from, 2.0**62))
    d, n, n_predictions = point.shape[0] - 1, order.size, point.shape[1]
    coef, unknowns, sums = point[:-1], point.reshape(point.size), total.reshape(total.size)
    update, loss_sum = int(counters[UPDATES]), 0.0
    gradient, derivatives = np.zeros((d, n_predictions)), np.zeros(n_predictions)
    predictions, sums_of_derivatives = np.zeros(n_predictions), np.zeros(n_predictions)
    seen, touched = np.zeros(d, np.int64), np.zeros(d, np.int64)
    for j in range(d):
        seen[j] = update
    for first in range(0, n, batch):
        stop = min(first + batch, n)
        update += 1
        rate = scheduled_rate(options, np.float64(update))
        scale = rule.begin(update)
        n_touched = 0
        for m in range(first, stop):
            i = order[m]
            rows.prefetch(order[min(m + AHEAD, n - 1)])
            start, end = rows.span(i)
            for k in range(start, end):
                column = np.int64(rows.column(k))
                if seen[column] != update and rows.entry(i, k) != 0.0:
                    touched[n_touched] = column
                    n_touched += 1
                    last, seen[column] = seen[column], update
                    away = max(0, update - max(last + 1, average_from))
                    for u in range(column * n_predictions, (column + 1) * n_predictions):
                        gradient[column, u - column * n_predictions] = 0.0
                        if exact:
                            own_rate = rate * columns[0, column]
                            _coast(
                                rule,
                                state,
                                unknowns,
                                sums,
                                u,
                                last,
                                update - 1,
                                l2,
                                own_rate,
                                average_from,
                            )
                        else:
                            sums[u] += unknowns[u] * away
        for c in range(n_predictions):
            sums_of_derivatives[c] = 0.0
        for m in range(first, stop):
            i = order[m]
            for c in range(n_predictions):
                predictions[c] = point[d, c] + samples.offset(i)
            rows.add_products(i, coef, predictions)
            loss.derivatives(predictions, samples.target(i), derivatives)
            if options.sums_losses:
                loss_sum += loss.value(predictions, samples.target(i))
            for c in range(n_predictions):
                derivatives[c] *= samples.weight(i) / (stop - first)
                sums_of_derivatives[c] += derivatives[c]
            rows.add_outer(i, derivatives, gradient)
        for m in range(n_touched):
            j = touched[m]
            own_rate = rate * columns[0, j]
            for c in range(n_predictions):
                u, decay = j * n_predictions + c, 0.0
                if exact:
                    decay = rule.decay(state, u, unknowns[u], l2, own_rate)
                elif smooth:
                    decay = alpha * columns[1, j] * penalty.derivative(unknowns[u], j)
                unknowns[u] -= rule.step(state, u, gradient[j, c], decay, own_rate, scale)
                if not exact and not smooth:
                    reach = rule.reach(state, u, own_rate, scale)
                    unknowns[u] = penalty.prox(unknowns[u], j, alpha * columns[1, j] * reach)
                if update >= average_from:
                    sums[u] += unknowns[u]
        for c in range(n_predictions):
            u = d * n_predictions + c
            if intercept_rate > 0.0:
                unknowns[u] -= rule.step(
                    state, u, sums_of_derivatives[c], 0.0, rate * intercept_rate, scale
                )
            if update >= average_from:
                sums[u] += unknowns[u]
        if update >= average_from:
            counters[AVERAGED] += 1.0
    rate = scheduled_rate(options, np.float64(update))
    for j in range(d):
        away = max(0, update + 1 - max(seen[j] + 1, average_from))
        for u in range(j * n_predictions, (j + 1) * n_predictions):
            if exact:
                own_rate = rate * columns[0, j]
                _coast(rule, state, unknowns, sums, u, seen[j], update, l2, own_rate, average_from)
            else:
                sums[u] += unknowns[u] * away
    counters[UPDATES] = np.float64(update)
    return loss_sum


@kernel
def _fold_table(point, total, scale, mass):
    """`_fold` for (d + 1, K) arrays without thresholds; the intercepts stay."""
    for j in range(point.shape[0] - 1):
        for c in range(point.shape[1]):
            if mass != 0.0:
                total[j, c] += mass * point[j, c]
            point[j, c] *= scale
