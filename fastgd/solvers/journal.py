"""What arrays held before a few of their entries were moved in place: an error takes it back."""


class Journal:
    """Entries as they were, in the order in which they were noted.

    Examples
    --------
    >>> import numpy as np
    >>> w, journal = np.zeros(5), Journal()
    >>> journal.note(w, np.array([1, 3]))
    >>> w[[1, 3]] = 7.0
    >>> journal.take_back()
    >>> w
    array([0., 0., 0., 0., 0.])
    """

    def __init__(self):
        self.noted = []

    def note(self, array, at):
        """Note what `array` holds `at` these places of its last axis, before they are moved."""
        self.noted.append((array, at, array[..., at].copy()))

    def take_back(self):
        """Let the arrays hold again what they did; any number of times."""
        for array, at, before in reversed(self.noted):
            array[..., at] = before
