"""The partition of a data set: graph, coordinates, candidates, and the choice among them.

N samples, M distinct samples in the graph; D features, L layout dimensions, K clusters.
"""

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import Bunch

from ..input.checks import check_enough, check_sample_weight, warn_user
from ..input.parameters import (
    MAX_CLUSTERS,
    ClusterNumbers,
    draw_seed,
    random_stream,
    read_n_clusters,
)
from ..input.progress import Progress
from ..neighbors.graph import GraphSettings
from ..neighbors.samples import Samples, connect
from .constraints import constrain
from .coordinates import make_coordinates
from .known import count_labels, follow_labels
from .number import choose_number
from .selection import LEAST_SIZE, Criterion, find_partitions


def read_pairs(name, pairs, n_samples):
    """Return pairs (P, 2) of positions of samples, checked; None means no pairs."""
    if pairs is None or not len(pairs):
        return np.empty((0, 2), dtype=np.int64)
    pairs = np.asarray(pairs)

    if pairs.dtype.kind not in "iu" or pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(
            f"{name} has shape {pairs.shape} and dtype {pairs.dtype}, but expects "
            "integers of shape (n_pairs, 2): positions in X."
        )
    for sample in pairs[(pairs < 0) | (pairs >= n_samples)]:
        raise ValueError(
            f"{name} names sample {sample}, but X has the samples 0 to {n_samples - 1}. "
            "Give positions in X."
        )
    return pairs.astype(np.int64)


class Problem(NamedTuple):
    """What is asked of a partition, and what is known about it."""

    n_clusters: ClusterNumbers
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
        check_enough(n_samples, self.n_clusters.lowest)
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
    """Partitions of samples, and the graph and layout that show them."""

    samples: Samples
    #: The best :class:`~.selection.Partition`, then its alternatives.
    partitions: list
    #: Layout (M, L).
    layout: np.ndarray
    #: Scores of numbers of clusters, if the number was chosen.
    curve: Bunch | None

    @property
    def best(self):
        """The best partition."""
        return self.partitions[0]


def find_partition(
    prepared, problem, settings, random_state, progress=None, samples=None
):
    """Return the :class:`SearchResult` for prepared samples, see ``NeighborClustering``.

    ``settings`` are :class:`~skdeepcluster.neighbors.graph.GraphSettings`. The ``progress`` begins
    a phase at each stage. ``samples`` are the connected ones of an earlier search, if there are.
    """
    progress = progress or Progress()
    stream = random_stream(random_state)
    problem = problem.check(prepared.points)
    numbers = problem.n_clusters
    settings = settings._replace(augment=prepared.augment, groups=prepared.groups)
    progress.begin("graph", 1)
    samples = samples or connect(
        prepared.points,
        numbers.given if numbers.is_given else "auto",
        settings,
        stream,
        problem.sample_weight,
        problem.named_samples,
    )
    constraints = None
    if problem.has_sizes or problem.has_pairs:
        constraints = constrain(samples, problem)
        if numbers.is_given:
            constraints.check(numbers.given)
    progress.begin("layout", 1)
    coords = make_coordinates(samples, settings, stream)
    criterion = Criterion(coords, samples.n_features)

    if numbers.is_given:
        progress.begin("partition", 1)
        curve = None
        options = draw_seed(stream), constraints
        partitions = [*find_partitions(coords, criterion, numbers.given, *options)]
    else:
        partitions, curve = choose_number(
            problem, coords, criterion, constraints, stream, progress
        )
        curve = Bunch(**curve._asdict())
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


def make_criterion(prepared, settings, sample_weight, random_state):
    """Return the :class:`~.selection.Criterion` of samples, and the distinct :class:`Samples`."""
    stream = random_stream(random_state)
    settings = settings._replace(augment=prepared.augment, groups=prepared.groups)
    samples = connect(prepared.points, "auto", settings, stream, sample_weight)
    coords = make_coordinates(samples, settings, stream)
    return Criterion(coords, samples.n_features), samples


def count_clusters(
    prepared,
    n_clusters,
    max_clusters=MAX_CLUSTERS,
    sample_weight=None,
    random_state=None,
):
    """Return the number of clusters that :func:`find_partition` chooses, and the curve."""
    numbers = read_n_clusters(n_clusters, max_clusters)
    problem = Problem(numbers, sample_weight)
    found = find_partition(prepared, problem, GraphSettings(), random_state)
    if numbers.is_range and n_clusters == "auto":
        warn_of_edge(found, max_clusters)
    return found.best.n_clusters, found.curve


def warn_of_edge(found, max_clusters):
    """Warn the user if the largest number of clusters was chosen in a :class:`SearchResult`."""
    chosen = found.best.n_clusters
    n_distinct = len(found.samples.weights)
    if chosen < found.curve.n_clusters[-1] or n_distinct == 1:
        return
    advice = f"Raise max_clusters={max_clusters}, or set n_clusters."
    if max_clusters > n_distinct // LEAST_SIZE:
        advice = f"There are only {n_distinct} distinct samples: set n_clusters."
    warn_user(f"n_clusters='auto' chose {chosen}, the largest number tried. {advice}")
