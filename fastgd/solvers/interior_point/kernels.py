"""Loops over the rows of the central path.

A step of a row's piece to products `asked` of a (s - low) and of b (high - s), to first order, is,
where u changes by `change`,

    ds = c (change + u - bend s + asked_a / (s - low) - asked_b / (high - s)),
    da = (asked_a - a ds) / (s - low) - a,   db = (asked_b + b ds) / (high - s) - b

with the curvature c = 1 / (bend + a / (s - low) + b / (high - s)).  An end that is infinitely far
has a multiplier of 0, which stays there.

The vectors of a tile are parts of one array: loops that write some of them vectorise where the
compiler sees that no two overlap.  Sums have a lane for each place in a tile, so that they
vectorise, too.  With one signature for all losses and stages they compile once, in 2 s.
"""

import numpy as np

from fastgd.runtime.jit import callee, kernel
from fastgd.solvers.interior_point.bounded_duals import LEAST, MOST, TINY

# Rows of a tile: all its vectors are 25 KB.
TILE = 128
# What `sweep` is for.
BEGIN, PREDICT, CORRECT, CENTRE, MEASURE, MOVE = range(6)


@callee
def centring(product, mu):
    """How much more to ask for where a step reaches this product."""
    return max(min(max(product, LEAST * mu), MOST * mu) - product, -MOST * mu)


@callee
def read_rows(start, n, samples, products, intercept, target, weight, offset, at):
    """Targets and predictions of n rows from `start` on; weights and offsets where each row has
    its own.
    """
    targets, weights, offsets = samples
    for m in range(n):
        target[m], at[m] = targets[start + m], products[start + m] + intercept
    if weights.size > 1:
        for m in range(n):
            weight[m] = weights[start + m]
    if offsets.size > 1:
        for m in range(n):
            offset[m] = offsets[start + m]


@kernel
def sweep(
    stage,
    forms,
    ends,
    samples,
    n_active,
    products,
    intercept,
    duals,
    asked,
    moves,
    move_intercept,
    mu,
    share,
    cuts,
    first,
    last,
    derivatives,
    curvatures,
    of_pieces,
    sums,
):
    """What an iteration asks of the rows, by `stage`; a step is where predictions change by
    `moves` and `move_intercept`.

    BEGIN: curvatures of the rows times their weights, and of their pieces, where `of_pieces` is
    not empty.  PREDICT: sums of the products after a share t of the step, c0 + c1 t + c2 t^2,
    times the weights, and the greatest inverse of a share at which a variable reaches its end, at
    least 1, into `sums[:, b]`.  CORRECT: asks for products of `mu` less those of the step's
    changes.  CENTRE: asks for more, or less, where those at that `share` of the step are far from
    `mu`.  MEASURE: the sums of a step to what is asked for.  MOVE: variables go that `share` of it.

    BEGIN, CORRECT and CENTRE give the derivatives of the rows where u does not change, over
    `n_active`.  Before CORRECT no products are asked for.
    """
    (low, high, bend), (_, weights, offsets) = ends, samples
    has_low, has_high = low > -np.inf, high < np.inf
    length, work = np.uint64(TILE), np.empty((24, TILE))
    target, weight, offset, at, moved = work[0], work[1], work[2], work[3], work[4]
    s, a, b, asked_a, asked_b = work[5], work[6], work[7], work[8], work[9]
    sign, low_inverse, high_inverse, c, still = work[10], work[11], work[12], work[13], work[14]
    ds, da, db, derivative, curvature = work[15], work[16], work[17], work[18], work[19]
    constant, linear, square, fastest = work[20], work[21], work[22], work[23]
    for m in range(length):
        weight[m], offset[m], asked_a[m], asked_b[m] = weights[0], offsets[0], 0.0, 0.0
    for block in range(first, last):
        for m in range(length):
            constant[m], linear[m], square[m], fastest[m] = 0.0, 0.0, 0.0, 1.0
        for start in range(cuts[block], cuts[block + 1], length):
            n = min(length, cuts[block + 1] - start)
            read_rows(start, n, samples, products, intercept, target, weight, offset, at)
            for m in range(n):
                moved[m] = moves[start + m] + move_intercept
                derivative[m] = curvature[m] = 0.0
            for p in range(forms.shape[0]):
                for m in range(n):
                    s[m], a[m] = duals[0, p, start + m], duals[1, p, start + m]
                    b[m] = duals[2, p, start + m]
                for m in range(n):
                    sign[m] = forms[p, 2] + forms[p, 3] * target[m]
                    center = forms[p, 0] + forms[p, 1] * target[m] + sign[m] * offset[m]
                    still[m] = center + sign[m] * at[m] - bend * s[m]
                    low_inverse[m] = 1.0 / max(s[m] - low, TINY)
                    high_inverse[m] = 1.0 / max(high - s[m], TINY)
                    c[m] = 1.0 / (bend + a[m] * low_inverse[m] + b[m] * high_inverse[m])
                if stage >= CENTRE:
                    for m in range(n):
                        asked_a[m], asked_b[m] = asked[0, p, start + m], asked[1, p, start + m]
                for m in range(n):
                    rest_a, rest_b = asked_a[m] * low_inverse[m], asked_b[m] * high_inverse[m]
                    ds[m] = c[m] * (sign[m] * moved[m] + (still[m] + rest_a - rest_b))
                    da[m] = rest_a - a[m] - a[m] * low_inverse[m] * ds[m]
                    db[m] = rest_b - b[m] + b[m] * high_inverse[m] * ds[m]
                if stage == MOVE:
                    for m in range(n):
                        duals[0, p, start + m] = s[m] + share * ds[m]
                        duals[1, p, start + m] = a[m] + share * da[m]
                        duals[2, p, start + m] = b[m] + share * db[m]
                elif stage in (PREDICT, MEASURE):
                    for m in range(n):
                        to_low = max(s[m] - low, TINY) if has_low else 0.0
                        to_high = max(high - s[m], TINY) if has_high else 0.0
                        own = a[m] * ds[m] + da[m] * to_low - b[m] * ds[m] + db[m] * to_high
                        constant[m] += weight[m] * (a[m] * to_low + b[m] * to_high)
                        linear[m] += weight[m] * own
                        square[m] += weight[m] * (da[m] - db[m]) * ds[m]
                        # A multiplier of 0 that stays there has no speed, 0 / 0 is no number.
                        fastest[m] = max(fastest[m], -ds[m] * low_inverse[m])
                        fastest[m] = max(fastest[m], ds[m] * high_inverse[m])
                        fastest[m] = max(fastest[m], -da[m] / a[m])
                        fastest[m] = max(fastest[m], -db[m] / b[m])
                else:
                    if stage == CORRECT:
                        for m in range(n):
                            da[m], db[m] = mu - ds[m] * da[m], mu + ds[m] * db[m]
                    elif stage == CENTRE:
                        for m in range(n):
                            to_low = max(s[m] - low, TINY) if has_low else 0.0
                            to_high = max(high - s[m], TINY) if has_high else 0.0
                            there = (to_low + share * ds[m]) * (a[m] + share * da[m])
                            da[m] = asked_a[m] + centring(there, mu)
                            there = (to_high - share * ds[m]) * (b[m] + share * db[m])
                            db[m] = asked_b[m] + centring(there, mu)
                    if stage != BEGIN:
                        for m in range(n):
                            asked[0, p, start + m], asked[1, p, start + m] = da[m], db[m]
                            still[m] += da[m] * low_inverse[m] - db[m] * high_inverse[m]
                    for m in range(n):
                        derivative[m] += sign[m] * (s[m] + c[m] * still[m])
                        curvature[m] += c[m]
                    if of_pieces.size > 0:
                        for m in range(n):
                            of_pieces[p, start + m] = c[m]
            if stage in (BEGIN, CORRECT, CENTRE):
                for m in range(n):
                    derivatives[start + m] = weight[m] * derivative[m] / n_active
            if stage == BEGIN:
                for m in range(n):
                    curvatures[start + m] = weight[m] * curvature[m]
        sums[0, block] = sums[1, block] = sums[2, block] = 0.0
        sums[3, block] = 1.0
        for m in range(length):
            sums[0, block] += constant[m]
            sums[1, block] += linear[m]
            sums[2, block] += square[m]
            sums[3, block] = max(sums[3, block], fastest[m])


