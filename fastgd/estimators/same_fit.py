"""Which fit a checkpoint is of: parameters and data in words, compared before anything starts."""

import numbers
import os

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state

from fastgd.data.block_rows import memory_of
from fastgd.data.digest import digest
from fastgd.fitting.checkpoint import (
    FORMAT,
    Checkpoint,
    instead,
    read,
    unfinished,
    version_of_files,
)
from fastgd.runtime.component import Component
from fastgd.runtime.fingerprint import current_stamp, is_ours

# What may differ where a fit is restored: the result does not depend on it, or only on when it
# ends.
MAY_DIFFER = {"n_jobs", "verbose", "max_time", "checkpoint", "checkpoint_every"}
OF_VALIDATION = "X_val", "y_val", "sample_weight_val", "offset_val"


class Restoration:
    """The checkpoint of a fit before its data are known: read, and found to be of these
    parameters.

    Parameters
    ----------
    estimator : GDEstimator
        With a `checkpoint`.

    Raises
    ------
    ValueError
        Where nothing can be written, or what is there is of other parameters or another version,
        is damaged or no checkpoint; with `record`.
    """

    def __init__(self, estimator):
        if estimator.record is not None:
            raise ValueError(
                "record='coef' keeps the way of a fit in memory, and a fit that is restored from a "
                "checkpoint lacks its beginning; leave out one of the two"
            )
        # Where it is now: the folder of the process may change, and a link stays one.
        self.path = os.path.realpath(os.fspath(estimator.checkpoint))
        self.every, self.estimator = float(estimator.checkpoint_every), estimator
        check_writable(self.path)
        self.found = read(self.path)
        self.fit = {
            "estimator": type(estimator).__qualname__,
            **{
                name: described(value)
                for name, value in estimator.get_params(deep=False).items()
                if name not in MAY_DIFFER
            },
        }
        if self.found is None:
            self.rng = check_random_state(estimator.random_state)
            state = self.rng.get_state(legacy=False)
            self.memory = memory_of(estimator.memory)
        else:
            header, begin, _ = self.found
            self._compare({name: header["fit"].get(name) for name in self.fit})
            # In a copy: NumPy's generator, or whose it is, stays where it is.
            state = begin["random_state"]
            # What is free now must not decide which rows are read together.
            self.memory = begin["memory"]
            self.rng = np.random.RandomState()
            self.rng.set_state(state)
        self.begin = {"random_state": state, "memory": self.memory}

    def checkpoint(self, data, seeds, starts, states):
        """(checkpoint, seeds, starts, states): those of the interrupted fit where there is one.

        Parameters
        ----------
        data : dict
            Names and arrays, `Rows` or None, of all that is fitted.
        seeds, starts, states
            As `fit_targets` has them.
        """
        for name, value in data.items():
            self.fit[name] = None if value is None else digest(value)
        runs = None
        if self.found is None:
            self.begin |= {"seeds": list(seeds), "starts": list(starts), "states": list(states)}
        else:
            header, self.begin, runs = self.found
            self.found = None  # its arrays are those of the runs, which go on in others
            self._compare(header["fit"])
            if self.estimator.verbose:
                print(f"goes on from the checkpoint {self.path!r}")
            seeds, starts, states = (self.begin[name] for name in ("seeds", "starts", "states"))
        header = {"format": FORMAT, **version_of_files(), "fit": self.fit}
        saved = Checkpoint(self.path, self.every, header, self.begin, len(seeds), runs)
        return saved, seeds, starts, states

    def _compare(self, there):
        """Raise ValueError for a difference between the fit of the checkpoint and this one."""
        for name in [*self.fit, *(one for one in there if one not in self.fit)]:
            before, now = there.get(name), self.fit.get(name)
            if before != now:
                raise ValueError(
                    f"the checkpoint {self.path!r} is of another fit: "
                    f"{_difference(name, before, now)}; {instead()}"
                )


def of_samples(samples):
    """Weights and offsets, as they count."""
    return {"sample_weight": samples.weights, "offset": samples.offsets}


def described(value):
    """What a parameter says, for JSON: equal where fits are the same."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return int(number) if number.is_integer() else repr(number)
    if sp.issparse(value):
        return digest(value)
    if hasattr(value, "__array__") and np.ndim(value):  # a pandas object, too
        return digest(np.asarray(value))
    if isinstance(value, dict):
        return sorted([repr(key), described(one)] for key, one in value.items())
    if isinstance(value, list | tuple):
        return [described(one) for one in value]
    if isinstance(value, Component):
        return _of_component(value)
    cls = value if hasattr(value, "__qualname__") else type(value)
    return f"{cls.__module__}.{cls.__qualname__}"


def _of_component(component):
    """Class, numbers and arrays of a loss, a penalty or a rule, and the code of a user's."""
    cls = type(component)
    own = {
        name: described(value)
        for name, value in sorted(vars(component).items())
        if not name.startswith("_")
    }
    code = None if is_ours(cls) else current_stamp(cls)
    return {"class": f"{cls.__module__}.{cls.__qualname__}", "values": own, "code": code}


def _difference(name, before, now):
    """How a parameter or the data differ, in words."""
    if isinstance(before, dict) and isinstance(now, dict) and "hash" in before:
        if before.get("storage") != now.get("storage"):
            old, new = before.get("storage"), now.get("storage")
            return f"{name} was stored as {_shown(old)} there and is {_shown(new)} here"
        for what in ("shape", "dtype"):
            old, new = before.get(what), now.get(what)
            if old != new:
                return f"{name} had {what} {_shown(old)} there and has {_shown(new)} here"
        return f"the values of {name} are others"
    if isinstance(before, dict) or isinstance(now, dict):
        return f"{name} is another one here"
    return f"{name} was {_shown(before)} there and is {_shown(now)} here"


def _shown(value):
    return tuple(value) if isinstance(value, list) else value


def check_writable(path):
    """Raise ValueError where no checkpoint can be written to `path`."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path) or not os.path.isdir(folder):
        what = "is a folder" if os.path.isdir(path) else f"needs a folder {folder!r}"
        raise ValueError(f"checkpoint={path!r} {what}; give the path of a file")
    # A pipe has no end to wait for, nor a device; at the end of the fit it would be removed.
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"checkpoint={path!r} is a pipe or a device; give the path of a file")
    try:
        with open(unfinished(path), "wb"):
            pass
        os.unlink(unfinished(path))
    except OSError as error:
        raise ValueError(f"checkpoint={path!r} cannot be written: {error}") from error
