"""Methods of a loss called in plain Python, whose `math` refuses numbers that compiled code goes on
with.
"""

import numpy as np


def in_python(method, *arguments):
    """What a method gives; NaN where Python raises for a number: compiled code has infinity or NaN.

    Examples
    --------
    >>> import math
    >>> in_python(math.exp, 0.0), in_python(math.exp, 1e3), in_python(math.log, -1.0)
    (1.0, nan, nan)
    """
    try:
        return method(*arguments)
    except Exception as error:
        if not refuses_number(error):
            raise
        return np.nan


def refuses_number(error):
    """Whether it is what Python raises for a number: overflow, a division by 0, a logarithm of
    less than 0.

    Examples
    --------
    >>> refuses_number(OverflowError("math range error")), refuses_number(ValueError("no"))
    (True, False)
    """
    told = isinstance(error, ValueError) and str(error).startswith(("math ", "expected a "))
    return told or isinstance(error, ArithmeticError)