@kernel
def losses_and_duals(
    forms, ends, samples, n_active, products, intercept, s, cuts, first, last, derivatives, sums
):
    """Derivatives of rows whose dual variables are `s`, over `n_active`, and sums over each block,
    into `sums[:, b]`.

    Those are of the weights times the losses first, then of rows with a positive derivative, and
    then of the others, of the weights times derivatives, s center, the magnitudes of that, and
    bend s^2 / 2.
    """
    (low, high, bend), (_, weights, offsets) = ends, samples
    length, work = np.uint64(TILE), np.empty((9, TILE))
    target, weight, offset, at = work[0], work[1], work[2], work[3]
    loss, derivative, term, size, square = work[4], work[5], work[6], work[7], work[8]
    lanes = np.empty((9, TILE))
    for m in range(length):
        weight[m], offset[m] = weights[0], offsets[0]
    for block in range(first, last):
        for k in range(9):
            for m in range(length):
                lanes[k, m] = 0.0
        for start in range(cuts[block], cuts[block + 1], length):
            n = min(length, cuts[block + 1] - start)
            read_rows(start, n, samples, products, intercept, target, weight, offset, at)
            for m in range(n):
                loss[m] = derivative[m] = term[m] = size[m] = square[m] = 0.0
            for p in range(forms.shape[0]):
                for m in range(n):
                    sign = forms[p, 2] + forms[p, 3] * target[m]
                    center = forms[p, 0] + forms[p, 1] * target[m] + sign * offset[m]
                    u = center + sign * at[m]
                    end = high if u > 0.0 else low
                    best = min(max(u / bend, low), high) if bend > 0.0 else end
                    loss[m] += best * u - 0.5 * bend * best * best
                    own = s[p, start + m]
                    derivative[m] += sign * own
                    term[m] += own * center
                    size[m] += abs(own * center)
                    square[m] += 0.5 * bend * own * own
            for m in range(n):
                own = weight[m] * derivative[m]
                derivatives[start + m] = own / n_active
                up = weight[m] if own > 0.0 else 0.0
                down = weight[m] - up
                lanes[0, m] += weight[m] * loss[m]
                lanes[1, m] += own if own > 0.0 else 0.0
                lanes[2, m] += up * term[m]
                lanes[3, m] += up * size[m]
                lanes[4, m] += up * square[m]
                lanes[5, m] += 0.0 if own > 0.0 else own
                lanes[6, m] += down * term[m]
                lanes[7, m] += down * size[m]
                lanes[8, m] += down * square[m]
        for k in range(9):
            total = 0.0
            for m in range(length):
                total += lanes[k, m]
            sums[k, block] = total
