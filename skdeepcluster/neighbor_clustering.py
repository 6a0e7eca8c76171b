"""NeighborClustering: cluster samples by many candidate partitions and a learned criterion.

N samples, M distinct samples in the graph, D features, K clusters, L layout dimensions.
"""

from collections.abc import Callable
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.neighbors import VALID_METRICS
from sklearn.utils import check_scalar
from sklearn.utils._param_validation import (
    Interval,
    StrOptions,
)
from sklearn.utils.validation import check_is_fitted

from .input.checks import check_sample_weight, is_dask, warn_of_empty
from .input.columns import KINDS
from .input.dask import draw_rows, fit_predict, maps_blocks
from .input.distinct import TINY
from .input.documentation import shared_docs
from .input.labels import cluster_means, find_offset, mark_noise, read_known
from .input.parameters import (
    AUTO,
    COUNT,
    FRACTION,
    MAX_CLUSTERS,
    N_CLUSTERS,
    draw_seed,
    forget_missing,
    random_stream,
    read_n_clusters,
    store_parameters,
    with_plain_numbers,
)
from .input.preparation import Preparation, Prepared, prepare
from .input.progress import Progress
from .input.types import Auto, ClusterMixin, Labels, fit_context
from .neighbors.augmented import check_augment, choose_augment
from .neighbors.graph import GraphSettings
from .neighbors.samples import Lookup, interpolate
from .neighbors.search import check_distances
from .partition.search import (
    Problem,
    SearchResult,
    find_by_seeds,
    find_partition,
    make_criterion,
    warn_of_edge,
)
from .partition.selection import Alternative, describe_changes
from .partition.tree import find_leaves, group_leaves, grow_tree


