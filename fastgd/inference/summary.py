"""The table of a fitted model: coefficients with standard errors, and how well it fits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

import numpy as np
import scipy.special

from fastgd.inference.covariance import covariance_of
from fastgd.losses.base import has_log_likelihood
from fastgd.objective.null_model import null_model
from fastgd.runtime.array_types import Floats
from fastgd.runtime.public import public

PENALISED = (
    "The coefficients are penalised (alpha={alpha:g}), which pulls them towards 0; the intervals "
    "do not allow for that."
)
COLUMNS = ("coef", "std_error", "z", "p_value", "low", "high")
# Of longer tables the first and the last rows are printed, half of these each.
PRINTED = 60
# p below this is printed as that: z has no such precision.
LEAST_P = 1e-4
# From so many standard errors on a table says that its model is not at the optimum: z and the ends
# of intervals are then wrong in their second digit.
OFF = 0.01
NOT_OPTIMAL = (
    "The coefficients are up to {off:.2g} standard errors from the optimum: fit with a smaller tol."
)
READ_AS_COUNTS = (
    "The weights were read as counts, a row of weight k being k rows: pass weights='precision' "
    "where they are exposures, trials or precisions, which have other standard errors."
)
# A weight is a whole number where it is that but for rounding.
WHOLE = 1e-9
NO_LIKELIHOOD = (
    "covariance='model' needs a loss that is a likelihood, and {loss!r} is none; pass "
    "covariance='HC1', which needs no model of the residuals"
)


@public
@dataclass(frozen=True)
class Summary:
    """Coefficients of a fitted model with standard errors, and how well the model fits.

    The method `summary` of an estimator makes it.

    Attributes
    ----------
    names : list of str
        Of the coefficients; the intercept comes last.
    outputs : list of str
        The class, or target, of each coefficient; "" where there is one.
    coef, std_error, z, p_value, low, high : ndarray, (n_coefficients,)
        z = coef / std_error, compared with a normal distribution; `low` to `high` is the interval
        of the given level.
    covariance : ndarray, (n_coefficients, n_coefficients)
    covariance_type : str
        What the covariance is: "model", "HC0", "HC1" or "cluster".
    level : float
        Of the intervals, 0.95 for 95 %.
    n_observations : float
        Sum of the weights where they are counts, the number of rows that have one where they are
        precisions.
    n_effective : float
        Coefficients, or what a penalty leaves of them: trace(H^-1 J).
    dispersion : float
        Of the targets about their means; 1 where the likelihood has none, NaN where there is no
        likelihood.
    deviance_explained : float
        1 - loss / loss of the null model, which has no columns, and an intercept where this model
        has one: without it `score`, whose null model always has one, is another number. NaN where
        the loss has no known infimum of 0.
    log_likelihood, aic, bic : float
        -2 log-likelihood plus 2, or log(n_observations), times n_effective; NaN where the loss is
        no likelihood.
    notes : tuple of str
        What has to be known about the intervals.
    from_optimum : float
        The most standard errors that one Newton step would move a coefficient: 0 at the optimum. Of
        0.01 and more a note tells.
    about : str
        Whose coefficients these are, where there is more than one class or target and one model of
        them: "class yes, against class no".

    Examples
    --------
    >>> from fastgd import GDRegressor
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 2.0, 4.0]
    >>> table = GDRegressor(alpha=0.0).fit(X, y).summary(X, y)
    >>> table.names, table.coef.round(2).tolist(), table.std_error.round(2).tolist()
    (['x0', 'intercept'], [1.3, -0.2], [0.17, 0.32])
    """

    names: list[str]
    coef: Floats
    covariance: Floats
    covariance_type: str
    level: float
    n_observations: float
    n_effective: float
    dispersion: float
    deviance_explained: float
    log_likelihood: float
    notes: tuple[str, ...]
    outputs: list[str] = field(default_factory=list)
    from_optimum: float = 0.0
    about: str = ""

    @property
    def std_error(self) -> Floats:
        """Roots of the diagonal of the covariance."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def low(self) -> Floats:
        """Lower ends of the intervals."""
        return self.coef - self._spread

    @property
    def high(self) -> Floats:
        """Upper ends of the intervals."""
        return self.coef + self._spread

    @property
    def _spread(self) -> Floats:
        return self.std_error * scipy.special.ndtri(0.5 + 0.5 * self.level)

    @property
    def aic(self) -> float:
        """Akaike's criterion, of models for the same rows the lowest is the best."""
        return 2.0 * self.n_effective - 2.0 * self.log_likelihood

    @property
    def bic(self) -> float:
        """The Bayesian criterion, which counts coefficients the more the more rows there are."""
        return np.log(self.n_observations) * self.n_effective - 2.0 * self.log_likelihood

    @property
    def z(self) -> Floats:
        """Coefficients in standard errors."""
        with np.errstate(all="ignore"):
            return self.coef / self.std_error

    @property
    def p_value(self) -> Floats:
        """Probability of a |z| this large where the coefficient is 0."""
        return scipy.special.erfc(np.abs(self.z) / np.sqrt(2.0))

    @property
    def kind(self) -> str:
        """The `covariance_type`, by its earlier name."""
        return self.covariance_type

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame, a row for each coefficient.

        Raises
        ------
        ImportError
            Where pandas is not installed.
        """
        import pandas as pd

        columns = {name: getattr(self, name) for name in COLUMNS}
        if any(self.outputs):
            columns = {"output": self.outputs, **columns}
        return pd.DataFrame(columns, index=self.names)

    def relative_to(self, output: Any) -> Summary:
        """The table of the differences to one of several classes: what a model with this class as
        the reference says.

        Parameters
        ----------
        output : label
            Of the class of reference.

        Returns
        -------
        Summary
        """
        labels = list(dict.fromkeys(self.outputs))
        if len(labels) < 2:
            about = f", and has the coefficients of {self.about}" if self.about else ""
            raise ValueError(
                "relative_to is for a model with coefficients of each of several classes; this "
                f"table is of one model{about}"
            )
        if str(output) not in labels:
            raise ValueError(f"output must be one of {', '.join(labels)}, got {output!r}")
        size, base = len(self.names) // len(labels), labels.index(str(output))
        differences = np.delete(np.eye(len(labels)), base, axis=0)
        differences[:, base] = -1.0
        change = np.kron(differences, np.eye(size))
        return replace(
            self,
            names=self.names[size:],
            outputs=[one for one in self.outputs if one != str(output)],
            coef=change @ self.coef,
            covariance=change @ self.covariance @ change.T,
            notes=(*self.notes, f"Differences to class {output}."),
        )

    @property
    def labels(self) -> list[str]:
        """Names of the rows: with the class where there are several."""
        if not any(self.outputs):
            return self.names
        return [f"{one}: {name}" for one, name in zip(self.outputs, self.names, strict=True)]

    def __str__(self) -> str:
        rows = [("column", *COLUMNS), *self._cells()]
        width = max(len(name) for name, *_ in rows)
        lines = [
            "  ".join([f"{name:<{width}}", *(f"{cell:>11}" for cell in row)]) for name, *row in rows
        ]
        facts = [f"{name}: {value}" for name, value in self._facts()]
        return "\n".join([*lines, "", *facts, *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{one}</th>" for one in ("", *COLUMNS))
        rows = "".join(
            f"<tr><th>{escape(name)}</th>"
            + "".join(f"<td>{escape(cell)}</td>" for cell in row)
            + "</tr>"
            for name, *row in self._cells()
        )
        facts = "<br>".join(f"{name}: {escape(str(value))}" for name, value in self._facts())
        notes = "<br>".join(escape(note) for note in self.notes)
        return f"<table><thead><tr>{head}</tr></thead>{rows}</table><p>{facts}</p><p>{notes}</p>"

    def _cells(self):
        """Rows of the table as strings, each with its label first."""
        labels, columns = self.labels, [getattr(self, name) for name in COLUMNS]
        rows = [
            [
                labels[k],
                *(
                    _in_digits(name, column[k])
                    for name, column in zip(COLUMNS, columns, strict=True)
                ),
            ]
            for k in printed(len(labels))
        ]
        return with_gap(rows, len(labels))

    def _facts(self):
        found = {
            "observations": self.n_observations,
            "effective degrees of freedom": self.n_effective,
            "dispersion": self.dispersion,
            "deviance explained": self.deviance_explained,
            "log-likelihood": self.log_likelihood,
            "AIC": self.aic,
            "BIC": self.bic,
        }
        numbers = [(name, f"{x:.6g}") for name, x in found.items() if not np.isnan(x)]
        about = [("coefficients of", self.about)] if self.about else []
        size = len(self.names)
        left_out = [("coefficients", f"{size:,}; to_frame() has all")] if size > PRINTED else []
        return [
            *about,
            *left_out,
            *numbers,
            ("standard errors", self.covariance_type),
            ("level of the intervals", self.level),
        ]


@public
@dataclass(frozen=True)
class Coefficients:
    """Coefficients of a fitted model with the names of their columns, the largest first.

    The method `coefficients` of an estimator makes it.

    Attributes
    ----------
    names, outputs : list of str
        Column, and class or target where there are several, of each coefficient.
    values : ndarray, (n_coefficients,)
    standardised : ndarray, (n_coefficients,), or None
        Times the standard deviation of the column.
    about : str
        Whose coefficients these are, as in `Summary`.

    Notes
    -----
    Of more than 60 coefficients the first and the last are printed.

    Examples
    --------
    >>> from fastgd import GDRegressor
    >>> X, y = [[0.0, 1.0], [1.0, 0.0], [2.0, 0.0], [3.0, 1.0]], [1.0, 2.0, 4.0, 7.0]
    >>> found = GDRegressor(alpha=0.0).fit(X, y).coefficients()
    >>> found.names, found.values.round(2).tolist()
    (['x0', 'x1'], [2.0, 1.0])
    """

    names: list[str]
    outputs: list[str]
    values: Floats
    standardised: Floats | None
    about: str = ""

    @classmethod
    def of(cls, names, outputs, coef, scale=None, about=""):
        """From coefficients (n_outputs, n_features) and standard deviations of the columns."""
        values = np.ravel(coef)
        standardised = None if scale is None else np.ravel(coef * scale)
        size = np.abs(values if standardised is None else standardised)
        order = np.argsort(-size, kind="stable")
        labels = [(name, output) for output in outputs for name in names]
        return cls(
            [labels[k][0] for k in order],
            [labels[k][1] for k in order],
            values[order],
            None if standardised is None else standardised[order],
            about,
        )

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame; ImportError where pandas is not installed."""
        import pandas as pd

        columns = {"output": self.outputs, "coef": self.values}
        if self.standardised is not None:
            columns["standardised"] = self.standardised
        return pd.DataFrame(columns, index=self.names)

    def __str__(self) -> str:
        return "\n".join([*("  ".join(row).rstrip() for row in self._cells()), *self._ending()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, *rows = self._cells()
        lines = [
            "<tr>" + "".join(f"<{tag}>{escape(cell.strip())}</{tag}>" for cell in row) + "</tr>"
            for tag, row in [("th", head), *(("td", row) for row in rows)]
        ]
        ending = "".join(f"<p>{escape(line)}</p>" for line in self._ending())
        return f"<table>{''.join(lines)}</table>{ending}"

    def _ending(self):
        """What is said below the table."""
        about = [f"Coefficients of {self.about}."] if self.about else []
        size = len(self.names)
        left_out = [f"{size:,} coefficients; to_frame() has all."] if size > PRINTED else []
        return [*left_out, *about]

    def _cells(self):
        """Rows of the table as strings of equal widths, the head first."""
        size = len(self.names)
        columns: dict[str, Any] = {"column": self.names, "output": self.outputs}
        columns |= {"coef": self.values, "standardised": self.standardised}
        shown = {
            head: column
            for head, column in columns.items()
            if column is not None and (head != "output" or any(self.outputs))
        }
        rows = [
            [one[k] if isinstance(one[k], str) else f"{one[k]:.5g}" for one in shown.values()]
            for k in printed(size)
        ]
        rows = [list(shown), *with_gap(rows, size)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return [
            [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)] for row in rows
        ]


def printed(size):
    """Places of the rows of a table of so many that are printed."""
    if size <= PRINTED:
        return range(size)
    half = PRINTED // 2
    return [*range(half), *range(size - half, size)]


def with_gap(rows, size):
    """The rows that are printed, with a row of dots where a table of `size` rows has more."""
    if size <= PRINTED:
        return rows
    half = PRINTED // 2
    return [*rows[:half], ["..."] * len(rows[0]), *rows[half:]]


def _in_digits(name, number):
    """A number of the column `name`."""
    if name != "p_value":
        return f"{number:.5g}"
    return f"<{LEAST_P:.4f}" if number < LEAST_P else f"{number:.4f}"


def summarise(
    objective,
    coef,
    intercept,
    names,
    total,
    covariance_type="model",
    clusters=None,
    level=0.95,
    reading="counts",
):
    """`Summary` of a model.

    Parameters
    ----------
    objective : Objective
        Of the rows that the model was fitted to, with the loss, weights, offset and penalty; one
        prediction, a loss with a derivative, no L1 part.
    coef, intercept : ndarray, (n_features,), and float
        As the user sees them.
    names : list of str
        Of the coefficients, the intercept included where there is one.
    total : float
        Sum of the weights.
    covariance_type : {"model", "HC0", "HC1", "cluster"}
    clusters : ndarray, (n_samples,), optional
    level : float
    reading : {"counts", "precision"}
        Of the weights.
    """
    F = objective
    if covariance_type == "model" and not has_log_likelihood(F.loss):
        raise ValueError(NO_LIKELIHOOD.format(loss=F.loss.name))
    found = covariance_of(F, coef, intercept, total, covariance_type, clusters, reading)
    estimate = np.r_[coef, intercept] if F.fit_intercept else coef
    return Summary(
        names=names,
        outputs=[""] * len(names),
        coef=estimate,
        covariance=found.matrix,
        covariance_type=covariance_type,
        level=level,
        n_observations=found.n_observations,
        n_effective=found.n_effective,
        dispersion=found.dispersion,
        deviance_explained=explained_share(F, found.rows.loss, total),
        log_likelihood=_log_likelihood(F, found, reading),
        notes=penalty_note(F, estimate),
        from_optimum=found.from_optimum,
    )


def _log_likelihood(objective, found, reading):
    """Of the targets; NaN where the loss is no likelihood."""
    loss, rows = objective.loss, found.rows
    if not has_log_likelihood(loss):
        return np.nan
    targets = objective.samples.targets
    if reading == "counts" or not loss.estimates_dispersion:
        return loss.log_likelihood(rows.predictions, targets, rows.weights, found.dispersion)
    some = rows.weights > 0.0
    dispersions = found.dispersion / rows.weights[some]
    each = np.ones(dispersions.size)
    return loss.log_likelihood(rows.predictions[some], targets[some], each, dispersions)


def distance_note(table):
    """A note, or none, of a model that is not at the optimum of the rows."""
    off = table.from_optimum
    return (NOT_OPTIMAL.format(off=off),) if off >= OFF else ()


def reading_note(objective, total):
    """A note, or none, of weights that the user did not say how to read: they may be no counts."""
    F = objective
    weights = total / F.n_active * F.samples.weights
    whole = np.round(weights)
    fractions = bool((np.abs(weights - whole) > WHOLE * weights).any())
    domain, targets = F.loss.target_domain, F.samples.targets
    shares = not F.loss.classification and domain.high < np.inf
    shares = shares and bool(((targets > domain.low) & (targets < domain.high)).any())
    return (READ_AS_COUNTS,) if fractions or (shares and (whole > 1.0).any()) else ()


def penalty_note(objective, estimate):
    """A note, or none, of coefficients that a penalty pulls towards 0."""
    F = objective
    return (PENALISED.format(alpha=F.alpha),) if np.any(F.term.curvature(estimate)) else ()


def explained_share(objective, loss, total):
    """1 - loss / loss of the null model, where the loss is 0 at best; both are summed over the
    rows.
    """
    F = objective
    null = null_model(F)[1] * total
    return 1.0 - loss / null if F.loss.infimum == 0.0 and null > 0.0 else np.nan
