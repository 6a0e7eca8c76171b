"""Search for nearest neighbors, and check distances.

N samples, D features, M queries, k neighbors.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances_argmin
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize
from sklearn.utils import gen_batches, get_tags
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from sklearn.utils.extmath import row_norms
from sklearn.utils.validation import check_non_negative
from threadpoolctl import ThreadpoolController

from ..input.checks import warn_user
from ..input.distinct import sort_nearest, split_rows

#: Maximum number of features for which a k-d tree is faster than matrix products.
TREE_FEATURES = 10
#: Number of samples above which neighbors are searched among principal components first.
MANY = 5_000
#: Numbers of points in the first and in the largest tiles that are compared at once.
FIRST_TILE = 512
LARGEST_TILE = 4096
#: Number of principal components that the search compares.
SEARCH_COMPONENTS = 50


#: Returns the loaded libraries with threads, found once per process.
find_libraries = cache(ThreadpoolController)


def single_threaded(user_api=None):
    """Return a context that limits BLAS or OpenMP, or both, to one thread: it fixes rounding."""
    return find_libraries().limit(limits=1, user_api=user_api)


@contextmanager
def open_threads(n_jobs=None):
    """Yield a pool of threads, as many as OpenMP takes if ``n_jobs`` is None.

    BLAS and OpenMP use one thread in each of them.
    """
    # Several OpenMP threads would choose differently among equal distances.
    pool = ThreadPoolExecutor(
        _openmp_effective_n_threads(n_jobs),
        initializer=single_threaded,
        initargs=("openmp",),
    )
    with single_threaded("blas"), pool:
        yield pool


class NeighborIndex:
    """Samples X, an ndarray or CSR matrix (N, D), prepared for the search of nearest neighbors.

    :class:`sklearn.neighbors.NearestNeighbors` or :class:`Products` find a few more than k
    neighbors, in principal components if samples and features are many. For "euclidean" and
    "cosine", distances are then computed from differences, so equal samples have distance 0. Ties
    go to the lower index.
    """

    def __init__(self, X, metric="euclidean", n_jobs=None):
        self.n_jobs = n_jobs
        self.is_cosine = metric == "cosine"
        self.is_measured = metric in ("euclidean", "cosine")
        self.center = 0
        self.axes = None

        n_rows, n_features = X.shape
        algorithm = "auto"
        if self.is_measured and not sparse.issparse(X):
            is_narrow = n_features <= TREE_FEATURES
            algorithm = "kd_tree" if is_narrow else "brute"
        is_large = algorithm == "brute" and n_rows > MANY

        self.X = X = _unit_rows(X) if self.is_cosine else X
        if algorithm == "brute":
            # Matrix products round less around the center.
            self.center = np.median(X[:: 1 + n_rows // 1000], axis=0)
        if is_large and n_features > 2 * SEARCH_COMPONENTS:
            some = X[:: 1 + n_rows // MANY] - self.center
            pca = PCA(SEARCH_COMPONENTS, random_state=0)
            self.axes = pca.fit(some).components_.T

        points = self._project(X)
        if is_large:
            self.library = Products(points)
            return
        metric = "euclidean" if self.is_cosine else metric
        library = NearestNeighbors(algorithm=algorithm, metric=metric)
        self.library = library.fit(points)

    def _project(self, X):
        """Return centered samples, or their principal components in float32."""
        if self.axes is None:
            return X - self.center
        parts = [(X[part] - self.center) @ self.axes for part in split_rows(X)]
        return np.concatenate(parts).astype(np.float32)

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

        def search(part):
            rows = self._project(X[part])
            distances, places = self.library.kneighbors(rows, wide)
            if self.is_measured:
                distances = _square_gaps(self.X, X[part], places)
            if self.is_cosine:
                distances /= 2  # for unit vectors |u - v|^2 / 2 = 1 - u v
            elif self.is_measured:
                distances = np.sqrt(distances)
            # Rounding may make a metric negative.
            distances = np.maximum(distances, 0, dtype=float)
            if is_self:
                rows = np.arange(part.start, part.stop)[:, None]
                distances[places == rows] = np.inf
            return sort_nearest(distances, places, k)

        with open_threads(self.n_jobs) as pool:
            return stack_parts(pool.map(search, gen_batches(X.shape[0], 512)))


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


def _square_gaps(rows, X, places):
    """Return the squared distances (M, n) of X to the samples at ``places`` (M, n)."""
    if sparse.issparse(X):
        X = X.astype(float)
        squares = [row_norms(X - rows[column], squared=True) for column in places.T]
        return np.stack(squares, axis=1)

    parts = []
    fits_cache = 2**16 // (places.shape[1] * X.shape[1])
    for part in gen_batches(len(X), max(1, fits_cache)):
        gaps = rows.take(places[part], axis=0)
        gaps -= X[part, None]
        gaps = gaps.astype(float, copy=False)
        parts.append(gaps[..., None, :] @ gaps[..., None])
    return np.concatenate(parts)[..., 0, 0]


def find_nearest(points, known):
    """Return the place (N,) among ``known`` points (M, D) that is nearest to each point (N, D).

    Points are dense, and their distances are not needed: :class:`NeighborIndex` costs more.
    """
    if points.shape[1] <= TREE_FEATURES:
        return cKDTree(known).query(points, workers=_openmp_effective_n_threads())[1]

    def find(part):
        return pairwise_distances_argmin(points[part], known)

    with open_threads() as pool:
        parts = gen_batches(len(points), 2048)
        return np.concatenate([np.empty(0, int), *pool.map(find, parts)])


class Products:
    """The search of the nearest of many points (M, P) by matrix products.

    Once a tile of points has been compared, most others are farther than the nearest so far, and
    need not be sorted. Tiles grow from FIRST_TILE to LARGEST_TILE points.
    """

    def __init__(self, points):
        self.factors = make_factors(points).T.copy()

    def kneighbors(self, X, k):
        """Return |x - v|^2 - |x|^2 and places of the k points nearest to each of X, unsorted."""
        X = np.column_stack([X, np.ones(len(X), X.dtype)])
        n_points = self.factors.shape[1]
        end = min(max(FIRST_TILE, k), n_points)
        squares = X @ self.factors[:, :end]
        places = np.argpartition(squares, k - 1, axis=1)[:, :k]
        squares = np.take_along_axis(squares, places, 1)

        while end < n_points:
            tile = slice(end, end + min(end, LARGEST_TILE))
            end = tile.stop
            products = X @ self.factors[:, tile]
            columns, is_below = take_below(products, squares.max(1))
            products = np.take_along_axis(products, columns, 1)
            products[~is_below] = np.inf
            squares = np.hstack([squares, products])
            places = np.hstack([places, columns + tile.start])
            nearest = np.argpartition(squares, k - 1, axis=1)[:, :k]
            squares = np.take_along_axis(squares, nearest, 1)
            places = np.take_along_axis(places, nearest, 1)
        return squares, places


def make_factors(points):
    """Return (-2 v, |v|^2) of points v (M, P): products with (x, 1) are |x - v|^2 - |x|^2."""
    return np.column_stack([-2 * points, np.square(points).sum(1)])


def take_below(squares, bound):
    """Return the columns of values below the bound (n,) of each row, and which are such."""
    below = np.flatnonzero(squares < bound[:, None])
    rows, columns = np.divmod(below, squares.shape[1])
    counts = np.bincount(rows, minlength=len(squares))
    places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    taken = np.zeros((len(squares), counts.max(initial=0)), dtype=int)
    taken[rows, places] = columns
    return taken, np.arange(taken.shape[1]) < counts[:, None]


# ---- precomputed distances


def has_distances(estimator):
    """Return whether an estimator takes distances, not features."""
    # AgglomerativeClustering has the parameter, but not the tag.
    if getattr(estimator, "metric", None) == "precomputed":
        return True
    return get_tags(estimator).input_tags.pairwise


def check_distances(X, square=True):
    """Check that distances are at least 0, and between all samples square and no similarities."""
    n_rows, n_columns = X.shape
    if square and n_rows != n_columns:
        raise ValueError(
            "Precomputed distances should be a square matrix of shape (n_samples, n_samples), "
            f"got {X.shape}. Pass the distances between all samples, or another metric."
        )
    whom = "precomputed distances: of similarities s in [0, 1] pass 1 - s"
    check_non_negative(X, whom)
    values = X.data if sparse.issparse(X) else X
    if not square or not values.size:
        return

    diagonal = X.diagonal().mean(dtype=float)
    mean = values.mean(dtype=float)
    if diagonal > mean:
        raise ValueError(
            f"X has the mean {mean:.3g}, but {diagonal:.3g} on the diagonal, as similarities "
            "have. metric='precomputed' takes distances: of similarities s in [0, 1] pass 1 - s."
        )
    if sparse.issparse(X) and values.min() < 1 and _is_linked_by_one(X):
        warn_user(
            "X is symmetric and the maximum of each row is 1, as in graphs of similarities "
            "(scanpy's 'connectivities'). metric='precomputed' takes distances: pass a graph of "
            "distances (scanpy's 'distances').",
            UserWarning,
        )


def _is_linked_by_one(graph):
    """Return whether a sparse graph is symmetric with maxima 1 in all rows, as UMAP's links."""
    largest = graph.max(axis=1).toarray()
    if not np.allclose(largest, 1, rtol=0, atol=1e-6):
        return False
    return (graph != graph.T).nnz == 0


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

    rank = np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows]
    near = rank < k
    places = rows[near], rank[near]
    distances = np.full((n_rows, k), np.inf)
    distances[places] = entries.data[order[near]]
    neighbors = np.repeat(np.arange(n_rows)[:, None] * is_square, k, axis=1)
    neighbors[places] = entries.col[order[near]]
    return distances, neighbors
