"""Fill the tables of docs/benchmarks.md, the user guide and README.md from ``results/*.jsonl``.

``python benchmarks/lib/tables.py`` replaces what stands between
``<!-- table: KIND FILES OPTIONS -->`` and ``<!-- end of table -->``. KIND is a function of
`KINDS`, and options are ``name=value`` with ";" between values. ``only`` and ``sets`` select
records by the keys in the files ("*" stands for any characters); the tables show the names in
`NAMES` in their place.
"""

import argparse
import re
import shlex
import sys
from fnmatch import fnmatchcase
from functools import partial, reduce
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.records import read

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (
    ROOT / "docs" / "benchmarks.md",
    ROOT / "docs" / "guide" / "embeddings.md",
    ROOT / "docs" / "guide" / "images.md",
    ROOT / "docs" / "guide" / "large_data.md",
    ROOT / "docs" / "guide" / "series.md",
    ROOT / "README.md",
)
BLOCK = re.compile(r"(<!-- table: (.+?) -->\n).*?(<!-- end of table -->)", re.DOTALL)
#: What the tables show in place of keys of the records. Counts of sets are added from the records.
NAMES = {
    "eleven": "real sets",
    "battery": "shape sets",
    "rest": "sets kept aside",
    "tables": "public tables",
    "blobs": "drawn blobs",
    "customers": "drawn customers",
    "codes without structure": "ordinal columns without clusters",
    "noise": "drawn shapes in noise",
    "single": "draws of one cluster",
    "texts": "texts, TF-IDF",
    "all": "all 79 tables",
    "even": "40 tables kept aside",
    "well matched": "40 with clear classes",
    "ill matched": "39 with unclear classes",
    "plain": "no augmentation",
    "views": "augmentation given",
    "views, auto": "augmentation given, K open",
    "found": "augmentation found",
    "found, K open": "augmentation found, K open",
    "mean of the eleven": "11 real sets, K given",
    "mean of the battery": "42 shape sets, K given",
    "mean of the rest": "26 sets kept aside, K given",
    "numbers of the eleven": "11 real sets, K open",
    "numbers of the battery": "42 shape sets, K open",
    "numbers of the rest": "26 sets kept aside, K open",
    "KMeans, ensemble (soft_vote)": "ensemble of KMeans",
    "NeighborClustering, ensemble (soft_vote)": "ensemble of NeighborClustering",
    "all, ensemble (soft_vote)": "ensemble of all networks",
}
#: The method of a table's first line.
FIRST = "NeighborClustering"
#: Methods that find the number of clusters.
OPEN = (
    "NeighborClustering, K open",
    "KMeans by silhouette",
    "GaussianMixture by BIC",
    "EVoC, K open",
    "HDBSCAN",
    "umap-learn + HDBSCAN",
    "PLSCAN",
    "Louvain",
    "Leiden",
)
#: Largest relative error of a number of clusters that counts as right.
RIGHT = 0.25


def as_frame(records):
    """Return records as a data frame; seconds are CPU seconds for fits with one thread."""
    frame = pd.DataFrame(records)
    if "cpu_seconds" in frame:
        is_single = frame.threads.eq(1) & frame.cpu_seconds.notna()
        frame["seconds"] = frame.cpu_seconds.where(is_single, frame.seconds)
    return frame


def is_chosen(name, patterns):
    """Return whether a name matches one of the patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def load(files, only=None, sets=None):
    """Return the records of result files, of some rows and sets, with the names of `NAMES`."""
    frame = as_frame([record for file in files for record in read(RESULTS / file)])
    for column, patterns in (("row", only), ("data", sets)):
        if patterns is not None:
            frame = frame[frame[column].map(partial(is_chosen, patterns=patterns.split(";")))]
    named = frame.columns.intersection(["row", "group", "data"])
    return frame.assign(**{column: frame[column].replace(NAMES) for column in named})


def markdown(columns, lines):
    """Return a table in Markdown."""
    head = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return "\n".join([*head, *(f"| {' | '.join(line)} |" for line in lines)])


def heads(columns):
    """Return the names of columns as the heads of a table."""
    return [{"row": "method"}.get(name, name.replace("_", " ")) for name in columns]


def text(value, digits=3):
    """Return a number or a text as the text of a cell; "-" for a missing value."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " ".join(text(entry, digits) for entry in value)
    if pd.isna(value):
        return "-"
    is_whole = isinstance(value, int | np.integer) or digits == 0
    return f"{value:,.0f}" if is_whole else f"{value:.{digits}f}"


