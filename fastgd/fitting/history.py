"""What was measured at each check."""

import numpy as np


class History:
    """What was measured at each check, as equally long lists; `arrays` is what users see.

    `kept` is 1 at the check whose model a run with held-out rows reports; `sampled` is the number
    of rows where the objective is that of some of them.
    """

    KEYS = ("passes", "seconds", "objective", "bound", "rate", "batch")

    def __init__(self):
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

    def __getitem__(self, key):
        return self.rows[key]

    def __len__(self):
        return len(self.rows["iteration"])

    def extend(self, later, passes):
        """Add the checks of a run that went on from here, after so many `passes`."""
        seconds, iteration = self["seconds"][-1], self["iteration"][-1]
        for key, column in self.rows.items():
            ahead = {"passes": passes, "seconds": seconds, "iteration": iteration}.get(key, 0)
            column.extend(value + ahead for value in later[key])

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
