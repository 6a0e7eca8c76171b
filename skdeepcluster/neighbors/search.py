"""Search for the k nearest neighbours: by a k-d tree, by matrix products, or by scikit-learn.

N rows, D features, M queries, k neighbours, K cells, c candidates.

Rows of many features are compared by matrix products on their leading principal components; the c
nearest are compared again on all features, and the distances of the k nearest are computed from
differences. Many rows are first divided into cells by k-means, and the queries of a cell are
compared with the rows of the nearest cells only (an inverted file).

Reference: H. Jegou, M. Douze, C. Schmid, "Product Quantization for Nearest Neighbor Search",
TPAMI 2011 (inverted file, re-ranking).
"""

import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from joblib import effective_n_jobs
from scipy import sparse
from scipy.spatial import cKDTree
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from ..engine.isolation import without_overrides
from ..engine.runtime import generator, limited_threads, resolve_precision
from .measure import EXTRA, Measure, sort_nearest

#: Most features for which a k-d tree finds neighbours faster than matrix products do.
TREE_FEATURES = 15
#: Fewest rows that are compared on principal components; fewer are compared on all features.
PROJECTED_ROWS = 2000
#: Rows that the centre and the principal components are estimated from.
FITTED_ROWS = 1000
#: Rows on which the number of components is chosen.
JUDGED_ROWS = 10000
#: Rows of these whose neighbours are found exactly.
JUDGED_QUERIES = 100
#: Neighbours of each of them that are compared.
JUDGED_K = 15
#: Share of these neighbours that the components must keep among the candidates.
AXES_RECALL = 0.998
#: Most principal components.
MOST_AXES = 508
#: Fewest rows that are divided into cells.
CELL_ROWS = 25000
#: Rows in each cell of the sample that k-means divides.
KMEANS_ROWS = 40
#: Steps of k-means.
KMEANS_STEPS = 6
#: Rows of each cell whose nearest centres tell which cells are neighbours of their cell.
NEAR_ROWS = 60
#: Nearest centres of a row that tell which cells are neighbours of its cell.
NEAR_CENTRES = 16
#: Share of the neighbours, found exactly for some rows, that the cells compared must contain.
RECALL = 0.992
#: Rows whose neighbours are found exactly to choose the number of cells compared.
RECALL_ROWS = 400
#: Share of the rows from which on a query is compared with all rows instead of with cells.
WHOLE_SHARE = 0.5
#: Most distances in memory at once, in each thread.
BLOCK = 2**23
#: Largest power of two whose squares are safely summed in float32.
SAFE_EXPONENT = 20
#: The same in double precision, for the features of a k-d tree.
SAFE_EXPONENT_DOUBLE = 400
#: Squared distances below this share of the squared norms may be lost in the rounding of products.
NOISE = {torch.float32: 2.0**-16, torch.bfloat16: 2.0**-6}

#: Distances of a function, such as 1 - cosine, down to minus this are zero but for rounding.
ROUNDING = 1e-6


class Queries(NamedTuple):
    """Rows whose neighbours are sought."""

    X: torch.Tensor  # as given, (M, D)
    rows: torch.Tensor  # centred, float32, (M, D)
    points: torch.Tensor  # principal components, (M, d)
    cells: torch.Tensor  # nearest cells, (M,)
    own: torch.Tensor | None  # positions among the rows searched, if the queries belong to them

    def take(self, chosen):
        """Return some of the queries."""
        return Queries(*(None if part is None else part[chosen] for part in self))


def _measure(metric, first, second):
    """Return the distance that a function of two rows gives, which rounding may make negative."""
    distance = metric(first, second)
    if not distance >= -ROUNDING:  # nor NaN
        raise ValueError(
            f"The metric gives {distance} for two rows. Expected are distances of at least 0."
        )
    return max(distance, 0.0)


