"""Tables of ``accuracy/how_sure.py``: calibration, outliers, stability of clusters."""

import numpy as np

from .summary import aligned


def distinct(records, key):
    """Return the values of an entry in the order of their first record."""
    return list(dict.fromkeys(record[key] for record in records))


def mean(records, key, digits=3):
    """Mean of an entry over the records that have it, as text; "-" if none has."""
    values = [record[key] for record in records if record[key] is not None]
    return f"{np.mean(values):.{digits}f}" if values else "-"


def select(records, **wanted):
    """Return the records with these entries."""
    return [r for r in records if all(r[key] == value for key, value in wanted.items())]


def common_sets(records):
    """Return the sets that every method has."""
    n_methods = len(distinct(records, "row"))
    sets = distinct(records, "data")
    return [n for n in sets if len(distinct(select(records, data=n), "row")) == n_methods]


def calibration(records):
    """Columns and lines: ACC, ECE and AUC of a method on each set; means over common sets."""
    sets, methods = distinct(records, "data"), distinct(records, "row")
    common = common_sets(records)
    columns = ["method", *(f"{name}: ACC, ECE, AUC" for name in sets)]
    columns += [f"mean of {len(common)} sets: ACC, ECE, AUC", "seconds"]
    lines = []
    for method in methods:
        own = select(records, row=method)
        shared = [record for record in own if record["data"] in common]
        parts = [*(select(own, data=name) for name in sets), shared]
        cells = [
            ", ".join(mean(part, key) for key in ("acc", "ece", "auc")) if part else ""
            for part in parts
        ]
        lines.append([method, *cells, mean(shared, "seconds", 1)])
    return columns, lines


def outliers(records):
    """Columns and lines: AUC on each set, then means of AUC and seconds over common sets."""
    methods, common = distinct(records, "row"), common_sets(records)
    shared = [record for record in records if record["data"] in common]
    by_set = [(name, select(records, data=name)) for name in distinct(records, "data")]
    lines = [
        [name, *(mean(select(found, row=method), "auc") for method in methods)]
        for name, found in [*by_set, (f"mean of {len(common)} sets", shared)]
    ]
    seconds = [mean(select(shared, row=method), "seconds", 2) for method in methods]
    return ["data", *methods], [*lines, ["seconds", *seconds]]


def stability(records):
    """Columns and lines: the least and the mean stability of clusters, of each kind of rows."""
    columns = ["data", "features", "K", "least", "lowest least", "highest least", "mean", "ACC"]
    lines = []
    for name in distinct(records, "data"):
        found = select(records, data=name)
        least = [record["least"] for record in found]
        cells = [mean(found, "least"), f"{min(least):.3f}", f"{max(least):.3f}"]
        sizes = [str(found[0][key]) for key in ("n_features", "n_clusters")]
        lines.append([name, *sizes, *cells, mean(found, "mean"), mean(found, "acc")])
    return columns, lines


#: What is measured -> its columns and lines.
PARTS = {"calibration": calibration, "outliers": outliers, "stability": stability}


def table(part, records):
    """Write the table of a part as aligned text."""
    return aligned(*PARTS[part](records))
