"""What a report reads in a fitted clusterer: clusters, probabilities, codes, names."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_consistent_length

from ..display.base import reach_last_step, transform_samples
from ..input.columns import to_pandas
from ..input.labels import predict_samples
from ..neighbor_clustering import NeighborClustering
from ..neighbors.search import has_distances
from ..partition.selection import describe_changes
from .features import count_categories, name_columns, read_values


def predict_clusters(estimator, X):
    """Return cluster positions (N,), -1 for noise, probabilities (N, K) or None, and K."""
    labels = predict_samples(estimator, X)
    if is_classifier(estimator):
        labels = np.searchsorted(estimator.classes_, labels)
    # Labels below -1 are noise of HDBSCAN.
    labels = np.maximum(labels, -1)

    if hasattr(estimator, "predict_proba"):
        resp = np.asarray(estimator.predict_proba(X), dtype=np.float64)
        return labels, resp, resp.shape[1]

    n_clusters = labels.max() + 1
    if not n_clusters:
        kind = type(estimator).__name__
        raise ValueError(f"{kind} finds no cluster: all samples are noise.")
    return labels, None, n_clusters


def prepare_samples(estimator, X, resp, feature_names, row_names):
    """Return values and codes of samples X, and the attributes that all partitions share."""
    check_consistent_length(X, row_names)
    last, reached = reach_last_step(estimator, X)
    preparation = vars(last).get("preparation_")
    # A Pipeline has changed the columns.
    kinds = preparation.kinds_ if preparation and last is estimator else {}
    left_out = [i for i, kind in enumerate(kinds.values()) if kind == "out"]
    table, origins = count_categories(X, left_out)
    values = read_values(table)

    samples = missing = None
    metric = "euclidean"
    is_told = preparation and (preparation.is_table or hasattr(X, "columns"))
    if not has_distances(estimator):
        missing = np.zeros(values.shape[1])
        if not sparse.issparse(values):
            missing = np.isnan(values).mean(0)
        if isinstance(last, NeighborClustering):
            samples = last.preparation_.read(reached)
            metric = last.metric

    codes = samples
    if samples is None or metric != "euclidean":
        # KMeans has no probabilities, and its transform returns distances.
        codes = reached if resp is None else _encode(last, reached, values)
        codes = check_array(codes, accept_sparse="csr", dtype=np.float64)

    if row_names is None:
        row_names = _find_row_names(X, left_out)
    names = name_columns(table, feature_names, estimator)
    attributes = {
        "kinds": preparation.describe() if is_told else "",
        "feature_names": names,
        "origins": dict(zip(names.tolist(), origins, strict=True)),
        "metric": metric,
        "missing": missing,
        "row_names": None if row_names is None else np.asarray(row_names),
        "samples": codes if samples is None else samples,
        "table": np.asarray(X) if isinstance(X, list | tuple) else X,
    }
    return values, codes, attributes


def choose_names(estimator, names, n_clusters):
    """Return the given names of clusters (K,), else the names of its classes, or numbers."""
    known = getattr(estimator, "classes_", ())
    known = np.array([*known, *range(len(known), n_clusters)])
    if names is None:
        return known

    if isinstance(names, Mapping):
        names = [names.get(name, name) for name in known.tolist()]
    # Subclasses of str may say that they are HTML.
    names = [str(name) if isinstance(name, str) else name for name in names]
    names = np.asarray(names, dtype=object)
    if names.shape != (n_clusters,) or len(set(names)) < n_clusters:
        raise ValueError(
            f"names must be {n_clusters} different names, one for each cluster, got {list(names)}."
        )
    return names


def list_answers(estimator, clusters):
    """Return the other partitions of a fit in words."""
    answers = []
    for answer in getattr(estimator, "alternatives_", ()):
        changes = describe_changes(estimator.labels_, answer.labels, clusters)
        score = f"expected score {answer.expected_score:.2f}"
        answers.append(f"{answer.n_clusters} clusters ({score}): {changes}")
    return answers


def _encode(estimator, X, values):
    """Return the codes of X, the standardized values for a clusterer without codes."""
    codes = transform_samples(estimator, X)
    if codes is X and not sparse.issparse(values):
        return np.nan_to_num(StandardScaler().fit_transform(values))
    return codes


def _find_row_names(X, places):
    """Return the first of some columns of a table with texts that all differ, or None."""
    X = to_pandas(X)
    columns = [X.iloc[:, i] for i in places] if hasattr(X, "iloc") else []
    named = (own for own in columns if own.dtype.kind == "O" and own.is_unique)
    return next(named, None)
