"""Describe partitions of drawn data sets by the package's features, and score them.

C partitions, F features, M scored samples.
"""

import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.random import RandomState
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits
from torch import Tensor

from skdeepcluster.input import Preparation, preparation
from skdeepcluster.neighbors.graph import GraphSettings
from skdeepcluster.neighbors.samples import connect
from skdeepcluster.nn import RandomAffine, RandomShift
from skdeepcluster.partition.candidates import find_candidates
from skdeepcluster.partition.coordinates import (
    Coordinates,
    StepSizes,
    make_coordinates,
)
from skdeepcluster.partition.criterion.features import NAMES
from skdeepcluster.partition.criterion.score import Criterion

from .draw import KINDS, TABLES, DataSet, draw
from .draw_common import Array

T = TypeVar("T")
#: Measures a data set, given its kind and seed and whether it has features.
Measure = Callable[[str, int, bool], T]
#: How often a kind is drawn for each seed; once if it is not named.
WEIGHTS = {
    "tables": 5,
    "embeddings": 5,
    "images": 3,
    "digits": 3,
    "factors": 2,
    "one_table": 2,
    "one_body": 3,
    "one_skewed": 2,
    "shifted": 3,
    "overlapping": 2,
    "background": 2,
    "texts": 2,
    "many_images": 2,
    "many_digits": 3,
    "many_embeddings": 2,
    "questions": 3,
    "mixed": 8,
    "coded": 6,
    "one_mixed": 3,
    "one_coded": 3,
}
#: How often where only one cluster is told from several.
ONE_WEIGHTS = {
    "overlapping": 6,
    "touching": 3,
    "one_table": 6,
    "one_body": 3,
    "one_skewed": 6,
    "one_banana": 2,
    "one_scale": 2,
    "questions": 3,
    "one_questions": 3,
    "mixed": 4,
    "coded": 3,
    "one_mixed": 3,
    "one_coded": 3,
}
#: Changes that do not matter in the graphs of draws without features, by kind.
CHANGES = {"digits": RandomAffine((1, 8, 8)), "shifted": RandomShift(0.2)}
#: Kinds of which all draws are measured without features, too; of others, the first.
VIEWED = {"images", "series", *CHANGES}
#: Number of views of a sample in these graphs.
N_VIEWS = 16
#: Numbers of samples in the slower steps of every second draw, scored as large data sets are.
FEW = StepSizes(fitted=1500, merged=500)
ALL = StepSizes()
#: Numbers of clusters that are tried, and the share of them that is.
NUMBERS = (*range(1, 13), 15, 18, 22, 27, 33, 40, 48, 58, 60)
TRIED = 0.6
#: Number of cuts of each other tree, and a third of the number of changed candidates.
N_OTHERS = 2
#: Maximum number of clusters of such a cut.
MAX_CUT = 12
#: Maximum share of the samples that are moved in a changed candidate.
MAX_MOVED = 0.6


class Summary(NamedTuple):
    """What tells whether a drawn data set is one cluster."""

    kind: str
    n_clusters: int
    #: Features of the data set by name.
    data: dict[str, float]
    #: Features (R, F) of the members of some ensembles, by number of clusters.
    features: dict[int, Array]
    #: Which trees score the partitions: by "features", or by the "embedding" without features.
    space: str
    #: Names (F,) of the features of partitions.
    names: list[str]


class Partitions(NamedTuple):
    """Features and scores of partitions of a data set."""

    #: Number of clusters (C,) of the ensemble that each is compared with.
    n_clusters: Array
    #: Methods (C,) that found them with the right number of clusters given, or "".
    methods: Array
    #: Features (C, F) and adjusted Rand indices with the classes (C,).
    features: Array
    scores: Array


class Record(NamedTuple):
    """What is measured of a drawn data set and of its partitions."""

    summary: Summary
    partitions: Partitions


# ---- one data set


class Prepared(NamedTuple):
    """A data set as a fit sees it."""

    coords: Coordinates
    criterion: Criterion
    #: Classes of the scored samples.
    y: Array


def prepare(
    data: DataSet,
    n_clusters: int | str,
    has_features: bool,
    stream: RandomState,
    sizes: StepSizes = ALL,
) -> Prepared:
    """Return a data set as it comes through the preparation of every fit."""
    door = Preparation(learns_kinds=has_features)
    prepared = preparation.prepare(data.X, door)
    settings = GraphSettings(n_neighbors=15, groups=prepared.groups)
    if not has_features:
        augment = CHANGES.get(data.kind, Tensor.clone)
        n_views = N_VIEWS if data.kind in CHANGES else 0
        settings = settings._replace(augment=augment, n_views=n_views)

    samples = connect(prepared.points, n_clusters, settings, stream)
    coords = make_coordinates(samples, settings, stream, sizes)
    criterion = Criterion(coords, samples.n_features)
    # Equal samples, which may be of several classes, are scored as often as they occur.
    order = np.argsort(samples.inverse, kind="stable")
    first = np.searchsorted(samples.inverse[order], coords.scored)
    copy = np.arange(len(first)) - np.searchsorted(coords.scored, coords.scored)
    return Prepared(coords, criterion, data.y[order[first + copy]])


def choose_sizes(data: DataSet, seed: int) -> StepSizes:
    """Return the numbers of samples in the slower steps: few in every second draw."""
    return FEW if seed % 2 and len(data.y) > 2 * FEW.merged else ALL


