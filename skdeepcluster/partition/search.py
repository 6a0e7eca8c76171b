"""The partition of a data set: graph, coordinates, candidates, and the choice among them.

N samples, M distinct samples in the graph; D features, L embedding dimensions, K clusters.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import Bunch

from ..input.checks import (
    check_enough,
    check_sample_weight,
    warn_of_empty,
    warn_user,
)
from ..input.parameters import MAX_CLUSTERS, ClusterNumbers, read_n_clusters
from ..neighbors.augmented import choose_augment
from ..neighbors.graph import GraphSettings
from ..neighbors.samples import Lookup, Samples, connect, interpolate
from ..utils.progress import Progress
from ..utils.random import draw_seed, random_stream
from .coordinates import make_coordinates
from .criterion.constants import LEAST_SIZE
from .criterion.score import Criterion
from .known import count_labels, follow_labels
from .number import choose_number
from .selection import find_partitions


class Problem(NamedTuple):
    """What is asked of a partition, and what is known about it."""

    n_clusters: ClusterNumbers
    #: Weights (N,) of the samples.
    sample_weight: Any = None
    #: Known clusters (N,) from 0 on, -1 where unknown.
    labels: np.ndarray | None = None

    def check(self, X):
        """Return the problem with the weights of the samples X as an array, checked."""
        check_enough(X.shape[0], self.n_clusters.lowest)
        weights = check_sample_weight(self.sample_weight, X)
        return self._replace(sample_weight=weights)

    @property
    def labeled_samples(self):
        """Positions in X of the samples with known clusters."""
        return [] if self.labels is None else np.flatnonzero(self.labels >= 0)


class SearchSettings(NamedTuple):
    """How clusters are searched: parameters of ``NeighborClustering``."""

    graph: GraphSettings = GraphSettings()
    #: Other versions of samples, None, or "auto".
    augment: Any = None
    image_shape: Any = None
    random_state: Any = None
    #: Whether a bar shows the progress.
    verbose: bool = False


class Found(NamedTuple):
    """Partitions of the distinct samples, or of all N after :func:`find_clusters`."""

    #: The best :class:`~.selection.Partition`, then its alternatives.
    partitions: list
    #: Embedding (M, L), or (N, L).
    embedding: np.ndarray
    samples: Samples
    #: Scores of numbers of clusters, if the number was chosen.
    curve: Bunch | None
    #: Mean distance (N,) of each sample to its neighbors.
    outlier_scores: np.ndarray | None = None
    lookup: Lookup | None = None
    #: How the samples were compared, and the scores of what was tried with "auto".
    augment: Any = None
    augment_scores: dict | None = None

    @property
    def best(self):
        """The best partition."""
        return self.partitions[0]


def find_partition(
    prepared, problem, settings, random_state, progress=None, samples=None
):
    """Return what is :class:`Found` for prepared samples, see ``NeighborClustering``.

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
        problem.labeled_samples,
    )
    progress.begin("embedding", 1)
    coords = make_coordinates(samples, settings, stream)
    criterion = Criterion(coords, samples.n_features)

    if numbers.is_given:
        progress.begin("partition", 1)
        curve = None
        seed = draw_seed(stream)
        partitions = [*find_partitions(coords, criterion, numbers.given, seed)]
    else:
        partitions, curve = choose_number(problem, coords, criterion, stream, progress)
        curve = Bunch(**curve._asdict(), is_likely=curve.is_likely)
    embedding = coords.embeddings[0]
    if problem.labels is not None:
        partitions = [
            _follow(partition, problem, samples, embedding) for partition in partitions
        ]
    return Found(partitions, embedding.astype(np.float32), samples, curve)


def _follow(partition, problem, samples, embedding):
    """Return a partition that follows known labels."""
    resp = partition.responsibilities
    labels = count_labels(
        problem.labels, resp.shape[1], samples.inverse, problem.sample_weight
    )
    resp = follow_labels(resp, labels, samples.graph, samples.weights, embedding)
    return partition._replace(responsibilities=resp)


# ---- clusters of all samples


