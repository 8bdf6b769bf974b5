"""Algorithms: how a state moves by one iteration.  One contract for all, in `base`."""
