r"""ClusterEnsemble: one partition from several fits of any clusterer.

N rows, M members, K clusters of the consensus, K_m clusters of member m.

Each member m gives memberships P_m (N, K_m); a table A_m (K_m, K), whose rows sum to one, maps its
clusters to those of the consensus, whose memberships are sum_m w_m P_m A_m.

References: W. Harchaoui, P.-A. Mattei, C. Bouveyron, "Deep Adversarial Gaussian Mixture
Auto-Encoder for Clustering", ICLR workshop 2017 (DAC EC); A. Strehl, J. Ghosh, "Cluster
Ensembles", JMLR 2002; A. Fred, A. Jain, "Combining Multiple Clusterings Using Evidence
Accumulation", IEEE TPAMI 2005 (co-association); C. Hennig, "Cluster-wise assessment of cluster
stability", Computational Statistics & Data Analysis 52, 2007.
"""

import warnings
from itertools import cycle, islice
from numbers import Integral, Real
from typing import Self

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import _safe_indexing, check_array, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data

from ._consensus import (
    average_memberships,
    compare_members,
    find_consensus,
    label_rows,
    mean_greatest_jaccard,
    sum_memberships,
    vote,
)
from ._responsibilities import normalize_rows
from ._typing import (
    ClusterMixin,
    Labels,
    available_if,
    fit_context,
)
from ._validation import NumericParameters, check_answers, check_enough
from .engine.runtime import (
    draw_seeds,
    end_interrupted_member,
    fitting_member,
    random_stream,
    restore_on_failure,
    store_parameters,
)
from .neighbors.search import has_distances


def _members_predict(ensemble):
    """Return whether all members have ``predict``."""
    members = getattr(ensemble, "estimators_", None) or ensemble._list_templates()
    return all(hasattr(member, "predict") for member in members)


