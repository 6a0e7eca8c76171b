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
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.utils import gen_batches

from ..input.distinct import single_threaded_blas, sort_nearest
from .search import Cells, make_factors, take_below

#: Number of principal components used to compare views.
VIEW_COMPONENTS = 50
#: Maximum number of samples that determine the principal components.
AXES_SAMPLES = 5_000
#: Number of samples in one call of an augmentation.
CALL_SIZE = 1024
#: Number of samples, the nearest as they are, whose views are compared with a new sample.
NEAREST = 300
#: Number of new samples that are compared at once.
MAX_QUERIES = 4096
#: Relative error allowed when a squared distance is computed from products.
MARGIN = 1e-3
#: Rounding error of a product in single precision, relative to the squared length.
SINGLE_ERROR = 1e-7
#: Maximum of such an error, as a share of the squared distance of neighbors.
MAX_ERROR = 1e-4


class Scaled:
    """An augmentation of samples that are multiplied by ``factors`` (D,)."""

    def __init__(self, augment, factors):
        self.augment = augment
        self.factors = factors

    def __call__(self, x):
        """Return other versions of scaled samples (N, D)."""
        return self._rescale(self.augment, x)

    def list_transforms(self, n_transforms, seed):
        """Return linear functions of scaled samples."""
        transforms = self.augment.list_transforms(n_transforms, seed)
        return [partial(self._rescale, transform) for transform in transforms]

    def _rescale(self, function, x):
        factors = x.new_tensor(self.factors)
        return function(x / factors) * factors


def scale_augment(augment, factors):
    """Return the augmentation, or None, of samples times ``factors`` (D,), or None."""
    if augment is None or factors is None:
        return augment
    return Scaled(augment, factors)


class AugmentedViews(NamedTuple):
    """What makes the views of samples the same in every call."""

    #: From samples (N, D) to other versions of them: a function of torch tensors.
    augment: Any
    n_views: int
    seed: int
    #: Median (D,) and axes (D, P) of the principal components, and their unit.
    center: np.ndarray
    axes: np.ndarray
    unit: float
    #: Linear augmentations followed by the projection, (V, D, P), float32; None for others.
    maps: np.ndarray | None = None
    #: Components of the zero sample in the linear views, minus its own components, (V, P).
    offsets: np.ndarray | None = None
    #: Places (M, k) of the neighbors of each sample, once they are found.
    neighbors: np.ndarray | None = None

    def project(self, X):
        """Return the principal components of samples (N, D) as they are, (N, P)."""
        blocks = gen_batches(len(X), CALL_SIZE)
        parts = [self._center(X[block]) @ self.axes for block in blocks]
        return np.concatenate(parts)

    def iterate(self, X, chosen=None):
        """Yield the components (n, P) of the samples as they are, then of each view.

        X (M, D) are the samples of the fit; ``chosen`` are the places of some of them.
        """
        rows = X if chosen is None else X[chosen]
        yield self.project(rows)
        if self.maps is not None:
            yield from self._map(rows, chosen is not None)
            return
        for number in range(self.n_views):
            if chosen is None:
                yield self._augment(X, number)
            else:
                yield self._augment(X, number)[chosen]

    def _center(self, X):
        return (X - self.center) * self.unit

    def _map(self, rows, keeps):
        """Yield the components of each linear view; ``keeps`` the centered samples meanwhile."""
        kept = list(self._center_blocks(rows)) if keeps else None
        for view, offset in zip(self.maps, self.offsets, strict=True):
            blocks = kept if keeps else self._center_blocks(rows)
            yield np.concatenate([block @ view for block in blocks]) + offset

    def _center_blocks(self, rows):
        for block in gen_batches(len(rows), CALL_SIZE):
            yield self._center(rows[block]).astype(np.float32)

    def _augment(self, X, number):
        """Return the components of a view of all samples."""
        parts = []
        for block in gen_batches(len(X), CALL_SIZE):
            seed = (self.seed + number * len(X) + block.start) % 2**31
            moved = call(self.augment, X[block], seed)
            parts.append(self._center(moved) @ self.axes)
        return np.concatenate(parts)


