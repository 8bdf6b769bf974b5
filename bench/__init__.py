"""Fair comparisons of gradient methods for linear models: `python -m bench --help`."""
