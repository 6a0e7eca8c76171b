"""The neighbor graph and its embedding, as in UMAP, and whitening by the graph.

N samples, D features, k neighbors, L embedding dimensions.
"""

from collections.abc import Callable
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, aslinearoperator, eigsh
from sklearn.utils import check_array, check_scalar, gen_batches

from ..input.distinct import TINY
from ..input.labels import indicate
from ..utils.random import draw_seed, random_stream
from .augmented import check_augment, prepare_views, search_views
from .search import (
    NeighborIndex,
    check_distances,
    nearest_entries,
)
from .threads import open_threads, single_threaded

# The criterion was trained with these constants: see partition/criterion/constants.py.

#: Parameter a of the similarity 1 / (1 + a d^(2b)) at distance d in the embedding.
CURVE_A = 1.929
#: Parameter b of the similarity.
CURVE_B = 0.7915
#: Number of links that attract each sample in one step.
ATTRACTIONS = 2
#: Number of random samples that repel each sample in one step.
REPULSIONS = 5
#: Number of links sampled at once for each sample.
DRAWS = 64


class GraphSettings(NamedTuple):
    """Parameters of the graph and the embedding, as in ``NeighborClustering``."""

    n_neighbors: int = 15
    metric: Any = "euclidean"
    n_components: int = 5
    max_samples: int = 70_000
    n_jobs: int | None = None
    augment: Any = None
    n_views: int = 16
    #: One-hot columns of each category of a table, after the numbers; None without a table.
    groups: Any = None


def neighbor_graph(
    X,
    n_neighbors: int = 15,
    *,
    metric: str | Callable[..., float] = "euclidean",
    augment: Callable[..., Any] | None = None,
    n_views: int = 16,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
) -> sparse.csr_matrix:
    """Return the fuzzy graph of nearest neighbors, W = V + V^T - V * V^T, of shape (N, N).

    The weight of neighbor j of sample i is v_ij = exp(-max(0, d_ij - rho_i) / sigma_i), with the
    smallest positive distance rho_i, and sigma_i such that sum_j v_ij = log2(k + 1) [1]_.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (N, D)
        Samples; with ``metric="precomputed"`` their distances (N, N), or a sparse graph of them.
    n_neighbors : int, default=15
        Number of neighbors k, at most N - 1.
    metric : str or callable, default="euclidean"
        As in :class:`sklearn.neighbors.NearestNeighbors`.
    augment : callable, default=None
        Changes that do not matter, as in :class:`~skdeepcluster.NeighborClustering`.
    n_views : int, default=16
        Number of views of each sample, if there is ``augment``.
    random_state : int, RandomState instance or None, default=None
        Determines the views.
    n_jobs : int, default=None
        Number of threads, as in scikit-learn; no result depends on it.

    Returns
    -------
    CSR matrix of shape (N, N)
        Symmetric, float32, with weights in (0, 1] and an empty diagonal.

    References
    ----------
    .. [1] L. McInnes, J. Healy, J. Melville, "UMAP: Uniform Manifold Approximation and
       Projection for Dimension Reduction", 2018, arXiv:1802.03426.

    Examples
    --------
    >>> from skdeepcluster.neighbors import neighbor_graph
    >>> neighbor_graph([[0.0], [1.0], [5.0]], n_neighbors=1).toarray()
    array([[0., 1., 0.],
           [1., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    """
    check_scalar(n_neighbors, "n_neighbors", Integral, min_val=1)
    X = check_array(
        X,
        accept_sparse="csr",
        dtype=[np.float64, np.float32],
        input_name="X",
    )
    if augment is not None:
        check_augment(metric)
    if metric == "precomputed":
        check_distances(X)
        return link_neighbors(*nearest_entries(X, n_neighbors, is_square=True))
    settings = GraphSettings(
        n_neighbors, metric, n_jobs=n_jobs, augment=augment, n_views=n_views
    )
    stream = random_stream(random_state)
    nearest, _ = search_neighbors(X, n_neighbors, settings, stream)
    return link_neighbors(*nearest)


