"""Searches along regularisation paths."""
