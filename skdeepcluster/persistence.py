"""Fitted estimators as files of plain data.

A file is in the safetensors format: arrays, and a readable JSON header. Reading one executes no
code from the file: the class is looked up by name among this package's, and some of
scikit-learn's; parameters and attributes are plain data, which are checked against the class and
the arrays before a network is built. A checksum detects changed bytes; it is no signature.

Pipelines and ensembles of these classes are stored, too. pickle, joblib and skops work as with any
estimator of scikit-learn; this is for files from untrusted sources, for exchange, or for use with
later versions of Python.
"""

import importlib
import json
import os
import re
import warnings
from collections import UserList
from contextlib import contextmanager
from functools import singledispatch
from inspect import isclass, signature
from numbers import Integral
from types import NoneType
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils import Bunch
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from sklearn.utils._param_validation import validate_parameter_constraints

from ._files import DTYPES, hash_content, parse_json, read_arrays, write_arrays

#: Increased when files are written that earlier versions of this module cannot read.
FORMAT_VERSION = 2
#: The package itself, for the classes that it names.
PACKAGE = importlib.import_module(__package__)
#: Classes of this package that may be stored, and read, by name.
ESTIMATORS = {
    name: getattr(PACKAGE, name) for name in PACKAGE.__all__ if isclass(getattr(PACKAGE, name))
}
#: Classes of scikit-learn that may be, by name: their state is arrays and plain parameters.
TRANSFORMERS = {
    cls.__name__: cls
    for cls in (
        *(Pipeline, ColumnTransformer, FeatureUnion, FunctionTransformer, KMeans),
        *(StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, Normalizer),
        *(QuantileTransformer, PowerTransformer, PCA, TruncatedSVD, TfidfTransformer),
        *(OneHotEncoder, OrdinalEncoder, SimpleImputer, MissingIndicator, VarianceThreshold),
    )
}
CLASSES = ESTIMATORS | TRANSFORMERS
#: Those that other estimators are parts of.
COMPOSED = {Pipeline, ColumnTransformer, FeatureUnion, PACKAGE.ClusterEnsemble}
#: Private attributes of these classes; the others are parameters, or end with an underscore.
PRIVATE = {
    *("_fit_params", "_cluster_space", "_collected", "_stability", "_spacing", "_rows", "_keys"),
    *("_kept", "_centers", "_leaf_centers", "_leaf_clusters", "_sklearn_output_config"),
    *("_sklearn_version", "_fit_svd_solver", "_scaler", "_fit_dtype", "_fill_dtype", "_columns"),
    *("_remainder", "_transformer_to_input_indices", "_name_to_fitted_passthrough"),
    *("_infrequent_enabled", "_infrequent_indices", "_default_to_infrequent_mappings"),
    *("_drop_idx_after_grouping", "_n_features_outs", "_missing_indices", "_n_features"),
    *("_precomputed", "_tol", "_n_init", "_algorithm", "_n_threads", "_n_features_out"),
}
#: Attributes whose arrays hold finite numbers.
FINITE = {
    *("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "tables_"),
    *("responsibilities_", "layout_", "_rows", "_spacing", "_cluster_space"),
}
#: Parameters and attributes that are lists of estimators, or of tuples with them.
STEPS = {"steps", "transformer_list", "transformers", "transformers_", "estimators_"}
#: Key that marks values JSON cannot represent: {KIND: "array", ...}.
KIND = "__kind__"
#: Names of dtypes that are parameters or attributes of encoders and imputers.
DTYPE_NAMES = {dtype.name for dtype in DTYPES.values()} | {"object"}
#: Most estimators around an estimator, as the members of an ensemble and the steps of a Pipeline.
MAX_DEPTH = 8
#: Most characters of an array of text.
MAX_CHARACTERS = 2**24
#: Most features of a row that is answered for when a file is read.
MAX_FEATURES = 2**20
#: Parameters that name places on the disk, which are written to, and pickles are read from.
PATHS = ("memory", "checkpoint")
#: Parameters that files leave out: answers need none of them.
LEFT_OUT = (*PATHS, "augment")
#: Attributes that files leave out, too: callbacks of scikit-learn's protocol, and what metadata
#: ``fit`` asks a meta-estimator for.
REQUESTS = "_skl_callbacks", "_metadata_request"
#: Most threads or processes that a file may ask for.
MAX_JOBS = 1024
#: What unsound data raises in numpy, torch and scikit-learn.
UNSOUND = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError),
    *(TypeError, ValueError),
)


