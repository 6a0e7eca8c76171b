"""ClusterEnsemble: one partition from several fits of any clusterer.

N samples, M members, K clusters of the consensus, K_m clusters of member m. Memberships P_m
(N, K_m) are probabilities or one-hot labels. Tables A_m (K_m, K) map them to the consensus.
"""

import warnings
from itertools import cycle, islice
from numbers import Integral
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
from sklearn.utils import check_array, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from ._checks import (
    check_answers,
    check_enough,
    end_interrupted_member,
    fitting_member,
    restore_on_failure,
    store_parameters,
)
from ._labels import indicate, mean_greatest_jaccard, normalize_rows
from ._random import draw_seeds, random_stream
from ._typing import ClusterMixin, Labels, available_if, fit_context
from .neighbors.candidates import agglomerate

#: Maximum number of iterations of matching members to their consensus.
MAX_ITER = 20
#: Maximum number of label combinations that co-association agglomerates.
MAX_COMBINATIONS = 2000
#: Number of decimals of memberships that are compared; the others are rounding errors.
DECIMALS = 12


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
        The members are clones of it, with new seeds; a list takes turns. None is
        :class:`~sklearn.cluster.KMeans`.
    n_estimators : int, default=10
        Number of members.
    consensus : {"soft_vote", "co_association"}, default="soft_vote"
        "soft_vote" matches the clusters of the members (Hungarian algorithm) and averages the
        memberships, in turns [1]_. "co_association" applies average linkage to the share of
        members that assign two samples to the same cluster [2]_.
    n_clusters : int, default=None
        Number of clusters of the consensus; None is the number that most members found.
    accept_sparse : bool, default=False
        Whether sparse X is passed to the members, as CSR.
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
        Share of the samples that a member assigns as the consensus does.
    row_agreement_ : ndarray of shape (n_samples,)
        Share of the members that assign a sample as the consensus does.
    cluster_stability_ : ndarray of shape (n_clusters,)
        Mean over members of the greatest Jaccard index of each cluster with a cluster of the
        member [4]_. Clusters above 0.85 are stable; do not trust those below 0.6.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Feature names, if X has names that are all strings.

    See Also
    --------
    skdeepcluster.stability.cluster_stability : Stability of the clusters of one clusterer.

    Notes
    -----
    An unmatched cluster of a member joins the cluster of the consensus with which it shares most
    samples. Co-association agglomerates the 2,000 most frequent combinations of labels, and
    falls back on "soft_vote" if this gives more clusters or a higher mean normalized mutual
    information with the members [3]_. After Ctrl-C, the completed members give the consensus.

    References
    ----------
    .. [1] W. Harchaoui, P.-A. Mattei, C. Bouveyron, "Deep Adversarial Gaussian Mixture
       Auto-Encoder for Clustering", ICLR workshop 2017 (DAC EC).
    .. [2] A. Fred, A. Jain, "Combining Multiple Clusterings Using Evidence Accumulation", IEEE
       TPAMI 27, 2005.
    .. [3] A. Strehl, J. Ghosh, "Cluster Ensembles", JMLR 3, 2002.
    .. [4] C. Hennig, "Cluster-wise assessment of cluster stability", Computational Statistics &
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
        "estimator": [HasMethods(["fit_predict"]), list, None],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "consensus": [StrOptions({"soft_vote", "co_association"})],
        "n_clusters": [Interval(Integral, 1, None, closed="left"), None],
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
        n_clusters=None,
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
            X = self._check_samples(X, reset=True)
            fits = self._run(self._prepare_fits(X))
            self.estimators_ = [member for member, _ in fits]
            memberships = [_compute_memberships(*fit, X) for fit in fits]
            self.member_labels_ = np.stack([_label(P) for P in memberships], 1)
            found = [len(np.unique(own[own >= 0])) for own in self.member_labels_.T]
            usual = int(np.bincount(found).argmax())  # the smallest number of a tie
            self.n_clusters_ = self.n_clusters or max(1, usual)
            check_enough(len(self.member_labels_), self.n_clusters_)
            self.tables_ = _find_consensus(
                memberships, self.n_clusters_, self.consensus
            )
            resp = _average(memberships, self.tables_)
            self.labels_ = _label(resp)
            self.probabilities_ = np.where(
                self.labels_ < 0, 0.0, normalize_rows(resp).max(1)
            )
            agree = _compare_members(memberships, self.tables_, self.labels_)
            self.agreement_, self.row_agreement_ = agree.mean(0), agree.mean(1)
            self.cluster_stability_ = mean_greatest_jaccard(
                self.labels_, self.member_labels_, self.n_clusters_
            )
        n_found = len(np.unique(self.labels_[self.labels_ >= 0]))
        if n_found < self.n_clusters_:
            message = (
                f"Only {n_found} of n_clusters={self.n_clusters_} clusters of the consensus have "
                "samples. Decrease n_clusters or increase n_estimators."
            )
            warnings.warn(message, ConvergenceWarning, stacklevel=2)
        return self

    def _check_samples(self, X, reset=False):
        """Check the shape and the feature names of X; the members check its values."""
        if sparse.issparse(X) and not self.accept_sparse:
            raise TypeError(
                "ClusterEnsemble got sparse data. Set accept_sparse=True if the members take it, "
                "or pass X.toarray()."
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

    def _prepare_fits(self, X):
        """Return the fits of the members, to be executed by joblib."""
        templates, stream = self._list_templates(), random_stream(self.random_state)
        if not templates or not all(
            hasattr(member, "fit_predict") for member in templates
        ):
            raise TypeError(
                f"estimator must list objects with fit_predict. Got {templates}."
            )
        fits = []
        for i, template in enumerate(islice(cycle(templates), self.n_estimators)):
            own = draw_seeds(template, stream)
            for name, value in template.get_params().items():
                if name.split("__")[-1] == "checkpoint" and value is not None:
                    own[name] = f"{value}.{i}"
            fits.append(delayed(_fit)(clone(template).set_params(**own), X))
        return fits

    def _run(self, fits):
        """Return the members and their labels, after an interruption the completed ones."""
        fitted = []
        try:
            for fit in Parallel(n_jobs=self.n_jobs, return_as="generator")(fits):
                fitted.append(fit)
        except KeyboardInterrupt:
            end_interrupted_member(True)  # this ensemble may itself be a member
            if not fitted:
                raise
            message = f"The fit was interrupted: {len(fitted)} of {len(fits)} members are used."
            warnings.warn(message, ConvergenceWarning, stacklevel=4)
        return fitted

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
        return normalize_rows(_average(self._assign(X), self.tables_))

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
        return _label(_average(self._assign(X), self.tables_))

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
            Mean over members of the share of samples that they assign as the consensus does.
        """
        memberships = self._assign(X)
        labels = _label(_average(memberships, self.tables_))
        return float(_compare_members(memberships, self.tables_, labels).mean())

    def _assign(self, X):
        """Return the members' memberships of new samples."""
        check_is_fitted(self)
        X = self._check_samples(X)
        return [
            _compute_memberships(member, None, X, len(A))
            for member, A in zip(self.estimators_, self.tables_, strict=True)
        ]

    def __setstate__(self, state):
        """Restore the state, and check the tables of the members."""
        super().__setstate__(state)
        for table in state.get("tables_", ()):
            check_array(table, ensure_non_negative=True, input_name="tables_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        first = self._list_templates()[:1]
        if first and hasattr(first[0], "fit_predict"):
            tags.input_tags = get_tags(first[0]).input_tags
        tags.input_tags.sparse = bool(self.accept_sparse)
        return tags


# ---- members


def _fit(member, X):
    """Fit a member; return it and its labels."""
    with fitting_member():
        return member, member.fit_predict(X)


def _compute_memberships(member, labels, X, n_clusters=None):
    """Return P (N, K_m) of a member, zero for label -1; without ``predict`` by its labels (N,)."""
    labels = np.asarray(member.predict(X) if hasattr(member, "predict") else labels)
    if hasattr(member, "predict_proba"):
        resp = np.array(member.predict_proba(X), dtype=np.float64)
        check_answers(resp, X, f" of the member {type(member).__name__}")
        resp[labels < 0] = 0
        return resp
    size = n_clusters or max(int(labels.max(initial=0)) + 1, 1)
    return (labels[:, None] == np.arange(size)).astype(np.float64)


def _average(memberships, tables):
    """Return the mean of P_m A_m, (N, K); zero for samples that no member assigns."""
    return sum(P @ A for P, A in zip(memberships, tables, strict=True)) / len(tables)


def _label(memberships):
    """Return the most probable clusters (N,), -1 where all memberships are 0."""
    return np.where(memberships.any(1), memberships.round(DECIMALS).argmax(1), -1)


def _compare_members(memberships, tables, labels):
    """Return whether members, by their tables, assign samples as ``labels`` do, (N, M)."""
    mapped = [_label(P @ A) for P, A in zip(memberships, tables, strict=True)]
    return np.stack(mapped, 1) == labels[:, None]


# ---- consensus


def _find_consensus(memberships, n_clusters, method):
    """Return the tables A_m of the consensus, sorted so that numberings do not decide ties."""
    orders = [np.lexsort(-P[::-1]) for P in memberships]
    ordered = [P[:, order] for P, order in zip(memberships, orders, strict=True)]
    find = _soft_vote if method == "soft_vote" else _co_association
    tables = find(ordered, n_clusters)
    return [A[np.argsort(order)] for A, order in zip(tables, orders, strict=True)]


def _soft_vote(memberships, n_clusters):
    """Return tables by matching and averaging in turns, from the member that agrees most.

    If this member has more than K clusters, average linkage agglomerates them.
    """
    overlaps = ([P.T @ Q for Q in memberships] for P in memberships)
    common = [sum((table * _match(table)).sum() for table in own) for own in overlaps]
    first = memberships[int(np.argmax(common))]
    first = first[:, first.any(0)]
    if first.shape[1] > n_clusters:
        overlaps = [first.T @ P for P in memberships]
        edges = sum(overlap @ overlap.T for overlap in overlaps) / len(overlaps)
        groups = agglomerate(edges, first.sum(0), n_clusters)
        first = np.stack([first[:, group].sum(1) for group in groups], 1)
    first = first[
        :, np.argsort(-first.sum(0), kind="stable")
    ]  # cluster 0 is the largest
    consensus = np.pad(first, ((0, 0), (0, n_clusters - first.shape[1])))
    tables = None
    for _ in range(MAX_ITER):
        before, tables = tables, [_match(P.T @ consensus) for P in memberships]
        if before and all(map(np.array_equal, before, tables)):
            break
        consensus = normalize_rows(_average(memberships, tables))
    return tables


def _match(overlap):
    """Return the table (K_m, K) of a one-to-one match, and of the most similar for the others."""
    table = np.zeros_like(overlap)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    table[rows, columns] = 1
    others = np.setdiff1d(np.arange(len(table)), rows)
    table[others, overlap[others].argmax(1)] = 1
    return table


def _co_association(memberships, n_clusters):
    """Return tables p(cluster | member's cluster) by average linkage or :func:`_soft_vote`."""
    members = np.stack([_label(P) for P in memberships], 1)
    voted = _label(_average(memberships, _soft_vote(memberships, n_clusters)))
    candidates = []
    for labels in (_link(members, n_clusters), voted):
        consensus = indicate(labels, n_clusters).toarray()
        tables = [normalize_rows(P.T @ consensus) for P in memberships]
        found = _label(_average(memberships, tables))
        shared = np.mean(
            [normalized_mutual_info_score(own, found) for own in members.T]
        )
        candidates.append((len(np.unique(found)), shared, tables))
    return max(candidates, key=lambda candidate: candidate[:2])[2]


def _link(member_labels, n_clusters):
    """Return clusters (N,) by average linkage on the share of members with equal labels."""
    labels, assigned = np.full(len(member_labels), -1), (member_labels >= 0).any(1)
    if not assigned.any():
        return labels
    counts = {"axis": 0, "return_inverse": True, "return_counts": True}
    combinations, which, sizes = np.unique(member_labels[assigned], **counts)
    frequent = np.sort(np.argsort(-sizes, kind="stable")[:MAX_COMBINATIONS])
    kept, kept_sizes = combinations[frequent], sizes[frequent]
    edges = _compare(kept, kept) * np.outer(kept_sizes, kept_sizes)
    groups = agglomerate(edges, kept_sizes, min(n_clusters, len(kept)))
    groups.sort(
        key=lambda points: -kept_sizes[points].sum()
    )  # cluster 0 is the largest
    numbers = np.empty(len(kept), dtype=np.int64)
    numbers[np.concatenate(groups)] = np.repeat(
        np.arange(len(groups)), [*map(len, groups)]
    )
    parts = np.array_split(
        combinations, len(combinations) // 4096 + 1
    )  # bounds the memory
    nearest = np.concatenate([_compare(part, kept).argmax(1) for part in parts])
    labels[assigned] = numbers[nearest][which.reshape(-1)]
    return labels


def _compare(a, b):
    """Return the share of members with equal labels, other than -1, (A, B)."""
    columns = zip(a.T[:, :, None], b.T[:, None], strict=True)
    return sum((one == two) & (one >= 0) for one, two in columns) / a.shape[1]
