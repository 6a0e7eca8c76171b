"""Points divided into cells, and the nearest points by products with those of near cells.

M points, N queries, P components, k neighbors.
"""

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils import gen_batches
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

from .threads import open_threads, single_threaded

#: Maximum number of features for which a k-d tree is faster than matrix products.
TREE_FEATURES = 6
#: Number of points up to which all are compared.
ALL_PAIRS = 10_000
#: Number of points per cell that determine its center.
SAMPLES_IN_CELL = 40
#: Number of cells whose points are compared with the points of a cell.
NEAR_CELLS = 64
#: Maximum number of queries that are compared at once.
LARGEST_BLOCK = 256
#: Number of distances that are computed first.
FIRST_TILE = 2**16
#: How many times as many candidates have been compared after each tile, and its maximum.
GROWTH = 3
LARGEST_TILE = 8192
#: Rounding error of a product in single precision, relative to the squared length.
SINGLE_ERROR = 1e-7
#: Maximum of such an error, as a share of the squared distance of neighbors.
MAX_ERROR = 1e-4


def find_nearest(points, known):
    """Return the index (N,) of the one of ``known`` points (M, D) nearest to each point (N, D).

    Points are dense, and their distances are not needed.
    """
    if points.shape[1] <= TREE_FEATURES:
        tree = cKDTree(known)
        _, nearest = tree.query(points, workers=_openmp_effective_n_threads())
        return nearest

    nearest = np.empty(len(points), dtype=int)

    def find(part):
        nearest[part] = pairwise_distances_argmin(points[part], known)

    with open_threads() as pool:
        list(pool.map(find, gen_batches(len(points), 2048)))
    return nearest


class Cells:
    """Points (M, P) divided by k-means into cells; points of near cells are compared.

    Up to ``all_pairs`` points are one cell: all are compared (J. Sivic, A. Zisserman, "Video
    Google: a text retrieval approach to object matching in videos", ICCV 2003).
    """

    def __init__(self, points, all_pairs=ALL_PAIRS):
        is_one = len(points) <= all_pairs
        self.centers = points[:1] if is_one else _find_centers(points)
        gaps = cdist(self.centers, self.centers)
        #: For each cell, all cells, the nearest first.
        self.orders = gaps.argsort(1, kind="stable")

    def divide(self, blocks):
        """Return the indices of the points in each cell, a list; points come in blocks (n, P)."""
        cells = [find_nearest(block, self.centers) for block in blocks]
        cells = np.concatenate(cells)
        sizes = np.bincount(cells, minlength=len(self.centers))
        order = np.argsort(cells, kind="stable")
        return np.split(order, sizes.cumsum()[:-1])

    def pair(self, queries, members, least):
        """Yield indices (n,) of queries, and the cells near them with ``least`` points or more.

        Queries and ``members`` are given as :meth:`divide` returns them.
        """
        sizes = np.array([len(cell) for cell in members])
        for inside, order in zip(queries, self.orders, strict=True):
            if not len(inside):
                continue
            n_least = np.searchsorted(sizes[order].cumsum(), least) + 1
            near = order[: max(NEAR_CELLS, n_least)]
            for block in gen_batches(len(inside), LARGEST_BLOCK):
                yield inside[block], near


def _find_centers(points):
    """Return the centers of k-means on some of the points."""
    n_cells = int(2 * np.sqrt(len(points)))
    order = np.random.RandomState(0).permutation(len(points))
    some = np.unique(points[order[: SAMPLES_IN_CELL * n_cells]], axis=0)
    n_cells = min(n_cells, len(some))
    kmeans = KMeans(n_cells, init="random", n_init=1, max_iter=8, random_state=0)
    with single_threaded():
        return kmeans.fit(some).cluster_centers_


