"""Coordinates of the samples of a graph, and their merge trees: where candidates are found.

M distinct samples, F of them linked or merged, D features, L embedding dimensions.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.cluster.hierarchy import DisjointSet, linkage
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.preprocessing import normalize

from ..input.distinct import TINY
from ..neighbors.graph import neighbor_embedding, neighbor_graph, whiten_by_graph
from ..neighbors.samples import take_columns
from ..neighbors.search import NeighborIndex, find_nearest
from ..utils.random import sample_systematically
from .table import MixedColumns, read_table

# The criterion was trained with these constants: see criterion/constants.py.

#: Maximum number of principal components of the samples that candidates are found in.
WIDE = 50
#: Maximum number of principal components with full covariances.
NARROW = 10
#: Maximum number of features that are whitened; in more features, whitening amplifies noise.
MAX_WHITENED = 100
#: Maximum number of samples with a second embedding.
MAX_SECOND = 20_000
#: Gini index of the cluster sizes above which Genie merges the smallest clusters only.
GINI = 0.3


class StepSizes(NamedTuple):
    """Maximum numbers of samples in the slower steps; the others get the nearest labels."""

    #: Samples that k-means and mixtures are fitted to, and that Genie links.
    fitted: int = 10_000
    #: Samples that Ward's method and average linkage merge, and on which candidates are scored.
    merged: int = 1_500


#: Numbers of samples of every fit. The criterion was trained with them.
STEP_SIZES = StepSizes()


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Coordinates for finding and scoring candidates, with a mean variance of one."""

    #: Samples, or at most WIDE principal components of them, (M, D).
    wide: np.ndarray
    #: At most NARROW principal components, (M, D), for models with full covariances.
    narrow: np.ndarray
    #: Embeddings (M, L) of one or several neighbor graphs.
    embeddings: list
    #: Neighbor graph (M, M) of the samples.
    graph: sparse.csr_matrix
    #: Weights (M,) of the samples.
    weights: np.ndarray
    #: Positions of samples in random order; methods use the first ones.
    order: np.ndarray
    #: Whether ``wide`` has features; for distances, it is the first embedding.
    has_features: bool
    #: Samples (M, D) whitened by the scatter within clusters, or factors of a table with
    #: categories, or None.
    white: np.ndarray | None = None
    #: Numbers and categories of the samples of a table, or None.
    table: MixedColumns | None = None
    sizes: StepSizes = STEP_SIZES

    def draw(self, n_samples):
        """Return the positions of at most this many samples, ascending."""
        return np.sort(self.order[:n_samples])

    def take(self, chosen):
        """Return the coordinates of some samples, or these if all are chosen."""
        if np.array_equal(chosen, np.arange(len(self.wide))):
            return self
        return replace(
            self,
            wide=self.wide[chosen],
            narrow=self.narrow[chosen],
            embeddings=[embedding[chosen] for embedding in self.embeddings],
            graph=self.graph[chosen][:, chosen],
            weights=self.weights[chosen],
            order=np.arange(len(chosen)),
            white=None if self.white is None else self.white[chosen],
            table=self.table and self.table.take(chosen),
        )

    @cached_property
    def scored(self):
        """Positions of the samples that are merged and scored, each as often as it occurs.

        If this is too often, all have a chance in proportion to their weights.
        """
        n_scored = self.sizes.merged
        if np.ptp(self.weights) == 0:
            return self.draw(n_scored)
        n_scored = min(round(self.weights.sum()), n_scored)
        return sample_systematically(self.weights, n_scored, 0.5)

    @cached_property
    def core(self):
        """The coordinates of the scored samples, of which equal ones are a little apart."""
        core = self.take(self.scored)
        if not np.ptp(self.weights):
            return core

        def take(points):
            return take_apart(points, self.scored)

        return replace(
            core,
            wide=take(self.wide),
            narrow=take(self.narrow),
            embeddings=[take(embedding) for embedding in self.embeddings],
            weights=np.ones(len(core.weights)),
            white=None if self.white is None else take(self.white),
        )

    @cached_property
    def trees(self):
        """The merge trees of the samples, then of each embedding, for all numbers of clusters."""
        spaces = [self.wide, *self.embeddings]
        inner = [None] * len(spaces) if self.core is self else self.core.trees
        pairs = zip(spaces, inner, strict=True)
        return [MergeTrees(points, self, trees) for points, trees in pairs]


