"""Numbers of clusters found: which are right, and which stay when seeds or rows change."""

import numpy as np

from .sets import GROUPS
from .summary import aligned

#: Largest relative difference from the number of classes, or from that of the best cut of the fit
#: of NeighborClustering with the same seed.
RIGHT = 0.25
#: Largest relative difference from the median over seeds, or over subsamples.
SAME = 0.1
COLUMNS = ["method", *(f"{group} right" for group in ("eleven", "synthetic", "counted"))]
COLUMNS += ["same in 4 of 5 seeds", "in 4 of 5 subsamples", "seconds"]


def is_near(number, other, share):
    """Whether a number differs from another by at most a share of this."""
    return abs(number - other) <= share * other


def is_right(record, best):
    """Whether a number is near that of the classes, or of the best cut; one class is one."""
    wanted = {record["n_clusters"]} | ({best} if record["n_clusters"] > 1 and best else set())
    return any(is_near(record["found"], number, RIGHT) for number in wanted)


def is_same(found):
    """Whether at least four fifths of the numbers are near their median."""
    middle = np.median(found)
    return np.mean([is_near(number, middle, SAME) for number in found]) >= 0.8


def lines(records):
    """Yield the cells of each method: shares right, shares that stay, mean seconds."""
    best = {
        (record["data"], record["seed"]): record["best"]
        for record in records
        if record.get("best") and not record["subsample"]
    }
    for method in dict.fromkeys(record["row"] for record in records):
        own = [record for record in records if record["row"] == method]
        whole = [record for record in own if not record["subsample"]]
        cells = [method]
        for group in ("eleven", "synthetic", "counted"):
            right = [
                np.mean(
                    [is_right(r, best.get((name, r["seed"]))) for r in whole if r["data"] == name]
                )
                for name in GROUPS[group]
                if any(r["data"] == name for r in whole)
            ]
            cells.append(f"{np.mean(right):.2f}" if right else "")
        for kind in (whole, [record for record in own if record["subsample"]]):
            by_set = {}
            for record in kind:
                by_set.setdefault(record["data"], []).append(record["found"])
            same = [is_same(found) for found in by_set.values() if len(found) > 1]
            cells.append(f"{np.mean(same):.2f}" if same else "")
        yield [*cells, f"{np.mean([record['seconds'] for record in whole]):.2f}"]


def table(records):
    """Write a line for each method as aligned text."""
    return aligned(COLUMNS, list(lines(records)))
