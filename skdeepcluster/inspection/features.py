"""Features that set clusters apart, and categories as shares."""

import numpy as np
from scipy import sparse
from sklearn.utils import Bunch, check_array
from sklearn.utils.sparsefuncs import mean_variance_axis

from ..display.base import name_features
from ..input.columns import MANY_VALUES, read_types, to_pandas
from ..input.labels import check_labels, cluster_means, indicate

#: Maximum standard deviation of a constant feature, from rounding, as a share of its mean.
DEVIATION_ROUNDING = 1e-14
#: Maximum number of characters of a text in a table, and of a category.
MAX_TEXT = 80


def compare_features(
    X, labels, *, feature_names=None, n_features: int | None = 5
) -> list[Bunch]:
    """Find the features that set each cluster apart, by standardized mean differences.

    The difference is the mean in the cluster minus the mean in all other samples, noise included,
    in standard deviations of the feature [1]_.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    labels : array-like of shape (n_samples,)
        Clusters from 0 on, -1 for noise.
    feature_names : array-like of shape (n_features,), default=None
        Names; None means the columns of a DataFrame, or "x0", "x1" and so on.
    n_features : int, default=5
        Number of features of each cluster; None means all.

    Returns
    -------
    list of Bunch
        For each cluster arrays ``names``, ``differences``, ``means`` and ``other_means``, the
        largest difference first. For sparse X, such as counts of words, they have only features
        with a greater mean in the cluster.

    See Also
    --------
    ClusterReport : Also describes the samples of each cluster.

    References
    ----------
    .. [1] J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd edition, 1988,
       chapter 2.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster.inspection import compare_features
    >>> iris = load_iris()
    >>> setosa = compare_features(iris.data, iris.target, feature_names=iris.feature_names)[0]
    >>> print(setosa.names[0], setosa.means[0].round(2), setosa.other_means[0].round(2))
    petal length (cm) 1.46 4.91
    """
    X, _ = count_categories(X)
    names = name_columns(X, feature_names)
    X, labels = read_labeled(X, labels)
    member = indicate(labels, labels.max(initial=-1) + 1).toarray()
    return list_features(names, n_features, *compare_means(X, member))


def compare_means(X, member):
    """Return standardized differences, means and means elsewhere (K, D) of features.

    Of sparse X, differences below zero become zero.
    """
    is_sparse = sparse.issparse(X)
    if is_sparse:
        center, variance = mean_variance_axis(X, 0)
    else:
        center = np.nanmean(X, 0)
        variance = np.nanvar(X, 0)
    deviation = np.sqrt(variance)
    deviation[deviation <= DEVIATION_ROUNDING * np.abs(center)] = np.inf

    means = average_known(member, X)
    other_means = average_known(1 - member, X)
    is_part = member.any(0) & ~member.all(0)
    differences = is_part[:, None] * (means - other_means) / deviation
    if is_sparse:
        differences = np.maximum(differences, 0)
    return differences, means, other_means


def list_features(names, n_features, differences, means, other_means):
    """Return the first features of each cluster, see `compare_features`."""
    features = []
    for k, strength in enumerate(np.abs(differences)):
        order = np.argsort(-strength, kind="stable")[:n_features]
        order = order[strength[order] > 0]
        features.append(
            Bunch(
                names=names[order],
                differences=differences[k, order],
                means=means[k, order],
                other_means=other_means[k, order],
            )
        )
    return features


def average_known(member, X):
    """Return the means (K, D) of the observed values in each cluster."""
    if sparse.issparse(X):
        return cluster_means(member, X)

    known = ~np.isnan(X)
    return member.T @ np.where(known, X, 0) / np.maximum(member.T @ known, 1)


# ---- tables


def read_labeled(X, labels):
    """Return X as :func:`_read_values` does, and the labels, checked."""
    X = read_values(X)
    return X, check_labels("labels", labels, X.shape[0])


def read_values(X):
    """Return X as float64, checked, dense with nan for missing values or CSR."""
    finite = True if sparse.issparse(X) else "allow-nan"
    return check_array(
        X, accept_sparse="csr", dtype=np.float64, ensure_all_finite=finite
    )


def count_categories(X, left_out=()):
    """Return a pandas DataFrame with zeros and ones for each category, without dates.

    Also return the column that each new one comes from, and whether it is a category's. Texts
    that are all numbers are numbers. Texts at ``left_out`` with many values are identifiers, and
    dropped. Others than DataFrames stay as they are.
    """
    X = to_pandas(X)
    types = read_types(X) if hasattr(X, "iloc") else {}
    if not types:
        return X, [(i, False) for i in range(np.shape(X)[1])]

    import pandas as pd

    columns = []
    origins = []
    for i, (name, column) in enumerate(X.items()):
        kind = types.get(i, "number")
        if kind == "number":
            columns.append(column.astype(float))
            # The mean of zeros and ones is a share, too.
            origins.append((i, column.dropna().isin([0, 1]).all()))
        if kind in ("number", "date"):
            continue
        if i in left_out and column.nunique() > MANY_VALUES:
            continue

        texts = column.astype(object).map(shorten, na_action="ignore")
        shares = pd.get_dummies(texts, name, " = ", dtype=float)
        if column.dtype.kind == "b":
            # The share of False says nothing more.
            shares = shares.filter([f"{name} = True"])
        shares[column.isna()] = np.nan
        columns.append(shares)
        origins += [(i, True)] * shares.shape[1]
    return pd.concat(columns, axis=1), origins


def shorten(value):
    """Return a value as a text of at most `MAX_TEXT` characters."""
    text = str(value)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def name_columns(X, names, estimator=None):
    """Return the given names (D,), the names in X or in the fit, or "x0", "x1" etc."""
    n_features = np.shape(X)[1]
    names = name_features(n_features, names, X, estimator)
    return np.array(names or [f"x{i}" for i in range(n_features)])
