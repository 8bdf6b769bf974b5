"""What `verbose` shows of a search: a bar in a terminal with rich, else a line for each path."""

import contextlib
import sys
import threading
import time

import numpy as np


class SearchProgress:
    """Told about each model that a search scores, from any thread; without `verbose` it is silent.

    Parameters
    ----------
    verbose : int
    n_models : int
        How many there will be.
    paths : list of str
        What each path is called, for lines.
    n_folds : int

    Examples
    --------
    >>> progress = SearchProgress(1, 4, ["alpha 1 to 0.1"], 2)
    >>> with progress:
    ...     progress.path_done(0, 1, [0.5, 0.75])
    search: 4 fits of 1 path on 2 folds
    alpha 1 to 0.1, fold 2 of 2: best score 0.75, ... s
    """

    def __init__(self, verbose, n_models, paths, n_folds):
        self.verbose, self.n_models, self.paths, self.n_folds = verbose, n_models, paths, n_folds
        self.lock = threading.Lock()
        self.bar = _bar() if verbose else None
        self.begin = time.perf_counter()

    def __enter__(self):
        if not self.verbose:
            return self
        plural = "s" * (len(self.paths) > 1)
        folds = f"{self.n_folds} fold{'s' * (self.n_folds > 1)}"
        self._print(f"search: {self.n_models} fits of {len(self.paths)} path{plural} on {folds}")
        if self.bar is not None:
            self.bar.start()
            self.bar.add_task("fits", total=self.n_models)
        return self

    def __exit__(self, *error):
        if self.bar is not None:
            self.bar.stop()

    def model_scored(self):
        """Hear that one more model has its score."""
        if self.bar is not None:
            self.bar.advance(self.bar.task_ids[0])

    def path_done(self, p, f, scores):
        """Hear the scores of path `p` on fold `f`."""
        if not self.verbose or self.bar is not None:
            return
        best = np.max(scores)
        seconds = time.perf_counter() - self.begin
        fold = f", fold {f + 1} of {self.n_folds}" if self.n_folds > 1 else ""
        self._print(f"{self.paths[p]}{fold}: best score {best:.6g}, {seconds:.2f} s")

    def chosen(self, alpha, l1_ratio, score):
        """Hear what the search has chosen, before it is fitted to all rows."""
        if self.verbose:
            ratio = "" if l1_ratio is None else f", l1_ratio {l1_ratio:g}"
            self._print(f"chosen: alpha {alpha:.4g}{ratio}, mean score {score:.6g}")

    def _print(self, text):
        with self.lock:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()


def _bar():
    """A bar of rich, where a terminal is there and rich is installed; else None."""
    if not sys.stdout.isatty():
        return None
    with contextlib.suppress(ImportError):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

        return Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return None