class NeighborIndex:
    """Rows prepared for the search of their nearest neighbours.

    Up to 15 features the search is exact. With more features and at least 2,000 rows it is
    approximate: of 15 neighbours about 99 in 100 are found. The distances are those of the rows
    found. The result depends neither on the number of threads nor on any random stream.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (N, D)
        Rows, float32 or float64.
    metric : str or callable, default="euclidean"
        As in :class:`sklearn.neighbors.NearestNeighbors`, which also searches sparse rows, and by
        metrics other than "euclidean" and "cosine".
    n_jobs : int, default=None
        Threads of the search, as in scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeepcluster.neighbors.search import NeighborIndex
    >>> index = NeighborIndex(np.array([[0.0], [1.0], [5.0]]))
    >>> index.query_self(1)[1].ravel()
    array([1, 0, 1])
    >>> index.query(np.array([[4.0]]), 2)
    (array([[1., 3.]]), array([[2, 1]]))
    """

    def __init__(self, X, metric="euclidean", n_jobs=None):
        self.metric, self.n_jobs, self.n_rows = metric, effective_n_jobs(n_jobs), X.shape[0]
        self.X = self.library = self.measure = self.tree = self.cells = None
        if sparse.issparse(X) or metric not in ("euclidean", "cosine"):
            try:
                checked = partial(_measure, metric) if callable(metric) else metric
                self.library = NearestNeighbors(metric=checked, n_jobs=n_jobs).fit(X)
            except (TypeError, ValueError) as error:
                raise ValueError(f"metric={metric!r} cannot compare rows: {error}") from error
            if sparse.issparse(X) and metric in ("euclidean", "cosine"):
                self.measure = Measure(X, metric)
            return
        self.X = self._dense(X)
        if X.shape[1] <= TREE_FEATURES:
            self.tree = cKDTree(self.X, balanced_tree=False)
        else:
            with limited_threads(), without_overrides():
                self.cells = Cells(self.X, self.n_jobs)

    def query(self, X, k):
        """Return distances (float64) and indices of the k nearest rows to each of X, (M, k)."""
        k = min(k, self.n_rows)
        X = X if self.library is not None else self._dense(X)
        if self.library is not None:
            found = self.library.kneighbors(X, k)
        elif self.tree is not None:
            found = self._query_tree(X, k)
        else:
            with limited_threads(), without_overrides():
                found = self.cells.search(self.cells.make_queries(X), k)
        return self._finish(*found, X)

    def query_self(self, k):
        """Return distances (float64) and indices of the k nearest other rows to each, (N, k)."""
        k = min(k, self.n_rows - 1)
        if self.library is not None:
            found = self.library.kneighbors(n_neighbors=k)
        elif self.tree is not None:
            near = self._query_tree(self.X, k + 1)
            found = drop_self(*near, np.arange(self.n_rows))
        else:
            with limited_threads(), without_overrides():
                found = self.cells.search(self.cells.own, k)
        return self._finish(*found, self.X)

    def nearest(self, k, X=None):
        """Return :meth:`query` of X, or :meth:`query_self`, with ties broken alike everywhere.

        Of equally distant rows the first are taken. Distances that a library found by products
        are measured anew by differences, as those of this search are.
        """
        k, wide = (min(n, self.n_rows - (X is None)) for n in (k, k + EXTRA))
        found = self.query_self(wide) if X is None else self.query(X, wide)
        if self.measure is None:
            return sort_nearest(*found, k)
        return self.measure.choose_nearest(self.measure.X if X is None else X, found[1], k)

    def _query_tree(self, X, k):
        """Return distances and indices of the k nearest rows by the k-d tree, (M, k) each.

        The tree compares squares. Where these overflow, it finds no row, and where all underflow,
        every row at distance zero: then both sides are multiplied by a power of two.
        """
        numbers = range(1, k + 1)
        distances, indices = self.tree.query(X, numbers, workers=self.n_jobs)
        lost = np.flatnonzero(np.isinf(distances).any(1) | ~distances.any(1))
        if len(lost):
            exponent = find_exponent(self.X, X[lost])
            if abs(exponent) > SAFE_EXPONENT_DOUBLE:
                rows, X = (np.ldexp(part, -exponent) for part in (self.X, X[lost]))
                found = cKDTree(rows, balanced_tree=False).query(X, numbers, workers=self.n_jobs)
                distances[lost], indices[lost] = np.ldexp(found[0], exponent), found[1]
        return distances, indices

    def _dense(self, X):
        """Return the rows themselves, or of unit length if the metric is the cosine.

        A last feature is 1 for rows of zeros, which makes them orthogonal to all others but each
        other: see :meth:`_finish`.
        """
        if self.metric == "euclidean":
            return np.ascontiguousarray(X)
        peaks = np.abs(X).max(1, keepdims=True)
        unit = normalize(X / np.where(peaks > 0, peaks, 1))
        return np.hstack([unit, (peaks == 0).astype(X.dtype)])

    def _finish(self, distances, indices, X):
        """Return distances in the metric, and indices, found for rows of X by :meth:`_dense`.

        By the cosine a row of zeros is at distance 1 from all, also from other rows of zeros.
        """
        distances = distances.astype(np.float64, copy=False)
        if self.metric == "cosine" and self.library is None:
            both_zero = (self.X[:, -1] > 0)[indices] & (X[:, -1:] > 0)
            distances = np.where(both_zero, 1, distances**2 / 2)  # of rows of unit length
        return distances, indices.astype(np.int64, copy=False)