def find_clusters(prepared, problem, settings):
    """Return the partitions of prepared samples by :class:`SearchSettings`."""
    numbers = problem.n_clusters
    with Progress("NeighborClustering", settings.verbose) as progress:
        n_tried = 0 if numbers.is_given else len(numbers.tried)
        # Graph, embedding, partition, assignment, augmentation, and each number that is tried.
        progress.plan(4 + (settings.augment == "auto") + n_tried)
        if settings.augment == "auto":
            progress.begin("augmentation", 1)
        augment, scores = find_augment(prepared, numbers, settings)
        prepared = prepared.change(augment)
        found = find_partition(
            prepared, problem, settings.graph, settings.random_state, progress
        )
        warn_of_number(found, numbers)

        progress.begin("assignment", 1)
        lookup = Lookup(found.samples.reference)
        resps = [partition.responsibilities for partition in found.partitions]
        *resps, embedding, outlier_scores = interpolate(
            lookup,
            prepared.points,
            [*resps, found.embedding],
            settings.graph.n_jobs,
            found.samples.inverse,
        )
    partitions = [
        partition._replace(responsibilities=resp)
        for partition, resp in zip(found.partitions, resps, strict=True)
    ]
    return found._replace(
        partitions=partitions,
        embedding=embedding,
        outlier_scores=outlier_scores,
        lookup=lookup,
        augment=augment,
        augment_scores=scores,
    )


def find_augment(prepared, numbers, settings):
    """Return the augmentation of :class:`SearchSettings`, and the scores of all with "auto"."""
    if settings.augment != "auto":
        return settings.augment, None
    stream = random_stream(settings.random_state)
    stream = np.random.RandomState(draw_seed(stream))
    fit = partial(find_by_seeds, n_clusters=numbers, settings=settings.graph)
    return choose_augment(prepared, settings.image_shape, fit, stream)


def find_by_seeds(prepared, seeds, n_clusters, settings):
    """Return the expected scores and the labels (N,) of the best partition by each seed.

    All samples are in the graph, which is the same for all seeds.
    """
    problem = Problem(n_clusters)
    settings = settings._replace(max_samples=prepared.points.shape[0])
    samples = None
    scores = []
    labels = []
    for seed in seeds:
        found = find_partition(prepared, problem, settings, seed, samples=samples)
        samples = found.samples
        scores.append(found.best.expected_score)
        labels.append(found.best.labels[samples.inverse])
    return scores, labels


def measure_partitions(prepared, sample_weight, settings):
    """Return the :class:`~.selection.Criterion` of samples, and the distinct :class:`Samples`."""
    augment, _ = find_augment(prepared, read_n_clusters("auto"), settings)
    prepared = prepared.change(augment)
    graph = settings.graph._replace(augment=prepared.augment, groups=prepared.groups)
    stream = random_stream(settings.random_state)
    samples = connect(prepared.points, "auto", graph, stream, sample_weight)
    coords = make_coordinates(samples, graph, stream)
    return Criterion(coords, samples.n_features), samples


def count_clusters(prepared, n_clusters, sample_weight=None, random_state=None):
    """Return the number of clusters that :func:`find_partition` chooses, and the curve."""
    numbers = read_n_clusters(n_clusters)
    problem = Problem(numbers, sample_weight)
    found = find_partition(prepared, problem, GraphSettings(), random_state)
    warn_of_number(found, numbers)
    return found.best.n_clusters, found.curve


def warn_of_number(found, numbers):
    """Warn of empty clusters, and of a number at the upper edge of those that "auto" tries."""
    best = found.best
    warn_of_empty(
        len(np.unique(best.labels)),
        best.n_clusters,
        "clusters",
        "Decrease n_clusters, or leave out duplicate points.",
    )
    n_distinct = len(found.samples.weights)
    is_highest = numbers.is_auto and best.n_clusters == found.curve.n_clusters[-1]
    if not is_highest or n_distinct == 1:
        return
    advice = f"Set bounds, such as n_clusters=(1, {2 * MAX_CLUSTERS})."
    if n_distinct // LEAST_SIZE < MAX_CLUSTERS:
        advice = f"There are only {n_distinct} distinct samples: set n_clusters."
    warn_user(
        f"n_clusters='auto' chose {best.n_clusters}, the largest number tried. {advice}"
    )
