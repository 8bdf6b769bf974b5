"""What `verbose` prints about a fit: the plan, a table of checks, and how it ended."""

import sys

import numpy as np

from fastgd.fitting.ending import NO_USEFUL_BOUND
from fastgd.fitting.observers import Watch

MEASURED = ("passes", "objective", "bound", "seconds")


class Lines(Watch):
    """Prints the plan of a run, a line at each `every`-th check under a header, and its ending.

    Parameters
    ----------
    every : int
    name : str
        What each line begins with where several models are fitted at once.
    buffered : bool
        Whether lines are kept until the run ends: those of several models, fitted on threads, do
        not interleave then.

    Examples
    --------
    >>> from fastgd.fitting.history import History
    >>> history = History()
    >>> history.append(iteration=3, passes=4.5, objective=0.25, bound=1e-3, seconds=0.02)
    >>> lines = Lines(1, "class 2  ")
    >>> lines.checked(history)
    class 2  iteration     passes       objective     bound  seconds
    class 2          3        4.5            0.25  1.00e-03     0.02
    """

    def __init__(self, every, name="", buffered=False):
        self.every, self.name, self.buffered = every, name, buffered
        self.kept: list[str] = []
        self.begun = False  # whether the header is there
        self.shown = ""  # objective of the check that was printed last

    def planned(self, plan):
        """Print the plan that a run begins, or goes on, by."""
        begin = "goes on by " if self.begun else "plan: "
        self._print(f"{begin}{plan}")

    def checked(self, history):
        """Print what the last check found, if its turn has come."""
        if len(history) % self.every == 0:
            self._check(history)

    def ended(self, result, model):
        """Print the last check, where it was not, and the ending."""
        history = result.history
        if len(history) and self.shown != _digits(history["objective"][-1]):
            self._check(history)
        sure = {"proof": "proved", "estimate": "estimated"}.get(result.bound.kind, "")
        known = sure and result.suboptimality < 1.0
        within = f", {sure} to be within {result.suboptimality:.2g} (relative) of the optimum"
        left = within if known else f" {NO_USEFUL_BOUND}" if result.suboptimality >= 1.0 else ""
        self._print(f"ended: {result.reason.value}; objective {_digits(result.objective)}{left}")
        if result.advice:
            self._print(result.advice)
        self._write(self.kept)
        self.kept = []

    def _check(self, history):
        scored = not np.isnan(history["score"][-1])
        if not self.begun:
            self.begun = True
            self._print(header("iteration", scored))
        sample = history["sampled"][-1]
        end = f"  {history['score'][-1]:.6g}" if scored else ""
        if sample > 0:
            end += f"  on a sample of {sample:,.0f} rows"
        measured = {key: history[key][-1] for key in MEASURED}
        if history["suboptimality"][-1] >= 1.0:  # all that is known is that losses have an infimum
            measured["bound"] = np.inf
        self._print(row(history["iteration"][-1], **measured, end=end))
        self.shown = _digits(history["objective"][-1])

    def _print(self, text):
        lines = [f"{self.name}{line}\n" for line in text.splitlines()]
        if self.buffered:
            self.kept += lines
        else:
            self._write(lines)

    @staticmethod
    def _write(lines):
        """Print lines in one write, so that others come before or after them."""
        sys.stdout.write("".join(lines))
        sys.stdout.flush()


def header(first, scored=False):
    """The line above a table of checks."""
    score = "  score" if scored else ""
    return f"{first:>9s} {'passes':>10s} {'objective':>15s} {'bound':>9s} {'seconds':>8s}{score}"


def row(count, passes, objective, bound, seconds, end=""):
    """A line of a table of checks."""
    return (
        f"{count:9.0f} {passes:10.1f} {_digits(objective):>15s} {_number(bound, '{:.2e}'):>9s} "
        f"{seconds:8.2f}{end}"
    )


def _digits(objective):
    return f"{objective:.8g}"


def _number(number, form):
    """A number, or a dash where there is none."""
    return form.format(number) if np.isfinite(number) else "-"
