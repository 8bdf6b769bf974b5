"""`python -m fastgd.warmup`, as images of earlier versions call it, is `python -m fastgd warmup`.

Imported by its name it stands in the way of the function, and so it can be called like it.
"""

import sys
import types

from fastgd.warm_up import warmup


class _Callable(types.ModuleType):
    def __call__(self, *arguments, **named):
        return warmup(*arguments, **named)


sys.modules[__name__].__class__ = _Callable

if __name__ == "__main__":
    warmup()