def split_digits(digits, n_values):
    """Return the number of decimals of each value; a single one holds for all."""
    found = [int(number) for number in str(digits).split(";")]
    return found * n_values if len(found) == 1 else found


def by_set(frame, value, index="data", columns="row"):
    """Return a value by set and method: its mean over seeds, of seconds the minimum."""
    how = "min" if value == "seconds" else "mean"
    return frame.pivot_table(value, index, columns, aggfunc=how, sort=False, dropna=False)


def each(frame, columns, digits=3):
    """Return a table of the chosen columns of all records."""
    names = columns.split(";")
    found = frame[names].dropna(how="all", subset=names[1:]).convert_dtypes()
    lines = [[text(value, int(digits)) for value in line] for line in found.values.tolist()]
    return markdown(["measured", *heads(names[1:])] if names[0] == "row" else heads(names), lines)


def summary(frame, values, index="row", digits=3):
    """Return a table with one line per group; `values` are "COLUMN:FUNCTION".

    Means are taken over the seeds of each set, then over the sets.
    """
    index, wanted = index.split(";"), [value.split(":") for value in values.split(";")]
    groups = means = frame.groupby(index, sort=False)
    if "data" in frame:
        keys = list(dict.fromkeys([*index, "data"]))
        means = frame.groupby(keys, sort=False).mean(numeric_only=True).groupby(index, sort=False)
    found = [(means if how == "mean" else groups)[name].agg(how) for name, how in wanted]
    ends = {"mean": "", "last": ""}
    columns = [name + ends.get(how, f" {how}") for name, how in wanted]
    made = pd.concat(found, axis=1)
    digits = split_digits(digits, len(wanted))
    lines = [
        [*np.atleast_1d(names), *map(text, line, digits)]
        for names, line in zip(made.index, made.to_numpy(), strict=True)
    ]
    return markdown(heads([*index, *columns]), lines)


def pivot(frame, values, index="data", columns="row", digits="3", mean="yes"):
    """Return a table of values over seeds by two columns of the records.

    The last line is the mean over the lines without gaps, unless ``mean=no``.
    """
    names = values.split(";")
    digits = split_digits(digits, len(names))
    parts = [by_set(frame, name, index, columns) for name in names]
    if mean == "yes":
        full = parts[0].notna().all(axis=1)
        for part in parts:
            part.loc[f"mean of {full.sum()} sets"] = part[full].mean()
    cells = [p.map(partial(text, digits=d)) for p, d in zip(parts, digits, strict=True)]
    joined = reduce(lambda one, other: one + " / " + other, cells)
    lines = [[text(name), *line] for name, line in joined.iterrows()]
    return markdown([*heads([index]), *map(text, joined.columns)], lines)


def earned(frame):
    """Return what networks add to their initial partitions: means over seeds, then over sets."""
    frame = frame[frame.start_acc.notna()]
    control = frame.get("control_acc", np.nan)
    frame = frame.assign(control_acc=control, gain=frame.acc - frame.start_acc)
    names = ["start_acc", "acc", "control_acc", "start_ari", "ari", "moved", "ece", "gain"]
    lines = []
    for method, own in frame.groupby("row", sort=False):
        means = own.groupby("data", sort=False)[names].mean()
        if own.control_acc.isna().any():
            means["control_acc"] = np.nan
        cells = [text(mean) for mean in means.mean()]
        gain, seconds = means.gain, own.groupby("data").seconds.min().mean()
        ends = [f"{gain[name]:+.3f} ({name})" for name in (gain.idxmin(), gain.idxmax())]
        lines.append([method, str(len(means)), *cells[:5], *ends, *cells[5:7], text(seconds, 1)])
    columns = ["method", "sets", "initial ACC", "ACC", "control ACC", "initial ARI", "ARI"]
    columns += ["least gain of ACC", "greatest gain", "moved", "ECE", "seconds"]
    return markdown(columns, lines)


