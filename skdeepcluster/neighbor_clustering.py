"""NeighborClustering: the label-free partition as a clusterer of its own.

N samples, M distinct samples in the graph, D features, K clusters, L layout dimensions.
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

from ._fitting import restore_on_failure, store_parameters
from ._responsibilities import cluster_means, find_offset, mark_noise
from ._typing import Labels, TransformerMixin, fit_context
from ._validation import (
    Auto,
    LabelledClusterMixin,
    NumericParameters,
    check_rows,
    check_sample_weight,
)
from .neighbors import Reference, find_partition, interpolate
from .neighbors.number import ClusterTree
from .neighbors.partition import describe_curve, warn_of_edge
from .neighbors.search import check_distances, is_precomputed
from .stability import cluster_stability

#: Names of metrics, of features and "precomputed".
METRICS = set(chain(*VALID_METRICS.values()))
#: Most rows of a sample in which clusters are sought again, unless they are many clusters.
STABILITY_ROWS = 1000
#: Most rows of a sample for each cluster.
STABILITY_ROWS_PER_CLUSTER = 50


class NeighborClustering(
    NumericParameters,
    LabelledClusterMixin,
    TransformerMixin,
    ClassNamePrefixFeaturesOutMixin,
    BaseEstimator,
):
    r"""Clusters found without labels, by many partitions and a learned criterion.

    About twenty candidate partitions are found: by k-means, Gaussian mixtures and Genie on the
    samples, and by Ward's method, average linkage, Genie and merged mixtures in layouts of the
    neighbor graph. A criterion that was learned on drawn data sets with known clusters predicts
    the adjusted Rand index of each candidate from features that need no labels. The candidates
    vote on each sample, the more the higher their prediction.

    Parameters
    ----------
    n_clusters : int or "auto", default=8
        Number of clusters. "auto" chooses one of at most ``max_clusters``, see Notes.
    n_neighbors : int, default=15
        Neighbors of each sample in the graph, and of new samples among those of the fit. At most
        as many are used as a cluster has other distinct samples on average.
    metric : str or callable, default="euclidean"
        As in :class:`sklearn.neighbors.NearestNeighbors`: "cosine" suits text and embeddings of
        networks. With "precomputed", X has the distances between all samples; the stored entries
        of a sparse X are the neighbors of a sample, as
        :class:`~sklearn.neighbors.KNeighborsTransformer` gives them with ``mode="distance"``.
    n_components : int, default=5
        Dimensions of the layouts.
    max_samples : int, default=70_000
        Maximum number of distinct samples in the graph, drawn in proportion to their weights. The
        others get what new samples would. A sparse matrix of distances is never drawn from.
    max_clusters : int, default=60
        Maximum number that ``n_clusters="auto"`` considers, and no more than one for five
        distinct samples.
    noise : float, default=0.0
        Share of the samples, by their weights, that are noise, in [0, 1): those with the largest
        outlier scores get the label -1. Their probabilities still say to which cluster they would
        belong.
    use_labels : bool, default=False
        Take ``y`` of ``fit`` as known clusters: numbers from 0 to ``n_clusters - 1``, and -1 for
        samples whose cluster is not known. Not all clusters need labeled samples. With
        ``n_clusters="auto"`` there are at least as many clusters as the labels number.
    n_jobs : int, default=None
        Number of threads, as in scikit-learn; no result depends on it.
    verbose : int, default=0
        1 prints the seconds of each stage.
    random_state : int, RandomState instance or None, default=None
        Decides everything random; an int gives the same result on every call.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each sample, -1 for noise; equal to ``predict(X)``.
    expected_score_ : float
        Adjusted Rand index with the true clusters that partitions of this criterion had on
        average on drawn data sets, in [0, 1]: is this clustering to be trusted at all? It takes
        the number of clusters as right; with "auto" it is at most the highest ``criterion``.
    probabilities_ : ndarray of shape (n_samples,)
        Probability of this cluster, the largest of each row of ``predict_proba(X)``. It is low
        between clusters, where other good candidates disagree, in clusters that other candidates
        do not find, and where ``expected_score_`` is low.
    responsibilities_ : ndarray of shape (n_samples, n_clusters)
        p(cluster | sample), equal to ``predict_proba(X)``.
    layout_ : ndarray of shape (n_samples, n_components), float32
        Positions of the samples, equal to ``transform(X)``; without a unit.
    graph_ : CSR matrix of shape (n_graph_rows, n_graph_rows), float32
        Weights in (0, 1] of the links between distinct samples, see
        :func:`~skdeepcluster.neighbors.neighbor_graph`.
    graph_indices_ : ndarray of shape (n_graph_rows,)
        The samples in the graph, ascending: the first of every value with a positive weight.
    n_clusters_ : int
        Number of clusters, the columns of ``predict_proba(X)``.
    n_clusters_curve_ : Bunch
        With ``n_clusters="auto"`` only. Arrays over the numbers that were tried, ``n_clusters``:
        ``criterion``, the expected score of the best candidate (for one cluster, the score that
        more clusters have to exceed); ``stability``, the mean adjusted Rand index of the
        candidates with each other.
    cluster_stability_ : ndarray of shape (`n_clusters_`,)
        How well each cluster is found again in samples of half of the data, see
        :func:`~skdeepcluster.stability.cluster_stability`; from at most 1,000 samples, or 50 for
        each cluster; 0 for a cluster without samples. Computed when it is first read, by ten
        small fits.
    outlier_scores_ : ndarray of shape (n_samples,)
        Mean distance of each sample to its nearest others, as many as it has neighbors in the
        graph [6]_, ``-score_samples(X)``.
    offset_ : float
        Samples with a smaller ``score_samples`` are noise.
    leaves_ : ndarray of shape (n_samples,)
        Leaf of each sample in the tree of clusters: a part of its cluster.
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
    skdeepcluster.select_n_clusters : The number of clusters for any clusterer.
    VaDEClustering : Starts from this partition by default, and generates samples.

    Notes
    -----
    The graph and the layouts are those of UMAP [1]_. A second layout is that of the samples
    whitened by the scatter within clusters [3]_ where there are at most 100 features, and of the
    same graph otherwise; above 20,000 distinct samples there is one layout. Genie is single
    linkage that keeps sizes fair [4]_. Samples of equal length have one more candidate, a linear
    head [5]_. With other metrics than "euclidean" and "cosine" all candidates are found in the
    layout.

    The features of a candidate measure how compact and separate its clusters are (silhouettes,
    likelihoods of a Gaussian per cluster), how seldom a walk on the graph leaves them, how long
    the edges of the spanning tree between them are, how well a linear classifier learns them and
    how far other candidates agree. Boosted trees predict the adjusted Rand index from them. They
    were fitted to drawn data sets only, so no real data set chose anything.

    ``n_clusters="auto"`` compares the best candidates of each number by trees that were fitted to
    the mean of the adjusted Rand index and of the nearness to the right number. It takes the
    smallest number within 5 % of the highest prediction, and 1 if no prediction is above 0.3.

    The responsibilities start from votes: each candidate votes in proportion to
    exp(prediction / 0.1), with its clusters matched one-to-one with those of the best one [7]_.
    A sample has the mean votes at the end of a walk of two steps from it, and the label with most
    of them. A logistic regression
    on drawn data sets turns the votes for the label, the stability of its cluster among the
    candidates and ``expected_score_`` into a probability. An error that all candidates make is
    seen by ``expected_score_`` alone.

    A sample of weight 2 equals two samples: equal samples are one sample of the graph, with the
    sum of their weights. The order of the samples and of the features, copies of all samples and
    constant features do not change a cluster. With precomputed distances, the first of several
    equally distant samples are the neighbors.

    With labels, the clusters found without them are named by these and give way to them along the
    graph, the more the more labels there are [8]_. Labeled samples keep their clusters, unless
    equal samples have others or ``max_samples`` leaves them out. ``cluster_stability_`` is that of
    clusters found again without labels.

    New samples get the mean of their nearest samples of the graph, weighted by 1 / distance [2]_;
    a sample equal to one of X gets exactly what that one has.

    References
    ----------
    .. [1] L. McInnes, J. Healy, J. Melville, "UMAP: Uniform Manifold Approximation and
       Projection for Dimension Reduction", 2018, arXiv:1802.03426.
    .. [2] D. Shepard, "A two-dimensional interpolation function for irregularly-spaced data",
       ACM National Conference 1968.
    .. [3] D. Art, R. Gnanadesikan, J. R. Kettenring, "Data-based metrics for cluster analysis",
       Utilitas Mathematica 21A, 1982.
    .. [4] M. Gagolewski, M. Bartoszuk, A. Cena, "Genie: a new, fast, and outlier-resistant
       hierarchical clustering algorithm", Information Sciences 363, 2016.
    .. [5] A. Gadetsky, Y. Jiang, M. Brbic, "Let go of your labels with unsupervised transfer",
       ICML 2024.
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
    >>> found = NeighborClustering(2, random_state=0).fit(X)
    >>> [len(set(found.labels_[y == k])) for k in range(2)]
    [1, 1]
    >>> bool(found.predict([[0.0, 1.0]]) == found.labels_[y == 0][0])
    True

    The number of clusters found without labels, and coarser clusters from the same fit:

    >>> from sklearn.datasets import make_blobs
    >>> X4, _ = make_blobs(300, centers=[[0, 0], [8, 0], [0, 8], [8, 8]], random_state=0)
    >>> found = NeighborClustering("auto", random_state=0).fit(X4)
    >>> found.n_clusters_
    4
    >>> len(set(found.cut(2)))
    2

    Distances, or a graph of neighbors, that something else computed:

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
            found = find_partition(
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
                answers = found.extend(X, self.n_jobs)
                self.responsibilities_, self.layout_, self.outlier_scores_ = answers
            weights = check_sample_weight(sample_weight, X)
            self.offset_ = find_offset(self.outlier_scores_, self.noise, weights)
            self._set_fitted_attributes(found)
        self._warn_of_number(found.curve)
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

    def _set_fitted_attributes(self, found):
        """Set what has been found, once the samples have responsibilities and positions."""
        clusters = self.responsibilities_.argmax(1)
        self.probabilities_ = self.responsibilities_.max(1)
        self.labels_ = mark_noise(clusters, self.outlier_scores_, self.offset_)
        self.graph_indices_, self.graph_ = found.order_graph()
        self.n_clusters_ = self.responsibilities_.shape[1]
        for name in ("n_clusters_curve_", "_stability"):
            vars(self).pop(name, None)
        self.expected_score_ = found.expected_score
        if found.curve is not None:
            self.n_clusters_curve_ = describe_curve(found.curve)
        tree = found.grow_tree()
        self._leaf_centers, self._leaf_clusters = tree.centers, tree.clusters
        self.children_, self.distances_ = tree.children, tree.distances
        self.n_leaves_, self.leaves_ = len(tree.clusters), tree.find_leaves(self.layout_, clusters)
        reference = found.reference
        self._spacing = reference.spacing
        self._rows, self._keys, self._kept = reference.rows, reference.keys, reference.kept
        self._fit_params = {"metric": self.metric, "n_neighbors": reference.n_neighbors}
        hard = np.eye(self.n_clusters_)[found.resp.argmax(1)] * found.weights[:, None]
        centers = cluster_means(hard, found.layout.astype(np.float64))
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

    def __setstate__(self, state):
        """Restore the state; sparse matrices are checked, because compiled code trusts them."""
        super().__setstate__(state)
        for value in vars(self).values():
            if sparse.issparse(value):
                value.check_format()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        is_given = is_precomputed(self.metric)
        tags.input_tags.pairwise = tags.input_tags.positive_only = is_given
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
