"""Figures in sentences, taken from the result files whenever the pages are written.

A sentence has fields in braces, such as ``{mean clusterers.jsonl CatGANClustering acc}``:

    {HOW FILE ROW ENTRY}
    {HOW FILE ROW@SET ENTRY}

ENTRY is an entry of the records of that row, or the difference of two, as ``acc-start_acc``. The
values are means over the seeds of each set; HOW says what is made of them: "mean", "least" or
"most" over the sets, "on_least" and "on_most" for the names of these sets. "median", "lowest" and
"highest" are over all records, without means, "last" is of the last one; "power" is the exponent p
of ENTRY ~ n_samples^p between the two greatest numbers of rows. Underscores in ROW stand for
blanks or for themselves, ``*`` for all rows; SET may be a pattern, such as ``halves*``. A number
after the entry is that of digits, 3 by default: ``{mean clusterers.jsonl KMeans seconds 1}``.
"""

import re
from fnmatch import fnmatch
from functools import partial

import numpy as np

FIELD = re.compile(r"\{(\w+) (\S+\.jsonl) (\S+) (\S+)(?: (\d))?\}")
#: What is made of all values.
OVER_RECORDS = {"median": np.median, "lowest": min, "highest": max, "last": lambda v: v[-1]}


def filled(text, read):
    """Return a text with its fields filled; ``read(file)`` gives the records by row."""
    return FIELD.sub(partial(_fill, read), text)


def _fill(read, match):
    how, file, row, entry, digits = match.groups()
    row, _, name = row.replace("_", " ").partition("@")
    rows = {name.replace("_", " "): found for name, found in read(file).items()}
    found = sum(rows.values(), []) if row == "*" else rows.get(row, [])
    records = [r for r in found if not name or fnmatch(r["data"].replace("_", " "), name)]
    if not records:
        raise ValueError(f"{match.group()}: {file} has no such row.")
    if how == "power":
        (n, a), (m, b) = sorted((r["n_samples"], r[entry]) for r in records)[-2:]
        return number(np.log(b / a) / np.log(m / n), digits)
    first, *second = entry.split("-")
    values = [r[first] - (r[second[0]] if second else 0) for r in records]
    if how in OVER_RECORDS:
        return number(OVER_RECORDS[how](values), digits, bool(second))
    sets = {}
    for record, value in zip(records, values, strict=True):
        sets.setdefault(record["data"], []).append(value)
    means = {key: np.mean(found) for key, found in sets.items()}
    if how == "mean":
        return number(np.mean(list(means.values())), digits, bool(second))
    place = (min if "least" in how else max)(means, key=means.get)
    return place if how.startswith("on_") else number(means[place], digits, bool(second))


def number(value, digits, is_signed=False):
    """Write a number without a zero before the point."""
    text = f"{value:{'+' if is_signed else ''}.{3 if digits is None else digits}f}"
    return re.sub(r"^([+-]?)0\.", r"\1.", text)
