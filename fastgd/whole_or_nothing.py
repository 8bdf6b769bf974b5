"""An estimator is fitted, or it is left as it was."""

import functools


def whole_or_nothing(method):
    """Decorator: where the method raises, the estimator is left as it was."""

    @functools.wraps(method)
    def guarded(self, *args, **kwargs):
        before = dict(vars(self))
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return guarded
