"""Files changed at random and signed again are refused, or hold estimators that work.

Nothing is run, and time and memory are bounded.
"""

import json
import resource
import sys
import warnings
from contextlib import suppress
from copy import deepcopy
from time import perf_counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PowerTransformer, StandardScaler

from skdeepcluster import (
    CatGANClassifier,
    ClusterEnsemble,
    DACClustering,
    GaussianMixtureEM,
    InfoGANClustering,
    NeighborClustering,
    VaDEClustering,
    VAEEmbedding,
)
from skdeepcluster._files import hash_content, read_arrays, write_arrays
from skdeepcluster.persistence import CLASSES, KIND, load, save

X = np.random.RandomState(0).normal(size=(40, 3)) + np.repeat([0.0, 6.0], 20)[:, None]
MIXED = X.copy()
MIXED[:, 0] = np.arange(40) % 3
Y = np.repeat([0, 1], 20)
SMALL = {"hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}
STARTED = SMALL | {"init": "mixture", "n_components": 2, "pretraining_epochs": 1, "noise": 0.1}
ENCODED = ColumnTransformer(
    [("a", OneHotEncoder(), [0]), ("b", make_pipeline(SimpleImputer(), PowerTransformer()), [1])],
    remainder="passthrough",
)
ORIGINALS = [
    GaussianMixtureEM(2, random_state=np.random.RandomState(0)),
    NeighborClustering(2, n_neighbors=5, noise=0.1, random_state=0),
    VAEEmbedding(2, init="mixture", n_components=2, **SMALL),
    VaDEClustering(2, **STARTED),
    DACClustering(2, **STARTED),
    InfoGANClustering(2, other_categories=(2,), **STARTED),
    CatGANClassifier(class_prior="estimated", **SMALL),
    ClusterEnsemble([GaussianMixtureEM(2), KMeans(2)], 2, random_state=0),
    make_pipeline(StandardScaler(), PCA(2), GaussianMixtureEM(2)),
    make_pipeline(ENCODED, KMeans(2)),
]
#: What may replace a value of the header.
VALUES = [
    *(None, True, False, -1, 0, 1, 2, 10**4, 10**9, 2**63, 10**30, -(10**9), 0.5, -0.5, 1e300),
    *(float("nan"), float("inf"), -float("inf"), "", "x", "auto", "os.system", "precomputed"),
    *("cuda:7", "__class__", "predict", "<U9999999999", "|O", "|S2000000000", "csr_array"),
    *([], {}, [[]], [0], ["a"], [1, "a", None], {"a": 1}, [10**9, 10**9], [[1.0, 2.0]]),
    *({KIND: "function", "name": "eval"}, {KIND: "pickle"}, {KIND: "dtype", "name": "float64"}),
    *({KIND: "slice", "items": [0, 1, 0]}, {KIND: "tuple", "items": []}, {KIND: "bunch"}),
    *({KIND: "items", "items": ["a"], "dtype": "|O"}, {KIND: "dict", "items": [[[], 1]]}),
    *({KIND: "estimator", "class": name, "state": {}} for name in CLASSES),
]
#: What may replace elements of an array.
NUMBERS = [0, 1, -1, 2**31 - 1, -(2**31), 1e-300, 1e4, 1e38, 1e300, np.nan, np.inf, -np.inf]
DTYPES = ["?", "i1", "u8", "i4", "i8", "f2", "f4", "f8"]
#: Events of Python's audit that tell of something that is run, written or sent.
RUNS = ("os.", "subprocess.", "pickle.", "socket.", "exec", "compile", "import", "ctypes.")

heard = []
listening = False


def listen(event, args):
    if listening and (event.startswith(RUNS) or (event == "open" and args[1] not in ("r", "rb"))):
        heard.append((event, args))


sys.addaudithook(listen)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """JSON, arrays and metadata of a file of each estimator; all have been read once."""
    path, contents = tmp_path_factory.mktemp("files") / "fit.safetensors", []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for estimator in ORIGINALS:
            save(estimator.fit(MIXED, Y), path)
            repr(estimator)  # in messages; imports what prints it
            load(path)  # imports what reads it
            check(path)
            contents.append(read_arrays(path))
    return path, contents


def check(path):
    """Load a file and use what is read; return whether it is one of an estimator."""
    global listening
    start, listening, refusal = perf_counter(), True, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimator = load(path)
        except ValueError as error:
            refusal = str(error)
        finally:
            listening = False
            seconds = perf_counter() - start
    assert seconds < 2
    assert not heard
    if refusal is not None:
        assert refusal.startswith(f"{path} cannot be read: ")
        return False
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for name in ("predict_proba", "predict", "transform"):
            if hasattr(estimator, name):
                with suppress(ValueError):
                    answer = getattr(estimator, name)(MIXED + 0.0)
                    assert name == "transform" or np.isfinite(answer.astype(float)).all()
    return True


def places(tree, path=()):
    """List the paths of all values beneath a tree of JSON."""
    if not isinstance(tree, (dict, list)):
        return []
    items = list(tree.items() if isinstance(tree, dict) else enumerate(tree))
    return [p for key, item in items for p in [(*path, key), *places(item, (*path, key))]]


def follow(tree, path):
    for key in path:
        tree = tree[key]
    return tree


def tamper_header(content, draw):
    """Replace, copy, remove, rename or add a value."""
    paths = places(content)
    *path, key = draw(st.sampled_from(paths))
    inside = follow(content, path)
    match draw(st.sampled_from(["replace", "replace", "copy", "remove", "rename", "add"])):
        case "replace":
            inside[key] = deepcopy(draw(st.sampled_from(VALUES)))
        case "copy":
            inside[key] = deepcopy(follow(content, draw(st.sampled_from(paths))))
        case "remove":
            del inside[key]
        case "rename" if isinstance(inside, dict):
            inside[str(draw(st.sampled_from(VALUES[19:30] + ["fit", "a_"])))] = inside.pop(key)
        case _ if isinstance(inside, dict):
            name = draw(st.sampled_from(["predict", "a_", "_a", "__class__", "labels_", KIND]))
            inside[name] = deepcopy(draw(st.sampled_from(VALUES)))


def tamper_arrays(arrays, draw):
    """Change elements, shape or dtype of an array, remove it or add one."""
    name = draw(st.sampled_from(sorted(arrays)))
    array = arrays[name].copy()
    match draw(st.sampled_from(["all", "one", "one", "cast", "cut", "turn", "remove", "add"])):
        case "all":
            array[...] = cast(draw(st.sampled_from(NUMBERS)), array.dtype)
        case "one" if array.size:
            place = draw(st.integers(0, array.size - 1))
            array.reshape(-1)[place] = cast(draw(st.sampled_from(NUMBERS)), array.dtype)
        case "cast":
            array = cast(array, draw(st.sampled_from(DTYPES)))
        case "cut":
            array = array.reshape(-1)[: draw(st.integers(0, 3))]
        case "turn":
            array = np.ascontiguousarray(array.T)
        case "remove":
            del arrays[name]
            return
        case "add":
            name += ".more"
    arrays[name] = array


def cast(value, dtype):
    with np.errstate(all="ignore"):
        return np.asarray(value).astype(dtype)


def tamper(original, draw, path):
    """Write a copy of a file after one to three changes, with a new checksum."""
    arrays, metadata = dict(original[0]), dict(original[1])
    content = json.loads(metadata["estimator"])
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()) and arrays:
            tamper_arrays(arrays, draw)
        elif places(content):
            tamper_header(content, draw)
    text = json.dumps(content)
    metadata |= {"estimator": text, "sha256": hash_content(text, arrays)}
    write_arrays(path, arrays, metadata)


COUNTS = {"files": 0, "read": 0, "seconds": 0.0}


def try_file(originals, data):
    path, contents = originals
    tamper(contents[data.draw(st.integers(0, len(contents) - 1))], data.draw, path)
    start = perf_counter()
    COUNTS["read"] += check(path)
    COUNTS["files"] += 1
    COUNTS["seconds"] = max(COUNTS["seconds"], perf_counter() - start)


OPTIONS = {
    "deadline": None,
    "database": None,
    "derandomize": True,
    "suppress_health_check": list(HealthCheck),
}


@settings(max_examples=100, **OPTIONS)
@given(data=st.data())
def test_a_hundred_files(originals, data):
    try_file(originals, data)


@pytest.mark.full
def test_two_thousand_files(originals):
    @settings(max_examples=2000, **OPTIONS)
    @given(data=st.data())
    def try_files(data):
        try_file(originals, data)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    COUNTS.update(files=0, read=0, seconds=0.0)
    try_files()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(COUNTS, f"{grown:.0f} MiB")
    assert COUNTS["files"] >= 1000
    assert grown < 200
