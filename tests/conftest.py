"""One thread, array-API checks, no windows, and the data that tests share."""

import os

# Before numpy is imported: workers of xdist share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Before scipy is imported: scikit-learn's array-API checks are skipped without it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest

# Fixtures import other packages: the process that starts the workers does not need them.


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits():
    """500 digits in [0, 1], float32, read-only."""
    from sklearn.datasets import load_digits

    X = (load_digits().data[:500] / 16).astype("float32")
    X.flags.writeable = False
    return X


@pytest.fixture(scope="session")
def middle(digits):
    """The middle lines of the images of 200 digits, 16 features."""
    return digits[:200, 24:40]


@pytest.fixture(scope="session")
def blobs():
    """Three well separated groups of 60 samples and their labels, read-only."""
    from sklearn.datasets import make_blobs

    X, y = make_blobs(180, n_features=4, centers=3, cluster_std=0.6, random_state=0)
    X.flags.writeable = y.flags.writeable = False
    return X, y


@pytest.fixture(scope="session")
def rows(blobs):
    """The samples of the three groups alone."""
    return blobs[0]


@pytest.fixture
def no_alternatives(monkeypatch):
    """Fits seek no alternatives: for laws of whatever is found."""
    monkeypatch.setattr("skdeepcluster.partition.selection.MAX_ALTERNATIVES", 0)
