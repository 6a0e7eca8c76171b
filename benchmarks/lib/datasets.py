"""Data for the benchmarks, as a Bunch of X, y, image_shape, n_clusters, name, target_names.

====================  ==========================================================================
digits                1,797 images of 8 x 8 from scikit-learn, in [0, 1]
mnist, fashion_mnist  70,000 images of 28 x 28, training images first; float32 in [0, 1]
reuters8              7,219 articles x 2,000 words, TF-IDF, CSR; eight very unbalanced topics
stackoverflow         20,000 titles of questions, 20 tags; sentence embeddings of length 384
searchsnippets        12,340 snippets of web searches, 8 topics; the same embeddings
statlog, yeast, d31   tables of 2,310 x 19, 1,484 x 8 and 3,100 x 2, standardised
iris                  150 flowers x 4 from scikit-learn
wine, breast_cancer   178 x 13 and 569 x 30 from scikit-learn, standardised
FILE.npz              ``X`` (or a CSR matrix as data, indices, indptr, shape) and optional ``y``
FILE.csv              rows of numbers, with or without a header, and optional labels, see `load`
====================  ==========================================================================

What scikit-learn does not hold is read from the folder named by the environment variable
SKDEEPCLUSTER_DATA, else from ``shared/data`` beside the project's root: ``NAME.npz``, and
``tables.npz`` with ``statlog_X``, ``statlog_y`` and so on.
"""

import hashlib
import math
import os
import warnings
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from sklearn.datasets import fetch_openml, load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch, check_random_state

#: Tables that come with scikit-learn -> their loader, and whether they are standardised.
BUNDLED = {
    "iris": (load_iris, False),
    "wine": (load_wine, True),
    "breast_cancer": (load_breast_cancer, True),
}
TABLES = ("statlog", "yeast", "d31")  # the tables of tables.npz
TEXTS = ("stackoverflow", "searchsnippets")
NAMES = ("digits", "mnist", "fashion_mnist", "reuters8", *TEXTS, *TABLES, *BUNDLED)
OPENML = {"mnist": "mnist_784", "fashion_mnist": "Fashion-MNIST"}
SHA256 = {
    "mnist": "54ddfe01bb1284d50e5473a31c590ba0e723949b611ce6e7604f2e9473754d8a",
    "fashion_mnist": "a3bb86084e474f0a52da049bb27f9d3463d5f0b1f99c65450e51bc3227daf6d3",
    "reuters8": "a30d02110f8efcee14051b46ef80fac218fccb12118c7548acb9e4ddcabc012b",
    "stackoverflow": "0cb28b77bd757b70808af1d4abf863e0343ef5689792a87207c22a212798bf28",
    "searchsnippets": "004129f95023d13995bda6dda78035db083e4e19ebc92f8ff660e9e06149083e",
    "tables": "88bb2e1c4d0a8b3bbb7799b499f09e983292c0411f9e503502f0388ea8a0d9dd",
}
#: What a file that is not offered for download holds -> so that it can be made.
CONTENTS = {
    "stackoverflow": "X (20000, 384), all-MiniLM-L6-v2 of the 20,000 titles of the short-text set "
    "StackOverflow, and their tags as y",
    "searchsnippets": "X (12340, 384), all-MiniLM-L6-v2 of the 12,340 texts of the short-text set "
    "SearchSnippets, and their topics as y",
    "tables": "statlog_X, statlog_y (OpenML's segment), yeast_X, yeast_y (OpenML's yeast), d31_X "
    "and d31_y (D31 of the shape sets at cs.uef.fi/sipu/datasets), features standardised",
}
IMAGE_SHAPES = {"mnist": (28, 28), "fashion_mnist": (28, 28)}
LABEL_COLUMNS = ("label", "labels", "y", "target", "class")
SHARES = (0.02, 0.03, 0.04, 0.05, 0.07, 0.09, 0.12, 0.15, 0.18, 0.25)
DEFAULT_N_CLUSTERS = 8  # as KMeans, where there are no classes to count