class Products:
    """The search of the nearest of many points (M, P) by matrix products in near cells.

    All points are compared if near cells have less than the share ``min_recall`` of the nearest.
    """

    def __init__(self, points, min_recall):
        # A power of two keeps squares in range.
        _, exponent = np.frexp(np.abs(points).max())
        self.unit = np.ldexp(1.0, -exponent)
        scaled = points * self.unit
        factors = make_factors(scaled).astype(choose_precision(scaled))
        self._divide(points, factors, ALL_PAIRS)
        is_divided = len(points) > ALL_PAIRS
        if min_recall and is_divided and self._measure_recall(points) < min_recall:
            self._divide(points, factors, len(points))

    def _divide(self, points, factors, all_pairs):
        self.cells = Cells(points, all_pairs)
        self.members = self.cells.divide([points])
        self.factors = [factors[inside] for inside in self.members]

    def _measure_recall(self, points, k=15):
        """Return the share of the k nearest points of some points that near cells have."""
        some = points[:: 1 + len(points) // 500]
        every_cell = range(len(self.members))
        _, nearest = self.kneighbors(some, k, every_cell)
        n_shared = 0
        for queries, near in self.pair(self.cells.divide([some]), k):
            _, found = self.kneighbors(some[queries], k, near)
            for own, known in zip(found, nearest[queries], strict=True):
                n_shared += len(np.intersect1d(own, known))
        return n_shared / nearest.size

    def pair(self, queries, least):
        """Return what :meth:`Cells.pair` yields for queries, divided into cells."""
        return self.cells.pair(queries, self.members, least)

    def kneighbors(self, X, k, near):
        """Return |x - v|^2 - |x|^2, in another unit, and indices of the k points nearest to X.

        They are points of ``near`` cells, unsorted. Once the first have been compared, most others
        are farther than the nearest so far, and need not be sorted.
        """
        candidates = np.concatenate([self.members[cell] for cell in near])
        factors = np.concatenate([self.factors[cell] for cell in near]).T
        X = np.column_stack([X * self.unit, np.ones(len(X))])
        X = X.astype(factors.dtype)

        end = max(FIRST_TILE // len(X), k)
        squares, nearest = keep_least(X @ factors[:, :end], k)
        while end < len(candidates):
            tile = slice(end, min(GROWTH * end, end + LARGEST_TILE))
            products = X @ factors[:, tile]
            columns, is_below = take_below(products, squares.max(1))
            products = np.take_along_axis(products, columns, 1)
            products[~is_below] = np.inf

            squares = np.hstack([squares, products])
            nearest = np.hstack([nearest, columns + end])
            squares, best = keep_least(squares, k)
            nearest = np.take_along_axis(nearest, best, 1)
            end = tile.stop
        return squares, candidates[nearest]


def choose_precision(points, k=15):
    """Return single precision if it does not lose the distances of points to k neighbors.

    It would lose those within clusters that are far apart.
    """
    some = points[:: 1 + len(points) // 500]
    gaps = cdist(some, some, "sqeuclidean")
    near = np.sort(gaps, axis=1)[:, : k + 1].mean()
    largest = np.square(points).sum(1).max(initial=0)
    is_enough = SINGLE_ERROR * largest < MAX_ERROR * near
    return np.float32 if is_enough else np.float64


def keep_least(values, k):
    """Return the k least of each row, (n, k), unsorted, and their columns."""
    columns = np.argpartition(values, k - 1, axis=1)[:, :k]
    return np.take_along_axis(values, columns, 1), columns


def make_factors(points):
    """Return (-2 v, |v|^2) of points v (M, P): products with (x, 1) are |x - v|^2 - |x|^2."""
    lengths = np.square(points).sum(1)
    return np.column_stack([-2 * points, lengths])


def take_below(squares, bound):
    """Return the columns of values below the bound (n,) of each row, and which are such."""
    # Few values are below: flat indices are found faster than rows and columns.
    below = np.flatnonzero(squares < bound[:, None])
    rows, columns = np.divmod(below, squares.shape[1])
    counts = np.bincount(rows, minlength=len(squares))
    starts = np.cumsum(counts) - counts
    ranks = np.arange(len(rows)) - starts[rows]

    taken = np.zeros((len(squares), counts.max(initial=0)), dtype=int)
    taken[rows, ranks] = columns
    return taken, np.arange(taken.shape[1]) < counts[:, None]
