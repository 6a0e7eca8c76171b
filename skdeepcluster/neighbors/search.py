"""Search for nearest neighbors, precomputed distances, and the order and equality of samples.

N samples, D features, M queries, k neighbors, c candidates, d principal components, K cells.
"""

import functools
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from itertools import pairwise

import numpy as np
from joblib import effective_n_jobs
from scipy import sparse
from scipy.spatial import cKDTree, distance_matrix
from sklearn.neighbors import NearestNeighbors, sort_graph_by_row_values
from sklearn.preprocessing import normalize
from sklearn.utils import gen_batches, get_tags
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import ThreadpoolController

#: Number of neighbors searched beyond k, because a search may choose freely among ties.
EXTRA = 5
#: Maximum number of features for which a k-d tree is faster than matrix products.
TREE_FEATURES = 15
#: Minimum number of samples that are compared on principal components.
PROJECTED_ROWS = 2000
#: Number of samples from which the center and the components are estimated.
FITTED_ROWS = 1000
#: Numbers of principal components that are tried. With the two columns of norms they are
#: multiples of 16, for which matrix products are fast.
COMPONENTS = 30, 46, 62, 78, 94, 126, 158, 206, 254
#: Maximum number of components, as a share of the features.
PROJECTED_SHARE = 0.8
#: Number of samples whose JUDGED_K neighbors decide how many components are enough.
JUDGED_ROWS = 200
#: Number of their neighbors.
JUDGED_K = 15
#: Minimum share of these neighbors that components must keep.
RECALL = 0.99
#: Minimum share of neighbors that the nearest cells must hold.
CELL_RECALL = 0.998
#: Squared distances below this share of the squared norm may be rounding errors of float32.
NOISE = 2.0**-16
#: Maximum exponent of the samples, in magnitude, for which squares in float32 are safe.
SAFE_EXPONENT = 20
#: Maximum exponent of a query relative to the samples. Queries farther away are moved closer: in
#: float64 their distances to all samples are equal.
FAR_EXPONENT = 52
#: Number of rows of the table in which the distances of a query are arranged.
DEPTH = 16
#: Maximum number of elements in memory at once, in each thread (32 MB in float64).
BLOCK_ELEMENTS = 2**22
#: Number of elements that fit into the cache of a processor.
CACHED_ELEMENTS = 2**16
#: Number of queries that scikit-learn searches at once. With few queries, its threads divide the
#: samples, not the queries, and equal distances always have the same order.
LIBRARY_BLOCK = 1024
#: Minimum distance that a metric function may return because of rounding.
ROUNDING = 1e-6


