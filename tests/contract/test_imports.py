"""Names are imported when they are used, and torch is imported by what needs it."""

import subprocess
import sys

import pytest

import skdeepcluster

WITHOUT_TORCH = """
import sys
from sklearn.cluster import KMeans
from skdeepcluster import ClusterEnsemble, NeighborClustering, metrics, select_n_clusters
X = [[0.0], [0.1], [0.2], [0.3], [5.0], [5.1], [5.2], [5.3]]
labels = NeighborClustering(2, random_state=0).fit_predict(X)
assert metrics.clustering_accuracy([0, 0, 0, 0, 1, 1, 1, 1], labels) == 1
ClusterEnsemble(KMeans(2, n_init=1), 2).fit(X)
select_n_clusters(X, [2, 3, 4], estimator=KMeans(n_init=1), criterion="silhouette")
assert not {"torch", "skorch", "matplotlib"} & set(sys.modules)
"""


def test_torch_is_imported_by_what_needs_it():
    run = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_names_are_listed_and_unknown_ones_refused():
    assert set(skdeepcluster.__all__) <= set(dir(skdeepcluster))
    assert all(getattr(skdeepcluster, name).__name__ == name for name in skdeepcluster.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'KMeans'"):
        skdeepcluster.KMeans  # noqa: B018
