"""Stability of clusters: whether they are found again in random subsets of the samples."""

from numbers import Real

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_scalar
from sklearn.utils.validation import _num_samples, check_is_fitted
from tqdm.auto import tqdm

from .input.labels import average_finite, check_labels, mean_greatest_jaccard
from .input.parameters import check_count, draw_seeds, random_stream
from .input.types import Doubles
from .neighbors.search import has_distances


def cluster_stability(
    estimator,
    X,
    labels=None,
    *,
    n_resamples: int = 10,
    share: float = 0.5,
    verbose: int = 0,
    random_state=None,
) -> Doubles:
    """Return how well each cluster is found again in random subsets of the samples.

    A clone of the clusterer is fitted to each subset. Each cluster is compared with the most
    similar cluster of the clone by the Jaccard index (samples in both / samples in either) [1]_.
    Clusters above 0.85 are stable; do not trust those below 0.6.

    Parameters
    ----------
    estimator : clusterer
        It must be fitted unless ``labels`` is given.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples, or their distances if the estimator has ``metric="precomputed"``.
    labels : array-like of shape (n_samples,), default=None
        Clusters from 0 on, -1 for noise; None takes the ``labels_`` of the estimator.
    n_resamples : int, default=10
        Number of subsets.
    share : float, default=0.5
        Share of the samples in a subset, in (0, 1); a subset has at least one per cluster.
    verbose : int, default=0
        1 shows a progress bar.
    random_state : int, RandomState instance or None, default=None
        Determines the subsets and the seeds of the clones.

    Returns
    -------
    ndarray of shape (n_clusters,)
        Mean Jaccard index of each cluster over the subsets that contain samples of it.

    See Also
    --------
    skdeepcluster.ClusterEnsemble : Combines several fits.

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
    check_count("n_resamples", n_resamples)
    check_scalar(
        share, "share", Real, min_val=0, max_val=1, include_boundaries="neither"
    )
    if labels is None:
        last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        message = "The estimator has no labels_. Pass labels, or a fitted clusterer."
        check_is_fitted(last, "labels_", msg=message)
        labels = last.labels_

    n_samples = _num_samples(X)
    labels = check_labels("labels", labels, n_samples)

    # Each cluster needs a sample.
    n_clusters = labels.max(initial=-1) + 1
    n_least = max(n_clusters, 1)
    n_drawn = int(max(share * n_samples, n_least))
    X = X.tocsr() if sparse.issparse(X) else X
    stream = random_stream(random_state)
    indices = np.full((n_resamples, n_clusters), np.nan)
    for shares in tqdm(indices, "Stability", disable=not verbose):
        rows = np.sort(stream.permutation(n_samples)[:n_drawn])
        model = clone(estimator)
        model.set_params(**draw_seeds(model, stream))

        expected = labels[rows]
        found_again = _fit_subset(model, X, rows, n_least)
        present = np.setdiff1d(expected, -1)
        jaccard = mean_greatest_jaccard(expected, found_again[:, None], n_clusters)
        shares[present] = jaccard[present]
    return average_finite(indices.T)


def _fit_subset(model, X, rows, n_least):
    """Return the labels of some samples, -1 for samples without a neighbor in a graph."""
    subset = _safe_indexing(X, rows)
    is_graph = has_distances(model)
    if is_graph:
        subset = _safe_indexing(subset, rows, axis=1)
    if not (is_graph and sparse.issparse(subset)):
        return model.fit_predict(subset)

    labels = np.full(len(rows), -1)
    kept = np.arange(len(rows))
    while len(kept) >= n_least:
        part = subset[kept][:, kept]
        # Stored zeros are distances of equal samples.
        entries = part.tocoo()
        linked = np.unique(entries.row[entries.row != entries.col])
        if len(linked) == len(kept):
            labels[kept] = model.fit_predict(part)
            break
        kept = kept[linked]
    return labels