@shared_docs
class NeighborClustering(
    ClusterMixin,
    TransformerMixin,
    ClassNamePrefixFeaturesOutMixin,
    BaseEstimator,
):
    r"""Clustering by many candidate partitions and a learned criterion.

    K-means, Gaussian mixtures, hierarchical methods and others find about 20 candidate
    partitions, in the samples and in layouts of their neighbor graph. A criterion, learned on
    simulated data sets, predicts the adjusted Rand index of each candidate without labels. The
    candidates vote on the cluster of each sample, weighted by these predictions.

    Parameters
    ----------
    n_clusters : int, (int, int) or "auto"
        Number of clusters, or the lowest and the highest number to choose between. "auto": from 1
        to ``max_clusters``.
    n_neighbors : int
        Number of neighbors of each sample in the graph, at most the average number of other
        distinct samples in a cluster.
    metric : str or callable
        As in :class:`sklearn.neighbors.NearestNeighbors`; "cosine" suits text and embeddings. With
        "precomputed", X has the distances between all samples, or is a sparse graph of them as
        :class:`~sklearn.neighbors.KNeighborsTransformer` with ``mode="distance"`` returns.
    standardize : "auto" or bool
        Whether features are divided by their own standard deviations. "auto": False for metrics
        except "euclidean", comparable scales, probabilities, and principal components; True for
        tables. Networks have the same rule.
    augment : callable or "auto"
        ``augment(x)`` returns samples x, a tensor in the units of X, with changes that keep their
        clusters, as in the networks. The distance between two samples is then the smallest from
        one to changed versions (views) of the other, in 50 principal components.
        :class:`~skdeepcluster.nn.RandomAffine` suits images,
        :class:`~skdeepcluster.nn.RandomShift` series. "auto" tries such changes, and X as it is,
        on at most 4,000 samples, and takes what has the highest score in ``augment_scores_``.
    n_views : int
        Number of views of each sample, if there is ``augment``.
    image_shape : tuple of int
        (height, width) or (channels, height, width) of images, for ``augment="auto"``. None: X are
        series.
    n_components : int
        Number of dimensions of the layouts.
    max_samples : int
        Maximum number of distinct samples in the graph. The others are predicted like new ones.
        Graphs of sparse distances have all samples.
    max_clusters : int
        Maximum for ``n_clusters="auto"``, which also needs five distinct samples per cluster.
        Where the number is sought, samples of smaller clusters are moved to others, unless labels
        are given.
    use_labels : bool
        Whether ``y`` of ``fit`` holds known clusters: numbers from 0 to ``n_clusters - 1``, -1
        where unknown. ``n_clusters="auto"`` then finds at least as many clusters.
    n_jobs : int
        Number of threads; None: as many as OpenMP takes. No result depends on it.
    verbose : int
        1 prints the kinds of columns, and shows the stages in a bar, or as lines in a file.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each sample, -1 for noise; equal to ``predict(X)``.
    expected_score_ : float
        Expected adjusted Rand index with the unknown true clusters (possibly one), in [0, 1]. A
        criterion learned on simulated data sets predicts it from how well these clusters are
        separated and found again; your own classes may differ. With noise, it is multiplied by
        the share of samples that have a cluster, as by
        :func:`~skdeepcluster.metrics.expected_score`.
    alternatives_ : list of Alternative
        At most four other partitions: the two next best numbers of clusters or, if ``n_clusters``
        is an int, the two next best partitions; then those that differ from all before (adjusted
        Rand index below 0.8). Each has ``n_clusters``, ``labels``, ``probabilities``,
        ``expected_score``, and in words ``changes``, the samples that it moves, and ``evidence``,
        its merits and, in parentheses, those of the chosen one. The expected score may be higher
        than the chosen one's, which agrees most with all candidates, weighted by their scores.
        See :meth:`use`.
    probabilities_ : ndarray of shape (n_samples,)
        Maximum of the ``responsibilities_`` of each sample.
    responsibilities_ : ndarray of shape (n_samples, n_clusters)
        p(cluster | sample), equal to ``predict_proba(X)``.
    layout_ : ndarray of shape (n_samples, n_components), float32
        Positions of the samples, equal to ``transform(X)``.
    graph_ : CSR matrix of shape (n_graph_samples, n_graph_samples), float32
        Link weights, see :func:`~skdeepcluster.neighbors.neighbor_graph`.
    graph_indices_ : ndarray of shape (n_graph_samples,)
        Positions in X of the samples in the graph, in its order; only the first of equal samples.
    standardize_ : bool
        Whether features are divided by their own standard deviations.
    n_clusters_ : int
        Number of clusters.
    augment_ : callable or None
        The augmentation used.
    augment_scores_ : dict
        With ``augment="auto"``, the mean expected score of two fits for each of them, plus a
        quarter of their mean adjusted Rand index with the fits of the others.
    n_clusters_curve_ : Bunch
        If the number is chosen, arrays over the ``n_clusters`` that were tried. ``evidence`` is
        the ``expected_score`` of the best candidate (for one cluster, the probability that there
        is one), lowered by the ``weakest_pair`` and in tables by a low BIC (see Notes).
        ``weakest_pair`` is how dense the border of two clusters is, relative to the lower of their
        densities: near 1, one may have been divided.
        ``stability`` is the mean adjusted Rand index between candidates.
    outlier_scores_ : ndarray of shape (n_samples,)
        Mean distance, standardized if ``standardize_``, from each sample to its nearest others.
    offset_ : float
        Samples whose outlier score exceeds ``-offset_`` are noise.
    leaves_ : ndarray of shape (n_samples,)
        Leaf of each sample in the tree of clusters: a part of its cluster.
    n_leaves_ : int
        Number of leaves.
    children_ : ndarray of shape (`n_leaves_` - 1, 2)
        Nodes of each merge, as in :class:`sklearn.cluster.AgglomerativeClustering`.
    distances_ : ndarray of shape (`n_leaves_` - 1,)
        Ward's distance of each merge in the layout, ascending.

    See Also
    --------
    skdeepcluster.select_n_clusters : Choose the number of clusters for any clusterer.
    VaDEClustering : A generative network that is initialized with this partition.

    Notes
    -----
    Graph and layouts are computed as in UMAP [1]_. The evidence for a number of clusters is the
    expected score, less 0.1 times the part of the weakest pair above 0.2. The best five numbers
    are searched again with all candidates, and the mean of both scores counts. Where the evidence
    is about equal, the stability decides.

    A sample of weight 2 equals two samples. The order of the samples and features, copies of all
    samples and constant features do not change a cluster, unless rounding decides between
    candidates with about equal scores. With ``augment``, the order of features has a meaning.

    With ``use_labels=True``, labels name the clusters and move samples between them along the
    graph [2]_.

    With standardized numbers, the one-hot columns of a category have the weight
    5/8 min(1, 10 R^2), at least 1/64, with the adjusted R^2 of a linear regression on the other
    columns. If one category tells another, only the better explained one counts. The evidence for
    a number is lowered by 0.6 times the share of categories, times the square root of how far the
    BIC of latent classes is below its highest, in nats per sample.

    Sparse samples with more than 100 features, such as TF-IDF of texts, are compared by a latent
    semantic analysis: 50 components, scaled to unit length.

    New samples get the mean of their nearest samples in the graph, weighted by 1 / distance.

    References
    ----------
    .. [1] L. McInnes, J. Healy, J. Melville, "UMAP: Uniform Manifold Approximation and
       Projection for Dimension Reduction", 2018, arXiv:1802.03426.
    .. [2] X. Zhu, Z. Ghahramani, J. Lafferty, "Semi-supervised learning using Gaussian fields and
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

    Find the number of clusters without labels, and coarser clusters from the same fit:

    >>> from sklearn.datasets import make_blobs
    >>> X4, _ = make_blobs(300, centers=[[0, 0], [8, 0], [0, 8], [8, 8]], random_state=0)
    >>> found = NeighborClustering("auto", random_state=0).fit(X4)
    >>> found.n_clusters_
    4
    >>> len(set(found.cut(2)))
    2
    """

    _parameter_constraints = {
        "n_clusters": N_CLUSTERS,
        "n_neighbors": [COUNT],
        "metric": [StrOptions(set().union(*VALID_METRICS.values())), callable],
        "standardize": [AUTO, "boolean"],
        "kinds": KINDS,
        "augment": [callable, AUTO, None],
        "n_views": [COUNT],
        "image_shape": [tuple, list, None],
        "n_components": [COUNT],
        "max_samples": [COUNT],
        "max_clusters": [Interval(Integral, 2, None, closed="left")],
        "contamination": [FRACTION, AUTO],
        "use_labels": ["boolean"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_clusters: int | tuple[int, int] | Auto = 8,
        *,
        n_neighbors=15,
        metric: str | Callable[..., float] = "euclidean",
        standardize: bool | Auto = "auto",
        kinds: Any = "auto",
        augment: Any = None,
        n_views=16,
        image_shape=None,
        n_components=5,
        max_samples=70_000,
        max_clusters=MAX_CLUSTERS,
        contamination=0.0,
        use_labels=False,
        n_jobs=None,
        verbose=0,
        random_state=None,
    ) -> None:
        store_parameters(locals())

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None) -> Self:
        """Find the clusters of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, nan where values are missing, or the distances between samples. If X is a
            Dask array, ``max_samples`` random samples are fitted, and attributes describe them.
        y : array-like of shape (n_samples,), default=None
            Known clusters with ``use_labels=True``, -1 where unknown; otherwise ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples. Samples of weight 0 are predicted like new ones.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        clusterer = with_plain_numbers(self)
        if is_dask(X):
            if y is not None or sample_weight is not None:
                raise ValueError(
                    "A fit to a Dask array draws samples, so y and sample_weight must be None. "
                    "Or pass X.compute()."
                )
            X = draw_rows(X, clusterer.max_samples, clusterer.random_state)
        with np.errstate(under="ignore"):
            prepared = prepare_samples(clusterer, X, sample_weight)
            y = y if clusterer.use_labels else None
            known = read_known(y, prepared.points.shape[0], clusterer.n_clusters)
            found = find_clusters(clusterer, prepared, known.labels, sample_weight)
        weights = check_sample_weight(sample_weight, prepared.points)
        offset = find_offset(found.outlier_scores, clusterer.contamination, weights)
        is_noise = -found.outlier_scores < offset
        share = 1 - float(np.average(is_noise, weights=weights))
        self._write(prepared.preparation, known.classes, found, offset)
        self._partitions = [
            partition._replace(expected_score=share * partition.expected_score)
            for partition in found.result.partitions
        ]
        return self._show(0)

    fit_predict = fit_predict

    def _write(self, preparation, classes, found, offset):
        """Set the attributes that hold for every answer of the fit."""
        result = found.result
        samples = result.samples
        preparation.write_input(self)
        self.standardize_ = preparation.standardizes_
        self.augment_ = found.augment
        self.augment_scores_ = found.augment_scores
        self.classes_ = classes
        self.n_clusters_curve_ = result.curve
        self.layout_ = result.layout
        self.outlier_scores_ = found.outlier_scores
        self.offset_ = offset
        self.graph_ = samples.graph
        self.graph_indices_ = samples.reference.kept
        self._samples = samples._replace(inverse=None)
        self._lookup = found.lookup
        forget_missing(self, "augment_scores_", "classes_", "n_clusters_curve_")

    def _show(self, place):
        """Take a partition of the fit, by its position, and the others as alternatives."""
        labels = self._list_labels()
        chosen = self._partitions[place]
        self.alternatives_ = list_alternatives(self._partitions, labels, place)
        self.responsibilities_ = chosen.responsibilities
        self.probabilities_ = chosen.responsibilities.max(1)
        self.labels_ = labels[place]
        self.n_clusters_ = chosen.n_clusters
        self.expected_score_ = chosen.expected_score
        self._tree = None
        return self

    def _list_labels(self):
        """Return the labels (N,) of each partition of the fit."""
        return [
            mark_noise(partition.labels, self.outlier_scores_, self.offset_)
            for partition in self._partitions
        ]

    def use(self, alternative) -> Self:
        """Take one of the ``alternatives_`` as the partition; nothing is fitted again.

        Attributes, predictions and cuts then follow it. The old partition becomes an alternative.

        Parameters
        ----------
        alternative : Alternative
            One of ``alternatives_`` of this fit, from before or after another one was used.

        Returns
        -------
        self : object
            The estimator.
        """
        check_is_fitted(self)
        if isinstance(alternative, Alternative):
            known = self._list_labels()[alternative.place :][:1]
            if np.array_equal([alternative.labels], known):
                return self._show(alternative.place)
        raise ValueError(
            f"alternative must be one of the {len(self.alternatives_)} alternatives_ of this "
            f"fit, such as alternatives_[0], got {type(alternative).__name__}."
        )

    # ---- the tree of clusters, grown when it is asked for

    @property
    def children_(self) -> npt.NDArray[np.int64]:
        """Nodes of each merge, as in :class:`sklearn.cluster.AgglomerativeClustering`."""
        return self._grow_tree().children

    @property
    def distances_(self) -> npt.NDArray[np.float64]:
        """Ward's distance of each merge in the layout, ascending."""
        return self._grow_tree().distances

    @property
    def n_leaves_(self) -> int:
        """Number of leaves."""
        return len(self._grow_tree().clusters)

    @property
    def leaves_(self) -> npt.NDArray[np.int64]:
        """Leaf of each sample in the tree of clusters."""
        tree = self._grow_tree()
        clusters = self.responsibilities_.argmax(1)
        return find_leaves(tree.centers, tree.clusters, self.layout_, clusters)

    def _grow_tree(self):
        """Return the :class:`ClusterTree` of the clusters, grown once."""
        check_is_fitted(self)
        if self._tree is None:
            kept = self.graph_indices_
            labels = self.responsibilities_[kept].argmax(1)
            most = max(partition.n_clusters for partition in self._partitions)
            self._tree = grow_tree(self._samples, self.layout_[kept], labels, most)
        return self._tree

    # ---- predictions

    @maps_blocks
    def predict_proba(self, X) -> npt.NDArray[np.float64]:
        """Return p(cluster | sample).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; with ``metric="precomputed"`` their distances to the samples of ``fit``. For a
            Dask array, the result is lazy, as in all predictions.

        Returns
        -------
        ndarray of shape (n_samples, n_clusters)
            Each row sums to one.
        """
        return self._interpolate(X, "responsibilities_")[0]

    @maps_blocks
    def predict(self, X) -> Labels:
        """Return the most probable cluster of each sample, -1 for noise.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, or their distances as in :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Clusters.
        """
        resp, outlier_scores = self._interpolate(X, "responsibilities_")
        return mark_noise(resp.argmax(1), outlier_scores, self.offset_)

    @maps_blocks
    def score_samples(self, X) -> npt.NDArray[np.float64]:
        """Return minus the outlier score of each sample: low values are unusual.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, or their distances as in :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Minus the mean distance to the nearest samples in the graph.
        """
        return -self._interpolate(X)[0]

    def cut(self, n_clusters: int, X=None) -> Labels:
        """Return the labels of fewer or more clusters, from the tree of the same fit.

        Parameters
        ----------
        n_clusters : int
            From 1 to ``n_leaves_``. Fewer than ``n_clusters_`` merge clusters, more divide them.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            New samples to label; None: the samples of ``fit``.

        Returns
        -------
        ndarray of shape (n_samples,)
            Clusters from 0 to ``n_clusters - 1``, or -1 for noise.
        """
        check_is_fitted(self)
        if n_clusters == self.n_clusters_:  # also where some clusters have no leaf
            return self.labels_.copy() if X is None else self.predict(X)

        bounds = {"min_val": 1, "max_val": self.n_leaves_}
        check_scalar(n_clusters, "n_clusters", Integral, **bounds)
        return self._cut(X, n_clusters)

    @maps_blocks
    def _cut(self, X, n_clusters):
        """Return the labels of new samples, or those of the fit, in another number of clusters."""
        tree = self._grow_tree()
        groups = group_leaves(tree.children, tree.clusters, n_clusters)
        leaves = self.leaves_
        outlier_scores = self.outlier_scores_
        if X is not None:
            names = "responsibilities_", "layout_"
            resp, layout, outlier_scores = self._interpolate(X, *names)
            leaves = find_leaves(tree.centers, tree.clusters, layout, resp.argmax(1))
        return mark_noise(groups[leaves], outlier_scores, self.offset_)

    @maps_blocks
    def transform(self, X) -> npt.NDArray[np.float32]:
        """Return the positions of the samples in the layout.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, or their distances as in :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_components), float32
            Positions.
        """
        return self._interpolate(X, "layout_")[0]

    def score(self, X, y=None) -> float:
        """Return the mean simplified silhouette of the samples in the layout: higher is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, or their distances as in :meth:`predict_proba`.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        float
            Mean of (b - a) / max(a, b), with the distances a to the center of the cluster and b
            to the nearest other center; 0 for one cluster.
        """
        resp, layout, _ = self._interpolate(X, "responsibilities_", "layout_")
        clusters = self.responsibilities_.argmax(1)
        return measure_silhouette(self.layout_, clusters, layout, resp)

    # ---- state

    def _read(self, X):
        """Return new samples as points; the samples of the fit fill their gaps."""
        return self.preparation_.read(X, self._lookup.reference.rows)

    def _interpolate(self, X, *names):
        """Return the values of fitted attributes (N, C) for samples X, and outlier scores (N,)."""
        check_is_fitted(self)
        reference = self._lookup.reference
        X = self._read(X)
        if reference.rows is None:
            check_distances(X, square=False)
        values = [getattr(self, name)[reference.kept] for name in names]
        return interpolate(self._lookup, X, values, self.n_jobs)

    @property
    def _n_features_out(self):
        return self.layout_.shape[1]

    def __getstate__(self):
        """Return the state without what predictions and cuts prepare."""
        state = dict(super().__getstate__())
        if "_lookup" in state:
            del state["_lookup"]
            state["_tree"] = None
        return state

    def __setstate__(self, state):
        """Restore the state; compiled code trusts the indices of sparse matrices."""
        super().__setstate__(state)
        if "_samples" in state:
            reference = self._samples.reference
            values = *state.values(), *self._samples, *reference
            for value in filter(sparse.issparse, values):
                value.check_format()
            self._lookup = Lookup(reference)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        is_given = self.metric == "precomputed"
        tags.input_tags.sparse = is_given
        tags.input_tags.pairwise = is_given
        tags.input_tags.positive_only = is_given
        tags.input_tags.allow_nan = not is_given
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


