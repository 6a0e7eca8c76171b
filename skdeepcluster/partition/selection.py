"""Select a partition: a learned criterion scores candidates, which vote by their scores.

The expected score is the expected adjusted Rand index with the true clusters of the world that
made the data, which may be one. Trees predict it from :mod:`.features` of a partition
(``benchmarks/criterion`` simulates the data sets and fits the trees).

N samples, M distinct ones in the graph; D features, C candidates or partitions, K clusters.
"""

from dataclasses import dataclass, field
from difflib import unified_diff
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from scipy.special import expit, logit
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix

from ..input.labels import normalize_rows
from ..neighbors.graph import sum_links
from .candidates import find_candidates
from .features import Ensemble, measure_agreement, measure_samples

#: Numbers of clusters whose ensembles tell whether there is one cluster.
ONE_NUMBERS = 2, 3, 4, 6, 9
#: Features of the members of these ensembles with the highest scores.
ONE_FEATURES = (
    "score",
    "points valley",
    "layout valley",
    "layout silhouette",
    "points weakest pair",
    "points weakest median",
    "layout weakest pair",
    "points full bic",
    "reach gap",
    "density",
    "linear",
    "remembered 64",
    "agreement",
    "mean agreement",
    "second explained",
    "classes bic",
    "confidence",
)
#: Minimum number of samples in a cluster where numbers of clusters are compared.
LEAST_SIZE = 5
#: A candidate whose score is lower by this much gets 1 / e of the votes.
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
#: Number of steps of the walk that averages votes.
VOTE_STEPS = 2
#: Minimum lead of the largest responsibility over the others, as a share of them.
LEAD = 1e-6


# ---- the criterion


@cache
def load_parameters():
    """Return the learned arrays, by name.

    The score is the sum of regression trees, whose T nodes are numbered together. "roots" are the
    positions of the roots. "feature" (T,) is compared with "threshold" (T,). "left" and "right"
    (T,) are the steps to the children, 0 at a leaf. "value" (T,) is set for leaves. "base" is the
    score without trees, and "depth" the maximum number of comparisons. "names" (F,) are the
    features, in their order.
    """
    with np.load(Path(__file__).with_name("criterion.npz")) as arrays:
        return dict(arrays)


@cache
def check_names(purpose, names):
    """Raise an error unless the file has these inputs of the trees or of the calibration."""
    known = [*load_parameters()[f"{purpose} names"]]
    if known != [*names]:
        lines = unified_diff(known, names, "file", "code", n=0, lineterm="")
        raise RuntimeError(
            f"criterion.npz has other inputs of {purpose!r} than the code:\n"
            + "\n".join(lines)
            + "\nReinstall skdeepcluster or run python -m benchmarks.criterion."
        )


def add_trees(features, names, purpose):
    """Return the sums (C,) of the trees "score", "layout" or "one" for named features (C, F)."""
    check_names(purpose, tuple(names))
    rows = np.arange(len(features))[:, None]

    def read(name):
        return load_parameters()[f"{purpose} {name}"]

    nodes = read("roots")
    for _ in range(read("depth")):
        values = features[rows, read("feature")[nodes]]
        goes_left = values <= read("threshold")[nodes]
        nodes = nodes + np.where(goes_left, read("left")[nodes], read("right")[nodes])
    return read("base") + read("value")[nodes].sum(1, dtype=np.float64)


