"""What the suite says at the end: a row for each case, the geometric means, and who was skipped
and why.
"""

from math import exp, log
from textwrap import fill

import numpy as np

from .race import GIVEN_UP
from .report import about, columns, number
from .report import markdown as table_of_markdown
from .rivals import NOT_INSTALLED

OURS = "fastgd/default"


def row(case, problem, records, contenders, asked, accuracies):
    """Figures of a case: seconds by accuracy, the best rival, scikit-learn's default, passes,
    plan, first calls.
    """
    mine, default = records[OURS], records.get(case.sklearn_default)
    row = {
        "case": case.name,
        "compile": mine.compile,
        "seconds": {},
        "rival": {},
        "ratio": {},
        "sklearn": {},
    }
    for accuracy in accuracies:
        key, times = f"{accuracy:g}", {}
        for name, run in contenders:
            # Only runs that were in turn count, and they count for coarser accuracies too.
            if run.suboptimality <= accuracy:
                times[name] = min(run.time, times.get(name, np.inf))
        ours = times.pop(OURS, None)
        theirs = times.get(case.sklearn_default)
        if theirs is None and default is not None and default.reach(accuracy):
            theirs = default.reach(accuracy).time
        best = min(times, key=times.get, default=None)
        row["seconds"][key] = ours
        row["rival"][key] = (best, times[best]) if best else None
        row["ratio"][key] = times[best] / ours if best and ours else None
        row["sklearn"][key] = theirs / ours if theirs and ours else None
    accuracy = min(accuracies)
    row["passes"] = passes_to(problem, mine, accuracy)
    row["asked"] = asked and {
        "tol": asked.budget,
        "seconds": asked.time,
        "suboptimality": asked.suboptimality,
    }
    reached = mine.reach(accuracy) or (mine.runs[-1] if mine.runs else None)
    row["plan"] = short_plan(reached.about.get("plan", "")) if reached else ""
    row["ended"] = f"{mine.ended}, at {mine.best:.0e}" if mine.ended else mine.skipped
    # Rounding of F itself: a bound of 1e-15 is not broken by an error of 2e-15.
    row["broken"] = [
        r.budget
        for r in mine.runs
        if r.about.get("kind") == "proof"
        and r.suboptimality > r.about["bound"] * (1.0 + 1e-6) + 1e-12
    ]
    return row


def passes_to(problem, record, accuracy):
    """Fewest passes over all runs after which the objective was, and was proved to be, within
    the accuracy.
    """
    true, proved = (
        [run.passes for run in record.runs if run.passes and run.suboptimality <= accuracy],
        [],
    )
    for run in record.runs:
        history = {name: np.array(values) for name, values in run.about.get("history", {}).items()}
        if not history:
            continue
        lower = np.maximum(history["objective"] - history["bound"], 1e-4 * problem.constant)
        gap = history["bound"] / lower
        # A check without a bound may be of a sample of the rows.
        error = np.where(np.isfinite(gap), problem.suboptimality(history["objective"]), np.inf)
        for passes, there in ((true, error <= accuracy), (proved, gap <= accuracy)):
            if there.any():
                passes.append(float(history["passes"][there.argmax()]))
    return [min(true, default=None), min(proved, default=None)]


def short_plan(plan):
    """The first words of a plan."""
    first = plan.split(":")[0].split(" per update")[0].rstrip(".")
    return first if len(first) <= 60 else first[:57] + "..."


def _ratio(value):
    return "-" if value is None else f"{value:.2f}" if value < 10.0 else f"{value:.0f}"


def _seconds(value):
    return "-" if value is None else f"{value:.2g}" if value < 0.1 else f"{value:.3g}"


HEADER = (
    "case",
    "fastgd s",
    "best rival s",
    "ratio",
    "over sklearn's default",
    "passes, certified",
    "first calls s",
    "plan",
)


# The same without the last two, which the terminal and the JSON have.
OF_README = (
    "case",
    "fastgd, s",
    "best other, s",
    "ratio",
    "over scikit-learn's default solver",
    "passes to a true {finest}, proved",
)


def power_of_ten(value):
    """1e-6, not 1e-06."""
    return f"{value:g}".replace("e-0", "e-")


