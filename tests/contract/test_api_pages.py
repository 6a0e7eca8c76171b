"""The API pages list every public object; each has an example, which the doctests run."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import skdeepcluster

INDEX = Path(__file__).parents[2] / ".ci" / "docs" / "index.rst"
NAMES = re.findall(r"^   ([\w.]+)$", INDEX.read_text(), re.MULTILINE)
PLACES = [f"skdeepcluster.{name}".rpartition(".") for name in NAMES]
LISTED = {
    f"{module}.{name}": getattr(importlib.import_module(module), name)
    for module, _, name in PLACES
}


@pytest.mark.parametrize("name", LISTED)
def test_a_page_has_an_example_and_links_that_exist(name):
    text = LISTED[name].__doc__
    assert re.search(r"\n    Examples\n    -+\n(.*\n)*    >>> ", text)
    section = re.search(r"    See Also\n    -+\n(.*?)\n\s*\n", text, re.DOTALL)
    links = re.findall(r"^    ([\w.]+) : \w", section[1], re.MULTILINE)
    assert links
    for other in links:
        beside, owner = f"{name.rpartition('.')[0]}.{other}", other.rpartition(".")[0]
        assert {other, beside, owner} & set(LISTED) or other.startswith("sklearn."), other


def test_every_public_object_has_a_page():
    modules = [skdeepcluster]
    for part in ("metrics", "inspection", "display", "functional", "neighbors"):
        modules.append(importlib.import_module(f"skdeepcluster.{part}"))
    public = {getattr(module, name) for module in modules for name in module.__all__}
    assert public <= set(LISTED.values())


def takes_more(name, parameter):
    """Return whether the docstring allows other types than that of the default."""
    text = inspect.cleandoc(LISTED[name].__doc__)
    kind = re.search(rf"^(?:\w+, )*{parameter.name}(?:, \w+)* : (.*)", text, re.MULTILINE)[1]
    return not re.match(rf"{type(parameter.default).__name__},|\{{[^}}]*\}}, default=", kind)


@pytest.mark.parametrize("name", LISTED)
def test_parameters_of_several_types_say_so(name):
    """Type checkers infer the type of a parameter without annotation from its default."""
    found = inspect.signature(LISTED[name]).parameters.values()
    inferred = [p for p in found if p.annotation is p.empty and p.default not in (p.empty, None)]
    assert not [p.name for p in inferred if takes_more(name, p)]
