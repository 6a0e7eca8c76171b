"""Public names have a page with an example, return types, and are imported when they are used."""

import importlib
import inspect
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import scipy
import torch
from mypy import api
from sklearn import config_context
from sklearn.utils.fixes import parse_version

import skdeepcluster
from skdeepcluster import NeighborClustering

ROOT = Path(__file__).parents[2]
INDEX = ROOT / "docs" / "api.rst"
USER = ROOT / "tests" / "fixtures" / "typed_user.py"
NAMES = re.findall(r"^   ([\w.]+)$", INDEX.read_text(), re.MULTILINE)
PLACES = [f"skdeepcluster.{name}".rpartition(".") for name in NAMES]
LISTED = {
    f"{module}.{name}": getattr(importlib.import_module(module), name)
    for module, _, name in PLACES
}
over_listed = pytest.mark.parametrize("name", LISTED)
#: Lines of all examples, and the pages of the guide.
EXAMPLES = "\n".join(
    [
        *(path.read_text() for path in (ROOT / "docs" / "guide").glob("*.md")),
        *("\n".join(re.findall(r"(?:>>>|\.\.\.) .*", own.__doc__)) for own in LISTED.values()),
    ]
)


@over_listed
def test_a_page_has_an_example_and_no_dead_links(name):
    assert re.search(rf"\b{name.rpartition('.')[2]}\b", EXAMPLES), "nothing shows its use"
    doc = inspect.getdoc(LISTED[name])
    section = re.search(r"^See Also\n-+\n(.*?)\n\s*\n", doc + "\n\n", re.M | re.S)
    links = re.findall(r"^([\w.]+) : \w", section[1], re.MULTILINE) if section else []
    for other in links:
        beside = f"{name.rpartition('.')[0]}.{other}"
        owner = other.rpartition(".")[0]
        assert {other, beside, owner} & set(LISTED) or other.startswith("sklearn."), other


def test_every_public_object_has_a_page():
    modules = [skdeepcluster]
    for part in ("metrics", "inspection", "display", "functional", "neighbors", "nn"):
        modules.append(importlib.import_module(f"skdeepcluster.{part}"))
    public = {getattr(module, name) for module in modules for name in module.__all__}
    assert public <= set(LISTED.values())


METHODS = [name for name in skdeepcluster.__all__ if hasattr(getattr(skdeepcluster, name), "fit")]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_page(name):
    pages = (ROOT / "docs" / "methods").glob("*.md")
    titles = [page.read_text().partition("\n")[0] for page in pages]
    assert any(name in title for title in titles), "no page in docs/methods"


def test_the_chart_and_the_readme_name_no_method_that_is_gone():
    chart = (ROOT / "docs" / "templates" / "which_method.html").read_text()
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    named = re.findall(r">(\w+(?:Clustering|Embedding|Classifier|Ensemble|EM))<", chart)
    assert named
    assert rows
    assert {*rows, *named} <= set(skdeepcluster.__all__)


# ---- types


def functions_of(thing):
    """Yield a public function, or the public methods and __init__ of a class."""
    if inspect.isfunction(thing):
        yield thing
        return
    for name, member in vars(thing).items():
        member = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if callable(member) and (name == "__init__" or not name.startswith("_")):
            yield inspect.unwrap(member)


@over_listed
def test_public_functions_have_return_types(name):
    for function in functions_of(LISTED[name]):
        assert "return" in getattr(function, "__annotations__", {"return": None}), function


@pytest.mark.full
def test_mypy_accepts_a_users_code(tmp_path, monkeypatch):
    assert (files(skdeepcluster) / "py.typed").is_file()
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    options = ["--strict", "--follow-imports=silent", "--ignore-missing-imports"]
    config = ["--config-file=", f"--cache-dir={tmp_path}"]
    text, errors, status = api.run([*options, *config, str(USER)])
    assert not status, text + errors


# ---- imports


@pytest.mark.skipif(
    parse_version(scipy.__version__) < parse_version("1.14"),
    reason="scikit-learn dispatches arrays with SciPy 1.14 or later",
)
def test_tensors_are_read_as_arrays(blobs):
    X, _ = blobs
    expected = NeighborClustering(3, random_state=0).fit(X).responsibilities_
    found = NeighborClustering(3, random_state=0)
    for is_dispatched in (False, True):
        with config_context(array_api_dispatch=is_dispatched):
            found.fit(torch.tensor(X), sample_weight=torch.ones(len(X)))
            np.testing.assert_array_equal(found.predict_proba(torch.tensor(X)), expected)


def test_names_are_listed_and_unknown_ones_refused():
    assert set(skdeepcluster.__all__) <= set(dir(skdeepcluster))
    assert all(getattr(skdeepcluster, name).__name__ == name for name in skdeepcluster.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'KMeans'"):
        skdeepcluster.KMeans  # noqa: B018