def rivals(frame):
    """Return ARI by group of sets, how often an open number of clusters is right, and seconds."""
    sizes = frame.groupby("group", sort=False).data.nunique()
    lines = []
    for method in sorted(frame["row"].unique(), key=lambda name: (name in OPEN, name != FIRST)):
        own = frame[frame["row"] == method]
        means = own.groupby("group").ari.mean()
        is_right = (own.found - own.n_clusters).abs() <= RIGHT * own.n_clusters
        right = text(is_right.mean(), 2) if method in OPEN else "-"
        cells = [text(means.get(group, np.nan)) for group in sizes.index]
        lines.append([method, *cells, right, text(own.seconds.mean(), 1)])
    groups = [f"{size} {group}" for group, size in sizes.items()]
    return markdown(["method", *groups, "K within 25 %", "seconds"], lines)


def indices(frame):
    """Return what indices choose among partitions, with K given and open: means over sets."""
    parts = [frame[frame.row == part] for part in ("given", "open")]
    names = [name.removesuffix(", rank") for name in frame if name.endswith(", rank")]
    lines = []
    for name in [*names, "KMeans", "best"]:
        ranks = f"{name}, rank" in frame
        line = [{"KMeans": "KMeans with K given", "best": "best partition"}.get(name, name)]
        for own in parts:
            line.append(text(own[name].mean()))
            line.append(text(own[f"{name}, rank"].mean(), 2) if ranks else "-")
        line.append(text(parts[1][f"{name}, seconds"].mean(), 1) if ranks else "-")
        lines.append(line)
    columns = ["chosen by", "K given: ARI", "rank", "K open: ARI", "rank", "seconds"]
    return markdown(columns, lines)


def how_many(frame):
    """Return how often the number of clusters is right, and among the first answers."""
    lines = []
    for (group, method), own in frame.groupby(["group", "row"], sort=False):
        gaps = (own.found.str[0] - own.classes).abs()
        within = [
            [
                classes in answers[:n]
                for answers, classes in zip(own.found, own.classes, strict=True)
            ]
            for n in (3, 5)
        ]
        best = [max(scores[:3]) for scores in own.ari]
        shares = [(gaps == 0).mean(), (gaps <= 1).mean(), gaps.mean()]
        shares += [*np.mean(within, axis=1), own.ari.str[0].mean(), np.mean(best)]
        cells = map(text, [*map(float, shares)], [2, 2, 1, 2, 2, 3, 3])
        lines.append([f"{len(own)} {group}", method, *cells, text(own.seconds.mean(), 1)])
    columns = ["sets", "method", "exact", "within one", "error", "among three", "among five"]
    return markdown([*columns, "ARI", "best of three", "seconds"], lines)


def first_answers(frame):
    """Return how often the first number is right / within one / its ARI, by group and method."""
    sizes = frame.groupby("group").data.nunique()
    gaps = (frame.found.str[0] - frame.classes).abs()
    shares = {"exact": gaps.eq(0).astype(float), "within one": gaps.le(1).astype(float)}
    named = frame.group.map(lambda group: f"{group} ({sizes[group]})")
    frame = frame.assign(sets=named, first=frame.ari.str[0], **shares)
    return pivot(frame, "exact;within one;first", index="sets", digits="2;2;2", mean="no")


KINDS = {
    function.__name__: function
    for function in (each, summary, pivot, earned, rivals, indices, how_many, first_answers)
}


def table(spec):
    """Return the table that a comment specifies."""
    kind, *words = shlex.split(spec)
    options = dict(word.split("=", 1) for word in words if "=" in word)
    files = [word for word in words if "=" not in word]
    chosen = {name: options.pop(name) for name in ("only", "sets") if name in options}
    return KINDS[kind](load(files, **chosen), **options)


def filled(page):
    """Return the text of a page with new tables."""
    return BLOCK.sub(lambda match: f"{match[1]}{table(match[2])}\n{match[3]}", page)


def main():
    """Write all pages."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    for path in PAGES:
        path.write_text(filled(path.read_text()))
        print(f"{path.relative_to(ROOT)}: {len(BLOCK.findall(path.read_text()))} tables")


if __name__ == "__main__":
    main()