def make_coordinates(samples, settings, stream, sizes=STEP_SIZES):
    """Return the :class:`Coordinates` of the samples of a graph.

    The second embedding places what :func:`_whiten` returns, or the same graph.
    """

    def place(graph):
        embedding = neighbor_embedding(
            graph,
            settings.n_components,
            n_epochs=50,
            random_state=stream,
            n_jobs=settings.n_jobs,
        )
        return scale_points(embedding)

    first = place(samples.graph)
    coords = use_embedding(first, samples, stream, sizes)
    if samples.columns is None:
        is_augmented = samples.reference.views is not None
        if is_augmented and len(first) <= MAX_SECOND:
            return replace(coords, embeddings=[first, place(samples.graph)])
        return coords

    points = take_points(samples)
    wide = project_points(points, coords.order, WIDE)
    narrow = project_points(wide, coords.order, NARROW)
    coords = replace(
        coords,
        wide=scale_points(wide),
        narrow=scale_points(narrow),
        has_features=True,
    )
    if settings.groups is not None:
        coords = replace(coords, table=read_table(samples, settings.groups))
    if points.shape[0] > MAX_SECOND:
        return coords

    white = _whiten(points, coords, samples, settings)
    if white is None:
        return replace(coords, embeddings=[first, place(samples.graph)])
    k = samples.reference.n_neighbors
    graph = neighbor_graph(white, k, n_jobs=settings.n_jobs)
    return replace(coords, white=white, embeddings=[first, place(graph)])


def _whiten(points, coords, samples, settings):
    """Return whitened points, factors of a table with categories, or None."""
    if settings.groups:
        return project_points(coords.table.points, coords.order, NARROW)
    if 1 < points.shape[1] <= MAX_WHITENED and not sparse.issparse(points):
        k = samples.reference.n_neighbors
        return whiten_by_graph(points, samples.graph, k, settings.n_jobs)
    return None


def use_embedding(embedding, samples, stream, sizes=STEP_SIZES):
    """Return the :class:`Coordinates` of an embedding, with an order drawn by the weights."""
    weights = samples.weights
    size = min(sizes.fitted, len(weights))
    if (weights == weights[0]).all():
        order = stream.permutation(len(weights))[:size]
    else:
        shares = weights / weights.sum()
        order = stream.choice(len(weights), size, replace=False, p=shares)
    return Coordinates(
        wide=embedding,
        narrow=embedding,
        embeddings=[embedding],
        graph=samples.graph,
        weights=weights,
        order=order,
        has_features=False,
        sizes=sizes,
    )


def take_points(samples):
    """Return the samples as points of a Euclidean space with values in [-1, 1]."""
    points = take_columns(samples.reference.rows, samples.columns)
    if samples.reference.metric == "cosine":
        points = normalize(points)
    if sparse.issparse(points) and points.shape[1] <= MAX_WHITENED:
        points = points.toarray()

    largest = max(abs(points).max(), TINY)
    return points.astype(float) * (1 / largest)


def project_points(points, chosen, n_components):
    """Return points on at most ``n_components`` principal axes of some of them."""
    if points.shape[1] <= n_components:
        return points.toarray() if sparse.issparse(points) else points
    n_components = min(n_components, len(chosen) - 1)
    if n_components < 1:
        return np.zeros((points.shape[0], 1))

    solver = "arpack" if sparse.issparse(points) else "auto"
    pca = PCA(n_components, svd_solver=solver, random_state=0)
    return pca.fit(points[np.sort(chosen)]).transform(points)


def scale_points(points):
    """Return points (M, D) centered and scaled to a mean variance of one, in double precision."""
    points = points - points.mean(0, dtype=float)
    return points / max(np.sqrt(points.var(0).mean()), 1e-300)


def take_apart(points, places):
    """Return points (M, D) at some places, of which equal ones fill the gap to the next point."""
    chosen, place, counts = np.unique(places, return_inverse=True, return_counts=True)
    gaps, _ = NeighborIndex(points[chosen]).query(1)
    stream = np.random.RandomState(0)
    directions = normalize(stream.standard_normal((len(places), points.shape[1])))
    lengths = stream.uniform(size=(len(places), 1)) ** (1 / points.shape[1])
    radii = lengths * (gaps / 2 * (counts > 1)[:, None])[place]
    return points[places] + radii * directions


# ---- merge trees