class NeighborIndex:
    """Samples X, an ndarray or CSR matrix (N, D), prepared for the search of nearest neighbors.

    The search is exact for at most 15 features and for fewer than 2,000 samples. Otherwise it
    finds about 99 of 100 neighbors. Among equal distances the lower index is first. The result
    does not depend on the number of threads, ``n_jobs``. Sparse samples, and metrics other than
    "euclidean" and "cosine", are searched by :class:`sklearn.neighbors.NearestNeighbors`.

    >>> NeighborIndex(np.array([[0.0], [1.0], [5.0]])).query(np.array([[4.0]]), 2)
    (array([[1., 3.]]), array([[2, 1]]))
    """

    def __init__(self, X, metric="euclidean", n_jobs=None):
        self.is_cosine = isinstance(metric, str) and metric == "cosine"
        self.is_measured = self.is_cosine or metric == "euclidean"
        self.X = _unit_rows(X) if self.is_cosine else X
        self.n_jobs, self.exponent = effective_n_jobs(n_jobs), 0
        self.library = self.tree = self.products = None
        if sparse.issparse(X) or not self.is_measured:
            checked = functools.partial(_check_metric, metric) if callable(metric) else metric
            try:
                library = NearestNeighbors(metric="euclidean" if self.is_cosine else checked)
                self.library = library.set_params(n_jobs=n_jobs).fit(self.X)
            except (TypeError, ValueError) as error:
                raise ValueError(f"metric={metric!r} cannot compare samples: {error}") from error
            return
        exponent = int(_find_exponents(self.X).max())
        if abs(exponent) > SAFE_EXPONENT:
            self.X, self.exponent = np.ldexp(self.X, -exponent), exponent
        if X.shape[1] <= TREE_FEATURES:
            self.tree = cKDTree(self.X, balanced_tree=False)
        else:
            with single_threaded_blas():
                self.products = _Products(np.ascontiguousarray(self.X))

    def query(self, X, k):
        """Return distances (float64) and indices of the k samples nearest to each of X, (M, k)."""
        X = _unit_rows(X) if self.is_cosine else X
        if self.library is not None:
            return self._search(X, k)
        shifts = np.maximum(_find_exponents(X) - self.exponent - FAR_EXPONENT, 0)
        distances, indices = self._search(np.ldexp(X, -self.exponent - shifts), k)
        return np.ldexp(distances, shifts), indices

    def query_self(self, k):
        """Return distances (float64) and indices of the k nearest others of each, (N, k)."""
        return self._search(self.X, k, own=np.arange(self.X.shape[0]))

    def _search(self, X, k, own=None):
        """Return distances and indices of the k samples nearest to X, except ``own`` (M,)."""
        n_rows = self.X.shape[0]
        k, wide = min(k, n_rows - (own is not None)), min(k + EXTRA + 1, n_rows)
        c = min(2 * k + 16, n_rows)

        def work(task):
            part, cell = task
            if self.tree is not None:
                found = self.tree.query(X[part], range(1, wide + 1))[1]
            elif self.products is not None:
                found = self.products.find(X[part], c, cell)
            else:
                distances, found = self.library.kneighbors(X[part], wide)
            if self.is_measured:
                distances = self._measure(X[part], found)
            if own is not None:
                distances[found == own[part, None]] = np.inf
            nearest[0][part], nearest[1][part] = sort_nearest(distances, found, k)

        nearest = np.empty((X.shape[0], k)), np.empty((X.shape[0], k), dtype=np.int64)
        with single_threaded_blas(), ThreadPoolExecutor(self.n_jobs) as pool:
            list(pool.map(work, self._split(X, c)))
        return nearest

    def _split(self, X, c):
        """Return the queries X to search at once, as pairs of their positions and their cell."""
        if self.products is not None:
            return self.products.split(X, c)
        is_slow = self.library is not None
        parts = gen_batches(X.shape[0], LIBRARY_BLOCK) if is_slow else split_rows(*X.shape)
        return [(part, None) for part in parts]

    def _measure(self, X, found):
        """Return the distances (M, n) of X to the samples found, by differences of features."""
        squares = _square_gaps(self.X, X, found)
        if not self.is_cosine:
            return np.ldexp(np.sqrt(squares), self.exponent)
        # For unit vectors |u - v|^2 / 2 = 1 - u v. Samples of zeros are at distance 1 from all.
        last = [rows[:, [-1]] for rows in (self.X, X)]
        stored, asked = (x.toarray() if sparse.issparse(x) else x for x in last)
        return np.where((stored[:, 0][found] > 0) & (asked > 0), 1, squares / 2)


def _check_metric(metric, first, second):
    """Return the distance that a function gives, which rounding may make negative."""
    distance = metric(first, second)
    if not distance >= -ROUNDING:  # nor NaN
        raise ValueError(
            f"The metric gives {distance} for two samples. Expected are distances of at least 0."
        )
    return max(distance, 0.0)


