"""Find candidate partitions by several families of methods.

M distinct samples, F of them fitted, D features, L dimensions, K clusters, P groups.
"""

import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.cluster.hierarchy import linkage
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist
from scipy.special import entr, log_softmax, softmax
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin

from .._labels import indicate
from .._random import draw_seed
from .search import TREE_FEATURES, NeighborIndex, single_threaded, single_threaded_blas

#: Maximum number of samples that k-means and mixtures are fitted to.
FITTED = 10_000
#: Maximum number of samples that Genie links.
LINKED = 10_000
#: Maximum number of samples that Ward's method and average linkage merge.
MERGED = 1_500
#: Number of runs of k-means.
KMEANS_RUNS = 3
#: Maximum number of EM iterations of a mixture.
EM_ITERATIONS = 60
#: EM stops when the mean log-likelihood rises by less than this, in nats.
EM_TOLERANCE = 1e-3
#: Added to the variances of a mixture of a layout, as a share of their mean variance.
LAYOUT_REGULARIZATION = 1e-4
#: Weight of the entropy of the head's mean probabilities in its loss.
BALANCE = 10.0
#: Gini index of the cluster sizes above which Genie merges the smallest clusters only.
GINI = 0.3
#: Minimum size of a cluster in a fair cut of Ward's tree, relative to the mean size.
FAIR_SIZE = 0.25
#: Number of components of a merged mixture, per cluster.
COMPONENTS = 2


@dataclass(frozen=True, eq=False)
class Views:
    """Coordinates in which candidates are found and judged, with a mean variance of one."""

    #: Samples, or at most WIDE principal components of them, (M, D).
    wide: np.ndarray
    #: At most NARROW principal components, (M, D), for models with full covariances.
    narrow: np.ndarray
    #: Layouts (M, L) of one or several neighbor graphs.
    layouts: list
    #: Neighbor graph (M, M) of the samples.
    graph: sparse.csr_matrix
    #: Weights (M,) of the samples.
    weights: np.ndarray
    #: Positions of samples in random order; methods use the first ones.
    drawn: np.ndarray
    #: Whether ``wide`` has features; for distances, it is the first layout.
    has_features: bool
    #: Samples (M, D) scaled to a mean square of one; None unless all have the same length.
    unit: np.ndarray | None = None
    #: Samples (M, D) whitened by the scatter within clusters, or None.
    white: np.ndarray | None = None

    def draw(self, n_samples):
        """Return the positions of at most this many samples, ascending."""
        return np.sort(self.drawn[:n_samples])

    def take(self, chosen):
        """Return the views of some samples, or these if all are chosen."""
        if len(chosen) == len(self.wide):
            return self
        names = "wide", "narrow", "weights", "unit", "white"
        parts = {name: getattr(self, name) for name in names}
        parts = {name: part[chosen] for name, part in parts.items() if part is not None}
        layouts = [layout[chosen] for layout in self.layouts]
        graph, drawn = self.graph[chosen][:, chosen], np.arange(len(chosen))
        return replace(self, layouts=layouts, graph=graph, drawn=drawn, **parts)

    @cached_property
    def sample_trees(self):
        """The merge trees of the samples, built once for all numbers of clusters."""
        return _MergeTrees(self.wide, self)

    @cached_property
    def layout_trees(self):
        """The merge trees of each layout."""
        return [_MergeTrees(points, self) for points in self.layouts]


class Candidate(NamedTuple):
    """A partition, and the family of methods that found it."""

    family: str
    #: Cluster (M,) of each sample.
    labels: np.ndarray


