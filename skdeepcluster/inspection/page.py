"""Pages of HTML: their templates, maps of samples, and who moved between two partitions."""

from base64 import b64encode
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length

from ..display.base import COLORS
from ..input.labels import encode_labels, predict_samples, read_labels
from ..neighbors import neighbor_graph, neighbor_layout

#: Maximum number of samples in the map of a page.
MAX_MAP = 1000
#: Limits of the map: quantiles of the places, and air around them.
EDGE = 0.03
AIR = 0.2


def write_page(template, path=None, **values):
    """Return the page or the text that a template makes of values, or write it to a path."""
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("skdeepcluster")
    is_page = template.endswith(".html")
    pages = Environment(loader=loader, autoescape=is_page, trim_blocks=True)
    pages.filters["base64"] = lambda png: b64encode(png).decode()
    pages.globals["colors"] = COLORS
    page = pages.get_template(template).render(values)
    if path is None:
        return page
    Path(path).write_text(page, encoding="utf-8")
    return None


def find_spots(samples, metric, rows=()):
    """Return position and place in a map of at most `MAX_MAP` samples, and of ``rows``."""
    spread = np.linspace(0, samples.shape[0] - 1, MAX_MAP).astype(int)
    rows = np.unique([*spread, *rows])

    graph = neighbor_graph(samples[rows], metric=metric)
    places = neighbor_layout(graph, 2, random_state=0)
    # Pages are wide.
    places = places[:, np.argsort(-np.ptp(places, axis=0))]
    # A few samples far away would leave no room for the others: they are drawn at the edge.
    low, high = np.quantile(places, (EDGE, 1 - EDGE), axis=0)
    air = AIR * (high - low)
    places = places.clip(low - air, high + air)
    places -= places.min(0)
    places /= np.ptp(places, axis=0).max() or 1.0
    return list(zip(rows.tolist(), places.round(3), strict=True))


# ---- moves


def match_before(before, X, labels, n_clusters):
    """Return the earlier cluster of each sample (N,), -1 for none, numbered as the present ones.

    A cluster keeps its number if it has more than half of the samples of both. Earlier clusters
    without such a match get the numbers from ``n_clusters`` on.
    """
    if isinstance(before, BaseEstimator):
        before = predict_samples(before, X)
    check_consistent_length(labels, before)
    has_index = hasattr(before, "iloc") and hasattr(X, "iloc")
    if has_index and not before.index.equals(X.index):
        raise ValueError(
            "before has another index than X. Pass before.reindex(X.index), or "
            "before.to_numpy() if its order is that of X."
        )
    names, earlier = encode_labels(*read_labels(before))
    common = count_moves(earlier, labels, max(len(names), n_clusters))[:-1, :-1]
    is_same = 2 * common > np.maximum.outer(common.sum(1), common.sum(0))

    rows, columns = np.nonzero(is_same)
    gone = np.setdiff1d(np.arange(len(names)), rows)
    numbers = np.full(len(common) + 1, -1)
    numbers[rows] = columns
    numbers[gone] = n_clusters + np.arange(len(gone))
    return numbers[earlier]


def count_moves(before, labels, n_clusters):
    """Return how many samples (K + 1, K + 1) went from each cluster to each; the last is none."""
    table = np.zeros((n_clusters + 1, n_clusters + 1), dtype=int)
    np.add.at(table, (before, labels), 1)
    return table


def list_moves(before, labels, names):
    """Return a line for each cluster: name, sizes before and now, who stayed, came and left."""
    n_gone = max(before.max() + 1 - len(names), 0)
    names = [f"cluster {name}" for name in names]
    names += [f"former cluster {i + 1}" for i in range(n_gone)] + ["no cluster"]
    table = count_moves(before, labels, len(names) - 1)

    def list_others(counts, k):
        order = np.argsort(-counts, kind="stable")
        return ", ".join(
            f"{names[j]} ({counts[j]:,})" for j in order if counts[j] and j != k
        )

    lines = []
    for k, name in enumerate(names):
        then = table[k]
        now = table[:, k]
        if then.any() or now.any():
            sizes = [f"{size:,}" for size in (then.sum(), now.sum(), table[k, k])]
            lines.append([name, *sizes, list_others(now, k), list_others(then, k)])
    return lines