def measure_partitions(kind: str, seed: int, has_features: bool) -> Record:
    """Measure a drawn data set and many of its partitions.

    Partitions are the ensembles of most numbers of clusters, all candidates with the right
    number, and others.
    """
    data = draw(kind, seed)
    stream = RandomState(seed)
    k = data.n_clusters
    number = k if k > 1 else "auto"
    sizes = choose_sizes(data, seed)
    coords, criterion, y = prepare(data, number, has_features, stream, sizes)

    parts = []
    for tried in list_tried(criterion, k, stream):
        labels = criterion.find_ensemble(tried).labels
        parts.append(compare(criterion, tried, labels, y))

    if k > 1:
        methods, found = zip(*find_candidates(coords, k, stream), strict=True)
        labels = np.array(found)[:, criterion.positions]
        parts.append(compare(criterion, k, labels, y, methods))

    # Changes are those of all ensembles so far, also of those that cuts are compared with.
    for find_others in (cut_trees, change_members):
        for other in list(find_others(criterion, stream)):
            parts.append(compare(criterion, len(set(other)), other[None], y))

    partitions = Partitions(*map(np.concatenate, zip(*parts, strict=True)))
    return Record(summarize(data, criterion), partitions)


def measure_one(kind: str, seed: int, has_features: bool) -> Summary:
    """Measure a drawn data set without its partitions."""
    data = draw(kind, seed)
    stream = RandomState(seed)
    sizes = choose_sizes(data, seed)
    criterion = prepare(data, "auto", has_features, stream, sizes).criterion
    return summarize(data, criterion)


def summarize(data: DataSet, criterion: Criterion) -> Summary:
    """Return the summary of a data set."""
    return Summary(
        kind=data.kind,
        n_clusters=data.n_clusters,
        data=criterion.measured.data,
        features=criterion.list_one_features(),
        space="features" if criterion.coords.has_features else "embedding",
        names=NAMES,
    )


# ---- partitions


def list_tried(criterion: Criterion, n_clusters: int, stream: RandomState) -> list[int]:
    """Return some of the numbers of clusters that "auto" tries, with the right one."""
    tried = {k for k in NUMBERS if stream.uniform() < TRIED}
    return sorted(k for k in tried | {n_clusters} if 1 < k <= criterion.max_clusters)


def cut_trees(criterion: Criterion, stream: RandomState) -> Iterator[Array]:
    """Yield the labels (M,) of cuts of trees that are no candidates."""
    most = min(MAX_CUT, criterion.max_clusters - 1)
    for method in ("single", "complete", "average"):
        tree = linkage(criterion.coords.wide, method)
        for n_clusters in stream.randint(2, most + 1, size=N_OTHERS):
            labels = fcluster(tree, n_clusters, "maxclust") - 1
            if labels.any():
                yield labels


def change_members(criterion: Criterion, stream: RandomState) -> Iterator[Array]:
    """Yield the labels (M,) of members of ensembles that are changed at random."""
    ensembles = list(criterion.ensembles.values())
    for _ in range(3 * N_OTHERS):
        ensemble = ensembles[stream.randint(len(ensembles))]
        labels = ensemble.labels[stream.randint(len(ensemble.labels))].copy()
        is_moved = stream.uniform(size=len(labels)) < stream.uniform(0, MAX_MOVED)
        labels[is_moved] = stream.permutation(labels[is_moved])
        labels = np.unique(labels, return_inverse=True)[1]
        if labels.any():
            yield labels


def compare(
    criterion: Criterion,
    n_clusters: int,
    labels: Array,
    y: Array,
    methods: Sequence[str] | None = None,
) -> Partitions:
    """Return the features and scores of partitions (C, M) with the same number of clusters."""
    features = criterion.find_ensemble(n_clusters).compare(labels)
    scores = [adjusted_rand_score(y, each) for each in labels]
    names = methods or [""] * len(labels)
    return Partitions(
        n_clusters=np.full(len(labels), n_clusters),
        methods=np.array(names, dtype="U20"),
        features=features,
        scores=np.array(scores),
    )


# ---- all data sets of a seed


def measure_seed(
    seed: int, folder: Path, measure: Measure[T], weights: Mapping[str, int]
) -> list[T]:
    """Return what is measured of all kinds for a seed, from the folder if it is there."""
    path = folder / f"{measure.__name__} {seed}.pkl"
    if path.exists():
        known: list[T] = pickle.loads(path.read_bytes())
        return known

    with threadpool_limits(1), warnings.catch_warnings(action="ignore"):
        records = [measure(*each) for each in list_draws(seed, weights)]
    path.write_bytes(pickle.dumps(records))
    print(f"seed {seed}: {len(records)} data sets", flush=True)
    return records


def list_draws(seed: int, weights: Mapping[str, int]) -> list[tuple[str, int, bool]]:
    """Return kinds, seeds, and whether the features are used."""
    draws = [
        (kind, 1000 * i + seed) for kind in KINDS for i in range(weights.get(kind, 1))
    ]
    # Augmented views and distances are scored by the graph and its embeddings alone.
    without = [
        (kind, number, False)
        for kind, number in draws
        if kind not in TABLES and (number == seed or kind in VIEWED)
    ]
    return [(*each, True) for each in draws] + without
