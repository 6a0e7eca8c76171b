"""NeighborClustering: cluster samples by many candidate partitions and a learned criterion.

N samples, M distinct samples in the graph, D features, K clusters, L embedding dimensions.
"""

from collections.abc import Callable
from numbers import Integral
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.neighbors import VALID_METRICS
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from .input.checks import check_sample_weight, is_dask
from .input.dask import draw_rows, fit_predict, maps_blocks
from .input.kinds import KINDS
from .input.labels import find_offset, mark_noise, read_known
from .input.parameters import (
    AUTO,
    COUNT,
    FRACTION,
    N_CLUSTERS,
    copy_shallowly,
    forget_missing,
    read_n_clusters,
    store_parameters,
    with_plain_numbers,
)
from .input.preparation import Preparation, prepare
from .input.types import Auto, ClusterMixin, Labels, fit_context
from .neighbors.augmented import check_augment
from .neighbors.graph import GraphSettings
from .neighbors.samples import Lookup, interpolate
from .neighbors.search import check_distances
from .partition.search import Problem, SearchSettings, find_clusters
from .partition.selection import list_alternatives
from .partition.tree import ClusterTree, grow_tree
from .utils.documentation import shared_docs


@shared_docs
class NeighborClustering(
    ClusterMixin,
    TransformerMixin,
    ClassNamePrefixFeaturesOutMixin,
    BaseEstimator,
):
    r"""Clustering by many candidate partitions and a learned criterion.

    K-means, Gaussian mixtures, hierarchical methods and others find about 20 candidate
    partitions, in the samples and in embeddings of their neighbor graph. A criterion, learned on
    simulated data sets, predicts the adjusted Rand index of each candidate without labels. The
    candidates vote on the cluster of each sample, weighted by these predictions.

    Parameters
    ----------
    n_clusters : int, (int, int), range or "auto"
        Number of clusters, or the lowest and the highest number to choose between, or a range of
        numbers. "auto": from 1 to 60, as far as there are five distinct samples per cluster.
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
    image_shape : tuple of int
        (height, width) or (channels, height, width) of images, for ``augment="auto"``. None: X are
        series.
    n_components : int
        Number of dimensions of the embeddings.
    max_samples : int
        Maximum number of distinct samples in the graph. The others are predicted like new ones.
        Graphs of sparse distances have all samples.
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
    alternatives_ : tuple of Alternative
        At most four other partitions: the two next best numbers of clusters or, if ``n_clusters``
        is an int, the two next best partitions; then those that differ from all before (adjusted
        Rand index below 0.8). Each has ``n_clusters``, ``labels``, ``probabilities``,
        ``expected_score``, and in words ``changes``, the samples that it moves, and ``reasons``,
        numbers that speak for it and, in parentheses, those of the chosen one. The expected score
        may be higher than the chosen one's, which agrees most with all candidates, weighted by
        their scores. See :meth:`use`.
    probabilities_ : ndarray of shape (n_samples,)
        Maximum of the ``responsibilities_`` of each sample.
    responsibilities_ : ndarray of shape (n_samples, n_clusters)
        p(cluster | sample), equal to ``predict_proba(X)``.
    embedding_ : ndarray of shape (n_samples, n_components), float32
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
        is one), lowered by the ``saddle_density`` and in tables by a low BIC (see Notes).
        ``saddle_density`` is how dense the border of two clusters is, relative to the lower of
        their densities: near 1, one may have been divided.
        ``stability`` is the mean adjusted Rand index between candidates. ``is_likely`` tells
        which numbers have about as much evidence as the best one (at most 0.05 less).
    outlier_scores_ : ndarray of shape (n_samples,)
        Mean distance, standardized if ``standardize_``, from each sample to its nearest others.
    offset_ : float
        Samples whose outlier score exceeds ``-offset_`` are noise.
    tree_ : ClusterTree
        The tree of clusters, whose leaves are parts of clusters: ``children`` and ``distances`` as
        in :class:`sklearn.cluster.AgglomerativeClustering`, ``leaves`` (n_samples,), and
        ``cut(n_clusters)`` for the labels of fewer or more clusters.

    See Also
    --------
    skdeepcluster.select_n_clusters : Choose the number of clusters for any clusterer.
    VaDEClustering : A generative network that is initialized with this partition.

    Notes
    -----
    Graph and embeddings are computed as in UMAP [1]_. The evidence for a number of clusters is the
    expected score, less 0.1 times the part of the saddle density above 0.2. The best five numbers
    are searched again with all candidates, and the mean of both scores counts. Where the evidence
    is about equal, the stability decides.

    A sample of weight 2 equals two samples. The order of the features changes no more than
    another ``random_state`` does. With ``augment``, their order has a meaning.

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
    >>> len(set(found.tree_.cut(2)))
    2
    """

    _parameter_constraints = {
        "n_clusters": N_CLUSTERS,
        "n_neighbors": [COUNT],
        "metric": [StrOptions(set().union(*VALID_METRICS.values())), callable],
        "standardize": [AUTO, "boolean"],
        "kinds": KINDS,
        "augment": [callable, AUTO, None],
        "image_shape": [tuple, list, None],
        "n_components": [COUNT],
        "max_samples": [COUNT],
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
        image_shape=None,
        n_components=5,
        max_samples=70_000,
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
            n_samples = prepared.points.shape[0]
            known = read_known(
                y if self.use_labels else None, n_samples, self.n_clusters
            )
            numbers = read_n_clusters(clusterer.n_clusters)
            problem = Problem(numbers, sample_weight, known.labels)
            found = find_clusters(prepared, problem, read_settings(clusterer))

        weights = check_sample_weight(sample_weight, prepared.points)
        offset = find_offset(found.outlier_scores, clusterer.contamination, weights)
        is_noise = -found.outlier_scores < offset
        share = 1 - float(np.average(is_noise, weights=weights))

        self.classes_ = known.classes
        self.offset_ = offset
        self._partitions = tuple(
            partition._replace(expected_score=share * partition.expected_score)
            for partition in found.partitions
        )
        self._set_fitted(found, prepared.preparation)
        self._take(0)
        return self

    fit_predict = fit_predict

    def _set_fitted(self, found, preparation):
        """Set the attributes that all partitions of the fit share."""
        preparation.write_input(self)
        self.standardize_ = preparation.scaler_.standardizes_
        self.augment_ = found.augment
        self.augment_scores_ = found.augment_scores
        self.n_clusters_curve_ = found.curve
        self.embedding_ = found.embedding
        self.outlier_scores_ = found.outlier_scores
        self.graph_ = found.samples.graph
        self.graph_indices_ = found.samples.reference.kept
        self._samples = found.samples._replace(inverse=None)
        self._lookup = found.lookup
        forget_missing(self, "augment_scores_", "classes_", "n_clusters_curve_")

    def _take(self, place):
        """Set the attributes of one of the partitions of the fit, by its position."""
        labels = [
            mark_noise(partition.labels, self.outlier_scores_, self.offset_)
            for partition in self._partitions
        ]
        chosen = self._partitions[place]
        self.alternatives_ = list_alternatives(self._partitions, labels, place)
        self.responsibilities_ = chosen.responsibilities
        self.probabilities_ = chosen.responsibilities.max(1)
        self.labels_ = labels[place]
        self.n_clusters_ = chosen.n_clusters
        self.expected_score_ = chosen.expected_score
        self._tree = None

    def use(self, alternative) -> Self:
        """Return the fitted estimator with one of the ``alternatives_`` as its partition.

        Nothing is fitted again, and this estimator stays as it is. In the new one, attributes,
        predictions and the tree follow the alternative, and this partition is an alternative.

        Parameters
        ----------
        alternative : Alternative
            One of ``alternatives_``.

        Returns
        -------
        other : object
            Another estimator.
        """
        check_is_fitted(self)
        if not any(alternative is known for known in self.alternatives_):
            raise ValueError(
                f"alternative must be one of the {len(self.alternatives_)} alternatives_ of this "
                f"fit, such as alternatives_[0], got {type(alternative).__name__}."
            )
        other = copy_shallowly(self)
        other._take(alternative.place)
        return other

    @property
    def tree_(self) -> ClusterTree:
        """The tree of clusters, which is grown on first use."""
        check_is_fitted(self)
        if self._tree is None:
            most = max(partition.n_clusters for partition in self._partitions)
            is_noise = -self.outlier_scores_ < self.offset_
            self._tree = grow_tree(
                self._samples,
                self.embedding_,
                self.responsibilities_.argmax(1),
                is_noise,
                most,
            )
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

    @maps_blocks
    def transform(self, X) -> npt.NDArray[np.float32]:
        """Return the positions of the samples in the embedding.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, or their distances as in :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_components), float32
            Positions.
        """
        return self._interpolate(X, "embedding_")[0]

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
        return self.embedding_.shape[1]

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


# ---- what the parameters mean


def prepare_samples(clusterer, X, sample_weight):
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


def read_settings(clusterer):
    """Return what the parameters of a NeighborClustering mean for the search of clusters."""
    graph = GraphSettings(
        n_neighbors=clusterer.n_neighbors,
        metric=clusterer.metric,
        n_components=clusterer.n_components,
        max_samples=clusterer.max_samples,
        n_jobs=clusterer.n_jobs,
    )
    return SearchSettings(
        graph,
        clone(clusterer.augment, safe=False),
        clusterer.image_shape,
        clusterer.random_state,
        bool(clusterer.verbose),
    )
