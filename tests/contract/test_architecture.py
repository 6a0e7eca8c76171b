"""The order of the package: imports without circles, short functions, one text per parameter."""

import ast
import graphlib
import inspect
import re
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import skdeepcluster

PACKAGE = Path(skdeepcluster.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

#: Folders and methods in the order of a fit, those that may not know each other in one line. A
#: part imports what is below it; the tools in the root are above all methods.
LEVELS = [
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
    ("comparison", "metrics"),
    ("comparison", "inspection"),
}
#: All other packages that some parts may import.
OTHERS = {
    "input": {"numpy", "scipy", "sklearn", "threadpoolctl", "dask", "tqdm"},
    "functional": {"torch"},
    "nn": {"torch", "numpy", "scipy", "joblib"},
    "training": {"torch", "numpy", "joblib", "skorch", "dask"},
    "neighbors": {"numpy", "scipy", "sklearn", "joblib", "torch"},
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


def test_no_fit_filters_warnings():
    # Filters are global, and what threads restore is not what there was.
    changing = "catch_warnings", "filterwarnings", "simplefilter"
    found = {path.name for path in FILES if any(name in path.read_text() for name in changing)}
    assert found == {"export.py"}


# ---- docstrings of estimators

PROMISED = [getattr(skdeepcluster, name) for name in skdeepcluster.__all__]
ESTIMATORS = [thing for thing in PROMISED if inspect.isclass(thing)]
NETWORKS = [thing for thing in ESTIMATORS if "max_epochs" in inspect.signature(thing).parameters]
PRIOR = [thing for thing in NETWORKS if thing.__name__ in ("VaDEClustering", "DACClustering")]
ADVERSARIAL = [thing for thing in NETWORKS if "GAN" in thing.__name__]
CODES = [thing for thing in NETWORKS if thing not in ADVERSARIAL]
CLUSTERERS = [*CODES, *ADVERSARIAL[1:]]


def described(thing):
    """Return name -> description of the parameters and attributes in a docstring."""
    text = inspect.cleandoc(re.sub(r"\\\n", "", thing.__doc__))
    entries = re.findall(r"^([\w, ]+)(?: : (.*))?((?:\n    .*)+)", text, re.MULTILINE)
    return {name: (kind, text) for names, kind, text in entries for name in names.split(", ")}


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_parameter_is_checked(estimator):
    """A parameter without constraints takes any value in silence."""
    names = set(inspect.signature(estimator).parameters)
    assert names - set(estimator._parameter_constraints) == set()


@pytest.mark.parametrize("estimator", NETWORKS)
def test_parameters_are_described_in_order_infrastructure_last(estimator):
    names, last = (list(inspect.signature(kind).parameters) for kind in (estimator, NETWORKS[0]))
    assert [name for name in described(estimator) if name in names] == names
    assert names[-7:] == last[-7:]


@pytest.mark.parametrize(
    ("estimators", "names"),
    [
        (ESTIMATORS, "n_features_in_ feature_names_in_"),
        (NETWORKS, "n_init augment precision callbacks checkpoint device verbose"),
        (NETWORKS, "random_state likelihood_ batch_size_ max_epochs_ device_ precision_"),
        (NETWORKS, "standardize standardize_"),
        (CODES, "n_components hidden_layer_sizes activation likelihood decoder use_labels"),
        (PRIOR, "init init_labels_ batch_size max_epochs pretraining_epochs"),
        (ADVERSARIAL, "likelihood pretraining_epochs batch_size"),
        (PRIOR + ADVERSARIAL, "pretraining_epochs_ n_iter_"),
        (CLUSTERERS, "contamination labels_ probabilities_ outlier_scores_ offset_"),
        (ADVERSARIAL[1:], "use_labels"),
    ],
)
def test_what_estimators_share_is_one_text(estimators, names):
    """Readers find the text repeated; it stays one text."""
    for name in names.split():
        assert len({described(estimator)[name] for estimator in estimators}) == 1, name
