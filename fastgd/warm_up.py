"""Compiling ahead: fills the cache folder, for images and services."""

import warnings

import numpy as np
import scipy.sparse as sp

FORMATS = ("dense", "csr")
DTYPES = ("float64", "float32")


def warmup(losses=("log_loss", "squared_error"), formats=FORMATS, dtypes=("float64",)):
    """Compile what a first fit with default settings needs, into the cache folder.

    Parameters
    ----------
    losses : sequence of str, default=("log_loss", "squared_error")
    formats : sequence of {"dense", "csr"}, default=("dense", "csr")
    dtypes : sequence of {"float64", "float32"}, default=("float64",)

    Raises
    ------
    ValueError
        For anything else.

    Examples
    --------
    >>> warmup(losses=("log_loss",), formats=("dense",))
    """
    from fastgd.estimators import GDClassifier, GDRegressor
    from fastgd.losses.base import Loss

    allowed = {
        "losses": (losses, Loss.members()),
        "formats": (formats, FORMATS),
        "dtypes": (dtypes, DTYPES),
    }
    for name, (given, known) in allowed.items():
        if isinstance(given, str) or not set(given) <= set(known):
            raise ValueError(f"{name} must be a sequence of {', '.join(known)}, got {given!r}")
    X = np.random.default_rng(0).standard_normal((60, 3))
    y = np.where(X[:, 0] > 0, 1, -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for loss in losses:
            estimator = GDClassifier if Loss.named(loss).classification else GDRegressor
            for form in formats:
                for dtype in dtypes:
                    data = X.astype(dtype)
                    estimator(loss, tol=1e-6, max_iter=50).fit(
                        sp.csr_array(data) if form == "csr" else data, y
                    )


if __name__ == "__main__":
    warmup()
