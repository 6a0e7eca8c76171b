"""The file of the criterion names its inputs; a file with others is refused."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.datasets import load_iris

from skdeepcluster import NeighborClustering
from skdeepcluster.partition import selection

X = load_iris().data[::2]
#: A fit for each part of the file, one that needs it.
FITS = {
    "score": lambda: NeighborClustering(3).fit(X),
    "layout": lambda: NeighborClustering(3, metric="precomputed").fit(cdist(X, X)),
    "one": lambda: NeighborClustering(1).fit(X),
    "calibration": lambda: NeighborClustering(3).fit(X),
}


@pytest.fixture(params=FITS)
def purpose(request):
    return request.param


@pytest.fixture
def change(monkeypatch):
    """Return a function that replaces the names of the inputs for one purpose."""

    def replace(purpose, names):
        changed = selection.load_parameters() | {f"{purpose} names": np.array(names)}
        monkeypatch.setattr(selection, "load_parameters", lambda: changed)
        selection.check_names.cache_clear()

    return replace


@pytest.fixture
def names(purpose):
    return selection.load_parameters()[f"{purpose} names"].tolist()


def test_the_file_names_each_input_of_its_trees(purpose, names):
    assert len(set(names)) == len(names)
    if purpose != "calibration":
        assert selection.load_parameters()[f"{purpose} feature"].max() < len(names)
    FITS[purpose]()


def test_two_swapped_inputs_are_refused(purpose, names, change):
    first, second, *others = names
    change(purpose, [second, first, *others])
    message = rf"(?s)inputs of '{purpose}'.*\n[+-]{first}\n.*Reinstall.*benchmarks\.criterion"
    with pytest.raises(RuntimeError, match=message):
        FITS[purpose]()


def test_an_input_that_only_the_code_has_is_named(purpose, names, change):
    change(purpose, names[:-1])
    with pytest.raises(RuntimeError, match=rf"(?s)\n--- file\n\+\+\+ code\n.*\n\+{names[-1]}\n"):
        FITS[purpose]()


def test_an_input_that_only_the_file_has_is_named(purpose, names, change):
    change(purpose, [*names, "lost"])
    with pytest.raises(RuntimeError, match=r"(?s)\n--- file\n\+\+\+ code\n.*\n-lost\n"):
        FITS[purpose]()