class Criterion:
    """Expected scores of partitions of one data set, on at most ``sizes.merged`` of its samples.

    A partition is compared with an ensemble of candidates with as many clusters, which the layout
    alone determines: its score does not depend on where it comes from.
    """

    def __init__(self, coords, n_features):
        #: Positions of the samples, here M of them, on which partitions are scored.
        self.positions = coords.draw(coords.sizes.merged)
        self.coords = coords.core
        #: :class:`~.features.Ensemble` by number of clusters.
        self.ensembles = {}
        self._shape = n_features, len(coords.wide)
        # Coordinates that are a layout tell less than features.
        self._trees = "score" if coords.has_features else "layout"

    @cached_property
    def measured(self):
        """What :func:`~.features.measure_samples` measures."""
        return measure_samples(self.coords, *self._shape)

    @property
    def max_clusters(self):
        """Maximum number of clusters that is compared with others."""
        return len(self.positions) // LEAST_SIZE

    def find_ensemble(self, n_clusters):
        """Return the :class:`~.features.Ensemble` of a number of clusters."""
        if n_clusters not in self.ensembles:
            stream = np.random.RandomState(n_clusters)
            candidates = [*find_candidates(self.coords, n_clusters, stream, brief=True)]
            ensemble = Ensemble(self.measured, candidates, n_clusters)
            self.ensembles[n_clusters] = ensemble
        return self.ensembles[n_clusters]

    def score_ensemble(self, n_clusters):
        """Return the expected scores (R,) of the members of an ensemble."""
        ensemble = self.find_ensemble(n_clusters)
        return add_trees(ensemble.features, ensemble.names, self._trees).clip(0, 1)

    def find_best(self, n_clusters):
        """Return the labels (M,) of the member of an ensemble with the highest score."""
        if n_clusters == 1:
            return np.zeros(len(self.positions), dtype=int)
        best = self.score_ensemble(n_clusters).argmax()
        return self.find_ensemble(n_clusters).labels[best]

    def score_robustly(self, labels):
        """Return the expected scores (C,) of partitions (C, M), nan without evidence.

        A few wrong labels change features much. So a partition scores at least as high as the one
        that most neighbors of each sample are in, multiplied by the agreement of the two.
        """
        smooth = np.array([self._smooth(row) for row in labels])
        agreement = list(map(adjusted_rand_score, labels, smooth))
        near = np.nan_to_num(self.score(smooth)) * agreement
        return np.maximum(self.score(labels), near)

    def _smooth(self, labels):
        """Return the labels (M,) that most neighbors have."""
        clusters, places = np.unique(labels, return_inverse=True)
        votes = np.eye(len(clusters))[places]
        return clusters[spread_votes(votes, self.coords.graph).argmax(1)]

    def score(self, labels):
        """Return the expected scores (C,) of partitions (C, M) as they are."""
        labels = [np.unique(row, return_inverse=True)[1] for row in labels]
        counts = np.array([row.max() + 1 for row in labels])
        scores = np.full(len(labels), np.nan)
        for k in np.unique(counts):
            has_k = counts == k
            if k == 1:
                scores[has_k] = self.score_one()
            elif k < len(self.positions):
                ensemble = self.find_ensemble(k)
                features = ensemble.compare(np.array(labels)[has_k])
                sums = add_trees(features, ensemble.names, self._trees)
                scores[has_k] = sums.clip(0, 1)
        return scores

    def score_one(self):
        """Return the expected score of a single cluster: the probability that it is true.

        It is nan if there are too few samples for two clusters.
        """
        ensembles = self.list_one_ensembles()
        if not ensembles:
            return np.nan
        found = describe_one(self.measured.data, ensembles, self.score_ensemble)
        features = np.array([[*found.values()]], np.float32)
        return float(expit(add_trees(features, found, "one"))[0])

    def list_one_ensembles(self):
        """Return the ensembles of those ONE_NUMBERS that are possible, by number."""
        return {k: self.find_ensemble(k) for k in ONE_NUMBERS if k <= self.max_clusters}


def describe_one(data, ensembles, score):
    """Return the features that tell whether there is one cluster, by name.

    ``data`` are features of the data set by name, and ``ensembles`` what
    :meth:`Criterion.list_one_ensembles` returns. ``score`` is a function of their numbers of
    clusters that returns the expected scores (R,) of their members.
    """
    found = dict(data)
    for k in ONE_NUMBERS:
        best = dict.fromkeys(ONE_FEATURES, 0.0)
        if k in ensembles:
            scores = score(k)
            features = ensembles[k].features[scores.argmax()]
            best = dict(zip(ensembles[k].names, features, strict=True))
            best["score"] = scores.max()
        found |= {f"{k} clusters: {name}": best[name] for name in ONE_FEATURES}
    return found


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
    coefficients = load_parameters()["calibration"]
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

    scores = np.nan_to_num(criterion.score(scored))
    agreement = measure_agreement(scored, scored, n_clusters)
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
        if is_distinct(labels[i], known, n_clusters):
            known.append(labels[i])
            yield count(i)


