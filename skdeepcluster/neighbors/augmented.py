"""The search for neighbors among augmented views of samples: changes that do not matter.

The distance of samples i and j is the least distance of sample i to a view of sample j, in
principal components. M samples, N queries, D features, V views, P components, k neighbors.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from joblib import effective_n_jobs
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.utils import gen_batches

from .search import Cells, NeighborIndex, single_threaded_blas, sort_nearest

#: Number of principal components in which views are compared.
VIEW_COMPONENTS = 50
#: Maximum number of samples that determine the principal components.
PCA_SAMPLES = 5_000
#: Number of samples in one call of an augmentation.
BLOCK = 1024
#: Number of samples, the nearest as they are, whose views are compared with a new sample.
NEAREST = 300
#: Number of times that neighbors of the nearest samples are compared, too.
N_CHAINED = 2


class Scaled:
    """An augmentation of samples that are multiplied by ``factors`` (D,)."""

    def __init__(self, augment, factors):
        self.augment = augment
        self.factors = factors

    def __call__(self, x):
        """Return other versions of scaled samples (N, D)."""
        return _rescale(self.augment, x, self.factors)


def _rescale(function, x, factors):
    """Apply a function to samples in their own units."""
    if factors is None:
        return function(x)
    factors = x.new_tensor(factors)
    return function(x / factors) * factors


class AugmentedViews(NamedTuple):
    """What makes the views of samples the same in every call."""

    #: From samples (N, D) to other versions of them: a function of torch tensors.
    augment: Any
    n_views: int
    seed: int
    #: Median (D,) and axes (D, P) of the principal components.
    center: np.ndarray
    axes: np.ndarray
    #: Linear augmentations followed by the projection, (V, D, P), float32; None for others.
    maps: np.ndarray | None = None
    #: Places (M, k) of the neighbors of each sample, once they are found.
    neighbors: np.ndarray | None = None

    def project(self, X):
        """Return the principal components of samples (N, D) as they are, (N, P), float32."""
        blocks = gen_batches(len(X), BLOCK)
        parts = [(X[block] - self.center) @ self.axes for block in blocks]
        return np.concatenate(parts).astype(np.float32)

    def iterate(self, X, chosen=None):
        """Yield the components (n, P) of the samples as they are, then of each view.

        X (M, D) are the samples of the fit; ``chosen`` are the places of some of them.
        """
        rows = X if chosen is None else X[chosen]
        yield self.project(rows)
        for number in range(self.n_views):
            if self.maps is not None:
                yield self._map(rows, number)
            elif chosen is None:
                yield self._augment(X, number)
            else:
                yield self._augment(X, number)[chosen]

    def _map(self, rows, number):
        """Return the components of a linear view."""
        view = self.maps[number]
        origin = self.center.astype(np.float32) @ self.axes.astype(np.float32)
        blocks = gen_batches(len(rows), BLOCK)
        parts = [rows[block].astype(np.float32) @ view for block in blocks]
        return np.concatenate(parts) - origin

    def _augment(self, X, number):
        """Return the components of a view of all samples."""
        parts = []
        for block in gen_batches(len(X), BLOCK):
            seed = (self.seed + number * len(X) + block.start) % 2**31
            moved = call(self.augment, X[block], seed)
            parts.append((moved - self.center) @ self.axes)
        return np.concatenate(parts).astype(np.float32)


def check_augment(metric, has_categories=False):
    """Check that samples are numbers whose Euclidean distances are asked for."""
    if metric != "euclidean":
        raise ValueError(
            f"augment needs metric='euclidean', got {metric!r}. Set one of them to its default."
        )
    if has_categories:
        raise ValueError(
            "augment changes numbers, but X has categories. Set augment or "
            "categorical_features to None."
        )


def prepare_views(augment, n_views, seed, X):
    """Return the :class:`AugmentedViews` of samples X (M, D)."""
    if sparse.issparse(X):
        raise ValueError(
            "augment needs dense samples, but X is sparse. Pass X.toarray(), or augment=None."
        )
    center, axes = _find_axes(X)
    views = AugmentedViews(augment, n_views, seed, center, axes)
    factors = None
    if isinstance(augment, Scaled):
        factors = augment.factors
        augment = augment.augment
    if hasattr(augment, "list_transforms"):
        transforms = augment.list_transforms(n_views, seed)
        return views._replace(maps=_compose(transforms, factors, axes))
    _check_random_numbers(views.augment, X[:BLOCK], seed)
    return views


def _find_axes(X):
    """Return the median (D,) of samples, and the axes (D, P) of their principal components."""
    some = X[:: 1 + len(X) // PCA_SAMPLES].astype(float)
    center = np.median(some, axis=0)
    n_features = X.shape[1]
    n_components = min(VIEW_COMPONENTS, *some.shape)
    if n_components == n_features:
        return center, np.eye(n_features)
    pca = PCA(n_components, random_state=0).fit(some - center)
    return center, pca.components_.T


def _compose(transforms, factors, axes):
    """Return the maps (V, D, P) of linear transforms that are followed by the projection."""
    import torch

    eye = torch.eye(len(axes), device="cpu")
    maps = np.empty((len(transforms), *axes.shape), dtype=np.float32)
    for view, transform in zip(maps, transforms, strict=True):
        for block in gen_batches(len(axes), BLOCK):
            rows = eye[block]
            moved = _rescale(transform, rows, factors)
            view[block] = moved.numpy() @ axes
    return maps


# ---- calls of an augmentation


def call(augment, X, seed):
    """Return other versions of samples X (n, D), drawn from torch's generators alone."""
    import torch

    from ..engine.runtime import forked, isolated

    name = getattr(augment, "augment", augment)
    x = torch.from_numpy(np.array(X, dtype=np.float32))
    with isolated(), torch.no_grad(), forked(seed):
        try:
            found = np.asarray(augment(x))
        except Exception as error:
            raise ValueError(
                f"augment={name!r} fails for a tensor of {len(x)} samples with {x.shape[1]} "
                f"features. It must return other versions of them. {error!r}"
            ) from error
    if found.shape != x.shape:
        raise ValueError(
            f"augment={name!r} must return a tensor of the shape {tuple(x.shape)} of its "
            f"argument, but returned the shape {found.shape}."
        )
    if not np.isfinite(found).all():
        raise ValueError(
            f"augment={name!r} must return finite numbers for finite samples, but returned nan "
            "or infinity."
        )
    return found