class MergeTrees:
    """The trees of Ward's method, average linkage and Genie, of points (M, D)."""

    def __init__(self, points, coords, inner):
        self.points = points
        self.coords = coords
        #: Trees of the merged points, if these are not all.
        self.inner = inner
        self.found = {}

    def cut(self, method, n_clusters):
        """Return the labels (M,) of a cut of the tree of a method into ``n_clusters``."""
        tree, nearest = self.find(method)
        return cut_tree(tree, n_clusters)[nearest]

    def find(self, method):
        """Return the tree of a method, and the index (M,) in it nearest to each point."""
        if method not in self.found:
            self.found[method] = self._grow(method)
        return self.found[method]

    def _grow(self, method):
        sizes = self.coords.sizes
        is_genie = method == "genie"
        known = self.coords.draw(sizes.fitted) if is_genie else self.coords.scored
        points = self.points[known]
        if is_genie:
            tree = link_fairly(spanning_tree(points), len(known))
        elif self.inner is not None:
            tree, _ = self.inner.find(method)
        else:
            tree = linkage(pdist(points), method)
        if len(known) == len(self.points):
            return tree, known
        return tree, find_nearest(self.points, points)


def cut_tree(tree, n_clusters):
    """Return the labels (F,) of a cut of a tree of scipy's ``linkage`` into ``n_clusters``."""
    n_samples = len(tree) + 1
    roots = np.arange(2 * n_samples - 1)
    merged = tree[: n_samples - n_clusters, :2].astype(int)
    for i in reversed(range(len(merged))):
        roots[merged[i]] = roots[n_samples + i]
    return np.unique(roots[:n_samples], return_inverse=True)[1]


def spanning_tree(points, nearest=None):
    """Return the edges (i, j, length) of a spanning tree of points (F, D), shortest first.

    It spans the graph of 15 neighbors, ``nearest``, with its components joined by short edges.
    """
    n_points = len(points)
    distances, neighbors = nearest or NeighborIndex(points).query(15)
    floor = max(1e-12 * distances.max(initial=0), TINY)
    starts = np.arange(n_points + 1) * distances.shape[1]
    links = distances.clip(floor).ravel(), neighbors.ravel(), starts
    graph = sparse.csr_matrix(links, (n_points, n_points))
    graph = graph.maximum(graph.T)
    while True:
        n_pieces, piece = connected_components(graph, directed=False)
        if n_pieces == 1:
            break
        joints = [_join_piece(points, piece == k) for k in range(n_pieces)]
        i, j, lengths = map(np.array, zip(*joints, strict=True))
        bridges = sparse.csr_matrix((lengths.clip(floor), (i, j)), graph.shape)
        graph = graph.maximum(bridges.maximum(bridges.T))

    tree = minimum_spanning_tree(graph).tocoo()
    order = np.argsort(tree.data, kind="stable")
    return tree.row[order], tree.col[order], tree.data[order]


def _join_piece(points, inside):
    """Return the shortest edge (i, j, length) from a piece of the points to the others."""
    inner = np.flatnonzero(inside)
    outer = np.flatnonzero(~inside)
    distances, nearest = NeighborIndex(points[outer]).query(1, points[inner])
    first = distances[:, 0].argmin()
    return inner[first], outer[nearest[first, 0]], distances[first, 0]


def link_fairly(tree, n_points):
    """Return the merges (F - 1, 2) of Genie along a spanning tree, as in scipy's ``linkage``.

    Genie is single linkage, but merges a smallest cluster while the Gini index of the sizes is
    above GINI (M. Gagolewski, M. Bartoszuk, A. Cena, "Genie", Information Sciences 363, 2016).
    """
    edges = np.column_stack(tree[:2]).tolist()
    remains = [True] * len(edges)
    clusters = DisjointSet(range(n_points))
    names = list(range(n_points))
    merges = []
    counts = Counter({1: n_points})
    # Sum of |s_i - s_j| over pairs of clusters.
    gap = 0
    # For each size, the first edge that may touch a cluster of this size.
    first = defaultdict(int)

    for n_clusters in range(n_points, 1, -1):
        is_fair = gap <= GINI * n_points * (n_clusters - 1)
        size = 0 if is_fair else min(counts)
        edge = first[size]
        while not remains[edge] or not (
            is_fair or size in map(clusters.subset_size, edges[edge])
        ):
            edge += 1
        first[size] = edge
        remains[edge] = False

        i, j = edges[edge]
        a = clusters.subset_size(i)
        b = clusters.subset_size(j)
        merges.append((names[clusters[i]], names[clusters[j]]))
        clusters.merge(i, j)
        names[clusters[i]] = 2 * n_points - n_clusters
        for s in (a, b):
            counts[s] -= 1
            if not counts[s]:
                del counts[s]
        for s, n in counts.items():
            gap += n * (abs(a + b - s) - abs(a - s) - abs(b - s))
        gap -= abs(a - b)
        counts[a + b] += 1
    return np.array(merges, dtype=np.int64).reshape(-1, 2)
