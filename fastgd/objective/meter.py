"""How much of the data has been read, in passes over all rows: the one place that counts them."""


class Meter:
    """Passes over the rows of an objective so far.

    What reads rows counts by itself: a loss with its gradient one pass, X w and X' a half a one
    each, an epoch the rows that it visits.  Where an objective stands for some of the rows or
    columns of another, the other is charged with the share that a pass over these is of one of its
    own.

    Parameters
    ----------
    parent : Meter, optional
        Of the objective of all rows and columns.
    share : float
        What a pass counted here is of one of `parent`.

    Examples
    --------
    >>> meter = Meter()
    >>> sample = Meter(meter, share=0.25)
    >>> sample.count()
    >>> sample.count(0.5)
    >>> sample.passes, meter.passes
    (1.5, 0.375)
    """

    def __init__(self, parent=None, share=1.0):
        self.passes = 0.0
        self._parent, self._share = parent, share

    def count(self, passes=1.0):
        """Count what has been read, as a share of all rows or a number of passes over them."""
        self.passes += passes
        if self._parent is not None:
            self._parent.count(self._share * passes)
