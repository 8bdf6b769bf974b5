"""What things cost, counted in operations and told in ns or in passes: the constants that plans
rest on.

They were measured once, on two machines' worth of AMD EPYC cores, and are shipped: a plan depends
on the data and never on a clock, so that the same fit takes the same path everywhere.
"""

from fastgd.objective.gram import loops

# A pass takes about 1 ns for each stored value and this many for each row: 27 ns a row with 54
# dense columns, 30 to 45 with 12 or 14 nonzeros, 48 with 35.
ROW = 25.0
# A curvature matrix takes so many ns for each pair of a value and a column (by BLAS) or of two
# nonzeros of a row (by a loop), and solving with d columns d^3 / 3 multiplications at so many of
# them a ns.
DENSE_COST = 0.03
LOOP_COST = 0.3
MULTIPLICATIONS = 15.0


def pass_cost(objective):
    """Time of a pass in ns."""
    return objective.rows.stored() + ROW * objective.n_samples


def curvature_cost(objective):
    """A curvature matrix in passes' worth of time."""
    F = objective
    stored = max(F.rows.stored(), F.n_samples)
    nonzeros = min(F.row_length, stored / F.n_samples)
    time = (
        LOOP_COST * nonzeros**2 * F.n_samples
        if loops(F.rows, nonzeros)
        else DENSE_COST * stored * F.n_features
    )
    return time / pass_cost(F)


def solving_cost(objective, size):
    """A Cholesky factorisation of a matrix of so many columns in passes' worth of time."""
    return size**3 / 3.0 / MULTIPLICATIONS / pass_cost(objective)