def _check_random_numbers(augment, X, seed):
    """Check that a seed of torch's generators determines the versions of samples."""
    if not np.array_equal(call(augment, X, seed), call(augment, X, seed)):
        name = getattr(augment, "augment", augment)
        raise ValueError(
            f"augment={name!r} draws random numbers that random_state does not determine. Draw "
            "them with torch, as by torch.rand."
        )


# ---- the search


def search_views(views, X, k, n_jobs=None):
    """Return distances (float64) and places of the k nearest others of each sample, (M, k)."""
    points = views.project(X)
    k = min(k, len(X) - 1)
    nearest = _Nearest(points, k)
    if k == 0:
        return nearest.distances, nearest.neighbors
    cells = Cells(points)
    # Several OpenMP threads would round differently.
    with single_threaded_blas(), ThreadPoolExecutor(effective_n_jobs(n_jobs)) as pool:
        for seen in views.iterate(X):
            extended = np.column_stack([-2 * seen, np.square(seen).sum(1)])
            compare = partial(nearest.compare, extended)
            queries, candidates = zip(*cells.pair(seen), strict=True)
            list(pool.map(compare, queries, candidates))
    return nearest.distances, nearest.neighbors


class _Nearest:
    """The nearest neighbors of points (M, P) among the views seen so far."""

    def __init__(self, points, k):
        self.k = k
        self.lengths = np.square(points).sum(1)
        # Products with (-2 v, |v|^2) are squared distances to v without the point's length.
        self.extended = np.column_stack([points, np.ones_like(self.lengths)])
        shape = (len(points), k)
        self.squares = np.full(shape, np.inf, dtype=np.float32)
        self.neighbors = np.full(shape, -1)

    @property
    def distances(self):
        """Distances of the neighbors, (M, k), float64."""
        squares = self.squares + self.lengths[:, None]
        return np.sqrt(np.maximum(squares, 0, dtype=float))

    def compare(self, seen, queries, candidates):
        """Compare the points at ``queries`` with the views ``seen`` at ``candidates``.

        ``seen`` are (-2 v, |v|^2), (M, P + 1).
        """
        squares = self.extended[queries] @ seen[candidates].T
        bound = self.squares[queries, -1]
        if np.isinf(bound).any():
            found, columns = _take_nearest(squares, self.k + 1)
        else:
            found, columns = _take_below(squares, bound)
        neighbors = candidates[columns]
        found[neighbors == queries[:, None]] = np.inf

        squares = np.hstack([self.squares[queries], found])
        neighbors = np.hstack([self.neighbors[queries], neighbors])
        found = sort_distinct(squares, neighbors, self.k)
        self.squares[queries], self.neighbors[queries] = found


