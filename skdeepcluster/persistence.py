"""Fitted estimators as files of plain data.

A file is in the safetensors format: arrays, and a readable JSON header. Reading one executes no
code from the file: the class is looked up by name among this package's, parameters and attributes
are plain data, and a checksum detects changed bytes. Needs the extra ``persistence``.

pickle, joblib and skops work as with any estimator of scikit-learn; this is for files from
untrusted sources, for exchange, or for use with later versions of Python.
"""

import hashlib
import importlib
import json
from functools import singledispatch
from inspect import isclass
from types import NoneType

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import Bunch

#: Increased when files are written that earlier versions of this module cannot read.
FORMAT_VERSION = 1
#: The package itself, for the classes that it names.
PACKAGE = importlib.import_module(__package__)
#: Classes that may be stored, and read.
ESTIMATORS = tuple(name for name in PACKAGE.__all__ if isclass(getattr(PACKAGE, name)))
#: Key that marks values JSON cannot represent: {KIND: "array", ...}.
KIND = "__kind__"
#: Kinds of dtype that are stored as arrays; others (names, mixed labels) go to the header.
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
        When a parameter or attribute, which is named, is neither number, text nor array, as other
        packages' estimators and ``callbacks``.
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
    content = _encode(estimator, type(estimator).__name__, arrays)
    metadata = {
        "format": "skdeepcluster",
        "format_version": str(FORMAT_VERSION),
        "estimator": json.dumps(content),
        "sha256": _hash(content, arrays),
    }
    _import_safetensors().save_file(arrays, path, metadata=metadata)


def load(path, **networks):
    """Read an estimator that :func:`save` has written.

    Parameters
    ----------
    path : str or path-like
        The file.
    **networks : callable
        Parameters that were functions (``encoder``, ``decoder``, ``generator``,
        ``discriminator``, ``metric``): functions are not stored, their weights are.

    Returns
    -------
    estimator : estimator
        Fitted, on the CPU.

    Raises
    ------
    ValueError
        When the file is not one of :func:`save`, was written by a newer version, has changed
        since, or needs a function that is not given.
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
    if _hash(content, arrays) != metadata["sha256"]:
        raise ValueError(f"{path} has changed since it was written: its checksum differs.")
    return _decode(content, arrays, networks)


def _import_safetensors():
    try:
        return importlib.import_module("safetensors.numpy")
    except ImportError as error:
        raise ImportError(
            "skdeepcluster.persistence needs safetensors: "
            "pip install 'skdeepcluster[persistence]'."
        ) from error


def _read(path):
    """Return the arrays and the metadata of a safetensors file."""
    _import_safetensors()
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {n: file.get_tensor(n) for n in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}") from error


def _hash(content, arrays):
    """Return the SHA-256 of the header's content and of all arrays."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


# ---- encoding


@singledispatch
def _encode(value, place, arrays):
    """Return a value as JSON; its arrays are added to ``arrays`` by their path, ``place``."""
    if callable(value):
        return {KIND: "function", "name": getattr(value, "__qualname__", type(value).__name__)}
    raise TypeError(
        f"{place} is a {type(value).__name__}, which a safetensors file cannot hold: it stores "
        "numbers, text, arrays and estimators of skdeepcluster. Use skops or joblib for others."
    )


@_encode.register(bool | int | float | str | NoneType)
def _(value, place, arrays):
    return value


@_encode.register
def _(value: np.generic, place, arrays):
    return value.item()


@_encode.register
def _(value: np.ndarray, place, arrays):
    if value.dtype.kind not in NUMBERS:
        items = _encode(value.tolist(), place, arrays)
        return {KIND: "items", "items": items, "dtype": value.dtype.str}
    arrays[place] = np.ascontiguousarray(value)
    return {KIND: "array", "name": place, "shape": list(value.shape)}


@_encode.register
def _(value: list, place, arrays):
    return [_encode(item, f"{place}.{i}", arrays) for i, item in enumerate(value)]


@_encode.register
def _(value: tuple, place, arrays):
    return {KIND: "tuple", "items": _encode(list(value), place, arrays)}


@_encode.register
def _(value: dict, place, arrays):
    return {key: _encode(item, f"{place}.{key}", arrays) for key, item in value.items()}


@_encode.register
def _(value: Bunch, place, arrays):
    return {KIND: "bunch", "items": _encode(dict(value), place, arrays)}


@_encode.register
def _(value: np.random.RandomState, place, arrays):
    return {KIND: "stream", "state": _encode(value.get_state(), place, arrays)}


@_encode.register
def _(value: torch.device, place, arrays):
    return str(value)


@_encode.register
def _(value: BaseEstimator, place, arrays):
    name = type(value).__name__
    if name not in ESTIMATORS:
        return _encode.dispatch(object)(value, place, arrays)
    return {
        KIND: "estimator",
        "class": name,
        "state": _encode(value.__getstate__(), place, arrays),
    }


# ---- decoding: arrays of the file, networks of the user


def _decode(value, arrays, networks, key=None):
    """Return the value of ``key`` from JSON."""
    if isinstance(value, list):
        return [_decode(item, arrays, networks) for item in value]
    if not isinstance(value, dict):
        return value
    if KIND not in value:
        return {name: _decode(item, arrays, networks, name) for name, item in value.items()}
    return _decode_kind(value, arrays, networks, key)


def _decode_kind(value, arrays, networks, key):
    """Return a value that JSON cannot represent."""
    match value[KIND]:
        case "array":
            return arrays[value["name"]].reshape(value["shape"])
        case "items":
            return np.array(value["items"], dtype=value["dtype"])
        case "tuple":
            return tuple(_decode(value["items"], arrays, networks))
        case "bunch":
            return Bunch(**_decode(value["items"], arrays, networks))
        case "stream":
            stream = np.random.RandomState()
            stream.set_state(_decode(value["state"], arrays, networks))
            return stream
        case "function":
            return _find_network(value["name"], networks, key)
        case "estimator":
            return _restore_estimator(value, arrays, networks)
    raise ValueError(f"The file holds a {value[KIND]!r}, which this version cannot read.")


def _find_network(name, networks, key):
    if key not in networks:
        raise ValueError(
            f"The estimator was fitted with {key}={name}, a function, which is not stored. Pass "
            f"it: load(path, {key}=...)."
        )
    return networks[key]


def _restore_estimator(value, arrays, networks):
    if value["class"] not in ESTIMATORS:
        raise ValueError(f"{value['class']!r} is no estimator of skdeepcluster.")
    cls = getattr(PACKAGE, value["class"])
    estimator = cls.__new__(cls)
    estimator.__setstate__(_decode(value["state"], arrays, networks))
    return estimator
