"""Primal-dual interior points for losses of linear and quadratic pieces."""