# ---- the fit


class Found(NamedTuple):
    """The partition that a fit has found, for all N samples."""

    #: What the search has found, with responsibilities (N, K) and a layout (N, L).
    result: SearchResult
    #: Mean distance (N,) of each sample to its neighbors.
    outlier_scores: np.ndarray
    lookup: Lookup
    #: How the samples were compared, and the merits of what was tried with "auto".
    augment: Any
    augment_scores: dict | None


def prepare_samples(clusterer, X, sample_weight) -> Prepared:
    """Return X, prepared as a NeighborClustering compares samples."""
    metric = clusterer.metric
    augment = clusterer.augment
    if augment is not None:
        check_augment(metric)
    preparation = Preparation(
        clusterer.kinds,
        standardize=clusterer.standardize,
        metric=metric,
        n_neighbors=clusterer.n_neighbors,
        learns_kinds=augment is None and clusterer.image_shape is None,
        name=type(clusterer).__name__,
    )
    prepared = prepare(X, preparation, sample_weight)
    if preparation.groups_ and augment is not None:
        raise ValueError(
            "augment changes numbers, but X has categories. Set augment=None."
        )
    if preparation.groups_ and metric != "euclidean":
        raise ValueError(
            f"X has categories, which need metric='euclidean', got {metric!r}. Set it, "
            "or kinds='numbers'."
        )
    if clusterer.verbose and preparation.is_table:
        print(preparation.describe())
    return prepared


