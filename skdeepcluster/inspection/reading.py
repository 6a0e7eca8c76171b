"""What a report reads in a fitted clusterer: clusters, probabilities, codes, names."""

from collections.abc import Mapping
from copy import copy

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch, check_array, check_consistent_length
from sklearn.utils.validation import check_is_fitted

from ..display.base import take_last_step
from ..display.embedding import find_samples
from ..estimators.ensemble import ClusterEnsemble
from ..estimators.neighbor_clustering import NeighborClustering
from ..input.labels import predict_samples
from ..neighbors.search import has_distances
from ..partition.selection import describe_changes
from .features import (
    average_known,
    count_categories,
    list_features,
    name_columns,
    read_values,
)


def predict_clusters(estimator, X):
    """Return cluster positions (N,), -1 for noise, probabilities (N, K) or None, and K."""
    check_is_fitted(estimator)
    labels = predict_samples(estimator, X)
    if is_classifier(estimator):
        labels = np.searchsorted(estimator.classes_, labels)
    labels = np.maximum(labels, -1)

    if hasattr(estimator, "predict_proba"):
        resp = np.asarray(estimator.predict_proba(X), dtype=np.float64)
        return labels, resp, resp.shape[1]

    centers = getattr(estimator, "cluster_centers_", ())
    n_clusters = max(labels.max() + 1, len(centers))
    if not n_clusters:
        kind = type(estimator).__name__
        raise ValueError(f"{kind} finds no cluster: all samples are noise.")
    return labels, None, n_clusters


def prepare_samples(estimator, X, clusters, options):
    """Return what all partitions of samples X share, such as codes and names of features."""
    check_consistent_length(X, options.row_names)
    table = count_categories(X)
    values = read_values(table)
    names = options.row_names

    samples = None
    missing = None
    metric = "euclidean"
    # Distances have no features.
    if not has_distances(estimator):
        samples, metric = find_samples(estimator, X, None)
        missing = _share_missing(values)
    codes = samples
    if samples is None or metric != "euclidean":
        codes = _find_codes(estimator, X, values, clusters[1])

    return Bunch(
        table=values,
        codes=codes,
        samples=codes if samples is None else samples,
        metric=metric,
        columns=name_columns(table, options.feature_names, estimator),
        row_names=None if names is None else np.asarray(names),
        missing=missing,
    )


def _find_codes(estimator, X, values, resp):
    """Return codes, or comparable samples, between which distances are measured."""
    # KMeans has no probabilities, and its transform returns distances.
    if resp is not None and hasattr(estimator, "transform"):
        X = estimator.transform(X)
    elif resp is not None and not sparse.issparse(X):
        X = np.nan_to_num(StandardScaler().fit_transform(values))
    return check_array(X, accept_sparse="csr", dtype=np.float64)


def _share_missing(X):
    """Return the share of missing values of each feature, (D,)."""
    if sparse.issparse(X):
        return np.zeros(X.shape[1])
    return np.isnan(X).mean(0)


def describe_features(samples, member, n_features):
    """Return features and their means in each cluster; none of distances."""
    if samples.missing is None:
        return {"features": [], "means": None}
    return {
        "features": list_features(samples.table, member, samples.columns, n_features),
        "means": average_known(member, samples.table),
    }


def choose_names(estimator, names, n_clusters):
    """Return the given names of clusters (K,), else the names of its classes, or numbers."""
    known = getattr(estimator, "classes_", ())
    known = np.array([*known, *range(len(known), n_clusters)])
    if names is None:
        return known

    if isinstance(names, Mapping):
        names = [names.get(name, name) for name in known.tolist()]
    names = np.asarray(names, dtype=object)
    if names.shape != (n_clusters,) or len(set(names)) < n_clusters:
        raise ValueError(
            f"names must be {n_clusters} different names, one for each cluster, got {list(names)}."
        )
    return names


def list_answers(estimator, clusters):
    """Return the expected score of a fit, and its other partitions in words."""
    if not isinstance(estimator, NeighborClustering):
        return {"expected_score": None, "alternatives": []}
    answers = []
    for answer in estimator.alternatives_:
        changes = describe_changes(estimator.labels_, answer.labels, clusters)
        score = f"expected score {answer.expected_score:.2f}"
        answers.append(f"{answer.n_clusters} clusters ({score}): {changes}")
    return {"expected_score": estimator.expected_score_, "alternatives": answers}


def read_stability(estimator):
    """Return the stability of each cluster of an ensemble, else None."""
    return (
        estimator.cluster_stability_ if isinstance(estimator, ClusterEnsemble) else None
    )


def list_alternatives(estimator):
    """Return copies of a fitted estimator or Pipeline that have its other partitions."""
    last, _ = take_last_step(estimator)
    if not isinstance(last, NeighborClustering):
        return []
    return [_use(estimator, answer) for answer in last.alternatives_]


def _use(estimator, alternative):
    """Return a copy of a fitted estimator or Pipeline that has another partition."""
    other = copy(estimator)
    if isinstance(estimator, Pipeline):
        *steps, (name, last) = estimator.steps
        other.steps = [*steps, (name, _use(last, alternative))]
        return other
    return other.use(alternative)
