"""From settings and an objective to a result."""
