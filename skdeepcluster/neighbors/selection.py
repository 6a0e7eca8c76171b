"""Choose among candidate partitions by a criterion learned on simulated data sets.

It predicts the adjusted Rand index with the true clusters from features of a candidate
(``benchmarks/criterion.py`` simulates the data sets and fits it).

M samples (at most ``candidates.MERGED`` are judged), D features, C candidates, K clusters.
"""

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from scipy.sparse.linalg import eigsh
from scipy.special import entr, expit, logit
from scipy.stats import rankdata

from .._labels import normalize_rows
from .candidates import (
    MERGED,
    estimate_gaussians,
    find_candidates,
    make_monomials,
    spanning_tree,
)
from .graph import link_neighbors, make_walk
from .search import NeighborIndex, single_threaded_blas

#: Families of candidates, in the order of their indicator features.
FAMILIES = (
    *("kmeans", "white kmeans", "full", "tied", "diag", "genie", "ward", "head"),
    *("layout kmeans", "layout ward", "layout fair", "layout average", "layout genie"),
    *("layout merged", "full ward"),
)
#: Families whose agreement with a candidate is a feature.
WITNESSES = "kmeans", "white kmeans", "full", "genie", "layout ward", "layout merged"
#: Number of eigenvectors that represent the walk on the graph.
N_EIGENVECTORS = 50
#: Numbers of steps of this walk.
STEPS = 4, 16, 64
#: Even numbers of steps taken one by one if the number of clusters is known.
SHORT_STEPS = 2, 6, 12
#: Ridge penalty of the linear classifier, relative to the variance of the samples.
PENALTY = 0.1
#: Difference of expected scores at which a candidate has 1 / e of the votes of another.
TOLERANCE = 0.05
#: Power of the agreement of two candidates that is their share in the same vote.
SHARING = 20
#: Number of steps of the walk that averages votes.
VOTE_STEPS = 2
#: Minimum share by which the largest responsibility exceeds the others.
LEAD = 1e-6


class Judged(NamedTuple):
    """Values of the judged samples that all candidates share."""

    #: Points (M, D), monomials (M, F), covariance (D, D), for narrow views and each layout.
    spaces: list
    #: Neighbor graph (M, M).
    graph: sparse.csr_matrix
    #: Eigenvalues (E,) and eigenvectors (M, E) of the walk on it.
    spectrum: tuple
    #: Positions (M, k) of the nearest other samples.
    neighbors: np.ndarray
    #: Edges of the spanning tree: ends (M - 1,), log lengths, log mutual reachability distances.
    tree: tuple
    #: Samples (M, D + 1), ridge solution (D + 1, M) and leverages (M,) of a linear classifier.
    ridge: tuple
    #: Features of the data set, by name.
    data: dict


def prepare(views, n_features):
    """Return :class:`Judged` for the judged samples of :class:`Views`."""
    n_given, views = len(views.wide), views.take(views.draw(MERGED))
    wide, n_samples = views.wide, len(views.wide)
    distances, neighbors = NeighborIndex(wide).query_self(15)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.log(distances[:, -1:] / distances[:, :-1])
    ratios = ratios[np.isfinite(ratios)]
    i, j, lengths = spanning_tree(wide, (distances, neighbors))
    core = distances[:, min(4, distances.shape[1] - 1)]
    reach = np.maximum(np.maximum(lengths, core[i]), core[j])
    tiny = np.finfo(np.float64).tiny
    tree = i, j, np.log(np.maximum(lengths, tiny)), np.log(np.maximum(reach, tiny))
    spaces = []
    for points in (views.narrow, *views.layouts):
        covariance = np.cov(points.T, bias=True).reshape(points.shape[1], -1)
        covariance = covariance + 1e-6 * np.eye(len(covariance)) * np.trace(covariance)
        spaces.append(
            (points - points.mean(0), make_monomials(points, "full"), covariance)
        )
    data = {
        "log n": np.log(n_samples),
        "log N": np.log(n_given),
        "log D": np.log(n_features),
        "dimension": 1 / max(ratios.mean(), 1e-2) if len(ratios) else 1.0,
        "narrow share": views.narrow.var(0).sum() / max(wide.var(0).sum(), tiny),
    }
    graph = link_neighbors(distances, neighbors)
    spectrum, ridge = _find_spectrum(graph), _solve_ridge(wide)
    return Judged(spaces, graph, spectrum, neighbors, tree, ridge, data)


