"""What the pictures share: axes, dashes and markers, an axis of alphas."""

import numpy as np

# Told apart in grey by the dashes and the markers; the colours are those of the user's matplotlib
# style.
DASHES = ("-", "--", "-.", ":")
MARKERS = "osD^vPX*"


def look(style):
    """Colour, dashes and marker of the line with this number."""
    return {
        "color": f"C{style % 10}",
        "linestyle": DASHES[style % len(DASHES)],
        "marker": MARKERS[style % len(MARKERS)],
        "markersize": 4,
    }


def axes_for(ax):
    """The axes to draw on: those given, or those of a new figure."""
    if ax is None:
        return _new_axes()
    if not hasattr(ax, "plot"):
        raise ValueError(f"ax must be matplotlib Axes or None, got {ax!r}")
    return ax


def spelled_out(line_kw):
    """The arguments with long names: `ls` given beside our `linestyle` would be an error."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    return normalize_kwargs(line_kw, Line2D)


def scale_of_alphas(ax, alphas):
    """Let alphas be spaced as they are searched: by their logarithms; 0 has a place beside the
    smallest.
    """
    positive = alphas[alphas > 0.0]
    if not positive.size:
        ax.set(xlabel="alpha")
        return
    if positive.size == alphas.size:
        ax.set(xscale="log", xlabel="alpha")
    else:
        ax.set_xscale("symlog", linthresh=float(np.min(positive)))
        ax.set(xlabel="alpha")


def _new_axes():
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install matplotlib") from error
    return plt.subplots()[1]
