"""What was learned, read from ``criterion.npz``: regression trees and the calibration.

The file also holds reference values: the features of partitions of a small data set. Loading it
computes them again. A formula that has changed under an old name would give the trees other
numbers than those they were trained on.

N samples, C partitions, F features, T nodes, K clusters.
"""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from ...input.labels import normalize_rows
from ...neighbors.graph import link_neighbors
from ...neighbors.search import NeighborIndex
from ..coordinates import Coordinates
from ..table import MixedColumns
from .constants import COMPARED
from .features import NAMES, ONE_NAMES, Ensemble
from .measurements import Whole, measure_samples

#: Inputs of the logistic regression.
CALIBRATION_NAMES = ["votes", "stability", "expected score", "constant"]
#: Minimum lead of the largest responsibility over the others, as a share of them.
LEAD = 1e-6
#: The file, which ``benchmarks/criterion`` writes.
FILE = Path(__file__).with_name("criterion.npz")
#: Names of the inputs by purpose: scores of partitions and the choice among candidates, each by
#: features or without them, one cluster, and the calibration of probabilities.
INPUTS = {
    "score, features": NAMES,
    "score, embedding": NAMES,
    "choice, features": NAMES,
    "choice, embedding": NAMES,
    "one": ONE_NAMES,
    "calibration": CALIBRATION_NAMES,
}
#: Seed with which no two values of a feature nearly tie.
SEED = 26
#: Number of samples, in clusters of equal size.
REFERENCE_SAMPLES = 60
REFERENCE_CLUSTERS = 3
#: Shares of the labels that each partition changes at random.
CHANGED = 0.05, 0.15, 0.3, 0.5
#: Maximum difference, relative or absolute, from processor to processor.
REFERENCE_TOLERANCE = 1e-3


class Trees(NamedTuple):
    """Regression trees, whose sum is a score. Their nodes are numbered together."""

    #: Positions of the roots.
    roots: np.ndarray
    #: Position (T,) of the feature that is compared with the threshold (T,).
    feature: np.ndarray
    threshold: np.ndarray
    #: Steps (T,) to the children, 0 at a leaf.
    left: np.ndarray
    right: np.ndarray
    #: Values (T,) of leaves.
    value: np.ndarray
    #: Score without trees.
    base: np.ndarray
    #: Maximum number of comparisons.
    depth: np.ndarray

    def predict(self, features):
        """Return the sums (C,) of the trees for features (C, F)."""
        rows = np.arange(len(features))[:, None]
        nodes = np.tile(self.roots, (len(features), 1))
        for _ in range(self.depth):
            goes_left = features[rows, self.feature[nodes]] <= self.threshold[nodes]
            nodes = nodes + np.where(goes_left, self.left[nodes], self.right[nodes])
        return self.base + self.value[nodes].sum(1, dtype=np.float64)


class Learned(NamedTuple):
    """What was learned, and from what."""

    #: :class:`Trees` by purpose, see INPUTS.
    trees: dict
    #: Coefficients (4,) of CALIBRATION_NAMES.
    calibration: np.ndarray
    #: Data sets, seeds and versions of libraries of the training.
    provenance: dict


@cache
def load_criterion():
    """Return what was :class:`Learned`, checked against the formulas of the code."""
    with np.load(FILE) as archive:
        arrays = dict(archive)
    for purpose, names in INPUTS.items():
        _check_names(purpose, arrays[f"{purpose} names"].tolist(), names)

    trees = {}
    for purpose in INPUTS.keys() - {"calibration"}:
        nodes = [arrays[f"{purpose} {name}"] for name in Trees._fields]
        trees[purpose] = Trees(*nodes)
    check_reference(arrays["reference"])
    provenance = json.loads(arrays["provenance"].item())
    return Learned(trees, arrays["calibration"], provenance)


def _check_names(purpose, known, names):
    """Raise an error unless the file knows these inputs of the trees or of the calibration."""
    if known != names:
        others = sorted({*known} ^ {*names}) or "their order"
        raise RuntimeError(
            f"criterion.npz has other inputs of {purpose!r} than the code: {others}. "
            "Reinstall skdeepcluster, or run python -m benchmarks.criterion."
        )


# ---- reference values


