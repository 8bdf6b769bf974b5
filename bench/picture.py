"""The picture of a race: suboptimality against seconds and passes, a row of panels for each
family of solvers.
"""

LOWEST = 1e-14  # what is better is rounding
MAX_CURVES = 8  # curves of a family, the quickest; all are in the table
# Told apart by the colour-blind (Okabe and Ito), and in grey by markers and dashes.
COLOURS = "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F3C8D", "#555555"
MARKERS = "os^vD<>P"
DASHES = (0, ()), (0, (5, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2))
FAMILIES = {
    "fastgd": "fastgd, strategies by name",
    "scipy": "SciPy (filled: on fastgd.Objective, hollow: on NumPy)",
    "sklearn": "scikit-learn",
    "": "other packages",
}


def draw(path, problem, records, threads):
    """Write the picture; returns its path, or None without matplotlib."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        return None
    families = _families(records)
    height = 1.0 + 2.6 * len(families)
    figure, axes = plt.subplots(
        len(families),
        2,
        figsize=(12, height),
        sharex="col",
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    ours = next(
        (record for record in records if record.name == "fastgd/default" and record.runs), None
    )
    for row, (family, members) in zip(axes, families.items(), strict=True):
        told = [record for record in members if record.runs[0].passes is not None]
        if 2 * len(told) < len(members):  # an empty panel; the few who tell are in the table
            row[1].set_axis_off()
        _panels(row, family, members, ours)
        row[0].set_ylabel("(F - F*) / F*")
        row[0].set_title(FAMILIES[family], loc="left", fontsize=10)
        place = (
            {"bbox_to_anchor": (1.0, 0.5)} if row[1].axison else {"title": "(passes are not told)"}
        )
        handles = row[0].get_legend_handles_labels()
        row[1].legend(
            *handles, loc="center left", fontsize=8, title_fontsize=8, frameon=False, **place
        )
        for axis in row:
            axis.set(
                xscale="log",
                yscale="log",
                ylim=(0.3 * LOWEST, 1e3),
                yticks=[10.0**k for k in range(-14, 3, 4)],
            )
            axis.spines[["top", "right"]].set_visible(False)
            axis.grid(axis="y", color="#dddddd", lw=0.5)
            axis.tick_params(labelbottom=True)
    axes[-1, 0].set_xlabel(
        f"seconds (median, {threads} thread{'s' * (threads > 1)}, without compiling)"
    )
    last = max((k for k, row in enumerate(axes) if row[1].axison), default=0)
    axes[last, 1].set_xlabel("passes over the data")
    n, d = problem.shape
    figure.suptitle(
        f"{problem.name} ({n:,} x {d:,}), {problem.loss}, alpha = {problem.alpha:.2g}", fontsize=11
    )
    figure.savefig(path, dpi=200)
    plt.close(figure)
    return path


def _families(records):
    """The quickest of each family, from the one that gets furthest to the one that gets least
    far.
    """
    families = {}
    for record in records:
        first = record.name.split("/")[0]
        if record.runs and record.name != "fastgd/default":
            families.setdefault(first if first in FAMILIES else "", []).append(record)

    def rank(record):
        run = record.reach(1e-6) or record.reach(1e-4)
        return (record.reach(1e-6) is None, run is None, run.time if run else record.best)

    return {
        family: sorted(families[family], key=rank)[
            : 2 * MAX_CURVES if family == "scipy" else MAX_CURVES
        ]
        for family in FAMILIES
        if family in families
    } or {"fastgd": []}


def _panels(row, family, members, ours):
    """The curves of a family, beside fastgd's default."""
    # A method of SciPy looks alike on both objectives, but for its marker.
    methods = list(
        dict.fromkeys(
            record.name.removesuffix("/numpy").removesuffix("/Objective") for record in members
        )
    )
    for record in members:
        method = record.name.removesuffix("/numpy").removesuffix("/Objective")
        k = methods.index(method) % MAX_CURVES
        hollow = record.name.endswith("/numpy")
        style = {
            "color": COLOURS[k],
            "marker": MARKERS[k],
            "linestyle": DASHES[k % len(DASHES)],
            "lw": 1.2,
            "ms": 4.5,
            "mfc": "white" if hollow else COLOURS[k],
        }
        twin = hollow and any(other.name == f"{method}/Objective" for other in members)
        label = (
            "_"
            if twin
            else record.name.split("/", 1)[-1 if family else 0].removesuffix("/Objective")
        )
        _curve(row, record, label if family else record.name, style)
    if ours is not None:
        _curve(
            row,
            ours,
            "fastgd, default",
            {"color": "black", "marker": "*", "ms": 11, "lw": 2.0, "zorder": 5},
        )


def _curve(row, record, label, style):
    """What no other run of the same solver betters in both seconds and accuracy."""
    for axis, key in zip(row, ("time", "passes"), strict=True):
        points = [(getattr(run, key), max(run.suboptimality, LOWEST)) for run in record.runs]
        best, kept = float("inf"), []
        for x, error in sorted(points) if None not in dict(points) else ():
            if error < best:
                best = error
                kept.append((x, error))
        if axis.axison:
            axis.plot(*zip(*kept, strict=True) if kept else ([], []), label=label, **style)
