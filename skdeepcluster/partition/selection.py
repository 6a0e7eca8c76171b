"""Select a partition: the learned criterion scores candidates, which vote by their scores.

N samples, M distinct ones in the graph; C candidates, K clusters.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.cluster import contingency_matrix

from .candidates import find_candidates
from .criterion.features import measure_agreement
from .criterion.learned import calibrate, load_criterion
from .criterion.score import spread_votes

#: A candidate that is worse by this much gets 1 / e of the votes.
TOLERANCE = 0.05
#: Power of the agreement of two candidates that is their share in the same vote.
SHARING = 5
#: Maximum number of alternatives to the best partition.
MAX_ALTERNATIVES = 4
#: Number of the next best alternatives, which may be close to others: any other number of
#: clusters, or partitions with as many and at most this adjusted Rand index.
N_RIVALS = 2
NEARLY_EQUAL = 0.98
#: Adjusted Rand index with all others below which a partition is another alternative.
DISTINCT = 0.8
#: Maximum number of changes that are named one by one.
MAX_CHANGES = 3


# ---- the vote


class Partition(NamedTuple):
    """Clusters of the samples, and what speaks for them."""

    #: Responsibilities (M, K).
    responsibilities: np.ndarray
    #: Expected adjusted Rand index with the true clusters.
    expected_score: float
    #: Mean adjusted Rand index of the other candidates with it.
    agreement: float = 1.0

    @property
    def labels(self):
        """The most probable clusters (M,)."""
        return self.responsibilities.argmax(1)

    @property
    def n_clusters(self):
        """The number of clusters."""
        return self.responsibilities.shape[1]


def find_partitions(coords, criterion, n_clusters, seed):
    """Yield the best :class:`Partition` into a number of clusters, then alternatives."""
    n_samples = len(coords.wide)
    if n_clusters == 1:
        yield Partition(np.ones((n_samples, 1)), criterion.score_one())
        return
    if n_samples <= n_clusters:
        labels = np.arange(n_samples) % n_clusters
        yield Partition(np.eye(n_clusters)[labels], np.nan)
        return
    stream = np.random.RandomState(seed)
    coefficients = load_criterion().calibration
    for voted in vote(coords, criterion, n_clusters, stream):
        yield calibrate(*voted, coefficients)


def vote(coords, criterion, n_clusters, stream):
    """Yield what the candidates with the most clusters choose, then alternatives.

    Each is the labels (M,), the stability (K,) of each cluster, and the :class:`Partition` with
    the shares of the votes.
    """
    found = find_candidates(coords, n_clusters, stream)
    labels = np.array([candidate for _, candidate in found])
    counts = np.array([len(np.unique(candidate)) for candidate in labels])
    labels = labels[counts == counts.max()]
    scored = labels[:, criterion.positions]

    scores = criterion.score_excess(scored)
    agreement = measure_agreement(scored, scored)
    weights = weight_candidates(scores, agreement)

    def count(i):
        votes, stability = count_votes(labels, weights, i, coords.weights, n_clusters)
        shares = spread_votes(votes, coords.graph)
        score = float(criterion.score_robustly(scored[i : i + 1])[0])
        others = np.delete(agreement[i], i)
        mean = float(others.mean()) if len(others) else 1.0
        return labels[i], stability, Partition(shares, score, mean)

    best, stability, winner = count((agreement @ weights).argmax())
    # Small clusters may lose every vote, and walks may cross thin gaps.
    if len(np.unique(winner.labels)) == counts.max():
        chosen = winner.labels[None, criterion.positions]
        expected = float(criterion.score_robustly(chosen)[0])
        if expected >= winner.expected_score:
            best = winner.labels
            winner = winner._replace(expected_score=expected)

    yield best, stability, winner
    known = [best]
    for i in np.argsort(-scores, kind="stable"):
        if len(known) > MAX_ALTERNATIVES:
            break
        if is_distinct(labels[i], known):
            known.append(labels[i])
            yield count(i)


def is_distinct(labels, known):
    """Return whether labels (M,) differ enough from the ``known`` ones before them."""
    agreement = measure_agreement(labels[None], np.array(known))
    return (agreement < (NEARLY_EQUAL if len(known) <= N_RIVALS else DISTINCT)).all()


def keep_distinct(partitions):
    """Return the first partition and its alternatives."""
    kept = partitions[:1]
    for found in partitions[1:]:
        is_new = all(found.n_clusters != other.n_clusters for other in kept)
        is_rival = is_new and len(kept) <= N_RIVALS
        known = [other.labels for other in kept]
        if is_rival or is_distinct(found.labels, known):
            kept.append(found)
    return kept[: 1 + MAX_ALTERNATIVES]


def weight_candidates(scores, agreement):
    """Return the weights (C,) of candidates in the vote: nearly equal ones share theirs."""
    weights = np.exp((scores - scores.max()) / TOLERANCE)
    return weights / (agreement.clip(0) ** SHARING).sum(1)


def count_votes(labels, shares, best, weights, n_clusters):
    """Return the share (M, K) of votes for each cluster, and the stability (K,) of clusters.

    The candidates (C, M) vote in proportion to their ``shares`` (C,). Their clusters are matched
    with clusters of the best candidate by the sum of common ``weights`` (M,). The stability is the
    mean Jaccard index of matched clusters.
    """
    rows = np.arange(labels.shape[1])
    clusters = np.arange(n_clusters)
    votes = np.zeros((len(rows), n_clusters))
    stability = np.zeros(n_clusters)
    shares = shares / shares.sum()

    for candidate, share in zip(labels, shares, strict=True):
        pairs = candidate * n_clusters + labels[best]
        common = np.bincount(pairs, weights, n_clusters**2)
        common = common.reshape(n_clusters, n_clusters)

        _, match = linear_sum_assignment(common, maximize=True)
        both = common[clusters, match]
        either = common.sum(1) + common.sum(0)[match] - both
        votes[rows, match[candidate]] += share
        stability[match] += share * both / either.clip(1e-12)

    rest = max(1 - shares[best], 1e-12)
    return votes, ((stability - shares[best]) / rest).clip(0, 1)


# ---- alternatives


@dataclass(frozen=True, eq=False)
class Alternative:
    """Another partition of the samples of a fit."""

    n_clusters: int
    expected_score: float
    #: What it moves, in words.
    changes: str
    #: Its expected score, agreement of candidates and mean probability, beside the chosen ones.
    reasons: str
    labels: np.ndarray = field(repr=False)
    probabilities: np.ndarray = field(repr=False)
    #: Position among the answers of the fit.
    place: int = field(repr=False)


def list_alternatives(partitions, labels, place):
    """Return the other partitions of a fit as alternatives to one of them.

    ``labels`` (N,) are the ones of each partition, ``place`` the position of the chosen one.
    Partitions that are equal, because a cluster became noise, are left out.
    """
    changes = [describe_changes(labels[place], own) for own in labels]
    return tuple(
        Alternative(
            n_clusters=other.n_clusters,
            expected_score=other.expected_score,
            changes=changes[i],
            reasons=_describe_reasons(other, partitions[place]),
            labels=labels[i],
            probabilities=other.responsibilities.max(1),
            place=i,
        )
        for i, other in enumerate(partitions)
        if changes[i]
    )


def _describe_reasons(partition, chosen):
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


def describe_changes(labels, other_labels):
    """Return which samples another partition moves, the largest changes first.

    Its clusters are matched with those of ``labels`` (N,) by their common samples; clusters
    without a match are new. Noise is left out.
    """
    known = (labels >= 0) & (other_labels >= 0)
    names, places = np.unique(labels[known], return_inverse=True)
    moves = contingency_matrix(places, other_labels[known])
    sizes = moves.sum(1)
    rows, columns = linear_sum_assignment(moves, maximize=True)
    targets = ["a new cluster"] * moves.shape[1]
    for row, column in zip(rows, columns, strict=True):
        targets[column] = f"cluster {names[row]}"
    if len(targets) == 1 < len(names):
        return f"joins all {len(names)} clusters"

    moves[rows, columns] = 0
    n_moved = moves.sum()

    changes = []
    for place in np.argsort(-moves, axis=None, kind="stable")[:MAX_CHANGES]:
        i, j = np.unravel_index(place, moves.shape)
        if moves[i, j]:
            count = f"{moves[i, j]:,} of {sizes[i]:,}"
            changes.append(f"cluster {names[i]} gives {count} to {targets[j]}")
            n_moved -= moves[i, j]
    if n_moved:
        changes.append(f"{n_moved:,} more move")
    return "; ".join(changes)
