"""ClusterEnsemble: one partition from several fits of any clusterer.

N samples, M members, K clusters of the consensus, K_m clusters of member m. Memberships P_m
(N, K_m) are probabilities or one-hot labels. Tables A_m (K_m, K) map them to the consensus.
"""

from itertools import cycle, islice
from numbers import Integral
from typing import Self

import numpy as np
from joblib import Parallel, delayed
from scipy.optimize import linear_sum_assignment
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import KMeans
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_is_fitted, validate_data

from .input.checks import check_enough, warn_of_empty
from .input.labels import (
    indicate,
    mean_greatest_jaccard,
    normalize_rows,
    predict_samples,
)
from .input.parameters import COUNT, store_parameters
from .input.preparation import Preparation, prepare
from .input.types import ClusterMixin, Doubles, Labels, available_if, fit_context
from .neighbors.search import has_distances
from .partition.candidates import agglomerate
from .utils.random import draw_seeds, random_stream

#: Constraint of members.
CLUSTERER = HasMethods(["fit_predict"])
#: Maximum number of iterations of matching members to their consensus.
MAX_MATCHINGS = 20
#: Number of decimals of memberships that are compared; the others are rounding errors.
N_DECIMALS = 12


def _members_predict(ensemble):
    """Return whether all members have ``predict``."""
    return all(hasattr(member, "predict") for member in ensemble._list_templates())


