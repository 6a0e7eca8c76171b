"""Points divided into cells: the nearest points are searched in near cells.

M points, N queries, P components, k neighbors.
"""

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors

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


def fit_exact(points):
    """Return scikit-learn's exact search among points (M, P)."""
    algorithm = "kd_tree" if points.shape[1] <= TREE_FEATURES else "brute"
    return NearestNeighbors(algorithm=algorithm).fit(points)


def find_nearest(points, known):
    """Return the index (N,) of the one of ``known`` points (M, D) nearest to each point (N, D)."""
    library = fit_exact(known)
    nearest = np.empty(len(points), dtype=int)

    def find(start):
        part = slice(start, start + 2048)
        found = library.kneighbors(points[part], 1, return_distance=False)
        nearest[part] = found[:, 0]

    with open_threads() as pool:
        list(pool.map(find, range(0, len(points), 2048)))
    return nearest


def search_cells(points, members, near, X, k):
    """Return distances and indices of the k points (M, P) in near cells nearest to X (N, P)."""
    candidates = np.concatenate([members[cell] for cell in near])
    library = NearestNeighbors(algorithm="brute").fit(points[candidates])
    distances, nearest = library.kneighbors(X, k)
    return distances, candidates[nearest]


class Cells:
    """Points (M, P) divided by k-means into cells; points of near cells are compared.

    Up to ALL_PAIRS points are one cell: all are compared (J. Sivic, A. Zisserman, "Video
    Google: a text retrieval approach to object matching in videos", ICCV 2003).
    """

    def __init__(self, points):
        is_one = len(points) <= ALL_PAIRS
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
            n_least = np.searchsorted(sizes[order].cumsum(), least) + 1
            near = order[: max(NEAR_CELLS, n_least)]
            for start in range(0, len(inside), LARGEST_BLOCK):
                yield inside[start : start + LARGEST_BLOCK], near


def _find_centers(points):
    """Return the centers of k-means on some of the points."""
    n_cells = int(2 * np.sqrt(len(points)))
    order = np.random.RandomState(0).permutation(len(points))
    some = np.unique(points[order[: SAMPLES_IN_CELL * n_cells]], axis=0)
    n_cells = min(n_cells, len(some))
    kmeans = KMeans(n_cells, init="random", n_init=1, max_iter=8, random_state=0)
    with single_threaded():
        return kmeans.fit(some).cluster_centers_