def load(name, n_samples=None, random_state=0, download=False):
    """Load a data set by its name or from a file.

    Images of uint8 become float32 in [0, 1]; other numbers float32 (float64 stays). Arrays of
    more than two axes are flattened row by row and keep their shape as ``image_shape``.
    In a CSV file the labels are the column called label, labels, y, target or class (in any
    case), else the last column if it holds text; a last column of numbers is a feature. The
    first line is a header unless its fields are numbers, but for a label in the last one.

    Parameters
    ----------
    name : str or Path
        One of `NAMES`, or a file ending in .npz or .csv.
    n_samples : int, default=None
        Keep this many rows, the first of a random permutation; all, in their order, if None.
    random_state : int, RandomState instance or None, default=0
        The permutation.
    download : bool, default=False
        Fetch mnist or fashion_mnist from openml.org if the file is missing.

    Returns
    -------
    data : Bunch
        X (array or CSR), y (or None), image_shape (or None), n_clusters (the number of classes,
        8 without labels), name, target_names (or None), feature_names (or None).
    """
    path = Path(name)
    if str(name) == "digits":
        digits = load_digits()
        data = _bunch(digits.data / 16, digits.target, image_shape=(8, 8))
    elif str(name) in NAMES:
        data = _load_named(str(name), download)
    elif path.suffix.lower() in (".npz", ".csv"):
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}.")
        data = _read_npz(path) if path.suffix.lower() == ".npz" else _read_csv(path)
    else:
        raise ValueError(
            f"Unknown data {name!r}: expected {', '.join(NAMES)}, or a .npz or .csv file."
        )
    data.name = str(name) if str(name) in NAMES else path.name
    return data if n_samples is None else _subsample(data, n_samples, random_state)


def unbalanced(X, y, n=20000, shares=SHARES, random_state=0):
    """Draw an unbalanced subsample: class shares from 2 % to 25 %, in the order of the classes.

    The rule is fixed: of a permutation of the rows by `random_state`, the first
    ``n * shares[k]`` rows of the k-th class in sorted order (rounded such that they add up to
    `n`), kept in permuted order. For MNIST, 20,000 images: 400 zeros up to 5,000 nines.

    Parameters
    ----------
    X : {array, sparse matrix} of shape (n_samples, n_features)
        Rows.
    y : array of shape (n_samples,)
        Classes.
    n : int, default=20000
        Rows to draw.
    shares : tuple of float
        One share per class, adding up to 1; by default whole percents for ten classes.
    random_state : int, RandomState instance or None, default=0
        The permutation.

    Returns
    -------
    X, y : the rows drawn and their classes
    """
    classes, index, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(shares) != len(classes) or not math.isclose(sum(shares), 1):
        raise ValueError(
            f"shares must be one for each of {len(classes)} classes and add up to 1, got {shares}."
        )
    wanted = np.diff(np.rint(np.cumsum((0, *shares)) * n).astype(int))
    if np.any(wanted > counts):
        k = int(np.argmax(wanted - counts))
        raise ValueError(
            f"Class {classes[k]} has {counts[k]} rows, {wanted[k]} are needed; lower n={n}."
        )
    order = check_random_state(random_state).permutation(len(index))
    chosen = [order[index[order] == k][:size] for k, size in enumerate(wanted)]
    rows = order[np.isin(order, np.concatenate(chosen))]
    return X[rows], y[rows]


def draw_unbalanced(data, n_samples, seed):
    """Return an unbalanced subsample of the data, itself as data."""
    X, y = unbalanced(data.X, data.y, n_samples, random_state=seed)
    return Bunch(**data | {"X": X, "y": y, "name": f"{data.name}, unbalanced"})


def part(data, rows):
    """Return some rows of the data, as data."""
    return Bunch(**data | {"X": data.X[rows], "y": data.y[rows]})


def data_folder():
    """Folder of the .npz files: $SKDEEPCLUSTER_DATA, else shared/data beside the project."""
    given = os.environ.get("SKDEEPCLUSTER_DATA")
    return Path(given) if given else Path(__file__).resolve().parents[3] / "shared" / "data"


def _load_named(name, download):
    if name in BUNDLED:
        loader, is_standardised = BUNDLED[name]
        table = loader()
        X = StandardScaler().fit_transform(table.data) if is_standardised else table.data
        names = {key: list(table[key]) for key in ("target_names", "feature_names")}
        return _bunch(X, table.target, **names)
    stem = "tables" if name in TABLES else name
    path = data_folder() / f"{stem}.npz"
    if path.is_file():
        _verify(path, SHA256[stem])
        return _read_table(path, name) if name in TABLES else _read_npz(path)
    if download and name in OPENML:
        fetched = fetch_openml(OPENML[name], version=1, as_frame=False)
        X = np.asarray(fetched.data, dtype=np.float32) / 255
        return _bunch(X, fetched.target.astype(int), image_shape=IMAGE_SHAPES[name])
    raise FileNotFoundError(_missing(path, name))