class ClusterEnsemble(ClusterMixin, BaseEstimator):
    r"""Consensus of several fits of a clusterer.

    Its memberships are :math:`\frac{1}{M} \sum_m P_m A_m`: the mean of the memberships
    :math:`P_m` of M members, with clusters mapped to the consensus by the tables :math:`A_m`.

    Parameters
    ----------
    estimator : clusterer or list of clusterers, default=None
        The members are clones of it, or of each in a list in turn, with new seeds. None is
        :class:`~sklearn.cluster.KMeans`.
    n_estimators : int, default=10
        Number of members.
    n_clusters : int, default=None
        Number of clusters of the consensus; None is the number that most members found.
    n_jobs : int, default=None
        Number of members that are fitted at the same time, as in scikit-learn.
    random_state : int, RandomState instance or None, default=None
        Determines the members' seeds.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster labels, -1 for samples that no member assigns.
    probabilities_ : ndarray of shape (n_samples,)
        Membership in the assigned cluster; 0 for label -1.
    estimators_ : list of estimators
        The fitted members.
    member_labels_ : ndarray of shape (n_samples, n_estimators)
        Labels by each member, in its own numbering; -1 for none.
    n_clusters_ : int
        Number of clusters of the consensus.
    tables_ : list of ndarray of shape (n_clusters of the member, n_clusters)
        Maps of the members' clusters to the consensus.
    agreement_ : ndarray of shape (n_estimators,)
        Share of the samples that a member assigns to the same cluster as the consensus.
    row_agreement_ : ndarray of shape (n_samples,)
        Share of the members that assign a sample to the same cluster as the consensus.
    cluster_stability_ : ndarray of shape (n_clusters,)
        Mean over members of the greatest Jaccard index of each cluster with a cluster of the
        member [2]_. Clusters above 0.85 are stable; do not trust those below 0.6.
    preparation_ : Preparation or None
        How X becomes the numbers that some members get, if there are any.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Feature names, if X has names that are all strings.

    See Also
    --------
    skdeepcluster.compare : Different clusterers of the same samples.

    Notes
    -----
    Members vote with their probabilities: their clusters are matched with the clusters of the
    consensus (Hungarian algorithm) and their memberships are averaged, in turns [1]_. An
    unmatched cluster of a member joins the cluster of the consensus with which it shares most
    samples.

    References
    ----------
    .. [1] W. Harchaoui, P.-A. Mattei, C. Bouveyron, "Deep Adversarial Gaussian Mixture
       Auto-Encoder for Clustering", ICLR workshop 2017 (DAC EC).
    .. [2] C. Hennig, "Cluster-wise assessment of cluster stability", Computational Statistics &
       Data Analysis 52, 2007.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import ClusterEnsemble
    >>> X, y = make_blobs(90, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    >>> ensemble = ClusterEnsemble(KMeans(3), n_estimators=5, random_state=0).fit(X)
    >>> [len(set(ensemble.labels_[y == k])) for k in range(3)]
    [1, 1, 1]
    """

    _parameter_constraints = {
        "estimator": [CLUSTERER, list, None],
        "n_estimators": [COUNT],
        "n_clusters": [COUNT, None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        n_estimators=10,
        *,
        n_clusters=None,
        n_jobs=None,
        random_state=None,
    ) -> None:
        store_parameters(locals())

    # ---- fitting

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None) -> Self:
        """Fit the members and find their consensus.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Samples. Pipelines, and clusterers of this package, get X as it is; all others get
            prepared numbers, as in :func:`~skdeepcluster.compare`.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        self : object
            The fitted ensemble.
        """
        members = self._make_members()
        preparation, points = _prepare_for(members, X)
        inputs = [X if reads_tables(member) else points for member in members]
        members = Parallel(n_jobs=self.n_jobs)(
            delayed(member.fit)(own)
            for member, own in zip(members, inputs, strict=True)
        )

        memberships = list(map(_find_memberships, members, inputs))
        member_labels = np.stack([_label(P) for P in memberships], 1)
        n_clusters = int(self.n_clusters or _find_usual_number(member_labels))
        check_enough(len(member_labels), n_clusters)
        tables = _find_consensus(memberships, n_clusters)
        mapped = _map_members(memberships, tables)
        resp = mapped.mean(0)
        labels = _label(resp)
        agrees = _label(mapped) == labels
        warn_of_empty(
            count_used(labels),
            n_clusters,
            "clusters of the consensus",
            "Decrease n_clusters or increase n_estimators.",
        )

        validate_data(self, X, skip_check_array=True)
        self.labels_ = labels
        self.probabilities_ = np.where(labels < 0, 0.0, normalize_rows(resp).max(1))
        self.preparation_ = preparation
        self.estimators_ = members
        self.member_labels_ = member_labels
        self.n_clusters_ = n_clusters
        self.tables_ = tables
        self.agreement_ = agrees.mean(1)
        self.row_agreement_ = agrees.mean(0)
        self.cluster_stability_ = mean_greatest_jaccard(
            labels, member_labels, n_clusters
        )
        return self

    def _list_templates(self):
        """Return the estimators that the members are clones of."""
        if isinstance(self.estimator, list):
            return self.estimator
        return [KMeans() if self.estimator is None else self.estimator]

    def _make_members(self):
        """Return the members, with seeds of their own."""
        templates = self._list_templates()
        if not templates or not all(map(CLUSTERER.is_satisfied_by, templates)):
            raise TypeError(
                f"estimator must list objects with fit_predict. Got {templates}."
            )
        random_state = random_stream(self.random_state)
        members = []
        for template in islice(cycle(templates), self.n_estimators):
            seeds = draw_seeds(template, random_state)
            members.append(clone(template).set_params(**seeds))
        return members

    # ---- predictions

    @available_if(_members_predict)
    def predict_proba(self, X) -> Doubles:
        """Return the memberships in the clusters of the consensus.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Samples to assign.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_clusters)
            Rows sum to one; uniform for samples that no member assigns.
        """
        return normalize_rows(self._assign(X).mean(0))

    @available_if(_members_predict)
    def predict(self, X) -> Labels:
        """Return the clusters of the consensus.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Samples to assign.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for samples that no member assigns.
        """
        return _label(self._assign(X).mean(0))

    @available_if(_members_predict)
    def score(self, X, y=None) -> float:
        """Return the mean agreement of the members with the consensus; higher is better.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Samples to score.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        agreement : float
            Mean over members of the share of samples with the same cluster as in the consensus.
        """
        mapped = self._assign(X)
        return float((_label(mapped) == _label(mapped.mean(0))).mean())

    def _assign(self, X):
        """Return P_m A_m of new samples, (M, N, K); the mean is zero where no member assigns."""
        check_is_fitted(self)
        if np.ndim(X) != 2:
            check_array(X, dtype=None)  # raises scikit-learn's error
        validate_data(self, X, reset=False, skip_check_array=True)
        points = X if self.preparation_ is None else self.preparation_.read(X)
        memberships = []
        for member, table in zip(self.estimators_, self.tables_, strict=True):
            own = X if reads_tables(member) else points
            memberships.append(_find_memberships(member, own, len(table)))
        return _map_members(memberships, self.tables_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        for template in self._list_templates()[:1]:
            tags.input_tags = get_tags(template).input_tags
            has_points = not tags.input_tags.pairwise
            tags.input_tags.sparse &= not has_points
            tags.input_tags.allow_nan |= has_points and not reads_tables(template)
        return tags


# ---- members


def reads_tables(clusterer):
    """Return whether a clusterer gets X as it is: it reads tables, or is a Pipeline."""
    if isinstance(clusterer, Pipeline | ClusterEnsemble):
        return True
    return "kinds" in clusterer.get_params(deep=False)


def _prepare_for(members, X):
    """Return the preparation of X, or None, and what members get that do not read tables."""
    if all(map(reads_tables, members)) or any(map(has_distances, members)):
        return None, X
    preparation = Preparation(name="ClusterEnsemble")
    points = prepare(X, preparation).points
    if not preparation.changes_samples:
        return None, X
    return preparation, points


def _find_memberships(member, X, n_clusters=None):
    """Return the memberships P (N, K_m) of samples by a fitted member, zero for label -1."""
    labels = predict_samples(member, X)
    if hasattr(member, "predict_proba"):
        resp = np.array(member.predict_proba(X), dtype=np.float64)
        resp[labels < 0] = 0
        return resp
    size = n_clusters or labels.max(initial=0) + 1
    return indicate(labels, size).toarray()


def _map_members(memberships, tables):
    """Return P_m A_m of all members, (M, N, K)."""
    return np.stack([P @ A for P, A in zip(memberships, tables, strict=True)])


def _label(memberships):
    """Return the most probable clusters (..., N), -1 where all memberships are 0."""
    most_probable = memberships.round(N_DECIMALS).argmax(-1)
    return np.where(memberships.any(-1), most_probable, -1)


def count_used(labels):
    """Return the number of clusters that have samples."""
    return len(np.unique(labels[labels >= 0]))


def _find_usual_number(member_labels):
    """Return the number of clusters that most members found, the smallest of a tie."""
    numbers = [count_used(labels) for labels in member_labels.T]
    return max(1, np.bincount(numbers).argmax())


# ---- consensus


def _find_consensus(memberships, n_clusters):
    """Return the tables A_m by matching and averaging in turns, from the member that agrees most.

    Clusters of the members are sorted, so that their numbering does not decide ties.
    """
    orders = [np.lexsort(-P[::-1]) for P in memberships]
    memberships = [P[:, order] for P, order in zip(memberships, orders, strict=True)]
    consensus = _choose_first(memberships, n_clusters)
    tables = None
    for _ in range(MAX_MATCHINGS):
        before = tables
        tables = [_match(P.T @ consensus) for P in memberships]
        if before and all(map(np.array_equal, before, tables)):
            break
        consensus = normalize_rows(_map_members(memberships, tables).mean(0))
    return [A[np.argsort(order)] for A, order in zip(tables, orders, strict=True)]


def _choose_first(memberships, n_clusters):
    """Return the memberships (N, K) by the member that agrees most, the largest cluster first.

    If this member has more than K clusters, average linkage agglomerates them.
    """
    agreement = []
    for P in memberships:
        overlaps = [P.T @ Q for Q in memberships]
        agreement.append(sum((overlap * _match(overlap)).sum() for overlap in overlaps))
    first = memberships[int(np.argmax(agreement))]
    first = first[:, first.any(0)]

    if first.shape[1] > n_clusters:
        overlaps = [first.T @ P for P in memberships]
        edges = sum(overlap @ overlap.T for overlap in overlaps) / len(overlaps)
        groups = agglomerate(edges, first.sum(0), n_clusters)
        first = np.stack([first[:, group].sum(1) for group in groups], 1)

    order = np.argsort(-first.sum(0), kind="stable")
    consensus = np.zeros((len(first), n_clusters))
    consensus[:, : len(order)] = first[:, order]
    return consensus


def _match(overlap):
    """Return the table (K_m, K) of a one-to-one match, and of the most similar for the others."""
    table = np.zeros_like(overlap)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    table[rows, columns] = 1
    unmatched = np.setdiff1d(np.arange(len(table)), rows)
    table[unmatched, overlap[unmatched].argmax(1)] = 1
    return table
