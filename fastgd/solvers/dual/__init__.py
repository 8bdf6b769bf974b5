"""Coordinate ascent on the dual variables of the rows."""