def find_clusters(clusterer, prepared, labels=None, sample_weight=None) -> Found:
    """Return the clusters of samples by the settings of a NeighborClustering.

    ``labels`` (N,) are known clusters, -1 where unknown, or None.
    """
    numbers = read_n_clusters(clusterer.n_clusters, clusterer.max_clusters)
    problem = Problem(numbers, sample_weight, labels)
    with Progress(type(clusterer).__name__, bool(clusterer.verbose)) as progress:
        n_tried = 0 if numbers.is_given else len(numbers.tried)
        # Graph, layout, partition, assignment, augmentation, and each number that is tried.
        progress.plan(4 + (clusterer.augment == "auto") + n_tried)
        if clusterer.augment == "auto":
            progress.begin("augmentation", 1)
        prepared, augment, scores = augment_samples(clusterer, prepared, numbers)
        settings = make_graph_settings(clusterer)
        result = find_partition(
            prepared, problem, settings, clusterer.random_state, progress
        )
        warn_of_number(clusterer, result)

        progress.begin("assignment", 1)
        lookup = Lookup(result.samples.reference)
        resps = [partition.responsibilities for partition in result.partitions]
        *resps, layout, outlier_scores = interpolate(
            lookup,
            prepared.points,
            [*resps, result.layout],
            clusterer.n_jobs,
            result.samples.inverse,
        )
    partitions = [
        partition._replace(responsibilities=resp)
        for partition, resp in zip(result.partitions, resps, strict=True)
    ]
    result = result._replace(partitions=partitions, layout=layout)
    return Found(result, outlier_scores, lookup, augment, scores)


