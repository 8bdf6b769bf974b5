"""What to say where a search has chosen an end of its grid: the best alpha may lie beyond."""

import numpy as np

# A score that has risen by less than this share of its range over the path, from the alpha beside
# the end to the end, is flat there: beyond it there is nothing to find.
FLAT = 1e-3
# As is one that has risen by less than this share of itself: with alphas of 1e-12 and 1e-13 shares
# explained differ by 4e-14.
SAME = 1e-9


def end_of_grid(alphas, means, k, automatic):
    """The message about a choice at an end of the grid; "" where there is nothing to say.

    There is nothing beyond alpha = 0, nothing to say of a grid of one alpha, and nothing to find
    where the score is flat.

    Parameters
    ----------
    alphas : ndarray, (n_alphas,)
        In decreasing order.
    means : ndarray, (n_alphas,)
        Mean scores.
    k : int
        The choice.
    automatic : bool
        Whether the largest alpha is that of the automatic grid, whose model is next to the null
        model.

    Examples
    --------
    >>> means = np.array([0.5, 0.6, 0.8])
    >>> end_of_grid(np.array([1.0, 0.1, 0.01]), means, 2, False)
    'the chosen alpha=0.01 is the smallest of the grid, ... pass alphas that reach further down.'
    >>> end_of_grid(np.array([1.0, 0.1, 0.0]), means, 2, False)
    ''
    """
    last = len(alphas) - 1
    if last < 1 or k not in (0, last) or alphas[k] == 0.0 or _flat(means, k):
        return ""
    if k == last:
        return (
            f"the chosen alpha={alphas[k]:.3g} is the smallest of the grid, and the best may be "
            "smaller: pass alphas that reach further down."
        )
    if automatic:
        return (
            f"the chosen alpha={alphas[k]:.3g} is the largest of the grid, next to a model without "
            "columns: they do not help to predict y beyond the rows that were fitted, as far as "
            "the scores tell."
        )
    return (
        f"the chosen alpha={alphas[k]:.3g} is the largest of the grid, and the best may be larger: "
        "pass alphas that reach further up."
    )


def _flat(means, k):
    """Whether the score does not rise towards the end that was chosen."""
    neighbour = means[1] if k == 0 else means[-2]
    finite = means[np.isfinite(means)]
    least = max(FLAT * (finite.max() - finite.min()), SAME * abs(means[k]))
    return bool(means[k] - neighbour <= least)
