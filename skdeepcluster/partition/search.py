"""The partition of a data set, and its values for all samples.

N samples, M distinct samples in the graph; D features, L layout dimensions, K clusters, P leaves.
"""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.special import softmax
from sklearn.utils import Bunch, check_array

from ..input.checks import (
    check_enough,
    check_sample_weight,
    name_column,
    warn_user,
)
from ..input.imputation import impute
from ..input.labels import cluster_means
from ..input.random import random_stream
from ..neighbors.graph import neighbor_layout
from ..neighbors.samples import GraphSettings, Samples, connect
from ..neighbors.search import NeighborIndex
from .candidates import COMPONENTS, LAYOUT_REGULARIZATION, run_em, run_kmeans
from .constraints import constrain, read_pairs
from .judge import LEAST_SIZE, Judge
from .known import count_labels, follow_labels, spread_along
from .number import Curve, choose_number, list_maxima, list_numbers
from .selection import MAX_ALTERNATIVES, drop_small, find_answers
from .views import (
    make_views,
    scale_points,
    view_layout,
)

#: Minimum score of an alternative with another number of clusters, relative to the best.
WORTH = 0.5
#: Number of mixtures that smooth a few given labels.
MIXTURES = 5


class Partition(NamedTuple):
    """Clusters of the N samples of X, and the graph and layout that show them."""

    samples: Samples
    #: The best :class:`~.selection.Answer`, then its alternatives.
    answers: list
    #: Layout (M, L).
    layout: np.ndarray
    #: Scores of numbers of clusters with ``n_clusters="auto"``.
    curve: Curve | None = None

    @property
    def n_clusters(self):
        """Number of clusters of the best answer."""
        return self.answers[0].resp.shape[1]


def find_partition(
    X,
    n_clusters,
    settings,
    *,
    sample_weight=None,
    labels=None,
    refine=True,
    sizes=(None, None),
    must_link=None,
    cannot_link=None,
    random_state=None,
    report=nullcontext,
) -> Partition:
    """Return the :class:`Partition` of X (N, D), see :class:`~skdeepcluster.NeighborClustering`.

    ``n_clusters`` is a number, or a list of numbers to choose from; ``refine`` adds those around
    the best of them. ``settings`` are :class:`~skdeepcluster.neighbors.samples.GraphSettings`.
    ``labels`` (N,) are clusters from 0 on, -1 where unknown, and ``sizes`` the minimum and maximum
    size of a cluster. Each stage runs in the context ``report(stage)``.
    """
    stream = random_stream(random_state)
    weights = check_sample_weight(sample_weight, X)
    is_given = isinstance(n_clusters, Integral)
    asked = n_clusters if is_given else "auto"
    check_enough(X.shape[0], n_clusters if is_given else min(n_clusters))
    pairs = _read_pairs(X.shape[0], sizes, must_link, cannot_link)
    with report("graph"):
        needed = [] if labels is None else np.flatnonzero(labels >= 0)
        needed = np.concatenate([needed, *map(np.ravel, pairs)])
        samples = connect(X, asked, settings, stream, weights, needed)
    limits = None
    if pairs:
        limits = constrain(samples, weights, sizes, *pairs, labels)
    if limits is not None and is_given:
        limits.check(n_clusters)
    with report("layout"):
        views = make_views(samples, settings, stream)
        judge = Judge(views, samples.n_features)

    curve = None
    if not is_given:
        least = _find_least(labels, limits)
        numbers = [k for k in n_clusters if k >= least] or [least]
        with report("number"):
            curve = choose_number(judge, numbers, refine, limits)
        n_clusters = _list_best(curve, limits)
    with report("partition"):
        answers, curve = find_answers(views, judge, n_clusters, stream, limits, curve)
        if curve is not None and limits is None and labels is None:
            # Half a sample less, because shares are rounded.
            least = (LEAST_SIZE - 0.5) / np.count_nonzero(weights)
            answers, curve = drop_small(answers, curve, judge, views.weights, least)

    layout = views.layouts[0]
    answers = [
        own._replace(resp=_follow(own.resp, layout, samples, weights, labels, limits))
        for own in answers
    ]
    return Partition(samples, answers, layout.astype(np.float32), curve)


def _read_pairs(n_samples, sizes, must_link, cannot_link):
    """Return the pairs of samples, or nothing without any constraint."""
    if sizes == (None, None) and must_link is None and cannot_link is None:
        return []
    return list(read_pairs(n_samples, must_link=must_link, cannot_link=cannot_link))


def look(X, settings, sample_weight=None, random_state=None):
    """Return the :class:`~.judge.Judge` of X, and the positions in X of what it judges."""
    stream = random_stream(random_state)
    samples = connect(X, "auto", settings, stream, sample_weight)
    judge = Judge(make_views(samples, settings, stream), samples.n_features)
    return judge, samples.reference.kept[judge.drawn]


def _follow(resp, layout, samples, weights, labels, limits):
    """Return responsibilities (M, K), changed where labels and limits need it."""
    known = None
    if labels is not None:
        known = count_labels(labels, resp.shape[1], samples.inverse, weights)
        resp = follow_labels(
            resp,
            known,
            samples.graph,
            samples.weights,
            layout,
        )
    if limits is not None:
        resp = limits.impose(resp, layout, known)
    return resp


def _find_least(labels, limits):
    """Return the minimum number of clusters that labels and pairs need."""
    known = 1 if labels is None else labels.max() + 1
    return known if limits is None else max(known, len(limits.exclusive))