def _unit_rows(X):
    """Return samples of unit length and a last feature: 1 for samples of zeros, else 0."""
    peaks = abs(X).max(axis=1)
    peaks = peaks.toarray().ravel() if sparse.issparse(X) else peaks
    is_zero, peaks = (peaks == 0).astype(X.dtype)[:, None], np.where(peaks > 0, peaks, 1)
    if not sparse.issparse(X):
        return np.hstack([normalize(X / peaks[:, None]), is_zero])
    X = X.astype(np.float64)
    X.data /= np.repeat(peaks, np.diff(X.indptr))
    return sparse.hstack([normalize(X), sparse.csr_array(is_zero)], format="csr")


def _find_exponents(X):
    """Return the exponent of the largest magnitude of each sample, (N, 1)."""
    return np.frexp(np.maximum(X.max(1, keepdims=True), -X.min(1, keepdims=True)))[1]


def _square_gaps(rows, X, found):
    """Return the squared distances (M, n) of X to the samples found."""
    if sparse.issparse(X):
        gaps = (X.astype(np.float64) - rows[column] for column in found.T)
        return np.stack([np.asarray(gap.multiply(gap).sum(1)).ravel() for gap in gaps], 1)
    squares = np.empty(found.shape)
    for part in gen_batches(len(X), max(1, CACHED_ELEMENTS // (found.shape[1] * X.shape[1]))):
        gaps = rows.take(found[part], axis=0)
        gaps = np.subtract(gaps, X[part, None], out=gaps).astype(np.float64, copy=False)
        np.matmul(gaps[..., None, :], gaps[..., None], out=squares[part][..., None, None])
    return squares


class _Products:
    """Dense samples, compared by |x|^2 + |y|^2 - 2 x y in float32, if possible of components."""

    def __init__(self, X):
        self.X, self.axes, self.cells, self.order = X, None, np.array([0]), np.arange(len(X))
        sample = X[:: 1 + len(X) // FITTED_ROWS]
        self.center = np.median(sample, axis=0)  # unlike the mean, no outlier moves it
        self.rows = _append_norms(X - self.center)
        self.n_near = len(self.rows)  # number of rows, of the nearest cells, compared
        most = min(COMPONENTS[-1], int(PROJECTED_SHARE * X.shape[1]))
        if len(X) >= PROJECTED_ROWS and most >= COMPONENTS[0]:
            sample = (sample - sample.mean(0)).astype(np.float32)
            self._project(randomized_svd(sample, most, random_state=0)[2].T)

    def _project(self, axes):
        """Project on the fewest axes that keep the neighbors of a sample, else on none."""
        everything, rows = self.rows, self.rows[: len(self.X), :-2]
        queries = rows[:: 1 + len(rows) // JUDGED_ROWS]
        nearest = _propose(self.rows, queries, JUDGED_K + 1)[0]
        for d in (d for d in COMPONENTS if d <= axes.shape[1]):
            self.axes = np.ascontiguousarray(axes[:, :d])
            self.rows = _append_norms(rows @ self.axes)
            found = _propose(self.rows, queries @ self.axes, 2 * JUDGED_K + 16)[0]
            kept = [np.isin(*pair).mean() for pair in zip(nearest, found, strict=True)]
            if np.mean(kept) >= RECALL:
                self._divide(self.rows[: len(rows), :-2], nearest)
                return
        self.axes, self.rows = None, everything

    def _divide(self, points, nearest):
        """Divide the points into cells, if few cells hold the neighbors of the sample."""
        self.centers = points[1 :: 1 + int(len(points) ** 0.5 / 2)]
        for _ in range(2):  # steps of k-means
            cells = np.unique(self._find_cells(points), return_inverse=True)[1]
            order, sizes = np.argsort(cells, kind="stable"), np.bincount(cells)
            starts = sizes.cumsum() - sizes
            self.centers = np.add.reduceat(points[order], starts) / np.float32(sizes)[:, None]
        gaps = distance_matrix(self.centers[cells[:: 1 + len(cells) // JUDGED_ROWS]], self.centers)
        is_near = gaps[:, None] <= np.take_along_axis(gaps, cells[nearest], axis=1)[..., None]
        n_near = np.quantile(is_near @ sizes, CELL_RECALL)
        if n_near < len(points) / 2:
            self.n_near, self.sizes = DEPTH * int(n_near // DEPTH + 1), sizes
            self.rows, self.order, self.cells = _append_norms(points[order]), order, cells
            self.parts = np.array(list(map(slice, starts, starts + sizes)))

    def _find_cells(self, points):
        """Return the cells with the nearest centers, (M,)."""
        norms = np.einsum("kd,kd->k", self.centers, self.centers) / 2
        blocks = (points[part] for part in split_rows(len(points), len(norms)))
        return np.concatenate([(block @ self.centers.T - norms).argmax(1) for block in blocks])

    def split(self, X, c):
        """Return the queries X to search at once, as pairs of their positions and their cell."""
        cells, n = np.resize(self.cells, len(X)), max(self.n_near, DEPTH * c)
        if X is not self.X and self.n_near < len(self.rows):
            cells = self._find_cells((X - self.center).astype(np.float32) @ self.axes)
        groups = ((np.flatnonzero(cells == cell), cell) for cell in np.unique(cells))
        return [(g[part], cell) for g, cell in groups for part in split_rows(len(g), n)]

    def find(self, X, c, cell):
        """Return the positions of c candidates for the neighbors of each of X, (M, c)."""
        n, rows, order = max(self.n_near, DEPTH * c), self.rows, self.order
        if n < len(order):
            near = distance_matrix(self.centers[[cell]], self.centers)[0].argsort(kind="stable")
            parts = self.parts[near[: np.searchsorted(self.sizes[near].cumsum(), n) + 1]]
            rows, order = (np.concatenate([x[part] for part in parts])[:n] for x in (rows, order))
        queries = (X - self.center).astype(np.float32)
        found, is_lost = _propose(rows, queries if self.axes is None else queries @ self.axes, c)
        found = order[found]
        if is_lost.any() and c < len(self.X):
            library = NearestNeighbors(algorithm="brute").fit(self.X.astype(float) - self.center)
            lost = X[is_lost].astype(float) - self.center
            found[is_lost] = library.kneighbors(lost, c, return_distance=False)
        return found


def _propose(rows, queries, c):
    """Return the c nearest samples, (M, c), and the queries that rounding may mislead, (M,)."""
    m, n = len(queries), len(rows) // DEPTH
    norms = np.einsum("md,md->m", queries, queries)[:, None]
    factors = np.hstack([-2 * queries, np.ones_like(norms), norms])
    gaps = (rows @ factors.T).reshape(DEPTH, -1)
    # The c smallest values of a table are in the c columns with the smallest minima.
    columns = _find_smallest(gaps.min(0).reshape(n, m).T, min(c, n))
    near = gaps.take(columns * m + np.arange(m)[:, None], axis=1).transpose(1, 0, 2)
    chosen = _find_smallest(near := near.reshape(m, -1), c)
    row, column = np.divmod(chosen, columns.shape[1])
    found = row * n + np.take_along_axis(columns, column, 1)
    return found, (np.take_along_axis(near, chosen[:, -1:], 1) < NOISE * norms)[:, 0]


def _append_norms(rows):
    """Return rows with columns of norms and ones, and distant rows up to a multiple of DEPTH."""
    factors = np.zeros((-(-len(rows) // DEPTH) * DEPTH, rows.shape[1] + 2), dtype=np.float32)
    factors[: len(rows), :-2] = rows
    np.einsum("nd,nd->n", factors[:, :-2], factors[:, :-2], out=factors[:, -2])
    factors[len(rows) :, -2], factors[:, -1] = 1e38, 1
    return factors


def _find_smallest(values, c):
    """Return positions of the c smallest float32 of each row, (M, c), the largest of them last."""
    # Floats of at least 0 are ordered like their bits, and negative ones are rounded zeros. The
    # positions are the lowest bits: numpy partitions numbers faster than it tracks positions.
    packed = values.view(np.int32).astype(np.int64, order="C") << 32
    packed |= np.arange(values.shape[1])
    packed.partition(c - 1, axis=1)
    return packed[:, :c] & (2**32 - 1)


def sort_nearest(distances, neighbors, k):
    """Return the k nearest of the neighbors found, (M, k). Ties go to the lower index."""
    order = np.lexsort((neighbors, distances))[:, :k]
    return np.take_along_axis(distances, order, 1), np.take_along_axis(neighbors, order, 1)


# ---- precomputed distances


def is_precomputed(metric):
    """Return whether a metric stands for precomputed distances."""
    return isinstance(metric, str) and metric == "precomputed"


def has_distances(estimator):
    """Return whether an estimator takes distances, not features."""
    # AgglomerativeClustering has the parameter, but not the tag.
    given = is_precomputed(getattr(estimator, "metric", None))
    return given or get_tags(estimator).input_tags.pairwise


def check_distances(X):
    """Check that distances are at least 0."""
    least = (X.data if sparse.issparse(X) else X).min(initial=0)
    if least < 0:
        raise ValueError(
            f"Negative values in data: the least precomputed distance is {least:.6g}. Pass "
            "numbers of at least 0; of similarities s in [0, 1] pass 1 - s."
        )


def check_square(X):
    """Check that a matrix of distances is square."""
    if X.shape[0] != X.shape[1]:
        raise ValueError(
            f"Precomputed distances should be a square matrix of shape (n_samples, n_samples), "
            f"got {X.shape}. Pass the distances between all samples, or another metric."
        )


def nearest_entries(X, k, *, own):
    """Return distances and columns of the nearest entries of each row, (N, k), nearest first.

    With ``own``, column i is sample i itself and not its neighbor. The neighbors in a sparse
    matrix are its stored entries, including zeros. A row with fewer than k of them ends with
    distances of infinity to column i, or to column 0 without ``own``.
    """
    if own and X.shape[0] == 1:
        return np.zeros((1, 0)), np.zeros((1, 0), dtype=np.int64)
    if sparse.issparse(X):
        return _nearest_stored(X, k, own)
    k, parts = min(k, X.shape[1] - own), []
    for part in split_rows(*X.shape):
        block = np.array(X[part], dtype=np.float64)
        if own:
            np.fill_diagonal(block[:, part.start :], np.inf)
        columns = np.argpartition(block, k - 1, axis=1)[:, :k]
        parts.append(sort_nearest(np.take_along_axis(block, columns, 1), columns, k))
    return tuple(map(np.concatenate, zip(*parts, strict=True)))


def _nearest_stored(X, k, own):
    """Return :func:`nearest_entries` of a sparse matrix."""
    graph = sort_graph_by_row_values(X.tocsr(), copy=True, warn_when_not_sorted=False)
    n_rows = graph.shape[0]
    rows = np.repeat(np.arange(n_rows), np.diff(graph.indptr))
    chosen = (graph.indices != rows) if own else np.ones(len(rows), dtype=bool)
    rows, columns, values = rows[chosen], graph.indices[chosen], graph.data[chosen]
    counts = np.bincount(rows, minlength=n_rows)
    if not counts.all():
        raise ValueError(
            f"Row {int(counts.argmin())} of the precomputed graph has no neighbor among the "
            "samples fitted (with a positive weight). Compute the graph with more neighbors "
            "(n_neighbors of KNeighborsTransformer), or drop the row."
        )
    k = min(k, int(counts.max()))
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    near = place < k
    distances = np.full((n_rows, k), np.inf)
    neighbors = np.repeat(np.arange(n_rows)[:, None] * own, k, axis=1)
    distances[rows[near], place[near]] = values[near]
    neighbors[rows[near], place[near]] = columns[near]
    return distances, neighbors


# ---- the order of samples, and equal samples


def split_rows(n_rows, n_columns):
    """Return the slices of rows that are processed at once, which bounds memory."""
    return list(gen_batches(n_rows, max(1, BLOCK_ELEMENTS // max(1, n_columns))))


def order_rows(X):
    """Return the order (N,) of samples by their values, whatever their order in X.

    It is the order of their projections on a fixed random direction. Features are scaled by their
    ranges, so their units do not matter.
    """
    ends = (end.toarray() if sparse.issparse(X) else end for end in (X.min(0), X.max(0)))
    least, largest = (np.ravel(end).astype(np.float64) for end in ends)
    direction = np.random.RandomState(0).standard_normal(X.shape[1])
    # The inverse of a subnormal range is infinite.
    direction /= np.where(largest > least, np.maximum(largest - least, 1e-300), 1)
    return np.argsort(project_rows(X, direction), kind="stable")


def project_rows(X, direction):
    """Return the projections (N,) of samples on a direction (D,), equal for equal samples."""
    if sparse.issparse(X):
        return X @ direction
    # Summed row by row: a matrix product may round equal rows differently at other positions.
    parts = (np.ascontiguousarray(X[part], np.float64) for part in split_rows(*X.shape))
    return np.concatenate([(part * direction).sum(1) for part in parts])


def hash_rows(X, stored_zeros=False):
    """Return 64 bits of the BLAKE2 hash of each sample, as integers (N,).

    Equal samples have equal hashes in any precision; two others collide with probability 2^-64.
    With ``stored_zeros`` stored zeros of a sparse matrix differ from entries that are not stored.
    """
    if sparse.issparse(X):
        X = X.sorted_indices()
        if not stored_zeros:
            X.eliminate_zeros()
        places, values = X.indices.astype(np.int64), X.data.astype(np.float64) + 0.0
        rows = (places[i:j].tobytes() + values[i:j].tobytes() for i, j in pairwise(X.indptr))
    else:
        # Adding zero makes negative zeros positive.
        blocks = (np.asarray(X[part], np.float64, "C") + 0.0 for part in split_rows(*X.shape))
        rows = (row for block in blocks for row in block)
    hashes = b"".join(blake2b(row, digest_size=8).digest() for row in rows)
    return np.frombuffer(hashes, dtype="<i8").astype(np.int64)


def unique_rows(X, weights):
    """Return (kept, inverse, weights) of the distinct samples of X with a positive weight.

    ``kept`` (M,) are their first positions in X, in an order that depends on values only.
    ``inverse`` (N,) is the position of each sample in ``kept``, or -1 for samples without weight.
    ``weights`` (M,) are sums over equal samples. Copies would be each other's nearest neighbors
    and linked to no other sample.
    """
    hashes = hash_rows(X)
    # By weight last: sums of weights then have the same rounding in every order of the samples.
    order = np.lexsort((weights, hashes))
    is_new = np.append(True, hashes[order][1:] != hashes[order][:-1])
    first = np.flatnonzero(is_new)
    total = np.add.reduceat(weights[order], first)
    present = total > 0
    inverse = np.empty(len(order), dtype=np.int64)
    inverse[order] = np.where(present, np.cumsum(present) - 1, -1)[np.cumsum(is_new) - 1]
    return np.minimum.reduceat(order, first)[present], inverse, total[present]


#: The loaded libraries that have threads, found once per process because this reads files.
_libraries = functools.cache(ThreadpoolController)


def single_threaded(user_api=None):
    """Return a context in which neither BLAS nor OpenMP runs on several threads.

    The threads of scikit-learn's k-means add up their sums in the order in which they end.
    """
    return _libraries().limit(limits=1, user_api=user_api)


#: The same for BLAS only, which splits sums by the number of threads and rounds differently.
single_threaded_blas = functools.partial(single_threaded, "blas")
