"""Choose among candidate partitions: those with a high expected score vote.

M samples, C candidates, K clusters.
"""

from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import expit, logit

from ..input.checks import draw_seed
from ..input.labels import normalize_rows
from ..neighbors.graph import make_walk
from .candidates import find_candidates
from .features import measure_agreement
from .judge import load_criterion

#: A candidate whose score is lower by this much gets 1 / e of the votes.
TOLERANCE = 0.05
#: Power of the agreement of two candidates that is their share in the same vote.
SHARING = 5
#: Maximum number of alternatives to the best partition.
MAX_ALTERNATIVES = 3
#: Adjusted Rand index with all others below which a partition is an alternative.
DISTINCT = 0.8
#: Number of steps of the walk that averages votes.
VOTE_STEPS = 2
#: Minimum lead of the largest responsibility over the others, as a share of them.
LEAD = 1e-6


# ---- the vote


class Vote(NamedTuple):
    """The partition that candidates choose together."""

    #: Cluster (M,) of each sample.
    labels: np.ndarray
    #: Share (M, K) of the votes for each cluster.
    shares: np.ndarray
    #: Stability (K,) of each cluster.
    stability: np.ndarray
    #: Expected adjusted Rand index.
    expected_score: float


class Answer(NamedTuple):
    """A partition of the samples."""

    #: Responsibilities (M, K).
    resp: np.ndarray
    #: Expected adjusted Rand index with the true clusters.
    expected_score: float

    @property
    def labels(self):
        """The most probable clusters (M,)."""
        return self.resp.argmax(1)


def find_answers(views, judge, n_clusters, stream, limits=None, curve=None):
    """Return the best partition and its alternatives, :class:`Answer` each, and the curve.

    ``n_clusters`` is a number, or several numbers of a curve. The best partition with each of
    these is an answer, and the curve gets their scores. Without ``limits``, the best number of
    these comes first, then the others by their scores; with limits, they keep their order.
    """
    seed = draw_seed(stream)
    if isinstance(n_clusters, Integral):
        return _choose(views, judge, n_clusters, seed, limits), curve
    found = {k: _choose(views, judge, k, seed, limits)[0] for k in n_clusters}
    order = list(found)
    if limits is None:
        curve = curve.replace(found, [own.expected_score for own in found.values()])
        best = curve.among(found).best
        order.sort(key=lambda k: (k != best, -found[k].expected_score, k))
    return _keep_distinct([found[k] for k in order]), curve


def _keep_distinct(answers):
    """Return the answers that differ from all before them."""
    most = max(own.resp.shape[1] for own in answers)
    kept = []
    for own in answers:
        if _is_distinct(own.labels, kept, most):
            kept.append(own)
    return kept


def drop_small(answers, curve, judge, weights, least):
    """Return the answers without small clusters, and the curve.

    Samples of clusters with less than the share ``least`` of the weights (M,) go to their next
    most probable clusters, unless too few clusters would remain.
    """
    changed = []
    for own in answers:
        sizes = np.bincount(own.labels, weights, own.resp.shape[1])
        is_large = sizes >= least * weights.sum()
        if not is_large.all() and is_large.sum() >= curve.n_clusters[0]:
            resp = normalize_rows(own.resp[:, is_large])
            seen = resp.argmax(1)[None, judge.drawn]
            own = Answer(resp, float(judge.rate(seen)[0]))
        changed.append(own)

    best = changed[0]
    curve = curve.replace([best.resp.shape[1]], [best.expected_score])
    return _keep_distinct(changed), curve


def _choose(views, judge, n_clusters, seed, limits):
    """Return the best partition with a number of clusters, then alternatives."""
    n_samples = len(views.wide)
    if n_clusters == 1:
        return [Answer(np.ones((n_samples, 1)), judge.rate_one())]
    if n_samples <= n_clusters:
        labels = np.arange(n_samples) % n_clusters
        return [Answer(np.eye(n_clusters)[labels], 1.0)]
    stream = np.random.RandomState(seed)
    votes = vote(views, judge, n_clusters, stream, limits)
    return [Answer(calibrate(own), own.expected_score) for own in votes]