def sort_distinct(distances, neighbors, k):
    """Return the k nearest of the neighbors found, (n, k), each once."""
    order = np.lexsort((distances, neighbors))
    distances = np.take_along_axis(distances, order, 1)
    neighbors = np.take_along_axis(neighbors, order, 1)
    is_again = neighbors[:, 1:] == neighbors[:, :-1]
    distances[:, 1:][is_again] = np.inf
    return sort_nearest(distances, neighbors, k)


def _take_nearest(squares, k):
    """Return the k smallest values of each row, and their columns."""
    k = min(k, squares.shape[1])
    columns = np.argpartition(squares, k - 1, axis=1)[:, :k]
    return np.take_along_axis(squares, columns, 1), columns


def _take_below(squares, bound):
    """Return the values below the bound (n,) of each row, filled by infinity, and columns."""
    below = np.flatnonzero(squares < bound[:, None])
    rows, columns = np.divmod(below, squares.shape[1])
    counts = np.bincount(rows, minlength=len(squares))
    places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (len(squares), counts.max(initial=0))
    found = np.full(shape, np.inf, dtype=np.float32)
    found[rows, places] = squares[rows, columns]
    taken = np.zeros(shape, dtype=int)
    taken[rows, places] = columns
    return found, taken


def search_new(views, rows, X, k, n_jobs=None):
    """Return distances and places of the k of ``rows`` (M, D) nearest to each of X, (N, k).

    Compared are the views of the ``NEAREST`` samples that are nearest as they are, then of the
    neighbors of the nearest ones: a chain of views leads to samples that are changed more.
    """
    points = views.project(X)
    index = NeighborIndex(views.project(rows), n_jobs=n_jobs)
    places = index.query(points, min(NEAREST, len(rows)))[1]
    distances = _compare(views, rows, points, places)
    distances, places = sort_nearest(distances, places, k)
    for _ in range(N_CHAINED):
        others = views.neighbors[places].reshape(len(X), -1)
        found = _compare(views, rows, points, others)
        distances = np.hstack([distances, found])
        places = np.hstack([places, others])
        distances, places = sort_distinct(distances, places, k)
    return distances, places


def _compare(views, rows, points, places):
    """Return the least distances (N, n) of points to views of the samples at ``places``."""
    chosen, own = np.unique(places, return_inverse=True)
    own = own.reshape(places.shape)
    squares = np.full(places.shape, np.inf)
    for seen in views.iterate(rows, chosen):
        seen = seen.astype(float)
        for block in gen_batches(len(points), 64):
            gaps = seen[own[block]] - points[block, None]
            found = np.einsum("nmp,nmp->nm", gaps, gaps)
            np.minimum(squares[block], found, out=squares[block])
    return np.sqrt(squares)