def _list_best(curve, limits):
    """Return the numbers of clusters worth a full search.

    They are the best number of the curve, and maxima with at least half of its score. One cluster
    comes with the best division.
    """
    numbers = list_maxima(curve)[: 1 + MAX_ALTERNATIVES]
    scores = dict(zip(curve.n_clusters.tolist(), curve.criterion, strict=True))
    worth = WORTH * scores[numbers[0]]
    n_kept = 2 if numbers[0] == 1 else 1
    numbers = numbers[:n_kept] + [k for k in numbers[n_kept:] if scores[k] >= worth]
    if limits is not None:
        limits.check(numbers[0])
        numbers = [k for k in numbers if limits.allows(k)]
    return numbers


def count_clusters(
    X,
    *,
    n_neighbors: int = 15,
    metric: str | Callable[..., float] = "euclidean",
    sample_weight=None,
    max_clusters: int = 60,
    numbers: Iterable[int] | None = None,
    n_components: int = 5,
    max_samples: int = 20_000,
    random_state=None,
    n_jobs: int | None = None,
) -> Bunch:
    """Find the number of clusters of X without labels.

    The criterion of :class:`~skdeepcluster.NeighborClustering` compares candidate partitions.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples, or their distances with ``metric="precomputed"``.
    n_neighbors, metric, max_clusters, n_components, max_samples, random_state, n_jobs
        As in :class:`~skdeepcluster.NeighborClustering`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.
    numbers : iterable of int, default=None
        Numbers to try; None tries numbers up to ``max_clusters``.

    Returns
    -------
    Bunch
        ``best_n_clusters``, and the arrays of ``n_clusters_curve_`` of
        :class:`~skdeepcluster.NeighborClustering`.

    See Also
    --------
    skdeepcluster.select_n_clusters : For any clusterer.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.partition import count_clusters
    >>> X, _ = make_blobs(300, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    >>> count_clusters(X, random_state=0).best_n_clusters
    3
    """
    X = _read_samples(X, n_neighbors, sample_weight)
    settings = GraphSettings(
        n_neighbors,
        metric,
        n_components,
        max_samples,
        n_jobs,
    )
    found = find_partition(
        X,
        list_numbers(max_clusters) if numbers is None else list(numbers),
        settings,
        sample_weight=sample_weight,
        refine=numbers is None,
        random_state=random_state,
    )
    warn_of_edge(found, max_clusters)
    return Bunch(best_n_clusters=found.n_clusters, **found.curve._asdict())


def _read_samples(X, n_neighbors, sample_weight=None):
    """Return samples X (N, D), checked, with missing values filled."""
    finite = True if sparse.issparse(X) else "allow-nan"
    with name_column(X):
        X = check_array(
            X,
            accept_sparse="csr",
            dtype=[float, np.float32],
            ensure_all_finite=finite,
            input_name="X",
        )
    return impute(X, n_neighbors, sample_weight)


def warn_of_edge(found, max_clusters):
    """Warn the caller's caller if the largest number of clusters was chosen."""
    chosen = found.n_clusters
    n_distinct = len(found.samples.weights)
    if chosen < found.curve.n_clusters[-1] or n_distinct == 1:
        return
    advice = f"Raise max_clusters={max_clusters}, or set n_clusters."
    if max_clusters > n_distinct // LEAST_SIZE:
        advice = f"There are only {n_distinct} distinct samples: set n_clusters."
    warn_user(f"n_clusters='auto' chose {chosen}, the largest number tried. {advice}")


# ---- classes from a few labels


def partition_by_labels(
    X,
    targets,
    n_classes,
    *,
    n_neighbors=15,
    augment=None,
    random_state=None,
    n_jobs=None,
) -> np.ndarray:
    """Return class probabilities (N, K) from a few ``targets`` (N,), -1 for none.

    They are the mean of two estimates. The first spreads the labels along the neighbor graph. The
    second fits mixtures of 2 K components to the layout and averages the first by component.
    """
    X = _read_samples(X, n_neighbors)
    stream = random_stream(random_state)
    settings = GraphSettings(
        n_neighbors,
        max_samples=X.shape[0],
        n_jobs=n_jobs,
        augment=augment,
    )
    samples = connect(X, n_classes, settings, stream)
    graph = samples.graph

    weights = np.ones(X.shape[0])
    labels = count_labels(targets, n_classes, samples.inverse, weights)
    spread = spread_along(graph, labels)
    _fill_components(spread, labels, samples, n_jobs)

    layout = neighbor_layout(graph, random_state=stream, n_jobs=n_jobs)
    smooth = _smooth(spread, scale_points(layout), samples, stream)
    return ((spread + smooth) / 2)[samples.inverse]


def _fill_components(spread, labels, samples, n_jobs):
    """Give connected components without labels the probabilities of the nearest samples."""
    _, piece = connected_components(samples.graph, directed=False)
    known = np.isin(piece, piece[labels.any(1)])
    if known.any() and not known.all():
        rows = samples.reference.rows
        index = NeighborIndex(rows[known], n_jobs=n_jobs)
        _, nearest = index.query(rows[~known], 1)
        spread[~known] = spread[known][nearest[:, 0]]


def _smooth(spread, layout, samples, stream):
    """Return the mean probabilities (M, K) by component of mixtures fitted to the layout."""
    n_components = min(COMPONENTS * spread.shape[1], len(layout))
    views = view_layout(layout, samples, stream)
    weights = samples.weights[:, None]
    smooth = np.zeros_like(spread)
    for _ in range(MIXTURES):
        labels = run_kmeans(layout, views, n_components, stream, n_init=1)
        densities = run_em(
            layout,
            views,
            labels,
            n_components,
            "full",
            LAYOUT_REGULARIZATION,
        )
        resp = softmax(densities, axis=1)
        means = cluster_means(resp * weights, spread)
        smooth += resp @ means / MIXTURES
    return smooth


# ---- all samples


# ---- the tree of clusters
