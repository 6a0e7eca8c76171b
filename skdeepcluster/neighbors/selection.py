"""Choose among candidate partitions by a criterion learned on simulated data sets.

It predicts the adjusted Rand index with the true clusters from :mod:`.features` of a candidate
(``benchmarks/criterion.py`` simulates the data sets and fits it). Candidates then vote.

M samples (at most ``candidates.MERGED`` are judged), D features, C candidates, K clusters.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import expit, logit

from .._labels import normalize_rows
from .candidates import MERGED, find_candidates
from .features import (
    describe_all,
    join_tables,
    measure_agreement,
    prepare,
)
from .graph import make_walk

#: A candidate whose score is lower by this much gets 1 / e of the votes.
TOLERANCE = 0.05
#: Power of the agreement of two candidates that is their share in the same vote.
SHARING = 20
#: Number of steps of the walk that averages votes.
VOTE_STEPS = 2
#: Minimum share by which the largest responsibility exceeds the others.
LEAD = 1e-6


# ---- the criterion


@cache
def load_criterion():
    """Return the arrays of the criterion, by name.

    Regression trees add up to the score, their T nodes are numbered together: "roots" are the
    positions of the roots; "feature" (T,) is compared with "threshold" (T,); "left" and "right"
    (T,) are the children, of a leaf itself; "value" (T,) is of leaves; "base" is the score without
    trees, and "depth" the maximum number of comparisons.
    """
    path = Path(__file__).with_name("criterion.npz")
    with np.load(path) as arrays:
        return dict(arrays)


def predict_scores(tables, purpose):
    """Return the expected adjusted Rand index of candidates, an array (C,) for each table.

    ``purpose`` is "partition" if the number of clusters is known, else "number".
    """
    features, _ = join_tables(tables)
    rows = np.arange(len(features))[:, None]

    def read(name):
        return load_criterion()[f"{purpose} {name}"]

    nodes = read("roots")
    for _ in range(read("depth")):
        values = features[rows, read("feature")[nodes]]
        goes_left = values <= read("threshold")[nodes]
        nodes = np.where(goes_left, read("left")[nodes], read("right")[nodes])
    scores = read("base") + read("value")[nodes].sum(1, dtype=np.float64)

    ends = np.cumsum([len(table["log n"]) for table in tables])
    return np.split(scores, ends[:-1])


# ---- the vote


class Vote(NamedTuple):
    """The partition that candidates choose together."""

    #: Cluster (M,) of each sample.
    labels: np.ndarray
    #: Share (M, K) of the votes for each cluster.
    shares: np.ndarray
    #: Stability (K,) of each cluster.
    stability: np.ndarray
    #: Expected adjusted Rand index of the best candidate.
    expected_score: float


def choose_partition(
    views,
    n_features,
    n_clusters,
    stream,
    limits=None,
):
    """Return the responsibilities (M, K) and the expected score of the best partition."""
    n_samples = len(views.wide)
    if n_samples <= n_clusters or n_clusters == 1:
        labels = np.arange(n_samples) % n_clusters
        return np.eye(n_clusters)[labels], 1.0

    result = vote(views, n_features, n_clusters, stream, limits)
    return calibrate(result), result.expected_score


def vote(
    views,
    n_features,
    n_clusters,
    stream,
    limits=None,
):
    """Return the :class:`Vote` of the candidates with the most clusters.

    ``limits``, ``Constraints`` or None, change the scores by which candidates vote.
    """
    candidates = list(find_candidates(views, n_clusters, stream))
    most = max(own.n_clusters for own in candidates)
    candidates = [own for own in candidates if own.n_clusters == most]
    labels = np.stack([own.labels for own in candidates])

    drawn = views.draw(MERGED)
    seen = [own._replace(labels=own.labels[drawn]) for own in candidates]
    judged = prepare(views, n_features)
    table = describe_all(judged, seen, n_clusters, known=True)
    scores = predict_scores([table], "partition")[0]

    rated = scores
    if limits is not None:
        rated = scores + limits.rate(labels, n_clusters)

    # Candidates that are nearly equal share one vote, and near-ties are decided by agreement.
    agreement = measure_agreement(labels[:, drawn], n_clusters)
    ballots = np.exp((rated - rated.max()) / TOLERANCE)
    ballots /= (agreement.clip(0) ** SHARING).sum(1)
    best = (agreement @ ballots).argmax()
    expected = float(scores[best].clip(0, 1))

    shares, stability = count_votes(
        labels,
        ballots,
        best,
        views.weights,
        n_clusters,
    )
    shares = spread_votes(shares, views.graph)
    chosen = shares.argmax(1)
    # Small clusters may lose every vote.
    if len(np.unique(chosen)) < most:
        chosen = labels[best]
    return Vote(chosen, shares, stability, expected)


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
