"""Images and series that are compared by augmented views, and the choice of an augmentation.

The distance of samples i and j is the least distance of sample i to a view of sample j, in
principal components. M samples, N queries, D features, V views, P components, k neighbors.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import gen_batches

from ..input.distinct import sort_nearest
from ..input.parameters import read_image_shape
from .search import Cells, stack_parts
from .threads import open_threads

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
#: Maximum number of samples on which augmentations are compared.
TRIED_SAMPLES = 4_000
#: Number of fits with each augmentation.
N_FITS = 2
#: Weight of the agreement with the fits of others, relative to the expected score.
AGREEMENT_WEIGHT = 0.25
#: Minimum gain over samples that are compared as they are.
MIN_GAIN = 0.05
#: Maximum shifts of series that are tried, as shares of the length.
SHIFTS = 0.05, 0.15, 0.3
WRAPPED_SHIFTS = 0.3, 1.0


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
    #: Indices (M, k) of the neighbors of each sample, once they are found.
    neighbors: np.ndarray | None = None

    def project(self, X):
        """Return the principal components of samples (N, D) as they are, (N, P)."""
        blocks = gen_batches(len(X), CALL_SIZE)
        parts = [self._center(X[block]) @ self.axes for block in blocks]
        return np.concatenate(parts)

    def iterate(self, X, chosen=slice(None)):
        """Yield the components (n, P) of the samples as they are, then of each view.

        X (M, D) are the samples of the fit; ``chosen`` are the indices of some of them.
        """
        rows = X[chosen]
        yield self.project(rows)
        if self.maps is not None:
            yield from self._map(rows)
            return
        for number in range(self.n_views):
            yield self._augment(X, number)[chosen]

    def _center(self, X):
        return (X - self.center) * self.unit

    def _map(self, rows):
        """Yield the components of each linear view."""
        blocks = list(gen_batches(len(rows), CALL_SIZE))
        for view, offset in zip(self.maps, self.offsets, strict=True):
            parts = []
            for block in blocks:
                centered = self._center(rows[block]).astype(np.float32)
                parts.append(centered @ view)
            yield np.concatenate(parts) + offset

    def _augment(self, X, number):
        """Return the components of a view of all samples."""
        parts = []
        for block in gen_batches(len(X), CALL_SIZE):
            seed = (self.seed + number * len(X) + block.start) % 2**31
            moved = call(self.augment, X[block], seed)
            parts.append(self._center(moved) @ self.axes)
        return np.concatenate(parts)


def check_augment(metric):
    """Check that Euclidean distances are asked for."""
    if metric != "euclidean":
        raise ValueError(
            f"augment needs metric='euclidean', got {metric!r}. Set one of them to its default."
        )


def prepare_views(augment, n_views, seed, X):
    """Return the :class:`AugmentedViews` of samples X (M, D)."""
    if sparse.issparse(X):
        raise ValueError(
            "augment needs dense samples, but X is sparse. Pass X.toarray(), or augment=None."
        )
    center, axes = _find_axes(X)
    # A power of two keeps squares in range.
    _, exponent = np.frexp(np.abs(X - center).max())
    unit = float(np.ldexp(1.0, -exponent))
    views = AugmentedViews(augment, n_views, seed, center, axes, unit)
    if hasattr(getattr(augment, "augment", augment), "list_transforms"):
        maps = _compose(views)
        offsets = [unit * (center @ view - center @ axes) for view in maps]
        return views._replace(maps=maps, offsets=np.array(offsets))
    some = X[:CALL_SIZE]
    if not np.array_equal(call(augment, some, seed), call(augment, some, seed)):
        name = getattr(augment, "augment", augment)
        raise ValueError(
            f"augment={name!r} draws random numbers that random_state does not determine. Draw "
            "them with torch, as by torch.rand."
        )
    return views


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
    return maps


# ---- calls of an augmentation


def call(augment, X, seed):
    """Return other versions of samples X (n, D), drawn from torch's generators alone."""
    import torch

    from ..nn.augmentation import check_versions
    from ..nn.runtime import forked, isolated, to_tensor

    x = to_tensor(X)
    with isolated(), torch.no_grad(), forked(seed):
        changed = np.asarray(augment(x))
    check_versions(x, changed)
    if not np.isfinite(changed).all():
        name = getattr(augment, "augment", augment)
        raise ValueError(
            f"augment={name!r} must return finite numbers for finite samples, but returned nan "
            "or infinity."
        )
    return changed


# ---- the search


def search_views(views, X, k, n_jobs):
    """Return distances (float64) and indices of the k nearest others of each sample, (M, k)."""
    points = views.project(X)
    k = min(k, len(X) - 1)
    nearest = _Nearest(points, k)
    if k == 0:
        return nearest.squares, nearest.neighbors
    cells = Cells(points)
    queries = cells.divide([points])
    with open_threads(n_jobs) as pool:
        for view in views.iterate(X):
            factors = make_factors(view)
            members = cells.divide([view])
            compare = partial(nearest.compare, factors, view, members)
            chosen, near = zip(*cells.pair(queries, members, k + 1), strict=True)
            list(pool.map(compare, chosen, near))
    return np.sqrt(nearest.squares) / views.unit, nearest.neighbors


