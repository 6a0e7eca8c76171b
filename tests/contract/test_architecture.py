"""The house stays in order: imports point down, functions are short, copies are one text."""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import skdeepcluster

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "skdeepcluster"
FILES = sorted(PACKAGE.rglob("*.py"))

#: What each layer may import, besides the standard library.
ALLOWED = {
    "functional": {"torch", "functional"},
    "modules": {"torch", "functional", "modules"},
    "engine": {
        *("torch", "numpy", "scipy", "skorch", "tqdm", "dask"),
        *("functional", "modules", "engine"),
    },
    "metrics": {"numpy", "scipy", "sklearn"},
    "display": {"numpy", "scipy", "sklearn", "matplotlib", "metrics", "display"},
}


def imports(path):
    """Top-level packages a file imports; those of this package by the layer they come from."""
    layer = path.relative_to(PACKAGE).parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if not node.level:
                yield node.module.split(".")[0]
                continue
            base = layer[: len(layer) - node.level]
            tail = node.module.split(".") if node.module else [a.name for a in node.names]
            yield (*base, *tail)[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    layer = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if layer not in ALLOWED:
        assert "skorch" not in imports(path), "skorch is the engine's business"
        return
    stray = set(imports(path)) - set(sys.stdlib_module_names) - ALLOWED[layer]
    assert not stray, f"{layer} must not import {stray}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_hold_one_thing(path):
    tree = ast.parse(path.read_text())
    assert len(path.read_text().splitlines()) <= 400
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name != "__init__":
            body = node.end_lineno - node.body[0].lineno + 1
            doc = ast.get_docstring(node, clean=False)
            lines = body - (len(doc.splitlines()) if doc else 0)
            assert lines <= 40, f"{node.name} has {lines} lines"


def public_objects():
    modules = [skdeepcluster] + [
        importlib.import_module(f"skdeepcluster.{m.name}")
        for m in pkgutil.iter_modules([str(PACKAGE)])
        if not m.name.startswith("_")
    ]
    for module in modules:
        for name, thing in vars(module).items():
            public = not name.startswith("_") and inspect.getmodule(thing) is module
            if public and (inspect.isclass(thing) or inspect.isfunction(thing)):
                yield pytest.param(thing, id=f"{module.__name__}.{name}")


@pytest.mark.parametrize("thing", list(public_objects()))
def test_public_names_are_documented(thing):
    assert inspect.getdoc(thing)
    if inspect.isclass(thing):
        for name, member in vars(thing).items():
            if inspect.isfunction(member) and not name.startswith("_"):
                assert inspect.getdoc(member), f"{thing.__name__}.{name} has no docstring"


def parameters_of(thing):
    """Name -> description of the parameters and attributes in a docstring."""
    entries = re.findall(r"^(\w+) : (.*(?:\n    .*)*)", inspect.getdoc(thing), re.MULTILINE)
    return dict(entries)


@pytest.mark.parametrize(
    "name",
    ["n_components", "hidden_layer_sizes", "activation", "likelihood", "decoder", "precision"]
    + ["compile", "device", "accept_sparse", "random_state", "n_init"]
    + ["n_features_in_", "feature_names_in_"],
)
def test_what_estimators_share_they_describe_alike(name):
    """The text is repeated for readers; this keeps the copies one text."""
    deep = skdeepcluster.VAEEmbedding, skdeepcluster.VaDEClustering, skdeepcluster.DACClustering
    assert len({parameters_of(estimator)[name] for estimator in deep}) == 1


@pytest.mark.parametrize(
    "name",
    ["init", "start_weight", "smoothness_weight", "masking"]
    + ["pretraining_epochs", "pretraining_learning_rate"],
)
def test_what_pretrained_estimators_share_they_describe_alike(name):
    pretrained = skdeepcluster.VaDEClustering, skdeepcluster.DACClustering
    assert len({parameters_of(estimator)[name] for estimator in pretrained}) == 1


@pytest.mark.parametrize(
    "name",
    ["precision", "compile", "device", "accept_sparse", "random_state", "n_init", "verbose"]
    + ["mixture_n_init", "callbacks", "n_features_in_"],
)
def test_infogan_describes_alike_what_it_shares_with_dac(name):
    pair = skdeepcluster.InfoGANClustering, skdeepcluster.DACClustering
    assert len({parameters_of(estimator)[name] for estimator in pair}) == 1


def test_methods_without_codes_describe_their_pretraining_alike():
    estimators = (
        skdeepcluster.InfoGANClustering,
        skdeepcluster.CatGANClustering,
        skdeepcluster.CatGANClassifier,
    )
    for name in ("pretraining_epochs", "pretraining_learning_rate"):
        assert len({parameters_of(estimator)[name] for estimator in estimators}) == 1


@pytest.mark.parametrize("name", skdeepcluster.__all__)
def test_everything_promised_is_there(name):
    assert getattr(skdeepcluster, name)