class _MergeTrees:
    """The trees of Ward's method, average linkage and Genie, of points (M, D)."""

    def __init__(self, points, views):
        self.points, self.nearest = points, {}
        self.merged, self.linked = views.draw(MERGED), views.draw(LINKED)
        distances = pdist(points[self.merged])
        spanning = spanning_tree(points[self.linked])
        self.trees = {
            "ward": linkage(distances, "ward"),
            "average": linkage(distances, "average"),
            "genie": link_fairly(spanning, len(self.linked)),
        }

    def cut(self, method, n_clusters):
        """Return the labels (M,) of a cut of the tree of a method."""
        known = self.linked if method == "genie" else self.merged
        return self._extend(cut_tree(self.trees[method], n_clusters), known)

    def cut_fairly(self, n_clusters):
        """Return the labels (M,) of a cut of Ward's tree without small clusters, or None.

        The last merge is undone until there are enough clusters. Small halves are left out, and
        their samples get the nearest label.
        """
        tree, n_samples = self.trees["ward"], len(self.merged)
        sizes = np.concatenate([np.ones(n_samples), tree[:, 3]])
        children, groups = tree[:, :2].astype(int), {2 * n_samples - 2}
        while len(groups) < n_clusters:
            last = max(groups)
            if last < n_samples:
                return None
            halves = children[last - n_samples]
            least = min(FAIR_SIZE * n_samples / n_clusters, sizes[halves].max())
            groups = groups - {last} | {
                int(half) for half in halves if sizes[half] >= least
            }
        labels = np.full(len(sizes), -1)
        labels[sorted(groups)] = np.arange(n_clusters)
        for t in range(n_samples - 2, -1, -1):
            if labels[n_samples + t] >= 0:
                labels[children[t]] = labels[n_samples + t]
        inside = labels[:n_samples] >= 0
        return self._extend(labels[:n_samples][inside], self.merged[inside])

    def _extend(self, labels, known):
        """Return labels (M,): each sample gets the label of the nearest known sample."""
        points, key = self.points, known.tobytes()
        if len(known) == len(points):
            return labels
        if key not in self.nearest and points.shape[1] <= TREE_FEATURES:
            self.nearest[key] = cKDTree(points[known]).query(points)[1]
        elif key not in self.nearest:
            with single_threaded():
                self.nearest[key] = pairwise_distances_argmin(points, points[known])
        return labels[self.nearest[key]]


def find_candidates(views, n_clusters, stream, brief=False):
    """Yield candidates; ``brief`` leaves out those that seldom help to find ``n_clusters``."""
    if views.has_features:
        yield from _find_in_samples(views, n_clusters, stream, brief)
    for layout, tree in zip(views.layouts, views.layout_trees, strict=True):
        for method in ("ward", "average", "genie"):
            yield Candidate(f"layout {method}", tree.cut(method, n_clusters))
        if not brief:
            yield from _find_in_layout(layout, views, tree, n_clusters, stream)


def _find_in_samples(views, n_clusters, stream, brief):
    """Yield the candidates found in the samples."""
    n_init = 1 if brief else KMEANS_RUNS
    means = run_kmeans(views.wide, views, n_clusters, stream, n_init)
    yield Candidate("kmeans", means)
    for kind in ("full",) if brief else ("full", "tied", "diag"):
        densities = fit_mixture(views.narrow, views, means, n_clusters, kind)
        yield Candidate(kind, densities.argmax(1))
    if views.white is not None:
        labels = run_kmeans(views.white, views, n_clusters, stream, n_init)
        yield Candidate("white kmeans", labels)
    if views.unit is not None and not brief:
        yield Candidate("head", learn_head(views.unit, means, n_clusters, stream))
    yield Candidate("genie", views.sample_trees.cut("genie", n_clusters))
    yield Candidate("ward", views.sample_trees.cut("ward", n_clusters))


def _find_in_layout(layout, views, tree, n_clusters, stream):
    """Yield the candidates of a layout that ``brief`` leaves out."""
    fair = tree.cut_fairly(n_clusters)
    if fair is not None:
        yield Candidate("layout fair", fair)
    yield Candidate("layout kmeans", run_kmeans(layout, views, n_clusters, stream))
    if views.has_features:
        ward = tree.cut("ward", n_clusters)
        densities = fit_mixture(views.narrow, views, ward, n_clusters, "full")
        yield Candidate("full ward", densities.argmax(1))
    for _ in range(2):
        yield Candidate(
            "layout merged", merge_mixture(layout, views, n_clusters, stream)
        )


def run_kmeans(points, views, n_clusters, stream, n_init=KMEANS_RUNS):
    """Return the labels (M,) of k-means fitted to points (M, D)."""
    kmeans = KMeans(
        n_clusters, n_init=n_init, max_iter=50, random_state=draw_seed(stream)
    )
    fitted = views.draw(FITTED)
    with warnings.catch_warnings(), single_threaded():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # fewer distinct points than K
        kmeans.fit(points[fitted], sample_weight=views.weights[fitted])
        return kmeans.labels_ if len(fitted) == len(points) else kmeans.predict(points)


# ---- Gaussian mixtures


def make_monomials(points, kind):
    """Return the products (squares if ``kind`` is "diag") of points (M, D), points, and ones.

    Their weighted sums are the sufficient statistics of a Gaussian.
    """
    ones = np.ones((len(points), 1))
    if kind == "diag":
        return np.hstack([points**2, points, ones])
    i, j = np.triu_indices(points.shape[1])
    return np.hstack([points[:, i] * points[:, j], points, ones])


