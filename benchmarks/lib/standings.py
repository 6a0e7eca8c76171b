"""Tables of many methods on many sets: means over seeds, and where each method stands."""

from itertools import chain

import numpy as np
from scipy.stats import rankdata

from .summary import aligned

BASELINE = "KMeans"
#: Kinds of data -> sets.
GROUPS = {
    "tables, 150 to 600 rows": ("iris", "wine", "breast_cancer"),
    "tables, 1,500 to 3,100 rows": ("yeast", "statlog", "d31"),
    "images, 1,800 to 10,000": ("digits", "mnist_10k", "fashion_10k"),
    "embedded texts, 12,000 to 20,000": ("searchsnippets", "stackoverflow"),
}
GROUP_COLUMNS = ["method", *(f"{group}: ACC, s" for group in GROUPS)]
GROUP_COLUMNS += ["all: ACC, ARI, s", f"least ACC above {BASELINE}", "on"]


def means(records, entry, failed=np.nan):
    """Mean over seeds of an entry, by set and method; `failed` stands for a fit that failed."""
    return _over_seeds(records, lambda record: record[entry], np.mean, failed)


def least_seconds(records):
    """Least seconds over seeds, by set and method: other work on a machine only adds to them.

    They are of the processor with one thread, where the record has them, else of the clock.
    """

    def seconds(record):
        is_single = record.get("threads") == 1 and "cpu_seconds" in record
        return record["cpu_seconds" if is_single else "seconds"]

    return _over_seeds(records, seconds, np.min, np.nan)


def _over_seeds(records, value, reduce, failed):
    values = {}
    for record in records:
        found = failed if "error" in record else value(record)
        values.setdefault((record["data"], record["row"]), []).append(found)
    return {pair: float(reduce(found)) for pair, found in values.items()}


def table(title, values, sets, methods, digits):
    """Write a table of one entry: a line for each set, a column for each method."""
    lines = [
        [name, *(_cell(values.get((name, method)), digits) for method in methods)] for name in sets
    ]
    return f"{title}\n{aligned(['set', *methods], lines)}"


def ranks(acc, sets, methods):
    """Return the mean rank of each method by ACC over sets that all have; 1 is the best."""
    scores = np.array([[-round(acc[name, method], 4) for method in methods] for name in sets])
    return dict(zip(methods, rankdata(scores, axis=1).mean(axis=0), strict=True))


def worst(acc, sets, method):
    """Least ACC above KMeans and its set, over the sets that both have, as text."""
    pairs = [(name, method) for name in sets if (name, method) in acc and (name, BASELINE) in acc]
    if not pairs or method == BASELINE:
        return "", ""
    gains = {name: acc[name, method] - acc[name, BASELINE] for name, _ in pairs}
    name = min(gains, key=gains.get)
    return f"{gains[name]:+.3f}", name


def standing(records, sets, methods):
    """Write the means over some sets, of methods that have all of them."""
    acc, ari = means(records, "acc", 0.0), means(records, "ari", 0.0)
    seconds, rank = least_seconds(records), ranks(acc, sets, methods)

    def mean(values, method, digits=3):
        return _cell(np.mean([values[name, method] for name in sets]), digits)

    lines = [
        [
            method,
            mean(acc, method),
            mean(ari, method),
            f"{rank[method]:.2f}",
            *worst(acc, sets, method),
            mean(seconds, method, 2),
        ]
        for method in sorted(methods, key=rank.get)
    ]
    header = ["method", "ACC", "ARI", "rank by ACC", f"worst - {BASELINE}", "on", "seconds"]
    return aligned(header, lines)


def tables(records):
    """Write all tables of these records: ACC, ARI, seconds, then the means over the sets."""
    sets = list(dict.fromkeys(record["data"] for record in records))
    methods = list(dict.fromkeys(record["row"] for record in records))
    acc = means(records, "acc", 0.0)
    text = [
        table("ACC, mean over seeds", acc, sets, methods, 3),
        table("ARI, mean over seeds", means(records, "ari", 0.0), sets, methods, 3),
        table("Seconds, least over seeds", least_seconds(records), sets, methods, 2),
    ]
    complete = [method for method in methods if all((name, method) in acc for name in sets)]
    common = [name for name in sets if all((name, method) in acc for method in methods)]
    if complete:
        title = f"Means over all {len(sets)} sets, of the methods that ran on each"
        text.append(f"{title}\n{standing(records, sets, complete)}")
    if common and len(common) < len(sets):
        sets = f"Means over the {len(common)} sets" if len(common) > 1 else "The one set"
        title = f"{sets} on which every method ran"
        text.append(f"{title}\n{standing(records, common, methods)}")
    return "\n\n".join(text + failures(records))


def groups(records):
    """Cells of a line for each method: means over seeds, then over the sets of a kind and all."""
    acc, ari = means(records, "acc", 0.0), means(records, "ari", 0.0)
    seconds = least_seconds(records)
    every = tuple(chain.from_iterable(GROUPS.values()))

    def cell(method, sets, measures=(acc,)):
        if any((name, method) not in acc for name in sets):
            return "-"
        entries = (*measures, seconds)
        *shares, time = (np.mean([entry[name, method] for name in sets]) for entry in entries)
        return ", ".join([*(f"{share:.3f}" for share in shares), f"{time:.1f}"])

    lines = [
        [
            method,
            *(cell(method, sets) for sets in GROUPS.values()),
            cell(method, every, (acc, ari)),
            *worst(acc, every, method),
        ]
        for method in dict.fromkeys(record["row"] for record in records)
        if method != "start"  # what NeighborClustering is
    ]
    return sorted(lines, key=lambda cells: cells[-3], reverse=True)


def failures(records):
    """List the fits that failed, by method and error, as one text, if there are any."""
    found = {}
    for record in records:
        if "error" in record:
            place = f"{record['data']} ({record['seed']})"
            found.setdefault((record["row"], record["error"]), []).append(place)
    lines = [f"{row}, {error}: {', '.join(places)}" for (row, error), places in found.items()]
    return ["\n".join(["Failed, sets and seeds:", *lines])] if lines else []


def _cell(value, digits):
    """Write a number, or what there is in its place."""
    if value is None:
        return "-"
    return "failed" if np.isnan(value) else f"{value:.{digits}f}"
