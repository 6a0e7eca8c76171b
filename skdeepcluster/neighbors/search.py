"""Search for the nearest of stored rows.

N stored rows, M rows asked about, D features, k neighbours.
"""

from sklearn.neighbors import NearestNeighbors


class NeighborIndex:
    """Finds the nearest of stored rows X (N, D), dense or CSR.

    ``metric`` and ``n_jobs`` are those of :class:`sklearn.neighbors.NearestNeighbors`.
    """

    def __init__(self, X, metric="euclidean", n_jobs=None):
        self._search = NearestNeighbors(metric=metric, n_jobs=n_jobs).fit(X)

    def query(self, X, k):
        """Return distances, ascending, and indices of the k nearest stored rows, (M, k) each."""
        return self._search.kneighbors(X, n_neighbors=k)

    def query_self(self, k):
        """Return distances and indices of the k nearest other rows of each row, (N, k) each."""
        return self._search.kneighbors(n_neighbors=k)
