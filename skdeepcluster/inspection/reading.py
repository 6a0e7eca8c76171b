"""What is read in samples and in fits: values, names, clusters, codes."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_consistent_length

from ..display.base import name_features, reach_last_step, transform_samples
from ..input.cells import CellReader
from ..input.columns import MANY_VALUES, ONE_HOT, read_types, to_pandas
from ..input.labels import check_labels, predict_samples
from ..input.preparation import Preparation
from ..neighbor_clustering import NeighborClustering
from ..neighbors.search import has_distances

#: Maximum number of characters of a text in a table, and of a category.
MAX_TEXT = 80


# ---- samples


def read_labeled(X, labels):
    """Return X as `read_values` does, and the labels, checked."""
    X = read_values(X)
    return X, check_labels("labels", labels, X.shape[0])


def read_values(X):
    """Return X as float64, checked, dense with nan for missing values or CSR."""
    finite = True if sparse.issparse(X) else "allow-nan"
    return check_array(
        X, accept_sparse="csr", dtype=np.float64, ensure_all_finite=finite
    )


def read_column_kinds(X):
    """Return the kinds of the columns of a DataFrame as fits read them, none of others."""
    if not hasattr(X, "columns"):
        return []
    preparation = Preparation()
    preparation.fit_encode(X)
    return list(preparation.kinds_.values())


def count_categories(X, kinds):
    """Return a pandas DataFrame with zeros and ones for each category, and dates as days.

    Also return the column that each new one comes from, whether it is a category's, and the first
    day of dates or None. ``kinds`` are those of the columns. Numbers stay numbers if they are
    zeros and ones, and texts that are numbers are numbers. Texts with many values that are left
    out are identifiers, and dropped. Others than DataFrames stay as they are.
    """
    X = to_pandas(X)
    types = {}
    starts = {}
    if hasattr(X, "iloc"):
        cells = CellReader()
        X = cells.fit_read(X, {})
        types = {i: "category" for i, kind in enumerate(kinds) if kind in ONE_HOT}
        types = {i: kind for i, kind in types.items() if not _is_share(X.iloc[:, i])}
        types |= read_types(X)
        X = X.rename(columns={X.columns[i]: cells.describe(i) for i in cells.dates_})
        starts = {i: cells.find_start(i) for i in cells.dates_}
    if not types:
        return X, [(i, False, starts.get(i)) for i in range(np.shape(X)[1])]

    import pandas as pd

    columns = []
    origins = []
    for i, (name, column) in enumerate(X.items()):
        kind = types.get(i, "number")
        if kind == "number":
            columns.append(column.astype(float))
            # The mean of zeros and ones is a share, too.
            origins.append((i, _is_share(column), starts.get(i)))
        if kind in ("number", "out"):
            continue
        if kinds[i] == "out" and column.nunique() > MANY_VALUES:
            continue

        texts = column.astype(object).map(shorten, na_action="ignore")
        shares = pd.get_dummies(texts, name, " = ", dtype=float)
        if column.dtype.kind == "b":
            # The share of False says nothing more.
            shares = shares.filter([f"{name} = True"])
        shares[column.isna()] = np.nan
        columns.append(shares)
        origins += [(i, True, None)] * shares.shape[1]
    return pd.concat(columns, axis=1), origins


def _is_share(column):
    """Return whether the mean of a column is a share, because it has zeros and ones."""
    return column.dropna().isin([0, 1]).all()


def shorten(value):
    """Return a value as a text of at most `MAX_TEXT` characters."""
    text = str(value)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def name_columns(X, names, estimator=None):
    """Return the given names (D,), the names in X or in the fit, or "x0", "x1" etc."""
    n_features = np.shape(X)[1]
    names = name_features(n_features, names, X, estimator)
    return np.array(names or [f"x{i}" for i in range(n_features)])


# ---- fits


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


def describe_samples(estimator, X, resp, feature_names, row_names):
    """Return values and codes of samples X, and the attributes that all partitions share."""
    check_consistent_length(X, row_names)
    last, reached = reach_last_step(estimator, X)
    preparation = getattr(last, "preparation_", None)
    if preparation is not None and last is estimator:
        kinds = list(preparation.kinds_.values())
    else:
        kinds = read_column_kinds(X)  # a Pipeline has changed the columns
    table, origins = count_categories(X, kinds)
    values = read_values(table)

    samples, metric, codes = _find_codes(last, reached, values, resp)
    missing = None
    if not has_distances(estimator):
        is_sparse = sparse.issparse(values)
        missing = np.zeros(values.shape[1]) if is_sparse else np.isnan(values).mean(0)

    if row_names is None:
        left_out = [i for i, kind in enumerate(kinds) if kind == "out"]
        row_names = _find_row_names(X, left_out)
    names = name_columns(table, feature_names, estimator)
    attributes = {
        "kinds": "" if preparation is None else preparation.describe(),
        "feature_names": names,
        "origins": dict(zip(names.tolist(), origins, strict=True)),
        "metric": metric,
        "missing": missing,
        "row_names": None if row_names is None else np.asarray(row_names),
        "samples": samples,
        "table": np.asarray(X) if isinstance(X, list | tuple) else X,
    }
    return values, codes, attributes


def _find_codes(estimator, X, values, resp):
    """Return samples as a clusterer compares them, their metric, and their codes."""
    samples = None
    metric = "euclidean"
    if isinstance(estimator, NeighborClustering) and not has_distances(estimator):
        samples = check_array(estimator._read(X), accept_sparse="csr")
        metric = estimator.metric
        if metric == "euclidean":
            return samples, metric, samples

    # KMeans has no probabilities, and its transform returns distances.
    codes = X
    if resp is not None:
        codes = transform_samples(estimator, X)
        if codes is X and not sparse.issparse(values):
            codes = np.nan_to_num(StandardScaler().fit_transform(values))
    codes = check_array(codes, accept_sparse="csr", dtype=np.float64)
    return codes if samples is None else samples, metric, codes


def _find_row_names(X, places):
    """Return the first of some columns of a table with texts that all differ, or None."""
    X = to_pandas(X)
    columns = [X.iloc[:, i] for i in places] if hasattr(X, "iloc") else []
    named = (own for own in columns if own.dtype.kind == "O" and own.is_unique)
    return next(named, None)


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
            f"names must be {n_clusters} different names, got {list(names)}."
        )
    return names
