"""Searches along paths of alphas."""