def search_neighbors(X, k, settings, stream):
    """Return distances and indices of the k nearest others of each sample, and views or None."""
    if settings.augment is None:
        index = NeighborIndex(X, settings.metric, settings.n_jobs)
        return index.query(k), None
    seed = draw_seed(stream)
    views = prepare_views(settings.augment, settings.n_views, seed, X)
    nearest = search_views(views, X, k, settings.n_jobs)
    return nearest, views._replace(neighbors=nearest[1])


def link_neighbors(distances, neighbors):
    """Return the graph of samples with nearest neighbors, (N, k), missing ones at infinity."""
    n_rows, k = distances.shape
    weights = _smooth_weights(distances) if k else distances
    weights = weights.astype(np.float32).ravel()
    starts = np.arange(n_rows + 1) * k
    entries = weights, neighbors.ravel(), starts
    one_way = sparse.csr_matrix(entries, (n_rows, n_rows))
    one_way.sum_duplicates()

    back = one_way.T.tocsr()
    both = one_way.multiply(back)
    graph = (one_way + back - both).tocsr()
    np.minimum(graph.data, 1, out=graph.data)
    graph.eliminate_zeros()
    return graph


def _smooth_weights(distances):
    """Return v_ij of :func:`neighbor_graph`, (N, k), with sigma by bisection."""
    known = np.isfinite(distances)
    count = known.sum(1, keepdims=True)
    # A power of two for each sample keeps the products of the bisection in range.
    finite = np.where(known, distances, 0)
    _, exponent = np.frexp(finite.max(1, keepdims=True))
    distances = np.ldexp(distances, -exponent)
    finite = np.ldexp(finite, -exponent)

    positive = np.where(distances > 0, distances, np.inf)
    nearest = positive.min(1, keepdims=True)
    nearest[np.isinf(nearest)] = 0
    beyond = np.maximum(distances - nearest, 0)

    # If most distances are equal, sigma would converge to zero.
    low = 1e-3 * finite.sum(1, keepdims=True) / count
    low = np.maximum(low, 1e-100)
    high = 1e3 * finite.max(1, keepdims=True)
    high = np.maximum(high, low)

    for _ in range(40):  # bisection on a logarithmic scale
        sigma = np.sqrt(low * high)
        total = np.exp(-beyond / sigma).sum(1, keepdims=True)
        is_wide = total > np.log2(count + 1)
        low = np.where(is_wide, low, sigma)
        high = np.where(is_wide, sigma, high)
    return np.exp(-beyond / high)


def sum_links(graph):
    """Return the degrees of samples (N,): the sums of the weights of their links."""
    return np.asarray(graph.sum(1), dtype=float).ravel()


def join_clusters(graph, labels, n_clusters):
    """Return the sums (K, K) of links between clusters (N,), as a sparse array."""
    member = indicate(labels, n_clusters)
    return sparse.csr_array(member.T @ (graph @ member))


def scale_links(graph, factors):
    """Return the graph with each link times the ``factors`` (N,) of both ends."""
    scale = sparse.diags(factors)
    return (scale @ graph @ scale).tocsr()


# ---- whitening


def whiten_by_graph(points, graph, n_neighbors, n_jobs=None):
    """Return points (N, D) whitened by the scatter between neighbors in a ``graph`` (N, N).

    It estimates the covariance within clusters (D. Art, R. Gnanadesikan, J. R. Kettenring,
    "Data-based metrics for cluster analysis", Utilitas Mathematica 21A, 1982). Neighbors of the
    whitened points give a second estimate.
    """
    whitened = _whiten_once(points, graph)
    graph = neighbor_graph(whitened, n_neighbors, n_jobs=n_jobs)
    return _whiten_once(points, graph)


def _whiten_once(points, graph):
    degree = sum_links(graph)
    with single_threaded("blas"):
        gaps = degree[:, None] * points - graph @ points
        scatter = points.T @ gaps / degree.sum()
        return points @ whitening_matrix(scatter, len(points))


def whitening_matrix(scatter, n_samples):
    """Return A (D, D) with A A^T the inverse of a regularized scatter (D, D).

    The scatter is shrunk toward a multiple of the identity (Y. Chen, A. Wiesel, Y. C. Eldar,
    A. O. Hero, "Shrinkage algorithms for MMSE covariance estimation", IEEE TSP 58, 2010, eq. 23).
    """
    values, vectors = np.linalg.eigh((scatter + scatter.T) / 2)
    values = np.maximum(values, 0)
    mean = max(values.mean(), np.finfo(float).eps ** 2)
    share = 1 / len(values)

    ratios = values / mean
    squares = np.square(ratios).sum()
    square = ratios.sum() ** 2
    excess = squares - square * share
    excess *= n_samples + 1 - 2 * share
    wanted = (1 - 2 * share) * squares + square
    largest = max(wanted, excess, TINY)

    values += wanted / largest * (mean - values) + 0.1 * mean
    return vectors / np.sqrt(values)