class _Nearest:
    """The nearest neighbors of points (M, P) among the views compared so far."""

    def __init__(self, points, k):
        self.k = k
        self.points = points
        self.lengths = np.square(points).sum(1)
        self.extended = np.column_stack([points, np.ones(len(points))])
        self.squares = np.full((len(points), k), np.inf)
        self.neighbors = np.full((len(points), k), -1)

    def compare(self, factors, view, members, queries, near):
        """Compare the points of ``queries`` with a view (M, P) of the members of near cells."""
        candidates = np.concatenate([members[cell] for cell in near])
        squares = self.extended[queries] @ factors[candidates].T
        bound = self.squares[queries, -1]
        if np.isinf(bound).any():
            k = min(self.k + 1, squares.shape[1])
            columns = np.argpartition(squares, k - 1, axis=1)[:, :k]
            is_near = True
        else:
            bound = (1 + MARGIN) * bound - self.lengths[queries]
            columns, is_near = take_below(squares, bound)

        # Differences round less than products.
        neighbors = candidates[columns]
        squares = _square_distances(view[neighbors], self.points[queries])
        is_other = neighbors != queries[:, None]
        squares[~(is_near & is_other)] = np.inf
        squares = np.hstack([self.squares[queries], squares])
        neighbors = np.hstack([self.neighbors[queries], neighbors])
        nearest = keep_nearest(squares, neighbors, self.k)
        self.squares[queries], self.neighbors[queries] = nearest


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


def keep_nearest(distances, neighbors, k):
    """Return the k nearest of the neighbors found, (n, k), each once."""
    order = np.lexsort((distances, neighbors))
    distances = np.take_along_axis(distances, order, 1)
    neighbors = np.take_along_axis(neighbors, order, 1)
    is_again = neighbors[:, 1:] == neighbors[:, :-1]
    distances[:, 1:][is_again] = np.inf
    return sort_nearest(distances, neighbors, k)


def _square_distances(neighbors, points):
    """Return the squared distances (n, m) of points (n, P) to their neighbors (n, m, P)."""
    gaps = neighbors - points[:, None]
    return np.einsum("nmp,nmp->nm", gaps, gaps)


# ---- new samples


def search_new(views, rows, index, X, k):
    """Return distances and indices of the k of ``rows`` (M, D) nearest to each of X, (N, k).

    First the views of the ``NEAREST`` samples that are nearest without changes are compared, then
    the views of the neighbors of those found: a chain of views leads to samples that are changed
    more. ``index`` is the index of the unchanged samples.
    """
    parts = []
    for block in gen_batches(len(X), MAX_QUERIES):
        points = views.project(X[block])
        _, found = index.query(min(NEAREST, len(rows)), points)
        squares = _compare_new(views, rows, points, found)
        squares, found = sort_nearest(squares, found, k)
        if views.neighbors.shape[1]:
            further = views.neighbors[found].reshape(len(points), -1)
            further_squares = _compare_new(views, rows, points, further)
            squares = np.hstack([squares, further_squares])
            found = np.hstack([found, further])
            squares, found = keep_nearest(squares, found, k)
        parts.append((np.sqrt(squares) / views.unit, found))
    return stack_parts(parts)


def _compare_new(views, rows, points, neighbors):
    """Return the least squared distances (N, n) of points to views of their ``neighbors``."""
    chosen, index = np.unique(neighbors, return_inverse=True)
    index = index.reshape(neighbors.shape)
    squares = np.full(neighbors.shape, np.inf)
    # Few points, so that what they are compared with fits into the processor's cache.
    blocks = list(gen_batches(len(points), 4))
    for view in views.iterate(rows, chosen):
        for block in blocks:
            new = _square_distances(view[index[block]], points[block])
            np.minimum(squares[block], new, out=squares[block])
    return squares


# ---- the choice of an augmentation


def choose_augment(prepared, image_shape, fit, random_state):
    """Return the augmentation with the highest score, or None, and the scores of all by name.

    ``fit(prepared, seeds)`` returns the expected scores and the labels (N,) of a fit by each seed.
    The score of an augmentation is the mean of these expected scores, raised by the agreement of
    the labels with those of other augmentations: true clusters are found in several ways.
    """
    order = np.random.RandomState(0).permutation(len(prepared.points))
    some = prepared.points[np.sort(order[:TRIED_SAMPLES])]
    some = prepared._replace(points=some)
    augments = {"none": None} | list_augments(some.points.shape[1], image_shape)
    seeds = random_state.randint(2**31, size=N_FITS)
    fits = {name: fit(some.change(each), seeds) for name, each in augments.items()}

    scores = {}
    for name, (expected, labels) in fits.items():
        others = [row for other in fits if other != name for row in fits[other][1]]
        agreement = [adjusted_rand_score(own, row) for own in labels for row in others]
        score = np.mean(expected) + AGREEMENT_WEIGHT * np.mean(agreement)
        scores[name] = float(score)
    best = max(scores, key=scores.get)
    if scores[best] < scores["none"] + MIN_GAIN:
        best = "none"
    return augments[best], scores


def list_augments(n_features, image_shape):
    """Return augmentations of images, or of series if ``image_shape`` is None, by name."""
    from ..nn.augmentation import RandomAffine, RandomFlip, RandomShift

    if image_shape is None:
        shifts = {f"shift by {share:.0%}": RandomShift(share) for share in SHIFTS}
        wrapped = {
            f"wrapped shift by {share:.0%}": RandomShift(share, wrap=True)
            for share in WRAPPED_SHIFTS
        }
        return shifts | wrapped
    shape = read_image_shape(image_shape, n_features)
    turn = partial(RandomAffine, shape, scale=0, translate=0)
    return {
        "shift": RandomAffine(shape, degrees=0, scale=0, translate=0.1),
        "rotation": turn(degrees=20),
        "any rotation": turn(degrees=180),
        "affine": RandomAffine(shape),
        "mirror": RandomFlip(shape),
    }
