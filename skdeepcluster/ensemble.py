r"""ClusterEnsemble: one partition from several fits of any clusterer.

N samples, M members, K clusters of the consensus, K_m clusters of member m. Memberships P_m
(N, K_m) are probabilities or one-hot labels of member m. A table A_m (K_m, K), whose rows sum to
one, maps its clusters to the consensus, whose memberships are sum_m w_m P_m A_m.
"""

import warnings
from itertools import cycle, islice
from numbers import Integral, Real
from typing import Self

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import normalized_mutual_info_score
from sklearn.utils import _safe_indexing, check_array, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data

from ._fitting import (
    draw_seeds,
    end_interrupted_member,
    fitting_member,
    random_stream,
    restore_on_failure,
    store_parameters,
)
from ._responsibilities import indicate, mean_greatest_jaccard, normalize_rows
from ._typing import ClusterMixin, Labels, available_if, fit_context
from ._validation import NumericParameters, check_answers, check_enough
from .neighbors.candidates import agglomerate

#: Maximum number of iterations of matching members to their consensus; two or three usually do.
MAX_ITER = 20
#: Maximum number of label combinations that co-association agglomerates: the most frequent ones.
MAX_COMBINATIONS = 2000
#: Number of decimals of memberships that count in comparisons; the others are rounding errors.
DECIMALS = 12


def _members_predict(ensemble):
    """Return whether all members have ``predict``."""
    members = getattr(ensemble, "estimators_", None) or ensemble._list_templates()
    return all(hasattr(member, "predict") for member in members)