def _find_spectrum(graph):
    """Return the leading eigenvalues (E,) and eigenvectors (M, E) of the walk on the graph."""
    n_samples = graph.shape[0]
    degrees = np.maximum(np.asarray(graph.sum(1), dtype=np.float64).ravel(), 1e-9)
    scale = sparse.diags(1 / np.sqrt(degrees))
    steps = (scale @ graph @ scale).astype(np.float64)
    with single_threaded_blas():
        if n_samples <= 5 * N_EIGENVECTORS:
            values, vectors = np.linalg.eigh(steps.toarray())
            values, vectors = values[-N_EIGENVECTORS:], vectors[:, -N_EIGENVECTORS:]
        else:
            first = np.ones(n_samples)
            values, vectors = eigsh(
                steps, N_EIGENVECTORS, which="LA", v0=first, tol=1e-3
            )
    return np.clip(values, 0, 1), vectors * np.sqrt(degrees / degrees.sum())[:, None]


def _solve_ridge(wide):
    """Return samples and a constant, the solution of ridge regression, and the leverages."""
    points = np.hstack(
        [wide / max(np.sqrt(wide.var(0).sum()), 1e-12), np.ones((len(wide), 1))]
    )
    penalty = PENALTY * len(wide) / 100 / wide.shape[1] * np.eye(points.shape[1])
    with single_threaded_blas():
        solution = np.linalg.solve(points.T @ points + penalty, points.T)
    return points, solution, np.einsum("ij,ji->i", points, solution)


# ---- features of one candidate


def describe(judged, labels, n_clusters):
    """Return the features of a candidate of two clusters or more, labels (M,), by name."""
    member = np.eye(n_clusters)[labels]
    sizes = member.sum(0)
    shares = sizes / len(labels)
    found = {
        "entropy": entr(shares).sum() / np.log(n_clusters),
        "smallest": np.log((sizes.min() + 0.5) * n_clusters / len(labels)),
        "largest": shares.max() * n_clusters,
        "empty": (sizes == 0).mean(),
    }
    spaces = [
        {
            **_describe_centers(points, member, sizes, labels),
            **_describe_gaussians(*rest, member),
        }
        for points, *rest in judged.spaces
    ]
    found |= {f"points {name}": value for name, value in spaces[0].items()}
    for name in spaces[0]:
        found[f"layout {name}"] = np.mean([space[name] for space in spaces[1:]])
    found |= _describe_walk(judged, member, sizes)
    found |= _describe_neighbors(judged, labels, member, sizes)
    return found | _describe_tree(judged.tree, labels, shares)


def _describe_centers(points, member, sizes, labels):
    """Return features of the distances to the cluster centers."""
    n_samples, n_clusters = member.shape
    rows, counts = np.arange(n_samples), np.maximum(sizes, 1)
    centers = (member.T @ points) / counts[:, None]
    squares = np.square(points).sum(1)[:, None] - 2 * points @ centers.T
    squares = np.maximum(squares + np.square(centers).sum(1), 0)
    own = squares[rows, labels]
    squares[rows, labels] = np.inf
    other = squares.argmin(1)
    beside = squares[rows, other]
    near, far = np.sqrt(own), np.sqrt(np.where(np.isfinite(beside), beside, own))
    silhouettes = (far - near) / np.maximum(np.maximum(near, far), 1e-12)
    gaps = np.maximum(np.square(centers[labels] - centers[other]).sum(1), 1e-12)
    place = 0.5 + (near**2 - far**2) / (2 * gaps)
    within, total = own.mean(), np.square(points).sum(1).mean()
    spread = np.sqrt((member * own[:, None]).sum(0) / counts)
    between = np.square(centers[:, None] - centers).sum(2)
    np.fill_diagonal(between, np.inf)
    ratios = (spread[:, None] + spread) / np.sqrt(np.maximum(between, 1e-24))
    border, core = (place > 0.4).mean(), (np.abs(place) < 0.1).mean()
    by_cluster = (member * silhouettes[:, None]).sum(0) / counts
    variances = max(total - within, 1e-12) / max(within, 1e-12)
    return {
        "silhouette": silhouettes.mean(),
        "least silhouette": by_cluster[sizes > 0].min(),
        "misplaced": (silhouettes < 0).mean(),
        "border": border,
        "valley": np.log((border + 1e-3) / (core + 1e-3)),
        "calinski": np.log(
            variances * max(n_samples - n_clusters, 1) / (n_clusters - 1)
        ),
        "davies": np.log(max(ratios.max(1).mean(), 1e-12)),
        "within": np.log(max(within / max(total, 1e-12), 1e-12)),
    }


