"""Data for the benchmarks, as a Bunch of X, y, image_shape, n_clusters, name, target_names.

The sets, and where their files are looked for, are described in benchmarks/README.md.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from scipy.sparse import csr_array
from sklearn.datasets import fetch_openml, load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch, _safe_indexing

BUNDLED = {"iris": load_iris, "wine": load_wine, "breast_cancer": load_breast_cancer}
TABLES = ("statlog", "yeast", "d31")
OPENML = {"mnist": "mnist_784", "fashion_mnist": "Fashion-MNIST"}
NAMES = (
    "digits",
    *BUNDLED,
    *OPENML,
    "usps",
    "reuters8",
    "stackoverflow",
    "searchsnippets",
    *TABLES,
)
IMAGE_SHAPE = (28, 28)
LABEL_COLUMNS = ("label", "labels", "y", "target", "class")
#: Arrays that are read from a file; others, such as names of features, may be of any type.
ENTRIES = ("X", "data", "indices", "indptr", "shape", "y", "target_names")
DEFAULT_N_CLUSTERS = 8  # as KMeans, for data without classes
#: Shares of the classes in an unbalanced sample.
SHARES = (0.02, 0.03, 0.04, 0.05, 0.07, 0.09, 0.12, 0.15, 0.18, 0.25)


def load(name, n_samples=None, download=False):
    """Load a data set by one of `NAMES` or from a file, or a random subsample of it.

    Images of uint8 become float32 in [0, 1]; other numbers float32 (float64 stays). Arrays with
    more than two axes are flattened and keep their shape as ``image_shape``. In a CSV file the
    labels are the column called label, labels, y, target or class, else the last column if it
    holds text; a table with other text or gaps stays a DataFrame. `download` fetches mnist or
    fashion_mnist from openml.org if the file is missing.
    """
    name, path = str(name), Path(name)
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        data = _bunch(X / 16, y, image_shape=(8, 8))
    elif name in BUNDLED:
        table = BUNDLED[name]()
        X = table.data if name == "iris" else StandardScaler().fit_transform(table.data)
        data = _bunch(X, table.target, None, table.target_names, list(table.feature_names))
    elif name in NAMES:
        data = _read_named(name, download)
    elif path.suffix in (".npz", ".csv"):
        data = _read_npz(path) if path.suffix == ".npz" else _read_csv(path)
    else:
        raise ValueError(
            f"Unknown data {name!r}: expected {', '.join(NAMES)}, or a .npz or .csv file."
        )
    data.name = name if name in NAMES else path.name
    if n_samples is None:
        return data
    n_all = data.X.shape[0]
    if not 1 <= n_samples <= n_all:
        raise ValueError(f"n_samples={n_samples}: expected 1 to {n_all} samples of {name}.")
    return _take(data, np.random.RandomState(0).permutation(n_all)[:n_samples])


def draw_unbalanced(data, n_samples, seed):
    """Draw a subsample in which the classes, in their order, have the shares `SHARES`."""
    _, index = np.unique(data.y, return_inverse=True)
    sizes = np.diff(np.rint(np.cumsum((0, *SHARES)) * n_samples).astype(int))
    order = np.random.RandomState(seed).permutation(len(index))
    chosen = [order[index[order] == k][:size] for k, size in enumerate(sizes)]
    return _take(data, order[np.isin(order, np.concatenate(chosen))])


def draw_labels(y, per_class, seed):
    """Return the labels of `per_class` random samples of each class, -1 for the others."""
    rng, some = np.random.RandomState(seed), np.full(len(y), -1)
    for k in np.unique(y):
        some[rng.choice(np.flatnonzero(y == k), per_class, replace=False)] = k
    return some


def _take(data, rows):
    y = None if data.y is None else data.y[rows]
    return Bunch(**data | {"X": _safe_indexing(data.X, rows), "y": y})


def _read_named(name, download):
    stem = "tables" if name in TABLES else name
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    path = Path(os.environ.get("SKDEEPCLUSTER_DATA") or default) / f"{stem}.npz"
    if path.is_file():
        return _read_npz(path, f"{name}_" if name in TABLES else "")
    if name in OPENML and download:
        X, y = fetch_openml(OPENML[name], version=1, as_frame=False, return_X_y=True)
        return _bunch(np.asarray(X, dtype=np.float32) / 255, y.astype(int), IMAGE_SHAPE)
    hint = " Or add --download, which fetches it from openml.org." if name in OPENML else ""
    raise FileNotFoundError(
        f"{name}: no file {path}. Set the environment variable SKDEEPCLUSTER_DATA to the folder "
        f"that holds {path.name}.{hint}"
    )


def _read_npz(path, prefix=""):
    with np.load(path, allow_pickle=False) as file:
        known = {name: f"{prefix}{name}" for name in ENTRIES}
        found = {name: file[key] for name, key in known.items() if key in file}
    if "X" in found:
        X = found["X"]
    elif {"data", "indices", "indptr", "shape"} <= set(found):
        X = csr_array((found["data"], found["indices"], found["indptr"]), shape=found["shape"])
    else:
        raise ValueError(
            f"{path} has no samples: X, or data, indices, indptr and shape of a CSR "
            "matrix, are expected."
        )
    shape = X.shape[1:] if X.ndim > 2 else IMAGE_SHAPE if path.stem in OPENML else None
    X = X.reshape(len(X), -1) if X.ndim > 2 else X
    if X.dtype == np.uint8:
        X = X.astype(np.float32) / 255
    elif X.dtype != np.float64:
        X = X.astype(np.float32)
    return _bunch(X, found.get("y"), shape, found.get("target_names"))


def _read_csv(path):
    table = pd.read_csv(path)
    if pd.to_numeric(table.columns, errors="coerce").notna().all():
        table = pd.read_csv(path, header=None)
    named = [column for column in table if str(column).strip().lower() in LABEL_COLUMNS]
    if not named and not is_numeric_dtype(table.iloc[:, -1]):
        named = [table.columns[-1]]
    y = table.pop(named[0]).to_numpy() if named else None
    names = None if table.columns.dtype.kind == "i" else table.columns.tolist()
    is_plain = all(map(is_numeric_dtype, table.dtypes)) and not table.isna().any(axis=None)
    X = table.to_numpy(dtype=np.float64) if is_plain else table
    return _bunch(X, y, feature_names=names)


def _bunch(X, y, image_shape=None, target_names=None, feature_names=None):
    n_clusters = DEFAULT_N_CLUSTERS if y is None else len(np.unique(y))
    names = {"target_names": target_names, "feature_names": feature_names}
    return Bunch(X=X, y=y, image_shape=image_shape, n_clusters=n_clusters, **names)