def cells(row):
    """Cells of the table; pairs are at the two finest accuracies."""
    keys = sorted(row["seconds"], key=float, reverse=True)[-2:]
    rivals = []
    for key in keys:
        rivals.append(
            f"{row['rival'][key][0]} {_seconds(row['rival'][key][1])}" if row["rival"][key] else "-"
        )
    if len(rivals) == 2 and row["rival"][keys[0]] and row["rival"][keys[1]]:
        (first, seconds), (second, _) = row["rival"][keys[0]], row["rival"][keys[1]]
        rivals[0] = _seconds(seconds) if first == second else rivals[0]
        rivals = (
            [f"{first} {_seconds(seconds)}", _seconds(row["rival"][keys[1]][1])]
            if first == second
            else rivals
        )
    return [
        row["case"],
        " / ".join(_seconds(row["seconds"][key]) for key in keys),
        " / ".join(rivals),
        " / ".join(_ratio(row["ratio"][key]) for key in keys),
        " / ".join(_ratio(row["sklearn"][key]) for key in keys),
        ", ".join(number(passes) for passes in row["passes"]),
        number(row["compile"], 2),
        row["plan"],
    ]


def line(row):
    """One line for a case that has just ended."""
    _, ours, rivals, ratio, sklearn, passes, _, plan = cells(row)
    ratios = row["ratio"].items()
    told = {
        "BELOW 1": [key for key, value in ratios if value is not None and value < 1.0],
        "NOT REACHED": [key for key, value in row["seconds"].items() if value is None],
        "nobody else": [
            key for key, value in ratios if value is None and row["seconds"][key] is not None
        ],
    }
    note = "".join(f"  {word} at {', '.join(keys)}" for word, keys in told.items() if keys)
    note += f"  ({row['ended']})" * bool(row["ended"])
    note += f"  BOUND BROKEN at tol {row['broken']}" * bool(row["broken"])
    return (
        f"{row['case']}: {ours} s against {rivals}: {ratio}; over sklearn {sklearn}; passes "
        f"{passes}; {plan}{note}"
    )


def means(rows):
    """Geometric mean of best rival / fastgd by accuracy, over the rows where both are there."""
    found = {}
    for key in rows[0]["ratio"]:
        ratios = [row["ratio"][key] for row in rows if row["ratio"][key]]
        if ratios:
            found[key] = exp(sum(map(log, ratios)) / len(ratios)), len(ratios), min(ratios)
    return found


def _closing(rows, content):
    return [
        *(
            f"{key}: best rival / fastgd {mean:.2f} (geometric mean), at least {least:.2f}, "
            f"{count} of {len(rows)} rows"
            for key, (mean, count, least) in means(rows).items()
        ),
        f"{content['threads']} thread(s), {content['seconds']:.0f} s for the suite; "
        f"{about(content)}",
    ]


def left_out(content):
    """Who was skipped, failed or given up, by reason; of many problems, not what a rival lacks
    or who was too slow.
    """
    reasons = {}
    for name, case in content["cases"].items():
        for record in case["records"].values():
            plain = record["skipped"] not in ("", NOT_INSTALLED) or record["ended"] == GIVEN_UP
            if (record["skipped"] or record["ended"]) and not (plain and len(content["cases"]) > 1):
                reason = (
                    f"skipped, {record['skipped']}"
                    if record["skipped"]
                    else f"ended, {record['ended']}"
                )
                reasons.setdefault((record["name"], reason), []).append(name)
    together = {}
    for (rival, reason), cases in reasons.items():
        together.setdefault((reason, tuple(cases)), []).append(rival)
    every = len(content["cases"])
    return [
        fill(
            f"{', '.join(rivals)}: {reason}"
            + (f" ({'; '.join(cases)})" if len(cases) < every else ""),
            118,
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for (reason, cases), rivals in together.items()
    ]


def text(rows, content):
    """The table for a terminal, with everything that was left out below it."""
    about = (
        "Pairs are at the two finest accuracies. Seconds: median of the quickest run whose "
        "suboptimality, measured by\n"
        "the bench, is there; without first calls, which have a column of their own (imports and "
        "compiling).\n"
    )
    table = columns([cells(row) for row in rows], HEADER)
    note = (
        "Who lacks a loss, a penalty or a storage, and who was given up after their seconds: "
        "see the JSON."
    )
    return "\n".join([about, table, "", *_closing(rows, content), "", *left_out(content), note])


def markdown(rows, content):
    """The table of `bench/README.md`, with its columns."""
    finest = min((float(key) for key in rows[0]["seconds"]), default=0.0)
    header = [text.format(finest=power_of_ten(finest)) for text in OF_README]
    table = table_of_markdown([cells(row)[: len(header)] for row in rows], header)
    return "\n".join([table, "", *(f"- {text}" for text in _closing(rows, content))]) + "\n"