def _describe_gaussians(monomials, covariance, member):
    """Return gains in mean log-likelihood of a Gaussian per cluster over a single one."""
    n_samples, n_clusters = member.shape
    n_features = len(covariance)
    with single_threaded_blas():
        sizes, _, own = estimate_gaussians(member, monomials, n_features, "full")
    shares = sizes / sizes.sum()
    pooled, noise = (
        np.einsum("k,kij->ij", shares, own),
        np.trace(covariance) / n_features * 1e-3,
    )
    noise = noise * np.eye(n_features)
    shrunk = sizes[:, None, None] * own + (n_features + 1) * (pooled + noise)
    shrunk /= (sizes + n_features + 1)[:, None, None]
    base = np.linalg.slogdet(covariance)[1] / 2 - entr(shares).sum()
    variances = np.einsum("kii->ki", shrunk)
    gains = {
        "full": base - shares @ np.linalg.slogdet(shrunk)[1] / 2,
        "tied": base - np.linalg.slogdet(pooled + noise)[1] / 2,
        "diag": base - shares @ np.log(np.maximum(variances, 1e-300)).sum(1) / 2,
    }
    price = np.log(n_samples) / (2 * n_samples) * (n_clusters - 1)
    n_parameters = {
        "full": n_features * (n_features + 3) // 2 + 1,
        "tied": n_features + 1,
    }
    n_parameters["diag"] = 2 * n_features + 1
    bic = {f"{kind} bic": gains[kind] - price * n_parameters[kind] for kind in gains}
    return gains | bic


def _describe_walk(judged, member, sizes):
    """Return features of the edges between clusters and of a walk along the edges."""
    joint = member.T @ (judged.graph @ member)
    volumes, inside = joint.sum(1), np.diag(joint)
    leaving = 1 - inside / np.maximum(volumes, 1e-12)
    cut = 1 - inside.sum() / max(joint.sum(), 1e-12)
    shares = volumes / max(volumes.sum(), 1e-12)
    found = {
        "cut": np.log(cut + 1e-3),
        "modularity": 1 - cut - np.square(shares).sum(),
        "worst conductance": leaving[sizes > 0].max(),
        "conductance": leaving[sizes > 0].mean(),
    }
    values, vectors = judged.spectrum
    parts = vectors.T @ member
    for steps in STEPS:
        found |= _describe_ends((parts * (values**steps)[:, None]).T @ parts, steps)
    return found


def _describe_ends(ends, steps):
    """Return the information I(c_0; c_t) of clusters (K, K), its share of H(c_0), their product.

    M. Faccin, M. T. Schaub, J.-C. Delvenne, "Entrograms and coarse graining of dynamics on complex
    networks", Journal of Complex Networks, 2018.
    """
    ends = np.maximum(ends, 0)
    ends = ends / max(ends.sum(), 1e-12)
    entropy = entr(ends.sum(0)).sum()
    information = 2 * entropy - entr(ends).sum()
    share = information / max(entropy, 1e-9)
    names = (f"{name} {steps}" for name in ("information", "remembered", "criterion"))
    return dict(zip(names, (information, share, information * share), strict=True))


