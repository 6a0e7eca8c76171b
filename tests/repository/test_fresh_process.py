"""What a process imports, and what its first fits leave as it was: one process for all tests."""

import subprocess
import sys

import numpy as np
import pytest

from skdeepcluster import NeighborClustering
from skdeepcluster.persistence import save

SCRIPT = """
import sys
import warnings
from sklearn.cluster import KMeans
from skdeepcluster import ClusterEnsemble, NeighborClustering, compare, metrics, select_n_clusters
import skdeepcluster.display

X = [[0.0], [0.1], [0.2], [0.3], [5.0], [5.1], [5.2], [5.3]]
labels = NeighborClustering(2, random_state=0).fit_predict(X)
assert metrics.clustering_accuracy([0, 0, 0, 0, 1, 1, 1, 1], labels) == 1
ClusterEnsemble(KMeans(2, n_init=1), 2).fit(X)
select_n_clusters(X, KMeans(n_init=1), [2, 3, 4])
str(compare(X, [KMeans(2, n_init=1)]))
if not {"torch", "skorch", "matplotlib"} & set(sys.modules):
    print("clusterers do not import torch")


class NoTorch:
    def find_spec(self, name, *_):
        if name == "torch":
            raise ImportError


sys.meta_path.insert(0, NoTorch())  # skops imports it where it is
from skdeepcluster.persistence import load
load(sys.argv[1]).predict([[0.0, 1.0]])
print("files are read without torch")

sys.meta_path.pop(0)
from skdeepcluster import VAEEmbedding
vae = VAEEmbedding(2, init=[0, 0, 0, 0, 1, 1, 1, 1], hidden_layer_sizes=(4,), max_epochs=1)
before = list(warnings.filters)
vae.fit(X)
if warnings.filters == before:
    print("the first fit leaves the filters of warnings")
"""


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    path = tmp_path_factory.mktemp("fresh") / "fit.skops"
    save(NeighborClustering(2, random_state=0).fit(np.eye(20)[:, :2] + [0, 1]), path)
    return subprocess.run([sys.executable, "-c", SCRIPT, path], capture_output=True, text=True)


@pytest.mark.parametrize(
    "law",
    [
        "clusterers do not import torch",
        "files are read without torch",
        "the first fit leaves the filters of warnings",
    ],
)
def test_in_a_fresh_process(law, process):
    assert law in process.stdout, process.stderr