def check_augment(metric, has_categories=False):
    """Check that samples are numbers whose Euclidean distances are asked for."""
    if metric != "euclidean":
        raise ValueError(
            f"augment needs metric='euclidean', got {metric!r}. Set one of them to its default."
        )
    if has_categories:
        raise ValueError(
            "augment changes numbers, but X has categories. Set augment=None, or leave out "
            "their columns."
        )


def prepare_views(augment, n_views, seed, X):
    """Return the :class:`AugmentedViews` of samples X (M, D)."""
    if sparse.issparse(X):
        raise ValueError(
            "augment needs dense samples, but X is sparse. Pass X.toarray(), or augment=None."
        )
    center, axes = _find_axes(X)
    largest = np.abs(X - center).max()
    unit = float(np.ldexp(1.0, -np.frexp(largest)[1]))
    views = AugmentedViews(augment, n_views, seed, center, axes, unit)
    if _is_linear(augment):
        maps = _compose(views)
        offsets = [unit * (center @ view - center @ axes) for view in maps]
        return views._replace(maps=maps, offsets=np.array(offsets))
    _check_random_numbers(augment, X[:CALL_SIZE], seed)
    return views


def _is_linear(augment):
    """Return whether an augmentation lists transforms that its class calls, too."""
    if isinstance(augment, Scaled):
        augment = augment.augment
    for kind in type(augment).__mro__:
        if "list_transforms" in vars(kind):
            return True
        if "__call__" in vars(kind):
            return False
    return False


