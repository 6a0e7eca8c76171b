"""The file of the criterion belongs to the formulas of the code; another file is refused."""

import re

import numpy as np
import pytest
from sklearn.datasets import load_iris

from skdeepcluster import NeighborClustering
from skdeepcluster.partition.criterion import features, learned


@pytest.fixture(autouse=True)
def fresh():
    """Load the criterion anew in each test, and after it."""
    learned.load_criterion.cache_clear()
    yield
    learned.load_criterion.cache_clear()


@pytest.fixture(params=learned.INPUTS)
def purpose(request):
    return request.param


@pytest.fixture
def load_with(purpose, tmp_path, monkeypatch):
    """Return a function that loads the criterion from a file with other names of inputs."""

    def load(names):
        with np.load(learned.FILE) as archive:
            arrays = dict(archive)
        np.savez(tmp_path / "criterion.npz", **arrays | {f"{purpose} names": np.array(names)})
        monkeypatch.setattr(learned, "FILE", tmp_path / "criterion.npz")
        return learned.load_criterion()

    return load


def test_the_file_fits_the_code_and_says_how_it_was_made():
    found = learned.load_criterion()
    for purpose, trees in found.trees.items():
        names = learned.INPUTS[purpose]
        assert len(set(names)) == len(names)
        assert trees.feature.max() < len(names)
    assert sum(found.provenance["scores"]["data sets"].values()) > 1000
    assert {"seeds", "data sets"} == set(found.provenance["one cluster"])
    assert "versions" in found.provenance


def test_two_swapped_inputs_are_refused(purpose, load_with):
    first, second, *others = learned.INPUTS[purpose]
    message = rf"inputs of '{purpose}' than the code: their order.*benchmarks\.criterion"
    with pytest.raises(RuntimeError, match=message):
        load_with([second, first, *others])


def test_inputs_that_only_the_code_or_only_the_file_has_are_named(purpose, load_with):
    *others, last = learned.INPUTS[purpose]
    message = re.escape(str(sorted(["lost", last])))
    with pytest.raises(RuntimeError, match=message):
        load_with([*others, "lost"])


CHANGED = {
    "OF_DATA": ["dimension"],
    "OF_SAMPLES": ["modularity"],
    "OF_SPACE": ["embedding davies", "points davies"],
    "OF_DENSITY": ["embedding mean saddle density", "points mean saddle density"],
    "OF_TABLE": ["confidence"],
    "OF_AGREEMENT": ["best agreement"],
}


@pytest.mark.parametrize("group", CHANGED)
def test_a_changed_formula_is_named(group, monkeypatch):
    functions = getattr(features, group).functions
    changed = CHANGED[group]
    name = changed[0].removeprefix("embedding ")
    names = next(names for names in functions if name in names)
    formula = functions[names]

    def change(*arguments):
        values = list(formula(*arguments))
        values[names.index(name)] *= 1.05
        return values

    monkeypatch.setitem(functions, names, change)
    message = rf"formulas of {re.escape(str(changed))} .*Reinstall.*benchmarks\.criterion"
    with pytest.raises(RuntimeError, match=message):
        NeighborClustering(3).fit(load_iris().data)
