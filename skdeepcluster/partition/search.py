"""The partition of a data set: graph, coordinates, candidates, and the choice among them.

N samples, M distinct samples in the graph; D features, L layout dimensions, K clusters.
"""

from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import Bunch

from ..input.checks import (
    check_count,
    check_enough,
    check_sample_weight,
    draw_seed,
    list_numbers,
    random_stream,
    warn_user,
)
from ..input.progress import Progress
from ..neighbors.graph import GraphSettings
from ..neighbors.samples import Samples, connect, read_samples
from .constraints import constrain
from .coordinates import make_coordinates
from .known import count_labels, follow_labels
from .number import Curve, choose_number
from .selection import LEAST_SIZE, Criterion, find_partitions


def read_pairs(name, pairs, n_samples):
    """Return pairs (P, 2) of positions of samples, checked; None means no pairs."""
    if pairs is None or not len(pairs):
        return np.empty((0, 2), dtype=np.int64)
    pairs = np.asarray(pairs)

    if pairs.dtype.kind not in "iu" or pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(
            f"{name} has shape {pairs.shape} and dtype {pairs.dtype}, but expects integers of "
            "shape (n_pairs, 2). Give the positions in X of two samples per pair."
        )
    for sample in pairs[(pairs < 0) | (pairs >= n_samples)]:
        raise ValueError(
            f"{name} names sample {sample}, but X has the samples 0 to {n_samples - 1}. Give "
            "positions in X, not names of an index."
        )
    return pairs.astype(np.int64)


class Problem(NamedTuple):
    """What is asked of a partition, and what is known about it."""

    #: A number of clusters, their range, or a list of numbers to choose from.
    n_clusters: Any
    #: Weights (N,) of the samples.
    sample_weight: Any = None
    #: Known clusters (N,) from 0 on, -1 where unknown.
    labels: np.ndarray | None = None
    #: Minimum and maximum size of a cluster: a number of samples, a share, or None.
    sizes: tuple = (None, None)
    #: Pairs (P, 2) of samples in one cluster, and in two.
    must_link: Any = None
    cannot_link: Any = None

    @property
    def n_tried(self):
        """Maximum number of numbers of clusters that are tried, 0 if it is given."""
        return len(self.numbers) if self.is_open else 0

    @property
    def is_open(self):
        """Whether the number of clusters is to be chosen."""
        return not isinstance(self.n_clusters, Integral)

    @property
    def has_bounds(self):
        """Whether any number in a range may be chosen."""
        return isinstance(self.n_clusters, range)

    @property
    def numbers(self):
        """The numbers of clusters to try first."""
        if self.has_bounds:
            return list_numbers(self.n_clusters[-1], self.n_clusters[0])
        return list(self.n_clusters)

    @property
    def has_sizes(self):
        """Whether the sizes of clusters are bounded."""
        return self.sizes != (None, None)

    @property
    def has_pairs(self):
        """Whether any pairs are given."""
        return len(self.must_link) + len(self.cannot_link) > 0

    def check(self, X):
        """Return the problem with weights and pairs of the samples X as arrays, checked."""
        n_samples = X.shape[0]
        weights = check_sample_weight(self.sample_weight, X)
        check_enough(n_samples, min(self.numbers) if self.is_open else self.n_clusters)
        return self._replace(
            sample_weight=weights,
            must_link=read_pairs("must_link", self.must_link, n_samples),
            cannot_link=read_pairs("cannot_link", self.cannot_link, n_samples),
        )

    @property
    def named_samples(self):
        """Positions in X of the samples with labels or in pairs."""
        labels = [] if self.labels is None else np.flatnonzero(self.labels >= 0)
        pairs = np.ravel(self.must_link), np.ravel(self.cannot_link)
        return np.concatenate([labels, *pairs])


class SearchResult(NamedTuple):
    """Partitions of the N samples of X, and the graph and layout that show them."""

    samples: Samples
    #: The best :class:`~.selection.Partition`, then its alternatives.
    partitions: list
    #: Layout (M, L).
    layout: np.ndarray
    #: Scores of numbers of clusters, if the number was chosen.
    curve: Curve | None


def find_partition(X, problem, settings, random_state=None, progress=None):
    """Return the :class:`SearchResult` for X (N, D), see ``NeighborClustering``.

    ``settings`` are :class:`~skdeepcluster.neighbors.graph.GraphSettings`. The ``progress`` begins
    a phase at each stage.
    """
    progress = progress or Progress()
    stream = random_stream(random_state)
    problem = problem.check(X)
    n_clusters = problem.n_clusters
    progress.begin("graph", 1)
    samples = connect(
        X,
        "auto" if problem.is_open else n_clusters,
        settings,
        stream,
        problem.sample_weight,
        problem.named_samples,
    )
    constraints = None
    if problem.has_sizes or problem.has_pairs:
        constraints = constrain(samples, problem)
        if not problem.is_open:
            constraints.check(n_clusters)
    progress.begin("layout", 1)
    coords = make_coordinates(samples, settings, stream)
    criterion = Criterion(coords, samples.n_features)

    if problem.is_open:
        partitions, curve = choose_number(
            problem, coords, criterion, constraints, stream, progress
        )
    else:
        progress.begin("partition", 1)
        curve = None
        partitions = find_partitions(
            coords, criterion, n_clusters, draw_seed(stream), constraints
        )
    layout = coords.layouts[0]
    partitions = [
        _follow(partition, problem, samples, layout, constraints)
        for partition in partitions
    ]
    return SearchResult(samples, partitions, layout.astype(np.float32), curve)


def _follow(partition, problem, samples, layout, constraints):
    """Return a partition that follows known labels and keeps the constraints."""
    resp = partition.responsibilities
    known = None
    if problem.labels is not None:
        weights = problem.sample_weight
        known = count_labels(problem.labels, resp.shape[1], samples.inverse, weights)
        resp = follow_labels(resp, known, samples.graph, samples.weights, layout)
    if constraints is not None:
        resp = constraints.impose(resp, layout, known)
    return partition._replace(responsibilities=resp)


def make_criterion(X, settings, sample_weight=None, random_state=None):
    """Return the :class:`~.selection.Criterion` of X, and its distinct :class:`Samples`."""
    stream = random_stream(random_state)
    samples = connect(X, "auto", settings, stream, sample_weight)
    coords = make_coordinates(samples, settings, stream)
    return Criterion(coords, samples.n_features), samples


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
    X = read_samples(X, n_neighbors, sample_weight)
    settings = GraphSettings(n_neighbors, metric, n_components, max_samples, n_jobs)
    if numbers is None:
        max_clusters = check_count("max_clusters", max_clusters)
        tried = range(1, max_clusters + 1)
    else:
        tried = list(numbers)
    problem = Problem(tried, sample_weight)
    found = find_partition(X, problem, settings, random_state)
    if numbers is None:
        warn_of_edge(found, max_clusters)
    best = found.partitions[0].n_clusters
    return Bunch(best_n_clusters=best, **found.curve._asdict())


def warn_of_edge(found, max_clusters):
    """Warn the user if the largest number of clusters was chosen in a :class:`SearchResult`."""
    chosen = found.partitions[0].n_clusters
    n_distinct = len(found.samples.weights)
    if chosen < found.curve.n_clusters[-1] or n_distinct == 1:
        return
    advice = f"Raise max_clusters={max_clusters}, or set n_clusters."
    if max_clusters > n_distinct // LEAST_SIZE:
        advice = f"There are only {n_distinct} distinct samples: set n_clusters."
    warn_user(f"n_clusters='auto' chose {chosen}, the largest number tried. {advice}")
