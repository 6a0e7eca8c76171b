"""Labels of some rows spread along the graph of nearest neighbours.

N rows, M distinct rows, D features, K classes.
"""

from numbers import Integral, Real

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.utils import check_scalar

from .._responsibilities import check_labels, normalize_rows
from .graph import neighbor_graph

#: Residual at which labels are spread, as a share of a row.
RESIDUAL = 1e-9
#: Least denominator.
TINY = np.finfo(np.float64).tiny


def spread_labels(
    X, targets, n_classes: int, *, n_neighbors: int = 15, alpha: float = 0.99, n_iter: int = 2000
) -> npt.NDArray[np.float64]:
    r"""Give every row class probabilities by label spreading on the neighbour graph.

    The probabilities are the rows of F = (1 - alpha) (I - alpha S)^{-1} Y, normalised, with
    S = D^{-1/2} W D^{-1/2}, W the graph, D its degrees and Y the labels, of which each class has
    weight one [1]_.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (N, D)
        Rows or codes.
    targets : array-like of shape (N,)
        Classes from 0 to ``n_classes - 1``; -1 for rows without a label.
    n_classes : int
        K.
    n_neighbors : int, default=15
        Neighbours in the graph.
    alpha : float, default=0.99
        Weight of the neighbours of a row, at least 0 and less than 1; the labels have 1 - alpha.
    n_iter : int, default=2000
        Most steps of the conjugate gradient method that solves the equations, to a residual of
        1e-9 of each row; the default alpha takes a few hundred.

    Returns
    -------
    ndarray of shape (N, K)
        Probabilities, float64; equal ones for rows that no label reaches.

    Raises
    ------
    ValueError
        When ``targets`` has another length than X, or a number that is no class.

    See Also
    --------
    labelled_start : Clusters of a few labels, from the rows.
    neighbor_graph : The graph of the rows.

    References
    ----------
    .. [1] D. Zhou, O. Bousquet, T. N. Lal, J. Weston, B. Schoelkopf, "Learning with Local and
       Global Consistency", NeurIPS 2003.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeepcluster.neighbors import spread_labels
    >>> X = [[0.0], [1.0], [2.0], [8.0], [9.0]]
    >>> spread_labels(X, np.array([0, -1, -1, -1, 1]), 2, n_neighbors=1).argmax(1)
    array([0, 0, 0, 1, 1])
    """
    check_scalar(alpha, "alpha", Real, min_val=0, max_val=1, include_boundaries="left")
    check_scalar(n_iter, "n_iter", Integral, min_val=1)
    graph = neighbor_graph(X, n_neighbors)
    check_scalar(n_classes, "n_classes", Integral, min_val=1)
    targets = check_labels("targets", targets, graph.shape[0], n_classes, "classes")
    labels = count_labels(targets, n_classes, np.arange(len(targets)))
    return spread_along(graph, labels, alpha, n_iter)


def count_labels(targets, n_classes, inverse, weights=None):
    """Return how many rows have each class among those equal to each distinct row, (M, K).

    ``inverse`` (N,) are the positions of the rows among the M distinct ones, or -1; ``weights``
    (N,) say how often each row counts.
    """
    known = np.flatnonzero((targets >= 0) & (inverse >= 0))
    labels = np.zeros((inverse.max() + 1, n_classes))
    np.add.at(labels, (inverse[known], targets[known]), 1 if weights is None else weights[known])
    return labels


def spread_along(graph, labels, alpha=0.99, n_iter=2000):
    """Spread counts of labels (M, K) along a given graph, see :func:`spread_labels`."""
    sums = np.asarray(graph.sum(1), dtype=np.float64).ravel()
    scale = sparse.diags(np.where(sums > 0, 1 / np.sqrt(np.maximum(sums, 1e-12)), 0))
    links = (alpha * (scale @ graph @ scale)).tocsr()
    labels = labels / np.maximum(labels.sum(0), 1)
    return normalize_rows(np.maximum(_solve_spread(links, labels, n_iter), 0))


def absorb_walk(graph, labels, votes, stops):
    """Return the mean votes (M, K) where a walk from each row ends: at a labelled row or anywhere.

    A walk ends at the first row with ``labels`` (M, K), by their shares, and at any other with
    probability s / (1 + s), by its ``votes`` (M, K), with s its number of ``stops`` (M,). These
    are the harmonic functions of X. Zhu, Z. Ghahramani, J. Lafferty, "Semi-supervised learning
    using Gaussian fields and harmonic functions", ICML 2003, with votes as external classifier.
    """
    degree = np.asarray(graph.sum(1), dtype=np.float64).ravel()
    known, found = labels.any(1), np.where(labels.any(1)[:, None], normalize_rows(labels), votes)
    free = np.flatnonzero(~known & (degree > 0))
    edges, root = graph[free], np.sqrt(degree * (1 + stops))[free]
    ends = edges[:, known] @ found[known] + (degree * stops)[free, None] * votes[free]
    scale = sparse.diags(1 / root)
    links = (scale @ edges[:, free] @ scale).tocsr()
    found[free] = _solve_spread(links, ends / root[:, None], 2000) / root[:, None]
    return found


def _solve_spread(links, labels, n_iter):
    """Solve F = links F + labels, (M, K), by at most ``n_iter`` conjugate gradient steps.

    Rows far from all labels have small F. Therefore the method is restarted from the residual
    until this is small against each row.
    """
    found, n_steps = np.zeros_like(labels), 0
    while n_steps < n_iter:
        rest = labels + links @ found - found
        if (np.abs(rest).sum(1) <= RESIDUAL * np.abs(found).sum(1)).all():
            break
        step, square = rest.copy(), np.square(rest).sum(0)
        least = RESIDUAL**2 * square
        while n_steps < n_iter and (square > least).any():
            change = step - links @ step
            length = square / np.maximum((step * change).sum(0), TINY)
            found += length * step
            rest -= length * change
            before, square = square, np.square(rest).sum(0)
            step = rest + square / np.maximum(before, TINY) * step
            n_steps += 1
    return found
