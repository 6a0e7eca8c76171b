"""Search for nearest neighbors, also in near cells, and check distances.

N samples, D features, M points or queries, P components, k neighbors.
"""

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize
from sklearn.utils import gen_batches, get_tags
from sklearn.utils.extmath import row_norms
from sklearn.utils.validation import check_non_negative

from ..input.distinct import sort_nearest, split_rows
from .threads import open_threads, single_threaded

#: Number of samples above which neighbors are searched among principal components first.
MANY = 5_000
#: Number of principal components that the search compares.
SEARCH_COMPONENTS = 50
#: Minimum share of the nearest neighbors that near cells must have: if a graph lacks one or two
#: of 100, embeddings of images separate fewer clusters.
MIN_RECALL = 0.998
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


class NeighborIndex:
    """Samples X, an ndarray or CSR matrix (N, D), prepared for the search of nearest neighbors.

    :class:`sklearn.neighbors.NearestNeighbors` finds a few more than k neighbors, in principal
    components if samples and features are many, and in near cells if samples are very many. For
    "euclidean" and "cosine", distances are then computed from differences, so equal samples have
    distance 0. Ties go to the lower index.
    """

    def __init__(self, X, metric="euclidean", n_jobs=None):
        self.n_jobs = n_jobs
        self.is_cosine = metric == "cosine"
        self.is_measured = metric in ("euclidean", "cosine")
        self.X = X = _unit_rows(X) if self.is_cosine else X
        self.center = 0
        self.axes = None
        self.cells = None

        n_rows, n_features = X.shape
        if sparse.issparse(X) or not self.is_measured:
            metric = "euclidean" if self.is_cosine else metric
            self.library = _fit_library(metric, X)
            return
        if n_features > TREE_FEATURES:
            # Matrix products round less around the center.
            self.center = np.median(X[:: 1 + n_rows // 1000], axis=0)
        if n_rows > MANY and n_features > 2 * SEARCH_COMPONENTS:
            some = X[:: 1 + n_rows // MANY] - self.center
            pca = PCA(SEARCH_COMPONENTS, random_state=0)
            self.axes = pca.fit(some).components_.T
        self.points = self._project(X)
        self.library = fit_exact(self.points)
        if n_rows > ALL_PAIRS and n_features > TREE_FEATURES:
            self._divide()

    def _project(self, X):
        """Return centered samples, or their principal components in float32."""
        if self.axes is None:
            return X - self.center
        parts = [(X[part] - self.center) @ self.axes for part in split_rows(X)]
        return np.concatenate(parts).astype(np.float32)

    def _divide(self, k=15):
        """Divide the samples into cells, unless near cells have too few of the nearest samples."""
        self.cells = Cells(self.points)
        self.members = self.cells.divide([self.points])
        some = self.points[:: 1 + len(self.points) // 500]
        n_shared = 0
        with single_threaded():
            nearest = self.library.kneighbors(some, k, return_distance=False)
            for queries, near in self._pair([some], k):
                _, found = self._search(some[queries], k, near)
                n_shared += (found[:, None] == nearest[queries, :, None]).sum()
        if n_shared < MIN_RECALL * nearest.size:
            self.cells = None

    def _pair(self, blocks, k):
        """Return indices of points, given in blocks (n, P), and the cells near them."""
        return self.cells.pair(self.cells.divide(blocks), self.members, k)

    def _search(self, points, k, near=None):
        """Return distances and indices of the k samples, in near cells if given, unmeasured."""
        if near is None:
            return self.library.kneighbors(points, k)
        return search_cells(self.points, self.members, near, points, k)

    def query(self, k, X=None):
        """Return distances (float64) and indices of the k samples nearest to each of X, (M, k).

        Without X, they are the nearest others of each sample.
        """
        n_rows = self.X.shape[0]
        is_self = X is None
        if is_self:
            X = self.X
        elif self.is_cosine:
            X = _unit_rows(X)
        k = min(k, n_rows - is_self)
        # More are searched because of ties, and because components only estimate distances.
        factor = 1 if self.axes is None else 3
        wide = min(k * factor + 6, n_rows)
        nearest_distances = np.empty((X.shape[0], k))
        nearest = np.empty((X.shape[0], k), dtype=int)

        def search(task):
            part, *near = task
            rows = X[part]
            distances, found = self._search(self._project(rows), wide, *near)
            distances = self._measure(rows, found, distances)
            if is_self:
                own = np.arange(n_rows)[part, None]
                distances[found == own] = np.inf
            distances, found = sort_nearest(distances, found, k)
            nearest_distances[part] = distances
            nearest[part] = found

        tasks = [(part,) for part in gen_batches(X.shape[0], 512)]
        if self.cells is not None:
            tasks = self._pair((self._project(X[part]) for part in split_rows(X)), wide)
        with open_threads(self.n_jobs) as pool:
            list(pool.map(search, tasks))
        return nearest_distances, nearest

    def _measure(self, X, neighbors, distances):
        """Return the distances (M, n) of X to samples, given as the library computes them."""
        if self.is_measured:
            distances = _square_gaps(self.X, X, neighbors)
        if self.is_cosine:
            distances /= 2  # for unit vectors |u - v|^2 / 2 = 1 - u v
        elif self.is_measured:
            distances = np.sqrt(distances)
        # Rounding may make a metric negative.
        return np.maximum(distances, 0, dtype=float)


def _fit_library(metric, points):
    """Return scikit-learn's search by a metric, fitted to points (M, P)."""
    try:
        return NearestNeighbors(metric=metric).fit(points)
    except SystemError as error:
        raise ValueError(
            f"metric={metric!r} is no distance: scikit-learn's trees need values of at "
            "least 0 that obey the triangle inequality. Correct it, or precompute distances."
        ) from error


def stack_parts(parts):
    """Return the distances and indices of all parts."""
    distances, indices = zip(*parts, strict=True)
    return np.concatenate(distances), np.concatenate(indices)


def _unit_rows(X):
    """Return samples of unit length, with a last feature that is 1 for samples of zeros."""
    if sparse.issparse(X):
        is_zero = sparse.csr_array((row_norms(X) == 0)[:, None])
        return sparse.hstack([normalize(X), is_zero], format="csr")

    largest = np.abs(X).max(axis=1, keepdims=True, initial=0)
    # Squares of large values overflow, and ``normalize`` leaves short samples as they are.
    _, exponents = np.frexp(largest)
    return np.column_stack([normalize(np.ldexp(X, -exponents)), largest == 0])


def _square_gaps(rows, X, neighbors):
    """Return the squared distances (M, n) of X to the samples with indices ``neighbors``."""
    if sparse.issparse(X):
        X = X.astype(float)
        squares = [row_norms(X - rows[column], squared=True) for column in neighbors.T]
        return np.stack(squares, axis=1)

    parts = []
    fits_cache = max(1, 2**16 // (neighbors.shape[1] * X.shape[1]))
    for part in gen_batches(len(X), fits_cache):
        gaps = rows.take(neighbors[part], axis=0)
        gaps -= X[part, None]
        gaps = gaps.astype(float, copy=False)
        parts.append(gaps[..., None, :] @ gaps[..., None])
    return np.concatenate(parts)[..., 0, 0]


# ---- precomputed distances


def has_distances(estimator):
    """Return whether an estimator takes distances, not features."""
    # AgglomerativeClustering has the parameter, but not the tag.
    if getattr(estimator, "metric", None) == "precomputed":
        return True
    return get_tags(estimator).input_tags.pairwise


def list_metric(estimators):
    """Return the metric of a score of clusterers, as an option, if they take distances."""
    for estimator in estimators:
        if getattr(estimator, "affinity", None) == "precomputed":
            raise ValueError(
                f"{type(estimator).__name__} with affinity='precomputed' takes "
                "similarities, but features or distances are expected. Name an "
                "affinity of features."
            )
    return {"metric": "precomputed"} if any(map(has_distances, estimators)) else {}


def check_distances(X, square=True):
    """Check that distances are at least 0, and between all samples square and no similarities."""
    n_rows, n_columns = X.shape
    if square and n_rows != n_columns:
        raise ValueError(
            "Precomputed distances should be a square matrix of shape "
            f"(n_samples, n_samples), got {X.shape}. Pass the distances between all samples, "
            "or another metric."
        )
    whom = "precomputed distances: of similarities s in [0, 1] pass 1 - s"
    check_non_negative(X, whom)
    values = X.data if sparse.issparse(X) else X
    if not square or not values.size:
        return

    if not sparse.issparse(X) and X[0].any() != X[:, 0].any():
        raise ValueError(
            "X has distances on one side of the diagonal only, but expects them on both. Pass "
            "X + X.T."
        )
    diagonal = X.diagonal().mean(dtype=float)
    mean = values.mean(dtype=float)
    if diagonal > mean:
        raise ValueError(
            f"X has the mean {mean:.3g}, but {diagonal:.3g} on the diagonal, as similarities "
            "have. metric='precomputed' takes distances: of similarities s in [0, 1] pass 1 - s."
        )


def nearest_entries(X, k, *, is_square):
    """Return distances and columns of the nearest entries of each row, (N, k), nearest first.

    If X ``is_square``, column i is sample i itself and not its neighbor. Neighbors in a sparse
    matrix are its stored entries, including zeros; missing ones have the distance infinity.
    """
    if is_square and X.shape[0] == 1:
        return np.zeros((1, 0)), np.zeros((1, 0), dtype=int)
    if sparse.issparse(X):
        return _nearest_stored(X, k, is_square)

    k = min(k, X.shape[1] - is_square)
    parts = []
    for part in split_rows(X):
        block = np.array(X[part], dtype=float)
        if is_square:
            np.fill_diagonal(block[:, part.start :], np.inf)
        columns = np.argpartition(block, k - 1, axis=1)[:, :k]
        distances = np.take_along_axis(block, columns, 1)
        parts.append(sort_nearest(distances, columns, k))
    return stack_parts(parts)


def _nearest_stored(X, k, is_square):
    """Return :func:`nearest_entries` of a sparse matrix."""
    n_rows = X.shape[0]
    entries = X.tocsr().tocoo()
    order = np.lexsort((entries.data, entries.row))
    if is_square:
        order = order[(entries.row != entries.col)[order]]
    rows = entries.row[order]
    counts = np.bincount(rows, minlength=n_rows)
    if not counts.all():
        raise ValueError(
            f"Row {counts.argmin()} of the precomputed graph has no neighbor among the fitted "
            "samples. Compute the graph with more neighbors, or drop the row."
        )

    starts = np.cumsum(counts) - counts
    rank = np.arange(len(rows)) - starts[rows]
    is_near = rank < k
    order = order[is_near]
    rows = rows[is_near]
    rank = rank[is_near]

    distances = np.full((n_rows, k), np.inf)
    distances[rows, rank] = entries.data[order]
    neighbors = np.repeat(np.arange(n_rows)[:, None] * is_square, k, axis=1)
    neighbors[rows, rank] = entries.col[order]
    return distances, neighbors


# ---- points divided into cells: the nearest ones are searched in near cells


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