# ---- embedding


def neighbor_embedding(
    graph,
    n_components=5,
    *,
    n_epochs: int = 150,
    random_state=None,
    n_jobs: int | None = None,
) -> npt.NDArray[np.float32]:
    """Place the samples of a graph in few dimensions: linked samples near, others apart.

    With the similarity q(d) = 1 / (1 + a d^(2b)), sample i follows the gradient of log q(d_ij)
    for random links j and of log(1 - q(d_ij)) for random samples j [1]_. The learning rate falls
    from 1 to 0. The initial positions are eigenvectors of the normalized Laplacian [2]_.

    Parameters
    ----------
    graph : sparse matrix of shape (N, N)
        Symmetric, with positive weights.
    n_components : int, default=5
        Number of dimensions L.
    n_epochs : int, default=150
        Number of epochs of five gradient steps; 0 gives the spectral embedding.
    random_state : int, RandomState instance or None, default=None
        Seed of all random numbers.
    n_jobs : int, default=None
        Number of threads, as in scikit-learn; no result depends on it.

    Returns
    -------
    ndarray of shape (N, L)
        float32.

    References
    ----------
    .. [1] L. McInnes, J. Healy, J. Melville, "UMAP", 2018, arXiv:1802.03426.
    .. [2] M. Belkin, P. Niyogi, "Laplacian Eigenmaps for Dimensionality Reduction and Data
       Representation", Neural Computation 15, 2003.

    Examples
    --------
    >>> from skdeepcluster.neighbors import neighbor_graph, neighbor_embedding
    >>> graph = neighbor_graph([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]], n_neighbors=2)
    >>> embedding = neighbor_embedding(graph, 2, random_state=0)
    >>> width = abs(embedding[:3] - embedding[:3].mean(0)).max()
    >>> bool(width < abs(embedding[0] - embedding[3]).max())
    True
    """
    check_scalar(n_components, "n_components", Integral, min_val=1)
    check_scalar(n_epochs, "n_epochs", Integral, min_val=0)
    graph = check_array(graph, accept_sparse="csr", dtype=np.float32)
    graph = sparse.csr_matrix(graph)

    stream = random_stream(random_state)
    random = np.random.default_rng(draw_seed(stream))
    # After a permutation, a cyclic shift pairs each sample with a random one.
    order = random.permutation(graph.shape[0])
    graph = graph[order][:, order]

    start = _embed_spectrally(graph, n_components, random)
    embedding = np.empty_like(start)
    embedding[order] = _optimize(graph, start, n_epochs, random, n_jobs)
    return embedding


def _embed_spectrally(graph, n_components, random):
    """Return eigenvectors of the normalized Laplacian, smallest first, in [-10, 10]; (N, L)."""
    n_rows = graph.shape[0]
    shape = n_rows, n_components
    degree = np.maximum(sum_links(graph), 1e-12)
    similarity = scale_links(graph, degree**-0.5)
    similarity = similarity + sparse.eye(n_rows)
    trivial = np.sqrt(degree / degree.sum())

    with single_threaded("blas"):
        if n_rows <= max(500, 4 * n_components):
            known = 2 * np.outer(trivial, trivial)
            values, vectors = np.linalg.eigh(similarity.toarray() - known)
        else:
            first = random.standard_normal(n_rows)
            values, vectors = _find_eigenvectors(
                similarity, trivial, n_components, first
            )

    order = np.argsort(-values)[: min(n_components, n_rows - 1)]
    vectors = vectors[:, order] / np.sqrt(degree)[:, None]

    start = np.zeros(shape)
    start[:, : len(order)] = vectors - vectors.mean(0)
    start *= 10 / max(np.abs(start).max(), 1e-12)

    # The solver may miss trivial eigenvectors, which separate the components.
    n_pieces, piece = connected_components(graph, directed=False)
    if n_pieces > 1:
        shifts = random.standard_normal((n_pieces, n_components))
        start += 10 * shifts[piece]
    # Samples at the same position do not repel each other.
    start += 1e-4 * random.standard_normal(shape)
    return start.astype(np.float32)