class ClusterEnsemble(NumericParameters, ClusterMixin, BaseEstimator):
    r"""Consensus of several fits of a clusterer.

    Parameters
    ----------
    estimator : clusterer or list of clusterers, default=None
        Anything with ``fit_predict``, Pipelines included; None takes
        :class:`~sklearn.cluster.KMeans`. The members are clones, of a list in turn: different
        methods or settings make different errors. Parameters called ``random_state`` are set to a
        new seed for every member.
    n_estimators : int, default=10
        Members.
    consensus : {"soft_vote", "co_association"}, default="soft_vote"
        "soft_vote": clusters of the members are matched to those of the consensus (Hungarian
        algorithm) and memberships averaged, alternately until a fixed point. "co_association":
        average linkage on the share of members that put two rows in the same cluster.
    weights : {"score"} or None, default=None
        None: equal weights. "score": weights exp((s - max s) / std s), normalised, with s the
        members' ``score`` on X, their label-free criterion; scores of different methods are not
        comparable.
    n_clusters : int, default=None
        Clusters of the consensus. None: the number that most members found.
    max_samples : float, default=1.0
        Share of the rows, drawn without replacement, that a member is fitted to; less than 1 makes
        members differ, and needs members with ``predict``.
    accept_sparse : bool, default=False
        Pass sparse X to the members, which must accept it.
    n_jobs : int, default=None
        Members fitted at the same time, as in scikit-learn.
    random_state : int, RandomState instance or None, default=None
        Decides the members' seeds and rows.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each row of X, -1 for rows that every member assigns to no cluster; equal to
        ``predict(X)`` where members can predict.
    probabilities_ : ndarray of shape (n_samples,)
        Mean membership in this cluster; 0 where every member finds noise.
    estimators_ : list of estimators
        The fitted members.
    member_labels_ : ndarray of shape (n_samples, n_estimators)
        Clusters by each member, as it numbers them; -1 for none.
    weights_ : ndarray of shape (n_estimators,)
        Weight of each member; they sum to one.
    n_clusters_ : int
        Number of clusters of the consensus.
    tables_ : list of ndarray of shape (n_clusters of the member, n_clusters)
        How each member's clusters map to those of the consensus; rows sum to one.
    agreement_ : ndarray of shape (n_estimators,)
        Share of the rows that a member, its clusters mapped by its table, assigns as the consensus
        does.
    row_agreement_ : ndarray of shape (n_samples,)
        Share of the members that, their clusters mapped by their tables, assign a row as the
        consensus does: between 0 and 1, low where a label is doubtful.
    cluster_stability_ : ndarray of shape (n_clusters,)
        For each cluster of the consensus the mean over members of the greatest Jaccard index with
        one of the member's clusters (Hennig 2007): between 0 and 1. Below .6 a cluster should not
        be trusted; above .85 it is highly stable.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, when X has names that are strings.

    See Also
    --------
    NeighborClustering : A single fit whose probabilities say how sure it is.
    skdeepcluster.stability.cluster_stability : Stability of the clusters of one clusterer.

    Notes
    -----
    How members number their clusters changes nothing. Members may have different numbers of
    clusters: unmatched ones join the cluster of the consensus with which they have most rows in
    common.

    Co-association compares combinations of labels instead of rows: rows with equal labels by every
    member are one point, weighted by their number. Of more than 2,000 combinations the most
    frequent are agglomerated, and the others join the one with which they have most labels in
    common. Then ``tables_`` holds p(cluster of the consensus | cluster of the member). Rows that
    members disagree about may be left over as a cluster of their own while two real ones are
    merged; the partition by "soft_vote" is taken instead if more of its clusters have rows or,
    with as many, its mean normalised mutual information with the members is higher.

    A ConvergenceWarning tells of clusters of the consensus without rows.

    Ctrl-C stops members that are being fitted, which then have no vote: the consensus is that of
    the members that were complete, and a ConvergenceWarning says how many these are. Without any
    KeyboardInterrupt is raised, and an earlier fit stays as it was.

    An ensemble cannot correct errors that all members make. Compare ensembles with ensembles.

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
    >>> ensemble.cluster_stability_
    array([1., 1., 1.])
    >>> float(ensemble.row_agreement_.min())
    1.0
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

    # ---- learning

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None) -> Self:
        """Fit the members and find their consensus.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows, passed to the members as they are.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        self : object
            The fitted ensemble.
        """
        with restore_on_failure(self):
            X = self._check_rows(X, reset=True)
            if sparse.issparse(X) and self.max_samples < 1:
                X = X.tocsr()  # the only sparse rows that can be chosen whatever their indices
            members, parts = self._fit_members(X)
            pairs = zip(members, parts, strict=True)
            memberships = [_compute_memberships(*pair, X) for pair in pairs]
            weights = self._weigh_members(members, X)
            member_labels = np.stack([label_rows(P) for P in memberships], 1)
            n_clusters = self.n_clusters or _find_usual_number(member_labels)
            check_enough(len(member_labels), n_clusters)
            tables = find_consensus(memberships, weights, n_clusters, self.consensus)
            self.estimators_, self.member_labels_ = members, member_labels
            self.weights_, self.tables_ = weights, tables
            sums = sum_memberships(memberships, tables, weights)
            self.labels_ = label_rows(sums)
            self.probabilities_ = np.where(self.labels_ < 0, 0.0, normalize_rows(sums).max(1))
            agree = compare_members(memberships, tables, self.labels_)
            self.agreement_, self.row_agreement_ = agree.mean(0), agree.mean(1)
            stability = mean_greatest_jaccard(self.labels_, member_labels, n_clusters)
            self.n_clusters_, self.cluster_stability_ = n_clusters, stability
        self._warn(n_clusters)
        return self

    def _warn(self, n_clusters):
        """Warn of clusters without rows."""
        n_found = len(np.unique(self.labels_[self.labels_ >= 0]))
        if n_found < n_clusters:
            most = max(len(np.unique(own[own >= 0])) for own in self.member_labels_.T)
            warnings.warn(
                f"Only {n_found} of n_clusters={n_clusters} clusters of the consensus have rows; "
                f"the members found at most {most}. Decrease n_clusters, increase n_estimators, "
                "or have the members find more clusters.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _check_rows(self, X, reset=False):
        """Check the shape and the names of X; the members check its values."""
        if sparse.issparse(X) and not self.accept_sparse:
            raise TypeError(
                "ClusterEnsemble got sparse data, but takes dense arrays by default. Set "
                "accept_sparse=True if the members take it, or pass X.toarray()."
            )
        if np.ndim(X) != 2:
            check_array(X, dtype=None)  # raises scikit-learn's error
        return validate_data(self, X, reset=reset, skip_check_array=True)

    def _list_templates(self):
        """List the estimators that members are cloned from, in turn."""
        if self.estimator is None:
            return [KMeans()]
        return self.estimator if isinstance(self.estimator, list) else [self.estimator]

    def _fit_members(self, X):
        """Fit clones with seeds of their own; return them and their labels, see :func:`_fit`."""
        templates = self._list_templates()
        if not templates or not all(hasattr(member, "fit_predict") for member in templates):
            raise TypeError(
                "A list of estimators should hold clusterers, objects with a fit_predict method. "
                f"Got {templates}."
            )
        stream = random_stream(self.random_state)
        members, rows = [], []
        for i, member in enumerate(map(clone, islice(cycle(templates), self.n_estimators))):
            own = draw_seeds(member, stream)
            for name, value in member.get_params().items():
                if name.split("__")[-1] == "checkpoint" and value is not None:
                    own[name] = f"{value}.{i}"
            members.append(member.set_params(**own))
            chosen = None
            if self.max_samples < 1:
                n_chosen = max(1, round(self.max_samples * _num_samples(X)))
                chosen = np.sort(stream.permutation(_num_samples(X))[:n_chosen])
            rows.append(chosen)
        if self.max_samples < 1:
            self._check_parts(members)
        members, labels = zip(*self._run_members(members, rows, X), strict=True)
        return list(members), list(labels)

    def _check_parts(self, members):
        """Check that members can be fitted to some rows and assign the others."""
        unable = {type(member).__name__ for member in members if not hasattr(member, "predict")}
        if unable:
            raise TypeError(
                f"max_samples={self.max_samples} fits members to some rows and has them assign "
                f"the others, but {', '.join(sorted(unable))} has no predict. Use max_samples=1.0."
            )
        if any(map(has_distances, members)):
            raise ValueError(
                f"max_samples={self.max_samples} fits members to some rows, but members of "
                "precomputed distances need those of all rows. Use max_samples=1.0."
            )

    def _run_members(self, members, rows, X):
        """Fit members to their rows; return a list of what :func:`_fit` returns.

        If the user interrupts them it is shorter, with a warning.
        """
        fits = (delayed(_fit)(*pair, X) for pair in zip(members, rows, strict=True))
        fitted = []
        try:
            for fit in Parallel(n_jobs=self.n_jobs, return_as="generator")(fits):
                fitted.append(fit)
        except KeyboardInterrupt:
            end_interrupted_member(True)
            if not fitted:
                raise
            warnings.warn(
                f"The fit was interrupted: the consensus is that of the {len(fitted)} of "
                f"{len(members)} members that were complete.",
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

    # ---- answers

    @available_if(_members_predict)
    def predict_proba(self, X) -> npt.NDArray[np.float64]:
        """Weighted mean of the members' memberships, mapped by their tables.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_clusters)
            Rows sum to one; uniform for rows that every member assigns to no cluster.
        """
        check_is_fitted(self)
        return average_memberships(self._assign(X), self.tables_, self.weights_)

    @available_if(_members_predict)
    def predict(self, X) -> Labels:
        """Cluster of the consensus for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for rows that every member assigns to no cluster.
        """
        check_is_fitted(self)
        return vote(self._assign(X), self.tables_, self.weights_)

    @available_if(_members_predict)
    def score(self, X, y=None) -> float:
        """Mean agreement of the members with the consensus: higher is better, at most 1.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to score.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        agreement : float
            Share of pairs (row, member) in which the member assigns the row as the consensus does.
        """
        check_is_fitted(self)
        memberships = self._assign(X)
        labels = vote(memberships, self.tables_, self.weights_)
        return float(compare_members(memberships, self.tables_, labels).mean())

    def _assign(self, X):
        """Return the members' memberships of new rows."""
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


