"""Linear algebra and line searches that SciPy lacks; knows no loss."""
