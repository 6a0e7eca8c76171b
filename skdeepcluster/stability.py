"""Stability of clusters: whether they are found again in samples of the rows."""

from numbers import Integral, Real

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import _safe_indexing, check_scalar
from sklearn.utils.validation import _num_samples
from tqdm.auto import tqdm

from ._consensus import mean_greatest_jaccard
from ._responsibilities import average_finite
from ._validation import check_cluster_numbers
from .engine.runtime import draw_seeds, random_stream
from .neighbors.search import has_distances


def cluster_stability(
    estimator,
    X,
    labels=None,
    *,
    n_resamples: int = 10,
    share: float = 0.5,
    max_samples: int | None = None,
    verbose: int = 0,
    random_state=None,
) -> npt.NDArray[np.float64]:
    """Return how well each cluster is found again in random samples of the rows.

    A clone of the clusterer is fitted to each sample, and each cluster compared with the most
    similar one found there, on the rows of the sample [1]_. Clusters of about .85 and more are
    very stable; those below .6 should not be trusted.

    Parameters
    ----------
    estimator : clusterer
        Fitted, or with ``labels`` given; cloned for each sample.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The rows; for an estimator of precomputed distances these.
    labels : array-like of shape (n_samples,), default=None
        Their clusters, from 0 on; -1 is noise, which is in no cluster. None is the estimator's
        ``labels_``.
    n_resamples : int, default=10
        Samples drawn, without replacement.
    share : float, default=0.5
        Share of the rows in a sample, in (0, 1); there are at least as many rows as clusters.
    max_samples : int, default=None
        Most rows in a sample. Of a sparse matrix of distances, rows of the sample that are stored
        with no other one are not fitted, and count as found in no cluster.
    verbose : int, default=0
        1 shows a progress bar over the samples.
    random_state : int, RandomState instance or None, default=None
        Decides the samples, and the ``random_state`` of each clone that has one.

    Returns
    -------
    ndarray of shape (n_clusters,)
        Mean over the samples of the greatest Jaccard index (rows in both / rows in either) of each
        cluster with one found; over those samples that have rows of it.

    See Also
    --------
    skdeepcluster.display.StabilityDisplay : Draws it.
    skdeepcluster.ClusterEnsemble : Agreement of several fits, as clusters of its own.

    References
    ----------
    .. [1] C. Hennig, "Cluster-wise assessment of cluster stability", Computational Statistics and
       Data Analysis 52, 2007.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.stability import cluster_stability
    >>> X, _ = make_blobs(300, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    >>> fit = KMeans(4, random_state=0).fit(X)  # one cluster is cut in two
    >>> int((cluster_stability(fit, X, random_state=0) > 0.85).sum()) < 4
    True
    """
    check_scalar(n_resamples, "n_resamples", Integral, min_val=1)
    check_scalar(share, "share", Real, min_val=0, max_val=1, include_boundaries="neither")
    if max_samples is not None:
        check_scalar(max_samples, "max_samples", Integral, min_val=1)
    n_rows = _num_samples(X)
    X = X.tocsr() if sparse.issparse(X) else X
    labels = _check_labels(estimator, labels, n_rows)
    n_clusters = int(labels.max(initial=-1)) + 1
    if max_samples is not None and max_samples < n_clusters:
        raise ValueError(
            f"max_samples={max_samples} should be >= the {n_clusters} clusters that labels has: "
            "each needs a row. Raise max_samples."
        )
    n_drawn = int(max(share * n_rows, n_clusters, 1))
    n_drawn = min(n_drawn, n_rows if max_samples is None else max_samples)
    is_pairwise = has_distances(estimator)
    stream = random_stream(random_state)
    indices = np.full((n_resamples, n_clusters), np.nan)
    for found in tqdm(indices, "Stability", disable=not verbose):
        rows = np.sort(stream.permutation(n_rows)[:n_drawn])
        model = clone(estimator)
        model.set_params(**draw_seeds(model, stream))
        sample = _safe_indexing(X, rows)
        if is_pairwise:
            drawn = _fit_linked(model, _safe_indexing(sample, rows, axis=1), n_clusters)
        else:
            drawn = model.fit_predict(sample)
        present = np.unique(labels[rows])
        present = present[present >= 0]
        found[present] = mean_greatest_jaccard(labels[rows], drawn[:, None], n_clusters)[present]
    return average_finite(indices.T)


def _check_labels(estimator, labels, n_rows):
    """Return the clusters of the rows, (N,): ``labels``, or those of a fitted clusterer."""
    if not hasattr(estimator, "fit_predict"):
        raise TypeError(f"{type(estimator).__name__} is no clusterer: it has no fit_predict.")
    if labels is None and not hasattr(estimator, "labels_"):
        raise ValueError(
            f"This {type(estimator).__name__} has no labels_. Pass the labels of X, or a fitted "
            "clusterer that has labels_."
        )
    labels = check_cluster_numbers(estimator.labels_ if labels is None else labels, n_rows)
    if labels.min(initial=0) < -1:
        raise ValueError(
            f"labels has {labels.min()}. Expected are numbers of clusters from 0 on, and -1 for "
            "noise."
        )
    return labels


def _fit_linked(model, distances, n_clusters):
    """Return the labels of a matrix of distances (N, N), -1 for rows without a stored neighbour.

    The neighbours of such rows are not in the sample, and they cannot be fitted. If fewer than
    ``n_clusters`` rows have neighbours, none is.
    """
    if not sparse.issparse(distances):
        return model.fit_predict(distances)
    kept, labels = np.arange(distances.shape[0]), np.full(distances.shape[0], -1)
    while len(kept) >= max(n_clusters, 1):
        part = distances[kept][:, kept]
        entries = part.tocoo()
        linked = np.isin(np.arange(len(kept)), entries.row[entries.row != entries.col])
        if linked.all():
            labels[kept] = model.fit_predict(part)
            break
        kept = kept[linked]
    return labels