def estimate_gaussians(resp, monomials, n_features, kind):
    """Return sizes (K,), means (K, D) and covariances (K, D, D) by weighted ``resp`` (M, K)."""
    sums = resp.T @ monomials
    sizes = np.maximum(sums[:, -1], 1e-10)
    means = sums[:, -1 - n_features : -1] / sizes[:, None]
    seconds = sums[:, : -1 - n_features] / sizes[:, None]
    if kind == "diag":
        variances = np.maximum(seconds - means**2, 0)
        return sizes, means, variances[:, :, None] * np.eye(n_features)
    i, j = np.triu_indices(n_features)
    covariances = np.empty((len(sizes), n_features, n_features))
    covariances[:, i, j] = covariances[:, j, i] = seconds
    covariances -= means[:, :, None] * means[:, None]
    if kind == "tied":
        pooled = np.average(covariances, axis=0, weights=sizes)
        covariances = np.broadcast_to(pooled, covariances.shape)
    return sizes, means, covariances


def measure_log_densities(monomials, sizes, means, covariances, kind):
    """Return log(weight_k N(x; mean_k, covariance_k)) up to one constant, (M, K)."""
    precisions = np.linalg.inv(covariances)
    linear = np.einsum("kij,kj->ki", precisions, means)
    constant = np.einsum("ki,ki->k", linear, means) + np.linalg.slogdet(covariances)[1]
    constant = np.log(sizes / sizes.sum()) - constant / 2
    if kind == "diag":
        quadratic = -np.einsum("kii->ki", precisions) / 2
    else:
        i, j = np.triu_indices(means.shape[1])
        quadratic = -np.where(i == j, 0.5, 1) * precisions[:, i, j]
    return monomials @ np.hstack([quadratic, linear, constant[:, None]]).T


def fit_mixture(points, views, labels, n_components, kind, reg=1e-3):
    """Return the log densities (M, P) of a mixture of points (M, D), by EM from labels (M,).

    Variances are raised by ``reg`` times their mean.
    """
    n_features, fitted = points.shape[1], views.draw(FITTED)
    all_monomials = make_monomials(points, kind)
    monomials, weights = all_monomials[fitted], views.weights[fitted, None]
    variance = max(reg * points.var(0).mean(), 1e-12) * np.eye(n_features)
    resp, last = np.eye(n_components)[labels[fitted]], -np.inf
    with single_threaded_blas():
        for _ in range(EM_ITERATIONS):
            *given, covariances = estimate_gaussians(
                resp * weights, monomials, n_features, kind
            )
            given = *given, covariances + variance, kind
            densities = measure_log_densities(monomials, *given)
            highest = densities.max(1, keepdims=True)
            resp = np.exp(densities - highest)
            total = resp.sum(1, keepdims=True)
            resp /= total
            likelihood = (weights * (highest + np.log(total))).sum() / weights.sum()
            if likelihood - last < EM_TOLERANCE:
                break
            last = likelihood
        return measure_log_densities(all_monomials, *given)


def merge_mixture(layout, views, n_clusters, stream):
    """Return the labels (M,) of a mixture with more components than clusters, merged by edges."""
    n_components = min(COMPONENTS * n_clusters, len(views.draw(FITTED)))
    start = run_kmeans(layout, views, n_components, stream, n_init=1)
    given = start, n_components, "full", LAYOUT_REGULARIZATION
    component = fit_mixture(layout, views, *given).argmax(1)
    used, component = np.unique(component, return_inverse=True)
    if len(used) <= n_clusters:
        return component
    member = indicate(component, len(used))
    edges = (member.T @ (views.graph @ member)).toarray()
    sizes = np.bincount(component)
    groups = regroup(edges, sizes, agglomerate(edges, sizes, n_clusters))
    return label_points(groups)[component]


def agglomerate(edges, sizes, n_groups):
    """Merge the two groups of highest average linkage until ``n_groups`` are left.

    ``edges`` (P, P), symmetric, are sums of edge weights between points of ``sizes`` (P,) samples.
    Groups without edges are merged last, the smallest first. Returns a list of the points of each
    group, in the order of their first points.
    """
    n_points = len(sizes)
    edges = np.maximum(edges, 1e-9 * max(edges.sum(), 1.0) / n_points**2)
    sizes, groups = (
        np.array(sizes, dtype=np.float64),
        [[point] for point in range(n_points)],
    )
    alive = np.ones(n_points, dtype=bool)
    linkages = edges / (sizes[:, None] * sizes)
    np.fill_diagonal(linkages, -np.inf)
    for _ in range(n_points - n_groups):
        i, j = sorted(np.unravel_index(linkages.argmax(), linkages.shape))
        groups[i] += groups[j]
        edges[i] += edges[j]
        edges[:, i] += edges[:, j]
        sizes[i] += sizes[j]
        alive[j] = False
        row = np.where(alive, edges[i] / (sizes * sizes[i]), -np.inf)
        row[i] = -np.inf
        linkages[i] = linkages[:, i] = row
        linkages[j] = linkages[:, j] = -np.inf
    return [groups[i] for i in np.flatnonzero(alive)]


