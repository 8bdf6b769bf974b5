"""Compiled loops, one family a file."""
