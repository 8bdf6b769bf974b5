"""The precision that everything is computed in: float64."""

import numpy as np

# A unit in the last place of 1: twice what rounding of one operation takes, relative to its result.
EPS = float(np.finfo(float).eps)
