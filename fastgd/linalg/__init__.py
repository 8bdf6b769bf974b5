"""Linear algebra that SciPy lacks; knows no loss."""
