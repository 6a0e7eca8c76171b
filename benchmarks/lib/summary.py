"""The rows of a comparison as a table: one line per method, over its seeds."""

import numpy as np

NOTES_LABELLED = (
    "ACC: one-to-one matching of clusters and classes; majority: each cluster gets its most "
    "frequent class; NMI, ARI: scikit-learn's. Labels score and never train or choose; all rows "
    "are fitted and scored, without a split.",
)
NOTES = (
    "Mean ± standard deviation over seeds; clusters: how many are not empty; moved: share of the "
    "rows whose cluster is not that of the start; seconds: fit_predict, wall time.",
    "score is each method's own criterion, higher is better: minus the inertia (KMeans), mean "
    "log-likelihood (mixtures), evidence lower bound (VAE, VaDE), log-density of rows and codes "
    "(DAC). Compare it within a method only.",
    "Both Gaussian mixtures run with the same settings: full covariances up to 100 features, "
    "diagonal above; reg_covar = 0.01 x the mean variance of the features. scikit-learn's "
    "GaussianMixture gets sparse data as a dense array. KMeans: n_init=10. Others: defaults.",
)
LABELLED = ("ACC", "min / median / max", "majority", "NMI", "ARI")


def notes(data):
    """Explain the columns that the table of these data has."""
    return (*(() if data.y is None else NOTES_LABELLED), *NOTES)


def describe(data):
    """Name, size and kind of the data, in one line."""
    n_samples, n_features = data.X.shape
    classes = "no labels" if data.y is None else f"{len(np.unique(data.y))} classes"
    return (
        f"{data.name}: {n_samples:,} samples x {n_features:,} features, {classes}, "
        f"{data.n_clusters} clusters asked for"
    )


def progress(row, number, total):
    """One line for a finished fit."""
    start = f"[{number:{len(str(total))}}/{total}] {row['method']}, seed {row['seed']}: "
    if row["error"]:
        return start + f"FAILED, {_first_line(row['error'])}"
    names = [("ACC", "acc"), ("NMI", "nmi"), ("ARI", "ari")]
    parts = [f"{name} {row[key]:.3f}" for name, key in names if row[key] is not None]
    parts += [f"score {_mean([row['score']])}", f"{row['seconds']:.1f} s"]
    parts += [f"warning: {_first_line(text)}" for text in row["warnings"]]
    return start + ", ".join(parts)


def summarise(rows, data):
    """Header, and a line of cells for each method."""
    labelled = data.y is not None
    header = ["method", "fits", "clusters", *(LABELLED if labelled else ())]
    header += ["moved", "score", "seconds"]
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        good = [row for row in mine if not row["error"]]
        cells = [
            method,
            f"{len(good)} of {len(mine)}" if len(good) < len(mine) else f"{len(good)}",
        ]
        cells += _cells(good, labelled) if good else ["failed"] * (len(header) - 2)
        lines.append(cells)
    return header, lines


def failures(rows):
    """Each error and its seeds, by method: lines of text."""
    found = {}
    for row in rows:
        texts = [row["error"]] if row["error"] else row["warnings"]
        for text in texts:
            found.setdefault((row["method"], text, bool(row["error"])), []).append(
                str(row["seed"])
            )
    return [
        f"{method} {'failed' if error else 'warned'}, seed {', '.join(seeds)}: {text}"
        for (method, text, error), seeds in found.items()
    ]


def as_text(rows, data):
    """Write the table for a terminal, with errors and warnings below it."""
    text = [aligned(*summarise(rows, data))]
    return "\n".join(text + [""] * bool(failures(rows)) + failures(rows))


def aligned(header, lines):
    """Write cells as a table for a terminal: the first column to the left, others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
        for line in [header, ["-" * width for width in widths], *lines]
    )


def _cells(rows, labelled):
    def values(key):
        return [row[key] for row in rows]

    found = sorted(set(values("found")))
    cells = [str(found[0]) if len(found) == 1 else f"{found[0]}-{found[-1]}"]
    if labelled:
        acc = values("acc")
        spread = (np.min(acc), np.median(acc), np.max(acc))
        cells += [_mean(acc, 3), " / ".join(f"{value:.3f}" for value in spread)]
        cells += [_mean(values(key), 3) for key in ("majority", "nmi", "ari")]
    moved = [value for value in values("moved") if value is not None]
    cells.append(f"{100 * np.mean(moved):.1f} %" if moved else "")
    return [*cells, _mean(values("score")), _mean(values("seconds"), 1)]


def _mean(values, digits=None):
    """Mean ± sample standard deviation; `digits` after the point, or four significant ones."""
    values = [value for value in values if value is not None]
    if not values:
        return "not finite"
    mean = float(np.mean(values))
    if digits is None:
        digits = 0 if mean == 0 else int(np.clip(3 - np.floor(np.log10(abs(mean))), 0, 6))
    if len(values) == 1:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


def _first_line(text):
    return text.strip().splitlines()[0][:100]
