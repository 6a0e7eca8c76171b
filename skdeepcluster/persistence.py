"""Fitted estimators as files that hold nothing but numbers and names.

A file is in the safetensors format: arrays, and a JSON header that people can read. Reading one
runs no code of the file: the class is looked up by name among this package's, parameters and
attributes are plain data, and a checksum tells whether bytes have changed. Needs the extra
``persistence``.

pickle, joblib and skops work as with any estimator of scikit-learn; this is for files that come
from others, that others read, or that shall outlive a version of Python.
"""

import hashlib
import importlib
import json
from functools import singledispatch
from types import NoneType

import numpy as np
import torch
from sklearn.base import BaseEstimator

#: Grows when files are written that the code before it cannot read.
FORMAT_VERSION = 1
ESTIMATORS = (
    "CatGANClassifier",
    "CatGANClustering",
    "ClusterEnsemble",
    "DACClustering",
    "GaussianMixtureEM",
    "InfoGANClustering",
    "VAEEmbedding",
    "VaDEClustering",
)
#: Key of what JSON has no form for: {KIND: "array", ...}.
KIND = "__kind__"
#: Arrays of these kinds are stored as arrays; others (names, mixed labels) in the header.
NUMBERS = "biuf"


def save(estimator, path):
    """Write a fitted estimator to a safetensors file.

    Parameters
    ----------
    estimator : estimator
        Of this package; an ensemble's members, too.
    path : str or path-like
        File to write; an existing one is replaced.

    Raises
    ------
    TypeError
        When something of the estimator is neither number, text nor array, as other packages'
        estimators and ``callbacks`` are; it names the parameter or attribute.
    ImportError
        When safetensors is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import GaussianMixtureEM
    >>> from skdeepcluster.persistence import load, save
    >>> X = load_iris().data
    >>> mixture = GaussianMixtureEM(3, random_state=0).fit(X)
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     save(mixture, file.name)
    ...     again = load(file.name)
    >>> bool((again.predict(X) == mixture.predict(X)).all())
    True
    """
    arrays = {}
    content = _encoded(estimator, type(estimator).__name__, arrays)
    metadata = {
        "format": "skdeepcluster",
        "format_version": str(FORMAT_VERSION),
        "estimator": json.dumps(content),
        "sha256": _digest(content, arrays),
    }
    _safetensors().save_file(arrays, path, metadata=metadata)


def load(path, **networks):
    """Read an estimator that :func:`save` has written.

    Parameters
    ----------
    path : str or path-like
        The file.
    **networks : callable
        Parameters that were functions (``encoder``, ``decoder``, ``generator``,
        ``discriminator``): functions are not stored, their weights are.

    Returns
    -------
    estimator : estimator
        Fitted, on the CPU.

    Raises
    ------
    ValueError
        When the file is not one of :func:`save`, was written by a newer version, has changed
        since, or needs a network that is not given.
    ImportError
        When safetensors is not installed.
    """
    arrays, metadata = _read(path)
    if metadata.get("format") != "skdeepcluster":
        raise ValueError(f"{path} holds no estimator of skdeepcluster.")
    version = int(metadata["format_version"])
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path} is of format version {version}; this version of skdeepcluster reads up to "
            f"{FORMAT_VERSION}. Update skdeepcluster."
        )
    content = json.loads(metadata["estimator"])
    if _digest(content, arrays) != metadata["sha256"]:
        raise ValueError(f"{path} has changed since it was written: its checksum differs.")
    return _Reader(arrays, networks).read(content)


def _safetensors():
    try:
        return importlib.import_module("safetensors.numpy")
    except ImportError as error:
        raise ImportError(
            "skdeepcluster.persistence needs safetensors: "
            "pip install 'skdeepcluster[persistence]'."
        ) from error


def _read(path):
    """Arrays and metadata of a safetensors file."""
    _safetensors()
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {n: file.get_tensor(n) for n in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}") from error