def _find_eigenvectors(similarity, trivial, n_vectors, first):
    """Return the largest eigenvalues and eigenvectors that converge, except the trivial one."""
    known = aslinearoperator(trivial[:, None])
    similarity = aslinearoperator(similarity.tocsr())
    operator = similarity - 2 * (known @ known.H)
    try:
        return eigsh(operator, n_vectors, which="LA", v0=first, tol=1e-5)
    except ArpackNoConvergence as error:
        return error.eigenvalues, error.eigenvectors


def _draw_links(graph, random):
    """Return linked samples (DRAWS, N), by weight; a sample without links is linked to itself."""
    n_rows = graph.shape[0]
    sums = np.cumsum(graph.data, dtype=float)
    sums = np.append(0.0, sums)
    first = graph.indptr[:-1, None]
    last = graph.indptr[1:, None]

    at = np.arange(DRAWS) + random.random((n_rows, 1))
    at = sums[first] + at / DRAWS * (sums[last] - sums[first])
    place = np.searchsorted(sums, at, side="right") - 1
    place = np.clip(place, first, last - 1)  # against rounding

    linked = np.append(graph.indices, 0)[place]
    linked = np.where(first == last, np.arange(n_rows)[:, None], linked)
    linked = random.permuted(linked, axis=1)
    return np.ascontiguousarray(linked.T)


def _optimize(graph, start, n_epochs, random, n_jobs):
    """Return the embedding after stochastic gradient ascent on the log-likelihood of the links."""
    n_rows = graph.shape[0]
    y = np.ascontiguousarray(start.T)
    n_steps = 5 * n_epochs if n_rows > 1 else 0
    n_subsets = DRAWS // ATTRACTIONS
    blocks = list(gen_batches(n_rows, 8192))  # tasks of threads

    with open_threads(n_jobs) as pool:
        # Handing over a single block takes longer than most of its steps.
        do_each = pool.map if len(blocks) > 1 else map
        for t in range(n_steps):
            if t % (4 * n_subsets) == 0:  # each sampled link is used four times
                drawn = _draw_links(graph, random)
            if t % n_subsets == 0:
                order = random.permutation(DRAWS)
                subsets = order.reshape(n_subsets, ATTRACTIONS)

            step = partial(
                _step_block,
                y,
                np.concatenate([y, y], axis=1),
                drawn[subsets[t % n_subsets]],
                random.integers(1, n_rows, REPULSIONS),
                np.float32(1 - t / n_steps),
            )
            y = np.concatenate(list(do_each(step, blocks)), axis=1)
    return y.T


def _step_block(y, twice, linked, shifts, rate, rows):
    """Return the positions (L, block) of a block of samples after a gradient step.

    ``twice`` is y concatenated with itself: a slice of it is a cyclic shift.
    """
    a = CURVE_A
    b = CURVE_B
    here = y[:, rows]

    # Gradients of log q, with similarity q(d) = 1 / (1 + a d^(2b)).
    pulls = np.take(y, linked[:, rows], axis=1) - here[:, None]
    square = _square_norms(pulls)
    power = np.exp((b - 1) * np.log(square))
    pulls *= 2 * a * b * power / (1 + a * square * power)

    # Gradients of log(1 - q).
    shifted = [twice[:, rows.start + j : rows.stop + j] for j in shifts]
    pushes = here[:, None] - np.stack(shifted, axis=1)
    square = _square_norms(pushes)
    power = a * np.exp(b * np.log(square))
    pushes *= 2 * b / ((1e-3 + square) * (1 + power))

    step = np.zeros_like(here)
    for gradients in (pulls, pushes):
        np.clip(gradients, -4, 4, out=gradients)
        for j in range(gradients.shape[1]):
            step += gradients[:, j]
    return here + rate * step


def _square_norms(gaps):
    """Return the squared lengths (A, block) of differences (L, A, block)."""
    return np.maximum(np.einsum("lan,lan->an", gaps, gaps), 1e-12)