class ClusterEnsemble(NumericParameters, ClusterMixin, BaseEstimator):
    r"""Consensus of several fits of a clusterer.

    Its memberships are :math:`\sum_m w_m P_m A_m`: the weighted mean of the members' memberships
    :math:`P_m`, with clusters mapped to the consensus by the tables :math:`A_m`.

    Parameters
    ----------
    estimator : clusterer or list of clusterers, default=None
        Objects with ``fit_predict``, for instance Pipelines; None is
        :class:`~sklearn.cluster.KMeans`. The members are clones; a list takes turns.
        Every parameter ``random_state`` is set to a new seed.
    n_estimators : int, default=10
        Number of members.
    consensus : {"soft_vote", "co_association"}, default="soft_vote"
        "soft_vote" matches the clusters of the members to the consensus (Hungarian
        algorithm) and averages the memberships, alternately until a fixed point.
        "co_association" applies average linkage to the share of members that assign two samples
        to the same cluster (A. Fred, A. Jain, IEEE TPAMI 2005).
    weights : {"score"} or None, default=None
        None weighs members equally. "score" weighs them by exp((s - max s) / std s), where s is
        their ``score`` on X. Scores of different methods are not comparable.
    n_clusters : int, default=None
        Number of clusters of the consensus; None is the number that most members found.
    max_samples : float, default=1.0
        Share of the samples, drawn without replacement, that each member is fitted to. Less than
        1 makes members differ, and needs members with ``predict``.
    accept_sparse : bool, default=False
        Whether sparse X is passed to the members, as CSR.
    n_jobs : int, default=None
        Number of members that are fitted at the same time, as in scikit-learn.
    random_state : int, RandomState instance or None, default=None
        Determines the members' seeds and samples.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster labels, -1 for samples that no member assigns. Equal to ``predict(X)`` if the
        members can predict.
    probabilities_ : ndarray of shape (n_samples,)
        Membership in the assigned cluster; 0 for label -1.
    estimators_ : list of estimators
        The fitted members.
    member_labels_ : ndarray of shape (n_samples, n_estimators)
        Labels by each member, in its own numbering; -1 for none.
    weights_ : ndarray of shape (n_estimators,)
        Weights of the members; they sum to one.
    n_clusters_ : int
        Number of clusters of the consensus.
    tables_ : list of ndarray of shape (n_clusters of the member, n_clusters)
        Maps of the members' clusters to the consensus; rows sum to one.
    agreement_ : ndarray of shape (n_estimators,)
        Share of the samples that a member, its clusters mapped by its table, assigns as the
        consensus does.
    row_agreement_ : ndarray of shape (n_samples,)
        Share of the members that assign a sample as the consensus does; low for doubtful labels.
    cluster_stability_ : ndarray of shape (n_clusters,)
        Mean over members of the greatest Jaccard index of each cluster of the consensus with a
        cluster of the member [3]_. Do not trust clusters below .6; above .85 they are stable.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Feature names, if X has names that are all strings.

    See Also
    --------
    NeighborClustering : A single fit whose probabilities say how sure it is.
    skdeepcluster.stability.cluster_stability : Stability of the clusters of one clusterer.

    Notes
    -----
    The result does not depend on how members number their clusters. Members may have different
    numbers of clusters: an unmatched one joins the cluster of the consensus with which it shares
    most samples.

    Co-association agglomerates the 2,000 most frequent combinations of labels; other samples join
    the most similar one. It may merge two clusters and split off doubtful samples instead.
    Therefore the partition by "soft_vote" is taken if it has more nonempty clusters or, if it has
    as many, a higher mean normalized mutual information with the members [2]_.

    Ctrl-C stops the members that are being fitted, and the completed ones give the consensus (a
    ConvergenceWarning); without any, KeyboardInterrupt is raised and an earlier fit is kept.

    An ensemble cannot correct errors that all members make. Compare ensembles with ensembles.

    References
    ----------
    .. [1] W. Harchaoui, P.-A. Mattei, C. Bouveyron, "Deep Adversarial Gaussian Mixture
       Auto-Encoder for Clustering", ICLR workshop 2017 (DAC EC).
    .. [2] A. Strehl, J. Ghosh, "Cluster Ensembles", JMLR 2002.
    .. [3] C. Hennig, "Cluster-wise assessment of cluster stability", Computational Statistics &
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
    >>> ensemble.agreement_
    array([1., 1., 1., 1., 1.])
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit_predict"]), list, None],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "consensus": [StrOptions({"soft_vote", "co_association"})],
        "weights": [StrOptions({"score"}), None],
        "n_clusters": [Interval(Integral, 1, None, closed="left"), None],
        "max_samples": [Interval(Real, 0, 1, closed="right")],
        "accept_sparse": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        n_estimators=10,
        consensus="soft_vote",
        *,
        weights=None,
        n_clusters=None,
        max_samples=1.0,
        accept_sparse=False,
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
            Samples, passed to the members unchanged.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        self : object
            The fitted ensemble.
        """
        with restore_on_failure(self):
            X = self._check_rows(X, reset=True)
            members, labels = self._fit_members(X)
            pairs = zip(members, labels, strict=True)
            memberships = [_compute_memberships(*pair, X) for pair in pairs]
            weights = self._weigh_members(members, X)
            member_labels = np.stack([_label(P) for P in memberships], 1)
            n_clusters = self.n_clusters or _find_usual_number(member_labels)
            check_enough(len(member_labels), n_clusters)
            tables = _find_consensus(memberships, weights, n_clusters, self.consensus)
            self.estimators_, self.member_labels_ = members, member_labels
            self.weights_, self.tables_, self.n_clusters_ = weights, tables, n_clusters
            sums = _sum_memberships(memberships, tables, weights)
            self.labels_ = _label(sums)
            self.probabilities_ = np.where(self.labels_ < 0, 0.0, normalize_rows(sums).max(1))
            agree = _compare_members(memberships, tables, self.labels_)
            self.agreement_, self.row_agreement_ = agree.mean(0), agree.mean(1)
            self.cluster_stability_ = mean_greatest_jaccard(
                self.labels_, member_labels, n_clusters
            )
        self._warn_of_empty_clusters()
        return self

    def _warn_of_empty_clusters(self):
        """Warn of clusters without samples."""
        n_found = len(np.unique(self.labels_[self.labels_ >= 0]))
        if n_found < self.n_clusters_:
            warnings.warn(
                f"Only {n_found} of n_clusters={self.n_clusters_} clusters of the consensus have "
                "samples. Decrease n_clusters, increase n_estimators, or have the members find "
                "more clusters.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _check_rows(self, X, reset=False):
        """Check the shape and the feature names of X; the members check its values."""
        if sparse.issparse(X) and not self.accept_sparse:
            raise TypeError(
                "ClusterEnsemble got sparse data, but takes dense arrays by default. Set "
                "accept_sparse=True if the members take it, or pass X.toarray()."
            )
        if np.ndim(X) != 2:
            check_array(X, dtype=None)  # raises scikit-learn's error
        X = validate_data(self, X, reset=reset, skip_check_array=True)
        return X.tocsr() if sparse.issparse(X) else X

    def _list_templates(self):
        """Return the estimators that the members are clones of."""
        if self.estimator is None:
            return [KMeans()]
        return self.estimator if isinstance(self.estimator, list) else [self.estimator]

    def _fit_members(self, X):
        """Return the fitted members, and their labels (N,) if they were fitted to all samples."""
        templates = self._list_templates()
        if not templates or not all(hasattr(member, "fit_predict") for member in templates):
            raise TypeError(
                "A list of estimators should hold clusterers, objects with a fit_predict method. "
                f"Got {templates}."
            )
        unable = [type(member).__name__ for member in templates if not hasattr(member, "predict")]
        if unable and self.max_samples < 1:
            raise TypeError(
                f"max_samples={self.max_samples} needs members that assign the samples they are "
                f"not fitted to, but {unable[0]} has no predict. Use max_samples=1.0."
            )
        stream, n_samples, fits = random_stream(self.random_state), _num_samples(X), []
        for i, template in enumerate(islice(cycle(templates), self.n_estimators)):
            own = draw_seeds(template, stream)
            for name, value in template.get_params().items():
                if name.split("__")[-1] == "checkpoint" and value is not None:
                    own[name] = f"{value}.{i}"
            chosen = None
            if self.max_samples < 1:
                n_chosen = max(1, round(self.max_samples * n_samples))
                chosen = np.sort(stream.permutation(n_samples)[:n_chosen])
            fits.append(delayed(_fit)(clone(template).set_params(**own), chosen, X))
        members, labels = zip(*self._run(fits), strict=True)
        return list(members), list(labels)

    def _run(self, fits):
        """Return the results of the fits: those completed, if the user interrupts them."""
        fitted = []
        try:
            for fit in Parallel(n_jobs=self.n_jobs, return_as="generator")(fits):
                fitted.append(fit)
        except KeyboardInterrupt:
            end_interrupted_member(True)  # this ensemble may itself be a member
            if not fitted:
                raise
            warnings.warn(
                f"The fit was interrupted: the consensus is that of the {len(fitted)} of "
                f"{len(fits)} members that were complete.",
                ConvergenceWarning,
                stacklevel=5,
            )
        return fitted

    def _weigh_members(self, members, X):
        """Return the weights of the members, which sum to one."""
        scores = np.zeros(len(members))
        if self.weights == "score":
            unable = [member for member in members if not hasattr(member, "score")]
            if unable:
                raise TypeError(
                    f"weights='score' needs members with a score method, which "
                    f"{type(unable[0]).__name__} is without. Use weights=None."
                )
            scores = np.array([member.score(X) for member in members])
            if not np.isfinite(scores).all():
                raise ValueError(
                    f"weights='score' needs finite scores, but those of the members are {scores}. "
                    "Use weights=None."
                )
            scores = scores / (scores.std() or 1.0)
        weights = np.exp(scores - scores.max())
        return weights / weights.sum()

    # ---- predictions

    @available_if(_members_predict)
    def predict_proba(self, X) -> npt.NDArray[np.float64]:
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
        check_is_fitted(self)
        return normalize_rows(_sum_memberships(self._assign(X), self.tables_, self.weights_))

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
        check_is_fitted(self)
        return _label(_sum_memberships(self._assign(X), self.tables_, self.weights_))

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
            Share of the pairs of a sample and a member in which the member assigns the sample as
            the consensus does.
        """
        check_is_fitted(self)
        memberships = self._assign(X)
        labels = _label(_sum_memberships(memberships, self.tables_, self.weights_))
        return float(_compare_members(memberships, self.tables_, labels).mean())

    def _assign(self, X):
        """Return the members' memberships of new samples."""
        X = self._check_rows(X)
        return [
            _compute_memberships(member, None, X, len(A))
            for member, A in zip(self.estimators_, self.tables_, strict=True)
        ]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        for member in self._list_templates()[:1]:
            if hasattr(member, "fit_predict"):
                tags.input_tags = get_tags(member).input_tags
        tags.input_tags.sparse = bool(self.accept_sparse)
        return tags


# ---- members


def _fit(member, chosen, X):
    """Fit a member; return it, and its labels (N,) if it was fitted to all samples, else None."""
    with fitting_member():
        if chosen is None:
            return member, member.fit_predict(X)
        return member.fit(_safe_indexing(X, chosen)), None


def _compute_memberships(member, labels, X, n_clusters=None):
    """Return P (N, K_m) of a member: its probabilities, or else its one-hot labels.

    Memberships of samples without a cluster (label -1) are zero.
    """
    if hasattr(member, "predict_proba"):
        resp = np.array(member.predict_proba(X), dtype=np.float64)
        check_answers(resp, X, f" of the member {type(member).__name__}")
        # A Pipeline has no labels_, and new samples may be noise even if none of the fit was.
        if np.min(getattr(member, "labels_", -1)) < 0 or getattr(member, "noise", 0):
            resp[np.asarray(member.predict(X)) < 0] = 0
        return resp
    if hasattr(member, "predict"):
        labels = member.predict(X)
    labels = np.asarray(labels)
    size = n_clusters or max(int(labels.max(initial=0)) + 1, 1)
    return (labels[:, None] == np.arange(size)).astype(np.float64)


def _find_usual_number(member_labels):
    """Return the number of clusters that most members found, the smallest one of a tie."""
    numbers = [len(np.unique(own[own >= 0])) for own in member_labels.T]
    return max(1, int(np.bincount(numbers).argmax()))


def _sum_memberships(memberships, tables, weights):
    """Return sum_m w_m P_m A_m, (N, K); zero for samples that no member assigns."""
    return sum(w * (P @ A) for P, A, w in zip(memberships, tables, weights, strict=True))


def _label(memberships):
    """Return the most probable clusters (N,), -1 where all memberships are 0.

    Memberships equal up to rounding are a tie: sums depend on how members number their clusters.
    """
    return np.where(memberships.any(1), memberships.round(DECIMALS).argmax(1), -1)


def _compare_members(memberships, tables, labels):
    """Return whether members, by their tables, assign samples as ``labels`` do, (N, M)."""
    mapped = [_label(P @ A) for P, A in zip(memberships, tables, strict=True)]
    return np.stack(mapped, 1) == labels[:, None]


# ---- consensus


def _find_consensus(memberships, weights, n_clusters, method):
    """Return the tables A_m of the consensus by "soft_vote" or "co_association".

    The order of clusters resolves ties. To be independent of how members number their clusters,
    we sort them by their memberships of the first sample, then the second, and so on.
    """
    orders = [np.lexsort(-P[::-1]) for P in memberships]
    ordered = [P[:, order] for P, order in zip(memberships, orders, strict=True)]
    find = _soft_vote if method == "soft_vote" else _co_association
    tables = find(ordered, weights, n_clusters)
    return [A[np.argsort(order)] for A, order in zip(tables, orders, strict=True)]


def _soft_vote(memberships, weights, n_clusters):
    """Return tables that match clusters one-to-one with the weighted mean of the memberships.

    Matching and averaging alternate until a fixed point. The first partition is the member that
    agrees most with the others. If it has more than K clusters, average linkage on the share of
    members that assign two samples to the same cluster agglomerates them.
    """
    first = memberships[_find_medoid(memberships, weights)]
    first = first[:, first.any(0)]
    if first.shape[1] > n_clusters:
        overlaps = [first.T @ P for P in memberships]
        edges = sum(w * (part @ part.T) for w, part in zip(weights, overlaps, strict=True))
        groups = agglomerate(edges, first.sum(0), n_clusters)
        first = np.stack([first[:, group].sum(1) for group in groups], 1)
    first = first[:, np.argsort(-first.sum(0), kind="stable")]  # cluster 0 is the largest
    consensus = np.pad(first, ((0, 0), (0, n_clusters - first.shape[1])))
    tables = None
    for _ in range(MAX_ITER):
        before, tables = tables, [_match(P.T @ consensus) for P in memberships]
        if before and all(map(np.array_equal, before, tables)):
            break
        consensus = normalize_rows(_sum_memberships(memberships, tables, weights))
    return tables


def _find_medoid(memberships, weights):
    """Return the index of the member whose matched partition agrees most with the others."""
    common = np.zeros(len(memberships))
    for m, P in enumerate(memberships):
        for w, Q in zip(weights, memberships, strict=True):
            overlap = P.T @ Q
            common[m] += w * (overlap * _match(overlap)).sum()
    return int(common.argmax())


def _match(overlap):
    """Return the table (K_m, K) of the best one-to-one match by the number of shared samples.

    Unmatched clusters are mapped to the cluster with which they share most samples.
    """
    table = np.zeros_like(overlap)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    table[rows, columns] = 1
    for row in np.setdiff1d(np.arange(len(table)), rows):
        table[row, overlap[row].argmax()] = 1
    return table


def _co_association(memberships, weights, n_clusters):
    """Return tables p(cluster | member's cluster) of the better one of two partitions.

    The candidates are average linkage and :func:`_soft_vote`. The better one has more nonempty
    clusters or, in a tie, the higher mean normalized mutual information with the members.
    """
    members = np.stack([_label(P) for P in memberships], 1)
    linked = _cut_average_linkage(members, weights, n_clusters)
    votes = _soft_vote(memberships, weights, n_clusters)
    candidates = []
    for labels in (linked, _label(_sum_memberships(memberships, votes, weights))):
        consensus = indicate(labels, n_clusters).toarray()
        tables = [normalize_rows(P.T @ consensus) for P in memberships]
        found = _label(_sum_memberships(memberships, tables, weights))
        shared = [normalized_mutual_info_score(own, found) for own in members.T]
        candidates.append((len(np.unique(found)), weights @ shared, tables))
    return max(candidates, key=lambda candidate: candidate[:2])[2]


def _cut_average_linkage(member_labels, weights, n_clusters):
    """Return clusters (N,) by average linkage on the share of members with equal labels.

    They are -1 for samples that no member assigns.
    """
    labels = np.full(len(member_labels), -1)
    assigned = (member_labels >= 0).any(1)
    if not assigned.any():
        return labels
    combinations, which, sizes = np.unique(
        member_labels[assigned], axis=0, return_inverse=True, return_counts=True
    )
    frequent = np.sort(np.argsort(-sizes, kind="stable")[:MAX_COMBINATIONS])
    kept, kept_sizes = combinations[frequent], sizes[frequent]
    edges = _compare(kept, kept, weights) * np.outer(kept_sizes, kept_sizes)
    groups = agglomerate(edges, kept_sizes, min(n_clusters, len(kept)))
    groups.sort(key=lambda points: -kept_sizes[points].sum())  # cluster 0 is the largest
    numbers = np.empty(len(kept), dtype=np.int64)
    for number, points in enumerate(groups):
        numbers[points] = number
    parts = np.array_split(combinations, len(combinations) // 4096 + 1)  # bounds the memory
    nearest = np.concatenate([_compare(part, kept, weights).argmax(1) for part in parts])
    labels[assigned] = numbers[nearest][which.reshape(-1)]
    return labels


def _compare(a, b, weights):
    """Return the weighted share of members with equal labels, other than -1, (A, B)."""
    columns = ((w, a[:, None, m], b[None, :, m]) for m, w in enumerate(weights))
    return sum(w * ((one == two) & (one >= 0)) for w, one, two in columns)
