"""The order of the package: imports without circles, short functions, complete docstrings."""

import ast
import graphlib
import importlib
import inspect
import pkgutil
import re
import sys
import warnings
from collections import Counter, defaultdict
from itertools import chain
from pathlib import Path

import pandas as pd
import pytest
from common import CLASSIFIERS, ONE_OF_EACH, brief, name
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

import skdeepcluster
from skdeepcluster import ClusterEnsemble
from skdeepcluster.utils.documentation import shared_docs

PACKAGE = Path(skdeepcluster.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

#: Folders and methods in the order of a fit, those that may not know each other in one line. A
#: part imports what is below it; the tools in the root are above all methods.
LEVELS = [
    {"utils"},
    {"input", "functional"},
    {"nn"},
    {"training"},
    {"mixture", "neighbors"},
    {"partition"},
    {"neighbor_clustering", "gaussian_mixture", "ensemble"},
    {"deep"},
    {"vae", "vade", "dac", "infogan", "catgan"},
    {"classifier"},
]
#: Tools that others use.
SHARED_TOOLS = {
    ("inspection", "display"),
    ("model_selection", "metrics"),
    ("comparison", "display"),
    ("comparison", "metrics"),
    ("comparison", "inspection"),
}
#: All other packages that some parts may import.
OTHERS = {
    "utils": {"numpy", "sklearn", "tqdm"},
    "input": {"numpy", "scipy", "sklearn", "narwhals", "threadpoolctl", "dask"},
    "functional": {"torch"},
    "nn": {"torch", "numpy", "scipy", "joblib"},
    "training": {"torch", "numpy", "joblib", "skorch", "dask"},
    "neighbors": {"numpy", "scipy", "sklearn", "threadpoolctl", "torch"},
    "partition": {"numpy", "scipy", "sklearn", "joblib"},
    "metrics": {"numpy", "scipy", "sklearn", "joblib"},
    "display": {"numpy", "scipy", "sklearn", "matplotlib"},
}
#: The training loop is skorch's, and no other part knows it.
TRAINING_ONLY = {"skorch"}


def part_of(path):
    """Return the file or folder right below the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Return the other packages that a file imports, and the parts of this one."""
    place = path.relative_to(PACKAGE).parts
    others = set()
    parts = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            others |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            others.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = place[: len(place) - node.level]
            tails = [node.module] if node.module else [alias.name for alias in node.names]
            parts |= {(*base, *tail.split("."))[0] for tail in tails}
    assert "skdeepcluster" not in others, "imports within the package are relative"
    return others - set(sys.stdlib_module_names), parts - {part_of(path)}


def may_import(part, other):
    """Return whether a part of the package is above another."""
    level = {name: i for i, names in enumerate(LEVELS) for name in names}
    if other in level:
        return part not in level or level[other] < level[part]
    return other == "__init__" or (part, other) in SHARED_TOOLS


def test_imports_point_down_and_make_no_circle():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    parts = set().union(*LEVELS)
    assert folders == {"display", "inspection"} | {
        part for part in parts if (PACKAGE / part).is_dir()
    }

    graph = defaultdict(set)
    for path in FILES:
        part = part_of(path)
        (others, parts) = imports(path)
        stray = {other for other in parts if not may_import(part, other)}
        stray |= others - OTHERS[part] if part in OTHERS else others & TRAINING_ONLY
        if part != "__init__":
            assert not stray, f"{path} must not import {stray}"
            graph[part] |= parts
    tuple(graphlib.TopologicalSorter(graph).static_order())  # CycleError names a circle


def is_text(node):
    """Return whether a statement is a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_files_and_functions_are_short():
    for path in FILES:
        nodes = list(ast.walk(ast.parse(path.read_text())))
        n_statements = sum(isinstance(node, ast.stmt) and not is_text(node) for node in nodes)
        assert n_statements <= 400, f"{path} has {n_statements} statements"
        for node in nodes:
            if isinstance(node, ast.FunctionDef) and node.name != "__init__":
                doc = ast.get_docstring(node, clean=False)
                n_lines = node.end_lineno - node.body[0].lineno + 1
                n_lines -= len(doc.splitlines()) if doc else 0
                assert n_lines <= 40, f"{path.name}: {node.name} has {n_lines} lines"


def list_classes():
    """Return the classes of the package."""
    modules = pkgutil.walk_packages(skdeepcluster.__path__, "skdeepcluster.")
    found = [importlib.import_module(module.name) for module in modules]
    things = [(module, thing) for module in found for thing in vars(module).values()]
    return {
        thing
        for module, thing in things
        if inspect.isclass(thing) and thing.__module__ == module.__name__
    }


CLASSES = list_classes()


@pytest.mark.parametrize("own", sorted(CLASSES, key=str), ids=lambda own: own.__qualname__)
def test_a_class_is_abstract_or_final(own):
    """It is subclassed or instantiated, never both, and nothing concrete is overridden."""
    bases = [base for base in own.__mro__[1:] if base in CLASSES]
    assert len(bases) <= 3, bases
    for base in own.__bases__:
        assert base not in CLASSES or inspect.isabstract(base) or base.__name__.endswith("Mixin")
    for key in vars(own):
        above = [vars(base)[key] for base in bases if key in vars(base)]
        above = [getattr(member, "fget", member) for member in above]
        concrete = [f for f in above if callable(f) and not is_abstract(f)]
        assert not concrete or key.startswith("__"), f"{key} is overridden"


def is_abstract(function):
    """Return whether a method is abstract."""
    return getattr(function, "__isabstractmethod__", False)


def test_no_fit_filters_warnings():
    # Filters are global, and what threads restore is not what there was.
    changing = "catch_warnings", "filterwarnings", "simplefilter"
    found = {path.name for path in FILES if any(name in path.read_text() for name in changing)}
    assert not found


# ---- docstrings of estimators

PROMISED = [getattr(skdeepcluster, name) for name in skdeepcluster.__all__]
ESTIMATORS = [thing for thing in PROMISED if inspect.isclass(thing)]
NETWORKS = [thing for thing in ESTIMATORS if "max_epochs" in inspect.signature(thing).parameters]
#: Names, type and text of an entry of numpydoc.
ENTRY = re.compile(r"^([\w, ]+) : (.+)((?:\n+    .*)+)", re.MULTILINE)
#: Attributes of fits that choose the number of clusters or the augmentation.
SOMETIMES = {"n_clusters_curve_", "augment_scores_"}


def entries(doc):
    """Return the entries of a docstring: names, type and text."""
    return [(found[1].split(", "), found[2], found[3].strip()) for found in ENTRY.finditer(doc)]


def section(estimator, title):
    """Return the entries of a section of the docstring that users see."""
    doc = inspect.getdoc(estimator)
    parts = re.split(r"\n\n([A-Z][\w ]+)\n-+\n", doc)
    assert parts.count(title) == 1, f"one section {title}"
    body = parts[parts.index(title) + 1]
    assert ENTRY.sub("", body).split() == []  # without type or text
    return entries(body)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_parameter_is_checked(estimator):
    """A parameter without constraints takes any value in silence."""
    names = set(inspect.signature(estimator).parameters)
    assert names - set(estimator._parameter_constraints) == set()


@pytest.mark.parametrize("estimator", NETWORKS)
def test_infrastructure_is_last(estimator):
    names, last = (list(inspect.signature(kind).parameters) for kind in (estimator, NETWORKS[0]))
    assert names[-6:] == last[-6:]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_parameters_are_described_in_order_with_their_defaults(estimator):
    parameters = inspect.signature(estimator).parameters
    described = section(estimator, "Parameters")
    assert [name for names, _, _ in described for name in names] == list(parameters)
    for names, kind, _ in described:
        _, default = kind.split(", default=")  # once: the class does not write it
        assert all(parameters[name].default == ast.literal_eval(default) for name in names)


@pytest.mark.parametrize(
    "estimator", [*ONE_OF_EACH, *CLASSIFIERS, ClusterEnsemble(KMeans(3), 2)], ids=name
)
def test_fitted_attributes_are_described_and_no_others(estimator):
    X, y = make_blobs(60, n_features=3, random_state=0)
    with warnings.catch_warnings(action="ignore"):
        fitted = brief(estimator).fit(pd.DataFrame(X, columns=["a", "b", "c"]), y)
    public = [key for key in dir(fitted) if key.endswith("_") and key[0] != "_"]
    found = {key for key in public if hasattr(fitted, key)}
    described = [key for keys, _, _ in section(type(fitted), "Attributes") for key in keys]
    assert len(described) == len(set(described))
    assert found - set(described) == set()
    assert set(described) - found - SOMETIMES == set()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_references_are_listed(estimator):
    doc = inspect.getdoc(estimator)
    assert set(re.findall(r"\[(\d)\]_", doc)) == set(re.findall(r"^\.\. \[(\d)\]", doc, re.M))


#: Files of texts that estimators share.
SHARED = [PACKAGE / "utils" / "documentation.py", PACKAGE / "deep" / "parameters.py"]


def written(path):
    """Return name -> entries in the source, of the module, "", and of its classes."""
    tree = ast.parse(path.read_text())
    nodes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    texts = {"": tree} | {node.name: node for node in nodes}
    return {name: entries(ast.get_docstring(node) or "") for name, node in texts.items()}


def shown(estimators):
    """Return the names and texts that users see."""
    sections = [
        section(thing, part) for thing in estimators for part in ("Parameters", "Attributes")
    ]
    return [(names, text) for names, _, text in chain(*sections)]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_what_a_class_says_itself_is_shown(estimator):
    own = written(Path(inspect.getsourcefile(estimator)))[estimator.__name__]
    seen = shown([estimator])
    assert own
    assert [names for names, _, text in own if (names, text) not in seen] == []


def test_shared_texts_are_needed_and_written_once():
    """Classes say what they say differently; the rest comes from one place."""
    seen = shown(ESTIMATORS)
    shared = [entry for path in SHARED for entry in written(path)[""]]
    assert [names for names, _, text in shared if (names, text) not in seen] == []

    files = {Path(inspect.getsourcefile(estimator)) for estimator in ESTIMATORS}
    own = [entry for path in files for entry in chain(*written(path).values())]
    texts = Counter((*names, text) for names, _, text in shared + own if "\n" in text)
    assert max(texts.values()) == 1, texts.most_common(1)


def test_python_may_leave_docstrings_out():
    assert not shared_docs(type("Estimator", (), {})).__doc__  # python -OO
