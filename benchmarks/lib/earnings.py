"""The table of what networks add to their starts, from records of ``accuracy/clusterers.py``."""

import numpy as np

from .standings import least_seconds
from .summary import aligned

COLUMNS = ["method", "sets", "ACC of start, network, control", "ARI of start, network, control"]
COLUMNS += ["least gain", "on", "greatest gain", "on", "moved", "ECE", "seconds"]


def lines(records):
    """Cells of a line for each network: means over seeds, then over sets."""
    records = [record for record in records if "start_acc" in record]
    seconds = least_seconds(records)
    for method in dict.fromkeys(record["row"] for record in records):
        own = [record for record in records if record["row"] == method]
        sets = list(dict.fromkeys(record["data"] for record in own))
        means = {
            name: {
                key: np.mean([r[key] for r in own if r["data"] == name])
                for key in own[0]
                if isinstance(own[0][key], float) and all(key in record for record in own)
            }
            for name in sets
        }
        gains = {name: found["acc"] - found["start_acc"] for name, found in means.items()}
        least, most = min(gains, key=gains.get), max(gains, key=gains.get)

        def mean(key, digits=3, means=means):
            if any(key not in found for found in means.values()):
                return "-"
            return f"{np.mean([found[key] for found in means.values()]):.{digits}f}"

        yield [
            method,
            str(len(sets)),
            ", ".join(mean(key) for key in ("start_acc", "acc", "control_acc")),
            ", ".join(mean(key) for key in ("start_ari", "ari", "control_ari")),
            *(f"{gains[least]:+.3f}", least, f"{gains[most]:+.3f}", most),
            mean("moved"),
            mean("ece"),
            f"{np.mean([seconds[name, method] for name in sets]):.1f}",
        ]


def table(records):
    """Write the table as aligned text."""
    return aligned(COLUMNS, list(lines(records)))
