"""What was measured at each check."""

import html

import numpy as np

# Of the last check of each model, in the lines that several histories are printed as.
SHOWN = ("passes", "objective", "bound", "score")


class History:
    """What was measured at each check, as equally long lists; `arrays` is what users see.

    `kept` is 1 at the check whose model a run with held-out rows reports; `sampled` is the number
    of rows where the objective is that of some of them.

    Attributes
    ----------
    before : int
        Iterations of earlier fits, which a warm start counts on from.
    estimates : dict of str to list of float
        "passes" and "suboptimality" after each iteration, as the solver estimates it, where a rule
        looks at that.
    """

    KEYS = ("passes", "seconds", "objective", "bound", "rate", "batch")

    def __init__(self, before=0):
        self.before = before
        self.estimates: dict[str, list[float]] = {"passes": [], "suboptimality": []}
        self.rows: dict[str, list[float]] = {
            key: []
            for key in (
                *self.KEYS,
                "iteration",
                "suboptimality",
                "score",
                "loss",
                "kept",
                "sampled",
            )
        }

    def append(self, **measured):
        """Add one check; `score` and `loss` may be missing."""
        for key, column in self.rows.items():
            column.append(measured.get(key, np.nan))

    def estimate(self, passes, suboptimality):
        """Add what a solver estimates after an iteration."""
        self.estimates["passes"].append(passes)
        self.estimates["suboptimality"].append(suboptimality)

    def __getitem__(self, key):
        return self.rows[key]

    def __len__(self):
        return len(self.rows["iteration"])

    @property
    def done(self):
        """Iterations of this fit until the last check."""
        return int(self["iteration"][-1]) - self.before

    def joined(self, later, reports_later):
        """The checks of a run and of the one that went on from here, a new history; the model that
        is reported is one of the `later` run or of this one.
        """
        both = History(self.before)
        for key, column in both.rows.items():
            ahead = self[key][-1] if key in ("passes", "seconds", "iteration") else 0
            column.extend(self[key])
            column.extend(value + ahead for value in later[key])
        places = slice(0, len(self)) if reports_later else slice(len(self), None)
        both["kept"][places] = [0.0] * len(both["kept"][places])
        return both

    def repeat(self):
        """Add the last check once more, for what is amended."""
        for column in self.rows.values():
            column.extend(column[-1:])

    def replace_last(self, **measured):
        """Let the last check tell other numbers."""
        for key, value in measured.items():
            self.rows[key][-1] = value

    def arrays(self):
        """The public columns as a dict of arrays; with scores, where there are any."""
        columns = {key: np.array(self.rows[key], dtype=float) for key in self.KEYS}
        if not np.isnan(self.rows["score"]).all():
            columns["score"] = np.array(self.rows["score"], dtype=float)
            columns["kept"] = np.array(self.rows["kept"]) == 1.0
        return columns


class Histories(list):
    """The histories of several models, one for each class or target; printed as a line for each
    that tells how it ended.

    Examples
    --------
    >>> columns = {"passes": np.array([1.0, 4.0]), "objective": np.array([0.7, 0.25])}
    >>> print(Histories([columns, columns], ["a", "b"]))
       checks  passes  objective
    a       2       4       0.25
    b       2       4       0.25
    """

    def __init__(self, histories=(), names=()):
        super().__init__(histories)
        self.names = [str(one) for one in names]

    def _cells(self):
        """Rows of the table as strings, the head first."""
        known = [key for key in SHOWN if self and key in self[0]]
        rows = [["", "checks", *known]]
        for name, columns in zip(self.names, self, strict=True):
            last = [f"{columns[key][-1]:.6g}" for key in known]
            rows.append([name, str(len(columns["passes"])), *last])
        return rows

    def __str__(self):
        rows = self._cells()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for name, *cells in rows:
            padded = [f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True)]
            lines.append("  ".join([f"{name:<{widths[0]}}", *padded]))
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self):
        """A table, for notebooks."""
        head, *rows = [[html.escape(cell) for cell in row] for row in self._cells()]
        lines = ["<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"]
        lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
        return f"<table>{''.join(lines)}</table>"
