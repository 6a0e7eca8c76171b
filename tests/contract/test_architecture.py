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
PROMISED = skdeepcluster.__all__
FILES = sorted(PACKAGE.rglob("*.py"))

#: Files and folders of the package from the ground up: each imports from its own layer or from
#: those above it in this list, never from one below.
LAYERS = [
    {"functional", "_fitting", "_typing"},
    {"modules"},
    {"engine"},
    {"_outliers", "_responsibilities", "_validation"},
    {"mixture"},
    {"neighbors"},
    {"stability"},
    {"neighbor_clustering"},
    {"_initialization", "_disentanglement", "_budget", "_likelihood_choice"},
    {"_checkpoint"},
    {"_base"},
    {"_adversarial", "_prior"},
    {"gaussian_mixture", "vae", "vade", "dac", "catgan", "infogan"},
    {"ensemble", "model_selection"},
    {"__init__"},
    {"persistence", "export", "parallel", "presets", "inspection"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
#: A public file that is not named is a paper's: a new method needs no line here.
LEVEL |= {
    path.stem: LEVEL["vade"]
    for path in PACKAGE.glob("[a-z]*.py")
    if path.stem not in {*LEVEL, "metrics"}
}
#: What stands aside, and all of this package that it may import.
ASIDE = {"metrics": set(), "display": {"metrics", "neighbors"}}
#: What draws, but only when pictures are asked for.
ILLUSTRATED = {"inspection"}
#: Packages of others that a layer may import, where not everything will do.
OTHERS = {
    "functional": {"torch"},
    "modules": {"torch"},
    "engine": {"torch", "numpy", "scipy", "joblib", "skorch", "tqdm", "dask"},
    "metrics": {"numpy", "scipy", "sklearn"},
    "display": {"numpy", "scipy", "sklearn", "matplotlib"},
}
#: The loop is skorch's, and the engine alone knows it.
ENGINE_ONLY = {"skorch"}


def layer_of(path):
    """The file or folder right beneath the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Packages of others that a file imports, and layers of this package."""
    place = path.relative_to(PACKAGE).parts
    others, layers = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            others |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            others.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = place[: len(place) - node.level]
            tails = [node.module] if node.module else [alias.name for alias in node.names]
            layers |= {(*base, *tail.split("."))[0] for tail in tails}
    assert "skdeepcluster" not in others, "imports within the package are relative"
    return others - set(sys.stdlib_module_names), layers


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    layer = layer_of(path)
    others, layers = imports(path)
    layers -= {layer}
    if layer in ASIDE:
        assert layers <= ASIDE[layer]
    else:
        assert layer in LEVEL, f"{layer} needs a place in LAYERS"
        unknown = layers - set(LEVEL) - set(ASIDE)
        assert not unknown, f"no layer is given for {unknown}"
        above = {other for other in layers & set(LEVEL) if LEVEL[other] > LEVEL[layer]}
        assert not above, f"{layer} must not import {above}"
        assert not layers & {"display"} or layer in ILLUSTRATED, "nothing draws unasked"
    stray = others - OTHERS[layer] if layer in OTHERS else others & ENGINE_ONLY
    assert not stray, f"{layer} must not import {stray}"


def test_the_rule_on_imports_finds_what_breaks_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "modules").mkdir()
    for name, text, message in [
        ("modules/a.py", "from ..vae import VAE", "modules must not import {'vae'}"),
        ("modules/a.py", "from .. import vae", "modules must not import {'vae'}"),
        ("modules/a.py", "import numpy as np", "modules must not import {'numpy'}"),
        ("modules/a.py", "from skdeepcluster import VAE", "relative"),
        ("vae.py", "from .persistence import save", "vae must not import {'persistence'}"),
        ("vae.py", "from skorch import NeuralNet", "vae must not import {'skorch'}"),
        ("vae.py", "from ._attic import old", "no layer is given for {'_attic'}"),
        ("_attic.py", "", "_attic needs a place in LAYERS"),
    ]:
        (tmp_path / name).write_text(text)
        with pytest.raises(AssertionError, match=re.escape(message)):
            test_imports_point_down(tmp_path / name)
    (tmp_path / "modules/a.py").write_text("import math\nfrom ..functional import rows")
    test_imports_point_down(tmp_path / "modules/a.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_are_short(path):
    for node in ast.walk(ast.parse(path.read_text())):
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
            own = f"{getattr(thing, '__module__', None)}.".startswith(f"{module.__name__}.")
            public = own and not name.startswith("_")
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
    text = inspect.cleandoc(re.sub(r"\\\n", "", thing.__doc__))
    entries = re.findall(r"^([\w, ]+) : (.*(?:\n    .*)*)", text, re.MULTILINE)
    return {name: text for names, text in entries for name in names.split(", ")}


#: What every estimator has in the same way, in this order, whatever its method.
INFRASTRUCTURE = [
    *("batch_size", "n_init", "augment", "precision", "callbacks", "checkpoint"),
    *("device", "warm_start", "verbose", "accept_sparse", "random_state"),
]
#: What every estimator shows of a fit in the same way.
FITTED = ["n_features_in_", "feature_names_in_"]
#: Where methods truly differ, numbers of texts: the networks have one (``batch_size`` by what
#: "auto" is, ``warm_start`` without and with a start), the mixture, the graph and the ensemble
#: their own.
DIFFERENT = {
    "batch_size": 4,
    "n_init": 2,
    "device": 2,
    "warm_start": 3,
    "verbose": 3,
    "accept_sparse": 4,
    "random_state": 3,
}
ESTIMATORS = [
    thing
    for thing in (getattr(skdeepcluster, name) for name in PROMISED)
    if inspect.isclass(thing)
]
NETWORKS = [thing for thing in ESTIMATORS if "max_epochs" in inspect.signature(thing).parameters]
PRIOR = [skdeepcluster.VaDEClustering, skdeepcluster.DACClustering]
CODES = [skdeepcluster.VAEEmbedding, *PRIOR]
ADVERSARIAL = [thing for thing in NETWORKS if thing not in CODES]


@pytest.mark.parametrize("name", INFRASTRUCTURE + FITTED)
def test_infrastructure_is_described_alike_everywhere(name):
    texts = {}
    for estimator in ESTIMATORS:
        text = parameters_of(estimator).get(name)
        taken = name.endswith("_") or name in inspect.signature(estimator).parameters
        assert (text is not None) == taken, f"{estimator.__name__} documents what it has"
        if taken:
            texts.setdefault(text, []).append(estimator.__name__)
    assert sum(map(len, texts.values())) > 1, "nobody shares it"
    listed = "\n".join(f"{', '.join(who)}:\n    {text}" for text, who in texts.items())
    assert len(texts) <= DIFFERENT.get(name, 1), f"{name} has different descriptions:\n{listed}"


@pytest.mark.parametrize("estimator", NETWORKS)
def test_infrastructure_stands_last_in_one_order(estimator):
    assert list(inspect.signature(estimator).parameters)[-len(INFRASTRUCTURE) :] == INFRASTRUCTURE
    names = list(inspect.signature(estimator).parameters)
    assert [name for name in parameters_of(estimator) if name in names] == names


@pytest.mark.parametrize(
    ("estimators", "names"),
    [
        (NETWORKS, "n_init precision callbacks device verbose accept_sparse"),
        (NETWORKS, "random_state likelihood_ batch_size_ max_epochs_ device_ precision_"),
        (NETWORKS, "standardize standardize_"),
        (CODES, "n_components hidden_layer_sizes activation likelihood decoder"),
        (PRIOR, "init masking start_labels_ batch_size max_epochs"),
        (PRIOR, "pretraining_epochs"),
        (ADVERSARIAL, "likelihood pretraining_epochs batch_size"),
        (PRIOR + ADVERSARIAL, "warm_start pretraining_epochs_ n_iter_"),
        ([*PRIOR, *ADVERSARIAL[1:]], "mixture_n_init"),
        ([*CODES, *ADVERSARIAL[1:]], "metric noise labels_ probabilities_"),
        ([*CODES, *ADVERSARIAL[1:]], "outlier_scores_ offset_"),
        (CODES, "use_labels"),
        (ADVERSARIAL[1:], "use_labels"),
    ],
)
def test_what_estimators_share_they_describe_alike(estimators, names):
    """The text is repeated for readers; this keeps the copies one text."""
    for name in names.split():
        assert len({parameters_of(estimator)[name] for estimator in estimators}) == 1, name


@pytest.mark.parametrize("name", PROMISED)
def test_everything_promised_is_there(name):
    assert getattr(skdeepcluster, name)
