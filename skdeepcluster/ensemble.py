r"""ClusterEnsemble: one partition from several fits of any clusterer.

N rows, M members, K clusters of the consensus, K_m clusters of member m.

Each member m gives memberships P_m (N, K_m); a table A_m (K_m, K), rows summing to one, says what
its clusters mean for the consensus, whose memberships are sum_m w_m P_m A_m. The two ways to find
the tables are "soft_vote" and "co_association".

References: W. Harchaoui, P.-A. Mattei, C. Bouveyron, "Deep Adversarial Gaussian Mixture
Auto-Encoder for Clustering", ICLR workshop 2017 (DAC EC); A. Strehl, J. Ghosh, "Cluster
Ensembles", JMLR 2002; A. Fred, A. Jain, "Combining Multiple Clusterings Using Evidence
Accumulation", IEEE TPAMI 2005 (co-association).
"""

from itertools import cycle, islice
from numbers import Integral, Real

import numpy as np
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.base import BaseEstimator, ClusterMixin, _fit_context, clone
from sklearn.cluster import KMeans
from sklearn.utils import _safe_indexing, check_array, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data

from ._callbacks import CallbackSupportMixin, MemberTasks, member_task, with_callbacks
from ._consensus import agreement, blend, co_association, soft_vote, usual
from .engine.runtime import draw_seed, random_stream, store_parameters


def _members_can(method):
    """Whether rows that were not there in fit can be assigned."""

    def check(self):
        members = getattr(self, "estimators_", None) or self._kinds()
        return all(hasattr(member, method) for member in members)

    return check


