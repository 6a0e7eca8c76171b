"""NeighborClustering: the label-free start as a clusterer of its own.

N rows, M distinct rows in the graph, D features, K clusters, L layout dimensions, k neighbours.
"""

import warnings
from collections.abc import Callable
from contextlib import contextmanager
from itertools import chain
from numbers import Integral, Real
from time import perf_counter
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    clone,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import VALID_METRICS
from sklearn.utils import check_array, check_scalar
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ._outliers import find_offset, mark_noise
from ._responsibilities import cluster_means
from ._typing import Labels, TransformerMixin, fit_context
from ._validation import (
    Auto,
    LabelledClusterMixin,
    NumericParameters,
    check_rows,
    check_sample_weight,
)
from .engine.runtime import restore_on_failure, store_parameters
from .neighbors.interpolation import Reference, interpolate
from .neighbors.partition import describe_curve, find_start, warn_of_edge
from .neighbors.search import check_distances, is_precomputed
from .neighbors.tree import ClusterTree
from .stability import cluster_stability

#: Names of metrics, of features and "precomputed".
METRICS = set(chain(*VALID_METRICS.values()))
#: Most rows of a sample in which clusters are sought again, unless they are many clusters.
STABILITY_ROWS = 1000
#: Most rows of a sample for each cluster.
STABILITY_ROWS_PER_CLUSTER = 50
#: Attributes that are, or may be, CSR.
SPARSE = {"graph_", "_rows"}
#: Classes of sparse matrices that they may have, by name.
SPARSE_CLASSES = {cls.__name__: cls for cls in (sparse.csr_array, sparse.csr_matrix)}


