"""Steps from one row, or a few, at a time."""
