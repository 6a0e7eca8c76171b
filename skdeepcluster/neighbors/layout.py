"""Graph layout as in UMAP: attraction along links, repulsion by negative sampling.

N rows, L layout dimensions.

References: L. McInnes, J. Healy, J. Melville, "UMAP: Uniform Manifold Approximation and
Projection", 2018 (the forces); M. Belkin, P. Niyogi, "Laplacian Eigenmaps", 2003 (the
initialisation).
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial

import numpy as np
import numpy.typing as npt
from joblib import effective_n_jobs
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from sklearn.utils import check_scalar, gen_batches

from ..engine.runtime import draw_seed, random_stream
from .graph import check_graph
from .search import single_threaded_blas

#: a of the similarity 1 / (1 + a d^(2b)) at distance d in the layout.
CURVE_A = 1.929
#: b of this similarity.
CURVE_B = 0.7915
#: Largest component of one gradient.
CLIP = 4.0
#: Gradient steps of every row in an epoch.
STEPS_PER_EPOCH = 5
#: Links of each row that attract it in one step.
ATTRACTIONS = 2
#: Links drawn at once for every row, by systematic sampling.
DRAWS = 64
#: Times that each drawn link is used before new ones are drawn.
USES_PER_DRAW = 4
#: Most rows for which the eigenvectors are computed by a dense solver, without iteration.
DENSE_ROWS = 500
#: Rows per task of a thread; fixed, so that the result does not depend on the number of threads.
BLOCK = 8192


def neighbor_layout(
    graph,
    n_components=5,
    *,
    n_epochs: int = 150,
    n_negative: int = 5,
    random_state=None,
    n_jobs: int | None = None,
) -> npt.NDArray[np.float32]:
    r"""Place the rows of a graph in few dimensions: linked rows near, others apart; (N, L).

    Stochastic gradient ascent with q(d) = 1 / (1 + a d^(2b)): row i follows the gradient of
    log q(d_ij) for rows j drawn from its links, and of log(1 - q(d_ij)) for rows j drawn from all
    rows. The learning rate falls linearly from 1 to 0. The initial positions are eigenvectors of
    the normalised Laplacian.

    Parameters
    ----------
    graph : sparse matrix of shape (N, N)
        Symmetric, with positive weights.
    n_components : int, default=5
        L.
    n_epochs : int, default=150
        Epochs of the optimisation; 0 gives the spectral layout.
    n_negative : int, default=5
        Random rows that repel a row in each step, in which two linked rows attract it.
    random_state : int, RandomState instance or None, default=None
        Decides the draws.
    n_jobs : int, default=None
        Threads, as in scikit-learn; the result does not depend on them.

    Returns
    -------
    ndarray of shape (N, L)
        float32.

    See Also
    --------
    neighbor_graph : The graph that is laid out.

    Examples
    --------
    >>> from skdeepcluster.neighbors import neighbor_graph, neighbor_layout
    >>> graph = neighbor_graph([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]], n_neighbors=2)
    >>> layout = neighbor_layout(graph, 2, random_state=0)
    >>> bool(abs(layout[:3] - layout[:3].mean(0)).max() < abs(layout[0] - layout[3]).max())
    True
    """
    for value, name, least in (
        (n_components, "n_components", 1),
        (n_epochs, "n_epochs", 0),
        (n_negative, "n_negative", 0),
    ):
        check_scalar(value, name, (int, np.integer), min_val=least)
    graph = check_graph(graph, np.float32)
    random = np.random.default_rng(draw_seed(random_stream(random_state)))
    # The rows are permuted, so that a cyclic shift of them pairs every row with a random one:
    # negative sampling then needs neither random numbers for each row nor a gather.
    order = random.permutation(graph.shape[0])
    graph = graph[order][:, order]
    start = _embed_spectrally(graph, n_components, random)
    layout = np.empty_like(start)
    layout[order] = _optimize(graph, start, n_epochs, n_negative, random, n_jobs)
    return layout


def _embed_spectrally(graph, n_components, random):
    """Return eigenvectors of the normalised Laplacian, smallest first, in [-10, 10]; (N, L)."""
    n_rows = graph.shape[0]
    degree = np.maximum(np.asarray(graph.sum(1), dtype=np.float64).ravel(), 1e-12)
    scale = sparse.diags(degree**-0.5)
    trivial = np.sqrt(degree / degree.sum())
    similarity = (scale @ graph @ scale + sparse.eye(n_rows)).tocsr()

    def deflate(x):
        return similarity @ x - 2 * trivial * (trivial @ x)

    start = np.zeros((n_rows, n_components))
    wanted = min(n_components, n_rows - 1)
    with single_threaded_blas():
        if n_rows <= max(DENSE_ROWS, 4 * n_components):
            dense = similarity.toarray() - 2 * np.outer(trivial, trivial)
            values, vectors = np.linalg.eigh(dense)
        else:
            operator = LinearOperator((n_rows, n_rows), deflate, dtype=np.float64)
            first = random.standard_normal(n_rows)
            try:
                values, vectors = eigsh(operator, wanted, which="LA", v0=first, tol=1e-5)
            except ArpackNoConvergence as error:
                values, vectors = error.eigenvalues, error.eigenvectors
    vectors = vectors[:, np.argsort(-values)[:wanted]] / np.sqrt(degree)[:, None]
    start[:, : vectors.shape[1]] = vectors - vectors.mean(0)
    start *= 10 / max(np.abs(start).max(), 1e-12)
    n_components_found, component = connected_components(graph, directed=False)
    # Every connected component has a trivial eigenvector, and the solver may miss some of them:
    # the components are placed apart at random.
    if n_components_found > 1:
        start += 10 * random.standard_normal((n_components_found, n_components))[component]
    # Noise, because the repulsive gradient between rows at the same position is zero.
    return (start + 1e-4 * random.standard_normal(start.shape)).astype(np.float32)


def _draw_links(graph, random):
    """Draw linked rows by weight, (DRAWS, N); a row without links is linked to itself.

    Systematic sampling: a link with share p of a row's weights is drawn DRAWS * p times, rounded
    up or down at random.
    """
    n_rows = graph.shape[0]
    ends = np.concatenate([[0.0], np.cumsum(graph.data, dtype=np.float64)])
    first, last = graph.indptr[:-1, None], graph.indptr[1:, None]
    at = (np.arange(DRAWS) + random.random((n_rows, 1))) / DRAWS
    at = ends[first] + at * (ends[last] - ends[first])
    place = np.searchsorted(ends, at.ravel(), side="right").reshape(n_rows, DRAWS) - 1
    place = np.clip(place, first, np.maximum(last - 1, first))
    linked = np.append(graph.indices, 0)[place]
    linked = np.where(first == last, np.arange(n_rows)[:, None], linked)
    return np.ascontiguousarray(random.permuted(linked, axis=1).T)


def _optimize(graph, start, n_epochs, n_negative, random, n_jobs):
    """Return the layout after stochastic gradient ascent on the log-likelihood of the links."""
    n_rows = graph.shape[0]
    y = np.ascontiguousarray(start.T)
    n_moves = n_epochs * STEPS_PER_EPOCH if n_rows > 1 else 0
    blocks = list(gen_batches(n_rows, BLOCK))
    n_subsets = DRAWS // ATTRACTIONS
    n_threads = min(effective_n_jobs(n_jobs), len(blocks))
    with ThreadPoolExecutor(n_threads) if n_threads > 1 else nullcontext() as threads:
        for t in range(n_moves):
            if t % (n_subsets * USES_PER_DRAW) == 0:
                drawn = _draw_links(graph, random)
            if t % n_subsets == 0:
                subsets = random.permutation(DRAWS).reshape(n_subsets, ATTRACTIONS)
            linked = drawn[subsets[t % n_subsets]]
            shifts = random.integers(1, n_rows, n_negative)
            rate = np.float32(1 - t / n_moves)
            move = partial(_step_block, y, np.concatenate([y, y], axis=1), linked, shifts, rate)
            moved = threads.map(move, blocks) if threads else map(move, blocks)
            y = np.concatenate(list(moved), axis=1)
    return y.T


def _step_block(y, twice, linked, shifts, rate, rows):
    """Return the positions (L, block) of a block of rows after a gradient step.

    ``twice`` is y concatenated with itself, so that a cyclic shift of the rows is a slice.
    """
    a, b = CURVE_A, CURVE_B
    here = y[:, rows]
    pulls = np.take(y, linked[:, rows], axis=1) - here[:, None]
    square = _square_norms(pulls)
    power = np.exp((b - 1) * np.log(square))
    pulls *= 2 * a * b * power / (1 + a * square * power)
    pushes = np.empty((len(here), len(shifts), here.shape[1]), here.dtype)
    for j, shift in enumerate(shifts):
        np.subtract(here, twice[:, rows.start + shift : rows.stop + shift], out=pushes[:, j])
    square = _square_norms(pushes)
    pushes *= 2 * b / ((1e-3 + square) * (1 + a * np.exp(b * np.log(square))))
    step = np.zeros_like(here)
    for gradients in (pulls, pushes):
        np.clip(gradients, -CLIP, CLIP, out=gradients)
        for j in range(gradients.shape[1]):
            step += gradients[:, j]
    return here + rate * step


def _square_norms(gaps):
    """Return the squared lengths (A, block) of differences (L, A, block)."""
    return np.maximum(np.einsum("lan,lan->an", gaps, gaps), 1e-12)