def is_distinct(labels, known, n_clusters):
    """Return whether labels (M,) differ enough from the ``known`` ones before them."""
    agreement = measure_agreement(labels[None], np.array(known), n_clusters)
    return (agreement < (NEARLY_EQUAL if len(known) <= N_RIVALS else DISTINCT)).all()


def keep_distinct(partitions):
    """Return the first partition and its alternatives."""
    most = max(found.n_clusters for found in partitions)
    kept = partitions[:1]
    for found in partitions[1:]:
        is_new = all(found.n_clusters != other.n_clusters for other in kept)
        is_rival = is_new and len(kept) <= N_RIVALS
        known = [other.labels for other in kept]
        if is_rival or is_distinct(found.labels, known, most):
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


def spread_votes(votes, graph):
    """Return the mean votes (M, K) at the end of a walk of VOTE_STEPS steps from each sample."""
    degree = sum_links(graph).astype(np.float32)
    scale = 1 / np.maximum(degree, np.finfo(np.float32).tiny)
    steps = (sparse.diags(scale) @ graph).tocsr()
    spread = votes
    for _ in range(VOTE_STEPS):
        spread = steps @ spread
    return np.where(degree[:, None] > 0, spread, votes)


# ---- probabilities


def calibrate(labels, stability, partition, coefficients):
    """Return a partition whose highest responsibilities are probabilities of right labels.

    The arguments are what :func:`vote` returns, and ``coefficients`` (4,) of the inputs of
    :func:`describe_labels`.
    """
    inputs = describe_labels(labels, stability, partition)
    check_names("calibration", tuple(inputs))
    inputs = np.stack([*inputs.values()], 1)
    n_clusters = partition.n_clusters
    probability = expit(inputs @ coefficients)[:, None]
    probability = probability.clip((1 + LEAD) / n_clusters)

    is_other = np.arange(n_clusters) != labels[:, None]
    shares = partition.responsibilities
    others = normalize_rows(np.where(is_other, shares + 1e-3, 0))
    # Mix the others with equal shares where one of them would be as probable as the label.
    mean = 1 / (n_clusters - 1)
    ceiling = probability / (1 + LEAD)
    ceiling = ceiling / (1 - probability).clip(1e-12)

    excess = (others.max(1, keepdims=True) - mean).clip(1e-12)
    kept = ((ceiling - mean) / excess).clip(0, 1)
    rest = (1 - probability) * (mean + kept * (others - mean))
    resp = np.where(is_other, rest, probability)
    return partition._replace(responsibilities=resp)


def describe_labels(labels, stability, partition):
    """Return the inputs (M,) of the calibration, by name; see :func:`vote`."""
    rows = np.arange(len(labels))
    ones = np.ones(len(rows))
    inputs = {
        "votes": partition.responsibilities[rows, labels],
        "stability": stability[labels],
        "expected score": partition.expected_score * ones,
    }
    inputs = {name: logit(x.clip(0.01, 0.99)) for name, x in inputs.items()}
    return inputs | {"constant": ones}


# ---- alternatives


@dataclass(frozen=True, eq=False)
class Alternative:
    """Another partition of the samples of a fit."""

    n_clusters: int
    expected_score: float
    #: What it moves, in words.
    changes: str
    #: Its expected score, agreement of candidates and mean probability, beside the chosen ones.
    evidence: str
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
            evidence=_describe_evidence(other, partitions[place]),
            labels=labels[i],
            probabilities=other.responsibilities.max(1),
            place=i,
        )
        for i, other in enumerate(partitions)
        if changes[i]
    )


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