def save(estimator, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator to a safetensors file.

    Parameters
    ----------
    estimator : estimator
        Of this package, or of scikit-learn's Pipeline, ColumnTransformer, FeatureUnion, KMeans,
        its scalers and encoders, PCA, TruncatedSVD, SimpleImputer, VarianceThreshold and
        TfidfTransformer (see ``TRANSFORMERS``); their steps and an ensemble's members, too.
    path : str or path-like
        File to write; an existing one is replaced once the new one is whole.

    Raises
    ------
    TypeError
        When it is no estimator, or a parameter or attribute, which is named, is neither number,
        text nor array, as other packages' estimators, functions of transformers and
        ``callbacks``: set these to None.
    ValueError
        When texts and histories exceed the header of a file, 8 MiB, or an estimator has an
        attribute that is neither a parameter nor ends with "_".
    OSError
        When the disk does not take the file.

    See Also
    --------
    load : Reads the file.
    skdeepcluster.export.to_onnx : For other runtimes.

    Notes
    -----
    Parameters that name places on the disk, as ``memory`` of a Pipeline, are stored as None. What
    ``set_callbacks`` and ``set_fit_request`` have set is left out.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import GaussianMixtureEM
    >>> from skdeepcluster.persistence import load, save
    >>> X = load_iris().data
    >>> mixture = GaussianMixtureEM(3, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(mixture, f"{folder}/mixture.safetensors")
    ...     again = load(f"{folder}/mixture.safetensors")
    >>> bool((again.predict(X) == mixture.predict(X)).all())
    True
    """
    if not isinstance(estimator, BaseEstimator):
        raise TypeError(
            f"save() takes a fitted estimator and a path, but the first is of type "
            f"{type(estimator).__name__}. Save several estimators in files of their own."
        )
    arrays = {}
    text = json.dumps(_encode(estimator, type(estimator).__name__, arrays))
    metadata = {
        "format": "skdeepcluster",
        "format_version": str(FORMAT_VERSION),
        "estimator": text,
        "sha256": hash_content(text, arrays),
    }
    write_arrays(path, arrays, metadata)


def load(path: str | os.PathLike[str], **functions) -> Any:
    """Read an estimator that :func:`~skdeepcluster.persistence.save` has written.

    Parameters
    ----------
    path : str or path-like
        The file.
    **functions : callable
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
        since, needs a function that is not given, or holds what no estimator of its class could.
        The file and the reason are named; time and memory are in proportion to its size.
    TypeError
        When a function is given that the file does not ask for.
    OSError
        When the file cannot be opened.

    Warns
    -----
    InconsistentVersionWarning
        When a class of scikit-learn was stored by another version of it.

    See Also
    --------
    save : Writes the file.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import NeighborClustering
    >>> from skdeepcluster.persistence import load, save
    >>> X = load_iris().data
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(NeighborClustering(3, random_state=0).fit(X), f"{folder}/iris.safetensors")
    ...     load(f"{folder}/iris.safetensors").predict(X[:3]).shape
    (3,)
    """
    with _naming(path):
        arrays, metadata = _read_whole(path)
        content = _check_metadata(metadata, arrays)
    asked = _find_functions(content)
    wrong = sorted(
        name for name in functions if name not in asked or not callable(functions[name])
    )
    if wrong:
        raise TypeError(
            f"load() got {', '.join(wrong)}, but {path} asks for "
            f"{', '.join(sorted(asked)) or 'no functions'}. Pass functions by these names only."
        )
    with _naming(path):
        estimator = _decode(content, _Source(arrays, functions))
        if not isinstance(estimator, BaseEstimator):
            raise ValueError("it holds no estimator")
        if arrays:
            raise ValueError(f"no attribute has its array {min(arrays)!r:.99}")
    return estimator


@contextmanager
def _naming(path):
    """Raise what unsound data raises within the block as a ValueError that names the file."""
    try:
        yield
    except UNSOUND as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"{path} cannot be read: {kind}{error}") from error


def _read_whole(path):
    try:
        return read_arrays(path)
    except (MemoryError, ValueError) as error:
        raise ValueError(
            f"it is not a whole safetensors file, as save() writes it: {error}"
        ) from error


def _check_metadata(metadata, arrays):
    """Return the JSON of the estimator, once format, version and checksum are checked."""
    if metadata.get("format") != "skdeepcluster":
        raise ValueError("it holds no estimator of skdeepcluster")
    missing = {"format_version", "estimator", "sha256"} - set(metadata)
    if missing:
        raise ValueError(f"its header has no {', '.join(sorted(missing))}")
    version, text = metadata["format_version"], metadata["estimator"]
    if not re.fullmatch("[1-9][0-9]{0,8}", version):
        raise ValueError(f"its format version is {version!r:.99}")
    if int(version) > FORMAT_VERSION:
        raise ValueError(
            f"it is of format version {version}; this version of skdeepcluster reads up to "
            f"{FORMAT_VERSION}. Update skdeepcluster"
        )
    # The checksum of format 1 is of sorted JSON.
    hashed = json.dumps(parse_json(text), sort_keys=True) if version == "1" else text
    if hash_content(hashed, arrays) != metadata["sha256"]:
        raise ValueError("it has changed since it was written: its checksum differs")
    content = parse_json(text)
    if not isinstance(content, dict):
        raise ValueError("it holds no estimator")
    return content


# ---- encoding


@singledispatch
def _encode(value, place, arrays):
    """Return a value as JSON; its arrays are added to ``arrays`` by their path, ``place``."""
    raise TypeError(
        f"{place} is a {type(value).__name__}, which a safetensors file cannot hold: it stores "
        "numbers, text, arrays, estimators of skdeepcluster and transformers of scikit-learn. Use "
        "skops or joblib for others."
    )


def _refuse(value, place, arrays):
    return _encode.dispatch(object)(value, place, arrays)


@_encode.register(bool | int | float | str | NoneType)
def _(value, place, arrays):
    return value


@_encode.register
def _(value: np.generic, place, arrays):
    item = value.item()
    return item if isinstance(item, (int, float, str)) else _refuse(value, place, arrays)


@_encode.register
def _(value: np.ndarray, place, arrays):
    native = np.asarray(value, value.dtype.newbyteorder("<"), order="C")
    if native.dtype in DTYPES.values():
        while place in arrays:  # keys of dicts may have dots
            place += "'"
        arrays[place] = native
        return {KIND: "array", "name": place, "shape": list(value.shape)}
    if value.dtype.kind not in "OU":
        raise TypeError(f"{place} is an array of {value.dtype}, which a file cannot hold.")
    items = _encode(value.ravel().tolist(), place, arrays)
    node = {KIND: "items", "items": items, "dtype": value.dtype.str, "shape": list(value.shape)}
    try:
        _decode_items(node, None)
    except ValueError as error:
        raise TypeError(f"{place} cannot be stored: {error}.") from error
    return node


@_encode.register
def _(value: UserList, place, arrays):
    return _encode(value.data, place, arrays)


@_encode.register
def _(value: list, place, arrays):
    return [_encode(item, f"{place}.{i}", arrays) for i, item in enumerate(value)]


@_encode.register
def _(value: tuple, place, arrays):
    return {KIND: "tuple", "items": _encode(list(value), place, arrays)}


@_encode.register
def _(value: dict, place, arrays):
    items = {key: _encode(item, f"{place}.{key}", arrays) for key, item in value.items()}
    if all(isinstance(key, str) and key != KIND for key in items):
        return items
    return {KIND: "dict", "items": [[_encode(k, place, arrays), v] for k, v in items.items()]}


@_encode.register
def _(value: Bunch, place, arrays):
    return {KIND: "bunch", "items": _encode(dict(value), place, arrays)}


@_encode.register
def _(value: slice, place, arrays):
    return {KIND: "slice", "items": _encode([value.start, value.stop, value.step], place, arrays)}


@_encode.register(np.dtype | type)
def _(value, place, arrays):
    is_class = isclass(value) and issubclass(value, np.generic)
    name = np.dtype(value).name if is_class or isinstance(value, np.dtype) else None
    if name not in DTYPE_NAMES:
        return _refuse(value, place, arrays)
    return {KIND: "dtype", "name": name, "class": is_class}


@_encode.register
def _(value: np.random.RandomState, place, arrays):
    return {KIND: "stream", "state": _encode(value.get_state(), place, arrays)}


@_encode.register
def _(value: torch.device, place, arrays):
    return str(value)


@_encode.register
def _(value: BaseEstimator, place, arrays):
    cls = type(value)
    # By identity: other classes may have the same name.
    if CLASSES.get(cls.__name__) is not cls:
        return _refuse(value, place, arrays)
    state = {k: v for k, v in value.__getstate__().items() if k not in REQUESTS}
    _check_names(cls, state)
    state = _encode_state(state, cls, place, arrays)
    return {KIND: "estimator", "class": cls.__name__, "state": state}


def _encode_state(state, cls, place, arrays):
    """Return state or parameters as JSON, in which parameters may be functions."""
    encoded = {}
    for key, value in state.items():
        if key in _function_names(cls) and callable(value):
            name = getattr(value, "__qualname__", type(value).__name__)
            encoded[key] = {KIND: "function", "name": name}
        elif key == "_fit_params":
            encoded[key] = _encode_state(value, cls, f"{place}.{key}", arrays)
        elif key in LEFT_OUT:
            encoded[key] = None
        else:
            encoded[key] = _encode(value, f"{place}.{key}", arrays)
    return encoded


def _function_names(cls):
    """Return the parameters of a class of this package that may be functions."""
    constraints = cls._parameter_constraints if cls.__name__ in ESTIMATORS else {}
    functions = {name for name, allowed in constraints.items() if callable in allowed}
    return functions - set(LEFT_OUT)


# ---- decoding: arrays of the file, functions of the user


class _Source(NamedTuple):
    """What the JSON of a file refers to; each array is taken once."""

    arrays: dict[str, np.ndarray]
    functions: dict[str, Any]
    #: Estimators that the value is part of.
    depth: int = 0


def _find_functions(content):
    """Return the names of the parameters that are functions."""
    names, waiting = set(), [content]
    while waiting:
        value = waiting.pop()
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if isinstance(item, dict) and item.get(KIND) == "function":
                names.add(str(key))
            elif isinstance(item, (dict, list)):
                waiting.append(item)
    return names


def _get(node, key, kind):
    """Return a value of a node, whose type is checked."""
    if not isinstance(node.get(key), kind):
        raise ValueError(f"a {node[KIND]} without its {key}, a {kind.__name__}")
    return node[key]


def _decode(value, source):
    """Return the value that JSON stands for."""
    if isinstance(value, list):
        return [_decode(item, source) for item in value]
    if not isinstance(value, dict):
        return value
    if KIND not in value:
        return {name: _decode(item, source) for name, item in value.items()}
    kind = value[KIND]
    if not isinstance(kind, str) or kind not in DECODERS:
        raise ValueError(f"it holds a {kind!r:.99}, which this version cannot read")
    return DECODERS[kind](value, source)


def _decode_array(node, source):
    name = _get(node, "name", str)
    if name not in source.arrays:
        raise ValueError(f"the array {name!r:.99} is missing, or two attributes have it")
    return source.arrays.pop(name).reshape(_get(node, "shape", list))


def _decode_items(node, source):
    """Return an array of text, or of objects that are text, numbers or None."""
    array = np.array(_get(node, "items", list), dtype=object)
    array = array.reshape(node.get("shape", array.shape))
    if not all(isinstance(item, (str, int, float, NoneType)) for item in array.flat):
        raise ValueError("an array of objects that are neither text nor numbers")
    dtype = _get(node, "dtype", str)
    if dtype == "|O":
        return array
    length = re.fullmatch(r"[<>]U([0-9]{1,9})", dtype)
    if not length or array.size * int(length[1]) > MAX_CHARACTERS:
        raise ValueError(f"{array.size} texts of dtype {dtype!r:.99}")
    return array.astype(f"<U{length[1]}")


def _decode_dict(node, source):
    return {_decode(k, source): _decode(v, source) for k, v in _get(node, "items", list)}


def _decode_dtype(node, source):
    name = _get(node, "name", str)
    if name not in DTYPE_NAMES:
        raise ValueError(f"the unknown dtype {name!r:.99}")
    return np.dtype(name).type if _get(node, "class", bool) else np.dtype(name)


def _decode_stream(node, source):
    name, keys, position, has_gauss, gauss = _decode(_get(node, "state", dict), source)
    sound = (
        name == "MT19937"
        and (keys.dtype, keys.shape) == (np.uint32, (624,))
        and keys[1:].any()  # of zeros alone it would never leave zero
        and type(position) is int
        and 0 <= position <= 624
        and has_gauss in (0, 1)
        and isinstance(gauss, float)
        and np.isfinite(gauss)
    )
    if not sound:
        raise ValueError("a RandomState whose state is none of the Mersenne twister")
    stream = np.random.RandomState(0)
    stream.set_state((name, keys, position, has_gauss, gauss))
    return stream


def _decode_estimator(node, source):
    """Return an estimator whose state has been checked, and which has answered for a row."""
    source = source._replace(depth=source.depth + 1)
    if source.depth > MAX_DEPTH:
        raise ValueError(f"estimators are nested more than {MAX_DEPTH} times")
    name = _get(node, "class", str)
    if name not in CLASSES:
        raise ValueError(f"{name!r:.99} is no estimator of skdeepcluster, nor known otherwise")
    cls = CLASSES[name]
    state = _complete(cls, _decode_state(_get(node, "state", dict), cls, source))
    _check_state(cls, state)
    estimator = cls.__new__(cls)
    estimator.__setstate__(state)
    # Members and steps have answered for themselves: those of parts would answer many times.
    if source.depth == 1 or cls not in COMPOSED:
        _check_answers(estimator)
    return estimator


def _decode_state(state, cls, source):
    decoded = {}
    for key, value in state.items():
        if isinstance(value, dict) and value.get(KIND) == "function":
            decoded[key] = _find_function(value, key, cls, source)
        elif key == "_fit_params":
            decoded[key] = _decode_state(value, cls, source)
        else:
            decoded[key] = _decode(value, source)
    return decoded


def _find_function(node, key, cls, source):
    if key not in _function_names(cls):
        raise ValueError(f"{key!r:.99} of {cls.__name__} is a function")
    if key not in source.functions:
        raise ValueError(
            f"the estimator was fitted with {key}={_get(node, 'name', str):.99}, a function, "
            f"which is not stored. Pass it: load(path, {key}=...)"
        )
    return source.functions[key]


DECODERS = {
    "array": _decode_array,
    "items": _decode_items,
    "tuple": lambda node, source: tuple(_decode(_get(node, "items", list), source)),
    "bunch": lambda node, source: Bunch(**_decode(_get(node, "items", dict), source)),
    "dict": _decode_dict,
    "slice": lambda node, source: slice(*_get(node, "items", list)),
    "dtype": _decode_dtype,
    "stream": _decode_stream,
    "estimator": _decode_estimator,
}


# ---- checks of a state that anybody may have written


def _complete(cls, state):
    """Return the state with the defaults of parameters that came after it was written."""
    update = getattr(cls, "_update_state", dict)
    return update(state)


def _check_state(cls, state):
    """Check names, parameters and arrays of a state before an estimator has it."""
    _check_names(cls, state)
    parameters = signature(cls).parameters
    for chosen in (state, state.get("_fit_params", {})):
        _check_parameters(cls, {name: v for name, v in chosen.items() if name in parameters})
    n_features = state.get("n_features_in_", 1)
    if type(n_features) is not int or n_features < 1:
        raise ValueError(f"n_features_in_ is {n_features!r:.99}")
    for name in FINITE & state.keys():
        if not _is_finite(state[name]):
            raise ValueError(f"{cls.__name__}.{name} holds NaN or infinity")
    for name in STEPS & state.keys():
        _check_steps(state[name])
    if cls is KMeans:
        _check_kmeans(state)


def _check_names(cls, state):
    """Check that a state has all parameters, and fitted attributes that shadow none of a class."""
    parameters = signature(cls).parameters
    fitted = {name for name in state if name.endswith("_") and not hasattr(cls, name)}
    public = {name for name in fitted if not name.startswith("_")}
    unknown = state.keys() - parameters - public - PRIVATE
    unknown |= state.get("_fit_params", {}).keys() - parameters
    if unknown:
        raise ValueError(f"{cls.__name__} has no attribute {min(unknown)!r:.99} by itself")
    missing = parameters.keys() - state.keys()
    if missing:
        raise ValueError(f"{cls.__name__} without its parameter {min(missing)!r}")


def _check_parameters(cls, params):
    """Check parameters by the class's constraints, and that they name no file and few threads."""
    constraints = getattr(cls, "_parameter_constraints", {})
    validate_parameter_constraints(constraints, params, caller_name=cls.__name__)
    for name in PATHS:
        if params.get(name) is not None:
            raise ValueError(f"{cls.__name__}.{name} names a place on the disk")
    n_jobs = params.get("n_jobs")
    if n_jobs is not None and not (isinstance(n_jobs, Integral) and abs(n_jobs) <= MAX_JOBS):
        raise ValueError(f"n_jobs is {n_jobs!r:.99}")


def _is_finite(value):
    """Return whether all floats of an array, or of a list of arrays, are finite."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_finite, value))
    return (
        not (isinstance(value, np.ndarray) and value.dtype.kind == "f") or np.isfinite(value).all()
    )


def _check_kmeans(state):
    """Check what k-means passes to compiled code; the threads are those of this machine."""
    if "_n_threads" in state:
        state["_n_threads"] = _openmp_effective_n_threads()
    if "cluster_centers_" in state:
        centers = state["cluster_centers_"]
        shape = centers.shape[0], state["n_features_in_"]
        if centers.dtype not in (np.float32, np.float64) or centers.shape != shape:
            raise ValueError(f"the centres of KMeans are {centers.dtype} of shape {centers.shape}")


def _check_steps(steps):
    """Check that steps are tuples of a name, an estimator or text, and columns; or members."""
    parts = [step[1] if isinstance(step, (list, tuple)) else step for step in steps]
    named = [step for step in steps if isinstance(step, (list, tuple))]
    if not (
        all(isinstance(step[0], str) for step in named)
        and all(isinstance(part, (BaseEstimator, str, NoneType)) for part in parts)
    ):
        raise ValueError("steps or members that are no estimators")


def _check_answers(estimator):
    """Check that a fitted estimator answers for a row, and with numbers.

    An estimator of scikit-learn may raise a ValueError: at a category or a sign, say, that the row
    has not.
    """
    if type(estimator).__name__ == "GaussianMixtureEM" and not estimator.__sklearn_is_fitted__():
        return  # a stream of too few rows so far
    parts = [estimator, *getattr(estimator, "estimators_", [])]
    own = all(type(part).__name__ in ESTIMATORS for part in parts)
    names = [name for name in ("predict", "predict_proba") if hasattr(estimator, name)]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        row = _make_row(estimator)
        if row is None:
            return
        twin = type(estimator).__new__(type(estimator))
        vars(twin).update(vars(estimator))
        if own and "device" in vars(twin):
            twin.device = "cpu"
        try:
            answers = [getattr(twin, name)(row) for name in names or ["transform"]]
        except ValueError:
            if own:
                raise
            return
    if own and not all(
        np.isfinite(answer).all() for answer in answers if answer.dtype.kind == "f"
    ):
        raise ValueError(f"{type(estimator).__name__} answers with NaN")


def _make_row(estimator):
    """Return rows that a fitted estimator can answer for, None where they are not known."""
    if isinstance(estimator, (Pipeline, FeatureUnion)):
        steps = estimator.steps if isinstance(estimator, Pipeline) else estimator.transformer_list
        fitted = [step for _, step in steps if hasattr(step, "fit")]
        return _make_row(fitted[0]) if fitted else None
    if hasattr(estimator, "estimators_"):
        return _make_row(estimator.estimators_[0])
    n_features = getattr(estimator, "n_features_in_", MAX_FEATURES + 1)
    if n_features > MAX_FEATURES or callable(getattr(estimator, "metric", None)):
        return None
    if isinstance(estimator, ColumnTransformer):
        return _make_mixed_row(estimator)
    return _make_plain_row(estimator)


def _make_plain_row(estimator):
    """Return rows of what has been fitted, not of zeros: 0 may be far from all rows."""
    if hasattr(estimator, "model_"):
        # At the centre of the data, and a standard deviation beside it.
        seen = torch.arange(2.0)[:, None].expand(2, estimator.n_features_in_)
        return estimator.model_.likelihood.mean(seen).detach().numpy()
    if hasattr(estimator, "categories_"):
        return np.array([[own[0] for own in estimator.categories_]], dtype=object)
    for name in ("means_", "cluster_centers_", "_rows"):
        if getattr(estimator, name, None) is not None:
            return getattr(estimator, name)[:1]
    if hasattr(estimator, "statistics_"):
        return estimator.statistics_[None]
    return np.zeros((1, estimator.n_features_in_))


def _make_mixed_row(estimator):
    """Return a row of the columns of a fitted ColumnTransformer."""
    row = np.zeros((1, estimator.n_features_in_), dtype=object)
    for name, transformer, _ in estimator.transformers_:
        if hasattr(transformer, "fit"):
            row[:, estimator._transformer_to_input_indices[name]] = _make_row(transformer)[:1]
    if not hasattr(estimator, "feature_names_in_"):
        return row
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        return None
    return pandas.DataFrame(row, columns=estimator.feature_names_in_).infer_objects()
