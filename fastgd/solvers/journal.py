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
        """Note what `array` holds `at` these places of its first axis, an array, before they are
        moved.
        """
        self.noted.append((array, at, array.take(at, axis=0)))

    def take_back(self):
        """Let the arrays hold again what they did; any number of times."""
        for array, at, before in reversed(self.noted):
            array[at] = before

    def before(self, array):
        """A copy of an array as it was before the first note, also while another thread moves it:
        what the copy has of a move was noted before that. What is noted may be an array with more
        rows of which this one is a view.
        """
        copied, start = array.copy(), _start(array)
        for moved, at, before in reversed(list(self.noted)):
            if _start(moved) == start:
                here = at < len(copied)
                copied[at[here]] = before[here]
        return copied


def _start(array):
    """Where an array, or a view of all of it, begins in memory."""
    return array.__array_interface__["data"][0]