def _digest(content, arrays):
    """SHA-256 of the header's content and of all arrays."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


# ---- from values to plain data


@singledispatch
def _encoded(value, place, arrays):
    """Value as JSON; its arrays go to ``arrays``, under the place where they stand."""
    if callable(value):
        return {KIND: "function", "name": getattr(value, "__qualname__", type(value).__name__)}
    raise TypeError(
        f"{place} is a {type(value).__name__}, which a safetensors file cannot hold: it stores "
        "numbers, text, arrays and estimators of skdeepcluster. Use skops or joblib for others."
    )


@_encoded.register(bool | int | float | str | NoneType)
def _(value, place, arrays):
    return value


@_encoded.register
def _(value: np.generic, place, arrays):
    return value.item()


@_encoded.register
def _(value: np.ndarray, place, arrays):
    if value.dtype.kind not in NUMBERS:
        items = _encoded(value.tolist(), place, arrays)
        return {KIND: "items", "items": items, "dtype": value.dtype.str}
    arrays[place] = np.ascontiguousarray(value)
    return {KIND: "array", "name": place, "shape": list(value.shape)}


@_encoded.register
def _(value: list, place, arrays):
    return [_encoded(item, f"{place}.{i}", arrays) for i, item in enumerate(value)]


@_encoded.register
def _(value: tuple, place, arrays):
    return {KIND: "tuple", "items": _encoded(list(value), place, arrays)}


@_encoded.register
def _(value: dict, place, arrays):
    return {key: _encoded(item, f"{place}.{key}", arrays) for key, item in value.items()}


@_encoded.register
def _(value: np.random.RandomState, place, arrays):
    return {KIND: "stream", "state": _encoded(value.get_state(), place, arrays)}


@_encoded.register
def _(value: torch.device, place, arrays):
    return str(value)


@_encoded.register
def _(value: BaseEstimator, place, arrays):
    name = type(value).__name__
    if name not in ESTIMATORS:
        return _encoded.dispatch(object)(value, place, arrays)
    return {
        KIND: "estimator",
        "class": name,
        "state": _encoded(value.__getstate__(), place, arrays),
    }


# ---- and back


class _Reader:
    """Values from JSON, arrays and the functions that the user gives again."""

    def __init__(self, arrays, networks):
        self.arrays, self.networks = arrays, networks

    def read(self, value, key=None):
        """Value that stands under a key."""
        if isinstance(value, list):
            return [self.read(item) for item in value]
        if not isinstance(value, dict):
            return value
        if KIND not in value:
            return {name: self.read(item, name) for name, item in value.items()}
        known = {"array", "items", "tuple", "stream", "estimator", "function"}
        if value[KIND] not in known:
            raise ValueError(f"The file holds a {value[KIND]!r}, which this version cannot read.")
        return getattr(self, value[KIND])(value, key)

    def array(self, value, key):
        """Array of numbers."""
        return self.arrays[value["name"]].reshape(value["shape"])

    def items(self, value, key):
        """Array of something else."""
        return np.array(value["items"], dtype=value["dtype"])

    def tuple(self, value, key):
        """Tuple of anything."""
        return tuple(self.read(value["items"]))

    def stream(self, value, key):
        """Legacy random stream of numpy."""
        stream = np.random.RandomState()
        stream.set_state(self.read(value["state"]))
        return stream

    def function(self, value, key):
        """Return the function given for the parameter."""
        if key not in self.networks:
            raise ValueError(
                f"The estimator was fitted with {key}={value['name']}, a function, which is not "
                f"stored. Pass it: load(path, {key}=...)."
            )
        return self.networks[key]

    def estimator(self, value, key):
        """Estimator of this package, fitted."""
        if value["class"] not in ESTIMATORS:
            raise ValueError(f"{value['class']!r} is no estimator of skdeepcluster.")
        cls = getattr(importlib.import_module("skdeepcluster"), value["class"])
        estimator = cls.__new__(cls)
        estimator.__setstate__(self.read(value["state"]))
        return estimator
