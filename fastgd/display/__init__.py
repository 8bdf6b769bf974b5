"""Pictures of fits, paths, searches and coefficients; matplotlib is imported when drawing."""

from fastgd.display.coefficients import CoefficientDisplay
from fastgd.display.convergence import ConvergenceDisplay
from fastgd.display.path import PathDisplay
from fastgd.display.search import SearchDisplay

__all__ = ["CoefficientDisplay", "ConvergenceDisplay", "PathDisplay", "SearchDisplay"]