def find_exponent(*parts):
    """Return the least e for which all numbers of some arrays are less than 2^e in magnitude."""
    return int(np.frexp(max(max(part.max(), -part.min()) for part in parts))[1])


def drop_self(distances, indices, own):
    """Drop from the nearest rows the query itself; among equal rows it may not be one of them."""
    other = indices != own[:, None]
    other[other.all(1), -1] = False
    return distances[other].reshape(len(own), -1), indices[other].reshape(len(own), -1)


class Cells:
    """Dense rows in cells, compared by matrix products; all computations in one thread each."""

    def __init__(self, X, n_jobs):
        self.n_jobs = n_jobs
        with warnings.catch_warnings():  # once a process, that sparse tensors are in beta state
            warnings.simplefilter("ignore")
            make_csr(torch.tensor([0, 0]), torch.tensor([]).long(), torch.tensor([]), (1, 1))
        self.exponent = find_exponent(X)
        self.centre, self.axes = 0, None
        X = self._scaled(X)
        self.centre = take_evenly(X, FITTED_ROWS).mean(0, dtype=torch.float64).to(X.dtype)
        rows = (X - self.centre).float()
        if len(rows) >= PROJECTED_ROWS:
            self.axes = choose_axes(rows)
        points = rows if self.axes is None else rows @ self.axes
        self.centres = find_centres(points) if len(rows) >= CELL_ROWS else points.mean(0)[None]
        cells = find_nearest_centres(points, self.centres, 1)[:, 0]
        self.own = Queries(X, rows, points, cells, torch.arange(len(rows)))
        self.norms = torch.linalg.vector_norm(rows, dim=1).square()
        self._arrange(points, cells)

    def _scaled(self, X):
        """Return rows as a tensor, multiplied by a power of two if their squares may overflow."""
        with warnings.catch_warnings():  # that the array is read-only
            warnings.simplefilter("ignore")
            X = torch.from_numpy(X)
        if abs(self.exponent) > SAFE_EXPONENT:
            X = torch.ldexp(X, torch.tensor(-self.exponent))
        return X

    def make_queries(self, X):
        """Place new rows among the cells."""
        X = self._scaled(X)
        rows = (X - self.centre).float()
        points = rows if self.axes is None else rows @ self.axes
        return Queries(X, rows, points, find_nearest_centres(points, self.centres, 1)[:, 0], None)

    def _arrange(self, points, cells):
        """Sort the rows by cell, and the cells by how often rows of a cell are near to them."""
        K = len(self.centres)
        self.order = cells.argsort(stable=True)
        self.sizes = torch.bincount(cells, minlength=K)
        self.starts = self.sizes.cumsum(0) - self.sizes
        self.place = torch.empty_like(cells)
        self.place[self.order] = torch.arange(len(cells)) - self.starts[cells[self.order]]
        chosen = slice(None, None, max(1, len(cells) // (K * NEAR_ROWS)))
        near = find_nearest_centres(points[chosen], self.centres, min(K, NEAR_CENTRES))
        weights = 0.9 ** torch.arange(near.shape[1], dtype=torch.float64)
        votes = torch.zeros(K * K, dtype=torch.float64)
        votes.index_add_(0, (cells[chosen, None] * K + near).ravel(), weights.repeat(len(near)))
        gaps = torch.cdist(self.centres, self.centres)
        votes = votes.view(K, K) - gaps / gaps.max().clamp_min(1e-30)
        votes.fill_diagonal_(torch.inf)
        self.near = votes.argsort(stable=True, dim=1, descending=True)

    def search(self, queries, k):
        """Return distances and indices of the k nearest rows, without the query itself."""
        distances = np.empty((len(queries.X), k))
        indices = np.empty((len(queries.X), k), dtype=np.int64)
        left, passes = torch.arange(len(queries.X)), [(torch.float32, True)]
        if len(self.norms) >= PROJECTED_ROWS:
            precision = resolve_precision("auto", torch.device("cpu"))
            passes.insert(0, (getattr(torch, precision), False))
        for dtype, all_measured in passes if k > 0 else []:
            if len(left):
                *found, lost = self._search(queries.take(left), k, dtype, all_measured)
                distances[left], indices[left] = found
                left = left[lost]
        if len(left) and k > 0:
            distances[left], indices[left] = self._search_precisely(queries.take(left), k)
        return distances, indices

    def _search_precisely(self, queries, k):
        """Search by scikit-learn in float64, where products in float32 are too inaccurate."""
        search = NearestNeighbors(algorithm="brute", n_jobs=self.n_jobs)
        centre = self.own.X.median(0).values.double()  # unlike the mean, no outlier moves it
        search.fit((self.own.X.double() - centre).numpy())
        X = (queries.X.double() - centre).numpy()
        found = search.kneighbors(X, k + (queries.own is not None))
        if queries.own is not None:
            found = drop_self(*found, queries.own.numpy())
        return self._measure(queries, torch.from_numpy(found[1]))

    def _search(self, queries, k, dtype, all_measured):
        """Return distances, indices, and which queries the rounding of products may mislead."""
        M, N = len(queries.X), len(self.norms)
        c = min(count_candidates(k), N - (queries.own is not None))
        share = self._share(k)
        # The same number of rows for every cell: oneDNN compiles a product for each new shape.
        n = max(int(share * N), 4 * c, int(self.sizes.max()))
        columns = make_product_factors(self.own.points[self.order], dtype)
        distances, indices = np.empty((M, k)), np.empty((M, k), dtype=np.int64)
        lost = torch.zeros(M, dtype=torch.bool)

        def work(task):
            cell, members = task
            right, ids = columns, self.order
            if cell is not None:
                near = self._near(cell, n)
                right, ids = (torch.cat([part[a:b] for a, b in near])[:n] for part in (right, ids))
            for block in members.split(int(np.clip(BLOCK // len(ids), 16, 512))):
                part = queries.take(block)
                place = None if part.own is None else self.place[part.own]
                if place is not None and cell is None:
                    place = place + self.starts[self.own.cells[part.own]]
                found, unsure = propose_candidates(part.points, right, place, c)
                found = ids[found]
                if not all_measured:
                    found, unsure = self._rank(part, found, k, unsure)
                found = [nearest[:, :k] for nearest in self._measure(part, found)]
                distances[block], indices[block] = found
                lost[block] = unsure & torch.from_numpy(found[0][:, -1] > 0)

        if n > WHOLE_SHARE * N:
            tasks = [(None, block) for block in torch.arange(M).split(512)]
        else:
            order, sizes = queries.cells.argsort(stable=True), torch.bincount(queries.cells)
            tasks = [(a, part) for a, part in enumerate(order.split(sizes.tolist())) if len(part)]
        do_all(work, tasks, self.n_jobs)
        return distances, indices, lost

    def _near(self, cell, least):
        """Return first and last positions of the nearest cells that have together enough rows."""
        near = self.near[cell]
        near = near[: int((self.sizes[near].cumsum(0) < least).sum()) + 1]
        starts = self.starts[near]
        return list(zip(starts.tolist(), (starts + self.sizes[near]).tolist(), strict=True))

    def _share(self, k):
        """Return the share of the rows that a query must be compared with to find its neighbours.

        The neighbours of a sample of rows are found among all rows; most of them must be in the
        nearest cells that hold this share.
        """
        if len(self.centres) == 1:
            return 1.0
        N, sample = len(self.norms), take_evenly(torch.arange(len(self.norms)), RECALL_ROWS)
        points, cells = self.own.points, self.own.cells
        blocks = sample.split(max(BLOCK // N, 1))
        gaps = (compute_squared_distances(points, block) for block in blocks)
        found = [block.topk(min(k, N - 1), largest=False).indices for block in gaps]
        # Rows in the cells up to that of the neighbour, in the order of the query's cell.
        rows = self.sizes[self.near].cumsum(1)
        rows = rows.gather(1, self.near.argsort(1))
        needed = rows[cells[sample][:, None], cells[torch.cat(found)]]
        return float(np.quantile(needed.numpy(), RECALL)) / N

    def _rank(self, queries, candidates, k, unsure):
        """Return the k nearest of the candidates by products of all features in float32."""
        m, c = candidates.shape
        starts, zeros = torch.arange(0, m * c + 1, c), torch.zeros(m * c, dtype=torch.float32)
        pairs = make_csr(starts, candidates.ravel(), zeros, (m, len(self.norms)))
        products = torch.sparse.sampled_addmm(pairs, queries.rows, self.own.rows.T).values()
        gaps = self.norms[candidates] - 2 * products.view(m, c)
        gaps, nearest = gaps.topk(k, largest=False)
        norms = (queries.rows * queries.rows).sum(1)
        unsure |= gaps[:, -1] + norms < NOISE[torch.float32] * norms
        return candidates.gather(1, nearest), unsure

    def _measure(self, queries, indices):
        """Return exact distances and indices, sorted; of equal distances the lower index first."""
        distances = np.empty(indices.shape)
        for i in range(0, len(indices), 8):  # few enough for the processor's cache
            part = indices[i : i + 8]
            gaps = self.own.X.index_select(0, part.ravel()).view(*part.shape, -1)
            gaps -= queries.X[i : i + 8, None]
            distances[i : i + 8] = torch.linalg.vector_norm(gaps.double(), dim=-1)
        if abs(self.exponent) > SAFE_EXPONENT:
            distances = np.ldexp(distances, self.exponent)
        order = np.lexsort((indices.numpy(), distances))
        return tuple(np.take_along_axis(found, order, 1) for found in (distances, indices.numpy()))


def do_all(work, tasks, n_jobs):
    """Do each task, in n_jobs threads."""
    if n_jobs == 1:
        for task in tasks:
            work(task)
    else:
        with ThreadPoolExecutor(n_jobs) as pool:
            list(pool.map(work, tasks))


def find_smallest(gaps, n_found):
    """Return positions of the smallest values of each column, (M, c), and the largest of them.

    The column is given as (depth, width), (depth, width, M) in all. The c smallest values are in
    the c places of the width with the smallest minima: most of the search is one pass of minima.
    """
    depth, width, m = gaps.shape
    # Numbers that are not negative have the order of their bits; negative ones are rounded zeros.
    keys = gaps.view(torch.int16 if gaps.dtype == torch.bfloat16 else torch.int32)
    places = np.broadcast_to(np.arange(width), (m, width))
    if n_found < width:
        places = partition_keys(keys.amin(0).numpy().T, n_found)[0]
    flat = places * m + np.arange(m)[:, None]
    near = keys.view(depth, -1).numpy().take(flat, axis=1).transpose(1, 0, 2).reshape(m, -1)
    chosen, largest = partition_keys(near, n_found)
    level, place = np.divmod(chosen, places.shape[1])
    found = torch.from_numpy(level * width + np.take_along_axis(places, place, 1))
    return found, torch.from_numpy(largest).view(gaps.dtype).float()


def partition_keys(keys, n):
    """Return the positions of the n smallest integers of each row, and the largest of them.

    numpy partitions numbers faster than it tracks their positions: these are their lowest bits.
    """
    bits = 8 * keys.itemsize
    packed = keys.astype(np.int32 if bits == 16 else np.int64) << bits
    packed |= np.arange(keys.shape[1], dtype=packed.dtype)
    if n < keys.shape[1]:
        packed = np.partition(packed, n - 1, axis=1)[:, :n]
    positions = (packed & (2**bits - 1)).astype(np.int64)
    return positions, (packed.max(1) >> bits).astype(keys.dtype)


def propose_candidates(points, right, own, c):
    """Return the positions of c candidates, (M, c), and which queries are not sure of theirs.

    ``right`` are the :func:`make_product_factors` of the rows compared, ``own`` the position of
    the query itself.
    """
    n_queries, n = len(points), len(right)
    m = -(-n_queries // 32) * 32
    points = torch.nn.functional.pad(points, (0, 0, 0, m - n_queries))
    left = make_product_factors(points, right.dtype, query=True)
    depth = max(1, round((n / c) ** 0.5))
    width = -(-n // depth)
    gaps = torch.empty((depth * width, m), dtype=right.dtype)
    torch.mm(right, left.T, out=gaps[:n])
    gaps[n:] = torch.inf
    if own is not None:
        gaps[own, torch.arange(len(own))] = torch.inf
    found, largest = find_smallest(gaps.view(depth, width, m), c)
    unsure = largest < NOISE[right.dtype] * (points * points).sum(1)
    return found[:n_queries], (unsure & (c < n - 1))[:n_queries]


def make_product_factors(points, dtype, query=False):
    """Return factors, (N, d + 4), of the product |x|^2 + |y|^2 - 2 x y.

    Each norm is the sum of two numbers: in bfloat16 one would have too few digits.
    """
    norms = (points * points).sum(1, keepdim=True)
    high = norms.bfloat16().float()
    norms = torch.cat([high, norms - high], 1)
    ones = torch.ones_like(norms)
    parts = [-2 * points, ones, norms] if query else [points, norms, ones]
    return torch.cat([part.to(dtype) for part in parts], 1)


def make_csr(starts, columns, values, shape):
    """Return a tensor in CSR format."""
    return torch.sparse_csr_tensor(starts, columns, values, shape, check_invariants=False)


def take_evenly(X, n):
    """Return at most n rows at equal steps."""
    return X[:: -(-len(X) // n)]


def choose_axes(rows):
    """Return the fewest principal axes, (D, d), that keep a sample's neighbours among candidates.

    d + 4 is a multiple of 32, which products are fast with. None if that takes most features.
    """
    fitted, X = take_evenly(rows, FITTED_ROWS), take_evenly(rows, JUDGED_ROWS)
    if len(fitted) >= X.shape[1]:
        axes = torch.linalg.eigh(fitted.T @ fitted)[1].flip(1)
    else:
        axes = fitted.T @ torch.linalg.eigh(fitted @ fitted.T)[1].flip(1)
        # Null directions of the Gram matrix are not orthogonal.
        axes = torch.linalg.qr(axes[:, :MOST_AXES])[0]
    sample = take_evenly(torch.arange(len(X)), JUDGED_QUERIES)
    nearest = compute_squared_distances(X, sample).topk(JUDGED_K, largest=False).indices
    gaps, c = torch.zeros((len(sample), len(X)), dtype=X.dtype), count_candidates(JUDGED_K)
    start, most = 0, min(0.8 * X.shape[1], axes.shape[1], MOST_AXES)
    for d in range(28, int(most) + 1, 32):
        gaps += compute_squared_distances(X @ axes[:, start:d], sample)
        # The distance of the last candidate.
        limits = gaps.topk(c, largest=False).values[:, -1:]
        if (gaps.gather(1, nearest) <= limits).float().mean() >= AXES_RECALL:
            return axes[:, :d].contiguous()
        start = d
    return None


def compute_squared_distances(X, chosen):
    """Return squared distances of chosen rows to all rows, infinite to themselves."""
    norms = (X * X).sum(1)
    gaps = torch.addmm(norms, X[chosen], X.T, alpha=-2) + norms[chosen, None]
    gaps[torch.arange(len(chosen)), chosen] = torch.inf
    return gaps


def count_candidates(k):
    """Return c, how many candidates the k neighbours are chosen from."""
    return 3 * k // 2 + 5


def find_centres(points):
    """Return about sqrt(N) centres that a few steps of k-means find on a sample of the rows."""
    K = int(len(points) ** 0.5)
    sample = points[torch.randperm(len(points), generator=generator(0))[: K * KMEANS_ROWS]]
    centres = sample[:K].clone()
    for _ in range(KMEANS_STEPS):
        cells = find_nearest_centres(sample, centres, 1)[:, 0]
        sizes = torch.bincount(cells, minlength=K)[:, None]
        sums = torch.zeros_like(centres).index_add_(0, cells, sample)
        centres = torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)
    return centres


def find_nearest_centres(points, centres, n):
    """Return the n nearest centres of each row, nearest first."""
    norms = (centres * centres).sum(1)
    blocks = points.split(max(BLOCK // len(centres), 1))
    gaps = (torch.addmm(norms, block, centres.T, alpha=-2) for block in blocks)
    if n == 1:
        return torch.cat([block.argmin(1, keepdim=True) for block in gaps])
    return torch.cat([block.topk(n, largest=False).indices for block in gaps])