def _find_axes(X):
    """Return the median (D,) of samples, and the axes (D, P) of their principal components."""
    some = X[:: 1 + len(X) // AXES_SAMPLES].astype(float)
    center = np.median(some, axis=0)
    n_features = X.shape[1]
    n_components = min(VIEW_COMPONENTS, *some.shape)
    if n_components in (1, n_features) or not np.ptp(some, axis=0).any():
        return center, np.eye(n_features)
    pca = PCA(n_components, random_state=0).fit(some - center)
    return center, pca.components_.T


def _compose(views):
    """Return the maps (V, D, P) of linear transforms that are followed by the projection."""
    import torch

    axes = views.axes
    transforms = views.augment.list_transforms(views.n_views, views.seed)
    maps = np.empty((len(transforms), *axes.shape), dtype=np.float32)
    for block in gen_batches(len(axes), CALL_SIZE):
        n_rows = block.stop - block.start
        rows = torch.zeros(n_rows, len(axes), dtype=torch.float32, device="cpu")
        rows[:, block] = torch.eye(n_rows, dtype=torch.float32, device="cpu")
        for view, transform in zip(maps, transforms, strict=True):
            view[block] = transform(rows).numpy() @ axes
    if not np.isfinite(maps).all():
        raise ValueError(
            f"augment={views.augment!r} must return finite numbers for finite samples."
        )
    return maps


# ---- calls of an augmentation


def call(augment, X, seed):
    """Return other versions of samples X (n, D), drawn from torch's generators alone."""
    import torch

    from ..training.runtime import forked, isolated, to_tensor

    name = getattr(augment, "augment", augment)
    x = to_tensor(X)
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
        return nearest.finish(views.unit)
    cells = Cells(points, k)
    # Several OpenMP threads would round differently.
    with single_threaded_blas(), ThreadPoolExecutor(effective_n_jobs(n_jobs)) as pool:
        for seen in views.iterate(X):
            compare = partial(nearest.compare, nearest.prepare(seen), seen)
            queries, candidates = zip(*cells.pair(seen), strict=True)
            list(pool.map(compare, queries, candidates))
    return nearest.finish(views.unit)


class _Nearest:
    """The nearest neighbors of points (M, P) among the views seen so far."""

    def __init__(self, points, k):
        self.k = k
        self.points = points
        self.lengths = np.square(points).sum(1)
        # Single precision would lose the distances within clusters that are far apart.
        some = points[:: 1 + len(points) // 500]
        gaps = cdist(some, some, "sqeuclidean")
        near = np.sort(gaps, axis=1)[:, : k + 1].mean()
        error = SINGLE_ERROR * self.lengths.max(initial=0)
        is_exact = error < MAX_ERROR * near
        self.dtype = np.float32 if is_exact else np.float64
        ones = np.ones((len(points), 1))
        self.extended = np.hstack([points, ones]).astype(self.dtype)
        self.squares = np.full((len(points), k), np.inf)
        self.neighbors = np.full((len(points), k), -1)

    def prepare(self, seen):
        """Return the :func:`~.search.make_factors` of views (M, P)."""
        return make_factors(seen).astype(self.dtype)

    def finish(self, unit):
        """Return distances, infinite where there is no neighbor, and places, (M, k)."""
        own = np.arange(len(self.points))[:, None]
        neighbors = np.where(np.isinf(self.squares), own, self.neighbors)
        return np.sqrt(self.squares) / unit, neighbors

    def compare(self, prepared, seen, queries, candidates):
        """Compare the points at ``queries`` with the views ``seen`` at ``candidates``."""
        squares = self.extended[queries] @ prepared[candidates].T
        bound = self.squares[queries, -1]
        if np.isinf(bound).any():
            columns, is_found = _take_nearest(squares, self.k + 1)
        else:
            bound = (1 + MARGIN) * bound - self.lengths[queries]
            columns, is_found = take_below(squares, bound.astype(self.dtype))

        # Differences round less than products.
        neighbors = candidates[columns]
        gaps = seen[neighbors] - self.points[queries, None]
        found = np.einsum("nmp,nmp->nm", gaps, gaps)
        found[~is_found | (neighbors == queries[:, None])] = np.inf
        squares = np.hstack([self.squares[queries], found])
        neighbors = np.hstack([self.neighbors[queries], neighbors])
        found = keep_nearest(squares, neighbors, self.k)
        self.squares[queries], self.neighbors[queries] = found


def keep_nearest(distances, neighbors, k):
    """Return the k nearest of the neighbors found, (n, k), each once."""
    order = np.lexsort((distances, neighbors))
    distances = np.take_along_axis(distances, order, 1)
    neighbors = np.take_along_axis(neighbors, order, 1)
    is_again = neighbors[:, 1:] == neighbors[:, :-1]
    distances[:, 1:][is_again] = np.inf
    return sort_nearest(distances, neighbors, k)


def _take_nearest(squares, k):
    """Return the columns of the k smallest values of each row, and that all are found."""
    k = min(k, squares.shape[1])
    columns = np.argpartition(squares, k - 1, axis=1)[:, :k]
    return columns, np.ones(columns.shape, dtype=bool)


def search_new(views, rows, index, X, k):
    """Return distances and places of the k of ``rows`` (M, D) nearest to each of X, (N, k).

    First the views of the ``NEAREST`` samples that are nearest without changes are compared, then
    the views of the neighbors of those found: a chain of views leads to samples that are changed
    more. ``index`` is the index of the unchanged samples.
    """
    parts = []
    for block in gen_batches(len(X), MAX_QUERIES):
        points = views.project(X[block])
        places = index.query(points, min(NEAREST, len(rows)))[1]
        squares = _compare_new(views, rows, points, places)
        squares, places = sort_nearest(squares, places, k)
        if views.neighbors.shape[1]:
            others = views.neighbors[places].reshape(len(points), -1)
            found = _compare_new(views, rows, points, others)
            squares = np.hstack([squares, found])
            places = np.hstack([places, others])
            squares, places = keep_nearest(squares, places, k)
        parts.append((np.sqrt(squares) / views.unit, places))
    distances, places = zip(*parts, strict=True)
    return np.concatenate(distances), np.concatenate(places)


def _compare_new(views, rows, points, places):
    """Return the least squared distances (N, n) of points to views of samples at ``places``."""
    chosen, own = np.unique(places, return_inverse=True)
    own = own.reshape(places.shape)
    squares = np.full(places.shape, np.inf)
    blocks = list(gen_batches(len(points), 64))
    for seen in views.iterate(rows, chosen):
        for block in blocks:
            gaps = seen[own[block]] - points[block, None]
            found = np.einsum("nmp,nmp->nm", gaps, gaps)
            np.minimum(squares[block], found, out=squares[block])
    return squares
