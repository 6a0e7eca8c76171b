"""What is measured of a data set, once for all of its partitions.

M scored samples, D features, k neighbors.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from ...input.distinct import TINY
from ...neighbors.graph import join_clusters
from ...neighbors.search import NeighborIndex
from ...neighbors.threads import single_threaded
from ..candidates import make_monomials
from ..coordinates import spanning_tree
from ..table import MixedColumns
from .constants import N_NEAREST, N_NEIGHBORS, N_SWEEPS, PENALTY
from .features import OF_DATA


class Space(NamedTuple):
    """Points in narrow coordinates or in an embedding."""

    #: Centered points (M, D).
    points: np.ndarray
    #: Monomials (M, F) of the points before centering.
    monomials: np.ndarray
    #: Regularized covariance (D, D).
    covariance: np.ndarray


class Edges(NamedTuple):
    """Edges of the spanning tree."""

    #: Ends (M - 1,).
    i: np.ndarray
    j: np.ndarray
    #: Logarithms (M - 1,) of the lengths.
    lengths: np.ndarray
    #: Logarithms (M - 1,) of the mutual reachability distances.
    reach: np.ndarray


class Whole(NamedTuple):
    """The graph of all N samples, of which M are scored."""

    #: Neighbor graph (N, N).
    graph: sparse.csr_matrix
    #: The scored sample (N,), from 0 to M - 1, that is nearest to each.
    nearest: np.ndarray

    def join(self, labels, n_clusters):
        """Return the sums (K, K) of edges between clusters of scored samples, ``labels`` (M,).

        Others have the cluster of the nearest scored one, then of most neighbors.
        """
        n_sweeps = N_SWEEPS if len(labels) < len(self.nearest) else 0
        labels = labels[self.nearest]
        for _ in range(n_sweeps):
            votes = self.graph @ np.eye(n_clusters, dtype=np.float32)[labels]
            labels = np.where(votes.any(1), votes.argmax(1), labels)
        return join_clusters(self.graph, labels, n_clusters).toarray()


class Densities(NamedTuple):
    """Densities of the samples, 1 / mean distance to their neighbors, and on links to these."""

    #: Positions (M,) of the samples, ascending by density.
    order: np.ndarray
    #: Densities (M,) in this order.
    values: np.ndarray
    #: Ends (E,) of the links, ascending by the lower density of both.
    i: np.ndarray
    j: np.ndarray
    #: Lower densities (E,).
    border: np.ndarray


class Measured(NamedTuple):
    """Values of the scored samples that all partitions share."""

    #: :class:`Space` of the narrow coordinates, then of each embedding.
    spaces: list
    whole: Whole
    #: Positions (M, k) of the nearest other samples.
    neighbors: np.ndarray
    edges: Edges
    #: :class:`Densities` among the samples, then in the first embedding.
    densities: list
    #: Samples and a constant (M, D + 1), the matrix (D + 1, M) from targets to the coefficients of
    #: a ridge regression, and leverages (M,).
    ridge: tuple
    #: Numbers and categories of a table, or None.
    table: MixedColumns | None
    #: Features of the data set, by name.
    data: dict


def measure_samples(coords, whole, n_features):
    """Return :class:`Measured` for the coordinates of the scored ones of N samples."""
    n_samples = whole.graph.shape[0]
    wide = coords.wide
    nearest = NeighborIndex(wide).query(N_NEIGHBORS)
    distances, neighbors = nearest
    # Without features, the samples are the embedding.
    in_embedding = nearest
    if coords.has_features:
        in_embedding = NeighborIndex(coords.embeddings[0]).query(N_NEIGHBORS)

    data = OF_DATA.compute(coords, distances, n_features, n_samples)
    return Measured(
        spaces=[_make_space(points) for points in (coords.narrow, *coords.embeddings)],
        whole=whole,
        neighbors=neighbors,
        edges=_find_edges(wide, distances, neighbors),
        densities=[_find_densities(*nearest), _find_densities(*in_embedding)],
        ridge=_solve_ridge(wide),
        table=coords.table,
        data=dict(zip(OF_DATA.names, data, strict=True)),
    )


def _make_space(points):
    """Return the :class:`Space` of points (M, D)."""
    n_features = points.shape[1]
    covariance = np.cov(points.T, bias=True).reshape(n_features, -1)
    covariance = covariance + 1e-6 * np.eye(n_features) * np.trace(covariance)
    return Space(points - points.mean(0), make_monomials(points), covariance)


def _find_edges(points, distances, neighbors):
    """Return the :class:`Edges` of points (M, D) whose nearest neighbors are known."""
    i, j, lengths = spanning_tree(points, (distances, neighbors))
    core = distances[:, :N_NEAREST].max(1)
    reach = np.maximum.reduce([lengths, core[i], core[j]])
    return Edges(i, j, np.log(lengths.clip(TINY)), np.log(reach.clip(TINY)))


def _find_densities(distances, neighbors):
    """Return the :class:`Densities` of samples by distances (M, k) to their neighbors."""
    density = 1 / distances.mean(1).clip(TINY)
    order = np.argsort(density, kind="stable")

    i = np.repeat(np.arange(len(density)), neighbors.shape[1])
    j = neighbors.ravel()
    border = np.minimum(density[i], density[j])
    links = np.argsort(border, kind="stable")
    return Densities(order, density[order], i[links], j[links], border[links])


def _solve_ridge(wide):
    """Return what :class:`Measured` has of a ridge regression on samples (M, D)."""
    n_samples, n_features = wide.shape
    scale = max(np.sqrt(wide.var(0).sum()), 1e-12)
    points = np.hstack([wide / scale, np.ones((n_samples, 1))])
    penalty = PENALTY * n_samples / 100 / n_features * np.eye(n_features + 1)

    with single_threaded("blas"):
        solution = np.linalg.solve(points.T @ points + penalty, points.T)
    return points, solution, np.einsum("ij,ji->i", points, solution)