def vote(views, judge, n_clusters, stream, limits=None):
    """Return the :class:`Vote` of the candidates with the most clusters, and of alternatives.

    ``limits``, ``Constraints`` or None, change the scores that weight the votes.
    """
    candidates = list(find_candidates(views, n_clusters, stream))
    most = max(own.n_clusters for own in candidates)
    candidates = [own for own in candidates if own.n_clusters == most]
    labels = np.stack([own.labels for own in candidates])
    seen = labels[:, judge.drawn]

    scores = judge.rate(seen)
    rated = scores
    if limits is not None:
        rated = rated + limits.rate(labels, n_clusters)
    agreement = measure_agreement(seen, seen, n_clusters)
    ballots = _fill_ballots(rated, agreement)
    best = (agreement @ ballots).argmax()

    def elect(i):
        counted = count_votes(labels, ballots, i, views.weights, n_clusters)
        shares = spread_votes(counted[0], views.graph)
        return Vote(labels[i], shares, counted[1], float(scores[i]))

    winner = elect(best)
    chosen = winner.shares.argmax(1)
    # Small clusters may lose every vote, and walks may cross thin gaps.
    if len(np.unique(chosen)) == most:
        expected = float(judge.rate(chosen[None, judge.drawn])[0])
        if expected >= winner.expected_score:
            winner = winner._replace(labels=chosen, expected_score=expected)

    votes = [winner]
    for i in np.argsort(-rated, kind="stable"):
        if len(votes) <= MAX_ALTERNATIVES and _is_distinct(
            labels[i], votes, n_clusters
        ):
            votes.append(elect(i))
    return votes


def _is_distinct(labels, others, n_clusters):
    """Return whether labels (M,) differ from the ``labels`` of all others."""

    def agree(own):
        return measure_agreement(labels[None], own.labels[None], n_clusters)[0, 0]

    return all(agree(own) < DISTINCT for own in others)


def _fill_ballots(scores, agreement):
    """Return how many votes candidates (C,) have: nearly equal ones share theirs."""
    ballots = np.exp((scores - scores.max()) / TOLERANCE)
    return ballots / (agreement.clip(0) ** SHARING).sum(1)


def count_votes(labels, ballots, best, weights, n_clusters):
    """Return the share (M, K) of votes for each cluster, and the stability (K,) of clusters.

    The candidates (C, M) vote in proportion to their ``ballots`` (C,). Their clusters are matched
    with clusters of the best candidate by the sum of common ``weights`` (M,). The stability is the
    mean Jaccard index of matched clusters.
    """
    rows = np.arange(labels.shape[1])
    clusters = np.arange(n_clusters)
    votes = np.zeros((len(rows), n_clusters))
    stability = np.zeros(n_clusters)
    shares = ballots / ballots.sum()

    for own, share in zip(labels, shares, strict=True):
        pairs = own * n_clusters + labels[best]
        common = np.bincount(pairs, weights, n_clusters**2)
        common = common.reshape(n_clusters, n_clusters)

        _, match = linear_sum_assignment(common, maximize=True)
        both = common[clusters, match]
        either = common.sum(1) + common.sum(0)[match] - both
        votes[rows, match[own]] += share
        stability[match] += share * both / either.clip(1e-12)

    others = max(1 - shares[best], 1e-12)
    return votes, ((stability - shares[best]) / others).clip(0, 1)


def spread_votes(votes, graph):
    """Return the mean votes (M, K) at the end of a walk of VOTE_STEPS steps from each sample."""
    steps, degree = make_walk(graph)
    spread = votes

    for _ in range(VOTE_STEPS):
        spread = steps @ spread

    return np.where(degree[:, None] > 0, spread, votes)


# ---- probabilities


def calibrate(vote):
    """Return responsibilities (M, K) whose maxima are learned probabilities of right labels."""
    n_clusters = vote.shares.shape[1]
    inputs = describe_labels(vote)
    coefficients = load_criterion()["calibration"]
    probability = expit(inputs @ coefficients)[:, None]
    probability = probability.clip((1 + LEAD) / n_clusters)

    is_other = np.arange(n_clusters) != vote.labels[:, None]
    others = normalize_rows(np.where(is_other, vote.shares + 1e-3, 0))
    # Mix the others with equal shares where one of them would be as probable as the label.
    mean = 1 / (n_clusters - 1)
    ceiling = probability / (1 + LEAD)
    ceiling = ceiling / (1 - probability).clip(1e-12)

    excess = (others.max(1, keepdims=True) - mean).clip(1e-12)
    kept = ((ceiling - mean) / excess).clip(0, 1)
    rest = (1 - probability) * (mean + kept * (others - mean))
    return np.where(is_other, rest, probability)


def describe_labels(vote):
    """Return the inputs (M, 4) of the calibration."""
    rows = np.arange(len(vote.labels))
    inputs = np.ones((len(rows), 4))
    inputs[:, 0] = vote.shares[rows, vote.labels]
    inputs[:, 1] = vote.stability[vote.labels]
    inputs[:, 2] = vote.expected_score
    inputs[:, :3] = logit(inputs[:, :3].clip(0.01, 0.99))
    return inputs