def augment_samples(clusterer, prepared, numbers):
    """Return the samples with their augmentation, the augmentation, and the merits with "auto"."""
    augment = clusterer.augment
    scores = None
    if augment == "auto":
        stream = random_stream(clusterer.random_state)
        stream = np.random.RandomState(draw_seed(stream))
        settings = make_graph_settings(clusterer)
        fit = partial(find_by_seeds, n_clusters=numbers, settings=settings)
        augment, scores = choose_augment(prepared, clusterer.image_shape, fit, stream)
    return prepared.change(augment), augment, scores


def measure_partitions(clusterer, prepared, sample_weight):
    """Return the criterion of samples, and the distinct samples of their graph."""
    numbers = read_n_clusters("auto", clusterer.max_clusters)
    prepared, *_ = augment_samples(clusterer, prepared, numbers)
    settings = make_graph_settings(clusterer)
    return make_criterion(prepared, settings, sample_weight, clusterer.random_state)


def make_graph_settings(clusterer):
    """Return the :class:`GraphSettings` of a NeighborClustering."""
    return GraphSettings(
        n_neighbors=clusterer.n_neighbors,
        metric=clusterer.metric,
        n_components=clusterer.n_components,
        max_samples=clusterer.max_samples,
        n_jobs=clusterer.n_jobs,
        n_views=clusterer.n_views,
    )


