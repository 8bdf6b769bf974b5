"""What solvers remember that carry out an update rule: its slots, and where its schedule is."""

from dataclasses import dataclass

import numpy as np

from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.patience import PlateauMemory

# What counts on of the rows before, each time that the iterate is found to be ahead of the average
# (`renew`): after two such chunks in a row a sixteenth.
RENEWED = 0.25


def empty_slots(rule, size):
    """Memory of a rule for `size` unknowns, before its first update."""
    return np.zeros((max(rule.slots, 1), size))


@dataclass
@shaped(slots="slots u")
class RuleMemory:
    """What a solver with an update rule remembers.

    Attributes
    ----------
    slots : ndarray, (slots of the rule, unknowns), or None
        Memory of the rule, for example its velocity; None where nothing was updated yet.
    """

    slots: np.ndarray | None = None


@dataclass
class ScheduledMemory(RuleMemory, PlateauMemory):
    """What a scheduled rule remembers.

    Attributes
    ----------
    faded : float
        How many of the updates no longer count (`forget`): rates that fall are those of as many
        updates as are left.
    """

    faded: float = 0.0

    def count_on(self, updates, earlier):
        """Be after so many updates, those of a run with an `earlier` memory."""
        self.faded = earlier.faded

    def fade(self, updates, share):
        """Let all of the `updates` so far count `share` of what they did."""
        self.faded = updates - share * (updates - self.faded)
