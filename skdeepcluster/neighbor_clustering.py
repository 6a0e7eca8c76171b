"""NeighborClustering: the label-free start as a clusterer of its own.

N rows, M distinct rows in the graph, D features, K clusters, L layout dimensions, k neighbours.
"""

import warnings
from contextlib import contextmanager
from itertools import chain
from numbers import Integral
from time import perf_counter

import numpy as np
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import VALID_METRICS
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from ._responsibilities import cluster_means
from .engine.runtime import restore_on_failure, store_parameters
from .neighbors.interpolation import Reference, interpolate
from .neighbors.partition import find_start
from .neighbors.precomputed import check_distances

#: Names of metrics, of features and "precomputed".
METRICS = set(chain(*VALID_METRICS.values()))
#: Attributes that are, or may be, CSR.
SPARSE = {"graph_", "_rows"}


class NeighborClustering(
    ClusterMixin, TransformerMixin, ClassNamePrefixFeaturesOutMixin, BaseEstimator
):
    r"""Clusters of a neighbour graph: few in number, of any shape and size, found without labels.

    The graph of nearest neighbours is laid out in few dimensions. Candidates found there by
    k-means, Ward's tree and mixtures of more components than clusters are compared by how much
    the cluster of a row tells about those of its neighbours, and the best is kept.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    n_neighbors : int, default=15
        Neighbours of each row in the graph, and of new rows among the rows fitted; at most the
        number of other rows.
    metric : str or callable, default="euclidean"
        As in :class:`sklearn.neighbors.NearestNeighbors`: "cosine" suits text and embeddings of
        networks. "precomputed": X has the distances of all rows to all rows; of a sparse X the
        stored entries are the neighbours of a row, as
        :class:`~sklearn.neighbors.KNeighborsTransformer` gives them with ``mode="distance"``.
    n_components : int, default=5
        Dimensions of the layout.
    max_samples : int, default=70_000
        Of more distinct rows, a sample of this many makes the graph, drawn in proportion to their
        weights; the others get what new rows would. A sparse matrix of distances is never sampled
        from.
    n_jobs : int, default=None
        Threads, as in scikit-learn; no result depends on them.
    verbose : int, default=0
        1 prints the seconds of each stage.
    random_state : int, RandomState instance or None, default=None
        Decides everything random; an int gives the same result on every call.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each row of X; equal to ``predict(X)``.
    probabilities_ : ndarray of shape (n_samples,)
        Probability of this cluster, the greatest of each row of ``predict_proba(X)``: low between
        clusters, and where other partitions that were tried disagree.
    responsibilities_ : ndarray of shape (n_samples, n_clusters)
        p(cluster | row), equal to ``predict_proba(X)``.
    layout_ : ndarray of shape (n_samples, n_components), float32
        Positions of the rows, equal to ``transform(X)``; without a unit.
    graph_ : CSR matrix of shape (n_graph_rows, n_graph_rows), float32
        Weights in (0, 1] of the links between the distinct rows, see
        :func:`~skdeepcluster.neighbors.neighbor_graph`, in the metric whose partition was kept.
    graph_indices_ : ndarray of shape (n_graph_rows,)
        The rows of X in the graph, ascending: the first of every value that has a positive weight.
    n_clusters_ : int
        Number of clusters, the columns of ``predict_proba(X)``.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X has names that are strings.

    See Also
    --------
    skdeepcluster.neighbors.neighbor_start : The same as a function, with more parameters.
    VaDEClustering : Starts from this partition by default, and generates rows.

    Notes
    -----
    Of the candidates those are compared whose :math:`I(c_0; c_4)^2 / H(c_0)` is within 5 % of the
    greatest, where c_t is the cluster after t steps of a random walk along the links [4]_; the one
    with the greatest :math:`I(c_0; c_4)` is kept: see
    :func:`~skdeepcluster.neighbors.neighbor_start`. The graph and the layout are UMAP's [1]_.
    With at most 100 features and 20,000 distinct rows, and the metric "euclidean" or "cosine", a
    second graph is tried, that of the rows whitened by the scatter within clusters [3]_. It is
    kept when its partition is further above that of rows without clusters.

    The responsibilities of a row are the mean votes at the end of a walk of two steps from it.
    Half of the votes are the kept partition's, half those of all candidates of its layout in
    proportion to their :math:`I^2 / H`, their clusters matched one-to-one with its own [5]_. They
    tell how sure the clusters are, not whether clusters are classes: where the graph does not
    separate the classes that are sought, all candidates may agree on what is wrong, and the
    probabilities are too high.

    A row of weight 2 equals two rows: equal rows are one row of the graph, with the sum of their
    weights. Neither the order of the rows nor copies of all of them change a cluster.

    New rows get the mean of their ``n_neighbors`` nearest rows of the graph, weighted by
    1 / distance [2]_; a row equal to one of X gets exactly what that one has.

    References
    ----------
    .. [1] L. McInnes, J. Healy, J. Melville, "UMAP: Uniform Manifold Approximation and
       Projection for Dimension Reduction", 2018, arXiv:1802.03426.
    .. [2] D. Shepard, "A two-dimensional interpolation function for irregularly-spaced data",
       ACM National Conference 1968.
    .. [3] D. Art, R. Gnanadesikan, J. R. Kettenring, "Data-based metrics for cluster analysis",
       Utilitas Mathematica 21A, 1982.
    .. [4] M. Faccin, M. T. Schaub, J.-C. Delvenne, "Entrograms and coarse graining of dynamics on
       complex networks", Journal of Complex Networks, 2018.
    .. [5] S. Dudoit, J. Fridlyand, "Bagging to improve the accuracy of a clustering procedure",
       Bioinformatics 19, 2003.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from skdeepcluster import NeighborClustering
    >>> X, y = make_moons(200, noise=0.05, random_state=0)
    >>> start = NeighborClustering(2, random_state=0).fit(X)
    >>> [len(set(start.labels_[y == k])) for k in range(2)]
    [1, 1]
    >>> bool(start.predict([[0.0, 1.0]]) == start.labels_[y == 0][0])
    True

    Distances, or a graph of neighbours, that something else computed:

    >>> from sklearn.neighbors import KNeighborsTransformer
    >>> from sklearn.pipeline import make_pipeline
    >>> graph = KNeighborsTransformer(mode="distance", n_neighbors=15)
    >>> pipeline = make_pipeline(graph, NeighborClustering(2, metric="precomputed"))
    >>> pipeline.fit_predict(X).shape
    (200,)
    """

    _parameter_constraints = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions(METRICS), callable],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "max_samples": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        n_neighbors=15,
        metric="euclidean",
        n_components=5,
        max_samples=70_000,
        n_jobs=None,
        verbose=0,
        random_state=None,
    ):
        store_parameters(locals())

    # ---- learning

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Find the clusters of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to cluster; with ``metric="precomputed"`` their distances, of shape
            (n_samples, n_samples).
        y : Ignored
            Present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; 2 equals a row that is there twice. Rows of weight 0 take no part
            and get what new rows would.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            When there are fewer rows than clusters; NaN, infinity, negative weights or no positive
            one; with ``metric="precomputed"`` negative distances, a matrix that is not square, or
            a row without a neighbour.
        """
        with restore_on_failure(self):
            X = self._check_rows(X, reset=True)
            start = find_start(
                X,
                self.n_clusters,
                n_neighbors=self.n_neighbors,
                metric=self.metric,
                sample_weight=sample_weight,
                n_components=self.n_components,
                max_samples=self.max_samples,
                random_state=self.random_state,
                n_jobs=self.n_jobs,
                report=self._report,
            )
            with self._report("assignment"):
                self.responsibilities_, self.layout_ = start.extend(X, self.n_jobs)
            self._set_fitted_attributes(start)
        n_found = len(np.unique(self.labels_))
        if n_found < self.n_clusters:
            warnings.warn(
                f"Only {n_found} of n_clusters={self.n_clusters} clusters have rows, possibly due "
                "to duplicate points in X. Decrease n_clusters.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _set_fitted_attributes(self, start):
        """Set what has been found, once the rows have responsibilities and positions."""
        self.labels_ = self.responsibilities_.argmax(1)
        self.probabilities_ = self.responsibilities_.max(1)
        self.graph_indices_, self.graph_ = start.order_graph()
        self.n_clusters_ = self.n_clusters
        reference = start.reference
        self._rows, self._keys, self._kept = reference.rows, reference.keys, reference.kept
        self._fit_params = {"metric": self.metric, "n_neighbors": self.n_neighbors}
        hard = np.eye(self.n_clusters)[start.partition.resp.argmax(1)] * start.weights[:, None]
        centers = cluster_means(hard, start.partition.layout.astype(np.float64))
        self._centers = np.where(hard.any(0)[:, None], centers, np.inf)

    @contextmanager
    def _report(self, stage):
        """Print the seconds that a stage takes, as ``verbose`` asks."""
        start = perf_counter()
        yield
        if self.verbose:
            print(f"{stage.capitalize()}: {perf_counter() - start:.1f} s")

    # ---- answers

    def predict_proba(self, X):
        """Return the probability of each cluster, given the row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign; with ``metric="precomputed"`` their distances to the rows fitted, of
            shape (n_samples, n_samples_fit).

        Returns
        -------
        ndarray of shape (n_samples, n_clusters), float64
            Rows sum to one.
        """
        return self._interpolate(X, "responsibilities_")

    def predict(self, X):
        """Return the most probable cluster of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign, or their distances as for :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Between 0 and ``n_clusters - 1``.
        """
        return self._interpolate(X, "responsibilities_").argmax(1)

    def transform(self, X):
        """Return the positions of the rows in the layout.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to place, or their distances as for :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_components), float32
            Of a row equal to one of the fit its ``layout_``.
        """
        return self._interpolate(X, "layout_")

    def score(self, X, y=None):
        """Return the mean simplified silhouette of the rows in the layout: higher is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score, or their distances as for :meth:`predict_proba`.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        float
            Mean of (b - a) / max(a, b), with a the distance of a row to the centre of its cluster
            and b to the nearest other centre; between -1 and 1, and 0 for one cluster.
        """
        resp, layout = self._interpolate(X, "responsibilities_", "layout_")
        if np.isfinite(self._centers).all(1).sum() < 2:
            return 0.0
        gaps = layout[:, None].astype(np.float64) - self._centers
        distances = np.sqrt(np.square(gaps).sum(2))
        rows, labels = np.arange(len(resp)), resp.argmax(1)
        own = distances[rows, labels]
        distances[rows, labels] = np.inf
        other = distances.min(1)
        # A row between clusters may be assigned to one that has no row: it is nearer to others.
        lost, larger = np.isinf(own), np.maximum(np.maximum(own, other), np.finfo(float).tiny)
        silhouette = np.where(lost, -1, (other - np.where(lost, 0, own)) / larger)
        return float(silhouette.mean())

    # ---- checks and state

    def _check_rows(self, X, reset=False):
        """Check X and its number of features."""
        X = validate_data(self, X, reset=reset, accept_sparse="csr", dtype="numeric")
        # Text of digits is refused above; other numbers become double precision here.
        types = {"dtype": [np.float64, np.float32], "ensure_all_finite": False}
        return check_array(X, accept_sparse="csr", **types)

    def _interpolate(self, X, *names):
        """Return what fitted attributes, arrays (N, C), say of rows X."""
        check_is_fitted(self)
        X = self._check_rows(X)
        reference = Reference(self._rows, self._keys, self._kept, **self._fit_params)
        if reference.rows is None:
            check_distances(X)
        values = [getattr(self, name)[self._kept] for name in names]
        answers = interpolate(reference, X, values, self.n_jobs)
        return answers[0] if len(names) == 1 else answers

    @property
    def _n_features_out(self):
        return self.layout_.shape[1]

    def __getstate__(self):
        """Return the state with sparse matrices as their arrays."""
        state = super().__getstate__()
        for name in SPARSE & state.keys():
            if sparse.issparse(state[name]):
                parts = [getattr(state[name], part) for part in ("data", "indices", "indptr")]
                state = {**state, name: (type(state[name]).__name__, parts, state[name].shape)}
        return state

    def __setstate__(self, state):
        """Restore the state, with sparse matrices of their arrays."""
        for name in SPARSE & state.keys():
            if isinstance(state[name], tuple):
                kind, parts, shape = state[name]
                state = {**state, name: getattr(sparse, kind)(tuple(parts), shape=tuple(shape))}
        super().__setstate__(state)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        precomputed = isinstance(self.metric, str) and self.metric == "precomputed"
        tags.input_tags.pairwise = tags.input_tags.positive_only = precomputed
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