def list_alternatives(partitions, labels, place):
    """Return the other partitions of a fit as alternatives to one of them.

    ``labels`` (N,) are the ones of each partition, ``place`` the position of the chosen one.
    Partitions that are equal, because a cluster became noise, are left out.
    """
    changes = [describe_changes(labels[place], own) for own in labels]
    return [
        Alternative(
            n_clusters=other.n_clusters,
            expected_score=other.expected_score,
            changes=changes[i],
            evidence=_describe_evidence(other, partitions[place]),
            labels=labels[i],
            probabilities=other.responsibilities.max(1),
            place=i,
        )
        for i, other in enumerate(partitions)
        if changes[i]
    ]


def _describe_evidence(partition, chosen):
    """Return what speaks for a partition, beside the same numbers of the chosen one."""
    names = "expected score", "agreement of candidates", "mean probability"
    numbers = [
        [each.expected_score, each.agreement, each.responsibilities.max(1).mean()]
        for each in (partition, chosen)
    ]
    return ", ".join(
        f"{name} {value:.2f} ({other:.2f})"
        for name, value, other in zip(names, *numbers, strict=True)
    )


def measure_silhouette(layout, clusters, new_layout, new_resp):
    """Return the mean simplified silhouette of new samples (n, L) with responsibilities (n, K).

    The ``layout`` (N, L) of a fit gives the centers of the clusters.
    """
    present, places = np.unique(clusters, return_inverse=True)
    if len(present) < 2:
        return 0.0

    centers = cluster_means(np.eye(len(present))[places], layout.astype(float))
    distances = cdist(new_layout, centers)
    assigned = np.arange(len(new_resp)), new_resp[:, present].argmax(1)

    a = distances[assigned]
    distances[assigned] = np.inf
    b = distances.min(1)
    larger = np.maximum(np.maximum(a, b), TINY)
    return float(((b - a) / larger).mean())


# ---- warnings


def warn_of_number(clusterer, result):
    """Warn of empty clusters, and of a number at the edge of those that were tried."""
    warn_of_empty(
        len(np.unique(result.best.labels)),
        result.best.n_clusters,
        "clusters",
        "Decrease n_clusters, or leave out duplicate points.",
    )
    if clusterer.n_clusters == "auto":
        warn_of_edge(result, clusterer.max_clusters)