def _find_usual_number(member_labels):
    """Return the number of clusters that most members found, the smallest of several."""
    numbers = [len(np.unique(own[own >= 0])) for own in member_labels.T]
    return max(1, int(np.bincount(numbers).argmax()))


def _fit(member, chosen, X):
    """Fit a member; return it, and its labels if it was fitted to all rows (``chosen=None``)."""
    with fitting_member():
        if chosen is None:
            return member, member.fit_predict(X)
        try:
            return member.fit(_safe_indexing(X, chosen)), None
        except ValueError as error:
            raise ValueError(
                f"{type(member).__name__} was to be fitted to {len(chosen)} rows, as max_samples "
                f"says: {error}"
            ) from error


def _compute_memberships(member, labels, X, n_clusters=None):
    """Return P (N, K_m) of a member: its probabilities, else its labels as zeros and ones.

    Rows without a cluster (label -1) have zeros only.
    """
    if hasattr(member, "predict_proba"):
        resp = np.array(member.predict_proba(X), dtype=np.float64)
        check_answers(resp, X, f" of the member {type(member).__name__}")
        # A Pipeline has no labels_, and new rows may be noise where none of the fit was.
        if np.min(getattr(member, "labels_", -1)) < 0 or getattr(member, "noise", 0):
            resp[np.asarray(member.predict(X)) < 0] = 0
        return resp
    if hasattr(member, "predict"):
        labels = member.predict(X)
    labels = np.asarray(labels)
    size = n_clusters or max(int(labels.max(initial=0)) + 1, 1)
    return (labels[:, None] == np.arange(size)).astype(np.float64)
