"""Compiled loops over sparse matrices."""

from fastgd.runtime.jit import kernel


@kernel
def subtract_outers(starts, places, values, weights, matrix):
    """Subtract from the lower triangle of `matrix` the sum of weights[e] b_e b_e', b_e being row e
    of a compressed matrix, whose columns may be in any order.
    """
    for e in range(weights.size):
        for k in range(starts[e], starts[e + 1]):
            j = places[k]
            multiple = weights[e] * values[k]
            for m in range(starts[e], k + 1):
                other = places[m]
                if other <= j:
                    matrix[j, other] -= multiple * values[m]
                else:
                    matrix[other, j] -= multiple * values[m]