class ClusterEnsemble(CallbackSupportMixin, ClusterMixin, BaseEstimator):
    r"""Consensus of several fits of a clusterer.

    Parameters
    ----------
    estimator : clusterer or list of clusterers, default=None
        Anything with ``fit_predict``, Pipelines included; None takes
        :class:`~sklearn.cluster.KMeans`. Of a list the members are made in turn: other methods
        or settings make other errors. Parameters called ``random_state`` are set anew for every
        member.
    n_estimators : int, default=10
        Members.
    consensus : {"soft_vote", "co_association"}, default="soft_vote"
        "soft_vote": clusters of the members are matched to those of the consensus (Hungarian
        algorithm) and memberships averaged, in turns until nothing changes. "co_association":
        rows are grouped by average linkage on the share of members that put them together.
    weights : {"score"} or None, default=None
        None: members count alike. "score": by their own ``score`` on X, the label-free criterion,
        exp((s - max s) / std s), scaled to sum to one; scores of different methods do not
        compare.
    n_clusters : int, default=None
        Clusters of the consensus. None: as many as most members found.
    max_samples : float, default=1.0
        Share of the rows, drawn without replacement, that a member is fitted to; less than 1 makes
        members differ, and needs members with ``predict``.
    accept_sparse : bool, default=False
        Hand sparse X to the members, who must take it.
    n_jobs : int, default=None
        Members fitted at the same time, as in scikit-learn.
    random_state : int, RandomState instance or None, default=None
        Decides the members.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each row of X; equal to ``predict(X)`` where members can predict.
    estimators_ : list of estimators
        The fitted members.
    member_labels_ : ndarray of shape (n_samples, n_estimators)
        Clusters by each member, as it numbers them.
    weights_ : ndarray of shape (n_estimators,)
        Weight of each member; they sum to one.
    tables_ : list of ndarray of shape (n_clusters of the member, n_clusters)
        What each member's clusters mean for the consensus; rows sum to one.
    agreement_ : ndarray of shape (n_estimators,)
        Share of the rows that a member, its clusters read by its table, puts where the consensus
        does.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X has names that are strings.

    Notes
    -----
    Nothing depends on how members number their clusters, but for the numbering of the consensus.
    Members may have different numbers of clusters: those left over by the matching join the
    cluster of the consensus with which they share most.

    Co-association compares combinations of labels instead of rows: rows that every member treats
    alike are one point that weighs as many rows. Of more than 2,000 combinations the most
    frequent are linked, and the others join the one they share most labels with. Then ``tables_``
    holds the shares p(cluster of the consensus | cluster of the member).

    An ensemble cannot mend errors that all members make. Compare ensembles with ensembles.

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
    ):
        store_parameters(locals())

    # ---- learning

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Fit the members and find their consensus.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows, handed to the members as they are.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        self : object
            The fitted ensemble.
        """
        X = self._check_rows(X, reset=True)
        members, parts = self._fit_members(X)
        memberships = [_memberships(*pair, X) for pair in zip(members, parts, strict=True)]
        weights = self._member_weights(members, X)
        member_labels = np.stack([_labels(P) for P in memberships], 1)
        n_clusters = self.n_clusters or usual([P.shape[1] for P in memberships])
        if n_clusters > len(member_labels):
            raise ValueError(
                f"n_samples={len(member_labels)} should be >= n_clusters={n_clusters}."
            )
        find = soft_vote if self.consensus == "soft_vote" else co_association
        tables = find(memberships, member_labels, weights, n_clusters)
        resp = blend(memberships, tables, weights)
        self.estimators_, self.member_labels_ = members, member_labels
        self.weights_, self.tables_ = weights, tables
        self.labels_ = resp.argmax(1)
        self.agreement_ = agreement(memberships, tables, self.labels_)
        return self

    def _check_rows(self, X, reset=False):
        """Check shape and names; values are the members' business."""
        if sparse.issparse(X) and not self.accept_sparse:
            raise TypeError(
                "ClusterEnsemble got sparse data, but takes dense arrays by default. Set "
                "accept_sparse=True if the members take it, or pass X.toarray()."
            )
        if np.ndim(X) != 2:
            check_array(X, dtype=None)  # says so
        return validate_data(self, X, reset=reset, skip_check_array=True)

    def _kinds(self):
        """List what members are made from, in turn."""
        if self.estimator is None:
            return [KMeans()]
        return self.estimator if isinstance(self.estimator, list) else [self.estimator]

    def _fit_members(self, X):
        """Fit clones with random states of their own; return them and what each put where."""
        kinds = self._kinds()
        if not kinds or not all(hasattr(kind, "fit_predict") for kind in kinds):
            raise TypeError(
                "A list of estimators should hold clusterers, objects with a fit_predict method. "
                f"Got {kinds}."
            )
        stream = random_stream(self.random_state)
        members, rows = [], []
        for kind in islice(cycle(kinds), self.n_estimators):
            member = clone(kind)
            states = [p for p in member.get_params() if p.split("__")[-1] == "random_state"]
            members.append(member.set_params(**{p: draw_seed(stream) for p in states}))
            chosen = None
            if self.max_samples < 1:
                n_chosen = max(1, round(self.max_samples * _num_samples(X)))
                chosen = np.sort(stream.permutation(_num_samples(X))[:n_chosen])
            rows.append(chosen)
        unable = {type(member).__name__ for member in members if not hasattr(member, "predict")}
        if self.max_samples < 1 and unable:
            raise TypeError(
                f"max_samples={self.max_samples} fits members to some rows and has them assign "
                f"the others, but {', '.join(sorted(unable))} has no predict. Use max_samples=1.0."
            )
        tasks = MemberTasks(self, X, len(members))
        fits = (
            delayed(_fit)(*pair, X, tasks.member(i), self)
            for i, pair in enumerate(zip(members, rows, strict=True))
        )
        members, labels = zip(*Parallel(n_jobs=self.n_jobs)(fits), strict=True)
        tasks.end()
        return list(members), list(labels)

    def _member_weights(self, members, X):
        """Weights of the members, adding up to one."""
        scores = np.zeros(len(members))
        if self.weights == "score":
            if not all(hasattr(member, "score") for member in members):
                raise TypeError(
                    f"weights='score' needs members with a score method, which "
                    f"{type(members[0]).__name__} is without. Use weights=None."
                )
            scores = np.array([member.score(X) for member in members])
            scores = scores / (scores.std() or 1.0)
        weights = np.exp(scores - scores.max())
        return weights / weights.sum()

    # ---- answers

    @available_if(_members_can("predict"))
    def predict_proba(self, X):
        """Weighted mean of the members' memberships, read by their tables.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_clusters)
            Rows sum to one.
        """
        check_is_fitted(self)
        return blend(self._new_memberships(X), self.tables_, self.weights_)

    @available_if(_members_can("predict"))
    def predict(self, X):
        """Cluster of the consensus for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return self.predict_proba(X).argmax(1)

    @available_if(_members_can("predict"))
    def score(self, X, y=None):
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
            Share of pairs (row, member) in which the member puts the row where the consensus does.
        """
        check_is_fitted(self)
        memberships = self._new_memberships(X)
        labels = blend(memberships, self.tables_, self.weights_).argmax(1)
        return float(agreement(memberships, self.tables_, labels).mean())

    def _new_memberships(self, X):
        X = self._check_rows(X)
        return [
            _memberships(member, None, X, len(A))
            for member, A in zip(self.estimators_, self.tables_, strict=True)
        ]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        for kind in self._kinds()[:1]:
            tags.input_tags = get_tags(kind).input_tags
        tags.input_tags.sparse = bool(self.accept_sparse)
        return tags


def _fit(member, chosen, X, context, ensemble):
    """Fit one member to all rows, or to some; return it with labels if it has no others."""
    with member_task(context, ensemble, member, X):
        if chosen is None:
            return member, member.fit_predict(X)
        member.fit(_safe_indexing(X, chosen))
        return member, None


def _memberships(member, labels, X, n_clusters=None):
    """P (N, K_m) of a member: its probabilities, else its labels as zeros and ones.

    Rows without a cluster (label -1) count for none.
    """
    if hasattr(member, "predict_proba"):
        return np.asarray(member.predict_proba(X), dtype=np.float64)
    if hasattr(member, "predict"):
        labels = member.predict(X)
    labels = np.asarray(labels)
    size = n_clusters or max(int(labels.max(initial=0)) + 1, 1)
    return (labels[:, None] == np.arange(size)).astype(np.float64)


def _labels(P):
    """Cluster of each row by a member, -1 for rows that it puts in none."""
    return np.where(P.any(1), P.argmax(1), -1)