class NeighborClustering(
    NumericParameters,
    LabelledClusterMixin,
    TransformerMixin,
    ClassNamePrefixFeaturesOutMixin,
    BaseEstimator,
):
    r"""Clusters of a neighbour graph: few in number, of any shape and size, found without labels.

    The graph of nearest neighbours is laid out in few dimensions. Candidates found there by
    k-means, Ward's tree and mixtures of more components than clusters, and by Ward's method in the
    rows if they are few, are compared by how much the cluster of a row tells about that at the end
    of a walk along the graph, and the best is kept. Of fewer than five distinct rows for a
    cluster, on average, Ward's clusters are the only candidate, by the metrics "euclidean" and
    "cosine" and of at most 20,000 rows, see :func:`~skdeepcluster.neighbors.neighbor_start`.

    Parameters
    ----------
    n_clusters : int or "auto", default=8
        Number of clusters. "auto" chooses one of at most ``max_clusters``, see Notes.
    n_neighbors : int, default=15
        Neighbours of each row in the graph, and of new rows among the rows fitted. No more are
        used than a cluster has other distinct rows, on average: beyond them are rows of others.
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
    max_clusters : int, default=60
        The largest number that ``n_clusters="auto"`` considers, and no more than one for five
        distinct rows.
    noise : float, default=0.0
        Share of the rows, by their weights, that are noise, in [0, 1): those of the largest
        outlier scores get the label -1. Their probabilities still say to which cluster they would
        belong.
    use_labels : bool, default=False
        Take ``y`` of ``fit`` for known clusters: their numbers, from 0 to ``n_clusters - 1``, and
        -1 for rows whose cluster is not known. Not all clusters need labelled rows. With
        ``n_clusters="auto"`` there are at least as many clusters as the labels number.
    n_jobs : int, default=None
        Threads, as in scikit-learn; no result depends on them.
    verbose : int, default=0
        1 prints the seconds of each stage.
    random_state : int, RandomState instance or None, default=None
        Decides everything random; an int gives the same result on every call.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each row of X, -1 for noise; equal to ``predict(X)``.
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
    n_clusters_curve_ : Bunch
        With ``n_clusters="auto"`` only. Arrays for the numbers ``n_clusters`` from 1 on:
        ``criterion``, how much more of its clusters a walk remembers than in rows without
        clusters, at the times at which the number of the greatest persistence is the best, that
        is ``n_clusters_`` unless no number is and it is 1;
        ``persistence``, over how many times a number is the best; ``stability``, the mean adjusted
        Rand index with partitions of bootstrap samples.
    cluster_stability_ : ndarray of shape (`n_clusters_`,)
        How well each cluster is found again in samples of half of the rows, see
        :func:`~skdeepcluster.stability.cluster_stability`; of at most 1,000 rows, or 50 for a
        cluster; 0 of a cluster without rows. Computed when it is first read, by ten small fits.
    outlier_scores_ : ndarray of shape (n_samples,)
        Mean distance of each row to as many of its nearest others as are its neighbours in the
        graph [6]_, ``-score_samples(X)``.
    offset_ : float
        Rows whose ``score_samples`` is less are noise.
    leaves_ : ndarray of shape (n_samples,)
        Leaf of each row in the tree of clusters: a part of its cluster.
    n_leaves_ : int
        Number of leaves.
    children_ : ndarray of shape (`n_leaves_` - 1, 2)
        The two nodes of each merge, as in :class:`sklearn.cluster.AgglomerativeClustering`: those
        below ``n_leaves_`` are leaves, ``n_leaves_ + i`` is merge i. Parts of clusters are merged
        first.
    distances_ : ndarray of shape (`n_leaves_` - 1,)
        Ward's distance of each merge in the layout, never smaller than those before.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, when X has names that are strings.

    See Also
    --------
    skdeepcluster.neighbors.neighbor_start : The same as a function, with more parameters.
    VaDEClustering : Starts from this partition by default, and generates rows.

    Notes
    -----
    Of the candidates those are compared whose :math:`I(c_0; c_t)^2 / H(c_0)` is within 5 % of the
    greatest, where c_t is the cluster after t steps of a random walk along the links [4]_, 4 or,
    in few dimensions, up to 64; the one with the greatest sum of :math:`I(c_0; c_t)` and a
    fifth of the log-likelihood of its clusters in the layout is kept: see
    :func:`~skdeepcluster.neighbors.neighbor_start`. The graph and the layout are UMAP's [1]_.
    With at most 100 features and 20,000 distinct rows, and the metric "euclidean" or "cosine", a
    second graph is tried, that of the rows whitened by the scatter within clusters [3]_. It is
    kept when its partition is further above that of rows without clusters; of fewer than ten
    distinct rows for a feature, when that is so in rows whitened by the scatter of others.

    The responsibilities of a row are the mean votes at the end of a walk of two steps from it.
    Half of the votes are the kept partition's, half those of all candidates of its layout in
    proportion to their :math:`I^2 / H`, their clusters matched one-to-one with its own [7]_. They
    tell how sure the clusters are, not whether clusters are classes: where the graph does not
    separate the classes that are sought, all candidates may agree on what is wrong, and the
    probabilities are too high.

    The number of clusters that ``n_clusters="auto"`` takes is the best description of the walk
    over the widest range of its times [5]_: see ``skdeepcluster.neighbors.scales``. It is 1
    where the walk remembers these clusters at no time much better than in normally distributed
    rows with the same covariance; rows that are skewed, or spread evenly over a box, pass for
    several clusters now and then. With precomputed distances no such rows can be drawn, and of ten
    rows or more there are at least 2 clusters.

    Rows of one feature, by the metric "euclidean", are divided by k-means: their graph does not
    tell where they are rare. Their number of clusters is that at which the mean silhouette of
    Ward's clusters is furthest above that in uniform rows, or 1 if none is by .05; this lead is
    ``criterion`` and ``persistence``. See ``skdeepcluster.neighbors.line``.

    A row of weight 2 equals two rows: equal rows are one row of the graph, with the sum of their
    weights. Neither the order of the rows nor copies of all of them change a cluster; only of
    precomputed distances, where several rows are equally far, the first ones are the neighbours.

    With labels the clusters found without them are named by these and give way to them along the
    graph, the more the more labels there are [8]_: see
    :func:`~skdeepcluster.neighbors.neighbor_start`. Labelled rows keep their clusters, unless
    equal rows have others or ``max_samples`` leaves them out. ``cluster_stability_`` is that of
    clusters found again without labels.

    New rows get the mean of as many nearest rows of the graph as a row in it has, weighted by
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
    .. [5] J.-C. Delvenne, S. N. Yaliraki, M. Barahona, "Stability of graph communities across
       time scales", PNAS 2010.
    .. [6] F. Angiulli, C. Pizzuti, "Fast outlier detection in high dimensional spaces", PKDD
       2002.
    .. [7] S. Dudoit, J. Fridlyand, "Bagging to improve the accuracy of a clustering procedure",
       Bioinformatics 19, 2003.
    .. [8] X. Zhu, Z. Ghahramani, J. Lafferty, "Semi-supervised learning using Gaussian fields and
       harmonic functions", ICML 2003.

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

    A number of clusters that the rows tell, and coarser clusters from the same fit:

    >>> from sklearn.datasets import make_blobs
    >>> rows, _ = make_blobs(300, centers=[[0, 0], [8, 0], [0, 8], [8, 8]], random_state=0)
    >>> found = NeighborClustering("auto", random_state=0).fit(rows)
    >>> found.n_clusters_
    4
    >>> len(set(found.cut(2)))
    2

    Distances, or a graph of neighbours, that something else computed:

    >>> from sklearn.neighbors import KNeighborsTransformer
    >>> from sklearn.pipeline import make_pipeline
    >>> graph = KNeighborsTransformer(mode="distance", n_neighbors=15)
    >>> pipeline = make_pipeline(graph, NeighborClustering(2, metric="precomputed"))
    >>> pipeline.fit_predict(X).shape
    (200,)
    """

    _parameter_constraints = {
        "n_clusters": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions(METRICS), callable],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "max_samples": [Interval(Integral, 1, None, closed="left")],
        "max_clusters": [Interval(Integral, 2, None, closed="left")],
        "noise": [Interval(Real, 0, 1, closed="left")],
        "use_labels": ["boolean"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_clusters: int | Auto = 8,
        *,
        n_neighbors=15,
        metric: str | Callable[..., float] = "euclidean",
        n_components=5,
        max_samples=70_000,
        max_clusters=60,
        noise=0.0,
        use_labels=False,
        n_jobs=None,
        verbose=0,
        random_state=None,
    ) -> None:
        store_parameters(locals())

    # ---- learning

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None) -> Self:
        """Find the clusters of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to cluster; with ``metric="precomputed"`` their distances, of shape
            (n_samples, n_samples).
        y : array-like of shape (n_samples,), default=None
            With ``use_labels=True`` the number of the cluster of each row, -1 where it is not
            known; otherwise ignored.
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
            one; labels that are no numbers of clusters; with ``metric="precomputed"`` negative
            distances, a matrix that is not square, or a row without a neighbour.
        """
        with restore_on_failure(self):
            X = self._check_rows(X, reset=True)
            most = X.shape[0] if self.n_clusters == "auto" else self.n_clusters
            start = find_start(
                X,
                self.n_clusters,
                n_neighbors=self.n_neighbors,
                metric=self.metric,
                sample_weight=sample_weight,
                labels=self._read_labels(y, X.shape[0], most),
                n_components=self.n_components,
                max_samples=self.max_samples,
                random_state=self.random_state,
                n_jobs=self.n_jobs,
                max_clusters=self.max_clusters,
                report=self._report,
            )
            with self._report("assignment"):
                found = start.extend(X, self.n_jobs)
                self.responsibilities_, self.layout_, self.outlier_scores_ = found
            weights = check_sample_weight(sample_weight, X)
            self.offset_ = find_offset(self.outlier_scores_, self.noise, weights)
            self._set_fitted_attributes(start)
        self._warn_of_number(start.partition.curve)
        return self

    def _warn_of_number(self, curve):
        """Warn of clusters without rows, and of a number at the end of those considered."""
        n_found = len(np.unique(self.responsibilities_.argmax(1)))
        if n_found < self.n_clusters_:
            warnings.warn(
                f"Only {n_found} of n_clusters={self.n_clusters_} clusters have rows, possibly "
                "due to duplicate points in X. Decrease n_clusters.",
                ConvergenceWarning,
                stacklevel=4,
            )
        if curve is not None:
            warn_of_edge(curve, self.max_clusters, len(self._kept), stacklevel=4)

    def _set_fitted_attributes(self, start):
        """Set what has been found, once the rows have responsibilities and positions."""
        clusters = self.responsibilities_.argmax(1)
        self.probabilities_ = self.responsibilities_.max(1)
        self.labels_ = mark_noise(clusters, self.outlier_scores_, self.offset_)
        self.graph_indices_, self.graph_ = start.order_graph()
        self.n_clusters_ = self.responsibilities_.shape[1]
        for name in ("n_clusters_curve_", "_stability"):
            vars(self).pop(name, None)
        if start.partition.curve is not None:
            self.n_clusters_curve_ = describe_curve(start.partition.curve)
        tree = start.grow_tree()
        self._leaf_centers, self._leaf_clusters = tree.centers, tree.clusters
        self.children_, self.distances_ = tree.children, tree.distances
        self.n_leaves_, self.leaves_ = len(tree.clusters), tree.find_leaves(self.layout_, clusters)
        reference = start.reference
        self._spacing = reference.spacing
        self._rows, self._keys, self._kept = reference.rows, reference.keys, reference.kept
        self._fit_params = {"metric": self.metric, "n_neighbors": reference.n_neighbors}
        hard = np.eye(self.n_clusters_)[start.partition.resp.argmax(1)] * start.weights[:, None]
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

    def predict_proba(self, X) -> npt.NDArray[np.float64]:
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
        return self._interpolate(X, "responsibilities_")[0]

    def predict(self, X) -> Labels:
        """Return the most probable cluster of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign, or their distances as for :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Between 0 and ``n_clusters_ - 1``; -1 for noise, if ``noise`` is not 0.
        """
        resp, outlier_scores = self._interpolate(X, "responsibilities_")
        return mark_noise(resp.argmax(1), outlier_scores, self.offset_)

    def score_samples(self, X) -> npt.NDArray[np.float64]:
        """Return how usual each row is: minus its outlier score.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score, or their distances as for :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Minus the mean distance to the nearest rows of the graph, as many as are neighbours of
            a row in it, in the unit of the metric; those of a row of the fit are others than
            itself.
        """
        return -self._interpolate(X)[0]

    def cut(self, n_clusters: int, X=None) -> Labels:
        """Return the labels of fewer or more clusters, from the tree of the same fit.

        Parameters
        ----------
        n_clusters : int
            From 1 to ``n_leaves_``. Fewer than ``n_clusters_`` merge whole clusters, more divide
            them; as many give ``labels_``.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Rows to label, or their distances as for :meth:`predict_proba`; None for those of the
            fit.

        Returns
        -------
        ndarray of shape (n_samples,)
            Between 0 and ``n_clusters - 1``; -1 for noise.
        """
        check_is_fitted(self)
        check_scalar(n_clusters, "n_clusters", Integral)
        if n_clusters == self.n_clusters_:  # also where some clusters have no leaf
            return self.labels_.copy() if X is None else self.predict(X)
        check_scalar(n_clusters, "n_clusters", Integral, min_val=1, max_val=self.n_leaves_)
        tree = ClusterTree(
            self._leaf_centers, self._leaf_clusters, self.children_, self.distances_
        )
        leaves, scores = self.leaves_, self.outlier_scores_
        if X is not None:
            resp, layout, scores = self._interpolate(X, "responsibilities_", "layout_")
            leaves = tree.find_leaves(layout, resp.argmax(1))
        return mark_noise(tree.cut(n_clusters)[leaves], scores, self.offset_)

    def transform(self, X) -> npt.NDArray[np.float32]:
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
        return self._interpolate(X, "layout_")[0]

    def score(self, X, y=None) -> float:
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
        resp, layout, _ = self._interpolate(X, "responsibilities_", "layout_")
        if np.isfinite(self._centers).all(1).sum() < 2:
            return 0.0
        distances = cdist(layout.astype(np.float64), self._centers)
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
        X = check_rows(self, X, reset=reset, accept_sparse="csr")
        # Text of digits is refused above; other numbers become double precision here.
        types = {"dtype": [np.float64, np.float32], "ensure_all_finite": False}
        return check_array(X, accept_sparse="csr", **types)

    def _interpolate(self, X, *names):
        """Return what fitted attributes, arrays (N, C), say of rows X, and outlier scores (N,)."""
        check_is_fitted(self)
        X = self._check_rows(X)
        parts = self._rows, self._keys, self._kept
        reference = Reference(*parts, spacing=self._spacing, **self._fit_params)
        if reference.rows is None:
            check_distances(X)
        values = [getattr(self, name)[self._kept] for name in names]
        answers, outlier_scores = interpolate(reference, X, values, self.n_jobs)
        return *answers, outlier_scores

    @property
    def cluster_stability_(self) -> npt.NDArray[np.float64]:
        """How well each cluster is found again in samples of the rows, (K,)."""
        check_is_fitted(self)
        if not self._knows_stability:
            rows, metric = self._rows, self._fit_params["metric"]
            labels = self.responsibilities_[self._kept].argmax(1)
            if rows is None:  # of distances only the edges are kept
                order = np.argsort(self._kept)
                rows, labels, metric = self.graph_.copy(), labels[order], "precomputed"
                rows.data = 1 - np.log(rows.data)
            present, labels = np.unique(labels, return_inverse=True)
            params = {
                **self._fit_params,
                "n_clusters": len(present),
                "metric": metric,
                "n_components": self.layout_.shape[1],
                "max_samples": len(labels),
                "noise": 0.0,
                "verbose": 0,
            }
            most = max(STABILITY_ROWS, STABILITY_ROWS_PER_CLUSTER * len(present))
            options = {"labels": labels, "max_samples": most, "random_state": 0}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model = clone(self).set_params(**params)
                self._stability = np.zeros(self.n_clusters_)
                self._stability[present] = cluster_stability(model, rows, **options)
        return self._stability

    def __dir__(self):
        """List the attributes, the stability of clusters only once it has been found.

        It takes several fits, and what lists attributes reads them: representations in notebooks,
        completion, and scikit-learn's own method of this name.
        """
        unknown = set() if self._knows_stability else {"cluster_stability_"}
        return [name for name in object.__dir__(self) if name not in unknown]

    @property
    def _knows_stability(self):
        return "_stability" in vars(self)

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
                matrix = SPARSE_CLASSES[kind](tuple(parts), shape=tuple(shape))
                matrix.check_format()  # compiled code trusts the indices
                state = {**state, name: matrix}
        super().__setstate__(state)
        if "_kept" in state:
            parts = [state[name] for name in ("_rows", "_keys", "_spacing", "_kept")]
            lengths = {part.shape[0] for part in parts if part is not None}
            if len(lengths) > 1 or self._kept.dtype.kind != "i":
                raise ValueError(f"The rows of the graph are {lengths}, at {self._kept.dtype}.")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        is_given = is_precomputed(self.metric)
        tags.input_tags.pairwise = tags.input_tags.positive_only = is_given
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