def _missing(path, name):
    where = "from SKDEEPCLUSTER_DATA" if os.environ.get("SKDEEPCLUSTER_DATA") else "the default"
    message = (
        f"{name}: no file {path} ({where}). Set the environment variable SKDEEPCLUSTER_DATA to "
        f"the folder that holds {path.name}"
    )
    if name not in OPENML:
        holds = f": it holds {CONTENTS[path.stem]}" if path.stem in CONTENTS else ""
        return f"{message}. This file is not offered for download{holds}."
    return (
        f"{message}, or add --download, which uses "
        f'sklearn.datasets.fetch_openml("{OPENML[name]}").'
    )


def _verify(path, expected):
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        warnings.warn(
            f"{path} is not the file of the published numbers (sha256 {found}, expected "
            f"{expected}): results are not comparable.",
            stacklevel=4,
        )


def _read_table(path, name):
    with np.load(path, allow_pickle=False) as file:
        return _bunch(file[f"{name}_X"], file[f"{name}_y"])


def _read_npz(path):
    with np.load(path, allow_pickle=False) as file:
        keys = set(file.files)
        if "X" in keys:
            X = file["X"]
        elif {"data", "indices", "indptr", "shape"} <= keys:
            X = csr_array((file["data"], file["indices"], file["indptr"]), shape=file["shape"])
        else:
            raise ValueError(
                f"{path} holds {sorted(keys)}; X, or data, indices, indptr and shape of a CSR "
                "matrix, are expected."
            )
        y = file["y"] if "y" in keys else None
        names = file["target_names"].tolist() if "target_names" in keys else None
    shape = X.shape[1:] if X.ndim > 2 else IMAGE_SHAPES.get(path.stem)
    if X.ndim != 2:
        X = X.reshape(len(X), -1)
    if shape is not None and math.prod(shape) != X.shape[1]:
        shape = None
    if X.dtype == np.uint8:
        X = X.astype(np.float32) / 255
    elif X.dtype != np.float64:
        X = X.astype(np.float32)
    return _bunch(X, y, image_shape=shape, target_names=names)


def _read_csv(path):
    import pandas as pd

    with open(path, encoding="utf-8") as file:
        *fields, last_field = file.readline().strip().split(",")
    is_row = all(map(_is_number, fields)) and last_field.strip().lower() not in LABEL_COLUMNS
    table = pd.read_csv(path, header=None if is_row else 0)
    named = [column for column in table if str(column).strip().lower() in LABEL_COLUMNS]
    last = table.columns[-1]
    label = named[0] if named else last if not _is_numeric(table[last]) else None
    y = None if label is None else table.pop(label).to_numpy()
    for column in table:
        if not _is_numeric(table[column]) or table[column].isna().any():
            raise ValueError(
                f"Column {column!r} of {path} holds text or missing values; features are "
                f"numbers. A column of labels is called one of {', '.join(LABEL_COLUMNS)}."
            )
    names = None if is_row else table.columns.tolist()
    return _bunch(table.to_numpy(dtype=np.float64), y, feature_names=names)


def _is_numeric(column):
    return column.dtype.kind in "biuf"


def _is_number(field):
    try:
        float(field)
    except ValueError:
        return False
    return True


def _bunch(X, y, image_shape=None, target_names=None, feature_names=None):
    n_clusters = DEFAULT_N_CLUSTERS if y is None else len(np.unique(y))
    names = {"target_names": target_names, "feature_names": feature_names}
    return Bunch(X=X, y=y, image_shape=image_shape, n_clusters=n_clusters, **names)


def _subsample(data, n_samples, random_state):
    if not 1 <= n_samples <= data.X.shape[0]:
        raise ValueError(f"n_samples={n_samples}: {data.name} has {data.X.shape[0]} rows.")
    rows = check_random_state(random_state).permutation(data.X.shape[0])[:n_samples]
    data.X = data.X[rows]
    data.y = None if data.y is None else data.y[rows]
    return data
