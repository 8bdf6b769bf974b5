"""The plan for which updates on some of the rows are left, where these are few.

Noise leaves averages of one-row steps about p / (n e) above the optimum, relative to F, after e
epochs, p unknowns and n rows, whatever their rates (Polyak and Juditsky, 1992). By that alone 150
rows of 4 columns in 3 classes take 100 epochs to 1e-3, 1,797 rows of 64 columns in 10
classes 360. Steps whose noise goes to 0 took 57 epochs to over 1,000 (SVRG), Newton's
method 6 to 9 iterations. So where `tol` is asked for, a rule makes epochs until they, and those
that noise adds to them, are worth the whole of another plan, which goes on from its best point. A
`tol` that noise is below after 32 epochs, the rule has 256 to reach by itself.

Of 32 runs on these data (gd and adam, 1 and 32 rows, columns in one unit or standardised, tol 1e-3
and 1e-4) all end with a proof of tol after 1 epoch and 6 to 9 iterations, in 0.25 to 0.9 of
SGDClassifier's seconds on the larger of these and 2.2 to 2.8 on the smaller, where 5 ms are the
least for a fit.
Without it 31 ended 5e-4 to 0.6 above the optimum after 8 to 1,000 epochs.
"""

from dataclasses import replace

import numpy as np

from fastgd.fitting.choose_solver import batch_sizes, cheapest
from fastgd.fitting.plan import make_plan, steps_are_automatic

# With more rows noise comes down in fewer epochs, and who names a rule gets it: of 49,000 rows 32
# epochs of 16 are within 1e-3.
FEW_ROWS = 5000


def may_be_succeeded(settings, plan, objective):
    """Whether the plan may be left for another one: automatic rates on some of few rows that the
    user chose, for a convex objective.
    """
    F = objective
    chosen = settings.solver != "auto" or settings.batch_size != "auto"
    some_rows = plan.solver not in batch_sizes() and plan.batch_size not in ("full", "growing")
    return bool(
        settings.tol
        and chosen
        and some_rows
        and steps_are_automatic(settings, F.loss)
        and F.convex
        and F.n_active <= FEW_ROWS
    )


def worth_of_successor(settings, objective):
    """Passes' worth of time that the next plan is expected to take; inf where nobody knows."""
    forecast = cheapest(objective, settings.tol)[1]
    return np.inf if forecast.last else forecast.passes


def successor(settings, objective, before, epochs):
    """Plan and rule for which the plan `before` is left after so many epochs; None where `auto`
    would choose nothing but such updates.
    """
    plan, rule = make_plan(replace(settings, solver="auto", batch_size="auto"), objective)
    if plan.solver not in batch_sizes():
        return None
    other = f"{plan.solver} {plan.form}".rstrip()
    why = (
        f"after {epochs} epoch{'s' * (epochs != 1)} of {before.solver}, whose noise takes longer "
        f"to come down to tol={settings.tol:g} than {other} takes, {other} went on from there"
    )
    return replace(plan, reasons=(*before.reasons, why, *plan.reasons)), rule
