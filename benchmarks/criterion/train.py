"""Fit the trees that score partitions and the calibration of probabilities, and write them.

C partitions, F features.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import RandomState
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from skdeepcluster.metrics import match_labels
from skdeepcluster.partition import selection
from skdeepcluster.partition.criterion import features as described
from skdeepcluster.partition.criterion import learned

from .draw import KINDS, draw
from .draw_common import Array
from .measure import Partitions, Record, Summary, prepare

#: Settings of the boosted trees.
BOOSTING: dict[str, Any] = {
    "learning_rate": 0.06,
    "l2_regularization": 5.0,
    "early_stopping": False,
    "random_state": 0,
}
LARGE = {"max_leaf_nodes": 16, "min_samples_leaf": 40, "max_features": 0.15}
SIZES: dict[str, dict[str, Any]] = {
    "features": {"max_iter": 1000, **LARGE},
    "embedding": {"max_iter": 300, **LARGE},
    "one": {
        "max_iter": 100,
        "max_leaf_nodes": 6,
        "min_samples_leaf": 20,
        "max_features": 0.3,
    },
}
#: Start of the names of features that trees without features leave out: a graph of real views
#: has other cuts than one of drawn views.
LEFT_OUT = "cut", "modularity", "conductance", "weakest pair"
#: Share of data sets that are one cluster where this is asked.
ONE_SHARE = 0.25
#: Number of parts of the drawn sets, each scored by trees that have not seen it.
FOLDS = 2
#: Offset of the seeds of the data sets on which probabilities are calibrated.
FRESH = 100_000


@dataclass
class Forest:
    """Boosted trees and the names (F,) of their features."""

    trees: Any
    names: list[str]

    def predict(self, features: Array) -> Array:
        """Return the predictions (C,) for features (C, F)."""
        predictions: Array = self.trees.predict(features)
        return predictions


#: Trees by what they score.
Forests = dict[str, Forest]


# ---- scores of partitions


def fit_scores(records: Sequence[Record]) -> Forests:
    """Return the trees that score the partitions of the records, and those that compare them."""
    forests = {}
    for space in ("features", "embedding"):
        own = [record for record in records if record.summary.space == space]
        names = find_names([record.summary for record in own])
        parts = [record.partitions for record in own]
        weights = [weight_partitions(record) for record in own]
        targets = [part.scores for part in parts]
        forests[f"score, {space}"] = fit_trees(space, names, parts, targets, weights)

        found = [find_excess(*pair) for pair in zip(own, weights, strict=True)]
        excess = [each for each, _ in found]
        weights = [weight for _, weight in found]
        forests[f"choice, {space}"] = fit_trees(space, names, parts, excess, weights)
    return forests


def fit_trees(
    space: str,
    names: list[str],
    parts: Sequence[Partitions],
    targets: Sequence[Array],
    weights: Sequence[Array],
) -> Forest:
    """Return trees that predict targets (C,) of the partitions of each data set."""
    features = np.concatenate([part.features for part in parts])
    if space == "embedding":
        features[:, [name.startswith(LEFT_OUT) for name in names]] = 0
    weight = np.concatenate(weights)
    target = np.concatenate(targets)
    has_weight = weight > 0

    trees = HistGradientBoostingRegressor(**BOOSTING, **SIZES[space])
    trees.fit(
        features[has_weight], target[has_weight], sample_weight=weight[has_weight]
    )
    return Forest(trees, names)


def find_excess(record: Record, weights: Array) -> tuple[Array, Array]:
    """Return the scores (C,) less their mean, and the weights (C,) of a data set.

    Only partitions with the right number of clusters are compared.
    """
    scores = record.partitions.scores
    is_right = record.partitions.n_clusters == record.summary.n_clusters
    if record.summary.n_clusters == 1 or not is_right.any():
        return scores, np.zeros_like(weights)
    return scores - scores[is_right].mean(), weights * is_right


def weight_partitions(record: Record) -> Array:
    """Return the weights (C,) of the partitions of a data set.

    A data set counts by how much its partitions differ, however many they are: half by those with
    the right number of clusters. One with a single cluster counts as much as most.
    """
    scores = record.partitions.scores
    weights = np.full(len(scores), 1 / len(scores))
    is_right = record.partitions.n_clusters == record.summary.n_clusters
    if not is_right.any():
        return weights * 0.5

    weights = (weights + is_right / is_right.sum()) / 2
    return weights * (np.ptp(scores[is_right]) / 2 + np.ptp(scores) / 2 + 0.02)


def find_names(summaries: Sequence[Summary]) -> list[str]:
    """Return the names of the features of partitions, which all data sets must share."""
    names = summaries[0].names
    for summary in summaries:
        if summary.names != names:
            others = sorted({*names} ^ {*summary.names})
            raise ValueError(
                f"Data sets have different features, or another order of them: {others}. "
                "Some were measured by other code. Delete the folder that holds them, "
                "by default build/criterion."
            )
    return names


def fit_folds(records: Sequence[Record]) -> list[Forests]:
    """Return the trees for each fold of the records, fitted to all others."""
    forests = []
    for fold in range(FOLDS):
        others = [record for i, record in enumerate(records) if i % FOLDS != fold]
        forests.append(fit_scores(others))
    return forests


# ---- one cluster or several


def fit_one(summaries: Sequence[Summary], folds: Sequence[Forests]) -> Forest:
    """Return the trees of the probability of one cluster, by scores out of fold."""
    rows = [
        describe_one(summary, folds[i % FOLDS][f"score, {summary.space}"])
        for i, summary in enumerate(summaries)
    ]
    features = np.array(rows)
    is_one = np.array([summary.n_clusters == 1 for summary in summaries])
    share = is_one.mean()
    weights = np.where(is_one, ONE_SHARE / share, (1 - ONE_SHARE) / (1 - share))

    trees = HistGradientBoostingClassifier(**BOOSTING, **SIZES["one"])
    trees.fit(features, is_one, sample_weight=weights)
    return Forest(trees, described.ONE_NAMES)


def describe_one(summary: Summary, forest: Forest) -> Array:
    """Return the features that tell whether a data set is one cluster."""
    scores = {
        k: forest.predict(rows).clip(0, 1) for k, rows in summary.features.items()
    }
    found: Array = described.describe_one(summary.data, summary.features, scores)
    return found


# ---- probabilities


#: Coefficients with which the probability is the share of votes.
UNCALIBRATED = np.array([1.0, 0, 0, 0])


def calibrate(seeds: Sequence[int]) -> Array:
    """Return coefficients fitted to the right labels of data sets that no tree has seen."""
    kinds = [kind for kind in KINDS if not kind.startswith("one_")]
    with threadpool_limits(1), warnings.catch_warnings(action="ignore"):
        parts = [
            describe_labels(kind, FRESH + seed) for seed in seeds for kind in kinds
        ]

    rows = [inputs for inputs, _ in parts]
    is_right = np.concatenate([right for _, right in parts])
    weights = np.concatenate([np.full(len(row), 1 / len(row)) for row in rows])
    regression = LogisticRegression(fit_intercept=False, C=1e3)
    regression.fit(np.concatenate(rows), is_right, sample_weight=weights)
    coefficients: Array = regression.coef_[0].round(6)
    return coefficients


def describe_labels(kind: str, seed: int) -> tuple[Array, Array]:
    """Return the inputs of the calibration for the samples of a drawn set, and which are right."""
    data = draw(kind, seed)
    stream = RandomState(seed)
    n_clusters = data.n_clusters
    coords, criterion, y = prepare(data, n_clusters, True, stream)
    winner = next(selection.vote(coords, criterion, n_clusters, stream))
    scored = coords.scored
    is_right = match_labels(y, winner[0][scored]) == y
    return learned.describe_labels(*winner)[scored], is_right


# ---- the file


def write(
    forests: Mapping[str, Forest], coefficients: Array, provenance: Mapping[str, Any]
) -> None:
    """Write what was learned into the package, with reference values and the provenance."""
    trees = {
        purpose: learned.Trees(**flatten(forest.trees))
        for purpose, forest in forests.items()
    }
    arrays: dict[str, Any] = {"calibration": coefficients}
    for purpose, own in trees.items():
        arrays |= {f"{purpose} {name}": nodes for name, nodes in own._asdict().items()}
    for purpose, names in learned.INPUTS.items():
        arrays[f"{purpose} names"] = np.array(names)
    arrays["reference"] = learned.compute_reference()
    arrays["provenance"] = np.array(json.dumps(provenance))

    np.savez_compressed(learned.FILE, **arrays)
    learned.load_criterion.cache_clear()


def flatten(trees: Any) -> dict[str, Array]:
    """Return the nodes of all trees as the arrays that the package reads."""
    # scikit-learn has no public access to these nodes.
    parts = [predictor.nodes for (predictor,) in trees._predictors]
    starts = np.cumsum([0, *map(len, parts)])
    nodes = np.concatenate(parts)
    places = np.concatenate([np.arange(len(part)) for part in parts])
    is_leaf = nodes["is_leaf"].astype(bool)

    def keep(condition: Array, values: Array, dtype: type) -> Array:
        return np.where(condition, values, 0).astype(dtype)

    return {
        "roots": starts[:-1].astype(np.uint16),
        "feature": keep(~is_leaf, nodes["feature_idx"], np.uint16),
        "threshold": keep(~is_leaf, nodes["num_threshold"], np.float32),
        "left": keep(~is_leaf, nodes["left"] - places, np.uint16),
        "right": keep(~is_leaf, nodes["right"] - places, np.uint16),
        "value": keep(is_leaf, nodes["value"], np.float32),
        "base": np.array(trees._baseline_prediction.item()),
        "depth": np.array(nodes["depth"].max(), dtype=np.int64),
    }
