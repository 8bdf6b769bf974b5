"""What is measured of an objective once, for whoever asks next."""


def measured_once(objective, measure, *numbers):
    """What `measure` finds, the first time that it is asked for.

    It is of rows, targets and loss alone, so that objectives with other penalties may know it
    (`Objective.take_measured`), or of these `numbers`, too.

    Parameters
    ----------
    objective : Objective
    measure : callable
        Function of the objective, found again by its module and name.
    *numbers : float

    Examples
    --------
    >>> from fastgd.objective.objective import Objective
    >>> F = Objective("squared_error", [[1.0], [2.0]], [0.0, 1.0])
    >>> measured_once(F, lambda F: F.n_samples), measured_once(F, lambda F: 3)
    (2, 2)
    """
    name = _name(measure, *numbers)
    if name not in objective.measured:
        objective.measured[name] = measure(objective)
    return objective.measured[name]


def is_measured(objective, measure):
    """Whether that was asked for, here or of an objective whose measurements were taken."""
    return _name(measure) in objective.measured


def _name(measure, *numbers):
    return " ".join([measure.__module__, measure.__qualname__, *map(repr, numbers)])
