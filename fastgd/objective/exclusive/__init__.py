"""Columns of which no two meet in a row: levels of a category, one-hot coded."""