def describe_short_walks(judged, labels, n_clusters):
    """Return the features of :func:`_describe_ends` for walks of a few steps.

    The joint distribution of clusters A at the ends of 2 s steps P is (P^s A)^T D (P^s A).
    """
    steps, degree = make_walk(judged.graph)
    after, found = np.eye(n_clusters, dtype=np.float32)[labels], {}
    for taken in range(1, SHORT_STEPS[-1] // 2 + 1):
        after = steps @ after
        if 2 * taken in SHORT_STEPS:
            ends = (after.T @ (after * degree[:, None])).astype(np.float64)
            found |= _describe_ends(ends, 2 * taken)
    return found


def _describe_neighbors(judged, labels, member, sizes):
    """Return the share of neighbors that agree, and the accuracy of a linear classifier."""
    same = (labels[judged.neighbors] == labels[:, None]).astype(np.float64)
    by_cluster = (member.T @ same.mean(1)) / np.maximum(sizes, 1)
    points, solution, leverages = judged.ridge
    left_out = points @ (solution @ member) - leverages[:, None] * member
    return {
        "purity": same.mean(),
        "nearest purity": same[:, :5].mean(),
        "least purity": by_cluster[sizes > 0].min(),
        "linear": (left_out.argmax(1) == labels).mean(),
    }


def _describe_tree(tree, labels, shares):
    """Return the lengths of edges of the spanning tree between clusters relative to the others."""
    i, j, lengths, reach = tree
    crossing = labels[i] != labels[j]
    names = (
        "tree gap",
        "tree rank",
        "reach gap",
        "reach rank",
        "density",
        "least density",
    )
    found = dict.fromkeys(names, 0.0)
    found["crossings"] = np.log(crossing.sum() + 1) - np.log(len(shares))
    if not crossing.any() or crossing.all():
        return found
    for name, values in (("tree", lengths), ("reach", reach)):
        ranks = np.searchsorted(np.sort(values), values[crossing])
        found[f"{name} gap"] = values[crossing].mean() - values[~crossing].mean()
        found[f"{name} rank"] = ranks.mean() / len(values)
    inner, outer = np.full(len(shares), -np.inf), np.full(len(shares), np.inf)
    np.maximum.at(inner, labels[i][~crossing], reach[~crossing])
    for ends in (i, j):
        np.minimum.at(outer, labels[ends][crossing], reach[crossing])
    known = np.isfinite(inner) & np.isfinite(outer)
    density = np.zeros(len(shares))
    density[known] = np.clip(outer[known] - inner[known], -5, 5)
    return found | {"density": shares @ density, "least density": density.min()}


# ---- features of a candidate among the others


def compare(labels, n_clusters):
    """Return the adjusted Rand index of each pair of candidates, labels (C, M), as (C, C)."""
    labels = np.asarray(labels)
    n_candidates, n_samples = labels.shape
    member = np.hstack([np.eye(n_clusters, dtype=np.float32)[own] for own in labels])
    with single_threaded_blas():
        tables = (member.T @ member).astype(np.float64)
    tables = tables.reshape(n_candidates, n_clusters, n_candidates, n_clusters)
    together = (tables * (tables - 1)).sum((1, 3))
    sizes = np.einsum("ckck->ck", tables)
    own = (sizes * (sizes - 1)).sum(1)
    chance = own[:, None] * own / max(n_samples * (n_samples - 1), 1)
    most = (own[:, None] + own) / 2
    return np.where(
        most > chance, (together - chance) / np.maximum(most - chance, 1e-12), 1.0
    )


def describe_all(judged, candidates, n_clusters, known=False):
    """Return the features of candidates, arrays (C,) by name; ``known`` adds short, slow walks."""
    labels = np.stack([candidate.labels for candidate in candidates])
    rows = [describe(judged, own, n_clusters) for own in labels]
    if known:
        walks = [describe_short_walks(judged, own, n_clusters) for own in labels]
        rows = [row | walk for row, walk in zip(rows, walks, strict=True)]
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    agreement = compare(labels, n_clusters)
    others = agreement - np.eye(len(labels)) * agreement
    table["agreement"] = others.sum(1) / max(len(labels) - 1, 1)
    table["best agreement"] = np.sort(others, 1)[:, -5:].mean(1)
    families = np.array([candidate.family for candidate in candidates])
    for family in WITNESSES:
        chosen = families == family
        table[f"with {family}"] = (
            agreement[:, chosen].mean(1) if chosen.any() else 0 * others[0]
        )
    whole = judged.data | {"log K": np.log(n_clusters)}
    whole["mean agreement"] = table["agreement"].mean()
    table |= {name: np.full(len(labels), value) for name, value in whole.items()}
    return table | {family: (families == family).astype(float) for family in FAMILIES}


def tabulate(tables):
    """Return features (C, F) and their names: values, z-scores and ranks in all tables."""
    names = list(tables[0])
    parts = [np.column_stack(list(table.values())) for table in tables]
    values = np.nan_to_num(
        np.concatenate(parts).round(5)
    )  # hides rounding errors of sums
    n_own = names.index("log n")
    own, compared = values[:, :n_own], names[:n_own]
    scale = own.std(0)
    standard = (own - own.mean(0)) / np.where(scale > 1e-9, scale, 1)
    ranks = rankdata(own, axis=0) / len(own)
    names += [f"{n}, standardized" for n in compared] + [f"{n}, rank" for n in compared]
    return np.hstack([values, standard, ranks]).astype(np.float32), names


# ---- the criterion


@cache
def load_criterion():
    """Return the arrays of the criterion, by name."""
    with (
        (files(__package__) / "criterion.npz").open("rb") as file,
        np.load(file) as arrays,
    ):
        return dict(arrays)


def predict_scores(tables, purpose):
    """Return the expected adjusted Rand index of candidates, an array (C,) for each table.

    ``purpose`` is "partition" if the number of clusters is known, else "number". Regression trees
    add up. Their nodes are numbered together; a leaf is its own left and right child.
    """
    features, _ = tabulate(tables)
    prefix = f"{purpose} "
    arrays = load_criterion().items()
    trees = {
        name.removeprefix(prefix): own
        for name, own in arrays
        if name.startswith(prefix)
    }
    nodes = np.tile(trees["roots"], (len(features), 1))
    rows = np.arange(len(features))[:, None]
    for _ in range(int(trees["depth"])):
        goes_left = features[rows, trees["feature"][nodes]] <= trees["threshold"][nodes]
        nodes = np.where(goes_left, trees["left"][nodes], trees["right"][nodes])
    scores = float(trees["base"]) + trees["value"][nodes].sum(1, dtype=np.float64)
    return np.split(scores, np.cumsum([len(table["entropy"]) for table in tables])[:-1])


def choose_partition(views, n_features, n_clusters, stream, limits=None):
    """Return the responsibilities (M, K) and the expected score of the best partition."""
    n_samples = len(views.wide)
    if n_samples <= n_clusters or n_clusters == 1:
        return np.eye(n_clusters)[np.arange(n_samples) % n_clusters], 1.0
    labels, votes, stability, expected = vote(
        views, n_features, n_clusters, stream, limits
    )
    return calibrate(votes, labels, stability, expected), expected


def vote(views, n_features, n_clusters, stream, limits=None):
    """Return labels (M,), votes (M, K), the stability (K,) of clusters and the expected score.

    ``limits``, ``Constraints`` or None, change the scores by which candidates vote.
    """
    candidates = list(find_candidates(views, n_clusters, stream))
    n_found = [len(np.unique(own.labels)) for own in candidates]
    candidates = [
        own for own, n in zip(candidates, n_found, strict=True) if n == max(n_found)
    ]
    judged, drawn = prepare(views, n_features), views.draw(MERGED)
    seen = [
        candidate._replace(labels=candidate.labels[drawn]) for candidate in candidates
    ]
    (scores,) = predict_scores(
        [describe_all(judged, seen, n_clusters, known=True)], "partition"
    )
    labels = np.stack([candidate.labels for candidate in candidates])
    rated = scores if limits is None else scores + limits.rate(labels, n_clusters)
    agreement = compare([own.labels for own in seen], n_clusters)
    # Candidates that are nearly equal share one vote, and near-ties are decided by agreement.
    ballots = np.exp((rated - rated.max()) / TOLERANCE)
    ballots /= (np.maximum(agreement, 0) ** SHARING).sum(1)
    best = int((agreement @ ballots).argmax())
    expected = float(np.clip(scores[best], 0, 1))
    votes, stability = count_votes(labels, ballots, best, views.weights, n_clusters)
    votes = spread_votes(votes, views.graph)
    chosen = votes.argmax(1)
    if len(np.unique(chosen)) < max(n_found):  # small clusters may lose every vote
        chosen = labels[best]
    return chosen, votes, stability, expected


# ---- probabilities


def count_votes(labels, ballots, best, weights, n_clusters):
    """Return the share (M, K) of votes for each cluster, and the stability (K,) of clusters.

    The candidates (C, M) vote in proportion to their ``ballots`` (C,). Their clusters are matched
    with clusters of the best candidate by the sum of common ``weights`` (M,). The stability is the
    mean Jaccard index of matched clusters.
    """
    rows, votes = np.arange(labels.shape[1]), np.zeros((labels.shape[1], n_clusters))
    stability, shares = np.zeros(n_clusters), ballots / ballots.sum()
    for candidate, share in zip(labels, shares, strict=True):
        pairs = np.bincount(
            candidate * n_clusters + labels[best], weights, n_clusters**2
        )
        pairs = pairs.reshape(n_clusters, n_clusters)
        _, match = linear_sum_assignment(pairs, maximize=True)
        votes[rows, match[candidate]] += share
        either = (
            pairs.sum(1) + pairs.sum(0)[match] - pairs[np.arange(n_clusters), match]
        )
        stability[match] += (
            share * pairs[np.arange(n_clusters), match] / np.maximum(either, 1e-12)
        )
    others = max(1 - shares[best], 1e-12)
    return votes, np.clip((stability - shares[best]) / others, 0, 1)


def spread_votes(votes, graph):
    """Return the mean votes (M, K) at the end of a walk of VOTE_STEPS steps from each sample."""
    (steps, degree), resp = make_walk(graph), votes
    for _ in range(VOTE_STEPS):
        resp = steps @ resp
    return np.where(degree[:, None] > 0, resp, votes)


def calibrate(resp, labels, stability, expected_score):
    """Return responsibilities (M, K) whose maxima are learned probabilities of right labels."""
    rows, n_clusters = np.arange(len(labels)), resp.shape[1]
    inputs = describe_labels(resp, labels, stability, expected_score)
    probability = expit(inputs @ load_criterion()["calibration"])
    probability = np.maximum(probability, (1 + LEAD) / n_clusters)
    others = resp.copy()
    others[rows, labels] = 0
    is_other = np.arange(n_clusters) != labels[:, None]
    others, even = normalize_rows(others + 1e-3 * is_other), is_other / (n_clusters - 1)
    # Mix the others with equal shares where one of them would be as probable as the label.
    ceiling = probability / (1 + LEAD) / np.maximum(1 - probability, 1e-12)
    excess = np.maximum(others.max(1) - 1 / (n_clusters - 1), 1e-12)
    share = np.clip((ceiling - 1 / (n_clusters - 1)) / excess, 0, 1)[:, None]
    resp = (1 - probability)[:, None] * (even + share * (others - even))
    resp[rows, labels] = probability
    return resp


def describe_labels(resp, labels, stability, expected_score):
    """Return the inputs (M, 4) of the calibration."""
    given = resp[np.arange(len(labels)), labels], stability[labels], expected_score
    inputs = [logit(np.clip(value, 0.01, 0.99)) for value in given]
    return np.column_stack(np.broadcast_arrays(*inputs, np.ones(len(labels))))