def draw_ensemble():
    """Return an :class:`~.features.Ensemble` of fixed partitions of fixed samples."""
    stream = np.random.RandomState(SEED)
    y = np.arange(REFERENCE_SAMPLES) % REFERENCE_CLUSTERS
    centers = 4 * np.eye(3)[y]
    points, *embeddings = centers + stream.normal(size=(3, REFERENCE_SAMPLES, 3))
    coords = Coordinates(
        wide=points,
        narrow=points[:, :2],
        embeddings=embeddings,
        graph=None,
        weights=np.ones(REFERENCE_SAMPLES),
        order=np.arange(REFERENCE_SAMPLES),
        has_features=True,
        table=_draw_table(stream, y),
    )
    graph = link_neighbors(*NeighborIndex(points).query(5))
    whole = Whole(graph, np.arange(REFERENCE_SAMPLES))
    measured = measure_samples(coords, whole, 3)

    candidates = []
    for method, share in zip(COMPARED, CHANGED, strict=False):
        is_changed = stream.uniform(size=REFERENCE_SAMPLES) < share
        others = stream.randint(REFERENCE_CLUSTERS, size=REFERENCE_SAMPLES)
        candidates.append((method, np.where(is_changed, others, y)))
    return Ensemble(measured, candidates, REFERENCE_CLUSTERS)


def _draw_table(stream, y):
    """Return :class:`~skdeepcluster.partition.table.MixedColumns`: two numbers and a category."""
    numbers = np.eye(3)[y, :2] + stream.normal(size=(REFERENCE_SAMPLES, 2))
    is_other = stream.uniform(size=REFERENCE_SAMPLES) < 0.3
    levels = np.eye(3)[(y + is_other) % 3]
    return MixedColumns(
        columns=np.hstack([numbers, levels]),
        n_numbers=2,
        groups=[[2, 3, 4]],
        owners=np.array([0, 1, 2, 2, 2]),
    )


def compute_reference():
    """Return the features (R, F) of the partitions."""
    return draw_ensemble().features


def check_reference(known):
    """Raise an error if the features differ from the ``known`` ones of the file."""
    found = compute_reference()
    is_equal = np.isclose(found, known, REFERENCE_TOLERANCE, REFERENCE_TOLERANCE).all(0)
    changed = {NAMES[i].partition(", ")[0] for i in np.flatnonzero(~is_equal)}
    if changed:
        raise RuntimeError(
            f"The formulas of {sorted(changed)} differ from those that criterion.npz was "
            "trained with. Reinstall skdeepcluster, or train the criterion again: "
            "python -m benchmarks.criterion."
        )


# ---- probabilities of labels, calibrated on generated data sets


def calibrate(labels, stability, partition, coefficients):
    """Return a partition whose highest responsibilities are probabilities of right labels.

    The first arguments are what :func:`~skdeepcluster.partition.selection.vote` yields, and
    ``coefficients`` (4,) belong to CALIBRATION_NAMES.
    """
    n_clusters = partition.n_clusters
    inputs = describe_labels(labels, stability, partition)
    probability = expit(inputs @ coefficients)[:, None]
    probability = probability.clip((1 + LEAD) / n_clusters)

    is_other = np.arange(n_clusters) != labels[:, None]
    shares = partition.responsibilities
    others = normalize_rows(np.where(is_other, shares + 1e-3, 0))
    # Mix the others with equal shares where one of them would be as probable as the label.
    mean = 1 / (n_clusters - 1)
    ceiling = probability / (1 + LEAD)
    ceiling = ceiling / (1 - probability).clip(1e-12)

    excess = (others.max(1, keepdims=True) - mean).clip(1e-12)
    kept = ((ceiling - mean) / excess).clip(0, 1)
    rest = (1 - probability) * (mean + kept * (others - mean))
    resp = np.where(is_other, rest, probability)
    return partition._replace(responsibilities=resp)


def describe_labels(labels, stability, partition):
    """Return the inputs (N, 4) of the calibration, see CALIBRATION_NAMES."""
    ones = np.ones(len(labels))
    votes = np.take_along_axis(partition.responsibilities, labels[:, None], axis=1)
    shares = [votes[:, 0], stability[labels], partition.expected_score * ones]
    logits = logit(np.clip(shares, 0.01, 0.99))
    return np.column_stack([*logits, ones])