def label_points(groups):
    """Return the group (P,) of each point."""
    labels = np.empty(sum(map(len, groups)), dtype=np.int64)
    for k, group in enumerate(groups):
        labels[group] = k
    return labels


def regroup(edges, sizes, groups):
    """Divide a group of points and join two others, as long as this raises I^2 / H.

    I is the information of a group about the next one on a walk along the edges (P, P), and H the
    entropy of groups (M. Faccin et al., "Entrograms and coarse graining of dynamics on complex
    networks", Journal of Complex Networks, 2018). A group is divided by :func:`agglomerate`.
    """
    edges, best = edges / max(edges.sum(), 1e-12), -np.inf
    while True:
        found = best, groups
        for k, group in enumerate(groups):
            if len(group) < 2:
                continue
            halves = agglomerate(edges[np.ix_(group, group)], sizes[group], 2)
            halves = [[group[i] for i in half] for half in halves]
            tried = [*groups[:k], *groups[k + 1 :], *halves]
            score, i, j = _find_merge(edges, tried)
            if score > found[0] + 1e-9:
                others = [own for place, own in enumerate(tried) if place not in (i, j)]
                found = score, [*others, tried[i] + tried[j]]
        if found[0] == best:
            return groups
        best, groups = found


def _find_merge(edges, groups):
    """Return the highest I^2 / H after joining two groups, and their positions."""
    member = np.eye(len(groups))[label_points(groups)]
    joint = member.T @ edges @ member
    i, j = np.triu_indices(len(groups), 1)
    shares, parts = joint.sum(0), entr(joint)
    entropy = (
        entr(shares).sum()
        + entr(shares[i] + shares[j])
        - entr(shares[i])
        - entr(shares[j])
    )
    # Rows and columns i and j are taken out, and their sum is put in.
    rows, joined, pairs = parts.sum(1), entr(joint[i] + joint[j]), np.arange(len(i))
    beside = joined.sum(1) - joined[pairs, i] - joined[pairs, j]
    inside = entr(joint[i, i] + joint[j, j] + 2 * joint[i, j])
    both = (
        parts.sum()
        - 2 * (rows[i] + rows[j])
        + parts[i, i]
        + parts[j, j]
        + 2 * parts[i, j]
    )
    both += 2 * beside + inside
    scores = (2 * entropy - both) ** 2 / np.maximum(entropy, 1e-12)
    place = scores.argmax()
    return scores[place], i[place], j[place]


def learn_head(points, labels, n_clusters, stream):
    """Return the labels (M,) by a linear head whose clusters a new linear classifier learns well.

    In each of 50 steps, a classifier learns the head's probabilities on a batch. The head
    minimizes its cross-entropy minus BALANCE times the entropy of the mean probabilities
    (A. Gadetsky et al., "Let Go of Your Labels with Unsupervised Transfer", ICML 2024).
    """
    points = points.astype(np.float32)
    member = np.eye(n_clusters, dtype=np.float32)[labels]
    head = (
        (member.T @ points) / np.maximum(member.sum(0), 1)[:, None] - points.mean(0)
    ).T
    head /= max((points @ head).std(), 1e-12)
    improve = _Adam(head)
    with single_threaded_blas():
        for _ in range(50):
            batch = points[stream.permutation(len(points))[:1000]]
            target = softmax(batch @ head, axis=1)
            classifier = np.zeros_like(head)
            learn = _Adam(classifier)
            for _ in range(6):
                learn(
                    batch.T
                    @ (softmax(batch @ classifier, axis=1) - target)
                    / len(batch)
                )
            loss = BALANCE * np.log(
                np.maximum(target.mean(0), np.finfo(np.float32).tiny)
            )
            loss = loss - log_softmax(batch @ classifier, axis=1)
            slope = target * (loss - (target * loss).sum(1, keepdims=True))
            improve(batch.T @ slope / len(batch))
    return (points @ head).argmax(1)


class _Adam:
    """Adam steps on weights, in place, of rate 0.002 (D. P. Kingma, J. Ba, ICLR 2015)."""

    def __init__(self, weights):
        self.weights, self.n_steps = weights, 0
        self.mean, self.square = np.zeros_like(weights), np.zeros_like(weights)

    def __call__(self, gradient):
        self.n_steps += 1
        self.mean += 0.1 * (gradient - self.mean)
        self.square += 0.001 * (gradient**2 - self.square)
        scale = np.sqrt(self.square / (1 - 0.999**self.n_steps)) + 1e-8
        self.weights -= 2e-3 * self.mean / (1 - 0.9**self.n_steps) / scale


# ---- merge trees


def cut_tree(tree, n_clusters):
    """Return the labels (F,) of a cut of a tree of scipy's ``linkage`` into ``n_clusters``."""
    n_samples = len(tree) + 1
    parents = np.arange(2 * n_samples - 1)
    n_merges = n_samples - n_clusters
    parents[tree[:n_merges, :2].astype(int)] = n_samples + np.arange(n_merges)[:, None]
    while not np.array_equal(parents, above := parents[parents]):
        parents = above
    return np.unique(parents[:n_samples], return_inverse=True)[1]


def spanning_tree(points, nearest=None):
    """Return the edges (i, j, length) of a spanning tree of points (F, D), shortest first.

    It spans the graph of 15 neighbors, ``nearest``, with its components joined by short edges.
    """
    n_points = len(points)
    distances, neighbors = nearest or NeighborIndex(points).query_self(15)
    floor = max(1e-12 * distances.max(initial=0), np.finfo(np.float64).tiny)
    starts = np.arange(n_points + 1) * distances.shape[1]
    links = np.maximum(distances, floor).ravel(), neighbors.ravel(), starts
    graph = sparse.csr_matrix(links, (n_points, n_points))
    graph = graph.maximum(graph.T)
    n_pieces, piece = connected_components(graph, directed=False)
    while n_pieces > 1:
        joints = [_join_piece(points, piece == number) for number in range(n_pieces)]
        i, j, lengths = map(np.array, zip(*joints, strict=True))
        bridge = sparse.csr_matrix((np.maximum(lengths, floor), (i, j)), graph.shape)
        graph = graph.maximum(bridge.maximum(bridge.T))
        n_pieces, piece = connected_components(graph, directed=False)
    tree = minimum_spanning_tree(graph).tocoo()
    order = np.argsort(tree.data, kind="stable")
    return tree.row[order], tree.col[order], tree.data[order]


def _join_piece(points, inside):
    """Return the shortest edge (i, j, length) from a piece of the points to the others."""
    own, others = np.flatnonzero(inside), np.flatnonzero(~inside)
    distances, nearest = NeighborIndex(points[others]).query(points[own], 1)
    first = distances[:, 0].argmin()
    return own[first], others[nearest[first, 0]], distances[first, 0]


def link_fairly(tree, n_points):
    """Return the merges (F - 1, 2) of Genie along a spanning tree, as in scipy's ``linkage``.

    Genie is single linkage, but merges a smallest cluster while the Gini index of the sizes is
    above GINI (M. Gagolewski, M. Bartoszuk, A. Cena, "Genie", Information Sciences 363, 2016).
    """
    edges, parents, sizes = (
        np.column_stack(tree[:2]).tolist(),
        list(range(n_points)),
        [1] * n_points,
    )
    is_open, merges = [True] * len(edges), []
    first = defaultdict(
        int
    )  # for each size, the first edge that may touch a cluster of this size
    counts, gap = (
        Counter({1: n_points}),
        0,
    )  # gap is the sum of |s_i - s_j| over pairs of clusters

    def find(point):
        while parents[point] != point:
            parents[point] = parents[parents[point]]
            point = parents[point]
        return point

    for n_clusters in range(n_points, 1, -1):
        is_fair = gap <= GINI * n_points * (n_clusters - 1)
        size = 0 if is_fair else min(counts)
        edge = first[size]
        while not is_open[edge] or not (
            is_fair or size in [sizes[find(k)] for k in edges[edge]]
        ):
            edge += 1
        first[size], is_open[edge] = edge, False
        i, j = map(find, edges[edge])
        a, b = sizes[i], sizes[j]
        counts -= Counter((a, b))
        gap += sum(
            n * (abs(a + b - s) - abs(a - s) - abs(b - s)) for s, n in counts.items()
        )
        gap -= abs(a - b)
        counts[a + b] += 1
        merges.append((i, j))
        parents[i] = parents[j] = len(parents)
        parents.append(len(parents))
        sizes.append(a + b)
    return np.array(merges, dtype=np.int64).reshape(-1, 2)
